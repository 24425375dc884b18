/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_ip6ext.c - IPv6 extension headers: the walk, the options, what is answered
 * options: -max_len=1400 -len_control=0
 * links with: tests/unit/stack/ip_rig.c
 *
 * Input: the number of the first header, then headers and payload. The walk must end where a second
 * one ends, and within the packet; the packet then goes through a live stack, whose frames are
 * checked by ip_rig.c: whatever it answers quotes the packet, and once at most.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "npp-ism/stack/ip_priv.h"
#include "tests/fuzz/replay.h"
#include "tests/unit/stack/ip_rig.h"

static const uint8_t us6[16] = { 0xfd, [15] = 1 }, peer6[16] = { 0xfd, [15] = 0x64 };
static struct rig *r;
static struct rig_pkt p;

/* The second walk: headers by recursion, bounds as 8-byte units. False: refused. */
static bool again(const uint8_t *b, uint32_t at, uint32_t end, uint8_t proto, unsigned depth, bool first, uint32_t *off, uint8_t *is)
{
	uint32_t units;

	*off = at;
	*is = proto;
	if (proto != 0 && proto != 43 && proto != 60 && proto != 44)
		return true;
	if (depth == IP6_EXT_HEADERS || end - at < 8 || (proto == 0 && !first))
		return false;
	units = proto == 44 ? 1 : b[at + 1] + 1u;
	if (units * 8 > end - at || at + units * 8 > IP6_HDR_LEN + IP6_EXT_BYTES)
		return false;
	if (proto == 44 && (b[at + 2] || b[at + 3] & 0xf9)) { /* a real fragment: the walk ends behind it */
		*off = at + 8;
		*is = b[at];
		return true;
	}
	return again(b, at + units * 8, end, b[at], depth + 1, false, off, is);
}

static void walk(const uint8_t *data, uint32_t len)
{
	uint8_t *b = malloc(IP6_HDR_LEN + len), proto = data[0], is;
	struct ip6_walk w;
	uint32_t off;
	bool ok;

	MUST(b);
	memset(b, 0, IP6_HDR_LEN);
	b[6] = proto;
	if (len)
		memcpy(b + IP6_HDR_LEN, data + 1, len);
	ok = ip6_walk(b, IP6_HDR_LEN, IP6_HDR_LEN + len, proto, 6, &w);
	MUST(ok == again(b, IP6_HDR_LEN, IP6_HDR_LEN + len, proto, 0, true, &off, &is));
	if (ok) {
		MUST(w.off == off && w.proto == is && w.off <= IP6_HDR_LEN + len);
		MUST(w.proto_off < w.off && b[w.proto_off] == w.proto);
	}
	free(b);
}

static void scene(void)
{
	r = rig_new(1);
	r->lax = true;
	memcpy(r->g->addr[r->g->n_addrs].addr.b, us6, 16);
	r->g->addr[r->g->n_addrs++].prefix_len = 64;
	atomic_fetch_add(&r->g->net_seq, 2);
}

/* Fragments are left to fuzz_stack: what waits here is forgotten by time. */
static void through_the_stack(const uint8_t *data, uint32_t len)
{
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .plen = htons((uint16_t)len), .next = data[0], .hops = 64 };
	unsigned quotes = 0;

	rig_advance(r, 2000000); /* errors are rationed by time */
	rig_forget(r);
	rig_eth(&p, rig_mac, rig_peer_mac, ETH_P_IP6);
	memcpy(h.src, peer6, 16);
	memcpy(h.dst, us6, 16);
	rig_put(&p, &h, sizeof h);
	if (len)
		rig_put(&p, data + 1, len);
	rig_in(r, 0, &p);
	rig_run(r);
	for (unsigned i = 0; i < r->n_frames; i++) {
		const struct ip6_hdr_w *a = rig_ip6(&r->frame[i]);
		const uint8_t *m = r->frame[i].data + ETH_HDR_LEN + IP6_HDR_LEN;

		if (!a || a->next != 58 || m[0] >= 128)
			continue;
		quotes++;
		MUST(r->frame[i].len <= ETH_HDR_LEN + 1280);
		MUST(memcmp(m + 8, p.b + ETH_HDR_LEN, IP6_HDR_LEN) == 0);
	}
	MUST(quotes <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 1401)
		return 0;
	if (!r)
		scene();
	walk(data, (uint32_t)size - 1);
	through_the_stack(data, (uint32_t)size - 1);
	return 0;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	static const uint8_t seed[][58] = {
		/* hop-by-hop with a router alert, destination options, echo request */
		{ 0, 60, 0, 5, 2, 0, 0, 1, 0, 58, 1, 1, 2, 0, 0, 1, 4, 0, 0, 0, 0, 1, 0, 128, 0, 0, 0, 0, 7, 0, 1 },
		/* an option to be answered, routing header type 0 with segments left */
		{ 60, 59, 0, 0xc2, 4, 1, 2, 3, 4 },
		{ 43, 59, 2, 0, 1, [9] = 0xfd, [24] = 9 },
		/* atomic fragment before UDP, a real one, one in the middle of headers */
		{ 44, 17, 0, 0, 0, 0, 0, 0, 9, 0, 9, 0, 53, 0, 8, 1, 2 },
		{ 44, 17, 0, 0, 1, 0, 0, 0, 9, 0, 9, 0, 53, 0, 16, 1, 2 },
		{ 60, 44, 0, 1, 4, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 7, 59, 0, 1, 4, 0, 0, 0, 0 },
		/* hop-by-hop in second place, too long, none */
		{ 60, 0, 0, 1, 4, 0, 0, 0, 0, 59, 0, 1, 4 },
		{ 0, 59, 255, 1, 4 },
		{ 59 },
		{ 6, 0, 9, 0, 80, [13] = 0x50, 2 },
	};

	if (i >= sizeof seed / sizeof *seed || cap < sizeof *seed)
		return 0;
	memcpy(buf, seed[i], sizeof *seed);
	return sizeof *seed;
}
