/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_places.c - run directories, our own programs, log lines
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/rundir.h"
#include "lib/self.h"
#include "tests/unit/suite.h"

static char dir[96], path[PATH_MAX];
static struct npp_err e;

static void touch(const char *name, mode_t mode)
{
	char p[256];

	snprintf(p, sizeof p, "%s/%s", dir, name);
	if (name[strlen(name) - 1] == '/')
		ck_assert_int_eq(mkdir(p, 0700), 0);
	else
		close(open(p, O_CREAT | O_WRONLY, mode));
}

static void setup(void)
{
	snprintf(dir, sizeof dir, "%s/places-XXXXXX", npp_dir_path());
	ck_assert_ptr_nonnull(mkdtemp(dir));
	touch("top.sock", 0600);
	touch("lab1/", 0);
	touch("lab2/", 0);
	touch("lab1/a.sock", 0600);
	touch("lab1/b.sock", 0600);
	touch("lab2/b.sock", 0600);
}

static void teardown(void)
{
	static const char *const all[] = { "npp-x", "x", "lab2/b.sock", "lab1/b.sock", "lab1/a.sock", "lab2", "lab1",
					   "top.sock", "" };
	char p[256];

	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		snprintf(p, sizeof p, "%s/%s", dir, all[i]);
		remove(p);
	}
}

static int find(const char *name)
{
	return npp_rundir_find(dir, name, ".sock", path, sizeof path, &e);
}

START_TEST(names_are_found_in_the_directory_and_one_below)
{
	char want[128];

	ck_assert_int_eq(find("top"), 0);
	snprintf(want, sizeof want, "%s/top.sock", dir);
	ck_assert_str_eq(path, want);
	ck_assert_int_eq(find("a"), 0);
	snprintf(want, sizeof want, "%s/lab1/a.sock", dir);
	ck_assert_str_eq(path, want);
	ck_assert_int_eq(find("lab2/b"), 0);
	snprintf(want, sizeof want, "%s/lab2/b.sock", dir);
	ck_assert_str_eq(path, want);
}
END_TEST

START_TEST(what_is_not_there_or_twice_there_is_said)
{
	ck_assert_int_eq(find("c"), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "c.sock"));
	ck_assert_int_eq(find("lab1/top"), -ENOENT);
	ck_assert_int_eq(find("b"), -ENOTUNIQ);
	ck_assert(strstr(e.text, "lab1") && strstr(e.text, "lab2"));
	ck_assert_int_eq(npp_rundir_find(dir, "b", ".sock", path, sizeof path, NULL), -ENOTUNIQ);
}
END_TEST

START_TEST(files_that_come_with_npp_are_found_from_the_build_tree)
{
	ck_assert_int_eq(npp_self_data("topologies/pair.yaml", path, sizeof path), 0);
	ck_assert_int_eq(access(path, R_OK), 0);
	ck_assert_int_eq(npp_self_data("topologies/nothing.yaml", path, sizeof path), -ENOENT);
}
END_TEST

START_TEST(names_that_lead_elsewhere_are_refused)
{
	static const char *const bad[] = { "", "/", "../x", "lab1/../a", "lab1/", "a/b/c", ".", "/etc/a" };

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_int_eq(find(bad[i]), -ENOENT);
	ck_assert_int_eq(npp_rundir_find(dir, "a", ".sock", path, 10, &e), -ENAMETOOLONG);
}
END_TEST

START_TEST(the_environment_names_the_run_directory)
{
	unsetenv("NPP_RUNDIR");
	ck_assert_str_eq(npp_rundir(), "/run/npp");
	setenv("NPP_RUNDIR", dir, 1);
	ck_assert_str_eq(npp_rundir(), dir);
	ck_assert_int_eq(npp_rundir_find(NULL, "a", ".sock", path, sizeof path, &e), 0);
}
END_TEST

START_TEST(our_programs_are_found_where_the_environment_says)
{
	setenv("NPP_EXECDIR", dir, 1);
	touch("npp-x", 0700);
	ck_assert_int_eq(npp_self_find("npp-x", path, sizeof path), 0);
	ck_assert_ptr_nonnull(strstr(path, "/npp-x"));
	ck_assert_int_eq(npp_self_find("npp-y", path, sizeof path), -ENOENT);
	ck_assert_int_eq(npp_self_find("../npp-x", path, sizeof path), -ENOENT);
	ck_assert_int_eq(npp_self_find("npp-x", path, 5), -ENOENT);
}
END_TEST

START_TEST(a_moved_installation_is_found_from_our_own_place)
{
	char own[128], want[128];

	touch("x", 0600);
	snprintf(own, sizeof own, "%s/lab1/bin", dir);
	snprintf(want, sizeof want, "%s/lab1/b.sock", dir);
	ck_assert_int_eq(npp_self_move(own, "/usr/local/bin", "/usr/local/b.sock", path, sizeof path), 0);
	ck_assert_str_eq(path, want);
	snprintf(own, sizeof own, "%s/lab2/libexec/npp", dir);
	ck_assert_int_eq(npp_self_move(own, "/usr/libexec/npp", "/usr/b.sock", path, sizeof path), 0);
	snprintf(own, sizeof own, "%s/lab1", dir);	/* DESTDIR */
	ck_assert_int_eq(npp_self_move(own, "/lab1", "/x", path, sizeof path), 0);
	ck_assert_int_eq(npp_self_move(own, "/usr/sbin", "/usr/x", path, sizeof path), -ENOENT);
	ck_assert_int_eq(npp_self_move(own, "/usr/lab1", "/var/x", path, sizeof path), -ENOENT);
	ck_assert_int_eq(npp_self_move(own, "/usr/lab1", "/usr/y", path, sizeof path), -ENOENT);
	ck_assert_int_eq(npp_self_move(own, "/usr/lab1", "/usr/x", path, 8), -ENOENT);
}
END_TEST

START_TEST(a_line_carries_name_text_and_error)
{
	char line[4096] = "", big[3000];
	int p[2], saved = dup(STDERR_FILENO);

	memset(big, 'y', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	ck_assert_int_eq(pipe(p), 0);
	dup2(p[1], STDERR_FILENO);
	npp_log_init("npp-x", 0);
	errno = ENOENT;
	npp_debug("not said");
	npp_warn("opening %s", "it");
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_gt(read(p[0], line, sizeof line - 1), 0);
	npp_info("%s", big);
	dup2(saved, STDERR_FILENO);
	ck_assert_ptr_nonnull(strstr(line, "npp-x["));
	ck_assert_ptr_nonnull(strstr(line, ": opening it: No such file or directory\n"));
	ck_assert_ptr_null(strstr(line, "not said"));
	memset(line, 0, sizeof line);
	ck_assert_int_eq(read(p[0], line, sizeof line - 1), 1023);
	ck_assert_int_eq(line[1022], '\n');
	ck_assert_int_eq(npp_err_set(NULL, -5, "x"), -5);
	ck_assert_int_eq(npp_err_set(&e, -5, "%d", 9), -5);
	ck_assert_str_eq(e.text, "9");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib/places");
	TCase *t = tcase_create("places");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, names_are_found_in_the_directory_and_one_below);
	tcase_add_test(t, what_is_not_there_or_twice_there_is_said);
	tcase_add_test(t, files_that_come_with_npp_are_found_from_the_build_tree);
	tcase_add_test(t, names_that_lead_elsewhere_are_refused);
	tcase_add_test(t, the_environment_names_the_run_directory);
	tcase_add_test(t, our_programs_are_found_where_the_environment_says);
	tcase_add_test(t, a_moved_installation_is_found_from_our_own_place);
	tcase_add_test(t, a_line_carries_name_text_and_error);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
