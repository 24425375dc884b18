/* SPDX-License-Identifier: GPL-2.0-or-later
 * stat.c - npp stat: what the processes of NPPs and hosts do
 *
 * A sample is a copy of all pages of a target. Shown are the counters since the start, or
 * with --watch what was added between two samples, per second. Gauges are shown as they
 * stand.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/conf.h"
#include "npp/npp.h"
#include "shm/stats.h"

struct page { uint32_t role, index, pid; uint64_t started_us, first_us, now_us; uint64_t counter[NPP_STATS_COUNTERS]; };
struct sample { uint64_t at_us; uint32_t n; struct page page[1 + NPP_MAX_IOPS]; };

static uint64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void take_sample(const struct target *t, struct sample *s)
{
	s->at_us = clock_us(CLOCK_MONOTONIC);
	s->n = t->n_children;
	for (uint32_t i = 0; i < s->n; i++) {
		struct npp_stats_page *p = t->stats[i].base;
		struct page *o = &s->page[i];

		/* by what its supervisor says it is, not by the page, which the process can write */
		o->role = t->child[i].role;
		o->index = t->child[i].index;
		o->pid = (uint32_t)t->child[i].pid;
		o->started_us = atomic_load_explicit(&p->started_us, memory_order_relaxed);
		o->first_us = atomic_load_explicit(&p->first_us, memory_order_relaxed);
		o->now_us = atomic_load_explicit(&p->now_us, memory_order_relaxed);
		for (unsigned k = 0; k < NPP_STATS_COUNTERS; k++)
			o->counter[k] = atomic_load_explicit(&p->counter[k], memory_order_relaxed);
	}
}

static bool is_drop(const struct npp_stat_desc *d)
{
	return strncmp(d->name, "drop.", 5) == 0;
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static const char *role_key(uint32_t role)
{
	return role == NPP_ROLE_DISPATCH ? "dispatch" : role == NPP_ROLE_ISM ? "ism" : "osm";
}

static void json_counters(const uint64_t *v, uint32_t role)
{
	unsigned n;
	const struct npp_stat_desc *d = npp_stat_describe(role, &n);

	putchar('{');
	for (unsigned k = 0; k < n; k++)
		printf("%s\"%s\": %llu", k ? ", " : "", d[k].name, (unsigned long long)v[k]);
	putchar('}');
}

/* What the ports of an NPP have seen, over all its processes: frames and bytes, in and out. */
struct port_sum { uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes; };

static struct port_sum port_sum(const struct sample *s, unsigned port)
{
	struct port_sum p = { 0 };

	for (uint32_t i = 0; i < s->n; i++) {
		const uint64_t *c = s->page[i].counter;
		bool ism = s->page[i].role == NPP_ROLE_ISM;
		unsigned rx = npp_stat_of_port(ism ? NPP_IS_RX0_FRAMES : NPP_DS_RX0_FRAMES, port);
		unsigned tx = npp_stat_of_port(NPP_IS_TX0_FRAMES, port);

		p.rx_frames += c[rx];
		p.rx_bytes += c[rx + 1];
		p.tx_frames += ism ? c[tx] : 0;
		p.tx_bytes += ism ? c[tx + 1] : 0;
	}
	return p;
}

static uint32_t n_ports(const struct target *t)
{
	const struct npp_global *g = t->global.base;

	return g->n_ports < NPP_MAX_PORTS ? g->n_ports : NPP_MAX_PORTS;
}

static void json_fixed(const char *text, size_t cap)
{
	char copy[17];

	snprintf(copy, sizeof copy, "%.*s", (int)(cap < sizeof copy ? cap : sizeof copy - 1), text);
	npp_json_string(stdout, copy);
}

static void json_ports(const struct target *t, const struct sample *s)
{
	const struct npp_global *g = t->global.base;
	uint64_t drops = 0;

	fputs(", \"ports\": [", stdout);
	for (uint32_t i = 0; i < n_ports(t); i++) {
		struct port_sum p = port_sum(s, i);

		printf("%s\n {\"port\": %u, \"name\": ", i ? "," : "", i);
		json_fixed(g->port[i].ifname, sizeof g->port[i].ifname);
		fputs(", \"bridge\": ", stdout);
		json_fixed(g->port[i].bridge, sizeof g->port[i].bridge);
		printf(", \"up\": %s, \"downs\": %u, \"rx_frames\": %llu, \"rx_bytes\": %llu, \"tx_frames\": %llu, "
		       "\"tx_bytes\": %llu, \"drops\": %llu}", atomic_load_explicit(&g->port[i].up, memory_order_relaxed) ? "true" : "false",
		       atomic_load_explicit(&g->port[i].downs, memory_order_relaxed), (unsigned long long)p.rx_frames,
		       (unsigned long long)p.rx_bytes, (unsigned long long)p.tx_frames, (unsigned long long)p.tx_bytes,
		       (unsigned long long)t->st.port[i].drops);
		drops += t->st.port[i].drops;
	}
	printf("], \"port_drops\": %llu", (unsigned long long)drops);
}

static void json_target(const struct target *t, const struct sample *s)
{
	uint32_t sum_role = target_is_host(t) ? NPP_ROLE_OSM : NPP_ROLE_ISM;
	uint64_t sum[NPP_STATS_COUNTERS] = { 0 }, wall = clock_us(CLOCK_REALTIME);

	printf("{\"%s\": ", target_is_host(t) ? "host" : "npp");
	npp_json_string(stdout, t->label);
	if (!target_is_host(t))
		printf(", \"engine\": \"%s\"", target_engine(t));
	if (!target_is_host(t))
		json_ports(t, s);
	printf(", \"time\": %llu.%06llu, \"processes\": [", (unsigned long long)(wall / 1000000),
	       (unsigned long long)(wall % 1000000));
	for (uint32_t i = 0; i < s->n; i++) {
		const struct page *p = &s->page[i];

		printf("%s\n {\"role\": \"%s\", \"index\": %u, \"pid\": %u, \"up\": %s, \"uptime_us\": %llu, \"counted_us\": %llu,\n  \"counters\": ",
		       i ? "," : "", role_key(p->role), p->index, p->pid, t->child[i].state == 2 ? "true" : "false",
		       (unsigned long long)(p->pid && s->at_us > p->started_us ? s->at_us - p->started_us : 0),
		       (unsigned long long)(p->pid && s->at_us > p->first_us ? s->at_us - p->first_us : 0));
		json_counters(p->counter, p->role);
		putchar('}');
		for (unsigned k = 0; k < NPP_STATS_COUNTERS && p->role == sum_role; k++)
			sum[k] += p->counter[k];
	}
	fputs("],\n \"totals\": ", stdout);
	json_counters(sum, sum_role);
	puts("}");
}

/* ---- tables --------------------------------------------------------------------------------------- */

struct view {		/* what is shown: counters of `s`, less those of `base`, per `seconds` */
	const struct target *t;
	const struct sample *s, *base;	/* base NULL: since the start */
	double seconds;			/* 0: plain numbers */
};

static double value(const struct view *v, uint32_t i, unsigned id)
{
	uint64_t x = v->s->page[i].counter[id];
	const struct page *b = v->base ? &v->base->page[i] : NULL;

	if (b && b->pid == v->s->page[i].pid && b->counter[id] <= x)
		x -= b->counter[id];
	return v->seconds > 0 ? (double)x / v->seconds : (double)x;
}

static double gauge(const struct view *v, uint32_t i, unsigned id)
{
	return (double)v->s->page[i].counter[id];
}

static double drops(const struct view *v, uint32_t i)
{
	unsigned n;
	const struct npp_stat_desc *d = npp_stat_describe(v->s->page[i].role, &n);
	double sum = 0;

	for (unsigned k = 0; k < n; k++)
		if (is_drop(&d[k]))
			sum += value(v, i, k);
	return sum;
}

/* Share of the time that process I was busy, in percent. */
static double busy(const struct view *v, uint32_t i, unsigned id)
{
	const struct page *p = &v->s->page[i];
	double us;

	if (v->seconds > 0)
		us = 1e6; /* value() is per second already */
	else
		us = v->s->at_us > p->first_us ? (double)(v->s->at_us - p->first_us) : 0;
	us = us > 0 ? 100 * value(v, i, id) / us : 0;
	return us > 100 ? 100 : us;
}

static void cell_count(struct table *t, double v)
{
	char buf[24];

	table_cell(t, "%s", out_count(v, buf));
}

static void npp_row(struct table *tab, const struct view *v, uint32_t i, double sum[9])
{
	const struct page *p = &v->s->page[i];
	bool ism = p->role == NPP_ROLE_ISM;
	double x[9] = {
		value(v, i, ism ? NPP_IS_RX_FRAMES : NPP_DS_RX_FRAMES), value(v, i, ism ? NPP_IS_RX_BYTES : NPP_DS_RX_BYTES),
		ism ? value(v, i, NPP_IS_TX_FRAMES) : 0, ism ? value(v, i, NPP_IS_TX_BYTES) : 0,
		ism ? gauge(v, i, NPP_IS_RX_DEPTH) : 0, ism ? gauge(v, i, NPP_IS_CONNS) : 0,
		ism ? value(v, i, NPP_IS_TCP_ACCEPTED) : 0, ism ? value(v, i, NPP_IS_TCP_RETRANS) : 0, drops(v, i)
	};

	if (ism)
		table_cell(tab, "ism %u", p->index);
	else
		table_cell(tab, "dispatch");
	if (v->t->child[i].state != 2) {
		table_cell(tab, "%s", v->t->child[i].state == 1 ? "starting" : "down");
		for (unsigned k = 0; k < 10; k++)
			table_cell(tab, "-");
		return;
	}
	table_cell(tab, "%u", p->pid);
	table_cell(tab, "%.1f %%", busy(v, i, ism ? NPP_IS_BUSY_US : NPP_DS_BUSY_US));
	for (unsigned k = 0; k < 9; k++) {
		if (!ism && k >= 2 && k <= 7)
			table_cell(tab, "-");
		else
			cell_count(tab, x[k]);
		if (ism || k == 8)
			sum[k] += x[k];
	}
}

static void npp_table(const struct view *v)
{
	static const char *const head[] = { "", "PID", "BUSY", "FRAMES IN", "BYTES IN", "FRAMES OUT", "BYTES OUT", "QUEUE",
					    "CONNS", "ACCEPTED", "RETRANS", "DROPS" };
	double sum[9] = { 0 };
	struct table tab;

	table_init(&tab, 12, 1);
	for (unsigned k = 0; k < 12; k++)
		table_cell(&tab, "%s", head[k]);
	for (uint32_t i = 0; i < v->s->n; i++)
		npp_row(&tab, v, i, sum);
	table_cell(&tab, "all IOPs");
	table_cell(&tab, "%s", "");
	table_cell(&tab, "%s", "");
	for (unsigned k = 0; k < 9; k++)
		cell_count(&tab, sum[k]);
	table_print(&tab, "  ");
}

/* With several ports: each, how it is and what went by it. */
static void ports_table(const struct view *v)
{
	static const char *const head[] = { "", "NAME", "NETWORK", "STATE", "FRAMES IN", "BYTES IN", "FRAMES OUT", "BYTES OUT" };
	const struct npp_global *g = v->t->global.base;
	struct table tab;

	table_init(&tab, 8, 1);
	for (unsigned k = 0; k < 8; k++)
		table_cell(&tab, "%s", head[k]);
	for (uint32_t i = 0; i < n_ports(v->t); i++) {
		struct port_sum p = port_sum(v->s, i), b = { 0 };
		double s = v->seconds > 0 ? v->seconds : 1;

		if (v->base)
			b = port_sum(v->base, i);
		if (b.rx_bytes > p.rx_bytes || b.tx_bytes > p.tx_bytes) /* one of the processes is a new one */
			b = (struct port_sum){ 0 };
		table_cell(&tab, "port %u", i);
		table_cell(&tab, "%.15s", g->port[i].ifname);
		table_cell(&tab, "%.15s", g->port[i].bridge[0] ? g->port[i].bridge : "-");
		table_cell(&tab, "%s", atomic_load_explicit(&g->port[i].up, memory_order_relaxed) ? "up" : "down");
		cell_count(&tab, (double)(p.rx_frames - b.rx_frames) / s);
		cell_count(&tab, (double)(p.rx_bytes - b.rx_bytes) / s);
		cell_count(&tab, (double)(p.tx_frames - b.tx_frames) / s);
		cell_count(&tab, (double)(p.tx_bytes - b.tx_bytes) / s);
	}
	table_print(&tab, "  ");
}

static void host_table(const struct view *v)
{
	static const char *const head[] = { "", "PID", "PROGRAMS", "CONTEXTS", "LISTENERS", "MEMORY", "REQUESTS", "MSGS IN",
					    "MSGS OUT", "DEATHS", "ERRORS" };
	struct table tab;

	table_init(&tab, 11, 1);
	for (unsigned k = 0; k < 11; k++)
		table_cell(&tab, "%s", head[k]);
	table_cell(&tab, "osm");
	table_cell(&tab, "%u", v->s->page[0].pid);
	cell_count(&tab, gauge(v, 0, NPP_OS_PROCS));
	cell_count(&tab, gauge(v, 0, NPP_OS_CTXS));
	cell_count(&tab, gauge(v, 0, NPP_OS_LISTENERS));
	cell_count(&tab, gauge(v, 0, NPP_OS_HEAP_USED));
	cell_count(&tab, value(v, 0, NPP_OS_RPCS));
	cell_count(&tab, value(v, 0, NPP_OS_MSG_IN));
	cell_count(&tab, value(v, 0, NPP_OS_MSG_OUT));
	cell_count(&tab, value(v, 0, NPP_OS_DEATHS));
	cell_count(&tab, value(v, 0, NPP_OS_PROTO_ERRORS));
	table_print(&tab, "  ");
}

/* Each reason why something was dropped, with the processes that did. */
static void print_drops(const struct view *v)
{
	static const uint32_t roles[] = { NPP_ROLE_DISPATCH, NPP_ROLE_ISM };

	for (unsigned r = 0; r < 2; r++) {
		unsigned n;
		const struct npp_stat_desc *d = npp_stat_describe(roles[r], &n);

		for (unsigned k = 0; k < n; k++) {
			double sum = 0;
			char buf[24];

			for (uint32_t i = 0; i < v->s->n && is_drop(&d[k]); i++)
				if (v->s->page[i].role == roles[r])
					sum += value(v, i, k);
			if (sum > 0)
				printf("  dropped by %-11s %8s  %s: %s\n", r ? "the IOPs" : "dispatch", out_count(sum, buf),
				       d[k].name + 5, d[k].help);
		}
	}
}

static void print_target(const struct view *v)
{
	const struct target *t = v->t;
	unsigned ready = 0;

	for (uint32_t i = 0; i < t->n_children; i++)
		ready += t->child[i].state == 2;
	printf("%s: %s%s, %u of %u processes ready%s\n", t->label, target_is_host(t) ? "host" : "NPP, engine ",
	       target_is_host(t) ? "" : target_engine(t), ready, t->n_children, v->seconds > 0 ? ", per second" : ", since the start");
	if (target_is_host(t))
		host_table(v);
	else
		npp_table(v);
	if (!target_is_host(t) && n_ports(t) > 1)
		ports_table(v);
	print_drops(v);
	for (uint32_t i = 0; i < NPP_MAX_PORTS; i++) {
		char port[16] = "the port";

		if (t->st.n_ports > 1)
			snprintf(port, sizeof port, "port %u", i);
		if (t->st.port[i].drops)
			printf("  dropped by %-11s %8llu  queue_full: the IOPs or the dispatcher did not read in time\n", port,
			       (unsigned long long)t->st.port[i].drops);
	}
}

/* ---- the verb ------------------------------------------------------------------------------------------ */

struct stat_opts { bool json, watch; uint64_t every_us; };

/* Statuses again, for deaths and restarts; false: one of them is gone. */
static bool refresh(struct target *t, int n)
{
	struct npp_err e = { .text = "" };

	for (int i = 0; i < n; i++) {
		if (target_refresh(&t[i], &e) < 0) {
			out_failed("%s", e.text);
			return false;
		}
	}
	return true;
}

static int watch(struct target *t, int n, const struct stat_opts *o)
{
	struct sample *now = calloc((size_t)n, sizeof *now), *before = calloc((size_t)n, sizeof *before), *swap;
	bool ok = now && before, clear = out_colours() && !o->json;

	for (int i = 0; ok && i < n; i++)
		take_sample(&t[i], &before[i]);
	while (ok) {
		poll(NULL, 0, (int)(o->every_us / 1000));
		ok = refresh(t, n);
		if (clear)
			fputs("\033[H\033[2J", stdout);
		for (int i = 0; ok && i < n; i++) {
			struct view v = { .t = &t[i], .s = &now[i], .base = &before[i] };

			take_sample(&t[i], &now[i]);
			v.seconds = (double)(now[i].at_us - before[i].at_us) / 1e6;
			if (o->json)
				json_target(&t[i], &now[i]);
			else
				print_target(&v);
		}
		if (!o->json && !clear)
			putchar('\n');
		fflush(stdout);
		ok = ok && !ferror(stdout);
		swap = now;
		now = before;
		before = swap;
	}
	free(now);
	free(before);
	return 1;
}

static void once(const struct target *t, int n, const struct stat_opts *o)
{
	struct sample *s = calloc(1, sizeof *s);

	if (!s)
		npp_fatalx("no memory");
	for (int i = 0; i < n; i++) {
		struct view v = { .t = &t[i], .s = s };

		take_sample(&t[i], s);
		if (o->json) {
			json_target(&t[i], s);
		} else {
			if (i)
				putchar('\n');
			print_target(&v);
		}
	}
	free(s);
}

/* --watch [SEC]: a number that follows is the interval. */
static int parse_interval(const char *text, uint64_t *us)
{
	char with_unit[32];

	snprintf(with_unit, sizeof with_unit, "%.20ss", text);
	if (npp_conf_parse_time(with_unit, us) < 0 || *us < 10000 || *us > 3600000000ull)
		return -EINVAL;
	return 0;
}

int verb_stat(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' }, { "watch", optional_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	struct stat_opts o = { .every_us = 1000000 };
	struct npp_err e = { .text = "" };
	struct target *t;
	int opt, n, r = 0;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'j': o.json = out_json(); break;
		case 'h': return verb_help(argv[0]);
		case 'w':
			o.watch = true;
			if (!optarg && optind < argc && strspn(argv[optind], "0123456789.") == strlen(argv[optind]))
				optarg = argv[optind++];
			if (optarg && parse_interval(optarg, &o.every_us) < 0)
				return verb_usage(argv[0], "'%s' is not a number of seconds (0.01..3600)", optarg);
			break;
		default: return verb_usage(argv[0], NULL);
		}
	}
	n = targets_open(&t, argv + optind, 0, 0);
	if (n < 0)
		return 1;
	for (int i = 0; i < n && r == 0; i++)
		r = target_map(&t[i], &e);
	if (r < 0)
		out_failed("%s", e.text);
	else if (o.watch)
		r = watch(t, n, &o);
	else
		once(t, n, &o);
	targets_close(t, n);
	return r != 0;
}
