/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_fuzz.c - a host gone mad (mad.c), from seeds
 *
 * NPP_FUZZ_SEED, NPP_FUZZ_SECONDS. A failure prints the seed. tests/fuzz/fuzz_ismsock.c is the
 * same for libFuzzer.
 */
#include "config.h"

#include <stdlib.h>

#include "npp-ism/socket/ism.h"
#include "tests/unit/ismsock/mad.h"
#include "tests/unit/suite.h"

static uint32_t next(void *state)
{
	uint64_t *r = state;

	*r ^= *r << 13;
	*r ^= *r >> 7;
	*r ^= *r << 17;
	return (uint32_t)(*r >> 16);
}

/* One life of an ISM: STEPS steps, then everything is detached and must be back. */
static void life(uint64_t seed, unsigned long steps)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
	const char *fault;

	mad_begin(next, &state);
	for (unsigned long n = 0; n < steps; n++) {
		mad_step();
		fault = n % 64 == 0 ? mad_audit() : NULL;
		if (fault)
			ck_abort_msg("seed %llu, step %lu: %s", (unsigned long long)seed, n, fault);
	}
	mad_end();
}

START_TEST(a_mad_host_harms_only_itself)
{
	const char *text = getenv("NPP_FUZZ_SEED"), *secs = getenv("NPP_FUZZ_SECONDS");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 1, start = nk_clock_us();
	uint64_t limit = (secs ? strtoull(secs, NULL, 0) : 4) * 1000000;

	do {
		life(seed, 4000);
		seed++;
	} while (nk_clock_us() - start < limit);
	mad_free();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fuzz_ismsock");
	TCase *t = tcase_create("fuzz");

	tcase_set_timeout(t, 0);
	tcase_add_test(t, a_mad_host_harms_only_itself);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
