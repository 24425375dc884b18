/* SPDX-License-Identifier: GPL-2.0-or-later
 * reclaim.c - who may have memory for rings when there is little, and who has to give it back
 *
 * Memory is short when the OSM lends no more. Then, by how much of what it has lent is free:
 *
 *	less than a half	tight: rings grow for those peers only that have less than their share,
 *				receive rings to ISM_RING_TIGHT for all (ring.c); empty rings are given back at
 *				once, receive rings that have grown after a second; large ones that hold little shrink
 *	less than a quarter	short: only first rings (ring.c); data that peers hold out of order is
 *				dropped, and connections whose peer takes nothing are reset
 *	less than an eighth	first rings for peers that have less than their share
 *
 * A share is counted by prefix (/24 of IPv4, /48 of IPv6), since addresses cost an attacker nothing:
 * half of the memory, divided by the prefixes that have some. Prefixes share a counter by a secret
 * hash, so that some that behave may be counted with others that do not; only ever while memory is short.
 *
 * Ended are those who hold a ring with data that their peer does not acknowledge (a closed window, a
 * path that is dead) or take by less than a page in ISM_HOLD_MS: first those of prefixes beyond
 * their share, and of these the oldest (by powers of two), until three eighths are free. Who is
 * the oldest shows when all were looked at: in one turn of the sweep their bytes are weighed by class,
 * in the next those from a class on are ended. What the program itself does not read or write is
 * nobody's fault but the program's, and left alone.
 */
#include "config.h"

#include <errno.h>

#include "net/hash.h"
#include "npp-ism/socket/ism.h"

#define PROGRESS ISM_PAGE	/* bytes that make a holder young again */
#define SHARE_MIN (64u << 10)

enum ism_mem_level ism_mem_level(const struct ism_host *hs)
{
	if (!ism_mem_scarce(hs) || hs->heap.free >= hs->heap.lent / 2)
		return ISM_MEM_EASY;
	return hs->heap.free >= hs->heap.lent / 4 ? ISM_MEM_TIGHT : ISM_MEM_SHORT;
}

/* ---- prefixes of peers ----------------------------------------------------------------- */

uint16_t ism_peer_of(const struct ism *I, const union npp_addr *addr)
{
	const uint64_t key[2] = { I->r->hash_seed, ~I->r->hash_seed };
	const union npp_addr prefix = npp_addr_customer(*addr);

	return (uint16_t)(npp_siphash(key, &prefix, sizeof prefix) % ISM_PEERS);
}

void ism_peer_charge(struct ism_host *hs, uint16_t peer, int32_t pages)
{
	uint32_t had, has;

	if (peer >= ISM_PEERS || pages == 0)
		return;
	had = hs->peer_pages[peer];
	has = hs->peer_pages[peer] = had + (uint32_t)pages;
	hs->n_peers += (has != 0) - (had != 0);
}

static uint64_t share(const struct ism_host *hs, uint32_t peers)
{
	uint64_t each = hs->heap.lent / 2 / (peers ? peers : 1);

	return each < SHARE_MIN ? SHARE_MIN : each;
}

bool ism_peer_may(const struct ism_host *hs, uint16_t peer, uint32_t bytes)
{
	uint64_t has;

	if (peer >= ISM_PEERS)
		return true;
	has = (uint64_t)hs->peer_pages[peer] * ISM_PAGE;
	return has + bytes <= share(hs, hs->n_peers + (has == 0));
}

/* ---- who holds without moving -------------------------------------------------------------- */

/* Bytes that the peer has taken and given. */
static uint32_t moved(const struct tcp_conn *c)
{
	return c->tx_tail + c->rx_head;
}

static uint32_t now_ms(const struct ism *I)
{
	return (uint32_t)(I->now_us / 1000);
}

void ism_hold_begin(struct ism *I, struct ism_sess *s, const struct tcp_conn *c)
{
	s->mark = moved(c);
	s->mark_ms = now_ms(I);
}

static bool holds_tx(const struct ism_sess *s, const struct tcp_conn *c)
{
	return s->tx_blk != ISM_NONE && c->tx_head != c->tx_tail && !(s->flags & SESS_CONNECTING);
}

static bool holds_rx(const struct ism *I, const struct ism_sess *s, const struct tcp_conn *c)
{
	return s->rx_blk != ISM_NONE && c->rx_head == c->rx_tail && !stack_tcp_rx_empty(I->stack, c);
}

/* Greater: sooner ended. */
static uint32_t class_of(const struct ism *I, const struct ism_sess *s, uint32_t age_ms)
{
	uint32_t c = 31 - (uint32_t)__builtin_clz(age_ms | 1);

	return ism_peer_may(&I->r->host[s->host], s->peer, 0) ? c : c + 32;
}

/* Takes back what S holds. */
static void end_holder(struct ism *I, struct ism_sess *s, struct tcp_conn *c)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	uint32_t gen = s->gen;

	if (!holds_tx(s, c)) { /* the peer sends it again, some time (RFC 2018, 8) */
		if (ism_ring_prune_rx(I, s, c))
			npp_stat_inc(I->stats, NPP_IS_MEM_PRUNED);
		return;
	}
	npp_stat_inc(I->stats, NPP_IS_MEM_ENDED);
	if (s->flags & SESS_CLOSED) {
		ism_conn_drop(I, s);
		return;
	}
	ism_ring_prune_rx(I, s, c);
	atomic_store_explicit(&rec->err, ETIMEDOUT, memory_order_relaxed);
	/* release: after err; pairs with the program's acquire load of rx_flags */
	atomic_fetch_or_explicit(&rec->rx_flags, NPP_RXF_RESET | NPP_RXF_CLOSED, memory_order_release);
	stack_tcp_abort(I->stack, c); /* UP_FREED tells the program */
	if (s->kind == ISM_STREAM && s->gen == gen)
		ism_ring_bury_tx(I, s);
}

void ism_reclaim_turn(struct ism *I)
{
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++) {
		const struct ism_host *hs = ism_hst(I, h);
		struct ism_reclaim *r = &I->reclaim[h];
		uint64_t aim = hs->heap.lent / 8 * 3, sum = 0;

		r->want = I->host[h] && ism_mem_level(hs) == ISM_MEM_SHORT ? aim - hs->heap.free : 0;
		r->from = ISM_CLASSES;
		while (r->from > 0 && sum < r->want)
			sum += r->weight[--r->from];
		/* Memory may have become short in the turn before, or after it: who was not weighed waits. */
		while (r->from < ISM_CLASSES && r->weight[r->from] == 0)
			r->from++;
		for (unsigned i = 0; i < ISM_CLASSES; i++)
			r->weight[i] = 0;
	}
}

void ism_reclaim_look(struct ism *I, struct ism_sess *s, struct tcp_conn *c)
{
	struct ism_reclaim *r = &I->reclaim[s->host];
	bool tx = holds_tx(s, c), rx = holds_rx(I, s, c);
	uint32_t bytes, age, class;

	if ((!tx && !rx) || moved(c) - s->mark >= PROGRESS)
		ism_hold_begin(I, s, c);
	if (!(s->flags & (SESS_CLOSED | SESS_SHUT)) && s->tx_blk != ISM_NONE && ism_ring_shrink_tx(I, s, c))
		npp_stat_inc(I->stats, NPP_IS_MEM_SHRUNK);
	age = now_ms(I) - s->mark_ms;
	if ((!tx && !rx) || age < ISM_HOLD_MS)
		return;
	bytes = (tx ? ism_tx_size(s) : 0) + (rx ? ism_rx_size(s) : 0);
	class = class_of(I, s, age);
	if (r->want == 0 || class < r->from) {
		r->weight[class] += bytes;
		return;
	}
	r->want -= bytes < r->want ? bytes : r->want;
	end_holder(I, s, c);
}
