/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - npp-load: profiles, workers, progress
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/load/load.h"

#define FILES_PER_WORKER 18000

/* All that this process knows: profiles, and the memory that it shares with its workers. */
struct load {
	struct load_profile profile[LOAD_MAX_PROFILES];
	struct load_series *series[LOAD_MAX_PROFILES];
	unsigned n, n_workers;
	uint64_t start;
};
struct shared { _Atomic uint32_t stop; struct load_stats st[]; };

/* A worker must have files for its share of the connections. */
static void enough_workers(struct load_opts *o)
{
	while (o->workers < LOAD_MAX_WORKERS && o->conns / o->workers > FILES_PER_WORKER)
		o->workers++;
}

/* PROFILE + PROFILE...: each is parsed like a command line of its own. */
static int parse(struct load *l, int argc, char **argv)
{
	int from = 1, rc, end;

	do {
		if (l->n == LOAD_MAX_PROFILES) {
			fprintf(stderr, "npp-load: more than %d profiles\n", LOAD_MAX_PROFILES);
			return 2;
		}
		for (end = from; end < argc && strcmp(argv[end], "+") != 0; end++)
			;
		argv[from - 1] = argv[0];
		rc = load_parse(&l->profile[l->n].o, end - from + 1, argv + from - 1);
		if (rc == 0)
			rc = load_check_sources(&l->profile[l->n].o);
		if (rc)
			return rc;
		enough_workers(&l->profile[l->n].o);
		l->n_workers += l->profile[l->n++].o.workers;
		from = end + 1;
	} while (end < argc);
	for (unsigned i = 1; i < l->n; i++) {	/* these are about the whole */
		l->profile[0].o.json |= l->profile[i].o.json;
		l->profile[0].o.quiet |= l->profile[i].o.quiet;
		l->profile[0].o.verbose |= l->profile[i].o.verbose;
	}
	return 0;
}

static void pause_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static _Atomic uint32_t *stop_word;

/* Waits for the workers with a line of figures per second; returns how many failed. */
static int supervise(struct load *l)
{
	const char *term = getenv("TERM");
	bool live = !l->profile[0].o.quiet && isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0, verbose = l->profile[0].o.verbose, series = false;
	struct load_progress *p = calloc(1, sizeof *p);
	unsigned left = l->n_workers;
	uint64_t last = l->start, now;
	int failed = 0, status;

	live = live && p && !verbose;
	verbose = verbose && p;
	for (unsigned i = 0; i < l->n; i++)
		series |= l->series[i] != NULL;
	while (left > 0) {
		pid_t pid = waitpid(-1, &status, live || verbose || series ? WNOHANG : 0);

		now = load_now_ns();
		if (pid > 0) {
			left--;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
				failed++;
				atomic_store_explicit(stop_word, 1, memory_order_relaxed);	/* others may wait for it */
			}
			continue;
		}
		if (pid < 0 && errno != EINTR)
			break;
		for (unsigned i = 0; i < l->n; i++)
			load_series_tick(l->series[i], l->profile[i].st, l->profile[i].o.workers, now);
		if ((live || verbose) && now - last >= 1000000000ull) {
			load_progress(p, l->profile, l->n, (double)(now - l->start) / 1e9, (double)(now - last) / 1e9, live);
			last = now;
		}
		pause_ms(10);
	}
	if (live)
		fputs("\r\033[K", stderr);
	free(p);
	return failed;
}

static void on_signal(int sig)
{
	(void)sig;
	atomic_store_explicit(stop_word, 1, memory_order_relaxed);
}

static int open_series(struct load *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		const struct load_opts *o = &l->profile[i].o;

		if (o->series && !(l->series[i] = load_series_open(o->series, o->interval_ms, l->start))) {
			fprintf(stderr, "npp-load: %s: %s\n", o->series, strerror(errno));
			return -1;
		}
	}
	return 0;
}

static bool start_workers(struct load *l, struct shared *sh)
{
	unsigned started = 0;

	for (unsigned i = 0; i < l->n; i++)
		for (unsigned j = 0; j < l->profile[i].o.workers; j++) {
			pid_t pid = fork();

			if (pid == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				_exit(load_worker(&l->profile[i].o, j, &l->profile[i].st[j], &sh->stop));
			}
			if (pid < 0) {
				perror("npp-load: fork");
				atomic_store(&sh->stop, 1);
				l->n_workers = started;
				return false;
			}
			started++;
		}
	return true;
}

/* How many profiles came to their end without anything that was answered, or opened. */
static int nothing_done(const struct load *l)
{
	int n = 0;

	for (unsigned i = 0; i < l->n; i++) {
		const char *name = l->profile[i].o.name;

		if (!load_did_nothing(&l->profile[i]))
			continue;
		fprintf(stderr, "npp-load: %s%snothing was done in all this time\n", name, *name ? ": " : "");
		n++;
	}
	return n;
}

static int run(struct load *l, struct shared *sh)
{
	uint64_t errors = 0;
	bool started, done = true;
	int failed;

	stop_word = &sh->stop;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	started = start_workers(l, sh);
	failed = supervise(l);
	for (unsigned i = 0; i < l->n; i++) {
		load_series_close(l->series[i], l->profile[i].st, l->profile[i].o.workers, load_now_ns());
		errors += load_total_errors(l->profile[i].st, l->profile[i].o.workers);
		done = done && !load_incomplete(&l->profile[i]);
	}
	load_report(l->profile, l->n, (double)(load_now_ns() - l->start) / 1e9);
	if (!atomic_load_explicit(&sh->stop, memory_order_relaxed))
		failed += nothing_done(l);
	if (!done && atomic_load_explicit(&sh->stop, memory_order_relaxed)) {
		fputs("npp-load: stopped before all was done that was asked for\n", stderr);
		failed++;
	}
	return failed || !started || errors > 0;
}

/* Memory that is shared with the workers, and the work itself. */
static int share_and_run(struct load *l)
{
	size_t size = sizeof(struct shared) + l->n_workers * sizeof(struct load_stats);
	struct shared *sh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned k = 0;
	int rc = 1;

	if (sh == MAP_FAILED) {
		perror("npp-load");
		return 1;
	}
	for (unsigned i = 0; i < l->n; i++) {
		l->profile[i].st = sh->st + k;
		k += l->profile[i].o.workers;
	}
	l->start = load_now_ns();
	if (open_series(l) == 0)
		rc = run(l, sh);
	munmap(sh, size);
	return rc;
}

int main(int argc, char **argv)
{
	struct load *l;
	int rc;

	load_pattern_init();
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return load_serve(argc - 1, argv + 1);
	l = calloc(1, sizeof *l);
	if (!l) {
		perror("npp-load");
		return 1;
	}
	rc = parse(l, argc, argv);
	if (rc == 0)
		rc = share_and_run(l);
	free(l);
	return rc;
}
