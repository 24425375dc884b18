/* SPDX-License-Identifier: GPL-2.0-or-later
 * program.c - programs that a topology starts on its nodes (key `start`)
 *
 * A program runs as `npp-lab exec NODE -- sh -c COMMAND` would run it, in a session of its
 * own, with its output in the lab's directory. What it is called stands in its environment
 * ($NPP_LAB_PROGRAM), where faults find it and its children. It ends with the lab.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/lab.h"
#include "lib/self.h"

#define EARLY_MS 100	/* who is not there, or mistyped, has failed by then */

/* ---- is it ready? -------------------------------------------------------------------------- */

static bool listed(const char *path, uint16_t port)
{
	char line[512];
	unsigned p, state;
	bool found = false;
	FILE *f = fopen(path, "re");

	while (f && !found && fgets(line, sizeof line, f))
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &p, &state) == 2)
			found = p == port && state == 0x0a;
	if (f)
		fclose(f);
	return found;
}

static bool port_listens(const char *ns, uint16_t port)
{
	char path[NS_PATH_CAP];
	int fd = open(ns_path(ns, path), O_RDONLY | O_CLOEXEC), back = -1;
	bool found = false;

	if (fd >= 0 && (back = ns_enter_fd(fd, NULL)) >= 0) {
		found = listed("/proc/thread-self/net/tcp", port) || listed("/proc/thread-self/net/tcp6", port);
		ns_leave(back);
	}
	if (fd >= 0)
		close(fd);
	return found;
}

/* ---- start ------------------------------------------------------------------------------------ */

static _Noreturn void fail(const char *what)
{
	dprintf(2, "npp-lab: %s\n", what);
	_exit(126);
}

int node_places(const struct lab *l, const char *node, struct npp_err *e)
{
	char dir[LAB_PATH_CAP + 16], load[PATH_MAX], file[PATH_MAX], shipped[PATH_MAX], *slash;

	snprintf(dir, sizeof dir, "%s/%s.dir", l->dir, node);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return npp_err_set(e, -errno, "cannot make %s: %s", dir, strerror(errno));
	setenv("NPP_LAB_DIR", dir, 1);
	setenv("NPP_LAB_NODE", node, 1);
	if (npp_self_find("npp-load", load, sizeof load) == 0)
		setenv("NPP_LAB_LOAD", load, 1);
	if (!realpath(topo_shipped("topologies", l->file, shipped, sizeof shipped), file))
		snprintf(file, sizeof file, "./x");
	slash = strrchr(file, '/');
	if (slash)
		*slash = '\0';
	if (strcmp(file, ".") == 0 && !getcwd(file, sizeof file))
		return npp_err_set(e, -errno, "cannot tell where this is: %s", strerror(errno));
	setenv("NPP_LAB_FILES", file, 1);
	return 0;
}

static pid_t spawn(struct lab *l, const char *node, const char *name, const char *command, const char *log)
{
	struct npp_err e = { "" };
	pid_t pid;
	int fd;

	fflush(NULL);
	pid = fork();
	if (pid != 0)
		return pid;
	setsid();
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(126);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || dup2(fd, 0) < 0)
		_exit(126);
	syscall(SYS_close_range, 3u, ~0u, 0u);
	setenv("NPP_LAB_PROGRAM", name, 1);
	if (node_places(l, node, &e) < 0 || node_enter(l, node, &e) < 0)
		fail(e.text);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	fail("cannot run /bin/sh");
}

/* Has PID ended, with STATUS, before END_MS and *STOP? */
static bool has_ended(pid_t pid, int64_t end_ms, const volatile int *stop, int *status)
{
	pid_t r;

	while ((r = waitpid(pid, status, WNOHANG)) == 0) {
		if (*stop || now_ms() > end_ms)
			return false;
		pause_ms(5);
	}
	return r == pid;
}

/* A condition is tried as long as it fails; one that takes longer than there is time for has failed. */
static bool condition_holds(struct lab *l, const char *node, const char *name, const struct topo_start *s, int64_t end_ms,
			    const volatile int *stop)
{
	char log[LAB_PATH_CAP];
	int status = -1;
	pid_t pid;

	if (s->ready.port)
		return port_listens(lab_find_node(l, node)->ns, s->ready.port);
	if (!s->ready.command)
		return true;
	snprintf(log, sizeof log, "%s/%s.ready.log", l->dir, node);
	pid = spawn(l, node, name, s->ready.command, log);
	if (pid > 0 && !has_ended(pid, end_ms, stop, &status)) {
		kill(-pid, SIGKILL);	/* its session; or itself, if it is not so far yet */
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int last_words(const char *log, struct npp_err *e, const char *what, const char *node, const char *name)
{
	char line[160], last[160] = "";
	FILE *f = fopen(log, "re");

	while (f && fgets(line, sizeof line, f))
		if (line[0] != '\n')
			memcpy(last, line, sizeof last);
	if (f)
		fclose(f);
	last[strcspn(last, "\n")] = '\0';
	return npp_err_set(e, -ECHILD, "%s: '%s' %s%s%s", node, name, what, last[0] ? ": " : "", last);
}

static int start_one(struct lab *l, const char *node, const struct topo_start *s, const volatile int *stop,
		     struct npp_err *e)
{
	int64_t end = now_ms() + (int64_t)(s->deadline_us / 1000);
	char log[LAB_PATH_CAP], what[80];
	bool waits = s->ready.port || s->ready.command, gone;
	int status = 0;
	pid_t pid;

	snprintf(log, sizeof log, "%s/%s.%s.log", l->dir, node, s->name);
	pid = spawn(l, node, s->name, s->command, log);
	if (pid < 0)
		return npp_err_set(e, -errno, "cannot fork: %s", strerror(errno));
	gone = has_ended(pid, waits ? 0 : now_ms() + EARLY_MS, stop, &status);
	for (;; gone = gone || has_ended(pid, 0, stop, &status)) {
		if (gone && status != 0) {	/* 0: it may have gone into the background */
			npp_proc_describe_exit(status, what, sizeof what);
			return last_words(log, e, what, node, s->name);
		}
		if (!waits || condition_holds(l, node, s->name, s, end, stop))
			return 0;
		if (*stop)
			return npp_err_set(e, -EINTR, "stopped by signal %d", *stop);
		if (now_ms() > end) {
			snprintf(what, sizeof what, "is not ready after %.1f s", (double)s->deadline_us / 1e6);
			return last_words(log, e, what, node, s->name);
		}
		pause_ms(5);
	}
}

int programs_start(struct lab *l, const struct topo *t, uint32_t i, const volatile int *stop, struct npp_err *e)
{
	const struct topo_node *n = &t->nodes[i];
	int r = 0;

	for (uint32_t j = 0; r == 0 && j < n->n_starts; j++)
		r = start_one(l, n->name, &n->starts[j], stop, e);
	return r;
}
