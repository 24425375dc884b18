/* SPDX-License-Identifier: GPL-2.0-or-later
 * route.c - our addresses, the routing table, and the path to a peer
 *
 * The tables stand in the NPP's global region under the seqlock net_seq (A16). Each stack
 * keeps a private copy, sorted so that the first match is the longest prefix, and
 * renews it when net_seq moved. Networks that our addresses lie in are routes on link.
 *
 * With several network ports the route picks the port. Routes by ports without a carrier do not
 * count as long as another one leads there; of routes with the same prefix the one by the
 * port that the peer was last heard on is taken, then that with the smaller metric. So a session
 * follows the network: nppd moves net_seq when a port's carrier comes or goes, and the next
 * packet looks for its way anew. An address of the NPP as a whole (NPP_PORT_ANY) is on every port.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

static union npp_addr mask_addr(union npp_addr a, unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned n = bits > 8 * i ? bits - 8 * i : 0;

		if (n < 8)
			a.b[i] &= (uint8_t)(0xff00u >> n);
	}
	return a;
}

static bool in_prefix(const union npp_addr *a, const union npp_addr *net, unsigned bits)
{
	union npp_addr m = mask_addr(*a, bits);

	return npp_addr_eq(&m, net);
}

static uint32_t ports_up(const struct npp_global *g, uint32_t n_ports)
{
	uint32_t up = 0;

	for (uint32_t i = 0; i < n_ports; i++)
		up |= (atomic_load_explicit(&g->port[i].up, memory_order_relaxed) != 0) << i;
	return up;
}

/* Keeps the order: longer prefix first, then smaller metric, then older. */
static void net_add_route(struct ip_net *n, struct npp_route r)
{
	uint32_t i;

	if (n->n_routes >= IP_NET_ROUTES || r.prefix_len > 128 || r.port >= n->n_ports)
		return;
	r.dst = mask_addr(r.dst, r.prefix_len);
	for (i = n->n_routes; i > 0; i--) {
		const struct npp_route *o = &n->route[i - 1];

		if (o->prefix_len > r.prefix_len ||
		    (o->prefix_len == r.prefix_len && o->metric <= r.metric))
			break;
		n->route[i] = *o;
	}
	n->route[i] = r;
	n->n_routes++;
}

/* Directed broadcasts of the networks of our addresses. */
static void net_add_bcasts(struct ip_net *n)
{
	n->n_bcasts = 0;
	for (uint32_t i = 0; i < n->n_addrs; i++) {
		unsigned bits = n->addr[i].prefix_len;

		if (npp_addr_is_v4(&n->addr[i].addr) && bits >= 97 && bits <= 126)
			n->bcast[n->n_bcasts++] = npp_addr_get_v4(&n->addr[i].addr) | htonl(0xffffffffu >> (bits - 96));
	}
}

/* One try at a consistent copy; false: nppd was writing. */
static bool net_copy(struct ip_net *n, const struct npp_global *g)
{
	uint32_t seq = atomic_load_explicit(&g->net_seq, memory_order_acquire); /* pairs with nppd's release of the even value */
	struct npp_route raw;
	uint32_t n_addrs, n_routes;

	if (seq & 1)
		return false;
	n_addrs = g->n_addrs;
	n_routes = g->n_routes;
	n->n_addrs = n_addrs < NPP_MAX_IF_ADDRS ? n_addrs : NPP_MAX_IF_ADDRS;
	n->n_ports = g->n_ports < NPP_MAX_PORTS ? g->n_ports : NPP_MAX_PORTS;
	n->n_ports = n->n_ports ? n->n_ports : 1;
	n->up = ports_up(g, n->n_ports);
	n->n_routes = 0;
	memcpy(n->addr, g->addr, n->n_addrs * sizeof n->addr[0]);
	net_add_bcasts(n);
	for (uint32_t i = 0; i < n_routes && i < NPP_MAX_ROUTES; i++) {
		raw = g->route[i];
		net_add_route(n, raw);
	}
	for (uint32_t i = 0; i < n->n_addrs; i++) {
		const struct npp_if_addr *a = &n->addr[i];

		for (uint8_t port = 0; a->prefix_len < 128 && port < n->n_ports; port++)
			if (a->port == port || a->port == NPP_PORT_ANY)
				net_add_route(n, (struct npp_route){ .dst = a->addr, .prefix_len = a->prefix_len, .port = port });
	}
	atomic_thread_fence(memory_order_acquire);
	n->seq = seq;
	return atomic_load_explicit(&g->net_seq, memory_order_relaxed) == seq;
}

void route_renew(struct stack *s)
{
	struct ip_net *n = &s->ip->net;
	const struct npp_global *g = s->env->global;

	/* A writer that takes its time or died: what was copied so far is tried again next time. */
	for (unsigned tries = 0; tries < 100; tries++)
		if (net_copy(n, g))
			return;
	n->seq = 1;
}

static inline bool is_ours(const struct ip_net *n, const union npp_addr *a)
{
	for (uint32_t i = 0; i < n->n_addrs; i++)
		if (npp_addr_eq(&n->addr[i].addr, a))
			return true;
	return false;
}

bool ip_is_local(struct stack *s, const union npp_addr *a)
{
	route_sync(s);
	return is_ours(&s->ip->net, a);
}

static inline bool is_directed_broadcast(const struct ip_net *n, const union npp_addr *a)
{
	for (uint32_t i = 0; i < n->n_bcasts; i++)
		if (n->bcast[i] == a->w[3])
			return true;
	return false;
}

enum ip_dst_kind route_dst_kind(struct stack *s, const union npp_addr *a)
{
	route_sync(s);
	if (is_ours(&s->ip->net, a))
		return IP_DST_LOCAL;
	if (!npp_addr_is_v4(a))
		return a->b[0] == 0xff ? IP_DST_MULTICAST : IP_DST_OTHER;
	if (a->w[3] == 0xffffffffu || is_directed_broadcast(&s->ip->net, a))
		return IP_DST_BROADCAST;
	return (a->b[12] & 0xf0) == 0xe0 ? IP_DST_MULTICAST : IP_DST_OTHER;
}

bool ip_is_group(struct stack *s, const union npp_addr *a)
{
	enum ip_dst_kind kind = route_dst_kind(s, a);

	return kind == IP_DST_BROADCAST || kind == IP_DST_MULTICAST;
}

/* The best route to DST by one of PORTS. */
static const struct npp_route *find_by(const struct ip_net *n, const union npp_addr *dst, uint32_t ports, uint8_t heard)
{
	const struct npp_route *best = NULL;

	for (uint32_t i = 0; i < n->n_routes; i++) {
		const struct npp_route *r = &n->route[i];

		if (best && (!heard || r->prefix_len < best->prefix_len))
			break;
		if (!(ports >> r->port & 1) || !in_prefix(dst, &r->dst, r->prefix_len))
			continue;
		if (r->port + 1u == heard)
			return r;
		if (!best)
			best = r;
	}
	return best;
}

/* HEARD: port by which DST was heard, plus 1; 0: not known. */
static const struct npp_route *route_find(const struct ip_net *n, const union npp_addr *dst, uint8_t heard)
{
	uint32_t all = (1u << n->n_ports) - 1, up = ip_ports(n);
	const struct npp_route *r = find_by(n, dst, up, heard);

	return r || up == all ? r : find_by(n, dst, all, heard);
}

/* What is known of R's router: 2 it has answered, 1 nothing yet, 0 it does not answer. FIRST: it is the one to be
 * taken, of whom nothing ill is known as long as it was not asked; and if it was silent, it is asked again. */
static int router_known(struct stack *s, const struct npp_route *r, bool first)
{
	struct neigh_view v;

	if (!neigh_lookup(s, &r->via, r->port, &v) || v.state == NPP_NEIGH_NONE)
		return first ? 2 : 1;
	if (v.state == NPP_NEIGH_REACHABLE || v.state == NPP_NEIGH_STALE)
		return 2;
	if (v.state != NPP_NEIGH_FAILED)
		return 1;
	if (first && s->now_us - v.updated_us >= NEIGH_FRESH_US)
		neigh_reconfirm(s, &r->via, r->port);
	return 0;
}

/* R, or if its router does not answer, another route that is as good but for the metric and of whose router more is
 * known (RFC 1122, 3.3.1.5; RFC 4861, 6.3.6). */
static const struct npp_route *route_alive(struct stack *s, const struct npp_route *r, const union npp_addr *dst)
{
	const struct ip_net *n = &s->ip->net;
	const struct npp_route *best = r;
	int known, most;

	if (npp_addr_is_any(&r->via) || !s->env->neigh)
		return r;
	most = router_known(s, r, true);
	for (const struct npp_route *o = n->route; o < n->route + n->n_routes && most < 2; o++) {
		if (o == r || o->prefix_len != r->prefix_len || npp_addr_is_any(&o->via) ||
		    !(ip_ports(n) >> o->port & 1) || !in_prefix(dst, &o->dst, o->prefix_len))
			continue;
		known = router_known(s, o, false);
		if (known > most) {
			most = known;
			best = o;
		}
	}
	return best;
}

bool route_on_link(struct stack *s, const union npp_addr *a, uint8_t port)
{
	const struct npp_route *r = find_by(&s->ip->net, a, 1u << port, 0);

	return r && npp_addr_is_any(&r->via);
}

bool route_answers(struct stack *s, const union npp_addr *a, const union npp_addr *peer, uint8_t port)
{
	const struct ip_net *n = &s->ip->net;
	const struct npp_route *r;

	for (uint32_t i = 0; i < n->n_addrs; i++) {
		const struct npp_if_addr *own = &n->addr[i];

		if (!npp_addr_eq(&own->addr, a))
			continue;
		if (own->port == port)
			return true;
		if (own->port != NPP_PORT_ANY && ip_ports(n) >> own->port & 1)
			continue;
		if (own->port != NPP_PORT_ANY && !route_on_link(s, a, port))
			continue;
		r = npp_addr_is_any(peer) ? NULL : route_find(n, peer, 0);
		if (!r || r->port == port)
			return true;
	}
	return false;
}

bool route_announced(struct stack *s, const struct npp_if_addr *a, uint8_t port)
{
	const struct ip_net *n = &s->ip->net;
	const struct npp_route *r;

	if (!(ip_ports(n) >> port & 1))
		return false;
	if (a->port == port)
		return true;
	if (a->port != NPP_PORT_ANY)
		return !(ip_ports(n) >> a->port & 1) && route_on_link(s, &a->addr, port);
	r = route_find(n, &a->addr, 0);	/* on a network of several ports one of them has it */
	return !r || !npp_addr_is_any(&r->via) || r->port == port;
}

static bool is_link_local(const union npp_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* Does A reach no further than the link? */
static bool link_scope(const union npp_addr *a)
{
	return a->b[0] == 0xff ? (a->b[1] & 15) <= 2 : is_link_local(a);
}

static unsigned common_bits(const union npp_addr *a, const union npp_addr *b)
{
	unsigned n = 0;

	while (n < 128 && !((a->b[n / 8] ^ b->b[n / 8]) & 0x80 >> n % 8))
		n++;
	return n;
}

/* RFC 6724, 5, without policy table and mobility: rule 2 (scope), rule 3 (not deprecated), rule 5
 * (the interface), rule 8 (longest common prefix). */
static const union npp_addr *source6(const struct ip_net *n, const union npp_addr *peer, uint8_t port)
{
	const union npp_addr *best = NULL;
	unsigned best_score = 0;

	for (uint32_t i = 0; i < n->n_addrs; i++) {
		const struct npp_if_addr *a = &n->addr[i];
		bool here = a->port == port || a->port == NPP_PORT_ANY;
		unsigned common, score;

		if (npp_addr_is_v4(&a->addr) || (is_link_local(&a->addr) && !here))
			continue;
		common = common_bits(&a->addr, peer);
		if (common > a->prefix_len)
			common = a->prefix_len;
		score = 1 + common + (here ? 256 : 0) + (a->flags & NPP_ADDR_DEPRECATED ? 0 : 512) +
			(link_scope(&a->addr) == link_scope(peer) ? 1024 : 0);
		if (score > best_score) {
			best = &a->addr;
			best_score = score;
		}
	}
	return best;
}

const union npp_addr *route_link_local(struct stack *s, uint8_t port)
{
	const struct ip_net *n = &s->ip->net;

	for (uint32_t i = 0; i < n->n_addrs; i++)
		if (is_link_local(&n->addr[i].addr) && (n->addr[i].port == port || n->addr[i].port == NPP_PORT_ANY))
			return &n->addr[i].addr;
	return NULL;
}

/* What we say to somebody behind a router comes from an address of the NPP as a whole, if there is one
 * beside those of the ports: that is not tied to the way. NULL: there is none. */
static const union npp_addr *source_anywhere(const struct ip_net *n, const union npp_addr *peer)
{
	for (uint32_t i = 0; n->n_ports > 1 && i < n->n_addrs; i++)
		if (n->addr[i].port == NPP_PORT_ANY && npp_addr_is_v4(&n->addr[i].addr) == npp_addr_is_v4(peer) &&
		    !(n->addr[i].flags & NPP_ADDR_DEPRECATED))
			return &n->addr[i].addr;
	return NULL;
}

const union npp_addr *route_source(struct stack *s, const union npp_addr *peer, uint8_t port)
{
	const struct ip_net *n = &s->ip->net;
	const union npp_addr *on_port = NULL, *any = NULL;

	if (!npp_addr_is_v4(peer))
		return source6(n, peer, port);

	for (uint32_t i = 0; i < n->n_addrs; i++) {
		const struct npp_if_addr *a = &n->addr[i];
		union npp_addr net = mask_addr(a->addr, a->prefix_len);

		if (npp_addr_is_v4(&a->addr) != npp_addr_is_v4(peer))
			continue;
		if ((a->port == port || a->port == NPP_PORT_ANY) && in_prefix(peer, &net, a->prefix_len))
			return &a->addr;
		if (!on_port && (a->port == port || a->port == NPP_PORT_ANY))
			on_port = &a->addr;
		if (!any)
			any = &a->addr;
	}
	return on_port ? on_port : any;
}

static uint16_t port_mtu(struct stack *s, uint8_t port)
{
	uint16_t mtu = s->env->global->port[port].mtu;

	return mtu >= 68 ? mtu : 1500;
}

static void path_group(struct ip_path *p, enum ip_dst_kind kind)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	p->valid = IP_PATH_GROUP;
	p->have_mac = 1;
	p->via = 0;
	memcpy(p->mac, all, 6);
	if (kind == IP_DST_MULTICAST && npp_addr_is_v4(&p->dst)) { /* RFC 1112, 6.4 */
		const uint8_t m[6] = { 0x01, 0x00, 0x5e, p->dst.b[13] & 0x7f, p->dst.b[14], p->dst.b[15] };

		memcpy(p->mac, m, 6);
	} else if (kind == IP_DST_MULTICAST) { /* RFC 2464, 7 */
		p->mac[0] = p->mac[1] = 0x33;
		memcpy(p->mac + 2, p->dst.b + 12, 4);
	}
}

/* Fills next hop, port, MTU and kind of P from the routes. */
static int path_route(struct stack *s, struct ip_path *p)
{
	const struct ip_net *n = &s->ip->net;
	enum ip_dst_kind kind = route_dst_kind(s, &p->dst);
	const struct npp_route *r;

	p->have_mac = 0;
	p->valid = IP_PATH_NONE;
	if (npp_addr_is_any(&p->dst))
		return -ENETUNREACH;
	if (kind == IP_DST_LOCAL) {
		p->valid = IP_PATH_LOCAL;
		p->have_mac = 1;
		p->via = 0;
		p->port = 0;
		p->heard = 0;
		p->mtu = 65535;
		return 0;
	}
	r = route_find(n, &p->dst, p->heard);
	if (!r && kind == IP_DST_OTHER)
		return -ENETUNREACH;
	if (r && kind == IP_DST_OTHER)
		r = route_alive(s, r, &p->dst);
	p->port = r ? r->port : (uint8_t)__builtin_ctz(ip_ports(n));
	p->mtu = r && r->mtu ? r->mtu : port_mtu(s, p->port);
	if (!npp_addr_is_v4(&p->dst)) {
		uint16_t ra = NPP_RA6_MTU(atomic_load_explicit(&s->env->global->port[p->port].ra6, memory_order_relaxed));

		if (ra >= IP6_MTU_MIN && ra < p->mtu) /* RFC 4861, 6.3.4 */
			p->mtu = ra;
	}
	if (kind != IP_DST_OTHER) {
		path_group(p, kind);
		return 0;
	}
	p->via = npp_addr_is_any(&r->via) ? 0 : (r - n->route + 1) & 0xfff;
	p->valid = IP_PATH_UNICAST;
	return 0;
}

uint16_t ip_link_mtu(struct stack *s, const struct ip_path *p)
{
	struct ip_path fresh = { .dst = p->dst, .heard = p->heard };

	return path_route(s, &fresh) == 0 ? fresh.mtu : p->mtu;
}

/* What the shared cache knows: the path MTU to the destination, for ten minutes (RFC 1191, 6.3),
 * and the Ethernet address of the next hop. */
static void path_cache(struct stack *s, struct ip_path *p)
{
	uint32_t fresh = neigh_fresh_us(s, &p->dst, p->port);
	struct neigh_view v;
	bool known = neigh_lookup(s, &p->dst, p->port, &v);

	if (known && v.pmtu >= ip_min_pmtu(&p->dst) && v.pmtu < p->mtu && s->now_us - v.pmtu_us < 600000000u)
		p->mtu = v.pmtu;
	if (!npp_addr_eq(&p->dst, ip_next_hop(s, p)))
		known = neigh_lookup(s, ip_next_hop(s, p), p->port, &v);
	if (!known || (v.state != NPP_NEIGH_REACHABLE && v.state != NPP_NEIGH_STALE))
		return;
	memcpy(p->mac, v.mac, 6);
	p->have_mac = 1;
	/* In use and not heard of for long: ask, at different times on different IOPs. */
	if ((int64_t)(s->now_us - v.updated_us) > (int64_t)fresh + s->cfg.iop * (fresh / NPP_MAX_IOPS))
		neigh_reconfirm(s, ip_next_hop(s, p), p->port);
	/* What waited for this neighbour goes first. */
	if (s->ip->n_frames_free < NEIGH_FRAMES)
		neigh_wait_run(s);
}

/* Seconds after which the neighbour's age is looked at again. */
static uint32_t path_look_s(const struct stack *s, const struct ip_path *p)
{
	uint32_t third = neigh_fresh_us(s, &p->dst, p->port) / 3000000;

	return third > 10 ? 10 : third ? third : 1;
}

int ip_path_refresh(struct stack *s, struct ip_path *p)
{
	int err;

	if (s->env->neigh)
		p->neigh_changes = atomic_load_explicit(&s->env->neigh->changes, memory_order_acquire); /* pairs with neigh_end() */
	route_sync(s);
	err = path_route(s, p);
	if (err)
		return err;
	p->net_seq = s->ip->net.seq;
	p->check_s = ip_now_s(s) + path_look_s(s, p);
	if (p->valid != IP_PATH_UNICAST)
		return 0;
	path_cache(s, p);
	return 0;
}

static const union npp_addr *path_source(struct stack *s, const struct ip_path *p)
{
	const union npp_addr *pick = NULL;

	if (p->valid == IP_PATH_LOCAL)
		return &p->dst;
	if (p->via)
		pick = source_anywhere(&s->ip->net, &p->dst);
	return pick ? pick : route_source(s, npp_addr_is_v4(&p->dst) ? ip_next_hop(s, p) : &p->dst, p->port);
}

int ip_path_init(struct stack *s, struct ip_path *p, const union npp_addr *src, const union npp_addr *dst)
{
	return ip_path_answer(s, p, src, dst, NPP_PORT_ANY);
}

int ip_path_answer(struct stack *s, struct ip_path *p, const union npp_addr *src, const union npp_addr *dst,
		   uint8_t port)
{
	const union npp_addr *pick;
	int err;

	*p = (struct ip_path){ .dst = *dst };
	if (port < NPP_MAX_PORTS && s->ip->net.n_ports > 1)
		p->heard = (port + 1u) & 7;
	p->confirm_s = ip_now_s(s) - 1000;
	err = ip_path_refresh(s, p);
	if (err)
		return err;
	if (!npp_addr_is_any(src)) {
		if (!ip_is_local(s, src))
			return -EADDRNOTAVAIL;
		p->src = *src;
	} else {
		pick = path_source(s, p);
		if (!pick)
			return -ENETUNREACH;
		p->src = *pick;
	}
	if (npp_addr_is_v4(&p->src) != npp_addr_is_v4(&p->dst))
		return -EADDRNOTAVAIL;
	p->id_slot = (uint8_t)npp_siphash(s->cfg.hash_key, (const union npp_addr[2]){ p->src, p->dst },
					  2 * sizeof p->src);
	return 0;
}

void ip_pmtu(struct stack *s, struct ip_path *p, uint32_t mtu)
{
	struct npp_ipc_neigh n = { .addr = p->dst, .port = p->port, .from = (uint8_t)s->cfg.iop };
	struct npp_frame_rec rec = { .len = sizeof n, .kind = NPP_REC_PMTU, .port = p->port };

	if (p->valid != IP_PATH_UNICAST || mtu >= p->mtu)
		return;
	if (mtu < ip_min_pmtu(&p->dst))
		mtu = ip_min_pmtu(&p->dst);
	if (mtu >= p->mtu)
		return;
	p->mtu = (uint16_t)mtu;
	n.pmtu = mtu;
	if (s->env->neigh_rw)
		neigh_set_pmtu(s, &p->dst, p->port, (uint16_t)mtu);
	else
		s->env->ops->ipc(s->env->arg, atomic_load_explicit(&s->env->global->link_iop, memory_order_relaxed),
				 NPP_REC_PMTU, &rec, &n, sizeof n);
}

void ip_confirm(struct stack *s, struct ip_path *p)
{
	struct npp_ipc_neigh n;
	struct npp_frame_rec rec = { .len = sizeof n, .kind = NPP_REC_CONFIRM, .port = p->port };
	struct neigh_view v;
	uint32_t now = ip_now_s(s);

	if (p->valid != IP_PATH_UNICAST || !p->have_mac || now - p->confirm_s < path_look_s(s, p))
		return;
	p->confirm_s = now;
	if (!neigh_lookup(s, ip_next_hop(s, p), p->port, &v) || s->now_us - v.updated_us < neigh_fresh_us(s, &p->dst, p->port) / 2 ||
	    memcmp(v.mac, p->mac, 6) != 0)
		return;
	n = (struct npp_ipc_neigh){ .addr = *ip_next_hop(s, p), .port = p->port, .from = (uint8_t)s->cfg.iop };
	memcpy(n.mac, p->mac, 6);
	if (s->env->neigh_rw)
		neigh_ipc_input(s, NPP_REC_CONFIRM, &n);
	else
		s->env->ops->ipc(s->env->arg, atomic_load_explicit(&s->env->global->link_iop, memory_order_relaxed),
				 NPP_REC_CONFIRM, &rec, &n, sizeof n);
}
