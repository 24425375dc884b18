/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - npp-dispatch: from the supervisor's first message to the loop
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/cores.h"
#include "lib/ctl.h"
#include "lib/log.h"
#include "lib/proto.h"
#include "lib/start.h"
#include "npp-dispatch/dispatch.h"

#define START_TIMEOUT_MS 10000
#define SPIN_MAX_US 30

/* Places of the descriptors in NPP_CTL_START_DISPATCH. */
enum { FD_GLOBAL, FD_STATS, FD_PRIVATE, FD_BELL, FD_PORTS };

static void usage(FILE *to)
{
	fputs("usage: npp-dispatch [--help | --version]\n"
	      "Dispatches the frames of a network port to the IOPs of an NPP.\n"
	      "It is started by nppd(8), which speaks to it over descriptor 3.\n", to);
}

static int take_fd(struct npp_ctl_msg *m, unsigned i)
{
	int fd = npp_ctl_take_fd(m, i);

	if (fd < 0)
		npp_fatalx("start message: descriptor %u is missing", i);
	return fd;
}

static void map(struct npp_region *r, struct npp_ctl_msg *m, unsigned i, bool writable, uint64_t addr,
		enum npp_region_kind kind, uint64_t layout, size_t size)
{
	int fd = take_fd(m, i), err = npp_region_map(r, fd, writable, addr, kind, layout);

	if (err == 0 && r->size < size)
		err = -EBADMSG;
	if (err < 0) {
		errno = -err;
		npp_fatal("mapping region %d", (int)kind);
	}
	close(fd); /* the mapping stays */
}

/* Spinning takes a core from somebody unless dispatcher, every IOP and a program of a
 * host have one each. Who is pinned does not know whom he shares his core with, and never spins. */
static uint32_t spin_allowed(uint32_t n_iops)
{
	return npp_cores() >= n_iops + 2 ? SPIN_MAX_US : 0;
}

static void open_rings(struct dispatch *d, struct npp_ctl_msg *m)
{
	uint32_t n = d->n_iops, bells = FD_PORTS + d->n_ports;

	for (uint32_t i = 0; i < n; i++) {
		int ctl, data, err;

		d->bell[i] = take_fd(m, bells + i);
		ctl = take_fd(m, bells + n + 2 * i);
		data = take_fd(m, bells + n + 2 * i + 1);
		err = npp_fring_attach_prod(&d->ring[i], ctl, data, NPP_REGION_RX);
		if (err < 0) {
			errno = -err;
			npp_fatal("receive ring of IOP %u", i);
		}
		close(ctl);
		close(data);
	}
}

static int take_queue(struct npp_ctl_msg *m, unsigned i)
{
	int fd = take_fd(m, i);

	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		npp_fatal("queue of a port");
	return fd;
}

/* ASIDE: place of the second queues, 0 if there are none. */
static void open_port(struct dispatch *d, uint32_t i, struct npp_ctl_msg *m, unsigned aside, const struct npp_global *g)
{
	struct dispatch_port *p = &d->port[i];

	p->fd = take_queue(m, FD_PORTS + i);
	if (dispatch_ctx_init(&p->ctx, g, i) < 0 || p->ctx.n_iops != d->n_iops)
		npp_fatalx("global region: wrong number of IOPs");
	p->aside.open = aside != 0;
	if (aside)
		p->aside.fd = take_queue(m, aside + i);
}

static void open_stats(struct dispatch *d, struct npp_stats_page *page)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	d->page = page;
	d->stats = page->counter;
	npp_start_page(page, NPP_ROLE_DISPATCH, 0, (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

/* Everything from the start message; returns our own doorbell. */
static int start(struct dispatch *d)
{
	struct npp_ctl_start_dispatch body;
	struct npp_region global, stats, private;
	struct npp_ctl_msg m;
	uint8_t buf[512];
	unsigned aside;
	int rc = npp_start_recv(NPP_CTL_FD, dispatch_layout_hash(), &m, buf, sizeof buf, START_TIMEOUT_MS);

	if (rc != 1 || m.hdr.type != NPP_CTL_START_DISPATCH || m.hdr.len != sizeof body)
		npp_fatalx("no start message on descriptor %d (%d)", NPP_CTL_FD, rc);
	memcpy(&body, m.body, sizeof body);
	npp_log_init("npp-dispatch", (int)body.verbose);
	if (body.abi_version != NPP_ABI_VERSION || body.layout_hash != npp_abi_layout_hash())
		npp_fatalx("the supervisor is of another build");
	aside = FD_PORTS + body.n_ports + 3 * body.n_iops;
	if (body.n_iops < 1 || body.n_iops > NPP_MAX_IOPS || body.n_ports < 1 || body.n_ports > NPP_MAX_PORTS ||
	    m.hdr.nfds != aside + (body.aside ? body.n_ports : 0))
		npp_fatalx("start message: %u descriptors for %u IOPs and %u ports", m.hdr.nfds, body.n_iops, body.n_ports);
	map(&global, &m, FD_GLOBAL, false, 0, NPP_REGION_GLOBAL, npp_abi_layout_hash(), sizeof(struct npp_global));
	map(&stats, &m, FD_STATS, true, 0, NPP_REGION_STATS, npp_abi_layout_hash(), sizeof(struct npp_stats_page));
	map(&private, &m, FD_PRIVATE, true, NPP_ADDR_DISPATCH, NPP_REGION_DISPATCH, dispatch_layout_hash(),
	    sizeof(struct dispatch_state));
	d->state = private.base;
	d->n_iops = body.n_iops;
	d->n_ports = body.n_ports;
	for (uint32_t i = 0; i < d->n_ports; i++)
		open_port(d, i, &m, body.aside ? aside : 0, global.base);
	open_stats(d, stats.base);
	open_rings(d, &m);
	npp_cores_pin(body.cpu);
	d->spin_max_us = spin_allowed(body.n_iops);
	atomic_fetch_add_explicit(&d->state->hdr.generation, 1, memory_order_relaxed);
	atomic_store_explicit(&d->state->hdr.ready, 1, memory_order_release);
	return take_fd(&m, FD_BELL);
}

int main(int argc, char **argv)
{
	static struct dispatch d;
	int bell, rc, type;
	socklen_t len = sizeof type;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("npp-dispatch " PACKAGE_VERSION);
		return 0;
	}
	if (argc != 1 || getsockopt(NPP_CTL_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
		usage(stderr);
		return 2;
	}
	npp_log_init("npp-dispatch", 0);
	bell = start(&d);
	rc = npp_ctl_send(NPP_CTL_FD, NPP_CTL_READY, 0, 0, NULL, 0, NULL, 0);
	if (rc == 0)
		rc = dispatch_run(&d, NPP_CTL_FD, bell);
	if (rc < 0) {
		errno = -rc;
		npp_fatal("control socket");
	}
	return 0;
}
