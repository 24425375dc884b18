/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip6_rig.h - two stacks of one NPP in an IPv6 network, and frames for them made by hand
 */
#ifndef NPP_TESTS_IP6_RIG_H
#define NPP_TESTS_IP6_RIG_H

#include "npp-ism/stack/ip_priv.h"
#include "tests/unit/stack/ip_rig.h"

#define PORT 7000	/* each stack has an endpoint there */
#define US "fd00::1"
#define PEER "fd00::64"
#define LOCAL "fe80::1"	/* ours, too */

extern struct rig *r;
extern struct rig_pkt p;	/* the frame that is being made */

void v6_setup(void);
void v6_teardown(void);
union npp_addr v6_addr(const char *text);

/* A frame: its IP header, whatever stands between, then one that completes it. */
void v6_begin(const char *src, const char *dst, uint8_t next);
void v6_ext(uint8_t next, uint8_t units, const void *body, uint32_t len);
void v6_length(void);
/* The transport header begins at p.l4 and is of PROTO. */
void v6_finish(uint8_t proto, unsigned csum_off);
void v6_udp(uint16_t sport, uint16_t dport, uint32_t len);
void v6_icmp(uint8_t type, uint8_t code, uint32_t rest, const void *data, uint32_t len);

/* Whole frames. */
void v6_nd(const char *src, const char *dst, uint8_t type, uint32_t flags, const char *target, uint8_t opt,
	   const uint8_t *mac);
void v6_too_big(uint32_t mtu, uint16_t sport);

void v6_know_peer(void);
const uint8_t *v6_sent(uint8_t next);	/* behind the IP header of the last frame, which is of protocol NEXT */
void v6_expect_drop(unsigned id);	/* IOP 0 is given the frame, and drops it for that reason */
unsigned v6_arrived(void);		/* all IOPs are given it: datagrams that came up so far */
int v6_send_to(unsigned iop, const char *dst, uint32_t len);	/* a datagram */

#endif
