/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_recovery.c - after a loss was seen: how fast to send, when it is over, and when it
 *                  had been none
 *
 * OPEN: nothing is lost as far as we know. RECOVERY: RACK (tcp_rack.c; without SACK three
 * duplicate ACKs) has found a loss; ssthresh was reduced once, and cwnd follows it by
 * proportional rate reduction (RFC 6937 as revised by RFC 9937): for what has arrived,
 * beta times as much is sent. LOSS: a timeout; cwnd starts from one segment (RFC 5681).
 * Both end when `recover`, the snd_nxt of their beginning, is acknowledged.
 *
 * A reduction is taken back if it proves needless:
 *   - the first ACK after a retransmission echoes a timestamp from before it (Eifel, RFC
 *     3522 and RFC 4015);
 *   - D-SACKs report every byte that was sent again as received twice (RFC 3708);
 *   - after a timeout, something arrives that was sent once only (F-RTO, RFC 5682 with
 *     SACK: the first segment goes again, then new data, and that is what tells).
 *
 * A loss of a retransmission reduces the window a second time, but not a third (RFC 5681,
 * 4.3), and cannot be taken back. Without a flight record (the pool is bounded) recovery
 * works as without SACK, and neither has PRR nor undo.
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

/* ---- entering ------------------------------------------------------------------------------ */

static void remember_for_undo(struct stack *s, struct tcb *t)
{
	struct tcp_flight *f = tcp_flight_get(s, t);

	t->flags &= ~TF_UNDO;
	if (!f)
		return;
	f->prior_cwnd = t->cwnd;
	f->prior_ssthresh = t->ssthresh;
	f->undo_bytes = 0;
	f->rtx_ts = tcp_tsval(s, t->ts_off);
	t->flags |= TF_UNDO;
}

static void recovery_begin(struct stack *s, struct tcb *t, enum tcp_recovery kind)
{
	t->recovery = (uint8_t)kind;
	t->recover = t->snd_nxt;
	t->flags |= TF_RTX_FIRST;
	t->flags &= ~(TF_TLP_OUT | TF_ECN_ROUND);
	if (t->flags & TF_ECN)
		t->flags |= TF_CWR;
	tcp_todo(s, t);
}

static void enter_recovery(struct stack *s, struct tcb *t, const struct tcp_news *n)
{
	struct tcp_flight *f;

	STAT_INC(s, IS_TCP_FAST_RETRANS);
	remember_for_undo(s, t);
	/* Losses and marks in one window are one sign (RFC 3168, 6.1.2). */
	if (t->mtu_try && tcp_mtu_only_probe_lost(s, t))
		t->ssthresh = t->cwnd; /* RFC 4821, 7.5: that says nothing of congestion */
	else if (!(t->flags & TF_ECN_ROUND))
		t->ssthresh = tcp_cc(t)->ssthresh(s, t);
	f = tcp_flight(s, t);
	if (f) {
		f->prr_delivered = f->prr_out = 0;
		f->prr_flight = u32_max(t->snd_nxt - t->snd_una - t->sacked + n->delivered, 1);
	} else {
		t->cwnd = t->ssthresh;
	}
	recovery_begin(s, t, TCP_RECOVERY);
}

void tcp_recovery_loss(struct stack *s, struct tcb *t)
{
	const struct tcp_sent *r = tcp_sent(s, t);

	t->flags &= ~(TF_FRTO | TF_FRTO_NEW);
	if (t->recovery == TCP_OPEN) {
		remember_for_undo(s, t);
		t->flags |= t->flags & TF_SACK ? TF_FRTO : 0; /* RFC 5682, 3.1 (1) */
	}
	if (t->recovery != TCP_LOSS)
		t->ssthresh = tcp_cc(t)->ssthresh(s, t);
	if (t->n_sent && r->flags & SENT_SACKED)
		tcp_sent_renege(s, t); /* the peer has thrown away what it had SACKed (RFC 2018, 8) */
	t->cwnd = t->mss;
	if (!(t->flags & TF_SACK))
		t->dupacks = 0;
	tcp_rack_timeout(s, t);
	recovery_begin(s, t, TCP_LOSS);
}

void tcp_recovery_pmtu(struct stack *s, struct tcb *t, uint32_t from, uint32_t end)
{
	tcp_sent_lose(s, t, from, end);
	if (t->recovery == TCP_RECOVERY) /* it goes on without rate reduction, but not without the reduction */
		t->cwnd = u32_min(t->cwnd, t->ssthresh);
	t->recovery = TCP_LOSS;
	t->recover = t->snd_nxt;
	t->flags |= TF_RTX_FIRST;
	t->flags &= ~(TF_UNDO | TF_FRTO | TF_FRTO_NEW | TF_TLP_OUT);
	tcp_todo(s, t);
}

/* ---- leaving --------------------------------------------------------------------------------- */

static void recovery_end(struct tcb *t)
{
	t->recovery = TCP_OPEN;
	t->recover = t->snd_una;
	t->flags &= ~(TF_RTX_FIRST | TF_FRTO | TF_FRTO_NEW);
	if (!t->sacked)
		t->dupacks = 0;
	tcp_rack_recovered(t);
}

static void recovered(struct tcb *t)
{
	if (t->recovery == TCP_RECOVERY) {
		t->cwnd = t->ssthresh;
		if (!(t->flags & TF_SACK)) /* RFC 6582, 3.2: no burst */
			t->cwnd = u32_min(t->ssthresh, u32_max(t->snd_nxt - t->snd_una, t->mss) + t->mss);
	}
	recovery_end(t);
}

static void undo(struct stack *s, struct tcb *t, const struct tcp_flight *f)
{
	STAT_INC(s, IS_TCP_UNDO);
	if (t->recovery == TCP_RECOVERY)
		t->flags |= TF_REORDERS; /* what was taken for lost was late */
	t->cwnd = u32_max(t->cwnd, f->prior_cwnd);
	t->ssthresh = u32_max(t->ssthresh, f->prior_ssthresh);
	t->flags &= ~TF_UNDO;
	tcp_sent_found(s, t);
	tcp_cc(t)->undo(t);
	recovery_end(t);
}

/* True: the reduction was needless, and is undone. */
static bool try_undo(struct stack *s, struct tcb *t, const struct tcp_seg *seg, const struct tcp_news *n)
{
	struct tcp_flight *f = tcp_flight(s, t);

	if (t->flags & TF_ECN && seg->flags & TCPF_ECE) /* RFC 4015, 3.2: a mark asks for it as well */
		t->flags &= ~TF_UNDO;
	if (!(t->flags & TF_UNDO) || !f || !f->undo_bytes)
		return false;
	if (n->dup) {
		f->undo_bytes -= u32_min(f->undo_bytes, n->dup);
		if (!f->undo_bytes) {
			undo(s, t, f);
			return true;
		}
	}
	if (t->recovery == TCP_OPEN)
		return false;
	if (t->flags & TF_FRTO && n->orig) { /* RFC 5682, 3.1 (3b) */
		undo(s, t, f);
		return true;
	}
	if (!n->acked || !(t->flags & TF_TS) || !(seg->opt & TO_TS) || !seg->tsecr)
		return false;
	if (seq_lt(seg->tsecr, f->rtx_ts)) {
		undo(s, t, f);
		return true;
	}
	f->rtx_ts = seg->tsecr; /* only the first ACK can tell */
	return false;
}

/* ---- proportional rate reduction ----------------------------------------------------------------- */

/* RFC 9937, 6.2 (RFC 6937, 3, with its choice between the two bounds). */
static void prr(struct stack *s, struct tcb *t, const struct tcp_news *n)
{
	struct tcp_flight *f = tcp_flight(s, t);
	uint32_t pipe = tcp_pipe(t), more;
	int64_t room;

	if (!f)
		return;
	if (!f->prr_flight) /* recovery began when there was no record to be had */
		f->prr_flight = u32_max(t->snd_nxt - t->snd_una - t->sacked + n->delivered, 1);
	f->prr_delivered += n->delivered;
	if (pipe > t->ssthresh) {
		uint64_t sent = (uint64_t)f->prr_delivered * t->ssthresh;

		room = (int64_t)((sent + f->prr_flight - 1) / f->prr_flight) - f->prr_out;
	} else {
		room = (int64_t)f->prr_delivered - f->prr_out;
		if (room < n->delivered)
			room = n->delivered;
		if (n->acked && !n->lost_again) /* progress: may grow as in slow start */
			room += t->mss;
		if (room > t->ssthresh - pipe)
			room = t->ssthresh - pipe;
	}
	more = room > 0 ? (uint32_t)room : 0;
	if (!f->prr_out) /* the fast retransmission */
		more = u32_max(more, t->mss);
	t->cwnd = u32_max(pipe + more, t->mss);
}

static void reduce_again(struct stack *s, struct tcb *t)
{
	if (t->recovery == TCP_RECOVERY && t->flags & TF_UNDO) {
		t->cwnd = t->ssthresh;
		t->ssthresh = tcp_cc(t)->ssthresh(s, t);
	}
	t->flags &= ~TF_UNDO;
}

/* ---- per ACK ---------------------------------------------------------------------------------------- */

/* Without SACK, or without a record for it (RFC 6582, 3.2): a duplicate ACK stands for a segment that has left. */
static void newreno(struct stack *s, struct tcb *t, struct tcp_news *n)
{
	if (n->dupack) {
		t->dupacks++;
		n->delivered += t->mss;
	}
	if (t->recovery == TCP_OPEN) {
		/* Those of the last recovery's own retransmissions say nothing (RFC 6582, 3.2, step 2). */
		if (t->dupacks >= TCP_DUPTHRESH && (t->flags & TF_ECN_ROUND || seq_gt(t->snd_una, t->recover)))
			tcp_sent_lose(s, t, t->snd_una, seq_min(t->snd_una + t->mss, t->snd_nxt));
	} else if (t->recovery == TCP_RECOVERY && n->acked) {
		uint32_t left = u32_min(t->dupacks, n->acked > t->mss ? n->acked / t->mss - 1 : 0);

		/* A partial ACK: the next hole begins where it ends. What duplicate ACKs have told of
		 * was delivered before. */
		t->dupacks = (uint16_t)(t->dupacks - left);
		n->delivered -= u32_min(n->delivered, left * t->mss);
		tcp_sent_lose(s, t, t->snd_una, seq_min(t->snd_una + t->mss, t->snd_nxt));
		t->flags |= TF_RTX_FIRST;
	}
}

/* What the timer has to wait for; 0 nothing. */
static uint32_t find_lost(struct stack *s, struct tcb *t, struct tcp_news *n)
{
	if (!(t->flags & TF_SACK) || (t->flight == TCP_NONE && s->tcp->flight_pool.free == TCP_NONE)) {
		newreno(s, t, n);
		return 0;
	}
	return tcp_rack_detect(s, t, n);
}

void tcp_recovery_ack(struct stack *s, struct tcb *t, const struct tcp_seg *seg, struct tcp_news *n)
{
	uint32_t wait;

	if (tcp_tlp_ack(t, seg, n) && t->recovery == TCP_OPEN) { /* RFC 8985, 7.4.2: the one congestion response */
		t->ssthresh = tcp_cc(t)->ssthresh(s, t);
		t->cwnd = u32_min(t->cwnd, t->ssthresh);
	}
	tcp_rack_dsack(s, t, n);
	if (try_undo(s, t, seg, n))
		n->lost_again = false;
	if (t->flags & TF_FRTO) {
		/* RFC 5682, 3.1 (2b): new data, once, if the first segment has come through */
		if (n->acked && !(t->flags & TF_FRTO_NEW))
			t->flags |= TF_FRTO_NEW;
		else if (n->acked || n->dupack || n->fresh)
			t->flags &= ~(TF_FRTO | TF_FRTO_NEW);
	}
	if (t->recovery != TCP_OPEN && n->acked && seq_geq(t->snd_una, t->recover))
		recovered(t);
	wait = find_lost(s, t, n);
	if (t->recovery == TCP_OPEN && t->lost)
		enter_recovery(s, t, n);
	else if (n->lost_again)
		reduce_again(s, t);
	if (t->recovery == TCP_RECOVERY)
		prr(s, t, n);
	if (wait)
		tcp_arm_reorder(s, t, wait);
}

void tcp_recovery_reorder(struct stack *s, struct tcb *t)
{
	struct tcp_news n = { 0 };
	uint32_t wait = tcp_rack_detect(s, t, &n);

	if (t->recovery == TCP_OPEN && t->lost)
		enter_recovery(s, t, &n);
	else if (n.lost_again)
		reduce_again(s, t);
	if (t->recovery == TCP_RECOVERY)
		prr(s, t, &n);
	if (wait)
		tcp_arm_reorder(s, t, wait);
}
