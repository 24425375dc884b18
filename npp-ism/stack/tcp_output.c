/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_output.c - what is sent, and when
 *
 * tcp_output() runs at the end of a batch for every connection with work. First what is
 * lost, then what is new, both as far as pipe stays below cwnd. A frame carries up to 64 KB
 * (gso_size says where the port cuts it); its payload is not copied, the slices point
 * into the socket's ring. Before urgent data a frame is one segment: whoever cuts a large one
 * copies its urgent pointer as it stands.
 *
 * What holds new data back, in the order of the checks in choose_len(): the peer's window,
 * the congestion window, a frame's size; then, for a segment that is not full: Nagle in
 * Minshall's form (at most one small segment in flight), TCP_CORK, and the sender's side
 * of silly window avoidance (RFC 9293, 3.8.6.2.1). If nothing is in flight then and no
 * ACK will come to change that, the transmit timer runs in persist mode.
 */
#include "config.h"

#include <errno.h>

#include "npp-ism/stack/tcp.h"

void tcp_update_mss(struct tcb *t)
{
	uint32_t hdr = npp_addr_is_v4(&t->c.raddr) ? 40 : 60, mtu = tcp_mtu(t);
	uint32_t mss = u32_min(t->peer_mss, mtu > hdr + TCP_MSS_MIN ? mtu - hdr : TCP_MSS_MIN);

	t->c.mss_mtu = t->c.path.mtu;
	t->mss = (uint16_t)(mss - (t->flags & TF_TS ? 12 : 0));
	if (t->c.state >= TCP_ST_ESTABLISHED) /* a path that has become wider: never less than one segment */
		t->cwnd = u32_max(t->cwnd, t->mss);
}

static bool sack_to_tell(const struct tcb *t)
{
	return t->flags & TF_SACK && (t->ooo != TCP_NONE || t->flags & TF_DSACK);
}

/* Points the slices of O at LEN bytes of the ring from stream offset OFF. */
void tcp_put_payload(struct tcp_out *o, const struct stack_ring *r, uint32_t off, uint32_t len, uint16_t mss)
{
	uint32_t at = off & (r->size - 1), first = u32_min(len, r->size - at);

	o->tx.payload_len = len;
	o->tx.slice[0] = (struct stack_slice){ r->base + at, first };
	o->tx.n_slices = 1;
	if (len > first) {
		o->tx.slice[1] = (struct stack_slice){ r->base, len - first };
		o->tx.n_slices = 2;
	}
	if (len > mss)
		o->tx.gso_size = mss;
}

/* RFC 3168, 6.1: only new data is ECN-capable, and says that cwnd was reduced. */
static uint8_t ecn_flags(struct tcb *t, bool fresh, uint8_t *tos)
{
	uint8_t flags = t->flags & TF_ECE ? TCPF_ECE : 0;

	if (!fresh)
		return flags;
	*tos |= 2; /* ECT(0) */
	if (t->flags & TF_CWR)
		flags |= TCPF_CWR;
	t->flags &= ~TF_CWR;
	return flags;
}

/* The way to T's peer goes by another network port than before. */
static void port_moved(struct stack *s, struct tcb *t)
{
	t->c.port = t->c.path.port;
	STAT_INC(s, IS_PORT_MOVES);
	t->up |= TCP_UP_PORT;
	tcp_todo(s, t);
}

/* One frame of an open connection; every one acknowledges. 0, or what ip_output() says. */
static int emit(struct stack *s, struct tcb *t, uint32_t seq, uint8_t flags, uint32_t len)
{
	struct tcp_out o;
	struct tcp_range r[TCP_SACK_MAX];
	uint32_t wnd = tcp_recv_window(t, t->rcv_ws, true);
	uint8_t tos = t->tos;
	int err;

	if (t->flags & TF_ECN)
		flags |= ecn_flags(t, len && seq == t->snd_nxt, &tos);

	tcp_out_begin(&o, t->c.lport, t->c.rport, seq, t->rcv_nxt, flags | TCPF_ACK, (uint16_t)wnd);
	if (t->flags & TF_TS)
		tcp_opt_put_ts(&o, tcp_tsval(s, t->ts_off), t->ts_recent);
	if (!len && sack_to_tell(t)) {
		unsigned n = tcp_sack_blocks(s, t, r, t->flags & TF_TS ? 3 : 4);

		if (n)
			tcp_opt_put_sack(&o, r, n);
	}
	if (len && t->flags & TF_ACK_OWED)
		t->flags |= TF_INTERACTIVE; /* the answer carries the ACK */
	if (!len || !sack_to_tell(t)) {
		t->flags &= ~(TF_ACK_NOW | TF_ACK_OWED);
		t->due[DUE_DELACK] = 0;
	}
	if (!len)
		t->flags &= ~TF_DSACK;
	else
		tcp_put_payload(&o, &t->c.tx, seq - t->iss - 1, len, t->mss);
	if (tcp_urg_from(t, seq))
		tcp_urg_put(t, seq, o.hdr);
	t->rcv_acked = t->rcv_nxt;
	if (len)
		t->last_tx_ms = now_ms(s);
	err = tcp_out_send(s, &t->c.path, tos, t->ttl, &o);
	if (t->c.port != t->c.path.port)
		port_moved(s, t);
	return err;
}

void tcp_send_ack(struct stack *s, struct tcb *t)
{
	emit(s, t, t->snd_nxt, 0, 0);
}

bool tcp_challenge_allowed(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t now = (uint32_t)(s->now_us / 1000000);

	/* A limit that an outsider knows would tell him, by its exhaustion, of other connections. */
	if (tcp->challenge_s != now) {
		tcp->challenge_s = now;
		tcp->challenge_left = TCP_CHALLENGE_MIN +
				      (uint32_t)(s->env->ops->random(s->env->arg) % TCP_CHALLENGE_SPREAD);
	}
	if (!tcp->challenge_left) {
		STAT_INC(s, IS_CHALLENGE_MUTE);
		return false;
	}
	tcp->challenge_left--;
	STAT_INC(s, IS_TCP_CHALLENGE);
	return true;
}

void tcp_challenge(struct stack *s, struct tcb *t)
{
	if ((uint32_t)s->now_us - t->challenge_us < TCP_CHALLENGE_US || !tcp_challenge_allowed(s))
		return;
	t->challenge_us = (uint32_t)s->now_us;
	tcp_send_ack(s, t);
}

void tcp_send_reset(struct stack *s, struct tcb *t)
{
	if (t->c.state < TCP_ST_SYN_RECEIVED)
		return;
	STAT_INC(s, IS_TCP_RST_OUT);
	emit(s, t, t->snd_nxt, TCPF_RST, 0);
}

void tcp_send_probe(struct stack *s, struct tcb *t)
{
	STAT_INC(s, IS_TCP_PROBES);
	/* The peer shall hear of urgent data while its window is closed (RFC 9293, 3.8.6.1): by a number
	 * that it takes, for which it sends no ACK. */
	if (tcp_urg_from(t, t->snd_una))
		emit(s, t, t->snd_una, 0, 0);
	emit(s, t, t->snd_una - 1, 0, 0);
}

/* What the SYN-ACK of a connection by Fast Open, or of a simultaneous open, may announce. */
static uint16_t answer_mss(struct stack *s, const struct tcb *t)
{
	struct tcp_listener *l = t->c.passive ? stack_listener(s, t->c.listener) : NULL;
	struct tcp_options o = { 0 };

	if (!t->c.passive)
		return t->syn_mss;
	if (l && s->env->ops->listener_options)
		s->env->ops->listener_options(s->env->arg, l, &o);
	return o.max_seg;
}

void tcp_send_syn(struct stack *s, struct tcb *t)
{
	bool answer = t->c.state == TCP_ST_SYN_RECEIVED;
	uint32_t unread = t->c.rx_head - t->c.rx_tail; /* of a SYN by Fast Open */
	uint32_t wnd = u32_min(t->rcvbuf > unread ? t->rcvbuf - unread : 0, 65535), len;
	uint16_t max_seg = answer ? answer_mss(s, t) : t->syn_mss;
	struct tcp_out o;

	if (!answer && !t->tries)
		t->rcv_ws = tcp_wscale(s, t->opt_flags & NPP_OPT_RCVBUF ? t->rcvbuf : 0) & 15;
	tcp_out_begin(&o, t->c.lport, t->c.rport, t->iss, answer ? t->rcv_nxt : 0,
		      (uint8_t)((answer ? TCPF_SYN | TCPF_ACK : TCPF_SYN) | tcp_ecn_syn(s, t)), (uint16_t)wnd);
	tcp_opt_put_syn(&o, tcp_mss_max(tcp_adv_mss(s, &t->c.path), max_seg), !answer || t->flags & TF_SACK,
			!answer || t->flags & TF_TS, tcp_tsval(s, t->ts_off), answer ? t->ts_recent : 0,
			!answer || t->flags & TF_WS, t->rcv_ws);
	if (answer) {
		t->rcv_adv = seq_max(t->rcv_adv, t->rcv_nxt + wnd);
		t->rcv_acked = t->rcv_nxt;
		t->flags &= ~(TF_ACK_NOW | TF_ACK_OWED);
		if (t->flags & TF_FASTOPEN && t->c.passive && !(t->opt_flags & TCB_NO_COOKIE))
			tcp_tfo_give(s, &o, t->c.listener, &t->c.laddr, &t->c.raddr);
	} else {
		t->rcv_adv = u32_max(t->rcv_adv, wnd); /* counted from 0 until the peer's number is known */
	}
	if (!answer && t->opt_flags & NPP_OPT_FASTOPEN) {
		len = tcp_tfo_put(s, t, &o);
		if (len)
			tcp_put_payload(&o, &t->c.tx, 0, len, (uint16_t)len);
		t->snd_sml = seq_max(t->snd_sml, t->iss + 1 + len);
	}
	tcp_out_send(s, &t->c.path, t->tos, t->ttl, &o);
}

void tcp_send_first_syn(struct stack *s, struct tcb *t)
{
	t->rack_us = (uint32_t)s->now_us;
	tcp_send_syn(s, t);
	t->snd_nxt = t->iss + 1;
	tcp_arm_rto(s, t);
}

/* ---- again ------------------------------------------------------------------------------- */

static uint32_t frame_max(const struct tcb *t, uint32_t from)
{
	if (tcp_urg_from(t, from) || tcp_may_fragment(&t->c.path)) /* each with an identification of its own */
		return t->mss;
	/* To ourselves a segment may be larger than what the port would take as one. */
	return t->mss >= TCP_GSO_MAX ? t->mss : TCP_GSO_MAX / t->mss * t->mss;
}

uint32_t tcp_resend(struct stack *s, struct tcb *t, uint32_t from, uint32_t end)
{
	uint32_t data_end = t->flags & TF_FIN_SENT ? seq_min(end, t->snd_nxt - 1) : end;
	uint32_t len = seq_lt(from, data_end) ? data_end - from : 0;
	bool fin;

	if (len && !t->c.tx.base)
		return 0;
	len = u32_min(len, frame_max(t, from));
	fin = t->flags & TF_FIN_SENT && from + len == t->snd_nxt - 1 && seq_gt(end, from + len);
	if (!len && !fin)
		return 0;
	if (t->mtu_try)
		tcp_mtu_resent(s, t, from, from + len);
	t->bytes_retrans += len;
	t->n_retrans += (len + t->mss - 1) / t->mss;
	STAT_ADD(s, IS_TCP_RETRANS, len ? (len + t->mss - 1u) / t->mss : 1);
	emit(s, t, from, (uint8_t)((fin ? TCPF_FIN : 0) | (len && from + len == data_end ? TCPF_PSH : 0)), len);
	return len + fin;
}

static bool fin_due(const struct tcb *t)
{
	return (t->flags & (TF_FIN | TF_FIN_SENT)) == TF_FIN && t->c.state != TCP_ST_SYN_RECEIVED;
}

/* What is lost and was not sent again. Returns the new pipe. */
static uint32_t send_lost(struct stack *s, struct tcb *t, uint32_t pipe)
{
	struct tcp_flight *f;
	uint32_t from, end;

	if (t->flags & TF_FRTO_NEW && tcp_unsent(t))
		return pipe;
	while (tcp_sent_next_lost(s, t, &from, &end)) {
		uint32_t room = t->cwnd > pipe ? t->cwnd - pipe : 0, want = end - from, n;

		if (t->flags & TF_RTX_FIRST) /* RFC 6675, 5 (4.3) */
			room = u32_max(room, t->mss);
		if (want > room) {
			want = room - room % t->mss;
			if (!want)
				break;
		}
		n = tcp_resend(s, t, from, from + want);
		if (!n)
			break;
		tcp_sent_again(s, t, from, from + n);
		t->flags &= ~TF_RTX_FIRST;
		pipe += n;
		f = tcp_flight(s, t);
		if (f) {
			f->undo_bytes += n;
			f->prr_out += n;
		}
	}
	return pipe;
}

/* ---- new --------------------------------------------------------------------------------- */

/* May a last segment that is not full go now? */
static bool small_may_go(const struct tcb *t)
{
	if (t->flags & TF_PUSH || tcp_urg_from(t, t->snd_nxt))
		return true;
	if (t->opt_flags & (NPP_OPT_CORK | TCB_MORE)) /* nothing can follow if the ring is full */
		return t->snd_una == t->snd_nxt && t->c.tx.size && t->c.tx_head - t->c.tx_tail >= t->c.tx.size;
	return t->opt_flags & NPP_OPT_NODELAY || !seq_gt(t->snd_sml, t->snd_una);
}

/* How many of AVAIL bytes, at most MAX, to send as the next frame; 0: none now. FIN: nothing follows. */
static uint32_t choose_len(struct tcb *t, uint32_t avail, uint32_t pipe, bool fin, uint32_t max)
{
	uint32_t edge = t->snd_una + t->snd_wnd, wnd = seq_gt(edge, t->snd_nxt) ? edge - t->snd_nxt : 0;
	uint32_t cw = t->cwnd > pipe ? t->cwnd - pipe : 0, len;

	len = u32_min(u32_min(avail, wnd), u32_min(cw, max));
	if (len == avail) {
		if (len % t->mss && !fin && !small_may_go(t))
			len -= len % t->mss;
		return len;
	}
	if (len == max)
		return len;
	if (cw <= wnd)
		t->flags |= TF_CWND_LIMITED;
	if (len >= t->mss) {
		len -= len % t->mss;
		/* ACKs that are on their way will allow a larger frame; but duplicate ones do not wait
		 * (limited transmit, RFC 3042). */
		if (pipe && t->recovery == TCP_OPEN && !t->dupacks && !t->sacked &&
		    len < u32_min(max, u32_min(t->cwnd, t->snd_wnd) / 4))
			return 0;
		return len;
	}
	if (cw < wnd)
		return 0;
	/* The peer's window ends inside a segment. */
	if (t->flags & TF_PUSH || (t->snd_una == t->snd_nxt && len >= t->max_wnd / 2))
		return len;
	return 0;
}

/* After a pause longer than the RTO nothing is known of the path (RFC 5681, 4.1). */
static void restart_after_idle(struct stack *s, struct tcb *t)
{
	if (t->snd_una != t->snd_nxt || now_ms(s) - t->last_tx_ms <= t->rto_us / 1000)
		return;
	if (t->cwnd > tcp_initial_window(t)) {
		t->ssthresh = u32_max(t->ssthresh, t->cwnd / 4 * 3);
		t->cwnd = tcp_initial_window(t);
	}
	tcp_cc(t)->idle(t);
}

static int send_one(struct stack *s, struct tcb *t, uint32_t len, bool fin, bool push)
{
	int err = emit(s, t, t->snd_nxt, (uint8_t)((fin ? TCPF_FIN : 0) | (push ? TCPF_PSH : 0)), len);

	if (err == -EMSGSIZE) {
		tcp_update_mss(t);
		return err;
	}
	/* Any other error is a loss like those in the network. */
	if (t->snd_una == t->snd_nxt)
		t->progress_ms = now_ms(s);
	tcp_sent_new(s, t, t->snd_nxt + len + fin);
	t->snd_nxt += len + fin;
	if (fin)
		t->flags |= TF_FIN_SENT;
	if (len % t->mss)
		t->snd_sml = t->snd_nxt;
	STAT_ADD(s, IS_TCP_BYTES_OUT, len);
	return 0;
}

/* A segment larger than what is known to get through. True: it was sent. */
static bool send_mtu_probe(struct stack *s, struct tcb *t, uint32_t avail, uint32_t *pipe)
{
	uint32_t edge = t->snd_una + t->snd_wnd, wnd = seq_gt(edge, t->snd_nxt) ? edge - t->snd_nxt : 0;
	uint32_t len = tcp_mtu_probe(s, t, avail, u32_min(wnd, t->cwnd > *pipe ? t->cwnd - *pipe : 0));
	uint16_t mss = t->mss;
	int err;

	if (!len)
		return false;
	t->mss = (uint16_t)len;
	err = send_one(s, t, len, false, false);
	if (err)
		return false; /* the path has changed, and mss with it */
	t->mss = mss;
	tcp_mtu_probed(t, len);
	*pipe += len;
	return true;
}

/* A paced sender makes frames of about a tick of its timer. */
static uint32_t paced_max(const struct tcb *t, uint64_t rate)
{
	uint64_t segs = rate / (1000000 / WHEEL_TICK_US) / t->mss;

	return (uint32_t)u64_min(frame_max(t, t->snd_nxt), (segs < 2 ? 2 : segs) * t->mss);
}

/* True: something was sent. */
static bool send_new(struct stack *s, struct tcb *t, uint32_t pipe)
{
	uint64_t rate = tcp_pace_rate(t);
	uint32_t max, wait;
	bool sent = false;
	int retry = 0;

	/* What follows says so anew; until the next time it counts for each ACK, of which a batch may bring many. */
	t->flags &= ~TF_CWND_LIMITED;
	for (;;) {
		uint32_t avail = tcp_unsent(t), len;
		bool fin = fin_due(t);

		if (!avail && !fin)
			break;
		wait = rate ? tcp_pace_wait(s, t) : 0;
		if (wait) {
			tcp_due(s, t, DUE_PACE, s->now_us + wait);
			break;
		}
		if (!sent)
			restart_after_idle(s, t);
		if (t->mtu_ok && send_mtu_probe(s, t, avail, &pipe)) {
			sent = true;
			continue;
		}
		max = rate ? paced_max(t, rate) : frame_max(t, t->snd_nxt);
		len = avail ? choose_len(t, avail, pipe, fin, max) : 0;
		if (avail && !len)
			break;
		fin = fin && len == avail;
		if (send_one(s, t, len, fin, len && len == avail) != 0) {
			if (++retry > 2)
				break;
			continue;
		}
		pipe += len;
		sent = true;
		if (rate)
			tcp_pace_sent(s, t, rate, len);
	}
	return sent;
}

static bool may_send(const struct tcb *t)
{
	switch (t->c.state) {
	case TCP_ST_ESTABLISHED:
	case TCP_ST_CLOSE_WAIT:
	case TCP_ST_FIN_WAIT_1:
	case TCP_ST_CLOSING:
	case TCP_ST_LAST_ACK:
		return true;
	case TCP_ST_SYN_RECEIVED: /* RFC 7413, 4.2.2: the answer to the data of the SYN */
		return t->flags & TF_FASTOPEN && t->c.passive;
	default:
		return false;
	}
}

/* The transmit timer after output: RTO or loss probe while something is in flight, persist
 * while something waits that no ACK will free. */
static void timer_after_output(struct stack *s, struct tcb *t, bool sent)
{
	if (t->c.state == TCP_ST_SYN_RECEIVED)
		return; /* the SYN-ACK's */
	if (t->snd_una != t->snd_nxt) {
		if (t->tx_mode == TXM_PERSIST) {
			t->tries = 0;
			t->probe_shift = 0;
			tcp_arm_tx(s, t);
		} else if (!t->due[DUE_TX] || (sent && t->tx_mode == TXM_TLP)) {
			tcp_arm_tx(s, t);
		}
		return;
	}
	if (!tcp_unsent(t)) {
		t->tx_mode = TXM_RTO;
		t->probe_shift = 0;
		tcp_due(s, t, DUE_TX, 0);
		return;
	}
	if (t->probe_shift && t->snd_wnd) /* no more probes: what opened too little is waited for anew (3.8.6.2.1) */
		t->probe_shift = 0;
	else if ((t->tx_mode == TXM_PERSIST && t->due[DUE_TX]) || t->due[DUE_PACE])
		return;
	if (t->tx_mode != TXM_PERSIST)
		t->progress_ms = now_ms(s); /* the user timeout begins now, not when it was last heard of */
	if (t->snd_wnd >= t->mss || t->snd_wnd >= tcp_unsent(t))
		tcp_arm_persist(s, t, TCP_CORK_US);
	else
		tcp_arm_persist(s, t, t->rto_us);
}

void tcp_output(struct stack *s, struct tcb *t)
{
	struct tcp_flight *f;
	uint32_t pipe, before, first;
	bool sent;

	if (!may_send(t)) {
		if (tcp_tfo_waits(t) && ((t->c.tx.base && t->c.tx_head) || t->flags & TF_FIN))
			tcp_send_first_syn(s, t);
		return;
	}
	if (t->c.path.mtu != t->c.mss_mtu)
		tcp_update_mss(t);
	/* SACK blocks go on segments without data. */
	if (t->flags & TF_ACK_NOW && sack_to_tell(t))
		tcp_send_ack(s, t);
	pipe = before = tcp_pipe(t);
	if (t->snd_una != t->snd_nxt && t->lost) {
		pipe = send_lost(s, t, pipe);
		if (pipe != before && t->tx_mode == TXM_TLP)
			tcp_arm_rto(s, t);
	}
	first = t->snd_nxt;
	sent = send_new(s, t, pipe);
	if (sent && t->recovery == TCP_RECOVERY && (f = tcp_flight(s, t)))
		f->prr_out += t->snd_nxt - first;
	if (sent && t->opt_flags & TCB_TELL_SENT) {
		t->up |= TCP_UP_TX;
		tcp_todo(s, t);
	}
	timer_after_output(s, t, sent);
}

/* Tail loss probe (RFC 8985, 7.3): new data if there is any, else the last segment again. */
void tcp_send_tlp(struct stack *s, struct tcb *t)
{
	uint32_t avail = tcp_unsent(t), edge = t->snd_una + t->snd_wnd;
	uint32_t wnd = seq_gt(edge, t->snd_nxt) ? edge - t->snd_nxt : 0;
	uint32_t len = u32_min(u32_min(avail, wnd), t->mss), from, n;

	STAT_INC(s, IS_TCP_TLP);
	t->flags &= ~TF_TLP_RTX;
	if (len) {
		send_one(s, t, len, fin_due(t) && len == avail, len == avail);
	} else {
		from = seq_max(t->snd_nxt - t->mss, t->snd_una);
		n = tcp_resend(s, t, from, t->snd_nxt);
		if (n)
			tcp_sent_again(s, t, from, from + n);
		t->flags |= TF_TLP_RTX;
	}
	t->flags |= TF_TLP_OUT;
	t->tlp_end = t->snd_nxt;
	tcp_arm_rto(s, t);
}
