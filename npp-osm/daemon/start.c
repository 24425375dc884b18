/* SPDX-License-Identifier: GPL-2.0-or-later
 * start.c - from the START message to READY, and the end
 */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/cores.h"
#include "lib/start.h"
#include "npp-osm/daemon/priv.h"

static uint64_t monotonic_us(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

/* SIZE zeroed bytes of host memory: offset, or 0. */
uint64_t osm_alloc(struct npp_osm *o, uint64_t size)
{
	uint64_t off = osm_heap_alloc(&o->heap, size, OSM_GRAIN);

	if (off)
		memset(osm_at(o, off), 0, osm_heap_round(size));
	return off;
}

void osm_free(struct npp_osm *o, uint64_t off, uint64_t size)
{
	if (osm_heap_free(&o->heap, off, size))
		npp_warnx("host memory at %#llx was not taken", (unsigned long long)off);
}

/* Not for secrets: which ephemeral port is tried first. xorshift64. */
uint64_t osm_random(struct npp_osm *o)
{
	o->rnd ^= o->rnd << 13;
	o->rnd ^= o->rnd >> 7;
	o->rnd ^= o->rnd << 17;
	return o->rnd;
}

/* How many records are for programs: a quarter; servers need them for listeners only. */
uint32_t osm_prog_count(const struct npp_osm *o)
{
	return o->sock_count / 4 < OSM_PROG_MAX ? o->sock_count / 4 : OSM_PROG_MAX;
}

/* ---- messages of nppd -------------------------------------------------------------------- */

static int recv_start(struct npp_osm *o, struct npp_ctl_start_osm *st, int *stats_fd, struct npp_err *e)
{
	int r = npp_start_recv(o->cfg.ctl, npp_abi_layout_hash(), &o->msg, o->body, NPP_CTL_MAX_BODY,
			       o->cfg.start_timeout_ms);

	if (r != 1)
		return npp_err_set(e, r < 0 ? r : -EPIPE, "no START message: %s", strerror(r < 0 ? -r : EPIPE));
	if (o->msg.hdr.type != NPP_CTL_START_OSM || o->msg.hdr.len != sizeof *st || o->msg.hdr.nfds != 3) {
		npp_ctl_close_fds(&o->msg);
		return npp_err_set(e, -EPROTO, "the first message is no START of an OSM");
	}
	memcpy(st, o->msg.body, sizeof *st);
	o->host_fd = npp_ctl_take_fd(&o->msg, 0);
	*stats_fd = npp_ctl_take_fd(&o->msg, 1);
	o->listen_fd = npp_ctl_take_fd(&o->msg, 2);
	if (st->abi_version != NPP_ABI_VERSION || st->layout_hash != npp_abi_layout_hash())
		return npp_err_set(e, -EPROTO, "nppd speaks ABI %u, this is %u, or the layouts differ",
				   st->abi_version, NPP_ABI_VERSION);
	if (st->n_npps == 0 || st->n_npps > NPP_MAX_ATTACH)
		return npp_err_set(e, -EINVAL, "%u NPPs for one host, 1 to %u are possible", st->n_npps, NPP_MAX_ATTACH);
	return 0;
}

static int recv_bells(struct npp_osm *o, struct npp_err *e)
{
	for (unsigned have = 0; have < NPP_MAX_CTX;) {
		struct npp_ctl_bells b;
		int r = npp_ctl_recv(o->cfg.ctl, &o->msg, o->body, NPP_CTL_MAX_BODY, o->cfg.start_timeout_ms);

		if (r != 1)
			return npp_err_set(e, r < 0 ? r : -EPIPE, "%u of %u doorbells came", have, NPP_MAX_CTX);
		memset(&b, 0xff, sizeof b);
		if (o->msg.hdr.type == NPP_CTL_BELLS && o->msg.hdr.len == sizeof b)
			memcpy(&b, o->msg.body, sizeof b);
		if (b.first != have || b.count != o->msg.hdr.nfds || b.count == 0 || b.count > NPP_MAX_CTX - have) {
			npp_ctl_close_fds(&o->msg);
			return npp_err_set(e, -EPROTO, "the doorbells come in disorder");
		}
		for (unsigned i = 0; i < b.count; i++)
			o->bell[have++] = npp_ctl_take_fd(&o->msg, i);
	}
	return 0;
}

/* ---- host memory --------------------------------------------------------------------------- */

static bool part_fits(const struct npp_osm *o, uint64_t off, uint64_t size, uint64_t align)
{
	return off >= sizeof(struct npp_host) && off % align == 0 && off <= o->host_region.size &&
	       size <= o->host_region.size - off;
}

static int map_host(struct npp_osm *o, struct npp_err *e)
{
	struct npp_host *h;
	int err = npp_region_map(&o->host_region, o->host_fd, true, NPP_ADDR_OSM_HOST, NPP_REGION_HOST,
				 npp_abi_layout_hash());

	if (err)
		return npp_err_set(e, err, "host memory: %s", strerror(-err));
	h = o->host = o->host_region.base;
	o->sock_count = h->sock_count;
	if (o->host_region.size < sizeof *h || o->sock_count < 64 || o->sock_count > 1u << 24 ||
	    !part_fits(o, h->ctx_off, sizeof(struct npp_ctx) * NPP_MAX_CTX, NPP_LINE) ||
	    !part_fits(o, h->proc_off, sizeof(struct npp_proc) * NPP_MAX_PROCS, NPP_LINE) ||
	    !part_fits(o, h->sock_off, sizeof(struct npp_sock) * (uint64_t)o->sock_count, NPP_LINE) ||
	    !part_fits(o, h->heap_off, h->heap_size, NPP_LINE) || !part_fits(o, h->osm_off, h->osm_size, NPP_LINE) ||
	    h->osm_size < NPP_OSM_BOOKS_BYTES)
		return npp_err_set(e, -EPROTO, "host memory: the layout at its start makes no sense");
	o->ctx_shm = osm_at(o, h->ctx_off);
	o->proc_shm = osm_at(o, h->proc_off);
	o->sock = osm_at(o, h->sock_off);
	o->books_shm = osm_at(o, h->osm_off);
	o->huge = h->hdr.page_size >= OSM_HUGE;
	err = osm_heap_init(&o->heap, h->heap_off, h->heap_size & ~(uint64_t)(OSM_GRAIN - 1));
	if (err)
		return npp_err_set(e, err, "heap of host memory: %s", strerror(-err));
	o->extent_limit = h->heap_size / 4 * 3;
	return 0;
}

static int map_stats(struct npp_osm *o, int fd, struct npp_err *e)
{
	struct npp_stats_page *p;
	int err = npp_region_map(&o->stats_region, fd, true, 0, NPP_REGION_STATS, npp_abi_layout_hash());

	if (!err && o->stats_region.size < sizeof *p)
		err = -EPROTO;
	if (err)
		return npp_err_set(e, err, "statistics page: %s", strerror(-err));
	p = o->stats_region.base;
	o->stat = p->counter;
	npp_start_page(p, NPP_ROLE_OSM, 0, o->now);
	for (unsigned i = 0; i < NPP_OS_COUNT; i++)
		if (i == NPP_OS_PROCS || i == NPP_OS_CTXS || i == NPP_OS_LISTENERS || i == NPP_OS_BINDS ||
		    i == NPP_OS_EXTENTS || i == NPP_OS_HEAP_USED || i == NPP_OS_HEAP_HELD)
			npp_stat_set(o->stat, i, 0);
	return 0;
}

/* A host that starts: nobody is there but us, context 0. */
static void init_fresh(struct npp_osm *o)
{
	struct npp_host *h = o->host;

	h->sock_prog_count = o->sock_prog_count = osm_prog_count(o);
	h->n_attach = o->n_npps;
	for (uint32_t i = 1; i < o->sock_count; i++)
		atomic_store_explicit(&o->sock[i].ism_handle, OSM_NO_HANDLE, memory_order_relaxed);
	if (getrandom(h->pass_key, sizeof h->pass_key, GRND_NONBLOCK) != sizeof h->pass_key)
		h->pass_key[0] = osm_random(o);
	o->books->magic = OSM_BOOKS_MAGIC;
	o->books->size = sizeof *o->books;
	*o->books_shm = *o->books;
	o->ctx_shm[0].proc = OSM_NO_PROC;
	atomic_store_explicit(&o->ctx_shm[0].state, NPP_CTX_OPEN, memory_order_release);
}

bool npp_osm_verbose(const struct npp_osm *o)
{
	return o->verbose;
}

/* ---- create and destroy -------------------------------------------------------------------- */

static int make_private(struct npp_osm *o)
{
	uint32_t n = o->sock_count;

	o->books = calloc(1, sizeof *o->books);
	o->ctx = calloc(NPP_MAX_CTX, sizeof *o->ctx);
	o->assoc = calloc(OSM_MAX_ASSOC, sizeof *o->assoc);
	o->assoc_of = calloc(n, sizeof *o->assoc_of);
	o->suspect = calloc(n, sizeof *o->suspect);
	o->orphan = calloc(n, sizeof *o->orphan);
	if (!o->books || !o->ctx || !o->assoc || !o->assoc_of || !o->suspect || !o->orphan)
		return -ENOMEM;
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		o->ctx[c].proc = OSM_NO_PROC;
	o->ctx[0].state = NPP_CTX_OPEN;
	if (getrandom(&o->rnd, sizeof o->rnd, GRND_NONBLOCK) != sizeof o->rnd || !o->rnd)
		o->rnd = o->now | 1;
	return 0;
}

static int make_poll(struct npp_osm *o)
{
	sigset_t usr1;
	int err;

	o->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (o->epfd < 0)
		return -errno;
	err = npp_ringer_open(&o->ringer);
	if (err < 0)
		npp_warnx("no asynchronous I/O (%s): a program can make this daemon wait", strerror(-err));
	if (fcntl(o->listen_fd, F_SETFL, fcntl(o->listen_fd, F_GETFL) | O_NONBLOCK) < 0)
		return -errno;
	err = osm_poll_add(o, o->cfg.ctl, OSM_EV_CTL, 0, 0);
	if (!err)
		err = osm_poll_add(o, o->listen_fd, OSM_EV_LISTEN, 0, 0);
	if (!err)
		err = osm_poll_add(o, o->bell[0], OSM_EV_BELL, 0, 0);
	if (err || !o->cfg.signals)
		return err;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	o->sigfd = signalfd(-1, &usr1, SFD_CLOEXEC | SFD_NONBLOCK);
	return o->sigfd < 0 ? -errno : osm_poll_add(o, o->sigfd, OSM_EV_SIGNAL, 0, 0);
}

static struct npp_osm *new_osm(const struct npp_osm_config *cfg)
{
	struct npp_osm *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	o->cfg = *cfg;
	if (!o->cfg.now_us)
		o->cfg.now_us = monotonic_us;
	o->now = o->cfg.now_us(o->cfg.now_arg);
	o->slow_at = o->now + OSM_SLOW_US;
	o->epfd = o->listen_fd = o->host_fd = o->sigfd = -1;
	o->host_region.fd = o->stats_region.fd = -1;
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		o->bell[c] = -1;
	for (unsigned p = 0; p < NPP_MAX_PROCS; p++)
		o->proc[p].pidfd = -1;
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++) {
		o->npp[a].fd = o->npp[a].global_fd = o->npp[a].global.fd = -1;
		for (unsigned i = 0; i < NPP_MAX_IOPS; i++)
			o->npp[a].bell_fd[i] = o->npp[a].inbound_fd[i] = -1;
	}
	for (unsigned s = 0; s < NPP_MAX_SLOTS; s++)
		o->slot[s].region.fd = -1;
	o->body = malloc(NPP_CTL_MAX_BODY);
	o->conn = calloc(OSM_MAX_CONNS, sizeof *o->conn);
	if (!o->body || !o->conn) {
		free(o->body);
		free(o->conn);
		free(o);
		return NULL;
	}
	for (unsigned i = 0; i < OSM_MAX_CONNS; i++)
		o->conn[i].fd = -1;
	for (unsigned k = 0; k < OSM_MAX_PASS; k++)
		o->pass[k].fd = -1;
	return o;
}

int npp_osm_create(struct npp_osm **osm, const struct npp_osm_config *cfg, struct npp_err *e)
{
	struct npp_osm *o = new_osm(cfg);
	struct npp_ctl_start_osm st;
	int stats_fd = -1, err;

	if (!o)
		return npp_err_set(e, -ENOMEM, "no memory");
	err = recv_start(o, &st, &stats_fd, e);
	if (!err) {
		npp_cores_pin((int)st.cpu_plus_1 - 1);
		err = recv_bells(o, e);
	}
	if (!err)
		err = map_host(o, e);
	if (!err)
		err = map_stats(o, stats_fd, e);
	if (stats_fd >= 0)
		close(stats_fd);
	if (!err && (make_private(o) || make_poll(o)))
		err = npp_err_set(e, -ENOMEM, "no memory or descriptors: %s", strerror(errno));
	if (!err) {
		memcpy(o->name, st.name, sizeof o->name);
		o->name[sizeof o->name - 1] = 0;
		o->n_npps = st.n_npps;
		o->grace_ms = st.host_grace_ms;
		o->verbose = st.verbose;
		if (st.restart)
			err = osm_rebuild(o, e);
		else
			init_fresh(o);
	}
	if (!err) {
		atomic_fetch_add_explicit(&o->host->hdr.generation, 1, memory_order_relaxed);
		atomic_store_explicit(&o->host->hdr.ready, 1, memory_order_release);
		err = npp_ctl_send(o->cfg.ctl, NPP_CTL_READY, 0, 0, NULL, 0, NULL, 0);
		if (err)
			npp_err_set(e, err, "nppd does not hear READY: %s", strerror(-err));
	}
	if (err) {
		npp_osm_destroy(o);
		return err;
	}
	*osm = o;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void npp_osm_destroy(struct npp_osm *o)
{
	if (!o)
		return;
	/* First of all: this may take long in the kernel, and the NPPs give a grace from the end of
	 * their connections on. */
	npp_ringer_close(&o->ringer);
	for (unsigned i = 0; i < OSM_MAX_CONNS; i++)
		close_fd(o->conn[i].fd);
	for (unsigned k = 0; k < OSM_MAX_PASS; k++)
		close_fd(o->pass[k].fd);
	for (unsigned p = 0; p < NPP_MAX_PROCS; p++)
		close_fd(o->proc[p].pidfd);
	for (unsigned s = 0; s < NPP_MAX_SLOTS; s++)
		osm_slot_unmap(o, s);
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++) {
		osm_npp_close_fds(o, a);
		close_fd(o->npp[a].fd);
	}
	for (struct osm_death *d; (d = o->deaths);) {
		o->deaths = d->next;
		free(d->ref);
		free(d);
	}
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		close_fd(o->bell[c]);
	close_fd(o->sigfd);
	close_fd(o->epfd);
	close_fd(o->listen_fd);
	close_fd(o->host_fd);
	npp_region_unmap(&o->host_region);
	npp_region_unmap(&o->stats_region);
	osm_heap_fini(&o->heap);
	free(o->books);
	free(o->ctx);
	free(o->assoc);
	free(o->assoc_of);
	free(o->suspect);
	free(o->orphan);
	free(o->conn);
	free(o->body);
	free(o);
}
