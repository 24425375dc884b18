/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo_derive.c - what a topology does not say: addresses, MACs, gateways, routes
 *
 * Addresses: routers take the lowest free ones of a subnet from .1, all others from .10
 * (from .1 in subnets smaller than /27). MACs: 02, number of the network, IPv4 address.
 * Default gateway of a node that is no router: the first router on its networks. Routes:
 * shortest path, counted in routers, to every network that the default does not lead to.
 * IPv6 follows: the same host parts, gateways and paths.
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "harness/topo.h"

static bool same_seg(const struct topo *t, uint32_t a, uint32_t b)
{
	return t->nets[a].seg == t->nets[b].seg;
}

static bool addr_in(const struct topo_net *n, uint32_t addr)
{
	return (addr & n->mask) == n->base;
}

static bool addr_is_host(const struct topo_net *n, uint32_t addr)
{
	return addr_in(n, addr) && addr != n->base && addr != (n->base | ~n->mask);
}

/* The node that has ADDR on network NET, or NULL. */
static const struct topo_node *addr_owner(const struct topo *t, uint32_t net, uint32_t addr,
					  const struct topo_if *except)
{
	uint32_t i, j;

	for (i = 0; i < t->n_nodes; i++)
		for (j = 0; j < t->nodes[i].n_ifs; j++) {
			const struct topo_if *f = &t->nodes[i].ifs[j];

			if (f != except && f->addr == addr && same_seg(t, f->net, net))
				return &t->nodes[i];
		}
	return NULL;
}

static void check_address(struct topo *t, const struct topo_if *f)
{
	const struct topo_net *n = &t->nets[f->net];
	const struct topo_node *other;
	char a[NPP_ADDR_STRLEN], b[NPP_ADDR_STRLEN];

	if (!addr_in(n, f->addr)) {
		npp_conf_error(t->conf, f->at, "%s lies outside the subnet %s/%u of network '%s'",
			       topo_addr_text(f->addr, a), topo_addr_text(n->base, b), topo_plen(n), n->name);
		return;
	}
	if (!addr_is_host(n, f->addr))
		npp_conf_error(t->conf, f->at, "%s is the network's own or broadcast address",
			       topo_addr_text(f->addr, a));
	other = addr_owner(t, f->net, f->addr, f);
	if (other && other->at->index < f->at->parent->parent->index)
		npp_conf_error(t->conf, f->at, "%s is node '%s' already", topo_addr_text(f->addr, a), other->name);
}

static void give_address(struct topo *t, const struct topo_node *node, struct topo_if *f)
{
	const struct topo_net *n = &t->nets[f->net];
	uint32_t start = !topo_forwards(node) && topo_plen(n) < 27 ? 10 : 1, a;

	for (a = n->base + start; addr_is_host(n, a); a++)
		if (!addr_owner(t, f->net, a, f)) {
			f->addr = a;
			return;
		}
	npp_conf_error(t->conf, f->at, "no address is left in network '%s'", n->name);
}

/* Not given: the subnet and, as the host part, that of the IPv4 address. */
static void give_address6(struct topo *t, struct topo_if *f)
{
	const struct topo_net *n = &t->nets[f->net];
	uint32_t host = htonl(f->addr & ~n->mask);
	char text[NPP_ADDR_STRLEN];

	if (!npp_addr_is_any(&f->addr6)) {
		if (!topo_has_ip6(n))
			npp_conf_error(t->conf, f->at, "network '%s' has no 'subnet6'", n->name);
		else if (!npp_addr_in_prefix(&f->addr6, &n->subnet6.addr, n->subnet6.len))
			npp_conf_error(t->conf, f->at, "%s lies outside the IPv6 subnet of network '%s'",
				       npp_addr_format(&f->addr6, text), n->name);
		return;
	}
	if (!topo_has_ip6(n))
		return;
	f->addr6 = n->subnet6.addr;
	memcpy(f->addr6.b + 12, &host, 4);
}

static void check_mac(struct topo *t, const struct topo_node *node, struct topo_if *f)
{
	uint32_t be = htonl(topo_joins(node) ? 0xfffffc00 | (uint32_t)(node - t->nodes) : f->addr), i, j;

	if (!f->mac_given) {
		f->mac[0] = 0x02;
		f->mac[1] = (uint8_t)f->net;
		memcpy(f->mac + 2, &be, 4);
	}
	for (i = 0; i < t->n_nodes && &t->nodes[i] <= node; i++)
		for (j = 0; j < t->nodes[i].n_ifs; j++) {
			const struct topo_if *o = &t->nodes[i].ifs[j];

			/* The same address was reported already: the same derived MAC is no news. */
			if (o != f && &t->nodes[i] != node && same_seg(t, o->net, f->net) && memcmp(o->mac, f->mac, 6) == 0 &&
			    (f->mac_given || o->addr != f->addr))
				npp_conf_error(t->conf, f->at, "node '%s' has this MAC already",
					       t->nodes[i].name);
		}
}

static void check_gateway(struct topo *t, const struct topo_node *n, const struct npp_conf_node *at,
			  const union npp_addr *gw)
{
	char text[NPP_ADDR_STRLEN];
	uint32_t i, a;

	if (!npp_addr_is_v4(gw)) {
		for (i = 0; i < n->n_ifs; i++)
			if (topo_has_ip6(&t->nets[n->ifs[i].net]) &&
			    npp_addr_in_prefix(gw, &t->nets[n->ifs[i].net].subnet6.addr,
					       t->nets[n->ifs[i].net].subnet6.len))
				return;
		npp_conf_error(t->conf, at, "%s lies on none of the node's IPv6 networks", npp_addr_format(gw, text));
		return;
	}
	a = ntohl(npp_addr_get_v4(gw));
	for (i = 0; i < n->n_ifs; i++) {
		if (n->ifs[i].addr == a) {
			npp_conf_error(t->conf, at, "%s is the node itself", topo_addr_text(a, text));
			return;
		}
		if (addr_in(&t->nets[n->ifs[i].net], a))
			return;
	}
	npp_conf_error(t->conf, at, "%s lies on none of the node's networks", topo_addr_text(a, text));
}

static bool has_gateway(const struct topo_node *n)
{
	return !npp_addr_is_any(&n->gateway);
}

void topo_derive_addresses(struct topo *t)
{
	struct topo_node *n;
	uint32_t i, j, round;

	for (i = 0; i < t->n_nodes; i++)
		for (j = 0; j < t->nodes[i].n_ifs; j++)
			if (t->nodes[i].ifs[j].addr)
				check_address(t, &t->nodes[i].ifs[j]);
	for (round = 0; round < 2; round++)	/* routers first */
		for (i = 0; i < t->n_nodes; i++) {
			n = &t->nodes[i];
			if (topo_forwards(n) != (round == 0) || topo_joins(n))
				continue;
			for (j = 0; j < n->n_ifs; j++)
				if (!n->ifs[j].addr)
					give_address(t, n, &n->ifs[j]);
		}
	for (i = 0; i < t->n_nodes; i++) {
		n = &t->nodes[i];
		for (j = 0; j < n->n_ifs; j++) {
			if (!topo_joins(n))
				give_address6(t, &n->ifs[j]);
			check_mac(t, n, &n->ifs[j]);
		}
		if (!npp_addr_is_any(&n->gateway6))
			check_gateway(t, n, npp_conf_get(n->at, "gateway6"), &n->gateway6);
		if (has_gateway(n))
			check_gateway(t, n, npp_conf_get(n->at, "gateway"), &n->gateway);
		for (j = 0; j < n->n_given; j++)
			check_gateway(t, n, npp_conf_get(n->given[j].at, "via"), &n->given[j].via);
	}
}

/* The IPv6 address of the router that has the IPv4 address HOP on one of N's networks; any: none. */
static union npp_addr hop6(const struct topo *t, const struct topo_node *n, uint32_t hop)
{
	uint32_t i, j, k;

	for (k = 0; k < n->n_ifs; k++)
		for (i = 0; i < t->n_nodes; i++)
			for (j = 0; j < t->nodes[i].n_ifs; j++) {
				const struct topo_if *f = &t->nodes[i].ifs[j];

				if (f->addr == hop && same_seg(t, f->net, n->ifs[k].net))
					return f->addr6;
			}
	return (union npp_addr){ .q = { 0, 0 } };
}

/* Address of ROUTER on NET, or what that is joined with; 0: it is not there. */
static uint32_t router_on(const struct topo *t, const struct topo_node *router, uint32_t net)
{
	uint32_t j;

	for (j = 0; j < router->n_ifs; j++)
		if (same_seg(t, router->ifs[j].net, net))
			return router->ifs[j].addr;
	return 0;
}

static void default_gateway(struct topo *t, struct topo_node *n)
{
	uint32_t i, j, a;

	if (has_gateway(n) || topo_forwards(n))
		return;
	for (j = 0; j < n->n_ifs; j++)
		for (i = 0; i < t->n_nodes; i++)
			if (topo_forwards(&t->nodes[i]) && (a = router_on(t, &t->nodes[i], n->ifs[j].net))) {
				n->gateway = npp_addr_v4(htonl(a));
				return;
			}
}

/* Breadth first from N's networks, by their segments: HOP[net] becomes the address of the first router on
 * the way to that network; 0: N is on it, or there is no way. */
static void first_hops(const struct topo *t, const struct topo_node *n, uint32_t *hop)
{
	uint32_t queue[TOPO_MAX_NETS], head = 0, tail = 0, i, j, at, a;
	bool seen[TOPO_MAX_NETS] = { false };

	memset(hop, 0, TOPO_MAX_NETS * sizeof *hop);
	for (j = 0; j < n->n_ifs; j++) {
		at = t->nets[n->ifs[j].net].seg;
		if (!seen[at])
			queue[tail++] = at;
		seen[at] = true;
	}
	while (head < tail) {
		at = queue[head++];
		for (i = 0; i < t->n_nodes; i++) {
			const struct topo_node *r = &t->nodes[i];

			if (r == n || !topo_forwards(r) || !(a = router_on(t, r, at)))
				continue;
			for (j = 0; j < r->n_ifs; j++) {
				uint32_t next = t->nets[r->ifs[j].net].seg;

				if (seen[next])
					continue;
				seen[next] = true;
				hop[next] = hop[at] ? hop[at] : a;
				queue[tail++] = next;
			}
		}
	}
}

static bool given_to(const struct topo_node *n, const struct topo_net *net)
{
	uint32_t j;

	for (j = 0; j < n->n_given; j++)
		if (npp_addr_is_v4(&n->given[j].to.addr) && n->given[j].to.len == net->subnet.len &&
		    ntohl(npp_addr_get_v4(&n->given[j].to.addr)) == net->base)
			return true;
	return false;
}

/* To NET by the router with the IPv4 address HOP, if that is not the default. */
static void route6(struct topo *t, struct topo_node *n, const struct topo_net *net, uint32_t hop)
{
	union npp_addr via = hop ? hop6(t, n, hop) : (union npp_addr){ .q = { 0, 0 } };
	uint32_t j;

	if (!topo_has_ip6(net) || npp_addr_is_any(&via) || npp_addr_eq(&via, &n->gateway6))
		return;
	for (j = 0; j < n->n_given; j++)
		if (n->given[j].to.len == net->subnet6.len && npp_addr_eq(&n->given[j].to.addr, &net->subnet6.addr))
			return;
	n->routes[n->n_routes].to = net->subnet6;
	n->routes[n->n_routes++].via = via;
}

static void node_routes(struct topo *t, struct topo_node *n)
{
	uint32_t hop[TOPO_MAX_NETS], i, gw;

	n->routes = npp_conf_alloc(t->conf, 2 * t->n_nets + n->n_given, sizeof *n->routes);
	if (!n->routes) {
		npp_conf_error(t->conf, n->at, "out of memory");
		return;
	}
	first_hops(t, n, hop);
	if (n->routing == TOPO_ROUTING_BIRD)	/* it finds out */
		memset(hop, 0, sizeof hop);
	gw = has_gateway(n) ? ntohl(npp_addr_get_v4(&n->gateway)) : 0;
	if (gw && npp_addr_is_any(&n->gateway6))
		n->gateway6 = hop6(t, n, gw);
	for (i = 0; i < t->n_nets; i++)
		if (t->nets[i].seg == i)
			route6(t, n, &t->nets[i], hop[i]);
	for (i = 0; i < t->n_nets; i++) {
		if (!hop[i] || hop[i] == gw || given_to(n, &t->nets[i]))
			continue;
		n->routes[n->n_routes].to = t->nets[i].subnet;
		n->routes[n->n_routes++].via = npp_addr_v4(htonl(hop[i]));
	}
	for (i = 0; i < n->n_given; i++)
		n->routes[n->n_routes++] = n->given[i];
}

void topo_derive_routes(struct topo *t)
{
	uint32_t i;

	for (i = 0; i < t->n_nodes; i++) {
		if (!t->nodes[i].n_ifs || topo_joins(&t->nodes[i]))
			continue;
		default_gateway(t, &t->nodes[i]);
		node_routes(t, &t->nodes[i]);
	}
}
