/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_tw.c - connections that only wait: TIME_WAIT, and FIN_WAIT_2 after close()
 *
 * Everything was acknowledged and the user owns nothing of it any more, so a record of 80
 * bytes is enough: it answers late segments, takes the FIN that is still to come
 * (FIN_WAIT_2) and lets a new connection begin early where that is safe (RFC 6191). Nearly all
 * records wait equally long (TCP_LINGER2 makes it shorter), so they stand in one queue with one timer;
 * when none is left, the oldest is given up.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

#define TW_OPEN_WND 32768u	/* a few segments, within what any shift can say */
#define TW_NEAR 32u		/* places to go from the end for TCP_LINGER2 */
#define TW_WND_MAX (1u << 30)	/* RFC 7323, 2.3 */

/* How long a record waits: the same for all of this stack, so that the queue stays in order. */
static uint32_t tw_ms(const struct stack *s)
{
	uint32_t ms = s->env->global->tcp_time_wait_ms;

	return ms ? ms : TCP_2MSL_US / 1000;
}

static bool due_before(uint32_t a_ms, uint32_t b_ms)
{
	return (int32_t)(a_ms - b_ms) < 0;
}

/* When W is due, on the clock of the wheel. */
static uint64_t tw_due_us(const struct stack *s, const struct tcp_tw *w)
{
	return (s->now_us / 1000 + (uint64_t)(int64_t)(int32_t)(w->due_ms - now_ms(s))) * 1000;
}

static uint32_t tw_window(const struct tcp_tw *w)
{
	return (uint32_t)w->rcv_wnd << w->rcv_ws;
}

static void tw_take_timestamp(const struct stack *s, struct tcp_tw *w, uint32_t tsval)
{
	w->ts_recent = tsval;
	w->ts_recent_s = (uint16_t)tcp_now_s(s);
}

static uint32_t tw_index(const struct stack *s, const struct tcp_tw *w)
{
	return (uint32_t)(w - s->tcp->tws);
}

static void tw_unlink(struct stack *s, struct tcp_tw *w)
{
	struct tcp_state *tcp = s->tcp;

	if (w->prev != TCP_NONE)
		tcp->tws[w->prev].next = w->next;
	else
		tcp->tw_head = w->next;
	if (w->next != TCP_NONE)
		tcp->tws[w->next].prev = w->prev;
	else
		tcp->tw_tail = w->prev;
}

/* Into the queue by its time; nearly always the last place. */
static void tw_link(struct stack *s, struct tcp_tw *w)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t i = tw_index(s, w), after = tcp->tw_tail;

	while (after != TCP_NONE && due_before(w->due_ms, tcp->tws[after].due_ms))
		after = tcp->tws[after].prev;
	w->prev = after;
	w->next = after == TCP_NONE ? tcp->tw_head : tcp->tws[after].next;
	if (w->prev != TCP_NONE)
		tcp->tws[w->prev].next = i;
	else
		tcp->tw_head = i;
	if (w->next != TCP_NONE)
		tcp->tws[w->next].prev = i;
	else
		tcp->tw_tail = i;
}

static void tw_arm(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;

	if (tcp->tw_head != TCP_NONE && !wheel_armed(&tcp->tw_timer))
		wheel_arm(&s->wheel, &tcp->tw_timer, tw_due_us(s, &tcp->tws[tcp->tw_head]));
}

/* Two queues, by `next` alone, become one. */
static uint32_t tw_merge(struct tcp_tw *tws, uint32_t a, uint32_t b)
{
	uint32_t head = TCP_NONE, *end = &head;

	while (a != TCP_NONE && b != TCP_NONE) {
		uint32_t *first = due_before(tws[b].due_ms, tws[a].due_ms) ? &b : &a;

		*end = *first;
		end = &tws[*first].next;
		*first = *end;
	}
	*end = a == TCP_NONE ? b : a;
	return head;
}

void tcp_tw_attach(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t part[32], all = TCP_NONE, k; /* number K has 2^K records, or none */

	for (k = 0; k < 32; k++)
		part[k] = TCP_NONE;
	for (uint32_t i = 0; i < tcp->tw_pool.count; i++) {
		uint32_t run = i;

		if (!tcp->tws[i].in_use)
			continue;
		tcp->tws[i].next = TCP_NONE;
		for (k = 0; part[k] != TCP_NONE; k++) {
			run = tw_merge(tcp->tws, part[k], run);
			part[k] = TCP_NONE;
		}
		part[k] = run;
	}
	for (k = 0; k < 32; k++)
		all = tw_merge(tcp->tws, part[k], all);
	tcp->tw_head = all;
	tcp->tw_tail = TCP_NONE;
	for (uint32_t i = all; i != TCP_NONE; i = tcp->tws[i].next) {
		tcp->tws[i].prev = tcp->tw_tail;
		tcp->tw_tail = i;
	}
	tw_arm(s);
}

/* When a record is due that shall wait for SECS only: as soon as that, if its place in the queue is near the end. */
static uint32_t tw_short(const struct stack *s, uint32_t secs)
{
	uint32_t due = now_ms(s) + u32_min(secs * 1000, tw_ms(s)), i = s->tcp->tw_tail;

	for (unsigned k = 0; k < TW_NEAR && i != TCP_NONE && due_before(due, s->tcp->tws[i].due_ms); k++)
		i = s->tcp->tws[i].prev;
	return i != TCP_NONE && due_before(due, s->tcp->tws[i].due_ms) ? s->tcp->tws[i].due_ms : due;
}

static void tw_restart(struct stack *s, struct tcp_tw *w)
{
	tw_unlink(s, w);
	w->due_ms = now_ms(s) + tw_ms(s);
	tw_link(s, w);
}

void tcp_tw_free(struct stack *s, struct tcp_tw *w)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t i = tw_index(s, w);

	w->in_use = 0;
	tcp_hash_remove(s, TCP_REF(TCP_REF_TW, i));
	tw_unlink(s, w);
	w->hnext = tcp->tw_pool.free;
	tcp->tw_pool.free = i;
	tcp->tw_pool.used--;
	tcp_gauges(s);
}

void tcp_tw_timer(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;

	for (int i = 0; i < 256 && tcp->tw_head != TCP_NONE; i++) {
		struct tcp_tw *w = &tcp->tws[tcp->tw_head];

		if (due_before(now_ms(s), w->due_ms))
			break;
		tcp_tw_free(s, w);
	}
	tw_arm(s);
}

static struct tcp_tw *tw_alloc(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t i;
	struct tcp_tw *w;

	if (tcp->tw_pool.free == TCP_NONE) {
		STAT_INC(s, IS_TCP_TW_RECYCLED);
		tcp_tw_free(s, &tcp->tws[tcp->tw_head]);
	}
	i = tcp->tw_pool.free;
	w = &tcp->tws[i];
	tcp->tw_pool.free = w->hnext;
	tcp->tw_pool.used++;
	*w = (struct tcp_tw){ .busy = 1, .hnext = TCP_NONE };
	return w;
}

static void tw_ack(struct stack *s, struct tcp_tw *w, bool limited)
{
	struct ip_path path = { 0 };
	struct tcp_out o;

	if (limited && (uint16_t)(now_ms(s) - w->ack_ms) < TCP_CHALLENGE_US / 1000)
		return;
	if (ip_path_init(s, &path, &w->laddr, &w->raddr) != 0)
		return;
	if (limited)
		w->ack_ms = (uint16_t)now_ms(s);
	tcp_out_begin(&o, w->lport, w->rport, w->snd_nxt, w->rcv_nxt, TCPF_ACK, w->rcv_wnd);
	if (w->ts_ok)
		tcp_opt_put_ts(&o, tcp_tsval(s, tcp_ts_offset(s, &w->laddr, w->lport, &w->raddr, w->rport)),
			       w->ts_recent);
	tcp_out_send(s, &path, w->tos, w->ttl, &o);
}

/* A peer that stands before a closed window would probe it for ever and never learn that
 * nobody reads any more: its next byte must come, and draw the reset. */
static void tw_open_window(struct stack *s, struct tcp_tw *w)
{
	if (tw_window(w) >= TW_OPEN_WND)
		return;
	w->rcv_wnd = TW_OPEN_WND >> w->rcv_ws;
	tw_ack(s, w, false);
}

void tcp_tw_enter(struct stack *s, struct tcb *t, enum npp_tcp_state state)
{
	struct tcp_tw *w;
	uint32_t wnd;

	if (t->flags & TF_DEAD)
		return;
	if (!(t->flags & TF_TX_DONE)) {
		t->flags |= TF_TX_DONE;
		t->up |= TCP_UP_TX_DONE;
	}
	/* Nobody acknowledges for it later. */
	if (t->flags & (TF_ACK_NOW | TF_ACK_OWED))
		tcp_send_ack(s, t);
	tcp_change_state(s, t, TCP_ST_CLOSED);
	t->c.state = (uint8_t)state; /* what the user sees at its last look */
	w = tw_alloc(s);
	w->laddr = t->c.laddr;
	w->raddr = t->c.raddr;
	w->lport = t->c.lport;
	w->rport = t->c.rport;
	w->hash = tcp_conn_hash(s, t);
	w->snd_nxt = t->snd_nxt;
	w->rcv_nxt = t->rcv_nxt;
	w->rcv_ws = t->rcv_ws;
	wnd = seq_gt(t->rcv_adv, t->rcv_nxt) ? t->rcv_adv - t->rcv_nxt : 0;
	w->rcv_wnd = (uint16_t)u32_min((wnd + (1u << t->rcv_ws) - 1) >> t->rcv_ws, 65535);
	w->ts_recent = t->ts_recent;
	w->ts_recent_s = (uint16_t)(tcp_now_s(s) - u32_min(tcp_now_s(s) - t->ts_recent_s, UINT16_MAX / 2));
	w->ts_ok = (t->flags & TF_TS) != 0;
	w->tos = t->tos;
	w->ttl = t->ttl;
	w->state = (uint8_t)state & 15;
	w->ack_ms = (uint16_t)(now_ms(s) - TCP_CHALLENGE_US / 1000);
	w->due_ms = state == TCP_ST_FIN_WAIT_2 && t->linger2 ? tw_short(s, t->linger2) : now_ms(s) + tw_ms(s);
	tcp_hash_insert(s, TCP_REF(TCP_REF_TW, tw_index(s, w)));
	tw_link(s, w);
	w->in_use = 1;
	tcp_leave(w);
	if (s->tcp->tw_head == tw_index(s, w)) /* before the one that the timer is armed for */
		wheel_cancel(&s->wheel, &s->tcp->tw_timer);
	tw_arm(s);
	tcp_gauges(s);
	if (state == TCP_ST_FIN_WAIT_2)
		tw_open_window(s, w);
}

/* ---- input ------------------------------------------------------------------------------- */

bool tcp_tw_reusable(const struct stack *s, const struct tcp_tw *w)
{
	/* The new connection's timestamps must be larger for certain. */
	return w->state == TCP_ST_TIME_WAIT && w->ts_ok && (uint16_t)(tcp_now_s(s) - w->ts_recent_s) > 1;
}

/* RFC 6191, 2, and RFC 1122, 4.2.2.13: may this SYN begin a new connection? */
static bool tw_syn_is_new(const struct tcp_tw *w, const struct tcp_seg *seg)
{
	if (w->state != TCP_ST_TIME_WAIT || seg->flags & (TCPF_ACK | TCPF_FIN))
		return false;
	if (w->ts_ok && seg->opt & TO_TS && seg->tsval != w->ts_recent)
		return seq_gt(seg->tsval, w->ts_recent);
	return seq_gt(seg->seq, w->rcv_nxt);
}

/* What FIN_WAIT_2 still waits for. */
static void tw_fin_wait_2(struct stack *s, struct tcp_tw *w, const struct tcp_seg *seg)
{
	/* RFC 5961, 5.2; how far back an ACK may be old is not remembered, but no window is larger. */
	if (seq_gt(seg->ack, w->snd_nxt) || seq_lt(seg->ack, w->snd_nxt - TW_WND_MAX)) {
		STAT_INC(s, IS_DROP_TCP_ACK);
		tw_ack(s, w, true);
		return;
	}
	if (seg->len && seq_gt(seg->seq + seg->len, w->rcv_nxt)) {
		/* Data that nobody will read (RFC 1122, 4.2.2.13). */
		STAT_INC(s, IS_DROP_TCP_NO_CONN);
		tcp_send_rst(s, seg);
		tcp_tw_free(s, w);
		return;
	}
	if (seg->flags & TCPF_FIN && seg->seq + seg->len == w->rcv_nxt) {
		w->rcv_nxt++;
		w->state = TCP_ST_TIME_WAIT;
		tw_restart(s, w);
		tw_ack(s, w, false);
	} else if (seg_space(seg)) {
		tw_ack(s, w, true); /* a copy of what was acknowledged, or a FIN behind a gap */
	}
}

/* Ignored in TIME_WAIT (RFC 1337); as anywhere else in FIN_WAIT_2 (RFC 5961, 3.2). */
static void tw_reset(struct stack *s, struct tcp_tw *w, const struct tcp_seg *seg)
{
	if (w->state == TCP_ST_FIN_WAIT_2 && seg->seq == w->rcv_nxt) {
		STAT_INC(s, IS_TCP_RST_IN);
		tcp_tw_free(s, w);
		return;
	}
	STAT_INC(s, IS_DROP_TCP_STATE);
	if (w->state == TCP_ST_FIN_WAIT_2 && seq_gt(seg->seq, w->rcv_nxt) && seq_lt(seg->seq, w->rcv_nxt + tw_window(w)))
		tw_ack(s, w, true);
}

bool tcp_tw_input(struct stack *s, struct tcp_tw *w, const struct tcp_seg *seg, uint32_t *min_iss)
{
	bool stale = tcp_paws_reject(s, w->ts_ok, w->ts_recent, tcp_now_s(s), seg);
	bool in_window = seq_lt(seg->seq, w->rcv_nxt + u32_max(tw_window(w), 1)) &&
			 seq_geq(seg->seq + seg_space(seg), w->rcv_nxt);

	if (seg->flags & TCPF_RST) {
		tw_reset(s, w, seg);
		return false;
	}
	if (seg->flags & TCPF_SYN) {
		/* For nobody it would only end the record early. */
		if (tw_syn_is_new(w, seg) && tcp_lookup_listener(s, seg->pkt, seg->dport, seg->hash)) {
			*min_iss = w->snd_nxt + 65535 + 2;
			if (*min_iss == 0)
				*min_iss = 1;
			tcp_tw_free(s, w);
			return true;
		}
		STAT_INC(s, IS_DROP_TCP_STATE);
		tw_ack(s, w, true);
		return false;
	}
	if (stale || !in_window) {
		STAT_INC(s, IS_DROP_TCP_WINDOW);
		if (!stale || seg->opt & TO_TS) /* else silently (RFC 7323, 3.2) */
			tw_ack(s, w, true);
		return false;
	}
	if (!(seg->flags & TCPF_ACK)) {
		STAT_INC(s, IS_DROP_TCP_STATE);
		return false;
	}
	if (seg->opt & TO_TS && w->ts_ok && seq_leq(seg->seq, w->rcv_nxt) && seq_gt(seg->tsval, w->ts_recent)) {
		tw_take_timestamp(s, w, seg->tsval);
	}
	if (w->state == TCP_ST_FIN_WAIT_2) {
		tw_fin_wait_2(s, w, seg);
	} else if (seg->flags & TCPF_FIN && seg->seq + seg_space(seg) == w->rcv_nxt) { /* our last ACK was lost */
		tw_restart(s, w);
		tw_ack(s, w, false);
	} else if (seg_space(seg)) {
		tw_ack(s, w, true);
	}
	return false;
}
