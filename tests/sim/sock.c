/* SPDX-License-Identifier: GPL-2.0-or-later
 * sock.c - what the stacks call: frames, records, sockets and their rings
 *
 * Stands where npp-ism/socket/ stands in npp-ism.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define RX_FIRST 4096u
#define RX_MAX (2u << 20)

static struct world *world_of(struct iop *p)
{
	return p->npp->w;
}

/* ---- frames ------------------------------------------------------------------------------ */

static void op_tx(void *arg, unsigned port, const struct stack_tx *tx)
{
	struct iop *p = arg;
	struct world *w = world_of(p);
	uint32_t head = (uint32_t)STACK_L4_OFF + tx->l4_len - tx->start, len = head;
	struct frame *f;

	iop_may_die(p);
	if (port || tx->start > STACK_L4_OFF || STACK_L4_OFF + tx->l4_len > STACK_HEAD_MAX)
		sim_fail(w, "tx-layout", "port %u start %u l4_len %u", port, tx->start, tx->l4_len);
	f = frame_new(head + tx->payload_len);
	memcpy(f->data, tx->head + tx->start, head);
	for (uint32_t i = 0; i < tx->n_slices; i++) {
		memcpy(f->data + len, tx->slice[i].data, tx->slice[i].len);
		len += tx->slice[i].len;
	}
	if (len != f->len)
		sim_fail(w, "tx-slices", "%u bytes in slices, %u announced", len - head, tx->payload_len);
	f->rec.vnet = tx->vnet;
	w->frames++;
	w->bytes += len;
	trace_frame(w, "out", p->npp->nr, p->nr, f);
	wire_check(p, tx, f);
	pcap_write(w, p->npp->nr, f);
	mcast_report(p->npp, f);
	slaac_heard(p->npp, f);
	link_send(w, p->npp->nr, f);
}

static void op_ipc(void *arg, unsigned iop, enum npp_rec_kind kind, const struct npp_frame_rec *rec, const void *data,
		   uint32_t len)
{
	struct iop *p = arg;
	struct world *w = world_of(p);
	struct frame *f;

	iop_may_die(p);
	if (iop >= p->npp->cfg.iops || iop == p->nr || rec->len != len || rec->kind != kind || len > NPP_FRAME_MAX)
		sim_fail(w, "ipc", "from %u to %u kind %u/%u len %u/%u", p->nr, iop, kind, rec->kind, len, rec->len);
	f = frame_new(len);
	memcpy(f->data, data, len);
	f->rec = *rec;
	f->kind = (uint8_t)kind;
	world_at(w, w->now_us + 1 + rng_below(&p->wake_rng, p->npp->cfg.ipc_us),
		 (struct event){ .kind = EV_IPC, .npp = (uint8_t)p->npp->nr, .iop = (uint8_t)iop, .f = f });
}

static uint64_t op_random(void *arg)
{
	return rng_next(&((struct iop *)arg)->rng);
}

static void op_groups(void *arg, const struct npp_groups *g)
{
	struct iop *p = arg;

	iop_may_die(p);
	if (atomic_load(&p->npp->g->link_iop) != p->nr)
		sim_fail(world_of(p), "groups-role", "iop %u has not the link role", p->nr);
	mcast_groups(p->npp, g);
}

static void op_autoconf(void *arg, const struct npp_autoconf *a)
{
	struct iop *p = arg;

	iop_may_die(p);
	if (atomic_load(&p->npp->g->link_iop) != p->nr)
		sim_fail(world_of(p), "autoconf-role", "iop %u has not the link role", p->nr);
	slaac_learned(p->npp, a);
}

static void op_conflict(void *arg, const struct npp_conflict *c)
{
	static const uint8_t thief[6] = { 2, 0, 0, 0, 0, 0x66 };
	struct iop *p = arg;

	iop_may_die(p);
	if (memcmp(c->mac, thief, 6) != 0 || !c->n || !(npp_addr_eq(&c->addr, &p->npp->addr) || npp_addr_eq(&c->addr, &p->npp->addr6)))
		sim_fail(world_of(p), "conflict", "%u times, about an address that nobody claims", c->n);
}

/* ---- sockets -------------------------------------------------------------------------------- */

/* The called end of the connection C; NULL: nobody expects it. */
static struct app *expected(struct iop *p, const struct tcp_conn *c)
{
	struct world *w = world_of(p);

	for (unsigned i = 1; i < SIM_APPS; i += 2) {
		struct app *a = &w->app[i], *caller = &w->app[i - 1];

		if (w->plan.prog[a->prog].on && w->plan.prog[a->prog].kind == PROG_TCP && a->npp == p->npp && a->phase == APP_IDLE && caller->lport == c->rport &&
		    caller->rport == c->lport && npp_addr_eq(prog_addr(w, a->prog, caller->npp), &c->raddr))
			return a;
	}
	return NULL;
}

static int op_accept(void *arg, struct tcp_listener *l, struct tcp_conn *c)
{
	struct iop *p = arg;
	struct app *a = expected(p, c);

	iop_may_die(p);
	if (l->user_sock >= 4 || l->port != SIM_PORT_BASE + l->user_sock)
		sim_fail(world_of(p), "listener", "user_sock %u port %u", l->user_sock, l->port);
	if (!a)
		return -ECONNABORTED;
	a->iop = p;
	a->c = c;
	a->gen = c->gen;
	a->phase = APP_OPEN;
	a->lport = c->lport;
	a->rport = c->rport;
	a->connected = true;
	a->began_us = a->progress_us = world_of(p)->now_us;
	c->user_sock = a->idx + 1;
	app_later(a, world_of(p)->now_us + 1);
	iop_may_die(p);
	return 0;
}

static bool op_accept_room(void *arg, struct tcp_listener *l)
{
	iop_may_die(arg);
	(void)l;
	return true;
}

static uint32_t op_fastopen(void *arg, struct tcp_listener *l)
{
	struct iop *p = arg;

	(void)l;
	return p->npp->cfg.tfo;
}

struct app *app_of(struct world *w, const struct tcp_conn *c)
{
	struct app *a;

	if (!c->user_sock || c->user_sock > SIM_APPS)
		return NULL;
	a = &w->app[c->user_sock - 1];
	return a->c == c && a->gen == c->gen ? a : NULL;
}

static void op_event(void *arg, struct tcp_conn *c, uint32_t up)
{
	struct iop *p = arg;
	struct world *w = world_of(p);
	struct app *a = app_of(w, c);

	iop_may_die(p);
	if (!a) {
		if (c->user_sock == 0 && c->state == TCP_ST_CLOSED && p->attaches)
			return; /* it was being made when its IOP was killed */
		sim_fail(w, "event-owner", "an event %#x for nobody, socket %u", up, c->user_sock);
	}
	if (a->freed)
		sim_fail(w, "event-after-freed", "program %u.%u: %#x", a->prog, a->role, up);
	if (c->rx_head - a->rx_head > RX_MAX || c->tx_tail - a->tx_tail > a->tx_head - a->tx_tail)
		sim_fail(w, "event-offsets", "program %u.%u: rx_head %u was %u, tx_tail %u was %u of %u", a->prog, a->role,
			 c->rx_head, a->rx_head, c->tx_tail, a->tx_tail, a->tx_head);
	if (c->rx_head != a->rx_head || c->tx_tail != a->tx_tail)
		a->progress_us = w->now_us;
	a->rx_head = c->rx_head;
	a->tx_tail = c->tx_tail;
	app_verify(a);
	if (up & TCP_UP_CONNECTED) {
		a->connected = true;
		a->progress_us = w->now_us;
	}
	if (up & TCP_UP_FIN)
		a->fin = true;
	if (up & TCP_UP_TX_DONE)
		a->tx_done = true;
	if (up & TCP_UP_ERROR) {
		a->error = c->error;
		a->lost_by_kill |= c->error == ECONNABORTED && p->attaches;
	}
	if (up & TCP_UP_FREED) {
		a->freed = true;
		a->c = NULL;
	}
	trace(w, "program %u.%u: event %#x%s%s error %d rx_head %u tx_tail %u\n", a->prog, a->role, up,
	      up & TCP_UP_FIN ? " FIN" : "", up & TCP_UP_FREED ? " FREED" : "", c->error, c->rx_head, c->tx_tail);
	app_later(a, w->now_us + 1 + rng_below(&a->rng, p->npp->cfg.wake_us));
}

static bool op_rx_grow(void *arg, struct tcp_conn *c, uint32_t end)
{
	struct iop *p = arg;
	struct world *w = world_of(p);
	struct app *a = app_of(w, c);
	uint32_t need = end - c->rx_tail, size = RX_FIRST;
	uint8_t *base;

	iop_may_die(p);
	if (!a || a->freed)
		sim_fail(w, "grow-owner", "socket %u", c->user_sock);
	if (a->rx_size != c->rx.size || a->rx != c->rx.base)
		sim_fail(w, "ring-changed", "program %u.%u: the stack has changed its ring", a->prog, a->role);
	while (size < need && size < RX_MAX)
		size *= 2;
	if (size <= c->rx.size)
		return need <= c->rx.size;
	if (rng_ppm(&a->rng, p->npp->cfg.grow_ppm) && ++a->refused < 4)
		return false;
	a->refused = 0;
	base = malloc(size);
	if (!base)
		abort();
	for (uint32_t o = c->rx_tail; c->rx.base && o != c->rx_tail + c->rx.size;) {
		uint32_t n = c->rx.size - (o & (c->rx.size - 1));

		/* The new size is a multiple of the old: a run that does not wrap in one does not in the other. */
		if (n > c->rx_tail + c->rx.size - o)
			n = c->rx_tail + c->rx.size - o;
		memcpy(base + (o & (size - 1)), c->rx.base + (o & (c->rx.size - 1)), n);
		o += n;
	}
	free(a->rx);
	c->rx = (struct stack_ring){ base, size };
	a->rx = base;
	a->rx_size = size;
	return need <= size;
}

static void op_urgent(void *arg, struct tcp_conn *c, uint32_t off, bool here)
{
	struct iop *p = arg;
	struct world *w = world_of(p);
	struct app *a = app_of(w, c), *peer;

	iop_may_die(p);
	if (!a)
		sim_fail(w, "urgent-owner", "socket %u", c->user_sock);
	peer = app_peer(a);
	trace(w, "program %u.%u: urgent byte %u%s\n", a->prog, a->role, off, here ? " is here" : "");
	if (here ? off + 1 != a->urged || off - c->rx_tail >= c->rx.size || c->rx_head > off
		 : off < c->rx_head || off + 1 <= a->urged)
		sim_fail(w, "urgent-order", "program %u.%u: %u, was %u, rx_head %u", a->prog, a->role, off, a->urged - 1, c->rx_head);
	/* One that is far ahead is only said to be somewhere ahead: not where it is. */
	if (off + 1 > peer->marked)
		sim_fail(w, "urgent-mark", "program %u.%u: %u, marked was %u, each %u", a->prog, a->role, off, peer->marked, peer->cfg.urg);
	a->urged = off + 1;
}

/* ---- datagrams ------------------------------------------------------------------------------------ */

static void op_udp_input(void *arg, struct udp_endpoint *ep, const struct npp_dgram *d, const union npp_addr *to,
			 const void *payload);

static void op_udp_error(void *arg, struct udp_endpoint *ep, const struct stack_udp_error *e)
{
	struct iop *p = arg;

	(void)ep;
	iop_may_die(p);
	if (e->err <= 0)
		sim_fail(world_of(p), "udp-error", "%d", e->err);
}

const struct stack_ops sim_ops = {
	.conflict = op_conflict, .groups = op_groups, .autoconf = op_autoconf,
	.tx = op_tx, .ipc = op_ipc, .random = op_random, .accept = op_accept, .accept_room = op_accept_room, .fastopen = op_fastopen,
	.event = op_event, .rx_grow = op_rx_grow, .urgent = op_urgent, .udp_input = op_udp_input, .udp_error = op_udp_error,
};

/* What every datagram begins with. */
struct udp_head { uint32_t prog, nr, len; };

static void op_udp_input(void *arg, struct udp_endpoint *ep, const struct npp_dgram *d, const union npp_addr *to,
			 const void *payload)
{
	struct iop *p = arg;
	struct world *w = world_of(p);
	uint32_t prog = ep->lport - SIM_UDP_BASE;
	struct udp_app *u = &w->udp[prog % PLAN_PROGS];
	struct udp_head h;

	iop_may_die(p);
	if (mcast_input(p, ep, d, to, payload))
		return;
	if (prog >= PLAN_PROGS || !u->on || u->to != p->npp || d->len < sizeof h)
		sim_fail(w, "udp-port", "port %u len %u", ep->lport, d->len);
	memcpy(&h, payload, sizeof h);
	if (h.prog != prog || h.nr >= u->sent || h.len != d->len || !npp_addr_eq(&d->addr, prog_addr(w, prog, u->from)) ||
	    d->port != SIM_UDP_BASE + PLAN_PROGS + prog)
		sim_fail(w, "udp-head", "program %u: says %u, number %u of %u, length %u of %u", prog, h.prog, h.nr,
			 u->sent, d->len, h.len);
	if (!pattern_is(prog * 977 + h.nr, 0, (const uint8_t *)payload + sizeof h, d->len - (uint32_t)sizeof h))
		sim_fail(w, "udp-data", "program %u: datagram %u of %u bytes is not what was sent", prog, h.nr, d->len);
	if (u->seen[h.nr])
		u->dups++;
	else
		u->got++;
	u->seen[h.nr] = 1;
}
