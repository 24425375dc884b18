/* SPDX-License-Identifier: GPL-2.0-or-later
 * bench.h - what the tests of the socket ISM share: an ISM, two hosts of which the first is attached,
 *           a listener
 *
 * The stack is fake (fake_stack.h): what is tested is what moves between host memory and
 * the stack's interface. Every case ends in an audit: sessions, rings, lent records and
 * host memory are all accounted for, and back after the host is detached.
 */
#ifndef NPP_TESTS_ISM_BENCH_H
#define NPP_TESTS_ISM_BENCH_H

#include "tests/unit/ismsock/env.h"
#include "tests/unit/suite.h"

static struct env *e __attribute__((unused));

static struct npp_accept_lane *lane __attribute__((unused));

static uint8_t data[256 << 10] __attribute__((unused));

static inline void setup(void)
{
	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	e = env_new(2);
	env_attach(e, 0);
	env_lane(e, 0, 3);
	env_lane(e, 0, 4);
	lane = env_listen(e, 0, 1, 80, 16, 8);
}

static inline void teardown(void)
{
	env_free(e);
}

static inline void subscribe(uint32_t sock, unsigned slot, unsigned ctx, uint32_t flags)
{
	env_sock(e, 0, sock)->sub[slot] = (ctx + 1) | flags;
}

static inline uint64_t errors(void)
{
	return env_stat(e, NPP_IS_PROTO_ERRORS);
}

/* What a program does to read N bytes of record I; compares them with DATA from AT. */
static inline void program_read(uint32_t i, uint32_t n, uint32_t at)
{
	struct npp_sock *rec = env_sock(e, 0, i);
	uint32_t head = rec->rx_head;
	const uint8_t *ring = env_at(e, 0, rec->rx_ring.off);

	ck_assert_uint_ge(head - rec->rx_tail, n);
	for (uint32_t k = 0; k < n; k++)
		ck_assert_uint_eq(ring[(rec->rx_tail + k) & (rec->rx_ring.size - 1)], data[at + k]);
	rec->rx_tail += n;
}

static inline uint32_t program_write(uint32_t i, uint32_t n)
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

static inline void post(unsigned type, uint32_t sock, uint32_t arg, unsigned flags)
{
	struct npp_msg m = env_msg(e, 0, type, sock, arg);

	m.flags = (uint8_t)flags;
	env_post(e, 0, 3, m);
	env_run(e);
}

static inline void program_connects(uint32_t i, uint16_t rport)
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

/* Begins a group of cases in suite S. */
static inline TCase *bench_case(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	suite_add_tcase(s, t);
	return t;
}

#endif
