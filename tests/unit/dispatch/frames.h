/* SPDX-License-Identifier: GPL-2.0-or-later
 * frames.h - frames built by hand, and an NPP to send them to
 *
 * For the unit tests of the dispatcher and for the seeds of its fuzzer. The NPP has
 * 10.0.0.1/24, 192.168.7.1/16 and fd00::1/64; the peer is 10.0.0.9 or fd00::9.
 */
#ifndef NPP_TESTS_FRAMES_H
#define NPP_TESTS_FRAMES_H

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "net/checksum.h"
#include "net/wire.h"
#include "shm/abi.h"

#define US4 "10.0.0.1"
#define PEER4 "10.0.0.9"
#define US6 "fd00::1"
#define PEER6 "fd00::9"

struct frame {
	struct vnet_hdr v;
	uint32_t len;
	uint8_t b[NPP_FRAME_MAX + 64];
};

static const uint8_t our_mac[6] = { 2, 0, 0, 0, 0, 1 };

static inline union npp_addr frame_addr(const char *s)
{
	union npp_addr a;

	if (npp_addr_parse(s, &a) < 0)
		abort();
	return a;
}

static inline void npp_fill(struct npp_global *g, uint32_t n_iops)
{
	static const char *const addr[] = { "10.0.0.1/24", "192.168.7.1/16", "fd00::1/64" };

	memset(g, 0, sizeof *g);
	g->n_iops = n_iops;
	g->n_ports = 1;
	g->iop_up = n_iops == 32 ? 0xffffffffu : (1u << n_iops) - 1;
	memcpy(g->port[0].mac, our_mac, 6);
	g->port[0].mtu = 1500;
	for (unsigned i = 0; i < 3; i++) {
		unsigned len;

		if (npp_addr_parse_prefix(addr[i], &g->addr[i].addr, &len) < 0)
			abort();
		g->addr[i].prefix_len = (uint8_t)len;
	}
	g->n_addrs = 3;
	npp_hash_prog_default(&g->prog[0], n_iops);
}

static inline void frame_eth(struct frame *f, uint16_t type)
{
	static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 9 };

	memset(&f->v, 0, sizeof f->v);
	memcpy(f->b, our_mac, 6);
	memcpy(f->b + 6, peer, 6);
	f->b[12] = (uint8_t)(type >> 8);
	f->b[13] = (uint8_t)type;
	f->len = ETH_HDR_LEN;
}

static inline struct ip4_hdr *frame_ip4h(struct frame *f)
{
	return (struct ip4_hdr *)(f->b + ETH_HDR_LEN);
}

static inline struct ip6_hdr_w *frame_ip6h(struct frame *f)
{
	return (struct ip6_hdr_w *)(f->b + ETH_HDR_LEN);
}

/* After a change of the header. */
static inline void frame_sum4(struct frame *f)
{
	struct ip4_hdr *ip = frame_ip4h(f);

	ip->csum = 0;
	ip->csum = npp_csum_finish(npp_csum_add(ip, (ip->vhl & 15u) * 4, 0));
}

/* Ethernet and IPv4 header in front of LEN bytes at L4. */
static inline void frame_ip4(struct frame *f, uint8_t proto, const char *src, const char *dst, const void *l4,
			     uint32_t len)
{
	struct ip4_hdr *ip;

	frame_eth(f, ETH_P_IPV4);
	ip = frame_ip4h(f);
	*ip = (struct ip4_hdr){ .vhl = 0x45, .len = htons((uint16_t)(20 + len)), .id = htons(77), .ttl = 64,
				.proto = proto };
	ip->src = frame_addr(src).w[3];
	ip->dst = frame_addr(dst).w[3];
	memcpy(ip + 1, l4, len);
	f->len += 20 + len;
	frame_sum4(f);
}

static inline void frame_ip6(struct frame *f, uint8_t next, const char *src, const char *dst, const void *l4,
			     uint32_t len)
{
	struct ip6_hdr_w *ip;
	union npp_addr s = frame_addr(src), d = frame_addr(dst);

	frame_eth(f, ETH_P_IP6);
	ip = frame_ip6h(f);
	*ip = (struct ip6_hdr_w){ .vtf = htonl(0x60000000), .plen = htons((uint16_t)len), .next = next,
				  .hops = 255 };
	memcpy(ip->src, s.b, 16);
	memcpy(ip->dst, d.b, 16);
	memcpy(ip + 1, l4, len);
	f->len += 40 + len;
}

static inline void l4_sum(uint8_t proto, const char *src, const char *dst, void *l4, uint32_t len,
			  uint32_t at)
{
	union npp_addr s = frame_addr(src), d = frame_addr(dst);
	uint64_t sum = proto == 1 ? 0 : npp_csum_pseudo(&s, &d, proto, len);
	uint16_t c;

	memset((uint8_t *)l4 + at, 0, 2);
	c = npp_csum_finish(npp_csum_add(l4, len, sum));
	if (c == 0 && proto == 17)
		c = 0xffff;
	memcpy((uint8_t *)l4 + at, &c, 2);
}

/* A TCP segment or UDP datagram (PROTO 6, 17) with N bytes of payload at L4. */
static inline uint32_t l4_make(uint8_t *l4, uint8_t proto, const char *src, const char *dst, uint16_t sport,
			       uint16_t dport, uint32_t n)
{
	uint32_t head = proto == 6 ? 20 : 8;

	memset(l4, 0, head);
	if (proto == 6) {
		struct tcp_hdr *t = (struct tcp_hdr *)l4;

		t->off = 5 << 4;
		t->flags = TCPF_ACK;
	} else {
		((struct udp_hdr *)l4)->len = htons((uint16_t)(8 + n));
	}
	((struct udp_hdr *)l4)->sport = htons(sport);
	((struct udp_hdr *)l4)->dport = htons(dport);
	for (uint32_t i = 0; i < n; i++)
		l4[head + i] = (uint8_t)(i * 7 + sport);
	l4_sum(proto, src, dst, l4, head + n, proto == 6 ? 16 : 6);
	return head + n;
}

static inline void frame_flow4(struct frame *f, uint8_t proto, uint16_t sport, uint16_t dport, uint32_t n)
{
	static uint8_t l4[NPP_FRAME_MAX];
	uint32_t len = l4_make(l4, proto, PEER4, US4, sport, dport, n);

	frame_ip4(f, proto, PEER4, US4, l4, len);
}

static inline void frame_flow6(struct frame *f, uint8_t proto, uint16_t sport, uint16_t dport, uint32_t n)
{
	static uint8_t l4[NPP_FRAME_MAX];
	uint32_t len = l4_make(l4, proto, PEER6, US6, sport, dport, n);

	frame_ip6(f, proto, PEER6, US6, l4, len);
}

/* An ICMP message that carries QUOTE (an error), or N bytes of it (echo). */
static inline void frame_icmp4(struct frame *f, uint8_t type, const void *quote, uint32_t n)
{
	uint8_t m[2048] = { type };

	memcpy(m + 8, quote, n);
	l4_sum(1, PEER4, US4, m, 8 + n, 2);
	frame_ip4(f, 1, PEER4, US4, m, 8 + n);
}

static inline void frame_icmp6(struct frame *f, uint8_t type, const void *quote, uint32_t n)
{
	uint8_t m[2048] = { type };

	memcpy(m + 8, quote, n);
	l4_sum(58, PEER6, US6, m, 8 + n, 2);
	frame_ip6(f, 58, PEER6, US6, m, 8 + n);
}

static inline void frame_arp(struct frame *f)
{
	struct arp_hdr *a;

	frame_eth(f, ETH_P_ARP4);
	memset(f->b, 0xff, 6);
	a = (struct arp_hdr *)(f->b + ETH_HDR_LEN);
	*a = (struct arp_hdr){ .hrd = htons(1), .pro = htons(ETH_P_IPV4), .hln = 6, .pln = 4, .op = htons(1) };
	memcpy(a->spa, (uint8_t[]){ 10, 0, 0, 9 }, 4);
	memcpy(a->tpa, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	f->len += (uint32_t)sizeof *a;
}

#endif
