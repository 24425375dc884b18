/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_wheel.c - the timer wheel fires in time, in order, and only what is armed
 */
#include "config.h"

#include <stdlib.h>

#include "npp-ism/stack/wheel.h"
#include "tests/unit/suite.h"

#define T WHEEL_TICK_US

START_TEST(a_timer_fires_at_its_time_and_at_most_a_tick_late)
{
	static const uint64_t delays[] = { 1, T - 1, T, T + 1, 40000, 64 * T, 65 * T, 200000, 4095 * T, 4096 * T,
					   4097 * T, 60000000, 262144ull * T + 5, 7200000000, 86400000000ull };

	for (unsigned i = 0; i < sizeof delays / sizeof delays[0]; i++) {
		for (uint64_t start = 12345; start < 400000; start += 77777) {
			struct wheel w;
			struct wheel_timer t = { .arg = 7 };
			uint64_t due = start + delays[i], now;

			wheel_init(&w, start);
			wheel_arm(&w, &t, due);
			for (;;) {
				now = wheel_next(&w);
				ck_assert_uint_le(now, due + T);
				if (now < start)
					now = start;
				if (wheel_expire(&w, now))
					break;
			}
			ck_assert_uint_ge(now, due);
			ck_assert(!wheel_armed(&t));
			ck_assert_uint_eq(w.armed, 0);
			ck_assert_uint_eq(wheel_next(&w), UINT64_MAX);
		}
	}
}
END_TEST

START_TEST(a_time_in_the_past_fires_at_the_next_run)
{
	struct wheel w;
	struct wheel_timer t = { 0 };

	wheel_init(&w, 5000000);
	wheel_arm(&w, &t, 17);
	ck_assert(wheel_next(&w) <= 5000000);
	ck_assert_ptr_eq(wheel_expire(&w, 5000000), &t);
}
END_TEST

START_TEST(a_cancelled_timer_does_not_fire)
{
	struct wheel w;
	struct wheel_timer t[3] = { 0 };

	wheel_init(&w, 0);
	for (int i = 0; i < 3; i++)
		wheel_arm(&w, &t[i], 10000);
	wheel_cancel(&w, &t[1]);
	wheel_cancel(&w, &t[1]);
	ck_assert_ptr_eq(wheel_expire(&w, 20000), &t[0]);
	ck_assert_ptr_eq(wheel_expire(&w, 20000), &t[2]);
	ck_assert_ptr_null(wheel_expire(&w, 20000));
}
END_TEST

START_TEST(many_timers_agree_with_a_plain_list)
{
	enum { N = 300 };
	struct wheel w;
	struct wheel_timer *t = calloc(N, sizeof *t);
	uint64_t now = 999;

	srandom(4711);
	wheel_init(&w, now);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)random() % N;
		uint64_t earliest = UINT64_MAX;
		struct wheel_timer *f;

		switch (random() % 4) {
		case 0:
		case 1:
			wheel_arm(&w, &t[i], now + (uint64_t)random() % (1ull << (random() % 32)));
			break;
		case 2:
			wheel_cancel(&w, &t[i]);
			break;
		default:
			now += (uint64_t)random() % (1ull << (random() % 26));
			while ((f = wheel_expire(&w, now)))
				ck_assert_uint_eq(wheel_due_us(f), 0);
			for (unsigned k = 0; k < N; k++)
				ck_assert(wheel_due_us(&t[k]) == 0 || wheel_due_us(&t[k]) + T > now);
			break;
		}
		for (unsigned k = 0; k < N; k++)
			if (wheel_due_us(&t[k]) && wheel_due_us(&t[k]) < earliest)
				earliest = wheel_due_us(&t[k]);
		if (earliest != UINT64_MAX)
			ck_assert_uint_le(wheel_next(&w), (earliest > now ? earliest : now) + T);
		/* who only asks whether something is due hears the same */
		ck_assert_uint_eq(wheel_due(&w, now), wheel_next(&w) <= now);
		if (random() % 8 == 0 && wheel_next(&w) != UINT64_MAX) {
			ck_assert(!wheel_due(&w, wheel_next(&w) - 1));
			ck_assert(wheel_due(&w, wheel_next(&w)));
		}
	}
	free(t);
}
END_TEST

START_TEST(a_long_sleep_is_cheap_and_a_clock_that_goes_back_is_harmless)
{
	struct wheel w;
	struct wheel_timer t = { 0 };

	wheel_init(&w, 0);
	wheel_arm(&w, &t, 10ull * 3600 * 1000000);
	ck_assert_ptr_null(wheel_expire(&w, 9ull * 3600 * 1000000));
	ck_assert_ptr_null(wheel_expire(&w, 1000000));
	wheel_arm(&w, &t, 2000000);
	ck_assert_ptr_null(wheel_expire(&w, 1500000));
	ck_assert_ptr_eq(wheel_expire(&w, 9ull * 3600 * 1000000), &t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wheel");
	TCase *tc = tcase_create("wheel");

	tcase_set_timeout(tc, 60); /* sanitizers take long for the plain list */

	tcase_add_test(tc, a_timer_fires_at_its_time_and_at_most_a_tick_late);
	tcase_add_test(tc, a_time_in_the_past_fires_at_the_next_run);
	tcase_add_test(tc, a_cancelled_timer_does_not_fire);
	tcase_add_test(tc, many_timers_agree_with_a_plain_list);
	tcase_add_test(tc, a_long_sleep_is_cheap_and_a_clock_that_goes_back_is_harmless);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
