/* SPDX-License-Identifier: GPL-2.0-or-later
 * plan.c - the fields of a plan, and what goes through their table
 */
#include "config.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "npp-ism/stack/tcp.h"
#include "tests/sim/plan.h"

/* ---- the table ------------------------------------------------------------------------- */

struct field { const char *name; uint32_t off, neutral; };
#define F(type, name, neutral) { #name, offsetof(struct type, name), neutral }

static const struct field npp_fields[] = {
	F(plan_npp, iops, 1), F(plan_npp, hash, 0), F(plan_npp, mtu, 1500), F(plan_npp, wake_us, 10),
	F(plan_npp, budget, 64), F(plan_npp, ipc_us, 10), F(plan_npp, rx_kb, 4096), F(plan_npp, conns, 64),
	F(plan_npp, backlog, 64), F(plan_npp, reass_kb, 512), F(plan_npp, lean, 0), F(plan_npp, grow_ppm, 0),
	F(plan_npp, ecn, 0), F(plan_npp, tfo, 0), F(plan_npp, slaac, 0),
};
static const struct field link_fields[] = {
	F(plan_link, delay_us, 1000), F(plan_link, jitter_us, 0), F(plan_link, overtake, 0),
	F(plan_link, loss_ppm, 0), F(plan_link, burst_ppm, 0), F(plan_link, burst_len, 0),
	F(plan_link, dup_ppm, 0), F(plan_link, late_ppm, 0), F(plan_link, late_us, 0),
	F(plan_link, corrupt_ppm, 0), F(plan_link, rate_kbps, 0), F(plan_link, queue_kb, 0),
	F(plan_link, ecn_kb, 0), F(plan_link, mtu, 0), F(plan_link, cut, 0),
	F(plan_link, hole, 0),
};
static const struct field side_fields[] = {
	F(plan_side, bytes, 0), F(plan_side, unit, 0), F(plan_side, chunk, 0), F(plan_side, gap_us, 0),
	F(plan_side, read, 0), F(plan_side, read_gap_us, 0), F(plan_side, stop_at, 0), F(plan_side, stop_us, 0),
	F(plan_side, end, 0), F(plan_side, end_at, 0), F(plan_side, opts, 0), F(plan_side, rcvbuf, 0),
	F(plan_side, sndbuf, 0), F(plan_side, keep_s, 0), F(plan_side, timeout_ms, 0), F(plan_side, cc, 0),
	F(plan_side, chg_us, 0), F(plan_side, chg_opts, 0), F(plan_side, chg_rcvbuf, 0),
	F(plan_side, pace, 0), F(plan_side, urg, 0),
};
static const struct field prog_fields[] = {
	F(plan_prog, on, 0), F(plan_prog, kind, 0), F(plan_prog, start_us, 0), F(plan_prog, from, 0),
	F(plan_prog, to, 1), F(plan_prog, iop, 0), F(plan_prog, port, 0), F(plan_prog, bound, 0),
	F(plan_prog, v6, 0),
};
static const struct field event_fields[] = {
	F(plan_event, kind, 0), F(plan_event, at_us, 0), F(plan_event, dur_us, 0), F(plan_event, npp, 0),
	F(plan_event, iop, 0), F(plan_event, arg, 0),
};
static const struct field world_fields[] = { F(plan, clock, 0), F(plan, steps, 0) };

struct section { const char *name; const struct field *fields; uint32_t n_fields, off, each, count, sub; };
#define COUNT(a) ((uint32_t)(sizeof(a) / sizeof((a)[0])))
/* sub: sides stand in pairs inside programs. */
static const struct section sections[] = {
	{ "world", world_fields, COUNT(world_fields), 0, 0, 1, 0 },
	{ "npp", npp_fields, COUNT(npp_fields), offsetof(struct plan, npp), sizeof(struct plan_npp), 2, 0 },
	{ "link", link_fields, COUNT(link_fields), offsetof(struct plan, link), sizeof(struct plan_link), 2, 0 },
	{ "prog", prog_fields, COUNT(prog_fields), offsetof(struct plan, prog), sizeof(struct plan_prog), PLAN_PROGS, 0 },
	{ "side", side_fields, COUNT(side_fields), offsetof(struct plan, prog), sizeof(struct plan_prog),
	  2 * PLAN_PROGS, offsetof(struct plan_prog, side) },
	{ "event", event_fields, COUNT(event_fields), offsetof(struct plan, event), sizeof(struct plan_event),
	  PLAN_EVENTS, 0 },
};

/* The I-th record of section SEC. */
static uint8_t *record(struct plan *p, const struct section *sec, uint32_t i)
{
	uint8_t *base = (uint8_t *)p + sec->off;

	if (sec->sub)
		return base + i / 2 * sec->each + sec->sub + i % 2 * sizeof(struct plan_side);
	return base + i * sec->each;
}

/* Is the record in use? */
static bool in_use(const struct plan *p, const struct section *sec, uint32_t i)
{
	if (sec->off == offsetof(struct plan, prog))
		return p->prog[sec->sub ? i / 2 : i].on;
	if (sec->off == offsetof(struct plan, event))
		return p->event[i].kind != PE_NONE;
	return true;
}

unsigned plan_numbers(struct plan *p, struct plan_number *out)
{
	unsigned n = 0;

	for (uint32_t s = COUNT(sections); s-- > 0;)
		for (uint32_t i = 0; i < sections[s].count; i++) {
			uint8_t *rec = record(p, &sections[s], i);

			for (uint32_t f = 0; in_use(p, &sections[s], i) && f < sections[s].n_fields; f++) {
				const struct field *fl = &sections[s].fields[f];

				if (n < PLAN_NUMBERS_MAX)
					out[n++] = (struct plan_number){ (uint32_t *)(void *)(rec + fl->off), fl->neutral };
			}
		}
	return n;
}

/* ---- as text --------------------------------------------------------------------------------- */

void plan_print(const struct plan *plan, FILE *out)
{
	struct plan copy = *plan;

	fprintf(out, "seed %llu\n", (unsigned long long)copy.seed);
	for (uint32_t s = 0; s < COUNT(sections); s++)
		for (uint32_t i = 0; i < sections[s].count; i++) {
			const uint8_t *rec = record(&copy, &sections[s], i);

			if (!in_use(&copy, &sections[s], i))
				continue;
			if (sections[s].sub)
				fprintf(out, "%s %u.%u", sections[s].name, i / 2, i % 2);
			else
				fprintf(out, "%s %u", sections[s].name, i);
			for (uint32_t f = 0; f < sections[s].n_fields; f++) {
				const struct field *fl = &sections[s].fields[f];
				uint32_t v = *(const uint32_t *)(const void *)(rec + fl->off);

				if (v)
					fprintf(out, " %s=%u", fl->name, v);
			}
			fprintf(out, "\n");
		}
}

static int read_pair(const struct section *sec, uint8_t *rec, char *word)
{
	char *eq = strchr(word, '=');

	if (!eq)
		return -1;
	*eq = 0;
	for (uint32_t f = 0; f < sec->n_fields; f++)
		if (strcmp(sec->fields[f].name, word) == 0) {
			*(uint32_t *)(void *)(rec + sec->fields[f].off) = (uint32_t)strtoul(eq + 1, NULL, 0);
			return 0;
		}
	return -1;
}

static int read_line(struct plan *p, char *line)
{
	char *save = NULL, *name = strtok_r(line, " \t\n", &save), *word;

	if (!name || *name == '#')
		return 0;
	word = strtok_r(NULL, " \t\n", &save);
	if (!word)
		return -1;
	if (strcmp(name, "seed") == 0) {
		p->seed = strtoull(word, NULL, 0);
		return 0;
	}
	for (uint32_t s = 0; s < COUNT(sections); s++) {
		char *dot;
		uint32_t i;

		if (strcmp(sections[s].name, name) != 0)
			continue;
		i = (uint32_t)strtoul(word, &dot, 0);
		if (sections[s].sub)
			i = 2 * i + (*dot == '.' && dot[1] == '1');
		if (i >= sections[s].count)
			return -1;
		while ((word = strtok_r(NULL, " \t\n", &save)))
			if (read_pair(&sections[s], record(p, &sections[s], i), word) != 0)
				return -1;
		return 0;
	}
	return -1;
}

int plan_read(struct plan *p, const char *path)
{
	FILE *in = fopen(path, "r");
	char line[4096];
	unsigned n = 0;
	int bad = 0;

	memset(p, 0, sizeof *p);
	if (!in) {
		perror(path);
		return -1;
	}
	while (!bad && fgets(line, sizeof line, in)) {
		n++;
		bad = read_line(p, line);
	}
	fclose(in);
	if (bad)
		fprintf(stderr, "%s:%u: not a line of a plan\n", path, n);
	plan_fix(p);
	return bad;
}

/* ---- sense ---------------------------------------------------------------------------------------- */

static void at_least(uint32_t *v, uint32_t min)
{
	if (*v < min)
		*v = min;
}

static void at_most(uint32_t *v, uint32_t max)
{
	if (*v > max)
		*v = max;
}

static void fix_link(struct plan_link *l)
{
	at_most(&l->delay_us, 2000000);
	at_most(&l->jitter_us, 2000000);
	at_most(&l->loss_ppm, 300000);
	at_most(&l->burst_ppm, 50000);
	at_most(&l->burst_len, 64);
	at_most(&l->dup_ppm, 500000);
	at_most(&l->late_us, 5000000);
	at_most(&l->corrupt_ppm, 300000);
	if (l->rate_kbps) {
		at_least(&l->rate_kbps, 200);
		at_least(&l->queue_kb, l->cut ? 8 : 136);
	}
	if (l->mtu)
		at_least(&l->mtu, l->hole ? 576 : 552);	/* TCP_MTU_BASE4 */
}

static void fix_side(struct plan_side *s)
{
	at_most(&s->bytes, 64u << 20);
	if (s->end >= END_KINDS)
		s->end = END_CLOSE;
	if (s->unit)
		s->bytes = (s->bytes + s->unit - 1) / s->unit * s->unit;
	/* A writer or reader of very little would take for ever. */
	if (s->gap_us)
		at_least(&s->chunk, s->bytes / 500 + 1);
	if (s->read_gap_us)
		at_least(&s->read, 1 << 10);
	if (s->rcvbuf)
		at_least(&s->rcvbuf, 1024);
	if (s->cc >= NPP_CC_COUNT)
		s->cc = 0;
	if (s->urg)
		at_least(&s->urg, s->bytes / 500 + 1);
	if (s->pace)
		at_least(&s->pace, 20000 + s->bytes / 60);
}

void plan_fix(struct plan *p)
{
	for (unsigned i = 0; i < 2; i++) {
		struct plan_npp *n = &p->npp[i];

		at_least(&n->iops, 1);
		at_most(&n->iops, 8);
		if (n->hash >= NPP_HASH_ALGORITHMS)
			n->hash = 0;
		if (n->ecn >= NPP_ECN_COUNT)
			n->ecn = 0;
		at_least(&n->mtu, 576);
		at_most(&n->mtu, 9000);
		at_least(&n->wake_us, 1);
		at_least(&n->budget, 1);
		at_least(&n->rx_kb, 128);
		at_least(&n->conns, 1);
		at_most(&n->conns, 4096);
		at_least(&n->backlog, 1);
		at_least(&n->reass_kb, 70);
		fix_link(&p->link[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		if (p->npp[i].slaac)
			at_least(&p->npp[i].mtu, 1280);
	for (unsigned i = 0; i < PLAN_PROGS; i++) {
		struct plan_prog *g = &p->prog[i];

		g->from &= 1;
		g->to &= 1;
		if (g->kind >= PROG_KINDS)
			g->kind = PROG_TCP;
		if (g->v6 > 1)	/* who sends datagrams chooses no source address */
			g->v6 = g->kind == PROG_TCP || g->kind == PROG_BOTH ? 2 : 1;
		if (g->on && g->v6 == 2) {
			p->npp[0].slaac = p->npp[1].slaac = 1;
			g->port = 0;
			at_least(&g->start_us, 1500000);
		}
		if (g->kind == PROG_MCAST)
			g->port &= 3;
		else
			g->port = g->v6 ? (g->port & 1) * 3 : g->port % 3;
		if (g->on && g->v6) {
			at_least(&p->npp[0].mtu, 1280);
			at_least(&p->npp[1].mtu, 1280);
		}
		fix_side(&g->side[0]);
		fix_side(&g->side[1]);
		if (g->side[0].opts & NPP_OPT_FASTOPEN) /* what is written before the handshake is not marked */
			g->side[0].urg = 0;
		/* Turns: as many answers as requests. */
		if (g->side[0].unit && g->side[1].unit)
			g->side[1].bytes = g->side[0].bytes / g->side[0].unit * g->side[1].unit;
		at_most(&g->side[1].bytes, 64u << 20);
	}
	for (unsigned i = 0; i < PLAN_EVENTS; i++) {
		p->event[i].npp &= 1;
		if (p->event[i].kind >= PE_KINDS)
			p->event[i].kind = PE_NONE;
		at_most(&p->event[i].dur_us, 60000000);
	}
}

bool plan_is_clean(const struct plan *p)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct plan_link *l = &p->link[i];

		if (l->loss_ppm || l->burst_ppm || l->dup_ppm || l->late_ppm || l->corrupt_ppm || l->rate_kbps ||
		    l->mtu || (l->jitter_us && l->overtake))
			return false;
		if (p->npp[i].rx_kb < 1024 || p->npp[i].conns < 64 || p->npp[i].grow_ppm)
			return false;
	}
	for (unsigned i = 0; i < PLAN_EVENTS; i++)
		if (p->event[i].kind != PE_NONE)
			return false;
	return true;
}
