/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_helper.c - a TCP under test: its host, its peer, segments in and out
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/stack/tcp_helper.h"

/* ---- the user ------------------------------------------------------------------------------ */

uint64_t th_random(void *arg)
{
	struct th *h = arg;

	h->rnd ^= h->rnd << 13;
	h->rnd ^= h->rnd >> 7;
	h->rnd ^= h->rnd << 17;
	return h->rnd;
}

static struct th_sock *sock_new(struct th *h, struct tcp_conn *c)
{
	for (unsigned i = 0; i < TH_SOCKS; i++) {
		struct th_sock *k = &h->sock[i];

		if (k->used)
			continue;
		*k = (struct th_sock){ .used = true, .c = c };
		c->user_sock = i + 1;
		return k;
	}
	return NULL;
}

struct th_sock *th_sock_of(struct th *h, const struct tcp_conn *c)
{
	TH_ASSERT(c->user_sock >= 1);
	TH_ASSERT(c->user_sock <= TH_SOCKS);
	return &h->sock[c->user_sock - 1];
}

static int op_accept(void *arg, struct tcp_listener *l, struct tcp_conn *c)
{
	struct th *h = arg;

	(void)l;
	if (!h->accept_ok || !sock_new(h, c))
		return -ENOBUFS;
	stack_tcp_options(h->s, c, &h->given);
	h->n_accepted++;
	return 0;
}

static void op_listener_options(void *arg, struct tcp_listener *l, struct tcp_options *o)
{
	(void)l;
	*o = ((struct th *)arg)->given;
}

static bool op_accept_room(void *arg, struct tcp_listener *l)
{
	(void)l;
	return ((struct th *)arg)->accept_room;
}

static uint32_t op_fastopen(void *arg, struct tcp_listener *l)
{
	(void)l;
	return ((struct th *)arg)->fastopen;
}

static unsigned op_fastopen_keys(void *arg, struct tcp_listener *l, uint64_t key[NPP_TFO_KEYS][2])
{
	struct th *h = arg;

	(void)l;
	memcpy(key, h->tfo_key, sizeof h->tfo_key);
	return h->tfo_keys;
}

static void op_event(void *arg, struct tcp_conn *c, uint32_t up)
{
	struct th *h = arg;
	struct th_sock *k = th_sock_of(h, c);

	TH_ASSERT(k->used);
	TH_ASSERT(k->c == c);
	TH_ASSERT(k->n_freed == 0);
	k->events |= up;
	k->n_events++;
	k->error = c->error;
	k->rx_head = c->rx_head;
	k->tx_tail = c->tx_tail;
	if (up & TCP_UP_FREED) {
		k->n_freed++;
		k->c = NULL;
	}
}

static bool op_rx_grow(void *arg, struct tcp_conn *c, uint32_t end)
{
	struct th *h = arg;
	struct th_sock *k = th_sock_of(h, c);
	uint32_t need = end - c->rx_tail, size = 4096;
	uint8_t *base;

	while (size < need && size < h->rx_max)
		size *= 2;
	if (size <= c->rx.size)
		return need <= c->rx.size;
	if (h->grow_fails && th_random(h) % 100 < h->grow_fails)
		return false;
	base = malloc(size);
	memset(base, 0xee, size);
	for (uint32_t i = 0; c->rx.base && i < c->rx.size; i++)
		base[(c->rx_tail + i) & (size - 1)] = c->rx.base[(c->rx_tail + i) & (c->rx.size - 1)];
	free(k->rx);
	k->rx = c->rx.base = base;
	k->rx_size = c->rx.size = size;
	return need <= size;
}

static void op_urgent(void *arg, struct tcp_conn *c, uint32_t off, bool here)
{
	struct th_sock *k = th_sock_of(arg, c);

	if (here) {
		TH_ASSERT(off == k->urg_off);
		k->urg_here = off + 1;
		return;
	}
	TH_ASSERT(off - c->rx_head < 0x20000);
	k->urg_off = off;
	k->n_urg++;
}

static void op_ipc(void *arg, unsigned iop, enum npp_rec_kind kind, const struct npp_frame_rec *rec, const void *data,
		   uint32_t len)
{
	struct th *h = arg;

	TH_ASSERT(iop != h->cfg.iop && kind == (enum npp_rec_kind)rec->kind && len == rec->len && len <= sizeof h->ipc_body);
	h->ipc = *rec;
	memcpy(h->ipc_body, data, len);
	h->n_ipc++;
}

static void op_tx(void *arg, unsigned port, const struct stack_tx *tx)
{
	(void)arg;
	(void)port;
	(void)tx;
}

static const struct stack_ops ops = {
	.tx = op_tx,
	.ipc = op_ipc,
	.random = th_random,
	.accept = op_accept,
	.accept_room = op_accept_room,
	.fastopen = op_fastopen,
	.fastopen_keys = op_fastopen_keys,
	.listener_options = op_listener_options,
	.event = op_event,
	.rx_grow = op_rx_grow,
	.urgent = op_urgent,
};

uint32_t th_space(struct th *h, struct th_sock *k)
{
	(void)h;
	if (!k->tx) {
		k->tx_size = 16384;
		k->tx = malloc(k->tx_size);
	} else if (k->tx_head - k->tx_tail == k->tx_size && k->tx_size < 262144) {
		uint8_t *n = malloc(k->tx_size * 2);

		for (uint32_t o = k->tx_tail; o != k->tx_head; o++)
			n[o & (2 * k->tx_size - 1)] = k->tx[o & (k->tx_size - 1)];
		free(k->tx);
		k->tx = n;
		k->tx_size *= 2;
	}
	k->c->tx = (struct stack_ring){ k->tx, k->tx_size };
	k->tx_tail = k->c->tx_tail;
	return k->tx_size - (k->tx_head - k->tx_tail);
}

uint32_t th_write(struct th *h, struct th_sock *k, const void *data, uint32_t len)
{
	uint32_t room = th_space(h, k);

	if (len > room)
		len = room;
	for (uint32_t i = 0; i < len; i++)
		k->tx[(k->tx_head + i) & (k->tx_size - 1)] = ((const uint8_t *)data)[i];
	k->tx_head += len;
	stack_tcp_sent(h->s, k->c, k->tx_head);
	return len;
}

uint32_t th_read(struct th *h, struct th_sock *k, void *data, uint32_t len)
{
	uint32_t head = k->c ? k->c->rx_head : k->rx_head;

	if (len > head - k->rx_tail)
		len = head - k->rx_tail;
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)data)[i] = k->rx[(k->rx_tail + i) & (k->rx_size - 1)];
	k->rx_tail += len;
	if (k->c)
		stack_tcp_read(h->s, k->c, k->rx_tail);
	return len;
}

/* ---- life -------------------------------------------------------------------------------------- */

struct th *th_new(uint32_t max_conns)
{
	struct th *h = calloc(1, sizeof *h);
	size_t size;
	void *arena;

	h->cfg = (struct stack_cfg){ .iop = 0, .n_iops = 1, .max_conns = max_conns, .max_listeners = 8, .max_udp = 1,
				     .hash_key = { 1, 2 }, .isn_key = { 3, 4 }, .tfo_key = { 5, 6 } };
	h->global = aligned_alloc(64, (sizeof *h->global + 63) & ~63ul);
	memset(h->global, 0, sizeof *h->global);
	npp_hash_prog_default(&h->global->prog[0], 1);
	h->addr = npp_addr_v4(htonl(0x0a000001));
	h->peer = npp_addr_v4(htonl(0x0a000002));
	h->mtu = 1500;
	h->now_us = 3600000000ull;
	h->rnd = 88172645463325252ull;
	h->accept_room = h->accept_ok = true;
	h->rx_max = 1 << 21;
	h->env = (struct stack_env){ .ops = &ops, .arg = h, .stats = h->stats, .global = h->global };
	size = stack_size(&h->cfg);
	arena = aligned_alloc(64, (size + 63) & ~63ul);
	memset(arena, 0, size);
	h->s = stack_init(arena, &h->cfg, &h->env);
	stack_set_now(h->s, h->now_us);
	return h;
}

void th_free(struct th *h)
{
	struct tcp_state *tcp = h->s->tcp;

	for (uint32_t i = 0; i < TH_SOCKS; i++) {
		struct th_sock *k = &h->sock[i];

		if (k->c)
			stack_tcp_abort(h->s, k->c);
		TH_ASSERT(k->used == k->n_freed);
	}
	for (uint32_t i = 0; i < tcp->lsn_pool.count; i++)
		if (stack_listener(h->s, i))
			stack_unlisten(h->s, stack_listener(h->s, i));
	stack_flush(h->s);
	th_check(h);
	TH_ASSERT(tcp->conn_pool.used == 0);
	TH_ASSERT(tcp->syn_pool.used == 0);
	TH_ASSERT(tcp->lsn_pool.used == 0);
	TH_ASSERT(tcp->block_pool.used == 0);
	TH_ASSERT(tcp->flight_pool.used == 0);
	/* TIME_WAIT goes by itself; nothing else is on the wheel. */
	h->now_us += TCP_2MSL_US + 10000;
	stack_set_now(h->s, h->now_us);
	while (stack_run_timers(h->s, 100))
		;
	TH_ASSERT(tcp->tw_pool.used == 0);
	TH_ASSERT(h->s->wheel.armed == 0);
	for (uint32_t i = 0; i <= tcp->bucket_mask; i++)
		TH_ASSERT(tcp->bucket[i] == TCP_NONE);
	th_forget(h);
	for (uint32_t i = 0; i < TH_SOCKS; i++) {
		free(h->sock[i].rx);
		free(h->sock[i].tx);
	}
	free(h->s);
	free(h->global);
	free(h);
}

void th_restart(struct th *h)
{
	TH_ASSERT(stack_attach(h->s, &h->env, h->now_us) == 0);
	th_check(h);
}

void th_advance(struct th *h, uint64_t us)
{
	uint64_t until = h->now_us + us, next;

	stack_flush(h->s);
	for (;;) {
		next = stack_next_timer(h->s);
		if (next > until)
			break;
		if (next > h->now_us)
			h->now_us = next;
		stack_set_now(h->s, h->now_us);
		stack_run_timers(h->s, 64);
		stack_flush(h->s);
		if (next == h->now_us)
			h->now_us++;
	}
	if (h->now_us < until)
		h->now_us = until;
	stack_set_now(h->s, h->now_us);
	stack_run_timers(h->s, 64);
	stack_flush(h->s);
	th_check(h);
}

uint64_t th_stat(struct th *h, unsigned id)
{
	return h->stats[id];
}

static void check_block(struct th *h, uint32_t idx, uint32_t from, uint32_t to)
{
	struct tcp_block *b = tcp_block(h->s, idx);

	if (!b)
		return;
	TH_ASSERT(b->n >= 1);
	TH_ASSERT(b->n <= TCP_RANGES);
	for (uint32_t i = 0; i < b->n; i++) {
		TH_ASSERT(seq_lt(b->r[i].start, b->r[i].end));
		TH_ASSERT(seq_gt(b->r[i].start, i ? b->r[i - 1].end : from));
	}
	TH_ASSERT(seq_leq(b->r[b->n - 1].end, to));
}

/* The ranges cover what is in flight, and the sums are theirs. */
static void check_sent(struct th *h, struct tcb *t)
{
	const struct tcp_sent *r = tcp_sent(h->s, t);
	uint32_t at = t->snd_una, sacked = 0, lost = 0;

	if (t->c.state < TCP_ST_ESTABLISHED)
		return;
	TH_ASSERT(t->n_sent <= (t->flight == TCP_NONE ? TCP_SENT_INLINE : TCP_SENT_MAX));
	for (unsigned i = 0; i < t->n_sent; at = r[i++].end) {
		TH_ASSERT(seq_gt(r[i].end, at));
		TH_ASSERT((r[i].flags & (SENT_SACKED | SENT_LOST)) != (SENT_SACKED | SENT_LOST));
		TH_ASSERT((int32_t)((uint32_t)h->s->now_us - r[i].at_us) >= 0);
		sacked += r[i].flags & SENT_SACKED ? r[i].end - at : 0;
		lost += r[i].flags & SENT_LOST ? r[i].end - at : 0;
	}
	TH_ASSERT(at == t->snd_nxt);
	TH_ASSERT(sacked == t->sacked);
	TH_ASSERT(lost == t->lost);
	TH_ASSERT(t->recovery != TCP_OPEN || t->lost == 0);
	TH_ASSERT(t->n_sent || t->flight == TCP_NONE);
	TH_ASSERT(seq_leq(t->snd_una, t->fack) && seq_leq(t->fack, t->snd_nxt));
}

void th_check(struct th *h)
{
	struct tcp_state *tcp = h->s->tcp;
	uint32_t used = 0, blocks = 0, flights = 0;

	for (uint32_t i = 0; i < tcp->conn_pool.count; i++) {
		struct tcb *t = &tcp->conns[i];

		if (!t->in_use)
			continue;
		used++;
		blocks += t->ooo != TCP_NONE;
		flights += t->flight != TCP_NONE;
		TH_ASSERT(t->busy == 0);
		if (t->flags & TF_DEAD)
			continue;
		TH_ASSERT(seq_leq(t->snd_una, t->snd_nxt));
		TH_ASSERT(tcp_pipe(t) <= t->snd_nxt - t->snd_una);
		TH_ASSERT(t->c.rx_head - t->c.rx_tail <= t->c.rx.size);
		TH_ASSERT(t->cwnd >= (t->c.state >= TCP_ST_ESTABLISHED ? t->mss : 1u));
		check_block(h, t->ooo, t->rcv_nxt, t->rcv_adv);
		check_sent(h, t);
		TH_ASSERT((uint32_t)tcp->timers[i].due == t->timer_due);
		for (int k = 0; k < DUE_COUNT; k++)
			TH_ASSERT(!t->due[k] || (t->timer_due && (int32_t)(t->timer_due - t->due[k]) <= 0));
		if (t->c.state >= TCP_ST_ESTABLISHED && t->snd_una != t->snd_nxt)
			TH_ASSERT(t->due[DUE_TX] != 0);
		TH_ASSERT(tcp_lookup(h->s, tcp_conn_hash(h->s, t), &t->c.laddr, t->c.lport, &t->c.raddr, t->c.rport) == TCP_REF(TCP_REF_CONN, i));
	}
	TH_ASSERT(used == tcp->conn_pool.used);
	TH_ASSERT(blocks == tcp->block_pool.used);
	TH_ASSERT(flights == tcp->flight_pool.used);
}

/* ---- segments ----------------------------------------------------------------------------------------- */

int th_sent(struct th *h, const struct ip_path *p, struct stack_tx *tx)
{
	struct th_seg seg = { 0 };
	uint8_t buf[128];
	struct pkt pkt = { .l4 = buf, .l4_len = tx->l4_len + tx->payload_len, .src = p->src, .dst = p->dst,
			   .csum_ok = true };
	struct stack fake = *h->s; /* parsing needs counters of its own */
	npp_counter_t sink[NPP_IS_COUNT];
	struct stack_env env = { .stats = sink };
	uint32_t sum = 0;

	if (h->sink)
		return 0;
	memset(sink, 0, sizeof sink);
	fake.env = &env;
	TH_ASSERT(tx->l4_len <= 60);
	TH_ASSERT(tx->csum_off == 16);
	TH_ASSERT(tx->l4_len + tx->payload_len + 20 <= 65535);
	if (!tx->gso_size)
		TH_ASSERT(tx->l4_len + tx->payload_len + 20u <= h->mtu);
	else
		TH_ASSERT(tx->l4_len + tx->gso_size + 20u <= h->mtu);
	memcpy(buf, tx->head + STACK_L4_OFF, tx->l4_len);
	seg.data = malloc(tx->payload_len + 1);
	for (uint32_t i = 0; i < tx->n_slices; i++) {
		memcpy(seg.data + sum, tx->slice[i].data, tx->slice[i].len);
		sum += tx->slice[i].len;
	}
	TH_ASSERT(sum == tx->payload_len);
	TH_ASSERT(tcp_seg_parse(&fake, &pkt, &seg.g));
	seg.g.data = seg.data;
	if (seg.g.tfo_len) {
		memcpy(seg.cookie, seg.g.tfo, seg.g.tfo_len);
		seg.g.tfo = NULL;
	}
	seg.g.pkt = NULL;
	seg.gso_size = tx->gso_size;
	seg.tos = h->out_tos;
	seg.ttl = h->out_ttl;
	if (h->wire) {
		h->wire(h, &seg, &p->dst);
		return 0;
	}
	TH_ASSERT(h->n_out < TH_OUT);
	h->out[h->n_out++] = seg;
	return 0;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
	return p + 4;
}

static uint8_t *put_options(uint8_t *p, const struct tcp_seg *g)
{
	if (g->opt & TO_MSS) {
		*p++ = 2;
		*p++ = 4;
		*p++ = (uint8_t)(g->mss >> 8);
		*p++ = (uint8_t)g->mss;
	}
	if (g->opt & TO_SACK_OK) {
		*p++ = 4;
		*p++ = 2;
	}
	if (g->opt & TO_TS) {
		*p++ = 8;
		*p++ = 10;
		p = put32(put32(p, g->tsval), g->tsecr);
	}
	if (g->opt & TO_WS) {
		*p++ = 3;
		*p++ = 3;
		*p++ = g->wscale;
	}
	if (g->opt & TO_TFO) {
		*p++ = 34;
		*p++ = (uint8_t)(2 + g->tfo_len);
		if (g->tfo_len)
			memcpy(p, g->tfo, g->tfo_len);
		p += g->tfo_len;
	}
	if (g->n_sack) {
		*p++ = 5;
		*p++ = (uint8_t)(2 + 8 * g->n_sack);
		for (unsigned i = 0; i < g->n_sack; i++)
			p = put32(put32(p, g->sack[i].start), g->sack[i].end);
	}
	return p;
}

void th_input_noflush(struct th *h, const struct tcp_seg *g, const void *data, uint16_t gso_size)
{
	uint8_t *buf = malloc(80 + g->len), *p;
	struct tcp_hdr hdr = { .sport = htons(g->sport), .dport = htons(g->dport), .seq = htonl(g->seq),
			       .ack = htonl(g->ack), .flags = g->flags, .wnd = htons((uint16_t)g->wnd), .urp = htons(g->urp) };
	struct pkt pkt = { .src = h->peer, .dst = h->addr, .proto = 6, .csum_ok = true, .tos = h->in_tos, .gso = gso_size != 0,
			   .gso_size = gso_size };
	uint8_t *exact;

	p = put_options(buf + 20, g);
	while ((p - buf) % 4)
		*p++ = 0;
	hdr.off = (uint8_t)((p - buf) / 4 << 4);
	memcpy(buf, &hdr, 20);
	if (g->len)
		memcpy(p, data, g->len);
	pkt.l4_len = (uint32_t)(p - buf) + g->len;
	/* Of exactly its size, so that a sanitizer sees a read beyond. */
	exact = malloc(pkt.l4_len);
	memcpy(exact, buf, pkt.l4_len);
	pkt.l4 = exact;
	stack_set_now(h->s, h->now_us);
	tcp_input(h->s, &pkt);
	free(buf);
	free(exact);
}

void th_input(struct th *h, const struct tcp_seg *g, const void *data, uint16_t gso_size)
{
	th_input_noflush(h, g, data, gso_size);
	stack_flush(h->s);
	th_check(h);
}

struct th_seg *th_next(struct th *h)
{
	if (h->next_out >= h->n_out)
		ck_abort_msg("nothing was sent");
	return &h->out[h->next_out++];
}

bool th_none(struct th *h)
{
	return h->next_out == h->n_out;
}

void th_forget(struct th *h)
{
	for (unsigned i = 0; i < h->n_out; i++)
		free(h->out[i].data);
	h->n_out = h->next_out = 0;
}

struct tcp_listener *th_listen(struct th *h, uint16_t port, uint32_t backlog)
{
	struct tcp_listener tmpl = { .addr = npp_addr_v4(0), .port = port, .backlog = backlog };
	int err;
	struct tcp_listener *l = stack_listen(h->s, &tmpl, &err);

	TH_ASSERT(l != NULL);
	return l;
}

/* ---- the peer -------------------------------------------------------------------------------------------- */

struct tcp_seg tp_seg(const struct tp *p, uint8_t flags, uint32_t len)
{
	struct tcp_seg g = { .sport = p->rport, .dport = p->lport, .seq = p->seq, .ack = p->ack, .wnd = p->wnd,
			     .flags = flags, .len = len };

	if (!(flags & TCPF_ACK))
		g.ack = 0;
	if (p->opt & TO_TS) {
		g.opt = TO_TS;
		g.tsval = p->tsval;
		g.tsecr = p->tsecr;
	}
	return g;
}

void tp_send_at(struct tp *p, uint32_t seq, uint8_t flags, const void *data, uint32_t len)
{
	struct tcp_seg g = tp_seg(p, flags, len);

	g.seq = seq;
	th_input(p->h, &g, data, 0);
}

void tp_send(struct tp *p, uint8_t flags, const void *data, uint32_t len)
{
	tp_send_at(p, p->seq, flags, data, len);
	p->seq += len + ((flags & TCPF_SYN) != 0) + ((flags & TCPF_FIN) != 0);
}

static struct tcp_seg tp_syn(struct tp *p, uint8_t flags, uint8_t opt)
{
	struct tcp_seg g;

	p->seq = TP_ISS;
	p->wnd = 65535;
	p->tsval = 1000;
	p->opt = 0;
	g = tp_seg(p, flags, 0);
	g.opt = opt | TO_MSS;
	g.mss = 1460;
	g.wscale = 7;
	g.tsval = p->tsval;
	g.tsecr = p->tsecr;
	return g;
}

void tp_accept(struct tp *p, struct th *h, uint16_t lport, uint16_t rport, uint8_t opt)
{
	uint32_t before = h->n_accepted;
	struct tcp_seg g;
	struct th_seg *o;

	*p = (struct tp){ .h = h, .lport = lport, .rport = rport };
	g = tp_syn(p, TCPF_SYN, opt);
	th_input(h, &g, NULL, 0);
	p->seq++;
	o = th_next(h);
	TH_ASSERT(o->g.flags == (TCPF_SYN | TCPF_ACK));
	TH_ASSERT(o->g.ack == p->seq);
	p->ack = o->g.seq + 1;
	p->tsecr = o->g.tsval;
	p->opt = opt;
	if (opt & TO_WS)
		p->wnd = 512; /* 64 KB */
	tp_send(p, TCPF_ACK, NULL, 0);
	TH_ASSERT(h->n_accepted == before + 1);
	for (unsigned i = 0; i < TH_SOCKS; i++)
		if (h->sock[i].c && h->sock[i].c->rport == rport && h->sock[i].c->lport == lport)
			p->k = &h->sock[i];
	TH_ASSERT(p->k != NULL);
	TH_ASSERT(p->k->c->state == TCP_ST_ESTABLISHED);
	TH_ASSERT(th_none(h));
	th_forget(h);
}

void tp_connect(struct tp *p, struct th *h, uint16_t rport, uint8_t opt)
{
	struct tcp_seg g;
	struct th_seg *o;
	struct tcp_conn *c;
	int err;

	*p = (struct tp){ .h = h, .rport = rport };
	c = stack_connect(h->s, &h->addr, 0, &h->peer, rport, NULL, &err);
	TH_ASSERT(c != NULL);
	p->k = sock_new(h, c);
	stack_flush(h->s);
	p->lport = c->lport;
	o = th_next(h);
	TH_ASSERT(o->g.flags == TCPF_SYN);
	p->ack = o->g.seq + 1;
	p->tsecr = o->g.tsval;
	g = tp_syn(p, TCPF_SYN | TCPF_ACK, opt);
	th_input(h, &g, NULL, 0);
	p->seq++;
	p->opt = opt;
	if (opt & TO_WS)
		p->wnd = 512;
	o = th_next(h);
	TH_ASSERT(o->g.flags == TCPF_ACK);
	TH_ASSERT(c->state == TCP_ST_ESTABLISHED);
	TH_ASSERT(p->k->events & TCP_UP_CONNECTED);
	TH_ASSERT(th_none(h));
	th_forget(h);
}

uint32_t tp_drain(struct tp *p)
{
	uint32_t got = 0;

	while (!th_none(p->h)) {
		struct th_seg *o = th_next(p->h);

		if (o->g.opt & TO_TS)
			p->tsecr = o->g.tsval;
		if (o->g.seq == p->ack) {
			got += o->g.len;
			p->ack += o->g.len + ((o->g.flags & TCPF_FIN) != 0);
		}
	}
	th_forget(p->h);
	return got;
}
