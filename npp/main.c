/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - npp: the verbs and their help
 */
#include "config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"
#include "npp/npp.h"

static const struct verb verbs[] = {
	{ "run", "[--host NAME] [--lab LAB] [--] PROGRAM [ARGUMENT...]",
	  "run a program whose sockets go to the NPPs of a host", verb_run },
	{ "stat", "[--json] [--watch [SECONDS]] [NAME...]", "what each process does: frames, bytes, drops, connections, load",
	  verb_stat },
	{ "conns", "[--json] [NAME...]", "TCP connections, with the IOP of each", verb_conns },
	{ "listeners", "[--json] [NAME...]", "listening sockets, with their replicas on the IOPs", verb_listeners },
	{ "groups", "[--json] [NAME...]", "multicast groups that sockets have joined", verb_groups },
	{ "hash", "[--proto tcp|udp|N] [--json] [NAME] SRC SPORT DST DPORT", "which IOP owns a flow, and why", verb_hash },
	{ "status", "[--json] [NAME...]", "which NPPs and hosts run, and whether their processes live", verb_status },
	{ "restart", "[--json] dispatch|ism N|osm [NAME]", "replace a process while its connections live", verb_restart },
	{ "hosts", "[--json] [NAME...] | NPP HOST down|up|weight N", "hosts of an NPP and what they share; take one out",
	  verb_hosts },
	{ "stop", "[--json] NAME...", "stop an NPP or a host", verb_stop },
};
#define N_VERBS (sizeof verbs / sizeof *verbs)

static void usage(FILE *f)
{
	fputs("usage: npp VERB [OPTION...] [ARGUMENT...]\n\n", f);
	for (unsigned i = 0; i < N_VERBS; i++)
		fprintf(f, "  %-10s %s\n", verbs[i].name, verbs[i].what);
	fputs("\nnpp VERB --help says more. A NAME is that of an NPP or a host, or LAB/NAME; without one, all\n"
	      "that run under $NPP_RUNDIR (default " NPP_RUNDIR ") are meant.\n", f);
}

/* A verb's argv[0] is "npp: VERB", for what getopt says. */
static const struct verb *find_verb(const char *name)
{
	if (strncmp(name, "npp: ", 5) == 0)
		name += 5;
	for (unsigned i = 0; i < N_VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

int verb_help(const char *argv0)
{
	const struct verb *v = find_verb(argv0);

	printf("usage: npp %s %s\n%c%s. See npp(1).\n", v->name, v->args, toupper((unsigned char)v->what[0]), v->what + 1);
	return 0;
}

int verb_usage(const char *argv0, const char *fmt, ...)
{
	const struct verb *v = find_verb(argv0);
	char text[256];
	va_list ap;

	if (fmt) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof text, fmt, ap);
		va_end(ap);
		npp_warnx("%s: %s", v->name, text);
	}
	fprintf(stderr, "usage: npp %s %s\n", v->name, v->args);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const char *names[N_VERBS + 1] = { NULL }, *meant;
	const struct verb *v;
	char who[32];
	int r;

	npp_log_init_tool("npp", 0);
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("npp (" PACKAGE_NAME ") " PACKAGE_VERSION);
		return 0;
	}
	v = find_verb(argv[1]);
	if (!v) {
		for (unsigned i = 0; i < N_VERBS; i++)
			names[i] = verbs[i].name;
		meant = npp_conf_suggest(argv[1], names);
		npp_warnx("there is no '%s'%s%s%s", argv[1], meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
		usage(stderr);
		return EXIT_USAGE;
	}
	snprintf(who, sizeof who, "npp: %s", v->name);
	argv[1] = who;
	r = v->fn(argc - 1, argv + 1);
	out_failures(r);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		npp_warn("standard output");
		return 1;
	}
	return r;
}
