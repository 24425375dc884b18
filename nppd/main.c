/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - nppd: options, signals, start and end
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/hugepages.h"
#include "lib/proc.h"
#include "lib/rundir.h"
#include "nppd/need.h"
#include "nppd/nppd.h"

/* ---- what the roles use ------------------------------------------------------------ */

unsigned nppd_huge_flags(struct nppd *d)
{
	return settings_common(d->s)->hugepages == HUGE_NEVER ? 0 : NPP_REGION_HUGE;
}

/* How many hugepages are missing for all that is to be made, and what would be right. */
static const char *shortage(const struct nppd *d, char *text, size_t cap)
{
	unsigned need = settings_hugepages_needed(d->s), have = d->huge_pages, missing;
	uint32_t all = 0, unused = 0;
	char remedy[128];

	npp_hugepages_count(&all, &unused);
	have += unused;
	missing = need > have ? need - have : 1;
	if (settings_common(d->s)->reserve)
		snprintf(remedy, sizeof remedy, "of all that were asked for the system gave %u; vm.nr_hugepages=%u, set soon "
			 "after it starts, would do", d->reserved, all + missing);
	else
		snprintf(remedy, sizeof remedy, "vm.nr_hugepages=%u would do, or 'reserve: yes'", all + missing);
	snprintf(text, cap, "%u of %u pages of 2 MB are missing: %s", missing, need, remedy);
	return text;
}

int nppd_hugepage_check(struct nppd *d, bool huge, const char *what)
{
	const struct npp_conf_node *map = d->s->is_host ? d->s->host.node : d->s->npp.node;
	char text[256];

	if (huge || settings_common(d->s)->hugepages == HUGE_NEVER)
		return 0;
	if (settings_common(d->s)->hugepages == HUGE_ALWAYS) {
		npp_conf_error_key(d->s->conf, map, "hugepages", "there are not enough for %s: %s", what,
				   shortage(d, text, sizeof text));
		return -ENOMEM;
	}
	if (npp_region_hugepage_warning_due())
		npp_warnx("not enough hugepages: ordinary pages for %s, which is slower; %s", what,
			  shortage(d, text, sizeof text));
	return 0;
}

int nppd_region(struct nppd *d, struct npp_region *r, const char *what, enum npp_region_kind kind, size_t size,
		uint32_t owner, uint64_t layout_hash, bool huge)
{
	int err = npp_region_create(r, what, kind, size, owner, layout_hash, huge ? nppd_huge_flags(d) : 0);

	if (err < 0) {
		npp_warnx("region %s of %zu bytes: %s", what, size, strerror(-err));
		return err;
	}
	if (r->huge)
		d->huge_pages += (uint32_t)(r->size / NPP_HUGEPAGE_BYTES);
	return huge ? nppd_hugepage_check(d, r->huge, what) : 0;
}

int nppd_cpu(const struct nppd *d, unsigned i)
{
	const struct common_settings *s = settings_common(d->s);

	return s->n_cpus ? s->cpus[i % s->n_cpus] : -1;
}

void nppd_is_up(struct nppd *d)
{
	d->up = true;
	if (d->s->is_host)
		npp_info("host %s is up", d->s->host.name);
	else
		npp_info("NPP %s is up: %u IOPs behind %u port%s, engine %s", d->s->npp.name, d->s->npp.iops,
			 d->s->npp.n_ports, d->s->npp.n_ports == 1 ? "" : "s",
			 d->s->npp.engine == ENGINE_KERNEL ? "kernel" : "process");
	if (d->ready_fd >= 0) {
		if (write(d->ready_fd, "\n", 1) != 1)
			npp_warn("--ready-fd %d", d->ready_fd);
		close(d->ready_fd);
		d->ready_fd = -1;
	}
}

/* ---- the end --------------------------------------------------------------------------- */

static void on_stop_late(struct loop_timer *t)
{
	struct nppd *d = t->arg;

	for (unsigned i = 0; i < d->n_children; i++) {
		if (d->child[i].p.pidfd < 0)
			continue;
		npp_warnx("%s (pid %d) did not end within %d ms", d->child[i].name, (int)d->child[i].p.pid, STOP_MS);
		child_kill(&d->child[i], SIGKILL);
	}
}

void nppd_stop(struct nppd *d, int exit_code)
{
	if (exit_code > d->exit_code)
		d->exit_code = exit_code;
	if (d->stopping)
		return;
	d->stopping = true;
	restart_stop(d);
	if (d->ops->stopping)
		d->ops->stopping(d);
	for (unsigned i = 0; i < d->n_children; i++) {
		struct child *c = &d->child[i];

		if (c->p.pidfd >= 0 && (c->p.ctl < 0 || nppd_send(c->p.ctl, 0, NPP_CTL_STOP, 0, 0, NULL, 0, NULL, 0) < 0))
			child_kill(c, SIGKILL);
	}
	loop_timer_set(&d->loop, &d->stop_timer, STOP_MS, on_stop_late, d);
}

static void on_signal(struct loop_fd *src)
{
	struct nppd *d = src->arg;
	struct signalfd_siginfo si;

	if (read(src->fd, &si, sizeof si) != sizeof si)
		return;
	npp_info("%s: stopping", strsignal((int)si.ssi_signo));
	nppd_stop(d, 0);
}

static int open_signals(struct nppd *d)
{
	sigset_t set;
	int fd, r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = loop_add(&d->loop, &d->signal_src, fd, on_signal, d);
	if (r < 0)
		close(fd);
	return r;
}

/* ---- hugepages from the system -------------------------------------------------------------- */

static void share_name(const struct nppd *d, char *buf, size_t cap)
{
	snprintf(buf, cap, "nppd:%.20s:%d", settings_name(d->s), (int)getpid());
}

/* All that we need, whatever is free now: others that start with us count on the same. */
static void borrow_hugepages(struct nppd *d)
{
	unsigned need = settings_hugepages_needed(d->s);
	struct npp_err e = { .text = "" };
	char owner[64];
	int got;

	if (!settings_common(d->s)->reserve || need == 0)
		return;
	if (npp_hugepages_closed(d->rundir))	/* a fault of the lab */
		return;
	share_name(d, owner, sizeof owner);
	got = npp_hugepages_reserve(owner, need, getpid(), &e);
	if (got < 0)
		npp_warnx("%s", e.text);
	else
		d->reserved = (uint32_t)got;
}

static void return_hugepages(struct nppd *d)
{
	struct npp_err e = { .text = "" };
	char owner[64];

	share_name(d, owner, sizeof owner);
	if (d->reserved && npp_hugepages_release(owner, &e) < 0)
		npp_warnx("%s", e.text);
	d->reserved = 0;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int start(struct nppd *d)
{
	int r;

	if (mkdir(d->rundir, 0755) < 0 && errno != EEXIST) {
		npp_warn("%s", d->rundir);
		return -errno;
	}
	if (geteuid() == 0 && !npp_proc_id_exists(settings_common(d->s)->uid))
		npp_warnx("there is no uid %u in this user namespace: its processes have the uid of nppd and no capabilities; "
			  "hosts and NPPs are not kept apart by uids", settings_common(d->s)->uid);
	r = conn_listen(d);
	if (r == 0) {
		borrow_hugepages(d);
		r = d->ops->start(d);
	}
	return r < 0 ? r : conn_serve(d);
}

static void finish(struct nppd *d)
{
	conn_fini(d);
	d->ops->finish(d);
	for (unsigned i = 0; i < d->n_children; i++)
		npp_region_unmap(&d->child[i].stats);
	return_hugepages(d);
	if (d->signal_src.fd >= 0)
		close(d->signal_src.fd);
	loop_fini(&d->loop);
}

static int run(struct nppd *d)
{
	int r = loop_init(&d->loop);

	if (r == 0)
		r = open_signals(d);
	if (r < 0) {
		npp_warnx("cannot start: %s", strerror(-r));
		return 1;
	}
	r = start(d);
	if (r < 0) {
		if (npp_conf_error_count(d->s->conf) == 0)
			npp_warnx("cannot start: %s", strerror(-r));
		settings_report(d->s);
		if (geteuid() != 0)
			npp_warnx("it was started without being root, which it needs to be; as an ordinary user: npp-lab-user, see npp-lab(1)");
		nppd_stop(d, 1);
	}
	while (!d->stopping || children_running(d) > 0) {
		r = loop_step(&d->loop, -1);
		if (r < 0) {
			npp_warnx("event loop: %s", strerror(-r));
			nppd_stop(d, 1);
		}
	}
	finish(d);
	npp_info("%s has ended", settings_name(d->s));
	return d->exit_code;
}

static int check(const struct settings *s)
{
	const struct npp_settings *n = &s->npp;

	if (s->is_host)
		printf("host %s: %u NPPs, %u sockets, %llu MB\n", s->host.name, s->host.n_npps, s->host.sockets,
		       (unsigned long long)(s->host.memory >> 20));
	else
		printf("npp %s: %u IOPs, %u connections each", n->name, n->iops, n->memory.connections);
	for (uint32_t i = 0; !s->is_host && i < n->n_ports; i++) {
		const struct port_settings *p = &n->port[i];

		printf(", port %s %02x:%02x:%02x:%02x:%02x:%02x", p->name, p->mac[0], p->mac[1], p->mac[2], p->mac[3],
		       p->mac[4], p->mac[5]);
	}
	if (!s->is_host)
		putchar('\n');
	printf("uid %u\n", settings_common(s)->uid);
	printf("hugepages %u\n", settings_hugepages_needed(s));
	return 0;
}

static void usage(FILE *f)
{
	fputs("usage: nppd [-v] [--rundir DIR] [--ready-fd N] [--check] FILE\n"
	      "Starts and supervises the processes of one NPP or one host, as FILE says (nppd.conf(5)).\n"
	      "\n"
	      "  --check        only read FILE: report all errors, or say what it needs\n"
	      "  --rundir DIR   where the sockets are (default $NPP_RUNDIR or " NPP_RUNDIR ")\n"
	      "  --ready-fd N   write a newline to descriptor N once everything is up\n"
	      "  -v, --verbose  say more\n"
	      "      --help, --version\n", f);
}

struct options { const char *rundir, *file; int ready_fd; bool verbose, check; };

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "rundir", required_argument, NULL, 'r' }, { "ready-fd", required_argument, NULL, 'f' },
		{ "check", no_argument, NULL, 'c' }, { "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 }
	};
	uint64_t fd;
	int opt;

	while ((opt = getopt_long(argc, argv, "vh", longs, NULL)) != -1) {
		switch (opt) {
		case 'r': o->rundir = optarg; break;
		case 'c': o->check = true; break;
		case 'v': o->verbose = true; break;
		case 'f':
			if (npp_conf_parse_u64(optarg, &fd) < 0 || fd > 1 << 20 || fcntl((int)fd, F_GETFD) < 0) {
				npp_warnx("--ready-fd %s: not an open descriptor", optarg);
				return 2;
			}
			o->ready_fd = (int)fd;
			fcntl(o->ready_fd, F_SETFD, FD_CLOEXEC);
			break;
		case 'h': usage(stdout); return 0;
		case 'V': puts("nppd (" PACKAGE_NAME ") " PACKAGE_VERSION); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (optind + 1 != argc) {
		usage(stderr);
		return 2;
	}
	o->file = argv[optind];
	return -1;
}

int main(int argc, char **argv)
{
	struct options o = { .rundir = npp_rundir(), .ready_fd = -1 };
	struct settings s;
	struct nppd *d;
	int r;

	npp_log_init("nppd", 0);
	r = parse_options(argc, argv, &o);
	if (r >= 0)
		return r;
	npp_log_init("nppd", o.verbose);
	if (settings_load(&s, o.file, o.rundir) < 0) {
		settings_report(&s);
		settings_free(&s);
		return 1;
	}
	if (o.check) {
		r = check(&s);
		settings_free(&s);
		return r;
	}
	d = calloc(1, sizeof *d);
	if (!d)
		npp_fatalx("no memory");
	d->s = &s;
	d->rundir = o.rundir;
	d->verbose = o.verbose;
	d->ready_fd = o.ready_fd;
	d->listen_fd = d->signal_src.fd = d->listen_src.fd = -1;
	d->ops = s.is_host ? &host_role_ops : &npp_role_ops;
	npp_proc_raise_nofile();
	r = run(d);
	free(d);
	settings_free(&s);
	return r;
}
