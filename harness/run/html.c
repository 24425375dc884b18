/* SPDX-License-Identifier: GPL-2.0-or-later
 * html.c - the report as one page, with plots over time as inline SVG and nothing from outside
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/run/run.h"

#define W 720.0
#define H 240.0
#define LEFT 62.0
#define RIGHT 20.0
#define TOP 40.0
#define BOTTOM 38.0

/* Told apart by most eyes, on light and on dark ground. */
static const char *const colors[] = { "#2f7ed8", "#e8781e", "#2aa05a", "#a45ee5", "#d8a200", "#16a5b8", "#c0504d", "#e377c2" };
#define COLOR(i) colors[(i) % (sizeof colors / sizeof *colors)]

struct plot { FILE *f; double seconds, max; };

static double x_of(const struct plot *p, double t)
{
	double x = t / p->seconds;

	return LEFT + (x < 0 ? 0 : x > 1 ? 1 : x) * (W - LEFT - RIGHT);
}

static double y_of(const struct plot *p, double v)
{
	return H - BOTTOM - v / p->max * (H - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, so that about N steps make V. */
static double nice_step(double v, int n)
{
	double raw = v / n, p = pow(10, floor(log10(raw)));

	return raw <= p ? p : raw <= 2 * p ? 2 * p : raw <= 5 * p ? 5 * p : 10 * p;
}

/* UNIT stands over the vertical axis; what is COUNTED has no steps below 1. */
static void plot_begin(struct plot *p, FILE *f, const char *title, const char *unit, bool counted, double seconds, double max)
{
	double step, v;

	*p = (struct plot){ .f = f, .seconds = seconds > 0 ? seconds : 1, .max = max > 0 ? max * 1.05 : counted ? 4 : 1 };
	fprintf(f, "<section>\n<h2>%s</h2>\n<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n", title, W, H, title);
	step = nice_step(p->max, 4);
	if (counted && step < 1)
		step = 1;
	for (v = 0; v <= p->max; v += step)
		fprintf(f, "<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" class=\"%s\"/><text x=\"%g\" y=\"%.1f\" class=\"ya\">%.6g</text>\n",
			LEFT, W - RIGHT, y_of(p, v), y_of(p, v), v > 0 ? "grid" : "axis", LEFT - 6, y_of(p, v) + 4, v);
	step = nice_step(p->seconds, 10);
	for (v = 0; v <= p->seconds; v += step)
		fprintf(f, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\" class=\"axis\"/><text x=\"%.1f\" y=\"%g\" class=\"xa\">%g</text>\n",
			x_of(p, v), x_of(p, v), H - BOTTOM, H - BOTTOM + 4, x_of(p, v), H - BOTTOM + 16, v);
	fprintf(f, "<text x=\"%g\" y=\"%g\" class=\"unit\">%s</text><text x=\"%g\" y=\"%g\" class=\"xa\">time, s</text>\n", 4.0, 12.0, unit,
		(LEFT + W - RIGHT) / 2, H - 4);
}

/* Faults and changes are lines across each plot, with their number in the time line; load begins
 * and ends by itself. */
static void plot_events(struct plot *p, const struct scenario *s)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < s->n_actions; i++) {
		const struct run_action *a = &s->actions[i];

		if (a->what == RUN_LOAD || a->began <= 0)
			continue;
		fprintf(p->f, "<g class=\"ev\"><title>%u: ", ++n);
		xml_text(p->f, a->what == RUN_IMPAIR ? a->impair : a->words);
		fprintf(p->f, "</title><line x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\"/><circle cx=\"%.1f\" cy=\"%g\" r=\"8\"/>"
			"<text x=\"%.1f\" y=\"%g\">%u</text></g>\n", x_of(p, a->began), x_of(p, a->began), TOP - 8, H - BOTTOM,
			x_of(p, a->began), TOP - 16, x_of(p, a->began), TOP - 12, n);
	}
}

static void plot_end(struct plot *p, const struct scenario *s)
{
	plot_events(p, s);
	fputs("</svg>\n", p->f);
}

static void line_begin(struct plot *p, unsigned color, bool dashed)
{
	fprintf(p->f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\"%s points=\"", COLOR(color),
		dashed ? " stroke-dasharray=\"4 3\"" : "");
}

static void line_end(struct plot *p, const char *name)
{
	fputs("\"><title>", p->f);
	xml_text(p->f, name);
	fputs("</title></polyline>\n", p->f);
}

static void legend(FILE *f, unsigned color, const char *name, const char *more)
{
	fprintf(f, "<span class=\"key\"><i style=\"background:%s\"></i>", COLOR(color));
	xml_text(f, name);
	fprintf(f, "%s</span> ", more);
}

static double rate(const struct run_point *p)
{
	return p->seconds > 0 ? (double)p->requests / p->seconds : 0;
}

static void plot_requests(const struct run_report *r, FILE *f)
{
	struct plot p;
	double max = 0;

	for (unsigned i = 0; i < r->f.n_clients; i++)
		for (size_t j = 0; j < r->f.client[i].n; j++)
			max = fmax(max, rate(&r->f.client[i].p[j]));
	plot_begin(&p, f, "Requests", "per second", false, r->seconds, max);
	for (unsigned i = 0; i < r->f.n_clients; i++) {
		const struct run_client *c = &r->f.client[i];

		line_begin(&p, i, false);
		for (size_t j = 0; j < c->n; j++)
			fprintf(f, "%.1f,%.1f ", x_of(&p, c->p[j].t + c->p[j].seconds / 2), y_of(&p, rate(&c->p[j])));
		line_end(&p, c->name);
		for (size_t j = 0; j < c->n; j++)	/* errors: dots on the ground */
			if (c->p[j].errors)
				fprintf(f, "<circle cx=\"%.1f\" cy=\"%g\" r=\"3\" fill=\"#d00\"><title>%llu errors</title></circle>\n",
					x_of(&p, c->p[j].t + c->p[j].seconds / 2), H - BOTTOM, (unsigned long long)c->p[j].errors);
	}
	plot_end(&p, r->s);
	for (unsigned i = 0; i < r->f.n_clients; i++)
		legend(f, i, r->f.client[i].name, "");
	fputs("<span class=\"key\"><i style=\"background:#d00;border-radius:50%\"></i>errors</span>\n</section>\n", f);
}

static void latency_line(struct plot *p, const struct run_client *c, unsigned color, bool p99)
{
	line_begin(p, color, !p99);
	for (size_t j = 0; j < c->n; j++)
		if (c->p[j].requests)
			fprintf(p->f, "%.1f,%.1f ", x_of(p, c->p[j].t + c->p[j].seconds / 2),
				y_of(p, (p99 ? c->p[j].p99_us : c->p[j].p50_us) / 1e3));
	line_end(p, c->name);
}

static void plot_latency(const struct run_report *r, FILE *f)
{
	struct plot p;
	double max = 0;

	for (unsigned i = 0; i < r->f.n_clients; i++)
		for (size_t j = 0; j < r->f.client[i].n; j++)
			max = fmax(max, r->f.client[i].p[j].p99_us / 1e3);
	plot_begin(&p, f, "Latency: 99th percentile, median dashed", "ms", false, r->seconds, max);
	for (unsigned i = 0; i < r->f.n_clients; i++) {
		latency_line(&p, &r->f.client[i], i, true);
		latency_line(&p, &r->f.client[i], i, false);
	}
	plot_end(&p, r->s);
	for (unsigned i = 0; i < r->f.n_clients; i++)
		legend(f, i, r->f.client[i].name, "");
	fputs("</section>\n", f);
}

/* Connections as they are; of counters what was added since the first sample. */
static double track_value(const struct run_track *t, size_t j)
{
	double v = t->kind == TRACK_CONNS ? t->v[j] : t->v[j] - t->v[0];

	return v < 0 ? 0 : v;
}

static bool is_drop(const struct run_track *t)
{
	return t->kind != TRACK_CONNS;
}

static void plot_tracks(const struct run_report *r, FILE *f, bool drops, const char *title)
{
	struct plot p;
	double max = 0;
	unsigned color = 0, any = 0;

	for (unsigned i = 0; i < r->f.n_tracks; i++)
		for (size_t j = 0; is_drop(&r->f.track[i]) == drops && j < r->f.track[i].n; j++) {
			max = fmax(max, track_value(&r->f.track[i], j));
			any++;
		}
	if (!any)
		return;
	plot_begin(&p, f, title, drops ? "frames" : "connections", true, r->seconds, max);
	for (unsigned i = 0; i < r->f.n_tracks; i++) {
		const struct run_track *t = &r->f.track[i];

		if (is_drop(t) != drops)
			continue;
		line_begin(&p, color++, t->kind == TRACK_WIRE);
		for (size_t j = 0; j < t->n; j++)
			fprintf(f, "%.1f,%.1f ", x_of(&p, t->t[j]), y_of(&p, track_value(t, j)));
		line_end(&p, t->name);
	}
	plot_end(&p, r->s);
	color = 0;
	for (unsigned i = 0; i < r->f.n_tracks; i++)
		if (is_drop(&r->f.track[i]) == drops)
			legend(f, color++, r->f.track[i].name, r->f.track[i].kind == TRACK_WIRE ? " (wire)" : "");
	fputs("</section>\n", f);
}

static void table_expect(const struct run_report *r, FILE *f)
{
	char got[32];

	fputs("<section>\n<h2>Expectations</h2>\n<table><tr><th>client<th>figure<th>wanted<th>got<th>during<th></tr>\n", f);
	for (unsigned i = 0; i < r->n_checks; i++) {
		const struct run_check *k = &r->check[i];

		fputs("<tr><td>", f);
		xml_text(f, k->x->client);
		fprintf(f, "<td>%s<td>", run_metric_names[k->metric]);
		xml_text(f, k->x->want[k->metric]);
		fprintf(f, "<td>%s<td>", check_got(k, got));
		if (k->x->n_during)
			fprintf(f, "%g s to %g s", k->from, k->to);
		fprintf(f, "<td class=\"%s\">%s</tr>\n", k->ok ? "ok" : "bad", k->ok ? "ok" : "failed");
	}
	fputs("</table>\n</section>\n", f);
}

static void table_events(const struct run_report *r, FILE *f)
{
	unsigned n = 0;

	fputs("<section>\n<h2>Time line</h2>\n<table><tr><th><th>at<th>what<th>came of it</tr>\n", f);
	for (uint32_t i = 0; i < r->s->n_actions; i++) {
		const struct run_action *a = &r->s->actions[i];

		if (a->what == RUN_LOAD || a->began <= 0)
			fputs("<tr><td>", f);
		else
			fprintf(f, "<tr><td><b class=\"no\">%u</b>", ++n);
		fprintf(f, "<td>%.2f s<td>", a->began);
		xml_text(f, a->what == RUN_IMPAIR ? a->impair : a->words);
		fprintf(f, "<td class=\"%s\">", a->failed ? "bad" : "");
		xml_text(f, a->said[0] ? a->said : a->what == RUN_IMPAIR ? a->words : "");
		fputs("</tr>\n", f);
	}
	fputs("</table>\n</section>\n", f);
}

static void table_clients(const struct run_report *r, FILE *f)
{
	static const enum run_metric show[] = { RUN_REQUESTS, RUN_RPS, RUN_MBIT, RUN_ERRORS, RUN_P50, RUN_P99, RUN_MAX };

	fputs("<section class=\"wide\">\n<h2>Clients</h2>\n<table class=\"num\"><tr><th>client<th>requests<th>per second<th>Mbit/s<th>errors"
	      "<th>p50, ms<th>p99, ms<th>max, ms</tr>\n", f);
	for (unsigned i = 0; i < r->f.n_clients; i++) {
		fprintf(f, "<tr><td><i style=\"background:%s\"></i>", COLOR(i));
		xml_text(f, r->f.client[i].name);
		for (unsigned m = 0; m < sizeof show / sizeof *show; m++) {
			double v = figures_metric(&r->f.client[i], show[m], 0, 1e9);

			if (isfinite(v))
				fprintf(f, "<td>%.*f", m >= 4 ? 2 : m == 2 ? 1 : 0, v);
			else
				fputs("<td>-", f);
		}
		fputs("</tr>\n", f);
	}
	fputs("</table>\n</section>\n", f);
}

/* Light or dark as the reader likes it; on paper two columns, one page. */
static const char style[] =
	":root{color-scheme:light dark;--fg:#222;--bg:#fff;--card:#f7f8fa;--line:#d8dce2;--dim:#667}\n"
	"@media(prefers-color-scheme:dark){:root{--fg:#e3e6ea;--bg:#15181c;--card:#1d2127;--line:#363c45;--dim:#99a1ad}}\n"
	"body{font:14px/1.45 system-ui,sans-serif;max-width:1240px;margin:1.5em auto;padding:0 1em;color:var(--fg);background:var(--bg)}\n"
	"main{display:grid;grid-template-columns:repeat(auto-fit,minmax(480px,1fr));gap:.8em}\n"
	"section{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6em .9em;break-inside:avoid;overflow-x:auto}\n"
	".wide{grid-column:1/-1}h1{font-size:1.5em;margin:0}h2{font-size:1em;margin:0 0 .4em}p{margin:.2em 0 1em;color:var(--dim)}\n"
	"svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:var(--fg)}\n"
	"table{border-collapse:collapse;width:100%}td,th{padding:.15em .8em .15em 0;text-align:left;border-bottom:1px solid var(--line);"
	"vertical-align:top}\n.num td+td,.num th+th{text-align:right;font-variant-numeric:tabular-nums}th{color:var(--dim);font-weight:600}\n"
	".ok{color:#1a9a4b}.bad{color:#e0443e;font-weight:bold}.grid{stroke:var(--line)}.axis{stroke:var(--dim)}svg .ya{text-anchor:end}\n"
	"svg .xa{text-anchor:middle}svg .unit{fill:var(--dim)}.ev line{stroke:var(--dim);stroke-dasharray:3 3}.ev circle,.no{fill:var(--dim)}\n"
	"svg .ev text{fill:var(--bg);text-anchor:middle;font-size:11px;font-weight:bold}\n"
	".no{display:inline-block;min-width:1.4em;text-align:center;border-radius:.7em;background:var(--dim);color:var(--bg);font-size:.85em}\n"
	".key{margin-right:1em;font-size:.9em}i{display:inline-block;width:.75em;height:.75em;margin-right:.35em;border-radius:2px}\n"
	"@media print{@page{size:A4;margin:10mm}:root{--fg:#000;--bg:#fff;--card:#fff;--line:#ccc;--dim:#555}"
	"body{font-size:8.5px;max-width:none;margin:0;padding:0}main{grid-template-columns:1fr 1fr;gap:1.5mm}section{padding:1mm 2mm}"
	"*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n";

void report_html(const struct run_report *r, FILE *f)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>", f);
	xml_text(f, r->s->name);
	fprintf(f, "</title>\n<style>\n%s</style></head><body>\n<h1>", style);
	xml_text(f, r->s->name);
	fprintf(f, ": <span class=\"%s\">%s</span></h1>\n<p>topology ", r->passed ? "ok" : "bad", r->passed ? "passed" : "failed");
	xml_text(f, r->s->topology);
	fprintf(f, ", %.1f s%s. Numbers in the plots are those of the time line.</p>\n<main>\n", r->seconds,
		r->interrupted ? ", interrupted" : "");
	table_clients(r, f);
	table_expect(r, f);
	table_events(r, f);
	plot_requests(r, f);
	plot_latency(r, f);
	plot_tracks(r, f, false, "Connections of each IOP");
	plot_tracks(r, f, true, "Dropped since the beginning");
	fputs("</main>\n</body></html>\n", f);
}
