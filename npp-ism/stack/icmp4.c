/* SPDX-License-Identifier: GPL-2.0-or-later
 * icmp4.c - ICMP (RFC 792, RFC 1122 3.2.2): echo, errors in, errors out
 *
 * An error counts only if it quotes a packet that we could have sent; the transport then
 * checks the rest (ports, sequence number). Errors out are limited by a token bucket and
 * never answer an error, a broadcast or a fragment (RFC 1122, 3.2.2).
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define ICMP_ECHO_REPLY 0
#define ICMP_UNREACH 3
#define ICMP_REDIRECT 5
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAM 12
#define ICMP_QUOTE_MAX 548	/* RFC 1812, 4.3.2.3: the error stays within 576 bytes */

/* ---- out ------------------------------------------------------------------------------ */

static uint16_t icmp_csum(const struct icmp4_hdr *h, const void *data, uint32_t len)
{
	return npp_csum_finish(npp_csum_add(data, len, npp_csum_add(h, sizeof *h, 0)));
}

/* To who has sent PKT. */
static void icmp_send(struct stack *s, const struct pkt *pkt, uint8_t tos, const struct icmp4_hdr *h, const void *data,
		      uint32_t len)
{
	struct stack_tx tx;
	struct ip_path p;

	if (ip_path_answer(s, &p, &pkt->dst, &pkt->src, pkt->port) != 0) {
		STAT_INC(s, IS_DROP_NO_ROUTE);
		return;
	}
	memset(&tx, 0, sizeof tx);
	memcpy(tx.head + STACK_L4_OFF, h, sizeof *h);
	tx.l4_len = sizeof *h;
	tx.csum_off = 0xffff;
	tx.payload_len = len;
	tx.n_slices = len ? 1 : 0;
	tx.slice[0] = (struct stack_slice){ data, len };
	STAT_INC(s, IS_ICMP_OUT);
	ip_output(s, &p, IP_PROTO_ICMP, tos, IP_TTL_DEFAULT, false, &tx);
}

void icmp4_error(struct stack *s, const struct pkt *pkt, uint8_t type, uint8_t code, uint32_t rest)
{
	struct icmp4_hdr h = { .type = type, .code = code, .rest = rest };
	uint32_t quote = (uint32_t)(pkt->l4 - pkt->ip) + pkt->l4_len;

	if (pkt->l2_bcast || pkt->proto == IP_PROTO_ICMP || npp_addr_is_any(&pkt->src) ||
	    !ip_is_local(s, &pkt->dst) || !icmp_allowed(s))
		return;
	if (quote > ICMP_QUOTE_MAX)
		quote = ICMP_QUOTE_MAX;
	h.csum = icmp_csum(&h, pkt->ip, quote);
	icmp_send(s, pkt, 0, &h, pkt->ip, quote);
}

void ip_send_unreachable(struct stack *s, const struct pkt *pkt, uint8_t code)
{
	if (npp_addr_is_v4(&pkt->src))
		icmp4_error(s, pkt, ICMP_UNREACH, code, 0);
	else if (code == 3)
		icmp6_error(s, pkt, ICMP6_UNREACH, 4, 0, false);
}

/* ---- echo ------------------------------------------------------------------------------- */

/* The answer differs from the question in its type alone, and so does its checksum (RFC 1624). */
static void echo_reply(struct stack *s, const struct pkt *pkt)
{
	const struct icmp4_hdr *q = (const struct icmp4_hdr *)pkt->l4;
	struct icmp4_hdr h = { .type = ICMP_ECHO_REPLY, .code = 0, .rest = q->rest };
	uint8_t old[2] = { q->type, q->code }, new[2] = { 0, 0 };
	uint16_t o, n;

	if (pkt->l2_bcast) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	if (!icmp_echo_allowed(s))
		return;
	memcpy(&o, old, 2);
	memcpy(&n, new, 2);
	h.csum = npp_csum_finish((uint64_t)(uint16_t)~q->csum + (uint16_t)~o + n);
	STAT_INC(s, IS_ECHO_REPLIES);
	icmp_send(s, pkt, pkt->tos & 0xfc, &h, pkt->l4 + sizeof h, pkt->l4_len - sizeof h);
}

/* ---- errors in ------------------------------------------------------------------------------ */

struct icmp_meaning { uint8_t err; bool hard; };

static struct icmp_meaning unreach_meaning(uint8_t code)
{
	static const struct icmp_meaning table[] = {
		{ ENETUNREACH, false }, { EHOSTUNREACH, false }, { ENOPROTOOPT, true }, { ECONNREFUSED, true },
		{ EMSGSIZE, false }, { EOPNOTSUPP, false }, { ENETUNREACH, true }, { EHOSTDOWN, true },
		{ ENONET, true }, { ENETUNREACH, true }, { EHOSTUNREACH, true }, { ENETUNREACH, false },
		{ EHOSTUNREACH, false }, { EHOSTUNREACH, true }, { EHOSTUNREACH, true }, { EHOSTUNREACH, true },
	};

	return code < sizeof table / sizeof table[0] ? table[code] : (struct icmp_meaning){ EHOSTUNREACH, false };
}

/* Parses the first LEN bytes of a packet of ours; false: it is not, or too little of it. */
static bool quote_parse(struct stack *s, const struct ip4_hdr *h, uint32_t len, struct icmp_quote *q)
{
	union npp_addr us, peer;
	uint32_t hlen;

	if (len < IP4_HDR_MIN || h->vhl >> 4 != 4)
		return false;
	hlen = (h->vhl & 15u) * 4;
	if (hlen < IP4_HDR_MIN || len < hlen + 8 || (ntohs(h->frag) & IP4_OFFMASK) ||
	    (h->proto != IP_PROTO_TCP && h->proto != IP_PROTO_UDP))
		return false;
	us = npp_addr_v4(h->src);
	peer = npp_addr_v4(h->dst);
	if (!ip_is_local(s, &us))
		return false;
	icmp_quote_l4(q, &peer, &us, h->proto, (const uint8_t *)h + hlen);
	q->bytes = ntohs(h->len);
	return true;
}

/* What a router means that names no next-hop MTU (RFC 1191, 5: an old one): the next plateau. */
static uint32_t mtu_guess(const struct pkt *pkt)
{
	static const uint16_t plateau[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1006, IP4_MIN_PMTU };
	const struct ip4_hdr *h = (const struct ip4_hdr *)(pkt->l4 + sizeof(struct icmp4_hdr));
	unsigned i = 0;

	while (i < 7 && plateau[i] >= ntohs(h->len))
		i++;
	return plateau[i];
}

static void error_in(struct stack *s, const struct ip_in *in, const struct pkt *pkt, uint32_t frame_len)
{
	const struct icmp4_hdr *h = (const struct icmp4_hdr *)pkt->l4;
	struct icmp_meaning m = { EHOSTUNREACH, false };
	struct stack_udp_error e;
	struct icmp_quote q;
	uint32_t mtu = 0;

	if (pkt->l2_bcast || !quote_parse(s, (const struct ip4_hdr *)(h + 1), pkt->l4_len - (uint32_t)sizeof *h, &q)) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	if (icmp_hand_on(s, in, &q, frame_len))
		return;
	if (h->type == ICMP_UNREACH)
		m = unreach_meaning(h->code);
	else if (h->type == ICMP_PARAM)
		m = (struct icmp_meaning){ EPROTO, true };
	if (m.err == EMSGSIZE) {
		mtu = ntohl(h->rest) & 0xffff;
		if (!mtu)
			mtu = mtu_guess(pkt);
		if (q.bytes <= mtu) { /* what fits was not too large: a lie (RFC 5927, 7.2) */
			STAT_INC(s, IS_DROP_ICMP);
			return;
		}
	}
	e = (struct stack_udp_error){ .err = m.err, .hard = m.hard, .type = h->type, .code = h->code, .mtu = mtu };
	if (q.key.proto == IP_PROTO_TCP)
		tcp_icmp_error(s, &q.key, q.seq, m.err, mtu);
	else if (mtu)
		icmp_udp_too_big(s, in, &q, &e, frame_len);
	else
		udp_icmp_error(s, &q.key, &e);
}

/* A packet that never left: its neighbour does not answer. Who is connecting hears of it. */
void icmp4_not_sent(struct stack *s, const struct ip4_hdr *h, uint32_t len)
{
	struct icmp_quote q;

	if (quote_parse(s, h, len, &q))
		icmp_quote_not_sent(s, &q);
}

void icmp4_input(struct stack *s, const struct ip_in *in, const struct pkt *pkt, uint32_t frame_len)
{
	const struct icmp4_hdr *h = (const struct icmp4_hdr *)pkt->l4;

	STAT_INC(s, IS_ICMP_IN);
	if (pkt->l4_len < sizeof *h) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	if (!pkt->csum_ok && npp_csum_finish(npp_csum_add(pkt->l4, pkt->l4_len, 0)) != 0) {
		STAT_INC(s, IS_DROP_CSUM);
		return;
	}
	switch (h->type) {
	case ICMP_ECHO:
		echo_reply(s, pkt);
		break;
	case ICMP_UNREACH:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAM:
		error_in(s, in, pkt, frame_len);
		break;
	case ICMP_REDIRECT: /* advice that anybody can forge; routes are configured */
		STAT_INC(s, IS_DROP_REDIRECT);
		break;
	default:
		STAT_INC(s, IS_DROP_ICMP);
	}
}
