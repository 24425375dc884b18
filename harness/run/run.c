/* SPDX-License-Identifier: GPL-2.0-or-later
 * run.c - npp-lab run: the lab, the time line, the report
 *
 * Each action runs in a process of its own, so that a slow one keeps no other from its
 * time; what it prints last is what it said. The lab goes down whatever happens.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/run/run.h"
#include "lib/self.h"

#define GRACE_MS 15000	/* after its time a load may take so long to end */
#define LOOK_MS 100

struct run {
	struct scenario s;
	struct lab lab;
	struct run_report *report;
	char work[LAB_DIR_CAP + 8];	/* for what the processes write; it goes with the lab */
	uint64_t start_ns;
	pid_t pid, sampler;	/* our own, and that of sample_loop() */
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = sig;
}

static uint64_t mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double elapsed(const struct run *r)
{
	return (double)(mono_ns() - r->start_ns) / 1e9;
}

/* ---- in the process of an action ------------------------------------------------------------------ */

static _Noreturn void do_load(struct run *r, const struct run_action *a)
{
	char prog[LAB_PATH_CAP], series[LAB_PATH_CAP + 32], conns[16], secs[32], rate[32], options[256], target[256], *argv[64], *save = NULL, *word;
	char rate_opt[] = "-r";
	struct npp_err e = { "" };
	int n = 0;

	if (npp_self_find("npp-load", prog, sizeof prog) < 0 || node_enter(&r->lab, a->node, &e) < 0) {
		puts(e.text[0] ? e.text : "cannot find npp-load");
		fflush(NULL);
		_exit(2);
	}
	snprintf(series, sizeof series, "%s/%s.series", r->work, a->load);
	snprintf(conns, sizeof conns, "%u", a->connections);
	snprintf(secs, sizeof secs, "%.3f", (double)a->for_us / 1e6);
	snprintf(rate, sizeof rate, "%g", a->rate);
	snprintf(options, sizeof options, "%s", a->options ? a->options : "");
	argv[n++] = prog;
	argv[n++] = (char[]){ "-q" };
	argv[n++] = (char[]){ "-I" };
	argv[n++] = series;
	argv[n++] = (char[]){ "-c" };
	argv[n++] = conns;
	argv[n++] = (char[]){ "-d" };
	argv[n++] = secs;
	if (a->rate > 0) {
		argv[n++] = rate_opt;
		argv[n++] = rate;
	}
	for (word = strtok_r(options, " ", &save); word && n < 50; word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	snprintf(target, sizeof target, "%s", a->target);
	for (word = strtok_r(target, " ", &save); word && n < 60; word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
	execv(prog, argv);
	_exit(127);
}

static int do_fault(struct run *r, const struct run_action *a)
{
	char text[512], *words[32], what[200] = "";
	struct npp_err e = { "" };
	int rc;

	scenario_words(a->fault, text, sizeof text, words);
	rc = fault_do(&r->lab, words, what, sizeof what, &e);
	puts(rc < 0 ? e.text : what);
	return rc < 0;
}

static int do_impair(struct run *r, const struct run_action *a)
{
	struct npp_err e = { "" };
	char *answer = NULL;
	int rc = impair(&r->lab, a->impair, a->words, &answer, &e);

	puts(rc < 0 ? e.text : a->words);
	free(answer);
	return rc < 0;
}

static _Noreturn void do_command(struct run *r, const struct run_action *a)
{
	struct npp_err e = { "" };

	if ((lab_find_node(&r->lab, a->node) && node_places(&r->lab, a->node, &e) < 0) || node_enter(&r->lab, a->node, &e) < 0) {
		puts(e.text);
		fflush(NULL);
		_exit(126);
	}
	execl("/bin/sh", "sh", "-c", a->run, (char *)NULL);
	_exit(127);
}

static _Noreturn void action_child(struct run *r, const struct run_action *a, int out)
{
	int rc;

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != r->pid)
		_exit(1);	/* npp-lab is gone already */
	dup2(out, 1);
	dup2(out, 2);
	if (a->what == RUN_LOAD)
		do_load(r, a);
	if (a->what == RUN_COMMAND)
		do_command(r, a);
	rc = a->what == RUN_FAULT ? do_fault(r, a) : do_impair(r, a);
	fflush(NULL);
	_exit(rc);
}

/* ---- the time line ----------------------------------------------------------------------------------- */

static void begin(struct run *r, struct run_action *a)
{
	char path[LAB_PATH_CAP + 32];

	snprintf(path, sizeof path, "%s/out.%u", r->work, (unsigned)(a - r->s.actions));
	a->out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0644);
	a->began = elapsed(r);
	fflush(NULL);
	a->pid = fork();
	if (a->pid == 0)
		action_child(r, a, a->out);
	fprintf(stderr, "%7.2f s  %s%s%s\n", a->began, a->what == RUN_IMPAIR ? "impair " : "",
		a->what == RUN_IMPAIR ? a->impair : "", a->what == RUN_IMPAIR ? "" : a->words);
}

/* The last line that is not empty; for load the report's last two are more than enough. */
static void last_line(struct run_action *a)
{
	char text[2048], *line, *save = NULL;
	off_t size = lseek(a->out, 0, SEEK_END);
	ssize_t n = pread(a->out, text, sizeof text - 1, size > (off_t)sizeof text - 1 ? size - (off_t)sizeof text + 1 : 0);

	text[n > 0 ? n : 0] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		snprintf(a->said, sizeof a->said, "%s", line + strspn(line, " "));
	if (a->what != RUN_LOAD)
		return;
	for (line = a->said; (line = strstr(line, "  ")) != NULL;)	/* columns of a report are none in a line of its own */
		memmove(line, line + 1, strlen(line));
}

static void reap(struct run *r, bool block)
{
	for (uint32_t i = 0; i < r->s.n_actions; i++) {
		struct run_action *a = &r->s.actions[i];
		int status;

		if (a->pid <= 0 || a->done || waitpid(a->pid, &status, block ? 0 : WNOHANG) != a->pid)
			continue;
		a->done = true;
		a->ended = elapsed(r);
		a->ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
		last_line(a);
		close(a->out);
		a->out = -1;
		if (!a->said[0] && !a->ok)
			npp_proc_describe_exit(status, a->said, sizeof a->said);
		if (!a->ok && a->what != RUN_LOAD)
			npp_warnx("%s: %s", a->what == RUN_IMPAIR ? a->impair : a->words, a->said);
	}
}

static bool all_done(const struct run *r)
{
	for (uint32_t i = 0; i < r->s.n_actions; i++)
		if (!r->s.actions[i].done)
			return false;
	return true;
}

/* Did somebody take the lab down? Looked for now and then. */
static bool lab_gone(const struct run *r, uint64_t now, uint64_t *next_look)
{
	if (now < *next_look)
		return false;
	*next_look = now + LOOK_MS * 1000000ull;
	return access(r->work, F_OK) < 0;
}

static void time_line(struct run *r)
{
	uint64_t end_ns = r->start_ns + r->s.duration_us * 1000, now, last = r->start_ns, look = 0;
	uint32_t next = 0;

	while (!stop && (now = mono_ns()) < end_ns + GRACE_MS * 1000000ull) {
		if ((double)(now - last) / 1e9 > r->report->late)
			r->report->late = (double)(now - last) / 1e9;
		last = now;
		while (next < r->s.n_actions && r->start_ns + r->s.actions[next].at_us * 1000 <= now)
			begin(r, &r->s.actions[next++]);
		reap(r, false);
		if (now >= end_ns && all_done(r))
			break;
		if (lab_gone(r, now, &look)) {
			npp_warnx("lab '%s' has gone, taken down by somebody else", r->lab.name);
			r->report->interrupted = true;
			break;
		}
		pause_ms(2);
	}
	for (uint32_t i = 0; i < r->s.n_actions; i++)
		if (r->s.actions[i].pid > 0 && !r->s.actions[i].done)
			kill(-r->s.actions[i].pid, SIGKILL);
	reap(r, true);
}

static void read_figures(struct run *r)
{
	char path[LAB_PATH_CAP + 32];

	for (uint32_t i = 0; i < r->s.n_actions; i++)
		if (r->s.actions[i].load) {
			snprintf(path, sizeof path, "%s/%s.series", r->work, r->s.actions[i].load);
			figures_add_client(&r->report->f, r->s.actions[i].load, path, r->start_ns);
		}
	snprintf(path, sizeof path, "%s/samples", r->work);
	figures_add_samples(&r->report->f, path);
}

static void run_it(struct run *r)
{
	char path[LAB_PATH_CAP + 32];

	snprintf(path, sizeof path, "%s/samples", r->work);
	r->start_ns = mono_ns();
	fflush(NULL);
	r->sampler = fork();
	if (r->sampler == 0)
		sample_loop(&r->lab, path, r->start_ns);
	time_line(r);
	if (r->sampler > 0) {
		kill(r->sampler, SIGKILL);
		waitpid(r->sampler, NULL, 0);
	}
	r->report->seconds = elapsed(r);
	r->report->interrupted |= stop != 0;
	read_figures(r);
	expect_check(r->report);
}

/* ---- around it -------------------------------------------------------------------------------------------- */

static int write_report(const struct run_report *r, const char *dir, const char *file,
			void (*write)(const struct run_report *, FILE *))
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, file);
	f = fopen(path, "we");
	if (f)
		write(r, f);
	if (!f || ferror(f) || fclose(f) != 0) {
		npp_warn("cannot write %s", path);
		return -EIO;
	}
	return 0;
}

/* There will be no report: VERB WHAT (errno) is told, with JSON also on standard output. Returns 1. */
static int no_report(const char *verb, const char *what, bool json)
{
	char text[PATH_MAX + 128];

	snprintf(text, sizeof text, "%s%s%s%s", verb, what, errno ? ": " : "", errno ? strerror(errno) : "");
	npp_warnx("%s", text);
	if (json) {
		fputs("{\"passed\": false, \"errors\": [", stdout);
		json_string(stdout, text);
		puts("]}");
	}
	return 1;
}

/* Before anything is made: who waits for a scenario wants its report. */
static int make_dir(const char *dir, bool json)
{
	struct stat st;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return no_report("cannot make ", dir, json);
	errno = stat(dir, &st) == 0 && !S_ISDIR(st.st_mode) ? ENOTDIR : 0;
	if (!errno && access(dir, W_OK | X_OK) == 0)
		return 0;
	return no_report("cannot write to ", dir, json);
}

static int write_reports(const struct run_report *r, const char *dir)
{
	int bad;

	bad = write_report(r, dir, "report.txt", report_text);
	bad |= write_report(r, dir, "report.json", report_json);
	bad |= write_report(r, dir, "junit.xml", report_junit);
	bad |= write_report(r, dir, "report.html", report_html);
	return bad;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	on_hangup(&sa);
}

static int run_in_lab(struct run *r, const char *lab, const char *out, bool json)
{
	struct npp_err e = { "" };
	int rc = lab_open(&r->lab, lab, &e);

	if (rc < 0) {
		errno = 0;
		return no_report("", e.text, json);
	}
	snprintf(r->work, sizeof r->work, "%s/run", r->lab.dir);
	if (mkdir(r->work, 0755) < 0) {
		no_report("cannot make ", r->work, json);
		lab_free(&r->lab);
		return 1;
	}
	run_it(r);
	rc = write_reports(r->report, out);
	if (json)
		report_json(r->report, stdout);
	else
		report_text(r->report, stdout);
	if (rc == 0 && !json)
		printf("  %s/report.html, report.json, junit.xml\n", out);
	lab_free(&r->lab);
	return rc < 0 || !r->report->passed;
}

/* A lab that lives no longer than this process: if it is killed, the lab is dead. */
static void keep_lab(const struct run *r)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)r->pid);
	setenv("NPP_LAB_KEEPER", pid, 1);
}

static int with_lab(struct run *r, const char *lab, const char *out, char *const *sets, unsigned n_sets, bool json)
{
	int rc, rc2;

	keep_lab(r);
	rc = lab_up_quiet(r->s.topology_path, lab, sets, n_sets, json ? "passed" : NULL);

	if (rc)
		return rc;
	catch_signals();
	rc = run_in_lab(r, lab, out, json);
	rc2 = lab_down(lab, false);
	return rc ? rc : rc2;
}

static void say_error(const char *text, bool json, unsigned *n)
{
	npp_warnx("%s", text);
	if (!json)
		return;
	fputs((*n)++ ? ",\n " : "", stdout);
	json_string(stdout, text);
}

/* Everything that is wrong with the scenario, and with its topology under these SETS, at once. */
static int check(struct run *r, int rc, const char *lab, char *const *sets, unsigned n_sets, const char *json)
{
	struct topo t = { .conf = NULL };
	unsigned n = 0;

	if (rc == 0 || r->s.topology_path) {
		if (topo_load(&t, r->s.topology_path, lab, sets, n_sets) < 0)
			rc = -EINVAL;
		else if (scenario_check(&r->s, &t) < 0)
			rc = -EINVAL;
	}
	if (rc < 0) {
		if (json)
			printf("{\"%s\": false, \"errors\": [", json);
		for (unsigned i = 0; r->s.conf && i < npp_conf_error_count(r->s.conf); i++)
			say_error(npp_conf_error_text(r->s.conf, i), json, &n);
		for (unsigned i = 0; i < topo_errors(&t); i++)
			say_error(topo_error(&t, i), json, &n);
		fputs(json ? "]}\n" : "", stdout);
	}
	topo_free(&t);
	return rc;
}

/* The sets of the scenario, then those of the command line; ends with NULL. */
static char **all_sets(const struct run *r, char *const *sets, unsigned n_sets, unsigned *n)
{
	char **all = calloc(r->s.n_sets + n_sets + 1, sizeof *all);

	if (!all)
		npp_fatalx("out of memory");
	*n = 0;
	for (uint32_t i = 0; i < r->s.n_sets; i++)
		all[(*n)++] = strdup(r->s.sets[i] ? r->s.sets[i] : "");
	for (unsigned i = 0; i < n_sets; i++)
		all[(*n)++] = strdup(sets[i]);
	return all;
}

static void free_sets(char **all)
{
	for (char **p = all; *p; p++)
		free(*p);
	free(all);
}

int lab_run(const char *file, const char *name, const char *out, char *const *sets, unsigned n_sets, bool json)
{
	struct run r = { .lab = { .lock = -1 }, .pid = getpid() };
	int rc = scenario_load(&r.s, file);
	unsigned n;
	char dir[128], **all = all_sets(&r, sets, n_sets, &n);
	const char *lab = name ? name : r.s.name;

	r.report = calloc(1, sizeof *r.report);
	if (!r.report)
		npp_fatalx("out of memory");
	r.report->s = &r.s;
	rc = check(&r, rc, lab, all, n, json ? "passed" : NULL);
	if (rc == 0 && !out) {
		snprintf(dir, sizeof dir, "%s-report", r.s.name);
		out = dir;
	}
	if (rc == 0)
		rc = make_dir(out, json);
	if (rc == 0) {
		rc = with_lab(&r, lab, out, all, n, json);
		rmdir(out); /* if there was no report */
	} else {
		rc = 1;
	}
	free_sets(all);
	figures_free(&r.report->f);
	free(r.report);
	scenario_free(&r.s);
	return rc;
}

bool lab_is_scenario(const char *file)
{
	struct npp_conf *c = NULL;
	char path[PATH_MAX];
	bool is = npp_conf_load(&c, scenario_file(file, path)) == 0 && npp_conf_get(npp_conf_root(c), "timeline");

	npp_conf_free(c);
	return is;
}

int lab_check_scenario(const char *file, const char *name, char *const *sets, unsigned n_sets, bool json)
{
	struct run r = { .lab = { .lock = -1 } };
	int rc = scenario_load(&r.s, file);
	unsigned n;
	char **all = all_sets(&r, sets, n_sets, &n);

	rc = check(&r, rc, name ? name : r.s.name, all, n, json ? "ok" : NULL);
	if (rc == 0 && json)
		puts("{\"ok\": true, \"errors\": []}");
	else if (rc == 0)
		printf("%s: scenario '%s', %.1f s, %u entr%s, %u expectation%s, on '%s'\n", file, r.s.name,
		       (double)r.s.duration_us / 1e6, r.s.n_actions, r.s.n_actions == 1 ? "y" : "ies", r.s.n_expect,
		       r.s.n_expect == 1 ? "" : "s", r.s.topology);
	free_sets(all);
	scenario_free(&r.s);
	return rc < 0;
}
