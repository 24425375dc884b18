/* SPDX-License-Identifier: GPL-2.0-or-later
 * conf.c - settings of a wire: one table for files, command lines and control requests
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/wire/wire.h"
#include "lib/conf.h"

const char *const wire_dir_names[WIRE_DIRS] = { "up", "down" };

enum key_type { K_TIME, K_CHANCE, K_RATE, K_SIZE, K_U32, K_BURST, K_BLACKOUT };

static const struct key {
	const char *name;
	enum key_type type;
	size_t off;
	uint64_t max;
	const char *what;
	uint64_t least;	/* if it is not 0 */
} keys[] = {
	{ "delay", K_TIME, offsetof(struct wire_conf, delay_us), 60000000, "time that every frame takes", 0 },
	{ "jitter", K_TIME, offsetof(struct wire_conf, jitter_us), 60000000, "the delay varies by so much, both ways", 0 },
	{ "loss", K_CHANCE, offsetof(struct wire_conf, loss), 0, "chance of a frame to be lost", 0 },
	{ "burst", K_BURST, 0, 0, "ENTER/LEAVE[/LOSS]: losses in bursts (Gilbert-Elliott)", 0 },
	{ "reorder", K_CHANCE, offsetof(struct wire_conf, reorder), 0, "chance to be held back behind others", 0 },
	{ "reorder_gap", K_U32, offsetof(struct wire_conf, reorder_gap), 1000, "how many pass a frame held back", 0 },
	{ "duplicate", K_CHANCE, offsetof(struct wire_conf, duplicate), 0, "chance to arrive twice", 0 },
	{ "corrupt", K_CHANCE, offsetof(struct wire_conf, corrupt), 0, "chance of a flipped bit", 0 },
	{ "rate", K_RATE, offsetof(struct wire_conf, rate_bps), 0, "bits per second; 0: no limit", 0 },
	{ "queue", K_SIZE, offsetof(struct wire_conf, queue_bytes), 1u << 30, "bytes that wait for the rate", 0 },
	{ "mtu", K_U32, offsetof(struct wire_conf, mtu), 65535, "larger frames are dropped; 0: none", 68 },
	{ "ecn", K_CHANCE, offsetof(struct wire_conf, ecn), 0, "chance of CE on frames that are ECN-capable", 0 },
	{ "ecn_queue", K_SIZE, offsetof(struct wire_conf, ecn_queue), 1u << 30, "CE where the queue holds so much", 0 },
	{ "blackout", K_BLACKOUT, 0, 0, "yes: nothing passes; a time: for so long", 0 },
};
#define N_KEYS (sizeof keys / sizeof *keys)

const char *wire_conf_key(unsigned i, const char **what)
{
	if (i >= N_KEYS)
		return NULL;
	if (what)
		*what = keys[i].what;
	return keys[i].name;
}

void wire_conf_init(struct wire_conf c[WIRE_DIRS])
{
	memset(c, 0, WIRE_DIRS * sizeof *c);
	c[WIRE_UP].reorder_gap = c[WIRE_DOWN].reorder_gap = 3;
}

/* "2%", "0.02"; a byte after it must be in END. */
static int chance(const char *text, const char *end, const char **next, double *out)
{
	char *p;
	double v;

	if (!(*text >= '0' && *text <= '9') && *text != '.')	/* no sign, no "nan", no "inf" */
		return -EINVAL;
	v = strtod(text, &p);
	if (p == text)
		return -EINVAL;
	if (*p == '%') {
		v /= 100;
		p++;
	}
	if (!(v >= 0 && v <= 1) || (*p && !strchr(end, *p)))
		return -EINVAL;
	*out = v;
	if (next)
		*next = p;
	return 0;
}

static int burst(struct wire_conf *c, const char *text)
{
	double enter, leave = 0, loss = 1;
	const char *p;

	if (chance(text, "/", &p, &enter) < 0 || (*p && chance(p + 1, "/", &p, &leave) < 0) ||
	    (*p && chance(p + 1, "", &p, &loss) < 0) || (enter > 0 && leave <= 0))
		return -EINVAL;
	c->burst_enter = enter;
	c->burst_leave = leave;
	c->burst_loss = loss;
	return 0;
}

static int blackout(struct wire_conf *c, const char *text)
{
	uint64_t us = 0;
	bool on;

	if (npp_conf_parse_bool(text, &on) < 0) {
		if (npp_conf_parse_time(text, &us) < 0)
			return -EINVAL;
		on = us > 0;
	}
	c->blackout = on;
	c->blackout_us = us;
	return 0;
}

static int set_one(struct wire_conf *c, const struct key *k, const char *text)
{
	union { void *v; uint64_t *u64; uint32_t *u32; double *d; } at = { .v = (char *)c + k->off };
	uint64_t v = 0;
	int r = 0;

	switch (k->type) {
	case K_CHANCE: return chance(text, "", NULL, at.d);
	case K_BURST: return burst(c, text);
	case K_BLACKOUT: return blackout(c, text);
	case K_TIME: r = npp_conf_parse_time(text, &v); break;
	case K_RATE: r = strcmp(text, "0") == 0 ? 0 : npp_conf_parse_rate(text, &v); break;
	case K_SIZE: r = npp_conf_parse_size(text, &v); break;
	case K_U32: r = npp_conf_parse_u64(text, &v); break;
	}
	if (r < 0 || (k->max && v > k->max) || (v && v < k->least))
		return -EINVAL;
	if (k->type == K_U32)
		*at.u32 = (uint32_t)v;
	else
		*at.u64 = v;
	return 0;
}

static int unknown(const char *key, struct npp_err *e)
{
	const char *names[N_KEYS + 1] = { NULL }, *hint;

	for (size_t i = 0; i < N_KEYS; i++)
		names[i] = keys[i].name;
	hint = npp_conf_suggest(key, names);
	return npp_err_set(e, -EINVAL, "a wire has no '%.40s'%s%s%s", key, hint ? "; did you mean '" : "",
			   hint ? hint : "", hint ? "'?" : "");
}

int wire_conf_set(struct wire_conf c[WIRE_DIRS], const char *key, const char *value, struct npp_err *e)
{
	static const char *const form[] = {
		[K_TIME] = "a time (40ms, at most 60s)", [K_CHANCE] = "a chance (2%, 0.02)",
		[K_RATE] = "a rate (100mbit, 0)", [K_SIZE] = "a size (64K, at most 1G)",
		[K_BURST] = "ENTER/LEAVE or ENTER/LEAVE/LOSS (1%/25%)", [K_BLACKOUT] = "yes, no or a time",
	};
	unsigned first = WIRE_UP, last = WIRE_DOWN, d;
	size_t i;

	if (strncmp(key, "up.", 3) == 0) {
		last = WIRE_UP;
		key += 3;
	} else if (strncmp(key, "down.", 5) == 0) {
		first = WIRE_DOWN;
		key += 5;
	}
	for (i = 0; i < N_KEYS && strcmp(keys[i].name, key) != 0; i++)
		;
	if (i == N_KEYS)
		return unknown(key, e);
	for (d = first; d <= last; d++) {
		if (set_one(&c[d], &keys[i], value) == 0)
			continue;
		if (keys[i].type == K_U32)
			return npp_err_set(e, -EINVAL, "%s: '%.40s' is not 0 or a number from %" PRIu64 " to %" PRIu64, key, value,
					   keys[i].least ? keys[i].least : 1, keys[i].max);
		return npp_err_set(e, -EINVAL, "%s: '%.40s' is not %s", key, value, form[keys[i].type]);
	}
	return 0;
}

void wire_conf_json(const struct wire_conf *c, FILE *f)
{
	fprintf(f, "\"delay_us\": %" PRIu64 ", \"jitter_us\": %" PRIu64 ", \"loss\": %.9g, \"burst_enter\": %.9g, "
		"\"burst_leave\": %.9g, \"burst_loss\": %.9g, ", c->delay_us, c->jitter_us, c->loss, c->burst_enter,
		c->burst_leave, c->burst_loss);
	fprintf(f, "\"reorder\": %.9g, \"reorder_gap\": %u, \"duplicate\": %.9g, \"corrupt\": %.9g, \"ecn\": %.9g, ",
		c->reorder, c->reorder_gap, c->duplicate, c->corrupt, c->ecn);
	fprintf(f, "\"rate_bps\": %" PRIu64 ", \"queue_bytes\": %" PRIu64 ", \"ecn_queue\": %" PRIu64
		", \"mtu\": %u, \"blackout\": %s", c->rate_bps, c->queue_bytes, c->ecn_queue, c->mtu,
		c->blackout ? "true" : "false");
}

static void put_time(FILE *f, uint64_t us)
{
	if (us % 1000)
		fprintf(f, "%" PRIu64 "us", us);
	else
		fprintf(f, "%" PRIu64 "ms", us / 1000);
}

static void put_rate(FILE *f, uint64_t bps)
{
	static const char *const unit[] = { "", "k", "m", "g" };
	unsigned i = 0;

	for (; i < 3 && bps && bps % 1000 == 0; i++)
		bps /= 1000;
	fprintf(f, "%" PRIu64 "%sbit", bps, unit[i]);
}

static void put_size(FILE *f, uint64_t bytes)
{
	fprintf(f, bytes % 1024 ? "%" PRIu64 : "%" PRIu64 "K", bytes % 1024 ? bytes : bytes / 1024);
}

/* Is KEY in C as it is after wire_conf_init()? */
static bool is_off(const struct key *k, const struct wire_conf *c, const struct wire_conf *clean)
{
	static const size_t size[] = {
		[K_TIME] = 8, [K_RATE] = 8, [K_SIZE] = 8, [K_CHANCE] = sizeof(double), [K_U32] = 4
	};

	if (k->type == K_BURST)
		return c->burst_enter <= 0;
	if (k->type == K_BLACKOUT)
		return !c->blackout;
	return memcmp((const char *)c + k->off, (const char *)clean + k->off, size[k->type]) == 0;
}

static void put_value(FILE *f, const struct key *k, const struct wire_conf *c)
{
	union { const void *v; const uint64_t *u64; const uint32_t *u32; const double *d; } at = { .v = (const char *)c + k->off };

	switch (k->type) {
	case K_TIME: put_time(f, *at.u64); break;
	case K_CHANCE: fprintf(f, "%.9g%%", *at.d * 100); break;
	case K_RATE: put_rate(f, *at.u64); break;
	case K_SIZE: put_size(f, *at.u64); break;
	case K_U32: fprintf(f, "%u", *at.u32); break;
	case K_BURST:
		fprintf(f, "%.9g%%/%.9g%%/%.9g%%", c->burst_enter * 100, c->burst_leave * 100, c->burst_loss * 100);
		break;
	case K_BLACKOUT:
		if (c->blackout_us)
			put_time(f, c->blackout_us);
		else
			fputs("yes", f);
	}
}

void wire_conf_text(const struct wire_conf *c, FILE *f)
{
	struct wire_conf clean[WIRE_DIRS];
	const char *sep = "";

	wire_conf_init(clean);
	for (size_t i = 0; i < N_KEYS; i++) {
		if (is_off(&keys[i], c, clean))
			continue;
		fprintf(f, "%s%s=", sep, keys[i].name);
		put_value(f, &keys[i], c);
		sep = " ";
	}
	fputs(*sep ? "" : "clean", f);
}
