/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_yield.c - when the core is given away before sleep
 */
#include "config.h"

#include "lib/yield.h"
#include "tests/unit/suite.h"

static struct npp_yield y;
static uint64_t now;

static void start(void)
{
	y = (struct npp_yield){ 0 };
	now = 1000000;
}

/* Times it is tried in N sleeps, each of which lasts 10 us and finds something or not. */
static int tries(int n, bool found)
{
	int k = 0;

	for (int i = 0; i < n; i++, now += 10) {
		if (!npp_yield_try(&y, now))
			continue;
		npp_yield_done(&y, found, now, now + 5);
		k++;
	}
	return k;
}

/* Somebody keeps the core for 4 ms, as soon as it is tried. For how long it is not tried then. */
static uint64_t lose(void)
{
	uint64_t lost;

	while (!npp_yield_try(&y, now))
		now += 10;
	npp_yield_done(&y, true, now, now + 4000);
	lost = now += 4000;
	while (!npp_yield_try(&y, now))
		now += 10;
	return now - lost;
}

START_TEST(it_is_tried_seldom_while_it_brings_nothing)
{
	ck_assert_int_eq(tries(640, false), 10);
}
END_TEST

START_TEST(it_is_tried_always_while_it_pays)
{
	tries(1000, true);
	ck_assert_int_eq(tries(1000, true), 1000);
}
END_TEST

START_TEST(it_is_given_up_when_it_no_longer_pays)
{
	tries(1000, true);
	ck_assert_int_le(tries(640, false), 20);
}
END_TEST

START_TEST(it_is_left_for_a_while_when_somebody_keeps_the_core)
{
	tries(1000, true);
	ck_assert_uint_ge(lose(), NPP_YIELD_HOLD_US);
}
END_TEST

START_TEST(it_is_left_for_longer_each_time_up_to_a_bound)
{
	uint64_t before = lose(), t = 0;

	for (int i = 0; i < 5; i++, before = t) {
		t = lose();
		ck_assert_uint_gt(t, before * 3 / 2);
	}
	for (int i = 0; i < 5; i++)
		t = lose();
	ck_assert_uint_lt(t, NPP_YIELD_HOLD_MAX_US + 10000);
}
END_TEST

START_TEST(after_a_good_time_it_is_not_left_for_long)
{
	for (int i = 0; i < 8; i++)
		lose();
	now += 10 * NPP_YIELD_HOLD_MAX_US;
	tries(1000, true);
	ck_assert_uint_lt(lose(), 2 * NPP_YIELD_HOLD_US);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib/yield");
	TCase *t = tcase_create("yield");

	tcase_add_checked_fixture(t, start, NULL);
	tcase_add_test(t, it_is_tried_seldom_while_it_brings_nothing);
	tcase_add_test(t, it_is_tried_always_while_it_pays);
	tcase_add_test(t, it_is_given_up_when_it_no_longer_pays);
	tcase_add_test(t, it_is_left_for_a_while_when_somebody_keeps_the_core);
	tcase_add_test(t, it_is_left_for_longer_each_time_up_to_a_bound);
	tcase_add_test(t, after_a_good_time_it_is_not_left_for_long);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
