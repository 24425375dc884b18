/* SPDX-License-Identifier: GPL-2.0-or-later
 * rng.h - reproducible random numbers (splitmix64)
 *
 * Everybody who draws has a generator of his own, made from the seed and a name: what one
 * draws does not change what another one gets, so a plan can be taken apart.
 */
#ifndef NPP_TESTS_SIM_RNG_H
#define NPP_TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng { uint64_t s; };

static inline uint64_t rng_mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline uint64_t rng_next(struct rng *r)
{
	return rng_mix(r->s += 0x9e3779b97f4a7c15ull);
}

static inline struct rng rng_make(uint64_t seed, uint64_t name)
{
	return (struct rng){ rng_mix(seed + 0x9e3779b97f4a7c15ull) ^ rng_mix(name * 0xd1342543de82ef95ull + 1) };
}

/* 0 .. n-1. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return n ? (uint32_t)(((rng_next(r) >> 32) * n) >> 32) : 0;
}

static inline bool rng_ppm(struct rng *r, uint32_t ppm)
{
	return ppm && rng_below(r, 1000000) < ppm;
}

static inline bool rng_one_in(struct rng *r, uint32_t n)
{
	return rng_below(r, n) == 0;
}

/* lo .. hi, as many between 10 and 20 as between 1000 and 2000. */
static inline uint32_t rng_log(struct rng *r, uint32_t lo, uint32_t hi)
{
	unsigned a = 31u - (unsigned)__builtin_clz(lo | 1), b = 31u - (unsigned)__builtin_clz(hi | 1);
	uint32_t v = 1u << (a + rng_below(r, b - a + 1));

	v += rng_below(r, v);
	return v < lo ? lo : v > hi ? hi : v;
}

#endif
