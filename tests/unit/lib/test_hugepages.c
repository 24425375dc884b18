/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_hugepages.c - borrowing 2 MB pages: who has how many, and nothing is lost
 *
 * Others may borrow at the same time: what must not change is the number of pages that
 * nobody has borrowed, seen while the ledger is locked.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/hugepages.h"
#include "tests/unit/suite.h"

#define SYS_DIR "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define LEDGER NPP_RUNDIR "/hugepages"

static char owner[64];
static int usable;

static long number(const char *path)
{
	FILE *f = fopen(path, "re");
	long v = -1;

	if (f && fscanf(f, "%ld", &v) != 1)
		v = -1;
	if (f)
		fclose(f);
	return v;
}

/* Pages that no owner in the ledger has borrowed; surplus ones are on their way out. */
static long unborrowed(void)
{
	char line[256];
	long sum = 0, pages, nr, surplus;
	FILE *f = fopen(LEDGER, "re");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(flock(fileno(f), LOCK_EX), 0);
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%*s %ld", &pages) == 1)
			sum += pages;
	do {
		surplus = number(SYS_DIR "surplus_hugepages");
		nr = number(SYS_DIR "nr_hugepages");
	} while (surplus != number(SYS_DIR "surplus_hugepages"));
	fclose(f);
	return nr - surplus - sum;
}

static void setup(void)
{
	struct npp_err e;

	snprintf(owner, sizeof owner, "test:%d", (int)getpid());
	/* Without root or hugepages there is nothing to borrow. */
	usable = npp_hugepages_reserve(owner, 1, 0, &e) == 1;
	npp_hugepages_release(owner, &e);
	if (!usable)
		fprintf(stderr, "# nothing to test: no root, or no hugepages\n");
}

static void teardown(void)
{
	struct npp_err e;

	npp_hugepages_release(owner, &e);
}

START_TEST(shares_of_one_owner_add_up)
{
	struct npp_err e;
	long before;

	if (!usable)
		return;
	before = unborrowed();
	ck_assert_int_eq(npp_hugepages_reserve(owner, 2, 0, &e), 2);
	ck_assert_int_eq(npp_hugepages_reserve(owner, 1, 0, &e), 1);
	ck_assert_int_eq(npp_hugepages_held(owner), 3);
	ck_assert_int_eq(npp_hugepages_release(owner, &e), 3);
	ck_assert_int_eq(npp_hugepages_held(owner), 0);
	ck_assert_int_eq(npp_hugepages_release(owner, &e), 0);
	ck_assert_int_eq(unborrowed(), before);
}
END_TEST

START_TEST(pages_given_back_while_in_use_go_when_they_are_freed)
{
	struct npp_err e;
	long before;
	size_t len;
	void *p;

	if (!usable)
		return;
	before = unborrowed();
	ck_assert_int_eq(npp_hugepages_reserve(owner, 3, 0, &e), 3);
	len = 3 * (size_t)NPP_HUGEPAGE_BYTES;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (p != MAP_FAILED)
		memset(p, 1, len);
	ck_assert_int_eq(npp_hugepages_release(owner, &e), 3);
	ck_assert_int_eq(npp_hugepages_reserve(owner, 2, 0, &e), 2);
	if (p != MAP_FAILED)
		munmap(p, len);
	ck_assert_int_eq(npp_hugepages_release(owner, &e), 2);
	ck_assert_int_eq(unborrowed(), before);
}
END_TEST

/* A process that lives until the descriptor that comes back is closed. */
static int start_child(pid_t *pid)
{
	int go[2];

	ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
	*pid = fork();
	ck_assert_int_ge(*pid, 0);
	if (*pid == 0) {
		char c;

		close(go[1]);
		_exit(read(go[0], &c, 1) < 0);
	}
	close(go[0]);
	return go[1];
}

START_TEST(share_of_a_dead_process_is_given_back_by_the_next)
{
	struct npp_err e;
	char child[80];
	long before;
	pid_t pid;
	int go;

	if (!usable)
		return;
	before = unborrowed();
	snprintf(child, sizeof child, "%s:child", owner);
	go = start_child(&pid);
	ck_assert_int_eq(npp_hugepages_reserve(child, 2, pid, &e), 2);
	ck_assert_int_eq(npp_hugepages_reserve(owner, 1, 0, &e), 1);
	ck_assert_int_eq(npp_hugepages_held(child), 2);
	close(go);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(npp_hugepages_release(owner, &e), 1);
	ck_assert_int_eq(npp_hugepages_held(child), 0);
	ck_assert_int_eq(unborrowed(), before);
}
END_TEST

START_TEST(closed_for_one_directory_until_a_process_ends)
{
	char dir[] = "/tmp/npp-test-XXXXXX", other[] = "/tmp/npp-test-XXXXXX";
	struct npp_err e;
	pid_t pid;
	int go;

	if (!usable)
		return;
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_ptr_nonnull(mkdtemp(other));
	go = start_child(&pid);
	ck_assert(!npp_hugepages_closed(dir));
	ck_assert_int_eq(npp_hugepages_close(dir, pid, &e), 0);
	ck_assert(npp_hugepages_closed(dir));
	ck_assert(!npp_hugepages_closed(other));
	close(go);
	waitpid(pid, NULL, 0);
	ck_assert(!npp_hugepages_closed(dir));
	rmdir(dir);
	rmdir(other);
	ck_assert_int_eq(npp_hugepages_close(dir, pid, &e), -ENOENT);
	ck_assert(!npp_hugepages_closed(dir));
}
END_TEST

START_TEST(unused_pages_are_counted_without_those_that_were_promised)
{
	uint32_t all, before = 0, promised = 0, after = 0;
	bool same = false;
	struct npp_err e;
	void *p;

	if (!usable)
		return;
	/* Others may borrow at the same time: once it must be seen. */
	ck_assert_int_ge(npp_hugepages_reserve(owner, 2, 0, &e), 1);
	for (int i = 0; i < 1000 && !same; i++) {
		ck_assert_int_eq(npp_hugepages_count(&all, &before), 0);
		p = mmap(NULL, NPP_HUGEPAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		ck_assert_int_eq(npp_hugepages_count(&all, &promised), 0);
		if (p == MAP_FAILED)
			continue;
		munmap(p, NPP_HUGEPAGE_BYTES);
		ck_assert_int_eq(npp_hugepages_count(&all, &after), 0);
		same = before == after && promised == before - 1 && before <= all;
	}
	ck_assert(same);
}
END_TEST

START_TEST(bad_names_and_numbers_are_refused)
{
	struct npp_err e;

	ck_assert_int_eq(npp_hugepages_reserve("", 1, 0, &e), -EINVAL);
	ck_assert_int_eq(npp_hugepages_reserve("two words", 1, 0, &e), -EINVAL);
	ck_assert_int_eq(npp_hugepages_reserve(owner, 2u << 20, 0, &e), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hugepages");
	TCase *tc = tcase_create("ledger");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, shares_of_one_owner_add_up);
	tcase_add_test(tc, pages_given_back_while_in_use_go_when_they_are_freed);
	tcase_add_test(tc, share_of_a_dead_process_is_given_back_by_the_next);
	tcase_add_test(tc, closed_for_one_directory_until_a_process_ends);
	tcase_add_test(tc, unused_pages_are_counted_without_those_that_were_promised);
	tcase_add_test(tc, bad_names_and_numbers_are_refused);
	suite_add_tcase(s, tc);
	return npp_suite_run(s);
}
