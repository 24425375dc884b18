/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_given.c - options that are set before a connection is open: what its first segments make of them
 */
#include "config.h"

#include <string.h>

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

#define PORT 80
#define RPORT 4000

static struct th *h;

static void setup(void)
{
	h = th_new(64);
}

static void teardown(void)
{
	th_free(h);
}

/* What a buffer of so many bytes makes of the first window. As Linux 6 does it, but for 0: ours begins
 * larger than 64 KB can be scaled from. */
static const struct { uint32_t rcvbuf, size; uint8_t ws; } row[] = {
	{ 0, 131072, 7 }, { 2000, 4096, 0 }, { 4096, 4096, 0 }, { 10000, 10000, 0 }, { 65535, 65535, 0 },
	{ 65536, 65536, 1 }, { 100000, 100000, 1 }, { 200000, 200000, 2 }, { 8000000, 4194304, 7 },
};
#define ROWS (sizeof row / sizeof *row)
#define TEXT 2u		/* bytes that come with the handshake */

static struct tcp_seg segment(uint8_t flags, uint32_t seq, uint32_t ack, uint8_t opt)
{
	return (struct tcp_seg){ .sport = RPORT, .dport = PORT, .seq = seq, .ack = ack, .flags = flags, .wnd = 5000,
				 .opt = opt, .mss = 1460, .wscale = 3, .tsval = 77 };
}

/* More SYNs than the SYN cache takes for a listener. */
static void flood(void)
{
	struct tcp_seg g = segment(TCPF_SYN, 1, 0, 0);

	for (g.sport = 100; g.sport < 116; g.sport++)
		th_input(h, &g, NULL, 0);
	th_forget(h);
}

enum way { CACHE, COOKIE, FAST_OPEN, WAYS };

/* What the SYN-ACK offers behind what the SYN brought. */
static uint32_t offer(enum way way, unsigned i)
{
	return u32_min(row[i].size - (way == FAST_OPEN ? TEXT : 0), 65535);
}

/* The SYN-ACK that a SYN draws. */
static struct th_seg *ask(enum way way, uint8_t opt)
{
	static uint8_t cookie[TCP_TFO_COOKIE_MAX];
	struct tcp_seg g = segment(TCPF_SYN, TP_ISS, 0, (uint8_t)(opt | TO_MSS));
	struct th_seg *o;

	th_listen(h, PORT, 16);
	if (way == COOKIE)
		flood();
	if (way == FAST_OPEN) {
		h->fastopen = 4;
		g.opt |= TO_TFO;
		g.sport = 999;
		th_input(h, &g, NULL, 0);
		o = th_next(h);
		ck_assert_uint_eq(o->g.tfo_len, TCP_TFO_COOKIE);
		memcpy(cookie, o->cookie, TCP_TFO_COOKIE);
		g.tfo = cookie;
		g.tfo_len = TCP_TFO_COOKIE;
		g.sport = RPORT;
		g.len = 2;
	}
	th_input(h, &g, "hi", 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_COOKIES_OUT), way == COOKIE);
	ck_assert_uint_eq(h->n_accepted, way == FAST_OPEN);
	return o;
}

/* The ACK that completes the handshake; in all ways two bytes have come then. */
static struct tcb *answer(enum way way, const struct th_seg *o)
{
	struct tcp_seg g = segment(TCPF_ACK, TP_ISS + 1, o->g.seq + 1, o->g.opt & TO_TS);
	struct th_sock *k = h->sock;

	g.tsval++;
	g.tsecr = o->g.tsval;
	g.len = 2;
	if (way == FAST_OPEN) {
		g.seq += 2;
		g.len = 0;
	}
	th_input(h, &g, "hi", 0);
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(k->c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(k->c->rx_head, 2);
	return tcb_of(k->c);
}

START_TEST(a_syn_ack_offers_what_the_listener_was_given)
{
	for (unsigned i = 0; i < ROWS; i++) {
		struct th_seg *o;
		struct tcb *t;
		uint32_t edge;

		teardown();
		setup();
		h->given = (struct tcp_options){ .rcvbuf = row[i].rcvbuf };
		o = ask(_i, TO_WS | TO_TS | TO_SACK_OK);
		ck_assert_uint_eq(o->g.wnd, offer(_i, i));
		ck_assert_uint_eq(o->g.wscale, row[i].ws);
		edge = o->g.ack + o->g.wnd;
		t = answer(_i, o);
		ck_assert_uint_eq(t->rcv_ws, row[i].ws);
		th_advance(h, 100000);
		while (!th_none(h)) {
			o = th_next(h);
			ck_assert(seq_leq(o->g.ack + (o->g.wnd << row[i].ws), TP_ISS + 1 + row[i].size));
			ck_assert(seq_gt(o->g.ack + ((o->g.wnd + 1) << row[i].ws), edge));
		}
	}
}
END_TEST

START_TEST(a_window_that_is_not_scaled_follows_as_well)
{
	for (unsigned i = 0; i < ROWS; i++) {
		struct th_seg *o;

		teardown();
		setup();
		h->given = (struct tcp_options){ .rcvbuf = row[i].rcvbuf };
		o = ask(_i, 0);
		ck_assert_uint_eq(o->g.wnd, offer(_i, i));
		ck_assert(!(o->g.opt & TO_WS));
		ck_assert_uint_eq(answer(_i, o)->rcv_ws, 0);
	}
}
END_TEST

START_TEST(a_syn_ack_that_is_sent_again_says_the_same)
{
	struct tcp_seg g = segment(TCPF_ACK, TP_ISS + 100000, 0, 0);
	struct th_seg *o;

	h->given = (struct tcp_options){ .rcvbuf = 100000, .max_seg = 900, .tos = 0x48, .ttl = 33 };
	ask(CACHE, TO_WS);
	h->given = (struct tcp_options){ 0 };
	th_advance(h, 1100000);
	o = th_next(h);
	ck_assert_uint_eq(o->g.wnd, 65535);
	ck_assert_uint_eq(o->g.wscale, 1);
	ck_assert_uint_eq(o->g.mss, 900);
	ck_assert_uint_eq(o->tos, 0x48);
	ck_assert_uint_eq(o->ttl, 33);
	g.ack = o->g.seq + 1;
	th_input(h, &g, NULL, 0);	/* out of the window: a challenge, whose window is scaled */
	o = th_next(h);
	ck_assert_uint_eq(o->g.wnd, 65535 >> 1);
	ck_assert_uint_eq(o->tos, 0x48);
	ck_assert_uint_eq(o->ttl, 33);
}
END_TEST

START_TEST(segments_of_both_ways_are_no_larger_than_the_listener_allows)
{
	static const uint8_t data[4000];
	struct th_seg *o;
	struct tcb *t;

	h->given = (struct tcp_options){ .max_seg = 900, .tos = 0x48 | 3, .ttl = 33 };
	o = ask(_i, TO_TS);
	ck_assert_uint_eq(o->g.mss, 900);
	ck_assert_uint_eq(o->tos, 0x48);
	ck_assert_uint_eq(o->ttl, 33);
	t = answer(_i, o);
	ck_assert_uint_le(t->peer_mss, 900);
	ck_assert_uint_eq(t->mss, t->peer_mss - 12);
	th_forget(h);
	th_write(h, &h->sock[0], data, sizeof data);
	stack_flush(h->s);
	o = th_next(h);
	ck_assert_uint_eq(o->gso_size, t->mss);
	ck_assert_uint_eq(o->tos, 0x48);
	ck_assert_uint_eq(o->ttl, 33);
}
END_TEST

/* ---- active open ------------------------------------------------------------------------ */

START_TEST(a_syn_offers_what_the_socket_was_given)
{
	for (unsigned i = 0; i < ROWS; i++) {
		struct tcp_options o = { .rcvbuf = row[i].rcvbuf, .max_seg = i % 2 ? 900 : 0 };
		struct tcp_seg g = segment(TCPF_SYN | TCPF_ACK, TP_ISS, 0, TO_MSS | (i % 3 ? TO_WS : 0));
		struct tcp_conn *c;
		struct th_seg *out;
		int err;

		c = stack_connect(h->s, &h->addr, 0, &h->peer, PORT, &o, &err);
		ck_assert_ptr_nonnull(c);
		h->sock[i] = (struct th_sock){ .used = true, .c = c };
		c->user_sock = i + 1;
		stack_flush(h->s);
		out = th_next(h);
		ck_assert_uint_eq(out->g.wnd, offer(CACHE, i));
		ck_assert_uint_eq(out->g.wscale, row[i].ws);
		ck_assert_uint_eq(out->g.mss, i % 2 ? 900 : 1460);
		o.rcvbuf = 300000;
		stack_tcp_options(h->s, c, &o);	/* too late for the scale */
		th_advance(h, 1100000);
		out = th_next(h);
		ck_assert_uint_eq(out->g.wscale, row[i].ws);
		ck_assert_uint_eq(out->g.mss, i % 2 ? 900 : 1460);
		g.sport = PORT;
		g.dport = c->lport;
		g.ack = out->g.seq + 1;
		th_input(h, &g, NULL, 0);
		ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
		ck_assert_uint_eq(tcb_of(c)->rcv_ws, i % 3 ? row[i].ws : 0);
		ck_assert_uint_eq(tcb_of(c)->peer_mss, i % 2 ? 900 : 1460);
		stack_tcp_abort(h->s, c);
		th_forget(h);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp given");
	TCase *tc = tcase_create("given");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_syn_ack_offers_what_the_listener_was_given, 0, WAYS);
	tcase_add_loop_test(tc, a_window_that_is_not_scaled_follows_as_well, 0, WAYS);
	tcase_add_test(tc, a_syn_ack_that_is_sent_again_says_the_same);
	tcase_add_loop_test(tc, segments_of_both_ways_are_no_larger_than_the_listener_allows, 0, WAYS);
	tcase_add_test(tc, a_syn_offers_what_the_socket_was_given);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
