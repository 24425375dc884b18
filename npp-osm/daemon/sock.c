/* SPDX-License-Identifier: GPL-2.0-or-later
 * sock.c - socket records as the OSM touches them: references, wake-ups, the end
 */
#include "config.h"

#include <netinet/in.h>
#include <string.h>

#include "npp-osm/daemon/priv.h"

static void wake_ctx(struct npp_osm *o, unsigned c, unsigned slot)
{
	const struct osm_ctx *x;
	struct npp_i2oq *q;

	if (c == 0 || c >= NPP_MAX_CTX || o->ctx[c].state != NPP_CTX_OPEN)
		return;
	x = &o->ctx[c];
	for (unsigned s = 0; !x->lane[slot] && s < o->n_slots; s++)
		if (x->lane[s])
			slot = s;
	if (x->lane[slot]) {
		/* No lane leads from us to a program. An overflow says the same: look at
		 * everything. Pairs with npp_i2oq_overflowed(). */
		q = osm_at64(o, x->lane[slot]);
		atomic_store_explicit(&q->overflow, 1, memory_order_release);
	}
	if (npp_bell_claim(&o->ctx_shm[c].sleeping))
		osm_ring(o, o->bell[c]);
}

/* Sets BITS (NPP_OUT_*) in pend_out of record I and wakes its subscribers. */
void osm_sock_wake(struct npp_osm *o, uint32_t i, uint32_t bits)
{
	struct npp_sock *s = &o->sock[i];
	unsigned slot = osm_sock_slot(s);

	if (slot >= NPP_MAX_SLOTS)
		slot = 0;
	atomic_fetch_or_explicit(&s->pend_out, bits, memory_order_acq_rel);
	for (unsigned k = 0; k < NPP_SOCK_SUBS; k++) {
		uint32_t w = NPP_SUB_CTX(atomic_load_explicit(&s->sub[k], memory_order_acquire));

		if (w)
			wake_ctx(o, w - 1, slot);
	}
	if (!atomic_load_explicit(&s->sub_all, memory_order_acquire))
		return;
	for (unsigned k = 0; k < o->submore_hi; k++) {
		const struct osm_submore_rec *r = &o->books->submore[k];
		_Atomic uint64_t *map;

		if (r->sock != i)
			continue;
		map = osm_at64(o, r->off64);
		for (unsigned c = 0; c < NPP_MAX_CTX; c++)
			if (atomic_load_explicit(&map[c / 64], memory_order_relaxed) >> (c % 64) & 1)
				wake_ctx(o, c, slot);
	}
}

/* Clears record I and makes it free, if its generation is still GEN. A record from the
 * range of an ISM is lent to it again. */
void osm_sock_free(struct npp_osm *o, uint32_t i, uint32_t gen)
{
	struct npp_sock *s = osm_sock(o, i);
	unsigned slot;

	if (!s || atomic_load_explicit(&s->gen, memory_order_acquire) != gen)
		return;
	slot = osm_sock_slot(s);
	if (o->orphan[i]) {
		o->orphan[i] = 0;
		o->n_orphans--;
	}
	s->type = NPP_SOCK_NONE;
	s->ext_off64 = s->listener = s->sub_more_off64 = 0;
	s->rport = s->lport = 0;
	atomic_store_explicit(&s->ism_handle, OSM_NO_HANDLE, memory_order_relaxed);
	atomic_store_explicit(&s->refs, 0, memory_order_relaxed);
	atomic_store_explicit(&s->fl, 0, memory_order_relaxed);
	s->rx_ring = s->tx_ring = (struct npp_ring_desc){ 0 };
	memset(&s->rx_head, 0, offsetof(struct npp_sock, rx_ring) - offsetof(struct npp_sock, rx_head));
	memset(&s->rx_tail, 0, offsetof(struct npp_sock, pend_in) - offsetof(struct npp_sock, rx_tail));
	memset(&s->pend_in, 0, offsetof(struct npp_sock, laddr) - offsetof(struct npp_sock, pend_in));
	atomic_store_explicit(&s->gen, gen + 1, memory_order_release);
	atomic_store_explicit(&s->owner, 0, memory_order_release); /* pairs with the allocator's acquire */
	if (i > o->sock_prog_count && slot < NPP_MAX_SLOTS && o->slot[slot].up) {
		struct npp_msg m = { .type = NPP_MSG_HOST, .arg = i, .arg2 = 1 };

		osm_post(o, slot, &m);
	}
}

/* One reference more, but never from 0: a record at 0 is being closed. */
bool osm_ref_up(struct npp_sock *s)
{
	uint32_t n = atomic_load_explicit(&s->refs, memory_order_relaxed);

	while (n)
		if (atomic_compare_exchange_weak_explicit(&s->refs, &n, n + 1, memory_order_acq_rel,
							  memory_order_relaxed))
			return true;
	return false;
}

/* One reference less; the last one closes the socket of a program that died (D says
 * for whom, may be NULL). */
void osm_ref_drop(struct npp_osm *o, uint32_t i, uint32_t gen, struct osm_death *d)
{
	struct npp_sock *s = osm_sock(o, i);
	uint32_t n;

	if (!s || atomic_load_explicit(&s->gen, memory_order_acquire) != gen)
		return;
	n = atomic_load_explicit(&s->refs, memory_order_relaxed);
	do {
		if (n == 0)
			return;
	} while (!atomic_compare_exchange_weak_explicit(&s->refs, &n, n - 1, memory_order_acq_rel,
							memory_order_relaxed));
	if (n == 1) {
		npp_stat_inc(o->stat, NPP_OS_SOCKS_REAPED);
		osm_sock_close(o, i, gen, NPP_CLOSE_DEAD, d);
	}
}

/* Nobody has record I open any more: starts its end. With D, a record that no ISM
 * knows yet is put there: a CONNECT of the dead may still be on its way. */
void osm_sock_close(struct npp_osm *o, uint32_t i, uint32_t gen, unsigned flags, struct osm_death *d)
{
	struct npp_sock *s = &o->sock[i];
	struct npp_msg m = { .type = NPP_MSG_CLOSE, .flags = (uint8_t)flags, .sock = i, .sock_gen = gen };
	unsigned slot = osm_sock_slot(s);
	int as = osm_assoc_find(o, i, gen);
	uint32_t state = as < 0 ? OSM_AS_FREE : o->books->assoc[as].state;

	if (as >= 0 && (state != OSM_AS_BOUND || o->books->assoc[as].proto != IPPROTO_TCP)) {
		osm_assoc_close(o, (unsigned)as, true);
		return;
	}
	m.ism_handle = atomic_load_explicit(&s->ism_handle, memory_order_acquire);
	if (m.ism_handle == OSM_NO_HANDLE && d) {
		osm_death_add(d, i, gen);
		return;
	}
	if (m.ism_handle == OSM_NO_HANDLE || slot >= NPP_MAX_SLOTS || !o->slot[slot].mapped || o->orphan[i]) {
		osm_sock_free(o, i, gen);
		if (as >= 0)
			osm_assoc_close(o, (unsigned)as, false);
		return;
	}
	m.arg = atomic_load_explicit(&s->tx_head, memory_order_acquire);
	/* As close() would: what nobody has read, and SO_LINGER with 0, make it a reset. */
	if (s->type == NPP_SOCK_STREAM &&
	    (atomic_load_explicit(&s->linger, memory_order_relaxed) == 1 ||
	     atomic_load_explicit(&s->rx_head, memory_order_relaxed) != atomic_load_explicit(&s->rx_tail, memory_order_relaxed)))
		m.flags |= NPP_CLOSE_ABORT;
	osm_post(o, slot, &m);
}

/* ---- the big map of subscribers --------------------------------------------------- */

/* Makes the map of record I. 0, -ESTALE, or -ENOMEM. */
int osm_submore(struct npp_osm *o, uint32_t i, uint32_t gen)
{
	struct npp_sock *s = osm_sock(o, i);
	struct osm_submore_rec *r;
	uint64_t off;
	unsigned k, slot = OSM_MAX_SUBMORE;

	if (!s || atomic_load_explicit(&s->gen, memory_order_acquire) != gen ||
	    !atomic_load_explicit(&s->owner, memory_order_relaxed))
		return -ESTALE;
	for (k = 0; k < OSM_MAX_SUBMORE; k++) {
		r = &o->books->submore[k];
		if (r->sock == i && r->gen == gen)
			return 0;
		if (!r->sock && slot == OSM_MAX_SUBMORE)
			slot = k;
	}
	if (slot == OSM_MAX_SUBMORE)
		return -ENOMEM;
	off = osm_alloc(o, OSM_SUBMORE_BYTES);
	if (!off)
		return -ENOMEM;
	r = &o->books->submore[slot];
	*r = (struct osm_submore_rec){ .sock = i, .gen = gen, .off64 = (uint32_t)(off / 64) };
	o->books_shm->submore[slot] = *r;
	if (slot >= o->submore_hi)
		o->submore_hi = slot + 1;
	atomic_store_explicit((_Atomic uint32_t *)&s->sub_more_off64, r->off64, memory_order_release);
	return 0;
}

/* Takes back the maps of records that are free or another's by now. */
void osm_submore_tick(struct npp_osm *o)
{
	for (unsigned k = 0; k < o->submore_hi; k++) {
		struct osm_submore_rec *r = &o->books->submore[k];

		if (!r->sock || atomic_load_explicit(&o->sock[r->sock].gen, memory_order_acquire) == r->gen)
			continue;
		osm_free(o, (uint64_t)r->off64 * 64, OSM_SUBMORE_BYTES);
		*r = (struct osm_submore_rec){ 0 };
		o->books_shm->submore[k] = *r;
	}
}
