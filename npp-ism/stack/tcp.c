/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp.c - TCP's records: where they stand, how they are made, changed and given up
 *
 * A connection's last moments. Whoever ends a connection calls tcp_kill() (tcp_reset()
 * with a RST, tcp_tw_enter() if a small record goes on for it): the TCB leaves the hash
 * table at once, so that its addresses are free, but stays until the next tcp_flush(),
 * which tells the user (TCP_UP_FREED, always the last event) and frees it. So no caller
 * of input or timer code loses the TCB under its hands, and the user is never called
 * from the middle of a segment, except to accept a connection or grow a ring.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "npp-ism/stack/tcp.h"

/* ---- layout -------------------------------------------------------------------------- */

#define TW_MIN 1024u

struct tcp_layout {
	uint32_t n_conns, n_syns, n_tws, n_lsns, n_blocks, n_flights, n_buckets, soon_each;
	uint64_t conns, timers, soon, syns, tws, lsns, blocks, flights, buckets, size;
};

static uint64_t round64(uint64_t n)
{
	return (n + 63) & ~63ull;
}

/* Records that only connections at work need, or those that have ended: one for each FEW connections, and
 * where there are more than MANY_CONNS, one for each further MANY. How many are needed at a time is for
 * the rate of the ports to say, not for the number of connections that are open. */
#define MANY_CONNS 32768u
static uint32_t share(uint32_t conns, uint32_t few, uint32_t many)
{
	uint32_t first = u32_min(conns, MANY_CONNS);

	return first / few + (conns - first) / many;
}

static void tcp_lay_out(const struct stack_cfg *cfg, struct tcp_layout *l)
{
	uint64_t off = round64(sizeof(struct tcp_state));

	l->n_conns = cfg->max_conns;
	l->n_syns = u32_max(u32_min(cfg->max_conns, TCP_SYN_MAX), 1);
	l->n_tws = u32_max(share(cfg->max_conns, 2, 8), TW_MIN);
	l->n_lsns = u32_min(cfg->max_listeners, STACK_NO_LISTENER);
	l->n_blocks = share(cfg->max_conns, 16, 128) + 64;
	l->n_flights = share(cfg->max_conns, 24, 192) + 64;
	l->n_buckets = 1024;
	while (l->n_buckets < l->n_conns + l->n_tws && l->n_buckets < 1u << 24)
		l->n_buckets *= 2;
	l->conns = off;
	off += round64((uint64_t)l->n_conns * sizeof(struct tcb));
	l->timers = off;
	off += round64((uint64_t)l->n_conns * sizeof(struct wheel_timer));
	l->soon_each = 4;
	while ((uint64_t)l->soon_each * TCP_SOON_SLOTS * 8 <= l->n_conns) /* that may be any number: see stack_attach() */
		l->soon_each *= 2;
	l->soon = off;
	off += round64((uint64_t)l->soon_each * TCP_SOON_SLOTS * sizeof(uint32_t));
	l->syns = off;
	off += round64((uint64_t)l->n_syns * sizeof(struct tcp_syn));
	l->tws = off;
	off += round64((uint64_t)l->n_tws * sizeof(struct tcp_tw));
	l->lsns = off;
	off += round64((uint64_t)l->n_lsns * sizeof(struct tcp_lsn));
	l->blocks = off;
	off += round64((uint64_t)l->n_blocks * sizeof(struct tcp_block));
	l->flights = off;
	off += round64((uint64_t)l->n_flights * sizeof(struct tcp_flight));
	l->buckets = off;
	off += round64((uint64_t)l->n_buckets * sizeof(uint32_t));
	l->size = off;
}

size_t tcp_size(const struct stack_cfg *cfg)
{
	struct tcp_layout l;

	tcp_lay_out(cfg, &l);
	return l.size;
}

uint64_t tcp_layout_hash(void)
{
	uint64_t h = 5; /* another one when a field changes its place or meaning and no size does */

	h = NPP_ABI_MIX(h, sizeof(struct tcp_state));
	h = NPP_ABI_MIX(h, sizeof(struct tcb));
	h = NPP_ABI_MIX(h, offsetof(struct tcb, iss));
	h = NPP_ABI_MIX(h, offsetof(struct tcb, rcv_nxt));
	h = NPP_ABI_MIX(h, offsetof(struct tcb, due));
	h = NPP_ABI_MIX(h, offsetof(struct tcb, pace_us));
	h = NPP_ABI_MIX(h, sizeof(struct wheel_timer));
	h = NPP_ABI_MIX(h, sizeof(struct tcp_syn));
	h = NPP_ABI_MIX(h, sizeof(struct tcp_tw));
	h = NPP_ABI_MIX(h, sizeof(struct tcp_lsn));
	h = NPP_ABI_MIX(h, sizeof(struct tcp_block));
	h = NPP_ABI_MIX(h, sizeof(struct tcp_flight));
	return h;
}

static void tcp_place(struct stack *s, struct tcp_state *tcp)
{
	struct tcp_layout l;
	char *base = (char *)tcp;

	tcp_lay_out(&s->cfg, &l);
	tcp->conns_off = l.conns;
	tcp->syns_off = l.syns;
	tcp->tws_off = l.tws;
	tcp->lsns_off = l.lsns;
	tcp->blocks_off = l.blocks;
	tcp->flights_off = l.flights;
	tcp->buckets_off = l.buckets;
	tcp->conns = (struct tcb *)(base + l.conns);
	tcp->timers = (struct wheel_timer *)(base + l.timers);
	tcp->soon = (uint32_t *)(base + l.soon);
	tcp->soon_each = l.soon_each;
	memset(tcp->soon_slot, 0, sizeof tcp->soon_slot);
	tcp->syns = (struct tcp_syn *)(base + l.syns);
	tcp->tws = (struct tcp_tw *)(base + l.tws);
	tcp->lsns = (struct tcp_lsn *)(base + l.lsns);
	tcp->blocks = (struct tcp_block *)(base + l.blocks);
	tcp->flights = (struct tcp_flight *)(base + l.flights);
	tcp->bucket = (uint32_t *)(base + l.buckets);
	tcp->bucket_mask = l.n_buckets - 1;
	memset(tcp->bucket, 0xff, l.n_buckets * sizeof(uint32_t));
	memset(tcp->lbucket, 0xff, sizeof tcp->lbucket);
	tcp->conn_pool = (struct tcp_pool){ l.n_conns, 0, TCP_NONE };
	tcp->syn_pool = (struct tcp_pool){ l.n_syns, 0, TCP_NONE };
	tcp->tw_pool = (struct tcp_pool){ l.n_tws, 0, TCP_NONE };
	tcp->lsn_pool = (struct tcp_pool){ l.n_lsns, 0, TCP_NONE };
	tcp->block_pool = (struct tcp_pool){ l.n_blocks, 0, TCP_NONE };
	tcp->flight_pool = (struct tcp_pool){ l.n_flights, 0, TCP_NONE };
	tcp->orphans = 0;
	memset(tcp->bare, 0, sizeof tcp->bare);
	tcp->n_syn_peers = 0;
	memset(tcp->syn_peers, 0, sizeof tcp->syn_peers);
	memset(tcp->syn_lsn_peers, 0, sizeof tcp->syn_lsn_peers);
	tcp->todo_head = tcp->todo_tail = TCP_NONE;
	tcp->tw_head = tcp->tw_tail = TCP_NONE;
	tcp->tw_timer = (struct wheel_timer){ .kind = TIMER_TCP, .arg = TCP_WHEEL_TW };
}

void tcp_init(struct stack *s, void *mem)
{
	struct tcp_state *tcp = mem;

	s->tcp = tcp;
	tcp_place(s, tcp);
	for (uint32_t i = 0; i < tcp->conn_pool.count; i++)
		tcp->conns[i].c.index = i;
	for (uint32_t i = 0; i < tcp->lsn_pool.count; i++)
		tcp->lsns[i].l.index = i;
	(void)tcp_attach(s); /* fresh records: makes the free lists */
}

/* ---- taking over ----------------------------------------------------------------------- */

/* A block of intervals that T says is its own. Kept if it makes sense and nobody else's
 * (a used one is its own next_free until the free list is made). */
static void attach_block(struct tcp_state *tcp, uint32_t *idx)
{
	struct tcp_block *b;

	if (*idx == TCP_NONE)
		return;
	if (*idx >= tcp->block_pool.count || tcp->blocks[*idx].next_free == *idx ||
	    tcp->blocks[*idx].n > TCP_RANGES) {
		*idx = TCP_NONE;
		return;
	}
	b = &tcp->blocks[*idx];
	b->next_free = *idx;
	for (uint32_t i = 0; i < b->n; i++)
		if (seq_geq(b->r[i].start, b->r[i].end) || (i && seq_geq(b->r[i - 1].end, b->r[i].start)))
			b->n = i;
}

/* The same for a flight record; then the ranges, wherever they stand. */
static void attach_flight(struct stack *s, struct tcb *t)
{
	struct tcp_state *tcp = s->tcp;

	if (t->flight != TCP_NONE &&
	    (t->flight >= tcp->flight_pool.count || tcp->flights[t->flight].next_free == t->flight)) {
		t->flight = TCP_NONE;
		t->n_sent = UINT8_MAX; /* makes no sense */
	}
	if (t->flight != TCP_NONE)
		tcp->flights[t->flight].next_free = t->flight;
	tcp_sent_attach(s, t);
}

/* All that T's user may have been told in vain, for the predecessor may have died while it told
 * him; to be told twice must do no harm. */
static uint32_t attach_events(const struct tcb *t)
{
	bool fin = t->flags & TF_RCV_FIN && t->rcv_nxt == t->rcv_fin + 1;

	return TCP_UP_RX | TCP_UP_TX | (t->c.passive ? 0 : TCP_UP_CONNECTED) | (fin ? TCP_UP_FIN : 0) |
	       (t->flags & TF_TX_DONE ? TCP_UP_TX_DONE : 0) | (t->c.error ? TCP_UP_ERROR : 0);
}

static void attach_conn(struct stack *s, uint32_t i)
{
	struct tcp_state *tcp = s->tcp;
	struct tcb *t = &tcp->conns[i];

	t->c.index = i;
	t->flags &= ~TF_TODO;
	t->timer_due = 0;
	tcp->timers[i] = (struct wheel_timer){ .kind = TIMER_TCP, .arg = TCP_WHEEL_CONN };
	/* One that was being made: what asked for it comes again. */
	if (t->in_use && t->c.state == TCP_ST_CLOSED && !t->busy && !(t->flags & TF_DEAD)) {
		t->in_use = 0;
		t->c.gen = (t->c.gen + 1) & 0xfff;
	}
	if (!t->in_use) {
		t->busy = 0;
		t->hnext = tcp->conn_pool.free;
		tcp->conn_pool.free = i;
		return;
	}
	tcp->conn_pool.used++;
	tcp->orphans += t->flags & TF_ORPHAN ? 1 : 0;
	attach_block(tcp, &t->ooo);
	attach_flight(s, t);
	t->hnext = TCP_NONE;
	if (t->busy || t->flags & TF_DEAD || t->c.state >= TCP_ST_COUNT || t->cc >= NPP_CC_COUNT) {
		if (!(t->flags & TF_DEAD)) {
			t->c.error = ECONNABORTED;
			t->up = TCP_UP_ERROR; /* no end of file that may stand before missing bytes */
			if (t->c.user_flags || t->flags & TF_ORPHAN)
				STAT_INC(s, IS_LOST);
		} else {
			t->up |= attach_events(t) & ~TCP_UP_CONNECTED;
		}
		t->busy = 0;
		t->c.state = TCP_ST_CLOSED;
		t->flags |= TF_DEAD;
		t->n_sent = 0;
		t->sacked = t->lost = 0;
		tcp_todo(s, t);
		return;
	}
	tcp_hash_insert(s, TCP_REF(TCP_REF_CONN, i));
	if (t->c.state == TCP_ST_SYN_RECEIVED && t->flags & TF_FASTOPEN && t->c.passive && t->c.listener < tcp->lsn_pool.count)
		tcp->lsns[t->c.listener].tfo_open++;
	for (unsigned k = 0; k < DUE_COUNT; k++)
		tcp_due_again(s, t, (enum tcp_due)k);
	/* What the predecessor last sent may not have left. */
	if (t->c.state >= TCP_ST_ESTABLISHED)
		t->flags |= TF_ACK_NOW;
	/* Fast Open speaks to its user before the handshake. */
	if (t->c.state >= TCP_ST_ESTABLISHED || t->flags & TF_FASTOPEN || tcp_tfo_waits(t))
		t->up |= attach_events(t);
	tcp_todo(s, t);
}

static void attach_syn(struct stack *s, uint32_t i)
{
	struct tcp_state *tcp = s->tcp;
	struct tcp_syn *e = &tcp->syns[i];
	uint64_t due = wheel_due_us(&e->timer);

	e->timer = (struct wheel_timer){ .kind = TIMER_TCP, .arg = TCP_WHEEL_SYN };
	if (!e->in_use || e->busy || e->listener >= tcp->lsn_pool.count || !tcp->lsns[e->listener].in_use ||
	    tcp->lsns[e->listener].l.gen != e->listener_gen) {
		e->in_use = e->busy = 0;
		e->hnext = tcp->syn_pool.free;
		tcp->syn_pool.free = i;
		return;
	}
	tcp->syn_pool.used++;
	tcp->lsns[e->listener].half_open++;
	tcp->lsns[e->listener].held += e->held != 0;
	*tcp_bare_of(s, e) += e->opts & TCP_SYN_BARE ? 1 : 0;
	tcp_syn_charge(s, e);
	tcp_hash_insert(s, TCP_REF(TCP_REF_SYN, i));
	wheel_arm(&s->wheel, &e->timer, due ? due : s->now_us);
}

static void attach_tw(struct stack *s, uint32_t i)
{
	struct tcp_state *tcp = s->tcp;
	struct tcp_tw *w = &tcp->tws[i];

	if (!w->in_use || w->busy) {
		w->in_use = w->busy = 0;
		w->hnext = tcp->tw_pool.free;
		tcp->tw_pool.free = i;
		return;
	}
	tcp->tw_pool.used++;
	tcp_hash_insert(s, TCP_REF(TCP_REF_TW, i));
}

static void attach_lsn(struct stack *s, uint32_t i)
{
	struct tcp_state *tcp = s->tcp;
	struct tcp_lsn *l = &tcp->lsns[i];

	l->l.index = i;
	l->half_open = l->held = l->tfo_open = 0;
	if (!l->in_use || l->busy) {
		l->in_use = l->busy = 0;
		l->hnext = tcp->lsn_pool.free;
		tcp->lsn_pool.free = i;
		return;
	}
	tcp->lsn_pool.used++;
	tcp_listener_insert(s, l);
}

int tcp_attach(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;

	tcp_place(s, tcp);
	/* From the last to the first, so that the free lists begin with the first. */
	for (uint32_t i = tcp->block_pool.count; i-- > 0;)
		tcp->blocks[i].next_free = TCP_NONE;
	for (uint32_t i = tcp->flight_pool.count; i-- > 0;)
		tcp->flights[i].next_free = TCP_NONE;
	for (uint32_t i = tcp->lsn_pool.count; i-- > 0;)
		attach_lsn(s, i);
	for (uint32_t i = tcp->conn_pool.count; i-- > 0;)
		attach_conn(s, i);
	for (uint32_t i = tcp->syn_pool.count; i-- > 0;)
		attach_syn(s, i);
	for (uint32_t i = tcp->tw_pool.count; i-- > 0;)
		attach_tw(s, i);
	tcp_tw_attach(s);
	tcp_tfo_attach(s);
	for (uint32_t i = tcp->block_pool.count; i-- > 0;) {
		if (tcp->blocks[i].next_free == i) {
			tcp->block_pool.used++;
			continue;
		}
		tcp->blocks[i].next_free = tcp->block_pool.free;
		tcp->block_pool.free = i;
	}
	for (uint32_t i = tcp->flight_pool.count; i-- > 0;) {
		if (tcp->flights[i].next_free == i) {
			tcp->flight_pool.used++;
			continue;
		}
		tcp->flights[i].next_free = tcp->flight_pool.free;
		tcp->flight_pool.free = i;
	}
	tcp_gauges(s);
	return 0;
}

/* ---- interval blocks ----------------------------------------------------------------------- */

struct tcp_block *tcp_block(const struct stack *s, uint32_t idx)
{
	return idx == TCP_NONE ? NULL : &s->tcp->blocks[idx];
}

#define BLOCK_LOOKS 8u

/* All are taken, perhaps by peers that never send what is missing. One of them loses what stands beyond its gap, which
 * SACK allows (RFC 2018, 8). False: of the next few none has waited for long. */
static bool block_take_back(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;

	for (unsigned k = 0; k < BLOCK_LOOKS; k++) {
		uint32_t i = tcp->block_hand = (tcp->block_hand + 1) % tcp->block_pool.count;
		struct tcp_block *b = &tcp->blocks[i];
		struct tcb *t = b->owner < tcp->conn_pool.count ? &tcp->conns[b->owner] : NULL;

		if (b->next_free != i || !t || t->ooo != i || now_ms(s) - b->since_ms < TCP_GAP_MS)
			continue;
		STAT_INC(s, IS_DROP_TCP_RANGES);
		tcp_block_put(s, &t->ooo);
		return true;
	}
	return false;
}

uint32_t tcp_block_get(struct stack *s, struct tcb *t)
{
	struct tcp_pool *p = &s->tcp->block_pool;
	uint32_t i;

	if (p->free == TCP_NONE && !block_take_back(s))
		return TCP_NONE;
	i = p->free;
	p->free = s->tcp->blocks[i].next_free;
	p->used++;
	s->tcp->blocks[i].next_free = i;
	s->tcp->blocks[i].owner = t->c.index;
	s->tcp->blocks[i].since_ms = now_ms(s);
	s->tcp->blocks[i].n = 0;
	return i;
}

void tcp_block_put(struct stack *s, uint32_t *idx)
{
	struct tcp_pool *p = &s->tcp->block_pool;

	if (*idx == TCP_NONE)
		return;
	s->tcp->blocks[*idx].next_free = p->free;
	p->free = *idx;
	p->used--;
	*idx = TCP_NONE;
}

/* ---- connections ------------------------------------------------------------------------------- */

void tcp_gauges(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;

	STAT_SET(s, IS_CONNS, tcp->conn_pool.used + tcp->tw_pool.used);
	STAT_SET(s, IS_TIME_WAIT, tcp->tw_pool.used);
	STAT_SET(s, IS_HALF_OPEN, tcp->syn_pool.used);
	STAT_SET(s, IS_LISTENERS, tcp->lsn_pool.used);
}

struct tcb *tcb_alloc(struct stack *s, const struct ip_path *path, uint16_t lport, uint16_t rport)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t i = tcp->conn_pool.free, gen, todo_next, todo;
	struct tcb *t;

	if (i == TCP_NONE)
		return NULL;
	t = &tcp->conns[i];
	tcp->conn_pool.free = t->hnext;
	tcp->conn_pool.used++;
	/* It may still stand on the list of work from its former life. */
	gen = t->c.gen;
	todo_next = t->todo_next;
	todo = t->flags & TF_TODO;
	memset(t, 0, sizeof *t);
	tcp_enter(t);
	t->c.index = i;
	t->c.gen = gen;
	t->todo_next = todo_next;
	t->flags = todo;
	t->hnext = t->ooo = t->flight = TCP_NONE;
	t->c.listener = STACK_NO_LISTENER;
	t->c.path = *path;
	t->c.port = path->port;
	t->c.lport = lport;
	t->c.rport = rport;
	t->rto_us = TCP_RTO_INIT_US;
	t->reo_mult = 1;
	t->cc = tcp_cc_choose(s, NPP_CC_DEFAULT);
	t->peer_mss = tcp_default_mss(&path->dst);
	t->rcv_mss = TCP_MSS_DEFAULT;
	t->rcvbuf = tcp_rmem(s).dflt;
	t->quick = TCP_QUICK_ACKS;
	t->last_rx_ms = t->last_tx_ms = t->progress_ms = t->drs_ms = now_ms(s);
	t->challenge_us = t->oow_us = (uint32_t)s->now_us - TCP_CHALLENGE_US;
	t->in_use = 1;
	tcp_leave(t);
	tcp_gauges(s);
	return t;
}

void tcb_free(struct stack *s, struct tcb *t)
{
	struct tcp_state *tcp = s->tcp;

	tcp->orphans -= t->flags & TF_ORPHAN ? 1 : 0;
	t->in_use = 0;
	t->c.state = TCP_ST_CLOSED;
	t->c.gen = (t->c.gen + 1) & 0xfff;
	tcp_timer_off(s, t);
	tcp_block_put(s, &t->ooo);
	tcp_flight_put(s, t);
	t->hnext = tcp->conn_pool.free;
	tcp->conn_pool.free = t->c.index;
	tcp->conn_pool.used--;
	tcp_gauges(s);
}

void tcp_todo(struct stack *s, struct tcb *t)
{
	struct tcp_state *tcp = s->tcp;

	if (t->flags & TF_TODO)
		return;
	t->flags |= TF_TODO;
	t->todo_next = TCP_NONE;
	if (tcp->todo_tail == TCP_NONE)
		tcp->todo_head = t->c.index;
	else
		tcp->conns[tcp->todo_tail].todo_next = t->c.index;
	tcp->todo_tail = t->c.index;
}

/* Entry actions of the states. */
void tcp_change_state(struct stack *s, struct tcb *t, enum npp_tcp_state to)
{
	enum npp_tcp_state from = (enum npp_tcp_state)t->c.state;

	t->c.state = (uint8_t)to;
	if (from == TCP_ST_SYN_RECEIVED && t->flags & TF_FASTOPEN && t->c.passive)
		tcp_tfo_done(s, t, to == TCP_ST_CLOSED && t->c.error == ECONNRESET);
	switch (to) {
	case TCP_ST_ESTABLISHED:
		STAT_INC(s, IS_TCP_ACCEPTED + (t->c.passive ? 0 : 1));
		if (!t->c.passive)
			t->up |= TCP_UP_CONNECTED | TCP_UP_TX;
		t->progress_ms = now_ms(s);
		tcp_arm_keepalive(s, t);
		break;
	case TCP_ST_TIME_WAIT:
		tcp_tw_enter(s, t, TCP_ST_TIME_WAIT);
		break;
	case TCP_ST_CLOSED:
		if (t->flags & TF_DEAD)
			break;
		t->flags |= TF_DEAD;
		tcp_hash_remove(s, TCP_REF(TCP_REF_CONN, t->c.index));
		tcp_timer_off(s, t);
		memset(t->due, 0, sizeof t->due);
		if (from != TCP_ST_CLOSED && from != TCP_ST_SYN_SENT)
			STAT_INC(s, IS_TCP_CLOSED);
		break;
	default:
		break;
	}
	tcp_todo(s, t);
}
_Static_assert(NPP_IS_TCP_CONNECTED == NPP_IS_TCP_ACCEPTED + 1, "counted by the side that opened");

void tcp_kill(struct stack *s, struct tcb *t, int err)
{
	if (t->flags & TF_DEAD)
		return;
	if (err) {
		t->c.error = (uint16_t)err;
		t->up |= TCP_UP_ERROR;
	}
	tcp_change_state(s, t, TCP_ST_CLOSED);
}

void tcp_reset(struct stack *s, struct tcb *t, int err)
{
	if (t->flags & TF_DEAD)
		return;
	tcp_send_reset(s, t);
	tcp_kill(s, t, err);
}

/* T was being changed when our predecessor died. Its peer may be waiting and have nothing to send,
 * so that it would never learn. If snd_nxt is not what the peer expects, it asks (RFC 5961, 3.2), and
 * the answer, from no connection, ends it. Not if T was only being made from a half-open connection,
 * which is still there: the next ACK makes it again. */
static void tell_peer(struct stack *s, const struct tcb *t)
{
	struct ip_path path = { 0 };
	struct tcp_out o;

	if (tcp_lookup(s, tcp_conn_hash(s, t), &t->c.laddr, t->c.lport, &t->c.raddr, t->c.rport) != TCP_NONE ||
	    ip_path_init(s, &path, &t->c.laddr, &t->c.raddr) != 0)
		return;
	STAT_INC(s, IS_TCP_RST_OUT);
	tcp_out_begin(&o, t->c.lport, t->c.rport, t->snd_nxt, 0, TCPF_RST, 0);
	tcp_out_send(s, &path, 0, 0, &o);
}

void tcp_bury(struct stack *s, struct tcb *t)
{
	uint32_t up = t->up | TCP_UP_FREED;

	if (t->c.error == ECONNABORTED)
		tell_peer(s, t);

	t->up = 0;
	s->env->ops->event(s->env->arg, &t->c, up);
	tcb_free(s, t);
}

/* ---- the end of a batch ------------------------------------------------------------------------------ */

static void flush_acks(struct stack *s, struct tcb *t)
{
	if (t->flags & TF_ACK_OWED && t->rcv_nxt - t->rcv_acked >= 2u * t->rcv_mss)
		t->flags |= TF_ACK_NOW;
	if (t->flags & TF_ACK_NOW)
		tcp_send_ack(s, t);
	else if (t->flags & TF_ACK_OWED && !t->due[DUE_DELACK])
		tcp_due(s, t, DUE_DELACK, s->now_us + TCP_DELACK_US);
}

static void flush_conn(struct stack *s, struct tcb *t)
{
	if (!t->in_use)
		return;
	if (t->up && !(t->flags & TF_DEAD)) {
		uint32_t up = t->up, gen = t->c.gen;

		t->up = 0;
		s->env->ops->event(s->env->arg, &t->c, up);
		/* The user may have aborted it, or it may be another connection by now. */
		if (!t->in_use || t->c.gen != gen)
			return;
	}
	/* A closed connection waits for the peer's FIN as a small record. */
	if (t->flags & TF_ORPHAN && t->c.state == TCP_ST_FIN_WAIT_2 && !(t->flags & TF_DEAD)) {
		if (t->linger2 == NPP_LINGER2_NONE)
			tcp_reset(s, t, 0);
		else
			tcp_tw_enter(s, t, TCP_ST_FIN_WAIT_2);
	}
	if (t->flags & TF_DEAD) {
		tcp_bury(s, t);
		return;
	}
	tcp_enter(t);
	tcp_output(s, t);
	flush_acks(s, t);
	tcp_leave(t);
}

void tcp_flush(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t i = tcp->todo_head;

	tcp->todo_head = tcp->todo_tail = TCP_NONE;
	while (i != TCP_NONE) {
		struct tcb *t = &tcp->conns[i];

		i = t->todo_next;
		t->flags &= ~TF_TODO;
		flush_conn(s, t);
	}
}

bool tcp_pending(const struct stack *s)
{
	return s->tcp->todo_head != TCP_NONE;
}
