/* SPDX-License-Identifier: GPL-2.0-or-later
 * udp.c - programs that send datagrams, whole ones and such as need fragments
 *
 * Every IOP has a replica of every endpoint, as after UDP_BIND in npp-ism. side[0].bytes are
 * sent in datagrams of side[0].chunk bytes, side[0].gap_us apart.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define UDP_MAX_DGRAMS 2000u

struct udp_head { uint32_t prog, nr, len; };

static uint32_t n_dgrams(const struct udp_app *u)
{
	uint32_t each = u->cfg.chunk ? u->cfg.chunk : 1000, n = u->cfg.bytes / each + 1;

	return n < UDP_MAX_DGRAMS ? n : UDP_MAX_DGRAMS;
}

void udp_bind_all(struct iop *p)
{
	struct world *w = p->npp->w;
	int err;

	for (unsigned i = 0; i < PLAN_PROGS; i++) {
		const struct plan_prog *g = &w->plan.prog[i];
		struct udp_endpoint in = { .lport = (uint16_t)(SIM_UDP_BASE + i) };
		struct udp_endpoint out = { .lport = (uint16_t)(SIM_UDP_BASE + PLAN_PROGS + i) };

		if (!g->on || g->kind != PROG_UDP)
			continue;
		if (g->bound && g->to == p->npp->nr)
			in.laddr = *prog_addr(w, i, p->npp);
		if (g->to == p->npp->nr && !stack_udp_bind(p->s, &in, &err))
			sim_fail(w, "udp-bind", "program %u: %d", i, err);
		if (g->from == p->npp->nr && !stack_udp_bind(p->s, &out, &err))
			sim_fail(w, "udp-bind", "program %u: %d", i, err);
	}
}

void udps_start(struct world *w)
{
	for (unsigned i = 0; i < PLAN_PROGS; i++) {
		const struct plan_prog *g = &w->plan.prog[i];
		struct udp_app *u = &w->udp[i];

		if (!g->on || g->kind != PROG_UDP)
			continue;
		*u = (struct udp_app){ .on = 1, .cfg = g->side[0], .from = &w->npp[g->from], .to = &w->npp[g->to] };
		u->seen = calloc(1, UDP_MAX_DGRAMS);
		world_at(w, w->now_us + g->start_us, (struct event){ .kind = EV_UDP, .idx = i });
	}
}

static struct udp_endpoint *endpoint(struct stack *s, uint16_t lport)
{
	for (uint32_t i = 0; i < 4 * PLAN_PROGS; i++) {
		struct udp_endpoint *e = stack_udp(s, i);

		if (e && e->lport == lport)
			return e;
	}
	return NULL;
}

static void send_one(struct world *w, uint32_t prog, struct iop *p)
{
	struct udp_app *u = &w->udp[prog];
	uint32_t len = u->cfg.chunk ? u->cfg.chunk : 1000, cut;
	struct udp_head h = { prog, u->sent, 0 };
	struct npp_dgram d = { .port = (uint16_t)(SIM_UDP_BASE + prog), .addr = *prog_addr(w, prog, u->to) };
	struct udp_endpoint *ep = endpoint(p->s, (uint16_t)(SIM_UDP_BASE + PLAN_PROGS + prog));
	static uint8_t buf[65536];
	struct stack_slice sl[2];
	int err;

	len = len < sizeof h ? sizeof h : len > 60000 ? 60000 : len;
	/* Sizes vary a little, odd ones and multiples of eight among them. */
	len += len > 100 ? u->sent % 17 : 0;
	h.len = d.len = len;
	memcpy(buf, &h, sizeof h);
	pattern_fill(prog * 977 + u->sent, 0, buf + sizeof h, len - (uint32_t)sizeof h);
	cut = len / 3;
	sl[0] = (struct stack_slice){ buf, cut };
	sl[1] = (struct stack_slice){ buf + cut, len - cut };
	u->sent++;
	if (!ep)
		sim_fail(w, "udp-endpoint", "program %u has lost its endpoint", prog);
	err = stack_udp_send(p->s, ep, &d, sl, 2);
	if (err && err != -ENOBUFS && err != -EHOSTUNREACH)
		sim_fail(w, "udp-send", "program %u: %d", prog, err);
	u->refused += err != 0;
}

void udp_run(struct world *w, uint32_t prog)
{
	struct udp_app *u = &w->udp[prog];
	struct iop *p = &u->from->iop[w->plan.prog[prog].iop % u->from->cfg.iops];
	uint64_t gap = u->cfg.gap_us ? u->cfg.gap_us : 50;

	if (u->sent >= n_dgrams(u))
		return;
	if (iop_enter(p)) {
		for (unsigned i = 0; i < 4 && u->sent < n_dgrams(u); i++)
			send_one(w, prog, p);
		iop_leave(p);
	} else {
		gap = 1000;
	}
	world_at(w, w->now_us + gap, (struct event){ .kind = EV_UDP, .idx = prog });
}

/* Datagrams that U may send until its neighbour has answered. */
static uint64_t asking(const struct world *w, const struct udp_app *u)
{
	uint64_t us = 2000;

	for (unsigned i = 0; i < 2; i++)
		us += w->plan.link[i].delay_us + w->plan.link[i].jitter_us + 4ull * w->plan.npp[i].wake_us +
		      2ull * w->plan.npp[i].ipc_us;
	return 4 * us / (u->cfg.gap_us ? u->cfg.gap_us : 50);
}

void udps_verdict(struct world *w)
{
	for (unsigned i = 0; i < PLAN_PROGS; i++) {
		struct udp_app *u = &w->udp[i];

		if (!u->on)
			continue;
		trace(w, "program %u: %u datagrams sent, %u refused, %u received, %u twice\n", i, u->sent, u->refused,
		      u->got, u->dups);
		if (u->dups && !w->plan.link[u->from->nr].dup_ppm)
			sim_fail(w, "udp-twice", "program %u: %u datagrams came twice", i, u->dups);
		/* Where nothing is lost, datagrams that fit into the queues come, except those that were sent
		 * while the neighbour was looked for, or found no memory for reassembly. */
		if (w->clean && u->cfg.chunk <= 8000 && u->got + 128 + asking(w, u) < u->sent)
			sim_fail(w, "udp-lost", "program %u: %u of %u datagrams came", i, u->got, u->sent);
	}
}

void udps_end(struct world *w)
{
	for (unsigned i = 0; i < PLAN_PROGS; i++)
		free(w->udp[i].seen);
}
