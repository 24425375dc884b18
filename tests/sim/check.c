/* SPDX-License-Identifier: GPL-2.0-or-later
 * check.c - what must hold of a stack after each round, now and then, and at the end
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define ALL_EVERY 32	/* rounds between two looks at everything */

#define MUST(p, x) \
	do { \
		if (!(x)) \
			sim_fail((p)->npp->w, #x, "check.c:%d npp %u iop %u", __LINE__, (p)->npp->nr, (p)->nr); \
	} while (0)
/* The same of connection T. */
#define MUST_T(p, t, x) \
	do { \
		if (!(x)) \
			conn_fail(p, t, #x, __LINE__); \
	} while (0)

static _Noreturn void conn_fail(struct iop *p, const struct tcb *t, const char *what, int line)
{
	sim_fail(p->npp->w, what,
		 "check.c:%d npp %u iop %u conn %u program %d state %u flags %#x una +%u nxt +%u wnd %u cwnd %u head %u rcv +%u adv +%u rx %u/%u/%u due %lld %lld mode %u",
		 line, p->npp->nr, p->nr, t->c.index, t->c.user_sock ? (int)(t->c.user_sock - 1) / 2 : -1, t->c.state, t->flags,
		 t->snd_una - t->iss, t->snd_nxt - t->iss, t->snd_wnd, t->cwnd, t->c.tx_head, t->rcv_nxt - tcp_irs(t),
		 t->rcv_adv - tcp_irs(t), t->c.rx_tail, t->c.rx_head, t->c.rx.size,
		 (long long)t->due[DUE_TX], (long long)t->due[DUE_DELACK], t->tx_mode);
}

/* Due time K of T in microseconds; 0: off. */
static uint64_t due_us(const struct iop *p, const struct tcb *t, int k)
{
	uint64_t tick = p->npp->w->now_us / WHEEL_TICK_US;

	return t->due[k] ? (tick + (uint64_t)(int64_t)(int32_t)(t->due[k] - (uint32_t)tick)) * WHEEL_TICK_US : 0;
}

/* ---- one connection ---------------------------------------------------------------------- */

static void check_ooo(struct iop *p, struct tcb *t)
{
	const struct tcp_block *b = tcp_block(p->s, t->ooo);

	if (!b)
		return;
	MUST_T(p, t, b->n >= 1 && b->n <= TCP_RANGES);
	for (uint32_t i = 0; i < b->n; i++) {
		MUST_T(p, t, seq_lt(b->r[i].start, b->r[i].end));
		MUST_T(p, t, seq_gt(b->r[i].start, i ? b->r[i - 1].end : t->rcv_nxt));
	}
	MUST_T(p, t, seq_leq(b->r[b->n - 1].end, t->rcv_adv));
}

static void check_sent(struct iop *p, struct tcb *t)
{
	const struct tcp_sent *r = tcp_sent(p->s, t);
	uint32_t at = t->snd_una, sacked = 0, lost = 0;

	for (unsigned i = 0; i < t->n_sent; i++) {
		MUST_T(p, t, seq_gt(r[i].end, at));
		sacked += r[i].flags & SENT_SACKED ? r[i].end - at : 0;
		lost += r[i].flags & SENT_LOST ? r[i].end - at : 0;
		MUST_T(p, t, (r[i].flags & (SENT_SACKED | SENT_LOST)) != (SENT_SACKED | SENT_LOST));
		at = r[i].end;
	}
	MUST_T(p, t, at == t->snd_nxt || t->c.state < TCP_ST_ESTABLISHED);
	MUST_T(p, t, sacked == t->sacked && lost == t->lost);
}

static bool can_send(const struct tcb *t)
{
	return t->c.state >= TCP_ST_ESTABLISHED && t->c.state != TCP_ST_FIN_WAIT_2 && t->c.state != TCP_ST_TIME_WAIT;
}

static void check_timers(struct iop *p, struct tcb *t)
{
	uint32_t said = t->c.tx_head;
	uint64_t late = p->timers_us - 3 * WHEEL_TICK_US;

	MUST_T(p, t, t->timer_due == (uint32_t)p->s->tcp->timers[t->c.index].due);
	for (int k = 0; k < DUE_COUNT; k++)
		if (t->due[k]) {
			MUST_T(p, t, t->timer_due && (int32_t)(t->timer_due - t->due[k]) <= 0);
			MUST_T(p, t, !p->timers_us || due_us(p, t, k) > late);
		}
	if (t->snd_una != t->snd_nxt)
		MUST_T(p, t, t->due[DUE_TX] != 0);
	/* Something to send, and nobody who would wake us. */
	if (can_send(t) && t->snd_una == t->snd_nxt && seq_gt(said, t->snd_nxt - t->iss - 1) && !(t->flags & TF_FIN_SENT))
		MUST_T(p, t, t->due[DUE_TX] || t->due[DUE_PACE]);
	if (can_send(t) && t->snd_una == t->snd_nxt && said == t->snd_nxt - t->iss - 1)
		MUST_T(p, t, t->due[DUE_TX] == 0);
	if ((t->flags & (TF_FIN | TF_FIN_SENT)) == TF_FIN && can_send(t))
		MUST_T(p, t, t->due[DUE_TX] || t->due[DUE_PACE]);
	MUST_T(p, t, !(t->flags & TF_ACK_NOW) || t->c.state < TCP_ST_ESTABLISHED);
	if (t->flags & TF_ACK_OWED)
		MUST_T(p, t, t->due[DUE_DELACK] != 0);
}

static void check_conn(struct iop *p, struct tcb *t)
{
	uint32_t fin_in = t->flags & TF_RCV_FIN && t->rcv_nxt == t->rcv_fin + 1;
	uint32_t fin_out = t->flags & TF_FIN_SENT && t->snd_una == t->snd_nxt;
	struct app *a = app_of(p->npp->w, &t->c);

	MUST_T(p, t, t->busy == 0);
	MUST_T(p, t, t->up == 0);
	MUST_T(p, t, seq_leq(t->snd_una, t->snd_nxt));
	MUST_T(p, t, t->cwnd >= (t->c.state >= TCP_ST_ESTABLISHED ? t->mss : 1u));
	if (t->c.state >= TCP_ST_ESTABLISHED) {
		MUST_T(p, t, t->mss >= 40 && t->mss <= t->peer_mss);
		MUST_T(p, t, t->rcv_nxt - tcp_irs(t) - 1 - fin_in == t->c.rx_head);
		MUST_T(p, t, t->snd_una - t->iss - 1 - fin_out == t->c.tx_tail);
		MUST_T(p, t, seq_geq(t->rcv_adv, t->rcv_nxt - fin_in));
		MUST_T(p, t, !(t->flags & TF_URG) || seq_geq(t->snd_up, t->snd_una));
		MUST_T(p, t, seq_leq(t->snd_nxt - t->iss - 1 - ((t->flags & TF_FIN_SENT) != 0), t->c.tx_head));
		MUST_T(p, t, t->c.rx_head - t->c.rx_tail <= t->c.rx.size);
		MUST_T(p, t, t->c.tx_head - t->c.tx_tail <= t->c.tx.size);
		check_ooo(p, t);
		check_sent(p, t);
	}
	check_timers(p, t);
	MUST_T(p, t, tcp_lookup(p->s, tcp_conn_hash(p->s, t), &t->c.laddr, t->c.lport, &t->c.raddr, t->c.rport) ==
		     TCP_REF(TCP_REF_CONN, t->c.index));
	if (!a)
		conn_fail(p, t, "a connection without a socket", __LINE__);
	MUST_T(p, t, a->c == &t->c && a->rx_head == t->c.rx_head && a->tx_tail == t->c.tx_tail);
	MUST_T(p, t, a->rx == t->c.rx.base && a->rx_size == t->c.rx.size);
}

/* ---- all of a stack -------------------------------------------------------------------------- */

static void check_conns(struct iop *p)
{
	struct tcp_state *tcp = p->s->tcp;
	uint32_t used = 0, blocks = 0, flights = 0;

	for (uint32_t i = 0; i < tcp->conn_pool.count && used < tcp->conn_pool.used; i++) {
		struct tcb *t = &tcp->conns[i];

		if (!t->in_use)
			continue;
		used++;
		blocks += t->ooo != TCP_NONE;
		flights += t->flight != TCP_NONE;
		MUST_T(p, t, !(t->flags & TF_DEAD));
		check_conn(p, t);
	}
	MUST(p, used == tcp->conn_pool.used);
	MUST(p, blocks == tcp->block_pool.used);
	MUST(p, flights == tcp->flight_pool.used);
}

static uint32_t list_length(const struct tcp_pool *pool, const void *recs, size_t each, size_t next_at)
{
	uint32_t n = 0;

	for (uint32_t i = pool->free; i != TCP_NONE && n <= pool->count; n++)
		i = *(const uint32_t *)(const void *)((const uint8_t *)recs + i * each + next_at);
	return n;
}

/* How many of them each prefix has, and each with each listener. */
static void check_syn_peers(struct iop *p)
{
	const struct tcp_state *tcp = p->s->tcp;
	uint32_t all = 0, of_listeners = 0, peers = 0;

	for (uint32_t i = 0; i < tcp->syn_pool.count; i++)
		MUST(p, !tcp->syns[i].in_use || tcp->syns[i].peer == tcp_syn_peer(p->s, &tcp->syns[i].raddr));
	for (uint32_t i = 0; i < TCP_SYN_PEERS; i++) {
		all += tcp->syn_peers[i];
		of_listeners += tcp->syn_lsn_peers[i];
		peers += tcp->syn_peers[i] != 0;
	}
	MUST(p, all == tcp->syn_pool.used && of_listeners == all && peers == tcp->n_syn_peers);
}

/* What is counted of half-open connections beside their number. */
static void check_half_open(struct iop *p)
{
	const struct tcp_state *tcp = p->s->tcp;
	uint32_t held = 0, bare = 0;

	for (uint32_t i = 0; i < tcp->syn_pool.count; i++) {
		held += tcp->syns[i].in_use && tcp->syns[i].held;
		bare += tcp->syns[i].in_use && tcp->syns[i].opts & TCP_SYN_BARE;
	}
	for (uint32_t i = 0; i < tcp->lsn_pool.count; i++)
		held -= tcp->lsns[i].in_use ? tcp->lsns[i].held : 0;
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		bare -= tcp->bare[h];
	MUST(p, held == 0 && bare == 0);
	check_syn_peers(p);
}

/* Free lists, chains, queue, counts. */
static void check_lists(struct iop *p)
{
	struct tcp_state *tcp = p->s->tcp;
	uint32_t n = 0, half = 0, armed = 0, ref;

	MUST(p, list_length(&tcp->conn_pool, tcp->conns, sizeof *tcp->conns, offsetof(struct tcb, hnext)) +
		tcp->conn_pool.used == tcp->conn_pool.count);
	MUST(p, list_length(&tcp->syn_pool, tcp->syns, sizeof *tcp->syns, offsetof(struct tcp_syn, hnext)) +
		tcp->syn_pool.used == tcp->syn_pool.count);
	MUST(p, list_length(&tcp->tw_pool, tcp->tws, sizeof *tcp->tws, offsetof(struct tcp_tw, hnext)) +
		tcp->tw_pool.used == tcp->tw_pool.count);
	MUST(p, list_length(&tcp->block_pool, tcp->blocks, sizeof *tcp->blocks, offsetof(struct tcp_block, next_free)) +
		tcp->block_pool.used == tcp->block_pool.count);
	MUST(p, list_length(&tcp->flight_pool, tcp->flights, sizeof *tcp->flights,
			    offsetof(struct tcp_flight, next_free)) + tcp->flight_pool.used == tcp->flight_pool.count);
	for (uint32_t b = 0; b <= tcp->bucket_mask; b++)
		for (ref = tcp->bucket[b]; ref != TCP_NONE && n < 1000000; n++) {
			uint32_t i = TCP_REF_IDX(ref), hash;
			bool used;

			switch (TCP_REF_KIND(ref)) {
			case TCP_REF_CONN:
				hash = tcp_conn_hash(p->s, &tcp->conns[i]), used = tcp->conns[i].in_use, ref = tcp->conns[i].hnext;
				armed += wheel_armed(&tcp->timers[i]);
				break;
			case TCP_REF_SYN:
				hash = tcp->syns[i].hash, used = tcp->syns[i].in_use, ref = tcp->syns[i].hnext;
				MUST(p, wheel_armed(&tcp->syns[i].timer));
				armed++;
				half++;
				break;
			default:
				hash = tcp->tws[i].hash, used = tcp->tws[i].in_use, ref = tcp->tws[i].hnext;
				break;
			}
			MUST(p, used && (hash & tcp->bucket_mask) == b);
		}
	/* A connection that is to be buried at the next flush has left its chain. */
	for (uint32_t i = 0; i < tcp->conn_pool.count; i++)
		n += tcp->conns[i].in_use && tcp->conns[i].flags & TF_DEAD;
	MUST(p, n == tcp->conn_pool.used + tcp->syn_pool.used + tcp->tw_pool.used);
	MUST(p, half == tcp->syn_pool.used);
	check_half_open(p);
	half = 0;
	for (uint32_t i = 0; i < tcp->lsn_pool.count; i++) {
		half += tcp->lsns[i].in_use ? tcp->lsns[i].half_open : 0;
		MUST(p, !tcp->lsns[i].in_use ||
			tcp->lsns[i].half_open <= u32_max(tcp->lsns[i].l.backlog, 16));
	}
	MUST(p, half == tcp->syn_pool.used);
	n = 0;
	for (uint32_t i = tcp->tw_head; i != TCP_NONE && n <= tcp->tw_pool.count; i = tcp->tws[i].next, n++)
		MUST(p, tcp->tws[i].in_use && (tcp->tws[i].next == TCP_NONE ||
					       (int32_t)(tcp->tws[tcp->tws[i].next].due_ms - tcp->tws[i].due_ms) >= 0));
	MUST(p, n == tcp->tw_pool.used);
	MUST(p, tcp->tw_head == TCP_NONE ||
		(wheel_armed(&tcp->tw_timer) &&
		 (int32_t)((uint32_t)(wheel_due_us(&tcp->tw_timer) / 1000) - tcp->tws[tcp->tw_head].due_ms) <= (int32_t)(WHEEL_TICK_US + 999) / 1000));
	armed += wheel_armed(&tcp->tw_timer);
	for (unsigned i = 0; i < IPT_COUNT; i++)
		armed += wheel_armed(&p->s->ip->timer[i]);
	MUST(p, armed == p->s->wheel.armed);
}

/* As tests/fuzz/fuzz_stack.c: what IP holds. */
static void check_ip(struct iop *p)
{
	const struct ip_state *ip = p->s->ip;
	uint32_t frames = ip->n_frames_free, chunks = ip->reass.n_chunks_free, ents = 0;

	for (unsigned i = 0; i < NEIGH_WAITS; i++)
		frames += ip->wait[i].used ? ip->wait[i].n : 0;
	MUST(p, frames == NEIGH_FRAMES);
	for (uint16_t i = ip->reass.oldest; i != REASS_NONE && ents <= ip->reass.n_ents; i = ip->reass.ent[i].newer) {
		chunks += ip->reass.ent[i].chunks;
		ents++;
		/* Who was dead when their time was over looks at the next tick. */
		MUST(p, p->npp->w->now_us - ip->reass.ent[i].born_us <= REASS_TIMEOUT_US + 3 * WHEEL_TICK_US ||
			(p->attaches && wheel_due_us(&ip->timer[IPT_REASS]) <= p->npp->w->now_us + WHEEL_TICK_US));
	}
	MUST(p, chunks == ip->reass.n_chunks);
	for (uint16_t i = ip->reass.ent_free; i != REASS_NONE && ents <= ip->reass.n_ents; i = ip->reass.ent[i].hash_next)
		ents++;
	MUST(p, ents == ip->reass.n_ents);
	MUST(p, ip->reass.oldest == REASS_NONE || wheel_armed(&ip->timer[IPT_REASS]));
	MUST(p, !neigh_busy(ip) || wheel_armed(&ip->timer[IPT_NEIGH]));
}

void check_round(struct iop *p)
{
	MUST(p, p->s->tcp->todo_head == TCP_NONE || stack_next_timer(p->s) <= p->npp->w->now_us);
	if (tcp_pending(p->s))
		return; /* it asks for another round at once */
	check_conns(p);
	if (++p->checked >= ALL_EVERY) {
		p->checked = 0;
		check_lists(p);
		check_ip(p);
	}
}

/* ---- derived indexes against their rebuild ------------------------------------------------------ */

/* Of everything that stack_attach() makes anew, whatever order it stands in. */
static uint64_t derived(const struct stack *s)
{
	const struct tcp_state *tcp = s->tcp;
	uint64_t h = 0;

	for (uint32_t i = 0; i < tcp->conn_pool.count; i++)
		if (tcp->conns[i].in_use)
			h += rng_mix(0x100000000ull + i) * (1 + tcp_lookup(s, tcp_conn_hash(s, &tcp->conns[i]), &tcp->conns[i].c.laddr,
				     tcp->conns[i].c.lport, &tcp->conns[i].c.raddr, tcp->conns[i].c.rport));
	h += rng_mix(tcp->conn_pool.used) + 3 * rng_mix(tcp->syn_pool.used) + 5 * rng_mix(tcp->tw_pool.used) +
	     7 * rng_mix(tcp->lsn_pool.used) + 11 * rng_mix(tcp->block_pool.used) + 13 * rng_mix(tcp->flight_pool.used);
	for (uint32_t i = 0; i < tcp->lsn_pool.count; i++)
		h += rng_mix(0x200000000ull + i) * (tcp->lsns[i].half_open + 1000ull * tcp->lsns[i].tfo_open + 1000000ull * tcp->lsns[i].held);
	for (uint32_t i = 0; i < tcp->conn_pool.count; i++)
		if (tcp->conns[i].in_use)
			h += rng_mix(0x300000000ull + i) * (1ull + tcp->conns[i].sacked + 3ull * tcp->conns[i].lost);
	h += rng_mix(0x400000000ull + s->udp->used) + rng_mix(0x500000000ull + s->ip->n_frames_free);
	h += rng_mix(0x600000000ull + s->ip->reass.n_chunks_free);
	return h;
}

/* Copies between the arena of P and COPY all but the bytes of frames and fragments, which nobody
 * derives anything from: two thirds of it. */
static void arena_copy(struct iop *p, uint8_t *copy, bool back)
{
	const struct ip_state *ip = p->s->ip;
	uint8_t *arena = p->arena;
	size_t skip[2][2] = { { (size_t)((uint8_t *)ip->frame - arena), (size_t)(ip->out_buf - arena) },
			      { (size_t)(ip->reass.chunk_mem - arena),
				(size_t)(ip->reass.chunk_mem - arena) + (size_t)ip->reass.n_chunks * REASS_CHUNK } };
	size_t at = 0;

	for (unsigned i = 0; i < 3; i++) {
		size_t end = i < 2 ? skip[i][0] : p->arena_size;

		memcpy(back ? arena + at : copy + at, back ? copy + at : arena + at, end - at);
		at = i < 2 ? skip[i][1] : end;
	}
}

void check_derived(struct iop *p)
{
	struct stack_env *env = p->env;
	struct rng rng = p->rng;
	void *before = malloc(p->arena_size);
	uint64_t a = derived(p->s), b;

	if (!before)
		abort();
	arena_copy(p, before, false);
	if (stack_attach(p->s, env, p->npp->w->now_us) != 0)
		sim_fail(p->npp->w, "rebuild", "npp %u iop %u: refused", p->npp->nr, p->nr);
	b = derived(p->s);
	check_lists(p);
	arena_copy(p, before, true);
	p->rng = rng;
	free(before);
	if (a != b)
		sim_fail(p->npp->w, "derived", "npp %u iop %u: the rebuild differs", p->npp->nr, p->nr);
	check_lists(p);
}

void check_gone(struct iop *p)
{
	const struct tcp_state *tcp = p->s->tcp;

	check_lists(p);
	check_ip(p);
	MUST(p, tcp->conn_pool.used == 0);
	MUST(p, tcp->syn_pool.used == 0);
	MUST(p, tcp->tw_pool.used == 0);
	MUST(p, tcp->block_pool.used == 0);
	MUST(p, tcp->flight_pool.used == 0);
	MUST(p, p->s->ip->reass.oldest == REASS_NONE);
	MUST(p, p->s->ip->n_frames_free == NEIGH_FRAMES);
	MUST(p, p->s->ip->local_head == p->s->ip->local_tail);
	for (unsigned i = 0; i < NEIGH_WORKS; i++)
		MUST(p, !p->s->ip->work[i].used);
	MUST(p, p->rx.n == 0 && p->ipc.n == 0);
}
