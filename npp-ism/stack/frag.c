/* SPDX-License-Identifier: GPL-2.0-or-later
 * frag.c - IPv4 fragmentation of datagrams above the MTU (RFC 791, 2.3)
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
		uint32_t head = off ? 0 : tx->l4_len;
		uint16_t frag = (uint16_t)(off / 8 | (off + n < all ? IP4_MF : 0));

		f.l4_len = (uint16_t)head;
		memcpy(f.head + STACK_L4_OFF, tx->head + STACK_L4_OFF, head);
		take_slices(tx, off ? off - tx->l4_len : 0, n - head, &f);
		ip4_put_header((struct ip4_hdr *)(f.head + STACK_L4_OFF - IP4_HDR_MIN), IP4_HDR_MIN + n, id, frag,
			       tos, ttl, proto, &p->src, &p->dst);
		STAT_INC(s, IS_FRAGS_OUT);
		err = ip_xmit(s, p, &f, ETH_P_IPV4);
		off += n;
	}
	return err;
}
