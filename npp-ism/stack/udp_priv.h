/* SPDX-License-Identifier: GPL-2.0-or-later
 * udp_priv.h - inside UDP: endpoints and how they are found
 *
 * udp.c     endpoints: bind, unbind, lookup; rebuild
 * udp_io.c  datagrams in and out, ICMP errors
 */
#ifndef NPP_STACK_UDP_PRIV_H
#define NPP_STACK_UDP_PRIV_H

#include "npp-ism/stack/ip_priv.h"

enum udp_ep_state { UDP_EP_FREE = 0, UDP_EP_LIVE, UDP_EP_CHANGING };
enum udp_any { UDP_ANY4 = 0, UDP_ANY6, UDP_ANY_BOTH, UDP_ANYS }; /* 0.0.0.0, :: with IPV6_V6ONLY, :: */
#define UDP_NONE 0xffffffffu
#define UDP_MAX_PAYLOAD4 65507	/* IPv4 counts its header */
#define UDP_MAX_PAYLOAD6 65527

struct udp_ep {
	struct udp_endpoint pub; /* first: what the user sees */
	uint32_t state;		/* enum udp_ep_state; CHANGING: half made or half gone */
	uint32_t next;		/* derived: hash chain, members of a reuseport group by user_sock; or free list */
	uint8_t src_given;	/* path.src was asked for with the last datagram */
	uint16_t mc_first;	/* derived: its memberships (group.c) */
	uint16_t whole_max;	/* largest packet that was not to be cut, so far; 0: none */
	uint8_t link_mtu;	/* the last of them cared for no path's MTU */
	struct ip_path path;	/* to the last destination */
};
struct udp_state {
	struct udp_ep *ep;	/* derived: where they stand */
	uint32_t *head;
	uint32_t n_ep, n_head;
	uint32_t free;		/* derived */
	uint32_t used;
	uint32_t n_connected, n_addr; /* derived: of them connected, and bound to one address */
	uint32_t n_any[UDP_ANYS];	/* derived: bound to a wildcard address */
};

/* Endpoints that match (laddr, lport, raddr, rport) exactly, LADDR being no wildcard (those have
 * udp_first_any()). The first of the group, or NULL; udp_next() gives the others. */
struct udp_ep *udp_first(struct stack *s, const union npp_addr *laddr, uint16_t lport,
			 const union npp_addr *raddr, uint16_t rport);
struct udp_ep *udp_first_any(struct stack *s, enum udp_any kind, uint16_t lport);
struct udp_ep *udp_next(struct stack *s, const struct udp_ep *ep);
/* The endpoint that a unicast datagram belongs to: connected, then bound to the address, then
 * wildcard; of several the latest, of a reuseport group the member that the seeded hash of the
 * flow picks. */
struct udp_ep *udp_lookup(struct stack *s, const union npp_addr *laddr, uint16_t lport,
			  const union npp_addr *raddr, uint16_t rport);

#endif
