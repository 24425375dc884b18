/* SPDX-License-Identifier: GPL-2.0-or-later
 * nk.h - the net kernel of an IOP: interrupts, threads, rounds, one wait (A18)
 *
 * Two levels of execution in one flow of control. Interrupt level comes first: sources
 * (rings, queues, timers) are polled into an interrupt-status word with one bit per
 * cause; the handlers of causes that are raised and enabled run with a budget each.
 * All protocol work happens there. Then threads:
 *
 *   high    blocks when its function returns and is entered again when its event is
 *           raised; runs to its return, only interrupts go before it
 *   normal  runs until its function returns, then ends; calls nk_preempt_point() now
 *           and then, where interrupts and high threads (low: also normal ones) run
 *   low     the same, when nothing else wants to
 *
 * A round: one clock reading, poll, interrupts, high threads, flush, then other
 * threads. After a round with work comes another round at once (polling under load).
 * Before sleep the kernel announces it in the sleep word of every source, fences,
 * polls once more, and then waits in one ppoll() for the doorbell, the watched
 * descriptors and the next timer.
 *
 * State that a successor needs stands in struct nk_state (a region); code addresses
 * stand in struct nk (the process). A masked cause stays raised and is served when it
 * is enabled again; it neither wakes nor keeps awake.
 */
#ifndef NPP_ISM_NK_H
#define NPP_ISM_NK_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/abi.h"
#include "shm/stats.h"

/* Causes of interrupts, in the order in which they are served. */
enum nk_cause { NK_RX, NK_IPC, NK_HOST, NK_TIMER, NK_CONTROL, NK_CAUSES };

enum nk_prio { NK_HIGH = 1, NK_NORMAL, NK_LOW };

#define NK_MAX_SOURCES 24
#define NK_MAX_THREADS 16
#define NK_MAX_FDS 16
#define NK_NEVER UINT64_MAX

enum nk_tstate_code { NK_T_NONE, NK_T_BLOCKED, NK_T_READY, NK_T_RUNNING };

struct nk_state {	/* in the private region; the ISM writes, tools may read */
	_Atomic uint32_t status;	/* causes raised */
	_Atomic uint32_t enabled;	/* causes that may interrupt */
	struct nk_tstate {
		uint64_t due_us;	/* alarm; 0 none */
		uint32_t state;		/* enum nk_tstate_code; ended = blocked */
		uint8_t again;		/* raised while it ran */
		uint8_t lazy;		/* its alarm does not end a sleep */
		uint8_t pad[2];
		uint64_t runs;
	} thread[NK_MAX_THREADS];
};

struct nk;

struct nk_source {	/* process-local; registered by value */
	const char *name;
	enum nk_cause cause;
	unsigned budget;	/* units of work per round */
	void *arg;
	/* Is there work? Only looks. NULL: only nk_raise() says so. */
	bool (*pending)(void *arg);
	/* Interrupt level: does up to BUDGET units; returns how many. BUDGET or more: there
	 * may be more work, the cause stays raised. */
	unsigned (*run)(void *arg, unsigned budget);
	/* Sets (relaxed) or clears the sleep word that producers look at. NULL: none. */
	void (*announce)(void *arg, bool asleep);
};

typedef void nk_thread_fn(struct nk *nk, void *arg);

struct nk_hooks {
	void *arg;
	void (*set_now)(void *arg, uint64_t now_us);	/* start of a round: the one clock reading */
	void (*flush)(void *arg);			/* end of interrupt level: output, doorbells */
	uint64_t (*next_timer)(void *arg);		/* when NK_TIMER will be pending; NK_NEVER */
};

struct nk {		/* process-local */
	struct nk_state *st;
	npp_counter_t *stats;
	struct nk_hooks hooks;
	uint64_t now_us;
	unsigned level;		/* who runs: 0 interrupt, else enum nk_prio, NK_LOW + 1 the scheduler */
	bool stop;
	uint32_t ready;		/* threads in NK_T_READY, a bit each; derived */
	uint32_t of_prio[NK_LOW + 1];	/* threads of each priority */
	unsigned n_sources, n_threads, n_fds;
	struct nk_source source[NK_MAX_SOURCES];
	struct { const char *name; enum nk_prio prio; nk_thread_fn *fn; void *arg; } thread[NK_MAX_THREADS];
	struct { int fd; enum nk_cause cause; bool bell; } fd[NK_MAX_FDS];	/* [0] the doorbell; fd -1: none */
	int epfd;		/* what a sleep waits for: all of them */
	uint64_t fd_looked_us, awake_us, idle_us;
	uint64_t next_alarm;	/* earliest due_us of all; NK_NEVER */
	uint32_t spin_us;	/* longest spin before sleep; 0: never */
	uint32_t gap_us;	/* mean time from idle to the next work */
	uint32_t max_sleep_us;
	uint32_t naps;
	uint32_t waits;
};

/* BELL: this process's doorbell eventfd. ST is fresh (zeroed). All causes are enabled. 0 or -errno. */
int nk_init(struct nk *nk, struct nk_state *st, int bell, npp_counter_t *stats, const struct nk_hooks *hooks);
/* The same over the state that a predecessor left: its threads are registered again in
 * the same order; one that was running is ready again. */
int nk_attach(struct nk *nk, struct nk_state *st, int bell, npp_counter_t *stats, const struct nk_hooks *hooks);

void nk_close(struct nk *nk);	/* what nk_init() opened */

/* Registration; index, or -ENOSPC. */
int nk_source_add(struct nk *nk, const struct nk_source *src);
int nk_thread_add(struct nk *nk, enum nk_prio prio, const char *name, nk_thread_fn *fn, void *arg);
/* FD becoming readable raises CAUSE; looked at in every sleep and, under load, every 2 ms. Index, or -errno. */
int nk_watch_fd(struct nk *nk, int fd, enum nk_cause cause);
/* The descriptor with the number WHICH that nk_watch_fd() gave is FD from now on; -1: none. The one
 * before must still be open: others may have it too, and it would be waited for without end. */
void nk_watch_set(struct nk *nk, int which, int fd);
/* One more doorbell, none yet: it only wakes. Its number for nk_bell_set(). */
int nk_watch_bell(struct nk *nk);
void nk_bell_set(struct nk *nk, int which, int fd);	/* FD -1: none */

void nk_raise(struct nk *nk, enum nk_cause cause);
void nk_enable(struct nk *nk, enum nk_cause cause);
void nk_disable(struct nk *nk, enum nk_cause cause);

/* High thread: its event. Normal or low: start it; if it runs, it runs once more after. */
void nk_thread_raise(struct nk *nk, int thread);
/* Raises THREAD at DUE_US (0: cancels). LAZY: not worth ending a sleep for. */
void nk_thread_alarm(struct nk *nk, int thread, uint64_t due_us, bool lazy);
/* For normal and low threads: lets everything of higher priority run. */
void nk_preempt_point(struct nk *nk);

/* One round; true if anything was done. */
bool nk_round(struct nk *nk);
/* Announces, looks, and waits unless there is work. */
void nk_sleep(struct nk *nk);
/* Rounds and sleeps until nk_stop(). */
void nk_run(struct nk *nk);
void nk_stop(struct nk *nk);

uint64_t nk_clock_us(void);	/* CLOCK_MONOTONIC */

#endif
