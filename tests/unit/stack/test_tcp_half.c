/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_half.c - half-open connections of listeners: SYN_RECEIVED, SYN cookies, shares of the SYN cache
 */
#include "config.h"

#include "tests/unit/stack/tcp_open.h"

/* ---- SYN_RECEIVED of a passive open --------------------------------------------------------------- */

static uint32_t half_open(void)
{
	th_listen(h, PORT, 8);
	put(TCPF_SYN, TP_ISS, 0);
	return th_next(h)->g.seq;
}

START_TEST(syn_received_syn_again_is_answered_again)
{
	uint32_t iss = half_open();

	put(TCPF_SYN, TP_ISS, 0);
	expect(TCPF_SYN | TCPF_ACK, iss, TP_ISS + 1);
	put(TCPF_SYN, TP_ISS + 3, 0); /* another one: challenge, whose answer would be a reset */
	expect(TCPF_ACK, iss + 1, TP_ISS + 1);
	put(TCPF_SYN, TP_ISS + 3, 0);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 1);
}
END_TEST

START_TEST(syn_received_rst_must_be_exact)
{
	uint32_t iss = half_open();

	put(TCPF_RST, TP_ISS, 0);
	put(TCPF_RST, TP_ISS - 5000, 0);
	ck_assert(th_none(h));
	put(TCPF_RST, TP_ISS + 100, 0);
	expect(TCPF_ACK, iss + 1, TP_ISS + 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 1);
	put(TCPF_RST, TP_ISS + 1, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 0);
}
END_TEST

START_TEST(syn_received_wrong_ack_is_reset)
{
	uint32_t iss = half_open();

	put(TCPF_ACK, TP_ISS + 1, iss);
	expect(TCPF_RST, iss, 0);
	put(TCPF_ACK, TP_ISS + 1, iss + 2);
	expect(TCPF_RST, iss + 2, 0);
	put(0, TP_ISS + 1, 0);
	ck_assert(th_none(h));
	ck_assert_uint_eq(h->n_accepted, 0);
	put(TCPF_ACK, TP_ISS + 1, iss + 1);
	ck_assert_uint_eq(h->n_accepted, 1);
}
END_TEST

START_TEST(syn_received_repeats_and_gives_up)
{
	unsigned again = 0;

	half_open();
	th_forget(h);
	th_advance(h, 200000000);
	for (; !th_none(h); again++)
		ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(again, TCP_SYNACK_TRIES);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 0);
}
END_TEST

START_TEST(syn_received_data_and_fin_with_the_last_ack_count)
{
	uint32_t iss = half_open();
	struct tcp_seg g = bare(TCPF_ACK | TCPF_FIN | TCPF_PSH, TP_ISS + 1, iss + 1);
	char buf[8];

	g.len = 5;
	th_input(h, &g, "hello", 0);
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_int_eq(h->sock[0].c->state, TCP_ST_CLOSE_WAIT);
	ck_assert_uint_eq(th_read(h, &h->sock[0], buf, 8), 5);
	ck_assert_int_eq(memcmp(buf, "hello", 5), 0);
	ck_assert(h->sock[0].events & TCP_UP_FIN);
	expect(TCPF_ACK, iss + 1, TP_ISS + 7);
}
END_TEST

START_TEST(syn_received_out_of_order_data_with_the_ack_is_kept)
{
	uint32_t iss = half_open();
	struct tcp_seg g = bare(TCPF_ACK, TP_ISS + 4, iss + 1);

	g.len = 3;
	th_input(h, &g, "lo!", 0);
	ck_assert_uint_eq(h->n_accepted, 1);
	g.seq = TP_ISS + 1;
	th_input(h, &g, "hel", 0);
	ck_assert_uint_eq(h->sock[0].c->rx_head, 6);
}
END_TEST

START_TEST(syn_received_stays_when_the_user_has_no_room)
{
	uint32_t iss = half_open();

	h->accept_ok = false;
	put(TCPF_ACK, TP_ISS + 1, iss + 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 1);
	ck_assert_uint_eq(h->s->tcp->conn_pool.used, 0);
	h->accept_ok = true;
	put(TCPF_ACK, TP_ISS + 1, iss + 1);
	ck_assert_uint_eq(h->n_accepted, 1);
}
END_TEST

START_TEST(syn_received_asks_again_when_the_user_has_room)
{
	uint32_t iss = half_open();

	h->accept_ok = h->accept_room = false;
	put(TCPF_ACK, TP_ISS + 1, iss + 1);
	th_advance(h, 10000);
	ck_assert(th_none(h));
	h->accept_ok = h->accept_room = true;
	th_advance(h, 20000);
	expect(TCPF_SYN | TCPF_ACK, iss, TP_ISS + 1);
	put(TCPF_ACK, TP_ISS + 1, iss + 1);
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_ACCEPT_FULL), 0);
}
END_TEST

/* RFC 7323, 3.2 and 5.3; and a peer cannot make its segments cost more than they carry. */
START_TEST(syn_received_old_or_missing_timestamps_do_not_complete_it)
{
	struct tcp_seg g = bare(TCPF_SYN, TP_ISS, 0);
	uint32_t iss;

	th_listen(h, PORT, 8);
	g.opt = TO_TS | TO_MSS;
	g.tsval = 1000;
	g.mss = 1;
	th_input(h, &g, NULL, 0);
	iss = th_next(h)->g.seq;
	put(TCPF_ACK, TP_ISS + 1, iss + 1);
	ck_assert(th_none(h));
	g = bare(TCPF_ACK, TP_ISS + 1, iss + 1);
	g.opt = TO_TS;
	g.tsval = 999;
	th_input(h, &g, NULL, 0);
	expect(TCPF_ACK, iss + 1, TP_ISS + 1);
	ck_assert_uint_eq(h->n_accepted, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_PAWS), 2);
	g.tsval = 1000;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(h->s->tcp->conns[0].mss, TCP_MSS_MIN - 12);
}
END_TEST

START_TEST(syn_received_is_held_for_its_user_once)
{
	uint32_t iss = half_open();

	h->accept_ok = h->accept_room = false;
	put(TCPF_ACK, TP_ISS + 1, iss + 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_SYN_HELD), 1);
	th_advance(h, 3000000); /* about a second, in vain */
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_ACCEPT_FULL), 1);
	put(TCPF_ACK, TP_ISS + 1, iss + 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_SYN_HELD), 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_ACCEPT_FULL), 2);
	th_forget(h);
}
END_TEST

START_TEST(unlisten_forgets_half_open_connections)
{
	half_open();
	stack_unlisten(h->s, stack_listener(h->s, 0));
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 0);
	put(TCPF_ACK, TP_ISS + 1, 5);
	expect(TCPF_RST, 5, 0);
}
END_TEST

START_TEST(unlisten_forgets_nobody_elses)
{
	struct tcp_seg g = bare(TCPF_SYN, TP_ISS, 0);

	half_open();
	g.dport = PORT + 1;
	th_listen(h, PORT + 1, 8);
	th_input(h, &g, NULL, 0);
	th_forget(h);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 2);
	stack_unlisten(h->s, stack_listener(h->s, 1));
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 1);
	stack_unlisten(h->s, stack_listener(h->s, 0));
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 0);
}
END_TEST

START_TEST(a_full_table_of_connections_refuses_nobody_for_good)
{
	struct tp q;

	th_free(h);
	h = th_new(2);
	th_listen(h, PORT, 8);
	tp_accept(&p, h, PORT, 1001, 0);
	tp_accept(&q, h, PORT, 1002, 0);
	put(TCPF_SYN, TP_ISS, 0);
	put(TCPF_ACK, TP_ISS + 1, th_next(h)->g.seq + 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_MEM), 1);
	ck_assert_uint_eq(h->n_accepted, 2);
	stack_tcp_abort(h->s, p.k->c);
	th_forget(h);
	th_advance(h, 1500000); /* the SYN-ACK is repeated; the peer acknowledges again */
	put(TCPF_ACK, TP_ISS + 1, th_next(h)->g.seq + 1);
	ck_assert_uint_eq(h->n_accepted, 3);
}
END_TEST

/* ---- SYN cookies ----------------------------------------------------------------------------------- */

static struct th_seg *flood_then_syn(uint8_t opt)
{
	struct tcp_seg g = bare(TCPF_SYN, 1, 0);

	th_listen(h, PORT, 16);
	for (g.sport = 100; g.sport < 116; g.sport++)
		th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 16);
	th_forget(h);
	g = bare(TCPF_SYN, TP_ISS, 0);
	g.opt = opt | TO_MSS;
	g.mss = 1460;
	g.wscale = 9;
	g.tsval = 77;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 16);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_COOKIES_OUT), 1);
	return th_next(h);
}

START_TEST(cookie_carries_the_handshake_with_its_options)
{
	struct th_seg *o = flood_then_syn(ALL_OPTS);
	struct tcp_seg g = bare(TCPF_ACK, TP_ISS + 1, o->g.seq + 1);
	struct tcb *t;

	ck_assert_uint_eq(o->g.flags, TCPF_SYN | TCPF_ACK);
	g.opt = TO_TS;
	g.tsval = 78;
	g.tsecr = o->g.tsval;
	g.len = 2;
	th_input(h, &g, "hi", 0);
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_COOKIES_OK), 1);
	t = tcb_of(h->sock[0].c);
	ck_assert_uint_eq(t->flags & (TF_TS | TF_SACK | TF_WS), TF_TS | TF_SACK | TF_WS);
	ck_assert_uint_eq(t->snd_ws, 9);
	ck_assert_uint_eq(t->peer_mss, 1460);
	ck_assert_uint_eq(t->c.rx_head, 2);
}
END_TEST

START_TEST(a_cookie_in_a_timestamp_is_never_ahead_of_the_clock)
{
	struct tcp_seg g;
	uint32_t off;

	flood_then_syn(ALL_OPTS);
	off = tcp_ts_offset(h->s, &h->addr, PORT, &h->peer, 4000);
	for (unsigned i = 0; i < 64; i++) {	/* as many values as the low bits have */
		th_forget(h);
		th_advance(h, 1000);
		th_forget(h);
		g = bare(TCPF_SYN, TP_ISS, 0);
		g.sport = (uint16_t)(5000 + i);
		g.opt = ALL_OPTS | TO_MSS;
		g.mss = 1460;
		g.wscale = 14;
		th_input(h, &g, NULL, 0);
		ck_assert(seq_leq(th_next(h)->g.tsval, tcp_tsval(h->s, off)));
	}
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_COOKIES_OUT), 65);
}
END_TEST

START_TEST(cookie_without_timestamps_carries_the_mss)
{
	struct th_seg *o = flood_then_syn(TO_WS | TO_SACK_OK);

	ck_assert_uint_eq(o->g.opt, TO_MSS);
	put(TCPF_ACK, TP_ISS + 1, o->g.seq + 1);
	ck_assert_uint_eq(h->n_accepted, 1);
	ck_assert_uint_eq(tcb_of(h->sock[0].c)->flags & (TF_TS | TF_SACK | TF_WS), 0);
	ck_assert_uint_eq(tcb_of(h->sock[0].c)->peer_mss, 1460);
}
END_TEST

START_TEST(cookie_that_is_wrong_or_old_is_reset)
{
	struct th_seg *o = flood_then_syn(0);
	uint32_t iss = o->g.seq;

	put(TCPF_ACK, TP_ISS + 1, iss + 2);
	expect(TCPF_RST, iss + 2, 0);
	put(TCPF_ACK, TP_ISS + 2, iss + 1);
	expect(TCPF_RST, iss + 1, 0);
	th_advance(h, 130000000);
	th_forget(h);
	put(TCPF_ACK, TP_ISS + 1, iss + 1);
	expect(TCPF_RST, iss + 1, 0);
	ck_assert_uint_eq(h->n_accepted, 0);
}
END_TEST

START_TEST(cookies_do_not_count_before_an_overflow)
{
	struct tcp_seg g = bare(TCPF_SYN, TP_ISS, 0);
	struct pkt pkt = { .src = h->peer, .dst = h->addr };
	uint16_t mss = 1460;
	uint32_t cookie;

	th_listen(h, PORT, 16);
	g.pkt = &pkt;
	cookie = tcp_cookie_make(h->s, &g, &mss);
	put(TCPF_ACK, TP_ISS + 1, cookie + 1);
	expect(TCPF_RST, cookie + 1, 0);
}
END_TEST

/* ---- shares of the SYN cache ------------------------------------------------------------------------ */

/* N SYNs from host PEER of 10.0.NET.0/24. How many records there are then. */
static uint64_t syns_from(struct th *big, uint8_t net, uint8_t peer, unsigned n)
{
	struct tcp_seg g = bare(TCPF_SYN, TP_ISS, 0);

	big->peer = npp_addr_v4(htonl(0x0a000000u | (uint32_t)net << 8 | peer));
	for (unsigned i = 0; i < n; i++) {
		g.sport = (uint16_t)(5000 + net * 500 + i);
		th_input(big, &g, NULL, 0);
		th_forget(big);
	}
	return th_stat(big, NPP_IS_HALF_OPEN);
}

START_TEST(one_prefix_takes_no_more_than_half_of_a_listener)
{
	struct th *big = th_new(4096);

	th_listen(big, PORT, 64);
	ck_assert_uint_eq(syns_from(big, 1, 9, 200), 32);
	ck_assert_uint_eq(th_stat(big, NPP_IS_SYN_SHARE), 168);
	ck_assert_uint_eq(th_stat(big, NPP_IS_TCP_COOKIES_OUT), 168);
	ck_assert_uint_eq(syns_from(big, 1, 10, 1), 32); /* a neighbour of it */
	ck_assert_uint_eq(syns_from(big, 2, 9, 1), 33);	 /* somebody else */
	ck_assert_uint_eq(th_stat(big, NPP_IS_TCP_COOKIES_OUT), 169);
	th_restart(big);
	th_forget(big);
	ck_assert_uint_eq(syns_from(big, 1, 11, 1), 33);
	ck_assert_uint_eq(syns_from(big, 2, 10, 1), 34);
	ck_assert_uint_eq(th_stat(big, NPP_IS_DROP_SYN_FULL), 0);
	th_advance(big, 100000000); /* given up: all is free again */
	ck_assert_uint_eq(th_stat(big, NPP_IS_HALF_OPEN), 0);
	ck_assert_uint_eq(big->s->tcp->n_syn_peers, 0);
	ck_assert_uint_eq(syns_from(big, 1, 12, 20), 20);
	th_free(big);
}
END_TEST

START_TEST(many_prefixes_take_no_more_than_all_of_a_listener)
{
	struct th *big = th_new(4096);

	th_listen(big, PORT, 64);
	for (unsigned net = 1; net <= 100; net++)
		syns_from(big, (uint8_t)net, 9, 1);
	ck_assert_uint_eq(th_stat(big, NPP_IS_HALF_OPEN), 64);
	ck_assert_uint_eq(th_stat(big, NPP_IS_DROP_SYN_FULL), 36);
	ck_assert_uint_eq(th_stat(big, NPP_IS_TCP_COOKIES_OUT), 36);
	th_free(big);
}
END_TEST

START_TEST(challenges_of_half_open_connections_count_for_the_limit_of_all)
{
	struct th *big = th_new(4096);
	struct tcp_seg g = bare(TCPF_SYN, TP_ISS, 0);
	uint64_t n;

	th_listen(big, PORT, 4096);
	for (unsigned k = 0; k < 2; k++)	/* SYNs; then others in their place */
		for (unsigned i = 0; i < 2000; i++) {
			big->peer = npp_addr_v4(htonl(0x0a000000u | i % 250 << 8 | 9));
			g.sport = (uint16_t)(5000 + i);
			g.seq = TP_ISS + k;
			th_input(big, &g, NULL, 0);
			th_forget(big);
		}
	ck_assert_uint_eq(th_stat(big, NPP_IS_HALF_OPEN), 2000);
	n = th_stat(big, NPP_IS_TCP_CHALLENGE);
	ck_assert(n >= TCP_CHALLENGE_MIN && n < TCP_CHALLENGE_MIN + TCP_CHALLENGE_SPREAD);
	ck_assert_uint_eq(th_stat(big, NPP_IS_CHALLENGE_MUTE), 2000 - n);
	th_free(big);
}
END_TEST

START_TEST(one_prefix_takes_no_more_than_half_of_the_cache)
{
	struct th *big = th_new(256);

	th_listen(big, PORT, 4096);
	ck_assert_uint_eq(syns_from(big, 1, 9, 200), 128);
	ck_assert_uint_eq(syns_from(big, 2, 9, 200), 128 + 64);
	ck_assert_uint_eq(syns_from(big, 3, 9, 200), 128 + 64 + 42);
	ck_assert_uint_eq(th_stat(big, NPP_IS_DROP_SYN_FULL), 0);
	for (uint8_t net = 4; net < 20; net++) /* many: until all are taken */
		syns_from(big, net, 9, 20);
	ck_assert_uint_eq(th_stat(big, NPP_IS_HALF_OPEN), 256);
	ck_assert_uint_gt(th_stat(big, NPP_IS_DROP_SYN_FULL), 0);
	th_free(big);
}
END_TEST

START_TEST(a_prefix_of_peers_is_24_bits_of_ipv4_and_48_of_ipv6)
{
	union npp_addr a, b;

	ck_assert_int_eq(npp_addr_parse("10.1.2.3", &a) | npp_addr_parse("10.1.2.200", &b), 0);
	ck_assert_uint_eq(tcp_syn_peer(h->s, &a), tcp_syn_peer(h->s, &b));
	ck_assert_int_eq(npp_addr_parse("10.1.3.3", &b), 0);
	ck_assert_uint_ne(tcp_syn_peer(h->s, &a), tcp_syn_peer(h->s, &b));
	ck_assert_int_eq(npp_addr_parse("2001:db8:0:1::3", &a) | npp_addr_parse("2001:db8:0:ff02:ffff::9", &b), 0);
	ck_assert_uint_eq(tcp_syn_peer(h->s, &a), tcp_syn_peer(h->s, &b));
	ck_assert_int_eq(npp_addr_parse("2001:db8:1:1::3", &b), 0);
	ck_assert_uint_ne(tcp_syn_peer(h->s, &a), tcp_syn_peer(h->s, &b));
}
END_TEST
START_TEST(a_restart_keeps_half_open_connections)
{
	uint32_t iss = half_open();

	th_restart(h);
	stack_flush(h->s);
	ck_assert(th_none(h));
	put(TCPF_ACK, TP_ISS + 1, iss + 1);
	ck_assert_uint_eq(h->n_accepted, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_half");
	TCase *tc = tcase_create("half");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, syn_received_syn_again_is_answered_again);
	tcase_add_test(tc, syn_received_rst_must_be_exact);
	tcase_add_test(tc, syn_received_wrong_ack_is_reset);
	tcase_add_test(tc, syn_received_repeats_and_gives_up);
	tcase_add_test(tc, syn_received_data_and_fin_with_the_last_ack_count);
	tcase_add_test(tc, syn_received_out_of_order_data_with_the_ack_is_kept);
	tcase_add_test(tc, syn_received_stays_when_the_user_has_no_room);
	tcase_add_test(tc, syn_received_asks_again_when_the_user_has_room);
	tcase_add_test(tc, syn_received_old_or_missing_timestamps_do_not_complete_it);
	tcase_add_test(tc, syn_received_is_held_for_its_user_once);
	tcase_add_test(tc, unlisten_forgets_half_open_connections);
	tcase_add_test(tc, unlisten_forgets_nobody_elses);
	tcase_add_test(tc, a_full_table_of_connections_refuses_nobody_for_good);
	tcase_add_test(tc, cookie_carries_the_handshake_with_its_options);
	tcase_add_test(tc, a_cookie_in_a_timestamp_is_never_ahead_of_the_clock);
	tcase_add_test(tc, cookie_without_timestamps_carries_the_mss);
	tcase_add_test(tc, cookie_that_is_wrong_or_old_is_reset);
	tcase_add_test(tc, cookies_do_not_count_before_an_overflow);
	tcase_add_test(tc, one_prefix_takes_no_more_than_half_of_a_listener);
	tcase_add_test(tc, many_prefixes_take_no_more_than_all_of_a_listener);
	tcase_add_test(tc, challenges_of_half_open_connections_count_for_the_limit_of_all);
	tcase_add_test(tc, one_prefix_takes_no_more_than_half_of_the_cache);
	tcase_add_test(tc, a_prefix_of_peers_is_24_bits_of_ipv4_and_48_of_ipv6);
	tcase_add_test(tc, a_restart_keeps_half_open_connections);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
