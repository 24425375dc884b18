/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_nd.c - neighbour discovery and router advertisements
 */
#include "config.h"

#include "tests/unit/stack/ip6_rig.h"
#include "tests/unit/suite.h"

/* ---- neighbour discovery --------------------------------------------------------------------- */

START_TEST(a_solicitation_is_answered_and_its_sender_learned)
{
	struct neigh_view v;
	union npp_addr peer = v6_addr(PEER);

	v6_nd(PEER, "ff02::1:ff00:1", 135, 0, US, 1, rig_peer_mac);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(v6_sent(58)[0], 136);
	ck_assert_uint_eq(v6_sent(58)[4], 0x60);
	ck_assert_uint_eq(rig_ip6(rig_last(r))->hops, 255);
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_int_eq(v.state, NPP_NEIGH_REACHABLE);
	ck_assert_mem_eq(v.mac, rig_peer_mac, 6);
}
END_TEST

START_TEST(discovery_from_beyond_a_router_or_without_sense_is_dropped)
{
	for (int i = 0; i < 6; i++) {
		v6_nd(PEER, "ff02::1:ff00:1", 135, 0, i == 4 ? "ff02::1" : US, 1, rig_peer_mac);
		switch (i) {
		case 0: p.b[14 + 7] = 254; break;
		case 1: p.b[p.l4 + 1] = 1; v6_finish(58, 2); break;
		case 2: p.b[p.l4 + 25] = 0; v6_finish(58, 2); break;	/* an option without length */
		case 3: p.b[p.l4 + 25] = 9; v6_finish(58, 2); break;
		case 5: p.len -= 16; v6_finish(58, 2); break;
		}
		v6_expect_drop(NPP_IS_DROP_ND);
		ck_assert_uint_eq(r->n_frames, 0);
	}
	v6_nd(PEER, "ff02::1", 136, 0x40000000, PEER, 2, rig_peer_mac); /* solicited, to all */
	v6_expect_drop(NPP_IS_DROP_ND);
	v6_nd(PEER, US, 136, 0x60000000, "ff02::5", 2, rig_peer_mac);	/* about a group */
	v6_expect_drop(NPP_IS_DROP_ND);
	v6_nd(PEER, US, 136, 0x60000000, "2001:db8::5", 2, rig_peer_mac); /* about one who is not on the link */
	v6_expect_drop(NPP_IS_DROP_ND);
	v6_nd("::", "ff02::1:ff00:1", 135, 0, US, 1, rig_peer_mac);	/* a probe that says who asks (7.1.1) */
	v6_expect_drop(NPP_IS_DROP_ND);
	v6_nd("::", US, 135, 0, US, 0, NULL);				/* one to us alone */
	v6_expect_drop(NPP_IS_DROP_ND);
	v6_nd(PEER, "ff02::1:ff00:1", 135, 0, US, 1, rig_bcast_mac);
	v6_expect_drop(NPP_IS_DROP_ND);
	v6_nd(US, "ff02::1:ff00:1", 135, 0, US, 1, rig_peer_mac);	/* from ourselves */
	v6_expect_drop(NPP_IS_DROP_ND);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(an_advertisement_that_nobody_asked_for_teaches_nothing)
{
	struct neigh_view v;
	union npp_addr peer = v6_addr(PEER);

	v6_nd(PEER, US, 136, 0x60000000, PEER, 2, rig_peer_mac);
	rig_in(r, 0, &p);
	ck_assert(!neigh_lookup(r->node[0].s, &peer, 0, &v) || v.state == NPP_NEIGH_NONE);
}
END_TEST

START_TEST(a_frame_waits_for_its_neighbour_on_any_iop)
{
	for (unsigned iop = 0; iop < 2; iop++) {
		ck_assert_int_eq(v6_send_to(iop, PEER, 10), 0);
		rig_run(r);
	}
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(v6_sent(58)[0], 135);
	ck_assert_uint_eq(r->frame[0].data[0], 0x33);
	v6_nd(PEER, US, 136, 0x60000000, PEER, 2, rig_peer_mac);
	memcpy(p.b, (const uint8_t[]){ 0x33, 0x33, 0, 0, 0, 1 }, 6);	/* an answer comes to us alone */
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 1);
	v6_nd(PEER, US, 136, 0x60000000, PEER, 2, rig_peer_mac);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 3);
	v6_sent(17);
	ck_assert_mem_eq(rig_last(r)->data, rig_peer_mac, 6);
}
END_TEST

START_TEST(a_silent_neighbour_fails_after_three_questions)
{
	ck_assert_int_eq(v6_send_to(0, PEER, 10), 0);
	rig_advance(r, 5000000);
	ck_assert_uint_eq(r->n_frames, 3);
	ck_assert_uint_ge(rig_stat(r, 0, NPP_IS_DROP_NEIGH_FAILED), 1);
}
END_TEST

START_TEST(an_old_neighbour_is_probed_alone_then_by_all)
{
	v6_know_peer();
	rig_advance(r, 40000000);
	ck_assert_int_eq(v6_send_to(0, PEER, 10), 0);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 2);	/* the datagram does not wait */
	ck_assert_mem_eq(r->frame[0].data, rig_peer_mac, 6);
	rig_advance(r, 6000000);
	ck_assert_uint_eq(r->n_frames, 1 + 2 + 3);
	ck_assert_uint_eq(rig_last(r)->data[0], 0x33);
}
END_TEST

START_TEST(a_live_neighbour_is_not_taken_over)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 0, 0x66 };
	struct neigh_view v;
	union npp_addr peer = v6_addr(PEER);

	v6_know_peer();
	v6_nd(PEER, US, 136, 0x20000000, PEER, 2, other);
	rig_in(r, 0, &p);
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_mem_eq(v.mac, rig_peer_mac, 6);
	ck_assert_uint_eq(r->n_frames, 1);	/* the one we know is asked */
	ck_assert_mem_eq(rig_last(r)->data, rig_peer_mac, 6);
	ck_assert_uint_ge(rig_stat(r, 0, NPP_IS_ARP_CONFLICTS), 1);
}
END_TEST

START_TEST(an_address_of_ours_is_defended)
{
	v6_nd("::", "ff02::1:ff00:1", 135, 0, US, 0, NULL);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(v6_sent(58)[0], 136);
	ck_assert_uint_eq(rig_ip6(rig_last(r))->dst[0], 0xff);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 1);	/* once in a while */
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ARP_CONFLICTS), 2);
}
END_TEST

START_TEST(beyond_the_link_goes_to_the_router_from_a_global_address)
{
	union npp_addr us = v6_addr(US);

	ck_assert_int_eq(v6_send_to(0, "2001:db8::1", 10), 0);
	rig_run(r);
	ck_assert_uint_eq(v6_sent(58)[0], 135);
	ck_assert_uint_eq(v6_sent(58)[8 + 15], 0xfe);
	v6_nd("fe80::fe", LOCAL, 136, 0xe0000000, "fe80::fe", 2, rig_gw_mac);
	rig_in(r, 0, &p);
	rig_run(r);
	v6_sent(17);
	ck_assert_mem_eq(rig_ip6(rig_last(r))->src, us.b, 16);
	ck_assert_mem_eq(rig_last(r)->data, rig_gw_mac, 6);
}
END_TEST

/* ---- advertisements --------------------------------------------------------------------------------- */

static void ra(uint16_t lifetime, uint32_t valid, uint32_t preferred)
{
	uint8_t body[8 + 32] = { [8] = 3, 4, 64, 0xc0 };
	uint32_t v = htonl(valid), w = htonl(preferred);
	union npp_addr prefix = v6_addr("fd00:0:0:99::");

	memcpy(body + 12, &v, 4);
	memcpy(body + 16, &w, 4);
	memcpy(body + 24, prefix.b, 16);
	v6_begin("fe80::fe", "ff02::1", 58);
	v6_icmp(134, 0, lifetime, body, sizeof body);
	rig_in(r, 0, &p);
	rig_run(r);
}

START_TEST(advertisements_count_only_where_they_are_wanted)
{
	ra(1800, 7200, 3600);
	ck_assert_uint_eq(r->n_autoconf, 0);
}
END_TEST

START_TEST(what_advertisements_say_ends_in_its_time)
{
	r->g->port[0].flags = NPP_PORT_AUTOCONF;
	ra(1800, 7200, 3600);
	ck_assert_uint_eq(r->n_autoconf, 1);
	ck_assert_uint_eq(r->autoconf.n_addrs, 1);
	ck_assert_uint_eq(r->autoconf.n_routers, 1);
	ck_assert_uint_eq(r->autoconf.addr[0].flags, NPP_ADDR_AUTO);
	ra(1800, 7200, 3600);
	ck_assert_uint_eq(r->n_autoconf, 1);	/* no news */
	for (unsigned i = 0; i < 1810; i++)
		rig_advance(r, 1000000);
	ck_assert_uint_eq(r->autoconf.n_routers, 0);
	ra(0, 60, 30);				/* not below two hours */
	rig_forget(r);
	for (unsigned i = 0; i < 120; i++)
		rig_advance(r, 1000000);
	ck_assert_uint_eq(r->autoconf.n_addrs, 1);
	ck_assert_uint_eq(r->autoconf.addr[0].flags, NPP_ADDR_AUTO | NPP_ADDR_DEPRECATED);
	for (unsigned i = 0; i < 5400; i++)
		rig_advance(r, 1000000);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
}
END_TEST

START_TEST(what_advertisements_say_of_the_link_counts)
{
	uint8_t mtu[16] = { [8] = 5, 1, 0, 0, 0, 0, 0x05, 0x14 }; /* 1300 */

	r->g->port[0].flags = NPP_PORT_AUTOCONF;
	v6_begin("fe80::fe", "ff02::1", 58);
	v6_icmp(134, 0, 77u << 24 | 1800, mtu, sizeof mtu);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(r->autoconf.link[0].mtu, 1300);
	ck_assert_uint_eq(r->autoconf.link[0].hops, 77);
	mtu[14] = 4; /* less than IPv6 allows */
	v6_begin("fe80::fe", "ff02::1", 58);
	v6_icmp(134, 0, 1800, mtu, sizeof mtu);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->autoconf.link[0].mtu, 1300);
	ck_assert_uint_eq(r->autoconf.link[0].hops, 77); /* not said is no news */
	atomic_store(&r->g->port[0].ra6, NPP_RA6(77, 1300)); /* as nppd does */
	atomic_store(&r->g->net_seq, 6);
	rig_run(r);
	rig_forget(r);
	v6_begin(PEER, US, 58);
	v6_icmp(128, 0, 0x12340001, "abcdefgh", 8);
	rig_in(r, 0, &p);
	v6_nd(PEER, "ff02::1:ff00:1", 135, 0, US, 1, rig_peer_mac);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_gt(r->n_frames, 0);
	{
		bool seen = false;

		for (unsigned i = 0; i < r->n_frames; i++)
			seen |= rig_ip6(&r->frame[i]) && rig_ip6(&r->frame[i])->hops == 77;
		ck_assert(seen);
	}
}
END_TEST

/* An advertisement with times in milliseconds. */
static void ra_times(uint32_t reachable, uint32_t retrans)
{
	uint32_t body[2] = { htonl(reachable), htonl(retrans) };

	v6_begin("fe80::fe", "ff02::1", 58);
	v6_icmp(134, 0, 1800, body, sizeof body);
	rig_in(r, 0, &p);
	rig_run(r);
	atomic_store(&r->g->port[0].ra6_reachable_ms, r->autoconf.link[0].reachable_ms); /* as nppd does */
	rig_forget(r);
}

START_TEST(advertised_times_count_within_bounds)
{
	uint32_t drawn;

	r->g->port[0].flags = NPP_PORT_AUTOCONF;
	ra_times(8000, 300);
	drawn = r->autoconf.link[0].reachable_ms;
	ck_assert(drawn >= 4000 && drawn <= 12000); /* RFC 4861, 6.3.2 */
	ra_times(8000, 0);
	ck_assert_uint_eq(r->autoconf.link[0].reachable_ms, drawn); /* the same is no news, 0 says nothing */
	v6_know_peer();
	rig_advance(r, (drawn + 400) * 1000ull);
	ck_assert_int_eq(v6_send_to(0, PEER, 10), 0);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 2);	/* he is asked although 30 s are not over */
	rig_advance(r, 2600000);
	ck_assert_uint_eq(r->n_frames, 1 + 2 + 3); /* all questions within 6 times 300 ms, by ticks of 200 */
	ra_times(1, 1);
	ck_assert_uint_eq(r->autoconf.link[0].reachable_ms, ND_REACHABLE_MIN_MS);
	drawn = r->autoconf.link[0].reachable_ms;
	ra_times(3600001, 0xffffffff);		/* that nobody may send: no news */
	ck_assert_uint_eq(r->autoconf.link[0].reachable_ms, drawn);
	rig_forget(r);
	ck_assert_int_eq(v6_send_to(0, "fd00::65", 10), 0);
	rig_advance(r, 15000000);
	ck_assert_uint_eq(r->n_frames, 2);	/* every ten seconds, not in 49 days */
	ra_times(3600000, 0);
	ck_assert_uint_ge(r->autoconf.link[0].reachable_ms, 1800000);
	ck_assert_uint_le(r->autoconf.link[0].reachable_ms, ND_REACHABLE_MAX_MS);
}
END_TEST

START_TEST(an_address_that_is_somebody_elses_is_given_up)
{
	char text[NPP_ADDR_STRLEN];

	r->g->port[0].flags = NPP_PORT_AUTOCONF;
	ra(1800, 7200, 3600);
	ck_assert_uint_eq(r->autoconf.n_addrs, 1);
	npp_addr_format(&r->autoconf.addr[0].addr, text);
	v6_nd(PEER, "ff02::1", 136, 0x20000000, text, 2, rig_peer_mac);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
	ck_assert_uint_eq(r->autoconf.n_on_link, 1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ACD_DEFENDED), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nd");
	TCase *tc = tcase_create("nd");

	tcase_add_checked_fixture(tc, v6_setup, v6_teardown);
	tcase_add_test(tc, a_solicitation_is_answered_and_its_sender_learned);
	tcase_add_test(tc, discovery_from_beyond_a_router_or_without_sense_is_dropped);
	tcase_add_test(tc, an_advertisement_that_nobody_asked_for_teaches_nothing);
	tcase_add_test(tc, a_frame_waits_for_its_neighbour_on_any_iop);
	tcase_add_test(tc, a_silent_neighbour_fails_after_three_questions);
	tcase_add_test(tc, an_old_neighbour_is_probed_alone_then_by_all);
	tcase_add_test(tc, a_live_neighbour_is_not_taken_over);
	tcase_add_test(tc, an_address_of_ours_is_defended);
	tcase_add_test(tc, beyond_the_link_goes_to_the_router_from_a_global_address);
	tcase_add_test(tc, advertisements_count_only_where_they_are_wanted);
	tcase_add_test(tc, what_advertisements_say_ends_in_its_time);
	tcase_add_test(tc, what_advertisements_say_of_the_link_counts);
	tcase_add_test(tc, advertised_times_count_within_bounds);
	tcase_add_test(tc, an_address_that_is_somebody_elses_is_given_up);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
