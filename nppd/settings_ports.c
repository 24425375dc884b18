/* SPDX-License-Identifier: GPL-2.0-or-later
 * settings_ports.c - the ports of an NPP, their addresses and the ways out by them
 *
 * `port` is the short form of a list `ports` of one. What stands below a port is its alone;
 * addresses that stand beside are those of the NPP as a whole: with one port that is no
 * difference, with several they are wherever a port is up.
 */
#include "config.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "nppd/settings.h"

const struct npp_conf_node *settings_nth(const struct npp_conf_node *list, uint32_t i)
{
	const struct npp_conf_node *n = list && list->kind == NPP_CONF_LIST_NODE ? list->first : NULL;

	if (!n)
		return list;
	while (n && i--)
		n = n->next;
	return n;
}

bool settings_link_local(const union npp_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* ---- ports ---------------------------------------------------------------------------------- */

/* Where a link of the name of port I would stand already. */
static bool name_taken(const struct npp_settings *s, uint32_t i)
{
	const struct port_settings *p = &s->port[i];

	for (uint32_t k = 0; k < i; k++) {
		const struct port_settings *o = &s->port[k];

		/* NULL: it could have no name, which was told */
		if (o->name && strcmp(o->name, p->name) == 0 && (!o->netns == !p->netns) && (!o->netns || strcmp(o->netns, p->netns) == 0))
			return true;
	}
	return false;
}

static int check_port(struct npp_conf *c, struct npp_settings *s, uint32_t i)
{
	struct port_settings *p = &s->port[i];

	if (!p->name && strlen(s->name) >= IFNAMSIZ)
		return npp_conf_error_key(c, s->node, "name", "'%s' is too long to name the port as well (at most %d): "
					  "give 'port.name'", s->name, IFNAMSIZ - 1);
	if (!p->name)
		p->name = s->name;
	if (name_taken(s, i))
		return npp_conf_error(c, p->node, "a port before is called '%s' as well: give it another 'name'", p->name);
	for (uint32_t k = 0; k < i && p->mac_given; k++)
		if (s->port[k].mac_given && memcmp(s->port[k].mac, p->mac, 6) == 0)
			return npp_conf_error_key(c, p->node, "mac", "port %u has it already", k);
	p->autoconf |= s->autoconf;
	return 0;
}

/* ---- addresses --------------------------------------------------------------------------------- */

static bool usable(const struct npp_conf_prefix *p)
{
	static const union npp_addr loopback = { .b = { [15] = 1 } };
	bool v4 = npp_addr_is_v4(&p->addr);
	uint32_t host = ntohl(p->addr.w[3]), mask;

	if (npp_addr_is_any(&p->addr) || npp_addr_eq(&p->addr, &loopback) || p->addr.b[v4 ? 12 : 0] == 0xff ||
	    (v4 && (p->addr.b[12] & 0xf0) >= 0xe0) || (v4 && p->addr.b[12] == 127))
		return false;
	if (!v4 || p->len < 96 || p->len > 126)
		return true;
	mask = p->len == 96 ? 0xffffffffu : 0xffffffffu >> (p->len - 96);
	return (host & mask) != 0 && (host & mask) != mask;
}

static int add_addr(struct npp_conf *c, struct npp_settings *s, const struct npp_conf_prefix *p, uint8_t port,
		    const struct npp_conf_node *n)
{
	if (!usable(p))
		return npp_conf_error(c, n, "%s cannot be the address of a machine", n->text);
	for (uint32_t k = 0; k < s->n_all; k++)
		if (npp_addr_eq(&p->addr, &s->all[k].p.addr) && (s->all[k].port == port || !settings_link_local(&p->addr)))
			return npp_conf_error(c, n, "%s stands there twice", n->text);
	if (port == NPP_PORT_ANY && s->n_ports > 1 && settings_link_local(&p->addr))
		return npp_conf_error(c, n, "%s is valid on one link only: it belongs to a port", n->text);
	/* each port with IPv6 has a link-local one as well */
	if (s->n_all + s->n_ports > NPP_MAX_IF_ADDRS)
		return npp_conf_error(c, n, "more than %d addresses", NPP_MAX_IF_ADDRS - (int)s->n_ports);
	s->all[s->n_all++] = (struct addr_settings){ .p = *p, .port = port, .node = n };
	return 0;
}

static int add_list(struct npp_conf *c, struct npp_settings *s, const struct npp_conf_node *map,
		    const struct npp_conf_prefix *p, uint32_t n, uint8_t port)
{
	const struct npp_conf_node *list = npp_conf_get(map, "addresses");
	int r = 0;

	for (uint32_t i = 0; i < n; i++)
		if (add_addr(c, s, &p[i], port, settings_nth(list, i)) < 0)
			r = -EINVAL;
	return r;
}

static bool has_ip6(const struct npp_settings *s, uint32_t port)
{
	bool ip6 = s->port[port].autoconf;

	for (uint32_t i = 0; i < s->n_all; i++)
		ip6 |= !npp_addr_is_v4(&s->all[i].p.addr) && (s->all[i].port == port || s->all[i].port == NPP_PORT_ANY);
	return ip6;
}

static int check_mtu(struct npp_conf *c, const struct npp_settings *s, uint32_t i)
{
	if (!has_ip6(s, i) || s->port[i].mtu >= 1280)
		return 0;
	return npp_conf_error_key(c, s->n_ports_list ? s->port[i].node : s->node, s->n_ports_list ? "mtu" : "port",
				  "an mtu of %u is too small for IPv6: at least 1280", s->port[i].mtu);
}

static bool learns_any(const struct npp_settings *s)
{
	bool any = false;

	for (uint32_t i = 0; i < s->n_ports; i++)
		any |= s->port[i].autoconf;
	return any;
}

int settings_check_ports(struct npp_conf *c, struct npp_settings *s)
{
	int r = 0;

	if (s->n_ports_list && npp_conf_get(s->node, "port"))
		r = npp_conf_error_key(c, s->node, "port", "stands beside 'ports': it is the form for a single one");
	s->n_ports = s->n_ports_list ? s->n_ports_list : 1;
	if (s->n_ports_list)
		memcpy(s->port, s->ports_list, s->n_ports * sizeof s->port[0]);
	for (uint32_t i = 0; i < s->n_ports; i++)
		if (check_port(c, s, i) < 0)
			r = -EINVAL;
	if (add_list(c, s, s->node, s->addrs, s->n_addrs, NPP_PORT_ANY) < 0)
		r = -EINVAL;
	for (uint32_t i = 0; i < s->n_ports; i++)
		if (add_list(c, s, s->port[i].node, s->port[i].addrs, s->port[i].n_addrs, (uint8_t)i) < 0)
			r = -EINVAL;
	if (r == 0 && s->n_all == 0 && !learns_any(s))
		r = npp_conf_error_key(c, s->node, "addresses", "is missing, and there is no 'autoconf: yes'");
	for (uint32_t i = 0; i < s->n_ports; i++)
		if (check_mtu(c, s, i) < 0)
			r = -EINVAL;
	return r;
}

/* ---- ways out ------------------------------------------------------------------------------------ */

uint32_t settings_ports_to(const struct npp_settings *s, const union npp_addr *via)
{
	uint32_t all = (1u << s->n_ports) - 1, ports = 0;

	if (settings_link_local(via))
		return all;
	for (uint32_t i = 0; i < s->n_all; i++)
		if (npp_addr_in_prefix(via, &s->all[i].p.addr, s->all[i].p.len))
			ports |= s->all[i].port == NPP_PORT_ANY ? all : 1u << s->all[i].port;
	return ports;
}

uint32_t settings_ports_of_route(const struct npp_settings *s, const struct route_settings *r)
{
	if (npp_conf_get(r->node, "port"))
		return 1u << r->port;
	return npp_addr_is_any(&r->via) ? (1u << s->n_ports) - 1 : settings_ports_to(s, &r->via);
}

/* PORTS: on which VIA has to be. */
static int check_next_hop(struct npp_conf *c, const struct npp_settings *s, const struct npp_conf_node *map,
			  const char *key, const union npp_addr *via, uint32_t ports)
{
	char text[NPP_ADDR_STRLEN];

	if (!(settings_ports_to(s, via) & ports))
		return npp_conf_error_key(c, map, key, "%s is in no network that 'addresses' names",
					  npp_addr_format(via, text));
	for (uint32_t i = 0; i < s->n_all; i++)
		if (npp_addr_eq(via, &s->all[i].p.addr))
			return npp_conf_error_key(c, map, key, "%s is our own address", npp_addr_format(via, text));
	return 0;
}

static int check_gateways(struct npp_conf *c, const struct npp_settings *s, const struct npp_conf_node *map,
			  const union npp_addr *gw, const union npp_addr *gw6, uint32_t ports)
{
	int r = 0;

	if (npp_conf_get(map, "gateway") && !npp_addr_is_v4(gw))
		r = npp_conf_error_key(c, map, "gateway", "is an IPv6 address: that is key 'gateway6'");
	else if (npp_conf_get(map, "gateway") && check_next_hop(c, s, map, "gateway", gw, ports) < 0)
		r = -EINVAL;
	if (!npp_conf_get(map, "gateway6"))
		return r;
	if (npp_addr_is_v4(gw6))
		return npp_conf_error_key(c, map, "gateway6", "is an IPv4 address: that is key 'gateway'");
	if (s->n_ports > 1 && map == s->node && settings_link_local(gw6))
		return npp_conf_error_key(c, map, "gateway6", "is valid on one link only: it belongs to a port");
	return check_next_hop(c, s, map, "gateway6", gw6, ports) < 0 ? -EINVAL : r;
}

static int check_route(struct npp_conf *c, const struct npp_settings *s, const struct route_settings *rt)
{
	uint32_t all = (1u << s->n_ports) - 1, ports = all;

	if (npp_conf_get(rt->node, "port")) {
		if (rt->port >= s->n_ports)
			return npp_conf_error_key(c, rt->node, "port", "there is no port %u", rt->port);
		ports = 1u << rt->port;
	} else if (s->n_ports > 1 && (!npp_conf_get(rt->node, "via") || settings_link_local(&rt->via))) {
		return npp_conf_error_key(c, rt->node, "port", "is missing: the network may be on any of the ports");
	}
	if (!npp_conf_get(rt->node, "via"))
		return 0;
	if (npp_addr_is_v4(&rt->via) != npp_addr_is_v4(&rt->to.addr))
		return npp_conf_error_key(c, rt->node, "via", "is of another family than 'to'");
	return check_next_hop(c, s, rt->node, "via", &rt->via, ports);
}

/* Entries of the table that the gateways take: one for each port by which they are reached. */
static uint32_t count_gateways(const struct npp_settings *s)
{
	const union npp_addr *both[] = { &s->gateway, &s->gateway6 };
	uint32_t n = 0;

	for (unsigned i = 0; i < 2; i++)
		if (!npp_addr_is_any(both[i]))
			n += (uint32_t)__builtin_popcount(settings_ports_to(s, both[i]));
	for (uint32_t i = 0; i < s->n_ports; i++)
		n += !npp_addr_is_any(&s->port[i].gateway) + !npp_addr_is_any(&s->port[i].gateway6);
	return n;
}

int settings_check_routes(struct npp_conf *c, struct npp_settings *s)
{
	uint32_t all = (1u << s->n_ports) - 1, n = count_gateways(s);
	int r = check_gateways(c, s, s->node, &s->gateway, &s->gateway6, all);

	for (uint32_t i = 0; i < s->n_ports; i++) {
		const struct port_settings *p = &s->port[i];

		if (check_gateways(c, s, p->node, &p->gateway, &p->gateway6, 1u << i) < 0)
			r = -EINVAL;
	}
	for (uint32_t i = 0; i < s->n_routes; i++) {
		if (check_route(c, s, &s->routes[i]) < 0)
			r = -EINVAL;
		else
			n += (uint32_t)__builtin_popcount(settings_ports_of_route(s, &s->routes[i]));
	}
	if (r == 0 && n > NPP_MAX_ROUTES)
		r = npp_conf_error_key(c, s->node, "routes", "are too many: by each port that they go by, with gateways, %u, "
				       "at most %d", n, NPP_MAX_ROUTES);
	return r;
}
