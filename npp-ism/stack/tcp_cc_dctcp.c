/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_cc_dctcp.c - DCTCP (RFC 8257): as much less as was marked
 *
 * alpha estimates the share of bytes that routers mark, from window to window, in units of
 * 1/ALPHA_ONE. A window with marks reduces cwnd by alpha/2; a loss halves it (3.5). Growth
 * is Reno's. For networks whose routers mark early, and only there.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

#define ALPHA_SHIFT 20
#define ALPHA_ONE (1u << ALPHA_SHIFT)
#define G_SHIFT 4 /* g = 1/16 (4.2) */

static void dctcp_reset(struct tcb *t)
{
	memset(&t->ccr, 0, sizeof t->ccr);
	t->ccs.dctcp.end = t->snd_nxt;
}

static void dctcp_init(struct tcb *t)
{
	t->ccs.dctcp.alpha = ALPHA_ONE; /* 3.3 (2): careful at first */
	dctcp_reset(t);
}

/* 3.3, once per window: alpha = (1 - g) alpha + g M. */
static void dctcp_news(struct stack *s, struct tcb *t, const struct tcp_news *n, bool ece)
{
	uint32_t alpha = t->ccs.dctcp.alpha;

	(void)s;
	t->ccr.dctcp.bytes += n->acked;
	if (ece)
		t->ccr.dctcp.marked += n->acked;
	if (!seq_gt(t->snd_una, t->ccs.dctcp.end))
		return;
	alpha -= alpha >> G_SHIFT ? alpha >> G_SHIFT : alpha;
	if (t->ccr.dctcp.bytes)
		alpha += (uint32_t)(((uint64_t)t->ccr.dctcp.marked << (ALPHA_SHIFT - G_SHIFT)) / t->ccr.dctcp.bytes);
	t->ccs.dctcp.alpha = u32_min(alpha, ALPHA_ONE);
	t->ccr.dctcp.bytes = t->ccr.dctcp.marked = 0;
	t->ccs.dctcp.end = t->snd_nxt;
}

static void dctcp_acked(struct stack *s, struct tcb *t, uint32_t bytes)
{
	(void)s;
	t->ccr.dctcp.acked += bytes;
	while (t->ccr.dctcp.acked >= t->cwnd) {
		t->ccr.dctcp.acked -= t->cwnd;
		t->cwnd += t->mss;
	}
}

static uint32_t dctcp_ssthresh(struct stack *s, struct tcb *t)
{
	(void)s;
	t->ccr.dctcp.acked = 0;
	return u32_max(t->cwnd / 2, 2u * t->mss);
}

static uint32_t dctcp_marked(struct stack *s, struct tcb *t)
{
	uint32_t less = (uint32_t)((uint64_t)t->cwnd * t->ccs.dctcp.alpha >> (ALPHA_SHIFT + 1));

	(void)s;
	t->ccr.dctcp.acked = 0;
	return u32_max(t->cwnd - less, 2u * t->mss);
}

const struct tcp_cc tcp_cc_dctcp = {
	.name = "dctcp", .exact_ecn = true, .init = dctcp_init, .acked = dctcp_acked, .ssthresh = dctcp_ssthresh,
	.idle = dctcp_reset, .undo = dctcp_reset, .news = dctcp_news, .marked = dctcp_marked,
};
