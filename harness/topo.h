/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo.h - a topology: networks, nodes and how they are joined (npp-topology(5))
 *
 * topo_load() reads and checks a file; nothing is made. Strings live in the struct
 * npp_conf that the topology keeps.
 */
#ifndef NPP_HARNESS_TOPO_H
#define NPP_HARNESS_TOPO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/conf.h"
#include "lib/log.h"
#include "net/addr.h"

#define TOPO_NAME_LEN 15	/* networks and nodes name links: IFNAMSIZ - 1 */
#define TOPO_LAB_LEN 31
#define TOPO_MAX_NETS 64
#define TOPO_MAX_NODES 250
#define TOPO_MAX_IFS 16		/* networks of one node */
#define TOPO_MAX_NPPS 4		/* NPPs of one host */
#define TOPO_MAX_PORTS 4	/* networks of one NPP */
#define TOPO_MAX_WHOLE 8	/* addresses of an NPP as a whole, of one family */
#define TOPO_MAX_STARTS 32	/* programs to start on one node */

enum topo_kind { TOPO_HOST = 1, TOPO_NPP, TOPO_CLIENT, TOPO_ROUTER, TOPO_FIREWALL, TOPO_SWITCH, TOPO_WIRE };
enum topo_stack { TOPO_STACK_KERNEL = 1, TOPO_STACK_NPP };

struct topo_net {
	const char *name;
	struct npp_conf_prefix subnet, subnet6;	/* subnet6.addr any: no IPv6 */
	uint32_t mtu;
	const struct npp_conf_node *at;
	/* derived */
	uint32_t base, mask;	/* IPv4, host order; mask 0: no IPv4 */
	uint32_t seg;	/* the network whose subnet it has: its own index, unless switches and wires join it */
};

struct topo_if {
	uint32_t net;		/* index */
	uint32_t addr;		/* IPv4, host order; 0: not yet given, or none */
	union npp_addr addr6;	/* any: none */
	uint8_t mac[6];
	bool mac_given;
	bool autoconf;		/* addr6 is what it makes of a router's advertisement */
	const char *wire;	/* settings of its npp-wire (may be empty); NULL: it has none */
	const struct npp_conf_node *at;
};

enum { TOPO_ENGINE_PROCESS, TOPO_ENGINE_KERNEL };	/* of an NPP, as in nppd.conf(5) */

enum { TOPO_ROUTING_STATIC, TOPO_ROUTING_BIRD };	/* of a router: whose its routes are */
enum { TOPO_PROTOCOL_OSPF, TOPO_PROTOCOL_RIP };	/* that BIRD speaks */

enum { TOPO_IPV6_NO, TOPO_IPV6_YES, TOPO_IPV6_ONLY };	/* key `ipv6` of a lab */

enum { TOPO_POLICY_WEIGHT, TOPO_POLICY_STANDBY, TOPO_POLICY_LOAD };	/* of an NPP with several hosts */

struct topo_route {
	struct npp_conf_prefix to;
	union npp_addr via;
	uint32_t metric;		/* 0: the best; others are for NPPs, which know when a port is down */
	const struct npp_conf_node *at;	/* NULL: derived */
};

struct topo_start {		/* a program to start when the lab is up */
	const char *name, *command;
	struct { const char *command; uint16_t port; const struct npp_conf_node *at; } ready;
	uint64_t deadline_us;
	const struct npp_conf_node *at;
};

struct topo_node {
	const char *name;
	const struct npp_conf_node *at;
	uint32_t kind, stack;
	const struct npp_conf_node *hosts_at;	/* NPP: weights of its hosts, or their order */
	uint32_t policy;
	union npp_addr *whole;		/* NPP: addresses of no single port */
	uint32_t n_whole;
	const char **npp_names;
	uint32_t n_npp_names;
	uint32_t iops, engine;
	uint32_t routing, protocol;
	uint64_t memory;
	union npp_addr gateway, gateway6; /* all zero: none */
	const struct npp_conf_node *networks_at, *options_at;
	struct topo_route *given;
	uint32_t n_given;
	const char *rules;		/* firewall: for nft -f */
	const struct npp_conf_node *wire_at;	/* wire: its settings */
	const char *wire;		/* the same, as words; NULL: it is no wire */
	struct topo_start *starts;
	uint32_t n_starts;
	/* derived */
	struct topo_if ifs[TOPO_MAX_IFS];
	uint32_t n_ifs;
	uint32_t npps[TOPO_MAX_NPPS];	/* host: indexes of its NPPs */
	uint32_t n_npps;
	uint32_t n_hosts;		/* NPP: hosts that name it */
	struct topo_route *routes;	/* all but the default one */
	uint32_t n_routes;
};

struct topo {
	struct npp_conf *conf;
	struct npp_conf **overrides;	/* of --set */
	uint32_t n_overrides;
	char lab[TOPO_LAB_LEN + 1];
	const char *name;		/* key `name`, may be NULL */
	uint32_t ipv6;			/* TOPO_IPV6_YES: every network has an IPv6 subnet; ONLY: and none of IPv4 */
	struct topo_net *nets;
	uint32_t n_nets;
	struct topo_node *nodes;
	uint32_t n_nodes;
};

/* FILE itself; where there is none, and its name has no '/', that of this name ("pair", "pair.yaml") which comes
 * with npp in DIR ("topologies"), in PATH. */
const char *topo_shipped(const char *dir, const char *file, char *path, size_t cap);
/* Reads FILE (a name without '/' may be that of a topology that comes with npp), applies SETS
 * ("nodes.acc1.iops=2"), names the lab NAME (NULL: by the file), checks everything and
 * derives what is not given. Zeroes T first; topo_free() is needed also after an error.
 * 0, or -errno with all errors to be had from topo_error(). */
int topo_load(struct topo *t, const char *file, const char *name, char *const *sets, unsigned n_sets);
void topo_free(struct topo *t);
unsigned topo_errors(const struct topo *t);
const char *topo_error(const struct topo *t, unsigned i);

/* topo_derive.c: addresses, MACs; errors into t->conf. */
void topo_derive_addresses(struct topo *t);
/* topo_routes.c: gateways, routes. */
void topo_derive_routes(struct topo *t);
/* topo_only6.c: what is IPv4 has served to derive the rest, and goes. */
void topo_drop_ip4(struct topo *t);
/* topo_wire.c: value V of a key `wire`, as the words of npp-wire's command line; NULL: there shall be none. */
const char *topo_load_wire(struct topo *t, const struct npp_conf_node *v);
/* topo_net.c: subnets. */
void topo_check_net(struct topo *t, struct topo_net *n);
/* After topo_join(): what is joined has one subnet. */
void topo_check_overlaps(struct topo *t);
/* Network N has the IPv6 subnet of its number: fd00:0:0:1::/64 for the first. */
void topo_number_ip6(const struct topo *t, struct topo_net *n);
/* topo_join.c: networks that switches and wires join have one subnet. */
void topo_join(struct topo *t);
/* topo_set.c: one override; 0 or -EINVAL (message in the conf). */
int topo_set(struct topo *t, const char *assignment);

/* topo_schema.c: the JSON schema (draft 2020-12) of such files, made from the loader's tables. */
void topo_print_schema(FILE *f);
extern const struct npp_conf_schema topo_file_schema;	/* of topo.c */
extern const struct npp_conf_schema topo_if_schema;	/* of a node's link */

const char *topo_kind_name(uint32_t kind);
const char *topo_engine_name(uint32_t engine);
const char *topo_policy_name(uint32_t policy);
static inline bool topo_forwards(const struct topo_node *n)
{
	return n->kind == TOPO_ROUTER || n->kind == TOPO_FIREWALL;
}
/* The node joins networks, and has no addresses on them. */
static inline bool topo_joins(const struct topo_node *n)
{
	return n->kind == TOPO_SWITCH || n->kind == TOPO_WIRE;
}
/* Of the node's networks one was not understood. */
static inline bool topo_lost_net(const struct topo_node *n)
{
	const struct npp_conf_node *at = n->networks_at;

	return at && !npp_conf_is_null(at) && n->n_ifs != (at->kind == NPP_CONF_SCALAR ? 1 : at->count);
}
/* The node is a namespace of its own with links of the kernel (all but NPPs and the hosts
 * that they serve). */
static inline bool topo_is_kernel_node(const struct topo_node *n)
{
	return n->kind == TOPO_CLIENT || topo_forwards(n) || topo_joins(n) ||
	       (n->kind == TOPO_HOST && n->stack == TOPO_STACK_KERNEL);
}
static inline bool topo_has_ip4(const struct topo_net *n)
{
	return n->mask != 0;
}
static inline bool topo_has_ip6(const struct topo_net *n)
{
	return !npp_addr_is_any(&n->subnet6.addr);
}
static inline bool topo_has_subnet(const struct topo_net *n)
{
	return topo_has_ip4(n) || topo_has_ip6(n);
}
static inline bool topo_has_family(const struct topo_net *n, bool ip6)
{
	return ip6 ? topo_has_ip6(n) : topo_has_ip4(n);
}
/* Is a node of N's network NET, or of one that it is joined with, waiting for advertisements? */
bool topo_advertises(const struct topo *t, const struct topo_node *n, uint32_t net);
/* Is A reached by a link of N that learns its routers? */
bool topo_learns_way(const struct topo *t, const struct topo_node *n, const union npp_addr *a);
/* Number of one-bits at the front of the net's IPv4 mask. */
static inline unsigned topo_plen(const struct topo_net *n)
{
	return n->subnet.len - 96;
}
/* The link's address of one family; any: it has none. */
union npp_addr topo_if_addr(const struct topo_if *f, bool ip6);
static inline bool topo_same_seg(const struct topo *t, uint32_t a, uint32_t b)
{
	return t->nets[a].seg == t->nets[b].seg;
}
/* IPv4 in host order as text; BUF of NPP_ADDR_STRLEN. */
const char *topo_addr_text(uint32_t addr, char *buf);

#endif
