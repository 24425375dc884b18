/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo_derive.c - what a topology does not say: addresses, MACs, gateways, routes
 *
 * Addresses: routers take the lowest free ones of a subnet from .1, all others from .10
 * (from .1 in subnets smaller than /27). MACs: 02, number of the network, IPv4 address.
 * Default gateway of a node that is no router: the first router on its networks. Routes:
 * shortest path, counted in routers, to every network that the default does not lead to.
 * IPv6 follows: the same host parts, gateways and paths. The addresses of an NPP as a whole are
 * reached by its first port that a node shares a network with, from other NPPs by each.
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

/* Would N have IPv6, but for an error? */
static bool ip6_in_doubt(const struct topo *t, const struct topo_net *n)
{
	return npp_conf_in_doubt(n->at, "subnet6") || npp_conf_in_doubt(t->nets[n->seg].at, "subnet6") || !n->mask ||
	       npp_conf_in_doubt(npp_conf_root(t->conf), "ipv6");
}

/* Not given: the subnet and, as the host part, that of the IPv4 address. */
static void give_address6(struct topo *t, struct topo_if *f)
{
	const struct topo_net *n = &t->nets[f->net];
	uint32_t host = htonl(f->addr & ~n->mask);
	char text[NPP_ADDR_STRLEN];

	if (!npp_addr_is_any(&f->addr6)) {
		if (!topo_has_ip6(n) && !ip6_in_doubt(t, n))
			npp_conf_error(t->conf, f->at, "network '%s' has no 'subnet6'", n->name);
		else if (topo_has_ip6(n) && !npp_addr_in_prefix(&f->addr6, &n->subnet6.addr, n->subnet6.len))
			npp_conf_error(t->conf, f->at, "%s lies outside the IPv6 subnet of network '%s'",
				       npp_addr_format(&f->addr6, text), n->name);
		return;
	}
	if (!topo_has_ip6(n))
		return;
	f->addr6 = n->subnet6.addr;
	memcpy(f->addr6.b + 12, &host, 4);
}

/* Against those that stand before it. */
static void check_address6(struct topo *t, const struct topo_if *f)
{
	char text[NPP_ADDR_STRLEN];

	for (uint32_t i = 0; i < t->n_nodes && !npp_addr_is_any(&f->addr6); i++)
		for (uint32_t j = 0; j < t->nodes[i].n_ifs; j++) {
			if (&t->nodes[i].ifs[j] == f)
				return;
			if (npp_addr_eq(&t->nodes[i].ifs[j].addr6, &f->addr6) && same_seg(t, t->nodes[i].ifs[j].net, f->net))
				npp_conf_error(t->conf, f->at, "%s is node '%s' already", npp_addr_format(&f->addr6, text),
					       t->nodes[i].name);
		}
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

	if (!n->n_ifs || npp_addr_is_any(gw) || topo_lost_net(n))
		return;	/* told already, or it may be on one that was not understood */
	for (i = 0; i < n->n_ifs; i++)
		if (npp_addr_is_v4(gw) ? !t->nets[n->ifs[i].net].mask : ip6_in_doubt(t, &t->nets[n->ifs[i].net]))
			return;
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

/* Given are those of IPv4 or of both families; with the key `ipv6` of the lab each IPv4 one has a
 * companion in fd00:0:0:ffff::/64. */
static void whole_addresses(struct topo *t, struct topo_node *n)
{
	const struct npp_conf_node *at = npp_conf_get(n->at, "addresses");
	uint32_t given = n->n_whole, have = given;
	union npp_addr *all = npp_conf_alloc(t->conf, 2 * given + 1, sizeof *all);
	char text[NPP_ADDR_STRLEN];

	for (uint32_t i = 0; all && i < given; i++) {
		for (uint32_t k = 0; k < t->n_nodes; k++)
			for (uint32_t j = 0; j < t->nodes[k].n_ifs + t->nodes[k].n_whole; j++) {
				const struct topo_node *o = &t->nodes[k];
				union npp_addr a = j < o->n_ifs ? npp_addr_v4(htonl(o->ifs[j].addr)) : o->whole[j - o->n_ifs];

				if (npp_addr_eq(&a, &n->whole[i]) && !npp_addr_is_any(&a) && (j < o->n_ifs || o < n || (o == n && j < n->n_ifs + i)))
					npp_conf_error(t->conf, at, "%s is node '%s' already", npp_addr_format(&a, text), o->name);
			}
		all[i] = n->whole[i];
		if (!t->ipv6 || !npp_addr_is_v4(&all[i]))
			continue;
		all[have] = (union npp_addr){ .b = { 0xfd, [6] = 0xff, 0xff } };
		memcpy(all[have++].b + 12, all[i].b + 12, 4);
	}
	if (!all)
		return;
	n->whole = all;
	n->n_whole = have;
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
			if (topo_forwards(n) != (round == 0) || topo_joins(n) || !n->kind)
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
			check_address6(t, &n->ifs[j]);
			check_mac(t, n, &n->ifs[j]);
		}
		if (!npp_addr_is_any(&n->gateway6))
			check_gateway(t, n, npp_conf_get(n->at, "gateway6"), &n->gateway6);
		if (has_gateway(n))
			check_gateway(t, n, npp_conf_get(n->at, "gateway"), &n->gateway);
		for (j = 0; j < n->n_given; j++)
			check_gateway(t, n, npp_conf_get(n->given[j].at, "via"), &n->given[j].via);
	}
	for (i = 0; i < t->n_nodes; i++)
		whole_addresses(t, &t->nodes[i]);
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

static void add_route(struct topo_node *n, const union npp_addr *to, uint32_t len, const union npp_addr *via, uint32_t metric)
{
	if (npp_addr_is_any(via))
		return;
	n->routes[n->n_routes].to = (struct npp_conf_prefix){ .addr = *to, .len = len };
	n->routes[n->n_routes].metric = metric;
	n->routes[n->n_routes++].via = *via;
}

/* Does A lie in the subnet of a network of N? */
static bool on_link(const struct topo *t, const struct topo_node *n, const union npp_addr *a)
{
	for (uint32_t k = 0; k < n->n_ifs; k++) {
		const struct topo_net *net = &t->nets[n->ifs[k].net];

		if (npp_addr_is_v4(a) ? addr_in(net, ntohl(npp_addr_get_v4(a))) :
		    topo_has_ip6(net) && npp_addr_in_prefix(a, &net->subnet6.addr, net->subnet6.len))
			return true;
	}
	return false;
}

/* To the addresses of NPP P as a whole. HOP as first_hops() says. */
static void whole_routes(struct topo *t, struct topo_node *n, const struct topo_node *p, const uint32_t *hop)
{
	const union npp_addr none = { .q = { 0, 0 } };
	union npp_addr via4 = none, via6 = none;
	uint32_t metric = 0;

	for (uint32_t j = 0; j < p->n_ifs; j++)
		for (uint32_t k = 0; k < n->n_ifs; k++) {
			if (!same_seg(t, n->ifs[k].net, p->ifs[j].net) || (metric && n->kind != TOPO_NPP))
				continue;
			via4 = npp_addr_v4(htonl(p->ifs[j].addr));
			for (uint32_t i = 0; i < p->n_whole; i++)
				if (!on_link(t, n, &p->whole[i]))
					add_route(n, &p->whole[i], 128, npp_addr_is_v4(&p->whole[i]) ? &via4 : &p->ifs[j].addr6,
						  metric);
			metric++;
		}
	if (metric)
		return;
	for (uint32_t j = 0; j < p->n_ifs && npp_addr_is_any(&via4); j++) {
		uint32_t first = hop[t->nets[p->ifs[j].net].seg];

		if (!first)
			continue;
		via4 = npp_addr_v4(htonl(first));
		via6 = hop6(t, n, first);
	}
	for (uint32_t i = 0; i < p->n_whole && !npp_addr_eq(&via4, &n->gateway); i++)
		add_route(n, &p->whole[i], 128, npp_addr_is_v4(&p->whole[i]) ? &via4 : &via6, 0);
}

/* An NPP with several ports has a way out by each network that has a router. */
static void more_defaults(struct topo *t, struct topo_node *n)
{
	const union npp_addr all4 = npp_addr_v4(0), all6 = { .q = { 0, 0 } };

	for (uint32_t j = 1; n->kind == TOPO_NPP && has_gateway(n) && j < n->n_ifs; j++)
		for (uint32_t i = 0; i < t->n_nodes; i++) {
			uint32_t a = topo_forwards(&t->nodes[i]) ? router_on(t, &t->nodes[i], n->ifs[j].net) : 0;
			union npp_addr via = npp_addr_v4(htonl(a)), via6;

			if (!a || npp_addr_eq(&via, &n->gateway))
				continue;
			via6 = hop6(t, n, a);
			add_route(n, &all4, 96, &via, j);
			add_route(n, &all6, 0, &via6, j);
			break;
		}
}

static void node_routes(struct topo *t, struct topo_node *n)
{
	uint32_t hop[TOPO_MAX_NETS], i, gw, whole = 0;

	for (i = 0; i < t->n_nodes; i++)
		whole += t->nodes[i].n_whole * TOPO_MAX_PORTS;
	n->routes = npp_conf_alloc(t->conf, 2 * t->n_nets + 2 * n->n_ifs + whole + n->n_given, sizeof *n->routes);
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
	more_defaults(t, n);
	for (i = 0; i < t->n_nodes; i++)
		if (&t->nodes[i] != n)
			whole_routes(t, n, &t->nodes[i], hop);
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
