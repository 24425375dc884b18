/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_rings.c - the socket ISM: byte rings: data both ways, growth, memory that runs out
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shm/lock.h"
#include "tests/unit/ismsock/bench.h"

/* ---- data -------------------------------------------------------------------------------- */

START_TEST(data_flows_both_ways_and_everything_comes_back)
{
	uint32_t sock, gen, free_bytes = (uint32_t)e->I->r->host[0].heap.free;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);
	struct npp_msg m;

	gen = rec->gen;
	subscribe(sock, 0, 3, NPP_SUB_RX | NPP_SUB_TX);
	ck_assert_uint_eq(fake_rx(e->I->stack, c, data, 1000), 1000);
	env_run(e);
	ism_flush(e->I);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert_uint_eq(m.sock, sock);
	ck_assert_uint_eq(rec->rx_head, 1000);
	program_read(sock, 1000, 0);
	ck_assert_uint_ne(rec->tx_ring.off, 0); /* made with the first data */
	ck_assert_uint_eq(program_write(sock, 500), 500);
	post(NPP_MSG_LOOK, sock, 0, 0);
	ck_assert_uint_eq(c->tx_head, 500);
	fake_ack(e->I->stack, c, 500);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->tx_tail, 500);
	fake_fin(e->I->stack, c);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->rx_flags, NPP_RXF_FIN);
	post(NPP_MSG_CLOSE, sock, 500, 0);
	ck_assert(fake_closed(e->I->stack, c));
	fake_all_acked(e->I->stack, c);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->owner, 0);
	ck_assert_uint_eq(rec->gen, gen + 1);
	ck_assert_uint_eq(c->user_sock, 0);
	ck_assert_uint_eq(e->I->r->host[0].heap.free, free_bytes);
	fake_free(e->I->stack, c, 0);
	ck_assert_uint_eq(errors(), 0);
}
END_TEST

START_TEST(receive_ring_grows_and_keeps_its_content)
{
	uint32_t sock, got = 0;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);

	while (got < 200000) {
		uint32_t n = fake_rx(e->I->stack, c, data + got, 3000);

		ck_assert_uint_eq(n, 3000);
		got += n;
	}
	ism_flush(e->I);
	ck_assert_uint_ge(env_sock(e, 0, sock)->rx_ring.size, 200000);
	program_read(sock, got, 0);
}
END_TEST

START_TEST(receive_ring_becomes_no_larger_by_itself_than_the_stack_says)
{
	static const uint32_t lens[] = { 5000, 20000, 20000, 15000 }, sizes[] = { 8192, 32768, 65536, 65536 };
	uint32_t sock, got = 0;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);

	fake_buf_most = 65536;
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(fake_rx(e->I->stack, c, data + got, lens[i]), lens[i]);
		got += lens[i];
		ck_assert_uint_eq(c->rx.size, sizes[i]);
		ism_flush(e->I);
	}
	/* But all that the window has promised finds room. */
	ck_assert_uint_eq(fake_rx(e->I->stack, c, data + got, 10000), 10000);
	ck_assert_uint_eq(c->rx.size, 131072);
	fake_buf_most = UINT32_MAX;
}
END_TEST

START_TEST(receive_ring_grows_around_bytes_out_of_order)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);

	fake_rx(e->I->stack, c, data, 100);
	ck_assert(fake_rx_at(e->I->stack, c, 10000, data + 10000, 5000));
	ck_assert(fake_rx_at(e->I->stack, c, 60000, data + 60000, 5000));
	ck_assert(fake_rx_at(e->I->stack, c, 100, data + 100, 9900));
	c->rx_head = 15000;
	ck_assert(fake_rx_at(e->I->stack, c, 15000, data + 15000, 45000));
	c->rx_head = 64999;
	fake_rx(e->I->stack, c, data + 64999, 1);
	ism_flush(e->I);
	program_read(sock, 65000, 0);
}
END_TEST

START_TEST(receive_ring_grows_beside_a_reader_who_keeps_the_old_one)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);
	struct npp_ring_desc was;
	const uint8_t *old;

	fake_rx(e->I->stack, c, data, 10000);
	ism_flush(e->I);
	was = rec->rx_ring;
	old = c->rx.base;
	ck_assert(npp_lock_try(&rec->rx_lock, 4)); /* a program is in the middle of its copy */
	ck_assert_uint_eq(fake_rx(e->I->stack, c, data + 10000, 20000), 20000);
	ism_flush(e->I);
	ck_assert_uint_ne(rec->rx_ring.off, was.off);
	ck_assert_uint_eq(rec->rx_ring.seq & 1, 0);
	for (uint32_t i = 0; i < 10000; i++) /* what it was reading stands where it stood */
		ck_assert_uint_eq(old[i & (was.size - 1)], data[i]);
	/* Only one old ring is kept: as long as it is in use the next growth is refused. */
	ck_assert_uint_lt(fake_rx(e->I->stack, c, data + 30000, 200000), 200000);
	ck_assert(npp_lock_drop(&rec->rx_lock, 4));
	ck_assert_uint_gt(fake_rx(e->I->stack, c, data + c->rx_head, 100000), 0);
	ism_flush(e->I);
	program_read(sock, c->rx_head, 0);
}
END_TEST

START_TEST(window_update_is_asked_for_only_when_worth_it)
{
	uint32_t sock, reads;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);

	fake_rx(e->I->stack, c, data, 1000);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->rx_want, 0);
	fake_rx(e->I->stack, c, data + 1000, 10000);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->rx_want, 1);
	ck_assert_uint_eq(rec->rx_wake, 4096);
	reads = fake_reads(e->I->stack, c);
	program_read(sock, 5000, 0);
	rec->pend_in |= NPP_IN_RX;
	post(NPP_MSG_LOOK, sock, 0, 0);
	ck_assert_uint_eq(fake_reads(e->I->stack, c), reads + 1);
	ck_assert_uint_eq(rec->rx_want, 0);
}
END_TEST

START_TEST(need_ring_makes_a_transmit_ring)
{
	uint32_t sock;
	struct npp_sock *rec;
	struct npp_msg m;

	env_accepted(e, 0, lane, &sock);
	rec = env_sock(e, 0, sock);
	subscribe(sock, 0, 3, NPP_SUB_TX);
	ck_assert_uint_eq(rec->tx_ring.off, 0);
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	ck_assert_uint_eq(rec->tx_ring.size, ISM_RING_FIRST);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert_uint_eq(rec->pend_out, NPP_OUT_TX);
}
END_TEST

START_TEST(need_ring_waits_for_a_lock_that_a_program_holds)
{
	uint32_t sock;
	struct npp_sock *rec;

	env_accepted(e, 0, lane, &sock);
	rec = env_sock(e, 0, sock);
	ck_assert(npp_lock_try(&rec->tx_lock, 4));
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	ck_assert_uint_eq(rec->tx_ring.off, 0);
	npp_lock_drop(&rec->tx_lock, 4);
	env_house(e);
	ck_assert_uint_ne(rec->tx_ring.off, 0);
	ck_assert_uint_eq(rec->pend_out, NPP_OUT_TX);
}
END_TEST

/* The program posts NEED_RING only if it finds that nobody waits yet. */
START_TEST(nobody_waits_for_room_in_an_idle_ring_that_is_given_back)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);

	rec->tx_want = 1;
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	ck_assert_uint_ne(rec->tx_ring.off, 0);
	rec->tx_want = 1; /* the program may find the ring before it hears of it, and leave the word */
	e->I->now_us += ISM_IDLE_US + 1;
	e->I->sess[c->user_flags - 1].active_us = 0;
	ism_sweep_thread(&e->I->nk, e->I);
	ck_assert_uint_eq(rec->tx_ring.off, 0);
	ck_assert_uint_eq(rec->tx_want, 0);
}
END_TEST

START_TEST(the_stack_hears_whether_more_will_follow)
{
	uint32_t sock;

	env_accepted(e, 0, lane, &sock);
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	for (int i = 0; i < 4; i++) {
		program_write(sock, 10);
		env_sock(e, 0, sock)->opt_flags ^= NPP_OPT_MORE;
		env_sock(e, 0, sock)->pend_in = NPP_IN_TX;
		post(NPP_MSG_LOOK, sock, 0, 0);
		ck_assert_int_eq(fake_more, !(i & 1));
	}
}
END_TEST

START_TEST(transmit_ring_to_a_slow_peer_stays_small)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);

	fake_tx_useful = ISM_RING_FIRST;
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	ck_assert_uint_eq(program_write(sock, 2 * ISM_RING_FIRST), ISM_RING_FIRST);
	rec->tx_want = 1;
	rec->pend_out = 0;
	post(NPP_MSG_LOOK, sock, 0, 0);
	ck_assert_uint_eq(rec->tx_ring.size, ISM_RING_FIRST);
	ck_assert_uint_eq(rec->tx_want, 1);
	fake_ack(e->I->stack, c, ISM_RING_FIRST / 2); /* there is room again */
	ism_flush(e->I);
	ck_assert_uint_eq(rec->pend_out, NPP_OUT_TX);
	ck_assert_uint_eq(rec->tx_ring.size, ISM_RING_FIRST);
	fake_tx_useful = UINT32_MAX;
}
END_TEST

/* Of growing by four whatever size it began with */
START_TEST(transmit_ring_becomes_no_larger_by_itself_than_the_stack_says)
{
	static const uint32_t sizes[] = { 32768, 65536, 65536 };
	uint32_t sock;
	struct npp_sock *rec;

	env_accepted(e, 0, lane, &sock);
	rec = env_sock(e, 0, sock);
	fake_buf_most = 65536;
	post(NPP_MSG_NEED_RING, sock, 8192, 0);
	ck_assert_uint_eq(rec->tx_ring.size, 8192);
	for (unsigned i = 0; i < 3; i++) {
		program_write(sock, rec->tx_ring.size);
		rec->tx_want = 1;
		post(NPP_MSG_LOOK, sock, 0, 0);
		ck_assert_uint_eq(rec->tx_ring.size, sizes[i]);
	}
	fake_buf_most = UINT32_MAX;
}
END_TEST

/* TCP_NOTSENT_LOWAT */
START_TEST(what_was_not_sent_holds_a_program_back_that_asked_for_it)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);

	post(NPP_MSG_NEED_RING, sock, 100, 0);
	rec->notsent_lowat = 1000;
	fake_tx_sent = 200;
	ck_assert_uint_eq(program_write(sock, 1200), 1200);
	rec->tx_want = 1;
	rec->pend_out = 0;
	post(NPP_MSG_LOOK, sock, 0, 0);
	ck_assert_uint_eq(rec->pend_out & NPP_OUT_TX, 0);
	ck_assert_uint_eq(rec->tx_ring.size, ISM_RING_FIRST);
	fake_ack(e->I->stack, c, 100); /* there is room, but all that is unsent was all the time */
	ism_flush(e->I);
	ck_assert_uint_eq(rec->tx_sent, 200);
	ck_assert_uint_eq(rec->pend_out & NPP_OUT_TX, 0);
	ck_assert_uint_eq(rec->tx_want, 1);
	fake_tx_sent = 701; /* less than half of it is left */
	fake_ack(e->I->stack, c, 0);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->tx_sent, 701);
	ck_assert_uint_eq(rec->pend_out, NPP_OUT_TX);
	ck_assert_uint_eq(rec->tx_want, 0);
	fake_tx_sent = 0;
}
END_TEST

START_TEST(a_program_hears_when_no_more_can_come)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);

	fake_rx_bound = 4;
	fake_rx(e->I->stack, c, "abc", 3);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->rx_full, 0);
	fake_rx(e->I->stack, c, "d", 1);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->rx_full, 1);
	rec->rx_tail = 3;
	fake_rx(e->I->stack, c, "e", 1);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->rx_full, 0);
	fake_rx_bound = UINT32_MAX;
}
END_TEST

START_TEST(close_hands_on_how_long_to_wait_for_the_fin)
{
	uint32_t sock;

	env_accepted(e, 0, lane, &sock);
	env_sock(e, 0, sock)->tries = 7u << 16 | 9u << 24 | 5;
	post(NPP_MSG_CLOSE, sock, 0, 0);
	ck_assert_uint_eq(fake_linger2, 7);
}
END_TEST

START_TEST(transmit_ring_grows_when_filled_and_keeps_its_content)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);

	post(NPP_MSG_NEED_RING, sock, 100, 0);
	program_write(sock, 3000);
	post(NPP_MSG_LOOK, sock, 0, 0);
	fake_ack(e->I->stack, c, 3000);
	ism_flush(e->I);
	ck_assert_uint_eq(program_write(sock, 2 * ISM_RING_FIRST), ISM_RING_FIRST);
	rec->tx_want = 1;
	rec->pend_out = 0;
	post(NPP_MSG_LOOK, sock, 0, 0);
	ck_assert_uint_eq(rec->tx_ring.size, 4 * ISM_RING_FIRST);
	ck_assert_uint_eq(rec->pend_out, NPP_OUT_TX);
	ck_assert_uint_eq(rec->tx_want, 0);
	for (uint32_t i = 3000; i < 3000 + ISM_RING_FIRST; i++)
		ck_assert_uint_eq(c->tx.base[i & (c->tx.size - 1)], data[i]);
}
END_TEST

/* The peer takes nothing: no acknowledgement would be the next occasion. */
START_TEST(transmit_ring_grows_though_a_program_held_its_lock)
{
	uint32_t sock;
	struct npp_sock *rec;

	env_accepted(e, 0, lane, &sock);
	rec = env_sock(e, 0, sock);
	rec->sndbuf = 100000;
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	program_write(sock, ISM_RING_FIRST);
	rec->tx_want = 1;
	rec->pend_out = 0;
	ck_assert(npp_lock_try(&rec->tx_lock, 4));
	post(NPP_MSG_LOOK, sock, 0, 0);
	env_house(e);
	ck_assert_uint_eq(rec->tx_ring.size, ISM_RING_FIRST);
	npp_lock_drop(&rec->tx_lock, 4);
	env_house(e);
	ck_assert_uint_eq(rec->tx_ring.size, 4 * ISM_RING_FIRST);
	ck_assert_uint_eq(rec->pend_out, NPP_OUT_TX);
}
END_TEST

START_TEST(room_is_told_when_a_third_is_free)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);

	rec->sndbuf = ISM_RING_FIRST; /* it may not grow */
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	program_write(sock, ISM_RING_FIRST);
	rec->tx_want = 1;
	rec->pend_out = 0;
	post(NPP_MSG_LOOK, sock, 0, 0);
	fake_ack(e->I->stack, c, 1000);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->pend_out, 0);
	ck_assert_uint_eq(rec->tx_want, 1);
	fake_ack(e->I->stack, c, 6000);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->pend_out, NPP_OUT_TX);
	ck_assert_uint_eq(rec->tx_want, 0);
}
END_TEST

START_TEST(memory_runs_out_and_comes_back)
{
	static uint32_t taken[ISM_CHUNKS * ISM_CHUNK_PAGES];
	uint32_t sock[8], i, n = 0;
	struct npp_msg m;

	/* Take all memory away, in pages. */
	while ((taken[n] = ism_block_get(e->I, 0, 0)) != ISM_NONE)
		n++;
	ck_assert(env_expect(e, 0, 0, NPP_MSG_NEED_EXTENT, &m));
	ck_assert_uint_ge(m.arg, 1 << 20);
	ck_assert(!env_expect(e, 0, 0, NPP_MSG_NEED_EXTENT, &m)); /* asked once */
	for (i = 0; i < 4; i++) {
		env_accepted(e, 0, lane, &sock[i]);
		post(NPP_MSG_NEED_RING, sock[i], 100, 0);
		ck_assert_uint_eq(env_sock(e, 0, sock[i])->tx_ring.off, 0);
	}
	env_post(e, 0, 0, (struct npp_msg){ .type = NPP_MSG_EXTENT, .off = env_alloc(e, 0, 1 << 20, 4096),
					    .arg2 = 1 << 20 });
	env_run(e);
	env_house(e);
	for (i = 0; i < 4; i++)
		ck_assert_uint_ne(env_sock(e, 0, sock[i])->tx_ring.off, 0);
	while (n > 0) /* for the audit */
		ism_block_put(e->I, 0, ISM_PEER_NONE, taken[--n], 0);
}
END_TEST

START_TEST(free_extents_are_given_back_but_for_some)
{
	struct npp_msg m;
	uint64_t off = env_alloc(e, 0, 2 * ENV_EXTENT, 4096);

	env_post(e, 0, 0, (struct npp_msg){ .type = NPP_MSG_EXTENT, .off = off, .arg2 = ENV_EXTENT });
	env_post(e, 0, 0, (struct npp_msg){ .type = NPP_MSG_EXTENT, .off = off + ENV_EXTENT, .arg2 = ENV_EXTENT });
	env_run(e);
	ck_assert_uint_eq(e->I->r->host[0].heap.lent, 3 * ENV_EXTENT);
	for (int i = 0; i < 5; i++)
		ism_sweep_thread(&e->I->nk, e->I);
	ck_assert_uint_eq(e->I->r->host[0].heap.lent, ENV_EXTENT);
	for (int i = 0; i < 2; i++) {
		ck_assert(env_expect(e, 0, 0, NPP_MSG_FREED, &m));
		ck_assert_uint_eq(m.sock, 0);
		ck_assert_uint_eq(m.arg2, ENV_EXTENT);
	}
	ck_assert(!env_expect(e, 0, 0, NPP_MSG_FREED, &m));
}
END_TEST

START_TEST(idle_rings_are_given_back_and_made_again)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);
	uint64_t all = ENV_EXTENT;

	fake_rx(e->I->stack, c, data, 3000);
	ism_flush(e->I);
	program_read(sock, 3000, 0);
	rec->pend_in = NPP_IN_RX;
	post(NPP_MSG_LOOK, sock, 0, 0);
	ck_assert_uint_lt(e->I->r->host[0].heap.free, all);
	e->I->now_us += ISM_IDLE_US + 1;
	e->I->sess[c->user_flags - 1].active_us = 0;
	ism_sweep_thread(&e->I->nk, e->I);
	ck_assert_uint_eq(rec->rx_ring.off, 0);
	ck_assert_uint_eq(rec->tx_ring.off, 0);
	ck_assert_uint_eq(e->I->r->host[0].heap.free, all);
	/* One that was asked for is not taken back before something can be written into it. */
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	ism_sweep_thread(&e->I->nk, e->I);
	ck_assert_uint_ne(rec->tx_ring.off, 0);
	fake_rx(e->I->stack, c, data + 3000, 1000);
	ism_flush(e->I);
	program_read(sock, 1000, 3000);
}
END_TEST

/* ---- lies -------------------------------------------------------------------------------------------- */

/* Peers that only hold memory must leave some to others. */
START_TEST(memory_that_cannot_be_had_anew_is_left_to_small_rings)
{
	struct ism_host *hs = ism_hst(e->I, 0);
	uint32_t blk[256], n = 0, one;
	unsigned order;

	while (hs->heap.free >= hs->heap.lent / 4 + ISM_RING_PLENTY) {
		ck_assert_uint_lt(n, 256);
		blk[n] = ism_block_get(e->I, 0, 4);
		ck_assert_uint_ne(blk[n++], ISM_BLK_NONE);
	}
	hs->asked_us = 0; /* the OSM has not been asked for more, or has just given it */
	one = ism_block_between(e->I, 0, ISM_PEER_NONE, ISM_RING_PLENTY, ISM_RING_PLENTY, false, &order);
	ck_assert_uint_ne(one, ISM_BLK_NONE);
	ism_block_put(e->I, 0, ISM_PEER_NONE, one, order);
	hs->asked_us = 1; /* it has, twice, and has refused */
	hs->ask_backoff_us = 1000000;
	ck_assert_uint_eq(ism_block_between(e->I, 0, ISM_PEER_NONE, ISM_RING_PLENTY, ISM_RING_PLENTY, false, &order), ISM_BLK_NONE);
	one = ism_block_between(e->I, 0, ISM_PEER_NONE, ISM_RING_FIRST, ISM_RING_PLENTY, false, &order);
	ck_assert_uint_ne(one, ISM_BLK_NONE);
	ck_assert_uint_eq(order, 0);
	ism_block_put(e->I, 0, ISM_PEER_NONE, one, order);
	while (n > 0)
		ism_block_put(e->I, 0, ISM_PEER_NONE, blk[--n], 4);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ismsock_rings");
	TCase *t;

	t = bench_case(s, "data");
	tcase_add_test(t, data_flows_both_ways_and_everything_comes_back);
	tcase_add_test(t, receive_ring_grows_and_keeps_its_content);
	tcase_add_test(t, receive_ring_grows_around_bytes_out_of_order);
	tcase_add_test(t, receive_ring_becomes_no_larger_by_itself_than_the_stack_says);
	tcase_add_test(t, receive_ring_grows_beside_a_reader_who_keeps_the_old_one);
	tcase_add_test(t, window_update_is_asked_for_only_when_worth_it);
	tcase_add_test(t, need_ring_makes_a_transmit_ring);
	tcase_add_test(t, need_ring_waits_for_a_lock_that_a_program_holds);
	tcase_add_test(t, nobody_waits_for_room_in_an_idle_ring_that_is_given_back);
	tcase_add_test(t, the_stack_hears_whether_more_will_follow);
	tcase_add_test(t, transmit_ring_to_a_slow_peer_stays_small);
	tcase_add_test(t, transmit_ring_becomes_no_larger_by_itself_than_the_stack_says);
	tcase_add_test(t, what_was_not_sent_holds_a_program_back_that_asked_for_it);
	tcase_add_test(t, a_program_hears_when_no_more_can_come);
	tcase_add_test(t, close_hands_on_how_long_to_wait_for_the_fin);
	tcase_add_test(t, transmit_ring_grows_when_filled_and_keeps_its_content);
	tcase_add_test(t, transmit_ring_grows_though_a_program_held_its_lock);
	tcase_add_test(t, room_is_told_when_a_third_is_free);
	tcase_add_test(t, memory_runs_out_and_comes_back);
	tcase_add_test(t, free_extents_are_given_back_but_for_some);
	tcase_add_test(t, idle_rings_are_given_back_and_made_again);
	tcase_add_test(t, memory_that_cannot_be_had_anew_is_left_to_small_rings);
	return npp_suite_run(s);
}
