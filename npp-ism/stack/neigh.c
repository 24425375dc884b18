/* SPDX-License-Identifier: GPL-2.0-or-later
 * neigh.c - the neighbour cache that all IOPs share (A16)
 *
 * A table of buckets of four entries in a region of its own. The IOP with the link role
 * is the only writer; readers take an entry under its seqlock. `changes` counts what
 * readers must know about (address, state, path MTU), not mere confirmations: a path
 * that was computed at the present count is still right.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define NEIGH_WAYS 4u

static uint32_t neigh_bucket(const uint64_t key[2], const union npp_addr *addr, uint8_t port)
{
	uint8_t what[17];

	memcpy(what, addr->b, 16);
	what[16] = port;
	return (uint32_t)npp_siphash(key, what, sizeof what) & (NPP_NEIGH_ENTRIES - 1) & ~(NEIGH_WAYS - 1);
}

uint32_t neigh_tag(const struct npp_neigh_table *t, const union npp_addr *addr, uint8_t port)
{
	const uint64_t key[2] = { t->key[0], t->key[1] };

	return neigh_bucket(key, addr, port) * 2654435761u + addr->w[3];
}

/* A consistent copy of *E in *OUT; false: the writer is at it for too long (or died). */
static bool neigh_read(const struct npp_neigh *e, struct npp_neigh *out)
{
	for (unsigned tries = 0; tries < 64; tries++) {
		uint32_t seq = atomic_load_explicit(&e->seq, memory_order_acquire); /* pairs with neigh_end() */

		if (seq & 1)
			continue;
		memcpy((char *)out + sizeof seq, (const char *)e + sizeof seq, sizeof *e - sizeof seq);
		atomic_thread_fence(memory_order_acquire); /* pairs with the fence of neigh_begin() */
		if (atomic_load_explicit(&e->seq, memory_order_relaxed) == seq)
			return true;
	}
	return false;
}

/* The same, for an address that was looked for lately without another hash: those of routers, and of peers whose
 * connections come and go. */
static uint32_t neigh_bucket_near(struct stack *s, const union npp_addr *addr, uint8_t port)
{
	const struct npp_neigh_table *t = s->env->neigh;
	uint64_t key[2] = { t->key[0], t->key[1] };
	struct neigh_place *p = &s->ip->near[(addr->b[15] ^ addr->b[14] ^ port) % NEIGH_NEAR];

	if (p->known && p->port == port && p->key[0] == key[0] && p->key[1] == key[1] && npp_addr_eq(&p->addr, addr))
		return p->bucket;
	*p = (struct neigh_place){ .addr = *addr, .key = { key[0], key[1] }, .port = port, .known = 1,
				   .bucket = neigh_bucket(key, addr, port) };
	return p->bucket;
}

bool neigh_lookup(struct stack *s, const union npp_addr *addr, uint8_t port, struct neigh_view *v)
{
	const struct npp_neigh_table *t = s->env->neigh;
	struct npp_neigh e;
	uint32_t b;

	if (!t)
		return false;
	b = neigh_bucket_near(s, addr, port);
	for (uint32_t i = b; i < b + NEIGH_WAYS; i++) {
		if (!neigh_read(&t->entry[i], &e) || e.port != port || !npp_addr_eq(&e.addr, addr))
			continue;
		v->state = e.state <= NPP_NEIGH_FAILED ? (enum npp_neigh_state)e.state : NPP_NEIGH_NONE;
		memcpy(v->mac, e.mac, 6);
		v->pmtu = e.pmtu;
		v->updated_us = e.updated_us;
		v->pmtu_us = e.pmtu_us;
		return true;
	}
	return false;
}

/* ---- the writer's side ------------------------------------------------------------ */

static void neigh_begin(struct npp_neigh *e)
{
	uint32_t seq = atomic_load_explicit(&e->seq, memory_order_relaxed);

	atomic_store_explicit(&e->seq, seq | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* pairs with the fence of neigh_read() */
}

static void neigh_end(struct stack *s, struct npp_neigh *e, bool changed)
{
	struct npp_neigh_table *t = s->env->neigh_rw;
	uint32_t seq = atomic_load_explicit(&e->seq, memory_order_relaxed);

	atomic_store_explicit(&e->seq, (seq | 1) + 1, memory_order_release); /* pairs with neigh_read() */
	if (changed)	/* pairs with ip_path_refresh() */
		atomic_store_explicit(&t->changes, atomic_load_explicit(&t->changes, memory_order_relaxed) + 1,
				      memory_order_release);
}

static void neigh_clear(struct stack *s, struct npp_neigh *e)
{
	neigh_begin(e);
	memset((char *)e + sizeof e->seq, 0, sizeof *e - sizeof e->seq);
	neigh_end(s, e, true);
}

void neigh_take_role(struct stack *s)
{
	struct npp_neigh_table *t = s->env->neigh_rw;
	const struct stack_ops *ops = s->env->ops;

	if (!t->key[0] && !t->key[1]) {
		t->key[0] = ops->random(s->env->arg);
		t->key[1] = ops->random(s->env->arg) | 1;
	}
	/* What the last holder left half written or half resolved is asked for again; what we
	 * were asked before we noticed that the role is ours goes on. */
	for (uint32_t i = 0; i < NPP_NEIGH_ENTRIES; i++) {
		struct npp_neigh *e = &t->entry[i];
		bool torn = atomic_load_explicit(&e->seq, memory_order_relaxed) & 1;

		if (torn || (!npp_addr_is_any(&e->addr) &&
			     (e->state == NPP_NEIGH_INCOMPLETE || e->state > NPP_NEIGH_FAILED) &&
			     !neigh_work_find(s->ip, &e->addr, e->port)))
			neigh_clear(s, e);
	}
	neigh_tell_role(s);
}

/* How readily E is given up for another: 0 first, who has not answered before who has. */
static uint64_t neigh_worth(const struct npp_neigh *e)
{
	if (npp_addr_is_any(&e->addr))
		return 0;
	if (e->state == NPP_NEIGH_NONE || e->state == NPP_NEIGH_FAILED)
		return 1;
	if (e->state == NPP_NEIGH_INCOMPLETE)
		return 2 + e->updated_us;
	return 1ull << 63 | e->used_us;
}

struct npp_neigh *neigh_entry(struct stack *s, const union npp_addr *addr, uint8_t port, bool make)
{
	struct npp_neigh_table *t = s->env->neigh_rw;
	struct npp_neigh *worst = NULL, *e;
	const uint64_t key[2] = { t->key[0], t->key[1] };
	uint32_t b = neigh_bucket(key, addr, port);

	for (uint32_t i = b; i < b + NEIGH_WAYS; i++) {
		e = &t->entry[i];
		if (e->port == port && npp_addr_eq(&e->addr, addr))
			return e;
		if (!worst || neigh_worth(e) < neigh_worth(worst))
			worst = e;
	}
	if (!make)
		return NULL;
	neigh_begin(worst);
	memset((char *)worst + sizeof worst->seq, 0, sizeof *worst - sizeof worst->seq);
	worst->addr = *addr;
	worst->port = port;
	neigh_end(s, worst, true);
	return worst;
}

void neigh_set(struct stack *s, struct npp_neigh *e, enum npp_neigh_state state, const uint8_t *mac,
	       bool used)
{
	bool changed = e->state != state || (mac && memcmp(e->mac, mac, 6) != 0);

	neigh_begin(e);
	e->state = (uint8_t)state;
	if (mac)
		memcpy(e->mac, mac, 6);
	if (state != NPP_NEIGH_STALE)
		e->updated_us = s->now_us;
	if (used)
		e->used_us = s->now_us;
	neigh_end(s, e, changed);
}

void neigh_touch(struct stack *s, struct npp_neigh *e)
{
	neigh_set(s, e, NPP_NEIGH_REACHABLE, NULL, true);
}

void neigh_port_up(struct stack *s, uint8_t port)
{
	struct npp_neigh_table *t = s->env->neigh_rw;

	for (uint32_t i = 0; i < NPP_NEIGH_ENTRIES; i++) {
		struct npp_neigh *e = &t->entry[i];

		if (e->port != port || npp_addr_is_any(&e->addr) || neigh_work_find(s->ip, &e->addr, port))
			continue;
		if (e->state == NPP_NEIGH_FAILED)
			neigh_set(s, e, NPP_NEIGH_NONE, NULL, false);
		else if (e->state == NPP_NEIGH_REACHABLE)
			neigh_set(s, e, NPP_NEIGH_STALE, NULL, false);
	}
}

void neigh_set_pmtu(struct stack *s, const union npp_addr *dst, uint8_t port, uint16_t mtu)
{
	struct npp_neigh *e = neigh_entry(s, dst, port, true);

	neigh_begin(e);
	e->pmtu = mtu;
	e->pmtu_us = s->now_us;
	neigh_end(s, e, true);
}
