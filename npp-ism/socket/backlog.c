/* SPDX-License-Identifier: GPL-2.0-or-later
 * backlog.c - memory of connections that no program has accepted yet
 *
 * Peers may send before a program accepts, and a program that never does, or not soon enough, would
 * be stuffed with data until nothing is left for those of the same host that do. So what waits in accept
 * queues has a budget, a part of all memory that the host has for rings and the like:
 *
 *	of one listener		an eighth
 *	of all of a host	a quarter; each listener has its first LISTENER_MIN bytes whatever others hold
 *
 * and an IOP has its part of that, since it knows only what it holds itself; while the OSM lends no more, the
 * same parts of what it has lent, if that is less. Up to half of a budget rings grow as they would;
 * beyond it a connection gets its first small ring only, and only if the prefix of its peer has less than its share
 * (reclaim.c). What finds no room is dropped and sent again by the peer: to be refused here costs time, no data.
 *
 * S is in the queue from ism_conn_accept() until a program has taken it, which we notice by its first word,
 * or by the record when it wants more, or in the sweep. Until then its pages are billed to its listener.
 */
#include "config.h"

#include "npp-ism/socket/ism.h"

#define LISTENER_SHARE 8u
#define HOST_SHARE 4u
#define LISTENER_MIN (256u << 10)

static struct ism_sess *listener_of(struct ism *I, const struct ism_sess *s)
{
	struct ism_sess *ls = s->lsn < I->r->lay.n_sess ? &I->sess[s->lsn] : NULL;

	return ls && ls->kind == ISM_LISTENER && ls->gen == s->lsn_gen && ls->host == s->host ? ls : NULL;
}

static void bill(struct ism *I, struct ism_sess *s, uint32_t pages)
{
	struct ism_sess *ls = listener_of(I, s);
	uint32_t more = pages - s->billed;

	ism_hst(I, s->host)->backlog_pages += more;
	if (ls)
		ls->billed += more;
	s->billed = pages;
}

void ism_backlog_begin(struct ism *I, struct ism_sess *s, const struct ism_sess *ls)
{
	s->lsn = ism_sess_index(I, ls);
	s->lsn_gen = ls->gen;
	s->billed = 0;
	s->flags |= SESS_BACKLOG;
}

void ism_backlog_bill(struct ism *I, struct ism_sess *s)
{
	if (s->flags & SESS_BACKLOG)
		bill(I, s, ism_sess_pages(s));
}

void ism_backlog_end(struct ism *I, struct ism_sess *s)
{
	if (!(s->flags & SESS_BACKLOG))
		return;
	bill(I, s, 0);
	s->flags &= ~SESS_BACKLOG;
}

static bool taken(struct npp_sock *rec)
{
	return atomic_load_explicit(&rec->refs, memory_order_relaxed) ||
	       atomic_load_explicit(&rec->fl, memory_order_relaxed) & NPP_FL_TAKEN;
}

bool ism_backlog_look(struct ism *I, struct ism_sess *s)
{
	if (!(s->flags & SESS_BACKLOG))
		return false;
	if (s->flags & (SESS_SEEN | SESS_CLOSED) || (I->host[s->host] && taken(ism_sess_rec(I, s))))
		ism_backlog_end(I, s);
	return s->flags & SESS_BACKLOG;
}

static uint64_t budget(const struct ism *I, const struct ism_host *hs, unsigned part)
{
	uint64_t b = (hs->heap_end - hs->heap_off) / part / (I->n_iops ? I->n_iops : 1);

	if (ism_mem_scarce(hs) && b > hs->heap.lent / part)
		b = hs->heap.lent / part;
	return b;
}

static uint64_t left(uint64_t b, uint64_t has)
{
	return has < b ? b - has : 0;
}

uint32_t ism_backlog_room(struct ism *I, struct ism_sess *s, bool first)
{
	struct ism_host *hs = ism_hst(I, s->host);
	uint64_t of_one, of_all, has, all, room;
	struct ism_sess *ls;

	if (!ism_backlog_look(I, s))
		return UINT32_MAX;
	ls = listener_of(I, s);
	has = ls ? (uint64_t)ls->billed * ISM_PAGE : 0;
	all = (uint64_t)hs->backlog_pages * ISM_PAGE;
	of_one = budget(I, hs, LISTENER_SHARE);
	of_all = budget(I, hs, HOST_SHARE);
	room = left(of_one / 2, has);
	if (left(of_all / 2, all) < room)
		room = left(of_all / 2, all);
	if (room < ISM_RING_FIRST && first &&
	    ((has < of_one && all < of_all && ism_peer_may(hs, s->peer, ISM_RING_FIRST)) || left(LISTENER_MIN, has)))
		room = ISM_RING_FIRST;
	if (room >= ISM_RING_FIRST)
		return room < UINT32_MAX ? (uint32_t)room : UINT32_MAX - 1;
	npp_stat_inc(I->stats, NPP_IS_BACKLOG_REFUSED);
	hs->backlog_us = I->now_us ? I->now_us : 1;
	return 0;
}

void ism_backlog_rebuild(struct ism *I)
{
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		ism_hst(I, h)->backlog_pages = 0;
	for (uint32_t i = 0; i < I->r->lay.n_sess; i++)
		I->sess[i].billed = 0;
	for (uint32_t i = 0; i < I->r->lay.n_sess; i++)
		if (I->sess[i].kind == ISM_STREAM)
			ism_backlog_bill(I, &I->sess[i]);
}
