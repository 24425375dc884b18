/* SPDX-License-Identifier: GPL-2.0-or-later
 * heap.c - which bytes of the heap of host memory are taken
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "npp-osm/daemon/heap.h"

#define NONE UINT64_MAX

int osm_heap_init(struct osm_heap *h, uint64_t off, uint64_t size)
{
	if (off == 0 || off % OSM_GRAIN || size % OSM_GRAIN || size == 0)
		return -EINVAL;
	*h = (struct osm_heap){ .off = off, .size = size, .grains = size / OSM_GRAIN };
	h->map = calloc((h->grains + 63) / 64, sizeof *h->map);
	return h->map ? 0 : -ENOMEM;
}

void osm_heap_fini(struct osm_heap *h)
{
	free(h->map);
	*h = (struct osm_heap){ 0 };
}

/* First grain in [FROM, TO) that is taken (INVERT 0) or free (INVERT ~0), else NONE. */
static uint64_t find_first(const struct osm_heap *h, uint64_t from, uint64_t to, uint64_t invert)
{
	while (from < to) {
		uint64_t w = (h->map[from / 64] ^ invert) >> (from % 64);

		if (w) {
			from += (unsigned)__builtin_ctzll(w);
			return from < to ? from : NONE;
		}
		from = (from / 64 + 1) * 64;
	}
	return NONE;
}

/* Last grain in [FROM, TO) that is taken, else NONE. */
static uint64_t find_last_taken(const struct osm_heap *h, uint64_t from, uint64_t to)
{
	while (to > from) {
		uint64_t top = to - 1, w = h->map[top / 64];

		if (top % 64 != 63)
			w &= (1ull << (top % 64 + 1)) - 1;
		if (w) {
			to = top / 64 * 64 + 63 - (unsigned)__builtin_clzll(w);
			return to >= from ? to : NONE;
		}
		to = top / 64 * 64;
	}
	return NONE;
}

static void change(struct osm_heap *h, uint64_t from, uint64_t n, bool take)
{
	for (uint64_t end = from + n; from < end;) {
		uint64_t bits = 64 - from % 64;
		uint64_t mask;

		if (bits > end - from)
			bits = end - from;
		mask = (bits == 64 ? ~0ull : (1ull << bits) - 1) << (from % 64);
		if (take)
			h->map[from / 64] |= mask;
		else
			h->map[from / 64] &= ~mask;
		from += bits;
	}
	if (take)
		h->used += n * OSM_GRAIN;
	else
		h->used -= n * OSM_GRAIN;
}

/* The grain at or after G whose offset in the region is a multiple of ALIGN. */
static uint64_t align_up(const struct osm_heap *h, uint64_t g, uint64_t align)
{
	uint64_t off = h->off + g * OSM_GRAIN;

	return ((off + align - 1) / align * align - h->off) / OSM_GRAIN;
}

static bool sizes_ok(const struct osm_heap *h, uint64_t size, uint64_t *align)
{
	if (*align < OSM_GRAIN)
		*align = OSM_GRAIN;
	return size && size <= h->size && (*align & (*align - 1)) == 0;
}

uint64_t osm_heap_alloc(struct osm_heap *h, uint64_t size, uint64_t align)
{
	uint64_t n, g, hit;

	if (!sizes_ok(h, size, &align))
		return 0;
	n = osm_heap_round(size) / OSM_GRAIN;
	g = find_first(h, h->low, h->grains, ~0ull);
	if (g == NONE)
		return 0;
	h->low = g;
	for (;;) {
		g = align_up(h, g, align);
		if (g + n > h->grains)
			return 0;
		hit = find_first(h, g, g + n, 0);
		if (hit == NONE)
			break;
		g = find_first(h, hit, h->grains, ~0ull);
		if (g == NONE)
			return 0;
	}
	change(h, g, n, true);
	if (g == h->low)
		h->low = g + n;
	return h->off + g * OSM_GRAIN;
}

uint64_t osm_heap_alloc_high(struct osm_heap *h, uint64_t size, uint64_t align)
{
	uint64_t n, end, g, hit;

	if (!sizes_ok(h, size, &align))
		return 0;
	n = osm_heap_round(size) / OSM_GRAIN;
	for (end = h->grains; end >= n; end = hit) {
		uint64_t off = (h->off + (end - n) * OSM_GRAIN) / align * align;

		if (off < h->off)
			return 0;
		g = (off - h->off) / OSM_GRAIN;
		hit = find_last_taken(h, g, g + n);
		if (hit == NONE) {
			change(h, g, n, true);
			return off;
		}
	}
	return 0;
}

static bool inside(const struct osm_heap *h, uint64_t off, uint64_t size)
{
	return size && off >= h->off && off % OSM_GRAIN == 0 && size <= h->size &&
	       off - h->off <= h->size - osm_heap_round(size);
}

int osm_heap_free(struct osm_heap *h, uint64_t off, uint64_t size)
{
	uint64_t g, n;

	if (!inside(h, off, size))
		return -EINVAL;
	g = (off - h->off) / OSM_GRAIN;
	n = osm_heap_round(size) / OSM_GRAIN;
	if (find_first(h, g, g + n, ~0ull) != NONE)
		return -EINVAL;
	change(h, g, n, false);
	if (g < h->low)
		h->low = g;
	return 0;
}

int osm_heap_mark(struct osm_heap *h, uint64_t off, uint64_t size)
{
	uint64_t g, n;

	if (!inside(h, off, size))
		return -EINVAL;
	g = (off - h->off) / OSM_GRAIN;
	n = osm_heap_round(size) / OSM_GRAIN;
	if (find_first(h, g, g + n, 0) != NONE)
		return -EBUSY;
	change(h, g, n, true);
	return 0;
}
