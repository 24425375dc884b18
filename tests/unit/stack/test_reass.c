/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_reass.c - fragments in any order become the datagram; lies and floods stay within bounds
 */
#include "config.h"

#include <stdlib.h>

#include "npp-ism/stack/ip_priv.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

static struct rig *r;
static struct rig_pkt p, f, q;
static uint32_t ep_index;

#define PORT 7000

static void bind_all(void)
{
	for (unsigned i = 0; i < r->n; i++) {
		struct udp_endpoint t = { .lport = PORT }, *ep;
		int err;

		ep = stack_udp_bind(r->node[i].s, &t, &err);
		ck_assert_ptr_nonnull(ep);
		ep_index = ep->index;
	}
}

static void setup(void)
{
	r = rig_new(1);
	bind_all();
	rig_know(r, RIG_PEER, rig_peer_mac);
}
static void teardown(void) { rig_free(r); }

/* How many datagrams are held, seen from outside: those that time out. */
static void check_delivered(unsigned i, uint32_t len)
{
	ck_assert_uint_gt(r->n_dgrams, i);
	ck_assert_uint_eq(r->dgram[i].d.len, len);
	for (uint32_t k = 0; k < len; k++)
		ck_assert_uint_eq(r->dgram[i].data[k], rig_pattern(k));
}

static void send_cut(unsigned iop, uint32_t mtu, const unsigned *order, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		ck_assert(rig_cut(&p, mtu, order[i], &f));
		rig_in(r, iop, &f);
	}
}

START_TEST(every_order_of_five_fragments_works)
{
	unsigned order[5], done = 0;

	for (unsigned code = 0; code < 3125; code++) {
		unsigned c = code, seen = 0;

		for (unsigned i = 0; i < 5; i++, c /= 5)
			seen |= 1u << (order[i] = c % 5);
		if (seen != 31)
			continue;
		rig_udp(&p, RIG_PEER, (uint16_t)(1024 + done), RIG_US, PORT, 6000);
		send_cut(0, 1400, order, 5);
		ck_assert_uint_eq(r->n_dgrams, 1);
		check_delivered(0, 6000);
		rig_forget(r);
		done++;
	}
	ck_assert_uint_eq(done, 120);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_REASS_OK), 120);
}
END_TEST

START_TEST(the_largest_datagram_fits_in_the_smallest_fragments)
{
	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 65507);
	for (unsigned i = 0; rig_cut(&p, 28, i, &f); i++)
		rig_in(r, 0, &f);
	check_delivered(0, 65507);
	rig_forget(r);
	rig_udp(&p, RIG_PEER, 1025, RIG_US, PORT, 65507);
	for (unsigned i = 46; i-- > 0;)
		if (rig_cut(&p, 1500, i, &f))
			rig_in(r, 0, &f);
	check_delivered(0, 65507);
}
END_TEST

START_TEST(duplicates_are_harmless)
{
	static const unsigned order[] = { 0, 0, 2, 2, 0, 1, 1, 2 };

	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 3000);
	send_cut(0, 1400, order, 6);
	ck_assert_uint_eq(r->n_dgrams, 1);
	check_delivered(0, 3000);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_OVERLAP), 0);
}
END_TEST

/* A hand-made fragment [off, off + len) of datagram 99. */
static void frag(uint32_t off, uint32_t len, bool more, uint32_t skew)
{
	struct udp_hdr u = { htons(5), htons(PORT), htons(1008), 0 };

	rig_ip4(&q, RIG_PEER, RIG_US, 17, 99, (uint16_t)(off / 8 | (more ? IP4_MF : 0)));
	if (off == 0) {
		rig_put(&q, &u, 8);
		rig_put_pattern(&q, skew, len - 8);
	} else {
		rig_put_pattern(&q, off - 8 + skew, len);
	}
	rig_ip4_end(&q);
	rig_in(r, 0, &q);
}

START_TEST(overlaps_poison_the_whole)
{
	static const struct { uint32_t off, len; bool more; uint32_t skew; } second[] = {
		{ 0, 504, true, 1 },	/* same place, other bytes */
		{ 496, 504, true, 0 },	/* tail into the next */
		{ 0, 1008, true, 0 },	/* around */
		{ 8, 16, true, 3 },	/* inside, other bytes */
		{ 248, 504, true, 0 },
	};

	for (unsigned i = 0; i < sizeof second / sizeof second[0]; i++) {
		frag(0, 504, true, 0);
		frag(second[i].off, second[i].len, second[i].more, second[i].skew);
		frag(504, 504, false, 0);
		frag(0, 504, true, 0);
		frag(504, 504, false, 0);
		ck_assert_uint_eq(r->n_dgrams, 0);
		ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_OVERLAP), i + 1);
		rig_advance(r, 61000000);	/* its time is over; no word to the sender about it */
	}
	ck_assert_uint_eq(r->n_frames, 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_TIME), 0);
	frag(0, 504, true, 0);
	frag(504, 504, false, 0);
	check_delivered(0, 1000);
}
END_TEST

START_TEST(two_ends_are_a_lie)
{
	frag(504, 504, false, 0);
	frag(1008, 504, false, 0);	/* ends elsewhere */
	frag(0, 504, true, 0);
	rig_advance(r, 61000000);
	frag(504, 504, false, 0);
	frag(1504, 8, true, 0);		/* lies behind the end */
	frag(0, 504, true, 0);
	rig_advance(r, 61000000);
	frag(1008, 8, true, 0);
	frag(504, 504, false, 0);	/* end before what is there */
	frag(0, 504, true, 0);
	rig_advance(r, 61000000);
	frag(504, 504, true, 0);
	frag(504, 504, false, 0);	/* the same bytes, but now the last */
	frag(0, 504, true, 0);
	rig_advance(r, 61000000);
	frag(504, 504, false, 0);
	frag(504, 504, true, 0);	/* and the other way round */
	frag(0, 504, true, 0);
	ck_assert_uint_eq(r->n_dgrams, 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_OVERLAP), 5);
}
END_TEST

START_TEST(bounds_that_make_no_sense_are_counted)
{
	frag(0, 12, true, 0);		/* not a multiple of 8 */
	frag(65528, 8, false, 0);	/* beyond 65535 with its header */
	frag(65528, 504, false, 0);
	frag(65488, 32, true, 0);
	rig_ip4(&q, RIG_PEER, RIG_US, 17, 99, IP4_MF);	/* empty */
	rig_ip4_end(&q);
	rig_in(r, 0, &q);
	frag(0, 504, true, 0);
	frag(504, 0, false, 0);		/* empty, and the last: it completes nothing */
	ck_assert_uint_eq(r->n_dgrams, 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_BAD), 6);
	frag(504, 504, false, 0);
	ck_assert_uint_eq(r->n_dgrams, 1);
	rig_advance(r, 61000000);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_TIME), 0);
}
END_TEST

START_TEST(a_first_fragment_must_hold_its_transport_header)
{
	static const struct { uint8_t proto; uint16_t frag; uint32_t len; } tiny[] = {
		{ 6, IP4_MF, 8 }, { 6, IP4_MF, 16 }, { 6, IP4_MF | 1, 8 }, { 6, 1, 40 }, { 6, 2, 8 },
	};

	for (unsigned i = 0; i < 5; i++) {
		rig_ip4(&q, RIG_PEER, RIG_US, tiny[i].proto, 50, tiny[i].frag);
		rig_put_pattern(&q, 0, tiny[i].len);
		rig_ip4_end(&q);
		rig_in(r, 0, &q);
	}
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_BAD), 5);
}
END_TEST

START_TEST(a_wrong_checksum_is_found_after_reassembly)
{
	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 3000);
	p.b[p.len - 1] ^= 1;
	for (unsigned i = 0; rig_cut(&p, 1400, i, &f); i++)
		rig_in(r, 0, &f);
	ck_assert_uint_eq(r->n_dgrams, 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_CSUM), 1);
}
END_TEST

START_TEST(what_is_never_complete_times_out_and_the_sender_is_told_once)
{
	const struct ip4_hdr *h;

	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 3000);
	send_cut(0, 1400, (unsigned[]){ 0, 2 }, 2);
	rig_udp(&p, RIG_PEER, 1025, RIG_US, PORT, 3000);
	send_cut(0, 1400, (unsigned[]){ 1, 2 }, 2);	/* without the first fragment: silence */
	rig_advance(r, 59000000);
	ck_assert_uint_eq(r->n_frames, 0);
	rig_know(r, RIG_PEER, rig_peer_mac);
	rig_advance(r, 2000000);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_TIME), 2);
	ck_assert_uint_eq(r->n_frames, 1);
	h = rig_ip(rig_last(r));
	ck_assert_uint_eq(h->proto, 1);
	ck_assert_uint_eq(rig_l4(rig_last(r))[0], 11);
	ck_assert_uint_eq(rig_l4(rig_last(r))[1], 1);
	ck_assert_uint_eq(npp_csum_finish(npp_csum_add(rig_l4(rig_last(r)) + 8, 20, 0)), 0);
	rig_advance(r, 90000000);
	ck_assert_uint_eq(r->n_frames, 1);
	/* Late fragments begin anew. */
	send_cut(0, 1400, (unsigned[]){ 0 }, 1);
	ck_assert_uint_eq(r->n_dgrams, 0);
}
END_TEST

START_TEST(a_flood_stays_within_its_bounds_and_passes)
{
	/* First fragments of as many datagrams as there are addresses and identifications. */
	for (uint32_t i = 0; i < 20000; i++) {
		rig_udp(&p, 0x0b000000 + i % 499 * 977, 1024, RIG_US, PORT, 4000);
		((struct ip4_hdr *)(p.b + 14))->id = htons((uint16_t)i);
		rig_cut(&p, i % 3 ? 1500 : 3000, 0, &f);
		rig_in(r, 0, &f);
	}
	ck_assert_uint_gt(rig_stat(r, 0, NPP_IS_DROP_REASS_FULL), 19000);
	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 60000);	/* who is quick gets through even now */
	for (unsigned i = 0; rig_cut(&p, 1500, i, &f); i++)
		rig_in(r, 0, &f);
	check_delivered(0, 60000);
	rig_advance(r, 61000000);
	rig_forget(r);
	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 60000);
	for (unsigned i = 0; rig_cut(&p, 1500, i, &f); i++)
		rig_in(r, 0, &f);
	check_delivered(0, 60000);
}
END_TEST

START_TEST(one_source_cannot_push_out_another)
{
	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 3000);
	send_cut(0, 1500, (unsigned[]){ 0 }, 1);
	for (uint32_t i = 0; i < 5000; i++) {
		rig_udp(&q, 0x0b000001, 1024, RIG_US, PORT, 4000);
		((struct ip4_hdr *)(q.b + 14))->id = htons((uint16_t)i);
		rig_cut(&q, 1500, 0, &f);
		rig_in(r, 0, &f);
	}
	send_cut(0, 1500, (unsigned[]){ 1, 2 }, 2);
	check_delivered(0, 3000);
}
END_TEST

/* First fragments of N datagrams of SRC, with identifications from FIRST on. */
static void begin_many(uint32_t src, uint16_t first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rig_udp(&q, src, 1024, RIG_US, PORT, 2000);
		((struct ip4_hdr *)(q.b + 14))->id = htons((uint16_t)(first + i));
		rig_cut(&q, 1500, 0, &f);
		rig_in(r, 0, &f);
		rig_advance(r, 10);	/* no two are of one age */
	}
}

static bool completes(uint32_t src, uint16_t id)
{
	unsigned was = r->n_dgrams;

	rig_udp(&q, src, 1024, RIG_US, PORT, 2000);
	((struct ip4_hdr *)(q.b + 14))->id = htons(id);
	rig_cut(&q, 1500, 1, &f);
	rig_in(r, 0, &f);
	return r->n_dgrams > was;
}

START_TEST(the_oldest_of_its_group_makes_room_after_a_takeover_too)
{
	unsigned half;

	/* What fills half of it has no more room: the next one pushes out its own oldest. */
	begin_many(RIG_PEER, 0, 10);
	begin_many(0x0b000001, 0, 1);
	for (half = 1; !rig_stat(r, 0, NPP_IS_DROP_REASS_FULL); half++)
		begin_many(0x0b000001, (uint16_t)half, 1);
	ck_assert(!completes(0x0b000001, 0));	/* gone; this one is new, and pushes out 1 */
	rig_attach(r, 0);
	begin_many(0x0b000001, (uint16_t)half, 3);	/* 2, 3, 4 */
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_FULL), 5);
	ck_assert(completes(0x0b000001, 5));
	ck_assert(completes(0x0b000001, (uint16_t)(half - 1)));
	for (uint16_t i = 0; i < 10; i++)
		ck_assert(completes(RIG_PEER, i));
}
END_TEST

/* All of a datagram of SRC, 64 KB large, but its fragments before FROM and the last. */
static void large(uint32_t src, uint16_t id, unsigned from)
{
	rig_udp(&q, src, 1024, RIG_US, PORT, 65000);
	((struct ip4_hdr *)(q.b + 14))->id = htons(id);
	for (unsigned i = from; rig_cut(&q, 9000, i + 1, &p); i++) {
		rig_cut(&q, 9000, i, &f);
		rig_in(r, 0, &f);
	}
}

START_TEST(large_datagrams_of_one_source_leave_half_of_the_memory_to_others)
{
	begin_many(RIG_PEER, 0, 1);
	for (uint16_t i = 0; i < 12; i++)
		large(0x0b000001, i, 0);
	ck_assert_uint_gt(rig_stat(r, 0, NPP_IS_DROP_REASS_FULL), 6);
	ck_assert(completes(RIG_PEER, 0));
}
END_TEST

START_TEST(what_grows_does_not_make_room_with_itself)
{
	unsigned was;

	begin_many(0x0b000001, 0, 1);
	rig_udp(&q, 0x0b000001, 1024, RIG_US, PORT, 65000);
	((struct ip4_hdr *)(q.b + 14))->id = htons(9);
	rig_cut(&q, 9000, 0, &f);
	rig_in(r, 0, &f);
	ck_assert(completes(0x0b000001, 0));	/* so 9 is the oldest that is left */
	for (uint16_t i = 1; i < 4; i++)
		large(0x0b000001, i, 0);
	begin_many(0x0b000001, 20, 10);
	was = r->n_dgrams;
	large(0x0b000001, 9, 1);
	rig_cut(&q, 9000, 7, &f);
	rig_in(r, 0, &f);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_FULL), 1);
	ck_assert_uint_eq(r->n_dgrams, was + 1);
	ck_assert_uint_eq(r->dgram[was].d.len, 65000);
}
END_TEST

/* Fragment I of what is in P, as one of datagram ID. */
static void part(uint16_t id, unsigned i)
{
	((struct ip4_hdr *)(p.b + 14))->id = htons(id);
	rig_cut(&p, 1500, i, &f);
	rig_in(r, 0, &f);
}

START_TEST(datagrams_with_one_identification_are_told_apart)
{
	/* Of so many some stand in one chain. */
	for (uint16_t id = 0; id < 1000; id++) {
		rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 2000);
		part(id, 0);
		rig_udp(&p, RIG_PEER, 1024, RIG_US2, PORT, 2000);	/* to another address */
		part(id, 1);
		rig_echo(&p, RIG_PEER, RIG_US, 2000);			/* of another protocol */
		part(id, 1);
	}
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_REASS_OK), 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_OVERLAP), 0);
	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 2000);
	part(999, 1);
	check_delivered(0, 2000);
}
END_TEST

START_TEST(of_an_icmp_message_that_is_never_complete_nobody_is_told)
{
	rig_echo(&p, RIG_PEER, RIG_US, 2000);
	send_cut(0, 1500, (unsigned[]){ 0 }, 1);
	rig_advance(r, 59000000);
	rig_know(r, RIG_PEER, rig_peer_mac);
	rig_forget(r);
	rig_advance(r, 2000000);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_TIME), 1);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(random_fragments_never_deliver_wrong_bytes)
{
	srand(7);
	for (unsigned round = 0; round < 3000; round++) {
		uint32_t len = 8 + (uint32_t)rand() % 9000;
		unsigned n = 1 + (unsigned)rand() % 12;

		rig_udp(&p, RIG_PEER + (uint32_t)rand() % 3, (uint16_t)(1 + rand() % 50), RIG_US, PORT, len);
		((struct ip4_hdr *)(p.b + 14))->id = htons((uint16_t)(rand() % 64));
		for (unsigned i = 0; i < n; i++)
			if (rig_cut(&p, 100 + (uint32_t)rand() % 1400, (unsigned)rand() % 8, &f))
				rig_in(r, 0, &f);
		for (unsigned i = 0; i < r->n_dgrams; i++)
			check_delivered(i, r->dgram[i].d.len);
		rig_forget(r);
		if (round % 100 == 0)
			rig_advance(r, 10000000);
		if (round % 500 == 499)
			rig_attach(r, 0);
	}
	rig_advance(r, 70000000);
}
END_TEST

START_TEST(congestion_marks_survive)
{
	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 3000);
	for (unsigned i = 0; rig_cut(&p, 1400, i, &f); i++) {
		f.b[15] = i == 1 ? 3 : 2;
		rig_ip4_end(&f);
		rig_in(r, 0, &f);
	}
	check_delivered(0, 3000);
	ck_assert_uint_eq(r->dgram[0].d.tos & 3, 3);
	rig_udp(&p, RIG_PEER, 1025, RIG_US, PORT, 3000);
	for (unsigned i = 0; rig_cut(&p, 1400, i, &f); i++) {
		f.b[15] = i == 1 ? 3 : 0;
		rig_ip4_end(&f);
		rig_in(r, 0, &f);
	}
	ck_assert_uint_eq(r->n_dgrams, 1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_BAD), 1);
}
END_TEST

START_TEST(a_successor_keeps_what_is_held)
{
	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 6000);
	send_cut(0, 1400, (unsigned[]){ 4, 1, 3 }, 3);
	rig_attach(r, 0);
	send_cut(0, 1400, (unsigned[]){ 0, 2 }, 2);
	check_delivered(0, 6000);
	rig_udp(&p, RIG_PEER, 1025, RIG_US, PORT, 6000);
	send_cut(0, 1400, (unsigned[]){ 0 }, 1);
	rig_attach(r, 0);
	rig_advance(r, 61000000);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_TIME), 1);
}
END_TEST

/* One field of a datagram that is held says what cannot be. */
static void spoil(struct reass_ent *e, int which)
{
	switch (which) {
	case 0: e->chunk[1] = e->chunk[0]; break;		/* it would be given back twice */
	case 1: e->chunk[1] = REASS_NONE; break;
	case 2: e->chunk[1] = 32767; break;
	case 3: e->bits[100] = 1; break;
	case 4: e->units++; break;
	case 5: e->end = 1u << 31; break;
	case 6: e->first_len = e->end; break;
	case 7: e->total = 1u << 31; break;
	}
}

START_TEST(a_successor_drops_what_cannot_be)
{
	struct reass *h = &r->node[0].s->ip->reass;

	rig_udp(&p, RIG_PEER, 1024, RIG_US, PORT, 6000);
	send_cut(0, 1400, (unsigned[]){ 0, 1, 3 }, 3);
	ck_assert_uint_eq(h->n_chunks_free, h->n_chunks - 3);
	spoil(&h->ent[h->oldest], _i);
	rig_attach(r, 0);
	h = &r->node[0].s->ip->reass;
	ck_assert_uint_eq(h->oldest, REASS_NONE);
	ck_assert_uint_eq(h->n_chunks_free, h->n_chunks);
	send_cut(0, 1400, (unsigned[]){ 0, 1, 2, 3, 4 }, 5);
	check_delivered(0, 6000);
}
END_TEST

START_TEST(the_owner_gets_the_datagram_once)
{
	unsigned got[3] = { 0 };

	rig_free(r);
	r = rig_new(3);
	bind_all();
	for (unsigned port = 2000; port < 2060; port++)
		for (unsigned iop = 0; iop < 3; iop++) {
			struct npp_flow_key key = { .src = rig_addr(RIG_PEER), .dst = rig_addr(RIG_US), .proto = 17,
						    .sport = htons((uint16_t)port), .dport = htons(PORT) };
			unsigned owner = npp_hash_iop(&r->g->prog[0], &key);

			rig_udp(&p, RIG_PEER, (uint16_t)port, RIG_US, PORT, 5000);
			for (unsigned i = 0; rig_cut(&p, 1500, i, &f); i++)
				rig_in(r, iop, &f);
			rig_run(r);
			ck_assert_uint_eq(r->n_dgrams, 1);
			check_delivered(0, 5000);
			ck_assert_uint_eq(r->dgram[0].iop, owner);
			ck_assert_uint_eq(r->ipc_count[NPP_REC_DATAGRAM], owner != iop);
			got[owner]++;
			rig_forget(r);
		}
	ck_assert(got[0] && got[1] && got[2]);
	ck_assert_uint_gt(rig_stat_all(r, NPP_IS_HANDED_ON), 60);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stack/reass");
	TCase *tc = tcase_create("reass");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_order_of_five_fragments_works);
	tcase_add_test(tc, the_largest_datagram_fits_in_the_smallest_fragments);
	tcase_add_test(tc, duplicates_are_harmless);
	tcase_add_test(tc, overlaps_poison_the_whole);
	tcase_add_test(tc, two_ends_are_a_lie);
	tcase_add_test(tc, bounds_that_make_no_sense_are_counted);
	tcase_add_test(tc, a_first_fragment_must_hold_its_transport_header);
	tcase_add_test(tc, a_wrong_checksum_is_found_after_reassembly);
	tcase_add_test(tc, what_is_never_complete_times_out_and_the_sender_is_told_once);
	tcase_add_test(tc, a_flood_stays_within_its_bounds_and_passes);
	tcase_add_test(tc, one_source_cannot_push_out_another);
	tcase_add_test(tc, the_oldest_of_its_group_makes_room_after_a_takeover_too);
	tcase_add_test(tc, large_datagrams_of_one_source_leave_half_of_the_memory_to_others);
	tcase_add_test(tc, what_grows_does_not_make_room_with_itself);
	tcase_add_test(tc, datagrams_with_one_identification_are_told_apart);
	tcase_add_test(tc, of_an_icmp_message_that_is_never_complete_nobody_is_told);
	tcase_add_test(tc, random_fragments_never_deliver_wrong_bytes);
	tcase_add_test(tc, congestion_marks_survive);
	tcase_add_test(tc, a_successor_keeps_what_is_held);
	tcase_add_loop_test(tc, a_successor_drops_what_cannot_be, 0, 8);
	tcase_add_test(tc, the_owner_gets_the_datagram_once);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
