/* SPDX-License-Identifier: GPL-2.0-or-later
 * resume.c - a host is attached again to an ISM that took over: what its predecessor left half done
 *
 * The predecessor may have died at any instruction. For each session the rings are what the
 * row says: the TCB's and the record's view of them are made from it. Locks that it held
 * are broken. A connection that stands in no accept lane and that no program has taken was
 * being given to its listener: nobody will ever find it.
 */
#include "config.h"

#include "npp-ism/socket/ism.h"

static void resume_stream(struct ism *I, struct ism_sess *s)
{
	struct tcp_conn *c = ism_conn_of(I, s);
	uint32_t up = TCP_UP_RX | TCP_UP_TX;

	ism_ring_resume(I, s, c);
	if (s->marked == ISM_MARK_RINGS) {
		s->marked = ISM_MARK_NONE;
		if (c) {
			npp_stat_inc(I->stats, NPP_IS_LOST);
			ism_conn_reset(I, s, c);
		}
		return;
	}
	if (c && (s->flags & (SESS_CLOSED | SESS_ENDING)) == SESS_CLOSED) {
		s->flags &= ~SESS_CLOSED; /* the stack was not yet told */
		ism_conn_close(I, s, atomic_load_explicit(&ism_sess_rec(I, s)->tx_head, memory_order_acquire), 0);
		return;
	}
	/* What it was told and perhaps did not pass on. */
	if (c && c->state >= TCP_ST_ESTABLISHED && (s->flags & SESS_CONNECTING))
		up |= TCP_UP_CONNECTED;
	if (c && (c->state == TCP_ST_CLOSE_WAIT || c->state == TCP_ST_CLOSING || c->state == TCP_ST_LAST_ACK))
		up |= TCP_UP_FIN;
	ism_conn_owe(I, s, up);
}

/* Has no program ever had it? One that had and closed it may have said so in a lane that we have
 * not yet looked at. */
static bool never_taken(struct ism *I, const struct ism_sess *s)
{
	struct npp_sock *rec = ism_sess_rec(I, s);

	if ((s->flags & (SESS_LENT | SESS_SEEN | SESS_CLOSED)) != SESS_LENT)
		return false;
	/* acquire: a program raises refs before it clears the entry, sets TAKEN before it lowers them */
	return atomic_load_explicit(&rec->refs, memory_order_acquire) == 0 &&
	       !(atomic_load_explicit(&rec->fl, memory_order_relaxed) & NPP_FL_TAKEN);
}

void ism_host_resume(struct ism *I, unsigned h)
{
	for (uint32_t i = 0; i < I->r->lay.n_sess; i++) {
		struct ism_sess *s = &I->sess[i];

		if (!s->kind || s->host != h)
			continue;
		s->flags &= ~SESS_QUEUED;
		if (s->kind == ISM_STREAM)
			resume_stream(I, s);
		else
			ism_ring_unlock(I, s);
	}
	for (uint32_t i = 0; i < I->r->lay.n_sess; i++)
		if (I->sess[i].kind == ISM_LISTENER && I->sess[i].host == h)
			ism_listener_resume(I, &I->sess[i]);
	for (uint32_t i = 0; i < I->r->lay.n_sess; i++) {
		struct ism_sess *s = &I->sess[i];

		if (s->kind != ISM_STREAM || s->host != h || (s->flags & SESS_QUEUED) || !never_taken(I, s))
			continue;
		npp_stat_inc(I->stats, NPP_IS_LOST);
		ism_conn_drop(I, s);
	}
}
