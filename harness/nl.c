/* SPDX-License-Identifier: GPL-2.0-or-later
 * nl.c - links, addresses and routes of a namespace, over libnl
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>

#include "harness/nl.h"
#include "harness/ns.h"

/* libnl has its own numbers; the common ones translate. */
static int nl_fail(struct npp_err *e, const struct nl_ns *n, int err, const char *what, const char *name)
{
	int code = err == -NLE_EXIST ? -EEXIST : err == -NLE_NOMEM ? -ENOMEM : err == -NLE_PERM ? -EPERM :
		   err == -NLE_OBJ_NOTFOUND || err == -NLE_NODEV ? -ENODEV : -EIO;

	return npp_err_set(e, code, "%s: cannot %s %s: %s", n->name, what, name, nl_geterror(err));
}

int nl_ns_open(struct nl_ns *n, const char *path, const char *name, struct npp_err *e)
{
	int back, r;

	memset(n, 0, sizeof *n);
	n->name = name;
	n->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (n->fd < 0)
		return npp_err_set(e, -errno, "cannot open namespace %s: %s", path, strerror(errno));
	n->sk = nl_socket_alloc();
	if (!n->sk) {
		close(n->fd);
		return npp_err_set(e, -ENOMEM, "out of memory");
	}
	back = ns_enter_fd(n->fd, e);
	if (back < 0) {
		nl_ns_close(n);
		return back;
	}
	r = nl_connect(n->sk, NETLINK_ROUTE);
	ns_leave(back);
	if (r < 0) {
		r = nl_fail(e, n, r, "open", "netlink");
		nl_ns_close(n);
		return r;
	}
	return 0;
}

void nl_ns_close(struct nl_ns *n)
{
	if (!n->sk)
		return;
	nl_socket_free(n->sk);
	close(n->fd);
	n->sk = NULL;
}

static int get_link(struct nl_ns *n, const char *ifname, struct rtnl_link **out, struct npp_err *e)
{
	int r = rtnl_link_get_kernel(n->sk, 0, ifname, out);

	return r < 0 ? nl_fail(e, n, r, "find link", ifname) : 0;
}

static int set_mac(struct rtnl_link *l, const uint8_t mac[6])
{
	struct nl_addr *a = nl_addr_build(AF_LLC, mac, 6);

	if (!a)
		return -ENOMEM;
	rtnl_link_set_addr(l, a);
	nl_addr_put(a);
	return 0;
}

/* Brings IFNAME up and, if MASTER is not NULL, into that bridge. */
static int change_link(struct nl_ns *n, const char *ifname, const char *master, struct npp_err *e)
{
	struct rtnl_link *old = NULL, *br = NULL, *new = NULL;
	int r = get_link(n, ifname, &old, e);

	if (r < 0)
		return r;
	new = rtnl_link_alloc();
	if (!new) {
		r = npp_err_set(e, -ENOMEM, "out of memory");
		goto out;
	}
	rtnl_link_set_flags(new, IFF_UP);
	if (master) {
		r = get_link(n, master, &br, e);
		if (r < 0)
			goto out;
		rtnl_link_set_master(new, rtnl_link_get_ifindex(br));
	}
	r = rtnl_link_change(n->sk, old, new, 0);
	if (r < 0)
		r = nl_fail(e, n, r, "bring up link", ifname);
out:
	rtnl_link_put(old);
	rtnl_link_put(br);
	rtnl_link_put(new);
	return r;
}

int nl_setup_link(struct nl_ns *n, const char *ifname, const uint8_t *mac, uint32_t mtu, const char *bridge,
		  struct npp_err *e)
{
	struct rtnl_link *old = NULL, *new = rtnl_link_alloc();
	int r = get_link(n, ifname, &old, e);

	if (r == 0 && (!new || (mac && set_mac(new, mac) < 0)))
		r = npp_err_set(e, -ENOMEM, "out of memory");
	if (r == 0 && (mac || mtu)) {
		if (mtu)
			rtnl_link_set_mtu(new, mtu);
		r = rtnl_link_change(n->sk, old, new, 0);
		if (r < 0)
			r = nl_fail(e, n, r, "set up link", ifname);
	}
	rtnl_link_put(old);
	rtnl_link_put(new);
	return r < 0 ? r : change_link(n, ifname, bridge, e);
}

int nl_link_info(struct nl_ns *n, const char *ifname, struct nl_link_info *i, struct npp_err *e)
{
	struct rtnl_link *l = NULL;
	unsigned flags;
	int r = get_link(n, ifname, &l, e);

	memset(i, 0, sizeof *i);
	if (r < 0)
		return r;
	flags = rtnl_link_get_flags(l);
	i->up = flags & IFF_UP;
	i->carrier = (flags & IFF_LOWER_UP) && (flags & IFF_RUNNING);
	i->lower = rtnl_link_get_carrier(l) != 0;
	i->index = rtnl_link_get_ifindex(l);
	i->mtu = rtnl_link_get_mtu(l);
	i->rx_bytes = rtnl_link_get_stat(l, RTNL_LINK_RX_BYTES);
	i->tx_bytes = rtnl_link_get_stat(l, RTNL_LINK_TX_BYTES);
	i->rx_packets = rtnl_link_get_stat(l, RTNL_LINK_RX_PACKETS);
	i->tx_packets = rtnl_link_get_stat(l, RTNL_LINK_TX_PACKETS);
	i->drops = rtnl_link_get_stat(l, RTNL_LINK_RX_DROPPED) + rtnl_link_get_stat(l, RTNL_LINK_TX_DROPPED);
	rtnl_link_put(l);
	return 0;
}

int nl_watch_links(const struct nl_ns *n, struct npp_err *e)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int back = ns_enter_fd(n->fd, e), fd, r;

	if (back < 0)
		return back;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	r = fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
	ns_leave(back);
	if (r == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return npp_err_set(e, r, "%s: cannot watch links: %s", n->name, strerror(-r));
}

int nl_set_flags(struct nl_ns *n, const char *ifname, bool up, struct npp_err *e)
{
	struct rtnl_link *old = NULL, *new = rtnl_link_alloc();
	int r = get_link(n, ifname, &old, e);

	if (r == 0 && !new)
		r = npp_err_set(e, -ENOMEM, "out of memory");
	if (r == 0) {
		if (up)
			rtnl_link_set_flags(new, IFF_UP);
		else
			rtnl_link_unset_flags(new, IFF_UP);
		r = rtnl_link_change(n->sk, old, new, 0);
		if (r < 0)
			r = nl_fail(e, n, r, up ? "take up link" : "take down link", ifname);
	}
	rtnl_link_put(old);
	rtnl_link_put(new);
	return r;
}

int nl_set_up(struct nl_ns *n, const char *ifname, struct npp_err *e)
{
	return change_link(n, ifname, NULL, e);
}

/* libnl has no setters for these attributes of a bridge, so the message is built here. */
static int put_bridge(struct nl_msg *m, const char *name, const uint8_t mac[6], uint32_t mtu)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nlattr *info, *data;

	if (nlmsg_append(m, &ifi, sizeof ifi, NLMSG_ALIGNTO) < 0)
		return -ENOMEM;
	NLA_PUT_STRING(m, IFLA_IFNAME, name);
	NLA_PUT(m, IFLA_ADDRESS, 6, mac);
	NLA_PUT_U32(m, IFLA_MTU, mtu);
	info = nla_nest_start(m, IFLA_LINKINFO);
	if (!info)
		goto nla_put_failure;
	NLA_PUT_STRING(m, IFLA_INFO_KIND, "bridge");
	data = nla_nest_start(m, IFLA_INFO_DATA);
	if (!data)
		goto nla_put_failure;
	NLA_PUT_U32(m, IFLA_BR_FORWARD_DELAY, 0);
	NLA_PUT_U32(m, IFLA_BR_STP_STATE, 0);
	NLA_PUT_U8(m, IFLA_BR_MCAST_SNOOPING, 0);
	nla_nest_end(m, data);
	nla_nest_end(m, info);
	return 0;
nla_put_failure:
	return -ENOMEM;
}

int nl_add_bridge(struct nl_ns *n, const char *name, const uint8_t mac[6], uint32_t mtu, struct npp_err *e)
{
	struct nl_msg *m = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
	int r;

	if (!m || put_bridge(m, name, mac, mtu) < 0) {
		nlmsg_free(m);
		return npp_err_set(e, -ENOMEM, "out of memory");
	}
	r = nl_send_sync(n->sk, m);	/* frees the message */
	return r < 0 ? nl_fail(e, n, r, "make bridge", name) : 0;
}

int nl_add_veth(struct nl_ns *n, const char *ifname, const uint8_t mac[6], uint32_t mtu, struct nl_ns *b,
		const char *peer, const char *bridge, struct npp_err *e)
{
	struct rtnl_link *l = rtnl_link_veth_alloc(), *p;
	int r;

	if (!l)
		return npp_err_set(e, -ENOMEM, "out of memory");
	p = rtnl_link_veth_get_peer(l);
	rtnl_link_set_name(l, ifname);
	rtnl_link_set_mtu(l, mtu);
	rtnl_link_set_name(p, peer);
	rtnl_link_set_mtu(p, mtu);
	rtnl_link_set_ns_fd(p, b->fd);
	r = set_mac(l, mac);
	if (r == 0)
		r = rtnl_link_add(n->sk, l, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(p);
	rtnl_link_put(l);
	if (r < 0)
		return nl_fail(e, n, r, "make veth", ifname);
	r = change_link(b, peer, bridge, e);
	return r < 0 ? r : change_link(n, ifname, NULL, e);
}

/* PLEN counts in 128 bits. */
static struct nl_addr *build_addr(const union npp_addr *addr, unsigned plen)
{
	bool v4 = npp_addr_is_v4(addr);
	struct nl_addr *a = nl_addr_build(v4 ? AF_INET : AF_INET6, addr->b + (v4 ? 12 : 0), v4 ? 4 : 16);

	if (a)
		nl_addr_set_prefixlen(a, (int)plen - (v4 ? 96 : 0));
	return a;
}

static struct nl_addr *broadcast(const union npp_addr *addr, unsigned plen)
{
	union npp_addr b = *addr;

	b.w[3] |= htonl(plen < 128 ? ~0u >> (plen - 96) : 0);
	return build_addr(&b, 128);
}

int nl_add_addr(struct nl_ns *n, const char *ifname, const union npp_addr *addr, unsigned plen, struct npp_err *e)
{
	bool v4 = npp_addr_is_v4(addr);
	struct rtnl_link *l = NULL;
	struct rtnl_addr *ra = rtnl_addr_alloc();
	struct nl_addr *a = build_addr(addr, plen), *bc = v4 ? broadcast(addr, plen) : NULL;
	int r = get_link(n, ifname, &l, e);

	if (r == 0 && (!ra || !a || (v4 && !bc)))
		r = npp_err_set(e, -ENOMEM, "out of memory");
	if (r == 0) {
		rtnl_addr_set_ifindex(ra, rtnl_link_get_ifindex(l));
		rtnl_addr_set_local(ra, a);
		if (v4)
			rtnl_addr_set_broadcast(ra, bc);
		else
			rtnl_addr_set_flags(ra, IFA_F_NODAD);
		r = rtnl_addr_add(n->sk, ra, 0);
		if (r < 0)
			r = nl_fail(e, n, r, "add an address to", ifname);
	}
	nl_addr_put(a);
	nl_addr_put(bc);
	rtnl_addr_put(ra);
	rtnl_link_put(l);
	return r;
}

int nl_add_route(struct nl_ns *n, const union npp_addr *to, unsigned plen, const union npp_addr *via,
		 struct npp_err *e)
{
	struct rtnl_route *rt = rtnl_route_alloc();
	struct rtnl_nexthop *nh = rtnl_route_nh_alloc();
	struct nl_addr *dst = build_addr(to, plen), *gw = build_addr(via, 128);
	char text[64] = "";
	int r;

	if (!rt || !nh || !dst || !gw) {
		r = npp_err_set(e, -ENOMEM, "out of memory");
		if (nh)
			rtnl_route_nh_free(nh);
	} else {
		nl_addr2str(dst, text, sizeof text);
		rtnl_route_set_family(rt, npp_addr_is_v4(to) ? AF_INET : AF_INET6);
		rtnl_route_set_table(rt, RT_TABLE_MAIN);
		rtnl_route_set_scope(rt, RT_SCOPE_UNIVERSE);
		rtnl_route_set_protocol(rt, RTPROT_STATIC);
		rtnl_route_set_type(rt, RTN_UNICAST);
		rtnl_route_set_dst(rt, dst);
		rtnl_route_nh_set_gateway(nh, gw);
		rtnl_route_add_nexthop(rt, nh);
		r = rtnl_route_add(n->sk, rt, NLM_F_EXCL);
		if (r < 0)
			r = nl_fail(e, n, r, "add the route to", text);
	}
	rtnl_route_put(rt);
	nl_addr_put(dst);
	nl_addr_put(gw);
	return r;
}

bool nl_has_route(struct nl_ns *n, const union npp_addr *addr)
{
	struct nl_addr *a = build_addr(addr, 128);
	struct rtnl_route *rt = NULL;
	bool found = a && rtnl_route_lookup(n->sk, a, &rt) == 0 && rt && rtnl_route_get_type(rt) != RTN_UNREACHABLE;

	rtnl_route_put(rt);
	nl_addr_put(a);
	return found;
}

int nl_carrier(struct nl_ns *n, const char *ifname)
{
	struct rtnl_link *l = NULL;
	unsigned flags;
	int r = get_link(n, ifname, &l, NULL);

	if (r < 0)
		return r;
	flags = rtnl_link_get_flags(l);
	rtnl_link_put(l);
	return (flags & IFF_UP) && (flags & IFF_LOWER_UP) && (flags & IFF_RUNNING);
}
