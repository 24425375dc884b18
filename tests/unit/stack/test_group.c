/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_group.c - multicast: memberships, delivery, IGMP and MLD as routers hear them
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

#define G1 0xef010203u
#define ROUTER 0x0a0000feu

static struct rig *r;
static struct rig_pkt p;
static const struct npp_member none[1];

static union npp_addr addr(const char *text)
{
	union npp_addr a;

	ck_assert_int_eq(npp_addr_parse(text, &a), 0);
	return a;
}

static void setup(void)
{
	r = rig_new(2);
	r->g->addr[r->g->n_addrs++] = (struct npp_if_addr){ .addr = addr("fd00::1"), .prefix_len = 64 };
	r->g->addr[r->g->n_addrs++] = (struct npp_if_addr){ .addr = addr("fe80::1"), .prefix_len = 64 };
	atomic_store(&r->g->net_seq, 4);
	rig_advance(r, 4000000);
	rig_forget(r);
}
static void teardown(void) { rig_free(r); }

/* A socket with number SOCK of HOST, on every IOP, as the OSM makes it. */
static uint32_t bind_sock(const union npp_addr *laddr, uint16_t port, uint32_t sock, uint8_t host)
{
	uint32_t index = 0;

	for (unsigned i = 0; i < r->n; i++) {
		struct udp_endpoint t = { .laddr = *laddr, .lport = port, .user_sock = sock, .user_host = host,
					  .reuseaddr = 1, .order = sock }, *ep;
		int err;

		ep = stack_udp_bind(r->node[i].s, &t, &err);
		ck_assert_ptr_nonnull(ep);
		index = ep->index;
	}
	return index;
}

static int join(uint32_t ep, const struct npp_member *m, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < r->n; i++)
		err |= stack_udp_members(r->node[i].s, stack_udp(r->node[i].s, ep), m, n);
	rig_advance(r, 5000);
	return err;
}

static struct npp_member all_of(union npp_addr group)
{
	return (struct npp_member){ .group = group, .exclude = 1 };
}

/* The I-th last message. */
static const struct rig_talk *talk(unsigned i)
{
	ck_assert_uint_gt(r->n_talks, i);
	return &r->talk[(r->n_talks - 1 - i) % RIG_TALKS];
}

/* The record about GROUP in message T of the newest version: its type, sources into *N; 0: none. */
static int record(const struct rig_talk *t, const union npp_addr *group, unsigned *n)
{
	unsigned each = npp_addr_is_v4(group) ? 4 : 16, at = 8, count = t->l4[6] * 256u + t->l4[7];

	*n = 0;
	if (t->l4[0] != (each == 4 ? 0x22 : 143))
		return 0;
	for (; count; count--) {
		unsigned n_src = t->l4[at + 2] * 256u + t->l4[at + 3];

		ck_assert_uint_le(at + 4 + each, t->len);
		if (memcmp(t->l4 + at + 4, group->b + 16 - each, each) == 0) {
			*n = n_src;
			return t->l4[at];
		}
		at += 4 + each + each * n_src;
	}
	return 0;
}

static void query(uint32_t dst, uint8_t code, uint32_t group, const uint8_t *more, uint32_t len)
{
	uint8_t q[8] = { 0x11, code, 0, 0, (uint8_t)(group >> 24), (uint8_t)(group >> 16), (uint8_t)(group >> 8),
			 (uint8_t)group };
	uint16_t sum;

	rig_ip4(&p, ROUTER, dst, 2, 1, 0);
	p.b[0] = 1, p.b[1] = 0, p.b[2] = 0x5e;
	p.b[22] = 1;
	rig_put(&p, q, 8);
	rig_put(&p, more, len);
	rig_ip4_end(&p);
	sum = npp_csum_finish(npp_csum_add(p.b + p.l4, p.len - p.l4, 0));
	memcpy(p.b + p.l4 + 2, &sum, 2);
	rig_in(r, 0, &p);
}

static const uint8_t v3_tail[4] = { 2, 125, 0, 0 };

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

START_TEST(an_older_querier_is_spoken_to_in_its_words)
{
	union npp_addr any4 = npp_addr_v4(0), g = rig_addr(G1);
	struct npp_member m = all_of(g);
	uint32_t ep = bind_sock(&any4, 53, 1, 0);
	uint8_t report[8] = { 0x16, 0, 0, 0, 0xef, 1, 2, 3 };
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
	rig_ip4(&p, RIG_PEER, G1, 2, 1, 0); /* another member is faster */
	p.b[22] = 1;
	rig_put(&p, report, 8);
	rig_ip4_end(&p);
	{
		uint16_t sum = npp_csum_finish(npp_csum_add(p.b + p.l4, 8, 0));

		memcpy(p.b + p.l4 + 2, &sum, 2);
	}
	rig_in(r, 0, &p);
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

/* A query of MLD: version 1, or 2 with a tail; MS as it stands in the message. */
static void query6(const char *dst, uint16_t ms, const char *group, const uint8_t *tail, uint32_t len)
{
	static const uint8_t hop[8] = { 58, 0, 5, 2, 0, 0, 1, 0 };
	union npp_addr src = addr("fe80::fe"), to = addr(dst), g = addr(group);
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .next = 0, .hops = 1 };
	uint8_t q[24] = { 130, 0, 0, 0, (uint8_t)(ms >> 8), (uint8_t)ms };
	uint16_t sum;

	memcpy(h.src, src.b, 16);
	memcpy(h.dst, to.b, 16);
	h.plen = htons((uint16_t)(sizeof hop + sizeof q + len));
	memcpy(q + 8, g.b, 16);
	rig_eth(&p, (const uint8_t[6]){ 0x33, 0x33, to.b[12], to.b[13], to.b[14], to.b[15] }, rig_gw_mac, 0x86dd);
	rig_put(&p, &h, sizeof h);
	rig_put(&p, hop, sizeof hop);
	p.l4 = p.len;
	rig_put(&p, q, sizeof q);
	rig_put(&p, tail, len);
	sum = npp_csum_finish(npp_csum_add(p.b + p.l4, p.len - p.l4,
					   npp_csum_pseudo(&src, &to, 58, p.len - p.l4)));
	memcpy(p.b + p.l4 + 2, &sum, 2);
	rig_in(r, 0, &p);
}

/* Somebody else's report of version 1. */
static void report6(const char *group)
{
	query6(group, 0, group, NULL, 0);
	p.b[p.l4] = 131;
	p.b[p.l4 + 2] = p.b[p.l4 + 3] = 0;
	{
		union npp_addr src = addr("fe80::fe"), to = addr(group);
		uint16_t sum = npp_csum_finish(npp_csum_add(p.b + p.l4, p.len - p.l4,
							    npp_csum_pseudo(&src, &to, 58, p.len - p.l4)));

		memcpy(p.b + p.l4 + 2, &sum, 2);
	}
	rig_in(r, 0, &p);
}

static unsigned talks_of(unsigned from, unsigned type, const union npp_addr *dst)
{
	unsigned n = 0;

	for (unsigned i = from; i < r->n_talks; i++)
		n += r->talk[i % RIG_TALKS].l4[0] == type && npp_addr_eq(&r->talk[i % RIG_TALKS].dst, dst);
	return n;
}

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
	report6("ff15::7");	/* another member is faster */
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
	const uint8_t lies[8] = { 2, 125, 0, 2, 1, 2, 3, 4 };

	query(0xe0000001, 1, 0, lies, 8);	/* sources without a group */
	query(G1, 1, G1, lies, 8);		/* more sources than there are */
	query(0xe0000001, 1, 0, lies, 2);	/* neither version */
	query(0xe0000001, 1, 0x0a000001, v3_tail, 4); /* about no group */
	query(0xe0000001, 1, 0, v3_tail, 4);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_IGMP), 4);
	p.b[22] = 2;				/* from beyond a router */
	rig_ip4_end(&p);
	rig_in(r, 0, &p);
	p.b[p.l4 + 7] ^= 1;
	p.b[22] = 1;
	rig_ip4_end(&p);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_IGMP), 6);
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
	tcase_add_test(tc, queries_are_answered_within_their_time);
	tcase_add_test(tc, an_older_querier_is_spoken_to_in_its_words);
	tcase_add_test(tc, a_querier_of_mld_1_is_spoken_to_in_its_words);
	tcase_add_test(tc, the_delay_of_mld_1_is_no_floating_point_number);
	tcase_add_test(tc, igmp_2_takes_turns_with_others);
	tcase_add_test(tc, nonsense_is_counted);
	tcase_add_test(tc, the_next_link_role_reports_all);
	tcase_add_test(tc, one_host_cannot_take_all_memberships);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
