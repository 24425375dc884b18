/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_short.c - windows while there is no memory for larger receive rings
 */
#include "config.h"

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

#define MSS 1448u
#define RING 4096u

static struct th *h;
static struct tp p;
static uint8_t data[65536], back[65536];

/* A connection with 64 KB promised, of which the ring can hold 4. */
static void setup(void)
{
	h = th_new(64);
	h->global->tcp_rmem = (struct npp_tcp_mem){ 4096, 65536, 1 << 20 };
	h->rx_max = RING;
	th_listen(h, 80, 8);
	tp_accept(&p, h, 80, 4000, TO_TS | TO_WS | TO_SACK_OK);
}

static void teardown(void)
{
	th_free(h);
}

static struct tcb *tcb(void)
{
	return tcb_of(p.k->c);
}

static uint32_t promised(void)
{
	return tcb()->rcv_adv - tcb()->rcv_nxt;
}

/* The peer sends as many full segments as the window allows, up to BURST bytes, and begins again at what
 * was acknowledged; the program reads all. False: nothing came through. */
static bool round_trip(uint32_t burst)
{
	uint32_t before = tcb()->rcv_nxt, edge = tcb()->rcv_adv, n = promised() / MSS * MSS;
	struct tcp_seg g;

	p.seq = before;
	g = tp_seg(&p, TCPF_ACK, n < burst ? n : burst / MSS * MSS);
	if (g.len)
		th_input(h, &g, data, MSS);
	p.seq = tcb()->rcv_nxt;
	th_read(h, p.k, back, sizeof back);
	stack_flush(h->s);
	th_advance(h, 1000);
	ck_assert(seq_geq(tcb()->rcv_adv, edge)); /* never taken back */
	th_forget(h);
	return tcb()->rcv_nxt != before;
}

static uint32_t no_room(void)
{
	return (uint32_t)th_stat(h, NPP_IS_DROP_TCP_NO_ROOM);
}

/* Until all is used up that was promised before it was known. */
static void use_up(void)
{
	for (int i = 0; i < 100 && promised() > RING; i++)
		ck_assert(round_trip(65536));
	ck_assert_uint_le(promised(), RING);
}

START_TEST(a_window_follows_a_ring_that_could_not_grow)
{
	uint32_t lost;

	ck_assert_uint_ge(promised(), 60000);
	use_up();
	lost = no_room();
	ck_assert_uint_gt(lost, 0);
	for (int i = 0; i < 100; i++) {
		ck_assert(round_trip(65536));
		ck_assert_uint_le(promised(), RING);
	}
	ck_assert_uint_eq(no_room(), lost);
}
END_TEST

START_TEST(without_any_ring_two_segments_are_on_offer)
{
	use_up();
	for (int i = 0; i < 20; i++) {
		free(p.k->rx);
		p.k->rx = NULL;
		p.k->c->rx = (struct stack_ring){ NULL, 0 };
		ck_assert(round_trip(65536));
		ck_assert_uint_ge(promised(), MSS);
	}
}
END_TEST

START_TEST(the_ring_grows_before_the_window_does)
{
	uint32_t lost;

	use_up();
	lost = no_room();
	h->rx_max = 1 << 21;
	for (int i = 0; i < 200; i++) {
		ck_assert(round_trip(65536));
		if (tcb()->rx_short)
			ck_assert_uint_le(promised(), p.k->c->rx.size);
	}
	ck_assert(!tcb()->rx_short);
	ck_assert_uint_gt(promised(), 65536);
	ck_assert_uint_eq(no_room(), lost);
}
END_TEST

START_TEST(a_buffer_that_was_set_is_so_again_when_there_is_memory)
{
	struct tcp_options o = { .rcvbuf = 30000 };

	stack_tcp_options(h->s, p.k->c, &o);
	use_up();
	ck_assert_uint_eq(tcb()->rcvbuf, 30000);
	h->rx_max = 1 << 21;
	for (int i = 0; i < 50; i++)
		ck_assert(round_trip(65536));
	ck_assert_uint_gt(promised(), 20000);
	ck_assert_uint_le(promised(), 30000);
}
END_TEST

START_TEST(the_ring_does_not_grow_for_a_program_that_does_not_keep_up)
{
	use_up();
	h->rx_max = 1 << 21;
	for (int i = 0; i < 20; i++) {
		th_advance(h, 1000000);
		ck_assert(round_trip(65536));
		ck_assert_uint_eq(p.k->c->rx.size, RING);
	}
	ck_assert(tcb()->rx_short);
}
END_TEST

START_TEST(a_ring_that_grows_only_sometimes_costs_nothing_but_time)
{
	h->rx_max = 1 << 21;
	h->grow_fails = 70;
	for (int i = 0; i < 400; i++)
		round_trip(1 + (uint32_t)(i * 7919) % 65536);
	h->grow_fails = 0;
	for (int i = 0; i < 50; i++)
		ck_assert(round_trip(65536));
	ck_assert(!tcb()->rx_short);
}
END_TEST

/* Who waits for more bytes than come must hear of it. */
START_TEST(a_full_ring_that_cannot_grow_is_told)
{
	struct tcp_seg g = tp_seg(&p, TCPF_ACK, RING);

	ck_assert_uint_gt(stack_tcp_rx_bound(p.k->c), RING);
	ck_assert_uint_lt(stack_tcp_rx_bound(p.k->c), 65536);
	th_input(h, &g, data, 1024);
	stack_flush(h->s);
	ck_assert_uint_eq(p.k->c->rx_head, RING);
	ck_assert_uint_gt(stack_tcp_rx_bound(p.k->c), RING); /* it may grow */
	p.k->events = 0;
	p.seq = tcb()->rcv_nxt;
	g = tp_seg(&p, TCPF_ACK, MSS);
	th_input(h, &g, data, MSS);
	stack_flush(h->s);
	ck_assert_uint_eq(p.k->c->rx_head, RING);
	ck_assert(p.k->events & TCP_UP_RX);
	ck_assert_uint_lt(stack_tcp_rx_bound(p.k->c), RING);
}
END_TEST

START_TEST(who_waits_for_more_than_the_buffer_has_gets_a_larger_one)
{
	struct tcp_options o = { .rcv_least = 400000 };

	stack_tcp_options(h->s, p.k->c, &o);
	ck_assert_uint_eq(tcb()->rcvbuf, 400000);
	ck_assert_uint_gt(stack_tcp_rx_bound(p.k->c), 200000);
	o.rcv_least = 10000;
	stack_tcp_options(h->s, p.k->c, &o);
	ck_assert_uint_eq(tcb()->rcvbuf, 400000);
	o.rcv_least = UINT32_MAX;
	stack_tcp_options(h->s, p.k->c, &o);
	ck_assert_uint_eq(tcb()->rcvbuf, npp_tcp_rmem(h->global).max);
	o.rcvbuf = 30000;
	stack_tcp_options(h->s, p.k->c, &o);
	ck_assert_uint_eq(tcb()->rcvbuf, 30000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_short");
	TCase *tc = tcase_create("short");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, who_waits_for_more_than_the_buffer_has_gets_a_larger_one);
	tcase_add_test(tc, a_window_follows_a_ring_that_could_not_grow);
	tcase_add_test(tc, without_any_ring_two_segments_are_on_offer);
	tcase_add_test(tc, the_ring_grows_before_the_window_does);
	tcase_add_test(tc, a_buffer_that_was_set_is_so_again_when_there_is_memory);
	tcase_add_test(tc, the_ring_does_not_grow_for_a_program_that_does_not_keep_up);
	tcase_add_test(tc, a_ring_that_grows_only_sometimes_costs_nothing_but_time);
	tcase_add_test(tc, a_full_ring_that_cannot_grow_is_told);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
