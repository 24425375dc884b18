/* SPDX-License-Identifier: GPL-2.0-or-later
 * sock.c - socket records: made, named, given up
 *
 * A record belongs to the program from the claim (owner 0 -> context + 1) until the
 * last descriptor anywhere is closed. Who frees it then depends on who else knows it:
 * an ISM (it was connected or accepted): CLOSE by message; the OSM (listeners and
 * datagram sockets): CLOSE by request; nobody: we do it here.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"

#define LINGER_ANEW_US 60000000

uint32_t sock_fl(const struct so *so)
{
	return atomic_load_explicit(&so->sk->fl, memory_order_relaxed);
}

bool sock_alive(const struct so *so)
{
	return so->sk && atomic_load_explicit(&so->sk->gen, memory_order_acquire) == so->gen;
}

/* ---- addresses ------------------------------------------------------------------- */

/* 0, or -EAFNOSUPPORT (an address that can only be the kernel's), -EINVAL. */
int addr_in(const struct sockaddr *sa, socklen_t len, union npp_addr *addr, uint16_t *port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (!sa || len < sizeof sa->sa_family)
		return -EINVAL;
	if (sa->sa_family == AF_INET) {
		if (len < sizeof in)
			return -EINVAL;
		memcpy(&in, sa, sizeof in);
		*addr = npp_addr_v4(in.sin_addr.s_addr);
		*port = ntohs(in.sin_port);
		return 0;
	}
	if (sa->sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	if (len < offsetof(struct sockaddr_in6, sin6_scope_id))
		return -EINVAL;
	memset(&in6, 0, sizeof in6);
	memcpy(&in6, sa, len < sizeof in6 ? len : sizeof in6);
	memcpy(addr->b, &in6.sin6_addr, 16);
	*port = ntohs(in6.sin6_port);
	return 0;
}

/* 0, or what Linux says of an address that is not of the family of SO, or cut short. */
int addr_check(const struct so *so, const struct sockaddr *sa, socklen_t len)
{
	if (!sa || len < (so->domain == AF_INET6 ? offsetof(struct sockaddr_in6, sin6_scope_id) : sizeof(struct sockaddr_in)))
		return -EINVAL;
	return sa->sa_family == so->domain ? 0 : -EAFNOSUPPORT;
}

static bool link_local(const union npp_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

uint32_t addr_scope(const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_in6 in6;
	union npp_addr a;

	if (len < sizeof in6 || sa->sa_family != AF_INET6)
		return 0;
	memcpy(&in6, sa, sizeof in6);
	memcpy(a.b, &in6.sin6_addr, 16);
	return link_local(&a) && in6.sin6_scope_id <= NPP_MAX_PORTS ? in6.sin6_scope_id : 0;
}

void addr_out(const struct so *so, const union npp_addr *addr, uint16_t port, uint32_t ifno, struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const void *from = &in;
	socklen_t n = sizeof in;

	if (!sa || !len)
		return;
	if (so->domain == AF_INET6) {
		if (!npp_addr_is_any(addr))
			memcpy(&in6.sin6_addr, addr->b, 16);
		if (link_local(addr)) /* a port is a link. 1 is a valid index in every namespace */
			in6.sin6_scope_id = 1 + ifno % NPP_MAX_PORTS;
		from = &in6;
		n = sizeof in6;
	} else {
		in.sin_addr.s_addr = npp_addr_is_v4(addr) ? npp_addr_get_v4(addr) : 0;
	}
	memcpy(sa, from, *len < n ? *len : n);
	*len = n;
}

/* ---- routes ------------------------------------------------------------------------- */

/* Copies what the seqlock `net_seq` of G protects through FN until it held still. */
struct route_pick {
	const union npp_addr *dst;
	int prefix;		/* -1: none */
	bool up;		/* by a port that has a carrier */
	union npp_addr src;
	bool own, bcast;
	uint32_t mtu;		/* of the link there, as far as nppd has said */
	unsigned src_score;
};

/* Is A, ON_LINK or not, a better source than the one found so far? The ISM's choice is the same
 * in spirit; it matters only for what is bound to no address. */
static void offer_source(struct route_pick *p, const struct npp_if_addr *a, bool on_link)
{
	unsigned score = 1 + (a->port == NPP_PORT_ANY ? 1 : 0) + (on_link ? 2 : 0) +
			 (link_local(&a->addr) == link_local(p->dst) ? 4 : 0);

	if (score <= p->src_score)
		return;
	p->src_score = score;
	p->src = a->addr;
}

static bool port_up(const struct npp_global *g, uint32_t port)
{
	return atomic_load_explicit(&g->port[port].up, memory_order_relaxed);
}

/* PORT may be NPP_PORT_ANY. */
static bool way_up(const struct npp_global *g, uint8_t port)
{
	uint32_t n = g->n_ports < NPP_MAX_PORTS ? g->n_ports : NPP_MAX_PORTS;
	bool up = false;

	if (port < n)
		return port_up(g, port);
	for (uint32_t i = 0; i < n; i++)
		up |= port_up(g, i);
	return up;
}

/* PORT may be NPP_PORT_ANY: the largest of all, the ISM decides. */
static uint32_t link_mtu(const struct npp_global *g, uint8_t port)
{
	uint32_t n = g->n_ports < NPP_MAX_PORTS ? g->n_ports : NPP_MAX_PORTS, most = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t mtu = g->port[i].mtu;

		if ((port >= n || i == port) && mtu > most)
			most = mtu;
	}
	return most >= 68 ? most : 1500; /* as the stack has it */
}

/* Of two ways one by a port without a carrier is none. MTU: of the route, 0: that of the port. */
static void offer_way(const struct npp_global *g, struct route_pick *p, int prefix, uint8_t port, uint32_t mtu)
{
	bool up = way_up(g, port);

	if (p->prefix >= 0 && (up != p->up ? p->up : prefix <= p->prefix))
		return;
	p->prefix = prefix;
	p->up = up;
	p->mtu = mtu ? mtu : link_mtu(g, port);
}

/* Is it the last address of the network that A is in? */
static bool directed_broadcast(const struct npp_if_addr *a, const union npp_addr *dst)
{
	return npp_addr_is_v4(dst) && a->prefix_len < 127 &&
	       (ntohl(npp_addr_get_v4(dst)) | ~0u << (128 - a->prefix_len)) == ~0u;
}

static bool pick_route(const struct npp_global *g, struct route_pick *p)
{
	uint32_t seq = atomic_load_explicit(&g->net_seq, memory_order_acquire);
	uint32_t n_routes = g->n_routes, n_addrs = g->n_addrs;

	if (seq & 1)
		return false;
	p->prefix = -1;
	p->own = false;
	p->bcast = npp_addr_is_v4(p->dst) && npp_addr_get_v4(p->dst) == INADDR_BROADCAST;
	p->src_score = 0;
	for (uint32_t i = 0; i < n_routes && i < NPP_MAX_ROUTES; i++) {
		const struct npp_route *rt = &g->route[i];

		if (rt->prefix_len <= 128 && npp_addr_in_prefix(p->dst, &rt->dst, rt->prefix_len))
			offer_way(g, p, rt->prefix_len, rt->port, rt->mtu);
	}
	for (uint32_t i = 0; i < n_addrs && i < NPP_MAX_IF_ADDRS; i++) {
		const struct npp_if_addr *a = &g->addr[i];
		bool on_link = a->prefix_len <= 128 && npp_addr_in_prefix(p->dst, &a->addr, a->prefix_len);

		if (npp_addr_is_v4(&a->addr) != npp_addr_is_v4(p->dst))
			continue;
		p->own |= npp_addr_eq(&a->addr, p->dst);
		if (on_link) { /* a connected network is a route, too */
			offer_way(g, p, a->prefix_len, a->port, 0);
			p->bcast |= directed_broadcast(a, p->dst);
		}
		offer_source(p, a, on_link);
	}
	if (p->prefix < 0 && p->src_score && (npp_addr_is_multicast(p->dst) || p->bcast))
		offer_way(g, p, 0, NPP_PORT_ANY, 0); /* groups need no route */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&g->net_seq, memory_order_relaxed) == seq;
}

static bool ask_route(const struct npp_global *g, struct route_pick *p)
{
	for (int tries = 0; tries < 1000; tries++)
		if (pick_route(g, p))
			return true;
	return false;
}

static bool is_loopback(const union npp_addr *a)
{
	static const union npp_addr one = { .b = { [15] = 1 } };

	return npp_addr_is_v4(a) ? a->b[12] == 127 : npp_addr_eq(a, &one);
}

/* What a socket that is bound to no address has as its own: the wildcard of its family. */
union npp_addr sock_any(const struct so *so)
{
	return so->domain == AF_INET6 ? (union npp_addr){ .q = { 0, 0 } } : npp_addr_v4(0);
}

uint32_t sock_opt_flags(const struct so *so)
{
	return so->sk ? atomic_load_explicit(&so->sk->opt_flags, memory_order_relaxed) : so->opt.flags;
}

bool sock_v6only(const struct so *so)
{
	return so->domain == AF_INET6 && (sock_opt_flags(so) & NPP_OPT_V6ONLY);
}

int sock_route(const union npp_addr *addr, union npp_addr *src)
{
	struct sock_way way;
	int att = sock_ask_way(addr, &way);

	if (att >= 0)
		*src = way.src;
	return att;
}

int sock_ask_way(const union npp_addr *addr, struct sock_way *way)
{
	int best = -1, prefix = -1;
	bool best_up = false;

	if (npp_addr_is_any(addr) || is_loopback(addr) || !lib_refresh())
		return -1;
	for (int a = 0; a < NPP_MAX_ATTACH; a++) {
		struct route_pick p = { .dst = addr };
		bool up;

		if (!atomic_load_explicit(&npp_lib.att[a].mapped, memory_order_acquire) ||
		    !ask_route(npp_lib.att[a].global, &p))
			continue;
		if (p.own)
			p.prefix = 129;
		up = p.own || p.up;
		if (best < 0 || (up && !best_up) || (up == best_up && p.prefix > prefix)) {
			if (p.prefix < 0)
				continue;
			prefix = p.prefix;
			best = a;
			best_up = up;
			*way = (struct sock_way){ .src = p.own ? *addr : p.src, .mtu = p.own ? 65535 : p.mtu,
						  .bcast = p.bcast && !p.own };
		}
	}
	if (best >= 0 && prefix < 129 && kaddr_is_local(addr))
		return -1;
	return best;
}

bool sock_is_ours_addr(const union npp_addr *addr)
{
	if (!lib_refresh())
		return false;
	for (int a = 0; a < NPP_MAX_ATTACH; a++) {
		struct route_pick p = { .dst = addr };

		if (atomic_load_explicit(&npp_lib.att[a].mapped, memory_order_acquire) &&
		    ask_route(npp_lib.att[a].global, &p) && p.own)
			return true;
	}
	return false;
}

int sock_pick_iop(int att)
{
	uint32_t up, n, turn;

	if (att < 0 || !atomic_load_explicit(&npp_lib.att[att].mapped, memory_order_acquire))
		return -ENETUNREACH;
	n = npp_lib.att[att].n_iops;
	up = atomic_load_explicit(&npp_lib.host->attach[att].iop_up, memory_order_acquire);
	turn = atomic_fetch_add_explicit(&npp_lib.host->next_iop, 1, memory_order_relaxed);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t iop = (turn + i) % n;

		if (up >> iop & 1)
			return (int)((uint32_t)att * NPP_MAX_IOPS + iop);
	}
	return -ENETUNREACH;
}

/* ---- records --------------------------------------------------------------------------- */

static void record_clear(struct npp_sock *sk)
{
	size_t from = offsetof(struct npp_sock, type);

	memset((uint8_t *)sk + from, 0, sizeof *sk - from);
	atomic_store_explicit(&sk->ism_handle, NO_HANDLE, memory_order_relaxed);
}

struct npp_sock *sock_claim(struct lctx *c, uint32_t *idx)
{
	uint32_t n = npp_lib.sock_prog_count;
	uint32_t at = atomic_load_explicit(&npp_lib.claim_next, memory_order_relaxed);

	if (unlikely(at == 0)) /* processes begin at different places */
		at = (uint32_t)npp_lib.pid * 2654435761u % (n ? n : 1);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = (at + i) % n + 1, free = 0;
		struct npp_sock *sk = &npp_lib.sock[k];

		if (atomic_load_explicit(&sk->owner, memory_order_relaxed) == 0 &&
		    /* acquire: pairs with the release of whoever freed it */
		    atomic_compare_exchange_strong_explicit(&sk->owner, &free, c->no + 1, memory_order_acquire,
							    memory_order_relaxed)) {
			atomic_store_explicit(&npp_lib.claim_next, k, memory_order_relaxed);
			record_clear(sk);
			*idx = k;
			return sk;
		}
	}
	lib_say(ONCE_NO_REC, "no socket record left on this host");
	return NULL;
}

void sock_unclaim(struct npp_sock *sk)
{
	atomic_fetch_add_explicit(&sk->gen, 1, memory_order_release);
	/* release: pairs with the acquire in sock_claim() */
	atomic_store_explicit(&sk->owner, 0, memory_order_release);
}

static void copy_options(const struct so_opts *o, struct npp_sock *sk)
{
#define PUT(field, from) atomic_store_explicit(&sk->field, o->from, memory_order_relaxed)
	PUT(opt_flags, flags);
	PUT(rcvbuf, rcvbuf);
	PUT(sndbuf, sndbuf);
	PUT(linger, linger);
	PUT(keep, keep);
	PUT(tries, tries);
	PUT(user_timeout_ms, user_timeout_ms);
	PUT(manner, manner);
	PUT(rcvlowat, rcvlowat);
	PUT(rcvtimeo_ms, rcvtimeo_ms);
	PUT(sndtimeo_ms, sndtimeo_ms);
	PUT(notsent_lowat, notsent_lowat);
	PUT(win_clamp, win_clamp);
	PUT(max_pace, max_pace);
	PUT(fastopen, fastopen);
	PUT(mc_hops, mc_hops);
	PUT(udp_segment, udp_segment);
#undef PUT
}

/**
 * sock_make() - give a kernel socket that becomes ours its record
 * @fd: one of its descriptors, for its file status flags
 *
 * Under fd_lock. The descriptors of the object in this process get their words.
 * Return: 0 or -errno
 */
int sock_make(struct so *so, int fd)
{
	struct lctx *c = ctx_self();
	struct npp_sock *sk;
	uint32_t idx;
	int fl, r;

	if (!c)
		return -ENOBUFS;
	if (so->sk)
		return 0;
	fl = R->fcntl(fd, F_GETFL);
	sk = sock_claim(c, &idx);
	if (!sk)
		return -ENOBUFS;
	sk->type = so->dgram ? NPP_SOCK_DGRAM : NPP_SOCK_STREAM;
	sk->family = so->domain == AF_INET6 ? 6 : 4;
	copy_options(&so->opt, sk);
	atomic_store_explicit(&sk->fl, (fl > 0 && fl & O_NONBLOCK ? NPP_FL_NONBLOCK : 0) |
					       (so->domain == AF_INET6 ? NPP_FL_API6 : 0), memory_order_relaxed);
	so->idx = idx;
	so->gen = atomic_load_explicit(&sk->gen, memory_order_relaxed);
	so->sk = sk;
	for (int i = 0, left = (int)so->nfds; i < FD_MAX && left > 0; i++) {
		if (so->nfds == 1)
			i = fd;
		if (fd_get(i) != so)
			continue;
		left--;
		r = fd_word_set(i, so);
		if (r < 0) {
			so->sk = NULL;
			sock_unclaim(sk);
			return r;
		}
	}
	so->kpart = 1;
	urg_owner_adopt(so, fd);
	atomic_store_explicit(&so->kind, SO_OURS, memory_order_release);
	return 0;
}

/* What the OSM knows of a socket by BIND or LISTEN. */
int sock_bind_rpc(struct so *so, uint16_t rpc, uint32_t backlog)
{
	struct npp_sock *sk = so->sk;
	uint32_t opt = atomic_load_explicit(&sk->opt_flags, memory_order_relaxed);
	struct npp_ctl_bind q = {
		.sock = so->idx, .gen = so->gen, .backlog = backlog, .pid = (int32_t)npp_lib.pid,
		.addr = sk->laddr, .port = sk->lport, .proto = so->dgram ? IPPROTO_UDP : IPPROTO_TCP,
		.reuse = (uint8_t)((opt & NPP_OPT_REUSEPORT ? 1 : 0) | (opt & NPP_OPT_REUSEADDR ? 2 : 0) |
				   (sock_v6only(so) ? 4 : 0)),
	}, a;
	int r = lib_rpc(rpc, &q, sizeof q, &a, sizeof a, NULL);

	if (r == 0 && rpc == NPP_CTL_BIND) {
		if (a.port == 0)
			return -EPROTO;
		sk->lport = a.port;
	}
	return r;
}

/* CLOSE of a listener or datagram socket: the OSM frees the record in time. */
void sock_close_rpc(struct so *so)
{
	struct npp_ctl_bind q = { .sock = so->idx, .gen = so->gen, .pid = (int32_t)npp_lib.pid };

	lib_rpc(NPP_CTL_CLOSE, &q, sizeof q, NULL, 0, NULL);
}

/* Nobody but us ever knew the record, or only the OSM by its port. */
static void drop_unused(struct so *so)
{
	if (sock_fl(so) & NPP_FL_BOUND)
		sock_bind_rpc(so, NPP_CTL_UNBIND, 0);
	sock_unclaim(so->sk);
}

/* What a process waits for by the word of records alone: so long a minute in all. SINCE: of this wait. */
static bool linger_share(uint64_t *since)
{
	uint64_t now = lib_now_us();

	if (now - atomic_load_explicit(&npp_lib.lingers_us, memory_order_relaxed) > LINGER_ANEW_US) {
		atomic_store_explicit(&npp_lib.lingers_us, now, memory_order_relaxed);
		atomic_store_explicit(&npp_lib.lingered_us, 0, memory_order_relaxed);
	}
	if (*since)
		atomic_fetch_add_explicit(&npp_lib.lingered_us, (uint32_t)(now - *since), memory_order_relaxed);
	*since = now;
	return atomic_load_explicit(&npp_lib.lingered_us, memory_order_relaxed) < npp_lib.linger_most_us;
}

/* SO_LINGER with a time: wait until everything is acknowledged. OWN seconds were set by this process;
 * another may have set the rest up to ASKED, or an ISM that lies. */
static void linger(struct so *so, uint32_t own, uint32_t asked)
{
	uint64_t begin = lib_now_us(), since = 0;

	while (sock_alive(so)) {
		uint32_t st = atomic_load_explicit(&so->sk->tcp_state, memory_order_acquire);
		uint64_t waited = lib_now_us() - begin;

		if (st == TCP_ST_CLOSED || st == TCP_ST_FIN_WAIT_2 || st == TCP_ST_TIME_WAIT)
			return;
		if (waited >= own * 1000000ull && (waited >= asked * 1000000ull || !linger_share(&since)))
			return;
		if (!lib_nap(1000))
			return;
	}
}

static void drop_stream(struct so *so)
{
	struct npp_sock *sk = so->sk;
	uint32_t head = atomic_load_explicit(&sk->rx_head, memory_order_acquire);
	uint32_t unread = head - atomic_load_explicit(&sk->rx_tail, memory_order_relaxed);
	uint32_t lg = atomic_load_explicit(&sk->linger, memory_order_relaxed);
	uint8_t flags = unread || lg == 1 ? NPP_CLOSE_ABORT : 0;

	if (sock_post(so, NPP_MSG_CLOSE, flags, atomic_load_explicit(&sk->tx_head, memory_order_relaxed)) < 0)
		return; /* no ISM there: the OSM reaps the record with our context */
	if (lg > 1 && !flags)
		linger(so, so->opt.linger ? (so->opt.linger < lg ? so->opt.linger : lg) - 1 : 0, lg - 1);
}

/**
 * sock_drop() - the last descriptor anywhere was closed
 * @tell: false if the record never reached anybody else
 */
void sock_drop(struct so *so, bool tell)
{
	struct npp_sock *sk = so->sk;
	bool session = atomic_load_explicit(&sk->owner, memory_order_relaxed) >= 0x10000 ||
		       sock_fl(so) & NPP_FL_CONNECTING ||
		       atomic_load_explicit(&sk->ism_handle, memory_order_relaxed) != NO_HANDLE;

	if (!sock_alive(so))
		return;
	if (sk->type == NPP_SOCK_LISTENER || (sk->type == NPP_SOCK_DGRAM && sock_fl(so) & NPP_FL_BOUND))
		sock_close_rpc(so);
	else if (sk->type == NPP_SOCK_STREAM && session && tell)
		drop_stream(so);
	else
		drop_unused(so);
}

/* ---- kernel sockets ------------------------------------------------------------------------ */

static int int_opt(int fd, int level, int name)
{
	int v = 0;
	socklen_t len = sizeof v;

	return R->getsockopt(fd, level, name, &v, &len) == 0 ? v : 0;
}

/* It has a default of its own (net.ipv6.bindv6only). */
void sock_ask_v6only(struct so *so, int fd)
{
	if (so->domain != AF_INET6)
		return;
	if (int_opt(fd, IPPROTO_IPV6, IPV6_V6ONLY))
		so->opt.flags |= NPP_OPT_V6ONLY;
	else
		so->opt.flags &= ~NPP_OPT_V6ONLY;
}

static void query_options(int fd, struct so *so)
{
	static const struct { int level, name; uint32_t bit; } flag[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, NPP_OPT_KEEPALIVE }, { SOL_SOCKET, SO_REUSEADDR, NPP_OPT_REUSEADDR },
		{ SOL_SOCKET, SO_REUSEPORT, NPP_OPT_REUSEPORT }, { SOL_SOCKET, SO_BROADCAST, NPP_OPT_BROADCAST },
		{ SOL_SOCKET, SO_OOBINLINE, NPP_OPT_OOBINLINE },
		{ IPPROTO_TCP, TCP_NODELAY, NPP_OPT_NODELAY }, { IPPROTO_TCP, TCP_CORK, NPP_OPT_CORK },
		{ IPPROTO_UDP, UDP_CORK, NPP_OPT_CORK },
	};

	for (size_t i = 0; i < sizeof flag / sizeof *flag; i++)
		if (int_opt(fd, flag[i].level, flag[i].name))
			so->opt.flags |= flag[i].bit;
	sock_ask_v6only(so, fd);
}

/* A kernel socket that socket() did not show us: it came through exec or from outside.
 * NULL: it is not one that could be ours. */
struct so *sock_adopt(int fd, int domain)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	int type = int_opt(fd, SOL_SOCKET, SO_TYPE);
	struct so *so = fd_get(fd);

	if (so)
		return so;
	if (int_opt(fd, SOL_SOCKET, SO_DOMAIN) != domain || (type != SOCK_STREAM && type != SOCK_DGRAM) ||
	    int_opt(fd, SOL_SOCKET, SO_ACCEPTCONN) || R->getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		return NULL;
	so = so_new(SO_KERNEL_YET);
	if (!so)
		return NULL;
	so->domain = (uint8_t)domain;
	so->dgram = type == SOCK_DGRAM;
	query_options(fd, so);
	return fd_install(fd, so) < 0 ? NULL : so;
}

/* Takes a socket that turned out to be the kernel's out of the table, so that calls on it
 * go straight there. FD is one of its descriptors. */
void sock_to_kernel(struct so *so, int fd)
{
	uint32_t left = so->nfds;

	if (so->kind != SO_KERNEL_YET)
		return;
	if (left == 1) {
		fd_remove(fd);
		return;
	}
	for (int i = 0; i < FD_MAX && left; i++)
		if (fd_get(i) == so) {
			left--;
			fd_remove(i);
		}
}
