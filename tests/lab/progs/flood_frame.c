/* SPDX-License-Identifier: GPL-2.0-or-later
 * flood_frame.c - frames by hand, and the attacks that need no connection
 */
#include "config.h"

#include <string.h>

#include "net/checksum.h"
#include "tests/lab/progs/flood.h"

uint64_t flood_random(struct flood *f)
{
	f->rnd ^= f->rnd << 13;
	f->rnd ^= f->rnd >> 7;
	f->rnd ^= f->rnd << 17;
	return f->rnd;
}

union npp_addr flood_source(const struct flood *f, uint64_t i)
{
	union npp_addr a = f->src;
	uint32_t low;

	memcpy(&low, a.b + 12, 4);
	low = htonl(ntohl(low) + (uint32_t)(i % f->sources));
	memcpy(a.b + 12, &low, 4);
	return a;
}

/* ---- building ---------------------------------------------------------------------------- */

static void eth(struct flood *f, struct flood_pkt *p, const uint8_t *dst, uint16_t type)
{
	struct eth_hdr *h = (struct eth_hdr *)p->b;

	memcpy(h->dst, dst, 6);
	memcpy(h->src, f->mac, 6);
	h->type = htons(type);
	p->len = ETH_HDR_LEN;
}

void flood_put(struct flood_pkt *p, const void *data, uint32_t len)
{
	if (len > FLOOD_FRAME - p->len)
		len = FLOOD_FRAME - p->len;
	if (data)
		memcpy(p->b + p->len, data, len);
	else
		memset(p->b + p->len, 'x', len);
	p->len += len;
}

void flood_ip(struct flood *f, struct flood_pkt *p, const union npp_addr *src, uint8_t proto)
{
	if (npp_addr_is_v4(src)) {
		struct ip4_hdr h = { .vhl = 0x45, .ttl = 64, .proto = proto, .src = npp_addr_get_v4(src),
				     .dst = npp_addr_get_v4(&f->target) };

		eth(f, p, f->target_mac, ETH_P_IPV4);
		h.id = (uint16_t)flood_random(f);
		flood_put(p, &h, sizeof h);
	} else {
		struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .next = proto, .hops = 255 };

		eth(f, p, f->target_mac, ETH_P_IP6);
		memcpy(h.src, src->b, 16);
		memcpy(h.dst, f->target.b, 16);
		flood_put(p, &h, sizeof h);
	}
	p->l4 = p->len;
}

static uint16_t *csum_field(struct flood_pkt *p, uint8_t proto)
{
	uint32_t off = proto == 6 ? 16 : proto == 17 ? 6 : proto == 1 || proto == 58 ? 2 : 0;

	return off && p->l4 + off + 2 <= p->len ? (uint16_t *)(void *)(p->b + p->l4 + off) : NULL;
}

static void l4_csum(struct flood_pkt *p, const union npp_addr *src, const union npp_addr *dst, uint8_t proto)
{
	uint16_t zero = 0, sum, *field = csum_field(p, proto);
	uint32_t len = p->len - p->l4;

	if (!field)
		return;
	memcpy(field, &zero, 2);
	sum = npp_csum_finish(npp_csum_add(p->b + p->l4, len, proto == 1 ? 0 : npp_csum_pseudo(src, dst, proto, len)));
	memcpy(field, &sum, 2);
}

void flood_end(struct flood_pkt *p)
{
	union npp_addr src = { 0 }, dst = { 0 };

	if (p->b[12] == 0x08 && p->b[13] == 0) {
		struct ip4_hdr *h = (struct ip4_hdr *)(p->b + ETH_HDR_LEN);

		h->len = htons((uint16_t)(p->len - ETH_HDR_LEN));
		src = npp_addr_v4(h->src);
		dst = npp_addr_v4(h->dst);
		h->csum = 0;
		h->csum = npp_csum_finish(npp_csum_add(h, sizeof *h, 0));
		if (!(ntohs(h->frag) & (IP4_MF | IP4_OFFMASK)))
			l4_csum(p, &src, &dst, h->proto);
	} else {
		struct ip6_hdr_w *h = (struct ip6_hdr_w *)(p->b + ETH_HDR_LEN);

		h->plen = htons((uint16_t)(p->len - ETH_HDR_LEN - IP6_HDR_LEN));
		memcpy(src.b, h->src, 16);
		memcpy(dst.b, h->dst, 16);
		l4_csum(p, &src, &dst, h->next);
	}
}

void flood_tcp(struct flood *f, struct flood_pkt *p, const union npp_addr *src, const struct flood_tcp *t,
	       const void *data, uint32_t len)
{
	struct tcp_hdr h = { .sport = htons(t->sport), .dport = htons(t->dport), .seq = htonl(t->seq),
			     .ack = htonl(t->ack), .flags = t->flags, .wnd = htons(t->wnd),
			     .off = (uint8_t)((TCP_HDR_MIN + t->opt_len) / 4 << 4) };

	flood_ip(f, p, src, 6);
	flood_put(p, &h, sizeof h);
	if (t->opt_len)
		flood_put(p, t->opt, t->opt_len);
	if (len)
		flood_put(p, data, len);
	flood_end(p);
}

void flood_arp(struct flood *f, struct flood_pkt *p, uint16_t op, const uint8_t *dst, const union npp_addr *spa,
	       const uint8_t *tha, const union npp_addr *tpa)
{
	struct arp_hdr a = { .hrd = htons(1), .pro = htons(ETH_P_IPV4), .hln = 6, .pln = 4, .op = htons(op) };

	eth(f, p, dst, ETH_P_ARP4);
	memcpy(a.sha, f->mac, 6);
	memcpy(a.spa, spa->b + 12, 4);
	memcpy(a.tha, tha, 6);
	memcpy(a.tpa, tpa->b + 12, 4);
	flood_put(p, &a, sizeof a);
}

/* ---- floods -------------------------------------------------------------------------------- */

static void make_syn(struct flood *f, uint64_t n, struct flood_pkt *p)
{
	static const uint8_t opt[] = { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7 };
	union npp_addr src = flood_source(f, flood_random(f));
	struct flood_tcp t = { .sport = (uint16_t)(1024 + n % 60000), .dport = f->port, .wnd = 64240,
			       .seq = (uint32_t)flood_random(f), .flags = TCPF_SYN, .opt = opt, .opt_len = sizeof opt };

	flood_tcp(f, p, &src, &t, NULL, 0);
}

static void make_ack(struct flood *f, uint64_t n, struct flood_pkt *p)
{
	union npp_addr src = flood_source(f, flood_random(f));
	struct flood_tcp t = { .sport = (uint16_t)(1024 + n % 60000), .dport = f->port, .wnd = 1000,
			       .seq = (uint32_t)flood_random(f), .ack = (uint32_t)flood_random(f), .flags = TCPF_ACK };

	flood_tcp(f, p, &src, &t, NULL, 0);
}

/* Into a connection of others, whose sequence numbers are not known: resets, SYNs and data that
 * step over the whole space, and random acknowledgments. */
static void make_blind(struct flood *f, uint64_t n, struct flood_pkt *p)
{
	static const uint8_t flags[] = { TCPF_RST, TCPF_SYN, TCPF_ACK | TCPF_PSH, TCPF_RST | TCPF_ACK };
	struct flood_tcp t = { .sport = f->victim_port, .dport = f->port, .wnd = 1000,
			       .seq = (uint32_t)(n * 32768), .ack = (uint32_t)flood_random(f), .flags = flags[n % 4] };

	flood_tcp(f, p, &f->victim, &t, "injected", n % 4 == 2 ? 8 : 0);
}

static void icmp(struct flood *f, uint64_t n, struct flood_pkt *p, uint8_t type4, uint8_t type6, uint8_t code)
{
	union npp_addr src = flood_source(f, flood_random(f));
	bool v4 = npp_addr_is_v4(&src);
	struct icmp4_hdr h = { .type = v4 ? type4 : type6, .code = code, .rest = htonl(v4 ? 576 : 1280) };

	flood_ip(f, p, &src, v4 ? 1 : 58);
	flood_put(p, &h, sizeof h);
	if (type4 == 8) {
		flood_put(p, NULL, 56);
	} else { /* quotes a segment that the target might have sent */
		struct tcp_hdr t = { .sport = htons(f->port), .dport = htons((uint16_t)n),
				     .seq = htonl((uint32_t)flood_random(f)) };
		struct ip4_hdr q4 = { .vhl = 0x45, .ttl = 60, .proto = 6, .src = npp_addr_get_v4(&f->target),
				      .dst = npp_addr_get_v4(&src), .len = htons(1500) };
		struct ip6_hdr_w q6 = { .vtf = htonl(6u << 28), .next = 6, .hops = 60, .plen = htons(1460) };

		memcpy(q6.src, f->target.b, 16);
		memcpy(q6.dst, src.b, 16);
		flood_put(p, v4 ? (void *)&q4 : (void *)&q6, v4 ? sizeof q4 : sizeof q6);
		flood_put(p, &t, sizeof t);
	}
	flood_end(p);
}

static void make_echo(struct flood *f, uint64_t n, struct flood_pkt *p) { icmp(f, n, p, 8, 128, 0); }
static void make_unreach(struct flood *f, uint64_t n, struct flood_pkt *p) { icmp(f, n, p, 3, 1, 1); }

static void make_too_big(struct flood *f, uint64_t n, struct flood_pkt *p)
{
	icmp(f, n, p, 3, 2, npp_addr_is_v4(&f->target) ? 4 : 0);
}

/* A fragment at OFF of datagram ID. */
static void frag(struct flood *f, struct flood_pkt *p, const union npp_addr *src, uint32_t id, uint32_t off, bool more,
		 uint32_t len)
{
	if (npp_addr_is_v4(src)) {
		struct ip4_hdr *h = (struct ip4_hdr *)(p->b + ETH_HDR_LEN);

		flood_ip(f, p, src, 17);
		h->id = htons((uint16_t)id);
		h->frag = htons((uint16_t)(off / 8 | (more ? IP4_MF : 0)));
	} else {
		struct ip6_frag_hdr h = { .next = 17, .off = htons((uint16_t)(off | more)), .id = htonl(id) };

		flood_ip(f, p, src, 44);
		flood_put(p, &h, sizeof h);
	}
	flood_put(p, NULL, len);
	flood_end(p);
}

/* First pieces of datagrams that never become complete. */
static void make_frag(struct flood *f, uint64_t n, struct flood_pkt *p)
{
	union npp_addr src = flood_source(f, flood_random(f));

	frag(f, p, &src, (uint32_t)flood_random(f), n % 3 * 1024, true, 1024);
}

/* Pieces of a few datagrams that overlap one another. */
static void make_overlap(struct flood *f, uint64_t n, struct flood_pkt *p)
{
	union npp_addr src = flood_source(f, n / 64);

	frag(f, p, &src, (uint32_t)(n / 8), (flood_random(f) % 64) * 8, n % 5 != 0, 64 + 8 * (uint32_t)(n % 9));
}

/* Each asks for the target, from an address of the link. */
static void make_arp(struct flood *f, uint64_t n, struct flood_pkt *p)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, none[6];
	union npp_addr src = flood_source(f, n);

	if (n % 2)
		flood_arp(f, p, 2, f->target_mac, &src, f->target_mac, &f->target); /* nobody asked */
	else
		flood_arp(f, p, 1, all, &src, none, &f->target);
	p->b[ETH_HDR_LEN + 13] = (uint8_t)n; /* its sender's Ethernet address */
}

static void make_nd(struct flood *f, uint64_t n, struct flood_pkt *p)
{
	union npp_addr src = flood_source(f, n);
	uint8_t m[32] = { n % 2 ? 136 : 135 };

	if (n % 2)
		m[4] = 0x60; /* solicited and override: it was not */
	memcpy(m + 8, n % 2 ? src.b : f->target.b, 16);
	m[24] = n % 2 ? 2 : 1;
	m[25] = 1;
	memcpy(m + 26, f->mac, 6);
	m[31] = (uint8_t)n;
	flood_ip(f, p, &src, 58);
	flood_put(p, m, sizeof m);
	flood_end(p);
}


const struct flood_kind flood_kinds[] = {
	{ "syn", false, make_syn, 0 }, { "ack", false, make_ack, 0 }, { "blind", false, make_blind, 0 },
	{ "echo", false, make_echo, 0 }, { "unreach", false, make_unreach, 0 }, { "toobig", false, make_too_big, 0 },
	{ "frag", false, make_frag, 0 }, { "overlap", false, make_overlap, 0 }, { "arp", false, make_arp, 0 },
	{ "nd", false, make_nd, 0 },
	{ "idle", true, NULL, B_IDLE }, { "gap", true, NULL, B_GAP }, { "ooo", true, NULL, B_OOO },
	{ "sack", true, NULL, B_SACK }, { "zero", true, NULL, B_ZERO }, { "tinymss", true, NULL, B_TINY },
	{ "fin2", true, NULL, B_FIN2 }, { "orphan", true, NULL, B_ORPHAN }, { "storm", true, NULL, B_STORM },
	{ "tw", true, NULL, B_TW }, { NULL, false, NULL, 0 },
};

const struct flood_kind *flood_kind(const char *name)
{
	for (const struct flood_kind *k = flood_kinds; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}
