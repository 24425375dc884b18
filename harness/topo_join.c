/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo_join.c - switches and wires: nodes that join networks
 *
 * What they join is one segment: a tree of networks, of which one has the subnet and all
 * have its addresses. A second way between two of them would let frames go in circles,
 * since bridges here have no spanning tree.
 */
#include "config.h"

#include <string.h>

#include "harness/topo.h"

static uint32_t seg_of(const struct topo *t, uint32_t net)
{
	while (t->nets[net].seg != net)
		net = t->nets[net].seg;
	return net;
}

/* Networks A and B, joined by link F. */
static void join(struct topo *t, const struct topo_node *n, const struct topo_if *f, uint32_t a, uint32_t b)
{
	uint32_t sa = seg_of(t, a), sb = seg_of(t, b);

	if (sa == sb) {
		npp_conf_error(t->conf, f->at, "there is a way from '%s' to '%s' already: with '%s' frames would go in circles",
			       t->nets[a].name, t->nets[b].name, n->name);
		return;
	}
	if (topo_has_subnet(&t->nets[sa]) && topo_has_subnet(&t->nets[sb])) {
		npp_conf_error(t->conf, f->at, "'%s' and '%s' both have a subnet: what '%s' joins is one network, with one",
			       t->nets[sa].name, t->nets[sb].name, n->name);
		return;
	}
	if (topo_has_subnet(&t->nets[sb]))
		t->nets[sa].seg = sb;
	else
		t->nets[sb].seg = sa;
}

static void check_joiner(struct topo *t, struct topo_node *n)
{
	static const char *const keys[] = { "gateway", "gateway6", "routes" };
	const char *what = topo_kind_name(n->kind);
	uint32_t j, ends = n->networks_at && n->networks_at->kind != NPP_CONF_SCALAR ? n->networks_at->count : 1;

	for (j = 0; j < sizeof keys / sizeof *keys; j++)
		if (npp_conf_get(n->at, keys[j]))
			npp_conf_error_key(t->conf, n->at, keys[j], "a %s has no addresses and no routes", what);
	for (j = 0; j < n->n_ifs; j++) {
		struct topo_if *f = &n->ifs[j];

		if (f->addr || !npp_addr_is_any(&f->addr6) || f->autoconf)
			npp_conf_error(t->conf, f->at, "a %s has no address", what);
		if (n->kind == TOPO_WIRE && (f->wire || f->mac_given))
			npp_conf_error(t->conf, f->at, "settings of a wire stand in its own key 'wire'");
	}
	if (n->kind == TOPO_WIRE && strchr(n->name, '.'))	/* wire.a.b is that of a link */
		npp_conf_error(t->conf, n->at, "the name of a wire has no dot");
	if (n->kind == TOPO_WIRE && n->n_ifs && ends != 2)
		npp_conf_error(t->conf, n->at, "a wire has two ends: two networks");
	for (j = 1; j < n->n_ifs; j++)
		join(t, n, &n->ifs[j], n->ifs[0].net, n->ifs[j].net);
}

/* May N be joined with a network that has a subnet, or have one, but for an error? */
static bool subnet_in_doubt(const struct topo *t, const struct topo_net *n)
{
	uint32_t i;

	for (i = 0; i < t->n_nodes; i++)
		if (!t->nodes[i].kind || (topo_joins(&t->nodes[i]) && (!t->nodes[i].n_ifs || topo_lost_net(&t->nodes[i]))))
			return true;
	for (i = 0; i < t->n_nets; i++)
		if (t->nets[i].seg == n->seg && (npp_conf_get(t->nets[i].at, "subnet") || npp_conf_in_doubt(t->nets[i].at, "subnet") ||
						 npp_conf_get(t->nets[i].at, "subnet6") || npp_conf_in_doubt(t->nets[i].at, "subnet6")))
			return true;
	return false;
}

/* What a network has that has none of its own. */
static void inherit(struct topo *t, struct topo_net *n)
{
	struct topo_net *s = &t->nets[n->seg];

	if (!topo_has_subnet(s) && t->ipv6 == TOPO_IPV6_ONLY && !subnet_in_doubt(t, n))
		topo_number_ip6(t, s);
	if (!topo_has_subnet(s)) {
		if (!subnet_in_doubt(t, n))
			npp_conf_error_key(t->conf, n->at, "subnet", "is missing, and so is 'subnet6'%s", n == s ? "" :
					   ", here and in what the network is joined with");
		return;
	}
	if (n == s) {
		if (topo_has_ip6(n) && n->mtu < 1280 && !npp_conf_in_doubt(n->at, "mtu"))
			npp_conf_error_key(t->conf, n->at, "mtu", "%u is too small for IPv6: at least 1280", n->mtu);
		return;
	}
	n->subnet = s->subnet;
	n->subnet6 = s->subnet6;
	n->base = s->base;
	n->mask = s->mask;
	if (!npp_conf_get(n->at, "mtu"))
		n->mtu = s->mtu;
	else if (n->mtu != s->mtu && !npp_conf_in_doubt(n->at, "mtu") && !npp_conf_in_doubt(s->at, "mtu"))
		npp_conf_error_key(t->conf, n->at, "mtu", "is not that of '%s' (%u), which it is joined with", s->name, s->mtu);
}

/* A node is on a segment once; an NPP may have several ports on it, of which one takes the other's place. */
static void check_once(struct topo *t, const struct topo_node *n)
{
	uint32_t i, j;

	for (i = 0; !topo_joins(n) && n->kind != TOPO_NPP && i < n->n_ifs; i++)
		for (j = 0; j < i; j++) {
			const struct topo_net *a = &t->nets[n->ifs[j].net], *b = &t->nets[n->ifs[i].net];

			if (a->seg == b->seg)
				npp_conf_error(t->conf, n->ifs[i].at, "'%s' and '%s' are joined: a node is on one of them",
					       a->name, b->name);
		}
}

void topo_join(struct topo *t)
{
	uint32_t i;

	for (i = 0; i < t->n_nets; i++)
		t->nets[i].seg = i;
	for (i = 0; i < t->n_nodes; i++)
		if (topo_joins(&t->nodes[i]))
			check_joiner(t, &t->nodes[i]);
	for (i = 0; i < t->n_nets; i++)
		t->nets[i].seg = seg_of(t, i);
	for (i = 0; i < t->n_nets; i++)
		inherit(t, &t->nets[i]);
	for (i = 0; i < t->n_nodes; i++)
		check_once(t, &t->nodes[i]);
}
