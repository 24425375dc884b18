/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo_derive.c - what a topology does not say: addresses, MACs (gateways, routes: topo_routes.c)
 *
 * Routers take the lowest free addresses of a subnet from .1, all others from .10 (from .1 in
 * subnets smaller than /27). On networks of both families the IPv6 address has the host part of
 * the IPv4 one; on those of IPv6 alone it goes by the same rule, from ::1 and ::a. MACs: 02, number
 * of the network, IPv4 address, or the end of the IPv6 address; what a node makes of a router's
 * advertisement follows from that.
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "harness/topo.h"

static bool addr_in(const struct topo_net *n, uint32_t addr)
{
	return topo_has_ip4(n) && (addr & n->mask) == n->base;
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

			if (f != except && f->addr == addr && topo_same_seg(t, f->net, net))
				return &t->nodes[i];
		}
	return NULL;
}

/* Would N have another subnet of the family, its own or its segment's, but for an error? */
static bool subnet_in_doubt(const struct topo *t, const struct topo_net *n, bool ip6)
{
	const struct topo_net *s = &t->nets[n->seg];

	if (npp_conf_in_doubt(n->at, "subnet") || npp_conf_in_doubt(s->at, "subnet") || !topo_has_subnet(n))
		return true;
	return ip6 && (npp_conf_in_doubt(n->at, "subnet6") || npp_conf_in_doubt(s->at, "subnet6") ||
		       npp_conf_in_doubt(npp_conf_root(t->conf), "ipv6"));
}

static void check_address(struct topo *t, const struct topo_if *f)
{
	const struct topo_net *n = &t->nets[f->net];
	const struct topo_node *other;
	char a[NPP_ADDR_STRLEN], b[NPP_ADDR_STRLEN];

	if (!topo_has_ip4(n)) {
		if (!subnet_in_doubt(t, n, false))
			npp_conf_error(t->conf, f->at, "%s is IPv4, and network '%s' has no 'subnet'",
				       topo_addr_text(f->addr, a), n->name);
		return;
	}
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

/* Where the search for NODE's address begins. */
static uint32_t first_host(const struct topo_node *node, const struct topo_net *n)
{
	return topo_forwards(node) || (topo_has_ip4(n) && topo_plen(n) >= 27) ? 1 : 10;
}

static void give_address(struct topo *t, const struct topo_node *node, struct topo_if *f)
{
	const struct topo_net *n = &t->nets[f->net];
	uint32_t a;

	if (!topo_has_ip4(n))
		return;
	for (a = n->base + first_host(node, n); addr_is_host(n, a); a++)
		if (!addr_owner(t, f->net, a, f)) {
			f->addr = a;
			return;
		}
	npp_conf_error(t->conf, f->at, "no address is left in network '%s'", n->name);
}

static bool addr6_taken(const struct topo *t, uint32_t net, const union npp_addr *a)
{
	for (uint32_t i = 0; i < t->n_nodes; i++)
		for (uint32_t j = 0; j < t->nodes[i].n_ifs; j++)
			if (npp_addr_eq(&t->nodes[i].ifs[j].addr6, a) && topo_same_seg(t, t->nodes[i].ifs[j].net, net))
				return true;
	return false;
}

/* On a network without IPv4; its host part has at least 32 bits, more than there are links. */
static void give_address6_alone(struct topo *t, const struct topo_node *node, struct topo_if *f)
{
	const struct topo_net *n = &t->nets[f->net];
	union npp_addr a = n->subnet6.addr;

	if (topo_has_ip4(n) || !topo_has_ip6(n) || !npp_addr_is_any(&f->addr6))
		return;
	for (uint32_t host = first_host(node, n);; host++) {
		a.w[3] = htonl(host);
		if (!addr6_taken(t, f->net, &a))
			break;
	}
	f->addr6 = a;
}

/* Not given: the subnet and, as the host part, that of the IPv4 address. */
static void give_address6(struct topo *t, struct topo_if *f)
{
	const struct topo_net *n = &t->nets[f->net];
	uint32_t host = htonl(f->addr & ~n->mask);
	char text[NPP_ADDR_STRLEN];

	if (!npp_addr_is_any(&f->addr6)) {
		npp_addr_format(&f->addr6, text);
		if (!topo_has_ip6(n) && !subnet_in_doubt(t, n, true))
			npp_conf_error(t->conf, f->at, "%s is IPv6, and network '%s' has no 'subnet6'", text, n->name);
		else if (topo_has_ip6(n) && !npp_addr_in_prefix(&f->addr6, &n->subnet6.addr, n->subnet6.len))
			npp_conf_error(t->conf, f->at, "%s lies outside the IPv6 subnet of network '%s'", text, n->name);
		else if (topo_has_ip6(n) && npp_addr_eq(&f->addr6, &n->subnet6.addr))
			npp_conf_error(t->conf, f->at, "%s is that of all routers of network '%s'", text, n->name);
		return;
	}
	if (!topo_has_ip6(n) || !topo_has_ip4(n))
		return;
	f->addr6 = n->subnet6.addr;
	memcpy(f->addr6.b + 12, &host, 4);
}

static bool has_router(const struct topo *t, uint32_t net)
{
	for (uint32_t i = 0; i < t->n_nodes; i++)
		for (uint32_t j = 0; topo_forwards(&t->nodes[i]) && j < t->nodes[i].n_ifs; j++)
			if (topo_same_seg(t, t->nodes[i].ifs[j].net, net))
				return true;
	return false;
}

/* Can F, of NODE, have its address by autoconfiguration? */
static void check_autoconf(struct topo *t, const struct topo_node *node, const struct topo_if *f)
{
	const struct topo_net *n = &t->nets[f->net];

	if (!f->autoconf || !node->kind || topo_joins(node))
		return;
	if (topo_forwards(node))
		npp_conf_error(t->conf, f->at, "a %s has no 'autoconf': it is who advertises", topo_kind_name(node->kind));
	else if (!npp_addr_is_any(&f->addr6))
		npp_conf_error(t->conf, f->at, "has an IPv6 address, or 'autoconf', not both");
	else if (!subnet_in_doubt(t, n, true) && (!topo_has_ip6(n) || n->subnet6.len != 64))
		npp_conf_error(t->conf, f->at, "'autoconf' needs a 'subnet6' of /64, which network '%s' has not", n->name);
	else if (!has_router(t, f->net))
		npp_conf_error(t->conf, f->at, "'autoconf' needs a router that advertises, and network '%s' has none", n->name);
}

/* RFC 4862 with the identifier of RFC 2464. */
static void make_autoconf(const struct topo *t, struct topo_if *f)
{
	const uint8_t id[8] = { f->mac[0] ^ 2, f->mac[1], f->mac[2], 0xff, 0xfe, f->mac[3], f->mac[4], f->mac[5] };

	f->addr6 = t->nets[f->net].subnet6.addr;
	memcpy(f->addr6.b + 8, id, 8);
}

/* Against those that stand before it. */
static void check_address6(struct topo *t, const struct topo_if *f)
{
	char text[NPP_ADDR_STRLEN];

	for (uint32_t i = 0; i < t->n_nodes && !npp_addr_is_any(&f->addr6); i++)
		for (uint32_t j = 0; j < t->nodes[i].n_ifs; j++) {
			if (&t->nodes[i].ifs[j] == f)
				return;
			if (npp_addr_eq(&t->nodes[i].ifs[j].addr6, &f->addr6) && topo_same_seg(t, t->nodes[i].ifs[j].net, f->net))
				npp_conf_error(t->conf, f->at, "%s is node '%s' already", npp_addr_format(&f->addr6, text),
					       t->nodes[i].name);
		}
}

/* A node before NODE that has the MAC of F on its segment; NULL: none. */
static const struct topo_if *mac_owner(const struct topo *t, const struct topo_node *node, const struct topo_if *f,
				       const char **name)
{
	for (const struct topo_node *n = t->nodes; n < node; n++)
		for (uint32_t j = 0; j < n->n_ifs; j++)
			if (topo_same_seg(t, n->ifs[j].net, f->net) && memcmp(n->ifs[j].mac, f->mac, 6) == 0) {
				*name = n->name;
				return &n->ifs[j];
			}
	return NULL;
}

static void check_mac(struct topo *t, const struct topo_node *node, struct topo_if *f)
{
	uint32_t host = topo_joins(node) ? 0xfffffc00 | (uint32_t)(node - t->nodes) : f->addr ? f->addr : ntohl(f->addr6.w[3]), be;
	const struct topo_if *o;
	const char *name = "";

	do {	/* IPv6 addresses may differ in what comes before their end */
		be = htonl(host++);
		if (f->mac_given)
			break;
		f->mac[0] = 0x02;
		f->mac[1] = (uint8_t)f->net;
		memcpy(f->mac + 2, &be, 4);
	} while (!f->addr && !topo_joins(node) && mac_owner(t, node, f, &name));
	o = mac_owner(t, node, f, &name);
	/* The same address was reported already: the same derived MAC is no news. */
	if (o && (f->mac_given || o->addr != f->addr))
		npp_conf_error(t->conf, f->at, "node '%s' has this MAC already", name);
}

/* GW, at AT, lies on one of N's networks, and is not N. */
static void check_gateway(struct topo *t, const struct topo_node *n, const struct npp_conf_node *at,
			  const union npp_addr *gw)
{
	bool ip6 = !npp_addr_is_v4(gw);
	char text[NPP_ADDR_STRLEN];

	if (!n->n_ifs || npp_addr_is_any(gw) || topo_lost_net(n))
		return;	/* told already, or it may be on one that was not understood */
	npp_addr_format(gw, text);
	for (uint32_t i = 0; i < n->n_ifs; i++) {
		union npp_addr own = topo_if_addr(&n->ifs[i], ip6);

		if (subnet_in_doubt(t, &t->nets[n->ifs[i].net], ip6))
			return;
		if (ip6 && n->kind == TOPO_NPP && topo_learns_way(t, n, gw)) {
			npp_conf_error(t->conf, at, "%s is on a link with 'autoconf': its routers are learned", text);
			return;
		}
		if (npp_addr_eq(&own, gw)) {
			npp_conf_error(t->conf, at, "%s is the node itself", text);
			return;
		}
	}
	for (uint32_t i = 0; i < n->n_ifs; i++) {
		const struct topo_net *net = &t->nets[n->ifs[i].net];

		if (ip6 ? topo_has_ip6(net) && npp_addr_in_prefix(gw, &net->subnet6.addr, net->subnet6.len) :
			  addr_in(net, ntohl(npp_addr_get_v4(gw))))
			return;
	}
	npp_conf_error(t->conf, at, "%s lies on none of the node's %snetworks", text, ip6 ? "IPv6 " : "");
}

static void check_gateways(struct topo *t, const struct topo_node *n)
{
	static const char *const keys[2] = { "gateway", "gateway6" };
	const union npp_addr *gw[2] = { &n->gateway, &n->gateway6 };

	for (int i = 0; i < 2; i++) {
		const struct npp_conf_node *at = npp_conf_get(n->at, keys[i]);

		if (npp_addr_is_any(gw[i]))
			continue;
		if (npp_addr_is_v4(gw[i]) != (i == 0))
			npp_conf_error(t->conf, at, "is an IPv%d address: that is key '%s'", i ? 4 : 6, keys[!i]);
		else
			check_gateway(t, n, at, gw[i]);
	}
	for (uint32_t j = 0; j < n->n_given; j++) {
		const struct topo_route *r = &n->given[j];
		const struct npp_conf_node *via = npp_conf_get(r->at, "via");

		if (via && npp_conf_get(r->at, "to") && !npp_conf_in_doubt(r->at, "to") && !npp_conf_in_doubt(r->at, "via") &&
		    npp_addr_is_v4(&r->to.addr) != npp_addr_is_v4(&r->via))
			npp_conf_error(t->conf, via, "is of another family than 'to'");
		else
			check_gateway(t, n, via, &r->via);
	}
}

/* Nobody has a way to A, of NPP N, but by a port of its family. */
static void check_whole(struct topo *t, const struct topo_node *n, const struct npp_conf_node *at, const union npp_addr *a)
{
	bool ip6 = !npp_addr_is_v4(a);
	char text[NPP_ADDR_STRLEN];

	if (npp_addr_is_any(a) || topo_lost_net(n))
		return;
	for (uint32_t j = 0; j < n->n_ifs; j++)
		if (topo_has_family(&t->nets[n->ifs[j].net], ip6) || subnet_in_doubt(t, &t->nets[n->ifs[j].net], ip6))
			return;
	npp_conf_error(t->conf, at, "%s is IPv%d, and none of the NPP's networks has a '%s'", npp_addr_format(a, text), ip6 ? 6 : 4,
		       ip6 ? "subnet6" : "subnet");
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
		check_whole(t, n, at, &n->whole[i]);
		for (uint32_t k = 0; k < t->n_nodes; k++)
			for (uint32_t j = 0; j < t->nodes[k].n_ifs + t->nodes[k].n_whole; j++) {
				const struct topo_node *o = &t->nodes[k];
				union npp_addr a = j < o->n_ifs ? topo_if_addr(&o->ifs[j], !npp_addr_is_v4(&n->whole[i])) :
						  o->whole[j - o->n_ifs];

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
		for (j = 0; j < t->nodes[i].n_ifs; j++) {
			check_autoconf(t, &t->nodes[i], &t->nodes[i].ifs[j]);
			if (t->nodes[i].ifs[j].addr)
				check_address(t, &t->nodes[i].ifs[j]);
		}
	for (round = 0; round < 2; round++)	/* routers first */
		for (i = 0; i < t->n_nodes; i++) {
			n = &t->nodes[i];
			if (topo_forwards(n) != (round == 0) || topo_joins(n) || !n->kind)
				continue;
			for (j = 0; j < n->n_ifs; j++) {
				if (!n->ifs[j].addr)
					give_address(t, n, &n->ifs[j]);
				give_address6_alone(t, n, &n->ifs[j]);
			}
		}
	for (i = 0; i < t->n_nodes; i++) {
		n = &t->nodes[i];
		for (j = 0; j < n->n_ifs; j++) {
			if (!topo_joins(n))
				give_address6(t, &n->ifs[j]);
			check_mac(t, n, &n->ifs[j]);
			if (n->ifs[j].autoconf && topo_has_ip6(&t->nets[n->ifs[j].net]))
				make_autoconf(t, &n->ifs[j]);
			check_address6(t, &n->ifs[j]);
		}
		check_gateways(t, n);
	}
	for (i = 0; i < t->n_nodes; i++)
		whole_addresses(t, &t->nodes[i]);
}
