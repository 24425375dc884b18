/* SPDX-License-Identifier: GPL-2.0-or-later
 * acd.c - address conflicts (RFC 5227; RFC 4862, 5.4), for the link role: announcing, defending, telling
 *
 * nppd has probed the addresses of the configuration before the first IOP started. From then on
 * they are announced, and defended for ever (RFC 5227, 2.4 (c)): they are what a service is known by,
 * and whoever takes them later must not end it. An address that was made from an advertisement is
 * given up instead (nd_auto.c). Either way the conflict is counted, and the user is told.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define ANNOUNCE_US 2000000u	/* RFC 5227, 1.1: ANNOUNCE_INTERVAL; it is done ACD_ANNOUNCES times */
#define DEFEND4_US 10000000u	/* DEFEND_INTERVAL */
#define DEFEND6_US 1000000u	/* the same for unsolicited advertisements (RFC 4861, 7.2.6) */
#define TELL_US 10000000u	/* the user hears of an address's conflicts this often */

static bool off(const struct stack *s)
{
	return s->env->global->port[0].flags & NPP_PORT_ACD_OFF;
}

/* What is remembered of conflicts about our address ADDR; a list that moved begins anew. */
static struct acd_addr *acd_addr(struct stack *s, const union npp_addr *addr)
{
	struct ip_state *ip = s->ip;

	for (uint32_t i = 0; i < ip->net.n_addrs; i++) {
		struct acd_addr *a = &ip->acd[i];

		if (!npp_addr_eq(&ip->net.addr[i].addr, addr))
			continue;
		if (!npp_addr_eq(&a->addr, addr))
			*a = (struct acd_addr){ .addr = *addr };
		return a;
	}
	return NULL;
}

bool acd_conflict(struct stack *s, const union npp_addr *addr, uint8_t port, const uint8_t *mac)
{
	struct acd_addr *a = acd_addr(s, addr);
	struct npp_conflict c = { .addr = *addr, .port = port };

	STAT_INC(s, IS_ARP_CONFLICTS);
	STAT_INC(s, IS_ACD_CONFLICTS);
	if (!a)
		return false;
	a->unsaid++;
	if (s->env->ops->conflict && (!a->told_us || s->now_us - a->told_us >= TELL_US)) {
		memcpy(c.mac, mac, 6);
		c.n = a->unsaid;
		a->unsaid = 0;
		a->told_us = s->now_us;
		s->env->ops->conflict(s->env->arg, &c);
	}
	if (off(s) || (a->defended_us &&
		       s->now_us - a->defended_us < (npp_addr_is_v4(addr) ? DEFEND4_US : DEFEND6_US)))
		return false;
	a->defended_us = s->now_us;
	STAT_INC(s, IS_ACD_DEFENDED);
	return true;
}

void acd_begin(struct stack *s, bool test)
{
	s->ip->announce_test = test;
	s->ip->announce_left = ACD_ANNOUNCES;
	acd_timer(s);
}

void acd_timer(struct stack *s)
{
	struct ip_state *ip = s->ip;

	if (!s->env->neigh_rw || !ip->announce_left)
		return;
	if (!off(s)) {
		arp_announce(s);
		nd_announce(s);
	}
	if (--ip->announce_left)
		ip_timer_arm(s, IPT_ANNOUNCE, s->now_us + ANNOUNCE_US);
}
