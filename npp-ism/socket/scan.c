/* SPDX-License-Identifier: GPL-2.0-or-later
 * scan.c - threads that walk all sessions: after an overflow, and to give idle rings back
 *
 * Both yield at preemption points every few dozen sessions.
 */
#include "config.h"

#include "npp-ism/socket/ism.h"

#define STRIDE 64		/* sessions between two preemption points */
#define SWEEP_SLICE 4096	/* sessions looked at in one run of the sweep ... */
#define BACKLOG_HURRY_US 1000000
#define SWEEP_TURNS 32		/* ... and while memory is short at least so much of all */
#define KEEP_BYTES (4u << 20)	/* of a host's memory: not given back */

/* A message of this session may have been lost: do what it would have asked for. */
static void scan_session(struct ism *I, struct ism_sess *s)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	/* In this order: NPP_FL_TAKEN is set after refs was raised, refs fall to 0 after the last byte
	 * was written. */
	uint32_t fl = atomic_load_explicit(&rec->fl, memory_order_acquire);
	uint32_t refs = atomic_load_explicit(&rec->refs, memory_order_acquire);
	uint32_t head = atomic_load_explicit(&rec->tx_head, memory_order_acquire);

	if (s->kind == ISM_DGRAM) {
		ism_udp_look(I, s);
		return;
	}
	if (s->kind != ISM_STREAM || (s->flags & SESS_CLOSED))
		return;
	if (refs || (fl & NPP_FL_TAKEN))
		s->flags |= SESS_SEEN;
	/* A program has held it and nobody does now. The CLOSE, should it still come, finds
	 * another generation. */
	if (refs == 0 && (s->flags & SESS_SEEN)) {
		uint32_t unread = atomic_load_explicit(&rec->rx_head, memory_order_relaxed) -
				  atomic_load_explicit(&rec->rx_tail, memory_order_relaxed);

		if (fl & NPP_FL_SHUT_RD)
			unread = 0;
		if (atomic_load_explicit(&rec->linger, memory_order_relaxed) == 1)
			unread = 1; /* SO_LINGER with 0 seconds: a reset as well */
		ism_conn_close(I, s, head, unread ? NPP_CLOSE_ABORT : 0);
		return;
	}
	if (atomic_load_explicit(&rec->pend_in, memory_order_relaxed)) {
		uint32_t gen = s->gen;

		ism_conn_look(I, s);
		if (s->kind != ISM_STREAM || s->gen != gen)
			return;
	}
	if (fl & NPP_FL_SHUT_WR)
		ism_conn_shutdown(I, s, head);
	else if (s->tx_blk == ISM_NONE && atomic_load_explicit(&rec->tx_want, memory_order_relaxed))
		ism_conn_need_ring(I, s, 0);
}

/* A lost CONNECT: a program's record for us that has no handle yet. */
static void scan_record(struct ism *I, unsigned h, uint32_t i)
{
	struct npp_sock *rec = ism_rec(I, h, i);
	struct npp_msg m = { .type = NPP_MSG_CONNECT, .sock = i };

	if (atomic_load_explicit(&rec->owner, memory_order_acquire) == 0 || rec->type != NPP_SOCK_STREAM ||
	    rec->slot != I->r->host[h].slot ||
	    atomic_load_explicit(&rec->ism_handle, memory_order_relaxed) != ISM_NONE ||
	    !(atomic_load_explicit(&rec->fl, memory_order_relaxed) & NPP_FL_CONNECTING) ||
	    atomic_load_explicit(&rec->refs, memory_order_relaxed) == 0 || ism_sess_find(I, h, i))
		return;
	m.sock_gen = atomic_load_explicit(&rec->gen, memory_order_relaxed);
	ism_conn_connect(I, h, &m);
}

static void scan_host(struct nk *nk, struct ism *I, unsigned h)
{
	for (uint32_t i = 0; i < I->r->lay.n_sess && I->host[h]; i++) {
		if (I->sess[i].kind && I->sess[i].host == h)
			scan_session(I, &I->sess[i]);
		if (i % STRIDE == STRIDE - 1)
			nk_preempt_point(nk);
	}
	for (uint32_t i = 1; I->host[h] && i <= I->r->host[h].prog_count; i++) {
		scan_record(I, h, i);
		if (i % STRIDE == STRIDE - 1)
			nk_preempt_point(nk);
	}
}

void ism_scan_thread(struct nk *nk, void *arg)
{
	struct ism *I = arg;

	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++) {
		if (!I->host[h] || !I->host[h]->scan_due)
			continue;
		I->host[h]->scan_due = false;
		scan_host(nk, I, h);
	}
	ism_flush(I);
}

/* What there is to do about a session that has a ring: empty ones are given back, sooner while memory
 * is short, and then it is looked at who only holds some. */
static void sweep_session(struct ism *I, struct ism_sess *s)
{
	enum ism_mem_level level;
	struct tcp_conn *c;
	uint64_t idle_us;

	if ((s->kind == ISM_LISTENER || s->kind == ISM_DGRAM) && I->host[s->host] &&
	    (s->kind == ISM_LISTENER ? ism_lane_waiting(I, s) : ism_udp_waiting(I, s)))
		ism_notify_shared(I, s);
	if (s->kind != ISM_STREAM || (s->rx_blk == ISM_NONE && s->tx_blk == ISM_NONE) || !I->host[s->host])
		return;
	ism_backlog_look(I, s);
	c = ism_conn_of(I, s);
	if (!c)
		return;
	level = ism_mem_level(ism_hst(I, s->host));
	idle_us = I->now_us - s->active_us;
	if (!(s->flags & SESS_CLOSED) && idle_us >= (level == ISM_MEM_EASY ? ISM_IDLE_US : ISM_IDLE_TIGHT_US))
		ism_ring_idle(I, s, c, idle_us);
	if (level != ISM_MEM_EASY)
		ism_reclaim_look(I, s, c);
}

/* Gives an extent back to the OSM when three quarters of a host's memory are free and would be
 * half free without it. One at a time; asked for again below an eighth (ring.c). */
static void give_back(struct ism *I, unsigned h)
{
	struct ism_heap *hp = &ism_hst(I, h)->heap;
	struct npp_msg m = { .type = NPP_MSG_FREED };
	uint64_t off, len;

	if (ism_hst(I, h)->state != ISM_HOST_UP || hp->lent <= KEEP_BYTES || hp->free < hp->lent / 4 * 3)
		return;
	if (!ism_mem_reclaim(I->chunks, hp, h, &off, &len))
		return;
	if (hp->lent >= KEEP_BYTES && hp->free >= hp->lent / 2 && len <= UINT32_MAX) {
		m.off = off;
		m.arg2 = (uint32_t)len;
		if (ism_post(I, h, 0, &m) == 0)
			return;
	}
	ism_mem_add(I->chunks, hp, h, off, len); /* not this one, or not now */
}

bool ism_sweep_hurry(const struct ism *I)
{
	bool hurry = false;

	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		hurry |= I->host[h] && (ism_mem_level(&I->r->host[h]) != ISM_MEM_EASY ||
					/* some may have been accepted meanwhile */
					(I->r->host[h].backlog_us && I->now_us - I->r->host[h].backlog_us < BACKLOG_HURRY_US));
	return hurry;
}

void ism_sweep_thread(struct nk *nk, void *arg)
{
	struct ism *I = arg;
	uint32_t all = I->r->lay.n_sess, n = ism_sweep_hurry(I) && all / SWEEP_TURNS > SWEEP_SLICE ? all / SWEEP_TURNS : SWEEP_SLICE;

	for (uint32_t i = 0; i < n && i < all; i++) {
		if (I->sweep_at >= all) {
			I->sweep_at = 0;
			ism_reclaim_turn(I);
		}
		sweep_session(I, &I->sess[I->sweep_at++]);
		if (i % STRIDE == STRIDE - 1)
			nk_preempt_point(nk);
	}
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++) {
		if (!I->host[h])
			continue;
		give_back(I, h);
		/* Who has a large part may not grow, so nobody else would ask whether there is more by now. */
		if (ism_mem_level(ism_hst(I, h)) != ISM_MEM_EASY)
			ism_mem_ask(I, h, ISM_RING_FIRST);
	}
	ism_bells(I);
}
