/* SPDX-License-Identifier: GPL-2.0-or-later
 * dgram.c - datagram sockets
 *
 * Receive: one ring per ISM, merged by arrival time; a wildcard socket's kernel part is
 * read when no ring has anything (and now and then before). Send: one ring to the home
 * ISM. A record in a ring is a header and its payload, and never wraps: a header with
 * NPP_DGRAM_SKIP leads to the start of the ring.
 *
 * Of an NPP with several network ports a datagram tells by which it came, and an answer takes the
 * same: the home ISM, which sends it, has perhaps never heard the peer.
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"
#include "shm/lock.h"

#define DGRAM_MAX NPP_DGRAM_MAX
#define RECORD(len) (((uint32_t)sizeof(struct npp_dgram) + (len) + 31) & ~31u) /* LEN: payload and tail */
#define SEGMENTS_MAX 128	/* as Linux has it, and the stack */
#define RING_WAIT_US 500000	/* a first send waits that long for its ring, blocking or not */

static struct npp_udp *udp_of(const struct so *so)
{
	uint32_t off64 = *(const volatile uint32_t *)&so->sk->ext_off64;

	return off64 ? lib_at((uint64_t)off64 * 64, sizeof(struct npp_udp)) : NULL;
}

/* ---- by which network port ----------------------------------------------------------- */

/* The place of peer A of attachment ATT: a word of a hash of both, and the network port + 1 in its low bits. */
static _Atomic uint64_t *heard_at(const union npp_addr *a, uint32_t att, uint64_t *tag)
{
	uint64_t h = (a->q[0] ^ (att + 1)) * 0x9e3779b97f4a7c15u;

	h = (h ^ h >> 29 ^ a->q[1]) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 32) * 0x94d049bb133111ebu;
	h ^= h >> 29;
	*tag = h & ~7ull;
	return &npp_lib.heard[h >> 3 & (LIB_HEARD - 1)];
}

static void heard(const union npp_addr *a, uint32_t att, uint32_t port1)
{
	_Atomic uint64_t *w;
	uint64_t tag;

	if (!port1)
		return;
	w = heard_at(a, att, &tag);
	atomic_store_explicit(w, tag | port1, memory_order_relaxed);
	if (!npp_lib.hears)
		npp_lib.hears = true;
}

/* 0: not heard, or another peer has its place. */
static uint32_t heard_by(const union npp_addr *a, uint32_t att)
{
	uint64_t tag, v;

	if (!npp_lib.hears)	/* NPPs with one port each */
		return 0;
	v = atomic_load_explicit(heard_at(a, att, &tag), memory_order_relaxed);
	return (v & ~7ull) == tag ? v & 7 : 0;
}

/* ---- receive --------------------------------------------------------------------- */

struct found { struct npp_udp_lane *lane; uint32_t slot, tail; const struct npp_dgram *d; uint32_t len, flags, next; };

/* The first record of LANE, its header checked. False: empty (or nonsense, then drained). */
static bool lane_first(uint32_t slot, struct npp_udp_lane *lane, struct found *f)
{
	uint32_t head = atomic_load_explicit(&lane->rx_head, memory_order_acquire), size, len, at;
	uint32_t tail = atomic_load_explicit(&lane->rx_tail, memory_order_relaxed);
	uint8_t *base;

	if (head == tail)
		return false;
	if (!ring_ok(slot, &lane->rx_ring, &base, &size) || head - tail > size || tail & 31)
		goto nonsense;
	for (int hop = 0; hop < 2 && tail != head; hop++) {
		at = tail & (size - 1);
		f->d = (const struct npp_dgram *)(base + at);
		len = *(const volatile uint32_t *)&f->d->len;
		if (len == NPP_DGRAM_SKIP) {
			tail += size - at;
			if (head - tail > size)
				goto nonsense;
			continue;
		}
		f->flags = *(const volatile uint32_t *)&f->d->flags;
		if (len > DGRAM_MAX)
			goto nonsense;
		f->next = RECORD(len + npp_dgram_tail(f->flags));
		if (f->next > size - at || f->next > head - tail)
			goto nonsense;
		f->lane = lane;
		f->slot = slot;
		f->tail = tail;
		f->len = len;
		f->next += tail;
		return true;
	}
	return false;
nonsense:
	atomic_store_explicit(&lane->rx_tail, head, memory_order_release);
	return false;
}

static bool oldest(const struct so *so, struct found *best)
{
	struct npp_udp *u = udp_of(so);
	bool any = false;

	for (uint32_t s = slot_next((uint32_t)-1); u && s < NPP_MAX_SLOTS; s = slot_next(s)) {
		struct found f;

		if (lane_first(s, &u->lane[s], &f) && (!any || (int32_t)(f.d->seq - best->d->seq) < 0)) {
			*best = f;
			any = true;
		}
	}
	return any;
}

bool dgram_readable(const struct so *so, uint32_t *len)
{
	struct found f;

	if (!oldest(so, &f))
		return false;
	if (len)
		*len = f.len;
	return true;
}

static size_t scatter(const struct iovec *iov, size_t n, const uint8_t *from, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < len; i++) {
		size_t k = len - done < iov[i].iov_len ? len - done : iov[i].iov_len;

		memcpy(iov[i].iov_base, from + done, k);
		done += k;
	}
	return done;
}

/* What comes beside the datagram F. */
static void take_control(const struct so *so, struct msghdr *mh, const struct found *f)
{
	struct npp_dgram d = { .addr = f->d->addr, .tos = f->d->tos, .ttl = f->d->ttl, .flags = f->flags };
	union npp_addr local;

	memcpy(local.b, (const uint8_t *)(f->d + 1) + f->len, npp_dgram_tail(f->flags));
	cmsg_received(so, mh, &d, &local);
}

/* The lock is said to be ours already: a signal handler over a call that has it, or an ISM wrote that. Either way
 * it will not be free as long as we wait, which -EAGAIN would make us. */
static int lock_take(npp_lock_t *l)
{
	int r = sock_lock_take(l);

	return r == -EAGAIN ? -EDEADLK : r;
}

/* One datagram from the rings. -EAGAIN: none. */
static ssize_t take(struct so *so, struct msghdr *mh, int flags)
{
	struct npp_sock *sk = so->sk;
	union npp_addr from;
	struct found f;
	ssize_t r = lock_take(&sk->rx_lock);

	if (r < 0)
		return r;
	r = oldest(so, &f) ? 0 : -EAGAIN;
	if (r == 0) {
		size_t k = scatter(mh->msg_iov, mh->msg_iovlen, (const uint8_t *)(f.d + 1), f.len);

		uint32_t by = NPP_DGRAM_PORT(f.flags);

		from = f.d->addr;
		heard(&from, f.slot / NPP_MAX_IOPS, by);
		addr_out(so, &from, f.d->port, by ? by - 1 : 0, mh->msg_name, &mh->msg_namelen);
		mh->msg_flags = k < f.len ? MSG_TRUNC : 0;
		take_control(so, mh, &f);
		r = flags & MSG_TRUNC ? (ssize_t)f.len : (ssize_t)k;
		if (!(flags & MSG_PEEK)) /* release: pairs with the ISM's acquire of rx_tail */
			atomic_store_explicit(&f.lane->rx_tail, f.next, memory_order_release);
	}
	sock_lock_drop(&sk->rx_lock);
	return r;
}

static ssize_t take_kernel(struct so *so, int fd, struct msghdr *mh, int flags)
{
	ssize_t r;

	if (!so->kpart)
		return -EAGAIN;
	r = R->recvmsg(fd, mh, flags | MSG_DONTWAIT);
	return r < 0 ? -errno : r;
}

ssize_t dgram_recv(struct so *so, int fd, struct msghdr *mh, int flags)
{
	bool block = !(flags & MSG_DONTWAIT || sock_fl(so) & NPP_FL_NONBLOCK), timed = false;
	socklen_t namelen = mh->msg_namelen;
	size_t controllen = mh->msg_controllen;
	uint64_t deadline = 0;
	unsigned vain = 0;
	ssize_t r;

	if (flags & MSG_ERRQUEUE)
		return cmsg_error(so, mh);
	for (;;) {
		bool kernel_first = so->kpart && (++so->turn & 15) == 15;
		int err = sock_error(so);

		if (err)
			return -err;
		r = kernel_first ? take_kernel(so, fd, mh, flags) : -EAGAIN;
		if (r == -EAGAIN) {
			mh->msg_namelen = namelen;
			r = take(so, mh, flags);
		}
		if (r == -EAGAIN && !kernel_first) {
			mh->msg_namelen = namelen;
			mh->msg_controllen = controllen;
			r = take_kernel(so, fd, mh, flags);
		}
		if (r != -EAGAIN)
			return r == -EDEADLK ? -EAGAIN : r;
		if (!block)
			return -EAGAIN;
		if (sock_fl(so) & NPP_FL_SHUT_RD) { /* as Linux: only who would wait hears of it */
			mh->msg_namelen = 0;
			mh->msg_controllen = 0;
			mh->msg_flags = 0;
			return 0;
		}
		if (!timed) {
			deadline = deadline_of(atomic_load_explicit(&so->sk->rcvtimeo_ms, memory_order_relaxed));
			timed = true;
		}
		r = sock_wait(so, fd, EPOLLIN, deadline, &vain);
		if (r < 0)
			return r;
	}
}

/* ---- send ---------------------------------------------------------------------------- */

/* The words of a way out: of the record, or of an attachment where the home ISM is not. */
struct way { struct npp_ring_desc *ring; _Atomic uint32_t *head, *tail, *want; struct npp_udp_out *out; };

static struct way way_of(struct so *so, struct npp_udp_out *out)
{
	struct npp_sock *sk = so->sk;

	if (!out)
		return (struct way){ &sk->tx_ring, &sk->tx_head, &sk->tx_tail, &sk->tx_want, NULL };
	return (struct way){ &out->ring, &out->head, &out->tail, &out->want, out };
}

/* To the ISM that sends by OUT. */
static void look_out(struct so *so, struct npp_udp_out *out, uint8_t type)
{
	uint32_t home = atomic_load_explicit(&out->home, memory_order_acquire);
	struct npp_msg m = { .type = type, .sock = so->idx, .sock_gen = so->gen, .ism_handle = NO_HANDLE };
	struct lctx *c = ctx_self();

	if (!c || home == 0 || home > NPP_MAX_SLOTS)
		return;
	m.ctx = (uint16_t)c->no;
	/* acq_rel: pairs with the ISM's exchange before it looks at what we wrote */
	if (type != NPP_MSG_LOOK || atomic_exchange_explicit(&out->pend, 1, memory_order_acq_rel) == 0)
		ctx_post(c, home - 1, &m);
}

/* Asks to be told of room, and for a ring where there is none. */
static void want_room(struct so *so, const struct way *w)
{
	bool none = *(volatile uint64_t *)&w->ring->off == 0;

	/* seq_cst: pairs with the ISM's fence after it moved the tail or made a ring */
	if (atomic_exchange_explicit(w->want, 1, memory_order_seq_cst) != 0 || !none)
		return;
	if (w->out)
		look_out(so, w->out, NPP_MSG_NEED_RING);
	else
		sock_post(so, NPP_MSG_NEED_RING, 0, 2 * DGRAM_MAX);
}

static uint32_t room_in(const struct way *w, uint32_t size)
{
	uint32_t used = atomic_load_explicit(w->head, memory_order_relaxed) -
			atomic_load_explicit(w->tail, memory_order_acquire);

	return used > size ? 0 : size - used;
}

/* Half a ring is free, or there is none: the first send makes one and waits for it. Else it is armed. */
static bool way_writable(struct so *so, const struct way *w)
{
	for (int pass = 0; pass < 2; pass++) {
		uint32_t size = *(volatile uint32_t *)&w->ring->size;

		if (*(volatile uint64_t *)&w->ring->off == 0 || room_in(w, size) >= size / 2)
			return true;
		want_room(so, w);
	}
	return false;
}

/* The way to ADDR, if it is not by the NPP where the socket's home ISM is. */
static struct npp_udp_out *way_out(struct so *so, const union npp_addr *addr)
{
	union npp_addr src;
	struct npp_udp *u;
	int att;

	if (npp_lib.host->n_attach < 2 || npp_addr_is_multicast(addr) ||
	    (npp_addr_is_v4(addr) && npp_addr_get_v4(addr) == INADDR_BROADCAST))
		return NULL;
	att = sock_route(addr, &src);
	u = att < 0 || att == so->sk->slot / NPP_MAX_IOPS ? NULL : udp_of(so);
	return u && atomic_load_explicit(&u->out[att].home, memory_order_acquire) ? &u->out[att] : NULL;
}

/**
 * dgram_writable() - would a send find room?
 *
 * With a peer: on the way to it. Without one the next datagram may go anywhere, so there must be
 * room on every way that the socket has used; a full one is what its program has met.
 */
bool dgram_writable(struct so *so)
{
	bool peer = sock_fl(so) & NPP_FL_CONNECTED, all = true;
	union npp_addr to = so->sk->raddr;
	struct npp_udp *u = udp_of(so);
	struct way w = way_of(so, peer ? way_out(so, &to) : NULL);

	if (peer)
		return way_writable(so, &w);
	all = way_writable(so, &w);
	for (unsigned a = 0; u && a < NPP_MAX_ATTACH; a++) {
		if (atomic_load_explicit(&u->out[a].home, memory_order_acquire) == 0)
			continue;
		w = way_of(so, &u->out[a]);
		all &= way_writable(so, &w); /* all of them are armed */
	}
	return all;
}

struct outgoing { struct npp_dgram d; union npp_addr src; uint32_t scope; const struct iovec *iov; int n; struct npp_udp_out *out; };

static void gather(uint8_t *to, const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
}

/* One record into the ring. 0; -EAGAIN no room; -ENOBUFS no ring yet. */
static int put(struct so *so, const struct outgoing *o)
{
	struct npp_sock *sk = so->sk;
	uint32_t tail = npp_dgram_tail(o->d.flags), need = RECORD(o->d.len + tail), size, head, at, skip;
	struct way w = way_of(so, o->out);
	bool skipped = false;
	uint8_t *base;
	int r = lock_take(&sk->tx_lock);

	if (r < 0)
		return r;
	if (!ring_ok(sk->slot, w.ring, &base, &size)) {
		r = *(volatile uint64_t *)&w.ring->off ? -EIO : -ENOBUFS;
	} else {
		head = atomic_load_explicit(w.head, memory_order_relaxed);
		at = head & (size - 1);
		skip = size - at < need ? size - at : 0;
		if (at % 32)
			r = -EIO; /* not where we left it: no header fits at the end of the ring */
		else if (need > size)
			r = -EMSGSIZE;
		else if (room_in(&w, size) < need + skip)
			r = -EAGAIN;
	}
	if (r == -EAGAIN && skip && need + skip > size && room_in(&w, size) == size) {
		/* it fits at the start of the ring only: lead the reader there first */
		((struct npp_dgram *)(base + at))->len = NPP_DGRAM_SKIP;
		atomic_store_explicit(w.head, head + skip, memory_order_release);
		skipped = true;
	}
	if (r == 0) {
		if (skip) {
			((struct npp_dgram *)(base + at))->len = NPP_DGRAM_SKIP;
			head += skip;
			at = 0;
		}
		memcpy(base + at, &o->d, sizeof o->d);
		gather(base + at + sizeof o->d, o->iov, o->n);
		memcpy(base + at + sizeof o->d + o->d.len, o->src.b, tail);
		/* release: pairs with the ISM's acquire of tx_head */
		atomic_store_explicit(w.head, head + need, memory_order_release);
	}
	sock_lock_drop(&sk->tx_lock);
	if ((r == 0 || skipped) && o->out)
		look_out(so, o->out, NPP_MSG_LOOK);
	else if (r == 0 || skipped)
		sock_look(so, NPP_IN_TX);
	return r;
}

/* Until W may have a ring, or UNTIL. 0: look again. */
static int wait_for_ring(struct so *so, const struct way *w, uint64_t until)
{
	uint64_t now = lib_now_us(), soon = now + (w->out ? 1000 : 20000); /* so_ready() takes no ring for ready */
	int r;

	if (now >= until)
		return -ENOBUFS;
	if (w->out)
		look_out(so, w->out, NPP_MSG_NEED_RING);
	r = w->out ? sock_nap(so, w->want, soon < until ? soon : until) : sock_wait_ring(so, 1, soon < until ? soon : until);
	return r == -EINTR ? r : 0;
}

static ssize_t send_ours(struct so *so, int fd, const struct outgoing *o, int flags)
{
	bool block = !(flags & MSG_DONTWAIT || sock_fl(so) & NPP_FL_NONBLOCK);
	uint64_t deadline = deadline_of(atomic_load_explicit(&so->sk->sndtimeo_ms, memory_order_relaxed));
	struct way w = way_of(so, o->out);
	uint64_t ring_by = 0;
	unsigned vain = 0;
	int r;

	for (;;) {
		r = put(so, o);
		if (r == -EDEADLK)
			return -EAGAIN;
		if (r != -EAGAIN && r != -ENOBUFS)
			return r < 0 ? r : (ssize_t)o->d.len;
		want_room(so, &w);
		if (r == -ENOBUFS) {
			ring_by = ring_by ? ring_by : lib_now_us() + RING_WAIT_US;
			r = wait_for_ring(so, &w, ring_by);
			if (r < 0)
				return r;
			continue;
		}
		if (!block)
			return -EAGAIN;
		if (dgram_writable(so)) { /* but not for one as large as this: until more is sent */
			uint64_t soon = lib_now_us() + 1000;

			r = sock_nap(so, w.want, soon < deadline ? soon : deadline);
			if (r == -EAGAIN && soon < deadline)
				r = 0;
		} else {
			r = sock_wait(so, fd, EPOLLOUT, deadline, &vain);
			if (r == 0) /* an error ends the wait, too */
				r = -sock_error(so);
		}
		if (r < 0)
			return r;
	}
}

struct peer { union npp_addr addr; uint16_t port; uint32_t scope; };

/* Who connects hears its peer only. release: pairs with the OSM's look when it tells ISMs. */
static void set_peer(struct so *so, const struct peer *p)
{
	so->sk->raddr = p->addr;
	so->sk->rport = p->port;
	so->sk->scope = p->scope;
	atomic_fetch_or_explicit(&so->sk->fl, NPP_FL_CONNECTED, memory_order_release);
}

/* The port that the kernel has given the socket already, when a send of it failed. */
static uint16_t kernel_port(int fd)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof a;

	return R->getsockname(fd, (struct sockaddr *)&a, &len) < 0 ? 0 : ntohs(a.sin6_port); /* at the same place in both families */
}

/* Makes a datagram socket that has no port yet one of ours, with a PEER if there is one.
 * Under fd_lock. */
static int autobind(struct so *so, int fd, const struct peer *peer)
{
	int r;

	sock_ask_v6only(so, fd); /* before the record takes what is known of it */
	r = sock_make(so, fd);
	if (r < 0)
		return r;
	so->sk->laddr = sock_any(so);
	so->sk->lport = kernel_port(fd);
	if (peer)
		set_peer(so, peer);
	r = sock_bind_rpc(so, NPP_CTL_BIND, 0);
	if (r == -EADDRINUSE && so->sk->lport) {
		so->sk->lport = 0;
		r = sock_bind_rpc(so, NPP_CTL_BIND, 0);
	}
	if (r < 0) {
		sock_unmake(so, fd, false);
		return r;
	}
	atomic_fetch_or_explicit(&so->sk->fl, NPP_FL_BOUND, memory_order_relaxed);
	ep_fd_changed(fd, so);
	return mcast_bound(so);
}

static int ensure_ours(struct so *so, int fd)
{
	int r = 0;

	if (so->kind == SO_OURS)
		return 0;
	fd_lock();
	if (so->kind == SO_KERNEL_YET)
		r = autobind(so, fd, NULL);
	fd_unlock();
	if (r == 0)
		mcast_let_in(so);
	return r;
}

/* As addr_check(), but a socket of IPv6 takes addresses of IPv4, too; if it is for IPv6 alone, NONE is what Linux says. */
static int dgram_addr_check(const struct so *so, const struct sockaddr *sa, socklen_t len, int none)
{
	if (so->domain != AF_INET6 || !sa || len < sizeof sa->sa_family || sa->sa_family != AF_INET)
		return addr_check(so, sa, len);
	return sock_v6only(so) ? none : len < sizeof(struct sockaddr_in) ? -EINVAL : 0;
}

/* Has SO an address of the family that A is not of, or is it for the other one alone? 0, or what Linux says then. */
static int other_family(const struct so *so, const union npp_addr *a)
{
	bool v4 = npp_addr_is_v4(a);

	if (v4 && sock_v6only(so))
		return -ENETUNREACH;
	if (so->kind != SO_OURS || so->domain != AF_INET6 || npp_addr_is_any(&so->sk->laddr) ||
	    npp_addr_is_v4(&so->sk->laddr) == v4)
		return 0;
	return v4 ? -ENETUNREACH : -EAFNOSUPPORT;
}

/* Where does it go? 0: ours, peer in O; 1: the kernel's; -errno. */
static int destination(struct so *so, int fd, const struct sockaddr *to, socklen_t tolen, struct outgoing *o)
{
	struct sock_way way;
	int att, r;

	if (!to) {
		if (so->kind != SO_OURS || !(sock_fl(so) & NPP_FL_CONNECTED))
			return so->kind == SO_OURS && !so->kpart ? -EDESTADDRREQ : 1;
		o->d.addr = so->sk->raddr;
		o->d.port = so->sk->rport;
		o->scope = so->sk->scope & 7;
		return 0;
	}
	r = dgram_addr_check(so, to, tolen, -ENETUNREACH);
	if (r < 0)
		return so->kind == SO_OURS && !so->kpart ? r : 1;
	r = addr_in(to, tolen, &o->d.addr, &o->d.port);
	if (r < 0)
		return 1;
	r = other_family(so, &o->d.addr);
	if (r < 0)
		return so->kind == SO_OURS && !so->kpart ? r : 1;
	o->scope = addr_scope(to, tolen);
	att = sock_ask_way(&o->d.addr, &way);
	if (att < 0)
		return so->kind == SO_OURS && !so->kpart ? -ENETUNREACH : 1;
	if (!o->d.port)
		return -EINVAL;
	if (way.bcast && !(sock_opt_flags(so) & NPP_OPT_BROADCAST))
		return -EACCES;
	return ensure_ours(so, fd);
}

/* What the socket's options say of it. */
static void outgoing_options(const struct so *so, struct outgoing *o)
{
	uint32_t tt = atomic_load_explicit(&so->sk->manner, memory_order_relaxed);
	uint32_t segment = atomic_load_explicit(&so->sk->udp_segment, memory_order_relaxed), hops;

	o->d.tos = (uint8_t)tt;
	o->d.ttl = (uint8_t)(tt >> 8);
	o->d.flags = NPP_DGRAM_SEG_FLAGS(segment) | dgram_whole_flags(so) |
		     (sock_opt_flags(so) & NPP_OPT_BROADCAST ? NPP_DGRAM_BCAST : 0);
	if (!npp_addr_is_multicast(&o->d.addr))
		return;
	hops = atomic_load_explicit(&so->sk->mc_hops, memory_order_relaxed);
	o->d.ttl = hops > 1 ? (uint8_t)(hops - 1) : 1;
	if (hops == 1)
		o->d.flags |= NPP_DGRAM_HOPS0;
	if (atomic_load_explicit(&so->sk->opt_flags, memory_order_relaxed) & NPP_OPT_MC_NOLOOP)
		o->d.flags |= NPP_DGRAM_NOLOOP;
}

/* By the port that the address names, or by which the peer was heard. */
static void outgoing_port(struct so *so, struct outgoing *o)
{
	uint32_t att = o->out ? (uint32_t)(o->out - udp_of(so)->out) : so->sk->slot / NPP_MAX_IOPS;

	if (!npp_addr_is_multicast(&o->d.addr))
		o->d.flags |= NPP_DGRAM_PORT_FLAGS(o->scope ? o->scope : heard_by(&o->d.addr, att));
}

/* What was held back, once it is whole. */
static ssize_t send_whole(struct so *so, int fd, struct cork *c, int flags)
{
	struct iovec iov = { c->data, c->d.len };
	struct outgoing o = { .d = c->d, .src = c->src, .iov = &iov, .n = 1 };
	uint32_t segment = NPP_DGRAM_SEG(o.d.flags);
	ssize_t r;

	o.out = way_out(so, &o.d.addr);
	r = segment && o.d.len > segment * SEGMENTS_MAX ? -EINVAL : send_ours(so, fd, &o, flags);
	cork_done(so, c);
	return r;
}

/* UDP_CORK was taken away. */
void dgram_uncork(struct so *so)
{
	struct cork *whole;

	if (so->kind == SO_OURS && cork_add(so, NULL, 0, 0, false, &whole) == 0)
		send_whole(so, -1, whole, 0);
}

/* LEN bytes, the first of more, or more of those that are held back already. 0, or -errno; -ENOMSG: neither. */
static ssize_t send_later(struct so *so, int fd, const struct iovec *iov, int n, size_t len, int flags)
{
	bool more = flags & MSG_MORE || sock_opt_flags(so) & NPP_OPT_CORK;
	struct cork *whole;
	int r = cork_add(so, iov, n, len, more, &whole);
	ssize_t sent;

	if (r < 0 || !whole)
		return r;
	sent = send_whole(so, fd, whole, flags);
	return sent < 0 ? sent : 0;
}

static ssize_t hold_back(struct so *so, const struct outgoing *o)
{
	struct cork_head first = { .d = o->d, .src = o->src };
	uint32_t len = o->d.len;
	int r;

	first.most = NPP_DGRAM_SEG(o->d.flags) ? (npp_addr_is_v4(&o->d.addr) ? DGRAM_MAX4 : DGRAM_MAX) : dgram_most(so, &o->d);
	r = cork_begin(so, &first, o->iov, o->n);
	return r < 0 ? r : (ssize_t)len;
}

/**
 * dgram_send() - one datagram, or as many as UDP_SEGMENT says, or a part of one
 *
 * Return: its length; -EAGAIN; another -errno; or INT_MIN: it is for the kernel
 */
ssize_t dgram_send(struct so *so, int fd, const struct msghdr *mh, int flags)
{
	struct outgoing o = { .iov = mh->msg_iov, .n = (int)mh->msg_iovlen };
	ssize_t len = iov_total(o.iov, o.n);
	uint32_t segment;
	int r, err;

	if (len < 0)
		return len;
	if (so->kind == SO_OURS && so->domain == AF_INET && (len > UINT16_MAX || flags & MSG_OOB))
		return len > UINT16_MAX ? -EMSGSIZE : -EOPNOTSUPP; /* before the address, as Linux */
	if (so->kind == SO_OURS && unlikely(so->cork != NULL)) {
		ssize_t added = send_later(so, fd, o.iov, o.n, (size_t)len, flags);

		if (added != -ENOMSG)
			return added < 0 ? added : len;
	}
	r = destination(so, fd, mh->msg_name, mh->msg_namelen, &o);
	if (r != 0)
		return r == 1 ? INT32_MIN : r;
	if (flags & MSG_OOB && npp_addr_is_v4(&o.d.addr)) /* IPv6 takes it for nothing */
		return -EOPNOTSUPP;
	if (len > DGRAM_MAX || ((size_t)len > DGRAM_MAX4 && npp_addr_is_v4(&o.d.addr)))
		return -EMSGSIZE;
	if (sock_fl(so) & NPP_FL_SHUT_WR)
		return -EPIPE;
	err = sock_error(so);
	if (err)
		return -err;
	o.out = way_out(so, &o.d.addr);
	o.d.len = (uint32_t)len;
	outgoing_options(so, &o);
	outgoing_port(so, &o);
	r = cmsg_sent(mh, &o.d, &o.src);
	if (r < 0)
		return r;
	if (dgram_too_large(so, &o.d))
		return -EMSGSIZE;
	if (unlikely(flags & MSG_MORE || sock_opt_flags(so) & NPP_OPT_CORK))
		return hold_back(so, &o);
	segment = NPP_DGRAM_SEG(o.d.flags);
	if (segment && (uint32_t)len > segment * SEGMENTS_MAX)
		return -EINVAL;
	return send_ours(so, fd, &o, flags);
}

/* ---- connect ------------------------------------------------------------------------------ */

/* The ISMs hear of the peer, or that there is none any more, before the call returns. */
static int tell_peer(struct so *so)
{
	struct npp_ctl_bind q = { .sock = so->idx, .gen = so->gen, .pid = (int32_t)npp_lib.pid };

	return lib_rpc(NPP_CTL_PEER, &q, sizeof q, NULL, 0, NULL);
}

static int disconnect(struct so *so)
{
	if (so->kind != SO_OURS)
		return 1;
	if (atomic_fetch_and_explicit(&so->sk->fl, ~NPP_FL_CONNECTED, memory_order_release) & NPP_FL_CONNECTED)
		tell_peer(so);
	return so->kpart ? 1 : 0;
}

/* Under fd_lock. A connected socket hears nobody on the kernel's side. */
static int connect_ours(struct so *so, int fd, const struct peer *p)
{
	int r;

	if (so->kind == SO_KERNEL_YET) {
		r = autobind(so, fd, p);
	} else {
		set_peer(so, p);
		r = tell_peer(so);
	}
	if (r == 0 && so->kpart) {
		r = sock_all_placeholder(so, fd);
		ep_fd_changed(fd, so);
	}
	return r;
}

/* As sock_do_connect(). The peer may be changed and taken away again. */
int dgram_do_connect(struct so *so, int fd, const struct sockaddr *sa, socklen_t len)
{
	struct sock_way way;
	struct peer p;
	int r;

	if (sa && len >= sizeof sa->sa_family && sa->sa_family == AF_UNSPEC)
		return disconnect(so);
	r = dgram_addr_check(so, sa, len, -EAFNOSUPPORT);
	if (r < 0 || addr_in(sa, len, &p.addr, &p.port) < 0)
		return so->kind == SO_OURS && !so->kpart ? r : 1;
	r = other_family(so, &p.addr);
	if (r < 0)
		return so->kind == SO_OURS && !so->kpart ? r : 1;
	p.scope = addr_scope(sa, len);
	if (sock_ask_way(&p.addr, &way) < 0) { /* the kernel checks the peer itself then */
		r = disconnect(so);
		return r == 0 ? -ENETUNREACH : r;
	}
	if (way.bcast && !(sock_opt_flags(so) & NPP_OPT_BROADCAST))
		return -EACCES;
	fd_lock();
	r = connect_ours(so, fd, &p);
	fd_unlock();
	if (r < 0)
		return r;
	mcast_let_in(so);
	if (npp_addr_is_any(&so->sk->laddr)) /* what getsockname() shows; the OSM has its own copy */
		so->sk->laddr = way.src;
	return 0;
}
