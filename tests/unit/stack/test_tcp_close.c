/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_close.c - from the first FIN to the last: every closing state and what can come
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

#define ALL_OPTS (TO_TS | TO_WS | TO_SACK_OK)
#define PORT 80

static struct th *h;
static struct tp p;
static const char text[] = "the quick brown fox jumps over the lazy dog";
static uint32_t fin;			/* sequence number of our FIN */

static void setup(void)
{
	h = th_new(64);
	th_listen(h, PORT, 8);
	tp_accept(&p, h, PORT, 4000, ALL_OPTS);
}

static void teardown(void)
{
	th_free(h);
}

static void expect(uint8_t flags, uint32_t seq)
{
	struct th_seg *o = th_next(h);

	ck_assert_uint_eq(o->g.flags, flags);
	ck_assert_uint_eq(o->g.seq, seq);
	if (flags & TCPF_ACK && !(flags & TCPF_RST))
		ck_assert_uint_eq(o->g.ack, p.seq);
}

static void app_shutdown(void)
{
	fin = p.ack;
	stack_tcp_shutdown(h->s, p.k->c, p.k->tx_head);
	stack_flush(h->s);
	expect(TCPF_ACK | TCPF_FIN, fin);
}

static void app_close(void)
{
	fin = p.ack;
	stack_tcp_close(h->s, p.k->c, p.k->tx_head, 0);
	stack_flush(h->s);
	expect(TCPF_ACK | TCPF_FIN, fin);
}

static void ack_fin(void)
{
	p.ack = fin + 1;
	tp_send(&p, TCPF_ACK, NULL, 0);
}

static uint32_t waiting(void)
{
	return h->s->tcp->tw_pool.used;
}

static enum npp_tcp_state waiting_state(void)
{
	ck_assert_uint_eq(waiting(), 1);
	return (enum npp_tcp_state)h->s->tcp->tws[h->s->tcp->tw_head].state;
}

static int state(void)
{
	return p.k->c->state;
}

/* ---- we close first ------------------------------------------------------------------------ */

START_TEST(active_close_through_fin_wait_to_time_wait)
{
	app_shutdown();
	ck_assert_int_eq(state(), TCP_ST_FIN_WAIT_1);
	ack_fin();
	ck_assert_int_eq(state(), TCP_ST_FIN_WAIT_2);
	ck_assert(p.k->events & TCP_UP_TX_DONE);
	tp_send(&p, TCPF_ACK, text, 10); /* half-closed: we still receive */
	ck_assert_uint_eq(p.k->c->rx_head, 10);
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	ck_assert_ptr_null(p.k->c); /* the TCB is gone, the record waits */
	ck_assert(p.k->events & TCP_UP_FIN);
	ck_assert_int_eq(p.k->error, 0);
	ck_assert_uint_eq(p.k->rx_head, 10);
	expect(TCPF_ACK, fin + 1);
	ck_assert_int_eq(waiting_state(), TCP_ST_TIME_WAIT);
	th_advance(h, 59000000);
	ck_assert_uint_eq(waiting(), 1);
	th_advance(h, 1100000);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(fin_with_the_ack_of_our_fin)
{
	app_shutdown();
	p.ack = fin + 1;
	tp_send(&p, TCPF_ACK | TCPF_FIN, text, 5);
	ck_assert_ptr_null(p.k->c);
	ck_assert_uint_eq(p.k->rx_head, 5);
	ck_assert_int_eq(waiting_state(), TCP_ST_TIME_WAIT);
	expect(TCPF_ACK, fin + 1);
}
END_TEST

START_TEST(simultaneous_close)
{
	app_shutdown();
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	ck_assert_int_eq(state(), TCP_ST_CLOSING);
	expect(TCPF_ACK, fin + 1);
	tp_send_at(&p, p.seq, TCPF_ACK, text, 5); /* data after its FIN */
	ck_assert_int_eq(state(), TCP_ST_CLOSING);
	ack_fin();
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(waiting_state(), TCP_ST_TIME_WAIT);
}
END_TEST

START_TEST(fin_out_of_order_waits_for_the_data)
{
	app_shutdown();
	ack_fin();
	tp_send_at(&p, p.seq + 5, TCPF_ACK | TCPF_FIN, text + 5, 5);
	ck_assert_int_eq(state(), TCP_ST_FIN_WAIT_2);
	tp_send(&p, TCPF_ACK, text, 5);
	ck_assert_ptr_null(p.k->c);
	ck_assert_uint_eq(p.k->rx_head, 10);
}
END_TEST

START_TEST(our_fin_is_sent_again)
{
	app_shutdown();
	th_advance(h, 1200000);
	expect(TCPF_ACK | TCPF_FIN, fin);
	ack_fin();
	ck_assert_int_eq(state(), TCP_ST_FIN_WAIT_2);
}
END_TEST

START_TEST(fin_follows_what_was_written)
{
	th_write(h, p.k, text, 20);
	stack_tcp_shutdown(h->s, p.k->c, 20);
	stack_flush(h->s);
	ck_assert_uint_eq(h->out[h->next_out].g.len, 20);
	expect(TCPF_ACK | TCPF_FIN | TCPF_PSH, p.ack);
	fin = p.ack + 20;
	p.ack += 20; /* all but the FIN */
	tp_send(&p, TCPF_ACK, NULL, 0);
	ck_assert(!(p.k->events & TCP_UP_TX_DONE));
	ck_assert_uint_eq(p.k->c->tx_tail, 20);
	ack_fin();
	ck_assert(p.k->events & TCP_UP_TX_DONE);
	ck_assert_uint_eq(p.k->c->tx_tail, 20);
}
END_TEST

START_TEST(fin_wait_rst_ends_it)
{
	app_shutdown();
	tp_send(&p, TCPF_RST, NULL, 0);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ECONNRESET);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* ---- the peer closes first --------------------------------------------------------------------- */

START_TEST(passive_close_through_last_ack)
{
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	ck_assert_int_eq(state(), TCP_ST_CLOSE_WAIT);
	ck_assert(p.k->events & TCP_UP_FIN);
	expect(TCPF_ACK, p.ack);
	th_write(h, p.k, text, 10); /* half-closed: we still send */
	stack_flush(h->s);
	expect(TCPF_ACK | TCPF_PSH, p.ack);
	p.ack += 10;
	tp_send(&p, TCPF_ACK, NULL, 0);
	app_close();
	ck_assert_int_eq(state(), TCP_ST_LAST_ACK);
	ack_fin();
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, 0);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(close_wait_fin_again_is_acknowledged_again)
{
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	expect(TCPF_ACK, p.ack);
	tp_send_at(&p, p.seq - 1, TCPF_ACK | TCPF_FIN, NULL, 0);
	expect(TCPF_ACK, p.ack);
	ck_assert_int_eq(state(), TCP_ST_CLOSE_WAIT);
}
END_TEST

START_TEST(close_wait_rst_is_a_broken_pipe)
{
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	tp_send(&p, TCPF_RST, NULL, 0);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, EPIPE);
}
END_TEST

START_TEST(last_ack_rst_is_no_error)
{
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	th_forget(h);
	app_close();
	tp_send(&p, TCPF_RST, NULL, 0);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, 0);
}
END_TEST

/* ---- after close() --------------------------------------------------------------------------------- */

START_TEST(a_closed_connection_waits_for_fin_as_a_small_record)
{
	app_close();
	ack_fin();
	ck_assert_ptr_null(p.k->c);
	ck_assert(p.k->events & TCP_UP_TX_DONE);
	ck_assert_int_eq(waiting_state(), TCP_ST_FIN_WAIT_2);
	tp_send(&p, TCPF_ACK, NULL, 0);
	ck_assert(th_none(h));
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	expect(TCPF_ACK, fin + 1);
	ck_assert_int_eq(waiting_state(), TCP_ST_TIME_WAIT);
}
END_TEST

/* TCP_LINGER2: how long that record waits. */
START_TEST(a_closed_connection_waits_for_fin_as_long_as_it_was_told)
{
	struct tp q;

	tp_accept(&q, h, PORT, 4001, ALL_OPTS);
	app_close();
	ack_fin();
	th_advance(h, 1000000);
	ck_assert_uint_eq(waiting(), 1);
	stack_tcp_close(h->s, q.k->c, q.k->tx_head, 7); /* comes later and goes earlier */
	stack_flush(h->s);
	q.ack++;
	tp_send(&q, TCPF_ACK, NULL, 0);
	ck_assert_uint_eq(waiting(), 2);
	th_advance(h, 6500000);
	ck_assert_uint_eq(waiting(), 2);
	th_advance(h, 1000000);
	ck_assert_uint_eq(waiting(), 1);
	th_advance(h, 50000000);
	ck_assert_uint_eq(waiting(), 1);
	th_advance(h, 3000000);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* A FIN that comes late begins a whole wait. */
START_TEST(time_wait_begins_with_the_fin)
{
	app_close();
	ack_fin();
	th_advance(h, 50000000);
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	ck_assert_int_eq(waiting_state(), TCP_ST_TIME_WAIT);
	th_advance(h, 59000000);
	ck_assert_uint_eq(waiting(), 1);
	th_advance(h, 1100000);
	ck_assert_uint_eq(waiting(), 0);
	th_forget(h);
}
END_TEST

START_TEST(fin_wait_2_record_takes_no_ack_of_what_was_never_sent)
{
	app_close();
	ack_fin();
	ck_assert_int_eq(waiting_state(), TCP_ST_FIN_WAIT_2);
	p.ack++;
	tp_send_at(&p, p.seq, TCPF_ACK | TCPF_FIN, NULL, 0);
	ck_assert_int_eq(waiting_state(), TCP_ST_FIN_WAIT_2);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_ACK), 1);
	p.ack -= 2 + (1u << 30); /* nor of what is older than every window */
	tp_send_at(&p, p.seq, TCPF_ACK | TCPF_FIN, NULL, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_ACK), 2);
	ck_assert_int_eq(waiting_state(), TCP_ST_FIN_WAIT_2);
	th_forget(h);
}
END_TEST

START_TEST(nobody_waits_for_fin_longer_than_the_settings_say)
{
	fin = p.ack;
	stack_tcp_close(h->s, p.k->c, p.k->tx_head, 200);
	stack_flush(h->s);
	expect(TCPF_ACK | TCPF_FIN, fin);
	ack_fin();
	ck_assert_int_eq(waiting_state(), TCP_ST_FIN_WAIT_2);
	th_advance(h, 61000000);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(a_closed_connection_need_not_wait_for_fin_at_all)
{
	fin = p.ack;
	stack_tcp_close(h->s, p.k->c, p.k->tx_head, NPP_LINGER2_NONE);
	stack_flush(h->s);
	expect(TCPF_ACK | TCPF_FIN, fin);
	ack_fin();
	expect(TCPF_RST | TCPF_ACK, fin + 1);
	ck_assert_ptr_null(p.k->c);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* A host that asks for a short wait costs no walk over all that wait. */
START_TEST(a_short_wait_is_looked_for_near_the_end_of_the_queue_only)
{
	struct tp q;

	for (uint16_t i = 0; i < 40; i++) {
		tp_accept(&q, h, PORT, (uint16_t)(5000 + i), ALL_OPTS);
		stack_tcp_close(h->s, q.k->c, q.k->tx_head, i < 39 ? 0 : 1);
		stack_flush(h->s);
		q.ack++;
		tp_send(&q, TCPF_ACK, NULL, 0);
		th_advance(h, i < 39 ? 1000000 : 0);
		th_forget(h);
	}
	ck_assert_uint_eq(waiting(), 40);
	th_advance(h, 26500000); /* 65.5 s: six are over, the short one goes with the seventh at the soonest */
	ck_assert_uint_eq(waiting(), 34);
	th_advance(h, 1000000);
	ck_assert_uint_eq(waiting(), 32);
	app_shutdown();
}
END_TEST

START_TEST(data_after_close_is_reset)
{
	app_close();
	tp_send(&p, TCPF_ACK, text, 10);
	expect(TCPF_RST | TCPF_ACK, fin + 1);
	ck_assert_ptr_null(p.k->c);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(a_copy_of_old_data_after_close_is_acknowledged)
{
	uint32_t was = p.seq;
	uint8_t buf[16];

	tp_send(&p, TCPF_ACK, text, 10);
	ck_assert_uint_eq(th_read(h, p.k, buf, sizeof buf), 10);
	app_close();
	tp_send_at(&p, was, TCPF_ACK, text, 10);
	expect(TCPF_ACK, fin + 1);
	ck_assert_uint_eq(waiting(), 0);
	ck_assert_int_eq(p.k->c->state, TCP_ST_FIN_WAIT_1);
}
END_TEST

START_TEST(data_in_fin_wait_2_after_close_is_reset)
{
	app_close();
	ack_fin();
	tp_send(&p, TCPF_ACK, text, 10);
	expect(TCPF_RST, fin + 1);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(closing_in_fin_wait_2_leaves_a_small_record)
{
	app_shutdown();
	ack_fin();
	stack_tcp_close(h->s, p.k->c, p.k->tx_head, 0);
	stack_flush(h->s);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(waiting_state(), TCP_ST_FIN_WAIT_2);
	th_advance(h, 61000000);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(fin_wait_2_record_opens_a_closed_window)
{
	static const uint8_t zero[1000];
	struct th_seg *o = NULL;

	for (int i = 0; i < 400 && (!o || o->g.wnd > 0); i++) { /* nobody reads */
		tp_send(&p, TCPF_ACK, zero, sizeof zero);
		while (!th_none(h))
			o = th_next(h);
	}
	ck_assert_uint_eq(o->g.wnd, 0);
	p.seq = o->g.ack; /* what did not fit comes again */
	app_close();
	ack_fin();
	ck_assert_int_eq(waiting_state(), TCP_ST_FIN_WAIT_2);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_ACK);
	ck_assert_uint_gt(o->g.wnd, 0);
	tp_send(&p, TCPF_ACK, zero, sizeof zero);
	expect(TCPF_RST, fin + 1);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(fin_wait_2_record_takes_exact_rst_only)
{
	app_close();
	ack_fin();
	tp_send_at(&p, p.seq + (1u << 28), TCPF_RST, NULL, 0); /* beyond the window: not even answered */
	ck_assert_uint_eq(waiting(), 1);
	ck_assert(th_none(h));
	tp_send_at(&p, p.seq + 1, TCPF_RST, NULL, 0);
	ck_assert_uint_eq(waiting(), 1);
	tp_send_at(&p, p.seq, TCPF_RST, NULL, 0);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(a_closed_connection_without_progress_is_given_up)
{
	th_write(h, p.k, text, 20);
	stack_tcp_close(h->s, p.k->c, 20, 0);
	th_advance(h, 400000000);
	ck_assert_ptr_null(p.k->c);
	while (!th_none(h))
		if (th_next(h)->g.flags & TCPF_RST)
			break;
	ck_assert(th_none(h));
}
END_TEST

START_TEST(a_closed_connection_with_a_zero_window_is_given_up)
{
	p.wnd = 0;
	tp_send(&p, TCPF_ACK, NULL, 0);
	th_write(h, p.k, text, 20);
	stack_tcp_close(h->s, p.k->c, 20, 0);
	for (int i = 0; i < 600 && p.k->c; i++) { /* the peer answers every probe */
		th_advance(h, 1000000);
		th_forget(h);
		if (p.k->c)
			tp_send(&p, TCPF_ACK, NULL, 0);
	}
	ck_assert_ptr_null(p.k->c);
}
END_TEST

START_TEST(a_reset_comes_behind_what_the_window_lets_through)
{
	static const uint8_t data[20000];
	uint32_t before, sent = 0;
	struct th_seg *o;

	before = tcb_of(p.k->c)->snd_nxt;
	th_write(h, p.k, data, sizeof data);
	stack_tcp_push(h->s, p.k->c);
	stack_tcp_abort(h->s, p.k->c);
	for (o = th_next(h); !(o->g.flags & TCPF_RST); o = th_next(h))
		sent += o->g.len;
	ck_assert_uint_ge(sent, 1000);
	ck_assert_uint_lt(sent, sizeof data);
	ck_assert_uint_eq(o->g.seq, before + sent);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(abort_resets_at_once)
{
	uint32_t seq = p.ack;

	th_write(h, p.k, text, 20);
	stack_tcp_abort(h->s, p.k->c);
	ck_assert_ptr_null(p.k->c);
	expect(TCPF_RST | TCPF_ACK, seq);
	ck_assert(!(p.k->events & TCP_UP_ERROR));
	stack_flush(h->s);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(calls_on_a_dead_connection_are_harmless)
{
	struct tcp_conn *c = p.k->c;
	struct tcp_seg g = tp_seg(&p, TCPF_RST, 0);
	struct tcp_options o = { 0 };

	th_input_noflush(h, &g, NULL, 0); /* dead, but its user does not know yet */
	stack_tcp_sent(h->s, c, 5);
	stack_tcp_read(h->s, c, 5);
	stack_tcp_options(h->s, c, &o);
	stack_tcp_shutdown(h->s, c, 0);
	stack_tcp_close(h->s, c, 0, 0);
	stack_tcp_abort(h->s, c);
	ck_assert_uint_eq(p.k->n_freed, 1);
	stack_tcp_abort(h->s, c);
	stack_flush(h->s);
	ck_assert_uint_eq(p.k->n_freed, 1);
}
END_TEST

/* ---- TIME_WAIT --------------------------------------------------------------------------------------- */

static void to_time_wait(void)
{
	app_close();
	p.ack = fin + 1;
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	ck_assert_int_eq(waiting_state(), TCP_ST_TIME_WAIT);
	th_forget(h);
}

START_TEST(time_wait_rst_is_ignored)
{
	to_time_wait();
	tp_send(&p, TCPF_RST, NULL, 0);
	ck_assert_uint_eq(waiting(), 1);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(time_wait_fin_again_is_acknowledged_and_restarts_the_clock)
{
	to_time_wait();
	th_advance(h, 50000000);
	tp_send_at(&p, p.seq - 1, TCPF_ACK | TCPF_FIN, NULL, 0);
	expect(TCPF_ACK, fin + 1);
	th_advance(h, 50000000);
	ck_assert_uint_eq(waiting(), 1);
	th_advance(h, 11000000);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(time_wait_lasts_as_long_as_the_settings_say)
{
	h->global->tcp_time_wait_ms = 5000;
	to_time_wait();
	th_advance(h, 4990000);
	ck_assert_uint_eq(waiting(), 1);
	th_advance(h, 20000);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* Records keep the low bits of times. */
START_TEST(time_wait_lasts_as_long_when_the_milliseconds_wrap)
{
	h->now_us = (1ull << 32) * 1000 - 30000000;
	th_restart(h);
	to_time_wait();
	th_advance(h, 1000);
	tp_accept(&p, h, PORT, 4001, ALL_OPTS);
	th_forget(h);
	app_close();
	ack_fin(); /* the next one in the queue waits in FIN_WAIT_2 */
	th_advance(h, 59000000);
	ck_assert_uint_eq(waiting(), 2);
	th_advance(h, 1010000);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* What is not kept follows from the rest: our timestamps go on as before. */
START_TEST(time_wait_answers_as_the_connection_did)
{
	struct tcb *t = tcb_of(p.k->c);
	uint32_t ts_off = t->ts_off, edge = t->rcv_adv + 1; /* the FIN's */
	uint8_t ws = t->rcv_ws;
	struct th_seg *o;

	to_time_wait();
	th_advance(h, 7000000);
	tp_send_at(&p, p.seq - 1, TCPF_ACK | TCPF_FIN, NULL, 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.tsval, tcp_tsval(h->s, ts_off));
	ck_assert(seq_geq(o->g.ack + (o->g.wnd << ws) + (1u << ws), edge));
}
END_TEST

START_TEST(time_wait_old_segments_are_answered_now_and_then)
{
	to_time_wait();
	tp_send_at(&p, p.seq - 1000, TCPF_ACK, text, 10);
	expect(TCPF_ACK, fin + 1);
	tp_send_at(&p, p.seq - 1000, TCPF_ACK, text, 10);
	ck_assert(th_none(h));
}
END_TEST

/* As any connection answers empty segments: the peer's own FIN is what an answer was lost of. */
START_TEST(time_wait_answers_an_old_timestamp_but_not_a_missing_one)
{
	struct tcp_seg g;

	to_time_wait();
	g = tp_seg(&p, TCPF_ACK, 10);
	g.opt = 0;
	th_input(h, &g, text, 0);
	ck_assert(th_none(h)); /* RFC 7323, 3.2 */
	g = tp_seg(&p, TCPF_ACK, 10);
	g.tsval--;
	th_input(h, &g, text, 0);
	expect(TCPF_ACK, fin + 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_WINDOW), 2);
}
END_TEST

START_TEST(time_wait_remembers_the_latest_timestamp)
{
	to_time_wait();
	p.tsval += 100;
	tp_send_at(&p, p.seq + 5, TCPF_ACK, text, 5); /* not of what is still to come */
	ck_assert_uint_ne(h->s->tcp->tws[h->s->tcp->tw_head].ts_recent, p.tsval);
	th_forget(h);
	tp_send_at(&p, p.seq - 1, TCPF_ACK | TCPF_FIN, NULL, 0);
	ck_assert_uint_eq(h->s->tcp->tws[h->s->tcp->tw_head].ts_recent, p.tsval);
	expect(TCPF_ACK, fin + 1);
}
END_TEST

START_TEST(time_wait_forged_fins_are_answered_now_and_then)
{
	to_time_wait();
	th_advance(h, 30000000);
	for (unsigned i = 0; i < 100; i++) {
		tp_send_at(&p, p.seq - 100000 - i, TCPF_ACK | TCPF_FIN, NULL, 0);
		tp_send_at(&p, p.seq + i, TCPF_ACK | TCPF_FIN, NULL, 0);
	}
	ck_assert_uint_eq(h->n_out - h->next_out, 1);
	th_forget(h);
	for (unsigned i = 0; i < 3; i++) {
		tp_send_at(&p, p.seq - 1, TCPF_ACK | TCPF_FIN, NULL, 0);
		expect(TCPF_ACK, fin + 1);
	}
	th_advance(h, 50000000);
	tp_send_at(&p, p.seq, TCPF_ACK | TCPF_FIN, NULL, 0); /* nor do they keep it any longer */
	th_advance(h, 11000000);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(time_wait_gives_way_to_a_newer_syn)
{
	struct tcp_seg g;

	to_time_wait();
	g = tp_seg(&p, TCPF_SYN, 0); /* not newer: its timestamp is older */
	g.opt = TO_TS;
	g.tsval = p.tsval - 1;
	th_input(h, &g, NULL, 0);
	expect(TCPF_ACK, fin + 1);
	ck_assert_uint_eq(waiting(), 1);
	g.tsval = p.tsval + 1;
	g.seq -= 50000; /* the timestamp alone says so (RFC 6191) */
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(waiting(), 0);
	ck_assert_uint_eq(h->out[h->next_out].g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert(seq_gt(h->out[h->next_out].g.seq, fin + 60000));
}
END_TEST

START_TEST(time_wait_gives_way_to_a_bare_syn_only)
{
	struct tcp_seg g;

	to_time_wait();
	g = tp_seg(&p, TCPF_SYN | TCPF_ACK, 0);
	g.opt = TO_TS;
	g.tsval = p.tsval + 1;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(waiting(), 1);
	g.flags = TCPF_SYN | TCPF_FIN;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(waiting(), 1);
	th_forget(h);
}
END_TEST

/* A clock that has not moved on says nothing (RFC 6191, 2). */
START_TEST(time_wait_asks_the_sequence_when_timestamps_are_equal)
{
	struct tcp_seg g;

	to_time_wait();
	g = tp_seg(&p, TCPF_SYN, 0);
	g.opt = TO_TS;
	g.tsval = h->s->tcp->tws[h->s->tcp->tw_head].ts_recent;
	g.seq = p.seq - 1;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(waiting(), 1);
	th_forget(h);
	g.seq = p.seq + 1;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(waiting(), 0);
	th_forget(h);
}
END_TEST

START_TEST(time_wait_without_timestamps_asks_for_a_higher_sequence)
{
	struct tp q;
	struct tcp_seg g;

	tp_accept(&q, h, PORT, 4001, 0);
	p = q;
	to_time_wait();
	g = tp_seg(&p, TCPF_SYN, 0);
	for (unsigned back = 0; back < 2; back++) {
		g.seq = p.seq - back;
		th_input(h, &g, NULL, 0);
		ck_assert_uint_eq(waiting(), 1);
		th_forget(h);
	}
	g.seq = p.seq + 1;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* It would be a way to end it early. */
START_TEST(time_wait_is_not_given_up_for_a_syn_that_nobody_waits_for)
{
	struct tp q;
	struct tcp_seg g;

	tp_connect(&q, h, 443, ALL_OPTS); /* no listener at that port of ours */
	p = q;
	to_time_wait();
	g = tp_seg(&p, TCPF_SYN, 0);
	g.opt = TO_TS;
	g.tsval = p.tsval + 1;
	th_input(h, &g, NULL, 0);
	expect(TCPF_ACK, fin + 1);
	ck_assert_uint_eq(waiting(), 1);
}
END_TEST

START_TEST(time_wait_never_uses_up_the_table)
{
	struct tp q;

	/* Far more than there are records, in a second. */
	for (unsigned i = 0; i < 3000; i++) {
		tp_accept(&q, h, PORT, (uint16_t)(5000 + i), ALL_OPTS);
		p = q;
		app_close();
		p.ack = fin + 1;
		tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
		ck_assert_uint_eq(q.k->n_freed, 1);
		q.k->used = false;
		q.k->n_freed = 0;
		free(q.k->rx);
		free(q.k->tx);
		q.k->rx = q.k->tx = NULL;
		th_forget(h);
	}
	ck_assert_uint_eq(waiting(), h->s->tcp->tw_pool.count);
	ck_assert_uint_gt(th_stat(h, NPP_IS_TCP_TW_RECYCLED), 1000);
	ck_assert_uint_eq(h->s->tcp->conn_pool.used, 1);
	th_restart(h);
	ck_assert_uint_eq(waiting(), h->s->tcp->tw_pool.count);
}
END_TEST

START_TEST(connect_reuses_a_pair_in_time_wait)
{
	struct tp q;
	struct tcp_conn *c;
	uint16_t lport;
	int err;

	tp_connect(&q, h, 443, ALL_OPTS);
	lport = q.lport;
	p = q;
	to_time_wait();
	ck_assert_ptr_null(stack_connect(h->s, &h->addr, lport, &h->peer, 443, NULL, &err));
	ck_assert_int_eq(err, -EADDRINUSE);
	th_advance(h, 2000000); /* timestamps have moved on for certain */
	c = stack_connect(h->s, &h->addr, lport, &h->peer, 443, NULL, &err);
	ck_assert_ptr_nonnull(c);
	ck_assert(seq_gt(th_next(h)->g.seq, fin + 65000));
	ck_assert_uint_eq(waiting(), 0);
	c->user_sock = TH_SOCKS;
	h->sock[TH_SOCKS - 1] = (struct th_sock){ .used = true, .c = c };
}
END_TEST

START_TEST(a_restart_keeps_every_closing_state)
{
	app_shutdown();
	th_restart(h);
	stack_flush(h->s);
	th_forget(h);
	ack_fin();
	ck_assert_int_eq(state(), TCP_ST_FIN_WAIT_2);
	th_restart(h);
	stack_flush(h->s);
	th_forget(h);
	tp_send(&p, TCPF_ACK | TCPF_FIN, NULL, 0);
	ck_assert_int_eq(waiting_state(), TCP_ST_TIME_WAIT);
	th_restart(h);
	th_forget(h);
	tp_send_at(&p, p.seq - 1, TCPF_ACK | TCPF_FIN, NULL, 0);
	expect(TCPF_ACK, fin + 1);
}
END_TEST

static uint64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The queue is made anew, whatever order the records stand in. */
START_TEST(a_restart_with_many_who_wait_is_soon_over)
{
	struct th *many = th_new(100000);
	struct tcp_state *tcp = many->s->tcp;
	uint32_t n = tcp->tw_pool.count, seen = 0;
	uint64_t began;

	ck_assert_uint_gt(n, 20000);
	for (uint32_t i = 0; i < n; i++)
		tcp->tws[i] = (struct tcp_tw){ .in_use = 1, .state = TCP_ST_TIME_WAIT, .hash = i,
					       .due_ms = (uint32_t)(many->now_us / 1000) + 30000 + (i < n / 2 ? i : i * 7919 % n) };
	began = cpu_us();
	ck_assert_int_eq(stack_attach(many->s, &many->env, many->now_us), 0);
	ck_assert_uint_lt(cpu_us() - began, 300000); /* far from what looking for the place of each takes */
	ck_assert_uint_eq(tcp->tw_pool.used, n);
	for (uint32_t i = tcp->tw_head, before = TCP_NONE; i != TCP_NONE; before = i, i = tcp->tws[i].next, seen++) {
		ck_assert_uint_eq(tcp->tws[i].prev, before);
		ck_assert(before == TCP_NONE || tcp->tws[before].due_ms <= tcp->tws[i].due_ms);
		ck_assert(tcp->tws[i].next != TCP_NONE || tcp->tw_tail == i);
	}
	ck_assert_uint_eq(seen, n);
	th_free(many);
}
END_TEST

START_TEST(a_death_before_the_last_event_does_not_lose_it)
{
	struct tcp_seg g = tp_seg(&p, TCPF_RST, 0);

	th_input_noflush(h, &g, NULL, 0);
	ck_assert_uint_eq(p.k->n_freed, 0);
	th_restart(h);
	stack_flush(h->s);
	ck_assert_uint_eq(p.k->n_freed, 1);
	ck_assert_int_eq(p.k->error, ECONNRESET);
}
END_TEST

START_TEST(closed_connections_that_send_on_are_bounded)
{
	struct th *g = th_new(256);
	uint8_t data[100] = { 0 };
	unsigned resets = 0;

	th_listen(g, 80, 8);
	for (uint16_t i = 0; i < 60; i++) { /* the sockets of the rig are 64, and so many of 256 may */
		struct tp q;

		tp_accept(&q, g, 80, (uint16_t)(5000 + i), TO_SACK_OK);
		th_write(g, q.k, data, sizeof data);
		stack_tcp_close(g->s, q.k->c, q.k->tx_head, 0);
		stack_flush(g->s);
		while (!th_none(g))
			resets += (th_next(g)->g.flags & TCPF_RST) != 0;
		th_forget(g);
		if (i == 40)
			th_restart(g);
		stack_flush(g->s);
		th_forget(g);
	}
	ck_assert_uint_eq(g->s->tcp->orphans, 60);
	ck_assert_uint_eq(resets, 0);
	g->s->tcp->orphans = 64;
	{
		struct tp q;

		tp_accept(&q, g, 80, 7000, TO_SACK_OK);
		th_write(g, q.k, data, sizeof data);
		stack_tcp_close(g->s, q.k->c, q.k->tx_head, 0);
		stack_flush(g->s);
		while (!th_none(g))
			resets += (th_next(g)->g.flags & TCPF_RST) != 0;
	}
	ck_assert_uint_eq(resets, 1);
	ck_assert_uint_eq(th_stat(g, NPP_IS_ORPHANS_FULL), 1);
	g->s->tcp->orphans = 60;
	th_forget(g);
	for (int i = 0; i < 40; i++) { /* nobody acknowledges: none of them stays */
		th_advance(g, 10000000);
		th_forget(g);
	}
	ck_assert_uint_eq(g->s->tcp->orphans, 0);
	th_free(g);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_close");
	TCase *tc = tcase_create("close");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, active_close_through_fin_wait_to_time_wait);
	tcase_add_test(tc, fin_with_the_ack_of_our_fin);
	tcase_add_test(tc, simultaneous_close);
	tcase_add_test(tc, fin_out_of_order_waits_for_the_data);
	tcase_add_test(tc, our_fin_is_sent_again);
	tcase_add_test(tc, fin_follows_what_was_written);
	tcase_add_test(tc, fin_wait_rst_ends_it);
	tcase_add_test(tc, passive_close_through_last_ack);
	tcase_add_test(tc, close_wait_fin_again_is_acknowledged_again);
	tcase_add_test(tc, a_closed_connection_waits_for_fin_as_long_as_it_was_told);
	tcase_add_test(tc, time_wait_begins_with_the_fin);
	tcase_add_test(tc, fin_wait_2_record_takes_no_ack_of_what_was_never_sent);
	tcase_add_test(tc, nobody_waits_for_fin_longer_than_the_settings_say);
	tcase_add_test(tc, a_closed_connection_need_not_wait_for_fin_at_all);
	tcase_add_test(tc, a_short_wait_is_looked_for_near_the_end_of_the_queue_only);
	tcase_add_test(tc, close_wait_rst_is_a_broken_pipe);
	tcase_add_test(tc, last_ack_rst_is_no_error);
	tcase_add_test(tc, a_closed_connection_waits_for_fin_as_a_small_record);
	tcase_add_test(tc, data_after_close_is_reset);
	tcase_add_test(tc, a_copy_of_old_data_after_close_is_acknowledged);
	tcase_add_test(tc, data_in_fin_wait_2_after_close_is_reset);
	tcase_add_test(tc, closing_in_fin_wait_2_leaves_a_small_record);
	tcase_add_test(tc, fin_wait_2_record_opens_a_closed_window);
	tcase_add_test(tc, fin_wait_2_record_takes_exact_rst_only);
	tcase_add_test(tc, a_closed_connection_without_progress_is_given_up);
	tcase_add_test(tc, a_closed_connection_with_a_zero_window_is_given_up);
	tcase_add_test(tc, a_reset_comes_behind_what_the_window_lets_through);
	tcase_add_test(tc, abort_resets_at_once);
	tcase_add_test(tc, calls_on_a_dead_connection_are_harmless);
	tcase_add_test(tc, time_wait_rst_is_ignored);
	tcase_add_test(tc, time_wait_fin_again_is_acknowledged_and_restarts_the_clock);
	tcase_add_test(tc, time_wait_lasts_as_long_as_the_settings_say);
	tcase_add_test(tc, time_wait_lasts_as_long_when_the_milliseconds_wrap);
	tcase_add_test(tc, time_wait_answers_as_the_connection_did);
	tcase_add_test(tc, time_wait_old_segments_are_answered_now_and_then);
	tcase_add_test(tc, time_wait_answers_an_old_timestamp_but_not_a_missing_one);
	tcase_add_test(tc, time_wait_remembers_the_latest_timestamp);
	tcase_add_test(tc, time_wait_forged_fins_are_answered_now_and_then);
	tcase_add_test(tc, time_wait_gives_way_to_a_newer_syn);
	tcase_add_test(tc, time_wait_gives_way_to_a_bare_syn_only);
	tcase_add_test(tc, time_wait_asks_the_sequence_when_timestamps_are_equal);
	tcase_add_test(tc, time_wait_without_timestamps_asks_for_a_higher_sequence);
	tcase_add_test(tc, time_wait_is_not_given_up_for_a_syn_that_nobody_waits_for);
	tcase_add_test(tc, time_wait_never_uses_up_the_table);
	tcase_add_test(tc, connect_reuses_a_pair_in_time_wait);
	tcase_add_test(tc, a_restart_keeps_every_closing_state);
	tcase_add_test(tc, a_restart_with_many_who_wait_is_soon_over);
	tcase_add_test(tc, a_death_before_the_last_event_does_not_lose_it);
	tcase_add_test(tc, closed_connections_that_send_on_are_bounded);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
