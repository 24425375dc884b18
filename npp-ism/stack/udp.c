/* SPDX-License-Identifier: GPL-2.0-or-later
 * udp.c - UDP endpoints: a table, and a SipHash index over it that can be rebuilt
 *
 * One index for all: a connected endpoint is filed under its four-tuple, another with remote
 * part zero. A lookup is at most four probes, the last two for the wildcard of the family and
 * for that of both. Members of a reuseport group stand side by
 * side in their chain, ordered by the user's handle, so every IOP sees the same list.
 */
#include "config.h"

#include "npp-ism/stack/udp_priv.h"
#include "shm/share.h"

struct udp_key { union npp_addr laddr, raddr; uint16_t lport, rport; uint32_t v6only; };

/* ---- layout ---------------------------------------------------------------------------- */

static uint32_t ep_count(const struct stack_cfg *cfg)
{
	return cfg->max_udp ? cfg->max_udp : 1;
}

static uint32_t head_count(const struct stack_cfg *cfg)
{
	uint32_t n = 16;

	while (n < ep_count(cfg) && n < 1u << 20)
		n *= 2;
	return n;
}

static size_t eps_offset(void)
{
	return ip_align(sizeof(struct udp_state));
}

uint64_t udp_layout_hash(void)
{
	return NPP_ABI_MIX(sizeof(struct udp_state), sizeof(struct udp_ep));
}

size_t udp_size(const struct stack_cfg *cfg)
{
	return eps_offset() + ip_align((size_t)ep_count(cfg) * sizeof(struct udp_ep)) +
	       ip_align((size_t)head_count(cfg) * 4);
}

static void udp_layout(struct stack *s)
{
	struct udp_state *u = s->udp;
	uint8_t *mem = (uint8_t *)u;

	u->n_ep = ep_count(&s->cfg);
	u->n_head = head_count(&s->cfg);
	u->ep = (struct udp_ep *)(mem + eps_offset());
	u->head = (uint32_t *)(mem + eps_offset() + ip_align((size_t)u->n_ep * sizeof(struct udp_ep)));
}

/* ---- index ------------------------------------------------------------------------------- */

static union npp_addr norm(const union npp_addr *a)
{
	return npp_addr_is_any(a) ? (union npp_addr){ .q = { 0, 0 } } : *a;
}

/* What kind of wildcard E listens on; UDP_ANYS: none. */
static enum udp_any wildcard(const struct udp_endpoint *e)
{
	if (!npp_addr_is_any(&e->laddr))
		return UDP_ANYS;
	return npp_addr_is_v4(&e->laddr) ? UDP_ANY4 : e->v6only ? UDP_ANY6 : UDP_ANY_BOTH;
}

static struct udp_key ep_key(const struct udp_endpoint *e)
{
	bool connected = !npp_addr_is_any(&e->raddr);

	return (struct udp_key){ .laddr = e->laddr, .raddr = norm(&e->raddr), .lport = e->lport,
				 .rport = connected ? e->rport : 0, .v6only = !connected && wildcard(e) == UDP_ANY6 };
}

static uint32_t *key_head(struct stack *s, const struct udp_key *k)
{
	return &s->udp->head[npp_siphash(s->cfg.hash_key, k, sizeof *k) & (s->udp->n_head - 1)];
}

static bool key_eq(const struct udp_key *a, const struct udp_key *b)
{
	return a->lport == b->lport && a->rport == b->rport && npp_addr_eq(&a->laddr, &b->laddr) &&
	       npp_addr_eq(&a->raddr, &b->raddr) && a->v6only == b->v6only;
}

/* Host by host. Who shares an address without SO_REUSEPORT comes first, the latest before the others:
 * the first has all. The members of a reuseport group stand in the same order in every IOP. */
static bool member_before(const struct udp_endpoint *a, const struct udp_endpoint *b)
{
	if (a->user_host != b->user_host)
		return a->user_host < b->user_host;
	if (a->reuseport != b->reuseport)
		return b->reuseport;
	if (!a->reuseport)
		return (int32_t)(a->order - b->order) > 0;
	return a->user_sock < b->user_sock;
}

/* Counts by kind: a lookup spares the probes that cannot hit. */
static void ep_count_kind(struct udp_state *u, const struct udp_ep *ep, uint32_t by)
{
	if (!npp_addr_is_any(&ep->pub.raddr))
		u->n_connected += by;
	else if (wildcard(&ep->pub) == UDP_ANYS)
		u->n_addr += by;
	else
		u->n_any[wildcard(&ep->pub)] += by;
}

static void ep_link(struct stack *s, struct udp_ep *ep)
{
	struct udp_state *u = s->udp;
	struct udp_key k = ep_key(&ep->pub), o;
	uint32_t *at = key_head(s, &k), *scan;

	ep_count_kind(u, ep, 1);
	/* Before the first member of the group that comes later; else behind the group; else first. */
	for (scan = at; *scan != UDP_NONE; scan = &u->ep[*scan].next) {
		o = ep_key(&u->ep[*scan].pub);
		if (!key_eq(&o, &k))
			continue;
		at = scan;
		if (member_before(&ep->pub, &u->ep[*scan].pub))
			break;
		at = &u->ep[*scan].next;
	}
	ep->next = *at;
	*at = (uint32_t)(ep - u->ep);
}

static void ep_unlink(struct stack *s, struct udp_ep *ep)
{
	struct udp_state *u = s->udp;
	struct udp_key k = ep_key(&ep->pub);
	uint32_t *at = key_head(s, &k), i = (uint32_t)(ep - u->ep);

	ep_count_kind(u, ep, (uint32_t)-1);
	while (*at != UDP_NONE && *at != i)
		at = &u->ep[*at].next;
	if (*at == i)
		*at = ep->next;
}

static void udp_rebuild(struct stack *s)
{
	struct udp_state *u = s->udp;

	u->free = UDP_NONE;
	u->used = u->n_connected = u->n_addr = 0;
	memset(u->n_any, 0, sizeof u->n_any);
	for (uint32_t i = 0; i < u->n_head; i++)
		u->head[i] = UDP_NONE;
	for (uint32_t i = u->n_ep; i-- > 0;) {
		struct udp_ep *ep = &u->ep[i];

		ep->pub.index = i;
		ep->mc_first = MC_NONE;
		if (ep->state == UDP_EP_LIVE) {
			ep->path.valid = IP_PATH_NONE;
			ep_link(s, ep);
			u->used++;
		} else {
			ep->state = UDP_EP_FREE;
			ep->next = u->free;
			u->free = i;
		}
	}
	STAT_SET(s, IS_UDP_EPS, u->used);
}

/* Where the memberships of endpoint I begin; NULL: it is gone. */
static uint16_t *mc_head(struct stack *s, uint32_t i)
{
	struct udp_state *u = s->udp;

	return i < u->n_ep && u->ep[i].state == UDP_EP_LIVE ? &u->ep[i].mc_first : NULL;
}

void udp_init(struct stack *s, void *mem)
{
	s->udp = mem;
	udp_layout(s);
	udp_rebuild(s);
}

int udp_attach(struct stack *s)
{
	udp_layout(s);
	udp_rebuild(s);
	mc_rebuild(s, mc_head);
	mc_refresh(s);
	return 0;
}

/* ---- lookup ------------------------------------------------------------------------------- */

static struct udp_ep *chain_find(struct stack *s, uint32_t i, const struct udp_key *k)
{
	struct udp_state *u = s->udp;

	for (; i != UDP_NONE; i = u->ep[i].next) {
		struct udp_key o = ep_key(&u->ep[i].pub);

		if (key_eq(&o, k))
			return &u->ep[i];
	}
	return NULL;
}

struct udp_ep *udp_first(struct stack *s, const union npp_addr *laddr, uint16_t lport,
			 const union npp_addr *raddr, uint16_t rport)
{
	struct udp_key k = { .laddr = *laddr, .raddr = norm(raddr), .lport = lport, .rport = rport };

	return chain_find(s, *key_head(s, &k), &k);
}

struct udp_ep *udp_first_any(struct stack *s, enum udp_any kind, uint16_t lport)
{
	struct udp_key k = { .lport = lport, .v6only = kind == UDP_ANY6 };

	if (!s->udp->n_any[kind])
		return NULL;
	if (kind == UDP_ANY4)
		k.laddr = npp_addr_v4(0);
	return chain_find(s, *key_head(s, &k), &k);
}

struct udp_ep *udp_next(struct stack *s, const struct udp_ep *ep)
{
	struct udp_key k = ep_key(&ep->pub);

	return chain_find(s, ep->next, &k);
}

/* The first endpoint of the host that has the flow, of FIRST's group. */
static struct udp_ep *host_pick(struct stack *s, struct udp_ep *first, const struct udp_key *flow)
{
	const struct npp_global *g = s->env->global;
	struct udp_ep *ep;
	unsigned hosts = 0, host;

	for (ep = first; ep; ep = udp_next(s, ep))
		hosts |= 1u << (ep->pub.user_host % NPP_MAX_HOSTS);
	if (!(hosts & (hosts - 1)))
		return first;
	/* acquire: pairs with nppd's release; one word is the whole list */
	host = npp_share_pick(atomic_load_explicit(&g->share, memory_order_acquire), g->share_policy, hosts,
			      npp_share_hash(g, &flow->raddr, flow->rport, &flow->laddr, flow->lport));
	for (ep = first; ep->pub.user_host % NPP_MAX_HOSTS != host; ep = udp_next(s, ep))
		;
	return ep;
}

/* Which member of FIRST's group serves the flow. */
static struct udp_ep *group_pick(struct stack *s, struct udp_ep *first, const struct udp_key *flow)
{
	struct udp_ep *ep;
	uint32_t n = 0, pick;

	if (!udp_next(s, first))
		return first;
	first = host_pick(s, first, flow);
	if (!first->pub.reuseport)
		return first;
	for (ep = first; ep && ep->pub.user_host == first->pub.user_host; ep = udp_next(s, ep))
		n++;
	pick = (uint32_t)(npp_siphash(s->cfg.hash_key, flow, sizeof *flow) >> 32) % n;
	for (ep = first; pick; pick--)
		ep = udp_next(s, ep);
	return ep;
}

struct udp_ep *udp_lookup(struct stack *s, const union npp_addr *laddr, uint16_t lport,
			  const union npp_addr *raddr, uint16_t rport)
{
	static const union npp_addr any;
	struct udp_key flow = { .laddr = *laddr, .raddr = *raddr, .lport = lport, .rport = rport };
	struct udp_ep *ep = NULL;

	if (!s->udp->used)
		return NULL;
	if (s->udp->n_connected)
		ep = udp_first(s, laddr, lport, raddr, rport);
	if (!ep && s->udp->n_addr)
		ep = udp_first(s, laddr, lport, &any, 0);
	if (!ep)
		ep = udp_first_any(s, npp_addr_is_v4(laddr) ? UDP_ANY4 : UDP_ANY6, lport);
	if (!ep)
		ep = udp_first_any(s, UDP_ANY_BOTH, lport);
	return ep ? group_pick(s, ep, &flow) : NULL;
}

/* ---- bind and unbind -------------------------------------------------------------------------- */

/* Is T's address one of ours? A connected endpoint fixes its source first. */
static int addr_check(struct stack *s, struct udp_endpoint *t)
{
	struct ip_path p;
	int err;

	if (!npp_addr_is_any(&t->raddr) && npp_addr_is_any(&t->laddr)) {
		err = ip_path_init(s, &p, &t->laddr, &t->raddr);
		if (err)
			return err;
		t->laddr = p.src;
	}
	if (!npp_addr_is_any(&t->laddr) && route_dst_kind(s, &t->laddr) == IP_DST_OTHER)
		return -EADDRNOTAVAIL;
	return 0;
}

static bool may_share(const struct udp_endpoint *a, const struct udp_endpoint *b)
{
	/* Between hosts nppd has judged when it granted the port. */
	return a->user_host != b->user_host || (a->reuseport && b->reuseport) || (a->reuseaddr && b->reuseaddr);
}

/* May T have its address beside what is bound? */
static int bind_check(struct stack *s, struct udp_endpoint *t)
{
	struct udp_key k;
	struct udp_ep *ep;
	int err;

	if (!t->lport)
		return -EINVAL;
	err = addr_check(s, t);
	if (err)
		return err;
	k = ep_key(t);
	for (ep = chain_find(s, *key_head(s, &k), &k); ep; ep = udp_next(s, ep))
		if (!may_share(&ep->pub, t))
			return -EADDRINUSE;
	return 0;
}

struct udp_endpoint *stack_udp_bind(struct stack *s, const struct udp_endpoint *template, int *err)
{
	struct udp_state *u = s->udp;
	struct udp_endpoint t = *template;
	struct udp_ep *ep;

	*err = bind_check(s, &t);
	if (!*err && u->free == UDP_NONE)
		*err = -ENOBUFS;
	if (*err)
		return NULL;
	ep = &u->ep[u->free];
	u->free = ep->next;
	ep->state = UDP_EP_CHANGING;
	t.index = (uint32_t)(ep - u->ep);
	t.gen = (ep->pub.gen + 1) & 0xfff;
	ep->pub = t;
	ep->mc_first = MC_NONE;
	ep->whole_max = 0;
	ep->link_mtu = 0;
	ep->path = (struct ip_path){ .valid = IP_PATH_NONE };
	ep_link(s, ep);
	ep->state = UDP_EP_LIVE;
	STAT_SET(s, IS_UDP_EPS, ++u->used);
	return &ep->pub;
}

int stack_udp_connect(struct stack *s, struct udp_endpoint *pub, const union npp_addr *laddr,
		      const union npp_addr *raddr, uint16_t rport)
{
	struct udp_ep *ep = (struct udp_ep *)pub;
	struct udp_endpoint t = *pub;
	int err;

	if (ep->state != UDP_EP_LIVE)
		return -EINVAL;
	t.laddr = *laddr;
	t.raddr = norm(raddr);
	t.rport = rport;
	err = addr_check(s, &t);
	if (err)
		return err;
	ep->state = UDP_EP_CHANGING;
	ep_unlink(s, ep);
	ep->pub = t;
	ep->path.valid = IP_PATH_NONE;
	ep_link(s, ep);
	ep->state = UDP_EP_LIVE;
	return 0;
}

void stack_udp_unbind(struct stack *s, struct udp_endpoint *pub)
{
	struct udp_state *u = s->udp;
	struct udp_ep *ep = (struct udp_ep *)pub;

	if (ep->state != UDP_EP_LIVE)
		return;
	mc_members_set(s, pub, &ep->mc_first, NULL, 0);
	ep->state = UDP_EP_CHANGING;
	ep_unlink(s, ep);
	ep->next = u->free;
	u->free = pub->index;
	ep->state = UDP_EP_FREE;
	STAT_SET(s, IS_UDP_EPS, --u->used);
}

int stack_udp_members(struct stack *s, struct udp_endpoint *pub, const struct npp_member *m, unsigned n)
{
	struct udp_ep *ep = (struct udp_ep *)pub;

	return ep->state == UDP_EP_LIVE ? mc_members_set(s, pub, &ep->mc_first, m, n) : -EINVAL;
}

struct udp_endpoint *stack_udp(struct stack *s, uint32_t index)
{
	struct udp_state *u = s->udp;

	return index < u->n_ep && u->ep[index].state == UDP_EP_LIVE ? &u->ep[index].pub : NULL;
}

bool udp_inspect(const void *mem, size_t size, const struct stack_cfg *cfg, uint32_t *cursor,
		 struct udp_endpoint *out)
{
	const struct udp_ep *ep = (const struct udp_ep *)((const uint8_t *)mem + eps_offset());

	if (size < udp_size(cfg))
		return false;
	for (; *cursor < ep_count(cfg); ++*cursor)
		if (ep[*cursor].state == UDP_EP_LIVE) {
			*out = ep[*cursor].pub;
			++*cursor;
			return true;
		}
	return false;
}
