/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip6_rig.c - two stacks of one NPP in an IPv6 network, and frames for them made by hand
 */
#include "config.h"

#include "tests/unit/stack/ip6_rig.h"
#include "tests/unit/suite.h"

struct rig *r;
struct rig_pkt p;

union npp_addr v6_addr(const char *text)
{
	union npp_addr a;

	ck_assert_int_eq(npp_addr_parse(text, &a), 0);
	return a;
}

static void bind_all(void)
{
	for (unsigned i = 0; i < r->n; i++) {
		struct udp_endpoint t = { .lport = PORT };
		int err;

		ck_assert_ptr_nonnull(stack_udp_bind(r->node[i].s, &t, &err));
	}
}

static void add_addr(const char *text)
{
	struct npp_global *g = r->g;

	g->addr[g->n_addrs++] = (struct npp_if_addr){ .addr = v6_addr(text), .prefix_len = 64, .port = 0 };
}

void v6_setup(void)
{
	r = rig_new(2);
	add_addr(US);
	add_addr(LOCAL);
	r->g->route[r->g->n_routes++] = (struct npp_route){ .via = v6_addr("fe80::fe") };
	atomic_store(&r->g->net_seq, 4);
	rig_advance(r, 4000000); /* announcements */
	rig_forget(r);
	bind_all();
}
void v6_teardown(void) { rig_free(r); }


static const uint8_t *v6_mac_for(const char *dst, uint8_t *buf)
{
	union npp_addr a = v6_addr(dst);

	if (a.b[0] != 0xff)
		return rig_mac;
	buf[0] = buf[1] = 0x33;
	memcpy(buf + 2, a.b + 12, 4);
	return buf;
}

void v6_begin(const char *src, const char *dst, uint8_t next)
{
	struct ip6_hdr_w h = { .vtf = htonl(6u << 28), .next = next, .hops = 255 };
	union npp_addr s = v6_addr(src), d = v6_addr(dst);
	uint8_t mac[6];

	rig_eth(&p, v6_mac_for(dst, mac), rig_peer_mac, ETH_P_IP6);
	memcpy(h.src, s.b, 16);
	memcpy(h.dst, d.b, 16);
	rig_put(&p, &h, sizeof h);
	p.l4 = p.len;
}

void v6_length(void)
{
	uint16_t n = htons((uint16_t)(p.len - 54));

	memcpy(p.b + 14 + 4, &n, 2);
}

/* The transport header begins at p.l4 and is of PROTO. */
void v6_finish(uint8_t proto, unsigned csum_off)
{
	const struct ip6_hdr_w *h = (const struct ip6_hdr_w *)(p.b + 14);
	union npp_addr s, d;
	uint16_t sum;

	v6_length();
	memcpy(s.b, h->src, 16);
	memcpy(d.b, h->dst, 16);
	memset(p.b + p.l4 + csum_off, 0, 2);
	sum = npp_csum_finish(npp_csum_add(p.b + p.l4, p.len - p.l4, npp_csum_pseudo(&s, &d, proto, p.len - p.l4)));
	memcpy(p.b + p.l4 + csum_off, &sum, 2);
}

void v6_udp(uint16_t sport, uint16_t dport, uint32_t len)
{
	struct udp_hdr u = { htons(sport), htons(dport), htons((uint16_t)(8 + len)), 0 };

	p.l4 = p.len;
	rig_put(&p, &u, sizeof u);
	rig_put_pattern(&p, 0, len);
	v6_finish(17, 6);
}

void v6_icmp(uint8_t type, uint8_t code, uint32_t rest, const void *data, uint32_t len)
{
	struct icmp4_hdr h = { .type = type, .code = code, .rest = htonl(rest) };

	p.l4 = p.len;
	rig_put(&p, &h, sizeof h);
	rig_put(&p, data, len);
	v6_finish(58, 2);
}

/* Solicitation or advertisement with the option OPT (0: none). */
void v6_nd(const char *src, const char *dst, uint8_t type, uint32_t flags, const char *target, uint8_t opt,
	       const uint8_t *mac)
{
	uint8_t body[24] = { 0 };
	union npp_addr t = v6_addr(target);

	memcpy(body, t.b, 16);
	body[16] = opt;
	body[17] = 1;
	if (mac)
		memcpy(body + 18, mac, 6);
	v6_begin(src, dst, 58);
	v6_icmp(type, 0, flags, body, opt ? 24 : 16);
}

void v6_know_peer(void)
{
	v6_nd(PEER, "ff02::1:ff00:1", 135, 0, US, 1, rig_peer_mac);
	rig_in(r, 0, &p);
	rig_run(r);
	rig_forget(r);
}

/* The last frame, which is of protocol NEXT. */
const uint8_t *v6_sent(uint8_t next)
{
	const struct ip6_hdr_w *h;

	ck_assert_uint_gt(r->n_frames, 0);
	h = rig_ip6(rig_last(r));
	ck_assert_ptr_nonnull(h);
	ck_assert_uint_eq(h->next, next);
	return (const uint8_t *)(h + 1);
}

void v6_expect_drop(unsigned id)
{
	uint64_t before = rig_stat(r, 0, id);

	rig_in(r, 0, &p);
	ck_assert_uint_eq(rig_stat(r, 0, id), before + 1);
	ck_assert_uint_eq(r->n_dgrams, 0);
}

unsigned v6_arrived(void)
{
	for (unsigned i = 0; i < r->n; i++)
		rig_in(r, i, &p);
	rig_run(r);
	return r->n_dgrams;
}

void v6_ext(uint8_t next, uint8_t units, const void *body, uint32_t len)
{
	uint8_t h[2] = { next, units };

	rig_put(&p, h, 2);
	rig_put(&p, body, len);
}

int v6_send_to(unsigned iop, const char *dst, uint32_t len)
{
	static uint8_t data[65536];
	struct npp_dgram d = { .len = len, .port = 99, .addr = v6_addr(dst) };
	struct stack_slice s = { data, len };

	return stack_udp_send(r->node[iop].s, stack_udp(r->node[iop].s, 0), &d, &s, 1);
}

/* A message that a packet of ours from IOP 0 to PEER was too large for MTU. */
void v6_too_big(uint32_t mtu, uint16_t sport)
{
	struct { struct ip6_hdr_w h; struct udp_hdr u; } q = {
		.h = { .vtf = htonl(6u << 28), .plen = htons(1008), .next = 17, .hops = 64 },
		.u = { htons(sport), htons(99), htons(1008), 0 }
	};
	union npp_addr us = v6_addr(US), peer = v6_addr(PEER);

	memcpy(q.h.src, us.b, 16);
	memcpy(q.h.dst, peer.b, 16);
	v6_begin("fe80::fe", US, 58);
	v6_icmp(2, 0, mtu, &q, sizeof q);
}
