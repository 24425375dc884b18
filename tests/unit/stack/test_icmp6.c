/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_icmp6.c - ICMPv6: echo, errors in, errors out
 */
#include "config.h"

#include "tests/unit/stack/ip6_rig.h"
#include "tests/unit/suite.h"

/* ---- ICMPv6 ------------------------------------------------------------------------------------ */

START_TEST(echo_is_answered_also_for_a_group)
{
	v6_know_peer();
	v6_begin(PEER, US, 58);
	v6_icmp(128, 0, 0x12340001, "abcdefgh", 8);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(v6_sent(58)[0], 129);
	v6_begin(PEER, "ff02::1", 58);
	v6_icmp(128, 0, 0x12340002, "abcdefgh", 8);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 2);
	ck_assert_uint_eq(rig_ip6(rig_last(r))->src[0], 0xfd);
}
END_TEST

START_TEST(errors_are_limited_and_never_answer_errors)
{
	v6_know_peer();
	for (unsigned i = 0; i < 3 * ICMP_BURST; i++) {
		v6_begin(PEER, US, 17);
		v6_udp((uint16_t)(i + 1), PORT + 1, 4);
		rig_in(r, 0, &p);
	}
	rig_run(r);
	ck_assert_uint_le(r->n_frames, 2 * ICMP_BURST);
	ck_assert_uint_ge(rig_stat(r, 0, NPP_IS_DROP_ICMP_RATE), 1);
	rig_advance(r, 1000000);
	rig_forget(r);
	v6_begin(PEER, US, 60);	/* an error with an option that must be complained about */
	v6_ext(58, 0, "\x9e\4\0\0\0\0", 6);
	v6_icmp(1, 4, 0, "", 0);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(packet_too_big_counts_only_for_what_we_sent)
{
	struct neigh_view v;
	union npp_addr peer = v6_addr(PEER);

	v6_know_peer();
	v6_too_big(1300, PORT);
	v6_arrived();
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_uint_eq(v.pmtu, 0);	/* nothing was sent there */
	ck_assert_int_eq(v6_send_to(0, PEER, 1400), 0);
	ck_assert_int_eq(v6_send_to(1, PEER, 1400), 0);
	v6_too_big(1279, PORT);
	v6_arrived();
	v6_too_big(1300, PORT + 1);
	v6_arrived();
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_uint_eq(v.pmtu, 0);	/* smaller than any link; another socket's */
	v6_too_big(1300, PORT);
	v6_arrived();
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_uint_eq(v.pmtu, 1300);
	rig_forget(r);
	ck_assert_int_eq(v6_send_to(0, PEER, 1400), 0);
	ck_assert_uint_eq(r->n_frames, 2);
	ck_assert_uint_le(r->frame[0].len, 14 + 1300);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("icmp6");
	TCase *tc = tcase_create("icmp6");

	tcase_add_checked_fixture(tc, v6_setup, v6_teardown);
	tcase_add_test(tc, echo_is_answered_also_for_a_group);
	tcase_add_test(tc, errors_are_limited_and_never_answer_errors);
	tcase_add_test(tc, packet_too_big_counts_only_for_what_we_sent);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
