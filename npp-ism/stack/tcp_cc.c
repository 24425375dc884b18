/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_cc.c - congestion control, the part that all algorithms share
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

#define CWND_MAX (1u << 30)

/* By enum tcp_cc_id: what stands in a TCB is the number. */
static const struct tcp_cc *const algorithms[TCP_CC_COUNT] = {
	[TCP_CC_CUBIC] = &tcp_cc_cubic,
	[TCP_CC_NEWRENO] = &tcp_cc_newreno,
};

const struct tcp_cc *tcp_cc(const struct tcb *t)
{
	return algorithms[t->cc < TCP_CC_COUNT ? t->cc : TCP_CC_NEWRENO];
}

/* RFC 6928, 2. */
uint32_t tcp_initial_window(const struct tcb *t)
{
	return u32_min(10u * t->mss, u32_max(2u * t->mss, 14600));
}

void tcp_cc_init(struct tcb *t)
{
	t->cwnd = tcp_initial_window(t);
	t->ssthresh = CWND_MAX;
	tcp_cc(t)->init(t);
}

/* BYTES were acknowledged; FLIGHT_BEFORE were in flight when that ACK came. A window that
 * the sender does not fill must not grow (RFC 7661). */
void tcp_cc_acked(struct stack *s, struct tcb *t, uint32_t bytes, uint32_t flight_before)
{
	if (t->cwnd < t->ssthresh) {
		if (!(t->flags & TF_CWND_LIMITED) && t->cwnd >= 2 * flight_before)
			return;
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
	t->cwnd = u32_min(t->cwnd, CWND_MAX);
	t->flags &= ~TF_CWND_LIMITED;
}
