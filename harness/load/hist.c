/* SPDX-License-Identifier: GPL-2.0-or-later
 * hist.c - latency histogram with logarithmic buckets
 */
#include "config.h"

#include "harness/load/hist.h"

/* Values below 32 have a bucket each; above, the top five bits after the leading one
 * choose among 32 steps of their power of two. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned exp, idx;

	if (ns < LOAD_HIST_SUB)
		return (unsigned)ns;
	exp = 63 - (unsigned)__builtin_clzll(ns);
	idx = (exp - 4) * LOAD_HIST_SUB + (unsigned)(ns >> (exp - 5) & (LOAD_HIST_SUB - 1));
	return idx < LOAD_HIST_BUCKETS ? idx : LOAD_HIST_BUCKETS - 1;
}

uint64_t load_hist_top(unsigned idx)
{
	unsigned exp;

	if (idx < LOAD_HIST_SUB)
		return idx;
	exp = idx / LOAD_HIST_SUB + 4;
	return ((uint64_t)(LOAD_HIST_SUB + idx % LOAD_HIST_SUB + 1) << (exp - 5)) - 1;
}

static void add(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

void load_hist_add(struct load_hist *h, uint64_t ns)
{
	add(&h->bucket[bucket_of(ns)], 1);
	add(&h->count, 1);
	add(&h->sum_ns, ns);
	if (ns > atomic_load_explicit(&h->max_ns, memory_order_relaxed))
		atomic_store_explicit(&h->max_ns, ns, memory_order_relaxed);
}

void load_hist_merge(struct load_hist *dst, const struct load_hist *src)
{
	uint64_t max = atomic_load_explicit(&src->max_ns, memory_order_relaxed);

	for (unsigned i = 0; i < LOAD_HIST_BUCKETS; i++)
		add(&dst->bucket[i], atomic_load_explicit(&src->bucket[i], memory_order_relaxed));
	add(&dst->count, atomic_load_explicit(&src->count, memory_order_relaxed));
	add(&dst->sum_ns, atomic_load_explicit(&src->sum_ns, memory_order_relaxed));
	if (max > atomic_load_explicit(&dst->max_ns, memory_order_relaxed))
		atomic_store_explicit(&dst->max_ns, max, memory_order_relaxed);
}

uint64_t load_hist_quantile(const struct load_hist *h, double q)
{
	uint64_t n = atomic_load_explicit(&h->count, memory_order_relaxed), seen = 0;
	uint64_t max = atomic_load_explicit(&h->max_ns, memory_order_relaxed), want;

	if (n == 0)
		return 0;
	want = (uint64_t)(q * (double)n + 0.5);
	if (want < 1)
		want = 1;
	for (unsigned i = 0; i < LOAD_HIST_BUCKETS; i++) {
		seen += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
		if (seen >= want)
			return load_hist_top(i) < max ? load_hist_top(i) : max;
	}
	return max;
}
