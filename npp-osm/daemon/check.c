/* SPDX-License-Identifier: GPL-2.0-or-later
 * check.c - recounts everything from the descriptor tables and the records
 *
 * For tests, NPP_CTL_CHECK and SIGUSR1. It reads only, and what programs are doing at
 * the moment shows: a finding counts when it stays.
 */
#include "config.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "npp-osm/daemon/priv.h"

struct check {
	struct npp_osm *o;
	struct npp_ctl_check *r;
	FILE *out;
	uint32_t *count;
	struct osm_heap heap;	/* made again from the records */
};

#define SAY(c, ...) do { if ((c)->out) fprintf((c)->out, __VA_ARGS__); } while (0)

static void check_table(struct check *c, unsigned p)
{
	const struct npp_osm *o = c->o;

	for (unsigned k = 0; k < NPP_FDTAB_CHUNKS; k++) {
		npp_fdword_t *w;

		if (!o->proc[p].chunk[k])
			continue;
		w = osm_at64(o, o->proc[p].chunk[k]);
		for (unsigned f = 0; f < NPP_FDTAB_CHUNK; f++) {
			uint64_t v = atomic_load_explicit(&w[f], memory_order_acquire);
			struct npp_sock *s = v ? osm_sock(o, (uint32_t)v - 1) : NULL;

			if (v && (!s || atomic_load_explicit(&s->gen, memory_order_acquire) != (uint32_t)(v >> 32))) {
				c->r->words_bad++;
				SAY(c, "process %d, descriptor %u: no record %#llx\n", o->proc[p].pid,
				    k * NPP_FDTAB_CHUNK + f, (unsigned long long)v);
			} else if (v) {
				c->count[(uint32_t)v - 1]++;
			}
		}
	}
}

static bool ctx_dead(const struct npp_osm *o, uint32_t ctx_plus_1)
{
	return ctx_plus_1 <= NPP_MAX_CTX && ctx_plus_1 > 0 && o->ctx[ctx_plus_1 - 1].state != NPP_CTX_OPEN;
}

static void check_lock(struct check *c, uint32_t i, npp_lock_t *l, const char *what)
{
	uint32_t holder = atomic_load_explicit(l, memory_order_relaxed);

	if (!ctx_dead(c->o, holder))
		return;
	c->r->dead_locks++;
	SAY(c, "record %u: %s held by context %u, which is gone\n", i, what, holder - 1);
}

static void check_record(struct check *c, uint32_t i)
{
	struct npp_sock *s = &c->o->sock[i];
	uint32_t owner = atomic_load_explicit(&s->owner, memory_order_acquire);
	uint32_t refs = atomic_load_explicit(&s->refs, memory_order_acquire);

	if (!owner)
		return;
	c->r->socks_used++;
	if (refs < c->count[i]) {
		c->r->refs_low++;
		SAY(c, "record %u: %u references, %u descriptors\n", i, refs, c->count[i]);
	} else if (refs > c->count[i]) {
		c->r->refs_high++;
		SAY(c, "record %u: %u references, only %u descriptors\n", i, refs, c->count[i]);
	}
	check_lock(c, i, &s->rx_lock, "receive lock");
	check_lock(c, i, &s->tx_lock, "transmit lock");
	for (unsigned k = 0; k < NPP_SOCK_SUBS; k++) {
		uint32_t w = NPP_SUB_CTX(atomic_load_explicit(&s->sub[k], memory_order_relaxed));

		if (ctx_dead(c->o, w)) {
			c->r->dead_subs++;
			SAY(c, "record %u: subscriber %u is gone\n", i, w - 1);
		}
	}
	if (ctx_dead(c->o, owner) && refs == 0 &&
	    atomic_load_explicit(&s->ism_handle, memory_order_acquire) == OSM_NO_HANDLE) {
		c->r->dead_owners++;
		SAY(c, "record %u: made by context %u, which is gone, and nobody's now\n", i, owner - 1);
	}
}

static void mark(struct check *c, uint64_t off, uint64_t size, const char *what, unsigned i)
{
	if (osm_heap_mark(&c->heap, off, size))
		SAY(c, "%s %u: memory at %#llx is another's, too\n", what, i, (unsigned long long)off);
}

static void check_claims(struct check *c, unsigned i, unsigned s)
{
	const struct npp_osm *o = c->o;
	struct npp_accept_lane *l = osm_at64(o, o->assoc[i].lane[s]);

	for (uint32_t k = 0; k < o->books->assoc[i].entries; k++) {
		uint64_t e = atomic_load_explicit(&l->entry[k], memory_order_acquire);

		if (e && NPP_ACCEPT_OWNER(e) != NPP_ACCEPT_READY && ctx_dead(o, NPP_ACCEPT_OWNER(e))) {
			c->r->dead_claims++;
			SAY(c, "port %u: connection %u claimed by context %u, which is gone\n",
			    o->books->assoc[i].port, NPP_ACCEPT_SOCK(e), NPP_ACCEPT_OWNER(e) - 1);
		}
	}
}

static void check_assoc(struct check *c, unsigned i)
{
	const struct npp_osm *o = c->o;
	const struct osm_assoc_rec *r = &o->books->assoc[i];

	if (r->state == OSM_AS_FREE)
		return;
	c->r->binds++;
	if (!r->ext_off64)
		return;
	mark(c, (uint64_t)r->ext_off64 * 64,
	     r->proto == IPPROTO_UDP ? sizeof(struct npp_udp) : sizeof(struct npp_listener), "bound socket", i);
	for (unsigned s = 0; s < NPP_MAX_SLOTS; s++)
		if (o->assoc[i].lane[s]) {
			mark(c, (uint64_t)o->assoc[i].lane[s] * 64, osm_accept_bytes(r->entries), "accept lane", s);
			check_claims(c, i, s);
		}
}

static void check_memory(struct check *c)
{
	const struct npp_osm *o = c->o;

	for (unsigned i = 0; i < NPP_MAX_CTX; i++)
		for (unsigned s = 0; s < NPP_MAX_SLOTS; s++)
			if (o->ctx[i].lane[s])
				mark(c, (uint64_t)o->ctx[i].lane[s] * 64, OSM_LANE_BYTES, "context", i);
	for (unsigned p = 0; p < NPP_MAX_PROCS; p++)
		for (unsigned k = 0; k < NPP_FDTAB_CHUNKS; k++)
			if (o->proc[p].chunk[k])
				mark(c, (uint64_t)o->proc[p].chunk[k] * 64, OSM_CHUNK_BYTES, "process", p);
	for (unsigned i = 0; i < OSM_MAX_EXTENTS; i++)
		if (o->books->extent[i].slot)
			mark(c, o->books->extent[i].off, o->books->extent[i].size, "extent", i);
	for (unsigned i = 0; i < OSM_MAX_SUBMORE; i++)
		if (o->books->submore[i].sock)
			mark(c, (uint64_t)o->books->submore[i].off64 * 64, OSM_SUBMORE_BYTES, "subscriber map", i);
}

unsigned npp_osm_check(struct npp_osm *o, struct npp_ctl_check *r, FILE *out)
{
	struct check c = { .o = o, .r = r, .out = out };
	bool same;

	*r = (struct npp_ctl_check){ 0 };
	c.count = calloc(o->sock_count, sizeof *c.count);
	if (!c.count || osm_heap_init(&c.heap, o->heap.off, o->heap.size)) {
		free(c.count);
		return 1;
	}
	for (unsigned p = 0; p < NPP_MAX_PROCS; p++)
		if (o->proc[p].state != NPP_PROC_FREE) {
			r->procs++;
			check_table(&c, p);
		}
	osm_pass_count(o, c.count);
	for (unsigned i = 1; i < NPP_MAX_CTX; i++)
		r->ctxs += o->ctx[i].state != NPP_CTX_FREE;
	for (uint32_t i = 1; i < o->sock_count; i++)
		check_record(&c, i);
	for (unsigned i = 0; i < OSM_MAX_ASSOC; i++)
		check_assoc(&c, i);
	check_memory(&c);
	r->heap_used = o->heap.used;
	r->heap_owned = c.heap.used;
	same = memcmp(o->heap.map, c.heap.map, (o->heap.grains + 63) / 64 * 8) == 0;
	if (!same)
		SAY(&c, "heap: %llu bytes taken, %llu have an owner\n", (unsigned long long)r->heap_used,
		    (unsigned long long)r->heap_owned);
	osm_heap_fini(&c.heap);
	free(c.count);
	return r->refs_low + r->words_bad + r->dead_owners + r->dead_locks + r->dead_claims + r->dead_subs + !same;
}
