/* SPDX-License-Identifier: GPL-2.0-or-later
 * fake_stack.c - a stack without protocols that tests drive by hand
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/ismsock/fake_stack.h"

#define MUST(x) do { if (!(x)) { fprintf(stderr, "%s:%d: the stack was given nonsense: %s\n", __FILE__, __LINE__, #x); abort(); } } while (0)

#define ISM_FAKE_LISTENERS 64

struct fconn {
	struct tcp_conn c;
	bool used, closed, shut, ooo;
	uint32_t final, reads, seen;
	uint32_t up;
	uint32_t wake;
};
struct stack {
	struct stack_cfg cfg;
	const struct stack_env *env;
	uint64_t now;
	struct tcp_listener l[ISM_FAKE_LISTENERS];
	bool l_used[ISM_FAKE_LISTENERS];
	struct udp_endpoint u[ISM_FAKE_LISTENERS];
	bool u_used[ISM_FAKE_LISTENERS];
	struct fconn conn[];
};

struct fake_sent fake_sent;
struct fake_mem fake_mem[NPP_MAX_HOSTS];
static volatile uint8_t sink;

/* A fuzzer need not see which way this file goes: it is no part of what is tested, and most of what is executed. */
#ifdef NPP_FUZZING
#define UNSEEN __attribute__((no_sanitize("coverage")))
#else
#define UNSEEN
#endif

UNSEEN static void touch(const void *data, uint32_t len)
{
	const uint8_t *p = data;
	bool in = len == 0;

	for (int i = 0; i < NPP_MAX_HOSTS; i++)
		in |= fake_mem[i].base && p >= fake_mem[i].base && p + len <= fake_mem[i].base + fake_mem[i].size;
	MUST(in);
	for (uint32_t i = 0; i < len; i += 64)
		sink ^= p[i];
}

static struct fconn *fc(struct stack *s, const struct tcp_conn *c)
{
	MUST(c->index < s->cfg.max_conns && s->conn[c->index].used);
	return &s->conn[c->index];
}

UNSEEN static void ring_ok(const struct stack_ring *r)
{
	MUST((r->size & (r->size - 1)) == 0);
	MUST(r->size == 0 || r->base);
	if (r->size) {
		touch(r->base, 1);
		touch(r->base + r->size - 1, 1);
	}
}

size_t stack_size(const struct stack_cfg *cfg)
{
	return (sizeof(struct stack) + cfg->max_conns * sizeof(struct fconn) + 63) & ~(size_t)63;
}

uint64_t stack_layout_hash(void)
{
	return 42;
}

struct stack *stack_init(void *arena, const struct stack_cfg *cfg, const struct stack_env *env)
{
	struct stack *s = arena;

	s->cfg = *cfg;
	s->env = env;
	return s;
}

int stack_attach(struct stack *s, const struct stack_env *env, uint64_t now_us)
{
	s->env = env;
	s->now = now_us;
	return 0;
}

void stack_set_env(struct stack *s, const struct stack_env *env)
{
	s->env = env;
}

void stack_set_now(struct stack *s, uint64_t now_us)
{
	s->now = now_us;
}

unsigned stack_run_timers(struct stack *s, unsigned budget)
{
	(void)s;
	(void)budget;
	return 0;
}

uint64_t stack_next_timer(const struct stack *s)
{
	(void)s;
	return UINT64_MAX;
}

bool stack_timer_due(struct stack *s, uint64_t now_us)
{
	(void)s;
	(void)now_us;
	return false;
}

struct npp_frame_rec fake_input;
uint32_t fake_inputs;

void stack_input(struct stack *s, const struct npp_frame_rec *rec, const void *data, uint32_t len)
{
	(void)s;
	(void)data;
	MUST(rec->len == len);
	fake_input = *rec;
	fake_inputs++;
}

void stack_prefetch(struct stack *s, const void *const *frame, const uint32_t *len, unsigned n)
{
	(void)s, (void)frame, (void)len;
	MUST(n <= STACK_AHEAD);
}

UNSEEN void stack_flush(struct stack *s)
{
	for (uint32_t i = 0; i < s->cfg.max_conns; i++) {
		struct fconn *f = &s->conn[i];
		uint32_t up = f->up, at, n;

		if (!f->used)
			continue;
		ring_ok(&f->c.tx);
		ring_ok(&f->c.rx);
		for (; f->seen != f->c.tx_head; f->seen += n) { /* "send" what is new */
			MUST(f->c.tx.size);
			at = f->seen & (f->c.tx.size - 1);
			n = f->c.tx.size - at < f->c.tx_head - f->seen ? f->c.tx.size - at : f->c.tx_head - f->seen;
			touch(&f->c.tx.base[at], n);
		}
		f->up = 0;
		if (up)
			s->env->ops->event(s->env->arg, &f->c, up);
	}
}

/* ---- TCP ------------------------------------------------------------------------------ */

struct tcp_listener *stack_listen(struct stack *s, const struct tcp_listener *t, int *err)
{
	for (uint32_t i = 0; i < ISM_FAKE_LISTENERS; i++) {
		if (s->l_used[i])
			continue;
		uint32_t gen = s->l[i].gen + 1;

		s->l[i] = *t;
		s->l[i].index = i;
		s->l[i].gen = gen;
		s->l_used[i] = true;
		return &s->l[i];
	}
	*err = -ENOBUFS;
	return NULL;
}

void stack_unlisten(struct stack *s, struct tcp_listener *l)
{
	MUST(s->l_used[l->index]);
	s->l_used[l->index] = false;
}

struct tcp_listener *stack_listener(struct stack *s, uint32_t i)
{
	return i < ISM_FAKE_LISTENERS && s->l_used[i] ? &s->l[i] : NULL;
}

static struct fconn *conn_new(struct stack *s)
{
	for (uint32_t i = 0; i < s->cfg.max_conns; i++) {
		struct fconn *f = &s->conn[i];
		uint32_t gen = (f->c.gen + 1) & 0xfff;

		if (f->used)
			continue;
		memset(f, 0, sizeof *f);
		f->c.index = i;
		f->c.gen = gen;
		f->used = true;
		return f;
	}
	return NULL;
}

static void conn_free(struct stack *s, struct fconn *f, uint32_t up)
{
	up |= f->up;
	f->up = 0;
	f->c.state = TCP_ST_CLOSED;
	s->env->ops->event(s->env->arg, &f->c, up | TCP_UP_FREED);
	MUST(f->c.rx.size == 0 && f->c.tx.size == 0 && f->c.user_sock == 0);
	f->used = false;
}

struct tcp_conn *stack_connect(struct stack *s, const union npp_addr *laddr, uint16_t lport,
			       const union npp_addr *raddr, uint16_t rport, const struct tcp_options *opts, int *err)
{
	struct fconn *f;

	(void)opts;
	if (rport == 1) {
		*err = -ENETUNREACH;
		return NULL;
	}
	f = conn_new(s);
	if (!f) {
		*err = -ENOBUFS;
		return NULL;
	}
	f->c.laddr = npp_addr_is_any(laddr) ? npp_addr_v4(0x0100000a) : *laddr;
	f->c.lport = lport ? lport : 40000;
	f->c.raddr = *raddr;
	f->c.rport = rport;
	f->c.state = TCP_ST_SYN_SENT;
	return &f->c;
}

struct tcp_conn *stack_conn(struct stack *s, uint32_t i)
{
	return i < s->cfg.max_conns && s->conn[i].used ? &s->conn[i].c : NULL;
}

uint32_t stack_conn_limit(const struct stack *s)
{
	return s->cfg.max_conns;
}

void stack_tcp_options(struct stack *s, struct tcp_conn *c, const struct tcp_options *o)
{
	(void)o;
	fc(s, c);
}

void stack_tcp_sent(struct stack *s, struct tcp_conn *c, uint32_t head)
{
	MUST(!fc(s, c)->shut);
	MUST(head - c->tx_tail <= c->tx.size && head - c->tx_tail >= c->tx_head - c->tx_tail);
	c->tx_head = head;
}

bool fake_more;

void stack_tcp_more(struct stack *s, struct tcp_conn *c, bool more)
{
	fc(s, c);
	fake_more = more;
}

uint32_t fake_tx_up;

void stack_tcp_urgent(struct stack *s, struct tcp_conn *c, uint32_t up)
{
	fc(s, c);
	MUST(up - c->tx_tail - 1 < c->tx.size);
	fake_tx_up = up;
}

void stack_tcp_read(struct stack *s, struct tcp_conn *c, uint32_t tail)
{
	MUST(tail - c->rx_tail <= c->rx_head - c->rx_tail);
	c->rx_tail = tail;
	fc(s, c)->reads++;
}

uint32_t stack_tcp_rx_wake(const struct stack *s, const struct tcp_conn *c, bool *want)
{
	(void)s;
	*want = c->rx_head - c->rx_tail > 8192;
	return c->rx_tail + 4096;
}

bool stack_tcp_rx_empty(const struct stack *s, const struct tcp_conn *c)
{
	const struct fconn *f = &s->conn[c->index];

	MUST(f->used);
	return !f->ooo || !c->rx.size; /* without its ring it counts as never received */
}

void fake_out_of_order(struct stack *s, struct tcp_conn *c, bool on)
{
	fc(s, c)->ooo = on;
}

uint32_t fake_tx_useful = UINT32_MAX;

uint32_t stack_tcp_tx_useful(const struct stack *s, const struct tcp_conn *c)
{
	(void)s;
	(void)c;
	return fake_tx_useful;
}

uint32_t fake_buf_most = UINT32_MAX;

uint32_t stack_tcp_buf_most(const struct tcp_conn *c, uint32_t max)
{
	(void)c;
	return max < fake_buf_most ? max : fake_buf_most;
}

uint32_t fake_tx_sent;

uint32_t fake_rx_bound = UINT32_MAX;

uint32_t stack_tcp_rx_bound(const struct tcp_conn *c)
{
	(void)c;
	return fake_rx_bound;
}

uint32_t stack_tcp_tx_sent(const struct stack *s, const struct tcp_conn *c)
{
	(void)s;
	return fake_tx_sent > c->tx_head ? c->tx_head : fake_tx_sent;
}

void stack_tcp_shutdown(struct stack *s, struct tcp_conn *c, uint32_t final)
{
	MUST(final == c->tx_head);
	fc(s, c)->shut = true;
	if (c->state == TCP_ST_ESTABLISHED)
		c->state = TCP_ST_FIN_WAIT_1;
}

uint8_t fake_linger2;

void stack_tcp_close(struct stack *s, struct tcp_conn *c, uint32_t final, uint8_t linger2)
{
	struct fconn *f = fc(s, c);

	fake_linger2 = linger2;

	MUST(final == c->tx_head && !f->closed);
	f->closed = f->shut = true;
	if (c->state == TCP_ST_SYN_SENT)
		conn_free(s, f, 0);
}

uint32_t fake_pushed;

void stack_tcp_push(struct stack *s, struct tcp_conn *c)
{
	MUST(!fc(s, c)->closed);
	fake_pushed = c->tx_head;
}

void stack_tcp_abort(struct stack *s, struct tcp_conn *c)
{
	conn_free(s, fc(s, c), 0);
}

void stack_tcp_brief(const struct stack *s, const struct tcp_conn *c, struct npp_tcp_brief *out)
{
	(void)s;
	(void)c;
	memset(out, 0, sizeof *out);
	out->rtt_us = 7;
}

/* ---- UDP ------------------------------------------------------------------------------- */

uint32_t fake_udp_mtu = 1500;

struct udp_endpoint *stack_udp_bind(struct stack *s, const struct udp_endpoint *t, int *err)
{
	for (uint32_t i = 0; i < ISM_FAKE_LISTENERS; i++) {
		if (s->u_used[i])
			continue;
		uint32_t gen = s->u[i].gen + 1;

		s->u[i] = *t;
		s->u[i].index = i;
		s->u[i].gen = gen;
		s->u_used[i] = true;
		return &s->u[i];
	}
	*err = -ENOBUFS;
	return NULL;
}

int stack_udp_connect(struct stack *s, struct udp_endpoint *ep, const union npp_addr *laddr,
		      const union npp_addr *raddr, uint16_t rport)
{
	MUST(s->u_used[ep->index]);
	ep->laddr = *laddr;
	ep->raddr = *raddr;
	ep->rport = rport;
	return 0;
}

void stack_udp_unbind(struct stack *s, struct udp_endpoint *ep)
{
	MUST(s->u_used[ep->index]);
	s->u_used[ep->index] = false;
}

struct udp_endpoint *stack_udp(struct stack *s, uint32_t i)
{
	return i < ISM_FAKE_LISTENERS && s->u_used[i] ? &s->u[i] : NULL;
}

int stack_udp_members(struct stack *s, struct udp_endpoint *ep, const struct npp_member *m, unsigned n)
{
	MUST(s->u_used[ep->index]);
	for (unsigned i = 0; i < n; i++)
		MUST(m[i].n_sources <= NPP_SOCK_SOURCES);
	return 0;
}

uint32_t stack_udp_mtu(struct stack *s, const struct udp_endpoint *ep)
{
	(void)s;
	return npp_addr_is_any(&ep->raddr) ? 0 : fake_udp_mtu;
}

int stack_udp_send_from(struct stack *s, struct udp_endpoint *ep, const struct npp_dgram *d,
			const union npp_addr *src, const struct stack_slice *sl, unsigned n)
{
	(void)src;
	MUST(s->u_used[ep->index]);
	MUST(n <= 1 && (n == 0 ? d->len == 0 : sl->len == d->len) && d->len <= NPP_DGRAM_MAX);
	if (n)
		touch(sl->data, sl->len);
	fake_sent.d = *d;
	fake_sent.count++;
	fake_sent.first = n ? *(const uint8_t *)sl->data : 0;
	return d->port == 1 ? -EMSGSIZE : 0;
}

uint32_t fake_raddr = 0x0200000a;

/* ---- the tests' side ------------------------------------------------------------------------ */

bool fake_syn(struct stack *s, struct tcp_listener *l)
{
	return s->env->ops->accept_room(s->env->arg, l);
}

struct tcp_conn *fake_accept(struct stack *s, struct tcp_listener *l, uint16_t rport)
{
	struct fconn *f = conn_new(s);

	if (!f)
		return NULL;
	f->c.passive = 1;
	f->c.state = TCP_ST_ESTABLISHED;
	f->c.laddr = npp_addr_v4(0x0100000a);
	f->c.raddr = npp_addr_v4(fake_raddr);
	f->c.lport = l->port;
	f->c.rport = rport;
	f->c.listener = l->index;
	if (s->env->ops->accept(s->env->arg, l, &f->c) == 0)
		return &f->c;
	f->used = false;
	return NULL;
}

void fake_connected(struct stack *s, struct tcp_conn *c)
{
	c->state = TCP_ST_ESTABLISHED;
	fc(s, c)->up |= TCP_UP_CONNECTED;
}

void fake_refused(struct stack *s, struct tcp_conn *c, int err)
{
	c->error = err;
	conn_free(s, fc(s, c), TCP_UP_ERROR);
}

/* No more than the ring is large. */
static void into_ring(struct tcp_conn *c, uint32_t at, const void *data, uint32_t len)
{
	uint32_t o = c->rx.size ? at & (c->rx.size - 1) : 0, first = c->rx.size - o < len ? c->rx.size - o : len;

	if (!len)
		return;
	memcpy(c->rx.base + o, data, first);
	memcpy(c->rx.base, (const uint8_t *)data + first, len - first);
}

bool fake_rx_at(struct stack *s, struct tcp_conn *c, uint32_t at, const void *data, uint32_t len)
{
	fc(s, c);
	if (at + len - c->rx_tail > c->rx.size)
		s->env->ops->rx_grow(s->env->arg, c, at + len);
	ring_ok(&c->rx);
	if (at + len - c->rx_tail > c->rx.size)
		return false;
	into_ring(c, at, data, len);
	return true;
}

uint32_t fake_rx(struct stack *s, struct tcp_conn *c, const void *data, uint32_t len)
{
	struct fconn *f = fc(s, c);
	uint32_t room;

	if (f->closed)
		return 0;
	if (c->rx_head + len - c->rx_tail > c->rx.size)
		s->env->ops->rx_grow(s->env->arg, c, c->rx_head + len);
	ring_ok(&c->rx);
	room = c->rx.size - (c->rx_head - c->rx_tail);
	len = len < room ? len : room;
	into_ring(c, c->rx_head, data, len);
	c->rx_head += len;
	if (len)
		f->up |= TCP_UP_RX;
	return len;
}

void fake_fin(struct stack *s, struct tcp_conn *c)
{
	c->state = TCP_ST_CLOSE_WAIT;
	fc(s, c)->up |= TCP_UP_FIN;
}

void fake_ack(struct stack *s, struct tcp_conn *c, uint32_t len)
{
	uint32_t out = c->tx_head - c->tx_tail;

	c->tx_tail += len < out ? len : out;
	fc(s, c)->up |= TCP_UP_TX;
}

void fake_all_acked(struct stack *s, struct tcp_conn *c)
{
	struct fconn *f = fc(s, c);

	c->tx_tail = c->tx_head;
	f->up |= TCP_UP_TX | (f->shut ? TCP_UP_TX_DONE : 0);
}

void fake_free(struct stack *s, struct tcp_conn *c, int err)
{
	c->error = err;
	conn_free(s, fc(s, c), err ? TCP_UP_ERROR : 0);
}

uint32_t fake_conns(struct stack *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->cfg.max_conns; i++)
		n += s->conn[i].used;
	return n;
}

bool fake_closed(struct stack *s, const struct tcp_conn *c)
{
	return fc(s, c)->closed;
}

uint32_t fake_reads(struct stack *s, const struct tcp_conn *c)
{
	return fc(s, c)->reads;
}

UNSEEN struct tcp_conn *fake_any(struct stack *s, uint32_t r)
{
	for (uint32_t i = 0; i < s->cfg.max_conns; i++)
		if (s->conn[(r + i) % s->cfg.max_conns].used)
			return &s->conn[(r + i) % s->cfg.max_conns].c;
	return NULL;
}

UNSEEN struct tcp_listener *fake_any_listener(struct stack *s, uint32_t r)
{
	for (uint32_t i = 0; i < ISM_FAKE_LISTENERS; i++)
		if (s->l_used[(r + i) % ISM_FAKE_LISTENERS])
			return &s->l[(r + i) % ISM_FAKE_LISTENERS];
	return NULL;
}

UNSEEN struct udp_endpoint *fake_any_udp(struct stack *s, uint32_t r)
{
	for (uint32_t i = 0; i < ISM_FAKE_LISTENERS; i++)
		if (s->u_used[(r + i) % ISM_FAKE_LISTENERS])
			return &s->u[(r + i) % ISM_FAKE_LISTENERS];
	return NULL;
}

void fake_udp_in(struct stack *s, struct udp_endpoint *ep, uint16_t port, const void *data, uint32_t len)
{
	struct npp_dgram d = { .len = len, .port = port, .ttl = 64, .addr = npp_addr_v4(0x0200000a) };

	s->env->ops->udp_input(s->env->arg, ep, &d, &ep->laddr, data);
}
