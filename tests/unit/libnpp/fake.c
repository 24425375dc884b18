/* SPDX-License-Identifier: GPL-2.0-or-later
 * fake.c - a host for libnpp to live in
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"
#include "lib/ctl.h"
#include "shm/bell.h"
#include "tests/unit/dir.h"

#define SOCKS 600u
#define PROG_SOCKS 300u
#define HOST_BYTES (96u << 20)
#define RING 16384u

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static uint64_t heap(struct fake *f, uint64_t n)
{
	uint64_t at = f->heap;

	f->heap += (n + 4095) & ~4095ull;
	must(f->heap <= f->region.size, "fake heap");
	return at;
}

static void *at(struct fake *f, uint64_t off)
{
	return (uint8_t *)f->region.base + off;
}

/* ---- outbound ------------------------------------------------------------------- */

static void post(struct fake *f, unsigned iop, unsigned c, struct npp_msg *m)
{
	uint32_t off64 = *(volatile uint32_t *)&f->ctx[c].lane_off64[iop];
	struct npp_i2oq *q = at(f, (uint64_t)off64 * 64);

	if (!off64)
		return;
	if (f->out[iop][c].q != q || f->out[iop][c].post_head != atomic_load(&q->post_head))
		must(npp_i2oq_attach_prod(&f->out[iop][c], q) == 0, "attach_prod");
	m->ctx = (uint16_t)c;
	npp_i2oq_post(&f->out[iop][c], m);
	if (npp_bell_claim(&f->ctx[c].sleeping))
		npp_bell_ring(f->ctx_bell[c]);
}

static void notify(struct fake *f, uint32_t idx, uint32_t slot, uint32_t bits)
{
	struct npp_sock *s = &f->sock[idx];
	uint32_t old = atomic_fetch_or(&s->pend_out, bits & ~NPP_OUT_SHUT), excl[NPP_SOCK_SUBS], n = 0;
	struct npp_msg m = { .type = NPP_MSG_EVENT, .sock = idx, .sock_gen = s->gen, .arg = bits };

	bits &= ~old;
	if (!bits)
		return;
	for (int i = 0; i < NPP_SOCK_SUBS; i++) {
		uint32_t w = s->sub[i];

		if (!w || !((bits & (NPP_OUT_ERR | NPP_OUT_SHUT)) || (bits & NPP_OUT_RX && w & NPP_SUB_RX) ||
			    (bits & NPP_OUT_TX && w & NPP_SUB_TX) || (bits & NPP_OUT_URG && w & NPP_SUB_URG)))
			continue;
		if (w & NPP_SUB_EXCLUSIVE)
			excl[n++] = w;
		else
			post(f, slot, NPP_SUB_CTX(w) - 1, &m);
	}
	if (n) {
		uint32_t pick = 0;

		for (uint32_t i = 0; i < n; i++)
			if (f->ctx[NPP_SUB_CTX(excl[i]) - 1].sleeping)
				pick = i;
		post(f, slot, NPP_SUB_CTX(excl[pick]) - 1, &m);
	}
	if (s->sub_all) {
		_Atomic uint64_t *map = at(f, (uint64_t)s->sub_more_off64 * 64);

		for (unsigned c = 0; c < NPP_MAX_CTX; c++)
			if (map[c / 64] >> c % 64 & 1)
				post(f, slot, c, &m);
	}
}

/* ---- sessions ----------------------------------------------------------------------- */

static void make_ring(struct fake *f, struct npp_ring_desc *d)
{
	if (d->off)
		return;
	d->size = RING;
	d->off = heap(f, RING);
}

static void ring_put(struct fake *f, struct npp_sock *s, const void *data, uint32_t n)
{
	make_ring(f, &s->rx_ring);
	must(s->rx_head - s->rx_tail + n <= RING, "peer sends more than the window");
	for (uint32_t i = 0; i < n; i++)
		((uint8_t *)at(f, s->rx_ring.off))[(s->rx_head + i) & (RING - 1)] = ((const uint8_t *)data)[i];
	atomic_store(&s->rx_head, s->rx_head + n);
}

static void room(struct fake *f, uint32_t idx)
{
	struct npp_sock *s = &f->sock[idx];

	if (s->tx_want && s->tx_ring.off && RING - (s->tx_head - s->tx_tail) >= RING / 3) {
		atomic_store(&s->tx_want, 0);
		notify(f, idx, f->sess[idx].slot, NPP_OUT_TX);
	}
}

/* What the peer does with what the program wrote. */
static void pump(struct fake *f, uint32_t idx)
{
	struct npp_sock *s = &f->sock[idx];
	uint32_t head = atomic_load(&s->tx_head), n = head - s->tx_tail, k;
	bool echoed = false;

	if (f->sess[idx].paused || !s->tx_ring.off)
		return;
	while (n) {
		uint8_t *from = (uint8_t *)at(f, s->tx_ring.off) + (s->tx_tail & (RING - 1));

		k = RING - (s->tx_tail & (RING - 1));
		k = k < n ? k : n;
		if (s->rport == FAKE_ECHO) {
			uint32_t space = RING - (s->rx_head - s->rx_tail);

			k = k < space ? k : space;
			if (k == 0) {
				atomic_store(&s->rx_wake, s->rx_tail + 1);
				atomic_store(&s->rx_want, 1);
				space = RING - (s->rx_head - atomic_load(&s->rx_tail));
				if (space)
					continue;
				break;
			}
			ring_put(f, s, from, k);
			echoed = true;
		} else if (s->rport == FAKE_STALL) {
			break;
		}
		atomic_store(&s->tx_tail, s->tx_tail + k);
		n -= k;
	}
	if (echoed)
		notify(f, idx, f->sess[idx].slot, NPP_OUT_RX);
	if (f->sess[idx].shut && s->rport == FAKE_ECHO && s->tx_tail == f->sess[idx].fin_at) {
		atomic_fetch_or(&s->rx_flags, NPP_RXF_FIN);
		notify(f, idx, f->sess[idx].slot, NPP_OUT_RX);
	}
	room(f, idx);
}

static void fail(struct fake *f, uint32_t idx, int err)
{
	struct npp_sock *s = &f->sock[idx];

	atomic_store(&s->err, err);
	atomic_store(&s->tcp_state, TCP_ST_CLOSED);
	atomic_fetch_or(&s->rx_flags, NPP_RXF_RESET | NPP_RXF_CLOSED);
	notify(f, idx, f->sess[idx].slot, NPP_OUT_RX | NPP_OUT_TX | NPP_OUT_ERR);
}

static void on_connect(struct fake *f, unsigned iop, uint32_t idx, const struct npp_msg *m)
{
	struct npp_sock *s = &f->sock[idx];

	f->sess[idx] = (struct fake_sess){ .used = true, .gen = m->sock_gen, .slot = (uint8_t)iop };
	atomic_store(&s->ism_handle, idx);
	if (npp_addr_is_any(&s->laddr))
		npp_addr_parse(FAKE_ADDR, &s->laddr);
	if (!s->lport)
		s->lport = f->next_port++;
	atomic_store(&s->tcp_state, TCP_ST_SYN_SENT);
	if (s->rport == FAKE_REFUSE) {
		fail(f, idx, ECONNREFUSED);
	} else if (s->rport != FAKE_SILENT) {
		if (m->arg)
			make_ring(f, &s->tx_ring);
		atomic_store(&s->tcp_state, TCP_ST_ESTABLISHED);
		notify(f, idx, iop, NPP_OUT_TX);
	}
}

static void finish(struct fake *f, uint32_t idx)
{
	struct npp_sock *s = &f->sock[idx];

	f->sess[idx].used = f->sess[idx].closing = false;
	atomic_store(&s->tcp_state, TCP_ST_CLOSED);
	atomic_store(&s->fl, 0);
	atomic_fetch_add(&s->gen, 1);
	f->freed++;
	atomic_store(&s->owner, 0);
}

/* What has been sent to a peer that does not acknowledge is not done with yet. */
static void on_close(struct fake *f, uint32_t idx, const struct npp_msg *m)
{
	bool abort = m->flags & NPP_CLOSE_ABORT;

	f->closes++;
	f->aborts += abort;
	if (!abort && f->sess[idx].deaf)
		f->sess[idx].closing = true;
	else
		finish(f, idx);
}

#define UDP_RING (1u << 17)

/* One record into a lane; those that would wrap are preceded by a skip. */
static void lane_put(struct fake *f, struct npp_udp_lane *l, const struct npp_dgram *d, const void *data)
{
	uint32_t need = (d->len + (uint32_t)sizeof *d + 31) & ~31u, o;

	if (!l->rx_ring.off) {
		l->rx_ring.off = heap(f, UDP_RING);
		l->rx_ring.size = UDP_RING;
	}
	o = l->rx_head & (UDP_RING - 1);
	if (UDP_RING - o < need) {
		((struct npp_dgram *)at(f, l->rx_ring.off + o))->len = NPP_DGRAM_SKIP;
		atomic_store(&l->rx_head, l->rx_head + UDP_RING - o);
		o = 0;
	}
	memcpy(at(f, l->rx_ring.off + o), d, sizeof *d);
	memcpy(at(f, l->rx_ring.off + o + sizeof *d), data, d->len);
	atomic_store(&l->rx_head, l->rx_head + need);
}

static void dgrams(struct fake *f, unsigned iop, uint32_t idx)
{
	struct npp_sock *s = &f->sock[idx];

	while (s->tx_ring.off && s->tx_tail != s->tx_head) {
		uint32_t o = s->tx_tail & (s->tx_ring.size - 1);
		struct npp_dgram *d = at(f, s->tx_ring.off + o);

		if (d->len == NPP_DGRAM_SKIP) {
			atomic_store(&s->tx_tail, s->tx_tail + s->tx_ring.size - o);
			continue;
		}
		atomic_store(&s->tx_tail, s->tx_tail + ((d->len + sizeof *d + 31) & ~31u));
		f->sent_by = NPP_DGRAM_PORT(d->flags);
		f->sent_flags = d->flags;
		if (d->port == FAKE_ECHO) {
			struct npp_dgram copy = *d;
			struct npp_udp *u = at(f, (uint64_t)s->ext_off64 * 64);

			copy.flags = (copy.flags & ~NPP_DGRAM_PORT_FLAGS(7)) | NPP_DGRAM_PORT_FLAGS(f->hear_by);
			copy.seq = u->lane[iop].rx_head;
			lane_put(f, &u->lane[iop], &copy, d + 1);
			notify(f, idx, iop, NPP_OUT_RX);
		}
	}
	if (s->tx_want) {
		atomic_store(&s->tx_want, 0);
		notify(f, idx, iop, NPP_OUT_TX);
	}
}

static void on_message(struct fake *f, unsigned iop, const struct npp_msg *m)
{
	struct npp_sock *s = &f->sock[m->sock];
	uint32_t pend;

	if (m->sock >= SOCKS || s->gen != m->sock_gen)
		return;
	switch (m->type) {
	case NPP_MSG_CONNECT:
		on_connect(f, iop, m->sock, m);
		break;
	case NPP_MSG_LOOK:
		f->looks++;
		pend = atomic_exchange(&s->pend_in, 0);
		f->urgent += (pend & NPP_IN_URG) != 0;
		if (pend & NPP_IN_WAKE)
			notify(f, m->sock, iop, NPP_OUT_SHUT);
		if (s->type == NPP_SOCK_DGRAM)
			dgrams(f, iop, m->sock);
		else if (s->type == NPP_SOCK_LISTENER)
			notify(f, m->sock, iop, NPP_OUT_RX);
		else
			pump(f, m->sock);
		break;
	case NPP_MSG_CLOSE:
		on_close(f, m->sock, m);
		break;
	case NPP_MSG_SHUTDOWN:
		if (s->rport == FAKE_HASTY) { /* its FIN is there, and ours acknowledged */
			atomic_store(&s->tcp_state, TCP_ST_CLOSED);
			atomic_fetch_or(&s->rx_flags, NPP_RXF_FIN | NPP_RXF_CLOSED);
		}
		f->shutdowns++;
		f->sess[m->sock].shut = true;
		f->sess[m->sock].fin_at = m->arg;
		pump(f, m->sock);
		break;
	case NPP_MSG_NEED_RING:
		if (s->type == NPP_SOCK_DGRAM && !s->tx_ring.off) {
			s->tx_ring.size = 1 << 18;
			s->tx_ring.off = heap(f, 1 << 18);
			atomic_store(&s->tx_want, 0);
			notify(f, m->sock, iop, NPP_OUT_TX);
		} else if (s->tcp_state >= TCP_ST_ESTABLISHED) {
			make_ring(f, &s->tx_ring);
			room(f, m->sock);
			notify(f, m->sock, iop, NPP_OUT_TX); /* the answer, larger or not */
		}
		break;
	}
}

static void *ism_thread(void *arg)
{
	struct fake *f = arg;

	while (!f->stop) {
		struct pollfd p[FAKE_IOPS];
		bool any = false;

		for (unsigned i = 0; i < FAKE_IOPS; i++) {
			struct npp_inbound *in = f->inbound[i].base;

			npp_bell_announce(&in->sleeping);
			p[i] = (struct pollfd){ .fd = f->ism_bell[i], .events = POLLIN };
			any |= atomic_load(&in->summary) != 0;
		}
		if (!any)
			poll(p, FAKE_IOPS, 2);
		pthread_mutex_lock(&f->lock);
		for (unsigned i = 0; i < FAKE_IOPS; i++) {
			struct npp_inbound *in = f->inbound[i].base;

			npp_bell_awake(&in->sleeping);
			npp_bell_drain(f->ism_bell[i]);
			if (!atomic_exchange(&in->summary, 0))
				continue;
			for (unsigned c = 0; c < NPP_MAX_CTX; c++) {
				struct npp_msg m;

				if (!(atomic_fetch_and(&in->work[c / 64], ~(1ull << c % 64)) >> c % 64 & 1))
					continue;
				if (!f->in[i][c].q)
					must(npp_i2oq_attach_cons(&f->in[i][c], &in->lane[c]) == 0, "attach_cons");
				if (npp_i2oq_overflowed(&f->in[i][c]))
					for (uint32_t k = 1; k < SOCKS; k++)
						if (atomic_exchange(&f->sock[k].pend_in, 0))
							pump(f, k);
				while (npp_i2oq_poll(&f->in[i][c], &m) == 1)
					on_message(f, i, &m);
			}
		}
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

/* ---- told by the test -------------------------------------------------------------------- */

static uint32_t listener_on(struct fake *f, uint16_t port)
{
	for (uint32_t i = 1; i <= PROG_SOCKS; i++)
		if (f->sock[i].owner && f->sock[i].lport == port && f->sock[i].type != NPP_SOCK_STREAM)
			return i;
	must(false, "no listener");
	return 0;
}

/* Now, once that is later than LAST. */
static uint32_t came_after(uint32_t last)
{
	struct timespec ts;
	uint32_t now;

	do {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		now = (uint32_t)((uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
	} while (now == last);
	return now;
}

struct npp_accept_lane *fake_accept_lane(struct fake *f, uint32_t listener, unsigned iop)
{
	struct npp_listener *nl = at(f, (uint64_t)f->sock[listener].ext_off64 * 64);

	return at(f, (uint64_t)nl->lane_off64[iop] * 64);
}

uint32_t fake_peer_connect(struct fake *f, uint16_t port, unsigned iop, uint16_t rport)
{
	uint32_t l, idx;
	struct npp_sock *s;
	struct npp_accept_lane *lane;

	pthread_mutex_lock(&f->lock);
	l = listener_on(f, port);
	do {
		idx = PROG_SOCKS + 1 + f->lent_next++ % (SOCKS - PROG_SOCKS - 1);
	} while (f->sock[idx].owner);
	s = &f->sock[idx];
	memset((uint8_t *)s + 8, 0, sizeof *s - 8);
	s->type = NPP_SOCK_STREAM;
	s->family = 4;
	s->slot = (uint8_t)iop;
	s->ism_handle = idx;
	s->listener = l;
	npp_addr_parse(FAKE_PEER, &s->raddr);
	npp_addr_parse(FAKE_ADDR, &s->laddr);
	s->rport = rport;
	s->lport = port;
	s->tcp_state = TCP_ST_ESTABLISHED;
	s->came_us = f->came_us = came_after(f->came_us);
	f->sess[idx] = (struct fake_sess){ .used = true, .paused = true, .gen = s->gen, .slot = (uint8_t)iop };
	atomic_store(&s->owner, 0x10000 + iop);
	lane = fake_accept_lane(f, l, iop);
	must(lane->entry[lane->head & lane->mask] == 0, "accept lane full");
	atomic_store(&lane->entry[lane->head & lane->mask], NPP_ACCEPT_ENTRY(idx, s->gen, NPP_ACCEPT_READY));
	atomic_store(&lane->head, lane->head + 1);
	notify(f, l, iop, NPP_OUT_RX);
	pthread_mutex_unlock(&f->lock);
	return idx;
}

void fake_peer_send(struct fake *f, uint32_t sock, const void *data, uint32_t n)
{
	pthread_mutex_lock(&f->lock);
	ring_put(f, &f->sock[sock], data, n);
	make_ring(f, &f->sock[sock].tx_ring);
	notify(f, sock, f->sess[sock].slot, NPP_OUT_RX);
	pthread_mutex_unlock(&f->lock);
}

void fake_peer_urgent(struct fake *f, uint32_t sock, uint32_t off, bool here)
{
	struct npp_sock *s = &f->sock[sock];

	pthread_mutex_lock(&f->lock);
	atomic_store(&s->urg, here ? s->urg | NPP_URG_HERE : NPP_URG(off, NPP_URG_N(s->urg) + 1));
	notify(f, sock, f->sess[sock].slot, here ? NPP_OUT_RX : NPP_OUT_URG);
	pthread_mutex_unlock(&f->lock);
}

void fake_peer_fin(struct fake *f, uint32_t sock)
{
	pthread_mutex_lock(&f->lock);
	atomic_store(&f->sock[sock].tcp_state, TCP_ST_CLOSE_WAIT);
	atomic_fetch_or(&f->sock[sock].rx_flags, NPP_RXF_FIN);
	notify(f, sock, f->sess[sock].slot, NPP_OUT_RX);
	pthread_mutex_unlock(&f->lock);
}

void fake_peer_reset(struct fake *f, uint32_t sock, int err)
{
	pthread_mutex_lock(&f->lock);
	fail(f, sock, err);
	pthread_mutex_unlock(&f->lock);
}

uint32_t fake_peer_read(struct fake *f, uint32_t sock, void *buf, uint32_t cap)
{
	struct npp_sock *s = &f->sock[sock];
	uint32_t n = 0;

	pthread_mutex_lock(&f->lock);
	for (; n < cap && s->tx_ring.off && s->tx_tail != atomic_load(&s->tx_head); n++) {
		((uint8_t *)buf)[n] = ((uint8_t *)at(f, s->tx_ring.off))[s->tx_tail & (RING - 1)];
		atomic_store(&s->tx_tail, s->tx_tail + 1);
	}
	room(f, sock);
	pthread_mutex_unlock(&f->lock);
	return n;
}

void fake_pause(struct fake *f, uint32_t sock, bool on)
{
	pthread_mutex_lock(&f->lock);
	f->sess[sock].paused = f->sess[sock].deaf = on;
	if (!on && f->sess[sock].closing)
		finish(f, sock);
	else
		pump(f, sock);
	pthread_mutex_unlock(&f->lock);
}

void fake_datagram(struct fake *f, uint16_t port, unsigned iop, uint16_t from, uint32_t seq, const void *data, uint32_t n)
{
	struct npp_dgram d = { .len = n, .port = from, .seq = seq };
	struct npp_udp *u;
	uint32_t idx;

	pthread_mutex_lock(&f->lock);
	npp_addr_parse(FAKE_PEER, &d.addr);
	idx = listener_on(f, port);
	u = at(f, (uint64_t)f->sock[idx].ext_off64 * 64);
	lane_put(f, &u->lane[iop], &d, data);
	notify(f, idx, iop, NPP_OUT_RX);
	pthread_mutex_unlock(&f->lock);
}

struct npp_sock *fake_sock_of(struct fake *f, int fd, uint32_t *idx)
{
	for (unsigned p = 0; p < NPP_MAX_PROCS; p++) {
		uint32_t off64 = f->proc[p].pid == (uint32_t)getpid()
					 ? atomic_load(&f->proc[p].chunk_off64[fd / NPP_FDTAB_CHUNK]) : 0;
		npp_fdword_t *w = at(f, (uint64_t)off64 * 64);
		uint64_t v = off64 ? atomic_load(&w[fd % NPP_FDTAB_CHUNK]) : 0;

		if (!v)
			continue;
		if (idx)
			*idx = (uint32_t)v - 1;
		return &f->sock[(uint32_t)v - 1];
	}
	return NULL;
}

/* ---- the OSM -------------------------------------------------------------------------------- */

static void answer(struct fake *f, unsigned c, uint32_t seq, int err, const void *body, size_t n, const int *fds,
		   unsigned nfds)
{
	npp_ctl_send(f->conn[c], NPP_CTL_ANSWER, seq, err, body, n, fds, nfds);
}

static uint32_t find_proc(struct fake *f, int pid)
{
	uint32_t i;

	for (i = 0; i < NPP_MAX_PROCS; i++)
		if (f->proc[i].state && f->proc[i].pid == (uint32_t)pid)
			return i;
	for (i = 0; i < NPP_MAX_PROCS && f->proc[i].state; i++)
		;
	f->proc[i].state = NPP_PROC_OPEN;
	f->proc[i].pid = (uint32_t)pid;
	return i;
}

static void make_chunk(struct fake *f, uint32_t p, uint32_t k)
{
	if (!f->proc[p].chunk_off64[k])
		atomic_store(&f->proc[p].chunk_off64[k], (uint32_t)(heap(f, 8 * NPP_FDTAB_CHUNK) / 64));
}

static void on_ctx_open(struct fake *f, unsigned c, const struct npp_ctl_msg *m)
{
	struct npp_ctl_ctx q;
	uint32_t n = 1;

	if (f->no_ctx) {
		answer(f, c, m->hdr.seq, -EMFILE, NULL, 0, NULL, 0);
		return;
	}
	memcpy(&q, m->body, sizeof q);
	while (f->ctx[n].state)
		n++;
	for (unsigned i = 0; i < FAKE_IOPS; i++) {
		uint64_t off = (uint64_t)f->ctx[n].lane_off64[i] * 64;

		if (!off)
			off = heap(f, sizeof(struct npp_i2oq));
		memset(at(f, off), 0, sizeof(struct npp_i2oq));
		npp_i2oq_init(at(f, off));
		f->ctx[n].lane_off64[i] = (uint32_t)(off / 64);
	}
	if (f->ctx_bell[n] < 0)
		f->ctx_bell[n] = npp_bell_create();
	f->ctx[n].kind = q.kind;
	f->ctx[n].proc = f->conn_proc[c];
	atomic_store(&f->ctx[n].sleeping, 0);
	atomic_store(&f->ctx[n].state, NPP_CTX_OPEN);
	f->ctx_opened++;
	if (f->dies_opening) {
		f->dies_opening--;
		close(f->conn[c]);
		f->conn[c] = -1;
		return;
	}
	q.ctx = n;
	answer(f, c, m->hdr.seq, 0, &q, sizeof q, &f->ctx_bell[n], 1);
}

static void on_get_attach(struct fake *f, unsigned c, const struct npp_ctl_msg *m)
{
	struct npp_ctl_attached a = { .n_iops = FAKE_IOPS, .iop_up = 3, .epoch = f->epoch };
	int fds[1 + 2 * FAKE_IOPS];

	fds[0] = f->global.fd;
	for (unsigned i = 0; i < FAKE_IOPS; i++) {
		fds[1 + i] = f->ism_bell[i];
		fds[1 + FAKE_IOPS + i] = f->inbound[i].fd;
	}
	f->attaches++;
	answer(f, c, m->hdr.seq, 0, &a, sizeof a, fds, 1 + 2 * FAKE_IOPS);
}

static void on_fork(struct fake *f, unsigned c, const struct npp_ctl_msg *m)
{
	struct npp_ctl_fork r = { 0 };
	uint32_t from = f->conn_proc[c], i;

	for (i = 0; f->proc[i].state; i++)
		;
	f->proc[i].state = NPP_PROC_EMBRYO;
	f->proc[i].pid = 0;
	for (uint32_t k = 0; k < NPP_FDTAB_CHUNKS; k++) {
		npp_fdword_t *a, *b;

		if (!f->proc[from].chunk_off64[k])
			continue;
		make_chunk(f, i, k);
		a = at(f, (uint64_t)f->proc[from].chunk_off64[k] * 64);
		b = at(f, (uint64_t)f->proc[i].chunk_off64[k] * 64);
		for (int w = 0; w < NPP_FDTAB_CHUNK; w++) {
			b[w] = a[w];
			if (a[w])
				atomic_fetch_add(&f->sock[(uint32_t)a[w] - 1].refs, 1);
		}
	}
	r.proc = i;
	answer(f, c, m->hdr.seq, 0, &r, sizeof r, NULL, 0);
}

/* Nothing has come of it. */
static void drop_embryo(struct fake *f, uint32_t p)
{
	for (uint32_t k = 0; k < NPP_FDTAB_CHUNKS; k++) {
		uint64_t off = (uint64_t)f->proc[p].chunk_off64[k] * 64;

		for (int w = 0; off && w < NPP_FDTAB_CHUNK; w++) {
			uint64_t word = atomic_exchange((npp_fdword_t *)at(f, off) + w, 0);

			if (word)
				atomic_fetch_sub(&f->sock[(uint32_t)word - 1].refs, 1);
		}
	}
}

/* Does the kernel take connections for PORT? */
static bool kernel_listens(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool takes = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;

	close(fd);
	return takes;
}

static int on_bind(struct fake *f, struct npp_ctl_bind *b, bool listen)
{
	struct npp_sock *s = &f->sock[b->sock];

	if (!b->port)
		b->port = f->next_port++;
	for (uint32_t i = 1; i <= PROG_SOCKS && !listen; i++)
		if (i != b->sock && f->sock[i].owner && f->sock[i].lport == b->port && !(b->reuse & 1) &&
		    (f->sock[i].type == NPP_SOCK_DGRAM) == (b->proto == IPPROTO_UDP) && f->sock[i].fl & NPP_FL_BOUND)
			return -EADDRINUSE;
	s->lport = b->port;
	if (s->type == NPP_SOCK_DGRAM) {
		struct npp_udp *u;

		s->ext_off64 = (uint32_t)(heap(f, sizeof *u) / 64);
		u = at(f, (uint64_t)s->ext_off64 * 64);
		u->sock = b->sock;
		s->slot = 1;
		atomic_store(&s->ism_handle, b->sock);
	}
	if (listen) {
		struct npp_listener *l;

		f->listens++;
		f->kernel_first += kernel_listens(b->port);
		s->ext_off64 = (uint32_t)(heap(f, sizeof *l) / 64);
		l = at(f, (uint64_t)s->ext_off64 * 64);
		l->backlog = b->backlog;
		for (unsigned i = 0; i < FAKE_IOPS; i++) {
			uint64_t off = heap(f, sizeof(struct npp_accept_lane) + 64 * 8);

			((struct npp_accept_lane *)at(f, off))->mask = 63;
			atomic_store(&l->lane_off64[i], (uint32_t)(off / 64));
			atomic_store(&l->replica[i], b->sock + 1);
		}
	}
	return 0;
}

/* ---- what travels in SCM_RIGHTS -------------------------------------------------------------- */

static int on_pass(struct fake *f, struct npp_ctl_msg *m)
{
	struct npp_ctl_bind b;

	memcpy(&b, m->body, sizeof b);
	if (f->n_pass == 16 || m->fds[0] < 0)
		return -ETOOMANYREFS;
	f->pass[f->n_pass].fd = npp_ctl_take_fd(m, 0);
	f->pass[f->n_pass++].sock = b.sock;
	atomic_fetch_add(&f->sock[b.sock].refs, 1);
	return 0;
}

/* Tickets that nobody has any more. */
static void pass_ends(struct fake *f)
{
	for (unsigned i = f->n_pass; i-- > 0;) {
		struct pollfd p = { .fd = f->pass[i].fd };

		if (poll(&p, 1, 0) != 1)
			continue;
		close(f->pass[i].fd);
		if (atomic_fetch_sub(&f->sock[f->pass[i].sock].refs, 1) == 1)
			f->closes++;
		f->pass[i] = f->pass[--f->n_pass];
	}
}

static void on_request(struct fake *f, unsigned c, struct npp_ctl_msg *m)
{
	struct npp_ctl_bind b = { 0 };
	int err = 0;

	switch (m->hdr.type) {
	case NPP_CTL_PROC_HELLO: {
		struct npp_ctl_hello h;
		struct npp_ctl_welcome w = { .n_attach = 1 };

		if (f->hello_error) {
			answer(f, c, m->hdr.seq, f->hello_error, NULL, 0, NULL, 0);
			return;
		}
		memcpy(&h, m->body, sizeof h);
		w.proc = f->conn_proc[c] = find_proc(f, h.pid);
		f->proc[w.proc].state = NPP_PROC_OPEN;
		answer(f, c, m->hdr.seq, 0, &w, sizeof w, &f->region.fd, 1);
		return;
	}
	case NPP_CTL_GET_ATTACH:
		on_get_attach(f, c, m);
		return;
	case NPP_CTL_CTX_OPEN:
		on_ctx_open(f, c, m);
		return;
	case NPP_CTL_CTX_CLOSE:
		atomic_store(&f->ctx[((struct npp_ctl_ctx *)(void *)m->body)->ctx].state, NPP_CTX_FREE);
		f->ctx_closed++;
		break;
	case NPP_CTL_FD_CHUNK:
		make_chunk(f, f->conn_proc[c], ((struct npp_ctl_chunk *)(void *)m->body)->chunk);
		break;
	case NPP_CTL_FORK:
		on_fork(f, c, m);
		return;
	case NPP_CTL_FORK_DONE: {
		struct npp_ctl_fork q;

		memcpy(&q, m->body, sizeof q);
		atomic_store(&f->proc[q.proc].pid, (uint32_t)q.pid);
		if (q.pid == 0)
			drop_embryo(f, q.proc);
		break;
	}
	case NPP_CTL_BIND:
	case NPP_CTL_LISTEN:
		memcpy(&b, m->body, sizeof b);
		err = on_bind(f, &b, m->hdr.type == NPP_CTL_LISTEN);
		answer(f, c, m->hdr.seq, err, &b, sizeof b, NULL, 0);
		return;
	case NPP_CTL_UNBIND:
		f->unbinds++;
		break;
	case NPP_CTL_CLOSE:
		memcpy(&b, m->body, sizeof b);
		if (f->sock[b.sock].refs) {
			err = -EBUSY;
			break;
		}
		f->closes++;
		f->freed++;
		atomic_fetch_add(&f->sock[b.sock].gen, 1);
		atomic_store(&f->sock[b.sock].owner, 0);
		break;
	case NPP_CTL_PASS:
		err = on_pass(f, m);
		break;
	case NPP_CTL_SUB_MORE:
		memcpy(&b, m->body, sizeof b);
		if (!f->sock[b.sock].sub_more_off64)
			f->sock[b.sock].sub_more_off64 = (uint32_t)(heap(f, NPP_MAX_CTX / 8) / 64);
		break;
	}
	answer(f, c, m->hdr.seq, err, NULL, 0, NULL, 0);
}

static void *osm_thread(void *arg)
{
	struct fake *f = arg;
	static _Thread_local uint8_t body[NPP_CTL_MAX_BODY];

	while (!f->stop) {
		struct pollfd p[66] = { { .fd = f->listen_fd, .events = POLLIN }, { .fd = f->stop_fd, .events = POLLIN } };

		for (unsigned i = 0; i < f->n_conn; i++)
			p[2 + i] = (struct pollfd){ .fd = f->conn[i], .events = POLLIN };
		poll(p, 2 + f->n_conn, f->n_pass ? 1 : -1);
		pthread_mutex_lock(&f->lock);
		if (f->held) {
			pthread_mutex_unlock(&f->lock);
			usleep(1000);
			continue;
		}
		for (unsigned i = 0, n = f->n_conn; i < n; i++) {
			struct npp_ctl_msg m;

			if (f->conn[i] < 0 || !p[2 + i].revents)
				continue;
			if (npp_ctl_recv(f->conn[i], &m, body, sizeof body, 0) == 1) {
				on_request(f, i, &m);
			} else {
				close(f->conn[i]);
				f->conn[i] = -1;
			}
		}
		pass_ends(f);
		pthread_mutex_unlock(&f->lock);
		if (p[0].revents && f->n_conn < 64)
			f->conn[f->n_conn++] = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	}
	return NULL;
}

/* Has somebody asked what is not answered yet? */
static bool asked(const struct fake *f)
{
	for (unsigned i = 0; i < f->n_conn; i++) {
		struct pollfd p = { .fd = f->conn[i], .events = POLLIN };

		if (poll(&p, 1, 0) == 1)
			return true;
	}
	return false;
}

/* Under the lock, so that a request is taken and answered whole or not at all. */
void fake_hold(struct fake *f, bool on)
{
	pthread_mutex_lock(&f->lock);
	while (on && asked(f)) {
		pthread_mutex_unlock(&f->lock);
		usleep(1000);
		pthread_mutex_lock(&f->lock);
	}
	f->held = on;
	pthread_mutex_unlock(&f->lock);
}

void fake_hang_up(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < f->n_conn; i++)
		if (f->conn[i] >= 0) {
			close(f->conn[i]);
			f->conn[i] = -1;
		}
	pthread_mutex_unlock(&f->lock);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void make_host(struct fake *f)
{
	struct npp_host *h;

	must(npp_region_create(&f->region, "fake-host", NPP_REGION_HOST, HOST_BYTES, 0, npp_abi_layout_hash(), 0) == 0,
	     "host memory");
	h = f->host = f->region.base;
	f->heap = 65536;
	h->ctx_off = heap(f, sizeof(struct npp_ctx) * NPP_MAX_CTX);
	h->proc_off = heap(f, sizeof(struct npp_proc) * NPP_MAX_PROCS);
	h->sock_off = heap(f, sizeof(struct npp_sock) * SOCKS);
	f->ctx = at(f, h->ctx_off);
	f->proc = at(f, h->proc_off);
	f->sock = at(f, h->sock_off);
	h->sock_count = SOCKS;
	h->sock_prog_count = PROG_SOCKS;
	h->n_attach = 1;
	h->attach[0].n_iops = FAKE_IOPS;
	atomic_store(&h->attach[0].iop_up, 3);
	atomic_store(&h->attach[0].epoch, f->epoch = 1);
	atomic_store(&h->attach[0].state, 2);
	f->ctx[0].state = NPP_CTX_OPEN;
}

static void make_npp(struct fake *f)
{
	struct npp_global *g;
	unsigned plen;

	must(npp_region_create(&f->global, "fake-global", NPP_REGION_GLOBAL, sizeof *g, 0, npp_abi_layout_hash(), 0) == 0,
	     "global");
	g = f->global.base;
	g->n_iops = FAKE_IOPS;
	g->n_ports = 1;
	g->n_addrs = 1;
	npp_addr_parse_prefix(FAKE_ADDR "/24", &g->addr[0].addr, &plen);
	g->addr[0].prefix_len = (uint8_t)plen;
	npp_hash_prog_default(&g->prog[0], FAKE_IOPS);
	for (unsigned i = 0; i < FAKE_IOPS; i++) {
		struct npp_inbound *in;

		must(npp_region_create(&f->inbound[i], "fake-inbound", NPP_REGION_INBOUND, sizeof *in, i,
				       npp_abi_layout_hash(), 0) == 0, "inbound");
		in = f->inbound[i].base;
		for (unsigned c = 0; c < NPP_MAX_CTX; c++)
			npp_i2oq_init(&in->lane[c]);
		f->ism_bell[i] = npp_bell_create();
	}
}

struct fake *fake_start(void)
{
	struct fake *f = calloc(1, sizeof *f);

	pthread_mutex_init(&f->lock, NULL);
	f->sess = calloc(SOCKS, sizeof *f->sess);
	f->next_port = (uint16_t)(20000 + getpid() % 700 * 16); /* the kernel has ports of earlier tests in TIME_WAIT */
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		f->ctx_bell[c] = -1;
	snprintf(f->dir, sizeof f->dir, "%s/fake-XXXXXX", npp_dir_path());
	must(mkdtemp(f->dir) != NULL, "mkdtemp");
	snprintf(f->path, sizeof f->path, "%s/osm.sock", f->dir);
	make_host(f);
	make_npp(f);
	f->listen_fd = npp_ctl_listen(f->path, 0666);
	must(f->listen_fd >= 0, "listen");
	f->stop_fd = eventfd(0, EFD_CLOEXEC);
	must(pthread_create(&f->osm, NULL, osm_thread, f) == 0, "thread");
	must(pthread_create(&f->ism, NULL, ism_thread, f) == 0, "thread");
	return f;
}

void fake_stop(struct fake *f)
{
	uint64_t one = 1;

	f->stop = true;
	must(write(f->stop_fd, &one, sizeof one) == sizeof one, "stop");
	pthread_join(f->osm, NULL);
	pthread_join(f->ism, NULL);
	for (unsigned i = 0; i < f->n_conn; i++)
		if (f->conn[i] >= 0)
			close(f->conn[i]);
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		if (f->ctx_bell[c] >= 0)
			close(f->ctx_bell[c]);
	for (unsigned i = 0; i < FAKE_IOPS; i++) {
		close(f->ism_bell[i]);
		npp_region_unmap(&f->inbound[i]);
	}
	close(f->listen_fd);
	close(f->stop_fd);
	npp_region_unmap(&f->global);
	npp_region_unmap(&f->region);
	unlink(f->path);
	rmdir(f->dir);
	free(f->sess);
	free(f);
}
