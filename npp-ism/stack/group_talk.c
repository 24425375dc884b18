/* SPDX-License-Identifier: GPL-2.0-or-later
 * group_talk.c - when routers are told of our groups (RFC 3376, 5; RFC 3810, 6)
 *
 * Both protocols are one machine. A change is reported at once and again, up to the robustness
 * variable, after a random time; a second change before that is merged with the first (5.1). A
 * query is answered after a random time, in one report for all groups, for one group, or for some
 * sources of it; of two answers due the earlier and the wider wins (5.2). While a querier of an
 * older version is there its messages are spoken (7.2.1; MLD 8.2.1).
 *
 * What has been joined is the same on all network ports: a change is reported on each of them, a query
 * is answered where it came from, and each may have a querier of another version.
 *
 * A query can be forged, so it can never cause more than one report per group and 10 ms.
 */
#include "config.h"

#include "npp-ism/stack/group.h"
#include "npp-ism/stack/ip_priv.h"

#define REPORT_MAX 1200u	/* bytes of records in one message: fits the least IPv6 MTU */
#define RECORD_MAX (4 + 16 + 16 * MC_SOURCES)
#define ANSWER_LEAST_US 10000u
#define RESP_MOST_US (100u * 1000000)	/* of what a query may ask for */

struct report { uint8_t buf[REPORT_MAX]; uint32_t len; unsigned n; enum mc_family f; uint8_t port; };

static uint64_t random_us(struct stack *s, uint64_t below)
{
	return below ? s->env->ops->random(s->env->arg) % below : 0;
}

static void arm(struct stack *s, uint64_t when)
{
	uint64_t due = wheel_due_us(&s->ip->timer[IPT_GROUP]);

	if (!due || when < due)
		ip_timer_arm(s, IPT_GROUP, when);
}

static bool speaks(const struct stack *s)
{
	return s->env->neigh_rw != NULL;
}

/* All hosts is never reported, nor what stays within the node (RFC 3376, 6; RFC 3810, 6). */
static bool reported(const union npp_addr *a)
{
	if (npp_addr_is_v4(a))
		return ntohl(a->w[3]) != 0xe0000001u;
	return (a->b[1] & 15) > 1 && !(a->w[0] == htonl(0xff020000u) && !a->w[1] && !a->w[2] && a->w[3] == htonl(1));
}

/* 0: the newest. */
static unsigned old_version(const struct stack *s, uint8_t port, enum mc_family f)
{
	const struct mc_talk *t = &s->ip->mc.talk[port][f];

	return s->now_us < t->v1_until_us ? 1 : s->now_us < t->v2_until_us ? 2 : 0;
}

static uint8_t robust(const struct stack *s, enum mc_family f)
{
	uint8_t r = 0;

	for (unsigned port = 0; port < NPP_MAX_PORTS; port++)
		if (s->ip->mc.talk[port][f].robust > r)
			r = s->ip->mc.talk[port][f].robust;
	return r ? r : MC_ROBUST;
}

/* ---- reports ------------------------------------------------------------------------------- */

static void report_send(struct stack *s, struct report *r)
{
	if (!r->n)
		return;
	if (r->f == MC_V4)
		igmp_send_report(s, r->port, r->buf, r->len, r->n);
	else
		mld_send_report(s, r->port, r->buf, r->len, r->n);
	r->len = r->n = 0;
}

static void put_addr(struct report *r, const union npp_addr *a)
{
	unsigned n = r->f == MC_V4 ? 4 : 16;

	memcpy(r->buf + r->len, a->b + 16 - n, n);
	r->len += n;
}

static void record_add(struct stack *s, struct report *r, enum mc_record type, const union npp_addr *group,
		       const union npp_addr *src, unsigned n)
{
	if (r->len + RECORD_MAX > REPORT_MAX)
		report_send(s, r);
	r->buf[r->len] = (uint8_t)type;
	r->buf[r->len + 1] = r->buf[r->len + 2] = 0;
	r->buf[r->len + 3] = (uint8_t)n;
	r->len += 4;
	put_addr(r, group);
	for (unsigned i = 0; i < n; i++)
		put_addr(r, &src[i]);
	r->n++;
}

static bool in_list(const struct mc_filter *f, const union npp_addr *a)
{
	for (unsigned i = 0; i < f->n; i++)
		if (npp_addr_eq(&f->src[i], a))
			return true;
	return false;
}

static unsigned minus(const struct mc_filter *a, const struct mc_filter *b, union npp_addr *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->n; i++)
		if (!in_list(b, &a->src[i]))
			out[n++] = a->src[i];
	return n;
}

/* What has changed in G since it was told (5.1). */
static void change_record(struct stack *s, struct report *r, const struct mc_group *g)
{
	union npp_addr src[MC_SOURCES];
	unsigned n;

	if (g->mode_change) {
		record_add(s, r, g->now.exclude ? MC_TO_EXCLUDE : MC_TO_INCLUDE, &g->addr, g->now.src, g->now.n);
		return;
	}
	n = minus(&g->now, &g->told, src);
	if (n)
		record_add(s, r, g->now.exclude ? MC_BLOCK : MC_ALLOW, &g->addr, src, n);
	n = minus(&g->told, &g->now, src);
	if (n)
		record_add(s, r, g->now.exclude ? MC_ALLOW : MC_BLOCK, &g->addr, src, n);
}

/* As it is now; to a question about sources: those of them that are wanted. */
static void state_record(struct stack *s, struct report *r, const struct mc_group *g, bool all)
{
	union npp_addr src[MC_SOURCES];
	unsigned n = 0;

	if (all) {
		record_add(s, r, g->now.exclude ? MC_IS_EXCLUDE : MC_IS_INCLUDE, &g->addr, g->now.src, g->now.n);
		return;
	}
	for (unsigned i = 0; i < g->n_asked && i < MC_SOURCES; i++)
		if (in_list(&g->now, &g->asked_src[i]) != (g->now.exclude != 0))
			src[n++] = g->asked_src[i];
	if (n)
		record_add(s, r, MC_IS_INCLUDE, &g->addr, src, n);
}

static void old_send(struct stack *s, uint8_t port, struct mc_group *g, unsigned version, bool leave)
{
	if (leave && (version == 1 || !(g->last_ports >> port & 1))) /* nobody expects it; another one is left */
		return;
	g->last_ports &= (uint8_t)~(1u << port);
	g->last_ports |= (uint8_t)(!leave << port);
	if (mc_family(&g->addr) == MC_V4)
		igmp_send_old(s, port, &g->addr, version, leave);
	else
		mld_send_old(s, port, &g->addr, leave);
}

/* ---- changes --------------------------------------------------------------------------------- */

static bool same_filter(const struct mc_filter *a, const struct mc_filter *b)
{
	if (a->exclude != b->exclude || a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++)
		if (!in_list(b, &a->src[i]))
			return false;
	return true;
}

/* Is a source in B as it is in A, but was otherwise in BETWEEN? */
static bool undone(const struct mc_filter *a, const struct mc_filter *between, const struct mc_filter *b)
{
	union npp_addr src[MC_SOURCES];
	unsigned n = minus(between, a, src);

	for (unsigned i = 0; i < n; i++)	/* came and went */
		if (!in_list(b, &src[i]))
			return true;
	n = minus(a, between, src);
	for (unsigned i = 0; i < n; i++)	/* went and came */
		if (in_list(b, &src[i]))
			return true;
	return false;
}

/* The change was reported often enough, or nobody has to. */
static void settled(struct stack *s, struct mc_group *g)
{
	g->due = 0;
	g->mode_change = 0;
	g->told = g->now;
	if (!mc_joined(g))
		mc_free(s, g);
}

void mc_changed(struct stack *s, struct mc_group *g, const struct mc_filter *now)
{
	bool same = same_filter(&g->now, now);

	if (!same) {
		if (!g->due)
			g->told = g->now;
		/* What was reported between is undone by all of the state: its difference to what was told
		 * before is nothing, and routers would keep what they heard last. */
		g->mode_change |= g->now.exclude != now->exclude || (g->due && undone(&g->told, &g->now, now));
		g->now = *now;
	}
	if (same && g->due)
		return;
	if (same || !speaks(s) || !reported(&g->addr)) {
		settled(s, g);
		return;
	}
	if (!mc_joined(g))
		g->asked = MC_ASKED_NOT;
	g->due = robust(s, mc_family(&g->addr));
	g->change_us = s->now_us;
	arm(s, s->now_us);
}

/* On all ports, into the report of each. */
static void change_step(struct stack *s, struct report *r, struct mc_group *g)
{
	uint32_t ports = ip_ports(&s->ip->net);

	for (uint8_t port = 0; port < NPP_MAX_PORTS; port++) {
		unsigned old = old_version(s, port, r->f);

		if (!(ports >> port & 1))
			continue;
		if (old)
			old_send(s, port, g, old, !mc_joined(g));
		else
			change_record(s, &r[port], g);
	}
	if (--g->due == 0)
		settled(s, g);
	else
		g->change_us = s->now_us + 1 + random_us(s, MC_UNSOLICITED_US);
}

/* Begins to report all of G, as if it were new. */
static void report_anew(struct stack *s, struct mc_group *g)
{
	g->told = (struct mc_filter){ .exclude = 0 };
	g->mode_change = g->now.exclude;
	g->due = MC_ROBUST;
	g->change_us = s->now_us;
	arm(s, s->now_us);
}

/* With the role all is reported; without it nothing is. */
void mc_role(struct stack *s, bool has)
{
	struct mc_state *mc = &s->ip->mc;

	mc->told = 0;
	memset(mc->talk, 0, sizeof mc->talk);
	for (unsigned i = 0; i < MC_GROUPS; i++) {
		struct mc_group *g = &mc->group[i];

		if (!g->used)
			continue;
		g->asked = MC_ASKED_NOT;
		g->last_ports = 0;
		settled(s, g);
		if (has && g->used && reported(&g->addr))
			report_anew(s, g);
	}
	if (has)
		mc_refresh(s);
}

/* Whoever snoops or routes behind a port that was gone knows nothing of us. */
void mc_ports(struct stack *s, uint32_t came)
{
	if (!came || !speaks(s))
		return;
	for (unsigned i = 0; i < MC_GROUPS; i++) {
		struct mc_group *g = &s->ip->mc.group[i];

		if (g->used && mc_joined(g) && reported(&g->addr))
			report_anew(s, g);
	}
}

/* ---- answers ------------------------------------------------------------------------------------- */

static void answer(struct stack *s, struct report *r, struct mc_group *g, bool all)
{
	unsigned old = old_version(s, r->port, r->f);

	if (!mc_joined(g) || !reported(&g->addr))
		return;
	if (old)
		old_send(s, r->port, g, old, false);
	else
		state_record(s, r, g, all);
}

/* What is due of G: to general queries on the ports GENERAL, and to those about it. */
static void answers(struct stack *s, struct report *r, struct mc_group *g, uint32_t general)
{
	uint32_t asked = g->asked && g->answer_us <= s->now_us ? g->asked_ports : 0;

	for (uint8_t port = 0; port < NPP_MAX_PORTS; port++)
		if ((general | asked) >> port & 1)
			answer(s, &r[port], g, general >> port & 1 || g->asked == MC_ASKED_ALL);
	g->asked_ports &= (uint8_t)~(general | asked);
	if (!g->asked_ports)
		g->asked = MC_ASKED_NOT;
}

/* Bitmap of the ports where the answer to a general query is due; *NEXT: when the next one is. */
static uint32_t general_due(struct stack *s, enum mc_family f, uint64_t *next)
{
	uint32_t due = 0;

	for (uint8_t port = 0; port < NPP_MAX_PORTS; port++) {
		struct mc_talk *t = &s->ip->mc.talk[port][f];

		if (t->general_us && t->general_us <= s->now_us) {
			t->general_us = 0;
			due |= 1u << port;
		} else if (t->general_us && t->general_us < *next) {
			*next = t->general_us;
		}
	}
	return due;
}

static uint64_t family_run(struct stack *s, enum mc_family f)
{
	uint64_t next = UINT64_MAX;
	uint32_t general = general_due(s, f, &next);
	struct report r[NPP_MAX_PORTS];

	for (uint8_t port = 0; port < NPP_MAX_PORTS; port++) {
		r[port].len = r[port].n = 0;
		r[port].f = f;
		r[port].port = port;
	}
	for (unsigned i = 0; i < MC_GROUPS; i++) {
		struct mc_group *g = &s->ip->mc.group[i];

		if (!g->used || mc_family(&g->addr) != f)
			continue;
		if (general || (g->asked && g->answer_us <= s->now_us))
			answers(s, r, g, general);
		if (g->due && g->change_us <= s->now_us)
			change_step(s, r, g);
		if (!g->used)
			continue;
		if (g->asked && g->answer_us < next)
			next = g->answer_us;
		if (g->due && g->change_us < next)
			next = g->change_us;
	}
	for (uint8_t port = 0; port < NPP_MAX_PORTS; port++)
		report_send(s, &r[port]);
	return next;
}

void mc_timer(struct stack *s)
{
	uint64_t a, b;

	if (!speaks(s))
		return;
	a = family_run(s, MC_V4);
	b = family_run(s, MC_V6);
	if (b < a)
		a = b;
	if (a != UINT64_MAX)
		ip_timer_arm(s, IPT_GROUP, a > s->now_us ? a : s->now_us + 1);
}

/* ---- queries ----------------------------------------------------------------------------------------- */

static void ask_group(struct stack *s, struct mc_group *g, const struct mc_query *q, uint64_t when)
{
	unsigned each = npp_addr_is_v4(&g->addr) ? 4 : 16;
	bool all = q->n_src == 0 || g->asked == MC_ASKED_ALL;

	if (!mc_joined(g) || !reported(&g->addr))
		return;
	if (!g->asked) {
		g->n_asked = g->asked_ports = 0;
		g->answer_us = when;
	} else if (when < g->answer_us) {
		g->answer_us = when;
	}
	for (uint32_t i = 0; i < q->n_src && !all; i++) {
		union npp_addr a = npp_addr_is_v4(&g->addr) ? npp_addr_v4(0) : (union npp_addr){ .q = { 0, 0 } };

		memcpy(a.b + 16 - each, q->src + i * each, each);
		if (g->n_asked == MC_SOURCES)
			all = true;
		else
			g->asked_src[g->n_asked++] = a;
	}
	g->asked = all ? MC_ASKED_ALL : MC_ASKED_SOURCES;
	g->asked_ports |= (uint8_t)(1u << q->port);
	arm(s, g->answer_us);
}

void mc_query(struct stack *s, enum mc_family f, const struct mc_query *q)
{
	struct mc_talk *t = &s->ip->mc.talk[q->port][f];
	uint32_t resp = q->resp_us < RESP_MOST_US ? q->resp_us : RESP_MOST_US;
	uint64_t when = s->now_us + ANSWER_LEAST_US + random_us(s, resp);
	uint64_t old_until = s->now_us + (uint64_t)robust(s, f) * MC_QUERY_US + RESP_MOST_US / 10;
	struct mc_group *g;

	/* Of IPv4 general ones only (RFC 3376, 7.2.1): those about a group may come from far away, and the old version counts
	 * for all groups. */
	if (q->version < 3 && (f == MC_V6 || npp_addr_is_any(&q->group)))
		*(q->version == 1 ? &t->v1_until_us : &t->v2_until_us) = old_until;
	else if (q->version == 3 && q->robust)
		t->robust = q->robust;
	if (!npp_addr_is_any(&q->group)) {
		g = mc_group_find(s, &q->group);
		if (g)
			ask_group(s, g, q, when);
	} else if (q->version < 3) { /* older versions: each group for itself, so that others' reports count */
		for (unsigned i = 0; i < MC_GROUPS; i++)
			if (s->ip->mc.group[i].used && mc_family(&s->ip->mc.group[i].addr) == f)
				ask_group(s, &s->ip->mc.group[i], q,
					  s->now_us + ANSWER_LEAST_US + random_us(s, resp));
	} else {
		if (!t->general_us || when < t->general_us)
			t->general_us = when;
		arm(s, t->general_us);
	}
}

void mc_overheard(struct stack *s, const union npp_addr *group, uint8_t port)
{
	struct mc_group *g = mc_group_find(s, group);

	if (!g || !old_version(s, port, mc_family(group)))
		return;
	g->asked_ports &= (uint8_t)~(1u << port);
	if (!g->asked_ports)
		g->asked = MC_ASKED_NOT;
	g->last_ports &= (uint8_t)~(1u << port);
}

/* ---- who lets them in ------------------------------------------------------------------------------ */

/* The dispatcher knows the groups of our addresses by itself. */
void mc_tell(struct stack *s)
{
	struct mc_state *mc = &s->ip->mc;
	struct npp_groups now = { .n = 0 };

	if (!speaks(s) || !s->env->ops->groups)
		return;
	for (unsigned i = 0; i < MC_GROUPS && now.n < NPP_MAX_GROUPS; i++)
		if (mc->group[i].used && mc->group[i].hosts && mc_joined(&mc->group[i]))
			now.addr[now.n++] = mc->group[i].addr;
	if (mc->told && memcmp(&now, &mc->last, sizeof now) == 0)
		return;
	mc->last = now;
	mc->told = 1;
	s->env->ops->groups(s->env->arg, &now);
}
