/* SPDX-License-Identifier: GPL-2.0-or-later
 * dgram_mtu.c - how large a datagram may be: IP_MTU_DISCOVER, IP_MTU (ip(7))
 *
 * Each datagram says whether it may be cut, and the ISM that sends it has the last word. What is known
 * here, the link's MTU and for a connected socket what its ISM has found out, is refused at once.
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>

#include "npp-osm/libnpp/priv.h"

#define PMTU_KEPT_MS 600000u	/* as the stack keeps what it has heard */

/* What IP_MTU_DISCOVER asks of each datagram. What may be cut is sent without DF. */
uint32_t dgram_whole_flags(const struct so *so)
{
	switch (NPP_OPT_PMTUDISC(sock_opt_flags(so))) {
	case IP_PMTUDISC_DO:
		return NPP_DGRAM_DF | NPP_DGRAM_WHOLE;
	case IP_PMTUDISC_PROBE:
		return NPP_DGRAM_DF | NPP_DGRAM_WHOLE | NPP_DGRAM_LINK;
	case IP_PMTUDISC_INTERFACE:
		return NPP_DGRAM_WHOLE | NPP_DGRAM_LINK;
	case IP_PMTUDISC_OMIT:
		return NPP_DGRAM_LINK;
	default:
		return 0;
	}
}

/* What the ISM has found out of the way to the peer, and may not have forgotten yet; 0: nothing. */
static uint32_t told_mtu(const struct so *so)
{
	const volatile struct npp_udp_brief *b = &so->sk->dgram;
	uint32_t mtu = b->pmtu;

	return mtu <= 65535 && (uint32_t)(lib_now_us() / 1000) - b->pmtu_ms < PMTU_KEPT_MS ? mtu : 0;
}

/**
 * dgram_mtu() - bytes of a packet on the way to the peer
 */
int dgram_mtu(const struct so *so)
{
	uint32_t mtu = told_mtu(so);
	union npp_addr to = so->sk->raddr;
	struct sock_way way;

	if (!(sock_fl(so) & NPP_FL_CONNECTED))
		return -ENOTCONN;
	if (!mtu)
		mtu = sock_ask_way(&to, &way) < 0 ? 1500 : way.mtu;
	return (int)mtu;
}

/* How many bytes a datagram like D may have, as far as is known already. The ISM, which looks again, knows more of the way
 * of what has no fixed peer. */
uint32_t dgram_most(const struct so *so, const struct npp_dgram *d)
{
	bool four = npp_addr_is_v4(&d->addr);
	uint32_t told = 0, head = four ? 28 : 48, most = four ? DGRAM_MAX4 : NPP_DGRAM_MAX, mtu;
	struct sock_way way;

	if (!(d->flags & NPP_DGRAM_WHOLE) || sock_ask_way(&d->addr, &way) < 0)
		return most;
	if (!(d->flags & NPP_DGRAM_LINK) && sock_fl(so) & NPP_FL_CONNECTED && npp_addr_eq(&d->addr, &so->sk->raddr))
		told = told_mtu(so);
	mtu = told && told < way.mtu ? told : way.mtu;
	return mtu < head ? 0 : mtu - head < most ? mtu - head : most;
}

/* Is it known already that D is too large to go in one piece, as it must? */
bool dgram_too_large(const struct so *so, const struct npp_dgram *d)
{
	uint32_t segment = NPP_DGRAM_SEG(d->flags);
	uint32_t unit = segment && segment < d->len ? segment : d->len;

	return d->len > (npp_addr_is_v4(&d->addr) ? DGRAM_MAX4 : NPP_DGRAM_MAX) || unit > dgram_most(so, d);
}
