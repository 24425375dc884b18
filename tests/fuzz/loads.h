/* SPDX-License-Identifier: GPL-2.0-or-later
 * loads.h - how a fuzz target hears of every load that the code under test makes
 *
 * With libFuzzer all of it is compiled with trace-loads. One source of a target includes this and
 * defines loaded(), which is called before each load of LEN bytes and may change what stands there.
 */
#ifndef NPP_TESTS_LOADS_H
#define NPP_TESTS_LOADS_H

#ifdef NPP_FUZZING
#include <stdint.h>

/* Of what is called by a load: its own loads are not told, and may be of memory that nobody may touch. */
#define UNSEEN __attribute__((no_sanitize("coverage", "address")))
UNSEEN static inline __attribute__((always_inline)) void loaded(const void *at, unsigned len);

#define SEEN(bits, type) \
	void __sanitizer_cov_load##bits(type *at); \
	UNSEEN void __sanitizer_cov_load##bits(type *at) { loaded(at, bits); }
SEEN(1, uint8_t)
SEEN(2, uint16_t)
SEEN(4, uint32_t)
SEEN(8, uint64_t)
SEEN(16, __uint128_t)
#endif

#endif
