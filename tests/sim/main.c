/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - npp-sim: one seed, one plan, or many seeds
 *
 * Many seeds are shared out to workers, one process each; a worker that fails or crashes
 * is replaced, and its seed is run again, made smaller and written down: DIR/sim-SEED.plan,
 * .trace, -a.pcap and -b.pcap.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/shrink.h"

#define WORKERS_MAX 16
#define TRACE_LINES 60

struct opts {
	uint64_t from, to;
	uint32_t steps;
	bool trace, tap, show;
	unsigned workers, seconds, shrink_s, max_failures;
	const char *plan, *dir;
};

struct shared {
	_Atomic uint64_t next, done, steps, frames, bytes, restarts;
	struct report report[WORKERS_MAX];
};

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void make_plan(const struct opts *o, struct plan *p, uint64_t seed)
{
	plan_generate(p, seed);
	if (o->steps)
		p->steps = o->steps;
}

/* ---- a failure ------------------------------------------------------------------------------ */

static void show_tail(const char *path)
{
	FILE *in = fopen(path, "r");
	char line[1024];
	unsigned n = 0, from;

	while (in && fgets(line, sizeof line, in))
		n++;
	from = n > TRACE_LINES ? n - TRACE_LINES : 0;
	if (!in)
		return;
	rewind(in);
	for (unsigned i = 0; fgets(line, sizeof line, in); i++)
		if (i >= from)
			printf("# | %s", line);
	fclose(in);
}

static void write_down(const struct opts *o, const struct plan *p, struct report *r)
{
	char path[400], prefix[380];
	FILE *out;

	(void)mkdir(o->dir, 0777);
	snprintf(prefix, sizeof prefix, "%s/sim-%llu", o->dir, (unsigned long long)p->seed);
	snprintf(path, sizeof path, "%s.plan", prefix);
	out = fopen(path, "w");
	if (out) {
		fprintf(out, "# %s: %s\n", r->name, r->text);
		plan_print(p, out);
		fclose(out);
	}
	snprintf(path, sizeof path, "%s.trace", prefix);
	out = fopen(path, "w");
	if (out) {
		run_apart(p, r, out, prefix, fileno(out));
		fclose(out);
		show_tail(path);
	}
	printf("# written: %s.plan, .trace, -a.pcap, -b.pcap; again: npp-sim --plan %s.plan\n", prefix, prefix);
}

/* Runs P again, alone; if it fails, makes it smaller and says all about it. */
static int failure(const struct opts *o, struct plan *p, struct report *r)
{
	char name[sizeof r->name];
	unsigned runs;

	if (!run_apart(p, r, NULL, NULL, 2))
		return 0;
	printf("# seed %llu: %s: %s (step %llu, %llu us)\n", (unsigned long long)p->seed, r->name, r->text,
	       (unsigned long long)r->step, (unsigned long long)r->now_us);
	fflush(stdout);
	snprintf(name, sizeof name, "%s", r->name);
	runs = shrink(p, name, r, o->shrink_s);
	run_apart(p, r, NULL, NULL, -1);
	printf("# smaller after %u runs: %s: %s (step %llu, %llu us)\n", runs, r->name, r->text,
	       (unsigned long long)r->step, (unsigned long long)r->now_us);
	write_down(o, p, r);
	fflush(stdout);
	return 1;
}

/* ---- many seeds --------------------------------------------------------------------------------- */

static void worker(const struct opts *o, struct shared *sh, unsigned me, double until)
{
	struct report *r = &sh->report[me];
	uint64_t seed;

	while ((seed = atomic_fetch_add(&sh->next, 1)) <= o->to && now_s() < until) {
		struct plan p;

		make_plan(o, &p, seed);
		memset(r, 0, sizeof *r);
		r->seed = seed;
		alarm(120); /* a world that hangs */
		world_run(&p, r, NULL, NULL);
		atomic_fetch_add(&sh->done, 1);
		atomic_fetch_add(&sh->steps, r->step);
		atomic_fetch_add(&sh->frames, r->frames);
		atomic_fetch_add(&sh->bytes, r->bytes);
		atomic_fetch_add(&sh->restarts, r->restarts);
		r->seed = 0;
	}
	_exit(0);
}

static pid_t start_worker(const struct opts *o, struct shared *sh, unsigned me, double until)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		worker(o, sh, me, until);
	return pid;
}

static unsigned many(const struct opts *o)
{
	struct shared *sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double begin = now_s(), until = o->seconds ? begin + o->seconds : begin + 1e9, took;
	pid_t pid[WORKERS_MAX];
	unsigned alive = o->workers, failed = 0;
	int status;

	if (sh == MAP_FAILED)
		return 1;
	atomic_store(&sh->next, o->from);
	for (unsigned i = 0; i < o->workers; i++)
		pid[i] = start_worker(o, sh, i, until);
	while (alive) {
		pid_t gone = wait(&status);

		for (unsigned i = 0; i < o->workers; i++) {
			struct plan p;
			struct report *r = &sh->report[i];

			if (pid[i] != gone)
				continue;
			alive--;
			if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
				continue;
			failed++;
			make_plan(o, &p, r->seed);
			if (!failure(o, &p, r))
				printf("# seed %llu failed once, and not again: status %#x\n", (unsigned long long)p.seed, status);
			if (failed < o->max_failures) {
				pid[i] = start_worker(o, sh, i, until);
				alive++;
			} else {
				atomic_store(&sh->next, UINT64_MAX / 2);
			}
		}
	}
	took = now_s() - begin;
	printf("# %llu seeds from %llu on, %u failed, in %.1f s: %.1f seeds/s, %.0f events/s, %llu frames, %.1f MB, %llu restarts\n",
	       (unsigned long long)sh->done, (unsigned long long)o->from, failed, took, (double)sh->done / took,
	       (double)sh->steps / took, (unsigned long long)sh->frames, (double)sh->bytes / 1e6,
	       (unsigned long long)sh->restarts);
	munmap(sh, sizeof *sh);
	return failed;
}

static unsigned alone(const struct opts *o)
{
	struct report *r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct plan p;
	unsigned bad;

	if (r == MAP_FAILED)
		return 1;
	if (o->plan) {
		if (plan_read(&p, o->plan) != 0)
			return 1;
	} else {
		make_plan(o, &p, o->from);
	}
	if (o->show)
		plan_print(&p, stdout);
	if (o->trace)
		bad = (unsigned)run_apart(&p, r, stdout, NULL, 2);
	else
		bad = o->shrink_s ? (unsigned)failure(o, &p, r) : (unsigned)run_apart(&p, r, NULL, NULL, 2);
	if (bad)
		printf("# seed %llu: %s: %s\n", (unsigned long long)p.seed, r->name, r->text);
	else
		printf("# seed %llu: %llu steps, %llu frames, %llu bytes\n", (unsigned long long)p.seed,
		       (unsigned long long)r->step, (unsigned long long)r->frames, (unsigned long long)r->bytes);
	munmap(r, sizeof *r);
	return bad;
}

/* ---- options ---------------------------------------------------------------------------------------- */

static int usage(void)
{
	fprintf(stderr, "usage: npp-sim --seed N | --seeds FROM-TO | --plan FILE\n"
			"               [--steps K] [--trace] [--show] [--time SECONDS] [--jobs N] [--shrink SECONDS]\n"
			"               [--failures N] [--out DIR] [--tap]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "seed", 1, 0, 's' }, { "seeds", 1, 0, 'r' }, { "steps", 1, 0, 'k' }, { "trace", 0, 0, 't' },
		{ "plan", 1, 0, 'p' }, { "time", 1, 0, 'T' }, { "jobs", 1, 0, 'j' }, { "shrink", 1, 0, 'x' },
		{ "out", 1, 0, 'o' }, { "tap", 0, 0, 'a' }, { "show", 0, 0, 'w' }, { "failures", 1, 0, 'f' }, { 0, 0, 0, 0 },
	};
	struct opts o = { .workers = 2, .shrink_s = 60, .dir = "sim-out", .max_failures = 5 };
	bool one = false;
	unsigned bad;
	char *dash;
	int c;

	/* A world is megabytes that the next one wants again: they stay. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	mallopt(M_TOP_PAD, 16 << 20);
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 's': o.from = o.to = strtoull(optarg, NULL, 0), one = true; break;
		case 'r':
			o.from = strtoull(optarg, &dash, 0);
			o.to = *dash == '-' && dash[1] ? strtoull(dash + 1, NULL, 0) : UINT64_MAX / 4;
			break;
		case 'k': o.steps = (uint32_t)strtoul(optarg, NULL, 0); break;
		case 't': o.trace = true; break;
		case 'p': o.plan = optarg; break;
		case 'T': o.seconds = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'j': o.workers = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'x': o.shrink_s = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'f': o.max_failures = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'o': o.dir = optarg; break;
		case 'a': o.tap = true; break;
		case 'w': o.show = true; break;
		default: return usage();
		}
	}
	if (optind < argc || (!one && !o.plan && !o.to) || !o.workers || o.workers > WORKERS_MAX)
		return usage();
	if (o.tap)
		printf("1..1\n");
	bad = one || o.plan ? alone(&o) : many(&o);
	if (o.tap)
		printf("%s 1 - everything holds for these seeds\n", bad ? "not ok" : "ok");
	return bad != 0;
}
