/* SPDX-License-Identifier: GPL-2.0-or-later
 * nk.c - the net kernel: polling, interrupt level, rounds and sleep
 *
 * A sleep is one epoll_wait. Doorbells are watched by their edges: each ring wakes once, and
 * nobody has to empty them. They are emptied all the same when a sleep has run out and now and
 * then, so that one whose count somebody has filled, so that it cannot be rung, is whole again.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "npp-ism/netkernel/nk.h"
#include "npp-ism/netkernel/priv.h"
#include "shm/bell.h"

#define FD_LOOK_US 2000		/* how often descriptors are looked at under load */
#define MAX_SLEEP_US 500000	/* so that lazy alarms and the statistics page stay alive */
#define DRAIN_EVERY 1024	/* waits */
#define SPIN_PROBE 64		/* one idle period in so many is spun through to learn again */

uint64_t nk_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Waits for the descriptor number WHICH from now on, or no longer. */
static int watch(struct nk *nk, unsigned which, bool on)
{
	struct epoll_event ev = { .events = EPOLLIN | (nk->fd[which].bell ? EPOLLET : 0), .data.u32 = which };

	if (nk->fd[which].fd < 0)
		return 0;
	return epoll_ctl(nk->epfd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, nk->fd[which].fd, &ev) < 0 ? -errno : 0;
}

static int local_init(struct nk *nk, struct nk_state *st, int bell, npp_counter_t *stats,
		      const struct nk_hooks *hooks)
{
	memset(nk, 0, sizeof *nk);
	nk->st = st;
	nk->stats = stats;
	nk->hooks = *hooks;
	nk->level = NK_LEVEL_SCHED;
	nk->next_alarm = NK_NEVER;
	nk->max_sleep_us = MAX_SLEEP_US;
	nk->fd[0].fd = bell;
	nk->fd[0].bell = true;
	nk->n_fds = 1;
	nk->now_us = nk->awake_us = nk->idle_us = nk_clock_us();
	nk->epfd = epoll_create1(EPOLL_CLOEXEC);
	return nk->epfd < 0 ? -errno : watch(nk, 0, true);
}

int nk_init(struct nk *nk, struct nk_state *st, int bell, npp_counter_t *stats,
	    const struct nk_hooks *hooks)
{
	memset(st, 0, sizeof *st);
	atomic_store_explicit(&st->enabled, (1u << NK_CAUSES) - 1, memory_order_relaxed);
	return local_init(nk, st, bell, stats, hooks);
}

int nk_attach(struct nk *nk, struct nk_state *st, int bell, npp_counter_t *stats,
	      const struct nk_hooks *hooks)
{
	/* A predecessor may have died with causes disabled: whoever did that is gone. */
	atomic_store_explicit(&st->enabled, (1u << NK_CAUSES) - 1, memory_order_relaxed);
	return local_init(nk, st, bell, stats, hooks);
}

void nk_close(struct nk *nk)
{
	if (nk->epfd >= 0)
		close(nk->epfd);
	nk->epfd = -1;
}

int nk_source_add(struct nk *nk, const struct nk_source *src)
{
	if (nk->n_sources == NK_MAX_SOURCES)
		return -ENOSPC;
	nk->source[nk->n_sources] = *src;
	return (int)nk->n_sources++;
}

static int fd_add(struct nk *nk, int fd, enum nk_cause cause, bool bell)
{
	unsigned i = nk->n_fds;
	int err;

	if (i == NK_MAX_FDS)
		return -ENOSPC;
	nk->fd[i].fd = fd;
	nk->fd[i].cause = cause;
	nk->fd[i].bell = bell;
	err = watch(nk, i, true);
	if (err < 0)
		return err;
	return (int)nk->n_fds++;
}

int nk_watch_fd(struct nk *nk, int fd, enum nk_cause cause)
{
	return fd_add(nk, fd, cause, false);
}

int nk_watch_bell(struct nk *nk)
{
	return fd_add(nk, -1, NK_HOST, true);
}

void nk_watch_set(struct nk *nk, int which, int fd)
{
	if (which <= 0 || which >= (int)nk->n_fds || nk->fd[which].fd == fd)
		return;
	watch(nk, (unsigned)which, false);
	nk->fd[which].fd = fd;
	watch(nk, (unsigned)which, true);
}

void nk_bell_set(struct nk *nk, int which, int fd)
{
	if (which > 0 && which < (int)nk->n_fds && nk->fd[which].bell)
		nk_watch_set(nk, which, fd);
}

/* The status word has one writer, this process: plain loads and stores are enough. */
static inline uint32_t word(const _Atomic uint32_t *w)
{
	return atomic_load_explicit(w, memory_order_relaxed);
}

static inline void set_word(_Atomic uint32_t *w, uint32_t v)
{
	atomic_store_explicit(w, v, memory_order_relaxed);
}

void nk_raise(struct nk *nk, enum nk_cause cause)
{
	set_word(&nk->st->status, word(&nk->st->status) | 1u << cause);
}

void nk_enable(struct nk *nk, enum nk_cause cause)
{
	set_word(&nk->st->enabled, word(&nk->st->enabled) | 1u << cause);
}

void nk_disable(struct nk *nk, enum nk_cause cause)
{
	set_word(&nk->st->enabled, word(&nk->st->enabled) & ~(1u << cause));
}

void nk_stop(struct nk *nk)
{
	nk->stop = true;
}

/* Looks at every source; returns the causes that are raised and enabled. */
static uint32_t nk_poll(struct nk *nk)
{
	uint32_t status = word(&nk->st->status);

	for (unsigned i = 0; i < nk->n_sources; i++) {
		const struct nk_source *s = &nk->source[i];

		if (!(status & 1u << s->cause) && s->pending && s->pending(s->arg))
			status |= 1u << s->cause;
	}
	set_word(&nk->st->status, status);
	return status & word(&nk->st->enabled);
}

/* Runs the sources of CAUSE; true if one of them ran into its budget. */
static bool cause_run(struct nk *nk, enum nk_cause cause)
{
	bool more = false;

	for (unsigned i = 0; i < nk->n_sources; i++) {
		const struct nk_source *s = &nk->source[i];

		if (s->cause == cause && s->run(s->arg, s->budget) >= s->budget)
			more = true;
	}
	return more;
}

/* Interrupt level. A handler may raise or disable causes; what it raises runs in this
 * round if its turn is still to come. */
static bool interrupts(struct nk *nk)
{
	uint32_t seen = nk_poll(nk), masked = word(&nk->st->status) & ~word(&nk->st->enabled);
	unsigned level = nk->level;
	bool ran = false;

	if (masked)
		npp_stat_inc(nk->stats, NPP_IS_INT_MASKED);
	if (!seen)
		return false;
	nk->level = NK_LEVEL_INT;
	for (unsigned c = 0; c < NK_CAUSES; c++) {
		uint32_t bit = 1u << c;

		if (!(word(&nk->st->status) & word(&nk->st->enabled) & bit))
			continue;
		set_word(&nk->st->status, word(&nk->st->status) & ~bit);
		ran = true;
		if (cause_run(nk, c)) {
			nk_raise(nk, c);
			npp_stat_inc(nk->stats, NPP_IS_ROUNDS_FULL);
		}
	}
	nk->level = level;
	return ran;
}

static void empty_bells(struct nk *nk)
{
	for (unsigned i = 0; i < nk->n_fds; i++)
		if (nk->fd[i].bell && nk->fd[i].fd >= 0)
			npp_bell_drain(nk->fd[i].fd);
}

/* Waits up to TIMEOUT_NS for descriptors and raises the causes of those that are readable. */
static void fds_wait(struct nk *nk, uint64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(timeout_ns / 1000000000), .tv_nsec = (long)(timeout_ns % 1000000000) };
	struct epoll_event ev[NK_MAX_FDS];
	int n = epoll_pwait2(nk->epfd, ev, NK_MAX_FDS, &ts, NULL);

	for (int i = 0; i < n; i++)
		if (ev[i].data.u32 < nk->n_fds && !nk->fd[ev[i].data.u32].bell)
			nk_raise(nk, nk->fd[ev[i].data.u32].cause);
	if ((n == 0 && timeout_ns) || ++nk->waits % DRAIN_EVERY == 0)
		empty_bells(nk);
}

/* Time awake since it was last counted. */
static void count_busy(struct nk *nk)
{
	npp_stat_add(nk->stats, NPP_IS_BUSY_US, nk->now_us - nk->awake_us);
	nk->awake_us = nk->now_us;
}

static void look_at_fds(struct nk *nk)
{
	count_busy(nk);
	if (nk->n_fds > 1)
		fds_wait(nk, 0);
	nk->fd_looked_us = nk->now_us;
}

bool nk_serve(struct nk *nk, unsigned level)
{
	bool ran;

	if (nk->hooks.set_now)
		nk->hooks.set_now(nk->hooks.arg, nk->now_us);
	if (nk->now_us - nk->fd_looked_us >= FD_LOOK_US)
		look_at_fds(nk);
	if (nk->now_us >= nk->next_alarm)
		nk_alarms_run(nk);
	ran = interrupts(nk);
	ran |= nk_threads_run(nk, NK_HIGH);
	if (ran && nk->hooks.flush)
		nk->hooks.flush(nk->hooks.arg);
	if (level > NK_NORMAL)
		ran |= nk_threads_run(nk, NK_NORMAL);
	return ran;
}

/* One round at the time that nk->now_us says. */
static bool round_now(struct nk *nk)
{
	bool ran = nk_serve(nk, NK_LEVEL_SCHED);

	/* Low threads: only when nothing else wants to run. */
	if (!ran)
		ran = nk_threads_run(nk, NK_LOW);
	if (ran)
		npp_stat_inc(nk->stats, NPP_IS_ROUNDS);
	return ran;
}

bool nk_round(struct nk *nk)
{
	nk->now_us = nk_clock_us();
	return round_now(nk);
}

static void announce(struct nk *nk, bool asleep)
{
	for (unsigned i = 0; i < nk->n_sources; i++)
		if (nk->source[i].announce)
			nk->source[i].announce(nk->source[i].arg, asleep);
}

static bool work(struct nk *nk)
{
	return nk_poll(nk) != 0 || nk->ready != 0;
}

/* Spins a little where there are cores to spare and work usually comes soon. */
static bool spin(struct nk *nk)
{
	uint64_t start = nk->now_us, until;

	if (nk->spin_us == 0)
		return false;
	if (nk->gap_us > nk->spin_us && ++nk->naps % SPIN_PROBE)
		return false;
	until = start + (2 * nk->gap_us < nk->spin_us ? 2 * nk->gap_us + 2 : nk->spin_us);
	do {
		for (int i = 0; i < 16; i++) {
			if (work(nk))
				return true;
#if defined(__x86_64__) || defined(__i386__)
			__builtin_ia32_pause();
#endif
		}
		nk->now_us = nk_clock_us();
	} while (nk->now_us < until);
	return false;
}

static void nap(struct nk *nk)
{
	uint64_t due = nk_alarms_next(nk), timer = NK_NEVER;

	if (nk->hooks.next_timer && word(&nk->st->enabled) & 1u << NK_TIMER)
		timer = nk->hooks.next_timer(nk->hooks.arg);
	if (timer < due)
		due = timer;
	if (due > nk->now_us + nk->max_sleep_us)
		due = nk->now_us + nk->max_sleep_us;
	due = due > nk->now_us ? due - nk->now_us : 0;
	npp_stat_inc(nk->stats, NPP_IS_SLEEPS);
	count_busy(nk);
	fds_wait(nk, due * 1000);
	nk->now_us = nk->awake_us = nk->fd_looked_us = nk_clock_us();
}

/* From nk->now_us, when there was no work, to that of the next round. */
static void sleep_now(struct nk *nk)
{
	uint64_t idle;

	nk->idle_us = nk->now_us;
	if (!spin(nk)) {
		announce(nk, true);
		/* pairs with npp_bell_claim(): either the producer sees the announcement, or
		 * the look below sees what it published */
		atomic_thread_fence(memory_order_seq_cst);
		if (!work(nk))
			nap(nk);
		announce(nk, false);
	}
	idle = nk->now_us - nk->idle_us;
	if (idle > 10000)
		idle = 10000;
	nk->gap_us = (uint32_t)((7 * (uint64_t)nk->gap_us + idle) / 8);
}

void nk_sleep(struct nk *nk)
{
	nk->now_us = nk_clock_us();
	sleep_now(nk);
}

/* The clock is read once in each round that did something and twice in a sleep; who is woken for one
 * thing each time pays for everything that is looked at here. */
void nk_run(struct nk *nk)
{
	nk->now_us = nk_clock_us();
	while (!nk->stop) {
		if (round_now(nk))
			nk->now_us = nk_clock_us();
		else if (!nk->stop)
			sleep_now(nk);
	}
	nk->now_us = nk_clock_us();
	count_busy(nk);
}
