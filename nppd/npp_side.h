/* SPDX-License-Identifier: GPL-2.0-or-later
 * npp_side.h - what an nppd in the role of an NPP keeps
 */
#ifndef NPPD_NPP_SIDE_H
#define NPPD_NPP_SIDE_H

#include "nppd/grants.h"
#include "nppd/nppd.h"
#include "nppd/tap.h"

struct host {			/* hosts.c; by host number */
	struct npp_side *npp;
	bool used;
	bool told;		/* the ISMs know it */
	uint32_t no;
	uint32_t attach;	/* the host's number for us */
	uint32_t attach_seq;	/* of ATTACH, for its answer */
	char name[NPP_NAME_MAX];
	struct conn *conn;	/* NULL: gone; `grace` runs */
	int mem_fd;
	uint64_t mem_ino;
	uint32_t n_bells;
	int bell[NPP_MAX_CTX];
	int in_bell[NPP_MAX_IOPS];	/* its own doorbells of the ISMs: it can spoil only these */
	struct npp_region inbound[NPP_MAX_IOPS];
	uint32_t grace_ms;		/* the shorter of its own and ours */
	uint32_t graces;		/* it has had since it is gone */
	struct loop_timer grace, ping;
	unsigned pings;			/* not answered */
};

struct host_name {		/* what is known of a name, whether a host has it now or not */
	char name[NPP_NAME_MAX];
	bool member;			/* shares listeners */
	bool down;			/* declared so: it may not attach */
	uint32_t weight;		/* its byte in the list of members */
	uint32_t failures;
};

struct npp_side {
	struct nppd *d;
	uint32_t n_iops, n_ports;
	struct tap tap[NPP_MAX_PORTS];
	struct steer aside;			/* of all ports; none: prog_fd -1 */
	struct loop_fd link_src[NPP_MAX_PORTS];
	struct npp_region global, neigh, locks, dispatch;
	struct npp_region ism[NPP_MAX_IOPS];
	int rx_ctl[NPP_MAX_IOPS], rx_data[NPP_MAX_IOPS];
	int bell[1 + NPP_MAX_IOPS];		/* 0: the dispatcher's */
	int ipc[NPP_MAX_IOPS][NPP_MAX_IOPS][2];	/* ring from i to j: control page, data; -1: not made */
	bool link_role_given;
	uint32_t key[4];		/* npp_key of all ISMs; drawn with the first */
	struct host host[NPP_MAX_HOSTS];
	struct host_name names[2 * NPP_MAX_HOSTS];
	unsigned n_names;
	struct grants *grants;
	struct conflict { struct npp_ctl_conflict c; uint64_t at_ms; } conflict[NPP_CONFLICTS];
};

static inline struct npp_global *npp_side_global(struct npp_side *n)
{
	return n->global.base;
}
/* The child that is ISM number IOP. */
static inline struct child *npp_side_ism(struct npp_side *n, unsigned iop)
{
	return &n->d->child[1 + iop];
}

/* Who answers ARP, or shall. */
static inline uint32_t npp_side_link_iop(struct npp_side *n)
{
	return atomic_load_explicit(&npp_side_global(n)->link_iop, memory_order_relaxed);
}

/* npp_regions.c */
int npp_regions_create(struct npp_side *n);
/* Addresses and routes: those of the configuration and what the link role has learned. */
void npp_regions_autoconf(struct npp_side *n, struct child *c, const struct npp_autoconf *a);
/* Carrier of PORT came (UP) or went; false: no news. */
bool npp_regions_port_up(struct npp_side *n, unsigned port, bool up);
void npp_regions_groups(struct npp_side *n, struct child *c, const struct npp_groups *g);
void npp_regions_free(struct npp_side *n);
void npp_regions_start_ism(struct npp_side *n, unsigned iop, struct npp_ctl_start_ism *start); /* without seed */

/* conflicts.c */
void conflicts_note(struct npp_side *n, const struct npp_conflict *c);
void conflicts_status(const struct npp_side *n, struct npp_ctl_status *st);

/* ipc.c */
void ipc_open(struct npp_side *n, struct child *c, const struct npp_ctl_msg *m);
void ipc_tell_ism(struct npp_side *n, unsigned iop);	/* all rings that it has */
void ipc_free(struct npp_side *n);

/* hosts.c */
int hosts_msg(struct nppd *d, struct conn *c, struct npp_ctl_msg *m);
void hosts_conn_gone(struct nppd *d, struct conn *c);
/* To all hosts. LOST: it will not come back with what it knew. */
void hosts_iop_state(struct npp_side *n, unsigned iop, bool up, bool lost);
/* To a successor: the hosts that there are, and those that are gone. */
void hosts_tell_ism(struct npp_side *n, unsigned iop);
void hosts_free(struct npp_side *n);
int hosts_init(struct npp_side *n);	/* what the configuration says of them */
int hosts_tool(struct nppd *d, struct conn *c, const struct npp_ctl_msg *m);	/* TOOL_HOST */

#endif
