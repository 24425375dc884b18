/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_timer.c - what happens when nothing happens
 *
 * A connection has several due times and one timer on the wheel, armed for the earliest of
 * them or earlier: moving a due time back, which every ACK does, costs a store, and the
 * wheel's timer finds out when it fires. It stands in an array of its own, so that the wheel
 * goes through small records close together and not from TCB to TCB.
 *
 *   DUE_TX      retransmission, loss probe, end of the wait for what was overtaken, or
 *               window probe, as tx_mode says; SYN too
 *   DUE_DELACK  the delayed ACK
 *   DUE_KEEP    keep-alive
 *   DUE_PACE    the next frame of a paced sender
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>

#include "npp-ism/stack/tcp.h"

/* Low bits of a tick, never 0; differences are good for 25 days. */
static uint32_t tick_up(uint64_t us)
{
	uint32_t tick = (uint32_t)((us + WHEEL_TICK_US - 1) / WHEEL_TICK_US);

	return tick ? tick : 1;
}

/* The time of due tick DUE. */
static uint64_t due_us_of(const struct stack *s, uint32_t due)
{
	uint64_t now = s->now_us / WHEEL_TICK_US;

	return (now + (uint64_t)(int64_t)(int32_t)(due - (uint32_t)now)) * WHEEL_TICK_US;
}

static void arm_wheel(struct stack *s, struct tcb *t, uint32_t due)
{
	if (t->timer_due && (int32_t)(due - t->timer_due) >= 0)
		return;
	t->timer_due = due;
	wheel_arm(&s->wheel, &s->tcp->timers[t->c.index], due_us_of(s, due));
	if (due - (uint32_t)s->wheel.tick < TCP_SOON_SLOTS)
		tcp_soon(s->tcp, t, due);
}

void tcp_timer_off(struct stack *s, struct tcb *t)
{
	if (t->timer_due)
		wheel_cancel(&s->wheel, &s->tcp->timers[t->c.index]);
	t->timer_due = 0;
}

void tcp_due(struct stack *s, struct tcb *t, enum tcp_due which, uint64_t due_us)
{
	t->due[which] = due_us ? tick_up(due_us) : 0;
	tcp_due_again(s, t, which);
}

void tcp_due_again(struct stack *s, struct tcb *t, enum tcp_due which)
{
	if (t->due[which])
		arm_wheel(s, t, t->due[which]);
}

static uint64_t backed_off(const struct tcb *t, unsigned shift)
{
	uint64_t us = (uint64_t)t->rto_us << (shift > 12 ? 12 : shift);

	return us > TCP_RTO_MAX_US ? TCP_RTO_MAX_US : us;
}

/* Milliseconds left of the user timeout; UINT32_MAX: there is none. */
static uint32_t user_time_left(const struct stack *s, const struct tcb *t)
{
	uint32_t gone = now_ms(s) - t->progress_ms;

	if (!t->user_timeout_ms)
		return UINT32_MAX;
	return gone < t->user_timeout_ms ? t->user_timeout_ms - gone : 0;
}

static void arm_tx_mode(struct stack *s, struct tcb *t, enum tcp_tx_mode mode, uint64_t after_us)
{
	uint32_t left = user_time_left(s, t);

	if (left != UINT32_MAX && after_us > left * 1000ull)
		after_us = left * 1000ull + 1000;
	t->tx_mode = (uint8_t)mode;
	tcp_due(s, t, DUE_TX, s->now_us + after_us);
}

void tcp_arm_rto(struct stack *s, struct tcb *t)
{
	arm_tx_mode(s, t, TXM_RTO, backed_off(t, t->backoff));
}

void tcp_arm_tx(struct stack *s, struct tcb *t)
{
	uint64_t pto;

	if (t->snd_una == t->snd_nxt) {
		if (t->tx_mode != TXM_PERSIST)
			tcp_due(s, t, DUE_TX, 0);
		return;
	}
	/* RFC 8985, 7.2. A single segment waits for a delayed ACK; whatever the sum, the probe comes
	 * no later than the RTO, and instead of it. */
	pto = u32_max(2 * t->srtt_us, TCP_TLP_MIN_US);
	if (t->snd_nxt - t->snd_una <= t->mss)
		pto += TCP_TLP_DELACK_US;
	if (t->flags & TF_SACK && t->recovery == TCP_OPEN && !t->sacked && !(t->flags & TF_TLP_OUT) && t->srtt_us &&
	    !t->backoff)
		arm_tx_mode(s, t, TXM_TLP, u32_min((uint32_t)pto, t->rto_us));
	else
		tcp_arm_rto(s, t);
}

void tcp_arm_reorder(struct stack *s, struct tcb *t, uint32_t after_us)
{
	if (after_us < t->rto_us)
		arm_tx_mode(s, t, TXM_REORDER, after_us);
}

/* What is in flight by a port that has just lost its carrier will not arrive; who is there again need
 * not wait for a timer that was backed off meanwhile. */
void tcp_ports_changed(struct stack *s, uint32_t ports)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t left = tcp->conn_pool.used;

	for (uint32_t i = 0; left && i < tcp->conn_pool.count; i++) {
		struct tcb *t = &tcp->conns[i];

		if (!t->in_use)
			continue;
		left--;
		if (t->due[DUE_TX] && ports >> t->c.path.port & 1 && !(t->flags & TF_DEAD))
			tcp_due(s, t, DUE_TX, s->now_us);
	}
}

void tcp_arm_persist(struct stack *s, struct tcb *t, uint32_t after_us)
{
	uint64_t us = (uint64_t)after_us << (t->probe_shift > 9 ? 9 : t->probe_shift);

	arm_tx_mode(s, t, TXM_PERSIST, us > TCP_RTO_MAX_US ? TCP_RTO_MAX_US : us);
}

void tcp_arm_keepalive(struct stack *s, struct tcb *t)
{
	if (!(t->opt_flags & NPP_OPT_KEEPALIVE)) {
		tcp_due(s, t, DUE_KEEP, 0);
		return;
	}
	tcp_due(s, t, DUE_KEEP, s->now_us + (t->keep_idle_s ? t->keep_idle_s : TCP_KEEP_IDLE_S) * 1000000ull);
}

/* ---- firing ---------------------------------------------------------------------------- */

/* R2 of RFC 9293, 3.8.3, the user timeout, or a closed connection that gets nowhere. */
static bool give_up(struct stack *s, struct tcb *t, unsigned tries)
{
	bool orphan = t->flags & TF_ORPHAN;

	if (t->tries <= tries && user_time_left(s, t) && !(orphan && now_ms(s) - t->progress_ms > TCP_ORPHAN_US / 1000))
		return false;
	tcp_reset(s, t, t->c.soft_error ? t->c.soft_error : ETIMEDOUT);
	return true;
}

static void back_off(struct tcb *t)
{
	t->tries++;
	if (t->backoff < 12)
		t->backoff++;
}

static void syn_fired(struct stack *s, struct tcb *t)
{
	unsigned tries = t->c.passive ? TCP_SYNACK_TRIES : t->syn_cnt ? t->syn_cnt : TCP_SYN_TRIES;

	if (tcp_tfo_waits(t)) { /* nothing was written: as any other */
		tcp_send_first_syn(s, t);
		return;
	}
	if (t->tries >= tries || !user_time_left(s, t)) {
		tcp_kill(s, t, t->c.soft_error ? t->c.soft_error : ETIMEDOUT);
		return;
	}
	back_off(t);
	STAT_INC(s, IS_TCP_RETRANS);
	tcp_send_syn(s, t);
	tcp_arm_rto(s, t);
}

static void rto_fired(struct stack *s, struct tcb *t)
{
	if (t->snd_una == t->snd_nxt)
		return;
	back_off(t);
	if (give_up(s, t, t->flags & TF_ORPHAN ? TCP_ORPHAN_TRIES : TCP_DATA_TRIES))
		return;
	STAT_INC(s, IS_TCP_RTO);
	tcp_mtu_timeout(s, t);
	tcp_recovery_loss(s, t);
	tcp_output(s, t);
	tcp_arm_rto(s, t);
}

static void persist_fired(struct stack *s, struct tcb *t)
{
	if (t->snd_wnd == 0) {
		t->tries++;
		if (give_up(s, t, TCP_PROBE_TRIES))
			return;
		if (t->probe_shift < 9)
			t->probe_shift++;
		tcp_send_probe(s, t);
		tcp_arm_persist(s, t, t->rto_us);
		return;
	}
	/* Held back long enough: a corked or silly small segment goes. */
	t->flags |= TF_PUSH;
	tcp_output(s, t);
	t->flags &= ~TF_PUSH;
}

static void reorder_fired(struct stack *s, struct tcb *t)
{
	tcp_arm_rto(s, t);
	tcp_recovery_reorder(s, t);
	tcp_output(s, t);
}

static void tx_fired(struct stack *s, struct tcb *t)
{
	if (t->c.state == TCP_ST_SYN_SENT || t->c.state == TCP_ST_SYN_RECEIVED)
		syn_fired(s, t);
	else if (t->tx_mode == TXM_PERSIST)
		persist_fired(s, t);
	else if (t->tx_mode == TXM_TLP && t->snd_una != t->snd_nxt && t->recovery == TCP_OPEN && !t->sacked)
		tcp_send_tlp(s, t);
	else if (t->tx_mode == TXM_REORDER)
		reorder_fired(s, t);
	else
		rto_fired(s, t);
}

static void delack_fired(struct stack *s, struct tcb *t)
{
	if (!(t->flags & TF_ACK_OWED))
		return;
	/* No answer carried it: the next ones go at once. */
	t->flags &= ~TF_INTERACTIVE;
	t->quick = TCP_QUICK_ACKS;
	tcp_send_ack(s, t);
}

static void keep_fired(struct stack *s, struct tcb *t)
{
	uint64_t idle_us = (t->keep_idle_s ? t->keep_idle_s : TCP_KEEP_IDLE_S) * 1000000ull;
	uint64_t intvl_us = (t->keep_intvl_s ? t->keep_intvl_s : TCP_KEEP_INTVL_S) * 1000000ull;
	uint64_t idle = (uint64_t)(now_ms(s) - t->last_rx_ms) * 1000;

	if (!(t->opt_flags & NPP_OPT_KEEPALIVE) || t->c.state < TCP_ST_ESTABLISHED)
		return;
	if (t->snd_una != t->snd_nxt || tcp_unsent(t)) { /* the transmit timer watches the peer */
		tcp_due(s, t, DUE_KEEP, s->now_us + idle_us);
		return;
	}
	if (!t->keep_probes && idle < idle_us) {
		tcp_due(s, t, DUE_KEEP, s->now_us + idle_us - idle);
		return;
	}
	/* The user timeout takes the place of the count (as on Linux). */
	if (t->user_timeout_ms ? t->keep_probes && idle >= t->user_timeout_ms * 1000ull :
				 t->keep_probes >= (t->keep_cnt ? t->keep_cnt : TCP_KEEP_CNT)) {
		tcp_reset(s, t, t->c.soft_error ? t->c.soft_error : ETIMEDOUT);
		return;
	}
	t->keep_probes++;
	tcp_send_probe(s, t);
	tcp_due(s, t, DUE_KEEP, s->now_us + intvl_us);
}

static bool take_due(struct stack *s, struct tcb *t, enum tcp_due which)
{
	uint32_t now = (uint32_t)(s->now_us / WHEEL_TICK_US);

	if (t->flags & TF_DEAD || !t->due[which] || (int32_t)(t->due[which] - now) > 0)
		return false;
	t->due[which] = 0;
	return true;
}

static void conn_timer(struct stack *s, struct tcb *t)
{
	t->timer_due = 0;
	if (!t->in_use || t->flags & TF_DEAD)
		return;
	tcp_enter(t);
	if (take_due(s, t, DUE_TX))
		tx_fired(s, t);
	if (take_due(s, t, DUE_KEEP))
		keep_fired(s, t);
	if (take_due(s, t, DUE_PACE))
		tcp_output(s, t);
	if (take_due(s, t, DUE_DELACK))
		delack_fired(s, t);
	for (unsigned k = 0; k < DUE_COUNT && !(t->flags & TF_DEAD); k++)
		tcp_due_again(s, t, (enum tcp_due)k);
	tcp_leave(t);
}

void tcp_timer(struct stack *s, struct wheel_timer *w)
{
	switch (w->arg) {
	case TCP_WHEEL_CONN:
		conn_timer(s, &s->tcp->conns[w - s->tcp->timers]);
		break;
	case TCP_WHEEL_SYN:
		tcp_syncache_timer(s, (struct tcp_syn *)((char *)w - offsetof(struct tcp_syn, timer)));
		break;
	default:
		tcp_tw_timer(s);
		break;
	}
}
