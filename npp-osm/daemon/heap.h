/* SPDX-License-Identifier: GPL-2.0-or-later
 * heap.h - which bytes of the heap of host memory are taken
 *
 * One bit per 64 bytes, in private memory. It says nothing that the records do not
 * say: whoever owns an allocation knows its offset and size, so a new OSM marks what
 * the records name and has the map again. Small things come from the bottom, extents
 * from the top. Offsets count from the start of the region; 0 means none.
 */
#ifndef NPP_OSM_HEAP_H
#define NPP_OSM_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#define OSM_GRAIN 64u

struct osm_heap {
	uint64_t off, size;	/* in the region; multiples of OSM_GRAIN, off > 0 */
	uint64_t used;		/* bytes */
	uint64_t grains;
	uint64_t low;		/* no grain below it is free */
	uint64_t *map;
};

/* 0, -EINVAL, or -ENOMEM. */
int osm_heap_init(struct osm_heap *h, uint64_t off, uint64_t size);
void osm_heap_fini(struct osm_heap *h);
/* Offset of SIZE bytes at a multiple of ALIGN (a power of two), or 0. */
uint64_t osm_heap_alloc(struct osm_heap *h, uint64_t size, uint64_t align);
uint64_t osm_heap_alloc_high(struct osm_heap *h, uint64_t size, uint64_t align);
/* 0; -EINVAL if that is not wholly inside and taken (nothing is changed then). */
int osm_heap_free(struct osm_heap *h, uint64_t off, uint64_t size);
/* For a rebuild: takes exactly that. 0; -EINVAL outside; -EBUSY taken already. */
int osm_heap_mark(struct osm_heap *h, uint64_t off, uint64_t size);

static inline uint64_t osm_heap_round(uint64_t size)
{
	return (size + OSM_GRAIN - 1) & ~(uint64_t)(OSM_GRAIN - 1);
}

#endif
