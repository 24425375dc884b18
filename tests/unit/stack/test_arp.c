/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_arp.c - the link role answers, asks, announces and is hard to fool
 */
#include "config.h"

#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

static struct rig *r;
static struct rig_pkt p;
static const uint8_t other_mac[6] = { 2, 7, 7, 7, 7, 7 };

static void setup(void) { r = rig_new(3); }
static void teardown(void) { rig_free(r); }

/* The cache's entry for ADDR, by looking at all of them. */
static const struct npp_neigh *cached(uint32_t addr)
{
	union npp_addr a = rig_addr(addr);

	for (unsigned i = 0; i < NPP_NEIGH_ENTRIES; i++)
		if (npp_addr_eq(&r->t->entry[i].addr, &a))
			return &r->t->entry[i];
	return NULL;
}

static unsigned cache_used(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NPP_NEIGH_ENTRIES; i++)
		n += !npp_addr_is_any(&r->t->entry[i].addr);
	return n;
}

/* Something to PEER, so that its address is wanted. */
static void want(unsigned iop, uint32_t peer)
{
	struct udp_endpoint t = { .lport = 5000 }, *ep;
	struct npp_dgram d = { .len = 4, .port = 9, .addr = rig_addr(peer) };
	struct stack_slice sl = { "abcd", 4 };
	int err;

	ep = stack_udp_bind(r->node[iop].s, &t, &err);
	ck_assert_ptr_nonnull(ep);
	err = stack_udp_send(r->node[iop].s, ep, &d, &sl, 1);
	ck_assert(err == 0 || err == -EHOSTUNREACH || err == -ENOBUFS);
	stack_udp_unbind(r->node[iop].s, ep);
	rig_run(r);
}

START_TEST(a_request_for_our_address_is_answered)
{
	const struct arp_hdr *a;

	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, NULL, RIG_US2);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 1);
	a = rig_arp_of(rig_last(r));
	ck_assert_ptr_nonnull(a);
	ck_assert_uint_eq(a->op, htons(2));
	ck_assert_int_eq(memcmp(a->sha, rig_mac, 6), 0);
	ck_assert_int_eq(memcmp(a->tha, rig_peer_mac, 6), 0);
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_peer_mac, 6), 0);
	ck_assert_int_eq(memcmp(a->spa, (uint8_t[]){ 10, 0, 0, 2 }, 4), 0);
	ck_assert_ptr_nonnull(cached(RIG_PEER));
	ck_assert_uint_eq(cached(RIG_PEER)->state, NPP_NEIGH_REACHABLE);
}
END_TEST

START_TEST(a_probe_is_answered_and_nothing_is_learned)
{
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, 0, NULL, RIG_US);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(rig_count_arp(r, 2), 1);
	ck_assert_uint_eq(cache_used(), 0);
}
END_TEST

START_TEST(a_request_for_another_is_ignored)
{
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, NULL, RIG_GW);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 0);
	ck_assert_uint_eq(cache_used(), 0);
}
END_TEST

START_TEST(only_the_link_role_answers)
{
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, NULL, RIG_US);
	rig_in(r, 1, &p);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(nonsense_is_a_counted_drop)
{
	struct { unsigned at; uint8_t v; } bad[] = { { 15, 2 }, { 17, 1 }, { 18, 5 }, { 19, 16 }, { 21, 9 }, { 22, 1 } };

	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, NULL, RIG_US);
		p.b[bad[i].at] = bad[i].v;
		rig_in(r, 0, &p);
	}
	for (unsigned len = 14; len < 42; len++) {
		rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, NULL, RIG_US);
		p.len = len;
		rig_in(r, 0, &p);
	}
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ARP), 6 + 28);
	ck_assert_uint_eq(r->n_frames, 0);
	ck_assert_uint_eq(cache_used(), 0);
}
END_TEST

START_TEST(a_sender_from_elsewhere_is_not_believed)
{
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, 0x08080808, NULL, RIG_US);
	rig_in(r, 0, &p);
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, 0x0a0000ff, NULL, RIG_US);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(cache_used(), 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ARP), 2);
}
END_TEST

START_TEST(a_question_is_asked_and_the_answer_used)
{
	for (unsigned iop = 0; iop < 3; iop++) {
		uint32_t peer = RIG_PEER + iop;

		want(iop, peer);
		ck_assert_uint_eq(rig_count_arp(r, 1), 1);
		ck_assert_uint_eq(rig_last(r)->iop, 0);
		ck_assert_int_eq(memcmp(rig_last(r)->data, rig_bcast_mac, 6), 0);
		rig_arp(&p, rig_mac, 2, rig_peer_mac, peer, rig_mac, RIG_US);
		rig_in(r, 0, &p);
		rig_run(r);
		ck_assert_uint_eq(r->n_frames, 2);
		ck_assert_ptr_nonnull(rig_ip(rig_last(r)));
		ck_assert_uint_eq(rig_last(r)->iop, iop);
		ck_assert_int_eq(memcmp(rig_last(r)->data, rig_peer_mac, 6), 0);
		ck_assert_uint_eq(r->ipc_count[NPP_REC_RESOLVE], iop != 0);
		ck_assert_uint_eq(r->ipc_count[NPP_REC_RESOLVED], iop != 0);
		rig_forget(r);
	}
}
END_TEST

START_TEST(silence_is_asked_three_times_then_given_up_for_a_while)
{
	want(1, RIG_PEER);
	rig_advance(r, 10000000);
	ck_assert_uint_eq(rig_count_arp(r, 1), 3);
	ck_assert_uint_eq(cached(RIG_PEER)->state, NPP_NEIGH_FAILED);
	ck_assert_uint_eq(rig_stat(r, 1, NPP_IS_DROP_NEIGH_FAILED), 1);
	rig_forget(r);
	want(1, RIG_PEER);	/* long after: a new attempt */
	ck_assert_uint_eq(rig_count_arp(r, 1), 1);
	rig_advance(r, 3200000);
	rig_forget(r);
	want(2, RIG_PEER);	/* just failed */
	ck_assert_uint_eq(rig_count_arp(r, 1), 0);
	ck_assert_uint_eq(rig_stat(r, 2, NPP_IS_DROP_NEIGH_FAILED), 1);
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, NULL, RIG_US); /* but there he is */
	rig_in(r, 0, &p);
	rig_forget(r);
	want(2, RIG_PEER);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_ptr_nonnull(rig_ip(rig_last(r)));
}
END_TEST

START_TEST(an_answer_nobody_asked_for_changes_nothing)
{
	rig_arp(&p, rig_mac, 2, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(cache_used(), 0);
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, NULL, RIG_PEER); /* gratuitous */
	rig_in(r, 0, &p);
	ck_assert_uint_eq(cache_used(), 0);
	for (uint32_t i = 0; i < 200; i++) {
		rig_arp(&p, rig_bcast_mac, 2, other_mac, 0x0a000010 + i, rig_bcast_mac, 0x0a000010 + i);
		rig_in(r, 0, &p);
	}
	ck_assert_uint_eq(cache_used(), 0);
}
END_TEST

START_TEST(an_answer_to_everybody_is_none)
{
	want(0, RIG_PEER);
	rig_arp(&p, rig_bcast_mac, 2, other_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	ck_assert_int_eq(cached(RIG_PEER)->state, NPP_NEIGH_INCOMPLETE);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	ck_assert_int_eq(cached(RIG_PEER)->state, NPP_NEIGH_REACHABLE);
}
END_TEST

START_TEST(a_live_neighbour_is_not_taken_over)
{
	rig_know(r, RIG_PEER, rig_peer_mac);
	rig_arp(&p, rig_mac, 2, other_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	/* The known address alone is asked; the attacker's further claims do not count. */
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_peer_mac, 6), 0);
	rig_in(r, 0, &p);
	rig_arp(&p, rig_bcast_mac, 1, other_mac, RIG_PEER, NULL, RIG_US);
	rig_in(r, 0, &p);
	ck_assert_int_eq(memcmp(cached(RIG_PEER)->mac, rig_peer_mac, 6), 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ARP_CONFLICTS), 3);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(cached(RIG_PEER)->state, NPP_NEIGH_REACHABLE);
	rig_forget(r);
	rig_advance(r, 5000000);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(a_neighbour_that_moved_is_found_again)
{
	rig_know(r, RIG_PEER, rig_peer_mac);
	rig_arp(&p, rig_bcast_mac, 1, other_mac, RIG_PEER, NULL, RIG_US);
	rig_in(r, 0, &p);
	rig_advance(r, 2500000);	/* the old address stays silent; now everybody is asked */
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_bcast_mac, 6), 0);
	rig_arp(&p, rig_mac, 2, other_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	ck_assert_int_eq(memcmp(cached(RIG_PEER)->mac, other_mac, 6), 0);
	ck_assert_uint_eq(cached(RIG_PEER)->state, NPP_NEIGH_REACHABLE);
}
END_TEST

START_TEST(our_address_is_defended_but_not_in_a_storm)
{
	for (unsigned i = 0; i < 20; i++) {
		rig_arp(&p, rig_bcast_mac, 1, other_mac, RIG_US, NULL, RIG_US);
		rig_in(r, 0, &p);
	}
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ARP_CONFLICTS), 20);
	ck_assert_uint_eq(rig_count_arp(r, 1), 1);
	ck_assert_uint_eq(cache_used(), 0);
}
END_TEST

START_TEST(each_address_is_defended_by_itself_and_told)
{
	static const uint32_t mine[2] = { RIG_US, RIG_US2 };
	union npp_addr us = rig_addr(RIG_US), us2 = rig_addr(RIG_US2);

	for (unsigned i = 0; i < 40; i++) {
		rig_arp(&p, rig_bcast_mac, 1, other_mac, mine[i % 2], NULL, mine[i % 2]);
		rig_in(r, 0, &p);
		if (i == 0)
			ck_assert(npp_addr_eq(&r->conflict.addr, &us));
	}
	ck_assert_uint_eq(rig_count_arp(r, 1), 2);	/* one address's conflict leaves the other its defence */
	ck_assert_uint_eq(r->n_conflicts, 2);
	ck_assert(npp_addr_eq(&r->conflict.addr, &us2));
	ck_assert_mem_eq(r->conflict.mac, other_mac, 6);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ACD_CONFLICTS), 40);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ACD_DEFENDED), 2);
	rig_advance(r, 10100000);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(rig_count_arp(r, 1), 3);
	ck_assert_uint_eq(r->n_conflicts, 3);
	ck_assert_uint_eq(r->conflict.n, 20);	/* nineteen that were not said, and this one */
	ck_assert_uint_eq(cache_used(), 0);
}
END_TEST

START_TEST(without_acd_nothing_is_announced_or_defended)
{
	r->g->port[0].flags |= NPP_PORT_ACD_OFF;
	rig_link_role(r, 0, false);
	rig_link_role(r, 1, true);
	rig_arp(&p, rig_bcast_mac, 1, other_mac, RIG_US, NULL, RIG_US);
	rig_in(r, 1, &p);
	rig_advance(r, 5000000);
	ck_assert_uint_eq(r->n_frames, 0);
	ck_assert_uint_eq(r->n_conflicts, 1);	/* but it is told */
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, NULL, RIG_US);
	rig_in(r, 1, &p);
	ck_assert_uint_eq(rig_count_arp(r, 2), 1);	/* and questions are answered */
}
END_TEST

START_TEST(taking_the_role_announces_and_repairs)
{
	rig_know(r, RIG_PEER, rig_peer_mac);
	/* The last holder died while it wrote. */
	for (unsigned i = 0; i < NPP_NEIGH_ENTRIES; i++)
		if (&r->t->entry[i] == cached(RIG_PEER))
			atomic_fetch_add(&r->t->entry[i].seq, 1);
	rig_link_role(r, 0, false);
	rig_link_role(r, 2, true);
	ck_assert_ptr_null(cached(RIG_PEER));
	ck_assert_uint_eq(rig_count_arp(r, 1), 3);	/* three addresses */
	rig_advance(r, 2500000);
	ck_assert_uint_eq(rig_count_arp(r, 1), 6);
	rig_advance(r, 10000000);
	ck_assert_uint_eq(rig_count_arp(r, 1), 6);
	for (unsigned i = 0; i < r->n_frames; i++) {
		const struct arp_hdr *a = rig_arp_of(&r->frame[i]);

		ck_assert_uint_eq(r->frame[i].iop, 2);
		ck_assert_int_eq(memcmp(a->spa, a->tpa, 4), 0);
		ck_assert_uint_eq(r->frame[i].port, a->spa[0] == 192);
	}
}
END_TEST

START_TEST(a_question_survives_the_move_of_the_role)
{
	want(1, RIG_PEER);
	rig_link_role(r, 0, false);	/* the question dies with IOP 0's role */
	rig_link_role(r, 2, true);
	rig_forget(r);
	rig_advance(r, 1500000);
	ck_assert_uint_ge(rig_count_arp(r, 1), 1);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 2, &p);
	rig_run(r);
	ck_assert_ptr_nonnull(rig_ip(rig_last(r)));
	ck_assert_uint_eq(rig_last(r)->iop, 1);
}
END_TEST

START_TEST(an_entry_in_use_is_reconfirmed_by_asking_it_alone)
{
	unsigned n;

	rig_know(r, RIG_PEER, rig_peer_mac);
	for (unsigned i = 0; i < 28; i++) {
		want(1, RIG_PEER);
		rig_advance(r, 1000000);
	}
	ck_assert_uint_eq(rig_count_arp(r, 1), 0);
	for (unsigned i = 0; i < 30 && !rig_count_arp(r, 1); i++) {
		rig_advance(r, 1000000);
		rig_forget(r);
		want(1, RIG_PEER);
	}
	ck_assert_uint_eq(rig_count_arp(r, 1), 1);
	for (n = 0; !rig_arp_of(&r->frame[n]); n++)
		;
	ck_assert_int_eq(memcmp(r->frame[n].data, rig_peer_mac, 6), 0);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(cached(RIG_PEER)->state, NPP_NEIGH_REACHABLE);
	rig_forget(r);
	rig_advance(r, 5000000);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(an_idle_entry_is_left_alone)
{
	rig_know(r, RIG_PEER, rig_peer_mac);
	rig_advance(r, 200000000);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stack/arp");
	TCase *tc = tcase_create("arp");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_request_for_our_address_is_answered);
	tcase_add_test(tc, a_probe_is_answered_and_nothing_is_learned);
	tcase_add_test(tc, a_request_for_another_is_ignored);
	tcase_add_test(tc, only_the_link_role_answers);
	tcase_add_test(tc, nonsense_is_a_counted_drop);
	tcase_add_test(tc, a_sender_from_elsewhere_is_not_believed);
	tcase_add_test(tc, a_question_is_asked_and_the_answer_used);
	tcase_add_test(tc, silence_is_asked_three_times_then_given_up_for_a_while);
	tcase_add_test(tc, an_answer_nobody_asked_for_changes_nothing);
	tcase_add_test(tc, an_answer_to_everybody_is_none);
	tcase_add_test(tc, a_live_neighbour_is_not_taken_over);
	tcase_add_test(tc, a_neighbour_that_moved_is_found_again);
	tcase_add_test(tc, our_address_is_defended_but_not_in_a_storm);
	tcase_add_test(tc, each_address_is_defended_by_itself_and_told);
	tcase_add_test(tc, without_acd_nothing_is_announced_or_defended);
	tcase_add_test(tc, taking_the_role_announces_and_repairs);
	tcase_add_test(tc, a_question_survives_the_move_of_the_role);
	tcase_add_test(tc, an_entry_in_use_is_reconfirmed_by_asking_it_alone);
	tcase_add_test(tc, an_idle_entry_is_left_alone);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
