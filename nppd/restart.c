/* SPDX-License-Identifier: GPL-2.0-or-later
 * restart.c - one process takes the place of another on the same regions
 *
 * A successor is started while its predecessor still works, and asked whether it fits the
 * region (PROBE): if not, nothing has been stopped. Only when the predecessor has been reaped
 * does it get START, and with it the regions. The gap in service is thus the time to stop,
 * map and rebuild, not that to load a program.
 *
 *   asked by a tool:  spawn, PROBE, fits -> STOP (KILL after a while), reap -> START ... READY
 *   death by itself:  reap -> [back-off] spawn, PROBE, fits -> START ... READY
 *
 * A child that dies again and again, without working a while in between, is started after
 * growing pauses; then once more on an empty region, where its role can do without the old
 * one; in the end it is given up.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/proc.h"
#include "nppd/nppd.h"
#include "shm/stats.h"

#define PROBE_MS 5000		/* for a successor to answer */
#define STOP_ONE_MS 3000	/* for a predecessor to end */
#define HEALTHY_MS 1000		/* who worked so long did not die of what it found */
#define PAUSE_MS 50		/* before the second try in a row; doubled each time */
#define PAUSE_MAX_MS 2000
#define TRIES_ON_STATE 4	/* then on an empty region */
#define TRIES 8			/* then it is given up */
#define WORK_MS 2		/* how often we look whether it works */
#define WORK_LOOKS 50

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static struct npp_stats_page *page(const struct child *c)
{
	return c->stats.base;
}

/* Connections that takeovers of C have cost so far. */
static uint64_t lost_so_far(const struct child *c)
{
	return c->role == NPP_ROLE_ISM ? atomic_load_explicit(&page(c)->counter[NPP_IS_LOST], memory_order_relaxed) : 0;
}

/* Tells whoever asked, once. */
static void tell(struct child *c, int error, const struct npp_ctl_restarted *done)
{
	struct conn *to = c->asker;

	c->asker = NULL;
	if (to)
		nppd_send(to->src.fd, 200, NPP_CTL_ANSWER, c->asker_seq, error, done, done ? sizeof *done : 0, NULL, 0);
}

/* ---- the successor, before it is one ------------------------------------------------- */

static void next_forget(struct child *c)
{
	struct successor *n = &c->next;

	loop_del(&c->d->loop, &n->pid_src);
	loop_del(&c->d->loop, &n->ctl_src);
	loop_timer_stop(&c->d->loop, &n->timer);
	n->p = (struct process)PROCESS_NONE;
	n->fits = false;
}

static void again(struct child *c);

/* There will be no successor. The predecessor goes on, if there is one. */
static void next_failed(struct child *c, int error)
{
	tell(c, error, NULL);
	if (c->p.pidfd < 0 && !c->d->stopping) {
		if (error == -EPROTO)
			restart_give_up(c, "its program does not fit the memory that it should go on from");
		else
			again(c);
	}
}

static void on_next_death(struct loop_fd *src)
{
	struct child *c = src->arg;
	char how[128];
	int status = 0;

	if (waitpid(c->next.p.pid, &status, WNOHANG) != c->next.p.pid)
		return;
	if (!c->next.refused && !c->d->stopping)
		npp_warnx("%s: its successor (pid %d) %s before it was needed", c->name, (int)c->next.p.pid,
			  npp_proc_describe_exit(status, how, sizeof how));
	close(c->next.p.pidfd);
	close(c->next.p.ctl);
	next_forget(c);
	next_failed(c, c->next.refused ? -EPROTO : -ECHILD);
}

static void next_kill(struct child *c)
{
	process_kill(&c->next.p, SIGKILL);
}

static void on_next_late(struct loop_timer *t)
{
	struct child *c = t->arg;

	npp_warnx("%s: its successor (pid %d) does not answer", c->name, (int)c->next.p.pid);
	next_kill(c);
}

static void on_next_message(struct loop_fd *src)
{
	struct child *c = src->arg;
	struct npp_ctl_msg m;
	uint8_t buf[256];
	int r = npp_ctl_recv(c->next.p.ctl, &m, buf, sizeof buf, 0);

	if (r == -EAGAIN)
		return;
	if (r <= 0) { /* its end comes by its pidfd */
		loop_del(&c->d->loop, &c->next.ctl_src);
		if (r < 0)
			next_kill(c);
		return;
	}
	npp_ctl_close_fds(&m);
	if (m.hdr.type != NPP_CTL_PROBED)
		return;
	loop_timer_stop(&c->d->loop, &c->next.timer);
	if (m.hdr.error) {
		npp_warnx("%s: another program has taken its place that does not fit its memory; %s", c->name,
			  c->p.pidfd >= 0 ? "the running one goes on" : "it cannot go on");
		c->next.refused = true;
		next_kill(c);
		return;
	}
	c->next.fits = true;
	restart_step(c);
}

static int next_spawn(struct child *c)
{
	const struct npp_region_hdr *hdr = c->d->ops->private_region(c->d, c);
	struct npp_ctl_probe probe = { .abi_version = NPP_ABI_VERSION, .shared_hash = npp_abi_layout_hash(),
				       .layout_hash = hdr->layout_hash };
	struct successor *n = &c->next;
	int r = process_spawn(c, &n->p);

	if (r < 0)
		return r;
	n->refused = n->fits = false;
	r = loop_add(&c->d->loop, &n->pid_src, n->p.pidfd, on_next_death, c);
	if (r == 0)
		r = loop_add(&c->d->loop, &n->ctl_src, n->p.ctl, on_next_message, c);
	if (r == 0)
		r = nppd_send(n->p.ctl, 1000, NPP_CTL_PROBE, 1, 0, &probe, sizeof probe, NULL, 0);
	if (r < 0 && r != -EPIPE) {
		next_kill(c);
		waitpid(n->p.pid, NULL, 0);
		close(n->p.pidfd);
		close(n->p.ctl);
		next_forget(c);
		return r;
	}
	loop_timer_set(&c->d->loop, &n->timer, PROBE_MS, on_next_late, c);
	return 0;
}

/* ---- the change ------------------------------------------------------------------------- */

static void on_stop_late(struct loop_timer *t)
{
	struct child *c = t->arg;

	npp_warnx("%s (pid %d) did not end within %d ms", c->name, (int)c->p.pid, STOP_ONE_MS);
	child_kill(c, SIGKILL);
}

static void stop_predecessor(struct child *c)
{
	if (c->stop_said)
		return;
	c->stop_said = true;
	c->gap_us = now_us();
	if (c->p.ctl < 0 || nppd_send(c->p.ctl, 0, NPP_CTL_STOP, 0, 0, NULL, 0, NULL, 0) < 0)
		child_kill(c, SIGKILL);
	loop_timer_set(&c->d->loop, &c->stop_timer, STOP_ONE_MS, on_stop_late, c);
}

static void promote(struct child *c)
{
	struct process p = c->next.p;

	next_forget(c);
	c->restarts++;
	c->lost_before = lost_so_far(c);
	if (child_adopt(c, &p) < 0)
		return; /* killed; its death is seen */
	c->d->ops->child_start(c->d, c, c->afresh ? START_AFRESH : START_AGAIN);
	c->afresh = false;
}

void restart_step(struct child *c)
{
	if (c->d->stopping || !c->next.fits)
		return;
	if (c->p.pidfd >= 0)
		stop_predecessor(c);
	else
		promote(c);
}

/* ---- ready, and at work ------------------------------------------------------------------- */

static void on_work_look(struct loop_timer *t)
{
	struct child *c = t->arg;
	uint64_t work = atomic_load_explicit(&page(c)->work_us, memory_order_relaxed);
	struct npp_ctl_restarted done = { .old_pid = c->old_pid, .pid = c->p.pid, .ready_us = c->ready_us };

	if (!work && ++c->work_looks < WORK_LOOKS) {
		loop_timer_set(&c->d->loop, t, WORK_MS, on_work_look, c);
		return;
	}
	done.work_us = work > c->gap_us ? work - c->gap_us : 0;
	done.lost = lost_so_far(c) - c->lost_before;
	npp_info("%s (pid %d) has taken over: ready after %" PRIu64 ".%03u ms, %" PRIu64 " connections lost", c->name,
		 (int)c->p.pid, done.ready_us / 1000, (unsigned)(done.ready_us % 1000), done.lost);
	c->gap_us = 0;
	tell(c, 0, &done);
}

void restart_ready(struct child *c)
{
	c->healthy_ms = loop_now_ms() + HEALTHY_MS;
	if (!c->gap_us) /* the first of all */
		return;
	c->ready_us = now_us() - c->gap_us;
	c->work_looks = 0;
	loop_timer_set(&c->d->loop, &c->work_timer, 0, on_work_look, c);
}

/* ---- deaths --------------------------------------------------------------------------------- */

void restart_give_up(struct child *c, const char *why)
{
	npp_warnx("%s is given up: %s", c->name, why);
	c->state = CHILD_FAILED;
	c->gap_us = 0;
	c->deaths = 0;
	tell(c, -ECHILD, NULL);
	c->d->ops->child_failed(c->d, c);
}

static void on_pause_over(struct loop_timer *t)
{
	struct child *c = t->arg;

	if (!c->d->stopping && c->next.p.pidfd < 0 && next_spawn(c) < 0)
		again(c);
}

/* C, which is not running, is tried again. */
static void again(struct child *c)
{
	uint32_t pause = 0;

	if (loop_now_ms() >= c->healthy_ms)
		c->deaths = 0;
	if (++c->deaths > TRIES) {
		restart_give_up(c, "it dies each time it is started");
		return;
	}
	c->healthy_ms = UINT64_MAX; /* until it is ready once more */
	if (c->deaths > 1) {
		pause = PAUSE_MS << (c->deaths - 2);
		pause = pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause;
		npp_warnx("%s: %u deaths in a row; the next try in %u ms", c->name, c->deaths, pause);
	}
	if (c->deaths > TRIES_ON_STATE && c->d->ops->may_be_afresh && !c->afresh) {
		npp_warnx("%s begins anew, without what its predecessors knew", c->name);
		c->afresh = true;
	}
	if (pause)
		c->d->ops->child_died(c->d, c, pause);
	loop_timer_set(&c->d->loop, &c->pause_timer, pause, on_pause_over, c);
}

void restart_died(struct child *c)
{
	bool asked = c->stop_said;

	c->d->ops->child_died(c->d, c, 0);
	c->stop_said = false;
	loop_timer_stop(&c->d->loop, &c->stop_timer);
	loop_timer_stop(&c->d->loop, &c->work_timer);
	if (!c->gap_us)
		c->gap_us = now_us();
	if (c->next.fits) {
		restart_step(c);
		return;
	}
	if (c->next.p.pidfd >= 0)
		return; /* it is being asked whether it fits */
	if (!asked)
		tell(c, -ECHILD, NULL);
	again(c);
}

/* ---- what tools ask --------------------------------------------------------------------------- */

int restart_ask(struct conn *conn, const struct npp_ctl_msg *m)
{
	const struct npp_ctl_restart *b = (const void *)m->body;
	struct nppd *d = conn->d;
	struct child *c = NULL;
	int r;

	if (m->hdr.len != sizeof *b)
		return -EPROTO;
	for (unsigned i = 0; i < d->n_children; i++)
		if (d->child[i].role == b->role && d->child[i].index == b->index)
			c = &d->child[i];
	r = !c ? -ENOENT : d->stopping ? -ESHUTDOWN : 0;
	if (r == 0 && (c->asker || c->next.p.pidfd >= 0 || (c->state != CHILD_READY && c->state != CHILD_FAILED) ||
		       c->gap_us))
		r = -EBUSY;
	if (r == 0) {
		bool failed = c->state == CHILD_FAILED;

		c->afresh = failed && d->ops->may_be_afresh;
		c->old_pid = failed ? 0 : c->p.pid;
		r = next_spawn(c);
		if (r == 0 && failed)
			c->state = CHILD_DOWN;
	}
	if (r < 0)
		return nppd_send(conn->src.fd, 200, NPP_CTL_ANSWER, m->hdr.seq, r, NULL, 0, NULL, 0);
	c->asker = conn;
	c->asker_seq = m->hdr.seq;
	if (c->p.pidfd < 0)
		c->gap_us = now_us();
	return 0;
}

void restart_conn_gone(struct nppd *d, const struct conn *conn)
{
	for (unsigned i = 0; i < d->n_children; i++)
		if (d->child[i].asker == conn)
			d->child[i].asker = NULL;
}

void restart_stop(struct nppd *d)
{
	for (unsigned i = 0; i < d->n_children; i++) {
		struct child *c = &d->child[i];

		loop_timer_stop(&d->loop, &c->pause_timer);
		loop_timer_stop(&d->loop, &c->work_timer);
		if (c->next.p.pidfd >= 0)
			next_kill(c);
	}
}
