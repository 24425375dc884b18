/* SPDX-License-Identifier: GPL-2.0-or-later
 * msg.c - messages from hosts: lanes with work, one function per type
 */
#include "config.h"

#include <errno.h>

#include "npp-ism/socket/ism.h"

#define PER_LANE 16	/* messages of one lane before the next has its turn */

/* ---- handlers ------------------------------------------------------------------------- */

typedef void msg_fn(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m);

static void on_host(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	(void)ctx;
	ism_host_lend(I, h, m->arg, m->arg2);
}

/* A host that lends its memory in crumbs may not use up what the books have room for. */
static bool extent_is_fair(const struct ism *I, unsigned h, uint64_t off, uint64_t len)
{
	uint32_t has[NPP_MAX_HOSTS] = { 0 };

	for (unsigned i = 0; i < ISM_CHUNKS; i++)
		if (I->chunks[i].host && I->chunks[i].host <= NPP_MAX_HOSTS)
			has[I->chunks[i].host - 1]++;
	return len == 0 ||
	       ism_fair(I, h, ISM_CHUNKS, has, (uint32_t)((off + len - 1) / ISM_CHUNK_BYTES - off / ISM_CHUNK_BYTES) + 1);
}

static void on_extent(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	struct ism_host *hs = ism_hst(I, h);
	uint64_t len = m->arg2;
	int err;

	(void)ctx;
	if (m->error < 0) /* refused: the back-off of ring.c runs on */
		return;
	if (m->off < hs->heap_off || m->off > hs->heap_end || len > hs->heap_end - m->off) {
		ism_proto_error(I, h);
		return;
	}
	err = extent_is_fair(I, h, m->off, len) ? ism_mem_add(I->chunks, &hs->heap, h, m->off, len) : -ENOSPC;
	if (err == 0)
		hs->asked_us = 0;
	else if (err != -EEXIST /* named again after a greeting */)
		ism_proto_error(I, h);
	I->urgent = true;
}

static void on_listen(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	(void)ctx;
	ism_listen(I, h, m);
}

static void on_unlisten(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	(void)ctx;
	ism_unlisten(I, h, m);
}

static void on_udp_bind(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	(void)ctx;
	ism_udp_bind(I, h, m);
}

static void on_udp_unbind(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	(void)ctx;
	ism_udp_unbind(I, h, m);
}

static void on_connect(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	(void)ctx;
	ism_conn_connect(I, h, m);
}

static void on_look(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	struct ism_sess *s = ism_sess_of_msg(I, h, m);

	(void)ctx;
	if (!s) /* closed meanwhile, or not yet connected by another lane: nothing to look at */
		return;
	if (s->kind == ISM_STREAM)
		ism_conn_look(I, s);
	else if (s->kind == ISM_DGRAM)
		ism_udp_look(I, s);
	else
		ism_listener_look(I, s);
}

/* CLOSE of a record that no session stands for: its CONNECT never came, or found no room. */
static void close_orphan(struct ism *I, unsigned h, const struct npp_msg *m)
{
	struct npp_sock *rec = ism_prog_rec(I, h, m->sock);
	uint32_t owner;

	if (!rec || rec->type != NPP_SOCK_STREAM ||
	    rec->slot != I->r->host[h].slot ||
	    atomic_load_explicit(&rec->gen, memory_order_relaxed) != m->sock_gen)
		return;
	owner = atomic_load_explicit(&rec->owner, memory_order_acquire);
	if (owner >= 1 && owner <= NPP_MAX_CTX && !ism_sess_find(I, h, m->sock)) {
		struct ism_sess *s = ism_sess_new(I, h, ISM_STREAM, m->sock, m->sock_gen);

		if (s)
			ism_record_free(I, s);
	}
}

static void on_close(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	struct ism_sess *s = ism_sess_of_msg(I, h, m);

	(void)ctx;
	if (!s)
		close_orphan(I, h, m);
	else if (s->kind == ISM_STREAM)
		ism_conn_close(I, s, m->arg, m->flags);
	else
		ism_proto_error(I, h);
}

static void on_shutdown(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	struct ism_sess *s = ism_sess_of_msg(I, h, m);

	(void)ctx;
	if (s && s->kind == ISM_STREAM)
		ism_conn_shutdown(I, s, m->arg);
}

static void on_need_ring(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	struct ism_sess *s = ism_sess_of_msg(I, h, m);

	(void)ctx;
	if (s && s->kind == ISM_STREAM)
		ism_conn_need_ring(I, s, m->arg);
	else if (s && s->kind == ISM_DGRAM)
		ism_udp_need_ring(I, s, m->arg);
}

static void on_ctx_gone(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	(void)ctx;
	if (m->arg < NPP_MAX_CTX)
		ism_ctx_forget(I, h, m->arg);
	else
		ism_proto_error(I, h);
}

static void on_nonsense(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	(void)ctx;
	(void)m;
	ism_proto_error(I, h);
}

static const struct { msg_fn *fn; bool osm_only; } handlers[NPP_MSG_INBOUND_END] = {
	[NPP_MSG_NONE] = { on_nonsense, false },
	[NPP_MSG_HOST] = { on_host, true },
	[NPP_MSG_EXTENT] = { on_extent, true },
	[NPP_MSG_LISTEN] = { on_listen, true },
	[NPP_MSG_UNLISTEN] = { on_unlisten, true },
	[NPP_MSG_UDP_BIND] = { on_udp_bind, true },
	[NPP_MSG_UDP_UNBIND] = { on_udp_unbind, true },
	[NPP_MSG_CONNECT] = { on_connect, false },
	[NPP_MSG_LOOK] = { on_look, false },
	[NPP_MSG_CLOSE] = { on_close, false },
	[NPP_MSG_SHUTDOWN] = { on_shutdown, false },
	[NPP_MSG_NEED_RING] = { on_need_ring, false },
	[NPP_MSG_CTX_GONE] = { on_ctx_gone, true },
};

static void take_msg(struct ism *I, unsigned h, unsigned ctx, const struct npp_msg *m)
{
	npp_stat_inc(I->stats, NPP_IS_MSG_IN);
	if (m->type >= NPP_MSG_INBOUND_END || (handlers[m->type].osm_only && ctx != 0)) {
		ism_proto_error(I, h);
		return;
	}
	handlers[m->type].fn(I, h, ctx, m);
}

/* ---- lanes ------------------------------------------------------------------------------ */

bool ism_host_pending(const struct ism *I)
{
	for (unsigned h = 0; h < I->host_end; h++) {
		const struct ism_host_map *hm = I->host[h];

		if (hm && (hm->carry_words ||
			   atomic_load_explicit(&hm->inbound->summary, memory_order_relaxed) != 0))
			return true;
	}
	return false;
}

/* Takes the marks that producers set: the summary first, then the words (they set them the other
 * way round). */
static void marks_take(struct ism_host_map *hm)
{
	uint64_t sum;

	if (atomic_load_explicit(&hm->inbound->summary, memory_order_relaxed) == 0)
		return;
	/* acquire: pairs with npp_inbound_mark(); the messages are posted */
	sum = atomic_exchange_explicit(&hm->inbound->summary, 0, memory_order_acquire);
	for (sum &= (1u << NPP_MAX_CTX / 64) - 1; sum; sum &= sum - 1) {
		unsigned w = (unsigned)__builtin_ctzll(sum);

		hm->carry[w] |= atomic_exchange_explicit(&hm->inbound->work[w], 0, memory_order_acquire);
		hm->carry_words |= 1u << w;
	}
}

/* Our half of the inbound lane of CTX; NULL: its positions make no sense. */
static struct npp_i2oq_cons *lane(struct ism *I, unsigned h, unsigned ctx)
{
	struct ism_host_map *hm = I->host[h];
	struct npp_i2oq_cons *c = &hm->cons[ctx];

	if (!c->q && npp_i2oq_attach_cons(c, &hm->inbound->lane[ctx]) < 0) {
		c->q = NULL;
		ism_proto_error(I, h);
	}
	return c->q ? c : NULL;
}

/* Up to BUDGET messages of one lane; *MORE: some are left. What they cost. */
static unsigned lane_run(struct ism *I, unsigned h, unsigned ctx, unsigned budget, bool *more)
{
	struct npp_i2oq_cons *c = lane(I, h, ctx);
	struct npp_msg m;
	unsigned n = 0;
	uint64_t errors;

	*more = false;
	if (!c)
		return 1;
	errors = c->errors;
	if (npp_i2oq_overflowed(c)) {
		npp_stat_inc(I->stats, NPP_IS_OVERFLOWS);
		I->host[h]->scan_due = true;
		nk_thread_raise(&I->nk, I->th_scan);
	}
	I->msg_cost = 0;
	while (n < budget && npp_i2oq_poll(c, &m) == 1) {
		n++;
		take_msg(I, h, ctx, &m);
	}
	if (c->errors != errors)
		ism_proto_error(I, h);
	*more = n == budget;
	return (n ? n : 1) + I->msg_cost;
}

/* Lane by lane in turn until BUDGET is used up: none waits for ever. */
static unsigned host_run(struct ism *I, unsigned h, unsigned budget)
{
	struct ism_host_map *hm = I->host[h];
	unsigned n = 0, at = hm->turn;

	/* All words, and the first one's beginning at the end. */
	for (unsigned i = 0; i <= NPP_MAX_CTX / 64 && n < budget; i++) {
		unsigned w = at / 64 % (NPP_MAX_CTX / 64);
		uint64_t todo;

		if (!(hm->carry_words & 1u << w)) {
			at = (w + 1) * 64;
			continue;
		}
		for (todo = hm->carry[w] & ~0ull << at % 64; todo && n < budget; todo &= todo - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(todo);
			bool more;

			n += lane_run(I, h, w * 64 + bit, PER_LANE, &more);
			if (!more)
				hm->carry[w] &= ~(1ull << bit);
			at = w * 64 + bit + 1;
		}
		if (!todo)
			at = (w + 1) * 64;
		if (!hm->carry[w])
			hm->carry_words &= ~(1u << w);
	}
	hm->turn = at % NPP_MAX_CTX;
	return n;
}

/* Hosts with something to say have equal parts of BUDGET, and another one is first each time. */
unsigned ism_host_run(struct ism *I, unsigned budget)
{
	unsigned n = 0, busy = 0, first = I->host_turn++;

	for (unsigned h = 0; h < I->host_end; h++) {
		if (!I->host[h])
			continue;
		marks_take(I->host[h]);
		busy += I->host[h]->carry_words != 0;
	}
	for (unsigned k = 0; k < I->host_end && busy; k++) {
		unsigned h = (first + k) % I->host_end;

		if (I->host[h] && I->host[h]->carry_words)
			n += host_run(I, h, (budget + busy - 1) / busy);
	}
	return n;
}
