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
#include "nppd/net_table.h"
#include "nppd/npp_side.h"
#include "shm/bell.h"
#include "shm/fring.h"

/* IPv6 needs an address that is valid on the link (RFC 4291, 2.8): made from the port's MAC
 * (RFC 2464, 4) unless one is configured. */
static void add_link_local(struct npp_global *g, uint8_t port, const uint8_t *mac, bool ip6)
{
	struct npp_if_addr a = { .addr.b = { 0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4],
					     mac[5] }, .prefix_len = 64, .port = port };

	for (uint32_t i = 0; i < g->n_addrs; i++) {
		if (g->addr[i].port != port && g->addr[i].port != NPP_PORT_ANY)
			continue;
		if (settings_link_local(&g->addr[i].addr))
			return;
		ip6 |= !npp_addr_is_v4(&g->addr[i].addr);
	}
	if (ip6 && g->n_addrs < NPP_MAX_IF_ADDRS)
		g->addr[g->n_addrs++] = a;
}

static void fill_net(struct npp_global *g, const struct npp_settings *s)
{
	g->n_addrs = s->n_all;
	for (uint32_t i = 0; i < s->n_all; i++)
		g->addr[i] = (struct npp_if_addr){ .addr = s->all[i].p.addr, .prefix_len = (uint8_t)s->all[i].p.len,
						   .port = s->all[i].port };
	for (uint32_t i = 0; i < s->n_routes; i++) {
		const struct route_settings *r = &s->routes[i];

		net_table_add_route(g, (struct npp_route){ .dst = r->to.addr, .via = r->via, .prefix_len = (uint8_t)r->to.len,
						 .mtu = (uint16_t)r->mtu, .metric = r->metric },
			  settings_ports_of_route(s, r));
	}
	net_table_add_default(g, &s->gateway, settings_ports_to(s, &s->gateway), 0);
	net_table_add_default(g, &s->gateway6, settings_ports_to(s, &s->gateway6), 0);
	for (uint32_t i = 0; i < s->n_ports; i++) {
		net_table_add_default(g, &s->port[i].gateway, 1u << i, i);
		net_table_add_default(g, &s->port[i].gateway6, 1u << i, i);
		add_link_local(g, (uint8_t)i, s->port[i].mac, s->port[i].autoconf);
	}
}

static bool learns(const struct npp_settings *s, uint32_t port)
{
	return port < s->n_ports && s->port[port].autoconf;
}

/* What an ISM says is checked: it may claim addresses of its own making and no others. */
static bool autoconf_ok(const struct npp_autoconf *a, const struct npp_settings *s)
{
	if (a->n_addrs > NPP_AUTO_MAX || a->n_on_link > NPP_AUTO_MAX || a->n_routers > NPP_AUTO_MAX)
		return false;
	for (uint32_t i = 0; i < NPP_MAX_PORTS; i++)
		if (a->link[i].mtu && a->link[i].mtu < 1280)
			return false;
	for (uint32_t i = 0; i < a->n_addrs; i++)
		if (npp_addr_is_v4(&a->addr[i].addr) || npp_addr_is_any(&a->addr[i].addr) || a->addr[i].addr.b[0] == 0xff ||
		    a->addr[i].prefix_len > 128 || !learns(s, a->addr[i].port))
			return false;
	for (uint32_t i = 0; i < a->n_on_link; i++)
		if (npp_addr_is_v4(&a->on_link[i].addr) || !a->on_link[i].prefix_len || a->on_link[i].prefix_len > 128 ||
		    !learns(s, a->on_link[i].port))
			return false;
	for (uint32_t i = 0; i < a->n_routers; i++)
		if (!settings_link_local(&a->router[i]) || !learns(s, a->router_port[i]))
			return false;
	return true;
}

/* Odd while we write: pairs with the acquire and the fence of all readers. */
static void net_begin(struct npp_global *g)
{
	atomic_store_explicit(&g->net_seq, atomic_load_explicit(&g->net_seq, memory_order_relaxed) + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static void net_end(struct npp_global *g)
{
	atomic_store_explicit(&g->net_seq, atomic_load_explicit(&g->net_seq, memory_order_relaxed) + 1, memory_order_release);
}

static void tell_isms(struct npp_side *n)
{
	for (unsigned i = 0; i < n->n_iops; i++)
		if (npp_side_ism(n, i)->state == CHILD_READY)
			child_send(npp_side_ism(n, i), NPP_CTL_NET, 0, 0, NULL, 0, NULL, 0);
}

/* Whoever has cached a way looks for it anew, and no ISM sleeps on meanwhile. */
bool npp_regions_port_up(struct npp_side *n, unsigned port, bool up)
{
	struct npp_global *g = n->global.base;
	struct npp_port_cfg *p = &g->port[port];

	if (atomic_load_explicit(&p->up, memory_order_relaxed) == up)
		return false;
	net_begin(g);
	atomic_store_explicit(&p->up, up, memory_order_relaxed);
	if (!up)
		atomic_store_explicit(&p->downs, atomic_load_explicit(&p->downs, memory_order_relaxed) + 1, memory_order_relaxed);
	net_end(g);
	tell_isms(n);
	return true;
}

void npp_regions_autoconf(struct npp_side *n, struct child *c, const struct npp_autoconf *a)
{
	struct npp_global *g = n->global.base;
	uint32_t left_out;

	if (!autoconf_ok(a, &n->d->s->npp)) {
		if (child_may_log(c))
			npp_warnx("%s reports addresses that cannot be: ignored", c->name);
		return;
	}
	net_begin(g);
	g->n_addrs = g->n_routes = 0;
	fill_net(g, &n->d->s->npp);
	left_out = net_table_add_learned(g, a);
	for (uint32_t i = 0; i < n->n_ports; i++) {
		atomic_store_explicit(&g->port[i].ra6, NPP_RA6(a->link[i].hops, a->link[i].mtu), memory_order_relaxed);
		atomic_store_explicit(&g->port[i].ra6_reachable_ms, a->link[i].reachable_ms, memory_order_relaxed);
	}
	net_end(g);
	tell_isms(n);
	if (child_may_log(c))
		npp_info("router advertisements: %u addresses, %u routers", a->n_addrs, a->n_routers);
	if (left_out && child_may_log(c))
		npp_warnx("router advertisements: no room for %u addresses or routes: the NPP has %d and %d", left_out,
			  NPP_MAX_IF_ADDRS, NPP_MAX_ROUTES);
}

/* The groups that programs have joined, as the ISM with the link role says. */
void npp_regions_groups(struct npp_side *n, struct child *c, const struct npp_groups *from)
{
	struct npp_global *g = n->global.base;
	uint32_t seq = atomic_load_explicit(&g->group_seq, memory_order_relaxed);
	struct npp_groups copy = *from;

	for (uint32_t i = 0; i < copy.n; i++)
		if (copy.n > NPP_MAX_GROUPS || !npp_addr_is_multicast(&copy.addr[i])) {
			if (child_may_log(c))
				npp_warnx("%s reports groups that cannot be: ignored", c->name);
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
	g->n_ports = s->n_ports;
	g->tcp_max_conns = s->memory.connections;
	g->tcp_ecn = s->tcp.ecn;
	g->tcp_cc = s->tcp.congestion;
	g->tcp_rmem = s->tcp.rmem;
	g->tcp_wmem = s->tcp.wmem;
	g->tcp_time_wait_ms = (uint32_t)(s->tcp.time_wait / 1000);
	for (uint32_t i = 0; i < s->n_ports; i++) {
		const struct port_settings *p = &s->port[i];
		struct npp_port_cfg *to = &g->port[i];

		snprintf(to->ifname, sizeof to->ifname, "%s", p->name);
		snprintf(to->bridge, sizeof to->bridge, "%s", p->bridge ? p->bridge : "");
		memcpy(to->mac, p->mac, 6);
		to->mtu = (uint16_t)p->mtu;
		to->flags = (s->engine == ENGINE_KERNEL ? NPP_PORT_KERNEL : 0) | (p->autoconf ? NPP_PORT_AUTOCONF : 0) |
			    (s->acd == ACD_OFF ? NPP_PORT_ACD_OFF : 0);
	}
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
		.n_ports = s->n_ports, .max_conns = s->memory.connections, .reass_bytes = (uint32_t)s->memory.reassembly };
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
