/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_rack.c - loss detection by time: RACK-TLP (RFC 8985)
 *
 * Of everything that has arrived, rack_us and rack_end name what was sent last. Whatever was
 * sent before that and has not arrived a reordering window later than it should have
 * (rack_rtt_us after it was sent) is lost, first transmission or not. The window is
 *
 *   none               while the path was never seen to reorder, in recovery or once
 *                      DupThresh segments were SACKed (the rule of RFC 6675)
 *   reo_mult quarters  of the least RTT, at most the SRTT; reo_mult grows with each round
 *                      trip in which a D-SACK shows that we were too quick, and shrinks
 *                      back after 16 recoveries
 *
 * It is not less than a tick of the timer wheel, the clock that ends the wait.
 *
 * A path reorders if something arrives below the highest that has arrived (fack), that was
 * sent once only.
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

static bool sent_after(uint32_t us1, uint32_t end1, uint32_t us2, uint32_t end2)
{
	return seq_gt(us1, us2) || (us1 == us2 && seq_gt(end1, end2));
}

/* RFC 8985, 6.2, steps 1 to 3. */
void tcp_rack_arrived(struct stack *s, struct tcb *t, const struct tcp_sent *r, uint32_t end,
		      const struct tcp_seg *seg, struct tcp_news *n)
{
	uint32_t rtt = (uint32_t)s->now_us - r->at_us;

	if (!(r->flags & SENT_AGAIN)) {
		if (!n->rtt_us || rtt < n->rtt_us)
			n->rtt_us = u32_max(rtt, 1);
		if (t->recovery != TCP_OPEN && seq_leq(end, t->recover))
			n->orig = true;
		if (seq_lt(end, t->fack))
			t->flags |= TF_REORDERS;
	}
	t->fack = seq_max(t->fack, end);
	if (r->flags & SENT_AGAIN) {
		/* Is it the first transmission that has arrived? */
		if (t->flags & TF_TS && seg->opt & TO_TS && seq_lt(seg->tsecr, tcp_tsval(s, t->ts_off) - rtt / 1000 - 1))
			return;
		if (rtt < t->min_rtt_us)
			return;
	}
	t->rack_rtt_us = rtt;
	if (!(t->flags & TF_RACK) || sent_after(r->at_us, end, t->rack_us, t->rack_end)) {
		t->rack_us = r->at_us;
		t->rack_end = end;
		t->flags |= TF_RACK;
	}
}

/* ---- the reordering window (step 4) --------------------------------------------------- */

void tcp_rack_dsack(struct stack *s, struct tcb *t, const struct tcp_news *n)
{
	(void)s;
	if (t->flags & TF_DSACK_ROUND && (seq_geq(t->snd_una, t->reo_round) || seq_gt(t->reo_round, t->snd_nxt)))
		t->flags &= ~TF_DSACK_ROUND;
	if (!n->has_dsack || t->flags & TF_DSACK_ROUND)
		return;
	t->flags |= TF_DSACK_ROUND;
	t->reo_round = t->snd_nxt;
	t->reo_mult = (uint8_t)u32_min(t->reo_mult + 1u, TCP_REO_MULT_MAX);
	t->reo_persist = TCP_REO_PERSIST;
}

void tcp_rack_recovered(struct tcb *t)
{
	if (t->reo_persist)
		t->reo_persist--;
	if (!t->reo_persist)
		t->reo_mult = 1;
}

static uint32_t reo_wnd(const struct tcb *t)
{
	uint32_t wnd;

	if (!(t->flags & TF_REORDERS) && (t->recovery != TCP_OPEN || t->dupacks >= TCP_DUPTHRESH))
		return 0;
	wnd = u32_min((uint32_t)u32_min(t->min_rtt_us / 4, 1u << 24) * t->reo_mult, t->srtt_us);
	return u32_max(wnd, WHEEL_TICK_US);
}

/* ---- detection (step 5) --------------------------------------------------------------------- */

uint32_t tcp_rack_detect(struct stack *s, struct tcb *t, struct tcp_news *n)
{
	uint32_t now = (uint32_t)s->now_us, start = t->snd_una, wait = 0, limit;
	struct tcp_sent *r = tcp_sent(s, t);

	if ((t->flags & (TF_SACK | TF_RACK)) != (TF_SACK | TF_RACK))
		return 0;
	limit = t->rack_rtt_us + reo_wnd(t);
	for (unsigned i = 0; i < t->n_sent; start = r[i++].end) {
		if (r[i].flags & (SENT_SACKED | SENT_LOST) ||
		    !sent_after(t->rack_us, t->rack_end, r[i].at_us, r[i].end))
			continue;
		if (now - r[i].at_us >= limit) {
			n->lost_again |= (r[i].flags & SENT_AGAIN) != 0;
			tcp_sent_lose_range(t, &r[i], start);
		} else {
			wait = u32_max(wait, limit - (now - r[i].at_us));
		}
	}
	return wait;
}

/* RFC 8985, 6.3: what the retransmission timeout finds lost: the first segment, and whatever
 * had time enough. */
void tcp_rack_timeout(struct stack *s, struct tcb *t)
{
	uint32_t now = (uint32_t)s->now_us, start = t->snd_una, limit = t->rack_rtt_us + reo_wnd(t);
	struct tcp_sent *r = tcp_sent(s, t);
	bool all = (t->flags & (TF_SACK | TF_RACK)) != (TF_SACK | TF_RACK);

	for (unsigned i = 0; i < t->n_sent; start = r[i++].end)
		if (i == 0 || all || now - r[i].at_us >= limit)
			tcp_sent_lose_range(t, &r[i], start);
}

/* ---- tail loss probe (7.4.2) ------------------------------------------------------------------ */

bool tcp_tlp_ack(struct tcb *t, const struct tcp_seg *seg, struct tcp_news *n)
{
	if (!(t->flags & TF_TLP_OUT) || seq_lt(seg->ack, t->tlp_end))
		return false;
	if (!(t->flags & TF_TLP_RTX)) { /* the probe was new data */
		t->flags &= ~TF_TLP_OUT;
		return false;
	}
	if (n->has_dsack && n->dsack.end == t->tlp_end) { /* it came twice: nothing was lost, nor are we too quick */
		t->flags &= ~TF_TLP_OUT;
		n->has_dsack = false;
		n->dup = 0;
		return false;
	}
	if (seq_gt(seg->ack, t->tlp_end)) {
		t->flags &= ~TF_TLP_OUT;
		return true;
	}
	if (!n->acked && !seg->n_sack) /* a duplicate ACK: it came twice */
		t->flags &= ~TF_TLP_OUT;
	return false;
}
