/* SPDX-License-Identifier: GPL-2.0-or-later
 * epoll_set.c - what an epoll instance holds: items, their subscriptions, epoll_ctl()
 *
 * epoll.c explains the whole.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "npp-osm/libnpp/epoll_priv.h"
#include "shm/bell.h"

#define ITEMS_AT_ONCE 256

/* ---- the lock ---------------------------------------------------------------------- */

/* The handler of a fault has the lock if what it interrupted has it. */
void ep_lock(struct ep *ep)
{
	if (unlikely(atomic_load_explicit(&ep->holder, memory_order_relaxed) == &npp_thr)) {
		signals_unknown();
		ep->depth++;
		return;
	}
	word_lock(&ep->word);
	atomic_store_explicit(&ep->holder, &npp_thr, memory_order_relaxed);
}

void ep_unlock(struct ep *ep)
{
	if (unlikely(ep->depth)) {
		ep->depth--;
		return;
	}
	atomic_store_explicit(&ep->holder, NULL, memory_order_relaxed);
	word_unlock(&ep->word);
}

/* ---- lists ------------------------------------------------------------------------- */

void ep_ready_add(struct ep *ep, struct item *it)
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

void ep_ready_del(struct ep *ep, struct item *it)
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
	struct item **p = &ep->bucket[it->idx % EP_BUCKETS];

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
	return NPP_SUB_RX | (events & WANT_OUT ? NPP_SUB_TX : 0) | (events & EPOLLEXCLUSIVE ? NPP_SUB_EXCLUSIVE : 0);
}

/* What all items of EP want of the socket of IT. */
static uint32_t all_flags(struct ep *ep, struct item *it)
{
	uint32_t f = 0;

	for (struct item *i = ep->bucket[it->idx % EP_BUCKETS]; i; i = i->chain)
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
	it->chain = ep->bucket[it->idx % EP_BUCKETS];
	ep->bucket[it->idx % EP_BUCKETS] = it;
	ep->n_ours++;
	r = sock_subscribe(it->so, ep->ctx, all_flags(ep, it));
	ep_ready_add(ep, it);
	return r;
}

static void item_remove(struct ep *ep, struct item *it)
{
	uint32_t rest;

	ep_ready_del(ep, it);
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

/* ---- fork --------------------------------------------------------------------------- */

/* Under fd_lock: the child is to have no lists that another thread was changing. */
void ep_fork_begin(void)
{
	for (struct ep *ep = npp_lib.eps; ep; ep = ep->next)
		if (ep->used)
			ep_lock(ep);
}

void ep_fork_end(void)
{
	for (struct ep *ep = npp_lib.eps; ep; ep = ep->next)
		if (ep->used)
			ep_unlock(ep);
}

void ep_forked(void)
{
	for (struct ep *ep = npp_lib.eps; ep; ep = ep->next) {
		atomic_store_explicit(&ep->word, 0, memory_order_relaxed);
		atomic_store_explicit(&ep->holder, NULL, memory_order_relaxed);
		ep->depth = 0;
		ep->stale = ep->used && ep->ctx;
		ep->ctx = NULL; /* the parent's */
	}
}

int ep_revive(struct ep *ep, int epfd)
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
			ep_ready_add(ep, it);
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

/* What may be waited for exclusively. The kernel says so of its own part only. */
static bool exclusive_ok(const struct epoll_event *ev)
{
	return !(ev->events & EPOLLEXCLUSIVE) ||
	       !(ev->events & ~(uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE));
}

static int ctl_add(struct ep *ep, int epfd, int fd, struct so *so, const struct epoll_event *ev)
{
	struct item *it;
	int r;

	if (!exclusive_ok(ev))
		return -EINVAL;
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

	if (ev->events & EPOLLEXCLUSIVE)
		return -EINVAL;
	if (!it)
		return -ENOENT;
	if (it->events & EPOLLEXCLUSIVE)
		return -EINVAL;
	it->events = ev->events;
	it->data = ev->data;
	it->off = false;
	if (it->idx) {
		r = sock_subscribe(it->so, ep->ctx, all_flags(ep, it));
		ep_ready_add(ep, it);
		ep_kick(ep);
	}
	return r;
}

static int ctl_locked(struct ep *ep, int epfd, int op, int fd, struct so *so, struct epoll_event *ev)
{
	int r = ep_revive(ep, epfd);

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

/* What the kernel's part of SO is asked for: of a datagram socket not EPOLLOUT, since the kernel always
 * has room and ours may not. */
static struct epoll_event kernel_event(const struct so *so, const struct epoll_event *ev)
{
	struct epoll_event k = *ev;

	if (so->kind == SO_OURS && so->dgram)
		k.events &= ~(uint32_t)WANT_OUT;
	return k;
}

/* A descriptor of ours, or one that may become so: kernel part and item, or neither. */
static int ctl_both(struct so *eso, int epfd, int op, int fd, struct so *so, struct epoll_event *ev)
{
	struct ep *ep = eso->ep;
	bool kernel = so->kind == SO_KERNEL_YET || so->kpart;
	struct epoll_event kev;
	int r;

	if (op != EPOLL_CTL_DEL && !ev)
		return -EFAULT;
	ep->epfd = epfd;
	if (ev)
		kev = kernel_event(so, ev);
	if (kernel && R->epoll_ctl(epfd, op, fd, ev ? &kev : NULL) < 0 && op != EPOLL_CTL_DEL)
		return -errno;
	ep_lock(ep);
	r = ctl_locked(ep, epfd, op, fd, so, ev);
	ep_unlock(ep);
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
	signals_check();
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
		ep_lock(ep);
		if (ep->by_fd[fd] && ep->by_fd[fd]->so == so)
			item_remove(ep, ep->by_fd[fd]);
		ep_unlock(ep);
	}
}

/* The kernel's part of IT, which was put there while all of it was the kernel's. */
static void kernel_changed(struct ep *ep, const struct item *it)
{
	struct epoll_event ev = { .events = it->events, .data = it->data }, k = kernel_event(it->so, &ev);
	int saved = errno;

	if (it->so->kpart && k.events != ev.events && R->epoll_ctl(ep->epfd, EPOLL_CTL_DEL, it->fd, &k) == 0)
		R->epoll_ctl(ep->epfd, EPOLL_CTL_ADD, it->fd, &k);
	errno = saved;
}

/* Under the instance's lock. */
static void item_changed(struct ep *ep, struct item *it, struct so *so)
{
	if (!it || it->so != so || ep_context(ep, ep_any_fd(ep)) < 0)
		return;
	kernel_changed(ep, it);
	item_attach(ep, it);
	ep_kick(ep);
}

/* FD's object has got a record, or another one: its items, of all its descriptors, are ours from now on. */
void ep_fd_changed(int fd, struct so *so)
{
	bool dups = atomic_load_explicit(&so->nfds, memory_order_relaxed) > 1;

	if (!atomic_load_explicit(&so->items, memory_order_relaxed))
		return;
	for (struct ep *ep = npp_lib.eps; ep; ep = ep->next) {
		if (!ep->used)
			continue;
		ep_lock(ep);
		item_changed(ep, ep->by_fd[fd], so);
		for (int i = 0; dups && i < FD_MAX; i++)
			if (i != fd)
				item_changed(ep, ep->by_fd[i], so);
		ep_unlock(ep);
	}
}

/* Under no lock: SO is what it is by its own words. */
void ep_so_shut(struct so *so)
{
	if (!atomic_load_explicit(&so->items, memory_order_relaxed))
		return;
	for (struct ep *ep = npp_lib.eps; ep; ep = ep->next) {
		if (!ep->used)
			continue;
		ep_lock(ep);
		for (struct item *it = ep->bucket[so->idx % EP_BUCKETS]; it; it = it->chain)
			if (it->so == so)
				ep_ready_add(ep, it);
		ep_unlock(ep);
	}
}

/* SO's record goes, and it is the kernel's alone again. */
void ep_so_lost(struct so *so)
{
	if (!atomic_load_explicit(&so->items, memory_order_relaxed))
		return;
	for (struct ep *ep = npp_lib.eps; ep; ep = ep->next) {
		ep_lock(ep);
		for (int fd = 0; ep->used && fd < FD_MAX; fd++) {
			struct item *it = ep->by_fd[fd];

			if (!it || it->so != so || !it->idx)
				continue;
			ep_ready_del(ep, it);
			unhash(ep, it);
			ep->n_ours--;
			it->idx = 0;
		}
		ep_unlock(ep);
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
	if (!npp_lib.eps)
		signals_look();
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
	ep_lock(ep);
	for (int fd = 0; fd < FD_MAX; fd++)
		if (ep->by_fd[fd])
			item_remove(ep, ep->by_fd[fd]);
	if (ep->ctx)
		ctx_close(ep->ctx);
	ep->ctx = NULL;
	ep->stale = ep->nested = ep->used = false;
	ep_unlock(ep);
}
