/* SPDX-License-Identifier: GPL-2.0-or-later
 * life.c - the socket ISM as a whole: its region made or taken over, batches, housekeeping
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "net/hash.h"
#include "npp-ism/socket/ism.h"
#include "npp-ism/socket/layout_priv.h"

#define FLUSH_TURNS 2	/* what is left keeps the net kernel awake for another round */

/* ---- what the stack asks of us ------------------------------------------------------- */

/* A generator keyed by nppd: no system call. */
static uint64_t stack_random(void *arg)
{
	struct ism *I = arg;
	uint64_t in[2] = { ++I->rnd_count, I->now_us };

	return npp_siphash(I->rnd_key, in, sizeof in);
}

const struct stack_ops ism_stack_ops = {
	.tx = ism_port_tx,
	.ipc = ism_ipc_send,
	.random = stack_random,
	.accept = ism_conn_accept,
	.accept_room = ism_accept_room,
	.fastopen = ism_fastopen,
	.fastopen_keys = ism_fastopen_keys,
	.listener_options = ism_listener_options,
	.event = ism_conn_event,
	.rx_grow = ism_conn_rx_grow,
	.urgent = ism_conn_urgent,
	.udp_input = ism_udp_input,
	.udp_error = ism_udp_error,
	.conflict = ism_conflict,
	.autoconf = ism_autoconf,
	.groups = ism_groups,
};

/* ---- the region ------------------------------------------------------------------------ */

static void tables(struct ism *I)
{
	struct ism_region *r = I->r;
	char *base = (char *)r;

	I->sess = (struct ism_sess *)(base + r->lay.sess_off);
	I->hash = (uint32_t *)(base + r->lay.off[ISM_T_HASH]);
	I->chunks = (struct ism_chunk *)(base + r->lay.off[ISM_T_CHUNKS]);
	I->lent = (uint32_t *)(base + r->lay.off[ISM_T_LENT]);
	I->known = (uint64_t *)(base + r->lay.off[ISM_T_KNOWN]);
	I->lent_max = r->lay.n_sess;
	r->pool.next = (uint32_t *)(base + r->lay.off[ISM_T_POOL]);
}

static void process_init(struct ism *I, void *region, const struct npp_ctl_start_ism *start,
			 const struct stack_env *env)
{
	I->r = region;
	I->iop = start->iop;
	I->n_iops = start->n_iops;
	I->env = *env;
	I->stats = env->stats;
	if (!I->env.ops)
		I->env.ops = &ism_stack_ops;
	if (!I->env.arg)
		I->env.arg = I;
	I->rnd_key[0] = start->seed[0] | (uint64_t)start->seed[3] << 32;
	I->rnd_key[1] = start->seed[5] | (uint64_t)start->seed[6] << 32;
	I->rnd_count = nk_clock_us();
	I->now_us = nk_clock_us();
}

int ism_init(struct ism *I, void *region, size_t size, const struct npp_ctl_start_ism *start,
	     const struct stack_env *env)
{
	struct ism_region *r = region;
	struct ism_layout plan;
	struct stack_cfg cfg;

	memset(&plan, 0, sizeof plan);
	ism_layout_plan(start, &plan);
	if (size < plan.bytes)
		return -ENOSPC;
	process_init(I, region, start, env);
	/* All but the region's header, which nppd wrote. */
	memcpy((char *)&r->lay + sizeof r->lay.hdr, (char *)&plan + sizeof plan.hdr,
	       sizeof plan - sizeof plan.hdr);
	r->lay.layout_hash = ism_layout_hash();
	r->hash_seed = start->seed[1] | (uint64_t)start->seed[7] << 32;
	r->n_hash = 1;
	while (r->n_hash < r->lay.n_sess)
		r->n_hash *= 2;
	tables(I);
	r->pool.next[0] = 0;
	ism_sess_rebuild(I);
	ism_stack_cfg(start, &cfg);
	I->stack = stack_init((char *)r + r->lay.stack_off, &cfg, &I->env);
	stack_set_now(I->stack, I->now_us);
	/* release: pairs with tools that look for the magic */
	atomic_store_explicit(&r->lay.magic, ISM_LAYOUT_MAGIC, memory_order_release);
	return 0;
}

/* After a death: memory as the sessions say. */
static void host_rebuild(struct ism *I, unsigned h)
{
	struct ism_host *hs = ism_hst(I, h);

	if (hs->state == ISM_HOST_NONE)
		return;
	ism_mem_begin_rebuild(I->chunks, &hs->heap, h);
	hs->n_peers = 0;
	memset(hs->peer_pages, 0, sizeof hs->peer_pages);
	for (uint32_t i = 0; i < I->r->lay.n_sess; i++) {
		struct ism_sess *s = &I->sess[i];

		if (!s->kind || s->host != h)
			continue;
		if (s->marked == ISM_MARK_RINGS) /* whatever they were: resume.c */
			s->rx_blk = s->tx_blk = s->old_blk = ISM_NONE;
		if (s->rx_blk != ISM_NONE && !ism_mem_mark(I->chunks, &hs->heap, h, s->rx_blk, s->rx_order))
			s->rx_blk = ISM_NONE;
		if (s->old_blk != ISM_NONE && !ism_mem_mark(I->chunks, &hs->heap, h, s->old_blk, s->old_order))
			s->old_blk = ISM_NONE;
		if (s->tx_blk != ISM_NONE && !ism_mem_mark(I->chunks, &hs->heap, h, s->tx_blk, s->tx_order))
			s->tx_blk = ISM_NONE;
		ism_peer_charge(hs, s->peer, (int32_t)ism_sess_pages(s));
	}
	ism_mem_end_rebuild(I->chunks, &hs->heap, h);
}

/* A connection whose row was being made or unmade when the predecessor died is nobody's. */
static void drop_strays(struct ism *I)
{
	for (uint32_t i = 0; i < stack_conn_limit(I->stack); i++) {
		struct tcp_conn *c = stack_conn(I->stack, i);
		const struct ism_sess *s;

		if (!c || c->user_flags == ISM_NONE || c->state == TCP_ST_CLOSED)
			continue;
		s = c->user_flags == 0 ? NULL : c->user_flags <= I->r->lay.n_sess ? &I->sess[c->user_flags - 1] : NULL;
		if (s && s->kind == ISM_STREAM && s->tcb == i && s->tcb_gen == c->gen)
			continue;
		c->rx = c->tx = (struct stack_ring){ NULL, 0 };
		stack_tcp_abort(I->stack, c);
	}
}

int ism_attach(struct ism *I, void *region, size_t size, const struct npp_ctl_start_ism *start,
	       const struct stack_env *env, uint64_t now_us)
{
	struct ism_region *r = region;
	struct ism_layout plan;
	int err;

	memset(&plan, 0, sizeof plan);
	ism_layout_plan(start, &plan);
	if (size < plan.bytes || atomic_load_explicit(&r->lay.magic, memory_order_acquire) != ISM_LAYOUT_MAGIC ||
	    r->lay.layout_hash != ism_layout_hash() || r->lay.bytes != plan.bytes ||
	    r->lay.n_sess != plan.n_sess || r->lay.stack_off != plan.stack_off)
		return -EPROTO;
	process_init(I, region, start, env);
	tables(I);
	ism_sess_rebuild(I);
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		host_rebuild(I, h);
	I->stack = (struct stack *)((char *)r + r->lay.stack_off);
	err = stack_attach(I->stack, &I->env, now_us);
	if (err < 0)
		return err;
	drop_strays(I);
	/* Every connection has something to tell. */
	for (uint32_t i = 0; i < r->lay.n_sess; i++)
		if (I->sess[i].kind == ISM_STREAM)
			ism_conn_owe(I, &I->sess[i], TCP_UP_RX | TCP_UP_TX);
	return 0;
}

/* ---- batches ------------------------------------------------------------------------------- */

void ism_set_now(struct ism *I, uint64_t now_us)
{
	I->now_us = now_us;
	stack_set_now(I->stack, now_us);
}

/* Settles what is dirty now; what that makes dirty comes in the next turn. */
static bool settle(struct ism *I)
{
	struct ism_region *r = I->r;

	if (r->dirty_head == ISM_NONE && r->settle_head == ISM_NONE)
		return false;
	if (r->settle_head == ISM_NONE) {
		r->settle_head = r->dirty_head;
		r->dirty_head = ISM_NONE;
	}
	while (r->settle_head != ISM_NONE) {
		struct ism_sess *s = &I->sess[r->settle_head];

		r->settle_head = s->dirty_next;
		s->flags &= ~SESS_DIRTY;
		if (s->kind == ISM_DGRAM)
			ism_udp_look(I, s);
		else
			ism_conn_settle(I, s);
	}
	return true;
}

void ism_flush(struct ism *I)
{
	if (I->flushing)
		return;
	I->flushing = true;
	if (atomic_load_explicit(&I->torn, memory_order_relaxed))
		ism_hosts_mend(I);
	for (int i = 0; i < FLUSH_TURNS && settle(I); i++)
		;
	stack_flush(I->stack);
	ism_bells(I);
	ism_ipc_flush(I);
	I->flushing = false;
}

/* The sweep is a lazy one while all is well. */
static void hurry_sweep(struct ism *I)
{
	struct nk_tstate *t = &I->r->nk.thread[I->th_sweep];

	if (t->lazy)
		nk_thread_raise(&I->nk, I->th_sweep);
}

bool ism_housekeeping(struct ism *I)
{
	bool again = false;
	uint64_t rings = 0, level = 0, backlog = 0;

	I->urgent = false;
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++) {
		struct ism_host *hs = ism_hst(I, h);

		if (!I->host[h])
			continue;
		again |= !ism_host_greet(I, h);
		if (hs->n_owed)
			again |= ism_owed_retry(I, h);
		if (hs->wait_head != ISM_NONE)
			again |= ism_ring_retry(I, h);
		rings += hs->heap.lent - hs->heap.free;
		backlog += (uint64_t)hs->backlog_pages * ISM_PAGE;
		level = ism_mem_level(hs) > level ? ism_mem_level(hs) : level;
	}
	npp_stat_set(I->stats, NPP_IS_MEM_LEVEL, level);
	npp_stat_set(I->stats, NPP_IS_BACKLOG_BYTES, backlog);
	if (ism_sweep_hurry(I))
		hurry_sweep(I);
	npp_stat_set(I->stats, NPP_IS_RING_BYTES, rings);
	return again || I->urgent;
}
