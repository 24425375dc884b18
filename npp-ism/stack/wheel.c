/* SPDX-License-Identifier: GPL-2.0-or-later
 * wheel.c - hierarchical timer wheel
 *
 * Four levels of 64 slots; a slot of level n spans 64^n ticks. A timer goes to the
 * lowest level whose span covers its distance from `tick`; when `tick` enters the span
 * of an upper slot, that slot's timers move down. Arming and cancelling are O(1), and
 * because a bit per slot says whether it is empty, `tick` goes from one slot that is not
 * empty to the next: how long the sleep was costs nothing.
 */
#include "config.h"

#include <stddef.h>

#include "npp-ism/stack/wheel.h"

#define SLOT_BITS 6
#define SLOT_MASK (WHEEL_SLOTS - 1)
_Static_assert(1 << SLOT_BITS == WHEEL_SLOTS, "slots");
#define WHEEL_SPAN (1ull << (SLOT_BITS * WHEEL_LEVELS))

static uint64_t tick_of(uint64_t due_us)
{
	return (due_us + WHEEL_TICK_US - 1) / WHEEL_TICK_US;
}

static void wheel_put(struct wheel *w, struct wheel_timer *t)
{
	uint64_t due = tick_of(t->due_us), delta;
	unsigned level = 0, slot;

	if (due < w->tick)
		due = w->tick;
	delta = due - w->tick;
	if (delta >= WHEEL_SPAN) { /* beyond the horizon: comes down, and up again */
		delta = WHEEL_SPAN - 1;
		due = w->tick + delta;
	}
	while (delta >= WHEEL_SLOTS) {
		delta >>= SLOT_BITS;
		level++;
	}
	slot = (due >> (SLOT_BITS * level)) & SLOT_MASK;
	t->level = (uint8_t)level;
	t->slot = (uint8_t)slot;
	/* Each slot is a ring with a tail pointer: prev and next are never NULL on it. */
	if (w->slot[level][slot]) {
		struct wheel_timer *last = w->slot[level][slot];

		t->prev = last;
		t->next = last->next;
		t->next->prev = t;
		last->next = t;
	} else {
		t->next = t->prev = t;
		w->occupied[level] |= 1ull << slot;
	}
	w->slot[level][slot] = t;
}

static void wheel_take(struct wheel *w, struct wheel_timer *t)
{
	struct wheel_timer **tail = &w->slot[t->level][t->slot];

	if (t->next == t) {
		*tail = NULL;
		w->occupied[t->level] &= ~(1ull << t->slot);
	} else {
		t->prev->next = t->next;
		t->next->prev = t->prev;
		if (*tail == t)
			*tail = t->prev;
	}
	t->next = t->prev = NULL;
}

void wheel_init(struct wheel *w, uint64_t now_us)
{
	*w = (struct wheel){ .tick = now_us / WHEEL_TICK_US };
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t due_us)
{
	if (t->next)
		wheel_take(w, t);
	else
		w->armed++;
	t->due_us = due_us ? due_us : 1;
	wheel_put(w, t);
}

void wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
	if (t->next) {
		wheel_take(w, t);
		w->armed--;
	}
	t->due_us = 0;
}

/* `tick` has just entered the span of an upper slot: its timers move down. */
static void wheel_cascade(struct wheel *w)
{
	for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
		unsigned slot = (w->tick >> (SLOT_BITS * level)) & SLOT_MASK;
		struct wheel_timer *tail = w->slot[level][slot];

		if (tail) {
			struct wheel_timer *t = tail->next, *next;

			w->slot[level][slot] = NULL;
			w->occupied[level] &= ~(1ull << slot);
			for (;; t = next) {
				bool last = t == tail;

				next = t->next;
				wheel_put(w, t);
				if (last)
					break;
			}
		}
		if (slot != 0)
			break;
	}
}

/* The first tick after `tick` at which a slot of any level is entered that is not empty. At least
 * one is. */
static uint64_t wheel_ahead(const struct wheel *w)
{
	uint64_t best = UINT64_MAX;

	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		uint64_t occ = w->occupied[level], base = w->tick >> (SLOT_BITS * level), at;
		unsigned here = base & SLOT_MASK;

		if (!occ)
			continue;
		/* Rotate so that bit 0 is the slot of `tick`; above level 0 that slot was
		 * moved down already, what stands in it is due a whole turn later. */
		occ = here ? occ >> here | occ << (WHEEL_SLOTS - here) : occ;
		if (level > 0) {
			at = occ & ~1ull ? (unsigned)__builtin_ctzll(occ & ~1ull) : WHEEL_SLOTS;
		} else {
			at = (unsigned)__builtin_ctzll(occ);
		}
		at = (base + at) << (SLOT_BITS * level);
		if (at < best)
			best = at;
	}
	return best;
}

/* Moves `tick`, whose slot of level 0 is empty, to the next slot that is not, but not past TARGET. */
static void wheel_advance(struct wheel *w, uint64_t target)
{
	uint64_t next = wheel_ahead(w);

	if (next > target) {
		w->tick = target;
		return;
	}
	w->tick = next;
	if ((next & SLOT_MASK) == 0)
		wheel_cascade(w);
}

struct wheel_timer *wheel_expire(struct wheel *w, uint64_t now_us)
{
	uint64_t target = now_us / WHEEL_TICK_US;

	for (;;) {
		struct wheel_timer *tail = w->slot[0][w->tick & SLOT_MASK];

		if (tail) {
			struct wheel_timer *t = tail->next;

			if (tick_of(t->due_us) > target) /* the clock went back: not yet */
				return NULL;
			wheel_cancel(w, t);
			return t;
		}
		if (w->tick >= target)
			return NULL;
		if (w->armed == 0) {
			w->tick = target;
			return NULL;
		}
		wheel_advance(w, target);
	}
}

uint64_t wheel_next(const struct wheel *w)
{
	return w->armed ? wheel_ahead(w) * WHEEL_TICK_US : UINT64_MAX;
}
