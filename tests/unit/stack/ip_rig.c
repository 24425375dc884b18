/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip_rig.c - see ip_rig.h
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/stack/ip_rig.h"

const uint8_t rig_mac[6] = { 2, 0, 0, 0, 0, 1 }, rig_mac1[6] = { 2, 0, 0, 0, 0, 2 };
const uint8_t rig_peer_mac[6] = { 2, 9, 9, 9, 9, 9 }, rig_gw_mac[6] = { 2, 8, 8, 8, 8, 8 };
const uint8_t rig_bcast_mac[6] = { 255, 255, 255, 255, 255, 255 };

/* Not Check's, so that a fuzzer can be linked with this. */
#define must_be(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

static void *must(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		abort();
	return p;
}

/* Large memory of a lax bench is kept for the next one: a fuzzer makes thousands. */
static struct { void *mem; size_t size; } spare[8];

static void *must_large(size_t n)
{
	void *p;

	n = (n + 63) & ~(size_t)63;
	for (unsigned i = 0; i < 8; i++)
		if (spare[i].mem && spare[i].size == n) {
			p = spare[i].mem;
			spare[i].mem = NULL;
			return memset(p, 0, n);
		}
	p = aligned_alloc(64, n);
	if (!p)
		abort();
	return memset(p, 0, n);
}

static void free_large(void *p, size_t n, bool keep)
{
	n = (n + 63) & ~(size_t)63;
	for (unsigned i = 0; keep && i < 8; i++)
		if (!spare[i].mem) {
			spare[i].mem = p;
			spare[i].size = n;
			return;
		}
	free(p);
}

/* ---- output is checked as a receiver would ------------------------------------------------ */

static bool l4_right(uint32_t src, uint32_t dst, uint8_t proto, const uint8_t *l4, uint32_t len)
{
	union npp_addr a = npp_addr_v4(src), b = npp_addr_v4(dst);
	uint64_t sum = proto == 1 ? 0 : npp_csum_pseudo(&a, &b, proto, len);

	if (proto == 17 && l4[6] == 0 && l4[7] == 0)
		return false;	/* we always send one */
	return npp_csum_finish(npp_csum_add(l4, len, sum)) == 0;
}

static void check_fragment(struct rig *r, const struct ip4_hdr *h, const uint8_t *l4, uint32_t len)
{
	uint16_t frag = ntohs(h->frag);
	uint32_t off = (frag & IP4_OFFMASK) * 8u;

	if (r->frag.id != h->id || r->frag.src != h->src || r->frag.dst != h->dst || off == 0) {
		r->frag.src = h->src;
		r->frag.dst = h->dst;
		r->frag.id = h->id;
		r->frag.have = r->frag.total = 0;
	}
	must_be(!(frag & IP4_MF) || len % 8 == 0);
	must_be(off == r->frag.have);
	memcpy(r->frag.data + off, l4, len);
	r->frag.have += len;
	if (frag & IP4_MF)
		return;
	must_be(l4_right(h->src, h->dst, h->proto, r->frag.data, r->frag.have));
	r->frag_done++;
	r->frag_last_len = r->frag.have;
}

static void check_ip4(struct rig *r, const struct rig_frame *f)
{
	struct ip4_hdr *h = (struct ip4_hdr *)(f->data + 14);
	uint8_t *l4 = f->data + 34;
	uint32_t len;

	must_be(f->len >= 34);
	must_be(h->vhl == 0x45);
	must_be(ntohs(h->len) == f->len - 14);
	must_be(npp_csum_finish(npp_csum_add(h, 20, 0)) == 0);
	len = f->len - 34;
	if (!f->vnet.gso_size)
		must_be(f->len - 14 <= r->g->port[f->port].mtu);
	if (ntohs(h->frag) & (IP4_MF | IP4_OFFMASK)) {
		must_be(f->vnet.flags == 0);
		if (!r->lax)
			check_fragment(r, h, l4, len);
		return;
	}
	if (f->vnet.flags & VNET_F_NEEDS_CSUM) {
		uint32_t at = f->vnet.csum_start + f->vnet.csum_offset;
		uint16_t sum;

		must_be(f->vnet.csum_start == 34);
		must_be(at + 2 <= f->len);
		sum = npp_csum_finish(npp_csum_add(l4, len, 0));
		if (!sum)
			sum = 0xffff;
		memcpy(f->data + at, &sum, 2);
	}
	must_be(l4_right(h->src, h->dst, h->proto, l4, len));
}

/* Fragments are checked by the tests. */
static void check_ip6(struct rig *r, const struct rig_frame *f)
{
	struct ip6_hdr_w *h = (struct ip6_hdr_w *)(f->data + 14);
	uint8_t *l4 = f->data + 54;
	union npp_addr src, dst;
	uint32_t len;

	must_be(f->len >= 54);
	must_be(ntohl(h->vtf) >> 28 == 6);
	must_be(ntohs(h->plen) == f->len - 54);
	if (!f->vnet.gso_size)
		must_be(f->len - 14 <= r->g->port[f->port].mtu);
	if (h->next == 44)
		return;
	memcpy(src.b, h->src, 16);
	memcpy(dst.b, h->dst, 16);
	len = f->len - 54;
	if (f->vnet.flags & VNET_F_NEEDS_CSUM) {
		uint16_t sum = npp_csum_finish(npp_csum_add(l4, len, 0));

		must_be(f->vnet.csum_start == 54);
		must_be(f->vnet.csum_start + f->vnet.csum_offset + 2u <= f->len);
		sum = sum ? sum : 0xffff;
		memcpy(f->data + f->vnet.csum_start + f->vnet.csum_offset, &sum, 2);
	}
	must_be(npp_csum_finish(npp_csum_add(l4, len, npp_csum_pseudo(&src, &dst, h->next, len))) == 0);
}

const struct ip6_hdr_w *rig_ip6(const struct rig_frame *f)
{
	return f->len >= 54 && f->data[12] == 0x86 && f->data[13] == 0xdd ? (const void *)(f->data + 14) : NULL;
}

/* IGMP and MLD: hop limit 1, router alert, the right Ethernet group, checksums (RFC 3376, 4; RFC 3810, 5). */
static bool take_talk(struct rig *r, const struct rig_frame *f)
{
	static const uint8_t alert4[4] = { 148, 4, 0, 0 }, alert6[8] = { 58, 0, 5, 2, 0, 0, 1, 0 };
	const uint8_t *ip = f->data + 14;
	struct rig_talk *t = f->port ? &r->other : &r->talk[r->n_talks % RIG_TALKS];
	bool v4 = f->len > 38 && rig_ip(f) && ip[9] == 2;

	if (!v4 && !(f->len > 62 && rig_ip6(f) && ip[6] == 0))
		return false;
	*t = (struct rig_talk){ .iop = f->iop, .len = f->len - (v4 ? 38 : 62) };
	must_be(t->len >= 8 && t->len <= sizeof t->l4);
	memcpy(t->l4, f->data + f->len - t->len, t->len);
	if (v4) {
		must_be(ip[0] == 0x46 && ip[8] == 1 && memcmp(ip + 20, alert4, 4) == 0);
		must_be(npp_csum_finish(npp_csum_add(ip, 24, 0)) == 0);
		must_be(ip[2] * 256 + ip[3] == (int)f->len - 14);
		t->src = npp_addr_v4(0);
		t->dst = npp_addr_v4(0);
		memcpy(&t->src.w[3], ip + 12, 4);
		memcpy(&t->dst.w[3], ip + 16, 4);
		must_be(f->data[0] == 1 && f->data[2] == 0x5e && memcmp(f->data + 4, ip + 18, 2) == 0);
		must_be(npp_csum_finish(npp_csum_add(t->l4, t->len, 0)) == 0);
	} else {
		must_be(ip[7] == 1 && memcmp(ip + 40, alert6, 8) == 0 && ip[4] * 256 + ip[5] == (int)f->len - 54);
		memcpy(t->src.b, ip + 8, 16);
		memcpy(t->dst.b, ip + 24, 16);
		must_be(f->data[0] == 0x33 && memcmp(f->data + 2, ip + 36, 4) == 0);
		must_be(npp_csum_finish(npp_csum_add(t->l4, t->len, npp_csum_pseudo(&t->src, &t->dst, 58, t->len))) == 0);
	}
	if (f->port)
		r->n_others++;
	else
		r->n_talks++;
	return true;
}

static void rig_tx(void *arg, unsigned port, const struct stack_tx *tx)
{
	struct rig_node *n = arg;
	struct rig *r = n->rig;
	struct rig_frame *f;
	uint32_t head = STACK_L4_OFF + tx->l4_len - tx->start, len = head;

	must_be(tx->start <= STACK_L4_OFF && STACK_L4_OFF + tx->l4_len <= STACK_HEAD_MAX);
	must_be(port < r->g->n_ports);
	if (r->lax && r->n_frames == RIG_FRAMES)
		rig_forget(r);
	must_be(r->n_frames < RIG_FRAMES);
	f = &r->frame[r->n_frames++];
	*f = (struct rig_frame){ .iop = n->iop, .port = port, .vnet = tx->vnet };
	f->data = must(head + tx->payload_len);
	memcpy(f->data, tx->head + tx->start, head);
	for (uint32_t i = 0; i < tx->n_slices; i++) {
		memcpy(f->data + len, tx->slice[i].data, tx->slice[i].len);
		len += tx->slice[i].len;
	}
	must_be(len == head + tx->payload_len);
	f->len = len;
	must_be(memcmp(f->data + 6, r->g->port[port].mac, 6) == 0);
	if (take_talk(r, f)) {
		free(f->data);
		r->n_frames--;
	} else if (rig_ip(f))
		check_ip4(r, f);
	else if (rig_ip6(f))
		check_ip6(r, f);
	else
		must_be(rig_arp_of(f));
}

static void rig_ipc_out(void *arg, unsigned iop, enum npp_rec_kind kind, const struct npp_frame_rec *rec,
			const void *data, uint32_t len)
{
	struct rig_node *n = arg;
	struct rig *r = n->rig;
	struct rig_ipc *q;

	must_be(iop < r->n);
	must_be(iop != n->iop);
	must_be(rec->kind == kind);
	must_be(rec->len == len);
	r->ipc_count[kind]++;
	if (r->ipc_tail - r->ipc_head >= RIG_IPCS)
		return;
	q = &r->ipc[r->ipc_tail++ % RIG_IPCS];
	*q = (struct rig_ipc){ .from = n->iop, .to = iop, .kind = kind, .rec = *rec, .len = len, .data = must(len) };
	memcpy(q->data, data, len);
}

static uint64_t rig_random(void *arg)
{
	struct rig *r = ((struct rig_node *)arg)->rig;

	r->rnd ^= r->rnd << 13;
	r->rnd ^= r->rnd >> 7;
	r->rnd ^= r->rnd << 17;
	return r->rnd;
}

/* ---- the user of the stacks ---------------------------------------------------------------- */

static int rig_accept(void *arg, struct tcp_listener *l, struct tcp_conn *c)
{
	(void)arg;
	(void)l;
	c->user_sock = 1;
	c->tx.base = must(16384);
	c->tx.size = 16384;
	return 0;
}

static bool rig_accept_room(void *arg, struct tcp_listener *l)
{
	(void)arg;
	(void)l;
	return true;
}

static void rig_event(void *arg, struct tcp_conn *c, uint32_t up)
{
	struct rig_node *n = arg;

	n->up |= up;
	if (up & TCP_UP_ERROR)
		n->conn_err = c->error;
	if (up & TCP_UP_FREED) {
		free(c->rx.base);
		free(c->tx.base);
		c->rx.base = c->tx.base = NULL;
	}
}

static bool rig_rx_grow(void *arg, struct tcp_conn *c, uint32_t end)
{
	(void)arg;
	if (c->rx.base || end - c->rx_tail > 65536)
		return c->rx.base && end - c->rx_tail <= c->rx.size;
	c->rx.base = must(65536);
	c->rx.size = 65536;
	return true;
}

static void rig_udp_input(void *arg, struct udp_endpoint *ep, const struct npp_dgram *d, const union npp_addr *to,
			  const void *payload)
{
	struct rig_node *n = arg;
	struct rig *r = n->rig;
	struct rig_dgram *g;

	if (r->lax && r->n_dgrams == RIG_DGRAMS)
		rig_forget(r);
	must_be(r->n_dgrams < RIG_DGRAMS);
	g = &r->dgram[r->n_dgrams++];
	*g = (struct rig_dgram){ .iop = n->iop, .ep = ep->index, .d = *d, .to = *to, .data = must(d->len) };
	memcpy(g->data, payload, d->len);
}

static void rig_groups(void *arg, const struct npp_groups *g)
{
	struct rig_node *n = arg;

	n->rig->groups = *g;
	n->rig->n_groups++;
}

static void rig_udp_error(void *arg, struct udp_endpoint *ep, const struct stack_udp_error *e)
{
	struct rig_node *n = arg;

	n->udp_err = e->err;
	n->udp_error = *e;
	n->udp_err_ep = ep->index;
}

static void rig_autoconf(void *arg, const struct npp_autoconf *a)
{
	struct rig_node *n = arg;

	n->rig->autoconf = *a;
	n->rig->n_autoconf++;
}

static void rig_conflict(void *arg, const struct npp_conflict *c)
{
	struct rig_node *n = arg;

	n->rig->conflict = *c;
	n->rig->n_conflicts++;
}

static const struct stack_ops rig_ops = {
	.conflict = rig_conflict,
	.autoconf = rig_autoconf, .groups = rig_groups,
	.tx = rig_tx, .ipc = rig_ipc_out, .random = rig_random, .accept = rig_accept,
	.accept_room = rig_accept_room, .event = rig_event, .rx_grow = rig_rx_grow,
	.udp_input = rig_udp_input, .udp_error = rig_udp_error,
};

/* ---- life -------------------------------------------------------------------------------------- */

union npp_addr rig_addr(uint32_t a)
{
	return npp_addr_v4(htonl(a));
}

static void rig_route(struct npp_global *g, uint32_t dst, unsigned bits, uint32_t via, unsigned port,
		      uint16_t mtu, uint32_t metric)
{
	struct npp_route *t = &g->route[g->n_routes++];

	*t = (struct npp_route){ .dst = rig_addr(dst), .prefix_len = (uint8_t)(96 + bits), .port = (uint8_t)port,
				 .mtu = mtu, .metric = metric };
	if (via)
		t->via = rig_addr(via);
}

static void rig_network(struct rig *r)
{
	struct npp_global *g = r->g;

	g->n_iops = r->n;
	g->n_ports = 2;
	memcpy(g->port[0].mac, rig_mac, 6);
	memcpy(g->port[1].mac, rig_mac1, 6);
	g->port[0].mtu = g->port[1].mtu = 1500;
	g->addr[g->n_addrs++] = (struct npp_if_addr){ rig_addr(RIG_US), 96 + 24, 0, { 0 }, 0 };
	g->addr[g->n_addrs++] = (struct npp_if_addr){ rig_addr(RIG_US2), 96 + 24, 0, { 0 }, 0 };
	g->addr[g->n_addrs++] = (struct npp_if_addr){ rig_addr(0xc0a80701), 96 + 24, 1, { 0 }, 0 };
	rig_route(g, 0, 0, RIG_GW, 0, 0, 10);
	rig_route(g, 0, 0, 0x0a0000fd, 0, 0, 20);			/* worse default */
	rig_route(g, 0xac100000, 12, 0x0a0000fc, 0, 1400, 0);		/* 172.16/12 */
	rig_route(g, 0xac100505, 32, 0xc0a807fe, 1, 0, 0);		/* 172.16.5.5 */
	atomic_store(&g->net_seq, 2);
	npp_hash_prog_default(&g->prog[0], r->n);
}

static void rig_node_init(struct rig *r, unsigned i)
{
	struct rig_node *n = &r->node[i];
	struct stack_cfg cfg = { .iop = i, .n_iops = r->n, .max_conns = 64, .max_listeners = 8, .max_udp = 64,
				 .reass_bytes = 512 * 1024, .hash_key = { 1 + i, 2 }, .isn_key = { 3, 4 + i } };

	n->rig = r;
	n->iop = i;
	n->env = (struct stack_env){ .ops = &rig_ops, .arg = n, .stats = n->stats, .global = r->g,
				     .neigh = r->t, .neigh_rw = i == 0 ? r->t : NULL };
	n->arena_size = stack_size(&cfg);
	must_be(n->arena_size % 64 == 0);
	n->arena = must_large(n->arena_size);
	n->s = stack_init(n->arena, &cfg, &n->env);
	stack_set_now(n->s, r->now_us);
}

struct rig *rig_new(unsigned n)
{
	struct rig *r = must_large(sizeof *r);

	r->n = n;
	r->now_us = 5000000000ull;
	r->rnd = 0x9e3779b97f4a7c15ull;
	r->g = must_large(sizeof *r->g);
	r->t = must_large(sizeof *r->t);
	rig_network(r);
	for (unsigned i = 0; i < n; i++)
		rig_node_init(r, i);
	rig_advance(r, 3000000);	/* announcements */
	rig_forget(r);
	return r;
}

void rig_forget(struct rig *r)
{
	for (unsigned i = 0; i < r->n_frames; i++)
		free(r->frame[i].data);
	for (unsigned i = 0; i < r->n_dgrams; i++)
		free(r->dgram[i].data);
	r->n_frames = r->n_dgrams = 0;
	r->frag_done = 0;
	memset(r->ipc_count, 0, sizeof r->ipc_count);
}

static void free_rings(struct stack *s)
{
	for (uint32_t i = 0; i < stack_conn_limit(s); i++) {
		struct tcp_conn *c = stack_conn(s, i);

		if (c)
			stack_tcp_abort(s, c);
	}
}

void rig_free(struct rig *r)
{
	for (unsigned i = 0; i < r->n; i++) {
		free_rings(r->node[i].s);
		free_large(r->node[i].arena, r->node[i].arena_size, r->lax);
	}
	rig_forget(r);
	for (; r->ipc_head != r->ipc_tail; r->ipc_head++)
		free(r->ipc[r->ipc_head % RIG_IPCS].data);
	free_large(r->g, sizeof *r->g, r->lax);
	free_large(r->t, sizeof *r->t, r->lax);
	free_large(r, sizeof *r, r->lax);
}

void rig_link_role(struct rig *r, unsigned iop, bool has)
{
	struct rig_node *n = &r->node[iop];

	n->env.neigh_rw = has ? r->t : NULL;
	if (has)
		atomic_store(&r->g->link_iop, iop);
	stack_set_env(n->s, &n->env);
}

void rig_attach(struct rig *r, unsigned iop)
{
	must_be(stack_attach(r->node[iop].s, &r->node[iop].env, r->now_us) == 0);
}

/* ---- time and IPC ---------------------------------------------------------------------------------- */

static bool ipc_step(struct rig *r)
{
	struct rig_ipc q;

	if (r->hold_ipc || r->ipc_head == r->ipc_tail)
		return false;
	q = r->ipc[r->ipc_head++ % RIG_IPCS];
	stack_input(r->node[q.to].s, &q.rec, q.data, q.len);
	free(q.data);
	return true;
}

void rig_run(struct rig *r)
{
	bool moved = true;

	for (unsigned rounds = 0; moved; rounds++) {
		must_be(rounds < 100000);
		moved = false;
		for (unsigned i = 0; i < r->n; i++) {
			stack_set_now(r->node[i].s, r->now_us);
			moved |= stack_run_timers(r->node[i].s, 1000) > 0;
			stack_flush(r->node[i].s);
		}
		while (ipc_step(r))
			moved = true;
	}
}

void rig_advance(struct rig *r, uint64_t us)
{
	uint64_t end = r->now_us + us;

	rig_run(r);
	while (r->now_us < end) {
		r->now_us += end - r->now_us < 50000 ? end - r->now_us : 50000;
		rig_run(r);
	}
}

uint64_t rig_stat(struct rig *r, unsigned iop, unsigned id)
{
	return atomic_load(&r->node[iop].stats[id]);
}

uint64_t rig_stat_all(struct rig *r, unsigned id)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < r->n; i++)
		sum += rig_stat(r, i, id);
	return sum;
}

/* ---- building frames --------------------------------------------------------------------------------- */

uint8_t rig_pattern(uint32_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + 5);
}

void rig_put(struct rig_pkt *p, const void *data, uint32_t len)
{
	must_be(p->len + len <= sizeof p->b);
	if (len)
		memcpy(p->b + p->len, data, len);
	p->len += len;
}

void rig_put_pattern(struct rig_pkt *p, uint32_t from, uint32_t len)
{
	must_be(p->len + len <= sizeof p->b);
	for (uint32_t i = 0; i < len; i++)
		p->b[p->len + i] = rig_pattern(from + i);
	p->len += len;
}

void rig_eth(struct rig_pkt *p, const uint8_t *dst, const uint8_t *src, uint16_t type)
{
	p->len = 0;
	rig_put(p, dst, 6);
	rig_put(p, src, 6);
	type = htons(type);
	rig_put(p, &type, 2);
}

void rig_arp(struct rig_pkt *p, const uint8_t *eth_dst, uint16_t op, const uint8_t *sha, uint32_t spa,
	     const uint8_t *tha, uint32_t tpa)
{
	struct arp_hdr a = { .hrd = htons(1), .pro = htons(0x0800), .hln = 6, .pln = 4, .op = htons(op) };

	spa = htonl(spa);
	tpa = htonl(tpa);
	memcpy(a.sha, sha, 6);
	memcpy(a.spa, &spa, 4);
	if (tha)
		memcpy(a.tha, tha, 6);
	memcpy(a.tpa, &tpa, 4);
	rig_eth(p, eth_dst, sha, ETH_P_ARP4);
	rig_put(p, &a, sizeof a);
}

void rig_ip4(struct rig_pkt *p, uint32_t src, uint32_t dst, uint8_t proto, uint16_t id, uint16_t frag)
{
	struct ip4_hdr h = { .vhl = 0x45, .id = htons(id), .frag = htons(frag), .ttl = 64, .proto = proto,
			     .src = htonl(src), .dst = htonl(dst) };

	rig_eth(p, rig_mac, rig_peer_mac, ETH_P_IPV4);
	rig_put(p, &h, sizeof h);
	p->l4 = p->len;
}

void rig_ip4_end(struct rig_pkt *p)
{
	struct ip4_hdr *h = (struct ip4_hdr *)(p->b + 14);

	h->len = htons((uint16_t)(p->len - 14));
	h->csum = 0;
	h->csum = npp_csum_finish(npp_csum_add(h, (h->vhl & 15u) * 4, 0));
}

void rig_l4_csum(struct rig_pkt *p)
{
	const struct ip4_hdr *h = (const struct ip4_hdr *)(p->b + 14);
	static const uint8_t field[256] = { [1] = 2, [6] = 16, [17] = 6 };
	union npp_addr src = npp_addr_v4(h->src), dst = npp_addr_v4(h->dst);
	uint32_t len = p->len - p->l4;
	uint64_t sum = h->proto == 1 ? 0 : npp_csum_pseudo(&src, &dst, h->proto, len);
	uint16_t c;

	memset(p->b + p->l4 + field[h->proto], 0, 2);
	c = npp_csum_finish(npp_csum_add(p->b + p->l4, len, sum));
	if (h->proto == 17 && c == 0)
		c = 0xffff;
	memcpy(p->b + p->l4 + field[h->proto], &c, 2);
}

void rig_udp(struct rig_pkt *p, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint32_t len)
{
	struct udp_hdr u = { htons(sport), htons(dport), htons((uint16_t)(8 + len)), 0 };

	rig_ip4(p, src, dst, 17, (uint16_t)(sport * 7 + len), 0);
	rig_put(p, &u, sizeof u);
	rig_put_pattern(p, 0, len);
	rig_ip4_end(p);
	rig_l4_csum(p);
}

void rig_echo(struct rig_pkt *p, uint32_t src, uint32_t dst, uint32_t len)
{
	struct icmp4_hdr h = { .type = 8, .rest = htonl(0x12340001) };

	rig_ip4(p, src, dst, 1, (uint16_t)(len + 77), 0);
	rig_put(p, &h, sizeof h);
	rig_put_pattern(p, 0, len);
	rig_ip4_end(p);
	rig_l4_csum(p);
}

void rig_tcp(struct rig_pkt *p, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint8_t flags,
	     uint32_t seq, uint32_t ack, uint32_t len)
{
	struct tcp_hdr t = { .sport = htons(sport), .dport = htons(dport), .seq = htonl(seq), .ack = htonl(ack),
			     .off = 0x50, .flags = flags, .wnd = htons(65535) };

	rig_ip4(p, src, dst, 6, (uint16_t)seq, IP4_DF);
	rig_put(p, &t, sizeof t);
	rig_put_pattern(p, 0, len);
	rig_ip4_end(p);
	rig_l4_csum(p);
}

bool rig_cut(const struct rig_pkt *p, uint32_t mtu, unsigned i, struct rig_pkt *out)
{
	uint32_t per = (mtu - 20) & ~7u, all = p->len - p->l4, off = i * per, n;
	struct ip4_hdr *h;

	if (off >= all)
		return false;
	n = all - off < per ? all - off : per;
	out->len = 0;
	rig_put(out, p->b, 34);
	out->l4 = 34;
	rig_put(out, p->b + p->l4 + off, n);
	h = (struct ip4_hdr *)(out->b + 14);
	h->vhl = 0x45;
	h->frag = htons((uint16_t)(off / 8 | (off + n < all ? IP4_MF : 0)));
	rig_ip4_end(out);
	return true;
}

void rig_in_raw(struct rig *r, unsigned iop, const struct npp_frame_rec *rec, const void *data, uint32_t len)
{
	uint8_t *copy = must(len);	/* exactly LEN bytes: a sanitizer sees one too many */

	memcpy(copy, data, len);
	stack_set_now(r->node[iop].s, r->now_us);
	stack_input(r->node[iop].s, rec, copy, len);
	memset(copy, 0xee, len);
	free(copy);
}

void rig_in(struct rig *r, unsigned iop, const struct rig_pkt *p)
{
	struct npp_frame_rec rec = { .len = p->len, .kind = NPP_REC_FRAME, .rx_us = (uint32_t)r->now_us };

	rig_in_raw(r, iop, &rec, p->b, p->len);
}

void rig_know(struct rig *r, uint32_t addr, const uint8_t *mac)
{
	static struct rig_pkt p;

	rig_arp(&p, rig_bcast_mac, 1, mac, addr, NULL, RIG_US);
	rig_in(r, atomic_load(&r->g->link_iop), &p);
	rig_run(r);
	rig_forget(r);
}

/* ---- what was caught -------------------------------------------------------------------------------------- */

struct rig_frame *rig_last(struct rig *r)
{
	must_be(r->n_frames > 0);
	return &r->frame[r->n_frames - 1];
}

const struct ip4_hdr *rig_ip(const struct rig_frame *f)
{
	return f->len >= 34 && f->data[12] == 8 && f->data[13] == 0 ? (const struct ip4_hdr *)(f->data + 14) : NULL;
}

const struct arp_hdr *rig_arp_of(const struct rig_frame *f)
{
	return f->len >= 42 && f->data[12] == 8 && f->data[13] == 6 ? (const struct arp_hdr *)(f->data + 14) : NULL;
}

const uint8_t *rig_l4(const struct rig_frame *f)
{
	return f->data + 34;
}

unsigned rig_count_arp(struct rig *r, uint16_t op)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_frames; i++) {
		const struct arp_hdr *a = rig_arp_of(&r->frame[i]);

		n += a && a->op == htons(op);
	}
	return n;
}
