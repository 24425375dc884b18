/* SPDX-License-Identifier: GPL-2.0-or-later
 * dir.h - a directory for the files of a Check program, gone when it ends
 *
 * Cases run in children of the program, which may fail, abort and be killed at any moment:
 * what they have made is removed by the program itself. It holds a lock on the directory;
 * what is not locked belongs to one that was killed, and the next program removes it.
 */
#ifndef NPP_TESTS_DIR_H
#define NPP_TESTS_DIR_H

#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NPP_DIR_ENV "NPP_UNIT_DIR"
#define NPP_DIR_MAX 64 /* with a name behind it, it has to be the address of a socket */

static struct { pid_t owner; int fd; char path[NPP_DIR_MAX]; } npp_dir;

/* Where a case makes its files; for a program without a suite that of all temporary files. */
static inline const char *npp_dir_path(void)
{
	const char *d = getenv(NPP_DIR_ENV);

	return d ? d : "/tmp";
}

static inline int npp_dir_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void npp_dir_remove(const char *path)
{
	nftw(path, npp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Locks the directory PATH. A descriptor, or -1: somebody has it, or it is gone. */
static inline int npp_dir_lock(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat own, named;

	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &own) == 0 && stat(path, &named) == 0 &&
	    own.st_ino == named.st_ino && own.st_uid == getuid())
		return fd;
	close(fd);
	return -1;
}

static inline void npp_dir_sweep(const char *pattern)
{
	glob_t found;

	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int fd = npp_dir_lock(found.gl_pathv[i]);

		if (fd < 0)
			continue;
		npp_dir_remove(found.gl_pathv[i]);
		close(fd);
	}
	globfree(&found);
}

/* Ctrl-C, or who is tired of waiting: nothing but what a handler may call. */
static inline void npp_dir_on_signal(int sig)
{
	if (getpid() == npp_dir.owner) {
		pid_t pid = fork();

		if (pid == 0) {
			execl("/bin/rm", "rm", "-rf", npp_dir.path, (char *)NULL);
			_exit(127);
		}
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

static inline bool npp_dir_begin(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	const char *tmp = getenv("TMPDIR");
	char pattern[NPP_DIR_MAX];

	if (!tmp || !*tmp || strlen(tmp) > NPP_DIR_MAX - 20)
		tmp = "/tmp";
	snprintf(pattern, sizeof pattern, "%s/npp-unit-??????", tmp);
	npp_dir_sweep(pattern);
	do { /* once more if somebody has swept it away before it was locked */
		snprintf(npp_dir.path, sizeof npp_dir.path, "%s/npp-unit-XXXXXX", tmp);
		if (!mkdtemp(npp_dir.path)) {
			perror(npp_dir.path);
			return false;
		}
		npp_dir.fd = npp_dir_lock(npp_dir.path);
	} while (npp_dir.fd < 0);
	npp_dir.owner = getpid();
	setenv(NPP_DIR_ENV, npp_dir.path, 1);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (signal(ends[i], npp_dir_on_signal) == SIG_IGN)
			signal(ends[i], SIG_IGN);
	return true;
}

static inline void npp_dir_end(void)
{
	npp_dir_remove(npp_dir.path);
	close(npp_dir.fd);
}

#endif
