/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip6_in.c - IPv6 input (RFC 8200)
 *
 * As ip4_in.c: the header is checked and parsed once, fragments go to reass.c, what is whole to
 * deliver.c. What was reassembled has lost the headers in front of its fragment header.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

/* Can A be the sender of a packet? */
static bool source_ok(struct stack *s, const union npp_addr *a, const struct pkt *pkt, bool local)
{
	static const union npp_addr loopback = { .b = { [15] = 1 } };

	if (a->b[0] == 0xff || npp_addr_is_v4(a) || npp_addr_eq(a, &loopback))
		return false;
	if (local || pkt->proto == IP_PROTO_ICMP6)
		return true;	/* none yet, or one that is ours as well: neighbour discovery says what that means */
	return !npp_addr_is_any(a) && !ip_is_local(s, a);
}

/* Everything of the fixed header; W: the headers behind it. Counter of the drop, or -1. */
static int ip6_parse(struct stack *s, const struct ip_in *in, struct ip6_walk *w, struct pkt *pkt)
{
	const struct eth_hdr *eth = (const struct eth_hdr *)in->frame;
	const struct ip6_hdr_w *h = (const struct ip6_hdr_w *)(in->frame + ETH_HDR_LEN);
	uint32_t room = in->len - ETH_HDR_LEN, end;
	enum ip_dst_kind to;

	if (room < IP6_HDR_LEN || ntohl(h->vtf) >> 28 != 6)
		return NPP_IS_DROP_FRAME;
	end = (uint32_t)IP6_HDR_LEN + ntohs(h->plen);
	if (end > room)
		return NPP_IS_DROP_FRAME;
	if (!ip6_walk((const uint8_t *)h, IP6_HDR_LEN, end, h->next, offsetof(struct ip6_hdr_w, next), w))
		return NPP_IS_DROP_IP_OPTIONS;
	*pkt = (struct pkt){
		.ip = (const uint8_t *)h, .l4 = (const uint8_t *)h + w->off, .l4_len = end - w->off,
		.proto = w->proto, .proto_off = (uint16_t)w->proto_off, .ttl = h->hops,
		.tos = (uint8_t)(ntohl(h->vtf) >> 20), .port = in->port, .csum_ok = in->csum_ok,
		.l2_bcast = !in->local && (eth->dst[0] & 1), .gso_size = in->gso_size, .rx_us = in->rx_us,
		.eth_src = in->local ? NULL : eth->src,
	};
	memcpy(pkt->src.b, h->src, 16);
	memcpy(pkt->dst.b, h->dst, 16);
	pkt->gso = in->gso_size && pkt->l4_len > in->gso_size + 60u;
	if (!in->local && !(eth->dst[0] & 1) && memcmp(eth->dst, s->env->global->port[in->port].mac, 6) != 0)
		return NPP_IS_DROP_FRAME;
	to = route_dst_kind(s, &pkt->dst);
	if (to == IP_DST_OTHER || npp_addr_is_v4(&pkt->dst))
		return NPP_IS_DROP_IP_DST;
	pkt->l2_bcast |= to == IP_DST_MULTICAST;
	return source_ok(s, &pkt->src, pkt, in->local) ? -1 : NPP_IS_DROP_IP_SRC;
}

/* Bytes that the first fragment must hold: all headers, the transport's included (RFC 7112). 0:
 * they do not make sense. */
static uint16_t first_fragment_min(const struct pkt *pkt, const struct ip6_walk *w)
{
	uint32_t l4 = (uint32_t)(pkt->l4 - pkt->ip);
	struct ip6_walk inner;

	if (!ip6_walk(pkt->ip, l4, l4 + pkt->l4_len, w->proto, w->proto_off, &inner) || inner.fragment)
		return 0;
	l4 = inner.off - l4;
	l4 += inner.proto == IP_PROTO_TCP ? TCP_HDR_MIN : inner.proto == IP_PROTO_UDP || inner.proto == IP_PROTO_ICMP6 ? 8 : 1;
	return (uint16_t)l4;
}

static void fragment_in(struct stack *s, const struct ip_in *in, const struct ip6_walk *w, const struct pkt *pkt)
{
	struct reass_frag f = {
		.src = pkt->src, .dst = pkt->dst, .data = pkt->l4, .id = w->frag_id, .off = w->frag_off,
		.len = pkt->l4_len, .rx_us = in->rx_us, .proto = IP_PROTO_FRAGMENT, .next = w->proto,
		.tos = pkt->tos, .ttl = pkt->ttl, .port = in->port, .more = w->more, .l2_bcast = pkt->l2_bcast,
		.eth_src = in->frame + 6,
	};
	struct reass_ent *e;

	STAT_INC(s, IS_FRAGS_IN);
	if (f.more && f.len % 8) {
		STAT_INC(s, IS_DROP_REASS_BAD);
		icmp6_error(s, pkt, ICMP6_PARAM, 0, htonl(offsetof(struct ip6_hdr_w, plen)), false);
		return;
	}
	if (f.off + f.len > 65535) {
		STAT_INC(s, IS_DROP_REASS_BAD);
		icmp6_error(s, pkt, ICMP6_PARAM, 0, htonl(w->off - 6), false);
		return;
	}
	if (f.off == 0) {
		f.first_min = first_fragment_min(pkt, w);
		if (f.first_min == 0 || f.len < f.first_min) {
			STAT_INC(s, IS_DROP_REASS_BAD);
			icmp6_error(s, pkt, ICMP6_PARAM, 3, 0, false);
			return;
		}
	}
	e = reass_add(s, &f);
	if (e)
		ip6_reassembled(s, e);
}

void ip6_input(struct stack *s, const struct ip_in *in)
{
	struct ip6_walk w;
	struct pkt pkt;
	int drop = ip6_parse(s, in, &w, &pkt);

	if (drop >= 0) {
		npp_stat_inc(s->env->stats, (unsigned)drop);
		return;
	}
	if (w.n_ext && !ip6_options(s, &pkt, &w))
		return;
	if (w.fragment)
		fragment_in(s, in, &w, &pkt);
	else
		ip_deliver(s, in, &pkt, (uint32_t)(pkt.l4 - in->frame) + pkt.l4_len);
}

void ip6_reassembled(struct stack *s, struct reass_ent *e)
{
	uint8_t *buf = s->ip->reass_buf;
	struct eth_hdr *eth = (struct eth_hdr *)buf;
	struct ip6_hdr_w *h = (struct ip6_hdr_w *)(buf + ETH_HDR_LEN);
	struct ip_in in = { .frame = buf, .len = ETH_HDR_LEN + IP6_HDR_LEN + e->total, .rx_us = e->rx_us,
			    .port = e->port };
	struct pkt pkt = {
		.ip = (const uint8_t *)h, .src = e->src, .dst = e->dst, .ttl = e->ttl, .port = e->port,
		.rx_us = e->rx_us, .l2_bcast = e->l2_bcast,
	};
	int tos = ip_reass_tos(e);
	uint32_t total = e->total;
	struct ip6_walk w;

	if (tos < 0) {
		STAT_INC(s, IS_DROP_REASS_BAD);
		reass_free(s, e);
		return;
	}
	pkt.tos = (uint8_t)tos;
	memcpy(eth->dst, s->env->global->port[e->port].mac, 6);
	memcpy(eth->src, e->eth_src, 6);
	eth->type = htons(ETH_P_IP6);
	ip6_put_header(h, total, pkt.tos, e->ttl, e->next, &e->src, &e->dst);
	reass_copy(s, e, (uint8_t *)(h + 1), total);
	reass_free(s, e);
	STAT_INC(s, IS_REASS_OK);
	if (!ip6_walk((const uint8_t *)h, IP6_HDR_LEN, IP6_HDR_LEN + total, h->next,
		      offsetof(struct ip6_hdr_w, next), &w) || w.fragment) {
		STAT_INC(s, IS_DROP_IP_OPTIONS);
		return;
	}
	pkt.l4 = pkt.ip + w.off;
	pkt.l4_len = IP6_HDR_LEN + total - w.off;
	pkt.proto = w.proto;
	pkt.proto_off = (uint16_t)w.proto_off;
	if (!w.n_ext || ip6_options(s, &pkt, &w))
		ip_deliver(s, &in, &pkt, in.len);
}
