/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_cc_newreno.c - congestion avoidance of RFC 5681
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

static void newreno_init(struct tcb *t)
{
	memset(&t->ccr, 0, sizeof t->ccr);
}

static void newreno_acked(struct stack *s, struct tcb *t, uint32_t bytes)
{
	(void)s;
	t->ccr.newreno.acked += bytes;
	while (t->ccr.newreno.acked >= t->cwnd) {
		t->ccr.newreno.acked -= t->cwnd;
		t->cwnd += t->mss;
	}
}

static uint32_t newreno_ssthresh(struct stack *s, struct tcb *t)
{
	(void)s;
	t->ccr.newreno.acked = 0;
	return u32_max(u32_min(t->snd_nxt - t->snd_una, t->cwnd) / 2, 2u * t->mss);
}

const struct tcp_cc tcp_cc_newreno = {
	.name = "reno", .hystart = true, .init = newreno_init, .acked = newreno_acked, .ssthresh = newreno_ssthresh,
	.idle = newreno_init, .undo = newreno_init,
};
