/* SPDX-License-Identifier: GPL-2.0-or-later
 * app.c - programs at the two ends of a connection, and what they may expect
 *
 * A program runs when something has happened to its socket, and when it had planned to:
 * reads, writes, ends. Every stream is a pattern of its own; what has arrived is compared
 * as soon as the stack says that it has. A program is graceful if both its ends mean to
 * send and receive everything: then nothing may go wrong, whatever the links do within
 * bounds that TCP survives.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define TX_FIRST 4096u
#define TX_MAX (256u << 10)
#define ATTEMPTS 40u
#define BOTH_BASE 31000u	/* two that call each other: from this port + number */

struct app *app_peer(struct app *a)
{
	return &a->w->app[a->idx ^ 1];
}

const union npp_addr *prog_addr(const struct world *w, uint32_t prog, const struct npp *n)
{
	return w->plan.prog[prog].v6 == 2 ? &n->auto6 : w->plan.prog[prog].v6 ? &n->addr6 : &n->addr;
}

/* Is PROG about a connection? */
static bool prog_connects(const struct world *w, uint32_t prog)
{
	return w->plan.prog[prog].kind == PROG_TCP || w->plan.prog[prog].kind == PROG_BOTH;
}

bool app_graceful(const struct world *w, uint32_t prog)
{
	const struct plan_prog *g = &w->plan.prog[prog];

	for (unsigned r = 0; r < 2; r++)
		if (g->side[r].end > END_HALF || g->side[r].timeout_ms)
			return false;
	/* Connected from the beginning by Fast Open, and closed without a byte: nothing was sent. */
	if (g->side[0].opts & NPP_OPT_FASTOPEN && !g->side[0].bytes && !g->side[1].bytes)
		return false;
	/* The same, and never in truth. */
	if (g->side[0].opts & NPP_OPT_FASTOPEN && w->app[2 * prog].error && !w->clean && w->app[2 * prog].tx_tail == 0 &&
	    w->app[2 * prog].rx_head == 0)
		return false;
	/* Two that call each other may miss each other for ever. */
	if (g->kind == PROG_BOTH && !(w->app[2 * prog].connected && w->app[2 * prog + 1].connected))
		return false;
	for (unsigned i = 0; i < PLAN_EVENTS; i++)
		if (w->plan.event[i].kind == PE_UNLISTEN)
			return false;
	return w->plan.npp[0].conns >= 64 && w->plan.npp[1].conns >= 64;
}

/* ---- when it runs ---------------------------------------------------------------------- */

void app_later(struct app *a, uint64_t at)
{
	if (a->queued && a->run_at <= at)
		return;
	a->queued = true;
	a->run_at = at;
	world_at(a->w, at, (struct event){ .kind = EV_APP, .idx = a->idx });
}

/* ---- opening ------------------------------------------------------------------------------ */

static struct tcp_options options(const struct plan_side *c, bool changed)
{
	return (struct tcp_options){ .opt_flags = changed ? c->chg_opts : c->opts,
				     .rcvbuf = changed && c->chg_rcvbuf ? c->chg_rcvbuf : c->rcvbuf,
				     .sndbuf = c->sndbuf, .keep_idle_s = c->keep_s, .user_timeout_ms = c->timeout_ms,
				     .cc = c->cc, .max_pace = c->pace };
}

static void app_open(struct app *a)
{
	struct world *w = a->w;
	const struct plan_prog *g = &w->plan.prog[a->prog];
	const union npp_addr *laddr = prog_addr(w, a->prog, a->npp), *raddr = prog_addr(w, a->prog, app_peer(a)->npp);
	uint16_t rport = (uint16_t)(SIM_PORT_BASE + g->port), lport = 0;
	bool both = g->kind == PROG_BOTH;
	struct tcp_options o = options(&a->cfg, false);
	struct tcp_conn *c;
	int err;

	if (both) {
		lport = (uint16_t)(BOTH_BASE + a->idx);
		rport = (uint16_t)(BOTH_BASE + (a->idx ^ 1));
	} else if (g->bound) {
		lport = (uint16_t)(20000 + g->bound % 10000);
	}
	if (lport) {
		a->iop = &a->npp->iop[npp_owner(a->npp, 6, laddr, lport, raddr, rport)];
	} else {
		a->iop = &a->npp->iop[(g->iop + a->attempts) % a->npp->cfg.iops];
	}
	if (!iop_enter(a->iop)) {
		app_later(a, w->now_us + 1000);
		return;
	}
	a->attempts++;
	c = stack_connect(a->iop->s, laddr, lport, raddr, rport, &o, &err);
	trace(w, "program %u.%u: connect on npp %u iop %u: %d\n", a->prog, a->role, a->npp->nr, a->iop->nr, c ? 0 : err);
	if (c) {
		a->c = c;
		a->gen = c->gen;
		c->user_sock = a->idx + 1;
		a->lport = c->lport;
		a->rport = rport;
		a->phase = APP_OPENING;
		a->freed = false;
		a->error = 0;
		a->edge_known = a->ts_known = false;
		if (!a->began_us)
			a->began_us = w->now_us;
		a->progress_us = w->now_us;
	} else if (err != -EADDRINUSE && err != -EADDRNOTAVAIL && err != -ENOBUFS && !(g->v6 == 2 && err == -ENETUNREACH)) {
		sim_fail(w, "connect", "program %u: %d", a->prog, err);
	} else {
		app_later(a, w->now_us + 1000000);
	}
	iop_leave(a->iop);
}

/* True: try again, or there is nothing to wait for. */
static void app_open_failed(struct app *a)
{
	struct world *w = a->w;

	bool both = w->plan.prog[a->prog].kind == PROG_BOTH;

	trace(w, "program %u.%u: not connected, error %d\n", a->prog, a->role, a->error);
	if (a->error != ETIMEDOUT && a->error != EHOSTUNREACH && a->error != ENETUNREACH && a->error != ECONNREFUSED &&
	    a->error != ECONNABORTED)
		sim_fail(w, "connect-error", "program %u: %d", a->prog, a->error);
	if (w->clean && !both && !(a->error == ETIMEDOUT && a->cfg.timeout_ms))
		sim_fail(w, "connect-clean", "program %u: error %d on a clean link", a->prog, a->error);
	/* The other one was connected and has ended, or will be told. */
	if (a->attempts >= ATTEMPTS || (both && app_peer(a)->connected && app_peer(a)->closed)) {
		a->finished = a->closed = true;
		a->phase = APP_DONE;
		return;
	}
	a->phase = APP_IDLE;
	app_later(a, w->now_us + (both ? rng_below(&a->rng, 3000) : 200000));
}

/* ---- reading --------------------------------------------------------------------------------- */

void app_verify(struct app *a)
{
	uint32_t key = app_peer(a)->key, len = a->rx_head - a->verified, at, n;
	bool near;

	if (!len)
		return;
	if (!a->rx || a->rx_head - a->rx_tail > a->rx_size)
		sim_fail(a->w, "stream-ring", "program %u.%u: %u bytes unread in a ring of %u", a->prog, a->role,
			 a->rx_head - a->rx_tail, a->rx_size);
	at = app_peer(a)->cfg.urg ? a->rx_head / app_peer(a)->cfg.urg * app_peer(a)->cfg.urg : 0;
	/* A segment cannot say how far ahead the last mark is if that is more than 64 KB. */
	near = app_peer(a)->marked + (a->npp == app_peer(a)->npp ? 65495 : 9000) <= at + 65535;
	if (at > a->urged && near && !a->closed)
		sim_fail(a->w, "urgent-missed", "program %u.%u: byte %u was urgent, told of was %u", a->prog, a->role, at - 1,
			 a->urged);
	if (a->rx_head > app_peer(a)->tx_head)
		sim_fail(a->w, "stream-beyond", "program %u.%u has received %u, sent were %u", a->prog, a->role,
			 a->rx_head, app_peer(a)->tx_head);
	for (; len; len -= n, a->verified += n) {
		at = a->verified & (a->rx_size - 1);
		n = a->rx_size - at < len ? a->rx_size - at : len;
		if (!pattern_is(key, a->verified, a->rx + at, n))
			sim_fail(a->w, "stream-data", "program %u.%u: bytes from %u to %u are not what was sent", a->prog,
				 a->role, a->verified, a->verified + n);
	}
}

static void app_read(struct app *a)
{
	struct world *w = a->w;
	uint32_t n = a->rx_head - a->rx_tail;

	if (a->cfg.stop_us && !a->stopped && a->rx_tail >= a->cfg.stop_at) {
		a->stopped = true;
		a->stop_until = w->now_us + a->cfg.stop_us;
	}
	if (a->stop_until > w->now_us) {
		app_later(a, a->stop_until);
		return;
	}
	if (n && a->cfg.read_gap_us) {
		if (a->read_at > w->now_us) {
			app_later(a, a->read_at);
			return;
		}
		n = n < a->cfg.read ? n : a->cfg.read;
		a->read_at = w->now_us + a->cfg.read_gap_us;
		app_later(a, a->read_at);
	}
	a->rx_tail += n;
	if (!a->c)
		return;
	if (n)
		stack_tcp_read(a->iop->s, a->c, a->rx_tail);
	if (a->npp->cfg.lean && a->rx && a->rx_tail == a->c->rx_head && stack_tcp_rx_empty(a->iop->s, a->c)) {
		free(a->rx);
		a->rx = NULL;
		a->rx_size = 0;
		a->c->rx = (struct stack_ring){ NULL, 0 };
	}
}

/* ---- writing ------------------------------------------------------------------------------------- */

static bool tx_grow(struct app *a)
{
	uint32_t max = a->cfg.sndbuf ? a->cfg.sndbuf : TX_MAX, size = a->tx_size ? a->tx_size * 4 : TX_FIRST;
	uint8_t *base;

	if (a->tx_size && size > max)
		return false;
	base = malloc(size);
	if (!base)
		abort();
	for (uint32_t o = a->tx_tail; o != a->tx_head; o++)
		base[o & (size - 1)] = a->tx[o & (a->tx_size - 1)];
	free(a->tx);
	a->tx = base;
	a->tx_size = size;
	a->c->tx = (struct stack_ring){ base, size };
	return true;
}

/* Up to which offset it has something to say now. */
static uint32_t write_limit(struct app *a)
{
	const struct plan_side *p = &app_peer(a)->cfg;
	uint64_t turns;

	if (!a->cfg.unit || !p->unit)
		return a->cfg.bytes;
	turns = a->rx_tail / p->unit + (a->role == 0);
	return turns * a->cfg.unit < a->cfg.bytes ? (uint32_t)(turns * a->cfg.unit) : a->cfg.bytes;
}

static void app_write(struct app *a)
{
	struct world *w = a->w;
	uint32_t limit = write_limit(a), n, room, at;

	while (a->c && !a->shut && a->tx_head < limit) {
		if (a->cfg.gap_us && a->write_at > w->now_us) {
			app_later(a, a->write_at);
			return;
		}
		room = a->tx_size - (a->tx_head - a->tx_tail);
		if (!room && !tx_grow(a))
			return;
		room = a->tx_size - (a->tx_head - a->tx_tail);
		n = limit - a->tx_head < room ? limit - a->tx_head : room;
		if (a->cfg.chunk && n > a->cfg.chunk)
			n = a->cfg.chunk;
		at = a->tx_head & (a->tx_size - 1);
		if (n > a->tx_size - at)
			n = a->tx_size - at;
		if (a->cfg.urg && n > a->cfg.urg - a->tx_head % a->cfg.urg)
			n = a->cfg.urg - a->tx_head % a->cfg.urg;
		pattern_fill(a->key, a->tx_head, a->tx + at, n);
		a->tx_head += n;
		if (a->cfg.urg && a->tx_head % a->cfg.urg == 0) {
			a->marked = a->tx_head;
			stack_tcp_urgent(a->iop->s, a->c, a->tx_head);
		}
		stack_tcp_sent(a->iop->s, a->c, a->tx_head);
		if (a->cfg.gap_us)
			a->write_at = w->now_us + a->cfg.gap_us;
	}
	if (a->c && a->npp->cfg.lean && a->tx && a->tx_head == a->tx_tail) {
		free(a->tx);
		a->tx = NULL;
		a->tx_size = 0;
		a->c->tx = (struct stack_ring){ NULL, 0 };
	}
}

/* ---- ending ----------------------------------------------------------------------------------------- */

static void app_close(struct app *a, bool abort)
{
	trace(a->w, "program %u.%u: %s, sent %u read %u of %u\n", a->prog, a->role, abort ? "abort" : "close", a->tx_head,
	      a->rx_tail, a->rx_head);
	a->closed = a->shut = true;
	a->aborted = abort;
	a->phase = APP_CLOSED;
	if (!a->c)
		return;
	if (abort)
		stack_tcp_abort(a->iop->s, a->c);
	else
		stack_tcp_close(a->iop->s, a->c, a->tx_head, 0);
}

static void app_finish(struct app *a)
{
	struct app *p = app_peer(a);
	bool sent = a->tx_head == a->cfg.bytes, eof = a->fin && a->rx_tail == a->rx_head;
	uint32_t far = a->tx_head > a->rx_tail ? a->tx_head : a->rx_tail;

	if (a->error || (a->freed && !a->tx_done)) {
		app_close(a, false);
		return;
	}
	if (a->cfg.end == END_ABORT && far >= a->cfg.end_at) {
		app_close(a, true);
		return;
	}
	if (a->cfg.end == END_EARLY && far >= a->cfg.end_at) {
		app_close(a, a->rx_tail != a->rx_head);	/* as the socket layer does it */
		return;
	}
	if (a->cfg.end == END_HALF && sent && !a->shut && a->c) {
		trace(a->w, "program %u.%u: shutdown at %u\n", a->prog, a->role, a->tx_head);
		a->shut = true;
		stack_tcp_shutdown(a->iop->s, a->c, a->tx_head);
	}
	if (eof)
		a->eof_seen = true;
	if (sent && (eof || (a->cfg.end != END_HALF && a->rx_tail == p->cfg.bytes)))
		app_close(a, false);
	else if (eof && p->cfg.end > END_HALF)
		app_close(a, false);
}

static void app_change(struct app *a)
{
	uint64_t at = a->began_us + a->cfg.chg_us;
	struct tcp_options o;

	if (!a->cfg.chg_us || a->changed || !a->c)
		return;
	if (a->w->now_us < at) {
		app_later(a, at);
		return;
	}
	a->changed = true;
	o = options(&a->cfg, true);
	stack_tcp_options(a->iop->s, a->c, &o);
}

static void app_set_options(struct app *a)
{
	struct tcp_options o = options(&a->cfg, false);

	if (a->role == 1 && a->c && !a->changed && a->tx_head == 0 && a->rx_tail == 0)
		stack_tcp_options(a->iop->s, a->c, &o);
}

static void ended(struct app *a)
{
	a->phase = APP_DONE;
	a->finished = true;
	a->ended_us = a->w->now_us;
	free(a->rx);
	free(a->tx);
	a->rx = a->tx = NULL;
	a->rx_size = a->tx_size = 0;
}

void app_run(struct app *a)
{
	a->queued = false;
	if (a->phase == APP_DONE)
		return;
	if (a->phase == APP_IDLE) {
		if (a->role == 0 || a->w->plan.prog[a->prog].kind == PROG_BOTH)
			app_open(a);
		return;
	}
	if (!iop_enter(a->iop)) {
		app_later(a, a->w->now_us + 700);
		return;
	}
	if (a->phase == APP_OPENING) {
		if (a->connected)
			a->phase = APP_OPEN;
		else if (a->freed)
			app_open_failed(a);
	}
	if (a->phase == APP_OPEN) {
		app_set_options(a);
		app_change(a);
		app_read(a);
		app_write(a);
		app_finish(a);
	}
	if (a->phase == APP_CLOSED && !a->c)
		ended(a);
	iop_leave(a->iop);
}

/* ---- all of them ---------------------------------------------------------------------------------------- */

void apps_start(struct world *w)
{
	for (unsigned i = 0; i < SIM_APPS; i++) {
		struct app *a = &w->app[i];
		const struct plan_prog *g = &w->plan.prog[i / 2];

		*a = (struct app){ .w = w, .idx = i, .prog = i / 2, .role = i % 2, .cfg = g->side[i % 2],
				   .npp = &w->npp[i % 2 ? g->to : g->from], .key = 7919 * i + (uint32_t)w->plan.seed,
				   .rng = rng_make(w->plan.seed, 0x61707000 + i) };
		if (g->on && (g->kind == PROG_BOTH || (g->kind == PROG_TCP && a->role == 0)))
			app_later(a, w->now_us + 1 + g->start_us);
	}
}

void apps_end(struct world *w)
{
	for (unsigned i = 0; i < SIM_APPS; i++) {
		free(w->app[i].rx);
		free(w->app[i].tx);
	}
}

static bool app_over(struct app *a)
{
	return a->phase == APP_DONE || (a->role == 1 && a->phase == APP_IDLE && a->w->plan.prog[a->prog].kind == PROG_TCP);
}

static uint64_t cookies_of(const struct npp *n)
{
	uint64_t cookies = 0;

	for (unsigned i = 0; i < n->cfg.iops; i++)
		cookies += atomic_load(&n->iop[i].stats[NPP_IS_TCP_COOKIES_OUT]);
	return cookies;
}

/* Was A's connection accepted by a cookie, perhaps, and may segments overtake or be lost? If not the
 * first one comes first, its cookie does not fit, and the answer is a reset. */
static bool cookie_lost(const struct app *a)
{
	const struct world *w = a->w;

	return cookies_of(w->app[a->idx | 1].npp) && w->app[a->idx & ~1u].error == ECONNRESET && !w->clean;
}

/* Was A's connection made by a cookie, and its last ACK was lost? Who has nothing to say then waits for ever, for
 * the other end has forgotten him. */
static bool cookie_unheard(const struct app *a)
{
	const struct world *w = a->w;

	return a->role == 0 && !a->tx_head && w->app[a->idx | 1].phase == APP_IDLE && cookies_of(w->app[a->idx | 1].npp) &&
	       !w->clean;
}

/* Nothing comes any more, and A has not ended. */
static void force(struct app *a)
{
	struct world *w = a->w;
	bool pair_lost = a->lost_by_kill || app_peer(a)->lost_by_kill;

	if (a->phase == APP_CLOSED)
		sim_fail(w, "stuck-closed", "program %u.%u has closed, its connection stays", a->prog, a->role);
	if (app_graceful(w, a->prog) && !pair_lost && !cookie_unheard(a))
		sim_fail(w, "stuck", "program %u.%u waits for ever: sent %u of %u (%u acknowledged), read %u of %u%s",
			 a->prog, a->role, a->tx_head, a->cfg.bytes, a->tx_tail, a->rx_tail, app_peer(a)->cfg.bytes,
			 a->shut ? ", shut down" : "");
	if (app_peer(a)->phase != APP_DONE && app_peer(a)->phase != APP_IDLE && a->role == 0)
		return; /* its peer first */
	w->forced++;
	if (iop_enter(a->iop)) {
		app_close(a, true);
		iop_leave(a->iop);
	}
	app_later(a, w->now_us + 1);
}

bool apps_over(struct world *w)
{
	bool over = true;

	for (unsigned i = 0; i < SIM_APPS; i++) {
		struct app *a = &w->app[i];

		if (!w->plan.prog[a->prog].on || !prog_connects(w, a->prog) || app_over(a))
			continue;
		over = false;
		force(a);
	}
	return over;
}

/* Sockets whose connection did not survive. */
void apps_audit(struct iop *p)
{
	for (unsigned i = 0; i < SIM_APPS; i++) {
		struct app *a = &p->npp->w->app[i];
		struct tcb *t;

		if (a->iop != p || !a->c)
			continue;
		t = tcb_of(a->c);
		if (t->in_use && a->c->gen == a->gen && a->c->user_sock == a->idx + 1)
			continue;
		a->c = NULL;
		a->freed = true;
		a->error = ECONNABORTED;
		a->lost_by_kill = true;
		app_later(a, p->npp->w->now_us + 1);
	}
}

/* ---- what came of it ------------------------------------------------------------------------------------- */

static uint64_t kills(const struct world *w)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < PLAN_EVENTS; i++)
		n += w->plan.event[i].kind == PE_KILL;
	return n;
}

/* Does the plan have a hole on a path that loses frames as well? Then of the eight tries of a closed
 * connection five are for the size, and the others may meet a loss. */
static bool hole_and_loss(const struct world *w)
{
	bool hole = false, loss = false;

	for (unsigned i = 0; i < 2; i++) {
		const struct plan_link *l = &w->plan.link[i];

		hole |= l->hole != 0;
		loss |= l->loss_ppm || l->burst_ppm || l->corrupt_ppm || l->rate_kbps || l->late_ppm;
	}
	return hole && loss;
}

/* Did A's connection measure round trips that held an outage, so that it gave up after few losses? */
static bool outage_lost(const struct app *a)
{
	const struct world *w = a->w;

	if (w->app[a->idx & ~1u].error != ETIMEDOUT && w->app[a->idx | 1].error != ETIMEDOUT)
		return false;
	if (hole_and_loss(w) && w->now_us - w->start_us > 60000000)
		return true;
	for (unsigned i = 0; i < PLAN_EVENTS; i++) {
		const struct plan_event *e = &w->plan.event[i];

		if ((e->kind == PE_RESTART || e->kind == PE_STALL || e->kind == PE_BLACKOUT) && e->dur_us > 4000000)
			return !w->clean && w->now_us - w->start_us > 100000000;
	}
	return false;
}

/* Is the whole of what A's peer sent in A's hands, and the other way round? */
static bool app_whole(struct app *a)
{
	return a->phase == APP_DONE && !a->error && a->rx_tail == app_peer(a)->cfg.bytes && a->tx_head == a->cfg.bytes;
}

/* Seconds within which a clean link must have done it. */
static uint64_t bound_us(struct app *a)
{
	struct world *w = a->w;
	uint64_t rtt = w->plan.link[0].delay_us + w->plan.link[1].delay_us + w->plan.link[0].jitter_us +
		       w->plan.link[1].jitter_us + w->plan.npp[0].wake_us * 4ull + w->plan.npp[1].wake_us * 4ull + 100;
	uint64_t us = 5000000 + 60 * rtt;

	for (unsigned r = 0; r < 2; r++) {
		const struct plan_side *s = &w->plan.prog[a->prog].side[r], *p = &w->plan.prog[a->prog].side[r ^ 1];
		uint64_t chunk = s->chunk < TX_FIRST ? s->chunk : TX_FIRST, window = p->rcvbuf && p->rcvbuf < 20000 ? p->rcvbuf / 4 : 5000;

		if (!chunk) /* may be one byte */
			chunk = 1;
		if (s->urg && s->urg < chunk) /* it stops at each mark */
			chunk = s->urg;
		if (p->chg_rcvbuf && p->chg_rcvbuf / 4 < window)
			window = p->chg_rcvbuf / 4;

		us += 2ull * s->gap_us * (s->bytes / chunk + 1) + 2 * s->stop_us;
		us += 2ull * s->read_gap_us * (p->bytes / (s->read ? s->read : 1) + 1);
		if (s->pace)
			us += 2000000ull * s->bytes / s->pace * 2;
		if (s->unit)
			us += (rtt + 500000) * (s->bytes / s->unit + 1);
		if (s->sndbuf && s->sndbuf < 20000)
			window = s->sndbuf / 4 < window ? s->sndbuf / 4 : window;
		us += (rtt + 60000) * (s->bytes / (window + 1));
	}
	return us;
}

void apps_verdict(struct world *w)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < SIM_APPS; i++) {
		struct app *a = &w->app[i];

		if (!w->plan.prog[a->prog].on || !prog_connects(w, a->prog) || !app_graceful(w, a->prog))
			continue;
		if (a->role == 0 && kills(w) && !cookie_lost(a) && (!app_whole(a) || !app_whole(app_peer(a)))) {
			lost++;
			i++;
			continue;
		}
		if (a->role == 0 && (cookie_lost(a) || cookie_unheard(a) || outage_lost(a))) {
			i++;
			continue;
		}
		if (!app_whole(a))
			sim_fail(w, "session", "program %u.%u: phase %d error %d, sent %u of %u, read %u of %u", a->prog, a->role,
				 a->phase, a->error, a->tx_head, a->cfg.bytes, a->rx_tail, app_peer(a)->cfg.bytes);
		if (w->clean && a->ended_us - a->began_us > bound_us(a))
			sim_fail(w, "slow", "program %u.%u took %llu us on a clean link, %llu would do", a->prog, a->role,
				 (unsigned long long)(a->ended_us - a->began_us), (unsigned long long)bound_us(a));
	}
	if (lost > kills(w))
		sim_fail(w, "kill", "%llu connections lost by %llu kills", (unsigned long long)lost,
			 (unsigned long long)kills(w));
}
