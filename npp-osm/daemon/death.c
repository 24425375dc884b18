/* SPDX-License-Identifier: GPL-2.0-or-later
 * death.c - cleaning up after a process that ended, at any instruction
 *
 * 1. Accept entries that its contexts had claimed: if the descriptor word stands, the
 *    connection was accepted; if not, the entry is READY again for the others.
 * 2. Locks and subscriptions of its contexts: one pass over the socket records. What survives because others share it is nudged: the dead may
 *    have taken a wake-up or set a pending bit and not come to the message.
 * 3. Descriptor words: references are lowered, sockets without any are closed.
 * 4. Contexts close (ctx.c). Half-made records that no ISM knows wait until the ISMs have read all
 *    that the dead had posted, since a CONNECT may be among it.
 * 5. What cannot be told from one look (a reference raised before its word was written)
 *    is left to sweep.c.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "npp-osm/daemon/priv.h"

struct osm_death *osm_death_new(struct npp_osm *o)
{
	struct osm_death *d = calloc(1, sizeof *d);

	if (d)
		d->deadline = o->now + OSM_LIMBO_US;
	return d;
}

void osm_death_add(struct osm_death *d, uint32_t i, uint32_t gen)
{
	if (d->n == d->cap) {
		uint32_t cap = d->cap ? d->cap * 2 : 16;
		struct osm_ref *r = realloc(d->ref, cap * sizeof *r);

		if (!r)
			return; /* the sweep finds it */
		d->ref = r;
		d->cap = cap;
	}
	d->ref[d->n++] = (struct osm_ref){ i, gen };
}

/* D has all that it needs: it waits for the ISMs, or is thrown away if empty. */
void osm_death_done(struct npp_osm *o, struct osm_death *d)
{
	if (!d)
		return;
	if (d->n == 0) {
		free(d->ref);
		free(d);
		return;
	}
	d->next = o->deaths;
	o->deaths = d;
}

static bool contexts_closed(const struct npp_osm *o, const struct osm_death *d)
{
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		if (osm_ctx_in(&d->ctx, c) && o->ctx[c].state == NPP_CTX_CLOSING)
			return false;
	return true;
}

void osm_death_tick(struct npp_osm *o)
{
	struct osm_death **at = &o->deaths, *d;

	while ((d = *at)) {
		if (!contexts_closed(o, d) && o->now < d->deadline) {
			at = &d->next;
			continue;
		}
		*at = d->next;
		for (uint32_t k = 0; k < d->n; k++) {
			struct npp_sock *s = &o->sock[d->ref[k].sock];

			if (atomic_load_explicit(&s->gen, memory_order_acquire) == d->ref[k].gen &&
			    atomic_load_explicit(&s->refs, memory_order_acquire) == 0)
				osm_sock_close(o, d->ref[k].sock, d->ref[k].gen, NPP_CLOSE_DEAD, NULL);
		}
		free(d->ref);
		free(d);
	}
}

/* ---- 1. accept entries -------------------------------------------------------------- */

/* Does the table of process P hold record I with generation bits GEN16? */
static bool in_table(const struct npp_osm *o, unsigned p, uint32_t i, uint32_t gen16)
{
	for (unsigned k = 0; k < NPP_FDTAB_CHUNKS && p < NPP_MAX_PROCS; k++) {
		npp_fdword_t *w;

		if (!o->proc[p].chunk[k])
			continue;
		w = osm_at64(o, o->proc[p].chunk[k]);
		for (unsigned f = 0; f < NPP_FDTAB_CHUNK; f++) {
			uint64_t v = atomic_load_explicit(&w[f], memory_order_relaxed);

			if ((uint32_t)v == i + 1 && ((v >> 32) & 0xffff) == gen16)
				return true;
		}
	}
	return false;
}

/* An entry that a dead context had claimed. True: it is READY again. */
static bool give_back(struct npp_osm *o, _Atomic uint64_t *entry, uint64_t e, unsigned p)
{
	uint32_t i = NPP_ACCEPT_SOCK(e);
	struct npp_sock *s = osm_sock(o, i);

	if (!s || (atomic_load_explicit(&s->gen, memory_order_acquire) & 0xffff) != NPP_ACCEPT_GEN(e) ||
	    in_table(o, p, i, NPP_ACCEPT_GEN(e))) {
		atomic_store_explicit(entry, 0, memory_order_release);
		return false;
	}
	atomic_store_explicit(&s->refs, 0, memory_order_relaxed);
	atomic_store_explicit(entry, NPP_ACCEPT_ENTRY(i, NPP_ACCEPT_GEN(e), NPP_ACCEPT_READY),
			      memory_order_release); /* pairs with the claim of another program */
	npp_stat_inc(o->stat, NPP_OS_ACCEPTS_RETURNED);
	return true;
}

static void claims_back(struct npp_osm *o, const struct osm_ctxset *dead, unsigned p)
{
	for (unsigned i = 0; i < o->assoc_hi; i++) {
		const struct osm_assoc_rec *r = &o->books->assoc[i];
		bool any = false;

		for (unsigned s = 0; r->state != OSM_AS_FREE && r->entries && s < o->n_slots; s++) {
			struct npp_accept_lane *l;

			if (!o->assoc[i].lane[s])
				continue;
			l = osm_at64(o, o->assoc[i].lane[s]);
			for (uint32_t k = 0; k < r->entries; k++) {
				uint64_t e = atomic_load_explicit(&l->entry[k], memory_order_acquire);
				uint32_t own = NPP_ACCEPT_OWNER(e);

				if (e && own && own != NPP_ACCEPT_READY && osm_ctx_in(dead, own - 1))
					any |= give_back(o, &l->entry[k], e, p);
			}
		}
		if (any)
			osm_sock_wake(o, r->sock, NPP_OUT_RX);
	}
}

/* ---- 2. one pass over the records --------------------------------------------------- */

static bool break_lock(struct npp_osm *o, npp_lock_t *l, const struct osm_ctxset *dead)
{
	uint32_t holder = atomic_load_explicit(l, memory_order_relaxed);

	if (holder == 0 || !osm_ctx_in(dead, holder - 1) || !npp_lock_break(l, holder))
		return false;
	npp_stat_inc(o->stat, NPP_OS_LOCKS_BROKEN);
	return true;
}

static bool drop_subs(struct npp_sock *s, const struct osm_ctxset *dead)
{
	bool any = false;

	for (unsigned k = 0; k < NPP_SOCK_SUBS; k++) {
		uint32_t w = atomic_load_explicit(&s->sub[k], memory_order_relaxed);

		if (NPP_SUB_CTX(w) && osm_ctx_in(dead, NPP_SUB_CTX(w) - 1))
			any |= atomic_compare_exchange_strong_explicit(&s->sub[k], &w, 0, memory_order_acq_rel,
								       memory_order_relaxed);
	}
	return any;
}

static void drop_submore(struct npp_osm *o, const struct osm_ctxset *dead)
{
	for (unsigned k = 0; k < o->submore_hi; k++) {
		_Atomic uint64_t *map;

		if (!o->books->submore[k].sock)
			continue;
		map = osm_at64(o, o->books->submore[k].off64);
		for (unsigned i = 0; i < NPP_MAX_CTX / 64; i++)
			if (dead->w[i])
				atomic_fetch_and_explicit(&map[i], ~dead->w[i], memory_order_relaxed);
	}
}

/* Others go on with record I: whatever the dead had begun to say is said for it. */
static void nudge_shared(struct npp_osm *o, uint32_t i)
{
	struct npp_sock *s = &o->sock[i];
	struct npp_msg m = { .type = NPP_MSG_LOOK, .sock = i };
	unsigned slot = osm_sock_slot(s);

	osm_sock_wake(o, i, NPP_OUT_RX | NPP_OUT_TX);
	m.ism_handle = atomic_load_explicit(&s->ism_handle, memory_order_acquire);
	if (s->type == NPP_SOCK_LISTENER || slot >= NPP_MAX_SLOTS || m.ism_handle == OSM_NO_HANDLE)
		return;
	m.sock_gen = atomic_load_explicit(&s->gen, memory_order_relaxed);
	atomic_fetch_or_explicit(&s->pend_in, NPP_IN_TX | NPP_IN_RX, memory_order_acq_rel);
	osm_post(o, slot, &m);
}

static void pass_over_records(struct npp_osm *o, const struct osm_ctxset *dead)
{
	for (uint32_t i = 1; i < o->sock_count; i++) {
		struct npp_sock *s = &o->sock[i];
		bool touched;

		if (!atomic_load_explicit(&s->owner, memory_order_acquire))
			continue;
		touched = break_lock(o, &s->rx_lock, dead);
		touched |= break_lock(o, &s->tx_lock, dead);
		touched |= drop_subs(s, dead);
		if (touched && atomic_load_explicit(&s->refs, memory_order_relaxed))
			nudge_shared(o, i);
	}
}

/* ---- 3. the descriptor table -------------------------------------------------------- */

static void table_drop(struct npp_osm *o, unsigned p, struct osm_death *d)
{
	for (unsigned k = 0; k < NPP_FDTAB_CHUNKS; k++) {
		npp_fdword_t *w;

		if (!o->proc[p].chunk[k])
			continue;
		w = osm_at64(o, o->proc[p].chunk[k]);
		for (unsigned f = 0; f < NPP_FDTAB_CHUNK; f++) {
			uint64_t v;

			if (atomic_load_explicit(&w[f], memory_order_relaxed) == 0)
				continue;
			v = atomic_exchange_explicit(&w[f], 0, memory_order_acq_rel);
			if ((uint32_t)v == 0 || (uint32_t)v - 1 >= o->sock_count)
				continue;
			osm_ref_drop(o, (uint32_t)v - 1, (uint32_t)(v >> 32), d);
			if (atomic_load_explicit(&o->sock[(uint32_t)v - 1].refs, memory_order_relaxed))
				nudge_shared(o, (uint32_t)v - 1);
		}
	}
}

/* ---- all of it ---------------------------------------------------------------------- */

static struct osm_ctxset contexts_of(const struct npp_osm *o, unsigned p)
{
	struct osm_ctxset set = { { 0 } };

	for (unsigned c = 1; c < NPP_MAX_CTX; c++)
		if (o->ctx[c].state == NPP_CTX_OPEN && o->ctx[c].proc == p)
			osm_ctx_add(&set, c);
	return set;
}

/* Does a descriptor hold record I, or does it travel from one to another? */
static bool held(const struct npp_osm *o, uint32_t i, uint32_t gen)
{
	for (unsigned p = 0; p < NPP_MAX_PROCS; p++)
		if (o->proc[p].state != NPP_PROC_FREE && in_table(o, p, i, gen & 0xffff))
			return true;
	return osm_passing(o, i, gen);
}

/* Records that a dead context had claimed and that no ISM has seen. Before its table is
 * dropped: those without a reference (claimed only, or closed and not yet freed).
 * AFTERwards: those with one that no descriptor holds. */
static void half_made(struct npp_osm *o, const struct osm_ctxset *dead, struct osm_death *d, bool after)
{
	for (uint32_t i = 1; d && i <= o->sock_prog_count; i++) {
		struct npp_sock *s = &o->sock[i];
		uint32_t owner = atomic_load_explicit(&s->owner, memory_order_acquire);
		uint32_t gen = atomic_load_explicit(&s->gen, memory_order_acquire);
		bool refs = atomic_load_explicit(&s->refs, memory_order_acquire);

		if (refs != after || !owner || owner > NPP_MAX_CTX || !osm_ctx_in(dead, owner - 1) ||
		    atomic_load_explicit(&s->ism_handle, memory_order_acquire) != OSM_NO_HANDLE ||
		    (refs && held(o, i, gen)))
			continue;
		atomic_store_explicit(&s->refs, 0, memory_order_release);
		osm_death_add(d, i, gen);
	}
}

/* Steps 1, 2 and 4 for the contexts DEAD of P; 3 with DROP_TABLE. */
static void contexts_gone(struct npp_osm *o, unsigned p, struct osm_ctxset dead, struct osm_death *d, bool drop_table)
{
	claims_back(o, &dead, p);
	pass_over_records(o, &dead);
	drop_submore(o, &dead);
	half_made(o, &dead, d, false);
	if (drop_table)
		table_drop(o, p, d);
	half_made(o, &dead, d, true);
	if (d)
		d->ctx = dead;
	for (unsigned c = 1; c < NPP_MAX_CTX; c++)
		if (osm_ctx_in(&dead, c))
			osm_ctx_close(o, c);
}

/* Process P has ended, or the embryo P will never live. */
void osm_proc_died(struct npp_osm *o, unsigned p)
{
	struct osm_death *d = osm_death_new(o);

	if (o->proc[p].state == NPP_PROC_OPEN) {
		npp_stat_inc(o->stat, NPP_OS_DEATHS);
		npp_debug("process %d has ended", o->proc[p].pid);
	}
	contexts_gone(o, p, contexts_of(o, p), d, true);
	for (unsigned i = 0; i < OSM_MAX_CONNS; i++)
		if (o->conn[i].fd >= 0 && o->conn[i].proc == p)
			osm_conn_close(o, i);
	osm_proc_free(o, p);
	osm_death_done(o, d);
	osm_sweep_soon(o);
	osm_ring_isms(o); /* it may have taken the sleep word of one and died before it rang */
}

/* Process P runs another program now: its contexts are gone, its descriptors not. */
void osm_image_gone(struct npp_osm *o, unsigned p)
{
	struct osm_death *d = osm_death_new(o);

	contexts_gone(o, p, contexts_of(o, p), d, false);
	osm_death_done(o, d);
	osm_sweep_soon(o);
}

/* Context C of a living process is given back: its thread or epoll instance is gone. What
 * it still held or was subscribed to goes as if it had died; records that it had made
 * live on with the process. */
void osm_ctx_retire(struct npp_osm *o, unsigned c)
{
	struct osm_ctxset one = { { 0 } };

	osm_ctx_add(&one, c);
	contexts_gone(o, o->ctx[c].proc, one, NULL, false);
}
