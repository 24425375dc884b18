/* SPDX-License-Identifier: GPL-2.0-or-later
 * parse.c - IP headers: what the dispatcher must know of them, nothing else
 *
 * Every offset is compared with the end of what was read before a byte behind it is
 * touched. The same walk serves a frame's own header and the header that an ICMP error
 * quotes, where less can be demanded.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/checksum.h"
#include "npp-dispatch/priv.h"

#define DATAGRAM_MAX 65535u
#define EXT_HEADERS_MAX 8

static inline uint16_t be16_at(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Offset and payload of a fragment, in bytes; HEAD: bytes of header that count for the
 * largest datagram. */
static unsigned check_fragment(uint32_t offset, bool more, uint32_t payload, uint32_t head, uint8_t proto)
{
	if (payload == 0 || (more && payload % 8 != 0) || head + offset + payload > DATAGRAM_MAX)
		return NPP_DS_DROP_FRAGMENT;
	/* Made to overwrite the flags of a header already let through (RFC 3128). */
	if (proto == IPPROTO_TCP && offset == 8)
		return NPP_DS_DROP_FRAGMENT;
	return 0;
}

unsigned dispatch_parse_ip4(struct dispatch_packet *p, uint32_t limit, bool quoted)
{
	const struct ip4_hdr *ip = (const struct ip4_hdr *)(p->frame + p->ip_off);
	uint32_t room = limit - p->ip_off, hlen, total, frag;

	if (room < IP4_HDR_MIN)
		return NPP_DS_DROP_SHORT;
	if (ip->vhl >> 4 != 4)
		return NPP_DS_DROP_IP_VERSION;
	hlen = (ip->vhl & 15u) * 4;
	total = ntohs(ip->len);
	if (hlen < IP4_HDR_MIN || hlen > room || total < hlen || (total > room && !quoted))
		return NPP_DS_DROP_IP_HEADER;
	if (!quoted && npp_csum_fold(npp_csum_ip4(ip, hlen)) != 0xffff)
		return NPP_DS_DROP_IP_CSUM;
	p->end = p->ip_off + (total < room ? total : room);
	p->l4_off = p->ip_off + hlen;
	p->src = npp_addr_v4(ip->src);
	p->dst = npp_addr_v4(ip->dst);
	p->proto = p->frag_proto = ip->proto;
	frag = ntohs(ip->frag);
	/* What was quoted from a first fragment has its ports. */
	p->fragment = (frag & (quoted ? IP4_OFFMASK : IP4_MF | IP4_OFFMASK)) != 0;
	p->frag_id = ntohs(ip->id);
	if (!p->fragment || quoted)
		return 0;
	return check_fragment((frag & IP4_OFFMASK) * 8, frag & IP4_MF, total - hlen, hlen, ip->proto);
}

/* The fragment header at p->l4_off. Returns as the callers; *LAST: the walk ends here. */
static unsigned parse_frag6(struct dispatch_packet *p, bool quoted, bool *last)
{
	const uint8_t *h = p->frame + p->l4_off;
	uint32_t field = be16_at(h + 2);
	bool more = field & 1;

	p->frag_id = (uint32_t)be16_at(h + 4) << 16 | be16_at(h + 6);
	p->frag_proto = IPPROTO_FRAGMENT;
	p->proto = h[0];
	p->l4_off += 8;
	*last = (more && !quoted) || (field & ~7u) != 0;
	if (!*last) /* an atomic fragment is none (RFC 6946) */
		return 0;
	p->fragment = true;
	return quoted ? 0 : check_fragment(field & ~7u, more, p->end - p->l4_off, 0, p->proto);
}

/* Length of the extension header PROTO that begins with byte 1 = N; 0: it is none. */
static uint32_t ext_len(uint8_t proto, uint8_t n)
{
	switch (proto) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return (n + 1u) * 8;
	case IPPROTO_AH:
		return (n + 2u) * 4;
	case IPPROTO_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

unsigned dispatch_parse_ip6(struct dispatch_packet *p, uint32_t limit, bool quoted)
{
	const struct ip6_hdr_w *ip = (const struct ip6_hdr_w *)(p->frame + p->ip_off);
	uint32_t room = limit - p->ip_off, total, len;

	if (room < sizeof *ip)
		return NPP_DS_DROP_SHORT;
	if (p->frame[p->ip_off] >> 4 != 6)
		return NPP_DS_DROP_IP_VERSION;
	total = (uint32_t)sizeof *ip + ntohs(ip->plen);
	if (total > room && !quoted)
		return NPP_DS_DROP_IP_HEADER;
	p->end = p->ip_off + (total < room ? total : room);
	p->l4_off = p->ip_off + (uint32_t)sizeof *ip;
	memcpy(p->src.b, ip->src, 16);
	memcpy(p->dst.b, ip->dst, 16);
	p->proto = ip->next;
	p->fragment = false;
	for (int i = 0; i < EXT_HEADERS_MAX; i++) {
		const uint8_t *h = p->frame + p->l4_off;
		uint32_t left = p->end - p->l4_off;
		bool last = false;
		unsigned drop;

		if (ext_len(p->proto, 0) == 0)
			return 0;
		/* Hop-by-hop options stand first or not at all (RFC 8200, 4.1). */
		if (left < 8 || (p->proto == IPPROTO_HOPOPTS && i > 0))
			return NPP_DS_DROP_IP_HEADER;
		len = ext_len(p->proto, h[1]);
		if (len > left)
			return NPP_DS_DROP_IP_HEADER;
		if (p->proto == IPPROTO_FRAGMENT) {
			drop = parse_frag6(p, quoted, &last);
			if (drop || last)
				return drop;
			continue;
		}
		p->proto = h[0];
		p->l4_off += len;
	}
	return NPP_DS_DROP_IP_HEADER;
}
