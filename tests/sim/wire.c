/* SPDX-License-Identifier: GPL-2.0-or-later
 * wire.c - what must hold of a frame that leaves a stack
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "net/checksum.h"
#include "tests/sim/sim.h"

#define FAIL(p, name, ...) sim_fail((p)->npp->w, name, __VA_ARGS__)

/* ---- any IP packet ------------------------------------------------------------------------- */

static void check_ip6(struct iop *p, struct frame *f, const struct packet *k)
{
	const struct ip6_hdr_w *h = (const struct ip6_hdr_w *)(f->data + ETH_HDR_LEN);

	if (ntohl(h->vtf) >> 28 != 6 || ntohs(h->plen) + (uint32_t)IP6_HDR_LEN != k->len)
		FAIL(p, "ip6-length", "header says %u, packet has %u", ntohs(h->plen), k->len);
	if ((k->proto == 6 || k->proto == 17) && !npp_addr_eq(&k->src, &p->npp->addr6) &&
	    !(p->npp->cfg.slaac && npp_addr_eq(&k->src, &p->npp->auto6)))
		FAIL(p, "ip6-source", "protocol %u", k->proto);
}

static void check_ip4(struct iop *p, struct frame *f)
{
	const struct ip4_hdr *h = frame_ip4(f);
	uint32_t len = f->len - ETH_HDR_LEN;

	if (h->vhl != (h->proto == 2 ? 0x46 : 0x45) || ntohs(h->len) != len)
		FAIL(p, "ip-length", "header says %u, frame has %u", ntohs(h->len), len);
	if (npp_csum_finish(npp_csum_add(h, (h->vhl & 15) * 4u, 0)) != 0)
		FAIL(p, "ip-checksum", "%#x", h->csum);
	if (npp_addr_get_v4(&p->npp->addr) != h->src)
		FAIL(p, "ip-source", "%#x", ntohl(h->src));
}

static void check_size(struct iop *p, const struct stack_tx *tx, struct frame *f, const struct packet *k)
{
	uint32_t l4 = k->l4, unit = k->len;
	const struct vnet_hdr *v = &tx->vnet;

	if (v->gso_type) {
		unit = v->hdr_len - ETH_HDR_LEN + v->gso_size;
		if (!v->gso_size || v->hdr_len < l4 + 8 || v->hdr_len > l4 + 60 || !(v->flags & VNET_F_NEEDS_CSUM) ||
		    f->len <= (uint32_t)v->hdr_len + v->gso_size)
			FAIL(p, "vnet-gso", "size %u hdr_len %u flags %u len %u", v->gso_size, v->hdr_len, v->flags, f->len);
	}
	if (unit > p->npp->cfg.mtu)
		FAIL(p, "mtu", "packet of %u bytes, MTU %u", unit, p->npp->cfg.mtu);
	if (v->flags & VNET_F_NEEDS_CSUM && (v->csum_start != l4 || v->csum_start + v->csum_offset + 2u > f->len))
		FAIL(p, "vnet-csum", "start %u offset %u len %u", v->csum_start, v->csum_offset, f->len);
	if (!k->fragment && !(v->flags & VNET_F_NEEDS_CSUM) && (k->proto == 6 || k->proto == 17))
		FAIL(p, "checksum-work", "a whole %u frame with a checksum of our own", k->proto);
}

/* ---- TCP ---------------------------------------------------------------------------------------- */

/* Of a SACK block above the ACK every byte lies in the ring. */
static void check_sack(struct iop *p, const struct tcb *t, const struct app *a, uint32_t ack, const struct tcp_range *r)
{
	uint32_t from = r->start - tcp_irs(t) - 1, end = r->end - tcp_irs(t) - 1, n;
	uint32_t key = p->npp->w->app[a->idx ^ 1].key;

	if (!seq_lt(r->start, r->end))
		FAIL(p, "sack-empty", "program %u.%u: %u-%u", a->prog, a->role, from, end);
	if (seq_leq(r->end, ack) || seq_lt(r->start, ack))
		return; /* a duplicate */
	if (!t->c.rx.base || end - t->c.rx_tail > t->c.rx.size)
		FAIL(p, "sack-ring", "program %u.%u: %u-%u is not in the ring", a->prog, a->role, from, end);
	for (; from != end; from += n) {
		uint32_t at = from & (t->c.rx.size - 1);

		n = t->c.rx.size - at < end - from ? t->c.rx.size - at : end - from;
		if (!pattern_is(key, from, t->c.rx.base + at, n))
			FAIL(p, "sack-data", "program %u.%u: %u-%u is said to be there, and is not", a->prog, a->role, from, end);
	}
}

static void check_window(struct iop *p, struct app *a, const struct tcb *t, const struct tcp_seg *g)
{
	uint32_t edge = g->ack + (g->wnd << (g->flags & TCPF_SYN ? 0 : t->rcv_ws));

	if (g->flags & TCPF_RST || !(g->flags & TCPF_ACK))
		return;
	/* By less than a unit of the scaled field it may (RFC 7323, 2.4); the window of a SYN, which is not
	 * scaled, may not be able to say what an ACK before it did. */
	if (a->edge_known && !(g->flags & TCPF_SYN) && seq_leq(edge + (1u << t->rcv_ws), a->edge))
		FAIL(p, "window-shrinks", "program %u.%u: right edge +%u was +%u", a->prog, a->role, edge - tcp_irs(t),
		     a->edge - tcp_irs(t));
	a->edge = a->edge_known ? seq_max(a->edge, edge) : edge;
	a->edge_known = true;
}

/* Data that leaves is what the program wrote, and within what the peer has allowed. */
static void check_text(struct iop *p, struct app *a, const struct tcb *t, const struct tcp_seg *g)
{
	uint32_t off = g->seq - t->iss - 1;
	struct app *peer = app_peer(a);

	if (g->flags & TCPF_URG ? !a->cfg.urg || (off + g->urp) > a->marked : g->urp)
		FAIL(p, "send-urgent", "program %u.%u: %u + %u, marked is %u", a->prog, a->role, off, g->urp, a->marked);
	if (!g->len || g->flags & TCPF_SYN)
		return;
	if (seq_gt(off + g->len, a->tx_head))
		FAIL(p, "send-beyond", "program %u.%u: %u-%u of %u", a->prog, a->role, off, off + g->len, a->tx_head);
	if (!pattern_is(a->key, off, g->data, g->len))
		FAIL(p, "send-data", "program %u.%u: %u-%u is not what was written", a->prog, a->role, off, off + g->len);
	if (peer->edge_known && peer->c && seq_gt(g->seq + g->len, peer->edge))
		FAIL(p, "send-window", "program %u.%u: up to +%u, allowed were +%u", a->prog, a->role,
		     g->seq + g->len - t->iss, peer->edge - t->iss);
}

static void check_conn_out(struct iop *p, const struct tcb *t, const struct tcp_seg *g)
{
	struct app *a = app_of(p->npp->w, &t->c);
	bool fin = t->flags & TF_RCV_FIN && t->rcv_nxt == t->rcv_fin + 1;
	uint32_t got = t->c.rx_head + fin;

	if (!a)
		return; /* being opened */
	if (g->flags & TCPF_ACK && t->c.state >= TCP_ST_ESTABLISHED && seq_gt(g->ack - tcp_irs(t) - 1, got))
		FAIL(p, "ack-beyond", "program %u.%u: acknowledges %u, has %u", a->prog, a->role, g->ack - tcp_irs(t) - 1, got);
	if (t->flags & TF_TS && !(g->flags & TCPF_RST)) {
		if (!(g->opt & TO_TS))
			FAIL(p, "timestamp-missing", "program %u.%u", a->prog, a->role);
		if (a->ts_known && seq_lt(g->tsval, a->tsval))
			FAIL(p, "timestamp-back", "program %u.%u: %u after %u", a->prog, a->role, g->tsval, a->tsval);
		a->tsval = g->tsval;
		a->ts_known = true;
	}
	for (unsigned i = 0; i < g->n_sack; i++)
		check_sack(p, t, a, g->ack, &g->sack[i]);
	check_window(p, a, t, g);
	check_text(p, a, t, g);
}

static void check_tcp(struct iop *p, struct frame *f, const struct packet *k)
{
	const uint8_t *l4 = f->data + k->l4;
	const struct tcp_hdr *th = (const struct tcp_hdr *)l4;
	uint32_t hlen = (th->off >> 4) * 4u, hash, ref;
	struct tcp_seg g = { .seq = ntohl(th->seq), .ack = ntohl(th->ack), .wnd = ntohs(th->wnd), .flags = th->flags,
			     .sport = ntohs(th->sport), .dport = ntohs(th->dport), .urp = ntohs(th->urp) };

	/* What has waited for its neighbour comes in one piece, whatever tx->l4_len says. */
	if (hlen < TCP_HDR_MIN || k->l4 + hlen > f->len)
		FAIL(p, "tcp-header", "%u of %u bytes", hlen, f->len);
	g.len = f->len - k->l4 - hlen;
	g.data = l4 + hlen;
	if (hlen > TCP_HDR_MIN && !tcp_options_parse(l4 + TCP_HDR_MIN, hlen - TCP_HDR_MIN, &g))
		FAIL(p, "tcp-options", "not parseable");
	if (g.flags & TCPF_URG && f->rec.vnet.gso_type) /* whoever cuts it copies the pointer */
		FAIL(p, "send-urgent-gso", "%u bytes", g.len);
	hash = tcp_hash(p->s, &k->src, g.sport, &k->dst, g.dport);
	ref = tcp_lookup(p->s, hash, &k->src, g.sport, &k->dst, g.dport);
	if (ref != TCP_NONE && TCP_REF_KIND(ref) == TCP_REF_CONN)
		check_conn_out(p, &p->s->tcp->conns[TCP_REF_IDX(ref)], &g);
}

void wire_check(struct iop *p, const struct stack_tx *tx, struct frame *f)
{
	struct packet k;

	if (f->len < ETH_HDR_LEN || memcmp(f->data + 6, p->npp->g->port[0].mac, 6) != 0)
		FAIL(p, "ethernet", "frame of %u bytes", f->len);
	frame_look(f, &k);
	if (!k.family)
		return;
	if (k.family == 4)
		check_ip4(p, f);
	else
		check_ip6(p, f, &k);
	check_size(p, tx, f, &k);
	if (k.proto == 6 && !k.fragment)
		check_tcp(p, f, &k);
}
