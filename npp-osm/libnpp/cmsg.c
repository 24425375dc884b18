/* SPDX-License-Identifier: GPL-2.0-or-later
 * cmsg.c - control messages of datagram sockets: what comes beside a datagram, and what a program
 *          says beside one
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <time.h>
/* needs <time.h> */
#include <linux/errqueue.h>

#include "npp-osm/libnpp/priv.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif
#define IFINDEX 1	/* one port: one link. 1 is a valid index in every namespace */

/* ---- received ------------------------------------------------------------------------------- */

struct out { uint8_t *at; size_t left, used; bool cut; };

static void put(struct out *o, int level, int type, const void *data, size_t len)
{
	struct cmsghdr h = { .cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type };
	size_t space = CMSG_SPACE(len);

	if (o->left < CMSG_LEN(len)) {
		o->cut = true;
		return;
	}
	if (space > o->left)
		space = o->left;
	memcpy(o->at, &h, sizeof h);
	memcpy(o->at + CMSG_LEN(0), data, len);
	o->at += space;
	o->left -= space;
	o->used += space;
}

static void put_local(struct out *o, bool six, const union npp_addr *local)
{
	struct in_pktinfo p4 = { .ipi_ifindex = IFINDEX };
	struct in6_pktinfo p6 = { .ipi6_ifindex = IFINDEX };

	if (six) {
		memcpy(&p6.ipi6_addr, local->b, 16);
		put(o, IPPROTO_IPV6, IPV6_PKTINFO, &p6, sizeof p6);
	} else {
		p4.ipi_addr.s_addr = p4.ipi_spec_dst.s_addr = npp_addr_get_v4(local);
		put(o, IPPROTO_IP, IP_PKTINFO, &p4, sizeof p4);
	}
}

/**
 * cmsg_received() - what the socket's options ask for beside the datagram D
 * @local: the address it was sent to, if d->flags says that it is known
 *
 * As on Linux the options of IPv4 are for datagrams of IPv4, also on a socket of IPv6, whose own are for those of
 * IPv6; but that IPV6_RECVPKTINFO is for both.
 */
void cmsg_received(const struct so *so, struct msghdr *mh, const struct npp_dgram *d, const union npp_addr *local)
{
	uint32_t opt = atomic_load_explicit(&so->sk->opt_flags, memory_order_relaxed);
	struct out o = { .at = mh->msg_control, .left = mh->msg_control ? mh->msg_controllen : 0 };
	bool six = so->domain == AF_INET6, four = npp_addr_is_v4(&d->addr);
	int v;

	mh->msg_controllen = 0;
	if (!(opt & (NPP_OPT_PKTINFO | NPP_OPT_RECVTTL | NPP_OPT_RECVTOS | NPP_OPT_PKTINFO4 | NPP_OPT_RECVTTL4 | NPP_OPT_RECVTOS4 |
		     NPP_OPT_GRO)))
		return;
	if ((opt & NPP_OPT_GRO) && NPP_DGRAM_SEG(d->flags)) {
		v = (int)NPP_DGRAM_SEG(d->flags);
		put(&o, IPPROTO_UDP, UDP_GRO, &v, sizeof v);
	}
	if (six && (opt & NPP_OPT_PKTINFO) && (d->flags & NPP_DGRAM_LOCAL))
		put_local(&o, true, local);
	if (four && (opt & NPP_OPT_PKTINFO4) && (d->flags & NPP_DGRAM_LOCAL))
		put_local(&o, false, local);
	v = d->ttl;
	if (opt & (four ? NPP_OPT_RECVTTL4 : NPP_OPT_RECVTTL))
		put(&o, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_TTL : IPV6_HOPLIMIT, &v, sizeof v);
	v = d->tos;
	if (opt & (four ? NPP_OPT_RECVTOS4 : NPP_OPT_RECVTOS))
		put(&o, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_TOS : IPV6_TCLASS, &v, four ? 1 : sizeof v);
	mh->msg_controllen = o.used;
	if (o.cut)
		mh->msg_flags |= MSG_CTRUNC;
}

/* The error of the socket, as MSG_ERRQUEUE gives it; what was sent is not kept. -EAGAIN: none. */
ssize_t cmsg_error(struct so *so, struct msghdr *mh)
{
	bool six = so->domain == AF_INET6;
	struct { struct sock_extended_err e; struct sockaddr_in6 from; } x;
	struct out o = { .at = mh->msg_control, .left = mh->msg_control ? mh->msg_controllen : 0 };
	int err = sock_error(so);
	const struct npp_udp_brief d = *(volatile struct npp_udp_brief *)&so->sk->dgram;

	if (!err)
		return -EAGAIN;
	memset(&x, 0, sizeof x);
	x.e.ee_errno = (uint32_t)err;
	x.e.ee_origin = !d.ee_type ? SO_EE_ORIGIN_LOCAL : six ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP;
	x.e.ee_info = err == EMSGSIZE ? d.ee_info : 0;
	x.e.ee_type = d.ee_type;
	x.e.ee_code = d.ee_code;
	x.from.sin6_family = AF_UNSPEC;
	put(&o, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVERR : IP_RECVERR, &x,
	    sizeof x.e + (six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)));
	addr_out(so, d.ee_port ? &d.ee_addr : &so->sk->raddr, d.ee_port ? d.ee_port : so->sk->rport, sock_ifno(so->sk), mh->msg_name, &mh->msg_namelen);
	mh->msg_controllen = o.used;
	mh->msg_flags = MSG_ERRQUEUE | (o.cut ? MSG_CTRUNC : 0);
	return 0;
}

/* ---- sent ------------------------------------------------------------------------------------------ */

static int take_int(const struct cmsghdr *c, int *v)
{
	size_t len = c->cmsg_len - CMSG_LEN(0);

	*v = 0;
	if (len >= sizeof *v)
		memcpy(v, CMSG_DATA(c), sizeof *v);
	else if (len >= 1)
		*v = *(const uint8_t *)CMSG_DATA(c);
	else
		return -EINVAL;
	return 0;
}

static int take_source(const struct cmsghdr *c, struct npp_dgram *d, union npp_addr *src)
{
	struct in_pktinfo p4;
	struct in6_pktinfo p6;

	if (c->cmsg_level == IPPROTO_IP) {
		if (c->cmsg_len < CMSG_LEN(sizeof p4))
			return -EINVAL;
		memcpy(&p4, CMSG_DATA(c), sizeof p4);
		*src = npp_addr_v4(p4.ipi_spec_dst.s_addr);
	} else {
		if (c->cmsg_len < CMSG_LEN(sizeof p6))
			return -EINVAL;
		memcpy(&p6, CMSG_DATA(c), sizeof p6);
		memcpy(src->b, &p6.ipi6_addr, 16);
	}
	/* A group is what an answer to a datagram to it would say: the route picks the source then. */
	if (!npp_addr_is_any(src) && !npp_addr_is_multicast(src))
		d->flags |= NPP_DGRAM_LOCAL;
	return 0;
}

static int take_one(const struct cmsghdr *c, struct npp_dgram *d, union npp_addr *src)
{
	bool four = c->cmsg_level == IPPROTO_IP, six = c->cmsg_level == IPPROTO_IPV6;
	int v, r;

	if ((four && c->cmsg_type == IP_PKTINFO) || (six && c->cmsg_type == IPV6_PKTINFO))
		return take_source(c, d, src);
	if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT) {
		uint16_t size;

		if (c->cmsg_len != CMSG_LEN(sizeof size))
			return -EINVAL;
		memcpy(&size, CMSG_DATA(c), sizeof size);
		d->flags = (d->flags & 0xffff) | NPP_DGRAM_SEG_FLAGS(size);
		return 0;
	}
	if (!four && !six)
		return c->cmsg_level == SOL_SOCKET ? 0 : -EINVAL;
	r = take_int(c, &v);
	if (r == 0 && ((four && c->cmsg_type == IP_TTL) || (six && c->cmsg_type == IPV6_HOPLIMIT)) && v > 0 && v < 256)
		d->ttl = (uint8_t)v;
	else if (r == 0 && ((four && c->cmsg_type == IP_TOS) || (six && c->cmsg_type == IPV6_TCLASS)) && v >= 0)
		d->tos = (uint8_t)v;
	else
		return -EINVAL;
	return 0;
}

/* What MH says about the datagram that is sent with it: into D, and SRC if D says so. */
int cmsg_sent(const struct msghdr *mh, struct npp_dgram *d, union npp_addr *src)
{
	struct msghdr copy = *mh;
	int r = 0;

	if (!mh->msg_control || !mh->msg_controllen)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&copy); c && r == 0; c = CMSG_NXTHDR(&copy, c))
		r = c->cmsg_len < CMSG_LEN(0) ? -EINVAL : take_one(c, d, src);
	return r;
}
