/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_urg.c - urgent data (RFC 9293, 3.8.5; RFC 6093), as Linux has it
 *
 * The urgent pointer of what we send and receive points behind the urgent byte (RFC 6093, 4: what
 * everybody does, whatever RFC 1122 said); of several urgent bytes the last one counts. The data itself
 * is part of the stream. The stack only says where the mark is, and if its byte comes out of order: what
 * that means for reading is the socket's business.
 *
 * Urgent data is rare, so a connection spends a flag on it; while it is set, a pointer that has
 * passed follows snd_una (rcv_nxt), and it is cleared when both have.
 */
#include "config.h"

#include <arpa/inet.h>

#include "npp-ism/stack/tcp.h"

static bool awaited(const struct tcb *t)
{
	return seq_geq(t->rcv_up, t->rcv_nxt);
}

static void rest(struct tcb *t)
{
	if (t->snd_up == t->snd_una && !awaited(t))
		t->flags &= ~TF_URG;
}

/* ---- sending ------------------------------------------------------------------------------ */

void tcp_urg_put(const struct tcb *t, uint32_t seq, struct tcp_hdr *h)
{
	uint32_t ptr = t->snd_up - seq;

	if (ptr > 0xffff) {
		/* Too far to be named; "somewhere ahead" is said if nothing has been sent beyond that. */
		if (!seq_gt(seq + 0xffff, t->snd_nxt))
			return;
		ptr = 0xffff;
	}
	h->flags |= TCPF_URG;
	h->urp = htons((uint16_t)ptr);
}

void tcp_urg_acked(struct tcb *t)
{
	t->snd_up = seq_max(t->snd_up, t->snd_una);
	rest(t);
}

/* ---- receiving ---------------------------------------------------------------------------- */

static void tell(struct stack *s, struct tcb *t, bool here)
{
	if (s->env->ops->urgent)
		s->env->ops->urgent(s->env->arg, &t->c, t->rcv_up - tcp_irs(t) - 1, here);
}

/* Is the byte at SEQ kept out of order already? */
static bool have(struct stack *s, struct tcb *t, uint32_t seq)
{
	const struct tcp_block *b = tcp_block(s, t->ooo);

	return b && tcp_ranges_find(b, seq);
}

void tcp_urg_input(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	/* A pointer of 0 points at the first byte of the segment: so says Linux. */
	uint32_t up = seg->seq + (seg->urp ? seg->urp - 1u : 0);

	/* After close() nobody would hear of it, and after the peer's FIN nothing comes: so in CLOSE_WAIT, CLOSING and
	 * LAST_ACK it means nothing (RFC 9293, 3.10.7.4, sixth). */
	if (t->flags & TF_ORPHAN || seq_lt(up, t->rcv_nxt) || (t->flags & TF_RCV_FIN && seq_geq(up, t->rcv_fin)))
		return;
	if (!(t->flags & TF_URG)) {
		t->snd_up = t->snd_una;
		t->flags |= TF_URG;
	} else if (awaited(t) && seq_leq(up, t->rcv_up)) {
		return;
	}
	t->rcv_up = up;
	STAT_INC(s, IS_TCP_URGENT_IN);
	tell(s, t, false);
	if (have(s, t, up))
		tell(s, t, true);
}

void tcp_urg_text(struct stack *s, struct tcb *t, uint32_t seq, uint32_t len)
{
	if (!awaited(t)) {
		t->rcv_up = t->rcv_nxt - 1;
		rest(t);
	} else if (t->rcv_up - seq < len && seq != t->rcv_nxt) {
		tell(s, t, true);
	}
}
