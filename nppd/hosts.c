/* SPDX-License-Identifier: GPL-2.0-or-later
 * hosts.c - the hosts of an NPP: attachment, ports, and their end
 *
 * ATTACH brings the host's memory, BELLS its doorbells, ATTACH_DONE ends that; then the
 * ISMs are told and say HELLO to the host's OSM by themselves. When the connection ends
 * the host has a moment to come back with the same memory; only then it has failed:
 * the ISMs forget it and its ports are free.
 *
 * What is on the other end runs with less than we do: everything is checked.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nppd/npp_side.h"
#include "shm/bell.h"
#include "shm/i2oq.h"
#include "shm/share.h"

#define PINGS 4		/* that are not answered: frozen */
#define BELLS_PER_MSG 200
#define GRACES 10	/* that a host has one after the other, if it is on its way */
#define LATE_MS 50

/* ---- its end ---------------------------------------------------------------------- */

static struct host_name *name_of(struct npp_side *n, const char *name, bool make)
{
	struct host_name *k;

	for (unsigned i = 0; i < n->n_names; i++)
		if (strcmp(n->names[i].name, name) == 0)
			return &n->names[i];
	if (!make || n->n_names == 2 * NPP_MAX_HOSTS)
		return NULL;
	k = &n->names[n->n_names++];
	snprintf(k->name, sizeof k->name, "%s", name);
	return k;
}

/* Host H takes part in what members share, or not any more. */
static void take_part(struct host *h, bool yes)
{
	struct npp_global *g = npp_side_global(h->npp);
	const struct host_name *k = name_of(h->npp, h->name, false);
	uint64_t old = atomic_load_explicit(&g->share, memory_order_relaxed);
	uint64_t list = npp_share_with(old, h->no, yes && k && k->member ? k->weight : 0);

	grants_sharing(h->npp->grants, h->no, k && k->member);
	if (list == old)
		return;
	/* release: pairs with the ISMs' acquire when a flow begins */
	atomic_store_explicit(&g->share, list, memory_order_release);
	atomic_fetch_add_explicit(&g->share_gen, 1, memory_order_relaxed);
}

int hosts_init(struct npp_side *n)
{
	const struct npp_settings *s = &n->d->s->npp;
	struct npp_global *g = npp_side_global(n);

	g->share_policy = s->policy;
	g->share_hosts = s->n_share;
	if (getrandom(g->share_key, sizeof g->share_key, 0) != sizeof g->share_key)
		return -EIO;
	for (uint32_t i = 0; i < s->n_share; i++) {
		struct host_name *k = name_of(n, s->share[i].name, true);

		k->member = true;
		k->weight = s->share[i].weight;
	}
	return 0;
}

static void tell_detach(struct host *h)
{
	struct npp_ctl_host_attach body = { .host_no = h->no, .attach = h->attach, .slot = h->attach * NPP_MAX_IOPS };

	for (unsigned i = 0; h->told && i < h->npp->n_iops; i++) {
		struct child *c = npp_side_ism(h->npp, i);

		body.slot = h->attach * NPP_MAX_IOPS + i;
		if (c->p.ctl >= 0)
			child_send(c, NPP_CTL_HOST_DETACH, 0, 0, &body, sizeof body, NULL, 0);
	}
	h->told = false;
}

static void host_free(struct host *h, const char *why)
{
	unsigned ports;

	if (!h->used)
		return;
	if (!h->npp->d->stopping) {
		take_part(h, false); /* before its listeners go: nothing new comes to it */
		tell_detach(h);
		ports = grants_release_host(h->npp->grants, h->no);
		npp_info("host %s (number %u) %s; %u ports are free again", h->name, h->no, why, ports);
	}
	loop_timer_stop(&h->npp->d->loop, &h->grace);
	loop_timer_stop(&h->npp->d->loop, &h->ping);
	grants_sharing(h->npp->grants, h->no, false);
	if (h->conn)
		h->conn->host = NULL;
	for (unsigned i = 0; i < NPP_MAX_CTX; i++)
		if (h->bell[i] >= 0)
			close(h->bell[i]);
	for (unsigned i = 0; i < NPP_MAX_IOPS; i++) {
		npp_region_unmap(&h->inbound[i]);
		if (h->in_bell[i] >= 0)
			close(h->in_bell[i]);
	}
	if (h->mem_fd >= 0)
		close(h->mem_fd);
	h->used = false;
}

static void has_failed(struct host *h, const char *why)
{
	struct host_name *k = name_of(h->npp, h->name, false);

	if (k)
		k->failures++;
	host_free(h, why);
}

/* Is the supervisor of H connected, to pass its connection to the next npp-osm? */
static bool is_on_its_way(const struct host *h)
{
	for (const struct conn *c = h->npp->d->conns; c; c = c->next)
		if (c->is_host && !c->host && strcmp(c->host_name, h->name) == 0)
			return true;
	return false;
}

/* A host whose supervisor lives has a successor of its npp-osm in the making, which may take longer
 * where many want the cores. Neither do we judge who had no time to look ourselves. */
static void on_grace_over(struct loop_timer *t)
{
	struct host *h = t->arg;
	uint64_t late_ms = loop_now_ms() - t->due_ms;

	if (h->graces < GRACES && (is_on_its_way(h) || late_ms > h->grace_ms / 4 + LATE_MS)) {
		h->graces++;
		loop_timer_set(&h->npp->d->loop, t, h->grace_ms, on_grace_over, h);
		return;
	}
	has_failed(h, "has failed");
}

/* Its programs may be as they were, but nobody there reacts: for its peers it is dead. When it wakes
 * it finds its connection closed and attaches anew. */
static void on_ping(struct loop_timer *t)
{
	struct host *h = t->arg;
	struct nppd *d = h->npp->d;
	uint32_t ms = d->s->npp.frozen_ms;
	struct conn *c = h->conn;

	if (!ms || !c)
		return;
	if (h->pings == PINGS) {
		npp_warnx("host %s does not answer for %u ms: taken for frozen", h->name, ms);
		has_failed(h, "has failed");
		conn_close(d, c);
		return;
	}
	/* Not sent where it would wait: one that reads nothing does not answer either. */
	(void)nppd_send(c->src.fd, 0, NPP_CTL_PING, 0, 0, NULL, 0, NULL, 0);
	h->pings++;
	loop_timer_set(&d->loop, t, ms / PINGS + 1, on_ping, h);
}

static void ping_start(struct host *h)
{
	h->pings = 0;
	if (h->npp->d->s->npp.frozen_ms)
		loop_timer_set(&h->npp->d->loop, &h->ping, h->npp->d->s->npp.frozen_ms / PINGS + 1, on_ping, h);
}

void hosts_conn_gone(struct nppd *d, struct conn *c)
{
	struct host *h = c->host;

	if (!h)
		return;
	h->conn = NULL;
	c->host = NULL;
	if (d->stopping)
		return;
	loop_timer_stop(&d->loop, &h->ping);
	if (h->told) {
		npp_info("host %s (number %u) is gone; it has %u ms to come back", h->name, h->no, h->grace_ms);
		h->graces = 1;
		loop_timer_set(&d->loop, &h->grace, h->grace_ms, on_grace_over, h);
	} else {
		host_free(h, "left before it was attached");
	}
}

void hosts_free(struct npp_side *n)
{
	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++)
		host_free(&n->host[i], "is detached");
}

/* ---- attachment ---------------------------------------------------------------------- */

static int make_inbound(struct host *h)
{
	for (unsigned i = 0; i < h->npp->n_iops; i++) {
		struct npp_inbound *in;
		int r = nppd_region(h->npp->d, &h->inbound[i], "npp-inbound", NPP_REGION_INBOUND, sizeof *in, i,
				    npp_abi_layout_hash(), false);

		if (r < 0)
			return r;
		h->in_bell[i] = npp_bell_create();
		if (h->in_bell[i] < 0)
			return h->in_bell[i];
		in = h->inbound[i].base;
		in->host = h->no;
		in->iop = i;
		for (unsigned k = 0; k < NPP_MAX_CTX; k++)
			npp_i2oq_init(&in->lane[k]);
	}
	return 0;
}

static struct host *find_host(struct npp_side *n, const char *name)
{
	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++)
		if (n->host[i].used && strcmp(n->host[i].name, name) == 0)
			return &n->host[i];
	return NULL;
}

static struct host *new_host(struct npp_side *n, const char *name)
{
	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++) {
		struct host *h = &n->host[i];

		if (h->used)
			continue;
		memset(h, 0, sizeof *h);
		h->npp = n;
		h->used = true;
		h->no = i;
		h->mem_fd = -1;
		memset(h->bell, 0xff, sizeof h->bell); /* -1 */
		memset(h->in_bell, 0xff, sizeof h->in_bell);
		for (unsigned k = 0; k < NPP_MAX_IOPS; k++)
			h->inbound[k] = (struct npp_region)NPP_REGION_NULL;
		memcpy(h->name, name, sizeof h->name);
		return h;
	}
	return NULL;
}

static int send_attached(struct host *h, uint32_t seq)
{
	struct npp_side *n = h->npp;
	struct npp_ctl_attached body = { .attach = h->attach, .host_no = h->no, .n_iops = n->n_iops };
	int fds[1 + 2 * NPP_MAX_IOPS], r;
	unsigned k = 0;

	body.iop_up = atomic_load_explicit(&npp_side_global(n)->iop_up, memory_order_relaxed);
	memcpy(body.name, npp_side_global(n)->name, sizeof body.name);
	fds[k++] = npp_region_reopen_ro(n->global.fd);
	if (fds[0] < 0)
		return fds[0];
	for (unsigned i = 0; i < n->n_iops; i++)
		fds[k++] = h->in_bell[i];
	for (unsigned i = 0; i < n->n_iops; i++)
		fds[k++] = h->inbound[i].fd;
	r = nppd_send(h->conn->src.fd, 200, NPP_CTL_ATTACHED, seq, 0, &body, sizeof body, fds, k);
	close(fds[0]);
	return r;
}

static int refuse(struct conn *c, uint32_t seq, int error, const char *why)
{
	npp_warnx("host %s: %s", c->host_name, why);
	return nppd_send(c->src.fd, 200, NPP_CTL_ATTACHED, seq, error, NULL, 0, NULL, 0);
}

/* The host came back with memory MEM within its grace: nothing has changed for anybody. */
static int come_back(struct host *h, struct conn *c, uint32_t seq)
{
	loop_timer_stop(&h->npp->d->loop, &h->grace);
	h->conn = c;
	h->attach_seq = seq;
	c->host = h;
	ping_start(h);
	npp_info("host %s (number %u) is back", h->name, h->no);
	return 0;
}

static int on_attach(struct npp_side *n, struct conn *c, struct npp_ctl_msg *m)
{
	const struct npp_ctl_attach *b = (const void *)m->body;
	const struct host_name *k;
	struct host *h;
	struct stat st;
	size_t size;
	bool huge;
	int mem;

	if (m->hdr.len != sizeof *b || m->hdr.nfds != 1 || c->host)
		return -EPROTO;
	if (b->abi_version != NPP_ABI_VERSION || b->layout_hash != npp_abi_layout_hash())
		return refuse(c, m->hdr.seq, -EPROTO, "its programs are of another version");
	if (b->attach >= NPP_MAX_ATTACH || npp_memfd_check(m->fds[0], &size, &huge) < 0 ||
	    size < sizeof(struct npp_host) || fstat(m->fds[0], &st) < 0)
		return refuse(c, m->hdr.seq, -EINVAL, "what it brings is not host memory");
	k = name_of(n, c->host_name, false);
	if (k && k->down)
		return refuse(c, m->hdr.seq, -EHOSTDOWN, "is declared down");
	h = find_host(n, c->host_name);
	if (h && h->conn)
		return refuse(c, m->hdr.seq, -EBUSY, "is attached already");
	if (h && h->mem_ino == st.st_ino && h->attach == b->attach)
		return come_back(h, c, m->hdr.seq);
	if (h)
		host_free(h, "came back with other memory");
	h = new_host(n, c->host_name);
	if (!h)
		return refuse(c, m->hdr.seq, -EUSERS, "there are too many hosts");
	mem = npp_ctl_take_fd(m, 0);
	h->mem_fd = mem;
	h->mem_ino = st.st_ino;
	h->attach = b->attach;
	h->grace_ms = b->grace_ms < n->d->s->npp.grace_ms ? b->grace_ms : n->d->s->npp.grace_ms;
	h->conn = c;
	h->attach_seq = m->hdr.seq;
	c->host = h;
	ping_start(h);
	return make_inbound(h) < 0 ? -ENOMEM : 0;
}

static int on_bells(struct host *h, struct npp_ctl_msg *m)
{
	const struct npp_ctl_bells *b = (const void *)m->body;
	uint32_t first, count;

	if (m->hdr.len != sizeof *b)
		return -EPROTO;
	first = b->first;
	count = b->count;
	if (count != m->hdr.nfds || first > NPP_MAX_CTX || count > NPP_MAX_CTX - first)
		return -EPROTO;
	if (h->told)
		return 0; /* back within its grace: the ISMs have them */
	for (uint32_t i = 0; i < count; i++) {
		if (h->bell[first + i] >= 0)
			return -EPROTO;
		h->bell[first + i] = npp_ctl_take_fd(m, i);
		h->n_bells++;
	}
	return 0;
}

static int tell_ism(struct host *h, unsigned iop)
{
	struct npp_ctl_host_attach body = { .host_no = h->no, .attach = h->attach,
					    .slot = h->attach * NPP_MAX_IOPS + iop };
	int fds[3] = { h->mem_fd, h->inbound[iop].fd, h->in_bell[iop] }, r;
	struct child *c = npp_side_ism(h->npp, iop);

	if (c->p.ctl < 0) /* its successor is told when it starts */
		return 0;
	r = child_send(c, NPP_CTL_HOST_ATTACH, 0, 0, &body, sizeof body, fds, 3);
	for (uint32_t i = 0; r == 0 && i < NPP_MAX_CTX; i += BELLS_PER_MSG) {
		uint32_t count = NPP_MAX_CTX - i < BELLS_PER_MSG ? NPP_MAX_CTX - i : BELLS_PER_MSG;
		struct npp_ctl_bells bells = { .host_no = h->no, .first = i, .count = count };

		r = child_send(c, NPP_CTL_BELLS, 0, 0, &bells, sizeof bells, h->bell + i, count);
	}
	return r;
}

/* The ISMs hear of it before the OSM does, which makes the lanes that they wait for: they
 * then have the doorbells to say HELLO with. */
static int on_attach_done(struct host *h)
{
	if (h->told)
		return send_attached(h, h->attach_seq);
	if (h->n_bells != NPP_MAX_CTX)
		return -EPROTO;
	h->told = true;
	for (unsigned i = 0; i < h->npp->n_iops; i++)
		tell_ism(h, i); /* one that does not take it is killed, and the others serve */
	take_part(h, true);
	npp_info("host %s is attached as number %u", h->name, h->no);
	return send_attached(h, h->attach_seq);
}

/* ---- ports --------------------------------------------------------------------------------- */

static bool our_addr(struct npp_side *n, const union npp_addr *a)
{
	const struct npp_global *g = npp_side_global(n);

	if (npp_addr_is_any(a) || npp_addr_is_multicast(a))
		return true;
	for (uint32_t i = 0; i < g->n_addrs; i++)
		if (npp_addr_eq(&g->addr[i].addr, a))
			return true;
	return false;
}

static unsigned grant_flags(const struct npp_ctl_port *b)
{
	bool any6 = npp_addr_is_any(&b->addr) && !npp_addr_is_v4(&b->addr);

	return (b->reuse & NPP_PORT_ALONE ? GRANT_ALONE : 0) | (any6 && b->reuse & 4 ? GRANT_V6ONLY : 0);
}

static int on_grant(struct host *h, const struct npp_ctl_msg *m)
{
	struct npp_ctl_port b;
	int r;

	if (m->hdr.len != sizeof b)
		return -EPROTO;
	memcpy(&b, m->body, sizeof b);
	r = our_addr(h->npp, &b.addr) ? grants_take(h->npp->grants, h->no, b.proto, &b.addr, grant_flags(&b),
						   &b.port) : -EADDRNOTAVAIL;
	return nppd_send(h->conn->src.fd, 200, NPP_CTL_PORT_GRANTED, m->hdr.seq, r, &b, sizeof b, NULL, 0);
}

static int on_release(struct host *h, const struct npp_ctl_msg *m)
{
	struct npp_ctl_port b;

	if (m->hdr.len != sizeof b)
		return -EPROTO;
	memcpy(&b, m->body, sizeof b);
	grants_release(h->npp->grants, h->no, b.proto, &b.addr, grant_flags(&b), b.port);
	return 0;
}

/* ---- tools --------------------------------------------------------------------------------- */

static uint32_t conns_of(const struct npp_side *n, unsigned h)
{
	const struct npp_locks *l = n->locks.base;
	uint32_t sum = 0;

	for (unsigned i = 0; i < n->n_iops; i++)
		sum += atomic_load_explicit(&l->load[i].open[h], memory_order_relaxed);
	return sum;
}

static void describe(struct npp_side *n, struct npp_ctl_hosts *a)
{
	const struct npp_global *g = npp_side_global(n);
	uint64_t list = atomic_load_explicit(&g->share, memory_order_relaxed);
	unsigned at = NPP_MAX_HOSTS;

	memset(a, 0, sizeof *a);
	a->policy = g->share_policy;
	a->generation = atomic_load_explicit(&g->share_gen, memory_order_relaxed);
	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++) {
		const struct host *h = &n->host[i];
		const struct host_name *k = h->used ? name_of(n, h->name, false) : NULL;

		if (!h->used || !h->told)
			continue;
		memcpy(a->host[i].name, h->name, sizeof a->host[i].name);
		a->host[i].state = h->conn ? 1 : 2;
		a->host[i].share = npp_share_of(list, i);
		a->host[i].ports = grants_of_host(n->grants, i);
		a->host[i].failures = k ? k->failures : 0;
		a->host[i].conns = conns_of(n, i);
	}
	for (unsigned i = 0; i < n->n_names && at < 2 * NPP_MAX_HOSTS; i++) {
		const struct host_name *k = &n->names[i];
		const struct host *h = find_host(n, k->name);

		if ((h && h->told) || (!k->member && !k->down && !k->failures))
			continue;
		memcpy(a->host[at].name, k->name, sizeof a->host[at].name);
		a->host[at].state = k->down ? 3 : 0;
		a->host[at].share = k->member ? k->weight : 0;
		a->host[at++].failures = k->failures;
	}
}

/* 0 or -errno. */
static int change(struct npp_side *n, const struct npp_ctl_tool_host *b)
{
	struct host *h = find_host(n, b->name);
	struct host_name *k = name_of(n, b->name, h != NULL);

	if (!k)
		return h ? -ENOSPC : -ENOENT;
	switch (b->what) {
	case NPP_HOST_DOWN:
		k->down = true;
		if (h) {
			struct conn *c = h->conn;

			has_failed(h, "is declared down");
			if (c)
				conn_close(n->d, c);
		}
		return 0;
	case NPP_HOST_UP:
		k->down = false;
		return 0;
	case NPP_HOST_WEIGHT:
		if (b->weight > NPP_SHARE_WEIGHT_MAX || !k->member)
			return -EINVAL;
		k->weight = b->weight;
		if (h && h->told)
			take_part(h, true);
		npp_info("host %s: its share is %u from now on", k->name, k->weight);
		return 0;
	default:
		return -EINVAL;
	}
}

int hosts_tool(struct nppd *d, struct conn *c, const struct npp_ctl_msg *m)
{
	struct npp_ctl_tool_host b;
	struct npp_ctl_hosts a;
	int r = 0;

	if (m->hdr.len != sizeof b)
		return -EPROTO;
	memcpy(&b, m->body, sizeof b);
	b.name[sizeof b.name - 1] = '\0';
	if (b.what != NPP_HOST_SHOW)
		r = change(d->npp, &b);
	describe(d->npp, &a);
	return nppd_send(c->src.fd, 200, NPP_CTL_ANSWER, m->hdr.seq, r, &a, r ? 0 : sizeof a, NULL, 0);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

int hosts_msg(struct nppd *d, struct conn *c, struct npp_ctl_msg *m)
{
	if (m->hdr.type == NPP_CTL_ATTACH)
		return on_attach(d->npp, c, m);
	if (m->hdr.type == NPP_CTL_HOST_LEAVE) { /* also over another connection of the same host's nppd */
		struct host *h = find_host(d->npp, c->host_name);

		if (h)
			host_free(h, "leaves");
		return 0;
	}
	if (!c->host)
		return -EPROTO;
	c->host->pings = 0;
	switch (m->hdr.type) {
	case NPP_CTL_PONG:
		return 0;
	case NPP_CTL_BELLS:
		return on_bells(c->host, m);
	case NPP_CTL_ATTACH_DONE:
		return on_attach_done(c->host);
	case NPP_CTL_PORT_GRANT:
		return on_grant(c->host, m);
	case NPP_CTL_PORT_RELEASE:
		return on_release(c->host, m);
	default:
		return -EPROTO;
	}
}

void hosts_tell_ism(struct npp_side *n, unsigned iop)
{
	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++) {
		struct npp_ctl_host_attach gone = { .host_no = i };
		struct host *h = &n->host[i];

		if (h->used && h->told)
			tell_ism(h, iop);
		else
			child_send(npp_side_ism(n, iop), NPP_CTL_HOST_DETACH, 0, 0, &gone, sizeof gone, NULL, 0);
	}
}

void hosts_iop_state(struct npp_side *n, unsigned iop, bool up, bool lost)
{
	struct npp_locks *l = n->locks.base;

	/* What it had is gone; it can write its row itself only when it runs. */
	for (unsigned i = 0; lost && i < NPP_MAX_HOSTS; i++)
		atomic_store_explicit(&l->load[iop].open[i], 0, memory_order_relaxed);
	for (unsigned i = 0; i < NPP_MAX_HOSTS; i++) {
		struct host *h = &n->host[i];
		struct npp_ctl_iop body = { .attach = h->attach, .iop = iop, .up = up, .lost = lost };

		if (h->used && h->conn)
			nppd_send(h->conn->src.fd, 200, NPP_CTL_IOP_STATE, 0, 0, &body, sizeof body, NULL, 0);
	}
}
