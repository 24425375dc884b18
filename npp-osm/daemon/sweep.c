/* SPDX-License-Identifier: GPL-2.0-or-later
 * sweep.c - what a death may have left that one look cannot tell
 *
 * A program raises a reference before it writes the descriptor word, and lowers it
 * after it cleared the word: killed between the two it leaves one too many. And it
 * may have lowered the last one and not come to say CLOSE. From outside that looks
 * like a live program in the middle of the same step. So after each death all
 * references are recounted some times, a second apart: a step takes no second. What is
 * seen twice in the same state is put right.
 */
#include "config.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "npp-osm/daemon/priv.h"

enum { SUSPECT_REFS = 1, SUSPECT_CLOSED, SUSPECT_TOLD };

struct sweep {
	uint32_t *count;	/* descriptor words that name the record, and messages that carry it */
	uint8_t *queued;	/* it stands in an accept queue */
};

void osm_sweep_soon(struct npp_osm *o)
{
	if (!o->sweeps_left)
		o->sweep_at = o->now + OSM_SWEEP_US;
	o->sweeps_left = 3;
}

static void count_words(struct npp_osm *o, struct sweep *w)
{
	for (unsigned p = 0; p < NPP_MAX_PROCS; p++)
		for (unsigned k = 0; k < NPP_FDTAB_CHUNKS && o->proc[p].state != NPP_PROC_FREE; k++) {
			npp_fdword_t *word;

			if (!o->proc[p].chunk[k])
				continue;
			word = osm_at64(o, o->proc[p].chunk[k]);
			for (unsigned f = 0; f < NPP_FDTAB_CHUNK; f++) {
				uint64_t v = atomic_load_explicit(&word[f], memory_order_relaxed);
				struct npp_sock *s = v ? osm_sock(o, (uint32_t)v - 1) : NULL;

				if (s && atomic_load_explicit(&s->gen, memory_order_relaxed) == (uint32_t)(v >> 32))
					w->count[(uint32_t)v - 1]++;
			}
		}
	osm_pass_count(o, w->count);
}

static void find_queued(struct npp_osm *o, struct sweep *w)
{
	for (unsigned i = 0; i < o->assoc_hi; i++)
		for (unsigned s = 0; s < o->n_slots && o->books->assoc[i].state != OSM_AS_FREE; s++) {
			struct npp_accept_lane *l;

			if (!o->assoc[i].lane[s])
				continue;
			l = osm_at64(o, o->assoc[i].lane[s]);
			for (uint32_t k = 0; k < o->books->assoc[i].entries; k++) {
				uint64_t e = atomic_load_explicit(&l->entry[k], memory_order_acquire);

				if (e && NPP_ACCEPT_SOCK(e) < o->sock_count)
					w->queued[NPP_ACCEPT_SOCK(e)] = 1;
			}
		}
}

/* Is a live context still making record S? */
static bool being_made(const struct npp_osm *o, const struct npp_sock *s, uint32_t owner)
{
	return atomic_load_explicit(&s->ism_handle, memory_order_acquire) == OSM_NO_HANDLE &&
	       (owner > NPP_MAX_CTX || o->ctx[owner - 1].state == NPP_CTX_OPEN);
}

static unsigned judge(const struct npp_osm *o, const struct sweep *w, uint32_t i, uint32_t owner)
{
	struct npp_sock *s = &o->sock[i];
	int as;

	if (w->queued[i] || o->orphan[i])
		return 0;
	if (atomic_load_explicit(&s->refs, memory_order_acquire))
		return w->count[i] || being_made(o, s, owner) ? 0 : SUSPECT_REFS;
	as = i <= o->sock_prog_count ? (int)o->assoc_of[i] - 1 : -1;
	if (as >= 0 && o->books->assoc[as].state != OSM_AS_BOUND)
		return o->books->assoc[as].state == OSM_AS_CLOSING ? 0 : SUSPECT_CLOSED;
	return being_made(o, s, owner) ? 0 : SUSPECT_CLOSED;
}

static void put_right(struct npp_osm *o, uint32_t i, uint32_t gen, unsigned kind)
{
	uint32_t refs = atomic_load_explicit(&o->sock[i].refs, memory_order_acquire);

	if (kind == SUSPECT_REFS) {
		if (!refs || !atomic_compare_exchange_strong_explicit(&o->sock[i].refs, &refs, 0, memory_order_acq_rel,
								      memory_order_relaxed))
			return;
		npp_stat_inc(o->stat, NPP_OS_SOCKS_REAPED);
	}
	/* An ISM that is closing it anyway finds the message harmless. */
	osm_sock_close(o, i, gen, kind == SUSPECT_REFS ? NPP_CLOSE_DEAD : 0, NULL);
}

static void sweep(struct npp_osm *o, struct sweep *w)
{
	count_words(o, w);
	find_queued(o, w);
	for (uint32_t i = 1; i < o->sock_count; i++) {
		struct osm_suspect *x = &o->suspect[i];
		uint32_t owner = atomic_load_explicit(&o->sock[i].owner, memory_order_acquire);
		uint32_t gen = atomic_load_explicit(&o->sock[i].gen, memory_order_acquire);
		unsigned kind = owner ? judge(o, w, i, owner) : 0;

		if (!kind) {
			*x = (struct osm_suspect){ 0 };
		} else if (x->gen != gen || (x->kind != kind && x->kind != SUSPECT_TOLD)) {
			*x = (struct osm_suspect){ .gen = gen, .kind = (uint8_t)kind };
		} else if (x->kind != SUSPECT_TOLD) {
			x->kind = SUSPECT_TOLD;
			put_right(o, i, gen, kind);
		}
	}
}

void osm_sweep_tick(struct npp_osm *o)
{
	struct sweep w;

	if (!o->sweeps_left || o->now < o->sweep_at)
		return;
	w.count = calloc(o->sock_count, sizeof *w.count);
	w.queued = calloc(o->sock_count, 1);
	if (w.count && w.queued)
		sweep(o, &w);
	free(w.count);
	free(w.queued);
	o->sweeps_left--;
	o->sweep_at = o->now + OSM_SWEEP_US;
}
