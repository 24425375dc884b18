/* SPDX-License-Identifier: GPL-2.0-or-later
 * out.c - tables, numbers, what failed
 */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "npp/npp.h"

bool out_colours(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
}

const char *out_count(double v, char buf[24])
{
	static const char unit[] = { 0, 'k', 'M', 'G', 'T' };
	unsigned i = 0;

	while (v >= 9999.5 && i < 4) {
		v /= 1000;
		i++;
	}
	if (i == 0)
		snprintf(buf, 24, "%.0f", v);
	else
		snprintf(buf, 24, v < 99.95 ? "%.2f %c" : v < 999.5 ? "%.1f %c" : "%.0f %c", v, unit[i]);
	return buf;
}

void table_init(struct table *t, unsigned cols, uint32_t left)
{
	*t = (struct table){ .cols = cols, .left = left };
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;

	if (t->cells == t->cap) {
		unsigned cap = t->cap ? t->cap * 2 : 128;
		void *cell = realloc(t->cell, (size_t)cap * sizeof *t->cell);

		if (!cell)
			npp_fatalx("no memory");
		t->cell = cell;
		t->cap = cap;
	}
	va_start(ap, fmt);
	vsnprintf(t->cell[t->cells++], sizeof *t->cell, fmt, ap);
	va_end(ap);
}

void table_free(struct table *t)
{
	free(t->cell);
	t->cell = NULL;
	t->cells = t->cap = 0;
}

void table_print(struct table *t, const char *indent)
{
	bool bold = out_colours();
	int width[TABLE_COLS] = { 0 };

	for (unsigned i = 0; i < t->cells; i++) {
		int len = (int)strlen(t->cell[i]);

		if (len > width[i % t->cols])
			width[i % t->cols] = len;
	}
	for (unsigned i = 0; i < t->cells; i++) {
		unsigned c = i % t->cols;
		bool last = c == t->cols - 1, left = t->left >> c & 1;

		if (c == 0)
			fputs(indent, stdout);
		if (bold && i == 0)
			fputs("\033[1m", stdout);
		printf("%*s%s", left ? (last ? 0 : -width[c]) : width[c], t->cell[i], last ? "" : "  ");
		if (bold && i == t->cols - 1)
			fputs("\033[0m", stdout);
		if (last)
			putchar('\n');
	}
	table_free(t);
}

/* ---- what failed ----------------------------------------------------------------------------- */

#define MAX_FAILURES 16

static struct { bool json; unsigned n; char text[MAX_FAILURES][512]; } failures;

bool out_json(void)
{
	return failures.json = true;
}

void out_failed(const char *fmt, ...)
{
	char text[sizeof failures.text[0]];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	npp_warnx("%s", text);
	if (failures.n < MAX_FAILURES)
		strcpy(failures.text[failures.n++], text);
}

void out_failures(int status)
{
	const char *texts[MAX_FAILURES];

	for (unsigned i = 0; i < failures.n; i++)
		texts[i] = failures.text[i];
	if (status && failures.json && failures.n)
		npp_json_failed(stdout, texts, failures.n);
}
