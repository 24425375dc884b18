/* SPDX-License-Identifier: GPL-2.0-or-later
 * stack_peer.c - the peers of a library on the bench
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stack_bench.h"
#include "net/addr.h"
#include "net/checksum.h"
#include "net/wire.h"

#define MSS 1448u		/* with timestamps */
#define NOTES (BENCH_BATCH * 16)

const uint8_t bench_mac[6] = { 2, 0, 0, 0, 0, 1 }, bench_gw_mac[6] = { 2, 8, 8, 8, 8, 8 };
struct bench_side *bench_now;

/* What the library sent, headers only. */
static struct { uint8_t hdr[60]; uint32_t payload; } note[NOTES];
static unsigned n_notes;

static void peer_sent(const uint8_t *ip, uint32_t payload)
{
	if (n_notes == NOTES)
		bench_take_sent(bench_now);
	memcpy(note[n_notes].hdr, ip, sizeof note[0].hdr);
	note[n_notes++].payload = payload;
}

static uint32_t peer_id(uint32_t addr, uint16_t port)
{
	return (addr - BENCH_PEERS) * BENCH_PORTS + (port - BENCH_SPORT);
}

const struct bench_calls bench_calls = { peer_sent, peer_id, bench_mac };

static uint32_t timestamp(const struct tcp_hdr *t)
{
	const uint8_t *o = (const uint8_t *)(t + 1), *end = (const uint8_t *)t + (t->off >> 4) * 4;
	uint32_t v;

	while (o < end && *o) {
		if (*o == 8) {
			memcpy(&v, o + 2, 4);
			return ntohl(v);
		}
		o += *o == 1 ? 1 : o[1] ? o[1] : 1;
	}
	return 0;
}

static void take(struct bench_side *b, const uint8_t *hdr, uint32_t payload)
{
	const struct ip4_hdr *ip = (const struct ip4_hdr *)hdr;
	const struct tcp_hdr *t = (const struct tcp_hdr *)(hdr + 20);
	uint32_t id = peer_id(ntohl(ip->dst), ntohs(t->dport)), ts = timestamp(t);
	struct bench_peer *p;

	if (id >= b->conns)
		return;
	p = &b->peer[id];
	if (t->flags & TCPF_RST) {
		p->rst = 1;
		return;
	}
	if (t->flags & TCPF_SYN) {
		p->rcv_nxt = ntohl(t->seq) + 1;
		p->ts = ts != 0;
		p->fin = 0;
	} else if (ntohl(t->seq) == p->rcv_nxt) {
		p->rcv_nxt += payload + (t->flags & TCPF_FIN ? 1 : 0);
		p->fin |= (t->flags & TCPF_FIN) != 0;
	} else if (payload) {
		b->lost++;
	}
	p->acked = ntohl(t->ack);
	if (ts)
		p->tsecr = ts;
}

void bench_take_sent(struct bench_side *b)
{
	for (unsigned i = 0; i < n_notes; i++)
		take(b, note[i].hdr, note[i].payload);
	n_notes = 0;
}

static unsigned put_options(uint8_t *o, uint8_t flags, const struct bench_peer *p, uint32_t tsval)
{
	static const uint8_t syn[] = { 2, 4, 0x05, 0xb4, 4, 2 /* SACK permitted */, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0,
				       1, 3, 3, 7 };
	uint32_t v = htonl(tsval), e = htonl(p->tsecr);

	if (flags & TCPF_SYN) {
		memcpy(o, syn, sizeof syn);
		memcpy(o + 8, &v, 4);
		return sizeof syn;
	}
	if (!p->ts)
		return 0;
	memcpy(o, "\1\1\10\12", 4);
	memcpy(o + 4, &v, 4);
	memcpy(o + 8, &e, 4);
	return 12;
}

void bench_segment(struct bench_side *b, struct bench_frame *f, uint32_t id, uint8_t flags, uint32_t len)
{
	struct bench_peer *p = &b->peer[id];
	struct eth_hdr *eth = (struct eth_hdr *)f->data;
	struct ip4_hdr *ip = (struct ip4_hdr *)(eth + 1);
	struct tcp_hdr *t = (struct tcp_hdr *)(ip + 1);
	static uint32_t iss;
	union npp_addr src, dst;
	unsigned opt;
	uint32_t l4;

	memcpy(eth->dst, bench_mac, 6);
	memcpy(eth->src, bench_gw_mac, 6);
	eth->type = htons(ETH_P_IPV4);
	if (flags & TCPF_SYN)
		p->snd_nxt = iss += 1u << 18;	/* beyond what the last one with these ports used */
	*t = (struct tcp_hdr){ .sport = htons((uint16_t)(BENCH_SPORT + id % BENCH_PORTS)), .dport = htons(BENCH_PORT),
			       .seq = htonl(p->snd_nxt), .ack = flags & TCPF_ACK ? htonl(p->rcv_nxt) : 0,
			       .flags = flags, .wnd = htons(0xffff) };
	opt = put_options((uint8_t *)(t + 1), flags, p, (uint32_t)(b->now_us / 1000) + 1);
	t->off = (uint8_t)((5 + opt / 4) << 4);
	l4 = 20 + opt + len;
	*ip = (struct ip4_hdr){ .vhl = 0x45, .len = htons((uint16_t)(20 + l4)), .frag = htons(IP4_DF), .ttl = 64,
				.proto = 6, .src = htonl(BENCH_PEERS + id / BENCH_PORTS), .dst = htonl(BENCH_US) };
	ip->csum = npp_csum_finish(npp_csum_add(ip, 20, 0));
	memset((uint8_t *)(t + 1) + opt, 'x', len > 4096 ? 0 : len);
	f->len = 34 + l4;
	f->gso_size = len > MSS ? MSS : 0;
	src = npp_addr_v4(ip->src);
	dst = npp_addr_v4(ip->dst);
	if (!f->gso_size)
		t->csum = npp_csum_finish(npp_csum_add(t, l4, npp_csum_pseudo(&src, &dst, 6, l4)));
	p->snd_nxt += len + ((flags & TCPF_SYN) != 0) + ((flags & TCPF_FIN) != 0);
}

void bench_arp_request(struct bench_frame *f)
{
	struct eth_hdr *eth = (struct eth_hdr *)f->data;
	struct arp_hdr *a = (struct arp_hdr *)(eth + 1);
	uint32_t gw = htonl(BENCH_GW), us = htonl(BENCH_US);

	memcpy(eth->dst, bench_mac, 6);
	memcpy(eth->src, bench_gw_mac, 6);
	eth->type = htons(ETH_P_ARP4);
	*a = (struct arp_hdr){ .hrd = htons(1), .pro = htons(ETH_P_IPV4), .hln = 6, .pln = 4, .op = htons(1) };
	memcpy(a->sha, bench_gw_mac, 6);
	memcpy(a->spa, &gw, 4);
	memcpy(a->tpa, &us, 4);
	f->len = 42;
	f->gso_size = 0;
}
