/* SPDX-License-Identifier: GPL-2.0-or-later
 * nd_auto.c - router discovery (RFC 4861, 6.3) and stateless address autoconfiguration (RFC
 *             4862) for the IOP that has the link role
 *
 * Only on ports that ask for it (NPP_PORT_AUTOCONF). What advertisements say is kept in two small
 * lists with the times when it ends; whenever what follows from them changes, the user is
 * told all of it, and nppd, the only writer of addresses and routes, enters it in the
 * global tables, from where every IOP, the dispatcher and the hosts have it. That makes all of them look for
 * their ways anew and our addresses be announced again, so it happens once in a second, but for the first few times:
 * advertisements that contradict each other shall not cost more than themselves.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define FOR_EVER UINT64_MAX
#define SECOND_US 1000000ull
#define TWO_HOURS_US (7200 * SECOND_US)
#define RS_INTERVAL_US (4 * SECOND_US)	/* RFC 4861, 10 */
#define RS_COUNT 3
#define RA_OPTIONS 32
#define TELL_AT_ONCE 16	/* a router or prefix in each place */
#define REDRAW_US (7200 * SECOND_US)	/* RFC 4861, 6.3.4: the random part is chosen anew every few hours */

struct NPP_PACKED ra_hdr {
	struct icmp4_hdr icmp;		/* rest: hop limit, flags, router lifetime */
	uint32_t reachable, retrans;
};
struct NPP_PACKED prefix_opt {
	uint8_t type, len, plen, flags;
	uint32_t valid_s, preferred_s, reserved;
	uint8_t prefix[16];
};
struct NPP_PACKED mtu_opt {
	uint8_t type, len;
	uint16_t reserved;
	uint32_t mtu;
};
#define OPT_PREFIX 3
#define OPT_MTU 5
#define FLAG_ON_LINK 0x80
#define FLAG_AUTO 0x40

static uint64_t until(const struct stack *s, uint32_t seconds)
{
	return seconds == 0xffffffffu ? FOR_EVER : s->now_us + seconds * SECOND_US;
}

/* The address with the interface identifier of the port (RFC 2464, 4). */
static union npp_addr own_address(struct stack *s, const union npp_addr *prefix, uint8_t port)
{
	const uint8_t *m = s->env->global->port[port].mac;
	union npp_addr a = { .b = { [8] = m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5] } };

	memcpy(a.b, prefix->b, 8);
	return a;
}

static bool wanted(const struct stack *s, uint8_t port)
{
	return s->env->neigh_rw && s->env->global->port[port].flags & NPP_PORT_AUTOCONF && s->env->ops->autoconf;
}

static bool wanted_any(const struct stack *s)
{
	bool any = false;

	for (uint8_t port = 0; port < s->ip->net.n_ports; port++)
		any |= wanted(s, port);
	return any;
}

/* ---- what follows ------------------------------------------------------------------------ */

static void collect(struct stack *s, struct npp_autoconf *a)
{
	const struct nd_auto *n = &s->ip->autoconf;

	memset(a, 0, sizeof *a);
	for (unsigned i = 0; i < NPP_MAX_PORTS; i++) {
		a->link[i].mtu = n->link[i].mtu;
		a->link[i].hops = n->link[i].hops;
		a->link[i].reachable_ms = n->link[i].reachable_ms;
	}
	for (unsigned i = 0; i < NPP_AUTO_MAX; i++) {
		const struct nd_prefix *p = &n->prefix[i];
		struct npp_if_addr *to = &a->addr[a->n_addrs];

		if (!p->used)
			continue;
		if (p->autonomous && !p->duplicate) {
			to->addr = own_address(s, &p->prefix, p->port);
			to->port = p->port;
			to->prefix_len = p->on_link_us > s->now_us ? p->len : 128;
			to->flags = NPP_ADDR_AUTO | (p->preferred_us <= s->now_us ? NPP_ADDR_DEPRECATED : 0);
			a->n_addrs++;
		} else if (p->on_link_us > s->now_us) {
			a->on_link[a->n_on_link].addr = p->prefix;
			a->on_link[a->n_on_link].port = p->port;
			a->on_link[a->n_on_link++].prefix_len = p->len;
		}
	}
	for (int pref = 1; pref >= -1; pref--) /* the preferred ones first (RFC 4191, 3.2) */
		for (unsigned i = 0; i < NPP_AUTO_MAX; i++)
			if (n->router[i].until_us && n->router[i].pref == pref) {
				a->router_port[a->n_routers] = n->router[i].port;
				a->router[a->n_routers++] = n->router[i].addr;
			}
}

/* Not too often? Else it is told later. */
static bool may_tell(struct stack *s)
{
	struct nd_auto *n = &s->ip->autoconf;
	uint64_t seconds = (s->now_us - n->tell_us) / SECOND_US;

	if (!n->told || seconds >= TELL_AT_ONCE) {
		n->may_tell = TELL_AT_ONCE;
		n->tell_us = s->now_us;
	} else {
		n->may_tell = n->may_tell + seconds < TELL_AT_ONCE ? (uint8_t)(n->may_tell + seconds) : TELL_AT_ONCE;
		n->tell_us += seconds * SECOND_US;
	}
	if (n->may_tell) {
		n->may_tell--;
		return true;
	}
	if (!wheel_armed(&s->ip->timer[IPT_AUTO]) || wheel_due_us(&s->ip->timer[IPT_AUTO]) > n->tell_us + SECOND_US)
		ip_timer_arm(s, IPT_AUTO, n->tell_us + SECOND_US);
	return false;
}

static void report(struct stack *s)
{
	struct npp_autoconf a;

	collect(s, &a);
	if ((s->ip->autoconf.told && memcmp(&a, &s->ip->autoconf.last, sizeof a) == 0) || !may_tell(s))
		return;
	s->ip->autoconf.last = a;
	s->ip->autoconf.told = 1;
	s->env->ops->autoconf(s->env->arg, &a);
}

static void earlier(const struct stack *s, uint64_t us, uint64_t *next)
{
	if (us > s->now_us && us < *next)
		*next = us;
}

/* Drops what has ended; when something ends next. */
static uint64_t expire(struct stack *s)
{
	struct nd_auto *n = &s->ip->autoconf;
	uint64_t next = FOR_EVER;

	for (unsigned i = 0; i < NPP_AUTO_MAX; i++) {
		struct nd_prefix *p = &n->prefix[i];
		struct nd_router *r = &n->router[i];

		p->autonomous = p->autonomous && p->valid_us > s->now_us;
		p->used = p->used && (p->autonomous || p->on_link_us > s->now_us);
		if (p->used)
			earlier(s, p->on_link_us, &next);
		if (p->used && p->autonomous) {
			earlier(s, p->valid_us, &next);
			earlier(s, p->preferred_us, &next);
		}
		if (r->until_us <= s->now_us)
			r->until_us = 0;
		earlier(s, r->until_us, &next);
	}
	return next;
}

static bool has_router(const struct nd_auto *n, uint8_t port)
{
	for (unsigned i = 0; i < NPP_AUTO_MAX; i++)
		if (n->router[i].until_us && n->router[i].port == port)
			return true;
	return false;
}

static void arm(struct stack *s, uint64_t next)
{
	bool asking = false;

	for (unsigned i = 0; i < NPP_MAX_PORTS; i++)
		asking |= s->ip->autoconf.link[i].rs_left != 0;
	if (asking && next > s->now_us + RS_INTERVAL_US)
		next = s->now_us + RS_INTERVAL_US;
	if (next == FOR_EVER) {	/* nothing ends, nobody is asked */
		wheel_cancel(&s->wheel, &s->ip->timer[IPT_AUTO]);
		return;
	}
	if (next > s->now_us + 3600 * SECOND_US)
		next = s->now_us + 3600 * SECOND_US;
	ip_timer_arm(s, IPT_AUTO, next);
}

/* Asks for routers until one answers, then lets things end in their time. */
void nd_auto_timer(struct stack *s)
{
	struct nd_auto *n = &s->ip->autoconf;
	bool asking = false;
	uint64_t next;

	if (!wanted_any(s))
		return;
	next = expire(s);
	for (uint8_t port = 0; port < s->ip->net.n_ports; port++) {
		if (n->link[port].rs_left && has_router(n, port))
			n->link[port].rs_left = 0;
		if (!n->link[port].rs_left)
			continue;
		n->link[port].rs_left--;
		nd_ask_routers(s, port);
		asking = true;
	}
	if (asking) /* an answer to the last question has its time, too; then what is known is all there is */
		earlier(s, s->now_us + RS_INTERVAL_US, &next);
	arm(s, next);
	if (!asking)
		report(s);
}

void nd_auto_begin(struct stack *s)
{
	s->ip->autoconf.told = 0;
	nd_auto_ports(s, ~0u);
}

void nd_auto_ports(struct stack *s, uint32_t came)
{
	bool any = false;

	for (uint8_t port = 0; port < s->ip->net.n_ports; port++) {
		if (!(came >> port & 1) || !wanted(s, port))
			continue;
		s->ip->autoconf.link[port].rs_left = RS_COUNT;
		any = true;
	}
	if (any)
		nd_auto_timer(s);
}

void nd_auto_end(struct stack *s)
{
	memset(&s->ip->autoconf, 0, sizeof s->ip->autoconf);
}

/* ---- advertisements ------------------------------------------------------------------------ */

/* Does R not answer (RFC 4861, 6.3.6)? */
static bool silent(struct stack *s, const struct nd_router *r)
{
	struct neigh_view v;

	return neigh_lookup(s, &r->addr, r->port, &v) && v.state == NPP_NEIGH_FAILED;
}

/* A place for a router of preference PREF when all are taken: that of one that does not answer, else of one
 * that is liked less (RFC 4191, 3.2); of several the one that was heard longest ago. Otherwise who came first stays: a crowd
 * of routers changes nothing. */
static struct nd_router *replaceable(struct stack *s, int8_t pref)
{
	struct nd_router *best = NULL;
	int best_rank = 0;

	for (unsigned i = 0; i < NPP_AUTO_MAX; i++) {
		struct nd_router *r = &s->ip->autoconf.router[i];
		int rank = silent(s, r) ? 3 : r->pref < pref ? -r->pref + 1 : 0;

		if (rank > best_rank || (rank && rank == best_rank && r->heard_us < best->heard_us)) {
			best = r;
			best_rank = rank;
		}
	}
	return best;
}

static void learn_router(struct stack *s, const union npp_addr *addr, uint8_t port, uint32_t seconds, int8_t pref)
{
	struct nd_router *list = s->ip->autoconf.router, *place = NULL;

	for (unsigned i = 0; i < NPP_AUTO_MAX; i++) {
		if (list[i].until_us && list[i].port == port && npp_addr_eq(&list[i].addr, addr)) {
			list[i].until_us = seconds ? s->now_us + seconds * SECOND_US : 0;
			list[i].heard_us = s->now_us;
			list[i].pref = pref;
			return;
		}
		if (!list[i].until_us && !place)
			place = &list[i];
	}
	if (!seconds)
		return;
	if (!place) {
		STAT_INC(s, IS_ND_ROUTERS_FULL);
		place = replaceable(s, pref);
	}
	if (place)
		*place = (struct nd_router){ .addr = *addr, .port = port, .pref = pref, .heard_us = s->now_us,
					     .until_us = s->now_us + seconds * SECOND_US };
}

void nd_auto_no_router(struct stack *s, const union npp_addr *addr, uint8_t port)
{
	struct nd_auto *n = &s->ip->autoconf;
	bool had = false;

	for (unsigned i = 0; i < NPP_AUTO_MAX; i++) {
		struct nd_router *r = &n->router[i];

		if (!r->until_us || r->port != port || !npp_addr_eq(&r->addr, addr))
			continue;
		r->until_us = 0;
		had = true;
	}
	if (had && wanted(s, port))
		report(s);
}

/* RFC 4862, 5.5.3 (e): nobody shortens the life of an address below two hours. */
static uint64_t new_valid(const struct stack *s, const struct nd_prefix *p, uint32_t seconds)
{
	uint64_t v = until(s, seconds);

	if (v > s->now_us + TWO_HOURS_US || v > p->valid_us)
		return v;
	return p->valid_us < s->now_us + TWO_HOURS_US ? p->valid_us : s->now_us + TWO_HOURS_US;
}

static struct nd_prefix *prefix_place(struct nd_auto *n, const union npp_addr *prefix, uint8_t len, uint8_t port)
{
	struct nd_prefix *spare = NULL;

	for (unsigned i = 0; i < NPP_AUTO_MAX; i++) {
		struct nd_prefix *p = &n->prefix[i];

		if (p->used && p->len == len && p->port == port && npp_addr_eq(&p->prefix, prefix))
			return p;
		if (!p->used && !spare)
			spare = p;
	}
	return spare;
}

/* P is for addresses of our own making. */
static void learn_auto(struct stack *s, struct nd_prefix *p, uint32_t valid, uint32_t preferred)
{
	union npp_addr own = own_address(s, &p->prefix, p->port);

	if (!p->autonomous && !valid)
		return;
	if (!p->autonomous) {	/* in use while it is tested (RFC 4429) */
		p->autonomous = 1;
		p->duplicate = 0;
		p->valid_us = until(s, valid);
		p->tested_until_us = s->now_us + nd_retrans_us(s, p->port);	/* RFC 4862, 5.1 */
		nd_probe(s, &own, p->port);
	} else {
		p->valid_us = new_valid(s, p, valid);
	}
	p->preferred_us = until(s, preferred);
}

/* What is said of being on the link and what of addresses are two things with two lifetimes, and who does not say
 * one of them leaves that as it was (RFC 4861, 6.3.4; RFC 4862, 5.5.3 (a)). */
static void learn_prefix(struct stack *s, const struct prefix_opt *o, uint8_t port)
{
	uint32_t valid = ntohl(o->valid_s), preferred = ntohl(o->preferred_s);
	bool autonomous = (o->flags & FLAG_AUTO) && o->plen == 64 && preferred <= valid;
	bool on_link = (o->flags & FLAG_ON_LINK) != 0;
	union npp_addr prefix = { .q = { 0, 0 } };
	struct nd_prefix *p;

	if (o->plen == 0 || o->plen > 128 || !(autonomous || on_link))
		return;
	for (unsigned i = 0; i < o->plen; i++)
		prefix.b[i / 8] |= o->prefix[i / 8] & (uint8_t)(0x80 >> i % 8);
	if (prefix.b[0] == 0xff || (prefix.b[0] == 0xfe && (prefix.b[1] & 0xc0) == 0x80))
		return;
	p = prefix_place(&s->ip->autoconf, &prefix, o->plen, port);
	if (!p) {
		if (valid)
			STAT_INC(s, IS_ND_PREFIXES_FULL);
		return;
	}
	if (!p->used && !valid)
		return;
	if (!p->used)
		*p = (struct nd_prefix){ .prefix = prefix, .len = o->plen, .used = 1, .port = port };
	if (on_link)
		p->on_link_us = valid ? until(s, valid) : 0;
	if (autonomous)
		learn_auto(s, p, valid, preferred);
}

/* Only smaller than the port's; of several routers the last one counts (6.3.4). */
static void learn_mtu(struct stack *s, const struct mtu_opt *o, uint8_t port)
{
	uint32_t mtu = ntohl(o->mtu);

	if (mtu >= IP6_MTU_MIN && mtu <= s->env->global->port[port].mtu)
		s->ip->autoconf.link[port].mtu = (uint16_t)mtu;
}

static uint32_t within(uint32_t v, uint32_t least, uint32_t most)
{
	return v < least ? least : v > most ? most : v;
}

/* 6.3.4: 0 says nothing, as does a reachable time that nobody may send. */
static void learn_times(struct stack *s, uint8_t port, uint32_t reachable_ms, uint32_t retrans_ms)
{
	struct nd_link *n = &s->ip->autoconf.link[port];

	if (retrans_ms)
		n->retrans_ms = within(retrans_ms, ND_RETRANS_MIN_MS, ND_RETRANS_MAX_MS);
	if (!reachable_ms || reachable_ms > ND_REACHABLE_MAX_MS ||
	    (reachable_ms == n->base_ms && s->now_us - n->drawn_us < REDRAW_US))
		return;
	n->base_ms = reachable_ms;	/* 6.3.2: half of it to one and a half */
	n->drawn_us = s->now_us;
	n->reachable_ms = within(reachable_ms / 2 + (uint32_t)(s->env->ops->random(s->env->arg) % (reachable_ms + 1)),
				 ND_REACHABLE_MIN_MS, ND_REACHABLE_MAX_MS);
}

/* RFC 4191, 2.1: two bits with a sign; what is reserved means medium. */
static int8_t preference(uint32_t prf)
{
	return prf == 1 ? 1 : prf == 3 ? -1 : 0;
}

void nd_advertised(struct stack *s, const struct pkt *pkt)
{
	const struct ra_hdr *h = (const struct ra_hdr *)pkt->l4;
	const uint8_t *o = (const uint8_t *)(h + 1);
	uint32_t len = pkt->l4_len - (uint32_t)sizeof *h, size;

	if (pkt->l4_len < sizeof *h || pkt->src.b[0] != 0xfe || (pkt->src.b[1] & 0xc0) != 0x80) { /* 6.1.2 */
		STAT_INC(s, IS_DROP_ND);
		return;
	}
	if (!wanted(s, pkt->port))
		return;
	for (uint32_t at = 0, n = 0; at + 8 <= len; at += size, n++) {
		size = o[at + 1] * 8u;
		if (size == 0 || size > len - at || n == RA_OPTIONS) {
			STAT_INC(s, IS_DROP_ND);
			return;
		}
	}
	learn_router(s, &pkt->src, pkt->port, ntohl(h->icmp.rest) & 0xffff, preference(ntohl(h->icmp.rest) >> 19 & 3));
	if (ntohl(h->icmp.rest) >> 24)
		s->ip->autoconf.link[pkt->port].hops = (uint8_t)(ntohl(h->icmp.rest) >> 24);
	learn_times(s, pkt->port, ntohl(h->reachable), ntohl(h->retrans));
	for (uint32_t at = 0; at + 8 <= len; at += o[at + 1] * 8u) {
		if (o[at] == OPT_PREFIX && o[at + 1] == sizeof(struct prefix_opt) / 8)
			learn_prefix(s, (const struct prefix_opt *)(o + at), pkt->port);
		else if (o[at] == OPT_MTU && o[at + 1] == sizeof(struct mtu_opt) / 8)
			learn_mtu(s, (const struct mtu_opt *)(o + at), pkt->port);
	}
	s->ip->autoconf.link[pkt->port].rs_left = 0;
	arm(s, expire(s));
	report(s);
}

bool nd_auto_testing(struct stack *s, const union npp_addr *addr)
{
	for (unsigned i = 0; i < NPP_AUTO_MAX; i++) {
		const struct nd_prefix *p = &s->ip->autoconf.prefix[i];
		union npp_addr own = own_address(s, &p->prefix, p->port);

		if (p->used && p->autonomous && !p->duplicate && s->now_us <= p->tested_until_us && npp_addr_eq(&own, addr))
			return true;
	}
	return false;
}

/* Somebody else has ADDR. True: we had just made it, and give it up (RFC 4862, 5.4). */
bool nd_auto_conflict(struct stack *s, const union npp_addr *addr)
{
	for (unsigned i = 0; i < NPP_AUTO_MAX; i++) {
		struct nd_prefix *p = &s->ip->autoconf.prefix[i];
		union npp_addr own = own_address(s, &p->prefix, p->port);

		if (!p->used || !p->autonomous || !npp_addr_eq(&own, addr) || s->now_us > p->tested_until_us)
			continue;
		p->duplicate = 1;
		if (wanted(s, p->port))
			report(s);
		return true;
	}
	return false;
}
