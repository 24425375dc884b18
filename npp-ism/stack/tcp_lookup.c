/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_lookup.c - from addresses and ports to a record
 *
 * One table of chains for TCBs, half-open connections and TIME_WAIT records, keyed by
 * SipHash so that an outsider cannot pile up a chain. Listeners hang in a small table
 * of their own, by port.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"
#include "shm/share.h"

struct lookup_key {
	union npp_addr la, ra;
	uint64_t ports;
};
_Static_assert(sizeof(struct lookup_key) == 40, "no padding in what is hashed");

uint32_t tcp_hash(const struct stack *s, const union npp_addr *la, uint16_t lp, const union npp_addr *ra,
		  uint16_t rp)
{
	uint64_t h, ports = (uint32_t)lp << 16 | rp;

	/* Stored in words as large as those that are hashed, which else would wait for the stores. */
	if (npp_addr_is_v4(la)) {
		uint64_t k4[2] = { (uint64_t)ra->w[3] << 32 | la->w[3], ports };

		h = npp_siphash(s->cfg.hash_key, k4, 12);
	} else {
		struct lookup_key k = { .la = *la, .ra = *ra, .ports = ports };

		h = npp_siphash(s->cfg.hash_key, &k, sizeof k);
	}
	return (uint32_t)(h ^ h >> 32);
}

/* What the table needs to know of the record behind REF. */
struct ref_view {
	const union npp_addr *la, *ra;
	uint16_t lp, rp;
	uint32_t *hnext;
};

static inline struct ref_view view(const struct tcp_state *tcp, uint32_t ref)
{
	uint32_t i = TCP_REF_IDX(ref);

#define VIEW(r, pub) (struct ref_view){ &(pub)->laddr, &(pub)->raddr, (pub)->lport, (pub)->rport, &(r)->hnext }
	switch (TCP_REF_KIND(ref)) {
	case TCP_REF_SYN:
		return VIEW(&tcp->syns[i], &tcp->syns[i]);
	case TCP_REF_TW:
		return VIEW(&tcp->tws[i], &tcp->tws[i]);
	default:
		return VIEW(&tcp->conns[i], &tcp->conns[i].c);
	}
#undef VIEW
}

uint32_t tcp_lookup(const struct stack *s, uint32_t hash, const union npp_addr *la, uint16_t lp,
		    const union npp_addr *ra, uint16_t rp)
{
	const struct tcp_state *tcp = s->tcp;
	uint32_t ref = tcp->bucket[hash & tcp->bucket_mask];

	if (ref != TCP_NONE && TCP_REF_KIND(ref) == TCP_REF_CONN)
		tcp_fetch(&tcp->conns[TCP_REF_IDX(ref)], 0, TCB_TEXT);
	while (ref != TCP_NONE) {
		struct ref_view v = view(tcp, ref);

		if (v.lp == lp && v.rp == rp && npp_addr_eq(v.ra, ra) && npp_addr_eq(v.la, la))
			return ref;
		ref = *v.hnext;
	}
	return TCP_NONE;
}

uint32_t tcp_conn_hash(const struct stack *s, const struct tcb *t)
{
	return tcp_hash(s, &t->c.laddr, t->c.lport, &t->c.raddr, t->c.rport);
}

static uint32_t *bucket_of(const struct stack *s, uint32_t ref)
{
	const struct tcp_state *tcp = s->tcp;
	uint32_t i = TCP_REF_IDX(ref), hash;

	switch (TCP_REF_KIND(ref)) {
	case TCP_REF_SYN:
		hash = tcp->syns[i].hash;
		break;
	case TCP_REF_TW:
		hash = tcp->tws[i].hash;
		break;
	default: /* made and unmade once: not worth the room in each TCB */
		hash = tcp_conn_hash(s, &tcp->conns[i]);
		break;
	}
	return &tcp->bucket[hash & tcp->bucket_mask];
}

void tcp_hash_insert(struct stack *s, uint32_t ref)
{
	struct ref_view v = view(s->tcp, ref);
	uint32_t *b = bucket_of(s, ref);

	*v.hnext = *b;
	*b = ref;
}

void tcp_hash_remove(struct stack *s, uint32_t ref)
{
	struct ref_view v = view(s->tcp, ref);
	uint32_t *p = bucket_of(s, ref);

	while (*p != TCP_NONE && *p != ref)
		p = view(s->tcp, *p).hnext;
	if (*p == ref)
		*p = *v.hnext;
	*v.hnext = TCP_NONE;
}

/* ---- listeners ------------------------------------------------------------------------- */

static uint32_t *listener_bucket(struct stack *s, uint16_t port)
{
	return &s->tcp->lbucket[(port ^ port >> 8) % TCP_LISTEN_BUCKETS];
}

void tcp_listener_insert(struct stack *s, struct tcp_lsn *l)
{
	uint32_t *b = listener_bucket(s, l->l.port);

	l->hnext = *b;
	*b = l->l.index;
}

void tcp_listener_remove(struct stack *s, struct tcp_lsn *l)
{
	uint32_t *p = listener_bucket(s, l->l.port);

	while (*p != TCP_NONE && *p != l->l.index)
		p = &s->tcp->lsns[*p].hnext;
	if (*p != TCP_NONE)
		*p = l->hnext;
	l->hnext = TCP_NONE;
}

/* 3: listens on ADDR; 2: on every address of its family; 1: on every address of both; 0: not on
 * this one. */
static int listener_score(const struct tcp_lsn *l, const union npp_addr *addr, uint16_t port)
{
	if (l->l.port != port)
		return 0;
	if (npp_addr_eq(&l->l.addr, addr))
		return 3;
	if (!npp_addr_is_any(&l->l.addr))
		return 0;
	if (npp_addr_is_v4(&l->l.addr) == npp_addr_is_v4(addr))
		return 2;
	return npp_addr_is_v4(addr) && !l->l.v6only ? 1 : 0;
}

/* Of the hosts in LISTENING the one that has the flow of PKT. OPEN: half-open connections of each here;
 * by load those that all IOPs have open are added. */
static unsigned pick_host(const struct stack *s, const struct pkt *pkt, uint16_t lport, unsigned listening,
			  uint32_t open[NPP_MAX_HOSTS])
{
	const struct npp_global *g = s->env->global;
	/* acquire: pairs with nppd's release; one word is the whole list */
	uint64_t members = atomic_load_explicit(&g->share, memory_order_acquire);
	uint16_t rport = (uint16_t)(pkt->l4[0] << 8 | pkt->l4[1]);

	uint64_t hash = npp_share_hash(g, &pkt->src, rport, &pkt->dst, lport);

	if (g->share_policy != NPP_SHARE_LOAD)
		return npp_share_pick(members, g->share_policy, listening, hash);
	for (uint32_t i = 0; s->env->load && i < s->cfg.n_iops; i++)
		for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
			open[h] += atomic_load_explicit(&s->env->load[i].open[h], memory_order_relaxed);
	return npp_share_least(members, listening, open, hash);
}

/* The best listener; among equal ones first a host is chosen, then (SO_REUSEPORT) HASH picks. */
struct tcp_lsn *tcp_lookup_listener(struct stack *s, const struct pkt *pkt, uint16_t lport, uint32_t hash)
{
	struct tcp_lsn *best = NULL;
	uint32_t equal[NPP_MAX_HOSTS] = { 0 }, half[NPP_MAX_HOSTS] = { 0 }, pick;
	unsigned hosts = 0, host;
	int best_score = 0;

	for (uint32_t i = *listener_bucket(s, lport); i != TCP_NONE; i = s->tcp->lsns[i].hnext) {
		struct tcp_lsn *l = &s->tcp->lsns[i];
		int score = listener_score(l, &pkt->dst, lport);

		if (!score || score < best_score)
			continue;
		if (score > best_score) {
			best = l;
			best_score = score;
			hosts = 0;
			memset(equal, 0, sizeof equal);
		}
		hosts |= 1u << (l->l.user_host % NPP_MAX_HOSTS);
		equal[l->l.user_host % NPP_MAX_HOSTS]++;
		half[l->l.user_host % NPP_MAX_HOSTS] += l->half_open;
	}
	if (!best)
		return NULL;
	host = hosts & (hosts - 1) ? pick_host(s, pkt, lport, hosts, half) : best->l.user_host % NPP_MAX_HOSTS;
	pick = equal[host] < 2 ? 0 : (uint32_t)(((uint64_t)(hash * 0x9e3779b1u) * equal[host]) >> 32);
	for (uint32_t i = *listener_bucket(s, lport); i != TCP_NONE; i = s->tcp->lsns[i].hnext)
		if (s->tcp->lsns[i].l.user_host % NPP_MAX_HOSTS == host &&
		    listener_score(&s->tcp->lsns[i], &pkt->dst, lport) == best_score && pick-- == 0)
			return &s->tcp->lsns[i];
	return best;
}
