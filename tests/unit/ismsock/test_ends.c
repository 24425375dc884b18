/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_ends.c - the socket ISM: ends: close, reset, unlisten, detach; hosts that flood or hoard
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shm/lock.h"
#include "tests/unit/ismsock/bench.h"

/* ---- ends ------------------------------------------------------------------------------------ */

START_TEST(orphan_is_sent_to_its_end)
{
	uint32_t sock, gen;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);

	gen = rec->gen;
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	program_write(sock, 4000);
	rec->refs = 0;
	post(NPP_MSG_CLOSE, sock, 4000, NPP_CLOSE_DEAD);
	ck_assert_uint_eq(c->tx_head, 4000);
	ck_assert(fake_closed(e->I->stack, c));
	ck_assert_uint_ne(c->tx.size, 0); /* the ring outlives its program */
	ck_assert_uint_eq(rec->gen, gen);
	fake_ack(e->I->stack, c, 2000);
	ism_flush(e->I);
	for (uint32_t i = 2000; i < 4000; i++)
		ck_assert_uint_eq(c->tx.base[i & (c->tx.size - 1)], data[i]);
	fake_all_acked(e->I->stack, c);
	ism_flush(e->I);
	ck_assert_uint_eq(rec->gen, gen + 1);
	ck_assert_uint_eq(e->I->r->host[0].heap.free, ENV_EXTENT);
	fake_free(e->I->stack, c, 0);
}
END_TEST

START_TEST(reset_is_told_and_the_record_stays_until_close)
{
	uint32_t sock, gen;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_sock *rec = env_sock(e, 0, sock);
	struct npp_msg m;

	gen = rec->gen;
	subscribe(sock, 0, 3, NPP_SUB_RX);
	fake_rx(e->I->stack, c, data, 700);
	fake_free(e->I->stack, c, ECONNRESET);
	ck_assert(env_expect(e, 0, 3, NPP_MSG_EVENT, &m));
	ck_assert_int_eq(rec->err, ECONNRESET);
	ck_assert_uint_eq(rec->rx_flags, NPP_RXF_RESET | NPP_RXF_CLOSED);
	program_read(sock, 700, 0); /* what came before it can still be read */
	ck_assert_uint_eq(rec->gen, gen);
	post(NPP_MSG_CLOSE, sock, 0, 0);
	ck_assert_uint_eq(rec->gen, gen + 1);
	ck_assert_uint_eq(e->I->r->host[0].heap.free, ENV_EXTENT);
}
END_TEST

START_TEST(close_with_abort_resets_at_once)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);

	fake_rx(e->I->stack, c, data, 700);
	ism_flush(e->I);
	post(NPP_MSG_CLOSE, sock, 0, NPP_CLOSE_ABORT);
	ck_assert_uint_eq(fake_conns(e->I->stack), 0);
	ck_assert_uint_eq(env_sock(e, 0, sock)->owner, 0);
}
END_TEST

START_TEST(a_reset_comes_behind_what_could_be_sent)
{
	uint32_t sock;

	env_accepted(e, 0, lane, &sock);
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	program_write(sock, 300);	/* and says nothing of it before it closes */
	fake_pushed = 0;
	post(NPP_MSG_CLOSE, sock, 300, NPP_CLOSE_ABORT);
	ck_assert_uint_eq(fake_pushed, 300);
	ck_assert_uint_eq(fake_conns(e->I->stack), 0);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PROTO_ERRORS), 0);
	env_accepted(e, 0, lane, &sock);
	post(NPP_MSG_CLOSE, sock, 12345, NPP_CLOSE_ABORT);	/* what nobody wrote */
	ck_assert_uint_eq(fake_pushed, 300);
	ck_assert_uint_eq(fake_conns(e->I->stack), 0);
}
END_TEST

START_TEST(who_waits_is_told_of_a_shutdown_by_another)
{
	struct npp_msg m;
	uint32_t sock;

	env_accepted(e, 0, lane, &sock);
	subscribe(sock, 0, 4, NPP_SUB_RX);
	env_sock(e, 0, sock)->pend_out = NPP_OUT_RX; /* told already, and not heard yet */
	env_sock(e, 0, sock)->pend_in = NPP_IN_WAKE;
	post(NPP_MSG_LOOK, sock, 0, 0);
	ck_assert(env_expect(e, 0, 4, NPP_MSG_EVENT, &m));
	ck_assert_uint_eq(m.sock, sock);
	ck_assert_uint_eq(m.arg, NPP_OUT_SHUT); /* which who has seen it may pass over: nothing else is meant by it */
	ck_assert_uint_eq(env_sock(e, 0, sock)->pend_out, NPP_OUT_RX);
}
END_TEST

START_TEST(shutdown_shows_in_the_state)
{
	uint32_t sock;

	env_accepted(e, 0, lane, &sock);
	ck_assert_uint_eq(env_sock(e, 0, sock)->tcp_state, TCP_ST_ESTABLISHED);
	post(NPP_MSG_SHUTDOWN, sock, 0, 0);
	ck_assert_uint_eq(env_sock(e, 0, sock)->tcp_state, TCP_ST_FIN_WAIT_1);
}
END_TEST

START_TEST(messages_seen_twice_are_harmless)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);
	struct npp_msg m = env_msg(e, 0, NPP_MSG_CLOSE, sock, 0);

	for (int i = 0; i < 3; i++)
		post(NPP_MSG_NEED_RING, sock, 100, 0);
	program_write(sock, 100);
	for (int i = 0; i < 3; i++)
		post(NPP_MSG_LOOK, sock, 0, 0);
	for (int i = 0; i < 3; i++)
		post(NPP_MSG_SHUTDOWN, sock, 100, 0);
	m.arg = 100;
	env_post(e, 0, 3, m);
	env_post(e, 0, 4, m);
	env_run(e);
	fake_all_acked(e->I->stack, c);
	ism_flush(e->I);
	env_post(e, 0, 4, m);
	env_run(e);
	fake_free(e->I->stack, c, 0);
	ck_assert_uint_eq(errors(), 0);
}
END_TEST

START_TEST(unlisten_resets_what_nobody_claimed)
{
	struct npp_msg m = env_msg(e, 0, NPP_MSG_UNLISTEN, 1, 0);
	uint32_t sock;

	env_accepted(e, 0, lane, &sock);
	fake_accept(e->I->stack, env_listener(e, 80), 5001);
	fake_accept(e->I->stack, env_listener(e, 80), 5002);
	env_post(e, 0, 0, m);
	env_run(e);
	ck_assert(env_expect(e, 0, 0, NPP_MSG_UNLISTENED, &m));
	ck_assert_uint_eq(m.sock, 1);
	ck_assert_uint_eq(fake_conns(e->I->stack), 1); /* the claimed one lives on */
	ck_assert_ptr_null(env_listener(e, 80));
}
END_TEST

START_TEST(host_detach_resets_its_connections_only)
{
	struct npp_accept_lane *other;
	uint32_t sock;

	env_attach(e, 1);
	other = env_listen(e, 1, 1, 8080, 16, 8);
	for (int i = 0; i < 5; i++) {
		struct tcp_conn *c = env_accepted(e, 0, lane, &sock);

		fake_rx(e->I->stack, c, data, 1000);
	}
	ck_assert_ptr_nonnull(fake_accept(e->I->stack, env_listener(e, 8080), 1));
	ism_flush(e->I);
	ism_host_detach(e->I, 0);
	ck_assert_uint_eq(fake_conns(e->I->stack), 1);
	ck_assert_uint_eq(NPP_ACCEPT_SOCK(other->entry[0]), ENV_LENT);
	ck_assert_ptr_null(e->I->host[0]);
}
END_TEST

/* ---- hosts beside one another -------------------------------------------------------------------- */

/* Host 1 says something on every lane that it has, again and again; host 0 is served in the same
 * round, whichever of them is first. */
START_TEST(a_host_that_floods_delays_another_by_one_round_at_most)
{
	env_attach(e, 1);
	for (uint32_t sock = 20; sock < 28; sock++) {
		for (unsigned c = 1; c < NPP_MAX_CTX; c++)
			for (unsigned k = 0; k < NPP_I2OQ_DEPTH; k++)
				env_post(e, 1, c, (struct npp_msg){ .type = NPP_MSG_LOOK, .sock = 1 });
		program_connects(sock, 80);
		env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_CONNECT, sock, 0));
		ck_assert_uint_lt(ism_host_run(e->I, 256), 256 + 4 * 16);
		ck_assert_uint_ne(env_sock(e, 0, sock)->ism_handle, ISM_NONE);
	}
	env_run(e);
}
END_TEST

/* A long accept queue makes LOOK dear: it counts as what it costs. */
START_TEST(dear_messages_count_for_more)
{
	struct npp_i2oq_cons *c;

	env_attach(e, 1);
	env_listen(e, 1, 1, 8080, 8192, 8);
	for (unsigned ctx = 3; ctx < 7; ctx++)
		for (unsigned k = 0; k < 16; k++)
			env_post(e, 1, ctx, env_msg(e, 1, NPP_MSG_LOOK, 1, 0));
	ism_host_run(e->I, 256);
	c = &e->I->host[1]->cons[5];
	ck_assert(!c->q || c->post_tail != atomic_load(&c->q->post_head));
	env_run(e);
}
END_TEST

/* Host 1 takes whatever it can get: half of its even share of each thing is left for host 0. */
START_TEST(a_host_that_hoards_leaves_others_their_part)
{
	unsigned n = 0, mine = 0;

	env_attach(e, 1);
	env_listen(e, 1, 1, 8080, 64, 64);
	while (fake_accept(e->I->stack, env_listener(e, 8080), (uint16_t)(1000 + n)))
		n++;
	ck_assert_uint_eq(n, ENV_CONNS - ENV_CONNS / 4);
	while (mine < ENV_CONNS / 4 && fake_accept(e->I->stack, env_listener(e, 80), (uint16_t)(3000 + mine)) &&
	       env_claim(e, lane))
		mine++;
	ck_assert_uint_eq(mine, ENV_CONNS / 4);
}
END_TEST

/* Crumbs of memory, one in each 4 MB, would fill the books of all. */
START_TEST(a_host_that_lends_crumbs_leaves_room_in_the_books)
{
	uint64_t lent;

	env_attach(e, 1);
	e->I->r->host[1].heap_end = 1ull << 40; /* as if its memory were that large */
	for (unsigned i = 0; i < ISM_CHUNKS; i++) {
		env_post(e, 1, 0, (struct npp_msg){ .type = NPP_MSG_EXTENT, .arg2 = ISM_PAGE,
						    .off = (1ull << 38) + (uint64_t)i * ISM_CHUNK_BYTES });
		env_run(e);
	}
	ck_assert_uint_ge(e->I->r->host[1].heap.lent, ENV_EXTENT + ISM_CHUNKS / 2 * (uint64_t)ISM_PAGE);
	e->I->r->host[1].heap_end = e->host[1].copy.heap_off + ENV_HEAP;
	lent = e->I->r->host[0].heap.lent;
	for (unsigned i = 0; i < 5; i++) {
		env_post(e, 0, 0, (struct npp_msg){ .type = NPP_MSG_EXTENT, .off = env_alloc(e, 0, ENV_EXTENT, 4096),
						    .arg2 = ENV_EXTENT });
		env_run(e);
	}
	ck_assert_uint_eq(e->I->r->host[0].heap.lent, lent + 5 * ENV_EXTENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ismsock_ends");
	TCase *t;

	t = bench_case(s, "ends");
	tcase_add_test(t, orphan_is_sent_to_its_end);
	tcase_add_test(t, reset_is_told_and_the_record_stays_until_close);
	tcase_add_test(t, shutdown_shows_in_the_state);
	tcase_add_test(t, close_with_abort_resets_at_once);
	tcase_add_test(t, a_reset_comes_behind_what_could_be_sent);
	tcase_add_test(t, who_waits_is_told_of_a_shutdown_by_another);
	tcase_add_test(t, messages_seen_twice_are_harmless);
	tcase_add_test(t, unlisten_resets_what_nobody_claimed);
	tcase_add_test(t, host_detach_resets_its_connections_only);
	tcase_add_test(t, a_host_that_floods_delays_another_by_one_round_at_most);
	tcase_add_test(t, dear_messages_count_for_more);
	tcase_add_test(t, a_host_that_hoards_leaves_others_their_part);
	tcase_add_test(t, a_host_that_lends_crumbs_leaves_room_in_the_books);
	return npp_suite_run(s);
}
