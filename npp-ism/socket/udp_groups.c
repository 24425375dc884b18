/* SPDX-License-Identifier: GPL-2.0-or-later
 * udp_groups.c - the multicast groups that a datagram socket has joined
 *
 * They stand in struct npp_udp in host memory, written by programs. A program that changed them
 * has the OSM tell all ISMs (UDP_BIND comes again), and each makes a checked copy for its stack.
 * So a new ISM, or one that comes back, knows them with the socket itself.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/socket/ism.h"

#define TRIES 8

/* A consistent copy. -1: somebody writes, or has died while he did: what is known stays. */
static int groups_copy(const struct npp_udp *u, struct npp_member *m)
{
	for (unsigned t = 0; t < TRIES; t++) {
		/* acquire: pairs with the program's release of the even value */
		uint32_t seq = atomic_load_explicit(&u->member_seq, memory_order_acquire);
		uint32_t n = *(const volatile uint32_t *)&u->n_members;

		if (n > NPP_SOCK_GROUPS)
			return -1;
		memcpy(m, u->member, n * sizeof *m);
		atomic_thread_fence(memory_order_acquire);
		if (!(seq & 1) && atomic_load_explicit(&u->member_seq, memory_order_relaxed) == seq)
			return (int)n;
	}
	return -1;
}

void ism_udp_groups(struct ism *I, struct ism_sess *s, struct udp_endpoint *ep)
{
	const struct npp_udp *u = (const struct npp_udp *)(I->host[s->host]->base + s->off);
	struct npp_member m[NPP_SOCK_GROUPS];
	int n = groups_copy(u, m);

	ep->mc_own = (atomic_load_explicit(&ism_sess_rec(I, s)->opt_flags, memory_order_relaxed) &
		      NPP_OPT_MC_NOTALL) != 0;
	for (int i = 0; i < n; i++) {
		m[i].exclude = m[i].exclude != 0;
		memset(m[i].zero, 0, sizeof m[i].zero);
		if (m[i].n_sources > NPP_SOCK_SOURCES) {
			ism_proto_error(I, s->host);
			return;
		}
		memset(m[i].source + m[i].n_sources, 0, (NPP_SOCK_SOURCES - m[i].n_sources) * sizeof m[i].source[0]);
	}
	if (n >= 0)
		stack_udp_members(I->stack, ep, m, (unsigned)n); /* what finds no room is counted there */
	if (n > 0)
		ism_udp_ring_early(I, s);
}
