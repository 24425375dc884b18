/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_seg.c - a segment, taken apart once and put together once
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "npp-ism/stack/tcp.h"

bool tcp_seg_parse(struct stack *s, const struct pkt *pkt, struct tcp_seg *seg)
{
	const struct tcp_hdr *h = (const struct tcp_hdr *)pkt->l4;
	uint32_t hlen;

	if (pkt->l4_len < TCP_HDR_MIN) {
		STAT_INC(s, IS_DROP_TCP_HEADER);
		return false;
	}
	hlen = (h->off >> 4) * 4u;
	seg->sport = ntohs(h->sport);
	seg->dport = ntohs(h->dport);
	if (hlen < TCP_HDR_MIN || hlen > pkt->l4_len || seg->sport == 0 || seg->dport == 0) {
		STAT_INC(s, IS_DROP_TCP_HEADER);
		return false;
	}
	if (!pkt->csum_ok && !ip_l4_csum_ok(pkt)) {
		STAT_INC(s, IS_DROP_CSUM);
		return false;
	}
	seg->seq = ntohl(h->seq);
	seg->ack = ntohl(h->ack);
	seg->wnd = ntohs(h->wnd);
	seg->flags = h->flags;
	seg->urp = ntohs(h->urp);
	seg->data = pkt->l4 + hlen;
	seg->len = pkt->l4_len - hlen;
	seg->pkt = pkt;
	seg->opt = 0;
	seg->n_sack = 0;
	seg->mss = 0;
	seg->wscale = 0;
	seg->tfo_len = 0;
	seg->tfo = NULL;
	seg->tsval = seg->tsecr = 0;
	seg->unit = (uint16_t)u32_min(seg->len, 65535);
	if (pkt->gso_size && pkt->gso_size < seg->len)
		seg->unit = pkt->gso_size;
	if (hlen > TCP_HDR_MIN && !tcp_options_parse(pkt->l4 + TCP_HDR_MIN, hlen - TCP_HDR_MIN, seg)) {
		STAT_INC(s, IS_DROP_TCP_HEADER);
		return false;
	}
	return true;
}

void tcp_out_begin(struct tcp_out *o, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags,
		   uint16_t wnd)
{
	struct tcp_hdr *h = (struct tcp_hdr *)(o->tx.head + STACK_L4_OFF);

	h->sport = htons(sport);
	h->dport = htons(dport);
	h->seq = htonl(seq);
	h->ack = htonl(ack);
	h->flags = flags;
	h->wnd = htons(wnd);
	h->csum = 0;
	h->urp = 0;
	o->hdr = h;
	o->opt = o->tx.head + STACK_L4_OFF + TCP_HDR_MIN;
	o->tx.gso_size = 0;
	o->tx.payload_len = 0;
	o->tx.n_slices = 0;
	o->tx.csum_off = offsetof(struct tcp_hdr, csum);
}

int tcp_out_send(struct stack *s, struct ip_path *path, uint8_t tos, uint8_t ttl, struct tcp_out *o)
{
	uint32_t hlen = (uint32_t)(o->opt - (o->tx.head + STACK_L4_OFF));

	o->hdr->off = (uint8_t)(hlen / 4 << 4);
	o->tx.l4_len = (uint16_t)hlen;
	STAT_ADD(s, IS_TCP_SEGS_OUT,
		 o->tx.gso_size ? (o->tx.payload_len + o->tx.gso_size - 1) / o->tx.gso_size : 1);
	return ip_output(s, path, IPPROTO_TCP, tos, ttl ? ttl : 64, !tcp_may_fragment(path), &o->tx);
}

static uint16_t mss_of(const struct ip_path *p, uint32_t mtu)
{
	uint32_t hdr = npp_addr_is_v4(&p->dst) ? 40 : 60;

	return (uint16_t)(mtu > hdr + TCP_MSS_MIN ? mtu - hdr : TCP_MSS_MIN);
}

uint16_t tcp_path_mss(const struct ip_path *p)
{
	return mss_of(p, p->mtu);
}

uint16_t tcp_adv_mss(struct stack *s, const struct ip_path *p)
{
	return mss_of(p, ip_link_mtu(s, p));
}

void tcp_send_rst(struct stack *s, const struct tcp_seg *seg)
{
	struct tcp_out o;
	struct ip_path path = { 0 };

	if (seg->flags & TCPF_RST || seg->pkt->l2_bcast || !ip_rst_allowed(s) ||
	    ip_path_answer(s, &path, &seg->pkt->dst, &seg->pkt->src, seg->pkt->port) != 0)
		return;
	if (seg->flags & TCPF_ACK)
		tcp_out_begin(&o, seg->dport, seg->sport, seg->ack, 0, TCPF_RST, 0);
	else
		tcp_out_begin(&o, seg->dport, seg->sport, 0, seg->seq + seg_space(seg), TCPF_RST | TCPF_ACK, 0);
	STAT_INC(s, IS_TCP_RST_OUT);
	tcp_out_send(s, &path, 0, 0, &o);
}
