/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_pair.c - two stacks over a link that loses, delays, reorders and duplicates
 *
 *      stack A  ---- link: delay, loss, reordering, duplication ----  stack B
 *      client        (virtual time; frames whole or cut to segments)   listener
 *
 * Everything follows from the seed. Both programs write and read at their own pace; every
 * byte is checked, both ends must see the end of the stream, and nothing may be left.
 * Now and then one end is restarted on its arena.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

#define PORT 80
#define IN_FLIGHT 4096

struct packet {
	uint64_t at;
	uint64_t order;
	struct th *to;
	struct th_seg seg;
};

struct link {
	struct th *end[2];
	struct packet q[IN_FLIGHT];
	unsigned n;
	uint64_t order;
	uint64_t rnd;
	uint64_t now_us;
	uint32_t delay_us;
	uint32_t loss, dup, reorder, mark; /* of 1000; mark: CE on what is ECN-capable */
	bool cut;			/* frames travel as segments */
	bool strip_sack, strip_ts, strip_ws;
	bool cut_off;			/* nothing passes any more */
	uint32_t dropped;
};

static uint64_t rnd(struct link *l)
{
	l->rnd ^= l->rnd << 13;
	l->rnd ^= l->rnd >> 7;
	l->rnd ^= l->rnd << 17;
	return l->rnd;
}

static bool chance(struct link *l, uint32_t per_mille)
{
	return rnd(l) % 1000 < per_mille;
}

static void link_put(struct link *l, struct th *to, const struct tcp_seg *g, const uint8_t *data, uint16_t gso,
		     uint8_t tos)
{
	struct packet *p;

	if (l->cut_off || chance(l, l->loss)) {
		l->dropped++;
		return;
	}
	for (int copies = 1 + chance(l, l->dup); copies; copies--) {
		if (l->n == IN_FLIGHT) {
			l->dropped++;
			return;
		}
		p = &l->q[l->n++];
		*p = (struct packet){ .at = l->now_us + l->delay_us, .order = l->order++, .to = to };
		if (chance(l, l->reorder))
			p->at += rnd(l) % (3 * l->delay_us + 1);
		p->seg.g = *g;
		p->seg.gso_size = gso;
		p->seg.tos = tos & 3 && chance(l, l->mark) ? 3 : tos;
		p->seg.data = malloc(g->len + 1);
		memcpy(p->seg.data, data, g->len);
	}
}

static void link_send(struct th *h, struct th_seg *seg, const union npp_addr *dst)
{
	struct link *l = h->wire_arg;
	struct th *to = l->end[0] == h ? l->end[1] : l->end[0];
	uint32_t off = 0;

	(void)dst;
	if (seg->g.flags & TCPF_SYN) {
		if (l->strip_sack)
			seg->g.opt &= (uint8_t)~TO_SACK_OK;
		if (l->strip_ts)
			seg->g.opt &= (uint8_t)~TO_TS;
		if (l->strip_ws)
			seg->g.opt &= (uint8_t)~TO_WS;
	}
	if (!l->cut || !seg->gso_size) {
		link_put(l, to, &seg->g, seg->data, seg->gso_size, seg->tos);
		free(seg->data);
		return;
	}
	while (off < seg->g.len) {
		struct tcp_seg g = seg->g;

		g.seq += off;
		g.len = seg->g.len - off < seg->gso_size ? seg->g.len - off : seg->gso_size;
		if (off + g.len < seg->g.len)
			g.flags &= (uint8_t)~(TCPF_FIN | TCPF_PSH);
		link_put(l, to, &g, seg->data + off, 0, seg->tos);
		off += g.len;
	}
	free(seg->data);
}

/* Index of the next packet to arrive; -1 none. */
static int link_first(const struct link *l)
{
	int best = -1;

	for (unsigned i = 0; i < l->n; i++)
		if (best < 0 || l->q[i].at < l->q[best].at ||
		    (l->q[i].at == l->q[best].at && l->q[i].order < l->q[best].order))
			best = (int)i;
	return best;
}

static uint8_t pattern(int end, uint32_t off)
{
	return (uint8_t)((off * 2654435761u) >> 11 ^ (unsigned)end * 77u ^ off >> 16);
}

/* What the program of END does when it gets the processor. */
static void program(struct link *l, int end, struct th_sock *k, uint32_t total, uint32_t peer_total)
{
	struct th *h = l->end[end];
	uint8_t buf[8192];
	uint32_t n;

	if (!k || !k->used)
		return;
	if (chance(l, 700)) {
		uint32_t want = 1 + (uint32_t)(rnd(l) % sizeof buf);

		do {
			n = th_read(h, k, buf, want);
			for (uint32_t i = 0; i < n; i++)
				if (buf[i] != pattern(!end, k->got + i))
					ck_abort_msg("end %d: wrong byte at %u", end,
					      k->got + i);
			k->got += n;
			TH_ASSERT(k->got <= peer_total);
		} while (n && chance(l, 900));
	}
	if (!k->c || k->closed)
		return;
	while (k->to_send < total && chance(l, 800)) {
		uint32_t room = th_space(h, k);

		n = 1 + (uint32_t)(rnd(l) % (chance(l, 300) ? 100 : sizeof buf));
		n = n > room ? room : n;
		n = n > total - k->to_send ? total - k->to_send : n;
		if (!n)
			break;
		for (uint32_t i = 0; i < n; i++)
			buf[i] = pattern(end, k->to_send + i);
		TH_ASSERT(th_write(h, k, buf, n) == n);
		k->to_send += n;
	}
	if (k->to_send == total && !k->shut && chance(l, 500)) {
		stack_tcp_shutdown(h->s, k->c, k->tx_head);
		k->shut = true;
	}
	if (k->shut && k->got == peer_total && k->events & TCP_UP_FIN && k->c) {
		stack_tcp_close(h->s, k->c, k->tx_head, 0);
		k->closed = true;
	}
}

static struct th_sock *accepted(struct th *h)
{
	for (unsigned i = 0; i < TH_SOCKS; i++)
		if (h->sock[i].used)
			return &h->sock[i];
	return NULL;
}

static bool done(const struct th_sock *k, uint32_t peer_total)
{
	return k && k->n_freed && k->got == peer_total;
}

/* One step of the world: the next packet or timer. */
static void world_step(struct link *l)
{
	int first = link_first(l);
	uint64_t next = first >= 0 ? l->q[first].at : UINT64_MAX, timer;
	unsigned batch = 1 + (unsigned)(rnd(l) % 4);

	for (int e = 0; e < 2; e++) {
		timer = stack_next_timer(l->end[e]->s);
		if (timer < next)
			next = timer;
	}
	if (next > l->now_us + 50000)
		next = l->now_us + 50000; /* programs go on by themselves too */
	if (next > l->now_us)
		l->now_us = next;
	else
		l->now_us++;
	for (int e = 0; e < 2; e++) {
		l->end[e]->now_us = l->now_us;
		stack_set_now(l->end[e]->s, l->now_us);
		stack_run_timers(l->end[e]->s, 64);
	}
	while (batch-- && (first = link_first(l)) >= 0 && l->q[first].at <= l->now_us) {
		struct packet p = l->q[first];

		l->q[first] = l->q[--l->n];
		p.to->in_tos = p.seg.tos;
		th_input_noflush(p.to, &p.seg.g, p.seg.data, p.seg.gso_size);
		free(p.seg.data);
	}
}

static void world(uint64_t seed, bool verbose)
{
	struct link *l = calloc(1, sizeof *l);
	struct tcp_options opts = { 0 };
	struct th_sock *client, *server = NULL;
	struct tcp_conn *c;
	uint32_t total[2];
	uint64_t start, steps = 0;
	bool restarts, scarce[2];
	int err;

	l->rnd = seed * 0x9e3779b97f4a7c15ull + 1;
	for (int i = 0; i < 8; i++)
		rnd(l);
	l->delay_us = 20u << (rnd(l) % 12);
	l->loss = rnd(l) % 3 ? (uint32_t)(rnd(l) % 60) : 0;
	l->dup = rnd(l) % 2 ? (uint32_t)(rnd(l) % 50) : 0;
	l->reorder = rnd(l) % 2 ? (uint32_t)(rnd(l) % 200) : 0;
	l->cut = rnd(l) % 2;
	l->strip_sack = rnd(l) % 4 == 0;
	l->strip_ts = rnd(l) % 4 == 0;
	l->strip_ws = rnd(l) % 6 == 0;
	l->mark = rnd(l) % 2 ? (uint32_t)(rnd(l) % 300) : 0;
	restarts = rnd(l) % 4 == 0;
	total[0] = (uint32_t)(rnd(l) % 400000);
	total[1] = rnd(l) % 3 ? (uint32_t)(rnd(l) % 400000) : 0;
	if (rnd(l) % 4 == 0)
		opts.rcvbuf = 4096 + (uint32_t)(rnd(l) % 20000);
	opts.opt_flags = rnd(l) % 2 ? NPP_OPT_NODELAY : 0;
	opts.cc = (uint32_t)(rnd(l) % NPP_CC_COUNT);
	opts.max_pace = rnd(l) % 8 ? 0 : 100000 + (uint32_t)(rnd(l) % 10000000);
	for (int e = 0; e < 2; e++) {
		l->end[e] = th_new(64);
		l->end[e]->wire = link_send;
		l->end[e]->wire_arg = l;
		l->end[e]->rx_max = 1u << (13 + rnd(l) % 6);
		l->end[e]->grow_fails = rnd(l) % 4 ? 0 : 30;
		l->end[e]->mtu = rnd(l) % 2 ? 1500 : 9000;
		l->end[e]->rnd += seed;
		l->end[e]->global->tcp_ecn = (uint32_t)(rnd(l) % NPP_ECN_COUNT);
		l->end[e]->global->tcp_cc = (uint32_t)(rnd(l) % NPP_CC_COUNT);
		scarce[e] = rnd(l) % 8 == 0 && !l->strip_ts; /* no flight records */
	}
	l->end[1]->addr = l->end[0]->peer;
	l->end[1]->peer = l->end[0]->addr;
	l->now_us = start = l->end[0]->now_us;
	th_listen(l->end[1], PORT, 16);
	c = stack_connect(l->end[0]->s, &l->end[0]->addr, 0, &l->end[0]->peer, PORT, &opts, &err);
	ck_assert_ptr_nonnull(c);
	client = &l->end[0]->sock[0];
	*client = (struct th_sock){ .used = true, .c = c };
	c->user_sock = 1;
	for (;;) {
		if (!server)
			server = accepted(l->end[1]);
		if (client->events & TCP_UP_CONNECTED)
			program(l, 0, client, total[0], total[1]);
		program(l, 1, server, total[1], total[0]);
		for (int e = 0; e < 2; e++) {
			if (scarce[e])
				l->end[e]->s->tcp->flight_pool.free = TCP_NONE;
			stack_flush(l->end[e]->s);
			th_check(l->end[e]);
		}
		if (done(client, total[1]) && done(server, total[0]))
			break;
		if (++steps > 400000 || l->now_us - start > 3600000000ull || client->error ||
		    (server && server->error) || (client->n_freed && !(client->events & TCP_UP_CONNECTED)))
			ck_abort_msg("seed %lu: step %lu, %lu s: sent %u/%u %u/%u got %u %u, errors %d %d",
				     (unsigned long)seed, (unsigned long)steps,
				     (unsigned long)((l->now_us - start) / 1000000), client->to_send, total[0],
				     server ? server->to_send : 0, total[1], client->got, server ? server->got : 0,
				     client->error, server ? server->error : 0);
		if (restarts && chance(l, 5))
			th_restart(l->end[rnd(l) % 2]);
		world_step(l);
	}
	if (verbose)
		printf("# seed %lu: %u + %u bytes in %lu ms, loss %u/1000, %lu rto %lu+%lu fast %lu undo\n",
		       (unsigned long)seed, total[0], total[1], (unsigned long)((l->now_us - start) / 1000), l->loss,
		       (unsigned long)(th_stat(l->end[0], NPP_IS_TCP_RTO) + th_stat(l->end[1], NPP_IS_TCP_RTO)),
		       (unsigned long)th_stat(l->end[0], NPP_IS_TCP_FAST_RETRANS),
		       (unsigned long)th_stat(l->end[1], NPP_IS_TCP_FAST_RETRANS),
		       (unsigned long)(th_stat(l->end[0], NPP_IS_TCP_UNDO) + th_stat(l->end[1], NPP_IS_TCP_UNDO)));
	l->cut_off = true;
	while (l->n)
		free(l->q[--l->n].seg.data);
	th_free(l->end[0]);
	th_free(l->end[1]);
	while (l->n)
		free(l->q[--l->n].seg.data);
	free(l);
}

/* ---- how fast -------------------------------------------------------------------------------- */

struct speed {
	uint32_t loss, reorder;		/* of 1000 */
	uint32_t cc;
	uint32_t least_kb_s;		/* goodput */
	uint32_t most_needless;		/* segments sent again without need, of 1000 */
	uint32_t most_rto;
};

/* Segments of 1448 bytes, a round trip of 20 ms, 8 MB. With 1 % loss Reno's window would be 12 segments on
 * average (880 KB/s; Mathis et al.), CUBIC's 15; reordering is by up to three times the delay. */
static const struct speed speeds[] = {
	{ 0, 0, NPP_CC_CUBIC, 5000, 0, 0 },
	{ 0, 30, NPP_CC_CUBIC, 1000, 20, 0 },
	{ 10, 0, NPP_CC_CUBIC, 700, 2, 2 },
	{ 10, 0, NPP_CC_RENO, 600, 2, 2 },
	{ 10, 30, NPP_CC_CUBIC, 350, 30, 4 },
	{ 50, 30, NPP_CC_CUBIC, 120, 40, 60 },
};
#define SPEED_BYTES (8u << 20)

static struct link *speed_link(const struct speed *sp, uint64_t seed)
{
	struct link *l = calloc(1, sizeof *l);

	l->rnd = seed * 0x9e3779b97f4a7c15ull + 1;
	l->delay_us = 10000;
	l->loss = sp->loss;
	l->reorder = sp->reorder;
	l->cut = true;
	for (int e = 0; e < 2; e++) {
		l->end[e] = th_new(64);
		l->end[e]->wire = link_send;
		l->end[e]->wire_arg = l;
	}
	l->end[1]->addr = l->end[0]->peer;
	l->end[1]->peer = l->end[0]->addr;
	l->now_us = l->end[0]->now_us;
	return l;
}

START_TEST(goodput_over_a_path_that_loses_and_reorders)
{
	const struct speed *sp = &speeds[_i];
	struct link *l = speed_link(sp, 7);
	struct th *a = l->end[0], *b = l->end[1];
	struct tcp_options opts = { .cc = sp->cc };
	static uint8_t buf[65536];
	struct th_sock *server = NULL;
	struct tcp_conn *c;
	uint64_t start, ms, needless;
	int err;

	th_listen(b, PORT, 16);
	c = stack_connect(a->s, &a->addr, 0, &a->peer, PORT, &opts, &err);
	ck_assert_ptr_nonnull(c);
	a->sock[0] = (struct th_sock){ .used = true, .c = c };
	c->user_sock = 1;
	start = l->now_us;
	while (!server || server->got < SPEED_BYTES) {
		if (a->sock[0].events & TCP_UP_CONNECTED)
			while (a->sock[0].tx_head < SPEED_BYTES && th_space(a, &a->sock[0]))
				th_write(a, &a->sock[0], buf, 16384);
		server = server ? server : accepted(b);
		if (server)
			server->got += th_read(b, server, buf, sizeof buf);
		stack_flush(a->s);
		stack_flush(b->s);
		world_step(l);
		ck_assert_uint_lt(l->now_us - start, 600000000ull);
	}
	ms = (l->now_us - start) / 1000;
	needless = th_stat(a, NPP_IS_TCP_DSACK_IN) * 1000 / (SPEED_BYTES / 1448);
	printf("# loss %u, reordering %u of 1000, %s: %lu KB/s, %lu sent again, %lu per mille needlessly, %lu timeouts, "
	       "%lu undone\n", sp->loss, sp->reorder, tcp_cc(tcb_of(c))->name, SPEED_BYTES / ms,
	       (unsigned long)th_stat(a, NPP_IS_TCP_RETRANS), needless, (unsigned long)th_stat(a, NPP_IS_TCP_RTO),
	       (unsigned long)th_stat(a, NPP_IS_TCP_UNDO));
	ck_assert_uint_ge(SPEED_BYTES / ms, sp->least_kb_s);
	ck_assert_uint_le(needless, sp->most_needless);
	ck_assert_uint_le(th_stat(a, NPP_IS_TCP_RTO), sp->most_rto);
	l->cut_off = true;
	th_free(a);
	th_free(b);
	while (l->n)
		free(l->q[--l->n].seg.data);
	free(l);
}
END_TEST

#define SEEDS 2000
#define GROUP 250

START_TEST(streams_arrive_whole_over_a_bad_link)
{
	for (uint64_t seed = (uint64_t)_i * GROUP; seed < (uint64_t)(_i + 1) * GROUP; seed++)
		world(seed + 1, false);
}
END_TEST

/* What longer runs have found. */
START_TEST(a_record_may_come_after_recovery_began)
{
	world(16599, false);
}
END_TEST

START_TEST(what_is_sacked_again_and_again_without_a_record_is_no_round_trip)
{
	world(1746, false);
	world(4893, false);
}
END_TEST

/* By hand: a seed, or a range of them (CK_FORK=no under a debugger). */
START_TEST(one_seed)
{
	fprintf(stderr, "seed %d\n", _i);
	world((uint64_t)_i, true);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("tcp_pair");
	TCase *tc = tcase_create("pair");

	tcase_set_timeout(tc, 120);
	if (argc > 2 || (argc > 1 && *argv[1] != 'g'))
		tcase_add_loop_test(tc, one_seed, atoi(argv[1]), atoi(argc > 2 ? argv[2] : argv[1]) + 1);
	else if (argc == 1)
		tcase_add_test(tc, a_record_may_come_after_recovery_began);
	if (argc == 1) {
		tcase_add_test(tc, what_is_sacked_again_and_again_without_a_record_is_no_round_trip);
		tcase_add_loop_test(tc, streams_arrive_whole_over_a_bad_link, 0, SEEDS / GROUP);
	}
	if (argc == 1 || *argv[1] == 'g') /* `goodput': that alone */
		tcase_add_loop_test(tc, goodput_over_a_path_that_loses_and_reorders, 0, sizeof speeds / sizeof *speeds);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
