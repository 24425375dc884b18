/* SPDX-License-Identifier: GPL-2.0-or-later
 * proc.c - start processes in a lab, find and end those that are in it
 *
 * A process belongs to a lab if its network namespace does. Before a signal is sent the
 * process is held by a pidfd and looked at again, so a number that was used again in
 * between never hits a stranger.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "harness/verbs.h"

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void pause_ms(int ms)
{
	poll(NULL, 0, ms);
}

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
	stopped = sig;
}

void on_hangup(const struct sigaction *sa)
{
	struct sigaction old;

	if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(SIGHUP, sa, NULL);
}

const volatile sig_atomic_t *stop_on_signals(void)
{
	struct sigaction sa = { .sa_handler = on_stop };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	on_hangup(&sa);
	return &stopped;
}

/* ---- start ------------------------------------------------------------------------------ */

/* In the child: waits for the word, then becomes the program ARGV, or does FN. */
static _Noreturn void child(const char *ns, const char *log, char *const argv[], proc_fn *fn, int go, int ready)
{
	char path[NS_PATH_CAP], c;
	int fd;

	setsid();
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	if (read(go, &c, 1) != 1)
		_exit(127);	/* npp-lab is gone */
	fd = open(ns_path(ns, path), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		_exit(126);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(126);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || dup2(fd, 0) < 0)
		_exit(126);
	if (ready == 3)
		fcntl(3, F_SETFD, 0);
	else if (dup2(ready, 3) < 0)
		_exit(126);
	if (fn) {
		syscall(SYS_close_range, 4, ~0u, 0);
		_exit(fn(3));
	}
	execv(argv[0], argv);
	dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int start(struct proc_start *p, const char *ns, const char *log, char *const argv[], proc_fn *fn,
		 struct npp_err *e)
{
	int go[2], ready[2];

	if (pipe2(go, O_CLOEXEC) < 0)
		return npp_err_set(e, -errno, "cannot make a pipe: %s", strerror(errno));
	if (pipe2(ready, O_CLOEXEC) < 0) {
		close(go[0]);
		close(go[1]);
		return npp_err_set(e, -errno, "cannot make a pipe: %s", strerror(errno));
	}
	fflush(NULL);
	p->pid = fork();
	if (p->pid == 0) {
		close(go[1]);
		child(ns, log, argv, fn, go[0], ready[1]);
	}
	close(go[0]);
	close(ready[1]);
	if (p->pid < 0) {
		close(go[1]);
		close(ready[0]);
		return npp_err_set(e, -errno, "cannot fork: %s", strerror(errno));
	}
	p->go_fd = go[1];
	p->ready_fd = ready[0];
	return 0;
}

int proc_start(struct proc_start *p, const char *ns, const char *log, char *const argv[], struct npp_err *e)
{
	return start(p, ns, log, argv, NULL, e);
}

int proc_start_fn(struct proc_start *p, const char *ns, const char *log, proc_fn *fn, struct npp_err *e)
{
	return start(p, ns, log, NULL, fn, e);
}

void proc_release(struct proc_start *p)
{
	if (write(p->go_fd, "g", 1) != 1)
		npp_warn("cannot release a child");
	close(p->go_fd);
	p->go_fd = -1;
}

/* ---- find and end ------------------------------------------------------------------------- */

static bool in_ns(pid_t pid, const ino_t *inodes, unsigned n)
{
	char path[64];
	struct stat st;
	unsigned i;

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	if (stat(path, &st) < 0)
		return false;
	for (i = 0; i < n; i++)
		if (inodes[i] && st.st_ino == inodes[i])
			return true;
	return false;
}

unsigned proc_in_ns(const ino_t *inodes, unsigned n, pid_t *pids, unsigned cap)
{
	DIR *dp = opendir("/proc");
	struct dirent *d;
	unsigned found = 0;
	pid_t pid;

	while (dp && found < cap && (d = readdir(dp))) {
		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		pid = (pid_t)atoi(d->d_name);
		if (pid > 1 && pid != getpid() && in_ns(pid, inodes, n))
			pids[found++] = pid;
	}
	if (dp)
		closedir(dp);
	return found;
}

unsigned proc_kill(const pid_t *pids, unsigned n, int sig, int timeout_ms, unsigned *heard)
{
	uint64_t *start = calloc(n ? n : 1, sizeof *start);
	int64_t end = now_ms() + timeout_ms;
	unsigned i, left = n, told = 0;
	int fd;

	for (i = 0; start && i < n; i++) {
		start[i] = npp_proc_start_time(pids[i]);
		fd = (int)syscall(SYS_pidfd_open, pids[i], 0);
		if (fd < 0)
			continue;
		if (start[i] && npp_proc_start_time(pids[i]) == start[i])
			told += syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) == 0;
		close(fd);
	}
	while (start && left && timeout_ms) {
		left = 0;	/* children of ours that ended do not count: whoever waits for them reaps them */
		for (i = 0; i < n; i++)
			left += start[i] && npp_proc_start_time(pids[i]) == start[i];
		if (!left || now_ms() >= end)
			break;
		pause_ms(5);
	}
	free(start);
	if (heard)
		*heard = told;
	return left;
}
