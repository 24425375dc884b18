/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_loss.c - RACK-TLP, PRR, undo: segment by segment
 */
#include "config.h"

#include "tests/unit/stack/tcp_flow.h"
#include "tests/unit/suite.h"

#define ALL_OPTS (TO_TS | TO_WS | TO_SACK_OK)
#define NO_TS (TO_WS | TO_SACK_OK)
#define QUARTER (FLOW_RTT_US / 4)

static struct flow f;

static void setup(void)
{
	flow_open(&f, ALL_OPTS);
}

static void setup_no_ts(void)
{
	flow_open(&f, NO_TS);
}

static void teardown(void)
{
	flow_close(&f);
}

/* SEGS segments leave at once, a round trip passes. */
static void in_flight(unsigned segs)
{
	f.t->cwnd = segs * f.t->mss;
	flow_write(&f, segs);
	th_forget(f.h);
	flow_pass(&f, FLOW_RTT_US);
}

/* ---- reordering window (RFC 8985, 6.2) --------------------------------------------------- */

START_TEST(what_comes_within_the_window_is_not_sent_again)
{
	in_flight(4);
	FLOW_SACK(&f, 0, { 1, 3 });
	ck_assert(flow_quiet(&f));
	flow_pass(&f, QUARTER - 1500);
	ck_assert(flow_quiet(&f));
	flow_ack(&f, 4);
	flow_pass(&f, 10 * FLOW_RTT_US);
	ck_assert(flow_quiet(&f));
	ck_assert(f.t->flags & TF_REORDERS);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_RETRANS), 0);
}
END_TEST

START_TEST(what_does_not_come_within_the_window_is_lost)
{
	in_flight(4);
	FLOW_SACK(&f, 0, { 1, 3 });
	flow_pass(&f, QUARTER + 3000);
	flow_expect(&f, 0, 1);
	ck_assert(flow_quiet(&f)); /* the last one was sent after what came: not yet */
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
}
END_TEST

START_TEST(three_segments_need_no_time_on_a_path_that_does_not_reorder)
{
	in_flight(10);
	FLOW_SACK(&f, 0, { 1, 3 });
	ck_assert(flow_quiet(&f));
	FLOW_SACK(&f, 0, { 1, 4 });
	flow_expect(&f, 0, 1);
}
END_TEST

START_TEST(three_segments_are_not_enough_where_the_path_reorders)
{
	in_flight(4);
	FLOW_SACK(&f, 0, { 1, 2 });
	flow_ack(&f, 4);
	in_flight(10);
	FLOW_SACK(&f, 4, { 5, 13 });
	ck_assert(flow_quiet(&f));
	flow_pass(&f, QUARTER - 1500);
	ck_assert(flow_quiet(&f));
	flow_ack(&f, 14);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_FAST_RETRANS), 0);
}
END_TEST

START_TEST(a_hole_far_back_is_found_by_later_data)
{
	in_flight(4);
	flow_write(&f, 2);
	th_forget(f.h);
	f.t->cwnd = 20 * f.t->mss;
	flow_write(&f, 2); /* a round trip later */
	th_forget(f.h);
	flow_pass(&f, FLOW_RTT_US);
	FLOW_SACK(&f, 3, { 4, 5 });
	flow_expect(&f, 3, 1);
}
END_TEST

START_TEST(d_sacks_widen_the_window_once_per_round_trip)
{
	in_flight(10);
	f.t->flags |= TF_REORDERS;
	FLOW_SACK(&f, 5, { 0, 1 });
	ck_assert_uint_eq(f.t->reo_mult, 2);
	FLOW_SACK(&f, 6, { 1, 2 });
	ck_assert_uint_eq(f.t->reo_mult, 2);
	flow_write(&f, 4);
	th_forget(f.h);
	flow_ack(&f, 10);
	FLOW_SACK(&f, 10, { 3, 4 });
	ck_assert_uint_eq(f.t->reo_mult, 3);
	flow_ack(&f, 14);
	in_flight(6);
	f.t->min_rtt_us = FLOW_RTT_US;
	FLOW_SACK(&f, 14, { 15, 19 });
	flow_pass(&f, 3 * QUARTER - 2000);
	ck_assert(flow_quiet(&f));
	flow_pass(&f, 5000);
	flow_expect(&f, 14, 1);
}
END_TEST

START_TEST(no_window_is_wider_than_a_round_trip)
{
	in_flight(10);
	f.t->flags |= TF_REORDERS;
	f.t->reo_mult = 20;
	FLOW_SACK(&f, 0, { 1, 5 });
	ck_assert(flow_quiet(&f));
	flow_pass(&f, f.t->srtt_us + 3000);
	flow_expect(&f, 0, 1);
}
END_TEST

START_TEST(a_widened_window_is_forgotten_after_16_recoveries)
{
	unsigned at = 0;

	f.t->reo_mult = 5;
	f.t->reo_persist = TCP_REO_PERSIST;
	for (int i = 0; i < 16; i++, at += 10) {
		ck_assert_uint_eq(f.t->reo_mult, 5);
		in_flight(10);
		FLOW_SACK(&f, at, { at + 1, at + 10 });
		flow_pass(&f, FLOW_RTT_US);
		flow_ack(&f, at + 10);
		th_forget(f.h);
		ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
	}
	ck_assert_uint_eq(f.t->reo_mult, 1);
}
END_TEST

START_TEST(several_new_blocks_in_one_ack_are_not_reordering)
{
	in_flight(10);
	FLOW_SACK(&f, 0, { 7, 8 }, { 3, 4 }, { 1, 2 });
	ck_assert(!(f.t->flags & TF_REORDERS));
	FLOW_SACK(&f, 0, { 5, 6 });
	ck_assert(f.t->flags & TF_REORDERS);
}
END_TEST

START_TEST(a_frame_that_is_lost_in_part_is_sent_again_in_part)
{
	in_flight(40); /* one frame */
	FLOW_SACK(&f, 10, { 11, 20 }, { 22, 40 });
	flow_expect(&f, 10, 1);
	flow_expect(&f, 20, 2);
	ck_assert(flow_quiet(&f));
	flow_pass(&f, FLOW_RTT_US);
	flow_ack(&f, 40);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_RETRANS), 3);
}
END_TEST

/* ---- retransmissions that are lost --------------------------------------------------------- */

START_TEST(a_lost_retransmission_is_seen_by_what_was_sent_after_it)
{
	in_flight(10);
	FLOW_SACK(&f, 0, { 1, 10 });
	flow_expect(&f, 0, 1);
	flow_pass(&f, 1000);
	f.t->cwnd = 20 * f.t->mss;
	flow_write(&f, 2);
	th_forget(f.h);
	flow_pass(&f, FLOW_RTT_US - 2000);
	ck_assert(flow_quiet(&f));
	flow_pass(&f, 2000);
	FLOW_SACK(&f, 0, { 1, 12 });
	flow_expect(&f, 0, 1);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_RTO), 0);
}
END_TEST

START_TEST(the_echo_of_the_first_transmission_says_nothing_of_the_second)
{
	uint32_t old;

	in_flight(10);
	FLOW_SACK(&f, 0, { 2, 10 }); /* two are lost */
	flow_expect(&f, 0, 2);
	old = f.t->rack_us;
	flow_pass(&f, 3000);
	f.p.tsecr -= 10;
	FLOW_SACK(&f, 0, { 1, 10 }); /* the first copy of number 1: late, not lost */
	ck_assert_uint_eq(f.t->rack_us, old);
	ck_assert(flow_quiet(&f));
}
END_TEST

START_TEST(what_comes_sooner_than_any_round_trip_was_sent_before)
{
	uint32_t old;

	in_flight(10);
	FLOW_SACK(&f, 0, { 2, 10 });
	flow_expect(&f, 0, 2);
	old = f.t->rack_us;
	flow_pass(&f, 3000);
	FLOW_SACK(&f, 0, { 1, 10 }); /* no timestamp tells which copy of number 1 that is */
	ck_assert_uint_eq(f.t->rack_us, old);
	ck_assert(flow_quiet(&f));
}
END_TEST

/* ---- tail loss probe (7) --------------------------------------------------------------------- */

START_TEST(the_probe_comes_after_two_round_trips)
{
	f.t->cwnd = 10 * f.t->mss;
	flow_write(&f, 5);
	th_forget(f.h);
	flow_pass(&f, 2 * FLOW_RTT_US - 2000);
	ck_assert(flow_quiet(&f));
	flow_pass(&f, 4000);
	flow_expect(&f, 4, 1);
	flow_pass(&f, FLOW_RTT_US);
	ck_assert(flow_quiet(&f)); /* one probe */
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_TLP), 1);
}
END_TEST

START_TEST(the_probe_of_a_single_segment_waits_for_a_delayed_ack)
{
	flow_write(&f, 1);
	th_forget(f.h);
	flow_pass(&f, TCP_RTO_MIN_US - 10000);
	ck_assert(flow_quiet(&f));
	flow_pass(&f, 20000); /* the RTO would come here: the probe takes its place */
	flow_expect(&f, 0, 1);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_RTO), 0);
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
}
END_TEST

START_TEST(the_probe_is_new_data_if_there_is_some)
{
	f.t->cwnd = 4 * f.t->mss;
	flow_write(&f, 6);
	flow_expect(&f, 0, 4);
	flow_pass(&f, 2 * FLOW_RTT_US + 4000);
	flow_expect(&f, 4, 1);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_RETRANS), 0);
	flow_ack(&f, 4);
	ck_assert(f.t->flags & TF_TLP_OUT);
	flow_ack(&f, 5);
	ck_assert(!(f.t->flags & TF_TLP_OUT));
}
END_TEST

START_TEST(a_loss_that_the_probe_repaired_reduces_the_window)
{
	uint32_t before = 8 * f.t->mss;

	f.t->cwnd = before;
	flow_write(&f, 5);
	th_forget(f.h);
	flow_pass(&f, 2 * FLOW_RTT_US + 4000);
	flow_expect(&f, 4, 1);
	flow_write(&f, 2);
	th_forget(f.h);
	flow_pass(&f, FLOW_RTT_US);
	flow_ack(&f, 7); /* beyond the probe, and no D-SACK */
	ck_assert_uint_lt(f.t->cwnd, before);
	ck_assert(!(f.t->flags & TF_TLP_OUT)); /* once */
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
}
END_TEST

START_TEST(a_probe_that_came_twice_reduces_nothing)
{
	uint32_t before = 8 * f.t->mss;

	f.t->cwnd = before;
	flow_write(&f, 5);
	th_forget(f.h);
	flow_pass(&f, 2 * FLOW_RTT_US + 4000);
	flow_expect(&f, 4, 1);
	flow_write(&f, 2);
	th_forget(f.h);
	flow_ack(&f, 5);
	FLOW_SACK(&f, 5, { 4, 5 });
	ck_assert(!(f.t->flags & TF_TLP_OUT));
	ck_assert_uint_ge(f.t->cwnd, before);
	ck_assert_uint_eq(f.t->reo_mult, 1); /* nor does it say that we are too quick */
	flow_ack(&f, 7);
	ck_assert_uint_ge(f.t->cwnd, before);
}
END_TEST

/* Without D-SACKs a duplicate ACK says as much. */
START_TEST(a_duplicate_ack_of_the_probe_ends_it)
{
	uint32_t before = 8 * f.t->mss;

	f.t->cwnd = before;
	flow_write(&f, 5);
	th_forget(f.h);
	flow_pass(&f, 2 * FLOW_RTT_US + 4000);
	flow_expect(&f, 4, 1);
	flow_write(&f, 2);
	th_forget(f.h);
	flow_ack(&f, 5);
	ck_assert(f.t->flags & TF_TLP_OUT);
	flow_ack(&f, 5);
	ck_assert(!(f.t->flags & TF_TLP_OUT));
	flow_ack(&f, 7);
	ck_assert_uint_ge(f.t->cwnd, before);
}
END_TEST

/* ---- proportional rate reduction (RFC 6937, RFC 9937) ----------------------------------------- */

/* 20 in flight, the first is lost, ssthresh is 14: for 19 segments that arrive, 13 or 14 leave. */
START_TEST(prr_sends_seven_for_ten)
{
	unsigned sent = 0, again = 0;

	in_flight(20);
	flow_write(&f, 20);
	for (unsigned i = 2; i <= 20; i++) {
		FLOW_SACK(&f, 0, { 1, i });
		while (!th_none(f.h)) {
			struct th_seg *o = th_next(f.h);

			sent += o->g.len / f.t->mss;
			again += o->g.seq == f.first;
		}
		th_forget(f.h);
		if (f.t->recovery == TCP_RECOVERY)
			ck_assert_uint_eq(f.t->ssthresh, 14 * f.t->mss);
	}
	ck_assert_uint_eq(again, 1);
	ck_assert_uint_ge(sent, 13);
	ck_assert_uint_le(sent, 16);
	ck_assert_uint_ge(tcp_pipe(f.t), 13 * f.t->mss);
	ck_assert_uint_le(tcp_pipe(f.t), 15 * f.t->mss);
	flow_pass(&f, FLOW_RTT_US);
	flow_ack(&f, (f.t->recover - f.first) / f.t->mss);
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
	ck_assert_uint_eq(f.t->cwnd, 14 * f.t->mss);
}
END_TEST

/* 4 of 20 have arrived, and 1 was sent: ceil(4 * 14 / 20 segments) - 1. Rounded down, a byte would be missing. */
START_TEST(prr_rounds_up)
{
	in_flight(20);
	FLOW_SACK(&f, 0, { 1, 4 });
	flow_expect(&f, 0, 1);
	FLOW_SACK(&f, 0, { 1, 5 });
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
	ck_assert_uint_eq(f.t->ssthresh, 14 * FLOW_MSS);
	ck_assert_uint_ne(4 * 14 * FLOW_MSS % 20, 0);
	ck_assert_uint_eq(f.t->cwnd - tcp_pipe(f.t), 4 * 14 * FLOW_MSS / 20 + 1 - FLOW_MSS);
}
END_TEST

/* What was SACKed before had left already. */
START_TEST(prr_counts_from_what_is_in_flight)
{
	in_flight(20);
	FLOW_SACK(&f, 0, { 1, 3 });
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
	FLOW_SACK(&f, 0, { 1, 4 });
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
	ck_assert_uint_eq(tcp_flight(f.h->s, f.t)->prr_flight, 18 * f.t->mss);
	th_forget(f.h);
}
END_TEST

START_TEST(new_data_tells_an_ecn_peer_of_a_reduction_by_loss)
{
	f.t->flags |= TF_ECN;
	in_flight(20);
	FLOW_SACK(&f, 0, { 1, 20 });
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
	th_forget(f.h);
	flow_write(&f, 2);
	ck_assert_uint_ne(th_next(f.h)->g.flags & TCPF_CWR, 0);
	th_forget(f.h);
	flow_write(&f, 2); /* once */
	ck_assert_uint_eq(th_next(f.h)->g.flags & TCPF_CWR, 0);
	th_forget(f.h);
}
END_TEST

/* Much is lost, pipe falls below ssthresh: not more leaves than arrives, but for one segment per ACK that
 * makes progress. */
START_TEST(prr_does_not_burst_after_a_heavy_loss)
{
	in_flight(20);
	flow_write(&f, 20);
	FLOW_SACK(&f, 0, { 16, 17 });
	th_forget(f.h);
	FLOW_SACK(&f, 0, { 16, 20 }); /* 16 are lost at once, and 4 have arrived */
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
	flow_expect(&f, 0, 3); /* of these, the last ACK brought three */
	ck_assert(flow_quiet(&f));
	flow_pass(&f, FLOW_RTT_US);
	FLOW_SACK(&f, 1, { 16, 20 });
	flow_expect(&f, 3, 2); /* one has arrived, and one more for the progress */
	ck_assert(flow_quiet(&f));
}
END_TEST

/* ---- undo --------------------------------------------------------------------------------------- */

START_TEST(eifel_restores_the_window_after_a_needless_recovery)
{
	uint32_t before, old;

	in_flight(10);
	before = f.t->cwnd;
	old = f.p.tsecr;
	flow_pass(&f, 5000);
	FLOW_SACK(&f, 0, { 1, 10 });
	flow_expect(&f, 0, 1);
	ck_assert_uint_lt(f.t->ssthresh, before);
	flow_pass(&f, 5000);
	f.p.tsecr = old; /* the first copy has come after all */
	flow_ack(&f, 10);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_UNDO), 1);
	ck_assert_uint_ge(f.t->cwnd, before);
	ck_assert_uint_eq(f.t->ssthresh, TCP_CWND_MAX);
	ck_assert(f.t->flags & TF_REORDERS);
}
END_TEST

START_TEST(d_sacks_for_all_that_was_sent_again_restore_the_window)
{
	uint32_t before;

	in_flight(10);
	before = f.t->cwnd;
	flow_write(&f, 10);
	FLOW_SACK(&f, 0, { 2, 10 });
	th_forget(f.h);
	flow_pass(&f, FLOW_RTT_US);
	FLOW_SACK(&f, 10, { 0, 1 });
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_UNDO), 0);
	FLOW_SACK(&f, 10, { 1, 2 });
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_UNDO), 1);
	ck_assert_uint_ge(f.t->cwnd, before);
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
}
END_TEST

START_TEST(a_true_loss_is_not_undone)
{
	uint32_t before;

	in_flight(10);
	before = f.t->cwnd;
	FLOW_SACK(&f, 0, { 1, 10 });
	flow_pass(&f, FLOW_RTT_US);
	flow_ack(&f, 10);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_UNDO), 0);
	ck_assert_uint_lt(f.t->cwnd, before);
}
END_TEST

/* The timer fires; its first segment goes alone. */
static void time_out(void)
{
	while (!flow_stat(&f, NPP_IS_TCP_RTO))
		flow_pass(&f, 10000);
	ck_assert_uint_eq(f.t->recovery, TCP_LOSS);
	ck_assert_uint_eq(f.t->cwnd, f.t->mss);
	th_forget(f.h);
}

START_TEST(f_rto_sends_new_data_and_finds_the_timeout_needless)
{
	uint32_t before;

	f.t->cwnd = 10 * f.t->mss;
	flow_write(&f, 10);
	before = f.t->cwnd;
	time_out();
	flow_write(&f, 10);
	th_forget(f.h);
	flow_ack(&f, 1); /* the first: either copy */
	flow_expect(&f, 10, 2); /* RFC 5682, 2b: new data */
	ck_assert(flow_quiet(&f));
	flow_ack(&f, 3); /* never sent again: the first flight is arriving */
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_UNDO), 1);
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
	ck_assert_uint_ge(f.t->cwnd, before);
	ck_assert_uint_eq(f.t->lost, 0);
}
END_TEST

START_TEST(f_rto_goes_on_as_usual_when_the_loss_was_true)
{
	f.t->cwnd = 10 * f.t->mss;
	flow_write(&f, 10);
	time_out();
	flow_write(&f, 10);
	th_forget(f.h);
	flow_ack(&f, 1);
	flow_expect(&f, 10, 2);
	ck_assert(flow_quiet(&f));
	FLOW_SACK(&f, 1, { 10, 11 }); /* the new data has come, of the old nothing */
	flow_expect(&f, 1, 1);
	FLOW_SACK(&f, 1, { 10, 12 });
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_UNDO), 0);
	ck_assert_uint_eq(f.t->recovery, TCP_LOSS);
}
END_TEST

/* What is SACKed tells, be the ACK a duplicate or not. */
START_TEST(f_rto_is_over_when_an_ack_with_another_window_brings_new_data_only)
{
	f.t->cwnd = 10 * f.t->mss;
	flow_write(&f, 10);
	time_out();
	flow_write(&f, 10);
	th_forget(f.h);
	flow_ack(&f, 1);
	flow_expect(&f, 10, 2);
	f.p.wnd--;
	FLOW_SACK(&f, 1, { 10, 11 });
	flow_expect(&f, 1, 1);
	ck_assert(!(f.t->flags & (TF_FRTO | TF_FRTO_NEW)));
}
END_TEST

/* ---- bounds ------------------------------------------------------------------------------------- */

START_TEST(many_holes_are_survived)
{
	f.t->cwnd = 180 * f.t->mss;
	for (int i = 0; i < 180; i++) { /* each a range of its own */
		flow_write(&f, 1);
		th_advance(f.h, 50);
	}
	th_forget(f.h);
	flow_pass(&f, FLOW_RTT_US);
	for (unsigned i = 1; i < 180; i += 2)
		FLOW_SACK(&f, 0, { i, i + 1 });
	ck_assert_uint_le(f.t->n_sent, TCP_SENT_MAX);
	th_forget(f.h);
	flow_pass(&f, 1000000);
	th_forget(f.h);
	flow_ack(&f, 180);
	ck_assert_uint_eq(f.t->n_sent, 0);
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
}
END_TEST

START_TEST(without_a_flight_record_recovery_is_plain)
{
	struct tcp_pool *pool = &f.h->s->tcp->flight_pool;
	uint32_t all = pool->free;

	pool->free = TCP_NONE;
	in_flight(10);
	FLOW_SACK(&f, 0, { 1, 10 });
	ck_assert_uint_eq(f.t->sacked, 0); /* not noted */
	for (int i = 0; i < 100 && f.t->snd_una == f.first; i++) {
		flow_pass(&f, 10000);
		while (!th_none(f.h))
			if (th_next(f.h)->g.seq == f.first)
				flow_ack(&f, 10);
		th_forget(f.h);
	}
	ck_assert_uint_eq(f.t->n_sent, 0);
	pool->free = all;
}
END_TEST

START_TEST(ranges_that_are_merged_for_room_have_the_later_time)
{
	struct tcp_pool *pool = &f.h->s->tcp->flight_pool;
	uint32_t all = pool->free, second;

	pool->free = TCP_NONE;
	f.t->cwnd = 10 * f.t->mss;
	flow_write(&f, 1);
	f.t->sent[0].flags = SENT_AGAIN;
	flow_pass(&f, 1000);
	flow_write(&f, 1);
	second = (uint32_t)f.h->now_us;
	flow_pass(&f, 1000);
	flow_write(&f, 1);
	ck_assert_uint_eq(f.t->n_sent, 2);
	ck_assert_uint_eq(f.t->sent[0].end, f.first + 2 * f.t->mss);
	ck_assert_uint_eq(f.t->sent[0].at_us, second);
	ck_assert_uint_eq(f.t->sent[0].flags, SENT_AGAIN);
	ck_assert_uint_eq(f.t->sent[1].at_us, (uint32_t)f.h->now_us);
	ck_assert_uint_eq(f.t->sent[1].flags, 0);
	pool->free = all;
	th_forget(f.h);
}
END_TEST

/* In a recovery every ACK repeats what stands above a hole. */
START_TEST(what_could_not_be_noted_is_no_round_trip_in_a_recovery)
{
	struct tcp_pool *pool = &f.h->s->tcp->flight_pool;
	uint32_t all = pool->free;

	pool->free = TCP_NONE;
	f.t->backoff = 1; /* no loss probe */
	in_flight(10);
	while (!flow_stat(&f, NPP_IS_TCP_RTO))
		flow_pass(&f, 10000);
	th_forget(f.h);
	FLOW_SACK(&f, 0, { 5, 10 });
	ck_assert_uint_eq(f.t->srtt_us, FLOW_RTT_US);
	flow_ack(&f, 10);
	pool->free = all;
}
END_TEST

/* No room for another range, nor two that could be one: the last takes new data over. */
START_TEST(new_data_is_sent_when_there_is_no_room_to_note_it)
{
	f.t->cwnd = 300 * f.t->mss;
	for (unsigned i = 0; i < TCP_SENT_MAX; i++) {
		flow_write(&f, 1);
		th_advance(f.h, 50);
	}
	th_forget(f.h);
	for (unsigned i = 1; i < TCP_SENT_MAX; i += 2)
		FLOW_SACK(&f, 0, { i, i + 1 });
	f.t->cwnd = 300 * f.t->mss;
	flow_write(&f, 1); /* what is lost goes again first */
	ck_assert_uint_eq(f.t->snd_nxt - f.first, (TCP_SENT_MAX + 1) * f.t->mss);
	ck_assert_uint_eq(f.t->n_sent, TCP_SENT_MAX);
	th_forget(f.h);
	ck_assert_uint_eq(f.t->sacked, (TCP_SENT_MAX / 2 - 1) * f.t->mss);
	th_check(f.h);
	flow_ack(&f, TCP_SENT_MAX + 1);
}
END_TEST

START_TEST(a_restart_makes_one_range_of_those_that_do_not_cover_what_is_in_flight)
{
	in_flight(4);
	ck_assert_uint_eq(f.t->n_sent, 1);
	tcp_sent(f.h->s, f.t)[0].end -= 100;
	th_restart(f.h);
	ck_assert_uint_eq(f.t->n_sent, 1);
	ck_assert_uint_eq(tcp_sent(f.h->s, f.t)[0].end, f.t->snd_nxt);
	ck_assert_uint_eq(tcp_sent(f.h->s, f.t)[0].flags, SENT_AGAIN);
	flow_ack(&f, 4);
}
END_TEST

START_TEST(a_restart_in_recovery_loses_nothing)
{
	in_flight(10);
	flow_write(&f, 10);
	FLOW_SACK(&f, 0, { 2, 10 });
	th_forget(f.h);
	th_restart(f.h);
	stack_flush(f.h->s);
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
	ck_assert_uint_eq(f.t->sacked, 8 * f.t->mss);
	flow_pass(&f, FLOW_RTT_US);
	th_forget(f.h);
	flow_ack(&f, 10);
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
}
END_TEST

static void add_detection(Suite *suite)
{
	TCase *tc = tcase_create("rack");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_comes_within_the_window_is_not_sent_again);
	tcase_add_test(tc, what_does_not_come_within_the_window_is_lost);
	tcase_add_test(tc, three_segments_need_no_time_on_a_path_that_does_not_reorder);
	tcase_add_test(tc, three_segments_are_not_enough_where_the_path_reorders);
	tcase_add_test(tc, a_hole_far_back_is_found_by_later_data);
	tcase_add_test(tc, d_sacks_widen_the_window_once_per_round_trip);
	tcase_add_test(tc, no_window_is_wider_than_a_round_trip);
	tcase_add_test(tc, a_widened_window_is_forgotten_after_16_recoveries);
	tcase_add_test(tc, several_new_blocks_in_one_ack_are_not_reordering);
	tcase_add_test(tc, a_frame_that_is_lost_in_part_is_sent_again_in_part);
	tcase_add_test(tc, a_lost_retransmission_is_seen_by_what_was_sent_after_it);
	tcase_add_test(tc, the_echo_of_the_first_transmission_says_nothing_of_the_second);
	tcase_add_test(tc, the_probe_comes_after_two_round_trips);
	tcase_add_test(tc, the_probe_of_a_single_segment_waits_for_a_delayed_ack);
	tcase_add_test(tc, the_probe_is_new_data_if_there_is_some);
	tcase_add_test(tc, a_loss_that_the_probe_repaired_reduces_the_window);
	tcase_add_test(tc, a_probe_that_came_twice_reduces_nothing);
	tcase_add_test(tc, a_duplicate_ack_of_the_probe_ends_it);
	tcase_add_test(tc, many_holes_are_survived);
	tcase_add_test(tc, without_a_flight_record_recovery_is_plain);
	tcase_add_test(tc, ranges_that_are_merged_for_room_have_the_later_time);
	tcase_add_test(tc, what_could_not_be_noted_is_no_round_trip_in_a_recovery);
	tcase_add_test(tc, new_data_is_sent_when_there_is_no_room_to_note_it);
	tcase_add_test(tc, a_restart_makes_one_range_of_those_that_do_not_cover_what_is_in_flight);
	tcase_add_test(tc, a_restart_in_recovery_loses_nothing);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("tcp_loss");
	TCase *tc = tcase_create("recovery"), *plain = tcase_create("no_timestamps");

	add_detection(suite);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, prr_sends_seven_for_ten);
	tcase_add_test(tc, prr_rounds_up);
	tcase_add_test(tc, prr_counts_from_what_is_in_flight);
	tcase_add_test(tc, new_data_tells_an_ecn_peer_of_a_reduction_by_loss);
	tcase_add_test(tc, prr_does_not_burst_after_a_heavy_loss);
	tcase_add_test(tc, eifel_restores_the_window_after_a_needless_recovery);
	tcase_add_test(tc, d_sacks_for_all_that_was_sent_again_restore_the_window);
	tcase_add_test(tc, a_true_loss_is_not_undone);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(plain, setup_no_ts, teardown);
	tcase_add_test(plain, what_comes_sooner_than_any_round_trip_was_sent_before);
	tcase_add_test(plain, f_rto_sends_new_data_and_finds_the_timeout_needless);
	tcase_add_test(plain, f_rto_goes_on_as_usual_when_the_loss_was_true);
	tcase_add_test(plain, f_rto_is_over_when_an_ack_with_another_window_brings_new_data_only);
	suite_add_tcase(suite, plain);
	return npp_suite_run(suite);
}
