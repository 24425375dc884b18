/* SPDX-License-Identifier: GPL-2.0-or-later
 * generate.c - from a seed to a plan
 *
 * Each part of a plan is drawn from a generator of its own; a new draw goes to the end of
 * its function, so that old seeds stay as they are as far as possible.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"
#include "tests/sim/plan.h"
#include "tests/sim/rng.h"

enum weather { FAIR, RAIN, STORM, NARROW };

static void draw_npp(struct plan_npp *n, struct rng *r)
{
	static const uint32_t mtus[] = { 1500, 1500, 1500, 9000, 1400, 576, 1280 };

	n->iops = rng_one_in(r, 3) ? 1 : 1 + rng_below(r, rng_one_in(r, 4) ? 8 : 4);
	n->hash = rng_below(r, NPP_HASH_ALGORITHMS);
	n->mtu = mtus[rng_below(r, 7)];
	n->wake_us = rng_log(r, 1, rng_one_in(r, 4) ? 3000 : 60);
	n->budget = rng_one_in(r, 3) ? 1 + rng_below(r, 8) : 64;
	n->ipc_us = rng_log(r, 1, 200);
	n->rx_kb = rng_one_in(r, 6) ? 136 + rng_below(r, 200) : 4096;
	n->conns = rng_one_in(r, 12) ? 2 + rng_below(r, 6) : 64;
	n->backlog = rng_one_in(r, 4) ? 1 : 64;
	n->reass_kb = rng_one_in(r, 3) ? 140 : 512;
	n->lean = rng_one_in(r, 3);
	n->grow_ppm = rng_one_in(r, 6) ? rng_log(r, 1000, 300000) : 0;
}

static void draw_faults(struct plan_link *l, struct rng *r, uint32_t worst)
{
	if (rng_one_in(r, 2))
		l->loss_ppm = rng_log(r, 100, worst);
	if (rng_one_in(r, 3)) {
		l->burst_ppm = rng_log(r, 100, worst / 10);
		l->burst_len = rng_log(r, 2, 30);
	}
	if (rng_one_in(r, 3))
		l->dup_ppm = rng_log(r, 100, worst);
	if (rng_one_in(r, 3)) {
		l->late_ppm = rng_log(r, 100, worst);
		l->late_us = rng_log(r, 1000, rng_one_in(r, 4) ? 3000000 : 100000);
	}
	if (rng_one_in(r, 3))
		l->corrupt_ppm = rng_log(r, 100, worst / 2);
	if (rng_one_in(r, 2))
		l->overtake = 1;
}

static void draw_link(struct plan_link *l, struct rng *r, enum weather w, uint32_t delay)
{
	l->delay_us = delay;
	if (rng_one_in(r, 2))
		l->jitter_us = rng_log(r, 1, delay + 10);
	l->cut = rng_one_in(r, 2);
	if (w == RAIN)
		draw_faults(l, r, 20000);
	if (w == STORM)
		draw_faults(l, r, 120000);
	if (w == NARROW || (w != FAIR && rng_one_in(r, 4))) {
		l->rate_kbps = rng_log(r, 1000, 2000000);
		l->queue_kb = rng_log(r, l->cut ? 16 : 140, 1000);
		if (rng_one_in(r, 3))
			l->ecn_kb = 1 + l->queue_kb / 4;
	}
	if (w != FAIR && rng_one_in(r, 5))
		l->mtu = 552 + rng_below(r, 900);
}

static void draw_side(struct plan_side *s, struct rng *r, uint32_t most)
{
	static const uint32_t opts[] = { NPP_OPT_NODELAY, NPP_OPT_CORK, NPP_OPT_KEEPALIVE, NPP_OPT_QUICKACK };

	s->bytes = rng_one_in(r, 6) ? rng_below(r, 3) : rng_log(r, 1, rng_one_in(r, 3) ? most : most / 16 + 1);
	if (rng_one_in(r, 3))
		s->chunk = rng_log(r, 1, 65536);
	if (rng_one_in(r, 4))
		s->gap_us = rng_log(r, 10, rng_one_in(r, 8) ? 300000 : 3000);
	if (rng_one_in(r, 5)) {
		s->read = rng_log(r, 1024, 65536);
		s->read_gap_us = rng_log(r, 100, 20000);
	}
	if (rng_one_in(r, 8)) {
		s->stop_at = rng_below(r, most);
		s->stop_us = rng_log(r, 1000, 20000000);
	}
	if (rng_one_in(r, 2))
		s->end = END_HALF;
	else if (rng_one_in(r, 4))
		s->end = END_ABORT + rng_below(r, END_KINDS - END_ABORT);
	s->end_at = rng_below(r, most);
	for (unsigned i = 0; i < 4; i++)
		if (rng_one_in(r, 5))
			s->opts |= opts[i];
	if (rng_one_in(r, 5))
		s->rcvbuf = rng_log(r, 2048, 1 << 20);
	if (rng_one_in(r, 5))
		s->sndbuf = rng_log(r, 4096, 1 << 20);
	s->keep_s = 1 + rng_below(r, 10);
	if (rng_one_in(r, 20))
		s->timeout_ms = rng_log(r, 1000, 60000);
	s->cc = rng_below(r, NPP_CC_COUNT);
	if (rng_one_in(r, 5)) {
		s->chg_us = rng_log(r, 100, 1000000);
		s->chg_opts = rng_one_in(r, 2) ? opts[rng_below(r, 4)] : 0;
		s->chg_rcvbuf = rng_one_in(r, 2) ? rng_log(r, 2048, 1 << 20) : 0;
	}
}

static void draw_prog(struct plan_prog *g, struct rng *r, uint32_t most, uint32_t idx)
{
	g->on = 1;
	g->start_us = rng_one_in(r, 3) ? 0 : rng_log(r, 1, 2000000);
	g->from = rng_below(r, 2);
	g->to = rng_one_in(r, 10) ? g->from : g->from ^ 1;
	g->iop = rng_below(r, 8);
	g->port = rng_below(r, 4);
	g->bound = rng_one_in(r, 5) ? 1 + idx : 0;
	g->kind = rng_one_in(r, 6) ? PROG_UDP : PROG_TCP;
	draw_side(&g->side[0], r, most);
	draw_side(&g->side[1], r, most);
	if (g->kind == PROG_UDP) {
		g->side[0].chunk = rng_one_in(r, 3) ? rng_log(r, 1, 60000) : rng_log(r, 1, 3000);
		return;
	}
	if (rng_one_in(r, 4)) { /* turns */
		g->side[0].unit = rng_log(r, 1, 3000);
		g->side[1].unit = rng_log(r, 1, 20000);
		g->side[0].bytes = g->side[0].unit * (1 + rng_below(r, 12));
		g->side[0].gap_us = g->side[1].gap_us = 0;
	}
}

/* What came later to be drawn. */
static void draw_more(struct plan *p, struct rng *r)
{
	bool v6 = rng_one_in(r, 4), both = rng_one_in(r, 4);

	bool fast = rng_one_in(r, 5);

	if (rng_one_in(r, 20))
		for (unsigned i = PLAN_EVENTS / 2; i < PLAN_EVENTS; i++)
			p->event[i] = (struct plan_event){ .kind = PE_KILL, .at_us = rng_log(r, 10, 2000000), .npp = rng_below(r, 2),
							   .iop = rng_below(r, 8), .arg = rng_below(r, 1000) };
	for (unsigned i = 0; i < 2; i++)
		if (fast)
			p->npp[i].tfo = rng_log(r, 1, 32);
	for (unsigned i = 0; i < PLAN_PROGS; i++)
		if (fast && rng_one_in(r, 2))
			p->prog[i].side[0].opts |= NPP_OPT_FASTOPEN;
	for (unsigned i = 0; i < 2; i++)
		if (rng_one_in(r, 3))
			p->npp[i].ecn = rng_below(r, NPP_ECN_COUNT);
	for (unsigned i = 0; i < PLAN_PROGS; i++) {
		struct plan_prog *g = &p->prog[i];

		if (g->kind == PROG_TCP && rng_one_in(r, 16))
			g->kind = PROG_BOTH;
		g->v6 = both ? rng_below(r, 2) : v6;
		for (unsigned k = 0; k < 2; k++)
			if (rng_one_in(r, 10))
				g->side[k].pace = rng_log(r, 100000, 1 << 30);
	}
}

/* What came after that. */
static void draw_later(struct plan *p, struct rng *r)
{
	if (rng_one_in(r, 10)) {	/* one that says nothing of what it does not carry */
		unsigned which = rng_below(r, 3);

		for (unsigned i = 0; i < 2; i++)
			if (which != (i ^ 1)) {
				p->link[i].hole = 1;
				p->link[i].mtu = 600 + rng_below(r, 900);
			}
	}
	if (rng_one_in(r, 12))
		p->event[PLAN_EVENTS - 1] = (struct plan_event){ .kind = PE_CLAIM, .at_us = rng_log(r, 10, 2000000),
			.dur_us = rng_log(r, 1000, 20000000), .npp = rng_below(r, 2), .arg = 1 + rng_below(r, 199) };
}

static void draw_groups(struct plan *p, struct rng *r)
{
	bool v6 = rng_one_in(r, 2);

	for (unsigned i = PLAN_PROGS - 1 - rng_below(r, 3); i < PLAN_PROGS; i++) {
		struct plan_prog *g = &p->prog[i];

		*g = (struct plan_prog){ .on = 1, .kind = PROG_MCAST, .start_us = rng_log(r, 1, 3000000), .from = rng_below(r, 2),
					 .iop = rng_below(r, 8), .port = rng_one_in(r, 2) ? 0 : rng_below(r, 4),
					 .bound = rng_one_in(r, 4), .v6 = rng_one_in(r, 3) ? !v6 : v6 };
		g->to = rng_one_in(r, 4) ? g->from : g->from ^ 1;
		g->side[0].chunk = rng_one_in(r, 4) ? rng_log(r, 1, 9000) : rng_log(r, 1, 1400);
		g->side[0].bytes = g->side[0].chunk * (1 + rng_below(r, 200));
		g->side[0].gap_us = rng_log(r, 10, 30000);
	}
	for (unsigned i = 4; i < PLAN_EVENTS - 1; i++) {
		if (rng_one_in(r, 3))
			p->event[i] = (struct plan_event){ .kind = PE_GROUP, .at_us = rng_log(r, 10, 4000000),
				.dur_us = rng_log(r, 10, 5000000), .arg = rng_below(r, 4) };
		else if (rng_one_in(r, 2))
			p->event[i] = (struct plan_event){ .kind = PE_QUERY, .at_us = rng_log(r, 10, 8000000),
				.npp = rng_below(r, 2), .arg = rng_one_in(r, 2) ? 4 * rng_below(r, PLAN_PROGS) + 3 : rng_below(r, 4) };
	}
}

/* Connections over addresses that a router's advertisements make. */
static void draw_slaac(struct plan *p, struct rng *r)
{
	for (unsigned i = 0; i < PLAN_PROGS; i++)
		if (p->prog[i].on && rng_one_in(r, 2))
			p->prog[i].v6 = 2;
	p->npp[rng_below(r, 2)].slaac = 1;
	if (rng_one_in(r, 2))
		p->event[3] = (struct plan_event){ .kind = PE_RENUMBER, .at_us = rng_log(r, 10, 9000000) };
}

static void draw_event(struct plan_event *e, struct rng *r, enum weather w)
{
	static const uint32_t calm[] = { PE_RESTART, PE_STALL, PE_ROLE, PE_NET, PE_DELAY };

	e->kind = w == FAIR ? calm[rng_below(r, 5)] : 1 + rng_below(r, PE_KILL);
	e->at_us = rng_log(r, 10, rng_one_in(r, 3) ? 5000000 : 200000);
	e->dur_us = rng_log(r, 10, 200000);
	e->npp = rng_below(r, 2);
	e->iop = rng_below(r, 8);
	e->arg = rng_below(r, 1000);
	if (e->kind == PE_BLACKOUT) {
		e->dur_us = rng_log(r, 1000, rng_one_in(r, 3) ? 30000000 : 1000000);
		e->arg &= 1;
	} else if (e->kind == PE_MTU) {
		e->arg = 552 + rng_below(r, 1000);
	} else if (e->kind == PE_RATE) {
		e->arg = rng_log(r, 1000, 1000000);
	} else if (e->kind == PE_DELAY) {
		e->arg = rng_log(r, 10, 200000);
	}
}

void plan_generate(struct plan *p, uint64_t seed)
{
	struct rng r = rng_make(seed, 1);
	enum weather w = rng_below(&r, 10) < 3 ? FAIR : rng_one_in(&r, 3) ? NARROW : rng_one_in(&r, 3) ? STORM : RAIN;
	uint32_t delay = rng_log(&r, 5, rng_one_in(&r, 3) ? 200000 : 3000);
	uint32_t progs = 1 + rng_below(&r, rng_one_in(&r, 3) ? 12 : 4);
	uint32_t most = progs > 4 ? 60000 : rng_one_in(&r, 4) ? 3 << 20 : 400000;
	uint32_t events = rng_one_in(&r, 2) ? rng_below(&r, 5) : 0;

	memset(p, 0, sizeof *p);
	p->seed = seed;
	p->clock = rng_below(&r, 4);
	for (unsigned i = 0; i < 2; i++) {
		struct rng n = rng_make(seed, 100 + i), l = rng_make(seed, 200 + i);

		draw_npp(&p->npp[i], &n);
		draw_link(&p->link[i], &l, w, delay);
	}
	p->npp[1].mtu = p->npp[0].mtu;	/* one Ethernet */
	for (unsigned i = 0; i < progs; i++) {
		struct rng g = rng_make(seed, 300 + i);

		draw_prog(&p->prog[i], &g, most, i);
	}
	for (unsigned i = 0; i < events; i++) {
		struct rng e = rng_make(seed, 400 + i);

		draw_event(&p->event[i], &e, w);
	}
	r = rng_make(seed, 500);
	draw_more(p, &r);
	r = rng_make(seed, 600);
	for (unsigned i = 0; i < PLAN_PROGS && rng_one_in(&r, 4); i++)
		for (unsigned k = 0; k < 2; k++)
			if (rng_one_in(&r, 2))
				p->prog[i].side[k].urg = rng_log(&r, 1, 200000);
	r = rng_make(seed, 610);
	draw_later(p, &r);
	if (rng_one_in(&r, 8)) {
		r = rng_make(seed, 710);
		draw_groups(p, &r);
	}
	r = rng_make(seed, 810);
	if (rng_one_in(&r, 10))
		draw_slaac(p, &r);
	plan_fix(p);
}
