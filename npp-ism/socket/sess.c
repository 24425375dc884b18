/* SPDX-License-Identifier: GPL-2.0-or-later
 * sess.c - the association table: socket, OSM handle, ISM handle
 *
 * Rows are found by ISM handle (index and generation) or, when a program has not seen
 * its handle yet, by host and socket index through a hash of chains. The chains and the
 * pool of free rows are derived: ism_sess_rebuild() makes them from the rows.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/socket/ism.h"

static uint32_t *bucket(struct ism *I, unsigned h, uint32_t sock)
{
	uint64_t k = ((uint64_t)h << 32 | sock) ^ I->r->hash_seed;

	k *= 0x9e3779b97f4a7c15ull;
	k ^= k >> 32;
	k *= 0xd6e8feb86659fd93ull;
	k ^= k >> 32;
	return &I->hash[k & (I->r->n_hash - 1)];
}

static void hash_add(struct ism *I, struct ism_sess *s)
{
	uint32_t *b = bucket(I, s->host, s->sock);

	s->hash_next = *b;
	*b = ism_sess_index(I, s);
}

static void hash_remove(struct ism *I, struct ism_sess *s)
{
	uint32_t *p = bucket(I, s->host, s->sock), i = ism_sess_index(I, s);

	while (*p != ISM_NONE && *p != i)
		p = &I->sess[*p].hash_next;
	if (*p == i)
		*p = s->hash_next;
}

bool ism_fair(const struct ism *I, unsigned h, uint32_t max, const uint32_t has[NPP_MAX_HOSTS], uint32_t want)
{
	uint32_t expected = I->env.global ? I->env.global->share_hosts : 0, hosts = 0, part;
	uint64_t used = want, owed = 0;

	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++)
		hosts += I->r->host[i].state != ISM_HOST_NONE;
	expected = expected > hosts && expected <= NPP_MAX_HOSTS ? expected : hosts;
	part = max / 2 / (expected ? expected : 1);
	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++) {
		used += has[i];
		if (i != h && I->r->host[i].state != ISM_HOST_NONE && has[i] < part)
			owed += part - has[i];
	}
	owed += (uint64_t)part * (expected - hosts);
	return used <= max && (has[h] + want <= part || used + owed <= max);
}

static bool shared(const struct ism *I)
{
	unsigned hosts = 0;

	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++)
		hosts += I->r->host[i].state != ISM_HOST_NONE;
	return hosts > 1 || (I->env.global && I->env.global->share_hosts > 1);
}

/* Connections of host H here, told to all ISMs. */
void ism_load_tell(struct ism *I, unsigned h)
{
	const struct ism_host *hs = &I->r->host[h];

	/* relaxed: tcp_lookup.c compares numbers, nothing follows from them */
	if (I->load)
		atomic_store_explicit(&I->load->open[h], hs->n_sess - hs->n_listeners - hs->n_udp, memory_order_relaxed);
}

/* Rows, and with them TCBs, listeners and endpoints of the stack. */
static bool within_quota(const struct ism *I, unsigned h, enum ism_kind kind)
{
	uint32_t has[NPP_MAX_HOSTS], max;

	if (!shared(I))
		return true; /* the pool is the bound */
	max = kind == ISM_LISTENER ? ISM_MAX_LISTENERS : kind == ISM_DGRAM ? ISM_MAX_UDP : stack_conn_limit(I->stack);
	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++) {
		const struct ism_host *hs = &I->r->host[i];

		has[i] = kind == ISM_LISTENER ? hs->n_listeners : kind == ISM_DGRAM ? hs->n_udp :
			 hs->n_sess - hs->n_listeners - hs->n_udp;
	}
	return ism_fair(I, h, max, has, 1);
}

struct ism_sess *ism_sess_new(struct ism *I, unsigned h, enum ism_kind kind, uint32_t sock, uint32_t gen)
{
	struct ism_sess *s;
	uint32_t i, sgen;

	if (!within_quota(I, h, kind))
		return NULL;
	i = npp_pool_get(&I->r->pool);
	if (i == NPP_POOL_NONE)
		return NULL;
	s = &I->sess[i];
	sgen = s->gen;
	memset(s, 0, sizeof *s);
	s->marked = ISM_MARK_ROW;
	s->gen = sgen;
	s->host = (uint8_t)h;
	s->sock = sock;
	s->sock_gen = gen;
	s->tcb = ISM_NONE;
	s->rx_blk = s->tx_blk = s->old_blk = ISM_NONE;
	s->dirty_next = s->wait_next = ISM_NONE;
	s->active_us = I->now_us;
	s->mark_ms = (uint32_t)(I->now_us / 1000);
	s->peer = ISM_PEER_NONE;
	s->kind = (uint8_t)kind;
	hash_add(I, s);
	I->r->host[h].n_sess++;
	ism_load_tell(I, h);
	s->marked = ISM_MARK_NONE;
	return s;
}

/* Off the list of those that wait for a ring. */
static void unwait(struct ism *I, struct ism_sess *s)
{
	struct ism_host *hs = ism_hst(I, s->host);
	uint32_t i = ism_sess_index(I, s), prev = ISM_NONE, *p = &hs->wait_head;

	while (*p != ISM_NONE && *p != i) {
		prev = *p;
		p = &I->sess[*p].wait_next;
	}
	if (*p != i)
		return;
	*p = s->wait_next;
	if (hs->wait_tail == i)
		hs->wait_tail = prev;
}

static bool list_cut(struct ism *I, uint32_t *p, const struct ism_sess *s)
{
	uint32_t i = ism_sess_index(I, s);

	while (*p != ISM_NONE && *p != i)
		p = &I->sess[*p].dirty_next;
	if (*p != i)
		return false;
	*p = s->dirty_next;
	return true;
}

void ism_sess_free(struct ism *I, struct ism_sess *s)
{
	s->marked = ISM_MARK_ROW;
	ism_backlog_end(I, s);
	hash_remove(I, s);
	if (s->flags & SESS_WAITING)
		unwait(I, s);
	if (s->flags & SESS_DIRTY)
		(void)(list_cut(I, &I->r->dirty_head, s) || list_cut(I, &I->r->settle_head, s));
	I->r->host[s->host].n_sess--;
	ism_load_tell(I, s->host);
	s->gen = (s->gen + 1) & 0xfff;
	s->kind = ISM_FREE;
	s->flags = 0;
	s->marked = ISM_MARK_NONE;
	npp_pool_put(&I->r->pool, ism_sess_index(I, s));
}

struct ism_sess *ism_sess_find(struct ism *I, unsigned h, uint32_t sock)
{
	for (uint32_t i = *bucket(I, h, sock); i != ISM_NONE; i = I->sess[i].hash_next)
		if (I->sess[i].host == h && I->sess[i].sock == sock)
			return &I->sess[i];
	return NULL;
}

struct ism_sess *ism_sess_of_msg(struct ism *I, unsigned h, const struct npp_msg *m)
{
	uint32_t i = NPP_ISM_HANDLE_IDX(m->ism_handle);
	struct ism_sess *s;

	if (i < I->r->lay.n_sess) {
		s = &I->sess[i];
		if (s->kind && s->gen == NPP_ISM_HANDLE_GEN(m->ism_handle) && s->host == h &&
		    s->sock == m->sock && s->sock_gen == m->sock_gen)
			return s;
	}
	s = ism_sess_find(I, h, m->sock);
	return s && s->sock_gen == m->sock_gen ? s : NULL;
}

void ism_sess_rebuild(struct ism *I)
{
	struct ism_region *r = I->r;

	memset(I->hash, 0xff, (size_t)r->n_hash * 4);
	npp_pool_init_empty(&r->pool, r->pool.next, r->lay.n_sess);
	r->dirty_head = r->settle_head = ISM_NONE;
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++) {
		struct ism_host *hs = &r->host[h];

		hs->n_sess = hs->n_listeners = hs->n_udp = 0;
		hs->wait_head = hs->wait_tail = ISM_NONE;
	}
	for (uint32_t i = r->lay.n_sess; i-- > 0;) {
		struct ism_sess *s = &I->sess[i];
		struct ism_host *hs = &r->host[s->host % NPP_MAX_HOSTS];

		s->flags &= ~(SESS_DIRTY | SESS_WAITING);
		if (s->marked == ISM_MARK_ROW || !s->kind) {
			s->marked = ISM_MARK_NONE;
			s->kind = ISM_FREE;
			npp_pool_put(&r->pool, i);
			continue;
		}
		hash_add(I, s);
		hs->n_sess++;
		hs->n_listeners += s->kind == ISM_LISTENER;
		hs->n_udp += s->kind == ISM_DGRAM;
	}
	ism_backlog_rebuild(I);
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		ism_load_tell(I, h);
}
