/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_cc.c - congestion control, the part that all algorithms share
 *
 * An algorithm is a struct tcp_cc: how cwnd grows beyond slow start, and what ssthresh is
 * after a loss; if it wants, what every ACK tells it, what a router's mark means, and how
 * fast it wants to be sent. Its state is in the TCB's unions ccs (kept) and ccr (of the
 * current epoch; HyStart++ has that place during the first slow start). A new one needs a
 * number in enum npp_tcp_cc and a line below.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

/* By enum npp_tcp_cc: what stands in a TCB is the number. */
const struct tcp_cc *const tcp_cc_table[NPP_CC_COUNT] = {
	[NPP_CC_DEFAULT] = &tcp_cc_cubic,
	[NPP_CC_CUBIC] = &tcp_cc_cubic,
	[NPP_CC_RENO] = &tcp_cc_newreno,
	[NPP_CC_DCTCP] = &tcp_cc_dctcp,
};

uint8_t tcp_cc_choose(const struct stack *s, uint32_t want)
{
	uint32_t dflt = s->env->global->tcp_cc;

	if (want == NPP_CC_DEFAULT || want >= NPP_CC_COUNT)
		want = dflt;
	return (uint8_t)(want == NPP_CC_DEFAULT || want >= NPP_CC_COUNT ? NPP_CC_CUBIC : want);
}

/* In the middle of a connection: cwnd stays. */
void tcp_cc_change(struct tcb *t, uint8_t cc)
{
	if (t->cc == cc)
		return;
	t->cc = cc;
	memset(&t->ccs, 0, sizeof t->ccs);
	memset(&t->ccr, 0, sizeof t->ccr);
	if (t->c.state >= TCP_ST_ESTABLISHED)
		tcp_cc(t)->init(t);
}

/* RFC 6928, 2. */
uint32_t tcp_initial_window(const struct tcb *t)
{
	return u32_min(10u * t->mss, u32_max(2u * t->mss, 14600));
}

void tcp_cc_init(struct tcb *t)
{
	t->cwnd = tcp_initial_window(t);
	t->ssthresh = TCP_CWND_MAX;
	memset(&t->ccr, 0, sizeof t->ccr);
	tcp_cc(t)->init(t);
}

/* N->acked bytes were acknowledged. A window that the sender does not fill must not grow
 * (RFC 7661); nor does one that was reduced for a mark in this round trip. */
void tcp_cc_acked(struct stack *s, struct tcb *t, const struct tcp_news *n)
{
	uint32_t bytes = n->acked;

	if (t->flags & TF_ECN_ROUND)
		return;
	if (t->cwnd < t->ssthresh) {
		if (!(t->flags & TF_CWND_LIMITED) && t->cwnd >= 2 * n->flight)
			return;
		if (t->ssthresh >= TCP_CWND_MAX && tcp_cc(t)->hystart)
			bytes = tcp_hystart(t, n);
		/* Byte counting (RFC 3465) without its limit L: one ACK may stand for a 64 KB frame. */
		if (bytes > t->ssthresh - t->cwnd) {
			bytes -= t->ssthresh - t->cwnd;
			t->cwnd = t->ssthresh;
		} else {
			t->cwnd += bytes;
			bytes = 0;
		}
	}
	if (bytes && t->flags & TF_CWND_LIMITED)
		tcp_cc(t)->acked(s, t, bytes);
	t->cwnd = u32_min(t->cwnd, TCP_CWND_MAX);
}

/* ---- pacing -------------------------------------------------------------------------------- */

/* Microseconds until the next frame may leave. */
uint32_t tcp_pace_wait(const struct stack *s, const struct tcb *t)
{
	uint32_t wait = t->pace_us - (uint32_t)s->now_us;

	return (int32_t)wait > 0 && wait < TCP_PACE_STALE_US ? wait : 0;
}

/* LEN bytes have left. What the timer's coarse ticks have cost may be made up for. */
void tcp_pace_sent(const struct stack *s, struct tcb *t, uint64_t rate, uint32_t len)
{
	uint32_t now = (uint32_t)s->now_us, late = now - t->pace_us;

	if (!tcp_pace_wait(s, t) && late > TCP_PACE_LATE_US)
		t->pace_us = now - TCP_PACE_LATE_US;
	t->pace_us += (uint32_t)u64_min((uint64_t)len * 1000000 / rate, TCP_PACE_STALE_US / 2);
}
