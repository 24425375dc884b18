/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_ismsock.c - the socket ISM against a host built by hand
 *
 * The stack is fake (fake_stack.h): what is tested is what moves between host memory and
 * the stack's interface. Every case ends in an audit: sessions, rings, lent records and
 * host memory are all accounted for, and back after the host is detached.
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
static uint8_t data[256 << 10];

static void setup(void)
{
	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	e = env_new(2);
	env_attach(e, 0);
	env_lane(e, 0, 3);
	env_lane(e, 0, 4);
	lane = env_listen(e, 0, 1, 80, 16, 8);
}

static void teardown(void)
{
	env_free(e);
}

static void subscribe(uint32_t sock, unsigned slot, unsigned ctx, uint32_t flags)
{
	env_sock(e, 0, sock)->sub[slot] = (ctx + 1) | flags;
}

static uint64_t errors(void)
{
	return env_stat(e, NPP_IS_PROTO_ERRORS);
}

/* What a program does to read N bytes of record I; compares them with DATA from AT. */
static void program_read(uint32_t i, uint32_t n, uint32_t at)
{
	struct npp_sock *rec = env_sock(e, 0, i);
	uint32_t head = rec->rx_head;
	const uint8_t *ring = env_at(e, 0, rec->rx_ring.off);

	ck_assert_uint_ge(head - rec->rx_tail, n);
	for (uint32_t k = 0; k < n; k++)
		ck_assert_uint_eq(ring[(rec->rx_tail + k) & (rec->rx_ring.size - 1)], data[at + k]);
	rec->rx_tail += n;
}

static uint32_t program_write(uint32_t i, uint32_t n)
{
	struct npp_sock *rec = env_sock(e, 0, i);
	uint32_t room = rec->tx_ring.size - (rec->tx_head - rec->tx_tail);
	uint8_t *ring = env_at(e, 0, rec->tx_ring.off);

	n = n < room ? n : room;
	for (uint32_t k = 0; k < n; k++)
		ring[(rec->tx_head + k) & (rec->tx_ring.size - 1)] = data[(rec->tx_head + k) % sizeof data];
	rec->tx_head += n;
	rec->pend_in |= NPP_IN_TX;
	return n;
}

static void post(unsigned type, uint32_t sock, uint32_t arg, unsigned flags)
{
	struct npp_msg m = env_msg(e, 0, type, sock, arg);

	m.flags = (uint8_t)flags;
	env_post(e, 0, 3, m);
	env_run(e);
}

/* ---- accept ------------------------------------------------------------------------ */

START_TEST(accepted_connection_has_a_record_and_is_queued)
{
	struct tcp_conn *c = fake_accept(e->I->stack, env_listener(e, 80), 5000);
	struct npp_sock *rec;
	uint64_t v = lane->entry[0];

	ck_assert_ptr_nonnull(c);
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
	ck_assert_uint_eq(rec->tcp_state, TCP_ST_ESTABLISHED);
	ck_assert_uint_ne(rec->ism_handle, ISM_NONE);
	ck_assert_uint_eq(rec->rx_ring.off, 0);
	ck_assert_uint_eq(env_sock(e, 0, 1)->pend_out, NPP_OUT_RX);
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

	env_sock(e, 0, 1)->opt_flags = NPP_OPT_NODELAY;
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
	fake_rx(e->I->stack, c, data + 3000, 1000);
	ism_flush(e->I);
	program_read(sock, 1000, 3000);
}
END_TEST

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

/* ---- connect ------------------------------------------------------------------------------------- */

static void program_connects(uint32_t i, uint16_t rport)
{
	struct npp_sock *rec = env_sock(e, 0, i);

	rec->owner = 4;
	rec->type = NPP_SOCK_STREAM;
	rec->family = 4;
	rec->slot = ENV_SLOT;
	rec->refs = 1;
	rec->fl = NPP_FL_CONNECTING;
	rec->raddr = npp_addr_v4(0x0300000a);
	rec->rport = rport;
	rec->ism_handle = ISM_NONE;
	rec->sub[0] = 4 | NPP_SUB_RX | NPP_SUB_TX;
}

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

/* ---- lies -------------------------------------------------------------------------------------------- */

START_TEST(lie_tx_head_beyond_the_ring)
{
	uint32_t sock;
	struct npp_sock *rec;

	env_accepted(e, 0, lane, &sock);
	rec = env_sock(e, 0, sock);
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	rec->tx_head = 0x7fffffff;
	rec->pend_in = NPP_IN_TX;
	post(NPP_MSG_LOOK, sock, 0, 0);
	ck_assert_uint_eq(errors(), 1);
	ck_assert_uint_eq(fake_conns(e->I->stack), 0);
	ck_assert_int_eq(rec->err, EPROTO);
	ck_assert_uint_eq(rec->rx_flags & NPP_RXF_RESET, NPP_RXF_RESET);
}
END_TEST

START_TEST(lie_tx_head_goes_backwards)
{
	uint32_t sock;

	env_accepted(e, 0, lane, &sock);
	post(NPP_MSG_NEED_RING, sock, 100, 0);
	program_write(sock, 1000);
	post(NPP_MSG_LOOK, sock, 0, 0);
	env_sock(e, 0, sock)->tx_head = 10;
	env_sock(e, 0, sock)->pend_in = NPP_IN_TX;
	post(NPP_MSG_LOOK, sock, 0, 0);
	ck_assert_uint_eq(errors(), 1);
	ck_assert_uint_eq(fake_conns(e->I->stack), 0);
}
END_TEST

START_TEST(lie_rx_tail_beyond_rx_head)
{
	uint32_t sock;
	struct tcp_conn *c = env_accepted(e, 0, lane, &sock);

	fake_rx(e->I->stack, c, data, 100);
	env_sock(e, 0, sock)->rx_tail = 101;
	ism_flush(e->I);
	ck_assert_uint_eq(errors(), 1);
	ck_assert_uint_eq(fake_conns(e->I->stack), 0);
}
END_TEST

START_TEST(lie_close_with_a_wrong_final_offset)
{
	uint32_t sock;

	env_accepted(e, 0, lane, &sock);
	post(NPP_MSG_CLOSE, sock, 12345, 0);
	ck_assert_uint_eq(errors(), 1);
	ck_assert_uint_eq(fake_conns(e->I->stack), 0);
	ck_assert_uint_eq(env_sock(e, 0, sock)->owner, 0);
}
END_TEST

START_TEST(lie_shutdown_with_a_wrong_final_offset)
{
	uint32_t sock;

	env_accepted(e, 0, lane, &sock);
	post(NPP_MSG_SHUTDOWN, sock, 12345, 0);
	ck_assert_uint_eq(errors(), 1);
	ck_assert_uint_eq(fake_conns(e->I->stack), 0);
}
END_TEST

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
	one = ism_block_between(e->I, 0, ISM_PEER_NONE, ISM_RING_PLENTY, ISM_RING_PLENTY, &order);
	ck_assert_uint_ne(one, ISM_BLK_NONE);
	ism_block_put(e->I, 0, ISM_PEER_NONE, one, order);
	hs->asked_us = 1; /* it has, twice, and has refused */
	hs->ask_backoff_us = 1000000;
	ck_assert_uint_eq(ism_block_between(e->I, 0, ISM_PEER_NONE, ISM_RING_PLENTY, ISM_RING_PLENTY, &order), ISM_BLK_NONE);
	one = ism_block_between(e->I, 0, ISM_PEER_NONE, ISM_RING_FIRST, ISM_RING_PLENTY, &order);
	ck_assert_uint_ne(one, ISM_BLK_NONE);
	ck_assert_uint_eq(order, 0);
	ism_block_put(e->I, 0, ISM_PEER_NONE, one, order);
	while (n > 0)
		ism_block_put(e->I, 0, ISM_PEER_NONE, blk[--n], 4);
}
END_TEST

/* LISTEN with FIELD spoilt is refused and counted. */
static void bad_listen(uint64_t off, uint32_t lane_off64, uint32_t mask)
{
	uint64_t good = env_alloc(e, 0, sizeof(struct npp_listener), 64);
	uint64_t lane_off = env_alloc(e, 0, sizeof(struct npp_accept_lane) + 64, 64);
	struct npp_listener *nl = env_at(e, 0, good);
	struct npp_msg m = env_msg(e, 0, NPP_MSG_LISTEN, 30, 8);
	uint64_t before = errors();

	((struct npp_accept_lane *)env_at(e, 0, lane_off))->mask = mask;
	nl->lane_off64[ENV_SLOT] = lane_off64 ? lane_off64 : (uint32_t)(lane_off / 64);
	m.off = off ? off : good;
	m.port = 99;
	env_post(e, 0, 0, m);
	env_run(e);
	ck_assert(env_expect(e, 0, 0, NPP_MSG_LISTENING, &m));
	ck_assert_int_eq(m.error, -EPROTO);
	ck_assert_uint_eq(errors(), before + 1);
}

START_TEST(lie_listener_offsets)
{
	const struct npp_host *h = e->host[0].h;

	bad_listen(64, 0, 7);			/* below the heap */
	bad_listen(h->heap_off + 32, 0, 7);	/* not aligned */
	bad_listen(h->heap_off + h->heap_size - 64, 0, 7); /* sticks out */
	bad_listen(UINT64_MAX - 63, 0, 7);
	bad_listen(0, 1, 7);			/* lane outside */
	bad_listen(0, 0xffffffff, 7);
	bad_listen(0, 0, 6);			/* no power of two */
	bad_listen(0, 0, 0xffffffff);
	bad_listen(0, 0, (1u << 30) - 1);
}
END_TEST

START_TEST(lie_extents)
{
	const struct npp_host *h = e->host[0].h;
	uint64_t lent = e->I->r->host[0].heap.lent;
	const struct { uint64_t off; uint32_t len; } bad[] = {
		{ 0, 4096 }, { h->heap_off + 1, 4096 }, { h->heap_off, 100 }, { h->heap_off, 0 },
		{ h->heap_off + h->heap_size, 4096 }, { h->heap_off + h->heap_size - 4096, 8192 },
		{ UINT64_MAX - 4095, 8192 },
		{ ((h->heap_off + 4095) & ~4095ull) + 4096, 4 << 20 },	/* overlaps what is lent */
	};

	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		env_post(e, 0, 0, (struct npp_msg){ .type = NPP_MSG_EXTENT, .off = bad[i].off, .arg2 = bad[i].len });
		env_run(e);
		ck_assert_uint_eq(e->I->r->host[0].heap.lent, lent);
	}
	ck_assert_uint_ge(errors(), 7);
}
END_TEST

START_TEST(lie_records_lent)
{
	uint32_t n = e->I->r->host[0].n_lent;
	const uint32_t bad[][2] = { { 1, 5 }, { ENV_PROG, 1 }, { ENV_SOCKS, 1 }, { ENV_LENT, ENV_SOCKS },
				    { 0xffffffff, 2 }, { ENV_LENT, 0xffffffff } };

	for (unsigned i = 0; i < 6; i++) {
		env_post(e, 0, 0, (struct npp_msg){ .type = NPP_MSG_HOST, .arg = bad[i][0], .arg2 = bad[i][1] });
		env_run(e);
	}
	/* the right range again: nothing is lent twice */
	env_post(e, 0, 0, (struct npp_msg){ .type = NPP_MSG_HOST, .arg = ENV_LENT, .arg2 = ENV_SOCKS - ENV_LENT });
	env_run(e);
	ck_assert_uint_eq(e->I->r->host[0].n_lent, n);
	ck_assert_uint_eq(errors(), 6);
}
END_TEST

START_TEST(lie_messages_that_mean_nothing)
{
	struct npp_msg m;

	for (unsigned t = 0; t < 256; t++) {
		m = (struct npp_msg){ .type = (uint8_t)t, .sock = 0xfffffff0, .ism_handle = 0x12345678,
				      .arg = 0xffffffff, .arg2 = 0xffffffff, .off = UINT64_MAX };
		env_post(e, 0, 3, m);
		env_run(e);
		env_post(e, 0, 0, m);
		env_run(e);
		while (env_get(e, 0, 0, &m))
			;
	}
	ck_assert_uint_gt(errors(), 400);
}
END_TEST

START_TEST(lie_connect_for_records_of_others)
{
	struct npp_sock *rec;

	program_connects(7, 443);
	rec = env_sock(e, 0, 7);
	rec->owner = 0;
	post(NPP_MSG_CONNECT, 7, 0, 0);
	rec->owner = 0x10000 + ENV_SLOT;
	post(NPP_MSG_CONNECT, 7, 0, 0);
	rec->owner = 4;
	rec->slot = 5;
	post(NPP_MSG_CONNECT, 7, 0, 0);
	post(NPP_MSG_CONNECT, ENV_LENT, 0, 0);
	post(NPP_MSG_CONNECT, 0, 0, 0);
	ck_assert_uint_eq(errors(), 5);
	ck_assert_uint_eq(fake_conns(e->I->stack), 0);
}
END_TEST

START_TEST(lie_lanes_of_contexts)
{
	subscribe(1, 0, 3, NPP_SUB_RX);
	for (int i = 0; i < 4; i++) {
		static const uint32_t off[] = { 1, 0xffffffff, 0, 77777 };

		env_ctx(e, 0, 3)->lane_off64[ENV_SLOT] = off[i];
		env_sock(e, 0, 1)->pend_out = 0;
		env_sock(e, 0, 1)->sub[1] = 0xffff | NPP_SUB_RX;
		fake_accept(e->I->stack, env_listener(e, 80), (uint16_t)(5000 + i));
		ism_flush(e->I);
	}
	ck_assert_uint_ge(errors(), 2);
}
END_TEST

START_TEST(lie_subscriber_map)
{
	env_sock(e, 0, 1)->sub_all = 1;
	env_sock(e, 0, 1)->sub_more_off64 = 0xffffffff;
	fake_accept(e->I->stack, env_listener(e, 80), 5000);
	ck_assert_uint_eq(errors(), 1);
}
END_TEST

START_TEST(lie_inbound_lane_positions)
{
	e->host[0].inb->lane[9].post_head = 0x1000;
	e->host[0].inb->lane[9].free_tail = 7;
	npp_inbound_mark(e->host[0].inb, 9);
	env_run(e);
	ck_assert_uint_ge(errors(), 1);
	e->host[0].inb->lane[3].post_head += 1000; /* one that is attached */
	npp_inbound_mark(e->host[0].inb, 3);
	env_run(e);
}
END_TEST

START_TEST(lie_host_header_is_refused)
{
	struct npp_host *h = e->host[1].h, good = *h;

	env_lane(e, 1, 0);
#define BAD(stmt) do { stmt; ck_assert_int_lt(env_attach_raw(e, 1), 0); memcpy(h, &good, sizeof good); } while (0)
	BAD(h->ctx_off = 1);
	BAD(h->ctx_off = 0);
	BAD(h->ctx_off = e->host[1].mem.size - 64);
	BAD(h->sock_off = UINT64_MAX - 63);
	BAD(h->sock_count = 0xffffffff);
	BAD(h->sock_count = 0);
	BAD(h->sock_prog_count = h->sock_count);
	BAD(h->heap_off = 3);
	BAD(h->heap_size = UINT64_MAX);
	BAD(h->heap_off = e->host[1].mem.size + 4096);
	BAD(h->hdr.magic = 7);
	BAD(h->hdr.layout_hash = 7);
	BAD(h->hdr.kind = NPP_REGION_ISM);
#undef BAD
	ck_assert_int_eq(env_attach_raw(e, 1), 0);
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

/* ---- UDP --------------------------------------------------------------------------------------------------- */

static struct npp_udp *bind_udp(uint32_t i, uint16_t port)
{
	uint64_t off = env_alloc(e, 0, sizeof(struct npp_udp), 64);
	struct npp_sock *rec = env_sock(e, 0, i);
	struct npp_msg m;

	rec->owner = 4;
	rec->type = NPP_SOCK_DGRAM;
	rec->slot = ENV_SLOT;
	rec->ext_off64 = (uint32_t)(off / 64);
	m = env_msg(e, 0, NPP_MSG_UDP_BIND, i, 0);
	m.off = off;
	m.port = port;
	env_post(e, 0, 0, m);
	env_run(e);
	ck_assert(env_expect(e, 0, 0, NPP_MSG_UDP_BOUND, &m));
	ck_assert_int_eq(m.error, 0);
	return env_at(e, 0, off);
}

START_TEST(datagrams_arrive_in_order_and_skip_the_end_of_the_ring)
{
	struct npp_udp *u = bind_udp(20, 53);
	struct npp_udp_lane *l = &u->lane[ENV_SLOT];
	uint32_t n = 0, tail;

	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t len = 1 + (i * 37) % 1400;
		const struct npp_dgram *d;
		const uint8_t *ring;

		fake_udp_in(e->I->stack, fake_any_udp(e->I->stack, 0), (uint16_t)i, data + i % 100, len);
		ring = env_at(e, 0, l->rx_ring.off);
		tail = l->rx_tail;
		ck_assert_uint_ne(l->rx_head, tail);
		d = (const void *)(ring + (tail & (l->rx_ring.size - 1)));
		if (d->len == NPP_DGRAM_SKIP) {
			tail += l->rx_ring.size - (tail & (l->rx_ring.size - 1));
			d = (const void *)ring;
		}
		ck_assert_uint_eq(d->len, len);
		ck_assert_uint_eq(d->port, i & 0xffff);
		ck_assert_int_eq(memcmp(d + 1, data + i % 100, len), 0);
		l->rx_tail = tail + 32 + ((len + 31) & ~31u);
		n++;
	}
	ck_assert_uint_eq(l->rx_head, l->rx_tail);
	ck_assert_uint_eq(errors(), 0);
	ck_assert_uint_eq(n, 3000);
}
END_TEST

START_TEST(full_datagram_ring_drops)
{
	struct npp_udp *u = bind_udp(20, 53);

	for (int i = 0; i < 5; i++)
		fake_udp_in(e->I->stack, fake_any_udp(e->I->stack, 0), 9, data, 60000);
	ck_assert_uint_eq(u->lane[ENV_SLOT].drops, 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_DROP_UDP_FULL), 1);
	ck_assert_uint_eq(env_sock(e, 0, 20)->pend_out & NPP_OUT_RX, NPP_OUT_RX);
}
END_TEST

static void put_dgram(uint32_t i, uint32_t len, uint16_t port)
{
	struct npp_sock *rec = env_sock(e, 0, i);
	struct npp_dgram *d = (void *)((uint8_t *)env_at(e, 0, rec->tx_ring.off) +
				       (rec->tx_head & (rec->tx_ring.size - 1)));

	*d = (struct npp_dgram){ .len = len, .port = port };
	if (len <= 65507)
		memset(d + 1, 0x5a, len < 1000 ? len : 1000);
	rec->tx_head += 32 + ((len + 31) & ~31u);
	rec->pend_in |= NPP_IN_TX;
}

START_TEST(datagrams_are_sent_and_the_ring_is_freed)
{
	struct npp_sock *rec = env_sock(e, 0, 20);
	uint32_t sent;

	bind_udp(20, 53);
	ck_assert_uint_eq(rec->tx_ring.size, ISM_UDP_RING);
	sent = fake_sent.count;
	for (int i = 0; i < 100; i++)
		put_dgram(20, 100, 7);
	post(NPP_MSG_LOOK, 20, 0, 0);
	ck_assert_uint_eq(fake_sent.count - sent, 100);
	ck_assert_uint_eq(fake_sent.first, 0x5a);
	ck_assert_uint_eq(rec->tx_tail, rec->tx_head);
	put_dgram(20, 100, 1); /* the stack says EMSGSIZE */
	post(NPP_MSG_LOOK, 20, 0, 0);
	ck_assert_int_eq(rec->err, EMSGSIZE);
	ck_assert_uint_eq(errors(), 0);
}
END_TEST

START_TEST(a_datagram_socket_told_again_has_another_peer)
{
	struct npp_udp *u = bind_udp(20, 53);
	struct npp_sock *rec = env_sock(e, 0, 20);
	struct udp_endpoint *ep = fake_any_udp(e->I->stack, 0);
	struct npp_msg m = env_msg(e, 0, NPP_MSG_UDP_BIND, 20, 0);

	m.off = (uint64_t)((uint8_t *)u - (uint8_t *)env_at(e, 0, 0));
	m.port = 53;
	for (int i = 0; i < 3; i++) {
		m.flags = i == 2 ? 0 : NPP_LISTEN_PEER;
		rec->raddr = npp_addr_v4(0x0000010au + ((uint32_t)i << 24));
		rec->rport = (uint16_t)(99 + i);
		env_post(e, 0, 0, m);
		env_run(e);
		ck_assert(env_expect(e, 0, 0, NPP_MSG_UDP_BOUND, &m));
		ck_assert_int_eq(m.error, 0);
		ck_assert_ptr_eq(fake_any_udp(e->I->stack, 0), ep);
		ck_assert_uint_eq(ep->rport, i == 2 ? 0 : 99 + i);
		ck_assert(i == 2 ? npp_addr_is_any(&ep->raddr) : npp_addr_eq(&ep->raddr, &rec->raddr));
		m = env_msg(e, 0, NPP_MSG_UDP_BIND, 20, 0);
		m.off = (uint64_t)((uint8_t *)u - (uint8_t *)env_at(e, 0, 0));
		m.port = 53;
	}
	ck_assert_uint_eq(errors(), 0);
}
END_TEST

START_TEST(lie_datagram_lengths)
{
	struct npp_sock *rec = env_sock(e, 0, 20);
	static const uint32_t bad[] = { 65508, 0x7fffffff, 0xfffffffe, 4000 };
	uint32_t sent;

	bind_udp(20, 53);
	sent = fake_sent.count;
	for (unsigned i = 0; i < 4; i++) {
		uint32_t head = rec->tx_head;

		put_dgram(20, bad[i], 7);
		rec->tx_head = head + 64; /* shorter than it says */
		post(NPP_MSG_LOOK, 20, 0, 0);
		ck_assert_uint_eq(errors(), i + 1);
		ck_assert_uint_eq(rec->tx_tail, rec->tx_head);
	}
	rec->tx_head += 33; /* odd */
	post(NPP_MSG_LOOK, 20, 0, 0);
	rec->tx_head += 0x40000000; /* far away */
	post(NPP_MSG_LOOK, 20, 0, 0);
	ck_assert_uint_eq(fake_sent.count, sent);
	ck_assert_uint_ge(errors(), 6);
}
END_TEST

START_TEST(lie_datagram_reader)
{
	struct npp_udp *u = bind_udp(20, 53);

	fake_udp_in(e->I->stack, fake_any_udp(e->I->stack, 0), 9, data, 100);
	u->lane[ENV_SLOT].rx_tail = 0x12345678;
	fake_udp_in(e->I->stack, fake_any_udp(e->I->stack, 0), 9, data, 100);
	ck_assert_uint_eq(errors(), 1);
	ck_assert_uint_eq(u->lane[ENV_SLOT].drops, 1);
}
END_TEST

START_TEST(udp_unbind_gives_rings_back)
{
	struct npp_msg m;

	bind_udp(20, 53);
	fake_udp_in(e->I->stack, fake_any_udp(e->I->stack, 0), 9, data, 100);
	put_dgram(20, 10, 7);
	m = env_msg(e, 0, NPP_MSG_UDP_UNBIND, 20, 0);
	env_post(e, 0, 0, m);
	env_run(e);
	ck_assert(env_expect(e, 0, 0, NPP_MSG_UDP_UNBOUND, &m));
	ck_assert_uint_eq(e->I->r->host[0].heap.free, ENV_EXTENT);
	ck_assert_ptr_null(fake_any_udp(e->I->stack, 0));
}
END_TEST

START_TEST(icmp_errors_reach_connected_datagram_sockets_only)
{
	bind_udp(20, 53);
	ism_udp_error(e->I, fake_any_udp(e->I->stack, 0), ECONNREFUSED);
	ck_assert_int_eq(env_sock(e, 0, 20)->err, 0);
	env_sock(e, 0, 20)->fl = NPP_FL_CONNECTED;
	ism_udp_error(e->I, fake_any_udp(e->I->stack, 0), ECONNREFUSED);
	ck_assert_int_eq(env_sock(e, 0, 20)->err, ECONNREFUSED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ismsock");
	TCase *t;

#define CASE(name) do { t = tcase_create(name); tcase_add_checked_fixture(t, setup, teardown); suite_add_tcase(s, t); } while (0)
	CASE("accept");
	tcase_add_test(t, accepted_connection_has_a_record_and_is_queued);
	tcase_add_test(t, listener_event_goes_once_until_the_bit_is_cleared);
	tcase_add_test(t, a_listener_hears_though_the_bit_was_set_by_another);
	tcase_add_test(t, accept_stops_at_the_backlog);
	tcase_add_test(t, accept_stops_when_the_lane_is_full);
	tcase_add_test(t, accept_inherits_options_of_the_listener);
	tcase_add_test(t, exclusive_subscribers_hear_one_at_a_time);
	tcase_add_test(t, exclusive_wake_up_prefers_a_sleeper);
	tcase_add_test(t, look_at_a_listener_tells_another_subscriber);
	tcase_add_test(t, more_subscribers_than_fit_are_found_in_the_map);
	CASE("data");
	tcase_add_test(t, data_flows_both_ways_and_everything_comes_back);
	tcase_add_test(t, receive_ring_grows_and_keeps_its_content);
	tcase_add_test(t, receive_ring_grows_around_bytes_out_of_order);
	tcase_add_test(t, receive_ring_grows_beside_a_reader_who_keeps_the_old_one);
	tcase_add_test(t, window_update_is_asked_for_only_when_worth_it);
	tcase_add_test(t, need_ring_makes_a_transmit_ring);
	tcase_add_test(t, need_ring_waits_for_a_lock_that_a_program_holds);
	tcase_add_test(t, transmit_ring_to_a_slow_peer_stays_small);
	tcase_add_test(t, transmit_ring_grows_when_filled_and_keeps_its_content);
	tcase_add_test(t, room_is_told_when_a_third_is_free);
	tcase_add_test(t, memory_runs_out_and_comes_back);
	tcase_add_test(t, free_extents_are_given_back_but_for_some);
	tcase_add_test(t, idle_rings_are_given_back_and_made_again);
	CASE("ends");
	tcase_add_test(t, orphan_is_sent_to_its_end);
	tcase_add_test(t, reset_is_told_and_the_record_stays_until_close);
	tcase_add_test(t, close_with_abort_resets_at_once);
	tcase_add_test(t, messages_seen_twice_are_harmless);
	tcase_add_test(t, unlisten_resets_what_nobody_claimed);
	tcase_add_test(t, host_detach_resets_its_connections_only);
	tcase_add_test(t, a_host_that_floods_delays_another_by_one_round_at_most);
	tcase_add_test(t, dear_messages_count_for_more);
	tcase_add_test(t, a_host_that_hoards_leaves_others_their_part);
	tcase_add_test(t, a_host_that_lends_crumbs_leaves_room_in_the_books);
	CASE("connect");
	tcase_add_test(t, connect_is_told_when_it_is_done);
	tcase_add_test(t, connect_that_fails_leaves_its_error);
	tcase_add_test(t, close_before_connect_frees_the_record);
	CASE("torn");
	tcase_add_test(t, host_that_tears_its_memory_loses_only_itself);
	CASE("overflow");
	tcase_add_test(t, overflow_makes_us_look_at_everything);
	tcase_add_test(t, lost_close_is_noticed);
	tcase_add_test(t, lost_close_is_noticed_though_no_word_came_before_it);
	tcase_add_test(t, connection_that_no_program_has_taken_survives_an_overflow);
	tcase_add_test(t, messages_to_a_full_lane_of_the_osm_are_kept);
	tcase_add_test(t, context_that_comes_again_with_a_new_lane_is_heard);
	CASE("lies");
	tcase_add_test(t, lie_tx_head_beyond_the_ring);
	tcase_add_test(t, lie_tx_head_goes_backwards);
	tcase_add_test(t, lie_rx_tail_beyond_rx_head);
	tcase_add_test(t, lie_close_with_a_wrong_final_offset);
	tcase_add_test(t, lie_shutdown_with_a_wrong_final_offset);
	tcase_add_test(t, lie_listener_offsets);
	tcase_add_test(t, lie_extents);
	tcase_add_test(t, lie_records_lent);
	tcase_add_test(t, lie_messages_that_mean_nothing);
	tcase_add_test(t, lie_connect_for_records_of_others);
	tcase_add_test(t, lie_lanes_of_contexts);
	tcase_add_test(t, lie_subscriber_map);
	tcase_add_test(t, lie_inbound_lane_positions);
	tcase_add_test(t, memory_that_cannot_be_had_anew_is_left_to_small_rings);
	tcase_add_test(t, lie_host_header_is_refused);
	CASE("greeting");
	tcase_add_test(t, hello_waits_for_the_lane_of_the_osm);
	tcase_add_test(t, same_host_again_keeps_its_connections);
	tcase_add_test(t, successor_takes_the_region_over);
	CASE("udp");
	tcase_add_test(t, datagrams_arrive_in_order_and_skip_the_end_of_the_ring);
	tcase_add_test(t, full_datagram_ring_drops);
	tcase_add_test(t, datagrams_are_sent_and_the_ring_is_freed);
	tcase_add_test(t, lie_datagram_lengths);
	tcase_add_test(t, lie_datagram_reader);
	tcase_add_test(t, a_datagram_socket_told_again_has_another_peer);
	tcase_add_test(t, udp_unbind_gives_rings_back);
	tcase_add_test(t, icmp_errors_reach_connected_datagram_sockets_only);
	return npp_suite_run(s);
}
