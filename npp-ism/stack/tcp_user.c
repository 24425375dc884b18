/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_user.c - TCP's side of stack.h: what the user of the stack asks for
 *
 * These calls note what is wanted and put the connection on the list of work; segments
 * leave, and events arrive, at the next stack_flush(). Only stack_tcp_push() and stack_tcp_abort() act at once.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>

#include "npp-ism/stack/tcp.h"

#define PORT_FIRST 32768u
#define PORT_COUNT (60999u - 32768u + 1)

static bool alive(const struct tcb *t)
{
	return t->in_use && !(t->flags & TF_DEAD);
}

/* ---- listeners --------------------------------------------------------------------------- */

/* Between hosts nppd has judged when it granted the port. */
static bool listener_conflicts(const struct tcp_lsn *l, const struct tcp_listener *want)
{
	return l->in_use && l->l.port == want->port && npp_addr_eq(&l->l.addr, &want->addr) &&
	       l->l.user_host == want->user_host && !(l->l.reuseport && want->reuseport);
}

struct tcp_listener *stack_listen(struct stack *s, const struct tcp_listener *template, int *err)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t i = tcp->lsn_pool.free, gen;
	struct tcp_lsn *l;

	for (uint32_t k = 0; k < tcp->lsn_pool.count; k++) {
		if (listener_conflicts(&tcp->lsns[k], template)) {
			*err = -EADDRINUSE;
			return NULL;
		}
	}
	if (i == TCP_NONE) {
		*err = -ENOBUFS;
		return NULL;
	}
	l = &tcp->lsns[i];
	tcp_enter(l);
	tcp->lsn_pool.free = l->hnext;
	tcp->lsn_pool.used++;
	gen = l->l.gen;
	l->l = *template;
	l->l.index = i;
	l->l.gen = gen;
	l->half_open = l->held = l->tfo_open = l->tfo_reset = 0;
	tcp_listener_insert(s, l);
	l->in_use = 1;
	tcp_leave(l);
	tcp_gauges(s);
	*err = 0;
	return &l->l;
}

void stack_unlisten(struct stack *s, struct tcp_listener *pub)
{
	struct tcp_lsn *l = (struct tcp_lsn *)pub;
	struct tcp_state *tcp = s->tcp;

	if (!l->in_use)
		return;
	tcp_enter(l);
	tcp_syncache_drop_listener(s, l->l.index);
	tcp_listener_remove(s, l);
	l->in_use = 0;
	l->l.gen = (l->l.gen + 1) & 0xfff;
	tcp_leave(l);
	l->hnext = tcp->lsn_pool.free;
	tcp->lsn_pool.free = l->l.index;
	tcp->lsn_pool.used--;
	tcp_gauges(s);
}

struct tcp_listener *stack_listener(struct stack *s, uint32_t index)
{
	if (index >= s->tcp->lsn_pool.count || !s->tcp->lsns[index].in_use)
		return NULL;
	return &s->tcp->lsns[index].l;
}

/* ---- active open ----------------------------------------------------------------------------- */

/* Can our end be LPORT? *TW: a TIME_WAIT record that would have to go. */
static bool pair_is_free(struct stack *s, const struct ip_path *path, uint16_t lport, uint16_t rport,
			 struct tcp_tw **tw)
{
	uint32_t hash = tcp_hash(s, &path->src, lport, &path->dst, rport);
	uint32_t ref = tcp_lookup(s, hash, &path->src, lport, &path->dst, rport);

	*tw = NULL;
	if (ref == TCP_NONE)
		return true;
	if (TCP_REF_KIND(ref) != TCP_REF_TW || !tcp_tw_reusable(s, &s->tcp->tws[TCP_REF_IDX(ref)]))
		return false;
	*tw = &s->tcp->tws[TCP_REF_IDX(ref)];
	return true;
}

static bool port_granted(const struct npp_global *g, uint32_t port)
{
	return atomic_load_explicit(&g->granted[0][port / 64], memory_order_relaxed) >> (port % 64) & 1;
}

/* A source port whose answers come to this IOP; 0: none. One after the other from a secret place for each
 * destination (RFC 6056, 3.3.3): a port comes again as late as can be, for the destination may still have
 * its last connection in TIME_WAIT, and by chance one of some hundred would meet that. */
static uint16_t pick_port(struct stack *s, const struct ip_path *path, uint16_t rport, struct tcp_tw **tw)
{
	const struct npp_global *g = s->env->global;
	/* pairs with the release store by which nppd makes a program active */
	const struct npp_hash_prog *prog =
		&g->prog[atomic_load_explicit(&g->prog_active, memory_order_acquire) & 1];
	uint32_t start = (tcp_port_offset(s, &path->src, &path->dst, rport) + s->tcp->port_next) % PORT_COUNT;
	struct npp_flow_key key = { .src = path->dst, .dst = path->src, .sport = htons(rport), .proto = IPPROTO_TCP };

	for (uint32_t i = 0; i < PORT_COUNT; i++) {
		uint32_t port = PORT_FIRST + (start + i) % PORT_COUNT;

		if (port_granted(g, port))
			continue;
		key.dport = htons((uint16_t)port);
		if (npp_hash_iop(prog, &key) == s->cfg.iop && pair_is_free(s, path, (uint16_t)port, rport, tw)) {
			s->tcp->port_next += i + 1;
			return (uint16_t)port;
		}
	}
	return 0;
}

static struct tcb *open_tcb(struct stack *s, const struct ip_path *path, uint16_t lport, uint16_t rport,
			    struct tcp_tw *tw)
{
	struct tcb *t = tcb_alloc(s, path, lport, rport);

	if (!t)
		return NULL;
	tcp_enter(t);
	t->iss = tcp_isn(s, &t->c.laddr, lport, &t->c.raddr, rport);
	if (tw) { /* RFC 6191: after everything that the old connection used */
		t->iss = seq_max(t->iss, tw->snd_nxt + 65537);
		tcp_tw_free(s, tw);
	}
	t->ts_off = tcp_ts_offset(s, &t->c.laddr, lport, &t->c.raddr, rport);
	t->snd_una = t->iss;
	t->snd_nxt = t->snd_sml = t->recover = t->fack = t->rtt_seq = t->iss + 1;
	t->cwnd = 1;
	tcp_update_mss(t);
	tcp_hash_insert(s, TCP_REF(TCP_REF_CONN, t->c.index));
	tcp_leave(t);
	return t;
}

struct tcp_conn *stack_connect(struct stack *s, const union npp_addr *laddr, uint16_t lport,
			       const union npp_addr *raddr, uint16_t rport, const struct tcp_options *opts, int *err)
{
	uint8_t port = opts && opts->by_port ? (uint8_t)(opts->by_port - 1) : NPP_PORT_ANY;
	struct ip_path path = { 0 };
	struct tcp_tw *tw = NULL;
	struct tcb *t;

	*err = rport && !npp_addr_is_any(raddr) ? ip_path_answer(s, &path, laddr, raddr, port) : -EADDRNOTAVAIL;
	if (!*err && ip_is_group(s, raddr)) /* RFC 9293, 3.9.2.3 */
		*err = -ENETUNREACH;
	if (*err)
		return NULL;
	if (!lport) {
		lport = pick_port(s, &path, rport, &tw);
		if (!lport) {
			*err = -EADDRNOTAVAIL;
			return NULL;
		}
	} else if (!pair_is_free(s, &path, lport, rport, &tw)) {
		*err = -EADDRINUSE;
		return NULL;
	}
	t = open_tcb(s, &path, lport, rport, tw);
	if (!t) {
		*err = -ENOBUFS;
		return NULL;
	}
	tcp_enter(t);
	t->c.state = TCP_ST_CLOSED;
	if (opts)
		stack_tcp_options(s, &t->c, opts);
	tcp_change_state(s, t, TCP_ST_SYN_SENT);
	if (tcp_tfo_may_wait(s, t)) {
		t->snd_nxt = t->iss;
		t->up |= TCP_UP_CONNECTED | TCP_UP_TX; /* it may write */
		tcp_due(s, t, DUE_TX, s->now_us + TCP_TFO_DEFER_US);
	} else {
		tcp_send_first_syn(s, t);
	}
	tcp_leave(t);
	return &t->c;
}

struct tcp_conn *stack_conn(struct stack *s, uint32_t index)
{
	if (index >= s->tcp->conn_pool.count || !s->tcp->conns[index].in_use)
		return NULL;
	return &s->tcp->conns[index].c;
}

uint32_t stack_conn_limit(const struct stack *s)
{
	return s->tcp->conn_pool.count;
}

/* ---- an open connection --------------------------------------------------------------------------- */

void stack_tcp_options(struct stack *s, struct tcp_conn *c, const struct tcp_options *o)
{
	struct tcb *t = tcb_of(c);
	bool keep = (t->opt_flags ^ o->opt_flags) & NPP_OPT_KEEPALIVE || t->keep_idle_s != o->keep_idle_s;

	if (!alive(t))
		return;
	tcp_enter(t);
	t->opt_flags = (uint16_t)(o->opt_flags & ~(NPP_OPT_RCVBUF | TCB_NO_COOKIE | TCB_TELL_SENT | TCB_MORE));
	if (o->opt_flags & NPP_OPT_TFO_NO_COOKIE)
		t->opt_flags |= TCB_NO_COOKIE;
	if (o->tell_sent)
		t->opt_flags |= TCB_TELL_SENT;
	if (o->rcvbuf) {
		t->opt_flags |= NPP_OPT_RCVBUF;
		t->rcvbuf = npp_tcp_mem_set(tcp_rmem(s), o->rcvbuf);
	} else if (o->rcv_least) {
		t->rcvbuf = u32_max(t->rcvbuf, u32_min(o->rcv_least, tcp_rmem(s).max));
	}
	t->keep_idle_s = (uint16_t)u32_min(o->keep_idle_s, 32767);
	t->keep_intvl_s = (uint16_t)u32_min(o->keep_intvl_s, 32767);
	if (!(t->flags & TF_ORPHAN))
		t->keep_cnt = (uint8_t)u32_min(o->keep_cnt, 127);
	t->user_timeout_ms = o->user_timeout_ms;
	t->tos = o->tos & 0xfc; /* the other two bits are ECN's */
	t->ttl = o->ttl;
	t->max_pace = o->max_pace;
	if (t->c.state == TCP_ST_CLOSED) { /* being opened */
		t->syn_mss = o->max_seg;
		t->syn_cnt = (uint8_t)u32_min(o->syn_cnt, 127);
	}
	tcp_cc_change(t, tcp_cc_choose(s, o->cc));
	if (keep && t->c.state >= TCP_ST_ESTABLISHED)
		tcp_arm_keepalive(s, t);
	tcp_todo(s, t); /* Nagle or cork may have let go */
	tcp_leave(t);
}

void stack_tcp_sent(struct stack *s, struct tcp_conn *c, uint32_t tx_head)
{
	struct tcb *t = tcb_of(c);

	tcp_fetch(t, 0, TCB_SENDING);
	__builtin_prefetch(&s->tcp->timers[t - s->tcp->conns], 1); /* what is sent arms it */
	if (!alive(t) || t->flags & TF_FIN || !seq_gt(tx_head, t->c.tx_head))
		return;
	t->c.tx_head = tx_head;
	tcp_todo(s, t);
}

void stack_tcp_more(struct stack *s, struct tcp_conn *c, bool more)
{
	struct tcb *t = tcb_of(c);

	(void)s;
	if (more && alive(t))
		t->opt_flags |= TCB_MORE;
	else if (t->opt_flags & TCB_MORE)
		t->opt_flags &= (uint16_t)~TCB_MORE;
}

void stack_tcp_read(struct stack *s, struct tcp_conn *c, uint32_t rx_tail)
{
	struct tcb *t = tcb_of(c);

	tcp_fetch(t, 0, TCB_TEXT);
	if (!alive(t) || !seq_gt(rx_tail, t->c.rx_tail) || seq_gt(rx_tail, t->c.rx_head))
		return;
	tcp_recv_read(s, t, rx_tail);
}

void stack_tcp_urgent(struct stack *s, struct tcp_conn *c, uint32_t tx_up)
{
	struct tcb *t = tcb_of(c);
	uint32_t up = seq_of_off(t, tx_up);

	if (!alive(t) || t->flags & TF_FIN || !seq_gt(up, t->snd_una))
		return;
	tcp_enter(t);
	if (!(t->flags & TF_URG)) {
		t->rcv_up = t->rcv_nxt - 1;
		t->flags |= TF_URG;
	}
	t->snd_up = up;
	tcp_todo(s, t);
	tcp_leave(t);
}

uint32_t stack_tcp_rx_wake(const struct stack *s, const struct tcp_conn *c, bool *want)
{
	(void)s;
	return tcp_recv_wake((const struct tcb *)c, want);
}

bool stack_tcp_rx_empty(const struct stack *s, const struct tcp_conn *c)
{
	(void)s;
	return ((const struct tcb *)c)->ooo == TCP_NONE;
}

uint32_t stack_tcp_tx_useful(const struct stack *s, const struct tcp_conn *c)
{
	const struct tcb *t = (const struct tcb *)c;
	uint32_t flight = u32_min(t->cwnd, t->snd_wnd);

	(void)s;
	return tcp_buf_auto(t, flight > UINT32_MAX / 2 ? UINT32_MAX : 2 * flight);
}

uint32_t stack_tcp_buf_most(const struct tcp_conn *c, uint32_t max)
{
	return tcp_buf_auto((const struct tcb *)c, max);
}

uint32_t stack_tcp_rx_bound(const struct tcp_conn *c)
{
	const struct tcb *t = (const struct tcb *)c;
	uint32_t size = t->rx_short ? u32_min(t->rcvbuf, c->rx.size) : t->rcvbuf;
	uint32_t step = 2 * u32_max(t->rcv_mss, TCP_MSS_DEFAULT) + (2u << t->rcv_ws);

	return size / 2 > step ? size - step : size / 2;
}

uint32_t stack_tcp_tx_sent(const struct stack *s, const struct tcp_conn *c)
{
	const struct tcb *t = (const struct tcb *)c;
	uint32_t off = t->snd_nxt - t->iss - 1;

	(void)s;
	return seq_gt(off, c->tx_head) ? c->tx_head : off; /* not counting a FIN */
}

void stack_tcp_shutdown(struct stack *s, struct tcp_conn *c, uint32_t tx_final)
{
	struct tcb *t = tcb_of(c);

	if (!alive(t) || t->flags & TF_FIN)
		return;
	tcp_enter(t);
	if (seq_gt(tx_final, t->c.tx_head))
		t->c.tx_head = tx_final;
	t->flags |= TF_FIN;
	if (t->c.state == TCP_ST_ESTABLISHED)
		tcp_change_state(s, t, TCP_ST_FIN_WAIT_1);
	else if (t->c.state == TCP_ST_CLOSE_WAIT)
		tcp_change_state(s, t, TCP_ST_LAST_ACK);
	tcp_todo(s, t);
	tcp_leave(t);
}

void stack_tcp_close(struct stack *s, struct tcp_conn *c, uint32_t tx_final, uint8_t linger2)
{
	struct tcb *t = tcb_of(c);

	if (!alive(t))
		return;
	/* What was written in the belief that Fast Open had connected it shall arrive. */
	if (t->c.state == TCP_ST_SYN_SENT && !t->c.tx_head && tx_final == 0) {
		tcp_kill(s, t, 0);
		return;
	}
	stack_tcp_shutdown(s, c, tx_final);
	if (!(t->flags & TF_ORPHAN) && s->tcp->orphans >= u32_max(TCP_ORPHANS_MIN, s->tcp->conn_pool.count / 4)) {
		STAT_INC(s, IS_ORPHANS_FULL);
		tcp_reset(s, t, 0);
		return;
	}
	s->tcp->orphans += !(t->flags & TF_ORPHAN);
	t->flags |= TF_ORPHAN;
	t->linger2 = linger2;
	t->progress_ms = now_ms(s);
	tcp_todo(s, t);
}

void stack_tcp_push(struct stack *s, struct tcp_conn *c)
{
	struct tcb *t = tcb_of(c);

	if (!alive(t) || t->c.state < TCP_ST_ESTABLISHED)
		return;
	tcp_enter(t);
	tcp_output(s, t);
	tcp_leave(t);
}

void stack_tcp_abort(struct stack *s, struct tcp_conn *c)
{
	struct tcb *t = tcb_of(c);

	if (!t->in_use)
		return;
	if (!(t->flags & TF_DEAD))
		tcp_reset(s, t, 0);
	tcp_bury(s, t);
}

/* As TCP_INFO names them. */
#define INFO_TIMESTAMPS 1u
#define INFO_SACK 2u
#define INFO_WSCALE 4u
#define INFO_ECN 8u
#define INFO_SYN_DATA 32u

static uint32_t in_segments(const struct tcb *t, uint32_t bytes)
{
	return t->mss ? (bytes + t->mss - 1) / t->mss : 0;
}

/* TCP_CA_* of Linux. */
static uint32_t ca_state(const struct tcb *t)
{
	switch (t->recovery) {
	case TCP_RECOVERY:
		return 3;
	case TCP_LOSS:
		return 4;
	default:
		return t->flags & TF_ECN_ROUND ? 2 : t->sacked || t->dupacks ? 1 : 0;
	}
}

void tcp_brief(const struct tcb *t, uint32_t ms, struct npp_tcp_brief *out)
{
	bool probing = t->tx_mode == TXM_PERSIST;

	*out = (struct npp_tcp_brief){
		.rtt_us = t->srtt_us,
		.rttvar_us = t->rttvar_us,
		.rto_us = t->rto_us,
		.cwnd = t->cwnd,
		.ssthresh = t->ssthresh,
		.snd_mss = t->mss,
		.rcv_mss = t->rcv_mss,
		.rcv_wnd = seq_gt(t->rcv_adv, t->rcv_nxt) ? t->rcv_adv - t->rcv_nxt : 0,
		.snd_wnd = t->snd_wnd,
		.retrans = t->n_retrans,
		.lost = in_segments(t, t->lost),
		.unacked = t->snd_nxt - t->snd_una,
		.pmtu = t->c.path.mtu,
		.last_rx_ms = ms - t->last_rx_ms,
		.last_tx_ms = ms - t->last_tx_ms,
		.min_rtt_us = t->min_rtt_us,
		.sacked = in_segments(t, t->sacked),
		.delivered = t->delivered,
		.delivered_ce = t->delivered_ce,
		.dsack_dups = t->n_dsack,
		.bytes_retrans = t->bytes_retrans,
		.reordering = t->flags & TF_REORDERS ? t->reo_mult : 0,
		.cc = t->cc,
		.ca_state = ca_state(t),
		.scales = t->flags & TF_WS ? (uint8_t)(t->snd_ws | t->rcv_ws << 4) : 0,
		.tries = probing ? 0 : t->tries,
		.probes = probing ? t->tries : t->keep_probes,
		.backoff = probing ? t->probe_shift : t->backoff,
		.adv_mss = tcp_path_mss(&t->c.path),
		.options = (t->flags & TF_TS ? INFO_TIMESTAMPS : 0) | (t->flags & TF_SACK ? INFO_SACK : 0) |
			   (t->flags & TF_WS ? INFO_WSCALE : 0) | (t->flags & TF_ECN ? INFO_ECN : 0) |
			   (t->flags & TF_FASTOPEN ? INFO_SYN_DATA : 0),
	};
}

void stack_tcp_brief(const struct stack *s, const struct tcp_conn *c, struct npp_tcp_brief *out)
{
	const struct tcb *t = (const struct tcb *)c;
	const struct tcp_flight *f = tcp_flight(s, t);
	const struct tcp_sent *r = f ? &f->r[f->first] : t->sent;
	uint32_t at = t->snd_una, again = 0;

	tcp_brief(t, now_ms(s), out);
	for (unsigned i = 0; i < t->n_sent; at = r[i++].end)
		again += r[i].flags == SENT_AGAIN ? r[i].end - at : 0;
	out->retrans_out = in_segments(t, again);
}
