/* SPDX-License-Identifier: GPL-2.0-or-later
 * engine.c - the way of a frame through a wire
 *
 * In this order: decisions by chance (which count every frame, also those that are
 * dropped for another reason), MTU and blackout, loss, corruption and marks, the rate with
 * its queue, the delay. Frames under way stand in one FIFO per direction, due times never
 * fall; a frame to be reordered waits beside it until enough others have come by. A GSO
 * frame is cut if chance picks one of its segments, or if it would hold a slow wire for
 * longer than CUT_NS at once.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "harness/wire/wire.h"

#define CUT_NS 1000000u
#define HOLD_NS 20000000u	/* a frame held back goes after that at the latest */
#define QUEUE_MIN 65536u

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void send_now(struct wire *w, unsigned d, const struct wire_slot *s)
{
	struct wire_counters *n = &w->dir[d].n;

	if (w->send(w->arg, d, s->f) < 0) {
		n->send_error += s->frames;
	} else {
		n->delivered += s->frames;
		n->delivered_bytes += s->f->len;
		n->whole += s->frames > 1;
	}
	wire_put(w, s->f);
}

/* At its due time, but never before those in front of it. */
static void enqueue(struct wire *w, unsigned d, struct wire_slot s, uint64_t now)
{
	struct wire_dir *r = &w->dir[d];

	s.due_ns = max64(s.due_ns, r->last_due_ns);
	if (s.due_ns <= now && r->head == r->tail) {
		send_now(w, d, &s);
		return;
	}
	if (r->head - r->tail == WIRE_FIFO) {
		r->n.no_memory += s.frames;
		wire_put(w, s.f);
		return;
	}
	r->last_due_ns = s.due_ns;
	r->fifo[r->head++ & (WIRE_FIFO - 1)] = s;
}

static void release_held(struct wire *w, unsigned d, uint64_t now)
{
	struct wire_dir *r = &w->dir[d];
	unsigned i = 0;

	while (i < r->n_held) {
		struct wire_held h = r->held[i];

		if (h.until_number > r->next_number && h.deadline_ns > now) {
			i++;
			continue;
		}
		memmove(&r->held[i], &r->held[i + 1], (--r->n_held - i) * sizeof r->held[0]);
		enqueue(w, d, h.s, now);
	}
}

/* Holds S back behind the next frames. False: too many are held already. */
static bool hold(struct wire *w, unsigned d, const struct wire_slot *s, uint64_t number, uint64_t now)
{
	struct wire_dir *r = &w->dir[d];

	if (r->n_held == WIRE_HELD || !w->conf[d].reorder_gap)
		return false;
	r->held[r->n_held++] = (struct wire_held){
		.s = *s, .until_number = number + 1 + w->conf[d].reorder_gap, .deadline_ns = now + HOLD_NS };
	r->n.reordered++;
	return true;
}

static uint64_t delay_ns(const struct wire *w, unsigned d, uint64_t number)
{
	const struct wire_conf *c = &w->conf[d];
	double u;
	int64_t ns;

	if (!c->jitter_us)
		return c->delay_us * 1000;
	u = (double)(wire_random(w->seed, d, number, WIRE_R_JITTER) >> 11) * 0x1p-52 - 1;
	ns = (int64_t)(c->delay_us * 1000) + (int64_t)(u * (double)c->jitter_us * 1000);
	return ns > 0 ? (uint64_t)ns : 0;
}

static uint64_t wire_ns(uint64_t bytes, uint64_t rate)
{
	return rate ? (uint64_t)((double)bytes * 8e9 / (double)rate) : 0;
}

/* The time at which F has left the rate's queue; 0: there is no room. */
static uint64_t depart(struct wire *w, unsigned d, struct wire_frame *f, uint64_t bytes, uint64_t now)
{
	const struct wire_conf *c = &w->conf[d];
	struct wire_dir *r = &w->dir[d];
	uint64_t limit, waiting;

	if (!c->rate_bps)
		return now;
	limit = c->queue_bytes ? c->queue_bytes : max64(c->rate_bps / 8 / 20, QUEUE_MIN);
	waiting = r->busy_until_ns > now ? (uint64_t)((double)(r->busy_until_ns - now) * (double)c->rate_bps / 8e9) : 0;
	if (waiting && waiting + bytes > limit)
		return 0;
	if (c->ecn_queue && waiting >= c->ecn_queue && wire_frame_mark(f))
		r->n.marked++;
	r->busy_until_ns = max64(r->busy_until_ns, now) + wire_ns(bytes, c->rate_bps);
	return r->busy_until_ns;
}

static void twice(struct wire *w, unsigned d, const struct wire_slot *s, uint64_t now)
{
	struct wire_slot copy = *s;

	copy.f = wire_get(w, s->f->len);
	if (!copy.f) {
		w->dir[d].n.no_memory++;
		return;
	}
	copy.f->len = s->f->len;
	copy.f->vh = s->f->vh;
	memcpy(copy.f->data, s->f->data, s->f->len);
	w->dir[d].n.duplicated++;
	enqueue(w, d, copy, now);
}

/* One frame, or a GSO frame that stays whole (WHAT is 0 then). */
static void pass(struct wire *w, unsigned d, struct wire_frame *f, uint32_t frames, uint64_t bytes,
		 uint64_t number, unsigned what, uint64_t now)
{
	struct wire_slot s = { .f = f, .frames = frames };
	struct wire_counters *n = &w->dir[d].n;
	uint64_t out;

	if (what & WIRE_LOSE) {
		*(what & WIRE_BURST ? &n->burst_lost : &n->lost) += 1;
		wire_put(w, f);
		return;
	}
	if (what & WIRE_MARK)
		n->marked += wire_frame_mark(f);
	if (what & WIRE_CORRUPT) {
		wire_frame_complete(f);
		wire_frame_corrupt(f, wire_random(w->seed, d, number, WIRE_R_WHERE));
		n->corrupted++;
	}
	out = depart(w, d, f, bytes, now);
	if (!out) {
		n->queue_full += frames;
		wire_put(w, f);
		return;
	}
	s.due_ns = out + delay_ns(w, d, number);
	if (what & WIRE_DUPLICATE)
		twice(w, d, &s, now);
	if (!(what & WIRE_REORDER) || !hold(w, d, &s, number, now))
		enqueue(w, d, s, now);
}

/* Does chance pick any of N frames from NUMBER on? The burst state is left alone. */
static bool any_picked(const struct wire *w, unsigned d, uint64_t number, uint32_t n)
{
	bool bad = w->dir[d].bad;
	uint32_t i;

	for (i = 0; i < n; i++)
		if (wire_decide(&w->conf[d], w->seed, d, number + i, &bad))
			return true;
	return false;
}

static unsigned decide_next(struct wire *w, unsigned d)
{
	struct wire_dir *r = &w->dir[d];
	uint64_t number = r->next_number++;

	return wire_has_chance(&w->conf[d]) ? wire_decide(&w->conf[d], w->seed, d, number, &r->bad) : 0;
}

static void skip(struct wire *w, unsigned d, uint32_t n)
{
	while (n--)
		decide_next(w, d);
}

static void input_cut(struct wire *w, unsigned d, struct wire_frame *f, const struct wire_shape *s, uint64_t now)
{
	uint32_t i;

	w->dir[d].n.cut++;
	for (i = 0; i < s->frames; i++) {
		uint64_t number = w->dir[d].next_number;
		unsigned what = decide_next(w, d);
		struct wire_frame *one = wire_get(w, s->head + f->vh.gso_size);

		if (!one || wire_frame_cut(f, s, i, one) < 0) {
			w->dir[d].n.no_memory++;
			wire_put(w, one);
			continue;
		}
		pass(w, d, one, 1, one->len, number, what, now);
		release_held(w, d, now);
	}
	wire_put(w, f);
}

/* A small frame does not keep a large buffer. */
static struct wire_frame *shrink(struct wire *w, struct wire_frame *f)
{
	struct wire_frame *s;

	if (f->cap <= WIRE_SMALL || f->len + sizeof *f > WIRE_SMALL)
		return f;
	s = wire_get(w, f->len);
	if (!s)
		return f;
	s->len = f->len;
	s->vh = f->vh;
	memcpy(s->data, f->data, f->len);
	wire_put(w, f);
	return s;
}

static bool delays(const struct wire *w, unsigned d)
{
	const struct wire_conf *c = &w->conf[d];

	return c->delay_us || c->jitter_us || c->rate_bps || c->reorder > 0 || w->dir[d].head != w->dir[d].tail;
}

static bool in_blackout(struct wire *w, unsigned d, uint64_t now)
{
	struct wire_dir *r = &w->dir[d];

	if (!w->conf[d].blackout)
		return false;
	if (!r->blackout_until_ns || now < r->blackout_until_ns)
		return true;
	w->conf[d].blackout = false;
	return false;
}

void wire_input(struct wire *w, unsigned d, struct wire_frame *f, uint64_t now)
{
	const struct wire_conf *c = &w->conf[d];
	struct wire_dir *r = &w->dir[d];
	struct wire_shape s;
	uint64_t bytes, number = r->next_number, *drop = NULL;
	bool bad_shape = wire_frame_shape(f, &s) < 0;

	bytes = f->len + (uint64_t)(s.frames - 1) * s.head;
	r->n.frames += s.frames;
	r->n.bytes += f->len;
	if (bad_shape)
		drop = &r->n.malformed;
	else if (c->mtu && s.l3_len > c->mtu)
		drop = &r->n.too_big;
	else if (in_blackout(w, d, now))
		drop = &r->n.blackout;
	if (drop) {
		*drop += s.frames;
		skip(w, d, s.frames);
		wire_put(w, f);
	} else if (s.frames > 1 && ((wire_has_chance(c) && any_picked(w, d, number, s.frames)) ||
				    wire_ns(bytes, c->rate_bps) > CUT_NS)) {
		input_cut(w, d, f, &s, now);
	} else {
		unsigned what = decide_next(w, d);

		skip(w, d, s.frames - 1);
		if (delays(w, d))
			f = shrink(w, f);
		pass(w, d, f, s.frames, bytes, number, what, now);
	}
	release_held(w, d, now);
}

uint64_t wire_run(struct wire *w, uint64_t now)
{
	uint64_t next = UINT64_MAX, at;
	unsigned d, i;

	for (d = 0; d < WIRE_DIRS; d++) {
		struct wire_dir *r = &w->dir[d];

		release_held(w, d, now);
		while (r->head != r->tail && r->fifo[r->tail & (WIRE_FIFO - 1)].due_ns <= now) {
			struct wire_slot s = r->fifo[r->tail++ & (WIRE_FIFO - 1)];

			at = w->clock ? w->clock(w->arg) : now;
			load_hist_add(&r->late, at > s.due_ns ? at - s.due_ns : 0);
			send_now(w, d, &s);
		}
		if (r->head != r->tail && r->fifo[r->tail & (WIRE_FIFO - 1)].due_ns < next)
			next = r->fifo[r->tail & (WIRE_FIFO - 1)].due_ns;
		for (i = 0; i < r->n_held; i++)
			if (r->held[i].deadline_ns < next)
				next = r->held[i].deadline_ns;
	}
	return next;
}

void wire_apply(struct wire *w, const struct wire_conf c[WIRE_DIRS], uint64_t now)
{
	unsigned d;

	for (d = 0; d < WIRE_DIRS; d++) {
		w->conf[d] = c[d];
		w->dir[d].blackout_until_ns = c[d].blackout && c[d].blackout_us ? now + c[d].blackout_us * 1000 : 0;
		if (!c[d].rate_bps)
			w->dir[d].busy_until_ns = 0;
	}
}

void wire_reseed(struct wire *w, uint64_t seed)
{
	unsigned d;

	w->seed = seed;
	for (d = 0; d < WIRE_DIRS; d++) {
		w->dir[d].next_number = 0;
		w->dir[d].bad = false;
	}
}

static void json_counters(const struct wire_dir *r, FILE *f)
{
	const char *sep = "";

#define WIRE_PRINT(n_, what) \
	fprintf(f, "%s\"" #n_ "\": %" PRIu64, sep, r->n.n_); \
	sep = ", ";
	WIRE_COUNTERS(WIRE_PRINT)
#undef WIRE_PRINT
}

void wire_json(const struct wire *w, FILE *f)
{
	unsigned d;

	fprintf(f, "{\"seed\": %" PRIu64 ", \"carrier\": {\"a\": %s, \"b\": %s}", w->seed, w->carrier[0] ? "true" : "false",
		w->carrier[1] ? "true" : "false");
	for (d = 0; d < WIRE_DIRS; d++) {
		const struct wire_dir *r = &w->dir[d];

		fprintf(f, ",\n \"%s\": {\"settings\": {", wire_dir_names[d]);
		wire_conf_json(&w->conf[d], f);
		fputs("},\n  \"counters\": {", f);
		json_counters(r, f);
		fprintf(f, "},\n  \"under_way\": %u, \"late_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}}",
			r->head - r->tail + r->n_held, (double)load_hist_quantile(&r->late, 0.5) / 1e3,
			(double)load_hist_quantile(&r->late, 0.99) / 1e3,
			(double)load_hist_quantile(&r->late, 1) / 1e3);
	}
	fputs("}\n", f);
}

static void text_counters(const struct wire_dir *r, FILE *f)
{
	fprintf(f, "%" PRIu64 " frames in, %" PRIu64 " out", r->n.frames, r->n.delivered);
#define WIRE_PRINT(n_, what) \
	if (r->n.n_ && offsetof(struct wire_counters, n_) > offsetof(struct wire_counters, delivered_bytes)) \
		fprintf(f, ", %" PRIu64 " " what, r->n.n_);
	WIRE_COUNTERS(WIRE_PRINT)
#undef WIRE_PRINT
}

void wire_text(const struct wire *w, uint64_t now, FILE *f)
{
	for (unsigned d = 0; d < WIRE_DIRS; d++) {
		const struct wire_dir *r = &w->dir[d];
		struct wire_conf c = w->conf[d];

		if (r->blackout_until_ns) {	/* what is left of it */
			c.blackout = r->blackout_until_ns > now;
			c.blackout_us = c.blackout ? (r->blackout_until_ns - now) / 1000 + 1 : 0;
		}
		fprintf(f, "%-5s ", wire_dir_names[d]);
		wire_conf_text(&c, f);
		fputs("\n      ", f);
		text_counters(r, f);
		fputc('\n', f);
	}
	for (unsigned d = 0; d < WIRE_DIRS; d++)
		if (!w->carrier[d])
			fprintf(f, "no carrier at %s\n", d ? "the far end" : "the near end");
}
