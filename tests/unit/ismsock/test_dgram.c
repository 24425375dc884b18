/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_dgram.c - the socket ISM: datagram sockets
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shm/lock.h"
#include "tests/unit/ismsock/bench.h"

/* ---- UDP --------------------------------------------------------------------------------------------------- */

static struct npp_udp *bind_at(uint32_t i, uint16_t port, uint8_t home)
{
	uint64_t off = env_alloc(e, 0, sizeof(struct npp_udp), 64);
	struct npp_sock *rec = env_sock(e, 0, i);
	struct npp_msg m;

	rec->owner = 4;
	rec->type = NPP_SOCK_DGRAM;
	rec->slot = home;
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

static struct npp_udp *bind_udp(uint32_t i, uint16_t port)
{
	return bind_at(i, port, ENV_SLOT);
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

static uint32_t ballast[ENV_EXTENT / ISM_PAGE], n_ballast;

/* Takes memory until no more than FREE bytes of what was lent are left. */
static void leave(uint64_t free)
{
	while (e->I->r->host[0].heap.free > free)
		ballast[n_ballast++] = ism_block_get(e->I, 0, 0);
}

/* Nobody sends it again, as TCP does. */
START_TEST(the_first_datagram_has_room_also_while_more_memory_is_on_its_way)
{
	struct ism_host *hs = ism_hst(e->I, 0);
	struct npp_udp *u;

	leave(ENV_EXTENT / 4 + 2 * ISM_UDP_RING);
	hs->asked_us = 0;
	u = bind_at(20, 53, ENV_SLOT + 1);
	ck_assert_uint_eq(hs->asked_us, 0);
	leave(ENV_EXTENT / 4);
	hs->asked_us = 0;
	bind_at(22, 55, ENV_SLOT + 1);
	ck_assert_uint_ne(hs->asked_us, 0);
	fake_udp_in(e->I->stack, fake_any_udp(e->I->stack, 0), 9, data, 1400);
	ck_assert_uint_eq(u->lane[ENV_SLOT].drops, 0);
	ck_assert_uint_eq(u->lane[ENV_SLOT].rx_ring.size, ISM_UDP_RING);
	/* Not if the OSM has refused to lend more. */
	u = bind_udp(21, 54);
	hs->asked_us = e->I->now_us;
	hs->ask_backoff_us = 1000000;
	fake_udp_in(e->I->stack, fake_any_udp(e->I->stack, 2), 9, data, 1400);
	ck_assert_uint_eq(u->lane[ENV_SLOT].drops, 1);
	hs->asked_us = 0;
	/* The last eighth is for streams, which need less. */
	leave(ENV_EXTENT / 8 + ISM_UDP_RING - ISM_PAGE);
	fake_udp_in(e->I->stack, fake_any_udp(e->I->stack, 2), 9, data, 1400);
	ck_assert_uint_eq(u->lane[ENV_SLOT].drops, 2);
	while (n_ballast > 0)
		ism_block_put(e->I, 0, ISM_PEER_NONE, ballast[--n_ballast], 0);
}
END_TEST

static void put_dgram(uint32_t i, uint32_t len, uint16_t port)
{
	struct npp_sock *rec = env_sock(e, 0, i);
	struct npp_dgram *d = (void *)((uint8_t *)env_at(e, 0, rec->tx_ring.off) +
				       (rec->tx_head & (rec->tx_ring.size - 1)));

	*d = (struct npp_dgram){ .len = len, .port = port };
	if (len <= NPP_DGRAM_MAX)
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
	ck_assert_uint_eq(rec->dgram.ee_type, 0);	/* our own word */
	ck_assert_uint_eq(rec->dgram.ee_port, 1);
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

START_TEST(who_waits_for_datagrams_is_told_of_a_shutdown)
{
	struct npp_sock *rec;
	struct npp_msg m;

	bind_udp(20, 53);
	rec = env_sock(e, 0, 20);
	rec->sub[0] = (4 + 1) | NPP_SUB_RX;
	rec->pend_in = NPP_IN_WAKE;
	env_post(e, 0, 3, env_msg(e, 0, NPP_MSG_LOOK, 20, 0));
	env_run(e);
	ck_assert(env_expect(e, 0, 4, NPP_MSG_EVENT, &m));
	ck_assert_uint_eq(m.sock, 20);
	ck_assert_uint_eq(m.arg, NPP_OUT_SHUT);
}
END_TEST

START_TEST(lie_datagram_lengths)
{
	struct npp_sock *rec = env_sock(e, 0, 20);
	static const uint32_t bad[] = { 65528, 0x7fffffff, 0xfffffffe, 4000 };
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

/* The error that the socket is told of ERR, fetched. */
static int hear(int err, bool hard)
{
	struct stack_udp_error x = { .err = err, .hard = hard, .type = 3, .code = 7, .port = 9, .mtu = 1400,
				     .addr = npp_addr_v4(0x0200000a) };

	ism_udp_error(e->I, fake_any_udp(e->I->stack, 0), &x);
	return atomic_exchange(&env_sock(e, 0, 20)->err, 0);
}

/* Has the peer that hear() is about. */
static void connect_20(struct npp_sock *k)
{
	k->raddr = npp_addr_v4(0x0200000a);
	k->rport = 9;
	k->fl = NPP_FL_CONNECTED;
}

START_TEST(icmp_errors_reach_connected_datagram_sockets_and_those_that_ask)
{
	struct npp_sock *k = env_sock(e, 0, 20);

	bind_udp(20, 53);
	ck_assert_int_eq(hear(ECONNREFUSED, true), 0);
	connect_20(k);
	ck_assert_int_eq(hear(ECONNREFUSED, true), ECONNREFUSED);
	ck_assert_int_eq(hear(EHOSTUNREACH, false), 0);
	k->opt_flags = NPP_OPT_RECVERR;
	ck_assert_int_eq(hear(EHOSTUNREACH, false), EHOSTUNREACH);
	k->rport = 10; /* what was sent before it had this peer */
	ck_assert_int_eq(hear(ECONNREFUSED, true), 0);
	k->fl = 0;
	ck_assert_int_eq(hear(ECONNREFUSED, true), ECONNREFUSED);
	ck_assert_uint_eq(k->dgram.ee_type, 3);
	ck_assert_uint_eq(k->dgram.ee_code, 7);
	ck_assert_uint_eq(k->dgram.ee_port, 9);
	ck_assert_uint_eq(npp_addr_get_v4(&k->dgram.ee_addr), 0x0200000a);
}
END_TEST

START_TEST(who_does_not_want_fragments_hears_of_what_is_too_large)
{
	static const int heard[] = { 0, 0, EMSGSIZE, EMSGSIZE, EMSGSIZE, 0 };
	struct npp_sock *k = env_sock(e, 0, 20);

	bind_udp(20, 53);
	connect_20(k);
	for (uint32_t mode = NPP_PMTUDISC_DONT; mode <= NPP_PMTUDISC_OMIT; mode++) {
		k->opt_flags = (mode ^ 1) << NPP_OPT_PMTUDISC_SHIFT;
		ck_assert_int_eq(hear(EMSGSIZE, false), heard[mode]);
	}
	ck_assert_uint_eq(k->dgram.ee_info, 1400);
	k->opt_flags = 0;
	ck_assert_uint_eq(k->dgram.pmtu, 0);	/* it has no peer, whatever it says */
	fake_any_udp(e->I->stack, 0)->raddr = npp_addr_v4(0x0200000a);
	hear(EMSGSIZE, false);
	ck_assert_uint_eq(k->dgram.pmtu, 1400);	/* before the stack's cache has it */
	k->opt_flags = (NPP_PMTUDISC_PROBE ^ 1) << NPP_OPT_PMTUDISC_SHIFT;
	hear(EMSGSIZE, false);
	ck_assert_uint_eq(k->dgram.pmtu, 1500);
	ck_assert_uint_eq(k->dgram.pmtu_ms, (uint32_t)(e->I->now_us / 1000));
	ck_assert_int_eq(hear(ECONNREFUSED, true), ECONNREFUSED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ismsock_dgram");
	TCase *t;

	t = bench_case(s, "udp");
	tcase_add_test(t, datagrams_arrive_in_order_and_skip_the_end_of_the_ring);
	tcase_add_test(t, full_datagram_ring_drops);
	tcase_add_test(t, the_first_datagram_has_room_also_while_more_memory_is_on_its_way);
	tcase_add_test(t, datagrams_are_sent_and_the_ring_is_freed);
	tcase_add_test(t, who_waits_for_datagrams_is_told_of_a_shutdown);
	tcase_add_test(t, lie_datagram_lengths);
	tcase_add_test(t, lie_datagram_reader);
	tcase_add_test(t, a_datagram_socket_told_again_has_another_peer);
	tcase_add_test(t, udp_unbind_gives_rings_back);
	tcase_add_test(t, icmp_errors_reach_connected_datagram_sockets_and_those_that_ask);
	tcase_add_test(t, who_does_not_want_fragments_hears_of_what_is_too_large);
	return npp_suite_run(s);
}
