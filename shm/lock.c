/* SPDX-License-Identifier: GPL-2.0-or-later
 * lock.c - locks that know their holder
 *
 * The word is the whole lock: 0, or who holds it. Whoever holds it may die at any
 * instruction; the supervisor of the holders then exchanges the dead name for 0.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "shm/lock.h"

#define SPINS 200

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

static uint64_t clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

bool npp_lock_try(npp_lock_t *l, uint32_t holder)
{
	uint32_t expected = 0;

	/* acquire: pairs with the release in npp_lock_drop() and npp_lock_break() */
	return atomic_compare_exchange_strong_explicit(l, &expected, holder, memory_order_acquire,
						       memory_order_relaxed);
}

int npp_lock_take(npp_lock_t *l, uint32_t holder, uint32_t timeout_us)
{
	uint64_t end = 0;

	for (unsigned i = 0;; i++) {
		uint32_t now = atomic_load_explicit(l, memory_order_relaxed);

		if (now == holder)
			return -EDEADLK;
		if (now == 0 && npp_lock_try(l, holder))
			return 0;
		if (i < SPINS) {
			cpu_relax();
			continue;
		}
		if (end == 0)
			end = clock_us() + timeout_us;
		else if (clock_us() >= end)
			return -ETIMEDOUT;
		sched_yield();
	}
}

static bool lock_give(npp_lock_t *l, uint32_t holder)
{
	/* release: pairs with the acquire in npp_lock_try() */
	return holder != 0 &&
	       atomic_compare_exchange_strong_explicit(l, &holder, 0, memory_order_release,
						       memory_order_relaxed);
}

bool npp_lock_drop(npp_lock_t *l, uint32_t holder)
{
	return lock_give(l, holder);
}

bool npp_lock_break(npp_lock_t *l, uint32_t holder)
{
	return lock_give(l, holder);
}
