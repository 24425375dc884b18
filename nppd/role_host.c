/* SPDX-License-Identifier: GPL-2.0-or-later
 * role_host.c - nppd in the role of a host: its memory, doorbells, OSM, and its NPPs
 *
 * For each NPP it connects to RUNDIR/NPP.sock, says HOST_CONN with the host's name and
 * passes the connection to npp-osm, which speaks from then on. Nothing of it is kept
 * here, so that its end is seen at both ends; whether an attachment stands is read in
 * the host's memory, and one that broke is connected again.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nppd/nppd.h"
#include "shm/bell.h"

#define RETRY_MS 50		/* until an NPP is there */
#define WATCH_MS 25		/* look at the attachments, until all stand */
#define WATCH_UP_MS 250		/* afterwards */
#define SETTLE_MS 2000		/* for npp-osm to say that it attaches, and for all IOPs to say HELLO */
#define SAY_MS 3000		/* then it is worth saying that we wait */

enum link_state { LINK_DOWN, LINK_ASKING, LINK_PASSED };
struct link {		/* to the nppd of an NPP */
	struct nppd *d;
	uint32_t attach;
	const char *name;
	enum link_state state;
	int fd;			/* ASKING */
	struct loop_fd src;
	struct loop_timer timer;
	uint64_t since_ms;	/* in this state */
	bool said;
};

struct host_side {
	struct npp_region mem;
	int bell[NPP_MAX_CTX];
	int osm_listen;
	char osm_path[108];
	struct link link[NPP_MAX_ATTACH];
	struct loop_timer watch;
};

static struct npp_host *memory(struct nppd *d)
{
	return d->host->mem.base;
}

/* ---- host memory ----------------------------------------------------------------------- */

static uint64_t place(uint64_t *at, uint64_t bytes)
{
	uint64_t off = (*at + 4095) & ~4095ull;

	*at = off + bytes;
	return off;
}

static int create_memory(struct nppd *d)
{
	const struct host_settings *s = &d->s->host;
	uint64_t at = sizeof(struct npp_host);
	struct npp_host *h;
	int r = nppd_region(d, &d->host->mem, "npp-host", NPP_REGION_HOST, s->memory, 0, npp_abi_layout_hash(), true);

	if (r < 0)
		return r;
	h = memory(d);
	snprintf(h->name, sizeof h->name, "%s", s->name);
	h->n_attach = s->n_npps;
	h->sock_count = s->sockets;
	h->ctx_off = place(&at, sizeof(struct npp_ctx) * NPP_MAX_CTX);
	h->proc_off = place(&at, sizeof(struct npp_proc) * NPP_MAX_PROCS);
	h->sock_off = place(&at, sizeof(struct npp_sock) * (uint64_t)s->sockets);
	h->osm_size = NPP_OSM_BOOKS_BYTES;
	h->osm_off = place(&at, h->osm_size);
	h->heap_off = place(&at, 0);
	h->heap_size = d->host->mem.size - h->heap_off;
	for (uint32_t i = 0; i < s->n_npps; i++)
		snprintf(h->attach[i].name, sizeof h->attach[i].name, "%s", s->npps[i]);
	return 0;
}

static int create_bells(struct nppd *d)
{
	for (unsigned i = 0; i < NPP_MAX_CTX; i++) {
		d->host->bell[i] = npp_bell_create();
		if (d->host->bell[i] < 0) {
			npp_warnx("doorbell %u: %s", i, strerror(-d->host->bell[i]));
			return d->host->bell[i];
		}
	}
	return 0;
}

/* ---- npp-osm ------------------------------------------------------------------------------- */

static int listen_osm(struct nppd *d)
{
	struct host_side *h = d->host;
	int n = snprintf(h->osm_path, sizeof h->osm_path, "%s/%s.osm.sock", d->rundir, d->s->host.name);

	h->osm_listen = n < 0 || (size_t)n >= sizeof h->osm_path ? -ENAMETOOLONG : npp_ctl_listen(h->osm_path, 0666);
	if (h->osm_listen < 0)
		return npp_conf_error_key(d->s->conf, d->s->host.node, "name", "%s/%s.osm.sock: %s", d->rundir,
					  d->s->host.name, strerror(-h->osm_listen));
	return 0;
}

static int start_osm(struct nppd *d, struct child *c, enum start_kind kind)
{
	const struct host_settings *s = &d->s->host;
	struct npp_ctl_start_osm body = { .abi_version = NPP_ABI_VERSION, .layout_hash = npp_abi_layout_hash(),
		.restart = kind == START_AGAIN, .n_npps = s->n_npps, .verbose = d->verbose,
		.host_grace_ms = s->grace_ms, .cpu_plus_1 = (uint32_t)(nppd_cpu(d, 0) + 1) };
	int fds[3] = { d->host->mem.fd, c->stats.fd, d->host->osm_listen }, r;

	snprintf(body.name, sizeof body.name, "%s", s->name);
	for (uint32_t i = 0; i < s->n_npps; i++)
		snprintf(body.npp[i], sizeof body.npp[i], "%s", s->npps[i]);
	r = child_start(c, NPP_CTL_START_OSM, &body, sizeof body, fds, 3);
	for (uint32_t i = 0; r == 0 && i < NPP_MAX_CTX; i += 128) {
		struct npp_ctl_bells b = { .first = i, .count = 128 };

		r = child_send(c, NPP_CTL_BELLS, 0, 0, &b, sizeof b, d->host->bell + i, 128);
	}
	return r == -EPIPE ? 0 : r; /* dead already: said when it is reaped */
}

/* ---- NPPs --------------------------------------------------------------------------------------- */

static void link_try(struct loop_timer *t);

static void link_state(struct link *l, enum link_state state)
{
	l->state = state;
	l->since_ms = loop_now_ms();
}

static void link_down(struct link *l, uint32_t retry_ms)
{
	loop_del(&l->d->loop, &l->src);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	if (l->state != LINK_DOWN)
		link_state(l, LINK_DOWN);
	loop_timer_set(&l->d->loop, &l->timer, retry_ms, link_try, l);
}

/* The NPP has answered HOST_CONN. */
static void on_link_answer(struct loop_fd *src)
{
	struct link *l = src->arg;
	struct npp_ctl_npp_conn body = { .attach = l->attach };
	struct npp_ctl_msg m;
	uint8_t buf[64];
	int r = npp_ctl_recv(l->fd, &m, buf, sizeof buf, 0);

	if (r == -EAGAIN)
		return;
	if (r == 0) { /* it has ended meanwhile */
		link_down(l, RETRY_MS);
		return;
	}
	if (r == 1) {
		npp_ctl_close_fds(&m);
		r = m.hdr.type == NPP_CTL_ANSWER ? m.hdr.error : -EPROTO;
		if (r == -EAGAIN) { /* it is starting */
			link_down(l, RETRY_MS);
			return;
		}
		if (r < 0 && !l->said)
			npp_warnx("NPP %s refuses this host: %s", l->name, strerror(-r));
		l->said |= r < 0;
		if (r == 0) {
			snprintf(body.name, sizeof body.name, "%s", l->name);
			r = child_send(&l->d->child[0], NPP_CTL_NPP_CONN, 0, 0, &body, sizeof body, &l->fd, 1);
		}
		if (r == 0) {
			link_state(l, LINK_PASSED);
			loop_del(&l->d->loop, &l->src);
			close(l->fd);
			l->fd = -1;
			loop_timer_stop(&l->d->loop, &l->timer);
			npp_debug("connected to NPP %s", l->name);
			return;
		}
	}
	link_down(l, 1000);
}

/* Connects and sends HOST_CONN. fd or -errno. */
static int dial(struct nppd *d, const char *npp)
{
	struct npp_ctl_npp_conn body = { 0 };
	int room = 1 << 20, fd, r;
	char path[108];

	if ((size_t)snprintf(path, sizeof path, "%s/%s.sock", d->rundir, npp) >= sizeof path)
		return -ENAMETOOLONG;
	fd = npp_ctl_connect(path);
	if (fd < 0)
		return fd;
	snprintf(body.name, sizeof body.name, "%s", d->s->host.name);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room); /* npp-osm sends all doorbells at once */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	r = nppd_send(fd, 100, NPP_CTL_HOST_CONN, 1, 0, &body, sizeof body, NULL, 0);
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* Waits for the answer to HOST_CONN. 0 or -errno. */
static int link_await(struct link *l)
{
	int r = loop_add(&l->d->loop, &l->src, l->fd, on_link_answer, l);

	if (r < 0)
		return r;
	link_state(l, LINK_ASKING);
	loop_timer_set(&l->d->loop, &l->timer, 5000, link_try, l);
	return 0;
}

static void link_try(struct loop_timer *t)
{
	struct link *l = t->arg;
	struct nppd *d = l->d;
	int r;

	if (l->state == LINK_ASKING) { /* no answer: it is not well */
		link_down(l, RETRY_MS);
		return;
	}
	l->fd = d->child[0].state == CHILD_READY ? dial(d, l->name) : -ENOTCONN;
	r = l->fd < 0 ? l->fd : link_await(l);
	if (r < 0) {
		if (!l->said && loop_now_ms() - l->since_ms > SAY_MS) {
			npp_info("waiting for NPP %s (%s/%s.sock): %s", l->name, d->rundir, l->name, strerror(-r));
			l->said = true;
		}
		link_down(l, RETRY_MS);
		return;
	}
}

/* Do the IOPs in the bitmap UP do for a host to be ready? All of N; after a while those
 * that there are. */
static bool enough_iops(struct link *l, uint32_t up, uint32_t n)
{
	if (l->state != LINK_PASSED || n < 1 || n > NPP_MAX_IOPS)
		return false;
	if (up == (n == 32 ? 0xffffffffu : (1u << n) - 1))
		return true;
	if (!up || loop_now_ms() - l->since_ms < SETTLE_MS)
		return false;
	if (!l->d->up)
		npp_warnx("NPP %s: only %d of %u IOPs serve this host", l->name, __builtin_popcount(up), n);
	return true;
}

/* Do all attachments stand, with their IOPs? Those that fell are connected again. */
static bool look_at_attachments(struct nppd *d)
{
	bool all = true;

	for (uint32_t i = 0; i < d->s->host.n_npps; i++) {
		struct link *l = &d->host->link[i];
		/* Acquire: pairs with npp-osm's release of state and iop_up. */
		uint32_t state = atomic_load_explicit(&memory(d)->attach[i].state, memory_order_acquire);
		uint32_t up = atomic_load_explicit(&memory(d)->attach[i].iop_up, memory_order_acquire);
		uint32_t n = memory(d)->attach[i].n_iops;

		all = all && state == 2 && enough_iops(l, up, n);
		if (l->state == LINK_PASSED && state == 3 && loop_now_ms() - l->since_ms > SETTLE_MS) {
			npp_info("NPP %s is gone; waiting for it to come back", l->name);
			l->said = false;
			link_down(l, RETRY_MS);
		}
	}
	return all;
}

static void on_watch(struct loop_timer *t)
{
	struct nppd *d = t->arg;

	if (d->stopping)
		return;
	if (look_at_attachments(d) && !d->up)
		nppd_is_up(d);
	loop_timer_set(&d->loop, t, d->up ? WATCH_UP_MS : WATCH_MS, on_watch, d);
}

/* ---- role ------------------------------------------------------------------------------------------ */

static int start(struct nppd *d)
{
	struct host_side *h = calloc(1, sizeof *h);
	int r;

	if (!h)
		return -ENOMEM;
	d->host = h;
	h->mem = (struct npp_region)NPP_REGION_NULL;
	h->osm_listen = -1;
	memset(h->bell, 0xff, sizeof h->bell); /* -1 */
	for (uint32_t i = 0; i < NPP_MAX_ATTACH; i++)
		h->link[i] = (struct link){ .d = d, .attach = i, .fd = -1, .src.fd = -1 };
	child_init(d, NPP_ROLE_OSM, 0);
	r = listen_osm(d);
	if (r == 0)
		r = create_memory(d);
	if (r == 0)
		r = create_bells(d);
	if (r == 0)
		r = child_stats_create(&d->child[0]);
	if (r == 0)
		r = start_osm(d, &d->child[0], START_FIRST);
	return r;
}

static void child_ready(struct nppd *d, struct child *c, const struct npp_ctl_msg *m)
{
	(void)c;
	(void)m;
	for (uint32_t i = 0; i < d->s->host.n_npps; i++) {
		struct link *l = &d->host->link[i];

		l->name = d->s->host.npps[i];
		link_state(l, LINK_DOWN);
		if (l->fd < 0) /* else since the predecessor's death */
			loop_timer_set(&d->loop, &l->timer, 0, link_try, l);
		else if (link_await(l) < 0)
			link_down(l, RETRY_MS);
	}
	loop_timer_set(&d->loop, &d->host->watch, WATCH_MS, on_watch, d);
}

static void stop_links(struct nppd *d)
{
	for (uint32_t i = 0; d->host && i < NPP_MAX_ATTACH; i++) {
		struct link *l = &d->host->link[i];

		loop_timer_stop(&d->loop, &l->timer);
		loop_del(&d->loop, &l->src);
		if (l->fd >= 0)
			close(l->fd);
		l->fd = -1;
	}
}

/* The programs work on; their requests and the NPPs wait for a successor. The NPPs hear from us at
 * once that there will be one: their answers stay unread until it is there. */
static void child_died(struct nppd *d, struct child *c, uint32_t pause_ms)
{
	(void)c;
	(void)pause_ms;
	stop_links(d);
	loop_timer_stop(&d->loop, &d->host->watch);
	for (uint32_t i = 0; d->up && !d->stopping && i < d->s->host.n_npps; i++) {
		int fd = dial(d, d->s->host.npps[i]);

		d->host->link[i].fd = fd < 0 ? -1 : fd;
	}
}

static void child_failed(struct nppd *d, struct child *c)
{
	(void)c;
	npp_warnx("the host ends: without npp-osm its programs can open no sockets");
	nppd_stop(d, 1);
}

static const struct npp_region_hdr *private_region(struct nppd *d, const struct child *c)
{
	(void)c;
	return d->host->mem.base;
}

static void child_msg(struct nppd *d, struct child *c, struct npp_ctl_msg *m)
{
	(void)d;
	child_unexpected(c, m);
}

static void status(struct nppd *d, struct npp_ctl_status *st)
{
	st->role = 2;
	st->n_hosts = d->s->host.n_npps;
	for (uint32_t i = 0; i < d->s->host.n_npps; i++)
		snprintf(st->attached[i], sizeof st->attached[i], "%s", d->s->host.npps[i]);
}

static unsigned regions(struct nppd *d, struct npp_ctl_regions *r, int *fds, unsigned cap)
{
	if (cap < 2)
		return 0;
	fds[0] = npp_region_reopen_ro(d->host->mem.fd);
	fds[1] = npp_region_reopen_ro(d->child[0].stats.fd);
	r->n_stats = 1;
	r->n_private = 1;
	return 2;
}

/* Tells the NPPs that the host will not come back. */
static void say_goodbye(struct nppd *d)
{
	for (uint32_t i = 0; d->up && i < d->s->host.n_npps; i++) {
		int fd = dial(d, d->s->host.npps[i]);

		if (fd < 0)
			continue;
		nppd_send(fd, 100, NPP_CTL_HOST_LEAVE, 0, 0, NULL, 0, NULL, 0);
		close(fd);
	}
}

static void stopping(struct nppd *d)
{
	stop_links(d);
	if (d->host)
		loop_timer_stop(&d->loop, &d->host->watch);
}

static void finish(struct nppd *d)
{
	struct host_side *h = d->host;

	if (!h)
		return;
	say_goodbye(d);
	stop_links(d);
	if (h->osm_listen >= 0) {
		unlink(h->osm_path);
		close(h->osm_listen);
	}
	for (unsigned i = 0; i < NPP_MAX_CTX; i++)
		if (h->bell[i] >= 0)
			close(h->bell[i]);
	npp_region_unmap(&h->mem);
	free(h);
	d->host = NULL;
}

const struct role_ops host_role_ops = {
	.start = start, .child_ready = child_ready, .child_start = start_osm, .child_died = child_died,
	.child_failed = child_failed, .private_region = private_region, .child_msg = child_msg,
	.status = status, .regions = regions, .stopping = stopping, .finish = finish,
};
