/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_conn.c - the socket ISM: connections: accepted and opened, who is told
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shm/lock.h"
#include "tests/unit/ismsock/bench.h"

/* ---- accept ------------------------------------------------------------------------ */

START_TEST(accepted_connection_has_a_record_and_is_queued)
{
	struct tcp_conn *c;
	struct npp_sock *rec;
	uint64_t v;

	e->I->now_us = (7ull << 32) + 1234567;
	c = fake_accept(e->I->stack, env_listener(e, 80), 5000);
	ck_assert_ptr_nonnull(c);
	v = lane->entry[0];
	ck_assert_uint_eq(lane->head, 1);
	ck_assert_uint_eq(NPP_ACCEPT_OWNER(v), NPP_ACCEPT_READY);
	ck_assert_uint_eq(NPP_ACCEPT_SOCK(v), ENV_LENT);
	rec = env_sock(e, 0, ENV_LENT);
	ck_assert_uint_eq(rec->owner, 0x10000 + ENV_SLOT);
	ck_assert_uint_eq(rec->type, NPP_SOCK_STREAM);
	ck_assert_uint_eq(rec->slot, ENV_SLOT);
	ck_assert_uint_eq(rec->listener, 1);
	ck_assert_uint_eq(rec->rport, 5000);
	ck_assert_uint_eq(rec->lport, 80);
	ck_assert_uint_eq(rec->came_us, 1234567);
	ck_assert_uint_eq(rec->tcp_state, TCP_ST_ESTABLISHED);
	ck_assert_uint_ne(rec->ism_handle, ISM_NONE);
	ck_assert_uint_eq(rec->rx_ring.off, 0);
	ck_assert_uint_eq(env_sock(e, 0, 1)->pend_out, NPP_OUT_RX);
}
END_TEST

/* They may change at any time, and are whatever a host has written there. */
START_TEST(what_a_listener_asks_for_is_looked_up_when_it_counts)
{
	struct tcp_listener *l = env_listener(e, 80);
	struct npp_sock *rec = env_sock(e, 0, 1);
	uint64_t key[NPP_TFO_KEYS][2] = { { 0 } };
	struct tcp_options o = { 0 };

	ism_listener_options(e->I, l, &o);
	ck_assert_uint_eq(o.defer, 0);
	rec->tries = 7u << 24;
	ck_assert_uint_eq(o.rcv_least, 0);
	rec->rcvlowat = 200000;
	ism_listener_options(e->I, l, &o);
	ck_assert_uint_eq(o.defer, 7);
	ck_assert_uint_eq(o.rcv_least, 400000);
	rec->rcvlowat = UINT32_MAX;
	ism_listener_options(e->I, l, &o);
	ck_assert_uint_eq(o.rcv_least, NPP_TCP_MEM_MAX);
	ck_assert_uint_eq(ism_fastopen_keys(e->I, l, key), 0);
	for (unsigned turn = 1; turn < 4; turn++) {
		rec->tfo.key[turn & 1][0][0] = 100 + turn;
		rec->tfo.key[turn & 1][1][1] = 200 + turn;
		rec->tfo.state = NPP_TFO_STATE(turn, 2);
		ck_assert_uint_eq(ism_fastopen_keys(e->I, l, key), 2);
		ck_assert_uint_eq(key[0][0], 100 + turn);
		ck_assert_uint_eq(key[1][1], 200 + turn);
	}
	rec->tfo.state = UINT32_MAX;
	ck_assert_uint_le(ism_fastopen_keys(e->I, l, key), NPP_TFO_KEYS);
}
END_TEST

START_TEST(listener_event_goes_once_until_the_bit_is_cleared)
{
	struct npp_msg m;

	subscribe(1, 0, 3, NPP_SUB_RX);
	env_ctx(e, 0, 3)->sleeping = 1;
	fake_accept(e->I->stack, env_listener(e, 80), 5000);
	fake_accept(e->I->stack, env_listener(e, 80), 5001);
	ism_flush(e->I);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert_uint_eq(m.sock, 1);
	ck_assert(!env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert(env_rung(e, 0, 3));
	ck_assert(!env_rung(e, 0, 3));
	env_sock(e, 0, 1)->pend_out = 0;
	fake_accept(e->I->stack, env_listener(e, 80), 5002);
	ism_flush(e->I);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert(!env_rung(e, 0, 3)); /* awake */
}
END_TEST

/* Another ISM, which is up to no good, has set the bit and told nobody. */
START_TEST(a_listener_hears_though_the_bit_was_set_by_another)
{
	struct ism_sess *ls = ism_sess_find(e->I, 0, 1);
	struct npp_sock *rec = env_sock(e, 0, 1);
	struct npp_msg m;

	subscribe(1, 0, 3, NPP_SUB_RX);
	rec->pend_out = NPP_OUT_RX;
	ls->brief_us = e->I->now_us; /* told a moment ago: this one may be lost ... */
	ck_assert_ptr_nonnull(fake_accept(e->I->stack, env_listener(e, 80), 5000));
	ck_assert(!env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ls->brief_us -= 1000000; /* ... but it is still waiting when all are looked at */
	ism_sweep_thread(&e->I->nk, e->I);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert_uint_eq(m.sock, 1);
	ls->brief_us -= 1000000;
	ck_assert_ptr_nonnull(fake_accept(e->I->stack, env_listener(e, 80), 5001));
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	while (env_claim(e, lane))
		;
	ls->brief_us -= 1000000;
	ism_sweep_thread(&e->I->nk, e->I);
	ck_assert(!env_expect(e, 0, 3, NPP_MSG_EVENT, &m)); /* nobody waits */
}
END_TEST

START_TEST(accept_stops_at_the_backlog)
{
	struct tcp_listener *l = env_listener(e, 80);
	int n = 0;

	while (n < 20 && fake_syn(e->I->stack, l) && fake_accept(e->I->stack, l, (uint16_t)(5000 + n)))
		n++;
	ck_assert_int_eq(n, 8);
	ck_assert_ptr_null(fake_accept(e->I->stack, l, 6000));
	ck_assert_uint_ne(env_claim(e, lane), 0);
	ck_assert(fake_syn(e->I->stack, l));
}
END_TEST

START_TEST(accept_stops_without_a_record_and_counts_it)
{
	struct tcp_listener *l = env_listener(e, 80);
	struct ism_host *hs = &e->I->r->host[0];
	uint32_t n = hs->n_lent;

	ck_assert(fake_syn(e->I->stack, l));
	ck_assert_uint_eq(atomic_load(&e->I->stats[NPP_IS_SOCKS_OUT]), 0);
	hs->n_lent = 0;
	ck_assert(!fake_syn(e->I->stack, l));
	ck_assert_ptr_null(fake_accept(e->I->stack, l, 5000));
	ck_assert_uint_eq(atomic_load(&e->I->stats[NPP_IS_SOCKS_OUT]), 2);
	hs->n_lent = n;
	ck_assert_ptr_nonnull(fake_accept(e->I->stack, l, 5000));
}
END_TEST

START_TEST(accept_stops_when_the_lane_is_full)
{
	struct npp_accept_lane *small = env_listen(e, 0, 2, 81, 4, 1000);
	struct tcp_listener *l = env_listener(e, 81);
	int n = 0;

	while (n < 20 && fake_accept(e->I->stack, l, (uint16_t)(5000 + n)))
		n++;
	ck_assert_int_eq(n, 4);
	ck_assert_uint_ne(env_claim(e, small), 0);
	ck_assert_ptr_nonnull(fake_accept(e->I->stack, l, 7000));
}
END_TEST

START_TEST(accept_inherits_options_of_the_listener)
{
	struct tcp_conn *c;
	uint32_t sock;

	env_sock(e, 0, 1)->opt_flags = NPP_OPT_NODELAY | NPP_OPT_MORE; /* but for what was said of the last write */
	env_sock(e, 0, 1)->sndbuf = 70000;
	c = env_accepted(e, 0, lane, &sock);
	ck_assert_uint_eq(env_sock(e, 0, sock)->opt_flags, NPP_OPT_NODELAY);
	ck_assert_uint_eq(env_sock(e, 0, sock)->sndbuf, 70000);
	ck_assert_ptr_nonnull(c);
}
END_TEST

START_TEST(exclusive_subscribers_hear_one_at_a_time)
{
	struct npp_msg m;
	int three = 0, four = 0;

	subscribe(1, 0, 3, NPP_SUB_RX | NPP_SUB_EXCLUSIVE);
	subscribe(1, 1, 4, NPP_SUB_RX | NPP_SUB_EXCLUSIVE);
	for (int i = 0; i < 6; i++) {
		env_sock(e, 0, 1)->pend_out = 0;
		fake_accept(e->I->stack, env_listener(e, 80), (uint16_t)(5000 + i));
		ism_flush(e->I);
		three += env_expect(e, 0, 3, NPP_MSG_EVENT, &m);
		four += env_expect(e, 0, 4, NPP_MSG_EVENT, &m);
	}
	ck_assert_int_eq(three, 3);
	ck_assert_int_eq(four, 3);
}
END_TEST

START_TEST(exclusive_wake_up_prefers_a_sleeper)
{
	struct npp_msg m;

	subscribe(1, 0, 3, NPP_SUB_RX | NPP_SUB_EXCLUSIVE);
	subscribe(1, 1, 4, NPP_SUB_RX | NPP_SUB_EXCLUSIVE);
	for (int i = 0; i < 4; i++) {
		env_sock(e, 0, 1)->pend_out = 0;
		env_ctx(e, 0, 4)->sleeping = 1;
		fake_accept(e->I->stack, env_listener(e, 80), (uint16_t)(5000 + i));
		ism_flush(e->I);
		ck_assert(!env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
		ck_assert(env_expect(e, 0, 4, NPP_MSG_EVENT, &m));
	}
}
END_TEST

START_TEST(look_at_a_listener_tells_another_subscriber)
{
	struct npp_msg m;

	fake_accept(e->I->stack, env_listener(e, 80), 5000);
	subscribe(1, 0, 4, NPP_SUB_RX | NPP_SUB_EXCLUSIVE);
	env_sock(e, 0, 1)->pend_in = NPP_IN_RX;
	post(NPP_MSG_LOOK, 1, 0, 0);
	ck_assert(env_expect(e, 0, 4, NPP_MSG_EVENT, &m));
}
END_TEST

START_TEST(more_subscribers_than_fit_are_found_in_the_map)
{
	uint64_t off = env_alloc(e, 0, NPP_MAX_CTX / 8, 64);
	uint64_t *map = env_at(e, 0, off);
	struct npp_msg m;

	map[0] = 1u << 3 | 1u << 4;
	env_sock(e, 0, 1)->sub_more_off64 = (uint32_t)(off / 64);
	env_sock(e, 0, 1)->sub_all = 1;
	fake_accept(e->I->stack, env_listener(e, 80), 5000);
	ism_flush(e->I);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert(env_expect(e, 0, 4, NPP_MSG_EVENT, &m));
}
END_TEST

/* ---- connect ------------------------------------------------------------------------------------- */

START_TEST(connect_is_told_when_it_is_done)
{
	struct npp_sock *rec = env_sock(e, 0, 7);
	struct npp_msg m;
	uint32_t gen = rec->gen;

	program_connects(7, 443);
	post(NPP_MSG_CONNECT, 7, 2000, 0);
	ck_assert_uint_eq(rec->tcp_state, TCP_ST_SYN_SENT);
	ck_assert_uint_eq(rec->lport, 40000);
	ck_assert_uint_ne(rec->ism_handle, ISM_NONE);
	post(NPP_MSG_CONNECT, 7, 2000, 0); /* twice */
	fake_connected(e->I->stack, env_conn(e, 7));
	ism_flush(e->I);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert_uint_eq(rec->tcp_state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(rec->tx_ring.size, ISM_RING_FIRST);
	post(NPP_MSG_CLOSE, 7, 0, 0);
	fake_free(e->I->stack, env_conn(e, 7), 0);
	ck_assert_uint_eq(rec->owner, 0);
	ck_assert_uint_eq(rec->gen, gen + 1);
	ism_flush(e->I);
	ck_assert(env_expect(e, 0, 0, NPP_MSG_FREED, &m));
	ck_assert_uint_eq(m.sock, 7);
	ck_assert_uint_eq(m.sock_gen, gen);
}
END_TEST

START_TEST(connect_that_fails_leaves_its_error)
{
	struct npp_sock *rec = env_sock(e, 0, 7);
	struct npp_msg m;

	program_connects(7, 1);
	post(NPP_MSG_CONNECT, 7, 0, 0);
	ck_assert_int_eq(rec->err, ENETUNREACH);
	ck_assert_uint_eq(rec->rx_flags & NPP_RXF_CLOSED, NPP_RXF_CLOSED);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	post(NPP_MSG_CLOSE, 7, 0, 0);
	ck_assert_uint_eq(rec->owner, 0);
	program_connects(8, 443);
	post(NPP_MSG_CONNECT, 8, 0, 0);
	fake_refused(e->I->stack, env_conn(e, 8), ECONNREFUSED);
	ck_assert_int_eq(env_sock(e, 0, 8)->err, ECONNREFUSED);
}
END_TEST

START_TEST(close_before_connect_frees_the_record)
{
	struct npp_sock *rec = env_sock(e, 0, 7);
	struct npp_msg late = env_msg(e, 0, NPP_MSG_CONNECT, 7, 0);

	program_connects(7, 443);
	late.ism_handle = ISM_NONE;
	post(NPP_MSG_CLOSE, 7, 0, 0);
	ck_assert_uint_eq(rec->owner, 0);
	env_post(e, 0, 4, late);
	env_run(e);
	ck_assert_uint_eq(fake_conns(e->I->stack), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ismsock_conn");
	TCase *t;

	t = bench_case(s, "accept");
	tcase_add_test(t, accepted_connection_has_a_record_and_is_queued);
	tcase_add_test(t, what_a_listener_asks_for_is_looked_up_when_it_counts);
	tcase_add_test(t, listener_event_goes_once_until_the_bit_is_cleared);
	tcase_add_test(t, a_listener_hears_though_the_bit_was_set_by_another);
	tcase_add_test(t, accept_stops_at_the_backlog);
	tcase_add_test(t, accept_stops_without_a_record_and_counts_it);
	tcase_add_test(t, accept_stops_when_the_lane_is_full);
	tcase_add_test(t, accept_inherits_options_of_the_listener);
	tcase_add_test(t, exclusive_subscribers_hear_one_at_a_time);
	tcase_add_test(t, exclusive_wake_up_prefers_a_sleeper);
	tcase_add_test(t, look_at_a_listener_tells_another_subscriber);
	tcase_add_test(t, more_subscribers_than_fit_are_found_in_the_map);

	t = bench_case(s, "connect");
	tcase_add_test(t, connect_is_told_when_it_is_done);
	tcase_add_test(t, connect_that_fails_leaves_its_error);
	tcase_add_test(t, close_before_connect_frees_the_record);
	return npp_suite_run(s);
}
