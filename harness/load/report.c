/* SPDX-License-Identifier: GPL-2.0-or-later
 * report.c - progress line, final report, JSON
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/load/load.h"

#define LOAD_ERROR_NAME(id, name) name,
const char *const load_error_names[LOAD_ERROR_COUNT] = { LOAD_ERRORS(LOAD_ERROR_NAME) };

struct totals {
	uint64_t requests, connects, bytes_in, bytes_out, open, errors[LOAD_ERROR_COUNT], all_errors;
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
		for (unsigned e = 0; e < LOAD_ERROR_COUNT; e++) {
			t.errors[e] += get(&st[i].errors[e]);
			t.all_errors += get(&st[i].errors[e]);
		}
	}
	return t;
}

uint64_t load_total_errors(const struct load_stats *st, unsigned n)
{
	return sum(st, n).all_errors;
}

void load_progress(const struct load_opts *o, const struct load_stats *st, unsigned n, double seconds,
		   uint64_t *last_requests, uint64_t *last_bytes, double interval)
{
	struct totals t = sum(st, n);
	uint64_t bytes = t.bytes_in + t.bytes_out;

	(void)o;
	fprintf(stderr, "\r%6.1f s  %10.0f /s  %8.3f Gbit/s  %7llu open  %llu errors ", seconds,
		(double)(t.requests - *last_requests) / interval,
		(double)(bytes - *last_bytes) * 8 / interval / 1e9, (unsigned long long)t.open,
		(unsigned long long)t.all_errors);
	*last_requests = t.requests;
	*last_bytes = bytes;
}

static const char *mode_name(enum load_mode m)
{
	static const char *const names[LOAD_MODES] = { "http", "echo", "send", "recv", "connect", "idle" };

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

static void report_json(const struct load_opts *o, const struct totals *t, const struct load_hist *lat,
			const struct load_hist *con, double seconds)
{
	printf("{\n  \"mode\": \"%s\", \"loop\": \"%s\", \"connections\": %u, \"workers\": %u,\n",
	       mode_name(o->mode), o->rate > 0 ? "open" : "closed", o->conns, o->workers);
	printf("  \"seconds\": %.3f, \"requests\": %llu, \"requests_per_s\": %.1f,\n", seconds,
	       (unsigned long long)t->requests, (double)t->requests / seconds);
	printf("  \"connects\": %llu, \"connects_per_s\": %.1f,\n", (unsigned long long)t->connects,
	       (double)t->connects / seconds);
	printf("  \"bytes_in\": %llu, \"bytes_out\": %llu, \"gbit_in_per_s\": %.4f, \"gbit_out_per_s\": %.4f,\n",
	       (unsigned long long)t->bytes_in, (unsigned long long)t->bytes_out,
	       (double)t->bytes_in * 8 / seconds / 1e9, (double)t->bytes_out * 8 / seconds / 1e9);
	json_hist("latency", lat);
	json_hist("connect_latency", con);
	printf("  \"errors_total\": %llu, \"errors\": {", (unsigned long long)t->all_errors);
	for (unsigned e = 0; e < LOAD_ERROR_COUNT; e++)
		printf("%s\"%s\": %llu", e ? ", " : "", load_error_names[e],
		       (unsigned long long)t->errors[e]);
	printf("}\n}\n");
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

void load_report(const struct load_opts *o, const struct load_stats *st, unsigned n, double seconds)
{
	struct totals t = sum(st, n);
	struct load_hist *h = calloc(2, sizeof *h);

	if (!h) {
		perror("npp-load: report");
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		load_hist_merge(&h[0], &st[i].latency);
		load_hist_merge(&h[1], &st[i].connect);
	}
	if (o->json) {
		report_json(o, &t, &h[0], &h[1], seconds);
		free(h);
		return;
	}
	printf("%s, %u connection%s, %u worker%s, %s loop, %.2f s\n", mode_name(o->mode), o->conns, o->conns == 1 ? "" : "s",
	       o->workers, o->workers == 1 ? "" : "s", o->rate > 0 ? "open" : "closed", seconds);
	printf("  requests  %llu (%.1f /s)   connections opened %llu (%.1f /s)\n",
	       (unsigned long long)t.requests, (double)t.requests / seconds,
	       (unsigned long long)t.connects, (double)t.connects / seconds);
	printf("  bytes     in %llu (%.3f Gbit/s)   out %llu (%.3f Gbit/s)\n", (unsigned long long)t.bytes_in,
	       (double)t.bytes_in * 8 / seconds / 1e9, (unsigned long long)t.bytes_out,
	       (double)t.bytes_out * 8 / seconds / 1e9);
	text_hist("latency", &h[0]);
	text_hist("connect", &h[1]);
	printf("  errors    %llu", (unsigned long long)t.all_errors);
	for (unsigned e = 0; e < LOAD_ERROR_COUNT; e++)
		if (t.errors[e])
			printf("   %s %llu", load_error_names[e], (unsigned long long)t.errors[e]);
	printf("\n");
	free(h);
}
