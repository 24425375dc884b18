/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_limit.c - how many lines the log gets about what one process says
 */
#include "config.h"

#include "nppd/limit.h"
#include "tests/unit/suite.h"

START_TEST(few_lines_pass_whenever_they_come)
{
	struct limit l = { 0 };
	uint32_t hidden = 1;

	for (uint64_t i = 0; i < 100; i++) {
		ck_assert(limit_passes(&l, i * LIMIT_MS / LIMIT_LINES, &hidden));
		ck_assert_uint_eq(hidden, 0);
	}
}
END_TEST

START_TEST(of_a_flood_the_first_lines_pass_and_the_rest_is_counted_once)
{
	struct limit l = { 0 };
	uint32_t hidden = 1, passed = 0;

	for (unsigned i = 0; i < 1000; i++)
		passed += limit_passes(&l, 77, &hidden);
	ck_assert_uint_eq(passed, LIMIT_LINES);
	ck_assert_uint_eq(hidden, 0);
	ck_assert(!limit_passes(&l, 77 + LIMIT_MS - 1, &hidden));
	ck_assert(limit_passes(&l, 77 + LIMIT_MS, &hidden));
	ck_assert_uint_eq(hidden, 1001 - LIMIT_LINES);
	ck_assert(limit_passes(&l, 77 + LIMIT_MS, &hidden));
	ck_assert_uint_eq(hidden, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limit");
	TCase *t = tcase_create("limit");

	tcase_add_test(t, few_lines_pass_whenever_they_come);
	tcase_add_test(t, of_a_flood_the_first_lines_pass_and_the_rest_is_counted_once);
	suite_add_tcase(suite, t);
	return npp_suite_run(suite);
}
