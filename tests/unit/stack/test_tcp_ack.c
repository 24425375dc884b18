/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_ack.c - what an acknowledgment tells: round trips, windows, progress, SACK
 *                  blocks; and the timers it sets
 */
#include "config.h"

#include <string.h>

#include "tests/unit/stack/tcp_flow.h"
#include "tests/unit/suite.h"

#define ALL_OPTS (TO_TS | TO_WS | TO_SACK_OK)

static struct flow f;
static struct th *h;
static struct tp *p;
static const char text[] = "the quick brown fox jumps over the lazy dog";

static void open_with(uint8_t opt)
{
	flow_open(&f, opt);
	h = f.h;
	p = &f.p;
}

static void setup(void) { open_with(ALL_OPTS); }
static void setup_no_sack(void) { open_with(TO_TS | TO_WS); }
static void setup_bare(void) { open_with(0); }
static void teardown(void) { flow_close(&f); }

/* SEGS segments leave at once, a round trip passes. */
static void in_flight(unsigned segs)
{
	f.t->cwnd = segs * f.t->mss;
	flow_write(&f, segs);
	th_forget(h);
	flow_pass(&f, FLOW_RTT_US);
}

/* ---- round trips (RFC 6298) ----------------------------------------------------------------- */

START_TEST(the_timeout_is_that_of_rfc_6298)
{
	f.t->srtt_us = f.t->rttvar_us = 0;
	tcp_rtt_sample(h->s, f.t, 200000);
	ck_assert_uint_eq(f.t->rto_us, 200000 + 4 * 100000);
	tcp_rtt_sample(h->s, f.t, 400000);
	ck_assert_uint_eq(f.t->srtt_us, 225000);
	ck_assert_uint_eq(f.t->rttvar_us, 125000);
	ck_assert_uint_eq(f.t->rto_us, 225000 + 4 * 125000);
}
END_TEST

START_TEST(a_round_trip_longer_than_any_timeout_is_none)
{
	uint32_t rto = f.t->rto_us;

	tcp_rtt_sample(h->s, f.t, TCP_RTO_MAX_US + 1);
	ck_assert_uint_eq(f.t->srtt_us, FLOW_RTT_US);
	ck_assert_uint_eq(f.t->rto_us, rto);
}
END_TEST

START_TEST(the_least_round_trip_is_forgotten_after_five_minutes)
{
	tcp_rtt_sample(h->s, f.t, 2 * FLOW_RTT_US);
	ck_assert_uint_eq(f.t->min_rtt_us, FLOW_RTT_US);
	th_advance(h, (TCP_MIN_RTT_S + 2) * 1000000ull);
	tcp_rtt_sample(h->s, f.t, 2 * FLOW_RTT_US);
	ck_assert_uint_eq(f.t->min_rtt_us, 2 * FLOW_RTT_US);
}
END_TEST

START_TEST(an_echo_from_the_future_or_of_a_minute_ago_is_no_round_trip)
{
	struct tcp_seg g = tp_seg(p, TCPF_ACK, 0);
	uint32_t now = tcp_tsval(h->s, f.t->ts_off);

	ck_assert_uint_ne(g.opt & TO_TS, 0);
	g.tsecr = now - 30;
	ck_assert_uint_eq(tcp_rtt_echo(h->s, f.t->ts_off, &g), 30000);
	g.tsecr = now + 30;
	ck_assert_uint_eq(tcp_rtt_echo(h->s, f.t->ts_off, &g), 0);
	g.tsecr = now - 60000;
	ck_assert_uint_eq(tcp_rtt_echo(h->s, f.t->ts_off, &g), 0);
}
END_TEST

START_TEST(one_sample_counts_for_each_round_trip)
{
	uint32_t srtt;

	in_flight(10);
	flow_pass(&f, FLOW_RTT_US);
	flow_ack(&f, 1);
	srtt = f.t->srtt_us;
	ck_assert_uint_gt(srtt, FLOW_RTT_US);
	flow_ack(&f, 5);
	flow_ack(&f, 10);
	ck_assert_uint_eq(f.t->srtt_us, srtt);
	in_flight(4);
	flow_ack(&f, 14);
	ck_assert_uint_ne(f.t->srtt_us, srtt);
}
END_TEST

START_TEST(a_timeout_that_backed_off_takes_the_first_sample_there_is)
{
	in_flight(10);
	flow_ack(&f, 1);
	f.t->backoff = 1;
	flow_ack(&f, 2);
	ck_assert_uint_eq(f.t->backoff, 0);
}
END_TEST

START_TEST(the_least_round_trip_may_be_between_two_samples)
{
	f.t->cwnd = 4 * f.t->mss;
	flow_write(&f, 2);
	flow_pass(&f, FLOW_RTT_US / 2);
	flow_write(&f, 2);
	th_forget(h);
	flow_pass(&f, FLOW_RTT_US / 2);
	flow_ack(&f, 1);
	ck_assert_uint_eq(f.t->min_rtt_us, FLOW_RTT_US);
	flow_ack(&f, 4);
	ck_assert_uint_eq(f.t->min_rtt_us, FLOW_RTT_US / 2);
}
END_TEST

/* ---- windows --------------------------------------------------------------------------------- */

START_TEST(an_ack_of_more_brings_its_window_however_old_its_text)
{
	in_flight(4);
	tp_send(p, TCPF_ACK, text, 20);
	tp_send(p, TCPF_ACK, NULL, 0);
	p->ack = f.first + f.t->mss;
	p->wnd = 100;
	tp_send_at(p, p->seq - 10, TCPF_ACK, text, 20); /* half of it is new */
	ck_assert_uint_eq(f.t->snd_una, p->ack);
	ck_assert_uint_eq(f.t->snd_wnd, 100u << f.t->snd_ws);
	p->wnd = 50;
	tp_send_at(p, p->seq - 5, TCPF_ACK, text, 20); /* older than what the window is known from */
	ck_assert_uint_eq(f.t->snd_wnd, 100u << f.t->snd_ws);
}
END_TEST

START_TEST(half_of_the_largest_window_is_not_silly)
{
	p->wnd = 1024 >> f.t->snd_ws;
	tp_send(p, TCPF_ACK, NULL, 0);
	f.t->max_wnd = 2 * f.t->snd_wnd + 1;
	th_write(h, p->k, f.data, 5000);
	stack_flush(h->s);
	ck_assert_uint_eq(th_next(h)->g.len, f.t->snd_wnd); /* RFC 9293, 3.8.6.2.1 (3) */
	th_forget(h);
}
END_TEST

/* ---- progress -------------------------------------------------------------------------------- */

START_TEST(what_is_acknowledged_puts_the_user_timeout_off)
{
	f.t->user_timeout_ms = 1000;
	in_flight(10);
	for (unsigned i = 1; i <= 6; i++) {
		flow_pass(&f, 400000);
		flow_ack(&f, i);
		th_forget(h);
	}
	ck_assert_int_eq(p->k->error, 0);
	flow_pass(&f, 2000000); /* and then nothing more */
	ck_assert_int_ne(p->k->error, 0);
}
END_TEST

START_TEST(the_user_timeout_begins_with_what_is_sent_after_a_pause)
{
	f.t->user_timeout_ms = 2000;
	flow_pass(&f, 5000000);
	flow_write(&f, 1);
	flow_pass(&f, 1500000);
	ck_assert_int_eq(p->k->error, 0);
	flow_pass(&f, 1000000);
	ck_assert_int_ne(p->k->error, 0);
	th_forget(h);
}
END_TEST

START_TEST(a_pause_leaves_three_quarters_of_the_window_as_threshold)
{
	f.t->cwnd = 40 * f.t->mss;
	f.t->ssthresh = 12 * f.t->mss;
	flow_pass(&f, 5000000);
	flow_write(&f, 1);
	ck_assert_uint_eq(f.t->cwnd, tcp_initial_window(f.t));
	ck_assert_uint_eq(f.t->ssthresh, 30 * f.t->mss);
	th_forget(h);
}
END_TEST

/* Otherwise two gigabytes later they would lie ahead. */
START_TEST(no_mark_stays_behind_what_is_acknowledged)
{
	in_flight(4);
	flow_ack(&f, 4);
	ck_assert(!seq_lt(f.t->snd_sml, f.t->snd_una));
	ck_assert_uint_eq(f.t->recover, f.t->snd_una - 1);
}
END_TEST

START_TEST(loss_is_seen_after_an_hour_of_silence)
{
	uint32_t sent;

	in_flight(4);
	flow_ack(&f, 4);
	h->now_us += 3000000000ull; /* half of the clock's 32 bits, and more */
	th_advance(h, 1000);
	sent = (uint32_t)h->now_us;
	in_flight(10);
	FLOW_SACK(&f, 4, { 5, 9 });
	flow_expect(&f, 4, 1);
	ck_assert(flow_quiet(&f)); /* the last one may still come */
	ck_assert_uint_eq(f.t->rack_us, sent);
}
END_TEST

START_TEST(what_is_sacked_goes_on_counting_when_something_below_it_comes)
{
	in_flight(10);
	FLOW_SACK(&f, 0, { 2, 4 });
	FLOW_SACK(&f, 1, { 2, 4 });
	ck_assert_uint_eq(f.t->dupacks, 2);
	flow_ack(&f, 10);
	ck_assert_uint_eq(f.t->dupacks, 0);
}
END_TEST

START_TEST(text_with_an_old_ack_is_no_duplicate)
{
	in_flight(4);
	for (unsigned i = 0; i < 5; i++)
		tp_send(p, TCPF_ACK, text, 10);
	ck_assert_uint_eq(f.t->dupacks, 0);
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_DUPACK), 0);
}
END_TEST

/* ---- SACK blocks ------------------------------------------------------------------------------- */

START_TEST(a_d_sack_may_begin_where_the_second_block_does)
{
	in_flight(10);
	FLOW_SACK(&f, 0, { 4, 6 }, { 4, 8 });
	ck_assert_uint_eq(f.t->n_dsack, 1);
	ck_assert_uint_eq(f.t->sacked, 4 * f.t->mss);
}
END_TEST

START_TEST(a_d_sack_larger_than_every_window_does_not_count)
{
	in_flight(10);
	f.t->max_wnd = 2 * f.t->mss;
	p->wnd = 10;
	FLOW_SACK(&f, 10, { 5, 10 });
	ck_assert_uint_eq(f.t->n_dsack, 0);
	FLOW_SACK(&f, 10, { 7, 10 });
	ck_assert_uint_eq(f.t->n_dsack, 1);
}
END_TEST

START_TEST(a_d_sack_that_reaches_beyond_what_was_sent_does_not_count)
{
	in_flight(10);
	FLOW_SACK(&f, 0, { 8, 12 }, { 7, 20 });
	ck_assert_uint_eq(f.t->n_dsack, 0);
	ck_assert_uint_eq(f.t->sacked, 0);
}
END_TEST

START_TEST(of_a_block_only_what_lies_above_the_ack_counts)
{
	in_flight(10);
	FLOW_SACK(&f, 4, { 2, 6 });
	ck_assert_uint_eq(f.t->sacked, 2 * f.t->mss);
}
END_TEST

START_TEST(what_a_peer_has_thrown_away_was_sent_more_than_once)
{
	in_flight(4);
	FLOW_SACK(&f, 0, { 0, 2 });
	ck_assert_uint_eq(tcp_sent(h->s, f.t)[0].flags, SENT_SACKED);
	tcp_sent_renege(h->s, f.t);
	ck_assert_uint_eq(tcp_sent(h->s, f.t)[0].flags, SENT_AGAIN);
	ck_assert_uint_eq(f.t->sacked, 0);
	flow_ack(&f, 4);
}
END_TEST

/* ---- timers -------------------------------------------------------------------------------------- */

/* A due tick of 0 stands for none. */
START_TEST(a_timer_is_not_off_when_its_tick_wraps)
{
	uint64_t due = (1ull << 32) * WHEEL_TICK_US;

	h->now_us = due - 30000;
	th_restart(h);
	tcp_due(h->s, f.t, DUE_KEEP, due);
	ck_assert_uint_ne(f.t->due[DUE_KEEP], 0);
	tcp_due(h->s, f.t, DUE_KEEP, 0);
}
END_TEST

START_TEST(the_user_timeout_does_not_wait_for_the_next_retransmission)
{
	f.t->user_timeout_ms = 4000; /* it would be at 6.2 s */
	flow_write(&f, 2);
	flow_pass(&f, 3900000);
	ck_assert_int_eq(p->k->error, 0);
	flow_pass(&f, 200000);
	ck_assert_int_ne(p->k->error, 0);
	th_forget(h);
}
END_TEST

START_TEST(there_is_no_loss_probe_while_the_timeout_is_backed_off)
{
	f.t->backoff = 1;
	f.t->cwnd = 10 * f.t->mss;
	flow_write(&f, 4);
	ck_assert_int_eq(f.t->tx_mode, TXM_RTO);
	th_forget(h);
	in_flight(2);
	flow_ack(&f, 1);
	ck_assert_int_eq(f.t->tx_mode, TXM_TLP);
}
END_TEST

START_TEST(a_wait_longer_than_the_timeout_does_not_take_its_place)
{
	flow_write(&f, 2);
	th_forget(h);
	tcp_arm_rto(h->s, f.t);
	tcp_arm_reorder(h->s, f.t, f.t->rto_us);
	ck_assert_int_eq(f.t->tx_mode, TXM_RTO);
	tcp_arm_reorder(h->s, f.t, f.t->rto_us - 1);
	ck_assert_int_eq(f.t->tx_mode, TXM_REORDER);
}
END_TEST

START_TEST(only_who_used_the_port_that_was_lost_sends_again_at_once)
{
	uint32_t port = f.t->c.path.port, due;

	flow_write(&f, 2);
	th_forget(h);
	due = f.t->due[DUE_TX];
	tcp_ports_changed(h->s, ~(1u << port));
	ck_assert_uint_eq(f.t->due[DUE_TX], due);
	tcp_ports_changed(h->s, 1u << port);
	ck_assert_uint_lt(f.t->due[DUE_TX], due);
}
END_TEST

START_TEST(a_timeout_sends_the_first_segment_however_short_the_time)
{
	in_flight(4);
	flow_ack(&f, 1);
	th_forget(h);
	f.t->rack_rtt_us = 10000000;
	while (!flow_stat(&f, NPP_IS_TCP_RTO))
		flow_pass(&f, 10000);
	ck_assert_uint_eq(th_next(h)->g.seq, f.first + 3 * f.t->mss); /* the loss probe */
	flow_expect(&f, 1, 1);
	th_forget(h);
}
END_TEST

/* Nothing can follow: then what is not full goes; but not while the ring will have room soon. */
START_TEST(a_cork_holds_the_end_of_a_full_ring_while_something_is_in_flight)
{
	struct tcp_options o = { .opt_flags = NPP_OPT_CORK };
	uint32_t full;

	stack_tcp_options(h->s, p->k->c, &o);
	f.t->cwnd = 1000 * f.t->mss;
	flow_write(&f, 2);
	th_write(h, p->k, f.data, sizeof f.data);
	full = p->k->tx_head / f.t->mss * f.t->mss;
	ck_assert_uint_eq(p->k->tx_head, p->k->tx_size);
	ck_assert_uint_ne(p->k->tx_head, full);
	stack_flush(h->s);
	ck_assert_uint_eq(f.t->snd_nxt - f.first, full);
	th_forget(h);
}
END_TEST

START_TEST(after_a_delayed_ack_the_next_ones_are_not)
{
	f.t->quick = 0;
	f.t->flags |= TF_INTERACTIVE;
	tp_send(p, TCPF_ACK, text, 10);
	ck_assert(th_none(h));
	flow_pass(&f, 300000);
	ck_assert_uint_eq(th_next(h)->g.ack, p->seq);
	tp_send(p, TCPF_ACK, text, 10);
	ck_assert_uint_eq(th_next(h)->g.ack, p->seq);
}
END_TEST

START_TEST(what_is_sent_again_to_its_end_is_pushed)
{
	flow_write(&f, 1);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_ACK | TCPF_PSH);
	flow_pass(&f, 300000);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_ACK | TCPF_PSH);
	th_forget(h);
}
END_TEST

START_TEST(a_path_that_has_become_wider_leaves_one_segment_at_least)
{
	f.t->c.path.mtu = 600;
	flow_write(&f, 1);
	p->ack = f.t->snd_nxt;
	tp_send(p, TCPF_ACK, NULL, 0);
	th_forget(h);
	f.t->cwnd = f.t->mss;
	ck_assert_uint_lt(f.t->mss, 600);
	f.t->c.path.mtu = 1500;
	th_write(h, p->k, f.data, 4000);
	stack_flush(h->s);
	ck_assert_uint_eq(th_next(h)->g.len, f.t->mss);
	ck_assert_uint_eq(f.t->mss, FLOW_MSS);
	th_forget(h);
}
END_TEST

START_TEST(without_sack_a_recovery_ends_without_a_burst)
{
	in_flight(20);
	for (unsigned i = 0; i < 3; i++)
		flow_ack(&f, 0);
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
	flow_ack(&f, 20);
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
	ck_assert_uint_eq(f.t->cwnd, 2 * f.t->mss); /* RFC 6582, 3.2 (3) */
	ck_assert_uint_eq(f.t->ssthresh, 14 * f.t->mss);
	th_forget(h);
}
END_TEST

/* The peer may have held what lies above the hole since long. */
START_TEST(what_a_retransmission_lets_through_is_no_round_trip)
{
	f.t->cwnd = 4 * f.t->mss;
	flow_write(&f, 4);
	while (!flow_stat(&f, NPP_IS_TCP_RTO))
		flow_pass(&f, 10000);
	th_forget(h);
	flow_pass(&f, FLOW_RTT_US);
	flow_ack(&f, 4);
	ck_assert_uint_eq(f.t->n_sent, 0);
	ck_assert_uint_eq(f.t->srtt_us, FLOW_RTT_US);
}
END_TEST

START_TEST(a_timeout_forgets_the_duplicate_acks)
{
	in_flight(4);
	flow_ack(&f, 0);
	flow_ack(&f, 0);
	ck_assert_uint_eq(f.t->dupacks, 2);
	while (!flow_stat(&f, NPP_IS_TCP_RTO))
		flow_pass(&f, 10000);
	ck_assert_uint_eq(f.t->dupacks, 0);
	th_forget(h);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_ack");
	TCase *tc = tcase_create("established"), *no_sack = tcase_create("no_sack"), *bare = tcase_create("bare");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_timeout_is_that_of_rfc_6298);
	tcase_add_test(tc, a_round_trip_longer_than_any_timeout_is_none);
	tcase_add_test(tc, the_least_round_trip_is_forgotten_after_five_minutes);
	tcase_add_test(tc, an_echo_from_the_future_or_of_a_minute_ago_is_no_round_trip);
	tcase_add_test(tc, one_sample_counts_for_each_round_trip);
	tcase_add_test(tc, a_timeout_that_backed_off_takes_the_first_sample_there_is);
	tcase_add_test(tc, the_least_round_trip_may_be_between_two_samples);
	tcase_add_test(tc, an_ack_of_more_brings_its_window_however_old_its_text);
	tcase_add_test(tc, half_of_the_largest_window_is_not_silly);
	tcase_add_test(tc, the_user_timeout_begins_with_what_is_sent_after_a_pause);
	tcase_add_test(tc, a_pause_leaves_three_quarters_of_the_window_as_threshold);
	tcase_add_test(tc, what_is_acknowledged_puts_the_user_timeout_off);
	tcase_add_test(tc, no_mark_stays_behind_what_is_acknowledged);
	tcase_add_test(tc, loss_is_seen_after_an_hour_of_silence);
	tcase_add_test(tc, what_is_sacked_goes_on_counting_when_something_below_it_comes);
	tcase_add_test(tc, a_d_sack_may_begin_where_the_second_block_does);
	tcase_add_test(tc, a_d_sack_larger_than_every_window_does_not_count);
	tcase_add_test(tc, a_d_sack_that_reaches_beyond_what_was_sent_does_not_count);
	tcase_add_test(tc, of_a_block_only_what_lies_above_the_ack_counts);
	tcase_add_test(tc, what_a_peer_has_thrown_away_was_sent_more_than_once);
	tcase_add_test(tc, a_timer_is_not_off_when_its_tick_wraps);
	tcase_add_test(tc, the_user_timeout_does_not_wait_for_the_next_retransmission);
	tcase_add_test(tc, there_is_no_loss_probe_while_the_timeout_is_backed_off);
	tcase_add_test(tc, a_wait_longer_than_the_timeout_does_not_take_its_place);
	tcase_add_test(tc, only_who_used_the_port_that_was_lost_sends_again_at_once);
	tcase_add_test(tc, a_timeout_sends_the_first_segment_however_short_the_time);
	tcase_add_test(tc, a_cork_holds_the_end_of_a_full_ring_while_something_is_in_flight);
	tcase_add_test(tc, after_a_delayed_ack_the_next_ones_are_not);
	tcase_add_test(tc, what_is_sent_again_to_its_end_is_pushed);
	tcase_add_test(tc, a_path_that_has_become_wider_leaves_one_segment_at_least);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(no_sack, setup_no_sack, teardown);
	tcase_add_test(no_sack, text_with_an_old_ack_is_no_duplicate);
	tcase_add_test(no_sack, a_timeout_forgets_the_duplicate_acks);
	suite_add_tcase(suite, no_sack);
	tcase_add_checked_fixture(bare, setup_bare, teardown);
	tcase_add_test(bare, without_sack_a_recovery_ends_without_a_burst);
	tcase_add_test(bare, what_a_retransmission_lets_through_is_no_round_trip);
	suite_add_tcase(suite, bare);
	return npp_suite_run(suite);
}
