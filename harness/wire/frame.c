/* SPDX-License-Identifier: GPL-2.0-or-later
 * frame.c - what must be known and done to the inside of a frame
 *
 * A GSO frame carries one header and a payload of many segments; its checksum is left
 * open (virtio NEEDS_CSUM: the field holds the sum of the pseudo header only). Fields of
 * the virtio header are checked against the frame before they are used.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "harness/wire/wire.h"
#include "net/checksum.h"

#define ETH_LEN 14u
#define VLAN_LEN 4u

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static void store_sum(uint8_t *p, uint16_t sum)	/* in memory order */
{
	memcpy(p, &sum, 2);
}

/* Where the network header is, and of which family. */
static void find_l3(const struct wire_frame *f, struct wire_shape *s)
{
	uint16_t type = get16(f->data + 12);

	s->l3 = ETH_LEN;
	if (type == 0x8100 && f->len >= ETH_LEN + VLAN_LEN) {
		type = get16(f->data + ETH_LEN + 2);
		s->l3 += VLAN_LEN;
	}
	s->v4 = type == 0x0800 && f->len >= s->l3 + 20;
	s->v6 = type == 0x86dd && f->len >= s->l3 + 40;
}

int wire_frame_shape(const struct wire_frame *f, struct wire_shape *s)
{
	unsigned type = f->vh.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

	memset(s, 0, sizeof *s);
	s->frames = 1;
	if (f->len < ETH_LEN)
		return -EINVAL;
	find_l3(f, s);
	s->l3_len = f->len - s->l3;
	if (f->vh.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		s->l4 = f->vh.csum_start;
		if (s->l4 < ETH_LEN || s->l4 + (uint32_t)f->vh.csum_offset + 2 > f->len)
			return -EINVAL;
	}
	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return 0;
	if ((type != VIRTIO_NET_HDR_GSO_TCPV4 || !s->v4) && (type != VIRTIO_NET_HDR_GSO_TCPV6 || !s->v6))
		return -EINVAL;
	if (!s->l4 || !f->vh.gso_size || s->l4 < s->l3 + (s->v4 ? 20 : 40) || s->l4 + 20 > f->len)
		return -EINVAL;
	s->head = s->l4 + (f->data[s->l4 + 12] >> 4) * 4u;
	if (s->head < s->l4 + 20 || s->head > f->len)
		return -EINVAL;
	s->proto = IPPROTO_TCP;
	s->frames = (f->len - s->head + f->vh.gso_size - 1) / f->vh.gso_size;
	if (s->frames == 0)
		s->frames = 1;
	if (s->frames > 1)
		s->l3_len = s->head - s->l3 + f->vh.gso_size;
	return 0;
}

static void v4_sum(uint8_t *ip)
{
	put16(ip + 10, 0);
	store_sum(ip + 10, npp_csum_finish(npp_csum_add(ip, (ip[0] & 15) * 4u, 0)));
}

static void tcp_sum(uint8_t *ip, bool v4, uint8_t *tcp, uint32_t len)
{
	uint64_t sum = v4 ? npp_csum_add(ip + 12, 8, 0) : npp_csum_add(ip + 8, 32, 0);

	sum += htons(IPPROTO_TCP) + (uint64_t)htons((uint16_t)len);
	put16(tcp + 16, 0);
	store_sum(tcp + 16, npp_csum_finish(npp_csum_add(tcp, len, sum)));
}

int wire_frame_cut(const struct wire_frame *f, const struct wire_shape *s, uint32_t i, struct wire_frame *out)
{
	uint32_t off = i * f->vh.gso_size, left = f->len - s->head - off;
	uint32_t n = left < f->vh.gso_size ? left : f->vh.gso_size;
	uint8_t *ip = out->data + s->l3, *tcp = out->data + s->l4;

	if (out->cap < s->head + n)
		return -EMSGSIZE;
	memset(&out->vh, 0, sizeof out->vh);
	memcpy(out->data, f->data, s->head);
	memcpy(out->data + s->head, f->data + s->head + off, n);
	out->len = s->head + n;
	put32(tcp + 4, get32(tcp + 4) + off);
	if (i)
		tcp[13] &= (uint8_t)~0x80;	/* CWR: on the first only */
	if (left > n)
		tcp[13] &= (uint8_t)~0x09;	/* FIN, PSH: on the last only */
	if (s->v4 && (ip[0] & 15) >= 5 && s->l3 + (ip[0] & 15) * 4u <= s->l4) {
		put16(ip + 2, out->len - s->l3);
		put16(ip + 4, get16(ip + 4) + i);
		v4_sum(ip);
	} else if (s->v6) {
		put16(ip + 4, out->len - s->l3 - 40);
	}
	tcp_sum(ip, s->v4, tcp, out->len - s->l4);
	return 0;
}

void wire_frame_complete(struct wire_frame *f)
{
	uint32_t start = f->vh.csum_start, at = start + f->vh.csum_offset;
	uint16_t sum;

	if (!(f->vh.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || f->vh.gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	    at + 2 > f->len)
		return;
	sum = npp_csum_finish(npp_csum_add(f->data + start, f->len - start, 0));
	if (sum == 0 && f->vh.csum_offset == 6)	/* UDP: 0 would mean "none" */
		sum = 0xffff;
	store_sum(f->data + at, sum);
	memset(&f->vh, 0, sizeof f->vh);
}

void wire_frame_corrupt(struct wire_frame *f, uint64_t r)
{
	uint32_t bits;

	f->vh.flags = 0;	/* DATA_VALID would vouch for it */
	if (f->len <= ETH_LEN)
		return;
	bits = (f->len - ETH_LEN) * 8;
	r %= bits;
	f->data[ETH_LEN + r / 8] ^= (uint8_t)(1u << (r & 7));
}

bool wire_frame_mark(struct wire_frame *f)
{
	struct wire_shape s = { 0 };
	uint8_t *ip, ecn;

	if (f->len < ETH_LEN)
		return false;
	find_l3(f, &s);
	ip = f->data + s.l3;
	if (s.v4 && (ip[0] & 15) >= 5 && f->len >= s.l3 + (ip[0] & 15) * 4u) {
		ecn = ip[1] & 3;
		if (ecn != 1 && ecn != 2)
			return false;
		ip[1] |= 3;
		v4_sum(ip);
		return true;
	}
	if (s.v6) {
		ecn = ip[1] >> 4 & 3;
		if (ecn != 1 && ecn != 2)
			return false;
		ip[1] |= 0x30;
		return true;
	}
	return false;
}
