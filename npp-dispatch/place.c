/* SPDX-License-Identifier: GPL-2.0-or-later
 * place.c - from the ports into the rings
 *
 * A frame's owner is known only after it was read. So it is read into the ring that
 * the last large frame went to: bulk flows come in runs, and a 64 KB frame that lands
 * right is not copied. A frame that belongs elsewhere is copied to its ring and the
 * space in the first one simply not committed. When the predicted ring has no room for
 * the largest frame, scratch memory is read into instead; what then has no room in its
 * own ring is dropped, after classification, so that the drop is charged to a reason.
 *
 * A port may have a second queue, into which its steering program has put the frames of those
 * who have no connection here (shm/regulars.h): whoever floods is among them, mostly. It is read
 * when the first one is empty, or for a small part; and no further than the IOPs come with it, so that
 * nobody waits long behind it in a ring. So regulars are served whatever else comes.
 *
 * Records become visible, and doorbells are rung, once per batch and ring.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "npp-dispatch/priv.h"
#include "shm/bell.h"

#define REC_MAX (sizeof(struct npp_frame_rec) + NPP_FRAME_MAX)
#define WIRE_OFF offsetof(struct npp_frame_rec, vnet) /* what the port gives begins here */
_Static_assert(WIRE_OFF + sizeof(struct vnet_hdr) == sizeof(struct npp_frame_rec),
	       "the frame follows its virtio header, so that one read fills both");

static inline void count(struct dispatch *d, unsigned id)
{
	npp_stat_inc(d->stats, id);
}

static unsigned predicted(const struct dispatch *d)
{
	uint32_t iop = d->state->last_large;

	return iop < d->n_iops ? iop : 0;
}

static void count_frame(struct dispatch *d, struct dispatch_port *p, const struct vnet_hdr *vnet, uint32_t len)
{
	count(d, NPP_DS_RX_FRAMES);
	npp_stat_add(d->stats, NPP_DS_RX_BYTES, len);
	p->bytes += len;
	if (vnet->gso_type != VNET_GSO_NONE)
		count(d, NPP_DS_RX_GSO);
}

static void fill_record(const struct dispatch *d, struct npp_frame_rec *rec, uint32_t port, uint32_t len,
			const struct dispatch_verdict *v)
{
	rec->len = len;
	rec->kind = NPP_REC_FRAME;
	rec->csum = v->csum;
	rec->port = (uint8_t)port;
	rec->l4_off = v->l4_off;
	rec->hash = v->hash;
	rec->rx_us = d->now_us;
	rec->reserved = 0;
}

/* The frame of LEN bytes at REC goes to v->iop. DIRECT: REC lies at the head of ring GUESS. */
static void place(struct dispatch *d, struct npp_frame_rec *rec, uint32_t port, uint32_t len,
		  const struct dispatch_verdict *v, unsigned guess, bool direct)
{
	struct npp_fring_prod *ring = &d->ring[v->iop];
	struct npp_frame_rec *to = rec;

	if (len >= DISPATCH_LARGE) {
		count(d, v->iop == guess && direct ? NPP_DS_PLACE_HIT : NPP_DS_PLACE_MISS);
		d->state->last_large = v->iop;
	}
	if (d->strangers && npp_fring_room(ring, ring->m.size / 2) < ring->m.size / 2) {
		count(d, NPP_DS_DROP_ASIDE);
		return;
	}
	if (!direct || v->iop != guess) {
		to = npp_fring_reserve(ring, (uint32_t)sizeof *rec + len);
		if (!to) {
			count(d, NPP_DS_DROP_RING_FULL);
			return;
		}
		memcpy((uint8_t *)to + WIRE_OFF, (const uint8_t *)rec + WIRE_OFF, sizeof rec->vnet + len);
	}
	fill_record(d, to, port, len, v);
	npp_fring_commit(ring, to);
	d->window[v->iop].n += d->strangers;
	d->dirty |= 1u << v->iop;
}

/* One frame of P, from its queue FD. Bytes of it, 0 if there is none, or -errno. */
static ssize_t take_frame(struct dispatch *d, struct dispatch_port *p, int fd)
{
	unsigned guess = predicted(d);
	struct npp_frame_rec *rec = npp_fring_reserve(&d->ring[guess], REC_MAX);
	bool direct = rec != NULL;
	struct dispatch_verdict v;
	struct vnet_hdr vnet;
	uint32_t len;
	ssize_t n;

	if (!direct)
		rec = (struct npp_frame_rec *)d->state->scratch;
	do
		n = read(fd, (uint8_t *)rec + WIRE_OFF, REC_MAX - WIRE_OFF);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ENODEV;
	if ((size_t)n < sizeof vnet) {
		count(d, NPP_DS_RX_FRAMES);
		count(d, NPP_DS_DROP_SHORT);
		return n;
	}
	len = (uint32_t)((size_t)n - sizeof vnet);
	vnet = rec->vnet;
	count_frame(d, p, &vnet, len);
	if (dispatch_classify(&p->ctx, &vnet, (const uint8_t *)(rec + 1), len, &v))
		place(d, rec, p->ctx.port, len, &v, guess, direct);
	else
		count(d, v.drop);
	if (v.cls)
		count(d, v.cls);
	return n;
}

static void publish(struct dispatch *d)
{
	uint32_t dirty = d->dirty;

	d->dirty = 0;
	for (; dirty; dirty &= dirty - 1) {
		unsigned iop = (unsigned)__builtin_ctz(dirty);

		if (npp_fring_publish(&d->ring[iop])) {
			npp_bell_ring(d->bell[iop]);
			count(d, NPP_DS_BELLS);
		}
	}
}

/* Up to MAX frames of queue FD, of which the last *SINGLES batches had one. How many; what ended it is in
 * p->error. *MORE: there may be more. */
static unsigned read_queue(struct dispatch *d, struct dispatch_port *p, int fd, uint32_t *singles, unsigned max, bool *more)
{
	bool single = *singles >= DISPATCH_SINGLES;
	unsigned frames = 0;
	uint32_t bytes = 0;
	ssize_t n = 0;

	while (frames < max && bytes < DISPATCH_BATCH_BYTES && !(single && frames)) {
		n = take_frame(d, p, fd);
		if (n <= 0)
			break;
		bytes += (uint32_t)n;
		frames++;
	}
	p->error = n < 0 ? (int)n : 0;
	*more = n > 0 && !single;
	if (frames)
		*singles = frames == 1 ? *singles + 1 : 0;
	return frames;
}

/* Has an IOP enough to do with those aside? One that stands still holds the others up only for a while
 * each time. */
static bool aside_held(struct dispatch *d)
{
	bool held = false;

	for (uint32_t i = 0; i < d->n_iops; i++) {
		struct dispatch_window *w = &d->window[i];

		if (w->n < DISPATCH_ASIDE_WINDOW)
			continue;
		if (npp_fring_unread(&d->ring[i]) > d->ring[i].head - w->begin)
			held = true;
		else
			*w = (struct dispatch_window){ .begin = d->ring[i].head };
	}
	if (!held || (d->held && d->now_us - d->held_us >= DISPATCH_ASIDE_HOLD_US)) {
		d->held = false;
		return false;
	}
	if (!d->held)
		d->held_us = d->now_us;
	return d->held = true;
}

/* Those aside, if it is their turn. WAITING: queue 0 has more. */
static unsigned read_aside(struct dispatch *d, struct dispatch_port *p, bool waiting, bool *more)
{
	struct dispatch_aside *a = &p->aside;
	unsigned frames, turns = !a->hot ? DISPATCH_ASIDE_QUIET : waiting ? DISPATCH_ASIDE_BUSY : 1;

	if (++a->waited < turns || aside_held(d))
		return 0;
	a->waited = 0;
	d->strangers = true;
	frames = read_queue(d, p, a->fd, &a->singles, waiting ? DISPATCH_ASIDE_FRAMES : DISPATCH_BATCH_FRAMES, more);
	d->strangers = false;
	a->hot = frames ? DISPATCH_ASIDE_HOT : a->hot ? a->hot - 1 : 0;
	npp_stat_add(d->stats, NPP_DS_ASIDE_FRAMES, frames);
	return frames;
}

/* What port P has, up to a batch. Frames, or -errno if there were none. */
static int read_port(struct dispatch *d, struct dispatch_port *p)
{
	bool more = false, more_aside = false;
	unsigned frames = 0;

	p->bytes = 0;
	p->error = 0;
	dispatch_ctx_refresh(&p->ctx);
	if (!p->empty)
		frames = read_queue(d, p, p->fd, &p->singles, DISPATCH_BATCH_FRAMES, &more);
	p->empty = false;
	if (p->aside.open && p->error == 0)
		frames += read_aside(d, p, more, &more_aside);
	if (more || more_aside)
		d->drained = false;
	if (frames) {
		npp_stat_add(d->stats, npp_stat_of_port(NPP_DS_RX0_FRAMES, p->ctx.port), frames);
		npp_stat_add(d->stats, npp_stat_of_port(NPP_DS_RX0_BYTES, p->ctx.port), p->bytes);
	}
	return frames ? (int)frames : p->error;
}

int dispatch_batch(struct dispatch *d)
{
	int frames = 0, error = 0;

	d->drained = true;
	for (uint32_t i = 0; i < d->n_ports; i++) {
		int n = read_port(d, &d->port[(d->next_port + i) % d->n_ports]);

		if (n < 0)
			error = n;
		else
			frames += n;
	}
	if (frames == 0)
		return error;
	if (d->n_ports > 1)
		d->next_port = (d->next_port + 1) % d->n_ports;
	publish(d);
	count(d, NPP_DS_RX_BATCHES);
	return frames;
}
