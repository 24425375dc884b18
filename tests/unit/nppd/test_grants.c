/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_grants.c - ports of hosts: conflicts between hosts, ephemeral ports, release
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nppd/grants.h"
#include "nppd/loop.h"
#include "tests/unit/suite.h"

static _Atomic uint64_t bitmap[2][65536 / 64];
static struct grants *g;
static union npp_addr any, a1, a2;

static void setup(void)
{
	memset((void *)bitmap, 0, sizeof bitmap);
	g = grants_new(bitmap);
	ck_assert_ptr_nonnull(g);
	any = npp_addr_v4(0);
	ck_assert_int_eq(npp_addr_parse("10.1.0.11", &a1), 0);
	ck_assert_int_eq(npp_addr_parse("10.1.0.12", &a2), 0);
}

static void teardown(void)
{
	grants_free(g);
}

static int take(uint32_t host, const union npp_addr *a, uint16_t port)
{
	return grants_take(g, host, IPPROTO_TCP, a, false, &port);
}

static bool bit(unsigned proto, uint16_t port)
{
	return bitmap[proto][port >> 6] >> (port & 63) & 1;
}

/* Every bit is set if and only if somebody owns the port: checked against COUNT ports. */
static unsigned bits(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 65536; i++)
		n += bit(0, (uint16_t)i) + bit(1, (uint16_t)i);
	return n;
}

START_TEST(two_hosts_cannot_own_the_same_port)
{
	ck_assert_int_eq(take(0, &a1, 80), 0);
	ck_assert_int_eq(take(1, &a1, 80), -EADDRINUSE);
	ck_assert_int_eq(take(1, &any, 80), -EADDRINUSE);
	ck_assert_int_eq(take(1, &a2, 80), 0);
	ck_assert_int_eq(take(2, &any, 80), -EADDRINUSE);
	ck_assert_int_eq(take(2, &any, 81), 0);
	ck_assert_int_eq(take(1, &a2, 81), -EADDRINUSE);
}
END_TEST

START_TEST(hosts_that_share_own_a_port_together)
{
	uint16_t port = 0;

	grants_sharing(g, 0, true);
	grants_sharing(g, 1, true);
	ck_assert_int_eq(take(0, &any, 80), 0);
	ck_assert_int_eq(take(1, &any, 80), 0);
	ck_assert_int_eq(take(1, &a1, 80), 0);
	ck_assert_int_eq(take(2, &any, 80), -EADDRINUSE); /* shares with nobody */
	ck_assert_uint_eq(grants_of_host(g, 1), 2);
	ck_assert_uint_eq(grants_release_host(g, 0), 1);
	ck_assert(bit(0, 80));
	/* What was picked is one host's alone, by whomever. */
	ck_assert_int_eq(grants_take(g, 0, IPPROTO_TCP, &any, false, &port), 0);
	ck_assert_int_eq(take(1, &any, port), -EADDRINUSE);
	port = 40000;
	ck_assert_int_eq(grants_take(g, 0, IPPROTO_TCP, &any, true, &port), 0);
	ck_assert_int_eq(take(1, &any, 40000), -EADDRINUSE);
	port = 80;
	ck_assert_int_eq(grants_take(g, 0, IPPROTO_TCP, &any, true, &port), -EADDRINUSE);
	/* Who stops sharing keeps what it has. */
	ck_assert_int_eq(take(0, &any, 81), 0);
	grants_sharing(g, 0, false);
	ck_assert_int_eq(take(1, &any, 81), -EADDRINUSE);
}
END_TEST

START_TEST(families_do_not_overlap)
{
	union npp_addr any6 = { .q = { 0, 0 } }, group = npp_addr_v4(htonl(0xef010203));
	uint16_t port = 80;

	ck_assert_int_eq(grants_take(g, 0, IPPROTO_TCP, &any6, GRANT_V6ONLY, &port), 0);
	ck_assert_int_eq(take(1, &any, 80), 0);		/* :: with IPV6_V6ONLY beside 0.0.0.0 */
	ck_assert_int_eq(take(2, &any6, 80), -EADDRINUSE);
	ck_assert_int_eq(grants_release(g, 0, IPPROTO_TCP, &any6, 0, 80), -ENOENT);
	ck_assert_int_eq(grants_release(g, 0, IPPROTO_TCP, &any6, GRANT_V6ONLY, 80), 0);
	ck_assert_int_eq(take(2, &any6, 80), -EADDRINUSE); /* :: takes IPv4, too */
	ck_assert_int_eq(take(0, &group, 80), 0);	/* a group is nobody's alone */
	ck_assert_int_eq(take(2, &group, 80), 0);
}
END_TEST

START_TEST(one_host_may_ask_twice)
{
	union npp_addr any6 = { .q = { 0, 0 } };

	ck_assert_int_eq(take(0, &a1, 80), 0);
	ck_assert_int_eq(take(0, &a1, 80), 0);
	ck_assert_int_eq(take(0, &any, 80), 0);
	ck_assert_int_eq(take(0, &any6, 80), 0);
	ck_assert_uint_eq(grants_count(g), 3); /* 0.0.0.0 and :: are two */
	ck_assert_int_eq(grants_release(g, 0, IPPROTO_TCP, &a1, 0, 80), 0);
	ck_assert(bit(0, 80));
	ck_assert_int_eq(grants_release(g, 0, IPPROTO_TCP, &any6, 0, 80), 0);
	ck_assert(bit(0, 80));
	ck_assert_int_eq(grants_release(g, 0, IPPROTO_TCP, &any, 0, 80), 0);
	ck_assert(!bit(0, 80));
	ck_assert_int_eq(grants_release(g, 0, IPPROTO_TCP, &any6, 0, 80), -ENOENT);
}
END_TEST

START_TEST(protocols_do_not_mix)
{
	uint16_t port = 53;

	ck_assert_int_eq(take(0, &any, 53), 0);
	ck_assert_int_eq(grants_take(g, 1, IPPROTO_UDP, &any, false, &port), 0);
	ck_assert(bit(0, 53) && bit(1, 53));
	ck_assert_int_eq(grants_take(g, 1, IPPROTO_ICMP, &any, false, &port), -EPROTONOSUPPORT);
	ck_assert_int_eq(grants_release(g, 0, IPPROTO_UDP, &any, 0, 53), -ENOENT);
}
END_TEST

START_TEST(ephemeral_ports_are_all_different_until_none_is_left)
{
	unsigned n = GRANT_EPHEMERAL_LAST - GRANT_EPHEMERAL_FIRST + 1;
	uint16_t port;

	ck_assert_int_eq(take(1, &a1, 40000), 0);
	for (unsigned i = 0; i < n - 1; i++) {
		port = 0;
		ck_assert_int_eq(grants_take(g, 0, IPPROTO_TCP, &any, false, &port), 0);
		ck_assert(port >= GRANT_EPHEMERAL_FIRST && port <= GRANT_EPHEMERAL_LAST && port != 40000);
	}
	ck_assert_uint_eq(bits(), n);
	port = 0;
	ck_assert_int_eq(grants_take(g, 0, IPPROTO_TCP, &any, false, &port), -EADDRINUSE);
	ck_assert_int_eq(grants_release(g, 0, IPPROTO_TCP, &any, 0, 50000), 0);
	ck_assert_int_eq(grants_take(g, 0, IPPROTO_TCP, &any, false, &port), 0);
	ck_assert_uint_eq(port, 50000);
}
END_TEST

START_TEST(host_that_goes_gives_back_all)
{
	for (uint16_t p = 1000; p < 1100; p++) {
		ck_assert_int_eq(take(0, &any, p), 0);
		ck_assert_int_eq(take(1, &a1, (uint16_t)(p + 1000)), 0);
	}
	ck_assert_uint_eq(grants_release_host(g, 0), 100);
	ck_assert_uint_eq(grants_count(g), 100);
	ck_assert_uint_eq(bits(), 100);
	ck_assert_int_eq(take(1, &a1, 1000), 0);
	ck_assert_uint_eq(grants_release_host(g, 0), 0);
}
END_TEST

START_TEST(bits_follow_the_grants_whatever_happens)
{
	uint64_t rng = 88172645463325252ull + (uint64_t)_i;
	unsigned owned[64] = { 0 }; /* grants per port */

	for (unsigned k = 0; k < 20000; k++) {
		uint32_t host;
		uint16_t port;
		const union npp_addr *a;

		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		host = rng >> 8 & 7;
		port = (uint16_t)(1 + (rng >> 16) % 60);
		a = rng >> 32 & 1 ? &a1 : &a2;
		if (rng >> 40 & 1)
			take(host, a, port);
		else if (rng >> 41 & 15)
			grants_release(g, host, IPPROTO_TCP, a, 0, port);
		else
			grants_release_host(g, host);
	}
	for (uint16_t p = 1; p <= 60; p++)
		for (uint32_t h = 0; h < 8; h++)
			for (unsigned i = 0; i < 2; i++)
				owned[p] += grants_release(g, h, IPPROTO_TCP, i ? &a1 : &a2, 0, p) == 0;
	ck_assert_uint_eq(grants_count(g), 0);
	ck_assert_uint_eq(bits(), 0);
	for (uint16_t p = 1; p <= 60; p++)
		ck_assert_uint_le(owned[p], 2); /* one host per address */
}
END_TEST

/* ---- the loop, as long as it has no suite of its own -------------------------------- */

static int order[8], n_order;
static void on_timer(struct loop_timer *t)
{
	order[n_order++] = (int)(intptr_t)t->arg;
}

START_TEST(timers_fire_in_order_of_their_time)
{
	struct loop_timer t[4];
	struct loop l;

	n_order = 0;
	memset(t, 0, sizeof t);
	ck_assert_int_eq(loop_init(&l), 0);
	loop_timer_set(&l, &t[0], 30, on_timer, (void *)(intptr_t)0);
	loop_timer_set(&l, &t[1], 10, on_timer, (void *)(intptr_t)1);
	loop_timer_set(&l, &t[2], 20, on_timer, (void *)(intptr_t)2);
	loop_timer_set(&l, &t[3], 5, on_timer, (void *)(intptr_t)3);
	loop_timer_stop(&l, &t[3]);
	loop_timer_set(&l, &t[0], 1, on_timer, (void *)(intptr_t)0);
	while (n_order < 3)
		ck_assert_int_eq(loop_step(&l, 1000), 0);
	ck_assert_int_eq(order[0], 0);
	ck_assert_int_eq(order[1], 1);
	ck_assert_int_eq(order[2], 2);
	ck_assert_ptr_null(l.timers);
	loop_fini(&l);
}
END_TEST

static void note_time(struct loop_timer *t)
{
	clock_gettime(CLOCK_MONOTONIC, t->arg);
}

/* Whoever waits for a grace time and is told early judges too soon. */
START_TEST(no_timer_fires_early)
{
	struct timespec set, fired;
	struct loop_timer t = { 0 };
	struct loop l;

	ck_assert_int_eq(loop_init(&l), 0);
	for (int i = 0; i < 60; i++) {
		clock_gettime(CLOCK_MONOTONIC, &set);
		fired.tv_sec = 0;
		loop_timer_set(&l, &t, 3, note_time, &fired);
		while (!fired.tv_sec) /* as if something else happened all the time */
			ck_assert_int_eq(loop_step(&l, 0), 0);
		ck_assert_int_ge((fired.tv_sec - set.tv_sec) * 1000000000L + fired.tv_nsec - set.tv_nsec, 3000000);
	}
	loop_fini(&l);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("grants");
	TCase *t = tcase_create("grants");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, two_hosts_cannot_own_the_same_port);
	tcase_add_test(t, hosts_that_share_own_a_port_together);
	tcase_add_test(t, families_do_not_overlap);
	tcase_add_test(t, one_host_may_ask_twice);
	tcase_add_test(t, protocols_do_not_mix);
	tcase_add_test(t, ephemeral_ports_are_all_different_until_none_is_left);
	tcase_add_test(t, host_that_goes_gives_back_all);
	tcase_add_loop_test(t, bits_follow_the_grants_whatever_happens, 0, 4);
	tcase_add_test(t, timers_fire_in_order_of_their_time);
	tcase_add_test(t, no_timer_fires_early);
	suite_add_tcase(suite, t);
	return npp_suite_run(suite);
}
