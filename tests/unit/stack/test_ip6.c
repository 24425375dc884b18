/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_ip6.c - IPv6: headers, neighbour discovery, ICMPv6, fragments
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

#define PORT 7000
#define US "fd00::1"
#define PEER "fd00::64"
#define LOCAL "fe80::1"

static struct rig *r;
static struct rig_pkt p;

static union npp_addr addr(const char *text)
{
	union npp_addr a;

	ck_assert_int_eq(npp_addr_parse(text, &a), 0);
	return a;
}

static void bind_all(void)
{
	for (unsigned i = 0; i < r->n; i++) {
		struct udp_endpoint t = { .lport = PORT };
		int err;

		ck_assert_ptr_nonnull(stack_udp_bind(r->node[i].s, &t, &err));
	}
}

static void add_addr(const char *text)
{
	struct npp_global *g = r->g;

	g->addr[g->n_addrs++] = (struct npp_if_addr){ .addr = addr(text), .prefix_len = 64, .port = 0 };
}

static void setup(void)
{
	r = rig_new(2);
	add_addr(US);
	add_addr(LOCAL);
	r->g->route[r->g->n_routes++] = (struct npp_route){ .via = addr("fe80::fe") };
	atomic_store(&r->g->net_seq, 4);
	rig_advance(r, 4000000); /* announcements */
	rig_forget(r);
	bind_all();
}
static void teardown(void) { rig_free(r); }

/* ---- frames ------------------------------------------------------------------------ */

static const uint8_t *mac_for(const char *dst, uint8_t *buf)
{
	union npp_addr a = addr(dst);

	if (a.b[0] != 0xff)
		return rig_mac;
	buf[0] = buf[1] = 0x33;
	memcpy(buf + 2, a.b + 12, 4);
	return buf;
}

static void begin(const char *src, const char *dst, uint8_t next)
{
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .next = next, .hops = 255 };
	union npp_addr s = addr(src), d = addr(dst);
	uint8_t mac[6];

	rig_eth(&p, mac_for(dst, mac), rig_peer_mac, ETH_P_IP6);
	memcpy(h.src, s.b, 16);
	memcpy(h.dst, d.b, 16);
	rig_put(&p, &h, sizeof h);
	p.l4 = p.len;
}

static void length(void)
{
	uint16_t n = htons((uint16_t)(p.len - 54));

	memcpy(p.b + 14 + 4, &n, 2);
}

/* The transport header begins at p.l4 and is of PROTO. */
static void finish(uint8_t proto, unsigned csum_off)
{
	const struct ip6_hdr_w *h = (const struct ip6_hdr_w *)(p.b + 14);
	union npp_addr s, d;
	uint16_t sum;

	length();
	memcpy(s.b, h->src, 16);
	memcpy(d.b, h->dst, 16);
	memset(p.b + p.l4 + csum_off, 0, 2);
	sum = npp_csum_finish(npp_csum_add(p.b + p.l4, p.len - p.l4, npp_csum_pseudo(&s, &d, proto, p.len - p.l4)));
	memcpy(p.b + p.l4 + csum_off, &sum, 2);
}

static void put_udp(uint16_t sport, uint16_t dport, uint32_t len)
{
	struct udp_hdr u = { htons(sport), htons(dport), htons((uint16_t)(8 + len)), 0 };

	p.l4 = p.len;
	rig_put(&p, &u, sizeof u);
	rig_put_pattern(&p, 0, len);
	finish(17, 6);
}

static void put_icmp(uint8_t type, uint8_t code, uint32_t rest, const void *data, uint32_t len)
{
	struct icmp4_hdr h = { .type = type, .code = code, .rest = htonl(rest) };

	p.l4 = p.len;
	rig_put(&p, &h, sizeof h);
	rig_put(&p, data, len);
	finish(58, 2);
}

/* Solicitation or advertisement with the option OPT (0: none). */
static void nd(const char *src, const char *dst, uint8_t type, uint32_t flags, const char *target, uint8_t opt,
	       const uint8_t *mac)
{
	uint8_t body[24] = { 0 };
	union npp_addr t = addr(target);

	memcpy(body, t.b, 16);
	body[16] = opt;
	body[17] = 1;
	if (mac)
		memcpy(body + 18, mac, 6);
	begin(src, dst, 58);
	put_icmp(type, 0, flags, body, opt ? 24 : 16);
}

static void know_peer(void)
{
	nd(PEER, "ff02::1:ff00:1", 135, 0, US, 1, rig_peer_mac);
	rig_in(r, 0, &p);
	rig_run(r);
	rig_forget(r);
}

/* The last frame, which is of protocol NEXT. */
static const uint8_t *sent(uint8_t next)
{
	const struct ip6_hdr_w *h;

	ck_assert_uint_gt(r->n_frames, 0);
	h = rig_ip6(rig_last(r));
	ck_assert_ptr_nonnull(h);
	ck_assert_uint_eq(h->next, next);
	return (const uint8_t *)(h + 1);
}

static void expect_drop(unsigned id)
{
	uint64_t before = rig_stat(r, 0, id);

	rig_in(r, 0, &p);
	ck_assert_uint_eq(rig_stat(r, 0, id), before + 1);
	ck_assert_uint_eq(r->n_dgrams, 0);
}

static unsigned arrived(void)
{
	for (unsigned i = 0; i < r->n; i++)
		rig_in(r, i, &p);
	rig_run(r);
	return r->n_dgrams;
}

/* ---- headers ----------------------------------------------------------------------------- */

START_TEST(a_sound_datagram_arrives_once_wherever_it_lands)
{
	begin(PEER, US, 17);
	put_udp(1234, PORT, 64);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(r->n_dgrams, 1);
	rig_in(r, 1, &p);
	rig_run(r);
	ck_assert_uint_eq(r->n_dgrams, 2);
	ck_assert_uint_eq(r->dgram[0].iop, r->dgram[1].iop);
	ck_assert_uint_eq(r->dgram[1].d.len, 64);
}
END_TEST

START_TEST(lengths_that_lie_are_counted)
{
	for (uint32_t len = 14; len < 14 + 40 + 8 + 64; len++) {
		begin(PEER, US, 17);
		put_udp(1, PORT, 64);
		p.len = len;
		expect_drop(NPP_IS_DROP_FRAME);
	}
	begin(PEER, US, 17);
	put_udp(1, PORT, 64);
	p.b[14] = 0x45;
	expect_drop(NPP_IS_DROP_FRAME);
}
END_TEST

START_TEST(addresses_that_cannot_be_are_counted)
{
	static const char *const src[] = { "::", "::1", "ff02::1", "::ffff:10.0.0.1", US };
	static const char *const dst[] = { "::1", "fd00::2", "ff02::5", "::ffff:10.0.0.1", "fe80::2" };

	for (unsigned i = 0; i < 5; i++) {
		begin(src[i], US, 17);
		put_udp(1, PORT, 4);
		expect_drop(NPP_IS_DROP_IP_SRC);
	}
	for (unsigned i = 0; i < 5; i++) {
		if (i == 2)
			continue; /* a group: nobody listens there */
		begin(PEER, dst[i], 17);
		put_udp(1, PORT, 4);
		expect_drop(NPP_IS_DROP_IP_DST);
	}
}
END_TEST

START_TEST(udp_without_a_checksum_is_refused)
{
	begin(PEER, US, 17);
	put_udp(1, PORT, 64);
	memset(p.b + p.l4 + 6, 0, 2);
	expect_drop(NPP_IS_DROP_CSUM);
}
END_TEST

/* ---- extension headers --------------------------------------------------------------------- */

static void put_ext(uint8_t next, uint8_t units, const void *body, uint32_t len)
{
	uint8_t h[2] = { next, units };

	rig_put(&p, h, 2);
	rig_put(&p, body, len);
}

START_TEST(headers_are_walked_and_padding_is_skipped)
{
	static const uint8_t pad[6] = { 1, 4 }, alert[6] = { 5, 2, 0, 0, 0, 0 }, rh[6] = { 4, 0 };

	begin(PEER, US, 0);
	put_ext(43, 0, alert, 6);
	put_ext(60, 0, rh, 6);
	put_ext(17, 0, pad, 6);
	put_udp(1, PORT, 10);
	ck_assert_uint_ge(arrived(), 1);
}
END_TEST

START_TEST(too_many_headers_are_refused)
{
	static const uint8_t pad[6] = { 1, 4 };

	for (unsigned n = IP6_EXT_HEADERS; n <= IP6_EXT_HEADERS + 1; n++) {
		begin(PEER, US, 60);
		for (unsigned i = 0; i < n; i++)
			put_ext(i + 1 < n ? 60 : 17, 0, pad, 6);
		put_udp(1, PORT, 10);
		if (n > IP6_EXT_HEADERS)
			expect_drop(NPP_IS_DROP_IP_OPTIONS);
		else
			ck_assert_uint_ge(arrived(), 1);
		rig_forget(r);
	}
}
END_TEST

START_TEST(too_many_bytes_of_headers_or_options_are_refused)
{
	uint8_t big[256 * 8] = { 0 };	/* Pad1 all over */

	begin(PEER, US, 60);
	put_ext(17, IP6_EXT_BYTES / 8, big, IP6_EXT_BYTES + 8 - 2);
	put_udp(1, PORT, 10);
	expect_drop(NPP_IS_DROP_IP_OPTIONS);
	begin(PEER, US, 60);
	put_ext(17, 2, big, 3 * 8 - 2);
	put_udp(1, PORT, 10);
	expect_drop(NPP_IS_DROP_IP_OPTIONS);
}
END_TEST

START_TEST(headers_beyond_the_end_are_refused)
{
	uint8_t h[8] = { 17, 4 };

	begin(PEER, US, 60);
	rig_put(&p, h, 8);
	length();
	expect_drop(NPP_IS_DROP_IP_OPTIONS);
	begin(PEER, US, 60);
	rig_put(&p, h, 4);
	length();
	expect_drop(NPP_IS_DROP_IP_OPTIONS);
	begin(PEER, US, 60);	/* hop-by-hop options stand first or not at all */
	put_ext(0, 0, "\1\4\0\0\0\0", 6);
	put_ext(17, 0, "\1\4\0\0\0\0", 6);
	put_udp(1, PORT, 10);
	expect_drop(NPP_IS_DROP_IP_OPTIONS);
}
END_TEST

START_TEST(unknown_options_do_what_their_number_says)
{
	static const struct { uint8_t type; const char *dst; bool arrives, answered; } row[] = {
		{ 0x1e, US, true, false }, { 0x5e, US, false, false }, { 0x9e, US, false, true },
		{ 0xde, US, false, true }, { 0xde, "ff02::1", false, false }, { 0x9e, "ff02::1", false, true },
	};

	know_peer();
	for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
		uint8_t opt[6] = { row[i].type, 4 };

		begin(PEER, row[i].dst, 60);
		put_ext(17, 0, opt, 6);
		put_udp(1, PORT, 10);
		rig_in(r, 0, &p);
		rig_run(r);
		ck_assert_uint_eq(r->n_dgrams, row[i].arrives);
		ck_assert_uint_eq(r->n_frames, row[i].answered);
		if (row[i].answered) {
			const uint8_t *m = sent(58);

			ck_assert_uint_eq(m[0], 4);
			ck_assert_uint_eq(m[1], 2);
			ck_assert_uint_eq(m[7], 42); /* pointer to the option */
		}
		rig_forget(r);
	}
}
END_TEST

START_TEST(a_source_route_or_an_unknown_protocol_is_answered)
{
	static const uint8_t rh0[6] = { 0, 1 };

	know_peer();
	begin(PEER, US, 43);
	put_ext(17, 0, rh0, 6);
	put_udp(1, PORT, 10);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(sent(58)[0], 4);
	ck_assert_uint_eq(r->n_dgrams, 0);
	rig_forget(r);
	begin(PEER, US, 200);
	rig_put_pattern(&p, 0, 20);
	length();
	rig_in(r, 0, &p);
	ck_assert_uint_eq(sent(58)[0], 4);
	ck_assert_uint_eq(sent(58)[1], 1);
	ck_assert_uint_eq(sent(58)[7], 6);
}
END_TEST

/* ---- neighbour discovery --------------------------------------------------------------------- */

START_TEST(a_solicitation_is_answered_and_its_sender_learned)
{
	struct neigh_view v;
	union npp_addr peer = addr(PEER);

	nd(PEER, "ff02::1:ff00:1", 135, 0, US, 1, rig_peer_mac);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(sent(58)[0], 136);
	ck_assert_uint_eq(sent(58)[4], 0x60);
	ck_assert_uint_eq(rig_ip6(rig_last(r))->hops, 255);
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_int_eq(v.state, NPP_NEIGH_REACHABLE);
	ck_assert_mem_eq(v.mac, rig_peer_mac, 6);
}
END_TEST

START_TEST(discovery_from_beyond_a_router_or_without_sense_is_dropped)
{
	for (int i = 0; i < 6; i++) {
		nd(PEER, "ff02::1:ff00:1", 135, 0, i == 4 ? "ff02::1" : US, 1, rig_peer_mac);
		switch (i) {
		case 0: p.b[14 + 7] = 254; break;
		case 1: p.b[p.l4 + 1] = 1; finish(58, 2); break;
		case 2: p.b[p.l4 + 25] = 0; finish(58, 2); break;	/* an option without length */
		case 3: p.b[p.l4 + 25] = 9; finish(58, 2); break;
		case 5: p.len -= 16; finish(58, 2); break;
		}
		expect_drop(NPP_IS_DROP_ND);
		ck_assert_uint_eq(r->n_frames, 0);
	}
	nd(PEER, "ff02::1", 136, 0x40000000, PEER, 2, rig_peer_mac); /* solicited, to all */
	expect_drop(NPP_IS_DROP_ND);
}
END_TEST

START_TEST(an_advertisement_that_nobody_asked_for_teaches_nothing)
{
	struct neigh_view v;
	union npp_addr peer = addr(PEER);

	nd(PEER, US, 136, 0x60000000, PEER, 2, rig_peer_mac);
	rig_in(r, 0, &p);
	ck_assert(!neigh_lookup(r->node[0].s, &peer, 0, &v) || v.state == NPP_NEIGH_NONE);
}
END_TEST

static int send_to(unsigned iop, const char *dst, uint32_t len)
{
	static uint8_t data[65536];
	struct npp_dgram d = { .len = len, .port = 99, .addr = addr(dst) };
	struct stack_slice s = { data, len };

	return stack_udp_send(r->node[iop].s, stack_udp(r->node[iop].s, 0), &d, &s, 1, 0);
}

START_TEST(a_frame_waits_for_its_neighbour_on_any_iop)
{
	for (unsigned iop = 0; iop < 2; iop++) {
		ck_assert_int_eq(send_to(iop, PEER, 10), 0);
		rig_run(r);
	}
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(sent(58)[0], 135);
	ck_assert_uint_eq(r->frame[0].data[0], 0x33);
	nd(PEER, US, 136, 0x60000000, PEER, 2, rig_peer_mac);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 3);
	sent(17);
	ck_assert_mem_eq(rig_last(r)->data, rig_peer_mac, 6);
}
END_TEST

START_TEST(a_silent_neighbour_fails_after_three_questions)
{
	ck_assert_int_eq(send_to(0, PEER, 10), 0);
	rig_advance(r, 5000000);
	ck_assert_uint_eq(r->n_frames, 3);
	ck_assert_uint_ge(rig_stat(r, 0, NPP_IS_DROP_NEIGH_FAILED), 1);
}
END_TEST

START_TEST(an_old_neighbour_is_probed_alone_then_by_all)
{
	know_peer();
	rig_advance(r, 40000000);
	ck_assert_int_eq(send_to(0, PEER, 10), 0);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 2);	/* the datagram does not wait */
	ck_assert_mem_eq(r->frame[0].data, rig_peer_mac, 6);
	rig_advance(r, 6000000);
	ck_assert_uint_eq(r->n_frames, 1 + 2 + 3);
	ck_assert_uint_eq(rig_last(r)->data[0], 0x33);
}
END_TEST

START_TEST(a_live_neighbour_is_not_taken_over)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 0, 0x66 };
	struct neigh_view v;
	union npp_addr peer = addr(PEER);

	know_peer();
	nd(PEER, US, 136, 0x20000000, PEER, 2, other);
	rig_in(r, 0, &p);
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_mem_eq(v.mac, rig_peer_mac, 6);
	ck_assert_uint_eq(r->n_frames, 1);	/* the one we know is asked */
	ck_assert_mem_eq(rig_last(r)->data, rig_peer_mac, 6);
	ck_assert_uint_ge(rig_stat(r, 0, NPP_IS_ARP_CONFLICTS), 1);
}
END_TEST

START_TEST(an_address_of_ours_is_defended)
{
	nd("::", "ff02::1:ff00:1", 135, 0, US, 0, NULL);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(sent(58)[0], 136);
	ck_assert_uint_eq(rig_ip6(rig_last(r))->dst[0], 0xff);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 1);	/* once in a while */
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ARP_CONFLICTS), 2);
}
END_TEST

START_TEST(beyond_the_link_goes_to_the_router_from_a_global_address)
{
	union npp_addr us = addr(US);

	ck_assert_int_eq(send_to(0, "2001:db8::1", 10), 0);
	rig_run(r);
	ck_assert_uint_eq(sent(58)[0], 135);
	ck_assert_uint_eq(sent(58)[8 + 15], 0xfe);
	nd("fe80::fe", LOCAL, 136, 0xe0000000, "fe80::fe", 2, rig_gw_mac);
	rig_in(r, 0, &p);
	rig_run(r);
	sent(17);
	ck_assert_mem_eq(rig_ip6(rig_last(r))->src, us.b, 16);
	ck_assert_mem_eq(rig_last(r)->data, rig_gw_mac, 6);
}
END_TEST

/* ---- ICMPv6 ------------------------------------------------------------------------------------ */

START_TEST(echo_is_answered_also_for_a_group)
{
	know_peer();
	begin(PEER, US, 58);
	put_icmp(128, 0, 0x12340001, "abcdefgh", 8);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(sent(58)[0], 129);
	begin(PEER, "ff02::1", 58);
	put_icmp(128, 0, 0x12340002, "abcdefgh", 8);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 2);
	ck_assert_uint_eq(rig_ip6(rig_last(r))->src[0], 0xfd);
}
END_TEST

START_TEST(errors_are_limited_and_never_answer_errors)
{
	know_peer();
	for (unsigned i = 0; i < 3 * ICMP_BURST; i++) {
		begin(PEER, US, 17);
		put_udp((uint16_t)(i + 1), PORT + 1, 4);
		rig_in(r, 0, &p);
	}
	rig_run(r);
	ck_assert_uint_le(r->n_frames, 2 * ICMP_BURST);
	ck_assert_uint_ge(rig_stat(r, 0, NPP_IS_DROP_ICMP_RATE), 1);
	rig_advance(r, 1000000);
	rig_forget(r);
	begin(PEER, US, 60);	/* an error with an option that must be complained about */
	put_ext(58, 0, "\x9e\4\0\0\0\0", 6);
	put_icmp(1, 4, 0, "", 0);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

/* A message that a packet of ours from IOP 0 to PEER was too large for MTU. */
static void too_big(uint32_t mtu, uint16_t sport)
{
	struct { struct ip6_hdr_w h; struct udp_hdr u; } q = {
		.h = { .vtf = htonl(6u << 28), .plen = htons(1008), .next = 17, .hops = 64 },
		.u = { htons(sport), htons(99), htons(1008), 0 }
	};
	union npp_addr us = addr(US), peer = addr(PEER);

	memcpy(q.h.src, us.b, 16);
	memcpy(q.h.dst, peer.b, 16);
	begin("fe80::fe", US, 58);
	put_icmp(2, 0, mtu, &q, sizeof q);
}

START_TEST(packet_too_big_counts_only_for_what_we_sent)
{
	struct neigh_view v;
	union npp_addr peer = addr(PEER);

	know_peer();
	too_big(1300, PORT);
	arrived();
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_uint_eq(v.pmtu, 0);	/* nothing was sent there */
	ck_assert_int_eq(send_to(0, PEER, 1400), 0);
	ck_assert_int_eq(send_to(1, PEER, 1400), 0);
	too_big(1279, PORT);
	arrived();
	too_big(1300, PORT + 1);
	arrived();
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_uint_eq(v.pmtu, 0);	/* smaller than any link; another socket's */
	too_big(1300, PORT);
	arrived();
	ck_assert(neigh_lookup(r->node[0].s, &peer, 0, &v));
	ck_assert_uint_eq(v.pmtu, 1300);
	rig_forget(r);
	ck_assert_int_eq(send_to(0, PEER, 1400), 0);
	ck_assert_uint_eq(r->n_frames, 2);
	ck_assert_uint_le(r->frame[0].len, 14 + 1300);
}
END_TEST

/* ---- fragments ------------------------------------------------------------------------------------ */

static uint8_t whole[70000];
static uint32_t whole_len;

static void make_whole(uint32_t len)
{
	begin(PEER, US, 17);
	put_udp(1234, PORT, len);
	whole_len = p.len - p.l4;
	memcpy(whole, p.b + p.l4, whole_len);
}

static void fragment(uint32_t off, uint32_t len, bool more, uint32_t id)
{
	struct ip6_frag_hdr f = { .next = 17, .off = htons((uint16_t)(off | more)), .id = htonl(id) };

	begin(PEER, US, 44);
	rig_put(&p, &f, sizeof f);
	rig_put(&p, whole + off, len);
	length();
	rig_in(r, 0, &p);
	rig_run(r);
}

START_TEST(fragments_come_together_in_any_order)
{
	for (unsigned k = 0; k < 3; k++) {
		make_whole(4000);
		for (unsigned i = 0; i < 3; i++) {
			unsigned n = (i + k) % 3;
			uint32_t off = n * 1400, len = n < 2 ? 1400 : whole_len - 2800;

			fragment(off, len, n < 2, 77 + k);
		}
		ck_assert_uint_eq(r->n_dgrams, k + 1);
		ck_assert_uint_eq(r->dgram[k].d.len, 4000);
	}
}
END_TEST

START_TEST(an_overlap_discards_the_datagram)
{
	make_whole(4000);
	fragment(0, 1400, true, 1);
	fragment(1392, 1400, true, 1);
	fragment(1400, 1400, true, 1);
	fragment(2800, whole_len - 2800, false, 1);
	ck_assert_uint_eq(r->n_dgrams, 0);
	ck_assert_uint_ge(rig_stat(r, 0, NPP_IS_DROP_REASS_OVERLAP), 1);
	fragment(0, 1400, true, 2);	/* an exact repetition is none */
	fragment(0, 1400, true, 2);
	fragment(1400, 1400, true, 2);
	fragment(2800, whole_len - 2800, false, 2);
	ck_assert_uint_eq(r->n_dgrams, 1);
}
END_TEST

START_TEST(an_atomic_fragment_is_a_datagram_of_its_own)
{
	make_whole(4000);
	fragment(0, 1400, true, 5);
	make_whole(100);
	fragment(0, whole_len, false, 5);
	ck_assert_uint_eq(r->n_dgrams, 1);
	make_whole(4000);
	fragment(1400, 1400, true, 5);
	fragment(2800, whole_len - 2800, false, 5);
	ck_assert_uint_eq(r->n_dgrams, 2);
}
END_TEST

START_TEST(a_first_fragment_without_its_headers_is_refused)
{
	know_peer();
	make_whole(4000);
	fragment(0, 0, true, 9);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(sent(58)[0], 4);
	ck_assert_uint_eq(sent(58)[1], 3);
	fragment(8, 13, true, 9);	/* not a multiple of eight */
	ck_assert_uint_eq(r->n_frames, 2);
	ck_assert_uint_eq(sent(58)[1], 0);
	fragment(65528, 400, false, 9);
	ck_assert_uint_eq(r->n_frames, 3);
}
END_TEST

START_TEST(what_is_never_complete_is_told_to_its_sender)
{
	know_peer();
	make_whole(4000);
	fragment(0, 1400, true, 11);
	fragment(1400, 1400, true, 12);
	for (unsigned i = 0; i < 4; i++) {	/* the peer stays known */
		rig_advance(r, 10000000);
		if (i < 3)
			know_peer();
	}
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_TIME), 2);
	ck_assert_uint_eq(sent(58)[0], 3);	/* once: of the other the first fragment never came */
	ck_assert_uint_eq(sent(58)[1], 1);
	ck_assert_uint_eq(r->n_frames, 1);
}
END_TEST

START_TEST(a_large_datagram_is_sent_in_fragments)
{
	uint32_t sum = 0, id = 0;

	know_peer();
	ck_assert_int_eq(send_to(0, PEER, 5000), 0);
	ck_assert_uint_eq(r->n_frames, 4);
	for (unsigned i = 0; i < r->n_frames; i++) {
		const struct ip6_hdr_w *h = rig_ip6(&r->frame[i]);
		const struct ip6_frag_hdr *f = (const struct ip6_frag_hdr *)(h + 1);

		ck_assert_uint_eq(h->next, 44);
		ck_assert_uint_eq(f->next, 17);
		ck_assert_uint_eq(ntohs(f->off) & ~7u, sum);
		ck_assert_uint_eq(ntohs(f->off) & 1, i + 1 < r->n_frames);
		if (i)
			ck_assert_uint_eq(f->id, id);
		id = f->id;
		sum += ntohs(h->plen) - 8u;
	}
	ck_assert_uint_eq(sum, 5008);
	ck_assert_int_eq(send_to(0, PEER, 65507), 0);
}
END_TEST

/* ---- advertisements --------------------------------------------------------------------------------- */

static void ra(uint16_t lifetime, uint32_t valid, uint32_t preferred)
{
	uint8_t body[8 + 32] = { [8] = 3, 4, 64, 0xc0 };
	uint32_t v = htonl(valid), w = htonl(preferred);
	union npp_addr prefix = addr("fd00:0:0:99::");

	memcpy(body + 12, &v, 4);
	memcpy(body + 16, &w, 4);
	memcpy(body + 24, prefix.b, 16);
	begin("fe80::fe", "ff02::1", 58);
	put_icmp(134, 0, lifetime, body, sizeof body);
	rig_in(r, 0, &p);
	rig_run(r);
}

START_TEST(advertisements_count_only_where_they_are_wanted)
{
	ra(1800, 7200, 3600);
	ck_assert_uint_eq(r->n_autoconf, 0);
}
END_TEST

START_TEST(what_advertisements_say_ends_in_its_time)
{
	r->g->port[0].flags = NPP_PORT_AUTOCONF;
	ra(1800, 7200, 3600);
	ck_assert_uint_eq(r->n_autoconf, 1);
	ck_assert_uint_eq(r->autoconf.n_addrs, 1);
	ck_assert_uint_eq(r->autoconf.n_routers, 1);
	ck_assert_uint_eq(r->autoconf.addr[0].flags, NPP_ADDR_AUTO);
	ra(1800, 7200, 3600);
	ck_assert_uint_eq(r->n_autoconf, 1);	/* no news */
	for (unsigned i = 0; i < 1810; i++)
		rig_advance(r, 1000000);
	ck_assert_uint_eq(r->autoconf.n_routers, 0);
	ra(0, 60, 30);				/* not below two hours */
	rig_forget(r);
	for (unsigned i = 0; i < 120; i++)
		rig_advance(r, 1000000);
	ck_assert_uint_eq(r->autoconf.n_addrs, 1);
	ck_assert_uint_eq(r->autoconf.addr[0].flags, NPP_ADDR_AUTO | NPP_ADDR_DEPRECATED);
	for (unsigned i = 0; i < 5400; i++)
		rig_advance(r, 1000000);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
}
END_TEST

START_TEST(what_advertisements_say_of_the_link_counts)
{
	uint8_t mtu[16] = { [8] = 5, 1, 0, 0, 0, 0, 0x05, 0x14 }; /* 1300 */

	r->g->port[0].flags = NPP_PORT_AUTOCONF;
	begin("fe80::fe", "ff02::1", 58);
	put_icmp(134, 0, 77u << 24 | 1800, mtu, sizeof mtu);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_eq(r->autoconf.link[0].mtu, 1300);
	ck_assert_uint_eq(r->autoconf.link[0].hops, 77);
	mtu[14] = 4; /* less than IPv6 allows */
	begin("fe80::fe", "ff02::1", 58);
	put_icmp(134, 0, 1800, mtu, sizeof mtu);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->autoconf.link[0].mtu, 1300);
	ck_assert_uint_eq(r->autoconf.link[0].hops, 77); /* not said is no news */
	atomic_store(&r->g->port[0].ra6, NPP_RA6(77, 1300)); /* as nppd does */
	atomic_store(&r->g->net_seq, 6);
	rig_run(r);
	rig_forget(r);
	begin(PEER, US, 58);
	put_icmp(128, 0, 0x12340001, "abcdefgh", 8);
	rig_in(r, 0, &p);
	nd(PEER, "ff02::1:ff00:1", 135, 0, US, 1, rig_peer_mac);
	rig_in(r, 0, &p);
	rig_run(r);
	ck_assert_uint_gt(r->n_frames, 0);
	{
		bool seen = false;

		for (unsigned i = 0; i < r->n_frames; i++)
			seen |= rig_ip6(&r->frame[i]) && rig_ip6(&r->frame[i])->hops == 77;
		ck_assert(seen);
	}
}
END_TEST

/* An advertisement with times in milliseconds. */
static void ra_times(uint32_t reachable, uint32_t retrans)
{
	uint32_t body[2] = { htonl(reachable), htonl(retrans) };

	begin("fe80::fe", "ff02::1", 58);
	put_icmp(134, 0, 1800, body, sizeof body);
	rig_in(r, 0, &p);
	rig_run(r);
	atomic_store(&r->g->port[0].ra6_reachable_ms, r->autoconf.link[0].reachable_ms); /* as nppd does */
	rig_forget(r);
}

START_TEST(advertised_times_count_within_bounds)
{
	uint32_t drawn;

	r->g->port[0].flags = NPP_PORT_AUTOCONF;
	ra_times(8000, 300);
	drawn = r->autoconf.link[0].reachable_ms;
	ck_assert(drawn >= 4000 && drawn <= 12000); /* RFC 4861, 6.3.2 */
	ra_times(8000, 0);
	ck_assert_uint_eq(r->autoconf.link[0].reachable_ms, drawn); /* the same is no news, 0 says nothing */
	know_peer();
	rig_advance(r, (drawn + 400) * 1000ull);
	ck_assert_int_eq(send_to(0, PEER, 10), 0);
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 2);	/* he is asked although 30 s are not over */
	rig_advance(r, 2600000);
	ck_assert_uint_eq(r->n_frames, 1 + 2 + 3); /* all questions within 6 times 300 ms, by ticks of 200 */
	ra_times(1, 1);
	ck_assert_uint_eq(r->autoconf.link[0].reachable_ms, ND_REACHABLE_MIN_MS);
	drawn = r->autoconf.link[0].reachable_ms;
	ra_times(3600001, 0xffffffff);		/* that nobody may send: no news */
	ck_assert_uint_eq(r->autoconf.link[0].reachable_ms, drawn);
	rig_forget(r);
	ck_assert_int_eq(send_to(0, "fd00::65", 10), 0);
	rig_advance(r, 15000000);
	ck_assert_uint_eq(r->n_frames, 2);	/* every ten seconds, not in 49 days */
	ra_times(3600000, 0);
	ck_assert_uint_ge(r->autoconf.link[0].reachable_ms, 1800000);
	ck_assert_uint_le(r->autoconf.link[0].reachable_ms, ND_REACHABLE_MAX_MS);
}
END_TEST

START_TEST(an_address_that_is_somebody_elses_is_given_up)
{
	char text[NPP_ADDR_STRLEN];

	r->g->port[0].flags = NPP_PORT_AUTOCONF;
	ra(1800, 7200, 3600);
	ck_assert_uint_eq(r->autoconf.n_addrs, 1);
	npp_addr_format(&r->autoconf.addr[0].addr, text);
	nd(PEER, "ff02::1", 136, 0x20000000, text, 2, rig_peer_mac);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->autoconf.n_addrs, 0);
	ck_assert_uint_eq(r->autoconf.n_on_link, 1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ACD_DEFENDED), 0);
}
END_TEST

/* ---- anything ------------------------------------------------------------------------------------------- */

static uint32_t rnd_state;

static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 1664525u + 1013904223u;
	return (rnd_state >> 8) % n;
}

static void some_frame(void)
{
	static const uint8_t pad[6] = { 1, 4 };
	uint8_t body[64];

	for (unsigned i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)(rnd(4) ? rnd(4) : rnd(256));
	switch (rnd(7)) {
	case 0: nd(PEER, "ff02::1:ff00:1", 135, 0, US, 1, rig_peer_mac); break;
	case 1: nd(PEER, US, 136, 0x60000000, PEER, 2, rig_peer_mac); break;
	case 2:
		begin("fe80::fe", "ff02::1", 58);
		put_icmp(134, 0, 1800, body, 8 + rnd(7) * 8);
		break;
	case 3: too_big(1280 + rnd(300), PORT); break;
	case 4:
		begin(PEER, US, rnd(2) ? 0 : 60);
		put_ext(60, (uint8_t)rnd(3), body, 6 + 8 * rnd(3));
		put_ext(58, 0, pad, 6);
		put_icmp(128, 0, 1, body, rnd(40));
		break;
	case 5: {
		struct ip6_frag_hdr f = { .next = rnd(2) ? 17 : 60, .off = htons((uint16_t)(rnd(40) * 8 | rnd(2))),
					  .id = rnd(3) };

		begin(PEER, US, 44);
		rig_put(&p, &f, sizeof f);
		rig_put(&p, body, rnd(8) * 8);
		length();
		break;
	}
	default:
		begin(PEER, US, 17);
		put_udp(1, PORT, rnd(100));
	}
}

START_TEST(mutated_frames_do_no_harm)
{
	rnd_state = (uint32_t)_i * 7919u + 1;
	r->lax = true;
	r->g->port[0].flags = NPP_PORT_AUTOCONF;
	for (unsigned n = 0; n < 5000; n++) {
		struct npp_frame_rec rec = { .kind = NPP_REC_FRAME };

		some_frame();
		for (unsigned k = rnd(4); k > 0; k--)
			p.b[14 + rnd(p.len - 14)] = (uint8_t)rnd(256);
		if (rnd(8) == 0)
			p.len = 14 + rnd(p.len - 13);
		if (rnd(2))
			rec.csum = NPP_CSUM_OK;
		rec.len = p.len;
		rig_in_raw(r, rnd(2), &rec, p.b, p.len);
		if (n % 16 == 0)
			rig_advance(r, rnd(3000000));
		if (n % 64 == 0)
			rig_forget(r);
	}
	ck_assert_uint_gt(rig_stat_all(r, NPP_IS_ND_IN), 0);
}
END_TEST

/* ---- wildcards ---------------------------------------------------------------------------------------- */

START_TEST(wildcards_of_the_families_are_kept_apart)
{
	static const struct { const char *addr; uint8_t v6only, v4, v6; } row[] = {
		{ "0.0.0.0", 0, 1, 0 }, { "::", 1, 0, 1 }, { "::", 0, 1, 1 },
	};

	for (unsigned i = 0; i < 3; i++) {
		struct udp_endpoint t = { .laddr = addr(row[i].addr), .lport = (uint16_t)(8000 + i), .v6only = row[i].v6only };
		int err;

		ck_assert_ptr_nonnull(stack_udp_bind(r->node[0].s, &t, &err));
		ck_assert_ptr_nonnull(stack_udp_bind(r->node[1].s, &t, &err));
		begin(PEER, US, 17);
		put_udp(1, t.lport, 4);
		rig_in(r, 0, &p);
		rig_run(r);
		ck_assert_uint_eq(r->n_dgrams, row[i].v6);
		rig_forget(r);
		rig_udp(&p, RIG_PEER, 1, RIG_US, t.lport, 4);
		rig_in(r, 0, &p);
		rig_run(r);
		ck_assert_uint_eq(r->n_dgrams, row[i].v4);
		rig_forget(r);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ip6");
	TCase *tc = tcase_create("ip6");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_sound_datagram_arrives_once_wherever_it_lands);
	tcase_add_test(tc, lengths_that_lie_are_counted);
	tcase_add_test(tc, addresses_that_cannot_be_are_counted);
	tcase_add_test(tc, udp_without_a_checksum_is_refused);
	tcase_add_test(tc, headers_are_walked_and_padding_is_skipped);
	tcase_add_test(tc, too_many_headers_are_refused);
	tcase_add_test(tc, too_many_bytes_of_headers_or_options_are_refused);
	tcase_add_test(tc, headers_beyond_the_end_are_refused);
	tcase_add_test(tc, unknown_options_do_what_their_number_says);
	tcase_add_test(tc, a_source_route_or_an_unknown_protocol_is_answered);
	tcase_add_test(tc, a_solicitation_is_answered_and_its_sender_learned);
	tcase_add_test(tc, discovery_from_beyond_a_router_or_without_sense_is_dropped);
	tcase_add_test(tc, an_advertisement_that_nobody_asked_for_teaches_nothing);
	tcase_add_test(tc, a_frame_waits_for_its_neighbour_on_any_iop);
	tcase_add_test(tc, a_silent_neighbour_fails_after_three_questions);
	tcase_add_test(tc, an_old_neighbour_is_probed_alone_then_by_all);
	tcase_add_test(tc, a_live_neighbour_is_not_taken_over);
	tcase_add_test(tc, an_address_of_ours_is_defended);
	tcase_add_test(tc, beyond_the_link_goes_to_the_router_from_a_global_address);
	tcase_add_test(tc, echo_is_answered_also_for_a_group);
	tcase_add_test(tc, errors_are_limited_and_never_answer_errors);
	tcase_add_test(tc, packet_too_big_counts_only_for_what_we_sent);
	tcase_add_test(tc, fragments_come_together_in_any_order);
	tcase_add_test(tc, an_overlap_discards_the_datagram);
	tcase_add_test(tc, an_atomic_fragment_is_a_datagram_of_its_own);
	tcase_add_test(tc, a_first_fragment_without_its_headers_is_refused);
	tcase_add_test(tc, what_is_never_complete_is_told_to_its_sender);
	tcase_add_test(tc, a_large_datagram_is_sent_in_fragments);
	tcase_add_test(tc, advertisements_count_only_where_they_are_wanted);
	tcase_add_test(tc, what_advertisements_say_ends_in_its_time);
	tcase_add_test(tc, what_advertisements_say_of_the_link_counts);
	tcase_add_test(tc, advertised_times_count_within_bounds);
	tcase_add_test(tc, an_address_that_is_somebody_elses_is_given_up);
	tcase_add_loop_test(tc, mutated_frames_do_no_harm, 0, 4);
	tcase_add_test(tc, wildcards_of_the_families_are_kept_apart);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
