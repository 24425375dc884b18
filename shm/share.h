/* SPDX-License-Identifier: GPL-2.0-or-later
 * share.h - which of several hosts has a flow that more than one of them listens for
 *
 * nppd keeps the list of members in one word of struct npp_global, so that every reader sees it
 * whole: a byte per host number. By weight it is the host's share, as standby its place in the
 * order. The hash of the flow is keyed for the NPP, not for an ISM: all ISMs choose alike. By load
 * the ISM that has the flow chooses alone, by what all of them have open (struct npp_host_load).
 */
#ifndef NPP_SHM_SHARE_H
#define NPP_SHM_SHARE_H

#include <stdbool.h>

#include "net/hash.h"
#include "shm/abi.h"

#define NPP_SHARE_WEIGHT_MAX 100u

static inline unsigned npp_share_of(uint64_t members, unsigned host)
{
	return (unsigned)(members >> (8 * host)) & 0xff;
}

static inline uint64_t npp_share_with(uint64_t members, unsigned host, unsigned value)
{
	return (members & ~(0xffull << (8 * host))) | (uint64_t)(value & 0xff) << (8 * host);
}

/* One host of those in LISTENING (bit per host number, not 0). Who is no member (weight 0, or declared
 * down) has a flow only if no member listens. */
static inline unsigned npp_share_pick(uint64_t members, uint32_t policy, unsigned listening, uint64_t hash)
{
	unsigned total = 0, best = 0, best_place = 256, at;
	bool any = false;

	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		any |= (listening >> h & 1) && npp_share_of(members, h);
	if (!any) {
		for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
			members = npp_share_with(members, h, 1);
	}
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++) {
		unsigned v = listening >> h & 1 ? npp_share_of(members, h) : 0;

		total += v;
		if (v && v < best_place) {
			best = h;
			best_place = v;
		}
	}
	if (policy == NPP_SHARE_STANDBY || total == 0)
		return best;
	at = (unsigned)(((hash & 0xffffffffu) * total) >> 32);
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++) {
		unsigned v = listening >> h & 1 ? npp_share_of(members, h) : 0;

		if (at < v)
			return h;
		at -= v;
	}
	return best;
}

/* The same by load: of those in LISTENING the member with the fewest connections OPEN for its weight;
 * where several have as few HASH picks. */
static inline unsigned npp_share_least(uint64_t members, unsigned listening, const uint32_t open[NPP_MAX_HOSTS],
				       uint64_t hash)
{
	uint64_t least = UINT64_MAX;
	unsigned best = 0;

	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++) {
		unsigned v = listening >> h & 1 ? npp_share_of(members, h) : 0;
		/* one more than now; weights are at most 100, so the quotient keeps what tells them apart */
		uint64_t load = v ? (((uint64_t)open[h] + 1) << 16) / v : UINT64_MAX;

		if (load < least) {
			least = load;
			best = 0;
		}
		if (v && load == least)
			best |= 1u << h;
	}
	if (!best)	/* no member listens */
		return npp_share_pick(members, NPP_SHARE_WEIGHT, listening, hash);
	return npp_share_pick(~0ull / 255, NPP_SHARE_WEIGHT, best, hash);
}

/* The hash of a flow that comes in, as the NPP of G sees it. */
static inline uint64_t npp_share_hash(const struct npp_global *g, const union npp_addr *src, uint16_t sport,
				      const union npp_addr *dst, uint16_t dport)
{
	struct { union npp_addr src, dst; uint16_t sport, dport; uint32_t zero; } k = { *src, *dst, sport, dport, 0 };

	_Static_assert(sizeof k == 40, "no padding in what is hashed");
	return npp_siphash(g->share_key, &k, sizeof k);
}

#endif
