/* SPDX-License-Identifier: GPL-2.0-or-later
 * grants.c - ports that hosts of an NPP own
 *
 * Records in one array, chained by (protocol, port); free ones in a chain of their own.
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "nppd/grants.h"

#define MAX_GRANTS 131072
#define NONE 0xffffffffu

struct grant {
	union npp_addr addr;
	uint32_t next;
	uint16_t port;
	uint8_t proto;		/* 0 TCP, 1 UDP; 0xff: free */
	uint8_t host;
	uint8_t flags;		/* GRANT_* */
};

struct grants {
	_Atomic uint64_t (*bitmap)[65536 / 64];
	uint32_t head[2][65536];
	uint32_t free, used_end;	/* records from used_end on were never used */
	uint32_t count;
	uint32_t rotor;
	uint64_t sharing;		/* hosts, a bit each */
	struct grant rec[MAX_GRANTS];
};

struct grants *grants_new(_Atomic uint64_t (*bitmap)[65536 / 64])
{
	struct grants *g = calloc(1, sizeof *g);

	if (!g)
		return NULL;
	g->bitmap = bitmap;
	memset(g->head, 0xff, sizeof g->head); /* NONE */
	g->free = NONE;
	return g;
}

void grants_free(struct grants *g)
{
	free(g);
}

unsigned grants_count(const struct grants *g)
{
	return g->count;
}

static void set_bit(struct grants *g, unsigned proto, uint16_t port, bool on)
{
	uint64_t bit = 1ull << (port & 63);

	/* Relaxed: an ISM that misses a change by a moment picks a port as if it had come first. */
	if (on)
		atomic_fetch_or_explicit(&g->bitmap[proto][port >> 6], bit, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&g->bitmap[proto][port >> 6], ~bit, memory_order_relaxed);
}

static int proto_index(uint8_t proto)
{
	return proto == IPPROTO_TCP ? 0 : proto == IPPROTO_UDP ? 1 : -EPROTONOSUPPORT;
}

#define TAKES_V4 1u
#define TAKES_V6 2u
static unsigned families(const union npp_addr *a, unsigned flags)
{
	if (npp_addr_is_v4(a))
		return TAKES_V4;
	return npp_addr_is_any(a) && !(flags & GRANT_V6ONLY) ? TAKES_V4 | TAKES_V6 : TAKES_V6;
}

static bool overlap(const struct grant *r, const union npp_addr *a, unsigned flags)
{
	if (!(families(&r->addr, r->flags) & families(a, flags)) || npp_addr_is_multicast(a) ||
	    npp_addr_is_multicast(&r->addr))
		return false;
	return npp_addr_is_any(&r->addr) || npp_addr_is_any(a) || npp_addr_eq(&r->addr, a);
}

/* 0.0.0.0, :: and :: for IPv6 alone are three grants. */
static bool same(const struct grant *r, const union npp_addr *a, unsigned flags)
{
	return npp_addr_eq(&r->addr, a) && !((r->flags ^ flags) & GRANT_V6ONLY);
}

static uint32_t find(const struct grants *g, int p, uint16_t port, uint32_t host, const union npp_addr *addr,
		     unsigned flags)
{
	uint32_t i;

	for (i = g->head[p][port]; i != NONE; i = g->rec[i].next)
		if (g->rec[i].host == host && same(&g->rec[i], addr, flags))
			break;
	return i;
}

static int add(struct grants *g, int p, uint16_t port, uint32_t host, const union npp_addr *addr, unsigned flags)
{
	uint32_t i = g->free;

	if (find(g, p, port, host, addr, flags) != NONE)
		return 0;
	if (i != NONE)
		g->free = g->rec[i].next;
	else if (g->used_end < MAX_GRANTS)
		i = g->used_end++;
	else
		return -ENOBUFS;
	g->rec[i] = (struct grant){ .addr = *addr, .next = g->head[p][port], .port = port, .proto = (uint8_t)p,
				    .host = (uint8_t)host, .flags = (uint8_t)flags };
	g->head[p][port] = i;
	g->count++;
	set_bit(g, (unsigned)p, port, true);
	return 0;
}

static uint16_t pick(struct grants *g, int p)
{
	unsigned n = GRANT_EPHEMERAL_LAST - GRANT_EPHEMERAL_FIRST + 1;

	for (unsigned k = 0; k < n; k++) {
		uint16_t port = (uint16_t)(GRANT_EPHEMERAL_FIRST + g->rotor++ % n);

		if (g->head[p][port] == NONE)
			return port;
	}
	return 0;
}

void grants_sharing(struct grants *g, uint32_t host, bool shares)
{
	g->sharing = shares ? g->sharing | 1ull << host : g->sharing & ~(1ull << host);
}

static bool may_share(const struct grants *g, const struct grant *r, uint32_t host, unsigned flags)
{
	return !((flags | r->flags) & GRANT_ALONE) && (g->sharing >> host & 1) && (g->sharing >> r->host & 1);
}

int grants_take(struct grants *g, uint32_t host, uint8_t proto, const union npp_addr *addr, unsigned flags,
		uint16_t *port)
{
	int p = proto_index(proto);
	uint32_t i;

	if (p < 0)
		return p;
	if (*port == 0) {
		uint16_t got = pick(g, p);
		int r = got ? add(g, p, got, host, addr, flags | GRANT_ALONE) : -EADDRINUSE;

		if (r == 0)
			*port = got;
		return r;
	}
	for (i = g->head[p][*port]; i != NONE; i = g->rec[i].next)
		if (g->rec[i].host != host && overlap(&g->rec[i], addr, flags) &&
		    !may_share(g, &g->rec[i], host, flags))
			return -EADDRINUSE;
	return add(g, p, *port, host, addr, flags);
}

static void drop(struct grants *g, uint32_t i)
{
	struct grant *r = &g->rec[i];
	uint32_t *link = &g->head[r->proto][r->port];

	while (*link != i)
		link = &g->rec[*link].next;
	*link = r->next;
	if (g->head[r->proto][r->port] == NONE)
		set_bit(g, r->proto, r->port, false);
	r->proto = 0xff;
	r->next = g->free;
	g->free = i;
	g->count--;
}

int grants_release(struct grants *g, uint32_t host, uint8_t proto, const union npp_addr *addr, unsigned flags,
		   uint16_t port)
{
	int p = proto_index(proto);
	uint32_t i = p < 0 ? NONE : find(g, p, port, host, addr, flags);

	if (i == NONE)
		return -ENOENT;
	drop(g, i);
	return 0;
}

unsigned grants_release_host(struct grants *g, uint32_t host)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < g->used_end; i++) {
		if (g->rec[i].proto != 0xff && g->rec[i].host == host) {
			drop(g, i);
			n++;
		}
	}
	return n;
}

unsigned grants_of_host(const struct grants *g, uint32_t host)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < g->used_end; i++)
		n += g->rec[i].proto != 0xff && g->rec[i].host == host;
	return n;
}
