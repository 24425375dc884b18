/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_iop.c - an IOP whose dispatcher and siblings write anything, also while it reads
 * options: -max_len=1024 -len_control=0
 * links with: tests/fuzz/scene.c tests/unit/stack/ip_rig.c npp-ism/stack/[a-z]*.c npp-ism/socket/ipc.c npp-ism/socket/run.c shm/fring.c
 * compiled with: -fsanitize-coverage=trace-loads -fno-sanitize-coverage=trace-cmp
 *
 * A live stack behind real rings: frames from the dispatcher, IPC of a sibling, the neighbour cache, the loads of all
 * IOPs. Input: operations of eight bytes: frames and IPC records that make sense, then words of them, of the control
 * pages, of the cache that do not, also between a check and the use (before a certain load); calls of the
 * program, time, the link role, a successor. What must hold: nothing outside a record is read, nothing outside the
 * arena is written, what leaves has its bounds, the pools add up; when all is over everything has been given back.
 * Each input begins with the same stack in the middle of its work.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "npp-ism/socket/ism.h"
#include "npp-ism/stack/tcp.h"
#include "npp-ism/stack/udp_priv.h"
#include "tests/fuzz/loads.h"
#include "tests/fuzz/replay.h"
#include "tests/fuzz/scene.h"
#include "tests/fuzz/words.h"
#include "tests/unit/stack/ip_rig.h"

#if defined(__SANITIZE_ADDRESS__) || defined(NPP_FUZZING)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#endif

#define RING (128u << 10)
#define BEGIN (0u - 4096u)	/* all rings begin shortly before their ends, and before that of their counters */
#define CONNS 16
#define CONN_RING 16384u

enum what { F_TCP, F_SYN, F_UDP, F_ICMP, F_ECHO, F_FRAG, F_ARP, F_IP6, F_ND, F_BYTES, I_NEIGH, I_TFO, W_REC, W_LOAD, W_CTL, W_OUT, W_NEIGH,
	    W_LOCKS, Q_READ, U_TCP, U_UDP, U_ROLE, U_TIME, U_AGAIN, OPS };
enum ring { R_RX, R_IN, R_OUT, RINGS };
#define F_IPC 128	/* in A of a frame: comes from the sibling */
#define F_MORE 64	/* another one follows before the IOP looks */
#define F_SUMS 32	/* nobody vouches for its checksum */

static struct rig *r;
static struct ism I;
static const struct nk_source *rx;
static struct rig_pkt p;
static int ring_fd[RINGS][2];
static struct npp_fring_prod to[2];		/* of R_RX and R_IN: the others' side */
static struct npp_fring_cons from;		/* of R_OUT */
static struct npp_fring pristine_ctl;
static struct { uint32_t off, n; } open_part[2];	/* of the data of R_RX and R_IN that the IOP may read */
static struct npp_locks locks;
static struct { uint8_t *arena; struct npp_neigh_table *t; uint64_t now, rnd; struct npp_neigh *used[8]; unsigned n_used; } pristine;
static uint8_t conn_mem[CONNS][2][CONN_RING];
static bool inside, wild, out_wild, rec_due;
static struct op rec_op;
static uint32_t loads_left, load_value;
static uint32_t last_seq;			/* of the last SYN-ACK */
static const struct words words = { .size = RING, .heap = BEGIN };
static const uint8_t us6[16] = { 0xfd, [15] = 1 }, peer6[16] = { 0xfd, [15] = 0x64 };

/* ---- what the stack's user does ---------------------------------------------------------------- */

static volatile uint8_t sink;

static void look_at(const void *at, size_t n)
{
	const uint8_t *b = at;

	for (size_t i = 0; i < n; i += 61)
		sink = (uint8_t)(sink + b[i]);
	if (n)
		sink = (uint8_t)(sink + b[n - 1]);
}

static void on_tx(void *arg, unsigned port, const struct stack_tx *tx)
{
	const struct tcp_hdr *t = (const struct tcp_hdr *)(const void *)(tx->head + STACK_L4_OFF);

	(void)arg;
	MUST(tx->start <= STACK_L4_OFF && STACK_L4_OFF + tx->l4_len <= STACK_HEAD_MAX && port < r->g->n_ports);
	look_at(tx->head + tx->start, STACK_L4_OFF + tx->l4_len - tx->start);
	for (uint32_t i = 0, n = 0; i < tx->n_slices; i++) {
		look_at(tx->slice[i].data, tx->slice[i].len);
		MUST((n += tx->slice[i].len) <= tx->payload_len);
	}
	MUST(memcmp(tx->head + tx->start + 6, r->g->port[port].mac, 6) == 0);
	if (tx->l4_len >= sizeof *t && t->flags & TCPF_SYN)
		last_seq = ntohl(t->seq);
}

static void on_ipc(void *arg, unsigned iop, enum npp_rec_kind kind, const struct npp_frame_rec *rec, const void *data, uint32_t len)
{
	(void)arg;
	ism_ipc_send(&I, iop, kind, rec, data, len);
}

static uint64_t on_random(void *arg)
{
	(void)arg;
	return r->rnd = r->rnd * 6364136223846793005ull + 1442695040888963407ull;
}

static int on_accept(void *arg, struct tcp_listener *l, struct tcp_conn *c)
{
	(void)arg, (void)l;
	c->user_sock = 1;
	c->tx = (struct stack_ring){ conn_mem[c->index][0], CONN_RING };
	return 0;
}

static bool on_accept_room(void *arg, struct tcp_listener *l) { (void)arg, (void)l; return true; }

static void on_event(void *arg, struct tcp_conn *c, uint32_t up)
{
	(void)arg;
	if (up & TCP_UP_FREED)
		c->rx.base = c->tx.base = NULL;
}

static bool on_rx_grow(void *arg, struct tcp_conn *c, uint32_t end)
{
	(void)arg;
	if (!c->rx.base && end - c->rx_tail <= CONN_RING)
		c->rx = (struct stack_ring){ conn_mem[c->index][1], CONN_RING };
	return c->rx.base && end - c->rx_tail <= c->rx.size;
}

static void on_udp(void *arg, struct udp_endpoint *ep, const struct npp_dgram *d, const union npp_addr *dst, const void *payload)
{
	(void)arg, (void)ep, (void)dst;
	look_at(payload, d->len);
}

static void on_udp_error(void *arg, struct udp_endpoint *ep, const struct stack_udp_error *e) { (void)arg, (void)ep; MUST(e->err > 0); }
static void on_autoconf(void *arg, const struct npp_autoconf *a) { (void)arg; look_at(a, sizeof *a); }
static void on_conflict(void *arg, const struct npp_conflict *c) { (void)arg; look_at(c, sizeof *c); }
static void on_groups(void *arg, const struct npp_groups *g) { (void)arg; look_at(g, sizeof *g); }

static const struct stack_ops ops = {
	.tx = on_tx, .ipc = on_ipc, .random = on_random, .accept = on_accept, .accept_room = on_accept_room, .event = on_event,
	.rx_grow = on_rx_grow, .udp_input = on_udp, .udp_error = on_udp_error, .autoconf = on_autoconf, .conflict = on_conflict,
	.groups = on_groups,
};

/* ---- rings ---------------------------------------------------------------------------------------- */

static struct npp_fring_map *map_of(enum ring k)
{
	return k == R_RX ? &I.rx.m : k == R_IN ? &I.ipc[1].in.m : &I.ipc[1].out.m;
}

/* OPEN or not: the N bytes from OFF on, which it reads where they begin, or from the start of the data. */
static void mark_part(uint8_t *data, uint32_t off, uint32_t n, bool open)
{
	uint32_t round = off + n > RING ? off + n - RING : 0;

	if (open) {
		ASAN_UNPOISON_MEMORY_REGION(data + off, n);
		ASAN_UNPOISON_MEMORY_REGION(data, round);
	} else {
		ASAN_POISON_MEMORY_REGION(data + off, n);
		ASAN_POISON_MEMORY_REGION(data, round);
	}
	(void)data, (void)round;
}

/* The IOP may read what was published and not yet released, and no other part of the data. */
static void open_ring(enum ring k)
{
	const struct npp_fring_map *m = map_of(k);
	uint32_t tail = m->ctl ? atomic_load(&m->ctl->tail) : 0;

	if (!m->data || wild)
		return;
	mark_part(m->data, open_part[k].off, open_part[k].n, false);
	open_part[k].off = tail & (RING - 1);
	open_part[k].n = to[k].head - tail;
	mark_part(m->data, open_part[k].off, open_part[k].n, true);
}

static void forbid(enum ring k)
{
	open_part[k].n = 0;
	ASAN_POISON_MEMORY_REGION(map_of(k)->data, 2 * RING);
}

static void permit(enum ring k)
{
	open_part[k].n = 0;
	if (map_of(k)->data)
		ASAN_UNPOISON_MEMORY_REGION(map_of(k)->data, 2 * RING);
}

/* There is no telling any more what stands in the rings, and how far. */
static void go_wild(void)
{
	wild = true;
	permit(R_RX);
	permit(R_IN);
}

#ifdef NPP_FUZZING
UNSEEN static bool part_of(const void *at, const void *what, size_t size)
{
	return what && (const uint8_t *)at >= (const uint8_t *)what && (const uint8_t *)at < (const uint8_t *)what + size;
}

/* The IOP may not write to the data of the rings that it reads; the others have them elsewhere. */
UNSEEN static void loaded(const void *at, unsigned len)
{
	bool ctl = false, out = false;
	void *w = NULL;

	if (!loads_left || !inside)
		return;
	for (unsigned k = 0; k < RINGS && !w; k++) {
		const struct npp_fring_map *m = map_of(k);

		ctl = part_of(at, m->ctl, sizeof *m->ctl);
		if (ctl || (k == R_OUT && part_of(at, m->data, 2 * RING))) {
			w = (void *)(uintptr_t)at;
			out = k == R_OUT;
		} else if (k != R_OUT && part_of(at, m->data, 2 * RING)) {
			w = to[k].m.data + ((size_t)((const uint8_t *)at - m->data) & (RING - 1));
		}
	}
	if (!w && (part_of(at, r->t, sizeof *r->t) || part_of(at, &locks, sizeof locks)))
		w = (void *)(uintptr_t)at;
	if (!w || --loads_left)
		return;
	memcpy(w, &load_value, len < sizeof load_value ? len : sizeof load_value);
	if (ctl)
		go_wild();
	out_wild |= out;
}
#endif

static void attach_rings(void)
{
	const int fds[4] = { ring_fd[R_OUT][0], ring_fd[R_OUT][1], ring_fd[R_IN][0], ring_fd[R_IN][1] };

	permit(R_RX);
	permit(R_IN);
	npp_fring_detach(&I.rx.m);
	I.have_rx = npp_fring_attach_cons(&I.rx, ring_fd[R_RX][0], ring_fd[R_RX][1], NPP_REGION_RX) == 0;
	if (ism_ipc_attach(&I, 1, fds) == 0 && !wild)
		forbid(R_IN);
	if (I.have_rx && !wild)
		forbid(R_RX);
}

/* ---- the IOP looks --------------------------------------------------------------------------------- */

static void look(void)
{
	open_ring(R_RX);
	open_ring(R_IN);
	inside = true;
	ism_set_now(&I, r->now_us);
	if (I.have_rx && rx->pending(&I))
		rx->run(&I, rx->budget);
	if (ism_ipc_pending(&I))
		ism_ipc_run(&I, 64);
	stack_run_timers(I.stack, 256);
	ism_flush(&I);
	if (I.have_rx)
		rx->announce(&I, true);
	ism_ipc_announce(&I, true);
	inside = false;
	loads_left = 0;
	scene_pools_add_up(I.stack);
}

static void put_rec(const struct op *o, enum ring k, const struct npp_frame_rec *rec, const void *data, uint32_t len)
{
	struct npp_frame_rec *at = npp_fring_reserve(&to[k], (uint32_t)sizeof *at + len);

	if (at) {
		*at = *rec;
		at->len = len;
		memcpy(at + 1, data, len);
		npp_fring_commit(&to[k], at);
		if (rec_due)
			spoil(&words, &rec_op, at, ((uint32_t)sizeof *at + len + 3) & ~3u);
		rec_due = false;
		npp_fring_publish(&to[k]);
	}
	if (!(o->a & F_MORE))
		look();
}

static void put(const struct op *o)
{
	struct npp_frame_rec rec = { .kind = o->a & F_IPC ? NPP_REC_DATAGRAM : NPP_REC_FRAME, .csum = o->a & F_SUMS ? NPP_CSUM_NONE : NPP_CSUM_OK,
				     .l4_off = (uint8_t)p.l4, .rx_us = (uint32_t)r->now_us };

	put_rec(o, o->a & F_IPC ? R_IN : R_RX, &rec, p.b, p.len);
	p.l4 = 0;
}

/* ---- frames ------------------------------------------------------------------------------------------ */

static struct tcp_conn *some_conn(unsigned nth)
{
	for (uint32_t i = 0; i < stack_conn_limit(I.stack); i++) {
		struct tcp_conn *c = stack_conn(I.stack, i);

		if (c && npp_addr_is_v4(&c->raddr) && nth-- == 0)
			return c;
	}
	return NULL;
}

/* A segment of the connection, or beside it. */
static void frame_tcp(const struct op *o)
{
	struct tcp_conn *c = some_conn(o->a % 4);
	const struct tcb *t = (const struct tcb *)c;
	uint8_t options[12] = { 1, 1, 5, 10 };

	if (!c)
		return;
	rig_tcp(&p, ntohl(c->raddr.w[3]), c->rport, RIG_US, c->lport, o->b & 0x3f, t->rcv_nxt + (o->v & 0xff) * (o->b >> 6 & 1),
		t->snd_nxt - (o->v >> 8 & 0xff) * (o->b >> 7), 0);
	if (o->c & 1) {
		memcpy(options + 4, &o->v, 4);
		rig_put(&p, options, sizeof options);
		p.b[p.l4 + 12] = 8 << 4;
	}
	rig_put_pattern(&p, 0, (o->c >> 1) * 12u);
	rig_ip4_end(&p);
	put(o);
}

static void frame_udp(const struct op *o)
{
	rig_udp(&p, o->c & 1 ? RIG_PEER : RIG_GW, 99, RIG_US, o->c & 2 ? 54 : 53, o->v % 1400);
	put(o);
}

/* An error about what we have sent. */
static void frame_icmp(const struct op *o)
{
	struct icmp4_hdr h = { .type = o->c & 1 ? 3 : 11, .code = o->c & 2 ? 4 : 0, .rest = htonl(o->v % 1500) };
	static struct rig_pkt q;

	rig_tcp(&q, RIG_US, 80, RIG_PEER, 40000, TCPF_ACK, 0, 0, 0);
	if (o->c & 4)
		rig_udp(&q, RIG_US, 54, RIG_PEER, 99, 20);
	rig_ip4(&p, RIG_GW, RIG_US, 1, 7, 0);
	rig_put(&p, &h, sizeof h);
	rig_put(&p, q.b + 14, 28 + (o->c >> 3) % 12);
	rig_ip4_end(&p);
	rig_l4_csum(&p);
	put(o);
}

static void frame_part(const struct op *o)
{
	static struct rig_pkt whole;

	if (o->c & 8)
		rig_echo(&whole, RIG_PEER, RIG_US, 1500);
	else
		rig_udp(&whole, RIG_PEER, 99, RIG_US, 53, 1600);
	whole.b[18] = 0;
	whole.b[19] = o->b;
	if (rig_cut(&whole, 420 + o->v % 2 * 300, o->c % 8, &p))
		put(o);
}

static void frame_arp(const struct op *o)
{
	rig_arp(&p, o->c & 1 ? rig_bcast_mac : rig_mac, o->c & 2 ? 2 : 1, o->c & 4 ? rig_peer_mac : rig_gw_mac,
		o->c & 8 ? RIG_PEER + o->v % 8 : RIG_GW, rig_mac, o->c & 16 ? RIG_US : RIG_US2);
	put(o);
}

static void ip6_begin(uint8_t next)
{
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .next = next, .hops = 255 };

	rig_eth(&p, rig_mac, rig_peer_mac, ETH_P_IP6);
	memcpy(h.src, peer6, 16);
	memcpy(h.dst, us6, 16);
	rig_put(&p, &h, sizeof h);
	p.l4 = p.len;
}

static void ip6_end(uint32_t sum_off)
{
	uint16_t n = htons((uint16_t)(p.len - 54)), sum;
	union npp_addr s, d;
	uint8_t proto = sum_off == 2 ? 58 : 17;

	memcpy(p.b + 18, &n, 2);
	memcpy(s.b, peer6, 16);
	memcpy(d.b, us6, 16);
	memset(p.b + p.l4 + sum_off, 0, 2);
	sum = npp_csum_finish(npp_csum_add(p.b + p.l4, p.len - p.l4, npp_csum_pseudo(&s, &d, proto, p.len - p.l4)));
	memcpy(p.b + p.l4 + sum_off, &sum, 2);
}

/* A datagram behind extension headers, or a part of one. */
static void frame_ip6(const struct op *o)
{
	struct udp_hdr u = { htons(99), htons(53), htons((uint16_t)(8 + o->v % 512)), 0 };
	struct ip6_frag_hdr f = { .next = 17, .off = htons((uint16_t)((o->v >> 16 & 15) * 64 | (o->c & 1))), .id = o->b };
	uint8_t ext[16] = { o->c & 2 ? 44 : 17, 1, 1, 4, 0, 0, 0, 0, 1, 4 };

	ip6_begin(60);
	rig_put(&p, ext, sizeof ext);
	if (o->c & 2)
		rig_put(&p, &f, sizeof f);
	p.l4 = p.len;
	rig_put(&p, &u, sizeof u);
	rig_put_pattern(&p, 0, o->v % 512);
	ip6_end(6);
	put(o);
}

static void frame_nd(const struct op *o)
{
	struct icmp4_hdr h = { .type = (uint8_t)(133 + o->c % 5), .rest = htonl(o->v) };
	uint8_t opt[8] = { o->b % 6, 1, 2, 9, 9, 9, 9, 9 };

	ip6_begin(58);
	rig_put(&p, &h, sizeof h);
	rig_put(&p, o->c & 64 ? peer6 : us6, 16);
	for (unsigned i = 0; i < 1u + (o->c >> 4 & 3); i++)
		rig_put(&p, opt, sizeof opt);
	ip6_end(2);
	put(o);
}

static void frame_bytes(const struct op *o)
{
	static const uint16_t type[] = { ETH_P_IPV4, ETH_P_IP6, ETH_P_ARP4, 0x8100 };

	rig_eth(&p, rig_mac, rig_peer_mac, type[o->c % 4]);
	rig_put(&p, &o->v, 4);
	for (uint32_t i = 0; i < o->b; i++)
		rig_put(&p, &o->c, 1);
	put(o);
}

/* ---- what a sibling says ------------------------------------------------------------------------------- */

static void ipc_neigh(const struct op *o)
{
	struct npp_frame_rec rec = { .kind = (uint8_t)(NPP_REC_RESOLVE + o->b % 4) };
	struct npp_ipc_neigh n = { .addr = rig_addr(o->c & 1 ? RIG_PEER + o->c / 2 % 8 : RIG_GW), .from = o->c & 128 ? (uint8_t)o->v : 1,
				   .pmtu = o->v % 1501 };

	memcpy(n.mac, rig_peer_mac, 6);
	put_rec(o, R_IN, &rec, &n, o->b & 128 ? o->v % sizeof n : sizeof n);
}

static void ipc_tfo(const struct op *o)
{
	struct npp_frame_rec rec = { .kind = NPP_REC_TFO };
	struct npp_ipc_tfo t = { .addr = rig_addr(RIG_PEER), .mss = (uint16_t)o->v, .len = o->c };

	put_rec(o, R_IN, &rec, &t, o->b & 128 ? o->v % sizeof t : sizeof t);
}

static void spoil_ctl(const struct op *o)
{
	enum ring k = o->a % RINGS;
	struct npp_fring *ctl = k == R_OUT ? from.m.ctl : to[k].m.ctl;

	go_wild();
	out_wild |= k == R_OUT;
	spoil(&words, o, &ctl->hdr + 1, sizeof *ctl - sizeof ctl->hdr);
	look();
}

static void spoil_neigh(const struct op *o)
{
	if (o->a % 4 == 0 || !pristine.n_used)
		spoil(&words, o, (struct npp_region_hdr *)(void *)r->t + 1, 32);
	else
		spoil(&words, o, pristine.used[o->a % pristine.n_used], sizeof(struct npp_neigh));
}

/* The sibling reads what it was sent. */
static void sibling_reads(void)
{
	const struct npp_frame_rec *rec;
	uint32_t len;

	while ((rec = npp_fring_peek(&from, &len))) {
		MUST(out_wild || (rec->kind >= NPP_REC_FRAME && rec->kind < NPP_REC_KINDS));
		look_at(rec + 1, len);
		npp_fring_advance(&from, len);
	}
	MUST(out_wild || from.errors == 0);
	npp_fring_release(&from);
}

/* ---- the program ------------------------------------------------------------------------------------------ */

static void user_tcp(const struct op *o)
{
	struct tcp_conn *c = some_conn(o->a % 4);
	uint32_t room = c && c->tx.base ? c->tx.size - (c->tx_head - c->tx_tail) : 0;

	if (!c)
		return;
	switch (o->b % 5) {
	case 0: stack_tcp_abort(I.stack, c); break;
	case 1: stack_tcp_close(I.stack, c, c->tx_head, 0); break;
	case 2: stack_tcp_shutdown(I.stack, c, c->tx_head); break;
	case 3:
		if (room)
			stack_tcp_sent(I.stack, c, c->tx_head + o->v % room);
		break;
	default: stack_tcp_read(I.stack, c, c->rx_head); break;
	}
}

static void user_udp(const struct op *o)
{
	static const uint32_t dsts[] = { RIG_PEER, RIG_GW, RIG_US2, 0x0a0000ff, 0xe0000001, 0x08080808, 0x0a000033, RIG_PEER + 1 };
	struct udp_endpoint *ep = stack_udp(I.stack, o->b % 2);
	struct npp_dgram d = { .len = o->v % 3000, .port = 53, .addr = rig_addr(dsts[o->c % 8]) };
	static const uint8_t zero[3000];
	struct stack_slice sl = { zero, d.len };

	if (o->c & 64)
		memcpy(d.addr.b, peer6, 16);
	if (ep)
		stack_udp_send(I.stack, ep, &d, &sl, 1);
}

static void role(bool has)
{
	r->node[0].env.neigh_rw = has ? r->t : NULL;
	atomic_store(&r->g->link_iop, has ? 0 : 1);
	stack_set_env(I.stack, &r->node[0].env);
}

/* Another process takes over: the stack as it is, the rings as they stand. */
static void successor(void)
{
	MUST(stack_attach(I.stack, &r->node[0].env, r->now_us) == 0);
	attach_rings();
}

/* ---- an input ------------------------------------------------------------------------------------------------ */

static void perform(const struct op *o)
{
	switch ((enum what)o->op) {
	case F_TCP: frame_tcp(o); break;
	case F_SYN:
		rig_tcp(&p, RIG_PEER, (uint16_t)(41000 + o->c), RIG_US, 80, o->b & 1 ? TCPF_SYN : TCPF_ACK, o->b & 1 ? 4999 : 5000,
			o->b & 2 ? o->v : last_seq + 1, o->v % 64);
		put(o);
		break;
	case F_UDP: frame_udp(o); break;
	case F_ICMP: frame_icmp(o); break;
	case F_ECHO:
		rig_echo(&p, RIG_PEER + o->c % 2, RIG_US, o->v % 1400);
		put(o);
		break;
	case F_FRAG: frame_part(o); break;
	case F_ARP: frame_arp(o); break;
	case F_IP6: frame_ip6(o); break;
	case F_ND: frame_nd(o); break;
	case F_BYTES: frame_bytes(o); break;
	case I_NEIGH: ipc_neigh(o); break;
	case I_TFO: ipc_tfo(o); break;
	case W_REC: rec_op = *o, rec_due = true; break;
	case W_LOAD: loads_left = 1 + ((uint32_t)o->a << 8 | o->b) % 512, load_value = hurt(&words, o, o->v); break;
	case W_CTL: spoil_ctl(o); break;
	case W_OUT:
		out_wild = true;
		if (I.ipc[1].open)
			spoil(&words, o, I.ipc[1].out.m.data + (BEGIN & (RING - 1)), 1024);
		break;
	case W_NEIGH: spoil_neigh(o); break;
	case W_LOCKS: spoil(&words, o, locks.load, sizeof locks.load); break;
	case Q_READ: sibling_reads(); break;
	case U_TCP: user_tcp(o); look(); break;
	case U_UDP: user_udp(o); look(); break;
	case U_ROLE: role(o->b & 1); look(); break;
	case U_TIME: r->now_us += o->v % 3000000; look(); break;
	case U_AGAIN: successor(); break;
	case OPS: break;
	}
}

/* What stood in the rings is gone, for the next input to be as if it were the first. */
static void rings_anew(void)
{
	for (unsigned k = 0; k < RINGS; k++) {
		struct npp_fring *ctl = k == R_OUT ? from.m.ctl : to[k].m.ctl;
		uint32_t used = k == R_OUT ? I.ipc[1].out.head - BEGIN : to[k].head - BEGIN;
		uint8_t *data = k == R_OUT ? I.ipc[1].out.m.data : to[k].m.data;

		if (data && used)
			memset(data + (BEGIN & (RING - 1)), 0, used < RING ? used : RING);
		if (k == R_OUT && data && out_wild)
			memset(data + (BEGIN & (RING - 1)), 0, 1024);
		memcpy(&ctl->hdr + 1, &pristine_ctl.hdr + 1, sizeof *ctl - sizeof ctl->hdr);
		if (k != R_OUT)
			to[k].head = to[k].tail_seen = BEGIN;
	}
	from.tail = from.head_seen = BEGIN;
	from.errors = 0;
	if (!I.have_rx || !I.ipc[1].open)
		attach_rings();
	MUST(I.have_rx && I.ipc[1].open);
	I.rx.tail = I.rx.head_seen = I.ipc[1].in.tail = I.ipc[1].in.head_seen = BEGIN;
	I.ipc[1].out.head = I.ipc[1].out.tail_seen = BEGIN;
	I.ipc[1].dirty = false;
	if (wild) {
		forbid(R_RX);
		forbid(R_IN);
	}
	wild = out_wild = rec_due = false;
}

static void begin(void)
{
	rings_anew();
	memcpy(r->node[0].arena, pristine.arena, r->node[0].arena_size);
	memcpy(r->t, pristine.t, sizeof *r->t);
	memset(locks.load, 0, sizeof locks.load);
	r->now_us = pristine.now;
	r->rnd = pristine.rnd;
	r->node[0].env.neigh_rw = r->t;
	atomic_store(&r->g->link_iop, 0);
}

static void end(void)
{
	const struct ip_state *ip = I.stack->ip;

	for (unsigned i = 0; i < 6; i++) {
		r->now_us += i < 3 ? 300000 : REASS_TIMEOUT_US;
		for (unsigned n = 0; n < 4; n++)
			look();
	}
	/* A ring that was spoilt may bring fragments to the last; timers may be a tick late. */
	MUST(ip->reass.oldest == REASS_NONE ||
	     ip->reass.ent[ip->reass.oldest].born_us + REASS_TIMEOUT_US + WHEEL_TICK_US > r->now_us);
	MUST(ip->local_head == ip->local_tail);
}

/* ---- once ------------------------------------------------------------------------------------------------------ */

/* A stack like those of the bench, but smaller: it is copied for each input. */
static void make_stack(void)
{
	struct stack_cfg cfg = { .iop = 0, .n_iops = 2, .max_conns = CONNS, .max_listeners = 4, .max_udp = 8, .reass_bytes = 32768,
				 .hash_key = { 1, 2 }, .isn_key = { 3, 4 } };
	struct rig_node *n = &r->node[0];

	n->env.ops = &ops;
	n->env.load = locks.load;
	free(n->arena);
	n->arena_size = stack_size(&cfg);
	n->arena = aligned_alloc(64, n->arena_size);
	MUST(n->arena);
	memset(n->arena, 0, n->arena_size);
	n->s = I.stack = stack_init(n->arena, &cfg, &n->env);
	stack_set_now(n->s, r->now_us);
}

static void make_ism(void)
{
	static struct npp_stats_page page;

	for (unsigned k = 0; k < RINGS; k++)
		MUST(npp_fring_create("fuzz-ring", k == R_RX ? NPP_REGION_RX : NPP_REGION_IPC, 0, RING, 0, &ring_fd[k][0], &ring_fd[k][1]) == 0);
	for (unsigned k = 0; k < R_OUT; k++)
		MUST(npp_fring_attach_prod(&to[k], ring_fd[k][0], ring_fd[k][1], k == R_RX ? NPP_REGION_RX : NPP_REGION_IPC) == 0);
	MUST(npp_fring_attach_cons(&from, ring_fd[R_OUT][0], ring_fd[R_OUT][1], NPP_REGION_IPC) == 0);
	pristine_ctl = *from.m.ctl;
	atomic_store(&pristine_ctl.head, BEGIN);
	atomic_store(&pristine_ctl.tail, BEGIN);
	I.ctl = -1;
	I.n_iops = 2;
	I.stats = r->node[0].stats;
	I.page = &page;
	I.r = calloc(1, sizeof *I.r);
	MUST(I.r);
	I.r->dirty_head = I.r->settle_head = ISM_NONE;
	for (unsigned i = 0; i < 2; i++)
		I.bells[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	I.rx.m.ctl_region = (struct npp_region)NPP_REGION_NULL;
	attach_rings();
	MUST(I.have_rx && I.ipc[1].open);
	ism_run_setup(&I);
	MUST(!I.broken);
	for (unsigned i = 0; i < I.nk.n_sources; i++)
		if (strcmp(I.nk.source[i].name, "rx") == 0)
			rx = &I.nk.source[i];
	MUST(rx);
}

/* Does a connection from there belong to this IOP? */
static bool ours(uint16_t port)
{
	struct npp_flow_key key = { .src = rig_addr(RIG_PEER), .dst = rig_addr(RIG_US), .proto = 6, .sport = htons(port), .dport = htons(80) };

	return npp_hash_iop(&r->g->prog[0], &key) == 0;
}

static void make_scene(void)
{
	struct tcp_listener l = { .port = 80, .backlog = 8 };
	struct udp_endpoint u = { .lport = 53 }, c = { .lport = 54, .rport = 99, .raddr = rig_addr(RIG_PEER) };
	struct op o = { .a = 0 };
	uint16_t port = 40000;
	int err;

	memcpy(r->g->addr[r->g->n_addrs].addr.b, us6, 16);
	r->g->addr[r->g->n_addrs++].prefix_len = 64;
	atomic_fetch_add(&r->g->net_seq, 2);
	MUST(stack_listen(I.stack, &l, &err) && stack_udp_bind(I.stack, &u, &err) && stack_udp_bind(I.stack, &c, &err));
	r->now_us += 3000000;
	look();
	rig_arp(&p, rig_bcast_mac, 1, rig_peer_mac, RIG_PEER, rig_mac, RIG_US);
	put(&o);
	frame_nd(&(struct op){ .c = 2, .b = 1 });
	for (unsigned i = 0; i < 6; i++) {
		while (!ours(++port))
			;
		rig_tcp(&p, RIG_PEER, port, RIG_US, 80, TCPF_SYN, 1000, 0, 0);
		put(&o);
		if (i % 3 == 0)
			continue; /* stays half open */
		rig_tcp(&p, RIG_PEER, port, RIG_US, 80, TCPF_ACK, 1001, last_seq + 1, 50);
		put(&o);
	}
	MUST(some_conn(3));
	sibling_reads();
}

static void keep_pristine(void)
{
	pristine.arena = malloc(r->node[0].arena_size);
	pristine.t = malloc(sizeof *pristine.t);
	MUST(pristine.arena && pristine.t);
	memcpy(pristine.arena, r->node[0].arena, r->node[0].arena_size);
	memcpy(pristine.t, r->t, sizeof *r->t);
	pristine.now = r->now_us;
	pristine.rnd = r->rnd;
	for (unsigned i = 0; i < NPP_NEIGH_ENTRIES && pristine.n_used < 8; i++)
		if (!npp_addr_is_any(&r->t->entry[i].addr))
			pristine.used[pristine.n_used++] = &r->t->entry[i];
	MUST(pristine.n_used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct op o;

	if (!r) {
		r = rig_new(2);
		make_stack();
		make_ism();
		rings_anew();
		make_scene();
		keep_pristine();
	}
	begin();
	for (; size >= sizeof o; data += sizeof o, size -= sizeof o) {
		memcpy(&o, data, sizeof o);
		o.op %= OPS;
		perform(&o);
	}
	end();
	return 0;
}

/* ---- seeds ----------------------------------------------------------------------------------------------------- */

static const struct op seeds[][16] = {
	{ /* segments, in and out of order, with what changes under them */
		{ F_TCP, 0, 0x18, 20, 0 }, { F_TCP, 1, 0x58, 21, 40 }, { W_LOAD, 0, 9, 1, 0 }, { F_TCP, 0, 0x18, 40, 0 }, { U_TCP, 0, 3, 0, 900 },
		{ F_TCP, 0, 0x90, 0, 0x1000 }, { W_REC, 0, 12, 3, 5 }, { F_TCP, 0, 0x10, 30, 0 }, { F_SYN, 0, 1, 1, 0 }, { F_SYN, 0, 0, 1, 9 },
		{ W_LOAD, 0, 30, 9, 77 }, { F_SYN, 64, 1, 2, 0 }, { F_TCP, 0, 0x18, 9, 0 }, { F_TCP, 1, 0x11, 0, 0 }, { F_TCP, 2, 4, 0, 0 },
		{ U_TCP, 1, 1, 0, 0 },
	},
	{ /* datagrams, fragments of both families, errors */
		{ F_UDP, 0, 0, 1, 300 }, { F_UDP, 32, 0, 3, 9 }, { F_FRAG, 0, 1, 0, 0 }, { W_LOAD, 0, 4, 3, 13 }, { F_FRAG, 0, 1, 1, 0 },
		{ F_FRAG, 0, 1, 2, 0 }, { F_FRAG, 0, 1, 3, 0 }, { F_IP6, 0, 0, 0, 100 }, { F_IP6, 0, 7, 3, 512 }, { F_IP6, 0, 7, 2, 0x80100 },
		{ F_ICMP, 0, 0, 3, 1300 }, { F_ICMP, 0, 0, 6, 0 }, { F_ECHO, 0, 0, 0, 900 }, { F_UDP, 128, 0, 1, 500 }, { F_ECHO, 192, 0, 1, 40 },
		{ U_TIME, 0, 0, 0, 900000 },
	},
	{ /* neighbours, with the role and without */
		{ F_ARP, 0, 0, 0x1e, 2 }, { F_ARP, 0, 0, 0x15, 0 }, { F_ND, 0, 1, 2, 0 }, { F_ND, 0, 2, 67, 0x60000000 }, { U_UDP, 0, 0, 7, 100 },
		{ I_NEIGH, 0, 0, 3, 0 }, { I_NEIGH, 0, 1, 1, 0 }, { I_NEIGH, 0, 2, 1, 1300 }, { U_ROLE, 0, 0, 0, 0 }, { U_UDP, 0, 0, 6, 2000 },
		{ Q_READ, 0, 0, 0, 0 }, { W_NEIGH, 1, 1, 3, 8 }, { U_UDP, 0, 0, 0, 100 }, { I_NEIGH, 0, 3, 1, 0 }, { U_ROLE, 0, 1, 0, 0 },
		{ U_TIME, 0, 0, 0, 2000000 },
	},
	{ /* rings that lie, a successor */
		{ F_UDP, 64, 0, 1, 80 }, { F_UDP, 192, 0, 1, 80 }, { W_CTL, 0, 12, 4, 70 }, { F_UDP, 0, 0, 1, 80 }, { W_CTL, 1, 12, 1, 0 },
		{ U_AGAIN, 0, 0, 0, 0 }, { W_OUT, 0, 0, 1, 0 }, { U_ROLE, 0, 0, 0, 0 }, { U_UDP, 0, 1, 6, 20 }, { Q_READ, 0, 0, 0, 0 },
		{ W_CTL, 2, 28, 1, 0 }, { I_TFO, 0, 0, 8, 1400 }, { W_LOCKS, 0, 1, 1, 0 }, { W_REC, 0, 0, 1, 0 }, { F_ECHO, 0, 0, 0, 90 },
		{ F_BYTES, 0, 60, 1, 0x45 },
	},
};

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	return seed_of(seeds, sizeof seeds / sizeof *seeds, sizeof *seeds, i, buf, cap);
}
