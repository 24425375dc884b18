/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_nd_auto.c - neighbour discovery and what routers advertise: lifetimes, flags, preference, addresses under test
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

#define US "fd00::1"
#define PEER "fd00::64"
#define LOCAL "fe80::1"
#define ROUTER "fe80::fe"
#define L 0x80
#define A 0x40
#define FOR_EVER 0xffffffffu

static struct rig *r;
static struct rig_pkt p;

static union npp_addr addr(const char *text)
{
	union npp_addr a;

	ck_assert_int_eq(npp_addr_parse(text, &a), 0);
	return a;
}

static void add_addr(const union npp_addr *a)
{
	r->g->addr[r->g->n_addrs++] = (struct npp_if_addr){ .addr = *a, .prefix_len = 64, .port = 0 };
}

static void setup(void)
{
	union npp_addr us = addr(US), local = addr(LOCAL);

	r = rig_new(1);
	add_addr(&us);
	add_addr(&local);
	r->g->port[0].flags = NPP_PORT_AUTOCONF;
	atomic_store(&r->g->net_seq, 4);
	rig_advance(r, 4000000); /* announcements */
	rig_forget(r);
}
static void teardown(void) { rig_free(r); }

/* A message of discovery from SRC to DST. */
static void say(const char *src, const char *dst, uint8_t type, uint32_t rest, const void *body, uint32_t len)
{
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .next = 58, .hops = 255, .plen = htons((uint16_t)(8 + len)) };
	struct icmp4_hdr icmp = { .type = type, .rest = htonl(rest) };
	union npp_addr s = addr(src), d = addr(dst);
	uint8_t mac[6] = { 0x33, 0x33 };
	uint16_t sum;

	memcpy(mac + 2, d.b + 12, 4);
	rig_eth(&p, d.b[0] == 0xff ? mac : rig_mac, rig_peer_mac, ETH_P_IP6);
	memcpy(h.src, s.b, 16);
	memcpy(h.dst, d.b, 16);
	rig_put(&p, &h, sizeof h);
	p.l4 = p.len;
	rig_put(&p, &icmp, sizeof icmp);
	rig_put(&p, body, len);
	sum = npp_csum_finish(npp_csum_add(p.b + p.l4, p.len - p.l4, npp_csum_pseudo(&s, &d, 58, p.len - p.l4)));
	memcpy(p.b + p.l4 + 2, &sum, 2);
	rig_in(r, 0, &p);
	rig_run(r);
}

static void neighbour(const char *src, const char *dst, uint8_t type, uint32_t flags, const char *target, uint8_t opt)
{
	uint8_t body[24] = { 0 };
	union npp_addr t = addr(target);

	memcpy(body, t.b, 16);
	body[16] = opt;
	body[17] = 1;
	memcpy(body + 18, rig_peer_mac, 6);
	say(src, dst, type, flags, body, opt ? 24 : 16);
}

/* PRF: the two bits of RFC 4191. */
static void router(const char *who, uint32_t prf, uint32_t lifetime)
{
	say(who, "ff02::1", 134, prf << 19 | lifetime, (uint8_t[8]){ 0 }, 8);
}

static void prefix_of(const char *net, uint8_t flags, uint32_t valid, uint32_t preferred)
{
	uint8_t body[8 + 32] = { [8] = 3, 4, 64, flags };
	uint32_t v = htonl(valid), w = htonl(preferred);
	union npp_addr a = addr(net);

	memcpy(body + 12, &v, 4);
	memcpy(body + 16, &w, 4);
	memcpy(body + 24, a.b, 16);
	say(ROUTER, "ff02::1", 134, 1800, body, sizeof body);
}

static void prefix(uint8_t flags, uint32_t valid, uint32_t preferred)
{
	prefix_of("fd00:0:0:99::", flags, valid, preferred);
}

static void pass(unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++)
		rig_advance(r, 1000000);
	rig_forget(r);
}

/* As nppd does: what was told is entered. */
static void enter(void)
{
	add_addr(&r->autoconf.addr[0].addr);
	atomic_fetch_add(&r->g->net_seq, 2);
	rig_run(r);
	rig_forget(r);
}

static void expect_addr(uint8_t plen, uint32_t flags)
{
	ck_assert_uint_eq(r->autoconf.n_addrs, 1);
	ck_assert_uint_eq(r->autoconf.n_on_link, 0);
	ck_assert_uint_eq(r->autoconf.addr[0].prefix_len, plen);
	ck_assert_uint_eq(r->autoconf.addr[0].flags, NPP_ADDR_AUTO | flags);
}

/* ---- prefixes (RFC 4861, 6.3.4; RFC 4862, 5.5.3) -------------------------------------------------------- */

START_TEST(who_does_not_say_on_link_takes_nothing_off_the_link)
{
	prefix(L | A, 7200, 3600);
	expect_addr(64, 0);
	prefix(A, 7200, 3600);
	expect_addr(64, 0);
}
END_TEST

START_TEST(who_does_not_speak_of_addresses_ends_none)
{
	prefix(L | A, 9000, 8000);
	prefix(L, 100, 0);
	expect_addr(64, 0);
	pass(110);
	expect_addr(128, 0);		/* the link ended, the address goes on */
	prefix(L, 0, 0);
	expect_addr(128, 0);
	pass(7900);
	expect_addr(128, NPP_ADDR_DEPRECATED);
	pass(1000);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
}
END_TEST

START_TEST(a_lifetime_of_zero_ends_the_link_at_once_and_the_address_in_two_hours)
{
	prefix(L | A, 90000, 80000);
	prefix(L | A, 0, 0);
	expect_addr(128, NPP_ADDR_DEPRECATED);
	pass(7190);
	expect_addr(128, NPP_ADDR_DEPRECATED);
	pass(20);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
}
END_TEST

START_TEST(a_prefix_that_is_only_on_the_link_ends_at_once)
{
	prefix(L, 90000, 0);
	ck_assert_uint_eq(r->autoconf.n_on_link, 1);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
	prefix(L, 0, 0);
	ck_assert_uint_eq(r->autoconf.n_on_link, 0);
}
END_TEST

START_TEST(what_is_for_ever_does_not_end_and_may_be_shortened)
{
	prefix(L | A, FOR_EVER, FOR_EVER);
	for (unsigned i = 0; i < 400; i++)
		rig_advance(r, 3600000000ull);
	expect_addr(64, 0);
	prefix(L | A, 10, 5);		/* two hours at least */
	pass(20);
	expect_addr(128, NPP_ADDR_DEPRECATED);
	pass(7190);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
}
END_TEST

START_TEST(an_address_preferred_longer_than_valid_is_not_made)
{
	prefix(L | A, 100, 200);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
	ck_assert_uint_eq(r->autoconf.n_on_link, 1);
}
END_TEST

static const uint8_t *icmp_of(unsigned i, uint8_t type)
{
	const struct ip6_hdr_w *h = rig_ip6(&r->frame[i]);

	return h && h->next == 58 && ((const uint8_t *)(h + 1))[0] == type ? (const uint8_t *)(h + 1) : NULL;
}

static unsigned probes(void)
{
	static const uint8_t none[16];
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_frames; i++)
		n += icmp_of(i, 135) && memcmp(rig_ip6(&r->frame[i])->src, none, 16) == 0;
	return n;
}

START_TEST(an_address_is_tested_whenever_it_is_made)
{
	prefix(L, 9000, 8000);
	ck_assert_uint_eq(probes(), 0);
	prefix(L | A, 9000, 8000);
	ck_assert_uint_eq(probes(), 1);
}
END_TEST

/* ---- an address under test (RFC 4429) --------------------------------------------------------------------- */

START_TEST(an_address_under_test_overrides_nobody_and_asks_nobody)
{
	union npp_addr peer = addr("fd00:0:0:99::64"), any = { .q = { 0, 0 } }, local = addr(LOCAL);
	char own[NPP_ADDR_STRLEN];
	struct ip_path path;
	struct stack_tx tx = { .l4_len = 8, .csum_off = 6 };
	const uint8_t *m = NULL;

	prefix(L | A, 9000, 8000);
	enter();
	npp_addr_format(&r->autoconf.addr[0].addr, own);
	ck_assert_int_eq(ip_path_init(r->node[0].s, &path, &any, &peer), 0);
	ck_assert(npp_addr_eq(&path.src, &r->autoconf.addr[0].addr));
	ck_assert_int_eq(ip_output(r->node[0].s, &path, 17, 0, 64, false, &tx), 0);
	ck_assert_ptr_nonnull(icmp_of(r->n_frames - 1, 135));
	ck_assert_int_eq(memcmp(rig_ip6(rig_last(r))->src, local.b, 16), 0);
	for (unsigned i = 0; i < 2; i++) {
		neighbour("fe80::77", own, 135, 0, own, 1);
		m = icmp_of(r->n_frames - 1, 136);
		ck_assert_ptr_nonnull(m);
		ck_assert_uint_eq(m[4], i ? 0x60 : 0x40);	/* solicited, and override only later */
		pass(5);
	}
}
END_TEST

/* ---- routers ------------------------------------------------------------------------------------------------- */

/* Only while it is tested: later whoever says that it is his would end it for us. */
START_TEST(an_address_that_was_tested_is_defended)
{
	char text[NPP_ADDR_STRLEN];

	prefix(L | A, 9000, 8000);
	enter();
	pass(5);
	npp_addr_format(&r->autoconf.addr[0].addr, text);
	neighbour(PEER, "ff02::1", 136, 0x20000000, text, 2);
	ck_assert_uint_eq(r->autoconf.n_addrs, 1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ACD_DEFENDED), 1);
}
END_TEST

START_TEST(routers_stand_in_the_order_of_their_preference)
{
	union npp_addr low = addr("fe80::a"), mid = addr("fe80::b"), high = addr("fe80::c"), odd = addr("fe80::d");

	router("fe80::a", 3, 1800);
	router("fe80::b", 0, 1800);
	router("fe80::c", 1, 1800);
	router("fe80::d", 2, 1800);	/* reserved: as 0 */
	ck_assert_uint_eq(r->autoconf.n_routers, 4);
	ck_assert(npp_addr_eq(&r->autoconf.router[0], &high));
	ck_assert(npp_addr_eq(&r->autoconf.router[1], &mid));
	ck_assert(npp_addr_eq(&r->autoconf.router[2], &odd));
	ck_assert(npp_addr_eq(&r->autoconf.router[3], &low));
	router("fe80::a", 1, 1800);
	ck_assert(npp_addr_eq(&r->autoconf.router[0], &low));
	router("fe80::c", 1, 0);
	ck_assert_uint_eq(r->autoconf.n_routers, 3);
}
END_TEST

static bool is_router(const char *who)
{
	union npp_addr a = addr(who);

	for (unsigned i = 0; i < r->autoconf.n_routers; i++)
		if (npp_addr_eq(&r->autoconf.router[i], &a))
			return true;
	return false;
}

static void crowd(uint8_t first_pref)
{
	static const char *const who[NPP_AUTO_MAX] = { "fe80::a", "fe80::b", "fe80::c", "fe80::d", "fe80::e", "fe80::f",
						       "fe80::10", "fe80::11" };

	for (unsigned i = 0; i < NPP_AUTO_MAX; i++) {
		router(who[i], i < 2 ? first_pref : 0, 1800);
		rig_advance(r, 1000);
	}
	ck_assert_uint_eq(r->autoconf.n_routers, NPP_AUTO_MAX);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ND_ROUTERS_FULL), 0);
}

START_TEST(a_crowd_of_routers_changes_nothing_and_is_counted)
{
	crowd(0);
	router("fe80::99", 0, 1800);
	router("fe80::99", 0, 0); /* says that it is none: nothing to count */
	ck_assert(!is_router("fe80::99"));
	ck_assert_uint_eq(r->autoconf.n_routers, NPP_AUTO_MAX);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ND_ROUTERS_FULL), 1);
}
END_TEST

START_TEST(a_router_that_is_preferred_takes_the_place_of_the_oldest_that_is_not)
{
	crowd(3);	/* the first two are low */
	router("fe80::a", 3, 1800);	/* heard again */
	router("fe80::99", 0, 1800);
	ck_assert(is_router("fe80::99") && is_router("fe80::a") && !is_router("fe80::b"));
	router("fe80::98", 1, 1800);	/* then the other low one, before any of medium preference */
	ck_assert(is_router("fe80::98") && !is_router("fe80::a") && is_router("fe80::c"));
	router("fe80::97", 1, 1800);
	ck_assert(is_router("fe80::97") && !is_router("fe80::c") && is_router("fe80::99"));
	ck_assert_uint_eq(r->autoconf.n_routers, NPP_AUTO_MAX);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ND_ROUTERS_FULL), 3);
}
END_TEST

START_TEST(a_router_that_does_not_answer_gives_its_place_to_any)
{
	struct stack *s = r->node[0].s;
	union npp_addr dead = addr("fe80::d");


	crowd(0);
	neigh_set(s, neigh_entry(s, &dead, 0, true), NPP_NEIGH_FAILED, NULL, true);
	router("fe80::99", 3, 1800);
	ck_assert(is_router("fe80::99") && !is_router("fe80::d"));
}
END_TEST

START_TEST(advertisements_without_sense_are_dropped)
{
	uint8_t body[8 + 33 * 8] = { [8] = 3, 5, 64, L | A };	/* an option that ends behind the message */
	unsigned dropped = 0;

	memset(body + 12, 0x7f, 8);
	memcpy(body + 24, addr("fd00:0:0:99::").b, 16);
	say(ROUTER, "ff02::1", 134, 1800, body, 8 + 32);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ND), ++dropped);
	body[9] = 4;
	say("fd00::fe", "ff02::1", 134, 1800, body, 8 + 32);	/* from no link-local address (6.1.2) */
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ND), ++dropped);
	say("fec0::1", "ff02::1", 134, 1800, body, 8 + 32);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ND), ++dropped);
	for (uint32_t len = 0; len < 8; len++) {
		say(ROUTER, "ff02::1", 134, 1800, body, len);
		ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ND), ++dropped);
	}
	for (unsigned i = 0; i < 33; i++)
		memcpy(body + 8 + 8 * i, (const uint8_t[]){ 14, 1 }, 2);
	say(ROUTER, "ff02::1", 134, 1800, body, 8 + 33 * 8);	/* more options than anybody sends */
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ND), ++dropped);
	ck_assert_uint_eq(r->autoconf.n_routers, 0);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
	say(ROUTER, "ff02::1", 134, 1800, body, 8 + 32 * 8);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_ND), dropped);
	ck_assert_uint_eq(r->autoconf.n_routers, 1);
}
END_TEST

/* A prefix option of LEN bytes about NET of PLEN bits. */
static void option(uint32_t len, const char *net, uint8_t plen)
{
	uint8_t body[8 + 40] = { [8] = 3, (uint8_t)(len / 8), plen, L | A };

	memset(body + 12, 0x7f, 8);
	memcpy(body + 24, addr(net).b, 16);
	say(ROUTER, "ff02::1", 134, 1800, body, 8 + len);
	ck_assert_uint_eq(r->autoconf.n_routers, 1);
}

START_TEST(prefixes_that_cannot_be_are_passed_over)
{
	option(40, "fd00:0:0:99::", 64);	/* such an option is as long as it is */
	option(24, "fd00:0:0:99::", 64);
	option(32, "fd00:0:0:99::", 0);		/* everything on the link */
	option(32, "fd00:0:0:99::", 129);
	option(32, "fe80::", 64);
	option(32, "ff05::", 64);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
	ck_assert_uint_eq(r->autoconf.n_on_link, 0);
	option(32, "fd00:0:0:99::", 64);
	ck_assert_uint_eq(r->autoconf.n_addrs, 1);
	say(ROUTER, "ff02::1", 134, 1800, (uint8_t[16]){ [8] = 5, 1, 0, 0, 0, 0, 0x23, 0x28 }, 16);
	ck_assert_uint_eq(r->autoconf.link[0].mtu, 0);	/* 9000 is more than the port takes */
}
END_TEST

START_TEST(prefixes_that_find_no_place_are_counted)
{
	for (unsigned i = 0; i < NPP_AUTO_MAX + 2; i++) {
		char text[32];

		snprintf(text, sizeof text, "2001:db8:%x::", i + 1);
		prefix_of(text, L, 3600, 3600);
	}
	ck_assert_uint_eq(r->autoconf.n_on_link, NPP_AUTO_MAX);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ND_PREFIXES_FULL), 2);
}
END_TEST

START_TEST(what_the_npp_has_no_room_for_is_said)
{
	r->g->n_left_out = 3;
	atomic_store(&r->g->net_seq, 6);
	router(ROUTER, 0, 1800);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ROUTES_LEFT_OUT), 3);
	rig_link_role(r, 0, false);
	rig_advance(r, 10000);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ROUTES_LEFT_OUT), 0); /* who has the role says it */
	rig_link_role(r, 0, true);
	rig_advance(r, 10000);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ROUTES_LEFT_OUT), 3);
}
END_TEST

/* Each change of what is advertised makes all look for their ways anew, and our addresses be announced. */
START_TEST(advertisements_that_contradict_each_other_are_told_once_a_second)
{
	unsigned before;

	router(ROUTER, 0, 1800);
	ck_assert_uint_eq(r->n_autoconf, 1); /* the first at once */
	for (unsigned i = 0; i < 400; i++) {
		router(ROUTER, 0, i % 2 ? 1800 : 0);
		rig_advance(r, 10000);
		rig_forget(r);
	}
	ck_assert_uint_ge(r->n_autoconf, 16);
	ck_assert_uint_le(r->n_autoconf, 16 + 5);
	before = r->n_autoconf;
	router("fe80::fd", 1, 1800);
	router("fe80::fc", 1, 1800);
	pass(2);
	ck_assert_uint_ge(r->n_autoconf, before + 1);
	ck_assert_uint_le(r->n_autoconf, before + 2);
	ck_assert_uint_eq(r->autoconf.n_routers, 3); /* all that has come since */
	pass(20);
	router(ROUTER, 0, 0);
	ck_assert_uint_eq(r->autoconf.n_routers, 2); /* who seldom has news is heard at once */
}
END_TEST

/* A successor asks for routers; what ends meanwhile is told though nobody answers. */
START_TEST(what_ends_while_a_successor_asks_is_told)
{
	prefix(L | A, 30, 30);
	router(ROUTER, 0, 0);
	pass(2);
	expect_addr(64, 0);
	ck_assert_uint_eq(r->autoconf.n_routers, 0);
	pass(20);
	rig_attach(r, 0);
	rig_run(r);
	pass(30);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
}
END_TEST

START_TEST(who_says_that_it_is_no_router_is_none)
{
	router(ROUTER, 0, 1800);
	router("fe80::b", 0, 1800);
	neighbour(ROUTER, "ff02::1", 136, 0x20000000, ROUTER, 2);	/* we do not know it as a neighbour yet */
	ck_assert_uint_eq(r->autoconf.n_routers, 2);
	neighbour(ROUTER, LOCAL, 135, 0, LOCAL, 1);
	neighbour(ROUTER, "ff02::1", 136, 0xa0000000, ROUTER, 2);
	ck_assert_uint_eq(r->autoconf.n_routers, 2);
	neighbour(ROUTER, "ff02::1", 136, 0x20000000, ROUTER, 2);	/* 7.2.5: MUST */
	ck_assert_uint_eq(r->autoconf.n_routers, 1);
}
END_TEST

/* ---- neighbours ---------------------------------------------------------------------------------------------- */

static enum npp_neigh_state state_of(const char *who)
{
	union npp_addr a = addr(who);
	struct neigh_view v;

	return neigh_lookup(r->node[0].s, &a, 0, &v) ? v.state : NPP_NEIGH_NONE;
}

START_TEST(who_asks_from_beyond_the_link_is_answered_but_not_remembered)
{
	neighbour("2001:db8::5", "ff02::1:ff00:1", 135, 0, US, 1);
	ck_assert_ptr_nonnull(icmp_of(r->n_frames - 1, 136));
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_peer_mac, 6), 0);
	ck_assert_int_eq(state_of("2001:db8::5"), NPP_NEIGH_NONE);
}
END_TEST

START_TEST(an_answer_to_the_first_question_says_the_address)
{
	union npp_addr peer = addr(PEER), any = { .q = { 0, 0 } };
	struct stack_tx tx = { .l4_len = 8, .csum_off = 6 };
	struct ip_path path;

	ck_assert_int_eq(ip_path_init(r->node[0].s, &path, &any, &peer), 0);
	ck_assert_int_eq(ip_output(r->node[0].s, &path, 17, 0, 64, false, &tx), 0);
	neighbour(PEER, US, 136, 0x60000000, PEER, 0);		/* 7.2.5 */
	ck_assert_int_eq(state_of(PEER), NPP_NEIGH_INCOMPLETE);
	neighbour(PEER, US, 136, 0x60000000, PEER, 2);
	ck_assert_int_eq(state_of(PEER), NPP_NEIGH_REACHABLE);
	pass(45);
	tx = (struct stack_tx){ .l4_len = 8, .csum_off = 6 };
	ck_assert_int_eq(ip_output(r->node[0].s, &path, 17, 0, 64, false, &tx), 0);
	ck_assert_int_eq(state_of(PEER), NPP_NEIGH_STALE);
	neighbour(PEER, US, 136, 0x60000000, PEER, 0);		/* asked alone: it need not */
	ck_assert_int_eq(state_of(PEER), NPP_NEIGH_REACHABLE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stack/nd_auto");
	TCase *tc = tcase_create("nd_auto");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, who_does_not_say_on_link_takes_nothing_off_the_link);
	tcase_add_test(tc, who_does_not_speak_of_addresses_ends_none);
	tcase_add_test(tc, a_lifetime_of_zero_ends_the_link_at_once_and_the_address_in_two_hours);
	tcase_add_test(tc, a_prefix_that_is_only_on_the_link_ends_at_once);
	tcase_add_test(tc, what_is_for_ever_does_not_end_and_may_be_shortened);
	tcase_add_test(tc, an_address_preferred_longer_than_valid_is_not_made);
	tcase_add_test(tc, an_address_is_tested_whenever_it_is_made);
	tcase_add_test(tc, an_address_under_test_overrides_nobody_and_asks_nobody);
	tcase_add_test(tc, an_address_that_was_tested_is_defended);
	tcase_add_test(tc, routers_stand_in_the_order_of_their_preference);
	tcase_add_test(tc, a_crowd_of_routers_changes_nothing_and_is_counted);
	tcase_add_test(tc, a_router_that_is_preferred_takes_the_place_of_the_oldest_that_is_not);
	tcase_add_test(tc, a_router_that_does_not_answer_gives_its_place_to_any);
	tcase_add_test(tc, advertisements_without_sense_are_dropped);
	tcase_add_test(tc, prefixes_that_cannot_be_are_passed_over);
	tcase_add_test(tc, prefixes_that_find_no_place_are_counted);
	tcase_add_test(tc, what_the_npp_has_no_room_for_is_said);
	tcase_add_test(tc, advertisements_that_contradict_each_other_are_told_once_a_second);
	tcase_add_test(tc, what_ends_while_a_successor_asks_is_told);
	tcase_add_test(tc, who_says_that_it_is_no_router_is_none);
	tcase_add_test(tc, who_asks_from_beyond_the_link_is_answered_but_not_remembered);
	tcase_add_test(tc, an_answer_to_the_first_question_says_the_address);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
