/* SPDX-License-Identifier: GPL-2.0-or-later
 * run.c - the dispatcher's loop: batches, sleep, the control socket
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/log.h"
#include "lib/proto.h"
#include "lib/start.h"
#include "lib/yield.h"
#include "npp-dispatch/priv.h"
#include "shm/bell.h"

#define IDLE_MS 1000		/* look at the clock at least so often */
#define ERROR_PAUSE_MS 100	/* when the port cannot be read */
#define HELD_MS 1		/* when those aside may have to wait no longer */
#define SPIN_PROBE 64		/* after so many sleeps without, spin once again */
#define SPIN_MIN_US 5
#define SOON_US 3		/* a wait that is over so soon was none: there was a second frame */

static uint64_t clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void see_clock(struct dispatch *d, uint64_t now)
{
	d->now_us = (uint32_t)now;
	atomic_store_explicit(&d->page->now_us, now, memory_order_relaxed);
}

/* 1 go on, 0 stop, -errno. */
static int control(int ctl_fd)
{
	struct npp_ctl_msg m;
	uint8_t buf[256];
	int rc = npp_ctl_recv(ctl_fd, &m, buf, sizeof buf, 0);

	if (rc == -EAGAIN)
		return 1;
	if (rc <= 0)
		return rc; /* 0: the supervisor is gone, and so are we */
	npp_ctl_close_fds(&m);
	if (m.hdr.type == NPP_CTL_STOP)
		return 0;
	npp_warnx("control message %u is not for a dispatcher", m.hdr.type);
	return 1;
}

/* Looks for a while before going to sleep, if that has paid lately: half the time that
 * it looks in vain is taken off each time. Frames read, 0, or -errno. */
static int spin(struct dispatch *d, uint32_t sleeps)
{
	uint32_t *spin_us = &d->state->spin_us;
	uint64_t start, now;
	int n;

	if (*spin_us > d->spin_max_us)
		*spin_us = d->spin_max_us;
	if (*spin_us < SPIN_MIN_US) {
		if (sleeps % SPIN_PROBE != 0)
			return 0;
		*spin_us = SPIN_MIN_US;
	}
	start = now = clock_us();
	do {
		n = dispatch_batch(d);
		if (n != 0) {
			*spin_us = (uint32_t)(now - start) * 2 + SPIN_MIN_US;
			return n;
		}
		now = clock_us();
	} while (now - start < *spin_us);
	*spin_us /= 2;
	return 0;
}

/* The same where cores are scarce: whoever waits for ours has it first, once, if that has
 * brought frames lately. Those that come meanwhile wake nobody. */
static int give_way(struct dispatch *d, struct npp_yield *y)
{
	uint64_t before = clock_us();
	int n;

	if (!npp_yield_try(y, before))
		return 0;
	sched_yield();
	n = dispatch_batch(d);
	npp_yield_done(y, n > 0, before, clock_us());
	return n;
}

/* What is waited for: control socket, doorbell, queue 0 of each port, then those aside. */
#define WAIT_PORTS 2
#define WAIT_MAX (WAIT_PORTS + 2 * NPP_MAX_PORTS)
struct wait {
	struct pollfd pfd[WAIT_MAX];
	uint32_t n;
	int epfd;		/* all of it; -1: there is none, or it could not take something in */
};

static void wait_open(struct wait *w, const struct dispatch *d, int ctl_fd, int bell_fd)
{
	int *epfd = &w->epfd;

	*w = (struct wait){ .n = WAIT_PORTS + 2 * d->n_ports, .epfd = epoll_create1(EPOLL_CLOEXEC) };
	w->pfd[0].fd = ctl_fd;
	w->pfd[1].fd = bell_fd;
	for (uint32_t i = 0; i < d->n_ports; i++) {
		w->pfd[WAIT_PORTS + i].fd = d->port[i].fd;
		w->pfd[WAIT_PORTS + d->n_ports + i].fd = d->port[i].aside.open ? d->port[i].aside.fd : -1;
	}
	for (uint32_t i = 0; i < w->n; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };

		w->pfd[i].events = POLLIN;
		if (*epfd < 0 || w->pfd[i].fd < 0 || epoll_ctl(*epfd, EPOLL_CTL_ADD, w->pfd[i].fd, &ev) == 0)
			continue;
		close(*epfd);
		*epfd = -1;
	}
}

static void wait_close(struct wait *w)
{
	if (w->epfd >= 0)
		close(w->epfd);
}

/* For all of it: the kernel knows already what that is, so that a wait costs the same however many
 * descriptors there are. What poll() returns. */
static int wait_all(struct wait *w, int timeout_ms)
{
	struct epoll_event ev[WAIT_MAX];
	int n = epoll_wait(w->epfd, ev, WAIT_MAX, timeout_ms);

	for (uint32_t i = 0; i < w->n; i++)
		w->pfd[i].revents = 0;
	for (int i = 0; i < n; i++)
		if (ev[i].data.u32 < w->n)
			w->pfd[ev[i].data.u32].revents = POLLIN;
	return n;
}

/* For all but the ports that cannot be read, and those aside while an IOP has enough of them. */
static int wait_some(const struct dispatch *d, struct wait *w, int timeout_ms)
{
	struct pollfd pfd[WAIT_MAX];
	int n;

	for (uint32_t i = 0; i < w->n; i++)
		pfd[i] = w->pfd[i];
	for (uint32_t i = 0; i < d->n_ports; i++) {
		if (d->port[i].error)
			pfd[WAIT_PORTS + i].fd = -1;
		if (d->port[i].error || d->held)
			pfd[WAIT_PORTS + d->n_ports + i].fd = -1;
	}
	n = poll(pfd, w->n, timeout_ms);
	for (uint32_t i = 0; i < w->n; i++)
		w->pfd[i].revents = pfd[i].revents;
	return n;
}

/* What a wait of US has shown: PFD of queue 0 of each port, then of those aside. */
static void see_ports(struct dispatch *d, const struct pollfd *pfd, uint64_t us)
{
	for (uint32_t i = 0; i < d->n_ports; i++) {
		struct dispatch_port *p = &d->port[i];
		bool some = pfd[i].revents, aside = pfd[d->n_ports + i].revents;

		if (some && us <= SOON_US)
			p->singles = 0;
		if (!aside)
			continue;
		p->empty = !some;
		if (us <= SOON_US)
			p->aside.singles = 0;
		p->aside.hot = DISPATCH_ASIDE_HOT;
		p->aside.waited = DISPATCH_ASIDE_QUIET;
	}
}

/* Sleeps until there is something to do. AWAKE_US: since when it has been awake. */
static int wait_for_work(struct dispatch *d, struct wait *w, uint64_t *awake_us)
{
	uint64_t now = clock_us();
	bool broken = false;
	int rc;

	for (uint32_t i = 0; i < d->n_ports; i++)
		broken |= d->port[i].error != 0;
	npp_stat_add(d->stats, NPP_DS_BUSY_US, now - *awake_us);
	npp_stat_inc(d->stats, NPP_DS_SLEEPS);
	if (d->held || broken || w->epfd < 0)
		rc = wait_some(d, w, d->held ? HELD_MS : broken ? ERROR_PAUSE_MS : IDLE_MS);
	else
		rc = wait_all(w, IDLE_MS);
	*awake_us = clock_us();
	see_clock(d, *awake_us);
	if (rc < 0)
		return errno == EINTR ? 1 : -errno;
	see_ports(d, w->pfd + WAIT_PORTS, *awake_us - now);
	if (w->pfd[1].revents)
		npp_bell_drain(w->pfd[1].fd);
	return w->pfd[0].revents ? control(w->pfd[0].fd) : 1;
}

/* About ports that cannot be read, each time that it is something else. */
static void complain(struct dispatch *d, int told[NPP_MAX_PORTS])
{
	for (uint32_t i = 0; i < d->n_ports; i++) {
		int error = d->port[i].error;

		if (error)
			npp_stat_inc(d->stats, NPP_DS_READ_ERRORS);
		if (error && error != told[i])
			npp_warnx("reading port %u: error %d", i, -error);
		told[i] = error;
	}
}

/* Batches and sleeps until there is nobody to work for. */
static int work(struct dispatch *d, struct wait *w)
{
	uint64_t awake_us = clock_us();
	uint32_t sleeps = 0, batches = 0;
	struct npp_yield yield = { 0 };
	int n, rc, told[NPP_MAX_PORTS] = { 0 };

	see_clock(d, awake_us);
	/* A predecessor may have published without ringing. */
	for (uint32_t i = 0; i < d->n_iops; i++)
		npp_bell_ring(d->bell[i]);
	for (;;) {
		n = dispatch_batch(d);
		if (n == 0 || (n > 0 && d->drained))
			/* a port seen empty need not be read again */
			n = d->spin_max_us ? spin(d, sleeps) : give_way(d, &yield);
		if (n > 0) {
			see_clock(d, clock_us());
			npp_start_worked(d->page, d->page->now_us);
			if (++batches % 256 != 0)
				continue;
			rc = control(w->pfd[0].fd); /* also under load */
		} else {
			complain(d, told);
			sleeps++;
			rc = wait_for_work(d, w, &awake_us);
		}
		if (rc <= 0)
			return rc;
	}
}

int dispatch_run(struct dispatch *d, int ctl_fd, int bell_fd)
{
	struct wait w;
	int rc;

	wait_open(&w, d, ctl_fd, bell_fd);
	rc = work(d, &w);
	wait_close(&w);
	return rc;
}
