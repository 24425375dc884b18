/* SPDX-License-Identifier: GPL-2.0-or-later
 * wheel.c - hierarchical timer wheel
 *
 * Three levels of 256 slots; a slot of level n spans 256^n ticks. A timer goes to the
 * lowest level whose span covers its distance from `tick`; when `tick` enters the span
 * of an upper slot, that slot's timers move down. (What waits for an ACK, delays one or
 * probes for one is nearly always on the lowest, and moves once, when it fires.) Arming and
 * cancelling are O(1), and because a bit per slot says whether it is empty, `tick` goes from
 * one slot that is not empty to the next: how long the sleep was costs nothing.
 */
#include "config.h"

#include <stddef.h>

#include "npp-ism/stack/wheel.h"

#define SLOT_BITS 8
#define SLOT_MASK (WHEEL_SLOTS - 1)
_Static_assert(1 << SLOT_BITS == WHEEL_SLOTS, "slots");
#define WHEEL_SPAN (1ull << (SLOT_BITS * WHEEL_LEVELS))

static uint64_t tick_of(uint64_t due_us)
{
	return (due_us + WHEEL_TICK_US - 1) / WHEEL_TICK_US;
}

/* ---- a slot's ring ---------------------------------------------------------------------- */

static struct wheel_timer *at(struct wheel_timer *t, int32_t distance)
{
	return (struct wheel_timer *)((char *)t + (int64_t)distance * 8);
}

static int32_t distance(const struct wheel_timer *from, const struct wheel_timer *to)
{
	return (int32_t)(((const char *)to - (const char *)from) / 8);
}

/* B follows A. */
static void chain(struct wheel_timer *a, struct wheel_timer *b)
{
	a->next = distance(a, b);
	b->prev = distance(b, a);
}

static void wheel_put(struct wheel *w, struct wheel_timer *t)
{
	uint64_t due = t->due, delta;
	unsigned level = 0, slot;
	struct wheel_timer *last;

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
	/* this is where wheel_ahead() would stop for it */
	if (due >> (SLOT_BITS * level) << (SLOT_BITS * level) < w->quiet)
		w->quiet = due >> (SLOT_BITS * level) << (SLOT_BITS * level);
	t->level = level & 3;
	t->slot = slot & SLOT_MASK;
	/* Each slot is a ring with a tail pointer. */
	last = w->slot[level][slot];
	if (last) {
		chain(t, at(last, last->next));
		chain(last, t);
	} else {
		t->next = t->prev = 0;
		w->occupied[level][slot / 64] |= 1ull << (slot % 64);
	}
	w->slot[level][slot] = t;
}

static void wheel_take(struct wheel *w, struct wheel_timer *t)
{
	unsigned level = t->level, slot = t->slot;
	struct wheel_timer **tail = &w->slot[level][slot];

	if (t->next == 0) {
		*tail = NULL;
		w->occupied[level][slot / 64] &= ~(1ull << (slot % 64));
	} else {
		if (*tail == t)
			*tail = at(t, t->prev);
		chain(at(t, t->prev), at(t, t->next));
	}
}

void wheel_init(struct wheel *w, uint64_t now_us)
{
	*w = (struct wheel){ .tick = now_us / WHEEL_TICK_US, .quiet = UINT64_MAX };
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t due_us)
{
	if (t->due)
		wheel_take(w, t);
	else
		w->armed++;
	t->due = tick_of(due_us ? due_us : 1) & ((1ull << 44) - 1);
	wheel_put(w, t);
}

void wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
	if (!t->due)
		return;
	wheel_take(w, t);
	w->armed--;
	t->due = 0;
}

/* ---- time goes on ------------------------------------------------------------------------- */

/* `tick` has just entered the span of an upper slot: its timers move down. */
static void wheel_cascade(struct wheel *w)
{
	for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
		unsigned slot = (w->tick >> (SLOT_BITS * level)) & SLOT_MASK;
		struct wheel_timer *tail = w->slot[level][slot];

		if (tail) {
			struct wheel_timer *t = at(tail, tail->next), *next;

			w->slot[level][slot] = NULL;
			w->occupied[level][slot / 64] &= ~(1ull << (slot % 64));
			for (;; t = next) {
				bool last = t == tail;

				next = at(t, t->next);
				wheel_put(w, t);
				if (last)
					break;
			}
		}
		if (slot != 0)
			break;
	}
}

/* How many slots from FROM on the first one stands that is not empty, round once; WHEEL_SLOTS: all are. */
static unsigned slots_ahead(const uint64_t *occ, unsigned from)
{
	unsigned at_bit = from % 64, word = from / 64;
	uint64_t bits = occ[word] >> at_bit;

	if (bits)
		return (unsigned)__builtin_ctzll(bits);
	for (unsigned i = 1; i <= WHEEL_SLOTS / 64; i++) {
		bits = occ[(word + i) % (WHEEL_SLOTS / 64)];
		if (i == WHEEL_SLOTS / 64)
			bits &= (1ull << at_bit) - 1;
		if (bits)
			return i * 64 - at_bit + (unsigned)__builtin_ctzll(bits);
	}
	return WHEEL_SLOTS;
}

/* The first tick after `tick` at which a slot of any level is entered that is not empty. At least
 * one is. */
static uint64_t wheel_ahead(const struct wheel *w)
{
	uint64_t best = UINT64_MAX;

	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		uint64_t base = w->tick >> (SLOT_BITS * level), when;
		/* Above level 0 the slot of `tick` was moved down already: what stands in it is due a
		 * whole turn later. */
		unsigned first = level > 0, n = slots_ahead(w->occupied[level], (base + first) & SLOT_MASK);

		if (n == WHEEL_SLOTS)
			continue;
		when = (base + first + n) << (SLOT_BITS * level);
		if (when < best)
			best = when;
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
			struct wheel_timer *t = at(tail, tail->next);

			if (t->due > target) /* the clock went back: not yet */
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

bool wheel_due(struct wheel *w, uint64_t now_us)
{
	uint64_t now = now_us / WHEEL_TICK_US;

	if (now < w->quiet)
		return false;
	w->quiet = w->armed ? wheel_ahead(w) : UINT64_MAX;
	return now >= w->quiet;
}
