/* SPDX-License-Identifier: GPL-2.0-or-later
 * hold.c - memory of the host that is held back, for the fault "memory of a host exhausted"
 *
 * Whoever tests a site takes away what the host has left: of the heap, from which come
 * lanes, listeners, descriptor tables and extents for rings, and of the socket records of
 * programs. What programs and ISMs have stays theirs, and what they give back meanwhile is
 * there to be taken again, by them. So all goes the way it goes when a host has come to its end.
 *
 * Blocks that are held stand in the books as extents that are lent to nobody, the largest
 * possible first, from the end of the table; records have context 0 for their owner. A
 * successor finds both, so the death of an OSM does not end the fault.
 */
#include "config.h"

#include "npp-osm/daemon/priv.h"

#define HOLD_EXTENTS 512u		/* of the books */
#define HOLD_BLOCK_MAX (1u << 30)
#define HOLDER 1u			/* owner of a record: context 0, plus 1 */

static uint64_t heap_free(const struct npp_osm *o)
{
	return o->heap.size - o->heap.used;
}

/* A free entry of the books for a block, or -1. */
static int place(const struct npp_osm *o)
{
	for (int i = OSM_MAX_EXTENTS; i-- > (int)(OSM_MAX_EXTENTS - HOLD_EXTENTS);)
		if (!o->books->extent[i].slot)
			return i;
	return -1;
}

static void take_heap(struct npp_osm *o, uint64_t want)
{
	uint32_t size = HOLD_BLOCK_MAX;
	int i;

	while (want >= OSM_GRAIN && size >= OSM_GRAIN && (i = place(o)) >= 0) {
		uint64_t off = size <= want ? osm_heap_alloc_high(&o->heap, size, OSM_GRAIN) : 0;

		if (!off) {
			size /= 2;
			continue;
		}
		want -= size;
		o->held_bytes += size;
		o->books->extent[i] = (struct osm_extent_rec){ .off = off, .size = size, .slot = OSM_HELD };
		osm_extent_save(o, (unsigned)i);
	}
}

static uint32_t records(const struct npp_osm *o, uint32_t owner)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= o->sock_prog_count; i++)
		n += atomic_load_explicit(&o->sock[i].owner, memory_order_relaxed) == owner;
	return n;
}

static void take_records(struct npp_osm *o, uint32_t want)
{
	for (uint32_t i = o->sock_prog_count; i > 0 && want; i--) {
		struct npp_sock *s = &o->sock[i];
		uint32_t nobody = 0;

		/* Acquire: pairs with the release of whoever freed it. */
		if (!atomic_compare_exchange_strong_explicit(&s->owner, &nobody, HOLDER, memory_order_acquire,
							     memory_order_relaxed))
			continue;
		s->type = NPP_SOCK_NONE;
		want--;
	}
}

static void give_back(struct npp_osm *o)
{
	for (unsigned i = OSM_MAX_EXTENTS - HOLD_EXTENTS; i < OSM_MAX_EXTENTS; i++) {
		struct osm_extent_rec *x = &o->books->extent[i];

		if (x->slot != OSM_HELD)
			continue;
		osm_free(o, x->off, x->size);
		*x = (struct osm_extent_rec){ 0 };
		osm_extent_save(o, i);
	}
	for (uint32_t i = 1; i <= o->sock_prog_count; i++) {
		uint32_t holder = HOLDER;

		/* Release: pairs with the acquire of the program that claims it. */
		atomic_compare_exchange_strong_explicit(&o->sock[i].owner, &holder, 0, memory_order_release,
							memory_order_relaxed);
	}
	o->held_bytes = 0;
}

/**
 * osm_hold() - hold back PERCENT of what is free now, in place of what was held before
 * @percent: 0: give all back; NPP_HOLD_SHOW: change nothing
 *
 * Return: 0 or -EINVAL
 */
int osm_hold(struct npp_osm *o, uint32_t percent, struct npp_ctl_held *h)
{
	if (percent > 100 && percent != NPP_HOLD_SHOW)
		return -EINVAL;
	if (percent != NPP_HOLD_SHOW) {
		give_back(o);
		take_heap(o, heap_free(o) * percent / 100);
		take_records(o, (uint32_t)((uint64_t)records(o, 0) * percent / 100));
		npp_stat_set(o->stat, NPP_OS_HEAP_HELD, o->held_bytes);
	}
	*h = (struct npp_ctl_held){ .heap = o->heap.size, .heap_free = heap_free(o), .heap_held = o->held_bytes,
				    .socks = o->sock_prog_count, .socks_free = records(o, 0),
				    .socks_held = records(o, HOLDER) };
	if (percent != NPP_HOLD_SHOW)
		npp_info("a fault holds %llu KB of host memory and %u socket records; %llu KB and %u are free",
			 (unsigned long long)h->heap_held / 1024, h->socks_held, (unsigned long long)h->heap_free / 1024,
			 h->socks_free);
	return 0;
}
