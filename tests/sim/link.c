/* SPDX-License-Identifier: GPL-2.0-or-later
 * link.c - what happens to a frame between two ports
 *
 * In this order: darkness, a hop with a smaller MTU, cutting of large frames, and then for
 * each piece loss, a queue with a rate, marking, corruption, delay, duplication.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "net/checksum.h"
#include "tests/sim/sim.h"

void link_start(struct world *w, unsigned dir)
{
	struct link *l = &w->link[dir];

	memset(l, 0, sizeof *l);
	l->cfg = w->plan.link[dir];
	l->rng = rng_make(w->plan.seed, 0x6c696e6b00 + dir);
	l->last_at = l->busy_until = w->now_us;
}

#define BURST_US 100000u /* it is over then, however few frames came: else it would be an outage */

static bool is_lost(struct link *l, uint64_t now_us)
{
	if (l->burst_left && now_us < l->burst_until) {
		l->burst_left--;
		return true;
	}
	if (rng_ppm(&l->rng, l->cfg.burst_ppm)) {
		l->burst_left = rng_below(&l->rng, l->cfg.burst_len + 1);
		l->burst_until = now_us + BURST_US;
		return true;
	}
	return rng_ppm(&l->rng, l->cfg.loss_ppm);
}

/* Passes the queue: when its last bit leaves, or SIM_NEVER. */
static uint64_t through_queue(struct world *w, struct link *l, struct frame *f)
{
	uint64_t backlog_us, backlog_bytes;

	if (!l->cfg.rate_kbps)
		return w->now_us;
	if (l->busy_until < w->now_us)
		l->busy_until = w->now_us;
	backlog_us = l->busy_until - w->now_us;
	backlog_bytes = backlog_us * l->cfg.rate_kbps / 8000;
	if (backlog_bytes + f->len > (uint64_t)l->cfg.queue_kb * 1024)
		return SIM_NEVER;
	if (l->cfg.ecn_kb && backlog_bytes > l->cfg.ecn_kb * 1024ull && frame_mark(f))
		l->marked++;
	l->busy_until += (uint64_t)f->len * 8000 / l->cfg.rate_kbps;
	return l->busy_until;
}

/* One burst of up to 15 bits: the checksum finds every such error. Ethernet's own headers, and
 * those of IPv6, are spared, for there is no checksum behind them here. */
static void corrupt(struct link *l, struct frame *f)
{
	uint32_t from, bit, bits;
	struct packet p;

	frame_look(f, &p);
	if (!p.family)
		return;
	from = (p.family == 4 ? ETH_HDR_LEN : p.l4) * 8;
	frame_complete(f);
	bit = from + rng_below(&l->rng, f->len * 8 - from);
	bits = 1 + rng_below(&l->rng, 15);
	for (uint32_t i = 0; i < bits && bit + i < f->len * 8; i++)
		if (i == 0 || rng_one_in(&l->rng, 2))
			f->data[(bit + i) / 8] ^= (uint8_t)(0x80 >> (bit + i) % 8);
}

static void arrive(struct world *w, unsigned dir, struct frame *f, uint64_t at)
{
	world_at(w, at, (struct event){ .kind = EV_FRAME, .npp = (uint8_t)(dir ^ 1), .f = f });
}

/* One piece. */
static void carry(struct world *w, unsigned dir, struct frame *f)
{
	struct link *l = &w->link[dir];
	uint64_t at;

	l->sent++;
	if (is_lost(l, w->now_us)) {
		l->lost++;
		trace_frame(w, "lost", dir, 0, f);
		free(f);
		return;
	}
	at = through_queue(w, l, f);
	if (at == SIM_NEVER) {
		l->dropped++;
		trace_frame(w, "full", dir, 0, f);
		free(f);
		return;
	}
	if (rng_ppm(&l->rng, l->cfg.corrupt_ppm)) {
		trace_frame(w, "corrupt", dir, 0, f);
		corrupt(l, f);
	}
	at += l->cfg.delay_us + rng_below(&l->rng, l->cfg.jitter_us + 1);
	if (rng_ppm(&l->rng, l->cfg.dup_ppm))
		arrive(w, dir, frame_copy(f), at + rng_below(&l->rng, l->cfg.jitter_us + 100));
	if (rng_ppm(&l->rng, l->cfg.late_ppm)) {
		arrive(w, dir, f, at + rng_below(&l->rng, l->cfg.late_us + 1));
		return;
	}
	if (!l->cfg.overtake && at < l->last_at)
		at = l->last_at;
	if (at > l->last_at)
		l->last_at = at;
	arrive(w, dir, f, at);
}

/* True: F is too large for the hop, and was answered or fragmented (and taken). */
static bool too_large(struct world *w, unsigned dir, struct frame *f)
{
	struct link *l = &w->link[dir];
	uint32_t packet = f->len - ETH_HDR_LEN, off = 0, mtu = l->cfg.mtu;
	struct ip4_hdr *h = frame_ip4(f);
	struct frame *part;
	struct packet p;

	frame_look(f, &p);
	if (p.family == 6 && mtu && mtu < IP6_MTU_MIN)
		mtu = IP6_MTU_MIN;
	if (!mtu || !p.family)
		return false;
	if (f->rec.vnet.gso_type)
		packet = f->rec.vnet.hdr_len - ETH_HDR_LEN + f->rec.vnet.gso_size;
	if (packet <= mtu)
		return false;
	frame_complete(f);
	if (l->cfg.hole && (!h || h->frag & htons(IP4_DF))) {
		trace_frame(w, "hole", dir, 0, f);
		free(f);
		return true;
	}
	if (!h || h->frag & htons(IP4_DF)) {
		trace_frame(w, "too big", dir, 0, f);
		part = frame_too_big(f, mtu);
		free(f);
		carry(w, dir ^ 1, part);
		return true;
	}
	while ((part = frame_fragment(f, mtu, &off)))
		carry(w, dir, part);
	free(f);
	return true;
}

void link_send(struct world *w, unsigned dir, struct frame *f)
{
	struct link *l = &w->link[dir];
	struct frame *part;
	uint32_t off = 0;

	if (w->now_us < l->dark_until) {
		trace_frame(w, "dark", dir, 0, f);
		free(f);
		return;
	}
	if (too_large(w, dir, f))
		return;
	if (!f->rec.vnet.gso_type || !l->cfg.cut) {
		carry(w, dir, f);
		return;
	}
	while ((part = frame_segment(f, &off)))
		carry(w, dir, part);
	free(f);
}
