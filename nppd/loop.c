/* SPDX-License-Identifier: GPL-2.0-or-later
 * loop.c - descriptors and timers of a supervisor
 *
 * One event per wait: what a handler removes can then not be in a batch still to come.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "nppd/loop.h"

uint64_t loop_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int loop_init(struct loop *l)
{
	l->timers = NULL;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	return l->epfd < 0 ? -errno : 0;
}

void loop_fini(struct loop *l)
{
	if (l->epfd >= 0)
		close(l->epfd);
	l->epfd = -1;
}

int loop_add(struct loop *l, struct loop_fd *src, int fd, void (*fn)(struct loop_fd *), void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = src };

	*src = (struct loop_fd){ .fd = fd, .fn = fn, .arg = arg };
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		src->fd = -1;
		return -errno;
	}
	return 0;
}

void loop_del(struct loop *l, struct loop_fd *src)
{
	if (src->fd >= 0)
		epoll_ctl(l->epfd, EPOLL_CTL_DEL, src->fd, NULL);
	src->fd = -1;
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
	struct loop_timer **p = &l->timers;

	while (t->armed && *p && *p != t)
		p = &(*p)->next;
	if (t->armed && *p)
		*p = t->next;
	t->armed = false;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint32_t in_ms, void (*fn)(struct loop_timer *), void *arg)
{
	struct loop_timer **p = &l->timers;

	loop_timer_stop(l, t);
	/* The millisecond that has begun does not count: never early. */
	t->due_ms = loop_now_ms() + in_ms + (in_ms > 0);
	t->fn = fn;
	t->arg = arg;
	t->armed = true;
	while (*p && (*p)->due_ms <= t->due_ms)
		p = &(*p)->next;
	t->next = *p;
	*p = t;
}

int loop_step(struct loop *l, int max_ms)
{
	struct epoll_event ev;
	struct loop_fd *src;
	int n;

	if (l->timers) {
		uint64_t now = loop_now_ms();
		int64_t left = l->timers->due_ms > now ? (int64_t)(l->timers->due_ms - now) : 0;

		if (max_ms < 0 || left < max_ms)
			max_ms = left > 1000000 ? 1000000 : (int)left;
	}
	n = epoll_wait(l->epfd, &ev, 1, max_ms);
	if (n < 0 && errno != EINTR)
		return -errno;
	if (n > 0) {
		src = ev.data.ptr;
		src->fn(src);
	}
	if (l->timers && l->timers->due_ms <= loop_now_ms()) {
		struct loop_timer *t = l->timers;

		loop_timer_stop(l, t);
		t->fn(t);
	}
	return 0;
}
