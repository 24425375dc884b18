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

#include "npp-osm/libnpp/priv.h"
#include "shm/bell.h"

#define BUCKETS 4096
#define ITEMS_AT_ONCE 256
#define KERNEL_TURN 8	/* while ours are ready, look at the kernel's every so many waits */
#define WANTED(ev) ((ev) & 0x7ffu)	/* EPOLLIN .. EPOLLMSG */

struct item {
	int fd;
	struct so *so;
	uint32_t idx, gen;		/* of the record it is subscribed to; 0 none: a kernel-yet socket */
	uint32_t events;
	epoll_data_t data;
	bool ready, off;
	struct item *next, *prev;	/* ready list; next: free list */
	struct item *chain;		/* same bucket */
};

struct ep {
	pthread_mutex_t lock;
	struct lctx *ctx;
	bool stale;			/* inherited by fork, not yet rebuilt */
	bool nested;			/* somebody polls the instance itself: always announced */
	uint32_t n_ours;		/* items with a record */
	uint32_t n_ready, turn;
	_Atomic uint32_t sleepers;	/* threads in the kernel's wait */
	int epfd;			/* a descriptor of it, as last seen */
	struct item *head, *tail;
	struct item *free;
	struct item **by_fd;		/* FD_MAX */
	struct item *bucket[BUCKETS];
	struct ep *next;		/* all instances, also unused ones */
	bool used;
};

/* ---- lists ------------------------------------------------------------------------- */

static void ready_add(struct ep *ep, struct item *it)
{
	if (it->ready)
		return;
	it->ready = true;
	it->next = NULL;
	it->prev = ep->tail;
	if (ep->tail)
		ep->tail->next = it;
	else
		ep->head = it;
	ep->tail = it;
	ep->n_ready++;
}

static void ready_del(struct ep *ep, struct item *it)
{
	if (!it->ready)
		return;
	it->ready = false;
	if (it->prev)
		it->prev->next = it->next;
	else
		ep->head = it->next;
	if (it->next)
		it->next->prev = it->prev;
	else
		ep->tail = it->prev;
	ep->n_ready--;
}

static struct item *item_new(struct ep *ep)
{
	struct item *it = ep->free;

	if (!it) {
		it = lib_pages(ITEMS_AT_ONCE * sizeof *it);
		if (!it)
			return NULL;
		for (int i = 0; i < ITEMS_AT_ONCE; i++) {
			it[i].next = ep->free;
			ep->free = &it[i];
		}
		it = ep->free;
	}
	ep->free = it->next;
	memset(it, 0, sizeof *it);
	return it;
}

static void unhash(struct ep *ep, struct item *it)
{
	struct item **p = &ep->bucket[it->idx % BUCKETS];

	while (*p && *p != it)
		p = &(*p)->chain;
	if (*p)
		*p = it->chain;
}

/* ---- subscriptions -------------------------------------------------------------------- */

/* The context of EP, its doorbell in the kernel set EPFD. */
static int ep_context(struct ep *ep, int epfd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = npp_lib.bell_cookie };

	if (ep->ctx)
		return 0;
	ep->ctx = ctx_open(1);
	if (!ep->ctx)
		return -ENOMEM;
	if (R->epoll_ctl(epfd, EPOLL_CTL_ADD, ep->ctx->bell, &ev) < 0) {
		int r = -errno;

		ctx_close(ep->ctx);
		ep->ctx = NULL;
		return r;
	}
	return 0;
}

static uint32_t sub_flags(uint32_t events)
{
	return NPP_SUB_RX | (events & EPOLLOUT ? NPP_SUB_TX : 0) | (events & EPOLLEXCLUSIVE ? NPP_SUB_EXCLUSIVE : 0);
}

/* What all items of EP want of the socket of IT. */
static uint32_t all_flags(struct ep *ep, struct item *it)
{
	uint32_t f = 0;

	for (struct item *i = ep->bucket[it->idx % BUCKETS]; i; i = i->chain)
		if (i->idx == it->idx)
			f |= sub_flags(i->events);
	return f;
}

/* IT's socket has a record (perhaps a new one): hear of its events and look at it. */
static int item_attach(struct ep *ep, struct item *it)
{
	int r;

	if (it->idx) {
		unhash(ep, it);
		ep->n_ours--;
	}
	it->idx = it->so->idx;
	it->gen = it->so->gen;
	it->chain = ep->bucket[it->idx % BUCKETS];
	ep->bucket[it->idx % BUCKETS] = it;
	ep->n_ours++;
	r = sock_subscribe(it->so, ep->ctx, all_flags(ep, it));
	ready_add(ep, it);
	return r;
}

static void item_remove(struct ep *ep, struct item *it)
{
	uint32_t rest;

	ready_del(ep, it);
	ep->by_fd[it->fd] = NULL;
	atomic_fetch_sub_explicit(&it->so->items, 1, memory_order_relaxed);
	if (it->idx) {
		unhash(ep, it);
		ep->n_ours--;
		if (ep->ctx && it->so->sk && it->so->idx == it->idx) {
			rest = all_flags(ep, it);
			if (rest)
				sock_subscribe(it->so, ep->ctx, rest);
			else
				sock_unsubscribe(it->so, ep->ctx);
			if (it->events & EPOLLEXCLUSIVE && it->so->sk->type == NPP_SOCK_LISTENER)
				accept_hand_on(it->so);
		}
	}
	it->next = ep->free;
	ep->free = it;
}

/* ---- after fork --------------------------------------------------------------------------- */

void ep_forked(void)
{
	for (struct ep *ep = npp_lib.eps; ep; ep = ep->next) {
		pthread_mutex_init(&ep->lock, NULL);
		ep->stale = ep->used && ep->ctx;
		ep->ctx = NULL; /* the parent's */
	}
}

static int revive(struct ep *ep, int epfd)
{
	int r;

	if (!ep->stale)
		return 0;
	ep->stale = false;
	if (!ep->n_ours)
		return 0;
	r = ep_context(ep, epfd);
	for (int fd = 0; fd < FD_MAX && r == 0; fd++) {
		struct item *it = ep->by_fd[fd];

		if (it && it->idx) {
			r = sock_subscribe(it->so, ep->ctx, all_flags(ep, it));
			ready_add(ep, it);
		}
	}
	return r;
}

/* ---- ctl -------------------------------------------------------------------------------------- */

/* Someone may be asleep in epoll_wait() on EP: have him look. Before the first item of
 * ours there was no context to announce with: ring in any case then. */
static void ep_kick(struct ep *ep)
{
	if (!ep->ctx)
		return;
	if (ep->n_ours == 1)
		npp_bell_announce(&ep->ctx->sh->sleeping);
	ctx_wake(ep->ctx);
	if (atomic_load_explicit(&ep->sleepers, memory_order_relaxed) || ep->nested)
		npp_bell_announce(&ep->ctx->sh->sleeping);
}

/* A descriptor of EP, for the kernel's part of it. -1: none. */
static int ep_any_fd(struct ep *ep)
{
	struct so *so = fd_get(ep->epfd);

	if (so && so->kind == SO_EPOLL && so->ep == ep)
		return ep->epfd;
	for (int fd = 0; fd < FD_MAX; fd++) {
		so = fd_get(fd);
		if (so && so->kind == SO_EPOLL && so->ep == ep)
			return ep->epfd = fd;
	}
	return -1;
}

static int ctl_add(struct ep *ep, int epfd, int fd, struct so *so, const struct epoll_event *ev)
{
	struct item *it;
	int r;

	if (ep->by_fd[fd])
		return -EEXIST;
	it = item_new(ep);
	if (!it)
		return -ENOMEM;
	it->fd = fd;
	it->so = so;
	it->events = ev->events;
	it->data = ev->data;
	ep->by_fd[fd] = it;
	atomic_fetch_add_explicit(&so->items, 1, memory_order_relaxed);
	if (so->kind != SO_OURS)
		return 0;
	r = ep_context(ep, epfd);
	if (r == 0)
		r = item_attach(ep, it);
	if (r < 0)
		item_remove(ep, it);
	else
		ep_kick(ep);
	return r;
}

static int ctl_mod(struct ep *ep, int fd, const struct epoll_event *ev)
{
	struct item *it = ep->by_fd[fd];
	int r = 0;

	if (!it)
		return -ENOENT;
	if ((it->events | ev->events) & EPOLLEXCLUSIVE)
		return -EINVAL;
	it->events = ev->events;
	it->data = ev->data;
	it->off = false;
	if (it->idx) {
		r = sock_subscribe(it->so, ep->ctx, all_flags(ep, it));
		ready_add(ep, it);
		ep_kick(ep);
	}
	return r;
}

static int ctl_locked(struct ep *ep, int epfd, int op, int fd, struct so *so, struct epoll_event *ev)
{
	int r = revive(ep, epfd);

	if (r < 0)
		return r;
	if (op == EPOLL_CTL_ADD)
		return ctl_add(ep, epfd, fd, so, ev);
	if (op == EPOLL_CTL_MOD)
		return ctl_mod(ep, fd, ev);
	if (op != EPOLL_CTL_DEL)
		return -EINVAL;
	if (!ep->by_fd[fd])
		return -ENOENT;
	item_remove(ep, ep->by_fd[fd]);
	return 0;
}

/* A descriptor of ours, or one that may become so: kernel part and item, or neither. */
static int ctl_both(struct so *eso, int epfd, int op, int fd, struct so *so, struct epoll_event *ev)
{
	struct ep *ep = eso->ep;
	bool kernel = so->kind == SO_KERNEL_YET || so->kpart;
	int r;

	if (op != EPOLL_CTL_DEL && !ev)
		return -EFAULT;
	ep->epfd = epfd;
	if (kernel && R->epoll_ctl(epfd, op, fd, ev) < 0 && op != EPOLL_CTL_DEL)
		return -errno;
	pthread_mutex_lock(&ep->lock);
	r = ctl_locked(ep, epfd, op, fd, so, ev);
	pthread_mutex_unlock(&ep->lock);
	if (r < 0 && kernel && op == EPOLL_CTL_ADD)
		R->epoll_ctl(epfd, EPOLL_CTL_DEL, fd, ev);
	return r;
}

int npp_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	struct so *eso = fd_get(epfd), *so = fd_get(fd);
	int saved = errno, r;

	if (!eso || eso->kind != SO_EPOLL || !so || epfd == fd)
		return R->epoll_ctl(epfd, op, fd, ev);
	if (so->kind == SO_INTERNAL) {
		errno = EBADF;
		return -1;
	}
	if (so->kind == SO_EPOLL) {
		ep_poll_prepare(so);
		return R->epoll_ctl(epfd, op, fd, ev);
	}
	ctx_self(); /* before the instance's lock: it may need fd_lock */
	fd_lock();
	r = fd_get(fd) == so && fd_get(epfd) == eso ? ctl_both(eso, epfd, op, fd, so, ev) : -EBADF;
	fd_unlock();
	errno = r < 0 ? -r : saved;
	return r < 0 ? -1 : 0;
}

void ep_fd_closed(int fd, struct so *so)
{
	for (struct ep *ep = npp_lib.eps; ep; ep = ep->next) {
		if (!ep->used)
			continue;
		pthread_mutex_lock(&ep->lock);
		if (ep->by_fd[fd] && ep->by_fd[fd]->so == so)
			item_remove(ep, ep->by_fd[fd]);
		pthread_mutex_unlock(&ep->lock);
	}
}

/* FD's object has got a record, or another one: its items are ours from now on. */
void ep_fd_changed(int fd, struct so *so)
{
	if (!atomic_load_explicit(&so->items, memory_order_relaxed))
		return;
	for (struct ep *ep = npp_lib.eps; ep; ep = ep->next) {
		struct item *it;

		if (!ep->used)
			continue;
		pthread_mutex_lock(&ep->lock);
		it = ep->by_fd[fd];
		if (it && it->so == so && ep_context(ep, ep_any_fd(ep)) == 0) {
			item_attach(ep, it);
			ep_kick(ep);
		}
		pthread_mutex_unlock(&ep->lock);
	}
}

/* ---- create, destroy --------------------------------------------------------------------------- */

static struct ep *ep_alloc(void)
{
	struct ep *ep;

	for (ep = npp_lib.eps; ep; ep = ep->next)
		if (!ep->used)
			break;
	if (!ep) {
		ep = lib_pages(sizeof *ep);
		if (!ep)
			return NULL;
		ep->by_fd = lib_pages(FD_MAX * sizeof *ep->by_fd);
		if (!ep->by_fd) {
			lib_pages_free(ep, sizeof *ep);
			return NULL;
		}
		pthread_mutex_init(&ep->lock, NULL);
		ep->next = npp_lib.eps;
		npp_lib.eps = ep;
	}
	ep->used = true;
	return ep;
}

int npp_epoll_create1(int flags)
{
	int fd = R->epoll_create1(flags), saved = errno;
	struct so *so;

	if (fd < 0 || !lib_on() || fd >= FD_MAX)
		return fd;
	fd_lock();
	so = so_new(SO_EPOLL);
	if (so) {
		so->ep = ep_alloc();
		if (so->ep)
			fd_install(fd, so);
	}
	fd_unlock();
	errno = saved;
	return fd;
}

/* The last descriptor of the instance is gone. Under fd_lock. */
void ep_free(struct so *so)
{
	struct ep *ep = so->ep;

	if (!ep)
		return;
	pthread_mutex_lock(&ep->lock);
	for (int fd = 0; fd < FD_MAX; fd++)
		if (ep->by_fd[fd])
			item_remove(ep, ep->by_fd[fd]);
	if (ep->ctx)
		ctx_close(ep->ctx);
	ep->ctx = NULL;
	ep->stale = ep->nested = ep->used = false;
	pthread_mutex_unlock(&ep->lock);
}

/* ---- wait ------------------------------------------------------------------------------------------ */

static void on_event(void *arg, const struct npp_msg *m)
{
	struct ep *ep = arg;

	for (struct item *it = ep->bucket[m->sock % BUCKETS]; it; it = it->chain)
		if (it->idx == m->sock && it->gen == m->sock_gen)
			ready_add(ep, it);
}

static void collect(struct ep *ep)
{
	if (!ep->ctx || !ctx_drain(ep->ctx, on_event, ep))
		return;
	for (int fd = 0; fd < FD_MAX; fd++) /* a lane overflowed: look at everything */
		if (ep->by_fd[fd] && ep->by_fd[fd]->idx)
			ready_add(ep, ep->by_fd[fd]);
}

/* What IT is to report now; 0 nothing, and its pending bits are clear then. */
static uint32_t evaluate(struct item *it)
{
	uint32_t want = WANTED(it->events) | EPOLLERR | EPOLLHUP, m;

	if (it->off || !sock_alive(it->so) || it->so->gen != it->gen || it->so->idx != it->idx)
		return 0;
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

		ready_del(ep, it);
		m = evaluate(it);
		if (!m)
			continue;
		out[n].events = m;
		out[n++].data = it->data;
		if (it->events & EPOLLONESHOT)
			it->off = true;
		else if (!(it->events & EPOLLET))
			ready_add(ep, it);
	}
	return n;
}

static int gather(struct ep *ep, struct epoll_event *out, int max)
{
	int n;

	pthread_mutex_lock(&ep->lock);
	collect(ep);
	n = harvest(ep, out, max);
	pthread_mutex_unlock(&ep->lock);
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

/* A thread wants to sleep. True: it may, nothing is ready. */
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
	static const uint64_t one = 1;
	uint32_t before;

	if (atomic_fetch_sub_explicit(&ep->sleepers, 1, memory_order_seq_cst) == 1) {
		if (ep->ctx && !ep->nested)
			npp_bell_awake(&ep->ctx->sh->sleeping);
		return;
	}
	if (!ep->ctx)
		return;
	npp_bell_announce(&ep->ctx->sh->sleeping);
	pthread_mutex_lock(&ep->lock);
	before = ep->n_ready;
	collect(ep);
	if (ep->n_ready > before && R->write(ep->ctx->bell, &one, sizeof one) < 0)
		before = 0; /* the counter is full: it rings */
	pthread_mutex_unlock(&ep->lock);
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
		pthread_mutex_lock(&ep->lock);
		r = revive(ep, epfd);
		pthread_mutex_unlock(&ep->lock);
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

	pthread_mutex_lock(&ep->lock);
	collect(ep);
	for (uint32_t left = ep->n_ready; left && !m; left--) {
		struct item *it = ep->head;

		ready_del(ep, it);
		if (evaluate(it)) {
			ready_add(ep, it);
			m = EPOLLIN | EPOLLRDNORM;
		}
	}
	pthread_mutex_unlock(&ep->lock);
	return m;
}
