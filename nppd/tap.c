/* SPDX-License-Identifier: GPL-2.0-or-later
 * tap.c - the network port: a TAP with one queue for the dispatcher and one per ISM
 *
 * The queues are opened while this process is in the port's network namespace; they and
 * the netlink sockets stay there when it returns. An ISM's queue is detached as soon as
 * it was opened: it then only transmits, and no flow is steered to it. With engine: kernel
 * it stays attached, and a program steers (engine.c): without one, an attached queue would
 * draw the flows that it writes to itself. All queues stay open here, because closing one
 * renumbers the others.
 *
 * With engine: process the dispatcher has a second queue, where eBPF is permitted: what comes from
 * peers that nobody has a connection with is put aside there (steer.h), so that a flood of it takes
 * no room from the others.
 *
 * The link that the TAP shows to its namespace has an address of its own, not the
 * NPP's: a bridge takes frames for the addresses of its ports for itself.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nppd/engine.h"
#include "nppd/loop.h"
#include "nppd/tap.h"

/* As many wait while who reads it is not running, or (kernel engine) is being replaced. With the
 * usual 1000 more than half of what came flat out was lost where cores are scarce. */
#define QUEUE_FRAMES 4000
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

static int key_error(const struct tap *t, struct settings *s, const char *key, const char *fmt, ...) NPP_PRINTF(4, 5);

/* About key KEY of the port, or of the NPP if the file has no such port. */
static int key_error(const struct tap *t, struct settings *s, const char *key, const char *fmt, ...)
{
	const struct npp_conf_node *own = s->npp.port[t->port].node, *map = own ? own : s->npp.node;
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return npp_conf_error_key(s->conf, map, map == s->npp.node ? "port" : key, "%s", text);
}

/* ---- namespaces ------------------------------------------------------------------ */

/* Enters the namespace of the port; *BACK leads home. */
static int enter(const struct tap *t, struct settings *s, int *back)
{
	const char *path = s->npp.port[t->port].netns;
	int fd, err = 0;

	*back = -1;
	if (!path)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		key_error(t, s, "netns", "%s: %s", path, strerror(-err));
		return err;
	}
	*back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*back < 0 || setns(fd, CLONE_NEWNET) < 0) {
		err = -errno;
		key_error(t, s, "netns", "%s: %s", path,
			  err == -EINVAL ? "is not a network namespace" : strerror(-err));
	}
	close(fd);
	if (err < 0 && *back >= 0) {
		close(*back);
		*back = -1;
	}
	return err;
}

static int leave(int back)
{
	int r = 0;

	if (back < 0)
		return 0;
	if (setns(back, CLONE_NEWNET) < 0)
		r = -errno;
	close(back);
	return r;
}

/* ---- queues ---------------------------------------------------------------------- */

static int open_fd(struct tap *t, struct settings *s, bool first)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), err;

	if (fd < 0) {
		err = -errno;
		key_error(t, s, "name", "/dev/net/tun: %s%s", strerror(-err),
			  err == -EACCES ? " (others than root can have NPPs where its mode is 0666)" : "");
		return err;
	}
	memcpy(ifr.ifr_name, t->name, sizeof ifr.ifr_name);
	if (first)
		ifr.ifr_flags |= (short)IFF_TUN_EXCL; /* never join somebody else's */
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		err = -errno;
		if (err == -EBUSY || err == -EEXIST || (first && err == -EINVAL && if_nametoindex(t->name)))
			key_error(t, s, "name", "'%s' is there already as a network link", t->name);
		else
			key_error(t, s, "name", "cannot make the TAP '%s': %s", t->name, strerror(-err));
		close(fd);
		return err;
	}
	if (strcmp(ifr.ifr_name, t->name) != 0) { /* "tap%d" and the like */
		close(fd);
		return key_error(t, s, "name", "'%s' is not a plain name", t->name);
	}
	return fd;
}

static int open_queue(struct tap *t, struct settings *s, unsigned i)
{
	struct ifreq ifr = { .ifr_flags = IFF_DETACH_QUEUE };
	int fd = open_fd(t, s, i == 0);

	if (fd < 0)
		return fd;
	t->queue[i] = fd;
	t->n_queues = i + 1;
	if (i > 0 && s->npp.engine == ENGINE_PROCESS && ioctl(fd, TUNSETQUEUE, &ifr) < 0)
		return key_error(t, s, "name", "cannot detach queue %u: %s", i, strerror(errno));
	return 0;
}

/* The second queue is the kernel's number 1, since those of the ISMs are detached; should it be another
 * one, the dispatcher reads both. */
static int open_aside(struct tap *t, struct settings *s, const struct steer *aside)
{
	int r = steer_attach(aside, t->queue[0]);

	if (r < 0)
		return key_error(t, s, "name", "'%s' refuses a steering program: %s", t->name, strerror(-r));
	t->aside = open_fd(t, s, false);
	return t->aside < 0 ? t->aside : 0;
}

static int open_queues(struct tap *t, struct settings *s, const struct steer *aside)
{
	int hdr = sizeof(struct vnet_hdr), r;

	for (unsigned i = 0; i <= s->npp.iops; i++) {
		r = open_queue(t, s, i);
		if (r == 0 && i == 0 && aside)
			r = open_aside(t, s, aside);
		if (r < 0)
			return r;
	}
	if (ioctl(t->queue[0], TUNSETVNETHDRSZ, &hdr) < 0 || ioctl(t->queue[0], TUNSETOFFLOAD, OFFLOADS) < 0)
		return key_error(t, s, "name", "'%s' refuses its offloads: %s", t->name, strerror(errno));
	return 0;
}

/* ---- the link ---------------------------------------------------------------------- */

/* The kernel's side of a bridge port talks to nobody: no IPv6 of its own. */
static void quiet_ipv6(const char *ifname)
{
	char path[80];
	int fd;

	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", ifname);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		npp_debug("%s: cannot be written", path);
	close(fd);
}

static int bridge_index(struct tap *t, struct settings *s, const char *bridge)
{
	const char *netns = s->npp.port[t->port].netns;
	struct rtnl_link *l;
	const char *type;
	int index;

	if (rtnl_link_get_kernel(t->ask, 0, bridge, &l) < 0)
		return key_error(t, s, "bridge", "there is no link '%s'%s%s", bridge, netns ? " in " : "", netns ? netns : "");
	type = rtnl_link_get_type(l);
	index = rtnl_link_get_ifindex(l);
	if (!type || strcmp(type, "bridge") != 0)
		index = key_error(t, s, "bridge", "'%s' is not a bridge", bridge);
	rtnl_link_put(l);
	return index;
}

static int set_link(struct tap *t, struct settings *s)
{
	const struct port_settings *p = &s->npp.port[t->port];
	struct rtnl_link *old = NULL, *change = rtnl_link_alloc();
	uint8_t mac[6] = { 0xfe, p->mac[1], p->mac[2], p->mac[3], p->mac[4], p->mac[5] };
	struct nl_addr *addr = nl_addr_build(AF_LLC, mac, sizeof mac);
	int bridge = 0, r = -ENOMEM;

	if (!change || !addr)
		goto out;
	if (mac[0] == p->mac[0])
		mac[0] = 0xfa;
	if (p->bridge) {
		bridge = r = bridge_index(t, s, p->bridge);
		if (r < 0)
			goto out;
		quiet_ipv6(t->name);
		rtnl_link_set_master(change, bridge);
	}
	r = rtnl_link_get_kernel(t->ask, 0, t->name, &old);
	if (r < 0) {
		r = key_error(t, s, "name", "'%s': %s", t->name, nl_geterror(r));
		goto out;
	}
	t->ifindex = rtnl_link_get_ifindex(old);
	nl_addr_set_binary_addr(addr, mac, sizeof mac);
	rtnl_link_set_addr(change, addr);
	rtnl_link_set_mtu(change, p->mtu);
	rtnl_link_set_txqlen(change, QUEUE_FRAMES);
	rtnl_link_set_flags(change, IFF_UP);
	r = rtnl_link_change(t->ask, old, change, 0);
	if (r < 0)
		r = key_error(t, s, p->bridge ? "bridge" : "name", "cannot set '%s' up: %s", t->name, nl_geterror(r));
out:
	rtnl_link_put(old);
	rtnl_link_put(change);
	nl_addr_put(addr);
	return r;
}

static int open_netlink(struct tap *t)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = 1 /* RTMGRP_LINK */ };

	t->ask = nl_socket_alloc();
	if (!t->ask || nl_connect(t->ask, NETLINK_ROUTE) < 0)
		return -EIO;
	t->events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (t->events < 0 || bind(t->events, (struct sockaddr *)&a, sizeof a) < 0)
		return -errno;
	return 0;
}

void tap_init(struct tap *t)
{
	memset(t, 0, sizeof *t);
	t->events = t->packet = t->aside = -1;
	t->steer = (struct steer)STEER_NULL;
}

int tap_open(struct tap *t, struct settings *s, unsigned port, const struct steer *aside)
{
	const struct port_settings *p = &s->npp.port[port];
	int back, r;

	tap_init(t);
	t->port = port;
	snprintf(t->name, sizeof t->name, "%s", p->name);
	r = enter(t, s, &back);
	if (r < 0)
		return r;
	r = open_netlink(t);
	if (r < 0)
		npp_conf_error(s->conf, NULL, "netlink: %s", strerror(-r));
	/* a missing bridge is found before a link appears */
	if (r == 0 && p->bridge && bridge_index(t, s, p->bridge) < 0)
		r = -ENODEV;
	if (r == 0)
		r = open_queues(t, s, aside);
	if (r == 0)
		r = engine_open(t, s);
	if (r == 0)
		r = set_link(t, s);
	if (leave(back) < 0)
		npp_fatal("cannot return to the own network namespace");
	if (r < 0)
		tap_close(t);
	return r;
}

void tap_close(struct tap *t)
{
	for (unsigned i = 0; i < t->n_queues; i++)
		close(t->queue[i]);
	t->n_queues = 0;
	if (t->aside >= 0)
		close(t->aside);
	t->aside = -1;
	engine_close(t);
	if (t->ask)
		nl_socket_free(t->ask);
	t->ask = NULL;
	if (t->events >= 0)
		close(t->events);
	t->events = -1;
}

int tap_carrier(struct tap *t)
{
	struct rtnl_link *l;
	int r = rtnl_link_get_kernel(t->ask, t->ifindex, NULL, &l);

	if (r < 0)
		return -ENODEV;
	r = (rtnl_link_get_flags(l) & IFF_RUNNING) != 0;
	rtnl_link_put(l);
	return r;
}

uint64_t tap_drops(struct tap *t)
{
	struct rtnl_link *l;
	uint64_t n;

	if (!t->ask || rtnl_link_get_kernel(t->ask, t->ifindex, NULL, &l) < 0)
		return 0;
	n = rtnl_link_get_stat(l, RTNL_LINK_TX_DROPPED);
	rtnl_link_put(l);
	return n;
}

void tap_events_read(struct tap *t)
{
	char buf[8192];
	ssize_t n;

	do
		n = recv(t->events, buf, sizeof buf, 0);
	while (n > 0 || (n < 0 && (errno == ENOBUFS || errno == EINTR)));
}

#define PROBES 3	/* RFC 5227, 1.1; how far apart is a setting */

/* ---- is an address in use? ------------------------------------------------------------ */

struct NPP_PACKED arp_frame {
	struct vnet_hdr vnet;
	uint8_t dst[6], src[6];
	uint16_t type;
	uint16_t htype, ptype;
	uint8_t hlen, plen;
	uint16_t op;
	uint8_t sha[6];
	uint32_t spa;
	uint8_t tha[6];
	uint32_t tpa;
};

/* IPv4 address number I, if it is this port's; 0: it is not. */
static uint32_t addr4(const struct tap *t, const struct settings *s, uint32_t i)
{
	const struct addr_settings *a = &s->npp.all[i];

	return npp_addr_is_v4(&a->p.addr) && (a->port == t->port || a->port == NPP_PORT_ANY) ? npp_addr_get_v4(&a->p.addr) : 0;
}

static void send_probes(struct tap *t, const struct settings *s)
{
	struct arp_frame f = { .dst = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, .type = htons(0x0806), .htype = htons(1),
			       .ptype = htons(0x0800), .hlen = 6, .plen = 4, .op = htons(1) };

	memcpy(f.src, s->npp.port[t->port].mac, 6);
	memcpy(f.sha, s->npp.port[t->port].mac, 6);
	for (uint32_t i = 0; i < s->npp.n_all; i++) {
		f.tpa = addr4(t, s, i);
		if (f.tpa && write(t->queue[0], &f, sizeof f) < 0)
			npp_debug("probe: %s", strerror(errno));
	}
}

/* Is MAC one of our ports'? Two of them may be on one network. */
static bool own_mac(const struct settings *s, const uint8_t *mac)
{
	for (uint32_t i = 0; i < s->npp.n_ports; i++)
		if (memcmp(s->npp.port[i].mac, mac, 6) == 0)
			return true;
	return false;
}

/* Does FRAME say that somebody has an address of ours? Its number, or -1. */
static int conflict(const struct tap *t, const struct settings *s, const struct arp_frame *f, ssize_t len)
{
	if (len < (ssize_t)sizeof *f || f->type != htons(0x0806) || f->htype != htons(1) || f->ptype != htons(0x0800) ||
	    f->hlen != 6 || f->plen != 4 || own_mac(s, f->sha))
		return -1;
	for (uint32_t i = 0; i < s->npp.n_all; i++) {
		uint32_t a = addr4(t, s, i);

		/* someone uses it, or probes for it as we do */
		if (a && (f->spa == a || (f->spa == 0 && f->tpa == a && f->op == htons(1))))
			return (int)i;
	}
	return -1;
}

static int report_conflict(struct settings *s, unsigned i, const uint8_t mac[6])
{
	char text[NPP_ADDR_STRLEN];

	npp_conf_error(s->conf, s->npp.all[i].node, "%s is in use on the network by %02x:%02x:%02x:%02x:%02x:%02x",
		       npp_addr_format(&s->npp.all[i].p.addr, text), mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return -EADDRINUSE;
}

/* Reads what came within MS; -EADDRINUSE if somebody has one of our addresses. */
static int listen_for(struct tap *t, struct settings *s, unsigned ms)
{
	union { struct arp_frame arp; uint8_t bytes[NPP_FRAME_MAX + sizeof(struct vnet_hdr)]; } buf;
	uint64_t end = loop_now_ms() + ms, now;
	ssize_t n;
	int i;

	while ((now = loop_now_ms()) < end) {
		struct pollfd p = { .fd = t->queue[0], .events = POLLIN };

		if (poll(&p, 1, (int)(end - now)) <= 0)
			continue;
		while ((n = read(t->queue[0], &buf, sizeof buf)) > 0 && loop_now_ms() < end) {
			i = conflict(t, s, &buf.arp, n);
			if (i >= 0)
				return report_conflict(s, (unsigned)i, buf.arp.sha);
		}
	}
	return 0;
}

int tap_probe(struct tap *t, struct settings *s, unsigned timeout_ms)
{
	uint64_t end = loop_now_ms() + timeout_ms;
	int r;

	while ((r = tap_carrier(t)) == 0) {
		struct pollfd p = { .fd = t->events, .events = POLLIN };

		if (loop_now_ms() >= end)
			return -ETIMEDOUT;
		poll(&p, 1, 20);
		tap_events_read(t);
	}
	if (r == 1)
		r = engine_verify(t, s);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < PROBES && s->npp.acd == ACD_PROBE; i++) {
		send_probes(t, s);
		r = listen_for(t, s, s->npp.acd_ms / PROBES);
		if (r < 0)
			return r;
	}
	return 0;
}
