/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_tfo.c - TCP Fast Open (RFC 7413), both ends
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

#define PORT 80
#define HOURS 3600000000ull

static struct th *h;
static uint8_t cookie[TCP_TFO_COOKIE_MAX];

static void setup(void)
{
	h = th_new(64);
	h->fastopen = 4;
	th_listen(h, PORT, 8);
}

static void teardown(void)
{
	th_free(h);
}

/* A SYN from port RPORT with LEN bytes and a cookie of CLEN bytes. */
static struct tcp_seg syn(uint16_t rport, uint32_t len, uint8_t clen)
{
	return (struct tcp_seg){ .sport = rport, .dport = PORT, .seq = TP_ISS, .flags = TCPF_SYN, .wnd = 5000, .len = len,
				 .opt = TO_MSS | TO_TFO | TO_SACK_OK, .mss = 1460, .tfo = cookie, .tfo_len = clen };
}

/* Asks for a cookie; the handshake stays half open and is reset. */
static void fetch_cookie(void)
{
	struct tcp_seg g = syn(999, 0, 0), r = { .sport = 999, .dport = PORT, .seq = TP_ISS + 1, .flags = TCPF_RST };
	struct th_seg *o;

	th_input(h, &g, NULL, 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(o->g.tfo_len, TCP_TFO_COOKIE);
	memcpy(cookie, o->cookie, TCP_TFO_COOKIE);
	th_input(h, &r, NULL, 0);
	th_forget(h);
}

static struct th_sock *sock_at(uint16_t rport)
{
	for (unsigned i = 0; i < TH_SOCKS; i++)
		if (h->sock[i].c && h->sock[i].c->rport == rport)
			return &h->sock[i];
	return NULL;
}

/* ---- server ------------------------------------------------------------------------------- */

START_TEST(a_listener_that_does_not_ask_for_it_ignores_the_option)
{
	struct tcp_seg g = syn(1000, 3, 0);
	struct th_seg *o;

	h->fastopen = 0;
	th_input(h, &g, "abc", 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(o->g.ack, TP_ISS + 1);
	ck_assert(!(o->g.opt & TO_TFO));
	stack_unlisten(h->s, stack_listener(h->s, 0));
	th_forget(h);
}
END_TEST

START_TEST(data_in_the_syn_is_read_and_answered_before_the_handshake)
{
	struct tcp_seg g;
	struct th_seg *o;
	struct th_sock *k;
	char buf[8];
	uint32_t iss;

	fetch_cookie();
	g = syn(1000, 5, TCP_TFO_COOKIE);
	th_input(h, &g, "hello", 0);
	o = th_next(h);
	iss = o->g.seq;
	ck_assert_uint_eq(o->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(o->g.ack, TP_ISS + 6);
	ck_assert(th_none(h));
	k = sock_at(1000);
	ck_assert_ptr_nonnull(k);
	ck_assert_uint_eq(k->c->state, TCP_ST_SYN_RECEIVED);
	ck_assert_uint_eq(th_read(h, k, buf, sizeof buf), 5);
	ck_assert_mem_eq(buf, "hello", 5);
	th_write(h, k, "world", 5);
	stack_flush(h->s);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_PSH | TCPF_ACK);
	ck_assert_uint_eq(o->g.seq, iss + 1);
	ck_assert_uint_eq(o->g.len, 5);
	g = (struct tcp_seg){ .sport = 1000, .dport = PORT, .seq = TP_ISS + 6, .ack = iss + 6, .flags = TCPF_ACK, .wnd = 5000 };
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(k->c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(k->c->tx_tail, 5);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_TFO_IN), 1);
	ck_assert_uint_eq(h->s->tcp->lsns[0].tfo_open, 0);
	stack_tcp_close(h->s, k->c, 5, 0);
	stack_flush(h->s);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_FIN | TCPF_ACK);
	stack_tcp_abort(h->s, k->c);
}
END_TEST

/* Whoever shows the program its state learns that it is no longer ESTABLISHED, as which a half-open one is shown. */
START_TEST(one_that_is_shut_down_before_the_handshake_tells_of_its_new_state_after_it)
{
	struct tcp_seg g;
	struct th_sock *k;
	uint32_t iss;

	fetch_cookie();
	g = syn(1000, 0, TCP_TFO_COOKIE);
	th_input(h, &g, NULL, 0);
	iss = th_next(h)->g.seq;
	k = sock_at(1000);
	stack_tcp_shutdown(h->s, k->c, 0);
	stack_flush(h->s);
	ck_assert(th_none(h));
	ck_assert_uint_eq(k->c->state, TCP_ST_SYN_RECEIVED);
	ck_assert_uint_eq(k->events & ~(TCP_UP_RX | TCP_UP_TX), 0);
	g = (struct tcp_seg){ .sport = 1000, .dport = PORT, .seq = TP_ISS + 1, .ack = iss + 1, .flags = TCPF_ACK, .wnd = 5000 };
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_FIN | TCPF_ACK);
	ck_assert_uint_eq(k->c->state, TCP_ST_FIN_WAIT_1);
	ck_assert_uint_eq(k->events & ~(TCP_UP_RX | TCP_UP_TX), TCP_UP_CONNECTED);
	stack_tcp_abort(h->s, k->c);
}
END_TEST

START_TEST(a_wrong_ack_or_another_syn_does_not_complete_the_handshake)
{
	struct tcp_seg g;
	struct th_sock *k;
	struct th_seg *o;
	uint32_t iss;

	fetch_cookie();
	g = syn(1000, 5, TCP_TFO_COOKIE);
	th_input(h, &g, "hello", 0);
	iss = th_next(h)->g.seq;
	k = sock_at(1000);
	g = (struct tcp_seg){ .sport = 1000, .dport = PORT, .seq = TP_ISS + 6, .ack = iss + 2, .flags = TCPF_ACK, .wnd = 5000 };
	th_input(h, &g, NULL, 0);	/* of what was never sent */
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_RST);
	ck_assert_uint_eq(o->g.seq, iss + 2);
	ck_assert_uint_eq(k->c->state, TCP_ST_SYN_RECEIVED);
	g = syn(1000, 5, TCP_TFO_COOKIE);
	g.seq++;
	th_input(h, &g, "hello", 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_ACK);	/* challenged (RFC 5961, 4.2) */
	ck_assert_uint_eq(o->g.ack, TP_ISS + 6);
	ck_assert_uint_eq(k->c->state, TCP_ST_SYN_RECEIVED);
	stack_tcp_abort(h->s, k->c);
	th_forget(h);
}
END_TEST

/* Segments around the window of a half-open connection: SEQ from what is expected (EDGE: from its right edge), text, FIN. */
static const struct at_edge {
	int32_t seq;
	uint32_t len;
	bool edge, fin, opens;
} at_edges[] = {
	{ .fin = true, .edge = true },			/* as if there was room for one more */
	{ .edge = true },
	{ .len = 3, .edge = true },
	{ .seq = -1, .edge = true, .opens = true },
	{ .seq = -1 },
	{ .seq = -1, .fin = true },			/* ends where the window begins */
	{ .seq = -5, .len = 5 },
	{ .seq = -5, .len = 6, .opens = true },
	{ .seq = 1, .opens = true },
	{ .opens = true },
};

START_TEST(what_stands_out_of_the_window_does_not_complete_the_handshake)
{
	const struct at_edge *e = &at_edges[_i];
	struct tcp_seg g;
	struct th_sock *k;
	struct th_seg *o;
	uint32_t iss;

	fetch_cookie();
	g = syn(1000, 5, TCP_TFO_COOKIE);
	th_input(h, &g, "hello", 0);
	o = th_next(h);
	iss = o->g.seq;
	k = sock_at(1000);
	g = (struct tcp_seg){ .sport = 1000, .dport = PORT, .seq = TP_ISS + 6 + (uint32_t)e->seq, .ack = iss + 1, .flags = TCPF_ACK,
			      .wnd = 5000, .len = e->len };
	if (e->edge)
		g.seq += o->g.wnd;
	if (e->fin)
		g.flags |= TCPF_FIN;
	th_input(h, &g, "whether or not", 0);
	if (e->opens) {
		ck_assert_uint_eq(k->c->state, TCP_ST_ESTABLISHED);
	} else {
		ck_assert_uint_eq(k->c->state, TCP_ST_SYN_RECEIVED);
		o = th_next(h);
		ck_assert_uint_eq(o->g.flags, TCPF_ACK);
		ck_assert_uint_eq(o->g.seq, iss + 1);
		ck_assert_uint_eq(o->g.ack, TP_ISS + 6);
	}
	stack_tcp_abort(h->s, k->c);
	th_forget(h);
}
END_TEST

START_TEST(a_lost_syn_ack_is_sent_again_and_so_is_the_answer)
{
	struct tcp_seg g;
	struct th_sock *k;
	struct th_seg *o;
	uint32_t iss;

	fetch_cookie();
	g = syn(1000, 5, TCP_TFO_COOKIE);
	th_input(h, &g, "hello", 0);
	iss = th_next(h)->g.seq;
	k = sock_at(1000);
	th_write(h, k, "world", 5);
	stack_flush(h->s);
	th_next(h);
	/* the peer repeats its SYN, without data and cookie */
	g = syn(1000, 0, 0);
	g.opt &= (uint8_t)~TO_TFO;
	th_input(h, &g, NULL, 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(o->g.ack, TP_ISS + 6);
	th_advance(h, 1100000);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(o->g.seq, iss);
	ck_assert(th_none(h));
	/* the answer was lost: the ACK covers the SYN alone */
	g = (struct tcp_seg){ .sport = 1000, .dport = PORT, .seq = TP_ISS + 6, .ack = iss + 1, .flags = TCPF_ACK, .wnd = 5000 };
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(k->c->state, TCP_ST_ESTABLISHED);
	th_advance(h, 4000000);
	o = th_next(h);
	ck_assert_uint_eq(o->g.seq, iss + 1);
	ck_assert_uint_eq(o->g.len, 5);
	stack_tcp_abort(h->s, k->c);
}
END_TEST

START_TEST(a_wrong_cookie_makes_an_ordinary_handshake_with_a_new_one)
{
	struct tcp_seg g;
	struct th_seg *o;

	fetch_cookie();
	cookie[3] ^= 1;
	g = syn(1000, 5, TCP_TFO_COOKIE);
	th_input(h, &g, "hello", 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.ack, TP_ISS + 1);
	ck_assert_uint_eq(o->g.tfo_len, TCP_TFO_COOKIE);
	cookie[3] ^= 1;
	ck_assert_mem_eq(o->cookie, cookie, TCP_TFO_COOKIE);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TFO_BAD), 1);
	ck_assert_ptr_null(sock_at(1000));
	cookie[3] ^= 1;
	for (uint8_t len = 4; len <= 16; len += 2) { /* nor is one of another length good */
		if (len == TCP_TFO_COOKIE)
			continue;
		g = syn((uint16_t)(2000 + len), 5, len);
		th_input(h, &g, "hello", 0);
		ck_assert_uint_eq(th_next(h)->g.ack, TP_ISS + 1);
	}
	stack_unlisten(h->s, stack_listener(h->s, 0));
}
END_TEST

START_TEST(cookies_live_for_two_periods)
{
	struct tcp_seg g;
	struct th_sock *k;

	h->now_us = 12 * HOURS - 1000000;
	stack_set_now(h->s, h->now_us);
	fetch_cookie();
	th_advance(h, 12 * HOURS);
	g = syn(1000, 5, TCP_TFO_COOKIE);
	th_input(h, &g, "hello", 0);
	ck_assert_uint_eq(th_next(h)->g.ack, TP_ISS + 6);
	k = sock_at(1000);
	ck_assert_ptr_nonnull(k);
	stack_tcp_abort(h->s, k->c);
	th_forget(h);
	th_advance(h, 12 * HOURS);
	g = syn(1001, 5, TCP_TFO_COOKIE);
	th_input(h, &g, "hello", 0);
	ck_assert_uint_eq(th_next(h)->g.ack, TP_ISS + 1);
	stack_unlisten(h->s, stack_listener(h->s, 0));
}
END_TEST

/* What Linux makes of the key 00 01 02 ... 0f: SipHash-2-4 of 10.0.0.2, 10.0.0.1. */
static const uint64_t some_key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
static const uint8_t of_some_key[TCP_TFO_COOKIE] = { 0x78, 0x8b, 0xe4, 0xdb, 0xe2, 0x4b, 0x25, 0x85 };

/* A SYN with data from RPORT and the cookie at hand is taken, or not; the cookie of the SYN-ACK. */
static const uint8_t *try_cookie(uint16_t rport, bool good)
{
	struct tcp_seg g = syn(rport, 5, TCP_TFO_COOKIE);
	struct th_sock *k;
	struct th_seg *o;

	th_input(h, &g, "hello", 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.ack, TP_ISS + (good ? 6 : 1));
	ck_assert_uint_eq(o->g.tfo_len, TCP_TFO_COOKIE);
	k = sock_at(rport);
	ck_assert_int_eq(k != NULL, good);
	if (k)
		stack_tcp_abort(h->s, k->c);
	th_forget(h);
	return o->cookie;
}

START_TEST(a_listeners_own_key_makes_the_cookies_of_linux)
{
	fetch_cookie(); /* of the key of the NPP */
	memcpy(h->tfo_key[0], some_key, sizeof some_key);
	h->tfo_keys = 1;
	ck_assert_mem_eq(try_cookie(1000, false), of_some_key, sizeof of_some_key);
	fetch_cookie();
	ck_assert_mem_eq(cookie, of_some_key, sizeof of_some_key);
	th_advance(h, 30 * HOURS); /* it is the program that changes it */
	th_forget(h);
	ck_assert_mem_eq(try_cookie(1001, true), of_some_key, sizeof of_some_key);
	h->tfo_keys = 0;
	try_cookie(1002, false);
	stack_unlisten(h->s, stack_listener(h->s, 0));
}
END_TEST

START_TEST(cookies_of_the_backup_key_count_and_are_renewed)
{
	memcpy(h->tfo_key[0], some_key, sizeof some_key);
	h->tfo_keys = 1;
	fetch_cookie();
	memcpy(h->tfo_key[1], some_key, sizeof some_key);
	h->tfo_key[0][0] = 77;
	h->tfo_keys = 2;
	ck_assert_mem_ne(try_cookie(1000, true), of_some_key, sizeof of_some_key);
	fetch_cookie();
	ck_assert_mem_ne(cookie, of_some_key, sizeof of_some_key);
	h->tfo_keys = 1; /* the first of them is enough for these */
	try_cookie(1001, true);
	memcpy(cookie, of_some_key, sizeof of_some_key);
	try_cookie(1002, false);
	stack_unlisten(h->s, stack_listener(h->s, 0));
}
END_TEST

START_TEST(no_more_are_half_open_than_the_listener_allows)
{
	struct tcp_seg g;

	fetch_cookie();
	for (uint16_t i = 0; i < 5; i++) {
		g = syn((uint16_t)(1000 + i), 5, TCP_TFO_COOKIE);
		th_input(h, &g, "hello", 0);
		ck_assert_uint_eq(th_next(h)->g.ack, TP_ISS + (i < 4 ? 6 : 1));
	}
	ck_assert_uint_eq(th_stat(h, NPP_IS_TFO_FULL), 1);
	th_restart(h);
	ck_assert_uint_eq(h->s->tcp->lsns[0].tfo_open, 4);
	th_advance(h, 70000000); /* nobody answers the SYN-ACKs */
	ck_assert_uint_eq(h->s->tcp->lsns[0].tfo_open, 0);
	th_forget(h);
}
END_TEST

START_TEST(those_that_the_peer_resets_count_on)
{
	struct tcp_seg g;

	fetch_cookie();
	for (uint16_t i = 0; i < 5; i++) {
		struct tcp_seg r = { .sport = (uint16_t)(1000 + i), .dport = PORT, .seq = TP_ISS + 6, .flags = TCPF_RST };

		g = syn((uint16_t)(1000 + i), 5, TCP_TFO_COOKIE);
		th_input(h, &g, "hello", 0);
		ck_assert_uint_eq(th_next(h)->g.ack, TP_ISS + (i < 4 ? 6 : 1));
		if (i < 4)
			th_input(h, &r, NULL, 0);
	}
	ck_assert_uint_eq(h->sock[0].error, ECONNRESET);
	ck_assert_uint_eq(h->s->tcp->lsns[0].tfo_reset, 4);
	stack_unlisten(h->s, stack_listener(h->s, 0));
	th_listen(h, PORT, 8);
	th_forget(h);
}
END_TEST

START_TEST(those_that_the_peer_reset_count_for_a_minute)
{
	struct tcp_seg g;

	fetch_cookie();
	h->s->tcp->lsns[0].tfo_reset = 4;
	h->s->tcp->lsns[0].tfo_reset_ms = (uint32_t)(h->now_us / 1000);
	th_advance(h, 59000000);
	g = syn(1000, 5, TCP_TFO_COOKIE);
	th_input(h, &g, "hello", 0);
	ck_assert_uint_eq(th_next(h)->g.ack, TP_ISS + 1);
	th_advance(h, 1000000);
	th_forget(h);
	g = syn(1001, 5, TCP_TFO_COOKIE);
	th_input(h, &g, "hello", 0);
	ck_assert_uint_eq(th_next(h)->g.ack, TP_ISS + 6);
	ck_assert_uint_eq(h->s->tcp->lsns[0].tfo_reset, 0);
	stack_tcp_abort(h->s, sock_at(1001)->c);
	stack_unlisten(h->s, stack_listener(h->s, 0));
	th_forget(h);
}
END_TEST

START_TEST(a_connection_after_one_in_time_wait_begins_beyond_it)
{
	struct tp p;
	struct tcp_seg g;
	struct th_seg *o;
	uint32_t end;

	fetch_cookie();
	tp_accept(&p, h, PORT, 1000, 0);
	stack_tcp_close(h->s, p.k->c, 0, 0);
	stack_flush(h->s);
	end = p.ack = th_next(h)->g.seq + 1;
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	ck_assert_uint_eq(h->s->tcp->tw_pool.used, 1);
	th_forget(h);
	g = syn(1000, 5, TCP_TFO_COOKIE);
	g.seq = p.seq + 1000;
	th_input(h, &g, "hello", 0);
	ck_assert_uint_eq(h->s->tcp->tw_pool.used, 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(o->g.ack, g.seq + 6);
	ck_assert(seq_gt(o->g.seq, end + 65535));
	stack_tcp_abort(h->s, sock_at(1000)->c);
	stack_unlisten(h->s, stack_listener(h->s, 0));
	th_forget(h);
}
END_TEST

START_TEST(a_connection_that_nobody_has_room_for_leaves_nothing)
{
	struct tcp_seg g;

	fetch_cookie();
	h->accept_ok = false;
	g = syn(1000, 5, TCP_TFO_COOKIE);
	th_input(h, &g, "hello", 0);
	ck_assert_uint_eq(h->s->tcp->conn_pool.used, 0);
	ck_assert_uint_eq(h->s->tcp->lsns[0].tfo_open, 0);
	ck_assert_uint_eq(th_next(h)->g.ack, TP_ISS + 1); /* a SYN like any other */
	h->accept_ok = true;
	stack_unlisten(h->s, stack_listener(h->s, 0));
	th_forget(h);
}
END_TEST

START_TEST(a_listener_may_do_without_cookies)
{
	struct tcp_seg g = syn(1000, 5, 0);
	struct th_seg *o;

	g.opt &= (uint8_t)~TO_TFO;
	th_input(h, &g, "hello", 0);
	ck_assert_uint_eq(th_next(h)->g.ack, TP_ISS + 1);	/* what a SYN brings counts for nothing by itself */
	h->given.opt_flags = NPP_OPT_TFO_NO_COOKIE;
	for (uint16_t i = 1; i < 4; i++) {
		g = syn((uint16_t)(1000 + i), 5, i == 3 ? 8 : 0);
		if (i == 1)
			g.opt &= (uint8_t)~TO_TFO;
		th_input(h, &g, "hello", 0);
		o = th_next(h);
		ck_assert_uint_eq(o->g.ack, TP_ISS + 6);
		ck_assert(!(o->g.opt & TO_TFO));
		ck_assert_uint_eq(sock_at((uint16_t)(1000 + i))->c->rx_head, 5);
	}
	g = syn(1010, 0, 0);
	g.opt &= (uint8_t)~TO_TFO;
	th_input(h, &g, NULL, 0);	/* without data and option it is like any */
	ck_assert_ptr_null(sock_at(1010));
	ck_assert_uint_eq(th_stat(h, NPP_IS_TFO_IN), 3);
	for (uint16_t i = 1; i < 4; i++)
		stack_tcp_abort(h->s, sock_at((uint16_t)(1000 + i))->c);
	stack_unlisten(h->s, stack_listener(h->s, 0));
	th_forget(h);
}
END_TEST

/* ---- client ------------------------------------------------------------------------------------ */

static struct tcp_conn *c;
static uint32_t iss;

static struct th_sock *open_with(uint32_t more)
{
	struct tcp_options o = { .opt_flags = NPP_OPT_FASTOPEN | more };
	struct th_sock *k;
	int err;

	c = stack_connect(h->s, &h->addr, 0, &h->peer, PORT, &o, &err);
	ck_assert_ptr_nonnull(c);
	for (k = h->sock; k->used; k++)
		;
	*k = (struct th_sock){ .used = true, .c = c };
	c->user_sock = (uint32_t)(k - h->sock) + 1;
	stack_flush(h->s);
	return k;
}

static struct th_sock *open_fast(void)
{
	return open_with(0);
}

static void syn_ack(uint32_t ack, const char *give)
{
	struct tcp_seg g = { .sport = PORT, .dport = c->lport, .seq = 100, .ack = ack, .flags = TCPF_SYN | TCPF_ACK,
			     .wnd = 5000, .opt = TO_MSS, .mss = 1000 };

	if (give) {
		g.opt |= TO_TFO;
		g.tfo = (const uint8_t *)give;
		g.tfo_len = (uint8_t)strlen(give);
	}
	th_input(h, &g, NULL, 0);
}

/* One connection that brings the cookie. */
static void learn(void)
{
	struct th_sock *k = open_fast();
	struct th_seg *o = th_next(h);

	ck_assert_uint_eq(o->g.flags, TCPF_SYN);
	ck_assert(o->g.opt & TO_TFO);
	ck_assert_uint_eq(o->g.tfo_len, 0);
	ck_assert(!(k->events & TCP_UP_CONNECTED));
	syn_ack(o->g.seq + 1, "cookie");
	ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
	stack_tcp_abort(h->s, c);
	th_forget(h);
}

START_TEST(the_second_connection_sends_its_data_with_the_syn)
{
	struct th_sock *k;
	struct th_seg *o;

	learn();
	th_restart(h);
	k = open_fast();
	ck_assert(k->events & TCP_UP_CONNECTED);
	ck_assert(th_none(h));
	th_write(h, k, "hello", 5);
	stack_flush(h->s);
	o = th_next(h);
	iss = o->g.seq;
	ck_assert_uint_eq(o->g.flags, TCPF_SYN);
	ck_assert_uint_eq(o->g.len, 5);
	ck_assert_mem_eq(o->data, "hello", 5);
	ck_assert_uint_eq(o->g.tfo_len, 6);
	ck_assert_mem_eq(o->cookie, "cookie", 6);
	syn_ack(iss + 6, NULL);
	ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(c->tx_tail, 5);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_ACK);
	ck_assert_uint_eq(o->g.seq, iss + 6);
	ck_assert_uint_eq(o->g.ack, 101);
	ck_assert(th_none(h));
	stack_tcp_abort(h->s, c);
}
END_TEST

/* A SYN has no urgent pointer, so what one would point at waits for the handshake. */
START_TEST(urgent_data_does_not_go_with_the_syn)
{
	struct th_sock *k;
	struct th_seg *o;

	learn();
	k = open_fast();
	stack_tcp_urgent(h->s, c, _i ? 1 : 4);
	th_write(h, k, "hello", 5);
	stack_flush(h->s);
	o = th_next(h);
	iss = o->g.seq;
	ck_assert_uint_eq(o->g.flags, TCPF_SYN);
	ck_assert_uint_eq(o->g.len, _i ? 0 : 3);
	syn_ack(iss + 1 + o->g.len, NULL);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags & TCPF_URG, TCPF_URG);
	ck_assert_uint_eq(o->g.seq + o->g.urp, iss + 1 + (_i ? 1 : 4));
	ck_assert_uint_eq(o->g.len, _i ? 5 : 2);
	ck_assert_uint_eq(tcb_of(c)->rcv_up + 1, tcb_of(c)->rcv_nxt);
	stack_tcp_abort(h->s, c);
}
END_TEST

/* Said while the SYN with earlier data is on its way; the peer may have taken that or not. */
START_TEST(what_is_urgent_before_the_syn_ack_is_so_after_it)
{
	struct tcp_seg g = { .sport = PORT, .seq = 101, .flags = TCPF_ACK, .wnd = 5000 };
	struct th_sock *k;
	struct th_seg *o;

	learn();
	k = open_fast();
	th_write(h, k, "hello", 5);
	stack_flush(h->s);
	iss = th_next(h)->g.seq;
	stack_tcp_urgent(h->s, c, 6);
	th_write(h, k, "!", 1);
	stack_flush(h->s);
	ck_assert(th_none(h));
	th_restart(h);
	th_forget(h);
	syn_ack(_i ? iss + 6 : iss + 1, NULL);
	o = th_next(h);
	ck_assert_uint_eq(o->g.seq, _i ? iss + 6 : iss + 1);
	ck_assert_uint_eq(o->g.flags & TCPF_URG, TCPF_URG);
	ck_assert_uint_eq(o->g.seq + o->g.urp, iss + 7);
	g.dport = c->lport;
	g.ack = iss + 7;
	th_input(h, &g, NULL, 0);
	ck_assert(!(tcb_of(c)->flags & TF_URG));
	stack_tcp_abort(h->s, c);
}
END_TEST

START_TEST(without_cookies_the_first_connection_sends_its_data_with_the_syn)
{
	struct th_sock *k = open_with(NPP_OPT_TFO_NO_COOKIE);
	static const char data[2000];
	struct th_seg *o;

	ck_assert(k->events & TCP_UP_CONNECTED);
	th_write(h, k, data, sizeof data);
	stack_flush(h->s);
	o = th_next(h);
	iss = o->g.seq;
	ck_assert_uint_eq(o->g.flags, TCPF_SYN);
	ck_assert(!(o->g.opt & TO_TFO));
	ck_assert_uint_le(o->g.len, TCP_MSS_DEFAULT);	/* nothing is known of the peer */
	ck_assert_uint_ge(o->g.len, TCP_MSS_DEFAULT - 40);
	th_advance(h, 1100000);
	o = th_next(h);
	ck_assert_uint_eq(o->g.len, 0);	/* again: without */
	syn_ack(iss + 1, NULL);
	ck_assert_uint_eq(th_next(h)->g.seq, iss + 1);
	stack_tcp_abort(h->s, c);
	th_forget(h);
}
END_TEST

START_TEST(what_one_iop_is_given_the_others_have_as_well)
{
	static const uint8_t bad[] = { 17, 18, 7, 2, 0 };	/* lengths that no cookie has */
	struct th *first = h;
	struct th_sock *k;
	struct th_seg *o;

	first->s->cfg.n_iops = 2;
	learn();
	ck_assert_uint_eq(first->n_ipc, 1);
	ck_assert_uint_eq(first->ipc.kind, NPP_REC_TFO);
	k = open_fast();
	th_write(h, k, "hello", 5);
	stack_flush(h->s);
	syn_ack(th_next(h)->g.seq + 6, "cookie");
	ck_assert_uint_eq(first->n_ipc, 1);	/* no news */
	stack_tcp_abort(h->s, c);
	th_forget(h);
	first->s->cfg.n_iops = 1;
	h = th_new(64);
	for (uint32_t len = 0; len < first->ipc.len; len++)
		stack_input(h->s, &first->ipc, first->ipc_body, len);
	for (unsigned i = 0; i < sizeof bad; i++) {
		first->ipc_body[34] = bad[i];
		stack_input(h->s, &first->ipc, first->ipc_body, first->ipc.len);
	}
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_FRAME), first->ipc.len + sizeof bad);
	first->ipc_body[34] = 6;
	stack_input(h->s, &first->ipc, first->ipc_body, first->ipc.len);
	k = open_fast();
	th_write(h, k, "hello", 5);
	stack_flush(h->s);
	o = th_next(h);
	ck_assert_uint_eq(o->g.len, 5);
	ck_assert_mem_eq(o->cookie, "cookie", 6);
	stack_tcp_abort(h->s, c);
	th_free(h);
	h = first;
}
END_TEST

START_TEST(what_the_syn_ack_does_not_acknowledge_is_sent_after_it)
{
	struct th_sock *k;
	struct th_seg *o;

	learn();
	k = open_fast();
	th_write(h, k, "hello", 5);
	stack_flush(h->s);
	iss = th_next(h)->g.seq;
	syn_ack(iss + 3, NULL);
	o = th_next(h);
	ck_assert_uint_eq(o->g.seq, iss + 3);
	ck_assert_uint_eq(o->g.len, 3);
	ck_assert_mem_eq(o->data, "llo", 3);
	ck_assert(th_none(h));
	stack_tcp_abort(h->s, c);
}
END_TEST

START_TEST(a_syn_carries_no_more_than_fits_the_peers_mss)
{
	static uint8_t data[3000];
	struct th_sock *k;
	struct th_seg *o;

	learn();
	k = open_fast();
	th_write(h, k, data, sizeof data);
	stack_flush(h->s);
	o = th_next(h);
	iss = o->g.seq;
	ck_assert_uint_eq(o->g.len, 1000 - 20 - 8); /* options: MSS, SACK, timestamps, window scale; the cookie of 6 */
	syn_ack(iss + 1 + o->g.len, NULL);
	o = th_next(h);
	ck_assert_uint_eq(o->g.seq, iss + 1 + 972);
	ck_assert_uint_eq(o->g.len, 3000 - 972);
	ck_assert_uint_eq(o->gso_size, 1000);
	stack_tcp_abort(h->s, c);
}
END_TEST

START_TEST(an_acknowledgment_beyond_what_the_syn_carried_is_reset)
{
	struct th_sock *k;

	learn();
	k = open_fast();
	th_write(h, k, "hello", 5);
	stack_flush(h->s);
	iss = th_next(h)->g.seq;
	syn_ack(iss + 7, NULL);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_RST);
	ck_assert_uint_eq(c->state, TCP_ST_SYN_SENT);
	syn_ack(iss, NULL);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_RST);
	ck_assert_uint_eq(c->state, TCP_ST_SYN_SENT);
	stack_tcp_abort(h->s, c);
}
END_TEST

START_TEST(a_syn_is_repeated_without_cookie_and_data)
{
	struct th_sock *k;
	struct th_seg *o;

	learn();
	for (int i = 0; i < 3; i++) {
		k = open_fast();
		if (i == 2) { /* two in a row were lost: not again soon */
			o = th_next(h);
			ck_assert(!(o->g.opt & TO_TFO));
			break;
		}
		th_write(h, k, "hello", 5);
		stack_flush(h->s);
		o = th_next(h);
		iss = o->g.seq;
		ck_assert_uint_eq(o->g.len, 5);
		th_advance(h, 1100000);
		o = th_next(h);
		ck_assert_uint_eq(o->g.flags, TCPF_SYN);
		ck_assert_uint_eq(o->g.seq, iss);
		ck_assert_uint_eq(o->g.len, 0);
		ck_assert(!(o->g.opt & TO_TFO));
		/* the first may have come all the same */
		syn_ack(iss + (i ? 6 : 1), NULL);
		ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
		ck_assert_uint_eq(c->tx_tail, i ? 5 : 0);
		o = th_next(h);
		ck_assert_uint_eq(o->g.len, i ? 0 : 5);
		stack_tcp_abort(h->s, c);
		th_forget(h);
	}
	stack_tcp_abort(h->s, c);
	th_advance(h, 61000000);
	th_forget(h);
	open_fast();
	ck_assert(th_none(h)); /* it waits for data again */
	stack_tcp_abort(h->s, c);
}
END_TEST

static struct tcp_tfo_peer *cookie_from(const union npp_addr *addr)
{
	for (unsigned i = 0; i < TCP_TFO_PEERS; i++)
		if (h->s->tcp->tfo[i].len && npp_addr_eq(&h->s->tcp->tfo[i].addr, addr))
			return &h->s->tcp->tfo[i];
	return NULL;
}

START_TEST(a_path_that_loses_cookies_is_left_alone_for_longer_each_time)
{
	struct tcp_tfo_peer *peer;

	learn();
	peer = cookie_from(&h->peer);
	ck_assert_ptr_nonnull(peer);
	peer->losses = 4; /* 60 s twice doubled */
	peer->lost_ms = (uint32_t)(h->now_us / 1000);
	th_advance(h, 239000000);
	open_fast();
	ck_assert(!(th_next(h)->g.opt & TO_TFO));
	stack_tcp_abort(h->s, c);
	th_advance(h, 2000000);
	th_forget(h);
	open_fast();
	ck_assert(th_none(h)); /* it waits for data */
	stack_tcp_abort(h->s, c);
}
END_TEST

START_TEST(a_cookie_that_was_being_written_at_a_death_is_forgotten)
{
	learn();
	th_restart(h);
	ck_assert_ptr_nonnull(cookie_from(&h->peer));
	cookie_from(&h->peer)->busy = 1;
	th_restart(h);
	ck_assert_ptr_null(cookie_from(&h->peer));
}
END_TEST

static uint32_t set_of(const union npp_addr *addr)
{
	return tcp_hash(h->s, addr, 0, addr, 0) % (TCP_TFO_PEERS / TCP_TFO_WAYS);
}

START_TEST(the_cookie_that_was_not_used_for_longest_makes_room)
{
	struct npp_ipc_tfo n = { .addr = h->peer, .mss = 1460, .len = 8 };
	union npp_addr addr[TCP_TFO_WAYS + 1];
	uint32_t set = set_of(&h->peer);
	unsigned k = 0;

	for (unsigned i = 0; k <= TCP_TFO_WAYS; i++) {
		n.addr.b[14] = (uint8_t)(i >> 8);
		n.addr.b[15] = (uint8_t)i;
		if (set_of(&n.addr) != set)
			continue;
		addr[k++] = n.addr;
		tcp_tfo_told(h->s, &n, sizeof n);
		th_advance(h, 1000000);
		cookie_from(&n.addr)->losses += 9;
		if (k == TCP_TFO_WAYS) { /* the first is used again: the second is the oldest */
			n.addr = addr[0];
			tcp_tfo_told(h->s, &n, sizeof n);
			th_advance(h, 1000000);
		}
	}
	ck_assert_uint_eq(cookie_from(&addr[TCP_TFO_WAYS])->losses, 9); /* nothing of who stood there */
	for (k = 0; k <= TCP_TFO_WAYS; k++)
		ck_assert_int_eq(cookie_from(&addr[k]) != NULL, k != 1);
}
END_TEST

START_TEST(a_program_that_writes_nothing_gets_its_handshake_after_a_second)
{
	struct th_seg *o;

	learn();
	open_fast();
	th_restart(h);
	th_advance(h, 1100000);
	o = th_next(h);
	iss = o->g.seq;
	ck_assert_uint_eq(o->g.flags, TCPF_SYN);
	ck_assert_uint_eq(o->g.len, 0);
	syn_ack(iss + 1, NULL);
	ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
	stack_tcp_abort(h->s, c);
}
END_TEST

START_TEST(an_answer_to_a_syn_that_waits_for_its_data_is_a_lie)
{
	struct th_seg *o;

	learn();
	open_fast();
	ck_assert(th_none(h));
	syn_ack(tcb_of(c)->iss + 1, NULL);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_RST);
	ck_assert_uint_eq(c->state, TCP_ST_SYN_SENT);
	stack_tcp_abort(h->s, c);
}
END_TEST

START_TEST(a_refused_connection_says_so)
{
	struct tcp_seg g = { .sport = PORT, .seq = 0, .flags = TCPF_RST | TCPF_ACK };
	struct th_sock *k;

	learn();
	k = open_fast();
	th_write(h, k, "hello", 5);
	stack_flush(h->s);
	g.dport = c->lport;
	g.ack = th_next(h)->g.seq + 6;
	th_input(h, &g, NULL, 0);
	ck_assert_int_eq(k->error, ECONNREFUSED);
	ck_assert_uint_eq(k->n_freed, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_tfo");
	TCase *tc = tcase_create("fast open");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_listener_that_does_not_ask_for_it_ignores_the_option);
	tcase_add_test(tc, data_in_the_syn_is_read_and_answered_before_the_handshake);
	tcase_add_test(tc, one_that_is_shut_down_before_the_handshake_tells_of_its_new_state_after_it);
	tcase_add_test(tc, a_wrong_ack_or_another_syn_does_not_complete_the_handshake);
	tcase_add_loop_test(tc, what_stands_out_of_the_window_does_not_complete_the_handshake, 0, sizeof at_edges / sizeof *at_edges);
	tcase_add_test(tc, a_lost_syn_ack_is_sent_again_and_so_is_the_answer);
	tcase_add_test(tc, a_wrong_cookie_makes_an_ordinary_handshake_with_a_new_one);
	tcase_add_test(tc, cookies_live_for_two_periods);
	tcase_add_test(tc, a_listeners_own_key_makes_the_cookies_of_linux);
	tcase_add_test(tc, cookies_of_the_backup_key_count_and_are_renewed);
	tcase_add_test(tc, no_more_are_half_open_than_the_listener_allows);
	tcase_add_test(tc, those_that_the_peer_resets_count_on);
	tcase_add_test(tc, the_second_connection_sends_its_data_with_the_syn);
	tcase_add_test(tc, what_the_syn_ack_does_not_acknowledge_is_sent_after_it);
	tcase_add_loop_test(tc, urgent_data_does_not_go_with_the_syn, 0, 2);
	tcase_add_test(tc, those_that_the_peer_reset_count_for_a_minute);
	tcase_add_test(tc, a_connection_after_one_in_time_wait_begins_beyond_it);
	tcase_add_test(tc, a_connection_that_nobody_has_room_for_leaves_nothing);
	tcase_add_test(tc, a_listener_may_do_without_cookies);
	tcase_add_test(tc, without_cookies_the_first_connection_sends_its_data_with_the_syn);
	tcase_add_test(tc, what_one_iop_is_given_the_others_have_as_well);
	tcase_add_loop_test(tc, what_is_urgent_before_the_syn_ack_is_so_after_it, 0, 2);
	tcase_add_test(tc, a_syn_carries_no_more_than_fits_the_peers_mss);
	tcase_add_test(tc, an_acknowledgment_beyond_what_the_syn_carried_is_reset);
	tcase_add_test(tc, a_syn_is_repeated_without_cookie_and_data);
	tcase_add_test(tc, a_path_that_loses_cookies_is_left_alone_for_longer_each_time);
	tcase_add_test(tc, a_cookie_that_was_being_written_at_a_death_is_forgotten);
	tcase_add_test(tc, the_cookie_that_was_not_used_for_longest_makes_room);
	tcase_add_test(tc, a_program_that_writes_nothing_gets_its_handshake_after_a_second);
	tcase_add_test(tc, an_answer_to_a_syn_that_waits_for_its_data_is_a_lie);
	tcase_add_test(tc, a_refused_connection_says_so);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
