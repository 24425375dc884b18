/* SPDX-License-Identifier: GPL-2.0-or-later
 * wheel.h - hierarchical timer wheel of one IOP (A15)
 *
 * Timers are embedded in their records; the wheel itself is derived state: it can be
 * rebuilt by arming again every timer whose `due_us` is set.
 */
#ifndef NPP_STACK_WHEEL_H
#define NPP_STACK_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_US 1024	/* resolution: a timer fires at or after its time, at most a tick late */
#define WHEEL_LEVELS 4
#define WHEEL_SLOTS 64

struct wheel_timer {
	struct wheel_timer *next, *prev; /* NULL: not on the wheel */
	uint64_t due_us;	/* 0: not armed */
	uint8_t kind;		/* enum stack_timer_kind */
	uint8_t level, slot;
	uint8_t arg;		/* for the owner: which of its timers this is */
	uint32_t owner;		/* for the owner: index of the record */
};

struct wheel {
	uint64_t tick;		/* last tick that was run */
	uint32_t armed;
	uint64_t occupied[WHEEL_LEVELS];
	struct wheel_timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_us);
/* Arms or re-arms T for DUE_US (a time in the past fires at the next run). */
void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t due_us);
void wheel_cancel(struct wheel *w, struct wheel_timer *t);
/* Takes one timer that is due at NOW_US off the wheel, disarmed; NULL: none. */
struct wheel_timer *wheel_expire(struct wheel *w, uint64_t now_us);
/* Earliest possible due time; may be early, never late; UINT64_MAX: nothing armed. */
uint64_t wheel_next(const struct wheel *w);

#endif
