/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo_only6.c - a lab of IPv6 alone from a topology of IPv4 (key `ipv6: only`)
 *
 * What is IPv4 in the file has been checked, and has served to derive host parts and gateways.
 */
#include "config.h"

#include <string.h>

#include "harness/topo.h"

static void drop_node(struct topo_node *n)
{
	uint32_t i, have = 0;

	for (i = 0; i < n->n_ifs; i++)
		n->ifs[i].addr = 0;
	memset(&n->gateway, 0, sizeof n->gateway);
	for (i = 0; i < n->n_routes; i++)
		if (!npp_addr_is_v4(&n->routes[i].to.addr))
			n->routes[have++] = n->routes[i];
	n->n_routes = have;
	for (i = have = 0; i < n->n_whole; i++)
		if (!npp_addr_is_v4(&n->whole[i]))
			n->whole[have++] = n->whole[i];
	n->n_whole = have;
}

void topo_drop_ip4(struct topo *t)
{
	uint32_t i;

	for (i = 0; i < t->n_nodes; i++)
		drop_node(&t->nodes[i]);
	for (i = 0; i < t->n_nets; i++) {
		t->nets[i].base = 0;
		t->nets[i].mask = 0;
		memset(&t->nets[i].subnet, 0, sizeof t->nets[i].subnet);
	}
}
