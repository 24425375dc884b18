/* SPDX-License-Identifier: GPL-2.0-or-later
 * stack_npp.c - npp's stack on the bench
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/stack_bench.h"
#include "net/wire.h"
#include "npp-ism/stack/stack.h"
#include "shm/stats.h"

/* Rings as a socket ISM lends them: small ones from a pool, far more than fits a cache, large ones
 * for bulk. What stands in them does not matter here. */
#define SMALL 4096u
#define N_SMALL 16384u
#define LARGE (1u << 17)

static struct {
	const struct bench_calls *calls;
	struct stack *s;
	void *arena;
	size_t size;
	struct npp_global *g;
	struct npp_neigh_table *t;
	npp_counter_t stats[NPP_STATS_COUNTERS];
	struct stack_env env;
	struct tcp_conn **conn;		/* by peer */
	uint32_t max;
	uint64_t now_us, rnd;
	uint8_t *small, *large;
	struct tcp_conn *ready[BENCH_BATCH * 4];
	unsigned n_ready;
} N;

static void *zeroed(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* As the regions of an ISM: in huge pages, and there from the start. A page that is made when it is first
	 * needed takes longer than many segments. */
	madvise(p, n, bench_ordinary_pages ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	madvise(p, n, MADV_POPULATE_WRITE);
	return p;
}

static void op_tx(void *arg, unsigned port, const struct stack_tx *tx)
{
	(void)arg;
	(void)port;
	if (tx->head[tx->start + 12] == 8 && tx->head[tx->start + 13] == 0)
		N.calls->sent(tx->head + tx->start + ETH_HDR_LEN, tx->payload_len);
}

static void op_ipc(void *arg, unsigned iop, enum npp_rec_kind kind, const struct npp_frame_rec *rec, const void *data,
		   uint32_t len)
{
	(void)arg, (void)iop, (void)kind, (void)rec, (void)data, (void)len;
}

static uint64_t op_random(void *arg)
{
	(void)arg;
	N.rnd ^= N.rnd << 13;
	N.rnd ^= N.rnd >> 7;
	N.rnd ^= N.rnd << 17;
	return N.rnd;
}

static int op_accept(void *arg, struct tcp_listener *l, struct tcp_conn *c)
{
	uint32_t id = N.calls->id(ntohl(npp_addr_get_v4(&c->raddr)), c->rport);

	(void)arg;
	(void)l;
	if (id >= N.max)
		return -ENOBUFS;
	c->user_sock = id + 1;
	N.conn[id] = c;
	return 0;
}

static bool op_accept_room(void *arg, struct tcp_listener *l)
{
	(void)arg;
	(void)l;
	return true;
}

static void op_event(void *arg, struct tcp_conn *c, uint32_t up)
{
	(void)arg;
	if (up & TCP_UP_FREED) {
		N.conn[c->user_sock - 1] = NULL;
		for (unsigned i = 0; i < N.n_ready; i++)
			if (N.ready[i] == c)
				N.ready[i] = NULL;
	} else if (up & TCP_UP_RX && N.n_ready < BENCH_BATCH * 4) {
		N.ready[N.n_ready++] = c;
	}
}

static bool op_rx_grow(void *arg, struct tcp_conn *c, uint32_t end)
{
	(void)arg;
	if (end - c->rx_tail <= SMALL)
		c->rx = (struct stack_ring){ N.small + (c->user_sock % N_SMALL) * (size_t)SMALL, SMALL };
	else
		c->rx = (struct stack_ring){ N.large, LARGE };
	return end - c->rx_tail <= c->rx.size;
}

static const struct stack_ops ops = {
	.tx = op_tx, .ipc = op_ipc, .random = op_random, .accept = op_accept, .accept_room = op_accept_room,
	.event = op_event, .rx_grow = op_rx_grow,
};

static struct stack_cfg config(uint32_t conns)
{
	return (struct stack_cfg){ .n_iops = 1, .max_conns = conns, .max_listeners = 8, .max_udp = 8,
				   .reass_bytes = 65536, .hash_key = { 1, 2 }, .isn_key = { 3, 4 } };
}

static void network(void)
{
	struct npp_global *g = N.g;

	g->n_iops = g->n_ports = 1;
	memcpy(g->port[0].mac, bench_mac, 6);
	g->port[0].mtu = 1500;
	g->addr[g->n_addrs++] = (struct npp_if_addr){ .addr = npp_addr_v4(htonl(BENCH_US)), .prefix_len = 96 + 24 };
	g->route[g->n_routes++] = (struct npp_route){ .dst = npp_addr_v4(0), .prefix_len = 96,
						      .via = npp_addr_v4(htonl(BENCH_GW)) };
	atomic_store(&g->net_seq, 2);
	npp_hash_prog_default(&g->prog[0], 1);
}

static int npp_open(const struct bench_calls *calls, uint32_t max_conns)
{
	struct stack_cfg cfg = config(max_conns + 64);
	struct tcp_listener l = { .addr = npp_addr_v4(0), .port = BENCH_PORT, .backlog = 4096 };
	int err;

	memset(&N, 0, sizeof N);
	N.calls = calls;
	N.rnd = 88172645463325252ull;
	N.now_us = 3600000000ull;
	N.max = max_conns;
	N.size = stack_size(&cfg);
	N.arena = zeroed(N.size);
	N.g = zeroed(sizeof *N.g);
	N.t = zeroed(sizeof *N.t);
	N.conn = zeroed(max_conns * sizeof *N.conn);
	N.small = zeroed((size_t)SMALL * N_SMALL);
	N.large = zeroed(LARGE);
	if (!N.arena || !N.g || !N.t || !N.conn || !N.small || !N.large)
		return -ENOMEM;
	network();
	N.env = (struct stack_env){ .ops = &ops, .stats = N.stats, .global = N.g, .neigh = N.t, .neigh_rw = N.t };
	N.s = stack_init(N.arena, &cfg, &N.env);
	stack_set_now(N.s, N.now_us);
	return stack_listen(N.s, &l, &err) ? 0 : err;
}

static void npp_close(void)
{
	munmap(N.arena, N.size);
	munmap(N.g, sizeof *N.g);
	munmap(N.t, sizeof *N.t);
	munmap(N.conn, N.max * sizeof *N.conn);
	munmap(N.small, (size_t)SMALL * N_SMALL);
	munmap(N.large, LARGE);
}

static void npp_tick(uint32_t us)
{
	N.now_us += us;
	stack_set_now(N.s, N.now_us);
	stack_run_timers(N.s, 256);
	stack_flush(N.s);
}

static void npp_write(uint32_t id, uint32_t bytes)
{
	struct tcp_conn *c = N.conn[id];

	if (!c)
		return;
	c->tx = (struct stack_ring){ N.large, LARGE };
	stack_tcp_sent(N.s, c, c->tx_head + bytes);
	stack_flush(N.s);
}

static void look_ahead(const struct bench_frame *f, unsigned n)
{
	const void *frame[STACK_AHEAD];
	uint32_t len[STACK_AHEAD];

	for (unsigned i = 0; i < n; i++) {
		frame[i] = f[i].data;
		len[i] = f[i].len;
	}
	stack_prefetch(N.s, frame, len, n);
}

static void npp_input(const struct bench_frame *f, unsigned n, const struct bench_app *app)
{
	struct npp_frame_rec rec = { .kind = NPP_REC_FRAME, .csum = NPP_CSUM_OK };

	N.n_ready = 0;
	for (unsigned i = 0; i < n; i++) {
		if (i % STACK_AHEAD == 0)
			look_ahead(f + i, n - i < STACK_AHEAD ? n - i : STACK_AHEAD);
		rec.len = f[i].len;
		rec.vnet.gso_size = f[i].gso_size;
		rec.vnet.gso_type = f[i].gso_size ? VNET_GSO_TCPV4 : VNET_GSO_NONE;
		rec.vnet.flags = VNET_F_DATA_VALID;
		stack_input(N.s, &rec, f[i].data, f[i].len);
	}
	stack_flush(N.s);
	if (!N.n_ready)
		return;
	for (unsigned i = 0; i < N.n_ready; i++) {
		struct tcp_conn *c = N.ready[i];

		if (!c)
			continue;
		stack_tcp_read(N.s, c, c->rx_head);
		if (app->reply) {
			c->tx = (struct stack_ring){ N.large, LARGE };
			stack_tcp_sent(N.s, c, c->tx_head + app->reply);
		}
		if (app->close)
			stack_tcp_close(N.s, c, c->tx_head, 0);
	}
	N.n_ready = 0;
	stack_flush(N.s);
}

static size_t npp_bytes(uint32_t conns)
{
	struct stack_cfg cfg = config(conns);

	return stack_size(&cfg);
}

const struct bench_lib bench_npp = {
	.name = "npp", .gso = true, .open = npp_open, .close = npp_close, .tick = npp_tick, .input = npp_input,
	.write = npp_write, .bytes = npp_bytes,
};
