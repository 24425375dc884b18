/* SPDX-License-Identifier: GPL-2.0-or-later
 * twin.c - a random program: the same steps from the same seed, wherever it runs
 *
 *   twin peer SOCKET        the other end, which TWIN_PEER4 and TWIN_PEER6 are the addresses of
 *   twin run SOCKET         runs the cases that standard input names: "SEED STEPS [left out ...]";
 *                           TWIN_ME4 and TWIN_ME6 are its own addresses
 *   twin child WHAT FD      what a case starts by exec, see child.c
 *
 * A case prints a line for each step: the call, what it gave, and after the bar what is to be seen of every
 * socket: poll's answer, the bytes to read, the state of the connection. It ends with a line "end". Which call a
 * step makes depends on the seed and its number alone, on which socket also on what is there, so that steps can be left
 * out and the others go on to mean something.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "twin.h"

#define STEPS_MAX 512
#define LONGEST 120	/* seconds for a case, which takes one or two */

volatile int pipes, alarms;

static void on_signal(int number)
{
	if (number == SIGPIPE)
		pipes++;
	else
		alarms++;
}

/* What a case is about: how often the steps of each kind are taken. */
#define THEMES 9
static const struct { const struct step *steps; int share[THEMES]; } kinds[] = {
	{ stream_steps, { 8, 4, 6, 1, 5, 4, 5, 4, 6 } }, { datagram_steps, { 0, 1, 1, 8, 5, 2, 1, 2, 5 } },
	{ wait_steps, { 1, 8, 1, 1, 2, 3, 3, 2, 1 } }, { option_steps, { 1, 1, 8, 2, 2, 1, 1, 1, 1 } },
	{ plain_steps, { 1, 1, 1, 1, 2, 5, 2, 1, 1 } }, { child_steps, { 0, 0, 0, 0, 0, 0, 12, 0, 1 } },
	{ rule_steps, { 0, 0, 0, 0, 0, 0, 0, 12, 1 } }, { move_steps, { 0, 0, 0, 0, 0, 0, 0, 0, 12 } },
};
#define KINDS (sizeof kinds / sizeof *kinds)

static const struct step *choose(struct world *w, unsigned theme)
{
	uint32_t all = 0, at;

	for (size_t k = 0; k < KINDS; k++)
		for (const struct step *s = kinds[k].steps; s->name; s++)
			all += (uint32_t)(s->weight * kinds[k].share[theme]);
	at = roll(w, all);
	for (size_t k = 0; k < KINDS; k++)
		for (const struct step *s = kinds[k].steps; s->name; s++) {
			uint32_t part = (uint32_t)(s->weight * kinds[k].share[theme]);

			if (at < part)
				return s;
			at -= part;
		}
	return NULL;
}

/* The first steps open something. */
static const struct step *beginning(struct world *w, unsigned theme)
{
	static const char *const streams[] = { "dial", "dial", "serve", "socket" };
	const char *name = one_of(w, streams);
	const struct step *s = theme == 3 ? datagram_steps : stream_steps;

	while (theme != 3 && strcmp(s->name, name))
		s++;
	return s;
}

static void begin(struct world *w)
{
	const char *names[] = { "L4", "L6", "C4", "C6", "U4", "U6", "D4", "D6" };
	uint16_t *to[] = { &w->listener[0], &w->listener[1], &w->closed[0], &w->closed[1], &w->udp[0], &w->udp[1], &w->udp_closed[0], &w->udp_closed[1] };
	char *at = ask(w, "begin");

	for (int k = 0; k < 8; k++) {
		*to[k] = (uint16_t)strtoul(at, &at, 10);
		name_port(w, *to[k], names[k]);
	}
}

static void run_case(struct world *w, uint64_t seed, int steps, const bool *left_out)
{
	struct itimerval tick = { { 2 * w->slow, 0 }, { 2 * w->slow, 0 } };
	const struct step *s;
	unsigned theme;

	setitimer(ITIMER_REAL, &tick, NULL);
	w->rng = seed;
	theme = roll(w, THEMES);
	if (getenv("TWIN_THEME"))
		theme = (unsigned)atoi(getenv("TWIN_THEME")) % THEMES;
	begin(w);
	for (int i = 0; i < steps; i++) {
		if (left_out[i])
			continue;
		w->rng = seed * 1000003 + (uint64_t)i * 7919;
		s = i < 2 ? beginning(w, theme) : choose(w, theme);
		w->len = 0;
		w->line[0] = 0;
		alarms = pipes = 0;
		s->run(w);
		if (!w->len) {
			printf("%d (%s)\n", i, s->name);
			continue;
		}
		settle(w);
		say_state(w);
		printf("%d %s%s\n", i, w->line, w->late && getenv("TWIN_LATE") ? " LATE" : "");
		w->late = 0;
		fflush(stdout);
	}
	for (int i = 0; i < SLOTS; i++)
		if (w->slot[i] >= 0) {
			w->len = 0;
			close(w->slot[i]);
			drop(w, i);
			printf("end of s%d%s\n", i, w->len ? w->line : "");
		}
}

static int join(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (void *)&sun, sizeof sun) < 0)
		err(1, "%s", path);
	return fd;
}

static struct world *world_new(const char *path)
{
	struct world *w = calloc(1, sizeof *w);
	const char *slow = getenv("NPP_SLOW");
	char line[64];

	if (!w)
		err(1, "memory");
	w->control = join(path);
	w->slow = slow ? atoi(slow) : 1;
	w->me[0] = getenv("TWIN_ME4");
	w->me[1] = getenv("TWIN_ME6");
	w->peer[0] = getenv("TWIN_PEER4");
	w->peer[1] = getenv("TWIN_PEER6");
	for (int i = 0; i < SLOTS; i++)
		w->slot[i] = -1;
	for (int i = 0; i < EPOLLS; i++)
		w->ep[i] = -1;
	w->file = memfd_create("file", MFD_CLOEXEC);
	for (int i = 0; i < 500; i++)
		if (write(w->file, line, (size_t)snprintf(line, sizeof line, "line %d\n", i)) < 0)
			err(1, "memfd");
	return w;
}

/* A call that never comes back is the end of the case: that it died of it is what is said then. */
static void set_deadline(const struct world *w)
{
	struct itimerspec end = { .it_value.tv_sec = LONGEST * w->slow };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	timer_t timer;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (timer_create(CLOCK_MONOTONIC, &ev, &timer) < 0 || timer_settime(timer, 0, &end, NULL) < 0)
		err(1, "timer");
}

/* A child for each case: what one leaves behind is nothing to the next, and who dies is noticed. */
static void run(const char *path, char *said)
{
	bool left_out[STEPS_MAX] = { false };
	uint64_t seed = strtoull(said, &said, 10);
	int steps = (int)strtol(said, &said, 10), status;
	struct sigaction sa = { .sa_handler = on_signal };
	struct world *w;
	pid_t pid;

	while (*said && *said != '\n')
		left_out[strtoul(said, &said, 10) % STEPS_MAX] = true;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		sigaction(SIGALRM, &sa, NULL);
		sigaction(SIGPIPE, &sa, NULL);
		w = world_new(path);
		set_deadline(w);
		run_case(w, seed, steps < STEPS_MAX ? steps : STEPS_MAX, left_out);
		fflush(stdout);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		printf("the program died: %x\n", (unsigned)status);
	printf("end\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[8192];

	if (argc == 3 && !strcmp(argv[1], "peer"))
		return peer_main(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "child")) {
		child_do(atoi(argv[2]), atoi(argv[3]), line);
		printf("%s", line);
		return 0;
	}
	if (argc != 3 || strcmp(argv[1], "run"))
		errx(1, "usage: twin peer|run SOCKET");
	while (fgets(line, sizeof line, stdin))
		run(argv[2], line);
	return 0;
}
