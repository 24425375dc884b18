/* SPDX-License-Identifier: GPL-2.0-or-later
 * rebuild.c - a new OSM on the memory of its predecessor
 *
 * The records say what is taken: each allocation that one of them names is marked in an
 * empty heap. A record that names memory outside or memory that another has named
 * before is dropped. Nothing is closed before the ISMs are attached again: they may
 * still write where the dead had their lanes. So processes found dead and contexts without
 * a process wait for OSM_REBUILD_US.
 */
#include "config.h"

#include <netinet/in.h>
#include <string.h>

#include "npp-osm/daemon/priv.h"

static bool take64(struct npp_osm *o, uint32_t off64, uint64_t size)
{
	return off64 && osm_heap_mark(&o->heap, (uint64_t)off64 * 64, size) == 0;
}

static void rebuild_contexts(struct npp_osm *o)
{
	for (unsigned c = 0; c < NPP_MAX_CTX; c++) {
		struct npp_ctx *shm = &o->ctx_shm[c];
		struct osm_ctx *x = &o->ctx[c];
		uint32_t state = atomic_load_explicit(&shm->state, memory_order_acquire), proc;

		for (unsigned s = 0; s < NPP_MAX_SLOTS; s++) {
			uint32_t off64 = __atomic_load_n(&shm->lane_off64[s], __ATOMIC_RELAXED);

			if (off64 && (c == 0 || state == NPP_CTX_OPEN || state == NPP_CTX_CLOSING) &&
			    take64(o, off64, OSM_LANE_BYTES))
				x->lane[s] = off64;
			else
				__atomic_store_n(&shm->lane_off64[s], 0, __ATOMIC_RELAXED);
		}
		if (c == 0 || (state != NPP_CTX_OPEN && state != NPP_CTX_CLOSING)) {
			atomic_store_explicit(&shm->state, c ? NPP_CTX_FREE : NPP_CTX_OPEN, memory_order_release);
			continue;
		}
		x->state = NPP_CTX_OPEN;
		x->kind = shm->kind;
		proc = *(volatile uint32_t *)&shm->proc;
		x->proc = state == NPP_CTX_OPEN && proc < NPP_MAX_PROCS ? proc : OSM_NO_PROC;
		npp_stat_inc(o->stat, NPP_OS_CTXS);
	}
}

static void rebuild_procs(struct npp_osm *o)
{
	for (unsigned p = 0; p < NPP_MAX_PROCS; p++) {
		struct npp_proc *shm = &o->proc_shm[p];
		struct osm_proc *x = &o->proc[p];
		uint32_t state = atomic_load_explicit(&shm->state, memory_order_acquire), parent;

		x->serial = ++o->serial;
		x->parent = OSM_NO_PROC;
		if (state != NPP_PROC_OPEN && state != NPP_PROC_EMBRYO) {
			atomic_store_explicit(&shm->state, NPP_PROC_FREE, memory_order_relaxed);
			continue;
		}
		for (unsigned k = 0; k < NPP_FDTAB_CHUNKS; k++) {
			uint32_t off64 = atomic_load_explicit(&shm->chunk_off64[k], memory_order_relaxed);

			if (take64(o, off64, OSM_CHUNK_BYTES))
				x->chunk[k] = off64;
		}
		x->state = state;
		x->pid = (int32_t)atomic_load_explicit(&shm->pid, memory_order_relaxed);
		x->start = state == NPP_PROC_OPEN ? shm->start_time : 0;
		parent = *(volatile uint32_t *)&shm->parent;
		if (state == NPP_PROC_EMBRYO && parent < NPP_MAX_PROCS)
			x->parent = parent;
		npp_stat_inc(o->stat, NPP_OS_PROCS);
	}
}

static bool assoc_sane(const struct npp_osm *o, const struct osm_assoc_rec *r)
{
	bool spread = r->state >= OSM_AS_SPREADING;

	if (r->state <= OSM_AS_GRANTING || r->state > OSM_AS_CLOSING)
		return false; /* the program of one that was being granted asks again */
	if (r->sock == 0 || r->sock > o->sock_prog_count || o->assoc_of[r->sock])
		return false;
	if (r->proto == IPPROTO_TCP && spread)
		return r->ext_off64 && r->entries >= 16 && r->entries <= 4096 && !(r->entries & (r->entries - 1));
	return r->proto == IPPROTO_TCP || (r->proto == IPPROTO_UDP && r->ext_off64);
}

static void rebuild_replicas(struct npp_osm *o, unsigned i)
{
	const struct osm_assoc_rec *r = &o->books->assoc[i];
	struct osm_assoc *x = &o->assoc[i];
	void *ext = osm_at64(o, r->ext_off64);

	for (unsigned s = 0; s < NPP_MAX_SLOTS; s++) {
		struct npp_listener *l = ext;
		_Atomic uint32_t *rep = r->proto == IPPROTO_UDP ? ((struct npp_udp *)ext)->replica : l->replica;

		if (atomic_load_explicit(&rep[s], memory_order_relaxed)) {
			osm_bit_set(&x->told, s);
			osm_bit_set(&x->good, s);
		}
		if (r->proto == IPPROTO_UDP && s < ((struct npp_udp *)ext)->n_slots)
			osm_bit_set(&x->told, s); /* perhaps, and has not answered */
		if (r->proto == IPPROTO_TCP) {
			uint32_t off64 = atomic_load_explicit(&l->lane_off64[s], memory_order_relaxed);

			if (take64(o, off64, osm_accept_bytes(r->entries)))
				x->lane[s] = off64, osm_bit_set(&x->told, s);
			else
				atomic_store_explicit(&l->lane_off64[s], 0, memory_order_relaxed);
		}
	}
}

static void rebuild_assocs(struct npp_osm *o)
{
	for (unsigned i = 0; i < OSM_MAX_ASSOC; i++) {
		struct osm_assoc_rec *r = &o->books->assoc[i];
		uint64_t size = r->proto == IPPROTO_UDP ? sizeof(struct npp_udp) : sizeof(struct npp_listener);

		if (!assoc_sane(o, r) || (r->state >= OSM_AS_SPREADING && !take64(o, r->ext_off64, size))) {
			*r = (struct osm_assoc_rec){ 0 };
			osm_assoc_save(o, i);
			continue;
		}
		o->assoc_of[r->sock] = (uint16_t)(i + 1);
		o->assoc[i].inherited = true;
		o->assoc_hi = i + 1;
		npp_stat_inc(o->stat, NPP_OS_BINDS);
		if (r->state == OSM_AS_BOUND) {
			r->ext_off64 = r->entries = 0;
			continue;
		}
		rebuild_replicas(o, i);
		if (r->state == OSM_AS_CLOSING) {
			o->assoc[i].free_record = o->assoc[i].patient = true;
			osm_assoc_deadline(o, i, o->now + OSM_LETGO_US);
			continue;
		}
		r->state = OSM_AS_ACTIVE;
		osm_assoc_save(o, i);
		if (r->proto == IPPROTO_TCP)
			npp_stat_inc(o->stat, NPP_OS_LISTENERS);
	}
}

static void rebuild_rest(struct npp_osm *o)
{
	for (unsigned i = 0; i < OSM_MAX_EXTENTS; i++) {
		struct osm_extent_rec *x = &o->books->extent[i];
		uint32_t slot = (x->slot & ~OSM_ORPHAN) - 1;

		if ((slot >= NPP_MAX_SLOTS && x->slot != OSM_HELD) || osm_heap_mark(&o->heap, x->off, x->size)) {
			*x = (struct osm_extent_rec){ 0 };
		} else if (x->slot == OSM_HELD) {
			o->held_bytes += x->size;
		} else {
			o->extent_bytes += x->size;
			if (!(x->slot & OSM_ORPHAN))
				o->slot[slot].extent_bytes += x->size;
		}
		osm_extent_save(o, i);
	}
	npp_stat_set(o->stat, NPP_OS_HEAP_HELD, o->held_bytes);
	for (unsigned i = 0; i < OSM_MAX_SUBMORE; i++) {
		struct osm_submore_rec *r = &o->books->submore[i];

		if (!osm_sock(o, r->sock) || !take64(o, r->off64, OSM_SUBMORE_BYTES)) {
			*r = (struct osm_submore_rec){ 0 };
			o->books_shm->submore[i] = *r;
		} else {
			o->submore_hi = i + 1;
		}
	}
}

static void watch_again(struct npp_osm *o)
{
	for (unsigned p = 0; p < NPP_MAX_PROCS; p++) {
		struct osm_proc *x = &o->proc[p];

		if (x->state == NPP_PROC_FREE)
			continue;
		if (x->state == NPP_PROC_EMBRYO) {
			if (x->parent >= NPP_MAX_PROCS || o->proc[x->parent].state != NPP_PROC_OPEN)
				x->deadline = o->now + OSM_REBUILD_US;
		} else if (osm_proc_watch(o, p)) {
			x->deadline = o->now + OSM_REBUILD_US;
		}
		osm_proc_save(o, p);
	}
}

/* 0, or -EPROTO if there is nothing to go on from. */
int osm_rebuild(struct npp_osm *o, struct npp_err *e)
{
	*o->books = *o->books_shm;
	o->sock_prog_count = osm_prog_count(o);
	if (o->books->magic != OSM_BOOKS_MAGIC || o->books->size != sizeof *o->books ||
	    o->host->sock_prog_count != o->sock_prog_count)
		return npp_err_set(e, -EPROTO, "host memory holds no books of an OSM like this one");
	o->host->n_attach = o->n_npps;
	rebuild_contexts(o);
	rebuild_procs(o);
	rebuild_assocs(o);
	rebuild_rest(o);
	osm_pass_rebuild(o);
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++)
		if (atomic_load_explicit(&o->host->attach[a].state, memory_order_relaxed)) {
			atomic_store_explicit(&o->host->attach[a].state, 3, memory_order_release);
			o->hold_until = o->now + OSM_HOLD_US;
		}
	if (o->hold_until) /* programs wait: what they ask goes to NPPs */
		osm_poll_del(o, o->listen_fd);
	watch_again(o);
	for (unsigned c = 1; c < NPP_MAX_CTX; c++) /* our predecessor may have been about to ring */
		if (o->ctx[c].state == NPP_CTX_OPEN)
			osm_ring(o, o->bell[c]);
	o->ctx_orphans_at = o->now + OSM_REBUILD_US;
	osm_sweep_soon(o);
	npp_info("goes on with %llu processes, %llu bound sockets, %llu KB of host memory",
		 (unsigned long long)o->stat[NPP_OS_PROCS], (unsigned long long)o->stat[NPP_OS_BINDS],
		 (unsigned long long)o->heap.used / 1024);
	return 0;
}
