/* SPDX-License-Identifier: GPL-2.0-or-later
 * collect.c - exec --json: a command on a node, what it has said and its exit status as one answer
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/verbs.h"

#define MAX_BYTES (16u << 20)	/* of each stream; the rest is read and forgotten */

struct stream {
	int fd;			/* -1: at its end */
	char *text;		/* ends with 0 */
	size_t len, cap;
	bool cut;
};

static void keep(struct stream *s, const char *p, size_t n)
{
	char *more;

	if (n > MAX_BYTES - s->len) {
		n = MAX_BYTES - s->len;
		s->cut = true;
	}
	if (s->len + n + 1 > s->cap) {
		s->cap = 2 * (s->len + n) + 1;
		more = realloc(s->text, s->cap);
		if (!more)
			npp_fatalx("out of memory");
		s->text = more;
	}
	for (size_t i = 0; i < n; i++)	/* a text of C, and of JSON, has no zero byte */
		s->text[s->len++] = p[i] ? p[i] : '?';
	s->text[s->len] = '\0';
}

/* What is there now. */
static void take(struct stream *s)
{
	char buf[65536];
	ssize_t n;

	while (s->fd >= 0) {
		n = read(s->fd, buf, sizeof buf);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			close(s->fd);
			s->fd = -1;
			return;
		}
		keep(s, buf, (size_t)n);
	}
}

static _Noreturn void child(const int out[2], char *const argv[])
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	if (dup2(out[0], 1) < 0 || dup2(out[1], 2) < 0)
		_exit(126);
	execvp(argv[0], argv);
	npp_warn("cannot run %s", argv[0]);
	_exit(errno == ENOENT ? 127 : 126);
}

/* Until the command has ended, and all that it had said by then is here: what it leaves in the
 * background may have its output open for ever. Its exit status as the shell has it. */
static int collect(pid_t pid, struct stream s[2])
{
	int status = 0;
	bool gone = false;

	while (!gone) {
		struct pollfd p[2] = { { .fd = s[0].fd, .events = POLLIN }, { .fd = s[1].fd, .events = POLLIN } };

		poll(p, 2, s[0].fd < 0 && s[1].fd < 0 ? 10 : 20);
		gone = waitpid(pid, &status, WNOHANG) == pid;
		take(&s[0]);
		take(&s[1]);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void answer(const char *node, int status, const struct stream s[2])
{
	printf("{\"ok\": %s, \"node\": ", status ? "false" : "true");
	json_string(stdout, node);
	printf(", \"status\": %d, \"stdout\": ", status);
	json_string(stdout, s[0].text ? s[0].text : "");
	fputs(", \"stderr\": ", stdout);
	json_string(stdout, s[1].text ? s[1].text : "");
	printf(", \"cut\": %s}\n", s[0].cut || s[1].cut ? "true" : "false");
}

struct command { const char *node; char *const *argv; int status; };

static int run(struct lab *l, void *arg, struct npp_err *e)
{
	struct command *c = arg;
	struct stream s[2] = { { .fd = -1 }, { .fd = -1 } };
	int p[2][2], r = node_enter(l, c->node, e);
	pid_t pid;

	if (r < 0)
		return r;
	if (pipe2(p[0], O_CLOEXEC) < 0 || pipe2(p[1], O_CLOEXEC) < 0)
		return npp_err_set(e, -errno, "cannot make a pipe: %s", strerror(errno));
	signal(SIGINT, SIG_IGN);	/* the command's, as of system(3) */
	signal(SIGQUIT, SIG_IGN);
	pid = fork();
	if (pid == 0)
		child((int[]){ p[0][1], p[1][1] }, c->argv);
	for (int i = 0; i < 2; i++) {
		close(p[i][1]);
		s[i].fd = p[i][0];
		fcntl(s[i].fd, F_SETFL, O_NONBLOCK);
	}
	if (pid < 0)
		return npp_err_set(e, -errno, "cannot fork: %s", strerror(errno));
	c->status = collect(pid, s);
	answer(c->node, c->status, s);
	free(s[0].text);
	free(s[1].text);
	return 0;
}

int lab_exec_json(const char *lab, const char *node, char *const argv[])
{
	struct command c = { .node = node, .argv = argv };

	return lab_with(lab, false, NULL, true, run, &c) < 0 ? 125 : c.status;
}
