/* SPDX-License-Identifier: GPL-2.0-or-later
 * decide.c - what chance does to a frame, as a function of seed, direction and number
 */
#include "config.h"

#include "harness/wire/wire.h"

static uint64_t mix(uint64_t x)	/* the finalizer of splitmix64 */
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t wire_random(uint64_t seed, unsigned dir, uint64_t number, enum wire_purpose p)
{
	uint64_t lane = mix(seed + 0x9e3779b97f4a7c15u * (2 * (uint64_t)p + dir + 1));

	return mix(lane + 0x9e3779b97f4a7c15u * (number + 1));
}

static bool falls(double chance, uint64_t seed, unsigned dir, uint64_t number, enum wire_purpose p)
{
	if (chance <= 0)
		return false;
	return (double)(wire_random(seed, dir, number, p) >> 11) * 0x1p-53 < chance;
}

bool wire_has_chance(const struct wire_conf *c)
{
	return c->loss > 0 || c->burst_enter > 0 || c->reorder > 0 || c->duplicate > 0 || c->corrupt > 0 || c->ecn > 0;
}

unsigned wire_decide(const struct wire_conf *c, uint64_t seed, unsigned dir, uint64_t number, bool *bad)
{
	unsigned what = 0;

	if (c->burst_enter > 0) {
		if (falls(*bad ? c->burst_leave : c->burst_enter, seed, dir, number, WIRE_R_BURST))
			*bad = !*bad;
		if (*bad && falls(c->burst_loss, seed, dir, number, WIRE_R_BURST_LOSS))
			what |= WIRE_LOSE | WIRE_BURST;
	} else {
		*bad = false;
	}
	if (falls(c->loss, seed, dir, number, WIRE_R_LOSS))
		what |= WIRE_LOSE;
	if (falls(c->duplicate, seed, dir, number, WIRE_R_DUPLICATE))
		what |= WIRE_DUPLICATE;
	if (falls(c->corrupt, seed, dir, number, WIRE_R_CORRUPT))
		what |= WIRE_CORRUPT;
	if (falls(c->reorder, seed, dir, number, WIRE_R_REORDER))
		what |= WIRE_REORDER;
	if (falls(c->ecn, seed, dir, number, WIRE_R_ECN))
		what |= WIRE_MARK;
	return what;
}
