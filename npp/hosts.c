/* SPDX-License-Identifier: GPL-2.0-or-later
 * hosts.c - npp hosts: who shares an NPP, and how; hosts declared down
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"
#include "lib/ctl.h"
#include "npp/npp.h"

static const char *state_name(uint32_t state)
{
	static const char *const names[] = { "absent", "attached", "away", "down" };

	return state < sizeof names / sizeof *names ? names[state] : "?";
}

static const char *policy_name(uint32_t policy)
{
	return policy == NPP_SHARE_STANDBY ? "standby" : policy == NPP_SHARE_LOAD ? "load" : "weight";
}

static const char *why(int error)
{
	switch (error) {
	case -ENOENT: return "there is no such host";
	case -EINVAL: return "the host does not share listeners, or no such weight";
	case -ENOTSUP: return "that is no NPP";
	default: return strerror(-error);
	}
}

static int ask(struct target *t, const struct npp_ctl_tool_host *what, struct npp_ctl_hosts *out)
{
	uint8_t buf[sizeof *out + 64] __attribute__((aligned(8)));
	struct npp_ctl_msg m;
	int r = npp_ctl_call(t->sock, NPP_CTL_TOOL_HOST, what, sizeof *what, NULL, 0, &m, buf, sizeof buf, 5000);

	if (r < 0)
		return r;
	npp_ctl_close_fds(&m);
	if (m.hdr.len != sizeof *out)
		return -EBADMSG;
	memcpy(out, buf, sizeof *out);
	for (unsigned i = 0; i < 2 * NPP_MAX_HOSTS; i++)
		out->host[i].name[NPP_NAME_MAX - 1] = '\0';
	return 0;
}

static void show_json(const struct target *t, const struct npp_ctl_hosts *a, bool first)
{
	bool any = false;

	printf("%s\n {\"npp\": ", first ? "" : ",");
	npp_json_string(stdout, t->label);
	printf(", \"policy\": \"%s\", \"generation\": %u, \"hosts\": [", policy_name(a->policy),
	       a->generation);
	for (unsigned i = 0; i < 2 * NPP_MAX_HOSTS; i++) {
		const struct npp_ctl_host *h = &a->host[i];

		if (!h->name[0])
			continue;
		printf("%s\n  {\"name\": ", any ? "," : "");
		npp_json_string(stdout, h->name);
		if (i < NPP_MAX_HOSTS)
			printf(", \"number\": %u", i);
		printf(", \"state\": \"%s\", \"share\": %u, \"ports\": %u, \"connections\": %u, \"failures\": %u}", state_name(h->state),
		       h->share, h->ports, h->conns, h->failures);
		any = true;
	}
	fputs("]}", stdout);
}

static void show_text(struct table *tab, const struct target *t, const struct npp_ctl_hosts *a)
{
	for (unsigned i = 0; i < 2 * NPP_MAX_HOSTS; i++) {
		const struct npp_ctl_host *h = &a->host[i];

		if (!h->name[0])
			continue;
		table_cell(tab, "%.60s", t->label);
		table_cell(tab, "%s", h->name);
		if (i < NPP_MAX_HOSTS)
			table_cell(tab, "%u", i);
		else
			table_cell(tab, "-");
		table_cell(tab, "%s", state_name(h->state));
		table_cell(tab, "%s", !h->share ? "alone" : policy_name(a->policy));
		table_cell(tab, "%u", h->share);
		table_cell(tab, "%u", h->ports);
		table_cell(tab, "%u", h->conns);
		table_cell(tab, "%u", h->failures);
	}
}

/* What NPPs T have answered; one that did not shows no hosts. */
static void print_all(const struct target *t, const struct npp_ctl_hosts *a, int n, bool json)
{
	struct table tab;

	table_init(&tab, 9, 1 | 2 | 8 | 16);
	for (const char *const *h = (const char *const[]){ "NPP", "HOST", "NUMBER", "STATE", "POLICY", "SHARE", "PORTS",
							   "CONNS", "FAILURES", NULL }; *h; h++)
		table_cell(&tab, "%s", *h);
	fputs(json ? "[" : "", stdout);
	for (int i = 0; i < n; i++) {
		if (json)
			show_json(&t[i], &a[i], i == 0);
		else
			show_text(&tab, &t[i], &a[i]);
	}
	if (json)
		fputs("\n]\n", stdout);
	else
		table_print(&tab, "");
	table_free(&tab);
}

static int show(char **argv, bool json)
{
	const struct npp_ctl_tool_host what = { .what = NPP_HOST_SHOW };
	struct target *t = NULL;
	struct npp_ctl_hosts *a;
	int n = targets_open(&t, argv, 1, 1), failed = 0;

	if (n < 0)
		return 1;
	a = calloc((size_t)n, sizeof *a);
	if (!a)
		npp_fatalx("no memory");
	for (int i = 0; i < n; i++) {
		int r = ask(&t[i], &what, &a[i]);

		if (r < 0) {
			out_failed("%s: %s", t[i].label, why(r));
			failed = 1;
		}
	}
	if (!json || !failed)
		print_all(t, a, n, json);
	free(a);
	targets_close(t, n);
	return failed;
}

/* NPP HOST down|up|weight N */
static int change(int argc, char **argv, bool json)
{
	struct npp_ctl_tool_host what = { .what = NPP_HOST_SHOW };
	struct npp_err e = { "" };
	struct npp_ctl_hosts a;
	struct target t;
	uint64_t w = 0;
	int r;

	if (strcmp(argv[2], "down") == 0 && argc == 3)
		what.what = NPP_HOST_DOWN;
	else if (strcmp(argv[2], "up") == 0 && argc == 3)
		what.what = NPP_HOST_UP;
	else if (strcmp(argv[2], "weight") == 0 && argc == 4 && npp_conf_parse_u64(argv[3], &w) == 0 && w <= UINT32_MAX)
		what.what = NPP_HOST_WEIGHT;
	if (!what.what || strlen(argv[1]) >= sizeof what.name)
		return verb_usage("hosts", "expected NPP HOST down, up or weight N");
	what.weight = (uint32_t)w;
	memcpy(what.name, argv[1], strlen(argv[1]));
	r = target_open(&t, argv[0], &e);
	if (r < 0) {
		out_failed("%s", e.text);
		return 1;
	}
	r = ask(&t, &what, &a);
	if (r < 0)
		out_failed("host %s of %s: %s", argv[1], t.label, why(r));
	else if (json)
		print_all(&t, &a, 1, true);
	target_close(&t);
	return r < 0;
}

int verb_hosts(int argc, char **argv)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' },
					       { NULL, 0, NULL, 0 } };
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "jh", longs, NULL)) != -1) {
		if (c == 'h')
			return verb_help(argv[0]);
		if (c != 'j')
			return verb_usage(argv[0], NULL);
		json = out_json();
	}
	if (argc - optind >= 3)
		return change(argc - optind, argv + optind, json);
	return show(argv + optind, json);
}
