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

START_TEST(no_error_about_redirects_groups_or_nobody)
{
	static const uint8_t stop[6] = { 0, 1 };	/* a source route that goes on */

	v6_know_peer();
	v6_begin(PEER, US, 60);
	v6_ext(58, 0, "\x9e\4\0\0\0\0", 6);
	v6_icmp(137, 0, 0, "", 0);
	rig_in(r, 0, &p);
	v6_begin(PEER, "ff02::1", 43);
	v6_ext(17, 0, stop, 6);
	v6_udp(1, PORT, 10);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 0);
	v6_begin(US, US, 58);		/* from ourselves? Whoever is asked. */
	v6_icmp(128, 0, 0x12340001, "abcdefgh", 8);
	v6_expect_drop(NPP_IS_DROP_IP_SRC);
	rig_in(r, 1, &p);
	rig_run(r);
	ck_assert_uint_eq(rig_stat(r, 1, NPP_IS_DROP_IP_SRC), 1);
	ck_assert_uint_eq(rig_stat_all(r, NPP_IS_ECHO_REPLIES), 0);
	v6_begin("::", US, 58);		/* echo, but for whom? */
	v6_icmp(128, 0, 0x12340001, "abcdefgh", 8);
	v6_expect_drop(NPP_IS_DROP_ICMP);
	v6_begin(PEER, US, 43);
	v6_ext(17, 0, stop, 6);
	v6_udp(1, PORT, 10);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 1);
}
END_TEST

/* A router says that US:PORT -> peer:99 is refused, quoting LEN bytes of it as FROM's, in a fragment at offset OFF. */
static void refused(const char *dst, const char *from, uint32_t off, uint32_t len)
{
	struct { struct ip6_hdr_w h; struct ip6_frag_hdr f; struct udp_hdr u; } q = {
		.h = { .vtf = htonl(6u << 28), .plen = htons(1016), .next = 44, .hops = 64 },
		.f = { .next = 17, .off = htons((uint16_t)off) },
		.u = { htons(PORT), htons(99), htons(1008), 0 }
	};
	union npp_addr us = v6_addr(from), peer = v6_addr(PEER);

	memcpy(q.h.src, us.b, 16);
	memcpy(q.h.dst, peer.b, 16);
	v6_begin("fe80::fe", dst, 58);
	v6_icmp(1, 4, 0, &q, len);
	rig_in(r, 0, &p);
	rig_run(r);
}

START_TEST(errors_about_others_packets_are_dropped)
{
	for (uint32_t len = 0; len < 56; len++)
		refused(US, US, 0, len);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ICMP), 56);
	refused(US, PEER, 0, 56);	/* not our address */
	refused(US, US, 8, 56);		/* a fragment that has no ports */
	refused("ff02::1", US, 0, 56);	/* not said to us alone */
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ICMP), 59);
	ck_assert_int_eq(r->node[0].udp_err, 0);
	ck_assert_int_eq(r->node[1].udp_err, 0);
	refused(US, US, 0, 56);
	ck_assert(r->node[0].udp_err == ECONNREFUSED || r->node[1].udp_err == ECONNREFUSED);
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

/* ---- echo replies that are too large for the path --------------------------------------------- */

#define ID 0x1234u

static void ask(const char *peer, uint16_t seq, uint32_t len)
{
	static const uint8_t data[60000];

	v6_begin(peer, US, 58);
	v6_icmp(128, 0, ID << 16 | seq, data, len);
	rig_in(r, 0, &p);
	rig_run(r);
}

/* How many frames a reply of LEN bytes takes. */
static unsigned frames(uint16_t seq, uint32_t len)
{
	rig_forget(r);
	ask(PEER, seq, len);
	return r->n_frames;
}

/* A router says that a reply of ours of LEN bytes was too large for MTU. */
static void reply_too_big(uint32_t mtu, uint32_t id, uint16_t seq, uint32_t len)
{
	struct { struct ip6_hdr_w h; struct icmp4_hdr i; uint8_t data[100]; } q = {
		.h = { .vtf = htonl(6u << 28), .plen = htons((uint16_t)(8 + len)), .next = 58, .hops = 64 },
		.i = { .type = 129, .rest = htonl(id << 16 | seq) },
	};
	union npp_addr us = v6_addr(US), peer = v6_addr(PEER);

	memcpy(q.h.src, us.b, 16);
	memcpy(q.h.dst, peer.b, 16);
	v6_begin("fe80::fe", US, 58);
	v6_icmp(2, 0, mtu, &q, sizeof q);
	v6_arrived();
}

START_TEST(a_reply_that_was_too_large_comes_in_fragments_from_then_on)
{
	struct neigh_view v;
	union npp_addr peer = v6_addr(PEER);

	v6_know_peer();
	ck_assert_uint_eq(frames(1, 1400), 1);
	reply_too_big(1300, ID, 1, 1400);
	ck_assert_uint_eq(frames(2, 1400), 2);
	for (unsigned i = 0; i < r->n_frames; i++)
		ck_assert_uint_le(r->frame[i].len, 14 + 1300);
	ck_assert_uint_eq(frames(3, 1240), 1);	/* fits */
	ck_assert_uint_eq(frames(4, 1400), 2);
	reply_too_big(1350, ID, 4, 1400);	/* less than what is known */
	ck_assert_uint_eq(frames(4, 1320 - 48), 2);
	reply_too_big(1280, ID, 4, 1292 - 40);	/* of which the first is too large as well */
	ck_assert_uint_eq(frames(5, 1240), 2);
	rig_attach(r, 0);	/* a successor goes on */
	rig_attach(r, 1);
	v6_know_peer();
	ck_assert_uint_eq(frames(6, 1400), 2);
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_uint_eq(v.pmtu, 0);	/* nobody else believes it */
	for (unsigned i = 0; i < 610; i++)
		rig_advance(r, 1000000);
	v6_know_peer();
	ck_assert_uint_eq(frames(7, 1400), 1);
}
END_TEST

START_TEST(only_what_quotes_one_of_the_last_replies_is_believed)
{
	uint64_t before;

	v6_know_peer();
	reply_too_big(1300, ID, 1, 1400);	/* nobody has asked */
	ck_assert_uint_eq(frames(1, 1400), 1);
	before = rig_stat_all(r, NPP_IS_DROP_ICMP);
	reply_too_big(1279, ID, 1, 1400);	/* no link is that small */
	reply_too_big(1300, ID + 1, 1, 1400);
	reply_too_big(1300, ID, 2, 1400);	/* to come */
	reply_too_big(1300, ID, 1, 1200);	/* would have fitted */
	reply_too_big(1300, ID, 1, 1500);	/* larger than what we sent */
	ck_assert_uint_eq(rig_stat_all(r, NPP_IS_DROP_ICMP), before + 5 * r->n);
	ck_assert_uint_eq(frames(2, 1400), 1);
	for (uint16_t seq = 3; seq < 300; seq++)
		frames(seq, 1400);
	reply_too_big(1300, ID, 2, 1400);	/* long ago */
	ck_assert_uint_eq(frames(300, 1400), 1);
	reply_too_big(1300, ID, 290, 1400);
	ck_assert_uint_eq(frames(301, 1400), 2);
}
END_TEST

/* They are put together by any IOP, and answered by the one that hears of what becomes of the answer. */
START_TEST(a_question_in_fragments_is_answered_by_who_is_told_of_the_answer)
{
	static uint8_t body[1408];
	struct icmp4_hdr h = { .type = 128, .rest = htonl(ID << 16 | 7) };
	struct ip6_frag_hdr f = { .next = 58 };
	unsigned who[2];

	v6_know_peer();
	v6_begin(PEER, US, 58);
	v6_icmp(128, 0, ID << 16 | 7, body, 1400);
	h.csum = ((struct icmp4_hdr *)(p.b + p.l4))->csum;
	memcpy(body, &h, sizeof h);
	for (unsigned iop = 0; iop < 2; iop++) {
		rig_forget(r);
		for (unsigned half = 0; half < 2; half++) {
			f.id = htonl(5 + iop);
			f.off = htons((uint16_t)(half * 704 | !half));
			v6_begin(PEER, US, 44);
			rig_put(&p, &f, sizeof f);
			rig_put(&p, body + half * 704, 704);
			v6_length();
			rig_in(r, iop, &p);
		}
		rig_run(r);
		ck_assert_uint_eq(r->n_frames, 1);
		who[iop] = r->frame[0].iop;
	}
	ck_assert_uint_eq(who[0], who[1]);
}
END_TEST

START_TEST(many_peers_leave_the_last_ones_in_the_table)
{
	char peer[32];

	v6_know_peer();
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(peer, sizeof peer, "fd00::1:%x", i);
		ask(peer, 1, 1400);
		rig_advance(r, 200);
		rig_forget(r);
		if (i % 50 == 0)
			rig_advance(r, 1100000);
	}
	rig_advance(r, 4000000);
	v6_know_peer();
	ck_assert_uint_eq(frames(1, 1400), 1);
	reply_too_big(1300, ID, 1, 1400);
	ck_assert_uint_eq(frames(2, 1400), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("icmp6");
	TCase *tc = tcase_create("icmp6");

	tcase_add_checked_fixture(tc, v6_setup, v6_teardown);
	tcase_add_test(tc, echo_is_answered_also_for_a_group);
	tcase_add_test(tc, errors_are_limited_and_never_answer_errors);
	tcase_add_test(tc, no_error_about_redirects_groups_or_nobody);
	tcase_add_test(tc, errors_about_others_packets_are_dropped);
	tcase_add_test(tc, packet_too_big_counts_only_for_what_we_sent);
	tcase_add_test(tc, a_reply_that_was_too_large_comes_in_fragments_from_then_on);
	tcase_add_test(tc, only_what_quotes_one_of_the_last_replies_is_believed);
	tcase_add_test(tc, a_question_in_fragments_is_answered_by_who_is_told_of_the_answer);
	tcase_add_test(tc, many_peers_leave_the_last_ones_in_the_table);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
