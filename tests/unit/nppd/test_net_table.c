/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_net_table.c - addresses and routes in the global tables, and what finds no room there
 */
#include "config.h"

#include "nppd/net_table.h"
#include "tests/unit/suite.h"

static struct npp_global g;

static union npp_addr addr(const char *text)
{
	union npp_addr a;

	ck_assert_int_eq(npp_addr_parse(text, &a), 0);
	return a;
}

static void fill(uint32_t addrs, uint32_t routes)
{
	g.n_addrs = addrs;
	g.n_routes = routes;
	for (uint32_t i = 0; i < addrs; i++)
		g.addr[i].addr = (union npp_addr){ .b = { 0xfd, [15] = (uint8_t)i } };
}

static struct npp_autoconf advertised(void)
{
	struct npp_autoconf a = { .n_addrs = 2, .n_on_link = 2, .n_routers = 2 };

	a.addr[0] = (struct npp_if_addr){ .addr = addr("2001:db8::1"), .prefix_len = 64 };
	a.addr[1] = (struct npp_if_addr){ .addr = addr("2001:db8:0:1::1"), .prefix_len = 64 };
	a.on_link[0] = (struct npp_if_addr){ .addr = addr("2001:db8:1::"), .prefix_len = 64 };
	a.on_link[1] = (struct npp_if_addr){ .addr = addr("2001:db8:2::"), .prefix_len = 64 };
	a.router[0] = addr("fe80::1");
	a.router[1] = addr("fe80::2");
	return a;
}

START_TEST(what_is_learned_follows_what_is_configured)
{
	struct npp_autoconf a = advertised();

	fill(1, 3);
	ck_assert_uint_eq(net_table_add_learned(&g, &a), 0);
	ck_assert_uint_eq(g.n_addrs, 3);
	ck_assert_uint_eq(g.n_routes, 7);
	ck_assert(npp_addr_eq(&g.route[3].via, &a.router[0]));
	ck_assert_uint_lt(g.route[3].metric, g.route[4].metric);
	ck_assert_uint_eq(g.n_left_out, 0);
}
END_TEST

START_TEST(what_finds_no_room_is_counted_and_routers_come_first)
{
	struct npp_autoconf a = advertised();

	fill(NPP_MAX_IF_ADDRS - 1, NPP_MAX_ROUTES - 3);
	ck_assert_uint_eq(net_table_add_learned(&g, &a), 2); /* an address and a prefix */
	ck_assert_uint_eq(g.n_left_out, 2);
	ck_assert_uint_eq(g.n_addrs, NPP_MAX_IF_ADDRS);
	ck_assert_uint_eq(g.n_routes, NPP_MAX_ROUTES);
	ck_assert(npp_addr_eq(&g.route[NPP_MAX_ROUTES - 2].via, &a.router[1]));
	ck_assert(npp_addr_eq(&g.route[NPP_MAX_ROUTES - 1].dst, &a.on_link[0].addr));
	fill(1, 3); /* all have room again */
	ck_assert_uint_eq(net_table_add_learned(&g, &a), 0);
	ck_assert_uint_eq(g.n_left_out, 0);
}
END_TEST

START_TEST(an_address_that_is_configured_is_not_left_out)
{
	struct npp_autoconf a = advertised();

	fill(NPP_MAX_IF_ADDRS, 0);
	g.addr[3].addr = a.addr[0].addr;
	g.addr[4].addr = a.addr[1].addr;
	ck_assert_uint_eq(net_table_add_learned(&g, &a), 0);
}
END_TEST

START_TEST(a_route_by_many_ports_is_counted_for_each)
{
	fill(1, NPP_MAX_ROUTES - 1);
	ck_assert_uint_eq(net_table_add_route(&g, (struct npp_route){ .prefix_len = 64 }, 0xd), 2);
	ck_assert_uint_eq(g.route[NPP_MAX_ROUTES - 1].port, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_table");
	TCase *tc = tcase_create("learned");

	tcase_add_test(tc, what_is_learned_follows_what_is_configured);
	tcase_add_test(tc, what_finds_no_room_is_counted_and_routers_come_first);
	tcase_add_test(tc, an_address_that_is_configured_is_not_left_out);
	tcase_add_test(tc, a_route_by_many_ports_is_counted_for_each);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
