/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_urgent.c - urgent marks between socket records and the stack, which is fake
 */
#include "config.h"

#include <errno.h>

#include "shm/lock.h"
#include "tests/unit/ismsock/env.h"
#include "tests/unit/suite.h"

static struct env *e;
static struct tcp_conn *c;
static struct npp_sock *rec;
static uint8_t data[1000];

static void setup(void)
{
	e = env_new(1);
	env_attach(e, 0);
	env_lane(e, 0, 3);
	env_listen(e, 0, 1, 80, 16, 8);
	c = fake_accept(e->I->stack, env_listener(e, 80), 5000);
	rec = env_sock(e, 0, ENV_LENT);
	fake_tx_up = 0;
}

static void teardown(void)
{
	env_free(e);
}

static void announce(uint32_t off)
{
	e->I->env.ops->urgent(e->I, c, off, false);
}

static void post(unsigned type, uint32_t arg)
{
	env_post(e, 0, 3, env_msg(e, 0, type, ENV_LENT, arg));
	env_run(e);
}

/* As a program does it: the mark first. */
static void write_urgent(uint32_t n, bool mark)
{
	rec->tx_urg = rec->tx_head + n;
	rec->pend_in |= mark ? NPP_IN_URG : 0;
	rec->tx_head += n;
	rec->pend_in |= NPP_IN_TX;
	post(NPP_MSG_LOOK, 0);
}

START_TEST(a_mark_stands_in_the_record_and_is_counted)
{
	struct npp_msg m;

	rec->sub[0] = 4 | NPP_SUB_URG;
	announce(700);
	ck_assert_uint_eq(NPP_URG_OFF(rec->urg), 700);
	ck_assert_uint_eq(NPP_URG_N(rec->urg), 1);
	ck_assert(!(rec->urg & NPP_URG_HERE));
	env_run(e);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert_uint_eq(m.arg, NPP_OUT_URG);
	e->I->env.ops->urgent(e->I, c, 700, true);
	ck_assert_uint_eq(rec->urg, NPP_URG(700, 1) | NPP_URG_HERE);
	announce(800);
	ck_assert_uint_eq(rec->urg, NPP_URG(800, 2));
	e->I->env.ops->urgent(e->I, c, 700, true); /* of an earlier one */
	ck_assert_uint_eq(rec->urg, NPP_URG(800, 2));
}
END_TEST

START_TEST(who_reads_is_not_woken_by_a_mark)
{
	rec->sub[0] = 4 | NPP_SUB_RX | NPP_SUB_TX;
	announce(5);
	env_run(e);
	ck_assert(!env_expect(e, 0, 3, NPP_MSG_EVENT, &(struct npp_msg){ 0 }));
	e->I->env.ops->urgent(e->I, c, 5, true);
	env_run(e);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &(struct npp_msg){ 0 }));
}
END_TEST

START_TEST(a_reader_before_an_urgent_byte_is_put_behind_it_by_the_next_one)
{
	announce(0);
	fake_rx(e->I->stack, c, data, 10);
	announce(10);
	ck_assert_uint_eq(rec->rx_tail, 1);
	ck_assert_uint_eq(c->rx_tail, 1);
	announce(11); /* it does not stand before 10 */
	ck_assert_uint_eq(rec->rx_tail, 1);
	ck_assert_uint_eq(rec->rx_lock, 0);
}
END_TEST

START_TEST(nobody_is_moved_who_wants_it_inline_or_has_it_behind_him_or_reads)
{
	announce(0);
	fake_rx(e->I->stack, c, data, 10);
	rec->opt_flags |= NPP_OPT_OOBINLINE;
	announce(5);
	ck_assert_uint_eq(rec->rx_tail, 0);
	rec->opt_flags = 0;
	rec->rx_tail = 5;
	rec->urg_seen = 2 | NPP_URG_PAST;
	announce(6);
	ck_assert_uint_eq(rec->rx_tail, 5);
	rec->rx_tail = 6;
	rec->rx_lock = 4;
	announce(8);
	ck_assert_uint_eq(rec->rx_tail, 6);
	rec->rx_lock = 0;
	rec->rx_tail = 10; /* nothing more to read */
	announce(10);
	announce(12);
	ck_assert_uint_eq(rec->rx_tail, 10);
}
END_TEST

START_TEST(what_is_received_and_not_yet_told_is_told_with_the_step)
{
	announce(0);
	fake_rx(e->I->stack, c, data, 1);
	rec->rx_head = 0; /* as between two events of one batch */
	announce(1);
	ck_assert_uint_eq(rec->rx_head, 1);
	ck_assert_uint_eq(rec->rx_tail, 1);
}
END_TEST

START_TEST(the_programs_mark_reaches_the_stack_with_its_bytes)
{
	post(NPP_MSG_NEED_RING, 100);
	write_urgent(10, true);
	ck_assert_uint_eq(fake_tx_up, 10);
	ck_assert_uint_eq(c->tx_head, 10);
	write_urgent(10, false);
	ck_assert_uint_eq(fake_tx_up, 10);
	ck_assert_uint_eq(rec->pend_in, 0);
}
END_TEST

START_TEST(shutdown_and_close_bring_a_mark_that_nobody_told_of)
{
	post(NPP_MSG_NEED_RING, 100);
	rec->tx_urg = rec->tx_head = 4;
	rec->pend_in = NPP_IN_URG | NPP_IN_TX;
	post(NPP_MSG_SHUTDOWN, 4);
	ck_assert_uint_eq(fake_tx_up, 4);
	ck_assert_uint_eq(c->tx_head, 4);
}
END_TEST

START_TEST(a_mark_seen_twice_does_no_harm_and_one_that_lies_ends_the_connection)
{
	post(NPP_MSG_NEED_RING, 100);
	write_urgent(10, true);
	fake_ack(e->I->stack, c, 10);
	fake_tx_up = 0;
	rec->pend_in = NPP_IN_URG;
	post(NPP_MSG_LOOK, 0);
	ck_assert_uint_eq(fake_tx_up, 0);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PROTO_ERRORS), 0);
	rec->tx_urg = 10 + rec->tx_ring.size + 1;
	rec->pend_in = NPP_IN_URG;
	post(NPP_MSG_LOOK, 0);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PROTO_ERRORS), 1);
	ck_assert_int_eq(rec->err, EPROTO);
}
END_TEST

START_TEST(a_new_connection_has_no_marks)
{
	announce(3);
	rec->tx_urg = 9;
	rec->urg_seen = 7;
	fake_free(e->I->stack, c, 0);
	post(NPP_MSG_CLOSE, 0);
	for (int i = 0; i < 400; i++) {
		struct tcp_conn *d = fake_accept(e->I->stack, env_listener(e, 80), (uint16_t)(6000 + i));
		struct npp_sock *r;

		if (!d)
			break;
		r = env_sock(e, 0, d->user_sock);
		ck_assert_uint_eq(r->urg, 0);
		ck_assert_uint_eq(r->tx_urg, 0);
		ck_assert_uint_eq(r->urg_seen, 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ismsock_urgent");
	TCase *tc = tcase_create("urgent");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_mark_stands_in_the_record_and_is_counted);
	tcase_add_test(tc, who_reads_is_not_woken_by_a_mark);
	tcase_add_test(tc, a_reader_before_an_urgent_byte_is_put_behind_it_by_the_next_one);
	tcase_add_test(tc, nobody_is_moved_who_wants_it_inline_or_has_it_behind_him_or_reads);
	tcase_add_test(tc, what_is_received_and_not_yet_told_is_told_with_the_step);
	tcase_add_test(tc, the_programs_mark_reaches_the_stack_with_its_bytes);
	tcase_add_test(tc, shutdown_and_close_bring_a_mark_that_nobody_told_of);
	tcase_add_test(tc, a_mark_seen_twice_does_no_harm_and_one_that_lies_ends_the_connection);
	tcase_add_test(tc, a_new_connection_has_no_marks);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
