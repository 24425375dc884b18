/* SPDX-License-Identifier: GPL-2.0-or-later
 * role_npp.c - nppd in the role of an NPP: ports, regions, dispatcher and ISMs
 *
 * Children: 0 the dispatcher, 1 + n ISM n. An ISM has its bit in iop_up from when it serves
 * until it is given up: while it is replaced its frames wait. The link role goes to the
 * first ISM that is ready; a successor has it again, another one if that takes time.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "net/wire.h"
#include "nppd/engine.h"
#include "nppd/npp_side.h"

#define CARRIER_MS 5000

/* ---- children ------------------------------------------------------------------------- */

static int start_dispatch(struct npp_side *n)
{
	struct npp_ctl_start_dispatch body = { .abi_version = NPP_ABI_VERSION, .n_iops = n->n_iops,
		.layout_hash = npp_abi_layout_hash(), .cpu = nppd_cpu(n->d, 0), .verbose = n->d->verbose,
		.n_ports = n->n_ports, .aside = n->aside.prog_fd >= 0 };
	int fds[4 + 2 * NPP_MAX_PORTS + 3 * NPP_MAX_IOPS], r;
	unsigned k = 0;

	fds[k++] = npp_region_reopen_ro(n->global.fd);
	fds[k++] = n->d->child[0].stats.fd;
	fds[k++] = n->dispatch.fd;
	fds[k++] = n->bell[0];
	for (unsigned i = 0; i < n->n_ports; i++)
		fds[k++] = n->tap[i].queue[0];
	for (unsigned i = 0; i < n->n_iops; i++)
		fds[k++] = n->bell[1 + i];
	for (unsigned i = 0; i < n->n_iops; i++) {
		fds[k++] = n->rx_ctl[i];
		fds[k++] = n->rx_data[i];
	}
	for (unsigned i = 0; body.aside && i < n->n_ports; i++)
		fds[k++] = n->tap[i].aside;
	if (fds[0] < 0)
		return fds[0];
	r = child_start(&n->d->child[0], NPP_CTL_START_DISPATCH, &body, sizeof body, fds, k);
	close(fds[0]);
	return r;
}

/* KIND says what the ISM finds in its region. */
static int start_ism(struct npp_side *n, unsigned iop, enum start_kind kind)
{
	struct child *c = npp_side_ism(n, iop);
	struct npp_ctl_start_ism body;
	int fds[8 + NPP_MAX_PORTS + NPP_MAX_IOPS], r;
	unsigned k = 0;

	npp_regions_start_ism(n, iop, &body);
	body.restart = kind == START_AGAIN;
	body.regulars = n->aside.prog_fd >= 0;
	if (kind == START_AFRESH)
		npp_region_empty(&n->ism[iop]);
	if (getrandom(body.seed, sizeof body.seed, 0) != sizeof body.seed)
		return -EIO;
	if (!(n->key[0] | n->key[1] | n->key[2] | n->key[3]) && getrandom(n->key, sizeof n->key, 0) != sizeof n->key)
		return -EIO;
	memcpy(body.npp_key, n->key, sizeof body.npp_key);
	fds[k++] = npp_region_reopen_ro(n->global.fd);
	fds[k++] = npp_region_reopen_ro(n->neigh.fd);
	fds[k++] = c->stats.fd;
	fds[k++] = n->locks.fd;
	fds[k++] = n->ism[iop].fd;
	fds[k++] = n->rx_ctl[iop];
	fds[k++] = n->rx_data[iop];
	for (unsigned i = 0; i < n->n_ports; i++)
		fds[k++] = n->tap[i].queue[1 + iop];
	for (unsigned i = 0; i < n->n_iops; i++)
		fds[k++] = n->bell[1 + i];
	if (body.regulars)
		fds[k++] = n->aside.map_fd;
	r = fds[0] < 0 ? fds[0] : fds[1];
	if (r >= 0)
		r = child_start(c, NPP_CTL_START_ISM, &body, sizeof body, fds, k);
	for (unsigned i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return r;
}

static void set_iop_up(struct npp_side *n, unsigned iop, bool up)
{
	_Atomic uint32_t *w = &npp_side_global(n)->iop_up;

	/* Release: whoever sees the bit may use what stands in the regions of that IOP. */
	if (up)
		atomic_fetch_or_explicit(w, 1u << iop, memory_order_release);
	else
		atomic_fetch_and_explicit(w, ~(1u << iop), memory_order_release);
	for (unsigned i = 0; i < n->n_ports; i++)
		engine_serve(&n->tap[i], &n->d->s->npp.prog, atomic_load_explicit(w, memory_order_relaxed));
}

/* Gives the link role to the first ISM from FROM on that is ready. */
static void give_link_role(struct npp_side *n, unsigned from)
{
	struct npp_ctl_role body = { .link = 1 };

	n->link_role_given = false;
	for (unsigned k = 0; k < n->n_iops && !n->link_role_given; k++) {
		unsigned iop = (from + k) % n->n_iops;
		struct child *c = npp_side_ism(n, iop);

		if (c->state != CHILD_READY)
			continue;
		/* Release: pairs with the dispatcher's and the ISMs' acquire before they send it work. */
		atomic_store_explicit(&npp_side_global(n)->link_iop, iop, memory_order_release);
		n->link_role_given = child_send(c, NPP_CTL_ROLE, 0, 0, &body, sizeof body, &n->neigh.fd, 1) == 0;
		if (n->link_role_given)
			npp_debug("%s has the link role", c->name);
	}
}

static int child_begin(struct nppd *d, struct child *c, enum start_kind kind)
{
	struct npp_side *n = d->npp;
	int r;

	if (c->role == NPP_ROLE_DISPATCH) {
		if (kind == START_AFRESH)
			npp_region_empty(&n->dispatch);
		return start_dispatch(n);
	}
	r = start_ism(n, c->index, kind);
	if (r == 0 && kind != START_FIRST) { /* what it shares with others, before it works */
		hosts_tell_ism(n, c->index);
		ipc_tell_ism(n, c->index);
	}
	return r;
}

/* Frames come to IOP number I from now on. */
static void iop_serves(struct npp_side *n, unsigned iop)
{
	set_iop_up(n, iop, true);
	hosts_iop_state(n, iop, true, false);
}

static void child_ready(struct nppd *d, struct child *c, const struct npp_ctl_msg *m)
{
	const struct npp_ctl_ready *ready = (const void *)m->body;
	struct npp_side *n = d->npp;

	if (c->role == NPP_ROLE_ISM) {
		if (m->hdr.len < sizeof *ready || ready->serving)
			iop_serves(n, c->index);
		/* Number 0 first, as long as all are starting. A successor has the role again. */
		if (n->link_role_given ? npp_side_link_iop(n) == c->index : d->up || c->index == 0)
			give_link_role(n, c->index);
	}
	if (!d->up && children_ready(d) == d->n_children)
		nppd_is_up(d);
}

/* As long as a successor is expected its receive ring fills, and nobody takes its flows. */
static void child_died(struct nppd *d, struct child *c, uint32_t pause_ms)
{
	struct npp_side *n = d->npp;

	if (c->role == NPP_ROLE_ISM && pause_ms && npp_side_link_iop(n) == c->index)
		give_link_role(n, (c->index + 1) % n->n_iops);
}

static void child_failed(struct nppd *d, struct child *c)
{
	struct npp_side *n = d->npp;
	unsigned alive = 0;

	if (c->role == NPP_ROLE_DISPATCH) {
		npp_warnx("no frames come in any more: the dispatcher is gone");
	} else {
		set_iop_up(n, c->index, false);
		hosts_iop_state(n, c->index, false, true);
		if (npp_side_link_iop(n) == c->index)
			give_link_role(n, (c->index + 1) % n->n_iops);
	}
	for (unsigned i = 0; i < d->n_children; i++)
		alive += d->child[i].state != CHILD_FAILED;
	if (alive == 0) {
		npp_warnx("all children are gone");
		nppd_stop(d, 1);
	}
}

static const struct npp_region_hdr *private_region(struct nppd *d, const struct child *c)
{
	return c->role == NPP_ROLE_DISPATCH ? d->npp->dispatch.base : d->npp->ism[c->index].base;
}

static void child_msg(struct nppd *d, struct child *c, struct npp_ctl_msg *m)
{
	if (m->hdr.type == NPP_CTL_IPC_OPEN)
		ipc_open(d->npp, c, m);
	else if (m->hdr.type == NPP_CTL_SERVING && c->role == NPP_ROLE_ISM)
		iop_serves(d->npp, c->index);
	else if (m->hdr.type == NPP_CTL_AUTOCONF && c->role == NPP_ROLE_ISM && m->hdr.len >= sizeof(struct npp_autoconf) &&
		 npp_side_link_iop(d->npp) == c->index)
		npp_regions_autoconf(d->npp, c, (const void *)m->body);
	else if (m->hdr.type == NPP_CTL_CONFLICT && c->role == NPP_ROLE_ISM && m->hdr.len >= sizeof(struct npp_conflict))
		conflicts_note(d->npp, (const void *)m->body);
	else if (m->hdr.type == NPP_CTL_GROUPS && c->role == NPP_ROLE_ISM && m->hdr.len >= sizeof(struct npp_groups)) {
		if (npp_side_link_iop(d->npp) == c->index) /* else the role has just moved: the other one says it again */
			npp_regions_groups(d->npp, c, (const void *)m->body);
	}
	else
		child_unexpected(c, m);
}

/* ---- the ports -------------------------------------------------------------------------- */

/* A port in messages: by its name, and where there are several by its number and network. */
static const char *port_text(const struct npp_side *n, unsigned port, char *buf, size_t cap)
{
	const struct port_settings *p = &n->d->s->npp.port[port];

	if (n->n_ports == 1)
		snprintf(buf, cap, "%s", p->name);
	else
		snprintf(buf, cap, "%u (%s%s%s)", port, p->name, p->bridge ? " on " : "", p->bridge ? p->bridge : "");
	return buf;
}

static void on_link_change(struct loop_fd *src)
{
	struct nppd *d = src->arg;
	struct npp_side *n = d->npp;
	unsigned port = (unsigned)(src - n->link_src);
	struct tap *t = &n->tap[port];
	char text[64];
	int carrier;

	tap_events_read(t);
	carrier = tap_carrier(t);
	if (carrier < 0) {
		npp_warnx("port %s: somebody removed the link", port_text(n, port, text, sizeof text));
		loop_del(&d->loop, src);
		carrier = 0;
	}
	if (npp_regions_port_up(n, port, carrier))
		npp_info("port %s is %s", port_text(n, port, text, sizeof text), carrier ? "up" : "down");
}

static int open_port(struct nppd *d, unsigned port)
{
	struct npp_side *n = d->npp;
	struct tap *t = &n->tap[port];
	char text[64];
	int r = tap_probe(t, d->s, CARRIER_MS);

	if (r == -ETIMEDOUT) {
		npp_warnx("port %s has no carrier yet; going on without", port_text(n, port, text, sizeof text));
		r = 0;
	} else if (r == 0) {
		npp_regions_port_up(n, port, true);
	}
	if (r == 0)
		r = loop_add(&d->loop, &n->link_src[port], t->events, on_link_change, d);
	return r;
}

/* If this machine permits it: all goes on without. */
static void load_aside(struct nppd *d)
{
	int r;

	if (d->s->npp.engine != ENGINE_PROCESS)
		return;
	r = steer_load_aside(&d->npp->aside, ETH_HDR_LEN);
	if (r < 0)
		npp_info("strangers are not put aside where they are too many: no eBPF program (%s)", strerror(-r));
}

/* All are opened before one is waited for: they get their carriers at the same time. */
static int open_ports(struct nppd *d)
{
	struct steer *aside = &d->npp->aside;
	int r = 0;

	load_aside(d);
	for (unsigned i = 0; r == 0 && i < d->npp->n_ports; i++)
		r = tap_open(&d->npp->tap[i], d->s, i, aside->prog_fd < 0 ? NULL : aside);
	for (unsigned i = 0; r == 0 && i < d->npp->n_ports; i++)
		r = open_port(d, i);
	return r;
}

/* ---- role ------------------------------------------------------------------------------------ */

static struct npp_side *side_new(struct nppd *d)
{
	struct npp_side *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->d = d;
	n->n_iops = d->s->npp.iops;
	n->n_ports = d->s->npp.n_ports;
	for (unsigned i = 0; i < NPP_MAX_PORTS; i++) {
		tap_init(&n->tap[i]);
		n->link_src[i].fd = -1;
	}
	n->aside = (struct steer)STEER_NULL;
	n->global = n->neigh = n->locks = n->dispatch = (struct npp_region)NPP_REGION_NULL;
	for (unsigned i = 0; i < NPP_MAX_IOPS; i++) {
		n->ism[i] = (struct npp_region)NPP_REGION_NULL;
		n->rx_ctl[i] = n->rx_data[i] = -1;
	}
	memset(n->bell, 0xff, sizeof n->bell); /* -1 */
	memset(n->ipc, 0xff, sizeof n->ipc);
	return n;
}

static int start(struct nppd *d)
{
	int r;

	d->npp = side_new(d);
	if (!d->npp)
		return -ENOMEM;
	child_init(d, NPP_ROLE_DISPATCH, 0);
	for (unsigned i = 0; i < d->npp->n_iops; i++)
		child_init(d, NPP_ROLE_ISM, i);
	r = npp_regions_create(d->npp);
	if (r < 0)
		return r;
	d->npp->grants = grants_new(npp_side_global(d->npp)->granted);
	if (!d->npp->grants)
		return -ENOMEM;
	r = hosts_init(d->npp);
	if (r < 0)
		return r;
	r = open_ports(d);
	for (unsigned i = 0; r == 0 && i < d->npp->n_iops; i++)
		r = start_ism(d->npp, i, START_FIRST);
	if (r == 0)
		r = start_dispatch(d->npp);
	return r;
}

static void status(struct nppd *d, struct npp_ctl_status *st)
{
	st->role = 1;
	st->n_iops = d->npp->n_iops;
	st->n_ports = d->npp->n_ports;
	for (unsigned i = 0; i < d->npp->n_ports; i++) {
		const struct npp_port_cfg *p = &npp_side_global(d->npp)->port[i];

		memcpy(st->port[i].name, p->ifname, sizeof st->port[i].name);
		memcpy(st->port[i].bridge, p->bridge, sizeof st->port[i].bridge);
		st->port[i].up = atomic_load_explicit(&p->up, memory_order_relaxed);
		st->port[i].downs = atomic_load_explicit(&p->downs, memory_order_relaxed);
		st->port[i].drops = tap_drops(&d->npp->tap[i]);
	}
	conflicts_status(d->npp, st);
	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++) {
		const struct host *h = &d->npp->host[i];

		if (h->used && h->told) {
			memcpy(st->attached[i], h->name, sizeof st->attached[i]);
			st->n_hosts++;
		}
	}
}

static unsigned regions(struct nppd *d, struct npp_ctl_regions *r, int *fds, unsigned cap)
{
	struct npp_side *n = d->npp;
	unsigned k = 0;

	if (cap < 3 + d->n_children + n->n_iops)
		return 0;
	fds[k++] = npp_region_reopen_ro(n->global.fd);
	fds[k++] = npp_region_reopen_ro(n->neigh.fd);
	fds[k++] = npp_region_reopen_ro(n->locks.fd);
	for (unsigned i = 0; i < d->n_children; i++)
		fds[k++] = npp_region_reopen_ro(d->child[i].stats.fd);
	for (unsigned i = 0; i < n->n_iops; i++)
		fds[k++] = npp_region_reopen_ro(n->ism[i].fd);
	r->n_stats = d->n_children;
	r->n_private = n->n_iops;
	return k;
}

static void finish(struct nppd *d)
{
	struct npp_side *n = d->npp;

	if (!n)
		return;
	hosts_free(n);
	for (unsigned i = 0; i < NPP_MAX_PORTS; i++) {
		loop_del(&d->loop, &n->link_src[i]);
		tap_close(&n->tap[i]);
	}
	steer_close(&n->aside);
	grants_free(n->grants);
	npp_regions_free(n);
	free(n);
	d->npp = NULL;
}

const struct role_ops npp_role_ops = {
	.start = start, .child_ready = child_ready, .child_start = child_begin, .child_died = child_died,
	.child_failed = child_failed, .private_region = private_region, .may_be_afresh = true, .child_msg = child_msg,
	.host_msg = hosts_msg, .host_gone = hosts_conn_gone, .tool_host = hosts_tool, .status = status, .regions = regions,
	.finish = finish,
};
