/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_udp.c - which endpoint a datagram belongs to, what is refused, what is answered
 */
#include "config.h"

#include "npp-ism/stack/priv.h"
#include "shm/share.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

static struct rig *r;
static struct stack *s;
static struct rig_pkt p;
static int err;

static void setup(void)
{
	r = rig_new(1);
	s = r->node[0].s;
	rig_know(r, RIG_PEER, rig_peer_mac);
}
static void teardown(void) { rig_free(r); }

static struct udp_endpoint *bind_to(uint32_t laddr, uint16_t lport, uint32_t raddr, uint16_t rport, bool reuse,
				    uint32_t sock)
{
	struct udp_endpoint t = { .lport = lport, .rport = rport, .reuseport = reuse, .user_sock = sock };

	if (laddr)
		t.laddr = rig_addr(laddr);
	if (raddr)
		t.raddr = rig_addr(raddr);
	return stack_udp_bind(s, &t, &err);
}

static void in(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint32_t len)
{
	rig_udp(&p, src, sport, dst, dport, len);
	rig_in(r, 0, &p);
}

static int64_t got_by(void)
{
	return r->n_dgrams ? (int64_t)r->dgram[r->n_dgrams - 1].ep : -1;
}

START_TEST(connected_before_bound_before_wildcard)
{
	struct udp_endpoint *wild = bind_to(0, 53, 0, 0, false, 1), *addr = bind_to(RIG_US, 53, 0, 0, false, 2);
	struct udp_endpoint *conn = bind_to(RIG_US, 53, RIG_PEER, 99, false, 3);

	ck_assert(wild && addr && conn);
	in(RIG_PEER, 99, RIG_US, 53, 10);
	ck_assert_int_eq(got_by(), conn->index);
	in(RIG_PEER, 98, RIG_US, 53, 10);
	ck_assert_int_eq(got_by(), addr->index);
	in(RIG_PEER, 99, RIG_US2, 53, 10);
	ck_assert_int_eq(got_by(), wild->index);
	stack_udp_unbind(s, conn);
	in(RIG_PEER, 99, RIG_US, 53, 10);
	ck_assert_int_eq(got_by(), addr->index);
	stack_udp_unbind(s, addr);
	in(RIG_PEER, 99, RIG_US, 53, 10);
	ck_assert_int_eq(got_by(), wild->index);
	stack_udp_unbind(s, wild);
	in(RIG_PEER, 99, RIG_US, 53, 10);
	ck_assert_uint_eq(r->n_dgrams, 5);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_UDP_NO_PORT), 1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_UDP_EPS), 0);
}
END_TEST

static struct udp_endpoint *bind_shared(uint32_t order, uint8_t host)
{
	struct udp_endpoint t = { .lport = 53, .reuseaddr = 1, .order = order, .user_host = host, .user_sock = 7 };

	return stack_udp_bind(s, &t, &err);
}

/* What servers do that have one socket per client: all share the port, each in turn is
 * connected, and a new one waits for the next client. */
START_TEST(of_those_that_share_the_latest_has_it_and_peers_go_first)
{
	const union npp_addr none = { .q = { 0, 0 } }, peer = rig_addr(RIG_PEER);
	struct udp_endpoint *a = bind_shared(0xffffffffu, 0), *b = bind_shared(0, 0), *c;

	ck_assert(a && b);
	in(RIG_PEER, 99, RIG_US, 53, 10);
	ck_assert_int_eq(got_by(), b->index);
	ck_assert_int_eq(stack_udp_connect(s, b, &none, &peer, 99), 0);
	in(RIG_PEER, 98, RIG_US, 53, 10);
	ck_assert_int_eq(got_by(), a->index);
	c = bind_shared(1, 0);
	in(RIG_PEER, 98, RIG_US, 53, 10);
	ck_assert_int_eq(got_by(), c->index);
	in(RIG_PEER, 99, RIG_US, 53, 10);
	ck_assert_int_eq(got_by(), b->index);
	rig_attach(r, 0);
	in(RIG_PEER, 98, RIG_US, 53, 10);
	ck_assert_int_eq(got_by(), c->index);
	in(RIG_PEER, 99, RIG_US, 53, 10);
	ck_assert_int_eq(got_by(), b->index);
	ck_assert_int_eq(stack_udp_connect(s, b, &none, &none, 0), 0);
	in(RIG_PEER, 99, RIG_US2, 53, 10);
	ck_assert_int_eq(got_by(), c->index);
	stack_udp_unbind(s, c);
	in(RIG_PEER, 99, RIG_US2, 53, 10);
	ck_assert_int_eq(got_by(), b->index);
}
END_TEST

START_TEST(the_datagram_tells_where_it_came_from_and_went_to)
{
	union npp_addr us2 = rig_addr(RIG_US2), gw = rig_addr(RIG_GW);
	struct npp_dgram d = { .len = 1, .port = 9, .addr = rig_addr(RIG_PEER) };
	struct stack_slice sl = { "x", 1 };
	struct udp_endpoint *ep = bind_to(0, 53, 0, 0, false, 1);

	rig_udp(&p, RIG_PEER, 4711, RIG_US, 53, 777);
	p.b[15] = 0xb8;
	p.b[22] = 33;
	rig_ip4_end(&p);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->dgram[0].d.len, 777);
	ck_assert_uint_eq(r->dgram[0].d.port, 4711);
	ck_assert_uint_eq(r->dgram[0].d.tos, 0xb8);
	ck_assert_uint_eq(r->dgram[0].d.ttl, 33);
	ck_assert_uint_eq(r->dgram[0].d.seq, (uint32_t)r->now_us);
	ck_assert_uint_eq(npp_addr_get_v4(&r->dgram[0].d.addr), htonl(RIG_PEER));
	ck_assert_uint_eq(npp_addr_get_v4(&r->dgram[0].to), htonl(RIG_US));
	for (uint32_t i = 0; i < 777; i++)
		ck_assert_uint_eq(r->dgram[0].data[i], rig_pattern(i));
	rig_udp(&p, RIG_PEER, 4711, RIG_US2, 53, 1);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(npp_addr_get_v4(&r->dgram[1].to), htonl(RIG_US2));
	ck_assert_int_eq(stack_udp_send_from(s, ep, &d, &us2, &sl, 1), 0);	/* so an answer can come from there */
	ck_assert_uint_eq(rig_ip(rig_last(r))->src, htonl(RIG_US2));
	ck_assert_int_eq(stack_udp_send_from(s, ep, &d, NULL, &sl, 1), 0);
	ck_assert_uint_eq(rig_ip(rig_last(r))->src, htonl(RIG_US));
	ck_assert_int_eq(stack_udp_send_from(s, ep, &d, &gw, &sl, 1), -EADDRNOTAVAIL);
}
END_TEST

START_TEST(addresses_are_owned_once_unless_all_share)
{
	ck_assert_ptr_nonnull(bind_to(0, 53, 0, 0, false, 1));
	ck_assert_ptr_null(bind_to(0, 53, 0, 0, false, 2));
	ck_assert_int_eq(err, -EADDRINUSE);
	ck_assert_ptr_null(bind_to(0, 53, 0, 0, true, 2));
	ck_assert_ptr_nonnull(bind_to(RIG_US, 53, 0, 0, false, 2));
	ck_assert_ptr_null(bind_to(RIG_PEER, 54, 0, 0, false, 2));
	ck_assert_int_eq(err, -EADDRNOTAVAIL);
	ck_assert_ptr_null(bind_to(0, 0, 0, 0, false, 2));
	ck_assert_int_eq(err, -EINVAL);
	ck_assert_ptr_nonnull(bind_to(0, 55, 0, 0, true, 2));
	ck_assert_ptr_nonnull(bind_to(0, 55, 0, 0, true, 3));
	ck_assert_ptr_null(bind_to(0, 55, 0, 0, false, 3));
}
END_TEST

START_TEST(the_table_is_bounded_and_handles_change)
{
	struct udp_endpoint *ep[64];
	uint32_t gen;

	for (uint16_t i = 0; i < 64; i++)
		ck_assert_ptr_nonnull(ep[i] = bind_to(0, (uint16_t)(1000 + i), 0, 0, false, i));
	ck_assert_ptr_null(bind_to(0, 2000, 0, 0, false, 9));
	ck_assert_int_eq(err, -ENOBUFS);
	gen = ep[17]->gen;
	stack_udp_unbind(s, ep[17]);
	ck_assert_ptr_null(stack_udp(s, 17));
	ck_assert_ptr_eq(bind_to(0, 2000, 0, 0, false, 9), ep[17]);
	ck_assert_uint_ne(ep[17]->gen, gen);
	ck_assert_ptr_null(stack_udp(s, 64));
	for (uint16_t i = 0; i < 64; i++) {
		in(RIG_PEER, 1, RIG_US, i == 17 ? 2000 : (uint16_t)(1000 + i), 1);
		ck_assert_int_eq(got_by(), ep[i]->index);
	}
}
END_TEST

START_TEST(a_reuseport_group_shares_and_each_flow_stays)
{
	struct udp_endpoint *ep[4];
	unsigned n[64] = { 0 };
	int64_t first[200];

	for (uint32_t i = 0; i < 4; i++)
		ep[i] = bind_to(0, 53, 0, 0, true, 100 - i);
	for (uint16_t i = 0; i < 200; i++) {
		in(RIG_PEER, (uint16_t)(1000 + i), RIG_US, 53, 1);
		n[first[i] = got_by()]++;
	}
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_uint_gt(n[ep[i]->index], 20);
	rig_attach(r, 0);	/* the successor sees the same list */
	for (uint16_t i = 0; i < 200; i++) {
		in(RIG_PEER, (uint16_t)(1000 + i), RIG_US, 53, 1);
		ck_assert_int_eq(got_by(), first[i]);
	}
	rig_forget(r);
	stack_udp_unbind(s, ep[1]);
	for (uint16_t i = 0; i < 200; i++)
		in(RIG_PEER, (uint16_t)(1000 + i), RIG_US, 53, 1);
	ck_assert_uint_eq(r->n_dgrams, 200);
}
END_TEST

/* Two sockets of host 0 and one of host 1 for the same port: first a host is chosen, then a socket of its. */
START_TEST(hosts_share_a_port_by_weight_and_all_stacks_agree)
{
	struct udp_endpoint t = { .lport = 53, .reuseport = 1, .user_sock = 7 }, *ep[3];
	unsigned n[64] = { 0 }, by0;
	int64_t first[300];

	r->g->share = npp_share_with(npp_share_with(0, 0, 1), 1, 3);
	for (unsigned i = 0; i < 3; i++) {
		t.user_host = i == 1;
		t.reuseport = i != 1;
		t.user_sock = 10 - i;
		ep[i] = stack_udp_bind(s, &t, &err);
		ck_assert_ptr_nonnull(ep[i]);
	}
	for (uint16_t i = 0; i < 300; i++) {
		in(RIG_PEER, (uint16_t)(1000 + i), RIG_US, 53, 1);
		n[first[i] = got_by()]++;
	}
	by0 = n[ep[0]->index] + n[ep[2]->index];
	ck_assert(by0 > 40 && by0 < 110);
	ck_assert(n[ep[0]->index] > 10 && n[ep[2]->index] > 10);
	rig_attach(r, 0);
	for (uint16_t i = 0; i < 300; i++) {
		in(RIG_PEER, (uint16_t)(1000 + i), RIG_US, 53, 1);
		ck_assert_int_eq(got_by(), first[i]);
	}
	/* Host 1 fails: its word goes first, then its sockets. */
	r->g->share = npp_share_with(r->g->share, 1, 0);
	for (uint16_t i = 0; i < 100; i++) {
		in(RIG_PEER, (uint16_t)(1000 + i), RIG_US, 53, 1);
		ck_assert_int_ne(got_by(), ep[1]->index);
	}
	stack_udp_unbind(s, ep[0]);
	stack_udp_unbind(s, ep[2]);
	in(RIG_PEER, 1000, RIG_US, 53, 1); /* no member is left: who listens has it */
	ck_assert_int_eq(got_by(), ep[1]->index);
}
END_TEST

START_TEST(lengths_and_checksums_that_lie_are_counted)
{
	static const uint16_t lens[] = { 0, 1, 7, 29, 65535 };

	bind_to(0, 53, 0, 0, false, 1);
	for (unsigned i = 0; i < 5; i++) {
		rig_udp(&p, RIG_PEER, 1, RIG_US, 53, 20);
		p.b[38] = (uint8_t)(lens[i] >> 8);
		p.b[39] = (uint8_t)lens[i];
		rig_l4_csum(&p);
		rig_in(r, 0, &p);
	}
	in(RIG_PEER, 1, RIG_US, 0, 20);
	for (uint32_t len = 0; len < 8; len++) {
		rig_ip4(&p, RIG_PEER, RIG_US, 17, 1, 0);
		rig_put_pattern(&p, 0, len);
		rig_ip4_end(&p);
		rig_in(r, 0, &p);
	}
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_UDP_HEADER), 5 + 1 + 8);
	for (unsigned i = 34; i < 62; i++) {
		if (i >= 36 && i < 40)
			continue;	/* port and length have drops of their own */
		rig_udp(&p, RIG_PEER, 1, RIG_US, 53, 20);
		p.b[i] ^= 0x10;
		rig_in(r, 0, &p);
	}
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_DROP_CSUM), 24);
	ck_assert_uint_eq(r->n_dgrams, 0);
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

START_TEST(short_udp_length_cuts_and_no_checksum_is_allowed)
{
	struct npp_frame_rec rec = { .kind = NPP_REC_FRAME };

	bind_to(0, 53, 0, 0, false, 1);
	rig_udp(&p, RIG_PEER, 1, RIG_US, 53, 20);
	memset(p.b + 40, 0, 2);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_dgrams, 1);
	rig_udp(&p, RIG_PEER, 1, RIG_US, 53, 20);
	rig_put_pattern(&p, 0, 30);	/* IP says more than UDP */
	rig_ip4_end(&p);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_dgrams, 2);
	ck_assert_uint_eq(r->dgram[1].d.len, 20);
	p.b[60] ^= 1;			/* vouched for: not looked at */
	rec.len = p.len;
	rec.vnet.flags = VNET_F_DATA_VALID;
	rig_in_raw(r, 0, &rec, p.b, p.len);
	ck_assert_uint_eq(r->n_dgrams, 3);
}
END_TEST

START_TEST(broadcast_reaches_all_who_listen)
{
	bind_to(0, 53, 0, 0, true, 1);
	bind_to(0, 53, 0, 0, true, 2);
	bind_to(RIG_US, 53, 0, 0, false, 3);
	bind_to(0x0a0000ff, 53, 0, 0, false, 4);
	rig_udp(&p, RIG_PEER, 1, 0x0a0000ff, 53, 5);
	memcpy(p.b, rig_bcast_mac, 6);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_dgrams, 3);
	rig_forget(r);
	rig_udp(&p, RIG_PEER, 1, 0xe0000005, 53, 5);
	memcpy(p.b, (uint8_t[]){ 1, 0, 0x5e, 0, 0, 5 }, 6);
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_dgrams, 0);
	{
		struct npp_member m = { .group = rig_addr(0xe0000005), .exclude = 1 };

		stack_udp_members(s, bind_to(0xe0000005, 53, 0, 0, false, 5), &m, 1);
	}
	rig_in(r, 0, &p);
	ck_assert_uint_eq(r->n_dgrams, 3); /* and the two wildcards of the same host (IP_MULTICAST_ALL) */
	ck_assert_uint_eq(r->n_frames, 0);
}
END_TEST

static int send_it(struct udp_endpoint *ep, uint32_t dst, uint16_t port, uint32_t len, uint32_t flags)
{
	static uint8_t payload[70000];
	struct npp_dgram d = { .len = len, .port = port, .flags = flags };
	struct stack_slice sl = { payload, len };

	if (dst)
		d.addr = rig_addr(dst);
	return stack_udp_send(s, ep, &d, &sl, 1);
}

START_TEST(sending_fills_the_header_and_refuses_nonsense)
{
	struct udp_endpoint *ep = bind_to(RIG_US2, 53, 0, 0, false, 1), *c = bind_to(0, 54, RIG_PEER, 99, false, 2);
	struct npp_dgram d = { .len = 10, .port = 9, .tos = 0x10, .ttl = 7, .addr = rig_addr(RIG_PEER) };
	struct stack_slice sl[4] = { { "0123456789", 5 }, { "56789", 5 }, { "", 0 }, { "", 0 } };
	const struct udp_hdr *h;

	ck_assert_int_eq(stack_udp_send(s, ep, &d, sl, 3), 0);
	h = (const struct udp_hdr *)rig_l4(rig_last(r));
	ck_assert_uint_eq(ntohs(h->sport), 53);
	ck_assert_uint_eq(ntohs(h->dport), 9);
	ck_assert_uint_eq(ntohs(h->len), 18);
	ck_assert_int_eq(memcmp(h + 1, "0123456789", 10), 0);
	ck_assert_uint_eq(rig_ip(rig_last(r))->src, htonl(RIG_US2));
	ck_assert_uint_eq(rig_ip(rig_last(r))->tos, 0x10);
	ck_assert_uint_eq(rig_ip(rig_last(r))->ttl, 7);
	ck_assert_int_eq(send_it(c, 0, 0, 10, 0), 0);
	h = (const struct udp_hdr *)rig_l4(rig_last(r));
	ck_assert_uint_eq(ntohs(h->dport), 99);
	ck_assert_uint_eq(rig_ip(rig_last(r))->ttl, 64);
	ck_assert_int_eq(stack_udp_send(s, ep, &d, sl, 1), -EINVAL);
	ck_assert_int_eq(stack_udp_send(s, ep, &d, sl, 4), -EINVAL);
	sl[1].len = 0xfffffffb + 5;
	sl[1].len = 6;
	ck_assert_int_eq(stack_udp_send(s, ep, &d, sl, 2), -EINVAL);
	ck_assert_int_eq(send_it(ep, RIG_PEER, 9, 65508, 0), -EMSGSIZE);
	ck_assert_int_eq(send_it(ep, RIG_PEER, 0, 1, 0), -EINVAL);
	ck_assert_int_eq(send_it(ep, 0, 9, 1, 0), -ENETUNREACH);
	ck_assert_int_eq(send_it(ep, 0x0a0000ff, 9, 1, 0), -EACCES);
	ck_assert_int_eq(send_it(ep, 0x0a0000ff, 9, 1, NPP_DGRAM_BCAST), 0);
	ck_assert_int_eq(memcmp(rig_last(r)->data, rig_bcast_mac, 6), 0);
	ck_assert_int_eq(send_it(ep, 0xe0000009, 9, 1, 0), 0);
	ck_assert_uint_eq(rig_ip(rig_last(r))->ttl, 1);
	ck_assert_int_eq(send_it(ep, RIG_PEER, 9, 0, 0), 0);
	ck_assert_int_eq(send_it(ep, RIG_PEER, 9, 65507, 0), 0);
	ck_assert_uint_eq(r->frag_done, 1);
}
END_TEST

/* A router says, at IOP, that what was sent last with LEN bytes of payload was larger than MTU. */
static void too_big_at(unsigned iop, uint16_t sport, uint32_t len, uint16_t mtu)
{
	uint8_t quote[28];
	struct icmp4_hdr h = { .type = 3, .code = 4, .rest = htonl(mtu) };
	struct udp_hdr u = { .sport = htons(sport), .dport = htons(9), .len = htons((uint16_t)(8 + len)) };

	rig_ip4(&p, RIG_US, RIG_PEER, 17, 1, IP4_DF);
	memcpy(quote, p.b + 14, 20);
	((struct ip4_hdr *)quote)->len = htons((uint16_t)(28 + len));
	memcpy(quote + 20, &u, 8);
	rig_eth(&p, rig_mac, rig_gw_mac, ETH_P_IPV4);
	rig_ip4(&p, RIG_GW, RIG_US, 1, 2, 0);
	h.csum = npp_csum_finish(npp_csum_add(quote, sizeof quote, npp_csum_add(&h, sizeof h, 0)));
	rig_put(&p, &h, sizeof h);
	rig_put(&p, quote, sizeof quote);
	rig_ip4_end(&p);
	rig_in(r, iop, &p);
}

static void too_big(uint16_t sport, uint32_t len, uint16_t mtu)
{
	too_big_at(0, sport, len, mtu);
}

static int send_mode(struct udp_endpoint *ep, uint32_t len, uint32_t flags)
{
	static uint8_t bytes[65536];
	struct npp_dgram d = { .len = len, .port = 9, .addr = rig_addr(RIG_PEER), .flags = flags };
	struct stack_slice sl = { bytes, len };

	return stack_udp_send(s, ep, &d, &sl, 1);
}

#define DO (NPP_DGRAM_DF | NPP_DGRAM_WHOLE)
#define PROBE (NPP_DGRAM_DF | NPP_DGRAM_WHOLE | NPP_DGRAM_LINK)

START_TEST(what_must_not_be_cut_is_not_and_heeds_the_path)
{
	struct udp_endpoint *ep = bind_to(RIG_US, 53, RIG_PEER, 9, false, 1);

	ck_assert_int_eq(send_mode(ep, 1472, 0), 0);
	ck_assert_uint_eq(rig_ip(rig_last(r))->frag, 0);
	too_big(53, 1472, 1400);	/* nobody had to refuse that: routers may cut it */
	ck_assert_uint_eq(stack_udp_mtu(s, ep), 1500);
	ck_assert_int_eq(r->node[0].udp_err, 0);
	ck_assert_int_eq(send_mode(ep, 1472, DO), 0);
	ck_assert_uint_eq(rig_ip(rig_last(r))->frag, htons(IP4_DF));
	ck_assert_int_eq(send_mode(ep, 1473, DO), -EMSGSIZE);
	ck_assert_int_eq(send_mode(ep, 1473, PROBE), -EMSGSIZE);
	ck_assert_int_eq(send_mode(ep, 1473, NPP_DGRAM_WHOLE), -EMSGSIZE);
	too_big(53, 1473, 1400);	/* more than was sent: a lie */
	too_big(53, 1372, 1400);	/* that was not too large: another one */
	ck_assert_uint_eq(stack_udp_mtu(s, ep), 1500);
	too_big(53, 1472, 1400);
	rig_run(r);
	ck_assert_int_eq(r->node[0].udp_err, EMSGSIZE);
	ck_assert_uint_eq(r->node[0].udp_error.mtu, 1400);
	ck_assert_uint_eq(r->node[0].udp_error.port, 9);
	ck_assert_uint_eq(r->node[0].udp_error.type << 8 | r->node[0].udp_error.code, 3 << 8 | 4);
	ck_assert_uint_eq(stack_udp_mtu(s, ep), 1400);
	ck_assert_int_eq(send_mode(ep, 1373, DO), -EMSGSIZE);
	ck_assert_int_eq(send_mode(ep, 1372, DO), 0);
	ck_assert_int_eq(send_mode(ep, 1472, PROBE), 0);	/* the path is not asked */
	ck_assert_uint_eq(rig_ip(rig_last(r))->frag, htons(IP4_DF));
	ck_assert_uint_eq(ntohs(rig_ip(rig_last(r))->len), 1500);
	rig_forget(r);
	ck_assert_int_eq(send_mode(ep, 1472, NPP_DGRAM_LINK), 0);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(rig_ip(rig_last(r))->frag, 0);
	ck_assert_int_eq(send_mode(ep, 1473, NPP_DGRAM_LINK), 0);
	ck_assert_uint_eq(r->n_frames, 3);
	ck_assert_int_eq(send_mode(ep, 1400, 0), 0);	/* cut by what is known of the path */
	ck_assert_uint_eq(r->n_frames, 5);
	ck_assert_int_eq(send_mode(ep, 3000, PROBE | NPP_DGRAM_SEG_FLAGS(1473)), -EMSGSIZE);
	ck_assert_int_eq(send_mode(ep, 2944, PROBE | NPP_DGRAM_SEG_FLAGS(1472)), 0);
	ck_assert_uint_eq(rig_ip(rig_last(r))->frag, htons(IP4_DF));
}
END_TEST

START_TEST(the_home_of_a_socket_hears_what_is_too_big_whoever_is_told)
{
	rig_free(r);
	r = rig_new(3);
	s = r->node[0].s;
	rig_know(r, RIG_PEER, rig_peer_mac);
	for (uint16_t port = 5000; port < 5020; port++) {
		struct udp_endpoint *ep = bind_to(RIG_US, port, 0, 0, false, 1);

		for (unsigned iop = 0; iop < r->n; iop++) {
			ck_assert_int_eq(send_mode(ep, 1472, PROBE), 0);
			r->node[0].udp_err = 0;
			too_big_at(iop, port, 1472, 1400);
			rig_run(r);
			ck_assert_int_eq(r->node[0].udp_err, EMSGSIZE);
		}
		stack_udp_unbind(s, ep);
	}
}
END_TEST

START_TEST(an_old_router_that_names_no_mtu_means_the_next_smaller_one)
{
	struct udp_endpoint *ep = bind_to(RIG_US, 53, RIG_PEER, 9, false, 1);

	ck_assert_int_eq(send_mode(ep, 1472, DO), 0);
	too_big(53, 1472, 0);
	ck_assert_uint_eq(stack_udp_mtu(s, ep), 1492);
	ck_assert_int_eq(send_mode(ep, 1464, DO), 0);
	too_big(53, 1464, 0);
	ck_assert_uint_eq(stack_udp_mtu(s, ep), 1006);
	too_big(53, 700, 100);	/* never below what we go down to */
	ck_assert_uint_eq(stack_udp_mtu(s, ep), IP4_MIN_PMTU);
	ck_assert_uint_eq(r->node[0].udp_error.mtu, IP4_MIN_PMTU);
}
END_TEST

START_TEST(without_a_peer_the_way_of_the_last_datagram_is_told)
{
	struct udp_endpoint *ep = bind_to(RIG_US, 53, 0, 0, false, 1);

	ck_assert_uint_eq(stack_udp_mtu(s, ep), 0);
	ck_assert_int_eq(send_mode(ep, 1472, DO), 0);
	too_big(53, 1472, 1400);
	rig_run(r);
	ck_assert_int_eq(r->node[0].udp_err, EMSGSIZE);
	ck_assert_int_eq(send_mode(ep, 1373, DO), -EMSGSIZE);
	ck_assert_uint_eq(stack_udp_mtu(s, ep), 1400);
	ck_assert_int_eq(send_it(ep, RIG_GW, 9, 10, DO), 0);	/* now to another one: what is said of the first counts no more */
	r->node[0].udp_err = 0;
	too_big(53, 1300, 1300);
	rig_run(r);
	ck_assert_int_eq(r->node[0].udp_err, 0);
	ck_assert_int_eq(send_mode(ep, 1372, DO), 0);
	ck_assert_uint_eq(stack_udp_mtu(s, ep), 1400);
}
END_TEST

/* What fails by the path when it is not asked for teaches nobody: it was a question. */
START_TEST(a_probe_that_is_too_large_does_not_lower_the_path_mtu)
{
	struct udp_endpoint *ep = bind_to(RIG_US, 53, RIG_PEER, 9, false, 1);

	ck_assert_int_eq(send_mode(ep, 1472, PROBE), 0);
	too_big(53, 1472, 1400);
	rig_run(r);
	ck_assert_int_eq(r->node[0].udp_err, EMSGSIZE);
	ck_assert_uint_eq(stack_udp_mtu(s, ep), 1500);
}
END_TEST

START_TEST(a_checksum_of_zero_is_sent_as_its_complement_in_fragments_too)
{
	struct udp_endpoint *ep = bind_to(RIG_US, 53, RIG_PEER, 9, false, 1);
	struct npp_dgram d = { .len = 2000, .port = 9, .addr = rig_addr(RIG_PEER) };
	uint8_t bytes[2000] = { 0 };
	struct stack_slice sl = { bytes, sizeof bytes };

	ck_assert_int_eq(stack_udp_send(s, ep, &d, &sl, 1), 0);
	ck_assert_uint_eq(r->n_frames, 2);
	memcpy(bytes, rig_l4(&r->frame[0]) + 6, 2);	/* what the sum lacks */
	ck_assert_int_eq(stack_udp_send(s, ep, &d, &sl, 1), 0);
	ck_assert_uint_eq(r->n_frames, 4);
	ck_assert_mem_eq(rig_l4(&r->frame[2]) + 6, "\xff\xff", 2);
}
END_TEST

START_TEST(one_call_makes_no_more_than_128_datagrams)
{
	struct udp_endpoint *ep = bind_to(RIG_US, 53, RIG_PEER, 9, false, 1);

	ck_assert_int_eq(send_mode(ep, 128 * 10, NPP_DGRAM_SEG_FLAGS(10)), 0);
	ck_assert_int_eq(send_mode(ep, 128 * 10 + 1, NPP_DGRAM_SEG_FLAGS(10)), -EINVAL);
}
END_TEST

START_TEST(an_endpoint_sends_to_its_neighbour_on_the_same_stack)
{
	struct udp_endpoint *a = bind_to(0, 53, 0, 0, false, 1), *b = bind_to(0, 54, 0, 0, false, 2);

	ck_assert_int_eq(send_it(a, RIG_US, 54, 30000, 0), 0);
	rig_run(r);
	ck_assert_int_eq(got_by(), b->index);
	ck_assert_uint_eq(r->dgram[0].d.port, 53);
	ck_assert_uint_eq(r->n_frames, 0);
	ck_assert_int_eq(send_it(a, RIG_US, 55, 10, 0), 0);	/* nobody: the error comes back here */
	rig_run(r);
	ck_assert_uint_eq(r->n_frames, 0);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ICMP_IN), 1);
}
END_TEST

START_TEST(a_half_made_endpoint_is_dropped_by_the_successor)
{
	struct udp_endpoint *a = bind_to(0, 53, 0, 0, false, 1), *b = bind_to(0, 54, 0, 0, false, 2);
	struct udp_endpoint seen;
	uint32_t cursor = 0, n = 0;
	struct stack_cfg cfg = s->cfg;

	/* The mark stands right behind what the user sees. */
	*(uint32_t *)(void *)((char *)a + sizeof *a) = 2;
	rig_attach(r, 0);
	ck_assert_ptr_null(stack_udp(s, a->index));
	in(RIG_PEER, 1, RIG_US, 54, 1);
	ck_assert_int_eq(got_by(), b->index);
	ck_assert_ptr_nonnull(bind_to(0, 53, 0, 0, false, 1));
	while (n < 10 && udp_inspect((char *)s + s->udp_off, s->tcp_off - s->udp_off, &cfg, &cursor, &seen))
		n++;
	ck_assert_uint_eq(n, 2);
	cursor = 0;
	ck_assert(!udp_inspect((char *)s + s->udp_off, 100, &cfg, &cursor, &seen));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stack/udp");
	TCase *tc = tcase_create("udp");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, connected_before_bound_before_wildcard);
	tcase_add_test(tc, of_those_that_share_the_latest_has_it_and_peers_go_first);
	tcase_add_test(tc, the_datagram_tells_where_it_came_from_and_went_to);
	tcase_add_test(tc, addresses_are_owned_once_unless_all_share);
	tcase_add_test(tc, the_table_is_bounded_and_handles_change);
	tcase_add_test(tc, a_reuseport_group_shares_and_each_flow_stays);
	tcase_add_test(tc, hosts_share_a_port_by_weight_and_all_stacks_agree);
	tcase_add_test(tc, lengths_and_checksums_that_lie_are_counted);
	tcase_add_test(tc, short_udp_length_cuts_and_no_checksum_is_allowed);
	tcase_add_test(tc, broadcast_reaches_all_who_listen);
	tcase_add_test(tc, sending_fills_the_header_and_refuses_nonsense);
	tcase_add_test(tc, what_must_not_be_cut_is_not_and_heeds_the_path);
	tcase_add_test(tc, the_home_of_a_socket_hears_what_is_too_big_whoever_is_told);
	tcase_add_test(tc, an_old_router_that_names_no_mtu_means_the_next_smaller_one);
	tcase_add_test(tc, without_a_peer_the_way_of_the_last_datagram_is_told);
	tcase_add_test(tc, a_probe_that_is_too_large_does_not_lower_the_path_mtu);
	tcase_add_test(tc, a_checksum_of_zero_is_sent_as_its_complement_in_fragments_too);
	tcase_add_test(tc, one_call_makes_no_more_than_128_datagrams);
	tcase_add_test(tc, an_endpoint_sends_to_its_neighbour_on_the_same_stack);
	tcase_add_test(tc, a_half_made_endpoint_is_dropped_by_the_successor);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
