/* SPDX-License-Identifier: GPL-2.0-or-later
 * control.c - what nppd says over the control socket
 *
 * The first message starts us; the others come at any time and are handled at interrupt
 * level like everything else. While we wait for the rings to another IOP, other messages
 * are kept with their descriptors and handled after.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/log.h"
#include "lib/start.h"
#include "npp-ism/socket/ism.h"

#define IPC_WAIT_MS 1000
#define HOSTS_WAIT_MS 1000	/* a successor's hosts are given to it again within that time */
#define START_FDS 7		/* before queues and doorbells */

struct ism_deferred {
	struct ism_deferred *next;
	struct npp_ctl_msg m;
	uint8_t body[];
};

static int receive(struct ism *I, struct npp_ctl_msg *m, int timeout_ms)
{
	return npp_ctl_recv(I->ctl, m, I->ctl_buf, NPP_CTL_MAX_BODY, timeout_ms);
}

/* ---- start ------------------------------------------------------------------------------ */

static int map_private(struct ism *I, int fd)
{
	int err = npp_region_map(&I->priv, fd, true, NPP_ADDR_ISM_PRIVATE, NPP_REGION_ISM, ism_layout_hash());

	/* Made by an nppd that knows only the shared layout: our own magic says the rest. */
	if (err == -EPROTO)
		err = npp_region_map(&I->priv, fd, true, NPP_ADDR_ISM_PRIVATE, NPP_REGION_ISM,
				     npp_abi_layout_hash());
	return err;
}

static int map_regions(struct ism *I, const int *fd)
{
	uint64_t hash = npp_abi_layout_hash();
	int err = npp_region_map(&I->global, fd[0], false, 0, NPP_REGION_GLOBAL, hash);

	if (err == 0 && I->global.size < sizeof(struct npp_global))
		err = -EBADMSG;
	if (err == 0)
		err = npp_region_map(&I->neigh, fd[1], false, 0, NPP_REGION_NEIGH, hash);
	if (err == 0 && I->neigh.size < sizeof(struct npp_neigh_table))
		err = -EBADMSG;
	if (err == 0)
		err = npp_region_map(&I->stats_region, fd[2], true, 0, NPP_REGION_STATS, hash);
	if (err == 0 && I->stats_region.size < sizeof(struct npp_stats_page))
		err = -EBADMSG;
	if (err == 0)
		err = npp_region_map(&I->locks, fd[3], true, 0, NPP_REGION_LOCKS, hash);
	if (err == 0 && I->locks.size < sizeof(struct npp_locks))
		err = -EBADMSG;
	if (err == 0)
		err = map_private(I, fd[4]);
	if (err == 0)
		err = npp_fring_attach_cons(&I->rx, fd[5], fd[6], NPP_REGION_RX);
	return err;
}

static int map_regulars(struct ism *I, int fd)
{
	void *p = mmap(NULL, sizeof *I->regulars, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	I->regulars = p;
	return 0;
}

static void stats_begin(struct ism *I, const struct npp_ctl_start_ism *start)
{
	struct npp_stats_page *page = I->stats_region.base;

	I->page = page;
	I->stats = page->counter;
	npp_start_page(page, NPP_ROLE_ISM, start->iop, nk_clock_us());
}

static int start_check(const struct npp_ctl_msg *m, const struct npp_ctl_start_ism *start)
{
	if (m->hdr.type != NPP_CTL_START_ISM || m->hdr.len < sizeof *start)
		return -EPROTO;
	if (start->abi_version != NPP_ABI_VERSION || start->layout_hash != npp_abi_layout_hash())
		return -EPROTO;
	if (start->n_iops == 0 || start->n_iops > NPP_MAX_IOPS || start->iop >= start->n_iops ||
	    start->max_conns == 0 || start->n_ports == 0 || start->n_ports > NPP_MAX_PORTS ||
	    m->hdr.nfds != START_FDS + start->n_ports + start->n_iops + (start->regulars ? 1 : 0))
		return -EPROTO;
	return 0;
}

/* All hosts that the region remembers must be mapped before the stack may touch their rings. */
static void hosts_wait(struct ism *I)
{
	uint64_t until = nk_clock_us() + HOSTS_WAIT_MS * 1000ull;

	for (;;) {
		uint64_t now = nk_clock_us();
		bool missing = false;

		for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
			missing |= I->r->host[h].state != ISM_HOST_NONE && !I->host[h];
		if (!missing || now >= until || I->broken)
			break;
		/* Looks at the socket by itself; waits a little when nothing is there. */
		if (ism_control_run(I, 1) == 0)
			usleep(1000);
	}
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++)
		if (I->r->host[h].state != ISM_HOST_NONE && !I->host[h])
			ism_host_detach(I, h);
}

static int begin(struct ism *I, const struct npp_ctl_start_ism *start)
{
	struct stack_env env = {
		.stats = I->stats,
		.global = I->global.base,
		.neigh = I->neigh.base,
	};
	struct npp_locks *locks = I->locks.base;
	int err;

	env.load = locks->load;
	I->load = &locks->load[start->iop];
	if (!start->restart)
		return ism_init(I, I->priv.base, I->priv.size, start, &env);
	err = ism_attach(I, I->priv.base, I->priv.size, start, &env, nk_clock_us());
	return err;
}

int ism_control_start(struct ism *I, int ctl)
{
	struct npp_ctl_start_ism start;
	struct npp_ctl_msg m;
	int err;

	I->ctl = ctl;
	I->ctl_buf = malloc(NPP_CTL_MAX_BODY);
	if (!I->ctl_buf)
		return -ENOMEM;
	I->deferred_tail = &I->deferred;
	err = npp_start_recv(ctl, ism_layout_hash(), &m, I->ctl_buf, NPP_CTL_MAX_BODY, -1);
	if (err <= 0)
		return err < 0 ? err : -EPIPE;
	memset(&start, 0, sizeof start);
	memcpy(&start, m.body, m.hdr.len < sizeof start ? m.hdr.len : sizeof start);
	err = start_check(&m, &start);
	if (err == 0)
		err = map_regions(I, m.fds);
	if (err == 0 && start.regulars)
		err = map_regulars(I, m.fds[m.hdr.nfds - 1]);
	if (err < 0) {
		npp_ctl_close_fds(&m);
		return err;
	}
	I->have_rx = true;
	I->verbose = start.verbose != 0;
	stats_begin(I, &start);
	for (unsigned i = 0; i < start.n_ports; i++)
		I->tap[i] = npp_ctl_take_fd(&m, START_FDS + i);
	for (unsigned i = 0; i < start.n_iops; i++)
		I->bells[i] = npp_ctl_take_fd(&m, START_FDS + start.n_ports + i);
	npp_ctl_close_fds(&m);
	I->start = start;
	I->iop = start.iop;
	I->n_iops = start.n_iops;
	return 0;
}

int ism_control_begin(struct ism *I)
{
	int err = begin(I, &I->start);

	if (err < 0)
		return err;
	ism_run_setup(I);
	if (I->start.restart)
		hosts_wait(I);
	return npp_ctl_send(I->ctl, NPP_CTL_READY, 0, 0, NULL, 0, NULL, 0);
}

/* ---- messages --------------------------------------------------------------------------------- */

static void on_ipc(struct ism *I, struct npp_ctl_msg *m)
{
	const struct npp_ctl_ipc *b = (const void *)m->body;
	int err;

	if (m->hdr.len < sizeof *b || m->hdr.nfds != 4 || m->hdr.error)
		return;
	err = ism_ipc_attach(I, b->peer, m->fds);
	if (err < 0)
		npp_warnx("rings to IOP %u: %s", b->peer, strerror(-err));
}

static void on_role(struct ism *I, struct npp_ctl_msg *m)
{
	const struct npp_ctl_role *b = (const void *)m->body;
	struct npp_region rw = NPP_REGION_NULL;
	int err;

	if (m->hdr.len < sizeof *b || (b->link && m->hdr.nfds != 1))
		return;
	if (b->link) {
		err = npp_region_map(&rw, m->fds[0], true, 0, NPP_REGION_NEIGH, npp_abi_layout_hash());
		if (err < 0 || rw.size < sizeof(struct npp_neigh_table)) {
			npp_warnx("neighbour cache: %s", strerror(err < 0 ? -err : EBADMSG));
			npp_region_unmap(&rw);
			return;
		}
	}
	I->env.neigh_rw = rw.base;
	stack_set_env(I->stack, &I->env);
	npp_region_unmap(&I->neigh_rw);
	I->neigh_rw = rw;
}

/* The stack's: what router advertisements say goes to nppd, which writes addresses and routes. */
void ism_autoconf(void *arg, const struct npp_autoconf *a)
{
	struct ism *I = arg;

	if (I->ctl >= 0 && !I->broken)
		npp_ctl_send(I->ctl, NPP_CTL_AUTOCONF, ++I->ctl_seq, 0, a, sizeof *a, NULL, 0);
}

/* Likewise an address of ours that somebody else uses: nppd shows it. */
void ism_conflict(void *arg, const struct npp_conflict *c)
{
	struct ism *I = arg;

	if (I->ctl >= 0 && !I->broken)
		npp_ctl_send(I->ctl, NPP_CTL_CONFLICT, ++I->ctl_seq, 0, c, sizeof *c, NULL, 0);
}

/* Likewise the groups that programs have joined. */
void ism_groups(void *arg, const struct npp_groups *g)
{
	struct ism *I = arg;

	if (I->ctl >= 0 && !I->broken)
		npp_ctl_send(I->ctl, NPP_CTL_GROUPS, ++I->ctl_seq, 0, g, sizeof *g, NULL, 0);
}

static void on_host_attach(struct ism *I, struct npp_ctl_msg *m)
{
	const struct npp_ctl_host_attach *b = (const void *)m->body;
	int err;

	if (m->hdr.len < sizeof *b || m->hdr.nfds != 3)
		return;
	err = ism_host_attach(I, b->host_no, b->attach, b->slot, m->fds[0], m->fds[1]);
	if (err < 0) {
		npp_warnx("host %u: %s", b->host_no, strerror(-err));
		return;
	}
	ism_host_in_bell(I, b->host_no, npp_ctl_take_fd(m, 2));
	npp_debug("host %u attached as slot %u", b->host_no, b->slot);
}

static void on_bells(struct ism *I, struct npp_ctl_msg *m)
{
	const struct npp_ctl_bells *b = (const void *)m->body;

	if (m->hdr.len < sizeof *b || b->count != m->hdr.nfds)
		return;
	for (unsigned i = 0; i < b->count; i++) {
		int fd = npp_ctl_take_fd(m, i);

		if (fd >= 0)
			ism_host_bell(I, b->host_no, b->first + i, fd);
	}
}

static void on_host_detach(struct ism *I, struct npp_ctl_msg *m)
{
	const struct npp_ctl_host_attach *b = (const void *)m->body;

	if (m->hdr.len >= sizeof *b && b->host_no < NPP_MAX_HOSTS)
		ism_host_detach(I, b->host_no);
}

static void handle(struct ism *I, struct npp_ctl_msg *m)
{
	switch (m->hdr.type) {
	case NPP_CTL_STOP:
		nk_stop(&I->nk);
		break;
	case NPP_CTL_IPC:
		on_ipc(I, m);
		break;
	case NPP_CTL_ROLE:
		on_role(I, m);
		break;
	case NPP_CTL_HOST_ATTACH:
		on_host_attach(I, m);
		break;
	case NPP_CTL_BELLS:
		on_bells(I, m);
		break;
	case NPP_CTL_HOST_DETACH:
		on_host_detach(I, m);
		break;
	case NPP_CTL_NET: /* the flush at the end of this round looks */
		break;
	default:
		npp_warnx("control message %u means nothing here", m->hdr.type);
		break;
	}
	npp_ctl_close_fds(m);
}

static void broken(struct ism *I, int err)
{
	npp_warnx("control socket: %s", err ? strerror(-err) : "nppd is gone");
	I->broken = true;
	nk_stop(&I->nk);
}

unsigned ism_control_run(void *arg, unsigned budget)
{
	struct ism *I = arg;
	struct npp_ctl_msg m;
	unsigned n = 0;
	int got;

	while (n < budget && I->deferred) {
		struct ism_deferred *d = I->deferred;

		I->deferred = d->next;
		if (!I->deferred)
			I->deferred_tail = &I->deferred;
		d->m.body = d->body;
		handle(I, &d->m);
		free(d);
		n++;
	}
	while (n < budget && !I->broken) {
		got = receive(I, &m, 0);
		if (got == -EAGAIN)
			break;
		n++;
		if (got == 1)
			handle(I, &m);
		else if (got != -EPROTO) {
			broken(I, got);
			break;
		}
	}
	return n;
}

static void defer(struct ism *I, struct npp_ctl_msg *m)
{
	struct ism_deferred *d = malloc(sizeof *d + m->hdr.len);

	if (!d) {
		npp_warnx("no memory to keep a control message");
		npp_ctl_close_fds(m);
		return;
	}
	d->next = NULL;
	d->m = *m;
	memcpy(d->body, m->body, m->hdr.len);
	*I->deferred_tail = d;
	I->deferred_tail = &d->next;
	nk_raise(&I->nk, NK_CONTROL);
}

int ism_control_ipc_open(struct ism *I, unsigned peer)
{
	struct npp_ctl_ipc ask = { .peer = peer };
	uint64_t until = nk_clock_us() + IPC_WAIT_MS * 1000ull;
	struct npp_ctl_msg m;
	int err;

	if (I->ctl < 0 || I->broken)
		return -ENOTCONN;
	err = npp_ctl_send(I->ctl, NPP_CTL_IPC_OPEN, ++I->ctl_seq, 0, &ask, sizeof ask, NULL, 0);
	while (err >= 0 && !I->ipc[peer].open) {
		uint64_t now = nk_clock_us();

		if (now >= until)
			return -ETIMEDOUT;
		err = receive(I, &m, (int)((until - now) / 1000) + 1);
		if (err == 0)
			err = -EPIPE;
		if (err < 0)
			break;
		if (m.hdr.type == NPP_CTL_IPC) {
			bool refused = m.hdr.seq == I->ctl_seq && m.hdr.error;

			handle(I, &m);
			if (refused)
				return -ECONNREFUSED;
		} else {
			defer(I, &m);
		}
	}
	if (err == -EPIPE)
		broken(I, 0);
	return I->ipc[peer].open ? 0 : err;
}

void ism_control_free(struct ism *I)
{
	while (I->deferred) {
		struct ism_deferred *d = I->deferred;

		I->deferred = d->next;
		npp_ctl_close_fds(&d->m);
		free(d);
	}
	free(I->ctl_buf);
	I->ctl_buf = NULL;
}
