/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_recv.c - an open connection: what comes in, and the ACKs and windows that answer
 */
#include "config.h"

#include <errno.h>
#include <arpa/inet.h>
#include <string.h>

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

#define ALL_OPTS (TO_TS | TO_WS | TO_SACK_OK)
#define PORT 80

static struct th *h;
static struct tp p;
static uint8_t data[65536], back[65536];

static void setup(void)
{
	h = th_new(64);
	th_listen(h, PORT, 8);
	tp_accept(&p, h, PORT, 4000, ALL_OPTS);
	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void teardown(void)
{
	th_free(h);
}

/* Segment at OFF bytes from the start of the peer's stream. */
static void put_at(uint32_t off, uint32_t len)
{
	tp_send_at(&p, TP_ISS + 1 + off, TCPF_ACK, data + off, len);
}

static const struct tcp_seg *expect_ack(uint32_t off)
{
	struct th_seg *o = th_next(h);

	ck_assert_uint_eq(o->g.flags, TCPF_ACK);
	ck_assert_uint_eq(o->g.ack, TP_ISS + 1 + off);
	ck_assert_uint_eq(o->g.len, 0);
	return &o->g;
}

static void expect_bytes(uint32_t n)
{
	uint32_t got = th_read(h, p.k, back, sizeof back);

	ck_assert_uint_eq(got, n);
	ck_assert_int_eq(memcmp(back, data + p.k->rx_tail - n, n), 0);
}

static uint32_t window_edge(const struct tcp_seg *g)
{
	return g->ack + (g->wnd << TCP_WSCALE);
}

/* ---- RST, SYN, ACK: not everybody may (RFC 5961) -------------------------------------------- */

/* RFC 9293, 3.5.3 (SHLD-2): why it was sent, perhaps. */
START_TEST(established_rst_may_have_data)
{
	tp_send_at(&p, p.seq, TCPF_RST, "why", 3);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ECONNRESET);
	ck_assert_uint_eq(p.k->rx_tail, 0);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(established_rst_must_be_exact)
{
	tp_send_at(&p, p.seq - 1, TCPF_RST, NULL, 0);
	tp_send_at(&p, p.seq + 3000000, TCPF_RST, NULL, 0);
	ck_assert(th_none(h));
	tp_send_at(&p, p.seq + 5, TCPF_RST, NULL, 0);
	expect_ack(0);
	tp_send_at(&p, p.seq + 6, TCPF_RST, NULL, 0); /* challenges are rare */
	ck_assert(th_none(h));
	ck_assert_ptr_nonnull(p.k->c);
	tp_send_at(&p, p.seq, TCPF_RST, NULL, 0);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ECONNRESET);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_RST_IN), 1);
}
END_TEST

START_TEST(what_stands_beyond_the_window_acknowledges_nothing)
{
	struct tcp_seg g;

	th_write(h, p.k, data, 10);
	stack_flush(h->s);
	th_forget(h);
	g = tp_seg(&p, TCPF_ACK, 1);
	g.seq = tcb_of(p.k->c)->rcv_adv + 1;
	g.ack = tcb_of(p.k->c)->snd_nxt;
	th_input(h, &g, data, 0);
	expect_ack(0);
	ck_assert_uint_eq(p.k->c->tx_tail, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_WINDOW), 1);
	g.seq = p.seq;
	th_input(h, &g, data, 0);
	ck_assert_uint_eq(p.k->c->tx_tail, 10);
	th_forget(h);
}
END_TEST

/* RFC 2018, 4. */
START_TEST(sack_tells_the_latest_first_then_what_it_told_last)
{
	const struct tcp_seg *g = NULL;
	static const uint32_t at[] = { 5000, 1000, 3000, 7000 };

	for (unsigned i = 0; i < 4; i++) {
		th_forget(h);
		put_at(at[i], 100);
		g = expect_ack(0);
	}
	ck_assert_uint_eq(g->n_sack, 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(g->sack[i].start, TP_ISS + 1 + at[3 - i]);
}
END_TEST

START_TEST(established_syn_is_challenged)
{
	tp_send_at(&p, p.seq, TCPF_SYN, NULL, 0);
	expect_ack(0);
	tp_send_at(&p, p.seq + 100, TCPF_SYN | TCPF_ACK, NULL, 0);
	ck_assert(th_none(h));
	th_advance(h, 600000);
	tp_send_at(&p, p.seq - 100, TCPF_SYN, NULL, 0);
	expect_ack(0);
	ck_assert_int_eq(p.k->c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_CHALLENGE), 2);
}
END_TEST

START_TEST(challenges_are_limited_for_all_connections_together_by_a_number_that_varies)
{
	unsigned n[2];

	for (int round = 0; round < 2; round++) {
		th_advance(h, 1000000);
		for (n[round] = 0; tcp_challenge_allowed(h->s); n[round]++)
			ck_assert_uint_lt(n[round], TCP_CHALLENGE_MIN + TCP_CHALLENGE_SPREAD);
		ck_assert_uint_ge(n[round], TCP_CHALLENGE_MIN);
	}
	ck_assert_uint_ne(n[0], n[1]);
	th_advance(h, 100);
	tp_send_at(&p, p.seq, TCPF_SYN, NULL, 0);
	ck_assert(th_none(h));
	th_advance(h, 1000000);
	tp_send_at(&p, p.seq, TCPF_SYN, NULL, 0);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_ACK);
}
END_TEST

START_TEST(established_ack_of_what_was_not_sent_is_challenged_and_its_text_dropped)
{
	p.ack += 1;
	put_at(0, 10);
	expect_ack(0);
	ck_assert_uint_eq(p.k->c->rx_head, 0);
	p.ack -= 1 + 70000; /* far below */
	th_advance(h, 600000);
	put_at(0, 10);
	expect_ack(0);
	ck_assert_uint_eq(p.k->c->rx_head, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_ACK), 2);
	p.ack += 70000;
	th_write(h, p.k, data, 100);
	stack_flush(h->s);
	tp_drain(&p);
	tp_send(&p, TCPF_ACK, NULL, 0);
	p.ack -= 100; /* a little below: old, but its text counts */
	put_at(0, 10);
	ck_assert_uint_eq(p.k->c->rx_head, 10);
}
END_TEST

/* A guess below the initial number hits as often as one within the window. */
START_TEST(established_ack_of_what_was_never_sent_is_challenged_until_more_than_a_window_was)
{
	struct tcb *t = tcb_of(p.k->c);
	uint32_t all = p.ack;

	p.ack = t->iss; /* acknowledges not even the SYN */
	put_at(0, 10);
	expect_ack(0);
	th_advance(h, 600000);
	p.ack = t->iss - 1000;
	put_at(0, 10);
	expect_ack(0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_ACK), 2);
	ck_assert_uint_eq(p.k->c->rx_head, 0);
	p.ack = all; /* as if TCP_FAR bytes had been sent and acknowledged since */
	t->iss -= TCP_FAR;
	p.k->c->tx_head = p.k->c->tx_tail += TCP_FAR;
	p.k->tx_head = p.k->tx_tail += TCP_FAR;
	th_write(h, p.k, data, 100);
	stack_flush(h->s);
	tp_drain(&p);
	tp_send(&p, TCPF_ACK, NULL, 0);
	t->iss = p.ack + 10; /* numbers have gone round */
	p.ack -= 50;
	put_at(0, 10);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_ACK), 2);
	ck_assert_uint_eq(p.k->c->rx_head, 10);
	t->iss = p.ack + 50 - 1 - p.k->c->tx_head;
}
END_TEST

/* A peer that has forgotten the connection need not want timestamps again. */
START_TEST(established_syn_without_the_agreed_timestamps_is_challenged)
{
	p.opt = 0;
	tp_send_at(&p, p.seq + 100000000, TCPF_SYN, NULL, 0);
	expect_ack(0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_CHALLENGE), 1);
	p.opt = TO_TS;
}
END_TEST

START_TEST(established_segment_without_ack_is_dropped)
{
	tp_send_at(&p, p.seq, 0, data, 10);
	tp_send_at(&p, p.seq, TCPF_FIN, NULL, 0);
	ck_assert_uint_eq(p.k->c->rx_head, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_STATE), 2);
}
END_TEST

START_TEST(paws_old_timestamp_is_dropped_with_an_ack)
{
	p.tsval += 100;
	put_at(0, 10);
	p.tsval -= 50;
	put_at(10, 10);
	expect_ack(10);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_PAWS), 1);
	p.opt = 0;
	put_at(10, 10);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_PAWS), 2);
	p.opt = TO_TS;
	p.tsval += 50;
	put_at(10, 10);
	expect_bytes(20);
}
END_TEST

START_TEST(a_peer_whose_syn_says_0_may_begin_with_any_timestamp)
{
	tcb_of(p.k->c)->ts_recent = 0;
	p.tsval = 0x90000000; /* older than 0 */
	put_at(0, 10);
	th_advance(h, TCP_DELACK_US + 10000);
	ck_assert_uint_eq(expect_ack(10)->tsecr, 0x90000000);
	p.tsval--;
	put_at(10, 10);
	expect_ack(10);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_PAWS), 1);
	p.tsval++;
	put_at(10, 10);
	expect_bytes(20);
}
END_TEST

/* RFC 7323, 4.2 (B): the peer's RTT counts from the first of what one ACK acknowledges. */
START_TEST(a_delayed_ack_echoes_the_timestamp_of_what_came_first)
{
	uint32_t first = p.tsval += 100;

	put_at(0, 10);
	p.tsval += 30;
	put_at(10, 10);
	ck_assert(th_none(h));
	th_advance(h, TCP_DELACK_US + 10000);
	ck_assert_uint_eq(expect_ack(20)->tsecr, first);
	put_at(20, 10);
	th_advance(h, TCP_DELACK_US + 10000);
	ck_assert_uint_eq(expect_ack(30)->tsecr, first + 30);
}
END_TEST

START_TEST(paws_answers_empty_segments_and_syns_rarely_and_without_a_timestamp_never)
{
	p.tsval += 100;
	put_at(0, 10);
	p.tsval -= 50;
	th_advance(h, 200000);
	th_forget(h);
	tp_send_at(&p, p.seq, TCPF_ACK, NULL, 0);
	expect_ack(10);
	tp_send_at(&p, p.seq, TCPF_ACK, NULL, 0);
	tp_send_at(&p, p.seq, TCPF_SYN, NULL, 0);
	ck_assert(th_none(h));
	th_advance(h, 200000);
	tp_send_at(&p, p.seq, TCPF_SYN, NULL, 0);
	expect_ack(10);
	p.opt = 0;
	th_advance(h, 200000);
	put_at(10, 10);
	tp_send_at(&p, p.seq, TCPF_ACK, NULL, 0);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_PAWS), 6);
}
END_TEST

START_TEST(paws_forgets_after_24_days)
{
	p.tsval = 1u << 30;
	put_at(0, 10);
	th_advance(h, 25ull * 86400 * 1000000);
	p.tsval = 5;
	put_at(10, 10);
	ck_assert_uint_eq(p.k->c->rx_head, 20);
	ck_assert_uint_eq(tcb_of(p.k->c)->ts_recent, 5); /* what we echo from now on */
}
END_TEST

/* ---- text ---------------------------------------------------------------------------------------- */

START_TEST(data_in_order_is_delivered)
{
	put_at(0, 1448);
	put_at(1448, 1448);
	put_at(2896, 1);
	expect_bytes(2897);
	ck_assert(p.k->events & TCP_UP_RX);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_BYTES_IN), 2897);
}
END_TEST

START_TEST(a_gso_frame_is_one_segment_with_one_ack)
{
	struct tcp_seg g = tp_seg(&p, TCPF_ACK | TCPF_PSH, 20 * 1448);

	th_input(h, &g, data, 1448);
	expect_ack(20 * 1448);
	ck_assert(th_none(h));
	expect_bytes(20 * 1448);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_SEGS_IN), 2 + 20);
	ck_assert_uint_eq(tcb_of(p.k->c)->rcv_mss, 1448);
}
END_TEST

START_TEST(one_ack_per_batch)
{
	struct tcp_seg g = tp_seg(&p, TCPF_ACK, 1448);

	for (unsigned i = 0; i < 8; i++, g.seq += 1448)
		th_input_noflush(h, &g, data + i * 1448, 0);
	ck_assert(th_none(h));
	stack_flush(h->s);
	expect_ack(8 * 1448);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(a_small_segment_waits_for_its_ack_then_later_ones_do_not)
{
	put_at(0, 10);
	ck_assert(th_none(h));
	th_advance(h, 39000);
	ck_assert(th_none(h));
	th_advance(h, 3000);
	expect_ack(10);
	/* Nobody answered: quick from now on. */
	put_at(10, 10);
	expect_ack(20);
}
END_TEST

/* The timer would send each of them alone. */
START_TEST(after_pauses_no_ack_waits_where_nobody_answers)
{
	put_at(0, 10);
	th_advance(h, 50000);
	expect_ack(10);
	for (uint32_t i = 1; i < 3 * TCP_QUICK_ACKS; i++) {
		th_advance(h, 50000);
		ck_assert(th_none(h));
		put_at(10 * i, 10);
		expect_ack(10 * i + 10);
	}
	for (uint32_t i = 0; i < TCP_QUICK_ACKS; i++) { /* without pauses they run out */
		put_at(30 * TCP_QUICK_ACKS + 10 * i, 10);
		th_forget(h);
	}
	put_at(40 * TCP_QUICK_ACKS, 10);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(an_answer_carries_the_ack)
{
	struct th_seg *o;

	tp_send(&p, TCPF_ACK, data, 10);
	th_write(h, p.k, "answer", 6);
	stack_flush(h->s);
	o = th_next(h);
	ck_assert_uint_eq(o->g.len, 6);
	ck_assert_uint_eq(o->g.ack, TP_ISS + 11);
	p.ack += 6;
	tp_send(&p, TCPF_ACK, NULL, 0);
	th_advance(h, 100000);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(a_second_full_segment_is_acknowledged_at_once)
{
	tcb_of(p.k->c)->quick = 0;
	put_at(0, 1448);
	ck_assert(th_none(h));
	put_at(1448, 1448);
	expect_ack(2896);
}
END_TEST

START_TEST(data_out_of_order_waits_in_the_ring)
{
	const struct tcp_seg *g;

	put_at(3000, 1000);
	g = expect_ack(0);
	ck_assert_uint_eq(g->n_sack, 1);
	ck_assert_uint_eq(g->sack[0].start, TP_ISS + 1 + 3000);
	ck_assert_uint_eq(g->sack[0].end, TP_ISS + 1 + 4000);
	put_at(1000, 1000);
	g = expect_ack(0);
	ck_assert_uint_eq(g->n_sack, 2);
	ck_assert_uint_eq(g->sack[0].start, TP_ISS + 1 + 1000); /* the latest first */
	ck_assert_uint_eq(g->sack[1].start, TP_ISS + 1 + 3000);
	ck_assert_uint_eq(p.k->c->rx_head, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_OOO), 2);
	put_at(0, 1000);
	g = expect_ack(2000);
	ck_assert_uint_eq(g->n_sack, 1);
	put_at(2000, 1000);
	g = expect_ack(4000);
	ck_assert_uint_eq(g->n_sack, 0);
	expect_bytes(4000);
	ck_assert_uint_eq(h->s->tcp->block_pool.used, 0);
}
END_TEST

START_TEST(what_fills_a_part_of_a_gap_is_acknowledged_at_once)
{
	const struct tcp_seg *g;

	put_at(3000, 100);
	expect_ack(0);
	put_at(0, 10); /* small: without the gap it would wait */
	g = expect_ack(10);
	ck_assert_uint_eq(g->n_sack, 1);
	put_at(10, 2990);
	expect_ack(3100);
	expect_bytes(3100);
}
END_TEST

START_TEST(a_segment_may_swallow_several_intervals)
{
	put_at(1000, 100);
	put_at(2000, 100);
	put_at(3000, 100);
	put_at(0, 3000);
	th_forget(h);
	ck_assert_uint_eq(p.k->c->rx_head, 3100);
	expect_bytes(3100);
	put_at(4000, 500);
	put_at(4800, 500);
	put_at(3900, 1500);
	put_at(3100, 800);
	expect_bytes(2300);
	ck_assert_uint_eq(h->s->tcp->block_pool.used, 0);
}
END_TEST

START_TEST(too_many_gaps_are_dropped_but_nothing_breaks)
{
	for (uint32_t i = 40; i > 0; i--)
		put_at(i * 100, 50);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_RANGES), 40 - TCP_RANGES);
	th_forget(h);
	for (uint32_t off = 0; off < 4050; off += 150)
		put_at(off, 150);
	expect_bytes(4050);
}
END_TEST

START_TEST(duplicates_are_reported_by_dsack)
{
	const struct tcp_seg *g;

	put_at(0, 1000);
	th_forget(h);
	put_at(0, 1000);
	g = expect_ack(1000);
	ck_assert_uint_eq(g->n_sack, 1);
	ck_assert_uint_eq(g->sack[0].start, TP_ISS + 1);
	ck_assert_uint_eq(g->sack[0].end, TP_ISS + 1001);
	put_at(500, 1000); /* partly */
	g = expect_ack(1500);
	ck_assert_uint_eq(g->sack[0].start, TP_ISS + 1 + 500);
	ck_assert_uint_eq(g->sack[0].end, TP_ISS + 1 + 1000);
	put_at(3000, 500);
	th_forget(h);
	put_at(3100, 200); /* inside what stands out of order */
	g = expect_ack(1500);
	ck_assert_uint_eq(g->n_sack, 2);
	ck_assert_uint_eq(g->sack[0].start, TP_ISS + 1 + 3100);
	ck_assert_uint_eq(g->sack[1].start, TP_ISS + 1 + 3000);
	put_at(100, 200); /* all below the window */
	g = expect_ack(1500);
	ck_assert_uint_eq(g->sack[0].start, TP_ISS + 1 + 100);
	expect_bytes(1500);
}
END_TEST

START_TEST(what_a_segment_that_fills_a_gap_repeats_is_reported)
{
	const struct tcp_seg *g;

	put_at(100, 100);
	put_at(400, 100);
	th_forget(h);
	put_at(0, 150);
	g = expect_ack(200);
	ck_assert_uint_eq(g->n_sack, 2);
	ck_assert_uint_eq(g->sack[0].start, TP_ISS + 1 + 100);
	ck_assert_uint_eq(g->sack[0].end, TP_ISS + 1 + 150);
	ck_assert_uint_eq(g->sack[1].start, TP_ISS + 1 + 400);
	put_at(200, 1000); /* all of it, and more */
	g = expect_ack(1200);
	ck_assert_uint_eq(g->n_sack, 1);
	ck_assert_uint_eq(g->sack[0].start, TP_ISS + 1 + 400);
	ck_assert_uint_eq(g->sack[0].end, TP_ISS + 1 + 500);
	put_at(1300, 100);
	th_forget(h);
	put_at(1200, 100); /* up to it and no further */
	ck_assert_uint_eq(expect_ack(1400)->n_sack, 0);
	put_at(1600, 100);
	put_at(1800, 100);
	th_forget(h);
	put_at(1650, 200); /* out of order itself */
	g = expect_ack(1400);
	ck_assert_uint_eq(g->n_sack, 2);
	ck_assert_uint_eq(g->sack[0].start, TP_ISS + 1 + 1650);
	ck_assert_uint_eq(g->sack[0].end, TP_ISS + 1 + 1700);
	ck_assert_uint_eq(g->sack[1].start, TP_ISS + 1 + 1600);
	ck_assert_uint_eq(g->sack[1].end, TP_ISS + 1 + 1900);
	expect_bytes(1400);
}
END_TEST

/* A forged FIN would else hold up the connection for ever. */
START_TEST(a_fin_behind_a_gap_is_forgotten_if_data_in_sequence_goes_beyond_it)
{
	struct tcp_seg g = tp_seg(&p, TCPF_ACK | TCPF_FIN, 0);

	g.seq += 50;
	th_input(h, &g, data, 0);
	put_at(300, 100); /* beyond it: not taken */
	th_forget(h);
	put_at(0, 100);
	ck_assert_uint_eq(expect_ack(100)->n_sack, 0);
	ck_assert_int_eq(p.k->c->state, TCP_ST_ESTABLISHED);
	put_at(100, 300);
	expect_bytes(400);
}
END_TEST

START_TEST(of_two_fins_that_in_sequence_counts)
{
	struct tcp_seg g = tp_seg(&p, TCPF_ACK | TCPF_FIN, 100);

	g.seq += 100;
	th_input(h, &g, data + 100, 0); /* ends at 200 */
	ck_assert_int_eq(p.k->c->state, TCP_ST_ESTABLISHED);
	g.seq -= 100;
	g.len = 100;
	th_input(h, &g, data, 0);
	ck_assert_int_eq(p.k->c->state, TCP_ST_CLOSE_WAIT);
	ck_assert_uint_eq(p.k->c->rx_head, 100);
	ck_assert_uint_eq(h->s->tcp->block_pool.used, 0);
}
END_TEST

START_TEST(without_sack_every_segment_out_of_order_is_answered)
{
	struct tp q;
	struct tcp_seg g;

	tp_accept(&q, h, PORT, 4001, 0);
	g = tp_seg(&q, TCPF_ACK, 100);
	g.seq += 1000;
	for (int i = 0; i < 3; i++, g.seq += 200)
		th_input_noflush(h, &g, data, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(th_next(h)->g.n_sack, 0);
}
END_TEST

START_TEST(urgent_and_ecn_bits_change_nothing)
{
	tp_send(&p, TCPF_ACK | TCPF_URG | TCPF_ECE | TCPF_CWR, data, 100);
	expect_bytes(100);
}
END_TEST

/* ---- rings and windows ----------------------------------------------------------------------------- */

START_TEST(without_ring_memory_data_is_dropped_and_comes_again)
{
	h->grow_fails = 100;
	put_at(0, 1000);
	expect_ack(0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_NO_ROOM), 1);
	h->grow_fails = 0;
	put_at(0, 1000);
	expect_bytes(1000);
}
END_TEST

START_TEST(what_fits_into_a_small_ring_is_kept)
{
	h->rx_max = 4096;
	for (uint32_t off = 0; off < 7000; off += 1400)
		put_at(off, 1400);
	expect_bytes(4096);
	put_at(4096, 1400);
	expect_bytes(1400);
}
END_TEST

START_TEST(a_ring_that_was_taken_back_loses_only_what_was_out_of_order)
{
	put_at(0, 100);
	expect_bytes(100);
	ck_assert(stack_tcp_rx_empty(h->s, p.k->c));
	put_at(1000, 100);
	ck_assert(!stack_tcp_rx_empty(h->s, p.k->c));
	p.k->c->rx = (struct stack_ring){ NULL, 0 };
	free(p.k->rx);
	p.k->rx = NULL;
	put_at(100, 1000); /* reaches the lost interval */
	ck_assert_uint_eq(p.k->c->rx_head, 1100);
	expect_bytes(1000);
	ck_assert_uint_eq(h->s->tcp->block_pool.used, 0);
}
END_TEST

START_TEST(the_window_closes_is_probed_and_opens)
{
	struct tcp_options o = { .rcvbuf = 8192 };
	uint32_t off = 0, edge;
	bool want;

	/* The handshake has promised 64 KB; that promise stands. */
	stack_tcp_options(h->s, p.k->c, &o);
	stack_flush(h->s);
	while (off < 65535) {
		uint32_t n = 65535 - off < 1448 ? 65535 - off : 1448;

		put_at(off, n);
		off += n;
	}
	th_advance(h, 50000);
	edge = TP_ISS + 1 + 65535;
	while (!th_none(h)) {
		const struct tcp_seg *g = &th_next(h)->g;

		ck_assert(seq_leq(window_edge(g), edge));
		if (th_none(h)) {
			ck_assert_uint_eq(g->wnd, 0);
			ck_assert_uint_eq(g->ack, edge);
		}
	}
	th_forget(h);
	/* A probe with a byte, and one without. */
	tp_send_at(&p, TP_ISS + 1 + 65535, TCPF_ACK, "x", 1);
	expect_ack(65535);
	tp_send_at(&p, TP_ISS + 65535, TCPF_ACK, NULL, 0);
	expect_ack(65535);
	ck_assert_uint_eq(p.k->c->rx_head, 65535);
	/* Reading a little says nothing yet; what rx_wake names opens it. */
	stack_tcp_rx_wake(h->s, p.k->c, &want);
	ck_assert(want);
	th_read(h, p.k, back, 1000);
	stack_flush(h->s);
	ck_assert(th_none(h));
	off = stack_tcp_rx_wake(h->s, p.k->c, &want);
	ck_assert(want);
	ck_assert_uint_le(off, 65535);
	th_read(h, p.k, back, off - p.k->rx_tail - 1);
	stack_flush(h->s);
	ck_assert(th_none(h));
	th_read(h, p.k, back, 1);
	stack_flush(h->s);
	ck_assert_uint_gt(expect_ack(65535)->wnd, 0);
	stack_tcp_rx_wake(h->s, p.k->c, &want);
}
END_TEST

/* LEN bytes of the peer's from OFF, acknowledged. */
static void take(uint32_t off, uint32_t len)
{
	for (uint32_t end = off + len; off < end; off += len) {
		len = end - off < 1448 ? end - off : 1448;
		tp_send_at(&p, TP_ISS + 1 + off, TCPF_ACK, data, len);
	}
	th_advance(h, 50000);
	th_forget(h);
}

START_TEST(a_window_half_open_is_not_worth_an_update_of_its_own)
{
	struct tcp_options o = { .opt_flags = NPP_OPT_RCVBUF, .rcvbuf = 65536 };
	bool want;

	stack_tcp_options(h->s, p.k->c, &o);
	stack_flush(h->s);
	take(0, 30000);
	th_read(h, p.k, back, 30000); /* nearly half the buffer has become free, more than half is on offer */
	stack_flush(h->s);
	ck_assert(th_none(h));
	stack_tcp_rx_wake(h->s, p.k->c, &want);
	ck_assert(!want);
	take(30000, 33000);
	th_read(h, p.k, back, 10000);	/* less than a quarter */
	stack_flush(h->s);
	ck_assert(th_none(h));
	th_read(h, p.k, back, 7000);
	stack_flush(h->s);
	expect_ack(63000);
}
END_TEST

/* RFC 9293, 3.8.6.2.2: by half the buffer where that is less than a segment. */
START_TEST(a_small_buffer_opens_by_half)
{
	struct tcp_options o = { .opt_flags = NPP_OPT_RCVBUF, .rcvbuf = 2304 };
	/* Less a unit of the field: when that much was read half the buffer is free beyond what was promised. */
	uint32_t half = 65535 - (2304 - (1u << TCP_WSCALE)) + 2304 / 2;
	bool want;

	h->global->tcp_rmem = (struct npp_tcp_mem){ 2304, 131072, NPP_TCP_MEM_MAX };
	stack_tcp_options(h->s, p.k->c, &o);
	ck_assert_uint_eq(tcb_of(p.k->c)->rcvbuf, 2304);
	stack_flush(h->s);
	take(0, 65535); /* what the handshake has promised */
	th_read(h, p.k, back, 60000);
	stack_flush(h->s);
	ck_assert(th_none(h));
	ck_assert_uint_eq(stack_tcp_rx_wake(h->s, p.k->c, &want), half);
	ck_assert(want);
	th_read(h, p.k, back, half - 60000);
	stack_flush(h->s);
	ck_assert_uint_eq(expect_ack(65535)->wnd << TCP_WSCALE, 2304 / 2);
}
END_TEST

START_TEST(the_window_never_shrinks)
{
	uint32_t edge = TP_ISS + 1 + 65535;

	/* One byte at a time, nothing read: rounding must neither creep nor fall back. */
	tcb_of(p.k->c)->quick = 0;
	for (uint32_t i = 0; i < 3000; i++) {
		put_at(i, 1);
		if (i % 50 == 0)
			th_advance(h, 45000);
		while (!th_none(h)) {
			const struct tcp_seg *g = &th_next(h)->g;

			ck_assert(seq_geq(window_edge(g) + (1u << TCP_WSCALE) - 1, edge)); /* RFC 7323, 2.4 */
			edge = seq_max(edge, window_edge(g));
			ck_assert(seq_leq(edge, TP_ISS + 1 + NPP_TCP_RMEM.dflt));
		}
		th_forget(h);
	}
}
END_TEST

START_TEST(the_buffer_grows_while_the_program_keeps_up)
{
	struct tcb *t = tcb_of(p.k->c);
	uint32_t start = t->rcvbuf;

	for (int i = 0; i < 400; i++) {
		struct tcp_seg g = tp_seg(&p, TCPF_ACK, 14480);

		th_input(h, &g, data, 1448);
		p.seq += 14480;
		th_read(h, p.k, back, 14480);
		stack_flush(h->s);
		th_advance(h, 100);
		th_forget(h);
	}
	ck_assert_uint_gt(t->rcvbuf, start);
	ck_assert_uint_le(t->rcvbuf, NPP_TCP_RMEM.max);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_WINDOW), 0);
}
END_TEST

/* 400 times ten segments, read at once. What the buffer has become. */
static uint32_t grown(struct tp *peer)
{
	for (int i = 0; i < 400; i++) {
		struct tcp_seg g = tp_seg(peer, TCPF_ACK, 14480);

		if (peer->seq + 14480 - tcb_of(peer->k->c)->rcv_adv < 0x80000000u)
			g.len = tcb_of(peer->k->c)->rcv_adv - peer->seq;
		th_input(h, &g, data, 1448);
		peer->seq += g.len;
		th_read(h, peer->k, back, 14480);
		stack_flush(h->s);
		th_advance(h, 100);
		th_forget(h);
	}
	return tcb_of(peer->k->c)->rcvbuf;
}

START_TEST(buffers_keep_to_the_bounds_of_the_npp)
{
	struct tcp_options o = { .opt_flags = NPP_OPT_RCVBUF, .rcvbuf = 1 };
	struct tp q;

	h->global->tcp_rmem = (struct npp_tcp_mem){ 8192, 20000, 50000 };
	tp_accept(&q, h, 80, 4001, TO_SACK_OK | TO_WS);
	ck_assert_uint_eq(tcb_of(q.k->c)->rcvbuf, 20000);
	ck_assert_uint_eq(tcb_of(q.k->c)->rcv_adv - tcb_of(q.k->c)->rcv_nxt, 20000); /* the SYN-ACK said so */
	ck_assert_uint_eq(grown(&q), 50000);
	stack_tcp_options(h->s, q.k->c, &o);
	ck_assert_uint_eq(tcb_of(q.k->c)->rcvbuf, 8192);
	o.rcvbuf = 30000;
	stack_tcp_options(h->s, q.k->c, &o);
	ck_assert_uint_eq(grown(&q), 30000); /* as it was set */
	o.rcvbuf = 1 << 30;
	stack_tcp_options(h->s, q.k->c, &o);
	ck_assert_uint_eq(tcb_of(q.k->c)->rcvbuf, 50000);
}
END_TEST

/* By itself beyond 1 MB where round trips are long only; for sending as for receiving. */
START_TEST(buffers_of_peers_nearby_stay_below_what_others_may_become)
{
	struct tcp_seg echo = { .opt = TO_TS };
	struct tp near, far;

	tp_accept(&near, h, 80, 4001, TO_SACK_OK | TO_WS);
	echo.tsecr = tcp_tsval(h->s, 7);	/* of this very moment */
	tcb_of(near.k->c)->min_rtt_us = tcp_rtt_echo(h->s, 7, &echo);
	ck_assert_uint_ne(tcb_of(near.k->c)->min_rtt_us, 0);
	ck_assert_uint_eq(grown(&near), 1 << 20);
	tp_accept(&far, h, 80, 4002, TO_SACK_OK | TO_WS);
	tcb_of(far.k->c)->min_rtt_us = 1001;
	ck_assert_uint_eq(grown(&far), NPP_TCP_RMEM.max);
	tcb_of(near.k->c)->cwnd = tcb_of(far.k->c)->cwnd = 1500000;
	tcb_of(near.k->c)->snd_wnd = tcb_of(far.k->c)->snd_wnd = 2000000;
	ck_assert_uint_eq(stack_tcp_tx_useful(h->s, near.k->c), 1 << 20);
	ck_assert_uint_eq(stack_tcp_tx_useful(h->s, far.k->c), 3000000);
}
END_TEST

/* A cookie's peer that only sends, RTT_MS away: bursts of a window. What the buffer has become. */
static uint32_t upload(uint16_t rport, uint32_t rtt_ms)
{
	struct tp q;

	tp_accept(&q, h, 8080, rport, TO_SACK_OK | TO_WS | TO_TS);
	ck_assert_uint_eq(tcb_of(q.k->c)->srtt_us, 0);
	for (int i = 0; i < 60; i++) {
		uint32_t until = tcb_of(q.k->c)->rcv_adv, echo = tcp_tsval(h->s, tcb_of(q.k->c)->ts_off);

		th_advance(h, rtt_ms * 1000);
		while (seq_lt(q.seq, until)) {
			struct tcp_seg g = tp_seg(&q, TCPF_ACK, u32_min(14480, until - q.seq));

			if (i)
				g.tsecr = echo;
			th_input(h, &g, data, 1448);
			q.seq += g.len;
			th_read(h, q.k, back, g.len);
			stack_flush(h->s);
			th_forget(h);
		}
	}
	return tcb_of(q.k->c)->rcvbuf;
}

START_TEST(a_peer_that_only_sends_after_a_cookie_gets_the_window_that_its_distance_needs)
{
	struct tcp_seg syn = { .sport = 5000, .dport = 8080, .flags = TCPF_SYN, .wnd = 5000, .seq = 1 };

	th_listen(h, 8080, 16);
	for (; syn.sport < 5032; syn.sport++)
		th_input(h, &syn, NULL, 0);
	th_forget(h);
	ck_assert_uint_eq(upload(4001, 100), NPP_TCP_RMEM.max);
	ck_assert_uint_eq(upload(4002, 1), 1 << 20);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_COOKIES_OK), 2);
	th_advance(h, 100000000); /* the half-open ones end */
	th_forget(h);
}
END_TEST

START_TEST(the_window_scale_is_enough_for_the_largest_buffer)
{
	struct tcp_options o = { .opt_flags = NPP_OPT_RCVBUF, .rcvbuf = NPP_TCP_MEM_MAX };
	struct tp q;

	h->global->tcp_rmem = (struct npp_tcp_mem){ 4096, 131072, NPP_TCP_MEM_MAX };
	tp_accept(&q, h, 80, 4001, TO_SACK_OK | TO_WS);
	ck_assert_uint_eq(tcb_of(q.k->c)->rcv_ws, 7);
	tcb_of(q.k->c)->min_rtt_us = 50000;
	stack_tcp_options(h->s, q.k->c, &o);
	ck_assert_uint_eq(tcb_of(q.k->c)->rcvbuf, NPP_TCP_MEM_MAX);
	ck_assert_uint_gt(grown(&q), 65535u << 5);
	ck_assert_uint_gt(tcb_of(q.k->c)->rcv_adv - tcb_of(q.k->c)->rcv_nxt, 65535u << 5);
}
END_TEST

START_TEST(data_beyond_the_window_is_cut_off)
{
	struct tcp_seg g = tp_seg(&p, TCPF_ACK | TCPF_FIN, 60000);

	th_input(h, &g, data, 1448);
	th_forget(h);
	g.seq += 60000; /* reaches beyond 65535 + what the first ACK opened */
	g.len = 60000;
	th_input(h, &g, data, 1448);
	g.seq += 60000;
	g.len = 60000;
	th_input(h, &g, data, 1448);
	ck_assert_uint_ge(th_stat(h, NPP_IS_DROP_TCP_DUP), 1); /* beyond its own FIN */
	ck_assert_int_eq(p.k->c->state, TCP_ST_CLOSE_WAIT);
	ck_assert_uint_eq(p.k->c->rx_head, 60000);
}
END_TEST

START_TEST(overlong_data_is_trimmed_at_the_right_edge)
{
	struct tcp_seg g = tp_seg(&p, TCPF_ACK, 40000);

	tcb_of(p.k->c)->rcvbuf = 50000;
	th_input(h, &g, data, 1448);
	g.seq += 40000;
	th_input(h, &g, data, 1448);
	ck_assert_uint_eq(p.k->c->rx_head, 65535);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_WINDOW), 1);
}
END_TEST

START_TEST(empty_segments_out_of_the_window_are_answered_now_and_then)
{
	put_at(0, 100);
	th_advance(h, 50000);
	th_forget(h);
	for (int i = 0; i < 20; i++)
		tp_send_at(&p, TP_ISS + 50, TCPF_ACK, NULL, 0);
	expect_ack(100);
	ck_assert(th_none(h));
	th_advance(h, 200000);
	tp_send_at(&p, TP_ISS + 50, TCPF_ACK, NULL, 0);
	expect_ack(100);
}
END_TEST

/* Records for data out of order are few: who never sends what is missing shall not keep others from theirs. */
START_TEST(a_gap_that_stays_gives_way_to_others)
{
	struct tcp_state *tcp = h->s->tcp;
	struct tp q, live;

	tp_accept(&q, h, 80, 4001, ALL_OPTS);
	tp_accept(&live, h, 80, 4002, ALL_OPTS);
	put_at(1000, 1000);	/* ours for ever ... */
	tp_send_at(&live, live.seq + 1000, TCPF_ACK, data, 1000);
	tcp->block_pool.free = TCP_NONE; /* as if there were these two only */
	th_advance(h, 6000000);
	tp_send_at(&live, live.seq, TCPF_ACK, data, 500);	/* ... but this one gets on */
	tp_send_at(&q, q.seq + 1000, TCPF_ACK, data, 1000);
	ck_assert_uint_eq(tcb_of(q.k->c)->ooo, TCP_NONE);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_RANGES), 1);
	th_advance(h, 6000000);
	for (unsigned i = 0; i < 20 && tcb_of(q.k->c)->ooo == TCP_NONE; i++) /* a few are looked at each time */
		tp_send_at(&q, q.seq + 1000, TCPF_ACK, data, 1000);
	ck_assert_uint_ne(tcb_of(q.k->c)->ooo, TCP_NONE);
	ck_assert_uint_eq(tcb_of(p.k->c)->ooo, TCP_NONE);
	ck_assert_uint_ne(tcb_of(live.k->c)->ooo, TCP_NONE);
	th_check(h);
	th_forget(h);
	put_at(0, 1000);	/* nothing is wrong with the connection that lost it */
	ck_assert_uint_eq(p.k->c->rx_head, 1000);
	put_at(1000, 1000);
	expect_bytes(2000);
}
END_TEST

/* ---- a successor ---------------------------------------------------------------------------------------- */

START_TEST(a_restart_keeps_data_out_of_order)
{
	put_at(1000, 1000);
	th_restart(h);
	put_at(0, 1000);
	expect_bytes(2000);
}
END_TEST

START_TEST(a_record_that_was_being_changed_is_dropped)
{
	struct tp q;

	tp_accept(&q, h, PORT, 4001, ALL_OPTS);
	put_at(1000, 1000);
	tcb_of(p.k->c)->busy = 1;
	th_restart(h);
	stack_flush(h->s);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ECONNABORTED);
	ck_assert_ptr_nonnull(q.k->c);
	ck_assert_uint_eq(h->s->tcp->block_pool.used, 0);
	tp_send(&q, TCPF_ACK, data, 10);
	ck_assert_uint_eq(q.k->c->rx_head, 10);
}
END_TEST

START_TEST(a_tool_sees_every_connection)
{
	struct stack_conn_info info;
	struct tcp_listener l;
	struct tcp_seg g = { .sport = 5000, .dport = PORT, .flags = TCPF_SYN };
	uint32_t cursor = 0, states = 0;
	size_t size = h->s->size;
	uint8_t *copy;

	th_input(h, &g, NULL, 0);
	copy = malloc(size);
	memcpy(copy, h->s, size);
	while (stack_inspect_conn(copy, size, &cursor, &info))
		states |= 1u << info.conn.state;
	ck_assert_uint_eq(states, 1u << TCP_ST_ESTABLISHED | 1u << TCP_ST_SYN_RECEIVED);
	cursor = 0;
	ck_assert(stack_inspect_listener(copy, size, &cursor, &l));
	ck_assert_uint_eq(l.port, PORT);
	ck_assert(!stack_inspect_listener(copy, size, &cursor, &l));
	cursor = 0;
	ck_assert(!stack_inspect_conn(copy, size - 1, &cursor, &info));
	((struct stack *)(void *)copy)->tcp_off += 4; /* no place for such records: a copy of one would fault */
	ck_assert(!stack_inspect_conn(copy, size, &cursor, &info));
	ck_assert(!stack_inspect_listener(copy, size, &cursor, &l));
	free(copy);
}
END_TEST

/* A frame of C's peer, as the port hands it over, in memory of exactly its size. */
static uint8_t *frame_of(const struct tcp_conn *c, uint32_t len)
{
	uint8_t *f = calloc(1, len);
	struct ip4_hdr ip = { .vhl = 0x45, .proto = 6, .src = c->raddr.w[3], .dst = c->laddr.w[3] };
	struct tcp_hdr t = { .sport = htons(c->rport), .dport = htons(c->lport) };

	f[12] = 8;
	memcpy(f + 14, &ip, sizeof ip);
	memcpy(f + 34, &t, sizeof t);
	return f;
}

START_TEST(a_look_ahead_finds_the_connection_and_believes_nothing)
{
	struct tcp_conn *c = p.k->c;
	uint8_t *f[STACK_AHEAD];
	const void *frame[STACK_AHEAD];
	uint32_t len[STACK_AHEAD];

	for (unsigned i = 0; i < STACK_AHEAD; i++)
		frame[i] = f[i] = frame_of(c, len[i] = 54 + i);
	f[3][37]++; /* another port */
	ck_assert_uint_eq(tcp_ahead(h->s, frame, len, STACK_AHEAD), STACK_AHEAD - 1);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = round % STACK_AHEAD;

		free(f[i]);
		len[i] = (uint32_t)(th_random(h) % 90);
		frame[i] = f[i] = malloc(len[i] ? len[i] : 1);
		for (uint32_t k = 0; k < len[i]; k++)
			f[i][k] = (uint8_t)th_random(h);
		if (len[i] > 20 && round & 1)
			memcpy(f[i] + 12, round & 2 ? "\x08\0\x45" : "\x86\xdd\x60", 3);
		tcp_ahead(h->s, frame, len, STACK_AHEAD);
	}
	for (unsigned i = 0; i < STACK_AHEAD; i++)
		free(f[i]);
	th_check(h);
}
END_TEST

START_TEST(what_fires_next_is_fetched_once)
{
	struct tcp_state *tcp = h->s->tcp;
	struct tcb *t = tcb_of(p.k->c);
	uint32_t now;

	tcp_timer_off(h->s, t);
	stack_run_timers(h->s, 64);
	now = (uint32_t)h->s->wheel.tick;
	ck_assert_uint_eq(tcp_ahead_tick(h->s), 0);
	for (unsigned i = 0; i < tcp->soon_each + STACK_AHEAD; i++) /* more than there is room for */
		tcp_soon(tcp, t, now);
	for (unsigned i = 0; i < tcp->soon_each;) {
		unsigned n = tcp_ahead_tick(h->s);

		ck_assert(n > 0 && n <= STACK_AHEAD);
		i += n;
		ck_assert_uint_le(i, tcp->soon_each);
	}
	ck_assert_uint_eq(tcp_ahead_tick(h->s), 0);
	/* A timer that is armed is noted, and another lap of the wheel begins anew. */
	tcp_due(h->s, t, DUE_KEEP, h->s->now_us + 40000);
	ck_assert_uint_eq(tcp->soon_slot[t->timer_due % TCP_SOON_SLOTS].tick, t->timer_due);
	tcp_soon(tcp, t, now + TCP_SOON_SLOTS);
	ck_assert_uint_eq(tcp->soon_slot[now % TCP_SOON_SLOTS].n, 1);
	ck_assert_uint_eq(tcp_ahead_tick(h->s), 0);
	tcp_due(h->s, t, DUE_KEEP, 0);
	th_check(h);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_recv");
	TCase *tc = tcase_create("recv");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, established_rst_may_have_data);
	tcase_add_test(tc, established_rst_must_be_exact);
	tcase_add_test(tc, what_stands_beyond_the_window_acknowledges_nothing);
	tcase_add_test(tc, sack_tells_the_latest_first_then_what_it_told_last);
	tcase_add_test(tc, established_syn_is_challenged);
	tcase_add_test(tc, challenges_are_limited_for_all_connections_together_by_a_number_that_varies);
	tcase_add_test(tc, established_ack_of_what_was_not_sent_is_challenged_and_its_text_dropped);
	tcase_add_test(tc, established_ack_of_what_was_never_sent_is_challenged_until_more_than_a_window_was);
	tcase_add_test(tc, established_syn_without_the_agreed_timestamps_is_challenged);
	tcase_add_test(tc, established_segment_without_ack_is_dropped);
	tcase_add_test(tc, a_peer_whose_syn_says_0_may_begin_with_any_timestamp);
	tcase_add_test(tc, paws_old_timestamp_is_dropped_with_an_ack);
	tcase_add_test(tc, a_delayed_ack_echoes_the_timestamp_of_what_came_first);
	tcase_add_test(tc, paws_answers_empty_segments_and_syns_rarely_and_without_a_timestamp_never);
	tcase_add_test(tc, paws_forgets_after_24_days);
	tcase_add_test(tc, data_in_order_is_delivered);
	tcase_add_test(tc, a_gso_frame_is_one_segment_with_one_ack);
	tcase_add_test(tc, one_ack_per_batch);
	tcase_add_test(tc, a_small_segment_waits_for_its_ack_then_later_ones_do_not);
	tcase_add_test(tc, after_pauses_no_ack_waits_where_nobody_answers);
	tcase_add_test(tc, an_answer_carries_the_ack);
	tcase_add_test(tc, a_second_full_segment_is_acknowledged_at_once);
	tcase_add_test(tc, data_out_of_order_waits_in_the_ring);
	tcase_add_test(tc, a_segment_may_swallow_several_intervals);
	tcase_add_test(tc, what_fills_a_part_of_a_gap_is_acknowledged_at_once);
	tcase_add_test(tc, too_many_gaps_are_dropped_but_nothing_breaks);
	tcase_add_test(tc, duplicates_are_reported_by_dsack);
	tcase_add_test(tc, what_a_segment_that_fills_a_gap_repeats_is_reported);
	tcase_add_test(tc, a_fin_behind_a_gap_is_forgotten_if_data_in_sequence_goes_beyond_it);
	tcase_add_test(tc, of_two_fins_that_in_sequence_counts);
	tcase_add_test(tc, without_sack_every_segment_out_of_order_is_answered);
	tcase_add_test(tc, urgent_and_ecn_bits_change_nothing);
	tcase_add_test(tc, without_ring_memory_data_is_dropped_and_comes_again);
	tcase_add_test(tc, what_fits_into_a_small_ring_is_kept);
	tcase_add_test(tc, a_ring_that_was_taken_back_loses_only_what_was_out_of_order);
	tcase_add_test(tc, the_window_closes_is_probed_and_opens);
	tcase_add_test(tc, a_window_half_open_is_not_worth_an_update_of_its_own);
	tcase_add_test(tc, a_small_buffer_opens_by_half);
	tcase_add_test(tc, the_window_never_shrinks);
	tcase_add_test(tc, the_buffer_grows_while_the_program_keeps_up);
	tcase_add_test(tc, buffers_keep_to_the_bounds_of_the_npp);
	tcase_add_test(tc, buffers_of_peers_nearby_stay_below_what_others_may_become);
	tcase_add_test(tc, a_peer_that_only_sends_after_a_cookie_gets_the_window_that_its_distance_needs);
	tcase_add_test(tc, the_window_scale_is_enough_for_the_largest_buffer);
	tcase_add_test(tc, data_beyond_the_window_is_cut_off);
	tcase_add_test(tc, overlong_data_is_trimmed_at_the_right_edge);
	tcase_add_test(tc, empty_segments_out_of_the_window_are_answered_now_and_then);
	tcase_add_test(tc, a_gap_that_stays_gives_way_to_others);
	tcase_add_test(tc, a_restart_keeps_data_out_of_order);
	tcase_add_test(tc, a_record_that_was_being_changed_is_dropped);
	tcase_add_test(tc, a_tool_sees_every_connection);
	tcase_add_test(tc, a_look_ahead_finds_the_connection_and_believes_nothing);
	tcase_add_test(tc, what_fires_next_is_fetched_once);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
