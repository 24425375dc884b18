/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_dispatch.c - any frame, any virtio header, any number of IOPs
 *
 * Input: one byte for algorithm and number of IOPs, the virtio header, the frame. What
 * must hold: no byte outside the frame is read; the verdict is the same twice, does not
 * depend on bytes behind the frame, and names either an IOP that exists or a reason; a
 * delivered frame's hints are true.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "npp-dispatch/dispatch.h"
#include "tests/fuzz/replay.h"
#include "tests/unit/dispatch/frames.h"

#define HEAD (1 + sizeof(struct vnet_hdr))
static struct npp_global *npp_of(uint8_t how)
{
	static _Alignas(64) struct npp_global g;
	uint32_t n = (how & 31u) + 1;

	if (g.n_iops != n)
		npp_fill(&g, n);
	g.prog[0].algorithm = (uint8_t)((how >> 5) % NPP_HASH_ALGORITHMS);
	MUST(npp_hash_prog_check(&g.prog[0], n, NULL) == 0);
	return &g;
}

static void check(const struct dispatch_ctx *c, const struct dispatch_verdict *v, bool ok, const uint8_t *frame,
		  uint32_t len)
{
	if (!ok) {
		MUST(v->drop >= NPP_DS_DROP_SHORT && v->drop <= NPP_DS_DROP_VNET);
		return;
	}
	MUST(v->drop == 0 && v->iop < c->n_iops);
	MUST(v->cls >= NPP_DS_CLASS_ARP && v->cls <= NPP_DS_CLASS_OTHER);
	MUST(len >= 34 && (frame[0] & 1 || memcmp(frame, our_mac, 6) == 0));
	MUST(v->csum == NPP_CSUM_NONE || v->csum == NPP_CSUM_OK);
	MUST(v->l4_off == 0 || (v->l4_off >= 34 && v->l4_off <= len));
	if (v->cls == NPP_DS_CLASS_TCP || v->cls == NPP_DS_CLASS_UDP)
		MUST(v->csum == NPP_CSUM_OK && npp_hash_select(c->prog, v->hash) == v->iop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dispatch_verdict a, b;
	struct dispatch_ctx c;
	struct vnet_hdr vnet;
	bool ok;

	if (size < HEAD || size > HEAD + NPP_FRAME_MAX)
		return 0;
	MUST(dispatch_ctx_init(&c, npp_of(data[0]), 0) == 0);
	memcpy(&vnet, data + 1, sizeof vnet);
	ok = dispatch_classify(&c, &vnet, data + HEAD, (uint32_t)(size - HEAD), &a);
	check(&c, &a, ok, data + HEAD, (uint32_t)(size - HEAD));
	MUST(ok == dispatch_classify(&c, &vnet, data + HEAD, (uint32_t)(size - HEAD), &b));
	MUST(memcmp(&a, &b, sizeof a) == 0);
	return 0;
}

static void seed_frame(unsigned i, struct frame *f)
{
	uint8_t q[128] = { 0 };
	static struct frame inner;

	switch (i) {
	case 0: frame_arp(f); break;
	case 1: frame_flow4(f, 6, 40000, 80, 100); break;
	case 2: frame_flow4(f, 17, 40000, 53, 33); break;
	case 3: frame_flow6(f, 6, 40000, 80, 100); break;
	case 4: frame_flow6(f, 17, 40000, 53, 33); break;
	case 5: frame_icmp4(f, 8, "echo", 4); break;
	case 6: frame_icmp6(f, 135, q, 16); break;
	case 7: /* an error about a TCP segment of ours */
		frame_ip4(&inner, 6, US4, PEER4, q, l4_make(q, 6, US4, PEER4, 80, 40000, 0));
		frame_icmp4(f, 3, inner.b + ETH_HDR_LEN, 40);
		break;
	case 8:
		frame_ip6(&inner, 6, US6, PEER6, q, l4_make(q, 6, US6, PEER6, 80, 40000, 0));
		frame_icmp6(f, 2, inner.b + ETH_HDR_LEN, 60);
		break;
	case 9: /* a middle fragment */
		frame_ip4(f, 17, PEER4, US4, q, 64);
		frame_ip4h(f)->frag = htons(IP4_MF | 10);
		frame_sum4(f);
		break;
	case 10:
		memcpy(q, (uint8_t[]){ 17, 0, 0, 81, 1, 2, 3, 4 }, 8);
		frame_ip6(f, 44, PEER6, US6, q, 72);
		break;
	case 11: /* hop-by-hop, routing, atomic fragment, UDP */
		q[0] = 43;
		q[8] = 44;
		q[16] = 17;
		frame_ip6(f, 0, PEER6, US6, q, 24 + l4_make(q + 24, 17, PEER6, US6, 40000, 53, 5));
		break;
	case 12: /* large, partial checksum */
		frame_flow4(f, 6, 40000, 80, 3000);
		f->v = (struct vnet_hdr){ .flags = VNET_F_NEEDS_CSUM, .gso_type = VNET_GSO_TCPV4,
					  .gso_size = 1460, .csum_start = 34, .csum_offset = 16 };
		break;
	default: f->len = 0;
	}
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	static struct frame f;

	seed_frame(i, &f);
	if (f.len == 0 || HEAD + f.len > cap)
		return 0;
	buf[0] = (uint8_t)(i * 37);
	memcpy(buf + 1, &f.v, sizeof f.v);
	memcpy(buf + HEAD, f.b, f.len);
	return HEAD + f.len;
}
