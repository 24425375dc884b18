/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_mtu.c - black holes, and what gets through (RFC 4821, RFC 8899)
 */
#include "config.h"

#include <string.h>

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

static struct th *h;
static struct tp p;
static uint8_t data[200000];

static void setup(void)
{
	h = th_new(64);
	th_listen(h, 80, 8);
	tp_accept(&p, h, 80, 4000, TO_SACK_OK);
}

static void teardown(void)
{
	th_free(h);
}

static struct tcb *tcb(void)
{
	return tcb_of(p.k->c);
}

/* Largest segment on the wire of what was sent. */
static uint32_t largest(void)
{
	uint32_t max = 0;

	for (unsigned i = h->next_out; i < h->n_out; i++) {
		uint32_t n = h->out[i].gso_size ? h->out[i].gso_size : h->out[i].g.len;

		max = n > max ? n : max;
	}
	return max;
}

static void ack_all(void)
{
	tp_drain(&p);
	tp_send(&p, TCPF_ACK, NULL, 0);
}

/* Segments above 1280 bytes vanish until smaller ones are tried. */
static void fall_into_the_hole(void)
{
	th_write(h, p.k, data, 10 * 1460);
	stack_flush(h->s);
	ck_assert_uint_eq(largest(), 1460);
	for (int i = 0; tcb()->tries < 3; i++) {
		ck_assert_int_lt(i, 1000);
		ck_assert_uint_eq(tcb()->mss, 1460);
		th_forget(h);
		th_advance(h, 10000);
	}
	ck_assert_uint_eq(tcb()->mss, 1240);
	ck_assert_uint_eq(largest(), 1240);
	ck_assert_uint_eq(th_stat(h, NPP_IS_MTU_HOLES), 1);
}

static void until_all_is_acknowledged(void)
{
	for (int i = 0; tcb()->snd_una != tcb()->snd_nxt || p.k->c->tx_tail != p.k->tx_head; i++) {
		ck_assert_int_lt(i, 200);
		ack_all();
		th_advance(h, 5000);
	}
}

START_TEST(three_timeouts_make_full_segments_smaller)
{
	fall_into_the_hole();
	until_all_is_acknowledged();
	ck_assert_uint_eq(tcb()->mss, 1240);
	th_restart(h);
	ck_assert_uint_eq(tcb()->mss, 1240);
}
END_TEST

START_TEST(small_segments_that_get_lost_make_nothing_smaller)
{
	th_write(h, p.k, data, 300);
	stack_flush(h->s);
	th_forget(h);
	th_advance(h, 8000000);
	ck_assert_uint_ge(tcb()->tries, 3);
	ck_assert_uint_eq(tcb()->mss, 1460);
	th_forget(h);
}
END_TEST

START_TEST(less_than_a_full_segment_may_be_too_large_as_well)
{
	th_write(h, p.k, data, 700);
	stack_flush(h->s);
	th_forget(h);
	th_advance(h, 8000000);
	ck_assert_uint_eq(tcb()->mss, 536);
	until_all_is_acknowledged();
}
END_TEST

START_TEST(if_that_does_not_help_ipv4_goes_down_to_576)
{
	fall_into_the_hole();
	for (int i = 0; tcb()->tries < 5; i++) {
		ck_assert_int_lt(i, 10000);
		ck_assert_uint_eq(tcb()->mss, 1240);
		th_forget(h);
		th_advance(h, 10000);
	}
	ck_assert_uint_eq(tcb()->mss, 536);
	th_forget(h);
}
END_TEST

START_TEST(two_timeouts_are_enough_when_they_are_long)
{
	th_write(h, p.k, data, 10 * 1460);
	stack_flush(h->s);
	th_forget(h);
	tcb()->rto_us = TCP_MTU_LATE_US;
	for (int i = 0; tcb()->tries < 2; i++) {
		ck_assert_int_lt(i, 1000);
		ck_assert_uint_eq(tcb()->mss, 1460);
		th_advance(h, 100000);
		th_forget(h);
	}
	ck_assert_uint_eq(tcb()->mss, 1240);
}
END_TEST

START_TEST(ipv6_needs_no_less_than_1280)
{
	struct tcb t;

	th_write(h, p.k, data, 700);
	stack_flush(h->s);
	th_forget(h);
	t = *tcb();
	t.c.raddr.b[0] = 0x20; /* any address that is not mapped */
	t.tries = TCP_MTU_TRIES;
	tcp_mtu_timeout(h->s, &t);
	ck_assert_uint_eq(t.mtu_ok, 0);
	t.c.raddr = tcb()->c.raddr;
	tcp_mtu_timeout(h->s, &t);
	ck_assert_uint_eq(t.mtu_ok, TCP_MTU_BASE4);
}
END_TEST

/* Writes enough for a probe and sends it; how large it is. */
static uint32_t probe(void)
{
	th_write(h, p.k, data, 8 * 1460);
	stack_flush(h->s);
	ck_assert_uint_ne(tcb()->mtu_try, 0);
	ck_assert_uint_eq(th_next(h)->gso_size, 0);
	h->next_out--;
	return h->out[h->next_out].g.len;
}

START_TEST(probes_find_the_largest_size_that_gets_through)
{
	uint32_t cwnd, start;
	struct tcp_seg g;

	fall_into_the_hole();
	until_all_is_acknowledged();
	th_advance(h, 5000000);
	ck_assert_uint_eq(probe(), 1390 - 40);
	until_all_is_acknowledged();
	ck_assert_uint_eq(tcb()->mss, 1350);
	/* the next one is lost, and what came behind it SACKed */
	start = p.ack;
	cwnd = tcb()->cwnd;
	ck_assert_uint_eq(probe(), 1445 - 40);
	ck_assert_uint_eq(largest(), 1405);
	th_forget(h);
	g = tp_seg(&p, TCPF_ACK, 0);
	g.n_sack = 1;
	g.sack[0] = (struct tcp_range){ start + 1405, tcb()->snd_nxt };
	th_advance(h, 4000);
	th_input(h, &g, NULL, 0);
	th_advance(h, 5000);
	ck_assert_uint_eq(tcb()->mtu_try, 0);
	ck_assert_uint_eq(tcb()->mtu_hi, 1444);
	ck_assert_uint_eq(h->out[0].g.seq, start);
	ck_assert_uint_eq(largest(), 1350);
	tp_drain(&p);
	p.ack = tcb()->snd_nxt;
	tp_send(&p, TCPF_ACK, NULL, 0);
	ck_assert_uint_ge(tcb()->cwnd, cwnd);
	/* 1417, then it is close enough */
	ck_assert_uint_eq(probe(), 1417 - 40);
	until_all_is_acknowledged();
	ck_assert_uint_eq(tcb()->mss, 1377);
	th_write(h, p.k, data, 8 * 1460);
	stack_flush(h->s);
	ck_assert_uint_eq(largest(), 1377);
	until_all_is_acknowledged();
	/* after ten minutes the path's own size, which now is well again */
	th_advance(h, 601000000);
	ck_assert_uint_eq(probe(), 1460);
	until_all_is_acknowledged();
	ck_assert_uint_eq(tcb()->mss, 1460);
	ck_assert_uint_eq(tcb()->mtu_ok, 0);
}
END_TEST

START_TEST(a_path_that_has_become_narrower_bounds_the_search)
{
	fall_into_the_hole();
	until_all_is_acknowledged();
	th_advance(h, 5000000);
	tcb()->c.path.mtu = 1400;
	ck_assert_uint_eq(probe(), 1340 - 40);
	until_all_is_acknowledged();
}
END_TEST

START_TEST(a_probe_needs_room_behind_it_a_peer_that_takes_it_and_no_recovery)
{
	const uint32_t behind = 2 * 1240, len = 1350;
	struct tcb t;

	fall_into_the_hole();
	until_all_is_acknowledged();
	th_advance(h, 5000000);
	t = *tcb();
	ck_assert_uint_eq(tcp_mtu_probe(h->s, &t, len + behind, len + behind), len);
	ck_assert_uint_eq(tcp_mtu_probe(h->s, &t, len + behind - 1, 100000), 0);
	ck_assert_uint_eq(tcp_mtu_probe(h->s, &t, 100000, len + behind - 1), 0);
	t.peer_mss = (uint16_t)(len - 1);
	ck_assert_uint_eq(tcp_mtu_probe(h->s, &t, 100000, 100000), 0);
	t.peer_mss++;
	ck_assert_uint_eq(tcp_mtu_probe(h->s, &t, 100000, 100000), len);
	t.recovery = TCP_RECOVERY;
	ck_assert_uint_eq(tcp_mtu_probe(h->s, &t, 100000, 100000), 0);
}
END_TEST

START_TEST(a_probe_that_is_not_lost_alone_was_lost_by_congestion)
{
	uint32_t start, cwnd;
	struct tcp_seg g;

	fall_into_the_hole();
	until_all_is_acknowledged();
	th_advance(h, 5000000);
	start = p.ack;
	cwnd = tcb()->cwnd;
	ck_assert_uint_eq(probe(), 1350);
	g = tp_seg(&p, TCPF_ACK, 0);
	g.n_sack = 2;
	g.sack[0] = (struct tcp_range){ start + 1350, start + 1350 + 1240 };
	g.sack[1] = (struct tcp_range){ start + 1350 + 2 * 1240, tcb()->snd_nxt };
	th_forget(h);
	th_advance(h, 4000);
	th_input(h, &g, NULL, 0);
	th_advance(h, 5000);
	ck_assert_uint_eq(tcb()->mtu_try, 0);
	ck_assert_uint_lt(tcb()->ssthresh, cwnd);
	p.ack = tcb()->snd_nxt;
	tp_send(&p, TCPF_ACK, NULL, 0);
	th_forget(h);
}
END_TEST

START_TEST(a_timeout_ends_a_probe)
{
	struct tcb t;

	fall_into_the_hole();
	until_all_is_acknowledged();
	th_advance(h, 5000000);
	(void)probe();
	t = *tcb();
	tcp_mtu_resent(h->s, &t, t.snd_una, t.mtu_end - 1); /* a part of it says nothing */
	ck_assert_uint_eq(t.mtu_try, 1390);
	tcp_mtu_resent(h->s, &t, t.snd_una, t.mtu_end);
	ck_assert_uint_eq(t.mtu_try, 0);
	for (int i = 0; !tcb()->tries; i++) {
		ck_assert_int_lt(i, 1000);
		th_advance(h, 10000);
	}
	ck_assert_uint_eq(tcb()->mtu_try, 0);
	until_all_is_acknowledged();
}
END_TEST

/* The time of the search is kept in 16 bits of seconds. */
START_TEST(after_half_a_day_without_data_it_is_searched_at_once)
{
	fall_into_the_hole();
	until_all_is_acknowledged();
	for (int h12 = 0; h12 < 12; h12++)
		th_advance(h, 3600000000ull);
	ck_assert_uint_eq(probe(), 1390 - 40);
	until_all_is_acknowledged();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_mtu");
	TCase *tc = tcase_create("mtu");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, three_timeouts_make_full_segments_smaller);
	tcase_add_test(tc, small_segments_that_get_lost_make_nothing_smaller);
	tcase_add_test(tc, less_than_a_full_segment_may_be_too_large_as_well);
	tcase_add_test(tc, if_that_does_not_help_ipv4_goes_down_to_576);
	tcase_add_test(tc, probes_find_the_largest_size_that_gets_through);
	tcase_add_test(tc, two_timeouts_are_enough_when_they_are_long);
	tcase_add_test(tc, ipv6_needs_no_less_than_1280);
	tcase_add_test(tc, a_path_that_has_become_narrower_bounds_the_search);
	tcase_add_test(tc, a_probe_needs_room_behind_it_a_peer_that_takes_it_and_no_recovery);
	tcase_add_test(tc, a_probe_that_is_not_lost_alone_was_lost_by_congestion);
	tcase_add_test(tc, a_timeout_ends_a_probe);
	tcase_add_test(tc, after_half_a_day_without_data_it_is_searched_at_once);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
