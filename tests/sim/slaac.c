/* SPDX-License-Identifier: GPL-2.0-or-later
 * slaac.c - a router that advertises prefixes, renumbers its network, and is heard by both NPPs
 *
 * It answers solicitations, always and at once: what is looked for is what the NPPs make of what it
 * says. Prefix 0 is there from the beginning; after PE_RENUMBER it is deprecated and prefix 1
 * takes its place. Both end LIFE_S after the beginning of the world, so that this ends, too.
 *
 * What the link role makes of it is entered in the global region as nppd does it.
 */
#include "config.h"

#include <string.h>

#include "tests/sim/sim.h"

#define LIFE_S 3000ull

/* The address that NPP makes of prefix I. */
union npp_addr slaac_addr(const struct npp *n, unsigned i)
{
	const uint8_t *m = n->g->port[0].mac;

	return (union npp_addr){ .b = { 0xfd, 0x0a, [7] = (uint8_t)i, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5] } };
}

static uint32_t seconds_left(const struct world *w)
{
	uint64_t gone = (w->now_us - w->start_us) / 1000000;

	return gone < LIFE_S ? (uint32_t)(LIFE_S - gone) : 0;
}

void slaac_start(struct npp *n)
{
	struct npp_global *g = n->g;
	union npp_addr ll = slaac_addr(n, 0);

	n->n_static = g->n_addrs;
	n->auto6 = slaac_addr(n, 0);
	if (!n->cfg.slaac)
		return;
	memset(ll.b, 0, 8);
	ll.b[0] = 0xfe;
	ll.b[1] = 0x80;
	g->port[0].flags |= NPP_PORT_AUTOCONF;
	g->addr[g->n_addrs++] = (struct npp_if_addr){ .addr = ll, .prefix_len = 64 };
	n->n_static = g->n_addrs;
	slaac_say(n, 1000 + (uint64_t)n->nr * 100000);
}

/* The router speaks to N in so many microseconds. */
void slaac_say(struct npp *n, uint64_t in_us)
{
	if (n->cfg.slaac)
		world_at(n->w, n->w->now_us + in_us, (struct event){ .kind = EV_RA, .npp = (uint8_t)n->nr });
}

void slaac_said(struct npp *n)
{
	struct world *w = n->w;
	uint32_t left = seconds_left(w);

	if (left)
		npp_receive(n, frame_ra(left, w->renumbered));
}

/* A frame of N has left: a router solicitation is answered. */
void slaac_heard(struct npp *n, const struct frame *f)
{
	struct packet k;

	frame_look(f, &k);
	if (n->cfg.slaac && k.family == 6 && k.proto == 58 && f->data[k.l4] == 133)
		slaac_say(n, 10000);
}

void slaac_renumber(struct world *w)
{
	w->renumbered = true;
	for (unsigned i = 0; i < SIM_NPPS; i++)
		slaac_say(&w->npp[i], 1 + 50 * i);
}

static void check(struct npp *n, const struct npp_autoconf *a)
{
	if (!n->cfg.slaac)
		sim_fail(n->w, "slaac-off", "npp %u takes addresses from advertisements", n->nr);
	for (uint32_t i = 0; i < a->n_addrs; i++) {
		union npp_addr x = slaac_addr(n, 0), y = slaac_addr(n, 1);
		bool old = npp_addr_eq(&a->addr[i].addr, &x), new = npp_addr_eq(&a->addr[i].addr, &y);

		if (!old && !(new && n->w->renumbered))
			sim_fail(n->w, "slaac-address", "npp %u makes an address of what nobody has advertised", n->nr);
		for (uint32_t k = 0; k < i; k++)
			if (npp_addr_eq(&a->addr[k].addr, &a->addr[i].addr))
				sim_fail(n->w, "slaac-twice", "npp %u", n->nr);
	}
	if (a->n_addrs > 2 || a->n_routers > 1)
		sim_fail(n->w, "slaac-many", "npp %u: %u addresses, %u routers", n->nr, a->n_addrs, a->n_routers);
}

void slaac_learned(struct npp *n, const struct npp_autoconf *a)
{
	struct npp_global *g = n->g;
	uint32_t seq = atomic_load(&g->net_seq);

	check(n, a);
	trace(n->w, "npp %u: %u addresses, %u routers from advertisements\n", n->nr, a->n_addrs, a->n_routers);
	atomic_store(&g->net_seq, seq + 1);
	g->n_addrs = n->n_static;
	g->n_routes = 0;
	for (uint32_t i = 0; i < a->n_addrs; i++)
		g->addr[g->n_addrs++] = a->addr[i];
	for (uint32_t i = 0; i < a->n_on_link; i++)
		g->route[g->n_routes++] = (struct npp_route){ .dst = a->on_link[i].addr, .prefix_len = a->on_link[i].prefix_len };
	for (uint32_t i = 0; i < a->n_routers; i++)
		g->route[g->n_routes++] = (struct npp_route){ .via = a->router[i], .metric = 1024 };
	atomic_store(&g->port[0].ra6, NPP_RA6(a->link[0].hops, a->link[0].mtu));
	atomic_store(&g->port[0].ra6_reachable_ms, a->link[0].reachable_ms);
	atomic_store(&g->net_seq, seq + 2);
}

/* All is over, that is, the prefixes as well. */
void slaac_verdict(struct world *w)
{
	for (unsigned i = 0; i < SIM_NPPS; i++) {
		const struct npp *n = &w->npp[i];

		if (n->cfg.slaac && w->now_us - w->start_us > (LIFE_S + 10) * 1000000 && n->g->n_addrs != n->n_static)
			sim_fail(w, "slaac-stays", "npp %u has %u addresses whose time is over", i, n->g->n_addrs - n->n_static);
	}
}
