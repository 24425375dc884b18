/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_edge.c - corners of TCP: long lives, numbers that wrap, what comes together seldom
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/stack/tcp_flow.h"
#include "tests/unit/suite.h"

#define ALL_OPTS (TO_TS | TO_WS | TO_SACK_OK)
#define PORT 80
#define DAY_US 86400000000ull

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

static void setup_closed(void)
{
	h = th_new(64);
	th_listen(h, PORT, 8);
}
static void teardown_closed(void) { th_free(h); }

static struct th_seg *expect(uint8_t flags, uint32_t seq)
{
	struct th_seg *o = th_next(h);

	ck_assert_uint_eq(o->g.flags, flags);
	ck_assert_uint_eq(o->g.seq, seq);
	return o;
}

static void in_flight(unsigned segs)
{
	f.t->cwnd = segs * f.t->mss;
	flow_write(&f, segs);
	th_forget(h);
	flow_pass(&f, FLOW_RTT_US);
}

/* ---- long lives ------------------------------------------------------------------------- */

/* As if BYTES more had been sent and acknowledged. */
static void after(uint32_t bytes)
{
	struct tcb *t = f.t;
	uint32_t *at[] = { &t->snd_una, &t->snd_nxt, &t->snd_sml, &t->recover, &t->fack, &t->rtt_seq, &t->snd_wl2,
			   &f.first, &p->ack, &t->c.tx_tail, &t->c.tx_head, &p->k->tx_head, &p->k->tx_tail };

	for (unsigned i = 0; i < sizeof at / sizeof at[0]; i++)
		*at[i] += bytes;
	t->far = 1;
	th_check(h);
}

START_TEST(d_sacks_count_after_two_gigabytes)
{
	after(0x90000000u);
	in_flight(10);
	flow_write(&f, 10);
	FLOW_SACK(&f, 0, { 2, 10 });
	th_forget(h);
	flow_pass(&f, FLOW_RTT_US);
	FLOW_SACK(&f, 10, { 0, 1 });
	FLOW_SACK(&f, 10, { 1, 2 });
	ck_assert_uint_eq(f.t->n_dsack, 2);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_UNDO), 1);
}
END_TEST

START_TEST(d_sacks_of_what_was_never_sent_or_long_ago_do_not_count)
{
	after(0x90000000u);
	in_flight(4);
	FLOW_SACK(&f, 0, { 4, 5 });
	f.first -= 1u << 30;
	p->ack = f.t->snd_una;
	{
		struct tcp_seg g = tp_seg(p, TCPF_ACK, 0);

		g.n_sack = 1;
		g.sack[0] = (struct tcp_range){ f.first, f.first + 100 };
		th_input(h, &g, NULL, 0);
	}
	ck_assert_uint_eq(f.t->n_dsack, 0);
}
END_TEST

/* RFC 2883, 4.2: inside the second block, it tells of what has come twice behind a hole. */
START_TEST(a_d_sack_may_lie_above_the_ack)
{
	in_flight(10);
	FLOW_SACK(&f, 0, { 4, 8 });
	ck_assert_uint_eq(f.t->n_dsack, 0);
	FLOW_SACK(&f, 0, { 5, 6 }, { 4, 8 });
	ck_assert_uint_eq(f.t->n_dsack, 1);
	FLOW_SACK(&f, 0, { 2, 3 }, { 4, 8 });
	ck_assert_uint_eq(f.t->n_dsack, 1);
}
END_TEST

START_TEST(d_sacks_widen_again_after_two_gigabytes)
{
	in_flight(4);
	FLOW_SACK(&f, 4, { 0, 1 });
	ck_assert_uint_eq(f.t->reo_mult, 2);
	after(0x90000000u);
	in_flight(4);
	FLOW_SACK(&f, 8, { 4, 5 });
	ck_assert_uint_eq(f.t->reo_mult, 3);
}
END_TEST

START_TEST(slow_start_looks_at_the_delay_after_two_gigabytes)
{
	in_flight(4);
	flow_ack(&f, 4);
	ck_assert(f.t->ccr.hs.on);
	after(0x90000000u);
	f.first += 4 * f.t->mss;
	in_flight(4);
	f.t->flags |= TF_CWND_LIMITED;
	flow_ack(&f, 4);
	ck_assert(!seq_gt(f.t->ccr.hs.end, f.t->snd_nxt));
}
END_TEST

START_TEST(a_peer_whose_timestamps_have_wrapped_is_heard_after_any_idle_time)
{
	for (unsigned days = 20; days <= 60; days += 5) {
		/* in time for its timestamp to be compared, or so late that it says nothing: a clock of 2 ms */
		uint32_t ahead = (uint32_t)(days * (DAY_US / 2000));

		h->now_us += days * DAY_US;
		th_advance(h, 1000);
		th_forget(h);
		p->tsval += ahead;
		tp_send(p, TCPF_ACK, text, 10);
		ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_PAWS), 0);
		th_read(h, p->k, (char[16]){ 0 }, 10);
		stack_flush(h->s);
	}
	ck_assert_uint_eq(p->k->c->rx_head, 90);
}
END_TEST

START_TEST(an_old_timestamp_is_refused_within_24_days)
{
	h->now_us += 23 * DAY_US;
	th_advance(h, 1000);
	th_forget(h);
	p->tsval -= 1;
	tp_send_at(p, p->seq, TCPF_ACK, text, 10);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_PAWS), 1);
	h->now_us += 2 * DAY_US;
	th_advance(h, 1000);
	tp_send(p, TCPF_ACK, text, 10);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_PAWS), 1);
	ck_assert_uint_eq(p->k->c->rx_head, 10);
}
END_TEST

/* ---- what is forged ------------------------------------------------------------------------ */

START_TEST(a_timestamp_with_an_impossible_ack_is_not_remembered)
{
	struct tcp_seg g = tp_seg(p, TCPF_ACK, 10);

	g.tsval += 1000000000;
	g.ack += 100000;
	th_input(h, &g, text, 0);
	expect(TCPF_ACK, p->ack); /* a challenge */
	ck_assert_uint_eq(f.t->ts_recent, p->tsval);
	tp_send(p, TCPF_ACK, text, 10);
	ck_assert_uint_eq(p->k->c->rx_head, 10);
}
END_TEST

START_TEST(a_recovery_in_which_a_router_marks_is_not_undone)
{
	uint32_t old;

	f.t->flags |= TF_ECN;
	in_flight(10);
	old = p->tsecr;
	flow_pass(&f, 5000);
	FLOW_SACK(&f, 0, { 1, 10 });
	flow_expect(&f, 0, 1);
	flow_pass(&f, 5000);
	p->tsecr = old;
	f.flags = TCPF_ECE;
	flow_ack(&f, 10);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_UNDO), 0);
	ck_assert_uint_lt(f.t->ssthresh, TCP_CWND_MAX);
}
END_TEST

/* ---- duplicate ACKs without SACK ---------------------------------------------------------------- */

START_TEST(duplicate_acks_of_what_a_timeout_sent_again_are_no_new_loss)
{
	uint32_t ssthresh;

	f.t->cwnd = 10 * f.t->mss;
	flow_write(&f, 10);
	while (!flow_stat(&f, NPP_IS_TCP_RTO))
		flow_pass(&f, 10000);
	th_forget(h);
	p->opt = 0; /* no echo that would undo it */
	f.t->flags &= ~TF_TS;
	flow_ack(&f, 10);
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
	ssthresh = f.t->ssthresh;
	flow_write(&f, 3);
	for (unsigned i = 0; i < 5; i++)
		flow_ack(&f, 10);
	ck_assert_uint_eq(f.t->recovery, TCP_OPEN);
	ck_assert_uint_eq(f.t->ssthresh, ssthresh);
	flow_ack(&f, 11); /* beyond it they count again */
	flow_write(&f, 4);
	for (unsigned i = 0; i < 3; i++)
		flow_ack(&f, 11);
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
}
END_TEST

START_TEST(the_first_loss_of_a_connection_is_seen_without_sack)
{
	in_flight(10);
	for (unsigned i = 0; i < 3; i++)
		flow_ack(&f, 0);
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_FAST_RETRANS), 1);
}
END_TEST

/* ---- windows --------------------------------------------------------------------------------------- */

START_TEST(a_window_that_opens_a_little_after_long_is_used_soon)
{
	char buf[5000] = { 0 };

	p->wnd = 0;
	tp_send(p, TCPF_ACK, NULL, 0);
	th_write(h, p->k, buf, sizeof buf);
	stack_flush(h->s);
	for (int i = 0; i < 3000; i++) { /* five minutes of probes */
		th_advance(h, 100000);
		while (!th_none(h)) {
			(void)th_next(h);
			tp_send(p, TCPF_ACK, NULL, 0);
		}
		th_forget(h);
	}
	ck_assert_uint_ge(f.t->probe_shift, 6);
	p->wnd = 300 >> f.t->snd_ws;
	tp_send(p, TCPF_ACK, NULL, 0);
	ck_assert(th_none(h)); /* a silly window */
	th_advance(h, 1000000);
	ck_assert_uint_eq(th_next(h)->g.len, (300u >> f.t->snd_ws) << f.t->snd_ws);
}
END_TEST

START_TEST(a_segment_may_overlap_the_window_on_both_sides)
{
	static char buf[200000];
	uint32_t left, start = p->seq, all;

	while ((left = f.t->rcv_adv - f.t->rcv_nxt) > 50)
		tp_send(p, TCPF_ACK, buf, left - 50 < 1000 ? left - 50 : 1000);
	th_forget(h);
	ck_assert_uint_eq(left, 50);
	all = p->k->c->rx_head + 50;
	memset(buf, 'x', 200);
	tp_send_at(p, p->seq - 100, TCPF_ACK | TCPF_FIN, buf, 200); /* 50 fit, and the FIN does not */
	ck_assert_uint_eq(p->k->c->rx_head, all);
	ck_assert_uint_eq(f.t->rcv_nxt, start + all);
	ck_assert(!(f.t->flags & TF_RCV_FIN));
	ck_assert_int_eq(p->k->c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(th_next(h)->g.wnd, 0);
}
END_TEST

/* ---- FIN ---------------------------------------------------------------------------------------------- */

START_TEST(a_fin_ends_the_stream_whatever_came_from_beyond_it)
{
	tp_send_at(p, p->seq + 12, TCPF_ACK, text, 5);
	tp_send_at(p, p->seq + 20, TCPF_ACK, text, 5);
	tp_send_at(p, p->seq + 5, TCPF_ACK, text, 2);
	tp_send_at(p, p->seq + 9, TCPF_ACK, text, 3); /* 9 to 17, 20 to 25 */
	p->seq += 0;
	tp_send_at(p, p->seq, TCPF_ACK | TCPF_FIN, text, 10);
	ck_assert_int_eq(p->k->c->state, TCP_ST_CLOSE_WAIT);
	ck_assert_uint_eq(p->k->c->rx_head, 10);
	ck_assert(p->k->events & TCP_UP_FIN);
	ck_assert_uint_eq(f.t->ooo, TCP_NONE);
}
END_TEST

START_TEST(nothing_comes_from_beyond_a_fin_that_is_still_to_come)
{
	tp_send_at(p, p->seq + 5, TCPF_ACK | TCPF_FIN, text + 5, 5);
	tp_send_at(p, p->seq + 10, TCPF_ACK, text, 5);
	tp_send_at(p, p->seq + 8, TCPF_ACK, text, 5);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_STATE), 2);
	tp_send_at(p, p->seq, TCPF_ACK, text, 5);
	ck_assert_int_eq(p->k->c->state, TCP_ST_CLOSE_WAIT);
	ck_assert_uint_eq(p->k->c->rx_head, 10);
}
END_TEST

/* ---- opening ------------------------------------------------------------------------------------------- */

static struct tcp_conn *open_to(uint16_t rport)
{
	int err;
	struct tcp_conn *c = stack_connect(h->s, &h->addr, 0, &h->peer, rport, NULL, &err);

	ck_assert_ptr_nonnull(c);
	h->sock[0] = (struct th_sock){ .used = true, .c = c };
	c->user_sock = 1;
	stack_flush(h->s);
	return c;
}

static struct tcp_seg to_conn(const struct tcp_conn *c, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct tcp_seg){ .sport = c->rport, .dport = c->lport, .seq = seq, .ack = ack, .wnd = 65535, .flags = flags };
}

START_TEST(what_the_syn_ack_carries_beside_is_taken)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_SYN | TCPF_ACK | TCPF_FIN, TP_ISS, iss + 1);

	g.len = 10;
	th_input(h, &g, text, 0);
	ck_assert_int_eq(c->state, TCP_ST_CLOSE_WAIT);
	ck_assert_uint_eq(c->rx_head, 10);
	ck_assert_uint_eq(expect(TCPF_ACK, iss + 1)->g.ack, TP_ISS + 12);
}
END_TEST

START_TEST(a_lost_syn_counts_when_both_have_opened)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_SYN, TP_ISS, 0);

	th_advance(h, 1100000);
	expect(TCPF_SYN, iss);
	th_input(h, &g, NULL, 0);
	expect(TCPF_SYN | TCPF_ACK, iss);
	g = to_conn(c, TCPF_ACK, TP_ISS + 1, iss + 1);
	th_input(h, &g, NULL, 0);
	ck_assert_int_eq(c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(tcb_of(c)->rto_us, TCP_RTO_LOST_SYN_US); /* RFC 6298, 5.7 */
}
END_TEST

START_TEST(an_answer_of_the_first_syn_is_an_rtt_when_both_have_opened)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_SYN, TP_ISS, 0);

	th_input(h, &g, NULL, 0);
	expect(TCPF_SYN | TCPF_ACK, iss);
	th_advance(h, 30000);
	g = to_conn(c, TCPF_ACK, TP_ISS + 1, iss + 1);
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(tcb_of(c)->srtt_us, 30000);
}
END_TEST

static struct tcb *after_lost_syn_acks(unsigned n)
{
	struct tcp_seg g = { .sport = 4000, .dport = PORT, .seq = TP_ISS, .wnd = 65535, .flags = TCPF_SYN };
	uint32_t iss;

	th_input(h, &g, NULL, 0);
	iss = th_next(h)->g.seq;
	for (unsigned i = 0; i < n; i++) {
		th_advance(h, (1000000ull << i) + 10000);
		expect(TCPF_SYN | TCPF_ACK, iss);
	}
	g.flags = TCPF_ACK;
	g.seq++;
	g.ack = iss + 1;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(h->n_accepted, 1);
	return tcb_of(h->sock[0].c);
}

START_TEST(one_lost_syn_ack_leaves_the_initial_window)
{
	struct tcb *t = after_lost_syn_acks(1);

	ck_assert_uint_eq(t->cwnd, tcp_initial_window(t));
	ck_assert_uint_eq(t->rto_us, TCP_RTO_LOST_SYN_US);
}
END_TEST

START_TEST(more_than_one_lost_syn_ack_leave_one_segment)
{
	struct tcb *t = after_lost_syn_acks(2);

	ck_assert_uint_eq(t->cwnd, t->mss); /* RFC 6928, 2 */
}
END_TEST

START_TEST(a_cookie_never_promises_more_than_the_peers_mss)
{
	struct tcp_seg g = { .sport = 4000, .dport = PORT, .seq = TP_ISS, .wnd = 65535, .flags = TCPF_SYN,
			     .opt = TO_MSS };

	for (unsigned mss = TCP_MSS_MIN; mss < 9100; mss += 7) {
		struct pkt pkt = { .dst = h->addr, .src = h->peer };
		uint16_t m = (uint16_t)mss, back;

		g.pkt = &pkt;
		g.seq = TP_ISS;
		g.ack = tcp_cookie_make(h->s, &g, &m) + 1;
		ck_assert_uint_le(m, mss);
		g.seq++;
		ck_assert(tcp_cookie_check(h->s, &g, &back));
		ck_assert_uint_eq(back, m);
	}
}
END_TEST

START_TEST(a_cookie_counts_for_two_periods_whenever_it_was_made)
{
	static const unsigned period[] = { 1, 2, 31, 32, 33, 63, 64, 1000 };
	struct pkt pkt = { .dst = h->addr, .src = h->peer };
	struct tcp_seg g = { .sport = 4000, .dport = PORT, .seq = TP_ISS, .flags = TCPF_SYN, .pkt = &pkt };
	uint16_t mss = 1460, back;

	for (unsigned i = 0; i < sizeof period / sizeof period[0]; i++) {
		uint64_t change = period[i] * 64000000ull;

		stack_set_now(h->s, change - 1); /* the last moment of a period */
		g.seq = TP_ISS;
		g.ack = tcp_cookie_make(h->s, &g, &mss) + 1;
		g.seq++;
		stack_set_now(h->s, change);
		ck_assert(tcp_cookie_check(h->s, &g, &back));
		stack_set_now(h->s, change + 63999999);
		ck_assert(tcp_cookie_check(h->s, &g, &back));
		for (unsigned later = 1; later < 70; later++) { /* also when the counter of five bits comes round */
			stack_set_now(h->s, change + later * 64000000ull);
			ck_assert(!tcp_cookie_check(h->s, &g, &back));
		}
	}
	stack_set_now(h->s, h->now_us);
}
END_TEST

/* ---- the path -------------------------------------------------------------------------------------------- */

START_TEST(the_mss_option_says_what_the_link_takes_whatever_the_path_does)
{
	struct tcp_seg g = { .sport = 4000, .dport = PORT, .seq = TP_ISS, .wnd = 65535, .flags = TCPF_SYN };

	h->link_mtu = 1500;
	h->mtu = 1280;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(th_next(h)->g.mss, 1460);
	(void)open_to(443);
	ck_assert_uint_eq(th_next(h)->g.mss, 1460);
}
END_TEST

START_TEST(below_the_least_path_mtu_routers_may_fragment)
{
	struct npp_flow_key key = { .src = h->peer, .dst = h->addr, .sport = htons(4000), .dport = htons(80), .proto = 6 };

	f.t->cwnd = 10 * f.t->mss;
	flow_write(&f, 4);
	ck_assert(h->out_df);
	th_forget(h);
	tcp_icmp_error(h->s, &key, f.first, EMSGSIZE, 296);
	stack_flush(h->s);
	ck_assert_uint_eq(f.t->c.path.mtu, IP4_MIN_PMTU);
	while (!th_none(h)) {
		const struct th_seg *o = th_next(h);

		ck_assert_uint_le(o->g.len, IP4_MIN_PMTU - 40);
		ck_assert_uint_eq(o->gso_size, 0);
	}
	ck_assert(!h->out_df);
}
END_TEST

/* A router's message says nothing of congestion, but takes nothing back either. */
START_TEST(a_smaller_path_in_a_recovery_leaves_the_window_reduced)
{
	struct npp_flow_key key = { .src = h->peer, .dst = h->addr, .sport = htons(4000), .dport = htons(80), .proto = 6 };

	in_flight(20);
	FLOW_SACK(&f, 0, { 1, 5 });
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
	ck_assert_uint_gt(f.t->cwnd, f.t->ssthresh); /* rate reduction has only begun */
	tcp_icmp_error(h->s, &key, f.first, EMSGSIZE, 1300);
	ck_assert_uint_eq(f.t->recovery, TCP_LOSS);
	ck_assert_uint_le(f.t->cwnd, f.t->ssthresh);
	ck_assert_uint_lt(f.t->ssthresh, 20 * FLOW_MSS);
}
END_TEST

/* Another connection to the peer has heard it before: what had left by then is sent again all the same, once. */
START_TEST(what_was_too_large_is_sent_again_whoever_lowered_the_path)
{
	struct npp_flow_key key = { .src = h->peer, .dst = h->addr, .sport = htons(4000), .dport = htons(80), .proto = 6 };
	uint32_t cwnd = f.t->cwnd = 20 * f.t->mss, again = 0;

	flow_write(&f, 6);
	flow_pass(&f, 1000);
	ip_pmtu(h->s, &f.t->c.path, 1300);
	flow_write(&f, 1);	/* by the new size */
	ck_assert_uint_eq(f.t->mss, 1300 - 52);
	th_forget(h);
	tcp_icmp_error(h->s, &key, f.first + FLOW_MSS, EMSGSIZE, 1300);
	stack_flush(h->s);
	while (!th_none(h)) {
		const struct th_seg *o = th_next(h);

		ck_assert_uint_eq(o->g.seq, f.first + FLOW_MSS + again);
		ck_assert_uint_eq(o->gso_size ? o->gso_size : o->g.len, 1300 - 52);
		again += o->g.len;
	}
	ck_assert_uint_ge(again, 4 * FLOW_MSS);
	ck_assert_uint_le(again, 5 * FLOW_MSS);
	ck_assert_uint_eq(f.t->cwnd, cwnd);
	tcp_icmp_error(h->s, &key, f.first + 2 * FLOW_MSS, EMSGSIZE, 1300);	/* for each of them */
	stack_flush(h->s);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_ICMP), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_edge");
	TCase *tc = tcase_create("established"), *no_sack = tcase_create("no_sack"), *bare = tcase_create("bare"),
	      *closed = tcase_create("opening");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, d_sacks_count_after_two_gigabytes);
	tcase_add_test(tc, d_sacks_of_what_was_never_sent_or_long_ago_do_not_count);
	tcase_add_test(tc, d_sacks_widen_again_after_two_gigabytes);
	tcase_add_test(tc, a_d_sack_may_lie_above_the_ack);
	tcase_add_test(tc, slow_start_looks_at_the_delay_after_two_gigabytes);
	tcase_add_test(tc, a_peer_whose_timestamps_have_wrapped_is_heard_after_any_idle_time);
	tcase_add_test(tc, an_old_timestamp_is_refused_within_24_days);
	tcase_add_test(tc, a_timestamp_with_an_impossible_ack_is_not_remembered);
	tcase_add_test(tc, a_recovery_in_which_a_router_marks_is_not_undone);
	tcase_add_test(tc, a_window_that_opens_a_little_after_long_is_used_soon);
	tcase_add_test(tc, a_segment_may_overlap_the_window_on_both_sides);
	tcase_add_test(tc, a_fin_ends_the_stream_whatever_came_from_beyond_it);
	tcase_add_test(tc, nothing_comes_from_beyond_a_fin_that_is_still_to_come);
	tcase_add_test(tc, below_the_least_path_mtu_routers_may_fragment);
	tcase_add_test(tc, a_smaller_path_in_a_recovery_leaves_the_window_reduced);
	tcase_add_test(tc, what_was_too_large_is_sent_again_whoever_lowered_the_path);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(no_sack, setup_no_sack, teardown);
	tcase_add_test(no_sack, duplicate_acks_of_what_a_timeout_sent_again_are_no_new_loss);
	suite_add_tcase(suite, no_sack);
	tcase_add_checked_fixture(bare, setup_bare, teardown);
	tcase_add_test(bare, the_first_loss_of_a_connection_is_seen_without_sack);
	suite_add_tcase(suite, bare);
	tcase_add_checked_fixture(closed, setup_closed, teardown_closed);
	tcase_add_test(closed, what_the_syn_ack_carries_beside_is_taken);
	tcase_add_test(closed, a_lost_syn_counts_when_both_have_opened);
	tcase_add_test(closed, an_answer_of_the_first_syn_is_an_rtt_when_both_have_opened);
	tcase_add_test(closed, one_lost_syn_ack_leaves_the_initial_window);
	tcase_add_test(closed, more_than_one_lost_syn_ack_leave_one_segment);
	tcase_add_test(closed, a_cookie_never_promises_more_than_the_peers_mss);
	tcase_add_test(closed, a_cookie_counts_for_two_periods_whenever_it_was_made);
	tcase_add_test(closed, the_mss_option_says_what_the_link_takes_whatever_the_path_does);
	suite_add_tcase(suite, closed);
	return npp_suite_run(suite);
}
