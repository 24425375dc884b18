/* SPDX-License-Identifier: GPL-2.0-or-later
 * udp_io.c - UDP datagrams in and out (RFC 768, RFC 1122 4.1)
 */
#include "config.h"

#include "npp-ism/stack/udp_priv.h"

/* ---- in ---------------------------------------------------------------------------------- */

static void deliver(struct stack *s, struct udp_ep *ep, const struct pkt *pkt, uint32_t ulen)
{
	const struct udp_hdr *h = (const struct udp_hdr *)pkt->l4;
	struct npp_dgram d = { .len = ulen - (uint32_t)sizeof *h, .port = ntohs(h->sport), .tos = pkt->tos,
			       .ttl = pkt->ttl, .seq = pkt->rx_us ? pkt->rx_us : (uint32_t)s->now_us,
			       .addr = pkt->src };

	STAT_INC(s, IS_UDP_IN);
	s->env->ops->udp_input(s->env->arg, &ep->pub, &d, h + 1);
}

/* To a broadcast or multicast address: every endpoint bound to that address, and for a
 * broadcast every wildcard one. Returns how many. */
static unsigned deliver_group(struct stack *s, const struct pkt *pkt, uint32_t ulen)
{
	static const union npp_addr any;
	const struct udp_hdr *h = (const struct udp_hdr *)pkt->l4;
	uint16_t lport = ntohs(h->dport);
	struct udp_ep *ep;
	unsigned n = 0;

	for (ep = udp_first(s, &pkt->dst, lport, &any, 0); ep; ep = udp_next(s, ep), n++)
		deliver(s, ep, pkt, ulen);
	if (route_dst_kind(s, &pkt->dst) != IP_DST_BROADCAST)
		return n;
	for (ep = udp_first_any(s, UDP_ANY4, lport); ep; ep = udp_next(s, ep), n++)
		deliver(s, ep, pkt, ulen);
	for (ep = udp_first_any(s, UDP_ANY_BOTH, lport); ep; ep = udp_next(s, ep), n++)
		deliver(s, ep, pkt, ulen);
	return n;
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
		if (!deliver_group(s, pkt, ulen))
			STAT_INC(s, IS_DROP_UDP_NO_PORT);
		return;
	}
	ep = udp_lookup(s, &pkt->dst, ntohs(h->dport), &pkt->src, ntohs(h->sport));
	if (ep) {
		deliver(s, ep, pkt, ulen);
		return;
	}
	STAT_INC(s, IS_DROP_UDP_NO_PORT);
	ip_send_unreachable(s, pkt, 3);
}

/* Only who is connected can know whom an error is about (RFC 1122, 4.1.3.3). */
bool udp_too_big(struct stack *s, const struct npp_flow_key *key, uint32_t mtu)
{
	struct udp_ep *ep = udp_lookup(s, &key->dst, ntohs(key->dport), &key->src, ntohs(key->sport));
	struct ip_path p;

	/* Its peer, or where its last datagram went. */
	if (!ep || (npp_addr_is_any(&ep->pub.raddr) &&
		    (ep->path.valid == IP_PATH_NONE || !npp_addr_eq(&ep->path.dst, &key->src))))
		return false;
	if (ip_path_init(s, &p, &key->dst, &key->src) == 0)
		ip_pmtu(s, &p, mtu);
	return true;
}

void udp_icmp_error(struct stack *s, const struct npp_flow_key *key, int err, bool hard)
{
	struct udp_ep *ep = udp_first(s, &key->dst, ntohs(key->dport), &key->src, ntohs(key->sport));

	if (!ep) {
		STAT_INC(s, IS_DROP_ICMP);
		return;
	}
	if (hard)
		s->env->ops->udp_error(s->env->arg, &ep->pub, err);
}

/* ---- out --------------------------------------------------------------------------------- */

/* The address of our own that EP sends from; any: the route decides. */
static const union npp_addr *send_source(struct stack *s, const struct udp_ep *ep)
{
	static const union npp_addr any;

	return ip_is_local(s, &ep->pub.laddr) ? &ep->pub.laddr : &any;
}

static int send_path(struct stack *s, struct udp_ep *ep, const union npp_addr *dst, uint32_t flags)
{
	int err = 0;

	if (ep->path.valid == IP_PATH_NONE || !npp_addr_eq(&ep->path.dst, dst) ||
	    ep->path.net_seq != s->ip->net.seq) {
		err = ip_path_init(s, &ep->path, send_source(s, ep), dst);
		if (err) {
			ep->path.valid = IP_PATH_NONE;
			STAT_INC(s, IS_DROP_NO_ROUTE);
			return err;
		}
	}
	if (ep->path.valid == IP_PATH_GROUP && !(flags & NPP_OPT_BROADCAST) &&
	    route_dst_kind(s, dst) == IP_DST_BROADCAST)
		err = -EACCES;
	return err;
}

static int take_payload(struct stack_tx *tx, const struct npp_dgram *d, const struct stack_slice *slices,
			unsigned n_slices)
{
	uint32_t sum = 0;

	if (d->len > UDP_MAX_PAYLOAD)
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

int stack_udp_send(struct stack *s, struct udp_endpoint *pub, const struct npp_dgram *d,
		   const struct stack_slice *slices, unsigned n_slices, uint32_t flags)
{
	struct udp_ep *ep = (struct udp_ep *)pub;
	bool to_peer = npp_addr_is_any(&d->addr) && !npp_addr_is_any(&pub->raddr);
	const union npp_addr *dst = to_peer ? &pub->raddr : &d->addr;
	uint16_t dport = to_peer ? pub->rport : d->port;
	struct stack_tx tx;
	struct udp_hdr *h;
	uint8_t ttl;
	int err;

	memset(&tx, 0, offsetof(struct stack_tx, slice));
	err = take_payload(&tx, d, slices, n_slices);
	if (!err && (!dport || !pub->lport))
		err = -EINVAL;
	if (!err)
		err = send_path(s, ep, dst, flags);
	if (err)
		return err;
	tx.l4_len = sizeof *h;
	tx.csum_off = offsetof(struct udp_hdr, csum);
	h = (struct udp_hdr *)(tx.head + STACK_L4_OFF);
	h->sport = htons(pub->lport);
	h->dport = htons(dport);
	h->len = htons((uint16_t)(sizeof *h + d->len));
	ttl = d->ttl ? d->ttl : route_dst_kind(s, dst) == IP_DST_MULTICAST ? 1 : IP_TTL_DEFAULT;
	STAT_INC(s, IS_UDP_OUT);
	return ip_output(s, &ep->path, IP_PROTO_UDP, d->tos, ttl, false, &tx);
}
