/* SPDX-License-Identifier: GPL-2.0-or-later
 * stream.c - bytes of a connected socket
 *
 * Two byte rings in host memory. The ISM moves rx_head and tx_tail, programs move
 * rx_tail and tx_head, each direction under its lock, since several threads and
 * processes may hold the same socket. The ring of a direction may be replaced by a
 * larger one or taken away when empty, by the ISM, also under that lock: so a ring
 * descriptor is read under the lock, checked, used, and forgotten with the lock.
 *
 * On the way without waiting there is no system call: copy, store, one atomic or, and a
 * doorbell only for an ISM that sleeps.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"
#include "shm/lock.h"

#define TX_RING_ASK 4096u	/* what we ask for at least */
#define WRITABLE_LOOKS 8	/* one more each time that the ring went between a look and the arming, which takes an ISM seconds */
#define UNSENT_STEP 65536u	/* what TCP_NOTSENT_LOWAT lets in at a time, at least */
#define RING_MIN 64u		/* smaller ones, of which no part is free, no ISM makes */
#define RING_WAIT_US 20000u
#define RING_BACK_US 2000u	/* for one that was there before */
#define RING_TRIES 10000	/* of a place that is being changed */
#define PATIENCE_US 2000000
#define PATIENCE_ANEW_US 60000000

/* The ISM of SLOT has left something half done since SINCE (microseconds): it was killed, and a successor
 * puts that right, or it is up to no good. Waits a moment; false: it was waited for long enough, for
 * all sockets of this process together and whatever came of it, so that one that lies cannot keep
 * those of others waiting. A minute later it may have been another death. */
bool lib_patience(uint32_t slot, uint64_t *since)
{
	uint64_t now = lib_now_us(), first;
	struct slot *s;

	if (slot >= NPP_MAX_SLOTS)
		return false;
	s = &npp_lib.slot[slot];
	first = atomic_load_explicit(&s->waits_us, memory_order_relaxed);
	if (now - first > PATIENCE_ANEW_US) {
		atomic_store_explicit(&s->waits_us, now, memory_order_relaxed);
		atomic_store_explicit(&s->waited_us, 0, memory_order_relaxed);
	}
	if (*since == 0)
		*since = now;
	else
		atomic_fetch_add_explicit(&s->waited_us, (uint32_t)(now - *since), memory_order_relaxed);
	*since = now;
	if (atomic_load_explicit(&s->waited_us, memory_order_relaxed) >= PATIENCE_US)
		return false;
	lib_nap(500);
	return true;
}

bool ring_ok(uint32_t slot, const struct npp_ring_desc *d, uint8_t **base, uint32_t *size)
{
	uint64_t off, since = 0;
	uint32_t n, seq;
	int tries = 0;

	do {
		if (++tries > RING_TRIES && !lib_patience(slot, &since))
			return false;
		/* acquire: pairs with the ISM's release of an even number */
		seq = atomic_load_explicit(&d->seq, memory_order_acquire);
		off = *(const volatile uint64_t *)&d->off;
		n = *(const volatile uint32_t *)&d->size;
		atomic_thread_fence(memory_order_acquire);
	} while (seq & 1 || seq != atomic_load_explicit(&d->seq, memory_order_relaxed));
	if (off == 0 || off % 64 || n < RING_MIN || n & (n - 1))
		return false;
	*base = lib_at(off, n);
	*size = n;
	return *base != NULL;
}

/* Sum of the lengths, cut to what Linux moves in one call; -EINVAL. */
ssize_t iov_total(const struct iovec *iov, int n)
{
	size_t sum = 0;

	if (n < 0 || n > 1024)
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len > (size_t)SSIZE_MAX - sum)
			return -EINVAL;
		sum += iov[i].iov_len;
	}
	return sum > SPAN_MAX ? (ssize_t)SPAN_MAX : (ssize_t)sum;
}

/* Walks an iovec from byte SKIP on. */
struct cursor { const struct iovec *iov; int n; size_t off; };

static struct cursor cursor_at(const struct iovec *iov, int n, size_t skip)
{
	struct cursor c = { iov, n, 0 };

	while (c.n && skip >= c.iov->iov_len) {
		skip -= c.iov->iov_len;
		c.iov++;
		c.n--;
	}
	c.off = skip;
	return c;
}

/* The next piece of at most MAX bytes; 0: the end. */
static size_t cursor_take(struct cursor *c, size_t max, uint8_t **p)
{
	size_t k;

	while (c->n && c->off >= c->iov->iov_len) {
		c->iov++;
		c->n--;
		c->off = 0;
	}
	if (!c->n)
		return 0;
	k = c->iov->iov_len - c->off;
	if (k > max)
		k = max;
	*p = (uint8_t *)c->iov->iov_base + c->off;
	c->off += k;
	return k;
}

/* ---- receive -------------------------------------------------------------------- */

uint32_t stream_readable(const struct so *so)
{
	/* acquire: pairs with the ISM's release after it copied the bytes */
	return atomic_load_explicit(&so->sk->rx_head, memory_order_acquire) -
	       atomic_load_explicit(&so->sk->rx_tail, memory_order_relaxed);
}

static void ring_out(const uint8_t *base, uint32_t size, uint32_t from, size_t n, struct cursor *c)
{
	while (n) {
		uint32_t at = from & (size - 1);
		size_t k = size - at < n ? size - at : n;
		uint8_t *p;

		k = cursor_take(c, k, &p);
		if (k == 0)
			return;
		memcpy(p, base + at, k);
		from += (uint32_t)k;
		n -= k;
	}
}

/* rx_tail moved: does the ISM want to hear of it? */
static void told_read(struct so *so, uint32_t tail)
{
	struct npp_sock *sk = so->sk;

	atomic_thread_fence(memory_order_seq_cst); /* pairs with the ISM's fence after it set rx_want */
	if (atomic_load_explicit(&sk->rx_want, memory_order_relaxed) &&
	    (int32_t)(tail - atomic_load_explicit(&sk->rx_wake, memory_order_relaxed)) >= 0)
		sock_look(so, NPP_IN_RX);
}

/* What is there now, at most WANT from SKIP bytes into the iovec. 0: nothing, but for *HIDDEN bytes that are none
 * for who peeks. *STOP: something was read, in this call or (MORE) before, and now comes the mark of urgent data. */
static ssize_t take(struct so *so, const struct iovec *iov, int n, size_t skip, size_t want, int flags, bool more,
		    bool *stop, uint32_t *hidden)
{
	struct npp_sock *sk = so->sk;
	struct cursor c = cursor_at(iov, n, skip);
	uint32_t tail, from, avail, size;
	struct urg u;
	uint8_t *base;
	int r;

	*stop = false;
	*hidden = 0;
	if (stream_readable(so) == 0)
		return 0;
	r = sock_lock_take(&sk->rx_lock);
	if (r < 0)
		return r;
	tail = atomic_load_explicit(&sk->rx_tail, memory_order_relaxed);
	avail = stream_readable(so);
	from = tail;
	if (unlikely(urg_at(so, &u)))
		avail = urg_limit(&u, &from, avail, more);
	if (avail > want)
		avail = (uint32_t)want;
	if (!sock_alive(so)) {
		avail = 0;
		from = tail;
	} else if (avail && (!ring_ok(sk->slot, &sk->rx_ring, &base, &size) || avail > size)) {
		sock_lock_drop(&sk->rx_lock);
		return -EIO; /* the ISM's offsets make no sense */
	}
	if (avail && !(flags & MSG_TRUNC))
		ring_out(base, size, from, avail, &c);
	from += avail;
	*stop = u.any && u.off == from && (avail || more);
	if (avail == 0 && flags & MSG_PEEK)
		*hidden = from - tail;
	if (from != tail && !(flags & MSG_PEEK)) {
		if (unlikely(u.any))
			urg_passed(so, &u, from);
		/* release: the ISM that sees the new tail may overwrite what was copied */
		atomic_store_explicit(&sk->rx_tail, from, memory_order_release);
	}
	sock_lock_drop(&sk->rx_lock);
	if (from != tail && !(flags & MSG_PEEK))
		told_read(so, from);
	return avail;
}

/* Byte OFF of the ring under rx_lock; -EIO: it cannot be there. */
int stream_byte(struct so *so, uint32_t off)
{
	uint32_t size, ahead = off - atomic_load_explicit(&so->sk->rx_tail, memory_order_relaxed);
	uint8_t *base;

	return ring_ok(so->sk->slot, &so->sk->rx_ring, &base, &size) && ahead < size ? base[off & (size - 1)] : -EIO;
}

/* Nothing to read, but for HIDDEN bytes: why? 0 end of file, -EAGAIN, or the error. */
static int why_empty(struct so *so, uint32_t hidden)
{
	struct npp_sock *sk = so->sk;
	uint32_t rxf;
	int err;

	switch (stream_state(so)) {
	case ST_IDLE:
		return -ENOTCONN;
	case ST_CONNECTING:
		return -EAGAIN;
	case ST_FAILED:
	case ST_UP:
		break;
	}
	rxf = atomic_load_explicit(&sk->rx_flags, memory_order_acquire);
	if (stream_readable(so) > hidden && sock_alive(so))
		return -EAGAIN; /* came after the look; the flags come after the bytes */
	if (rxf & NPP_RXF_FIN && sock_alive(so))
		return 0; /* whatever became of it since: that is for whoever writes, or asks, to hear (as on Linux) */
	err = sock_error(so);
	if (err)
		return -err;
	if (!sock_alive(so))
		return -EBADF;
	return rxf || sock_fl(so) & NPP_FL_SHUT_RD ? 0 : -EAGAIN;
}

/* recv() of no bytes: as on Linux it waits, once, for something that could be read. */
static ssize_t recv_nothing(struct so *so, int fd, bool block)
{
	int r = stream_readable(so) && sock_alive(so) ? 0 : why_empty(so, 0);
	unsigned vain = 0;

	if (r != -EAGAIN || !block)
		return r;
	r = sock_wait(so, fd, EPOLLIN | WANT_ANY, deadline_of(atomic_load_explicit(&so->sk->rcvtimeo_ms, memory_order_relaxed)), &vain);
	return r == -EAGAIN ? 0 : r;
}

/* How many of WANT bytes a call waits for. */
static ssize_t recv_target(const struct npp_sock *sk, ssize_t want, int flags)
{
	uint32_t low = atomic_load_explicit(&sk->rcvlowat, memory_order_relaxed);

	if (flags & MSG_WAITALL || low > want)
		return want;
	return low ? (ssize_t)low : 1;
}

/* Has all come that will? Whoever only peeks leaves it there, so it cannot be seen by nothing being left. */
static bool no_more(const struct so *so)
{
	return sock_fl(so) & NPP_FL_SHUT_RD || atomic_load_explicit(&so->sk->err, memory_order_relaxed) ||
	       atomic_load_explicit(&so->sk->rx_flags, memory_order_acquire) & (NPP_RXF_FIN | NPP_RXF_RESET | NPP_RXF_CLOSED);
}

/**
 * stream_recv() - read(), recv() and their family
 * @flags: MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT, MSG_TRUNC (discard), MSG_OOB (urgent.c)
 *
 * Return: bytes, 0 at the end of the stream, or -errno
 */
ssize_t stream_recv(struct so *so, int fd, const struct iovec *iov, int n, int flags)
{
	struct npp_sock *sk = so->sk;
	ssize_t want = iov_total(iov, n), got = 0, r;
	bool block = !(flags & MSG_DONTWAIT || sock_fl(so) & NPP_FL_NONBLOCK), timed = false, stop;
	uint64_t deadline = 0;
	uint32_t hidden;
	unsigned vain = 0;

	if (want < 0)
		return want;
	if (flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (flags & MSG_OOB)
		return urg_recv(so, iov, n, (size_t)want, flags);
	if (want == 0)
		return recv_nothing(so, fd, block);
	for (;;) {
		r = take(so, iov, n, flags & MSG_PEEK ? 0 : (size_t)got, (size_t)(flags & MSG_PEEK ? want : want - got),
			 flags, got && !(flags & MSG_PEEK), &stop, &hidden);
		if (r > 0) {
			got = flags & MSG_PEEK ? r : got + r;
			vain = flags & MSG_PEEK ? vain : 0;
		}
		if (r < 0 || stop || (got && (!block || got >= recv_target(sk, want, flags))))
			break;
		if (got && !(flags & MSG_PEEK) && no_more(so)) { /* an error is for the next call, as on Linux */
			if (stream_readable(so) && sock_alive(so) && ++vain <= VAIN_MAX)
				continue;
			break;
		}
		r = why_empty(so, hidden);
		if (r == -EAGAIN && stream_readable(so) && !(flags & MSG_PEEK) && ++vain <= VAIN_MAX)
			continue;
		if (r != -EAGAIN || !block)
			break;
		if (!timed) {
			deadline = deadline_of(atomic_load_explicit(&sk->rcvtimeo_ms, memory_order_relaxed));
			timed = true;
		}
		if (flags & MSG_PEEK && got && no_more(so))
			break;
		if (flags & MSG_PEEK && got) { /* wait for more than there is: look at times */
			uint64_t soon = lib_now_us() + 1000;

			r = sock_wait(so, fd, 0, soon < deadline ? soon : deadline, &vain);
			if (r == -EAGAIN && soon < deadline)
				r = 0;
		} else {
			r = sock_wait(so, fd, EPOLLIN | WANT_ANY, deadline, &vain);
		}
		if (r < 0)
			break;
	}
	return got ? got : r;
}

/* ---- send -------------------------------------------------------------------------- */

ssize_t stream_broken_pipe(int flags)
{
	if (!(flags & MSG_NOSIGNAL))
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGPIPE);
	return -EPIPE;
}

/* May SO send? 0, -EAGAIN (not yet connected), or the error. */
static int may_send(struct so *so, int flags)
{
	int err;

	switch (stream_state(so)) {
	case ST_IDLE:
		return (int)stream_broken_pipe(flags);
	case ST_CONNECTING:
		return -EAGAIN;
	case ST_FAILED:
	case ST_UP:
		break;
	}
	err = sock_error(so);
	if (err) /* after the peer's end a reset is told as that, too */
		return err == EPIPE ? (int)stream_broken_pipe(flags) : -err;
	if (sock_fl(so) & NPP_FL_SHUT_WR ||
	    atomic_load_explicit(&so->sk->rx_flags, memory_order_acquire) & (NPP_RXF_RESET | NPP_RXF_CLOSED))
		return (int)stream_broken_pipe(flags);
	return sock_alive(so) ? 0 : -EBADF;
}

/* Asks for NPP_OUT_TX; the caller looks once more afterwards. True: had not been asked yet. */
static bool want_room(struct npp_sock *sk)
{
	/* seq_cst: pairs with the ISM's exchange after it moved tx_tail or made a ring */
	return atomic_exchange_explicit(&sk->tx_want, 1, memory_order_seq_cst) == 0;
}

/* What was written and not sent yet. An ISM that has not said anything yet has sent nothing. */
uint32_t stream_unsent(const struct npp_sock *sk)
{
	uint32_t head = atomic_load_explicit(&sk->tx_head, memory_order_relaxed);
	uint32_t used = head - atomic_load_explicit(&sk->tx_tail, memory_order_relaxed);
	/* acquire: pairs with the ISM's release */
	uint32_t unsent = head - atomic_load_explicit(&sk->tx_sent, memory_order_acquire);

	return unsent < used ? unsent : used;
}

/* The program that has set SO_SNDBUF may count on so much being taken of it, and a peer that takes nothing
 * gives the ISM no occasion to make the ring of SIZE bytes larger: give it one. */
static void ask_growth(struct so *so, uint32_t size)
{
	uint32_t set = atomic_load_explicit(&so->sk->sndbuf, memory_order_relaxed);

	if (set && size < npp_tcp_mem_set(sock_mem(so, true), set))
		sock_look(so, NPP_IN_TX);
}

static bool need_ring(struct so *so, size_t bytes)
{
	uint32_t ask = bytes < TX_RING_ASK ? TX_RING_ASK : bytes > (1u << 30) ? 1u << 30 : (uint32_t)bytes;

	if (want_room(so->sk))
		sock_post(so, NPP_MSG_NEED_RING, 0, ask);
	return *(volatile uint64_t *)&so->sk->tx_ring.off != 0;
}

static uint32_t tx_room(const struct npp_sock *sk, uint32_t size)
{
	uint32_t used = atomic_load_explicit(&sk->tx_head, memory_order_relaxed) -
			/* acquire: pairs with the ISM's release; what was acknowledged may be overwritten */
			atomic_load_explicit(&sk->tx_tail, memory_order_acquire);

	return used > size ? 0 : size - used;
}

/* How much of ROOM may be filled, by TCP_NOTSENT_LOWAT (LOWAT): none while so much has not been sent yet, else as on
 * Linux up to a large segment beyond it. */
static uint32_t unsent_room(const struct npp_sock *sk, uint32_t room, uint32_t lowat)
{
	uint32_t unsent = stream_unsent(sk), step;

	if (unsent >= lowat)
		return 0;
	step = lowat - unsent > UNSENT_STEP ? lowat - unsent : UNSENT_STEP;
	return room < step ? room : step;
}

static uint32_t may_fill(const struct npp_sock *sk, uint32_t size)
{
	uint32_t room = tx_room(sk, size), lowat = atomic_load_explicit(&sk->notsent_lowat, memory_order_relaxed);

	return unlikely(lowat) ? unsent_room(sk, room, lowat) : room;
}

static bool room_for_more(const struct npp_sock *sk, uint32_t size)
{
	uint32_t lowat = atomic_load_explicit(&sk->notsent_lowat, memory_order_relaxed);

	return tx_room(sk, size) >= size / 4 && (!lowat || 2ull * stream_unsent(sk) < lowat);
}

/**
 * stream_writable() - would a send find room?
 *
 * A connection without a ring is writable: it is asked for by the first send, which waits for it, or
 * finds that it takes longer. Arms tx_want if the answer is no. What was armed by this call is looked at once
 * more: the ring may have gone meanwhile, and then nobody else asks for another.
 */
bool stream_writable(struct so *so)
{
	struct npp_sock *sk = so->sk;
	bool armed = false;

	for (int pass = 0; pass < WRITABLE_LOOKS; pass++) {
		uint32_t size = *(volatile uint32_t *)&sk->tx_ring.size;

		if (*(volatile uint64_t *)&sk->tx_ring.off == 0) {
			if (atomic_load_explicit(&sk->tx_want, memory_order_relaxed) == 0)
				return true;
			if (!want_room(sk) && !armed)
				return false; /* who has armed it has asked */
			sock_post(so, NPP_MSG_NEED_RING, 0, TX_RING_ASK);
			armed = false;
		} else {
			if (room_for_more(sk, size))
				return true;
			if (want_room(sk)) {
				armed = true;
				ask_growth(so, size);
			} else if (pass) {
				return false;
			}
		}
	}
	return false;
}

/* Does what is written now wait for more? Under tx_lock; the store of tx_head that follows publishes it. */
static void note_more(struct npp_sock *sk, bool more)
{
	bool was = atomic_load_explicit(&sk->opt_flags, memory_order_relaxed) & NPP_OPT_MORE;

	if (was == more)
		return;
	if (more)
		atomic_fetch_or_explicit(&sk->opt_flags, NPP_OPT_MORE, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&sk->opt_flags, ~NPP_OPT_MORE, memory_order_relaxed);
}

/* Fills the ring by FILL under tx_lock. Bytes; 0: FILL has come to its end; -ENOBUFS: no room
 * now (tx_want is armed); -ESTALE: look again; or -errno. */
static ssize_t put(struct so *so, size_t want, stream_fill fill, void *arg, int flags)
{
	struct npp_sock *sk = so->sk;
	uint32_t size, room, head, done = 0;
	bool armed = false;
	uint8_t *base;
	ssize_t k = 0;
	int r = sock_lock_take(&sk->tx_lock);

	if (r < 0)
		return r;
	if (sock_fl(so) & NPP_FL_SHUT_WR || !sock_alive(so)) {
		sock_lock_drop(&sk->tx_lock);
		return -ESTALE;
	}
	if (!ring_ok(sk->slot, &sk->tx_ring, &base, &size)) {
		bool none = *(volatile uint64_t *)&sk->tx_ring.off == 0;

		sock_lock_drop(&sk->tx_lock);
		if (!none)
			return -EIO; /* the ISM's ring makes no sense */
		return need_ring(so, want) ? -ESTALE : -ENOBUFS;
	}
	head = atomic_load_explicit(&sk->tx_head, memory_order_relaxed);
	room = may_fill(sk, size);
	if (room < want) {
		armed = want_room(sk); /* also what makes the ISM think of a larger ring */
		room = may_fill(sk, size);
	}
	if (room == 0) {
		sock_lock_drop(&sk->tx_lock);
		if (armed)
			ask_growth(so, size);
		return -ENOBUFS;
	}
	while (done < room && done < want) {
		uint32_t at = (head + done) & (size - 1), part = size - at;

		if (part > room - done)
			part = room - done;
		if (part > want - done)
			part = (uint32_t)(want - done);
		k = fill(arg, base + at, part);
		if (k <= 0)
			break;
		done += (uint32_t)k;
		if ((uint32_t)k < part)
			break;
	}
	if (done && unlikely(flags & MSG_OOB))
		urg_mark(sk, head + done);
	if (done)
		note_more(sk, flags & MSG_MORE);
	if (done) /* release: pairs with the ISM's acquire of tx_head */
		atomic_store_explicit(&sk->tx_head, head + done, memory_order_release);
	sock_lock_drop(&sk->tx_lock);
	if (done)
		sock_look(so, NPP_IN_TX);
	return done ? (ssize_t)done : k;
}

static ssize_t fill_iov(void *arg, uint8_t *at, size_t room)
{
	size_t done = 0, k;
	uint8_t *p;

	while (done < room && (k = cursor_take(arg, room - done, &p)) != 0) {
		memcpy(at + done, p, k);
		done += k;
	}
	return (ssize_t)done;
}

/* The kernel takes a first answer of some size whole, and programs that do not block count
 * on it. So before they write more than the ring can hold, they wait a moment for a ring
 * that fits (wmem of the NPP says how large that is), which is what their next EPOLLOUT
 * would have cost them. Once for each size. Nor does the kernel ever refuse what is sent when nothing
 * waits: a ring that was given back while the connection was idle is asked for and waited for shortly. */
static void ring_for(struct so *so, size_t want)
{
	struct npp_sock *sk = so->sk;
	uint32_t size = *(volatile uint32_t *)&sk->tx_ring.size, most, fit;
	bool grow;

	if (size >= want)
		return;
	most = sock_mem(so, true).dflt;
	fit = want < most ? (uint32_t)want : most;
	grow = atomic_load_explicit(&so->asked, memory_order_relaxed) < fit;
	if (size >= fit || (size && !grow) || stream_state(so) != ST_UP)
		return;
	if (grow)
		atomic_store_explicit(&so->asked, fit, memory_order_relaxed);
	sock_ask_ring(so, fit, lib_now_us() + (grow ? RING_WAIT_US : RING_BACK_US));
}

/* The common loop of send and sendfile. */
static ssize_t send_loop(struct so *so, int fd, size_t want, stream_fill fill, void *arg, int flags)
{
	bool block = !(flags & MSG_DONTWAIT || sock_fl(so) & NPP_FL_NONBLOCK), timed = false;
	uint64_t deadline = 0;
	unsigned vain = 0;
	ssize_t sent = 0, r;

	if (!block)
		ring_for(so, want);
	for (;;) {
		r = may_send(so, sent ? flags | MSG_NOSIGNAL : flags);
		if (r == 0) {
			r = put(so, want - (size_t)sent, fill, arg, flags);
			if (r > 0) {
				sent += r;
				vain = 0;
				if ((size_t)sent == want)
					break;
				continue; /* room may have come, or the next turn says why not */
			}
			if (r == -ESTALE && ++vain <= VAIN_MAX)
				continue; /* shut or freed between the looks: may_send() will say */
			if (r == -ESTALE)
				r = -EIO;
			if (r != -ENOBUFS)
				break;
		} else if (r != -EAGAIN) {
			break;
		}
		r = -EAGAIN;
		if (!block)
			break;
		if (!timed) {
			deadline = deadline_of(atomic_load_explicit(&so->sk->sndtimeo_ms, memory_order_relaxed));
			timed = true;
		}
		r = sock_wait(so, fd, EPOLLOUT, deadline, &vain);
		if (r < 0)
			break;
	}
	return sent ? sent : r;
}

/**
 * stream_send() - write(), send() and their family
 *
 * A blocking call returns when everything is in the ring. With MSG_OOB the last byte is
 * urgent. With MSG_MORE a segment that is not full waits for what is written next, 200 ms at most.
 * Return: bytes, or -errno (-EPIPE after SIGPIPE was raised, as Linux does)
 */
ssize_t stream_send(struct so *so, int fd, const struct iovec *iov, int n, int flags)
{
	ssize_t want = iov_total(iov, n);
	struct cursor c = { iov, n, 0 };

	if (want < 0)
		return want;
	if (want == 0) {
		int r = may_send(so, flags);

		return r == -EAGAIN ? 0 : r;
	}
	return send_loop(so, fd, (size_t)want, fill_iov, &c, flags);
}

/**
 * stream_send_by() - what FILL gives, at most WANT bytes, as send() with FLAGS would
 *
 * Return: bytes, 0 if FILL has come to its end, or -errno
 */
ssize_t stream_send_by(struct so *so, int fd, size_t want, stream_fill fill, void *arg, int flags)
{
	return send_loop(so, fd, want > SPAN_MAX ? SPAN_MAX : want, fill, arg, flags);
}

struct file_source { int fd; bool at; off_t off; };

static ssize_t fill_file(void *arg, uint8_t *at, size_t room)
{
	struct file_source *f = arg;
	ssize_t k = f->at ? R->pread(f->fd, at, room, f->off) : R->read(f->fd, at, room);

	if (k < 0)
		return -errno;
	f->off += k;
	return k;
}

/* What Linux, which reads first, says of a file that nothing is sent of: -EBADF, 0 at its end; 1: nothing. */
static int judge_file(int in, const off_t *off)
{
	off_t at = off ? *off : lseek(in, 0, SEEK_CUR);
	uint8_t byte;

	if (R->fcntl(in, F_GETFD) < 0)
		return -EBADF;
	return at >= 0 && R->pread(in, &byte, 1, at) == 0 ? 0 : 1;
}

/**
 * stream_sendfile() - from a file straight into the ring
 * @off: as in sendfile(2); NULL: from the file's own position, which moves
 */
ssize_t stream_sendfile(struct so *so, int fd, int in, off_t *off, size_t n)
{
	struct file_source f = { .fd = in, .at = off != NULL, .off = off ? *off : 0 };
	ssize_t r;

	if (off && *off < 0)
		return R->fcntl(in, F_GETFD) < 0 ? -EBADF : -EINVAL;
	if (n == 0)
		return 0;
	if (sock_fl(so) & NPP_FL_SHUT_WR || no_more(so) || stream_state(so) == ST_IDLE) { /* not writable, it may be */
		int judged = judge_file(in, off);

		if (judged <= 0)
			return judged;
	}
	r = stream_send_by(so, fd, n, fill_file, &f, 0);
	if (off && r > 0)
		*off = f.off;
	return r;
}
