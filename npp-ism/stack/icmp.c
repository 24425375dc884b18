/* SPDX-License-Identifier: GPL-2.0-or-later
 * icmp.c - what ICMP for IPv4 and IPv6 have in common: the limit, and packets that are quoted
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

bool icmp_allowed(struct stack *s)
{
	struct ip_state *ip = s->ip;
	uint64_t earned = (s->now_us - ip->icmp_us) * ICMP_RATE / 1000000;

	if (earned) {
		ip->icmp_tokens = earned + ip->icmp_tokens > ICMP_BURST ? ICMP_BURST :
				  ip->icmp_tokens + (uint32_t)earned;
		ip->icmp_us = s->now_us;
	}
	if (!ip->icmp_tokens) {
		STAT_INC(s, IS_DROP_ICMP_RATE);
		return false;
	}
	ip->icmp_tokens--;
	return true;
}

void icmp_quote_l4(struct icmp_quote *q, const union npp_addr *peer, const union npp_addr *us, uint8_t proto,
		   const uint8_t *l4)
{
	uint8_t ports[4];

	memcpy(ports, l4 + 2, 2);	/* the answer's source is the quoted destination */
	memcpy(ports + 2, l4, 2);
	ip_flow_key(&q->key, peer, us, proto, ports);
	memcpy(&q->seq, l4 + 4, 4);
	q->seq = ntohl(q->seq);
}

bool icmp_hand_on(struct stack *s, const struct ip_in *in, const struct icmp_quote *q, uint32_t frame_len)
{
	unsigned owner = ip_owner(s, &q->key);

	if (in->final || owner == s->cfg.iop)
		return false;
	ip_hand_on(s, owner, in, frame_len);
	return true;
}

void icmp_quote_not_sent(struct stack *s, const struct icmp_quote *q)
{
	if (q->key.proto == IP_PROTO_TCP)
		tcp_icmp_error(s, &q->key, q->seq, EHOSTUNREACH, 0);
}
