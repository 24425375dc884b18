/* SPDX-License-Identifier: GPL-2.0-or-later
 * run.h - scenarios: a time line of load and faults on a lab, what is expected, a report
 *
 * The scenario is read and checked whole (scenario.c), the lab is made, things happen at
 * their times, each in a process of its own (run.c), while another one samples the NPPs and
 * wires (sample.c). Afterwards the figures that the processes have left in files are read
 * (series.c), held against the expectations (expect.c), and reported (report.c, html.c).
 */
#ifndef NPP_HARNESS_RUN_H
#define NPP_HARNESS_RUN_H

#include <limits.h>

#include "harness/verbs.h"

#define RUN_MAX_ACTIONS 256
#define RUN_MAX_EXPECT 256
#define RUN_MAX_TRACKS 256

enum run_what { RUN_LOAD = 1, RUN_FAULT, RUN_IMPAIR, RUN_COMMAND };

struct run_action {
	/* from the file */
	uint64_t at_us, for_us;
	const char *load, *fault, *impair, *run;	/* one of them */
	const char *node, *target, *options;
	uint32_t connections;
	double rate;
	const struct npp_conf_node *with_at, *at;
	/* found out */
	enum run_what what;
	char words[512];	/* impair: the request; others: as people read it */
	/* what became of it */
	pid_t pid;
	int out;		/* what it says */
	double began, ended;	/* seconds since the beginning */
	bool done, ok;
	bool failed;		/* and so the scenario: load does only if it has no figures */
	char said[256];
};

enum run_metric { RUN_ERRORS, RUN_REQUESTS, RUN_RPS, RUN_P50, RUN_P90, RUN_P99, RUN_P999, RUN_MAX, RUN_MBIT, RUN_GAP,
		  RUN_LOST, RUN_BACK, RUN_CONNECTS,
		  RUN_METRICS };
extern const char *const run_metric_names[RUN_METRICS];

struct run_expect {
	const char *client;
	const char *want[RUN_METRICS];	/* "<= 20"; NULL: not asked for */
	uint64_t *during;
	uint32_t n_during;
	const struct npp_conf_node *at;
};

struct run_check {	/* one metric of one expectation */
	const struct run_expect *x;
	enum run_metric metric;
	double from, to, got;
	bool ok;
};

struct scenario {
	struct npp_conf *conf;
	const char *name, *topology, *file;
	char *topology_path;
	const char **sets;
	uint32_t n_sets;
	uint64_t duration_us;
	struct run_action *actions;
	uint32_t n_actions;
	struct run_expect *expect;
	uint32_t n_expect;
};

/* 0 or -EINVAL; errors stand in s->conf. scenario_free() is needed also then. */
int scenario_load(struct scenario *s, const char *file);
/* Holds it against the lab that T would be: nodes, links, faults. */
int scenario_check(struct scenario *s, struct topo *t);
/* TEXT as words, which point into BUF; ends with NULL. */
void scenario_words(const char *text, char *buf, size_t cap, char *words[32]);
/* FILE itself, or the installed scenario of that name. */
const char *scenario_file(const char *file, char path[PATH_MAX]);
void scenario_free(struct scenario *s);
/* "<= 20" against GOT; -EINVAL: makes no sense. */
int run_compare(const char *want, double got, bool *ok);

/* ---- figures --------------------------------------------------------------------------------- */

struct run_bin { double top_us; uint64_t count; };
struct run_point {
	double t, seconds;
	uint64_t requests, errors, bytes, open, lost, connects;
	double p50_us, p99_us, max_us;
	struct run_bin *bins;
	uint32_t n_bins;
};
struct run_client { const char *name; struct run_point *p; size_t n; };

/* A value over time: connections of an IOP, drops of an NPP, losses of a wire. */
enum run_track_kind { TRACK_CONNS, TRACK_DROPS, TRACK_WIRE };
struct run_track { enum run_track_kind kind; char name[64]; double *t, *v; size_t n; };

struct run_figures {
	struct run_client client[RUN_MAX_ACTIONS];
	unsigned n_clients;
	struct run_track track[RUN_MAX_TRACKS];
	unsigned n_tracks;
};

/* Reads what npp-load wrote; START: the scenario's beginning, monotonic ns. */
int figures_add_client(struct run_figures *f, const char *name, const char *file, uint64_t start_ns);
int figures_add_samples(struct run_figures *f, const char *file);
void figures_free(struct run_figures *f);
/* METRIC of client C between FROM and TO; NAN: nothing is known of that time. */
double figures_metric(const struct run_client *c, enum run_metric m, double from, double to);

/* sample.c: never returns; lines "T KIND NAME VALUE" to FILE until it is killed. */
_Noreturn void sample_loop(struct lab *l, const char *file, uint64_t start_ns);

/* ---- reports ----------------------------------------------------------------------------------- */

struct run_report {
	const struct scenario *s;
	const char *lab;
	struct run_figures f;
	struct run_check check[RUN_MAX_EXPECT * 2];
	unsigned n_checks;
	double seconds;
	double late;	/* the longest time in which the time line itself did not get to run */
	bool passed, interrupted;
};

/* Fills check[] and passed. */
void expect_check(struct run_report *r);
void report_text(const struct run_report *r, FILE *f);
void report_json(const struct run_report *r, FILE *f);
void report_junit(const struct run_report *r, FILE *f);
void report_html(const struct run_report *r, FILE *f);
void xml_text(FILE *f, const char *text);
/* The figure that K has seen, or "nothing", into TEXT. */
const char *check_got(const struct run_check *k, char text[32]);

/* run.c: the verb. OUT: directory of the report, or NULL. */
int lab_run(const char *file, const char *name, const char *out, char *const *sets, unsigned n_sets, bool json);
/* npp-lab check of a scenario, which is known by its time line. */
bool lab_is_scenario(const char *file);
int lab_check_scenario(const char *file, const char *name, char *const *sets, unsigned n_sets, bool json);

#endif
