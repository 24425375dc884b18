/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip4_in.c - IPv4 input (RFC 791, RFC 1122 3.2.1)
 *
 * The header is checked and parsed once into a struct pkt. Fragments go to reass.c, what is
 * whole to deliver.c.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

struct ip4_meta {
	uint32_t hlen, total, off, id;
	bool more;
	enum ip_dst_kind to;
};

/* Options are not used, but must make sense; source routes are refused (RFC 7126, 4.3). */
static bool options_ok(const uint8_t *o, uint32_t len)
{
	while (len > 0 && o[0] != 0) {
		uint32_t n = 1;

		if (o[0] != 1) {
			if (len < 2 || o[1] < 2 || o[1] > len)
				return false;
			if (o[0] == 131 || o[0] == 137)
				return false;
			n = o[1];
		}
		o += n;
		len -= n;
	}
	return true;
}

/* Can A be the sender of a packet from the network? */
static bool source_ok(struct stack *s, const union npp_addr *a, uint8_t proto, bool local)
{
	if (proto == IP_PROTO_IGMP && npp_addr_is_any(a))
		return true; /* a switch that asks and has no address (RFC 4541, 2.1.1) */
	if (a->b[12] == 0 || a->b[12] == 127 || a->b[12] >= 224)
		return false;
	if (local)
		return true;
	return route_dst_kind(s, a) == IP_DST_OTHER;
}

/* Header checks that need nothing but the frame. Returns the counter of the drop, or -1. */
static int ip4_check(const struct ip_in *in, struct ip4_meta *m)
{
	const struct ip4_hdr *h = (const struct ip4_hdr *)(in->frame + ETH_HDR_LEN);
	uint32_t room = in->len - ETH_HDR_LEN;
	uint16_t frag;

	if (room < IP4_HDR_MIN || h->vhl >> 4 != 4)
		return NPP_IS_DROP_FRAME;
	m->hlen = (h->vhl & 15u) * 4;
	m->total = ntohs(h->len);
	if (m->hlen < IP4_HDR_MIN || m->total < m->hlen || m->total > room)
		return NPP_IS_DROP_FRAME;
	if (npp_csum_finish(npp_csum_ip4(h, m->hlen)) != 0)
		return NPP_IS_DROP_IP_CSUM;
	if (m->hlen > IP4_HDR_MIN &&
	    !options_ok((const uint8_t *)(h + 1), m->hlen - IP4_HDR_MIN))
		return NPP_IS_DROP_IP_OPTIONS;
	frag = ntohs(h->frag);
	m->off = (frag & IP4_OFFMASK) * 8u;
	m->more = frag & IP4_MF;
	m->id = ntohs(h->id);
	return -1;
}

static int ip4_parse(struct stack *s, const struct ip_in *in, struct ip4_meta *m, struct pkt *pkt)
{
	const struct eth_hdr *eth = (const struct eth_hdr *)in->frame;
	const struct ip4_hdr *h = (const struct ip4_hdr *)(in->frame + ETH_HDR_LEN);
	int drop = ip4_check(in, m);

	if (drop >= 0)
		return drop;
	*pkt = (struct pkt){
		.ip = in->frame + ETH_HDR_LEN, .l4 = in->frame + ETH_HDR_LEN + m->hlen,
		.l4_len = m->total - m->hlen,
		.proto = h->proto, .ttl = h->ttl, .tos = h->tos, .port = in->port, .csum_ok = in->csum_ok,
		.l2_bcast = !in->local && (eth->dst[0] & 1), .gso_size = in->gso_size, .rx_us = in->rx_us,
		.eth_src = in->local ? NULL : eth->src,
	};
	npp_addr_set_v4(&pkt->src, h->src);
	npp_addr_set_v4(&pkt->dst, h->dst);
	pkt->gso = in->gso_size && pkt->l4_len > in->gso_size + 60u;
	if (!in->local && !(eth->dst[0] & 1) && memcmp(eth->dst, s->env->global->port[in->port].mac, 6) != 0)
		return NPP_IS_DROP_FRAME;
	m->to = route_dst_kind(s, &pkt->dst);
	/* RFC 1122, 3.3.6: a link broadcast must be an IP broadcast or multicast. */
	if (m->to == IP_DST_OTHER || (pkt->l2_bcast && m->to == IP_DST_LOCAL))
		return NPP_IS_DROP_IP_DST;
	if (m->to != IP_DST_LOCAL)
		pkt->l2_bcast = true;
	return source_ok(s, &pkt->src, pkt->proto, in->local) ? -1 : NPP_IS_DROP_IP_SRC;
}

static void ip4_fragment_in(struct stack *s, const struct ip_in *in, const struct ip4_meta *m,
			    const struct pkt *pkt)
{
	struct reass_frag f = {
		.src = pkt->src, .dst = pkt->dst, .data = pkt->l4, .id = m->id, .off = m->off,
		.len = pkt->l4_len, .rx_us = in->rx_us, .proto = pkt->proto, .next = pkt->proto, .tos = pkt->tos,
		.ttl = pkt->ttl, .port = in->port, .more = m->more, .l2_bcast = pkt->l2_bcast,
		.eth_src = in->frame + 6,
	};
	struct reass_ent *e;

	STAT_INC(s, IS_FRAGS_IN);
	e = reass_add(s, &f);
	if (e)
		ip4_reassembled(s, e);
}

void ip4_input(struct stack *s, const struct ip_in *in)
{
	struct ip4_meta m;
	struct pkt pkt;
	int drop = ip4_parse(s, in, &m, &pkt);

	if (drop >= 0) {
		npp_stat_inc(s->env->stats, (unsigned)drop);
		return;
	}
	if (m.more || m.off)
		ip4_fragment_in(s, in, &m, &pkt);
	else
		ip_deliver(s, in, &pkt, ETH_HDR_LEN + m.total);
}

/* ---- after reassembly -------------------------------------------------------------------- */

void ip4_reassembled(struct stack *s, struct reass_ent *e)
{
	uint8_t *buf = s->ip->reass_buf;
	struct eth_hdr *eth = (struct eth_hdr *)buf;
	struct ip4_hdr *h = (struct ip4_hdr *)(buf + ETH_HDR_LEN);
	uint32_t total = IP4_HDR_MIN + e->total;
	struct ip_in in = { .frame = buf, .len = ETH_HDR_LEN + total, .rx_us = e->rx_us, .port = e->port };
	struct pkt pkt = {
		.ip = (const uint8_t *)h, .l4 = (const uint8_t *)(h + 1), .l4_len = e->total, .src = e->src,
		.dst = e->dst, .proto = e->proto, .ttl = e->ttl, .port = e->port, .rx_us = e->rx_us,
		.l2_bcast = e->l2_bcast,
	};
	int tos = ip_reass_tos(e);

	if (tos < 0) {
		STAT_INC(s, IS_DROP_REASS_BAD);
		reass_free(s, e);
		return;
	}
	pkt.tos = (uint8_t)tos;
	memcpy(eth->dst, s->env->global->port[e->port].mac, 6);
	memcpy(eth->src, e->eth_src, 6);
	eth->type = htons(ETH_P_IPV4);
	ip4_put_header(h, total, (uint16_t)e->id, 0, pkt.tos, e->ttl, e->proto, &e->src, &e->dst);
	reass_copy(s, e, (uint8_t *)(h + 1), e->total);
	reass_free(s, e);
	STAT_INC(s, IS_REASS_OK);
	ip_deliver(s, &in, &pkt, in.len);
}
