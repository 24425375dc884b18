/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_icmp.c - echo of any size; errors in are checked, errors out are limited
 */
#include "config.h"

#include <errno.h>

#include "npp-ism/stack/ip_priv.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

static struct rig *r;
static struct rig_pkt p, f, q;

static void setup(void)
{
	r = rig_new(2);
	rig_know(r, RIG_PEER, rig_peer_mac);
}
static void teardown(void) { rig_free(r); }

START_TEST(echo_is_answered_with_the_same_bytes)
{
	for (uint32_t len = 0; len < 1473; len += len < 20 ? 1 : 121) {
		rig_echo(&p, RIG_PEER, RIG_US2, len);
		rig_in(r, 0, &p);
		ck_assert_uint_eq(r->n_frames, 1);
		ck_assert_uint_eq(rig_last(r)->len, 42 + len);
		ck_assert_uint_eq(rig_l4(rig_last(r))[0], 0);
		ck_assert_int_eq(memcmp(rig_l4(rig_last(r)) + 4, p.b + 38, 4 + len), 0);
		ck_assert_uint_eq(rig_ip(rig_last(r))->src, htonl(RIG_US2));
		ck_assert_int_eq(memcmp(rig_last(r)->data, rig_peer_mac, 6), 0);
		rig_forget(r);
	}
}
END_TEST

/* Found by fuzz_attach. */
START_TEST(echo_is_answered_by_a_successor_who_finds_an_impossible_number_of_addresses)
{
	r->node[0].s->ip->net.n_addrs = 1u << 31;
	rig_attach(r, 0);
	rig_echo(&p, RIG_PEER, RIG_US, 10);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(rig_l4(rig_last(r))[0], 0);
	ck_assert_uint_le(r->node[0].s->ip->net.n_addrs, NPP_MAX_IF_ADDRS);
}
END_TEST

/* Found by fuzz_attach: its tables were laid out without end. */
START_TEST(an_arena_for_four_billion_connections_is_refused)
{
	struct stack *s = r->node[0].s;
	uint32_t conns = s->cfg.max_conns;

	s->cfg.max_conns = 0xffffffff;
	ck_assert_int_eq(stack_attach(s, &r->node[0].env, r->now_us), -EPROTO);
	s->cfg.max_conns = conns;
	ck_assert_int_eq(stack_attach(s, &r->node[0].env, r->now_us), 0);
}
END_TEST

START_TEST(echo_of_60_kb_comes_back_in_fragments)
{
	for (uint32_t len = 60000; len < 60009; len++) {
		rig_echo(&p, RIG_PEER, RIG_US, len);
		for (unsigned i = 0; rig_cut(&p, 1500, i, &f); i++)
			rig_in(r, 0, &f);
		ck_assert_uint_gt(r->n_frames, 40);
		ck_assert_uint_eq(r->frag_done, 1);
		ck_assert_uint_eq(r->frag_last_len, len + 8);
		ck_assert_int_eq(memcmp(r->frag.data + 8, p.b + 42, len), 0);
		rig_forget(r);
	}
	rig_echo(&p, RIG_PEER, RIG_US, 65507);
	for (unsigned i = 0; rig_cut(&p, 1500, i, &f); i++)
		rig_in(r, 1, &f);
	ck_assert_uint_eq(r->frag_done, 1);
}
END_TEST

START_TEST(a_wrong_checksum_is_not_answered)
{
	rig_echo(&p, RIG_PEER, RIG_US, 56);
	p.b[50] ^= 4;
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_CSUM), 1);
}
END_TEST

START_TEST(broadcast_echo_is_ignored)
{
	rig_echo(&p, RIG_PEER, 0x0a0000ff, 56);
	memcpy(p.b, rig_bcast_mac, 6);
	rig_in(r, 0, &p);
	rig_echo(&p, RIG_PEER, 0xffffffff, 56);
	memcpy(p.b, rig_bcast_mac, 6);
	rig_in(r, 0, &p);
	rig_echo(&p, RIG_PEER, RIG_US, 56);	/* unicast in a broadcast frame */
	memcpy(p.b, rig_bcast_mac, 6);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ICMP), 2);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_IP_DST), 1);
}
END_TEST

START_TEST(short_and_unknown_messages_are_counted)
{
	static const uint8_t types[] = { 0, 1, 2, 4, 5, 9, 10, 13, 14, 15, 17, 40, 255 };

	for (unsigned i = 0; i < sizeof types; i++) {
		rig_echo(&p, RIG_PEER, RIG_US, 28);
		p.b[34] = types[i];
		rig_l4_csum(&p);
		rig_in(r, 0, &p);
	}
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REDIRECT), 1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ICMP), sizeof types - 1);
	for (uint32_t len = 0; len < 8; len++) {
		rig_ip4(&p, RIG_PEER, RIG_US, 1, 5, 0);
		rig_put_pattern(&p, 0, len);
		rig_ip4_end(&p);
		rig_in(r, 0, &p);
	}
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ICMP), sizeof types + 7);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

/* An error about a datagram RIG_US:LPORT -> PEER:9, as a router would send it. */
static void error_about(uint8_t type, uint8_t code, uint32_t rest, uint32_t src, uint16_t lport, uint32_t quote)
{
	struct icmp4_hdr h = { .type = type, .code = code, .rest = htonl(rest) };

	rig_udp(&q, src, lport, RIG_PEER, 9, 100);
	rig_ip4(&p, 0x0a000005, RIG_US, 1, 6, 0);
	rig_put(&p, &h, sizeof h);
	rig_put(&p, q.b + 14, quote);
	rig_ip4_end(&p);
	rig_l4_csum(&p);
}

static struct udp_endpoint *connected(unsigned iop, uint16_t lport)
{
	struct udp_endpoint t = { .lport = lport, .raddr = rig_addr(RIG_PEER), .rport = 9 }, *ep;
	int err;

	ep = stack_udp_bind(r->node[iop].s, &t, &err);
	ck_assert_ptr_nonnull(ep);
	return ep;
}

START_TEST(hard_errors_reach_the_connected_endpoint_on_its_owner)
{
	for (uint16_t lport = 3000; lport < 3016; lport++) {
		struct udp_endpoint *a = connected(0, lport), *b = connected(1, lport);
		struct npp_flow_key key = { .src = rig_addr(RIG_PEER), .dst = rig_addr(RIG_US), .proto = 17,
					    .sport = htons(9), .dport = htons(lport) };
		unsigned owner = npp_hash_iop(&r->g->prog[0], &key);

		r->node[0].udp_err = r->node[1].udp_err = 0;
		error_about(3, 3, 0, RIG_US, lport, 28);
		rig_in(r, 0, &p);
		rig_run(r);
		ck_assert_int_eq(r->node[owner].udp_err, ECONNREFUSED);
		ck_assert_int_eq(r->node[!owner].udp_err, 0);
		ck_assert_uint_eq(r->node[owner].udp_err_ep, owner ? b->index : a->index);
		stack_udp_unbind(r->node[0].s, a);
		stack_udp_unbind(r->node[1].s, b);
	}
	ck_assert_uint_gt(r->ipc_count[NPP_REC_DATAGRAM], 0);
}
END_TEST

START_TEST(errors_that_quote_what_we_never_sent_are_dropped)
{
	rig_free(r);
	r = rig_new(1);
	connected(0, 3000);
	error_about(3, 3, 0, RIG_GW, 3000, 28);		/* not our address */
	rig_in(r, 0, &p);
	error_about(3, 3, 0, RIG_US, 3001, 28);		/* not our port */
	rig_in(r, 0, &p);
	for (uint32_t quote = 0; quote < 28; quote++) {	/* too little */
		error_about(3, 3, 0, RIG_US, 3000, quote);
		rig_in(r, 0, &p);
	}
	ck_assert_int_eq(r->node[0].udp_err, 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ICMP), 30);
	error_about(3, 1, 0, RIG_US, 3000, 28);		/* soft: host unreachable */
	rig_in(r, 0, &p);
	ck_assert_int_eq(r->node[0].udp_err, EHOSTUNREACH);
	ck_assert(!r->node[0].udp_error.hard);
	error_about(3, 4, 1000, RIG_US, 3000, 28);	/* too large, but it may be cut, and is smaller */
	rig_in(r, 0, &p);
	ck_assert_int_eq(r->node[0].udp_err, EHOSTUNREACH);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(errors_about_others_packets_are_dropped_for_sockets_on_all_addresses_too)
{
	struct udp_endpoint t = { .lport = 3000 };
	struct ip4_hdr *h = (struct ip4_hdr *)(p.b + 14), *quoted = (struct ip4_hdr *)(p.b + 14 + 20 + 8);
	int err;

	rig_free(r);
	r = rig_new(1);
	ck_assert_ptr_nonnull(stack_udp_bind(r->node[0].s, &t, &err));
	error_about(3, 3, 0, RIG_GW, 3000, 28);		/* not our address */
	rig_in(r, 0, &p);
	error_about(3, 3, 0, RIG_US, 3000, 28);		/* a fragment that has no ports */
	quoted->frag = htons(1);
	rig_l4_csum(&p);
	rig_in(r, 0, &p);
	error_about(3, 3, 0, RIG_US, 3000, 28);		/* not said to us alone */
	h->dst = htonl(0x0a0000ff);
	rig_ip4_end(&p);
	memcpy(p.b, rig_bcast_mac, 6);
	rig_in(r, 0, &p);
	ck_assert_int_eq(r->node[0].udp_err, 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ICMP), 3);
	error_about(3, 3, 0, RIG_US, 3000, 28);
	rig_in(r, 0, &p);
	ck_assert_int_eq(r->node[0].udp_err, ECONNREFUSED);
}
END_TEST

START_TEST(what_may_concern_any_stack_is_passed_on_at_a_limited_rate_and_once)
{
	struct npp_frame_rec rec = { .kind = NPP_REC_DATAGRAM, .csum = NPP_CSUM_OK };
	struct npp_flow_key key = { .src = rig_addr(RIG_PEER), .dst = rig_addr(RIG_US), .proto = 17, .sport = htons(9),
				    .dport = htons(3000) };
	unsigned owner = npp_hash_iop(&r->g->prog[0], &key), was;

	error_about(3, 4, 100, RIG_US, 3000, 28);	/* too large, but whose it was nobody knows */
	for (unsigned i = 0; i < 1000; i++)
		rig_in(r, owner, &p);
	was = r->ipc_count[NPP_REC_DATAGRAM];
	ck_assert_uint_ge(was, 50);
	ck_assert_uint_le(was, 110);
	rig_advance(r, 1000000);
	was = r->ipc_count[NPP_REC_DATAGRAM];
	rec.len = p.len;
	for (unsigned iop = 0; iop < 2; iop++)		/* the owner asks the other, who does not hand it back */
		rig_in_raw(r, iop, &rec, p.b, p.len);
	rig_run(r);
	ck_assert_uint_eq(r->ipc_count[NPP_REC_DATAGRAM], was + 1);
	error_about(3, 3, 0, RIG_US, 3000, 28);
	for (unsigned iop = 0; iop < 2; iop++)
		rig_in_raw(r, iop, &rec, p.b, p.len);
	rig_run(r);
	ck_assert_uint_eq(r->ipc_count[NPP_REC_DATAGRAM], was + 1);
}
END_TEST

START_TEST(nobody_listening_is_told_at_a_limited_rate)
{
	const struct ip4_hdr *h;

	rig_udp(&p, RIG_PEER, 50, RIG_US, 60, 1000);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 1);
	h = rig_ip(rig_last(r));
	ck_assert_uint_eq(ntohs(h->len), 576);
	ck_assert_uint_eq(rig_l4(rig_last(r))[0], 3);
	ck_assert_uint_eq(rig_l4(rig_last(r))[1], 3);
	ck_assert_int_eq(memcmp(rig_l4(rig_last(r)) + 8, p.b + 14, 548), 0);
	rig_forget(r);
	for (unsigned i = 0; i < 1000; i++) {
		rig_udp(&p, RIG_PEER, (uint16_t)(1000 + i), RIG_US, 60, 10);
		rig_in(r, 0, &p);
	}
	rig_run(r);
	ck_assert_uint_le(r->n_frames, 110);
	ck_assert_uint_ge(r->n_frames, 50);
	rig_forget(r);
	rig_advance(r, 100000);
	for (unsigned i = 0; i < 1000; i++)
		rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_ge(r->n_frames, 15);
	ck_assert_uint_le(r->n_frames, 25);
	ck_assert_uint_gt(rig_stat_all(r, NPP_IS_DROP_ICMP_RATE), 1800);
}
END_TEST

/* N times what is in P, at once; how many answers. */
static unsigned answered(unsigned n)
{
	unsigned got = 0;

	for (unsigned i = 0; i < n; i++) {
		rig_in(r, 0, &p);
		got += r->n_frames;
		rig_forget(r);
	}
	return got;
}

START_TEST(a_flood_of_echo_is_answered_at_a_limited_rate)
{
	rig_know(r, RIG_PEER, rig_peer_mac);
	rig_forget(r);
	rig_echo(&p, RIG_PEER, RIG_US, 10);
	ck_assert_uint_eq(answered(2 * ECHO_BURST), ECHO_BURST);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ECHO_RATE), ECHO_BURST);
	rig_advance(r, 10000);
	ck_assert_uint_eq(answered(ECHO_BURST), ECHO_RATE / 100);
	for (unsigned i = 0; i < 100; i++) {	/* half of that is always answered */
		rig_advance(r, 1000);
		ck_assert_uint_eq(answered(ECHO_RATE / 2000), ECHO_RATE / 2000);
	}
	rig_attach(r, 0);	/* a successor goes on */
	ck_assert_uint_le(answered(ECHO_BURST), ECHO_RATE / 10);
}
END_TEST

START_TEST(a_flood_for_no_connection_is_reset_at_a_limited_rate)
{
	rig_know(r, RIG_PEER, rig_peer_mac);
	rig_forget(r);
	for (uint16_t port = 1000; port < 1100; port++) {	/* a flow that is this IOP's */
		rig_tcp(&p, RIG_PEER, port, RIG_US, 81, 0x10, 1, 1, 0);
		if (answered(1))
			break;
	}
	ck_assert_uint_eq(answered(2 * RST_BURST), RST_BURST - 1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_RST_RATE), RST_BURST + 1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_TCP_NO_CONN), 2 * RST_BURST + 1);
	rig_echo(&p, RIG_PEER, RIG_US, 10);
	ck_assert_uint_eq(answered(10), 10);	/* a limit of its own */
}
END_TEST

START_TEST(no_error_about_errors_broadcasts_or_strange_senders)
{
	rig_udp(&p, RIG_PEER, 50, 0x0a0000ff, 60, 10);
	memcpy(p.b, rig_bcast_mac, 6);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_UDP_NO_PORT), 1);
	ck_assert_uint_eq(r->n_frames, 0);
	rig_ip4(&p, RIG_PEER, RIG_US, 99, 5, 0);	/* unknown protocol: an answer */
	rig_put_pattern(&p, 0, 30);
	rig_ip4_end(&p);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(rig_l4(rig_last(r))[1], 2);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_NO_PROTO), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stack/icmp");
	TCase *tc = tcase_create("icmp");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, echo_is_answered_with_the_same_bytes);
	tcase_add_test(tc, echo_is_answered_by_a_successor_who_finds_an_impossible_number_of_addresses);
	tcase_add_test(tc, an_arena_for_four_billion_connections_is_refused);
	tcase_add_test(tc, echo_of_60_kb_comes_back_in_fragments);
	tcase_add_test(tc, a_wrong_checksum_is_not_answered);
	tcase_add_test(tc, broadcast_echo_is_ignored);
	tcase_add_test(tc, short_and_unknown_messages_are_counted);
	tcase_add_test(tc, hard_errors_reach_the_connected_endpoint_on_its_owner);
	tcase_add_test(tc, errors_that_quote_what_we_never_sent_are_dropped);
	tcase_add_test(tc, errors_about_others_packets_are_dropped_for_sockets_on_all_addresses_too);
	tcase_add_test(tc, what_may_concern_any_stack_is_passed_on_at_a_limited_rate_and_once);
	tcase_add_test(tc, nobody_listening_is_told_at_a_limited_rate);
	tcase_add_test(tc, a_flood_of_echo_is_answered_at_a_limited_rate);
	tcase_add_test(tc, a_flood_for_no_connection_is_reset_at_a_limited_rate);
	tcase_add_test(tc, no_error_about_errors_broadcasts_or_strange_senders);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
