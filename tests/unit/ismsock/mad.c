/* SPDX-License-Identifier: GPL-2.0-or-later
 * mad.c - a host gone mad: random messages, random words in its memory
 *
 * Two hosts, one of which mostly behaves; connections come, move data and go; between
 * all of it messages with mutated fields arrive and words of host memory change under the
 * ISM's hands. Whatever happens, the fake stack must be given sense (it aborts otherwise),
 * no byte outside host memory may be touched, and the audit must hold.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/ismsock/env.h"
#include "tests/unit/ismsock/mad.h"

#define CTXS 6	/* contexts that are used */

static struct env *e;
static struct npp_accept_lane *lane[2];
static mad_random *random_of;
static void *random_arg;
static uint8_t data[70000];

static uint32_t rnd(void)
{
	return random_of(random_arg);
}

static uint32_t below(uint32_t n)
{
	return n ? rnd() % n : 0;
}

/* Numbers that hurt. */
static uint32_t nasty(uint32_t near)
{
	switch (below(9)) {
	case 0: return 0;
	case 1: return 0xffffffff;
	case 2: return 1u << below(32);
	case 3: return (1u << below(32)) - 1;
	case 4: return near + 1;
	case 5: return near - 1;
	case 6: return near ^ 1u << below(32);
	case 7: return near + below(100000);
	default: return rnd();
	}
}

static uint32_t some_sock(void)
{
	struct tcp_conn *c = fake_any(e->I->stack, rnd());

	if (c && c->user_sock && below(4))
		return c->user_sock;
	switch (below(4)) {
	case 0: return 1 + below(30);
	case 1: return ENV_LENT + below(ENV_SOCKS - ENV_LENT);
	case 2: return 20 + below(6);
	default: return below(ENV_SOCKS);
	}
}

/* ---- messages --------------------------------------------------------------------------- */

static void mutate(struct npp_msg *m)
{
	switch (below(8)) {
	case 0: m->sock = nasty(m->sock); break;
	case 1: m->sock_gen = nasty(m->sock_gen); break;
	case 2: m->ism_handle = nasty(m->ism_handle); break;
	case 3: m->arg = nasty(m->arg); break;
	case 4: m->arg2 = nasty(m->arg2); break;
	case 5: m->off = below(2) ? nasty((uint32_t)m->off) : (uint64_t)rnd() << below(32); break;
	case 6: m->flags = (uint8_t)rnd(); break;
	default: m->type = (uint8_t)rnd(); break;
	}
}

static void random_message(unsigned h)
{
	unsigned ctx = below(CTXS);
	uint32_t i = some_sock();
	struct npp_sock *rec = env_sock(e, h, i);
	struct npp_msg m = env_msg(e, h, 1 + below(NPP_MSG_INBOUND_END - 1), i, 0);

	switch (m.type) {
	case NPP_MSG_CLOSE:
	case NPP_MSG_SHUTDOWN:
		m.arg = rec->tx_head;
		m.flags = (uint8_t)below(4);
		rec->refs = 0;
		break;
	case NPP_MSG_NEED_RING:
		m.arg = 1u << below(24);
		break;
	case NPP_MSG_LISTEN:
	case NPP_MSG_UDP_BIND:
		m.sock = 20 + below(10);
		m.sock_gen = env_sock(e, h, m.sock)->gen;
		m.off = ((uint64_t)e->host[h].copy.heap_off + below(1 << 20)) & ~63ull;
		m.port = (uint16_t)(1 + below(1000));
		m.arg = below(20);
		break;
	case NPP_MSG_EXTENT:
		m.off = e->host[h].copy.heap_off + (uint64_t)below(ENV_HEAP / 4096) * 4096;
		m.arg2 = below(64) * 4096;
		break;
	case NPP_MSG_HOST:
		m.arg = ENV_LENT + below(300);
		m.arg2 = below(20);
		break;
	case NPP_MSG_CTX_GONE:
		m.arg = below(8);
		break;
	case NPP_MSG_CONNECT:
		m.sock = 2 + below(18);
		rec = env_sock(e, h, m.sock);
		if (rec->owner == 0) {
			rec->owner = 4;
			rec->type = NPP_SOCK_STREAM;
			rec->slot = ENV_SLOT;
			rec->refs = 1;
			rec->fl = NPP_FL_CONNECTING;
			rec->rport = (uint16_t)below(3);
			rec->tx_head = rec->rx_tail = 0;
			rec->ism_handle = ISM_NONE;
		}
		m.sock_gen = rec->gen;
		break;
	default:
		break;
	}
	if (below(3) == 0)
		ctx = 0;
	if (below(4) == 0)
		mutate(&m);
	env_post(e, h, ctx, m);
}

/* ---- memory -------------------------------------------------------------------------------- */

static void scribble_words(void *at, uint32_t bytes)
{
	uint32_t *w = at;

	for (uint32_t n = 1 + below(3); n > 0; n--) {
		uint32_t i = below(bytes / 4);

		w[i] = nasty(w[i]);
	}
}

static void scribble(unsigned h)
{
	struct env_host *eh = &e->host[h];

	switch (below(8)) {
	case 0:
	case 1:
	case 2:
		scribble_words(env_sock(e, h, some_sock()), sizeof(struct npp_sock));
		break;
	case 3: /* heap: listeners, lanes, outbound queues, rings */
		scribble_words(env_at(e, h, (eh->copy.heap_off + below(1 << 20)) & ~63ull), 64);
		break;
	case 4:
		scribble_words(env_ctx(e, h, below(CTXS)), sizeof(struct npp_ctx));
		break;
	case 5:
		scribble_words(&eh->inb->lane[below(CTXS)], sizeof(struct npp_i2oq));
		break;
	case 6:
		eh->inb->summary = (uint64_t)rnd() << below(32);
		eh->inb->work[below(16)] = (uint64_t)rnd() << below(32);
		break;
	default:
		if (eh->h->hdr.owner == h) /* the header, after attach: never read again */
			scribble_words(&eh->h->ctx_off, 64);
		break;
	}
}

/* Puts right what tests need to go on: queues and header. */
static void mend(unsigned h)
{
	struct env_host *eh = &e->host[h];

	for (unsigned c = 0; c < CTXS; c++) {
		memset(&eh->inb->lane[c], 0, sizeof eh->inb->lane[c]);
		npp_i2oq_init(&eh->inb->lane[c]);
		npp_i2oq_attach_prod(&eh->prod[c], &eh->inb->lane[c]);
	}
}

/* ---- the stack's side --------------------------------------------------------------------------- */

static void traffic(void)
{
	struct stack *s = e->I->stack;
	struct tcp_conn *c = fake_any(s, rnd());
	struct udp_endpoint *ep = fake_any_udp(s, rnd());
	struct tcp_listener *l = fake_any_listener(s, rnd());

	switch (below(10)) {
	case 0:
	case 1:
		if (l && fake_syn(s, l))
			fake_accept(s, l, (uint16_t)rnd());
		break;
	case 2:
	case 3:
	case 4:
		if (c && c->state != TCP_ST_SYN_SENT)
			fake_rx(s, c, data, 1 + below(below(8) ? 3000 : sizeof data));
		break;
	case 5:
		if (c)
			fake_ack(s, c, below(100000));
		break;
	case 6:
		if (c && c->state == TCP_ST_SYN_SENT)
			fake_connected(s, c);
		else if (c)
			fake_fin(s, c);
		break;
	case 7:
		if (c)
			fake_all_acked(s, c);
		break;
	case 8:
		if (c && below(3) == 0)
			fake_free(s, c, below(2) ? ECONNRESET : 0);
		break;
	default:
		if (ep)
			fake_udp_in(s, ep, 9, data, below(below(8) ? 1500 : 65507));
		break;
	}
}

/* A program that behaves: reads and writes what it can. */
static void program(unsigned h)
{
	uint32_t i = some_sock();
	struct npp_sock *rec = env_sock(e, h, i);
	uint32_t room = rec->tx_ring.size - (rec->tx_head - rec->tx_tail);

	if (below(2) && rec->rx_head != rec->rx_tail) {
		rec->rx_tail += below(rec->rx_head - rec->rx_tail + 1);
		rec->pend_in |= NPP_IN_RX;
	} else if (rec->tx_ring.off && room <= rec->tx_ring.size) {
		rec->tx_head += below(room + 1);
		rec->pend_in |= NPP_IN_TX;
		rec->tx_want = below(2);
	}
	rec->pend_out = 0;
	env_post(e, h, 3, env_msg(e, h, NPP_MSG_LOOK, i, 0));
	env_claim(e, lane[0]);
}

#define UDP_SOCK 22	/* bound in every host */

static void bind_udp(unsigned h)
{
	struct npp_sock *rec = env_sock(e, h, UDP_SOCK);
	struct npp_msg m;

	rec->owner = 4;
	rec->type = NPP_SOCK_DGRAM;
	rec->slot = ENV_SLOT;
	m = env_msg(e, h, NPP_MSG_UDP_BIND, UDP_SOCK, 0);
	m.off = env_alloc(e, h, sizeof(struct npp_udp), 64);
	m.port = (uint16_t)(50 + h);
	env_post(e, h, 0, m);
	env_run(e);
}

/* Writes datagrams; some say wrong lengths. */
static void program_udp(unsigned h)
{
	struct npp_sock *rec = env_sock(e, h, UDP_SOCK);

	for (uint32_t n = below(100); n > 0; n--) {
		uint32_t size = rec->tx_ring.size, len = below(1400), at = rec->tx_head & (size - 1);
		uint64_t off = rec->tx_ring.off;
		struct npp_dgram *d;

		if (!size || (size & (size - 1)) || size > 4 << 20 || at % 32 || off % 64 || off > ENV_HEAP || off + size > ENV_HEAP)
			return;
		d = (struct npp_dgram *)((uint8_t *)env_at(e, h, off) + at);
		if (size - at < 32 + ((len + 31) & ~31u)) {
			d->len = NPP_DGRAM_SKIP;
			rec->tx_head += size - at;
			continue;
		}
		*d = (struct npp_dgram){ .len = below(50) ? len : nasty(len), .port = (uint16_t)below(4) };
		rec->tx_head += 32 + ((len + 31) & ~31u);
	}
	rec->pend_in |= NPP_IN_TX;
	env_post(e, h, 3, env_msg(e, h, NPP_MSG_LOOK, UDP_SOCK, 0));
}

static void take_messages(unsigned h)
{
	struct npp_msg m;

	for (unsigned c = 0; c < CTXS; c++)
		for (int n = 0; n < 200 && e->host[h].cons[c].q && env_get(e, h, c, &m); n++)
			;
}

void mad_begin(mad_random *r, void *arg)
{
	random_of = r;
	random_arg = arg;
	if (!e)
		e = env_new(2);
	fake_sent = (struct fake_sent){ .count = 0 };
	for (unsigned h = 0; h < 2; h++) {
		env_attach(e, h);
		for (unsigned c = 3; c < CTXS; c++)
			env_lane(e, h, c);
		bind_udp(h);
		lane[h] = env_listen(e, h, 1, (uint16_t)(80 + h), 16, 8);
		for (unsigned c = 3; c < CTXS; c++)
			env_sock(e, h, 1)->sub[c - 3] = (c + 1) | NPP_SUB_RX | (c > 3 ? NPP_SUB_EXCLUSIVE : 0);
	}
}

void mad_step(void)
{
	unsigned h = below(4) == 0; /* host 1 mostly behaves */

	switch (below(8)) {
	case 0:
		random_message(h);
		break;
	case 1:
		scribble(0);
		break;
	case 2:
		program(h);
		break;
	case 3:
		if (below(4))
			program(h);
		else
			program_udp(h);
		break;
	default:
		traffic();
		break;
	}
	if (below(4) == 0) {
		for (int r = 0; r < 50 && nk_round(&e->I->nk); r++)
			;
		take_messages(0);
		take_messages(1);
	}
	if (below(500) == 0)
		mend(0);
	if (below(300) == 0) {
		e->I->host[0]->scan_due = true;
		nk_thread_raise(&e->I->nk, e->I->th_scan);
	}
	if (below(300) == 0)
		nk_thread_raise(&e->I->nk, e->I->th_house);
	if (below(1000) == 0)
		ism_sweep_thread(&e->I->nk, e->I);
}

const char *mad_audit(void)
{
	return ism_audit(e->I);
}

void mad_end(void)
{
	env_renew(e, CTXS); /* audits; the memory stays for the next life */
}

void mad_free(void)
{
	env_free(e);
	e = NULL;
}
