/* SPDX-License-Identifier: GPL-2.0-or-later
 * audit.c - does everything derived agree with the records? For tests and fuzzers
 */
#include "config.h"

#include "npp-ism/socket/ism.h"

static const char *audit_sessions(struct ism *I)
{
	uint32_t used = 0, dirty = 0, per_host[NPP_MAX_HOSTS] = { 0 };

	for (uint32_t i = 0; i < I->r->lay.n_sess; i++) {
		struct ism_sess *s = &I->sess[i];

		if (!s->kind)
			continue;
		used++;
		if (s->host >= NPP_MAX_HOSTS || I->r->host[s->host].state == ISM_HOST_NONE)
			return "a session of no host";
		per_host[s->host]++;
		if (ism_sess_find(I, s->host, s->sock) != s)
			return "a session that its socket does not lead to";
		dirty += (s->flags & SESS_DIRTY) != 0;
	}
	if (used + I->r->pool.free != I->r->lay.n_sess)
		return "sessions neither used nor free";
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		if (per_host[h] != I->r->host[h].n_sess)
			return "number of sessions of a host";
	for (uint32_t i = I->r->dirty_head; i != ISM_NONE; i = I->sess[i].dirty_next)
		if (!(I->sess[i].flags & SESS_DIRTY) || dirty-- == 0)
			return "dirty list";
	return dirty ? "a dirty session is not on the list" : NULL;
}

static uint64_t block_bytes(const struct ism *I, uint32_t blk, unsigned order, bool *ok)
{
	if (blk == ISM_NONE)
		return 0;
	if (I->chunks[blk / ISM_CHUNK_PAGES].page[blk % ISM_CHUNK_PAGES] != ISM_PG_USED + order)
		*ok = false;
	return (uint64_t)ISM_PAGE << order;
}

/* Takes from the counts what sessions have, and gives it back: nothing may remain. */
static const char *audit_peers(struct ism *I, unsigned h)
{
	struct ism_host *hs = ism_hst(I, h);
	uint32_t had = 0, has = 0;

	for (uint32_t p = 0; p < ISM_PEERS; p++)
		had += hs->peer_pages[p] != 0;
	for (int turn = 0; turn < 2; turn++) {
		for (uint32_t i = 0; i < I->r->lay.n_sess; i++) {
			const struct ism_sess *s = &I->sess[i];

			if (s->kind && s->host == h && s->peer < ISM_PEERS)
				hs->peer_pages[s->peer] += turn ? ism_sess_pages(s) : -ism_sess_pages(s);
		}
		for (uint32_t p = 0; p < ISM_PEERS && turn == 0; p++)
			has += hs->peer_pages[p] != 0;
	}
	return has ? "memory of a prefix" : had != hs->n_peers ? "number of prefixes with memory" : NULL;
}

static const char *audit_memory(struct ism *I, unsigned h)
{
	const struct ism_host *hs = ism_hst(I, h);
	uint64_t used = 0, free_bytes = 0;
	bool ok = true;

	for (uint32_t i = 0; i < I->r->lay.n_sess; i++) {
		const struct ism_sess *s = &I->sess[i];

		if (!s->kind || s->host != h)
			continue;
		used += block_bytes(I, s->rx_blk, s->rx_order, &ok);
		used += block_bytes(I, s->old_blk, s->old_order, &ok);
		used += block_bytes(I, s->tx_blk, s->tx_order, &ok);
	}
	for (unsigned o = 0; o < ISM_ORDERS; o++)
		for (uint32_t b = hs->heap.head[o]; b != ISM_BLK_NONE;
		     b = I->chunks[b / ISM_CHUNK_PAGES].next[b % ISM_CHUNK_PAGES])
			free_bytes += (uint64_t)ISM_PAGE << o;
	if (!ok)
		return "a ring that is not in use";
	if (free_bytes != hs->heap.free)
		return "free lists of host memory";
	return used + free_bytes != hs->heap.lent ? "host memory leaked" : audit_peers(I, h);
}

/* What waits to be accepted, for the host and for each listener. */
static const char *audit_backlog(struct ism *I, unsigned h)
{
	uint32_t pages = 0;

	for (uint32_t i = 0; i < I->r->lay.n_sess; i++) {
		const struct ism_sess *s = &I->sess[i];
		uint32_t of_it = 0;

		if (!s->kind || s->host != h)
			continue;
		if (s->kind == ISM_STREAM && s->billed != (s->flags & SESS_BACKLOG ? ism_sess_pages(s) : 0))
			return "pages billed to a listener";
		pages += s->kind == ISM_STREAM ? s->billed : 0;
		if (s->kind != ISM_LISTENER)
			continue;
		for (uint32_t k = 0; k < I->r->lay.n_sess; k++)
			if (I->sess[k].kind == ISM_STREAM && I->sess[k].flags & SESS_BACKLOG && I->sess[k].lsn == i &&
			    I->sess[k].lsn_gen == s->gen)
				of_it += I->sess[k].billed;
		if (of_it != s->billed)
			return "pages that a listener is billed";
	}
	return pages == ism_hst(I, h)->backlog_pages ? NULL : "pages that wait to be accepted";
}

static const char *audit_host(struct ism *I, unsigned h)
{
	const struct ism_host *hs = ism_hst(I, h);
	uint32_t lent = 0, waiting = 0, listeners = 0, udp = 0;
	const char *fault;

	if (hs->state == ISM_HOST_NONE)
		return NULL;
	for (uint32_t i = 0; i < I->r->lay.n_sess; i++) {
		const struct ism_sess *s = &I->sess[i];

		if (!s->kind || s->host != h)
			continue;
		lent += (s->flags & SESS_LENT) != 0;
		waiting += (s->flags & SESS_WAITING) != 0;
		listeners += s->kind == ISM_LISTENER;
		udp += s->kind == ISM_DGRAM;
	}
	if (lent + hs->n_lent != hs->n_known)
		return "records that were lent are lost";
	if (listeners != hs->n_listeners || udp != hs->n_udp)
		return "number of listeners or datagram sockets";
	for (uint32_t i = hs->wait_head; i != ISM_NONE; i = I->sess[i].wait_next)
		if (!(I->sess[i].flags & SESS_WAITING) || waiting-- == 0)
			return "list of waiting sessions";
	if (waiting)
		return "a waiting session is not on the list";
	fault = audit_backlog(I, h);
	return fault ? fault : audit_memory(I, h);
}

const char *ism_audit(struct ism *I)
{
	const char *fault = audit_sessions(I);

	for (unsigned h = 0; h < NPP_MAX_HOSTS && !fault; h++)
		fault = audit_host(I, h);
	return fault;
}
