/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_sack.c - intervals, and what SACK blocks say (RFC 2018, RFC 2883)
 *
 * Intervals are what the receiving side keeps of data out of order. What the peer holds
 * out of order stands in the send ranges (tcp_sent.c).
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

/* ---- intervals ------------------------------------------------------------------------- */

bool tcp_ranges_add(struct tcp_block *b, uint32_t start, uint32_t end, uint32_t *added)
{
	uint32_t i = 0, j, held;

	*added = 0;
	while (i < b->n && seq_lt(b->r[i].end, start))
		i++;
	/* [i, j) touch or overlap the new one. */
	held = 0;
	for (j = i; j < b->n && seq_leq(b->r[j].start, end); j++)
		held += seq_min(b->r[j].end, end) - seq_max(b->r[j].start, start);
	*added = end - start - held;
	if (i == j) {
		if (b->n == TCP_RANGES)
			return false;
		memmove(&b->r[i + 1], &b->r[i], (b->n - i) * sizeof b->r[0]);
		b->r[i] = (struct tcp_range){ start, end };
		b->n++;
		return true;
	}
	b->r[i].start = seq_min(b->r[i].start, start);
	b->r[i].end = seq_max(b->r[j - 1].end, end);
	memmove(&b->r[i + 1], &b->r[j], (b->n - j) * sizeof b->r[0]);
	b->n -= j - i - 1;
	return true;
}

void tcp_ranges_trim(struct tcp_block *b, uint32_t upto)
{
	uint32_t i = 0;

	while (i < b->n && seq_leq(b->r[i].end, upto))
		i++;
	if (i) {
		memmove(&b->r[0], &b->r[i], (b->n - i) * sizeof b->r[0]);
		b->n -= i;
	}
	if (b->n && seq_lt(b->r[0].start, upto))
		b->r[0].start = upto;
}

const struct tcp_range *tcp_ranges_find(const struct tcp_block *b, uint32_t seq)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (seq_leq(b->r[i].start, seq) && seq_lt(seq, b->r[i].end))
			return &b->r[i];
	return NULL;
}

/* ---- SACK blocks of the peer --------------------------------------------------------------- */

/* RFC 2883, 4: the first block is a D-SACK if it lies below the ACK or inside the second. */
static bool is_dsack(const struct tcp_seg *seg)
{
	const struct tcp_range *a = &seg->sack[0], *b = &seg->sack[1];

	if (seq_leq(a->end, seg->ack))
		return true;
	return seg->n_sack > 1 && seq_geq(a->start, b->start) && seq_leq(a->end, b->end);
}

static void take_dsack(struct stack *s, struct tcb *t, const struct tcp_range *r, struct tcp_news *n)
{
	uint32_t len = r->end - r->start, back = t->snd_nxt - r->start;

	/* Of something that was in flight within the last windows (RFC 2883, 4). Not counted from the
	 * initial number, which lies ahead in half of a long connection's life. */
	if (!seq_lt(r->start, r->end) || len > t->max_wnd + t->mss || seq_gt(r->end, t->snd_nxt) ||
	    back > 2ull * (t->max_wnd + t->mss))
		return;
	n->has_dsack = true;
	n->dsack = *r;
	n->dup = len;
	t->n_dsack++;
	STAT_INC(s, IS_TCP_DSACK_IN);
}

/* In ascending order, so that one ACK with several new blocks does not look like reordering. */
static unsigned sort_blocks(const struct tcp_seg *seg, unsigned from, struct tcp_range *out)
{
	unsigned n = 0, k;

	for (unsigned i = from; i < seg->n_sack; i++) {
		for (k = n++; k && seq_gt(out[k - 1].start, seg->sack[i].start); k--)
			out[k] = out[k - 1];
		out[k] = seg->sack[i];
	}
	return n;
}

void tcp_sack_input(struct stack *s, struct tcb *t, const struct tcp_seg *seg, struct tcp_news *n)
{
	struct tcp_range block[TCP_SACK_MAX];
	unsigned from = 0, count;

	if (is_dsack(seg)) {
		take_dsack(s, t, &seg->sack[0], n);
		from = 1;
	}
	count = sort_blocks(seg, from, block);
	for (unsigned i = 0; i < count; i++) {
		uint32_t a = seq_max(block[i].start, t->snd_una), z = block[i].end;

		if (seq_lt(block[i].start, z) && seq_lt(a, z) && seq_leq(z, t->snd_nxt))
			tcp_sent_sacked(s, t, a, z, seg, n);
	}
}
