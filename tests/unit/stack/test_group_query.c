/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_group_query.c - multicast: what is believed of queries and of others' reports, and how it is answered
 */
#include "config.h"

#include "tests/unit/stack/group_rig.h"

START_TEST(queries_are_answered_within_their_time)
{
	union npp_addr any4 = npp_addr_v4(0), g = rig_addr(G1), g2 = rig_addr(G1 + 1);
	struct npp_member m[2] = { all_of(g), { .group = g2, .n_sources = 1, .source = { rig_addr(RIG_PEER) } } };
	const uint8_t two_src[12] = { 2, 125, 0, 2, 10, 0, 0, 0x64, 10, 9, 9, 9 };
	unsigned n, before;

	join(bind_sock(&any4, 53, 1, 0), m, 2);
	rig_advance(r, 3000000);
	before = r->n_talks;
	query(0xe0000001, 100, 0, v3_tail, 4);
	rig_run(r);
	ck_assert_uint_eq(r->n_talks, before); /* never at once */
	query(0xe0000001, 100, 0, v3_tail, 4);
	rig_advance(r, 10100000);
	ck_assert_uint_eq(r->n_talks, before + 1); /* one report for all of it */
	ck_assert_int_eq(record(talk(0), &g, &n), MC_IS_EXCLUDE);
	ck_assert_int_eq(record(talk(0), &g2, &n), MC_IS_INCLUDE);
	ck_assert_uint_eq(n, 1);
	query(G1, 10, G1, v3_tail, 4);
	rig_advance(r, 1100000);
	ck_assert_uint_eq(r->n_talks, before + 2);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_IS_EXCLUDE);
	ck_assert_int_eq(record(talk(0), &g2, &n), 0);
	query(G1 + 1, 10, G1 + 1, two_src, sizeof two_src);
	rig_advance(r, 1100000);
	ck_assert_int_eq(record(talk(0), &g2, &n), MC_IS_INCLUDE);
	ck_assert_uint_eq(n, 1);
	query(G1 + 5, 10, G1 + 5, v3_tail, 4); /* not ours */
	rig_advance(r, 1100000);
	ck_assert_uint_eq(r->n_talks, before + 3);
}
END_TEST

/* A query of version 2 or 3 about G1 that is for us alone. */
static void query_us(uint32_t src, const uint8_t *more, uint32_t len)
{
	uint8_t q[8] = { 0x11, 10, 0, 0, G1 >> 24, G1 >> 16 & 255, G1 >> 8 & 255, G1 & 255 };
	uint16_t sum;

	rig_ip4(&p, src, RIG_US, 2, 1, 0);
	p.b[22] = 1;
	rig_put(&p, q, 8);
	rig_put(&p, more, len);
	rig_ip4_end(&p);
	sum = npp_csum_finish(npp_csum_add(p.b + p.l4, p.len - p.l4, 0));
	memcpy(p.b + p.l4 + 2, &sum, 2);
	rig_in(r, 0, &p);
	rig_advance(r, 1100000);
}

/* A hop limit of one does not say where it was sent. */
START_TEST(queries_from_far_away_change_nothing)
{
	union npp_addr any4 = npp_addr_v4(0), g = rig_addr(G1);
	struct npp_member m = all_of(g);
	unsigned n, before;

	join(bind_sock(&any4, 53, 1, 0), &m, 1);
	rig_advance(r, 3000000);
	before = r->n_talks;
	query_us(0x08080808, v3_tail, 4);
	ck_assert_uint_eq(r->n_talks, before);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_IGMP), 1);
	query_us(RIG_PEER, v3_tail, 4);
	ck_assert_uint_eq(r->n_talks, before + 1);
	query_us(RIG_PEER, NULL, 0); /* of version 2, about one group: that is not the version of all from now on */
	ck_assert_uint_eq(r->n_talks, before + 2);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_IS_EXCLUDE);
}
END_TEST

/* An MLD message of LEN bytes, whose checksum is made here. */
static void mld6(const char *from, const char *dst, uint8_t hops, const uint8_t *l4, uint32_t len)
{
	static const uint8_t hop[8] = { 58, 0, 5, 2, 0, 0, 1, 0 };
	union npp_addr src = addr(from), to = addr(dst);
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .next = 0, .hops = hops };
	uint16_t sum;

	memcpy(h.src, src.b, 16);
	memcpy(h.dst, to.b, 16);
	h.plen = htons((uint16_t)(sizeof hop + len));
	rig_eth(&p, (const uint8_t[6]){ 0x33, 0x33, to.b[12], to.b[13], to.b[14], to.b[15] }, rig_gw_mac, 0x86dd);
	rig_put(&p, &h, sizeof h);
	rig_put(&p, hop, sizeof hop);
	p.l4 = p.len;
	rig_put(&p, l4, len);
	sum = npp_csum_finish(npp_csum_add(p.b + p.l4, len, npp_csum_pseudo(&src, &to, 58, len)));
	memcpy(p.b + p.l4 + 2, &sum, 2);
	rig_in(r, 0, &p);
}

/* A query of MLD: version 1, or 2 with a tail; MS as it stands in the message. */
static void query6(const char *dst, uint16_t ms, const char *group, const uint8_t *tail, uint32_t len)
{
	union npp_addr g = addr(group);
	uint8_t q[1000] = { 130, 0, 0, 0, (uint8_t)(ms >> 8), (uint8_t)ms };

	memcpy(q + 8, g.b, 16);
	if (len)
		memcpy(q + 24, tail, len);
	mld6("fe80::fe", dst, 1, q, 24 + len);
}

/* Somebody else's report of version 1. */
static void report6(const char *group, const char *dst)
{
	union npp_addr g = addr(group);
	uint8_t m[24] = { 131 };

	memcpy(m + 8, g.b, 16);
	mld6("fe80::fe", dst, 1, m, sizeof m);
}

/* The same of IGMP version 2. */
static void report4(uint32_t group, uint32_t dst)
{
	uint8_t m[8] = { 0x16, 0, 0, 0, (uint8_t)(group >> 24), (uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group };
	uint16_t sum = npp_csum_finish(npp_csum_add(m, 8, 0));

	memcpy(m + 2, &sum, 2);
	rig_ip4(&p, RIG_PEER, dst, 2, 1, 0);
	p.b[22] = 1;
	rig_put(&p, m, 8);
	rig_ip4_end(&p);
	rig_in(r, 0, &p);
}

static unsigned talks_of(unsigned from, unsigned type, const union npp_addr *dst)
{
	unsigned n = 0;

	for (unsigned i = from; i < r->n_talks; i++)
		n += r->talk[i % RIG_TALKS].l4[0] == type && npp_addr_eq(&r->talk[i % RIG_TALKS].dst, dst);
	return n;
}

START_TEST(an_older_querier_is_spoken_to_in_its_words)
{
	union npp_addr any4 = npp_addr_v4(0), g = rig_addr(G1);
	struct npp_member m = all_of(g);
	uint32_t ep = bind_sock(&any4, 53, 1, 0);
	unsigned before;

	join(ep, &m, 1);
	rig_advance(r, 3000000);
	before = r->n_talks;
	query(0xe0000001, 50, 0, NULL, 0); /* version 2 */
	rig_advance(r, 5100000);
	ck_assert_uint_eq(r->n_talks, before + 1);
	ck_assert_uint_eq(talk(0)->l4[0], 0x16);
	ck_assert(npp_addr_eq(&talk(0)->dst, &g));
	query(0xe0000001, 50, 0, NULL, 0);
	query(G1, 0, 0, NULL, 0); /* makes no sense */
	report4(G1, G1); /* another member is faster */
	rig_advance(r, 5100000);
	ck_assert_uint_eq(r->n_talks, before + 1);
	join(ep, none, 0);	/* the other one is left: no leave */
	rig_advance(r, 3000000);
	ck_assert_uint_eq(r->n_talks, before + 1);
	join(ep, &m, 1);
	rig_advance(r, 3000000);
	join(ep, none, 0);
	rig_advance(r, 3000000);
	ck_assert_uint_eq(talk(0)->l4[0], 0x17);
	ck_assert_uint_eq(npp_addr_get_v4(&talk(0)->dst), htonl(0xe0000002u));
	query(0xe0000001, 0, 0, NULL, 0); /* version 1 */
	join(ep, &m, 1);
	rig_advance(r, 3000000);
	ck_assert_uint_eq(talk(0)->l4[0], 0x12);
	rig_advance(r, 400000000ull); /* it is gone */
	join(ep, none, 0);
	rig_advance(r, 3000000);
	ck_assert_uint_eq(talk(0)->l4[0], 0x22);
}
END_TEST

START_TEST(a_querier_of_mld_1_is_spoken_to_in_its_words)
{
	union npp_addr any6 = { .q = { 0, 0 } }, g = addr("ff15::7"), sn = addr("ff02::1:ff00:1"), routers = addr("ff02::2");
	struct npp_member m = all_of(g);
	uint32_t ep = bind_sock(&any6, 53, 1, 0);
	unsigned before;

	join(ep, &m, 1);
	rig_advance(r, 3000000);
	before = r->n_talks;
	query6("ff02::1", 2000, "::", NULL, 0);
	rig_advance(r, 2100000);
	ck_assert_uint_eq(r->n_talks, before + 2); /* each group for itself, its own solicited-node group included */
	ck_assert_uint_eq(talks_of(before, 131, &g), 1);
	ck_assert_uint_eq(talks_of(before, 131, &sn), 1);
	query6("ff15::7", 2000, "ff15::7", NULL, 0);
	query6("ff15::8", 2000, "ff15::8", NULL, 0); /* not ours */
	rig_advance(r, 2100000);
	ck_assert_uint_eq(talks_of(before, 131, &g), 2);
	ck_assert_uint_eq(r->n_talks, before + 3);
	query6("ff15::7", 2000, "ff15::7", NULL, 0);
	report6("ff15::7", "ff15::7");	/* another member is faster */
	rig_advance(r, 2100000);
	ck_assert_uint_eq(r->n_talks, before + 3);
	join(ep, none, 0);	/* and is left: nothing is done */
	rig_advance(r, 3000000);
	ck_assert_uint_eq(talks_of(before, 132, &routers), 0);
	join(ep, &m, 1);
	rig_advance(r, 3000000);
	ck_assert_uint_eq(talks_of(before, 131, &g), 4);
	join(ep, none, 0);
	rig_advance(r, 3000000);
	ck_assert_uint_eq(talks_of(before, 132, &routers), 1);
	join(ep, &m, 1);
	rig_advance(r, 3000000);
	before = r->n_talks;
	query6("ff02::1", 0x8001, "::", v3_tail, 4); /* version 2 does not end the older one's time ... */
	rig_advance(r, 33100000);
	ck_assert_uint_eq(talks_of(before, 131, &g), 1);
	rig_advance(r, 400000000ull);	/* ... that does */
	before = r->n_talks;
	query6("ff02::1", 1000, "::", v3_tail, 4);
	rig_advance(r, 1100000);
	ck_assert_uint_eq(r->n_talks, before + 1);
	ck_assert_uint_eq(talk(0)->l4[0], 143);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_MLD), 0);
}
END_TEST

START_TEST(the_delay_of_mld_1_is_no_floating_point_number)
{
	union npp_addr any6 = { .q = { 0, 0 } }, g = addr("ff15::7");
	struct npp_member m = all_of(g);
	unsigned before;

	join(bind_sock(&any6, 53, 1, 0), &m, 1);
	rig_advance(r, 3000000);
	for (unsigned i = 0; i < 8; i++) {	/* 45.05 s; as a number of version 2 it were 98.3 s */
		before = r->n_talks;
		query6("ff15::7", 0xb000 - 6, "ff15::7", NULL, 0);
		rig_advance(r, 45200000);
		ck_assert_uint_eq(talks_of(before, 131, &g), 1);
	}
}
END_TEST

START_TEST(igmp_2_takes_turns_with_others)
{
	union npp_addr any4 = npp_addr_v4(0), g = rig_addr(G1), g2 = rig_addr(G1 + 1);
	struct npp_member m[2] = { all_of(g), all_of(g2) };
	unsigned before;

	join(bind_sock(&any4, 53, 1, 0), m, 2);
	rig_advance(r, 3000000);
	before = r->n_talks;
	query(0xe0000001, 20, 0, NULL, 0);
	rig_advance(r, 2100000);
	ck_assert_uint_eq(talks_of(before, 0x16, &g), 1);	/* a report for each, to the group itself */
	ck_assert_uint_eq(talks_of(before, 0x16, &g2), 1);
	query(G1 + 1, 20, G1 + 1, NULL, 0);	/* of one group */
	rig_advance(r, 2100000);
	ck_assert_uint_eq(talks_of(before, 0x16, &g), 1);
	ck_assert_uint_eq(talks_of(before, 0x16, &g2), 2);
	query(0xe0000001, 20, 0, v3_tail, 4);	/* one of version 3 is answered as version 2 meanwhile (7.2.1) */
	rig_advance(r, 2100000);
	ck_assert_uint_eq(talks_of(before, 0x16, &g), 2);
	ck_assert_uint_eq(talks_of(before, 0x22, &(union npp_addr){ .b = { [10] = 0xff, 0xff, 0xe0, 0, 0, 22 } }), 0);
	rig_advance(r, 400000000ull);
	before = r->n_talks;
	query(0xe0000001, 20, 0, v3_tail, 4);
	rig_advance(r, 2100000);
	ck_assert_uint_eq(r->n_talks, before + 1);
	ck_assert_uint_eq(talk(0)->l4[0], 0x22);
}
END_TEST

START_TEST(nonsense_is_counted)
{
	const uint8_t lies[8] = { 2, 125, 0, 2, 1, 2, 3, 4 }, one[8] = { 2, 125, 0, 1, 1, 2, 3, 4 };

	query(0xe0000001, 1, 0, one, 8);	/* sources without a group */
	query(G1, 1, G1, lies, 8);		/* more sources than there are */
	query(0xe0000001, 1, 0, lies, 2);	/* neither version */
	query(0xe0000001, 1, 0x0a000001, v3_tail, 4); /* about no group */
	query(G1, 1, 0, v3_tail, 4);		/* about all, but not to all */
	query(0xe0000001, 1, 0, v3_tail, 4);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_IGMP), 5);
	p.b[22] = 2;				/* from beyond a router */
	rig_ip4_end(&p);
	rig_in(r, 0, &p);
	p.b[p.l4 + 9] ^= 1;			/* wrong checksum */
	p.b[22] = 1;
	rig_ip4_end(&p);
	rig_in(r, 0, &p);
	report4(G1, G1 + 1);			/* not to the group that it is about */
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_IGMP), 8);
	report4(G1, G1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_IGMP), 8);
}
END_TEST

START_TEST(nonsense_of_mld_is_counted)
{
	uint8_t lies[36] = { 2, 125, 0, 2, 0xfd }, q[28] = { 130, [24] = 2, 125, 0, 0 };

	query6("ff15::7", 1, "::", v3_tail, 4);		/* about all, but not to all */
	query6("ff02::1", 1, "fe80::7", v3_tail, 4);	/* about no group */
	query6("ff15::7", 1, "ff15::7", lies, 20);	/* more sources than there are */
	query6("ff02::1", 1, "::", lies, 36);		/* sources without a group */
	query6("ff02::1", 1, "::", lies, 2);		/* neither version */
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_MLD), 5);
	mld6("fe80::fe", "ff02::1", 2, q, sizeof q);	/* from beyond a router */
	mld6("fd00::fe", "ff02::1", 1, q, sizeof q);
	mld6("febf:ffff::1", "ff02::1", 1, q, sizeof q); /* the last link-local address, and the first behind it */
	mld6("fec0::1", "ff02::1", 1, q, sizeof q);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_MLD), 8);
	mld6("fe80::fe", "ff02::1", 1, q, 23);		/* too short for what it is */
	q[0] = 131;
	mld6("fe80::fe", "ff15::7", 1, q, 23);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_MLD), 10);
	memcpy(q + 8, addr("ff15::7").b, 16);
	mld6("fe80::fe", "ff15::7", 1, q, 23);
	rig_put(&p, (const uint8_t[]){ 7 }, 1);		/* what stands behind the packet is not part of it */
	rig_in(r, 0, &p);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_MLD), 12);
	report6("ff15::7", "ff15::8");			/* not to the group that it is about */
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_MLD), 13);
	report6("ff15::7", "ff15::7");
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_MLD), 13);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_CSUM), 0);
}
END_TEST

/* Time until the next message, in ms; LONGEST if there was none. */
static unsigned answer_after(unsigned longest)
{
	unsigned before = r->n_talks, ms = 0;

	while (r->n_talks == before && ms < longest) {
		unsigned step = longest > 2000 ? 100 : 1;

		rig_advance(r, step * 1000);
		ms += step;
	}
	return ms;
}

START_TEST(an_answer_takes_as_long_as_the_query_allows)
{
	union npp_addr any4 = npp_addr_v4(0), any6 = { .q = { 0, 0 } };
	struct npp_member m = all_of(rig_addr(G1)), m6 = all_of(addr("ff15::7"));
	const uint8_t tail[4] = { 2, 125, 0, 0 };
	unsigned most = 0, ms;

	join(bind_sock(&any4, 53, 1, 0), &m, 1);
	join(bind_sock(&any6, 53, 2, 0), &m6, 1);
	rig_advance(r, 3000000);
	query(G1, 0, G1, tail, 4);	/* at once means 10 ms: a forged one causes no more than one report in that time */
	ms = answer_after(100);
	ck_assert(ms >= 9 && ms <= 13);
	for (unsigned i = 0; i < 16; i++) {	/* 0x80 is 12.8 s */
		query(G1, 0x8f, G1, tail, 4);	/* 24.8 s, and not 14.3 s */
		ms = answer_after(30000);
		ck_assert_uint_le(ms, 24900);
		most = ms > most ? ms : most;
	}
	ck_assert_uint_gt(most, 14500);
	most = 0;
	for (unsigned i = 0; i < 8; i++) {	/* 53 minutes: nobody may ask for more than 100 s */
		query(G1, 0xff, G1, tail, 4);
		ms = answer_after(120000);
		ck_assert_uint_le(ms, 100200);
		most = ms > most ? ms : most;
	}
	ck_assert_uint_gt(most, 30000);
	most = 0;
	for (unsigned i = 0; i < 8; i++) {	/* 71 minutes: in microseconds more than 32 bits */
		query6("ff15::7", 0xf063, "ff15::7", tail, 4);
		ms = answer_after(120000);
		ck_assert_uint_le(ms, 100200);
		most = ms > most ? ms : most;
	}
	ck_assert_uint_gt(most, 30000);
}
END_TEST

START_TEST(of_two_queries_the_sooner_and_the_wider_counts)
{
	union npp_addr any4 = npp_addr_v4(0), g = rig_addr(G1);
	struct npp_member m = { .group = g, .n_sources = 1, .source = { rig_addr(RIG_PEER) } };
	uint8_t many[4 + 4 * 17] = { 2, 125, 0, 17 };
	unsigned n, before;

	for (unsigned i = 0; i < 16; i++)	/* strangers */
		memcpy(many + 4 + 4 * i, (const uint8_t[]){ 10, 9, 9, (uint8_t)i }, 4);
	memcpy(many + 4 + 4 * 16, (const uint8_t[]){ 10, 0, 0, 0x64 }, 4);
	join(bind_sock(&any4, 53, 1, 0), &m, 1);
	rig_advance(r, 3000000);
	before = r->n_talks;
	for (unsigned i = 0; i < 4; i++) {
		query(G1, 0xff, G1, v3_tail, 4);
		query(G1, 1, G1, v3_tail, 4);
		ck_assert_uint_le(answer_after(200), 115);
		query(0xe0000001, 0xff, 0, v3_tail, 4);
		query(0xe0000001, 1, 0, v3_tail, 4);
		query(0xe0000001, 0xff, 0, v3_tail, 4);
		ck_assert_uint_le(answer_after(200), 115);
	}
	rig_advance(r, 120000000);
	ck_assert_uint_eq(r->n_talks, before + 8);
	query(G1, 1, G1, many, sizeof many);	/* more sources than are noted: as if all had been asked for */
	rig_advance(r, 200000);
	ck_assert_uint_eq(r->n_talks, before + 9);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_IS_INCLUDE);
	ck_assert_uint_eq(n, 1);
	many[3] = 16;
	query(G1, 1, G1, many, 4 + 4 * 16);	/* nobody wants these */
	rig_advance(r, 200000);
	ck_assert_uint_eq(r->n_talks, before + 9);
}
END_TEST

START_TEST(the_newest_version_does_not_care_for_others_reports)
{
	union npp_addr any4 = npp_addr_v4(0), any6 = { .q = { 0, 0 } }, g = rig_addr(G1), g6 = addr("ff15::7");
	struct npp_member m = all_of(g), m6 = all_of(g6);
	unsigned n, before;

	join(bind_sock(&any4, 53, 1, 0), &m, 1);
	join(bind_sock(&any6, 53, 2, 0), &m6, 1);
	rig_advance(r, 3000000);
	before = r->n_talks;
	query(G1, 10, G1, v3_tail, 4);
	report4(G1, G1);
	rig_advance(r, 1100000);
	ck_assert_uint_eq(r->n_talks, before + 1);
	ck_assert_int_eq(record(talk(0), &g, &n), MC_IS_EXCLUDE);
	query6("ff15::7", 1000, "ff15::7", v3_tail, 4);
	report6("ff15::7", "ff15::7");
	rig_advance(r, 1100000);
	ck_assert_uint_eq(r->n_talks, before + 2);
	ck_assert_int_eq(record(talk(0), &g6, &n), MC_IS_EXCLUDE);
}
END_TEST

START_TEST(changes_are_reported_as_often_as_queries_say)
{
	union npp_addr any4 = npp_addr_v4(0), g = rig_addr(G1);
	struct npp_member m = all_of(g);
	const uint8_t three[4] = { 8 | 3, 125, 0, 0 };	/* beside it the flag that says: routers, be quiet */
	uint32_t ep = bind_sock(&any4, 53, 1, 0);
	unsigned before;

	query(0xe0000001, 1, 0, three, 4);
	rig_advance(r, 3000000);
	before = r->n_talks;
	join(ep, &m, 1);
	rig_advance(r, 10000000);
	ck_assert_uint_eq(r->n_talks, before + 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("group_query");
	TCase *tc = tcase_create("group");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, queries_are_answered_within_their_time);
	tcase_add_test(tc, queries_from_far_away_change_nothing);
	tcase_add_test(tc, an_older_querier_is_spoken_to_in_its_words);
	tcase_add_test(tc, a_querier_of_mld_1_is_spoken_to_in_its_words);
	tcase_add_test(tc, the_delay_of_mld_1_is_no_floating_point_number);
	tcase_add_test(tc, igmp_2_takes_turns_with_others);
	tcase_add_test(tc, nonsense_is_counted);
	tcase_add_test(tc, nonsense_of_mld_is_counted);
	tcase_add_test(tc, an_answer_takes_as_long_as_the_query_allows);
	tcase_add_test(tc, of_two_queries_the_sooner_and_the_wider_counts);
	tcase_add_test(tc, the_newest_version_does_not_care_for_others_reports);
	tcase_add_test(tc, changes_are_reported_as_often_as_queries_say);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
