/* SPDX-License-Identifier: GPL-2.0-or-later
 * mld.c - multicast listener discovery versions 1 and 2 (RFC 2710, 3810): messages, for the link role
 *
 * When to speak is decided in group_talk.c. The groups of our own addresses are reported like
 * others: a switch that snoops would not pass neighbour discovery on otherwise.
 */
#include "config.h"

#include "npp-ism/stack/group.h"
#include "npp-ism/stack/ip_priv.h"

#define MLD_QUERY 130
#define MLD_REPORT_1 131
#define MLD_DONE_1 132
#define MLD_REPORT_2 143

struct NPP_PACKED mld_hdr {
	uint8_t type, code;
	uint16_t csum;
	uint16_t resp, zero;	/* milliseconds */
};
struct NPP_PACKED mld_msg1 { struct mld_hdr h; uint8_t group[16]; };
struct NPP_PACKED mld_query2 {
	struct mld_msg1 m;
	uint8_t flags, interval;
	uint16_t n_src;
};
struct NPP_PACKED hop_alert {	/* hop-by-hop header with a router alert (RFC 2711) */
	uint8_t next, len;
	uint8_t type, opt_len;
	uint16_t value;
	uint8_t pad, pad_len;
};

/* ---- out ------------------------------------------------------------------------------------ */

static void mld_send(struct stack *s, uint8_t port, const union npp_addr *dst, struct mld_hdr *hdr, const void *data, uint32_t len)
{
	static const union npp_addr any;
	const union npp_addr *src = route_source(s, dst, port);
	uint32_t l4 = (uint32_t)sizeof *hdr + len;
	struct stack_tx tx;
	struct eth_hdr *eth;
	struct hop_alert *hop;

	if (!src || src->b[0] != 0xfe) /* from the link-local address, or from none (RFC 3810, 5.2.13) */
		src = &any;
	memset(&tx, 0, sizeof tx);
	tx.start = STACK_L4_OFF - sizeof *hop - IP6_HDR_LEN - ETH_HDR_LEN;
	tx.csum_off = 0xffff;
	tx.l4_len = sizeof *hdr;
	tx.payload_len = len;
	tx.n_slices = 1;
	tx.slice[0] = (struct stack_slice){ data, len };
	eth = (struct eth_hdr *)(tx.head + tx.start);
	eth->dst[0] = eth->dst[1] = 0x33;
	memcpy(eth->dst + 2, dst->b + 12, 4);
	memcpy(eth->src, s->env->global->port[port].mac, 6);
	eth->type = htons(ETH_P_IP6);
	ip6_put_header((struct ip6_hdr_w *)(eth + 1), (uint32_t)sizeof *hop + l4, 0, 1, IP_PROTO_HOPOPTS, src, dst);
	hop = (struct hop_alert *)(tx.head + STACK_L4_OFF - sizeof *hop);
	*hop = (struct hop_alert){ .next = IP_PROTO_ICMP6, .type = 5, .opt_len = 2, .pad = 1 };
	hdr->csum = 0;
	hdr->csum = npp_csum_finish(npp_csum_add(data, len, npp_csum_add(hdr, sizeof *hdr,
				    npp_csum_pseudo(src, dst, IP_PROTO_ICMP6, l4))));
	memcpy(tx.head + STACK_L4_OFF, hdr, sizeof *hdr);
	STAT_INC(s, IS_MLD_OUT);
	s->env->ops->tx(s->env->arg, port, &tx);
}

void mld_send_report(struct stack *s, uint8_t port, const void *records, uint32_t len, unsigned n)
{
	static const union npp_addr routers = { .b = { 0xff, 2, [15] = 0x16 } };
	struct mld_hdr h = { .type = MLD_REPORT_2, .zero = htons((uint16_t)n) };

	mld_send(s, port, &routers, &h, records, len);
}

void mld_send_old(struct stack *s, uint8_t port, const union npp_addr *group, bool leave)
{
	static const union npp_addr routers = { .b = { 0xff, 2, [15] = 2 } };
	struct mld_hdr h = { .type = leave ? MLD_DONE_1 : MLD_REPORT_1 };

	mld_send(s, port, leave ? &routers : group, &h, group->b, 16);
}

/* ---- in --------------------------------------------------------------------------------------- */

/* Codes from 32768 on are a floating-point number (5.1.3). */
static uint32_t code_ms(uint16_t code)
{
	return code < 32768 ? code : (uint32_t)((code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3);
}

static bool query_in(struct stack *s, const struct pkt *pkt)
{
	static const union npp_addr all_nodes = { .b = { 0xff, 2, [15] = 1 } };
	const struct mld_query2 *q2 = (const struct mld_query2 *)pkt->l4;
	struct mc_query q = { .port = pkt->port, .version = 3 };
	uint32_t ms = ntohs(q2->m.h.resp);	/* version 1: as it is (RFC 2710, 3.4) */

	memcpy(q.group.b, q2->m.group, 16);
	if (npp_addr_is_any(&q.group) ? !npp_addr_eq(&pkt->dst, &all_nodes) : !npp_addr_is_multicast(&q.group))
		return false;
	if (pkt->l4_len >= sizeof *q2) {
		ms = code_ms((uint16_t)ms);
		q.n_src = ntohs(q2->n_src);
		if (q.n_src > (pkt->l4_len - sizeof *q2) / 16 || (q.n_src && npp_addr_is_any(&q.group)))
			return false;
		q.src = (const uint8_t *)(q2 + 1);
		q.robust = q2->flags & 7;
	} else if (pkt->l4_len == sizeof q2->m) {
		q.version = 2;
	} else {
		return false;
	}
	q.resp_us = ms < 100000 ? ms * 1000 : 100000000;
	mc_query(s, MC_V6, &q);
	return true;
}

/* The checksum was verified. */
void mld_input(struct stack *s, const struct pkt *pkt)
{
	const struct mld_msg1 *m = (const struct mld_msg1 *)pkt->l4;
	bool ok = pkt->l4_len >= sizeof m->h && pkt->ttl == 1 && pkt->eth_src && pkt->src.b[0] == 0xfe &&
		  (pkt->src.b[1] & 0xc0) == 0x80;
	union npp_addr group;

	STAT_INC(s, IS_MLD_IN);
	if (ok && !s->env->neigh_rw)
		return; /* not our business */
	if (ok && m->h.type != MLD_REPORT_2)
		ok = pkt->l4_len >= sizeof *m;
	if (ok && m->h.type == MLD_QUERY) {
		ok = query_in(s, pkt);
	} else if (ok && m->h.type == MLD_REPORT_1) {
		memcpy(group.b, m->group, 16);
		ok = npp_addr_eq(&group, &pkt->dst);
		if (ok)
			mc_overheard(s, &group, pkt->port);
	}
	if (!ok)
		STAT_INC(s, IS_DROP_MLD);
}
