/* SPDX-License-Identifier: GPL-2.0-or-later
 * wait.c - steps: poll, select and epoll, over all sockets at once
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include "twin.h"

#define CALLS 20
#define NESTED 99

static void step_poll(struct world *w)
{
	static const short events[] = { POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLIN | POLLOUT, 0, POLLRDNORM | POLLWRNORM, POLLRDBAND | POLLWRBAND, 0x7fff };
	struct pollfd pf[SLOTS];
	int r;

	for (int i = 0; i < SLOTS; i++)
		pf[i] = (struct pollfd){ .fd = w->slot[i], .events = one_of(w, events), .revents = 0x55 };
	errno = 0;
	r = poll(pf, SLOTS, 0);
	say(w, "poll(");
	for (int i = 0; i < SLOTS; i++)
		if (w->slot[i] >= 0)
			say(w, " %x:%x", (unsigned)pf[i].events, (unsigned)pf[i].revents);
	say(w, ")");
	say_result(w, r);
}

static void step_select(struct world *w)
{
	struct timeval now = { 0, 0 };
	fd_set sets[3];
	int r, max = 0;

	for (int k = 0; k < 3; k++) {
		FD_ZERO(&sets[k]);
		for (int i = 0; i < SLOTS; i++)
			if (w->slot[i] >= 0 && roll(w, 3))
				FD_SET(w->slot[i], &sets[k]), max = w->slot[i] >= max ? w->slot[i] + 1 : max;
	}
	errno = 0;
	r = select(max, &sets[0], &sets[1], &sets[2], &now);
	say(w, "select(");
	for (int i = 0; i < SLOTS && r >= 0; i++)
		if (w->slot[i] >= 0)
			say(w, " s%d:%d%d%d", i, !!FD_ISSET(w->slot[i], &sets[0]), !!FD_ISSET(w->slot[i], &sets[1]), !!FD_ISSET(w->slot[i], &sets[2]));
	say(w, ")");
	say_result(w, r);
}

/* ---- epoll ------------------------------------------------------------------------------ */

static void step_ctl(struct world *w)
{
	static const uint32_t eventss[] = { EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT | EPOLLRDHUP, EPOLLIN | EPOLLPRI, 0, EPOLLRDHUP };
	static const uint32_t hows[] = { 0, 0, EPOLLET, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT, EPOLLEXCLUSIVE };
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, 7 };
	int e = (int)roll(w, EPOLLS), i = pick(w, is_any), op = one_of(w, ops), r;
	struct epoll_event ev = { .events = one_of(w, eventss) | one_of(w, hows), .data.u64 = (uint64_t)i };

	ev.data.u64 |= (uint64_t)ev.events << 32;
	if (w->ep[e] < 0)
		w->ep[e] = epoll_create1(EPOLL_CLOEXEC);
	errno = 0;
	r = epoll_ctl(w->ep[e], op, w->slot[i], &ev);
	say(w, "e%d epoll_ctl(%d, s%d, %x)", e, op, i, ev.events);
	say_result(w, r);
}

static int by_data(const void *a, const void *b)
{
	const struct epoll_event *x = a, *y = b;

	if (x->data.u64 != y->data.u64)
		return x->data.u64 < y->data.u64 ? -1 : 1;
	return x->events < y->events ? -1 : x->events > y->events;
}

#define ONCE (EPOLLET | EPOLLONESHOT)

/* Several calls: on npp one that finds sockets of npp may leave the kernel's descriptors to a later one. What is told
 * once only has to be told in one of them, and in no other. */
static void step_epoll(struct world *w)
{
	int e = (int)roll(w, EPOLLS), n = 0, r = 0;
	struct epoll_event ev[32 * CALLS];

	errno = 0;
	for (int k = 0; k < CALLS && r >= 0; k++) {
		r = epoll_wait(w->ep[e], ev + n, 32, 0);
		n += r > 0 ? r : 0;
	}
	say(w, "e%d epoll_wait", e);
	say_result(w, r < 0 ? r : 0);
	qsort(ev, (size_t)n, sizeof ev[0], by_data);
	for (int k = 0; k < n; k++) {
		bool again = k && !by_data(&ev[k], &ev[k - 1]);

		int i = (int)(ev[k].data.u64 & 0xff);
		bool edge = ev[k].data.u64 >> 32 & EPOLLET;

		if (ev[k].events == EPOLLHUP) { /* both parts of a socket that is npp's and the kernel's say so */
			if (ev[k].data.u64 >> 32 & EPOLLONESHOT && i < SLOTS && w->obj[i])
				w->obj[i]->fired = true;
			continue;
		}
		if (i == NESTED || (w->obj[i] && (w->obj[i]->tried || w->obj[i]->fired)))
			continue; /* may be said to be ready when it is not, or to be what it was made anew */
		if (edge && w->forked && (is_listener(w->obj[i]) || ev[k].data.u64 >> 32 & EPOLLOUT))
			continue; /* npp tells it again of who shared it and died, or when its ring, idle for long, is there again */
		if (edge) /* the place to write to may have gone and come back */
			ev[k].events &= ~(uint32_t)(EPOLLOUT | (ev[k].data.u64 >> 32 & EPOLLIN ? 0 : EPOLLRDHUP));
		if (!ev[k].events || (edge && ev[k].events == EPOLLHUP && is_fresh(w->obj[i])))
			continue; /* the latter npp tells again once the socket is its own */
		if (!again || ev[k].data.u64 >> 32 & ONCE)
			say(w, " %d:%x%s", i, ev[k].events, again ? " again" : "");
		if (ev[k].data.u64 >> 32 & EPOLLONESHOT && w->obj[i] && is_fresh(w->obj[i]) && !w->obj[i]->bound && !w->obj[i]->to)
			w->obj[i]->fired = true; /* if it is npp's later, npp's part has its shot yet */
	}
}

/* One in the other, or taken out of it again. */
static void step_nest(struct world *w)
{
	struct epoll_event ev = { .events = EPOLLIN | (roll(w, 2) ? EPOLLET : 0), .data.u64 = NESTED };
	int r;

	if (w->ep[0] < 0 || w->ep[1] < 0)
		return;
	ev.data.u64 |= (uint64_t)ev.events << 32;
	errno = 0;
	r = epoll_ctl(w->ep[0], roll(w, 3) ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, w->ep[1], &ev);
	say(w, "e1 in e0");
	say_result(w, r);
}

static void step_close(struct world *w)
{
	int e = (int)roll(w, EPOLLS);

	if (w->ep[e] < 0 || roll(w, 3))
		return;
	say(w, "e%d close()", e);
	errno = 0;
	say_result(w, close(w->ep[e]));
	w->ep[e] = -1;
}

const struct step wait_steps[] = {
	{ "poll", 5, step_poll }, { "select", 4, step_select }, { "epoll_ctl", 12, step_ctl }, { "epoll_wait", 14, step_epoll },
	{ "nest", 2, step_nest }, { "epoll close", 1, step_close }, { 0 },
};
