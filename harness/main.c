/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - npp-lab: whole web sites in network namespaces (npp-lab(1))
 */
#include "config.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "harness/lab.h"

#define MAX_SETS 64

struct opts {
	const char *name;
	char *sets[MAX_SETS];
	unsigned n_sets;
	bool json;
	char *const *args;	/* what is left, ends with NULL */
	int n_args;
};

static void usage(FILE *f)
{
	fputs("usage: npp-lab [-v] up FILE [--name LAB] [--set KEY=VALUE]...\n"
	      "       npp-lab [-v] down [LAB]\n"
	      "       npp-lab status [LAB] [--json]\n"
	      "       npp-lab exec [--lab LAB] NODE -- COMMAND [ARGUMENT]...\n"
	      "       npp-lab check FILE [--set KEY=VALUE]...\n"
	      "       npp-lab list\n"
	      "       npp-lab clean\n", f);
}

static int bad_usage(const char *what)
{
	npp_warnx("%s", what);
	usage(stderr);
	return 2;
}

static int cmd_up(const struct opts *o)
{
	if (o->n_args != 1)
		return bad_usage("up: expected one FILE");
	return lab_up(o->args[0], o->name, o->sets, o->n_sets);
}

static int cmd_down(const struct opts *o)
{
	if (o->n_args > 1)
		return bad_usage("down: expected at most one LAB");
	return lab_down(o->n_args ? o->args[0] : o->name);
}

static int cmd_status(const struct opts *o)
{
	if (o->n_args > 1)
		return bad_usage("status: expected at most one LAB");
	return lab_status(o->n_args ? o->args[0] : o->name, o->json);
}

static int cmd_exec(const struct opts *o)
{
	char *const *cmd = o->args + 1;

	if (o->n_args > 1 && strcmp(*cmd, "--") == 0)
		cmd++;
	if (o->n_args < 2 || !*cmd)
		return bad_usage("exec: expected NODE -- COMMAND");
	return lab_exec(o->name, o->args[0], cmd);
}

static int cmd_check(const struct opts *o)
{
	struct topo t;
	unsigned i;
	int r;

	if (o->n_args != 1)
		return bad_usage("check: expected one FILE");
	r = topo_load(&t, o->args[0], o->name, o->sets, o->n_sets);
	for (i = 0; i < topo_errors(&t); i++)
		fprintf(stderr, "%s\n", topo_error(&t, i));
	if (r == 0)
		printf("%s: lab '%s', %u networks, %u nodes\n", o->args[0], t.lab, t.n_nets, t.n_nodes);
	topo_free(&t);
	return r < 0;
}

static int cmd_list(const struct opts *o)
{
	return o->n_args ? bad_usage("list: takes no argument") : lab_print_list();
}

static int cmd_clean(const struct opts *o)
{
	return o->n_args ? bad_usage("clean: takes no argument") : lab_clean();
}

static const struct verb {
	const char *name;
	int (*run)(const struct opts *o);
	const char *opts;	/* n: --name/--lab, s: --set, j: --json */
} verbs[] = {
	{ "up", cmd_up, "ns" }, { "down", cmd_down, "n" }, { "status", cmd_status, "nj" },
	{ "exec", cmd_exec, "n" }, { "check", cmd_check, "ns" }, { "list", cmd_list, "" },
	{ "clean", cmd_clean, "" },
};

static int parse(struct opts *o, const struct verb *v, int argc, char **argv, int *verbose)
{
	static const struct option longs[] = {
		{ "name", required_argument, NULL, 'n' }, { "lab", required_argument, NULL, 'n' },
		{ "set", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "verbose", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 }
	};
	/* exec: the command's own options are not ours; others may have them at the end. */
	const char *shorts = v->run == cmd_exec ? "+v" : "v";
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == 'v') {
			*verbose = 1;
			continue;
		}
		if (c == '?' || !strchr(v->opts, c)) {
			if (c != '?')
				npp_warnx("%s: option not for this verb", v->name);
			return -1;
		}
		if (c == 'n')
			o->name = optarg;
		else if (c == 'j')
			o->json = true;
		else if (o->n_sets < MAX_SETS)
			o->sets[o->n_sets++] = optarg;
	}
	o->args = argv + optind;
	o->n_args = argc - optind;
	return 0;
}

int main(int argc, char **argv)
{
	struct opts o = { .name = NULL };
	int verbose = 0, at = 1;
	size_t i;

	npp_log_init("npp-lab", 0);
	while (at < argc && strcmp(argv[at], "-v") == 0) {
		verbose = 1;
		at++;
	}
	if (at < argc && (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)) {
		usage(stdout);
		return 0;
	}
	if (at < argc && strcmp(argv[at], "--version") == 0) {
		puts(PACKAGE_STRING);
		return 0;
	}
	for (i = 0; at < argc && i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(argv[at], verbs[i].name) != 0)
			continue;
		if (parse(&o, &verbs[i], argc - at, argv + at, &verbose) < 0) {
			usage(stderr);
			return 2;
		}
		npp_log_init("npp-lab", verbose);
		return verbs[i].run(&o);
	}
	return bad_usage(at < argc ? "there is no such verb" : "expected a verb");
}
