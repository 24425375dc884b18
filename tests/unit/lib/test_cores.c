/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_cores.c - how many cores there are, and staying on one
 */
#include "config.h"

#include <sched.h>

#include "lib/cores.h"
#include "lib/log.h"
#include "tests/unit/suite.h"

static unsigned allowed(cpu_set_t *set)
{
	ck_assert_int_eq(sched_getaffinity(0, sizeof *set, set), 0);
	return (unsigned)CPU_COUNT(set);
}

START_TEST(cores_are_those_that_the_process_may_use)
{
	cpu_set_t set;

	ck_assert_uint_eq(npp_cores(), allowed(&set));
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t now;

		if (!CPU_ISSET(cpu, &set))
			continue;
		npp_cores_pin(cpu);
		ck_assert_uint_eq(npp_cores(), 1);
		ck_assert_uint_eq(allowed(&now), 1);
		ck_assert(CPU_ISSET(cpu, &now));
	}
}
END_TEST

START_TEST(cpu_that_is_not_there_changes_nothing)
{
	cpu_set_t before, after;

	allowed(&before);
	npp_cores_pin(CPU_SETSIZE - 1);
	npp_cores_pin(CPU_SETSIZE);
	npp_cores_pin(-1);
	allowed(&after);
	ck_assert(CPU_EQUAL(&before, &after));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib/cores");
	TCase *t = tcase_create("cores");

	npp_log_init("test_cores", 0);
	tcase_add_test(t, cores_are_those_that_the_process_may_use);
	tcase_add_test(t, cpu_that_is_not_there_changes_nothing);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
