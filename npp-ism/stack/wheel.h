/* SPDX-License-Identifier: GPL-2.0-or-later
 * wheel.h - hierarchical timer wheel of one IOP (A15)
 *
 * Timers are embedded in records or stand in arrays beside them; the wheel itself is derived
 * state: it can be rebuilt by arming again every timer that is armed.
 */
#ifndef NPP_STACK_WHEEL_H
#define NPP_STACK_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_US 1024	/* resolution: a timer fires at or after its time, at most a tick late */
#define WHEEL_LEVELS 3
#define WHEEL_SLOTS 256

/* Four of them fill a cache line: with a million connections the wheel walks lists of them.
 * Neighbours are given by their distance from here in units of 8 bytes (16 GB either way). */
struct wheel_timer {
	int32_t next, prev;	/* of the same slot, in a ring */
	uint64_t due : 44;	/* in ticks; 0: not armed, not on the wheel */
	uint64_t kind : 4;	/* enum stack_timer_kind */
	uint64_t arg : 4;	/* for the owner: which of its timers this is */
	uint64_t level : 2, slot : 8;
};
_Static_assert(sizeof(struct wheel_timer) == 16, "a timer must stay small");

struct wheel {
	uint64_t tick;		/* last tick that was run */
	uint64_t quiet;		/* no slot that is not empty is entered before this tick */
	uint32_t armed;
	uint64_t occupied[WHEEL_LEVELS][WHEEL_SLOTS / 64];
	struct wheel_timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_us);
/* Arms or re-arms T for DUE_US (a time in the past fires at the next run). */
void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t due_us);
void wheel_cancel(struct wheel *w, struct wheel_timer *t);
static inline bool wheel_armed(const struct wheel_timer *t) { return t->due != 0; }
/* When T fires at the earliest: DUE_US of wheel_arm(), rounded up to a tick; 0: not armed. */
static inline uint64_t wheel_due_us(const struct wheel_timer *t) { return (uint64_t)t->due * WHEEL_TICK_US; }
/* Takes one timer that is due at NOW_US off the wheel, disarmed; NULL: none. */
struct wheel_timer *wheel_expire(struct wheel *w, uint64_t now_us);
/* Earliest possible due time; may be early, never late; UINT64_MAX: nothing armed. */
uint64_t wheel_next(const struct wheel *w);
/* wheel_next(W) <= NOW_US, for who asks often: mostly one comparison. */
bool wheel_due(struct wheel *w, uint64_t now_us);

#endif
