/* SPDX-License-Identifier: GPL-2.0-or-later
 * series.c - figures over time: read them, and what a window of time says
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/run/run.h"

static void read_bins(struct run_point *p, const char *text)
{
	uint32_t cap = 0;
	char *end;

	while (*text == '[' || *text == ',') {
		double top = strtod(text + strspn(text, ",["), &end);
		unsigned long long n;

		if (*end != ',')
			return;
		n = strtoull(end + 1, &end, 10);
		if (*end != ']')
			return;
		text = end + 1;
		if (p->n_bins == cap) {
			struct run_bin *more = realloc(p->bins, (cap = cap * 2 + 16) * sizeof *more);

			if (!more)
				return;
			p->bins = more;
		}
		p->bins[p->n_bins++] = (struct run_bin){ top, n };
	}
}

static bool read_point(struct run_point *p, const char *line, double offset)
{
	unsigned long long req, err, con, in, out, open, lost;
	const char *hist;

	memset(p, 0, sizeof *p);
	if (sscanf(line, "{\"t\": %lf, \"seconds\": %lf, \"requests\": %llu, \"errors\": %llu, \"connects\": %llu, "
		   "\"bytes_in\": %llu, \"bytes_out\": %llu, \"open\": %llu, \"lost\": %llu, \"p50_us\": %lf, \"p99_us\": %lf, \"max_us\": %lf",
		   &p->t, &p->seconds, &req, &err, &con, &in, &out, &open, &lost, &p->p50_us, &p->p99_us, &p->max_us) != 12)
		return false;
	p->t += offset;
	p->requests = req;
	p->errors = err;
	p->bytes = in + out;
	p->open = open;
	p->lost = lost;
	p->connects = con;
	hist = strstr(line, "\"hist\": [");
	if (hist)
		read_bins(p, hist + strlen("\"hist\": ["));
	return true;
}

int figures_add_client(struct run_figures *f, const char *name, const char *file, uint64_t start_ns)
{
	struct run_client *c = &f->client[f->n_clients];
	unsigned long long began = 0;
	char *line = NULL;
	size_t cap = 0, room = 0;
	FILE *in = fopen(file, "re");

	*c = (struct run_client){ .name = name };
	f->n_clients++;
	if (!in)
		return -errno;
	while (getline(&line, &cap, in) > 0) {
		if (sscanf(line, "{\"start_monotonic_ns\": %llu", &began) == 1)
			continue;
		if (c->n == room) {
			struct run_point *more = realloc(c->p, (room = room * 2 + 64) * sizeof *more);

			if (!more)
				break;
			c->p = more;
		}
		if (read_point(&c->p[c->n], line, ((double)began - (double)start_ns) / 1e9))
			c->n++;
	}
	free(line);
	fclose(in);
	return 0;
}

static struct run_track *track_of(struct run_figures *f, enum run_track_kind kind, const char *name)
{
	struct run_track *t;

	for (unsigned i = 0; i < f->n_tracks; i++)
		if (f->track[i].kind == kind && strcmp(f->track[i].name, name) == 0)
			return &f->track[i];
	if (f->n_tracks == RUN_MAX_TRACKS)
		return NULL;
	t = &f->track[f->n_tracks++];
	*t = (struct run_track){ .kind = kind };
	snprintf(t->name, sizeof t->name, "%s", name);
	return t;
}

static void add_sample(struct run_track *t, double at, double v)
{
	double *a, *b;

	if ((t->n & (t->n - 1)) == 0) {	/* 0 and powers of two: twice the room */
		size_t room = t->n ? t->n * 2 : 1;

		a = realloc(t->t, room * sizeof *a);
		if (a)
			t->t = a;
		b = realloc(t->v, room * sizeof *b);
		if (b)
			t->v = b;
		if (!a || !b)
			return;
	}
	t->t[t->n] = at;
	t->v[t->n++] = v;
}

int figures_add_samples(struct run_figures *f, const char *file)
{
	static const char *const kinds[] = { "conns", "drops", "wire" };
	char line[256], kind[16], name[64];
	double at, v;
	FILE *in = fopen(file, "re");

	if (!in)
		return -errno;
	while (fgets(line, sizeof line, in))
		for (unsigned i = 0; i < 3; i++) {
			struct run_track *t;

			if (sscanf(line, "%lf %15s %63s %lf", &at, kind, name, &v) == 4 && strcmp(kind, kinds[i]) == 0 &&
			    (t = track_of(f, (enum run_track_kind)i, name)))
				add_sample(t, at, v);
		}
	fclose(in);
	return 0;
}

void figures_free(struct run_figures *f)
{
	for (unsigned i = 0; i < f->n_clients; i++) {
		for (size_t j = 0; j < f->client[i].n; j++)
			free(f->client[i].p[j].bins);
		free(f->client[i].p);
	}
	for (unsigned i = 0; i < f->n_tracks; i++) {
		free(f->track[i].t);
		free(f->track[i].v);
	}
	f->n_clients = f->n_tracks = 0;
}

/* ---- windows ----------------------------------------------------------------------------------- */

static int by_top(const void *a, const void *b)
{
	double x = ((const struct run_bin *)a)->top_us, y = ((const struct run_bin *)b)->top_us;

	return (x > y) - (x < y);
}

/* The middle of a point's interval decides where it belongs. */
static bool within(const struct run_point *p, double from, double to)
{
	double mid = p->t + p->seconds / 2;

	return mid >= from && mid < to;
}

static double quantile_ms(const struct run_client *c, double q, double from, double to)
{
	struct run_bin *all;
	uint64_t total = 0, seen = 0, want;
	size_t n = 0, i, j, cap = 0;
	double v = NAN;

	for (i = 0; i < c->n; i++)
		cap += within(&c->p[i], from, to) ? c->p[i].n_bins : 0;
	all = calloc(cap ? cap : 1, sizeof *all);
	if (!all)
		return NAN;
	for (i = 0; i < c->n; i++)
		for (j = 0; within(&c->p[i], from, to) && j < c->p[i].n_bins; j++) {
			all[n++] = c->p[i].bins[j];
			total += c->p[i].bins[j].count;
		}
	qsort(all, n, sizeof *all, by_top);
	want = (uint64_t)ceil(q * (double)total);
	for (i = 0; i < n; i++) {
		seen += all[i].count;
		if (seen >= (want ? want : 1)) {
			v = all[i].top_us / 1000;
			break;
		}
	}
	free(all);
	return v;
}

/* The longest time in which no request ended well, to the precision of the intervals. */
static double gap_ms(const struct run_client *c, double from, double to)
{
	double longest = 0, run = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (!within(&c->p[i], from, to))
			continue;
		run = c->p[i].requests ? 0 : run + c->p[i].seconds;
		longest = run > longest ? run : longest;
	}
	return longest * 1000;
}

/* From the beginning of the window until service is back for good: after this, each interval has
 * answers and none has errors. To the precision of the intervals; infinite: it never is. */
static double back_ms(const struct run_client *c, double from, double to)
{
	double back = from, last = from;

	for (size_t i = 0; i < c->n; i++) {
		if (!within(&c->p[i], from, to))
			continue;
		last = c->p[i].t + c->p[i].seconds;
		if (c->p[i].errors || !c->p[i].requests)
			back = last;
	}
	return back >= last ? INFINITY : (back - from) * 1000;
}

double figures_metric(const struct run_client *c, enum run_metric m, double from, double to)
{
	uint64_t req = 0, err = 0, bytes = 0, lost = 0, connects = 0;
	double seconds = 0;

	for (size_t i = 0; i < c->n; i++)
		if (within(&c->p[i], from, to)) {
			req += c->p[i].requests;
			err += c->p[i].errors;
			bytes += c->p[i].bytes;
			lost += c->p[i].lost;
			connects += c->p[i].connects;
			seconds += c->p[i].seconds;
		}
	if (seconds <= 0)
		return NAN;
	switch (m) {
	case RUN_ERRORS: return (double)err;
	case RUN_REQUESTS: return (double)req;
	case RUN_RPS: return (double)req / seconds;
	case RUN_MBIT: return (double)bytes * 8 / 1e6 / seconds;
	case RUN_LOST: return (double)lost;
	case RUN_CONNECTS: return (double)connects;
	case RUN_BACK: return back_ms(c, from, to);
	case RUN_GAP: return gap_ms(c, from, to);
	case RUN_P50: return quantile_ms(c, 0.5, from, to);
	case RUN_P90: return quantile_ms(c, 0.9, from, to);
	case RUN_P99: return quantile_ms(c, 0.99, from, to);
	case RUN_P999: return quantile_ms(c, 0.999, from, to);
	default: return quantile_ms(c, 1, from, to);
	}
}
