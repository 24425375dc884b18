/* SPDX-License-Identifier: GPL-2.0-or-later
 * group_rig.h - the bench of the tests of multicast: sockets that join, queries, and what routers hear
 */
#ifndef NPP_TESTS_GROUP_RIG_H
#define NPP_TESTS_GROUP_RIG_H

#include "npp-ism/stack/ip_priv.h"
#include "tests/unit/stack/ip_rig.h"
#include "tests/unit/suite.h"

#define G1 0xef010203u
#define ROUTER 0x0a0000feu

static struct rig *r;
static struct rig_pkt p;
static const struct npp_member none[1] __attribute__((unused));

static inline union npp_addr addr(const char *text)
{
	union npp_addr a;

	ck_assert_int_eq(npp_addr_parse(text, &a), 0);
	return a;
}

static inline void setup(void)
{
	r = rig_new(2);
	r->g->addr[r->g->n_addrs++] = (struct npp_if_addr){ .addr = addr("fd00::1"), .prefix_len = 64 };
	r->g->addr[r->g->n_addrs++] = (struct npp_if_addr){ .addr = addr("fe80::1"), .prefix_len = 64 };
	atomic_store(&r->g->net_seq, 4);
	rig_advance(r, 4000000);
	rig_forget(r);
}
static inline void teardown(void) { rig_free(r); }

/* A socket with number SOCK of HOST, on every IOP, as the OSM makes it. */
static inline uint32_t bind_sock(const union npp_addr *laddr, uint16_t port, uint32_t sock, uint8_t host)
{
	uint32_t index = 0;

	for (unsigned i = 0; i < r->n; i++) {
		struct udp_endpoint t = { .laddr = *laddr, .lport = port, .user_sock = sock, .user_host = host,
					  .reuseaddr = 1, .order = sock }, *ep;
		int err;

		ep = stack_udp_bind(r->node[i].s, &t, &err);
		ck_assert_ptr_nonnull(ep);
		index = ep->index;
	}
	return index;
}

static inline int join(uint32_t ep, const struct npp_member *m, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < r->n; i++)
		err |= stack_udp_members(r->node[i].s, stack_udp(r->node[i].s, ep), m, n);
	rig_advance(r, 5000);
	return err;
}

static inline struct npp_member all_of(union npp_addr group)
{
	return (struct npp_member){ .group = group, .exclude = 1 };
}

/* The I-th last message. */
static inline const struct rig_talk *talk(unsigned i)
{
	ck_assert_uint_gt(r->n_talks, i);
	return &r->talk[(r->n_talks - 1 - i) % RIG_TALKS];
}

/* The record about GROUP in message T of the newest version: its type, sources into *N; 0: none. */
static inline int record(const struct rig_talk *t, const union npp_addr *group, unsigned *n)
{
	unsigned each = npp_addr_is_v4(group) ? 4 : 16, at = 8, count = t->l4[6] * 256u + t->l4[7];

	*n = 0;
	if (t->l4[0] != (each == 4 ? 0x22 : 143))
		return 0;
	for (; count; count--) {
		unsigned n_src = t->l4[at + 2] * 256u + t->l4[at + 3];

		ck_assert_uint_le(at + 4 + each, t->len);
		if (memcmp(t->l4 + at + 4, group->b + 16 - each, each) == 0) {
			*n = n_src;
			return t->l4[at];
		}
		at += 4 + each + each * n_src;
	}
	return 0;
}

static inline void query(uint32_t dst, uint8_t code, uint32_t group, const uint8_t *more, uint32_t len)
{
	uint8_t q[8] = { 0x11, code, 0, 0, (uint8_t)(group >> 24), (uint8_t)(group >> 16), (uint8_t)(group >> 8),
			 (uint8_t)group };
	uint16_t sum;

	rig_ip4(&p, ROUTER, dst, 2, 1, 0);
	p.b[0] = 1, p.b[1] = 0, p.b[2] = 0x5e;
	p.b[22] = 1;
	rig_put(&p, q, 8);
	rig_put(&p, more, len);
	rig_ip4_end(&p);
	sum = npp_csum_finish(npp_csum_add(p.b + p.l4, p.len - p.l4, 0));
	memcpy(p.b + p.l4 + 2, &sum, 2);
	rig_in(r, 0, &p);
}

static const uint8_t v3_tail[4] = { 2, 125, 0, 0 };

#endif
