/* SPDX-License-Identifier: GPL-2.0-or-later
 * fake.c - a host for the OSM under test
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"
#include "tests/unit/dir.h"
#include "tests/unit/osm/fake.h"

#define HEAP_BYTES (32u << 20)

static uint64_t fake_now(void *arg) { return ((struct fake *)arg)->now; }

/* ---- nppd of the host ---------------------------------------------------------------- */

static void make_host(struct fake *f)
{
	uint64_t off = 4096, size;

	struct { uint64_t ctx, proc, sock, osm, heap; } at;

	at.ctx = off, off += sizeof(struct npp_ctx) * NPP_MAX_CTX;
	at.proc = off, off += sizeof(struct npp_proc) * NPP_MAX_PROCS;
	at.sock = off, off += sizeof(struct npp_sock) * FAKE_SOCKS;
	at.osm = off, off += NPP_OSM_BOOKS_BYTES;
	at.heap = off;
	size = off + HEAP_BYTES;
	ck_assert_int_eq(npp_region_create(&f->host_region, "npp-test-host", NPP_REGION_HOST, size, 0,
					   npp_abi_layout_hash(), 0), 0);
	f->host = f->host_region.base;
	f->host->sock_count = FAKE_SOCKS;
	f->host->ctx_off = at.ctx;
	f->host->proc_off = at.proc;
	f->host->sock_off = at.sock;
	f->host->osm_off = at.osm;
	f->host->osm_size = NPP_OSM_BOOKS_BYTES;
	f->host->heap_off = at.heap;
	f->host->heap_size = HEAP_BYTES;
	f->ctx = (void *)((uint8_t *)f->host + at.ctx);
	f->proc = (void *)((uint8_t *)f->host + at.proc);
	f->sock = (void *)((uint8_t *)f->host + at.sock);
}

static void start_osm(struct fake *f, uint32_t restart)
{
	struct npp_ctl_start_osm st = { .abi_version = NPP_ABI_VERSION, .restart = restart, .name = "h",
					.layout_hash = npp_abi_layout_hash(), .n_npps = f->n_npps };
	struct npp_osm_config cfg = { .now_us = fake_now, .now_arg = f, .start_timeout_ms = 5000 };
	struct npp_ctl_msg m;
	struct npp_err e = { "" };
	int sv[2], fds[3];

	ck_assert_int_eq(npp_ctl_pair(sv), 0);
	f->ctl = sv[0];
	cfg.ctl = sv[1];
	fds[0] = f->host_region.fd;
	fds[1] = f->stats.fd;
	fds[2] = f->listen_fd;
	ck_assert_int_eq(npp_ctl_send(f->ctl, NPP_CTL_START_OSM, 0, 0, &st, sizeof st, fds, 3), 0);
	for (uint32_t first = 0; first < NPP_MAX_CTX; first += 128) {
		struct npp_ctl_bells b = { .first = first, .count = 128 };

		ck_assert_int_eq(npp_ctl_send(f->ctl, NPP_CTL_BELLS, 0, 0, &b, sizeof b, f->bell + first, 128), 0);
	}
	ck_assert_msg(npp_osm_create(&f->osm, &cfg, &e) == 0, "%s", e.text);
	ck_assert_int_eq(npp_ctl_recv(f->ctl, &m, f->buf, sizeof f->buf, 0), 1);
	ck_assert_uint_eq(m.hdr.type, NPP_CTL_READY);
}

struct fake *fake_new(unsigned n_npps)
{
	struct fake *f = calloc(1, sizeof *f);

	f->now = 1000000;
	f->n_npps = n_npps;
	snprintf(f->dir, sizeof f->dir, "%s/osm-XXXXXX", npp_dir_path());
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	snprintf(f->path, sizeof f->path, "%s/h.osm.sock", f->dir);
	make_host(f);
	ck_assert_int_eq(npp_region_create(&f->stats, "npp-test-stats", NPP_REGION_STATS, 4096, 0,
					   npp_abi_layout_hash(), 0), 0);
	for (unsigned i = 0; i < NPP_MAX_CTX; i++)
		f->bell[i] = npp_bell_create();
	ck_assert_int_ge(f->bell[NPP_MAX_CTX - 1], 0);
	f->board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++)
		f->npp[a].fd = -1;
	f->listen_fd = npp_ctl_listen(f->path, 0600);
	ck_assert_int_ge(f->listen_fd, 0);
	start_osm(f, 0);
	return f;
}

static void free_npp(struct fake_npp *n)
{
	if (n->fd < 0)
		return;
	close(n->fd);
	n->fd = -1;
	npp_region_unmap(&n->global);
	for (unsigned i = 0; i < n->n_iops; i++) {
		npp_region_unmap(&n->ism[i].inbound);
		close(n->ism[i].bell);
	}
}

void fake_restart_osm(struct fake *f)
{
	npp_osm_destroy(f->osm);
	close(f->ctl);
	start_osm(f, 1);
}

void fake_free(struct fake *f)
{
	npp_osm_destroy(f->osm);
	close(f->ctl);
	close(f->listen_fd);
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++)
		free_npp(&f->npp[a]);
	for (unsigned i = 0; i < NPP_MAX_CTX; i++)
		close(f->bell[i]);
	npp_region_unmap(&f->host_region);
	npp_region_unmap(&f->stats);
	munmap(f->board, 4096);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
}

/* ---- NPPs --------------------------------------------------------------------------------- */

static void add_addr(struct npp_global *g, const char *text)
{
	ck_assert_int_eq(npp_addr_parse(text, &g->addr[g->n_addrs++].addr), 0);
}

static void make_npp(struct fake_npp *n, unsigned a, unsigned n_iops)
{
	struct npp_global *g;
	char addr[32];

	memset(n, 0, sizeof *n);
	n->a = a;
	n->n_iops = n_iops;
	ck_assert_int_eq(npp_region_create(&n->global, "npp-test-global", NPP_REGION_GLOBAL, sizeof *g, 0,
					   npp_abi_layout_hash(), 0), 0);
	g = n->global.base;
	g->n_iops = n_iops;
	snprintf(addr, sizeof addr, "10.%u.0.1", a);
	add_addr(g, addr);
	for (unsigned i = 0; i < n_iops; i++) {
		struct fake_ism *s = &n->ism[i];
		struct npp_inbound *in;

		s->slot = a * NPP_MAX_IOPS + i;
		s->live = true;
		ck_assert_int_eq(npp_region_create(&s->inbound, "npp-test-inbound", NPP_REGION_INBOUND, sizeof *in, 0,
						   npp_abi_layout_hash(), 0), 0);
		in = s->inbound.base;
		in->host = 3;
		in->iop = i;
		for (unsigned c = 0; c < NPP_MAX_CTX; c++)
			npp_i2oq_init(&in->lane[c]);
		s->bell = npp_bell_create();
	}
}

void fake_npp_conn(struct fake *f, unsigned a, unsigned n_iops)
{
	struct npp_ctl_npp_conn c = { .attach = a };
	int sv[2];

	free_npp(&f->npp[a]);
	make_npp(&f->npp[a], a, n_iops);
	snprintf(c.name, sizeof c.name, "npp%u", a);
	ck_assert_int_eq(npp_ctl_pair(sv), 0);
	f->npp[a].fd = sv[0];
	ck_assert_int_eq(npp_ctl_send(f->ctl, NPP_CTL_NPP_CONN, 0, 0, &c, sizeof c, &sv[1], 1), 0);
	close(sv[1]);
}

void fake_npp_gone(struct fake *f, unsigned a)
{
	free_npp(&f->npp[a]);
	FAKE_UNTIL(f, atomic_load(&f->host->attach[a].state) == 3);
	for (unsigned n = 0; n < 12; n++)
		fake_step(f, 100000);
}

void fake_npp_again(struct fake *f, unsigned a)
{
	struct npp_ctl_npp_conn c = { .attach = a };
	int sv[2];

	close(f->npp[a].fd);
	snprintf(c.name, sizeof c.name, "npp%u", a);
	ck_assert_int_eq(npp_ctl_pair(sv), 0);
	f->npp[a].fd = sv[0];
	ck_assert_int_eq(npp_ctl_send(f->ctl, NPP_CTL_NPP_CONN, 0, 0, &c, sizeof c, &sv[1], 1), 0);
	close(sv[1]);
	f->npp[a].attached = false;
	FAKE_UNTIL(f, f->npp[a].attached && atomic_load(&f->host->attach[a].state) == 2);
}

void fake_iop_state(struct fake *f, unsigned a, unsigned iop, bool up)
{
	struct npp_ctl_iop b = { .attach = a, .iop = iop, .up = up };

	ck_assert_int_eq(npp_ctl_send(f->npp[a].fd, NPP_CTL_IOP_STATE, 0, 0, &b, sizeof b, NULL, 0), 0);
}

static bool all_up(struct fake *f, unsigned a)
{
	unsigned n = f->npp[a].n_iops;

	return atomic_load(&f->host->attach[a].iop_up) == (n == 32 ? ~0u : (1u << n) - 1);
}

void fake_attach(struct fake *f, unsigned a, unsigned n_iops)
{
	fake_npp_conn(f, a, n_iops);
	FAKE_UNTIL(f, all_up(f, a));
	for (unsigned i = 0; i < n_iops; i++)
		FAKE_UNTIL(f, f->npp[a].ism[i].ext_size || f->npp[a].ism[i].refusals);
}

static void send_attached(struct fake_npp *n)
{
	struct npp_ctl_attached r = { .attach = n->a, .host_no = 3, .n_iops = n->n_iops,
				      .iop_up = n->n_iops == 32 ? ~0u : (1u << n->n_iops) - 1 };
	int fds[1 + 2 * NPP_MAX_IOPS];

	fds[0] = n->global.fd;
	for (unsigned i = 0; i < n->n_iops; i++) {
		fds[1 + i] = n->ism[i].bell;
		fds[1 + n->n_iops + i] = n->ism[i].inbound.fd;
	}
	ck_assert_int_eq(npp_ctl_send(n->fd, NPP_CTL_ATTACHED, 1, 0, &r, sizeof r, fds, 1 + 2 * n->n_iops), 0);
	n->attached = true;
}

static void npp_step(struct fake *f, struct fake_npp *n)
{
	struct npp_ctl_msg m;

	while (n->fd >= 0 && npp_ctl_recv(n->fd, &m, f->buf, sizeof f->buf, 0) == 1) {
		const struct npp_ctl_port *p = (const void *)m.body;

		if (m.hdr.type == NPP_CTL_ATTACH_DONE) {
			send_attached(n);
		} else if (m.hdr.type == NPP_CTL_PORT_GRANT) {
			n->grants++;
			n->last_reuse = p->reuse;
			if (!n->silent)
				npp_ctl_send(n->fd, NPP_CTL_PORT_GRANTED, m.hdr.seq,
					     p->port == n->deny_port ? -EADDRINUSE : 0, p, sizeof *p, NULL, 0);
		} else if (m.hdr.type == NPP_CTL_PORT_RELEASE) {
			n->releases++;
		}
		npp_ctl_close_fds(&m);
	}
}

/* ---- ISMs ----------------------------------------------------------------------------------- */

void fake_ism_post(struct fake *f, struct fake_ism *i, const struct npp_msg *m)
{
	npp_i2oq_post(&i->prod, m);
	if (npp_bell_claim(&f->ctx[0].sleeping))
		npp_bell_ring(f->bell[0]);
}

unsigned fake_logged(const struct fake_ism *i, unsigned type, struct npp_msg *last)
{
	unsigned n = 0;

	for (unsigned k = 0; k < i->n_log; k++)
		if (i->log[k].type == type) {
			n++;
			if (last)
				*last = i->log[k];
		}
	return n;
}

static void ism_close(struct fake *f, struct fake_ism *i, const struct npp_msg *m)
{
	struct npp_sock *s = &f->sock[m->sock];
	struct npp_msg freed = { .type = NPP_MSG_FREED, .sock = m->sock };

	if (m->sock >= FAKE_SOCKS || atomic_load(&s->gen) != m->sock_gen || atomic_load(&s->ism_handle) == 0xffffffff)
		return;
	atomic_store(&s->ism_handle, 0xffffffff);
	s->type = NPP_SOCK_NONE;
	atomic_fetch_add(&s->gen, 1);
	atomic_store(&s->owner, 0);
	freed.sock_gen = atomic_load(&s->gen);
	if (m->sock <= f->host->sock_prog_count)
		fake_ism_post(f, i, &freed);
}

static void ism_message(struct fake *f, struct fake_ism *i, const struct npp_msg *m)
{
	struct npp_msg r = { .sock = m->sock, .sock_gen = m->sock_gen, .error = i->refuse, .ism_handle = 77 };

	if (i->n_log < FAKE_LOG)
		i->log[i->n_log++] = *m;
	switch (m->type) {
	case NPP_MSG_HOST:
		if (!i->lent_count) {
			i->lent_first = m->arg;
			i->lent_count = m->arg2;
		}
		return;
	case NPP_MSG_EXTENT:
		i->ext_off = m->off;
		i->ext_size = m->arg2;
		i->refusals += m->error != 0;
		return;
	case NPP_MSG_LISTEN: r.type = NPP_MSG_LISTENING; break;
	case NPP_MSG_UDP_BIND: r.type = NPP_MSG_UDP_BOUND; break;
	case NPP_MSG_UNLISTEN: r.type = NPP_MSG_UNLISTENED; break;
	case NPP_MSG_UDP_UNBIND: r.type = NPP_MSG_UDP_UNBOUND; break;
	case NPP_MSG_CLOSE: ism_close(f, i, m); return;
	case NPP_MSG_CONNECT:
		if (m->sock < FAKE_SOCKS && atomic_load(&f->sock[m->sock].gen) == m->sock_gen)
			atomic_store(&f->sock[m->sock].ism_handle, 5);
		return;
	default:
		return;
	}
	if (!i->mute)
		fake_ism_post(f, i, &r);
}

static void ism_step(struct fake *f, struct fake_ism *i)
{
	struct npp_inbound *in = i->inbound.base;
	struct npp_msg m;

	if (!i->live)
		return;
	if (!i->hello_sent) {
		struct npp_msg hello = { .type = NPP_MSG_HELLO, .arg = i->slot % NPP_MAX_IOPS, .arg2 = NPP_ISM_HANDLE_BITS,
					 .flags = i->fresh ? NPP_HELLO_FRESH : 0 };
		uint32_t lane = f->ctx[0].lane_off64[i->slot];

		if (!lane || npp_i2oq_attach_prod(&i->prod, (void *)((uint8_t *)f->host + lane * 64ull)))
			return;
		i->hello_sent = true;
		fake_ism_post(f, i, &hello);
	}
	atomic_store(&in->summary, 0);
	for (unsigned w = 0; w < NPP_MAX_CTX / 64; w++) {
		uint64_t bits = atomic_exchange(&in->work[w], 0);

		for (unsigned c = w * 64; bits; c++, bits >>= 1) {
			if (!(bits & 1))
				continue;
			if (!i->cons_ok[c])
				i->cons_ok[c] = npp_i2oq_attach_cons(&i->cons[c], &in->lane[c]) == 0;
			ck_assert(i->cons_ok[c]);
			npp_i2oq_overflowed(&i->cons[c]);
			while (npp_i2oq_poll(&i->cons[c], &m) == 1)
				ism_message(f, i, &m);
		}
	}
}

time_t fake_real_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

void fake_step(struct fake *f, uint64_t us)
{
	f->now += us;
	ck_assert_int_eq(npp_osm_step(f->osm, 0), 1);
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++) {
		if (f->npp[a].fd < 0)
			continue;
		npp_step(f, &f->npp[a]);
		for (unsigned i = 0; i < f->npp[a].n_iops; i++)
			ism_step(f, &f->npp[a].ism[i]);
	}
}

/* ---- programs ----------------------------------------------------------------------------------- */

int fake_connect(struct fake *f)
{
	int s = npp_ctl_connect(f->path);

	ck_assert_int_ge(s, 0);
	return s;
}

int fake_call_fds(struct fake *f, int sock, unsigned type, const void *body, size_t len, struct npp_ctl_msg *m)
{
	static uint8_t buf[NPP_CTL_MAX_BODY];
	int r = -EAGAIN;

	ck_assert_int_eq(npp_ctl_send(sock, (uint16_t)type, 9, 0, body, len, NULL, 0), 0);
	for (unsigned n = 0; r == -EAGAIN; n++) {
		ck_assert_msg(n < 100000, "no answer to request %u", type);
		fake_step(f, 100);
		r = npp_ctl_recv(sock, m, buf, sizeof buf, 0);
	}
	ck_assert_int_eq(r, 1);
	ck_assert_uint_eq(m->hdr.type, NPP_CTL_ANSWER);
	ck_assert_uint_eq(m->hdr.seq, 9);
	return m->hdr.error;
}

int fake_call(struct fake *f, int sock, unsigned type, const void *body, size_t len, void *answer, size_t cap)
{
	struct npp_ctl_msg m;
	int err = fake_call_fds(f, sock, type, body, len, &m);

	if (!err && cap) {
		ck_assert_uint_eq(m.hdr.len, cap);
		memcpy(answer, m.body, cap);
	}
	npp_ctl_close_fds(&m);
	return err;
}

int fake_prog(struct fake *f, uint32_t *proc)
{
	struct npp_ctl_hello h = { .abi_version = NPP_ABI_VERSION, .pid = getpid(), .image = 1,
				   .layout_hash = npp_abi_layout_hash() };
	struct npp_ctl_chunk k = { 0 };
	struct npp_ctl_welcome w;
	int s = fake_connect(f);

	ck_assert_int_eq(fake_call(f, s, NPP_CTL_PROC_HELLO, &h, sizeof h, &w, sizeof w), 0);
	k.proc = w.proc;
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_FD_CHUNK, &k, sizeof k, NULL, 0), 0);
	if (proc)
		*proc = w.proc;
	return s;
}

uint32_t fake_ctx_open(struct fake *f, int sock)
{
	struct npp_ctl_ctx c = { 0 };

	ck_assert_int_eq(fake_call(f, sock, NPP_CTL_CTX_OPEN, &c, sizeof c, &c, sizeof c), 0);
	return c.ctx;
}

/* ---- forked programs: they wait, and end with _exit() or a signal --------------------------------- */

static void kid_assert(bool ok, int line)
{
	if (!ok) {
		fprintf(stderr, "forked program failed in fake.c:%d\n", line);
		_exit(99);
	}
}

int kid_call(int sock, unsigned type, const void *body, size_t len, void *answer, size_t cap)
{
	static uint8_t buf[NPP_CTL_MAX_BODY];
	struct npp_ctl_msg m;
	int err = npp_ctl_call(sock, (uint16_t)type, body, len, NULL, 0, &m, buf, sizeof buf, 10000);

	if (err < 0)
		return err;
	npp_ctl_close_fds(&m);
	if (cap) {
		kid_assert(m.hdr.len == cap, __LINE__);
		memcpy(answer, m.body, cap);
	}
	return 0;
}

int kid_hello(struct fake *f, uint32_t *proc, uint64_t image)
{
	struct npp_ctl_hello h = { .abi_version = NPP_ABI_VERSION, .pid = getpid(), .image = image,
				   .layout_hash = npp_abi_layout_hash() };
	struct npp_ctl_chunk k = { 0 };
	struct npp_ctl_welcome w;
	int s = npp_ctl_connect(f->path);

	kid_assert(s >= 0, __LINE__);
	kid_assert(kid_call(s, NPP_CTL_PROC_HELLO, &h, sizeof h, &w, sizeof w) == 0, __LINE__);
	k.proc = w.proc;
	kid_assert(kid_call(s, NPP_CTL_FD_CHUNK, &k, sizeof k, NULL, 0) == 0, __LINE__);
	*proc = w.proc;
	return s;
}

uint32_t kid_ctx_open(int sock)
{
	struct npp_ctl_ctx c = { 0 };

	kid_assert(kid_call(sock, NPP_CTL_CTX_OPEN, &c, sizeof c, &c, sizeof c) == 0, __LINE__);
	return c.ctx;
}

pid_t fake_fork(struct fake *f, void (*fn)(struct fake *f))
{
	pid_t pid;

	atomic_store(&f->board->stage, 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		fn(f);
		_exit(0);
	}
	return pid;
}

void kid_stage(struct fake *f, uint32_t stage) { atomic_store(&f->board->stage, stage); }

void kid_wait(struct fake *f, uint32_t stage)
{
	while (atomic_load(&f->board->stage) < stage)
		sched_yield();
}

/* ---- host memory ------------------------------------------------------------------------------------ */

uint32_t fake_sock(struct fake *f, uint32_t ctx, unsigned type)
{
	for (uint32_t i = 1; i <= f->host->sock_prog_count; i++) {
		uint32_t none = 0;

		if (!atomic_compare_exchange_strong(&f->sock[i].owner, &none, ctx + 1))
			continue;
		f->sock[i].type = (uint8_t)type;
		f->sock[i].family = 4;
		f->sock[i].slot = 0;
		atomic_store(&f->sock[i].ism_handle, 0xffffffff);
		atomic_store(&f->sock[i].refs, 1);
		return i;
	}
	return 0;
}

npp_fdword_t *fake_fd(struct fake *f, uint32_t proc, unsigned fd)
{
	uint32_t off64 = atomic_load(&f->proc[proc].chunk_off64[fd / NPP_FDTAB_CHUNK]);

	return (npp_fdword_t *)((uint8_t *)f->host + off64 * 64ull) + fd % NPP_FDTAB_CHUNK;
}

void fake_fd_set(struct fake *f, uint32_t proc, unsigned fd, uint32_t sock)
{
	atomic_store(fake_fd(f, proc, fd), (uint64_t)atomic_load(&f->sock[sock].gen) << 32 | (sock + 1));
}

struct npp_ctl_bind fake_bind_body(struct fake *f, uint32_t sock, const char *addr, uint16_t port, uint8_t proto)
{
	struct npp_ctl_bind b = { .sock = sock, .gen = atomic_load(&f->sock[sock].gen), .backlog = 20, .port = port,
				  .proto = proto };

	npp_addr_parse(addr, &b.addr);
	return b;
}

uint32_t fake_accepted(struct fake *f, struct fake_ism *i, uint32_t listener)
{
	struct npp_listener *l = (void *)((uint8_t *)f->host + f->sock[listener].ext_off64 * 64ull);
	struct npp_accept_lane *lane = (void *)((uint8_t *)f->host + l->lane_off64[i->slot] * 64ull);
	uint32_t s = i->lent_first, head;

	while (atomic_load(&f->sock[s].owner))
		s++;
	ck_assert_uint_lt(s, i->lent_first + i->lent_count);
	f->sock[s].type = NPP_SOCK_STREAM;
	f->sock[s].slot = (uint8_t)i->slot;
	f->sock[s].listener = listener;
	atomic_store(&f->sock[s].ism_handle, 1000 + s);
	atomic_store(&f->sock[s].owner, 0x10000 + i->slot);
	if (!listener) {
		atomic_store(&f->sock[s].refs, 1);
		return s;
	}
	head = atomic_fetch_add(&lane->head, 1);
	atomic_store(&lane->entry[head & lane->mask], NPP_ACCEPT_ENTRY(s, atomic_load(&f->sock[s].gen), NPP_ACCEPT_READY));
	return s;
}

_Atomic uint64_t *fake_entry(struct fake *f, uint32_t listener, unsigned slot, uint32_t sock)
{
	struct npp_listener *l = (void *)((uint8_t *)f->host + f->sock[listener].ext_off64 * 64ull);
	struct npp_accept_lane *lane = (void *)((uint8_t *)f->host + l->lane_off64[slot] * 64ull);

	for (uint32_t k = 0; k <= lane->mask; k++)
		if (NPP_ACCEPT_SOCK(atomic_load(&lane->entry[k])) == sock)
			return &lane->entry[k];
	return NULL;
}

struct npp_ctl_check fake_settle(struct fake *f)
{
	struct npp_ctl_check c;
	unsigned wrong = 1;

	for (unsigned n = 0; n < 200; n++) {
		fake_step(f, 50000);
		wrong = npp_osm_check(f->osm, &c, NULL);
		if (n > 100 && !wrong && !c.refs_high)
			break;
	}
	if (wrong || c.refs_high)
		npp_osm_check(f->osm, &c, stderr);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(c.refs_high, 0);
	return c;
}
