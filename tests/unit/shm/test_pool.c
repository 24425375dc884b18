/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_pool.c - pools of indexes, and the lists of counters
 */
#include "config.h"

#include <string.h>

#include "shm/pool.h"
#include "shm/stats.h"
#include "tests/unit/suite.h"

START_TEST(last_in_first_out_each_index_once)
{
	uint32_t next[5];
	struct npp_pool p;

	npp_pool_init(&p, next, 5);
	for (uint32_t i = 0; i < 5; i++)
		ck_assert_uint_eq(npp_pool_get(&p), i);
	ck_assert_uint_eq(npp_pool_get(&p), NPP_POOL_NONE);
	npp_pool_put(&p, 3);
	npp_pool_put(&p, 1);
	ck_assert_uint_eq(p.free, 2);
	ck_assert_uint_eq(npp_pool_get(&p), 1);
	ck_assert_uint_eq(npp_pool_get(&p), 3);
	ck_assert_uint_eq(npp_pool_get(&p), NPP_POOL_NONE);
}
END_TEST

START_TEST(a_rebuild_holds_what_was_put)
{
	uint32_t next[4], seen = 0;
	struct npp_pool p;

	npp_pool_init_empty(&p, next, 4);
	ck_assert_uint_eq(npp_pool_get(&p), NPP_POOL_NONE);
	npp_pool_put(&p, 2);
	npp_pool_put(&p, 0);
	npp_pool_put(&p, 4); /* not one of ours */
	npp_pool_put(&p, NPP_POOL_NONE);
	for (uint32_t i; (i = npp_pool_get(&p)) != NPP_POOL_NONE;)
		seen |= 1u << i;
	ck_assert_uint_eq(seen, 5);
	npp_pool_init(&p, next, 0);
	ck_assert_uint_eq(npp_pool_get(&p), NPP_POOL_NONE);
}
END_TEST

START_TEST(every_counter_has_a_name_of_its_own_and_a_help_text)
{
	for (int role = NPP_ROLE_DISPATCH; role <= NPP_ROLE_OSM; role++) {
		unsigned n;
		const struct npp_stat_desc *d = npp_stat_describe((enum npp_role)role, &n);

		ck_assert_uint_gt(n, 0);
		for (unsigned i = 0; i < n; i++) {
			ck_assert(*d[i].name && *d[i].help);
			for (unsigned k = 0; k < i; k++)
				ck_assert_str_ne(d[i].name, d[k].name);
		}
	}
}
END_TEST

START_TEST(names_stand_at_their_counters)
{
	unsigned n = 1;
	const struct npp_stat_desc *d = npp_stat_describe(NPP_ROLE_DISPATCH, &n);
	npp_counter_t page[NPP_STATS_COUNTERS] = { 0 };

	ck_assert_str_eq(d[NPP_DS_DROP_VNET].name, "drop.vnet");
	d = npp_stat_describe(NPP_ROLE_ISM, &n);
	ck_assert_str_eq(d[NPP_IS_TCP_RTO].name, "tcp.rto");
	d = npp_stat_describe(NPP_ROLE_OSM, &n);
	ck_assert_str_eq(d[NPP_OS_RPCS].name, "rpcs");
	ck_assert_ptr_null(npp_stat_describe(NPP_ROLE_NPPD, &n));
	ck_assert_uint_eq(n, 0);
	npp_stat_inc(page, NPP_DS_BELLS);
	npp_stat_add(page, NPP_DS_BELLS, 4);
	ck_assert(page[NPP_DS_BELLS] == 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shm/pool");
	TCase *t = tcase_create("pool");

	tcase_add_test(t, last_in_first_out_each_index_once);
	tcase_add_test(t, a_rebuild_holds_what_was_put);
	tcase_add_test(t, every_counter_has_a_name_of_its_own_and_a_help_text);
	tcase_add_test(t, names_stand_at_their_counters);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
