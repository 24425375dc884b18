/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip4_out.c - IPv4 output: header, identification, checksum offload, the way to the neighbour
 *
 * A frame that goes out whole carries a partial transport checksum (the folded sum of the
 * pseudo header) and says in its virtio header where the port completes it; only
 * fragments are summed here (A25).
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

void ip4_put_header(struct ip4_hdr *h, uint32_t total, uint16_t id, uint16_t frag, uint8_t tos,
		    uint8_t ttl, uint8_t proto, const union npp_addr *src, const union npp_addr *dst)
{
	h->vhl = 0x45;
	h->tos = tos;
	h->len = htons((uint16_t)total);
	h->id = htons(id);
	h->frag = htons(frag);
	h->ttl = ttl;
	h->proto = proto;
	h->src = npp_addr_get_v4(src);
	h->dst = npp_addr_get_v4(dst);
	/* Of the values: the header itself could be read only when all these stores have reached the cache. */
	h->csum = npp_csum_finish(0x45u + ((uint32_t)tos << 8) + htons((uint16_t)total) + htons(id) + htons(frag) +
				  ttl + ((uint32_t)proto << 8) + (uint64_t)npp_addr_get_v4(src) + npp_addr_get_v4(dst));
}

/* Identification of a datagram that is never fragmented: any value will do (RFC 6864, 4.1);
 * one per segment, as the port counts when it cuts a large one. */
static uint16_t id_atomic(struct ip_state *ip, uint8_t slot, uint32_t segs)
{
	uint16_t id = ip->id_df[slot];

	ip->id_df[slot] = (uint16_t)(id + segs);
	return id;
}

/* Identification of a datagram that may be fragmented: unique per pair of addresses over all
 * IOPs, each of which has its residue class. */
uint16_t ip4_next_id(struct stack *s, uint8_t slot)
{
	uint32_t n = s->cfg.n_iops ? s->cfg.n_iops : 1;
	uint16_t ctr = s->ip->id_frag[slot]++;

	return (uint16_t)(ctr % (65536 / n) * n + s->cfg.iop % n);
}

/* Partial checksum for the port to complete. */
void ip_csum_offload(const struct ip_path *p, uint8_t proto, struct stack_tx *tx)
{
	uint16_t sum;

	if (tx->csum_off == 0xffff)
		return;
	sum = npp_csum_fold(npp_csum_pseudo(&p->src, &p->dst, proto, tx->l4_len + tx->payload_len));
	memcpy(tx->head + STACK_L4_OFF + tx->csum_off, &sum, 2);
	tx->vnet.flags = VNET_F_NEEDS_CSUM;
	tx->vnet.csum_start = (uint16_t)(STACK_L4_OFF - tx->start);
	tx->vnet.csum_offset = tx->csum_off;
}

uint32_t ip_gso_setup(struct stack_tx *tx, uint8_t proto, uint8_t gso_type)
{
	const struct tcp_hdr *tcp = (const struct tcp_hdr *)(tx->head + STACK_L4_OFF);
	bool cwr = proto == IP_PROTO_TCP && tcp->flags & TCPF_CWR;

	if (!tx->gso_size || tx->payload_len <= tx->gso_size)
		return 1;
	tx->vnet.gso_type = proto == IP_PROTO_UDP ? VNET_GSO_UDP_L4 : cwr ? gso_type | VNET_GSO_ECN : gso_type;
	tx->vnet.gso_size = tx->gso_size;
	tx->vnet.hdr_len = (uint16_t)(STACK_L4_OFF - tx->start + tx->l4_len);
	return (tx->payload_len + tx->gso_size - 1) / tx->gso_size;
}

int ip_xmit(struct stack *s, struct ip_path *p, struct stack_tx *tx, uint16_t ethertype)
{
	struct eth_hdr *eth = (struct eth_hdr *)(tx->head + tx->start);

	memcpy(eth->src, s->env->global->port[p->port].mac, 6);
	eth->type = htons(ethertype);
	if (!p->have_mac)
		return neigh_wait_add(s, p, tx);
	memcpy(eth->dst, p->mac, 6);
	s->env->ops->tx(s->env->arg, p->port, tx);
	return 0;
}

int ip_to_ourselves(struct stack *s, const struct ip_path *p, uint8_t proto, struct stack_tx *tx, uint16_t ethertype)
{
	struct eth_hdr *eth = (struct eth_hdr *)(tx->head + tx->start);

	memcpy(eth->dst, s->env->global->port[p->port].mac, 6);
	memcpy(eth->src, eth->dst, 6);
	eth->type = htons(ethertype);
	return ip_local_out(s, p, proto, tx);
}

int ip_loop_back(struct stack *s, const struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t ttl, struct stack_tx *tx)
{
	struct ip_path here = *p;

	here.valid = IP_PATH_LOCAL;
	here.mtu = 65535;
	return npp_addr_is_v4(&here.dst) ? ip4_output(s, &here, proto, tos, ttl, false, tx)
					 : ip6_output(s, &here, proto, tos, ttl, false, tx);
}

int ip4_output(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t ttl, bool df,
	       struct stack_tx *tx)
{
	uint32_t total = IP4_HDR_MIN + tx->l4_len + tx->payload_len, segs;
	struct ip4_hdr *h;
	uint16_t id;

	if (total > 65535)
		return -EMSGSIZE;
	if (total > p->mtu && !tx->gso_size && p->valid != IP_PATH_LOCAL)
		return df ? -EMSGSIZE : ip4_fragment(s, p, proto, tos, ttl, tx);
	tx->vnet = (struct vnet_hdr){ .flags = 0 };
	tx->start = STACK_L4_OFF - IP4_HDR_MIN - ETH_HDR_LEN;
	ip_csum_offload(p, proto, tx);
	segs = ip_gso_setup(tx, proto, VNET_GSO_TCPV4);
	id = df ? id_atomic(s->ip, p->id_slot, segs) : ip4_next_id(s, p->id_slot);
	h = (struct ip4_hdr *)(tx->head + STACK_L4_OFF - IP4_HDR_MIN);
	ip4_put_header(h, total, id, df ? IP4_DF : 0, tos, ttl, proto, &p->src, &p->dst);
	if (p->valid == IP_PATH_LOCAL)
		return ip_to_ourselves(s, p, proto, tx, ETH_P_IPV4);
	return ip_xmit(s, p, tx, ETH_P_IPV4);
}

int ip_output(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t ttl, bool df,
	      struct stack_tx *tx)
{
	int err;

	if (!ip_path_fresh(s, p)) {
		err = ip_path_refresh(s, p);
		if (err) {
			STAT_INC(s, IS_DROP_NO_ROUTE);
			return err;
		}
	}
	if (!npp_addr_is_v4(&p->dst))
		return ip6_output(s, p, proto, tos, ttl ? ttl : ip_default_hops(s, p), df, tx);
	return ip4_output(s, p, proto, tos, ttl ? ttl : IP_TTL_DEFAULT, df, tx);
}
