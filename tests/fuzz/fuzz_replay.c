/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_replay.c - frames of somebody's capture that npp-lab replay sends into a lab
 * options: -max_len=8192 -len_control=0
 *
 * Input: one byte of what the lab knows and which link type the file has, then frames, each with two bytes of length and flags before it: as captured,
 * cut short, or as one large segment. What must hold: nothing outside the frame is read, and what is sent fits
 * the link, goes to the target in the node's name and, where the header makes sense, has right checksums.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>

#include "harness/replay.h"
#include "net/checksum.h"
#include "tests/fuzz/replay.h"

#define LARGE 20000u

static struct replay r;
static uint8_t *frame;		/* memory of exactly the size of one */

/* ---- what is sent ------------------------------------------------------------------------------- */

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static void has_sums(const struct wire_frame *f, uint32_t head, uint8_t proto, bool v6)
{
	const uint8_t *ip = f->data + 14, *l4 = ip + head;
	uint32_t len = f->len - 14 - head, min = proto == IPPROTO_TCP ? 18 : proto == IPPROTO_UDP ? 8 : 4;
	uint64_t sum = npp_csum_add(ip + (v6 ? 8 : 12), v6 ? 32 : 8, 0) + htons(proto) + (uint64_t)htons((uint16_t)len);

	if ((proto == IPPROTO_TCP || proto == IPPROTO_UDP || (v6 && proto == IPPROTO_ICMPV6)) && len >= min)
		MUST(npp_csum_finish(npp_csum_add(l4, len, sum)) == 0);
}

static bool sent(struct replay *p, const struct wire_frame *f)
{
	const uint8_t *ip = f->data + 14;
	bool v6 = f->data[12] == 0x86;
	uint32_t head = v6 ? 40 : (ip[0] & 15) * 4u;

	MUST(f->len >= 34 && f->len <= p->mtu + 14);
	MUST(memcmp(f->data, p->dst_mac, 6) == 0 && memcmp(f->data + 6, p->src_mac, 6) == 0);
	MUST(memcmp(ip + (v6 ? 8 : 12), p->src[v6].b + (v6 ? 0 : 12), v6 ? 16 : 4) == 0);
	MUST(memcmp(ip + (v6 ? 24 : 16), p->dst[v6].b + (v6 ? 0 : 12), v6 ? 16 : 4) == 0);
	MUST(14 + head <= f->len && f->len == 14 + (v6 ? 40u : 0) + get16(ip + (v6 ? 4 : 2)));
	if (!v6)
		MUST(npp_csum_finish(npp_csum_add(ip, head, 0)) == 0);
	if (v6 ? ip[6] != IPPROTO_FRAGMENT : !(get16(ip + 6) & 0x3fff))
		has_sums(f, head, v6 ? ip[6] : ip[9], v6);
	return f->len % 16;
}

/* ---- an input ------------------------------------------------------------------------------------- */

static struct wire_frame *room(void)
{
	struct wire_frame *f = calloc(1, REPLAY_FRAME_MAX + sizeof *f);

	MUST(f);
	f->cap = REPLAY_FRAME_MAX;
	return f;
}

static void begin(uint8_t how)
{
	static const int dlts[8] = { DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_RAW, DLT_NULL, DLT_LOOP, DLT_IPV6, DLT_FDDI };
	struct wire_frame *in = r.in ? r.in : room(), *cut = r.cut ? r.cut : room();

	r = (struct replay){ .in = in, .cut = cut, .out = sent, .mtu = how & 4 ? 1280 : 1500,
			      .dlt = dlts[how >> 3 & 7], .src_mac = { 2, 1 }, .dst_mac = { 2, 2 } };
	r.src[0] = npp_addr_v4(htonl(0x0a000001));
	r.dst[0] = npp_addr_v4(htonl(0x0a000002));
	if (how & 1)
		npp_addr_parse("fd00::1", &r.src[1]);
	if (how & 2)
		npp_addr_parse("fd00::2", &r.dst[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct replay_packet k;

	if (size < 1)
		return 0;
	begin(data[0]);
	data++;
	size--;
	while (size >= 2) {
		uint32_t flags = data[1] >> 4, n = (data[0] | (uint32_t)data[1] << 8) & 0xfff, len;

		data += 2;
		size -= 2;
		n = n < size ? n : (uint32_t)size;
		len = flags & 1 ? n + LARGE : n; /* one that a card has put together */
		frame = calloc(1, len ? len : 1);
		MUST(frame);
		memcpy(frame, data, n);
		if (flags & 1 && n >= 54) {
			uint16_t ip_len = htons((uint16_t)(len - 14 - (frame[12] == 0x86 ? 40 : 0)));

			memcpy(frame + (frame[12] == 0x86 ? 18 : 16), &ip_len, 2);
		}
		if (flags & 2)
			replay_look(&r, &k, frame, len);
		else
			replay_one(&r, frame, len);
		free(frame);
		data += n;
		size -= n;
	}
	return 0;
}

/* ---- seeds ------------------------------------------------------------------------------------------ */

static size_t put_frame(uint8_t *at, unsigned flags, bool v6, uint8_t proto, unsigned frag, unsigned payload)
{
	static const uint8_t options[4] = { 1, 1, 1, 0 };
	uint32_t head = v6 ? 40 : 24, more = frag && v6 ? 8 : 0, len = 14 + head + more + 20 + payload;
	uint8_t *ip = at + 16;

	memset(at, 0, 2 + len);
	at[0] = (uint8_t)len;
	at[1] = (uint8_t)(len >> 8 | flags << 4);
	at[14] = v6 ? 0x86 : 8;
	at[15] = v6 ? 0xdd : 0;
	ip[0] = v6 ? 0x60 : 0x46;
	ip[v6 ? 4 : 2] = (uint8_t)((len - 14 - (v6 ? 40 : 0)) >> 8);
	ip[v6 ? 5 : 3] = (uint8_t)(len - 14 - (v6 ? 40 : 0));
	ip[v6 ? 6 : 9] = more ? IPPROTO_FRAGMENT : proto;
	memcpy(ip + 20, options, v6 ? 0 : 4);
	ip[v6 ? 39 : 19] = 9; /* destination */
	if (more)
		ip[40] = proto, ip[43] = (uint8_t)(frag - 1) << 3 | 1;
	else if (frag)
		ip[6] = 0x20, ip[7] = (uint8_t)(frag - 1);
	ip[head + more + 12] = 0x50;
	ip[head + more + 13] = 0x10;
	return 2 + len;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6, IPPROTO_ICMP };
	size_t n = 1;

	if (i >= 16 || cap < 2048)
		return 0;
	buf[0] = i < 6 ? 3 : (uint8_t)(i < 8 ? i : (i - 7) << 3 | 7);
	for (unsigned k = 0; k < 3; k++)
		n += put_frame(buf + n, k == 1 ? 1 : 0, i & 1, protos[i / 2 % 4], k == 2 ? 1 + i / 4 : 0, 40 * k);
	n += put_frame(buf + n, 2, !(i & 1), IPPROTO_TCP, 0, 9);
	return n;
}
