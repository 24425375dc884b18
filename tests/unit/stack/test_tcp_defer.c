/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_defer.c - listeners that wait for data before there is a connection (TCP_DEFER_ACCEPT)
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

#define PORT 80
#define MS 1000ull

static struct th *h;
static uint32_t iss;

static void setup(void)
{
	h = th_new(64);
	h->given.defer = 3;
	th_listen(h, PORT, 16);
}

static void teardown(void)
{
	th_free(h);
}

static struct tcp_seg segment(uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct tcp_seg){ .sport = 4000, .dport = PORT, .seq = seq, .ack = ack, .flags = flags, .wnd = 5000 };
}

/* A handshake whose last ACK has no data. */
static void idle_peer(uint16_t from, uint16_t to)
{
	struct tcp_seg g = { .sport = from, .dport = to, .seq = TP_ISS, .flags = TCPF_SYN, .wnd = 5000 };

	th_input(h, &g, NULL, 0);
	g.ack = th_next(h)->g.seq + 1;
	g.flags = TCPF_ACK;
	g.seq = TP_ISS + 1;
	th_input(h, &g, NULL, 0);
	th_forget(h);
}

static void put(uint8_t flags, uint32_t seq, uint32_t ack, const char *data)
{
	struct tcp_seg g = segment(flags, seq, ack);

	g.len = data ? (uint32_t)strlen(data) : 0;
	th_input(h, &g, data, 0);
}

static void ask(void)
{
	put(TCPF_SYN, TP_ISS, 0, NULL);
	iss = th_next(h)->g.seq;
	ck_assert(th_none(h));
}

static void bare_ack(void)
{
	put(TCPF_ACK, TP_ISS + 1, iss + 1, NULL);
}

static struct tcb *accepted(void)
{
	for (unsigned i = 0; i < TH_SOCKS; i++)
		if (h->sock[i].used && h->sock[i].c)
			return tcb_of(h->sock[i].c);
	ck_abort_msg("nothing was accepted");
	return NULL;
}

static void a_syn_ack_after(uint64_t us)
{
	th_advance(h, us - 100 * MS);
	ck_assert(th_none(h));
	th_advance(h, 110 * MS);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert(th_none(h));
}

START_TEST(a_bare_ack_is_no_connection_and_data_make_it_one)
{
	ask();
	bare_ack();
	bare_ack();
	ck_assert(th_none(h));
	ck_assert_uint_eq(h->n_accepted, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_DEFERRED), 2);
	put(TCPF_ACK | TCPF_PSH, TP_ISS + 1, iss + 1, "hello");
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 0);
	ck_assert_uint_eq(accepted()->c.state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(accepted()->rcv_nxt, TP_ISS + 6);
}
END_TEST

START_TEST(data_with_the_ack_do_not_wait)
{
	ask();
	put(TCPF_ACK, TP_ISS + 1, iss + 1, "hello");
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_DEFERRED), 0);
}
END_TEST

START_TEST(data_behind_a_gap_make_it_one_too)
{
	ask();
	bare_ack();
	put(TCPF_ACK, TP_ISS + 11, iss + 1, "later");
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(accepted()->rcv_nxt, TP_ISS + 1);
}
END_TEST

START_TEST(a_fin_without_data_is_not_waited_for)
{
	ask();
	bare_ack();
	put(TCPF_ACK | TCPF_FIN, TP_ISS + 1, iss + 1, NULL);
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(accepted()->c.state, TCP_ST_CLOSE_WAIT);
}
END_TEST

START_TEST(a_reset_ends_the_wait)
{
	ask();
	bare_ack();
	put(TCPF_RST, TP_ISS + 1, 0, NULL);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 0);
}
END_TEST

/* Three SYN-ACKs would be sent again after 1, 3 and 7 s; only the last of them is, whose answer is a connection. */
START_TEST(when_the_time_is_over_an_ack_makes_the_connection)
{
	ask();
	bare_ack();
	a_syn_ack_after(7000 * MS);
	bare_ack();
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(accepted()->c.state, TCP_ST_ESTABLISHED);
}
END_TEST

START_TEST(a_successor_goes_on_waiting)
{
	ask();
	bare_ack();
	th_restart(h);
	th_forget(h);
	bare_ack();
	ck_assert_uint_eq(h->n_accepted, 0);
	a_syn_ack_after(7000 * MS);
	bare_ack();
	ck_assert_uint_eq(h->n_accepted, 1);
}
END_TEST

START_TEST(who_never_answers_is_asked_as_often_as_ever)
{
	unsigned n = 0;

	h->given.defer = 20;
	ask();
	for (unsigned s = 0; s < 200; s++) {
		th_advance(h, 1000 * MS);
		for (; !th_none(h); n++)
			ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN | TCPF_ACK);
	}
	ck_assert_uint_eq(n, TCP_SYNACK_TRIES);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 0);
}
END_TEST

/* Periods that double up to two minutes, and the end of them. */
START_TEST(a_long_wait_ends)
{
	uint64_t quiet = 0, s = 1;

	h->given.defer = 255;
	ask();
	bare_ack();
	for (unsigned n = 0; n < TCP_DEFER_MAX; n++, s = s < 60 ? s * 2 : 120)
		quiet += s;
	for (uint64_t t = 0; t < quiet - 1; t++) {
		th_advance(h, 1000 * MS);
		ck_assert(th_none(h));
	}
	th_advance(h, 2000 * MS);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 1);
	th_advance(h, 120000 * MS);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 0);
}
END_TEST

START_TEST(the_listener_may_change_its_mind)
{
	ask();
	bare_ack();
	h->given.defer = 0;
	a_syn_ack_after(1000 * MS);
	bare_ack();
	ck_assert_uint_eq(h->n_accepted, 1);
	stack_tcp_abort(h->s, &accepted()->c);
	th_forget(h);
	h->given.defer = 0;
	ask();
	h->given.defer = 2;
	bare_ack();
	ck_assert_uint_eq(h->n_accepted, 1);
}
END_TEST

/* What the peer's program takes to write something is no round trip. */
START_TEST(the_round_trip_is_that_of_the_first_ack)
{
	ask();
	th_advance(h, 20 * MS);
	bare_ack();
	th_advance(h, 500 * MS);
	bare_ack();
	put(TCPF_ACK, TP_ISS + 1, iss + 1, "hello");
	ck_assert_uint_eq(accepted()->srtt_us, 20 * MS);
	ck_assert_uint_gt(accepted()->cwnd, accepted()->mss);
}
END_TEST

/* The predecessor was killed after it had written how long the ACK took, before it marked the record. */
START_TEST(a_successor_of_half_a_change_does_not_take_a_duration_for_a_time)
{
	struct tcp_syn *e = h->s->tcp->syns;

	ask();
	while (!e->in_use)
		e++;
	th_advance(h, 20 * MS);
	bare_ack();
	ck_assert_uint_ne(e->opts & TCP_SYN_BARE, 0);
	e->opts &= (uint8_t)~TCP_SYN_BARE;
	th_restart(h);
	put(TCPF_ACK, TP_ISS + 1, iss + 1, "hello");
	ck_assert_uint_eq(accepted()->srtt_us, 20 * MS);
}
END_TEST

/* A SYN-ACK was lost; the echo says which of them the peer answered, and when its program wrote does not count. */
START_TEST(with_timestamps_a_lost_syn_ack_hides_no_round_trip)
{
	struct tcp_seg g = segment(TCPF_SYN, TP_ISS, 0);

	g.opt = TO_TS;
	g.tsval = 7;
	th_input(h, &g, NULL, 0);
	th_forget(h);
	th_advance(h, 1010 * MS);
	g = segment(TCPF_ACK, TP_ISS + 1, 0);
	g.opt = TO_TS;
	g.tsval = 1007;
	g.tsecr = h->out[h->next_out].g.tsval;
	g.ack = th_next(h)->g.seq + 1;
	th_advance(h, 20 * MS);
	th_input(h, &g, NULL, 0);
	th_advance(h, 500 * MS);
	g.len = 5;
	th_input(h, &g, "hello", 0);
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_ge(accepted()->srtt_us, 20 * MS);
	ck_assert_uint_le(accepted()->srtt_us, 30 * MS);
	ck_assert_uint_gt(accepted()->cwnd, accepted()->mss);
}
END_TEST

START_TEST(after_lost_syn_acks_it_starts_with_one_segment)
{
	ask();
	a_syn_ack_after(1000 * MS);
	a_syn_ack_after(2000 * MS);
	bare_ack();
	put(TCPF_ACK, TP_ISS + 1, iss + 1, "hello");
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(accepted()->rto_us, TCP_RTO_LOST_SYN_US);
	ck_assert_uint_eq(accepted()->cwnd, accepted()->mss);
}
END_TEST

START_TEST(those_that_wait_are_half_open_and_more_are_not_remembered)
{
	for (uint16_t port = 100; port < 117; port++)
		idle_peer(port, PORT);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 16);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_COOKIES_OUT), 1);
	ck_assert_uint_eq(h->n_accepted, 1); /* a cookie: there is nothing that could wait */
}
END_TEST

static struct tcp_listener *listener_of(uint8_t host, uint16_t port)
{
	struct tcp_listener tmpl = { .addr = npp_addr_v4(0), .port = port, .backlog = 64, .user_host = host };
	struct tcp_listener *l;
	int err;

	l = stack_listen(h->s, &tmpl, &err);
	ck_assert_ptr_nonnull(l);
	return l;
}

/* Of 64 records. Listener, host by host, and then all of them. */
START_TEST(so_many_wait_that_there_are_records_for_others)
{
	struct tcp_listener *l;

	h->given.defer = 255;
	l = listener_of(1, 81);
	listener_of(1, 82);
	listener_of(2, 83);
	listener_of(3, 84);
	for (uint16_t port = 100; port < 110; port++) {
		idle_peer(port, 81);
		idle_peer(port, 82);
	}
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 16);
	ck_assert_uint_eq(h->n_accepted, 4);
	th_restart(h);
	th_forget(h);
	idle_peer(300, 82);
	ck_assert_uint_eq(h->n_accepted, 5);
	for (uint16_t port = 100; port < 118; port++) { /* of several prefixes: none has more than its share */
		h->peer = npp_addr_v4(htonl(0x0a000101u + (port % 4u << 8)));
		idle_peer(port, 83);
	}
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 32);
	ck_assert_uint_eq(h->n_accepted, 7);
	h->peer = npp_addr_v4(htonl(0x0a000901));
	idle_peer(100, 84);
	ck_assert_uint_eq(h->n_accepted, 8);
	stack_unlisten(h->s, l);
	idle_peer(301, 82);
	idle_peer(101, 84);
	ck_assert_uint_eq(h->n_accepted, 8);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_COOKIES_OUT), 0);
}
END_TEST

/* Data for which there is no room: the SYN-ACK that says when there is brings the data again. */
START_TEST(a_full_queue_does_not_lose_who_has_sent)
{
	h->accept_ok = h->accept_room = true;
	ask();
	bare_ack();
	h->accept_ok = h->accept_room = false;
	put(TCPF_ACK, TP_ISS + 1, iss + 1, "hello");
	ck_assert_uint_eq(h->n_accepted, 0);
	th_advance(h, 10 * MS);
	h->accept_ok = h->accept_room = true;
	th_advance(h, 20 * MS);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN | TCPF_ACK);
	put(TCPF_ACK, TP_ISS + 1, iss + 1, "hello");
	ck_assert_uint_eq(h->n_accepted, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp defer");
	TCase *tc = tcase_create("defer");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_bare_ack_is_no_connection_and_data_make_it_one);
	tcase_add_test(tc, data_with_the_ack_do_not_wait);
	tcase_add_test(tc, data_behind_a_gap_make_it_one_too);
	tcase_add_test(tc, a_fin_without_data_is_not_waited_for);
	tcase_add_test(tc, a_reset_ends_the_wait);
	tcase_add_test(tc, when_the_time_is_over_an_ack_makes_the_connection);
	tcase_add_test(tc, a_successor_goes_on_waiting);
	tcase_add_test(tc, who_never_answers_is_asked_as_often_as_ever);
	tcase_add_test(tc, a_long_wait_ends);
	tcase_add_test(tc, the_listener_may_change_its_mind);
	tcase_add_test(tc, the_round_trip_is_that_of_the_first_ack);
	tcase_add_test(tc, a_successor_of_half_a_change_does_not_take_a_duration_for_a_time);
	tcase_add_test(tc, with_timestamps_a_lost_syn_ack_hides_no_round_trip);
	tcase_add_test(tc, after_lost_syn_acks_it_starts_with_one_segment);
	tcase_add_test(tc, those_that_wait_are_half_open_and_more_are_not_remembered);
	tcase_add_test(tc, so_many_wait_that_there_are_records_for_others);
	tcase_add_test(tc, a_full_queue_does_not_lose_who_has_sent);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
