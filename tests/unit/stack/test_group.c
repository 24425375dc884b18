/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_group.c - multicast: memberships, delivery, changes as routers hear them
 *
 * Queries are in test_group_query.c.
 */
#include "config.h"

#include "tests/unit/stack/group_rig.h"

static void datagram(uint32_t src, uint32_t group, uint16_t port)
{
	rig_udp(&p, src, 999, group, port, 5);
	memcpy(p.b, (uint8_t[]){ 1, 0, 0x5e, 1, 2, 3 }, 6);
	rig_in(r, 1, &p);
}

START_TEST(our_own_groups_are_reported_at_the_start)
{
	union npp_addr sn = addr("ff02::1:ff00:1"), all = addr("ff02::1");
	unsigned n;

	ck_assert_uint_eq(r->n_talks, MC_ROBUST); /* both addresses have the same group; at once and again */
	ck_assert_int_eq(record(talk(0), &sn, &n), MC_TO_EXCLUDE);
	ck_assert_int_eq(record(talk(0), &all, &n), 0);
	ck_assert(npp_addr_eq(&talk(0)->src, &(union npp_addr){ .b = { 0xfe, 0x80, [15] = 1 } }));
	ck_assert_uint_eq(talk(0)->iop, 0);
	ck_assert_uint_eq(r->groups.n, 0); /* the dispatcher knows them */
}
END_TEST

START_TEST(joining_and_leaving_is_reported_twice)
{
	union npp_addr any4 = npp_addr_v4(0), g = rig_addr(G1);
	struct npp_member m = all_of(g);
	uint32_t ep = bind_sock(&any4, 53, 1, 0);
	unsigned n, before = r->n_talks;

	ck_assert_int_eq(join(ep, &m, 1), 0);
	ck_assert_uint_eq(r->n_talks, before + 1);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_TO_EXCLUDE);
	ck_assert_uint_eq(npp_addr_get_v4(&talk(0)->dst), htonl(0xe0000016u));
	ck_assert_uint_eq(r->groups.n, 1);
	ck_assert(npp_addr_eq(&r->groups.addr[0], &g));
	rig_advance(r, 3000000);
	ck_assert_uint_eq(r->n_talks, before + 2);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_TO_EXCLUDE);
	join(ep, &m, 1);	/* told again, nothing new */
	rig_advance(r, 3000000);
	ck_assert_uint_eq(r->n_talks, before + 2);
	join(ep, none, 0);
	rig_advance(r, 3000000);
	ck_assert_uint_eq(r->n_talks, before + 4);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_TO_INCLUDE);
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(r->groups.n, 0);
	ck_assert_ptr_null(mc_group_find(r->node[0].s, &g));
	ck_assert_ptr_null(mc_group_find(r->node[1].s, &g));
}
END_TEST

START_TEST(sources_are_merged_and_reported_by_difference)
{
	union npp_addr any4 = npp_addr_v4(0), g = rig_addr(G1);
	struct npp_member a = { .group = g, .n_sources = 1, .source = { rig_addr(RIG_PEER) } };
	struct npp_member b = { .group = g, .n_sources = 2, .source = { rig_addr(RIG_PEER), rig_addr(RIG_GW) } };
	struct npp_member x = { .group = g, .exclude = 1, .n_sources = 2, .source = { rig_addr(RIG_GW), rig_addr(7) } };
	uint32_t one = bind_sock(&any4, 53, 1, 0), two = bind_sock(&any4, 53, 2, 0);
	unsigned n;

	join(one, &a, 1);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_ALLOW);
	ck_assert_uint_eq(n, 1);
	rig_advance(r, 3000000);
	join(two, &b, 1);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_ALLOW);
	ck_assert_uint_eq(n, 1); /* only what is new */
	rig_advance(r, 3000000);
	join(two, &x, 1);	/* EXCLUDE {gw, 7} beside INCLUDE {peer} is EXCLUDE {gw, 7} */
	ck_assert_int_eq(record(talk(0), &g, &n), MC_TO_EXCLUDE);
	ck_assert_uint_eq(n, 2);
	rig_advance(r, 3000000);
	x.n_sources = 1;
	join(two, &x, 1);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_ALLOW);
	ck_assert_uint_eq(n, 1);
	/* A change before the last one was reported often enough is merged with it. */
	join(two, none, 0);
	join(two, &x, 1);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_TO_EXCLUDE);
}
END_TEST

START_TEST(a_source_that_comes_back_at_once_is_not_forgotten)
{
	union npp_addr any4 = npp_addr_v4(0), g = rig_addr(G1);
	struct npp_member m = { .group = g, .n_sources = 1, .source = { rig_addr(RIG_PEER) } };
	uint32_t ep = bind_sock(&any4, 53, 1, 0);
	unsigned n, before;

	join(ep, &m, 1);
	rig_advance(r, 3000000);
	before = r->n_talks;
	join(ep, none, 0);
	ck_assert_uint_eq(r->n_talks, before + 1);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_BLOCK);
	join(ep, &m, 1);	/* the difference to what was told first is nothing, but not to what was told last */
	ck_assert_uint_eq(r->n_talks, before + 2);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_TO_INCLUDE);
	ck_assert_uint_eq(n, 1);
	rig_advance(r, 3000000);
	ck_assert_uint_eq(r->n_talks, before + 3);
	before = r->n_talks;
	m.source[0] = rig_addr(RIG_PEER + 1);	/* the other way round: comes and goes */
	m.n_sources = 2;
	m.source[1] = rig_addr(RIG_PEER);
	join(ep, &m, 1);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_ALLOW);
	m.n_sources = 1;
	m.source[0] = rig_addr(RIG_PEER);
	memset(&m.source[1], 0, sizeof m.source[1]);
	join(ep, &m, 1);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_TO_INCLUDE);
	ck_assert_uint_eq(n, 1);
}
END_TEST

START_TEST(every_member_gets_a_copy_and_nobody_else)
{
	union npp_addr any4 = npp_addr_v4(0), any6 = { .q = { 0, 0 } }, g = rig_addr(G1);
	struct npp_member m = all_of(g), only_gw = { .group = g, .n_sources = 1, .source = { rig_addr(RIG_GW) } };
	struct npp_member not_peer = { .group = g, .exclude = 1, .n_sources = 1, .source = { rig_addr(RIG_PEER) } };
	uint32_t a = bind_sock(&any4, 53, 1, 0), b = bind_sock(&g, 53, 2, 0), c = bind_sock(&any6, 53, 3, 0);
	uint32_t d = bind_sock(&any4, 53, 4, 0), e = bind_sock(&any4, 53, 5, 0), other = bind_sock(&g, 53, 6, 1);

	datagram(RIG_PEER, G1, 53);
	ck_assert_uint_eq(r->n_dgrams, 0);
	ck_assert_uint_eq(rig_stat(r, 1, NPP_IS_DROP_GROUP), 1);
	join(a, &m, 1);
	join(b, &m, 1);
	join(c, &m, 1);
	join(d, &only_gw, 1);
	join(e, &not_peer, 1);
	datagram(RIG_PEER, G1, 53);
	ck_assert_uint_eq(r->n_dgrams, 3); /* a, b, c */
	rig_forget(r);
	datagram(RIG_GW, G1, 53);
	ck_assert_uint_eq(r->n_dgrams, 5); /* not the other host, which has not joined */
	rig_forget(r);
	datagram(RIG_GW, G1, 54);
	ck_assert_uint_eq(r->n_dgrams, 0);
	join(other, &m, 1);
	datagram(RIG_GW, G1, 53);
	ck_assert_uint_eq(r->n_dgrams, 6);
	ck_assert_uint_eq(r->n_frames, 0);
	for (unsigned i = 0; i < r->n; i++) {	/* one that is bound to the group and hears a peer only */
		union npp_addr peer = rig_addr(RIG_PEER);

		ck_assert_int_eq(stack_udp_connect(r->node[i].s, stack_udp(r->node[i].s, b), &g, &peer, 999), 0);
	}
	rig_forget(r);
	datagram(RIG_GW, G1, 53);
	ck_assert_uint_eq(r->n_dgrams, 5);
	rig_forget(r);
	datagram(RIG_PEER, G1, 53);
	ck_assert_uint_eq(r->n_dgrams, 4);	/* a, b, c and the other host's */
}
END_TEST

START_TEST(a_sender_hears_itself_unless_it_says_no)
{
	union npp_addr any4 = npp_addr_v4(0);
	struct npp_member m = all_of(rig_addr(G1));
	uint32_t a = bind_sock(&any4, 53, 1, 0), b = bind_sock(&any4, 54, 2, 0);
	struct npp_dgram d = { .len = 3000, .addr = rig_addr(G1), .port = 53 };
	static const uint8_t data[3000];
	struct stack_slice sl = { data, sizeof data };

	join(a, &m, 1);
	ck_assert_int_eq(stack_udp_send(r->node[1].s, stack_udp(r->node[1].s, b), &d, &sl, 1), 0);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 3); /* fragments */
	ck_assert_uint_eq(rig_ip(rig_last(r))->ttl, 1);
	ck_assert_uint_eq(r->n_dgrams, 1);
	ck_assert_uint_eq(r->dgram[0].d.len, 3000);
	rig_forget(r);
	d.len = sl.len = 10;
	d.ttl = 9;
	d.flags = NPP_DGRAM_NOLOOP;
	ck_assert_int_eq(stack_udp_send(r->node[1].s, stack_udp(r->node[1].s, b), &d, &sl, 1), 0);
	rig_run(r);
	ck_assert_uint_eq(rig_ip(rig_last(r))->ttl, 9);
	ck_assert_uint_eq(r->n_dgrams, 0);
	rig_forget(r);
	d.flags = NPP_DGRAM_HOPS0;
	stack_udp_send(r->node[1].s, stack_udp(r->node[1].s, b), &d, &sl, 1);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 0);
	ck_assert_uint_eq(r->n_dgrams, 1);
}
END_TEST

/* The last report about G1 is one of TYPE with *N sources. Is its filter one of exclusion? */
static bool now_of(int type, unsigned *n)
{
	union npp_addr g = rig_addr(G1);
	const struct mc_group *group = mc_group_find(r->node[0].s, &g);

	ck_assert_int_eq(record(talk(0), &g, n), type);
	ck_assert_ptr_nonnull(group);
	return group->now.exclude;
}

static struct npp_member some_of(bool exclude, unsigned first, unsigned n)
{
	struct npp_member m = { .group = rig_addr(G1), .exclude = exclude, .n_sources = (uint8_t)n };

	for (unsigned i = 0; i < n; i++)
		m.source[i] = rig_addr(0xc0000200 + first + i);
	return m;
}

START_TEST(filters_are_merged_in_any_order)
{
	union npp_addr any4 = npp_addr_v4(0);
	uint32_t ep[3];
	struct npp_member m;
	unsigned n;

	for (unsigned i = 0; i < 3; i++)
		ep[i] = bind_sock(&any4, 53, i + 1, 0);
	m = some_of(true, 1, 4);	/* EXCLUDE {1 2 3 4} */
	join(ep[0], &m, 1);
	ck_assert(now_of(MC_TO_EXCLUDE, &n) && n == 4);
	m = some_of(false, 4, 3);	/* beside it INCLUDE {4 5 6}: EXCLUDE {1 2 3} */
	join(ep[1], &m, 1);
	ck_assert(now_of(MC_TO_EXCLUDE, &n) && n == 3);
	m = some_of(true, 2, 8);	/* beside these EXCLUDE {2 to 9}: EXCLUDE {2 3} */
	join(ep[2], &m, 1);
	ck_assert(now_of(MC_TO_EXCLUDE, &n) && n == 2);
	m = some_of(true, 8, 1);	/* EXCLUDE {8} instead: nobody */
	join(ep[2], &m, 1);
	ck_assert(now_of(MC_TO_EXCLUDE, &n) && n == 0);
}
END_TEST

START_TEST(more_sources_than_can_be_named_are_all)
{
	union npp_addr any4 = npp_addr_v4(0);
	uint32_t ep[3];
	struct npp_member m;
	unsigned n;

	for (unsigned i = 0; i < 3; i++) {
		ep[i] = bind_sock(&any4, 53, i + 1, 0);
		m = some_of(false, i * NPP_SOCK_SOURCES, NPP_SOCK_SOURCES);
		ck_assert_int_eq(join(ep[i], &m, 1), 0);
		rig_advance(r, 3000000);
	}
	ck_assert(now_of(MC_TO_EXCLUDE, &n) && n == 0);
	m.n_sources = NPP_SOCK_SOURCES + 1;	/* a host says what it likes */
	ck_assert_int_eq(join(ep[2], &m, 1), -ENOBUFS);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_MC_REFUSED), 1);
	ck_assert(!now_of(MC_TO_INCLUDE, &n) && n == 2 * NPP_SOCK_SOURCES);
}
END_TEST

START_TEST(a_long_report_is_several_messages)
{
	union npp_addr any6 = { .q = { 0, 0 } };
	struct npp_member m[NPP_SOCK_GROUPS] = { 0 };
	uint32_t ep = bind_sock(&any6, 53, 1, 0);
	unsigned before = r->n_talks, n, found = 0;

	for (unsigned i = 0; i < NPP_SOCK_GROUPS; i++) {
		m[i].group = addr("ff15::1:0");
		m[i].group.b[15] = (uint8_t)i;
		m[i].n_sources = NPP_SOCK_SOURCES;
		for (unsigned k = 0; k < NPP_SOCK_SOURCES; k++) {
			m[i].source[k] = addr("2001:db8::");
			m[i].source[k].b[15] = (uint8_t)(k + 1);
		}
	}
	ck_assert_int_eq(join(ep, m, NPP_SOCK_GROUPS), 0);
	ck_assert_uint_eq(r->n_talks, before + 3);	/* of 148 bytes each seven fit */
	for (unsigned t = 0; t < 3; t++) {
		ck_assert_uint_le(talk(t)->len, 1208);
		for (unsigned i = 0; i < NPP_SOCK_GROUPS; i++)
			found += record(talk(t), &m[i].group, &n) == MC_ALLOW && n == NPP_SOCK_SOURCES;
	}
	ck_assert_uint_eq(found, NPP_SOCK_GROUPS);
}
END_TEST

START_TEST(what_stays_within_the_node_is_told_to_nobody)
{
	union npp_addr any6 = { .q = { 0, 0 } };
	struct npp_member m[3] = { all_of(addr("ff01::7")), all_of(addr("ff10::7")), all_of(addr("ff02::1")) };
	unsigned before = r->n_talks;

	ck_assert_int_eq(join(bind_sock(&any6, 53, 1, 0), m, 3), 0);
	rig_advance(r, 3000000);
	ck_assert_uint_eq(r->n_talks, before);
	m[0].group = addr("ff02::7");
	join(bind_sock(&any6, 53, 2, 0), m, 1);
	ck_assert_uint_eq(r->n_talks, before + 1);
}
END_TEST

START_TEST(without_a_link_local_address_reports_come_from_none)
{
	union npp_addr any6 = { .q = { 0, 0 } }, none6 = { .q = { 0, 0 } };
	struct npp_member m = all_of(addr("ff15::7"));

	r->g->n_addrs--;
	atomic_store(&r->g->net_seq, 6);
	rig_advance(r, 3000000);
	join(bind_sock(&any6, 53, 1, 0), &m, 1);
	ck_assert(npp_addr_eq(&talk(0)->src, &none6));
	ck_assert_uint_eq(talk(0)->l4[0], 143);
}
END_TEST

START_TEST(the_next_link_role_reports_all)
{
	union npp_addr any4 = npp_addr_v4(0), any6 = { .q = { 0, 0 } }, g = rig_addr(G1), g6 = addr("ff15::7");
	union npp_addr sn = addr("ff02::1:ff00:1");
	struct npp_member m = all_of(g), m6 = all_of(g6);
	unsigned n, before, told = r->n_groups;

	join(bind_sock(&any4, 53, 1, 0), &m, 1);
	join(bind_sock(&any6, 54, 2, 0), &m6, 1);
	rig_advance(r, 3000000);
	before = r->n_talks;
	rig_link_role(r, 0, false);
	rig_link_role(r, 1, true);
	rig_advance(r, 5000);
	ck_assert_uint_eq(r->n_talks, before + 2);
	ck_assert_int_eq(record(talk(1), &g, &n), MC_TO_EXCLUDE);
	ck_assert_int_eq(record(talk(0), &g6, &n), MC_TO_EXCLUDE);
	ck_assert_int_eq(record(talk(0), &sn, &n), MC_TO_EXCLUDE);
	ck_assert_uint_eq(talk(0)->iop, 1);
	ck_assert_uint_gt(r->n_groups, told);
	ck_assert_uint_eq(r->groups.n, 2);
	told = r->n_groups;	/* back again, and nothing has changed: the dispatcher is told all the same */
	rig_link_role(r, 1, false);
	rig_link_role(r, 0, true);
	rig_advance(r, 5000);
	ck_assert_uint_gt(r->n_groups, told);
	/* And a successor on the same memory knows the members. */
	rig_attach(r, 1);
	datagram(RIG_PEER, G1, 53);
	ck_assert_uint_eq(r->n_dgrams, 1);
	ck_assert_uint_eq(mc_group_find(r->node[1].s, &g)->members, 1);
}
END_TEST

START_TEST(one_host_cannot_take_all_memberships)
{
	union npp_addr any4 = npp_addr_v4(0);
	struct npp_member m[NPP_SOCK_GROUPS];
	int err = 0;
	unsigned k;

	for (k = 0; k < 8 && !err; k++) {
		for (unsigned i = 0; i < NPP_SOCK_GROUPS; i++)
			m[i] = all_of(rig_addr(G1 + k * 16 + i));
		err = join(bind_sock(&any4, (uint16_t)(53 + k), k + 1, 0), m, NPP_SOCK_GROUPS);
	}
	ck_assert_int_eq(err, -ENOBUFS);
	ck_assert_uint_eq(k, MC_HOST_GROUPS / NPP_SOCK_GROUPS + 1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_MC_REFUSED), NPP_SOCK_GROUPS);
	ck_assert_int_eq(join(bind_sock(&any4, 99, 99, 1), m, NPP_SOCK_GROUPS), 0);
	ck_assert_uint_eq(r->groups.n, MC_HOST_GROUPS + NPP_SOCK_GROUPS);
	rig_advance(r, 3000000);
	/* All go with their sockets. */
	for (unsigned i = 0; i < r->n; i++)
		for (uint32_t e = 0; e < 16; e++)
			if (stack_udp(r->node[i].s, e))
				stack_udp_unbind(r->node[i].s, stack_udp(r->node[i].s, e));
	rig_advance(r, 3000000);
	ck_assert_uint_eq(r->groups.n, 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_GROUPS), 1);
}
END_TEST

START_TEST(one_host_cannot_take_all_memberships_of_a_few_groups_either)
{
	union npp_addr any4 = npp_addr_v4(0);
	struct npp_member m[NPP_SOCK_GROUPS], other = all_of(rig_addr(G1 + 100));
	unsigned k;

	for (unsigned i = 0; i < NPP_SOCK_GROUPS; i++)
		m[i] = all_of(rig_addr(G1 + i));
	for (k = 0; k < MC_MEMBERS / 2 / NPP_SOCK_GROUPS; k++)
		ck_assert_int_eq(join(bind_sock(&any4, 53, k + 1, 0), m, NPP_SOCK_GROUPS), 0);
	ck_assert_int_eq(join(bind_sock(&any4, 53, k + 1, 0), m, 1), -ENOBUFS);
	ck_assert_int_eq(join(bind_sock(&any4, 53, k + 2, 0), &other, 1), -ENOBUFS);
	ck_assert_int_eq(join(bind_sock(&any4, 53, k + 3, 1), &other, 1), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("group");
	TCase *tc = tcase_create("group");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, our_own_groups_are_reported_at_the_start);
	tcase_add_test(tc, joining_and_leaving_is_reported_twice);
	tcase_add_test(tc, sources_are_merged_and_reported_by_difference);
	tcase_add_test(tc, a_source_that_comes_back_at_once_is_not_forgotten);
	tcase_add_test(tc, every_member_gets_a_copy_and_nobody_else);
	tcase_add_test(tc, a_sender_hears_itself_unless_it_says_no);
	tcase_add_test(tc, the_next_link_role_reports_all);
	tcase_add_test(tc, one_host_cannot_take_all_memberships);
	tcase_add_test(tc, filters_are_merged_in_any_order);
	tcase_add_test(tc, more_sources_than_can_be_named_are_all);
	tcase_add_test(tc, a_long_report_is_several_messages);
	tcase_add_test(tc, what_stays_within_the_node_is_told_to_nobody);
	tcase_add_test(tc, without_a_link_local_address_reports_come_from_none);
	tcase_add_test(tc, one_host_cannot_take_all_memberships_of_a_few_groups_either);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
