/* SPDX-License-Identifier: GPL-2.0-or-later
 * arp.c - ARP (RFC 826, RFC 5227) for the IOP that has the link role
 *
 * What is believed: an answer to a question of ours, and the sender of a question for an
 * address of ours. Everything else changes nothing; if it contradicts the cache it is
 * counted and the present entry is probed: first the known address alone is asked,
 * and only when it stays silent everybody. So an outsider can neither fill the
 * cache nor take over a live neighbour.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define ARP_REQUEST 1
#define ARP_REPLY 2
#define CONFLICT_US 10000000u	/* RFC 5227, 2.4: an address is defended this often */

static const uint8_t mac_all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t mac_none[6];

/* PROBE true: sender address 0. */
static void arp_send(struct stack *s, uint8_t port, uint16_t op, const uint8_t *eth_dst,
		     const union npp_addr *spa, const uint8_t *tha, const union npp_addr *tpa)
{
	const uint8_t *mac = s->env->global->port[port].mac;
	struct stack_tx tx;
	struct eth_hdr *eth;
	struct arp_hdr *arp;

	memset(&tx, 0, sizeof tx);
	tx.start = STACK_L4_OFF - ETH_HDR_LEN;
	tx.l4_len = sizeof *arp;
	tx.csum_off = 0xffff;
	eth = (struct eth_hdr *)(tx.head + tx.start);
	memcpy(eth->dst, eth_dst, 6);
	memcpy(eth->src, mac, 6);
	eth->type = htons(ETH_P_ARP4);
	arp = (struct arp_hdr *)(tx.head + STACK_L4_OFF);
	arp->hrd = htons(1);
	arp->pro = htons(ETH_P_IPV4);
	arp->hln = 6;
	arp->pln = 4;
	arp->op = htons(op);
	memcpy(arp->sha, mac, 6);
	memcpy(arp->spa, spa->b + 12, 4);
	memcpy(arp->tha, tha, 6);
	memcpy(arp->tpa, tpa->b + 12, 4);
	STAT_INC(s, IS_ARP_OUT);
	s->env->ops->tx(s->env->arg, port, &tx);
}

/* ---- asking ------------------------------------------------------------------------ */

static struct neigh_work *work_find(struct ip_state *ip, const union npp_addr *addr, uint8_t port)
{
	for (unsigned i = 0; i < NEIGH_WORKS; i++)
		if (ip->work[i].used && ip->work[i].port == port && npp_addr_eq(&ip->work[i].addr, addr))
			return &ip->work[i];
	return NULL;
}

static void work_tell(struct stack *s, const struct neigh_work *w, const uint8_t *mac)
{
	struct npp_ipc_neigh n = { .addr = w->addr, .port = w->port, .from = (uint8_t)s->cfg.iop };
	struct npp_frame_rec rec = { .len = sizeof n, .kind = NPP_REC_RESOLVED, .port = w->port };

	memcpy(n.mac, mac, 6);
	for (uint32_t i = 0; i < s->cfg.n_iops; i++)
		if (i != s->cfg.iop && w->askers >> i & 1)
			s->env->ops->ipc(s->env->arg, i, NPP_REC_RESOLVED, &rec, &n, sizeof n);
}

/* W has ended, well or not: tell who had asked. */
static void work_end(struct stack *s, struct neigh_work *w, const uint8_t *mac)
{
	w->used = 0;
	work_tell(s, w, mac);
	neigh_wait_run(s);
}

/* Sends the next question of W, or gives up. */
static void work_step(struct stack *s, struct neigh_work *w)
{
	struct npp_neigh *e = neigh_entry(s, &w->addr, w->port, true);
	const union npp_addr *spa = route_source(s, &w->addr, w->port);

	if (w->tries >= NEIGH_TRIES || !spa) {
		neigh_set(s, e, NPP_NEIGH_FAILED, NULL, false);
		work_end(s, w, mac_none);
		return;
	}
	w->due_us = s->now_us + NEIGH_RETRY_US;
	if (w->unicast && e->state == NPP_NEIGH_STALE) { /* not if it was pushed out meanwhile */
		w->unicast--;
		arp_send(s, w->port, ARP_REQUEST, e->mac, spa, mac_none, &w->addr);
		return;
	}
	w->tries++;
	arp_send(s, w->port, ARP_REQUEST, mac_all, spa, mac_none, &w->addr);
}

static void work_start(struct stack *s, struct npp_neigh *e, const union npp_addr *addr, uint8_t port,
		       uint32_t askers)
{
	struct neigh_work *w = NULL;

	for (unsigned i = 0; i < NEIGH_WORKS && !w; i++)
		if (!s->ip->work[i].used)
			w = &s->ip->work[i];
	if (!w)
		return;	/* who waits asks again */
	*w = (struct neigh_work){ .addr = *addr, .port = port, .askers = askers };
	if (e->state == NPP_NEIGH_REACHABLE || e->state == NPP_NEIGH_STALE) {
		w->unicast = 2;
		neigh_set(s, e, NPP_NEIGH_STALE, NULL, askers != 0);
	} else {
		neigh_set(s, e, NPP_NEIGH_INCOMPLETE, NULL, true);
	}
	w->used = 1;
	work_step(s, w);
	if (!s->ip->timer[IPT_NEIGH].due_us)
		ip_timer_arm(s, IPT_NEIGH, s->now_us + NEIGH_TICK_US);
}

void arp_resolve(struct stack *s, const union npp_addr *addr, uint8_t port, unsigned asker)
{
	struct neigh_work *w = work_find(s->ip, addr, port);
	struct npp_neigh *e;
	uint64_t age;

	if (!npp_addr_is_v4(addr))
		return;
	if (w) {
		w->askers |= 1u << asker;
		return;
	}
	e = neigh_entry(s, addr, port, true);
	age = s->now_us - e->updated_us;
	if ((e->state == NPP_NEIGH_REACHABLE && age < NEIGH_FRESH_US) ||
	    (e->state == NPP_NEIGH_FAILED && age < NEIGH_HOLD_US)) { /* he has not looked since */
		struct neigh_work known = { .addr = *addr, .port = port, .askers = 1u << asker };

		work_tell(s, &known, e->mac);
		return;
	}
	work_start(s, e, addr, port, 1u << asker);
}

void arp_work_run(struct stack *s)
{
	for (unsigned i = 0; i < NEIGH_WORKS; i++)
		if (s->ip->work[i].used && s->ip->work[i].due_us <= s->now_us)
			work_step(s, &s->ip->work[i]);
}

void arp_drop_works(struct stack *s)
{
	for (unsigned i = 0; i < NEIGH_WORKS; i++)
		s->ip->work[i].used = 0;
}

/* Announces our addresses (RFC 5227, 2.3). */
void arp_announce(struct stack *s)
{
	const struct ip_net *n = &s->ip->net;

	for (uint32_t i = 0; i < n->n_addrs; i++) {
		const struct npp_if_addr *a = &n->addr[i];

		if (!npp_addr_is_v4(&a->addr))
			continue;
		for (uint8_t port = 0; port < n->n_ports; port++)
			if (a->port == 0xff || a->port == port)
				arp_send(s, port, ARP_REQUEST, mac_all, &a->addr, mac_none, &a->addr);
	}
}

/* ---- hearing ------------------------------------------------------------------------- */

/* Somebody else says ADDR is his. */
static void arp_conflict(struct stack *s, const union npp_addr *addr, uint8_t port)
{
	STAT_INC(s, IS_ARP_CONFLICTS);
	if (s->ip->conflict_us && s->now_us - s->ip->conflict_us < CONFLICT_US)
		return;
	s->ip->conflict_us = s->now_us;
	arp_send(s, port, ARP_REQUEST, mac_all, addr, mac_none, addr);
}

/* SPA says it is at MAC. ANSWER: to us, and to a question; ASKS: it asked for an address of ours. */
static void arp_learn(struct stack *s, const union npp_addr *spa, const uint8_t *mac, uint8_t port,
		      bool answer, bool asks)
{
	struct neigh_work *w = work_find(s->ip, spa, port);
	struct npp_neigh *e = neigh_entry(s, spa, port, false);
	bool live = e && (e->state == NPP_NEIGH_REACHABLE || e->state == NPP_NEIGH_STALE);

	if (live && memcmp(e->mac, mac, 6) != 0 && !(w && answer && w->tries > 0)) {
		STAT_INC(s, IS_ARP_CONFLICTS);
		if (!w)
			work_start(s, e, spa, port, 0);
		return;
	}
	if (!(w && answer) && !asks)
		return;
	if (!e)
		e = neigh_entry(s, spa, port, true);
	neigh_set(s, e, NPP_NEIGH_REACHABLE, mac, w != NULL);
	if (w)
		work_end(s, w, mac);
}

static bool arp_sane(const struct ip_in *in, const struct arp_hdr *a)
{
	return in->len >= ETH_HDR_LEN + sizeof *a && a->hrd == htons(1) && a->pro == htons(ETH_P_IPV4) &&
	       a->hln == 6 && a->pln == 4 && (a->op == htons(ARP_REQUEST) || a->op == htons(ARP_REPLY)) &&
	       !(a->sha[0] & 1) && memcmp(a->sha, mac_none, 6) != 0;
}

static union npp_addr addr_of(const uint8_t *four)
{
	uint32_t be;

	memcpy(&be, four, 4);
	return npp_addr_v4(be);
}

void arp_input(struct stack *s, const struct ip_in *in)
{
	const struct arp_hdr *a = (const struct arp_hdr *)(in->frame + ETH_HDR_LEN);
	const uint8_t *mac = s->env->global->port[in->port].mac;
	union npp_addr spa, tpa;
	bool for_us, answer;

	STAT_INC(s, IS_ARP_IN);
	if (!arp_sane(in, a)) {
		STAT_INC(s, IS_DROP_ARP);
		return;
	}
	if (!s->env->neigh_rw || memcmp(a->sha, mac, 6) == 0)
		return;	/* not our business; or our own, sent back */
	route_sync(s);
	spa = addr_of(a->spa);
	tpa = addr_of(a->tpa);
	if (ip_is_local(s, &spa)) {
		arp_conflict(s, &spa, in->port);
		return;
	}
	for_us = a->op == htons(ARP_REQUEST) && ip_is_local(s, &tpa);
	answer = a->op == htons(ARP_REPLY) && memcmp(in->frame, mac, 6) == 0;
	if (!npp_addr_is_any(&spa)) {
		if (!route_on_link(s, &spa, in->port) || route_dst_kind(s, &spa) != IP_DST_OTHER) {
			STAT_INC(s, IS_DROP_ARP);
			return;
		}
		arp_learn(s, &spa, a->sha, in->port, answer, for_us);
	}
	if (for_us)
		arp_send(s, in->port, ARP_REPLY, a->sha, &tpa, a->sha, &spa);
}
