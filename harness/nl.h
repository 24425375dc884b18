/* SPDX-License-Identifier: GPL-2.0-or-later
 * nl.h - links, addresses and routes of a namespace, over libnl
 *
 * A struct nl_ns is a netlink socket that was made inside one namespace and stays there.
 */
#ifndef NPP_HARNESS_NL_H
#define NPP_HARNESS_NL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/log.h"
#include "net/addr.h"

struct nl_sock;
struct nl_ns {
	struct nl_sock *sk;
	int fd;			/* of the namespace; owned */
	const char *name;	/* for messages */
};

/* Opens namespace PATH. 0 or -errno. */
int nl_ns_open(struct nl_ns *n, const char *path, const char *name, struct npp_err *e);
void nl_ns_close(struct nl_ns *n);	/* zeroed structs are fine */

/* A bridge without STP, forward delay and multicast snooping, up. */
int nl_add_bridge(struct nl_ns *n, const char *name, const uint8_t mac[6], uint32_t mtu, struct npp_err *e);
/* A veth pair: IFNAME in N, up, with MAC; PEER in B, up, port of bridge BRIDGE. */
int nl_add_veth(struct nl_ns *n, const char *ifname, const uint8_t mac[6], uint32_t mtu, struct nl_ns *b,
		const char *peer, const char *bridge, struct npp_err *e);
/* Gives a link a MAC and an MTU (NULL, 0: leave), makes it a port of BRIDGE (NULL: of none), up. */
int nl_setup_link(struct nl_ns *n, const char *ifname, const uint8_t *mac, uint32_t mtu, const char *bridge,
		  struct npp_err *e);
struct nl_link_info {
	bool up, carrier;
	bool lower;		/* it has its carrier, though perhaps nobody took it up */
	int index;
	uint32_t mtu;
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets, drops;
};
int nl_link_info(struct nl_ns *n, const char *ifname, struct nl_link_info *i, struct npp_err *e);
/* A descriptor that is readable when a link of the namespace changes (RTM_NEWLINK, RTM_DELLINK). */
int nl_watch_links(const struct nl_ns *n, struct npp_err *e);
/* Takes a link up or down. */
int nl_set_flags(struct nl_ns *n, const char *ifname, bool up, struct npp_err *e);
int nl_set_up(struct nl_ns *n, const char *ifname, struct npp_err *e);
/* Prefix lengths count in 128 bits: 96 + n for IPv4. An IPv6 address is usable at once. */
int nl_add_addr(struct nl_ns *n, const char *ifname, const union npp_addr *addr, unsigned plen, struct npp_err *e);
int nl_add_route(struct nl_ns *n, const union npp_addr *to, unsigned plen, const union npp_addr *via,
		 struct npp_err *e);
/* Does the namespace know a way to ADDR? */
bool nl_has_route(struct nl_ns *n, const union npp_addr *addr);
/* 1 the link has its carrier, 0 not (yet), -errno. */
int nl_carrier(struct nl_ns *n, const char *ifname);

#endif
