/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_input.c - the state machine of RFC 9293, section 3.10.7
 *
 * A segment finds its record (tcp_lookup.c). TCBs are handled here, half-open ones in
 * tcp_syncache.c, TIME_WAIT in tcp_tw.c; what finds no record comes to input_closed().
 *
 * The order of the checks is the RFC's: sequence number, RST, SYN, ACK, text, FIN. What a
 * state does about each of the last five stands in one table, `actions`; an action says
 * whether the segment goes on to the next step, which then looks up the state anew. The
 * first step depends on the state only by whether there is a window yet.
 *
 *              RST     SYN        ACK             text     FIN (in sequence)
 *   SYN_RCVD   closed  challenge* > ESTABLISHED   drop     drop
 *   ESTAB      closed  challenge  send side       take     > CLOSE_WAIT
 *   FIN_WAIT_1 closed  challenge  > FIN_WAIT_2    take     > CLOSING
 *   FIN_WAIT_2 closed  challenge  send side       take     > TIME_WAIT
 *   CLOSE_WAIT closed  challenge  send side       ACK      drop
 *   CLOSING    closed  challenge  > TIME_WAIT     ACK      drop
 *   LAST_ACK   closed  challenge  > CLOSED        ACK      drop
 * (*) of a connection that Fast Open made: the SYN-ACK again
 */
#include "config.h"

#include <errno.h>

#include "npp-ism/stack/tcp.h"

/* ---- checks that come first --------------------------------------------------------- */

/* RFC 7323, 5.3: R1; of a RST it says nothing, and nobody asks. A timestamp is not compared with one that is older than 24 days. */
bool tcp_paws_reject(const struct stack *s, bool ts_ok, uint32_t ts_recent, uint32_t ts_recent_s,
		     const struct tcp_seg *seg)
{
	if (!ts_ok)
		return false;
	/* RFC 7323, 3.2: not without, once agreed. But the SYN of a peer that has forgotten the connection may agree
	 * to other options, and must be challenged (RFC 5961, 4.2). */
	if (!(seg->opt & TO_TS))
		return !(seg->flags & TCPF_SYN);
	/* Some peers say 0 in their SYN and begin with their clock after that (Linux knows them, too). */
	return ts_recent && seq_lt(seg->tsval, ts_recent) && tcp_now_s(s) - ts_recent_s < TCP_PAWS_S;
}

static void take_timestamp(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	/* RFC 7323, 4.3 (2): only from what reaches down to the last ACK that was sent; and 5.5:
	 * whatever it is once ours has become too old to compare with. Not from what the ACK will show to be
	 * forged (RFC 5961, 5.2): with a timestamp of the future the peer's own segments would be old. */
	if (t->flags & TF_TS && seg->opt & TO_TS && seq_leq(seg->seq, t->rcv_acked) && tcp_ack_plausible(t, seg->ack) &&
	    (!t->ts_recent || seq_geq(seg->tsval, t->ts_recent) || tcp_now_s(s) - t->ts_recent_s >= TCP_PAWS_S)) {
		t->ts_recent = seg->tsval;
		t->ts_recent_s = tcp_now_s(s);
	}
}

static uint32_t window_of(const struct tcb *t)
{
	return seq_gt(t->rcv_adv, t->rcv_nxt) ? t->rcv_adv - t->rcv_nxt : 0;
}

/* SEG is dropped with an ACK, which repeats what we have (RFC 9293, 3.10.7.4). Data is answered
 * always (its ACK was lost, or it is a window probe), the rest now and then, so that two
 * confused ends do not talk forever. */
static void repeat_ack(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	if (!seg_space(seg) || seg->flags & TCPF_SYN) {
		if ((uint32_t)s->now_us - t->oow_us < TCP_OOW_ACK_US)
			return;
		t->oow_us = (uint32_t)s->now_us;
	}
	t->flags |= TF_ACK_NOW;
	tcp_todo(s, t);
}

static void out_of_window(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	STAT_INC(s, IS_DROP_TCP_WINDOW);
	if (seg->len && seq_lt(seg->seq, t->rcv_nxt) && (t->c.state >= TCP_ST_ESTABLISHED || t->c.passive)) {
		t->dsack = seg->seq;
		t->dsack_len = (uint16_t)seg->len; /* all of it lies below rcv_nxt */
		t->flags |= TF_DSACK;
	}
	repeat_ack(s, t, seg);
}

/* The window's edges count as inside, as with Linux. But what has no text in the window completes no handshake of a
 * passive open (RFC 9293, 3.10.7.4), whoever holds it half open: see tcp_syncache.c. */
static bool in_window(const struct tcb *t, const struct tcp_seg *seg)
{
	uint32_t end = seg->seq + seg_space(seg), edge = t->rcv_nxt + window_of(t);

	if (t->c.state == TCP_ST_SYN_RECEIVED && t->c.passive)
		return seg->seq == t->rcv_nxt || (seq_gt(end, t->rcv_nxt) && seq_lt(seg->seq, edge));
	return seq_geq(end, t->rcv_nxt) && seq_leq(seg->seq, edge);
}

/* RFC 5961, 3.2. */
static bool rst_acceptable(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	if (seg->seq == t->rcv_nxt)
		return true;
	STAT_INC(s, IS_DROP_TCP_WINDOW);
	if (seq_gt(seg->seq, t->rcv_nxt) && seq_lt(seg->seq, t->rcv_nxt + window_of(t)))
		tcp_challenge(s, t);
	return false;
}

static bool seq_acceptable(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	if (seg->flags & TCPF_RST)
		return rst_acceptable(s, t, seg);
	if (tcp_paws_reject(s, t->flags & TF_TS, t->ts_recent, t->ts_recent_s, seg)) {
		STAT_INC(s, IS_DROP_TCP_PAWS);
		if (seg->opt & TO_TS) /* else silently (RFC 7323, 3.2) */
			repeat_ack(s, t, seg);
		return false;
	}
	/* Simultaneous open: the peer's SYN-ACK repeats the SYN that we have. */
	if (t->c.state == TCP_ST_SYN_RECEIVED && seg->flags & TCPF_SYN && seg->flags & TCPF_ACK &&
	    seg->seq == tcp_irs(t)) {
		seg->flags &= (uint8_t)~TCPF_SYN;
		seg->seq++;
		seg->wnd >>= t->snd_ws; /* that of a SYN is not scaled; it will be below */
	}
	if (seg->flags & TCPF_SYN) /* RFC 5961, 4.2: wherever it stands */
		return true;
	if (!in_window(t, seg)) {
		out_of_window(s, t, seg);
		return false;
	}
	return true;
}

/* ---- actions ----------------------------------------------------------------------------- */

static enum tcp_verdict act_drop(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	(void)t;
	(void)seg;
	STAT_INC(s, IS_DROP_TCP_STATE);
	return TCPV_DONE;
}

static enum tcp_verdict act_challenge(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	(void)seg;
	STAT_INC(s, IS_DROP_TCP_WINDOW);
	tcp_challenge(s, t);
	return TCPV_DONE;
}

/* The SYN of a connection by Fast Open again: the SYN-ACK was lost. */
static enum tcp_verdict act_syn_opening(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	if (!(t->flags & TF_FASTOPEN) || seg->seq != tcp_irs(t) || seg->flags & TCPF_ACK)
		return act_challenge(s, t, seg);
	STAT_INC(s, IS_DROP_TCP_DUP);
	tcp_send_syn(s, t);
	return TCPV_DONE;
}

static enum tcp_verdict rst_with(struct stack *s, struct tcb *t, int err)
{
	STAT_INC(s, IS_TCP_RST_IN);
	tcp_kill(s, t, err);
	return TCPV_DONE;
}

static enum tcp_verdict act_rst_opening(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	(void)seg;
	return rst_with(s, t, t->c.passive ? ECONNRESET : ECONNREFUSED);
}

static enum tcp_verdict act_rst(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	(void)seg;
	return rst_with(s, t, ECONNRESET);
}

static enum tcp_verdict act_rst_close_wait(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	(void)seg;
	return rst_with(s, t, EPIPE);
}

static enum tcp_verdict act_rst_closing(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	(void)seg;
	return rst_with(s, t, 0);
}

static bool fin_acked(const struct tcb *t)
{
	return t->flags & TF_FIN_SENT && t->snd_una == t->snd_nxt;
}

/* The user may have said its last byte before the handshake was complete. */
static void opened(struct stack *s, struct tcb *t)
{
	tcp_change_state(s, t, TCP_ST_ESTABLISHED);
	if (t->flags & TF_FIN) {
		tcp_change_state(s, t, TCP_ST_FIN_WAIT_1);
		t->up |= TCP_UP_CONNECTED; /* whoever opened it: no longer what its program was shown */
	}
}

/* What of the data in our SYN the SYN-ACK has not acknowledged counts as never sent. */
static void syn_data_acked(struct tcb *t, uint32_t ack)
{
	t->snd_una = t->snd_nxt = t->snd_sml = t->fack = t->rtt_seq = ack;
	t->recover = ack - 1;
	if (t->flags & TF_URG)
		tcp_urg_acked(t);
	if (ack == t->iss + 1)
		return;
	t->c.tx_tail = ack - t->iss - 1;
	t->up |= TCP_UP_TX;
}

/* A connection by Fast Open has data in flight perhaps, which the ACK covers or not. */
static enum tcp_verdict opened_fast(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	t->snd_wl1 = seg->seq - 1; /* the window of the SYN was not scaled */
	tcp_rtt_of_syn(s, t, seg, t->tries, t->rack_us);
	tcp_due(s, t, DUE_TX, 0);
	opened(s, t);
	tcp_arm_tx(s, t);
	ip_confirm(s, &t->c.path);
	return tcp_ack_input(s, t, seg);
}

static enum tcp_verdict act_ack_opening(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	if (t->flags & TF_FASTOPEN && t->c.passive && seq_gt(seg->ack, t->iss) && seq_leq(seg->ack, t->snd_nxt))
		return opened_fast(s, t, seg);
	if (seq_leq(seg->ack, t->iss) || seq_gt(seg->ack, t->snd_sml)) {
		STAT_INC(s, IS_DROP_TCP_ACK);
		tcp_send_rst(s, seg);
		return TCPV_DONE;
	}
	syn_data_acked(t, seg->ack);
	t->snd_wnd = seg->wnd << t->snd_ws;
	t->max_wnd = u32_max(t->max_wnd, t->snd_wnd);
	t->snd_wl1 = seg->seq;
	t->snd_wl2 = seg->ack;
	tcp_rtt_of_syn(s, t, seg, t->tries, t->rack_us);
	tcp_due(s, t, DUE_TX, 0);
	opened(s, t);
	return TCPV_NEXT;
}

static enum tcp_verdict act_ack(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	return tcp_ack_input(s, t, seg);
}

static enum tcp_verdict act_ack_fin_wait_1(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	if (tcp_ack_input(s, t, seg) == TCPV_DONE)
		return TCPV_DONE;
	if (fin_acked(t))
		tcp_change_state(s, t, TCP_ST_FIN_WAIT_2);
	return TCPV_NEXT;
}

static enum tcp_verdict act_ack_closing(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	if (tcp_ack_input(s, t, seg) == TCPV_NEXT && fin_acked(t))
		tcp_change_state(s, t, TCP_ST_TIME_WAIT);
	return TCPV_NEXT;
}

static enum tcp_verdict act_ack_last_ack(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	if (tcp_ack_input(s, t, seg) == TCPV_NEXT && fin_acked(t))
		tcp_kill(s, t, 0);
	return TCPV_NEXT;
}

static enum tcp_verdict act_text(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	if (t->flags & TF_ORPHAN && seg->len && seq_gt(seg->seq + seg->len, t->rcv_nxt)) {
		/* Data that nobody will read any more (RFC 1122, 4.2.2.13). */
		STAT_INC(s, IS_DROP_TCP_STATE);
		tcp_reset(s, t, 0);
		return TCPV_DONE;
	}
	tcp_recv_data(s, t, seg);
	return TCPV_NEXT;
}

/* The peer's FIN was taken; what comes now is a copy, or nonsense. */
static enum tcp_verdict act_text_again(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	(void)seg;
	STAT_INC(s, IS_DROP_TCP_DUP);
	t->flags |= TF_ACK_NOW;
	tcp_todo(s, t);
	return TCPV_DONE;
}

static enum tcp_verdict fin_to(struct stack *s, struct tcb *t, enum npp_tcp_state to)
{
	t->rcv_nxt++;
	t->up |= TCP_UP_FIN | TCP_UP_RX;
	t->flags |= TF_ACK_NOW;
	tcp_change_state(s, t, to);
	return TCPV_NEXT;
}

static enum tcp_verdict act_fin_established(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	(void)seg;
	return fin_to(s, t, TCP_ST_CLOSE_WAIT);
}

static enum tcp_verdict act_fin_wait_1(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	(void)seg;
	return fin_to(s, t, TCP_ST_CLOSING);
}

static enum tcp_verdict act_fin_wait_2(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	(void)seg;
	return fin_to(s, t, TCP_ST_TIME_WAIT);
}

enum tcp_event { EV_RST, EV_SYN, EV_ACK, EV_TEXT, EV_FIN, EV_COUNT };
typedef enum tcp_verdict tcp_action(struct stack *s, struct tcb *t, struct tcp_seg *seg);
#define NOTHING { act_drop, act_drop, act_drop, act_drop, act_drop }

/* States without a TCB in tcp_input_conn(), or with input of their own, drop everything. */
static tcp_action *const actions[TCP_ST_COUNT][EV_COUNT] = {
	[TCP_ST_CLOSED] = NOTHING,
	[TCP_ST_LISTEN] = NOTHING,
	[TCP_ST_SYN_SENT] = NOTHING,
	[TCP_ST_SYN_RECEIVED] = { act_rst_opening, act_syn_opening, act_ack_opening, act_drop, act_drop },
	[TCP_ST_ESTABLISHED] = { act_rst, act_challenge, act_ack, act_text, act_fin_established },
	[TCP_ST_FIN_WAIT_1] = { act_rst, act_challenge, act_ack_fin_wait_1, act_text, act_fin_wait_1 },
	[TCP_ST_FIN_WAIT_2] = { act_rst, act_challenge, act_ack, act_text, act_fin_wait_2 },
	[TCP_ST_CLOSE_WAIT] = { act_rst_close_wait, act_challenge, act_ack, act_text_again, act_drop },
	[TCP_ST_CLOSING] = { act_rst_closing, act_challenge, act_ack_closing, act_text_again, act_drop },
	[TCP_ST_LAST_ACK] = { act_rst_closing, act_challenge, act_ack_last_ack, act_text_again, act_drop },
	[TCP_ST_TIME_WAIT] = NOTHING,
};

/* True: SEG goes on to the next step. */
static bool step(struct stack *s, struct tcb *t, struct tcp_seg *seg, enum tcp_event ev)
{
	return actions[t->c.state][ev](s, t, seg) == TCPV_NEXT && !(t->flags & TF_DEAD);
}

/* A segment of the peer's, for certain: it is there. What is out of the window, old or forged says nothing of that. */
static void heard(struct stack *s, struct tcb *t)
{
	/* After a pause longer than an ACK may wait nothing would be merged; where nobody answers, the timer would send it. */
	if (!(t->flags & TF_INTERACTIVE) && now_ms(s) - t->last_rx_ms > TCP_DELACK_US / 1000)
		t->quick = TCP_QUICK_ACKS;
	t->last_rx_ms = now_ms(s);
	t->keep_probes = 0;
}

/* Text and FIN. */
static void take_text(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	if ((seg->len || seg->flags & TCPF_FIN) && !step(s, t, seg, EV_TEXT))
		return;
	if (t->flags & TF_RCV_FIN && t->rcv_nxt == t->rcv_fin)
		step(s, t, seg, EV_FIN);
}

static void input_synchronized(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	if (!seq_acceptable(s, t, seg))
		return;
	if (seg->flags & TCPF_RST) {
		step(s, t, seg, EV_RST);
		return;
	}
	if (seg->flags & TCPF_SYN) {
		step(s, t, seg, EV_SYN);
		return;
	}
	if (!(seg->flags & TCPF_ACK)) {
		act_drop(s, t, seg);
		return;
	}
	take_timestamp(s, t, seg);
	if (!step(s, t, seg, EV_ACK))
		return;
	heard(s, t);
	ip_heard(&t->c.path, seg->pkt->port);
	if (seg->flags & TCPF_URG)
		tcp_urg_input(s, t, seg);
	take_text(s, t, seg);
}

/* ---- SYN_SENT (3.10.7.3) -------------------------------------------------------------------- */

static void syn_sent_options(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	t->rcv_nxt = t->rcv_acked = seg->seq + 1;
	if (t->flags & TF_URG)
		t->rcv_up = t->rcv_nxt - 1; /* it was said before there was a number */
	t->rcv_adv += t->rcv_nxt; /* as our SYN promised, whatever the buffer became since */
	if (seg->opt & TO_MSS)
		t->peer_mss = (uint16_t)u32_max(seg->mss, TCP_MSS_MIN);
	t->peer_mss = tcp_mss_max(t->peer_mss, t->syn_mss);
	if (seg->opt & TO_TS) {
		t->flags |= TF_TS;
		t->ts_recent = seg->tsval;
		t->ts_recent_s = tcp_now_s(s);
	}
	if (seg->opt & TO_SACK_OK)
		t->flags |= TF_SACK;
	if (seg->opt & TO_WS) {
		t->flags |= TF_WS;
		t->snd_ws = seg->wscale & 15;
	} else {
		t->rcv_ws = 0;
	}
	t->snd_wnd = t->max_wnd = seg->wnd; /* that of a SYN is never scaled */
	t->snd_wl1 = seg->seq;
	tcp_ecn_synack(s, t, seg);
	tcp_update_mss(t);
	tcp_cc_init(t);
}

static void input_syn_sent(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	/* Beyond the SYN only Fast Open sends anything: up to snd_sml. */
	if (seg->flags & TCPF_ACK && (seq_leq(seg->ack, t->iss) || seq_gt(seg->ack, t->snd_sml) || tcp_tfo_waits(t))) {
		STAT_INC(s, IS_DROP_TCP_ACK);
		tcp_send_rst(s, seg);
		return;
	}
	if (seg->flags & TCPF_RST) {
		if (seg->flags & TCPF_ACK)
			act_rst_opening(s, t, seg);
		else
			act_drop(s, t, seg);
		return;
	}
	if (!(seg->flags & TCPF_SYN)) {
		act_drop(s, t, seg);
		return;
	}
	heard(s, t);
	syn_sent_options(s, t, seg);
	if (!(seg->flags & TCPF_ACK)) { /* simultaneous open */
		if (!t->tries)
			t->rack_us = (uint32_t)s->now_us;
		t->tries = t->tries != 0; /* a SYN that was lost is remembered: of the RTT it says nothing */
		t->backoff = 0;
		t->snd_nxt = t->iss + 1; /* it may have waited for data */
		tcp_change_state(s, t, TCP_ST_SYN_RECEIVED);
		tcp_send_syn(s, t);
		tcp_arm_rto(s, t);
		return;
	}
	if (t->opt_flags & NPP_OPT_FASTOPEN)
		tcp_tfo_synack(s, t, seg);
	syn_data_acked(t, seg->ack);
	t->snd_wl2 = seg->ack;
	tcp_rtt_of_syn(s, t, seg, t->tries, t->rack_us);
	t->flags |= TF_ACK_NOW;
	tcp_due(s, t, DUE_TX, 0);
	opened(s, t);
	ip_confirm(s, &t->c.path);
	/* What the SYN-ACK carries beside (3.10.7.3, fifth). */
	seg->flags &= (uint8_t)~TCPF_SYN;
	seg->seq++;
	take_text(s, t, seg);
}

/* ---- entries --------------------------------------------------------------------------------- */

void tcp_input_conn(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	tcp_enter(t);
	if (t->c.state == TCP_ST_SYN_SENT)
		input_syn_sent(s, t, seg);
	else
		input_synchronized(s, t, seg);
	tcp_leave(t);
}

/* No record: CLOSED or LISTEN (3.10.7.1 and 3.10.7.2). */
static void input_closed(struct stack *s, struct tcp_seg *seg, uint32_t min_iss)
{
	struct tcp_lsn *l;

	if (seg->flags & TCPF_RST) {
		STAT_INC(s, IS_DROP_TCP_NO_CONN);
		return;
	}
	if (seg->flags & TCPF_ACK) {
		if (tcp_cookie_input(s, seg))
			return;
		STAT_INC(s, IS_DROP_TCP_NO_CONN);
		tcp_send_rst(s, seg);
		return;
	}
	l = tcp_lookup_listener(s, seg->pkt, seg->dport, seg->hash);
	if (!l) {
		STAT_INC(s, IS_DROP_TCP_NO_CONN);
		tcp_send_rst(s, seg);
		return;
	}
	if ((seg->flags & (TCPF_SYN | TCPF_FIN)) != TCPF_SYN) {
		STAT_INC(s, IS_DROP_TCP_STATE);
		return;
	}
	tcp_syn_input(s, l, seg, min_iss);
}

static bool peer_can_speak(const struct pkt *pkt)
{
	if (pkt->l2_bcast || npp_addr_is_any(&pkt->src))
		return false;
	if (npp_addr_is_v4(&pkt->src))
		return pkt->src.b[12] < 224 && pkt->dst.b[12] < 224;
	return pkt->src.b[0] != 0xff && pkt->dst.b[0] != 0xff;
}

void tcp_input(struct stack *s, const struct pkt *pkt)
{
	struct tcp_seg seg;
	uint32_t ref, min_iss = 0;

	if (!peer_can_speak(pkt)) {
		STAT_INC(s, IS_DROP_TCP_DST);
		return;
	}
	if (!tcp_seg_parse(s, pkt, &seg))
		return;
	STAT_ADD(s, IS_TCP_SEGS_IN, seg.len > seg.unit && seg.unit ? (seg.len + seg.unit - 1u) / seg.unit : 1);
	seg.hash = tcp_ahead_hash(s, pkt, &seg);
	ref = tcp_lookup(s, seg.hash, &pkt->dst, seg.dport, &pkt->src, seg.sport);
	if (ref != TCP_NONE) {
		switch (TCP_REF_KIND(ref)) {
		case TCP_REF_CONN:
			tcp_input_conn(s, &s->tcp->conns[TCP_REF_IDX(ref)], &seg);
			return;
		case TCP_REF_SYN:
			tcp_syncache_input(s, &s->tcp->syns[TCP_REF_IDX(ref)], &seg);
			return;
		default:
			if (!tcp_tw_input(s, &s->tcp->tws[TCP_REF_IDX(ref)], &seg, &min_iss))
				return;
			break;
		}
	}
	input_closed(s, &seg, min_iss);
}

/* What was too large is gone; send it again, not for congestion (RFC 1191, 6.4). If it does not LOWER the path's
 * MTU another connection has heard of it before. */
static void too_large(struct stack *s, struct tcb *t, uint32_t seq, bool lower)
{
	uint32_t end = t->snd_nxt;

	if (lower)
		seq = t->snd_una;
	else if (!tcp_sent_with(s, t, seq, &end)) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	tcp_update_mss(t);
	tcp_recovery_pmtu(s, t, seq, end);
}

/* RFC 5927: an ICMP error counts only if it quotes what is in flight, and ends nothing
 * but an attempt to connect: that by soft errors too, so that a program can try the next
 * address (RFC 5461, 4.1, as other systems do). */
void tcp_icmp_error(struct stack *s, const struct npp_flow_key *key, uint32_t seq, int err, uint32_t mtu)
{
	uint16_t lport = (uint16_t)(key->dport >> 8 | key->dport << 8);
	uint16_t rport = (uint16_t)(key->sport >> 8 | key->sport << 8);
	uint32_t hash = tcp_hash(s, &key->dst, lport, &key->src, rport);
	uint32_t ref = tcp_lookup(s, hash, &key->dst, lport, &key->src, rport);
	struct tcb *t;

	if (ref == TCP_NONE || TCP_REF_KIND(ref) != TCP_REF_CONN) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	t = &s->tcp->conns[TCP_REF_IDX(ref)];
	if (seq_lt(seq, t->snd_una) || seq_geq(seq, t->snd_nxt)) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	tcp_enter(t);
	if (err == EMSGSIZE) {
		uint16_t before = t->c.path.mtu;

		if (mtu)
			ip_pmtu(s, &t->c.path, mtu);
		if (t->c.state >= TCP_ST_ESTABLISHED)
			too_large(s, t, seq, t->c.path.mtu < before);
	} else if (t->c.state == TCP_ST_SYN_SENT) {
		tcp_kill(s, t, err);
	} else {
		t->c.soft_error = (uint8_t)err;
	}
	tcp_leave(t);
}
