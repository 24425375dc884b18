/* SPDX-License-Identifier: GPL-2.0-or-later
 * scenario.c - read and check a scenario (npp-scenario(5))
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/run/run.h"
#include "harness/wire/wire.h"

const char *const run_metric_names[RUN_METRICS] = {
	"errors", "requests", "rps", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms", "mbit", "gap_ms",
	"lost", "back_ms", "connects"
};

#define A(member) offsetof(struct run_action, member)
static const struct npp_conf_field action_fields[] = {
	{ "at", NPP_CONF_TIME, A(at_us), .flags = NPP_CONF_REQUIRED, .max = 86400000000 },
	{ "for", NPP_CONF_TIME, A(for_us), .max = 86400000000 },
	{ "load", NPP_CONF_NAME, A(load), .max = 31 },
	{ "fault", NPP_CONF_STR, A(fault), .flags = 0 },
	{ "impair", NPP_CONF_STR, A(impair), .flags = 0 },
	{ "run", NPP_CONF_STR, A(run), .flags = 0 },
	{ "node", NPP_CONF_STR, A(node), .flags = 0 },
	{ "target", NPP_CONF_STR, A(target), .flags = 0 },
	{ "options", NPP_CONF_STR, A(options), .flags = 0 },
	{ "connections", NPP_CONF_U32, A(connections), .min = 1, .max = 100000, .dflt = "16" },
	{ "rate", NPP_CONF_DOUBLE, A(rate), .dmin = 0, .dmax = 1e7 },
	{ "with", NPP_CONF_NODE, A(with_at), .flags = 0 },
	{ .type = NPP_CONF_SELF, .off = A(at) },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema action_schema = { sizeof(struct run_action), action_fields, NULL };
static const struct npp_conf_field action_item = {
	.type = NPP_CONF_MAP, .sub = &action_schema, .size = sizeof(struct run_action)
};
static const struct npp_conf_field time_item = { .type = NPP_CONF_TIME, .size = sizeof(uint64_t) };

#define X(member) offsetof(struct run_expect, member)
#define METRIC(name, m) { name, NPP_CONF_STR, X(want) + (m) * sizeof(const char *), .flags = 0 }
static const struct npp_conf_field expect_fields[] = {
	{ "client", NPP_CONF_NAME, X(client), .flags = NPP_CONF_REQUIRED },
	{ "during", NPP_CONF_LIST, X(during), .min = 2, .max = 2, .count_off = X(n_during), .item = &time_item },
	METRIC("errors", RUN_ERRORS), METRIC("requests", RUN_REQUESTS), METRIC("rps", RUN_RPS),
	METRIC("p50_ms", RUN_P50), METRIC("p90_ms", RUN_P90), METRIC("p99_ms", RUN_P99), METRIC("p999_ms", RUN_P999),
	METRIC("max_ms", RUN_MAX), METRIC("mbit", RUN_MBIT), METRIC("gap_ms", RUN_GAP),
	METRIC("lost", RUN_LOST), METRIC("back_ms", RUN_BACK), METRIC("connects", RUN_CONNECTS),
	{ .type = NPP_CONF_SELF, .off = X(at) },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema expect_schema = { sizeof(struct run_expect), expect_fields, NULL };
static const struct npp_conf_field expect_item = {
	.type = NPP_CONF_MAP, .sub = &expect_schema, .size = sizeof(struct run_expect)
};
static const struct npp_conf_field set_item = { .type = NPP_CONF_STR, .size = sizeof(const char *) };

#define S(member) offsetof(struct scenario, member)
static const struct npp_conf_field scenario_fields[] = {
	{ "name", NPP_CONF_NAME, S(name), .flags = NPP_CONF_REQUIRED, .max = TOPO_LAB_LEN },
	{ "topology", NPP_CONF_STR, S(topology), .flags = NPP_CONF_REQUIRED },
	{ "set", NPP_CONF_LIST, S(sets), .max = 64, .count_off = S(n_sets), .item = &set_item },
	{ "duration", NPP_CONF_TIME, S(duration_us), .max = 86400000000 },
	{ "timeline", NPP_CONF_LIST, S(actions), .flags = NPP_CONF_REQUIRED, .min = 1, .max = RUN_MAX_ACTIONS,
	  .count_off = S(n_actions), .item = &action_item },
	{ "expect", NPP_CONF_LIST, S(expect), .max = RUN_MAX_EXPECT, .count_off = S(n_expect), .item = &expect_item },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema scenario_schema = { sizeof(struct scenario), scenario_fields, NULL };

int run_compare(const char *want, double got, bool *ok)
{
	static const char *const ops[] = { "<=", ">=", "==", "<", ">", "" };
	const char *p;
	char *end;
	double v;
	unsigned i;

	for (i = 0; strncmp(want, ops[i], strlen(ops[i])) != 0; i++)
		;
	p = want + strlen(ops[i]);
	p += strspn(p, " ");
	v = strtod(p, &end);
	if (end == p || *end || !(v >= 0 && v < 1e15))
		return -EINVAL;
	*ok = i == 0 ? got <= v : i == 1 ? got >= v : i == 3 ? got < v : i == 4 ? got > v : got == v;
	return 0;
}

static void only_with(struct scenario *s, const struct run_action *a, const char *key, bool right, const char *whose)
{
	if (npp_conf_get(a->at, key) && !right)
		npp_conf_error_key(s->conf, a->at, key, "belongs to '%s'", whose);
}

/* The settings as a request for npp-wire; they are checked here, not in the middle of a run. */
static void check_impair(struct scenario *s, struct run_action *a)
{
	const struct npp_conf_node *k;
	struct wire_conf c[WIRE_DIRS];
	struct npp_err e = { "" };
	size_t len = (size_t)snprintf(a->words, sizeof a->words, "set");

	if (!a->with_at || npp_conf_is_null(a->with_at) ||
	    (a->with_at->kind == NPP_CONF_SCALAR && strcmp(a->with_at->text, "clear") == 0)) {
		snprintf(a->words, sizeof a->words, "clear");
		return;
	}
	if (a->with_at->kind != NPP_CONF_MAP_NODE) {
		npp_conf_error(s->conf, a->with_at, "expected a map of settings (delay: 40ms), or 'clear'");
		return;
	}
	if (!a->with_at->first)
		npp_conf_error(s->conf, a->with_at, "has no settings: expected a map of them (delay: 40ms), or 'clear'");
	wire_conf_init(c);
	for (k = a->with_at->first; k; k = k->next) {
		if (k->kind != NPP_CONF_SCALAR || wire_conf_set(c, k->key, k->text, &e) < 0)
			npp_conf_error(s->conf, k, "%s", k->kind == NPP_CONF_SCALAR ? e.text : "expected a value");
		else if (len < sizeof a->words)
			len += (size_t)snprintf(a->words + len, sizeof a->words - len, " %s=%s", k->key, k->text);
	}
}

/* The first profile of what npp-load will be told. */
static void check_target(struct scenario *s, const struct run_action *a)
{
	static const char *const modes[] = { "echo", "send", "recv", "connect", "idle", "udp" };
	char text[256], *words[32];
	bool ok = false;
	unsigned n = 0;

	if (strlen(a->target) >= sizeof text) {
		npp_conf_error_key(s->conf, a->at, "target", "is longer than %zu bytes", sizeof text - 1);
		return;
	}
	scenario_words(a->target, text, sizeof text, words);
	while (words[n] && strcmp(words[n], "+") != 0)
		n++;
	for (size_t i = 0; n && i < sizeof modes / sizeof *modes; i++)
		ok |= strcmp(words[0], modes[i]) == 0 && n >= 3 && n % 2 == 1;
	if (!ok && n && strncmp(words[0], "http://", 7) == 0)
		for (ok = true; n > 0; n--)
			ok &= strncmp(words[n - 1], "http://", 7) == 0 && words[n - 1][7];
	if (!ok)
		npp_conf_error_key(s->conf, a->at, "target", "'%s' is none: http://HOST[:PORT]/PATH, or echo, send, recv, connect, "
				   "idle or udp with HOST PORT", a->target);
}

static void check_load(struct scenario *s, struct run_action *a)
{
	if (!(npp_conf_get(a->at, "target") && npp_conf_get(a->at, "for")))
		npp_conf_error(s->conf, a->at, "load needs 'target' (http://web1/) and 'for' (10s)");
	else if (a->target)
		check_target(s, a);
	if (npp_conf_get(a->at, "for") && a->for_us < 1000 && npp_conf_error_count(s->conf) == 0)
		npp_conf_error_key(s->conf, a->at, "for", "is no time at all");
	if (a->options && strlen(a->options) >= 256)
		npp_conf_error_key(s->conf, a->at, "options", "is longer than 255 bytes");
	snprintf(a->words, sizeof a->words, "load %s: %s on %s", a->load, a->target ? a->target : "", a->node ? a->node : "");
}

static void check_action(struct scenario *s, struct run_action *a)
{
	int n = !!a->load + !!a->fault + !!a->impair + !!a->run;

	a->out = -1;
	if (n != 1) {
		npp_conf_error(s->conf, a->at, "expected one of 'load', 'fault', 'impair', 'run'");
		return;
	}
	a->what = a->load ? RUN_LOAD : a->fault ? RUN_FAULT : a->impair ? RUN_IMPAIR : RUN_COMMAND;
	only_with(s, a, "with", a->impair, "impair");
	only_with(s, a, "for", a->load, "load");
	only_with(s, a, "rate", a->load, "load");
	only_with(s, a, "connections", a->load, "load");
	only_with(s, a, "target", a->load, "load");
	only_with(s, a, "options", a->load, "load");
	only_with(s, a, "node", a->load || a->run, "load' and 'run");
	if ((a->load || a->run) && !a->node)
		npp_conf_error(s->conf, a->at, "key 'node' is missing");
	if (a->impair)
		check_impair(s, a);
	else if (a->load)
		check_load(s, a);
	else
		snprintf(a->words, sizeof a->words, a->fault ? "fault %s" : "run %s", a->fault ? a->fault : a->run);
}

static bool has_client(const struct scenario *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_actions; i++)
		if (s->actions[i].load && strcmp(s->actions[i].load, name) == 0)
			return true;
	return false;
}

static void check_expect(struct scenario *s, struct run_expect *x)
{
	unsigned n = 0;
	bool ok;

	if (x->client && !has_client(s, x->client)) /* a missing one was told */
		npp_conf_error_key(s->conf, x->at, "client", "no 'load' of the time line is called '%s'", x->client);
	if (x->n_during == 2 && x->during[0] >= x->during[1])
		npp_conf_error_key(s->conf, x->at, "during", "ends before it begins");
	for (unsigned m = 0; m < RUN_METRICS; m++) {
		if (!x->want[m])
			continue;
		n++;
		if (run_compare(x->want[m], 0, &ok) < 0)
			npp_conf_error_key(s->conf, x->at, run_metric_names[m], "'%s' is no expectation: a number, or one behind "
					   "<=, >=, <, >", x->want[m]);
	}
	if (!n)
		npp_conf_error(s->conf, x->at, "expects nothing: errors, requests, rps, p50_ms, p90_ms, p99_ms, p999_ms, "
			       "max_ms, mbit, gap_ms, lost, back_ms or connects");
}

/* Relative to the scenario's file, where there is such a file. */
static char *topology_path(const struct scenario *s, const char *file)
{
	const char *slash = strrchr(file, '/');
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash - file + 1) : 0, file, s->topology);
	return strdup(s->topology[0] != '/' && access(path, F_OK) == 0 ? path : s->topology);
}

static int by_time(const void *a, const void *b)
{
	const struct run_action *x = a, *y = b;

	return x->at_us != y->at_us ? (x->at_us > y->at_us) - (x->at_us < y->at_us) : x->at->index < y->at->index ? -1 : 1;
}

static void check_all(struct scenario *s)
{
	uint64_t end = 0, last;

	for (uint32_t i = 0; i < s->n_actions; i++) {
		check_action(s, &s->actions[i]);
		for (uint32_t j = 0; j < i; j++)
			if (s->actions[i].load && s->actions[j].load && strcmp(s->actions[i].load, s->actions[j].load) == 0)
				npp_conf_error_key(s->conf, s->actions[i].at, "load", "'%s' stands here twice", s->actions[i].load);
		last = s->actions[i].at_us + s->actions[i].for_us;
		end = last > end ? last : end;
	}
	if (!s->duration_us)
		s->duration_us = end + 200000;
	for (uint32_t i = 0; i < s->n_expect; i++) {
		check_expect(s, &s->expect[i]);
		if (s->expect[i].n_during == 2 && s->expect[i].during[0] >= end && s->expect[i].during[0] >= s->duration_us)
			npp_conf_error_key(s->conf, s->expect[i].at, "during", "begins when all is over (%g s)", (double)s->duration_us / 1e6);
	}
	if (s->n_actions)
		qsort(s->actions, s->n_actions, sizeof *s->actions, by_time);
}

const char *scenario_file(const char *file, char path[PATH_MAX])
{
	return topo_shipped("topologies/scenarios", file, path, PATH_MAX);
}

int scenario_load(struct scenario *s, const char *file)
{
	struct npp_conf *c = NULL;
	char path[PATH_MAX];
	int r;

	memset(s, 0, sizeof *s);
	file = scenario_file(file, path);
	r = npp_conf_load(&c, file);
	if (r == 0)
		r = npp_conf_bind(c, npp_conf_root(c), &scenario_schema, s);
	s->conf = c;
	if (r < 0 && (!c || !npp_conf_root(c)))
		return r;
	s->file = npp_conf_strdup(c, file);
	if (s->topology)
		s->topology_path = topology_path(s, file);
	check_all(s);	/* also after an error: all of them are told at once */
	return npp_conf_error_count(c) ? -EINVAL : 0;
}

void scenario_words(const char *text, char *buf, size_t cap, char *words[32])
{
	char *save = NULL;
	unsigned n = 0;

	snprintf(buf, cap, "%s", text);
	for (words[n] = strtok_r(buf, " ", &save); words[n] && n < 30; words[n] = strtok_r(NULL, " ", &save))
		n++;
	words[n] = NULL;
}

static bool has_place(struct lab *l, const char *name, bool nets)
{
	for (uint32_t i = 0; nets && i < l->n_nets; i++)
		if (strcmp(l->nets[i].name, name) == 0)
			return true;
	return lab_find_node(l, name) != NULL;
}

int scenario_check(struct scenario *s, struct topo *t)
{
	struct npp_err e = { "" };
	char text[512], *words[32];
	struct link k;
	struct lab l;

	lab_plan(&l, t, s->topology);
	for (uint32_t i = 0; i < s->n_actions; i++) {
		const struct run_action *a = &s->actions[i];

		if (a->node && !has_place(&l, a->node, a->run != NULL))
			npp_conf_error_key(s->conf, a->at, "node", "topology '%s' has no node '%s'", s->topology, a->node);
		if (a->fault) {
			scenario_words(a->fault, text, sizeof text, words);
			if (fault_check(&l, words, &e) < 0)
				npp_conf_error_key(s->conf, a->at, "fault", "%s", e.text);
		}
		if (!a->impair)
			continue;
		if (link_find(&l, a->impair, &k, &e) < 0)
			npp_conf_error_key(s->conf, a->at, "impair", "%s", e.text);
		else if (!k.ifc->wire)
			npp_conf_error_key(s->conf, a->at, "impair", "link '%s' has no wire: give it 'wire: yes'", a->impair);
	}
	return npp_conf_error_count(s->conf) ? -EINVAL : 0;
}

void scenario_free(struct scenario *s)
{
	free(s->topology_path);
	npp_conf_free(s->conf);
	memset(s, 0, sizeof *s);
}
