/* SPDX-License-Identifier: GPL-2.0-or-later
 * igmp.c - IGMP versions 1 to 3 (RFC 1112, 2236, 3376): messages, for the link role
 *
 * When to speak is decided in group_talk.c.
 */
#include "config.h"

#include "npp-ism/stack/group.h"
#include "npp-ism/stack/ip_priv.h"

#define IGMP_QUERY 0x11
#define IGMP_REPORT_1 0x12
#define IGMP_REPORT_2 0x16
#define IGMP_LEAVE_2 0x17
#define IGMP_REPORT_3 0x22
#define RESP_1_US 10000000u	/* version 1 does not say it (RFC 3376, 8.3) */

struct NPP_PACKED igmp_hdr {
	uint8_t type, code;
	uint16_t csum;
	uint32_t group;
};
struct NPP_PACKED igmp_query3 {
	struct igmp_hdr h;
	uint8_t flags, interval;
	uint16_t n_src;
};
struct NPP_PACKED router_alert { uint8_t type, len; uint16_t value; };

/* ---- out ------------------------------------------------------------------------------------ */

/* HDR, and LEN bytes behind it, to DST with hop limit 1 and router alert (RFC 3376, 4). */
static void igmp_send(struct stack *s, uint8_t port, uint32_t dst, struct igmp_hdr *hdr, const void *data, uint32_t len)
{
	union npp_addr to = npp_addr_v4(htonl(dst));
	const union npp_addr *src = route_source(s, &to, port);
	uint8_t d[4];
	struct stack_tx tx;
	struct eth_hdr *eth;
	struct ip4_hdr *ip;
	struct router_alert *ra;

	if (!src)
		return;
	memset(&tx, 0, sizeof tx);
	tx.start = STACK_L4_OFF - sizeof *ra - IP4_HDR_MIN - ETH_HDR_LEN;
	tx.csum_off = 0xffff;
	tx.l4_len = sizeof *hdr;
	tx.payload_len = len;
	tx.n_slices = len ? 1 : 0;
	tx.slice[0] = (struct stack_slice){ data, len };
	eth = (struct eth_hdr *)(tx.head + tx.start);
	ip = (struct ip4_hdr *)(eth + 1);
	ra = (struct router_alert *)(ip + 1);
	memcpy(d, to.b + 12, 4);
	memcpy(eth->dst, (const uint8_t[6]){ 0x01, 0x00, 0x5e, d[1] & 0x7f, d[2], d[3] }, 6);
	memcpy(eth->src, s->env->global->port[port].mac, 6);
	eth->type = htons(ETH_P_IPV4);
	ip4_put_header(ip, (uint32_t)(IP4_HDR_MIN + sizeof *ra + sizeof *hdr) + len, ip4_next_id(s, 0), 0, 0xc0, 1,
		       IP_PROTO_IGMP, src, &to);
	*ra = (struct router_alert){ .type = 148, .len = 4 };
	ip->vhl = 0x46;
	ip->csum = 0;
	ip->csum = npp_csum_finish(npp_csum_add(ip, IP4_HDR_MIN + sizeof *ra, 0));
	hdr->csum = 0;
	hdr->csum = npp_csum_finish(npp_csum_add(data, len, npp_csum_add(hdr, sizeof *hdr, 0)));
	memcpy(tx.head + STACK_L4_OFF, hdr, sizeof *hdr);
	STAT_INC(s, IS_IGMP_OUT);
	s->env->ops->tx(s->env->arg, port, &tx);
}

void igmp_send_report(struct stack *s, uint8_t port, const void *records, uint32_t len, unsigned n)
{
	struct igmp_hdr h = { .type = IGMP_REPORT_3, .group = htonl(n) }; /* reserved, number of records */

	igmp_send(s, port, 0xe0000016u, &h, records, len);
}

void igmp_send_old(struct stack *s, uint8_t port, const union npp_addr *group, unsigned version, bool leave)
{
	struct igmp_hdr h = { .type = leave ? IGMP_LEAVE_2 : version == 1 ? IGMP_REPORT_1 : IGMP_REPORT_2,
			      .group = npp_addr_get_v4(group) };

	igmp_send(s, port, leave ? 0xe0000002u : ntohl(h.group), &h, NULL, 0);
}

/* ---- in --------------------------------------------------------------------------------------- */

/* Codes from 128 on are a floating-point number (4.1.1). */
static uint32_t code_value(uint8_t code)
{
	return code < 128 ? code : (uint32_t)((code & 15) | 16) << ((code >> 4 & 7) + 3);
}

static bool query_in(struct stack *s, const struct pkt *pkt)
{
	const struct igmp_hdr *h = (const struct igmp_hdr *)pkt->l4;
	const struct igmp_query3 *q3 = (const struct igmp_query3 *)pkt->l4;
	struct mc_query q = { .group = h->group ? npp_addr_v4(h->group) : npp_addr_v4(0), .port = pkt->port, .version = 3 };

	if (h->group ? !npp_addr_is_multicast(&q.group) : npp_addr_get_v4(&pkt->dst) != htonl(0xe0000001u))
		return false; /* a general query goes to all (9.1) */
	/* One for us alone may have been sent by anybody, with as many hops to live as it takes. */
	if (!npp_addr_is_multicast(&pkt->dst) && !route_on_link(s, &pkt->src, pkt->port))
		return false;
	if (pkt->l4_len >= sizeof *q3) {
		q.n_src = ntohs(q3->n_src);
		if (q.n_src > (pkt->l4_len - sizeof *q3) / 4 || (q.n_src && !h->group))
			return false;
		q.src = (const uint8_t *)(q3 + 1);
		q.robust = q3->flags & 7;
		q.resp_us = code_value(h->code) * 100000u;
	} else if (pkt->l4_len == sizeof *h) {
		q.version = h->code ? 2 : 1;
		q.resp_us = h->code ? h->code * 100000u : RESP_1_US;
	} else {
		return false;
	}
	mc_query(s, MC_V4, &q);
	return true;
}

void igmp_input(struct stack *s, const struct pkt *pkt)
{
	const struct igmp_hdr *h = (const struct igmp_hdr *)pkt->l4;
	union npp_addr group;
	bool ok = pkt->l4_len >= sizeof *h && pkt->ttl == 1 && pkt->eth_src &&
		  npp_csum_finish(npp_csum_add(pkt->l4, pkt->l4_len, 0)) == 0;

	STAT_INC(s, IS_IGMP_IN);
	if (ok && !s->env->neigh_rw)
		return; /* not our business */
	if (ok && h->type == IGMP_QUERY) {
		ok = query_in(s, pkt);
	} else if (ok && (h->type == IGMP_REPORT_1 || h->type == IGMP_REPORT_2)) {
		group = npp_addr_v4(h->group);
		ok = npp_addr_eq(&group, &pkt->dst);
		if (ok)
			mc_overheard(s, &group, pkt->port);
	} else if (ok && h->type != IGMP_LEAVE_2 && h->type != IGMP_REPORT_3) {
		ok = false;
	}
	if (!ok)
		STAT_INC(s, IS_DROP_IGMP);
}
