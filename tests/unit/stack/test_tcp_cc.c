/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_cc.c - ECN, and the algorithms of congestion control
 */
#include "config.h"

#include <math.h>

#include "tests/unit/stack/tcp_flow.h"
#include "tests/unit/suite.h"

#define ALL_OPTS (TO_TS | TO_WS | TO_SACK_OK)
#define SETUP (TCPF_ECE | TCPF_CWR)
#define ECT0 2
#define CE 3

static struct flow f;

static void setup(void)
{
	flow_open(&f, ALL_OPTS);
}

static void setup_ecn(void)
{
	setup();
	f.t->flags |= TF_ECN;
}

static void teardown(void)
{
	flow_close(&f);
}

/* ---- agreeing on ECN (RFC 3168, 6.1.1) ------------------------------------------------------ */

static struct tcp_seg syn_from(struct tp *p, struct th *h, uint16_t rport, uint8_t flags)
{
	*p = (struct tp){ .h = h, .lport = 80, .rport = rport, .seq = TP_ISS, .wnd = 65535, .tsval = 1 };
	p->opt = TO_TS;
	return tp_seg(p, flags, 0);
}

static const struct { uint8_t policy, syn, synack; bool ecn; } passive[] = {
	{ NPP_ECN_PASSIVE, SETUP, TCPF_ECE, true }, { NPP_ECN_PASSIVE, 0, 0, false },
	{ NPP_ECN_PASSIVE, TCPF_ECE, 0, false },    { NPP_ECN_PASSIVE, TCPF_CWR, 0, false },
	{ NPP_ECN_OFF, SETUP, 0, false },	    { NPP_ECN_ON, SETUP, TCPF_ECE, true },
	{ NPP_ECN_ON, 0, 0, false },
};

static void answer_is(struct th *h, unsigned i, bool by_cookie)
{
	struct tp p;
	struct tcp_seg g = syn_from(&p, h, 5000, TCPF_SYN | passive[i].syn);
	struct th_seg *o;

	h->global->tcp_ecn = passive[i].policy;
	if (by_cookie) /* the SYN cache is full */
		h->s->tcp->syn_pool.free = TCP_NONE;
	th_input(h, &g, NULL, 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_SYN | TCPF_ACK | passive[i].synack);
	ck_assert_uint_eq(o->tos & 3, 0);
	p.seq++;
	p.ack = o->g.seq + 1;
	p.tsecr = o->g.tsval;
	tp_send(&p, TCPF_ACK, NULL, 0);
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_int_eq((h->s->tcp->conns[h->sock[0].c->index].flags & TF_ECN) != 0, passive[i].ecn);
}

START_TEST(a_peer_that_asks_is_answered_by_policy)
{
	struct th *h = th_new(64);

	th_listen(h, 80, 8);
	answer_is(h, (unsigned)_i, false);
	th_free(h);
}
END_TEST

START_TEST(a_cookie_remembers_ecn)
{
	struct th *h = th_new(64);

	th_listen(h, 80, 8);
	answer_is(h, (unsigned)_i, true);
	th_free(h);
}
END_TEST

static const struct { uint8_t policy, cc, syn, synack; bool ecn; } active[] = {
	{ NPP_ECN_PASSIVE, 0, 0, 0, false },		{ NPP_ECN_PASSIVE, 0, 0, TCPF_ECE, false },
	{ NPP_ECN_ON, 0, SETUP, TCPF_ECE, true },	{ NPP_ECN_ON, 0, SETUP, 0, false },
	{ NPP_ECN_ON, 0, SETUP, SETUP, false },		{ NPP_ECN_OFF, NPP_CC_DCTCP, 0, TCPF_ECE, false },
	{ NPP_ECN_PASSIVE, NPP_CC_DCTCP, SETUP, TCPF_ECE, true },
};

/* The peer's SYN-ACK for the SYN in O. */
static void answer(struct th *h, struct tcp_conn *c, const struct th_seg *o, uint8_t flags)
{
	struct tcp_seg g = { .sport = 9, .dport = c->lport, .seq = TP_ISS, .ack = o->g.seq + 1, .wnd = 65535,
			     .flags = TCPF_SYN | TCPF_ACK | flags };

	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
}

static struct tcp_conn *connect_with(struct th *h, uint8_t cc)
{
	struct tcp_options opts = { .cc = cc };
	int err;
	struct tcp_conn *c = stack_connect(h->s, &h->addr, 0, &h->peer, 9, &opts, &err);

	ck_assert_ptr_nonnull(c);
	h->sock[0] = (struct th_sock){ .used = true, .c = c };
	c->user_sock = 1;
	stack_flush(h->s);
	return c;
}

START_TEST(our_syn_asks_by_policy_and_congestion_control)
{
	struct th *h = th_new(64);
	struct tcp_conn *c;
	struct th_seg *o;

	h->global->tcp_ecn = active[_i].policy;
	c = connect_with(h, active[_i].cc);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_SYN | active[_i].syn);
	ck_assert_uint_eq(o->tos & 3, 0);
	answer(h, c, o, active[_i].synack);
	ck_assert_int_eq((tcb_of(c)->flags & TF_ECN) != 0, active[_i].ecn);
	th_free(h);
}
END_TEST

START_TEST(the_second_syn_does_not_ask)
{
	struct th *h = th_new(64);
	struct tcp_conn *c;
	struct th_seg *o;

	h->global->tcp_ecn = NPP_ECN_ON;
	c = connect_with(h, 0);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN | SETUP);
	th_advance(h, TCP_RTO_INIT_US + 5000);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_SYN);
	answer(h, c, o, TCPF_ECE);
	ck_assert(!(tcb_of(c)->flags & TF_ECN));
	th_free(h);
}
END_TEST

/* ---- ECN, the sender's side (6.1.2) ------------------------------------------------------------ */

START_TEST(only_new_data_is_ecn_capable)
{
	struct th_seg *o;

	f.t->cwnd = 10 * f.t->mss;
	flow_write(&f, 5);
	o = th_next(f.h);
	ck_assert_uint_eq(o->tos, ECT0);
	flow_pass(&f, FLOW_RTT_US);
	FLOW_SACK(&f, 0, { 1, 5 });
	o = th_next(f.h);
	ck_assert_uint_eq(o->g.seq, f.first);
	ck_assert_uint_eq(o->tos, 0); /* 6.1.5 */
	tp_send(&f.p, TCPF_ACK | TCPF_PSH, f.data, 10);
	flow_pass(&f, 50000);
	while (!th_none(f.h)) {
		o = th_next(f.h);
		if (!o->g.len)
			ck_assert_uint_eq(o->tos, 0); /* 6.1.4 */
	}
}
END_TEST

START_TEST(a_mark_reduces_the_window_once_per_round_trip)
{
	struct th_seg *o;
	uint32_t once;

	f.t->cwnd = 20 * f.t->mss;
	flow_write(&f, 20);
	th_forget(f.h);
	flow_pass(&f, FLOW_RTT_US);
	f.flags = TCPF_ECE;
	flow_ack(&f, 2);
	once = f.t->cwnd;
	ck_assert_uint_eq(once, 14 * f.t->mss);
	ck_assert_uint_eq(f.t->delivered_ce, 2);
	ck_assert_uint_eq(f.t->ssthresh, once);
	flow_ack(&f, 4);
	flow_write(&f, 20);
	flow_ack(&f, 16);
	ck_assert_uint_eq(f.t->cwnd, once);
	o = th_next(f.h); /* the first new data tells */
	ck_assert_uint_eq(o->g.seq, f.first + 20 * f.t->mss);
	ck_assert_uint_eq(o->g.flags & TCPF_CWR, TCPF_CWR);
	flow_ack(&f, 20);
	while (!th_none(f.h))
		ck_assert_uint_eq(th_next(f.h)->g.flags & TCPF_CWR, 0);
	flow_pass(&f, FLOW_RTT_US);
	flow_ack(&f, 21); /* still, a round trip later */
	ck_assert_uint_lt(f.t->cwnd, once);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_ECN_REDUCED), 2);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_FAST_RETRANS), 0);
}
END_TEST

START_TEST(a_mark_and_a_loss_in_one_window_are_one_sign)
{
	uint32_t once;

	f.t->cwnd = 20 * f.t->mss;
	flow_write(&f, 20);
	flow_pass(&f, FLOW_RTT_US);
	f.flags = TCPF_ECE;
	flow_ack(&f, 2);
	once = f.t->ssthresh;
	FLOW_SACK(&f, 2, { 3, 8 });
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
	ck_assert_uint_eq(f.t->ssthresh, once);
}
END_TEST

START_TEST(a_mark_in_a_recovery_reduces_nothing_further)
{
	uint32_t once;

	f.t->cwnd = 20 * f.t->mss;
	flow_write(&f, 20);
	flow_pass(&f, FLOW_RTT_US);
	FLOW_SACK(&f, 0, { 1, 5 });
	ck_assert_uint_eq(f.t->recovery, TCP_RECOVERY);
	once = f.t->ssthresh;
	f.flags = TCPF_ECE;
	FLOW_SACK(&f, 0, { 1, 8 });
	ck_assert_uint_eq(f.t->ssthresh, once);
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_ECN_REDUCED), 0);
}
END_TEST

START_TEST(a_mark_when_nothing_is_in_flight_reduces_nothing)
{
	f.t->cwnd = 20 * f.t->mss;
	flow_write(&f, 4);
	flow_pass(&f, FLOW_RTT_US);
	f.flags = TCPF_ECE;
	flow_ack(&f, 4);
	ck_assert_uint_eq(f.t->ssthresh, TCP_CWND_MAX);
}
END_TEST

/* As after a recovery: what counts duplicate ACKs must not find it ahead two gigabytes later. */
START_TEST(a_round_of_marks_leaves_no_mark_ahead)
{
	f.t->cwnd = 20 * f.t->mss;
	flow_write(&f, 10);
	flow_pass(&f, FLOW_RTT_US);
	f.flags = TCPF_ECE;
	flow_ack(&f, 5);
	ck_assert(f.t->flags & TF_ECN_ROUND);
	f.flags = 0;
	flow_ack(&f, 10);
	ck_assert(!(f.t->flags & TF_ECN_ROUND));
	ck_assert_uint_eq(f.t->recover, f.t->snd_una - 1);
}
END_TEST

START_TEST(without_ecn_the_bits_mean_nothing)
{
	f.t->flags &= ~TF_ECN;
	f.t->cwnd = 20 * f.t->mss;
	flow_write(&f, 10);
	ck_assert_uint_eq(th_next(f.h)->tos, 0);
	f.flags = TCPF_ECE;
	flow_ack(&f, 2);
	ck_assert_uint_ge(f.t->cwnd, 20 * f.t->mss);
	f.h->in_tos = CE;
	tp_send(&f.p, TCPF_ACK | TCPF_PSH, f.data, 1448);
	while (!th_none(f.h))
		ck_assert_uint_eq(th_next(f.h)->g.flags & TCPF_ECE, 0);
}
END_TEST

/* ---- ECN, the receiver's side (6.1.3) ------------------------------------------------------------ */

static uint8_t text(uint8_t tos, uint8_t flags)
{
	struct th_seg *o;

	f.h->in_tos = tos;
	f.t->flags |= TF_ACK_NOW;
	tp_send(&f.p, TCPF_ACK | flags, f.data, 1448);
	o = th_next(f.h);
	while (!th_none(f.h))
		o = th_next(f.h);
	return o->g.flags & TCPF_ECE;
}

START_TEST(a_first_mark_is_echoed_at_once)
{
	f.t->quick = 0; /* otherwise it would be delayed */
	f.h->in_tos = CE;
	tp_send(&f.p, TCPF_ACK, f.data, 100);
	ck_assert_uint_eq(th_next(f.h)->g.flags, TCPF_ACK | TCPF_ECE);
}
END_TEST

START_TEST(a_mark_is_echoed_until_the_sender_has_reduced)
{
	ck_assert_uint_eq(text(ECT0, 0), 0);
	ck_assert_uint_eq(text(CE, 0), TCPF_ECE);
	ck_assert_uint_eq(text(ECT0, 0), TCPF_ECE);
	ck_assert_uint_eq(text(ECT0, 0), TCPF_ECE);
	ck_assert_uint_eq(text(ECT0, TCPF_CWR), 0);
	ck_assert_uint_eq(text(ECT0, 0), 0);
	ck_assert_uint_eq(text(CE, TCPF_CWR), TCPF_ECE); /* marked again */
	ck_assert_uint_eq(flow_stat(&f, NPP_IS_TCP_CE_IN), 2);
}
END_TEST

START_TEST(a_mark_outside_the_window_is_not_echoed)
{
	f.h->in_tos = CE;
	tp_send_at(&f.p, f.p.seq - 3000, TCPF_ACK, f.data, 1448);
	ck_assert_uint_eq(th_next(f.h)->g.flags & TCPF_ECE, 0);
}
END_TEST

/* RFC 8257, 3.2. */
START_TEST(dctcp_echoes_each_mark_and_acknowledges_what_came_before)
{
	tcp_cc_change(f.t, NPP_CC_DCTCP);
	ck_assert_uint_eq(text(CE, 0), TCPF_ECE);
	ck_assert_uint_eq(text(ECT0, 0), 0);
	th_forget(f.h);
	f.t->quick = 0;
	f.t->flags |= TF_INTERACTIVE;
	f.h->in_tos = ECT0;
	tp_send(&f.p, TCPF_ACK, f.data, 1000); /* waits */
	ck_assert(th_none(f.h));
	f.h->in_tos = CE;
	tp_send(&f.p, TCPF_ACK, f.data, 1000);
	ck_assert_uint_eq(th_next(f.h)->g.flags & TCPF_ECE, 0);
	ck_assert_uint_eq(f.h->out[0].g.ack, f.p.seq - 1000);
}
END_TEST

/* ---- DCTCP (RFC 8257) ---------------------------------------------------------------------------- */

static unsigned at; /* segments acknowledged */

/* A window of 20 segments, of which the last MARKED are. */
static void marked_window(unsigned marked)
{
	f.t->cwnd = 20 * f.t->mss;
	flow_write(&f, 20);
	th_forget(f.h);
	flow_pass(&f, FLOW_RTT_US);
	for (unsigned i = 1; i <= 20; i++) {
		f.flags = i > 20 - marked ? TCPF_ECE : 0;
		flow_ack(&f, at + i);
	}
	at += 20;
}

START_TEST(dctcp_alpha_follows_the_share_of_marks)
{
	double alpha = 1;

	at = 0;
	tcp_cc_change(f.t, NPP_CC_DCTCP);
	f.t->ssthresh = 2 * f.t->mss;
	for (int i = 0; i < 100; i++) {
		uint32_t before = f.t->ccs.dctcp.end;

		marked_window(5);
		if (i)
			ck_assert_uint_ne(f.t->ccs.dctcp.end, before);
	}
	alpha = f.t->ccs.dctcp.alpha / 1048576.0;
	ck_assert_msg(fabs(alpha - 0.25) < 0.05, "alpha %f", alpha);
	for (int i = 0; i < 150; i++)
		marked_window(0);
	ck_assert_uint_lt(f.t->ccs.dctcp.alpha, 1048576 / 100);
}
END_TEST

START_TEST(dctcp_alpha_comes_down_to_nothing)
{
	struct tcp_news n = { .acked = f.t->mss };

	tcp_cc_change(f.t, NPP_CC_DCTCP);
	ck_assert_uint_eq(f.t->ccs.dctcp.alpha, 1u << 20); /* careful at first (RFC 8257, 3.3) */
	f.t->ccs.dctcp.alpha = 15;
	f.t->ccs.dctcp.end = f.t->snd_una - 1;
	tcp_cc(f.t)->news(f.h->s, f.t, &n, false);
	ck_assert_uint_eq(f.t->ccs.dctcp.alpha, 0);
}
END_TEST

START_TEST(dctcp_reduces_by_half_of_alpha)
{
	at = 0;
	tcp_cc_change(f.t, NPP_CC_DCTCP);
	f.t->ccs.dctcp.alpha = 1048576 / 4;
	f.t->ccs.dctcp.end = f.t->snd_nxt + 100000;
	f.t->ssthresh = 2 * f.t->mss;
	f.t->cwnd = 40 * f.t->mss;
	flow_write(&f, 40);
	flow_pass(&f, FLOW_RTT_US);
	f.flags = TCPF_ECE;
	flow_ack(&f, 1);
	ck_assert_uint_eq(f.t->cwnd, 40 * f.t->mss - 5 * f.t->mss);
}
END_TEST

START_TEST(dctcp_halves_after_a_loss)
{
	tcp_cc_change(f.t, NPP_CC_DCTCP);
	f.t->ccs.dctcp.alpha = 0;
	f.t->cwnd = 20 * f.t->mss;
	flow_write(&f, 20);
	flow_pass(&f, FLOW_RTT_US);
	FLOW_SACK(&f, 0, { 1, 8 });
	ck_assert_uint_eq(f.t->ssthresh, 10 * f.t->mss);
}
END_TEST

/* ---- HyStart++ (RFC 9406) --------------------------------------------------------------------------- */

/* A round of slow start in which every ACK comes RTT_US after its segment. */
static void slow_start_round(uint32_t rtt_us)
{
	unsigned n = f.t->cwnd / f.t->mss;

	flow_write(&f, n);
	th_forget(f.h);
	flow_pass(&f, rtt_us);
	for (unsigned i = 1; i <= n; i++) {
		f.t->flags |= TF_CWND_LIMITED; /* there would be more to send */
		flow_ack(&f, at + i);
	}
	at += n;
	th_forget(f.h);
}

START_TEST(slow_start_doubles_while_the_delay_is_steady)
{
	at = 0;
	for (int i = 0; i < 3; i++)
		slow_start_round(FLOW_RTT_US + 1000u * (unsigned)i);
	ck_assert_uint_ge(f.t->cwnd, 79 * f.t->mss);
	ck_assert_uint_eq(f.t->ssthresh, TCP_CWND_MAX);
}
END_TEST

START_TEST(a_growing_delay_slows_growth_and_ends_slow_start_after_five_rounds)
{
	uint32_t before;

	at = 0;
	slow_start_round(FLOW_RTT_US);
	slow_start_round(FLOW_RTT_US + 6000);
	ck_assert_uint_ne(f.t->ccr.hs.base_us, 0);
	before = f.t->cwnd;
	slow_start_round(FLOW_RTT_US + 6000);
	ck_assert_uint_le(f.t->cwnd, before + before / 4 + f.t->mss);
	ck_assert_uint_ge(f.t->cwnd, before + before / 5);
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(f.t->ssthresh, TCP_CWND_MAX);
		slow_start_round(FLOW_RTT_US + 6000);
	}
	ck_assert_uint_lt(f.t->ssthresh, TCP_CWND_MAX);
}
END_TEST

START_TEST(a_delay_that_falls_again_resumes_slow_start)
{
	uint32_t before;

	at = 0;
	slow_start_round(FLOW_RTT_US);
	slow_start_round(FLOW_RTT_US + 6000);
	slow_start_round(FLOW_RTT_US);
	ck_assert_uint_eq(f.t->ccr.hs.base_us, 0);
	before = f.t->cwnd;
	slow_start_round(FLOW_RTT_US);
	ck_assert_uint_ge(f.t->cwnd, 2 * before - f.t->mss);
}
END_TEST

/* RFC 9406, 4.2: an eighth of the last round's least delay, 4 to 16 ms, and eight samples of it. */
static uint32_t delay_that_slows(uint32_t last_us, uint32_t cur_us, unsigned samples)
{
	struct tcp_news n = { .acked = f.t->mss, .rtt_us = cur_us };

	f.t->ccr.hs = (struct tcp_hystart){ .end = f.t->snd_nxt, .on = 1, .last_us = last_us, .samples = samples & 15 };
	(void)tcp_hystart(f.t, &n);
	return f.t->ccr.hs.base_us;
}

START_TEST(slow_start_is_slowed_by_four_to_sixteen_milliseconds)
{
	ck_assert_uint_eq(delay_that_slows(8000, 11900, 7), 0);
	ck_assert_uint_eq(delay_that_slows(8000, 12000, 7), 12000);
	ck_assert_uint_eq(delay_that_slows(80000, 89900, 7), 0);
	ck_assert_uint_eq(delay_that_slows(80000, 90000, 7), 90000);
	ck_assert_uint_eq(delay_that_slows(200000, 215900, 7), 0);
	ck_assert_uint_eq(delay_that_slows(200000, 216000, 7), 216000);
	ck_assert_uint_eq(delay_that_slows(20000, 60000, 6), 0);
	f.t->ccr.hs.on = 0;
}
END_TEST

START_TEST(reno_halves_what_is_in_flight)
{
	tcp_cc_change(f.t, NPP_CC_RENO);
	f.t->cwnd = 40 * f.t->mss;
	flow_write(&f, 10);
	th_forget(f.h);
	ck_assert_uint_eq(tcp_cc(f.t)->ssthresh(f.h->s, f.t), 5 * f.t->mss);
}
END_TEST

/* ---- CUBIC (RFC 9438) -------------------------------------------------------------------------------- */

/* Where the formula says that cwnd is T seconds after a reduction from W segments. */
static double cubic_formula(double w, double t)
{
	double k = cbrt(w * 0.3 / 0.4);

	return 0.4 * pow(t - k, 3) + w;
}

START_TEST(cubic_follows_the_formula)
{
	const unsigned w = 400;
	const uint32_t rtt = 200000;
	double t = 0;

	tcp_cc_change(f.t, NPP_CC_CUBIC);
	f.t->cwnd = w * f.t->mss;
	f.t->ssthresh = tcp_cc(f.t)->ssthresh(f.h->s, f.t);
	f.t->cwnd = f.t->ssthresh;
	ck_assert_uint_eq(f.t->ssthresh, w * 7 / 10 * f.t->mss);
	f.t->srtt_us = rtt;
	for (int i = 0; i < 70; i++, t += 0.2) {
		double is = (double)f.t->cwnd / f.t->mss, should = cubic_formula(w, t);

		if (i)
			ck_assert_msg(fabs(is - should) < should * 0.03 + 2, "at %.1f s: %.1f, formula %.1f", t, is, should);
		for (int k = 0; k < 10; k++) {
			struct tcp_news n = { .acked = f.t->cwnd / 10, .flight = f.t->cwnd };

			f.t->flags |= TF_CWND_LIMITED;
			tcp_cc_acked(f.h->s, f.t, &n);
		}
		th_advance(f.h, rtt);
	}
	ck_assert_double_gt(t, cbrt(w * 0.3 / 0.4) + 5);
}
END_TEST

START_TEST(cubic_is_not_slower_than_reno_on_a_short_path)
{
	f.t->cwnd = 20 * f.t->mss;
	f.t->ssthresh = tcp_cc(f.t)->ssthresh(f.h->s, f.t);
	f.t->cwnd = f.t->ssthresh;
	f.t->srtt_us = 1000;
	for (int i = 0; i < 300; i++) { /* 300 ms: the cubic itself would hardly have moved */
		struct tcp_news n = { .acked = f.t->cwnd, .flight = f.t->cwnd };

		f.t->flags |= TF_CWND_LIMITED;
		tcp_cc_acked(f.h->s, f.t, &n);
		th_advance(f.h, 1000);
	}
	ck_assert_uint_ge(f.t->cwnd, (14 + 300 * 9 / 17) * f.t->mss * 9 / 10);
}
END_TEST

START_TEST(cubic_gives_way_faster_when_the_window_shrinks)
{
	f.t->cwnd = 100 * f.t->mss;
	f.t->ssthresh = tcp_cc(f.t)->ssthresh(f.h->s, f.t);
	ck_assert_uint_eq(f.t->ccs.cubic.w_max, 100 * f.t->mss);
	f.t->cwnd = 80 * f.t->mss;
	f.t->ssthresh = tcp_cc(f.t)->ssthresh(f.h->s, f.t);
	ck_assert_uint_eq(f.t->ccs.cubic.w_max, 68 * f.t->mss); /* 4.7: (1 + beta) / 2 */
}
END_TEST

/* ---- what counts ------------------------------------------------------------------------------------- */

/* ACKs of segments up to SEG, each by itself, that are read at once. */
static void ack_in_a_batch(unsigned from, unsigned seg)
{
	while (from++ < seg) {
		struct tcp_seg g;

		f.p.ack = f.first + from * f.t->mss;
		g = tp_seg(&f.p, TCPF_ACK, 0);
		th_input_noflush(f.h, &g, NULL, 0);
	}
	stack_flush(f.h->s);
	th_forget(f.h);
}

START_TEST(every_ack_of_a_batch_makes_the_window_grow)
{
	struct tcp_options o = { .cc = NPP_CC_RENO };

	stack_tcp_options(f.h->s, f.p.k->c, &o);
	f.t->cwnd = f.t->ssthresh = 10 * f.t->mss;
	flow_write(&f, 40);
	th_forget(f.h);
	for (unsigned round = 0; round < 2; round++) { /* one segment for each window */
		flow_pass(&f, FLOW_RTT_US);
		ck_assert_uint_eq(f.t->cwnd, (10 + round) * f.t->mss);
		ack_in_a_batch(10 * round, 10 + 11 * round);
	}
	ck_assert_uint_eq(f.t->cwnd, 12 * f.t->mss);
}
END_TEST

START_TEST(a_window_that_is_not_filled_does_not_grow)
{
	uint32_t cwnd = f.t->cwnd;

	flow_write(&f, 3);
	flow_pass(&f, FLOW_RTT_US);
	ack_in_a_batch(0, 3);
	ck_assert_uint_eq(f.t->cwnd, cwnd);
	f.t->ssthresh = cwnd; /* nor beyond slow start, where it was filled before */
	flow_write(&f, cwnd / f.t->mss + 2);
	ck_assert(f.t->flags & TF_CWND_LIMITED);
	th_forget(f.h);
	flow_pass(&f, FLOW_RTT_US);
	ack_in_a_batch(3, 3 + cwnd / f.t->mss);
	cwnd = f.t->cwnd;
	flow_pass(&f, FLOW_RTT_US);
	ack_in_a_batch(3 + cwnd / f.t->mss, 5 + cwnd / f.t->mss);
	ck_assert_uint_eq(f.t->cwnd, cwnd);
}
END_TEST

/* ---- choosing, pacing, telling -------------------------------------------------------------------------- */

START_TEST(the_socket_chooses_and_the_npp_has_a_default)
{
	struct tcp_options o = { .cc = NPP_CC_RENO };

	ck_assert_str_eq(tcp_cc(f.t)->name, "cubic");
	stack_tcp_options(f.h->s, f.p.k->c, &o);
	ck_assert_str_eq(tcp_cc(f.t)->name, "reno");
	f.h->global->tcp_cc = NPP_CC_DCTCP;
	o.cc = NPP_CC_DEFAULT;
	stack_tcp_options(f.h->s, f.p.k->c, &o);
	ck_assert_str_eq(tcp_cc(f.t)->name, "dctcp");
	o.cc = 99;
	f.t->ccs.dctcp.alpha = 4711;
	stack_tcp_options(f.h->s, f.p.k->c, &o);
	ck_assert_str_eq(tcp_cc(f.t)->name, "dctcp");
	ck_assert_uint_eq(f.t->ccs.dctcp.alpha, 4711); /* what it was already goes on as it was */
}
END_TEST

START_TEST(a_paced_socket_keeps_its_rate)
{
	struct tcp_options o = { .max_pace = 1000000, .opt_flags = NPP_OPT_NODELAY };
	uint32_t sent = 0;

	stack_tcp_options(f.h->s, f.p.k->c, &o);
	f.t->cwnd = 1000 * f.t->mss;
	flow_write(&f, 150);
	for (int i = 0; i < 100; i++) { /* 100 ms: 100000 bytes */
		flow_pass(&f, 1000);
		while (!th_none(f.h)) {
			struct th_seg *s = th_next(f.h);

			ck_assert_uint_le(s->g.len, 2 * f.t->mss);
			sent += s->g.len;
		}
		th_forget(f.h);
	}
	ck_assert_uint_ge(sent, 90000);
	ck_assert_uint_le(sent, 110000);
}
END_TEST

/* A wait of half an hour would look like one that is long past. */
START_TEST(the_slowest_rate_is_one_all_the_same)
{
	tcp_pace_sent(f.h->s, f.t, 1, 60000);
	ck_assert_uint_gt(tcp_pace_wait(f.h->s, f.t), 0);
}
END_TEST

START_TEST(no_window_is_larger_than_the_largest)
{
	struct tcp_news n = { .acked = TCP_CWND_MAX, .flight = TCP_CWND_MAX };

	f.t->ssthresh = 10 * f.t->mss;
	f.t->cwnd = TCP_CWND_MAX - 1;
	for (int i = 0; i < 10; i++) {
		flow_pass(&f, 10000000);
		f.t->flags |= TF_CWND_LIMITED;
		tcp_cc_acked(f.h->s, f.t, &n);
		ck_assert_uint_le(f.t->cwnd, TCP_CWND_MAX);
	}
	f.t->cwnd = 10 * f.t->mss;
}
END_TEST

START_TEST(cubic_grows_by_half_in_a_round_trip_at_most)
{
	f.t->ccs.cubic.w_max = 1000 * f.t->mss;
	f.t->cwnd = 10 * f.t->mss;
	tcp_cc(f.t)->acked(f.h->s, f.t, 0); /* an epoch begins */
	flow_pass(&f, 60000000);
	tcp_cc(f.t)->acked(f.h->s, f.t, 10 * f.t->mss);
	ck_assert_uint_eq(f.t->cwnd, 15 * f.t->mss);
}
END_TEST

START_TEST(what_is_left_of_slow_start_counts_beyond_it)
{
	struct tcp_news n = { .acked = 11 * f.t->mss, .flight = 9 * f.t->mss };

	tcp_cc_change(f.t, NPP_CC_RENO);
	f.t->cwnd = 9 * f.t->mss;
	f.t->ssthresh = 10 * f.t->mss;
	f.t->flags |= TF_CWND_LIMITED;
	tcp_cc_acked(f.h->s, f.t, &n);
	ck_assert_uint_eq(f.t->cwnd, 11 * f.t->mss);
}
END_TEST

/* 4.3: 9/17 of a segment for each window, and one beyond the window of the loss. */
START_TEST(cubic_estimates_reno_by_its_own_beta)
{
	f.t->cwnd = 17 * f.t->mss;
	f.t->ccs.cubic.prior = 20 * f.t->mss;
	tcp_cc(f.t)->idle(f.t);
	tcp_cc(f.t)->acked(f.h->s, f.t, 17 * f.t->mss);
	ck_assert_uint_ge(f.t->ccr.cubic.w_est, 17 * f.t->mss + f.t->mss * 9 / 17);
	ck_assert_uint_le(f.t->ccr.cubic.w_est, 17 * f.t->mss + f.t->mss * 9 / 17 + 1);
	f.t->cwnd = 17 * f.t->mss;
	f.t->ccs.cubic.prior = 17 * f.t->mss;
	tcp_cc(f.t)->idle(f.t);
	tcp_cc(f.t)->acked(f.h->s, f.t, 17 * f.t->mss);
	ck_assert_uint_eq(f.t->ccr.cubic.w_est, 18 * f.t->mss);
}
END_TEST

START_TEST(no_threshold_is_below_two_segments)
{
	for (uint8_t cc = NPP_CC_CUBIC; cc < NPP_CC_COUNT; cc++) {
		tcp_cc_change(f.t, cc);
		f.t->cwnd = f.t->mss;
		ck_assert_uint_eq(tcp_cc(f.t)->ssthresh(f.h->s, f.t), 2 * f.t->mss);
		if (tcp_cc(f.t)->marked)
			ck_assert_uint_eq(tcp_cc(f.t)->marked(f.h->s, f.t), 2 * f.t->mss);
	}
}
END_TEST

/* RFC 9438, 4.9. */
START_TEST(cubic_knows_its_window_again_after_a_needless_reduction)
{
	f.t->cwnd = 40 * f.t->mss;
	(void)tcp_cc(f.t)->ssthresh(f.h->s, f.t);
	f.t->cwnd = 30 * f.t->mss;
	(void)tcp_cc(f.t)->ssthresh(f.h->s, f.t); /* gives way: 25.5 */
	ck_assert_uint_lt(f.t->ccs.cubic.w_max, 26 * f.t->mss);
	tcp_cc(f.t)->undo(f.t);
	ck_assert_uint_eq(f.t->ccs.cubic.w_max, 30 * f.t->mss);
}
END_TEST

START_TEST(both_windows_at_once_are_a_limit_of_congestion_too)
{
	f.t->cwnd = f.t->snd_wnd = 4 * f.t->mss;
	flow_write(&f, 6);
	ck_assert(f.t->flags & TF_CWND_LIMITED);
	th_forget(f.h);
}
END_TEST

START_TEST(the_brief_tells_the_state)
{
	struct npp_tcp_brief b;

	f.t->cwnd = 10 * f.t->mss;
	flow_write(&f, 10);
	flow_pass(&f, FLOW_RTT_US);
	FLOW_SACK(&f, 0, { 1, 10 });
	stack_tcp_brief(f.h->s, f.p.k->c, &b);
	ck_assert_uint_eq(b.sacked, 9);
	ck_assert_uint_eq(b.lost, 0);
	ck_assert_uint_eq(b.retrans_out, 1);
	ck_assert_uint_eq(b.retrans, 1);
	ck_assert_uint_eq(b.bytes_retrans, f.t->mss);
	ck_assert_uint_eq(b.delivered, 9);
	ck_assert_uint_eq(b.ca_state, 3);
	ck_assert_uint_eq(b.cc, NPP_CC_CUBIC);
	ck_assert_uint_ge(b.min_rtt_us, FLOW_RTT_US);
	ck_assert_uint_le(b.min_rtt_us, FLOW_RTT_US + 2000);
	FLOW_SACK(&f, 10, { 0, 1 });
	stack_tcp_brief(f.h->s, f.p.k->c, &b);
	ck_assert_uint_eq(b.dsack_dups, 1);
	ck_assert_uint_eq(b.sacked + b.retrans_out + b.unacked, 0);
}
END_TEST

static void add_ecn(Suite *suite)
{
	TCase *tc = tcase_create("ecn"), *open = tcase_create("ecn_open");

	tcase_add_loop_test(open, a_peer_that_asks_is_answered_by_policy, 0, sizeof passive / sizeof *passive);
	tcase_add_loop_test(open, a_cookie_remembers_ecn, 0, sizeof passive / sizeof *passive);
	tcase_add_loop_test(open, our_syn_asks_by_policy_and_congestion_control, 0, sizeof active / sizeof *active);
	tcase_add_test(open, the_second_syn_does_not_ask);
	suite_add_tcase(suite, open);
	tcase_add_checked_fixture(tc, setup_ecn, teardown);
	tcase_add_test(tc, only_new_data_is_ecn_capable);
	tcase_add_test(tc, a_mark_reduces_the_window_once_per_round_trip);
	tcase_add_test(tc, a_mark_and_a_loss_in_one_window_are_one_sign);
	tcase_add_test(tc, a_mark_in_a_recovery_reduces_nothing_further);
	tcase_add_test(tc, a_mark_when_nothing_is_in_flight_reduces_nothing);
	tcase_add_test(tc, a_round_of_marks_leaves_no_mark_ahead);
	tcase_add_test(tc, a_first_mark_is_echoed_at_once);
	tcase_add_test(tc, without_ecn_the_bits_mean_nothing);
	tcase_add_test(tc, a_mark_is_echoed_until_the_sender_has_reduced);
	tcase_add_test(tc, a_mark_outside_the_window_is_not_echoed);
	tcase_add_test(tc, dctcp_echoes_each_mark_and_acknowledges_what_came_before);
	tcase_add_test(tc, dctcp_alpha_follows_the_share_of_marks);
	tcase_add_test(tc, dctcp_alpha_comes_down_to_nothing);
	tcase_add_test(tc, dctcp_reduces_by_half_of_alpha);
	tcase_add_test(tc, dctcp_halves_after_a_loss);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("tcp_cc");
	TCase *tc = tcase_create("cc");

	add_ecn(suite);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, slow_start_doubles_while_the_delay_is_steady);
	tcase_add_test(tc, a_growing_delay_slows_growth_and_ends_slow_start_after_five_rounds);
	tcase_add_test(tc, a_delay_that_falls_again_resumes_slow_start);
	tcase_add_test(tc, slow_start_is_slowed_by_four_to_sixteen_milliseconds);
	tcase_add_test(tc, reno_halves_what_is_in_flight);
	tcase_add_test(tc, cubic_follows_the_formula);
	tcase_add_test(tc, cubic_is_not_slower_than_reno_on_a_short_path);
	tcase_add_test(tc, cubic_gives_way_faster_when_the_window_shrinks);
	tcase_add_test(tc, every_ack_of_a_batch_makes_the_window_grow);
	tcase_add_test(tc, a_window_that_is_not_filled_does_not_grow);
	tcase_add_test(tc, the_socket_chooses_and_the_npp_has_a_default);
	tcase_add_test(tc, a_paced_socket_keeps_its_rate);
	tcase_add_test(tc, the_slowest_rate_is_one_all_the_same);
	tcase_add_test(tc, no_window_is_larger_than_the_largest);
	tcase_add_test(tc, cubic_grows_by_half_in_a_round_trip_at_most);
	tcase_add_test(tc, what_is_left_of_slow_start_counts_beyond_it);
	tcase_add_test(tc, cubic_estimates_reno_by_its_own_beta);
	tcase_add_test(tc, no_threshold_is_below_two_segments);
	tcase_add_test(tc, cubic_knows_its_window_again_after_a_needless_reduction);
	tcase_add_test(tc, both_windows_at_once_are_a_limit_of_congestion_too);
	tcase_add_test(tc, the_brief_tells_the_state);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
