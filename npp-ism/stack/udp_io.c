/* SPDX-License-Identifier: GPL-2.0-or-later
 * udp_io.c - UDP datagrams in and out (RFC 768, RFC 1122 4.1)
 */
#include "config.h"

#include "npp-ism/stack/udp_priv.h"

/* ---- in ---------------------------------------------------------------------------------- */

/* More than one datagram in one frame (the port may join them): one by one, or as one with the size
 * of a segment, which the user passes on to who wants it so. */
static void deliver(struct stack *s, struct udp_ep *ep, const struct pkt *pkt, uint32_t ulen)
{
	const struct udp_hdr *h = (const struct udp_hdr *)pkt->l4;
	struct npp_dgram d = { .len = ulen - (uint32_t)sizeof *h, .port = ntohs(h->sport), .tos = pkt->tos,
			       .ttl = pkt->ttl, .seq = pkt->rx_us ? pkt->rx_us : (uint32_t)s->now_us,
			       .addr = pkt->src };

	if (pkt->gso_size && d.len > pkt->gso_size)
		d.flags = NPP_DGRAM_SEG_FLAGS(pkt->gso_size);
	if (s->ip->net.n_ports > 1)
		d.flags |= NPP_DGRAM_PORT_FLAGS(pkt->port + 1u);
	STAT_INC(s, IS_UDP_IN);
	s->env->ops->udp_input(s->env->arg, &ep->pub, &d, &pkt->dst, h + 1);
}

/* To each endpoint of a chain that wants it (G: a group). Returns how many. */
static unsigned deliver_chain(struct stack *s, struct udp_ep *ep, const struct pkt *pkt, uint32_t ulen,
			      const struct mc_group *g)
{
	unsigned n = 0;

	for (; ep; ep = udp_next(s, ep)) {
		if (g && !mc_wanted(s, &ep->pub, ep->mc_first, g, &pkt->src))
			continue;
		deliver(s, ep, pkt, ulen);
		n++;
	}
	return n;
}

/* To a broadcast or multicast address: every endpoint bound to that address, and every wildcard one;
 * of a group, those that have joined. Each IOP has a replica of every socket, so a copy for each of
 * them is made here. Returns how many. */
static unsigned deliver_group(struct stack *s, const struct pkt *pkt, uint32_t ulen)
{
	static const union npp_addr any;
	const struct udp_hdr *h = (const struct udp_hdr *)pkt->l4;
	uint16_t lport = ntohs(h->dport), rport = ntohs(h->sport);
	const struct mc_group *g = NULL;
	unsigned n;

	if (npp_addr_is_multicast(&pkt->dst)) {
		g = mc_group_find(s, &pkt->dst);
		if (!g)
			return 0;
	}
	n = deliver_chain(s, udp_first(s, &pkt->dst, lport, &any, 0), pkt, ulen, g);
	n += deliver_chain(s, udp_first(s, &pkt->dst, lport, &pkt->src, rport), pkt, ulen, g);
	n += deliver_chain(s, udp_first_any(s, npp_addr_is_v4(&pkt->dst) ? UDP_ANY4 : UDP_ANY6, lport), pkt, ulen, g);
	return n + deliver_chain(s, udp_first_any(s, UDP_ANY_BOTH, lport), pkt, ulen, g);
}

/* Length of the datagram as its header says, 0: it lies. */
static uint32_t udp_length(const struct pkt *pkt)
{
	const struct udp_hdr *h = (const struct udp_hdr *)pkt->l4;
	uint32_t ulen;

	if (pkt->l4_len < sizeof *h)
		return 0;
	ulen = ntohs(h->len);
	return ulen >= sizeof *h && ulen <= pkt->l4_len && h->dport ? ulen : 0;
}

void udp_input(struct stack *s, const struct pkt *pkt)
{
	const struct udp_hdr *h = (const struct udp_hdr *)pkt->l4;
	uint32_t ulen = udp_length(pkt);
	struct udp_ep *ep;
	struct pkt cut;

	if (!ulen) {
		STAT_INC(s, IS_DROP_UDP_HEADER);
		return;
	}
	cut = *pkt;
	cut.l4_len = ulen;
	if (h->csum == 0 ? !npp_addr_is_v4(&pkt->src) : !ip_l4_csum_ok(&cut)) {
		STAT_INC(s, IS_DROP_CSUM);
		return;
	}
	if (pkt->l2_bcast) {
		if (deliver_group(s, pkt, ulen))
			return;
		if (npp_addr_is_multicast(&pkt->dst))
			STAT_INC(s, IS_DROP_GROUP);
		else
			STAT_INC(s, IS_DROP_UDP_NO_PORT);
		return;
	}
	ep = udp_lookup(s, &pkt->dst, ntohs(h->dport), &pkt->src, ntohs(h->sport));
	if (ep) {
		if (ep->path.heard != pkt->port + 1u && npp_addr_eq(&ep->path.dst, &pkt->src))
			ip_heard(&ep->path, pkt->port);
		deliver(s, ep, pkt, ulen);
		return;
	}
	STAT_INC(s, IS_DROP_UDP_NO_PORT);
	ip_send_unreachable(s, pkt, 3);
}

static void tell_error(struct stack *s, struct udp_ep *ep, const struct npp_flow_key *key, struct stack_udp_error *e)
{
	e->addr = key->src;
	e->port = ntohs(key->sport);
	s->env->ops->udp_error(s->env->arg, &ep->pub, e);
}

/* Is it about something that EP has sent (RFC 1122, 4.1.3.3), as far as can be told? Over IPv4 routers cut what
 * they may: then it is about what they must not cut. */
static bool may_be_ours(const struct udp_ep *ep, const union npp_addr *peer, uint32_t bytes)
{
	if (npp_addr_is_v4(peer) && bytes > ep->whole_max)
		return false;
	/* Its peer, or where its last datagram went. */
	return !npp_addr_is_any(&ep->pub.raddr) ||
	       (ep->path.valid != IP_PATH_NONE && npp_addr_eq(&ep->path.dst, peer));
}

bool udp_too_big(struct stack *s, const struct npp_flow_key *key, uint32_t bytes, struct stack_udp_error *e)
{
	struct udp_ep *ep = udp_lookup(s, &key->dst, ntohs(key->dport), &key->src, ntohs(key->sport));
	struct ip_path p;

	if (!ep || !may_be_ours(ep, &key->src, bytes))
		return false;
	if (e->mtu < ip_min_pmtu(&key->src)) /* as ip_pmtu() has it */
		e->mtu = ip_min_pmtu(&key->src);
	if (!ep->link_mtu && ip_path_init(s, &p, &key->dst, &key->src) == 0)
		ip_pmtu(s, &p, e->mtu);
	tell_error(s, ep, key, e);
	return true;
}

void udp_icmp_error(struct stack *s, const struct npp_flow_key *key, struct stack_udp_error *e)
{
	struct udp_ep *ep = udp_lookup(s, &key->dst, ntohs(key->dport), &key->src, ntohs(key->sport));

	if (!ep) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	tell_error(s, ep, key, e);
}

/* ---- out --------------------------------------------------------------------------------- */

/* The address of our own that EP sends from; any: the route decides. */
static const union npp_addr *send_source(struct stack *s, const struct udp_ep *ep)
{
	static const union npp_addr any;

	return ip_is_local(s, &ep->pub.laddr) ? &ep->pub.laddr : &any;
}

/* FLAGS of the datagram: they may name the network port that the user has heard DST on, or that DST is at. */
static int send_path(struct stack *s, struct udp_ep *ep, const union npp_addr *dst, const union npp_addr *src,
		     uint32_t flags)
{
	uint32_t by = NPP_DGRAM_PORT(flags);
	uint8_t port;
	int err = 0;

	if (by && by <= s->ip->net.n_ports && npp_addr_eq(&ep->path.dst, dst))
		ip_heard(&ep->path, (uint8_t)(by - 1));
	else if (npp_addr_eq(&ep->path.dst, dst))
		by = ep->path.heard;
	port = by && by <= s->ip->net.n_ports ? (uint8_t)(by - 1) : NPP_PORT_ANY;
	if (!src)
		src = send_source(s, ep);
	if (ep->path.valid == IP_PATH_NONE || !npp_addr_eq(&ep->path.dst, dst) ||
	    ep->path.net_seq != s->ip->net.seq ||
	    (npp_addr_is_any(src) ? ep->src_given : !npp_addr_eq(src, &ep->path.src))) {
		err = ip_path_answer(s, &ep->path, src, dst, port);
		ep->src_given = !err && !npp_addr_is_any(src);
		if (err) {
			ep->path.valid = IP_PATH_NONE;
			STAT_INC(s, IS_DROP_NO_ROUTE);
			return err;
		}
	}
	if (ep->path.valid == IP_PATH_GROUP && !(flags & NPP_DGRAM_BCAST) &&
	    route_dst_kind(s, dst) == IP_DST_BROADCAST)
		err = -EACCES;
	return err;
}

static int take_payload(struct stack_tx *tx, const struct npp_dgram *d, const union npp_addr *dst,
			const struct stack_slice *slices, unsigned n_slices)
{
	uint32_t sum = 0;

	if (d->len > (npp_addr_is_v4(dst) ? UDP_MAX_PAYLOAD4 : UDP_MAX_PAYLOAD6))
		return -EMSGSIZE;
	if (n_slices > STACK_SLICES)
		return -EINVAL;
	for (unsigned i = 0; i < n_slices; i++) {
		if (slices[i].len > d->len - sum)
			return -EINVAL;
		sum += slices[i].len;
		tx->slice[i] = slices[i];
	}
	tx->n_slices = n_slices;
	tx->payload_len = d->len;
	return sum == d->len ? 0 : -EINVAL;
}

uint32_t stack_udp_mtu(struct stack *s, const struct udp_endpoint *pub)
{
	const struct udp_ep *ep = (const struct udp_ep *)pub;
	struct ip_path p;

	if (npp_addr_is_any(&pub->raddr))
		return ep->path.valid == IP_PATH_NONE ? 0 : ep->path.mtu;
	if (ip_path_init(s, &p, &pub->laddr, &pub->raddr) != 0)
		return 0;
	return p.mtu;
}

struct udp_out { uint16_t sport, dport; uint8_t tos, ttl; uint32_t flags; };

/* To the network: by the path's MTU or the link's, in fragments or not, as the flags say (ip(7), IP_MTU_DISCOVER). */
static int send_out(struct stack *s, struct udp_ep *ep, const struct udp_out *o, struct stack_tx *tx)
{
	struct ip_path *p = &ep->path;
	uint32_t unit = tx->gso_size && tx->gso_size < tx->payload_len ? tx->gso_size : tx->payload_len;
	uint32_t size = (npp_addr_is_v4(&p->dst) ? IP4_HDR_MIN : IP6_HDR_LEN) + tx->l4_len + unit, most;
	bool df = o->flags & NPP_DGRAM_DF, whole = o->flags & NPP_DGRAM_WHOLE;
	uint16_t path;
	int err;

	if (!(o->flags & (NPP_DGRAM_WHOLE | NPP_DGRAM_LINK)) || (!ip_path_fresh(s, p) && ip_path_refresh(s, p) != 0) ||
	    p->valid == IP_PATH_LOCAL)
		return ip_output(s, p, IP_PROTO_UDP, o->tos, o->ttl, df, tx);
	path = p->mtu;
	most = o->flags & NPP_DGRAM_LINK ? ip_link_mtu(s, p) : path;
	if (whole && size > most)
		return -EMSGSIZE;
	if (whole && size > ep->whole_max)
		ep->whole_max = (uint16_t)size;
	ep->link_mtu = (o->flags & NPP_DGRAM_LINK) != 0;
	p->mtu = (uint16_t)most;
	err = ip_output(s, p, IP_PROTO_UDP, o->tos, o->ttl, df, tx);
	p->mtu = path;
	return err;
}

/* TX has its payload; to the network, and what is sent to a group to members here as well. */
static int send_tx(struct stack *s, struct udp_ep *ep, const struct udp_out *o, struct stack_tx *tx)
{
	struct udp_hdr *h = (struct udp_hdr *)(tx->head + STACK_L4_OFF);
	bool group = ep->path.valid == IP_PATH_GROUP && npp_addr_is_multicast(&ep->path.dst);
	int err = 0;

	tx->l4_len = sizeof *h;
	tx->csum_off = offsetof(struct udp_hdr, csum);
	*h = (struct udp_hdr){ .sport = htons(o->sport), .dport = htons(o->dport),
			       .len = htons((uint16_t)(sizeof *h + tx->payload_len)) };
	STAT_INC(s, IS_UDP_OUT);
	if (!group || !(o->flags & NPP_DGRAM_HOPS0))
		err = send_out(s, ep, o, tx);
	if (group && !(o->flags & NPP_DGRAM_NOLOOP) && mc_group_find(s, &ep->path.dst)) {
		STAT_INC(s, IS_MC_LOOPED);
		tx->gso_size = 0;
		ip_loop_back(s, &ep->path, IP_PROTO_UDP, o->tos, o->ttl ? o->ttl : 1, tx);
	}
	return err;
}

#define SEGMENTS_MAX 128 /* as Linux has it */

/* May the port cut datagrams of SIZE bytes out of one frame? */
static bool port_cuts(struct stack *s, const struct udp_ep *ep, uint32_t size)
{
	uint32_t head = (npp_addr_is_v4(&ep->path.dst) ? IP4_HDR_MIN : IP6_HDR_LEN) + (uint32_t)sizeof(struct udp_hdr);

	return ep->path.valid == IP_PATH_UNICAST && ip_path_fresh(s, &ep->path) && size + head <= ep->path.mtu;
}

/* Datagrams of SIZE bytes out of one piece: the port cuts them if it can, else we do. */
static int send_segments(struct stack *s, struct udp_ep *ep, const struct udp_out *o, struct stack_tx *whole,
			 uint32_t size)
{
	const struct stack_slice *all = whole->slice;
	int err = 0;

	if (all->len > size * SEGMENTS_MAX)
		return -EINVAL;
	if (port_cuts(s, ep, size)) {
		whole->gso_size = (uint16_t)size;
		STAT_ADD(s, IS_UDP_OUT, (all->len - 1) / size);
		return send_tx(s, ep, o, whole);
	}
	for (uint32_t at = 0; at < all->len && !err; at += size) {
		struct stack_tx tx;

		memset(&tx, 0, offsetof(struct stack_tx, slice));
		tx.payload_len = all->len - at < size ? all->len - at : size;
		tx.n_slices = 1;
		tx.slice[0] = (struct stack_slice){ (const uint8_t *)all->data + at, tx.payload_len };
		err = send_tx(s, ep, o, &tx);
	}
	return err;
}

int stack_udp_send_from(struct stack *s, struct udp_endpoint *pub, const struct npp_dgram *d,
			const union npp_addr *src, const struct stack_slice *slices, unsigned n_slices)
{
	struct udp_ep *ep = (struct udp_ep *)pub;
	bool to_peer = npp_addr_is_any(&d->addr) && !npp_addr_is_any(&pub->raddr);
	const union npp_addr *dst = to_peer ? &pub->raddr : &d->addr;
	struct udp_out o = { .sport = pub->lport, .dport = to_peer ? pub->rport : d->port, .tos = d->tos,
			     .ttl = d->ttl, .flags = d->flags };
	uint32_t segment = NPP_DGRAM_SEG(d->flags);
	struct stack_tx tx;
	int err;

	memset(&tx, 0, offsetof(struct stack_tx, slice));
	err = take_payload(&tx, d, dst, slices, n_slices);
	if (!err && (!o.dport || !o.sport))
		err = -EINVAL;
	if (!err)
		err = send_path(s, ep, dst, src, d->flags);
	if (err)
		return err;
	if (!o.ttl && npp_addr_is_multicast(dst))
		o.ttl = 1;
	if (segment && d->len > segment && n_slices == 1)
		return send_segments(s, ep, &o, &tx, segment);
	return send_tx(s, ep, &o, &tx);
}

int stack_udp_send(struct stack *s, struct udp_endpoint *ep, const struct npp_dgram *d,
		   const struct stack_slice *slices, unsigned n_slices)
{
	return stack_udp_send_from(s, ep, d, NULL, slices, n_slices);
}
