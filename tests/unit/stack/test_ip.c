/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_ip.c - IPv4 in and out: bad frames are counted, offloads are right, owners get what is theirs
 */
#include "config.h"

#include "npp-ism/stack/priv.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

static struct rig *r;
static struct rig_pkt p;
static const union npp_addr any;

#define PORT 7000

static void setup(void)
{
	r = rig_new(3);
	rig_know(r, RIG_PEER, rig_peer_mac);
	for (unsigned i = 0; i < r->n; i++) {
		struct udp_endpoint t = { .lport = PORT };
		int err;

		ck_assert_ptr_nonnull(stack_udp_bind(r->node[i].s, &t, &err));
	}
}
static void teardown(void) { rig_free(r); }

static unsigned owner_of(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint8_t proto)
{
	struct npp_flow_key key = { .src = rig_addr(src), .dst = rig_addr(dst), .proto = proto,
				    .sport = htons(sport), .dport = htons(dport) };

	return npp_hash_iop(&r->g->prog[0], &key);
}

/* A source port whose flow IOP 0 owns. */
static uint16_t port_of_0(void)
{
	uint16_t port = 1024;

	while (owner_of(RIG_PEER, port, RIG_US, PORT, 17) != 0)
		port++;
	return port;
}

static void fresh(void)
{
	rig_udp(&p, RIG_PEER, port_of_0(), RIG_US, PORT, 64);
}

static void expect_drop(unsigned id)
{
	uint64_t before = rig_stat(r, 0, id);

	rig_in(r, 0, &p);
	ck_assert_uint_eq(rig_stat(r, 0, id), before + 1);
	ck_assert_uint_eq(r->n_dgrams, 0);
}

START_TEST(a_sound_datagram_arrives)
{
	fresh();
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_dgrams, 1);
	fresh();
	rig_put_pattern(&p, 0, 17);	/* Ethernet padding */
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_dgrams, 2);
	ck_assert_uint_eq(r->dgram[1].d.len, 64);
}
END_TEST

START_TEST(header_lengths_that_lie_are_counted)
{
	for (uint32_t len = 0; len < 14 + 20 + 8 + 64; len++) {
		fresh();
		p.len = len;
		expect_drop(NPP_IS_DROP_FRAME);
	}
	for (unsigned ihl = 0; ihl < 5; ihl++) {
		fresh();
		p.b[14] = (uint8_t)(0x40 | ihl);
		expect_drop(NPP_IS_DROP_FRAME);
	}
	fresh();
	p.b[14] = 0x65;
	expect_drop(NPP_IS_DROP_FRAME);
	fresh();
	p.b[16] = 0;
	p.b[17] = 19;	/* total length below the header's */
	expect_drop(NPP_IS_DROP_FRAME);
	fresh();
	p.b[16] = 0xff;
	expect_drop(NPP_IS_DROP_FRAME);
	fresh();
	p.b[24] ^= 1;
	expect_drop(NPP_IS_DROP_IP_CSUM);
	fresh();
	p.b[0] = 0x06;	/* somebody else's frame */
	expect_drop(NPP_IS_DROP_FRAME);
	fresh();
	p.b[12] = 0x88, p.b[13] = 0xcc;
	expect_drop(NPP_IS_DROP_NO_PROTO);
}
END_TEST

START_TEST(addresses_that_cannot_be_are_counted)
{
	static const uint32_t bad_src[] = { 0, 0x7f000001, 0xe0000001, 0xffffffff, 0x0a0000ff, RIG_US, RIG_US2, 0xf0000001 };
	static const uint32_t bad_dst[] = { RIG_PEER, 0x7f000001, 0x08080808, 0x0a0000fe, 0 };

	for (unsigned i = 0; i < sizeof bad_src / 4; i++) {
		rig_udp(&p, bad_src[i], 1, RIG_US, PORT, 10);
		expect_drop(NPP_IS_DROP_IP_SRC);
	}
	for (unsigned i = 0; i < sizeof bad_dst / 4; i++) {
		rig_udp(&p, RIG_PEER, 1, bad_dst[i], PORT, 10);
		expect_drop(NPP_IS_DROP_IP_DST);
	}
	rig_tcp(&p, RIG_PEER, 1, 0x0a0000ff, 80, TCPF_SYN, 1, 0, 0);
	memcpy(p.b, rig_bcast_mac, 6);
	expect_drop(NPP_IS_DROP_IP_DST);
	rig_udp(&p, RIG_PEER, 1, RIG_US, PORT, 10);	/* to all on the link, but to one address (RFC 1122, 3.3.6) */
	memcpy(p.b, rig_bcast_mac, 6);
	expect_drop(NPP_IS_DROP_IP_DST);
	memcpy(p.b, (const uint8_t[]){ 1, 0, 0x5e, 0, 0, 1 }, 6);
	expect_drop(NPP_IS_DROP_IP_DST);
	memcpy(p.b, rig_gw_mac, 6);	/* to somebody else, on a link that shows us all */
	expect_drop(NPP_IS_DROP_FRAME);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

/* The fresh datagram with N bytes of options. */
static void with_options(const uint8_t *o, unsigned n)
{
	static struct rig_pkt q;

	fresh();
	q = p;
	p.len = 34;
	rig_put(&p, o, n);
	p.l4 = p.len;
	rig_put(&p, q.b + 34, q.len - 34);
	p.b[14] = (uint8_t)(0x45 + n / 4);
	rig_ip4_end(&p);
}

START_TEST(options_are_skipped_and_bad_ones_counted)
{
	static const uint8_t good[][8] = { { 1, 1, 1, 1 }, { 0, 9, 9, 9 }, { 7, 4, 4, 0 }, { 1, 7, 3, 4 }, { 68, 8, 5, 0, 0, 0, 0, 0 } };
	static const uint8_t bad[][4] = { { 7, 0, 0, 0 }, { 7, 1, 0, 0 }, { 7, 5, 0, 0 }, { 1, 1, 1, 7 }, { 131, 3, 4, 0 },
					  { 137, 3, 4, 0 }, { 255, 255, 255, 255 } };
	uint8_t forty[40];

	for (unsigned i = 0; i < 5; i++) {
		with_options(good[i], i == 4 ? 8 : 4);
		rig_in(r, 0, &p);
		ck_assert_uint_eq(r->n_dgrams, i + 1);
		ck_assert_uint_eq(r->dgram[i].data[63], rig_pattern(63));
	}
	rig_forget(r);
	memset(forty, 1, sizeof forty);
	with_options(forty, 40);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_dgrams, 1);
	rig_forget(r);
	for (unsigned i = 0; i < sizeof bad / 4; i++) {
		with_options(bad[i], 4);
		expect_drop(NPP_IS_DROP_IP_OPTIONS);
	}
}
END_TEST

START_TEST(a_segment_for_another_iop_is_handed_on_once_and_verified)
{
	for (uint16_t port = 2000; port < 2030; port++) {
		unsigned owner = owner_of(RIG_PEER, port, RIG_US, PORT, 17);

		for (unsigned iop = 0; iop < 3; iop++) {
			rig_udp(&p, RIG_PEER, port, RIG_US, PORT, 100);
			rig_in(r, iop, &p);
			rig_run(r);
			ck_assert_uint_eq(r->n_dgrams, 1);
			ck_assert_uint_eq(r->dgram[0].iop, owner);
			ck_assert_uint_eq(r->ipc_count[NPP_REC_DATAGRAM], iop != owner);
			rig_forget(r);
			p.b[p.len - 1] ^= 1;
			rig_in(r, iop, &p);
			rig_run(r);
			ck_assert_uint_eq(r->n_dgrams + r->ipc_count[NPP_REC_DATAGRAM], 0);
		}
	}
	ck_assert_uint_eq(rig_stat_all(r, NPP_IS_DROP_CSUM), 90);
}
END_TEST

START_TEST(the_dispatchers_hash_names_the_owner)
{
	struct npp_flow_key key = { .src = rig_addr(RIG_PEER), .dst = rig_addr(RIG_US), .proto = 17,
				    .sport = htons(2001), .dport = htons(PORT) };
	struct npp_frame_rec rec = { .kind = NPP_REC_FRAME, .hash = npp_hash_flow(&r->g->prog[0], &key) };

	rig_udp(&p, RIG_PEER, 2001, RIG_US, PORT, 100);
	rec.len = p.len;
	for (unsigned iop = 0; iop < 3; iop++)
		rig_in_raw(r, iop, &rec, p.b, p.len);
	rig_run(r);
	ck_assert_uint_eq(r->n_dgrams, 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(r->dgram[i].iop, npp_hash_iop(&r->g->prog[0], &key));
	ck_assert_uint_eq(r->ipc_count[NPP_REC_DATAGRAM], 2);
}
END_TEST

START_TEST(a_datagram_record_is_never_passed_on_again)
{
	struct npp_frame_rec rec = { .kind = NPP_REC_DATAGRAM, .csum = NPP_CSUM_OK };
	uint16_t port = port_of_0();

	rig_udp(&p, RIG_PEER, port, RIG_US, PORT, 100);
	rec.len = p.len;
	rig_in_raw(r, 1, &rec, p.b, p.len);
	rig_run(r);
	ck_assert_uint_eq(r->ipc_count[NPP_REC_DATAGRAM], 0);
	ck_assert_uint_eq(r->n_dgrams, 1);
	ck_assert_uint_eq(r->dgram[0].iop, 1);
}
END_TEST

/* Sends proto 17 from IOP to DST with a payload of LEN. */
static int send_to(unsigned iop, uint32_t dst, uint16_t sport, uint32_t len, bool df)
{
	static uint8_t payload[65536];
	union npp_addr d = rig_addr(dst);
	struct stack_tx tx = { .l4_len = 8, .csum_off = 6, .payload_len = len, .n_slices = 1, .slice = { { payload, len } } };
	uint16_t h[3] = { htons(sport), htons(PORT), htons((uint16_t)(8 + len)) };
	struct ip_path path;

	for (uint32_t i = 0; i < sizeof payload; i++)
		payload[i] = rig_pattern(i);
	memcpy(tx.head + STACK_L4_OFF, h, 6);
	ck_assert_int_eq(ip_path_init(r->node[iop].s, &path, &any, &d), 0);
	return ip_output(r->node[iop].s, &path, 17, 0, 64, df, &tx);
}

START_TEST(what_is_too_large_is_cut_or_refused)
{
	ck_assert_int_eq(send_to(0, RIG_PEER, 1, 1472, true), 0);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_int_eq(send_to(0, RIG_PEER, 1, 1473, true), -EMSGSIZE);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_int_eq(send_to(0, RIG_PEER, 1, 1473, false), 0);
	ck_assert_uint_eq(r->n_frames, 3);
	ck_assert_uint_eq(r->frag_done, 1);
	ck_assert_int_eq(send_to(0, RIG_PEER, 1, 65507, false), 0);
	ck_assert_uint_eq(r->frag_done, 2);
	ck_assert_int_eq(send_to(0, RIG_PEER, 1, 65508, false), -EMSGSIZE);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_FRAGS_OUT), 2 + 45);
}
END_TEST

START_TEST(identifications_differ_between_iops_and_datagrams)
{
	static uint8_t seen[65536];
	unsigned n = 0;

	memset(seen, 0, sizeof seen);
	for (unsigned i = 0; i < 600; i++)
		for (unsigned iop = 0; iop < 3; iop++) {
			uint16_t id;

			ck_assert_int_eq(send_to(iop, RIG_PEER, 1, 10, false), 0);
			id = ntohs(rig_ip(rig_last(r))->id);
			ck_assert_uint_eq(seen[id], 0);
			seen[id] = 1;
			if (++n % 500 == 0)
				rig_forget(r);
		}
}
END_TEST

START_TEST(a_large_segment_goes_out_whole_with_its_virtio_header)
{
	static uint8_t payload[60000];
	union npp_addr d = rig_addr(RIG_PEER);
	struct stack_tx tx = { .l4_len = 32, .csum_off = 16, .gso_size = 1448, .payload_len = 60000, .n_slices = 2 };
	struct ip_path path;
	const struct rig_frame *f;
	uint16_t id;

	tx.slice[0] = (struct stack_slice){ payload, 12345 };
	tx.slice[1] = (struct stack_slice){ payload + 12345, 60000 - 12345 };
	tx.head[STACK_L4_OFF + 12] = 0x80;
	tx.head[STACK_L4_OFF + 13] = TCPF_ACK | TCPF_CWR;
	ck_assert_int_eq(ip_path_init(r->node[0].s, &path, &any, &d), 0);
	ck_assert_int_eq(ip_output(r->node[0].s, &path, 6, 2, 64, true, &tx), 0);
	f = rig_last(r);
	ck_assert_uint_eq(f->len, 66 + 60000);
	ck_assert_uint_eq(f->vnet.flags, VNET_F_NEEDS_CSUM);
	ck_assert_uint_eq(f->vnet.gso_type, VNET_GSO_TCPV4 | VNET_GSO_ECN);
	ck_assert_uint_eq(f->vnet.gso_size, 1448);
	ck_assert_uint_eq(f->vnet.hdr_len, 66);
	ck_assert_uint_eq(f->vnet.csum_start, 34);
	ck_assert_uint_eq(f->vnet.csum_offset, 16);
	ck_assert_uint_eq(rig_ip(f)->tos, 2);
	ck_assert(rig_ip(f)->frag == htons(IP4_DF));
	id = ntohs(rig_ip(f)->id);
	tx.payload_len = 100;
	tx.n_slices = 1;
	tx.slice[0].len = 100;
	ck_assert_int_eq(ip_output(r->node[0].s, &path, 6, 2, 64, true, &tx), 0);
	ck_assert_uint_eq(rig_last(r)->vnet.gso_type, 0);
	ck_assert_uint_eq((uint16_t)(ntohs(rig_ip(rig_last(r))->id) - id), 42);	/* as many as it was cut into */
}
END_TEST

START_TEST(a_packet_to_ourselves_never_reaches_the_port)
{
	unsigned got[3] = { 0 };

	for (uint16_t port = 100; port < 140; port++)
		for (unsigned iop = 0; iop < 3; iop++) {
			ck_assert_int_eq(send_to(iop, RIG_US2, port, port % 2 ? 100 : 65000, false), 0);
			ck_assert_uint_eq(r->n_dgrams, 0);	/* not before the flush */
			rig_run(r);
			ck_assert_uint_eq(r->n_dgrams, 1);
			ck_assert_uint_eq(r->dgram[0].iop, owner_of(RIG_US2, port, RIG_US2, PORT, 17));
			ck_assert_uint_eq(r->dgram[0].d.len, port % 2 ? 100 : 65000);
			for (uint32_t i = 0; i < r->dgram[0].d.len; i += 97)
				ck_assert_uint_eq(r->dgram[0].data[i], rig_pattern(i));
			got[r->dgram[0].iop]++;
			rig_forget(r);
		}
	ck_assert(got[0] && got[1] && got[2]);
	ck_assert_uint_eq(r->n_frames, 0);
	ck_assert_uint_eq(rig_stat_all(r, NPP_IS_LOCAL), 120);
}
END_TEST

START_TEST(the_queue_to_ourselves_is_bounded_and_drained_in_order)
{
	uint16_t port = 100;
	unsigned sent = 0, before;

	while (owner_of(RIG_US, port, RIG_US, PORT, 17) != 0)
		port++;
	for (unsigned round = 0; round < 40; round++) {
		uint32_t len = 500 + round * 1601 % 60000;

		for (before = sent; send_to(0, RIG_US, port, len, false) == 0;)
			sent++;
		ck_assert_uint_gt(sent, before);
		rig_run(r);
		ck_assert_uint_eq(r->n_dgrams, sent - before);
		for (unsigned i = 0; i < r->n_dgrams; i++)
			ck_assert_uint_eq(r->dgram[i].d.len, len);
		rig_forget(r);
	}
	ck_assert_uint_gt(rig_stat(r, 0, NPP_IS_DROP_LOCAL_FULL), 0);
}
END_TEST

START_TEST(a_program_that_lies_about_iops_keeps_the_packet_here)
{
	fresh();
	memset(r->g->prog[0].indir, 200, sizeof r->g->prog[0].indir);
	rig_in(r, 1, &p);
	ck_assert_uint_eq(r->n_dgrams, 1);
	ck_assert_uint_eq(r->dgram[0].iop, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stack/ip");
	TCase *tc = tcase_create("ip");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_sound_datagram_arrives);
	tcase_add_test(tc, header_lengths_that_lie_are_counted);
	tcase_add_test(tc, addresses_that_cannot_be_are_counted);
	tcase_add_test(tc, options_are_skipped_and_bad_ones_counted);
	tcase_add_test(tc, a_segment_for_another_iop_is_handed_on_once_and_verified);
	tcase_add_test(tc, the_dispatchers_hash_names_the_owner);
	tcase_add_test(tc, a_datagram_record_is_never_passed_on_again);
	tcase_add_test(tc, what_is_too_large_is_cut_or_refused);
	tcase_add_test(tc, identifications_differ_between_iops_and_datagrams);
	tcase_add_test(tc, a_large_segment_goes_out_whole_with_its_virtio_header);
	tcase_add_test(tc, a_packet_to_ourselves_never_reaches_the_port);
	tcase_add_test(tc, the_queue_to_ourselves_is_bounded_and_drained_in_order);
	tcase_add_test(tc, a_program_that_lies_about_iops_keeps_the_packet_here);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
