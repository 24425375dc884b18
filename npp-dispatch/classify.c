/* SPDX-License-Identifier: GPL-2.0-or-later
 * classify.c - what a frame is, whether we take it, and whose it is
 *
 * In this order, first failure wins and is counted: virtio header, Ethernet address,
 * EtherType, IP header, destination, source, transport header and checksum, then the
 * class and with it the owner:
 *
 *   ARP, neighbour discovery,
 *   IGMP, MLD                  the IOP with the link role
 *   fragment                   hash of addresses, protocol, identification (A8)
 *   TCP, UDP                   hash of the flow (A7)
 *   ICMP error                 hash of the flow that it quotes, reversed
 *   other, echo included       hash of the addresses
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "npp-dispatch/priv.h"

int dispatch_ctx_init(struct dispatch_ctx *c, const struct npp_global *g, uint32_t port)
{
	memset(c, 0, sizeof *c);
	c->g = g;
	c->port = port;
	c->n_iops = *(const volatile uint32_t *)&g->n_iops;
	c->net.seq = c->groups.seq = 1;
	if (c->n_iops < 1 || c->n_iops > NPP_MAX_IOPS || port >= NPP_MAX_PORTS)
		return -EINVAL;
	dispatch_ctx_refresh(c);
	return 0;
}

static void net_copy(struct dispatch_net *n, const struct npp_global *g, uint32_t port)
{
	n->n_addrs = g->n_addrs < NPP_MAX_IF_ADDRS ? g->n_addrs : NPP_MAX_IF_ADDRS;
	n->n_bcast = 0;
	n->mtu = g->port[port].mtu;
	memcpy(n->mac, g->port[port].mac, sizeof n->mac);
	for (uint32_t i = 0; i < n->n_addrs; i++) {
		unsigned plen = g->addr[i].prefix_len;

		n->addr[i] = g->addr[i].addr;
		if (npp_addr_is_v4(&n->addr[i]) && plen >= 96 && plen < 96 + 31)
			n->bcast[n->n_bcast++] = n->addr[i].w[3] | htonl(0xffffffffu >> (plen - 96));
	}
}

/* As below, for the groups: into COPY, if they are others than in IF_NOT. */
static bool groups_copy(struct dispatch_groups *copy, const struct npp_global *g, uint32_t if_not)
{
	/* acquire: pairs with nppd's release when it has written them */
	copy->seq = atomic_load_explicit(&g->group_seq, memory_order_acquire);
	if (copy->seq == if_not || (copy->seq & 1))
		return false;
	copy->n = g->groups.n < NPP_MAX_GROUPS ? g->groups.n : NPP_MAX_GROUPS;
	memcpy(copy->addr, g->groups.addr, copy->n * sizeof copy->addr[0]);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&g->group_seq, memory_order_relaxed) == copy->seq;
}

static void groups_refresh(struct dispatch_ctx *c)
{
	struct dispatch_groups copy;

	if (!groups_copy(&copy, c->g, c->groups.seq))
		return;
	c->groups.seq = copy.seq;
	c->groups.n = copy.n;
	memcpy(c->groups.addr, copy.addr, copy.n * sizeof copy.addr[0]);
}

void dispatch_ctx_refresh(struct dispatch_ctx *c)
{
	const struct npp_global *g = c->g;
	/* acquire: pairs with nppd's release when it has written the other buffer */
	uint32_t active = atomic_load_explicit(&g->prog_active, memory_order_acquire);
	uint32_t seq = atomic_load_explicit(&g->net_seq, memory_order_acquire);
	struct dispatch_net copy;

	c->prog = &g->prog[active & 1];
	groups_refresh(c);
	if (seq == c->net.seq || (seq & 1))
		return; /* as before, or nppd is writing: next time */
	net_copy(&copy, g, c->port);
	atomic_thread_fence(memory_order_acquire); /* the copy is complete before the second look */
	if (atomic_load_explicit(&g->net_seq, memory_order_relaxed) != seq)
		return;
	copy.seq = seq;
	c->net = copy;
}

static bool is_ours(const struct dispatch_net *n, const union npp_addr *a)
{
	for (uint32_t i = 0; i < n->n_addrs; i++)
		if (npp_addr_eq(&n->addr[i], a))
			return true;
	return false;
}

static bool is_directed_bcast(const struct dispatch_net *n, uint32_t be)
{
	for (uint32_t i = 0; i < n->n_bcast; i++)
		if (n->bcast[i] == be)
			return true;
	return false;
}

static bool is_among(const struct dispatch_groups *g, const union npp_addr *a)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (npp_addr_eq(&g->addr[i], a))
			return true;
	return false;
}

/* Also since the batch began: the program that has joined counts on what comes from then on. */
static bool is_joined(const struct dispatch_ctx *c, const union npp_addr *a)
{
	struct dispatch_groups now;

	return is_among(&c->groups, a) || (groups_copy(&now, c->g, c->groups.seq) && is_among(&now, a));
}

static bool dst4_ok(const struct dispatch_ctx *c, const union npp_addr *a)
{
	const struct dispatch_net *n = &c->net;
	uint32_t d = ntohl(a->w[3]);

	if (d >> 28 == 14 && is_joined(c, a))
		return true;
	return is_ours(n, a) || d == INADDR_BROADCAST || d == 0xe0000001u /* all hosts */ ||
	       is_directed_bcast(n, a->w[3]);
}

static bool src4_ok(const struct dispatch_net *n, const union npp_addr *a, uint8_t proto)
{
	uint32_t s = ntohl(a->w[3]);

	if (s == 0 && proto == IPPROTO_IGMP) /* a switch that asks (RFC 4541, 2.1.1) */
		return true;
	/* This network, loopback, multicast, reserved and broadcast (RFC 1122, 3.2.1.3). */
	if (s >> 24 == 0 || s >> 24 == 127 || s >> 28 == 14 || s >> 28 == 15)
		return false;
	return !is_directed_bcast(n, a->w[3]) && !is_ours(n, a);
}

static bool dst6_ok(const struct dispatch_ctx *c, const union npp_addr *a)
{
	static const uint8_t solicited[13] = { 0xff, 2, [11] = 1, [12] = 0xff };
	const struct dispatch_net *n = &c->net;

	if (npp_addr_is_v4(a))
		return false; /* mapped addresses are ours to use inside, never on a wire */
	if (a->b[0] != 0xff)
		return is_ours(n, a);
	if (a->b[1] > 0 && a->b[1] <= 2 && a->b[15] == 1 && a->w[1] == 0 && a->w[2] == 0 &&
	    a->w[0] == htonl(0xff000000u | (uint32_t)a->b[1] << 16) && a->w[3] == htonl(1))
		return true; /* all nodes of interface or link */
	if (is_joined(c, a))
		return true;
	if (memcmp(a->b, solicited, sizeof solicited) != 0)
		return false;
	for (uint32_t i = 0; i < n->n_addrs; i++)
		if (!npp_addr_is_v4(&n->addr[i]) && memcmp(&n->addr[i].b[13], &a->b[13], 3) == 0)
			return true;
	return false;
}

/* Neighbour discovery (RFC 4861). */
static bool is_nd(const struct dispatch_packet *p)
{
	return p->proto == IPPROTO_ICMPV6 && !p->fragment && p->end > p->l4_off && p->frame[p->l4_off] >= 133 &&
	       p->frame[p->l4_off] <= 137;
}

/* Multicast listener queries and reports (RFC 2710, 3810). */
static bool is_mld(const struct dispatch_packet *p)
{
	uint8_t type = p->frame[p->l4_off];

	return (type >= 130 && type <= 132) || type == 143;
}

static bool src6_ok(const struct dispatch_net *n, const struct dispatch_packet *p)
{
	static const uint8_t loopback[16] = { [15] = 1 };
	const union npp_addr *a = &p->src;

	if (a->b[0] == 0xff || npp_addr_is_v4(a) || memcmp(a->b, loopback, 16) == 0)
		return false;
	if (a->q[0] == 0 && a->q[1] == 0) /* while a node tests its address (RFC 4862, 5.4.2) */
		return p->proto == IPPROTO_ICMPV6 && !p->fragment;
	return !is_ours(n, a) || is_nd(p); /* of ND it says that somebody has an address of ours */
}

static bool deliver(const struct dispatch_ctx *c, struct dispatch_verdict *v, unsigned iop)
{
	if (iop >= c->n_iops ||
	    !(atomic_load_explicit(&c->g->iop_up, memory_order_relaxed) >> iop & 1)) {
		v->drop = NPP_DS_DROP_IOP_DOWN;
		return false;
	}
	v->iop = (uint8_t)iop;
	return true;
}

static bool drop(struct dispatch_verdict *v, unsigned reason)
{
	v->drop = (uint16_t)reason;
	return false;
}

static bool to_link(const struct dispatch_ctx *c, struct dispatch_verdict *v)
{
	v->cls = NPP_DS_CLASS_ARP;
	return deliver(c, v, atomic_load_explicit(&c->g->link_iop, memory_order_relaxed));
}

static bool to_flow(const struct dispatch_ctx *c, struct dispatch_verdict *v, const struct npp_flow_key *k)
{
	v->hash = npp_hash_flow(c->prog, k);
	return deliver(c, v, npp_hash_select(c->prog, v->hash));
}

/* An ICMP error's own flow is that of the packet it quotes, which we sent: turned round
 * it is the flow as it comes in. False if too little is quoted. */
static bool quoted_flow(const struct dispatch_packet *p, struct npp_flow_key *k)
{
	struct dispatch_packet q = { .frame = p->frame, .ip_off = p->l4_off + (uint32_t)sizeof(struct icmp4_hdr) };
	unsigned bad;

	if (q.ip_off > p->end)
		return false;
	bad = npp_addr_is_v4(&p->src) ? dispatch_parse_ip4(&q, p->end, true)
				      : dispatch_parse_ip6(&q, p->end, true);
	if (bad)
		return false;
	*k = (struct npp_flow_key){ .src = q.dst, .dst = q.src, .proto = q.proto };
	if ((q.proto != IPPROTO_TCP && q.proto != IPPROTO_UDP) || q.fragment)
		return !q.fragment;
	if (q.end - q.l4_off < 4)
		return false;
	memcpy(&k->dport, q.frame + q.l4_off, 2);
	memcpy(&k->sport, q.frame + q.l4_off + 2, 2);
	return true;
}

static bool icmp_is_error(bool v4, uint8_t type)
{
	if (v4) /* unreachable, quench, redirect, time exceeded, parameter problem */
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return type >= 1 && type < 128;
}

static bool classify_transport(const struct dispatch_ctx *c, const struct dispatch_packet *p,
			       struct dispatch_verdict *v)
{
	bool v4 = npp_addr_is_v4(&p->src);
	struct npp_flow_key k = { .src = p->src, .dst = p->dst, .proto = p->proto };
	const uint8_t *h = p->frame + p->l4_off; /* whole: dispatch_check_l4() has seen to it */

	if (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP) {
		v->cls = p->proto == IPPROTO_TCP ? NPP_DS_CLASS_TCP : NPP_DS_CLASS_UDP;
		memcpy(&k.sport, h, 2);
		memcpy(&k.dport, h + 2, 2);
	} else if (p->proto == (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
		struct npp_flow_key quoted;

		v->cls = NPP_DS_CLASS_OTHER;
		if (!v4 && (is_nd(p) || is_mld(p)))
			return to_link(c, v);
		if (icmp_is_error(v4, h[0]) && quoted_flow(p, &quoted)) {
			v->cls = NPP_DS_CLASS_ICMP_ERROR;
			k = quoted;
		}
	} else {
		v->cls = NPP_DS_CLASS_OTHER;
		if (v4 && p->proto == IPPROTO_IGMP)
			return to_link(c, v);
	}
	return to_flow(c, v, &k);
}

static bool classify_ip(const struct dispatch_ctx *c, struct dispatch_packet *p, uint32_t len, bool v4,
			struct dispatch_verdict *v)
{
	unsigned bad = v4 ? dispatch_parse_ip4(p, len, false) : dispatch_parse_ip6(p, len, false);

	if (bad)
		return drop(v, bad);
	if (!(v4 ? dst4_ok(c, &p->dst) : dst6_ok(c, &p->dst)))
		return drop(v, NPP_DS_DROP_IP_DST);
	if (!(v4 ? src4_ok(&c->net, &p->src, p->proto) : src6_ok(&c->net, p)))
		return drop(v, NPP_DS_DROP_IP_SRC);
	if (p->fragment) {
		if (p->vnet->gso_type != VNET_GSO_NONE)
			return drop(v, NPP_DS_DROP_VNET);
		v->cls = NPP_DS_CLASS_FRAGMENT;
		return deliver(c, v, npp_hash_frag_iop(c->prog, &p->src, &p->dst, p->frag_proto, p->frag_id));
	}
	bad = dispatch_check_l4(p, &v->csum);
	if (bad)
		return drop(v, bad);
	v->l4_off = p->l4_off <= UINT8_MAX ? (uint8_t)p->l4_off : 0;
	return classify_transport(c, p, v);
}

bool dispatch_classify(const struct dispatch_ctx *c, const struct vnet_hdr *vnet, const uint8_t *frame,
		       uint32_t len, struct dispatch_verdict *v)
{
	const struct eth_hdr *eth = (const struct eth_hdr *)frame;
	struct dispatch_packet p = { .vnet = vnet, .frame = frame, .ip_off = ETH_HDR_LEN };
	unsigned bad;

	memset(v, 0, sizeof *v);
	if (len < ETH_HDR_LEN)
		return drop(v, NPP_DS_DROP_SHORT);
	bad = dispatch_check_vnet(&p, len);
	if (bad)
		return drop(v, bad);
	/* Ours, or any group address: the IP destination decides about those. */
	if (!(eth->dst[0] & 1) && memcmp(eth->dst, c->net.mac, 6) != 0)
		return drop(v, NPP_DS_DROP_MAC);
	switch (ntohs(eth->type)) {
	case ETH_P_ARP4:
		if (len < ETH_HDR_LEN + sizeof(struct arp_hdr))
			return drop(v, NPP_DS_DROP_SHORT);
		return to_link(c, v);
	case ETH_P_IPV4:
		return classify_ip(c, &p, len, true, v);
	case ETH_P_IP6:
		return classify_ip(c, &p, len, false, v);
	default:
		return drop(v, NPP_DS_DROP_ETHERTYPE);
	}
}
