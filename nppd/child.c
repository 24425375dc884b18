/* SPDX-License-Identifier: GPL-2.0-or-later
 * child.c - start, readiness, death and end of children
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/proc.h"
#include "lib/self.h"
#include "nppd/nppd.h"

static const char *program(enum npp_role role)
{
	return role == NPP_ROLE_DISPATCH ? "npp-dispatch" : role == NPP_ROLE_ISM ? "npp-ism" : "npp-osm";
}

void child_init(struct nppd *d, enum npp_role role, uint32_t index)
{
	struct child *c = &d->child[d->n_children++];

	*c = (struct child){ .d = d, .role = role, .index = index, .p = PROCESS_NONE, .ctl_src.fd = -1,
			     .pid_src.fd = -1, .stats = NPP_REGION_NULL, .healthy_ms = UINT64_MAX,
			     .next = { .p = PROCESS_NONE, .ctl_src.fd = -1, .pid_src.fd = -1 } };
	if (role == NPP_ROLE_ISM)
		snprintf(c->name, sizeof c->name, "npp-ism %u", index);
	else
		snprintf(c->name, sizeof c->name, "%s", program(role));
}

int child_stats_create(struct child *c)
{
	struct npp_stats_page *page;
	int r = nppd_region(c->d, &c->stats, "npp-stats", NPP_REGION_STATS, sizeof(struct npp_stats_page), c->index,
			    npp_abi_layout_hash(), false);

	if (r < 0)
		return r;
	page = c->stats.base;
	page->role = c->role;
	page->index = c->index;
	return 0;
}

unsigned children_running(const struct nppd *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n_children; i++)
		n += (d->child[i].p.pidfd >= 0) + (d->child[i].next.p.pidfd >= 0);
	return n;
}

unsigned children_ready(const struct nppd *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n_children; i++)
		n += d->child[i].state == CHILD_READY;
	return n;
}

void process_kill(const struct process *p, int sig)
{
	if (p->pidfd >= 0 && syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0) < 0 && errno != ESRCH)
		npp_warn("signal %d to process %d", sig, (int)p->pid);
}

void child_kill(struct child *c, int sig)
{
	process_kill(&c->p, sig);
}

static void close_ctl(struct child *c)
{
	loop_del(&c->d->loop, &c->ctl_src);
	if (c->p.ctl >= 0)
		close(c->p.ctl);
	c->p.ctl = -1;
}

/* ---- its death --------------------------------------------------------------------- */

static void on_death(struct loop_fd *src)
{
	struct child *c = src->arg;
	struct nppd *d = c->d;
	bool starting = c->state == CHILD_STARTING;
	char how[128];
	int status = 0;

	if (waitpid(c->p.pid, &status, WNOHANG) != c->p.pid)
		return;
	c->exit_status = status;
	c->state = CHILD_DOWN;
	loop_timer_stop(&d->loop, &c->ready_timer);
	loop_del(&d->loop, &c->pid_src);
	close(c->p.pidfd);
	c->p.pidfd = -1;
	close_ctl(c);
	npp_proc_describe_exit(status, how, sizeof how);
	if ((d->stopping || c->stop_said) && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		npp_debug("%s (pid %d) ended", c->name, (int)c->p.pid);
	else
		npp_warnx("%s (pid %d) %s%s", c->name, (int)c->p.pid, how, starting ? " before it was ready" : "");
	if (d->stopping)
		return;
	if (!d->up && starting) {
		nppd_stop(d, 1);
		return;
	}
	restart_died(c);
}

/* ---- its words ------------------------------------------------------------------------ */

bool child_may_log(struct child *c)
{
	uint32_t hidden;
	bool may = limit_passes(&c->lines, loop_now_ms(), &hidden);

	if (hidden)
		npp_warnx("%s: %u more lines about what it said were left out", c->name, hidden);
	return may;
}

void child_unexpected(struct child *c, const struct npp_ctl_msg *m)
{
	if (child_may_log(c))
		npp_warnx("%s: unexpected message of type %u", c->name, m->hdr.type);
}

static void on_message(struct loop_fd *src)
{
	struct child *c = src->arg;
	struct npp_ctl_msg m;
	uint8_t buf[4096];
	int r = npp_ctl_recv(c->p.ctl, &m, buf, sizeof buf, 0);

	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		/* It ends, or has closed its descriptor; its death comes by pidfd. */
		if (r < 0)
			npp_warnx("%s: control socket: %s", c->name, strerror(-r));
		loop_del(&c->d->loop, &c->ctl_src);
		if (r < 0)
			child_kill(c, SIGKILL);
		return;
	}
	if (m.hdr.type == NPP_CTL_READY) {
		if (c->state == CHILD_STARTING) {
			c->state = CHILD_READY;
			loop_timer_stop(&c->d->loop, &c->ready_timer);
			npp_debug("%s (pid %d) is ready", c->name, (int)c->p.pid);
			if (!c->d->stopping) {
				restart_ready(c);
				c->d->ops->child_ready(c->d, c, &m);
			}
		}
	} else if (!c->d->stopping) {
		c->d->ops->child_msg(c->d, c, &m);
	}
	npp_ctl_close_fds(&m);
}

static void on_ready_late(struct loop_timer *t)
{
	struct child *c = t->arg;

	npp_warnx("%s (pid %d) was not ready within %d seconds", c->name, (int)c->p.pid, READY_MS / 1000);
	child_kill(c, SIGKILL);
}

/* ---- its start -------------------------------------------------------------------------- */

static int spawn(const struct child *c, int sock, struct process *p, struct npp_err *e)
{
	const struct common_settings *s = settings_common(c->d->s);
	char path[PATH_MAX], shown[96];
	char *argv[] = { shown, NULL };
	struct npp_proc_spec spec = { .path = path, .argv = argv, .ctl_fd = sock, .drop = geteuid() == 0,
				      .keep_uid = !npp_proc_id_exists(s->uid), .uid = s->uid, .gid = s->uid, .seccomp = s->seccomp };

	if (npp_self_find(program(c->role), path, sizeof path) < 0)
		return npp_err_set(e, -ENOENT, "%s was not found, neither in a build tree nor installed",
				   program(c->role));
	snprintf(shown, sizeof shown, "%s [%s]", c->name, settings_name(c->d->s)); /* for ps */
	return npp_proc_spawn(&spec, &p->pid, &p->pidfd, e);
}

int process_spawn(const struct child *c, struct process *p)
{
	struct npp_err e = { .text = "" };
	int sv[2], r;

	*p = (struct process)PROCESS_NONE;
	r = npp_ctl_pair(sv);
	if (r < 0) {
		npp_warnx("%s: socketpair: %s", c->name, strerror(-r));
		return r;
	}
	r = spawn(c, sv[1], p, &e);
	close(sv[1]);
	if (r < 0) {
		close(sv[0]);
		npp_warnx("%s: %s", c->name, e.text);
		return r;
	}
	p->ctl = sv[0];
	npp_debug("%s (pid %d) started", c->name, (int)p->pid);
	return 0;
}

int child_adopt(struct child *c, const struct process *p)
{
	int r;

	c->p = *p;
	c->state = CHILD_STARTING;
	r = loop_add(&c->d->loop, &c->pid_src, c->p.pidfd, on_death, c);
	if (r == 0)
		r = loop_add(&c->d->loop, &c->ctl_src, c->p.ctl, on_message, c);
	if (r < 0)
		child_kill(c, SIGKILL);
	return r;
}

int child_start(struct child *c, uint16_t type, const void *body, size_t len, const int *fds, unsigned nfds)
{
	struct process p;
	int r = 0;

	if (c->p.pidfd < 0) {
		r = process_spawn(c, &p);
		if (r < 0)
			return r;
		r = child_adopt(c, &p);
	}
	if (r == 0) {
		r = nppd_send(c->p.ctl, 2000, type, 1, 0, body, len, fds, nfds);
		if (r == -EPIPE) /* dead already: said when it is reaped */
			r = 0;
	}
	if (r < 0) {
		npp_warnx("%s: start message: %s", c->name, strerror(-r));
		child_kill(c, SIGKILL);
		return r;
	}
	loop_timer_set(&c->d->loop, &c->ready_timer, READY_MS, on_ready_late, c);
	return 0;
}

int nppd_send(int sock, unsigned ms, uint16_t type, uint32_t seq, int error, const void *body, size_t len,
	      const int *fds, unsigned nfds)
{
	struct pollfd p = { .fd = sock, .events = POLLOUT };
	uint64_t end = loop_now_ms() + ms;
	int n, left;

	/* Writable means room for more than one message of ours. */
	do {
		uint64_t now = loop_now_ms();

		left = end > now ? (int)(end - now) : 0;
		n = poll(&p, 1, left);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ETIMEDOUT;
	return npp_ctl_send(sock, type, seq, error, body, len, fds, nfds);
}

int child_send(struct child *c, uint16_t type, uint32_t seq, int error, const void *body, size_t len, const int *fds,
	       unsigned nfds)
{
	int r;

	if (c->p.ctl < 0)
		return -EPIPE;
	r = nppd_send(c->p.ctl, 2000, type, seq, error, body, len, fds, nfds);
	if (r < 0 && r != -EPIPE) {
		npp_warnx("%s (pid %d) takes no messages: %s", c->name, (int)c->p.pid, strerror(-r));
		child_kill(c, SIGKILL);
	}
	return r;
}
