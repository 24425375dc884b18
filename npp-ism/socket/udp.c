/* SPDX-License-Identifier: GPL-2.0-or-later
 * udp.c - datagram sockets: one receive lane per ISM, one transmit ring at the home ISM
 *
 * Records do not wrap: one that would is preceded by a header with NPP_DGRAM_SKIP that
 * sends the reader to the start of the ring. The transmit ring's records are written by
 * programs: each header is read once and checked against what lies before the end.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "npp-ism/socket/ism.h"
#include "shm/lock.h"

#define HDR ((uint32_t)sizeof(struct npp_dgram))
#define LEN_MAX NPP_DGRAM_MAX
#define TX_BUDGET 64	/* datagrams sent in one look; the rest in the next round */
#define ROUND32(n) (((n) + 31u) & ~31u)

static struct npp_udp_lane *lane_of(struct ism *I, const struct ism_sess *s)
{
	struct npp_udp *u = (struct npp_udp *)(I->host[s->host]->base + s->off);

	return &u->lane[I->r->host[s->host].slot];
}

/* Where a program's datagrams come from: the record, or the way out by our attachment. */
struct tx_words {
	struct npp_ring_desc *ring;
	_Atomic uint32_t *head, *tail, *pend, *want;
};

static bool is_home(struct ism *I, const struct ism_sess *s)
{
	return *(volatile uint8_t *)&ism_sess_rec(I, s)->slot == I->r->host[s->host].slot;
}

/* False: others send for this socket. The words are the host's: which of them we use is no matter of
 * trust, the ring itself is ours. */
static bool tx_words(struct ism *I, const struct ism_sess *s, struct tx_words *w)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	const struct ism_host *hs = ism_hst(I, s->host);
	struct npp_udp *u = (struct npp_udp *)(I->host[s->host]->base + s->off);
	struct npp_udp_out *o = &u->out[hs->attach];

	if (is_home(I, s)) {
		*w = (struct tx_words){ &rec->tx_ring, &rec->tx_head, &rec->tx_tail, &rec->pend_in, &rec->tx_want };
		return true;
	}
	*w = (struct tx_words){ &o->ring, &o->head, &o->tail, &o->pend, &o->want };
	/* acquire: pairs with the OSM's release after it emptied the ring of a predecessor */
	return atomic_load_explicit(&o->home, memory_order_acquire) == hs->slot + 1;
}

static struct udp_endpoint *ep_of(struct ism *I, const struct ism_sess *s)
{
	struct udp_endpoint *ep = s->tcb == ISM_NONE ? NULL : stack_udp(I->stack, s->tcb);

	return ep && ep->gen == s->tcb_gen ? ep : NULL;
}

static struct ism_sess *sess_of(struct ism *I, const struct udp_endpoint *ep)
{
	struct ism_sess *s;

	if (ep->user_off == 0 || ep->user_off > I->r->lay.n_sess)
		return NULL;
	s = &I->sess[ep->user_off - 1];
	return s->kind == ISM_DGRAM && s->tcb == ep->index && s->tcb_gen == ep->gen && I->host[s->host] ? s : NULL;
}

/* What IP_MTU says of a connected socket. MOST: what was just heard of the way, which not all IOPs know yet; 0: nothing. */
static void tell_mtu(struct ism *I, struct npp_sock *rec, const struct udp_endpoint *ep, uint32_t most)
{
	uint32_t mtu = stack_udp_mtu(I->stack, ep);

	*(volatile uint32_t *)&rec->dgram.pmtu_ms = (uint32_t)(I->now_us / 1000);
	*(volatile uint32_t *)&rec->dgram.pmtu = most && most < mtu ? most : mtu;
}

/* ---- bind and unbind ---------------------------------------------------------------------- */

/* The peer that M speaks of: none, or what stands in the record. */
static void peer_of(struct ism *I, unsigned h, const struct npp_msg *m, union npp_addr *addr, uint16_t *port)
{
	const volatile struct npp_sock *rec = ism_rec(I, h, m->sock);

	*addr = (union npp_addr){ .q = { 0, 0 } };
	*port = 0;
	if (!(m->flags & NPP_LISTEN_PEER))
		return;
	addr->q[0] = rec->raddr.q[0];
	addr->q[1] = rec->raddr.q[1];
	*port = rec->rport;
}

static int bind_new(struct ism *I, unsigned h, const struct npp_msg *m, struct ism_sess **out)
{
	struct udp_endpoint t = {
		.laddr = m->addr,
		.lport = m->port,
		.user_host = (uint8_t)h,
		.reuseport = (m->flags & NPP_LISTEN_REUSEPORT) != 0,
		.reuseaddr = (m->flags & NPP_LISTEN_REUSEADDR) != 0,
		.v6only = (m->flags & NPP_LISTEN_V6ONLY) != 0,
		.order = m->arg2,
		.user_sock = m->sock,
		.user_gen = m->sock_gen,
	}, *ep;
	struct ism_sess *s;
	int err = -ENOBUFS;

	s = ism_sess_new(I, h, ISM_DGRAM, m->sock, m->sock_gen);
	if (!s)
		return -ENOBUFS;
	s->off = m->off;
	peer_of(I, h, m, &t.raddr, &t.rport);
	t.user_off = (uint64_t)ism_sess_index(I, s) + 1;
	ep = stack_udp_bind(I->stack, &t, &err);
	if (!ep) {
		ism_sess_free(I, s);
		return err;
	}
	s->tcb = ep->index;
	s->tcb_gen = ep->gen;
	I->r->host[h].n_udp++;
	ism_load_tell(I, h);
	ism_udp_groups(I, s, ep);
	ism_mem_foresee(I, h, 2 * ISM_UDP_RING); /* the first datagram shall not be lost for it */
	*out = s;
	return 0;
}

/* The socket is told of again: perhaps its peer is another now, or it has joined a group. */
static int bind_again(struct ism *I, unsigned h, const struct npp_msg *m, struct ism_sess *s)
{
	struct udp_endpoint *ep = ep_of(I, s);
	union npp_addr raddr;
	uint16_t rport;

	ism_udp_groups(I, s, ep);
	peer_of(I, h, m, &raddr, &rport);
	if (npp_addr_eq(&ep->raddr, &raddr) && ep->rport == rport)
		return 0;
	return stack_udp_connect(I->stack, ep, &m->addr, &raddr, rport);
}

void ism_udp_bind(struct ism *I, unsigned h, const struct npp_msg *m)
{
	struct ism_sess *s = ism_sess_find(I, h, m->sock);
	struct tx_words w;
	int err = 0;

	if (!ism_prog_rec(I, h, m->sock) || !ism_heap_at(I, h, m->off, sizeof(struct npp_udp)))
		err = -EPROTO;
	if (err == 0 && s && s->kind != ISM_DGRAM)
		err = -EPROTO;
	if (err == 0 && s && (s->sock_gen != m->sock_gen || s->off != m->off || !ep_of(I, s))) {
		ism_udp_drop(I, s); /* an earlier life of the record, or half made */
		s = NULL;
	}
	if (err == 0 && s) {
		err = bind_again(I, h, m, s);
	} else if (err == 0) {
		err = bind_new(I, h, m, &s);
		if (err == 0 && is_home(I, s))
			atomic_store_explicit(&ism_sess_rec(I, s)->ism_handle, ism_sess_handle(I, s),
					      memory_order_release);
		if (err == 0 && tx_words(I, s, &w)) {
			ism_udp_need_ring(I, s, 0);
			ism_udp_look(I, s); /* what was said to an ISM that is gone */
		}
	}
	if (err == 0 && is_home(I, s))
		tell_mtu(I, ism_sess_rec(I, s), ep_of(I, s), 0);
	if (err == -EPROTO)
		ism_proto_error(I, h);
	ism_answer(I, h, m, NPP_MSG_UDP_BOUND, err ? ISM_NONE : ism_sess_handle(I, s), err);
}

void ism_udp_drop(struct ism *I, struct ism_sess *s)
{
	struct udp_endpoint *ep = ep_of(I, s);
	struct tx_words w;

	if (ep)
		stack_udp_unbind(I->stack, ep);
	if (I->host[s->host] && s->rx_blk != ISM_NONE)
		lane_of(I, s)->rx_ring = (struct npp_ring_desc){ 0, 0, 0 };
	if (s->rx_blk != ISM_NONE)
		ism_block_put(I, s->host, s->peer, s->rx_blk, s->rx_order);
	s->rx_blk = ISM_NONE;
	if (I->host[s->host] && s->tx_blk != ISM_NONE && !is_home(I, s) && tx_words(I, s, &w)) {
		*w.ring = (struct npp_ring_desc){ 0, 0, 0 };
		ism_block_put(I, s->host, s->peer, s->tx_blk, s->tx_order);
		s->tx_blk = ISM_NONE;
	}
	ism_ring_drop_tx(I, s, NULL);
	I->r->host[s->host].n_udp--;
	ism_sess_free(I, s);
}

void ism_udp_unbind(struct ism *I, unsigned h, const struct npp_msg *m)
{
	struct ism_sess *s = ism_sess_of_msg(I, h, m);
	uint32_t handle = s ? ism_sess_handle(I, s) : m->ism_handle;

	if (s && s->kind == ISM_DGRAM) {
		ism_udp_look(I, s); /* what was written before the close still goes out */
		ism_udp_drop(I, s);
	}
	ism_answer(I, h, m, NPP_MSG_UDP_UNBOUND, handle, 0);
}

/* ---- receive --------------------------------------------------------------------------------- */

/* Bytes of ring for a buffer that the program SET, 0 if it did not. */
static uint32_t ring_bytes(uint32_t set, uint32_t usual)
{
	uint32_t most = ISM_PAGE << (ISM_ORDERS - 1);

	return set == 0 ? usual : set < ISM_UDP_RING ? ISM_UDP_RING : set > most ? most : set;
}

/* Our receive ring: made at the first datagram. */
static uint8_t *rx_ring(struct ism *I, struct ism_sess *s, struct npp_udp_lane *lane)
{
	if (s->rx_blk == ISM_NONE) {
		uint32_t set = atomic_load_explicit(&ism_sess_rec(I, s)->rcvbuf, memory_order_relaxed);
		unsigned order;

		s->rx_blk = ism_block_between(I, s->host, s->peer, ISM_UDP_RING, ring_bytes(set, ISM_UDP_RING_MAX), true, &order);
		if (s->rx_blk == ISM_NONE)
			return NULL;
		s->rx_order = (uint8_t)order;
		/* Offsets begin where the lane stands, which is 0 but for a reader that lies. */
		s->rx_head = atomic_load_explicit(&lane->rx_tail, memory_order_acquire) & ~31u;
		lane->rx_ring = (struct npp_ring_desc){ .off = ism_mem_off(I->chunks, s->rx_blk),
							.size = ISM_PAGE << order };
	}
	return I->host[s->host]->base + ism_mem_off(I->chunks, s->rx_blk);
}

bool ism_udp_waiting(struct ism *I, const struct ism_sess *s)
{
	return s->rx_blk != ISM_NONE &&
	       atomic_load_explicit(&lane_of(I, s)->rx_tail, memory_order_relaxed) != s->rx_head;
}

/* Makes the receive ring, or at least asks for memory: a datagram to a group comes to many sockets at
 * once, which must not all begin to ask then. */
void ism_udp_ring_early(struct ism *I, struct ism_sess *s)
{
	rx_ring(I, s, lane_of(I, s));
}

/* Where the next record of NEED bytes goes; skips the rest of the ring if it must. NULL: full. */
static struct npp_dgram *rx_place(struct ism *I, struct ism_sess *s, struct npp_udp_lane *lane, uint32_t need)
{
	uint8_t *base = rx_ring(I, s, lane);
	uint32_t size = ism_rx_size(s), used, left;

	if (!base)
		return NULL;
	/* acquire: pairs with the reader's release after its copy */
	used = s->rx_head - atomic_load_explicit(&lane->rx_tail, memory_order_acquire);
	if (used > size || used % 32) {
		ism_proto_error(I, s->host);
		return NULL;
	}
	left = size - (s->rx_head & (size - 1));
	if (need <= left)
		return need <= size - used ? (struct npp_dgram *)(base + (s->rx_head & (size - 1))) : NULL;
	if (left + need > size - used && used)
		return NULL;
	((struct npp_dgram *)(base + (s->rx_head & (size - 1))))->len = NPP_DGRAM_SKIP;
	s->rx_head += left;
	if (left + need <= size - used)
		return (struct npp_dgram *)base;
	/* It will never fit here, but at the start of the ring the next one does. */
	atomic_store_explicit(&lane->rx_head, s->rx_head, memory_order_release);
	return NULL;
}

/* One record: D, its payload and, if it asks for it, the address TO. False: no room. */
static bool rx_put(struct ism *I, struct ism_sess *s, struct npp_udp_lane *lane, const struct npp_dgram *d,
		   const union npp_addr *to, const void *payload)
{
	uint32_t tail = npp_dgram_tail(d->flags), need = HDR + ROUND32(d->len + tail);
	struct npp_dgram *at = rx_place(I, s, lane, need);

	if (!at) {
		atomic_fetch_add_explicit(&lane->drops, 1, memory_order_relaxed);
		npp_stat_inc(I->stats, NPP_IS_DROP_UDP_FULL);
		return false;
	}
	*at = *d;
	memcpy(at + 1, payload, d->len);
	if (tail)
		memcpy((uint8_t *)(at + 1) + d->len, to->b, tail);
	s->rx_head += need;
	return true;
}

void ism_udp_input(void *arg, struct udp_endpoint *ep, const struct npp_dgram *in, const union npp_addr *to,
		   const void *payload)
{
	struct ism *I = arg;
	struct ism_sess *s = sess_of(I, ep);
	uint32_t opt, segment = NPP_DGRAM_SEG(in->flags);
	struct npp_udp_lane *lane;
	struct npp_dgram d = *in;
	bool any = false;

	if (!s || d.len > LEN_MAX)
		return;
	lane = lane_of(I, s);
	opt = atomic_load_explicit(&ism_sess_rec(I, s)->opt_flags, memory_order_relaxed);
	if (!segment || d.len <= segment || opt & NPP_OPT_GRO)
		segment = d.len;
	d.flags = (in->flags & NPP_DGRAM_PORT_FLAGS(7)) | (opt & (NPP_OPT_PKTINFO | NPP_OPT_PKTINFO4) ? NPP_DGRAM_LOCAL : 0);
	if (opt & NPP_OPT_GRO)
		d.flags |= in->flags & NPP_DGRAM_SEG_FLAGS(0xffff);
	for (uint32_t at = 0; at == 0 || at < in->len; at += segment ? segment : 1) {
		d.len = in->len - at < segment ? in->len - at : segment;
		any |= rx_put(I, s, lane, &d, to, (const uint8_t *)payload + at);
	}
	if (!any)
		return;
	s->active_us = I->now_us;
	/* release: pairs with the reader's acquire */
	atomic_store_explicit(&lane->rx_head, s->rx_head, memory_order_release);
	ism_notify_shared(I, s);
}

/* Does it say that its datagrams must not be cut? Then it wants to know of those that are too large. */
static bool wants_whole(uint32_t opt)
{
	uint32_t mode = NPP_OPT_PMTUDISC(opt);

	return mode >= NPP_PMTUDISC_DO && mode <= NPP_PMTUDISC_INTERFACE;
}

/* Does what routers say change what it may send? */
static bool heeds_path(uint32_t opt)
{
	return NPP_OPT_PMTUDISC(opt) <= NPP_PMTUDISC_DO;
}

/* As elsewhere, connected datagram sockets hear of ICMP errors that are final, and those with IP_RECVERR of all;
 * and who has a peer of what was sent to that one only. */
static bool hears(const struct npp_sock *rec, const struct stack_udp_error *e)
{
	uint32_t opt = atomic_load_explicit(&rec->opt_flags, memory_order_relaxed);
	bool connected = atomic_load_explicit(&rec->fl, memory_order_relaxed) & NPP_FL_CONNECTED;

	if (connected && (rec->rport != e->port || !npp_addr_eq(&rec->raddr, &e->addr)))
		return false;
	return opt & NPP_OPT_RECVERR || (connected && (e->hard || (e->err == EMSGSIZE && wants_whole(opt))));
}

static void tell_error(struct ism *I, struct ism_sess *s, struct npp_sock *rec, const struct stack_udp_error *e)
{
	rec->dgram.ee_type = e->type;
	rec->dgram.ee_code = e->code;
	rec->dgram.ee_port = e->port;
	rec->dgram.ee_info = e->mtu;
	rec->dgram.ee_addr = e->addr;
	/* release: pairs with the exchange of who fetches it */
	atomic_store_explicit(&rec->err, e->err, memory_order_release);
	ism_notify(I, s, NPP_OUT_ERR, false);
}

void ism_udp_error(void *arg, struct udp_endpoint *ep, const struct stack_udp_error *e)
{
	struct ism *I = arg;
	struct ism_sess *s = sess_of(I, ep);
	struct npp_sock *rec;

	if (!s)
		return;
	rec = ism_sess_rec(I, s);
	if (e->err == EMSGSIZE)
		tell_mtu(I, rec, ep, heeds_path(atomic_load_explicit(&rec->opt_flags, memory_order_relaxed)) ? e->mtu : 0);
	if (hears(rec, e))
		tell_error(I, s, rec, e);
}

/* ---- transmit ---------------------------------------------------------------------------------- */

static void send_failed(struct ism *I, struct ism_sess *s, const struct udp_endpoint *ep, const struct npp_dgram *d, int err)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	struct stack_udp_error e = { .err = -err, .addr = d->addr, .port = d->port };

	if (err == -ENOBUFS || err == -EAGAIN)
		return; /* datagrams may be lost */
	if (err == -EMSGSIZE) {
		tell_mtu(I, rec, ep, 0);
		e.mtu = stack_udp_mtu(I->stack, ep);
	}
	tell_error(I, s, rec, &e);
}

/* Sends the record at the tail; bytes that it takes in the ring, 0: it makes no sense. */
static uint32_t send_one(struct ism *I, struct ism_sess *s, struct udp_endpoint *ep, const uint8_t *base,
			 uint32_t avail)
{
	uint32_t size = ism_tx_size(s), at = s->tx_tail & (size - 1), left = size - at;
	struct npp_dgram d;
	struct stack_slice slice;
	union npp_addr src;
	uint32_t tail, need;
	int err;

	if (avail < HDR)
		return 0;
	memcpy(&d, base + at, sizeof d);
	if (d.len == NPP_DGRAM_SKIP)
		return left <= avail ? left : 0;
	tail = npp_dgram_tail(d.flags);
	if (d.len > LEN_MAX)
		return 0;
	need = HDR + ROUND32(d.len + tail);
	if (need > left || need > avail)
		return 0;
	memcpy(src.b, base + at + HDR + d.len, tail);
	slice = (struct stack_slice){ base + at + HDR, d.len };
	err = stack_udp_send_from(I->stack, ep, &d, tail ? &src : NULL, &slice, d.len ? 1 : 0);
	if (err < 0)
		send_failed(I, s, ep, &d, err);
	return need;
}

void ism_udp_look(struct ism *I, struct ism_sess *s)
{
	struct udp_endpoint *ep = ep_of(I, s);
	uint32_t head, pend, n = 0, size = ism_tx_size(s);
	struct tx_words w;
	const uint8_t *base;

	if (!tx_words(I, s, &w))
		return;
	pend = atomic_exchange_explicit(w.pend, 0, memory_order_acq_rel);
	if (is_home(I, s) && (pend & NPP_IN_WAKE))
		ism_notify_shut(I, s);
	if (!ep || !size)
		return;
	base = I->host[s->host]->base + ism_mem_off(I->chunks, s->tx_blk);
	/* acquire: pairs with the writer's release; the records are whole */
	head = atomic_load_explicit(w.head, memory_order_acquire);
	while (head != s->tx_tail && n++ < TX_BUDGET) {
		uint32_t avail = head - s->tx_tail, took = 0;

		if (avail <= size && head % 32 == 0)
			took = send_one(I, s, ep, base, avail);
		if (!took) { /* everything that stands there is given up */
			ism_proto_error(I, s->host);
			took = avail;
		}
		s->tx_tail += took;
	}
	s->tx_tail &= ~31u;
	s->active_us = I->now_us;
	atomic_store_explicit(w.tail, s->tx_tail, memory_order_release);
	/* pairs with the writer's seq_cst store of tx_want before it looks at tx_tail again */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(w.want, memory_order_relaxed)) {
		atomic_store_explicit(w.want, 0, memory_order_relaxed);
		ism_notify(I, s, NPP_OUT_TX, false);
	}
	if (n > TX_BUDGET)
		ism_conn_owe(I, s, TCP_UP_TX); /* the rest in the next round */
}

void ism_udp_need_ring(struct ism *I, struct ism_sess *s, uint32_t want)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	struct tx_words w;
	unsigned order;
	uint32_t set;

	if (!tx_words(I, s, &w)) {
		ism_proto_error(I, s->host);
		return;
	}
	if (s->tx_blk == ISM_NONE) {
		set = atomic_load_explicit(&rec->sndbuf, memory_order_relaxed);
		s->tx_blk = ism_block_between(I, s->host, s->peer, ISM_UDP_RING, ring_bytes(set, ISM_UDP_RING), false, &order);
		if (s->tx_blk == ISM_NONE) {
			ism_ring_wait(I, s, want);
			return;
		}
		s->tx_order = (uint8_t)order;
		*(volatile uint64_t *)&w.ring->off = 0;
	}
	if (*(volatile uint64_t *)&w.ring->off == 0) { /* new, or we have become the home of the socket */
		/* Records begin where the writer stands: 0, unless a ring was taken back before. */
		s->tx_tail = atomic_load_explicit(w.head, memory_order_relaxed) & ~31u;
		atomic_store_explicit(w.tail, s->tx_tail, memory_order_relaxed);
		*w.ring = (struct npp_ring_desc){ .off = ism_mem_off(I->chunks, s->tx_blk),
						  .size = ism_tx_size(s) };
	}
	ism_notify(I, s, NPP_OUT_TX, false);
}
