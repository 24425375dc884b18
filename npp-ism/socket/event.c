/* SPDX-License-Identifier: GPL-2.0-or-later
 * event.c - messages to the host: subscribers, the OSM, doorbells
 *
 * One outbound lane per context. A doorbell is rung once per round and context, and only
 * for a sleeper: posts set a bit, ism_bells() looks at the sleep words at the end.
 */
#include "config.h"

#include <errno.h>

#include "npp-ism/socket/ism.h"
#include "shm/bell.h"

#define SHARED_AGAIN_US 200000

static struct npp_ctx *ctx_at(struct ism *I, unsigned h, unsigned ctx)
{
	return (struct npp_ctx *)(I->host[h]->base + I->r->host[h].ctx_off) + ctx;
}

/* Our half of the lane to CTX, attached when first used or made anew; NULL: it has none. */
static struct npp_i2oq_prod *lane(struct ism *I, unsigned h, unsigned ctx)
{
	struct ism_host_map *hm = I->host[h];
	struct npp_i2oq_prod *p = &hm->prod[ctx];
	/* acquire: pairs with the OSM's release store; the lane is initialised */
	uint32_t off64 = atomic_load_explicit(
		(_Atomic uint32_t *)&ctx_at(I, h, ctx)->lane_off64[I->r->host[h].slot], memory_order_acquire);
	struct npp_i2oq *q;

	if (off64 == hm->prod_off64[ctx] &&
	    (!off64 || atomic_load_explicit(&p->q->post_head, memory_order_relaxed) == p->post_head))
		return off64 ? p : NULL;
	/* A new lane, or the context was freed and opened again. */
	hm->prod_off64[ctx] = 0;
	if (!off64)
		return NULL;
	q = ism_heap_at(I, h, (uint64_t)off64 * NPP_LINE, sizeof *q);
	if (!q || npp_i2oq_attach_prod(p, q) < 0) {
		ism_proto_error(I, h);
		return NULL;
	}
	hm->prod_off64[ctx] = off64;
	return p;
}

bool ism_ctx_open(struct ism *I, unsigned h, unsigned ctx)
{
	return atomic_load_explicit(&ctx_at(I, h, ctx)->state, memory_order_relaxed) != NPP_CTX_FREE;
}

int ism_post(struct ism *I, unsigned h, unsigned ctx, struct npp_msg *m)
{
	struct ism_host_map *hm = I->host[h];
	struct npp_i2oq_prod *p = lane(I, h, ctx);
	int err;

	if (!p)
		return -ENOTCONN;
	m->ctx = (uint16_t)ctx;
	err = npp_i2oq_post(p, m);
	hm->bell_due[ctx / 64] |= 1ull << (ctx % 64);
	hm->bell_words |= 1u << ctx / 64;
	npp_stat_inc(I->stats, NPP_IS_MSG_OUT);
	return err;
}

void ism_ctx_forget(struct ism *I, unsigned h, unsigned ctx)
{
	I->host[h]->prod_off64[ctx] = 0;
	I->host[h]->bell_due[ctx / 64] &= ~(1ull << (ctx % 64));
}

void ism_bells(struct ism *I)
{
	for (unsigned h = 0; h < I->host_end; h++) {
		struct ism_host_map *hm = I->host[h];

		for (; hm && hm->bell_words; hm->bell_words &= hm->bell_words - 1) {
			unsigned w = (unsigned)__builtin_ctz(hm->bell_words);

			while (hm->bell_due[w]) {
				unsigned ctx = w * 64 + (unsigned)__builtin_ctzll(hm->bell_due[w]);

				hm->bell_due[w] &= hm->bell_due[w] - 1;
				/* One whose doorbell we are not yet given sleeps on: ism_host_bell(). */
				if (hm->bell[ctx] < 0 || !npp_bell_claim(&ctx_at(I, h, ctx)->sleeping))
					continue;
				npp_ringer_add(&I->ringer, hm->bell[ctx]);
				npp_stat_inc(I->stats, NPP_IS_BELLS);
			}
		}
	}
	npp_ringer_flush(&I->ringer);
}

/* ---- to the OSM ------------------------------------------------------------------- */

/* May M be forgotten when the lane is full? The overflow makes the OSM look at everything: it sees
 * in the records what was freed; NEED_EXTENT is said again. */
static bool may_lose(const struct npp_msg *m)
{
	return m->type == NPP_MSG_FREED || m->type == NPP_MSG_NEED_EXTENT;
}

void ism_post_osm(struct ism *I, unsigned h, struct npp_msg *m)
{
	struct ism_host *hs = ism_hst(I, h);

	/* What is owed goes first, where order matters. */
	if ((!hs->n_owed || may_lose(m)) && ism_post(I, h, 0, m) == 0)
		return;
	if (may_lose(m) || hs->n_owed == ISM_OWED)
		return;
	hs->owed[hs->n_owed++] = *m;
	I->urgent = true;
}

void ism_answer(struct ism *I, unsigned h, const struct npp_msg *q, unsigned type, uint32_t handle, int err)
{
	struct npp_msg m = {
		.type = (uint8_t)type,
		.sock = q->sock,
		.sock_gen = q->sock_gen,
		.ism_handle = handle,
		.error = err,
		.arg = I->iop,
		.cookie = q->cookie,
		.off = q->off,
	};

	ism_post_osm(I, h, &m);
}

bool ism_owed_retry(struct ism *I, unsigned h)
{
	struct ism_host *hs = ism_hst(I, h);
	uint32_t done = 0;

	while (done < hs->n_owed && ism_post(I, h, 0, &hs->owed[done]) == 0)
		done++;
	for (uint32_t i = done; i < hs->n_owed; i++)
		hs->owed[i - done] = hs->owed[i];
	hs->n_owed -= done;
	return hs->n_owed > 0;
}

/* ---- subscribers --------------------------------------------------------------------- */

static bool cares(uint32_t sub, uint32_t bits)
{
	return (bits & (NPP_OUT_ERR | NPP_OUT_SHUT)) || ((bits & NPP_OUT_RX) && (sub & NPP_SUB_RX)) ||
	       ((bits & NPP_OUT_TX) && (sub & NPP_SUB_TX)) || ((bits & NPP_OUT_URG) && (sub & NPP_SUB_URG));
}

static bool asleep(struct ism *I, unsigned h, unsigned ctx)
{
	return atomic_load_explicit(&ctx_at(I, h, ctx)->sleeping, memory_order_relaxed) != 0;
}

/* Of the exclusive subscribers SUB[0..N) one hears of it: a sleeping one if there is any. */
static void tell_one(struct ism *I, unsigned h, struct npp_sock *rec, const uint32_t *sub, unsigned n,
		     struct npp_msg *m)
{
	uint32_t turn = atomic_fetch_add_explicit(&rec->sub_next, 1, memory_order_relaxed);

	for (unsigned i = 0; i < n; i++) {
		unsigned ctx = NPP_SUB_CTX(sub[(turn + i) % n]) - 1;

		if (asleep(I, h, ctx) && ism_post(I, h, ctx, m) != -ENOTCONN)
			return;
	}
	for (unsigned i = 0; i < n; i++)
		if (ism_post(I, h, NPP_SUB_CTX(sub[(turn + i) % n]) - 1, m) != -ENOTCONN)
			return;
}

static void tell_map(struct ism *I, unsigned h, struct npp_sock *rec, struct npp_msg *m)
{
	uint32_t off64 = *(volatile uint32_t *)&rec->sub_more_off64;
	_Atomic uint64_t *map = ism_heap_at(I, h, (uint64_t)off64 * NPP_LINE, NPP_MAX_CTX / 8);

	if (!map) {
		ism_proto_error(I, h);
		return;
	}
	for (unsigned w = 0; w < NPP_MAX_CTX / 64; w++) {
		uint64_t bits = atomic_load_explicit(&map[w], memory_order_relaxed);

		for (; bits; bits &= bits - 1)
			ism_post(I, h, w * 64 + (unsigned)__builtin_ctzll(bits), m);
	}
}

static void tell(struct ism *I, struct ism_sess *s, struct npp_sock *rec, uint32_t bits)
{
	unsigned h = s->host, n = 0;
	uint32_t excl[NPP_SOCK_SUBS];
	struct npp_msg m = { .type = NPP_MSG_EVENT, .sock = s->sock, .sock_gen = s->sock_gen, .arg = bits };

	m.ism_handle = atomic_load_explicit(&rec->ism_handle, memory_order_relaxed);
	for (unsigned i = 0; i < NPP_SOCK_SUBS; i++) {
		uint32_t w = atomic_load_explicit(&rec->sub[i], memory_order_relaxed);

		if (NPP_SUB_CTX(w) == 0 || NPP_SUB_CTX(w) > NPP_MAX_CTX || !cares(w, bits))
			continue;
		if (w & NPP_SUB_EXCLUSIVE)
			excl[n++] = w;
		else
			ism_post(I, h, NPP_SUB_CTX(w) - 1, &m);
	}
	if (n)
		tell_one(I, h, rec, excl, n, &m);
	if (atomic_load_explicit(&rec->sub_all, memory_order_relaxed))
		tell_map(I, h, rec, &m);
}

void ism_notify(struct ism *I, struct ism_sess *s, uint32_t bits, bool always)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	/* What the bits speak of is published before: pairs with the subscriber that clears them
	 * before it looks. seq_cst: a new subscriber stores its word, fences, looks; one of the two
	 * sees the other. */
	uint32_t old = atomic_fetch_or_explicit(&rec->pend_out, bits, memory_order_seq_cst);

	if (!always)
		bits &= ~old;
	if (bits)
		tell(I, s, rec, bits);
}

void ism_notify_shut(struct ism *I, struct ism_sess *s)
{
	/* pairs with the fence of a new subscriber between its word and its look, as above */
	atomic_thread_fence(memory_order_seq_cst);
	tell(I, s, ism_sess_rec(I, s), NPP_OUT_SHUT);
}

void ism_notify_shared(struct ism *I, struct ism_sess *s)
{
	bool again = I->now_us - s->brief_us >= SHARED_AGAIN_US;

	if (again)
		s->brief_us = I->now_us;
	ism_notify(I, s, NPP_OUT_RX, again);
}
