/* SPDX-License-Identifier: GPL-2.0-or-later
 * world.c - virtual time: the queue of events, and a run from beginning to end
 *
 * A run is over when nothing is queued any more: no frame on its way, no timer armed in any
 * stack. Programs that then still wait are either a failure or, where a peer may go
 * without a word, ended by us; then the world runs on until it is still again. At the end
 * no stack may hold anything.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define LIMIT_S 14400ull	/* of virtual time: by then every timer has given up */
#define STEPS_MAX 3000000ull
#define DERIVED_EVERY 4096	/* events */

/* ---- events --------------------------------------------------------------------------- */

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void world_at(struct world *w, uint64_t at, struct event e)
{
	uint32_t i = w->n_heap++;

	e.at = at < w->now_us ? w->now_us : at;
	e.order = w->order++;
	if (i == w->cap_heap) {
		w->cap_heap = w->cap_heap ? 2 * w->cap_heap : 1024;
		w->heap = realloc(w->heap, w->cap_heap * sizeof *w->heap);
		if (!w->heap)
			abort();
	}
	for (; i && before(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = e;
}

static struct event pop(struct world *w)
{
	struct event first = w->heap[0], last = w->heap[--w->n_heap];
	uint32_t i = 0, c;

	for (; (c = 2 * i + 1) < w->n_heap; i = c) {
		if (c + 1 < w->n_heap && before(&w->heap[c + 1], &w->heap[c]))
			c++;
		if (!before(&w->heap[c], &last))
			break;
		w->heap[i] = w->heap[c];
	}
	w->heap[i] = last;
	return first;
}

/* ---- what the plan does to the world ------------------------------------------------------ */

static void flood(struct world *w, const struct plan_event *e, uint32_t idx)
{
	struct rng r = rng_make(w->plan.seed, 0x666c6f6f00 + w->step);
	uint32_t n = e->arg > 2000 ? 2000 : e->arg;

	if (w->flood_left == 0)
		w->flood_left = n + 1;
	if (--w->flood_left == 0)
		return;
	npp_receive(&w->npp[e->npp], frame_syn(&w->npp[e->npp], w->flood_left, (uint16_t)(SIM_PORT_BASE + rng_below(&r, 4)), &r));
	if (w->flood_left > 1)
		world_at(w, w->now_us + e->dur_us / (n + 1) + 1, (struct event){ .kind = EV_PLAN, .idx = idx });
	else
		w->flood_left = 0;
}

/* One claim after the other: of our address, and of the peer's, in both families where they are spoken. */
static void claim(struct world *w, const struct plan_event *e, uint32_t idx)
{
	const struct npp *n = &w->npp[e->npp], *peer = &w->npp[e->npp ^ 1];
	const union npp_addr *const addr[4] = { &n->addr, &peer->addr, &n->addr6, &peer->addr6 };
	uint32_t times = e->arg % 200, which;

	if (w->claims_left == 0)
		w->claims_left = times + 1;
	if (--w->claims_left == 0)
		return;
	which = w->claims_left % (n->g->n_addrs > 1 ? 4 : 2);
	npp_receive(&w->npp[e->npp], frame_claim(addr[which]));
	if (w->claims_left > 1)
		world_at(w, w->now_us + e->dur_us / (times + 1) + 1, (struct event){ .kind = EV_PLAN, .idx = idx });
	else
		w->claims_left = 0;
}

/* A querier asks, in both families. */
static void query(struct world *w, const struct plan_event *e)
{
	static const unsigned version[4] = { 3, 2, 1, 3 };
	union npp_addr g4 = npp_addr_v4(0), g6 = { .q = { 0, 0 } };

	if (e->arg % 4 == 3) {
		g4 = npp_addr_v4(htonl(0xef510000u + e->arg / 4 % PLAN_PROGS));
		g6 = (union npp_addr){ .b = { 0xff, 0x15, [14] = 0x51, [15] = (uint8_t)(e->arg / 4 % PLAN_PROGS) } };
	}
	npp_receive(&w->npp[e->npp], frame_query(&g4, version[e->arg % 4]));
	npp_receive(&w->npp[e->npp], frame_query(&g6, version[e->arg % 4]));
}

static void unlisten(struct npp *n, uint32_t which)
{
	for (unsigned i = 0; i < n->cfg.iops; i++) {
		struct iop *p = &n->iop[i];

		if (p->listener[which & 3] && iop_enter(p)) {
			stack_unlisten(p->s, p->listener[which & 3]);
			p->listener[which & 3] = NULL;
			iop_leave(p);
		}
	}
}

static void relisten(struct npp *n, uint32_t which)
{
	which &= 3;
	for (unsigned i = 0; i < n->cfg.iops; i++) {
		struct iop *p = &n->iop[i];

		if (!p->listener[which] && iop_enter(p)) {
			iop_listen(p, which);
			iop_leave(p);
		}
	}
}

static void plan_begin(struct world *w, uint32_t idx)
{
	const struct plan_event *e = &w->plan.event[idx];
	struct npp *n = &w->npp[e->npp];
	struct iop *p = &n->iop[e->iop % n->cfg.iops];

	trace(w, "event %u: kind %u npp %u iop %u dur %u arg %u\n", idx, e->kind, e->npp, p->nr, e->dur_us, e->arg);
	switch (e->kind) {
	case PE_RESTART:
		if (p->down)
			return;
		iop_down(p);
		break;
	case PE_KILL:
		if (!p->down)
			p->kill_in = 1 + e->arg % 64;
		return;
	case PE_STALL:
		p->stall_until = w->now_us + e->dur_us;
		break;
	case PE_BLACKOUT:
		w->link[e->npp].dark_until = w->now_us + e->dur_us;
		if (e->arg)
			w->link[e->npp ^ 1].dark_until = w->now_us + e->dur_us;
		return;
	case PE_MTU:
		w->link[e->npp].cfg.mtu = e->arg < 552 ? 552 : e->arg;
		if (w->link[e->npp].cfg.hole && e->arg < 576)
			w->link[e->npp].cfg.mtu = 576;
		return;
	case PE_RATE:
		w->link[e->npp].cfg.rate_kbps = e->arg < 200 ? 200 : e->arg;
		if (w->link[e->npp].cfg.queue_kb < 136)
			w->link[e->npp].cfg.queue_kb = 136;
		return;
	case PE_DELAY:
		w->link[e->npp].cfg.delay_us = e->arg % 1000000;
		return;
	case PE_ROLE:
		npp_move_role(n, p->nr);
		return;
	case PE_FLOOD:
		flood(w, e, idx);
		return;
	case PE_CLAIM:
		claim(w, e, idx);
		return;
	case PE_RENUMBER:
		slaac_renumber(w);
		return;
	case PE_GROUP:
		mcast_toggle(w, e->arg, false);
		break;
	case PE_QUERY:
		query(w, e);
		return;
	case PE_UNLISTEN:
		unlisten(n, e->arg);
		break;
	case PE_NET:
		atomic_fetch_add(&n->g->net_seq, 2);
		return;
	default:
		return;
	}
	world_at(w, w->now_us + 1 + e->dur_us,
		 (struct event){ .kind = EV_PLAN_END, .idx = idx, .npp = (uint8_t)e->npp, .iop = (uint8_t)p->nr });
}

static void plan_over(struct world *w, const struct event *ev)
{
	struct iop *p = &w->npp[ev->npp].iop[ev->iop];
	uint32_t kind = ev->idx < PLAN_EVENTS ? w->plan.event[ev->idx].kind : PE_RESTART;

	if (kind == PE_RESTART && p->down)
		iop_restart(p);
	else if (kind == PE_STALL)
		iop_ring(p);
	else if (kind == PE_GROUP)
		mcast_toggle(p->npp->w, w->plan.event[ev->idx].arg, true);
	else if (kind == PE_UNLISTEN)
		relisten(p->npp, w->plan.event[ev->idx].arg);
}

/* ---- a run ------------------------------------------------------------------------------------ */

static void one(struct world *w, const struct event *e)
{
	struct iop *p = &w->npp[e->npp].iop[e->iop];

	switch (e->kind) {
	case EV_FRAME:
		npp_receive(&w->npp[e->npp], e->f);
		break;
	case EV_IPC:
		iop_ipc_arrived(p, e->f);
		break;
	case EV_WAKE:
		if (p->wake_at == e->at)
			iop_round(p);
		break;
	case EV_APP:
		if (w->app[e->idx].queued && w->app[e->idx].run_at == e->at)
			app_run(&w->app[e->idx]);
		break;
	case EV_UDP:
		udp_run(w, e->idx);
		break;
	case EV_MCAST:
		mcast_run(w, e->idx);
		break;
	case EV_RA:
		slaac_said(&w->npp[e->npp]);
		break;
	case EV_PLAN:
		plan_begin(w, e->idx);
		break;
	default:
		plan_over(w, e);
	}
}

static void derived_everywhere(struct world *w)
{
	for (unsigned n = 0; n < SIM_NPPS; n++)
		for (unsigned i = 0; i < w->npp[n].cfg.iops; i++)
			if (!w->npp[n].iop[i].down)
				check_derived(&w->npp[n].iop[i]);
}

/* Until nothing is queued. False: the steps are over. */
static bool run_until_still(struct world *w)
{
	while (w->n_heap) {
		struct event e;

		if (w->plan.steps && w->step >= w->plan.steps)
			return false;
		e = pop(w);
		w->now_us = e.at;
		w->step++;
		w->report->step = w->step;
		if (w->step > STEPS_MAX)
			sim_fail(w, "too-many-steps", "%llu", (unsigned long long)w->step);
		if (w->now_us > w->limit_us)
			sim_fail(w, "never-still", "after %llu s", LIMIT_S);
		one(w, &e);
		if (w->step % DERIVED_EVERY == 0)
			derived_everywhere(w);
	}
	return true;
}

static void begin(struct world *w, const struct plan *p)
{
	static const uint64_t clocks[4] = { 3600000000ull, (1ull << 32) - 3000000, ((1ull << 32) - 3000) * 1000, 5000000 };

	w->plan = *p;
	w->now_us = w->start_us = clocks[p->clock & 3];
	w->limit_us = w->start_us + LIMIT_S * 1000000;
	w->clean = plan_is_clean(p);
	for (unsigned i = 0; i < SIM_NPPS; i++)
		npp_start(w, i);
	for (unsigned i = 0; i < SIM_NPPS; i++)
		link_start(w, i);
	apps_start(w);
	udps_start(w);
	mcasts_start(w);
	for (unsigned i = 0; i < PLAN_EVENTS; i++)
		if (p->event[i].kind != PE_NONE)
			world_at(w, w->now_us + p->event[i].at_us, (struct event){ .kind = EV_PLAN, .idx = i });
}

static void end(struct world *w)
{
	struct report *r = w->report;

	r->frames = w->frames;
	r->bytes = w->bytes;
	r->restarts = w->restarts;
	apps_end(w);
	udps_end(w);
	mcasts_end(w);
	for (unsigned i = 0; i < SIM_NPPS; i++)
		npp_end(&w->npp[i]);
	for (; w->n_heap; w->n_heap--)
		free(w->heap[w->n_heap - 1].f);
	free(w->heap);
	pcap_close(w);
	free(w);
}

void world_run(const struct plan *p, struct report *r, FILE *tr, const char *pcap)
{
	struct world *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	w->report = r;
	w->trace = tr;
	if (pcap && pcap_open(w, pcap) != 0)
		perror(pcap);
	begin(w, p);
	if (run_until_still(w)) {
		while (!apps_over(w))
			if (!run_until_still(w))
				break;
		derived_everywhere(w);
		apps_verdict(w);
		udps_verdict(w);
		mcasts_verdict(w);
		slaac_verdict(w);
		for (unsigned n = 0; n < SIM_NPPS; n++)
			for (unsigned i = 0; i < w->npp[n].cfg.iops; i++)
				check_gone(&w->npp[n].iop[i]);
	}
	end(w);
}
