/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_syncache.c - passive open: half-open connections as small records, or as none
 *
 * SYN_RECEIVED of a passive open lives here. A SYN makes a record of 112 bytes and a
 * SYN-ACK; the ACK that completes the handshake makes the TCB, gives it to the user
 * (ops->accept) and is then processed like any segment of the connection, with the data
 * and the FIN that it may carry.
 *
 * If the user has no room in its accept queue, which is often a matter of a few
 * milliseconds, the record is held: room is looked for again soon, and then the SYN-ACK is
 * sent, which the peer answers at once. Without that it would try again only after a
 * second. The number of held records and the time that one is held are bounded; beyond
 * that the peer's own repetition has to do.
 *
 * A listener may wait for data (TCP_DEFER_ACCEPT): an ACK that brings none leaves the record as it
 * is, and the SYN-ACK rests until the last one that is waited for, whose ACK opens the connection. It is the
 * count of the listener as it is now that holds; cookies do not wait, nor does Fast Open. Such records may stay for
 * hours: those of a host are a quarter of the cache at most, all of them half of it, and beyond that an ACK is enough.
 *
 * The cache is bounded, so is each listener's part of it, and when half is taken that of each prefix of
 * peers (tcp_syn_share.c). Beyond the bound the SYN-ACK carries a cookie (tcp_isn.c) and nothing is remembered.
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

#define HALF_OPEN_MIN 16u		/* per listener, however short its backlog */
#define COOKIE_AFTER_US 128000000ull	/* cookies count as long after the last overflow */
#define COOKIE_OPT_MASK 63u
#define COOKIE_NO_WS 15u
#define COOKIE_SACK 16u
#define COOKIE_ECN 32u
#define HELD_MAX 256u			/* of a listener */
#define HELD_CHECKS 66u			/* looks for room: about a second */
#define HELD_SHIFT 4u			/* from 1 to 16 ms apart */

static struct tcp_syn *syn_alloc(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t i = tcp->syn_pool.free;
	struct tcp_syn *e;

	if (i == TCP_NONE)
		return NULL;
	e = &tcp->syns[i];
	tcp->syn_pool.free = e->hnext;
	tcp->syn_pool.used++;
	*e = (struct tcp_syn){ .busy = 1, .hnext = TCP_NONE };
	e->timer = (struct wheel_timer){ .kind = TIMER_TCP, .arg = TCP_WHEEL_SYN };
	return e;
}

static uint32_t syn_index(const struct stack *s, const struct tcp_syn *e)
{
	return (uint32_t)(e - s->tcp->syns);
}

/* How many connections of the host of E's listener wait for data. */
uint32_t *tcp_bare_of(const struct stack *s, const struct tcp_syn *e)
{
	return &s->tcp->bare[s->tcp->lsns[e->listener].l.user_host % NPP_MAX_HOSTS];
}

void tcp_syncache_free(struct stack *s, struct tcp_syn *e)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t i = syn_index(s, e);

	e->in_use = 0;
	tcp_hash_remove(s, TCP_REF(TCP_REF_SYN, i));
	wheel_cancel(&s->wheel, &e->timer);
	tcp->lsns[e->listener].half_open--;
	tcp->lsns[e->listener].held -= e->held != 0;
	*tcp_bare_of(s, e) -= e->opts & TCP_SYN_BARE ? 1 : 0;
	tcp_syn_discharge(s, e);
	e->hnext = tcp->syn_pool.free;
	tcp->syn_pool.free = i;
	tcp->syn_pool.used--;
	tcp_gauges(s);
}

void tcp_syncache_drop_listener(struct stack *s, uint32_t index)
{
	for (uint32_t i = 0; i < s->tcp->syn_pool.count && s->tcp->lsns[index].half_open; i++)
		if (s->tcp->syns[i].in_use && s->tcp->syns[i].listener == index)
			tcp_syncache_free(s, &s->tcp->syns[i]);
}

/* ---- sending ------------------------------------------------------------------------------ */

static void send_synack(struct stack *s, const struct tcp_syn *e, struct ip_path *path, uint32_t tsval)
{
	struct tcp_out o;

	tcp_out_begin(&o, e->lport, e->rport, e->iss, e->irs + 1,
		      TCPF_SYN | TCPF_ACK | (e->opts & TCP_SYN_ECN ? TCPF_ECE : 0),
		      (uint16_t)u32_min(e->wnd, 65535));
	tcp_opt_put_syn(&o, tcp_mss_max(tcp_adv_mss(s, path), e->max_seg), e->opts & TCP_SYN_SACK, e->opts & TCP_SYN_TS,
			tsval, e->ts_recent, e->opts & TCP_SYN_WS, e->rcv_ws);
	if (e->opts & TCP_SYN_TFO)
		tcp_tfo_give(s, &o, e->listener, &e->laddr, &e->raddr);
	tcp_out_send(s, path, e->tos, e->ttl, &o);
}

static void resend_synack(struct stack *s, const struct tcp_syn *e)
{
	struct ip_path path = { 0 };

	if (ip_path_answer(s, &path, &e->laddr, &e->raddr, e->port) == 0)
		send_synack(s, e, &path, tcp_tsval(s, e->ts_off));
}

static void syn_challenge(struct stack *s, struct tcp_syn *e)
{
	struct ip_path path = { 0 };
	struct tcp_out o;

	if ((uint32_t)s->now_us - e->challenge_us < TCP_CHALLENGE_US ||
	    ip_path_answer(s, &path, &e->laddr, &e->raddr, e->port) != 0 || !tcp_challenge_allowed(s))
		return;
	e->challenge_us = (uint32_t)s->now_us;
	path.stranger = 1; /* he has only said that he is there */
	tcp_out_begin(&o, e->lport, e->rport, e->iss + 1, e->irs + 1, TCPF_ACK,
		      (uint16_t)(e->wnd >> e->rcv_ws));
	if (e->opts & TCP_SYN_TS)
		tcp_opt_put_ts(&o, tcp_tsval(s, e->ts_off), e->ts_recent);
	tcp_out_send(s, &path, e->tos, e->ttl, &o);
}

/* For how many SYN-ACKs E's listener waits for data. */
static uint32_t defer_of(struct stack *s, const struct tcp_syn *e)
{
	struct tcp_options o = { 0 };

	if (s->env->ops->listener_options)
		s->env->ops->listener_options(s->env->arg, &s->tcp->lsns[e->listener].l, &o);
	return u32_min(o.defer, TCP_DEFER_MAX);
}

static void arm_again(struct stack *s, struct tcp_syn *e)
{
	uint32_t us = TCP_RTO_INIT_US << u32_min(e->tries, 7);

	wheel_arm(&s->wheel, &e->timer, s->now_us + u32_min(us, TCP_RTO_MAX_US));
}

/* Does the user of E's listener take a connection now? */
static bool room_for(struct stack *s, const struct tcp_syn *e)
{
	return s->env->ops->accept_room(s->env->arg, &s->tcp->lsns[e->listener].l);
}

/* Looks for room again soon. False: it was held long enough. */
static bool hold(struct stack *s, struct tcp_syn *e)
{
	if (e->held == HELD_CHECKS)
		return false;
	wheel_arm(&s->wheel, &e->timer, s->now_us + (1000ull << u32_min(e->held, HELD_SHIFT)));
	s->tcp->lsns[e->listener].held += e->held == 0;
	e->held++;
	return true;
}

/* There is room, or E was held long enough. */
static void unhold(struct stack *s, struct tcp_syn *e)
{
	s->tcp->lsns[e->listener].held -= e->held != 0;
	e->held = 0;
	if (!e->acked)
		e->sent_us = u32_max((uint32_t)s->now_us, 1);
	resend_synack(s, e);
	arm_again(s, e);
}

static void held_timer(struct stack *s, struct tcp_syn *e)
{
	if (room_for(s, e)) {
		unhold(s, e);
	} else if (!hold(s, e)) {
		STAT_INC(s, IS_DROP_ACCEPT_FULL);
		if (e->acked)
			unhold(s, e);
		else
			tcp_syncache_free(s, e); /* as if the SYN had been lost */
	}
}

void tcp_syncache_timer(struct stack *s, struct tcp_syn *e)
{
	uint32_t defer;

	if (e->held) {
		held_timer(s, e);
		return;
	}
	defer = e->opts & TCP_SYN_BARE ? defer_of(s, e) : 0;
	if (e->tries >= TCP_SYNACK_TRIES && e->tries >= defer) {
		tcp_syncache_free(s, e);
		return;
	}
	e->tries++;
	if (e->tries >= defer) { /* before, the peer has nothing to answer: it has, and has no data */
		STAT_INC(s, IS_TCP_RETRANS);
		resend_synack(s, e);
	}
	arm_again(s, e);
}

/* ---- a SYN for a listener -------------------------------------------------------------------- */

/* What the listener says of connections that it opens. */
static void take_listener(struct stack *s, struct tcp_lsn *l, struct tcp_syn *e)
{
	struct tcp_options o = { 0 };
	uint32_t set;

	if (s->env->ops->listener_options)
		s->env->ops->listener_options(s->env->arg, &l->l, &o);
	set = o.rcvbuf ? npp_tcp_mem_set(tcp_rmem(s), o.rcvbuf) : 0;
	e->wnd = u32_min(set ? set : tcp_rmem(s).dflt, 65535);
	e->rcv_ws = e->opts & TCP_SYN_WS ? tcp_wscale(s, set) & 15 : 0;
	e->max_seg = o.max_seg;
	e->peer_mss = tcp_mss_max(e->peer_mss, e->max_seg);
	e->tos = o.tos & 0xfc;
	e->ttl = o.ttl;
}

void tcp_syn_take(struct stack *s, struct tcp_lsn *l, struct tcp_syn *e, const struct tcp_seg *seg)
{
	const struct pkt *p = seg->pkt;

	e->laddr = p->dst;
	e->raddr = p->src;
	e->port = p->port;
	e->lport = seg->dport;
	e->rport = seg->sport;
	e->hash = seg->hash;
	e->irs = seg->seq;
	e->peer_mss = seg->opt & TO_MSS ? (uint16_t)u32_max(seg->mss, TCP_MSS_MIN) : tcp_default_mss(&p->src);
	e->ts_off = tcp_ts_offset(s, &p->dst, seg->dport, &p->src, seg->sport);
	e->ts_recent = seg->tsval;
	e->snd_ws = seg->wscale & 15;
	e->opts = (uint8_t)((seg->opt & TO_TS ? TCP_SYN_TS : 0) | (seg->opt & TO_SACK_OK ? TCP_SYN_SACK : 0) |
			    (seg->opt & TO_WS ? TCP_SYN_WS : 0) | (tcp_ecn_offered(s, seg) ? TCP_SYN_ECN : 0));
	take_listener(s, l, e);
	e->sent_us = (uint32_t)s->now_us;
	e->challenge_us = (uint32_t)s->now_us - TCP_CHALLENGE_US;
}

static void send_cookie(struct stack *s, struct tcp_lsn *l, const struct tcp_seg *seg, struct ip_path *path)
{
	struct tcp_syn e = { 0 };
	uint32_t tsval, bits;

	tcp_syn_take(s, l, &e, seg);
	e.iss = tcp_cookie_make(s, seg, &e.peer_mss);
	tsval = tcp_tsval(s, e.ts_off);
	if (e.opts & TCP_SYN_TS) {
		bits = e.opts & TCP_SYN_WS ? e.snd_ws : COOKIE_NO_WS;
		if (e.opts & TCP_SYN_SACK)
			bits |= COOKIE_SACK;
		if (e.opts & TCP_SYN_ECN)
			bits |= COOKIE_ECN;
		bits |= tsval & ~COOKIE_OPT_MASK;
		tsval = seq_gt(bits, tsval) ? bits - (COOKIE_OPT_MASK + 1) : bits; /* never ahead of the clock */
	} else {
		e.opts = e.rcv_ws = 0;
	}
	s->tcp->cookie_us = s->now_us ? s->now_us : 1;
	STAT_INC(s, IS_TCP_COOKIES_OUT);
	send_synack(s, &e, path, tsval);
}

void tcp_syn_input(struct stack *s, struct tcp_lsn *l, const struct tcp_seg *seg, uint32_t min_iss)
{
	bool room = s->env->ops->accept_room(s->env->arg, &l->l);
	uint32_t max = u32_max(l->l.backlog, HALF_OPEN_MIN);
	struct ip_path path = { 0 };
	struct tcp_syn *e = NULL;
	bool give_tfo = false, fair;
	uint16_t peer;

	if (ip_path_answer(s, &path, &seg->pkt->dst, &seg->pkt->src, seg->pkt->port) != 0) {
		STAT_INC(s, IS_DROP_NO_ROUTE);
		return;
	}
	if ((seg->opt & TO_TFO || seg->len) && room && tcp_tfo_syn(s, l, seg, &path, min_iss, &give_tfo))
		return;
	peer = tcp_syn_peer(s, &seg->pkt->src);
	fair = tcp_syn_fair(s, l, max, peer);
	if (l->half_open < max && fair && (room || l->held < HELD_MAX))
		e = syn_alloc(s);
	if (!e && !room) {
		STAT_INC(s, IS_DROP_ACCEPT_FULL);
		return;
	}
	if (!e) {
		if (fair)
			STAT_INC(s, IS_DROP_SYN_FULL);
		else
			STAT_INC(s, IS_SYN_SHARE);
		send_cookie(s, l, seg, &path);
		return;
	}
	tcp_syn_take(s, l, e, seg);
	e->opts |= give_tfo ? TCP_SYN_TFO : 0;
	e->iss = tcp_isn(s, &e->laddr, e->lport, &e->raddr, e->rport);
	if (min_iss && seq_lt(e->iss, min_iss))
		e->iss = min_iss;
	e->listener = (uint16_t)l->l.index;
	e->peer = peer;
	e->listener_gen = l->l.gen;
	l->half_open++;
	tcp_syn_charge(s, e);
	tcp_hash_insert(s, TCP_REF(TCP_REF_SYN, syn_index(s, e)));
	if (room)
		wheel_arm(&s->wheel, &e->timer, s->now_us + TCP_RTO_INIT_US);
	else
		hold(s, e);
	e->in_use = 1;
	tcp_leave(e);
	tcp_gauges(s);
	if (room)
		send_synack(s, e, &path, tcp_tsval(s, e->ts_off));
	else
		STAT_INC(s, IS_TCP_SYN_HELD);
}

/* ---- the ACK that completes the handshake ---------------------------------------------------------- */

/* How long the peer took is known by the first ACK; the data came when its program had some. */
static void rtt_of_bare(struct stack *s, struct tcb *t, const struct tcp_syn *e)
{
	if (e->bare_us & ~TCP_SYN_LOST)
		tcp_rtt_sample(s, t, e->bare_us & ~TCP_SYN_LOST);
	else
		t->rto_us = TCP_RTO_LOST_SYN_US;
	if (e->bare_us & TCP_SYN_LOST) /* RFC 6928, 2 */
		t->cwnd = t->mss;
}

struct tcb *tcp_syn_tcb(struct stack *s, const struct tcp_syn *e, const struct tcp_seg *seg, const struct ip_path *path)
{
	struct tcb *t = tcb_alloc(s, path, e->lport, e->rport);

	if (!t)
		return NULL;
	t->c.passive = 1;
	t->c.listener = e->listener;
	t->flags |= (e->opts & TCP_SYN_TS ? TF_TS : 0) | (e->opts & TCP_SYN_SACK ? TF_SACK : 0) |
		    (e->opts & TCP_SYN_WS ? TF_WS : 0) | (e->opts & TCP_SYN_ECN ? TF_ECN : 0) | TF_INTERACTIVE;
	t->iss = e->iss;
	t->snd_una = t->snd_nxt = t->snd_sml = t->fack = t->rtt_seq = e->iss + 1;
	t->recover = e->iss;
	t->rcv_nxt = t->rcv_acked = e->irs + 1;
	t->rcv_adv = t->rcv_nxt + e->wnd;
	t->ts_off = e->ts_off;
	t->ts_recent = e->ts_recent;
	t->ts_recent_s = tcp_now_s(s);
	t->peer_mss = e->peer_mss;
	t->snd_ws = e->opts & TCP_SYN_WS ? e->snd_ws : 0;
	t->rcv_ws = e->rcv_ws;
	t->snd_wnd = t->max_wnd = seg->wnd << t->snd_ws;
	t->snd_wl1 = seg->seq;
	t->snd_wl2 = seg->ack;
	t->ttl = e->ttl;
	t->tos = e->tos;
	tcp_update_mss(t);
	tcp_cc_init(t);
	if (e->opts & TCP_SYN_BARE)
		rtt_of_bare(s, t, e);
	else if (e->sent_us) /* else a cookie: nothing is known */
		tcp_rtt_of_syn(s, t, seg, e->tries, e->sent_us);
	return t;
}

/* May E wait for data, for hours perhaps? There must be records left for those that do not, of any host. */
static bool may_wait(const struct stack *s, const struct tcp_syn *e)
{
	const struct tcp_state *tcp = s->tcp;
	uint32_t all = 0;

	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		all += tcp->bare[h];
	return *tcp_bare_of(s, e) < tcp->syn_pool.count / 4 && all < tcp->syn_pool.count / 2;
}

/* SEG acknowledges E. Is it dropped, because it has no data and these are waited for? */
static bool bare(struct stack *s, struct tcp_syn *e, const struct tcp_seg *seg)
{
	uint32_t us;

	if (seg->seq + seg_space(seg) != e->irs + 1 || e->tries >= defer_of(s, e))
		return false;
	if (!(e->opts & TCP_SYN_BARE) && !may_wait(s, e))
		return false;
	STAT_INC(s, IS_TCP_DEFERRED);
	if (e->opts & TCP_SYN_BARE)
		return true;
	us = u32_max((uint32_t)s->now_us - e->sent_us, 1);
	if (e->tries)
		us = e->opts & TCP_SYN_TS ? tcp_rtt_echo(s, e->ts_off, seg) : 0;
	e->bare_us = (us & ~TCP_SYN_LOST) | (e->tries > 1 ? TCP_SYN_LOST : 0);
	atomic_signal_fence(memory_order_seq_cst); /* says nothing before it is marked: see tcp_enter() */
	e->opts |= TCP_SYN_BARE;
	++*tcp_bare_of(s, e);
	return true;
}

/* E was acknowledged, but its user has no room. Another SYN-ACK, when there is some, makes the
 * peer acknowledge again. */
static void hold_acked(struct stack *s, const struct tcp_lsn *l, struct tcp_syn *e)
{
	if (e->held)
		return;
	if (e->acked || l->held >= HELD_MAX) {
		STAT_INC(s, IS_DROP_ACCEPT_FULL);
		return;
	}
	e->acked = 1; /* once: then it goes on as any that has no answer */
	e->tries = e->tries ? e->tries : 1; /* no RTT sample */
	hold(s, e);
	STAT_INC(s, IS_TCP_SYN_HELD);
}

/* E has been acknowledged by SEG. False: no room; it stays as it is. */
static bool syn_promote(struct stack *s, struct tcp_lsn *l, struct tcp_syn *e, bool cached, struct tcp_seg *seg)
{
	struct ip_path path = { 0 };
	struct tcb *t;

	if (ip_path_answer(s, &path, &e->laddr, &e->raddr, seg->pkt->port) != 0) {
		STAT_INC(s, IS_DROP_NO_ROUTE);
		return false;
	}
	t = tcp_syn_tcb(s, e, seg, &path);
	if (!t) {
		STAT_INC(s, IS_DROP_TCP_MEM);
		return false;
	}
	tcp_enter(t);
	t->c.state = TCP_ST_ESTABLISHED;
	if (s->env->ops->accept(s->env->arg, &l->l, &t->c) != 0) {
		tcp_leave(t);
		tcb_free(s, t);
		if (cached)
			hold_acked(s, l, e);
		else
			STAT_INC(s, IS_DROP_ACCEPT_FULL);
		return false;
	}
	if (cached)
		tcp_syncache_free(s, e);
	tcp_hash_insert(s, TCP_REF(TCP_REF_CONN, t->c.index));
	tcp_change_state(s, t, TCP_ST_ESTABLISHED);
	tcp_leave(t);
	tcp_input_conn(s, t, seg);
	return true;
}

/* True: SEG was answered or dropped and counted. */
static bool syncache_refuse(struct stack *s, struct tcp_syn *e, const struct tcp_seg *seg)
{
	uint32_t rcv_nxt = e->irs + 1;
	bool begins = seq_geq(seg->seq, rcv_nxt) && seq_lt(seg->seq, rcv_nxt + e->wnd);
	bool in_window = begins || (seq_lt(seg->seq, rcv_nxt) && seq_gt(seg->seq + seg_space(seg), rcv_nxt));

	if (seg->flags & TCPF_RST) { /* RFC 5961, 3 */
		if (seg->seq == rcv_nxt) {
			STAT_INC(s, IS_TCP_RST_IN);
			tcp_syncache_free(s, e);
		} else {
			STAT_INC(s, IS_DROP_TCP_WINDOW);
			if (begins)
				syn_challenge(s, e);
		}
		return true;
	}
	if (seg->flags & TCPF_SYN) {
		STAT_INC(s, IS_DROP_TCP_DUP);
		if (seg->seq == e->irs && !(seg->flags & TCPF_ACK)) {
			if (!e->held)
				resend_synack(s, e);
		} else
			syn_challenge(s, e);
		return true;
	}
	if (tcp_paws_reject(s, e->opts & TCP_SYN_TS, e->ts_recent, tcp_now_s(s), seg)) {
		STAT_INC(s, IS_DROP_TCP_PAWS);
		if (seg->opt & TO_TS) /* else silently (RFC 7323, 3.2) */
			syn_challenge(s, e);
		return true;
	}
	if (!in_window) {
		STAT_INC(s, IS_DROP_TCP_WINDOW);
		syn_challenge(s, e);
		return true;
	}
	if (!(seg->flags & TCPF_ACK)) {
		STAT_INC(s, IS_DROP_TCP_STATE);
		return true;
	}
	if (seg->ack != e->iss + 1) {
		STAT_INC(s, IS_DROP_TCP_ACK);
		tcp_send_rst(s, seg);
		return true;
	}
	return false;
}

void tcp_syncache_input(struct stack *s, struct tcp_syn *e, struct tcp_seg *seg)
{
	if (!syncache_refuse(s, e, seg) && !bare(s, e, seg))
		syn_promote(s, &s->tcp->lsns[e->listener], e, true, seg);
}

bool tcp_cookie_input(struct stack *s, struct tcp_seg *seg)
{
	struct tcp_syn e = { 0 };
	struct tcp_lsn *l;
	uint16_t mss;
	uint32_t bits;

	if (!s->tcp->cookie_us || s->now_us - s->tcp->cookie_us > COOKIE_AFTER_US ||
	    (seg->flags & (TCPF_ACK | TCPF_SYN | TCPF_RST)) != TCPF_ACK)
		return false;
	l = tcp_lookup_listener(s, seg->pkt, seg->dport, seg->hash);
	if (!l || !tcp_cookie_check(s, seg, &mss))
		return false;
	tcp_syn_take(s, l, &e, seg);
	e.listener = (uint16_t)l->l.index;
	e.irs = seg->seq - 1;
	e.iss = seg->ack - 1;
	e.peer_mss = mss;
	e.sent_us = 0; /* no RTT sample */
	e.opts = 0;
	if (seg->opt & TO_TS) {
		bits = seg->tsecr & COOKIE_OPT_MASK;
		e.opts = TCP_SYN_TS;
		if (bits & COOKIE_SACK)
			e.opts |= TCP_SYN_SACK;
		if (bits & COOKIE_ECN)
			e.opts |= TCP_SYN_ECN;
		if ((bits & 15) != COOKIE_NO_WS) {
			e.opts |= TCP_SYN_WS;
			e.snd_ws = bits & 15;
		}
	}
	take_listener(s, l, &e); /* the options of a connection that nothing was remembered of are those of now */
	if (syn_promote(s, l, &e, false, seg))
		STAT_INC(s, IS_TCP_COOKIES_OK);
	return true;
}
