/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_stack.c - anything the network, another IOP or time can do to live stacks
 * options: -max_len=4096 -len_control=0
 * links with: tests/fuzz/scene.c tests/unit/stack/ip_rig.c
 *
 * Two stacks of one NPP with a TCP listener, UDP endpoints, an established connection of each
 * family, pending fragments. Input: a list of steps, each two bytes of kind and flags, two bytes of length,
 * and data: frames (optionally with lengths, checksums, sequence numbers put right), IPC
 * records, passing time, a successor, calls of the user. What must hold: no byte
 * outside a frame is read, every frame that leaves is sound (ip_rig.c checks it), the pools
 * add up, and when all is over everything has been given back.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "npp-ism/stack/udp_priv.h"
#include "tests/fuzz/replay.h"
#include "tests/fuzz/scene.h"
#include "tests/unit/stack/ip_rig.h"

enum { STEP_FRAME, STEP_IPC, STEP_TIME, STEP_ATTACH, STEP_ROLE, STEP_TCP, STEP_UDP, STEP_NET, STEP_KINDS };
#define F_FIX_IP 1	/* length and header checksum put right */
#define F_FIX_L4 2	/* transport checksum, too */
#define F_FOLLOW 4	/* sequence numbers relative to what the stack sent last */
#define F_IOP1 8
#define F_VOUCHED 16
#define F_SHORT 32	/* of a 3000-byte datagram: the fragment that the data's first byte names */
#define STEPS_MAX 64

static struct rig *r;
static struct rig_pkt p;

/* ---- the scene -------------------------------------------------------------------------- */

static void last_tcp(bool v6, uint32_t *seq, uint32_t *ack)
{
	for (unsigned i = r->n_frames; i-- > 0;) {
		const struct ip4_hdr *h = rig_ip(&r->frame[i]);
		const struct ip6_hdr_w *h6 = rig_ip6(&r->frame[i]);
		uint32_t l4 = v6 ? 54 : 34;
		const struct tcp_hdr *t = (const struct tcp_hdr *)(r->frame[i].data + l4);

		if (v6 ? !h6 || h6->next != 6 : !h || h->proto != 6)
			continue;
		*seq = ntohl(t->seq) + (r->frame[i].len - l4 - (t->off >> 4) * 4u) + (t->flags & TCPF_SYN ? 1 : 0);
		*ack = ntohl(t->ack);
		return;
	}
}

/* ---- IPv6 ------------------------------------------------------------------------------- */

static const uint8_t us6[16] = { 0xfd, [15] = 1 }, peer6[16] = { 0xfd, [15] = 0x64 };

static void ip6_begin(uint8_t next)
{
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .next = next, .hops = 255 };

	rig_eth(&p, rig_mac, rig_peer_mac, ETH_P_IP6);
	memcpy(h.src, peer6, 16);
	memcpy(h.dst, us6, 16);
	rig_put(&p, &h, sizeof h);
	p.l4 = p.len;
}

/* Where the transport begins; 0: there is none, or only a part of it. */
static uint32_t ip6_l4(uint8_t *proto)
{
	struct ip6_walk w;

	*proto = p.b[14 + 6];
	if (!ip6_walk(p.b + 14, 40, p.len - 14, *proto, 6, &w) || w.fragment)
		return 0;
	*proto = w.proto;
	return 14 + w.off;
}

static void ip6_fix(bool l4)
{
	uint16_t n = htons((uint16_t)(p.len - 54)), sum = 0;
	union npp_addr s, d;
	uint8_t proto;
	uint32_t at = ip6_l4(&proto), off = proto == 6 ? 16 : proto == 17 ? 6 : 2;

	memcpy(p.b + 14 + 4, &n, 2);
	if (!l4 || !at || at + off + 2 > p.len || (proto != 6 && proto != 17 && proto != 58))
		return;
	memcpy(s.b, p.b + 22, 16);
	memcpy(d.b, p.b + 38, 16);
	memcpy(p.b + at + off, &sum, 2);
	sum = npp_csum_finish(npp_csum_add(p.b + at, p.len - at, npp_csum_pseudo(&s, &d, proto, p.len - at)));
	memcpy(p.b + at + off, &sum, 2);
}

static void tcp6(uint16_t sport, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	struct tcp_hdr t = { .sport = htons(sport), .dport = htons(80), .seq = htonl(seq), .ack = htonl(ack),
			     .off = 0x50, .flags = flags, .wnd = htons(60000) };

	ip6_begin(6);
	rig_put(&p, &t, sizeof t);
	rig_put_pattern(&p, 0, len);
	ip6_fix(true);
}

/* Neighbour discovery of TYPE about TARGET, with the option OPT. */
static void nd(uint8_t type, uint32_t flags, const uint8_t *target, uint8_t opt)
{
	struct icmp4_hdr h = { .type = type, .rest = htonl(flags) };
	uint8_t o[8] = { opt, 1, 2, 9, 9, 9, 9, 9 };

	ip6_begin(58);
	rig_put(&p, &h, sizeof h);
	rig_put(&p, target, 16);
	rig_put(&p, o, sizeof o);
	ip6_fix(true);
}

static void listeners(void)
{
	for (unsigned i = 0; i < r->n; i++) {
		struct tcp_listener l = { .port = 80, .backlog = 8 };
		struct udp_endpoint u = { .lport = 53 }, c = { .lport = 54, .rport = 99, .raddr = rig_addr(RIG_PEER) };
		int err;

		MUST(stack_listen(r->node[i].s, &l, &err));
		MUST(stack_udp_bind(r->node[i].s, &u, &err));
		MUST(stack_udp_bind(r->node[i].s, &c, &err));
	}
}

/* An address of the other family, its neighbour, and a connection. */
static void scene6(void)
{
	struct npp_global *g = r->g;
	struct npp_flow_key key = { .proto = 6, .sport = htons(40000), .dport = htons(80) };
	uint32_t seq = 0, ack = 0;
	unsigned iop;

	memcpy(key.src.b, peer6, 16);
	memcpy(key.dst.b, us6, 16);
	nd(135, 0, us6, 1);
	rig_in(r, 0, &p);
	rig_run(r);
	iop = npp_hash_iop(&g->prog[0], &key);
	tcp6(40000, TCPF_SYN, 1000, 0, 0);
	rig_in(r, iop, &p);
	rig_run(r);
	last_tcp(true, &seq, &ack);
	tcp6(40000, TCPF_ACK, 1001, seq, 0);
	rig_in(r, iop, &p);
	rig_run(r);
}

static void scene(void)
{
	struct npp_flow_key key = { .src = rig_addr(RIG_PEER), .dst = rig_addr(RIG_US), .proto = 6,
				    .sport = htons(40000), .dport = htons(80) };
	uint32_t seq = 0, ack = 0;
	unsigned iop;

	r = rig_new(2);
	r->lax = true;
	memcpy(r->g->addr[r->g->n_addrs].addr.b, us6, 16);
	r->g->addr[r->g->n_addrs++].prefix_len = 64;
	atomic_fetch_add(&r->g->net_seq, 2);
	listeners();
	rig_know(r, RIG_PEER, rig_peer_mac);
	iop = npp_hash_iop(&r->g->prog[0], &key);
	rig_tcp(&p, RIG_PEER, 40000, RIG_US, 80, TCPF_SYN, 1000, 0, 0);
	rig_in(r, iop, &p);
	rig_run(r);
	last_tcp(false, &seq, &ack);
	rig_tcp(&p, RIG_PEER, 40000, RIG_US, 80, TCPF_ACK, 1001, seq, 0);
	rig_in(r, iop, &p);
	rig_run(r);
	scene6();
	rig_udp(&p, RIG_PEER, 7, RIG_US, 53, 3000);
	p.b[18] = 0, p.b[19] = 42;
	for (unsigned i = 0; i < 2; i++) {
		static struct rig_pkt f;

		MUST(rig_cut(&p, 1400, i, &f));
		rig_in(r, 0, &f);
	}
}

/* ---- what must hold ------------------------------------------------------------------------ */

static void pools_add_up(struct stack *s)
{
	scene_pools_add_up(s);
	MUST(s->udp->n_connected == 1 && s->udp->n_addr == 0);
}

static void all_is_over(void)
{
	rig_advance(r, 500000);
	for (unsigned i = 0; i < REASS_TIMEOUT_US / 1000000 + 15; i++) {
		r->now_us += 1000000;
		rig_run(r);
	}
	for (unsigned i = 0; i < r->n; i++) {
		struct stack *s = r->node[i].s;

		pools_add_up(s);
		MUST(s->ip->reass.oldest == REASS_NONE);
		for (unsigned w = 0; w < NEIGH_WAITS; w++)	/* TCP may be at it still */
			MUST(!s->ip->wait[w].used || r->now_us - s->ip->wait[w].born_us <= NEIGH_WAIT_US + 1000000);
		MUST(s->ip->local_head == s->ip->local_tail);
	}
}

/* ---- steps ------------------------------------------------------------------------------------ */

static void fix_tcp(bool v6, uint32_t len)
{
	struct tcp_hdr *t = (struct tcp_hdr *)(p.b + p.l4);
	uint32_t seq = 0, ack = 0;

	if (len < p.l4 + sizeof *t)
		return;
	last_tcp(v6, &seq, &ack);
	t->seq = htonl(ack + (uint32_t)(int16_t)ntohl(t->seq));
	t->ack = htonl(seq + (uint32_t)(int16_t)ntohl(t->ack));
}

static void fix6(unsigned flags)
{
	uint8_t proto;

	p.l4 = ip6_l4(&proto);
	if ((flags & F_FOLLOW) && p.l4 && proto == 6)
		fix_tcp(true, p.len);
	ip6_fix(flags & F_FIX_L4);
}

static void fix(unsigned flags)
{
	struct ip4_hdr *h = (struct ip4_hdr *)(p.b + 14);
	uint32_t hlen = (h->vhl & 15u) * 4;

	if (p.len >= 54 && h->vhl >> 4 == 6) {
		fix6(flags);
		return;
	}
	if (p.len < 34 || h->vhl >> 4 != 4 || hlen < 20 || 14 + hlen > p.len)
		return;
	p.l4 = 14 + hlen;
	if ((flags & F_FOLLOW) && h->proto == 6)
		fix_tcp(false, p.len);
	if ((flags & F_FIX_L4) && ((h->proto == 6 && p.len >= p.l4 + 20) || (h->proto == 17 && p.len >= p.l4 + 8) ||
				   (h->proto == 1 && p.len >= p.l4 + 8)))
		rig_l4_csum(&p);
	rig_ip4_end(&p);
}

static void step_frame(unsigned flags, const uint8_t *data, uint32_t len)
{
	struct npp_frame_rec rec = { .kind = NPP_REC_FRAME, .rx_us = (uint32_t)r->now_us };
	static struct rig_pkt f;
	unsigned iop = flags & F_IOP1 ? 1 : 0;

	p.len = 0;
	rig_put(&p, data, len);
	if (flags & F_FIX_IP)
		fix(flags);
	if (flags & F_VOUCHED)
		rec.vnet.flags = VNET_F_DATA_VALID;
	if ((flags & F_SHORT) && p.len > 34 && p.b[12] == 8 && p.b[13] == 0 && rig_cut(&p, 68 + data[len - 1] * 4u, data[0] % 8, &f))
		p = f;
	rec.len = p.len;
	rig_in_raw(r, iop, &rec, p.b, p.len);
}

static void step_ipc(unsigned flags, const uint8_t *data, uint32_t len)
{
	struct npp_frame_rec rec;

	if (len < sizeof rec)
		return;
	memcpy(&rec, data, sizeof rec);
	rec.len = len - (uint32_t)sizeof rec;
	if (rec.kind == NPP_REC_FRAME)
		rec.kind = NPP_REC_DATAGRAM;
	rig_in_raw(r, flags & F_IOP1 ? 1 : 0, &rec, data + sizeof rec, rec.len);
}

static struct tcp_conn *some_conn(struct stack *s, unsigned nth)
{
	for (uint32_t i = 0; i < stack_conn_limit(s); i++) {
		struct tcp_conn *c = stack_conn(s, i);

		if (c && nth-- == 0)
			return c;
	}
	return NULL;
}

static void step_tcp(struct stack *s, const uint8_t *data, uint32_t len)
{
	struct tcp_conn *c = some_conn(s, len > 1 ? data[1] % 4 : 0);
	uint32_t room;

	if (!c || !len)
		return;
	room = c->tx.base ? c->tx.size - (c->tx_head - c->tx_tail) : 0;
	switch (data[0] % 5) {
	case 0:
		stack_tcp_abort(s, c);
		break;
	case 1:
		stack_tcp_close(s, c, c->tx_head, 0);
		break;
	case 2:
		stack_tcp_shutdown(s, c, c->tx_head);
		break;
	case 3:
		if (room)
			stack_tcp_sent(s, c, c->tx_head + (len > 2 ? data[2] * 64u % room : room));
		break;
	default:
		stack_tcp_read(s, c, c->rx_head);
	}
}

static void step_udp(struct stack *s, const uint8_t *data, uint32_t len)
{
	static const uint32_t dsts[] = { RIG_PEER, RIG_US, RIG_US2, 0x0a0000ff, 0xe0000001, 0x08080808, 0x0a000033, 0 };
	struct udp_endpoint *ep = stack_udp(s, len ? data[0] % 3 : 0);
	struct npp_dgram d = { .len = len, .port = 53, .addr = rig_addr(len > 1 ? dsts[data[1] % 8] : RIG_PEER) };
	struct stack_slice sl[2] = { { data, len / 2 }, { data + len / 2, len - len / 2 } };

	d.flags = len > 2 && data[2] & 1 ? NPP_DGRAM_BCAST : 0;
	if (ep)
		stack_udp_send(s, ep, &d, sl, 2);
}

/* nppd changes addresses and routes. */
static void step_net(const uint8_t *data, uint32_t len)
{
	struct npp_route *t = &r->g->route[3];

	atomic_fetch_add(&r->g->net_seq, 1);
	if (len >= sizeof *t)
		memcpy(t, data, sizeof *t);
	r->g->n_routes = len ? data[len - 1] : 4;
	atomic_fetch_add(&r->g->net_seq, 1);
}

static void step(unsigned kind, unsigned flags, const uint8_t *data, uint32_t len)
{
	unsigned iop = flags & F_IOP1 ? 1 : 0;

	switch (kind % STEP_KINDS) {
	case STEP_FRAME:
		step_frame(flags, data, len);
		break;
	case STEP_IPC:
		step_ipc(flags, data, len);
		break;
	case STEP_TIME:
		rig_advance(r, len * 20000u);
		break;
	case STEP_ATTACH:
		rig_attach(r, iop);
		break;
	case STEP_ROLE:
		rig_link_role(r, !iop, false);
		rig_link_role(r, iop, true);
		break;
	case STEP_TCP:
		step_tcp(r->node[iop].s, data, len);
		break;
	case STEP_UDP:
		step_udp(r->node[iop].s, data, len);
		break;
	default:
		step_net(data, len);
	}
	if (!(flags & 0x80))
		rig_run(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scene();
	for (unsigned n = 0; size >= 4 && n < STEPS_MAX; n++) {
		uint32_t len = (uint32_t)data[2] | (uint32_t)data[3] << 8;

		if (len > size - 4)
			len = (uint32_t)(size - 4);
		step(data[0], data[1], data + 4, len);
		data += 4 + len;
		size -= 4 + len;
		pools_add_up(r->node[0].s);
		pools_add_up(r->node[1].s);
	}
	all_is_over();
	rig_free(r);
	return 0;
}

/* ---- seeds ----------------------------------------------------------------------------------------- */

struct seed { uint8_t *b; size_t n, cap; };

static void put(struct seed *s, unsigned kind, unsigned flags, const void *data, uint32_t len)
{
	uint8_t head[4] = { (uint8_t)kind, (uint8_t)flags, (uint8_t)len, (uint8_t)(len >> 8) };

	if (s->n + 4 + len > s->cap)
		return;
	memcpy(s->b + s->n, head, 4);
	if (len)
		memcpy(s->b + s->n + 4, data, len);
	s->n += 4 + len;
}

static void put_pkt(struct seed *s, unsigned flags)
{
	put(s, STEP_FRAME, flags, p.b, p.len);
}

static void seed_tcp(struct seed *s, unsigned iop)
{
	static const uint8_t flags[] = { TCPF_ACK | TCPF_PSH, TCPF_ACK, TCPF_ACK | TCPF_FIN, TCPF_RST, TCPF_SYN,
					 TCPF_SYN | TCPF_ACK, TCPF_ACK | TCPF_URG, 0 };

	for (unsigned i = 0; i < 8; i++) {
		rig_tcp(&p, RIG_PEER, 40000, RIG_US, 80, flags[i], i * 7 % 200, 0, i % 2 ? 0 : 100);
		put_pkt(s, iop | F_FIX_IP | F_FIX_L4 | F_FOLLOW);
		put(s, STEP_TCP, iop, (uint8_t[]){ (uint8_t)(3 + i % 2), 0, 9 }, 3);
	}
	rig_tcp(&p, RIG_PEER, 41000, RIG_US, 80, TCPF_SYN, 77, 0, 0);
	put_pkt(s, iop | F_FIX_IP | F_FIX_L4);
	rig_tcp(&p, RIG_PEER, 41000, RIG_US, 80, TCPF_ACK, 0, 0, 33);
	put_pkt(s, iop | F_FIX_IP | F_FIX_L4 | F_FOLLOW);
	put(s, STEP_TIME, 0, p.b, 100);
}

static void seed_frags(struct seed *s)
{
	static struct rig_pkt f, whole;

	rig_udp(&whole, RIG_PEER, 9, RIG_US, 53, 2500);
	for (unsigned i = 0; rig_cut(&whole, 700, i, &f); i++)
		put(s, STEP_FRAME, i % 2 ? F_FIX_IP : 0, f.b, f.len);
	put(s, STEP_TIME, 0, f.b, 10);
	rig_echo(&whole, RIG_PEER, RIG_US, 1500);
	for (unsigned i = 3; i-- > 0;)
		if (rig_cut(&whole, 700, i, &f))
			put(s, STEP_FRAME, F_FIX_IP, f.b, f.len);
}

static void seed_icmp(struct seed *s)
{
	struct icmp4_hdr h = { .type = 3, .code = 4, .rest = htonl(1000) };
	static struct rig_pkt q;

	rig_tcp(&q, RIG_US, 80, RIG_PEER, 40000, TCPF_ACK, 0, 0, 0);
	for (unsigned i = 0; i < 3; i++) {
		rig_ip4(&p, RIG_GW, RIG_US, 1, 6, 0);
		h.type = i == 1 ? 11 : 3;
		h.code = i == 2 ? 3 : i == 1 ? 0 : 4;
		rig_put(&p, &h, sizeof h);
		if (i == 2)
			rig_udp(&q, RIG_US, 54, RIG_PEER, 99, 8);
		rig_put(&p, q.b + 14, 28);
		rig_ip4_end(&p);
		rig_l4_csum(&p);
		put_pkt(s, F_FIX_IP | F_FIX_L4 | (i ? F_IOP1 : 0));
	}
}

static void seed_arp(struct seed *s)
{
	for (unsigned op = 1; op < 3; op++) {
		rig_arp(&p, op == 1 ? rig_bcast_mac : rig_mac, (uint16_t)op, rig_gw_mac, RIG_PEER, rig_mac, RIG_US);
		put_pkt(s, 0);
		put(s, STEP_UDP, F_IOP1, (uint8_t[]){ 0, 6, 0, 4 }, 4);
		put(s, STEP_TIME, 0, p.b, 60);
		put(s, STEP_ROLE, F_IOP1, NULL, 0);
	}
}

static void seed_ipc(struct seed *s)
{
	struct npp_frame_rec rec = { .kind = NPP_REC_DATAGRAM, .csum = NPP_CSUM_OK };
	struct npp_ipc_neigh n = { .addr = rig_addr(RIG_PEER), .from = 1, .pmtu = 1300 };
	uint8_t b[sizeof rec + 200];

	rig_udp(&p, RIG_PEER, 9, RIG_US, 53, 100);
	memcpy(b, &rec, sizeof rec);
	memcpy(b + sizeof rec, p.b, p.len);
	put(s, STEP_IPC, 0, b, (uint32_t)sizeof rec + p.len);
	for (unsigned kind = NPP_REC_RESOLVE; kind <= NPP_REC_RESOLVED; kind++) {
		rec.kind = (uint8_t)kind;
		memcpy(b, &rec, sizeof rec);
		memcpy(b + sizeof rec, &n, sizeof n);
		put(s, STEP_IPC, kind == NPP_REC_RESOLVED ? F_IOP1 : 0, b, sizeof rec + sizeof n);
	}
	put(s, STEP_ATTACH, F_IOP1, NULL, 0);
}

static void seed_local(struct seed *s)
{
	for (uint8_t i = 0; i < 8; i++) {
		uint8_t d[40] = { i, i, 1 };

		put(s, STEP_UDP, i % 2 ? F_IOP1 : 0x80, d, sizeof d);
	}
	put(s, STEP_ATTACH, 0, NULL, 0);
	put(s, STEP_NET, 0, (uint8_t[]){ 2 }, 1);
}

static void seed_tcp6(struct seed *s, unsigned iop)
{
	static const uint8_t flags[] = { TCPF_ACK | TCPF_PSH, TCPF_ACK | TCPF_ECE, TCPF_ACK | TCPF_FIN, TCPF_SYN, TCPF_RST };

	for (unsigned i = 0; i < 5; i++) {
		tcp6(40000, flags[i], i * 50 % 120, 0, i % 2 ? 0 : 100);
		put_pkt(s, iop | F_FIX_IP | F_FIX_L4 | F_FOLLOW);
		put(s, STEP_TCP, iop, (uint8_t[]){ 3, (uint8_t)(i % 2), 9 }, 3);
	}
	tcp6(41000, TCPF_SYN, 77, 0, 0);
	put_pkt(s, iop | F_FIX_IP | F_FIX_L4);
	put(s, STEP_TIME, 0, p.b, 20);
}

static void seed_nd(struct seed *s)
{
	static const uint8_t other[16] = { 0xfd, [15] = 0x70 };
	struct { uint8_t type, code; uint16_t csum; uint8_t hops, flags; uint16_t life; uint32_t reach, retrans; } ra = {
		.type = 134, .hops = 64, .life = htons(1800) };
	uint8_t prefix[32] = { 3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 7, 8, [16] = 0xfd, [17] = 7 }, mtu[8] = { 5, 1, 0, 0, 0, 0, 5, 0 };

	nd(135, 0, us6, 1);
	put_pkt(s, F_FIX_IP | F_FIX_L4);
	nd(136, 0x60000000, other, 2);
	put_pkt(s, F_FIX_IP | F_FIX_L4);
	nd(136, 0x20000000, us6, 2);
	put_pkt(s, F_FIX_IP | F_FIX_L4);
	ip6_begin(58);
	p.b[22] = 0xfe, p.b[23] = 0x80; /* routers speak from link-local addresses */
	rig_put(&p, &ra, sizeof ra);
	rig_put(&p, prefix, sizeof prefix);
	rig_put(&p, mtu, sizeof mtu);
	put_pkt(s, F_FIX_IP | F_FIX_L4);
	put(s, STEP_TIME, 0, p.b, 60);
	put(s, STEP_ROLE, F_IOP1, NULL, 0);
}

/* Extension headers, fragments, errors. */
static void seed_ext6(struct seed *s)
{
	static const uint8_t ext[24] = { 60, 0, 1, 4, 0, 0, 0, 0, 58, 1, 1, 2, 0, 0, 5, 2, 0, 0, 1, 4 };
	struct icmp4_hdr echo = { .type = 128, .rest = htonl(7) }, big = { .type = 2, .rest = htonl(1280) };
	struct ip6_hdr_w q = { .vtf = htonl(6u << 28), .next = 6, .hops = 60, .plen = htons(1400) };
	struct tcp_hdr t = { .sport = htons(80), .dport = htons(40000), .off = 0x50 };

	ip6_begin(0);
	rig_put(&p, ext, sizeof ext);
	rig_put(&p, &echo, sizeof echo);
	put_pkt(s, F_FIX_IP | F_FIX_L4);
	for (unsigned i = 0; i < 3; i++) {
		struct ip6_frag_hdr f = { .next = 17, .off = htons((uint16_t)(i * 512 | (i < 2))), .id = 99 };
		struct udp_hdr u = { htons(9), htons(53), htons(1500), 0 };

		ip6_begin(44);
		rig_put(&p, &f, sizeof f);
		if (!i)
			rig_put(&p, &u, sizeof u);
		rig_put_pattern(&p, 0, i ? i < 2 ? 512 : 476 : 504);
		put_pkt(s, F_FIX_IP);
	}
	ip6_begin(58);
	rig_put(&p, &big, sizeof big);
	memcpy(q.src, us6, 16);
	memcpy(q.dst, peer6, 16);
	rig_put(&p, &q, sizeof q);
	rig_put(&p, &t, sizeof t);
	put_pkt(s, F_FIX_IP | F_FIX_L4);
	put(s, STEP_TIME, 0, p.b, 200);
}

/* SACK, timestamps, ECN marks, urgent data; a connection of our own that gets answers. */
static void seed_options(struct seed *s)
{
	static const uint8_t syn[] = { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7 };
	static const uint8_t sack[] = { 1, 1, 8, 10, 0, 0, 0, 10, 0, 0, 0, 0, 1, 1, 5, 18, 0, 0, 0, 10, 0, 0, 0, 20,
					0, 0, 0, 30, 0, 0, 0, 40 };

	for (unsigned i = 0; i < 4; i++) {
		rig_tcp(&p, RIG_PEER, 42000, RIG_US, 80, i ? TCPF_ACK | (i == 2 ? TCPF_URG : 0) : TCPF_SYN | TCPF_ECE | TCPF_CWR,
			i ? i * 3 : 500, 0, 0);
		rig_put(&p, i ? sack : syn, i ? sizeof sack : sizeof syn);
		p.b[p.l4 + 12] = (uint8_t)((20 + (i ? sizeof sack : sizeof syn)) / 4 << 4);
		p.b[15] = (uint8_t)i; /* ECN of the IP header */
		rig_put_pattern(&p, 0, i == 3 ? 100 : 0);
		put_pkt(s, F_FIX_IP | F_FIX_L4 | (i ? F_FOLLOW : 0));
		put(s, STEP_TCP, 0, (uint8_t[]){ 3, 0, 40 }, 3);
	}
	put(s, STEP_TIME, 0, p.b, 50);
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	struct seed s = { buf, 0, cap };

	switch (i) {
	case 0: seed_tcp(&s, 0); break;
	case 1: seed_tcp(&s, F_IOP1); break;
	case 2: seed_frags(&s); break;
	case 3: seed_icmp(&s); break;
	case 4: seed_arp(&s); break;
	case 5: seed_ipc(&s); break;
	case 6: seed_local(&s); break;
	case 7: seed_tcp6(&s, 0); break;
	case 8: seed_tcp6(&s, F_IOP1); break;
	case 9: seed_nd(&s); break;
	case 10: seed_ext6(&s); break;
	case 11: seed_options(&s); break;
	default: return 0;
	}
	return s.n;
}
