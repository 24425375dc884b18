/* SPDX-License-Identifier: GPL-2.0-or-later
 * ifaddrs.c - getifaddrs() and getaddrinfo() know the addresses of the NPPs
 *
 * Servers that bind to each address of the machine by itself (BIND, ntpd, Samba) ask so. An NPP appears
 * as an interface npp0, npp1 ... of the host, behind those of the kernel.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "npp-osm/libnpp/priv.h"

#define TRIES 1000

union any { struct sockaddr sa; struct sockaddr_in in; struct sockaddr_in6 in6; };
struct entry { struct ifaddrs ifa; union any addr, mask, broad; char name[IFNAMSIZ]; };
struct list { size_t size; unsigned n; struct entry e[]; };	/* of ours; `e` is what the program sees */

static const char ours;		/* ifa_data of our entries points here */

/* PORT: where a link-local address is, as addr_out() says it of sockets. */
static void set(union any *a, const union npp_addr *addr, unsigned port)
{
	if (npp_addr_is_v4(addr)) {
		a->in.sin_family = AF_INET;
		a->in.sin_addr.s_addr = npp_addr_get_v4(addr);
	} else {
		a->in6.sin6_family = AF_INET6;
		memcpy(&a->in6.sin6_addr, addr->b, 16);
		if (addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80)
			a->in6.sin6_scope_id = 1 + (port < NPP_MAX_PORTS ? port : 0);
	}
}

/* PREFIX counts from the start of an IPv6 address, in which an IPv4 one is mapped. */
static void add(struct list *l, unsigned npp, const union npp_addr *addr, unsigned port, unsigned prefix)
{
	struct entry *e = &l->e[l->n++];
	union npp_addr mask = { .q = { 0, 0 } }, broad = *addr;
	bool v4 = npp_addr_is_v4(addr);

	for (unsigned i = 0; i < 128; i++) {
		if (i < prefix)
			mask.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
		else
			broad.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
	snprintf(e->name, sizeof e->name, "npp%u", npp);
	set(&e->addr, addr, port);
	set(&e->broad, &broad, port);
	if (v4) {
		e->mask.in.sin_family = AF_INET;
		memcpy(&e->mask.in.sin_addr, mask.b + 12, 4);
	} else {
		e->mask.in6.sin6_family = AF_INET6;
		memcpy(&e->mask.in6.sin6_addr, mask.b, 16);
	}
	e->ifa = (struct ifaddrs){ .ifa_name = e->name, .ifa_addr = &e->addr.sa, .ifa_netmask = &e->mask.sa,
				   .ifa_flags = IFF_UP | IFF_RUNNING | IFF_MULTICAST | (v4 ? IFF_BROADCAST : 0),
				   .ifa_data = (void *)(uintptr_t)&ours };
	if (v4)
		e->ifa.ifa_broadaddr = &e->broad.sa;
}

/* What the seqlock of G protects, once it held still. */
static void add_npp(struct list *l, unsigned npp, const struct npp_global *g)
{
	unsigned before = l->n;

	for (int tries = 0; tries < TRIES; tries++) {
		uint32_t seq = atomic_load_explicit(&g->net_seq, memory_order_acquire), n = g->n_addrs;

		l->n = before;
		for (uint32_t i = 0; i < n && i < NPP_MAX_IF_ADDRS; i++)
			if (g->addr[i].prefix_len <= 128)
				add(l, npp, &(union npp_addr){ .q = { g->addr[i].addr.q[0], g->addr[i].addr.q[1] } },
				    g->addr[i].port, g->addr[i].prefix_len);
		atomic_thread_fence(memory_order_acquire);
		if (!(seq & 1) && atomic_load_explicit(&g->net_seq, memory_order_relaxed) == seq)
			return;
	}
	l->n = before;
}

static struct list *make(void)
{
	size_t size = sizeof(struct list) + sizeof(struct entry) * NPP_MAX_ATTACH * NPP_MAX_IF_ADDRS;
	struct list *l = lib_pages(size);

	if (!l)
		return NULL;
	l->size = size;
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++)
		if (atomic_load_explicit(&npp_lib.att[a].mapped, memory_order_acquire))
			add_npp(l, a, npp_lib.att[a].global);
	for (unsigned i = 0; i + 1 < l->n; i++)
		l->e[i].ifa.ifa_next = &l->e[i + 1].ifa;
	if (l->n)
		return l;
	lib_pages_free(l, size);
	return NULL;
}

int npp_getifaddrs(struct ifaddrs **to)
{
	int saved, r = R->getifaddrs(to);
	struct ifaddrs **end = to;
	struct list *l;

	if (r < 0 || !lib_on())
		return r;
	saved = errno;
	l = lib_refresh() ? make() : NULL;
	while (*end)
		end = &(*end)->ifa_next;
	if (l)
		*end = &l->e[0].ifa;
	errno = saved;
	return r;
}

void npp_freeifaddrs(struct ifaddrs *ifa)
{
	struct ifaddrs *at = ifa;

	while (at && at->ifa_data != &ours)
		at = at->ifa_next;
	if (at != ifa)
		R->freeifaddrs(ifa);
	if (at) {
		struct list *l = (void *)((uint8_t *)at - offsetof(struct list, e));

		lib_pages_free(l, l->size);
	}
}

/* ---- AI_ADDRCONFIG -------------------------------------------------------------------- */

/* Bit 0: the NPPs have an IPv4 address, bit 1: an IPv6 one that is not link-local. */
static unsigned families(void)
{
	struct list *l = lib_refresh() ? make() : NULL;
	unsigned f = 0;

	for (unsigned i = 0; l && i < l->n; i++)
		f |= l->e[i].addr.sa.sa_family == AF_INET ? 1 : l->e[i].addr.in6.sin6_scope_id ? 0 : 2;
	if (l)
		lib_pages_free(l, l->size);
	return f;
}

/* Is it an address in digits? That has its family, whatever the machine has. */
static bool in_digits(const char *node)
{
	uint8_t a[16];

	return strchr(node, ':') || inet_pton(AF_INET, node, a) == 1;
}

/* The C library asks the kernel which families the machine has, and a host has no more than its
 * loopback there: with AI_ADDRCONFIG it would find no address at all for a family that is asked for,
 * and of a name for any family those that no NPP has. */
int npp_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo h;
	unsigned f;

	if (!hints || !(hints->ai_flags & AI_ADDRCONFIG) || !lib_on())
		return R->getaddrinfo(node, service, hints, res);
	h = *hints;
	f = families();
	if (h.ai_family == AF_UNSPEC && (f == 1 || f == 2) && node && !in_digits(node))
		h.ai_family = f == 1 ? AF_INET : AF_INET6;
	if ((h.ai_family == AF_INET && f & 1) || (h.ai_family == AF_INET6 && f & 2))
		h.ai_flags &= ~AI_ADDRCONFIG;
	return R->getaddrinfo(node, service, &h, res);
}
