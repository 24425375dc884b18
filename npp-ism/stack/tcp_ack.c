/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_ack.c - what an acknowledgment does to the sending side
 *
 * Recovery has three states. OPEN: nothing is lost as far as we know. RECOVERY: the
 * scoreboard (or three duplicate ACKs) shows a loss; cwnd was reduced once and lost
 * segments are sent again as pipe allows (RFC 6675, RFC 6582). LOSS: a timeout; all that
 * is not SACKed counts as lost and cwnd starts from one segment (RFC 5681). Both end
 * when `recover`, the snd_nxt of their beginning, is acknowledged.
 *
 * What is lost is told by counts of segments and by time (tcp_sack.c); where no more ACKs
 * come to look at the clock, the transmit timer does it (TXM_REORDER).
 *
 * A reduction is taken back if it proves needless: the first ACK after it echoes a
 * timestamp from before the retransmission (Eifel, RFC 3522), or D-SACKs report every
 * byte that was sent again as received twice (RFC 3708).
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

/* ---- round-trip time (RFC 6298) --------------------------------------------------------- */

void tcp_rtt_sample(struct tcb *t, uint32_t us)
{
	uint32_t err;

	if (us == 0)
		us = 1;
	if (us > TCP_RTO_MAX_US)
		return;
	if (!t->min_rtt_us || us < t->min_rtt_us)
		t->min_rtt_us = us;
	if (!t->srtt_us) {
		t->srtt_us = us;
		t->rttvar_us = us / 2;
	} else {
		err = us > t->srtt_us ? us - t->srtt_us : t->srtt_us - us;
		t->rttvar_us = (3 * t->rttvar_us + err) / 4;
		t->srtt_us = (uint32_t)((7ull * t->srtt_us + us) / 8);
		if (!t->srtt_us)
			t->srtt_us = 1;
	}
	t->backoff = 0;
	t->rto_us = t->srtt_us + u32_max(4 * t->rttvar_us, 1000);
	t->rto_us = u32_min(u32_max(t->rto_us, TCP_RTO_MIN_US), TCP_RTO_MAX_US);
}

/* What the peer's echo of our timestamp says, in whole milliseconds. */
static bool rtt_by_timestamp(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	uint32_t ms = tcp_tsval(s, t->ts_off) - seg->tsecr;

	if (!(t->flags & TF_TS) || !(seg->opt & TO_TS) || !seg->tsecr || ms >= 60000)
		return false;
	tcp_rtt_sample(t, u32_max(ms, 1) * 1000);
	return true;
}

void tcp_rtt_of_syn(struct stack *s, struct tcb *t, const struct tcp_seg *seg, unsigned tries, uint32_t sent_us)
{
	t->backoff = 0;
	if (tries == 0)
		tcp_rtt_sample(t, (uint32_t)s->now_us - sent_us);
	else if (!rtt_by_timestamp(s, t, seg))
		t->rto_us = TCP_RTO_LOST_SYN_US;
}

static void take_rtt(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	if (t->flags & TF_RTT_TIMING) {
		if (seq_geq(seg->ack, t->rtt_seq)) {
			tcp_rtt_sample(t, (uint32_t)s->now_us - t->rtt_start_us);
			t->flags &= ~TF_RTT_TIMING;
		}
		return;
	}
	/* While segments are sent again only timestamps tell (Karn). */
	if (t->recovery != TCP_OPEN)
		(void)rtt_by_timestamp(s, t, seg);
}

/* ---- entering and leaving recovery --------------------------------------------------------- */

static void remember_for_undo(struct stack *s, struct tcb *t)
{
	const struct tcp_block *b = tcp_block(s, t->sacked);
	uint32_t far = b && b->n ? (b->r[b->n - 1].end - t->snd_una) / t->mss + 1 : 0;

	t->prior_cwnd = t->cwnd;
	t->prior_ssthresh = t->ssthresh;
	t->undo_bytes = 0;
	t->rtx_ts = tcp_tsval(s, t->ts_off);
	t->reordering = (uint16_t)u32_min(far, TCP_DUPTHRESH_MAX);
	t->flags |= TF_UNDO;
}

static void recovery_begin(struct stack *s, struct tcb *t, enum tcp_recovery kind)
{
	t->recovery = (uint8_t)kind;
	t->recover = t->rtx_mark = t->hole_mark = t->snd_nxt;
	t->rtx_us = t->hole_us = (uint32_t)s->now_us;
	t->rtx_later = 0;
	t->high_rxt = t->snd_una;
	t->flags |= TF_RTX_FIRST;
	t->flags &= ~(TF_RTT_TIMING | TF_TLP_OUT | TF_RTX_AGAIN);
	t->n_lost++;
	tcp_todo(s, t);
}

static void recovery_end(struct tcb *t)
{
	t->recovery = TCP_OPEN;
	t->dupacks = 0;
	t->recover = t->high_rxt = t->lost_edge = t->snd_una;
	t->flags &= ~(TF_RTX_FIRST | TF_RTX_AGAIN);
}

static void enter_recovery(struct stack *s, struct tcb *t)
{
	STAT_INC(s, IS_TCP_FAST_RETRANS);
	remember_for_undo(s, t);
	t->ssthresh = tcp_cc(t)->ssthresh(s, t);
	t->cwnd = t->ssthresh;
	recovery_begin(s, t, TCP_RECOVERY);
}

/* The retransmission timer has fired. */
void tcp_enter_loss(struct stack *s, struct tcb *t)
{
	const struct tcp_block *b = tcp_block(s, t->sacked);

	if (t->recovery == TCP_OPEN)
		remember_for_undo(s, t);
	if (t->recovery != TCP_LOSS)
		t->ssthresh = tcp_cc(t)->ssthresh(s, t);
	if (b && b->n && seq_leq(b->r[0].start, t->snd_una))
		tcp_sack_clear(s, t); /* the peer has thrown away what it had SACKed (RFC 2018, 8) */
	t->cwnd = t->mss;
	t->dupacks = 0;
	t->lost_edge = t->snd_nxt;
	recovery_begin(s, t, TCP_LOSS);
}

static void undo(struct stack *s, struct tcb *t)
{
	STAT_INC(s, IS_TCP_UNDO);
	t->cwnd = u32_max(t->cwnd, t->prior_cwnd);
	t->ssthresh = u32_max(t->ssthresh, t->prior_ssthresh);
	t->dupthresh = (uint16_t)u32_max(t->dupthresh, t->reordering);
	t->flags &= ~TF_UNDO;
	tcp_cc(t)->idle(t);
	recovery_end(t);
}

/* ---- losses of what was sent again, and of what is waited for no longer ----------------------- */

/* The first hole was sent again: how many bytes that were sent after that have arrived? */
static uint32_t overtook(const struct stack *s, const struct tcb *t)
{
	if (t->recovery == TCP_OPEN || t->sacked == TCP_NONE || t->flags & TF_RTX_AGAIN ||
	    !seq_gt(t->high_rxt, t->snd_una))
		return 0;
	return t->rtx_later + tcp_ranges_sum(tcp_block(s, t->sacked), seq_max(t->hole_mark, t->snd_una), t->snd_nxt);
}

/* A second loss within a window: the window is reduced a second time (RFC 5681, 4.3). */
static void lost_again(struct stack *s, struct tcb *t)
{
	if (t->recovery == TCP_RECOVERY && t->flags & TF_UNDO) {
		t->ssthresh = tcp_cc(t)->ssthresh(s, t);
		t->cwnd = u32_min(t->cwnd, t->ssthresh);
	}
	t->flags &= ~TF_UNDO;
}

static uint32_t quarter_more(const struct tcb *t)
{
	return t->srtt_us + t->srtt_us / 4;
}

static void see_lost_again(struct stack *s, struct tcb *t)
{
	uint32_t many = (t->dupthresh - 1u) * t->mss, n = overtook(s, t);

	if (!n)
		return;
	/* Sent after the last hole had been sent again: no hole has come through. */
	if (tcp_ranges_sum(tcp_block(s, t->sacked), seq_max(t->rtx_mark, t->snd_una), t->snd_nxt) > many) {
		t->high_rxt = t->snd_una;
		t->flags |= TF_RTX_FIRST;
		lost_again(s, t);
	} else if (n > many || (uint32_t)s->now_us - t->hole_us > quarter_more(t)) {
		t->flags |= TF_RTX_AGAIN;
		lost_again(s, t);
	}
}

uint32_t tcp_reorder_wait(const struct stack *s, const struct tcb *t)
{
	uint32_t gone, wait;

	if (!(t->flags & TF_SACK) || t->sacked == TCP_NONE)
		return 0;
	if (t->recovery == TCP_OPEN) {
		/* A network that was seen to reorder has a whole round trip. */
		wait = t->dupthresh > TCP_DUPTHRESH ? t->srtt_us : t->srtt_us / 4;
		return u32_max(wait, TCP_REORDER_MIN_US);
	}
	if (!overtook(s, t))
		return 0;
	gone = (uint32_t)s->now_us - t->hole_us;
	wait = u32_max(quarter_more(t), TCP_REORDER_MIN_US);
	return gone < wait ? wait - gone : 1;
}

void tcp_reorder_over(struct stack *s, struct tcb *t)
{
	const struct tcp_block *b = tcp_block(s, t->sacked);

	if (t->recovery != TCP_OPEN) {
		if (overtook(s, t)) {
			t->flags |= TF_RTX_AGAIN;
			lost_again(s, t);
		}
		return;
	}
	if (!b || !b->n)
		return;
	t->lost_edge = seq_max(t->lost_edge, b->r[b->n - 1].start);
	enter_recovery(s, t);
}

/* ---- recovery, per ACK ------------------------------------------------------------------------ */

static void recovery_open(struct stack *s, struct tcb *t, bool news, bool dupack)
{
	if (t->flags & TF_SACK) {
		if (!news || t->sacked == TCP_NONE)
			return;
		tcp_sack_mark_lost(s, t);
		if (seq_gt(t->lost_edge, t->snd_una))
			enter_recovery(s, t);
		return;
	}
	if (dupack && ++t->dupacks >= t->dupthresh) {
		t->lost_edge = seq_min(t->snd_una + t->mss, t->snd_nxt);
		enter_recovery(s, t);
	}
}

static void recovery_run(struct stack *s, struct tcb *t, uint32_t acked, uint32_t fresh, bool dupack)
{
	if (acked && seq_geq(t->snd_una, t->recover)) {
		if (t->recovery == TCP_RECOVERY) {
			t->cwnd = t->ssthresh;
			if (!(t->flags & TF_SACK)) /* RFC 6582, 3.2: no burst */
				t->cwnd = u32_min(t->ssthresh, u32_max(t->snd_nxt - t->snd_una, t->mss) + t->mss);
		}
		recovery_end(t);
		return;
	}
	if (t->flags & TF_SACK) {
		if (fresh)
			see_lost_again(s, t);
		if (t->recovery == TCP_RECOVERY && (fresh || acked))
			tcp_sack_mark_lost(s, t);
		return;
	}
	if (t->recovery == TCP_LOSS)
		return;
	if (dupack)
		t->dupacks++;
	if (acked) { /* a partial ACK: the next hole begins where it ends */
		t->dupacks -= u32_min(t->dupacks, acked > t->mss ? acked / t->mss - 1 : 0);
		t->high_rxt = t->snd_una;
		t->lost_edge = seq_min(t->snd_una + t->mss, t->snd_nxt);
		t->flags |= TF_RTX_FIRST;
	}
}

/* True: the reduction was needless, and is undone. */
static bool try_undo(struct stack *s, struct tcb *t, const struct tcp_seg *seg, uint32_t acked, uint32_t dup)
{
	if (!(t->flags & TF_UNDO))
		return false;
	if (acked && t->recovery != TCP_OPEN && t->undo_bytes && t->flags & TF_TS && seg->opt & TO_TS && seg->tsecr &&
	    seq_lt(seg->tsecr, t->rtx_ts)) {
		undo(s, t);
		return true;
	}
	if (acked && t->recovery != TCP_OPEN && t->undo_bytes)
		t->rtx_ts = seg->tsecr; /* only the first ACK can tell */
	if (dup && t->undo_bytes) {
		t->undo_bytes -= u32_min(t->undo_bytes, dup);
		if (!t->undo_bytes) {
			undo(s, t);
			return true;
		}
	}
	return false;
}

/* ---- the ACK ------------------------------------------------------------------------------------ */

static bool update_window(struct tcb *t, const struct tcp_seg *seg)
{
	uint32_t wnd = seg->wnd << t->snd_ws;
	bool changed;

	if (!seq_lt(t->snd_wl1, seg->seq) && !(t->snd_wl1 == seg->seq && seq_leq(t->snd_wl2, seg->ack)))
		return false;
	changed = wnd != t->snd_wnd;
	t->snd_wnd = wnd;
	t->max_wnd = u32_max(t->max_wnd, wnd);
	t->snd_wl1 = seg->seq;
	t->snd_wl2 = seg->ack;
	return changed;
}

/* A hole that was filled without our help shows how far the network reorders. */
static void see_reordering(struct stack *s, struct tcb *t, uint32_t ack)
{
	const struct tcp_block *b = tcp_block(s, t->sacked);
	uint32_t far;

	if (!b || !b->n || t->recovery != TCP_OPEN || t->flags & TF_TLP_OUT || !seq_gt(b->r[0].start, t->snd_una) ||
	    seq_lt(ack, b->r[0].start))
		return;
	far = (b->r[b->n - 1].end - t->snd_una) / t->mss + 1;
	t->dupthresh = (uint16_t)u32_max(t->dupthresh, u32_min(far, TCP_DUPTHRESH_MAX));
}

static void advance_una(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	struct tcp_block *b;
	uint32_t tail = seg->ack - t->iss - 1;

	see_reordering(s, t, seg->ack);
	take_rtt(s, t, seg);
	t->snd_una = seg->ack;
	if (t->flags & TF_FIN_SENT && seg->ack == t->snd_nxt) {
		tail--; /* the FIN has no byte */
		if (!(t->flags & TF_TX_DONE)) {
			t->flags |= TF_TX_DONE;
			t->up |= TCP_UP_TX_DONE;
		}
	}
	if (tail != t->c.tx_tail) {
		t->c.tx_tail = tail;
		t->up |= TCP_UP_TX;
	}
	b = tcp_block(s, t->sacked);
	if (b) {
		tcp_ranges_trim(b, t->snd_una);
		if (!b->n)
			tcp_block_put(s, &t->sacked);
	}
	if (t->recovery == TCP_OPEN) {
		t->recover = t->high_rxt = t->lost_edge = t->snd_una;
		t->dupacks = 0;
	} else {
		t->high_rxt = seq_max(t->high_rxt, t->snd_una);
		t->hole_mark = t->rtx_mark;
		t->hole_us = t->rtx_us;
		t->rtx_later = 0;
		t->flags &= ~TF_RTX_AGAIN;
	}
	t->snd_sml = seq_max(t->snd_sml, t->snd_una);
	if (t->flags & TF_TLP_OUT && seq_geq(t->snd_una, t->tlp_end))
		t->flags &= ~TF_TLP_OUT;
	t->tries = 0;
	/* Karn: the longer RTO stays until an RTT is measured; but on a bad path without timestamps
	 * that may be long after. */
	t->backoff = t->backoff > 2 ? 2 : t->backoff;
	t->soft_error = 0;
	t->progress_ms = now_ms(s);
	ip_confirm(s, &t->path);
}

enum tcp_verdict tcp_ack_input(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	uint32_t acked = seg->ack - t->snd_una, fresh = 0, dup = 0, flight;
	bool changed, dupack;

	if (seq_gt(seg->ack, t->snd_nxt) || seq_lt(seg->ack, t->snd_una - t->max_wnd)) {
		STAT_INC(s, IS_DROP_TCP_ACK); /* RFC 5961, 5.2 */
		tcp_challenge(s, t);
		return TCPV_DONE;
	}
	if (seq_lt(seg->ack, t->snd_una))
		return TCPV_NEXT; /* old: says nothing new */
	changed = update_window(t, seg);
	if (t->tx_mode == TXM_PERSIST || !t->snd_wnd)
		t->tries = 0; /* the peer is there */
	if (!acked && !seg->n_sack && !changed && t->snd_una == t->snd_nxt)
		return TCPV_NEXT; /* nothing in flight: only text, if that */
	flight = t->snd_nxt - t->snd_una;
	if (seg->n_sack && t->flags & TF_SACK)
		fresh = tcp_sack_input(s, t, seg, &dup);
	dupack = !acked && !changed && flight && !seg->len && !(seg->flags & TCPF_FIN);
	if (dupack)
		STAT_INC(s, IS_TCP_DUPACK);
	if (acked)
		advance_una(s, t, seg);
	if (!try_undo(s, t, seg, acked, dup)) {
		if (t->recovery != TCP_OPEN)
			recovery_run(s, t, acked, fresh, dupack);
		else
			recovery_open(s, t, fresh || acked, dupack);
	}
	if (acked && t->recovery != TCP_RECOVERY)
		tcp_cc_acked(s, t, acked, flight);
	if (acked)
		tcp_arm_tx(s, t);
	if (fresh || acked)
		tcp_arm_reorder(s, t);
	tcp_todo(s, t);
	return TCPV_NEXT;
}
