/* SPDX-License-Identifier: GPL-2.0-or-later
 * slot.c - the lanes to and from one ISM
 *
 * The OSM is context 0: it posts into lane 0 of the ISM's inbound region and reads the
 * lane of context 0 in host memory. Unlike programs it must not lose a message to an
 * overflow (a CLOSE leaves no trace in the socket record), so what finds no room
 * waits in a queue of ours.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "npp-osm/daemon/priv.h"

#define LANE_BUDGET 256	/* messages taken from one lane in a row */

/* Maps the inbound region FD of slot S and attaches to both lanes. */
int osm_slot_map(struct npp_osm *o, unsigned s, int fd)
{
	struct osm_slot *sl = &o->slot[s];
	const struct osm_npp *n = &o->npp[s / NPP_MAX_IOPS];
	int err = npp_region_map(&sl->region, fd, true, 0, NPP_REGION_INBOUND, npp_abi_layout_hash());

	if (err)
		return err;
	sl->in = sl->region.base;
	if (sl->region.size < sizeof *sl->in || sl->in->host != n->host_no || sl->in->iop != s % NPP_MAX_IOPS) {
		npp_region_unmap(&sl->region);
		return -EPROTO;
	}
	err = npp_i2oq_attach_prod(&sl->prod, &sl->in->lane[0]);
	if (!err)
		err = osm_ctx_lane(o, 0, s);
	if (!err)
		err = npp_i2oq_attach_cons(&sl->cons, osm_at64(o, o->ctx[0].lane[s]));
	if (err) {
		npp_region_unmap(&sl->region);
		sl->in = NULL;
		return err;
	}
	sl->mapped = true;
	sl->cons_errors = sl->cons.errors;
	if (s >= o->n_slots)
		o->n_slots = s + 1;
	return 0;
}

void osm_slot_unmap(struct npp_osm *o, unsigned s)
{
	struct osm_slot *sl = &o->slot[s];

	if (!sl->mapped)
		return;
	sl->mapped = sl->up = sl->refused = false;
	npp_region_unmap(&sl->region);
	sl->in = NULL;
	o->backlog -= sl->q_len;
	free(sl->q);
	sl->q = NULL;
	sl->q_len = sl->q_cap = sl->q_head = 0;
}

/* Marks lane C as having work and rings if the ISM sleeps. */
void osm_nudge(struct npp_osm *o, unsigned s, unsigned c)
{
	if (npp_inbound_mark(o->slot[s].in, c))
		osm_ring(o, o->npp[s / NPP_MAX_IOPS].bell_fd[s % NPP_MAX_IOPS]);
}

/* Rings all ISMs whether they sleep or not, and has them look at our lane: for what somebody
 * who died was about to say. */
void osm_ring_isms(struct npp_osm *o)
{
	for (unsigned s = 0; s < o->n_slots; s++) {
		if (!o->slot[s].mapped)
			continue;
		npp_inbound_mark(o->slot[s].in, 0);
		osm_ring(o, o->npp[s / NPP_MAX_IOPS].bell_fd[s % NPP_MAX_IOPS]);
	}
}

/* Free frames in our lane to the ISM; a position that makes no sense counts as none. */
static bool lane_has_room(const struct osm_slot *sl)
{
	uint32_t head = atomic_load_explicit(&sl->prod.q->free_head, memory_order_acquire); /* pairs with the ISM's release */
	uint32_t n = head - sl->prod.free_tail;

	return n - 1 < NPP_I2OQ_DEPTH;
}

static bool queue_grow(struct npp_osm *o, struct osm_slot *sl)
{
	uint32_t cap = sl->q_cap ? sl->q_cap * 2 : 64;
	struct npp_msg *q;

	if (cap > 4 * (o->sock_count + OSM_MAX_ASSOC + NPP_MAX_CTX))
		return false;
	q = malloc(cap * sizeof *q);
	if (!q)
		return false;
	for (uint32_t i = 0; i < sl->q_len; i++)
		q[i] = sl->q[(sl->q_head + i) % sl->q_cap];
	free(sl->q);
	sl->q = q;
	sl->q_cap = cap;
	sl->q_head = 0;
	return true;
}

/* Sends M to the ISM of slot S: now, or when its lane has room. Nothing is sent to an
 * ISM that is not attached. */
void osm_post(struct npp_osm *o, unsigned s, const struct npp_msg *m)
{
	struct osm_slot *sl = &o->slot[s];

	if (!sl->mapped)
		return;
	npp_stat_inc(o->stat, NPP_OS_MSG_OUT);
	if (sl->q_len == 0 && lane_has_room(sl) && npp_i2oq_post(&sl->prod, m) == 0) {
		sl->queued++;
		osm_nudge(o, s, 0);
		return;
	}
	if (sl->q_len == sl->q_cap && !queue_grow(o, sl)) {
		osm_proto_error(o, "reads no messages", s);
		return;
	}
	sl->q[(sl->q_head + sl->q_len++) % sl->q_cap] = *m;
	sl->queued++;
	o->backlog++;
}

/* Moves waiting messages into lanes that have room again. */
void osm_pump(struct npp_osm *o)
{
	for (unsigned s = 0; s < o->n_slots && o->backlog; s++) {
		struct osm_slot *sl = &o->slot[s];
		bool any = false;

		while (sl->q_len && lane_has_room(sl) && npp_i2oq_post(&sl->prod, &sl->q[sl->q_head]) == 0) {
			sl->q_head = (sl->q_head + 1) % sl->q_cap;
			sl->q_len--;
			o->backlog--;
			any = true;
		}
		if (any)
			osm_nudge(o, s, 0);
	}
}

/* Has the ISM dealt with everything up to the message number MARK (sl->queued then)?
 * Its post_tail moves after the effects. */
bool osm_slot_passed(struct npp_osm *o, unsigned s, uint32_t mark)
{
	const struct osm_slot *sl = &o->slot[s];
	uint32_t tail, open;

	if (!sl->mapped)
		return true;
	tail = atomic_load_explicit(&sl->prod.q->post_tail, memory_order_acquire); /* pairs with npp_i2oq_poll() */
	open = sl->prod.post_head - tail;
	if (open > NPP_I2OQ_DEPTH)
		return false;
	return (int32_t)(sl->queued - sl->q_len - open - mark) >= 0;
}

/* Is there anything to take? A position that makes no sense is nothing: it must not keep
 * us awake. */
bool osm_lanes_pending(struct npp_osm *o)
{
	for (unsigned s = 0; s < o->n_slots; s++) {
		const struct osm_slot *sl = &o->slot[s];
		uint32_t n;

		if (!sl->mapped)
			continue;
		n = atomic_load_explicit(&sl->cons.q->post_head, memory_order_acquire) - sl->cons.post_tail;
		if (n - 1 < NPP_I2OQ_DEPTH || atomic_load_explicit(&sl->cons.q->overflow, memory_order_relaxed))
			return true;
	}
	return false;
}

/* Takes messages from all lanes, a bounded number of each. Returns how many. */
unsigned osm_drain_lanes(struct npp_osm *o)
{
	unsigned total = 0;

	for (unsigned s = 0; s < o->n_slots; s++) {
		struct osm_slot *sl = &o->slot[s];
		struct npp_msg m;
		unsigned n = 0;

		/* A handler may detach the slot. */
		while (sl->mapped && n < LANE_BUDGET && npp_i2oq_poll(&sl->cons, &m) == 1) {
			n++;
			npp_stat_inc(o->stat, NPP_OS_MSG_IN);
			osm_ism_message(o, s, &m);
		}
		total += n;
		if (!sl->mapped)
			continue;
		/* Lost FREEDs are found by the slow tick; lost answers by their deadlines;
		 * lost NEED_EXTENTs are asked again. */
		if (npp_i2oq_overflowed(&sl->cons))
			o->slow_at = o->now;
		if (sl->cons.errors != sl->cons_errors) {
			sl->cons_errors = sl->cons.errors;
			osm_proto_error(o, "posted a wrong MFA", s);
		}
	}
	return total;
}
