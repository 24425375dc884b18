/* SPDX-License-Identifier: GPL-2.0-or-later
 * wire.h - Ethernet, ARP, IPv4, IPv6, ICMP, UDP and TCP as they stand on the wire
 *
 * Packed structs in network order, to be overlaid on a buffer after its length
 * was checked. They may stand at any alignment.
 */
#ifndef NPP_NET_WIRE_H
#define NPP_NET_WIRE_H

#include <stdint.h>

#define NPP_PACKED __attribute__((packed, may_alias))

#define ETH_HDR_LEN 14
#define ETH_P_IPV4 0x0800
#define ETH_P_ARP4 0x0806
#define ETH_P_IP6 0x86dd

struct NPP_PACKED eth_hdr {
	uint8_t dst[6];
	uint8_t src[6];
	uint16_t type;
};

struct NPP_PACKED arp_hdr { /* RFC 826, Ethernet and IPv4 */
	uint16_t hrd, pro;
	uint8_t hln, pln;
	uint16_t op;
	uint8_t sha[6];
	uint8_t spa[4];
	uint8_t tha[6];
	uint8_t tpa[4];
};

struct NPP_PACKED ip4_hdr { /* RFC 791 */
	uint8_t vhl;
	uint8_t tos;
	uint16_t len;
	uint16_t id;
	uint16_t frag; /* flags and offset */
	uint8_t ttl;
	uint8_t proto;
	uint16_t csum;
	uint32_t src, dst;
};
#define IP4_HDR_MIN 20
#define IP4_RF 0x8000
#define IP4_DF 0x4000
#define IP4_MF 0x2000
#define IP4_OFFMASK 0x1fff

struct NPP_PACKED ip6_hdr_w { /* RFC 8200 */
	uint32_t vtf;
	uint16_t plen;
	uint8_t next, hops;
	uint8_t src[16], dst[16];
};

#define IP6_HDR_LEN 40
#define IP6_MTU_MIN 1280 /* RFC 8200, 5 */

struct NPP_PACKED ip6_frag_hdr { /* RFC 8200, 4.5 */
	uint8_t next, reserved;
	uint16_t off; /* in bytes, a multiple of 8; bit 0: more */
	uint32_t id;
};

struct NPP_PACKED icmp4_hdr { /* RFC 792 */
	uint8_t type, code;
	uint16_t csum;
	uint32_t rest;
};

struct NPP_PACKED udp_hdr { /* RFC 768 */
	uint16_t sport, dport, len, csum;
};

struct NPP_PACKED tcp_hdr { /* RFC 9293, 3.1 */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t off; /* data offset in the upper four bits */
	uint8_t flags;
	uint16_t wnd, csum, urp;
};
#define TCP_HDR_MIN 20
#define TCPF_FIN 0x01
#define TCPF_SYN 0x02
#define TCPF_RST 0x04
#define TCPF_PSH 0x08
#define TCPF_ACK 0x10
#define TCPF_URG 0x20
#define TCPF_ECE 0x40
#define TCPF_CWR 0x80

/* As struct virtio_net_hdr_v1, little-endian fields; what precedes each frame on
 * the port (TUNSETVNETHDRSZ 12). */
struct NPP_PACKED vnet_hdr {
	uint8_t flags;		/* VNET_F_* */
	uint8_t gso_type;	/* VNET_GSO_* */
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};
#define VNET_F_NEEDS_CSUM 1
#define VNET_F_DATA_VALID 2
#define VNET_GSO_NONE 0
#define VNET_GSO_TCPV4 1
#define VNET_GSO_UDP 3
#define VNET_GSO_TCPV6 4
#define VNET_GSO_UDP_L4 5
#define VNET_GSO_ECN 0x80
_Static_assert(sizeof(struct vnet_hdr) == 12, "virtio header");
_Static_assert(sizeof(struct eth_hdr) == 14 && sizeof(struct arp_hdr) == 28 &&
	       sizeof(struct ip4_hdr) == 20 && sizeof(struct tcp_hdr) == 20, "wire layouts");

#endif
