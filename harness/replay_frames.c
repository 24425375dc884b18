/* SPDX-License-Identifier: GPL-2.0-or-later
 * replay_frames.c - what becomes of a captured frame in a replay
 *
 * The capture is somebody's file: each length in it is checked against what was captured.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <string.h>

#include "harness/replay.h"
#include "net/checksum.h"

static union npp_addr get_addr(const uint8_t *p, bool v6)
{
	union npp_addr a;
	uint32_t v4;

	if (v6) {
		memcpy(&a, p, 16);
		return a;
	}
	memcpy(&v4, p, 4);
	return npp_addr_v4(v4);
}

static void put_addr(uint8_t *p, const union npp_addr *a, bool v6)
{
	uint32_t v4 = v6 ? 0 : npp_addr_get_v4(a);

	memcpy(p, v6 ? (const void *)a : (const void *)&v4, v6 ? 16 : 4);
}

/* Where the checksum stands that covers the addresses; 0: nowhere. */
static uint32_t sum_at(const struct replay_packet *k)
{
	return k->proto == IPPROTO_TCP ? 16 : k->proto == IPPROTO_UDP ? 6 : k->v6 && k->proto == IPPROTO_ICMPV6 ? 2 : 0;
}

/* Of a fragment the sum covers more than is here: it follows the addresses (RFC 1624). */
static void adjust_sum(uint8_t *at, const struct replay_packet *k, const uint8_t *addrs)
{
	const uint8_t *old[2] = { k->src.b + (k->v6 ? 0 : 12), k->dst.b + (k->v6 ? 0 : 12) };
	uint32_t n = k->v6 ? 16 : 4, sum = (uint32_t)(~((uint32_t)at[0] << 8 | at[1]) & 0xffff);

	for (uint32_t i = 0; i < n; i += 2)
		for (uint32_t j = 0; j < 2; j++) {
			const uint8_t *was = old[j] + i, *is = addrs + j * n + i;

			sum += ~((uint32_t)was[0] << 8 | was[1]) & 0xffff;
			sum += (uint32_t)is[0] << 8 | is[1];
		}
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

/* Makes checksums of the packet that F holds, addresses changed. */
static void fix_sums(struct wire_frame *f, const struct replay_packet *k)
{
	uint8_t *ip = f->data + 14, *l4 = ip + k->head;
	uint32_t len = f->len - 14 - k->head, at = sum_at(k);
	uint16_t sum;

	if (!k->v6) {
		memset(ip + 10, 0, 2);
		sum = npp_csum_finish(npp_csum_add(ip, k->head, 0));
		memcpy(ip + 10, &sum, 2);
	}
	if (!at || len < at + 2 || (k->fragment && !k->first))
		return;
	if (k->fragment) {
		if (k->proto != IPPROTO_UDP || l4[at] || l4[at + 1])	/* 0: it has none */
			adjust_sum(l4 + at, k, ip + (k->v6 ? 8 : 12));
		return;
	}
	memset(l4 + at, 0, 2);
	sum = npp_csum_finish(npp_csum_add(l4, len, npp_csum_add(ip + (k->v6 ? 8 : 12), k->v6 ? 32 : 8, 0) + htons(k->proto) +
						    (uint64_t)htons((uint16_t)len)));
	if (k->proto == IPPROTO_UDP && !sum)
		sum = 0xffff;
	memcpy(l4 + at, &sum, 2);
}

static void put_out(struct replay *r, const struct wire_frame *f)
{
	if (r->out(r, f)) {
		r->sent++;
		r->bytes += f->len;
	} else {
		r->skipped++;
	}
}

static void put_cut(struct replay *r, const struct replay_packet *k)
{
	struct wire_frame *f = r->in;
	struct wire_shape s;

	memset(&f->vh, 0, sizeof f->vh);
	f->vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->vh.gso_type = k->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	f->vh.csum_start = (uint16_t)(14 + k->head);
	f->vh.csum_offset = 16;
	f->vh.gso_size = 1;
	if (k->proto != IPPROTO_TCP || wire_frame_shape(f, &s) < 0 || r->mtu + 14 <= s.head) {
		r->skipped++;
		return;
	}
	f->vh.gso_size = (uint16_t)(r->mtu + 14 - s.head);
	wire_frame_shape(f, &s);
	for (uint32_t i = 0; i < s.frames; i++)
		if (wire_frame_cut(f, &s, i, r->cut) == 0)
			put_out(r, r->cut);
}

/* ---- link types -------------------------------------------------------------------------------- */

#define PROTO_IP4 0x0800
#define PROTO_IP6 0x86dd

/* How captures of a link type begin: bytes before the packet, and where its ethertype stands in them. */
static const struct shape {
	int dlt;
	uint32_t head;
	int proto_at;	/* -1: it has none, and the packet is IP */
} shapes[] = {
	{ DLT_EN10MB, 14, 12 }, { DLT_LINUX_SLL, 16, 14 }, { DLT_LINUX_SLL2, 20, 0 },
	{ DLT_RAW, 0, -1 }, { DLT_IPV4, 0, -1 }, { DLT_IPV6, 0, -1 }, { DLT_NULL, 4, -1 }, { DLT_LOOP, 4, -1 },
};

static const struct shape *find_shape(int dlt)
{
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (shapes[i].dlt == dlt)
			return &shapes[i];
	return NULL;
}

bool replay_can(int dlt)
{
	return find_shape(dlt) != NULL;
}

static bool is_tag(uint32_t proto)	/* of a VLAN */
{
	return proto == 0x8100 || proto == 0x88a8 || proto == 0x9100;
}

/* Makes the LEN bytes at DATA an Ethernet frame without tags in R->in. false: they are cut off before the packet. */
static bool unwrap(struct replay *r, const uint8_t *data, uint32_t len)
{
	const struct shape *s = find_shape(r->dlt);
	struct wire_frame *f = r->in;
	uint32_t head = s ? s->head : 0, proto;

	f->len = 0;
	if (!s || len <= head)
		return false;
	proto = s->proto_at < 0 ? (data[head] >> 4 == 6 ? PROTO_IP6 : PROTO_IP4) :
		(uint32_t)data[s->proto_at] << 8 | data[s->proto_at + 1];
	for (; is_tag(proto) && len > head + 4; head += 4)
		proto = (uint32_t)data[head + 2] << 8 | data[head + 3];
	if (len - head > f->cap - 14)
		return false;
	memset(f->data, 0, 12);
	f->data[12] = (uint8_t)(proto >> 8);
	f->data[13] = (uint8_t)proto;
	memcpy(f->data + 14, data + head, len - head);
	f->len = len - head + 14;
	return true;
}

/* What F holds, with its length from the IP header; false: no packet. */
static bool dissect(struct wire_frame *f, struct replay_packet *k)
{
	uint8_t *ip = f->data + 14;
	uint32_t len;

	*k = (struct replay_packet){ .v6 = f->len >= 54 && f->data[12] == 0x86 && f->data[13] == 0xdd && ip[0] >> 4 == 6 };
	if (k->v6) {
		k->head = 40;
		k->proto = ip[6];
		len = 40 + ((uint32_t)ip[4] << 8 | ip[5]);
		if (k->proto == IPPROTO_FRAGMENT && f->len >= 62) {
			k->head = 48;
			k->proto = ip[40];
			k->fragment = true;
			k->first = !ip[42] && !(ip[43] & 0xf8);
		}
	} else {
		if (f->len < 34 || f->data[12] != 8 || f->data[13] || ip[0] >> 4 != 4)
			return false;
		k->head = (ip[0] & 15) * 4u;
		k->proto = ip[9];
		k->first = !(ip[6] & 0x1f) && !ip[7];
		k->fragment = !k->first || (ip[6] & 0x20);
		len = (uint32_t)ip[2] << 8 | ip[3];
	}
	if (k->head < 20 || len < k->head)
		return false;
	k->cut = len + 14 > f->len;
	f->len = k->cut ? f->len : len + 14;
	k->src = get_addr(ip + (k->v6 ? 8 : 12), k->v6);
	k->dst = get_addr(ip + (k->v6 ? 24 : 16), k->v6);
	return true;
}

/* Is it a packet for the server, whom it may make known? */
static bool to_server(struct replay *r, struct replay_packet *k)
{
	const uint8_t *l4;
	bool group, reply;

	if (!dissect(r->in, k))
		return false;
	l4 = r->in->data + 14 + k->head;
	group = k->v6 ? k->dst.b[0] == 0xff : (k->dst.b[12] & 0xf0) == 0xe0;
	if (npp_addr_is_any(&r->server) && !group && sum_at(k) != 2) {	/* ICMPv6 is for neighbours */
		reply = k->proto == IPPROTO_TCP && r->in->len >= 14 + k->head + 20 && (l4[13] & 0x12) == 0x12;
		r->server = reply ? k->src : k->dst;
	}
	return npp_addr_eq(&k->dst, &r->server);
}

bool replay_look(struct replay *r, struct replay_packet *k, const uint8_t *frame, uint32_t len)
{
	*k = (struct replay_packet){ .v6 = false };
	return unwrap(r, frame, len) && to_server(r, k);
}

void replay_one(struct replay *r, const uint8_t *frame, uint32_t len)
{
	struct wire_frame *f = r->in;
	struct replay_packet k;

	if (!replay_look(r, &k, frame, len)) {
		*(f->len ? &r->other : &r->skipped) += 1;
		return;
	}
	if (npp_addr_is_any(&r->src[k.v6]) || npp_addr_is_any(&r->dst[k.v6])) {
		r->skipped++;
		r->foreign[k.v6]++;
		return;
	}
	if (k.cut) {
		r->skipped++;	/* not all of it was captured */
		return;
	}
	memcpy(f->data, r->dst_mac, 6);
	memcpy(f->data + 6, r->src_mac, 6);
	put_addr(f->data + 14 + (k.v6 ? 8 : 12), &r->src[k.v6], k.v6);
	put_addr(f->data + 14 + (k.v6 ? 24 : 16), &r->dst[k.v6], k.v6);
	if (f->len > r->mtu + 14) {
		put_cut(r, &k);
		return;
	}
	fix_sums(f, &k);
	put_out(r, f);
}
