/* SPDX-License-Identifier: GPL-2.0-or-later
 * ctx.c - contexts: a doorbell and a lane from every ISM
 *
 * A context that closes stays CLOSING until every ISM has read what the context had
 * posted and has dealt with CTX_GONE: only then nobody writes its lanes any more and
 * memory and number may be used again.
 */
#include "config.h"

#include <string.h>

#include "npp-osm/daemon/priv.h"

/* Makes the lane from slot S to context C unless there is one. 0 or -ENOMEM. */
int osm_ctx_lane(struct npp_osm *o, unsigned c, unsigned s)
{
	struct osm_ctx *x = &o->ctx[c];
	_Atomic uint32_t *pub = (_Atomic uint32_t *)&o->ctx_shm[c].lane_off64[s];
	uint64_t off;

	if (!x->lane[s]) {
		off = osm_alloc(o, OSM_LANE_BYTES);
		if (!off)
			return -ENOMEM;
		npp_i2oq_init(osm_at(o, off));
		x->lane[s] = (uint32_t)(off / 64);
	} else if (c == 0 && atomic_load_explicit(pub, memory_order_relaxed) == 0) {
		memset(osm_at64(o, x->lane[s]), 0, OSM_LANE_BYTES);
		npp_i2oq_init(osm_at64(o, x->lane[s]));
	}
	atomic_store_explicit(pub, x->lane[s], memory_order_release); /* pairs with the ISM's look at it */
	return 0;
}

/* Lanes from all IOPs of attachment A to all open contexts. */
int osm_ctx_lanes_for_attach(struct npp_osm *o, unsigned a)
{
	int err = 0;

	for (unsigned c = 0; c < NPP_MAX_CTX && !err; c++)
		for (unsigned i = 0; o->ctx[c].state == NPP_CTX_OPEN && i < o->npp[a].n_iops && !err; i++)
			err = osm_ctx_lane(o, c, osm_slot_of(a, i));
	return err;
}

/* The NPP of slot S is gone: its next ISM must not take the lane to us for a new one, nor
 * we an old HELLO for its. The lane is made again when the NPP is attached. */
void osm_ctx_withdraw_lane(struct npp_osm *o, unsigned s)
{
	atomic_store_explicit((_Atomic uint32_t *)&o->ctx_shm[0].lane_off64[s], 0, memory_order_release);
}

static void free_lanes(struct npp_osm *o, unsigned c)
{
	for (unsigned s = 0; s < NPP_MAX_SLOTS; s++) {
		if (!o->ctx[c].lane[s])
			continue;
		atomic_store_explicit((_Atomic uint32_t *)&o->ctx_shm[c].lane_off64[s], 0, memory_order_relaxed);
		osm_free(o, (uint64_t)o->ctx[c].lane[s] * 64, OSM_LANE_BYTES);
		o->ctx[c].lane[s] = 0;
	}
}

static void set_state(struct npp_osm *o, unsigned c, uint32_t state)
{
	int64_t open = (o->ctx[c].state == NPP_CTX_FREE) - (state == NPP_CTX_FREE);

	npp_stat_add(o->stat, NPP_OS_CTXS, (uint64_t)open);
	o->ctx_closing += (state == NPP_CTX_CLOSING) - (o->ctx[c].state == NPP_CTX_CLOSING);
	o->ctx[c].state = state;
	atomic_store_explicit(&o->ctx_shm[c].state, state, memory_order_release);
}

/* The context that has been closing for longest, and too long: an ISM that reads nothing, or says so, must not use them
 * up. Lanes that it may still write to stay where they are, and it goes on with them when it has read of
 * the end. NPP_MAX_CTX: none. */
static unsigned take_overdue(struct npp_osm *o)
{
	unsigned found = NPP_MAX_CTX;

	for (unsigned c = 1; c < NPP_MAX_CTX && o->ctx_closing; c++)
		if (o->ctx[c].state == NPP_CTX_CLOSING && o->now - o->ctx[c].since >= OSM_OVERDUE_US &&
		    (found == NPP_MAX_CTX || o->ctx[c].since < o->ctx[found].since))
			found = c;
	if (found < NPP_MAX_CTX)
		npp_stat_inc(o->stat, NPP_OS_CTXS_OVERDUE);
	return found;
}

/* A context for process PROC. 0, -EMFILE (all in use) or -ENOMEM. */
int osm_ctx_open(struct npp_osm *o, unsigned proc, unsigned kind, unsigned *c)
{
	unsigned i;
	int err = 0;

	for (i = 1; i < NPP_MAX_CTX && o->ctx[i].state != NPP_CTX_FREE; i++)
		;
	if (i == NPP_MAX_CTX)
		i = take_overdue(o);
	if (i == NPP_MAX_CTX)
		return -EMFILE;
	for (unsigned s = 0; s < o->n_slots && !err; s++)
		if (o->slot[s].mapped)
			err = osm_ctx_lane(o, i, s);
	if (err) {
		if (o->ctx[i].state == NPP_CTX_FREE) /* else as before: it goes on closing */
			free_lanes(o, i);
		return err;
	}
	npp_bell_drain(o->bell[i]);
	atomic_store_explicit(&o->ctx_shm[i].sleeping, 0, memory_order_relaxed);
	o->ctx[i].proc = o->ctx_shm[i].proc = proc;
	o->ctx[i].kind = o->ctx_shm[i].kind = kind;
	set_state(o, i, NPP_CTX_OPEN);
	*c = i;
	return 0;
}

/* Begins to close context C; its subscriptions and locks are gone already. */
void osm_ctx_close(struct npp_osm *o, unsigned c)
{
	struct osm_ctx *x = &o->ctx[c];
	struct npp_msg m = { .type = NPP_MSG_CTX_GONE, .arg = c };

	if (x->state != NPP_CTX_OPEN)
		return;
	x->proc = o->ctx_shm[c].proc = OSM_NO_PROC;
	x->wait = (struct osm_bits){ { 0 } };
	x->since = o->now;
	set_state(o, c, NPP_CTX_CLOSING);
	for (unsigned s = 0; s < o->n_slots; s++) {
		if (!o->slot[s].mapped)
			continue;
		osm_nudge(o, s, c); /* it may have died between posting and marking */
		osm_post(o, s, &m);
		x->barrier[s] = o->slot[s].queued;
		osm_bit_set(&x->wait, s);
	}
}

void osm_ctx_slot_gone(struct npp_osm *o, unsigned s)
{
	for (unsigned c = 1; c < NPP_MAX_CTX; c++)
		if (o->ctx[c].state == NPP_CTX_CLOSING)
			osm_bit_clear(&o->ctx[c].wait, s);
}

/* Has the ISM of slot S read all that context C had posted? */
static bool lane_drained(struct npp_osm *o, unsigned s, unsigned c)
{
	const struct npp_i2oq *q = &o->slot[s].in->lane[c];

	return atomic_load_explicit(&q->post_tail, memory_order_acquire) ==
		       atomic_load_explicit(&q->post_head, memory_order_acquire) &&
	       !atomic_load_explicit(&q->overflow, memory_order_acquire);
}

/* Contexts that a new OSM found without a process. */
void osm_ctx_orphans_tick(struct npp_osm *o)
{
	if (!o->ctx_orphans_at || o->now < o->ctx_orphans_at)
		return;
	o->ctx_orphans_at = 0;
	for (unsigned c = 1; c < NPP_MAX_CTX; c++)
		if (o->ctx[c].state == NPP_CTX_OPEN &&
		    (o->ctx[c].proc >= NPP_MAX_PROCS || o->proc[o->ctx[c].proc].state == NPP_PROC_FREE))
			osm_ctx_retire(o, c);
}

void osm_ctx_tick(struct npp_osm *o)
{
	for (unsigned c = 1; c < NPP_MAX_CTX && o->ctx_closing; c++) {
		struct osm_ctx *x = &o->ctx[c];

		if (x->state != NPP_CTX_CLOSING)
			continue;
		for (unsigned s = 0; s < o->n_slots; s++)
			if (osm_bit(&x->wait, s) &&
			    (!o->slot[s].mapped || (osm_slot_passed(o, s, x->barrier[s]) && lane_drained(o, s, c))))
				osm_bit_clear(&x->wait, s);
		if (osm_bits_none(&x->wait)) {
			free_lanes(o, c);
			set_state(o, c, NPP_CTX_FREE);
		}
	}
}
