/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_lab.c - a lab's lab.json: the faults that stand in it
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/lab.h"
#include "tests/unit/suite.h"

static char dir[160];
static const struct lab lab = { .name = "full", .lock = -1 };

/* A lab of no nodes in which N faults stand. */
static void setup_lab(unsigned n)
{
	char path[200];
	FILE *f;

	ck_assert_int_eq(setenv("NPP_RUNDIR", npp_dir_path(), 1), 0);
	snprintf(dir, sizeof dir, "%s/full", npp_dir_path());
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	snprintf(path, sizeof path, "%s/" LAB_STATE_FILE, dir);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fputs("{\"version\": 1, \"name\": \"full\", \"boot_id\": \"x\", \"networks\": [], \"nodes\": [], \"processes\": [],\n"
	      "\"faults\": [", f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "%s{\"fault\": \"link l%u\", \"what\": \"is down\"}", i ? ", " : "", i);
	fputs("]}\n", f);
	ck_assert_int_eq(fclose(f), 0);
}

static void teardown_lab(void)
{
	char path[200];

	snprintf(path, sizeof path, "%s/" LAB_STATE_FILE, dir);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static unsigned standing(void)
{
	struct lab l = { .lock = -1 };
	unsigned n;

	ck_assert_int_eq(lab_load(&l, "full", NULL), 0);
	n = l.n_faults;
	lab_free(&l);
	return n;
}

START_TEST(of_as_many_faults_as_there_may_be_each_can_be_changed_and_taken_back)
{
	struct npp_err e = { .text = "" };

	setup_lab(LAB_MAX_FAULTS);
	ck_assert_int_eq(lab_note_fault(&lab, "link new", "is down", &e), -E2BIG);
	ck_assert_str_eq(e.text, "lab 'full' has too many faults");
	ck_assert_uint_eq(standing(), LAB_MAX_FAULTS);
	ck_assert_int_eq(lab_note_fault(&lab, "link l7", "is very down", &e), 0);
	ck_assert_uint_eq(standing(), LAB_MAX_FAULTS);
	ck_assert_int_eq(lab_note_fault(&lab, "link l7", NULL, &e), 0);
	ck_assert_uint_eq(standing(), LAB_MAX_FAULTS - 1);
	ck_assert_int_eq(lab_note_fault(&lab, "link new", "is down", &e), 0);
	ck_assert_uint_eq(standing(), LAB_MAX_FAULTS);
	teardown_lab();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lab");
	TCase *t = tcase_create("faults");

	tcase_add_test(t, of_as_many_faults_as_there_may_be_each_can_be_changed_and_taken_back);
	suite_add_tcase(suite, t);
	return npp_suite_run(suite);
}
