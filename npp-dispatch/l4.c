/* SPDX-License-Identifier: GPL-2.0-or-later
 * l4.c - virtio header and transport checksum of a frame
 *
 * The port vouches for a transport checksum in two ways: DATA_VALID, a driver or a
 * peer namespace checked it; NEEDS_CSUM, the sender is on this machine and left it to
 * be filled in later. It never vouches for the IPv4 header. Without either flag we
 * verify. In a fragment nothing can be verified before reassembly.
 */
#include "config.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>

#include "net/checksum.h"
#include "npp-dispatch/priv.h"

#define TCP_CSUM_OFF 16
#define UDP_CSUM_OFF 6

/* Bounds that hold for any frame, whatever it carries. */
unsigned dispatch_check_vnet(const struct dispatch_packet *p, uint32_t len)
{
	const struct vnet_hdr *v = p->vnet;

	if (v->flags & VNET_F_NEEDS_CSUM) {
		uint32_t start = le16toh(v->csum_start), at = start + le16toh(v->csum_offset);

		if (start < ETH_HDR_LEN || at + 2 > len)
			return NPP_DS_DROP_VNET;
	}
	switch (v->gso_type & ~VNET_GSO_ECN) {
	case VNET_GSO_NONE:
		return 0;
	case VNET_GSO_TCPV4:
	case VNET_GSO_TCPV6:
	case VNET_GSO_UDP:
	case VNET_GSO_UDP_L4:
		return v->gso_size == 0 ? NPP_DS_DROP_VNET : 0;
	default:
		return NPP_DS_DROP_VNET;
	}
}

/* Does the virtio header speak of this very transport header? */
static bool vnet_agrees(const struct dispatch_packet *p)
{
	const struct vnet_hdr *v = p->vnet;
	bool v4 = npp_addr_is_v4(&p->src), tcp = p->proto == IPPROTO_TCP;

	if ((v->flags & VNET_F_NEEDS_CSUM) && (tcp || p->proto == IPPROTO_UDP) &&
	    (le16toh(v->csum_start) != p->l4_off ||
	     le16toh(v->csum_offset) != (tcp ? TCP_CSUM_OFF : UDP_CSUM_OFF)))
		return false;
	switch (v->gso_type & ~VNET_GSO_ECN) {
	case VNET_GSO_NONE:
		return true;
	case VNET_GSO_TCPV4:
		return tcp && v4;
	case VNET_GSO_TCPV6:
		return tcp && !v4;
	default:
		return p->proto == IPPROTO_UDP;
	}
}

/* The transport header is whole. *LEN: bytes that its checksum covers. */
static unsigned check_header(const struct dispatch_packet *p, uint32_t *len)
{
	const uint8_t *h = p->frame + p->l4_off;
	uint32_t room = p->end - p->l4_off;

	*len = room;
	switch (p->proto) {
	case IPPROTO_TCP: {
		uint32_t hlen;

		if (room < TCP_HDR_MIN)
			return NPP_DS_DROP_L4;
		hlen = (uint32_t)(((const struct tcp_hdr *)h)->off >> 4) * 4;
		return hlen < TCP_HDR_MIN || hlen > room ? NPP_DS_DROP_L4 : 0;
	}
	case IPPROTO_UDP:
		if (room < sizeof(struct udp_hdr))
			return NPP_DS_DROP_L4;
		*len = ntohs(((const struct udp_hdr *)h)->len);
		return *len < sizeof(struct udp_hdr) || *len > room ? NPP_DS_DROP_L4 : 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return room < sizeof(struct icmp4_hdr) ? NPP_DS_DROP_L4 : 0;
	default:
		return 0;
	}
}

/* Verifies in software. True if right, or if the sender did not make one. */
static bool csum_right(const struct dispatch_packet *p, uint32_t len)
{
	const uint8_t *h = p->frame + p->l4_off;
	bool v4 = npp_addr_is_v4(&p->src);
	uint64_t sum = 0;

	if (p->proto == IPPROTO_UDP && ((const struct udp_hdr *)h)->csum == 0)
		return v4; /* IPv6 demands one (RFC 8200, 8.1) */
	if (p->proto != IPPROTO_ICMP)
		sum = npp_csum_pseudo(&p->src, &p->dst, p->proto, len);
	return npp_csum_fold(npp_csum_add(h, len, sum)) == 0xffff;
}

unsigned dispatch_check_l4(const struct dispatch_packet *p, uint8_t *csum)
{
	bool icmp = npp_addr_is_v4(&p->src) ? p->proto == IPPROTO_ICMP : p->proto == IPPROTO_ICMPV6;
	uint32_t len;
	unsigned drop;

	*csum = NPP_CSUM_NONE;
	if (!vnet_agrees(p))
		return NPP_DS_DROP_VNET;
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP && !icmp)
		return 0;
	drop = check_header(p, &len);
	if (drop)
		return drop;
	if (!(p->vnet->flags & (VNET_F_NEEDS_CSUM | VNET_F_DATA_VALID)) && !csum_right(p, len))
		return NPP_DS_DROP_L4_CSUM;
	*csum = NPP_CSUM_OK;
	return 0;
}
