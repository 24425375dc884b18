/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_lock.c - locks that know their holder and survive its death
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/lock.h"
#include "tests/unit/suite.h"

static npp_lock_t *l;

static void setup(void)
{
	l = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(l, MAP_FAILED);
}

static void teardown(void)
{
	munmap(l, 4096);
}

START_TEST(one_holder_at_a_time)
{
	ck_assert(npp_lock_try(l, 5));
	ck_assert(!npp_lock_try(l, 6));
	ck_assert(!npp_lock_try(l, 5));
	ck_assert_uint_eq(*l, 5);
	ck_assert(!npp_lock_drop(l, 6));
	ck_assert(npp_lock_drop(l, 5));
	ck_assert(!npp_lock_drop(l, 5));
	ck_assert(npp_lock_try(l, 6));
}
END_TEST

START_TEST(taking_waits_in_vain_or_says_deadlock)
{
	ck_assert_int_eq(npp_lock_take(l, 5, 0), 0);
	ck_assert_int_eq(npp_lock_take(l, 5, 1000), -EDEADLK);
	ck_assert_int_eq(npp_lock_take(l, 6, 1000), -ETIMEDOUT);
	ck_assert_int_eq(npp_lock_take(l, 6, 0), -ETIMEDOUT);
}
END_TEST

START_TEST(nobody_holds_as_zero)
{
	ck_assert(!npp_lock_drop(l, 0));
	ck_assert(!npp_lock_break(l, 0));
}
END_TEST

START_TEST(the_lock_of_a_killed_holder_is_broken_and_only_that)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		npp_lock_try(l, 77);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && *l == 77);
	ck_assert(!npp_lock_try(l, 5));
	ck_assert(!npp_lock_break(l, 78));
	ck_assert(npp_lock_break(l, 77));
	ck_assert(!npp_lock_break(l, 77));
	ck_assert(npp_lock_try(l, 5));
	ck_assert(!npp_lock_drop(l, 77)); /* a late drop by the dead does no harm */
	ck_assert_uint_eq(*l, 5);
}
END_TEST

START_TEST(two_processes_exclude_each_other)
{
	volatile uint32_t *counter = (volatile uint32_t *)(l + 16);
	const uint32_t rounds = 50000;
	int status;
	pid_t pid = fork();

	for (uint32_t i = 0; i < rounds; i++) {
		if (npp_lock_take(l, pid == 0 ? 1 : 2, 20000000) < 0)
			break;
		*counter = *counter + 1;
		npp_lock_drop(l, pid == 0 ? 1 : 2);
	}
	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_uint_eq(*counter, 2 * rounds);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shm/lock");
	TCase *t = tcase_create("lock");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_holder_at_a_time);
	tcase_add_test(t, taking_waits_in_vain_or_says_deadlock);
	tcase_add_test(t, nobody_holds_as_zero);
	tcase_add_test(t, the_lock_of_a_killed_holder_is_broken_and_only_that);
	tcase_add_test(t, two_processes_exclude_each_other);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
