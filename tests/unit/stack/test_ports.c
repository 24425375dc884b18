/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_ports.c - several network ports: which one a packet takes, and sessions that follow the network
 *
 * The rig's NPP has 10.0.0.1/24 on port 0 and 192.168.7.1/24 on port 1; here it is also 10.9.9.9 and
 * fd00::9 as a whole, and has a worse default route by port 1.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

#define WHOLE 0x0a090909u
#define FAR 0x08080808u		/* a peer behind routers */
#define PEER1 0xc0a80705u	/* on port 1 */
#define GW1 0xc0a807feu

static struct rig *r;
static struct stack *s;
static struct rig_pkt p;
static const union npp_addr any;
static const union npp_addr whole6 = { .b = { 0xfd, [15] = 9 } };
static const uint8_t gw1_mac[6] = { 2, 1, 1, 1, 1, 1 };

static void net_changed(void)
{
	atomic_fetch_add(&r->g->net_seq, 2);
	rig_run(r);
}

static void carrier(unsigned port, unsigned up)
{
	atomic_store(&r->g->port[port].up, up);
	net_changed();
}

/* As rig_in(), on PORT. */
static void in_by(unsigned port)
{
	struct npp_frame_rec rec = { .len = p.len, .kind = NPP_REC_FRAME, .port = (uint8_t)port,
				     .rx_us = (uint32_t)r->now_us };

	if (!(p.b[0] & 1))
		memcpy(p.b, port ? rig_mac1 : rig_mac, 6);
	rig_in_raw(r, 0, &rec, p.b, p.len);
	rig_run(r);
}

static void setup(void)
{
	struct npp_global *g;

	r = rig_new(1);
	s = r->node[0].s;
	g = r->g;
	g->addr[g->n_addrs++] = (struct npp_if_addr){ .addr = rig_addr(WHOLE), .prefix_len = 128, .port = NPP_PORT_ANY };
	g->addr[g->n_addrs++] = (struct npp_if_addr){ .addr = whole6, .prefix_len = 128, .port = NPP_PORT_ANY };
	g->route[g->n_routes++] = (struct npp_route){ .dst = rig_addr(0), .prefix_len = 96, .via = rig_addr(GW1), .port = 1,
						      .metric = 30 };
	g->port[0].up = g->port[1].up = 1;
	net_changed();
	rig_know(r, RIG_GW, rig_gw_mac);
	rig_arp(&p, rig_bcast_mac, 1, gw1_mac, GW1, NULL, 0xc0a80701);
	in_by(1);
	rig_advance(r, 5000000);
	rig_forget(r);
}
static void teardown(void) { rig_free(r); }

static struct ip_path path_to(uint32_t dst)
{
	union npp_addr d = rig_addr(dst);
	struct ip_path path;

	ck_assert_int_eq(ip_path_init(s, &path, &any, &d), 0);
	return path;
}

static uint32_t hop(const struct ip_path *path)
{
	return ntohl(npp_addr_get_v4(ip_next_hop(s, path)));
}

/* ---- which port ---------------------------------------------------------------------------- */

START_TEST(a_port_without_carrier_is_no_way_if_there_is_another)
{
	struct ip_path path = path_to(FAR);

	ck_assert_uint_eq(path.port, 0);
	ck_assert_uint_eq(hop(&path), RIG_GW);
	carrier(0, 0);
	path = path_to(FAR);
	ck_assert_uint_eq(path.port, 1);
	ck_assert_uint_eq(hop(&path), GW1);
	path = path_to(RIG_PEER);	/* its network was connected; now a router may lead there */
	ck_assert_uint_eq(path.port, 1);
	ck_assert_uint_eq(hop(&path), GW1);
	carrier(1, 0);
	path = path_to(FAR);		/* none is better than another: as if all were up */
	ck_assert_uint_eq(path.port, 0);
	carrier(0, 1);
	path = path_to(RIG_PEER);
	ck_assert_uint_eq(path.port, 0);
	ck_assert_uint_eq(hop(&path), RIG_PEER);
}
END_TEST

START_TEST(a_cached_path_is_looked_up_anew_when_a_port_fails)
{
	struct ip_path path = path_to(FAR);
	struct stack_tx tx = { .l4_len = 8, .csum_off = 6 };

	ck_assert_int_eq(ip_output(s, &path, 17, 0, 64, true, &tx), 0);
	ck_assert_uint_eq(rig_last(r)->port, 0);
	carrier(0, 0);
	rig_forget(r);
	tx = (struct stack_tx){ .l4_len = 8, .csum_off = 6 };
	ck_assert_int_eq(ip_output(s, &path, 17, 0, 64, true, &tx), 0);
	ck_assert_uint_eq(rig_last(r)->port, 1);
	ck_assert_mem_eq(rig_last(r)->data, gw1_mac, 6);
	ck_assert_mem_eq(rig_last(r)->data + 6, rig_mac1, 6);
}
END_TEST

START_TEST(of_equal_ways_that_by_which_the_peer_was_heard_is_taken)
{
	union npp_addr far = rig_addr(FAR), near = rig_addr(RIG_PEER), us = rig_addr(WHOLE);
	struct ip_path path;

	ck_assert_int_eq(ip_path_answer(s, &path, &us, &far, 1), 0);
	ck_assert_uint_eq(path.port, 1);	/* though its metric is worse */
	ip_heard(&path, 0);
	ck_assert_int_eq(ip_path_refresh(s, &path), 0);
	ck_assert_uint_eq(path.port, 0);
	ck_assert_int_eq(ip_path_answer(s, &path, &us, &near, 1), 0);
	ck_assert_uint_eq(path.port, 0);	/* a connected network is the longer prefix */
	carrier(1, 0);
	ck_assert_int_eq(ip_path_answer(s, &path, &us, &far, 1), 0);
	ck_assert_uint_eq(path.port, 0);	/* a dead port is none, whoever was heard there */
}
END_TEST

static unsigned sent_by(struct udp_endpoint *ep, uint32_t to, uint32_t by)
{
	struct npp_dgram d = { .len = 4, .port = 99, .addr = rig_addr(to), .flags = NPP_DGRAM_PORT_FLAGS(by) };
	struct stack_slice sl = { "text", 4 };

	rig_forget(r);
	ck_assert_int_eq(stack_udp_send(s, ep, &d, &sl, 1), 0);
	ck_assert_uint_eq(r->n_frames, 1);
	return rig_last(r)->port;
}

START_TEST(datagrams_tell_by_which_port_they_came_and_answers_take_it)
{
	struct udp_endpoint t = { .lport = 53, .user_sock = 7 }, *ep;
	int err;

	ep = stack_udp_bind(s, &t, &err);
	ck_assert_ptr_nonnull(ep);
	for (unsigned i = 0; i < 2; i++) {
		rig_udp(&p, FAR + i, 99, WHOLE, 53, 10);
		in_by(i);
		ck_assert_uint_eq(NPP_DGRAM_PORT(r->dgram[i].d.flags), i + 1);
	}
	for (unsigned round = 0; round < 2; round++) {	/* two peers in turn: none is remembered here */
		ck_assert_uint_eq(sent_by(ep, FAR + 1, 2), 1);
		ck_assert_uint_eq(sent_by(ep, FAR, 1), 0);
	}
	ck_assert_uint_eq(sent_by(ep, FAR, 2), 1);	/* it has moved */
	ck_assert_uint_eq(sent_by(ep, FAR + 2, 0), 0);	/* not heard of */
	ck_assert_uint_eq(sent_by(ep, FAR + 2, 7), 0);	/* there is no such port */
	carrier(1, 0);
	ck_assert_uint_eq(sent_by(ep, FAR + 1, 2), 0);
}
END_TEST

START_TEST(a_connection_is_opened_by_the_port_that_its_peer_is_said_to_be_at)
{
	union npp_addr us = rig_addr(WHOLE), far = rig_addr(FAR);
	struct tcp_options o = { .by_port = 2 };
	int err;
	struct tcp_conn *c = stack_connect(s, &us, 0, &far, 80, &o, &err);

	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->port, 1);
	o.by_port = 0;
	c = stack_connect(s, &us, 0, &far, 81, &o, &err);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->port, 0);
}
END_TEST

START_TEST(whoever_is_behind_a_router_is_spoken_to_from_an_address_of_no_port)
{
	struct ip_path path = path_to(FAR);
	union npp_addr far6 = { .b = { 0x20, 1, [15] = 1 } };

	ck_assert_uint_eq(ntohl(npp_addr_get_v4(&path.src)), WHOLE);
	path = path_to(RIG_PEER);
	ck_assert_uint_eq(ntohl(npp_addr_get_v4(&path.src)), RIG_US);
	path = path_to(PEER1);
	ck_assert_uint_eq(ntohl(npp_addr_get_v4(&path.src)), 0xc0a80701);
	r->g->route[r->g->n_routes++] = (struct npp_route){ .via = { .b = { 0xfe, 0x80, [15] = 1 } }, .port = 1 };
	net_changed();
	ck_assert_int_eq(ip_path_init(s, &path, &any, &far6), 0);
	ck_assert_uint_eq(path.port, 1);
	ck_assert(npp_addr_eq(&path.src, &whole6));
}
END_TEST

START_TEST(groups_and_broadcasts_leave_by_a_port_that_is_up)
{
	ck_assert_uint_eq(path_to(0xe1020304).port, 0);
	r->g->n_routes = 0;
	carrier(0, 0);
	ck_assert_uint_eq(path_to(0xe1020304).port, 1);
	ck_assert_uint_eq(path_to(0xffffffff).port, 1);
}
END_TEST

/* ---- ARP and neighbour discovery --------------------------------------------------------------- */

/* Announcements of ADDR by PORT among what was caught. */
static unsigned announced(uint32_t addr, unsigned port)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_frames; i++) {
		const struct arp_hdr *a = rig_arp_of(&r->frame[i]);
		uint32_t be = htonl(addr);

		n += a && r->frame[i].port == port && memcmp(a->spa, &be, 4) == 0 && memcmp(a->tpa, &be, 4) == 0 &&
		     memcmp(a->sha, port ? rig_mac1 : rig_mac, 6) == 0;
	}
	return n;
}

/* Neighbour discovery messages of TYPE about ADDR by PORT. */
static unsigned nd_about(uint8_t type, const union npp_addr *addr, unsigned port)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_frames; i++) {
		const uint8_t *l4 = r->frame[i].data + 54;

		n += rig_ip6(&r->frame[i]) && r->frame[i].port == port && r->frame[i].len >= 78 && l4[0] == type &&
		     memcmp(l4 + 8, addr->b, 16) == 0;
	}
	return n;
}

START_TEST(an_address_of_the_whole_is_announced_at_once_where_it_is_now)
{
	carrier(0, 0);
	ck_assert_uint_eq(announced(WHOLE, 1), 1);
	ck_assert_uint_eq(announced(WHOLE, 0), 0);
	ck_assert_uint_eq(announced(RIG_US, 0) + announced(RIG_US, 1), 0);	/* its network is not there */
	ck_assert_uint_eq(nd_about(136, &whole6, 1), 1);	/* said, not asked */
	ck_assert_uint_eq(nd_about(135, &whole6, 1), 0);
	ck_assert_uint_eq(nd_about(136, &whole6, 0), 0);
	rig_forget(r);
	rig_advance(r, 3000000);
	ck_assert_uint_eq(announced(WHOLE, 1), 1);		/* RFC 5227: twice */
	rig_forget(r);
	carrier(0, 1);
	ck_assert_uint_eq(announced(WHOLE, 0), 1);
	ck_assert_uint_eq(announced(RIG_US, 0), 1);
}
END_TEST

START_TEST(two_ports_on_one_network_take_each_others_place)
{
	uint32_t both = 0x0a000003;	/* of the whole, in the network of port 0, which is now that of port 1, too */

	r->g->addr[r->g->n_addrs++] = (struct npp_if_addr){ .addr = rig_addr(both), .prefix_len = 96 + 24, .port = NPP_PORT_ANY };
	r->g->addr[r->g->n_addrs++] = (struct npp_if_addr){ .addr = rig_addr(both + 1), .prefix_len = 128, .port = NPP_PORT_ANY };
	net_changed();
	rig_advance(r, 5000000);
	rig_forget(r);
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, NULL, both);
	in_by(1);
	ck_assert_uint_eq(r->n_frames, 0);	/* port 0 hears it as well, and answers */
	in_by(0);
	ck_assert_uint_eq(rig_count_arp(r, 2), 1);
	rig_forget(r);
	carrier(0, 0);
	ck_assert_uint_eq(announced(both, 1), 1);
	ck_assert_uint_eq(announced(both + 1, 1), 1);
	ck_assert_uint_eq(announced(RIG_US, 1), 1);	/* one of the port that failed: here it can be had */
	rig_forget(r);
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, NULL, both);
	in_by(1);
	ck_assert_uint_eq(rig_count_arp(r, 2), 1);
	ck_assert_uint_eq(rig_last(r)->port, 1);
	ck_assert_uint_eq(path_to(RIG_PEER).port, 1);
	rig_forget(r);
	carrier(0, 1);
	ck_assert_uint_eq(announced(both, 0) + announced(both + 1, 0), 2);
	ck_assert_uint_eq(announced(both, 1) + announced(both + 1, 1) + announced(RIG_US, 1), 0);
}
END_TEST

START_TEST(a_port_answers_for_its_own_addresses_and_those_of_the_whole)
{
	rig_arp(&p, rig_bcast_mac, 1, gw1_mac, GW1, NULL, RIG_US);
	in_by(1);
	ck_assert_uint_eq(r->n_frames, 0);	/* that is to be had by port 0 */
	rig_arp(&p, rig_bcast_mac, 1, gw1_mac, GW1, NULL, WHOLE);
	in_by(1);
	ck_assert_uint_eq(rig_count_arp(r, 2), 1);
	ck_assert_mem_eq(rig_arp_of(rig_last(r))->sha, rig_mac1, 6);
}
END_TEST

START_TEST(what_one_port_says_and_another_hears_is_no_conflict)
{
	uint64_t before = rig_stat(r, 0, NPP_IS_ARP_CONFLICTS);

	rig_arp(&p, rig_bcast_mac, 1, rig_mac, RIG_US, NULL, RIG_US);
	in_by(1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ARP_CONFLICTS), before);
	rig_arp(&p, rig_bcast_mac, 1, gw1_mac, RIG_US, NULL, RIG_US);
	in_by(1);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_ARP_CONFLICTS), before + 1);
}
END_TEST

START_TEST(a_neighbour_that_did_not_answer_is_asked_when_its_port_is_back)
{
	struct ip_path path = path_to(PEER1);
	struct stack_tx tx = { .l4_len = 8, .csum_off = 6 };

	ip_output(s, &path, 17, 0, 64, true, &tx);
	rig_advance(r, 4000000);	/* nobody answers */
	rig_forget(r);
	tx = (struct stack_tx){ .l4_len = 8, .csum_off = 6 };
	ck_assert_int_eq(ip_output(s, &path, 17, 0, 64, true, &tx), -EHOSTUNREACH);
	carrier(1, 0);
	carrier(1, 1);
	rig_forget(r);
	tx = (struct stack_tx){ .l4_len = 8, .csum_off = 6 };
	ck_assert_int_eq(ip_output(s, &path, 17, 0, 64, true, &tx), 0);
	ck_assert_uint_eq(rig_count_arp(r, 1), 1);
}
END_TEST

START_TEST(groups_are_told_to_each_port_and_answers_go_where_the_question_came_from)
{
	static const uint8_t query[8] = { 0x11, 100, 0, 0, 0, 0, 0, 0 };	/* IGMP 2, general */
	struct udp_endpoint t = { .lport = 53, .laddr = npp_addr_v4(0) };
	struct npp_member m = { .group = rig_addr(0xe1020304), .exclude = 1 };
	unsigned talks, others;
	uint16_t sum;
	int err;
	struct udp_endpoint *ep = stack_udp_bind(s, &t, &err);

	ck_assert_ptr_nonnull(ep);
	talks = r->n_talks;
	others = r->n_others;
	ck_assert_int_eq(stack_udp_members(s, ep, &m, 1), 0);
	rig_advance(r, 3000000);
	ck_assert_uint_eq(r->n_talks, talks + 2);
	ck_assert_uint_eq(r->n_others, others + 2);
	ck_assert_uint_eq(ntohl(npp_addr_get_v4(&r->other.src)), 0xc0a80701);
	rig_ip4(&p, PEER1, 0xe0000001, 2, 1, 0);
	memcpy(p.b, (uint8_t[]){ 1, 0, 0x5e, 0, 0, 1 }, 6);
	p.b[22] = 1;
	rig_put(&p, query, sizeof query);
	rig_ip4_end(&p);
	sum = npp_csum_finish(npp_csum_add(p.b + p.l4, p.len - p.l4, 0));
	memcpy(p.b + p.l4 + 2, &sum, 2);
	in_by(1);
	rig_advance(r, 12000000);
	ck_assert_uint_eq(r->n_talks, talks + 2);
	ck_assert_uint_eq(r->n_others, others + 3);
	ck_assert_uint_eq(r->other.l4[0], 0x16);	/* in the words of the querier there ... */
	carrier(0, 0);
	carrier(0, 1);
	rig_advance(r, 3000000);
	ck_assert_uint_ge(r->n_talks, talks + 4);	/* ... and a port that was away hears all of it anew */
	ck_assert_uint_eq(r->talk[(r->n_talks - 1) % RIG_TALKS].l4[0], 0x22);
}
END_TEST

/* ---- sessions -------------------------------------------------------------------------------------- */

#define PEER_SEQ 5000u

/* FAR opens a connection to the address of the whole by PORT. */
static struct tcp_conn *open_by(unsigned port)
{
	struct tcp_listener l = { .addr = npp_addr_v4(0), .port = 80, .backlog = 16 };
	const struct tcp_hdr *t;
	struct tcp_conn *c;
	int err;

	ck_assert_ptr_nonnull(stack_listen(s, &l, &err));
	rig_tcp(&p, FAR, 1234, WHOLE, 80, TCPF_SYN, PEER_SEQ, 0, 0);
	in_by(port);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(rig_last(r)->port, port);
	t = (const struct tcp_hdr *)rig_l4(rig_last(r));
	rig_tcp(&p, FAR, 1234, WHOLE, 80, TCPF_ACK, PEER_SEQ + 1, ntohl(t->seq) + 1, 0);
	in_by(port);
	c = stack_conn(s, 0);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(c->port, port);
	rig_forget(r);
	return c;
}

static void say(struct tcp_conn *c, uint32_t n)
{
	memset(c->tx.base, 'x', c->tx.size);
	stack_tcp_sent(s, c, c->tx_head + n);
	rig_run(r);
}

static uint32_t ack_of_last(uint32_t len)
{
	return ntohl(((const struct tcp_hdr *)rig_l4(rig_last(r)))->seq) + len;
}

START_TEST(a_session_goes_on_by_the_other_port_when_its_own_fails)
{
	struct tcp_conn *c = open_by(0);
	uint64_t now;

	say(c, 100);
	ck_assert_uint_eq(rig_last(r)->port, 0);
	rig_forget(r);
	r->node[0].up = 0;
	now = r->now_us;
	carrier(0, 0);
	rig_advance(r, 2000);	/* what was in flight by it is not waited for: the probe is due at once */
	ck_assert_uint_gt(r->n_frames, 0);
	ck_assert_uint_eq(rig_last(r)->port, 1);
	ck_assert_ptr_nonnull(rig_ip(rig_last(r)));
	ck_assert_uint_le(r->now_us - now, 10000);
	ck_assert_uint_eq(c->port, 1);
	ck_assert(r->node[0].up & TCP_UP_PORT);
	ck_assert_uint_eq(rig_stat(r, 0, NPP_IS_PORT_MOVES), 1);
	rig_tcp(&p, FAR, 1234, WHOLE, 80, TCPF_ACK, PEER_SEQ + 1, ack_of_last(100), 0);
	in_by(1);
	ck_assert_uint_eq(c->tx_tail, 100);
	ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
	rig_forget(r);
	carrier(0, 1);
	say(c, 50);		/* the peer was heard by port 1 last, and both lead there */
	ck_assert_uint_eq(rig_last(r)->port, 1);
}
END_TEST

START_TEST(a_session_follows_its_peer_to_another_port)
{
	struct tcp_conn *c = open_by(0);

	/* The network has failed somewhere behind port 0: the peer comes by the other one now. */
	say(c, 10);
	rig_tcp(&p, FAR, 1234, WHOLE, 80, TCPF_ACK | TCPF_PSH, PEER_SEQ + 1, ack_of_last(10), 20);
	rig_forget(r);
	in_by(1);
	say(c, 30);
	ck_assert_uint_eq(rig_last(r)->port, 1);
	ck_assert_uint_eq(c->port, 1);
	ck_assert_uint_eq(c->rx_head, 20);
}
END_TEST

START_TEST(a_forged_segment_does_not_move_a_session)
{
	struct tcp_conn *c = open_by(0);

	rig_tcp(&p, FAR, 1234, WHOLE, 80, TCPF_ACK, PEER_SEQ + 1 + (1u << 30), 77, 0);	/* outside the window */
	in_by(1);
	rig_forget(r);
	say(c, 30);
	ck_assert_uint_eq(rig_last(r)->port, 0);
}
END_TEST

START_TEST(a_session_that_a_program_opens_is_bound_to_no_port)
{
	struct tcp_options o = { .opt_flags = 0 };
	union npp_addr far = rig_addr(FAR), none = npp_addr_v4(0);
	const struct tcp_hdr *t;
	struct tcp_conn *c;
	int err;

	c = stack_connect(s, &none, 0, &far, 80, &o, &err);
	ck_assert_ptr_nonnull(c);
	rig_run(r);
	ck_assert_uint_eq(ntohl(npp_addr_get_v4(&c->laddr)), WHOLE);
	ck_assert_uint_eq(rig_last(r)->port, 0);
	carrier(0, 0);
	rig_advance(r, 2000);	/* the SYN again, by the port that is left */
	ck_assert_uint_eq(rig_last(r)->port, 1);
	t = (const struct tcp_hdr *)rig_l4(rig_last(r));
	rig_tcp(&p, FAR, 80, WHOLE, c->lport, TCPF_SYN | TCPF_ACK, 900, ntohl(t->seq) + 1, 0);
	in_by(1);
	ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(c->port, 1);
}
END_TEST

START_TEST(answers_without_a_session_go_where_the_question_came_from)
{
	rig_echo(&p, FAR, WHOLE, 30);
	in_by(1);
	ck_assert_uint_eq(r->n_frames, 1);
	ck_assert_uint_eq(rig_last(r)->port, 1);
	rig_tcp(&p, FAR, 1, WHOLE, 81, TCPF_SYN, 1, 0, 0);
	in_by(1);
	ck_assert_uint_eq(rig_last(r)->port, 1);	/* RST */
	rig_forget(r);
	rig_tcp(&p, FAR, 1, WHOLE, 81, TCPF_SYN, 1, 0, 0);
	in_by(0);
	ck_assert_uint_eq(rig_last(r)->port, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stack/ports");
	TCase *tc = tcase_create("ports");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_port_without_carrier_is_no_way_if_there_is_another);
	tcase_add_test(tc, a_cached_path_is_looked_up_anew_when_a_port_fails);
	tcase_add_test(tc, of_equal_ways_that_by_which_the_peer_was_heard_is_taken);
	tcase_add_test(tc, datagrams_tell_by_which_port_they_came_and_answers_take_it);
	tcase_add_test(tc, a_connection_is_opened_by_the_port_that_its_peer_is_said_to_be_at);
	tcase_add_test(tc, whoever_is_behind_a_router_is_spoken_to_from_an_address_of_no_port);
	tcase_add_test(tc, groups_and_broadcasts_leave_by_a_port_that_is_up);
	tcase_add_test(tc, an_address_of_the_whole_is_announced_at_once_where_it_is_now);
	tcase_add_test(tc, two_ports_on_one_network_take_each_others_place);
	tcase_add_test(tc, a_port_answers_for_its_own_addresses_and_those_of_the_whole);
	tcase_add_test(tc, what_one_port_says_and_another_hears_is_no_conflict);
	tcase_add_test(tc, a_neighbour_that_did_not_answer_is_asked_when_its_port_is_back);
	tcase_add_test(tc, groups_are_told_to_each_port_and_answers_go_where_the_question_came_from);
	tcase_add_test(tc, a_session_goes_on_by_the_other_port_when_its_own_fails);
	tcase_add_test(tc, a_session_follows_its_peer_to_another_port);
	tcase_add_test(tc, a_forged_segment_does_not_move_a_session);
	tcase_add_test(tc, a_session_that_a_program_opens_is_bound_to_no_port);
	tcase_add_test(tc, answers_without_a_session_go_where_the_question_came_from);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
