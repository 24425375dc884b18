/* SPDX-License-Identifier: GPL-2.0-or-later
 * guard.c - takes the ports down that a wire stood for, however the wire ends
 *
 * The TAPs of a wire go away with it, and with them the carrier of who is directly there. A port
 * behind a bridge (carrier.c) would keep its own, and its NPP would go on sending into nothing.
 * A process that is killed can do nothing about it; a second one can, which waits for its end.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/wire/tap.h"

static void take_down(struct nl_ns *nl, const struct wire_end *e)
{
	struct nl_link_info i;

	if (nl_link_info(nl, e->port, &i, NULL) == 0 && i.up)
		nl_set_flags(nl, e->port, false, NULL);
}

/* TELL: our end of the pair, of which the wire has the other. Nothing else of the wire's is needed here. */
static _Noreturn void guard(const struct wire_end end[WIRE_DIRS], int tell)
{
	struct nl_ns nl[WIRE_DIRS] = { { .fd = -1 }, { .fd = -1 } };
	char c = 1;

	prctl(PR_SET_NAME, "npp-wire-guard");
	signal(SIGINT, SIG_IGN);	/* meant for the wire, which may be in one group with us */
	signal(SIGTERM, SIG_IGN);
	if (dup2(tell, 3) < 0 || syscall(SYS_close_range, 4, ~0u, 0) < 0)
		_exit(1);
	for (unsigned d = 0; d < WIRE_DIRS; d++) {
		const char *path = end[d].netns[0] ? end[d].netns : "/proc/self/ns/net";

		if (end[d].port[0] && nl_ns_open(&nl[d], path, path, NULL) < 0)
			_exit(1);
	}
	if (write(3, &c, 1) != 1)
		_exit(1);
	while (read(3, &c, 1) < 0 && errno == EINTR)
		;
	for (unsigned d = 0; d < WIRE_DIRS; d++)
		if (end[d].port[0])
			take_down(&nl[d], &end[d]);
	_exit(0);
}

int wire_guard(const struct wire_end end[WIRE_DIRS], struct npp_err *err)
{
	int pair[2];
	pid_t pid;
	char c;

	if (!end[WIRE_UP].port[0] && !end[WIRE_DOWN].port[0])
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return npp_err_set(err, -errno, "cannot make a guard: %s", strerror(errno));
	signal(SIGCHLD, SIG_IGN);
	pid = fork();
	if (pid == 0)
		guard(end, pair[1]);
	close(pair[1]);
	if (pid < 0 || read(pair[0], &c, 1) != 1) {
		close(pair[0]);
		return npp_err_set(err, -ECHILD, "cannot make a guard for the ports behind its ends");
	}
	return 0;	/* pair[0] stays open as long as the wire lives */
}
