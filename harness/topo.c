/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo.c - read and check a topology file
 *
 * The tables below bind the file to structs (lib/conf.h); what needs more than one key
 * is checked after that: names that must exist, keys that a kind of node may not have,
 * who serves whom. Each step goes on after an error, so that a user sees all of them at
 * once, but says nothing of what may only follow from one (npp_conf_in_doubt()).
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/topo.h"
#include "nppd/settings.h"
#include "lib/self.h"

static const struct npp_conf_enum kinds[] = {
	{ "host", TOPO_HOST }, { "npp", TOPO_NPP }, { "client", TOPO_CLIENT },
	{ "router", TOPO_ROUTER }, { "firewall", TOPO_FIREWALL }, { "switch", TOPO_SWITCH }, { "wire", TOPO_WIRE },
	{ NULL, 0 }
};
static const struct npp_conf_enum stacks[] = {
	{ "kernel", TOPO_STACK_KERNEL }, { "npp", TOPO_STACK_NPP }, { NULL, 0 }
};
static const struct npp_conf_enum engines[] = {
	{ "process", TOPO_ENGINE_PROCESS }, { "kernel", TOPO_ENGINE_KERNEL }, { NULL, 0 }
};

static const struct npp_conf_enum routings[] = {
	{ "static", TOPO_ROUTING_STATIC }, { "bird", TOPO_ROUTING_BIRD }, { NULL, 0 }
};
static const struct npp_conf_enum protocols[] = {
	{ "ospf", TOPO_PROTOCOL_OSPF }, { "rip", TOPO_PROTOCOL_RIP }, { NULL, 0 }
};
static const struct npp_conf_enum families[] = {
	{ "no", TOPO_IPV6_NO }, { "yes", TOPO_IPV6_YES }, { "only", TOPO_IPV6_ONLY },
	{ "false", TOPO_IPV6_NO }, { "true", TOPO_IPV6_YES }, { "off", TOPO_IPV6_NO }, { "on", TOPO_IPV6_YES }, { NULL, 0 }
};
static const struct npp_conf_enum policies[] = {
	{ "weight", TOPO_POLICY_WEIGHT }, { "standby", TOPO_POLICY_STANDBY }, { "load", TOPO_POLICY_LOAD }, { NULL, 0 }
};

static const struct npp_conf_field net_fields[] = {
	{ .type = NPP_CONF_KEYNAME, .off = offsetof(struct topo_net, name) },
	{ .type = NPP_CONF_SELF, .off = offsetof(struct topo_net, at) },
	{ "subnet", NPP_CONF_PREFIX, offsetof(struct topo_net, subnet), .flags = 0 },
	{ "subnet6", NPP_CONF_PREFIX, offsetof(struct topo_net, subnet6), .flags = 0 },
	{ "mtu", NPP_CONF_U32, offsetof(struct topo_net, mtu), .min = 576, .max = 9216, .dflt = "1500" },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema net_schema = { sizeof(struct topo_net), net_fields, NULL };

static const struct npp_conf_field route_fields[] = {
	{ "to", NPP_CONF_PREFIX, offsetof(struct topo_route, to), .flags = NPP_CONF_REQUIRED },
	{ "via", NPP_CONF_ADDR, offsetof(struct topo_route, via), .flags = NPP_CONF_REQUIRED },
	{ .type = NPP_CONF_SELF, .off = offsetof(struct topo_route, at) },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema route_schema = { sizeof(struct topo_route), route_fields, NULL };
static const struct npp_conf_field route_item = {
	.type = NPP_CONF_MAP, .sub = &route_schema, .size = sizeof(struct topo_route)
};
static const struct npp_conf_field addr_item = { .type = NPP_CONF_ADDR, .size = sizeof(union npp_addr) };
static const struct npp_conf_field name_item = {
	.type = NPP_CONF_NAME, .max = TOPO_NAME_LEN, .size = sizeof(const char *)
};

static const struct npp_conf_field ready_fields[] = {
	{ "port", NPP_CONF_U16, offsetof(struct topo_start, ready.port) - offsetof(struct topo_start, ready), .min = 1, .max = 65535 },
	{ "command", NPP_CONF_STR, offsetof(struct topo_start, ready.command) - offsetof(struct topo_start, ready), .flags = 0 },
	{ .type = NPP_CONF_SELF, .off = offsetof(struct topo_start, ready.at) - offsetof(struct topo_start, ready) },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema ready_schema = { sizeof(((struct topo_start *)0)->ready), ready_fields, NULL };
static const struct npp_conf_field start_fields[] = {
	{ "name", NPP_CONF_NAME, offsetof(struct topo_start, name), .max = TOPO_NAME_LEN },
	{ "command", NPP_CONF_STR, offsetof(struct topo_start, command), .flags = NPP_CONF_REQUIRED },
	{ "ready", NPP_CONF_MAP, offsetof(struct topo_start, ready), .sub = &ready_schema, .flags = NPP_CONF_OPTIONAL },
	{ "deadline", NPP_CONF_TIME, offsetof(struct topo_start, deadline_us), .max = 600000000, .dflt = "10s" },
	{ .type = NPP_CONF_SELF, .off = offsetof(struct topo_start, at) },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema start_schema = { sizeof(struct topo_start), start_fields, NULL };
static const struct npp_conf_field start_item = {
	.type = NPP_CONF_MAP, .sub = &start_schema, .size = sizeof(struct topo_start)
};

static const struct npp_conf_field node_fields[] = {
	{ .type = NPP_CONF_KEYNAME, .off = offsetof(struct topo_node, name) },
	{ .type = NPP_CONF_SELF, .off = offsetof(struct topo_node, at) },
	{ "kind", NPP_CONF_ENUM, offsetof(struct topo_node, kind), .flags = NPP_CONF_REQUIRED, .enums = kinds },
	{ "stack", NPP_CONF_ENUM, offsetof(struct topo_node, stack), .enums = stacks },
	{ "npps", NPP_CONF_LIST, offsetof(struct topo_node, npp_names), .max = TOPO_MAX_NPPS,
	  .count_off = offsetof(struct topo_node, n_npp_names), .item = &name_item },
	{ "iops", NPP_CONF_U32, offsetof(struct topo_node, iops), .min = 1, .max = 32, .dflt = "4" },
	{ "engine", NPP_CONF_ENUM, offsetof(struct topo_node, engine), .enums = engines, .dflt = "process" },
	{ "addresses", NPP_CONF_LIST, offsetof(struct topo_node, whole), .max = TOPO_MAX_WHOLE,
	  .count_off = offsetof(struct topo_node, n_whole), .item = &addr_item },
	{ "hosts", NPP_CONF_NODE, offsetof(struct topo_node, hosts_at), .flags = 0 },
	{ "policy", NPP_CONF_ENUM, offsetof(struct topo_node, policy), .enums = policies, .dflt = "weight" },
	{ "memory", NPP_CONF_SIZE, offsetof(struct topo_node, memory), .dflt = "128M",
	  .min = 16 << 20, .max = 1ll << 36 },
	{ "gateway", NPP_CONF_ADDR, offsetof(struct topo_node, gateway), .flags = 0 },
	{ "gateway6", NPP_CONF_ADDR, offsetof(struct topo_node, gateway6), .flags = 0 },
	{ "networks", NPP_CONF_NODE, offsetof(struct topo_node, networks_at), .flags = 0 },
	{ "options", NPP_CONF_NODE, offsetof(struct topo_node, options_at), .flags = 0 },
	{ "routes", NPP_CONF_LIST, offsetof(struct topo_node, given), .max = 64,
	  .count_off = offsetof(struct topo_node, n_given), .item = &route_item },
	{ "routing", NPP_CONF_ENUM, offsetof(struct topo_node, routing), .enums = routings, .dflt = "static" },
	{ "protocol", NPP_CONF_ENUM, offsetof(struct topo_node, protocol), .enums = protocols, .dflt = "ospf" },
	{ "rules", NPP_CONF_STR, offsetof(struct topo_node, rules), .max = 65536 },
	{ "wire", NPP_CONF_NODE, offsetof(struct topo_node, wire_at), .flags = 0 },
	{ "start", NPP_CONF_LIST, offsetof(struct topo_node, starts), .max = TOPO_MAX_STARTS,
	  .count_off = offsetof(struct topo_node, n_starts), .item = &start_item },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema node_schema = { sizeof(struct topo_node), node_fields, NULL };

static const struct npp_conf_field topo_fields[] = {
	{ "name", NPP_CONF_NAME, offsetof(struct topo, name), .max = TOPO_LAB_LEN },
	{ "ipv6", NPP_CONF_ENUM, offsetof(struct topo, ipv6), .enums = families, .dflt = "no" },
	{ "networks", NPP_CONF_NAMES, offsetof(struct topo, nets), .flags = NPP_CONF_REQUIRED,
	  .min = 1, .max = TOPO_MAX_NETS, .count_off = offsetof(struct topo, n_nets), .sub = &net_schema },
	{ "nodes", NPP_CONF_NAMES, offsetof(struct topo, nodes), .flags = NPP_CONF_REQUIRED,
	  .min = 1, .max = TOPO_MAX_NODES, .count_off = offsetof(struct topo, n_nodes), .sub = &node_schema },
	{ .type = NPP_CONF_END }
};
const struct npp_conf_schema topo_file_schema = { sizeof(struct topo), topo_fields, NULL };

const char *topo_engine_name(uint32_t engine)
{
	return engine <= TOPO_ENGINE_KERNEL ? engines[engine].name : "?";
}

const char *topo_policy_name(uint32_t policy)
{
	return policy <= TOPO_POLICY_LOAD ? policies[policy].name : "?";
}

const char *topo_kind_name(uint32_t kind)
{
	const struct npp_conf_enum *e;

	for (e = kinds; e->name; e++)
		if (e->value == kind)
			return e->name;
	return "?";
}

const char *topo_addr_text(uint32_t addr, char *buf)
{
	union npp_addr a = npp_addr_v4(htonl(addr));

	return npp_addr_format(&a, buf);
}

union npp_addr topo_if_addr(const struct topo_if *f, bool ip6)
{
	return ip6 ? f->addr6 : f->addr ? npp_addr_v4(htonl(f->addr)) : (union npp_addr){ .q = { 0, 0 } };
}

bool topo_advertises(const struct topo *t, const struct topo_node *n, uint32_t net)
{
	for (uint32_t i = 0; topo_forwards(n) && i < t->n_nodes; i++)
		for (uint32_t j = 0; j < t->nodes[i].n_ifs; j++)
			if (t->nodes[i].ifs[j].autoconf && topo_same_seg(t, t->nodes[i].ifs[j].net, net))
				return true;
	return false;
}

/* Names become names of links and parts of names of files and namespaces; those of nodes are host names, too. */
static void check_name(struct topo *t, const struct npp_conf_node *at, const char *name, const char *what)
{
	struct in_addr a;

	if (!npp_conf_name_ok(name, 1, 31))
		return;	/* was told */
	if (!npp_conf_name_ok(name, 1, TOPO_NAME_LEN))
		npp_conf_error(t->conf, at, "'%s' is no name for a %s: 1 to %d letters, digits, '-', '_', "
			       "'.', the first a letter or digit", name, what, TOPO_NAME_LEN);
	else if (strcmp(name, "lo") == 0)
		npp_conf_error(t->conf, at, "'lo' is the loopback's name, a %s cannot have it", what);
	else if (strcmp(name, "all") == 0 || strcmp(name, "default") == 0)
		npp_conf_error(t->conf, at, "to the kernel '%s' means every link, a %s cannot have that name", name, what);
	else if (strcmp(what, "node") == 0 && strcmp(name, "localhost") == 0)
		npp_conf_error(t->conf, at, "every node calls itself 'localhost', none can have that name");
	else if (strcmp(what, "node") == 0 && inet_aton(name, &a))
		npp_conf_error(t->conf, at, "'%s' would be taken for an address", name);
}

static void check_nets(struct topo *t)
{
	for (uint32_t i = 0; i < t->n_nets; i++) {
		check_name(t, t->nets[i].at, t->nets[i].name, "network");
		topo_check_net(t, &t->nets[i]);
	}
}

static int find_net(const struct topo *t, const char *name)
{
	uint32_t i;

	for (i = 0; i < t->n_nets; i++)
		if (strcmp(t->nets[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int find_node(const struct topo *t, const char *name)
{
	uint32_t i;

	for (i = 0; i < t->n_nodes; i++)
		if (strcmp(t->nodes[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void unknown_net(struct topo *t, const struct npp_conf_node *at, const char *name)
{
	const char *names[TOPO_MAX_NETS + 1] = { NULL };
	const char *hint;
	uint32_t i;

	for (i = 0; i < t->n_nets; i++)
		names[i] = t->nets[i].name;
	hint = npp_conf_suggest(name, names);
	npp_conf_error(t->conf, at, "there is no network '%s'%s%s%s", name,
		       hint ? " (did you mean '" : "", hint ? hint : "", hint ? "'?)" : "");
}

struct if_conf { union npp_addr address, address6; uint8_t mac[6]; bool autoconf; const struct npp_conf_node *wire; };
static const struct npp_conf_field if_fields[] = {
	{ "address", NPP_CONF_ADDR, offsetof(struct if_conf, address), .flags = 0 },
	{ "address6", NPP_CONF_ADDR, offsetof(struct if_conf, address6), .flags = 0 },
	{ "autoconf", NPP_CONF_BOOL, offsetof(struct if_conf, autoconf), .dflt = "no" },
	{ "mac", NPP_CONF_MAC, offsetof(struct if_conf, mac), .flags = 0 },
	{ "wire", NPP_CONF_NODE, offsetof(struct if_conf, wire), .flags = 0 },
	{ .type = NPP_CONF_END }
};
const struct npp_conf_schema topo_if_schema = { sizeof(struct if_conf), if_fields, NULL };

/* The value behind a network's name: nothing, an address of either family, or a map. */
static void load_if_value(struct topo *t, struct topo_if *f, const struct npp_conf_node *v)
{
	static const uint8_t none[6];
	struct if_conf c = { .mac = { 0 } };

	if (npp_conf_is_null(v) || (v->kind == NPP_CONF_SCALAR && strcmp(v->text, "auto") == 0))
		return;
	if (v->kind == NPP_CONF_SCALAR) {
		if (npp_addr_parse(v->text, &c.address) < 0) {
			npp_conf_error(t->conf, v, "'%s' is no address", v->text);
			return;
		}
		if (!npp_addr_is_v4(&c.address)) {
			f->addr6 = c.address;
			return;
		}
	} else if (npp_conf_bind(t->conf, v, &topo_if_schema, &c) < 0) {
		return;
	}
	f->autoconf = c.autoconf;
	if (c.wire)
		f->wire = topo_load_wire(t, c.wire);
	if (!npp_addr_is_any(&c.address)) {
		if (!npp_addr_is_v4(&c.address))
			npp_conf_error(t->conf, v, "key 'address' is an IPv6 address: that is key 'address6'");
		else
			f->addr = ntohl(npp_addr_get_v4(&c.address));
	}
	if (!npp_addr_is_any(&c.address6)) {
		if (npp_addr_is_v4(&c.address6))
			npp_conf_error(t->conf, v, "key 'address6' is an IPv4 address: that is key 'address'");
		else
			f->addr6 = c.address6;
	}
	if (memcmp(c.mac, none, 6) != 0) {
		if (c.mac[0] & 1)
			npp_conf_error(t->conf, v, "a group address is no link's own MAC");
		memcpy(f->mac, c.mac, 6);
		f->mac_given = true;
	}
}

static void load_if(struct topo *t, struct topo_node *n, const char *name, const struct npp_conf_node *at,
		    const struct npp_conf_node *value)
{
	struct topo_if *f = &n->ifs[n->n_ifs];
	int net = find_net(t, name);
	uint32_t i;

	if (net < 0) {
		if (t->n_nets)	/* else something is wrong with all of them */
			unknown_net(t, at, name);
		return;
	}
	for (i = 0; i < n->n_ifs; i++)
		if (n->ifs[i].net == (uint32_t)net) {
			npp_conf_error(t->conf, at, "a node joins a network once");
			return;
		}
	if (n->n_ifs == TOPO_MAX_IFS) {
		npp_conf_error(t->conf, at, "a node joins at most %d networks", TOPO_MAX_IFS);
		return;
	}
	if (strcmp(name, n->name) == 0)
		npp_conf_error(t->conf, at, "a node needs another name than its network (both name links)");
	memset(f, 0, sizeof *f);
	f->net = (uint32_t)net;
	f->at = at;
	n->n_ifs++;
	if (value)
		load_if_value(t, f, value);
}

/* networks: {lan: 10.0.0.1, dmz: } or [lan, dmz] or lan */
static void load_ifs(struct topo *t, struct topo_node *n)
{
	const struct npp_conf_node *at = n->networks_at, *c;

	if (!at || npp_conf_is_null(at))
		return;
	if (at->kind == NPP_CONF_SCALAR) {
		load_if(t, n, at->text, at, NULL);
		return;
	}
	for (c = at->first; c; c = c->next) {
		if (at->kind == NPP_CONF_MAP_NODE)
			load_if(t, n, c->key, c, c);
		else if (c->kind == NPP_CONF_SCALAR)
			load_if(t, n, c->text, c, NULL);
		else
			npp_conf_error(t->conf, c, "expected the name of a network");
	}
}

static void refuse_key(struct topo *t, const struct topo_node *n, const char *key, const char *why)
{
	if (npp_conf_get(n->at, key))
		npp_conf_error_key(t->conf, n->at, key, "%s", why);
}

/* A program is called by its name, which is that of its command if none was given. */
static void check_starts(struct topo *t, struct topo_node *n)
{
	uint32_t i, j;

	for (i = 0; i < n->n_starts; i++) {
		struct topo_start *s = &n->starts[i];

		if (!s->command || (!s->name && npp_conf_in_doubt(s->at, "name")))
			continue;
		if (!s->name) {
			size_t len = strcspn(s->command, " \t\n;&|");
			const char *from = memrchr(s->command, '/', len);
			char text[TOPO_NAME_LEN + 1];

			from = from ? from + 1 : s->command;
			snprintf(text, sizeof text, "%.*s", (int)(s->command + len - from), from);
			if (!npp_conf_name_ok(text, 1, TOPO_NAME_LEN)) {
				npp_conf_error(t->conf, s->at, "needs a 'name': none can be made from '%s'", s->command);
				continue;
			}
			s->name = npp_conf_strdup(t->conf, text);
		}
		if (s->ready.port && s->ready.command)
			npp_conf_error(t->conf, s->ready.at, "either 'port' or 'command'");
		for (j = 0; s->name && j < i; j++)
			if (n->starts[j].name && strcmp(n->starts[j].name, s->name) == 0)
				npp_conf_error(t->conf, s->at, "'%s' stands here twice: give it another 'name'", s->name);
	}
}

/* What N may have depends on what it is, which an error may leave open. */
static bool kind_in_doubt(const struct topo_node *n)
{
	return !n->kind || (n->kind == TOPO_HOST && npp_conf_in_doubt(n->at, "stack"));
}

static void check_kind(struct topo *t, struct topo_node *n)
{
	bool on_npp = n->kind == TOPO_HOST && n->stack == TOPO_STACK_NPP;

	check_starts(t, n);
	if (kind_in_doubt(n))
		return;
	if (n->kind == TOPO_NPP)
		settings_check_npp_options(t->conf, n->options_at, n->iops);
	else if (on_npp && !npp_conf_in_doubt(n->at, "memory"))
		settings_check_host_options(t->conf, n->options_at, n->at, n->memory);
	if (n->kind != TOPO_HOST) {
		refuse_key(t, n, "stack", "only a host has a choice of stack");
		refuse_key(t, n, "npps", "only a host has NPPs");
		refuse_key(t, n, "memory", "only a host has memory for sockets");
	} else if (!on_npp) {
		refuse_key(t, n, "npps", "only a host with 'stack: npp' has NPPs");
		refuse_key(t, n, "memory", "only a host with 'stack: npp' has memory for sockets");
	}
	if (n->kind != TOPO_NPP)
		refuse_key(t, n, "iops", "only an NPP has IOPs");
	if (n->kind != TOPO_NPP)
		refuse_key(t, n, "engine", "only an NPP dispatches");
	if (n->kind != TOPO_NPP) {
		refuse_key(t, n, "hosts", "only an NPP has hosts that share it");
		refuse_key(t, n, "policy", "only an NPP has hosts that share it");
		refuse_key(t, n, "addresses", "only an NPP has addresses beside those of its links");
	}
	if (n->kind != TOPO_NPP && !on_npp)
		refuse_key(t, n, "options", "only an NPP or a host with 'stack: npp' has options");
	if (n->kind != TOPO_FIREWALL)
		refuse_key(t, n, "rules", "only a firewall has rules");
	if (!topo_forwards(n))
		refuse_key(t, n, "routing", "only routers and firewalls have routing");
	if (n->routing != TOPO_ROUTING_BIRD && !npp_conf_in_doubt(n->at, "routing"))
		refuse_key(t, n, "protocol", "belongs to 'routing: bird'");
	if (n->kind != TOPO_WIRE)
		refuse_key(t, n, "wire", "only a wire has settings; a link's stand in 'networks': {lan: {wire: ...}}");
	if (n->kind == TOPO_NPP)
		refuse_key(t, n, "start", "programs run on hosts, not on NPPs");
	if (on_npp) {
		refuse_key(t, n, "networks", "a host with 'stack: npp' is on the networks of its NPPs");
		refuse_key(t, n, "gateway", "the NPPs of this host have gateways, it has none");
		refuse_key(t, n, "gateway6", "the NPPs of this host have gateways, it has none");
		refuse_key(t, n, "routes", "the NPPs of this host have routes, it has none");
	}
	if (on_npp && n->n_npp_names == 0 && !npp_conf_in_doubt(n->at, "npps"))
		npp_conf_error(t->conf, n->at, "a host with 'stack: npp' needs 'npps'");
	if (!on_npp && n->n_ifs == 0 && !npp_conf_in_doubt(n->at, "networks") && !topo_lost_net(n))
		npp_conf_error(t->conf, n->at, "is on no network: key 'networks' is missing or empty");
	if (n->kind == TOPO_NPP && n->n_ifs > TOPO_MAX_PORTS)
		npp_conf_error_key(t->conf, n->at, "networks", "an NPP has at most %d ports: so many networks", TOPO_MAX_PORTS);
}

/* A host with stack npp and the NPPs that it names. */
static void join_npps(struct topo *t, struct topo_node *h)
{
	const struct npp_conf_node *list = npp_conf_get(h->at, "npps"), *at;
	uint32_t i, j;

	for (i = 0; i < h->n_npp_names; i++) {
		int k;

		if (!h->npp_names[i])
			continue;	/* it was no name */
		k = find_node(t, h->npp_names[i]);
		at = list && list->kind == NPP_CONF_LIST_NODE ? list->first : list;
		for (j = 0; at && at->next && j < i; j++)
			at = at->next;
		if (k < 0) {
			npp_conf_error(t->conf, at, "there is no node '%s'", h->npp_names[i]);
		} else if (!t->nodes[k].kind) {
			continue;	/* it may be one */
		} else if (t->nodes[k].kind != TOPO_NPP) {
			npp_conf_error(t->conf, at, "'%s' is a %s, no NPP", h->npp_names[i],
				       topo_kind_name(t->nodes[k].kind));
		} else {
			for (j = 0; j < h->n_npps; j++)
				if (h->npps[j] == (uint32_t)k)
					break;
			if (j < h->n_npps) {
				npp_conf_error(t->conf, at, "'%s' stands here twice", h->npp_names[i]);
				continue;
			}
			h->npps[h->n_npps++] = (uint32_t)k;
			if (++t->nodes[k].n_hosts > 8)
				npp_conf_error(t->conf, at, "'%s' has more than 8 hosts", h->npp_names[i]);
		}
	}
}

/* Can H be a host of NPPs that we do not know of? */
static bool npps_in_doubt(const struct topo_node *h)
{
	return kind_in_doubt(h) || (h->kind == TOPO_HOST && h->stack == TOPO_STACK_NPP && npp_conf_in_doubt(h->at, "npps"));
}

/* hosts: {web1: 2, web2: 1} or [web1, web2]: of those that name the NPP in `npps`. */
static void check_hosts(struct topo *t, const struct topo_node *p)
{
	const struct npp_conf_node *at = p->hosts_at, *c;

	if (!at || npp_conf_is_null(at))
		return;
	if (at->kind == NPP_CONF_SCALAR) {
		npp_conf_error(t->conf, at, "expected a map from hosts to weights, or a list of hosts");
		return;
	}
	for (c = at->first; c; c = c->next) {
		const char *name = at->kind == NPP_CONF_MAP_NODE ? c->key : c->kind == NPP_CONF_SCALAR ? c->text : "";
		int h = find_node(t, name);
		uint64_t weight;
		bool mine = false;

		if (h >= 0 && npps_in_doubt(&t->nodes[h]))
			continue;
		for (uint32_t j = 0; h >= 0 && j < t->nodes[h].n_npps; j++)
			mine |= &t->nodes[t->nodes[h].npps[j]] == p;
		if (!mine)
			npp_conf_error(t->conf, c, "'%s' is no host of this NPP: it does not name it in 'npps'", name);
		else if (at->kind == NPP_CONF_MAP_NODE &&
			 (c->kind != NPP_CONF_SCALAR || npp_conf_parse_u64(c->text, &weight) < 0 || weight > 100))
			npp_conf_error(t->conf, c, "a weight is a number from 0 to 100");
	}
}

static void check_nodes(struct topo *t)
{
	struct topo_node *n;
	bool doubt = false;
	uint32_t i;

	for (i = 0; i < t->n_nodes; i++) {
		n = &t->nodes[i];
		check_name(t, n->at, n->name, "node");
		if (strncmp(n->name, "net-", 4) == 0)
			npp_conf_error(t->conf, n->at, "names of nodes do not begin with 'net-'");
		if (!n->stack)
			n->stack = TOPO_STACK_KERNEL;
		load_ifs(t, n);
		if (n->kind == TOPO_WIRE)
			n->wire = n->wire_at ? topo_load_wire(t, n->wire_at) : "";
	}
	for (i = 0; i < t->n_nodes; i++) {
		n = &t->nodes[i];
		check_kind(t, n);
		if (n->kind == TOPO_HOST && n->stack == TOPO_STACK_NPP)
			join_npps(t, n);
	}
	for (i = 0; i < t->n_nodes; i++)
		doubt |= npps_in_doubt(&t->nodes[i]);
	for (i = 0; i < t->n_nodes; i++) {
		n = &t->nodes[i];
		if (n->kind == TOPO_NPP && n->n_hosts == 0 && !doubt)
			npp_conf_error(t->conf, n->at, "NPP without a host: no host names it in 'npps'");
		else if (n->kind == TOPO_NPP)
			check_hosts(t, n);
	}
}

/* --name, else the key `name`, else the file's name without directory and ending. */
static int choose_lab_name(struct topo *t, const char *file, const char *name)
{
	const char *base = strrchr(file, '/');
	size_t len;

	if (!name)
		name = t->name;
	if (!name && strcmp(file, "-") == 0)
		return npp_conf_error(t->conf, NULL, "needs a name: key 'name', or --name");
	base = base ? base + 1 : file;
	len = name ? strlen(name) : strcspn(base, ".");
	snprintf(t->lab, sizeof t->lab, "%.*s", (int)(len < sizeof t->lab ? len : sizeof t->lab - 1),
		 name ? name : base);
	if (len > TOPO_LAB_LEN || !npp_conf_name_ok(t->lab, 1, TOPO_LAB_LEN))
		return npp_conf_error(t->conf, NULL, "'%.*s' is no name for a lab: 1 to %d letters, digits, "
				      "'-', '_', '.', the first a letter or digit", (int)len, name ? name : base, TOPO_LAB_LEN);
	return 0;
}

const char *topo_shipped(const char *dir, const char *file, char *path, size_t cap)
{
	char name[256];

	if (strchr(file, '/') || access(file, F_OK) == 0)
		return file;
	if (snprintf(name, sizeof name, "%s/%s.yaml", dir, file) < (int)sizeof name && npp_self_data(name, path, cap) == 0)
		return path;
	if (snprintf(name, sizeof name, "%s/%s", dir, file) < (int)sizeof name && npp_self_data(name, path, cap) == 0)
		return path;
	return file;
}

int topo_load(struct topo *t, const char *file, const char *name, char *const *sets, unsigned n_sets)
{
	struct npp_conf *c = NULL;
	char path[PATH_MAX];
	struct topo bound;
	unsigned i;
	int r;

	memset(t, 0, sizeof *t);
	r = npp_conf_load(&c, strcmp(file, "-") == 0 ? "/dev/stdin" : topo_shipped("topologies", file, path, sizeof path));
	t->conf = c;
	if (r == -ENOENT && !strchr(file, '/'))
		npp_conf_error(c, NULL, "and no topology '%s' comes with npp", file);
	if (!c || !npp_conf_root(c))
		return r;
	for (i = 0; i < n_sets; i++)
		topo_set(t, sets[i]);
	npp_conf_bind(c, npp_conf_root(c), &topo_file_schema, &bound);	/* what is wrong is zero, and told */
	t->name = bound.name;
	t->ipv6 = bound.ipv6;
	t->nets = bound.nets;
	t->n_nets = bound.n_nets;
	t->nodes = bound.nodes;
	t->n_nodes = bound.n_nodes;
	choose_lab_name(t, file, name);
	check_nets(t);
	check_nodes(t);
	topo_join(t);
	topo_check_overlaps(t);
	topo_derive_addresses(t);
	if (npp_conf_error_count(c) == 0) {
		topo_derive_routes(t);
		if (t->ipv6 == TOPO_IPV6_ONLY)
			topo_drop_ip4(t);
	}
	npp_conf_sort_errors(c);
	return npp_conf_error_count(c) ? -EINVAL : 0;
}

void topo_free(struct topo *t)
{
	uint32_t i;

	for (i = 0; i < t->n_overrides; i++)
		npp_conf_free(t->overrides[i]);
	free(t->overrides);
	npp_conf_free(t->conf);
	memset(t, 0, sizeof *t);
}

unsigned topo_errors(const struct topo *t)
{
	return t->conf ? npp_conf_error_count(t->conf) : 0;
}

const char *topo_error(const struct topo *t, unsigned i)
{
	return npp_conf_error_text(t->conf, i);
}
