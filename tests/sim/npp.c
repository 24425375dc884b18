/* SPDX-License-Identifier: GPL-2.0-or-later
 * npp.c - an NPP: dispatcher, IOPs with their stacks, the rings between them
 *
 * A frame passes the real classification and then stands in the receive ring of its IOP,
 * whose doorbell rings. The IOP wakes up some time later and does a round as the net
 * kernel does it: frames, records of other IOPs, timers, flush. What a program asks for
 * is a round of its own.
 *
 * A restart leaves the arena and the rings as they are; the successor has a new
 * environment, and its predecessor's is poisoned. A kill ends the process inside a
 * callback, that is, in the middle of a round: by longjmp() out of the stack.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define IPC_RING_BYTES (256u << 10)

/* ---- start and end --------------------------------------------------------------------- */

static void *zeroed(size_t size)
{
	void *p = aligned_alloc(64, (size + 63) & ~(size_t)63);

	if (!p)
		abort();
	memset(p, 0, size);
	return p;
}

static void network(struct npp *n)
{
	struct npp_global *g = n->g;
	struct rng r = rng_make(n->w->plan.seed, 0x6e657400 + n->nr);

	g->n_iops = n->cfg.iops;
	g->n_ports = 1;
	memcpy(g->port[0].mac, (uint8_t[]){ 2, 0, 0, 0, 0, (uint8_t)(1 + n->nr) }, 6);
	g->port[0].mtu = (uint16_t)n->cfg.mtu;
	n->addr = npp_addr_v4(htonl(0x0a000001u + n->nr));
	n->addr6 = (union npp_addr){ .b = { 0xfd, [15] = (uint8_t)(1 + n->nr) } };
	g->tcp_ecn = n->cfg.ecn;
	g->addr[g->n_addrs++] = (struct npp_if_addr){ .addr = n->addr, .prefix_len = 96 + 24 };
	for (unsigned i = 0; i < PLAN_PROGS && g->n_addrs < 2; i++)
		if (n->w->plan.prog[i].on && n->w->plan.prog[i].v6)
			g->addr[g->n_addrs++] = (struct npp_if_addr){ .addr = n->addr6, .prefix_len = 64 };
	slaac_start(n);
	npp_hash_prog_default(&g->prog[0], n->cfg.iops);
	g->prog[0].algorithm = (uint8_t)n->cfg.hash;
	for (unsigned i = 0; n->cfg.hash && i < NPP_INDIR_SIZE; i++)
		g->prog[0].indir[i] = (uint8_t)rng_below(&r, n->cfg.iops);
	/* Every IOP owns something. */
	for (unsigned i = 0; i < n->cfg.iops; i++)
		g->prog[0].indir[i] = (uint8_t)i;
	atomic_store(&g->iop_up, (1u << n->cfg.iops) - 1);
	atomic_store(&g->net_seq, 2);
}

static struct stack_env *env_new(struct iop *p)
{
	struct stack_env *e = zeroed(sizeof *e);
	struct npp *n = p->npp;

	*e = (struct stack_env){ .ops = &sim_ops, .arg = p, .stats = p->stats, .global = n->g, .neigh = n->neigh };
	if (atomic_load(&n->g->link_iop) == p->nr)
		e->neigh_rw = n->neigh;
	return e;
}

void iop_listen(struct iop *p, unsigned i)
{
	/* 0 and 3 may be spoken to by IPv6, all but 3 by IPv4. */
	const union npp_addr addr[4] = { { .w = { 0 } }, p->npp->addr, npp_addr_v4(0), p->npp->addr6 };
	struct tcp_listener l = { .addr = addr[i], .port = (uint16_t)(SIM_PORT_BASE + i),
				  .backlog = p->npp->cfg.backlog, .user_sock = i };
	int err = 0;

	p->listener[i] = stack_listen(p->s, &l, &err);
	if (!p->listener[i])
		sim_fail(p->npp->w, "listen", "npp %u iop %u: %d", p->npp->nr, p->nr, err);
}

static void iop_start(struct npp *n, unsigned nr)
{
	struct iop *p = &n->iop[nr];
	struct rng r = rng_make(n->w->plan.seed, 0x6b657900 + n->nr * 16 + nr);
	struct stack_cfg cfg = { .iop = nr, .n_iops = n->cfg.iops, .max_conns = n->cfg.conns, .max_listeners = 8,
				 .max_udp = 4 * PLAN_PROGS, .reass_bytes = n->cfg.reass_kb << 10,
				 .hash_key = { rng_next(&r), rng_next(&r) }, .isn_key = { rng_next(&r), rng_next(&r) },
				 .tfo_key = { n->w->plan.seed, n->nr } };

	memset(p, 0, sizeof *p);
	p->npp = n;
	p->nr = nr;
	p->wake_at = SIM_NEVER;
	p->rng = rng_make(n->w->plan.seed, 0x726e6400 + n->nr * 16 + nr);
	p->wake_rng = rng_make(n->w->plan.seed, 0x77616b00 + n->nr * 16 + nr);
	frame_queue_init(&p->rx);
	frame_queue_init(&p->ipc);
	p->env = env_new(p);
	p->arena_size = stack_size(&cfg);
	p->arena = zeroed(p->arena_size);
	p->s = stack_init(p->arena, &cfg, p->env);
	stack_set_now(p->s, n->w->now_us);
	for (unsigned i = 0; i < 4; i++)
		iop_listen(p, i);
	udp_bind_all(p);
	mcast_bind_all(p);
	iop_ring(p);
}

void npp_start(struct world *w, unsigned nr)
{
	struct npp *n = &w->npp[nr];

	memset(n, 0, sizeof *n);
	n->w = w;
	n->nr = nr;
	n->cfg = w->plan.npp[nr];
	n->g = zeroed(sizeof *n->g);
	n->neigh = zeroed(sizeof *n->neigh);
	network(n);
	if (dispatch_ctx_init(&n->dispatch, n->g, 0) != 0)
		sim_fail(w, "dispatch", "npp %u", nr);
	for (unsigned i = 0; i < n->cfg.iops; i++)
		iop_start(n, i);
}

void npp_end(struct npp *n)
{
	for (unsigned i = 0; i < n->cfg.iops; i++) {
		frame_queue_clear(&n->iop[i].rx);
		frame_queue_clear(&n->iop[i].ipc);
		free(n->iop[i].arena);
		free(n->iop[i].env);
	}
	free(n->g);
	free(n->neigh);
}

/* ---- frames and records in ------------------------------------------------------------------- */

unsigned npp_owner(struct npp *n, uint8_t proto, const union npp_addr *laddr, uint16_t lport, const union npp_addr *peer, uint16_t rport)
{
	struct npp_flow_key k = { .src = *peer, .dst = *laddr, .proto = proto, .sport = htons(rport),
				  .dport = htons(lport) };

	return npp_hash_iop(&n->g->prog[0], &k);
}

/* As npp-dispatch/place.c does it. */
void npp_receive(struct npp *n, struct frame *f)
{
	struct dispatch_verdict v;
	struct iop *p;

	dispatch_ctx_refresh(&n->dispatch);
	if (!dispatch_classify(&n->dispatch, &f->rec.vnet, f->data, f->len, &v)) {
		n->drops[v.drop]++;
		trace_frame(n->w, "refused", n->nr, v.drop, f);
		free(f);
		return;
	}
	p = &n->iop[v.iop];
	if (p->rx.bytes + f->len > n->cfg.rx_kb << 10) {
		n->drops[NPP_DS_DROP_RING_FULL]++;
		trace_frame(n->w, "no room", n->nr, v.iop, f);
		free(f);
		return;
	}
	trace_frame(n->w, "in", n->nr, v.iop, f);
	pcap_write(n->w, n->nr, f);
	f->rec.len = f->len;
	f->rec.kind = NPP_REC_FRAME;
	f->rec.csum = v.csum;
	f->rec.l4_off = v.l4_off;
	f->rec.hash = v.hash;
	f->rec.rx_us = (uint32_t)n->w->now_us;
	frame_put(&p->rx, f);
	iop_ring(p);
}

void iop_ipc_arrived(struct iop *p, struct frame *f)
{
	if (p->ipc.bytes + f->len > IPC_RING_BYTES) {
		p->npp->ipc_drops++;
		free(f);
		return;
	}
	frame_put(&p->ipc, f);
	iop_ring(p);
}

/* ---- rounds -------------------------------------------------------------------------------------- */

static void wake(struct iop *p, uint64_t at)
{
	if (at <= p->npp->w->now_us)
		at = p->npp->w->now_us + 1;
	if (at < p->stall_until)
		at = p->stall_until;
	if (p->wake_at <= at)
		return;
	p->wake_at = at;
	world_at(p->npp->w, at, (struct event){ .kind = EV_WAKE, .npp = (uint8_t)p->npp->nr, .iop = (uint8_t)p->nr });
}

void iop_ring(struct iop *p)
{
	if (!p->down)
		wake(p, p->npp->w->now_us + 1 + rng_below(&p->wake_rng, p->npp->cfg.wake_us));
}

static void feed(struct iop *p, struct frame_queue *q, unsigned budget)
{
	struct frame *f;

	while (budget-- && (f = frame_get(q))) {
		stack_input(p->s, &f->rec, f->data, f->len);
		memset(f->data, 0xee, f->len); /* the stack holds nothing of it */
		free(f);
	}
}

static void died(struct iop *p)
{
	struct world *w = p->npp->w;

	p->inside = false;
	p->kill_in = 0;
	trace(w, "npp %u iop %u was killed\n", p->npp->nr, p->nr);
	iop_down(p);
	world_at(w, w->now_us + 1000 + rng_below(&p->wake_rng, 20000),
		 (struct event){ .kind = EV_PLAN_END, .idx = PLAN_EVENTS, .npp = (uint8_t)p->npp->nr, .iop = (uint8_t)p->nr });
}

static void after(struct iop *p)
{
	uint64_t next = stack_next_timer(p->s);

	if (p->rx.n || p->ipc.n)
		iop_ring(p);
	if (next != UINT64_MAX)
		wake(p, next);
}

bool iop_enter(struct iop *p)
{
	if (p->down || p->stall_until > p->npp->w->now_us)
		return false;
	stack_set_now(p->s, p->npp->w->now_us);
	return true;
}

void iop_leave(struct iop *p)
{
	p->inside = true;
	if (setjmp(p->kill) == 0) {
		stack_flush(p->s);
	} else {
		died(p);
		return;
	}
	p->inside = false;
	p->rounds++;
	check_round(p);
	after(p);
}

void iop_round(struct iop *p)
{
	if (!iop_enter(p)) {
		p->wake_at = SIM_NEVER;
		if (!p->down)
			wake(p, p->stall_until);
		return;
	}
	p->wake_at = SIM_NEVER;
	p->inside = true;
	if (setjmp(p->kill) == 0) {
		mcast_sync(p);
		feed(p, &p->rx, p->npp->cfg.budget);
		feed(p, &p->ipc, p->npp->cfg.budget);
		stack_run_timers(p->s, 256);
		p->timers_us = p->npp->w->now_us;
	} else {
		died(p);
		return;
	}
	iop_leave(p);
}

/* ---- ends and beginnings ---------------------------------------------------------------------------- */

void iop_may_die(struct iop *p)
{
	if (p->inside && p->kill_in && --p->kill_in == 0)
		longjmp(p->kill, 1);
}

void iop_down(struct iop *p)
{
	p->down = true;
	memset(p->env, 0xee, sizeof *p->env);
}

void iop_restart(struct iop *p)
{
	struct world *w = p->npp->w;
	int err;

	trace(w, "npp %u iop %u begins again\n", p->npp->nr, p->nr);
	free(p->env);
	p->env = env_new(p);
	p->down = false;
	p->attaches++;
	w->restarts++;
	err = stack_attach(p->s, p->env, w->now_us);
	if (err)
		sim_fail(w, "attach", "npp %u iop %u: %d", p->npp->nr, p->nr, err);
	apps_audit(p);
	check_derived(p);
	iop_ring(p);
}

void npp_move_role(struct npp *n, unsigned iop)
{
	unsigned old = atomic_load(&n->g->link_iop);

	if (old == iop || n->iop[iop].down || n->iop[old].down)
		return;
	n->iop[old].env->neigh_rw = NULL;
	stack_set_now(n->iop[old].s, n->w->now_us);
	stack_set_env(n->iop[old].s, n->iop[old].env);
	atomic_store(&n->g->link_iop, iop);
	n->iop[iop].env->neigh_rw = n->neigh;
	stack_set_now(n->iop[iop].s, n->w->now_us);
	stack_set_env(n->iop[iop].s, n->iop[iop].env);
	iop_ring(&n->iop[iop]);
	iop_ring(&n->iop[old]);
}
