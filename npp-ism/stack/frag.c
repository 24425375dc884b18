/* SPDX-License-Identifier: GPL-2.0-or-later
 * frag.c - fragmentation of datagrams above the MTU (RFC 791, 2.3; RFC 8200, 4.5)
 *
 * The transport checksum is completed here: nobody behind us sees the whole.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

/* Sum over pieces of any length: a piece that begins at an odd offset counts byte-swapped. */
static uint64_t csum_pieces(const struct stack_tx *tx, uint64_t sum)
{
	uint32_t off = tx->l4_len;

	sum = npp_csum_add(tx->head + STACK_L4_OFF, tx->l4_len, sum);
	for (uint32_t i = 0; i < tx->n_slices && i < STACK_SLICES; i++) {
		uint16_t part = npp_csum_fold(npp_csum_add(tx->slice[i].data, tx->slice[i].len, 0));

		sum += off & 1 ? (uint16_t)(part << 8 | part >> 8) : part;
		off += tx->slice[i].len;
	}
	return sum;
}

static void csum_complete(const struct ip_path *p, uint8_t proto, struct stack_tx *tx)
{
	uint8_t *field = tx->head + STACK_L4_OFF + tx->csum_off;
	uint16_t sum;

	if (tx->csum_off == 0xffff)
		return;
	memset(field, 0, 2);
	sum = npp_csum_finish(csum_pieces(tx, npp_csum_pseudo(&p->src, &p->dst, proto,
							      tx->l4_len + tx->payload_len)));
	if (sum == 0 && proto == IP_PROTO_UDP)
		sum = 0xffff;
	memcpy(field, &sum, 2);
	tx->csum_off = 0xffff;
}

/* Payload bytes [off, off + len) of TX as the slices of F. */
static void take_slices(const struct stack_tx *tx, uint32_t off, uint32_t len, struct stack_tx *f)
{
	f->payload_len = len;
	f->n_slices = 0;
	for (uint32_t i = 0; i < tx->n_slices && len; i++) {
		const struct stack_slice *sl = &tx->slice[i];
		uint32_t n;

		if (off >= sl->len) {
			off -= sl->len;
			continue;
		}
		n = sl->len - off < len ? sl->len - off : len;
		f->slice[f->n_slices++] = (struct stack_slice){ (const uint8_t *)sl->data + off, n };
		len -= n;
		off = 0;
	}
}

/* Bytes [off, off + n) of the datagram TX, transport header included, as the body of F. */
static void take_body(const struct stack_tx *tx, uint32_t off, uint32_t n, struct stack_tx *f)
{
	uint32_t head = off ? 0 : tx->l4_len;

	f->l4_len = (uint16_t)head;
	memcpy(f->head + STACK_L4_OFF, tx->head + STACK_L4_OFF, head);
	take_slices(tx, off ? off - tx->l4_len : 0, n - head, f);
}

int ip4_fragment(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t ttl,
		 struct stack_tx *tx)
{
	uint32_t all = tx->l4_len + tx->payload_len, room = (p->mtu - IP4_HDR_MIN) & ~7u, off = 0;
	uint16_t id = ip4_next_id(s, p->id_slot);
	struct stack_tx f;
	int err = 0;

	if (room < 8 || room < tx->l4_len)
		return -EMSGSIZE;
	csum_complete(p, proto, tx);
	memset(&f, 0, offsetof(struct stack_tx, slice));
	f.csum_off = 0xffff;
	f.start = STACK_L4_OFF - IP4_HDR_MIN - ETH_HDR_LEN;
	while (off < all && !err) {
		uint32_t n = all - off < room ? all - off : room;
		uint16_t frag = (uint16_t)(off / 8 | (off + n < all ? IP4_MF : 0));

		take_body(tx, off, n, &f);
		ip4_put_header((struct ip4_hdr *)(f.head + STACK_L4_OFF - IP4_HDR_MIN), IP4_HDR_MIN + n, id, frag,
			       tos, ttl, proto, &p->src, &p->dst);
		STAT_INC(s, IS_FRAGS_OUT);
		err = ip_xmit(s, p, &f, ETH_P_IPV4);
		off += n;
	}
	return err;
}

/* A permutation of numbers of 2 * HALF bits that an outsider does not know: four rounds with a keyed hash. */
static uint32_t shuffle(const struct stack *s, uint32_t v, unsigned half)
{
	uint32_t mask = (1u << half) - 1, left = v >> half & mask, right = v & mask;

	for (uint32_t round = 0; round < 4; round++) {
		const uint32_t in[2] = { 0x69643600 + round, right };
		uint32_t next = left ^ ((uint32_t)npp_siphash(s->cfg.isn_key, in, sizeof in) & mask);

		left = right;
		right = next;
	}
	return left << half | right;
}

/* Identification: one that was seen says nothing of the next, to whomever that goes (RFC 7739), and it comes again only
 * after all others (2^26 at least); unique over all IOPs, each of which has its residue class. */
static uint32_t ip6_next_id(struct stack *s)
{
	uint32_t n = s->cfg.n_iops ? s->cfg.n_iops : 1;
	unsigned half = 16;

	while ((uint64_t)n << 2 * half > 1ull << 32)
		half--;
	return shuffle(s, s->ip->id6++, half) * n + s->cfg.iop % n;
}

int ip6_fragment(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t hops,
		 struct stack_tx *tx)
{
	const uint32_t headers = IP6_HDR_LEN + sizeof(struct ip6_frag_hdr);
	uint32_t all = tx->l4_len + tx->payload_len, room = (p->mtu - headers) & ~7u, off = 0;
	uint32_t id = htonl(ip6_next_id(s));
	struct stack_tx f;
	int err = 0;

	if (p->mtu < headers + 8 || room < tx->l4_len)
		return -EMSGSIZE;
	csum_complete(p, proto, tx);
	memset(&f, 0, offsetof(struct stack_tx, slice));
	f.csum_off = 0xffff;
	while (off < all && !err) {
		uint32_t n = all - off < room ? all - off : room;
		struct ip6_frag_hdr *fh = (struct ip6_frag_hdr *)(f.head + STACK_L4_OFF - sizeof *fh);

		take_body(tx, off, n, &f);
		f.start = (uint16_t)(STACK_L4_OFF - headers - ETH_HDR_LEN);
		fh->next = proto;
		fh->reserved = 0;
		fh->off = htons((uint16_t)(off | (off + n < all ? 1 : 0)));
		fh->id = id;
		ip6_put_header((struct ip6_hdr_w *)(f.head + STACK_L4_OFF - headers), (uint32_t)sizeof *fh + n, tos,
			       hops, IP_PROTO_FRAGMENT, &p->src, &p->dst);
		STAT_INC(s, IS_FRAGS_OUT);
		err = ip_xmit(s, p, &f, ETH_P_IP6);
		off += n;
	}
	return err;
}
