/* SPDX-License-Identifier: GPL-2.0-or-later
 * regulars.h - the peers that go first when a port gets more frames than can be read
 *
 * A regular is a source address (of IPv6: its /64) from which a connection was established
 * lately; who can do that has its address from no forger. The table is the map of an eBPF
 * program of the port (nppd/steer.c), which puts what comes from all others aside. Owner: nppd.
 * Writers: all ISMs, one stamp at a time, relaxed: what is lost or seen late costs a frame
 * its place in front and no more. Reader: the kernel, for each frame.
 *
 * Slots have no keys. Two addresses that share one are both regulars if one is; who can fill
 * the table only makes everybody equal again. The multiplier is secret, so that nobody can tell
 * which address shares a slot with his own.
 */
#ifndef NPP_SHM_REGULARS_H
#define NPP_SHM_REGULARS_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "net/addr.h"

#define NPP_REGULAR_BITS 17u
#define NPP_REGULAR_UNIT_SHIFT 36u	/* nanoseconds of CLOCK_MONOTONIC: 69 s */
#define NPP_REGULAR_UNITS 8u		/* one is a regular for that long, and part of another unit */

struct npp_regulars {
	uint64_t mul;		/* odd; written before anybody reads */
	uint64_t zero[7];
	_Atomic uint16_t stamp[1u << NPP_REGULAR_BITS];	/* unit of the last mark; 0: none */
};

/* What an address is known by: as the program finds it in an IP header. */
static inline uint64_t npp_regular_key(const union npp_addr *a)
{
	return npp_addr_is_v4(a) ? a->w[3] : a->q[0];
}

static inline uint32_t npp_regular_slot(const struct npp_regulars *r, const union npp_addr *a)
{
	return (uint32_t)(npp_regular_key(a) * r->mul >> (64 - NPP_REGULAR_BITS));
}

/* Never 0, which means none: the unit that would be so, once in 52 days, is marked as the one before. */
static inline uint16_t npp_regular_unit(uint64_t now_us)
{
	uint16_t unit = (uint16_t)((now_us * 1000 >> NPP_REGULAR_UNIT_SHIFT) + 1);

	return unit ? unit : UINT16_MAX;
}

/* A connection with A is established, or lives. */
static inline void npp_regular_mark(struct npp_regulars *r, const union npp_addr *a, uint64_t now_us)
{
	_Atomic uint16_t *stamp = &r->stamp[npp_regular_slot(r, a)];
	uint16_t unit = npp_regular_unit(now_us);

	if (atomic_load_explicit(stamp, memory_order_relaxed) != unit)
		atomic_store_explicit(stamp, unit, memory_order_relaxed);
}

#endif
