/* SPDX-License-Identifier: GPL-2.0-or-later
 * thread.c - threads of the net kernel and their alarms
 *
 * There is one stack: a thread that is preempted stays on it while what preempted it
 * runs to its return on top. So at most one normal and one low thread are under way,
 * and a thread is never entered twice.
 */
#include "config.h"

#include <errno.h>

#include "npp-ism/netkernel/nk.h"
#include "npp-ism/netkernel/priv.h"

int nk_thread_add(struct nk *nk, enum nk_prio prio, const char *name, nk_thread_fn *fn, void *arg)
{
	unsigned i = nk->n_threads;
	struct nk_tstate *t;

	if (i == NK_MAX_THREADS)
		return -ENOSPC;
	nk->thread[i].name = name;
	nk->thread[i].prio = prio;
	nk->thread[i].fn = fn;
	nk->thread[i].arg = arg;
	nk->of_prio[prio] |= 1u << i;
	nk->n_threads++;
	t = &nk->st->thread[i];
	if (t->state == NK_T_NONE)
		t->state = NK_T_BLOCKED;
	else if (t->state == NK_T_RUNNING) /* a predecessor died in it */
		t->state = NK_T_READY;
	if (t->state == NK_T_READY)
		nk->ready |= 1u << i;
	if (t->due_us && t->due_us < nk->next_alarm)
		nk->next_alarm = t->due_us;
	return (int)i;
}

void nk_thread_raise(struct nk *nk, int thread)
{
	struct nk_tstate *t = &nk->st->thread[thread];

	if (t->state == NK_T_RUNNING) {
		t->again = 1;
		return;
	}
	t->state = NK_T_READY;
	nk->ready |= 1u << thread;
}

static void alarms_recompute(struct nk *nk)
{
	nk->next_alarm = NK_NEVER;
	for (unsigned i = 0; i < nk->n_threads; i++) {
		uint64_t due = nk->st->thread[i].due_us;

		if (due && due < nk->next_alarm)
			nk->next_alarm = due;
	}
}

void nk_thread_alarm(struct nk *nk, int thread, uint64_t due_us, bool lazy)
{
	nk->st->thread[thread].due_us = due_us;
	nk->st->thread[thread].lazy = lazy;
	alarms_recompute(nk);
}

void nk_alarms_run(struct nk *nk)
{
	for (unsigned i = 0; i < nk->n_threads; i++) {
		struct nk_tstate *t = &nk->st->thread[i];

		if (t->due_us && t->due_us <= nk->now_us) {
			t->due_us = 0;
			nk_thread_raise(nk, (int)i);
		}
	}
	alarms_recompute(nk);
}

uint64_t nk_alarms_next(const struct nk *nk)
{
	uint64_t next = NK_NEVER;

	for (unsigned i = 0; i < nk->n_threads; i++) {
		const struct nk_tstate *t = &nk->st->thread[i];

		if (t->due_us && !t->lazy && t->due_us < next)
			next = t->due_us;
	}
	return next;
}

static void enter(struct nk *nk, unsigned i)
{
	struct nk_tstate *t = &nk->st->thread[i];
	unsigned level = nk->level;

	t->state = NK_T_RUNNING;
	nk->ready &= ~(1u << i);
	t->runs++;
	nk->level = nk->thread[i].prio;
	nk->thread[i].fn(nk, nk->thread[i].arg);
	nk->level = level;
	t->state = t->again ? NK_T_READY : NK_T_BLOCKED;
	nk->ready |= (uint32_t)t->again << i;
	t->again = 0;
}

bool nk_threads_run(struct nk *nk, enum nk_prio prio)
{
	uint32_t todo, passed = 0;
	bool ran = false;

	while ((todo = nk->ready & nk->of_prio[prio] & ~passed)) {
		unsigned i = (unsigned)__builtin_ctz(todo);

		passed |= (2u << i) - 1;
		enter(nk, i);
		ran = true;
		if (prio != NK_HIGH) /* interrupts are looked at again before the next one */
			break;
	}
	return ran;
}

void nk_preempt_point(struct nk *nk)
{
	/* Interrupt level and high threads run to their end: nothing goes before them that
	 * the round does not bring anyway. */
	if (nk->level != NK_NORMAL && nk->level != NK_LOW)
		return;
	nk->now_us = nk_clock_us();
	nk_serve(nk, nk->level);
}
