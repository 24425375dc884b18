/* SPDX-License-Identifier: GPL-2.0-or-later
 * arp.c - ARP (RFC 826, RFC 5227) for the IOP that has the link role: packets
 *
 * What is believed stands in neigh_work.c, as for neighbour discovery.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define ARP_REQUEST 1
#define ARP_REPLY 2

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

void arp_solicit(struct stack *s, const union npp_addr *addr, uint8_t port, const union npp_addr *src,
		 const uint8_t *mac)
{
	arp_send(s, port, ARP_REQUEST, mac ? mac : mac_all, src, mac_none, addr);
}

/* Announces our addresses (RFC 5227, 2.3), each where it is to be had now. */
void arp_announce(struct stack *s)
{
	const struct ip_net *n = &s->ip->net;

	for (uint32_t i = 0; i < n->n_addrs; i++) {
		const struct npp_if_addr *a = &n->addr[i];

		if (!npp_addr_is_v4(&a->addr))
			continue;
		for (uint8_t port = 0; port < n->n_ports; port++)
			if (route_announced(s, a, port))
				arp_send(s, port, ARP_REQUEST, mac_all, &a->addr, mac_none, &a->addr);
	}
}

/* ---- hearing ------------------------------------------------------------------------- */

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
	if (!s->env->neigh_rw || ip_own_mac(s, a->sha))
		return;	/* not our business; or our own, sent back or heard by another port */
	route_sync(s);
	spa = addr_of(a->spa);
	tpa = addr_of(a->tpa);
	if (ip_is_local(s, &spa)) {
		if (acd_conflict(s, &spa, in->port, a->sha))
			arp_send(s, in->port, ARP_REQUEST, mac_all, &spa, mac_none, &spa);
		return;
	}
	for_us = a->op == htons(ARP_REQUEST) && route_answers(s, &tpa, &spa, in->port);
	answer = a->op == htons(ARP_REPLY) && memcmp(in->frame, mac, 6) == 0;
	if (!npp_addr_is_any(&spa)) {
		if (!route_on_link(s, &spa, in->port) || route_dst_kind(s, &spa) != IP_DST_OTHER) {
			STAT_INC(s, IS_DROP_ARP);
			return;
		}
		neigh_learn(s, &spa, a->sha, in->port, answer, for_us);
	}
	if (for_us)
		arp_send(s, in->port, ARP_REPLY, a->sha, &tpa, a->sha, &spa);
}
