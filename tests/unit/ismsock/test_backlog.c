/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_backlog.c - data of connections that nobody accepts: how much memory it may have
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "tests/unit/ismsock/env.h"
#include "tests/unit/suite.h"

#define PORTS 3		/* from 80 on, in records 1, 2, 3 */

static struct env *e;
static struct npp_accept_lane *lane[PORTS];
static struct ism_host *hs;
static uint8_t data[64 << 10];

static void setup(void)
{
	e = env_new(1);
	env_attach(e, 0);
	env_lane(e, 0, 3);
	for (uint32_t i = 0; i < PORTS; i++)
		lane[i] = env_listen(e, 0, 1 + i, (uint16_t)(80 + i), 64, 64);
	hs = ism_hst(e->I, 0);
	fake_raddr = 0x0200000a;
	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void teardown(void)
{
	env_free(e);
}

/* The OSM has refused to lend more. */
static void no_more(void)
{
	hs->asked_us = e->I->now_us;
	hs->ask_backoff_us = 1000000;
}

/* A connection at port 80 + AT; what of LEN bytes finds room. */
static uint32_t come(unsigned at, uint32_t len, struct tcp_conn **c)
{
	struct tcp_conn *n = fake_accept(e->I->stack, env_listener(e, (uint16_t)(80 + at)), 5000);
	uint32_t got = 0, k;

	ck_assert_ptr_nonnull(n);
	if (c)
		*c = n;
	while (got < len && (k = fake_rx(e->I->stack, n, data + got, len - got < 1460 ? len - got : 1460)) > 0) {
		got += k;
		ism_flush(e->I);
	}
	env_run(e);
	return got;
}

static uint64_t held(unsigned at)
{
	return (uint64_t)ism_sess_find(e->I, 0, 1 + at)->billed * ISM_PAGE;
}

START_TEST(a_program_that_never_accepts_leaves_memory_to_the_others)
{
	uint32_t first = 0, whole = 0;
	struct tcp_conn *c;

	if (_i)
		no_more();
	for (unsigned i = 0; i < 50; i++) {
		uint32_t got = come(0, sizeof data, NULL);

		whole += got == sizeof data;
		first += got >= 4096;
	}
	ck_assert_uint_ge(whole, 4);
	ck_assert_uint_ge(first, _i ? 20 : 40);
	ck_assert_uint_le(held(0), _i ? ENV_EXTENT / 8 : ENV_HEAP / 8 / e->I->n_iops);
	ck_assert_uint_ge(held(0), _i ? ENV_EXTENT / 20 : ENV_HEAP / 20 / e->I->n_iops);
	ck_assert_uint_gt(env_stat(e, NPP_IS_BACKLOG_REFUSED), 0);
	env_house(e);
	ck_assert_uint_eq(env_stat(e, NPP_IS_BACKLOG_BYTES), held(0));
	ck_assert_uint_ge(hs->heap.free, hs->heap.lent / 2);
	ck_assert_uint_eq(come(1, sizeof data, &c), sizeof data);
	ck_assert_ptr_eq(ism_audit(e->I), NULL);
}
END_TEST

START_TEST(what_was_accepted_is_billed_no_more_and_grows)
{
	struct tcp_conn *c, *other;
	uint32_t got, sock;
	uint64_t before;

	no_more();
	do {
		got = come(0, sizeof data, &c);
	} while (got == sizeof data);
	ck_assert_uint_lt(got, sizeof data);
	sock = c->user_sock;
	before = held(0);
	env_sock(e, 0, sock)->refs = 1;	/* the program takes it */
	for (uint32_t i = 0; i <= lane[0]->mask; i++)
		if (NPP_ACCEPT_SOCK(lane[0]->entry[i]) == sock)
			lane[0]->entry[i] = 0;
	ck_assert_uint_eq(fake_rx(e->I->stack, c, data + got, sizeof data - got), sizeof data - got);
	ck_assert_uint_lt(held(0), before);
	env_sock(e, 0, sock)->refs = 0;
	env_sock(e, 0, sock)->rx_tail = sizeof data;
	env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_CLOSE, sock, 0));
	env_run(e);
	before = held(0);
	for (uint32_t i = 0; i <= lane[0]->mask; i++)	/* all the others, which have nothing more to say */
		if (lane[0]->entry[i]) {
			env_sock(e, 0, NPP_ACCEPT_SOCK(lane[0]->entry[i]))->refs = 1;
			lane[0]->entry[i] = 0;
		}
	ck_assert_uint_eq(held(0), before);
	for (int i = 0; i < 40; i++)
		ism_sweep_thread(&e->I->nk, e->I);
	ck_assert_uint_eq(held(0), 0);
	ck_assert_uint_eq(come(0, sizeof data, &other), sizeof data);
	ck_assert_ptr_eq(ism_audit(e->I), NULL);
}
END_TEST

START_TEST(each_listener_has_some_whatever_the_others_hold)
{
	no_more();
	for (unsigned i = 0; i < 24; i++) {
		fake_raddr = 0x0200000a + (i << 8);
		come(0, sizeof data, NULL);
		come(1, sizeof data, NULL);
	}
	ck_assert_uint_eq(held(0) + held(1), (uint64_t)hs->backlog_pages * ISM_PAGE);
	ck_assert_uint_ge(held(0) + held(1), ENV_EXTENT / 10);
	hs->backlog_pages += 1000;	/* of listeners that there are no more */
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_ge(come(2, 4096, NULL), 4096);
	hs->backlog_pages -= 1000;
	ck_assert_ptr_eq(ism_audit(e->I), NULL);
}
END_TEST

START_TEST(beyond_half_only_prefixes_within_their_share_have_some)
{
	no_more();
	hs->n_peers += 7;	/* others have some as well: an eighth of a half for each */
	for (unsigned i = 0; i < 40; i++)
		come(0, sizeof data, NULL);
	ck_assert_uint_eq(come(0, 4096, NULL), 0);
	ck_assert_uint_ge(held(0), ENV_EXTENT / 16 - ISM_PAGE * 17);
	ck_assert_uint_lt(held(0), ENV_EXTENT / 8 - ISM_PAGE * 17);
	fake_raddr = 0x0200630a;
	ck_assert_uint_eq(come(0, 4096, NULL), 4096);
	hs->n_peers -= 7;
	ck_assert_ptr_eq(ism_audit(e->I), NULL);
}
END_TEST

START_TEST(a_successor_counts_the_same)
{
	uint64_t before;

	for (unsigned i = 0; i < 5; i++)
		come(0, 20000, NULL);
	before = held(0);
	ck_assert_uint_ge(before, 5 * 16384);
	ism_sess_find(e->I, 0, 1)->billed = 77;
	hs->backlog_pages = 99;
	ck_assert_ptr_nonnull(ism_audit(e->I));
	ck_assert_int_eq(ism_attach(e->I, e->region, e->region_size, &e->start, &e->I->env, e->I->now_us), 0);
	ck_assert_uint_eq(held(0), before);
	ck_assert_uint_eq((uint64_t)hs->backlog_pages * ISM_PAGE, before);
}
END_TEST

START_TEST(a_listener_that_ends_owes_nothing)
{
	for (unsigned i = 0; i < 5; i++)
		come(0, 20000, NULL);
	ck_assert_uint_gt(hs->backlog_pages, 0);
	env_post(e, 0, 0, env_msg(e, 0, NPP_MSG_UNLISTEN, 1, 0));
	env_run(e);
	ck_assert_uint_eq(hs->backlog_pages, 0);
	ck_assert_ptr_eq(ism_audit(e->I), NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("backlog");
	TCase *t = tcase_create("backlog");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_program_that_never_accepts_leaves_memory_to_the_others, 0, 2);
	tcase_add_test(t, what_was_accepted_is_billed_no_more_and_grows);
	tcase_add_test(t, each_listener_has_some_whatever_the_others_hold);
	tcase_add_test(t, beyond_half_only_prefixes_within_their_share_have_some);
	tcase_add_test(t, a_successor_counts_the_same);
	tcase_add_test(t, a_listener_that_ends_owes_nothing);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
