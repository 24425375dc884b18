/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip6_ext.c - IPv6 extension headers (RFC 8200, 4), within bounds
 *
 * First a walk that looks at lengths only, notes where each header stands and finds out what the packet
 * carries, then the options are obeyed: an error message about one must know whether the packet is itself an
 * error. Lengths are read once, for the packet may lie where others write. Headers, their bytes and the options in each are limited (RFC 8504, 5.3).
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define OPT_PAD1 0

static bool is_ext(uint8_t proto)
{
	return proto == IP_PROTO_HOPOPTS || proto == IP_PROTO_ROUTING || proto == IP_PROTO_DSTOPTS ||
	       proto == IP_PROTO_FRAGMENT;
}

static uint32_t be32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The fragment header at w->off; true: the walk ends here. */
static bool walk_fragment(const uint8_t *h, struct ip6_walk *w)
{
	uint32_t field = (uint32_t)h[2] << 8 | h[3];

	w->frag_off = field & ~7u;
	w->more = field & 1;
	w->frag_id = be32_at(h + 4);
	w->fragment = w->frag_off || w->more; /* else atomic, and whole (RFC 6946) */
	return w->fragment;
}

bool ip6_walk(const uint8_t *ip, uint32_t at, uint32_t end, uint8_t proto, uint32_t proto_off,
	      struct ip6_walk *w)
{
	w->proto = proto;
	w->fragment = w->more = false;
	w->off = at;
	w->proto_off = proto_off;
	w->frag_off = w->frag_id = 0;
	w->n_ext = 0; /* not all of ext[], which most packets do not need */
	while (is_ext(w->proto)) {
		const uint8_t *h = ip + w->off;
		uint32_t len, left = end - w->off;
		bool last = false;

		/* Hop-by-hop options stand first or not at all (RFC 8200, 4.1). */
		if (w->n_ext == IP6_EXT_HEADERS || left < 8 ||
		    (w->proto == IP_PROTO_HOPOPTS && w->proto_off != offsetof(struct ip6_hdr_w, next)))
			return false;
		len = w->proto == IP_PROTO_FRAGMENT ? 8 : (h[1] + 1u) * 8;
		if (len > left || w->off + len - at > IP6_EXT_BYTES)
			return false;
		if (w->proto == IP_PROTO_FRAGMENT)
			last = walk_fragment(h, w);
		w->ext[w->n_ext++] = (struct ip6_ext){ .at = (uint16_t)w->off, .len = (uint16_t)len, .proto = w->proto };
		w->proto = h[0];
		w->proto_off = w->off;
		w->off += len;
		if (last)
			return true;
	}
	return true;
}

/* An option that we do not know, at offset AT of the packet; its number says what to do (RFC
 * 8200, 4.2). True: skip it. */
static bool unknown_option(struct stack *s, const struct pkt *pkt, uint8_t type, uint32_t at)
{
	if (type >> 6 == 0)
		return true;
	STAT_INC(s, IS_DROP_IP_OPTIONS);
	if (type >> 6 == 2 || (type >> 6 == 3 && pkt->dst.b[0] != 0xff))
		icmp6_error(s, pkt, ICMP6_PARAM, 2, htonl(at), true);
	return false;
}

/* Options in the header of LEN bytes at offset AT. */
static bool options(struct stack *s, const struct pkt *pkt, uint32_t at, uint32_t len)
{
	const uint8_t *o = pkt->ip + at;
	uint32_t i = 2;

	for (unsigned n = 0; i < len; n++) {
		uint32_t size = o[i] == OPT_PAD1 ? 1 : i + 1 < len ? o[i + 1] + 2u : 0;

		if (n == IP6_EXT_OPTIONS || size == 0 || size > len - i) {
			STAT_INC(s, IS_DROP_IP_OPTIONS);
			return false;
		}
		/* Padding (1) and router alert (5) have no meaning here, and are of the kind to skip. */
		if (o[i] != OPT_PAD1 && !unknown_option(s, pkt, o[i], at + i))
			return false;
		i += size;
	}
	return true;
}

bool ip6_options(struct stack *s, const struct pkt *pkt, const struct ip6_walk *w)
{
	for (unsigned i = 0; i < w->n_ext; i++) {
		const struct ip6_ext *e = &w->ext[i];

		if ((e->proto == IP_PROTO_HOPOPTS || e->proto == IP_PROTO_DSTOPTS) && !options(s, pkt, e->at, e->len))
			return false;
		if (e->proto == IP_PROTO_ROUTING && pkt->ip[e->at + 3] != 0) { /* we are nobody's way station (RFC 5095) */
			STAT_INC(s, IS_DROP_IP_OPTIONS);
			icmp6_error(s, pkt, ICMP6_PARAM, 0, htonl(e->at + 2u), false);
			return false;
		}
	}
	return true;
}
