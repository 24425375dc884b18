/* SPDX-License-Identifier: GPL-2.0-or-later
 * series.c - figures of each interval, as a line of JSON each
 *
 * The first line says when, on the monotonic clock, the time t = 0 was. A line's latencies
 * are those of requests that ended in its interval: percentiles, and the histogram itself
 * as pairs of an upper bound in us and a count, so that a reader can add intervals up.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/load/load.h"

struct load_series {
	FILE *f;
	uint64_t start_ns, last_ns, interval_ns;
	uint64_t requests, errors, bytes_in, bytes_out, connects, lost;	/* at the last line */
	uint64_t bucket[LOAD_HIST_BUCKETS];
	struct load_hist now, diff;
};

static uint64_t get(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

struct load_series *load_series_open(const char *file, unsigned interval_ms, uint64_t start_ns)
{
	struct load_series *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->f = fopen(file, "we");
	if (!s->f) {
		free(s);
		return NULL;
	}
	s->start_ns = s->last_ns = start_ns;
	s->interval_ns = interval_ms * 1000000ull;
	fprintf(s->f, "{\"start_monotonic_ns\": %llu, \"interval_ms\": %u}\n", (unsigned long long)start_ns, interval_ms);
	fflush(s->f);
	return s;
}

static void difference(struct load_series *s, const struct load_stats *st, unsigned n)
{
	uint64_t v, count = 0, top = 0;

	memset(&s->now, 0, sizeof s->now);
	for (unsigned i = 0; i < n; i++)
		load_hist_merge(&s->now, &st[i].latency);
	for (unsigned b = 0; b < LOAD_HIST_BUCKETS; b++) {
		v = get(&s->now.bucket[b]);
		atomic_store_explicit(&s->diff.bucket[b], v - s->bucket[b], memory_order_relaxed);
		count += v - s->bucket[b];
		if (v != s->bucket[b])
			top = b;
		s->bucket[b] = v;
	}
	atomic_store_explicit(&s->diff.count, count, memory_order_relaxed);
	atomic_store_explicit(&s->diff.max_ns, count ? load_hist_top((unsigned)top) : 0, memory_order_relaxed);
}

static void line(struct load_series *s, const struct load_stats *st, unsigned n, uint64_t now)
{
	uint64_t req = 0, err = 0, in = 0, out = 0, con = 0, open = 0, lost = 0;
	const char *sep = "";

	for (unsigned i = 0; i < n; i++) {
		req += get(&st[i].requests);
		con += get(&st[i].connects);
		in += get(&st[i].bytes_in);
		out += get(&st[i].bytes_out);
		open += get(&st[i].open);
		lost += get(&st[i].lost);
		for (unsigned e = 0; e < LOAD_ERROR_COUNT; e++)
			err += get(&st[i].errors[e]);
	}
	difference(s, st, n);
	fprintf(s->f, "{\"t\": %.4f, \"seconds\": %.4f, \"requests\": %llu, \"errors\": %llu, \"connects\": %llu, "
		"\"bytes_in\": %llu, \"bytes_out\": %llu, \"open\": %llu, \"lost\": %llu, ", (double)(s->last_ns - s->start_ns) / 1e9,
		(double)(now - s->last_ns) / 1e9, (unsigned long long)(req - s->requests), (unsigned long long)(err - s->errors),
		(unsigned long long)(con - s->connects), (unsigned long long)(in - s->bytes_in),
		(unsigned long long)(out - s->bytes_out), (unsigned long long)open,
		(unsigned long long)(lost - s->lost));
	fprintf(s->f, "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"hist\": [",
		(double)load_hist_quantile(&s->diff, 0.5) / 1e3, (double)load_hist_quantile(&s->diff, 0.99) / 1e3,
		(double)get(&s->diff.max_ns) / 1e3);
	for (unsigned b = 0; b < LOAD_HIST_BUCKETS; b++)
		if (get(&s->diff.bucket[b])) {
			fprintf(s->f, "%s[%.1f,%llu]", sep, (double)load_hist_top(b) / 1e3,
				(unsigned long long)get(&s->diff.bucket[b]));
			sep = ",";
		}
	fputs("]}\n", s->f);
	fflush(s->f);
	s->requests = req;
	s->errors = err;
	s->connects = con;
	s->lost = lost;
	s->bytes_in = in;
	s->bytes_out = out;
	s->last_ns = now;
}

void load_series_tick(struct load_series *s, const struct load_stats *st, unsigned n, uint64_t now_ns)
{
	if (s && now_ns - s->last_ns >= s->interval_ns)
		line(s, st, n, now_ns);
}

void load_series_close(struct load_series *s, const struct load_stats *st, unsigned n, uint64_t now_ns)
{
	if (!s)
		return;
	if (now_ns > s->last_ns)
		line(s, st, n, now_ns);
	fclose(s->f);
	free(s);
}
