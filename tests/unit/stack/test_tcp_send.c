/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_send.c - an open connection: what goes out, when, and what happens when it is lost
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

#define ALL_OPTS (TO_TS | TO_WS | TO_SACK_OK)
#define PORT 80
#define MSS 1448u

static struct th *h;
static struct tp p;
static uint8_t data[65536];
static uint32_t first;			/* sequence number of our first byte */

static void open_with(uint8_t opt)
{
	tp_accept(&p, h, PORT, 4000, opt);
	first = p.ack;
	tcb_of(p.k->c)->srtt_us = 0; /* the handshake took no time at all */
	tcb_of(p.k->c)->rto_us = TCP_RTO_MIN_US;
}

static void setup(void)
{
	h = th_new(64);
	th_listen(h, PORT, 8);
	open_with(ALL_OPTS);
	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void teardown(void)
{
	th_free(h);
}

/* The program writes N more bytes; the ring grows to 64 KB and beyond. */
static void app_write(uint32_t n)
{
	while (n) {
		uint32_t done = th_write(h, p.k, data + (p.k->tx_head & 0x7fff), n > 16384 ? 16384 : n);

		ck_assert_uint_gt(done, 0);
		n -= done;
	}
	stack_flush(h->s);
}

static void expect_data(uint32_t off, uint32_t len)
{
	struct th_seg *o = th_next(h);

	ck_assert_uint_eq(o->g.seq, first + off);
	ck_assert_uint_eq(o->g.len, len);
	if (len > MSS + 12)
		ck_assert_uint_ge(o->gso_size, MSS);
}

static void ack(uint32_t off)
{
	p.ack = first + off;
	tp_send(&p, TCPF_ACK, NULL, 0);
}

static void sack(uint32_t off, uint32_t from, uint32_t to)
{
	struct tcp_seg g;

	p.ack = first + off;
	g = tp_seg(&p, TCPF_ACK, 0);
	g.n_sack = 1;
	g.sack[0] = (struct tcp_range){ first + from, first + to };
	th_input(h, &g, NULL, 0);
}

static uint32_t opt_set(uint32_t flags, uint32_t user_timeout_ms)
{
	struct tcp_options o = { .opt_flags = flags, .user_timeout_ms = user_timeout_ms, .keep_idle_s = 10,
				 .keep_intvl_s = 2, .keep_cnt = 3 };

	stack_tcp_options(h->s, p.k->c, &o);
	stack_flush(h->s);
	return flags;
}

/* ---- how much ------------------------------------------------------------------------------- */

START_TEST(the_first_window_is_ten_segments_in_one_frame)
{
	app_write(60000);
	expect_data(0, 10 * MSS);
	ck_assert(th_none(h));
	ack(10 * MSS); /* slow start doubles it */
	expect_data(10 * MSS, 20 * MSS);
	ck_assert(th_none(h));
	ck_assert(p.k->events & TCP_UP_TX);
	ck_assert_uint_eq(p.k->c->tx_tail, 10 * MSS);
}
END_TEST

START_TEST(the_peers_window_is_kept)
{
	p.wnd = 40; /* times 128: 5120 */
	tp_send(&p, TCPF_ACK, NULL, 0);
	app_write(60000);
	expect_data(0, 3 * MSS); /* what is left is less than a segment */
	ck_assert(th_none(h));
	ack(3 * MSS);
	expect_data(3 * MSS, 3 * MSS);
}
END_TEST

START_TEST(the_end_of_the_ring_does_not_show)
{
	uint32_t off = 0;

	for (int i = 0; i < 12; i++) {
		struct th_seg *o;

		app_write(5000);
		while (!th_none(h)) {
			o = th_next(h);
			for (uint32_t k = 0; k < o->g.len; k++)
				ck_assert_msg(o->data[k] == data[((off / 5000 * 5000) & 0x7fff) + off % 5000 + k],
					      "byte %u", off + k);
			off += o->g.len;
		}
		ack(off);
		while (!th_none(h))
			off += th_next(h)->g.len;
		ack(off);
		th_forget(h);
	}
	ck_assert_uint_eq(off, 60000);
}
END_TEST

START_TEST(without_timestamps_segments_are_twelve_bytes_longer)
{
	th_free(h);
	h = th_new(64);
	th_listen(h, PORT, 8);
	open_with(0);
	app_write(60000);
	expect_data(0, 10 * 1460);
}
END_TEST

START_TEST(an_idle_connection_starts_slowly_again)
{
	struct tcb *t = tcb_of(p.k->c);

	t->cwnd = 200000;
	th_advance(h, 5000000);
	app_write(60000);
	expect_data(0, 10 * MSS);
	ck_assert(th_none(h));
}
END_TEST

/* Only data says something about the path (RFC 5681, 4.1). */
START_TEST(a_connection_that_only_acknowledged_was_idle)
{
	tcb_of(p.k->c)->cwnd = 200000;
	for (int i = 0; i < 50; i++) {
		th_advance(h, 100000);
		tp_send(&p, TCPF_ACK | TCPF_PSH, data, 100);
	}
	th_forget(h);
	app_write(60000);
	expect_data(0, 10 * MSS);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(icmp_frag_needed_makes_segments_smaller)
{
	struct npp_flow_key key = { .src = h->peer, .dst = h->addr, .sport = htons(4000), .dport = htons(PORT),
				    .proto = 6 };
	struct th_seg *o;

	app_write(5000);
	th_forget(h);
	tcp_icmp_error(h->s, &key, first - 1, EMSGSIZE, 1000); /* not in flight */
	stack_flush(h->s);
	ck_assert(th_none(h));
	tcp_icmp_error(h->s, &key, first, EMSGSIZE, 1000);
	stack_flush(h->s);
	o = th_next(h);
	ck_assert_uint_eq(o->g.seq, first);
	ck_assert_uint_eq(o->gso_size, 1000 - 52);
	ck_assert_uint_eq(tcb_of(p.k->c)->cwnd, 10 * MSS);
}
END_TEST

/* ---- small segments ---------------------------------------------------------------------------- */

START_TEST(nagle_holds_a_second_small_segment)
{
	app_write(100);
	expect_data(0, 100);
	app_write(100);
	ck_assert(th_none(h));
	ack(100);
	expect_data(100, 100);
	ack(200);
	app_write(3000); /* full ones go, and one small one */
	expect_data(200, 3000);
	app_write(100);
	ck_assert(th_none(h));
	opt_set(NPP_OPT_NODELAY, 0);
	expect_data(3200, 100);
	app_write(1);
	expect_data(3300, 1);
}
END_TEST

START_TEST(cork_holds_what_is_not_full_for_200_ms)
{
	opt_set(NPP_OPT_CORK | NPP_OPT_NODELAY, 0);
	app_write(100);
	ck_assert(th_none(h));
	th_advance(h, 195000);
	ck_assert(th_none(h));
	th_advance(h, 10000);
	expect_data(0, 100);
	ack(100);
	app_write(2000);
	expect_data(100, MSS);
	opt_set(NPP_OPT_NODELAY, 0);
	expect_data(100 + MSS, 2000 - MSS);
}
END_TEST

static void app_write_more(uint32_t n, bool more)
{
	th_write(h, p.k, data + p.k->tx_head, n);
	stack_tcp_more(h->s, p.k->c, more);
	stack_flush(h->s);
}

START_TEST(what_is_to_be_followed_by_more_waits_for_it)
{
	opt_set(NPP_OPT_NODELAY, 0);
	app_write_more(100, true);
	app_write_more(100, true);
	ck_assert(th_none(h));
	app_write_more(100, false);
	expect_data(0, 300);
	ack(300);
	app_write_more(MSS + 10, true); /* full ones go */
	expect_data(300, MSS);
	ck_assert(th_none(h));
	app_write_more(10, true);
	ck_assert(th_none(h));
	ack(300 + MSS); /* what comes back lets it go, as on Linux */
	expect_data(300 + MSS, 20);
	ack(320 + MSS);
	app_write_more(100, true); /* and time */
	th_advance(h, 195000);
	ck_assert(th_none(h));
	th_advance(h, 10000);
	expect_data(320 + MSS, 100);
	ack(420 + MSS);
	app_write_more(100, true); /* and TCP_NODELAY, when it is set */
	ck_assert(th_none(h));
	opt_set(NPP_OPT_NODELAY, 0);
	expect_data(420 + MSS, 100);
}
END_TEST

START_TEST(fin_lets_the_last_small_segment_go)
{
	opt_set(NPP_OPT_CORK, 0);
	app_write(100);
	ck_assert(th_none(h));
	stack_tcp_shutdown(h->s, p.k->c, 100);
	stack_flush(h->s);
	ck_assert_uint_eq(h->out[h->next_out].g.flags, TCPF_ACK | TCPF_FIN | TCPF_PSH);
	expect_data(0, 100);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(a_silly_window_is_not_filled_at_once)
{
	p.wnd = 5; /* 640 bytes */
	tp_send(&p, TCPF_ACK, NULL, 0);
	tcb_of(p.k->c)->max_wnd = 65535;
	app_write(5000);
	ck_assert(th_none(h));
	th_advance(h, 300000); /* but not never */
	expect_data(0, 640);
}
END_TEST

/* ---- loss ------------------------------------------------------------------------------------------ */

START_TEST(the_timer_sends_again_with_back_off)
{
	uint64_t t0;
	uint64_t gap = TCP_RTO_MIN_US;

	app_write(100);
	expect_data(0, 100);
	for (int i = 0; i < 4; i++, gap *= 2) {
		t0 = h->now_us;
		while (th_none(h))
			th_advance(h, 1000);
		expect_data(0, 100);
		ck_assert_uint_ge(h->now_us - t0 + 3000, gap);
		ck_assert_uint_le(h->now_us - t0, gap + 3000);
	}
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_RTO), 4);
	ack(100);
	ck_assert_uint_eq(tcb_of(p.k->c)->recovery, TCP_OPEN);
	th_advance(h, 10000000);
	ck_assert(th_none(h));
}
END_TEST

/* Karn: the ACK of what was sent again measures nothing, so the longer RTO stays. */
START_TEST(the_longer_timeout_stays_until_a_round_trip_is_measured)
{
	struct tcb *t;
	uint64_t t0;

	th_free(h);
	h = th_new(64);
	th_listen(h, PORT, 8);
	open_with(0);
	t = tcb_of(p.k->c);
	app_write(100);
	th_advance(h, 2 * TCP_RTO_MIN_US + 10000);
	th_forget(h);
	ack(100);
	app_write(100);
	expect_data(100, 100);
	for (t0 = h->now_us; th_none(h);)
		th_advance(h, 1000);
	ck_assert_uint_ge(h->now_us - t0 + 3000, 2 * TCP_RTO_MIN_US);
	th_forget(h);
	ack(200);
	app_write(100);
	th_advance(h, 1000);
	ack(300); /* measured */
	ck_assert_uint_eq(t->backoff, 0);
}
END_TEST

START_TEST(silence_ends_in_etimedout)
{
	unsigned n = 0;

	app_write(100);
	th_advance(h, 1200000000);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ETIMEDOUT);
	for (; !th_none(h); n++)
		if (th_next(h)->g.flags & TCPF_RST)
			break;
	ck_assert_uint_eq(n, 1 + TCP_DATA_TRIES);
}
END_TEST

/* RFC 9293, 3.9.2.2 (MUST-56, MUST-47): it ends nothing, but is the reason when the end comes; an ACK meanwhile
 * says that it is over. */
START_TEST(the_last_soft_error_is_why_a_connection_was_given_up)
{
	for (unsigned healed = 0; healed < 2; healed++) {
		struct npp_flow_key key = { .sport = htons(4000), .dport = htons(PORT), .proto = 6 };

		if (healed) {
			teardown();
			setup();
		}
		key.src = h->peer;
		key.dst = h->addr;
		app_write(100);
		tcp_icmp_error(h->s, &key, tcb_of(p.k->c)->snd_una, ENETUNREACH, 0);
		tcp_icmp_error(h->s, &key, tcb_of(p.k->c)->snd_una, EHOSTUNREACH, 0);
		th_advance(h, 1000);
		ck_assert_ptr_nonnull(p.k->c);
		if (healed) {
			p.ack += 100;
			tp_send(&p, TCPF_ACK, NULL, 0);
			app_write(100);
		}
		th_advance(h, 1200000000);
		ck_assert_ptr_null(p.k->c);
		ck_assert_int_eq(p.k->error, healed ? ETIMEDOUT : EHOSTUNREACH);
	}
}
END_TEST

START_TEST(the_user_timeout_comes_first)
{
	opt_set(0, 3000);
	app_write(100);
	th_advance(h, 2900000);
	ck_assert_ptr_nonnull(p.k->c);
	th_advance(h, 200000);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ETIMEDOUT);
}
END_TEST

START_TEST(three_duplicate_acks_send_one_segment_again)
{
	th_free(h);
	h = th_new(64);
	th_listen(h, PORT, 8);
	open_with(0);
	app_write(60000);
	th_forget(h);
	ack(0);
	expect_data(14600, 1460); /* limited transmit (RFC 3042) */
	ack(0);
	expect_data(14600 + 1460, 1460);
	ack(0);
	expect_data(0, 1460);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_FAST_RETRANS), 1);
	ack(1460 * 4); /* partial: the next hole begins there */
	expect_data(1460 * 4, 1460);
	th_forget(h);
	ack(14600 + 2 * 1460);
	ck_assert_uint_eq(tcb_of(p.k->c)->recovery, TCP_OPEN);
	ck_assert_uint_lt(tcb_of(p.k->c)->cwnd, 14600);
}
END_TEST

START_TEST(sack_sends_only_the_hole_again)
{
	app_write(60000);
	th_forget(h);
	sack(2 * MSS, 3 * MSS, 4 * MSS); /* one segment above: not yet */
	while (!th_none(h))
		ck_assert_uint_ge(th_next(h)->g.seq, first + 10 * MSS);
	sack(2 * MSS, 3 * MSS, 6 * MSS);
	expect_data(2 * MSS, MSS);
	while (!th_none(h))
		ck_assert_uint_ge(th_next(h)->g.seq, first + 10 * MSS);
	ck_assert_uint_eq(tcb_of(p.k->c)->recovery, TCP_RECOVERY);
	sack(2 * MSS, 3 * MSS, 8 * MSS); /* not again */
	while (!th_none(h))
		ck_assert_uint_ge(th_next(h)->g.seq, first + 10 * MSS);
	ack(tcb_of(p.k->c)->recover - first);
	ck_assert_uint_eq(tcb_of(p.k->c)->recovery, TCP_OPEN);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_RETRANS), 1);
}
END_TEST

START_TEST(a_hole_of_many_segments_is_sent_again_as_one_frame)
{
	struct tcb *t = tcb_of(p.k->c);

	t->cwnd = 40 * MSS;
	app_write(58000);
	th_forget(h);
	sack(0, 5 * MSS, 40 * MSS);
	expect_data(0, 5 * MSS);
	th_forget(h);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_RETRANS), 5);
}
END_TEST

START_TEST(a_retransmission_that_is_lost_is_sent_again)
{
	struct tcb *t = tcb_of(p.k->c);

	tcp_rtt_sample(h->s, t, 2000);
	t->cwnd = 30 * MSS;
	app_write(20 * MSS);
	th_forget(h);
	th_advance(h, 2000);
	sack(0, MSS, 20 * MSS);
	expect_data(0, MSS);
	th_advance(h, 1000);
	app_write(10 * MSS); /* later than the retransmission */
	expect_data(20 * MSS, 10 * MSS);
	sack(0, MSS, 20 * MSS);
	ck_assert(th_none(h));
	th_advance(h, 2000);
	sack(0, MSS, 21 * MSS);
	expect_data(0, MSS);
	sack(0, MSS, 24 * MSS); /* counted from the second time */
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_RTO), 0);
}
END_TEST

static void sack2(uint32_t off, uint32_t from, uint32_t to, uint32_t from2, uint32_t to2)
{
	struct tcp_seg g;

	p.ack = first + off;
	g = tp_seg(&p, TCPF_ACK, 0);
	g.n_sack = 2;
	g.sack[0] = (struct tcp_range){ first + from, first + to };
	g.sack[1] = (struct tcp_range){ first + from2, first + to2 };
	th_input(h, &g, NULL, 0);
}

START_TEST(a_hole_below_too_few_segments_to_count_is_sent_again_by_time)
{
	tcp_rtt_sample(h->s, tcb_of(p.k->c), 2000);
	app_write(3 * MSS);
	th_forget(h);
	sack(0, 2 * MSS, 3 * MSS); /* one segment above, and nothing more to send */
	ck_assert(th_none(h));
	th_advance(h, 5000);
	expect_data(0, MSS); /* as much as has arrived */
	ck_assert_uint_eq(tcb_of(p.k->c)->recovery, TCP_RECOVERY);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_RTO) + th_stat(h, NPP_IS_TCP_TLP), 0);
	sack(MSS, 2 * MSS, 3 * MSS);
	expect_data(MSS, MSS);
	ack(3 * MSS);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(what_fills_its_hole_in_time_is_not_sent_again)
{
	tcp_rtt_sample(h->s, tcb_of(p.k->c), 2000);
	app_write(3 * MSS);
	th_forget(h);
	sack(0, 2 * MSS, 3 * MSS);
	th_advance(h, 1000);
	ack(3 * MSS);
	th_advance(h, 1000000);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_RETRANS), 0);
}
END_TEST

START_TEST(a_retransmission_overtaken_by_a_later_one_is_sent_again_by_time)
{
	struct tcb *t = tcb_of(p.k->c);

	tcp_rtt_sample(h->s, t, 2000);
	t->cwnd = 30 * MSS;
	app_write(10 * MSS);
	th_forget(h);
	sack2(0, MSS, 4 * MSS, 5 * MSS, 10 * MSS); /* the first and the fifth are lost */
	expect_data(0, MSS);
	expect_data(4 * MSS, MSS);
	ck_assert(th_none(h));
	th_advance(h, 2000);
	sack(0, MSS, 10 * MSS); /* the second retransmission has arrived, the first one has not */
	expect_data(0, MSS);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_RTO), 0);
	ack(10 * MSS);
	ck_assert_uint_eq(t->recovery, TCP_OPEN);
}
END_TEST

/* RFC 5681, 4.3: the loss of a retransmission is a second sign of congestion. */
START_TEST(a_lost_retransmission_reduces_the_window_a_second_time)
{
	struct tcb *t = tcb_of(p.k->c);
	uint32_t once;

	t->cwnd = 40 * MSS;
	app_write(20 * MSS);
	th_forget(h);
	sack(0, MSS, 20 * MSS);
	once = t->ssthresh;
	app_write(10 * MSS);
	th_forget(h);
	sack(0, MSS, 24 * MSS);
	expect_data(0, MSS);
	ck_assert_uint_lt(t->ssthresh, once);
	once = t->ssthresh;
	app_write(10 * MSS);
	th_forget(h);
	sack(0, MSS, 40 * MSS);
	ck_assert_uint_eq(t->ssthresh, once); /* but not for every one */
}
END_TEST

START_TEST(sack_that_makes_no_sense_is_ignored)
{
	app_write(60000);
	th_forget(h);
	sack(0, 9 * MSS, 30 * MSS);		/* beyond snd_nxt */
	sack(0, 5 * MSS, 4 * MSS);
	sack(MSS, 1000000000, 1000000500);
	ck_assert_uint_eq(tcb_of(p.k->c)->sacked, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_FAST_RETRANS), 0);
}
END_TEST

START_TEST(dsack_takes_a_needless_reduction_back)
{
	struct tcb *t = tcb_of(p.k->c);
	uint32_t before;
	struct tcp_seg g;

	app_write(60000);
	before = t->cwnd;
	sack(0, MSS, 6 * MSS);
	ck_assert_uint_lt(t->cwnd, before);
	ck_assert_uint_eq(t->recovery, TCP_RECOVERY);
	/* The hole had only been late: everything is there, and the copy came too. */
	p.ack = first + 10 * MSS;
	p.tsecr = tcp_flight(h->s, t)->rtx_ts;
	g = tp_seg(&p, TCPF_ACK, 0);
	g.n_sack = 1;
	g.sack[0] = (struct tcp_range){ first, first + MSS };
	th_input(h, &g, NULL, 0);
	ck_assert_uint_ge(t->cwnd, before);
	ck_assert_uint_eq(t->recovery, TCP_OPEN);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_UNDO), 1);
	ck_assert(t->flags & TF_REORDERS); /* and the next one is given time */
	ck_assert_uint_eq(t->reo_mult, 2);
}
END_TEST

START_TEST(reordering_teaches_patience)
{
	struct tcb *t = tcb_of(p.k->c);

	app_write(60000);
	th_forget(h);
	sack(0, MSS, 3 * MSS);
	ack(3 * MSS); /* the hole filled by itself */
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_FAST_RETRANS), 0);
	ck_assert(t->flags & TF_REORDERS);
}
END_TEST

START_TEST(an_early_echo_undoes_a_timeout)
{
	struct tcb *t = tcb_of(p.k->c);
	uint32_t old;

	app_write(14000);
	th_forget(h);
	old = tcp_tsval(h->s, t->ts_off);
	th_advance(h, 250000);
	ck_assert_uint_eq(t->recovery, TCP_LOSS);
	ck_assert_uint_eq(t->cwnd, MSS);
	th_forget(h);
	p.tsecr = old; /* the first ACK answers what was sent first */
	ack(2 * MSS);
	ck_assert_uint_eq(t->recovery, TCP_OPEN);
	ck_assert_uint_ge(t->cwnd, 10 * MSS);
}
END_TEST

START_TEST(a_lost_tail_is_probed_before_the_timeout)
{
	struct tcb *t = tcb_of(p.k->c);

	tcp_rtt_sample(h->s, t, 2000);
	app_write(8 * MSS);
	th_forget(h);
	th_advance(h, 20000);
	expect_data(7 * MSS, MSS);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_TLP), 1);
	/* It alone has arrived: what is before it is lost. */
	p.tsecr = tcp_tsval(h->s, t->ts_off);
	th_advance(h, 2000);
	sack(5 * MSS, 7 * MSS, 8 * MSS);
	expect_data(5 * MSS, 2 * MSS);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_RTO), 0);
	ack(8 * MSS);
}
END_TEST

START_TEST(a_peer_that_forgets_what_it_sacked_gets_it_again)
{
	app_write(10 * MSS);
	th_forget(h);
	sack(0, MSS, 2 * MSS);
	ack(MSS); /* the hole is filled, and the rest forgotten */
	th_forget(h);
	th_advance(h, 300000);
	expect_data(MSS, MSS);
}
END_TEST

/* ---- a closed window ---------------------------------------------------------------------------------- */

START_TEST(a_zero_window_is_probed_until_it_opens)
{
	unsigned probes = 0;

	p.wnd = 0;
	tp_send(&p, TCPF_ACK, NULL, 0);
	app_write(5000);
	ck_assert(th_none(h));
	for (int i = 0; i < 6000; i++) { /* ten minutes */
		th_advance(h, 100000);
		while (!th_none(h)) {
			struct th_seg *o = th_next(h);

			ck_assert_uint_eq(o->g.len, 0);
			ck_assert_uint_eq(o->g.seq, first - 1);
			tp_send(&p, TCPF_ACK, NULL, 0);
			probes++;
		}
		th_forget(h);
	}
	ck_assert_uint_ge(probes, 8);
	ck_assert_uint_le(probes, 20);
	ck_assert_ptr_nonnull(p.k->c);
	p.wnd = 512;
	tp_send(&p, TCPF_ACK, NULL, 0);
	expect_data(0, 5000);
}
END_TEST

START_TEST(probes_that_nobody_answers_end_the_connection)
{
	p.wnd = 0;
	tp_send(&p, TCPF_ACK, NULL, 0);
	app_write(5000);
	th_advance(h, 2000000000);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ETIMEDOUT);
}
END_TEST

START_TEST(a_window_that_closes_over_data_in_flight_is_survived)
{
	app_write(5000);
	expect_data(0, 5000);
	p.wnd = 0;
	ack(2 * MSS);
	th_advance(h, 5000000);
	th_forget(h);
	p.wnd = 512;
	ack(2 * MSS);
	th_advance(h, 5000000);
	ack(5000);
	ck_assert_uint_eq(p.k->c->tx_tail, 5000);
}
END_TEST

START_TEST(the_user_timeout_of_a_closed_window_begins_when_data_waits_for_it)
{
	opt_set(0, 3000);
	p.wnd = 0;
	tp_send(&p, TCPF_ACK, NULL, 0);
	th_advance(h, 60000000);
	app_write(100);
	th_advance(h, 2500000);
	ck_assert_ptr_nonnull(p.k->c);
	th_advance(h, 1000000);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ETIMEDOUT);
}
END_TEST

/* ---- keep-alive --------------------------------------------------------------------------------------------- */

START_TEST(keep_alive_asks_and_is_answered)
{
	opt_set(NPP_OPT_KEEPALIVE, 0);
	for (int i = 0; i < 20; i++) {
		th_advance(h, 10100000);
		ck_assert_uint_eq(th_next(h)->g.seq, first - 1);
		tp_send(&p, TCPF_ACK, NULL, 0);
		ck_assert(th_none(h));
		th_forget(h);
	}
	ck_assert_ptr_nonnull(p.k->c);
}
END_TEST

START_TEST(keep_alive_gives_up)
{
	opt_set(NPP_OPT_KEEPALIVE, 0);
	th_advance(h, 15900000);
	ck_assert_ptr_nonnull(p.k->c);
	th_advance(h, 300000);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ETIMEDOUT);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_PROBES), 3);
}
END_TEST

/* Who knows the ports only cannot keep a connection alive whose peer is gone. */
START_TEST(keep_alive_does_not_hear_what_is_forged)
{
	opt_set(NPP_OPT_KEEPALIVE, 0);
	for (int i = 0; i < 15; i++) {
		struct tcp_seg old = tp_seg(&p, TCPF_ACK, 0), far = old, future = old, syn = old;

		old.tsval -= 100000;
		far.seq += 1u << 28;
		future.ack += 5;
		syn.flags |= TCPF_SYN;
		th_input(h, &old, NULL, 0);
		th_input(h, &far, NULL, 0);
		th_input(h, &future, NULL, 0);
		th_input(h, &syn, NULL, 0);
		th_forget(h);
		th_advance(h, 1000000);
		ck_assert_ptr_nonnull(p.k->c);
	}
	th_advance(h, 1200000);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ETIMEDOUT);
}
END_TEST

START_TEST(the_user_timeout_takes_the_place_of_the_number_of_probes)
{
	opt_set(NPP_OPT_KEEPALIVE, 30000);
	th_advance(h, 29000000);
	ck_assert_ptr_nonnull(p.k->c);
	ck_assert_uint_ge(th_stat(h, NPP_IS_TCP_PROBES), 8);
	th_advance(h, 4000000);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ETIMEDOUT);
}
END_TEST

START_TEST(a_user_timeout_that_is_over_before_the_first_probe_waits_for_its_answer)
{
	opt_set(NPP_OPT_KEEPALIVE, 5000);
	for (int i = 0; i < 3; i++) {
		th_advance(h, 10100000);
		ck_assert_ptr_nonnull(p.k->c);
		ck_assert_uint_eq(th_next(h)->g.seq, first - 1);
		tp_send(&p, TCPF_ACK, NULL, 0);
		th_forget(h);
	}
	th_advance(h, 13000000);
	ck_assert_ptr_null(p.k->c);
	ck_assert_int_eq(p.k->error, ETIMEDOUT);
}
END_TEST

START_TEST(newreno_is_there_too)
{
	struct tcb *t = tcb_of(p.k->c);
	uint32_t cwnd;

	t->cc = NPP_CC_RENO;
	tcp_cc_init(t);
	t->ssthresh = t->cwnd;
	cwnd = t->cwnd;
	app_write(60000);
	th_forget(h);
	ack(10 * MSS); /* one window: one segment more */
	ck_assert_uint_eq(t->cwnd, cwnd + MSS);
	th_forget(h);
	sack(10 * MSS, 11 * MSS, 16 * MSS);
	ck_assert_uint_le(t->ssthresh, (cwnd + 2 * MSS) / 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_send");
	TCase *tc = tcase_create("send");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_first_window_is_ten_segments_in_one_frame);
	tcase_add_test(tc, the_peers_window_is_kept);
	tcase_add_test(tc, the_end_of_the_ring_does_not_show);
	tcase_add_test(tc, without_timestamps_segments_are_twelve_bytes_longer);
	tcase_add_test(tc, an_idle_connection_starts_slowly_again);
	tcase_add_test(tc, a_connection_that_only_acknowledged_was_idle);
	tcase_add_test(tc, icmp_frag_needed_makes_segments_smaller);
	tcase_add_test(tc, nagle_holds_a_second_small_segment);
	tcase_add_test(tc, cork_holds_what_is_not_full_for_200_ms);
	tcase_add_test(tc, what_is_to_be_followed_by_more_waits_for_it);
	tcase_add_test(tc, fin_lets_the_last_small_segment_go);
	tcase_add_test(tc, a_silly_window_is_not_filled_at_once);
	tcase_add_test(tc, the_timer_sends_again_with_back_off);
	tcase_add_test(tc, the_longer_timeout_stays_until_a_round_trip_is_measured);
	tcase_add_test(tc, silence_ends_in_etimedout);
	tcase_add_test(tc, the_last_soft_error_is_why_a_connection_was_given_up);
	tcase_add_test(tc, the_user_timeout_comes_first);
	tcase_add_test(tc, three_duplicate_acks_send_one_segment_again);
	tcase_add_test(tc, sack_sends_only_the_hole_again);
	tcase_add_test(tc, a_hole_of_many_segments_is_sent_again_as_one_frame);
	tcase_add_test(tc, a_retransmission_that_is_lost_is_sent_again);
	tcase_add_test(tc, a_hole_below_too_few_segments_to_count_is_sent_again_by_time);
	tcase_add_test(tc, what_fills_its_hole_in_time_is_not_sent_again);
	tcase_add_test(tc, a_retransmission_overtaken_by_a_later_one_is_sent_again_by_time);
	tcase_add_test(tc, a_lost_retransmission_reduces_the_window_a_second_time);
	tcase_add_test(tc, sack_that_makes_no_sense_is_ignored);
	tcase_add_test(tc, dsack_takes_a_needless_reduction_back);
	tcase_add_test(tc, reordering_teaches_patience);
	tcase_add_test(tc, an_early_echo_undoes_a_timeout);
	tcase_add_test(tc, a_lost_tail_is_probed_before_the_timeout);
	tcase_add_test(tc, a_peer_that_forgets_what_it_sacked_gets_it_again);
	tcase_add_test(tc, a_zero_window_is_probed_until_it_opens);
	tcase_add_test(tc, probes_that_nobody_answers_end_the_connection);
	tcase_add_test(tc, a_window_that_closes_over_data_in_flight_is_survived);
	tcase_add_test(tc, keep_alive_asks_and_is_answered);
	tcase_add_test(tc, keep_alive_gives_up);
	tcase_add_test(tc, keep_alive_does_not_hear_what_is_forged);
	tcase_add_test(tc, the_user_timeout_takes_the_place_of_the_number_of_probes);
	tcase_add_test(tc, a_user_timeout_that_is_over_before_the_first_probe_waits_for_its_answer);
	tcase_add_test(tc, the_user_timeout_of_a_closed_window_begins_when_data_waits_for_it);
	tcase_add_test(tc, newreno_is_there_too);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
