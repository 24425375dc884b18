/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_syn_share.c - half-open connections are shared by the prefixes that their peers come from
 *
 * A record lives for about a minute, so one machine that never completes a handshake would fill
 * the cache with some tens of SYNs a second, and everybody else would get cookies only. So it is counted how
 * many records each prefix of peers has (/24 of IPv4, /48 of IPv6, of which one customer has 256 or 65536 /64; a counter of
 * many by a secret hash), of all and of each listener. While less than half is taken that is all. From then on a prefix gets a record only
 * as long as it has less than its share: half, divided by the prefixes that have some. Beyond it there are
 * cookies, which cost nobody anything.
 *
 * A prefix is no person: who shares one with an attacker, or by chance its counter, gets cookies as well.
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

#define SHARED_FROM 16u		/* fewer records than that are nobody's advantage */
#define SHARE_MIN 4u

uint16_t tcp_syn_peer(const struct stack *s, const union npp_addr *addr)
{
	const union npp_addr prefix = npp_addr_customer(*addr);

	return (uint16_t)npp_siphash(s->cfg.hash_key, &prefix, sizeof prefix);
}

static uint16_t *of_all(struct tcp_state *tcp, uint16_t peer)
{
	return &tcp->syn_peers[peer % TCP_SYN_PEERS];
}

/* Another counter for each listener; neighbours by chance in one table are none in the other. */
static uint16_t *of_listener(struct tcp_state *tcp, uint32_t listener, uint16_t peer)
{
	return &tcp->syn_lsn_peers[(peer * 0x9e3779b1u + listener * 0x85ebca6bu) >> 16 & (TCP_SYN_PEERS - 1)];
}
_Static_assert((TCP_SYN_PEERS & (TCP_SYN_PEERS - 1)) == 0 && TCP_SYN_PEERS <= 65536, "a mask of 16 bits");
_Static_assert(TCP_SYN_MAX <= UINT16_MAX, "counters hold all records");

void tcp_syn_charge(struct stack *s, const struct tcp_syn *e)
{
	s->tcp->n_syn_peers += (*of_all(s->tcp, e->peer))++ == 0;
	(*of_listener(s->tcp, e->listener, e->peer))++;
}

void tcp_syn_discharge(struct stack *s, const struct tcp_syn *e)
{
	s->tcp->n_syn_peers -= --*of_all(s->tcp, e->peer) == 0;
	(*of_listener(s->tcp, e->listener, e->peer))--;
}

/* USED of MAX are taken, HAS of them by the one of PEERS prefixes that wants one more. */
static bool fair(uint32_t used, uint32_t max, uint32_t has, uint32_t peers)
{
	if (used < u32_max(max / 2, SHARED_FROM))
		return true;
	return has < u32_max(max / 2 / peers, SHARE_MIN);
}

bool tcp_syn_fair(const struct stack *s, const struct tcp_lsn *l, uint32_t max, uint16_t peer)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t has = *of_all(tcp, peer), peers = tcp->n_syn_peers + (has == 0);

	return fair(tcp->syn_pool.used, tcp->syn_pool.count, has, peers) &&
	       fair(l->half_open, max, *of_listener(tcp, l->l.index, peer), peers);
}
