/* SPDX-License-Identifier: GPL-2.0-or-later
 * deliver.c - a whole datagram to the IOP that owns its flow (A9), mostly ourselves, and
 *             there to its protocol
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

bool ip_l4_csum_ok(const struct pkt *pkt)
{
	uint64_t sum;

	if (pkt->csum_ok)
		return true;
	sum = npp_csum_pseudo(&pkt->src, &pkt->dst, pkt->proto, pkt->l4_len);
	return npp_csum_finish(npp_csum_add(pkt->l4, pkt->l4_len, sum)) == 0;
}

/* The IOP that owns PKT's flow; ourselves if that does not matter. */
static unsigned pkt_owner(struct stack *s, const struct ip_in *in, const struct pkt *pkt)
{
	static const uint8_t no_ports[4];
	struct npp_flow_key key;

	if (in->final || s->cfg.n_iops < 2 || pkt->l2_bcast || pkt->l4_len < 4)
		return s->cfg.iop;
	if (pkt->proto == IP_PROTO_ICMP6 && pkt->l4[0] == ICMP6_ECHO) {
		if (ip_is_local(s, &pkt->src))
			return s->cfg.iop; /* a lie if it comes from the network, which only we can tell */
		ip_flow_key(&key, &pkt->src, &pkt->dst, pkt->proto, no_ports);
		return ip_owner(s, &key); /* who is told if the answer is too large */
	}
	if (pkt->proto != IP_PROTO_TCP && pkt->proto != IP_PROTO_UDP)
		return s->cfg.iop;
	if (in->hash)	/* the dispatcher has computed it */
		return ip_owner_hash(s, in->hash);
	ip_flow_key(&key, &pkt->src, &pkt->dst, pkt->proto, pkt->l4);
	return ip_owner(s, &key);
}

/* A datagram over IPv4 without a checksum (UDP, RFC 768) has nothing to verify. */
static bool pkt_csum_ok(const struct pkt *pkt)
{
	if (pkt->proto == IP_PROTO_UDP && npp_addr_is_v4(&pkt->src) && pkt->l4_len >= 8 && pkt->l4[6] == 0 &&
	    pkt->l4[7] == 0)
		return true;
	return ip_l4_csum_ok(pkt);
}

static void no_protocol(struct stack *s, const struct pkt *pkt)
{
	if (npp_addr_is_v4(&pkt->src)) {
		STAT_INC(s, IS_DROP_NO_PROTO);
		ip_send_unreachable(s, pkt, 2);
	} else if (pkt->proto != IP_PROTO_NONE) {
		STAT_INC(s, IS_DROP_NO_PROTO);
		icmp6_error(s, pkt, ICMP6_PARAM, 1, htonl(pkt->proto_off), false);
	}
}

void ip_deliver(struct stack *s, const struct ip_in *in, const struct pkt *pkt, uint32_t frame_len)
{
	unsigned owner = pkt_owner(s, in, pkt);

	if (owner != s->cfg.iop) {
		if (pkt_csum_ok(pkt))
			ip_hand_on(s, owner, in, frame_len);
		else
			STAT_INC(s, IS_DROP_CSUM);
		return;
	}
	if (pkt->proto == IP_PROTO_TCP) {
		if (pkt->l2_bcast) /* RFC 9293, 3.9.2.3 */
			STAT_INC(s, IS_DROP_IP_DST);
		else
			tcp_input(s, pkt);
	} else if (pkt->proto == IP_PROTO_UDP) {
		udp_input(s, pkt);
	} else if (pkt->proto == IP_PROTO_ICMP && npp_addr_is_v4(&pkt->src)) {
		icmp4_input(s, in, pkt, frame_len);
	} else if (pkt->proto == IP_PROTO_IGMP && npp_addr_is_v4(&pkt->src)) {
		igmp_input(s, pkt);
	} else if (pkt->proto == IP_PROTO_ICMP6 && !npp_addr_is_v4(&pkt->src)) {
		icmp6_input(s, in, pkt, frame_len);
	} else {
		no_protocol(s, pkt);
	}
}

int ip_reass_tos(const struct reass_ent *e)
{
	if (!(e->ecn & 1 << 3))
		return e->tos;
	return e->ecn & 1 << 0 ? -1 : e->tos | 3;
}
