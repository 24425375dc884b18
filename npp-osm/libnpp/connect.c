/* SPDX-License-Identifier: GPL-2.0-or-later
 * connect.c - opening a connection, and shutting half of it
 *
 * The route to the destination picks the NPP (or the kernel). An unbound socket goes to
 * the next live ISM in turn, which then chooses a source port whose answers hash home. A
 * bound one goes where the answers of its port hash.
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "net/hash.h"
#include "npp-osm/libnpp/priv.h"
#include "shm/lock.h"

#define FAST_OPEN_WAIT_US 2000
#define TX_RING_FIRST 16384	/* asked for with the connection: who opens one mostly speaks first */

/* The ISM that the answers to a bound port will reach. */
static int slot_for_bound(struct npp_sock *sk, int att)
{
	const struct npp_global *g = npp_lib.att[att].global;
	struct npp_flow_key key = { .src = sk->raddr, .dst = sk->laddr, .sport = htons(sk->rport),
				    .dport = htons(sk->lport), .proto = IPPROTO_TCP };
	uint32_t active = atomic_load_explicit(&g->prog_active, memory_order_acquire);
	unsigned iop = npp_hash_iop(&g->prog[active & 1], &key);

	if (iop >= npp_lib.att[att].n_iops ||
	    !(atomic_load_explicit(&npp_lib.host->attach[att].iop_up, memory_order_acquire) >> iop & 1))
		return -ENETUNREACH;
	return att * NPP_MAX_IOPS + (int)iop;
}

/* All descriptors of SO stand for the record that it has now instead of OLD; refs and words are those of this process alone. */
static int swap_words(struct so *so, struct so *old, int fd)
{
	uint32_t n = atomic_load_explicit(&so->nfds, memory_order_relaxed);
	int r = fd_word_set(fd, so);

	if (r < 0)
		return r;
	for (int i = 0; i < FD_MAX && n > 1; i++)
		if (i != fd && fd_get(i) == so)
			fd_word_set(i, so); /* which has its place in the table already */
	fd_count_drop(n);
	if (atomic_fetch_sub_explicit(&old->sk->refs, n, memory_order_acq_rel) == n)
		sock_drop(old, true);
	ep_fd_changed(fd, so);
	return 0;
}

/* A connection attempt has failed and was reported: a new record for a new attempt, and until then it looks like
 * a new socket. What cannot have one (another process holds it, too, or it is bound) stays as it is. */
static int renew(struct so *so, int fd)
{
	struct so old = { .idx = so->idx, .gen = so->gen, .sk = so->sk, .kind = SO_OURS };
	struct lctx *c = ctx_self();
	uint32_t idx, fl = sock_fl(so);
	struct npp_sock *sk;

	if (fd_get(fd) != so || atomic_load_explicit(&old.sk->refs, memory_order_relaxed) != so->nfds || fl & NPP_FL_BOUND)
		return -ECONNABORTED;
	sk = c ? sock_claim(c, &idx) : NULL;
	if (!sk)
		return -ENOBUFS;
	memcpy((void *)&sk->opt_flags, (void *)&old.sk->opt_flags,
	       offsetof(struct npp_sock, win_clamp) + sizeof(uint32_t) - offsetof(struct npp_sock, opt_flags));
	atomic_store_explicit(&sk->max_pace, atomic_load_explicit(&old.sk->max_pace, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&sk->mark, atomic_load_explicit(&old.sk->mark, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(&sk->max_seg, atomic_load_explicit(&old.sk->max_seg, memory_order_relaxed),
			      memory_order_relaxed);
	sk->type = NPP_SOCK_STREAM;
	sk->family = so->domain == AF_INET6 ? 6 : 4;
	atomic_store_explicit(&sk->fl, fl & (NPP_FL_NONBLOCK | NPP_FL_API6), memory_order_relaxed);
	so->idx = idx;
	so->gen = atomic_load_explicit(&sk->gen, memory_order_relaxed);
	so->sk = sk;
	urg_renewed(so);
	return swap_words(so, &old, fd);
}

/* What connect() says while an earlier attempt is under way or done. 1: none is. */
static int earlier(struct so *so, int fd)
{
	int err;

	if (so->sk->type == NPP_SOCK_LISTENER)
		return -EISCONN;
	switch (stream_state(so)) {
	case ST_IDLE:
		return 1;
	case ST_CONNECTING:
		return -EALREADY;
	case ST_UP:
		if (!(sock_fl(so) & NPP_FL_CONNECTING))
			return -EISCONN;
		if (stream_over(so))
			break; /* it was there for a while, and nobody had asked */
		atomic_fetch_and_explicit(&so->sk->fl, ~NPP_FL_CONNECTING, memory_order_relaxed);
		return 0;
	case ST_FAILED:
		break;
	}
	err = sock_error(so); /* who has asked for it before hears of this, too */
	renew(so, fd);
	return err ? -err : -ECONNABORTED;
}

/* Fills the record and posts CONNECT. Under fd_lock. */
static int begin(struct so *so, int fd, int att, const union npp_addr *addr, uint16_t port, uint32_t scope,
		 const union npp_addr *src)
{
	struct npp_sock *sk;
	int slot, r = sock_make(so, fd);

	if (r < 0)
		return r;
	sk = so->sk;
	sk->raddr = *addr;
	sk->rport = port;
	sk->scope = scope;
	if (sock_fl(so) & NPP_FL_BOUND) {
		if (npp_addr_is_any(&sk->laddr))
			sk->laddr = *src;
		slot = slot_for_bound(sk, att);
	} else {
		slot = sock_pick_iop(att);
	}
	if (slot < 0 || !lib_slot((uint32_t)slot))
		r = -ENETUNREACH;
	if (r == 0 && so->kpart)
		r = sock_all_placeholder(so, fd);
	if (r < 0) {
		if (so->kpart && !(sock_fl(so) & NPP_FL_BOUND))
			sock_unmake(so, fd, false);
		return r;
	}
	sk->slot = (uint8_t)slot;
	/* release: an ISM that scans for a lost CONNECT sees the record whole */
	atomic_fetch_or_explicit(&sk->fl, NPP_FL_CONNECTING, memory_order_release);
	r = sock_post(so, NPP_MSG_CONNECT, 0, TX_RING_FIRST);
	if (r < 0)
		atomic_fetch_and_explicit(&sk->fl, ~NPP_FL_CONNECTING, memory_order_relaxed);
	ep_fd_changed(fd, so);
	return r;
}

/* A wildcard-bound socket connects to a kernel address: gives its record back. */
static int back_to_kernel(struct so *so, int fd)
{
	if (so->kind == SO_OURS) {
		if (!so->kpart)
			return -ENETUNREACH;
		sock_unmake(so, fd, sock_fl(so) & NPP_FL_BOUND);
	}
	sock_to_kernel(so, fd);
	return 1;
}

/* The attempt WAS is of: what the socket had when it was begun. SO may be another socket's since, if this one was closed. */
static bool is_still(const struct so *so, const struct so *was)
{
	return so->kind == SO_OURS && so->idx == was->idx && so->gen == was->gen;
}

static struct so as_it_is(const struct so *so)
{
	return (struct so){ .sk = so->sk, .idx = so->idx, .gen = so->gen };
}

/* Waits for the end of the attempt. */
static int finish(struct so *so, int fd, const struct so *was)
{
	uint64_t deadline = deadline_of(atomic_load_explicit(&was->sk->sndtimeo_ms, memory_order_relaxed));
	unsigned vain = 0;
	int r = 0;

	while (is_still(so, was)) {
		switch (stream_state(so)) {
		case ST_UP:
		case ST_IDLE:
			atomic_fetch_and_explicit(&was->sk->fl, ~NPP_FL_CONNECTING, memory_order_relaxed);
			return 0;
		case ST_FAILED:
			fd_lock();
			if (is_still(so, was)) {
				r = sock_error(so);
				renew(so, fd);
			}
			fd_unlock();
			return r ? -r : -ECONNABORTED;
		case ST_CONNECTING:
			break;
		}
		r = sock_wait(so, fd, WANT_STATE, deadline, &vain);
		if (r < 0)
			return r == -EAGAIN ? -EINPROGRESS : r;
	}
	return -ECONNABORTED;
}

static bool v4_to_v6only(const struct so *so, const struct sockaddr *sa)
{
	const struct sockaddr_in6 *a6 = (const void *)sa;

	return sock_v6only(so) && IN6_IS_ADDR_V4MAPPED(&a6->sin6_addr);
}

/* What keeps a socket of ours from connecting to SA, in the order of Linux: the state comes before the address.
 * 0: an earlier attempt has succeeded; 1: nothing does. */
static int refused(struct so *so, int fd, const struct sockaddr *sa, socklen_t len)
{
	int r;

	if (!sa || len < sizeof sa->sa_family)
		return -EINVAL;
	if (sa->sa_family == AF_UNSPEC) /* Linux would end any connection, and any listener */
		return so->sk->type == NPP_SOCK_STREAM && stream_state(so) == ST_IDLE ? 0 : -EOPNOTSUPP;
	r = earlier(so, fd);
	if (r != 1)
		return r;
	r = addr_check(so, sa, len);
	return r < 0 ? r : v4_to_v6only(so, sa) ? -ENETUNREACH : 1;
}

/**
 * sock_do_connect() - connect() on a stream socket that may become ours
 *
 * Return: 0, 1 (it is the kernel's: call the real one), or -errno
 */
int sock_do_connect(struct so *so, int fd, const struct sockaddr *sa, socklen_t len)
{
	union npp_addr addr, src;
	struct so was;
	uint16_t port;
	int att, r = 1;
	bool waits;

	if (so->kind != SO_OURS && (addr_check(so, sa, len) < 0 || v4_to_v6only(so, sa)))
		return 1;
	fd_lock();
	if (so->kind == SO_OURS)
		r = refused(so, fd, sa, len);
	if (r == 1) {
		addr_in(sa, len, &addr, &port);
		att = sock_route(&addr, &src);
		r = att < 0 ? back_to_kernel(so, fd) : begin(so, fd, att, &addr, port, addr_scope(sa, len), &src);
		if (r == 0)
			r = sock_fl(so) & NPP_FL_NONBLOCK ? -EINPROGRESS : -EALREADY;
	}
	was = as_it_is(so);
	waits = r == -EALREADY && !(sock_fl(so) & NPP_FL_NONBLOCK);
	fd_unlock();
	return waits ? finish(so, fd, &was) : r;
}

/**
 * sock_fast_open() - connect() of sendto(MSG_FASTOPEN)
 *
 * With a cookie of that peer the ISM lets us write at once, so even a call that does not
 * block waits a moment for its answer.
 * Return: as sock_do_connect()
 */
int sock_fast_open(struct so *so, int fd, const struct sockaddr *sa, socklen_t len)
{
	uint64_t deadline = lib_now_us() + FAST_OPEN_WAIT_US;
	bool asked = sock_opt_flags(so) & NPP_OPT_FASTOPEN;
	unsigned vain = 0;
	struct so was;
	int r;

	if (so->sk)
		atomic_fetch_or_explicit(&so->sk->opt_flags, NPP_OPT_FASTOPEN, memory_order_relaxed);
	else
		so->opt.flags |= NPP_OPT_FASTOPEN;
	r = sock_do_connect(so, fd, sa, len);
	while (r == -EINPROGRESS && stream_state(so) == ST_CONNECTING)
		if (sock_wait(so, fd, WANT_STATE, deadline, &vain) < 0)
			return r;
	was = as_it_is(so);
	r = r == -EINPROGRESS && stream_state(so) == ST_UP ? finish(so, fd, &was) : r;
	if (r == 0 && !asked && so->kind == SO_OURS) /* that was for this once: it is no TCP_FASTOPEN_CONNECT */
		atomic_fetch_and_explicit(&so->sk->opt_flags, ~NPP_OPT_FASTOPEN, memory_order_relaxed);
	return r;
}

/* sendto(MSG_FASTOPEN) to no address: what Linux says of a socket that is connected, or should be. */
int sock_fast_open_again(struct so *so, int fd)
{
	int r;

	fd_lock();
	r = so->kind == SO_OURS ? earlier(so, fd) : -EINVAL;
	fd_unlock();
	return r == 1 ? -EINVAL : r == 0 ? -EISCONN : r;
}

/* No more sending: after the bytes that are in the ring now. */
static int shut_write(struct so *so)
{
	struct npp_sock *sk = so->sk;
	int r = sock_lock_take(&sk->tx_lock);
	uint32_t old;

	if (r < 0)
		return r;
	old = atomic_fetch_or_explicit(&sk->fl, NPP_FL_SHUT_WR, memory_order_relaxed);
	sock_lock_drop(&sk->tx_lock);
	if (!(old & NPP_FL_SHUT_WR))
		sock_post(so, NPP_MSG_SHUTDOWN, 0, atomic_load_explicit(&sk->tx_head, memory_order_acquire));
	return 0;
}

/* Is there no connection any more? */
bool stream_over(const struct so *so)
{
	return atomic_load_explicit(&so->sk->rx_flags, memory_order_acquire) & (NPP_RXF_RESET | NPP_RXF_CLOSED);
}

int sock_do_shutdown(struct so *so, int fd, int how)
{
	bool over;
	int r = 0;

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (so->sk->type == NPP_SOCK_LISTENER) {
		if (how != SHUT_WR)
			atomic_fetch_or_explicit(&so->sk->fl, NPP_FL_SHUT_RD, memory_order_relaxed);
		return so->kpart && R->shutdown(fd, how) < 0 ? -errno : 0;
	}
	if (so->dgram ? !(sock_fl(so) & NPP_FL_CONNECTED) : stream_state(so) == ST_IDLE)
		return -ENOTCONN;
	if (!so->dgram && stream_state(so) == ST_UP) /* as for Linux the attempt is over then, and connect() says so */
		atomic_fetch_and_explicit(&so->sk->fl, ~NPP_FL_CONNECTING, memory_order_relaxed);
	over = !so->dgram && stream_over(so); /* before what we do here may end it */
	if (how != SHUT_WR)
		atomic_fetch_or_explicit(&so->sk->fl, NPP_FL_SHUT_RD, memory_order_relaxed);
	if (how != SHUT_RD) {
		if (so->dgram)
			atomic_fetch_or_explicit(&so->sk->fl, NPP_FL_SHUT_WR, memory_order_relaxed);
		else
			r = shut_write(so);
	}
	if (r < 0)
		return r;
	/* Our instances of epoll know it at once. Others may be asleep in recv() and send(), or wait for what has now
	 * come to be: the ISM tells them. */
	ep_so_shut(so);
	sock_look(so, NPP_IN_WAKE);
	return over ? -ENOTCONN : 0; /* as Linux, which has noted it all the same */
}
