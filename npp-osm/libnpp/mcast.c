/* SPDX-License-Identifier: GPL-2.0-or-later
 * mcast.c - multicast groups of datagram sockets
 *
 * What a socket has joined stands in its struct npp_udp, where all ISMs read it when the OSM tells
 * them of the socket again. A socket that is not bound yet keeps it in a page of its own until
 * then. The kernel part of a socket joins as well if it can (over loopback).
 *
 * With the kernel a group is joined when the call returns: what is sent then comes. Here the ISM with
 * the link role tells nppd, which tells the dispatcher, so the call waits until it can be seen that it has.
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "npp-osm/libnpp/priv.h"
#include "shm/lock.h"

#define LET_IN_US 200000	/* a call waits so long for a group to be let in */
#define LET_IN_NAP_US 50	/* at first */
#define LET_IN_NAP_MOST_US 2000

struct mc_wait { uint32_t n; struct npp_member m[NPP_SOCK_GROUPS]; };

enum op { OP_JOIN, OP_LEAVE, OP_JOIN_SOURCE, OP_LEAVE_SOURCE, OP_BLOCK, OP_UNBLOCK, OP_FILTER, OP_IF };
struct request {
	enum op op;
	union npp_addr group, source, iface;	/* iface any: not said, or by index */
	struct npp_member filter;		/* OP_FILTER */
};

/* ---- what the program says ------------------------------------------------------------------ */

static union npp_addr v4(const struct in_addr *a)
{
	return npp_addr_v4(a->s_addr);
}

static int from_sockaddr(const struct sockaddr_storage *ss, union npp_addr *out)
{
	if (ss->ss_family == AF_INET) {
		*out = v4(&((const struct sockaddr_in *)ss)->sin_addr);
	} else if (ss->ss_family == AF_INET6) {
		memcpy(out->b, &((const struct sockaddr_in6 *)ss)->sin6_addr, 16);
	} else {
		return -EINVAL;
	}
	return 0;
}

static int parse_mreq4(struct request *q, const void *val, socklen_t len)
{
	struct ip_mreqn n = { .imr_ifindex = 0 };

	if (len < sizeof(struct ip_mreq))
		return -EINVAL;
	memcpy(&n, val, len < sizeof n ? sizeof(struct ip_mreq) : sizeof n);
	q->group = v4(&n.imr_multiaddr);
	q->iface = v4(&n.imr_address);
	return 0;
}

static int parse_if4(struct request *q, const void *val, socklen_t len)
{
	struct in_addr a;

	if (len >= sizeof(struct ip_mreq))
		return parse_mreq4(q, val, len);
	if (len < sizeof a)
		return -EINVAL;
	memcpy(&a, val, sizeof a);
	q->iface = v4(&a);
	return 0;
}

static int parse_source4(struct request *q, const void *val, socklen_t len)
{
	struct ip_mreq_source s;

	if (len < sizeof s)
		return -EINVAL;
	memcpy(&s, val, sizeof s);
	q->group = v4(&s.imr_multiaddr);
	q->source = v4(&s.imr_sourceaddr);
	q->iface = v4(&s.imr_interface);
	return 0;
}

static int parse_mreq6(struct request *q, const void *val, socklen_t len)
{
	struct ipv6_mreq m;

	if (len < sizeof m)
		return -EINVAL;
	memcpy(&m, val, sizeof m);
	memcpy(q->group.b, &m.ipv6mr_multiaddr, 16);
	return 0;
}

static int parse_group(struct request *q, const void *val, socklen_t len)
{
	struct group_source_req r;
	size_t need = q->op == OP_JOIN || q->op == OP_LEAVE ? sizeof(struct group_req) : sizeof r;
	int err;

	if (len < need)
		return -EINVAL;
	memset(&r, 0, sizeof r);
	memcpy(&r, val, need); /* struct group_req is its beginning */
	err = from_sockaddr(&r.gsr_group, &q->group);
	return err || need < sizeof r ? err : from_sockaddr(&r.gsr_source, &q->source);
}

static int parse_filter4(struct request *q, const uint8_t *val, socklen_t len)
{
	struct ip_msfilter f;
	size_t head = offsetof(struct ip_msfilter, imsf_slist);

	if (len < head)
		return -EINVAL;
	memset(&f, 0, sizeof f);
	memcpy(&f, val, head);
	if (f.imsf_numsrc > NPP_SOCK_SOURCES)
		return -ENOBUFS;
	if (f.imsf_numsrc > (len - head) / 4)
		return -EINVAL;
	q->group = v4(&f.imsf_multiaddr);
	q->iface = v4(&f.imsf_interface);
	q->filter.exclude = f.imsf_fmode == MCAST_EXCLUDE;
	q->filter.n_sources = (uint8_t)f.imsf_numsrc;
	for (uint32_t i = 0; i < f.imsf_numsrc; i++) {
		struct in_addr a;

		memcpy(&a, val + head + 4 * i, sizeof a);
		q->filter.source[i] = v4(&a);
	}
	return 0;
}

static int parse_filter(struct request *q, const uint8_t *val, socklen_t len)
{
	struct group_filter f;
	size_t head = offsetof(struct group_filter, gf_slist);
	int err;

	if (len < head)
		return -EINVAL;
	memset(&f, 0, sizeof f);
	memcpy(&f, val, head);
	if (f.gf_numsrc > NPP_SOCK_SOURCES)
		return -ENOBUFS;
	if (f.gf_numsrc > (len - head) / sizeof(struct sockaddr_storage))
		return -EINVAL;
	err = from_sockaddr(&f.gf_group, &q->group);
	q->filter.exclude = f.gf_fmode == MCAST_EXCLUDE;
	q->filter.n_sources = (uint8_t)f.gf_numsrc;
	for (uint32_t i = 0; i < f.gf_numsrc && !err; i++) {
		struct sockaddr_storage ss;

		memcpy(&ss, val + head + i * sizeof ss, sizeof ss);
		err = from_sockaddr(&ss, &q->filter.source[i]);
	}
	return err;
}

static int parse4(struct request *q, int name, const void *val, socklen_t len)
{
	static const struct { int name; enum op op; } source[] = {
		{ IP_ADD_SOURCE_MEMBERSHIP, OP_JOIN_SOURCE }, { IP_DROP_SOURCE_MEMBERSHIP, OP_LEAVE_SOURCE },
		{ IP_BLOCK_SOURCE, OP_BLOCK }, { IP_UNBLOCK_SOURCE, OP_UNBLOCK },
	};

	if (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP) {
		q->op = name == IP_ADD_MEMBERSHIP ? OP_JOIN : OP_LEAVE;
		return parse_mreq4(q, val, len);
	}
	if (name == IP_MULTICAST_IF) {
		q->op = OP_IF;
		return parse_if4(q, val, len);
	}
	if (name == IP_MSFILTER) {
		q->op = OP_FILTER;
		return parse_filter4(q, val, len);
	}
	for (size_t i = 0; i < sizeof source / sizeof *source; i++)
		if (source[i].name == name) {
			q->op = source[i].op;
			return parse_source4(q, val, len);
		}
	return 1;
}

/* The forms of RFC 3678 that serve both families. */
static int parse_any(struct request *q, int name, const void *val, socklen_t len)
{
	static const struct { int name; enum op op; } group[] = {
		{ MCAST_JOIN_GROUP, OP_JOIN }, { MCAST_LEAVE_GROUP, OP_LEAVE },
		{ MCAST_JOIN_SOURCE_GROUP, OP_JOIN_SOURCE }, { MCAST_LEAVE_SOURCE_GROUP, OP_LEAVE_SOURCE },
		{ MCAST_BLOCK_SOURCE, OP_BLOCK }, { MCAST_UNBLOCK_SOURCE, OP_UNBLOCK },
	};

	if (name == MCAST_MSFILTER) {
		q->op = OP_FILTER;
		return parse_filter(q, val, len);
	}
	for (size_t i = 0; i < sizeof group / sizeof *group; i++)
		if (group[i].name == name) {
			q->op = group[i].op;
			return parse_group(q, val, len);
		}
	return 1;
}

/* 0; 1: no such option; -EINVAL, -ENOBUFS. */
static int parse(struct request *q, int level, int name, const void *val, socklen_t len)
{
	int r = level == IPPROTO_IP ? parse4(q, name, val, len) : 1;

	if (r == 1 && level == IPPROTO_IPV6 && (name == IPV6_JOIN_GROUP || name == IPV6_LEAVE_GROUP)) {
		q->op = name == IPV6_JOIN_GROUP ? OP_JOIN : OP_LEAVE;
		r = parse_mreq6(q, val, len);
	} else if (r == 1 && level == IPPROTO_IPV6 && name == IPV6_MULTICAST_IF) {
		q->op = OP_IF;
		r = len < sizeof(int) ? -EINVAL : 0;
	}
	return r == 1 && (level == IPPROTO_IP || level == IPPROTO_IPV6) ? parse_any(q, name, val, len) : r;
}

/* ---- lists ------------------------------------------------------------------------------------ */

static int source_at(const struct npp_member *m, const union npp_addr *a)
{
	for (unsigned i = 0; i < m->n_sources && i < NPP_SOCK_SOURCES; i++)
		if (npp_addr_eq(&m->source[i], a))
			return (int)i;
	return -1;
}

static int source_add(struct npp_member *m, const union npp_addr *a)
{
	if (source_at(m, a) >= 0)
		return -EADDRNOTAVAIL;
	if (m->n_sources >= NPP_SOCK_SOURCES)
		return -ENOBUFS;
	m->source[m->n_sources++] = *a;
	return 0;
}

static int source_drop(struct npp_member *m, const union npp_addr *a)
{
	int i = source_at(m, a);

	if (i < 0)
		return -EADDRNOTAVAIL;
	m->source[i] = m->source[--m->n_sources];
	m->source[m->n_sources] = (union npp_addr){ .q = { 0, 0 } };
	return 0;
}

static void member_drop(struct mc_wait *w, struct npp_member *m)
{
	*m = w->m[--w->n];
}

static int member_new(struct mc_wait *w, const struct npp_member *m)
{
	if (w->n == NPP_SOCK_GROUPS)
		return -ENOBUFS;
	w->m[w->n++] = *m;
	return 0;
}

/* Q on the list W, with Linux' answers. */
static int change(struct mc_wait *w, const struct request *q)
{
	struct npp_member *m = NULL, fresh = { .group = q->group };
	int r;

	for (uint32_t i = 0; i < w->n; i++)
		if (npp_addr_eq(&w->m[i].group, &q->group))
			m = &w->m[i];
	switch (q->op) {
	case OP_JOIN:
		fresh.exclude = 1;
		return m ? -EADDRINUSE : member_new(w, &fresh);
	case OP_JOIN_SOURCE:
		source_add(&fresh, &q->source);
		return !m ? member_new(w, &fresh) : m->exclude ? -EINVAL : source_add(m, &q->source);
	case OP_BLOCK:
		return !m || !m->exclude ? -EINVAL : source_add(m, &q->source);
	case OP_UNBLOCK:
		return !m || !m->exclude ? -EINVAL : source_drop(m, &q->source);
	case OP_LEAVE_SOURCE:
		if (!m || m->exclude)
			return m ? -EINVAL : -EADDRNOTAVAIL;
		r = source_drop(m, &q->source);
		if (r == 0 && m->n_sources == 0)
			member_drop(w, m);
		return r;
	case OP_LEAVE:
		if (!m)
			return -EADDRNOTAVAIL;
		member_drop(w, m);
		return 0;
	case OP_FILTER:
		if (!m)
			return -EINVAL;
		fresh = q->filter;
		fresh.group = q->group;
		*m = fresh;
		if (!fresh.exclude && !fresh.n_sources)
			member_drop(w, m);
		return 0;
	case OP_IF:
		break;
	}
	return 0;
}

/* ---- where the list stands ------------------------------------------------------------------------ */

static struct npp_udp *udp_of(const struct so *so)
{
	uint32_t off64 = so->sk ? *(const volatile uint32_t *)&so->sk->ext_off64 : 0;

	return off64 ? lib_at((uint64_t)off64 * 64, sizeof(struct npp_udp)) : NULL;
}

static void store(struct npp_udp *u, const struct mc_wait *w)
{
	/* Odd from here on; one that died while he wrote left it odd. */
	uint32_t seq = atomic_load_explicit(&u->member_seq, memory_order_relaxed) | 1;

	atomic_store_explicit(&u->member_seq, seq, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	memcpy(u->member, w->m, w->n * sizeof w->m[0]);
	*(volatile uint32_t *)&u->n_members = w->n;
	/* release: pairs with the acquire of ISMs */
	atomic_store_explicit(&u->member_seq, seq + 1, memory_order_release);
}

/* All ISMs hear of it before the call returns. */
static int tell(struct so *so)
{
	struct npp_ctl_bind q = { .sock = so->idx, .gen = so->gen, .pid = (int32_t)npp_lib.pid };
	int r = -EBUSY;

	for (int i = 0; i < 100 && r == -EBUSY; i++) { /* who shares the socket is telling something, too */
		r = lib_rpc(NPP_CTL_PEER, &q, sizeof q, NULL, 0, NULL);
		if (r == -EBUSY)
			lib_nap(2000);
	}
	return r;
}

static int change_bound(struct so *so, struct npp_udp *u, const struct request *q)
{
	struct mc_wait w;
	int r = ctx_self() ? sock_lock_take(&so->sk->rx_lock) : -ENOBUFS;

	if (r < 0)
		return r;
	w.n = *(volatile uint32_t *)&u->n_members;
	if (w.n > NPP_SOCK_GROUPS)
		w.n = 0;
	memcpy(w.m, u->member, w.n * sizeof w.m[0]);
	r = change(&w, q);
	if (r == 0)
		store(u, &w);
	sock_lock_drop(&so->sk->rx_lock);
	return r < 0 ? r : tell(so);
}

static int change_waiting(struct so *so, const struct request *q)
{
	int r;

	fd_lock();
	if (!so->mc_wait)
		so->mc_wait = lib_pages(sizeof *so->mc_wait);
	r = so->mc_wait ? change(so->mc_wait, q) : -ENOBUFS;
	fd_unlock();
	return r;
}

/* After bind(): what was joined before. Under fd_lock. */
int mcast_bound(struct so *so)
{
	struct npp_udp *u = so->mc_wait && so->mc_wait->n ? udp_of(so) : NULL;

	if (!u)
		return 0;
	store(u, so->mc_wait);
	mcast_forget(so);
	return tell(so);
}

void mcast_forget(struct so *so)
{
	if (so->mc_wait)
		lib_pages_free(so->mc_wait, sizeof *so->mc_wait);
	so->mc_wait = NULL;
}

/* IP_MULTICAST_ALL has changed. */
void mcast_tell(struct so *so)
{
	if (so->kind == SO_OURS && udp_of(so))
		tell(so);
}

/* ---- until it is let in --------------------------------------------------------------------------- */

/* Is GROUP among those that the dispatcher lets in? *SEQ changes whenever nppd has said something about that. */
static bool lets_in(const struct npp_global *g, const union npp_addr *group, uint32_t *seq)
{
	bool found = false;
	uint32_t n;

	/* acquire: pairs with nppd's release of an even number */
	*seq = atomic_load_explicit(&g->group_seq, memory_order_acquire);
	n = *(const volatile uint32_t *)&g->groups.n;
	for (uint32_t i = 0; i < n && i < NPP_MAX_GROUPS && !found; i++)
		found = npp_addr_eq(&g->groups.addr[i], group);
	atomic_thread_fence(memory_order_acquire);
	return found && !(*seq & 1) && atomic_load_explicit(&g->group_seq, memory_order_relaxed) == *seq;
}

/* Until the NPP of attachment A lets GROUP in, or END. It may not want to, for it has too many already, or its nppd is
 * stopped: who has waited in vain once does not again until nppd has said something. */
static void wait_let_in(uint32_t a, const union npp_addr *group, uint64_t end)
{
	struct attachment *at = &npp_lib.att[a];
	uint32_t nap = LET_IN_NAP_US, seq;

	/* acquire: pairs with the release in map_attach() */
	while (atomic_load_explicit(&at->mapped, memory_order_acquire) && lib_current(a) &&
	       atomic_load_explicit(&at->global->iop_up, memory_order_relaxed)) {
		if (lets_in(at->global, group, &seq) || seq + 1 == atomic_load_explicit(&at->groups_vain, memory_order_relaxed))
			return;
		if (lib_now_us() >= end) {
			atomic_store_explicit(&at->groups_vain, seq + 1, memory_order_relaxed);
			return;
		}
		lib_nap(nap); /* a signal is no reason to give up */
		nap = nap < LET_IN_NAP_MOST_US ? 2 * nap : nap;
	}
}

/* GROUP was joined, and all ISMs know it. Their NPPs may all hear it. */
static void let_in(const union npp_addr *group, uint64_t end)
{
	for (uint32_t a = 0; a < NPP_MAX_ATTACH; a++)
		wait_let_in(a, group, end);
}

/* After what was joined before it had a port: not under fd_lock, since it may take as long as joining. */
void mcast_let_in(struct so *so)
{
	struct npp_udp *u = so->dgram && so->kind == SO_OURS ? udp_of(so) : NULL;
	uint32_t n = u ? *(volatile uint32_t *)&u->n_members : 0;
	uint64_t end = n ? lib_now_us() + LET_IN_US : 0;

	for (uint32_t i = 0; i < n && i < NPP_SOCK_GROUPS; i++) {
		union npp_addr group = u->member[i].group;

		let_in(&group, end);
	}
}

static bool is_loopback(const union npp_addr *a)
{
	return npp_addr_is_v4(a) && a->b[12] == 127;
}

/**
 * mcast_set() - setsockopt() with an option about groups
 *
 * Return: 0 or -errno; 1: it is none, or speaks of an interface of the kernel's
 */
int mcast_set(struct so *so, int fd, int level, int name, const void *val, socklen_t len)
{
	struct request q = { .iface = { .q = { 0, 0 } } };
	union npp_addr src;
	struct npp_udp *u;
	int r;

	if (!so->dgram || !val)
		return 1;
	r = parse(&q, level, name, val, len);
	if (r != 0)
		return r;
	if (is_loopback(&q.iface) || !lib_refresh())
		return 1;
	if (!npp_addr_is_any(&q.iface) && !sock_is_ours_addr(&q.iface))
		return so->kind == SO_OURS && !so->kpart ? -EADDRNOTAVAIL : 1;
	if (q.op == OP_IF)
		return 0; /* there is one port */
	if (!npp_addr_is_multicast(&q.group))
		return -EINVAL;
	if (sock_route(&q.group, &src) < 0)
		return 1;
	u = so->kind == SO_OURS ? udp_of(so) : NULL;
	r = u ? change_bound(so, u, &q) : change_waiting(so, &q);
	if (r == 0 && u && (q.op == OP_JOIN || q.op == OP_JOIN_SOURCE))
		let_in(&q.group, lib_now_us() + LET_IN_US);
	if (r == 0 && (so->kind == SO_KERNEL_YET || so->kpart) && npp_addr_is_any(&q.iface)) {
		int saved = errno;

		R->setsockopt(fd, level, name, val, len); /* over loopback, if it has a route there */
		errno = saved;
	}
	return r;
}
