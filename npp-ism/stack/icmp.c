/* SPDX-License-Identifier: GPL-2.0-or-later
 * icmp.c - what ICMP for IPv4 and IPv6 have in common: limits on answers, and packets that are quoted
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

/* Takes one of what R has earned since: RATE a second, BURST at most. */
static bool rate_take(struct stack *s, struct ip_rate *r, uint32_t rate, uint32_t burst, unsigned drop)
{
	uint64_t earned = (s->now_us - r->us) * rate / 1000000;

	if (earned) {
		r->tokens = earned + r->tokens > burst ? burst : r->tokens + (uint32_t)earned;
		r->us = s->now_us;
	}
	if (!r->tokens) {
		npp_stat_inc(s->env->stats, drop);
		return false;
	}
	r->tokens--;
	return true;
}

bool icmp_allowed(struct stack *s)
{
	return rate_take(s, &s->ip->icmp_rate, ICMP_RATE, ICMP_BURST, NPP_IS_DROP_ICMP_RATE);
}

bool icmp_echo_allowed(struct stack *s)
{
	return rate_take(s, &s->ip->echo_rate, ECHO_RATE, ECHO_BURST, NPP_IS_DROP_ECHO_RATE);
}

bool ip_rst_allowed(struct stack *s)
{
	return rate_take(s, &s->ip->rst_rate, RST_RATE, RST_BURST, NPP_IS_DROP_RST_RATE);
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

/* Datagrams are sent by the IOP that is the socket's home, whoever hears the answers: if it was not
 * us, one of the others knows. */
void icmp_udp_too_big(struct stack *s, const struct ip_in *in, const struct icmp_quote *q, struct stack_udp_error *e,
		      uint32_t frame_len)
{
	if (udp_too_big(s, &q->key, q->bytes, e))
		return;
	STAT_INC(s, IS_DROP_ICMP);
	if (ip_owner(s, &q->key) != s->cfg.iop || !icmp_allowed(s)) /* the owner alone asks around, once */
		return;
	for (unsigned i = 0; i < s->cfg.n_iops; i++)
		if (i != s->cfg.iop)
			ip_hand_on(s, i, in, frame_len);
}

void icmp_quote_not_sent(struct stack *s, const struct icmp_quote *q)
{
	if (q->key.proto == IP_PROTO_TCP)
		tcp_icmp_error(s, &q->key, q->seq, EHOSTUNREACH, 0);
}
