/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_reclaim.c - memory for rings is short: who may have some, who has to give it back
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shm/lock.h"
#include "tests/unit/ismsock/env.h"
#include "tests/unit/suite.h"

static struct env *e;
static struct npp_accept_lane *lane;
static struct ism_host *hs;
static uint32_t ballast[ENV_EXTENT / ISM_PAGE], n_ballast;
static uint8_t data[64 << 10];

static void setup(void)
{
	e = env_new(1);
	env_attach(e, 0);
	env_lane(e, 0, 3);
	lane = env_listen(e, 0, 1, 80, 16, 8);
	hs = ism_hst(e->I, 0);
	e->global.tcp_wmem = (struct npp_tcp_mem){ 4096, 65536, 2 << 20 };
	n_ballast = 0;
	fake_raddr = 0x0200000a;
	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void teardown(void)
{
	while (n_ballast > 0)
		ism_block_put(e->I, 0, ISM_PEER_NONE, ballast[--n_ballast], 0);
	env_free(e);
}

/* Memory that nobody can be made to give back, until no more than FREE bytes are left; and the
 * OSM has refused to lend more. */
static void fill(uint64_t free)
{
	while (hs->heap.free > free)
		ballast[n_ballast++] = ism_block_get(e->I, 0, 0);
	hs->asked_us = e->I->now_us;
	hs->ask_backoff_us = 1000000;
}

/* A connection with BYTES of transmit ring and USED in it that the peer does not take, for AGE_MS. */
static struct tcp_conn *holder(uint32_t bytes, uint32_t used, uint32_t age_ms, uint32_t *sock)
{
	struct tcp_conn *c = env_accepted(e, 0, lane, sock);
	struct ism_sess *s = ism_sess_find(e->I, 0, *sock);
	struct npp_sock *rec = env_sock(e, 0, *sock);

	rec->sndbuf = bytes;
	while (ism_tx_size(s) < bytes)
		ck_assert(ism_ring_grow_tx(e->I, s, c, bytes));
	memcpy(env_at(e, 0, rec->tx_ring.off), data, used < sizeof data ? used : sizeof data);
	rec->tx_head = used;
	rec->pend_in = NPP_IN_TX;
	env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_LOOK, *sock, 0));
	env_run(e);
	ck_assert_uint_eq(c->tx_head, used);
	s->mark_ms -= age_ms;
	return c;
}

/* So many turns over all sessions. */
static void turns(int n)
{
	for (int i = 0; i < n; i++)
		ism_sweep_thread(&e->I->nk, e->I);
	env_run(e);
}

static bool lives(uint32_t sock)
{
	return !(env_sock(e, 0, sock)->rx_flags & (NPP_RXF_RESET | NPP_RXF_CLOSED));
}

START_TEST(levels_follow_what_is_free)
{
	ck_assert_int_eq(ism_mem_level(hs), ISM_MEM_EASY);
	fill(hs->heap.lent / 2);
	ck_assert_int_eq(ism_mem_level(hs), ISM_MEM_EASY);
	fill(hs->heap.lent / 2 - ISM_PAGE);
	ck_assert_int_eq(ism_mem_level(hs), ISM_MEM_TIGHT);
	fill(hs->heap.lent / 4 - ISM_PAGE);
	ck_assert_int_eq(ism_mem_level(hs), ISM_MEM_SHORT);
	env_house(e);
	ck_assert_uint_eq(env_stat(e, NPP_IS_MEM_LEVEL), ISM_MEM_SHORT);
	hs->asked_us = 0; /* the OSM lends on */
	ck_assert_int_eq(ism_mem_level(hs), ISM_MEM_EASY);
	env_house(e);
	ck_assert_uint_eq(env_stat(e, NPP_IS_MEM_LEVEL), 0);
}
END_TEST

START_TEST(who_is_short_asks_again_without_anybody_in_need)
{
	struct npp_msg m;

	fill(hs->heap.lent / 2 - ISM_PAGE);
	while (env_expect(e, 0, 0, NPP_MSG_NEED_EXTENT, &m))
		;
	turns(1);
	ck_assert(!env_expect(e, 0, 0, NPP_MSG_NEED_EXTENT, &m)); /* it had no time to answer */
	hs->asked_us -= 1000000;
	turns(1);
	ck_assert(env_expect(e, 0, 0, NPP_MSG_NEED_EXTENT, &m));
	env_post(e, 0, 0, (struct npp_msg){ .type = NPP_MSG_EXTENT, .off = env_alloc(e, 0, 1 << 20, 4096),
					    .arg2 = 1 << 20 });
	env_run(e);
	ck_assert_int_eq(ism_mem_level(hs), ISM_MEM_EASY);
	turns(2);
	ck_assert(!env_expect(e, 0, 0, NPP_MSG_NEED_EXTENT, &m));
}
END_TEST

START_TEST(the_oldest_holder_is_ended_and_its_program_told)
{
	uint32_t old, young, busy;
	struct npp_msg m;
	struct tcp_conn *c;

	holder(2 << 20, 2 << 20, 60000, &old);
	holder(65536, 65536, 3000, &young);
	c = holder(65536, 65536, 0, &busy);
	env_sock(e, 0, old)->sub[0] = (3 + 1) | NPP_SUB_RX | NPP_SUB_TX;
	fill(hs->heap.lent / 4 - ISM_PAGE);
	turns(2);
	ck_assert_int_eq(lives(old), false);
	ck_assert_int_eq(env_sock(e, 0, old)->err, ETIMEDOUT);
	ck_assert_uint_eq(env_sock(e, 0, old)->tx_ring.off, 0); /* at once, not when the program closes */
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert_uint_eq(m.sock, old);
	ck_assert(lives(young) && lives(busy));
	ck_assert_uint_eq(env_stat(e, NPP_IS_MEM_ENDED), 1);
	ck_assert_uint_gt(hs->heap.free, hs->heap.lent / 4);
	ck_assert_uint_eq(c->tx_head, 65536);
}
END_TEST

START_TEST(nobody_is_ended_while_more_can_be_had)
{
	uint32_t old;

	holder(65536, 65536, 60000, &old);
	fill(hs->heap.lent / 4 - ISM_PAGE);
	hs->asked_us = 0;
	turns(4);
	ck_assert(lives(old));
	hs->asked_us = e->I->now_us;
	turns(2);
	ck_assert(!lives(old));
}
END_TEST

START_TEST(who_moves_a_page_is_young_again)
{
	uint32_t slow, creeping;
	struct tcp_conn *c = holder(65536, 65536, 60000, &slow), *d = holder(65536, 65536, 60000, &creeping);

	fill(hs->heap.lent / 4 - ISM_PAGE);
	fake_ack(e->I->stack, c, ISM_PAGE);
	fake_ack(e->I->stack, d, 100);
	ism_flush(e->I);
	turns(3);
	ck_assert(lives(slow));
	ck_assert(!lives(creeping));
}
END_TEST

START_TEST(a_quiet_time_before_does_not_count)
{
	uint32_t sock;
	struct tcp_conn *c = holder(65536, 1000, 0, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);

	fake_ack(e->I->stack, c, 1000);
	ism_flush(e->I);
	ism_sess_find(e->I, 0, sock)->mark_ms -= 60000; /* nothing was to be sent for a minute */
	rec->tx_head += 1000;
	rec->pend_in = NPP_IN_TX;
	env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_LOOK, sock, 0));
	env_run(e);
	fill(hs->heap.lent / 4 - ISM_PAGE);
	turns(3);
	ck_assert(lives(sock));
}
END_TEST

START_TEST(prefixes_beyond_their_share_come_first)
{
	uint32_t heavy[3], light;

	fake_raddr = 0x0200010a; /* 10.1.0.2 */
	holder(65536, 65536, 60000, &light);
	fake_raddr = 0x0200020a; /* 10.2.0.2: has more than a quarter */
	for (int i = 0; i < 3; i++)
		holder(1 << 20, 1 << 20, 4000, &heavy[i]);
	if (_i)
		turns(1); /* in which nobody is weighed, for memory is not short */
	fill(hs->heap.lent / 4 - ISM_PAGE);
	turns(2);
	ck_assert(lives(light)); /* though it is older */
	ck_assert_uint_ge(env_stat(e, NPP_IS_MEM_ENDED), 1);
}
END_TEST

START_TEST(a_prefix_of_peers_is_48_bits_of_ipv6)
{
	union npp_addr a, b;

	ck_assert_int_eq(npp_addr_parse("2001:db8:1:2::3", &a) | npp_addr_parse("2001:db8:1:ff00:1::4", &b), 0);
	ck_assert_uint_eq(ism_peer_of(e->I, &a), ism_peer_of(e->I, &b));
	ck_assert_int_eq(npp_addr_parse("2001:db8:2:2::3", &b), 0);
	ck_assert_uint_ne(ism_peer_of(e->I, &a), ism_peer_of(e->I, &b));
}
END_TEST

START_TEST(the_last_eighth_is_for_prefixes_within_their_share)
{
	uint16_t hog = ism_peer_of(e->I, &(union npp_addr){ .q = { 0, 0 } });
	union npp_addr a = npp_addr_v4(0x0200030a);
	uint16_t other = ism_peer_of(e->I, &a);
	uint32_t blk[ENV_EXTENT / ISM_PAGE], n = 0, b;
	unsigned order;

	a.b[15] = 77;
	ck_assert_uint_eq(ism_peer_of(e->I, &a), other); /* the same /24 */
	ck_assert_uint_ne(hog, other);
	fill(hs->heap.free);
	while ((blk[n] = ism_block_between(e->I, 0, hog, ISM_RING_FIRST, ISM_RING_FIRST, false, &order)) != ISM_BLK_NONE)
		n++;
	ck_assert_uint_ge(hs->heap.free, hs->heap.lent / 8);
	ck_assert_uint_le(hs->heap.free, hs->heap.lent / 8 + ISM_PAGE);
	ck_assert_uint_eq(env_stat(e, NPP_IS_MEM_REFUSED), 1);
	b = ism_block_between(e->I, 0, other, ISM_RING_FIRST, ISM_RING_FIRST, false, &order);
	ck_assert_uint_ne(b, ISM_BLK_NONE);
	ism_block_put(e->I, 0, other, b, order);
	while (n > 0)
		ism_block_put(e->I, 0, hog, blk[--n], 0);
	ck_assert_uint_eq(hs->n_peers, 0);
}
END_TEST

START_TEST(rings_of_heavy_prefixes_do_not_grow_while_memory_is_tight)
{
	uint16_t hog = 5;
	unsigned order;
	uint32_t b;

	ism_peer_charge(hs, hog, (int32_t)(hs->heap.lent / ISM_PAGE / 2));
	fill(hs->heap.lent / 2 - ISM_PAGE);
	b = ism_block_between(e->I, 0, hog, ISM_RING_FIRST, ISM_RING_PLENTY, false, &order);
	ck_assert_uint_ne(b, ISM_BLK_NONE);
	ck_assert_uint_eq(order, 0);
	ism_block_put(e->I, 0, hog, b, order);
	b = ism_block_between(e->I, 0, 6, ISM_RING_FIRST, ISM_RING_PLENTY, false, &order);
	ck_assert_uint_eq(ISM_PAGE << order, ISM_RING_PLENTY);
	ism_block_put(e->I, 0, 6, b, order);
	ism_peer_charge(hs, hog, -(int32_t)(hs->heap.lent / ISM_PAGE / 2));
}
END_TEST

START_TEST(a_large_ring_with_little_in_it_shrinks_and_keeps_its_bytes)
{
	uint32_t sock;
	struct tcp_conn *c = holder(1 << 20, 10000, 0, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);

	fake_ack(e->I->stack, c, 3000);
	ism_flush(e->I);
	fill(hs->heap.lent / 2 - ISM_PAGE);
	npp_lock_try(&rec->tx_lock, 4);
	turns(1);
	ck_assert_uint_eq(rec->tx_ring.size, 1 << 20); /* a program is writing */
	npp_lock_drop(&rec->tx_lock, 4);
	turns(1);
	ck_assert_uint_eq(rec->tx_ring.size, 8192);
	ck_assert_uint_eq(c->tx.size, 8192);
	for (uint32_t i = 3000; i < 10000; i++)
		ck_assert_uint_eq(((uint8_t *)env_at(e, 0, rec->tx_ring.off))[i & 8191], data[i]);
	ck_assert_uint_eq(env_stat(e, NPP_IS_MEM_SHRUNK), 1);
	ck_assert(lives(sock));
}
END_TEST

START_TEST(empty_rings_go_sooner)
{
	uint32_t sock;
	struct tcp_conn *c = holder(65536, 1000, 0, &sock);
	struct ism_sess *s = ism_sess_find(e->I, 0, sock);

	fake_ack(e->I->stack, c, 1000);
	ism_flush(e->I);
	s->active_us -= 2 * ISM_IDLE_TIGHT_US;
	turns(1);
	ck_assert_uint_ne(s->tx_blk, ISM_NONE);
	fill(hs->heap.lent / 2 - ISM_PAGE);
	turns(1);
	ck_assert_uint_eq(s->tx_blk, ISM_NONE);
}
END_TEST

/* A connection of a prefix that has its share of tight memory already, with a first receive ring. */
static struct tcp_conn *heavy_one(uint64_t free, uint32_t *sock)
{
	struct tcp_conn *c = env_accepted(e, 0, lane, sock);
	struct ism_sess *s = ism_sess_find(e->I, 0, *sock);

	env_sock(e, 0, *sock)->refs = 1; /* a program has accepted it */
	ism_peer_charge(hs, s->peer, (int32_t)(hs->heap.lent / ISM_PAGE / 2));
	ck_assert_uint_eq(fake_rx(e->I->stack, c, data, 1000), 1000);
	ck_assert_uint_eq(c->rx.size, ISM_RING_FIRST);
	fill(free);
	return c;
}

static void light_again(uint32_t sock)
{
	ism_peer_charge(hs, ism_sess_find(e->I, 0, sock)->peer, -(int32_t)(hs->heap.lent / ISM_PAGE / 2));
}

START_TEST(a_receive_ring_grows_to_what_comes_at_first_whoever_the_peer_is)
{
	uint32_t sock;
	struct tcp_conn *c = heavy_one(hs->heap.lent / 2 - ISM_PAGE, &sock);

	ck_assert_uint_eq(fake_rx(e->I->stack, c, data, 40000), ISM_RING_TIGHT - 1000);
	ck_assert_uint_eq(c->rx.size, ISM_RING_TIGHT);
	fake_rx(e->I->stack, c, data, 40000);
	ck_assert_uint_eq(c->rx.size, ISM_RING_TIGHT); /* no further */
	light_again(sock);
}
END_TEST

START_TEST(the_last_quarter_is_for_first_rings_though)
{
	uint32_t sock;
	struct tcp_conn *c = heavy_one(hs->heap.lent / 4 + ISM_RING_TIGHT - ISM_PAGE, &sock);

	ck_assert_uint_eq(fake_rx(e->I->stack, c, data, 40000), ISM_RING_FIRST - 1000);
	ck_assert_uint_eq(c->rx.size, ISM_RING_FIRST);
	light_again(sock);
}
END_TEST

START_TEST(a_ring_that_cannot_hold_all_grows_to_hold_some)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);

	env_sock(e, 0, sock)->refs = 1;
	fake_rx(e->I->stack, c, data, 1000);
	ck_assert_uint_eq(c->rx.size, ISM_RING_FIRST);
	fill(hs->heap.lent / 4 + 40960); /* 64 KB would be too much */
	ck_assert_uint_eq(fake_rx(e->I->stack, c, data, 40000), 31768);
	ck_assert_uint_eq(c->rx.size, 32768);
}
END_TEST

START_TEST(an_empty_receive_ring_that_has_grown_stays_for_a_second)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct ism_sess *s = ism_sess_find(e->I, 0, sock);

	env_sock(e, 0, sock)->refs = 1;
	fake_rx(e->I->stack, c, data, 1000);
	fake_rx(e->I->stack, c, data, _i ? 9000 : 100);
	ism_flush(e->I);
	env_sock(e, 0, sock)->rx_tail = c->rx_head;
	env_sock(e, 0, sock)->pend_in = NPP_IN_RX;
	env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_LOOK, sock, 0));
	env_run(e);
	fill(hs->heap.lent / 2 - ISM_PAGE);
	s->active_us = e->I->now_us - ISM_IDLE_GROWN_US / 2;
	turns(1);
	ck_assert_int_eq(s->rx_blk != ISM_NONE, _i); /* what will be a first ring again goes at once */
	fill(hs->heap.lent / 2 - ISM_PAGE); /* its transmit ring went */
	s->active_us = e->I->now_us - ISM_IDLE_GROWN_US;
	turns(1);
	ck_assert_uint_eq(s->rx_blk, ISM_NONE);
}
END_TEST

START_TEST(data_out_of_order_is_dropped_and_the_connection_lives)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct ism_sess *s = ism_sess_find(e->I, 0, sock);

	fake_rx(e->I->stack, c, data, 100);
	ism_flush(e->I);
	env_sock(e, 0, sock)->rx_tail = 100;
	env_sock(e, 0, sock)->pend_in = NPP_IN_RX;
	env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_LOOK, sock, 0));
	env_run(e);
	fake_out_of_order(e->I->stack, c, true);
	s->mark = c->rx_head + c->tx_tail;
	s->mark_ms -= 5000;
	fill(hs->heap.lent / 4 - ISM_PAGE);
	turns(2);
	ck_assert_uint_eq(s->rx_blk, ISM_NONE);
	ck_assert_uint_eq(c->rx.size, 0);
	ck_assert(lives(sock));
	ck_assert_uint_eq(env_stat(e, NPP_IS_MEM_PRUNED), 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_MEM_ENDED), 0);
}
END_TEST

START_TEST(what_the_program_does_not_read_is_left_alone)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct ism_sess *s = ism_sess_find(e->I, 0, sock);

	fake_rx(e->I->stack, c, data, 4000);
	ism_flush(e->I);
	s->mark_ms -= 60000;
	fill(hs->heap.lent / 4 - ISM_PAGE);
	turns(3);
	ck_assert(lives(sock));
	ck_assert_uint_ne(s->rx_blk, ISM_NONE);
	ck_assert_uint_eq(env_sock(e, 0, sock)->rx_head, 4000);
}
END_TEST

START_TEST(what_a_closed_connection_still_has_to_send_is_ended_too)
{
	uint32_t sock, conns;

	holder(65536, 65536, 0, &sock);
	env_sock(e, 0, sock)->refs = 0;
	env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_CLOSE, sock, 65536));
	env_run(e);
	conns = fake_conns(e->I->stack);
	ism_sess_find(e->I, 0, sock)->mark_ms -= 5000;
	fill(hs->heap.lent / 4 - ISM_PAGE);
	turns(2);
	ck_assert_uint_eq(fake_conns(e->I->stack), conns - 1);
	ck_assert_ptr_null(ism_sess_find(e->I, 0, sock));
	ck_assert_uint_eq(env_stat(e, NPP_IS_MEM_ENDED), 1);
}
END_TEST

START_TEST(a_successor_counts_prefixes_anew)
{
	uint16_t peer;
	uint32_t sock, pages;

	holder(65536, 65536, 0, &sock);
	peer = ism_sess_find(e->I, 0, sock)->peer;
	ck_assert_uint_lt(peer, ISM_PEERS);
	pages = hs->peer_pages[peer];
	ck_assert_uint_ge(pages, 16);
	hs->peer_pages[peer] = hs->n_peers = 1234;
	ck_assert_ptr_nonnull(ism_audit(e->I));
	ck_assert_int_eq(ism_attach(e->I, e->region, e->region_size, &e->start, &e->I->env, e->I->now_us), 0);
	ck_assert_uint_eq(hs->peer_pages[peer], pages);
	ck_assert_uint_eq(hs->n_peers, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reclaim");
	TCase *t = tcase_create("reclaim");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, levels_follow_what_is_free);
	tcase_add_test(t, a_prefix_of_peers_is_48_bits_of_ipv6);
	tcase_add_test(t, who_is_short_asks_again_without_anybody_in_need);
	tcase_add_test(t, the_oldest_holder_is_ended_and_its_program_told);
	tcase_add_test(t, nobody_is_ended_while_more_can_be_had);
	tcase_add_test(t, who_moves_a_page_is_young_again);
	tcase_add_test(t, a_quiet_time_before_does_not_count);
	tcase_add_loop_test(t, prefixes_beyond_their_share_come_first, 0, 2);
	tcase_add_test(t, the_last_eighth_is_for_prefixes_within_their_share);
	tcase_add_test(t, rings_of_heavy_prefixes_do_not_grow_while_memory_is_tight);
	tcase_add_test(t, a_large_ring_with_little_in_it_shrinks_and_keeps_its_bytes);
	tcase_add_test(t, empty_rings_go_sooner);
	tcase_add_test(t, a_receive_ring_grows_to_what_comes_at_first_whoever_the_peer_is);
	tcase_add_test(t, the_last_quarter_is_for_first_rings_though);
	tcase_add_test(t, a_ring_that_cannot_hold_all_grows_to_hold_some);
	tcase_add_loop_test(t, an_empty_receive_ring_that_has_grown_stays_for_a_second, 0, 2);
	tcase_add_test(t, data_out_of_order_is_dropped_and_the_connection_lives);
	tcase_add_test(t, what_the_program_does_not_read_is_left_alone);
	tcase_add_test(t, what_a_closed_connection_still_has_to_send_is_ended_too);
	tcase_add_test(t, a_successor_counts_prefixes_anew);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
