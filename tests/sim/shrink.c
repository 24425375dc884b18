/* SPDX-License-Identifier: GPL-2.0-or-later
 * shrink.c - runs in processes of their own, and the smallest plan that still fails
 *
 * Every number of a plan has a neutral value; a program or event that is off is gone. The
 * numbers are tried one by one, the last sections first (events, sides, programs): neutral,
 * then half way there, until a round through all changes nothing. A change stays if
 * the run still fails for the same reason. At last the steps are cut to those needed.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/shrink.h"

#define HANG_S 60

int run_apart(const struct plan *p, struct report *r, FILE *tr, const char *pcap, int err_fd)
{
	int status = 0;
	pid_t pid;

	memset(r, 0, sizeof *r);
	r->seed = p->seed;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(err_fd >= 0 ? err_fd : null, 2);
		alarm(HANG_S);
		world_run(p, r, tr, pcap);
		if (tr)
			fflush(tr);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (!r->name[0]) {
		snprintf(r->name, sizeof r->name, "%s", WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hang" : "crash");
		snprintf(r->text, sizeof r->text, "signal %d, status %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0,
			 WIFEXITED(status) ? WEXITSTATUS(status) : 0);
	}
	return 1;
}

struct search {
	struct plan *best;
	const char *name;
	struct report *r;
	time_t until;
	unsigned runs;
};

static bool still_fails(struct search *s, struct plan *p)
{
	if (time(NULL) >= s->until)
		return false;
	s->runs++;
	return run_apart(p, s->r, NULL, NULL, -1) && strcmp(s->r->name, s->name) == 0;
}

/* Number I of the best plan becomes V, if that still fails. */
static bool try_value(struct search *s, unsigned i, uint32_t v)
{
	struct plan copy = *s->best;
	struct plan_number n[PLAN_NUMBERS_MAX];
	unsigned count = plan_numbers(&copy, n);

	if (i >= count || *n[i].value == v)
		return false;
	*n[i].value = v;
	plan_fix(&copy);
	if (memcmp(&copy, s->best, sizeof copy) == 0 || !still_fails(s, &copy))
		return false;
	*s->best = copy;
	return true;
}

static bool round_of(struct search *s, bool halves)
{
	struct plan_number n[PLAN_NUMBERS_MAX];
	bool smaller = false;

	for (unsigned i = 0; i < plan_numbers(s->best, n); i++) {
		uint32_t v = *n[i].value, to = n[i].neutral;

		if (v == to)
			continue;
		if (!halves)
			smaller |= try_value(s, i, to);
		else if (v > to + 1)
			smaller |= try_value(s, i, to + (v - to) / 2);
	}
	return smaller;
}

static bool without_parts(struct search *s)
{
	bool smaller = false;

	for (unsigned i = 0; i < PLAN_PROGS + PLAN_EVENTS; i++) {
		struct plan copy = *s->best;

		if (i < PLAN_PROGS ? !copy.prog[i].on : copy.event[i - PLAN_PROGS].kind == PE_NONE)
			continue;
		if (i < PLAN_PROGS)
			copy.prog[i].on = 0;
		else
			copy.event[i - PLAN_PROGS].kind = PE_NONE;
		if (still_fails(s, &copy)) {
			*s->best = copy;
			smaller = true;
		}
	}
	return smaller;
}

unsigned shrink(struct plan *p, const char *name, struct report *r, unsigned seconds)
{
	struct search s = { p, name, r, time(NULL) + seconds, 0 };
	bool smaller = true;

	while (smaller && time(NULL) < s.until) {
		smaller = without_parts(&s);
		smaller |= round_of(&s, false);
		smaller |= round_of(&s, true);
	}
	return s.runs;
}
