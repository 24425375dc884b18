/* SPDX-License-Identifier: GPL-2.0-or-later
 * report.c - what a scenario has shown: for people, as JSON, as JUnit XML
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "harness/run/run.h"
#include "lib/json.h"

static void window(char *text, size_t cap, const struct run_check *k)
{
	if (k->x->n_during)
		snprintf(text, cap, " from %g s to %g s", k->from, k->to);
	else
		text[0] = '\0';
}

static void json_number(FILE *f, double v)
{
	if (isfinite(v))
		fprintf(f, "%.6g", v);
	else
		fputs("null", f);
}

const char *check_got(const struct run_check *k, char text[32])
{
	snprintf(text, 32, isnan(k->got) ? "nothing" : "%.6g", k->got);
	return text;
}

void report_text(const struct run_report *r, FILE *f)
{
	const struct scenario *s = r->s;
	char when[64], got[32];

	fprintf(f, "scenario %s: %s, %.1f s%s\n", s->name, r->passed ? "passed" : "FAILED", r->seconds,
		r->interrupted ? ", interrupted" : "");
	if (r->late > 0.1)
		fprintf(f, "  the machine was too busy: for up to %.0f ms the time line did not get to run\n", r->late * 1000);
	for (uint32_t i = 0; i < s->n_actions; i++) {
		const struct run_action *a = &s->actions[i];

		fprintf(f, "  %6.2f s  %-6s %s%s%s\n", a->began, !a->done ? "-" : a->ok ? "ok" : a->failed ? "FAILED" : "errors",
			a->what == RUN_IMPAIR ? a->impair : a->words, a->said[0] || a->what == RUN_IMPAIR ? ": " : "",
			a->what == RUN_IMPAIR && !a->said[0] ? a->words : a->said);
	}
	for (unsigned i = 0; i < r->f.n_clients; i++) {
		const struct run_client *c = &r->f.client[i];

		if (!c->n) {
			fprintf(f, "  %-12s no figures\n", c->name);
			continue;
		}
		fprintf(f, "  %-12s %8.0f requests  %8.0f /s  %8.1f Mbit/s  %.0f errors", c->name,
			figures_metric(c, RUN_REQUESTS, 0, 1e9), figures_metric(c, RUN_RPS, 0, 1e9),
			figures_metric(c, RUN_MBIT, 0, 1e9), figures_metric(c, RUN_ERRORS, 0, 1e9));
		if (isfinite(figures_metric(c, RUN_P50, 0, 1e9)))
			fprintf(f, "  p50 %.2f ms  p99 %.2f ms  max %.1f ms", figures_metric(c, RUN_P50, 0, 1e9),
				figures_metric(c, RUN_P99, 0, 1e9), figures_metric(c, RUN_MAX, 0, 1e9));
		fputc('\n', f);
	}
	for (unsigned i = 0; i < r->n_checks; i++) {
		const struct run_check *k = &r->check[i];

		window(when, sizeof when, k);
		fprintf(f, "  %-7s %s %s %s%s: got %s\n", k->ok ? "ok" : "FAILED", k->x->client, run_metric_names[k->metric],
			k->x->want[k->metric], when, check_got(k, got));
	}
}

static void json_client(FILE *f, const struct run_client *c)
{
	fputs("{\"name\": ", f);
	json_string(f, c->name);
	for (unsigned m = 0; m < RUN_METRICS; m++) {
		fprintf(f, ", \"%s\": ", run_metric_names[m]);
		json_number(f, figures_metric(c, (enum run_metric)m, 0, 1e9));
	}
	fputs(",\n   \"series\": [", f);
	for (size_t j = 0; j < c->n; j++)
		fprintf(f, "%s{\"t\": %.3f, \"seconds\": %.3f, \"requests\": %llu, \"errors\": %llu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
			"\"max_ms\": %.3f, \"open\": %llu}", j ? ",\n    " : "\n    ", c->p[j].t, c->p[j].seconds,
			(unsigned long long)c->p[j].requests, (unsigned long long)c->p[j].errors, c->p[j].p50_us / 1e3,
			c->p[j].p99_us / 1e3, c->p[j].max_us / 1e3, (unsigned long long)c->p[j].open);
	fputs("]}", f);
}

static void json_track(FILE *f, const struct run_track *t)
{
	static const char *const kinds[] = { "connections", "npp_drops", "wire_drops" };

	fprintf(f, "{\"kind\": \"%s\", \"name\": ", kinds[t->kind]);
	json_string(f, t->name);
	fputs(", \"values\": [", f);
	for (size_t j = 0; j < t->n; j++)
		fprintf(f, "%s[%.3f, %.0f]", j ? ", " : "", t->t[j], t->v[j]);
	fputs("]}", f);
}

static void json_event(FILE *f, const struct run_action *a)
{
	fprintf(f, "{\"at\": %g, \"began\": %.3f, \"ended\": %.3f, \"ok\": %s, \"failed\": %s, \"what\": ", (double)a->at_us / 1e6,
		a->began, a->ended, a->done && a->ok ? "true" : "false", a->failed ? "true" : "false");
	json_string(f, a->what == RUN_IMPAIR ? a->impair : a->words);
	fputs(", \"said\": ", f);
	json_string(f, a->said[0] ? a->said : a->what == RUN_IMPAIR ? a->words : "");
	fputc('}', f);
}

static void json_check(FILE *f, const struct run_check *k)
{
	fputs("{\"client\": ", f);
	json_string(f, k->x->client);
	fprintf(f, ", \"metric\": \"%s\", \"wanted\": ", run_metric_names[k->metric]);
	json_string(f, k->x->want[k->metric]);
	fputs(", \"got\": ", f);
	json_number(f, k->got);
	if (k->x->n_during)
		fprintf(f, ", \"during\": [%g, %g]", k->from, k->to);
	fprintf(f, ", \"ok\": %s}", k->ok ? "true" : "false");
}

void report_json(const struct run_report *r, FILE *f)
{
	const struct scenario *s = r->s;

	fputs("{\"scenario\": ", f);
	json_string(f, s->name);
	fputs(", \"topology\": ", f);
	json_string(f, s->topology);
	fprintf(f, ", \"passed\": %s, \"interrupted\": %s, \"seconds\": %.3f, \"late_ms\": %.1f,\n \"expectations\": [", r->passed ? "true" : "false",
		r->interrupted ? "true" : "false", r->seconds, r->late * 1000);
	for (unsigned i = 0; i < r->n_checks; i++) {
		fputs(i ? ",\n  " : "\n  ", f);
		json_check(f, &r->check[i]);
	}
	fputs("],\n \"events\": [", f);
	for (uint32_t i = 0; i < s->n_actions; i++) {
		fputs(i ? ",\n  " : "\n  ", f);
		json_event(f, &s->actions[i]);
	}
	fputs("],\n \"clients\": [", f);
	for (unsigned i = 0; i < r->f.n_clients; i++) {
		fputs(i ? ",\n  " : "\n  ", f);
		json_client(f, &r->f.client[i]);
	}
	fputs("],\n \"samples\": [", f);
	for (unsigned i = 0; i < r->f.n_tracks; i++) {
		fputs(i ? ",\n  " : "\n  ", f);
		json_track(f, &r->f.track[i]);
	}
	fputs("]}\n", f);
}

/* ---- JUnit ---------------------------------------------------------------------------------------- */

void xml_text(FILE *f, const char *text)
{
	size_t n;

	for (; *text; text += n ? n : 1) {
		unsigned char c = (unsigned char)*text;

		n = npp_utf8_len(text);
		if (n == 0)
			fputs("&#xfffd;", f);
		else if (c == '<')
			fputs("&lt;", f);
		else if (c == '>')
			fputs("&gt;", f);
		else if (c == '&')
			fputs("&amp;", f);
		else if (c == '"')
			fputs("&quot;", f);
		else if (c < 0x20)
			fputc(' ', f);
		else
			fwrite(text, 1, n, f);
	}
}

static void junit_event(FILE *f, const struct scenario *s, const struct run_action *a)
{
	fputs("    <testcase classname=\"", f);
	xml_text(f, s->name);
	fprintf(f, "\" name=\"at %g s: ", (double)a->at_us / 1e6);
	xml_text(f, a->what == RUN_IMPAIR ? a->impair : a->words);
	fprintf(f, "\" time=\"%.3f\">", a->ended > a->began ? a->ended - a->began : 0.0);
	if (a->failed) {
		fputs("<failure message=\"", f);
		xml_text(f, a->said[0] ? a->said : "did not end");
		fputs("\"/>", f);
	}
	fputs("</testcase>\n", f);
}

void report_junit(const struct run_report *r, FILE *f)
{
	const struct scenario *s = r->s;
	unsigned failed = 0;
	char when[64], got[32];

	for (unsigned i = 0; i < r->n_checks; i++)
		failed += !r->check[i].ok;
	for (uint32_t i = 0; i < s->n_actions; i++)
		failed += s->actions[i].failed;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"", f);
	xml_text(f, s->name);
	fprintf(f, "\" tests=\"%u\" failures=\"%u\" time=\"%.3f\">\n", r->n_checks + s->n_actions, failed, r->seconds);
	for (uint32_t i = 0; i < s->n_actions; i++)
		junit_event(f, s, &s->actions[i]);
	for (unsigned i = 0; i < r->n_checks; i++) {
		const struct run_check *k = &r->check[i];

		window(when, sizeof when, k);
		fputs("    <testcase classname=\"", f);
		xml_text(f, s->name);
		fputs("\" name=\"", f);
		xml_text(f, k->x->client);
		fprintf(f, " %s ", run_metric_names[k->metric]);
		xml_text(f, k->x->want[k->metric]);
		fprintf(f, "%s\">", when);
		if (!k->ok)
			fprintf(f, "<failure message=\"got %s\"/>", check_got(k, got));
		fputs("</testcase>\n", f);
	}
	fputs("  </testsuite>\n</testsuites>\n", f);
}
