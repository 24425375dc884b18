/* SPDX-License-Identifier: GPL-2.0-or-later
 * conn.c - TCP sessions: accepted and opened, what moves between record and stack
 *
 * The stack tells of changes by event(), once per connection and batch, before it sends;
 * they are published into the socket record at once (ism_conn_settle), and what the
 * program has read meanwhile goes into the window of that very ACK. Our calls back into
 * the stack only note what is wanted, except for an abort.
 *
 * Ends of a session:
 *	TCB dies first	the record stays (unread data, SO_ERROR) until CLOSE
 *	CLOSE first	rx ring goes at once; the tx ring and the record when everything and
 *			the FIN are acknowledged (UP_TX_DONE) or the TCB is freed
 */
#include "config.h"

#include <errno.h>

#include "npp-ism/socket/ism.h"

#define TCP_MAXSEG_LEAST 88u	/* as on Linux */
#define BRIEF_US 10000	/* the TCP brief of a record is at most that old while data moves */

struct tcp_conn *ism_conn_of(struct ism *I, const struct ism_sess *s)
{
	struct tcp_conn *c = s->tcb == ISM_NONE ? NULL : stack_conn(I->stack, s->tcb);

	return c && c->gen == s->tcb_gen ? c : NULL;
}

static void bind_tcb(struct ism *I, struct ism_sess *s, struct tcp_conn *c)
{
	s->tcb = c->index;
	s->tcb_gen = c->gen;
	c->user_host = s->host;
	c->user_sock = s->sock;
	c->user_flags = ism_sess_index(I, s) + 1;
	s->peer = ism_peer_of(I, &c->raddr);
}

static void unbind_tcb(struct ism_sess *s, struct tcp_conn *c)
{
	s->tcb = ISM_NONE;
	c->user_sock = 0;
	c->user_flags = ISM_NONE; /* not 0: that is one that nobody was given yet */
	c->rx = c->tx = (struct stack_ring){ NULL, 0 };
}

struct ism_sess *ism_sess_of_conn(struct ism *I, const struct tcp_conn *c)
{
	struct ism_sess *s;

	if (c->user_flags == 0 || c->user_flags > I->r->lay.n_sess)
		return NULL;
	s = &I->sess[c->user_flags - 1];
	return s->kind == ISM_STREAM && s->tcb == c->index && s->tcb_gen == c->gen ? s : NULL;
}

/* The session ends: rings, record, row. The TCB, if it lives on, is nobody's. */
static void finish(struct ism *I, struct ism_sess *s)
{
	struct tcp_conn *c = ism_conn_of(I, s);

	ism_ring_drop_rx(I, s, c);
	ism_ring_drop_tx(I, s, c);
	if (c)
		unbind_tcb(s, c);
	ism_record_free(I, s);
}

void ism_conn_owe(struct ism *I, struct ism_sess *s, uint32_t up)
{
	s->up |= up;
	if (s->flags & SESS_DIRTY)
		return;
	s->flags |= SESS_DIRTY;
	s->dirty_next = I->r->dirty_head;
	I->r->dirty_head = ism_sess_index(I, s);
}

/* ---- what the program moved ------------------------------------------------------------- */

/* Takes HEAD over from the program; false: it lies. */
static bool take_tx(struct ism *I, struct ism_sess *s, struct tcp_conn *c, uint32_t head)
{
	uint32_t used = head - c->tx_tail, known = c->tx_head - c->tx_tail;

	if (used > ism_tx_size(s) || used < known)
		return false;
	if (used != known && !(s->flags & SESS_SHUT)) {
		if (!known)
			ism_hold_begin(I, s, c);
		s->active_us = I->now_us;
		stack_tcp_sent(I->stack, c, head);
	}
	return true;
}

bool ism_conn_take_rx(struct ism *I, struct ism_sess *s, struct tcp_conn *c, const struct npp_sock *rec)
{
	/* acquire: pairs with the program's release after its copy; the bytes are free */
	uint32_t tail = atomic_load_explicit(&rec->rx_tail, memory_order_acquire);

	if (tail - c->rx_tail > c->rx_head - c->rx_tail)
		return false;
	if (tail != c->rx_tail) {
		s->active_us = I->now_us;
		stack_tcp_read(I->stack, c, tail);
	}
	return true;
}

/* Publishes when a window update would be worth a message; false: the record lies. */
static bool publish_wake(struct ism *I, struct ism_sess *s, struct tcp_conn *c, struct npp_sock *rec)
{
	for (int i = 0; i < 2; i++) {
		bool want = false;
		uint32_t wake = stack_tcp_rx_wake(I->stack, c, &want), tail;

		if (!want) {
			if (s->flags & SESS_WANT)
				atomic_store_explicit(&rec->rx_want, 0, memory_order_relaxed);
			s->flags &= ~SESS_WANT;
			return true;
		}
		if ((s->flags & SESS_WANT) && s->rx_wake == wake)
			return true;
		s->rx_wake = wake;
		s->flags |= SESS_WANT;
		atomic_store_explicit(&rec->rx_wake, wake, memory_order_relaxed);
		atomic_store_explicit(&rec->rx_want, 1, memory_order_relaxed);
		/* pairs with the program's fence between its store of rx_tail and its look at
		 * rx_want: one of the two sees the other */
		atomic_thread_fence(memory_order_seq_cst);
		tail = atomic_load_explicit(&rec->rx_tail, memory_order_acquire);
		if ((int32_t)(tail - wake) < 0)
			return true;
		if (!ism_conn_take_rx(I, s, c, rec))
			return false;
	}
	return true;
}

/* Does the program wait for room to write, and is there some? Grows a ring that it fills, if
 * the peer and the network take what it holds: for a slow one a small ring is enough. A size that
 * the program has asked for it gets: it may count on so much being taken of it. */
static uint32_t room_bits(struct ism *I, struct ism_sess *s, struct tcp_conn *c, struct npp_sock *rec, uint32_t lowat)
{
	uint32_t size = ism_tx_size(s), used;

	/* pairs with the program's seq_cst store of tx_want before it looks at tx_tail again */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&rec->tx_want, memory_order_relaxed) == 0)
		return 0;
	used = atomic_load_explicit(&rec->tx_head, memory_order_acquire) - c->tx_tail;
	if (lowat && 2ull * (c->tx_head - stack_tcp_tx_sent(I->stack, c)) >= lowat)
		return 0;
	if (size && !(s->flags & SESS_SHUT) && (!lowat || used > size || size - used < size / 3) &&
	    (size < stack_tcp_tx_useful(I->stack, c) || atomic_load_explicit(&rec->sndbuf, memory_order_relaxed)) &&
	    ism_ring_grow_tx(I, s, c, 0))
		size = ism_tx_size(s);
	if (size == 0 || used > size || size - used < size / 3)
		return 0;
	atomic_store_explicit(&rec->tx_want, 0, memory_order_relaxed);
	return NPP_OUT_TX;
}

struct tcp_options ism_options_of(const struct npp_sock *rec)
{
	struct tcp_options o;
	uint32_t max_seg = atomic_load_explicit(&rec->max_seg, memory_order_relaxed);
	uint32_t manner = atomic_load_explicit(&rec->manner, memory_order_relaxed);
	uint32_t tries = atomic_load_explicit(&rec->tries, memory_order_relaxed);
	uint32_t keep = atomic_load_explicit(&rec->keep, memory_order_relaxed);
	uint32_t clamp = atomic_load_explicit(&rec->win_clamp, memory_order_relaxed);
	uint32_t lowat = atomic_load_explicit(&rec->rcvlowat, memory_order_relaxed);

	o.opt_flags = atomic_load_explicit(&rec->opt_flags, memory_order_relaxed);
	/* As on Linux the program asks for half of what stands there, and that is what the peer may send. */
	o.rcvbuf = (atomic_load_explicit(&rec->rcvbuf, memory_order_relaxed) + 1) / 2;
	if (clamp && (!o.rcvbuf || clamp < o.rcvbuf))
		o.rcvbuf = clamp;
	/* Who waits for so many shall get them: with SO_RCVLOWAT Linux makes the buffer twice as large as that. */
	o.rcv_least = lowat > 1 ? (lowat < NPP_TCP_MEM_MAX ? 2 * lowat : NPP_TCP_MEM_MAX) : 0;
	o.sndbuf = atomic_load_explicit(&rec->sndbuf, memory_order_relaxed);
	o.keep_idle_s = NPP_KEEP_IDLE(keep);
	o.keep_intvl_s = NPP_KEEP_INTVL(keep);
	o.keep_cnt = NPP_TRIES_KEEP(tries);
	o.syn_cnt = NPP_TRIES_SYN(tries);
	o.defer = NPP_TRIES_DEFER(tries);
	o.tell_sent = atomic_load_explicit(&rec->notsent_lowat, memory_order_relaxed) != 0;
	o.user_timeout_ms = atomic_load_explicit(&rec->user_timeout_ms, memory_order_relaxed);
	o.tos = NPP_MANNER_TOS(manner);
	o.ttl = NPP_MANNER_TTL(manner);
	o.cc = NPP_MANNER_CC(manner);
	o.max_pace = atomic_load_explicit(&rec->max_pace, memory_order_relaxed);
	o.by_port = 0;
	o.max_seg = max_seg && max_seg < TCP_MAXSEG_LEAST ? TCP_MAXSEG_LEAST : max_seg > UINT16_MAX ? UINT16_MAX : (uint16_t)max_seg;
	return o;
}

static void take_options(struct ism *I, struct tcp_conn *c, const struct npp_sock *rec)
{
	struct tcp_options o = ism_options_of(rec);

	stack_tcp_options(I->stack, c, &o);
}

/* A connection by Fast Open is one for its program before the handshake is complete. */
static uint32_t shown_state(const struct ism_sess *s, const struct tcp_conn *c)
{
	bool early = c->state == TCP_ST_SYN_RECEIVED ? c->passive : c->state == TCP_ST_SYN_SENT && (s->flags & SESS_EARLY);

	return early ? TCP_ST_ESTABLISHED : c->state;
}

/* ---- what the stack told ---------------------------------------------------------------- */

/* The peer of C has shown that it is where it says. */
static void note_regular(struct ism *I, const struct tcp_conn *c)
{
	if (I->regulars && c->state >= TCP_ST_ESTABLISHED)
		npp_regular_mark(I->regulars, &c->raddr, I->now_us);
}

static void publish_brief(struct ism *I, struct ism_sess *s, struct tcp_conn *c, struct npp_sock *rec)
{
	struct npp_tcp_brief b;

	if (I->now_us - s->brief_us < BRIEF_US)
		return;
	s->brief_us = I->now_us;
	note_regular(I, c);
	stack_tcp_brief(I->stack, c, &b);
	/* Whoever reads them later counts from his own time. */
	b.last_rx_ms = (uint32_t)(I->now_us / 1000) - b.last_rx_ms;
	b.last_tx_ms = (uint32_t)(I->now_us / 1000) - b.last_tx_ms;
	rec->brief = b;
}

/* Connection state and flags of the record; the bits that subscribers should hear. */
static uint32_t publish_state(struct ism_sess *s, struct tcp_conn *c, struct npp_sock *rec, uint32_t up)
{
	uint32_t flags = 0, bits = 0;

	if (up & TCP_UP_CONNECTED && c->state == TCP_ST_SYN_SENT)
		s->flags |= SESS_EARLY;
	atomic_store_explicit(&rec->tcp_state, shown_state(s, c), memory_order_release);
	if (up & TCP_UP_FIN) {
		flags |= NPP_RXF_FIN;
		bits |= NPP_OUT_RX;
	}
	if (up & TCP_UP_CONNECTED) {
		s->flags &= ~SESS_CONNECTING;
		bits |= NPP_OUT_TX;
	}
	if (up & TCP_UP_ERROR) {
		atomic_store_explicit(&rec->err, c->error ? c->error : ECONNRESET, memory_order_relaxed);
		flags |= NPP_RXF_RESET | NPP_RXF_CLOSED;
		bits |= NPP_OUT_RX | NPP_OUT_TX | NPP_OUT_ERR;
	}
	if (up & TCP_UP_FREED) {
		atomic_store_explicit(&rec->tcp_state, TCP_ST_CLOSED, memory_order_relaxed);
		flags |= NPP_RXF_CLOSED;
		bits |= NPP_OUT_RX | NPP_OUT_TX;
	}
	if (flags) /* release: after rx_head, err and state; pairs with the program's acquire load */
		atomic_fetch_or_explicit(&rec->rx_flags, flags, memory_order_release);
	return bits;
}

/* Before rx_head: who sees what came then sees whether more can come. */
static void publish_full(const struct tcp_conn *c, struct npp_sock *rec)
{
	uint32_t unread = c->rx_head - atomic_load_explicit(&rec->rx_tail, memory_order_relaxed);
	uint8_t full = unread >= stack_tcp_rx_bound(c);

	if (full != atomic_load_explicit(&rec->rx_full, memory_order_relaxed))
		atomic_store_explicit(&rec->rx_full, full, memory_order_relaxed);
}

/* Publishes UP of a session whose program still wants to know. False: the host lies. */
static bool publish(struct ism *I, struct ism_sess *s, struct tcp_conn *c, uint32_t up)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	uint32_t bits = 0, lowat = atomic_load_explicit(&rec->notsent_lowat, memory_order_relaxed);

	s->active_us = I->now_us;
	ism_ring_old_free(I, s);
	/* A server answers at once: its ring must be there before it can see the first byte. */
	if ((up & TCP_UP_RX) && s->tx_blk == ISM_NONE && !(up & (TCP_UP_FREED | TCP_UP_ERROR)) &&
	    !(s->flags & SESS_SHUT))
		ism_ring_grow_tx(I, s, c, 0);
	if (up & (TCP_UP_RX | TCP_UP_FREED)) {
		publish_full(c, rec);
		/* release: the bytes are there; pairs with the program's acquire load */
		atomic_store_explicit(&rec->rx_head, c->rx_head, memory_order_release);
		if (up & TCP_UP_RX)
			bits |= NPP_OUT_RX;
	}
	if (up & (TCP_UP_TX | TCP_UP_FREED))
		atomic_store_explicit(&rec->tx_tail, c->tx_tail, memory_order_release);
	if (lowat && c->tx_head) /* release: pairs with the program's load; before room_bits() looks at tx_want */
		atomic_store_explicit(&rec->tx_sent, stack_tcp_tx_sent(I->stack, c), memory_order_release);
	if (up & TCP_UP_PORT)
		atomic_store_explicit(&rec->ifno, c->port, memory_order_relaxed);
	if (up & ~(TCP_UP_RX | TCP_UP_TX | TCP_UP_PORT))
		bits |= publish_state(s, c, rec, up);
	if ((up & TCP_UP_CONNECTED) && s->want && !ism_ring_grow_tx(I, s, c, s->want))
		ism_ring_wait(I, s, s->want);
	if (up & TCP_UP_TX)
		bits |= room_bits(I, s, c, rec, lowat);
	if (bits)
		ism_notify(I, s, bits, false);
	if (up & (TCP_UP_FREED | TCP_UP_ERROR))
		return true;
	if ((up & TCP_UP_RX) && !ism_conn_take_rx(I, s, c, rec))
		return false;
	publish_brief(I, s, c, rec);
	return publish_wake(I, s, c, rec);
}

/* The stack has dropped the TCB without a word: it was being changed when a predecessor died. */
static void lost(struct ism *I, struct ism_sess *s)
{
	struct npp_sock *rec = ism_sess_rec(I, s);

	if (s->flags & SESS_CLOSED) {
		finish(I, s);
		return;
	}
	if (s->tcb == ISM_NONE)
		return;
	s->tcb = ISM_NONE;
	npp_stat_inc(I->stats, NPP_IS_LOST);
	atomic_store_explicit(&rec->err, ECONNRESET, memory_order_relaxed);
	atomic_store_explicit(&rec->tcp_state, TCP_ST_CLOSED, memory_order_relaxed);
	/* release: after err; pairs with the program's acquire load of rx_flags */
	atomic_fetch_or_explicit(&rec->rx_flags, NPP_RXF_RESET | NPP_RXF_CLOSED, memory_order_release);
	ism_notify(I, s, NPP_OUT_RX | NPP_OUT_TX | NPP_OUT_ERR, false);
}

void ism_conn_settle(struct ism *I, struct ism_sess *s)
{
	struct tcp_conn *c = ism_conn_of(I, s);
	uint32_t up = s->up;

	s->up = 0;
	if (s->kind != ISM_STREAM || !I->host[s->host])
		return;
	if (!c) {
		lost(I, s);
		return;
	}
	if (s->flags & SESS_CLOSED) {
		if (up & TCP_UP_TX_DONE)
			finish(I, s);
		return;
	}
	if (up & TCP_UP_TX_DONE)
		s->flags |= SESS_DONE;
	if (!publish(I, s, c, up))
		ism_conn_lied(I, s);
}

void ism_conn_event(void *arg, struct tcp_conn *c, uint32_t up)
{
	struct ism *I = arg;
	struct ism_sess *s = ism_sess_of_conn(I, c);

	if (!s)
		return;
	up |= s->up;
	if (!(up & TCP_UP_FREED)) {
		s->up = up;
		ism_conn_settle(I, s);
		return;
	}
	s->up = 0;
	if (s->flags & SESS_CLOSED) {
		finish(I, s);
		return;
	}
	if (I->host[s->host])
		publish(I, s, c, up);
	unbind_tcb(s, c);
}

bool ism_conn_rx_grow(void *arg, struct tcp_conn *c, uint32_t end)
{
	struct ism *I = arg;
	struct ism_sess *s = ism_sess_of_conn(I, c);

	if (!s || (s->flags & SESS_CLOSED) || !I->host[s->host])
		return false;
	/* What it has read since; a lie is noticed when the event is published. */
	ism_conn_take_rx(I, s, c, ism_sess_rec(I, s));
	if (end - c->rx_tail <= c->rx.size)
		return true;
	return ism_ring_grow_rx(I, s, c, end - c->rx_tail) && end - c->rx_tail <= c->rx.size;
}

/* ---- accept -------------------------------------------------------------------------------- */

static void record_zero_line1(struct npp_sock *rec)
{
	atomic_store_explicit(&rec->rx_head, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->rx_flags, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->rx_full, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->rx_wake, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->rx_want, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->tx_tail, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->err, 0, memory_order_relaxed);
	rec->rx_ring = rec->tx_ring = (struct npp_ring_desc){ 0, 0, 0 };
	atomic_store_explicit(&rec->urg, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->tx_urg, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->urg_seen, 0, memory_order_relaxed);
}

/* What a fresh connection inherits from its listener (as on Linux); the rest is zero. */
static bool record_inherit(struct npp_sock *rec, struct npp_sock *lrec)
{
	uint32_t any = 0, v;

#define COPY(f, bits) do { \
	v = atomic_load_explicit(&lrec->f, memory_order_relaxed) & (bits); \
	atomic_store_explicit(&rec->f, v, memory_order_relaxed); \
	any |= v; \
} while (0)
	COPY(opt_flags, ~NPP_OPT_MORE);
	COPY(rcvbuf, UINT32_MAX);
	COPY(sndbuf, UINT32_MAX);
	COPY(linger, UINT32_MAX);
	COPY(keep, UINT32_MAX);
	COPY(tries, 0xffffffu); /* TCP_DEFER_ACCEPT is the listener's own */
	COPY(user_timeout_ms, UINT32_MAX);
	COPY(manner, 0xffffffu); /* but for SO_PRIORITY */
	COPY(rcvlowat, UINT32_MAX);
	COPY(rcvtimeo_ms, UINT32_MAX);
	COPY(sndtimeo_ms, UINT32_MAX);
	COPY(notsent_lowat, UINT32_MAX);
	COPY(win_clamp, UINT32_MAX);
	COPY(max_pace, UINT32_MAX);
	COPY(mark, UINT32_MAX);
	COPY(max_seg, UINT32_MAX);
#undef COPY
	atomic_store_explicit(&rec->rx_tail, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->tx_head, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->tx_want, 0, memory_order_relaxed);
	return any != 0;
}

static void record_zero_line3(struct npp_sock *rec)
{
	atomic_store_explicit(&rec->pend_in, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->pend_out, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->rx_lock, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->tx_lock, 0, memory_order_relaxed);
	for (unsigned i = 0; i < NPP_SOCK_SUBS; i++)
		atomic_store_explicit(&rec->sub[i], 0, memory_order_relaxed);
	atomic_store_explicit(&rec->sub_all, 0, memory_order_relaxed);
	rec->sub_more_off64 = 0;
	atomic_store_explicit(&rec->sub_next, 0, memory_order_relaxed);
}

/* Fills REC for connection C of session S. True: it has options of its own. */
static bool record_fill(struct ism *I, struct npp_sock *rec, struct ism_sess *s, struct tcp_conn *c,
			struct ism_sess *ls)
{
	struct npp_sock *lrec = ism_sess_rec(I, ls);
	uint32_t slot = I->r->host[s->host].slot;

	record_zero_line1(rec);
	record_zero_line3(rec);
	rec->type = NPP_SOCK_STREAM;
	rec->family = npp_addr_is_v4(&c->laddr) ? 4 : 6;
	rec->slot = (uint8_t)slot;
	rec->ext_off64 = 0;
	rec->listener = ls->sock;
	rec->raddr = c->raddr;
	rec->rport = c->rport;
	rec->lport = c->lport;
	rec->laddr = c->laddr;
	rec->scope = 0;
	atomic_store_explicit(&rec->ifno, c->port, memory_order_relaxed);
	atomic_store_explicit(&rec->came_us, (uint32_t)I->now_us, memory_order_relaxed);
	atomic_store_explicit(&rec->refs, 0, memory_order_relaxed);
	/* The program's view of addresses is that of its listener. */
	atomic_store_explicit(&rec->fl, atomic_load_explicit(&lrec->fl, memory_order_relaxed) & NPP_FL_API6,
			      memory_order_relaxed);
	atomic_store_explicit(&rec->ism_handle, ism_sess_handle(I, s), memory_order_relaxed);
	atomic_store_explicit(&rec->tcp_state, shown_state(s, c), memory_order_relaxed);
	return record_inherit(rec, lrec);
}

int ism_conn_accept(void *arg, struct tcp_listener *l, struct tcp_conn *c)
{
	struct ism *I = arg;
	struct ism_sess *ls = ism_listener_sess(I, l), *s;
	unsigned h = l->user_host;
	struct npp_sock *rec;
	uint32_t sock, gen;

	if (!ls || !I->host[h] || !ism_lane_room(I, ls))
		return -ENOBUFS;
	sock = ism_lent_get(I, h);
	if (sock == ISM_NONE)
		return -ENOBUFS;
	rec = ism_rec(I, h, sock);
	gen = atomic_load_explicit(&rec->gen, memory_order_relaxed);
	s = ism_sess_new(I, h, ISM_STREAM, sock, gen);
	if (!s) {
		I->lent[(size_t)h * I->lent_max + I->r->host[h].n_lent++] = sock;
		return -ENOBUFS;
	}
	s->flags |= SESS_LENT;
	ism_backlog_begin(I, s, ls);
	bind_tcb(I, s, c);
	if (record_fill(I, rec, s, c, ls))
		take_options(I, c, rec);
	/* release: whoever sees the owner sees the record */
	atomic_store_explicit(&rec->owner, 0x10000 + I->r->host[h].slot, memory_order_release);
	ism_lane_push(I, ls, sock, gen);
	ism_notify_shared(I, ls);
	note_regular(I, c);
	return 0;
}

/* A program speaks of it. */
static void seen(struct ism *I, struct ism_sess *s)
{
	s->flags |= SESS_SEEN;
	ism_backlog_end(I, s);
}

/* ---- connect ---------------------------------------------------------------------------------- */

static void connect_failed(struct ism *I, struct ism_sess *s, struct npp_sock *rec, int err)
{
	atomic_store_explicit(&rec->err, -err, memory_order_relaxed);
	atomic_store_explicit(&rec->tcp_state, TCP_ST_CLOSED, memory_order_relaxed);
	/* release: after err; pairs with the program's acquire load of rx_flags */
	atomic_fetch_or_explicit(&rec->rx_flags, NPP_RXF_RESET | NPP_RXF_CLOSED, memory_order_release);
	ism_notify(I, s, NPP_OUT_ERR | NPP_OUT_TX | NPP_OUT_RX, false);
}

/* Is REC a program's record, made for us, in the generation that the message means? */
static bool record_ours(struct ism *I, unsigned h, const struct npp_sock *rec, uint32_t gen)
{
	uint32_t owner = atomic_load_explicit(&rec->owner, memory_order_acquire);

	return owner >= 1 && owner <= NPP_MAX_CTX && rec->type == NPP_SOCK_STREAM &&
	       rec->slot == I->r->host[h].slot &&
	       atomic_load_explicit(&rec->gen, memory_order_relaxed) == gen;
}

static void open_conn(struct ism *I, struct ism_sess *s, struct npp_sock *rec, uint32_t want)
{
	union npp_addr laddr = rec->laddr, raddr = rec->raddr;
	uint16_t lport = *(volatile uint16_t *)&rec->lport, rport = *(volatile uint16_t *)&rec->rport;
	struct tcp_options o = ism_options_of(rec);
	uint32_t scope = *(volatile uint32_t *)&rec->scope;
	struct tcp_conn *c;
	int err = -ENOBUFS;

	o.by_port = scope <= NPP_MAX_PORTS ? (uint8_t)scope : 0;
	c = stack_connect(I->stack, &laddr, lport, &raddr, rport, &o, &err);
	if (!c) {
		s->flags |= SESS_OPENED;
		connect_failed(I, s, rec, err);
		return;
	}
	bind_tcb(I, s, c);
	s->flags |= SESS_CONNECTING | SESS_OPENED;
	s->want = want;
	rec->laddr = c->laddr;
	rec->lport = c->lport;
	atomic_store_explicit(&rec->ifno, c->port, memory_order_relaxed);
	/* release: after the local address; pairs with the program's acquire load */
	atomic_store_explicit(&rec->tcp_state, c->state, memory_order_release);
}

void ism_conn_connect(struct ism *I, unsigned h, const struct npp_msg *m)
{
	struct npp_sock *rec = ism_prog_rec(I, h, m->sock);
	struct ism_sess *s;

	if (!rec || !record_ours(I, h, rec, m->sock_gen)) {
		ism_proto_error(I, h);
		return;
	}
	s = ism_sess_find(I, h, m->sock);
	if (s && s->sock_gen == m->sock_gen) { /* seen before; by a predecessor who died over it? */
		if (s->kind == ISM_STREAM && s->tcb == ISM_NONE &&
		    !(s->flags & (SESS_OPENED | SESS_CLOSED | SESS_LENT)))
			open_conn(I, s, rec, m->arg);
		return;
	}
	if (s) { /* an earlier generation that we were never told the end of */
		ism_proto_error(I, h);
		ism_conn_drop(I, s);
	}
	s = ism_sess_new(I, h, ISM_STREAM, m->sock, m->sock_gen);
	if (!s) {
		struct ism_sess none = { .host = (uint8_t)h, .sock = m->sock, .sock_gen = m->sock_gen };

		connect_failed(I, &none, rec, -ENOBUFS);
		return;
	}
	seen(I, s);
	atomic_store_explicit(&rec->ism_handle, ism_sess_handle(I, s), memory_order_release);
	open_conn(I, s, rec, m->arg);
}

/* ---- messages about a connection ------------------------------------------------------------------ */

void ism_conn_look(struct ism *I, struct ism_sess *s)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	/* acq_rel: cleared before we look; pairs with the program's fetch_or after it published */
	uint32_t pend = atomic_exchange_explicit(&rec->pend_in, 0, memory_order_acq_rel), bits, head;
	struct tcp_conn *c = ism_conn_of(I, s);

	if ((pend & NPP_IN_WAKE) && !(s->flags & SESS_CLOSED))
		ism_notify_shut(I, s);
	if (!c || (s->flags & SESS_CLOSED))
		return;
	seen(I, s);
	if (pend & NPP_IN_OPT)
		take_options(I, c, rec);
	/* acquire: what the program marked as urgent before it moved tx_head we see now at the latest */
	head = atomic_load_explicit(&rec->tx_head, memory_order_acquire);
	if (((pend & NPP_IN_URG || ism_urgent_due(rec)) && !ism_urgent_take(I, s, c, rec)) ||
	    ((pend & NPP_IN_TX) && !take_tx(I, s, c, head))) {
		ism_conn_lied(I, s);
		return;
	}
	if (pend & NPP_IN_TX) {
		stack_tcp_more(I->stack, c, atomic_load_explicit(&rec->opt_flags, memory_order_relaxed) & NPP_OPT_MORE);
		bits = room_bits(I, s, c, rec, atomic_load_explicit(&rec->notsent_lowat, memory_order_relaxed));
		if (bits)
			ism_notify(I, s, bits, false);
	}
	if ((pend & NPP_IN_RX) && !(ism_conn_take_rx(I, s, c, rec) && publish_wake(I, s, c, rec)))
		ism_conn_lied(I, s);
}

void ism_conn_shutdown(struct ism *I, struct ism_sess *s, uint32_t final)
{
	struct tcp_conn *c = ism_conn_of(I, s);
	struct npp_sock *rec = ism_sess_rec(I, s);

	seen(I, s);
	if (!c || (s->flags & (SESS_CLOSED | SESS_SHUT)))
		return;
	if ((ism_urgent_due(rec) && !ism_urgent_take(I, s, c, rec)) || !take_tx(I, s, c, final)) {
		ism_conn_lied(I, s);
		return;
	}
	s->flags |= SESS_SHUT;
	stack_tcp_shutdown(I->stack, c, final); /* this changes the state, and tells nobody */
	atomic_store_explicit(&rec->tcp_state, shown_state(s, c), memory_order_release);
}

void ism_conn_close(struct ism *I, struct ism_sess *s, uint32_t final, unsigned flags)
{
	struct tcp_conn *c = ism_conn_of(I, s);
	uint32_t gen = s->gen;

	if (s->flags & SESS_CLOSED)
		return;
	if (c && ism_urgent_due(ism_sess_rec(I, s)))
		(void)ism_urgent_take(I, s, c, ism_sess_rec(I, s));
	/* What was written just before would have left by now, if it could: a reset drops only what could not, as on
	 * Linux. */
	if (c && flags & NPP_CLOSE_ABORT) {
		if (take_tx(I, s, c, final))
			stack_tcp_push(I->stack, c);
	} else if (c && !take_tx(I, s, c, final)) {
		if (!(s->flags & SESS_SHUT))
			ism_proto_error(I, s->host);
		flags |= s->flags & SESS_SHUT ? 0 : NPP_CLOSE_ABORT;
		final = c->tx_head;
	}
	s->flags |= SESS_CLOSED;
	if (!c) {
		finish(I, s);
		return;
	}
	/* Either may free the TCB and with it the session. */
	if (flags & NPP_CLOSE_ABORT)
		stack_tcp_abort(I->stack, c);
	else
		stack_tcp_close(I->stack, c, s->flags & SESS_SHUT ? c->tx_head : final,
				NPP_TRIES_LINGER2(atomic_load_explicit(&ism_sess_rec(I, s)->tries, memory_order_relaxed)));
	if (s->kind != ISM_STREAM || s->gen != gen)
		return;
	s->flags |= SESS_ENDING;
	if (s->flags & SESS_DONE)
		finish(I, s);
	else
		ism_ring_drop_rx(I, s, ism_conn_of(I, s));
}

void ism_conn_need_ring(struct ism *I, struct ism_sess *s, uint32_t want)
{
	struct tcp_conn *c = ism_conn_of(I, s);
	uint32_t have = ism_tx_size(s);

	if (!c || (s->flags & (SESS_CLOSED | SESS_SHUT)))
		return;
	seen(I, s);
	if (shown_state(s, c) < TCP_ST_ESTABLISHED) {
		s->want = want ? want : 1; /* made when it is connected */
		return;
	}
	if (have >= want && have)
		;
	else if (!ism_ring_grow_tx(I, s, c, want) && !have)
		ism_ring_wait(I, s, want);
	if (s->tx_blk == ISM_NONE)
		return;
	s->active_us = I->now_us; /* about to be: the sweep, which may be due, does not take it back at once */
	ism_notify(I, s, NPP_OUT_TX, false);
}

/* ---- ends that nobody asked for ---------------------------------------------------------------------- */

void ism_conn_lied(struct ism *I, struct ism_sess *s)
{
	struct tcp_conn *c = ism_conn_of(I, s);
	struct npp_sock *rec = ism_sess_rec(I, s);

	ism_proto_error(I, s->host);
	if (!c)
		return;
	atomic_store_explicit(&rec->err, EPROTO, memory_order_relaxed);
	atomic_fetch_or_explicit(&rec->rx_flags, NPP_RXF_RESET | NPP_RXF_CLOSED, memory_order_release);
	stack_tcp_abort(I->stack, c); /* UP_FREED comes from within; the record stays until CLOSE */
}

void ism_conn_reset(struct ism *I, struct ism_sess *s, struct tcp_conn *c)
{
	struct npp_sock *rec = ism_sess_rec(I, s);

	atomic_store_explicit(&rec->err, ECONNABORTED, memory_order_relaxed);
	atomic_fetch_or_explicit(&rec->rx_flags, NPP_RXF_RESET | NPP_RXF_CLOSED, memory_order_release);
	stack_tcp_abort(I->stack, c);
}

void ism_conn_drop(struct ism *I, struct ism_sess *s)
{
	struct tcp_conn *c = ism_conn_of(I, s);

	s->flags |= SESS_CLOSED;
	if (c)
		stack_tcp_abort(I->stack, c); /* finishes the session by UP_FREED */
	else
		finish(I, s);
}
