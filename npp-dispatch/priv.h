/* SPDX-License-Identifier: GPL-2.0-or-later
 * priv.h - between the files of the dispatcher's library
 */
#ifndef NPP_DISPATCH_PRIV_H
#define NPP_DISPATCH_PRIV_H

#include "npp-dispatch/dispatch.h"

/* An IP packet, once its headers were walked. Offsets count from the frame's start. */
struct dispatch_packet {
	const struct vnet_hdr *vnet;
	const uint8_t *frame;
	uint32_t ip_off;
	uint32_t end;		/* of the datagram: padding lies behind */
	uint32_t l4_off;	/* of the transport header, or of the fragment's payload */
	union npp_addr src, dst;
	uint8_t proto;		/* of the transport header */
	bool fragment;
	uint32_t frag_id;	/* host order */
	uint8_t frag_proto;	/* as the fragment hash wants it: constant for IPv6 (RFC 8200, 4.5) */
};

/* Walks the IP header (and extension headers) at p->ip_off within LIMIT bytes of frame.
 * QUOTED: the packet inside an ICMP error, which may be cut short and whose checksum is
 * not looked at. 0, or the counter NPP_DS_DROP_* that says what is wrong. */
unsigned dispatch_parse_ip4(struct dispatch_packet *p, uint32_t limit, bool quoted);
unsigned dispatch_parse_ip6(struct dispatch_packet *p, uint32_t limit, bool quoted);

/* Virtio header and transport checksum. 0, or the counter of the drop; *CSUM says what
 * is known about the checksum then. */
unsigned dispatch_check_vnet(const struct dispatch_packet *p, uint32_t len);
unsigned dispatch_check_l4(const struct dispatch_packet *p, uint8_t *csum);

#endif
