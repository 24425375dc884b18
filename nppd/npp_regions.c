/* SPDX-License-Identifier: GPL-2.0-or-later
 * npp_regions.c - the regions of an NPP, as design section 3 lists them
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "npp-dispatch/layout.h"
#include "npp-ism/socket/layout.h"
#include "nppd/npp_side.h"
#include "shm/bell.h"
#include "shm/fring.h"

/* IPv6 needs an address that is valid on the link (RFC 4291, 2.8): made from the port's MAC
 * (RFC 2464, 4) unless one is configured. */
static void add_link_local(struct npp_global *g, const uint8_t *mac, bool ip6)
{
	struct npp_if_addr a = { .addr.b = { 0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4],
					     mac[5] }, .prefix_len = 64, .port = 0 };

	for (uint32_t i = 0; i < g->n_addrs; i++) {
		if (settings_link_local(&g->addr[i].addr))
			return;
		ip6 |= !npp_addr_is_v4(&g->addr[i].addr);
	}
	if (ip6 && g->n_addrs < NPP_MAX_IF_ADDRS)
		g->addr[g->n_addrs++] = a;
}

static void add_default(struct npp_global *g, const union npp_addr *via)
{
	struct npp_route r = { .via = *via };

	if (npp_addr_is_v4(via)) {
		r.dst = npp_addr_v4(0);
		r.prefix_len = 96;
	}
	g->route[g->n_routes++] = r;
}

static void fill_net(struct npp_global *g, const struct npp_settings *s)
{
	g->n_addrs = s->n_addrs;
	for (uint32_t i = 0; i < s->n_addrs; i++)
		g->addr[i] = (struct npp_if_addr){ .addr = s->addrs[i].addr, .prefix_len = (uint8_t)s->addrs[i].len,
						   .port = 0xff };
	for (uint32_t i = 0; i < s->n_routes; i++) {
		const struct route_settings *r = &s->routes[i];

		g->route[g->n_routes++] = (struct npp_route){ .dst = r->to.addr, .via = r->via,
			.prefix_len = (uint8_t)r->to.len, .mtu = (uint16_t)r->mtu, .metric = r->metric };
	}
	if (!npp_addr_is_any(&s->gateway))
		add_default(g, &s->gateway);
	if (!npp_addr_is_any(&s->gateway6))
		add_default(g, &s->gateway6);
	add_link_local(g, s->port.mac, s->autoconf);
}

/* What an ISM says is checked: it may claim addresses of its own making and no others. */
static bool autoconf_ok(const struct npp_autoconf *a)
{
	if (a->n_addrs > NPP_AUTO_MAX || a->n_on_link > NPP_AUTO_MAX || a->n_routers > NPP_AUTO_MAX)
		return false;
	if (a->mtu && a->mtu < 1280)
		return false;
	for (uint32_t i = 0; i < a->n_addrs; i++)
		if (npp_addr_is_v4(&a->addr[i].addr) || npp_addr_is_any(&a->addr[i].addr) || a->addr[i].addr.b[0] == 0xff ||
		    a->addr[i].prefix_len > 128)
			return false;
	for (uint32_t i = 0; i < a->n_on_link; i++)
		if (npp_addr_is_v4(&a->on_link[i].addr) || !a->on_link[i].prefix_len || a->on_link[i].prefix_len > 128)
			return false;
	for (uint32_t i = 0; i < a->n_routers; i++)
		if (!settings_link_local(&a->router[i]))
			return false;
	return true;
}

static bool known_addr(const struct npp_global *g, const union npp_addr *a)
{
	for (uint32_t i = 0; i < g->n_addrs; i++)
		if (npp_addr_eq(&g->addr[i].addr, a))
			return true;
	return false;
}

static void add_learned(struct npp_global *g, const struct npp_autoconf *a)
{
	for (uint32_t i = 0; i < a->n_addrs && g->n_addrs < NPP_MAX_IF_ADDRS; i++) {
		if (known_addr(g, &a->addr[i].addr))
			continue;
		g->addr[g->n_addrs] = a->addr[i];
		g->addr[g->n_addrs++].port = 0;
	}
	for (uint32_t i = 0; i < a->n_on_link && g->n_routes < NPP_MAX_ROUTES; i++)
		g->route[g->n_routes++] = (struct npp_route){ .dst = a->on_link[i].addr,
							      .prefix_len = a->on_link[i].prefix_len };
	for (uint32_t i = 0; i < a->n_routers && g->n_routes < NPP_MAX_ROUTES; i++)
		g->route[g->n_routes++] = (struct npp_route){ .via = a->router[i], .metric = 1024 + i };
}

void npp_regions_autoconf(struct npp_side *n, const struct npp_autoconf *a)
{
	struct npp_global *g = n->global.base;
	uint32_t seq = atomic_load_explicit(&g->net_seq, memory_order_relaxed);

	if (!n->d->s->npp.autoconf || !autoconf_ok(a)) {
		npp_warnx("an ISM reports addresses that cannot be: ignored");
		return;
	}
	/* Odd while we write: pairs with the acquire and the fence of all readers. */
	atomic_store_explicit(&g->net_seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	g->n_addrs = g->n_routes = 0;
	fill_net(g, &n->d->s->npp);
	add_learned(g, a);
	atomic_store_explicit(&g->ra6, NPP_RA6(a->hops, a->mtu), memory_order_relaxed);
	atomic_store_explicit(&g->ra6_reachable_ms, a->reachable_ms, memory_order_relaxed);
	atomic_store_explicit(&g->net_seq, seq + 2, memory_order_release);
	npp_info("router advertisements: %u addresses, %u routers", a->n_addrs, a->n_routers);
}

/* The groups that programs have joined, as the ISM with the link role says. */
void npp_regions_groups(struct npp_side *n, const struct npp_groups *from)
{
	struct npp_global *g = n->global.base;
	uint32_t seq = atomic_load_explicit(&g->group_seq, memory_order_relaxed);
	struct npp_groups copy = *from;

	for (uint32_t i = 0; i < copy.n; i++)
		if (copy.n > NPP_MAX_GROUPS || !npp_addr_is_multicast(&copy.addr[i])) {
			npp_warnx("an ISM reports groups that cannot be: ignored");
			return;
		}
	/* Odd while we write: pairs with the acquire and the fence of the dispatcher's copy. */
	atomic_store_explicit(&g->group_seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	g->groups = copy;
	atomic_store_explicit(&g->group_seq, seq + 2, memory_order_release);
	npp_debug("%u multicast groups", copy.n);
}

static int create_global(struct npp_side *n)
{
	const struct npp_settings *s = &n->d->s->npp;
	struct npp_global *g;
	int r = nppd_region(n->d, &n->global, "npp-global", NPP_REGION_GLOBAL, sizeof *g, 0, npp_abi_layout_hash(), false);

	if (r < 0)
		return r;
	g = n->global.base;
	snprintf(g->name, sizeof g->name, "%s", s->name);
	g->n_iops = s->iops;
	g->n_ports = 1;
	g->tcp_max_conns = s->memory.connections;
	g->tcp_ecn = s->tcp.ecn;
	g->tcp_cc = s->tcp.congestion;
	g->tcp_time_wait_ms = (uint32_t)(s->tcp.time_wait / 1000);
	snprintf(g->port[0].ifname, sizeof g->port[0].ifname, "%s", s->port.name);
	memcpy(g->port[0].mac, s->port.mac, 6);
	g->port[0].mtu = (uint16_t)s->port.mtu;
	g->port[0].flags = s->engine == ENGINE_KERNEL ? NPP_PORT_KERNEL : 0;
	if (s->autoconf)
		g->port[0].flags |= NPP_PORT_AUTOCONF;
	if (s->acd == ACD_OFF)
		g->port[0].flags |= NPP_PORT_ACD_OFF;
	fill_net(g, s);
	g->prog[0] = g->prog[1] = s->prog;
	return 0;
}

static int create_rx(struct npp_side *n, unsigned iop)
{
	size_t size;
	bool huge;
	int r = npp_fring_create("npp-rx", NPP_REGION_RX, iop, (uint32_t)n->d->s->npp.memory.rx_ring,
				 nppd_huge_flags(n->d), &n->rx_ctl[iop], &n->rx_data[iop]);

	if (r == 0)
		r = npp_memfd_check(n->rx_data[iop], &size, &huge);
	if (r < 0) {
		npp_warnx("receive ring of IOP %u: %s", iop, strerror(-r));
		return r;
	}
	if (huge)
		n->d->huge_pages += (uint32_t)(size >> 21);
	/* a ring smaller than a hugepage never is one */
	return size % (2u << 20) ? 0 : nppd_hugepage_check(n->d, huge, "a receive ring");
}

void npp_regions_start_ism(struct npp_side *n, unsigned iop, struct npp_ctl_start_ism *start)
{
	const struct npp_settings *s = &n->d->s->npp;

	*start = (struct npp_ctl_start_ism){ .abi_version = NPP_ABI_VERSION, .iop = iop, .n_iops = n->n_iops,
		.layout_hash = npp_abi_layout_hash(), .cpu = nppd_cpu(n->d, 1 + iop), .verbose = n->d->verbose,
		.max_conns = s->memory.connections, .reass_bytes = (uint32_t)s->memory.reassembly };
}

static int create_ism(struct npp_side *n, unsigned iop)
{
	struct npp_ctl_start_ism start;
	int r;

	npp_regions_start_ism(n, iop, &start);
	r = nppd_region(n->d, &n->ism[iop], "npp-ism", NPP_REGION_ISM, ism_region_size(&start), iop, ism_layout_hash(),
			true);
	return r < 0 ? r : create_rx(n, iop);
}

int npp_regions_create(struct npp_side *n)
{
	struct nppd *d = n->d;
	uint64_t hash = npp_abi_layout_hash();
	int r = create_global(n);

	if (r == 0)
		r = nppd_region(d, &n->neigh, "npp-neigh", NPP_REGION_NEIGH, sizeof(struct npp_neigh_table), 0, hash, false);
	if (r == 0)
		r = nppd_region(d, &n->locks, "npp-locks", NPP_REGION_LOCKS, sizeof(struct npp_locks), 0, hash, false);
	if (r == 0)
		r = nppd_region(d, &n->dispatch, "npp-dispatch", NPP_REGION_DISPATCH, DISPATCH_PRIVATE_SIZE, 0,
				dispatch_layout_hash(), false);
	for (unsigned i = 0; r == 0 && i < n->n_iops; i++)
		r = create_ism(n, i);
	for (unsigned i = 0; r == 0 && i < d->n_children; i++)
		r = child_stats_create(&d->child[i]);
	for (unsigned i = 0; r == 0 && i <= n->n_iops; i++) {
		n->bell[i] = npp_bell_create();
		if (n->bell[i] < 0) {
			r = n->bell[i];
			npp_warnx("doorbell: %s", strerror(-r));
		}
	}
	return r;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void npp_regions_free(struct npp_side *n)
{
	npp_region_unmap(&n->global);
	npp_region_unmap(&n->neigh);
	npp_region_unmap(&n->locks);
	npp_region_unmap(&n->dispatch);
	for (unsigned i = 0; i < NPP_MAX_IOPS; i++) {
		npp_region_unmap(&n->ism[i]);
		close_fd(&n->rx_ctl[i]);
		close_fd(&n->rx_data[i]);
	}
	for (unsigned i = 0; i <= NPP_MAX_IOPS; i++)
		close_fd(&n->bell[i]);
	ipc_free(n);
}
