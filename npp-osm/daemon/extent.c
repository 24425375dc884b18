/* SPDX-License-Identifier: GPL-2.0-or-later
 * extent.c - what is lent to ISMs: socket records and extents for byte rings
 *
 * Records: those above sock_prog_count, divided evenly over NPPs and their IOPs.
 * Extents: 1 to 4 MB from the top of the heap. All of them together may take three
 * quarters of the heap, one ISM twice its even share of that. Once it was refused it
 * must give back an eighth before it gets more, so that it does not flutter at
 * the bound.
 */
#include "config.h"

#include "npp-osm/daemon/priv.h"

void osm_lend_records(struct npp_osm *o, unsigned s)
{
	struct osm_slot_rec *r = &o->books->slot[s];
	uint32_t a = s / NPP_MAX_IOPS, iop = s % NPP_MAX_IOPS;
	uint32_t share = (o->sock_count - 1 - o->sock_prog_count) / o->n_npps;
	uint32_t each = share / o->npp[a].n_iops;
	struct npp_msg m = { .type = NPP_MSG_HOST };

	r->first = o->sock_prog_count + 1 + a * share + iop * each;
	r->count = each;
	o->books_shm->slot[s] = *r;
	m.arg = r->first;
	m.arg2 = r->count;
	osm_post(o, s, &m);
}

void osm_extent_save(struct npp_osm *o, unsigned i)
{
	o->books_shm->extent[i] = o->books->extent[i];
	npp_stat_set(o->stat, NPP_OS_EXTENTS, o->extent_bytes);
}

static void tell(struct npp_osm *o, unsigned s, const struct osm_extent_rec *x, int error)
{
	struct npp_msg m = { .type = NPP_MSG_EXTENT, .error = error };

	if (x) {
		m.off = x->off;
		m.arg2 = x->size;
	}
	osm_post(o, s, &m);
}

/* Names all extents of slot S again; if it has none, it gets its first. */
void osm_extents_replay(struct npp_osm *o, unsigned s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < OSM_MAX_EXTENTS; i++)
		if (o->books->extent[i].slot == s + 1) {
			tell(o, s, &o->books->extent[i], 0);
			n++;
		}
	if (n == 0)
		osm_extent_grant(o, s, OSM_EXTENT_FIRST);
}

static uint64_t slot_limit(const struct npp_osm *o)
{
	uint64_t n = 0, limit;

	for (unsigned s = 0; s < o->n_slots; s++)
		n += o->slot[s].mapped;
	limit = n > 1 ? o->extent_limit / n * 2 : o->extent_limit;
	return limit < OSM_EXTENT_MAX ? OSM_EXTENT_MAX : limit;
}

static bool over(const struct npp_osm *o, const struct osm_slot *sl, uint32_t size)
{
	uint64_t host = o->extent_limit, one = slot_limit(o);

	if (sl->refused) {
		host -= host / 8;
		one -= one / 8;
	}
	return o->extent_bytes + size > host || sl->extent_bytes + size > one;
}

/* Lends slot S an extent for at least WANT bytes, within bounds, or refuses. */
void osm_extent_grant(struct npp_osm *o, unsigned s, uint32_t want)
{
	struct osm_slot *sl = &o->slot[s];
	uint32_t size = o->huge ? OSM_HUGE : OSM_EXTENT_MIN;
	uint64_t off = 0;
	unsigned i;

	while (size < want && size < OSM_EXTENT_MAX)
		size *= 2;
	for (i = 0; i < OSM_MAX_EXTENTS && o->books->extent[i].slot; i++)
		;
	if (i < OSM_MAX_EXTENTS && !over(o, sl, size))
		off = osm_heap_alloc_high(&o->heap, size, o->huge ? OSM_HUGE : 4096);
	if (!off) {
		if (!sl->refused)
			npp_warnx("no more memory for rings of NPP %s, IOP %u: it has %llu KB, all have %llu KB",
				  o->npp[s / NPP_MAX_IOPS].name, s % NPP_MAX_IOPS,
				  (unsigned long long)sl->extent_bytes / 1024,
				  (unsigned long long)o->extent_bytes / 1024);
		sl->refused = true;
		npp_stat_inc(o->stat, NPP_OS_EXTENTS_REFUSED);
		tell(o, s, NULL, -ENOMEM);
		return;
	}
	sl->refused = false;
	o->books->extent[i] = (struct osm_extent_rec){ .off = off, .size = size, .slot = s + 1 };
	o->extent_bytes += size;
	sl->extent_bytes += size;
	osm_extent_save(o, i);
	tell(o, s, &o->books->extent[i], 0);
}

static void drop(struct npp_osm *o, unsigned i)
{
	struct osm_extent_rec *x = &o->books->extent[i];

	osm_free(o, x->off, x->size);
	o->extent_bytes -= x->size;
	*x = (struct osm_extent_rec){ 0 };
	osm_extent_save(o, i);
}

/* Slot S gives an extent back. 0, or -EPROTO if it has no such extent. */
int osm_extent_return(struct npp_osm *o, unsigned s, uint64_t off, uint32_t size)
{
	for (unsigned i = 0; i < OSM_MAX_EXTENTS; i++) {
		const struct osm_extent_rec *x = &o->books->extent[i];

		if (x->slot == s + 1 && x->off == off && x->size == size) {
			o->slot[s].extent_bytes -= size;
			drop(o, i);
			return 0;
		}
	}
	return -EPROTO;
}

/* The ISM of slot S has forgotten its extents; sockets that programs still hold may
 * have unread bytes in them. */
void osm_orphan_extents(struct npp_osm *o, unsigned s)
{
	for (unsigned i = 0; i < OSM_MAX_EXTENTS; i++)
		if (o->books->extent[i].slot == s + 1) {
			o->books->extent[i].slot |= OSM_ORPHAN;
			osm_extent_save(o, i);
		}
	o->slot[s].extent_bytes = 0;
}

/* Takes back the extents of lost ISMs whose NPP is attached again: then their
 * processes are certainly gone. Called when no orphaned socket is left. */
void osm_extents_free_orphans(struct npp_osm *o)
{
	for (unsigned i = 0; i < OSM_MAX_EXTENTS; i++) {
		uint32_t slot = o->books->extent[i].slot;

		if ((slot & OSM_ORPHAN) && o->slot[(slot & ~OSM_ORPHAN) - 1].mapped)
			drop(o, i);
	}
}
