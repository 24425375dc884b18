/* SPDX-License-Identifier: GPL-2.0-or-later
 * group.h - multicast groups: who has joined what, and what routers are told of it
 *
 * group.c       memberships of endpoints, and the state of the link that follows from them
 * group_talk.c  when to speak: changes, queries, older versions; the same for both families
 * igmp.c, mld.c the messages
 *
 * Every IOP knows all memberships, because it has a replica of every socket. So whichever IOP a
 * datagram to a group is hashed to gives a copy to each member, and whichever has the link role
 * speaks IGMP and MLD: when the role moves, it begins by reporting all groups.
 */
#ifndef NPP_STACK_GROUP_H
#define NPP_STACK_GROUP_H

#include "npp-ism/stack/priv.h"

#define MC_MEMBERS 512	/* of all endpoints; a host may have half */
#define MC_GROUPS (NPP_MAX_GROUPS + NPP_MAX_IF_ADDRS)	/* joined, and of our own addresses */
#define MC_HOST_GROUPS (NPP_MAX_GROUPS / 2)		/* that one host may join */
#define MC_SOURCES 16	/* of a group; more are taken for 'all' */
#define MC_HEADS 64
#define MC_NONE 0xffffu
#define MC_ROBUST 2	/* RFC 3376, 8.1: how often a change is reported; what a query says counts */
#define MC_UNSOLICITED_US 1000000u	/* 8.11 */
#define MC_QUERY_US 125000000u		/* 8.2 */

struct mc_filter { uint8_t exclude, n; union npp_addr src[MC_SOURCES]; };

struct mc_member {	/* one group of one endpoint */
	struct npp_member m;
	uint32_t ep;
	uint8_t used;		/* set last, cleared first */
	uint8_t host;
	uint16_t next;		/* derived: of the same endpoint */
};

struct mc_group {
	union npp_addr addr;
	uint8_t used;
	uint8_t own;		/* solicited-node group of an address of ours */
	uint8_t hosts;		/* bitmap of those whose sockets have joined */
	uint8_t mode_change;	/* the change to report is one of filter mode */
	uint8_t due;		/* reports of it still to send */
	uint8_t asked;		/* enum mc_asked */
	uint8_t asked_ports;	/* bitmap */
	uint8_t n_asked;
	uint8_t last_ports;	/* bitmap; old versions: the last report there was ours */
	uint16_t members;
	uint16_t next;		/* derived: hash chain */
	struct mc_filter now, told;	/* told: before the change that is being reported */
	union npp_addr asked_src[MC_SOURCES];
	uint64_t change_us, answer_us;	/* when the next report and the answer are due */
};
enum mc_asked { MC_ASKED_NOT = 0, MC_ASKED_SOURCES, MC_ASKED_ALL };

enum mc_family { MC_V4 = 0, MC_V6, MC_FAMILIES };
struct mc_talk {	/* with routers, per port and family */
	uint64_t general_us;	/* answer to a general query is due; 0: none */
	uint64_t v1_until_us, v2_until_us;	/* a querier of an older version is there; MLD: version 1 counts as v2 */
	uint8_t robust;
};

struct mc_state {
	struct mc_member member[MC_MEMBERS];
	struct mc_group group[MC_GROUPS];
	struct mc_talk talk[NPP_MAX_PORTS][MC_FAMILIES];
	struct npp_groups last;	/* what was told */
	uint8_t told;
	uint16_t head[MC_HEADS];	/* derived */
	uint32_t n_members;	/* derived */
	uint32_t net_seq;	/* our addresses, as they were when the groups were made of them */
};

static inline enum mc_family mc_family(const union npp_addr *a)
{
	return npp_addr_is_v4(a) ? MC_V4 : MC_V6;
}
static inline bool mc_joined(const struct mc_group *g)
{
	return g->now.exclude || g->now.n;
}

/* ---- group.c */
struct mc_group *mc_group_find(struct stack *s, const union npp_addr *addr);
/* Does endpoint EP, whose list begins at FIRST, want a datagram from SRC to group G? */
bool mc_wanted(struct stack *s, const struct udp_endpoint *ep, uint16_t first, const struct mc_group *g,
	       const union npp_addr *src);
/* EP's list is replaced; *FIRST is its head. */
int mc_members_set(struct stack *s, const struct udp_endpoint *ep, uint16_t *first, const struct npp_member *m,
		   unsigned n);
/* After a takeover: the lists of endpoints; ALIVE says whether one lives, HEAD where its list begins. */
void mc_rebuild(struct stack *s, uint16_t *(*head)(struct stack *s, uint32_t ep));
void mc_refresh(struct stack *s);	/* the state of the link, from memberships and addresses */
void mc_free(struct stack *s, struct mc_group *g);

/* ---- group_talk.c (link role; the others only let changes lapse) */
void mc_changed(struct stack *s, struct mc_group *g, const struct mc_filter *now);
void mc_role(struct stack *s, bool has);
void mc_ports(struct stack *s, uint32_t came);	/* bitmap of ports that have a carrier again */
void mc_timer(struct stack *s);
struct mc_query {
	union npp_addr group;	/* any: general */
	const uint8_t *src;	/* of n_src sources, 4 or 16 bytes each */
	uint32_t n_src;
	uint32_t resp_us;
	uint8_t port;		/* it came by */
	uint8_t version;	/* 3, or the older one */
	uint8_t robust;		/* 0: not said */
};
void mc_query(struct stack *s, enum mc_family f, const struct mc_query *q);
/* Somebody else on PORT reported G to a querier of an older version: we need not. */
void mc_overheard(struct stack *s, const union npp_addr *group, uint8_t port);
void mc_tell(struct stack *s);	/* which groups the dispatcher is to let in */

/* ---- igmp.c, mld.c */
enum mc_record { MC_IS_INCLUDE = 1, MC_IS_EXCLUDE, MC_TO_INCLUDE, MC_TO_EXCLUDE, MC_ALLOW, MC_BLOCK };
void igmp_input(struct stack *s, const struct pkt *pkt);
void mld_input(struct stack *s, const struct pkt *pkt);
/* A report of N records, LEN bytes. */
void igmp_send_report(struct stack *s, uint8_t port, const void *records, uint32_t len, unsigned n);
void mld_send_report(struct stack *s, uint8_t port, const void *records, uint32_t len, unsigned n);
/* In the words of an older version (IGMP 1 or 2, MLD 1): G is wanted, or not any more. */
void igmp_send_old(struct stack *s, uint8_t port, const union npp_addr *group, unsigned version, bool leave);
void mld_send_old(struct stack *s, uint8_t port, const union npp_addr *group, bool leave);

#endif
