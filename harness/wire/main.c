/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - npp-wire: options, two ends, the loop, control requests (npp-wire(1))
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness/wire/tap.h"
#include "harness/wire/wire.h"
#include "lib/conf.h"
#include "lib/ctl.h"

#define BATCH 64
#define MAX_CLIENTS 8
#define FIXED (2 * WIRE_DIRS + 1)	/* both ends, news of their links, the listener */

struct app {
	struct wire wire;
	struct wire_end end[WIRE_DIRS];	/* where the frames of a direction come in */
	struct wire_frame *spare;	/* to read and drop when the pools are empty */
	const char *control;
	int listener, client[MAX_CLIENTS];
	int ready_fd;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t app_clock(void *arg)
{
	(void)arg;
	return now_ns();
}

static int app_send(void *arg, unsigned dir, const struct wire_frame *f)
{
	struct app *a = arg;

	return wire_end_write(&a->end[!dir], f);
}

static void read_end(struct app *a, unsigned dir)
{
	int i, n;

	for (i = 0; i < BATCH; i++) {
		struct wire_frame *f = wire_get(&a->wire, WIRE_BIG - 64), *into = f ? f : a->spare;

		n = wire_end_read(&a->end[dir], into);
		if (n <= 0) {
			wire_put(&a->wire, f);
			if (n < 0 && n != -EPROTO && n != -EIO)
				npp_fatalx("end %s: %s", a->end[dir].name, strerror(-n));
			return;
		}
		if (f)
			wire_input(&a->wire, dir, f, now_ns());
		else
			a->wire.dir[dir].n.no_memory++;
	}
}

/* ---- control ------------------------------------------------------------------------------ */

static void accept_client(struct app *a)
{
	int fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), i;

	if (fd < 0)
		return;
	for (i = 0; i < MAX_CLIENTS; i++)
		if (a->client[i] < 0) {
			a->client[i] = fd;
			return;
		}
	close(fd);
}

static void serve_client(struct app *a, int *fd)
{
	char text[WIRE_CTL_MAX], *answer = NULL;
	ssize_t n = recv(*fd, text, sizeof text, 0);
	size_t len = 0;
	FILE *f;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && (f = open_memstream(&answer, &len))) {
		wire_ctl(&a->wire, text, (size_t)n, now_ns(), f);
		fclose(f);
		n = send(*fd, answer, len, MSG_NOSIGNAL);
		free(answer);
	}
	if (n <= 0) {
		close(*fd);
		*fd = -1;
	}
}

/* npp-wire ctl SOCKET REQUEST... */
static int run_ctl(int argc, char **argv)
{
	char text[WIRE_CTL_MAX] = "", answer[65536];
	size_t len = 0;
	ssize_t n;
	int fd;

	if (argc < 3) {
		npp_warnx("ctl: expected SOCKET REQUEST (see npp-wire(1))");
		return 2;
	}
	for (int i = 2; i < argc && len < sizeof text; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i > 2 ? " " : "", argv[i]);
	if (len >= sizeof text) {
		npp_warnx("ctl: the request is too long");
		return 2;
	}
	fd = npp_ctl_connect(argv[1]);
	if (fd < 0) {
		npp_warnx("cannot connect to %s: %s", argv[1], strerror(-fd));
		return 1;
	}
	n = send(fd, text, len, MSG_NOSIGNAL) < 0 ? -1 : recv(fd, answer, sizeof answer - 1, 0);
	close(fd);
	if (n <= 0) {
		npp_warnx("%s does not answer", argv[1]);
		return 1;
	}
	answer[n] = '\0';
	if (strncmp(answer, "error: ", 7) == 0) {
		answer[strcspn(answer, "\n")] = '\0';
		npp_warnx("%s", answer + 7);
		return 1;
	}
	fputs(strcmp(answer, "ok\n") == 0 ? "" : answer, stdout);
	return 0;
}

/* ---- the loop ------------------------------------------------------------------------------ */

static void wait_for_work(struct app *a, uint64_t next, const sigset_t *mask)
{
	struct pollfd p[FIXED + MAX_CLIENTS] = {
		{ .fd = a->end[WIRE_UP].fd, .events = POLLIN }, { .fd = a->end[WIRE_DOWN].fd, .events = POLLIN },
		{ .fd = a->end[WIRE_UP].events, .events = POLLIN }, { .fd = a->end[WIRE_DOWN].events, .events = POLLIN },
		{ .fd = a->listener, .events = POLLIN },
	};
	bool news = false;
	struct timespec t, *wait = NULL;
	uint64_t now;
	int i;

	for (i = 0; i < MAX_CLIENTS; i++)
		p[FIXED + i] = (struct pollfd){ .fd = a->client[i], .events = POLLIN };
	if (next != UINT64_MAX) {
		now = now_ns();
		next = next > now ? next - now : 0;
		t = (struct timespec){ .tv_sec = (time_t)(next / 1000000000u), .tv_nsec = (long)(next % 1000000000u) };
		wait = &t;
	}
	if (ppoll(p, FIXED + MAX_CLIENTS, wait, mask) <= 0)
		return;
	for (i = 0; i < WIRE_DIRS; i++) {
		if (p[i].revents)
			read_end(a, (unsigned)i);
		news |= p[WIRE_DIRS + i].revents && wire_end_events(&a->end[i]);
	}
	if (news)
		wire_follow(a->end, a->wire.carrier);
	if (p[FIXED - 1].revents)
		accept_client(a);
	for (i = 0; i < MAX_CLIENTS; i++)
		if (p[FIXED + i].revents && a->client[i] >= 0)
			serve_client(a, &a->client[i]);
}

static void loop(struct app *a)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t block, old;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &old);	/* they come during ppoll() only */
	sigdelset(&old, SIGTERM);
	sigdelset(&old, SIGINT);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	prctl(PR_SET_TIMERSLACK, 1ul);
	if (a->ready_fd >= 0) {
		if (write(a->ready_fd, "r", 1) != 1)
			npp_warn("cannot tell that it is ready");
		close(a->ready_fd);
	}
	while (!stopped)
		wait_for_work(a, wire_run(&a->wire, now_ns()), &old);
}

/* ---- start ----------------------------------------------------------------------------------- */

static void usage(FILE *f)
{
	const char *what, *key;

	fputs("usage: npp-wire -a END -b END [-c SOCKET] [-s SEED] [-r FD] [KEY=VALUE...]\n"
	      "       npp-wire ctl SOCKET get | show | set KEY=VALUE... | clear | zero | seed NUMBER\n\n"
	      "END is name=NAME[,netns=PATH][,mac=MAC][,mtu=N][,bridge=NAME][,port=NAME]: a TAP that is made there.\n"
	      "Keys (with up. in front: from a to b only; down.: from b to a):\n", f);
	for (unsigned i = 0; (key = wire_conf_key(i, &what)); i++)
		fprintf(f, "  %-12s %s\n", key, what);
}

static int parse(struct app *a, struct wire_conf *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 }
	};
	struct npp_err e = { "" };
	uint64_t v;
	char *eq;
	int opt;

	while ((opt = getopt_long(argc, argv, "a:b:c:s:r:h", longs, NULL)) != -1) {
		switch (opt) {
		case 'a': case 'b':
			if (wire_end_parse(&a->end[opt == 'b'], optarg, &e) < 0)
				return npp_warnx("%s", e.text), 2;
			break;
		case 'c': a->control = optarg; break;
		case 's': case 'r':
			if (npp_conf_parse_u64(optarg, &v) < 0 || (opt == 'r' && v > 1023))
				return npp_warnx("-%c '%s': expected a number", opt, optarg), 2;
			if (opt == 's')
				a->wire.seed = v;
			else
				a->ready_fd = (int)v;
			break;
		case 'h': usage(stdout); exit(0);
		case 'V': puts("npp-wire (" PACKAGE_NAME ") " PACKAGE_VERSION); exit(0);
		default: usage(stderr); return 2;
		}
	}
	for (; optind < argc; optind++) {
		eq = strchr(argv[optind], '=');
		if (!eq)
			return npp_warnx("'%s': expected KEY=VALUE", argv[optind]), 2;
		*eq = '\0';
		if (wire_conf_set(c, argv[optind], eq + 1, &e) < 0)
			return npp_warnx("%s", e.text), 2;
	}
	if (!a->end[0].name[0] || !a->end[1].name[0])
		return usage(stderr), 2;
	return 0;
}

int main(int argc, char **argv)
{
	static struct app a = { .listener = -1, .ready_fd = -1 };
	struct wire_conf c[WIRE_DIRS];
	struct npp_err e = { "" };
	int r, i;

	npp_log_init_tool("npp-wire", 0);
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return run_ctl(argc - 1, argv + 1);
	if (wire_init(&a.wire, 1) < 0)
		npp_fatalx("out of memory");
	wire_conf_init(c);
	r = parse(&a, c, argc, argv);
	if (r)
		return r;
	for (i = 0; i < MAX_CLIENTS; i++)
		a.client[i] = -1;
	a.spare = malloc(WIRE_BIG);
	if (!a.spare)
		npp_fatalx("out of memory");
	a.spare->cap = WIRE_BIG - (uint32_t)sizeof *a.spare;
	a.wire.send = app_send;
	a.wire.clock = app_clock;
	a.wire.arg = &a;
	if (wire_guard(a.end, &e) < 0)
		npp_fatalx("%s", e.text);
	for (i = 0; i < WIRE_DIRS; i++) {
		if (wire_end_open(&a.end[i], &e) < 0)
			npp_fatalx("%s", e.text);
		a.wire.carrier[i] = true;	/* a TAP begins with one */
	}
	wire_follow(a.end, a.wire.carrier);
	wire_apply(&a.wire, c, now_ns());
	if (a.control) {
		a.listener = npp_ctl_listen(a.control, 0600);
		if (a.listener < 0)
			npp_fatalx("cannot listen on %s: %s", a.control, strerror(-a.listener));
	}
	loop(&a);
	if (a.control)
		unlink(a.control);
	free(a.spare);
	wire_free(&a.wire);
	return 0;
}
