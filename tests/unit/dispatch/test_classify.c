/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_classify.c - each class, and each reason to drop
 */
#include "config.h"

#include <stdlib.h>

#include "npp-dispatch/dispatch.h"
#include "tests/unit/dispatch/frames.h"
#include "tests/unit/suite.h"

#define N 4

static struct npp_global *g;
static struct dispatch_ctx c;
static struct frame *f;
static struct dispatch_verdict v;

static void setup(void)
{
	g = aligned_alloc(64, (sizeof *g + 63) / 64 * 64);
	f = calloc(1, sizeof *f);
	npp_fill(g, N);
	g->link_iop = 2;
	ck_assert_int_eq(dispatch_ctx_init(&c, g, 0), 0);
}

static void teardown(void)
{
	free(g);
	free(f);
}

/* In memory of exactly its size, so that a sanitizer sees a byte too far. */
static bool run(void)
{
	uint8_t *exact = malloc(f->len ? f->len : 1);
	bool ok;

	memcpy(exact, f->b, f->len);
	ok = dispatch_classify(&c, &f->v, exact, f->len, &v);
	free(exact);
	return ok;
}

#define DROPS(reason) \
	do { \
		ck_assert(!run()); \
		ck_assert_uint_eq(v.drop, NPP_DS_DROP_##reason); \
	} while (0)
#define GOES(class, to) \
	do { \
		ck_assert_msg(run(), "dropped: %u", v.drop); \
		ck_assert_uint_eq(v.cls, NPP_DS_CLASS_##class); \
		ck_assert_uint_eq(v.iop, (to)); \
	} while (0)

static unsigned owner(const char *src, unsigned sport, const char *dst, unsigned dport, uint8_t proto)
{
	struct npp_flow_key k = { .src = frame_addr(src), .dst = frame_addr(dst), .proto = proto };

	k.sport = htons((uint16_t)sport);
	k.dport = htons((uint16_t)dport);
	return npp_hash_iop(&g->prog[0], &k);
}

START_TEST(flows_go_to_the_owner_of_their_hash)
{
	for (unsigned i = 0; i < 64; i++) {
		uint16_t sport = (uint16_t)(32768 + 2 * i);

		frame_flow4(f, 6, sport, 80, i);
		GOES(TCP, owner(PEER4, sport, US4, 80, 6));
		ck_assert(v.csum == NPP_CSUM_OK && v.l4_off == 34);
		frame_flow4(f, 17, sport, 53, i);
		GOES(UDP, owner(PEER4, sport, US4, 53, 17));
		frame_flow6(f, 6, sport, 80, i);
		GOES(TCP, owner(PEER6, sport, US6, 80, 6));
		ck_assert(v.csum == NPP_CSUM_OK && v.l4_off == 54);
		frame_flow6(f, 17, sport, 53, i);
		GOES(UDP, owner(PEER6, sport, US6, 53, 17));
	}
}
END_TEST

START_TEST(padding_behind_the_datagram_is_allowed)
{
	frame_flow4(f, 6, 1000, 80, 0);
	memset(f->b + f->len, 0x55, 30);
	f->len += 6;
	GOES(TCP, owner(PEER4, 1000, US4, 80, 6));
	frame_flow6(f, 17, 1000, 80, 0);
	f->len += 30;
	GOES(UDP, owner(PEER6, 1000, US6, 80, 17));
}
END_TEST

START_TEST(arp_goes_to_the_link_role)
{
	frame_arp(f);
	GOES(ARP, 2);
	g->link_iop = 3;
	GOES(ARP, 3);
	f->len--;
	DROPS(SHORT);
}
END_TEST

START_TEST(neighbour_discovery_goes_to_the_link_role)
{
	static const uint8_t zero[16];

	for (unsigned type = 133; type <= 137; type++) {
		frame_icmp6(f, (uint8_t)type, zero, 16);
		GOES(ARP, 2);
	}
}
END_TEST

START_TEST(an_address_under_test_may_ask_from_nowhere)
{
	uint8_t m[24] = { 135 };

	l4_sum(58, "::", "ff02::1:ff00:1", m, sizeof m, 2);
	frame_ip6(f, 58, "::", "ff02::1:ff00:1", m, sizeof m);
	GOES(ARP, 2);
	frame_ip6(f, 6, "::", US6, m, sizeof m);
	DROPS(IP_SRC);
}
END_TEST

START_TEST(echo_goes_by_addresses)
{
	frame_icmp4(f, 8, "hello", 5);
	GOES(OTHER, owner(PEER4, 0, US4, 0, 1));
	frame_icmp6(f, 128, "hello", 5);
	GOES(OTHER, owner(PEER6, 0, US6, 0, 58));
	frame_ip4(f, 132, PEER4, US4, "whatever", 8);
	GOES(OTHER, owner(PEER4, 0, US4, 0, 132));
	ck_assert_uint_eq(v.csum, NPP_CSUM_NONE);
	frame_ip6(f, 59, PEER6, US6, "", 0);
	GOES(OTHER, owner(PEER6, 0, US6, 0, 59));
}
END_TEST

/* The packet that we sent, as a router quotes it: N bytes of it. */
static void quote4(uint8_t proto, uint16_t sport, uint16_t dport, uint32_t n)
{
	static uint8_t l4[64];
	static struct frame q;
	uint32_t len = l4_make(l4, proto, US4, PEER4, sport, dport, 20);

	frame_ip4(&q, proto, US4, PEER4, l4, len);
	frame_icmp4(f, 3, q.b + ETH_HDR_LEN, n);
}

static void quote6(uint8_t proto, uint16_t sport, uint16_t dport, uint32_t n)
{
	static uint8_t l4[64];
	static struct frame q;
	uint32_t len = l4_make(l4, proto, US6, PEER6, sport, dport, 20);

	frame_ip6(&q, proto, US6, PEER6, l4, len);
	frame_icmp6(f, 2, q.b + ETH_HDR_LEN, n);
}

START_TEST(icmp_errors_follow_the_flow_that_they_quote)
{
	for (unsigned i = 0; i < 32; i++) {
		uint16_t port = (uint16_t)(40000 + 2 * i);

		quote4(6, 80, port, 28); /* RFC 792: header and eight bytes */
		GOES(ICMP_ERROR, owner(PEER4, port, US4, 80, 6));
		quote4(17, 53, port, 48);
		GOES(ICMP_ERROR, owner(PEER4, port, US4, 53, 17));
		quote6(6, 80, port, 60);
		GOES(ICMP_ERROR, owner(PEER6, port, US6, 80, 6));
	}
	quote4(1, 0, 0, 28);
	GOES(ICMP_ERROR, owner(PEER4, 0, US4, 0, 1));
}
END_TEST

START_TEST(errors_that_quote_too_little_go_by_addresses)
{
	static const uint32_t cut[] = { 0, 1, 19, 20, 23 };

	for (unsigned i = 0; i < sizeof cut / sizeof *cut; i++) {
		quote4(6, 80, 40000, cut[i]);
		GOES(OTHER, owner(PEER4, 0, US4, 0, 1));
		quote6(6, 80, 40000, cut[i] + (cut[i] < 20 ? 0 : 20));
		GOES(OTHER, owner(PEER6, 0, US6, 0, 58));
	}
}
END_TEST

START_TEST(errors_about_a_first_fragment_have_its_ports_later_ones_not)
{
	struct ip4_hdr *inner;
	uint8_t q[28];

	quote4(17, 53, 40000, 28);
	inner = (struct ip4_hdr *)(f->b + 42);
	inner->frag = htons(IP4_MF);
	memcpy(q, inner, sizeof q);
	frame_icmp4(f, 3, q, sizeof q);
	GOES(ICMP_ERROR, owner(PEER4, 40000, US4, 53, 17));
	((struct ip4_hdr *)q)->frag = htons(185);
	frame_icmp4(f, 3, q, sizeof q);
	GOES(OTHER, owner(PEER4, 0, US4, 0, 1));
}
END_TEST

static void fragment4(unsigned offset, bool more, uint32_t payload, uint8_t proto)
{
	static uint8_t data[65536];

	frame_ip4(f, proto, PEER4, US4, data, payload);
	frame_ip4h(f)->frag = htons((uint16_t)(offset / 8 | (more ? IP4_MF : 0)));
	frame_sum4(f);
}

START_TEST(fragments_of_a_datagram_keep_together)
{
	union npp_addr s = frame_addr(PEER4), d = frame_addr(US4);
	unsigned want = npp_hash_frag_iop(&g->prog[0], &s, &d, 17, 77);

	fragment4(0, true, 1480, 17);
	GOES(FRAGMENT, want);
	ck_assert_uint_eq(v.csum, NPP_CSUM_NONE);
	fragment4(1480, true, 8, 17);
	GOES(FRAGMENT, want);
	fragment4(1488, false, 1, 17);
	GOES(FRAGMENT, want);
	fragment4(65512, false, 3, 17); /* the last byte that fits */
	GOES(FRAGMENT, want);
}
END_TEST

START_TEST(fragment_bounds_are_checked)
{
	fragment4(0, true, 1481, 17);
	DROPS(FRAGMENT);
	fragment4(0, true, 0, 17);
	DROPS(FRAGMENT);
	fragment4(8, false, 0, 17);
	DROPS(FRAGMENT);
	fragment4(65512, false, 4, 17);
	DROPS(FRAGMENT);
	fragment4(65528, true, 1480, 17);
	DROPS(FRAGMENT);
	fragment4(8, false, 100, 6); /* onto the TCP flags */
	DROPS(FRAGMENT);
	fragment4(8, false, 100, 17);
	f->v.gso_type = VNET_GSO_UDP;
	f->v.gso_size = htons(1480);
	DROPS(VNET);
}
END_TEST

/* A fragment header, then N bytes. */
static void fragment6(unsigned offset, bool more, uint32_t id, uint32_t n)
{
	static uint8_t m[65600];
	uint16_t field = htons((uint16_t)(offset | more));

	m[0] = 17;
	memcpy(m + 2, &field, 2);
	id = htonl(id);
	memcpy(m + 4, &id, 4);
	frame_ip6(f, 44, PEER6, US6, m, 8 + n);
}

START_TEST(fragments_of_ipv6_by_its_fragment_header)
{
	union npp_addr s = frame_addr(PEER6), d = frame_addr(US6);

	for (uint32_t id = 0; id < 5; id++) {
		unsigned want = npp_hash_frag_iop(&g->prog[0], &s, &d, 44, id << 17);

		fragment6(0, true, id << 17, 1448);
		GOES(FRAGMENT, want);
		fragment6(1448, false, id << 17, 3);
		GOES(FRAGMENT, want);
	}
	fragment6(0, true, 1, 1447);
	DROPS(FRAGMENT);
	fragment6(8, false, 1, 0);
	DROPS(FRAGMENT);
	fragment6(65528, false, 1, 8);
	DROPS(FRAGMENT);
	fragment6(65528, false, 1, 7);
	GOES(FRAGMENT, npp_hash_frag_iop(&g->prog[0], &s, &d, 44, 1));
}
END_TEST

/* Extension headers CHAIN (its first byte: the next header after it) before a UDP datagram. */
static void extended(uint8_t first, const uint8_t *chain, uint32_t len)
{
	uint8_t m[512];
	uint32_t n;

	memcpy(m, chain, len);
	n = l4_make(m + len, 17, PEER6, US6, 40002, 53, 9);
	frame_ip6(f, first, PEER6, US6, m, len + n);
}

START_TEST(extension_headers_are_walked_within_bounds)
{
	static const uint8_t hop[8] = { 17, 0 }, dst2[24] = { 43, 1, [16] = 17, 0 };
	static const uint8_t atomic[8] = { 17, 0 }, auth[16] = { 17, 2 }, huge[8] = { 17, 255 };
	static const uint8_t late_hop[16] = { 0, 0, [8] = 17 };
	uint8_t many[80] = { 0 };
	unsigned want = owner(PEER6, 40002, US6, 53, 17);

	extended(0, hop, sizeof hop);
	GOES(UDP, want);
	ck_assert_uint_eq(v.l4_off, 62);
	extended(60, dst2, sizeof dst2);
	GOES(UDP, want);
	extended(44, atomic, sizeof atomic);
	GOES(UDP, want);
	extended(51, auth, sizeof auth);
	GOES(UDP, want);
	extended(60, huge, sizeof huge);
	DROPS(IP_HEADER);
	extended(60, late_hop, sizeof late_hop);
	DROPS(IP_HEADER);
	for (unsigned i = 0; i < 9; i++)
		many[i * 8] = 60;
	many[72] = 17;
	extended(60, many, 80);
	DROPS(IP_HEADER);
	frame_ip6(f, 60, PEER6, US6, hop, 7);
	DROPS(IP_HEADER);
}
END_TEST

START_TEST(every_cut_of_a_frame_is_short_or_lies)
{
	for (int six = 0; six < 2; six++) {
		uint32_t head = six ? 54 : 34, full;

		(six ? frame_flow6 : frame_flow4)(f, 6, 1000, 80, 30);
		full = f->len;
		for (f->len = 0; f->len < full; f->len++) {
			ck_assert(!run());
			ck_assert_uint_eq(v.drop, f->len < head ? NPP_DS_DROP_SHORT : NPP_DS_DROP_IP_HEADER);
		}
	}
}
END_TEST

START_TEST(only_our_ethernet_address_or_groups)
{
	frame_flow4(f, 6, 1000, 80, 0);
	f->b[5] ^= 1;
	DROPS(MAC);
	memset(f->b, 0xff, 6);
	ck_assert(run());
	f->b[0] = 0x01;
	ck_assert(run()); /* the IP destination decides */
}
END_TEST

START_TEST(only_arp_and_ip)
{
	static const uint16_t other[] = { 0x8100, 0x88cc, 0x0000, 0x05dc, 0xffff };

	for (unsigned i = 0; i < sizeof other / sizeof *other; i++) {
		frame_flow4(f, 6, 1000, 80, 0);
		f->b[12] = (uint8_t)(other[i] >> 8);
		f->b[13] = (uint8_t)other[i];
		DROPS(ETHERTYPE);
	}
}
END_TEST

START_TEST(the_version_agrees_with_the_ethertype)
{
	frame_flow4(f, 6, 1000, 80, 0);
	f->b[12] = 0x86;
	f->b[13] = 0xdd;
	DROPS(IP_VERSION);
	frame_flow6(f, 6, 1000, 80, 0);
	f->b[12] = 0x08;
	f->b[13] = 0x00;
	DROPS(IP_VERSION);
}
END_TEST

START_TEST(header_and_total_length_must_fit)
{
	frame_flow4(f, 6, 1000, 80, 0);
	frame_ip4h(f)->vhl = 0x44;
	frame_sum4(f);
	DROPS(IP_HEADER);
	frame_ip4h(f)->vhl = 0x4f; /* more than the datagram has */
	DROPS(IP_HEADER);
	frame_flow4(f, 6, 1000, 80, 0);
	frame_ip4h(f)->len = htons(41);
	frame_sum4(f);
	DROPS(IP_HEADER);
	frame_ip4h(f)->len = htons(19);
	frame_sum4(f);
	DROPS(IP_HEADER);
	frame_flow6(f, 6, 1000, 80, 0);
	frame_ip6h(f)->plen = htons(21);
	DROPS(IP_HEADER);
}
END_TEST

START_TEST(the_ip_checksum_is_verified_whatever_the_port_says)
{
	frame_flow4(f, 6, 1000, 80, 0);
	frame_ip4h(f)->ttl++;
	DROPS(IP_CSUM);
	f->v.flags = VNET_F_DATA_VALID;
	DROPS(IP_CSUM);
}
END_TEST

static bool to4(const char *dst)
{
	uint8_t l4[64];

	frame_ip4(f, 17, PEER4, dst, l4, l4_make(l4, 17, PEER4, dst, 1000, 53, 4));
	if (run())
		return true;
	ck_assert_uint_eq(v.drop, NPP_DS_DROP_IP_DST);
	return false;
}

static bool to6(const char *dst)
{
	uint8_t l4[64];

	frame_ip6(f, 17, PEER6, dst, l4, l4_make(l4, 17, PEER6, dst, 1000, 53, 4));
	if (run())
		return true;
	ck_assert_uint_eq(v.drop, NPP_DS_DROP_IP_DST);
	return false;
}

START_TEST(destinations_that_we_answer_to)
{
	ck_assert(to4(US4) && to4("192.168.7.1") && to4("255.255.255.255"));
	ck_assert(to4("10.0.0.255") && to4("192.168.255.255") && to4("224.0.0.1"));
	ck_assert(!to4("10.0.0.2") && !to4("0.0.0.0") && !to4("127.0.0.1") && !to4("224.0.0.251"));
	ck_assert(!to4("10.0.1.255") && !to4("10.0.0.0"));
	ck_assert(to6(US6) && to6("ff02::1") && to6("ff01::1") && to6("ff02::1:ff00:1"));
	ck_assert(!to6("fd00::2") && !to6("::") && !to6("::1") && !to6("ff02::2") && !to6("ff05::1"));
	ck_assert(!to6("ff02::1:ff00:2") && !to6("ff02:1::1"));
	ck_assert(!to6("::ffff:10.0.0.1")); /* ours inside, a lie on the wire */
}
END_TEST

START_TEST(sources_that_cannot_be_one)
{
	static const char *const bad4[] = { "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.1.1",
					    "240.0.0.1", "255.255.255.255", "10.0.0.255", US4 };
	static const char *const bad6[] = { "::", "::1", "ff02::1", "::ffff:10.0.0.9", US6 };
	uint8_t l4[64];

	for (unsigned i = 0; i < sizeof bad4 / sizeof *bad4; i++) {
		frame_ip4(f, 6, bad4[i], US4, l4, l4_make(l4, 6, bad4[i], US4, 1000, 80, 0));
		DROPS(IP_SRC);
	}
	for (unsigned i = 0; i < sizeof bad6 / sizeof *bad6; i++) {
		union npp_addr a = frame_addr(bad6[i]);

		frame_ip6(f, 6, PEER6, US6, l4, l4_make(l4, 6, PEER6, US6, 1000, 80, 0));
		memcpy(frame_ip6h(f)->src, a.b, 16);
		DROPS(IP_SRC);
	}
}
END_TEST

START_TEST(transport_headers_must_be_whole)
{
	static const uint8_t zero[64];
	uint8_t l4[64];

	frame_ip4(f, 6, PEER4, US4, zero, 19);
	DROPS(L4);
	l4_make(l4, 6, PEER4, US4, 1, 2, 0);
	l4[12] = 4 << 4;
	frame_ip4(f, 6, PEER4, US4, l4, 20);
	DROPS(L4);
	l4[12] = 6 << 4;
	frame_ip4(f, 6, PEER4, US4, l4, 20);
	DROPS(L4);
	frame_ip4(f, 17, PEER4, US4, zero, 7);
	DROPS(L4);
	frame_ip4(f, 17, PEER4, US4, zero, 8); /* UDP length 0 */
	DROPS(L4);
	frame_flow4(f, 17, 1, 2, 10);
	f->b[39] = 19;
	DROPS(L4);
	frame_ip4(f, 1, PEER4, US4, zero, 7);
	DROPS(L4);
	frame_ip6(f, 58, PEER6, US6, zero, 7);
	DROPS(L4);
	frame_ip6(f, 6, PEER6, US6, zero, 0);
	DROPS(L4);
}
END_TEST

START_TEST(wrong_transport_checksums_are_found)
{
	frame_flow4(f, 6, 1000, 80, 1001);
	f->b[f->len - 1] ^= 0x80;
	DROPS(L4_CSUM);
	f->v.flags = VNET_F_DATA_VALID;
	GOES(TCP, owner(PEER4, 1000, US4, 80, 6));
	frame_flow4(f, 17, 1000, 80, 9);
	f->b[f->len - 1] ^= 1;
	DROPS(L4_CSUM);
	f->b[40] = f->b[41] = 0; /* none made */
	ck_assert(run());
	frame_flow6(f, 17, 1000, 80, 9);
	f->b[60] = f->b[61] = 0; /* IPv6 must make one */
	DROPS(L4_CSUM);
	frame_icmp4(f, 8, "hello", 5);
	f->b[43] ^= 1;
	DROPS(L4_CSUM);
	frame_icmp6(f, 128, "hello", 5);
	f->b[63] ^= 1;
	DROPS(L4_CSUM);
}
END_TEST

START_TEST(a_partial_checksum_is_trusted_where_it_says_the_truth)
{
	frame_flow4(f, 6, 1000, 80, 3000);
	f->b[50] ^= 0xff; /* the field holds the pseudo header only */
	f->v = (struct vnet_hdr){ .flags = VNET_F_NEEDS_CSUM, .gso_type = VNET_GSO_TCPV4, .gso_size = 1448,
				  .csum_start = 34, .csum_offset = 16 };
	GOES(TCP, owner(PEER4, 1000, US4, 80, 6));
	ck_assert_uint_eq(v.csum, NPP_CSUM_OK);
	f->v.csum_offset = 6;
	DROPS(VNET);
	f->v.csum_offset = 16;
	f->v.csum_start = 35;
	DROPS(VNET);
	f->v.csum_start = 0xffff;
	DROPS(VNET);
	f->v.csum_start = 0;
	DROPS(VNET);
}
END_TEST

START_TEST(gso_types_agree_with_the_packet)
{
	static const uint8_t wrong[] = { VNET_GSO_TCPV6, VNET_GSO_UDP_L4, VNET_GSO_UDP, 2, 6, 0x7f };

	for (unsigned i = 0; i < sizeof wrong; i++) {
		frame_flow4(f, 6, 1000, 80, 3000);
		f->v.gso_type = wrong[i];
		f->v.gso_size = 1448;
		DROPS(VNET);
	}
	f->v.gso_type = VNET_GSO_TCPV4 | VNET_GSO_ECN;
	ck_assert(run());
	f->v.gso_size = 0;
	DROPS(VNET);
	frame_flow6(f, 6, 1000, 80, 3000);
	f->v.gso_type = VNET_GSO_TCPV6;
	f->v.gso_size = 1428;
	ck_assert(run());
	frame_flow4(f, 17, 1000, 80, 3000);
	f->v.gso_type = VNET_GSO_UDP_L4;
	f->v.gso_size = 1472;
	ck_assert(run());
}
END_TEST

START_TEST(nobody_gets_the_frames_of_an_iop_that_is_down)
{
	unsigned iop = owner(PEER4, 1000, US4, 80, 6);

	frame_flow4(f, 6, 1000, 80, 0);
	g->iop_up &= ~(1u << iop);
	DROPS(IOP_DOWN);
	g->iop_up |= 1u << iop;
	GOES(TCP, iop);
	g->link_iop = 99;
	frame_arp(f);
	DROPS(IOP_DOWN);
}
END_TEST

START_TEST(changes_of_addresses_and_program_are_seen_at_the_next_batch)
{
	frame_flow4(f, 6, 1000, 80, 0);
	g->net_seq = 1; /* nppd writes */
	g->n_addrs = 0;
	dispatch_ctx_refresh(&c);
	ck_assert(run());
	g->net_seq = 2;
	dispatch_ctx_refresh(&c);
	DROPS(IP_DST);
	g->n_addrs = 1000; /* bounded */
	g->net_seq = 4;
	dispatch_ctx_refresh(&c);
	ck_assert(run());
	npp_hash_prog_default(&g->prog[1], N);
	memset(g->prog[1].indir, 3, sizeof g->prog[1].indir);
	g->prog_active = 1;
	dispatch_ctx_refresh(&c);
	GOES(TCP, 3);
}
END_TEST

/* Who has joined counts on what comes from then on, also in the middle of a batch. */
START_TEST(a_group_is_let_in_as_soon_as_it_is_joined)
{
	for (int six = 0; six < 2; six++) {
		uint8_t l4[64];
		uint32_t n = six ? l4_make(l4, 17, PEER6, "ff15::77", 1000, 80, 10) :
				   l4_make(l4, 17, PEER4, "239.1.2.3", 1000, 80, 10);

		if (six)
			frame_ip6(f, 17, PEER6, "ff15::77", l4, n);
		else
			frame_ip4(f, 17, PEER4, "239.1.2.3", l4, n);
		DROPS(IP_DST);
		g->group_seq++;
		g->groups.addr[g->groups.n++] = frame_addr(six ? "ff15::77" : "239.1.2.3");
		DROPS(IP_DST); /* nppd is writing */
		g->group_seq++;
		ck_assert(run());
		dispatch_ctx_refresh(&c);
		ck_assert(run());
	}
	g->group_seq += 2;
	g->groups.n = 0;
	dispatch_ctx_refresh(&c);
	DROPS(IP_DST);
}
END_TEST

START_TEST(an_npp_without_iops_is_refused)
{
	g->n_iops = 0;
	ck_assert_int_lt(dispatch_ctx_init(&c, g, 0), 0);
	g->n_iops = 33;
	ck_assert_int_lt(dispatch_ctx_init(&c, g, 0), 0);
	g->n_iops = 32;
	ck_assert_int_lt(dispatch_ctx_init(&c, g, NPP_MAX_PORTS), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dispatch/classify");
	TCase *t = tcase_create("classify");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, flows_go_to_the_owner_of_their_hash);
	tcase_add_test(t, padding_behind_the_datagram_is_allowed);
	tcase_add_test(t, arp_goes_to_the_link_role);
	tcase_add_test(t, neighbour_discovery_goes_to_the_link_role);
	tcase_add_test(t, an_address_under_test_may_ask_from_nowhere);
	tcase_add_test(t, echo_goes_by_addresses);
	tcase_add_test(t, icmp_errors_follow_the_flow_that_they_quote);
	tcase_add_test(t, errors_that_quote_too_little_go_by_addresses);
	tcase_add_test(t, errors_about_a_first_fragment_have_its_ports_later_ones_not);
	tcase_add_test(t, fragments_of_a_datagram_keep_together);
	tcase_add_test(t, fragment_bounds_are_checked);
	tcase_add_test(t, fragments_of_ipv6_by_its_fragment_header);
	tcase_add_test(t, extension_headers_are_walked_within_bounds);
	tcase_add_test(t, every_cut_of_a_frame_is_short_or_lies);
	tcase_add_test(t, only_our_ethernet_address_or_groups);
	tcase_add_test(t, only_arp_and_ip);
	tcase_add_test(t, the_version_agrees_with_the_ethertype);
	tcase_add_test(t, header_and_total_length_must_fit);
	tcase_add_test(t, the_ip_checksum_is_verified_whatever_the_port_says);
	tcase_add_test(t, destinations_that_we_answer_to);
	tcase_add_test(t, sources_that_cannot_be_one);
	tcase_add_test(t, transport_headers_must_be_whole);
	tcase_add_test(t, wrong_transport_checksums_are_found);
	tcase_add_test(t, a_partial_checksum_is_trusted_where_it_says_the_truth);
	tcase_add_test(t, gso_types_agree_with_the_packet);
	tcase_add_test(t, nobody_gets_the_frames_of_an_iop_that_is_down);
	tcase_add_test(t, changes_of_addresses_and_program_are_seen_at_the_next_batch);
	tcase_add_test(t, a_group_is_let_in_as_soon_as_it_is_joined);
	tcase_add_test(t, an_npp_without_iops_is_refused);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
