/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_isms.c - what the processes of an NPP say to their nppd, and how they come and go
 * options: -max_len=1024 -len_control=0
 * links with: nppd/child.c nppd/restart.c nppd/role_npp.c nppd/npp_regions.c nppd/ipc.c nppd/conflicts.c nppd/hosts.c
 *
 * Input: operations of eight bytes: messages of two ISMs, the dispatcher and their successors, as they should be or
 * with a word changed, with any descriptors; words of the pages that they write; deaths; a tool that wants another
 * process; time. nppd runs as root, they do not. What must hold: what stands in the region that all others
 * believe makes sense and keeps the addresses of the configuration; only the link role changes it; in the end, when
 * all behave, everything runs again, and no descriptor is lost. One nppd lives through all inputs.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/proc.h"
#include "lib/self.h"
#include "nppd/engine.h"
#include "nppd/npp_side.h"
#include "shm/stats.h"
#include "tests/fuzz/replay.h"
#include "tests/fuzz/words.h"

#define IOPS 2
#define PROCS 16		/* at a time: three, their successors, and who is not buried yet */

enum what { S_AUTOCONF, S_GROUPS, S_CONFLICT, S_IPC, S_SERVING, S_READY, S_PROBED, S_ANY, S_RAW, P_GOOD, P_DIE, P_MUTE, P_PAGE, P_REGION,
	    T_RESTART, T_STATUS, T_TIME, T_TIMER, T_DEAF, OPS };

static struct proc { pid_t pid; int ctl, pidfd; bool dead; uint16_t due; } proc[PROCS];	/* pid 0: none */
static struct nppd d;
static struct settings set;
static struct npp_global before;	/* as it was before somebody spoke */
static pid_t last_pid = 100;
static uint64_t clock_us = 1000000;
static bool deaf, inside;
static struct words words = { .size = 65536, .heap = 4096 };

/* ---- the machine ------------------------------------------------------------------------------ */

int clock_gettime(clockid_t id, struct timespec *ts)
{
	if (!inside || id != CLOCK_MONOTONIC)
		return timespec_get(ts, TIME_UTC) ? 0 : -1;
	ts->tv_sec = (time_t)(clock_us / 1000000);
	ts->tv_nsec = (long)(clock_us % 1000000) * 1000;
	return 0;
}

/* Room for a message: none, and the time is over, where nobody reads. */
int poll(struct pollfd *p, nfds_t n, int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	if (inside && deaf && ms > 0) {
		clock_us += (uint64_t)ms * 1000;
		return 0;
	}
	return ppoll(p, n, ms < 0 ? NULL : &ts, NULL);
}

static struct proc *proc_of(pid_t pid)
{
	for (unsigned i = 0; i < PROCS && pid; i++)
		if (proc[i].pid == pid)
			return &proc[i];
	return NULL;
}

static void die(struct proc *p)
{
	static const uint64_t one = 1;

	if (!p || p->dead)
		return;
	p->dead = true;
	if (p->ctl >= 0)
		close(p->ctl);
	p->ctl = -1;
	MUST(write(p->pidfd, &one, sizeof one) == sizeof one);
}

pid_t waitpid(pid_t pid, int *status, int flags)
{
	struct proc *p = proc_of(pid);

	MUST(p);
	if (!p->dead && flags & WNOHANG)
		return 0;
	die(p);
	if (status)
		*status = pid % 3 ? SIGKILL : 0;
	close(p->pidfd);
	*p = (struct proc){ .ctl = -1, .pidfd = -1 };
	return pid;
}

int npp_proc_spawn(const struct npp_proc_spec *spec, pid_t *pid, int *pidfd, struct npp_err *e)
{
	(void)e;
	for (unsigned i = 0; i < PROCS; i++)
		if (!proc[i].pid) {
			*pidfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
			proc[i] = (struct proc){ .pid = *pid = ++last_pid, .ctl = fcntl(spec->ctl_fd, F_DUPFD_CLOEXEC, 0),
						 .pidfd = fcntl(*pidfd, F_DUPFD_CLOEXEC, 0) };
			MUST(proc[i].ctl >= 0 && proc[i].pidfd >= 0);
			return 0;
		}
	return -EAGAIN;
}

bool npp_proc_id_exists(uint32_t id) { (void)id; return true; }
const char *npp_proc_describe_exit(int status, char *buf, size_t cap) { snprintf(buf, cap, "has ended (%d)", status); return buf; }
int npp_self_find(const char *name, char *path, size_t cap) { snprintf(path, cap, "%s", name); return 0; }

/* ---- the rest of nppd, and what it logs --------------------------------------------------------- */

static void format(const char *fmt, va_list ap)
{
	char line[512];

	vsnprintf(line, sizeof line, fmt, ap);
}

#define LOGS(name) void name(const char *fmt, ...) { va_list ap; va_start(ap, fmt); format(fmt, ap); va_end(ap); }
void npp_log_init(const char *name, int verbose) { (void)name, (void)verbose; }
void npp_log_init_tool(const char *name, int verbose) { (void)name, (void)verbose; }
LOGS(npp_debug)
LOGS(npp_info)
LOGS(npp_warnx)
void npp_fatal(const char *fmt, ...) { (void)fmt; abort(); }
void npp_fatalx(const char *fmt, ...) { (void)fmt; abort(); }

/* Its pidfds are none of processes: a signal could not be sent, and so we hear of it. */
void npp_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (strncmp(fmt, "signal %d", 9) == 0) {
		int sig = va_arg(ap, int);
		struct proc *p = proc_of(va_arg(ap, int));

		MUST(sig == SIGKILL && p);
		die(p);
	}
	va_end(ap);
}

int npp_err_set(struct npp_err *e, int code, const char *fmt, ...) { (void)e, (void)fmt; return code; }
void nppd_stop(struct nppd *nd, int code) { (void)nd, (void)code; }
void nppd_is_up(struct nppd *nd) { nd->up = true; }
unsigned nppd_huge_flags(struct nppd *nd) { (void)nd; return 0; }
int nppd_hugepage_check(struct nppd *nd, bool huge, const char *what) { (void)nd, (void)huge, (void)what; return 0; }
int nppd_cpu(const struct nppd *nd, unsigned i) { (void)nd, (void)i; return -1; }
void conn_close(struct nppd *nd, struct conn *c) { (void)nd, (void)c; }

int nppd_region(struct nppd *nd, struct npp_region *r, const char *what, enum npp_region_kind kind, size_t size, uint32_t owner,
		uint64_t hash, bool huge)
{
	(void)nd, (void)huge;
	return npp_region_create(r, what, kind, size, owner, hash, 0);
}

void engine_serve(struct tap *t, const struct npp_hash_prog *prog, uint32_t up) { (void)t, (void)prog, (void)up; }
int steer_load_aside(struct steer *s, unsigned ip_off) { (void)s, (void)ip_off; return -EPERM; }
void steer_close(struct steer *s) { (void)s; }
void tap_init(struct tap *t) { memset(t, 0xff, sizeof *t); }
void tap_close(struct tap *t) { (void)t; }
int tap_carrier(struct tap *t) { (void)t; return 1; }
uint64_t tap_drops(struct tap *t) { (void)t; return 0; }
void tap_events_read(struct tap *t) { (void)t; }
int tap_probe(struct tap *t, struct settings *s, unsigned ms) { (void)t, (void)s, (void)ms; return 0; }

int tap_open(struct tap *t, struct settings *s, unsigned port, const struct steer *aside)
{
	(void)s, (void)port, (void)aside;
	t->events = eventfd(0, EFD_CLOEXEC);
	for (unsigned i = 0; i <= IOPS; i++)
		t->queue[i] = eventfd(0, EFD_CLOEXEC);
	return 0;
}

/* ---- processes ---------------------------------------------------------------------------------- */

/* By its child's number; with NEXT its successor. */
static struct proc *who(const struct op *o)
{
	const struct child *c = &d.child[o->a % (1 + IOPS)];
	struct proc *p = proc_of(o->a & 128 ? c->next.p.pid : c->p.pid);

	return p && !p->dead && p->ctl >= 0 ? p : NULL;
}

/* Takes what it was told; the last of it that wants an answer is due. */
static void reads(struct proc *p)
{
	static uint8_t buf[NPP_CTL_MAX_BODY];
	struct npp_ctl_msg m;

	while (p->ctl >= 0 && npp_ctl_recv(p->ctl, &m, buf, sizeof buf, 0) == 1) {
		if (m.hdr.type == NPP_CTL_PROBE || m.hdr.type == NPP_CTL_START_ISM || m.hdr.type == NPP_CTL_START_DISPATCH ||
		    m.hdr.type == NPP_CTL_STOP)
			p->due = m.hdr.type;
		else
			MUST(m.hdr.type == NPP_CTL_IPC || m.hdr.type == NPP_CTL_ROLE || m.hdr.type == NPP_CTL_NET ||
			     m.hdr.type == NPP_CTL_HOST_DETACH);
		npp_ctl_close_fds(&m);
	}
}

static void says(struct proc *p, uint16_t type, uint32_t seq, int error, const void *body, size_t len, unsigned nfds)
{
	int fds[] = { p->pidfd, p->ctl, p->pidfd, p->pidfd };
	struct pollfd room = { .fd = p->ctl, .events = POLLOUT };

	if (poll(&room, 1, 0) == 1) /* else it has closed its ears */
		npp_ctl_send(p->ctl, type, seq, error, body, len, fds, nfds % 5);
}

static void answers(struct proc *p)
{
	struct npp_ctl_ready ready = { .serving = 1 };
	uint16_t due = p->due;

	p->due = 0;
	if (due == NPP_CTL_STOP)
		die(p);
	else if (due == NPP_CTL_PROBE)
		says(p, NPP_CTL_PROBED, 1, 0, NULL, 0, 0);
	else if (due)
		says(p, NPP_CTL_READY, 0, 0, &ready, sizeof ready, 0);
}

/* BODY as it is; or one of its words, its length, or the descriptors with it are not. */
static void says_about(struct proc *p, const struct op *o, uint16_t type, void *body, size_t len)
{
	if (o->b & 64)
		spoil(&words, o, body, (uint32_t)len & ~3u);
	says(p, type, o->v, 0, body, o->b & 128 ? o->v % (len + 1) : len, o->b & 32 ? o->v >> 8 : 0);
}

/* ---- messages ----------------------------------------------------------------------------------- */

static union npp_addr addr6(uint8_t first, uint8_t last)
{
	return (union npp_addr){ .b = { first, first == 0xfe ? 0x80 : 0, [15] = last } };
}

/* One thing in A that may not be so. */
static void claims(struct npp_autoconf *a, unsigned what, uint32_t v)
{
	unsigned i = what % 4;

	switch (what / 4) {
	case 1: a->addr[i].port = (uint8_t)v; break;
	case 2: a->addr[i].prefix_len = (uint8_t)v; break;
	case 3: a->addr[i].addr = i & 1 ? addr6(0xff, 1) : npp_addr_v4(i & 2 ? v : 0); break;
	case 4: a->on_link[i].port = (uint8_t)v; break;
	case 5: a->on_link[i].prefix_len = (uint8_t)v; break;
	case 6: a->router_port[i] = (uint8_t)v; break;
	case 7: *(i == 0 ? &a->n_addrs : i == 1 ? &a->n_on_link : i == 2 ? &a->n_routers : &a->zero) = v; break;
	default: break;
	}
}

static void says_autoconf(struct proc *p, const struct op *o)
{
	struct npp_autoconf a = { .n_addrs = o->c % 4, .n_on_link = o->c >> 2 & 3, .n_routers = o->c >> 4 & 3 };

	for (uint8_t i = 0; i < 4; i++) {
		a.addr[i] = (struct npp_if_addr){ .addr = addr6(0xfd, i + 1), .prefix_len = 64 };
		a.on_link[i] = (struct npp_if_addr){ .addr = addr6(0xfd, i), .prefix_len = 64 };
		a.router[i] = addr6(0xfe, i + 1);
	}
	a.link[0].mtu = o->c & 128 ? 1400 : 0;
	claims(&a, o->b & 31, o->v);
	says_about(p, o, NPP_CTL_AUTOCONF, &a, sizeof a);
}

static void says_groups(struct proc *p, const struct op *o)
{
	static struct npp_groups g;

	g = (struct npp_groups){ .n = o->c % 8 ? o->c % 8 : NPP_MAX_GROUPS };
	for (uint32_t i = 0; i < NPP_MAX_GROUPS; i++)
		g.addr[i] = addr6(0xff, (uint8_t)i);
	says_about(p, o, NPP_CTL_GROUPS, &g, sizeof g);
}

static void says_conflict(struct proc *p, const struct op *o)
{
	struct npp_conflict c = { .addr = addr6(0xfd, o->c % 16), .mac = { 2, o->c >> 4 }, .n = o->v };

	says_about(p, o, NPP_CTL_CONFLICT, &c, sizeof c);
}

static void speak(const struct op *o)
{
	struct npp_ctl_ipc ipc = { .peer = o->c % 4 };
	struct npp_ctl_ready ready = { .serving = o->c & 1 };
	uint8_t any[64] = { o->b, o->c, [4] = o->b };
	struct proc *p = who(o);

	if (!p)
		return;
	switch ((enum what)o->op) {
	case S_AUTOCONF: says_autoconf(p, o); break;
	case S_GROUPS: says_groups(p, o); break;
	case S_CONFLICT: says_conflict(p, o); break;
	case S_IPC: says_about(p, o, NPP_CTL_IPC_OPEN, &ipc, sizeof ipc); break;
	case S_SERVING: says_about(p, o, NPP_CTL_SERVING, any, 4); break;
	case S_READY: says_about(p, o, NPP_CTL_READY, &ready, sizeof ready); break;
	case S_PROBED: says(p, NPP_CTL_PROBED, 1, o->c & 1 ? -EPROTO : 0, NULL, 0, o->b & 32 ? o->v : 0); break;
	case S_ANY: says_about(p, o, (uint16_t)(o->v & 127), any, sizeof any); break;
	default: send(p->ctl, any, o->c % sizeof any, MSG_DONTWAIT | MSG_NOSIGNAL); break;
	}
}

/* ---- what must hold ------------------------------------------------------------------------------- */

static bool has_addr(const struct npp_global *g, const union npp_addr *a)
{
	for (uint32_t i = 0; i < g->n_addrs; i++)
		if (npp_addr_eq(&g->addr[i].addr, a))
			return true;
	return false;
}

static void region_makes_sense(void)
{
	const struct npp_global *g = d.npp->global.base;

	MUST(g->net_seq % 2 == 0 && g->group_seq % 2 == 0 && g->link_iop < IOPS && g->iop_up < 1u << IOPS);
	MUST(g->n_addrs <= NPP_MAX_IF_ADDRS && g->n_routes <= NPP_MAX_ROUTES && g->groups.n <= NPP_MAX_GROUPS);
	for (uint32_t i = 0; i < set.npp.n_all; i++)
		MUST(has_addr(g, &set.npp.all[i].p.addr));
	for (uint32_t i = 0; i < g->n_addrs; i++)
		MUST((g->addr[i].port == 0 || g->addr[i].port == NPP_PORT_ANY) && g->addr[i].prefix_len <= 128 &&
		     !npp_addr_is_any(&g->addr[i].addr) && !npp_addr_is_multicast(&g->addr[i].addr));
	for (uint32_t i = 0; i < g->n_routes; i++)
		MUST(g->route[i].port == 0 && g->route[i].prefix_len <= 128);
	for (uint32_t i = 0; i < g->groups.n; i++)
		MUST(npp_addr_is_multicast(&g->groups.addr[i]));
	MUST(!NPP_RA6_MTU(g->port[0].ra6) || NPP_RA6_MTU(g->port[0].ra6) >= 1280);
	MUST(memcmp(g->name, before.name, sizeof g->name) == 0 && g->n_iops == IOPS && g->n_ports == 1);
	MUST(memcmp(g->prog, before.prog, sizeof g->prog) == 0);
}

/* Nppd hears all that was said, and everybody what it says. */
static void settle(void)
{
	struct pollfd p = { .fd = d.loop.epfd, .events = POLLIN };
	unsigned n = 0;

	inside = true;
	while (poll(&p, 1, 0) == 1 || (d.loop.timers && d.loop.timers->due_ms <= clock_us / 1000)) {
		loop_step(&d.loop, 0);
		MUST(++n < 1000);
		for (unsigned i = 0; i < PROCS && !deaf; i++)
			reads(&proc[i]);
	}
	inside = false;
}

static void hear(const struct op *o)
{
	struct npp_global *g = d.npp->global.base;
	const struct child *c = &d.child[o->a % (1 + IOPS)];
	bool link = c->role == NPP_ROLE_ISM && npp_side_link_iop(d.npp) == c->index;

	before = *g;
	speak(o);
	settle();
	region_makes_sense();
	if (!link)
		MUST(memcmp(&g->groups, &before.groups, sizeof g->groups) == 0 && memcmp(g->addr, before.addr, sizeof g->addr) == 0 &&
		     memcmp(g->route, before.route, sizeof g->route) == 0);
}

/* ---- tools ---------------------------------------------------------------------------------------------- */

static void tool_restarts(struct child *c)
{
	static int sv[2] = { -1, -1 };
	static struct conn asker;
	static uint8_t buf[256];
	struct npp_ctl_restart b = { .role = c->role, .index = c->index };
	struct npp_ctl_msg m = { .hdr = { .len = sizeof b }, .body = (uint8_t *)&b };

	if (sv[0] < 0) {
		MUST(npp_ctl_pair(sv) == 0);
		asker = (struct conn){ .d = &d, .src.fd = sv[0] };
	}
	while (npp_ctl_recv(sv[1], &m, buf, sizeof buf, 0) == 1)
		;
	m.hdr.len = sizeof b;
	m.body = (uint8_t *)&b;
	inside = true;
	restart_ask(&asker, &m);
	inside = false;
}

static void tool_looks(void)
{
	struct npp_ctl_status st = { .role = 0 };
	struct npp_ctl_regions r;
	int fds[32];
	unsigned n;

	inside = true;
	npp_role_ops.status(&d, &st);
	n = npp_role_ops.regions(&d, &r, fds, 32);
	inside = false;
	MUST(n > 0);
	while (n > 0)
		close(fds[--n]);
}

/* ---- an input --------------------------------------------------------------------------------------------- */

static void perform(const struct op *o)
{
	struct child *c = &d.child[o->a % (1 + IOPS)];
	struct proc *p = who(o);

	switch ((enum what)o->op) {
	case P_GOOD:
		if (p)
			answers(p);
		break;
	case P_DIE: die(p); break;
	case P_MUTE:
		if (p) {
			close(p->ctl);
			p->ctl = -1;
		}
		break;
	case P_PAGE: spoil(&words, o, (struct npp_region_hdr *)c->stats.base + 1, 4096 - sizeof(struct npp_region_hdr)); break;
	case P_REGION: spoil(&words, o, c->index < IOPS && c->role == NPP_ROLE_ISM ? d.npp->ism[c->index].base : d.npp->dispatch.base, 4096); break;
	case T_RESTART: tool_restarts(c); break;
	case T_STATUS: tool_looks(); break;
	case T_TIME: clock_us += o->v % 3000000; break;
	case T_TIMER:
		if (d.loop.timers && d.loop.timers->due_ms > clock_us / 1000)
			clock_us = d.loop.timers->due_ms * 1000;
		break;
	case T_DEAF: deaf = o->b & 1; break;
	default: hear(o); return;
	}
	settle();
	region_makes_sense();
}

/* Does nppd hear P? It stops where P has closed its socket, or sent an empty packet, which looks the same. */
static bool heard(const struct proc *p)
{
	for (unsigned i = 0; i <= IOPS; i++)
		if (d.child[i].p.pid == p->pid || d.child[i].next.p.pid == p->pid)
			return (d.child[i].p.pid == p->pid ? d.child[i].ctl_src.fd : d.child[i].next.ctl_src.fd) >= 0;
	return false;
}

/* All that are there do what they have been told; true: nobody was. */
static bool all_behave(void)
{
	bool calm = true;

	for (unsigned i = 0; i < PROCS; i++) {
		struct proc *p = &proc[i];

		reads(p);
		if (!p->pid || (!p->due && p->ctl >= 0 && heard(p)))
			continue;
		calm = false;
		if (p->due && p->ctl >= 0 && heard(p))
			answers(p);
		else
			die(p);
	}
	settle();
	return calm;
}

/* Everybody behaves from now on: does all run again, and how soon? */
static void all_is_well(void)
{
	deaf = false;
	for (unsigned n = 0;; n++) {
		bool calm = all_behave();

		MUST(n < 300);
		if (calm && children_ready(&d) == 1 + IOPS && children_running(&d) == 1 + IOPS && !d.loop.timers)
			return;
		for (unsigned i = 0; i <= IOPS; i++)
			if (d.child[i].state == CHILD_FAILED)
				tool_restarts(&d.child[i]);
		if (calm && d.loop.timers && d.loop.timers->due_ms > clock_us / 1000)
			clock_us = d.loop.timers->due_ms * 1000;
		settle();
	}
}

static void once(void)
{
	struct npp_settings *s = &set.npp;

	s->name = "fuzz";
	s->iops = IOPS;
	s->n_ports = s->n_all = 1;
	s->port[0] = (struct port_settings){ .name = "fuzz", .mac = { 2, 1 }, .mtu = 1500, .autoconf = true };
	npp_addr_parse("10.0.0.1", &s->all[0].p.addr);
	s->all[0].p.len = 120;
	npp_addr_parse("10.0.0.254", &s->gateway);
	s->memory.connections = 16;
	s->memory.rx_ring = 128u << 10;
	s->engine = ENGINE_PROCESS;
	npp_hash_prog_default(&s->prog, IOPS);
	for (unsigned i = 0; i < PROCS; i++)
		proc[i].ctl = proc[i].pidfd = -1;
	d.s = &set;
	d.ops = &npp_role_ops;
	inside = true;
	MUST(loop_init(&d.loop) == 0 && npp_role_ops.start(&d) == 0);
	inside = false;
	all_is_well();
	before = *(struct npp_global *)d.npp->global.base;
	for (uint8_t i = 0; i < IOPS; i++) /* rings stay */
		hear(&(struct op){ S_IPC, i + 1, 0, 1 - i, 0 });
	tool_restarts(&d.child[0]);
	all_is_well();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct op o;
	long fds;

	if (!d.s)
		once();
	fds = fds_open();
	memset(d.npp->conflict, 0, sizeof d.npp->conflict);
	for (; size >= sizeof o; data += sizeof o, size -= sizeof o) {
		memcpy(&o, data, sizeof o);
		o.op %= OPS;
		perform(&o);
	}
	all_is_well();
	region_makes_sense();
	MUST(d.loop.timers == NULL && fds_open() == fds);
	return 0;
}

static const struct op seeds[][16] = {
	{ /* what the link role says, and somebody else */
		{ S_AUTOCONF, 1, 0, 0x95, 0 }, { S_GROUPS, 1, 0, 3, 0 }, { S_CONFLICT, 1, 0, 1, 2 }, { S_CONFLICT, 1, 0, 1, 9 }, { S_GROUPS, 2, 0, 5, 0 },
		{ S_AUTOCONF, 2, 4, 0x3f, 1 }, { S_AUTOCONF, 1, 16, 0x15, 0 }, { S_GROUPS, 1, 64, 0, 70 }, { S_GROUPS, 1, 0, 0, 0 }, { S_IPC, 1, 0, 1, 7 },
		{ S_IPC, 2, 0, 2, 7 }, { S_SERVING, 1, 0, 0, 0 }, { S_ANY, 1, 0, 9, 60 }, { T_STATUS, 0, 0, 0, 0 }, { S_AUTOCONF, 1, 0, 0, 0 },
		{ S_AUTOCONF, 1, 128, 0x95, 20 },
	},
	{ /* a death, a successor, another one; the role moves */
		{ P_DIE, 1, 0, 0, 0 }, { P_GOOD, 129, 0, 0, 0 }, { P_GOOD, 1, 0, 0, 0 }, { S_AUTOCONF, 1, 0, 0x95, 0 }, { P_DIE, 1, 0, 0, 0 },
		{ S_PROBED, 129, 0, 0, 0 }, { P_DIE, 1, 0, 0, 0 }, { T_TIMER, 0, 0, 0, 0 }, { S_GROUPS, 2, 0, 2, 0 }, { P_DIE, 129, 0, 0, 0 },
		{ T_TIMER, 0, 0, 0, 0 }, { P_GOOD, 129, 0, 0, 0 }, { S_IPC, 2, 0, 0, 1 }, { P_GOOD, 1, 0, 0, 0 }, { T_TIME, 0, 0, 0, 2000000 },
		{ S_RAW, 2, 9, 30, 0 },
	},
	{ /* a tool, a page, who does not read, who has closed its socket */
		{ T_RESTART, 2, 0, 0, 0 }, { P_GOOD, 130, 0, 0, 0 }, { P_GOOD, 2, 0, 0, 0 }, { P_GOOD, 2, 0, 0, 0 }, { P_PAGE, 2, 20, 1, 0 },
		{ T_TIMER, 0, 0, 0, 0 }, { P_REGION, 2, 4, 3, 9 }, { T_RESTART, 2, 0, 0, 0 }, { S_PROBED, 130, 0, 1, 0 }, { T_DEAF, 0, 1, 0, 0 },
		{ S_AUTOCONF, 1, 0, 0x95, 0 }, { T_DEAF, 0, 0, 0, 0 }, { P_MUTE, 2, 0, 0, 0 }, { T_RESTART, 0, 0, 0, 0 }, { T_TIMER, 0, 0, 0, 0 },
		{ S_READY, 1, 0, 1, 0 },
	},
};

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	return seed_of(seeds, sizeof seeds / sizeof *seeds, sizeof *seeds, i, buf, cap);
}
