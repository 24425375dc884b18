/* SPDX-License-Identifier: GPL-2.0-or-later
 * lost.c - an ISM has forgotten its sessions: its NPP went, or it came back empty
 *
 * Programs are told by the socket records: reset, ENETDOWN. What they have not read
 * stays readable, so such a record and the extents lie there, orphaned, until the
 * last descriptor is closed; then the OSM frees the record in the ISM's place.
 */
#include "config.h"

#include <netinet/in.h>

#include "npp-osm/daemon/priv.h"

static void lose_stream(struct npp_osm *o, uint32_t i)
{
	struct npp_sock *s = &o->sock[i];
	uint32_t gen = atomic_load_explicit(&s->gen, memory_order_acquire);
	int32_t none = 0;

	npp_stat_inc(o->stat, NPP_OS_SOCKS_LOST);
	if (atomic_load_explicit(&s->refs, memory_order_acquire) == 0) {
		osm_sock_free(o, i, gen);
		return;
	}
	if (!o->orphan[i])
		o->n_orphans++;
	o->orphan[i] = OSM_ORPHAN_REC(gen);
	atomic_store_explicit(&s->tcp_state, TCP_ST_CLOSED, memory_order_relaxed);
	atomic_compare_exchange_strong_explicit(&s->err, &none, ENETDOWN, memory_order_relaxed, memory_order_relaxed);
	atomic_fetch_or_explicit(&s->rx_flags, NPP_RXF_RESET | NPP_RXF_CLOSED, memory_order_release);
	osm_sock_wake(o, i, NPP_OUT_RX | NPP_OUT_TX | NPP_OUT_ERR);
}

static void empty_accept_lane(struct npp_osm *o, unsigned i, unsigned s)
{
	struct npp_accept_lane *l;

	if (!o->assoc[i].lane[s])
		return;
	l = osm_at64(o, o->assoc[i].lane[s]);
	for (uint32_t k = 0; k < o->books->assoc[i].entries; k++) {
		uint64_t e = atomic_load_explicit(&l->entry[k], memory_order_acquire);

		/* One that a program has just claimed is its. */
		if (e && NPP_ACCEPT_OWNER(e) == NPP_ACCEPT_READY)
			atomic_compare_exchange_strong_explicit(&l->entry[k], &e, 0, memory_order_acq_rel,
								memory_order_relaxed);
	}
}

/* The ISM of slot S sent by OUT for datagram socket I: another one of its NPP does. */
static void lose_way_out(struct npp_osm *o, unsigned i, unsigned s, struct npp_udp_out *out)
{
	struct npp_sock *k = &o->sock[o->books->assoc[i].sock];
	uint32_t home = 0;

	if (atomic_load_explicit(&out->home, memory_order_relaxed) != s + 1)
		return;
	npp_lock_take(&k->tx_lock, OSM_CTX_LOCK, 1000);
	out->ring = (struct npp_ring_desc){ 0 };
	atomic_store_explicit(&out->tail, 0, memory_order_relaxed);
	atomic_store_explicit(&out->head, 0, memory_order_relaxed);
	atomic_store_explicit(&out->pend, 0, memory_order_relaxed);
	atomic_store_explicit(&out->want, 0, memory_order_relaxed);
	for (unsigned n = s / NPP_MAX_IOPS * NPP_MAX_IOPS; n < (s / NPP_MAX_IOPS + 1) * NPP_MAX_IOPS && !home; n++)
		if (o->slot[n].up && n != s)
			home = n + 1;
	/* release: pairs with the ISM's acquire; the ring is empty */
	atomic_store_explicit(&out->home, home, memory_order_release);
	npp_lock_drop(&k->tx_lock, OSM_CTX_LOCK);
	osm_sock_wake(o, o->books->assoc[i].sock, NPP_OUT_TX);
}

/* The rings of datagram socket I that the ISM of slot S had made. Their readers and
 * writers hold the locks; one that sits on a lock for long reads stale bytes. */
static void lose_udp(struct npp_osm *o, unsigned i, unsigned s)
{
	const struct osm_assoc_rec *r = &o->books->assoc[i];
	struct npp_sock *k = &o->sock[r->sock];
	struct npp_udp *u;

	if (!r->ext_off64)
		return;
	u = osm_at64(o, r->ext_off64);
	npp_lock_take(&k->rx_lock, OSM_CTX_LOCK, 1000);
	u->lane[s].rx_ring = (struct npp_ring_desc){ 0 };
	atomic_store_explicit(&u->lane[s].rx_tail, 0, memory_order_relaxed);
	atomic_store_explicit(&u->lane[s].rx_head, 0, memory_order_release);
	npp_lock_drop(&k->rx_lock, OSM_CTX_LOCK);
	lose_way_out(o, i, s, &u->out[s / NPP_MAX_IOPS]);
	if (k->slot != s)
		return;
	npp_lock_take(&k->tx_lock, OSM_CTX_LOCK, 1000);
	k->tx_ring = (struct npp_ring_desc){ 0 };
	atomic_store_explicit(&k->tx_tail, 0, memory_order_relaxed);
	atomic_store_explicit(&k->tx_head, 0, memory_order_relaxed);
	atomic_store_explicit(&k->pend_in, 0, memory_order_release); /* nobody will look: say it again */
	for (unsigned n = 0; n < o->n_slots; n++)
		if (o->slot[n].up && n != s && (r->got >> (n / NPP_MAX_IOPS) & 1)) {
			k->slot = (uint8_t)n;
			break;
		}
	npp_lock_drop(&k->tx_lock, OSM_CTX_LOCK);
	osm_sock_wake(o, r->sock, NPP_OUT_TX);
}

/* The ISM of slot S remembers nothing of what it served. */
void osm_slot_lost(struct npp_osm *o, unsigned s)
{
	osm_slot_down(o, s);
	for (unsigned i = 0; i < o->assoc_hi; i++) {
		const struct osm_assoc_rec *r = &o->books->assoc[i];

		if (r->state == OSM_AS_FREE)
			continue;
		if (r->proto == IPPROTO_UDP)
			lose_udp(o, i, s);
		else
			empty_accept_lane(o, i, s);
	}
	for (uint32_t i = 1; i < o->sock_count; i++) {
		struct npp_sock *k = &o->sock[i];
		uint32_t owner = atomic_load_explicit(&k->owner, memory_order_acquire);

		if (!owner || k->slot != s || k->type != NPP_SOCK_STREAM)
			continue;
		if (owner > NPP_MAX_CTX || atomic_load_explicit(&k->ism_handle, memory_order_acquire) != OSM_NO_HANDLE ||
		    (atomic_load_explicit(&k->fl, memory_order_relaxed) & NPP_FL_CONNECTING))
			lose_stream(o, i);
	}
	osm_assoc_slot_gone(o, s, true);
	osm_ctx_slot_gone(o, s);
	osm_orphan_extents(o, s);
}

/* Frees orphans that nobody has open any more, then the memory they had. */
void osm_orphans_tick(struct npp_osm *o)
{
	for (uint32_t i = 1; i < o->sock_count && o->n_orphans; i++) {
		struct npp_sock *s = &o->sock[i];
		uint32_t gen;

		if (!o->orphan[i])
			continue;
		gen = atomic_load_explicit(&s->gen, memory_order_acquire);
		if (o->orphan[i] != OSM_ORPHAN_REC(gen)) {
			o->orphan[i] = 0; /* somebody else has freed it */
			o->n_orphans--;
		} else if (atomic_load_explicit(&s->refs, memory_order_acquire) == 0) {
			osm_sock_free(o, i, gen);
		}
	}
	if (!o->n_orphans)
		osm_extents_free_orphans(o);
}
