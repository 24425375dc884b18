/* SPDX-License-Identifier: GPL-2.0-or-later
 * made.c - frames of third parties: who says that an address is his, who asks for groups, who advertises prefixes
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "net/checksum.h"
#include "tests/sim/sim.h"

static const uint8_t thief[6] = { 2, 0, 0, 0, 0, 0x66 };

static struct frame *claim4(const union npp_addr *addr)
{
	struct arp_hdr a = { .hrd = htons(1), .pro = htons(ETH_P_IPV4), .hln = 6, .pln = 4, .op = htons(1) };
	struct frame *f = frame_new(ETH_HDR_LEN + sizeof a);
	struct eth_hdr e = { .dst = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, .type = htons(ETH_P_ARP4) };

	memcpy(e.src, thief, 6);
	memcpy(a.sha, thief, 6);
	memcpy(a.spa, addr->b + 12, 4);
	memcpy(a.tpa, addr->b + 12, 4);
	memcpy(f->data, &e, sizeof e);
	memcpy(f->data + sizeof e, &a, sizeof a);
	return f;
}

static struct frame *ip6_new(const union npp_addr *src, const union npp_addr *dst, const uint8_t *mac, uint8_t hops,
			     const void *icmp, uint32_t len)
{
	struct frame *f = frame_new(ETH_HDR_LEN + IP6_HDR_LEN + len);
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .plen = htons((uint16_t)len), .next = 58, .hops = hops };
	struct eth_hdr e = { .dst = { 0x33, 0x33 }, .type = htons(ETH_P_IP6) };
	uint8_t *l4 = f->data + ETH_HDR_LEN + IP6_HDR_LEN;
	uint16_t sum;

	memcpy(e.dst + 2, dst->b + 12, 4);
	memcpy(e.src, mac, 6);
	memcpy(h.src, src->b, 16);
	memcpy(h.dst, dst->b, 16);
	memcpy(f->data, &e, sizeof e);
	memcpy(f->data + ETH_HDR_LEN, &h, sizeof h);
	memcpy(l4, icmp, len);
	sum = npp_csum_finish(npp_csum_add(l4, len, npp_csum_pseudo(src, dst, 58, len)));
	memcpy(l4 + 2, &sum, 2);
	return f;
}

static struct frame *claim6(const union npp_addr *addr)
{
	static const union npp_addr from = { .b = { 0xfe, 0x80, [15] = 0x66 } }, all = { .b = { 0xff, 2, [15] = 1 } };
	uint8_t na[32] = { 136, 0, 0, 0, 0x20, [24] = 2, 1 };	/* override, target address */

	memcpy(na + 8, addr->b, 16);
	memcpy(na + 26, thief, 6);
	return ip6_new(&from, &all, thief, 255, na, sizeof na);
}

struct frame *frame_claim(const union npp_addr *addr)
{
	return npp_addr_is_v4(addr) ? claim4(addr) : claim6(addr);
}

/* ---- queries ------------------------------------------------------------------------------ */

static struct frame *query4(const union npp_addr *group, unsigned version)
{
	uint8_t q[12] = { 0x11, version == 1 ? 0 : 10, [8] = 2, 125 };
	uint32_t len = version == 3 ? 12 : 8, dst = npp_addr_get_v4(group) ? npp_addr_get_v4(group) : htonl(0xe0000001u);
	struct ip4_hdr h = { .vhl = 0x46, .ttl = 1, .proto = 2, .src = htonl(0x0a0000feu), .dst = dst };
	struct frame *f = frame_new(ETH_HDR_LEN + 24 + len);
	struct eth_hdr e = { .dst = { 1, 0, 0x5e }, .type = htons(ETH_P_IPV4) };
	uint8_t *ip = f->data + ETH_HDR_LEN;
	uint16_t sum;

	memcpy(q + 4, group->b + 12, 4);
	sum = npp_csum_finish(npp_csum_add(q, len, 0));
	memcpy(q + 2, &sum, 2);
	memcpy(e.dst + 3, (const uint8_t *)&dst + 1, 3);
	e.dst[3] &= 0x7f;
	memcpy(e.src, "\x02\0\0\0\0\xfe", 6);
	h.len = htons((uint16_t)(24 + len));
	memcpy(f->data, &e, sizeof e);
	memcpy(ip, &h, sizeof h);
	memcpy(ip + sizeof h, "\x94\4\0\0", 4);
	sum = npp_csum_finish(npp_csum_add(ip, 24, 0));
	memcpy(ip + offsetof(struct ip4_hdr, csum), &sum, 2);
	memcpy(ip + 24, q, len);
	return f;
}

static struct frame *query6(const union npp_addr *group, unsigned version)
{
	static const union npp_addr from = { .b = { 0xfe, 0x80, [15] = 0xfe } }, all = { .b = { 0xff, 2, [15] = 1 } };
	const union npp_addr *dst = npp_addr_is_any(group) ? &all : group;
	uint32_t len = version == 3 ? 28 : 24;
	uint8_t q[8 + 28] = { 58, 0, 5, 2, 0, 0, 1, 0, 130, 0, 0, 0, 1000 / 256, 1000 % 256, [8 + 24] = 2, 125 };
	struct frame *f;
	uint16_t sum;

	memcpy(q + 16, group->b, 16);
	sum = npp_csum_finish(npp_csum_add(q + 8, len, npp_csum_pseudo(&from, dst, 58, len)));
	memcpy(q + 10, &sum, 2);
	f = ip6_new(&from, dst, (const uint8_t[6]){ 2, 0, 0, 0, 0, 0xfe }, 1, q, 8 + len);
	f->data[ETH_HDR_LEN + 6] = 0;	/* hop-by-hop options first */
	memcpy(f->data + ETH_HDR_LEN + IP6_HDR_LEN, q, 8 + len);
	return f;
}

struct frame *frame_query(const union npp_addr *group, unsigned version)
{
	return npp_addr_is_v4(group) ? query4(group, version) : query6(group, version < 3 ? 2 : 3);
}

/* ---- advertisements ------------------------------------------------------------------------ */

struct frame *frame_ra(uint32_t seconds, bool renumbered)
{
	static const union npp_addr from = { .b = { 0xfe, 0x80, [15] = 0xfe } }, all = { .b = { 0xff, 2, [15] = 1 } };
	uint8_t ra[16 + 2 * 32] = { 134, 0, 0, 0, 0, 0, 1800 / 256, 1800 % 256, 0, 0, 0x13, 0x88 }; /* reachable: 5 s */
	uint32_t life = htonl(seconds), n = renumbered ? 2 : 1;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *o = ra + 16 + 32 * i;

		memcpy(o, "\3\4\x40\xc0", 4);
		memcpy(o + 4, &life, 4);
		if (i == n - 1)		/* the newest is preferred */
			memcpy(o + 8, &life, 4);
		memcpy(o + 16, (const uint8_t[8]){ 0xfd, 0x0a, [7] = (uint8_t)i }, 8);
	}
	return ip6_new(&from, &all, (const uint8_t[6]){ 2, 0, 0, 0, 0, 0xfe }, 255, ra, 16 + 32 * n);
}
