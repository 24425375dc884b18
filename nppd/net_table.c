/* SPDX-License-Identifier: GPL-2.0-or-later
 * net_table.c - addresses and routes in the global tables of an NPP
 *
 * nppd writes them, with the sequence lock of the region held (npp_regions.c). What is configured was counted
 * when the configuration was read and finds room; what is learned may not, which is counted and said.
 */
#include "config.h"

#include "nppd/net_table.h"

uint32_t net_table_add_route(struct npp_global *g, struct npp_route route, uint32_t ports)
{
	for (; ports && g->n_routes < NPP_MAX_ROUTES; ports &= ports - 1) {
		route.port = (uint8_t)__builtin_ctz(ports);
		g->route[g->n_routes++] = route;
	}
	return (uint32_t)__builtin_popcount(ports);
}

uint32_t net_table_add_default(struct npp_global *g, const union npp_addr *via, uint32_t ports, uint32_t metric)
{
	struct npp_route r = { .via = *via, .metric = metric };

	if (npp_addr_is_any(via))
		return 0;
	if (npp_addr_is_v4(via)) {
		r.dst = npp_addr_v4(0);
		r.prefix_len = 96;
	}
	return net_table_add_route(g, r, ports);
}

static bool known_addr(const struct npp_global *g, const union npp_addr *a)
{
	for (uint32_t i = 0; i < g->n_addrs; i++)
		if (npp_addr_eq(&g->addr[i].addr, a))
			return true;
	return false;
}

uint32_t net_table_add_learned(struct npp_global *g, const struct npp_autoconf *a)
{
	uint32_t left_out = 0;

	for (uint32_t i = 0; i < a->n_addrs; i++) {
		if (known_addr(g, &a->addr[i].addr))
			continue;
		if (g->n_addrs < NPP_MAX_IF_ADDRS)
			g->addr[g->n_addrs++] = a->addr[i];
		else
			left_out++;
	}
	/* Routers first: without one nothing beyond the link is reached, without the other a router does it. */
	for (uint32_t i = 0; i < a->n_routers; i++)
		left_out += net_table_add_default(g, &a->router[i], 1u << a->router_port[i], 1024 + i);
	for (uint32_t i = 0; i < a->n_on_link; i++)
		left_out += net_table_add_route(g, (struct npp_route){ .dst = a->on_link[i].addr,
								       .prefix_len = a->on_link[i].prefix_len },
						1u << a->on_link[i].port);
	g->n_left_out = left_out;
	return left_out;
}
