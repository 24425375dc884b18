/* SPDX-License-Identifier: GPL-2.0-or-later
 * yield.h - is it worth giving the core away before sleep?
 *
 * Where cores are scarce, a process that has nothing to do and sleeps must be woken soon by
 * another one that waits for the same core. If it gives the core away once (sched_yield)
 * and looks again, what the other one did meanwhile is found without a doorbell, a sleep
 * and a wake-up. That pays where all who are busy work for each other. Somebody else, who
 * just computes, would keep the core for a time slice; so after that has happened it is
 * not tried again for a while, which grows while it happens again.
 *
 *	if (npp_yield_try(&y, before)) {
 *		sched_yield();
 *		found = look();
 *		npp_yield_done(&y, found, before, after);
 *	}
 */
#ifndef NPP_LIB_YIELD_H
#define NPP_LIB_YIELD_H

#include <stdbool.h>
#include <stdint.h>

struct npp_yield {	/* zero to begin with */
	uint32_t score;		/* of 255: how often it has brought something, of late */
	uint32_t naps;		/* times it was not tried since it was last */
	uint64_t until_us;	/* not before */
	uint64_t hold_us;	/* how long it was not tried after the last failure */
};

#define NPP_YIELD_PAYS 100	/* score */
#define NPP_YIELD_PROBE 64	/* else one time in so many */
#define NPP_YIELD_LOST_US 1000	/* who had the core for so long does not work for us */
#define NPP_YIELD_HOLD_US 100000
#define NPP_YIELD_HOLD_MAX_US 12800000

/* NOW_US: any clock that does not jump, the same for both. */
static inline bool npp_yield_try(struct npp_yield *y, uint64_t now_us)
{
	if (now_us < y->until_us)
		return false;
	return y->score >= NPP_YIELD_PAYS || ++y->naps % NPP_YIELD_PROBE == 0;
}

/* The core was given away and is ours again; FOUND: there is something to do. */
static inline void npp_yield_done(struct npp_yield *y, bool found, uint64_t before_us, uint64_t after_us)
{
	if (after_us - before_us < NPP_YIELD_LOST_US) {
		y->score = (3 * y->score + (found ? 255 : 0)) / 4;
		return;
	}
	/* Soon after the last time: longer than that time. */
	if (y->hold_us && after_us - y->until_us < 4 * y->hold_us)
		y->hold_us = 2 * y->hold_us < NPP_YIELD_HOLD_MAX_US ? 2 * y->hold_us : NPP_YIELD_HOLD_MAX_US;
	else
		y->hold_us = NPP_YIELD_HOLD_US;
	y->until_us = after_us + y->hold_us;
	y->score = 0;
}

#endif
