/* SPDX-License-Identifier: GPL-2.0-or-later
 * hist.h - latency histogram: 32 steps per power of two, so within 3.2 %
 */
#ifndef NPP_LOAD_HIST_H
#define NPP_LOAD_HIST_H

#include <stdatomic.h>
#include <stdint.h>

#define LOAD_HIST_SUB 32
#define LOAD_HIST_BUCKETS (LOAD_HIST_SUB * 44)	/* up to 2^47 ns, about 39 hours */

struct load_hist {
	_Atomic uint64_t count, sum_ns, max_ns;
	_Atomic uint64_t bucket[LOAD_HIST_BUCKETS];
};

/* One writer per histogram. */
void load_hist_add(struct load_hist *h, uint64_t ns);
/* Adds SRC to DST. */
void load_hist_merge(struct load_hist *dst, const struct load_hist *src);
/* Upper bound of bucket IDX. */
uint64_t load_hist_top(unsigned idx);
/* Upper bound of the bucket in which the quantile Q (0..1) lies, in ns; 0 if empty. */
uint64_t load_hist_quantile(const struct load_hist *h, double q);

#endif
