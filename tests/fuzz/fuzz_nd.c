/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_nd.c - neighbour discovery: solicitations, advertisements, routers, their options
 * options: -max_len=1024 -len_control=0
 * links with: tests/unit/stack/ip_rig.c
 *
 * Input: messages, each a byte for who it is from and to, a byte of length in words of 4, then type,
 * code and body; checksums are put right. They reach a stack with the link role and
 * autoconfiguration, whose caches are empty at the start. What must hold: frames are sound
 * (ip_rig.c), tables within bounds, addresses that follow from advertisements are of their prefixes.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "npp-ism/stack/ip_priv.h"
#include "tests/fuzz/replay.h"
#include "tests/unit/stack/ip_rig.h"

static const uint8_t us6[16] = { 0xfd, [15] = 1 }, peer6[16] = { 0xfd, [15] = 0x64 };
static const uint8_t router[16] = { 0xfe, 0x80, [15] = 0xfe }, nobody[16], all_nodes[16] = { 0xff, 2, [15] = 1 };
static const uint8_t group[16] = { 0xff, 2, [11] = 1, [12] = 0xff, [15] = 1 };
static struct rig *r;
static struct rig_pkt p;

static void scene(void)
{
	r = rig_new(1);
	r->lax = true;
	memcpy(r->g->addr[r->g->n_addrs].addr.b, us6, 16);
	r->g->addr[r->g->n_addrs++].prefix_len = 64;
	r->g->port[0].flags |= NPP_PORT_AUTOCONF;
	atomic_fetch_add(&r->g->net_seq, 2);
	rig_run(r);
}

/* As after a start: what one input has taught must not be there for the next. */
static void forget(void)
{
	memset(r->t->entry, 0, sizeof r->t->entry);
	atomic_fetch_add(&r->t->changes, 1);
	nd_auto_end(r->node[0].s);
	nd_auto_begin(r->node[0].s);
	rig_run(r);
	rig_forget(r);
	memset(&r->autoconf, 0, sizeof r->autoconf);
}

static void message(uint8_t who, const uint8_t *icmp, uint32_t len)
{
	static const uint8_t *const srcs[] = { peer6, router, nobody, us6 }, *const dsts[] = { us6, all_nodes, group, peer6 };
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .plen = htons((uint16_t)len), .next = 58, .hops = who & 16 ? 64 : 255 };
	const uint8_t *dst = dsts[who >> 2 & 3];
	union npp_addr s, d;
	uint16_t sum = 0;

	memcpy(h.src, srcs[who & 3], 16);
	memcpy(h.dst, dst, 16);
	rig_eth(&p, dst[0] == 0xff ? (const uint8_t[]){ 0x33, 0x33, dst[12], dst[13], dst[14], dst[15] } : rig_mac, rig_peer_mac, ETH_P_IP6);
	rig_put(&p, &h, sizeof h);
	rig_put(&p, icmp, len);
	if (len >= 4) {
		memcpy(s.b, h.src, 16);
		memcpy(d.b, h.dst, 16);
		memcpy(p.b + 54 + 2, &sum, 2);
		sum = npp_csum_finish(npp_csum_add(p.b + 54, len, npp_csum_pseudo(&s, &d, 58, len)));
		memcpy(p.b + 54 + 2, &sum, 2);
	}
	rig_in(r, 0, &p);
	rig_run(r);
}

static void must_hold(void)
{
	const struct npp_autoconf *a = &r->autoconf;
	const struct nd_auto *n = &r->node[0].s->ip->autoconf;

	MUST(a->n_addrs <= NPP_AUTO_MAX && a->n_on_link <= NPP_AUTO_MAX && a->n_routers <= NPP_AUTO_MAX);
	for (unsigned i = 0; i < NPP_MAX_PORTS; i++)
		MUST(a->link[i].mtu == 0 || a->link[i].mtu >= 1280);
	for (uint32_t i = 0; i < a->n_addrs; i++) {
		const uint8_t *b = a->addr[i].addr.b;

		MUST(b[0] != 0xff && b[11] == 0xff && b[12] == 0xfe); /* of the port's own identifier */
		MUST(a->addr[i].prefix_len <= 128);
	}
	for (uint32_t i = 0; i < a->n_routers; i++)
		MUST(a->router[i].b[0] == 0xfe && (a->router[i].b[1] & 0xc0) == 0x80);
	for (unsigned i = 0; i < NPP_AUTO_MAX; i++)
		MUST(!n->prefix[i].used || n->prefix[i].len <= 128);
	for (unsigned i = 0; i < NPP_NEIGH_ENTRIES; i++) {
		const struct npp_neigh *e = &r->t->entry[i];

		MUST(!(e->seq & 1));
		MUST(e->state == NPP_NEIGH_NONE || e->state == NPP_NEIGH_INCOMPLETE || e->state == NPP_NEIGH_FAILED || !(e->mac[0] & 1));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!r)
		scene();
	forget();
	for (unsigned n = 0; size >= 2 && n < 16; n++) {
		uint32_t len = data[1] * 4u;
		uint8_t *exact;

		len = len > size - 2 ? (uint32_t)size - 2 : len;
		exact = malloc(len ? len : 1);
		MUST(exact);
		memcpy(exact, data + 2, len);
		message(data[0], exact, len);
		free(exact);
		if (data[0] & 32)
			rig_advance(r, 1000000);
		data += 2 + len;
		size -= 2 + len;
	}
	rig_advance(r, 3000000);
	must_hold();
	return 0;
}

/* ---- seeds --------------------------------------------------------------------------- */

struct seed { uint8_t *b; size_t n, cap; };

static void put(struct seed *s, uint8_t who, const void *body, uint8_t len)
{
	if (s->n + 2 + len > s->cap)
		return;
	s->b[s->n++] = who;
	s->b[s->n++] = len / 4;
	memcpy(s->b + s->n, body, len);
	s->n += len;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	struct seed s = { buf, 0, cap };
	uint8_t ns[32] = { 135, [8] = 0xfd, [23] = 1, [24] = 1, 1, 2, 9, 9, 9, 9, 9 };
	uint8_t na[32] = { 136, 0, 0, 0, 0x60, [8] = 0xfd, [23] = 0x70, [24] = 2, 1, 2, 9, 9, 9, 9, 9 };
	uint8_t ra[16 + 32 + 8] = { 134, 0, 0, 0, 64, 0, 7, 8, [16] = 3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 7, 8, [32] = 0xfd, 7,
				    [48] = 5, 1, 0, 0, 0, 0, 5, 0 };
	uint8_t rs[16] = { 133, [8] = 1, 1, 2, 9, 9, 9, 9, 9 };
	uint8_t redirect[40] = { 137, [8] = 0xfe, 0x80, [23] = 9, [24] = 0xfd, [39] = 0x70 };

	if (i >= 8)
		return 0;
	if (i != 1)
		put(&s, i & 1 ? 8 : 0, ns, i == 2 ? 24 : 32);
	if (i == 3)
		put(&s, 2 | 8, ns, 24); /* a probe for our address */
	if (i != 4)
		put(&s, i & 2 ? 4 : 0, na, 32);
	put(&s, 1 | 4 | (i & 4 ? 32 : 0), ra, i == 5 ? 16 : 56);
	ra[33] = 8, ra[22] = 0, ra[23] = 0;
	put(&s, 1 | 4, ra, 48);
	put(&s, 1 | 4, rs, 16);
	put(&s, 1, redirect, 40);
	return s.n;
}
