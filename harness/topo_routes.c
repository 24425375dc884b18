/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo_routes.c - what a topology does not say: gateways, routes
 *
 * Default gateway of a node that is no router: the first router on its networks. Routes:
 * shortest path, counted in routers, to every network that the default does not lead to.
 * Each family goes by the networks that have it; where one of the gateways is given, the
 * other is the same router. Nothing goes by a router that is learned (`autoconf`). The addresses of an NPP as a whole are reached by its first port
 * that a node shares a network with, from other NPPs by each.
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "harness/topo.h"

bool topo_learns_way(const struct topo *t, const struct topo_node *n, const union npp_addr *a)
{
	for (uint32_t j = 0; j < n->n_ifs; j++) {
		const struct npp_conf_prefix *p = &t->nets[n->ifs[j].net].subnet6;

		if (n->ifs[j].autoconf && npp_addr_in_prefix(a, &p->addr, p->len))
			return true;
	}
	return false;
}

static union npp_addr *gateway_of(struct topo_node *n, bool ip6)
{
	return ip6 ? &n->gateway6 : &n->gateway;
}

/* The link of ROUTER to NET, or what that is joined with, if it has an address there; NULL: none. */
static const struct topo_if *router_on(const struct topo *t, const struct topo_node *router, uint32_t net, bool ip6)
{
	for (uint32_t j = 0; j < router->n_ifs; j++) {
		union npp_addr a = topo_if_addr(&router->ifs[j], ip6);

		if (topo_same_seg(t, router->ifs[j].net, net) && !npp_addr_is_any(&a))
			return &router->ifs[j];
	}
	return NULL;
}

/* The first router on NET, as its address; any: none. */
static union npp_addr first_router(const struct topo *t, uint32_t net, bool ip6)
{
	const struct topo_if *f;

	for (uint32_t i = 0; i < t->n_nodes; i++)
		if (topo_forwards(&t->nodes[i]) && (f = router_on(t, &t->nodes[i], net, ip6)))
			return topo_if_addr(f, ip6);
	return (union npp_addr){ .q = { 0, 0 } };
}

/* The address of family IP6 of who has the address GW, of the other one, on a network of N; any: none. */
static union npp_addr companion(const struct topo *t, const struct topo_node *n, const union npp_addr *gw, bool ip6)
{
	for (uint32_t k = 0; k < n->n_ifs && !npp_addr_is_any(gw); k++)
		for (uint32_t i = 0; i < t->n_nodes; i++)
			for (uint32_t j = 0; j < t->nodes[i].n_ifs; j++) {
				const struct topo_if *f = &t->nodes[i].ifs[j];
				union npp_addr a = topo_if_addr(f, !ip6);

				if (npp_addr_eq(&a, gw) && topo_same_seg(t, f->net, n->ifs[k].net))
					return topo_if_addr(f, ip6);
			}
	return (union npp_addr){ .q = { 0, 0 } };
}

static void default_gateway(const struct topo *t, struct topo_node *n, bool ip6)
{
	union npp_addr *gw = gateway_of(n, ip6);

	if (!npp_addr_is_any(gw))
		return;
	*gw = companion(t, n, gateway_of(n, !ip6), ip6);
	for (uint32_t j = 0; npp_addr_is_any(gw) && !topo_forwards(n) && j < n->n_ifs; j++)
		*gw = first_router(t, n->ifs[j].net, ip6);
	if (ip6 && topo_learns_way(t, n, gw))
		memset(gw, 0, sizeof *gw);
}

/* Breadth first from N's networks, by their segments: HOP[net] becomes the link of the first router on
 * the way to that network; NULL: N is on it, or there is no way. */
static void first_hops(const struct topo *t, const struct topo_node *n, bool ip6, const struct topo_if **hop)
{
	uint32_t queue[TOPO_MAX_NETS], head = 0, tail = 0, i, j, at;
	bool seen[TOPO_MAX_NETS] = { false };
	const struct topo_if *a;

	memset(hop, 0, TOPO_MAX_NETS * sizeof *hop);
	for (j = 0; j < n->n_ifs; j++) {
		at = t->nets[n->ifs[j].net].seg;
		if (!seen[at] && topo_has_family(&t->nets[at], ip6))
			queue[tail++] = at;
		seen[at] = true;
	}
	while (head < tail) {
		at = queue[head++];
		for (i = 0; i < t->n_nodes; i++) {
			const struct topo_node *r = &t->nodes[i];

			if (r == n || !topo_forwards(r) || !(a = router_on(t, r, at, ip6)))
				continue;
			for (j = 0; j < r->n_ifs; j++) {
				uint32_t next = t->nets[r->ifs[j].net].seg;

				if (seen[next] || !topo_has_family(&t->nets[next], ip6))
					continue;
				seen[next] = true;
				hop[next] = hop[at] ? hop[at] : a;
				queue[tail++] = next;
			}
		}
	}
}

static struct npp_conf_prefix prefix_of(const struct topo_net *net, bool ip6)
{
	return ip6 ? net->subnet6 : net->subnet;
}

static bool given_to(const struct topo_node *n, const struct npp_conf_prefix *to)
{
	for (uint32_t j = 0; j < n->n_given; j++)
		if (n->given[j].to.len == to->len && npp_addr_eq(&n->given[j].to.addr, &to->addr))
			return true;
	return false;
}

static void add_route(const struct topo *t, struct topo_node *n, const union npp_addr *to, uint32_t len,
		      const union npp_addr *via, uint32_t metric)
{
	if (npp_addr_is_any(via) || topo_learns_way(t, n, via))
		return;
	n->routes[n->n_routes].to = (struct npp_conf_prefix){ .addr = *to, .len = len };
	n->routes[n->n_routes].metric = metric;
	n->routes[n->n_routes++].via = *via;
}

/* Does A lie in the subnet of a network of N? */
static bool on_link(const struct topo *t, const struct topo_node *n, const union npp_addr *a, bool ip6)
{
	for (uint32_t k = 0; k < n->n_ifs; k++) {
		const struct topo_net *net = &t->nets[n->ifs[k].net];
		struct npp_conf_prefix p = prefix_of(net, ip6);

		if (topo_has_family(net, ip6) && npp_addr_in_prefix(a, &p.addr, p.len))
			return true;
	}
	return false;
}

static void whole_routes_by(const struct topo *t, struct topo_node *n, const struct topo_node *p, bool ip6,
			    const union npp_addr *via, uint32_t metric)
{
	for (uint32_t i = 0; i < p->n_whole; i++)
		if (npp_addr_is_v4(&p->whole[i]) != ip6 && !on_link(t, n, &p->whole[i], ip6))
			add_route(t, n, &p->whole[i], 128, via, metric);
}

/* To the addresses of NPP P as a whole. HOP as first_hops() says. */
static void whole_routes(const struct topo *t, struct topo_node *n, const struct topo_node *p, bool ip6,
			 const struct topo_if *const *hop)
{
	const struct topo_if *first = NULL;
	union npp_addr via;
	uint32_t metric = 0;

	for (uint32_t j = 0; j < p->n_ifs; j++)
		for (uint32_t k = 0; k < n->n_ifs; k++) {
			via = topo_if_addr(&p->ifs[j], ip6);
			if (npp_addr_is_any(&via) || !topo_same_seg(t, n->ifs[k].net, p->ifs[j].net) ||
			    (metric && n->kind != TOPO_NPP))
				continue;
			whole_routes_by(t, n, p, ip6, &via, metric++);
		}
	for (uint32_t j = 0; j < p->n_ifs && !metric && !first; j++)
		first = hop[t->nets[p->ifs[j].net].seg];
	if (!first)
		return;
	via = topo_if_addr(first, ip6);
	for (uint32_t i = 0; i < p->n_whole && !npp_addr_eq(&via, gateway_of(n, ip6)); i++)
		if (npp_addr_is_v4(&p->whole[i]) != ip6)
			add_route(t, n, &p->whole[i], 128, &via, 0);
}

/* An NPP with several ports has a way out by each network that has a router. */
static void more_defaults(const struct topo *t, struct topo_node *n, bool ip6)
{
	const union npp_addr all = ip6 ? (union npp_addr){ .q = { 0, 0 } } : npp_addr_v4(0), *gw = gateway_of(n, ip6);

	if (n->kind != TOPO_NPP || npp_addr_is_any(gw))
		return;
	for (uint32_t j = 1; j < n->n_ifs; j++)
		for (uint32_t i = 0; i < t->n_nodes; i++) {
			const struct topo_if *f = topo_forwards(&t->nodes[i]) ? router_on(t, &t->nodes[i], n->ifs[j].net, ip6) : NULL;
			union npp_addr via = f ? topo_if_addr(f, ip6) : *gw;

			if (npp_addr_eq(&via, gw))
				continue;
			add_route(t, n, &all, ip6 ? 0 : 96, &via, j);
			break;
		}
}

static void family_routes(const struct topo *t, struct topo_node *n, bool ip6)
{
	const struct topo_if *hop[TOPO_MAX_NETS];

	first_hops(t, n, ip6, hop);
	if (n->routing == TOPO_ROUTING_BIRD)	/* it finds out */
		memset(hop, 0, sizeof hop);
	for (uint32_t i = 0; i < t->n_nets; i++) {
		struct npp_conf_prefix to = prefix_of(&t->nets[i], ip6);
		union npp_addr via;

		if (t->nets[i].seg != i || !hop[i] || given_to(n, &to))
			continue;
		via = topo_if_addr(hop[i], ip6);
		if (!npp_addr_eq(&via, gateway_of(n, ip6)))
			add_route(t, n, &to.addr, to.len, &via, 0);
	}
	more_defaults(t, n, ip6);
	for (uint32_t i = 0; i < t->n_nodes; i++)
		if (&t->nodes[i] != n)
			whole_routes(t, n, &t->nodes[i], ip6, hop);
}

static void node_routes(struct topo *t, struct topo_node *n)
{
	uint32_t i, whole = 0;

	for (i = 0; i < t->n_nodes; i++)
		whole += t->nodes[i].n_whole * TOPO_MAX_PORTS;
	n->routes = npp_conf_alloc(t->conf, 2 * t->n_nets + 2 * n->n_ifs + whole + n->n_given, sizeof *n->routes);
	if (!n->routes) {
		npp_conf_error(t->conf, n->at, "out of memory");
		return;
	}
	family_routes(t, n, true);
	family_routes(t, n, false);
	for (i = 0; i < n->n_given; i++)
		n->routes[n->n_routes++] = n->given[i];
}

void topo_derive_routes(struct topo *t)
{
	uint32_t i;

	for (i = 0; i < t->n_nodes; i++) {
		if (!t->nodes[i].n_ifs || topo_joins(&t->nodes[i]))
			continue;
		default_gateway(t, &t->nodes[i], false);
		default_gateway(t, &t->nodes[i], true);
		node_routes(t, &t->nodes[i]);
	}
}
