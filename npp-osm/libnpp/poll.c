/* SPDX-License-Identifier: GPL-2.0-or-later
 * poll.c - readiness of our sockets; poll() and select() over both kinds
 *
 * so_ready() says in epoll's bits what the kernel would say about a socket in the same
 * state. It also arms: where EPOLLOUT is wanted and does not hold, tx_want is set before
 * the last look, so that the ISM tells us.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "npp-osm/libnpp/priv.h"
#include "shm/bell.h"

enum stream_state stream_state(const struct so *so)
{
	struct npp_sock *sk = so->sk;
	/* acquire: pairs with the ISM's release after it filled the record */
	uint32_t st = atomic_load_explicit(&sk->tcp_state, memory_order_acquire);
	uint32_t rxf = atomic_load_explicit(&sk->rx_flags, memory_order_acquire);

	if (!(sock_fl(so) & NPP_FL_CONNECTING)) {
		if (atomic_load_explicit(&sk->ism_handle, memory_order_relaxed) == NO_HANDLE &&
		    atomic_load_explicit(&sk->owner, memory_order_relaxed) < 0x10000)
			return ST_IDLE;
		return ST_UP;
	}
	if (st >= TCP_ST_ESTABLISHED || rxf & NPP_RXF_FIN)
		return ST_UP;
	if (rxf & (NPP_RXF_RESET | NPP_RXF_CLOSED) || atomic_load_explicit(&sk->err, memory_order_relaxed))
		return ST_FAILED;
	return ST_CONNECTING;
}

static uint32_t stream_ready(struct so *so, uint32_t want)
{
	struct npp_sock *sk = so->sk;
	uint32_t fl = sock_fl(so), m = 0, rxf, low, n;
	bool dead, urgent;
	struct urg u;

	switch (stream_state(so)) {
	case ST_IDLE: /* its kernel part, if it has one, says so itself, and an instance of epoll shall not hear it twice */
		return so->kpart ? 0 : EPOLLOUT | EPOLLHUP;
	case ST_CONNECTING:
		return 0;
	case ST_FAILED:
		return EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP | (want & WANT_STATE) |
		       (atomic_load_explicit(&sk->err, memory_order_relaxed) ? EPOLLERR : 0);
	case ST_UP:
		break;
	}
	m = want & WANT_STATE;
	rxf = atomic_load_explicit(&sk->rx_flags, memory_order_acquire);
	dead = rxf & (NPP_RXF_RESET | NPP_RXF_CLOSED);
	urgent = urg_at(so, &u);
	if (rxf & NPP_RXF_FIN || fl & NPP_FL_SHUT_RD || dead) {
		m |= EPOLLIN | EPOLLRDHUP;
		if (dead || fl & NPP_FL_SHUT_WR)
			m |= EPOLLHUP;
	} else {
		low = want & WANT_ANY ? 1 : atomic_load_explicit(&sk->rcvlowat, memory_order_relaxed);
		low = (low ? low : 1) + (urgent && u.at_mark && !u.inlined); /* that byte is none to read */
		n = stream_readable(so);
		/* that flag as old as these bytes or younger: as on Linux who waits for more than can come may read */
		if (n >= low || (n && atomic_load_explicit(&sk->rx_full, memory_order_relaxed)))
			m |= EPOLLIN;
	}
	if (urgent && u.here && !u.read)
		m |= EPOLLPRI;
	if (atomic_load_explicit(&sk->err, memory_order_relaxed))
		m |= EPOLLERR | EPOLLIN;
	if (dead || fl & NPP_FL_SHUT_WR || (want & EPOLLOUT && stream_writable(so)))
		m |= EPOLLOUT;
	return m;
}

static uint32_t dgram_ready(struct so *so, uint32_t want)
{
	uint32_t m = dgram_readable(so, NULL) ? EPOLLIN : 0;

	if (sock_fl(so) & NPP_FL_SHUT_RD)
		m |= EPOLLIN | EPOLLRDHUP | (sock_fl(so) & NPP_FL_SHUT_WR ? EPOLLHUP : 0);
	if (atomic_load_explicit(&so->sk->err, memory_order_relaxed))
		m |= EPOLLERR;
	if (want & EPOLLOUT && dgram_writable(so))
		m |= EPOLLOUT;
	return m;
}

/**
 * so_ready() - what holds for SO now, its kernel part not counted
 * @want: one of WANT_OUT in it: arm what is missing
 */
uint32_t so_ready(struct so *so, uint32_t want)
{
	uint32_t m;

	if (want & WANT_OUT)
		want |= EPOLLOUT;
	if (so->kind == SO_EPOLL)
		return ep_ready(so);
	if (so->kind != SO_OURS)
		return 0;
	if (so->sk->type == NPP_SOCK_LISTENER)
		return accept_waiting(so) ? EPOLLIN | EPOLLRDNORM : 0;
	m = so->dgram ? dgram_ready(so, want) : stream_ready(so, want);
	if (m & EPOLLIN)
		m |= EPOLLRDNORM;
	if (m & EPOLLOUT)
		m |= EPOLLWRNORM | (so->dgram ? EPOLLWRBAND : 0);
	return m;
}

/* ---- poll ------------------------------------------------------------------------ */

/* The bits of poll() and epoll have the same values on Linux. */
#define ALWAYS (EPOLLERR | EPOLLHUP)
#define STACK_FDS 64

struct poller {
	struct pollfd *fds;
	nfds_t n;
	struct pollfd *kfds;	/* n + 1: the kernel's view, the doorbell last */
	const sigset_t *mask;
	uint64_t deadline;
	bool forever;
};

static bool is_npp(struct so *so)
{
	return so && (so->kind == SO_OURS || (so->kind == SO_EPOLL && ep_poll_prepare(so)));
}

static bool any_npp(const struct pollfd *fds, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++)
		if (fds[i].fd >= 0 && is_npp(fd_get(fds[i].fd)))
			return true;
	return false;
}

/* Fills revents of our sockets; how many have any. */
static int look(struct poller *p)
{
	int ready = 0;

	for (nfds_t i = 0; i < p->n; i++) {
		struct so *so = p->fds[i].fd < 0 ? NULL : fd_get(p->fds[i].fd);
		uint32_t want = (uint16_t)p->fds[i].events;

		p->fds[i].revents = 0;
		if (!is_npp(so))
			continue;
		p->fds[i].revents = (short)(so_ready(so, want) & (want | ALWAYS));
		ready += p->fds[i].revents != 0;
	}
	return ready;
}

static int subscribe_all(struct poller *p, struct lctx *c)
{
	for (nfds_t i = 0; i < p->n; i++) {
		struct so *so = p->fds[i].fd < 0 ? NULL : fd_ours(p->fds[i].fd);
		uint32_t want = (uint16_t)p->fds[i].events;
		int r;

		if (!so)
			continue;
		r = sock_subscribe(so, c, (want & WANT_OUT ? NPP_SUB_TX : 0) | NPP_SUB_RX);
		if (r < 0)
			return r;
		sock_clear(so, EPOLLIN | (want & WANT_OUT ? EPOLLOUT : 0));
	}
	return 0;
}

/* The kernel's part: descriptors that are not ours or have a kernel part. With WAIT it
 * sleeps, on the doorbell too. Adds to revents; number of descriptors ready in all. */
static int kernel_poll(struct poller *p, struct lctx *c, bool wait)
{
	struct timespec ts = { 0, 0 };
	int ready = 0, r = 0, kernel = wait;
	struct pollfd *from = p->kfds;
	nfds_t n = p->n + 1;
	uint64_t v;

	for (nfds_t i = 0; i < p->n; i++) {
		struct so *so = p->fds[i].fd < 0 ? NULL : fd_ours(p->fds[i].fd);

		p->kfds[i] = p->fds[i];
		p->kfds[i].revents = 0;
		if (so && !so->kpart)
			p->kfds[i].fd = -1;
		else if (so && so->dgram) /* the kernel always has room: ours decides */
			p->kfds[i].events &= (short)~WANT_OUT;
		kernel |= p->kfds[i].fd >= 0;
	}
	p->kfds[p->n] = (struct pollfd){ .fd = wait ? c->bell : -1, .events = POLLIN };
	if (wait && !p->forever) {
		uint64_t now = lib_now_us();
		uint64_t left = now < p->deadline ? p->deadline - now : 0;

		ts.tv_sec = (time_t)(left / 1000000);
		ts.tv_nsec = (long)(left % 1000000) * 1000;
	}
	for (; n > 1 && from->fd < 0; n--) /* no more than need be: RLIMIT_NOFILE may be 1 */
		from++;
	if (kernel)
		r = R->ppoll(from, n, wait && p->forever ? NULL : &ts, p->mask);
	if (r < 0)
		return -errno;
	if (p->kfds[p->n].revents & POLLIN && R->read(c->bell, &v, sizeof v) < 0)
		return -errno;
	for (nfds_t i = 0; i < p->n; i++) {
		if (p->fds[i].fd >= 0)
			p->fds[i].revents = (short)(p->fds[i].revents | p->kfds[i].revents);
		ready += p->fds[i].revents != 0;
	}
	return ready;
}

static int poll_core(struct poller *p)
{
	struct lctx *c = ctx_self();
	int r, ours;

	if (!c)
		return -ENOMEM;
	r = subscribe_all(p, c);
	if (r < 0)
		return -ENOMEM;
	for (;;) {
		bool wait;

		ours = look(p);
		wait = !ours && (p->forever || lib_now_us() < p->deadline);
		if (wait) {
			npp_bell_announce(&c->sh->sleeping);
			ours = look(p);
			wait = !ours;
		}
		r = kernel_poll(p, c, wait);
		npp_bell_awake(&c->sh->sleeping);
		if (r != 0)
			return r;
		ctx_drain(c, NULL, NULL);
		r = subscribe_all(p, c); /* clears what is pending before the next look */
		if (r < 0)
			return -ENOMEM;
		ours = look(p);
		if (ours || (!p->forever && lib_now_us() >= p->deadline))
			return ours;
	}
}

static int do_poll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd small[STACK_FDS + 1];
	struct poller p = { .fds = fds, .n = n, .kfds = small, .mask = mask, .forever = !timeout };
	size_t bytes = (n + 1) * sizeof *fds;
	int r;

	if (n > FD_MAX)
		return -EINVAL;
	if (n > STACK_FDS) {
		p.kfds = lib_pages(bytes);
		if (!p.kfds)
			return -ENOMEM;
	}
	if (timeout)
		p.deadline = lib_now_us() + (uint64_t)timeout->tv_sec * 1000000 +
			     (uint64_t)(timeout->tv_nsec + 999) / 1000;
	r = poll_core(&p);
	if (p.kfds != small)
		lib_pages_free(p.kfds, bytes);
	return r;
}

static bool bad_time(const struct timespec *t)
{
	return t && (t->tv_sec < 0 || t->tv_nsec < 0 || t->tv_nsec > 999999999);
}

int npp_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	int saved = errno, r;

	if (!any_npp(fds, n))
		return R->ppoll(fds, n, timeout, mask);
	r = bad_time(timeout) ? -EINVAL : do_poll(fds, n, timeout, mask);
	errno = r < 0 ? -r : saved;
	return r < 0 ? -1 : r;
}

int npp_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct timespec ts = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };

	if (!any_npp(fds, n))
		return R->poll(fds, n, timeout_ms);
	return npp_ppoll(fds, n, timeout_ms < 0 ? NULL : &ts, NULL);
}

/* ---- select ---------------------------------------------------------------------------- */

static bool select_has_npp(int n, fd_set *r, fd_set *w, fd_set *x)
{
	for (int fd = 0; fd < n && fd < FD_SETSIZE; fd++)
		if (((r && FD_ISSET(fd, r)) || (w && FD_ISSET(fd, w)) || (x && FD_ISSET(fd, x))) && is_npp(fd_get(fd)))
			return true;
	return false;
}

static nfds_t select_in(int n, fd_set *r, fd_set *w, fd_set *x, struct pollfd *p)
{
	nfds_t k = 0;

	for (int fd = 0; fd < n; fd++) {
		short ev = (short)((r && FD_ISSET(fd, r) ? POLLIN : 0) | (w && FD_ISSET(fd, w) ? POLLOUT : 0) |
				   (x && FD_ISSET(fd, x) ? POLLPRI : 0));

		if (ev)
			p[k++] = (struct pollfd){ .fd = fd, .events = ev };
	}
	return k;
}

static int select_out(const struct pollfd *p, nfds_t k, int n, fd_set *r, fd_set *w, fd_set *x)
{
	fd_set in, out, pri;
	int count = 0;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&pri);
	for (nfds_t i = 0; i < k; i++) {
		short e = p[i].revents, ev = p[i].events;

		if (e & POLLNVAL)
			return -EBADF;
		if (ev & POLLIN && e & (POLLIN | POLLHUP | POLLERR))
			FD_SET(p[i].fd, &in), count++;
		if (ev & POLLOUT && e & (POLLOUT | POLLERR))
			FD_SET(p[i].fd, &out), count++;
		if (ev & POLLPRI && e & POLLPRI)
			FD_SET(p[i].fd, &pri), count++;
	}
	size_t bytes = (size_t)(n + 63) / 64 * 8; /* the program's sets may be no longer than that */

	if (r)
		memcpy(r, &in, bytes);
	if (w)
		memcpy(w, &out, bytes);
	if (x)
		memcpy(x, &pri, bytes);
	return count;
}

int npp_pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd p[FD_SETSIZE];
	int saved = errno, res;
	nfds_t k;

	if (n < 0 || n > FD_SETSIZE || !select_has_npp(n, r, w, x))
		return R->pselect(n, r, w, x, timeout, mask);
	k = select_in(n, r, w, x, p);
	res = bad_time(timeout) ? -EINVAL : do_poll(p, k, timeout, mask);
	if (res >= 0)
		res = select_out(p, k, n, r, w, x);
	errno = res < 0 ? -res : saved;
	return res < 0 ? -1 : res;
}

int npp_select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout)
{
	struct timespec ts;
	uint64_t start, spent, all;
	int res;

	if (n < 0 || n > FD_SETSIZE || !select_has_npp(n, r, w, x))
		return R->select(n, r, w, x, timeout);
	if (!timeout)
		return npp_pselect(n, r, w, x, NULL, NULL);
	if (timeout->tv_sec < 0 || timeout->tv_usec < 0) {
		errno = EINVAL;
		return -1;
	}
	ts.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
	ts.tv_nsec = timeout->tv_usec % 1000000 * 1000;
	start = lib_now_us();
	res = npp_pselect(n, r, w, x, &ts, NULL);
	spent = lib_now_us() - start; /* Linux leaves what remains of the time */
	all = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	all = spent < all ? all - spent : 0;
	timeout->tv_sec = (time_t)(all / 1000000);
	timeout->tv_usec = (suseconds_t)(all % 1000000);
	return res;
}
