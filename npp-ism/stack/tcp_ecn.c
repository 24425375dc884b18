/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_ecn.c - explicit congestion notification (RFC 3168)
 *
 *   SYN      ECE CWR   "I can do it"           sent if the NPP says `on`, or for a congestion
 *                                              control that lives by it; not with the
 *                                              second SYN (6.1.1.1)
 *   SYN-ACK  ECE       "so can I"              unless the NPP says `off`
 *
 * From then on segments with new data are ECN-capable, ECT(0); never what is sent again, pure
 * ACKs and probes (6.1.4 to 6.1.6). A router's mark (CE) comes back as ECE in every ACK until a
 * segment with CWR says that it was heard (6.1.3), or, for DCTCP, as long as the marks last
 * (RFC 8257, 3.2). ECE reduces the window once per round trip: TF_ECN_ROUND, until `recover`
 * is acknowledged.
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

#define ECN_MASK 3u
#define ECN_CE 3u
#define ECN_SETUP (TCPF_ECE | TCPF_CWR)

static bool allowed(const struct stack *s)
{
	return s->env->global->tcp_ecn != NPP_ECN_OFF;
}

/* ---- agreeing ------------------------------------------------------------------------- */

uint8_t tcp_ecn_syn(const struct stack *s, struct tcb *t)
{
	if (t->c.state == TCP_ST_SYN_RECEIVED) /* simultaneous open */
		return t->flags & TF_ECN ? TCPF_ECE : 0;
	t->flags &= ~TF_ECN_ASKED;
	if (t->tries || !allowed(s) || !(s->env->global->tcp_ecn == NPP_ECN_ON || tcp_cc(t)->exact_ecn))
		return 0;
	t->flags |= TF_ECN_ASKED;
	return ECN_SETUP;
}

bool tcp_ecn_offered(const struct stack *s, const struct tcp_seg *seg)
{
	return (seg->flags & (ECN_SETUP | TCPF_SYN | TCPF_ACK)) == (ECN_SETUP | TCPF_SYN) && allowed(s);
}

void tcp_ecn_synack(const struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	if (tcp_ecn_offered(s, seg))
		t->flags |= TF_ECN;
	else if (t->flags & TF_ECN_ASKED && (seg->flags & (ECN_SETUP | TCPF_ACK)) == (TCPF_ECE | TCPF_ACK))
		t->flags |= TF_ECN;
}

/* ---- as receiver ---------------------------------------------------------------------------- */

void tcp_ecn_text(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	bool ce = (seg->pkt->tos & ECN_MASK) == ECN_CE;

	if (tcp_cc(t)->exact_ecn) {
		if (ce == ((t->flags & TF_ECE) != 0))
			return;
		if (t->flags & TF_ACK_OWED) /* for what came before, as that was */
			tcp_send_ack(s, t);
		t->flags ^= TF_ECE;
		return;
	}
	if (seg->flags & TCPF_CWR)
		t->flags &= ~TF_ECE;
	if (ce) {
		STAT_INC(s, IS_TCP_CE_IN);
		t->flags |= TF_ECE | (t->flags & TF_ECE ? 0 : TF_ACK_NOW);
	}
}

/* ---- as sender -------------------------------------------------------------------------------- */

void tcp_ecn_ack(struct stack *s, struct tcb *t, const struct tcp_seg *seg, const struct tcp_news *n)
{
	const struct tcp_cc *cc = tcp_cc(t);
	bool ece = seg->flags & TCPF_ECE;

	if (ece)
		t->delivered_ce += (n->delivered + t->mss - 1) / t->mss;
	if (cc->news)
		cc->news(s, t, n, ece);
	if (t->flags & TF_ECN_ROUND && seq_geq(t->snd_una, t->recover)) {
		t->flags &= ~TF_ECN_ROUND;
		t->recover = t->snd_una - 1;
	}
	if (!ece || t->recovery != TCP_OPEN || t->flags & TF_ECN_ROUND || t->snd_una == t->snd_nxt)
		return;
	STAT_INC(s, IS_TCP_ECN_REDUCED);
	t->ssthresh = cc->marked ? cc->marked(s, t) : cc->ssthresh(s, t);
	t->cwnd = u32_min(t->cwnd, t->ssthresh);
	t->recover = t->snd_nxt;
	t->flags |= TF_ECN_ROUND | TF_CWR;
}
