/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_bounds.c - byte rings keep to what the NPP allows for buffers (tcp: rmem, wmem)
 */
#include "config.h"

#include "tests/unit/ismsock/env.h"
#include "tests/unit/suite.h"

static struct env *e;
static struct tcp_conn *c;
static struct npp_sock *rec;
static uint8_t data[16384];

static void setup(void)
{
	e = env_new(1);
	e->global.tcp_rmem = (struct npp_tcp_mem){ 8192, 16384, 32768 };
	e->global.tcp_wmem = (struct npp_tcp_mem){ 8192, 16384, 32768 };
	env_attach(e, 0);
	env_lane(e, 0, 3);
	env_listen(e, 0, 1, 80, 16, 8);
	c = fake_accept(e->I->stack, env_listener(e, 80), 5000);
	rec = env_sock(e, 0, ENV_LENT);
}

static void teardown(void)
{
	env_free(e);
}

static void need(uint32_t bytes)
{
	env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_NEED_RING, ENV_LENT, bytes));
	env_run(e);
}

START_TEST(a_transmit_ring_begins_with_the_least_and_grows_to_the_most)
{
	need(1);
	ck_assert_uint_eq(rec->tx_ring.size, 8192);
	for (int i = 0; i < 5; i++)
		need(1 << 20);
	ck_assert_uint_eq(rec->tx_ring.size, 32768);
}
END_TEST

START_TEST(a_first_large_write_is_given_the_default)
{
	need(1 << 20);
	ck_assert_uint_eq(rec->tx_ring.size, 16384);
}
END_TEST

START_TEST(what_a_program_sets_is_bound_too)
{
	rec->sndbuf = 1;
	need(1 << 20);
	ck_assert_uint_eq(rec->tx_ring.size, 8192);
	rec->sndbuf = 1 << 20;
	for (int i = 0; i < 5; i++)
		need(1 << 20);
	ck_assert_uint_eq(rec->tx_ring.size, 32768);
}
END_TEST

START_TEST(a_receive_ring_grows_to_the_most)
{
	ck_assert_uint_eq(fake_rx(e->I->stack, c, data, 16384), 16384);
	ck_assert_uint_eq(fake_rx(e->I->stack, c, data, 10000), 10000);
	ck_assert_uint_eq(rec->rx_ring.size, 32768); /* not four times as large */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ismsock_bounds");
	TCase *tc = tcase_create("bounds");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_transmit_ring_begins_with_the_least_and_grows_to_the_most);
	tcase_add_test(tc, a_first_large_write_is_given_the_default);
	tcase_add_test(tc, what_a_program_sets_is_bound_too);
	tcase_add_test(tc, a_receive_ring_grows_to_the_most);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
