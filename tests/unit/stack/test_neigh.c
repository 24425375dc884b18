/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_neigh.c - frames wait within bounds; the shared cache bears confirmations, floods and lies
 */
#include "config.h"

#include "npp-ism/stack/priv.h"
#include "npp-ism/stack/ip_priv.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

static struct rig *r;
static struct rig_pkt p;
static const union npp_addr any;

static void setup(void) { r = rig_new(3); }
static void teardown(void) { rig_free(r); }

static int send_to(unsigned iop, uint32_t dst, uint32_t len)
{
	static uint8_t payload[4000];
	union npp_addr d = rig_addr(dst);
	struct stack_tx tx = { .l4_len = 8, .csum_off = 6, .payload_len = len, .n_slices = 1,
			       .slice = { { payload, len } } };
	struct ip_path path;

	memcpy(tx.head + STACK_L4_OFF, (uint8_t[]){ 0x10, 0, 0x20, 0, 0, 8 }, 6);
	tx.head[STACK_L4_OFF + 4] = (uint8_t)((len + 8) >> 8);
	tx.head[STACK_L4_OFF + 5] = (uint8_t)(len + 8);
	ck_assert_int_eq(ip_path_init(r->node[iop].s, &path, &any, &d), 0);
	return ip_output(r->node[iop].s, &path, 17, 0, 64, false, &tx);
}

START_TEST(waiting_frames_leave_in_order)
{
	for (uint32_t i = 0; i < 20; i++)
		ck_assert_int_eq(send_to(1, RIG_PEER, i), 0);
	rig_run(r);
	ck_assert_uint_eq(rig_count_arp(r, 1), 1);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 21);
	for (uint32_t i = 0; i < 20; i++)
		ck_assert_uint_eq(r->frame[1 + i].len, 42 + i);
}
END_TEST

START_TEST(a_silent_neighbour_holds_no_more_than_its_share)
{
	unsigned sent = 0;

	for (unsigned i = 0; i < 100; i++)
		sent += send_to(0, RIG_PEER, 10) == 0;
	ck_assert_uint_eq(sent, 32);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_NEIGH_FULL), 68);
	for (uint32_t a = 0; a < 200; a++)
		sent += send_to(0, 0x0a000010 + a, 10) == 0;
	ck_assert_uint_le(sent, 32 + 31);
	rig_advance(r, 10000000);	/* all given up */
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_NEIGH_FAILED), sent);
	ck_assert_int_eq(send_to(0, 0x0a000063, 10), 0);	/* and the room is back */
}
END_TEST

/* Echo requests to IOP in the name of neighbours from FIRST on, who do not exist. */
static void echo_from(unsigned iop, uint32_t first, unsigned n)
{
	for (uint32_t a = first; a < first + n; a++) {
		rig_echo(&p, a, RIG_US, 56);
		rig_in(r, iop, &p);
	}
	rig_run(r);
}

static unsigned asked_for(uint32_t addr)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_frames; i++) {
		const struct arp_hdr *a = rig_arp_of(&r->frame[i]);
		uint32_t be = htonl(addr);

		n += a && memcmp(a->tpa, &be, 4) == 0;
	}
	return n;
}

/* A few forged packets a second would do to keep us from all whom we have not spoken to. */
START_TEST(answers_to_strangers_leave_room_for_what_we_want)
{
	for (unsigned iop = 0; iop < 3; iop++)
		echo_from(iop, 0x0a00000a + 30 * iop, 30);
	for (unsigned iop = 0; iop < 3; iop++)
		for (unsigned i = 0; i < 20; i++)
			ck_assert_int_eq(send_to(iop, 0x0a0000c8 + iop, 33), 0);
	rig_run(r);
	for (unsigned iop = 0; iop < 3; iop++) {
		ck_assert_uint_eq(asked_for(0x0a0000c8 + iop), 1);
		rig_arp(&p, rig_mac, 2, rig_peer_mac, 0x0a0000c8 + iop, rig_mac, RIG_US);
		rig_in(r, 0, &p);
		rig_run(r);
		ck_assert_uint_eq(rig_last(r)->iop, iop);
		ck_assert_uint_eq(rig_last(r)->len, 42 + 33);
	}
}
END_TEST

START_TEST(a_burst_of_questions_of_a_stranger_is_answered_whole)
{
	for (unsigned i = 0; i < 10; i++)
		echo_from(1, RIG_PEER, 1);
	rig_forget(r);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 10);
}
END_TEST

START_TEST(strangers_who_do_not_answer_soon_make_room_for_others)
{
	uint64_t dropped;

	echo_from(1, 0x0a00000a, 16);
	rig_advance(r, 100000);
	echo_from(1, 0x0a000050, 1);
	ck_assert_uint_eq(asked_for(0x0a000050), 0);
	rig_advance(r, 110000);
	dropped = rig_stat(r, 1, NPP_IS_DROP_NEIGH_FULL);
	echo_from(1, 0x0a000050, 1);
	ck_assert_uint_eq(asked_for(0x0a000050), 1);
	ck_assert_uint_eq(rig_stat(r, 1, NPP_IS_DROP_NEIGH_FULL), dropped + 1);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, 0x0a000050, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(rig_last(r)->len, 42 + 56);
	/* The link role has no more patience, and does not ask much more often. */
	rig_forget(r);
	for (unsigned i = 0; i < 50; i++) {
		rig_forget(r);
		for (unsigned iop = 0; iop < 3; iop++)
			echo_from(iop, 0x0a00000a + (7 * i + 60 * iop) % 180, 10);
		rig_advance(r, 20000);
		ck_assert_uint_le(rig_count_arp(r, 1), 36);
	}
	rig_advance(r, 10000000);
	ck_assert_uint_eq(r->node[0].s->ip->n_frames_free, NEIGH_FRAMES);
}
END_TEST

/* Somebody whom we answer only becomes somebody whom we want. */
START_TEST(a_stranger_whom_we_want_is_one_no_more)
{
	echo_from(1, RIG_PEER, 1);
	ck_assert_int_eq(send_to(1, RIG_PEER, 33), 0);
	rig_run(r);
	rig_advance(r, 300000);
	echo_from(1, 0x0a00000a, 30);
	echo_from(2, 0x0a000040, 30);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(rig_last(r)->iop, 1);
	ck_assert_uint_eq(rig_last(r)->len, 42 + 33);
}
END_TEST

/* Half-open connections are not ours: whoever is spoken of says twice that he begins, and is corrected. */
START_TEST(what_corrects_a_stranger_is_an_answer)
{
	struct tcp_listener l = { .addr = any, .port = 80, .backlog = 1000 };
	int err;

	ck_assert_ptr_nonnull(stack_listen(r->node[1].s, &l, &err));
	for (uint32_t a = 0x0a00000a; a < 0x0a00000a + 40; a++)
		for (uint32_t seq = 1000; seq < 3000; seq += 1000) {
			rig_tcp(&p, a, 1234, RIG_US, 80, TCPF_SYN, seq, 0, 0);
			rig_in(r, 1, &p);
		}
	rig_run(r);
	ck_assert_uint_gt(rig_stat(r, 1, NPP_IS_TCP_CHALLENGE), 0);
	ck_assert_int_eq(send_to(1, RIG_PEER, 33), 0);
	for (uint32_t a = 0x0a0000a0; a < 0x0a0000a0 + NEIGH_WAITS / 2 - 1; a++)
		ck_assert_int_eq(send_to(1, a, 33), 0);
}
END_TEST

/* Frames of ours for neighbours from FIRST on who do not answer: all the room there is, and all questions of the link role. */
static void talk_to_the_gone(uint32_t first)
{
	for (unsigned iop = 0; iop < 3; iop++)
		for (uint32_t a = 0; a < NEIGH_WAITS; a++)
			for (unsigned i = 0; i < 8; i++)
				send_to(iop, first + iop * NEIGH_WAITS + a, 33);
	rig_run(r);
}

static void is_answered(unsigned iop, uint32_t addr, uint32_t len)
{
	ck_assert_uint_eq(asked_for(addr), 1);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, addr, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(rig_last(r)->iop, iop);
	ck_assert_uint_eq(rig_last(r)->len, len);
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_peer_mac, 6), 0);
}

/* A thousand connections whose peers have gone ask for those for ever. */
START_TEST(neighbours_who_are_gone_keep_nobody_from_those_who_are_there)
{
	for (unsigned turn = 0; turn < 4; turn++) {
		talk_to_the_gone(0x0a000010);
		echo_from(1, 0x0a0000e0 + turn, 1); /* a stranger, who has his half */
		is_answered(1, 0x0a0000e0 + turn, 42 + 56);
		rig_forget(r);
		rig_advance(r, 210000);
		talk_to_the_gone(0x0a000010);
		rig_forget(r);
		ck_assert_int_eq(send_to(2, 0x0a0000f0 + turn, 33), 0); /* one of ours, when they had their time */
		rig_run(r);
		is_answered(2, 0x0a0000f0 + turn, 42 + 33);
		rig_forget(r);
		rig_advance(r, 4000000);
	}
}
END_TEST

START_TEST(a_connection_to_a_silent_neighbour_fails_soon)
{
	static const struct tcp_options none;
	union npp_addr d = rig_addr(RIG_PEER);
	int err;

	for (unsigned iop = 0; iop < 2; iop++) {	/* with the link role, and without */
		struct tcp_conn *c = stack_connect(r->node[iop].s, &any, 0, &d, 80, &none, &err);

		ck_assert_ptr_nonnull(c);
		c->user_sock = 1;
		rig_advance(r, 1000000);
		ck_assert_uint_eq(r->node[iop].up & TCP_UP_ERROR, 0);
		rig_advance(r, 5000000);
		ck_assert_uint_ne(r->node[iop].up & TCP_UP_ERROR, 0);
		ck_assert_int_eq(r->node[iop].conn_err, EHOSTUNREACH);
		rig_advance(r, 10000000);	/* the failure is forgotten */
	}
}
END_TEST

START_TEST(a_large_frame_does_not_wait_but_asks)
{
	struct stack_tx tx = { .l4_len = 20, .csum_off = 16, .gso_size = 1400, .payload_len = 4000, .n_slices = 1 };
	static uint8_t payload[4000];
	union npp_addr d = rig_addr(RIG_PEER);
	struct ip_path path;

	tx.slice[0] = (struct stack_slice){ payload, 4000 };
	ck_assert_int_eq(ip_path_init(r->node[0].s, &path, &any, &d), 0);
	ck_assert_int_eq(ip_output(r->node[0].s, &path, 6, 0, 64, true, &tx), -ENOBUFS);
	ck_assert_uint_eq(rig_count_arp(r, 1), 1);
}
END_TEST

START_TEST(a_40_kb_datagram_waits_in_fragments)
{
	struct udp_endpoint t = { .lport = 5 }, *ep;
	struct npp_dgram d = { .len = 40000, .port = 9, .addr = rig_addr(RIG_PEER) };
	static uint8_t payload[40000];
	struct stack_slice sl[3] = { { payload, 13 }, { payload + 13, 20000 }, { payload + 20013, 19987 } };
	int err;

	for (uint32_t i = 0; i < sizeof payload; i++)
		payload[i] = rig_pattern(i);
	ep = stack_udp_bind(r->node[2].s, &t, &err);
	ck_assert_int_eq(stack_udp_send(r->node[2].s, ep, &d, sl, 3), 0);
	rig_run(r);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(r->frag_done, 1);
	ck_assert_int_eq(memcmp(r->frag.data + 8, payload, 40000), 0);
}
END_TEST

START_TEST(confirmations_keep_an_entry_fresh_and_are_rare)
{
	union npp_addr d = rig_addr(RIG_PEER);
	struct ip_path path;

	rig_know(r, RIG_PEER, rig_peer_mac);
	ck_assert_int_eq(ip_path_init(r->node[2].s, &path, &any, &d), 0);
	for (unsigned i = 0; i < 1200; i++) {
		rig_advance(r, 100000);
		ck_assert_int_eq(send_to(2, RIG_PEER, 1), 0);
		ip_confirm(r->node[2].s, &path);
		ip_confirm(r->node[2].s, &path);
	}
	ck_assert_uint_eq(rig_count_arp(r, 1), 0);	/* never asked */
	ck_assert_uint_ge(r->ipc_count[NPP_REC_CONFIRM], 4);
	ck_assert_uint_le(r->ipc_count[NPP_REC_CONFIRM], 12);
}
END_TEST

START_TEST(many_neighbours_push_out_the_least_used)
{
	for (unsigned net = 0; net < 16; net++) {
		atomic_fetch_add(&r->g->net_seq, 1);
		r->g->addr[0].prefix_len = 96 + 8;
		atomic_fetch_add(&r->g->net_seq, 1);
		for (uint32_t i = 1; i < 254; i++) {
			rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, 0x0a010000 + net * 256 + i, NULL, RIG_US);
			rig_in(r, 0, &p);
			rig_forget(r);
		}
		if (net == 3)
			ck_assert_int_eq(send_to(1, 0x0a020202, 1), 0);
		if (net == 3) {	/* one that we want ourselves stays */
			rig_run(r);
			rig_arp(&p, rig_mac, 2, rig_gw_mac, 0x0a020202, rig_mac, RIG_US);
			rig_in(r, 0, &p);
		}
		rig_run(r);
		rig_forget(r);
	}
	ck_assert_int_eq(send_to(1, 0x0a020202, 1), 0);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_gw_mac, 6), 0);
}
END_TEST

static uint32_t bucket_of(uint32_t addr)
{
	union npp_addr a = rig_addr(addr);

	return (neigh_tag(r->t, &a, 0) - a.w[3]) * 244002641u; /* the inverse of what neigh_tag() multiplies by */
}

START_TEST(of_a_bucket_full_of_neighbours_questions_take_one_place)
{
	uint32_t bucket = bucket_of(RIG_PEER), live = 0, asked = 0, left = 0, known[4];
	struct neigh_view v;

	atomic_fetch_add(&r->g->net_seq, 1);
	r->g->addr[0].prefix_len = 96 + 8;
	atomic_fetch_add(&r->g->net_seq, 1);
	for (uint32_t a = 0x0a010000; asked < 6; a++) {
		if (bucket_of(a) != bucket)
			continue;
		if (live < 4) {
			rig_know(r, a, rig_peer_mac);
			known[live++] = a;
		} else {
			ck_assert_int_eq(send_to(0, a, 33), 0);
			asked++;
		}
	}
	for (unsigned i = 0; i < 4; i++) {
		union npp_addr a = rig_addr(known[i]);

		left += neigh_lookup(r->node[0].s, &a, 0, &v) && v.state == NPP_NEIGH_REACHABLE;
	}
	ck_assert_uint_eq(left, 3);
}
END_TEST

/* Places in the table that are remembered. */
START_TEST(neighbours_are_found_whatever_was_looked_for_before_and_by_any_key)
{
	struct stack *s = r->node[1].s;
	struct neigh_view v;
	uint8_t mac[6] = { 2, 0, 0, 0, 9, 9 };

	for (unsigned turn = 0; turn < 3; turn++) {
		for (uint32_t i = 1; i < 40; i++) {
			mac[3] = (uint8_t)turn;
			mac[5] = (uint8_t)i;
			rig_know(r, 0x0a000064 + i, mac);
		}
		for (uint32_t i = 1; i < 40; i++) { /* twice: by the hash, and by memory */
			union npp_addr a = rig_addr(0x0a000064 + i);

			for (unsigned again = 0; again < 2; again++) {
				ck_assert(neigh_lookup(s, &a, 0, &v));
				ck_assert_uint_eq(v.mac[3], turn);
				ck_assert_uint_eq(v.mac[5], i);
				ck_assert(!neigh_lookup(s, &a, 1, &v));
			}
		}
		memset(r->t->entry, 0, sizeof r->t->entry);
		r->t->key[turn % 2]++;
	}
}
END_TEST

START_TEST(a_torn_entry_is_a_miss_not_a_hang)
{
	rig_know(r, RIG_PEER, rig_peer_mac);
	for (unsigned i = 0; i < NPP_NEIGH_ENTRIES; i++)
		atomic_fetch_add(&r->t->entry[i].seq, 1);
	ck_assert_int_eq(send_to(1, RIG_PEER, 1), 0);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(records_that_lie_are_ignored)
{
	struct npp_ipc_neigh n[] = {
		{ .addr = rig_addr(RIG_PEER), .port = 9, .from = 1 }, { .addr = rig_addr(RIG_PEER), .from = 3 },
		{ .addr = rig_addr(0), .from = 1 }, { .addr = rig_addr(0x08080808), .from = 1 },
		{ .addr = { .b = { 0xfe, 0x80, [15] = 1 } }, .from = 1 }, { .addr = rig_addr(RIG_PEER), .pmtu = 1 << 20, .from = 1 },
	};

	for (unsigned kind = NPP_REC_RESOLVE; kind <= NPP_REC_RESOLVED + 3; kind++)
		for (unsigned i = 0; i < 6; i++) {
			struct npp_frame_rec rec = { .kind = (uint8_t)kind, .len = sizeof n[i] };

			if (i == 5 && kind == NPP_REC_RESOLVE)
				continue;
			rig_in_raw(r, 0, &rec, &n[i], sizeof n[i]);
			rig_in_raw(r, 0, &rec, &n[i], sizeof n[i] - 1);
		}
	for (unsigned i = 0; i < NPP_NEIGH_ENTRIES; i++)
		ck_assert(npp_addr_is_any(&r->t->entry[i].addr));
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(a_successor_sends_what_waited)
{
	ck_assert_int_eq(send_to(1, RIG_PEER, 33), 0);
	rig_run(r);
	rig_attach(r, 1);
	rig_attach(r, 0);	/* its question is on; the waiting IOP asks again anyway */
	rig_run(r);
	rig_arp(&p, rig_mac, 2, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	rig_advance(r, 1200000);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(rig_last(r)->len, 42 + 33);
	ck_assert_uint_eq(rig_last(r)->iop, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stack/neigh");
	TCase *tc = tcase_create("neigh");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, waiting_frames_leave_in_order);
	tcase_add_test(tc, a_silent_neighbour_holds_no_more_than_its_share);
	tcase_add_test(tc, answers_to_strangers_leave_room_for_what_we_want);
	tcase_add_test(tc, a_burst_of_questions_of_a_stranger_is_answered_whole);
	tcase_add_test(tc, strangers_who_do_not_answer_soon_make_room_for_others);
	tcase_add_test(tc, a_stranger_whom_we_want_is_one_no_more);
	tcase_add_test(tc, what_corrects_a_stranger_is_an_answer);
	tcase_add_test(tc, neighbours_who_are_gone_keep_nobody_from_those_who_are_there);
	tcase_add_test(tc, a_connection_to_a_silent_neighbour_fails_soon);
	tcase_add_test(tc, a_large_frame_does_not_wait_but_asks);
	tcase_add_test(tc, a_40_kb_datagram_waits_in_fragments);
	tcase_add_test(tc, confirmations_keep_an_entry_fresh_and_are_rare);
	tcase_add_test(tc, many_neighbours_push_out_the_least_used);
	tcase_add_test(tc, of_a_bucket_full_of_neighbours_questions_take_one_place);
	tcase_add_test(tc, neighbours_are_found_whatever_was_looked_for_before_and_by_any_key);
	tcase_add_test(tc, a_torn_entry_is_a_miss_not_a_hang);
	tcase_add_test(tc, records_that_lie_are_ignored);
	tcase_add_test(tc, a_successor_sends_what_waited);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
