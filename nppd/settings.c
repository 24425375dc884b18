/* SPDX-License-Identifier: GPL-2.0-or-later
 * settings.c - nppd.conf(5): tables, defaults that depend on other keys, checks
 */
#include "config.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proc.h"
#include "nppd/settings.h"
#include "shm/share.h"

/* ---- what both roles have -------------------------------------------------------- */

static const struct npp_conf_enum huge_names[] = {
	{ "auto", HUGE_AUTO }, { "always", HUGE_ALWAYS }, { "never", HUGE_NEVER }, { NULL, 0 }
};

/* placement: auto, none, or a list of cpus */
static int parse_placement(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	static const struct npp_conf_field cpu = { .type = NPP_CONF_I32, .min = 0, .max = 1023 };
	struct common_settings *s = dst;
	struct npp_conf_field list = { .type = NPP_CONF_LIST, .off = offsetof(struct common_settings, cpus), .min = 1,
				       .max = 1024, .count_off = offsetof(struct common_settings, n_cpus), .item = &cpu };

	(void)f;
	if (n->kind == NPP_CONF_SCALAR) {
		s->auto_place = strcmp(n->text, "auto") == 0;
		if (s->auto_place || strcmp(n->text, "none") == 0)
			return 0;
		return npp_conf_error(c, n, "'%.60s' is not auto, none or a list of cpus", n->text);
	}
	return npp_conf_bind_value(c, n, &list, s);
}

#define C(S, M) offsetof(struct S, common.M)
#define COMMON_FIELDS(S) \
	{ .key = "hugepages", .type = NPP_CONF_ENUM, .off = C(S, hugepages), .enums = huge_names, .dflt = "auto" }, \
	{ .key = "reserve", .type = NPP_CONF_BOOL, .off = C(S, reserve) }, \
	{ .key = "uid", .type = NPP_CONF_U32, .off = C(S, uid), .min = 1, .max = 0x7ffffffe }, \
	{ .key = "seccomp", .type = NPP_CONF_BOOL, .off = C(S, seccomp), .dflt = "yes" }, \
	{ .key = "placement", .type = NPP_CONF_CUSTOM, .off = offsetof(struct S, common), .parse = parse_placement, .dflt = "auto" }

/* ---- npp ---------------------------------------------------------------------------- */

enum mask_bit { MASK_SRC_ADDR = 1, MASK_DST_ADDR, MASK_SRC_PORT, MASK_DST_PORT, MASK_PROTO };
static const struct npp_conf_enum mask_names[] = {
	{ "src-addr", MASK_SRC_ADDR }, { "dst-addr", MASK_DST_ADDR }, { "src-port", MASK_SRC_PORT },
	{ "dst-port", MASK_DST_PORT }, { "proto", MASK_PROTO }, { NULL, 0 }
};
static const struct npp_conf_enum acd_names[] = {
	{ "probe", ACD_PROBE }, { "announce", ACD_ANNOUNCE }, { "off", ACD_OFF }, { NULL, 0 }
};
static const struct npp_conf_enum engine_names[] = {
	{ "process", ENGINE_PROCESS }, { "kernel", ENGINE_KERNEL }, { NULL, 0 }
};
static const struct npp_conf_enum ecn_names[] = {
	{ "passive", NPP_ECN_PASSIVE }, { "off", NPP_ECN_OFF }, { "on", NPP_ECN_ON }, { NULL, 0 }
};
static const struct npp_conf_enum congestion_names[] = {
	{ "cubic", NPP_CC_CUBIC }, { "reno", NPP_CC_RENO }, { "dctcp", NPP_CC_DCTCP }, { NULL, 0 }
};
static const struct npp_conf_enum algorithm_names[] = {
	{ "xor", NPP_HASH_XOR }, { "toeplitz", NPP_HASH_TOEPLITZ }, { "crc32c", NPP_HASH_CRC32C }, { NULL, 0 }
};

static const struct npp_conf_enum policy_names[] = {
	{ "weight", NPP_SHARE_WEIGHT }, { "standby", NPP_SHARE_STANDBY }, { "load", NPP_SHARE_LOAD }, { NULL, 0 }
};

/* hosts: {web1: 2, web2: 1} or [web1, web2] */
static int parse_hosts(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	static const struct npp_conf_field name = { .type = NPP_CONF_NAME };
	static const struct npp_conf_field weight = { .type = NPP_CONF_U32, .max = NPP_SHARE_WEIGHT_MAX };
	bool map = n->kind == NPP_CONF_MAP_NODE;
	struct npp_settings *s = dst;

	(void)f;
	if (n->kind == NPP_CONF_SCALAR)
		return npp_conf_error(c, n, "expected a map from hosts to weights, or a list of hosts");
	for (const struct npp_conf_node *k = n->first; k; k = k->next) {
		struct share_settings *h = &s->share[s->n_share];

		if (s->n_share == NPP_MAX_HOSTS)
			return npp_conf_error(c, k, "an NPP has at most %d hosts", NPP_MAX_HOSTS);
		h->weight = 1;
		if (map && !npp_conf_name_ok(k->key, 1, 31))
			return npp_conf_error(c, k, "'%.60s' is no name of a host", k->key);
		if (map ? npp_conf_bind_value(c, k, &weight, &h->weight) : npp_conf_bind_value(c, k, &name, &h->name))
			return -EINVAL;
		if (map)
			h->name = k->key;
		for (uint32_t i = 0; i < s->n_share; i++)
			if (strcmp(s->share[i].name, h->name) == 0)
				return npp_conf_error(c, k, "'%s' stands there twice", h->name);
		s->n_share++;
	}
	return 0;
}

/* A name; before it may stand '_', which keeps names that a program makes apart from those that people give. */
static int check_ifname(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	struct npp_conf_field name = { .type = NPP_CONF_NAME, .max = IFNAMSIZ - 1 };

	(void)f;
	if (n->kind == NPP_CONF_SCALAR && n->text[0] == '_' && npp_conf_name_ok(n->text + 1, 1, IFNAMSIZ - 2)) {
		*(const char **)dst = n->text;
		return 0;
	}
	return npp_conf_bind_value(c, n, &name, dst);
}

static int parse_mac(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	static const struct npp_conf_field mac = { .type = NPP_CONF_MAC };
	struct port_settings *p = dst;

	(void)f;
	if (npp_conf_bind_value(c, n, &mac, p->mac) < 0)
		return -EINVAL;
	p->mac_given = true;
	if (p->mac[0] & 1)
		return npp_conf_error(c, n, "%s is a group address", n->text);
	if (!(p->mac[0] | p->mac[1] | p->mac[2] | p->mac[3] | p->mac[4] | p->mac[5]))
		return npp_conf_error(c, n, "%s is no address", n->text);
	return 0;
}

static const struct npp_conf_field addr_item = { .type = NPP_CONF_PREFIX };
static const struct npp_conf_field port_fields[] = {
	{ .key = "name", .type = NPP_CONF_CUSTOM, .off = offsetof(struct port_settings, name), .parse = check_ifname },
	{ .key = "mac", .type = NPP_CONF_CUSTOM, .off = 0, .parse = parse_mac },
	NPP_CONF_FIELD("mtu", U32, struct port_settings, mtu, .min = 576, .max = 9216, .dflt = "1500"),
	NPP_CONF_FIELD("netns", STR, struct port_settings, netns, .min = 1),
	{ .key = "bridge", .type = NPP_CONF_CUSTOM, .off = offsetof(struct port_settings, bridge), .parse = check_ifname },
	NPP_CONF_FIELD("addresses", LIST, struct port_settings, addrs, .max = NPP_MAX_IF_ADDRS, .item = &addr_item,
		       .count_off = offsetof(struct port_settings, n_addrs)),
	NPP_CONF_FIELD("gateway", ADDR, struct port_settings, gateway),
	NPP_CONF_FIELD("gateway6", ADDR, struct port_settings, gateway6),
	NPP_CONF_FIELD("autoconf", BOOL, struct port_settings, autoconf, .dflt = "no"),
	NPP_CONF_FIELD(NULL, SELF, struct port_settings, node),
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema port_schema = { sizeof(struct port_settings), port_fields, NULL };

static const struct npp_conf_field route_fields[] = {
	NPP_CONF_FIELD("to", PREFIX, struct route_settings, to, .flags = NPP_CONF_REQUIRED),
	NPP_CONF_FIELD("via", ADDR, struct route_settings, via),
	NPP_CONF_FIELD("mtu", U32, struct route_settings, mtu, .min = 576, .max = 9216),
	NPP_CONF_FIELD("metric", U32, struct route_settings, metric),
	NPP_CONF_FIELD("port", U32, struct route_settings, port, .max = NPP_MAX_PORTS - 1),
	NPP_CONF_FIELD(NULL, SELF, struct route_settings, node),
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema route_schema = { sizeof(struct route_settings), route_fields, NULL };

static const struct npp_conf_field select_fields[] = {
	{ .key = "shift", .type = NPP_CONF_U32, .off = 0, .min = 0, .max = 31 },
	{ .key = "bits", .type = NPP_CONF_U32, .off = 4, .min = 1, .max = 7, .dflt = "7" },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema select_schema = { 2 * sizeof(uint32_t), select_fields, NULL };

static const struct npp_conf_field mask_item = { .type = NPP_CONF_ENUM, .enums = mask_names };
static const struct npp_conf_field dispatch_fields[] = {
	NPP_CONF_FIELD("algorithm", ENUM, struct dispatch_settings, algorithm, .enums = algorithm_names, .dflt = "xor"),
	NPP_CONF_FIELD("symmetric", BOOL, struct dispatch_settings, symmetric),
	NPP_CONF_FIELD("mask", LIST, struct dispatch_settings, mask, .min = 1, .max = 5, .item = &mask_item,
		       .count_off = offsetof(struct dispatch_settings, n_mask)),
	NPP_CONF_FIELD("select", MAP, struct dispatch_settings, select, .sub = &select_schema),
	NPP_CONF_FIELD(NULL, SELF, struct dispatch_settings, node),
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema dispatch_schema = { sizeof(struct dispatch_settings), dispatch_fields, NULL };

static int check_memory(struct npp_conf *c, const struct npp_conf_node *n, void *obj);
static const struct npp_conf_field memory_fields[] = {
	{ .key = "rx_ring", .type = NPP_CONF_SIZE, .off = 0, .min = 128 << 10, .max = 1 << 30, .dflt = "4M" },
	{ .key = "reassembly", .type = NPP_CONF_SIZE, .off = 8, .min = 128 << 10, .max = 1 << 30, .dflt = "4M" },
	{ .key = "connections", .type = NPP_CONF_U32, .off = 16, .min = 16, .max = 1 << 20, .dflt = "16384" },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema memory_schema = {
	sizeof ((struct npp_settings *)NULL)->memory, memory_fields, check_memory
};

/* rmem: [4K, 128K, 4M]: least, to begin with, most */
static int parse_tcp_mem(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	static const struct npp_conf_field size = { .type = NPP_CONF_SIZE, .min = NPP_TCP_MEM_MIN, .max = NPP_TCP_MEM_MAX };
	struct npp_tcp_mem *m = dst;
	uint32_t *to[] = { &m->min, &m->dflt, &m->max };
	const struct npp_conf_node *k = n->first;
	uint64_t v, before = 0;

	(void)f;
	if (n->kind != NPP_CONF_LIST_NODE || n->count != 3)
		return npp_conf_error(c, n, "expected three sizes: least, to begin with, most");
	for (unsigned i = 0; i < 3; i++, k = k->next) {
		if (npp_conf_bind_value(c, k, &size, &v) < 0)
			return -EINVAL;
		if (v < before)
			return npp_conf_error(c, k, "%s is less than the one before", k->text);
		*to[i] = (uint32_t)v;
		before = v;
	}
	return 0;
}

#define T(M) offsetof(struct npp_settings, tcp.M) - offsetof(struct npp_settings, tcp)
static const struct npp_conf_field tcp_fields[] = {
	{ .key = "ecn", .type = NPP_CONF_ENUM, .off = 0, .enums = ecn_names, .dflt = "passive" },
	{ .key = "congestion", .type = NPP_CONF_ENUM, .off = 4, .enums = congestion_names, .dflt = "cubic" },
	{ .key = "time_wait", .type = NPP_CONF_TIME, .off = 8, .min = 1000000, .max = 240000000, .dflt = "60s" },
	{ .key = "rmem", .type = NPP_CONF_CUSTOM, .off = T(rmem), .parse = parse_tcp_mem },
	{ .key = "wmem", .type = NPP_CONF_CUSTOM, .off = T(wmem), .parse = parse_tcp_mem },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema tcp_schema = { sizeof ((struct npp_settings *)NULL)->tcp, tcp_fields, NULL };

static const struct npp_conf_field port_item = { .type = NPP_CONF_MAP, .sub = &port_schema };
static const struct npp_conf_field route_item = { .type = NPP_CONF_MAP, .sub = &route_schema };
static int check_npp(struct npp_conf *c, const struct npp_conf_node *n, void *obj);
/* What an NPP may have that is not its name, its ports, or on its networks. */
#define NPP_OPTION_FIELDS \
	NPP_CONF_FIELD("acd", ENUM, struct npp_settings, acd, .enums = acd_names, .dflt = "probe"), \
	NPP_CONF_FIELD("acd_ms", U32, struct npp_settings, acd_ms, .min = 60, .max = 10000, .dflt = "240"), \
	NPP_CONF_FIELD("autoconf", BOOL, struct npp_settings, autoconf, .dflt = "no"), \
	NPP_CONF_FIELD("dispatch", MAP, struct npp_settings, dispatch, .sub = &dispatch_schema), \
	NPP_CONF_FIELD("memory", MAP, struct npp_settings, memory, .sub = &memory_schema), \
	NPP_CONF_FIELD("tcp", MAP, struct npp_settings, tcp, .sub = &tcp_schema), \
	NPP_CONF_FIELD("host_grace_ms", U32, struct npp_settings, grace_ms, .max = 600000, .dflt = "1000"), \
	NPP_CONF_FIELD("host_frozen_ms", U32, struct npp_settings, frozen_ms, .max = 600000, .dflt = "5000"), \
	COMMON_FIELDS(npp_settings)
static const struct npp_conf_field npp_fields[] = {
	NPP_CONF_FIELD("name", NAME, struct npp_settings, name, .flags = NPP_CONF_REQUIRED),
	NPP_CONF_FIELD("iops", U32, struct npp_settings, iops, .min = 1, .max = NPP_MAX_IOPS, .dflt = "4"),
	NPP_CONF_FIELD("engine", ENUM, struct npp_settings, engine, .enums = engine_names, .dflt = "process"),
	NPP_CONF_FIELD("port", MAP, struct npp_settings, port, .sub = &port_schema),
	NPP_CONF_FIELD("ports", LIST, struct npp_settings, ports_list, .min = 1, .max = NPP_MAX_PORTS, .item = &port_item,
		       .count_off = offsetof(struct npp_settings, n_ports_list)),
	NPP_CONF_FIELD("addresses", LIST, struct npp_settings, addrs, .min = 1, .max = NPP_MAX_IF_ADDRS, .item = &addr_item, .count_off = offsetof(struct npp_settings, n_addrs)),
	NPP_CONF_FIELD("routes", LIST, struct npp_settings, routes, .max = NPP_MAX_ROUTES - 2, .item = &route_item,
		       .count_off = offsetof(struct npp_settings, n_routes)),
	NPP_CONF_FIELD("gateway", ADDR, struct npp_settings, gateway),
	NPP_CONF_FIELD("gateway6", ADDR, struct npp_settings, gateway6),
	{ .key = "hosts", .type = NPP_CONF_CUSTOM, .off = 0, .parse = parse_hosts },
	NPP_CONF_FIELD("policy", ENUM, struct npp_settings, policy, .enums = policy_names, .dflt = "weight"),
	NPP_OPTION_FIELDS,
	NPP_CONF_FIELD(NULL, SELF, struct npp_settings, node),
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema npp_schema = { sizeof(struct npp_settings), npp_fields, check_npp };

static int check_memory(struct npp_conf *c, const struct npp_conf_node *n, void *obj)
{
	uint64_t ring = *(uint64_t *)obj;

	return ring & (ring - 1) ? npp_conf_error_key(c, n, "rx_ring", "must be a power of two") : 0;
}

/* ---- npp: checks over several keys ------------------------------------------------------ */

static int make_program(struct npp_conf *c, struct npp_settings *s)
{
	const struct dispatch_settings *d = &s->dispatch;
	struct npp_hash_prog *p = &s->prog;
	const char *why;

	npp_hash_prog_default(p, s->iops);
	p->algorithm = (uint8_t)d->algorithm;
	p->symmetric = d->symmetric;
	p->select_shift = (uint8_t)d->select.shift;
	p->select_bits = (uint8_t)d->select.bits;
	if (d->n_mask)
		memset(&p->mask, 0, sizeof p->mask);
	for (uint32_t i = 0; i < d->n_mask; i++) {
		switch (d->mask[i]) {
		case MASK_SRC_ADDR: memset(&p->mask.src, 0xff, sizeof p->mask.src); break;
		case MASK_DST_ADDR: memset(&p->mask.dst, 0xff, sizeof p->mask.dst); break;
		case MASK_SRC_PORT: p->mask.sport = 0xffff; break;
		case MASK_DST_PORT: p->mask.dport = 0xffff; break;
		default: p->mask.proto = 0xff;
		}
	}
	if (npp_hash_prog_check(p, s->iops, &why) < 0)
		return npp_conf_error_key(c, s->node, "dispatch", "%s", why);
	if (s->iops > 1u << d->select.bits)
		return npp_conf_error_key(c, s->node, "dispatch", "%u bits of select cannot name %u IOPs",
					  d->select.bits, s->iops);
	return 0;
}

static int check_npp(struct npp_conf *c, const struct npp_conf_node *n, void *obj)
{
	struct npp_settings *s = obj;
	int r = settings_check_ports(c, s);

	(void)n;
	if (settings_check_routes(c, s) < 0 || make_program(c, s) < 0)
		r = -EINVAL;
	for (uint32_t i = 0; s->policy == NPP_SHARE_STANDBY && i < s->n_share; i++)
		s->share[i].weight = i + 1;
	return r;
}

/* ---- host ---------------------------------------------------------------------------------- */

static const struct npp_conf_field name_item = { .type = NPP_CONF_NAME };
static int check_host(struct npp_conf *c, const struct npp_conf_node *n, void *obj);
#define HOST_OPTION_FIELDS \
	NPP_CONF_FIELD("sockets", U32, struct host_settings, sockets, .min = 64, .max = 1 << 20, .dflt = "65536"), \
	NPP_CONF_FIELD("grace_ms", U32, struct host_settings, grace_ms, .max = 600000, .dflt = "600000"), \
	COMMON_FIELDS(host_settings)
static const struct npp_conf_field host_fields[] = {
	NPP_CONF_FIELD("name", NAME, struct host_settings, name, .flags = NPP_CONF_REQUIRED),
	NPP_CONF_FIELD("npps", LIST, struct host_settings, npps, .flags = NPP_CONF_REQUIRED, .min = 1,
		       .max = NPP_MAX_ATTACH, .item = &name_item, .count_off = offsetof(struct host_settings, n_npps)),
	NPP_CONF_FIELD("memory", SIZE, struct host_settings, memory, .min = 4 << 20, .max = 64ll << 30, .dflt = "128M"),
	HOST_OPTION_FIELDS,
	NPP_CONF_FIELD(NULL, SELF, struct host_settings, node),
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema host_schema = { sizeof(struct host_settings), host_fields, check_host };

static int check_host_memory(struct npp_conf *c, const struct npp_conf_node *n, const struct host_settings *s)
{
	uint64_t fixed = sizeof(struct npp_host) + (uint64_t)NPP_MAX_CTX * sizeof(struct npp_ctx) +
			 NPP_MAX_PROCS * sizeof(struct npp_proc) + (uint64_t)s->sockets * sizeof(struct npp_sock) +
			 NPP_OSM_BOOKS_BYTES + (1u << 20);

	if (s->memory >= fixed)
		return 0;
	return npp_conf_error_key(c, n, "memory", "%llu MB is too little for %u sockets: at least %llu MB",
				  (unsigned long long)s->memory >> 20, s->sockets, (unsigned long long)(fixed >> 20) + 1);
}

static int check_host(struct npp_conf *c, const struct npp_conf_node *n, void *obj)
{
	struct host_settings *s = obj;
	const struct npp_conf_node *list = npp_conf_get(n, "npps");
	int r = check_host_memory(c, n, s);

	for (uint32_t i = 0; i < s->n_npps; i++) {
		if (strcmp(s->npps[i], s->name) == 0)
			r = npp_conf_error(c, settings_nth(list, i), "'%s' is the host's own name", s->name);
		for (uint32_t k = 0; k < i; k++)
			if (strcmp(s->npps[i], s->npps[k]) == 0)
				r = npp_conf_error(c, settings_nth(list, i), "'%s' stands there twice", s->npps[i]);
	}
	return r;
}

/* ---- what a topology may add --------------------------------------------------------------- */

static const struct npp_conf_field npp_option_fields[] = {
	NPP_OPTION_FIELDS,
	NPP_CONF_FIELD(NULL, SELF, struct npp_settings, node),
	{ .type = NPP_CONF_END }
};
const struct npp_conf_schema settings_npp_options = { sizeof(struct npp_settings), npp_option_fields, NULL };

static const struct npp_conf_field host_option_fields[] = {
	HOST_OPTION_FIELDS,
	NPP_CONF_FIELD(NULL, SELF, struct host_settings, node),
	{ .type = NPP_CONF_END }
};
const struct npp_conf_schema settings_host_options = { sizeof(struct host_settings), host_option_fields, NULL };

int settings_check_npp_options(struct npp_conf *c, const struct npp_conf_node *n, uint32_t iops)
{
	struct npp_settings s;
	int r = npp_conf_bind(c, n, &settings_npp_options, &s);

	s.iops = iops ? iops : 1;
	return r < 0 ? r : make_program(c, &s);
}

int settings_check_host_options(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_node *at,
				uint64_t memory)
{
	struct host_settings s;
	int r = npp_conf_bind(c, n, &settings_host_options, &s);

	s.memory = memory;
	return r < 0 ? r : check_host_memory(c, at, &s);
}

/* ---- the file ----------------------------------------------------------------------------------- */

struct file { struct npp_settings npp; struct host_settings host; const struct npp_conf_node *npp_at, *host_at; };

static int check_file(struct npp_conf *c, const struct npp_conf_node *n, void *obj)
{
	struct file *f = obj;

	if (f->npp_at && f->host_at)
		return npp_conf_error_key(c, n, "host", "stands beside 'npp': one file is one NPP or one host");
	if (!f->npp_at && !f->host_at)
		return npp_conf_error(c, n, "neither 'npp' nor 'host' is there");
	return 0;
}

static const struct npp_conf_field file_fields[] = {
	NPP_CONF_FIELD("npp", NODE, struct file, npp_at),
	NPP_CONF_FIELD("host", NODE, struct file, host_at),
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema file_schema = { sizeof(struct file), file_fields, check_file };

static uint64_t fnv(const char *a, const char *b)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (const char *p = a; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	h = (h ^ '/') * 0x100000001b3ull;
	for (const char *p = b; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	return h ^ h >> 32;
}

uint32_t settings_derive_uid(const char *rundir, const char *name)
{
	uint64_t h = fnv(rundir, name);

	return npp_proc_id_exists(799999) ? 700000 + (uint32_t)(h % 100000) : 60100 + (uint32_t)(h % 4900);
}

static void derive(struct settings *s, const char *rundir)
{
	struct common_settings *common = s->is_host ? &s->host.common : &s->npp.common;

	if (!common->uid)
		common->uid = settings_derive_uid(rundir, settings_name(s));
	for (uint32_t k = 0; !s->is_host && k < s->npp.n_ports; k++) {
		struct port_settings *p = &s->npp.port[k];
		uint64_t h = fnv(rundir, s->npp.name);

		if (p->mac_given)
			continue;
		p->mac[0] = 0x02;
		for (unsigned i = 1; i < 6; i++)
			p->mac[i] = (uint8_t)(h >> (8 * i));
		p->mac[5] ^= (uint8_t)k; /* its ports differ */
	}
}

int settings_load(struct settings *s, const char *file, const char *rundir)
{
	struct file f;
	int r;

	memset(s, 0, sizeof *s);
	r = npp_conf_load(&s->conf, file);
	if (r < 0)
		return r;
	r = npp_conf_bind(s->conf, npp_conf_root(s->conf), &file_schema, &f);
	if (r == 0) {
		s->is_host = f.host_at != NULL;
		r = s->is_host ? npp_conf_bind(s->conf, f.host_at, &host_schema, &s->host)
			       : npp_conf_bind(s->conf, f.npp_at, &npp_schema, &s->npp);
	}
	if (r == 0)
		derive(s, rundir);
	return r;
}

void settings_free(struct settings *s)
{
	npp_conf_free(s->conf);
	s->conf = NULL;
}

void settings_report(const struct settings *s)
{
	for (unsigned i = 0; s->conf && i < npp_conf_error_count(s->conf); i++)
		npp_warnx("%s", npp_conf_error_text(s->conf, i));
}
