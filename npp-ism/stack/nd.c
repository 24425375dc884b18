/* SPDX-License-Identifier: GPL-2.0-or-later
 * nd.c - neighbour discovery (RFC 4861) for the IOP that has the link role: packets
 *
 * Solicitations and advertisements in and out; a message counts only if it cannot have passed a
 * router (hop limit 255) and every option in it has a length. What is believed stands in
 * neigh_work.c, as for ARP. Redirects are not obeyed: on-link neighbours and routers come from
 * configuration and advertisements, and a redirect is only advice (8.3: SHOULD).
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define ND_RS 133
#define ND_RA 134
#define ND_NS 135
#define ND_NA 136
#define ND_REDIRECT 137
#define ND_OPT_SOURCE 1
#define ND_OPT_TARGET 2
#define NA_ROUTER 0x80000000u
#define NA_SOLICITED 0x40000000u
#define NA_OVERRIDE 0x20000000u
#define ND_OPTIONS 16		/* in a message */

struct NPP_PACKED nd_msg {	/* solicitation and advertisement */
	uint8_t type, code;
	uint16_t csum;
	uint32_t flags;
	uint8_t target[16];
};
struct NPP_PACKED nd_lladdr {	/* the option, for Ethernet */
	uint8_t type, len;
	uint8_t mac[6];
};

static const union npp_addr all_nodes = { .b = { 0xff, 2, [15] = 1 } };
static const uint8_t mac_none[6];

/* The group of ADDR that its holder listens on (RFC 4291, 2.7.1). */
static union npp_addr solicited_node(const union npp_addr *addr)
{
	return (union npp_addr){ .b = { 0xff, 2, [11] = 1, [12] = 0xff, addr->b[13], addr->b[14], addr->b[15] } };
}

static void group_mac(uint8_t *mac, const union npp_addr *group)
{
	mac[0] = mac[1] = 0x33;
	memcpy(mac + 2, group->b + 12, 4);
}

/* MAC NULL: that of the group DST. TARGET NULL: the message has none. OPT: the type of the option
 * with our address, 0 none. */
static void nd_send(struct stack *s, uint8_t port, uint8_t type, uint32_t flags, const union npp_addr *target,
		    const union npp_addr *src, const union npp_addr *dst, const uint8_t *mac, uint8_t opt)
{
	const uint8_t *own = s->env->global->port[port].mac;
	struct stack_tx tx;
	struct eth_hdr *eth;
	struct nd_msg *m = (struct nd_msg *)(tx.head + STACK_L4_OFF);
	struct nd_lladdr *o = (struct nd_lladdr *)(target ? (void *)(m + 1) : m->target);

	memset(&tx, 0, sizeof tx);
	tx.start = STACK_L4_OFF - IP6_HDR_LEN - ETH_HDR_LEN;
	tx.l4_len = (uint16_t)(sizeof *m - (target ? 0 : sizeof m->target) + (opt ? sizeof *o : 0));
	tx.csum_off = 0xffff;
	eth = (struct eth_hdr *)(tx.head + tx.start);
	if (mac)
		memcpy(eth->dst, mac, 6);
	else
		group_mac(eth->dst, dst);
	memcpy(eth->src, own, 6);
	eth->type = htons(ETH_P_IP6);
	ip6_put_header((struct ip6_hdr_w *)(eth + 1), tx.l4_len, 0, 255, IP_PROTO_ICMP6, src, dst);
	m->type = type;
	m->flags = htonl(flags);
	if (target)
		memcpy(m->target, target->b, 16);
	if (opt) {
		o->type = opt;
		o->len = 1;
		memcpy(o->mac, own, 6);
	}
	m->csum = npp_csum_finish(npp_csum_add(m, tx.l4_len, npp_csum_pseudo(src, dst, IP_PROTO_ICMP6, tx.l4_len)));
	STAT_INC(s, IS_ND_OUT);
	s->env->ops->tx(s->env->arg, port, &tx);
}

void nd_solicit(struct stack *s, const union npp_addr *addr, uint8_t port, const union npp_addr *src,
		const uint8_t *mac)
{
	union npp_addr group = solicited_node(addr);
	const union npp_addr *own = nd_auto_testing(s, src) ? route_link_local(s, port) : NULL; /* RFC 4429, 3.2 */

	nd_send(s, port, ND_NS, 0, addr, own ? own : src, mac ? addr : &group, mac, ND_OPT_SOURCE);
}

/* Tells all nodes of our address (7.2.6); PROBE: asks whether somebody else has it (RFC 4862, 5.4). */
static void announce(struct stack *s, const union npp_addr *addr, uint8_t port, bool probe)
{
	static const union npp_addr any;
	union npp_addr group = solicited_node(addr);

	if (probe)
		nd_send(s, port, ND_NS, 0, addr, &any, &group, NULL, 0);
	else
		nd_send(s, port, ND_NA, NA_OVERRIDE, addr, addr, &all_nodes, NULL, ND_OPT_TARGET);
}

void nd_probe(struct stack *s, const union npp_addr *addr, uint8_t port)
{
	announce(s, addr, port, true);
}

/* As a solicitation, without a target; 4.1. */
void nd_ask_routers(struct stack *s, uint8_t port)
{
	static const union npp_addr all_routers = { .b = { 0xff, 2, [15] = 2 } };
	const union npp_addr *src = route_source(s, &all_routers, port);

	if (src)
		nd_send(s, port, ND_RS, 0, NULL, src, &all_routers, NULL, ND_OPT_SOURCE);
}

/* Twice after start: first asks, in the manner of duplicate address detection, whether an address
 * of ours is somebody else's, then says that it is ours. It is in use meanwhile (RFC 4429). When a port
 * came or went nothing is asked: the address was ours, and its new place must be known at once. */
void nd_announce(struct stack *s)
{
	const struct ip_net *n = &s->ip->net;

	for (uint32_t i = 0; i < n->n_addrs; i++) {
		const struct npp_if_addr *a = &n->addr[i];

		if (npp_addr_is_v4(&a->addr))
			continue;
		for (uint8_t port = 0; port < n->n_ports; port++)
			if (route_announced(s, a, port))
				announce(s, &a->addr, port, s->ip->announce_test && s->ip->announce_left > 1);
	}
}

/* ---- hearing ------------------------------------------------------------------------- */

/* The options of a message: all have a length, and the one of type WANT is *LL (or NULL). */
static bool options_ok(const uint8_t *o, uint32_t len, uint8_t want, const struct nd_lladdr **ll)
{
	*ll = NULL;
	for (unsigned n = 0; len >= 8 && n < ND_OPTIONS; n++) {
		uint32_t size = o[1] * 8u;

		if (size == 0 || size > len)
			return false;
		if (o[0] == want && size == 8 && !*ll)
			*ll = (const struct nd_lladdr *)o;
		o += size;
		len -= size;
	}
	return true;
}

static bool mac_sane(const uint8_t *mac)
{
	return !(mac[0] & 1) && memcmp(mac, mac_none, 6) != 0;
}

static bool on_link(struct stack *s, const union npp_addr *a, uint8_t port)
{
	return route_on_link(s, a, port) && route_dst_kind(s, a) == IP_DST_OTHER;
}

/* Somebody else says ADDR is his: we say it is ours. */
static void conflict(struct stack *s, const union npp_addr *addr, const struct pkt *pkt)
{
	bool defend = acd_conflict(s, addr, pkt->port, pkt->eth_src);

	if (!nd_auto_conflict(s, addr) && defend)
		announce(s, addr, pkt->port, false);
}

static void solicited(struct stack *s, const struct pkt *pkt, const struct nd_msg *m, const struct nd_lladdr *ll)
{
	bool probe = npp_addr_is_any(&pkt->src);
	const uint8_t *mac = ll ? ll->mac : pkt->eth_src;
	union npp_addr target, group;

	memcpy(target.b, m->target, 16);
	group = solicited_node(&target);
	if ((probe && (ll || !npp_addr_eq(&pkt->dst, &group))) || !mac_sane(mac)) { /* 7.1.1 */
		STAT_INC(s, IS_DROP_ND);
		return;
	}
	if (probe && nd_auto_conflict(s, &target)) /* tested by two at a time */
		return;
	if (!route_answers(s, &target, &pkt->src, pkt->port))
		return;
	if (probe) {
		conflict(s, &target, pkt);
		return;
	}
	if (ip_is_local(s, &pkt->src)) {
		STAT_INC(s, IS_DROP_ND);
		return;
	}
	/* Who asks from what is not on link for us is answered (7.2.4), but we shall not send there directly. */
	if (ll && on_link(s, &pkt->src, pkt->port))
		neigh_learn(s, &pkt->src, mac, pkt->port, false, true);
	nd_send(s, pkt->port, ND_NA, NA_SOLICITED | (nd_auto_testing(s, &target) ? 0 : NA_OVERRIDE), &target, &target,
		&pkt->src, mac, ND_OPT_TARGET);
}

static void advertised(struct stack *s, const struct pkt *pkt, const struct nd_msg *m, const struct nd_lladdr *ll)
{
	uint32_t flags = ntohl(m->flags);
	bool answer = (flags & NA_SOLICITED) && !pkt->l2_bcast;
	union npp_addr target;
	struct npp_neigh *e;

	memcpy(target.b, m->target, 16);
	if (((flags & NA_SOLICITED) && pkt->dst.b[0] == 0xff) || !mac_sane(ll ? ll->mac : pkt->eth_src)) { /* 7.1.2 */
		STAT_INC(s, IS_DROP_ND);
		return;
	}
	if (ip_is_local(s, &target) || nd_auto_conflict(s, &target)) {
		conflict(s, &target, pkt);
		return;
	}
	/* An answer to a unicast question need not say the address; one to the first question must (7.2.5). */
	e = neigh_entry(s, &target, pkt->port, false);
	if (!on_link(s, &target, pkt->port) ||
	    (!ll && !(e && (e->state == NPP_NEIGH_REACHABLE || e->state == NPP_NEIGH_STALE)))) {
		STAT_INC(s, IS_DROP_ND);
		return;
	}
	if (e && !(flags & NA_ROUTER) && (flags & NA_OVERRIDE || !ll || memcmp(e->mac, ll->mac, 6) == 0))
		nd_auto_no_router(s, &target, pkt->port);
	neigh_learn(s, &target, ll ? ll->mac : e->mac, pkt->port, answer, false);
}

void nd_input(struct stack *s, const struct ip_in *in, const struct pkt *pkt)
{
	const struct nd_msg *m = (const struct nd_msg *)pkt->l4;
	const struct nd_lladdr *ll;

	STAT_INC(s, IS_ND_IN);
	if (pkt->ttl != 255 || m->code != 0 || in->local || !pkt->eth_src) {
		STAT_INC(s, IS_DROP_ND);
		return;
	}
	if (!s->env->neigh_rw || ip_own_mac(s, pkt->eth_src))
		return;	/* not our business; or our own, sent back or heard by another port */
	if (m->type == ND_RA) {
		nd_advertised(s, pkt);
		return;
	}
	if (m->type == ND_REDIRECT)
		STAT_INC(s, IS_DROP_REDIRECT);
	if (m->type != ND_NS && m->type != ND_NA)
		return;
	if (pkt->l4_len < sizeof *m || m->target[0] == 0xff ||
	    !options_ok((const uint8_t *)(m + 1), pkt->l4_len - (uint32_t)sizeof *m,
			m->type == ND_NS ? ND_OPT_SOURCE : ND_OPT_TARGET, &ll)) {
		STAT_INC(s, IS_DROP_ND);
		return;
	}
	if (m->type == ND_NS)
		solicited(s, pkt, m, ll);
	else
		advertised(s, pkt, m, ll);
}
