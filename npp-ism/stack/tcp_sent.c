/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_sent.c - what is in flight: when it was sent, and what became of it
 *
 * RFC 8985 wants to know of every segment when it was sent last, and RFC 6675 whether it
 * was SACKed, lost or sent again. Segments leave here as frames of up to 64 KB, so that
 * is kept per stretch of sequence space:
 *
 *   snd_una          r[0].end        r[1].end                   r[n-1].end == snd_nxt
 *      |  sent 10 ms ago  |   SACKed    |   sent again 1 ms ago   ...   |
 *
 * An ACK or SACK that ends inside a range splits it; neighbours that have become equal
 * are merged. Few ranges stand in the TCB itself, more in a flight record from a pool.
 * When there is no room for another one, neighbours are merged that differ only in time,
 * and have the later time from then on: losses in them are noticed later, never
 * mistakenly. If that is not enough, a SACK block is not noted, which RFC 2018 allows (the
 * peer might have forgotten it too).
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

/* ---- flight records ---------------------------------------------------------------------- */

struct tcp_flight *tcp_flight(const struct stack *s, const struct tcb *t)
{
	return t->flight == TCP_NONE ? NULL : &s->tcp->flights[t->flight];
}

struct tcp_sent *tcp_sent(const struct stack *s, struct tcb *t)
{
	struct tcp_flight *f = tcp_flight(s, t);

	return f ? &f->r[f->first] : t->sent;
}

struct tcp_flight *tcp_flight_get(struct stack *s, struct tcb *t)
{
	struct tcp_pool *p = &s->tcp->flight_pool;
	struct tcp_flight *f;
	uint32_t i = p->free;

	if (t->flight != TCP_NONE)
		return &s->tcp->flights[t->flight];
	if (i == TCP_NONE)
		return NULL;
	f = &s->tcp->flights[i];
	p->free = f->next_free;
	p->used++;
	memset(f, 0, offsetof(struct tcp_flight, r));
	f->next_free = i;
	memcpy(f->r, t->sent, sizeof t->sent);
	t->flight = i;
	return f;
}

void tcp_flight_put(struct stack *s, struct tcb *t)
{
	struct tcp_pool *p = &s->tcp->flight_pool;
	struct tcp_flight *f = tcp_flight(s, t);

	if (!f)
		return;
	f->next_free = p->free;
	p->free = t->flight;
	p->used--;
	t->flight = TCP_NONE;
}

/* ---- ranges --------------------------------------------------------------------------------- */

static uint32_t start_of(const struct tcb *t, const struct tcp_sent *r, unsigned i)
{
	return i ? r[i - 1].end : t->snd_una;
}

/* Index of the range that holds SEQ; n_sent if none does. */
static unsigned find(const struct stack *s, struct tcb *t, uint32_t seq)
{
	const struct tcp_sent *r = tcp_sent(s, t);
	unsigned lo = 0, hi = t->n_sent;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (seq_gt(r[mid].end, seq))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static void drop_at(const struct stack *s, struct tcb *t, unsigned i, unsigned n)
{
	struct tcp_sent *r = tcp_sent(s, t);

	if (i == 0 && t->flight != TCP_NONE)
		s->tcp->flights[t->flight].first += n;
	else
		memmove(&r[i], &r[i + n], (t->n_sent - i - n) * sizeof *r);
	t->n_sent = (uint8_t)(t->n_sent - n);
}

/* Range I takes over the one after it. */
static void join(const struct stack *s, struct tcb *t, unsigned i)
{
	struct tcp_sent *r = tcp_sent(s, t);

	r[i].end = r[i + 1].end;
	r[i].flags |= r[i + 1].flags;
	if (seq_gt(r[i + 1].at_us, r[i].at_us)) /* times wrap as sequence numbers do */
		r[i].at_us = r[i + 1].at_us;
	drop_at(s, t, i + 1, 1);
}

/* Merges neighbours between FROM and TO that are equal. */
static void tidy(const struct stack *s, struct tcb *t, unsigned from, unsigned to)
{
	for (unsigned i = from ? from - 1 : 0; i + 1 < t->n_sent && i < to + 1;) {
		const struct tcp_sent *a = &tcp_sent(s, t)[i], *b = a + 1;

		if (a->flags == b->flags && (a->flags & SENT_SACKED || a->at_us == b->at_us)) {
			join(s, t, i);
			to = to ? to - 1 : 0;
		} else {
			i++;
		}
	}
}

/* Merges pairs that differ in time only, all along, so that this happens rarely. */
static bool coarsen(const struct stack *s, struct tcb *t)
{
	unsigned before = t->n_sent;

	for (unsigned i = 0; i + 1 < t->n_sent; i++) {
		const struct tcp_sent *a = &tcp_sent(s, t)[i];

		if (!((a[0].flags ^ a[1].flags) & ~SENT_AGAIN))
			join(s, t, i);
	}
	return t->n_sent < before;
}

/* Makes room for one more range; they may have moved then. */
static bool make_room(struct stack *s, struct tcb *t)
{
	struct tcp_flight *f = tcp_flight(s, t);

	if (!f) {
		if (t->n_sent < TCP_SENT_INLINE)
			return true;
		f = tcp_flight_get(s, t);
	}
	if (!f || t->n_sent == TCP_SENT_MAX)
		return coarsen(s, t) && make_room(s, t);
	if (f->first + t->n_sent == TCP_SENT_MAX) {
		memmove(f->r, &f->r[f->first], t->n_sent * sizeof f->r[0]);
		f->first = 0;
	}
	return true;
}

/* Makes SEQ the beginning of a range; its index (n_sent for snd_nxt), or -1. */
static int split(struct stack *s, struct tcb *t, uint32_t seq)
{
	unsigned i = find(s, t, seq);
	struct tcp_sent *r = tcp_sent(s, t);

	if (i == t->n_sent || start_of(t, r, i) == seq)
		return (int)i;
	if (!make_room(s, t))
		return -1;
	i = find(s, t, seq); /* merging may have moved it, or may have made it a whole one's inside */
	r = tcp_sent(s, t);
	memmove(&r[i + 1], &r[i], (t->n_sent - i) * sizeof *r);
	t->n_sent++;
	r[i].end = seq;
	return (int)i + 1;
}

/* ---- sending ---------------------------------------------------------------------------------- */

void tcp_sent_new(struct stack *s, struct tcb *t, uint32_t end)
{
	struct tcp_sent *r = tcp_sent(s, t), *last = t->n_sent ? &r[t->n_sent - 1] : NULL;
	uint32_t now = (uint32_t)s->now_us;

	if (last && last->flags == 0 && last->at_us == now) {
		last->end = end;
		return;
	}
	if (!make_room(s, t)) {
		/* What stands last is forgotten to have come (or to be lost). */
		uint32_t len = last->end - start_of(t, r, t->n_sent - 1u);

		t->sacked -= last->flags & SENT_SACKED ? len : 0;
		t->lost -= last->flags & SENT_LOST ? len : 0;
		*last = (struct tcp_sent){ end, now, SENT_AGAIN };
		return;
	}
	tcp_sent(s, t)[t->n_sent++] = (struct tcp_sent){ end, now, 0 };
}

void tcp_sent_again(struct stack *s, struct tcb *t, uint32_t from, uint32_t end)
{
	int i = split(s, t, from), j = split(s, t, end);
	struct tcp_sent *r;

	if (i < 0 || j < 0) { /* then all of that range counts as sent */
		i = (int)find(s, t, from);
		j = i + 1 < t->n_sent ? i + 1 : t->n_sent;
	} else {
		i = (int)find(s, t, from);
	}
	r = tcp_sent(s, t);
	for (int k = i; k < j; k++) {
		if (r[k].flags & SENT_SACKED)
			continue;
		if (r[k].flags & SENT_LOST)
			t->lost -= r[k].end - start_of(t, r, (unsigned)k);
		r[k].flags = SENT_AGAIN;
		r[k].at_us = (uint32_t)s->now_us;
	}
	tidy(s, t, (unsigned)i, (unsigned)j);
}

/* ---- arriving ----------------------------------------------------------------------------------- */

/* LEN bytes of R, up to END, have arrived now. */
static void arrived(struct stack *s, struct tcb *t, const struct tcp_sent *r, uint32_t end, uint32_t len,
		    const struct tcp_seg *seg, struct tcp_news *n)
{
	if (r->flags & SENT_LOST)
		t->lost -= len;
	n->delivered += len;
	tcp_rack_arrived(s, t, r, end, seg, n);
}

void tcp_sent_acked(struct stack *s, struct tcb *t, uint32_t ack, const struct tcp_seg *seg, struct tcp_news *n)
{
	struct tcp_sent *r = tcp_sent(s, t);
	uint32_t start = t->snd_una, again = 0;
	unsigned i;

	for (i = 0; i < t->n_sent && seq_lt(start, ack); i++) {
		uint32_t end = seq_min(r[i].end, ack);

		if (r[i].flags & SENT_SACKED)
			t->sacked -= end - start;
		else
			arrived(s, t, &r[i], end, end - start, seg, n);
		again |= r[i].flags & SENT_AGAIN;
		start = end;
		if (end != r[i].end)
			break;
	}
	if (i)
		drop_at(s, t, 0, i);
	/* What stands above a hole that was filled by sending again may have come long ago. */
	if (again)
		n->rtt_us = 0;
}

void tcp_sent_sacked(struct stack *s, struct tcb *t, uint32_t from, uint32_t end, const struct tcp_seg *seg,
		     struct tcp_news *n)
{
	int i, j;
	struct tcp_sent *r;

	i = (int)find(s, t, from);
	r = tcp_sent(s, t);
	if (i < t->n_sent && r[i].flags & SENT_SACKED && seq_geq(r[i].end, end))
		return; /* known */
	if (!tcp_flight_get(s, t)) {
		/* Not noted, but it has come: at least the time that it took. In a recovery every ACK repeats
		 * it, however long ago that was. */
		if (i < t->n_sent && !(r[i].flags & SENT_AGAIN) && t->recovery == TCP_OPEN)
			n->rtt_us = u32_max((uint32_t)s->now_us - r[i].at_us, 1);
		return;
	}
	if (split(s, t, end) < 0 || split(s, t, from) < 0)
		return;
	i = (int)find(s, t, from);
	j = (int)find(s, t, end);
	r = tcp_sent(s, t);
	if (start_of(t, r, (unsigned)i) != from)
		return; /* merged again to make room */
	for (int k = i; k < j; k++) {
		uint32_t len = r[k].end - start_of(t, r, (unsigned)k);

		if (r[k].flags & SENT_SACKED)
			continue;
		arrived(s, t, &r[k], r[k].end, len, seg, n);
		r[k].flags = SENT_SACKED;
		t->sacked += len;
		t->dupacks = (uint16_t)u32_min(t->dupacks + u32_max(len / t->mss, 1), UINT16_MAX);
		n->fresh += len;
	}
	tidy(s, t, (unsigned)i, (unsigned)j);
}

/* ---- lost, or not -------------------------------------------------------------------------------- */

void tcp_sent_lose_range(struct tcb *t, struct tcp_sent *r, uint32_t start)
{
	if (r->flags & (SENT_SACKED | SENT_LOST))
		return;
	r->flags |= SENT_LOST;
	t->lost += r->end - start;
}

void tcp_sent_lose(struct stack *s, struct tcb *t, uint32_t from, uint32_t end)
{
	struct tcp_sent *r;
	unsigned i;

	(void)split(s, t, end);
	(void)split(s, t, from);
	r = tcp_sent(s, t);
	for (i = find(s, t, from); i < t->n_sent && seq_lt(start_of(t, r, i), end); i++)
		tcp_sent_lose_range(t, &r[i], start_of(t, r, i));
}

bool tcp_sent_with(struct stack *s, struct tcb *t, uint32_t seq, uint32_t *end)
{
	const struct tcp_sent *r = tcp_sent(s, t);
	unsigned i = find(s, t, seq);

	if (i >= t->n_sent || r[i].flags & (SENT_SACKED | SENT_LOST | SENT_AGAIN))
		return false;
	*end = r[i].end;
	return true;
}

void tcp_sent_found(struct stack *s, struct tcb *t)
{
	struct tcp_sent *r = tcp_sent(s, t);

	for (unsigned i = 0; i < t->n_sent; i++)
		r[i].flags &= ~SENT_LOST;
	t->lost = 0;
}

void tcp_sent_renege(struct stack *s, struct tcb *t)
{
	struct tcp_sent *r = tcp_sent(s, t);

	for (unsigned i = 0; i < t->n_sent; i++)
		if (r[i].flags & SENT_SACKED)
			r[i].flags = SENT_AGAIN; /* its time is not known any more */
	t->sacked = 0;
	t->dupacks = 0;
}

bool tcp_sent_next_lost(const struct stack *s, struct tcb *t, uint32_t *from, uint32_t *end)
{
	const struct tcp_sent *r = tcp_sent(s, t);
	unsigned i = 0;

	if (!t->lost)
		return false;
	while (i < t->n_sent && !(r[i].flags & SENT_LOST))
		i++;
	if (i == t->n_sent)
		return false;
	*from = start_of(t, r, i);
	while (i + 1 < t->n_sent && r[i + 1].flags & SENT_LOST)
		i++;
	*end = r[i].end;
	return true;
}

/* ---- taking over ------------------------------------------------------------------------------------ */

void tcp_sent_attach(struct stack *s, struct tcb *t)
{
	struct tcp_flight *f = tcp_flight(s, t);
	uint32_t at = t->snd_una, max = f ? TCP_SENT_MAX : TCP_SENT_INLINE;
	const struct tcp_sent *r;
	unsigned i = 0;

	t->sacked = t->lost = 0;
	if (t->c.state < TCP_ST_ESTABLISHED &&
	    !(t->c.state == TCP_ST_SYN_RECEIVED && t->flags & TF_FASTOPEN && t->c.passive)) {
		t->n_sent = 0;
		return;
	}
	if (f && f->first > TCP_SENT_MAX - u32_min(t->n_sent, TCP_SENT_MAX))
		f->first = t->n_sent = 0;
	r = tcp_sent(s, t);
	for (; t->n_sent <= max && i < t->n_sent && seq_gt(r[i].end, at) && seq_leq(r[i].end, t->snd_nxt); i++) {
		t->sacked += r[i].flags & SENT_SACKED ? r[i].end - at : 0;
		t->lost += r[i].flags & SENT_LOST ? r[i].end - at : 0;
		at = r[i].end;
	}
	if (i == t->n_sent && at == t->snd_nxt)
		return;
	/* They make no sense: one range of which nothing is known. */
	if (f)
		f->first = 0;
	t->sacked = t->lost = 0;
	t->n_sent = at != t->snd_una || t->snd_nxt != t->snd_una;
	*tcp_sent(s, t) = (struct tcp_sent){ t->snd_nxt, (uint32_t)s->now_us, SENT_AGAIN };
}
