/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_dir.c - Check programs leave no files, however their cases and they themselves end
 */
#include "config.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static char self[PATH_MAX];

/* ---- a program with one case, which makes a file and comes to a bad end ------------------- */

static void make_file(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/made", npp_dir_path());
	ck_assert_int_eq(mkdir(path, 0700), 0);
	strcat(path, "/file");
	ck_assert_ptr_nonnull(fopen(path, "w"));
}

START_TEST(victim_fails)
{
	make_file();
	ck_abort();
}
END_TEST

START_TEST(victim_crashes)
{
	make_file();
	kill(getpid(), SIGKILL);
}
END_TEST

START_TEST(victim_hangs)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	make_file();
	puts("made");
	fflush(stdout);
	for (;;)
		pause();
}
END_TEST

static int victim(const char *how)
{
	Suite *s = suite_create("victim");
	TCase *t = tcase_create("victim");

	if (strcmp(how, "fails") == 0)
		tcase_add_test(t, victim_fails);
	else if (strcmp(how, "crashes") == 0)
		tcase_add_test(t, victim_crashes);
	else
		tcase_add_test(t, victim_hangs);
	tcase_set_timeout(t, strcmp(how, "times-out") == 0 ? 1 : 60);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}

/* ---- cases ---------------------------------------------------------------------------------- */

/* How many entries the directory of this program has: those of victims. */
static unsigned left(void)
{
	DIR *d = opendir(npp_dir_path());
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static const int interrupts[] = { SIGINT, SIGTERM, SIGHUP };

/* Starts a victim; returns when its case has made its file, if SEEN. */
static pid_t start(const char *how, bool seen)
{
	int out[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(out), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setpgid(0, 0); /* Check passes signals on to the group */
		for (unsigned i = 0; i < sizeof interrupts / sizeof *interrupts; i++)
			signal(interrupts[i], SIG_DFL); /* ignored by who runs in the background */
		dup2(out[1], STDOUT_FILENO);
		setenv("TMPDIR", npp_dir_path(), 1);
		unsetenv("CK_TAP_LOG_FILE_NAME");
		setenv("CK_VERBOSITY", "silent", 1);
		execl(self, self, "--victim", how, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	if (seen)
		ck_assert_int_eq(read(out[0], &c, 1), 1);
	close(out[0]);
	return pid;
}

static int end(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* Runs the next program until it finds nothing to remove: the case of one that was killed has its lock, and
 * lives on until the kernel has ended it. */
static void sweep_until_empty(void)
{
	time_t until = time(NULL) + 40;

	do
		end(start("fails", false));
	while (left() && time(NULL) < until);
}

static const char *const bad_ends[] = { "fails", "crashes", "times-out" };

START_TEST(nothing_is_left_by_a_case_that_comes_to_a_bad_end)
{
	int status = end(start(bad_ends[_i], false));

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EXIT_FAILURE);
	ck_assert_uint_eq(left(), 0);
}
END_TEST

START_TEST(nothing_is_left_by_a_program_that_is_interrupted)
{
	pid_t pid = start("hangs", true);
	int status;

	ck_assert_uint_eq(left(), 1);
	kill(pid, interrupts[_i]);
	status = end(pid);
	ck_assert(WIFSIGNALED(status));
	/* Check kills group 0, its own, if it has not yet run since it forked: the next one sweeps. */
	if (WTERMSIG(status) == SIGKILL)
		sweep_until_empty();
	ck_assert_uint_eq(left(), 0);
}
END_TEST

START_TEST(what_a_killed_program_left_is_removed_by_the_next)
{
	pid_t pid = start("hangs", true);

	kill(pid, SIGKILL);
	end(pid);
	ck_assert_uint_eq(left(), 1);
	sweep_until_empty();
	ck_assert_uint_eq(left(), 0);
}
END_TEST

START_TEST(what_a_running_program_has_stays)
{
	pid_t pid = start("hangs", true);

	end(start("fails", false));
	ck_assert_uint_eq(left(), 1);
	kill(pid, SIGTERM);
	end(pid);
	ck_assert_uint_eq(left(), 0);
}
END_TEST

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	Suite *s;
	TCase *t;

	if (n <= 0)
		return EXIT_FAILURE;
	if (argc == 3 && strcmp(argv[1], "--victim") == 0)
		return victim(argv[2]);
	s = suite_create("unit/dir");
	t = tcase_create("dir");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, nothing_is_left_by_a_case_that_comes_to_a_bad_end, 0, 3);
	tcase_add_loop_test(t, nothing_is_left_by_a_program_that_is_interrupted, 0, 3);
	tcase_add_test(t, what_a_killed_program_left_is_removed_by_the_next);
	tcase_add_test(t, what_a_running_program_has_stays);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
