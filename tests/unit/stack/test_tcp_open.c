/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_open.c - CLOSED, LISTEN, SYN_SENT: each state and what can come
 *
 * Half-open connections of listeners are in test_tcp_half.c.
 */
#include "config.h"

#include "shm/share.h"
#include "tests/unit/stack/tcp_open.h"

/* ---- CLOSED (RFC 9293, 3.10.7.1) ----------------------------------------------------------- */

START_TEST(closed_syn_is_refused)
{
	put(TCPF_SYN, 100, 0);
	expect(TCPF_RST | TCPF_ACK, 0, 101);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(closed_ack_is_reset_at_its_ack)
{
	put(TCPF_ACK, 100, 777);
	expect(TCPF_RST, 777, 0);
	put(TCPF_SYN | TCPF_ACK, 100, 778);
	expect(TCPF_RST, 778, 0);
}
END_TEST

START_TEST(closed_rst_is_ignored)
{
	put(TCPF_RST, 100, 0);
	put(TCPF_RST | TCPF_ACK, 100, 5);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_NO_CONN), 2);
}
END_TEST

START_TEST(wrong_checksum_and_broadcast_are_dropped)
{
	struct tcp_hdr hdr = { .sport = htons(1), .dport = htons(PORT), .off = 0x50, .flags = TCPF_SYN };
	struct pkt pkt = { .src = h->peer, .dst = h->addr, .l4 = (uint8_t *)&hdr, .l4_len = 20 };

	th_listen(h, PORT, 8);
	tcp_input(h->s, &pkt);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_CSUM), 1);
	pkt.csum_ok = true;
	pkt.l2_bcast = true;
	tcp_input(h->s, &pkt);
	pkt.l2_bcast = false;
	pkt.dst = npp_addr_v4(htonl(0xe0000001));
	tcp_input(h->s, &pkt);
	pkt.dst = h->addr;
	pkt.src = npp_addr_v4(htonl(0xffffffff));
	tcp_input(h->s, &pkt);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_DST), 3);
	ck_assert(th_none(h));
}
END_TEST

START_TEST(headers_that_lie_are_dropped)
{
	uint8_t buf[60] = { 0 };
	struct tcp_hdr *hdr = (struct tcp_hdr *)buf;
	struct pkt pkt = { .src = h->peer, .dst = h->addr, .l4 = buf, .l4_len = 24, .csum_ok = true };

	th_listen(h, PORT, 8);
	*hdr = (struct tcp_hdr){ .sport = htons(1), .dport = htons(PORT), .off = 0x60, .flags = TCPF_SYN };
	for (uint32_t len = 0; len < 24; len++) {
		pkt.l4_len = len;
		tcp_input(h->s, &pkt);
	}
	pkt.l4_len = 24;
	hdr->off = 0x40;
	tcp_input(h->s, &pkt);
	hdr->off = 0x60;
	for (int kind = 2; kind < 10; kind++) { /* options of length 0, 1 and too long */
		for (int len = 0; len < 9; len++) {
			buf[20] = 1;
			buf[21] = 1;
			buf[22] = (uint8_t)kind;
			buf[23] = (uint8_t)(len == 2 ? 9 : len);
			tcp_input(h->s, &pkt);
		}
	}
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_TCP_HEADER), 24 + 1 + 8 * 9);
	ck_assert(th_none(h));
}
END_TEST

/* ---- LISTEN ------------------------------------------------------------------------------------ */

START_TEST(listen_answers_syn_with_the_options_that_it_offers)
{
	struct tcp_seg g = bare(TCPF_SYN, TP_ISS, 0);
	struct th_seg *o;

	th_listen(h, PORT, 8);
	g.opt = ALL_OPTS | TO_MSS;
	g.mss = 1460;
	g.wscale = 7;
	g.tsval = 55;
	th_input(h, &g, NULL, 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert_uint_eq(o->g.ack, TP_ISS + 1);
	ck_assert_uint_eq(o->g.opt, ALL_OPTS | TO_MSS);
	ck_assert_uint_eq(o->g.mss, 1460);
	ck_assert_uint_eq(o->g.tsecr, 55);
	ck_assert_uint_eq(o->g.wscale, TCP_WSCALE);
	g.sport++;
	g.opt = 0;
	th_input(h, &g, NULL, 0);
	o = th_next(h);
	ck_assert_uint_eq(o->g.opt, TO_MSS);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 2);
}
END_TEST

START_TEST(listen_ack_is_reset_and_the_rest_dropped)
{
	th_listen(h, PORT, 8);
	put(TCPF_ACK, 5, 900);
	expect(TCPF_RST, 900, 0);
	put(TCPF_RST, 5, 0);
	put(0, 5, 0);
	put(TCPF_FIN, 5, 0);
	put(TCPF_SYN | TCPF_FIN, 5, 0);
	put(TCPF_SYN | TCPF_RST, 5, 0);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 0);
}
END_TEST

START_TEST(listen_answers_syn_as_soon_as_the_accept_queue_has_room)
{
	th_listen(h, PORT, 8);
	h->accept_room = false;
	put(TCPF_SYN, 5, 0);
	th_advance(h, 100000);
	put(TCPF_SYN, 5, 0); /* the peer is impatient */
	ck_assert(th_none(h));
	h->accept_room = true;
	th_advance(h, 20000);
	ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN | TCPF_ACK);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_SYN_HELD), 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_RETRANS), 0);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_ACCEPT_FULL), 0);
}
END_TEST

START_TEST(listen_with_a_queue_that_stays_full_drops_syn)
{
	th_listen(h, PORT, 8);
	h->accept_room = false;
	put(TCPF_SYN, 5, 0);
	th_advance(h, 2000000);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_ACCEPT_FULL), 1);
	ck_assert_uint_eq(th_stat(h, NPP_IS_HALF_OPEN), 0);
}
END_TEST

START_TEST(listen_with_a_full_accept_queue_holds_few_syns)
{
	struct tcp_seg g = bare(TCPF_SYN, TP_ISS, 0);

	th_listen(h, PORT, 4);
	h->accept_room = false;
	for (int i = 0; i < 20; i++, g.sport++)
		th_input(h, &g, NULL, 0);
	ck_assert(th_none(h));
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_SYN_HELD), 16);
	ck_assert_uint_eq(th_stat(h, NPP_IS_DROP_ACCEPT_FULL), 4);
}
END_TEST

/* Peers that are half open for other reasons, and may be so for hours, do not count. */
START_TEST(listen_holds_syns_however_many_are_half_open)
{
	struct th *big = th_new(2048);
	struct tcp_seg g = bare(TCPF_SYN, TP_ISS, 0);

	th_listen(big, PORT, 2048);
	for (int i = 0; i < 300; i++, g.sport++)
		th_input(big, &g, NULL, 0);
	th_forget(big);
	big->accept_room = false;
	for (int i = 0; i < 257; i++, g.sport++)
		th_input(big, &g, NULL, 0);
	ck_assert(th_none(big));
	ck_assert_uint_eq(th_stat(big, NPP_IS_TCP_SYN_HELD), 256);
	ck_assert_uint_eq(th_stat(big, NPP_IS_DROP_ACCEPT_FULL), 1);
	th_restart(big);
	big->accept_room = true;
	th_advance(big, 20000);
	th_forget(big);
	big->accept_room = false;
	th_input(big, &g, NULL, 0); /* those before wait no more */
	ck_assert_uint_eq(th_stat(big, NPP_IS_TCP_SYN_HELD), 257);
	th_free(big);
}
END_TEST

START_TEST(listeners_are_found_by_address_and_port)
{
	struct tcp_listener tmpl = { .addr = h->addr, .port = PORT, .backlog = 4, .reuseport = 1 };
	struct tcp_listener *wild = th_listen(h, PORT, 4), *a, *b;
	unsigned hits[3] = { 0 };
	int err;

	ck_assert_ptr_null(stack_listen(h->s, &(struct tcp_listener){ .addr = npp_addr_v4(0), .port = PORT }, &err));
	ck_assert_int_eq(err, -EADDRINUSE);
	a = stack_listen(h->s, &tmpl, &err);
	b = stack_listen(h->s, &tmpl, &err);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	for (uint16_t port = 1; port <= 60; port++) {
		struct pkt pkt = { .src = h->peer, .dst = h->addr };
		uint32_t hash = tcp_hash(h->s, &pkt.dst, PORT, &pkt.src, port);

		hits[tcp_lookup_listener(h->s, &pkt, PORT, hash)->l.index]++;
		pkt.dst = h->peer;
		ck_assert_ptr_eq(&tcp_lookup_listener(h->s, &pkt, PORT, hash)->l, wild);
	}
	ck_assert_uint_eq(hits[wild->index], 0);
	ck_assert_uint_gt(hits[a->index], 15);
	ck_assert_uint_gt(hits[b->index], 15);
}
END_TEST

static unsigned host_of(uint16_t port)
{
	uint8_t l4[20] = { (uint8_t)(port >> 8), (uint8_t)port };
	struct pkt pkt = { .src = h->peer, .dst = h->addr, .l4 = l4, .l4_len = sizeof l4 };

	return tcp_lookup_listener(h->s, &pkt, PORT, tcp_hash(h->s, &pkt.dst, PORT, &pkt.src, port))->l.user_host;
}

START_TEST(hosts_share_a_listener_by_weight_or_in_order)
{
	struct tcp_listener tmpl = { .addr = npp_addr_v4(0), .port = PORT, .backlog = 4 };
	struct tcp_listener *l[3];
	unsigned n[3] = { 0 };
	int err;

	for (uint8_t i = 0; i < 3; i++) {
		tmpl.user_host = i;
		l[i] = stack_listen(h->s, &tmpl, &err);
		ck_assert_ptr_nonnull(l[i]);
	}
	ck_assert_ptr_null(stack_listen(h->s, &tmpl, &err)); /* the same host twice */
	h->global->share = npp_share_with(npp_share_with(0, 0, 2), 1, 1); /* 2 is no member */
	for (uint16_t port = 1; port <= 600; port++)
		n[host_of(port)]++;
	ck_assert(n[0] > 340 && n[0] < 460);
	ck_assert_uint_eq(n[2], 0);
	h->global->share_policy = NPP_SHARE_STANDBY;
	for (uint16_t port = 1; port <= 50; port++)
		ck_assert_uint_eq(host_of(port), 1);
	stack_unlisten(h->s, l[1]);
	ck_assert_uint_eq(host_of(77), 0);
	stack_unlisten(h->s, l[0]);
	ck_assert_uint_eq(host_of(77), 2);
	stack_unlisten(h->s, l[2]);
}
END_TEST

START_TEST(hosts_share_a_listener_by_load)
{
	struct tcp_listener tmpl = { .addr = npp_addr_v4(0), .port = PORT, .backlog = 4 };
	struct npp_host_load load[2] = { 0 };
	unsigned n[3] = { 0 };
	int err;

	for (uint8_t i = 0; i < 3; i++) {
		tmpl.user_host = i;
		ck_assert_ptr_nonnull(stack_listen(h->s, &tmpl, &err));
	}
	h->global->share = npp_share_with(npp_share_with(0, 0, 2), 1, 1); /* 2 is no member */
	h->global->share_policy = NPP_SHARE_LOAD;
	h->env.load = load;
	h->s->cfg.n_iops = 2; /* rows that are summed */
	load[0].open[0] = 3;
	load[1].open[0] = 2;
	load[1].open[1] = 3;
	for (uint16_t port = 1; port <= 50; port++)
		ck_assert_uint_eq(host_of(port), 0); /* (5 + 1) / 2 against (3 + 1) / 1 */
	load[0].open[0] = 6;
	for (uint16_t port = 1; port <= 50; port++)
		ck_assert_uint_eq(host_of(port), 1);
	load[1].open[0] = 1; /* as much for each: the flow decides */
	for (uint16_t port = 1; port <= 600; port++)
		n[host_of(port)]++;
	ck_assert(n[0] > 200 && n[1] > 200 && n[2] == 0);
	h->global->share = npp_share_with(npp_share_with(0, 0, 1), 1, 1);
	load[0].open[0] = 0;
	put(TCPF_SYN, TP_ISS, 0); /* to 0, which has less: half open counts, too */
	load[1].open[0] = 3;
	for (uint16_t port = 5001; port <= 5050; port++)
		ck_assert_uint_eq(host_of(port), 1);
	h->global->share = 0; /* no member is left: any that listens */
	ck_assert_uint_lt(host_of(77), 3);
}
END_TEST

/* ---- SYN_SENT (3.10.7.3) ------------------------------------------------------------------------------ */

/* With options O, or without. */
static struct tcp_conn *open_as(uint16_t rport, const struct tcp_options *o)
{
	int err;
	struct tcp_conn *c = stack_connect(h->s, &h->addr, 0, &h->peer, rport, o, &err);

	ck_assert_ptr_nonnull(c);
	h->sock[0] = (struct th_sock){ .used = true, .c = c };
	c->user_sock = 1;
	return c;
}

static struct tcp_conn *open_to(uint16_t rport)
{
	return open_as(rport, NULL);
}

static struct tcp_seg to_conn(const struct tcp_conn *c, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct tcp_seg){ .sport = c->rport, .dport = c->lport, .seq = seq, .ack = ack, .flags = flags,
				 .wnd = 5000 };
}

START_TEST(syn_sent_handshake)
{
	th_listen(h, PORT, 1);
	tp_connect(&p, h, 443, ALL_OPTS);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_CONNECTED), 1);
	ck_assert_uint_eq(tcb_of(p.k->c)->snd_ws, 7);
}
END_TEST

/* RFC 6298, 5.7: nothing is known of a path that has lost a SYN, unless timestamps tell. */
START_TEST(syn_sent_an_mss_that_is_too_small_is_not_taken_at_its_word)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_SYN | TCPF_ACK, 9, iss + 1);

	g.opt = TO_MSS | TO_TS;
	g.mss = 1;
	g.tsval = 1;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(tcb_of(c)->mss, TCP_MSS_MIN - 12);
}
END_TEST

START_TEST(syn_sent_lost_syn_makes_a_patient_connection)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_SYN | TCPF_ACK, 7, iss + 1);

	th_advance(h, 1100000);
	th_forget(h);
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(tcb_of(c)->rto_us, TCP_RTO_LOST_SYN_US);
	ck_assert_uint_eq(tcb_of(c)->backoff, 0);
}
END_TEST

START_TEST(syn_sent_rst_with_ack_refuses)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_RST, 0, 0);

	th_input(h, &g, NULL, 0);
	ck_assert_ptr_nonnull(h->sock[0].c);
	g = to_conn(c, TCPF_RST | TCPF_ACK, 0, iss + 2); /* acknowledges what was not sent */
	th_input(h, &g, NULL, 0);
	ck_assert_ptr_nonnull(h->sock[0].c);
	ck_assert(th_none(h));
	g = to_conn(c, TCPF_RST | TCPF_ACK, 0, iss + 1);
	th_input(h, &g, NULL, 0);
	ck_assert_ptr_null(h->sock[0].c);
	ck_assert_int_eq(h->sock[0].error, ECONNREFUSED);
	ck_assert(h->sock[0].events & TCP_UP_ERROR);
}
END_TEST

START_TEST(syn_sent_wrong_ack_is_reset)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_SYN | TCPF_ACK, 7, iss);

	th_input(h, &g, NULL, 0);
	expect(TCPF_RST, iss, 0);
	g = to_conn(c, TCPF_ACK, 7, iss + 1); /* good ACK, no SYN: nothing */
	th_input(h, &g, NULL, 0);
	ck_assert(th_none(h));
	ck_assert_int_eq(c->state, TCP_ST_SYN_SENT);
}
END_TEST

START_TEST(syn_sent_gives_up_after_four_minutes)
{
	unsigned n = 0;

	open_to(443);
	th_advance(h, 246000000);
	ck_assert_ptr_nonnull(h->sock[0].c);
	th_advance(h, 3000000);
	ck_assert_ptr_null(h->sock[0].c);
	ck_assert_int_eq(h->sock[0].error, ETIMEDOUT);
	for (; !th_none(h); n++)
		ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN);
	ck_assert_uint_eq(n, 1 + TCP_SYN_TRIES);
}
END_TEST

/* TCP_SYNCNT */
START_TEST(syn_sent_gives_up_after_as_many_syns_as_it_was_told)
{
	struct tcp_options o = { .syn_cnt = 2 };
	unsigned n = 0;

	open_as(443, &o);
	stack_flush(h->s);
	th_advance(h, 6900000);
	ck_assert_ptr_nonnull(h->sock[0].c);
	th_advance(h, 200000);
	ck_assert_ptr_null(h->sock[0].c);
	ck_assert_int_eq(h->sock[0].error, ETIMEDOUT);
	for (; !th_none(h); n++)
		ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN);
	ck_assert_uint_eq(n, 3);
}
END_TEST

/* As many as can be asked for (127); a host may write more into the word. */
START_TEST(syn_sent_gives_up_after_the_most_syns_too)
{
	struct tcp_options o = { .syn_cnt = _i };
	unsigned n = 0;

	open_as(443, &o);
	stack_flush(h->s);
	for (unsigned k = 0; k < 150 && h->sock[0].c; k++) {
		th_advance(h, TCP_RTO_MAX_US);
		for (; !th_none(h); n++)
			ck_assert_uint_eq(th_next(h)->g.flags, TCPF_SYN);
	}
	ck_assert_ptr_null(h->sock[0].c);
	ck_assert_int_eq(h->sock[0].error, ETIMEDOUT);
	ck_assert_uint_eq(n, 128);
}
END_TEST

START_TEST(syn_sent_icmp_error_ends_it_if_it_quotes_the_syn)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct npp_flow_key key = { .src = h->peer, .dst = h->addr, .sport = htons(443), .dport = htons(c->lport),
				    .proto = 6 };

	tcp_icmp_error(h->s, &key, iss + 1, ENETUNREACH, 0);
	tcp_icmp_error(h->s, &key, iss - 1, ENETUNREACH, 0);
	stack_flush(h->s);
	ck_assert_ptr_nonnull(h->sock[0].c);
	tcp_icmp_error(h->s, &key, iss, EHOSTUNREACH, 0);
	stack_flush(h->s);
	ck_assert_int_eq(h->sock[0].error, EHOSTUNREACH);
}
END_TEST

START_TEST(syn_sent_simultaneous_open)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_SYN, TP_ISS, 0);

	th_input(h, &g, NULL, 0);
	expect(TCPF_SYN | TCPF_ACK, iss, TP_ISS + 1);
	ck_assert_int_eq(c->state, TCP_ST_SYN_RECEIVED);
	g = to_conn(c, TCPF_SYN | TCPF_ACK, TP_ISS, iss + 1); /* the peer's SYN-ACK crosses ours */
	th_input(h, &g, NULL, 0);
	ck_assert_int_eq(c->state, TCP_ST_ESTABLISHED);
	ck_assert(h->sock[0].events & TCP_UP_CONNECTED);
}
END_TEST

START_TEST(syn_sent_simultaneous_open_does_not_scale_the_window_of_the_syn_ack)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_SYN, 9, 0);

	g.opt = TO_WS | TO_MSS;
	g.wscale = 7;
	g.mss = 1460;
	th_input(h, &g, NULL, 0);
	expect(TCPF_SYN | TCPF_ACK, iss, 10);
	g.flags = TCPF_SYN | TCPF_ACK;
	g.ack = iss + 1;
	g.wnd = 5120;
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(c->state, TCP_ST_ESTABLISHED);
	ck_assert_uint_eq(tcb_of(c)->snd_wnd, 5120);
}
END_TEST

START_TEST(a_simultaneous_open_announces_the_mss_that_the_program_wants)
{
	struct tcp_options o = { .max_seg = 700 };
	struct tcp_conn *c = open_as(443, &o);
	struct tcp_seg g;
	uint32_t iss;

	ck_assert_uint_eq(th_next(h)->g.mss, 700);
	iss = tcb_of(c)->iss;
	g = to_conn(c, TCPF_SYN, TP_ISS, 0);
	th_input(h, &g, NULL, 0);
	ck_assert_uint_eq(expect(TCPF_SYN | TCPF_ACK, iss, TP_ISS + 1)->mss, 700);
	g = to_conn(c, TCPF_ACK, TP_ISS - 5, iss + 1); /* old text says nothing of it */
	th_input(h, &g, "old", 3);
	th_forget(h);
	th_advance(h, 1100000);
	ck_assert_uint_eq(expect(TCPF_SYN | TCPF_ACK, iss, TP_ISS + 1)->mss, 700);
}
END_TEST

START_TEST(syn_received_of_an_active_open_repeats_and_is_refused_by_rst)
{
	struct tcp_conn *c = open_to(443);
	uint32_t iss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_SYN, TP_ISS, 0);

	th_input(h, &g, NULL, 0);
	expect(TCPF_SYN | TCPF_ACK, iss, TP_ISS + 1);
	th_advance(h, 1100000);
	expect(TCPF_SYN | TCPF_ACK, iss, TP_ISS + 1);
	g = to_conn(c, TCPF_ACK, TP_ISS + 1, iss + 5);
	th_input(h, &g, NULL, 0);
	expect(TCPF_RST, iss + 5, 0);
	g = to_conn(c, TCPF_RST, TP_ISS + 1, 0);
	th_input(h, &g, NULL, 0);
	ck_assert_int_eq(h->sock[0].error, ECONNREFUSED);
}
END_TEST

START_TEST(syn_sent_close_is_quiet_and_shutdown_waits)
{
	struct tcp_conn *c = open_to(443);
	struct tcp_seg g;
	uint32_t iss;

	stack_tcp_close(h->s, c, 0, 0);
	stack_flush(h->s);
	ck_assert_ptr_null(h->sock[0].c);
	th_forget(h);
	c = open_to(444);
	iss = th_next(h)->g.seq;
	stack_tcp_shutdown(h->s, c, 0);
	g = to_conn(c, TCPF_SYN | TCPF_ACK, TP_ISS, iss + 1);
	th_input(h, &g, NULL, 0);
	ck_assert_int_eq(c->state, TCP_ST_FIN_WAIT_1);
	expect(TCPF_ACK | TCPF_FIN, iss + 1, TP_ISS + 1);
}
END_TEST

static uint16_t port_to(uint16_t rport)
{
	struct tcp_conn *c;
	int err;

	c = stack_connect(h->s, &h->addr, 0, &h->peer, rport, NULL, &err);
	ck_assert_ptr_nonnull(c);
	for (unsigned i = 0; i < TH_SOCKS; i++)
		if (!h->sock[i].used) {
			h->sock[i] = (struct th_sock){ .used = true, .c = c };
			c->user_sock = i + 1;
			break;
		}
	return c->lport;
}

/* How far FROM is before TO in the range that they are chosen from. */
static unsigned ports_between(uint16_t from, uint16_t to)
{
	return (to + 28232u - from) % 28232u;
}

START_TEST(source_ports_follow_each_other_from_a_secret_place_for_each_destination)
{
	unsigned apart[2];

	for (unsigned other_key = 0; other_key < 2; other_key++) {
		uint16_t a, b;

		h->s->cfg.isn_key[0] ^= other_key;
		h->s->cfg.hash_key[0] ^= other_key;
		a = port_to(443);
		ck_assert_uint_eq(ports_between(a, port_to(443)), 1);
		ck_assert_uint_eq(ports_between(a, port_to(443)), 2);
		b = port_to(444);
		ck_assert_uint_eq(ports_between(b, port_to(444)), 1);
		apart[other_key] = ports_between(a, b);
		ck_assert_uint_gt(apart[other_key], 4); /* no next one */
		teardown();
		setup();
	}
	ck_assert_uint_ne(apart[0], apart[1]);
}
END_TEST

START_TEST(source_ports_hash_home_and_spare_granted_and_used_ones)
{
	uint16_t seen[32];
	struct npp_hash_prog *prog = &h->global->prog[0];
	int err;

	npp_hash_prog_default(prog, 4);
	h->s->cfg.iop = 2;
	for (unsigned port = 32768; port < 61000; port++)
		if (port % 64 < 48)
			atomic_fetch_or(&h->global->granted[0][port / 64], 1ull << (port % 64));
	for (unsigned i = 0; i < 32; i++) {
		struct tcp_conn *c = stack_connect(h->s, &h->addr, 0, &h->peer, 443, NULL, &err);
		struct npp_flow_key key = { .src = h->peer, .dst = h->addr, .sport = htons(443), .proto = 6 };

		ck_assert_ptr_nonnull(c);
		h->sock[i] = (struct th_sock){ .used = true, .c = c };
		c->user_sock = i + 1;
		key.dport = htons(c->lport);
		ck_assert_uint_eq(npp_hash_iop(prog, &key), 2);
		ck_assert_uint_ge(c->lport % 64, 48);
		ck_assert_uint_ge(c->lport, 32768);
		ck_assert_uint_le(c->lport, 60999);
		for (unsigned k = 0; k < i; k++)
			ck_assert_uint_ne(seen[k], c->lport);
		seen[i] = c->lport;
	}
	ck_assert_ptr_null(stack_connect(h->s, &h->addr, seen[0], &h->peer, 443, NULL, &err));
	ck_assert_int_eq(err, -EADDRINUSE);
	memset(h->global->granted, 0xff, sizeof h->global->granted);
	ck_assert_ptr_null(stack_connect(h->s, &h->addr, 0, &h->peer, 443, NULL, &err));
	ck_assert_int_eq(err, -EADDRNOTAVAIL);
}
END_TEST
START_TEST(a_restart_keeps_attempts_to_connect)
{
	struct tcp_conn *c = open_to(443);
	uint32_t ciss = th_next(h)->g.seq;
	struct tcp_seg g = to_conn(c, TCPF_SYN | TCPF_ACK, 9, ciss + 1);

	th_restart(h);
	stack_flush(h->s);
	ck_assert(th_none(h));
	th_input(h, &g, NULL, 0);
	ck_assert(h->sock[0].events & TCP_UP_CONNECTED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_open");
	TCase *tc = tcase_create("open");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, closed_syn_is_refused);
	tcase_add_test(tc, closed_ack_is_reset_at_its_ack);
	tcase_add_test(tc, closed_rst_is_ignored);
	tcase_add_test(tc, wrong_checksum_and_broadcast_are_dropped);
	tcase_add_test(tc, headers_that_lie_are_dropped);
	tcase_add_test(tc, listen_answers_syn_with_the_options_that_it_offers);
	tcase_add_test(tc, listen_ack_is_reset_and_the_rest_dropped);
	tcase_add_test(tc, listen_answers_syn_as_soon_as_the_accept_queue_has_room);
	tcase_add_test(tc, listen_with_a_queue_that_stays_full_drops_syn);
	tcase_add_test(tc, listen_with_a_full_accept_queue_holds_few_syns);
	tcase_add_test(tc, listen_holds_syns_however_many_are_half_open);
	tcase_add_test(tc, listeners_are_found_by_address_and_port);
	tcase_add_test(tc, hosts_share_a_listener_by_weight_or_in_order);
	tcase_add_test(tc, hosts_share_a_listener_by_load);
	tcase_add_test(tc, syn_sent_handshake);
	tcase_add_test(tc, syn_sent_an_mss_that_is_too_small_is_not_taken_at_its_word);
	tcase_add_test(tc, syn_sent_lost_syn_makes_a_patient_connection);
	tcase_add_test(tc, syn_sent_rst_with_ack_refuses);
	tcase_add_test(tc, syn_sent_wrong_ack_is_reset);
	tcase_add_test(tc, syn_sent_gives_up_after_four_minutes);
	tcase_add_test(tc, syn_sent_gives_up_after_as_many_syns_as_it_was_told);
	tcase_add_loop_test(tc, syn_sent_gives_up_after_the_most_syns_too, 127, 130);
	tcase_add_test(tc, syn_sent_icmp_error_ends_it_if_it_quotes_the_syn);
	tcase_add_test(tc, syn_sent_simultaneous_open);
	tcase_add_test(tc, syn_sent_simultaneous_open_does_not_scale_the_window_of_the_syn_ack);
	tcase_add_test(tc, a_simultaneous_open_announces_the_mss_that_the_program_wants);
	tcase_add_test(tc, syn_received_of_an_active_open_repeats_and_is_refused_by_rst);
	tcase_add_test(tc, syn_sent_close_is_quiet_and_shutdown_waits);
	tcase_add_test(tc, source_ports_follow_each_other_from_a_secret_place_for_each_destination);
	tcase_add_test(tc, source_ports_hash_home_and_spare_granted_and_used_ones);
	tcase_add_test(tc, a_restart_keeps_attempts_to_connect);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
