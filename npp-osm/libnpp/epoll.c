/* SPDX-License-Identifier: GPL-2.0-or-later
 * epoll.c - epoll instances that hold our sockets beside the kernel's
 *
 * An instance is a kernel epoll set. Kernel descriptors are in it as the program put
 * them, data and all. Ours are items here; for them the instance has a context whose
 * doorbell is in the kernel set, edge-triggered, with a secret as its data. ISMs post
 * EVENTs to that context: they name the socket, its items go to the ready list, and
 * epoll_wait() evaluates what is on the list:
 *
 *   level    stays on the list for as long as something holds
 *   edge     reported once per visit to the list; pending bits are cleared before the
 *            look, so that what comes later posts a new EVENT
 *   one-shot reported once, then off until modified
 *
 * An item that is not ready leaves the list only after its pending bits were cleared and
 * the socket was looked at once more, so nothing can fall between.
 *
 * A set that a child of fork inherited is rebuilt on first use there: lanes have one
 * consumer, so the child needs a context of its own.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "npp-osm/libnpp/epoll_priv.h"
#include "shm/bell.h"

#define KERNEL_TURN 8	/* while ours are ready, look at the kernel's every so many waits */
#define SHUT (NPP_FL_SHUT_RD | NPP_FL_SHUT_WR)
#define WANTED(ev) ((ev) & 0x7ffu)	/* EPOLLIN .. EPOLLMSG */

/* ---- wait ------------------------------------------------------------------------------------------ */

/* Was IT looked at since the socket was shut? Edge-triggered, it must not be told twice. */
static bool knows_shut(const struct item *it)
{
	return sock_alive(it->so) && it->so->idx == it->idx && (sock_fl(it->so) & SHUT) == it->shut;
}

static void on_event(void *arg, const struct npp_msg *m)
{
	struct ep *ep = arg;

	for (struct item *it = ep->bucket[m->sock % EP_BUCKETS]; it; it = it->chain)
		if (it->idx == m->sock && it->gen == m->sock_gen && !(m->arg == NPP_OUT_SHUT && knows_shut(it)))
			ep_ready_add(ep, it);
}

static void collect(struct ep *ep)
{
	if (!ep->ctx || !ctx_drain(ep->ctx, on_event, ep))
		return;
	for (int fd = 0; fd < FD_MAX; fd++) /* a lane overflowed: look at everything */
		if (ep->by_fd[fd] && ep->by_fd[fd]->idx)
			ep_ready_add(ep, ep->by_fd[fd]);
}

/* What IT is to report now; 0 nothing, and its pending bits are clear then. */
static uint32_t evaluate(struct item *it)
{
	uint32_t want = WANTED(it->events) | EPOLLERR | EPOLLHUP, m;

	if (it->off || !sock_alive(it->so) || it->so->gen != it->gen || it->so->idx != it->idx)
		return 0;
	it->shut = sock_fl(it->so) & SHUT;
	if (!(it->events & EPOLLET)) {
		m = so_ready(it->so, want) & (want | (it->events & EPOLLRDHUP));
		if (m)
			return m;
	}
	sock_clear(it->so, EPOLLIN | EPOLLOUT);
	return so_ready(it->so, want) & (want | (it->events & EPOLLRDHUP));
}

static int harvest(struct ep *ep, struct epoll_event *out, int max)
{
	uint32_t left = ep->n_ready;
	int n = 0;

	while (n < max && left--) {
		struct item *it = ep->head;
		uint32_t m;

		ep_ready_del(ep, it);
		m = evaluate(it);
		if (!m)
			continue;
		out[n].events = m;
		out[n++].data = it->data;
		if (it->events & EPOLLONESHOT)
			it->off = true;
		else if (!(it->events & EPOLLET))
			ep_ready_add(ep, it);
	}
	return n;
}

static int gather(struct ep *ep, struct epoll_event *out, int max)
{
	int n;

	ep_lock(ep);
	collect(ep);
	n = harvest(ep, out, max);
	ep_unlock(ep);
	return n;
}

/* Takes our doorbell out of what the kernel reported. */
static int without_bell(struct epoll_event *ev, int n)
{
	int k = 0;

	for (int i = 0; i < n; i++)
		if (ev[i].data.u64 != npp_lib.bell_cookie)
			ev[k++] = ev[i];
	return k;
}

/* DEADLINE: 0 do not wait, UINT64_MAX for ever. */
static int kernel_wait(int epfd, struct epoll_event *ev, int max, uint64_t deadline, const sigset_t *mask)
{
	uint64_t now = deadline && deadline != UINT64_MAX ? lib_now_us() : 0;
	uint64_t left = deadline > now ? deadline - now : 0;
	int ms, n;

	if (deadline == UINT64_MAX)
		ms = -1;
	else
		ms = left > 1000ull * INT32_MAX ? INT32_MAX : (int)((left + 999) / 1000);
	if (ms > 0 && ms < 10 && left % 1000 && R->epoll_pwait2) {
		struct timespec ts = { 0, (long)left * 1000 };

		n = R->epoll_pwait2(epfd, ev, max, &ts, mask);
	} else {
		n = R->epoll_pwait(epfd, ev, max, ms, mask);
	}
	return n < 0 ? -errno : n;
}

/* A thread wants to sleep. 0: it may; else so many events are there. */
static int sleep_enter(struct ep *ep, struct epoll_event *ev, int max)
{
	atomic_fetch_add_explicit(&ep->sleepers, 1, memory_order_seq_cst);
	if (!ep->ctx)
		return 0;
	npp_bell_announce(&ep->ctx->sh->sleeping);
	return gather(ep, ev, max);
}

/* A thread has slept. The doorbell woke one of perhaps several: announce again for the
 * others, and pass on what came in between. */
static void sleep_leave(struct ep *ep)
{
	uint32_t before;

	if (atomic_fetch_sub_explicit(&ep->sleepers, 1, memory_order_seq_cst) == 1) {
		if (ep->ctx && !ep->nested)
			npp_bell_awake(&ep->ctx->sh->sleeping);
		return;
	}
	if (!ep->ctx)
		return;
	npp_bell_announce(&ep->ctx->sh->sleeping);
	ep_lock(ep);
	before = ep->n_ready;
	collect(ep);
	if (ep->n_ready > before)
		lib_ring(ep->ctx->bell);
	ep_unlock(ep);
}

static int ep_wait(struct ep *ep, int epfd, struct epoll_event *ev, int max, uint64_t deadline, const sigset_t *mask)
{
	int n = 0, k;

	if (++ep->turn % KERNEL_TURN == 0) { /* the kernel's first for once */
		k = kernel_wait(epfd, ev, max, 0, mask);
		if (k < 0)
			return k;
		n = without_bell(ev, k);
	}
	for (;;) {
		if (n < max)
			n += gather(ep, ev + n, max - n);
		if (n)
			return n;
		if (deadline == 0) {
			k = kernel_wait(epfd, ev, max, 0, mask);
			return k < 0 ? k : without_bell(ev, k);
		}
		n = sleep_enter(ep, ev, max);
		k = n ? 0 : kernel_wait(epfd, ev, max, deadline, mask);
		sleep_leave(ep);
		if (n || k < 0)
			return n ? n : k;
		n = without_bell(ev, k);
		if (k == 0 && deadline != UINT64_MAX && lib_now_us() >= deadline)
			return gather(ep, ev, max);
	}
}

/* The instance behind EPFD if it holds any of our sockets. */
static struct ep *ep_of(int epfd, int max, const struct epoll_event *ev)
{
	struct so *so = fd_get(epfd);
	struct ep *ep;
	int r;

	if (!so || so->kind != SO_EPOLL || !so->ep || max <= 0 || !ev)
		return NULL;
	ep = so->ep;
	ep->epfd = epfd;
	if (ep->stale) {
		fd_lock();
		ep_lock(ep);
		r = ep_revive(ep, epfd);
		ep_unlock(ep);
		fd_unlock();
		if (r < 0)
			return NULL;
	}
	return ep->n_ours && ctx_self() ? ep : NULL;
}

int npp_epoll_pwait(int epfd, struct epoll_event *ev, int max, int timeout_ms, const sigset_t *mask)
{
	struct ep *ep = ep_of(epfd, max, ev);
	int saved = errno, r;
	uint64_t deadline;

	deadline = timeout_ms < 0 ? UINT64_MAX : timeout_ms == 0 ? 0 : lib_now_us() + (uint64_t)timeout_ms * 1000;
	if (!ep) {
		r = R->epoll_pwait(epfd, ev, max, timeout_ms, mask);
		if (r <= 0)
			return r;
		r = without_bell(ev, r);
		if (r > 0 || timeout_ms == 0)
			return r;
		ep = ep_of(epfd, max, ev); /* woken by the doorbell: another thread put the first of ours in */
		if (!ep)
			return 0;
	}
	r = ep_wait(ep, epfd, ev, max, deadline, mask);
	errno = r < 0 ? -r : saved;
	return r < 0 ? -1 : r;
}

int npp_epoll_pwait2(int epfd, struct epoll_event *ev, int max, const struct timespec *timeout, const sigset_t *mask)
{
	struct ep *ep = ep_of(epfd, max, ev);
	int saved = errno, r;
	uint64_t us;

	if (!ep) {
		if (!R->epoll_pwait2) {
			errno = ENOSYS;
			return -1;
		}
		r = R->epoll_pwait2(epfd, ev, max, timeout, mask);
		return r > 0 ? without_bell(ev, r) : r;
	}
	if (timeout && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec > 999999999)) {
		errno = EINVAL;
		return -1;
	}
	us = timeout ? (uint64_t)timeout->tv_sec * 1000000 + (uint64_t)(timeout->tv_nsec + 999) / 1000 : 0;
	r = ep_wait(ep, epfd, ev, max, !timeout ? UINT64_MAX : us ? lib_now_us() + us : 0, mask);
	errno = r < 0 ? -r : saved;
	return r < 0 ? -1 : r;
}

/* ---- an instance inside poll() or another instance --------------------------------------------------- */

/* True if SO holds sockets of ours; from then on its doorbell is always announced, since
 * whoever polls the kernel's descriptor waits for it without our knowing. */
uint32_t ep_poll_prepare(struct so *so)
{
	struct ep *ep = so->ep;

	if (!ep)
		return 0;
	ep->nested = true;
	if (ep->ctx)
		npp_bell_announce(&ep->ctx->sh->sleeping);
	return ep->n_ours != 0;
}

uint32_t ep_ready(struct so *so)
{
	struct ep *ep = so->ep;
	uint32_t m = 0;

	ep_lock(ep);
	collect(ep);
	for (uint32_t left = ep->n_ready; left && !m; left--) {
		struct item *it = ep->head;

		ep_ready_del(ep, it);
		if (evaluate(it)) {
			ep_ready_add(ep, it);
			m = EPOLLIN | EPOLLRDNORM;
		}
	}
	ep_unlock(ep);
	return m;
}
