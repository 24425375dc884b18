/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip6_out.c - IPv6 output: the header, segmentation and checksum offload
 *
 * As ip4_out.c, which has what both families share. Only the sender fragments (frag.c), so what
 * must not be fragmented and does not fit is refused.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

void ip6_put_header(struct ip6_hdr_w *h, uint32_t payload, uint8_t tos, uint8_t hops, uint8_t proto,
		    const union npp_addr *src, const union npp_addr *dst)
{
	h->vtf = htonl(6u << 28 | (uint32_t)tos << 20);
	h->plen = htons((uint16_t)payload);
	h->next = proto;
	h->hops = hops;
	memcpy(h->src, src->b, 16);
	memcpy(h->dst, dst->b, 16);
}

int ip6_output(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t hops, bool df,
	       struct stack_tx *tx)
{
	uint32_t payload = tx->l4_len + tx->payload_len;

	if (payload > 65535)
		return -EMSGSIZE;
	if (IP6_HDR_LEN + payload > p->mtu && !tx->gso_size && p->valid != IP_PATH_LOCAL)
		return df ? -EMSGSIZE : ip6_fragment(s, p, proto, tos, hops, tx);
	tx->vnet = (struct vnet_hdr){ .flags = 0 };
	tx->start = STACK_L4_OFF - IP6_HDR_LEN - ETH_HDR_LEN;
	ip_csum_offload(p, proto, tx);
	ip_gso_setup(tx, proto, VNET_GSO_TCPV6);
	ip6_put_header((struct ip6_hdr_w *)(tx->head + STACK_L4_OFF - IP6_HDR_LEN), payload, tos, hops, proto,
		       &p->src, &p->dst);
	if (p->valid == IP_PATH_LOCAL)
		return ip_to_ourselves(s, p, proto, tx, ETH_P_IP6);
	return ip_xmit(s, p, tx, ETH_P_IP6);
}
