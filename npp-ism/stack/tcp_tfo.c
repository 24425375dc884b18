/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_tfo.c - TCP Fast Open (RFC 7413): data in the SYN
 *
 * Server. A cookie is a keyed hash of both addresses and of a period of 12 hours, so that
 * keys change by themselves and all IOPs of an NPP, which have the same key, know each
 * other's cookies without a word; those of the last period still count, and are renewed. A listener may have
 * keys of its own, which change when it says so: then cookies are those that Linux makes of such a key, so that several
 * servers with the same key and address, behind something that shares out the load, know each other's.
 * A SYN with a good one makes a TCB at once, in SYN_RECEIVED, which its program may read from
 * and write to. How many of these there may be is a setting of the listener; those that the peer
 * resets count on for a minute (RFC 7413, 5.1). Beyond that bound, or with a bad cookie, the SYN
 * is like any other.
 *
 * Client. A table holds the cookies of the last peers. connect() with a cookie at hand lets
 * the SYN wait for the first data; what the SYN-ACK does not acknowledge of it is sent again as if
 * it never had been. SYNs are repeated without cookie and data, and a peer on whose path those get
 * lost is left alone for a while. What one IOP is given it tells the others.
 *
 * Both sides may do without cookies (TCP_FASTOPEN_NO_COOKIE): where that is safe is for whoever asks for it to know.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

#define KEY_PERIOD_US 43200000000ull
#define RESET_MS 60000u
#define LOSS_MS 60000u		/* after two lost in a row; doubled by each further one */
#define LOSS_SHIFT_MAX 10u

/* ---- server ---------------------------------------------------------------------------- */

struct cookie_input { union npp_addr ours, peer; uint64_t period; };
_Static_assert(sizeof(struct cookie_input) == 40, "no padding in what is hashed");

static void cookie_of(const struct stack *s, const union npp_addr *ours, const union npp_addr *peer, uint64_t period,
		      uint8_t cookie[TCP_TFO_COOKIE])
{
	struct cookie_input in = { .ours = *ours, .peer = *peer, .period = period };
	uint64_t h = npp_siphash(s->cfg.tfo_key, &in, sizeof in);

	memcpy(cookie, &h, TCP_TFO_COOKIE);
}

/* As Linux has it: the addresses only, as they stand in the header of the SYN. */
static void cookie_by(const uint64_t key[2], const union npp_addr *ours, const union npp_addr *peer, uint8_t cookie[TCP_TFO_COOKIE])
{
	unsigned from = npp_addr_is_v4(peer) ? 12 : 0, len = 16 - from;
	uint8_t in[2 * sizeof *peer];
	uint64_t h;

	memcpy(in, peer->b + from, len);
	memcpy(in + len, ours->b + from, len);
	h = npp_siphash(key, in, 2 * len);
	memcpy(cookie, &h, TCP_TFO_COOKIE);
}

/* The keys of LISTENER; 0: it has none. */
static unsigned keys_of(const struct stack *s, uint32_t listener, uint64_t key[NPP_TFO_KEYS][2])
{
	struct tcp_lsn *l = listener < s->tcp->lsn_pool.count ? &s->tcp->lsns[listener] : NULL;

	if (!l || !l->in_use || !s->env->ops->fastopen_keys)
		return 0;
	return s->env->ops->fastopen_keys(s->env->arg, &l->l, key);
}

void tcp_tfo_give(const struct stack *s, struct tcp_out *o, uint32_t listener, const union npp_addr *ours,
		  const union npp_addr *peer)
{
	uint64_t key[NPP_TFO_KEYS][2];
	uint8_t cookie[TCP_TFO_COOKIE];

	if (keys_of(s, listener, key))
		cookie_by(key[0], ours, peer, cookie);
	else
		cookie_of(s, ours, peer, s->now_us / KEY_PERIOD_US, cookie);
	tcp_opt_put_tfo(o, cookie, sizeof cookie);
}

static bool cookie_ok(const struct stack *s, const struct tcp_lsn *l, const struct tcp_seg *seg)
{
	uint64_t period = s->now_us / KEY_PERIOD_US, key[NPP_TFO_KEYS][2];
	unsigned n = keys_of(s, l->l.index, key);
	uint8_t want[TCP_TFO_COOKIE];

	if (seg->tfo_len != TCP_TFO_COOKIE)
		return false;
	for (unsigned i = 0; i < n && i < NPP_TFO_KEYS; i++) {
		cookie_by(key[i], &seg->pkt->dst, &seg->pkt->src, want);
		if (memcmp(want, seg->tfo, sizeof want) == 0)
			return true;
	}
	for (unsigned age = 0; !n && age < 2 && age <= period; age++) {
		cookie_of(s, &seg->pkt->dst, &seg->pkt->src, period - age, want);
		if (memcmp(want, seg->tfo, sizeof want) == 0)
			return true;
	}
	return false;
}

static bool room_for_one(const struct stack *s, struct tcp_lsn *l, uint32_t max)
{
	if (l->tfo_reset && now_ms(s) - l->tfo_reset_ms >= RESET_MS)
		l->tfo_reset = 0;
	return (uint64_t)l->tfo_open + l->tfo_reset < max;
}

/* The SYN-ACK of T, and the data of SEG. */
static void open_now(struct stack *s, struct tcp_lsn *l, struct tcb *t, const struct tcp_seg *seg)
{
	struct tcp_seg text = *seg;

	tcp_hash_insert(s, TCP_REF(TCP_REF_CONN, t->c.index));
	l->tfo_open++;
	t->flags |= TF_FASTOPEN;
	text.seq++;
	text.flags &= (uint8_t)~TCPF_SYN;
	if (text.len)
		tcp_recv_data(s, t, &text);
	t->rack_us = (uint32_t)s->now_us;
	tcp_send_syn(s, t);
	tcp_arm_rto(s, t);
	tcp_todo(s, t);
}

bool tcp_tfo_syn(struct stack *s, struct tcp_lsn *l, const struct tcp_seg *seg, const struct ip_path *path,
		 uint32_t min_iss, bool *give)
{
	uint32_t max = s->env->ops->fastopen ? s->env->ops->fastopen(s->env->arg, &l->l) : 0;
	struct tcp_options o = { 0 };
	struct tcp_syn e = { 0 };
	struct tcb *t;

	if (!max)
		return false;
	if (s->env->ops->listener_options)
		s->env->ops->listener_options(s->env->arg, &l->l, &o);
	if (!(o.opt_flags & NPP_OPT_TFO_NO_COOKIE))
		*give = seg->opt & TO_TFO;
	if (*give ? !seg->tfo_len : !(o.opt_flags & NPP_OPT_TFO_NO_COOKIE))
		return false; /* asks for one, or is a SYN with data like any */
	if (*give && !cookie_ok(s, l, seg)) {
		STAT_INC(s, IS_TFO_BAD);
		return false;
	}
	if (!room_for_one(s, l, max)) {
		STAT_INC(s, IS_TFO_FULL);
		return false;
	}
	tcp_syn_take(s, l, &e, seg);
	e.listener = (uint16_t)l->l.index;
	e.sent_us = 0;
	e.iss = tcp_isn(s, &e.laddr, e.lport, &e.raddr, e.rport);
	if (min_iss && seq_lt(e.iss, min_iss))
		e.iss = min_iss;
	t = tcp_syn_tcb(s, &e, seg, path);
	if (!t)
		return false;
	tcp_enter(t);
	t->snd_wnd = t->max_wnd = seg->wnd; /* that of a SYN is not scaled */
	t->c.state = TCP_ST_SYN_RECEIVED;
	if (s->env->ops->accept(s->env->arg, &l->l, &t->c) != 0) {
		tcp_leave(t);
		tcb_free(s, t);
		return false;
	}
	STAT_INC(s, IS_TFO_IN);
	open_now(s, l, t, seg);
	tcp_leave(t);
	return true;
}

void tcp_tfo_done(struct stack *s, struct tcb *t, bool reset)
{
	struct tcp_lsn *l = t->c.listener < s->tcp->lsn_pool.count ? &s->tcp->lsns[t->c.listener] : NULL;

	if (!l || !l->in_use || !l->tfo_open)
		return; /* the listener has gone meanwhile, another may stand there */
	l->tfo_open--;
	if (reset) {
		l->tfo_reset++;
		l->tfo_reset_ms = now_ms(s);
	}
}

/* ---- client ---------------------------------------------------------------------------- */

static struct tcp_tfo_peer *set_of(struct stack *s, const union npp_addr *addr)
{
	uint32_t h = tcp_hash(s, addr, 0, addr, 0);

	return &s->tcp->tfo[h % (TCP_TFO_PEERS / TCP_TFO_WAYS) * TCP_TFO_WAYS];
}

static struct tcp_tfo_peer *find(struct stack *s, const union npp_addr *addr)
{
	struct tcp_tfo_peer *p = set_of(s, addr);

	for (unsigned i = 0; i < TCP_TFO_WAYS; i++)
		if (p[i].len && npp_addr_eq(&p[i].addr, addr))
			return &p[i];
	return NULL;
}

/* Its own place, a free one, or that of whom we have not spoken to for longest. */
static struct tcp_tfo_peer *place(struct stack *s, const union npp_addr *addr)
{
	struct tcp_tfo_peer *p = find(s, addr), *set = set_of(s, addr);

	if (p)
		return p;
	p = set;
	for (unsigned i = 1; i < TCP_TFO_WAYS && p->len; i++)
		if (!set[i].len || seq_lt(set[i].used_ms, p->used_ms))
			p = &set[i];
	return p;
}

static bool usable(const struct stack *s, const struct tcp_tfo_peer *p)
{
	return p && (p->losses < 2 ||
		     now_ms(s) - p->lost_ms >= LOSS_MS << u32_min(p->losses - 2u, LOSS_SHIFT_MAX));
}

bool tcp_tfo_may_wait(struct stack *s, const struct tcb *t)
{
	const struct tcp_tfo_peer *p = find(s, &t->c.raddr);

	return t->opt_flags & NPP_OPT_FASTOPEN && (usable(s, p) || (!p && t->opt_flags & TCB_NO_COOKIE));
}

bool tcp_tfo_waits(const struct tcb *t)
{
	return t->c.state == TCP_ST_SYN_SENT && t->snd_nxt == t->iss;
}

uint32_t tcp_tfo_put(struct stack *s, struct tcb *t, struct tcp_out *o)
{
	struct tcp_tfo_peer *p = find(s, &t->c.raddr);
	uint32_t len, mss, used;

	if (t->tries) { /* again: without (RFC 7413, 4.2.1) */
		if (t->tries == 1 && p && t->flags & TF_FASTOPEN) {
			p->losses = (uint8_t)u32_min(p->losses + 1u, 255);
			p->lost_ms = now_ms(s);
		}
		return 0;
	}
	if (p && !usable(s, p))
		return 0;
	if (!(t->opt_flags & TCB_NO_COOKIE))
		tcp_opt_put_tfo(o, p ? p->cookie : NULL, p ? p->len : 0);
	if (!p && !(t->opt_flags & TCB_NO_COOKIE))
		return 0;
	if (p)
		p->used_ms = now_ms(s);
	used = (uint32_t)(o->opt - (o->tx.head + STACK_L4_OFF)) - TCP_HDR_MIN;
	mss = u32_min(p ? p->mss : tcp_default_mss(&t->c.raddr), tcp_path_mss(&t->c.path));
	len = u32_min(t->c.tx.base ? t->c.tx_head : 0, mss > used ? mss - used : 0);
	if (t->flags & TF_URG) /* a SYN has no urgent pointer: what it would point at follows the handshake */
		len = u32_min(len, tcp_urg_ahead(t));
	if (len) {
		t->flags |= TF_FASTOPEN;
		STAT_INC(s, IS_TFO_OUT);
	}
	return len;
}

/* What ADDR has given. True: it is news. */
static bool keep(struct stack *s, const union npp_addr *addr, const uint8_t *cookie, uint8_t len, uint16_t mss)
{
	struct tcp_tfo_peer *p = place(s, addr);
	bool same = p->len && npp_addr_eq(&p->addr, addr);
	bool news = !same || p->len != len || p->mss != mss || memcmp(p->cookie, cookie, len) != 0;

	tcp_enter(p);
	if (!same)
		p->losses = 0;
	p->addr = *addr;
	p->len = len;
	memcpy(p->cookie, cookie, len);
	p->mss = mss;
	p->used_ms = now_ms(s);
	tcp_leave(p);
	return news;
}

static void tell_others(struct stack *s, const union npp_addr *addr, const uint8_t *cookie, uint8_t len, uint16_t mss)
{
	struct npp_ipc_tfo n = { .addr = *addr, .mss = mss, .len = len };
	struct npp_frame_rec rec = { .len = sizeof n, .kind = NPP_REC_TFO };

	memcpy(n.cookie, cookie, len);
	for (unsigned i = 0; i < s->cfg.n_iops; i++)
		if (i != s->cfg.iop)
			s->env->ops->ipc(s->env->arg, i, NPP_REC_TFO, &rec, &n, sizeof n);
}

void tcp_tfo_told(struct stack *s, const void *data, uint32_t len)
{
	struct npp_ipc_tfo n;

	if (len < sizeof n) {
		STAT_INC(s, IS_DROP_FRAME);
		return;
	}
	memcpy(&n, data, sizeof n);
	if (n.len < 4 || n.len > TCP_TFO_COOKIE_MAX || n.len % 2 || n.mss < TCP_MSS_MIN || npp_addr_is_any(&n.addr))
		STAT_INC(s, IS_DROP_FRAME);
	else
		keep(s, &n.addr, n.cookie, n.len, n.mss);
}

void tcp_tfo_synack(struct stack *s, struct tcb *t, const struct tcp_seg *seg)
{
	struct tcp_tfo_peer *p;

	if (t->flags & TF_FASTOPEN && seg->ack == t->iss + 1)
		t->flags &= ~TF_FASTOPEN; /* it took none of the data */
	if (t->flags & TF_FASTOPEN && !t->tries) {
		p = find(s, &t->c.raddr);
		if (p)
			p->losses = 0;
	}
	if (!(seg->opt & TO_TFO) || !seg->tfo_len)
		return;
	if (keep(s, &t->c.raddr, seg->tfo, seg->tfo_len, t->peer_mss))
		tell_others(s, &t->c.raddr, seg->tfo, seg->tfo_len, t->peer_mss);
}

void tcp_tfo_attach(struct stack *s)
{
	for (unsigned i = 0; i < TCP_TFO_PEERS; i++) {
		struct tcp_tfo_peer *p = &s->tcp->tfo[i];

		if (p->busy || p->len > TCP_TFO_COOKIE_MAX)
			*p = (struct tcp_tfo_peer){ .len = 0 };
	}
}
