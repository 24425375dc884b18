/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_ip6.c - IPv6: headers, extension headers, fragments, wildcards
 */
#include "config.h"

#include "tests/unit/stack/ip6_rig.h"
#include "tests/unit/suite.h"

/* ---- headers ----------------------------------------------------------------------------- */

START_TEST(a_sound_datagram_arrives_once_wherever_it_lands)
{
	v6_begin(PEER, US, 17);
	v6_udp(1234, PORT, 64);
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
		v6_begin(PEER, US, 17);
		v6_udp(1, PORT, 64);
		p.len = len;
		v6_expect_drop(NPP_IS_DROP_FRAME);
	}
	v6_begin(PEER, US, 17);
	v6_udp(1, PORT, 64);
	p.b[14] = 0x45;
	v6_expect_drop(NPP_IS_DROP_FRAME);
}
END_TEST

START_TEST(addresses_that_cannot_be_are_counted)
{
	static const char *const src[] = { "::", "::1", "ff02::1", "::ffff:10.0.0.100", US };
	static const char *const dst[] = { "::1", "fd00::2", "ff02::5", "::ffff:10.0.0.1", "fe80::2" };

	for (unsigned i = 0; i < 5; i++) {
		v6_begin(src[i], US, 17);
		v6_udp(1, PORT, 4);
		v6_expect_drop(NPP_IS_DROP_IP_SRC);
	}
	for (unsigned i = 0; i < 5; i++) {
		if (i == 2)
			continue; /* a group: nobody listens there */
		v6_begin(PEER, dst[i], 17);
		v6_udp(1, PORT, 4);
		v6_expect_drop(NPP_IS_DROP_IP_DST);
	}
}
END_TEST

START_TEST(what_is_for_another_station_is_not_taken)
{
	v6_begin(PEER, US, 17);
	v6_udp(1, PORT, 4);
	memcpy(p.b, rig_gw_mac, 6);
	v6_expect_drop(NPP_IS_DROP_FRAME);
}
END_TEST

START_TEST(udp_without_a_checksum_is_refused)
{
	for (uint16_t port = 1; port <= 8; port++) {	/* whoever of the IOPs it belongs to */
		v6_begin(PEER, US, 17);
		v6_udp(port, PORT, 64);
		memset(p.b + p.l4 + 6, 0, 2);
		v6_expect_drop(NPP_IS_DROP_CSUM);
		ck_assert_uint_eq(v6_arrived(), 0);
	}
}
END_TEST

/* ---- extension headers --------------------------------------------------------------------- */

START_TEST(headers_are_walked_and_padding_is_skipped)
{
	static const uint8_t pad[6] = { 1, 4 }, alert[6] = { 5, 2, 0, 0, 0, 0 }, rh[6] = { 4, 0 };

	v6_begin(PEER, US, 0);
	v6_ext(43, 0, alert, 6);
	v6_ext(60, 0, rh, 6);
	v6_ext(17, 0, pad, 6);
	v6_udp(1, PORT, 10);
	ck_assert_uint_ge(v6_arrived(), 1);
}
END_TEST

START_TEST(too_many_headers_are_refused)
{
	static const uint8_t pad[6] = { 1, 4 };

	for (unsigned n = IP6_EXT_HEADERS; n <= IP6_EXT_HEADERS + 1; n++) {
		v6_begin(PEER, US, 60);
		for (unsigned i = 0; i < n; i++)
			v6_ext(i + 1 < n ? 60 : 17, 0, pad, 6);
		v6_udp(1, PORT, 10);
		if (n > IP6_EXT_HEADERS)
			v6_expect_drop(NPP_IS_DROP_IP_OPTIONS);
		else
			ck_assert_uint_ge(v6_arrived(), 1);
		rig_forget(r);
	}
}
END_TEST

/* What an IOP handed on lies in a ring that it may write: the lengths may be others by the second look. */
START_TEST(options_end_where_the_headers_were_found_to_end)
{
	uint8_t b[64] = { [40] = 17, 0, 1, 4, [48] = 0x80, 6 }; /* behind the header what would be a wrong option */
	struct stack *s = r->node[0].s;
	struct pkt pkt = { .ip = b };
	struct ip6_walk w;
	uint64_t before = rig_stat(r, 0, NPP_IS_DROP_IP_OPTIONS);

	ck_assert(ip6_walk(b, 40, 56, IP_PROTO_DSTOPTS, 6, &w));
	ck_assert_uint_eq(w.n_ext, 1);
	ck_assert_uint_eq(w.off, 48);
	b[41] = 1;
	ck_assert(ip6_options(s, &pkt, &w));
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_IP_OPTIONS), before);
}
END_TEST

START_TEST(too_many_bytes_of_headers_or_options_are_refused)
{
	uint8_t big[256 * 8] = { 0 };	/* Pad1 all over */

	v6_begin(PEER, US, 60);
	v6_ext(17, IP6_EXT_BYTES / 8, big, IP6_EXT_BYTES + 8 - 2);
	v6_udp(1, PORT, 10);
	v6_expect_drop(NPP_IS_DROP_IP_OPTIONS);
	memcpy(big, (const uint8_t[]){ 1, 255 }, 2);	/* few options, but long ones */
	memcpy(big + 257, (const uint8_t[]){ 1, 255 }, 2);
	memcpy(big + 514, (const uint8_t[]){ 1, 2 }, 2);
	v6_begin(PEER, US, 60);
	v6_ext(17, IP6_EXT_BYTES / 8, big, IP6_EXT_BYTES + 8 - 2);
	v6_udp(1, PORT, 10);
	v6_expect_drop(NPP_IS_DROP_IP_OPTIONS);
	memset(big, 0, sizeof big);
	v6_begin(PEER, US, 60);
	v6_ext(17, 2, big, 3 * 8 - 2);
	v6_udp(1, PORT, 10);
	v6_expect_drop(NPP_IS_DROP_IP_OPTIONS);
}
END_TEST

START_TEST(headers_beyond_the_end_are_refused)
{
	uint8_t h[8] = { 17, 4 };

	v6_begin(PEER, US, 60);
	rig_put(&p, h, 8);
	v6_length();
	v6_expect_drop(NPP_IS_DROP_IP_OPTIONS);
	v6_begin(PEER, US, 60);
	rig_put(&p, h, 4);
	v6_length();
	v6_expect_drop(NPP_IS_DROP_IP_OPTIONS);
	v6_begin(PEER, US, 43);	/* one that has no options to stumble over */
	rig_put(&p, h, 8);
	v6_length();
	v6_expect_drop(NPP_IS_DROP_IP_OPTIONS);
	v6_begin(PEER, US, 60);	/* an option that ends behind its header */
	v6_ext(17, 0, "\1\5\0\0\0\0", 6);
	v6_udp(1, PORT, 10);
	v6_expect_drop(NPP_IS_DROP_IP_OPTIONS);
	v6_begin(PEER, US, 60);	/* hop-by-hop options stand first or not at all */
	v6_ext(0, 0, "\1\4\0\0\0\0", 6);
	v6_ext(17, 0, "\1\4\0\0\0\0", 6);
	v6_udp(1, PORT, 10);
	v6_expect_drop(NPP_IS_DROP_IP_OPTIONS);
}
END_TEST

START_TEST(unknown_options_do_what_their_number_says)
{
	static const struct { uint8_t type; const char *dst; bool arrives, answered; } row[] = {
		{ 0x1e, US, true, false }, { 0x5e, US, false, false }, { 0x9e, US, false, true },
		{ 0xde, US, false, true }, { 0xde, "ff02::1", false, false }, { 0x9e, "ff02::1", false, true },
	};

	v6_know_peer();
	for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
		uint8_t opt[6] = { row[i].type, 4 };

		v6_begin(PEER, row[i].dst, 60);
		v6_ext(17, 0, opt, 6);
		v6_udp(1, PORT, 10);
		rig_in(r, 0, &p);
		rig_run(r);
		ck_assert_uint_eq(r->n_dgrams, row[i].arrives);
		ck_assert_uint_eq(r->n_frames, row[i].answered);
		if (row[i].answered) {
			const uint8_t *m = v6_sent(58);

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

	v6_know_peer();
	v6_begin(PEER, US, 43);
	v6_ext(17, 0, rh0, 6);
	v6_udp(1, PORT, 10);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(v6_sent(58)[0], 4);
	ck_assert_uint_eq(r->n_dgrams, 0);
	rig_forget(r);
	v6_begin(PEER, US, 200);
	rig_put_pattern(&p, 0, 20);
	v6_length();
	rig_in(r, 0, &p);
	ck_assert_uint_eq(v6_sent(58)[0], 4);
	ck_assert_uint_eq(v6_sent(58)[1], 1);
	ck_assert_uint_eq(v6_sent(58)[7], 6);
}
END_TEST

/* ---- fragments ------------------------------------------------------------------------------------ */

static uint8_t whole[70000];
static uint32_t whole_len;
static uint8_t whole_next;	/* what its fragments say that it begins with */

static void make_whole(uint32_t len)
{
	v6_begin(PEER, US, 17);
	v6_udp(1234, PORT, len);
	whole_next = 17;
	whole_len = p.len - p.l4;
	memcpy(whole, p.b + p.l4, whole_len);
}

static void fragment(uint32_t off, uint32_t len, bool more, uint32_t id)
{
	struct ip6_frag_hdr f = { .next = whole_next, .off = htons((uint16_t)(off | more)), .id = htonl(id) };

	v6_begin(PEER, US, 44);
	rig_put(&p, &f, sizeof f);
	rig_put(&p, whole + off, len);
	v6_length();
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
	v6_know_peer();
	make_whole(4000);
	fragment(0, 0, true, 9);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(v6_sent(58)[0], 4);
	ck_assert_uint_eq(v6_sent(58)[1], 3);
	fragment(8, 13, true, 9);	/* not a multiple of eight */
	ck_assert_uint_eq(r->n_frames, 2);
	ck_assert_uint_eq(v6_sent(58)[1], 0);
	fragment(65528, 400, false, 9);
	ck_assert_uint_eq(r->n_frames, 3);
	memcpy(whole, &(struct ip6_frag_hdr){ .next = 17, .off = htons(8) }, 8);
	whole_next = 44;
	fragment(0, 1400, true, 10);	/* another one inside */
	ck_assert_uint_eq(r->n_frames, 4);
	ck_assert_uint_eq(v6_sent(58)[0], 4);
	ck_assert_uint_eq(v6_sent(58)[1], 3);
}
END_TEST

START_TEST(the_first_fragment_says_what_the_datagram_is)
{
	make_whole(2000);
	whole_next = 58;
	fragment(1400, whole_len - 1400, false, 13);
	whole_next = 17;
	fragment(0, 1400, true, 13);
	ck_assert_uint_eq(r->n_dgrams, 1);
	ck_assert_uint_eq(r->dgram[0].d.len, 2000);
}
END_TEST

START_TEST(options_behind_the_fragment_header_are_obeyed)
{
	static const uint8_t opt[2][8] = { { 17, 0, 0x1e, 4 }, { 17, 0, 0x9e, 4 } };	/* to be skipped; refused with an answer */

	v6_know_peer();
	for (unsigned i = 0; i < 2; i++) {
		make_whole(2000);
		memmove(whole + 8, whole, whole_len);
		memcpy(whole, opt[i], 8);
		whole_len += 8;
		whole_next = 60;
		fragment(0, 1400, true, 20 + i);
		fragment(1400, whole_len - 1400, false, 20 + i);
		ck_assert_uint_eq(r->n_dgrams, 1);
		ck_assert_uint_eq(r->n_frames, i);
	}
	ck_assert_uint_eq(v6_sent(58)[0], 4);
	ck_assert_uint_eq(v6_sent(58)[1], 2);
	ck_assert_uint_eq(v6_sent(58)[7], 42);
}
END_TEST

START_TEST(what_is_never_complete_is_told_to_its_sender)
{
	v6_know_peer();
	make_whole(4000);
	fragment(0, 1400, true, 11);
	fragment(1400, 1400, true, 12);
	for (unsigned i = 0; i < 7; i++) {	/* the peer stays known */
		rig_advance(r, 10000000);
		if (i < 5)
			v6_know_peer();
	}
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_REASS_TIME), 2);
	ck_assert_uint_eq(v6_sent(58)[0], 3);	/* once: of the other the first fragment never came */
	ck_assert_uint_eq(v6_sent(58)[1], 1);
	ck_assert_uint_eq(rig_last(r)->len, 14 + IP6_MTU_MIN);	/* as much of it as fits (RFC 4443, 2.4 (c)) */
	ck_assert_uint_eq(r->n_frames, 1);
}
END_TEST

START_TEST(a_large_datagram_is_sent_in_fragments)
{
	struct udp_endpoint to = { .laddr = v6_addr(US), .lport = 99 };
	uint32_t sum = 0, id = 0;
	int err;

	v6_know_peer();
	ck_assert_int_eq(v6_send_to(0, PEER, 5000), 0);
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
	ck_assert_int_eq(v6_send_to(0, PEER, 65527), 0); /* IPv6 does not count its header */
	ck_assert_int_eq(v6_send_to(0, PEER, 65528), -EMSGSIZE);
	ck_assert_ptr_nonnull(stack_udp_bind(r->node[0].s, &to, &err));
	rig_forget(r);
	ck_assert_int_eq(v6_send_to(0, US, 65527), 0);
	rig_run(r);
	ck_assert_uint_eq(r->n_dgrams, 1);
	ck_assert_uint_eq(r->dgram[0].d.len, 65527);
}
END_TEST

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Who has had one of our datagrams in fragments knows nothing of what others get, and could else fill up theirs. */
START_TEST(identifications_of_fragments_do_not_follow_from_each_other_or_repeat)
{
	static uint32_t id[3000];
	unsigned n = 0, near = 0;

	v6_know_peer();
	for (unsigned i = 0; i < 1000; i++)
		for (unsigned iop = 0; iop < r->n && n < 3000; iop++) {
			rig_forget(r);
			ck_assert_int_eq(v6_send_to(iop, PEER, 2000), 0);
			ck_assert_uint_eq(r->n_frames, 2);
			id[n++] = ntohl(((const struct ip6_frag_hdr *)(rig_ip6(&r->frame[0]) + 1))->id);
		}
	for (unsigned i = r->n; i < n; i++)
		near += id[i] - id[i - r->n] < 1 << 16;
	ck_assert_uint_le(near, 10); /* one is to be expected */
	qsort(id, n, sizeof *id, by_value);
	for (unsigned i = 1; i < n; i++)
		ck_assert_uint_ne(id[i], id[i - 1]);
}
END_TEST

/* ---- wildcards ---------------------------------------------------------------------------------------- */

START_TEST(wildcards_of_the_families_are_kept_apart)
{
	static const struct { const char *addr; uint8_t v6only, v4, v6; } row[] = {
		{ "0.0.0.0", 0, 1, 0 }, { "::", 1, 0, 1 }, { "::", 0, 1, 1 },
	};

	for (unsigned i = 0; i < 3; i++) {
		struct udp_endpoint t = { .laddr = v6_addr(row[i].addr), .lport = (uint16_t)(8000 + i), .v6only = row[i].v6only };
		int err;

		ck_assert_ptr_nonnull(stack_udp_bind(r->node[0].s, &t, &err));
		ck_assert_ptr_nonnull(stack_udp_bind(r->node[1].s, &t, &err));
		v6_begin(PEER, US, 17);
		v6_udp(1, t.lport, 4);
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
	case 0: v6_nd(PEER, "ff02::1:ff00:1", 135, 0, US, 1, rig_peer_mac); break;
	case 1: v6_nd(PEER, US, 136, 0x60000000, PEER, 2, rig_peer_mac); break;
	case 2:
		v6_begin("fe80::fe", "ff02::1", 58);
		v6_icmp(134, 0, 1800, body, 8 + rnd(7) * 8);
		break;
	case 3: v6_too_big(1280 + rnd(300), PORT); break;
	case 4:
		v6_begin(PEER, US, rnd(2) ? 0 : 60);
		v6_ext(60, (uint8_t)rnd(3), body, 6 + 8 * rnd(3));
		v6_ext(58, 0, pad, 6);
		v6_icmp(128, 0, 1, body, rnd(40));
		break;
	case 5: {
		struct ip6_frag_hdr f = { .next = rnd(2) ? 17 : 60, .off = htons((uint16_t)(rnd(40) * 8 | rnd(2))),
					  .id = rnd(3) };

		v6_begin(PEER, US, 44);
		rig_put(&p, &f, sizeof f);
		rig_put(&p, body, rnd(8) * 8);
		v6_length();
		break;
	}
	default:
		v6_begin(PEER, US, 17);
		v6_udp(1, PORT, rnd(100));
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

int main(void)
{
	Suite *suite = suite_create("ip6");
	TCase *tc = tcase_create("ip6");

	tcase_add_checked_fixture(tc, v6_setup, v6_teardown);
	tcase_add_test(tc, a_sound_datagram_arrives_once_wherever_it_lands);
	tcase_add_test(tc, lengths_that_lie_are_counted);
	tcase_add_test(tc, addresses_that_cannot_be_are_counted);
	tcase_add_test(tc, what_is_for_another_station_is_not_taken);
	tcase_add_test(tc, udp_without_a_checksum_is_refused);
	tcase_add_test(tc, headers_are_walked_and_padding_is_skipped);
	tcase_add_test(tc, too_many_headers_are_refused);
	tcase_add_test(tc, options_end_where_the_headers_were_found_to_end);
	tcase_add_test(tc, too_many_bytes_of_headers_or_options_are_refused);
	tcase_add_test(tc, headers_beyond_the_end_are_refused);
	tcase_add_test(tc, unknown_options_do_what_their_number_says);
	tcase_add_test(tc, a_source_route_or_an_unknown_protocol_is_answered);
	tcase_add_test(tc, fragments_come_together_in_any_order);
	tcase_add_test(tc, an_overlap_discards_the_datagram);
	tcase_add_test(tc, an_atomic_fragment_is_a_datagram_of_its_own);
	tcase_add_test(tc, a_first_fragment_without_its_headers_is_refused);
	tcase_add_test(tc, the_first_fragment_says_what_the_datagram_is);
	tcase_add_test(tc, options_behind_the_fragment_header_are_obeyed);
	tcase_add_test(tc, what_is_never_complete_is_told_to_its_sender);
	tcase_add_test(tc, a_large_datagram_is_sent_in_fragments);
	tcase_add_test(tc, identifications_of_fragments_do_not_follow_from_each_other_or_repeat);
	tcase_add_test(tc, wildcards_of_the_families_are_kept_apart);
	tcase_add_loop_test(tc, mutated_frames_do_no_harm, 0, 4);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
