/* SPDX-License-Identifier: GPL-2.0-or-later
 * frame.c - frames on their way: checksums completed, cut, fragmented, answered
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "net/checksum.h"
#include "tests/sim/sim.h"

#define ROUTER_ADDR 0x0a0000feu

struct frame *frame_new(uint32_t len)
{
	struct frame *f = malloc(sizeof *f + len);

	if (!f)
		abort();
	memset(f, 0, sizeof *f);
	f->len = len;
	f->rec.kind = f->kind = NPP_REC_FRAME;
	f->rec.len = len;
	return f;
}

struct frame *frame_copy(const struct frame *f)
{
	struct frame *c = frame_new(f->len);

	memcpy(c, f, sizeof *f + f->len);
	c->next = NULL;
	return c;
}

void frame_queue_init(struct frame_queue *q)
{
	*q = (struct frame_queue){ .tail = &q->head };
}

void frame_put(struct frame_queue *q, struct frame *f)
{
	f->next = NULL;
	*q->tail = f;
	q->tail = &f->next;
	q->n++;
	q->bytes += f->len + (uint32_t)sizeof(struct npp_frame_rec);
}

struct frame *frame_get(struct frame_queue *q)
{
	struct frame *f = q->head;

	if (!f)
		return NULL;
	q->head = f->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	q->bytes -= f->len + (uint32_t)sizeof(struct npp_frame_rec);
	return f;
}

void frame_queue_clear(struct frame_queue *q)
{
	struct frame *f;

	while ((f = frame_get(q)))
		free(f);
}

struct ip4_hdr *frame_ip4(struct frame *f)
{
	if (f->len < ETH_HDR_LEN + IP4_HDR_MIN || f->data[12] != 8 || f->data[13] != 0)
		return NULL;
	return (struct ip4_hdr *)(f->data + ETH_HDR_LEN);
}

static void look6(const struct frame *f, struct packet *p)
{
	const struct ip6_hdr_w *h = (const struct ip6_hdr_w *)(f->data + ETH_HDR_LEN);
	const struct ip6_frag_hdr *g = (const struct ip6_frag_hdr *)(h + 1);

	p->family = 6;
	p->proto = h->next;
	p->tos = (uint8_t)(ntohl(h->vtf) >> 20);
	p->first = true;
	p->l4 = ETH_HDR_LEN + IP6_HDR_LEN;
	p->len = f->len - ETH_HDR_LEN;
	memcpy(p->src.b, h->src, 16);
	memcpy(p->dst.b, h->dst, 16);
	if (h->next == IP_PROTO_FRAGMENT && f->len >= p->l4 + sizeof *g) {
		p->proto = g->next;
		p->fragment = true;
		p->first = (ntohs(g->off) & ~7u) == 0;
		p->l4 += (uint32_t)sizeof *g;
	}
}

void frame_look(const struct frame *f, struct packet *p)
{
	const struct ip4_hdr *h = (const struct ip4_hdr *)(f->data + ETH_HDR_LEN);

	*p = (struct packet){ 0 };
	if (f->len >= ETH_HDR_LEN + IP6_HDR_LEN && f->data[12] == 0x86 && f->data[13] == 0xdd) {
		look6(f, p);
		return;
	}
	if (f->len < ETH_HDR_LEN + IP4_HDR_MIN || f->data[12] != 8 || f->data[13] != 0)
		return;
	*p = (struct packet){ .family = 4, .proto = h->proto, .tos = h->tos, .l4 = ETH_HDR_LEN + IP4_HDR_MIN,
			      .fragment = (h->frag & htons(IP4_MF | IP4_OFFMASK)) != 0,
			      .first = !(h->frag & htons(IP4_OFFMASK)), .len = f->len - ETH_HDR_LEN,
			      .src = npp_addr_v4(h->src), .dst = npp_addr_v4(h->dst) };
}

static void ip4_sum(struct ip4_hdr *h)
{
	h->csum = 0;
	h->csum = npp_csum_finish(npp_csum_add(h, IP4_HDR_MIN, 0));
}

bool frame_mark(struct frame *f)
{
	struct ip6_hdr_w *h6 = (struct ip6_hdr_w *)(f->data + ETH_HDR_LEN);
	struct ip4_hdr *h = frame_ip4(f);
	struct packet p;

	frame_look(f, &p);
	if (!(p.tos & 3))
		return false;
	if (h) {
		h->tos |= 3;
		ip4_sum(h);
	} else {
		h6->vtf |= htonl(3u << 20);
	}
	return true;
}

void frame_complete(struct frame *f)
{
	struct vnet_hdr *v = &f->rec.vnet;
	uint32_t at = (uint32_t)v->csum_start + v->csum_offset;
	uint16_t sum;

	if (!(v->flags & VNET_F_NEEDS_CSUM) || at + 2 > f->len)
		return;
	sum = npp_csum_finish(npp_csum_add(f->data + v->csum_start, f->len - v->csum_start, 0));
	if (!sum)
		sum = 0xffff;
	memcpy(f->data + at, &sum, 2);
	memset(v, 0, sizeof *v);
}

/* ---- cutting ---------------------------------------------------------------------------- */

static void tcp_sum(struct frame *f, uint32_t l4)
{
	struct tcp_hdr *t = (struct tcp_hdr *)(f->data + l4);
	uint32_t len = f->len - l4;
	struct packet p;

	frame_look(f, &p);
	t->csum = 0;
	t->csum = npp_csum_finish(npp_csum_add(t, len, npp_csum_pseudo(&p.src, &p.dst, 6, len)));
}

struct frame *frame_segment(const struct frame *f, uint32_t *off)
{
	uint32_t hdr = f->rec.vnet.hdr_len, mss = f->rec.vnet.gso_size, all = f->len - hdr, n;
	uint32_t l4 = f->rec.vnet.csum_start;
	struct frame *s;
	struct ip4_hdr *h;
	struct tcp_hdr *t;

	if (*off >= all)
		return NULL;
	n = all - *off < mss ? all - *off : mss;
	s = frame_new(hdr + n);
	memcpy(s->data, f->data, hdr);
	memcpy(s->data + hdr, f->data + hdr + *off, n);
	h = frame_ip4(s);
	if (h) {
		h->len = htons((uint16_t)(hdr + n - ETH_HDR_LEN));
		h->id = htons((uint16_t)(ntohs(h->id) + *off / mss));
		ip4_sum(h);
	} else {
		((struct ip6_hdr_w *)(s->data + ETH_HDR_LEN))->plen = htons((uint16_t)(hdr + n - ETH_HDR_LEN - IP6_HDR_LEN));
	}
	t = (struct tcp_hdr *)(s->data + l4);
	t->seq = htonl(ntohl(t->seq) + *off);
	if (*off + n < all)
		t->flags &= (uint8_t)~(TCPF_FIN | TCPF_PSH);
	if (*off)
		t->flags &= (uint8_t)~TCPF_CWR;
	tcp_sum(s, l4);
	*off += n;
	return s;
}

struct frame *frame_fragment(const struct frame *f, uint32_t mtu, uint32_t *off)
{
	uint32_t hdr = ETH_HDR_LEN + IP4_HDR_MIN, per = (mtu - IP4_HDR_MIN) & ~7u, all = f->len - hdr, n;
	uint16_t frag;
	struct frame *s;
	struct ip4_hdr *h;

	if (*off >= all)
		return NULL;
	n = all - *off < per ? all - *off : per;
	s = frame_new(hdr + n);
	memcpy(s->data, f->data, hdr);
	memcpy(s->data + hdr, f->data + hdr + *off, n);
	h = frame_ip4(s);
	h->len = htons((uint16_t)(IP4_HDR_MIN + n));
	frag = ntohs(h->frag);
	h->frag = htons((uint16_t)((frag & IP4_MF) | ((frag & IP4_OFFMASK) + *off / 8) | (*off + n < all ? IP4_MF : 0)));
	ip4_sum(h);
	*off += n;
	return s;
}

/* ---- made up -------------------------------------------------------------------------------- */

static struct frame *ip4_new(uint32_t src, uint32_t dst, uint8_t proto, uint32_t l4_len, const uint8_t *mac)
{
	struct frame *f = frame_new(ETH_HDR_LEN + IP4_HDR_MIN + l4_len);
	struct ip4_hdr h = { .vhl = 0x45, .len = htons((uint16_t)(IP4_HDR_MIN + l4_len)), .ttl = 60, .proto = proto,
			     .src = src, .dst = dst };

	memset(f->data, 0, f->len);
	memcpy(f->data, mac, 6);
	memcpy(f->data + 6, "\x02\0\0\0\0\xfe", 6);
	f->data[12] = 8;
	memcpy(f->data + ETH_HDR_LEN, &h, sizeof h);
	ip4_sum(frame_ip4(f));
	return f;
}

static struct frame *too_big6(const struct frame *f, uint32_t mtu)
{
	const struct ip6_hdr_w *old = (const struct ip6_hdr_w *)(f->data + ETH_HDR_LEN);
	uint32_t quote = f->len - ETH_HDR_LEN < 1000 ? f->len - ETH_HDR_LEN : 1000, len;
	struct icmp4_hdr ic = { .type = 2, .rest = htonl(mtu) };
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .next = 58, .hops = 60, .src = { 0xfd, [15] = 0xfe } };
	struct frame *a;
	struct packet p;
	uint8_t *l4;

	len = (uint32_t)sizeof ic + quote;
	a = frame_new(ETH_HDR_LEN + IP6_HDR_LEN + len);
	h.plen = htons((uint16_t)len);
	memcpy(h.dst, old->src, 16);
	memcpy(a->data, f->data + 6, 6);
	memcpy(a->data + 6, "\x02\0\0\0\0\xfe\x86\xdd", 8);
	memcpy(a->data + ETH_HDR_LEN, &h, sizeof h);
	l4 = a->data + ETH_HDR_LEN + IP6_HDR_LEN;
	memcpy(l4, &ic, sizeof ic);
	memcpy(l4 + sizeof ic, old, quote);
	frame_look(a, &p);
	ic.csum = npp_csum_finish(npp_csum_add(l4, len, npp_csum_pseudo(&p.src, &p.dst, 58, len)));
	memcpy(l4, &ic, sizeof ic);
	return a;
}

static struct frame *too_big4(const struct frame *f, uint32_t mtu)
{
	const struct ip4_hdr *old = (const struct ip4_hdr *)(f->data + ETH_HDR_LEN);
	uint32_t quote = f->len - ETH_HDR_LEN < 48 ? f->len - ETH_HDR_LEN : 48;
	struct icmp4_hdr ic = { .type = 3, .code = 4, .rest = htonl(mtu) };
	struct frame *a = ip4_new(htonl(ROUTER_ADDR), old->src, 1, (uint32_t)sizeof ic + quote, f->data + 6);
	uint8_t *l4 = a->data + ETH_HDR_LEN + IP4_HDR_MIN;

	memcpy(l4, &ic, sizeof ic);
	memcpy(l4 + sizeof ic, old, quote);
	ic.csum = npp_csum_finish(npp_csum_add(l4, sizeof ic + quote, 0));
	memcpy(l4, &ic, sizeof ic);
	return a;
}

struct frame *frame_too_big(const struct frame *f, uint32_t mtu)
{
	struct packet p;

	frame_look(f, &p);
	return p.family == 4 ? too_big4(f, mtu) : too_big6(f, mtu);
}

struct frame *frame_syn(struct npp *to, uint32_t i, uint16_t port, struct rng *r)
{
	uint32_t src = htonl(0x0a000064u + i % 100);
	struct frame *f = ip4_new(src, npp_addr_get_v4(&to->addr), 6, 24, to->g->port[0].mac);
	struct tcp_hdr t = { .sport = htons((uint16_t)(1024 + rng_below(r, 60000))), .dport = htons(port),
			     .seq = (uint32_t)rng_next(r), .off = 0x60, .flags = TCPF_SYN, .wnd = htons(1000) };
	uint8_t *l4 = f->data + ETH_HDR_LEN + IP4_HDR_MIN;

	memcpy(l4, &t, sizeof t);
	memcpy(l4 + sizeof t, "\x02\x04\x05\xb4", 4);
	tcp_sum(f, ETH_HDR_LEN + IP4_HDR_MIN);
	return f;
}
