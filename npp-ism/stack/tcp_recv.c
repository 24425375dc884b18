/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_recv.c - text of segments into the socket's ring, and the window that we announce
 *
 * Every byte is copied once, to its offset in the ring, whether it comes in order or not;
 * of what stands there out of order only the intervals are kept (at most TCP_RANGES). The
 * ring belongs to the user, who makes it and lets it grow (ops->rx_grow); if he takes it
 * back while data stands out of order in it, that data counts as never received, which
 * SACK allows (RFC 2018, 8).
 *
 * The right edge of the window, rcv_adv, never moves back: it is a promise. It moves on to
 * rx_tail + rcvbuf in steps worth a segment (RFC 9293, 3.8.6.2.2); a window update of its
 * own is sent when a quarter of the buffer has become free and less than half of it was
 * on offer. rcvbuf starts small and doubles while the program keeps up with the peer, within
 * the bounds that the NPP was given (tcp: rmem in nppd.conf); beyond 1 MB only for peers that
 * are more than 1 ms away.
 *
 * We promise more than the ring holds, for a program that keeps up leaves little in it, and
 * the ring grows when there is need. If it cannot (rx_short), nothing beyond it is
 * promised any more: what has no room cannot be told by SACK either, and a peer that
 * loses the end of a burst finds out by its timer only. The ring then grows before the promise does,
 * by the measure of the program again, until it holds all of rcvbuf.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

/* ---- into the ring --------------------------------------------------------------------- */

static void forget_out_of_order(struct stack *s, struct tcb *t)
{
	tcp_block_put(s, &t->ooo);
}

/* What may be on offer. With rx_short that is what the ring holds, or two segments if that is
 * more: below that a peer would send nothing. */
static uint32_t buffer(const struct tcb *t)
{
	uint32_t least = 2 * u32_max(t->rcv_mss, TCP_MSS_DEFAULT) + (2u << t->rcv_ws);

	return t->rx_short ? u32_min(t->rcvbuf, u32_max(t->c.rx.size, least)) : t->rcvbuf;
}

/* Has the program taken so much in about the time that the peer needs to send it? */
static bool keeps_up(struct stack *s, struct tcb *t)
{
	uint32_t elapsed = now_ms(s) - t->drs_ms, rtt_us = t->srtt_us ? t->srtt_us : t->min_rtt_us;

	t->drs_tail = t->c.rx_tail;
	t->drs_ms = now_ms(s);
	return elapsed <= 20 + rtt_us / 250 && t->c.rx_head - t->c.rx_tail <= buffer(t) / 2;
}

/* Is there memory again? Asked for each time that the program has read all that the ring holds, so
 * that the window follows the ring, and not the other way round. */
static void regain(struct stack *s, struct tcb *t)
{
	uint32_t want = u32_min(2 * t->c.rx.size, t->rcvbuf);

	if (!t->c.rx.base || t->flags & TF_RCV_FIN || t->c.rx_tail - t->drs_tail < buffer(t))
		return;
	if (want > t->c.rx.size && keeps_up(s, t))
		(void)s->env->ops->rx_grow(s->env->arg, &t->c, t->c.rx_tail + want);
	if (t->c.rx.size >= t->rcvbuf)
		t->rx_short = 0;
}

/* The ring has no room for what was promised. The promise stands, but is not made again. */
static void run_short(struct stack *s, struct tcb *t)
{
	STAT_INC(s, IS_DROP_TCP_NO_ROOM);
	t->flags |= TF_ACK_NOW;
	if (t->rx_short || t->flags & TF_RCV_FIN)
		return;
	t->rx_short = 1;
	if (t->c.rx.base && t->c.rx_head != t->c.rx_tail)
		t->up |= TCP_UP_RX; /* who waits for more than there is room for waits no longer */
	t->drs_tail = t->c.rx_tail;
	t->drs_ms = now_ms(s);
}

/* How many of LEN bytes at offset OFF fit into the ring. */
static uint32_t ring_fit(struct stack *s, struct tcb *t, uint32_t off, uint32_t len)
{
	uint32_t below = off - t->c.rx_tail, room;

	if (!t->c.rx.base && t->ooo != TCP_NONE)
		forget_out_of_order(s, t);
	if (t->rx_short)
		regain(s, t);
	if (!t->c.rx.base || below + len > t->c.rx.size)
		(void)s->env->ops->rx_grow(s->env->arg, &t->c, off + len);
	if (!t->c.rx.base)
		return 0;
	below = off - t->c.rx_tail; /* the user may have looked at its tail */
	room = t->c.rx.size > below ? t->c.rx.size - below : 0;
	return u32_min(len, room);
}

static void ring_copy(const struct stack_ring *r, uint32_t off, const uint8_t *data, uint32_t len)
{
	uint32_t at = off & (r->size - 1), first = u32_min(len, r->size - at);

	memcpy(r->base + at, data, first);
	if (len > first)
		memcpy(r->base, data + first, len - first);
}

static void tell_duplicate(struct tcb *t, uint32_t start, uint32_t end)
{
	t->dsack = start;
	t->dsack_len = (uint16_t)(end - start);
	t->flags |= TF_DSACK | TF_ACK_NOW;
}

/* Does SEG tell how large the peer makes its segments? One that ends with PSH and is
 * not near our MSS is rather a small message. */
static bool is_full(const struct tcb *t, const struct tcp_seg *seg)
{
	return seg->unit >= t->rcv_mss && (!(seg->flags & TCPF_PSH) || seg->len > seg->unit ||
					   seg->unit * 4u >= tcp_path_mss(&t->c.path) * 3u);
}

/* We have sent nothing that would tell how far away the peer is, and its SYN was answered by a cookie perhaps. Its text
 * echoes our ACKs, not before a round trip is over; a pause of its program makes that longer, so the least counts.
 * What was sent before there was a connection carries no time (tcp_isn.c). */
static void rtt_of_text(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	uint32_t us = tcp_rtt_echo(s, t->ts_off, seg);

	if (!us || (int32_t)(seg->tsecr - t->ts_off - t->progress_ms) < 0 || (t->min_rtt_us && us >= t->min_rtt_us))
		return;
	t->min_rtt_us = us;
	t->min_rtt_s = (uint16_t)tcp_now_s(s);
}

static void take_in_order(struct stack *s, struct tcb *t, const struct tcp_seg *seg, uint32_t len)
{
	struct tcp_block *b = tcp_block(s, t->ooo);
	uint32_t before = t->rcv_nxt;

	t->rcv_nxt += len;
	while (b && b->n && seq_leq(b->r[0].start, t->rcv_nxt)) {
		if (seq_lt(b->r[0].start, before + len) && !(t->flags & TF_DSACK)) /* RFC 2883, 4.2: a part of it */
			tell_duplicate(t, b->r[0].start, seq_min(b->r[0].end, before + len));
		t->rcv_nxt = seq_max(t->rcv_nxt, b->r[0].end);
		tcp_ranges_trim(b, t->rcv_nxt);
		t->flags |= TF_ACK_NOW; /* RFC 5681, 4.2: a gap was filled */
	}
	if (b && !b->n) {
		tcp_block_put(s, &t->ooo);
	} else if (b) {
		b->since_ms = now_ms(s);
		t->flags |= TF_ACK_NOW; /* a part of one */
	}
	t->c.rx_head += t->rcv_nxt - before;
	STAT_ADD(s, IS_TCP_BYTES_IN, t->rcv_nxt - before);
	t->up |= TCP_UP_RX;
	t->flags |= TF_ACK_OWED;
	if (!t->srtt_us && t->flags & TF_TS)
		rtt_of_text(s, t, seg);
	if (is_full(t, seg)) {
		t->rcv_mss = (uint16_t)u32_min(seg->unit, tcp_path_mss(&t->c.path));
		if (t->quick) { /* the peer is in slow start and waits for us */
			t->quick--;
			t->flags |= TF_ACK_NOW;
		}
	} else if (!(t->flags & TF_INTERACTIVE) && t->quick) {
		t->quick--;
		t->flags |= TF_ACK_NOW;
	}
	if (t->opt_flags & NPP_OPT_QUICKACK)
		t->flags |= TF_ACK_NOW;
}

/* RFC 2883, 4: what of [start, end) has come before and stands out of order; the first such part is reported. */
static void tell_overlap(struct tcb *t, const struct tcp_block *b, uint32_t start, uint32_t end)
{
	for (uint32_t i = 0; i < b->n && seq_lt(b->r[i].start, end); i++) {
		if (seq_lt(start, b->r[i].end)) {
			tell_duplicate(t, seq_max(start, b->r[i].start), seq_min(end, b->r[i].end));
			return;
		}
	}
}

static void take_out_of_order(struct stack *s, struct tcb *t, uint32_t seq, uint32_t len)
{
	struct tcp_block *b;
	uint32_t added = 0;

	t->flags |= TF_ACK_NOW;
	if (t->ooo == TCP_NONE)
		t->ooo = tcp_block_get(s, t);
	b = tcp_block(s, t->ooo);
	if (b)
		tell_overlap(t, b, seq, seq + len);
	if (!b || !tcp_ranges_add(b, seq, seq + len, &added)) {
		STAT_INC(s, IS_DROP_TCP_RANGES);
		return;
	}
	STAT_INC(s, IS_TCP_OOO);
	if (!added)
		STAT_INC(s, IS_DROP_TCP_DUP);
	if (tcp_ranges_find(b, seq) != tcp_ranges_find(b, b->recent[0])) {
		b->recent[2] = b->recent[1];
		b->recent[1] = b->recent[0];
	}
	b->recent[0] = seq;
	/* Without SACK the peer counts duplicate ACKs. */
	if (!(t->flags & TF_SACK))
		tcp_send_ack(s, t);
}

/* The peer's FIN stands at rcv_fin: what came from beyond it cannot be. */
static void fin_seen(struct stack *s, struct tcb *t, uint32_t at)
{
	struct tcp_block *b = tcp_block(s, t->ooo);

	t->flags |= TF_RCV_FIN;
	t->rcv_fin = at;
	while (b && b->n && seq_geq(b->r[b->n - 1].start, at))
		b->n--;
	if (b && b->n && seq_gt(b->r[b->n - 1].end, at))
		b->r[b->n - 1].end = at;
	if (b && !b->n)
		tcp_block_put(s, &t->ooo);
}

/* A FIN behind a gap may be forged. What is in sequence is not held up by it for ever: the peer would say it
 * again and again. */
void tcp_recv_data(struct stack *s, struct tcb *t, struct tcp_seg *seg)
{
	uint32_t seq = seg->seq, len = seg->len, cut, fit;
	const uint8_t *data = seg->data;
	bool fin = seg->flags & TCPF_FIN;

	tcp_todo(s, t);
	if (t->flags & TF_ECN && len)
		tcp_ecn_text(s, t, seg);
	if (seq_lt(seq, t->rcv_nxt)) {
		cut = u32_min(t->rcv_nxt - seq, len);
		if (cut)
			tell_duplicate(t, seq, seq + cut);
		if (cut == len && len)
			STAT_INC(s, IS_DROP_TCP_DUP);
		seq += cut;
		data += cut;
		len -= cut;
		t->flags |= TF_ACK_NOW;
		if (seq_lt(seq, t->rcv_nxt))
			return; /* a FIN that lies below what was received */
	}
	if (seq_gt(seq + len, t->rcv_adv)) {
		cut = u32_min(seq + len - t->rcv_adv, len);
		STAT_INC(s, IS_DROP_TCP_WINDOW);
		t->flags |= TF_ACK_NOW;
		len -= cut;
		fin = false;
	}
	if (t->flags & TF_RCV_FIN && seq_gt(seq + len, t->rcv_fin)) {
		t->flags |= TF_ACK_NOW;
		if (seq != t->rcv_nxt) {
			STAT_INC(s, IS_DROP_TCP_STATE); /* data beyond its FIN */
			return;
		}
		t->flags &= ~TF_RCV_FIN;
	}
	if (fin && (!(t->flags & TF_RCV_FIN) || seq == t->rcv_nxt))
		fin_seen(s, t, seq + len);
	if (fin)
		t->flags |= TF_ACK_NOW;
	if (!len)
		return;
	fit = ring_fit(s, t, seq - tcp_irs(t) - 1, len);
	if (fit < len) {
		run_short(s, t);
		if (!fit)
			return;
	}
	ring_copy(&t->c.rx, seq - tcp_irs(t) - 1, data, fit);
	if (t->flags & TF_URG)
		tcp_urg_text(s, t, seq, fit);
	if (seq == t->rcv_nxt)
		take_in_order(s, t, seg, fit);
	else
		take_out_of_order(s, t, seq, fit);
}

/* ---- what SACK says of it ------------------------------------------------------------------ */

static unsigned add_block(struct tcp_range *out, unsigned from, unsigned n, const struct tcp_range *r)
{
	for (unsigned i = from; i < n; i++)
		if (out[i].start == r->start)
			return n;
	out[n] = *r;
	return n + 1;
}

/* RFC 2018, 4 and RFC 2883, 4: the duplicate first, then the latest interval, then those
 * reported last, then any. */
unsigned tcp_sack_blocks(struct stack *s, struct tcb *t, struct tcp_range *out, unsigned max)
{
	const struct tcp_block *b = tcp_block(s, t->ooo);
	unsigned n = 0, from;

	if (t->flags & TF_DSACK)
		out[n++] = (struct tcp_range){ t->dsack, t->dsack + t->dsack_len };
	from = n;
	for (unsigned i = 0; b && i < 3 && n < max; i++) {
		const struct tcp_range *r = tcp_ranges_find(b, b->recent[i]);

		if (r)
			n = add_block(out, from, n, r);
	}
	for (uint32_t i = b ? b->n : 0; i-- > 0 && n < max;)
		n = add_block(out, from, n, &b->r[i]);
	return n;
}

/* ---- the window ------------------------------------------------------------------------------- */

/* Where the window could end. A unit of the scaled field is kept back, so that rounding
 * the field up never promises more than the buffer. */
static uint32_t free_edge(const struct tcb *t)
{
	return tcp_irs(t) + 1 + t->c.rx_tail + buffer(t) - (1u << t->rcv_ws);
}

static uint32_t least_step(const struct tcb *t)
{
	return u32_min(buffer(t) / 2, u32_max(t->rcv_mss, TCP_MSS_DEFAULT));
}

uint32_t tcp_recv_window(struct tcb *t, uint8_t ws, bool update)
{
	uint32_t edge = free_edge(t), hard = edge + (1u << t->rcv_ws), wnd, field;

	if (!update || seq_lt(edge, t->rcv_adv + least_step(t)))
		edge = t->rcv_adv;
	wnd = seq_gt(edge, t->rcv_nxt) ? edge - t->rcv_nxt : 0;
	field = wnd >> ws;
	/* Rounding down would take back a part of what was promised; RFC 7323, 2.4 allows
	 * for it where the buffer ends. */
	if (field << ws < wnd && seq_leq(t->rcv_nxt + ((field + 1) << ws), hard))
		field++;
	field = u32_min(field, 65535);
	t->rcv_adv = seq_max(t->rcv_adv, t->rcv_nxt + (field << ws));
	return field;
}

static uint32_t update_step(const struct tcb *t)
{
	return u32_max(buffer(t) / 4, least_step(t));
}

static uint32_t on_offer(const struct tcb *t)
{
	return seq_gt(t->rcv_adv, t->rcv_nxt) ? t->rcv_adv - t->rcv_nxt : 0;
}

/* If the program reads a buffer's worth in about the time that the peer needs to send it,
 * the buffer is what holds the peer back. */
static void tune_buffer(struct stack *s, struct tcb *t)
{
	if (t->opt_flags & NPP_OPT_RCVBUF || t->flags & TF_RCV_FIN || t->rx_short ||
	    t->c.rx_tail - t->drs_tail < t->rcvbuf)
		return;
	if (keeps_up(s, t))
		t->rcvbuf = u32_max(t->rcvbuf, u32_min(t->rcvbuf * 2, tcp_buf_auto(t, tcp_rmem(s).max)));
}

void tcp_recv_read(struct stack *s, struct tcb *t, uint32_t rx_tail)
{
	t->c.rx_tail = rx_tail;
	tune_buffer(s, t);
	if (t->flags & TF_RCV_FIN || t->c.state == TCP_ST_SYN_SENT)
		return;
	if (on_offer(t) < buffer(t) / 2 && seq_geq(free_edge(t), t->rcv_adv + update_step(t))) {
		t->flags |= TF_ACK_NOW;
		tcp_todo(s, t);
	}
}

uint32_t tcp_recv_wake(const struct tcb *t, bool *want)
{
	uint32_t missing = t->rcv_adv + update_step(t) - free_edge(t);

	*want = !(t->flags & (TF_RCV_FIN | TF_DEAD)) && t->c.state != TCP_ST_SYN_SENT &&
		on_offer(t) < buffer(t) / 2 && (int32_t)missing > 0;
	return t->c.rx_tail + missing;
}
