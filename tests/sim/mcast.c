/* SPDX-License-Identifier: GPL-2.0-or-later
 * mcast.c - programs that send to groups, members that hear them, and what routers are told
 *
 * Every IOP has a replica of every socket, as in npp-ism, and is told of each change of
 * membership; one that does not run then is told later. side[0] says what is sent, as for
 * udp.c; `port` is the member's filter. Beside each member stands a socket on the same port
 * that has joined nothing and must hear nothing.
 *
 * What leaves by IGMP and MLD is heard by a router that never loses anything: at the end it must
 * know of exactly the groups that are joined.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define MCAST_OUT (SIM_UDP_BASE + PLAN_PROGS)	/* source port of program 0 */
#define MAX_DGRAMS 500u

enum filter { F_ALL, F_FROM, F_BUT, F_OTHER };	/* plan_prog.port: all; only the sender; all but him; only somebody else */

struct mcast_head { uint32_t prog, nr, len; };

static bool is_mcast(const struct world *w, unsigned i)
{
	return w->plan.prog[i].on && w->plan.prog[i].kind == PROG_MCAST;
}

static union npp_addr group_of(const struct world *w, unsigned prog)
{
	if (w->plan.prog[prog].v6)
		return (union npp_addr){ .b = { 0xff, 0x15, [14] = 0x51, [15] = (uint8_t)prog } };
	return npp_addr_v4(htonl(0xef510000u + prog));
}

static bool hears(const struct world *w, unsigned prog)
{
	return w->plan.prog[prog].port == F_ALL || w->plan.prog[prog].port == F_FROM;
}

static struct udp_endpoint *endpoint(struct stack *s, uint32_t sock)
{
	for (uint32_t i = 0; i < 4 * PLAN_PROGS; i++) {
		struct udp_endpoint *e = stack_udp(s, i);

		if (e && e->user_sock == sock)
			return e;
	}
	return NULL;
}

static struct npp *w_to(struct world *w, unsigned prog)
{
	return &w->npp[w->plan.prog[prog].to];
}

/* ---- membership ------------------------------------------------------------------------------- */

static void apply(struct iop *p, unsigned prog)
{
	struct world *w = p->npp->w;
	const struct plan_prog *g = &w->plan.prog[prog];
	struct udp_endpoint *ep = endpoint(p->s, MCAST_MEMBER(prog));
	union npp_addr from = *prog_addr(w, prog, &w->npp[g->from]), other = from;
	struct npp_member m = { .group = group_of(w, prog), .exclude = g->port == F_ALL || g->port == F_BUT };
	bool join = w->mcast[prog].joined;
	int err;

	other.b[15] ^= 0x40;
	if (g->port != F_ALL) {
		m.n_sources = 1;
		m.source[0] = g->port == F_OTHER ? other : from;
	}
	if (!ep)
		sim_fail(w, "mcast-endpoint", "program %u has lost its endpoint", prog);
	p->mcast_on[prog] = join;
	err = stack_udp_members(p->s, ep, &m, join ? 1 : 0);
	if (err)
		sim_fail(w, "mcast-members", "program %u: %d", prog, err);
}

/* Called when P runs and its stack may be called. */
void mcast_sync(struct iop *p)
{
	for (unsigned i = 0; i < PLAN_PROGS; i++)
		if (is_mcast(p->npp->w, i) && w_to(p->npp->w, i) == p->npp && p->mcast_on[i] != p->npp->w->mcast[i].joined)
			apply(p, i);
}

void mcast_bind_all(struct iop *p)
{
	struct world *w = p->npp->w;
	int err;

	for (unsigned i = 0; i < PLAN_PROGS; i++) {
		struct udp_endpoint in = { .lport = (uint16_t)(SIM_UDP_BASE + i), .reuseaddr = 1, .user_sock = MCAST_MEMBER(i), .order = 1 };
		struct udp_endpoint idle = { .lport = in.lport, .reuseaddr = 1, .mc_own = 1, .user_sock = MCAST_IDLE(i), .order = 2 };
		struct udp_endpoint out = { .lport = (uint16_t)(MCAST_OUT + i), .user_sock = MCAST_SENDER(i) };

		if (!is_mcast(w, i))
			continue;
		if (w->plan.prog[i].bound)
			in.laddr = idle.laddr = group_of(w, i);
		if (w_to(w, i) == p->npp && (!stack_udp_bind(p->s, &in, &err) || !stack_udp_bind(p->s, &idle, &err)))
			sim_fail(w, "mcast-bind", "program %u: %d", i, err);
		if (&w->npp[w->plan.prog[i].from] == p->npp && !stack_udp_bind(p->s, &out, &err))
			sim_fail(w, "mcast-bind", "program %u: %d", i, err);
	}
	mcast_sync(p);
}

/* A change of membership: everybody who runs hears of it at once. */
void mcast_toggle(struct world *w, uint32_t which, bool join)
{
	for (unsigned i = 0; i < PLAN_PROGS; i++) {
		struct npp *n = w_to(w, i);

		if (!is_mcast(w, i) || (which & 3) != (i & 3))
			continue;
		w->mcast[i].joined = join;
		for (unsigned k = 0; k < n->cfg.iops; k++)
			if (iop_enter(&n->iop[k])) {
				mcast_sync(&n->iop[k]);
				iop_leave(&n->iop[k]);
			}
	}
}

/* As nppd does it: what the link role says goes into the global region. */
void mcast_groups(struct npp *n, const struct npp_groups *g)
{
	uint32_t seq = atomic_load(&n->g->group_seq);

	atomic_store(&n->g->group_seq, seq + 1);
	n->g->groups = *g;
	atomic_store(&n->g->group_seq, seq + 2);
}

/* ---- sending and hearing ------------------------------------------------------------------------- */

static uint32_t n_dgrams(const struct mcast *m)
{
	uint32_t each = m->cfg.chunk ? m->cfg.chunk : 1000, n = m->cfg.bytes / each + 1;

	return n < MAX_DGRAMS ? n : MAX_DGRAMS;
}

void mcasts_start(struct world *w)
{
	for (unsigned i = 0; i < PLAN_PROGS; i++) {
		struct mcast *m = &w->mcast[i];

		if (!is_mcast(w, i))
			continue;
		*m = (struct mcast){ .cfg = w->plan.prog[i].side[0], .joined = true };
		m->seen = calloc(1, MAX_DGRAMS);
		world_at(w, w->now_us + w->plan.prog[i].start_us, (struct event){ .kind = EV_MCAST, .idx = i });
	}
}

static bool let_in(const struct npp *n, const union npp_addr *group)
{
	for (uint32_t i = 0; i < n->g->groups.n; i++)
		if (npp_addr_eq(&n->g->groups.addr[i], group))
			return true;
	return false;
}

static void send_one(struct world *w, unsigned prog, struct iop *p)
{
	struct mcast *m = &w->mcast[prog];
	uint32_t len = m->cfg.chunk ? m->cfg.chunk : 1000;
	struct mcast_head h = { prog, m->sent, 0 };
	struct npp_dgram d = { .port = (uint16_t)(SIM_UDP_BASE + prog), .addr = group_of(w, prog) };
	struct udp_endpoint *ep = endpoint(p->s, MCAST_SENDER(prog));
	static uint8_t buf[65536];
	struct stack_slice sl;
	int err;

	len = len < sizeof h ? sizeof h : len > 60000 ? 60000 : len;
	h.len = d.len = len;
	memcpy(buf, &h, sizeof h);
	pattern_fill(prog * 977 + m->sent, 0, buf + sizeof h, len - (uint32_t)sizeof h);
	sl = (struct stack_slice){ buf, len };
	/* Of its own IOP the members hear it only when that has been told of them. */
	m->expected += m->joined && hears(w, prog) && let_in(w_to(w, prog), &d.addr) &&
		       (w_to(w, prog) != p->npp || p->mcast_on[prog]);
	m->sent++;
	if (!ep)
		sim_fail(w, "mcast-endpoint", "program %u has lost its endpoint", prog);
	err = stack_udp_send(p->s, ep, &d, &sl, 1);
	if (err && err != -ENOBUFS)
		sim_fail(w, "mcast-send", "program %u: %d", prog, err);
}

void mcast_run(struct world *w, uint32_t prog)
{
	struct mcast *m = &w->mcast[prog];
	struct npp *n = &w->npp[w->plan.prog[prog].from];
	struct iop *p = &n->iop[w->plan.prog[prog].iop % n->cfg.iops];
	uint64_t gap = m->cfg.gap_us ? m->cfg.gap_us : 100;

	if (m->sent >= n_dgrams(m))
		return;
	if (iop_enter(p)) {
		send_one(w, prog, p);
		iop_leave(p);
	} else {
		gap = 1000;
	}
	world_at(w, w->now_us + gap, (struct event){ .kind = EV_MCAST, .idx = prog });
}

/* A datagram for EP, if that belongs to a program of this kind. */
bool mcast_input(struct iop *p, const struct udp_endpoint *ep, const struct npp_dgram *d, const union npp_addr *to,
		 const void *payload)
{
	struct world *w = p->npp->w;
	uint32_t prog = ep->lport - SIM_UDP_BASE;
	union npp_addr group;
	struct mcast_head h;
	struct mcast *m;

	if (prog >= PLAN_PROGS || !is_mcast(w, prog))
		return false;
	m = &w->mcast[prog];
	group = group_of(w, prog);
	if (ep->user_sock != MCAST_MEMBER(prog))
		sim_fail(w, "mcast-idle", "program %u: a socket hears what it has not joined", prog);
	if (!p->mcast_on[prog] || !hears(w, prog))
		sim_fail(w, "mcast-filter", "program %u: a datagram to a member that does not want it (filter %u)", prog, w->plan.prog[prog].port);
	if (!npp_addr_eq(to, &group) || d->len < sizeof h)
		sim_fail(w, "mcast-group", "program %u: to another group, or %u bytes", prog, d->len);
	memcpy(&h, payload, sizeof h);
	if (h.prog != prog || h.nr >= m->sent || h.len != d->len || d->port != MCAST_OUT + prog ||
	    !npp_addr_eq(&d->addr, prog_addr(w, prog, &w->npp[w->plan.prog[prog].from])))
		sim_fail(w, "mcast-head", "program %u: says %u, number %u of %u, length %u of %u", prog, h.prog, h.nr, m->sent, d->len, h.len);
	if (!pattern_is(prog * 977 + h.nr, 0, (const uint8_t *)payload + sizeof h, d->len - (uint32_t)sizeof h))
		sim_fail(w, "mcast-data", "program %u: datagram %u is not what was sent", prog, h.nr);
	if (m->seen[h.nr])
		m->dups++;
	else
		m->got++;
	m->seen[h.nr] = 1;
	return true;
}

/* ---- the router that hears all ------------------------------------------------------------------------ */

static void heard(struct npp *n, const uint8_t *addr, bool v6, bool joined)
{
	struct world *w = n->w;

	for (unsigned i = 0; i < PLAN_PROGS; i++) {
		union npp_addr g;

		if (!is_mcast(w, i) || w_to(w, i) != n || (w->plan.prog[i].v6 != 0) != v6)
			continue;
		g = group_of(w, i);
		if (memcmp(addr, g.b + (v6 ? 0 : 12), v6 ? 16 : 4) == 0)
			w->mcast[i].known = joined;
	}
}

/* Records of IGMPv3 and MLDv2: the kind, and whether there are sources, say it. */
static void heard_records(struct npp *n, const uint8_t *at, const uint8_t *end, unsigned count, bool v6)
{
	unsigned each = v6 ? 16 : 4;

	for (; count && at + 4 + each <= end; count--) {
		unsigned sources = at[2] * 256u + at[3];
		enum mc_record kind = at[0];

		if (kind == MC_IS_EXCLUDE || kind == MC_TO_EXCLUDE)
			heard(n, at + 4, v6, true);
		else if (kind == MC_IS_INCLUDE || kind == MC_TO_INCLUDE)
			heard(n, at + 4, v6, sources != 0);
		else if (kind == MC_ALLOW)
			heard(n, at + 4, v6, true);
		else if (kind == MC_BLOCK)	/* there is one source at most */
			heard(n, at + 4, v6, false);
		else
			sim_fail(n->w, "report-kind", "%u", kind);
		at += 4 + each + each * sources;
	}
	if (count || at != end)
		sim_fail(n->w, "report-length", "%u records too many, or bytes behind them", count);
}

void mcast_report(struct npp *n, const struct frame *f)
{
	const uint8_t *ip = f->data + ETH_HDR_LEN, *end = f->data + f->len, *m;
	bool v6 = f->data[12] == 0x86;

	if (f->len < ETH_HDR_LEN + 32 || (v6 ? f->data[13] != 0xdd || ip[6] != 0 : f->data[12] != 8 || f->data[13] != 0 || ip[9] != 2))
		return;
	m = ip + (v6 ? 48 : 24);
	if (m + 8 > end)
		sim_fail(n->w, "report-length", "%u bytes", f->len);
	if (m[0] == (v6 ? 143 : 0x22))
		heard_records(n, m + 8, end, m[6] * 256u + m[7], v6);
	else if (m[0] == (v6 ? 131 : 0x16) || (!v6 && m[0] == 0x12))
		heard(n, m + (v6 ? 8 : 4), v6, true);
	else if (m[0] == (v6 ? 132 : 0x17))
		heard(n, m + (v6 ? 8 : 4), v6, false);
	else
		sim_fail(n->w, "report-type", "%u", m[0]);
}

/* ---- what came of it ------------------------------------------------------------------------------------- */

/* Nothing that may keep a leave from being said: queriers of old versions, moves and ends of the link role. */
static bool leaves_are_told(const struct world *w)
{
	for (unsigned i = 0; i < PLAN_EVENTS; i++)
		switch (w->plan.event[i].kind) {
		case PE_RESTART: case PE_KILL: case PE_ROLE: case PE_STALL:
			return false;
		case PE_QUERY:
			if (w->plan.event[i].arg % 4 == 1 || w->plan.event[i].arg % 4 == 2)
				return false;
			break;
		default:
			break;
		}
	return true;
}

void mcasts_verdict(struct world *w)
{
	for (unsigned i = 0; i < PLAN_PROGS; i++) {
		struct mcast *m = &w->mcast[i];

		if (!is_mcast(w, i))
			continue;
		trace(w, "program %u: %u to a group, %u expected, %u received, %u twice; joined %d, known %d\n", i, m->sent,
		      m->expected, m->got, m->dups, m->joined, m->known);
		if (m->dups && !w->plan.link[w->plan.prog[i].from].dup_ppm)
			sim_fail(w, "mcast-twice", "program %u: %u datagrams came twice", i, m->dups);
		if (w->clean && m->cfg.chunk <= 8000 && m->got < m->expected)
			sim_fail(w, "mcast-lost", "program %u: %u of %u datagrams came", i, m->got, m->expected);
		if (m->joined && !m->known)
			sim_fail(w, "mcast-unknown", "program %u: the router does not know of its group", i);
		if (!m->joined && m->known && leaves_are_told(w))
			sim_fail(w, "mcast-left", "program %u: the router does not know that its group was left", i);
	}
}

void mcasts_end(struct world *w)
{
	for (unsigned i = 0; i < PLAN_PROGS; i++)
		free(w->mcast[i].seen);
}
