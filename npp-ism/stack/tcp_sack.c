/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_sack.c - intervals, and the scoreboard of what the peer holds out of order
 *              (RFC 2018, RFC 2883, RFC 6675)
 *
 * The scoreboard is three things: `sacked`, the intervals that the peer has reported;
 * lost_edge, below which everything not SACKed is taken for lost; high_rxt, below which
 * everything lost was sent again. From them follow
 *
 *   what is lost and not sent again     holes in [high_rxt, lost_edge)
 *   pipe, what is still on its way      holes in [lost_edge, snd_nxt) + holes in [snd_una, high_rxt)
 *
 * so that no record per segment is needed. RFC 6675 calls a byte lost when more than
 * (DupThresh - 1) segments above it were SACKed; since that sum only falls with the
 * sequence number, one edge says it for all bytes.
 *
 * Networks that reorder: when a hole is filled by an ACK although nothing was sent again
 * (or a D-SACK says that sending again was needless), DupThresh grows to the distance
 * seen, as Linux does.
 *
 * A count of segments says nothing where only few are in flight, so time counts as well
 * (RFC 8985): what was sent before something that has arrived is lost a quarter of a
 * round trip later. The same holds for what was sent again, of which only the first hole
 * is watched: holes are sent again in ascending order.
 *
 * Without SACK, `dupacks` counts segments that duplicate ACKs say have left (RFC 6582).
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

uint32_t tcp_ranges_sum(const struct tcp_block *b, uint32_t from, uint32_t to)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; b && i < b->n; i++) {
		uint32_t a = seq_max(b->r[i].start, from), z = seq_min(b->r[i].end, to);

		if (seq_lt(a, z))
			sum += z - a;
	}
	return sum;
}

const struct tcp_range *tcp_ranges_find(const struct tcp_block *b, uint32_t seq)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (seq_leq(b->r[i].start, seq) && seq_lt(seq, b->r[i].end))
			return &b->r[i];
	return NULL;
}

uint32_t tcp_ranges_hole(const struct tcp_block *b, uint32_t from, uint32_t limit, uint32_t *end)
{
	*end = limit;
	for (uint32_t i = 0; b && i < b->n; i++) {
		if (seq_leq(b->r[i].end, from))
			continue;
		if (seq_gt(b->r[i].start, from)) {
			*end = seq_min(b->r[i].start, limit);
			break;
		}
		from = b->r[i].end;
	}
	return from;
}

/* ---- the scoreboard ----------------------------------------------------------------------- */

void tcp_sack_clear(struct stack *s, struct tcb *t)
{
	tcp_block_put(s, &t->sacked);
}

/* RFC 2883, 4: the first block is a D-SACK if it lies below the ACK or inside the second. */
static bool is_dsack(const struct tcp_seg *seg)
{
	const struct tcp_range *a = &seg->sack[0], *b = &seg->sack[1];

	if (seq_leq(a->end, seg->ack))
		return true;
	return seg->n_sack > 1 && seq_geq(a->start, b->start) && seq_leq(a->end, b->end);
}

uint32_t tcp_sack_input(struct stack *s, struct tcb *t, const struct tcp_seg *seg, uint32_t *dup)
{
	uint32_t fresh = 0, added;
	unsigned i = 0;
	struct tcp_block *b;

	*dup = 0;
	if (is_dsack(seg) && seq_lt(seg->sack[0].start, seg->sack[0].end)) {
		uint32_t n = seg->sack[0].end - seg->sack[0].start;

		if (n <= t->max_wnd + t->mss) {
			*dup = n;
			STAT_INC(s, IS_TCP_DSACK_IN);
		}
		i = 1;
	}
	for (; i < seg->n_sack; i++) {
		uint32_t a = seg->sack[i].start, z = seg->sack[i].end;

		if (!seq_lt(a, z) || seq_leq(z, seg->ack) || seq_gt(z, t->snd_nxt))
			continue;
		a = seq_max(a, seq_max(seg->ack, t->snd_una));
		if (!seq_lt(a, z))
			continue;
		if (t->sacked == TCP_NONE)
			t->sacked = tcp_block_get(s);
		b = tcp_block(s, t->sacked);
		if (!b)
			continue;
		if (t->recovery != TCP_OPEN && seq_lt(a, t->high_rxt)) {
			if (!tcp_ranges_add(b, a, seq_min(z, t->high_rxt), &added))
				continue;
			fresh += added;
			t->rtx_later += added;
		}
		if (tcp_ranges_add(b, a, z, &added))
			fresh += added;
	}
	return fresh;
}

/* Moves lost_edge up to where RFC 6675, IsLost() puts it. */
void tcp_sack_mark_lost(struct stack *s, struct tcb *t)
{
	const struct tcp_block *b = tcp_block(s, t->sacked);
	uint32_t above = 0, need = (t->dupthresh - 1u) * t->mss;

	if (!b || !b->n)
		return;
	for (uint32_t i = b->n; i-- > 0;) {
		above += b->r[i].end - b->r[i].start;
		/* A loss probe that arrived ahead of what was sent long before it proves the loss. */
		bool probed = t->flags & TF_TLP_OUT && b->r[i].end == t->tlp_end && t->tlp_end == t->snd_nxt;

		if (above > need || b->n - i >= t->dupthresh || probed) {
			t->lost_edge = seq_max(t->lost_edge, b->r[i].start);
			return;
		}
	}
}

uint32_t tcp_pipe(const struct stack *s, const struct tcb *t)
{
	const struct tcp_block *b = tcp_block(s, t->sacked);
	uint32_t una = t->snd_una, edge = seq_max(t->lost_edge, una), rxt = seq_max(t->high_rxt, una), pipe;

	pipe = t->snd_nxt - edge - tcp_ranges_sum(b, edge, t->snd_nxt);
	pipe += rxt - una - tcp_ranges_sum(b, una, rxt);
	if (t->dupacks && !(t->flags & TF_SACK)) {
		uint32_t left = t->dupacks * t->mss;

		pipe = pipe > left ? pipe - left : 0;
	}
	return pipe;
}
