/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_process.c - npp-ism as its supervisor starts it, with the real stack
 *
 * The test is nppd, dispatcher, port, OSM, program, other IOP and peer in one:
 *
 *	peer 10.9.0.2 --frames--> receive ring --> npp-ism (IOP 1 of 2) --> "port" (a socketpair)
 *	                                             ^ host memory, inbound lane
 */
#include "config.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/proto.h"
#include "net/checksum.h"
#include "net/wire.h"
#include "npp-ism/socket/layout.h"
#include "shm/bell.h"
#include "shm/fring.h"
#include "shm/i2oq.h"
#include "tests/unit/suite.h"

#define IOPS 2
#define ME 1
#define SLOT ME
#define SOCKS 64
#define PROG 16
#define HEAP (16u << 20)
#define WAIT_MS 5000

static const uint8_t mac_ism[6] = { 2, 0, 0, 0, 0, 1 }, mac_peer[6] = { 2, 0, 0, 0, 0, 2 };

static struct rig {
	struct npp_region global, neigh, stats, locks, priv, mem, in;
	int rx_ctl, rx_data, ctl, port, bell[IOPS], host_bell;
	struct npp_fring_prod rx;
	pid_t pid;
	struct npp_i2oq_prod to;
	struct npp_i2oq_cons from;
	uint64_t heap_at;
	uint8_t body[NPP_CTL_MAX_BODY];
} r;

static uint64_t hash(void)
{
	return npp_abi_layout_hash();
}

/* ---- nppd ------------------------------------------------------------------------------- */

static void make_global(void)
{
	struct npp_global *g;

	ck_assert_int_eq(npp_region_create(&r.global, "t-global", NPP_REGION_GLOBAL, sizeof *g, 0, hash(), 0), 0);
	g = r.global.base;
	g->n_iops = IOPS;
	g->n_ports = 1;
	g->link_iop = 0;
	g->iop_up = 3;
	g->tcp_max_conns = 64;
	memcpy(g->port[0].mac, mac_ism, 6);
	g->port[0].mtu = 1500;
	g->port[0].up = 1;
	g->n_addrs = 1;
	g->addr[0] = (struct npp_if_addr){ .addr = npp_addr_v4(inet_addr("10.9.0.1")), .prefix_len = 96 + 24, .port = 0xff };
	npp_hash_prog_default(&g->prog[0], IOPS);
	g->prog[1] = g->prog[0];
}

static void make_regions(const struct npp_ctl_start_ism *start)
{
	make_global();
	ck_assert_int_eq(npp_region_create(&r.neigh, "t-neigh", NPP_REGION_NEIGH, sizeof(struct npp_neigh_table), 0,
					   hash(), 0), 0);
	ck_assert_int_eq(npp_region_create(&r.stats, "t-stats", NPP_REGION_STATS, sizeof(struct npp_stats_page), ME,
					   hash(), 0), 0);
	ck_assert_int_eq(npp_region_create(&r.locks, "t-locks", NPP_REGION_LOCKS, sizeof(struct npp_locks), 0,
					   hash(), 0), 0);
	ck_assert_int_eq(npp_region_create(&r.priv, "t-ism", NPP_REGION_ISM, ism_region_size(start), ME,
					   ism_layout_hash(), 0), 0);
	ck_assert_int_eq(npp_fring_create("t-rx", NPP_REGION_RX, ME, 1 << 20, 0, &r.rx_ctl, &r.rx_data), 0);
	ck_assert_int_eq(npp_fring_attach_prod(&r.rx, r.rx_ctl, r.rx_data, NPP_REGION_RX), 0);
	r.host_bell = npp_bell_create();
	for (int i = 0; i < IOPS; i++)
		r.bell[i] = npp_bell_create();
}

/* Forks and execs the program with SOCK as descriptor 3. */
static void start_child(int sock)
{
	const char *top = getenv("top_builddir");
	char path[4096];

	snprintf(path, sizeof path, "%s/npp-ism/npp-ism", top ? top : ".");
	ck_assert_msg(access(path, X_OK) == 0, "%s is not there: is somebody building it?", path);
	r.pid = fork();
	ck_assert_int_ge(r.pid, 0);
	if (r.pid == 0) {
		int fd = fcntl(sock, F_DUPFD, 10);

		dup2(fd, NPP_CTL_FD);
		execl(path, "npp-ism", (char *)NULL);
		_exit(127);
	}
	close(sock);
}

/* What has become of the child: how it ended, or where it is. */
static const char *child_state(void)
{
	static char text[128];
	char path[64], where[64] = "";
	int status, fd;

	for (int i = 0; i < 100; i++) { /* the end of its socket is seen before its own */
		if (waitpid(r.pid, &status, WNOHANG) == r.pid) {
			snprintf(text, sizeof text, WIFSIGNALED(status) ? "killed by signal %d" : "exit status %d",
				 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
			return text;
		}
		usleep(1000);
	}
	snprintf(path, sizeof path, "/proc/%d/wchan", (int)r.pid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, where, sizeof where - 1) < 0)
		snprintf(where, sizeof where, "?");
	if (fd >= 0)
		close(fd);
	snprintf(text, sizeof text, "pid %d runs, waits in %s", (int)r.pid, where);
	return text;
}

static void receive(struct npp_ctl_msg *m, unsigned type)
{
	int rc = npp_ctl_recv(r.ctl, m, r.body, sizeof r.body, WAIT_MS);

	ck_assert_msg(rc == 1, "no message of type %u: %d; npp-ism: %s", type, rc, rc == 1 ? "" : child_state());
	ck_assert_uint_eq(m->hdr.type, type);
}

static void launch(unsigned restart)
{
	struct npp_ctl_start_ism start = { .abi_version = NPP_ABI_VERSION, .iop = ME, .n_iops = IOPS, .restart = restart,
					   .layout_hash = hash(), .cpu = -1, .n_ports = 1, .max_conns = 64,
					   .reass_bytes = 1 << 20, .seed = { 1, 2, 3, 4, 5, 6, 7, 8 } };
	struct npp_ctl_msg m;
	int sv[2], port[2], fds[8 + IOPS];

	ck_assert_int_eq(npp_ctl_pair(sv), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, port), 0);
	if (!restart)
		make_regions(&start);
	r.ctl = sv[0];
	r.port = port[0];
	start_child(sv[1]);
	memcpy(fds, (int[]){ r.global.fd, r.neigh.fd, r.stats.fd, r.locks.fd, r.priv.fd, r.rx_ctl, r.rx_data, port[1] },
	       8 * sizeof(int));
	memcpy(fds + 8, r.bell, sizeof r.bell);
	ck_assert_int_eq(npp_ctl_send(r.ctl, NPP_CTL_START_ISM, 0, 0, &start, sizeof start, fds, 8 + IOPS), 0);
	close(port[1]);
	if (restart)
		return; /* its hosts come first */
	receive(&m, NPP_CTL_READY);
}

static void give_link_role(void)
{
	struct npp_ctl_role role = { .link = 1 };

	((struct npp_global *)r.global.base)->link_iop = ME;
	ck_assert_int_eq(npp_ctl_send(r.ctl, NPP_CTL_ROLE, 0, 0, &role, sizeof role, &r.neigh.fd, 1), 0);
}

static void stop_child(int expect)
{
	int status;

	ck_assert_int_eq(npp_ctl_send(r.ctl, NPP_CTL_STOP, 0, 0, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(waitpid(r.pid, &status, 0), r.pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), expect);
	r.pid = 0;
	close(r.ctl);
	close(r.port);
}

static void setup(void)
{
	memset(&r, 0, sizeof r);
	launch(0);
}

static void teardown(void)
{
	if (r.pid)
		stop_child(0);
	npp_fring_detach(&r.rx.m);
	npp_region_unmap(&r.global);
	npp_region_unmap(&r.neigh);
	npp_region_unmap(&r.stats);
	npp_region_unmap(&r.locks);
	npp_region_unmap(&r.priv);
	if (r.mem.base) {
		npp_region_unmap(&r.mem);
		npp_region_unmap(&r.in);
	}
	close(r.rx_ctl);
	close(r.rx_data);
	for (int i = 0; i < IOPS; i++)
		close(r.bell[i]);
	close(r.host_bell);
}

/* ---- the wire ----------------------------------------------------------------------------- */

static void feed(const void *frame, uint32_t len)
{
	struct npp_frame_rec *rec = npp_fring_reserve(&r.rx, (uint32_t)sizeof *rec + len);

	ck_assert_ptr_nonnull(rec);
	memset(rec, 0, sizeof *rec);
	rec->len = len;
	rec->kind = NPP_REC_FRAME;
	rec->csum = NPP_CSUM_OK;
	memcpy(rec + 1, frame, len);
	npp_fring_commit(&r.rx, rec);
	if (npp_fring_publish(&r.rx))
		npp_bell_ring(r.bell[ME]);
}

/* The next frame from the port; its bytes after the virtio header. 0: none in TIMEOUT_MS. */
static uint32_t port_read(uint8_t *buf, size_t cap, int timeout_ms)
{
	struct pollfd p = { .fd = r.port, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, timeout_ms) <= 0)
		return 0;
	n = read(r.port, buf, cap);
	ck_assert_int_gt(n, (ssize_t)sizeof(struct vnet_hdr));
	memmove(buf, buf + sizeof(struct vnet_hdr), (size_t)n - sizeof(struct vnet_hdr));
	return (uint32_t)n - (uint32_t)sizeof(struct vnet_hdr);
}

static void put_eth(uint8_t *f, const uint8_t *dst, uint16_t type)
{
	struct eth_hdr *e = (void *)f;

	memcpy(e->dst, dst, 6);
	memcpy(e->src, mac_peer, 6);
	e->type = htons(type);
}

static void feed_arp(uint16_t op)
{
	uint8_t f[60] = { 0 };
	struct arp_hdr *a = (void *)(f + ETH_HDR_LEN);
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	uint32_t spa = inet_addr("10.9.0.2"), tpa = inet_addr("10.9.0.1");

	put_eth(f, op == 1 ? all : mac_ism, ETH_P_ARP4);
	*a = (struct arp_hdr){ .hrd = htons(1), .pro = htons(ETH_P_IPV4), .hln = 6, .pln = 4, .op = htons(op) };
	memcpy(a->sha, mac_peer, 6);
	memcpy(a->spa, &spa, 4);
	memcpy(a->tpa, &tpa, 4);
	if (op == 2)
		memcpy(a->tha, mac_ism, 6);
	feed(f, sizeof f);
}

/* A port of the peer whose segments belong to IOP number ME. */
static uint16_t peer_port(void)
{
	const struct npp_global *g = r.global.base;
	struct npp_flow_key k = { .src = npp_addr_v4(inet_addr("10.9.0.2")), .dst = npp_addr_v4(inet_addr("10.9.0.1")),
				  .dport = htons(80), .proto = 6 };

	for (uint16_t p = 5000;; p++) {
		k.sport = htons(p);
		if (npp_hash_iop(&g->prog[0], &k) == ME)
			return p;
	}
}

static void feed_tcp(uint8_t flags, uint32_t seq, uint32_t ack, const void *data, uint32_t len)
{
	uint8_t f[2000] = { 0 };
	struct ip4_hdr *ip = (void *)(f + ETH_HDR_LEN);
	struct tcp_hdr *t = (void *)(f + ETH_HDR_LEN + 20);

	put_eth(f, mac_ism, ETH_P_IPV4);
	*ip = (struct ip4_hdr){ .vhl = 0x45, .len = htons((uint16_t)(40 + len)), .ttl = 64, .proto = 6,
				.src = inet_addr("10.9.0.2"), .dst = inet_addr("10.9.0.1") };
	ip->csum = npp_csum_finish(npp_csum_add(ip, 20, 0));
	*t = (struct tcp_hdr){ .sport = htons(peer_port()), .dport = htons(80), .seq = htonl(seq), .ack = htonl(ack),
			       .off = 5 << 4, .flags = flags, .wnd = htons(60000) };
	if (len)
		memcpy(t + 1, data, len);
	feed(f, ETH_HDR_LEN + 40 + len);
}

/* Waits for a TCP segment with FLAGS set; answers ARP on the way. Its header and payload. */
static struct tcp_hdr *expect_tcp(uint8_t *buf, size_t cap, uint8_t flags, const uint8_t **data, uint32_t *len)
{
	for (int i = 0; i < 50; i++) {
		uint32_t n = port_read(buf, cap, WAIT_MS);
		struct eth_hdr *e = (void *)buf;
		struct ip4_hdr *ip = (void *)(buf + ETH_HDR_LEN);
		struct tcp_hdr *t = (void *)(buf + ETH_HDR_LEN + 20);

		ck_assert_uint_gt(n, 0);
		if (e->type == htons(ETH_P_ARP4)) {
			if (((struct arp_hdr *)(buf + ETH_HDR_LEN))->op == htons(1))
				feed_arp(2);
			continue;
		}
		if (ip->proto != 6 || (t->flags & flags) != flags)
			continue;
		*data = (uint8_t *)t + (t->off >> 4) * 4;
		*len = ntohs(ip->len) - 20u - (t->off >> 4) * 4u;
		return t;
	}
	ck_abort_msg("no segment with flags %x", flags);
	return NULL;
}

/* ---- the host --------------------------------------------------------------------------------- */

static void *at(uint64_t off)
{
	return (uint8_t *)r.mem.base + off;
}

static uint64_t alloc(uint64_t bytes)
{
	uint64_t off = r.heap_at;

	r.heap_at += (bytes + 4095) & ~4095ull;
	return off;
}

static struct npp_sock *sock(uint32_t i)
{
	return (struct npp_sock *)at(((struct npp_host *)r.mem.base)->sock_off) + i;
}

static void make_host(void)
{
	uint64_t ctx = 4096, socks = ctx + sizeof(struct npp_ctx) * NPP_MAX_CTX, heap = socks + 4096 * 16, off;
	struct npp_host *h;
	struct npp_ctx *c;

	ck_assert_int_eq(npp_region_create(&r.mem, "t-host", NPP_REGION_HOST, heap + HEAP, 0, hash(), 0), 0);
	ck_assert_int_eq(npp_region_create(&r.in, "t-in", NPP_REGION_INBOUND, sizeof(struct npp_inbound), ME, hash(), 0), 0);
	h = r.mem.base;
	h->sock_count = SOCKS;
	h->sock_prog_count = PROG;
	h->ctx_off = ctx;
	h->sock_off = socks;
	h->heap_off = r.heap_at = heap;
	h->heap_size = HEAP;
	for (unsigned i = 0; i < NPP_MAX_CTX; i++)
		npp_i2oq_init(&((struct npp_inbound *)r.in.base)->lane[i]);
	npp_i2oq_attach_prod(&r.to, &((struct npp_inbound *)r.in.base)->lane[0]);
	off = alloc(sizeof(struct npp_i2oq));
	npp_i2oq_init(at(off));
	npp_i2oq_attach_cons(&r.from, at(off));
	c = at(ctx);
	atomic_store_explicit((_Atomic uint32_t *)&c->lane_off64[SLOT], (uint32_t)(off / 64), memory_order_release);
	atomic_store_explicit(&h->attach[0].state, 2, memory_order_release);
}

static void attach_host(void)
{
	struct npp_ctl_host_attach a = { .host_no = 0, .attach = 0, .slot = SLOT };
	int fds[3] = { r.mem.fd, r.in.fd, r.host_bell };

	ck_assert_int_eq(npp_ctl_send(r.ctl, NPP_CTL_HOST_ATTACH, 0, 0, &a, sizeof a, fds, 3), 0);
}

static void tell(struct npp_msg m)
{
	ck_assert_int_eq(npp_i2oq_post(&r.to, &m), 0);
	if (npp_inbound_mark(r.in.base, 0))
		npp_bell_ring(r.host_bell);
}

static struct npp_msg hear(unsigned type)
{
	struct npp_msg m;

	for (int i = 0; i < WAIT_MS; i++) {
		while (npp_i2oq_poll(&r.from, &m) == 1)
			if (m.type == type)
				return m;
		usleep(1000);
	}
	ck_abort_msg("no message of type %u", type);
	return m;
}

static struct npp_accept_lane *host_listens(void)
{
	struct npp_accept_lane *lane;
	struct npp_listener *l;
	uint64_t l_off, a_off;

	make_host();
	l_off = alloc(sizeof(struct npp_listener));
	a_off = alloc(4096);
	l = at(l_off);
	lane = at(a_off);
	attach_host();
	ck_assert_uint_eq(hear(NPP_MSG_HELLO).arg, ME);
	tell((struct npp_msg){ .type = NPP_MSG_HOST, .arg = PROG + 1, .arg2 = SOCKS - PROG - 1 });
	tell((struct npp_msg){ .type = NPP_MSG_EXTENT, .off = alloc(4 << 20), .arg2 = 4 << 20 });
	lane->mask = 15;
	l->lane_off64[SLOT] = (uint32_t)(a_off / 64);
	sock(1)->type = NPP_SOCK_LISTENER;
	tell((struct npp_msg){ .type = NPP_MSG_LISTEN, .sock = 1, .off = l_off, .arg = 8, .port = 80,
			       .addr = npp_addr_v4(0) });
	ck_assert_int_eq(hear(NPP_MSG_LISTENING).error, 0);
	return lane;
}

/* Waits until COND; spins with sleeps of a millisecond. */
#define UNTIL(cond) do { int i_ = 0; while (!(cond) && i_++ < WAIT_MS) usleep(1000); ck_assert(cond); } while (0)

/* ---- cases ----------------------------------------------------------------------------------------- */

START_TEST(answers_arp_with_the_link_role)
{
	uint8_t f[2048];
	const struct arp_hdr *a = (void *)(f + ETH_HDR_LEN);

	give_link_role();
	for (int i = 0; i < 200; i++) { /* the role comes by another way than frames */
		feed_arp(1);
		if (port_read(f, sizeof f, 20) && a->op == htons(2))
			break;
	}
	ck_assert_uint_eq(a->op, htons(2));
	ck_assert_int_eq(memcmp(a->sha, mac_ism, 6), 0);
	ck_assert_int_eq(memcmp(a->tha, mac_peer, 6), 0);
}
END_TEST

START_TEST(serves_a_connection_from_syn_to_fin)
{
	struct npp_accept_lane *lane;
	const uint8_t *data;
	uint8_t f[2048], *ring;
	struct tcp_hdr *t;
	struct npp_sock *s;
	uint32_t len, iss;

	give_link_role();
	lane = host_listens();
	feed_tcp(TCPF_SYN, 1000, 0, NULL, 0);
	t = expect_tcp(f, sizeof f, TCPF_SYN | TCPF_ACK, &data, &len);
	ck_assert_uint_eq(ntohl(t->ack), 1001);
	iss = ntohl(t->seq);
	feed_tcp(TCPF_ACK | TCPF_PSH, 1001, iss + 1, "hello", 5);
	UNTIL(lane->entry[0]);
	s = sock(NPP_ACCEPT_SOCK(lane->entry[0]));
	ck_assert_uint_eq(s->rport, peer_port());
	UNTIL(s->rx_head == 5);
	ck_assert_int_eq(memcmp(at(s->rx_ring.off), "hello", 5), 0);
	s->rx_tail = 5;
	s->refs = 1;
	lane->entry[0] = 0;
	UNTIL(s->tx_ring.off);
	ring = at(s->tx_ring.off);
	memcpy(ring, "world", 5);
	s->tx_head = 5;
	s->pend_in = NPP_IN_TX;
	tell((struct npp_msg){ .type = NPP_MSG_LOOK, .sock = s - sock(0), .sock_gen = s->gen, .ism_handle = s->ism_handle });
	do
		t = expect_tcp(f, sizeof f, TCPF_ACK, &data, &len);
	while (!len);
	ck_assert_uint_eq(len, 5);
	ck_assert_int_eq(memcmp(data, "world", 5), 0);
	feed_tcp(TCPF_ACK | TCPF_FIN, 1006, iss + 6, NULL, 0);
	UNTIL(s->rx_flags & NPP_RXF_FIN);
	s->refs = 0;
	tell((struct npp_msg){ .type = NPP_MSG_CLOSE, .sock = s - sock(0), .sock_gen = s->gen,
			       .ism_handle = s->ism_handle, .arg = 5 });
	t = expect_tcp(f, sizeof f, TCPF_FIN | TCPF_ACK, &data, &len);
	feed_tcp(TCPF_ACK, 1007, ntohl(t->seq) + 1, NULL, 0);
	UNTIL(s->owner == 0);
}
END_TEST

START_TEST(asks_for_rings_to_another_iop_and_keeps_what_comes_meanwhile)
{
	struct npp_fring_cons in;
	const struct npp_frame_rec *rec = NULL;
	struct npp_ctl_msg m;
	int out[2], back[2];
	uint32_t len;

	host_listens();
	feed_tcp(TCPF_SYN, 1000, 0, NULL, 0); /* where is the peer? IOP 0 has the link role */
	receive(&m, NPP_CTL_IPC_OPEN);
	ck_assert_uint_eq(((struct npp_ctl_ipc *)m.body)->peer, 0);
	/* Something else comes first: the host again (its OSM was started anew). */
	attach_host();
	ck_assert_int_eq(npp_fring_create("t-ipc", NPP_REGION_IPC, ME, 256 << 10, 0, &out[0], &out[1]), 0);
	ck_assert_int_eq(npp_fring_create("t-ipc", NPP_REGION_IPC, 0, 256 << 10, 0, &back[0], &back[1]), 0);
	ck_assert_int_eq(npp_ctl_send(r.ctl, NPP_CTL_IPC, m.hdr.seq, 0, &(struct npp_ctl_ipc){ .peer = 0 },
				      sizeof(struct npp_ctl_ipc), (int[]){ out[0], out[1], back[0], back[1] }, 4), 0);
	ck_assert_int_eq(npp_fring_attach_cons(&in, out[0], out[1], NPP_REGION_IPC), 0);
	UNTIL((rec = npp_fring_peek(&in, &len)));
	ck_assert_uint_eq(rec->kind, NPP_REC_RESOLVE);
	ck_assert_uint_eq(hear(NPP_MSG_HELLO).flags, 0); /* the message that waited */
	npp_fring_detach(&in.m);
	for (int i = 0; i < 2; i++) {
		close(out[i]);
		close(back[i]);
	}
}
END_TEST

START_TEST(successor_serves_the_connections_of_a_killed_one)
{
	struct npp_accept_lane *lane;
	struct npp_ctl_msg m;
	const uint8_t *data;
	uint8_t f[2048];
	struct tcp_hdr *t;
	struct npp_sock *s;
	uint32_t len, iss;
	int status;

	give_link_role();
	lane = host_listens();
	feed_tcp(TCPF_SYN, 1000, 0, NULL, 0);
	t = expect_tcp(f, sizeof f, TCPF_SYN | TCPF_ACK, &data, &len);
	iss = ntohl(t->seq);
	feed_tcp(TCPF_ACK | TCPF_PSH, 1001, iss + 1, "hello", 5);
	UNTIL(lane->entry[0]);
	s = sock(NPP_ACCEPT_SOCK(lane->entry[0]));
	UNTIL(s->rx_head == 5);
	kill(r.pid, SIGKILL);
	ck_assert_int_eq(waitpid(r.pid, &status, 0), r.pid);
	close(r.ctl);
	close(r.port);
	launch(1);
	attach_host();
	receive(&m, NPP_CTL_READY);
	give_link_role();
	ck_assert_uint_eq(hear(NPP_MSG_HELLO).flags, 0);
	feed_tcp(TCPF_ACK | TCPF_PSH, 1006, iss + 1, "again", 5);
	UNTIL(s->rx_head == 10);
	ck_assert_int_eq(memcmp(at(s->rx_ring.off), "helloagain", 10), 0);
}
END_TEST

START_TEST(ends_when_its_supervisor_is_gone)
{
	int status;

	close(r.ctl);
	ck_assert_int_eq(waitpid(r.pid, &status, 0), r.pid);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	close(r.port);
	r.pid = 0;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("npp-ism");
	TCase *t = tcase_create("process");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, answers_arp_with_the_link_role);
	tcase_add_test(t, serves_a_connection_from_syn_to_fin);
	tcase_add_test(t, asks_for_rings_to_another_iop_and_keeps_what_comes_meanwhile);
	tcase_add_test(t, successor_serves_the_connections_of_a_killed_one);
	tcase_add_test(t, ends_when_its_supervisor_is_gone);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
