/* SPDX-License-Identifier: GPL-2.0-or-later
 * ctl.c - control requests of a wire: a line of text in, JSON or a reason out
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "harness/wire/wire.h"
#include "lib/conf.h"

static int refuse(FILE *f, const char *why)
{
	fprintf(f, "error: %s\n", why);
	return -EINVAL;
}

static int do_set(struct wire *w, char *args, uint64_t now, FILE *f)
{
	struct wire_conf c[WIRE_DIRS];
	struct npp_err e = { "" };
	char *save = NULL, *word, *eq;
	unsigned n = 0;

	memcpy(c, w->conf, sizeof c);
	/* A blackout that runs is not begun anew by another setting. */
	for (unsigned d = 0; d < WIRE_DIRS; d++)
		if (w->dir[d].blackout_until_ns)
			c[d].blackout_us = w->dir[d].blackout_until_ns > now ? (w->dir[d].blackout_until_ns - now) / 1000 + 1 : 1;
	for (word = strtok_r(args, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		eq = strchr(word, '=');
		if (!eq)
			return refuse(f, "set: expected KEY=VALUE");
		*eq = '\0';
		if (wire_conf_set(c, word, eq + 1, &e) < 0)
			return refuse(f, e.text);
		n++;
	}
	if (!n)
		return refuse(f, "set: expected KEY=VALUE");
	wire_apply(w, c, now);
	fputs("ok\n", f);
	return 0;
}

static void zero(struct wire *w)
{
	for (unsigned d = 0; d < WIRE_DIRS; d++) {
		memset(&w->dir[d].n, 0, sizeof w->dir[d].n);
		memset(&w->dir[d].late, 0, sizeof w->dir[d].late);
	}
}

int wire_ctl(struct wire *w, const char *text, size_t len, uint64_t now, FILE *f)
{
	struct wire_conf c[WIRE_DIRS];
	char line[WIRE_CTL_MAX], *args;
	uint64_t seed;

	if (len >= sizeof line)
		return refuse(f, "a request has at most 4095 bytes");
	if (memchr(text, '\0', len))
		return refuse(f, "a request is text");
	memcpy(line, text, len);
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	args = strchr(line, ' ');
	if (args)
		*args++ = '\0';
	if (strcmp(line, "set") == 0 && args)
		return do_set(w, args, now, f);
	if (strcmp(line, "seed") == 0 && args && npp_conf_parse_u64(args, &seed) == 0) {
		wire_reseed(w, seed);
	} else if (args) {
		return refuse(f, "expected set KEY=VALUE..., seed NUMBER, clear, zero, show or get");
	} else if (strcmp(line, "get") == 0) {
		wire_json(w, f);
		return 0;
	} else if (strcmp(line, "show") == 0) {
		wire_text(w, now, f);
		return 0;
	} else if (strcmp(line, "clear") == 0) {
		wire_conf_init(c);
		wire_apply(w, c, now);
	} else if (strcmp(line, "zero") == 0) {
		zero(w);
	} else {
		return refuse(f, "expected set KEY=VALUE..., seed NUMBER, clear, zero, show or get");
	}
	fputs("ok\n", f);
	return 0;
}
