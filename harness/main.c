/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - npp-lab: whole web sites in network namespaces (npp-lab(1))
 */
#include "config.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "harness/run/run.h"
#include "harness/verbs.h"
#include "lib/conf.h"

#define MAX_SETS 64

struct opts {
	const char *name;
	char *sets[MAX_SETS];
	unsigned n_sets;
	bool json;
	const char *write, *to, *link;	/* -w, --to, --link */
	uint64_t count;
	double seconds, speed;
	char *const *args;	/* what is left, ends with NULL */
	int n_args;
};

static int bad_usage(const char *verb, const char *what);

static int cmd_up(const struct opts *o)
{
	if (o->n_args != 1)
		return bad_usage("up", "expected one FILE");
	return lab_up(o->args[0], o->name, o->sets, o->n_sets, o->json);
}

static int cmd_down(const struct opts *o)
{
	if (o->n_args > 1)
		return bad_usage("down", "expected at most one LAB");
	return lab_down(o->n_args ? o->args[0] : o->name, o->json);
}

static int cmd_status(const struct opts *o)
{
	if (o->n_args > 1)
		return bad_usage("status", "expected at most one LAB");
	return lab_status(o->n_args ? o->args[0] : o->name, o->json);
}

static int cmd_exec(const struct opts *o)
{
	char *const *cmd = o->args + 1;

	if (o->n_args > 1 && strcmp(*cmd, "--") == 0)
		cmd++;
	if (o->n_args < 2 || !*cmd)
		return bad_usage("exec", "expected NODE -- COMMAND");
	return o->json ? lab_exec_json(o->name, o->args[0], cmd) : lab_exec(o->name, o->args[0], cmd);
}

/* What is behind NODE is npp-load's, but for --json, which may also stand at the end. */
static int cmd_load(const struct opts *o)
{
	char **words = calloc((size_t)o->n_args + 1, sizeof *words);
	bool json = o->json;
	int n = 0, r;

	if (!words)
		npp_fatalx("out of memory");
	for (int i = 1; i < o->n_args; i++) {
		if (strcmp(o->args[i], "--json") == 0)
			json = true;
		else if (i > 1 || strcmp(o->args[i], "--") != 0)
			words[n++] = o->args[i];
	}
	r = n ? lab_put_load(o->name, o->args[0], words, json) : bad_usage("load", "expected NODE [OPTION]... TARGET...");
	free(words);
	return r;
}

static int cmd_check(const struct opts *o)
{
	struct topo t;
	unsigned i;
	int r;

	if (o->n_args != 1)
		return bad_usage("check", "expected one FILE");
	if (strcmp(o->args[0], "-") != 0 && lab_is_scenario(o->args[0]))
		return lab_check_scenario(o->args[0], o->name, o->sets, o->n_sets, o->json);
	r = topo_load(&t, o->args[0], o->name, o->sets, o->n_sets);
	if (o->json) {
		printf("{\"ok\": %s, \"lab\": ", r == 0 ? "true" : "false");
		json_string(stdout, t.lab);
		printf(", \"networks\": %u, \"nodes\": %u, \"errors\": [", t.n_nets, t.n_nodes);
		for (i = 0; i < topo_errors(&t); i++) {
			fputs(i ? ",\n " : "", stdout);
			json_string(stdout, topo_error(&t, i));
		}
		puts("]}");
		topo_free(&t);
		return r < 0;
	}
	for (i = 0; i < topo_errors(&t); i++)
		fprintf(stderr, "%s\n", topo_error(&t, i));
	if (r == 0)
		printf("%s: lab '%s', %u network%s, %u node%s\n", o->args[0], t.lab, t.n_nets, t.n_nets == 1 ? "" : "s",
		       t.n_nodes, t.n_nodes == 1 ? "" : "s");
	topo_free(&t);
	return r < 0;
}

static int cmd_list(const struct opts *o)
{
	return o->n_args ? bad_usage("list", "takes no argument") : lab_print_list(o->json);
}

static int cmd_shell(const struct opts *o)
{
	return o->n_args == 1 ? lab_shell(o->name, o->args[0]) : bad_usage("shell", "expected one NODE");
}

static int cmd_links(const struct opts *o)
{
	return o->n_args ? bad_usage("links", "takes no argument") : lab_links(o->name, o->json);
}

static int cmd_logs(const struct opts *o)
{
	return o->n_args > 1 ? bad_usage("logs", "expected at most one NODE") :
	       lab_logs(o->name, o->n_args ? o->args[0] : NULL, o->json);
}

static int cmd_impair(const struct opts *o)
{
	return o->n_args < 1 ? bad_usage("impair", "expected LINK [show | KEY=VALUE... | clear | reset]") :
	       lab_impair(o->name, o->args[0], o->args + 1, o->json);
}

static int cmd_fault(const struct opts *o)
{
	return o->n_args < 1 ? bad_usage("fault", "expected what to break") : lab_fault(o->name, o->args, o->json);
}

static int cmd_capture(const struct opts *o)
{
	char filter[1024] = "";

	if (o->n_args < 1 || !o->write)
		return bad_usage("capture", "expected LINK -w FILE");
	for (int i = 1; i < o->n_args; i++) {
		size_t len = strlen(filter);

		if (len + strlen(o->args[i]) + 2 > sizeof filter)
			return bad_usage("capture", "the filter is too long");
		snprintf(filter + len, sizeof filter - len, "%s%s", len ? " " : "", o->args[i]);
	}
	return lab_capture(o->name, o->args[0], o->write, filter, o->count, o->seconds, o->json);
}

static int cmd_replay(const struct opts *o)
{
	return o->n_args != 2 ? bad_usage("replay", "expected NODE FILE") :
	       lab_replay(o->name, o->args[0], o->link, o->args[1], o->to, o->speed, o->json);
}

static int cmd_run(const struct opts *o)
{
	return o->n_args != 1 ? bad_usage("run", "expected one SCENARIO") :
	       lab_run(o->args[0], o->name, o->write, o->sets, o->n_sets, o->json);
}

static int cmd_graph(const struct opts *o)
{
	if (o->n_args > 1)
		return bad_usage("graph", "expected at most one LAB");
	if (o->seconds > 0 && !o->write)
		return bad_usage("graph", "--watch needs -w FILE");
	if (o->json && (o->write || o->seconds > 0))
		return bad_usage("graph", "--json goes to standard output, once");
	return lab_graph(o->n_args ? o->args[0] : o->name, o->write, o->seconds, o->json);
}

static int cmd_clean(const struct opts *o)
{
	return o->n_args ? bad_usage("clean", "takes no argument") : lab_clean(o->json);
}

static int cmd_schema(const struct opts *o)
{
	if (o->n_args)
		return bad_usage("schema", "takes no argument");
	topo_print_schema(stdout);
	return 0;
}

static const struct verb {
	const char *name;
	int (*run)(const struct opts *o);
	const char *opts;	/* n: --name/--lab, s: --set, j: --json, w: -w, c: --count, t: --seconds,
				   x: --speed, d: --to, l: --link, W: --watch */
	const char *args, *what;
} verbs[] = {
	{ "up", cmd_up, "nsj", "FILE|- [--name LAB] [--set KEY=VALUE]... [--json]", "Make a lab from a file (npp-topology(5))." },
	{ "down", cmd_down, "nj", "[LAB] [--json]", "Take a lab away, with all that runs in it." },
	{ "status", cmd_status, "nj", "[LAB] [--json]", "The nodes of a lab and how they are." },
	{ "exec", cmd_exec, "nj", "[--lab LAB] [--json] NODE -- COMMAND [ARGUMENT]...", "Run a command on a node." },
	{ "shell", cmd_shell, "n", "[--lab LAB] NODE", "A shell on a node." },
	{ "load", cmd_load, "nj", "[--lab LAB] [--json] NODE [OPTION...] TARGET...",
	  "Put load on a server from a node and check every byte: the options and targets of npp-load(1)." },
	{ "links", cmd_links, "nj", "[--lab LAB] [--json]", "The links of a lab: state, traffic, wires." },
	{ "logs", cmd_logs, "nj", "[--lab LAB] [NODE[.PROGRAM]] [--json]", "What the processes of a lab have said." },
	{ "impair", cmd_impair, "nj", "[--lab LAB] LINK [show | KEY=VALUE... | clear | reset | zero | seed N] [--json]",
	  "Show or change what a link's wire does to frames (npp-wire(1))." },
	{ "fault", cmd_fault, "nj", "[--lab LAB] kill|stop|cont|hup|term ROLE | link LINK down|up|flap [TIME] | "
	  "partition NETWORK NODE... | heal NETWORK | memory HOST gone [PERCENT] | memory HOST back | "
	  "hugepages gone|back [--json]", "Break something." },
	{ "capture", cmd_capture, "njwct", "[--lab LAB] LINK|NETWORK -w FILE [--count N] [--seconds S] [FILTER...] [--json]",
	  "Write the frames of a link to a file, for tcpdump and wireshark." },
	{ "replay", cmd_replay, "njxdl", "[--lab LAB] NODE FILE [--link NETWORK] [--to NODE] [--speed FACTOR] [--json]",
	  "Send a capture into the lab as if NODE had made it." },
	{ "run", cmd_run, "nswj", "SCENARIO [--name LAB] [--set KEY=VALUE]... [-w DIRECTORY] [--json]",
	  "Make a lab, play a time line of load and faults, report (npp-scenario(5))." },
	{ "graph", cmd_graph, "nwWj", "[LAB] [-w FILE.svg|FILE.png|FILE.pdf|FILE.dot] [--watch SECONDS] [--json]", "Draw a lab." },
	{ "check", cmd_check, "nsj", "FILE|- [--name LAB] [--set KEY=VALUE]... [--json]", "Say what is wrong with a file." },
	{ "list", cmd_list, "j", "[--json]", "The labs there are." },
	{ "schema", cmd_schema, "j", "[--json]", "The JSON schema of topology files, for editors." },
	{ "clean", cmd_clean, "j", "[--json]", "Remove what labs that died have left." },
};
#define N_VERBS (sizeof verbs / sizeof *verbs)

static void usage(FILE *f)
{
	fputs("usage: npp-lab [-v] VERB [OPTION...] [ARGUMENT...]\n\n", f);
	for (size_t i = 0; i < N_VERBS; i++)
		fprintf(f, "  npp-lab %s%s%s\n      %s\n", verbs[i].name, *verbs[i].args ? " " : "", verbs[i].args, verbs[i].what);
	fputs("\nLAB may be left out if only one is up. See npp-lab(1).\n", f);
}

static void verb_usage(FILE *f, const struct verb *v)
{
	fprintf(f, "usage: npp-lab [-v] %s%s%s\n", v->name, *v->args ? " " : "", v->args);
}

static int bad_usage(const char *verb, const char *what)
{
	npp_warnx("%s: %s", verb, what);
	for (size_t i = 0; i < N_VERBS; i++)
		if (strcmp(verbs[i].name, verb) == 0)
			verb_usage(stderr, &verbs[i]);
	return 2;
}

static const char *option_name(const struct option *longs, int c)
{
	if (c == 'n')
		return "name or --lab";
	while (longs->name && longs->val != c)
		longs++;
	return longs->name ? longs->name : "?";
}

/* --count, --seconds, --watch, --speed, which alone may be 0. */
static int number(struct opts *o, const char *verb, int c, const char *text)
{
	const char *wanted = c == 'c' ? "a whole number from 1 on" : c == 'x' ? "a number, at least 0" : "a number above 0";
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0 && v <= 1e9) || (c == 'c' && (v < 1 || v != (double)(uint64_t)v)) ||
	    (c != 'x' && v <= 0)) {
		npp_warnx("%s: '%s' is not %s", verb, text, wanted);
		return -1;
	}
	if (c == 'c')
		o->count = (uint64_t)v;
	else if (c == 'x')
		o->speed = v;
	else
		o->seconds = v;
	return 0;
}

static int take_option(struct opts *o, const char *verb, int c, char *arg)
{
	switch (c) {
	case 'n': o->name = arg; return 0;
	case 'j': o->json = true; return 0;
	case 'w': o->write = arg; return 0;
	case 'd': o->to = arg; return 0;
	case 'l': o->link = arg; return 0;
	case 's':
		if (o->n_sets < MAX_SETS) {
			o->sets[o->n_sets++] = arg;
			return 0;
		}
		npp_warnx("%s: more than %d times --set", verb, MAX_SETS);
		return -1;
	}
	return number(o, verb, c, arg);
}

/* 0; 1: help was asked for and given; -1: said what is wrong. */
static int parse(struct opts *o, const struct verb *v, int argc, char **argv, int *verbose)
{
	static const struct option longs[] = {
		{ "name", required_argument, NULL, 'n' }, { "lab", required_argument, NULL, 'n' },
		{ "set", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "write", required_argument, NULL, 'w' }, { "count", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 't' }, { "speed", required_argument, NULL, 'x' },
		{ "to", required_argument, NULL, 'd' }, { "link", required_argument, NULL, 'l' }, { "watch", required_argument, NULL, 'W' },
		{ "verbose", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	/* exec, load: the command's own options are not ours; others may have them at the end. */
	const char *shorts = v->run == cmd_exec || v->run == cmd_load ? "+vh" : "vhw:";
	char who[32];
	int c;

	snprintf(who, sizeof who, "npp-lab: %s", v->name);
	argv[0] = who; /* for getopt's own messages */
	optind = 1;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == 'v') {
			*verbose = 1;
			continue;
		}
		if (c == 'h') {
			verb_usage(stdout, v);
			printf("%s See npp-lab(1).\n", v->what);
			return 1;
		}
		if (c == '?')
			return -1;
		if (!strchr(v->opts, c)) {
			npp_warnx("%s: --%s is not for this verb", v->name, option_name(longs, c));
			return -1;
		}
		if (take_option(o, v->name, c, optarg) < 0)
			return -1;
	}
	o->args = argv + optind;
	o->n_args = argc - optind;
	return 0;
}

static int run_verb(const struct verb *v, int argc, char **argv, int verbose)
{
	struct opts o = { .speed = 1 };
	int r = parse(&o, v, argc, argv, &verbose);

	if (r < 0)
		verb_usage(stderr, v);
	if (r)
		return r < 0 ? 2 : 0;
	npp_log_init_tool("npp-lab", verbose);
	return npp_stdout_end(v->run(&o));
}

static int no_verb(const char *name)
{
	const char *names[N_VERBS + 1] = { NULL }, *meant;

	for (size_t i = 0; i < N_VERBS; i++)
		names[i] = verbs[i].name;
	meant = name ? npp_conf_suggest(name, names) : NULL;
	if (name)
		npp_warnx("there is no '%s'%s%s%s", name, meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
	usage(stderr);
	return 2;
}

/* nft, bird, nginx and others are where su(1) does not look. */
static void search_sbin(void)
{
	static const char *const dirs[] = { "/usr/local/sbin", "/usr/sbin", "/sbin" };
	const char *old = getenv("PATH"), *at;
	char path[8192];
	size_t len = (size_t)snprintf(path, sizeof path, "%s", old && *old ? old : "/usr/local/bin:/usr/bin:/bin"), n;

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		n = strlen(dirs[i]);
		for (at = path; (at = strstr(at, dirs[i])) != NULL; at += n)
			if ((at == path || at[-1] == ':') && (!at[n] || at[n] == ':'))
				break;
		if (!at && len + n + 2 < sizeof path)
			len += (size_t)snprintf(path + len, sizeof path - len, ":%s", dirs[i]);
	}
	if (len < sizeof path)
		setenv("PATH", path, 1);
}

int main(int argc, char **argv)
{
	int verbose = 0, at = 1;

	npp_log_init_tool("npp-lab", 0);
	search_sbin();
	while (at < argc && (strcmp(argv[at], "-v") == 0 || strcmp(argv[at], "--verbose") == 0)) {
		verbose = 1;
		at++;
	}
	if (at >= argc)
		return no_verb(NULL);
	if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0 || strcmp(argv[at], "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[at], "--version") == 0) {
		puts("npp-lab (" PACKAGE_NAME ") " PACKAGE_VERSION);
		return 0;
	}
	for (size_t i = 0; i < N_VERBS; i++)
		if (strcmp(argv[at], verbs[i].name) == 0)
			return run_verb(&verbs[i], argc - at, argv + at, verbose);
	return no_verb(argv[at]);
}
