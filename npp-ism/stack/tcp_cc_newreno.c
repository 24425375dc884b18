/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_cc_newreno.c - congestion avoidance of RFC 5681
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

static void newreno_init(struct tcb *t)
{
	t->ccs.newreno.acked = 0;
}

static void newreno_acked(struct stack *s, struct tcb *t, uint32_t bytes)
{
	(void)s;
	t->ccs.newreno.acked += bytes;
	while (t->ccs.newreno.acked >= t->cwnd) {
		t->ccs.newreno.acked -= t->cwnd;
		t->cwnd += t->mss;
	}
}

static uint32_t newreno_ssthresh(struct stack *s, struct tcb *t)
{
	(void)s;
	t->ccs.newreno.acked = 0;
	return u32_max(u32_min(t->snd_nxt - t->snd_una, t->cwnd) / 2, 2u * t->mss);
}

const struct tcp_cc tcp_cc_newreno = { "newreno", newreno_init, newreno_acked, newreno_ssthresh, newreno_init,
					newreno_init };
