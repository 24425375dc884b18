/* SPDX-License-Identifier: GPL-2.0-or-later
 * report.c - progress line, final report, JSON
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/load/load.h"

#define LOAD_ERROR_NAME(id, name) name,
#define LOAD_REASON_TEXT(id, text) text,
const char *const load_error_names[LOAD_ERROR_COUNT] = { LOAD_ERRORS(LOAD_ERROR_NAME) };

#define SLOW_CONNECT_US 1000.0	/* of a processor in connect(2): it looks for a port, and finds few */

struct totals {
	uint64_t requests, connects, bytes_in, bytes_out, open, lost, late, errors[LOAD_ERROR_COUNT], all_errors;
	uint64_t connect_calls, connect_cpu_ns, unfinished;
	uint32_t why[LOAD_ERROR_COUNT];
};

static uint64_t get(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static struct totals sum(const struct load_stats *st, unsigned n)
{
	struct totals t = { 0 };

	for (unsigned i = 0; i < n; i++) {
		t.requests += get(&st[i].requests);
		t.connects += get(&st[i].connects);
		t.bytes_in += get(&st[i].bytes_in);
		t.bytes_out += get(&st[i].bytes_out);
		t.open += get(&st[i].open);
		t.lost += get(&st[i].lost);
		t.unfinished += get(&st[i].unfinished);
		t.late += get(&st[i].late);
		t.connect_calls += get(&st[i].connect_calls);
		t.connect_cpu_ns += get(&st[i].connect_cpu_ns);
		for (unsigned e = 0; e < LOAD_ERROR_COUNT; e++) {
			t.errors[e] += get(&st[i].errors[e]);
			t.all_errors += get(&st[i].errors[e]);
			if (atomic_load_explicit(&st[i].why[e], memory_order_relaxed))
				t.why[e] = atomic_load_explicit(&st[i].why[e], memory_order_relaxed);
		}
	}
	return t;
}

static void add_totals(struct totals *t, const struct totals *one)
{
	t->requests += one->requests;
	t->connects += one->connects;
	t->bytes_in += one->bytes_in;
	t->bytes_out += one->bytes_out;
	t->open += one->open;
	t->lost += one->lost;
	t->late += one->late;
	for (unsigned e = 0; e < LOAD_ERROR_COUNT; e++)
		t->errors[e] += one->errors[e];
	t->all_errors += one->all_errors;
}

uint64_t load_total_errors(const struct load_stats *st, unsigned n)
{
	return sum(st, n).all_errors;
}

bool load_incomplete(const struct load_profile *p)
{
	struct totals t = sum(p->st, p->o.workers);

	return p->o.count && t.requests + t.lost + t.all_errors < p->o.count;
}

bool load_did_nothing(const struct load_profile *p)
{
	struct totals t = sum(p->st, p->o.workers);

	switch (p->o.mode) {
	case LOAD_CONNECT:
	case LOAD_IDLE:
		return !t.all_errors && !t.connects;
	case LOAD_SEND:
		return !t.all_errors && !t.bytes_out;
	default:
		return !t.all_errors && !t.requests && !t.bytes_in;
	}
}

static const char *why_text(uint32_t why, char text[16])
{
	static const char *const reasons[] = { LOAD_REASONS(LOAD_REASON_TEXT) };

	if (why > LOAD_REASON_FIRST && why < LOAD_REASON_END)
		return reasons[why - LOAD_REASON_FIRST - 1];
	if (!(why & LOAD_HTTP_STATUS))
		return strerror((int)why);
	snprintf(text, 16, "%u", why & ~LOAD_HTTP_STATUS);
	return text;
}

/* What P's profile counted: together over all its workers. */
static void merge(struct load_hist *h, const struct load_profile *q, unsigned n)
{
	memset(h, 0, sizeof *h);
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < q[i].o.workers; j++)
			load_hist_merge(h, &q[i].st[j].latency);
}

void load_progress(struct load_progress *p, const struct load_profile *q, unsigned n, double seconds, double interval,
		   bool live)
{
	struct totals t = { 0 }, one;
	struct load_hist *d = calloc(1, sizeof *d);
	FILE *f = live ? stderr : stdout;
	uint64_t top = 0;

	if (!d)
		return;
	for (unsigned i = 0; i < n; i++) {
		one = sum(q[i].st, q[i].o.workers);
		add_totals(&t, &one);
	}
	merge(&p->now, q, n);
	for (unsigned b = 0; b < LOAD_HIST_BUCKETS; b++) {
		uint64_t v = get(&p->now.bucket[b]) - get(&p->last.bucket[b]);

		atomic_store_explicit(&d->bucket[b], v, memory_order_relaxed);
		top = v ? load_hist_top(b) : top;
	}
	atomic_store_explicit(&d->count, get(&p->now.count) - get(&p->last.count), memory_order_relaxed);
	atomic_store_explicit(&d->max_ns, top, memory_order_relaxed);
	fprintf(f, "%s%6.1f s  %9.0f /s  %7.3f Gbit/s  %6llu open  p50 %.2f ms  p99 %.2f ms  %llu errors", live ? "\r" : "", seconds,
		(double)(t.requests - p->requests) / interval, (double)(t.bytes_in + t.bytes_out - p->bytes) * 8 / interval / 1e9,
		(unsigned long long)t.open, (double)load_hist_quantile(d, 0.5) / 1e6, (double)load_hist_quantile(d, 0.99) / 1e6,
		(unsigned long long)(live ? t.all_errors : t.all_errors - p->errors));
	if (t.lost)
		fprintf(f, "  %llu lost", (unsigned long long)(live ? t.lost : t.lost - p->lost));
	fputs(live ? "\033[K" : "\n", f);
	fflush(f);
	p->requests = t.requests;
	p->bytes = t.bytes_in + t.bytes_out;
	p->errors = t.all_errors;
	p->lost = t.lost;
	memcpy(&p->last, &p->now, sizeof p->last);
	free(d);
}

static const char *mode_name(enum load_mode m)
{
	static const char *const names[LOAD_MODES] = { "http", "echo", "send", "recv", "connect", "idle", "udp" };

	return names[m];
}

static void json_hist(const char *name, const struct load_hist *h)
{
	uint64_t n = get(&h->count);

	printf("  \"%s\": {\"count\": %llu, \"mean_us\": %.3f, \"p50_us\": %.3f, \"p90_us\": %.3f, "
	       "\"p99_us\": %.3f, \"p99_9_us\": %.3f, \"max_us\": %.3f},\n",
	       name, (unsigned long long)n, n ? (double)get(&h->sum_ns) / (double)n / 1e3 : 0.0,
	       (double)load_hist_quantile(h, 0.5) / 1e3, (double)load_hist_quantile(h, 0.9) / 1e3,
	       (double)load_hist_quantile(h, 0.99) / 1e3, (double)load_hist_quantile(h, 0.999) / 1e3,
	       (double)get(&h->max_ns) / 1e3);
}

/* Processor time in connect(2). */
static double connect_cpu_us(const struct totals *t)
{
	return t->connect_calls ? (double)t->connect_cpu_ns / (double)t->connect_calls / 1e3 : 0;
}

static void report_json(const struct load_opts *o, const struct totals *t, const struct load_hist *lat,
			const struct load_hist *con, double seconds)
{
	char why[16];

	printf("{\n  \"name\": \"%s\", \"mode\": \"%s\", \"loop\": \"%s\", \"connections\": %u, \"workers\": %u,\n",
	       o->name, mode_name(o->mode), o->rate > 0 ? "open" : "closed", o->conns, o->workers);
	printf("  \"seconds\": %.3f, \"requests\": %llu, \"requests_per_s\": %.1f,\n", seconds,
	       (unsigned long long)t->requests, (double)t->requests / seconds);
	printf("  \"unfinished\": %llu,\n", (unsigned long long)t->unfinished);
	printf("  \"connects\": %llu, \"connects_per_s\": %.1f,\n", (unsigned long long)t->connects,
	       (double)t->connects / seconds);
	printf("  \"bytes_in\": %llu, \"bytes_out\": %llu, \"gbit_in_per_s\": %.4f, \"gbit_out_per_s\": %.4f,\n",
	       (unsigned long long)t->bytes_in, (unsigned long long)t->bytes_out,
	       (double)t->bytes_in * 8 / seconds / 1e9, (double)t->bytes_out * 8 / seconds / 1e9);
	json_hist("latency", lat);
	json_hist("connect_latency", con);
	printf("  \"connect_cpu_us\": %.3f,\n", connect_cpu_us(t));
	if (o->mode == LOAD_UDP)
		printf("  \"lost\": %llu, \"late\": %llu,\n", (unsigned long long)t->lost, (unsigned long long)t->late);
	printf("  \"errors_total\": %llu, \"errors\": {", (unsigned long long)t->all_errors);
	for (unsigned e = 0; e < LOAD_ERROR_COUNT; e++)
		printf("%s\"%s\": %llu", e ? ", " : "", load_error_names[e],
		       (unsigned long long)t->errors[e]);
	fputs("},\n  \"reasons\": {", stdout);
	for (unsigned e = 0, n = 0; e < LOAD_ERROR_COUNT; e++)
		if (t->why[e])
			printf("%s\"%s\": \"%s\"", n++ ? ", " : "", load_error_names[e], why_text(t->why[e], why));
	printf("}\n}");
}

static void text_hist(const char *name, const struct load_hist *h)
{
	if (get(&h->count) == 0)
		return;
	printf("  %-9s p50 %.1f us   p90 %.1f us   p99 %.1f us   p99.9 %.1f us   max %.1f us\n", name,
	       (double)load_hist_quantile(h, 0.5) / 1e3, (double)load_hist_quantile(h, 0.9) / 1e3,
	       (double)load_hist_quantile(h, 0.99) / 1e3, (double)load_hist_quantile(h, 0.999) / 1e3,
	       (double)get(&h->max_ns) / 1e3);
}

static void report_text(const struct load_opts *o, const struct totals *t, const struct load_hist *lat,
			const struct load_hist *con, double seconds)
{
	char why[16];

	printf("%s%s%s, %u connection%s, %u worker%s, %s loop, %.2f s\n", o->name, *o->name ? ": " : "", mode_name(o->mode), o->conns,
	       o->conns == 1 ? "" : "s", o->workers, o->workers == 1 ? "" : "s", o->rate > 0 ? "open" : "closed", seconds);
	printf("  requests  %llu (%.1f /s)   connections opened %llu (%.1f /s)",
	       (unsigned long long)t->requests, (double)t->requests / seconds,
	       (unsigned long long)t->connects, (double)t->connects / seconds);
	if (t->unfinished && (o->rate > 0 || !t->requests))	/* a closed loop has always some under way */
		printf("   unfinished %llu", (unsigned long long)t->unfinished);
	putchar('\n');
	printf("  bytes     in %llu (%.3f Gbit/s)   out %llu (%.3f Gbit/s)\n", (unsigned long long)t->bytes_in,
	       (double)t->bytes_in * 8 / seconds / 1e9, (unsigned long long)t->bytes_out,
	       (double)t->bytes_out * 8 / seconds / 1e9);
	text_hist("latency", lat);
	text_hist("connect", con);
	if (o->mode == LOAD_UDP)
		printf("  lost      %llu (%.3f %%)   late or twice %llu\n", (unsigned long long)t->lost, t->lost ?
		       (double)t->lost * 100 / (double)(t->lost + t->requests) : 0.0, (unsigned long long)t->late);
	printf("  errors    %llu", (unsigned long long)t->all_errors);
	for (unsigned e = 0; e < LOAD_ERROR_COUNT; e++)
		if (t->errors[e])
			printf("   %s %llu%s%s%s", load_error_names[e], (unsigned long long)t->errors[e],
			       t->why[e] ? " (" : "", t->why[e] ? why_text(t->why[e], why) : "", t->why[e] ? ")" : "");
	printf("\n");
	if (connect_cpu_us(t) >= SLOW_CONNECT_US)
		printf("  note      connect() took %.1f ms of the client's processor each: its kernel looks long for a source port, "
		       "since most are taken\n            or in TIME_WAIT (60 s); -S gives more addresses%s\n",
		       connect_cpu_us(t) / 1e3, o->mode == LOAD_CONNECT && !o->close_per_request ? ", -k leaves no TIME_WAIT" : "");
}

/* One profile is reported as it is, several as a list. */
void load_report(const struct load_profile *q, unsigned n, double seconds)
{
	struct load_hist *h = calloc(2, sizeof *h);
	bool json = q[0].o.json;
	struct totals t;

	if (!h) {
		perror("npp-load: report");
		return;
	}
	if (json && n > 1)
		fputs("{\"profiles\": [\n", stdout);
	for (unsigned i = 0; i < n; i++) {
		t = sum(q[i].st, q[i].o.workers);
		memset(h, 0, 2 * sizeof *h);
		for (unsigned j = 0; j < q[i].o.workers; j++) {
			load_hist_merge(&h[0], &q[i].st[j].latency);
			load_hist_merge(&h[1], &q[i].st[j].connect);
		}
		if (json)
			report_json(&q[i].o, &t, &h[0], &h[1], seconds);
		else
			report_text(&q[i].o, &t, &h[0], &h[1], seconds);
		if (json)
			fputs(i + 1 < n ? ",\n" : n > 1 ? "\n]}\n" : "\n", stdout);
	}
	free(h);
}
