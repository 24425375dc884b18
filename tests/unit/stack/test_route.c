/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_route.c - longest prefix, source address, and paths that notice change
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

static struct rig *r;
static struct stack *s;

static void setup(void)
{
	r = rig_new(2);
	s = r->node[0].s;
}
static void teardown(void) { rig_free(r); }

static const union npp_addr any;

static struct ip_path path_to(uint32_t dst)
{
	union npp_addr d = rig_addr(dst);
	struct ip_path p;

	ck_assert_int_eq(ip_path_init(s, &p, &any, &d), 0);
	return p;
}

static uint32_t hop(uint32_t dst)
{
	struct ip_path p = path_to(dst);

	return ntohl(npp_addr_get_v4(ip_next_hop(s, &p)));
}

START_TEST(the_longest_prefix_wins_then_the_smaller_metric)
{
	ck_assert_uint_eq(hop(RIG_PEER), RIG_PEER);		/* on link by our address */
	ck_assert_uint_eq(hop(0x08080808), RIG_GW);		/* default, metric 10 */
	ck_assert_uint_eq(hop(0xac10ffff), 0x0a0000fc);		/* 172.16/12 */
	ck_assert_uint_eq(hop(0xac200000), RIG_GW);		/* just beyond */
	ck_assert_uint_eq(hop(0xac100505), 0xc0a807fe);		/* host route */
	ck_assert_uint_eq(hop(0xac100504), 0x0a0000fc);
	ck_assert_uint_eq(path_to(0xac100505).port, 1);
	ck_assert_uint_eq(path_to(0xac100504).mtu, 1400);
	ck_assert_uint_eq(path_to(0x08080808).mtu, 1500);
}
END_TEST

START_TEST(the_source_is_ours_and_near_the_next_hop)
{
	union npp_addr us2 = rig_addr(RIG_US2), alien = rig_addr(RIG_PEER), d = rig_addr(0x08080808);
	struct ip_path p = path_to(0xac100505);

	ck_assert_uint_eq(ntohl(npp_addr_get_v4(&p.src)), 0xc0a80701);
	p = path_to(0x08080808);
	ck_assert_uint_eq(ntohl(npp_addr_get_v4(&p.src)), RIG_US);
	ck_assert_int_eq(ip_path_init(s, &p, &us2, &d), 0);
	ck_assert(npp_addr_eq(&p.src, &us2));
	ck_assert_int_eq(ip_path_init(s, &p, &alien, &d), -EADDRNOTAVAIL);
	ck_assert_int_eq(ip_path_init(s, &p, &any, &any), -ENETUNREACH);
}
END_TEST

static void own6(const char *text, uint8_t flags)
{
	struct npp_if_addr a = { .prefix_len = 64, .flags = flags };

	ck_assert_int_eq(npp_addr_parse(text, &a.addr), 0);
	r->g->addr[r->g->n_addrs++] = a;
}

static void expect_source6(const char *peer, const char *source)
{
	union npp_addr p6, s6;

	ck_assert_int_eq(npp_addr_parse(peer, &p6), 0);
	ck_assert_int_eq(npp_addr_parse(source, &s6), 0);
	ck_assert(npp_addr_eq(route_source(s, &p6, 0), &s6));
}

/* RFC 6724, 5: rules 2, 3 and 8. */
START_TEST(the_source_of_ipv6_has_the_scope_of_its_peer_and_is_not_deprecated)
{
	own6("fe80::1", 0);
	own6("fd00::9", NPP_ADDR_DEPRECATED);
	own6("fd00:0:0:1::1", 0);
	own6("fd00::1", 0);
	atomic_store(&r->g->net_seq, 4);
	ck_assert_int_eq(ip_is_local(s, &any), 0);	/* reads them */
	expect_source6("fe80::64", "fe80::1");
	expect_source6("ff02::5", "fe80::1");
	expect_source6("fd00::64", "fd00::1");
	expect_source6("fd00:0:0:1::64", "fd00:0:0:1::1");
	expect_source6("2001:db8::1", "fd00:0:0:1::1");
}
END_TEST

START_TEST(our_own_address_is_local_and_any_size)
{
	struct ip_path p = path_to(RIG_US2);

	ck_assert_uint_eq(p.mtu, 65535);
	ck_assert(npp_addr_eq(&p.src, &p.dst));
}
END_TEST

START_TEST(broadcast_and_multicast_have_their_own_ethernet_addresses)
{
	struct ip_path p = path_to(0x0a0000ff);

	ck_assert(p.have_mac);
	ck_assert_int_eq(memcmp(p.mac, rig_bcast_mac, 6), 0);
	p = path_to(0xffffffff);
	ck_assert_int_eq(memcmp(p.mac, rig_bcast_mac, 6), 0);
	p = path_to(0xe0810203);
	ck_assert_int_eq(memcmp(p.mac, (uint8_t[]){ 1, 0, 0x5e, 1, 2, 3 }, 6), 0);
}
END_TEST

START_TEST(a_network_of_another_size_has_another_broadcast_address)
{
	atomic_fetch_add(&r->g->net_seq, 1);
	r->g->addr[0].prefix_len = r->g->addr[1].prefix_len = 96 + 16;
	atomic_fetch_add(&r->g->net_seq, 1);
	ck_assert_int_eq(path_to(0x0a00ffff).valid, IP_PATH_GROUP);
	ck_assert_int_ne(path_to(0x0a0000ff).valid, IP_PATH_GROUP);
	atomic_fetch_add(&r->g->net_seq, 1);
	r->g->addr[0].prefix_len = r->g->addr[1].prefix_len = 96 + 31; /* of two hosts: it has none */
	atomic_fetch_add(&r->g->net_seq, 1);
	ck_assert_int_ne(path_to(0x0a000001).valid, IP_PATH_GROUP);
	ck_assert_int_ne(path_to(0x0a00ffff).valid, IP_PATH_GROUP);
}
END_TEST

static int send_on(struct ip_path *p)
{
	struct stack_tx tx = { .l4_len = 8, .csum_off = 6 };

	return ip_output(s, p, 17, 0, 64, true, &tx);
}

START_TEST(nobody_connects_to_a_group)
{
	static const uint32_t group[] = { 0xffffffff, 0x0a0000ff, 0xe0810203 };
	int err;

	for (unsigned i = 0; i < 3; i++) {
		union npp_addr d = rig_addr(group[i]);

		ck_assert_ptr_null(stack_connect(s, &any, 0, &d, 80, NULL, &err));
		ck_assert_int_eq(err, -ENETUNREACH);
	}
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(a_path_follows_the_routes)
{
	struct ip_path p = path_to(0x08080808);

	rig_know(r, RIG_GW, rig_gw_mac);
	rig_know(r, 0x0a0000fd, rig_peer_mac);
	ck_assert_int_eq(send_on(&p), 0);
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_gw_mac, 6), 0);
	atomic_fetch_add(&r->g->net_seq, 1);
	r->g->route[0].metric = 99;
	ck_assert_int_eq(send_on(&p), 0);	/* nppd is writing: the old table serves */
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_gw_mac, 6), 0);
	atomic_fetch_add(&r->g->net_seq, 1);
	ck_assert_int_eq(send_on(&p), 0);
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_peer_mac, 6), 0);
	atomic_fetch_add(&r->g->net_seq, 1);
	r->g->n_routes = 0;
	atomic_fetch_add(&r->g->net_seq, 1);
	ck_assert_int_eq(send_on(&p), -ENETUNREACH);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_NO_ROUTE), 1);
}
END_TEST

static unsigned asked_for(uint32_t addr)
{
	uint32_t be = htonl(addr);
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_frames; i++) {
		const struct arp_hdr *a = rig_arp_of(&r->frame[i]);

		n += a && memcmp(a->tpa, &be, 4) == 0;
	}
	return n;
}

START_TEST(a_router_that_does_not_answer_is_passed_over)
{
	struct ip_path p = path_to(0x08080808);

	ck_assert_uint_eq(hop(0x08080808), RIG_GW);
	(void)send_on(&p);
	rig_advance(r, 4000000);			/* asked three times in vain */
	ck_assert_uint_eq(hop(0x08080808), 0x0a0000fd);
	ck_assert_uint_eq(hop(0xac100504), 0x0a0000fc);	/* there is no other way */
	rig_know(r, 0x0a0000fd, rig_peer_mac);
	ck_assert_int_eq(send_on(&p), 0);
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_peer_mac, 6), 0);
	rig_advance(r, 31000000);
	rig_forget(r);
	(void)send_on(&p);				/* the first one is asked again, and nothing waits for it */
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_peer_mac, 6), 0);
	rig_run(r);
	ck_assert_uint_eq(asked_for(RIG_GW), 1);
	ck_assert_uint_eq(hop(0x08080808), 0x0a0000fd);
	rig_know(r, RIG_GW, rig_gw_mac);
	ck_assert_uint_eq(hop(0x08080808), RIG_GW);
	ck_assert_int_eq(send_on(&p), 0);
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_gw_mac, 6), 0);
}
END_TEST

START_TEST(when_no_router_answers_it_stays_with_the_first)
{
	struct ip_path p = path_to(0x08080808);

	(void)send_on(&p);
	rig_advance(r, 4000000);
	p = path_to(0x08080808);
	ck_assert_uint_eq(hop(0x08080808), 0x0a0000fd);
	(void)send_on(&p);
	rig_advance(r, 4000000);
	ck_assert_uint_eq(hop(0x08080808), RIG_GW);
}
END_TEST

START_TEST(a_table_that_lies_is_cut_to_size)
{
	atomic_fetch_add(&r->g->net_seq, 1);
	r->g->n_routes = 1u << 30;
	r->g->n_addrs = 0xffffffff;
	r->g->n_ports = 77;
	r->g->route[200].prefix_len = 255;
	r->g->route[201].port = 250;
	atomic_fetch_add(&r->g->net_seq, 1);
	ck_assert_uint_eq(hop(0x08080808), RIG_GW);
}
END_TEST

START_TEST(every_route_of_a_full_table_leads_to_its_next_hop)
{
	struct npp_global *g = r->g;

	g->n_routes = NPP_MAX_ROUTES;
	for (uint32_t i = 0; i < NPP_MAX_ROUTES; i++)
		g->route[i] = (struct npp_route){ .dst = rig_addr(0x14000000 + (i << 8)), .prefix_len = 96 + 24,
						  .via = rig_addr(0x0a000000 + 3 + i % 250) };
	atomic_fetch_add(&g->net_seq, 2);
	for (uint32_t i = 0; i < NPP_MAX_ROUTES; i++)
		ck_assert_uint_eq(hop(0x14000005 + (i << 8)), 0x0a000000 + 3 + i % 250);
}
END_TEST

START_TEST(a_learned_path_mtu_holds_for_ten_minutes)
{
	struct ip_path p = path_to(0x08080808), other = path_to(0x08080809), fresh;

	ip_pmtu(s, &p, 1300);
	ck_assert_uint_eq(p.mtu, 1300);
	ip_pmtu(s, &p, 1400);	/* never upwards */
	ck_assert_uint_eq(p.mtu, 1300);
	fresh = path_to(0x08080808);
	ck_assert_uint_eq(fresh.mtu, 1300);
	ck_assert_uint_eq(other.mtu, 1500);
	ip_pmtu(s, &p, 68);	/* not believed */
	ck_assert_uint_eq(p.mtu, 552);
	rig_advance(r, 300000000);
	ck_assert_uint_eq(path_to(0x08080808).mtu, 552);
	rig_advance(r, 301000000);
	ck_assert_uint_eq(path_to(0x08080808).mtu, 1500);
}
END_TEST

START_TEST(another_iop_tells_the_link_role_about_a_path_mtu)
{
	struct ip_path p;

	s = r->node[1].s;
	p = path_to(0x08080808);
	ip_pmtu(s, &p, 1300);
	ck_assert_uint_eq(r->ipc_count[NPP_REC_PMTU], 1);
	rig_run(r);
	s = r->node[0].s;
	ck_assert_uint_eq(path_to(0x08080808).mtu, 1300);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stack/route");
	TCase *tc = tcase_create("route");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_longest_prefix_wins_then_the_smaller_metric);
	tcase_add_test(tc, the_source_is_ours_and_near_the_next_hop);
	tcase_add_test(tc, the_source_of_ipv6_has_the_scope_of_its_peer_and_is_not_deprecated);
	tcase_add_test(tc, our_own_address_is_local_and_any_size);
	tcase_add_test(tc, broadcast_and_multicast_have_their_own_ethernet_addresses);
	tcase_add_test(tc, a_network_of_another_size_has_another_broadcast_address);
	tcase_add_test(tc, nobody_connects_to_a_group);
	tcase_add_test(tc, a_path_follows_the_routes);
	tcase_add_test(tc, a_router_that_does_not_answer_is_passed_over);
	tcase_add_test(tc, when_no_router_answers_it_stays_with_the_first);
	tcase_add_test(tc, a_table_that_lies_is_cut_to_size);
	tcase_add_test(tc, every_route_of_a_full_table_leads_to_its_next_hop);
	tcase_add_test(tc, a_learned_path_mtu_holds_for_ten_minutes);
	tcase_add_test(tc, another_iop_tells_the_link_role_about_a_path_mtu);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
