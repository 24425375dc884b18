/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_host.c - the socket ISM: greetings, successors, lanes that overflow, memory that is torn away
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shm/lock.h"
#include "tests/unit/ismsock/bench.h"

/* ---- memory that goes away --------------------------------------------------------------------------- */

START_TEST(host_that_tears_its_memory_loses_only_itself)
{
	struct npp_accept_lane *other;
	struct tcp_conn *c0, *c1;
	uint32_t a, b;
	uint8_t *at;

	env_attach(e, 1);
	env_lane(e, 1, 3);
	other = env_listen(e, 1, 1, 8080, 16, 16);
	c0 = env_accepted(e, 0, lane, &a);
	c1 = fake_accept(e->I->stack, env_listener(e, 8080), 7000);
	ck_assert_ptr_nonnull(c1);
	ism_flush(e->I);
	b = env_claim(e, other);
	fake_rx(e->I->stack, c0, data, 3000);
	ism_flush(e->I);
	at = c0->rx.base;
	ck_assert(!ism_host_fault(e->I, &other));
	ck_assert(ism_host_fault(e->I, at + 5000));
	at[5000] = 1; /* what was going on goes on */
	ck_assert_uint_eq(at[0], 0);
	ck_assert_uint_ne(e->I->r->host[0].state, ISM_HOST_NONE);
	env_run(e);
	ism_flush(e->I);
	ck_assert_uint_eq(e->I->r->host[0].state, ISM_HOST_NONE);
	ck_assert_uint_eq(fake_conns(e->I->stack), 1);
	ck_assert_uint_eq(fake_rx(e->I->stack, c1, data, 3000), 3000);
	ism_flush(e->I);
	ck_assert_uint_eq(env_sock(e, 1, b)->rx_head, 3000);
}
END_TEST

/* ---- overflow ---------------------------------------------------------------------------------------- */

START_TEST(overflow_makes_us_look_at_everything)
{
	uint32_t a, b;
	struct tcp_conn *ca = env_accepted(e, 0, lane, &a), *cb = env_accepted(e, 0, lane, &b);

	post(NPP_MSG_NEED_RING, a, 100, 0);
	post(NPP_MSG_NEED_RING, b, 100, 0);
	for (int i = 0; i < NPP_I2OQ_DEPTH; i++)
		env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_LOOK, a, 0));
	program_write(b, 300);
	env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_LOOK, b, 0)); /* finds no room */
	program_connects(7, 443);
	env_run(e);
	ck_assert_uint_eq(env_stat(e, NPP_IS_OVERFLOWS), 1);
	ck_assert_uint_eq(cb->tx_head, 300);
	ck_assert_ptr_nonnull(env_conn(e, 7)); /* the CONNECT was lost, too */
	(void)ca;
}
END_TEST

START_TEST(lost_close_is_noticed)
{
	uint32_t a;
	struct tcp_conn *c = env_accepted(e, 0, lane, &a);

	post(NPP_MSG_NEED_RING, a, 100, 0);
	env_sock(e, 0, a)->refs = 0;
	e->I->host[0]->scan_due = true;
	nk_thread_raise(&e->I->nk, e->I->th_scan);
	env_run(e);
	ck_assert(fake_closed(e->I->stack, c));
}
END_TEST

/* Accepted, answered and closed while the lane was full: neither LOOK nor CLOSE arrived. */
START_TEST(lost_close_is_noticed_though_no_word_came_before_it)
{
	uint32_t a;
	struct tcp_conn *c = env_accepted(e, 0, lane, &a);
	uint32_t handle = env_sock(e, 0, a)->ism_handle;

	fake_rx(e->I->stack, c, "GET", 3);
	ism_flush(e->I);
	atomic_fetch_or(&env_sock(e, 0, a)->fl, NPP_FL_TAKEN);
	env_sock(e, 0, a)->rx_tail = 3;
	program_write(a, 300);
	env_sock(e, 0, a)->pend_in = NPP_IN_TX;
	env_sock(e, 0, a)->refs = 0;
	ck_assert_uint_ne(handle, ISM_NONE);
	e->I->host[0]->scan_due = true;
	nk_thread_raise(&e->I->nk, e->I->th_scan);
	env_run(e);
	ck_assert(fake_closed(e->I->stack, c));
	ck_assert_uint_eq(c->tx_head, 300);
}
END_TEST

/* Waiting in the queue, or just being claimed: nobody has had it yet. */
START_TEST(connection_that_no_program_has_taken_survives_an_overflow)
{
	uint32_t a;
	struct tcp_conn *c = env_accepted(e, 0, lane, &a);

	env_sock(e, 0, a)->refs = 0;
	e->I->host[0]->scan_due = true;
	nk_thread_raise(&e->I->nk, e->I->th_scan);
	env_run(e);
	ck_assert(!fake_closed(e->I->stack, c));
}
END_TEST

START_TEST(messages_to_a_full_lane_of_the_osm_are_kept)
{
	struct npp_msg m;
	int n = 0;

	for (int i = 0; i < 100; i++) {
		m = env_msg(e, 0, NPP_MSG_UNLISTEN, 9, 0);
		m.cookie = (uint64_t)i;
		env_post(e, 0, 0, m);
		env_run(e);
	}
	for (int turn = 0; turn < 3; turn++) {
		while (env_get(e, 0, 0, &m)) {
			ck_assert_uint_eq(m.type, NPP_MSG_UNLISTENED);
			ck_assert_uint_eq(m.cookie, n);
			n++;
		}
		env_house(e);
	}
	ck_assert_int_eq(n, 100);
}
END_TEST

START_TEST(context_that_comes_again_with_a_new_lane_is_heard)
{
	struct npp_msg m;

	subscribe(1, 0, 3, NPP_SUB_RX);
	for (int i = 0; i < 3; i++) {
		env_sock(e, 0, 1)->pend_out = 0;
		fake_accept(e->I->stack, env_listener(e, 80), (uint16_t)(5000 + i));
		ism_flush(e->I);
		ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
		env_post(e, 0, 0, (struct npp_msg){ .type = NPP_MSG_CTX_GONE, .arg = 3 });
		env_lane(e, 0, 3);
		if (i)
			env_run(e); /* the first time the new lane is there before the message */
	}
}
END_TEST

/* ---- greeting ------------------------------------------------------------------------------------------ */

START_TEST(hello_waits_for_the_lane_of_the_osm)
{
	struct npp_msg m;

	ck_assert_int_eq(env_attach_raw(e, 1), 0);
	env_house(e);
	ck_assert_uint_eq(e->I->r->host[1].state, ISM_HOST_MAPPED);
	env_lane(e, 1, 0);
	atomic_store(&e->host[1].h->attach[ENV_SLOT / NPP_MAX_IOPS].state, 1); /* a lane of an attachment before */
	env_house(e);
	ck_assert_uint_eq(e->I->r->host[1].state, ISM_HOST_MAPPED);
	atomic_store(&e->host[1].h->attach[ENV_SLOT / NPP_MAX_IOPS].state, 2);
	env_house(e);
	ck_assert(env_expect(e, 1, 0, NPP_MSG_HELLO, &m));
	ck_assert_uint_eq(m.arg2, NPP_ISM_HANDLE_BITS);
	ck_assert_uint_eq(e->I->r->host[1].state, ISM_HOST_GREETED);
}
END_TEST

START_TEST(same_host_again_keeps_its_connections)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_msg m;

	fake_rx(e->I->stack, c, data, 500);
	ism_flush(e->I);
	ck_assert_int_eq(env_attach_raw(e, 0), 0);
	env_house(e);
	ck_assert(env_expect(e, 0, 0, NPP_MSG_HELLO, &m));
	ck_assert_uint_eq(m.flags, 0);
	fake_rx(e->I->stack, c, data + 500, 500);
	ism_flush(e->I);
	program_read(sock, 1000, 0);
	post(NPP_MSG_CLOSE, sock, 0, 0);
	ck_assert(fake_closed(e->I->stack, c));
}
END_TEST

START_TEST(successor_takes_the_region_over)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct stack_env env = { .stats = e->stats, .global = &e->global, .neigh = &e->neigh };
	struct ism *old = e->I, *new = ism_new();
	struct npp_msg m;
	uint64_t free_bytes;

	fake_rx(old->stack, c, data, 5000);
	ism_flush(old);
	fake_rx(old->stack, c, data + 5000, 500); /* not yet published */
	free_bytes = old->r->host[0].heap.free;
	env_ctx(e, 0, 3)->sleeping = 1;
	/* It dies: what it had mapped is gone. */
	ism_host_unmap(old, 0);
	new->start = e->start;
	new->start.restart = 1;
	new->bells[1] = old->bells[1];
	ck_assert_int_eq(ism_attach(new, e->region, e->region_size, &new->start, &env, nk_clock_us()), 0);
	free(old);
	e->I = new;
	ism_run_setup(new);
	ck_assert_int_eq(env_attach_raw(e, 0), 0);
	ck_assert_uint_eq(new->r->host[0].heap.free, free_bytes);
	env_house(e);
	env_house(e);
	ck_assert(env_expect(e, 0, 0, NPP_MSG_HELLO, &m));
	ck_assert_uint_eq(m.flags, 0);
	ism_flush(new);
	ck_assert(env_rung(e, 0, 3)); /* it may have been told and not woken */
	program_read(sock, 5500, 0);
	post(NPP_MSG_CLOSE, sock, 0, 0);
	ck_assert(fake_closed(new->stack, c));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ismsock_host");
	TCase *t;

	t = bench_case(s, "torn");
	tcase_add_test(t, host_that_tears_its_memory_loses_only_itself);

	t = bench_case(s, "overflow");
	tcase_add_test(t, overflow_makes_us_look_at_everything);
	tcase_add_test(t, lost_close_is_noticed);
	tcase_add_test(t, lost_close_is_noticed_though_no_word_came_before_it);
	tcase_add_test(t, connection_that_no_program_has_taken_survives_an_overflow);
	tcase_add_test(t, messages_to_a_full_lane_of_the_osm_are_kept);
	tcase_add_test(t, context_that_comes_again_with_a_new_lane_is_heard);

	t = bench_case(s, "greeting");
	tcase_add_test(t, hello_waits_for_the_lane_of_the_osm);
	tcase_add_test(t, same_host_again_keeps_its_connections);
	tcase_add_test(t, successor_takes_the_region_over);
	return npp_suite_run(s);
}
