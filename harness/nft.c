/* SPDX-License-Identifier: GPL-2.0-or-later
 * nft.c - the rules of a firewall, by nft(8)
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/ns.h"
#include "harness/nl.h"

static _Noreturn void child(int in, int out)
{
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	execlp("nft", "nft", "-f", "-", (char *)NULL);
	dprintf(2, "cannot run nft: %s (package nftables)\n", strerror(errno));
	_exit(127);
}

/* The first line of what nft said. */
static void first_line(int out, char *text, size_t cap)
{
	ssize_t n = pread(out, text, cap - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int run(int in, int out)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		child(in, out);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int nft_apply(const char *ns, const char *node, const char *rules, struct npp_err *e)
{
	char path[NS_PATH_CAP], text[200] = "";
	int in = memfd_create("rules", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC), fd, back = -1, r = -EIO;

	fd = open(ns_path(ns, path), O_RDONLY | O_CLOEXEC);
	if (in < 0 || out < 0 || fd < 0 || write(in, rules, strlen(rules)) != (ssize_t)strlen(rules) ||
	    lseek(in, 0, SEEK_SET) < 0) {
		npp_err_set(e, r, "%s: cannot prepare its rules: %s", node, strerror(errno));
	} else if ((back = ns_enter_fd(fd, e)) >= 0) {
		r = run(in, out) == 0 ? 0 : -EINVAL;
		ns_leave(back);
		first_line(out, text, sizeof text);
		if (r < 0)
			npp_err_set(e, r, "rules of '%s': nft: %s", node, text);
	}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	if (fd >= 0)
		close(fd);
	return r;
}
