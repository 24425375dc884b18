/* SPDX-License-Identifier: GPL-2.0-or-later
 * settings.h - nppd.conf(5) as a struct
 */
#ifndef NPPD_SETTINGS_H
#define NPPD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/conf.h"
#include "net/hash.h"
#include "shm/abi.h"

enum { HUGE_AUTO, HUGE_ALWAYS, HUGE_NEVER };
enum { ENGINE_PROCESS, ENGINE_KERNEL };

/* Conflicts of addresses: asked about before the start; only announced and defended; neither. */
enum acd_mode { ACD_PROBE, ACD_ANNOUNCE, ACD_OFF };

struct port_settings {
	const char *name;	/* of the TAP; default: that of the NPP */
	uint8_t mac[6];		/* what the NPP answers to; default: from run directory and name */
	bool mac_given;
	uint32_t mtu;
	const char *netns;	/* path; NULL: our own */
	const char *bridge;	/* NULL: none */
	struct npp_conf_prefix *addrs;	/* of this port alone */
	uint32_t n_addrs;
	union npp_addr gateway, gateway6; /* any: none */
	bool autoconf;		/* IPv6 addresses and routers from advertisements, too */
	const struct npp_conf_node *node;
};

struct addr_settings {
	struct npp_conf_prefix p;
	uint8_t port;		/* or NPP_PORT_ANY */
	const struct npp_conf_node *node;
};

struct route_settings {
	struct npp_conf_prefix to;
	union npp_addr via;	/* any: on link */
	uint32_t mtu, metric;
	uint32_t port;		/* if the key stands there */
	const struct npp_conf_node *node;
};

struct dispatch_settings {
	uint32_t algorithm;
	bool symmetric;
	uint32_t *mask;		/* enum mask_bit, one each */
	uint32_t n_mask;
	struct { uint32_t shift, bits; } select;
	const struct npp_conf_node *node;
};

struct common_settings {	/* of both roles */
	uint32_t hugepages;
	bool reserve;		/* hugepages from the system, given back at the end */
	uint32_t uid;		/* 0: derived */
	bool seccomp;
	bool auto_place;
	int32_t *cpus;		/* placement: a list of them */
	uint32_t n_cpus;
};

struct share_settings {	/* a host that shares listeners with others */
	const char *name;
	uint32_t weight;	/* by weight: 0 to NPP_SHARE_WEIGHT_MAX; standby: its place, from 1 on */
};

struct npp_settings {
	const char *name;
	uint32_t iops;
	uint32_t engine;	/* who dispatches frames: ENGINE_* */
	struct port_settings port[NPP_MAX_PORTS];
	uint32_t n_ports;
	struct port_settings *ports_list; /* as it stands in the file */
	uint32_t n_ports_list;
	struct npp_conf_prefix *addrs;	/* of the NPP as a whole */
	uint32_t n_addrs;
	struct addr_settings all[NPP_MAX_IF_ADDRS]; /* these and those of the ports */
	uint32_t n_all;
	struct route_settings *routes;
	uint32_t n_routes;
	union npp_addr gateway;	/* any: none */
	union npp_addr gateway6; /* any: none */
	uint32_t acd;		/* enum acd_mode */
	uint32_t acd_ms;	/* how long the network is asked before the start */
	bool autoconf;		/* of all ports */
	struct dispatch_settings dispatch;
	struct { uint64_t rx_ring, reassembly; uint32_t connections; } memory;
	/* enum npp_tcp_ecn, enum npp_tcp_cc, microseconds */
	struct { uint32_t ecn, congestion; uint64_t time_wait; struct npp_tcp_mem rmem, wmem; } tcp;
	struct share_settings share[NPP_MAX_HOSTS];
	uint32_t n_share;
	uint32_t policy;	/* enum npp_share_policy */
	uint32_t grace_ms;	/* for a host whose OSM has gone */
	uint32_t frozen_ms;	/* for one that does not answer; 0: for ever */
	struct common_settings common;
	struct npp_hash_prog prog;	/* what `dispatch` means */
	const struct npp_conf_node *node;
};

struct host_settings {
	const char *name;
	const char **npps;
	uint32_t n_npps;
	uint64_t memory;
	uint32_t sockets;
	uint32_t grace_ms;	/* that it asks its NPPs for; they may give less */
	struct common_settings common;
	const struct npp_conf_node *node;
};

struct settings {
	struct npp_conf *conf;	/* for errors that show later, and the memory of all strings */
	bool is_host;
	struct npp_settings npp;
	struct host_settings host;
};

/* Reads FILE; RUNDIR takes part in derived values. 0, or -errno after the errors were
 * added to s->conf. settings_free() in both cases. */
int settings_load(struct settings *s, const char *file, const char *rundir);
void settings_free(struct settings *s);
/* Logs all errors collected in s->conf. */
void settings_report(const struct settings *s);

static inline const char *settings_name(const struct settings *s)
{
	return s->is_host ? s->host.name : s->npp.name;
}
static inline const struct common_settings *settings_common(const struct settings *s)
{
	return s->is_host ? &s->host.common : &s->npp.common;
}

/* A uid for the children of NAME: beside those of people and, as far as a hash can tell,
 * of other NPPs and hosts. */
uint32_t settings_derive_uid(const char *rundir, const char *name);

/* What a topology of npp-lab may add to an NPP or a host beside what follows from it: the tables, and the
 * checks of such a map (N may be NULL). A host's MEMORY stands in map AT. 0, or -EINVAL after the errors were
 * added to C. */
extern const struct npp_conf_schema settings_npp_options, settings_host_options;
int settings_check_npp_options(struct npp_conf *c, const struct npp_conf_node *n, uint32_t iops);
int settings_check_host_options(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_node *at,
				uint64_t memory);

/* Entry I of LIST, or what stands in the place of a list of one. */
const struct npp_conf_node *settings_nth(const struct npp_conf_node *list, uint32_t i);

/* settings_ports.c: ports and all addresses, after the file was bound; 0 or -EINVAL. */
int settings_check_ports(struct npp_conf *c, struct npp_settings *s);
int settings_check_routes(struct npp_conf *c, struct npp_settings *s);
/* Bitmap of the ports on whose networks VIA lies. */
uint32_t settings_ports_to(const struct npp_settings *s, const union npp_addr *via);
/* The ports that R goes by. */
uint32_t settings_ports_of_route(const struct npp_settings *s, const struct route_settings *r);

/* Is A an IPv6 address that is valid on its link only? */
bool settings_link_local(const union npp_addr *a);

#endif
