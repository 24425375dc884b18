/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_ack.c - what an acknowledgment does to the sending side
 *
 * First what it says is taken down: the window, what is acknowledged and SACKed
 * (tcp_sent.c), the round-trip time. All that has news in it collects in struct
 * tcp_news. Then, only if something is out of order or a recovery is under way,
 * tcp_recovery.c draws its conclusions; and last congestion control.
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

/* ---- round-trip time (RFC 6298) --------------------------------------------------------- */

void tcp_rtt_sample(struct stack *s, struct tcb *t, uint32_t us)
{
	uint16_t now_s = (uint16_t)(s->now_us / 1000000);
	uint32_t err;

	if (us == 0)
		us = 1;
	if (us > TCP_RTO_MAX_US)
		return;
	if (!t->min_rtt_us || us <= t->min_rtt_us || (uint16_t)(now_s - t->min_rtt_s) > TCP_MIN_RTT_S) {
		t->min_rtt_us = us;
		t->min_rtt_s = now_s;
	}
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

uint32_t tcp_rtt_echo(const struct stack *s, uint32_t ts_off, const struct tcp_seg *seg)
{
	uint32_t ms = tcp_tsval(s, ts_off) - seg->tsecr;

	return seg->opt & TO_TS && seg->tsecr && ms < 60000 ? u32_max(ms, 1) * 1000 : 0;
}

static bool rtt_by_timestamp(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	uint32_t us = t->flags & TF_TS ? tcp_rtt_echo(s, t->ts_off, seg) : 0;

	if (us)
		tcp_rtt_sample(s, t, us);
	return us;
}

void tcp_rtt_of_syn(struct stack *s, struct tcb *t, const struct tcp_seg *seg, unsigned tries, uint32_t sent_us)
{
	t->tries = t->backoff = 0;
	if (tries > 1) /* RFC 6928, 2: it was lost more than once */
		t->cwnd = t->mss;
	if (tries == 0)
		tcp_rtt_sample(s, t, (uint32_t)s->now_us - sent_us);
	else if (!rtt_by_timestamp(s, t, seg))
		t->rto_us = TCP_RTO_LOST_SYN_US;
}

static void take_rtt(struct stack *s, struct tcb *t, const struct tcp_seg *seg, const struct tcp_news *n)
{
	/* Of what was sent again only timestamps tell (Karn). */
	if (n->rtt_us) {
		if (n->rtt_us < t->min_rtt_us)
			t->min_rtt_us = n->rtt_us;
		/* One for each round trip: with more of them RTTVAR would follow too fast (RFC 7323, G). */
		if (seq_gt(t->snd_una, t->rtt_seq) || t->backoff) {
			t->rtt_seq = t->snd_nxt;
			tcp_rtt_sample(s, t, n->rtt_us);
		}
	}
	if (!n->rtt_us && n->acked && t->flags & TF_TS)
		(void)rtt_by_timestamp(s, t, seg);
}

/* ---- the ACK ------------------------------------------------------------------------------------ */

/* Not from an old segment (RFC 9293, 3.10.7.4). One that acknowledges more than any before is none,
 * though its text may be a retransmission: the old window counted from the new ACK would be too much. */
static bool update_window(struct tcb *t, const struct tcp_seg *seg)
{
	uint32_t wnd = seg->wnd << t->snd_ws;
	bool changed;

	if (!seq_gt(seg->ack, t->snd_una) && !seq_lt(t->snd_wl1, seg->seq) &&
	    !(t->snd_wl1 == seg->seq && seq_leq(t->snd_wl2, seg->ack)))
		return false;
	changed = wnd != t->snd_wnd;
	t->snd_wnd = wnd;
	t->max_wnd = u32_max(t->max_wnd, wnd);
	t->snd_wl1 = seq_max(t->snd_wl1, seg->seq);
	t->snd_wl2 = seg->ack;
	return changed;
}

static void advance_una(struct stack *s, struct tcb *t, const struct tcp_seg *seg, struct tcp_news *n)
{
	uint32_t tail = seg->ack - t->iss - 1;

	tcp_sent_acked(s, t, seg->ack, seg, n);
	t->snd_una = seg->ack;
	if (t->opt_flags & TCB_MORE)
		t->opt_flags &= (uint16_t)~TCB_MORE;
	if (t->flags & TF_URG)
		tcp_urg_acked(t);
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
	if (seg->ack - t->iss >= TCP_FAR)
		t->far = 1;
	if (t->recovery == TCP_OPEN) {
		if (!(t->flags & TF_ECN_ROUND))
			t->recover = t->snd_una - 1;
		if (!t->sacked)
			t->dupacks = 0;
	}
	t->snd_sml = seq_max(t->snd_sml, t->snd_una);
	t->tries = 0;
	/* Karn: the longer RTO stays until an RTT is measured; but on a bad path without timestamps
	 * that may be long after. */
	t->backoff = t->backoff > 2 ? 2 : t->backoff;
	t->c.soft_error = 0;
	t->progress_ms = now_ms(s);
	ip_confirm(s, &t->c.path);
}

/* Nothing is in flight any more. */
static void all_acked(struct stack *s, struct tcb *t)
{
	t->flags &= ~TF_RACK; /* its times would grow old */
	if (t->recovery == TCP_OPEN)
		tcp_flight_put(s, t);
}

enum tcp_verdict tcp_ack_input(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	struct tcp_news n = { .acked = seg->ack - t->snd_una, .flight = t->snd_nxt - t->snd_una };
	bool changed, reducing = t->recovery == TCP_RECOVERY;

	if (!tcp_ack_plausible(t, seg->ack)) {
		STAT_INC(s, IS_DROP_TCP_ACK);
		tcp_challenge(s, t);
		return TCPV_DONE;
	}
	if (seq_lt(seg->ack, t->snd_una))
		return TCPV_NEXT; /* old: says nothing new */
	changed = update_window(t, seg);
	if (t->tx_mode == TXM_PERSIST || !t->snd_wnd)
		t->tries = 0; /* the peer is there */
	if (!n.acked && !seg->n_sack && !changed && !n.flight)
		return TCPV_NEXT; /* nothing in flight: only text, if that */
	n.dupack = !n.acked && !changed && n.flight && !seg->len && !(seg->flags & TCPF_FIN);
	if (n.dupack)
		STAT_INC(s, IS_TCP_DUPACK);
	if (n.acked) {
		advance_una(s, t, seg, &n);
		if (t->mtu_try)
			tcp_mtu_acked(s, t);
	}
	if (seg->n_sack && t->flags & TF_SACK)
		tcp_sack_input(s, t, seg, &n);
	take_rtt(s, t, seg, &n);
	t->delivered += n.delivered <= t->mss ? n.delivered != 0 : n.delivered / t->mss;
	if (n.acked)
		tcp_arm_tx(s, t);
	if (t->flags & TF_ECN)
		tcp_ecn_ack(s, t, seg, &n);
	if (t->recovery != TCP_OPEN || t->sacked || n.dupack || n.has_dsack || t->flags & (TF_TLP_OUT | TF_REORDERS))
		tcp_recovery_ack(s, t, seg, &n);
	if (n.acked && !reducing && t->recovery != TCP_RECOVERY)
		tcp_cc_acked(s, t, &n);
	if (!t->n_sent)
		all_acked(s, t);
	tcp_todo(s, t);
	return TCPV_NEXT;
}
