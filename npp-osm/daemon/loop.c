/* SPDX-License-Identifier: GPL-2.0-or-later
 * loop.c - one epoll over everything, and the timers
 */
#include "config.h"

#include <linux/sockios.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/start.h"
#include "npp-osm/daemon/priv.h"

#define BATCH 64
#define OUTQ_MAX 65536	/* bytes that the other side has not read; far below the send buffer */

bool osm_would_block(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQ, &n) == 0 && n > OUTQ_MAX;
}

int osm_poll_add(struct npp_osm *o, int fd, unsigned kind, uint32_t index, uint32_t serial)
{
	struct epoll_event ev = { .events = EPOLLIN };

	ev.data.u64 = (uint64_t)kind << 56 | (uint64_t)(index & 0xffff) << 32 | serial;
	return epoll_ctl(o->epfd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

void osm_poll_del(struct npp_osm *o, int fd)
{
	epoll_ctl(o->epfd, EPOLL_CTL_DEL, fd, NULL);
}

/* Programs and ISMs hold the same open files: they must not be able to make us wait. */
void osm_ring(struct npp_osm *o, int efd)
{
	npp_ringer_add(&o->ringer, efd);
	npp_ringer_flush(&o->ringer);
}

/* ---- nppd of this host ------------------------------------------------------------------ */

static void on_ctl(struct npp_osm *o)
{
	int r = npp_ctl_recv(o->cfg.ctl, &o->msg, o->body, NPP_CTL_MAX_BODY, 0);

	if (r == -EAGAIN)
		return;
	if (r != 1) {
		o->stop = true;
		return;
	}
	if (o->msg.hdr.type == NPP_CTL_STOP) {
		o->stop = true;
	} else if (o->msg.hdr.type == NPP_CTL_NPP_CONN && o->msg.hdr.len == sizeof(struct npp_ctl_npp_conn)) {
		struct npp_ctl_npp_conn c;
		int fd = npp_ctl_take_fd(&o->msg, 0);

		memcpy(&c, o->msg.body, sizeof c);
		if (fd >= 0)
			osm_npp_conn(o, &c, fd);
	} else {
		npp_warnx("nppd sends a message of type %u that makes no sense", o->msg.hdr.type);
	}
	npp_ctl_close_fds(&o->msg);
}

static void on_signal(struct npp_osm *o)
{
	struct signalfd_siginfo si;
	struct npp_ctl_check c;

	while (read(o->sigfd, &si, sizeof si) == sizeof si) {
		unsigned wrong = npp_osm_check(o, &c, stderr);

		npp_info("check: %u things wrong; %u processes, %u contexts, %u bound sockets, %u records in use, "
			 "%u with more references than descriptors, %llu KB taken", wrong, c.procs, c.ctxs, c.binds,
			 c.socks_used, c.refs_high, (unsigned long long)c.heap_used / 1024);
	}
}

static void on_event(struct npp_osm *o, uint64_t data)
{
	unsigned kind = (unsigned)(data >> 56), i = (unsigned)(data >> 32) & 0xffff;
	uint32_t serial = (uint32_t)data;

	switch (kind) {
	case OSM_EV_CTL:
		on_ctl(o);
		break;
	case OSM_EV_LISTEN:
		osm_conn_accept(o);
		break;
	case OSM_EV_BELL:
		npp_bell_drain(o->bell[0]);
		break;
	case OSM_EV_SIGNAL:
		on_signal(o);
		break;
	case OSM_EV_CONN:
		if (i < OSM_MAX_CONNS && o->conn[i].fd >= 0 && o->conn[i].serial == serial)
			osm_conn_input(o, i);
		break;
	case OSM_EV_NPP:
		if (i < NPP_MAX_ATTACH && o->npp[i].fd >= 0 && o->npp[i].serial == serial)
			osm_npp_input(o, i);
		break;
	case OSM_EV_PROC:
		if (i < NPP_MAX_PROCS && o->proc[i].state == NPP_PROC_OPEN && o->proc[i].serial == serial)
			osm_proc_died(o, i);
		break;
	case OSM_EV_PASS: /* nothing is ever sent there: it is the end */
		if (i < OSM_MAX_PASS && o->pass[i].fd >= 0 && o->pass[i].serial == serial)
			osm_pass_end(o, i);
		break;
	default:
		break;
	}
}

/* ---- timers ------------------------------------------------------------------------------- */

/* After a restart: are all NPPs back that our predecessor had, or is it too late? */
static void hold_tick(struct npp_osm *o)
{
	bool all = true;

	for (unsigned a = 0; a < o->n_npps; a++)
		all &= atomic_load_explicit(&o->host->attach[a].state, memory_order_relaxed) == 0 || o->npp[a].attached;
	if (!all && o->now < o->hold_until)
		return;
	o->hold_until = 0;
	if (osm_poll_add(o, o->listen_fd, OSM_EV_LISTEN, 0, 0))
		npp_warn("programs cannot be heard");
}

static void timers(struct npp_osm *o)
{
	if (o->hold_until)
		hold_tick(o);
	if (o->backlog)
		osm_pump(o);
	if (o->ctx_closing)
		osm_ctx_tick(o);
	if (o->deaths)
		osm_death_tick(o);
	osm_assoc_tick(o);
	osm_sweep_tick(o);
	osm_npp_tick(o);
	if (o->now < o->slow_at)
		return;
	o->slow_at = o->now + OSM_SLOW_US;
	osm_embryo_tick(o);
	osm_ctx_orphans_tick(o);
	osm_assoc_gc(o);
	osm_submore_tick(o);
	osm_orphans_tick(o);
	osm_pass_tick(o);
}

/* Milliseconds until something is due, at most MAX. While ISMs owe us something that
 * rings no bell (room in a lane, the end of a context) we look every millisecond. */
static int patience(const struct npp_osm *o, int max)
{
	uint64_t due = o->slow_at, ms;

	if (o->backlog || o->ctx_closing || o->deaths)
		return max < 1 ? max : 1;
	if (o->hold_until && o->hold_until < due)
		due = o->hold_until;
	if (o->sweeps_left && o->sweep_at < due)
		due = o->sweep_at;
	for (unsigned i = 0; i < o->assoc_hi && o->assoc_busy; i++)
		if (o->assoc[i].deadline && o->assoc[i].deadline < due)
			due = o->assoc[i].deadline;
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++)
		if (o->npp[a].lost_at && o->npp[a].lost_at < due)
			due = o->npp[a].lost_at;
	ms = due <= o->now ? 0 : (due - o->now + 999) / 1000;
	return ms < (uint64_t)max ? (int)ms : max;
}

int npp_osm_step(struct npp_osm *o, int max_wait_ms)
{
	struct npp_stats_page *page = o->stats_region.base;
	struct epoll_event ev[BATCH];
	int n, wait;

	o->now = o->cfg.now_us(o->cfg.now_arg);
	timers(o);
	osm_npp_reap_broken(o);
	wait = patience(o, max_wait_ms);
	npp_bell_announce(&o->ctx_shm[0].sleeping);
	if (wait && osm_lanes_pending(o))
		wait = 0;
	n = epoll_wait(o->epfd, ev, BATCH, wait);
	npp_bell_awake(&o->ctx_shm[0].sleeping);
	if (n < 0 && errno != EINTR)
		return -errno;
	o->now = o->cfg.now_us(o->cfg.now_arg);
	for (int i = 0; i < n && !o->stop; i++)
		on_event(o, ev[i].data.u64);
	if (osm_drain_lanes(o) || n > 0)
		npp_start_worked(page, o->now);
	osm_npp_reap_broken(o);
	npp_stat_set(o->stat, NPP_OS_HEAP_USED, o->heap.used);
	atomic_store_explicit(&page->now_us, o->now, memory_order_relaxed);
	return o->stop ? 0 : 1;
}
