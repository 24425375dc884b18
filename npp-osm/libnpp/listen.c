/* SPDX-License-Identifier: GPL-2.0-or-later
 * listen.c - bind, listen, accept
 *
 * A wildcard address means npp and the kernel: the descriptor stays a kernel socket that
 * is bound and listens, too (loopback reaches it), and accept() takes from both. An
 * address of the NPP means npp only: the descriptor becomes a place-holder; so does a group, for a
 * datagram socket. Anything else is the kernel's.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"

#define EPHEMERAL_TRIES 16
#define AGE_MAX_US 1000000

/* ---- bind ------------------------------------------------------------------------ */

int sock_all_placeholder(struct so *so, int fd)
{
	uint32_t left = so->nfds;
	int r = 0;

	if (left == 1)
		r = fd_placeholder(fd);
	for (int i = 0; left > 1 && i < FD_MAX && r == 0; i++)
		if (fd_get(i) == so)
			r = fd_placeholder(i);
	if (r == 0)
		so->kpart = 0;
	return r;
}

/**
 * sock_unmake() - take the record back from a socket that stays the kernel's
 * @bound: the OSM holds its port
 */
void sock_unmake(struct so *so, int fd, bool bound)
{
	uint32_t left = so->nfds;
	struct npp_sock *sk = so->sk;
	struct so gone = { .idx = so->idx, .gen = so->gen, .sk = sk, .dgram = so->dgram };
	bool known = so->dgram || sk->type == NPP_SOCK_LISTENER; /* to ISMs: the OSM frees the record */

	if (bound && !known)
		sock_bind_rpc(so, NPP_CTL_UNBIND, 0);
	ep_so_lost(so);
	so->sk = NULL;
	atomic_store_explicit(&so->kind, SO_KERNEL_YET, memory_order_relaxed);
	for (int i = left == 1 ? fd : 0; i < FD_MAX && left; i++)
		if (fd_get(i) == so) {
			fd_word_clear(i, sk);
			left--;
		}
	if (bound && known)
		sock_close_rpc(&gone);
	else
		sock_unclaim(sk);
}

static int kernel_bind(int fd, const struct sockaddr *sa, socklen_t len, uint16_t port)
{
	struct sockaddr_storage ss = { .ss_family = 0 };

	memcpy(&ss, sa, len < sizeof ss ? len : sizeof ss);
	if (ss.ss_family == AF_INET)
		((struct sockaddr_in *)&ss)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)&ss)->sin6_port = htons(port);
	return R->bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

/* The port at the OSM first, then at the kernel: the kernel's bind cannot be undone. */
static int bind_ours(struct so *so, int fd, const struct sockaddr *sa, socklen_t len, const union npp_addr *addr,
		     uint16_t port)
{
	bool any = npp_addr_is_any(addr);
	int r = sock_make(so, fd);

	if (r < 0)
		return r;
	so->sk->laddr = *addr;
	so->sk->lport = port;
	if (!any && !npp_addr_is_v4(addr)) /* what has an address of IPv6 is for IPv6 alone, as with Linux */
		atomic_fetch_or_explicit(&so->sk->opt_flags, NPP_OPT_V6ONLY, memory_order_relaxed);
	r = sock_bind_rpc(so, NPP_CTL_BIND, 0);
	if (r < 0) {
		sock_unmake(so, fd, false);
		return r;
	}
	r = any ? kernel_bind(fd, sa, len, so->sk->lport) : sock_all_placeholder(so, fd);
	if (r == 0 && so->dgram)
		r = mcast_bound(so);
	if (r < 0) {
		sock_unmake(so, fd, true);
		return r;
	}
	atomic_fetch_or_explicit(&so->sk->fl, NPP_FL_BOUND, memory_order_relaxed);
	ep_fd_changed(fd, so);
	return 0;
}

/* The wildcard address as old programs name it. */
static bool old_wildcard(const struct so *so, const struct sockaddr *sa, socklen_t len)
{
	return so->domain == AF_INET && sa && len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_UNSPEC &&
	       ((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr == INADDR_ANY;
}

/* bind() on a socket that is ours: what is said of the address comes before what is said of the socket. */
static int bound_again(const struct so *so, const struct sockaddr *sa, socklen_t len)
{
	union npp_addr addr;
	uint16_t port;
	int r = addr_check(so, sa, len);

	if (r < 0)
		return old_wildcard(so, sa, len) ? -EINVAL : r;
	addr_in(sa, len, &addr, &port);
	if (so->domain == AF_INET && !npp_addr_is_any(&addr) && !sock_is_ours_addr(&addr) && !kaddr_is_local(&addr))
		return -EADDRNOTAVAIL;
	return -EINVAL;
}

/**
 * sock_do_bind() - bind() on a socket that may become ours
 *
 * Under fd_lock. Return: 0, 1 (it is the kernel's: call the real one), 2 (so it is, and for good if that succeeds;
 * not of a wildcard), or -errno
 */
int sock_do_bind(struct so *so, int fd, const struct sockaddr *sa, socklen_t len)
{
	union npp_addr addr, src;
	struct sockaddr_in in;
	uint16_t port;
	bool any;

	if (so->kind == SO_OURS)
		return sock_fl(so) & NPP_FL_BOUND || so->dgram || stream_state(so) != ST_IDLE ? bound_again(so, sa, len) : 1;
	if (old_wildcard(so, sa, len)) {
		memcpy(&in, sa, sizeof in);
		in.sin_family = AF_INET;
		sa = (struct sockaddr *)&in;
		len = sizeof in;
	}
	if (addr_in(sa, len, &addr, &port) < 0 || sa->sa_family != so->domain)
		return 1;
	any = npp_addr_is_any(&addr);
	if (!lib_refresh())
		return 1;
	sock_ask_v6only(so, fd);
	if (sock_v6only(so) && npp_addr_is_v4(&addr))
		return 1; /* the kernel has the words for it */
	if (any || sock_is_ours_addr(&addr) || (so->dgram && npp_addr_is_multicast(&addr) && sock_route(&addr, &src) >= 0)) {
		int r, tries = 0;

		do { /* an ephemeral port may be free at the OSM only */
			r = bind_ours(so, fd, sa, len, &addr, port);
		} while (r == -EADDRINUSE && port == 0 && ++tries < EPHEMERAL_TRIES);
		return r;
	}
	return 2;
}

/* ---- listen ----------------------------------------------------------------------------- */

/* listen() on a socket that was bound while no NPP was there, or never bound. 0: has a
 * record and a port now; 1: the kernel's. */
static int late_bind(struct so *so, int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	union npp_addr addr;
	uint16_t port;
	int r;

	if (R->getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    addr_in((struct sockaddr *)&ss, len, &addr, &port) < 0 || !npp_addr_is_any(&addr))
		return 1;
	if (port == 0)
		return sock_do_bind(so, fd, (struct sockaddr *)&ss, len);
	if (!lib_refresh())
		return 1;
	sock_ask_v6only(so, fd);
	r = sock_make(so, fd);
	if (r < 0)
		return r;
	so->sk->laddr = sock_any(so);
	so->sk->lport = port;
	r = sock_bind_rpc(so, NPP_CTL_BIND, 0);
	if (r < 0) {
		sock_unmake(so, fd, false);
		return r;
	}
	atomic_fetch_or_explicit(&so->sk->fl, NPP_FL_BOUND, memory_order_relaxed);
	ep_fd_changed(fd, so);
	return 0;
}

/* It is made non-blocking for good, since accept() must be able to look there without being caught;
 * the program's own flag stands in the record. */
static int kernel_listen(int fd, int backlog)
{
	int fl;

	if (R->listen(fd, backlog) < 0)
		return -errno;
	fl = R->fcntl(fd, F_GETFL);
	if (fl >= 0)
		R->fcntl(fd, F_SETFL, fl | O_NONBLOCK);
	return 0;
}

/**
 * sock_do_listen() - as sock_do_bind()
 *
 * The kernel last: who sees the port in its tables (ss, a lab that waits for it) may connect by either way.
 */
int sock_do_listen(struct so *so, int fd, int backlog)
{
	int r;

	if (so->dgram)
		return -EOPNOTSUPP;
	if (so->kind == SO_KERNEL_YET) {
		r = late_bind(so, fd);
		if (r != 0)
			return r;
	}
	if (so->sk->type == NPP_SOCK_LISTENER)
		return so->kpart ? 1 : 0; /* a new backlog: only the kernel's is changed */
	if (stream_state(so) != ST_IDLE)
		return -EINVAL;
	if (!(sock_fl(so) & NPP_FL_BOUND))
		return 1;
	r = tfo_key_listen(so);
	if (r < 0)
		return r;
	so->sk->type = NPP_SOCK_LISTENER;
	atomic_store_explicit(&so->sk->tcp_state, TCP_ST_LISTEN, memory_order_release);
	r = sock_bind_rpc(so, NPP_CTL_LISTEN, backlog == 0 ? 1 : backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (uint32_t)backlog);
	if (r < 0) {
		memset((void *)&so->sk->tfo, 0, sizeof so->sk->tfo);
		so->sk->type = NPP_SOCK_STREAM;
		atomic_store_explicit(&so->sk->tcp_state, TCP_ST_CLOSED, memory_order_relaxed);
		return r;
	}
	if (so->kpart) {
		r = kernel_listen(fd, backlog);
		if (r < 0) {
			sock_unmake(so, fd, true);
			return r;
		}
	}
	ep_fd_changed(fd, so);
	return 0;
}

/* ---- accept ------------------------------------------------------------------------------- */

static struct npp_listener *listener_of(const struct so *so)
{
	uint32_t off64 = *(const volatile uint32_t *)&so->sk->ext_off64;

	return off64 ? lib_at((uint64_t)off64 * 64, sizeof(struct npp_listener)) : NULL;
}

static struct npp_accept_lane *lane_at(struct npp_listener *l, uint32_t slot, uint32_t *mask)
{
	uint32_t off64 = atomic_load_explicit(&l->lane_off64[slot], memory_order_acquire);
	struct npp_accept_lane *lane = off64 ? lib_at((uint64_t)off64 * 64, sizeof *lane) : NULL;

	if (!lane)
		return NULL;
	*mask = *(volatile uint32_t *)&lane->mask;
	if (*mask & (*mask + 1) || *mask > 65535 ||
	    !lib_at((uint64_t)off64 * 64, sizeof *lane + ((uint64_t)*mask + 1) * sizeof lane->entry[0]))
		return NULL;
	return lane;
}

/* A look at the entries of a lane: what stood there when it began, once, so it ends whatever an ISM writes. */
struct look { struct npp_accept_lane *lane; uint32_t mask, at, head; };

static struct look look_at(struct npp_accept_lane *lane, uint32_t mask)
{
	/* acquire: pairs with the ISM's release of head after the entry */
	uint32_t head = atomic_load_explicit(&lane->head, memory_order_acquire);
	uint32_t at = atomic_load_explicit(&lane->tail, memory_order_acquire);

	/* What was taken out of turn leaves the tail behind until somebody looks, and an ISM fills the whole lane
	 * meanwhile: it stores over 0 only, so what is further behind than the lane is long is done with. */
	if (head - at > mask + 1) {
		uint32_t behind = at;

		at = head - (mask + 1);
		atomic_compare_exchange_strong_explicit(&lane->tail, &behind, at, memory_order_release, memory_order_relaxed);
	}
	return (struct look){ .lane = lane, .mask = mask, .at = at, .head = head };
}

/* The next entry that nobody has claimed. False: no more. */
static bool look_next(struct look *k, uint32_t *pos, uint64_t *entry)
{
	while (k->at != k->head) {
		uint32_t at = k->at++, expect = at;
		uint64_t e = atomic_load_explicit(&k->lane->entry[at & k->mask], memory_order_acquire);

		if (e == 0) { /* done with: let the tail pass it */
			atomic_compare_exchange_strong_explicit(&k->lane->tail, &expect, at + 1, memory_order_release,
								memory_order_relaxed);
		} else if (NPP_ACCEPT_OWNER(e) == NPP_ACCEPT_READY) {
			*pos = at;
			*entry = e;
			return true;
		}
	}
	return false;
}

/* The first of them. */
static bool lane_first(struct npp_accept_lane *lane, uint32_t mask, uint64_t *entry)
{
	struct look k = look_at(lane, mask);
	uint32_t pos;

	return look_next(&k, &pos, entry);
}

bool accept_waiting(const struct so *so)
{
	struct npp_listener *l = listener_of(so);
	uint32_t mask;
	uint64_t e;

	for (uint32_t s = slot_next((uint32_t)-1); l && s < NPP_MAX_SLOTS; s = slot_next(s)) {
		struct npp_accept_lane *lane = lane_at(l, s, &mask);

		if (lane && lane_first(lane, mask, &e))
			return true;
	}
	return false;
}

/**
 * accept_queue() - connections of the listener SO that nobody has taken, without those of its kernel part
 * @backlog: how many there may be
 */
uint32_t accept_queue(const struct so *so, uint32_t *backlog)
{
	struct npp_listener *l = listener_of(so);
	uint32_t mask, n = 0;

	*backlog = l ? *(volatile uint32_t *)&l->backlog : 0;
	for (uint32_t s = slot_next((uint32_t)-1); l && s < NPP_MAX_SLOTS; s = slot_next(s)) {
		struct npp_accept_lane *lane = lane_at(l, s, &mask);
		uint32_t head, at;

		if (!lane)
			continue;
		/* acquire: pairs with the ISM's release of head after the entry */
		head = atomic_load_explicit(&lane->head, memory_order_acquire);
		at = atomic_load_explicit(&lane->tail, memory_order_relaxed);
		for (at = head - at > mask + 1 ? head - mask - 1 : at; at != head; at++)
			n += NPP_ACCEPT_OWNER(atomic_load_explicit(&lane->entry[at & mask], memory_order_relaxed)) ==
			     NPP_ACCEPT_READY;
	}
	return n;
}

/* An exclusive subscriber that was told of connections leaves without taking them all:
 * the ISMs that have some tell another one. */
void accept_hand_on(struct so *so)
{
	struct npp_listener *l = listener_of(so);
	struct lctx *c = ctx_self();
	uint32_t mask;
	uint64_t e;

	sock_clear(so, EPOLLIN);
	for (uint32_t s = slot_next((uint32_t)-1); l && c && s < NPP_MAX_SLOTS; s = slot_next(s)) {
		struct npp_accept_lane *lane = lane_at(l, s, &mask);
		struct npp_msg m = { .type = NPP_MSG_LOOK, .ctx = (uint16_t)c->no, .sock = so->idx, .sock_gen = so->gen };

		if (!lane || !lane_first(lane, mask, &e))
			continue;
		m.ism_handle = atomic_load_explicit(&l->replica[s], memory_order_relaxed) - 1;
		atomic_fetch_or_explicit(&so->sk->pend_in, NPP_IN_RX, memory_order_acq_rel);
		ctx_post(c, s, &m);
	}
}

struct taken { struct npp_accept_lane *lane; uint32_t pos, mask, idx, gen, slot; uint64_t entry; };

/* A connection of SO, and of the ISM that says so? */
static bool entry_ok(const struct so *so, struct taken *t)
{
	struct npp_sock *sk;

	t->idx = NPP_ACCEPT_SOCK(t->entry);
	if (t->idx == 0 || t->idx >= npp_lib.sock_count)
		return false;
	sk = &npp_lib.sock[t->idx];
	t->gen = atomic_load_explicit(&sk->gen, memory_order_acquire);
	return (t->gen & 0xffff) == NPP_ACCEPT_GEN(t->entry) && sk->type == NPP_SOCK_STREAM &&
	       atomic_load_explicit(&sk->owner, memory_order_acquire) == 0x10000 + t->slot && sk->listener == so->idx;
}

static void entry_done(struct taken *t)
{
	uint32_t expect = t->pos;

	/* release: the descriptor word is stored before; the ISM may use the place again */
	atomic_store_explicit(&t->lane->entry[t->pos & t->mask], 0, memory_order_release);
	atomic_compare_exchange_strong_explicit(&t->lane->tail, &expect, t->pos + 1, memory_order_release,
						memory_order_relaxed);
}

/* Claims the first connection of the lane of T for context C. What is none is thrown away, each place once: an ISM
 * could fill them as fast. */
static bool claim_in(const struct so *so, struct lctx *c, struct taken *t)
{
	struct look k = look_at(t->lane, t->mask);

	while (look_next(&k, &t->pos, &t->entry)) {
		uint64_t e = t->entry;

		t->entry = NPP_ACCEPT_ENTRY(NPP_ACCEPT_SOCK(e), NPP_ACCEPT_GEN(e), c->no + 1);
		/* acq_rel: pairs with the ISM's release store and with other claimers */
		if (!atomic_compare_exchange_strong_explicit(&t->lane->entry[t->pos & t->mask], &e, t->entry,
							     memory_order_acq_rel, memory_order_relaxed))
			continue;
		if (entry_ok(so, t))
			return true;
		entry_done(t);
	}
	return false;
}

/* How long the connection of an entry has been waiting. No longer than AGE_MAX_US, so that an ISM which lies
 * has all others wait for so long at most. */
static uint32_t age_of(uint64_t entry, uint32_t now)
{
	uint32_t idx = NPP_ACCEPT_SOCK(entry);
	int32_t age = 0;

	if (idx < npp_lib.sock_count)
		age = (int32_t)(now - atomic_load_explicit(&npp_lib.sock[idx].came_us, memory_order_relaxed));
	return age < 0 ? 0 : age < AGE_MAX_US ? (uint32_t)age : AGE_MAX_US;
}

/* A lane that has connections, and how long its first one has been waiting. */
struct offer { struct npp_accept_lane *lane; uint32_t mask, slot, age; };

/* Of all lanes, beginning with another one each TURN; how many there are. */
static uint32_t offers(const struct so *so, uint32_t turn, struct offer *o)
{
	struct npp_listener *l = listener_of(so);
	uint32_t slots[NPP_MAX_SLOTS], n = 0, found = 0, mask, now = (uint32_t)lib_now_us();
	uint64_t e;

	for (uint32_t s = slot_next((uint32_t)-1); s < NPP_MAX_SLOTS; s = slot_next(s))
		slots[n++] = s;
	for (uint32_t i = 0; l && i < n; i++) {
		uint32_t slot = slots[(turn + i) % n];
		struct npp_accept_lane *lane = lane_at(l, slot, &mask);

		if (lane && lane_first(lane, mask, &e))
			o[found++] = (struct offer){ lane, mask, slot, age_of(e, now) };
	}
	return found;
}

/* Claims the connection that came first: each ISM has a lane of its own. A lane with nothing but lies is left for
 * this time, which is all that an ISM can do to one call. */
static bool claim(struct so *so, struct lctx *c, struct taken *t)
{
	struct offer o[NPP_MAX_SLOTS];
	uint32_t n = offers(so, atomic_fetch_add_explicit(&so->turn, 1, memory_order_relaxed), o);

	for (uint32_t tried = 0; tried < n; tried++) {
		struct offer *best = NULL;

		for (uint32_t i = 0; i < n; i++)
			if (o[i].lane && (!best || o[i].age > best->age))
				best = &o[i];
		t->lane = best->lane;
		t->mask = best->mask;
		t->slot = best->slot;
		if (claim_in(so, c, t))
			return true;
		best->lane = NULL;
	}
	return false;
}

static int install_taken(struct so *so, struct taken *t, int flags)
{
	struct npp_sock *sk = &npp_lib.sock[t->idx];
	struct so *n;
	int fd, r = -ENOMEM;

	fd_lock();
	fd = fd_new_placeholder(flags & SOCK_CLOEXEC);
	n = fd < 0 ? NULL : so_new(SO_OURS);
	if (n) {
		n->domain = so->domain;
		n->idx = t->idx;
		n->gen = t->gen;
		n->sk = sk;
		n->opt.linger = so->opt.linger;
		atomic_store_explicit(&sk->fl, (flags & SOCK_NONBLOCK ? NPP_FL_NONBLOCK : 0) |
						       (so->domain == AF_INET6 ? NPP_FL_API6 : 0), memory_order_relaxed);
		r = fd_install(fd, n);
	}
	if (r < 0) { /* leave the connection for another try */
		uint64_t e = t->entry;

		if (fd >= 0)
			lib_close(fd);
		atomic_compare_exchange_strong_explicit(
			&t->lane->entry[t->pos & t->mask], &e,
			NPP_ACCEPT_ENTRY(t->idx, NPP_ACCEPT_GEN(e), NPP_ACCEPT_READY), memory_order_release,
			memory_order_relaxed);
		fd_unlock();
		/* No room for the table: what Linux says there, and what servers know to wait after. */
		return fd < 0 ? fd : r == -ENOBUFS ? -ENFILE : r;
	}
	/* release: after refs was raised; pairs with the acquire load of an ISM whose lane overflowed */
	atomic_fetch_or_explicit(&sk->fl, NPP_FL_TAKEN, memory_order_release);
	entry_done(t);
	fd_unlock();
	return fd;
}

static int accept_kernel(struct so *so, int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	int r;

	if (!so->kpart)
		return -EAGAIN;
	r = R->accept4(fd, sa, len, flags);
	return r < 0 ? -errno : r;
}

static int accept_npp(struct so *so, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct lctx *c = ctx_self();
	struct taken t;
	int r;

	if (!c)
		return -ENOBUFS;
	if (!claim(so, c, &t))
		return -EAGAIN;
	r = install_taken(so, &t, flags);
	if (r >= 0 && sa && len)
		addr_out(so, &npp_lib.sock[t.idx].raddr, npp_lib.sock[t.idx].rport, sock_ifno(&npp_lib.sock[t.idx]), sa, len);
	return r;
}

/**
 * sock_do_accept() - accept4() on a listener of ours
 *
 * npp's connections first, but every 16th call looks at the kernel first, so that
 * neither can starve the other.
 * Return: the descriptor, or -errno
 */
int sock_do_accept(struct so *so, int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	uint64_t deadline = 0;
	unsigned vain = 0;
	bool timed = false;
	int r;

	if (so->dgram)
		return -EOPNOTSUPP;
	for (;;) {
		bool kernel_first = so->kpart && (so->turn & 15) == 15;

		/* each time: an ISM can write that, and what is no listener would seem ready for ever */
		if (so->sk->type != NPP_SOCK_LISTENER || sock_fl(so) & NPP_FL_SHUT_RD)
			return -EINVAL;
		r = kernel_first ? accept_kernel(so, fd, sa, len, flags) : -EAGAIN;
		if (r == -EAGAIN)
			r = accept_npp(so, sa, len, flags);
		if (r == -EAGAIN && !kernel_first)
			r = accept_kernel(so, fd, sa, len, flags);
		if (r != -EAGAIN || sock_fl(so) & NPP_FL_NONBLOCK)
			return r;
		if (!timed) {
			deadline = deadline_of(atomic_load_explicit(&so->sk->rcvtimeo_ms, memory_order_relaxed));
			timed = true;
		}
		r = sock_wait(so, fd, EPOLLIN, deadline, &vain);
		if (r < 0)
			return r;
	}
}
