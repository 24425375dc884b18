/* SPDX-License-Identifier: GPL-2.0-or-later
 * icmp6.c - ICMPv6 (RFC 4443): echo, errors in, errors out
 *
 * As icmp4.c, whose token bucket limits our errors: an error counts only if it quotes a packet
 * that we could have sent, and the transport checks the rest. Neighbour discovery is in nd.c.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define ICMP6_ECHO_REPLY 129
#define ICMP6_RS 133
#define ICMP6_REDIRECT 137
#define QUOTE_MAX (IP6_MTU_MIN - IP6_HDR_LEN - sizeof(struct icmp4_hdr)) /* RFC 4443, 2.4 (c) */

/* ---- out ------------------------------------------------------------------------------ */

/* To who has sent PKT. */
static void icmp6_send(struct stack *s, const struct pkt *pkt, const union npp_addr *src, uint8_t tos,
		       const struct icmp4_hdr *h, const void *data, uint32_t len)
{
	struct icmp4_hdr *o;
	struct stack_tx tx;
	struct ip_path p;
	uint64_t sum;

	if (ip_path_answer(s, &p, src, &pkt->src, pkt->port) != 0) {
		STAT_INC(s, IS_DROP_NO_ROUTE);
		return;
	}
	if (h->type == ICMP6_ECHO_REPLY)
		echo_mtu(s, &p, h->rest, (uint32_t)sizeof *h + len);
	memset(&tx, 0, sizeof tx);
	o = (struct icmp4_hdr *)(tx.head + STACK_L4_OFF);
	*o = *h;
	o->csum = 0;
	sum = npp_csum_pseudo(&p.src, &p.dst, IP_PROTO_ICMP6, (uint32_t)sizeof *o + len);
	o->csum = npp_csum_finish(npp_csum_add(data, len, npp_csum_add(o, sizeof *o, sum)));
	tx.l4_len = sizeof *o;
	tx.csum_off = 0xffff;
	tx.payload_len = len;
	tx.n_slices = len ? 1 : 0;
	tx.slice[0] = (struct stack_slice){ data, len };
	STAT_INC(s, IS_ICMP_OUT);
	ip_output(s, &p, IP_PROTO_ICMP6, tos, 0, false, &tx);
}

/* Is PKT an ICMPv6 message that no error may answer? What is too short to say so is one. */
static bool is_error(const struct pkt *pkt)
{
	if (pkt->proto != IP_PROTO_ICMP6)
		return false;
	return pkt->l4_len < 1 || pkt->l4[0] < 128 || pkt->l4[0] == ICMP6_REDIRECT;
}

void icmp6_error(struct stack *s, const struct pkt *pkt, uint8_t type, uint8_t code, uint32_t rest, bool group_ok)
{
	static const union npp_addr any;
	struct icmp4_hdr h = { .type = type, .code = code, .rest = rest };
	uint32_t quote = (uint32_t)(pkt->l4 - pkt->ip) + pkt->l4_len;

	if ((pkt->l2_bcast && !group_ok) || is_error(pkt) || npp_addr_is_any(&pkt->src) || pkt->src.b[0] == 0xff ||
	    !icmp_allowed(s))
		return;
	if (quote > QUOTE_MAX)
		quote = QUOTE_MAX;
	icmp6_send(s, pkt, ip_is_local(s, &pkt->dst) ? &pkt->dst : &any, 0, &h, pkt->ip, quote);
}

static void echo_reply(struct stack *s, const struct pkt *pkt)
{
	static const union npp_addr any;
	const struct icmp4_hdr *q = (const struct icmp4_hdr *)pkt->l4;
	struct icmp4_hdr h = { .type = ICMP6_ECHO_REPLY, .rest = q->rest };

	if (npp_addr_is_any(&pkt->src)) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	if (!icmp_echo_allowed(s))
		return;
	STAT_INC(s, IS_ECHO_REPLIES);
	icmp6_send(s, pkt, pkt->dst.b[0] == 0xff ? &any : &pkt->dst, pkt->tos & 0xfc, &h, pkt->l4 + sizeof h,
		   pkt->l4_len - (uint32_t)sizeof h);
}

/* ---- errors in ------------------------------------------------------------------------------ */

struct icmp_meaning { uint8_t err; bool hard; };

static struct icmp_meaning meaning(uint8_t type, uint8_t code)
{
	static const struct icmp_meaning unreach[] = {
		{ ENETUNREACH, false }, { EACCES, true }, { EHOSTUNREACH, false }, { EHOSTUNREACH, false },
		{ ECONNREFUSED, true }, { EACCES, true }, { EACCES, true },
	};

	switch (type) {
	case ICMP6_UNREACH:
		return code < sizeof unreach / sizeof unreach[0] ? unreach[code] : unreach[2];
	case ICMP6_TOO_BIG:
		return (struct icmp_meaning){ EMSGSIZE, false };
	case ICMP6_PARAM:
		return (struct icmp_meaning){ EPROTO, true };
	default:
		return (struct icmp_meaning){ EHOSTUNREACH, false };
	}
}

/* Parses the first LEN bytes of a packet of ours; false: it is not, or too little of it. Of ICMP only an echo reply
 * is: identifier and sequence number stand in q->seq. */
static bool quote_parse(struct stack *s, const struct ip6_hdr_w *h, uint32_t len, struct icmp_quote *q)
{
	static const uint8_t no_ports[4];
	union npp_addr us, peer;
	const uint8_t *l4;
	struct ip6_walk w;

	if (len < IP6_HDR_LEN || ntohl(h->vtf) >> 28 != 6 ||
	    !ip6_walk((const uint8_t *)h, IP6_HDR_LEN, len, h->next, offsetof(struct ip6_hdr_w, next), &w) ||
	    w.frag_off || len - w.off < 8)
		return false;
	l4 = (const uint8_t *)h + w.off;
	if (w.proto != IP_PROTO_TCP && w.proto != IP_PROTO_UDP && (w.proto != IP_PROTO_ICMP6 || l4[0] != ICMP6_ECHO_REPLY))
		return false;
	memcpy(us.b, h->src, 16);
	memcpy(peer.b, h->dst, 16);
	if (!ip_is_local(s, &us))
		return false;
	icmp_quote_l4(q, &peer, &us, w.proto, l4);
	if (w.proto == IP_PROTO_ICMP6)
		ip_flow_key(&q->key, &peer, &us, w.proto, no_ports);
	q->bytes = IP6_HDR_LEN + ntohs(h->plen);
	return true;
}

/* Of what becomes of echo replies only their size concerns us. */
static void echo_error(struct stack *s, const struct icmp_quote *q, uint32_t mtu)
{
	if (!mtu || !echo_too_big(s, q, mtu))
		STAT_INC(s, IS_DROP_ICMP);
}

static void error_in(struct stack *s, const struct ip_in *in, const struct pkt *pkt, uint32_t frame_len)
{
	const struct icmp4_hdr *h = (const struct icmp4_hdr *)pkt->l4;
	struct icmp_meaning m = meaning(h->type, h->code);
	struct stack_udp_error e = { .err = m.err, .hard = m.hard, .type = h->type, .code = h->code };
	uint32_t mtu = 0;
	struct icmp_quote q;

	if (pkt->l2_bcast || !quote_parse(s, (const struct ip6_hdr_w *)(h + 1), pkt->l4_len - (uint32_t)sizeof *h, &q)) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	if (icmp_hand_on(s, in, &q, frame_len))
		return;
	if (m.err == EMSGSIZE) {
		mtu = ntohl(h->rest);
		/* No link is that small (RFC 8201, 4); what fits was not too large (RFC 5927, 7.2). */
		if (mtu < IP6_MTU_MIN || (q.key.proto == IP_PROTO_TCP && q.bytes <= mtu)) {
			STAT_INC(s, IS_DROP_ICMP);
			return;
		}
		e.mtu = mtu;
	}
	if (q.key.proto == IP_PROTO_TCP)
		tcp_icmp_error(s, &q.key, q.seq, m.err, mtu);
	else if (q.key.proto == IP_PROTO_ICMP6)
		echo_error(s, &q, mtu);
	else if (mtu)
		icmp_udp_too_big(s, in, &q, &e, frame_len);
	else
		udp_icmp_error(s, &q.key, &e);
}

void icmp6_not_sent(struct stack *s, const struct ip6_hdr_w *h, uint32_t len)
{
	struct icmp_quote q;

	if (quote_parse(s, h, len, &q))
		icmp_quote_not_sent(s, &q);
}

void icmp6_input(struct stack *s, const struct ip_in *in, const struct pkt *pkt, uint32_t frame_len)
{
	const struct icmp4_hdr *h = (const struct icmp4_hdr *)pkt->l4;

	STAT_INC(s, IS_ICMP_IN);
	if (pkt->l4_len < sizeof *h) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	if (!ip_l4_csum_ok(pkt)) {
		STAT_INC(s, IS_DROP_CSUM);
		return;
	}
	if (h->type >= ICMP6_RS && h->type <= ICMP6_REDIRECT) {
		nd_input(s, in, pkt);
		return;
	}
	/* Of these only neighbour discovery may come from an address of ours. */
	if (!in->local && ip_is_local(s, &pkt->src)) {
		STAT_INC(s, IS_DROP_IP_SRC);
		return;
	}
	switch (h->type) {
	case 130:	/* multicast listeners: query, report, report of version 2 */
	case 131:
	case 143:
		mld_input(s, pkt);
		break;
	case ICMP6_ECHO:
		echo_reply(s, pkt);
		break;
	case ICMP6_UNREACH:
	case ICMP6_TOO_BIG:
	case ICMP6_TIME_EXCEEDED:
	case ICMP6_PARAM:
		error_in(s, in, pkt, frame_len);
		break;
	default:
		STAT_INC(s, IS_DROP_ICMP);
	}
}
