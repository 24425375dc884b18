/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_lies.c - the socket ISM: a host that lies loses what it lies about
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shm/lock.h"
#include "tests/unit/ismsock/bench.h"

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

int main(void)
{
	Suite *s = suite_create("ismsock_lies");
	TCase *t;

	t = bench_case(s, "lies");
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
	tcase_add_test(t, lie_host_header_is_refused);
	return npp_suite_run(s);
}
