/* SPDX-License-Identifier: GPL-2.0-or-later
 * run.c - the socket ISM, the stack and the rings as sources and threads of the net kernel
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cores.h"
#include "lib/log.h"
#include "lib/start.h"
#include "npp-ism/socket/ism.h"

#define RX_BUDGET 64
#define IPC_BUDGET 64
#define HOST_BUDGET 256
#define TIMER_BUDGET 256
#define CONTROL_BUDGET 16
#define RX_BATCH 16		/* frames, or */
#define RX_BATCH_BYTES (96u << 10) /* bytes, after which output and doorbells are due */
#define HOUSE_US 10000
#define HOUSE_URGENT_US 1000
#define SWEEP_US 250000
#define SWEEP_HURRY_US 10000	/* memory is short */
#define SPIN_US 20

/* ---- receive ring ----------------------------------------------------------------- */

static bool rx_pending(void *arg)
{
	struct ism *I = arg;

	return npp_fring_depth(&I->rx) != 0;
}

/* Shows the stack the frames of the next batch. Walks a copy of our end of the ring: what it finds
 * wrong is found again, and counted, by rx_run(). */
static void rx_look_ahead(struct ism *I)
{
	struct npp_fring_cons look = I->rx;
	const void *frame[STACK_AHEAD];
	uint32_t len[STACK_AHEAD];
	const struct npp_frame_rec *rec;
	unsigned n = 0;

	while (n < STACK_AHEAD && (rec = npp_fring_peek(&look, &len[n]))) {
		frame[n] = rec + 1;
		npp_fring_advance(&look, len[n++]);
	}
	stack_prefetch(I->stack, frame, len, n);
}

static unsigned rx_run(void *arg, unsigned budget)
{
	struct ism *I = arg;
	const struct npp_frame_rec *rec;
	uint32_t len, batch_bytes = 0;
	uint64_t bytes = 0;
	unsigned n = 0;

	while (n < budget && (rec = npp_fring_peek(&I->rx, &len))) {
		struct npp_frame_rec r = *rec; /* the producer could change it */

		if (n % STACK_AHEAD == 0)
			rx_look_ahead(I);
		/* The next record's header and first headers of its frame, if there is one. */
		__builtin_prefetch((const char *)(rec + 1) + ((len + 63u) & ~63u));
		r.len = len;
		stack_input(I->stack, &r, rec + 1, len);
		npp_fring_advance(&I->rx, len);
		n++;
		bytes += len;
		batch_bytes += len;
		if (n % RX_BATCH == 0 || batch_bytes >= RX_BATCH_BYTES) {
			npp_fring_release(&I->rx);
			ism_flush(I);
			batch_bytes = 0;
		}
	}
	npp_fring_release(&I->rx);
	if (n)
		npp_start_worked(I->page, I->now_us);
	npp_stat_add(I->stats, NPP_IS_RX_FRAMES, n);
	npp_stat_add(I->stats, NPP_IS_RX_BYTES, bytes);
	return n;
}

static void rx_announce(void *arg, bool asleep)
{
	struct ism *I = arg;

	atomic_store_explicit(&I->rx.m.ctl->sleeping, asleep, memory_order_relaxed);
}

/* ---- hosts --------------------------------------------------------------------------- */

static bool host_pending(void *arg)
{
	struct ism *I = arg;

	return ism_host_pending(I) || I->r->dirty_head != ISM_NONE || I->r->settle_head != ISM_NONE;
}

static unsigned host_run(void *arg, unsigned budget)
{
	return ism_host_run(arg, budget);
}

static void host_announce(void *arg, bool asleep)
{
	struct ism *I = arg;

	for (unsigned h = 0; h < I->host_end; h++)
		if (I->host[h])
			atomic_store_explicit(&I->host[h]->inbound->sleeping, asleep, memory_order_relaxed);
}

/* ---- timers --------------------------------------------------------------------------- */

static bool timer_pending(void *arg)
{
	struct ism *I = arg;

	return stack_timer_due(I->stack, I->nk.now_us);
}

static unsigned timer_run(void *arg, unsigned budget)
{
	struct ism *I = arg;
	unsigned n = stack_run_timers(I->stack, budget);

	npp_stat_add(I->stats, NPP_IS_TIMERS, n);
	return n;
}

/* ---- the net kernel's hooks ------------------------------------------------------------ */

static void hook_now(void *arg, uint64_t now_us)
{
	ism_set_now(arg, now_us);
}

static void hook_flush(void *arg)
{
	struct ism *I = arg;
	struct nk_tstate *t = &I->r->nk.thread[I->th_house];

	ism_flush(I);
	if (I->urgent && (t->lazy || !t->due_us || t->due_us > I->now_us + HOUSE_URGENT_US))
		nk_thread_alarm(&I->nk, I->th_house, I->now_us + HOUSE_URGENT_US, false);
}

static uint64_t hook_timer(void *arg)
{
	struct ism *I = arg;

	return stack_next_timer(I->stack);
}

/* ---- threads ----------------------------------------------------------------------------- */

static void house_thread(struct nk *nk, void *arg)
{
	struct ism *I = arg;
	bool urgent = ism_housekeeping(I);

	if (I->page)
		atomic_store_explicit(&I->page->now_us, I->now_us, memory_order_relaxed);
	if (I->have_rx)
		npp_stat_set(I->stats, NPP_IS_RX_DEPTH, npp_fring_depth(&I->rx));
	nk_thread_alarm(nk, I->th_house, I->now_us + (urgent ? HOUSE_URGENT_US : HOUSE_US), !urgent);
}

static void sweep_thread(struct nk *nk, void *arg)
{
	struct ism *I = arg;

	ism_sweep_thread(nk, arg);
	if (ism_sweep_hurry(I))
		nk_thread_alarm(nk, I->th_sweep, I->now_us + SWEEP_HURRY_US, false);
	else
		nk_thread_alarm(nk, I->th_sweep, I->now_us + SWEEP_US, true);
}

/* Are there cores for all of us: dispatcher, IOPs, one program? Who is pinned may share his. */
static bool cores_to_spare(const struct ism *I)
{
	return npp_cores() > I->n_iops + 2;
}

void ism_run_setup(struct ism *I)
{
	const struct nk_hooks hooks = { I, hook_now, hook_flush, hook_timer };
	const struct nk_source sources[] = {
		{ "rx", NK_RX, RX_BUDGET, I, rx_pending, rx_run, rx_announce },
		{ "ipc", NK_IPC, IPC_BUDGET, I, ism_ipc_pending, ism_ipc_run, ism_ipc_announce },
		{ "host", NK_HOST, HOST_BUDGET, I, host_pending, host_run, host_announce },
		{ "timer", NK_TIMER, TIMER_BUDGET, I, timer_pending, timer_run, NULL },
		{ "control", NK_CONTROL, CONTROL_BUDGET, I, NULL, ism_control_run, NULL },
	};

	int err;

	if (I->start.restart)
		err = nk_attach(&I->nk, &I->r->nk, I->bells[I->iop], I->stats, &hooks);
	else
		err = nk_init(&I->nk, &I->r->nk, I->bells[I->iop], I->stats, &hooks);
	if (err < 0) {
		npp_warnx("nothing can be waited for: %s", strerror(-err));
		I->broken = true;
		nk_stop(&I->nk);
		return;
	}
	for (unsigned i = 0; i < sizeof sources / sizeof sources[0]; i++)
		if (I->have_rx || sources[i].cause != NK_RX)
			nk_source_add(&I->nk, &sources[i]);
	err = ism_port_open(I);
	if (err < 0)
		npp_warnx("the port cannot be read: %s", strerror(-err));
	if (I->ctl >= 0)
		nk_watch_fd(&I->nk, I->ctl, NK_CONTROL);
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		I->host_watch[h] = nk_watch_bell(&I->nk);
	err = I->ringer.aio ? 0 : npp_ringer_open(&I->ringer);
	if (err < 0)
		npp_warnx("no asynchronous I/O (%s): a program that fills its doorbell can stop this IOP",
			  strerror(-err));
	I->th_house = nk_thread_add(&I->nk, NK_HIGH, "housekeeping", house_thread, I);
	I->th_scan = nk_thread_add(&I->nk, NK_NORMAL, "scan", ism_scan_thread, I);
	I->th_sweep = nk_thread_add(&I->nk, NK_LOW, "sweep", sweep_thread, I);
	nk_thread_raise(&I->nk, I->th_house);
	nk_thread_alarm(&I->nk, I->th_sweep, I->nk.now_us + SWEEP_US, true);
	/* a spin sees rings, not the port: there it would only be late */
	I->nk.spin_us = cores_to_spare(I) && !I->port[0] ? SPIN_US : 0;
}

int ism_run(struct ism *I)
{
	nk_run(&I->nk);
	return I->broken ? -1 : 0;
}

void ism_destroy(struct ism *I)
{
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		ism_host_unmap(I, h);
	for (unsigned i = 0; i < NPP_MAX_IOPS; i++) {
		if (!I->ipc[i].open)
			continue;
		npp_fring_detach(&I->ipc[i].out.m);
		npp_fring_detach(&I->ipc[i].in.m);
	}
	if (I->have_rx)
		npp_fring_detach(&I->rx.m);
	if (I->regulars)
		munmap(I->regulars, sizeof *I->regulars);
	npp_region_unmap(&I->global);
	npp_region_unmap(&I->neigh);
	npp_region_unmap(&I->neigh_rw);
	npp_region_unmap(&I->stats_region);
	npp_region_unmap(&I->locks);
	npp_region_unmap(&I->priv);
	npp_ringer_close(&I->ringer);
	ism_port_close(I);
	nk_close(&I->nk);
	ism_control_free(I);
}

struct ism *ism_new(void)
{
	struct ism *I = calloc(1, sizeof *I);

	if (!I)
		return NULL;
	I->ctl = I->nk.epfd = -1;
	for (unsigned i = 0; i < NPP_MAX_PORTS; i++)
		I->tap[i] = -1;
	for (unsigned i = 0; i < NPP_MAX_IOPS; i++)
		I->bells[i] = -1;
	I->global = I->neigh = I->neigh_rw = I->stats_region = I->locks = I->priv =
		(struct npp_region)NPP_REGION_NULL;
	return I;
}
