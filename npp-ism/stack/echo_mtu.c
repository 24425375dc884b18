/* SPDX-License-Identifier: GPL-2.0-or-later
 * echo_mtu.c - how large echo replies over IPv6 may be that nobody but their sender can put into fragments
 *
 * An echo reply belongs to no socket, so there is little by which a Packet Too Big about one could
 * be told from a lie (RFC 5927, 4; RFC 8201, 4). It is believed if it quotes one of the last replies that we sent
 * to that peer: its identifier, a sequence number near the last one, and not more bytes than it had.
 * Who knows these may as well have asked us in the peer's name. So what is learned counts for echo
 * replies to that peer only, for ten minutes, and the worst that a lie does is that they come in fragments of
 * 1280 bytes. Over IPv4 routers cut them (they have no DF bit), and nothing is to be learned.
 *
 * The table is small: in sets by a secret hash of the peer, of which the one that was not heard of for
 * longest goes first.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define LEARNED_S 572u		/* ten minutes, in units of ip_now_s() */
#define SEQ_NEAR 256u		/* replies that may be on the way to the router and its answer back */

static struct echo_peer *find(struct stack *s, const union npp_addr *peer, bool make)
{
	uint32_t at = (uint32_t)(npp_siphash(s->cfg.hash_key, peer, sizeof *peer) % (ECHO_PEERS / ECHO_WAYS)) * ECHO_WAYS;
	struct echo_peer *set = &s->ip->echo[at], *old = set;

	for (unsigned i = 0; i < ECHO_WAYS; i++) {
		if (npp_addr_eq(&set[i].addr, peer))
			return &set[i];
		if ((int32_t)(set[i].at_s - old->at_s) < 0)
			old = &set[i];
	}
	if (!make)
		return NULL;
	*old = (struct echo_peer){ .addr = *peer };
	return old;
}

void echo_mtu(struct stack *s, struct ip_path *p, uint32_t rest, uint32_t len)
{
	struct echo_peer *e;

	if (IP6_HDR_LEN + len <= IP6_MTU_MIN || p->valid != IP_PATH_UNICAST)
		return;
	e = find(s, &p->dst, true);
	e->at_s = ip_now_s(s);
	e->rest = ntohl(rest);
	e->len = (uint16_t)len;
	if (e->mtu && e->at_s - e->mtu_s > LEARNED_S)
		e->mtu = 0;
	if (e->mtu >= IP6_MTU_MIN && e->mtu < p->mtu)
		p->mtu = e->mtu;
}

bool echo_too_big(struct stack *s, const struct icmp_quote *q, uint32_t mtu)
{
	struct echo_peer *e = find(s, &q->key.src, false);

	if (!e || (e->rest ^ q->seq) >> 16 || ((e->rest - q->seq) & 0xffff) > SEQ_NEAR || mtu < IP6_MTU_MIN ||
	    q->bytes <= mtu || q->bytes > IP6_HDR_LEN + sizeof(struct ip6_frag_hdr) + e->len)
		return false;
	if (e->mtu && e->mtu <= mtu && ip_now_s(s) - e->mtu_s <= LEARNED_S)
		return true; /* known already */
	e->mtu = (uint16_t)mtu;
	e->mtu_s = ip_now_s(s);
	return true;
}
