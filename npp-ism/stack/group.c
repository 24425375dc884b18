/* SPDX-License-Identifier: GPL-2.0-or-later
 * group.c - memberships of endpoints, and the state of the link that follows (RFC 3376, 3)
 *
 * The memberships are an array of records; lists by endpoint, the table of groups and their
 * filters follow from it. A change rebuilds the filters of all groups: that is rare, and the
 * arrays are small.
 */
#include "config.h"

#include "npp-ism/stack/group.h"
#include "npp-ism/stack/ip_priv.h"

static struct mc_state *state(const struct stack *s)
{
	return &s->ip->mc;
}

/* Only hosts and our own addresses fill the table: no key is needed. */
static uint16_t *head_of(struct mc_state *mc, const union npp_addr *a)
{
	uint32_t h = (a->w[0] ^ a->w[1] ^ a->w[2] ^ a->w[3]) * 2654435761u;

	return &mc->head[h >> 26];
}

struct mc_group *mc_group_find(struct stack *s, const union npp_addr *addr)
{
	struct mc_state *mc = state(s);

	for (uint16_t i = *head_of(mc, addr); i != MC_NONE; i = mc->group[i].next)
		if (npp_addr_eq(&mc->group[i].addr, addr))
			return &mc->group[i];
	return NULL;
}

static struct mc_group *group_new(struct stack *s, const union npp_addr *addr)
{
	struct mc_state *mc = state(s);

	for (uint16_t i = 0; i < MC_GROUPS; i++) {
		struct mc_group *g = &mc->group[i];
		uint16_t *head = head_of(mc, addr);

		if (g->used)
			continue;
		*g = (struct mc_group){ .addr = *addr, .next = *head };
		g->used = 1;
		*head = i;
		return g;
	}
	return NULL;
}

void mc_free(struct stack *s, struct mc_group *g)
{
	struct mc_state *mc = state(s);
	uint16_t *at = head_of(mc, &g->addr), i = (uint16_t)(g - mc->group);

	while (*at != MC_NONE && *at != i)
		at = &mc->group[*at].next;
	if (*at == i)
		*at = g->next;
	g->used = 0;
}

/* ---- filters ------------------------------------------------------------------------------ */

static bool has_source(const union npp_addr *list, unsigned n, const union npp_addr *a)
{
	for (unsigned i = 0; i < n; i++)
		if (npp_addr_eq(&list[i], a))
			return true;
	return false;
}

static void drop_source(struct mc_filter *f, unsigned i)
{
	f->src[i] = f->src[--f->n];
}

/* F so far and one more member's wish (3.2): INCLUDE is a union; with an EXCLUDE among them it is
 * the intersection of what is excluded, less what anybody includes. */
static void filter_add(struct mc_filter *f, const struct npp_member *m)
{
	if (!f->exclude && !m->exclude) {
		for (unsigned i = 0; i < m->n_sources; i++) {
			if (has_source(f->src, f->n, &m->source[i]))
				continue;
			if (f->n == MC_SOURCES) { /* too many to name */
				*f = (struct mc_filter){ .exclude = 1 };
				return;
			}
			f->src[f->n++] = m->source[i];
		}
	} else if (f->exclude && !m->exclude) {
		for (unsigned i = f->n; i-- > 0;)
			if (has_source(m->source, m->n_sources, &f->src[i]))
				drop_source(f, i);
	} else if (f->exclude) {
		for (unsigned i = f->n; i-- > 0;)
			if (!has_source(m->source, m->n_sources, &f->src[i]))
				drop_source(f, i);
	} else {
		struct mc_filter was = *f;

		*f = (struct mc_filter){ .exclude = 1 };
		for (unsigned i = 0; i < m->n_sources; i++)
			if (!has_source(was.src, was.n, &m->source[i]))
				f->src[f->n++] = m->source[i];
	}
}

/* What the members of G want together. */
static struct mc_filter group_filter(struct stack *s, struct mc_group *g)
{
	struct mc_state *mc = state(s);
	struct mc_filter f = { .exclude = g->own };

	g->members = 0;
	g->hosts = 0;
	for (unsigned i = 0; i < MC_MEMBERS && mc->n_members; i++) {
		const struct mc_member *m = &mc->member[i];

		if (!m->used || !npp_addr_eq(&m->m.group, &g->addr))
			continue;
		filter_add(&f, &m->m);
		g->members++;
		g->hosts |= (uint8_t)(1u << m->host);
	}
	return f;
}

/* ---- the state of the link ------------------------------------------------------------------- */

static union npp_addr solicited_node(const union npp_addr *addr)
{
	return (union npp_addr){ .b = { 0xff, 2, [11] = 1, [12] = 0xff, addr->b[13], addr->b[14], addr->b[15] } };
}

static void own_groups(struct stack *s)
{
	struct mc_state *mc = state(s);

	for (unsigned i = 0; i < MC_GROUPS; i++)
		mc->group[i].own = 0;
	for (uint32_t i = 0; i < s->ip->net.n_addrs; i++) {
		union npp_addr sn = solicited_node(&s->ip->net.addr[i].addr);
		struct mc_group *g;

		if (npp_addr_is_v4(&s->ip->net.addr[i].addr))
			continue;
		g = mc_group_find(s, &sn);
		if (!g)
			g = group_new(s, &sn);
		if (g)
			g->own = 1;
	}
	mc->net_seq = s->ip->net.seq;
}

void mc_refresh(struct stack *s)
{
	struct mc_state *mc = state(s);
	uint32_t n = 0;

	own_groups(s);
	for (unsigned i = 0; i < MC_GROUPS; i++) {
		struct mc_group *g = &mc->group[i];
		struct mc_filter f;

		if (!g->used)
			continue;
		f = group_filter(s, g);
		mc_changed(s, g, &f);
		n += g->used && mc_joined(g);
	}
	STAT_SET(s, IS_GROUPS, n);
	mc_tell(s);
}

/* ---- memberships ---------------------------------------------------------------------------------- */

static bool host_may_join(struct stack *s, uint8_t host, const union npp_addr *group)
{
	struct mc_state *mc = state(s);
	unsigned n = 0, members = 0, all = 0;

	for (unsigned i = 0; i < MC_MEMBERS; i++)
		members += mc->member[i].used && mc->member[i].host == host;
	for (unsigned i = 0; i < MC_GROUPS; i++) {
		const struct mc_group *g = &mc->group[i];

		if (g->used && npp_addr_eq(&g->addr, group) && (g->hosts >> host & 1))
			return members < MC_MEMBERS / 2;
		n += g->used && (g->hosts >> host & 1);
		all += g->used && !g->own;
	}
	return members < MC_MEMBERS / 2 && n < MC_HOST_GROUPS && all < NPP_MAX_GROUPS;
}

static int member_add(struct stack *s, const struct udp_endpoint *ep, uint16_t *first, const struct npp_member *m)
{
	struct mc_state *mc = state(s);
	struct mc_group *g = mc_group_find(s, &m->group);
	uint16_t i = 0;

	if (!host_may_join(s, ep->user_host, &m->group))
		return -ENOBUFS;
	while (i < MC_MEMBERS && mc->member[i].used)
		i++;
	if (i == MC_MEMBERS || (!g && !(g = group_new(s, &m->group))))
		return -ENOBUFS;
	g->hosts |= (uint8_t)(1u << ep->user_host);
	mc->member[i] = (struct mc_member){ .m = *m, .ep = ep->index, .host = ep->user_host, .next = *first };
	mc->member[i].used = 1;
	mc->n_members++;
	*first = i;
	return 0;
}

static bool same_members(struct stack *s, uint16_t first, const struct npp_member *m, unsigned n)
{
	struct mc_state *mc = state(s);
	unsigned k = 0;

	for (uint16_t i = first; i != MC_NONE; i = mc->member[i].next, k++) {
		unsigned j = 0;

		while (j < n && memcmp(&m[j], &mc->member[i].m, sizeof *m) != 0)
			j++;
		if (j == n)
			return false;
	}
	return k == n;
}

int mc_members_set(struct stack *s, const struct udp_endpoint *ep, uint16_t *first, const struct npp_member *m,
		   unsigned n)
{
	struct mc_state *mc = state(s);
	int err = 0;

	if (same_members(s, *first, m, n))
		return 0;
	for (uint16_t i = *first; i != MC_NONE; i = mc->member[i].next) {
		mc->member[i].used = 0;
		mc->n_members--;
	}
	*first = MC_NONE;
	for (unsigned i = 0; i < n; i++) {
		if (!npp_addr_is_multicast(&m[i].group) || m[i].n_sources > NPP_SOCK_SOURCES ||
		    member_add(s, ep, first, &m[i]) != 0) {
			STAT_INC(s, IS_MC_REFUSED);
			err = -ENOBUFS;
		}
	}
	mc_refresh(s);
	return err;
}

bool mc_wanted(struct stack *s, const struct udp_endpoint *ep, uint16_t first, const struct mc_group *g,
	       const union npp_addr *src)
{
	const struct mc_state *mc = state(s);

	for (uint16_t i = first; i != MC_NONE; i = mc->member[i].next) {
		const struct npp_member *m = &mc->member[i].m;

		if (npp_addr_eq(&m->group, &g->addr))
			return has_source(m->source, m->n_sources, src) != (m->exclude != 0);
	}
	/* As on Linux: also what others of the same host have joined, unless it says no. */
	return !ep->mc_own && (g->hosts >> ep->user_host & 1);
}

void mc_rebuild(struct stack *s, uint16_t *(*head)(struct stack *s, uint32_t ep))
{
	struct mc_state *mc = state(s);

	memset(mc->head, 0xff, sizeof mc->head);
	mc->n_members = 0;
	for (uint16_t i = 0; i < MC_GROUPS; i++) {
		struct mc_group *g = &mc->group[i];
		uint16_t *at = head_of(mc, &g->addr);

		if (!g->used)
			continue;
		g->next = *at;
		*at = i;
	}
	for (uint16_t i = 0; i < MC_MEMBERS; i++) {
		struct mc_member *m = &mc->member[i];
		uint16_t *first = m->used ? head(s, m->ep) : NULL;

		m->used = first != NULL;
		if (!first)
			continue;
		m->next = *first;
		*first = i;
		mc->n_members++;
	}
}
