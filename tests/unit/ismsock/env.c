/* SPDX-License-Identifier: GPL-2.0-or-later
 * env.c - a socket ISM over the fake stack, and a host built by hand
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/bell.h"
#include "tests/unit/ismsock/env.h"

/* Where things stand in the memory of host H, as its nppd writes it. */
static void host_plan(struct env *e, unsigned h)
{
	struct env_host *eh = &e->host[h];
	uint64_t ctx = (sizeof(struct npp_host) + 4095) & ~4095ull;
	uint64_t proc = ctx + sizeof(struct npp_ctx) * NPP_MAX_CTX;
	uint64_t sock = proc + sizeof(struct npp_proc) * NPP_MAX_PROCS;
	uint64_t heap = (sock + sizeof(struct npp_sock) * ENV_SOCKS + 4095) & ~4095ull;

	eh->h->sock_count = ENV_SOCKS;
	eh->h->sock_prog_count = ENV_PROG;
	eh->h->ctx_off = ctx;
	eh->h->proc_off = proc;
	eh->h->sock_off = sock;
	eh->h->heap_off = heap;
	eh->h->heap_size = ENV_HEAP;
	eh->heap_at = heap;
	eh->copy = *eh->h;
}

static uint64_t host_bytes(void)
{
	uint64_t tables = ((sizeof(struct npp_host) + 4095) & ~4095ull) + sizeof(struct npp_ctx) * NPP_MAX_CTX +
			  sizeof(struct npp_proc) * NPP_MAX_PROCS + sizeof(struct npp_sock) * ENV_SOCKS;

	return ((tables + 4095) & ~4095ull) + ENV_HEAP;
}

static void lanes_make(struct env *e, unsigned h, unsigned n)
{
	struct env_host *eh = &e->host[h];

	for (unsigned c = 0; c < n; c++) {
		memset(&eh->inb->lane[c], 0, sizeof eh->inb->lane[c]);
		npp_i2oq_init(&eh->inb->lane[c]);
		npp_i2oq_attach_prod(&eh->prod[c], &eh->inb->lane[c]);
	}
}

static void host_make(struct env *e, unsigned h)
{
	struct env_host *eh = &e->host[h];

	ck_assert_int_eq(npp_region_create(&eh->mem, "test-host", NPP_REGION_HOST, host_bytes(), h,
					   npp_abi_layout_hash(), 0), 0);
	ck_assert_int_eq(npp_region_create(&eh->in, "test-inbound", NPP_REGION_INBOUND, sizeof(struct npp_inbound),
					   1, npp_abi_layout_hash(), 0), 0);
	eh->h = eh->mem.base;
	eh->inb = eh->in.base;
	host_plan(e, h);
	lanes_make(e, h, NPP_MAX_CTX);
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		eh->bell[c] = -1;
}

static void ism_make(struct env *e)
{
	struct stack_env env = { .stats = e->stats, .global = &e->global, .neigh = &e->neigh };

	e->I = ism_new();
	e->I->start = e->start;
	e->I->ringer = e->ringer; /* of a life before: to end one takes the kernel 25 ms */
	e->ringer = (struct npp_ringer){ .aio = 0 };
	ck_assert_int_eq(ism_init(e->I, e->region, e->region_size, &e->start, &env), 0);
	e->I->bells[1] = npp_bell_create();
	ism_run_setup(e->I);
	e->I->nk.max_sleep_us = 1000;
}

struct env *env_new(unsigned hosts)
{
	struct env *e = calloc(1, sizeof *e);

	e->start = (struct npp_ctl_start_ism){ .abi_version = NPP_ABI_VERSION, .iop = 1, .n_iops = 2,
					       .max_conns = ENV_CONNS, .seed = { 1, 2, 3, 4, 5, 6, 7, 8 } };
	e->region_size = (ism_region_size(&e->start) + 4095) & ~(size_t)4095;
	e->region = mmap(NULL, e->region_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(e->region, MAP_FAILED);
	ism_make(e);
	for (unsigned h = 0; h < 2; h++)
		e->host[h].mem = e->host[h].in = (struct npp_region)NPP_REGION_NULL;
	for (unsigned h = 0; h < hosts; h++)
		host_make(e, h);
	return e;
}

/* Detaches all hosts; everything must be back. */
static void settle(struct env *e)
{
	const char *fault = ism_audit(e->I);

	ck_assert_msg(!fault, "before the end: %s", fault);
	for (unsigned h = 0; h < 2; h++)
		ism_host_detach(e->I, h);
	fault = ism_audit(e->I);
	ck_assert_msg(!fault, "after detach: %s", fault);
	ck_assert_uint_eq(e->I->r->pool.free, e->I->r->lay.n_sess);
	/* Those that live on are nobody's: they have nothing left to send. */
	for (uint32_t i = 0; i < ENV_CONNS; i++)
		ck_assert(!stack_conn(e->I->stack, i) || !stack_conn(e->I->stack, i)->user_sock);
	close(e->I->bells[1]);
	ism_destroy(e->I);
	free(e->I);
	e->I = NULL;
}

void env_free(struct env *e)
{
	settle(e);
	munmap(e->region, e->region_size);
	for (unsigned h = 0; h < 2; h++) {
		for (unsigned c = 0; e->host[h].h && c < NPP_MAX_CTX; c++)
			if (e->host[h].bell[c] >= 0)
				close(e->host[h].bell[c]);
		npp_region_unmap(&e->host[h].mem);
		npp_region_unmap(&e->host[h].in);
		fake_mem[h] = (struct fake_mem){ NULL, 0 };
	}
	free(e);
}

/* The pages are zero again, and those of nobody are no work. The header is as HDR, from before the life
 * that may have spoilt it. */
static void clean(void *base, size_t size, const struct npp_region_hdr *hdr)
{
	ck_assert_int_eq(madvise(base, size, MADV_REMOVE), 0);
	memcpy(base, hdr, sizeof *hdr);
}

void env_renew(struct env *e, unsigned lanes)
{
	npp_ringer_flush(&e->I->ringer);
	e->ringer = e->I->ringer;
	e->I->ringer.aio = 0;
	settle(e);
	ck_assert_int_eq(madvise(e->region, e->region_size, MADV_DONTNEED), 0);
	memset(e->stats, 0, sizeof e->stats);
	ism_make(e);
	for (unsigned h = 0; h < 2 && e->host[h].h; h++) {
		struct env_host *eh = &e->host[h];

		clean(eh->mem.base, eh->mem.size, &eh->copy.hdr);
		host_plan(e, h);
		eh->inb->summary = 0;
		for (unsigned i = 0; i < NPP_MAX_CTX / 64; i++)
			eh->inb->work[i] = 0;
		lanes_make(e, h, lanes);
		for (unsigned c = 0; c < lanes; c++) {
			npp_bell_drain(eh->bell[c]);
			eh->cons[c].q = NULL;
		}
		fake_mem[h] = (struct fake_mem){ NULL, 0 };
	}
}

void *env_at(struct env *e, unsigned h, uint64_t off)
{
	return (uint8_t *)e->host[h].mem.base + off;
}

struct npp_sock *env_sock(struct env *e, unsigned h, uint32_t i)
{
	return (struct npp_sock *)env_at(e, h, e->host[h].copy.sock_off) + i;
}

struct npp_ctx *env_ctx(struct env *e, unsigned h, unsigned ctx)
{
	return (struct npp_ctx *)env_at(e, h, e->host[h].copy.ctx_off) + ctx;
}

uint64_t env_alloc(struct env *e, unsigned h, uint64_t bytes, uint64_t align)
{
	uint64_t at = (e->host[h].heap_at + align - 1) / align * align;

	e->host[h].heap_at = at + ((bytes + 63) & ~63ull);
	ck_assert(e->host[h].heap_at <= e->host[h].copy.heap_off + ENV_HEAP);
	return at;
}

void env_lane(struct env *e, unsigned h, unsigned ctx)
{
	struct env_host *eh = &e->host[h];
	uint64_t off = env_alloc(e, h, sizeof(struct npp_i2oq), 64);
	struct npp_i2oq *q = env_at(e, h, off);

	npp_i2oq_init(q);
	ck_assert_int_eq(npp_i2oq_attach_cons(&eh->cons[ctx], q), 0);
	env_ctx(e, h, ctx)->state = NPP_CTX_OPEN;
	atomic_store_explicit((_Atomic uint32_t *)&env_ctx(e, h, ctx)->lane_off64[ENV_SLOT],
			      (uint32_t)(off / 64), memory_order_release);
	if (ctx == 0)
		atomic_store_explicit(&eh->h->attach[ENV_SLOT / NPP_MAX_IOPS].state, 2, memory_order_release);
	if (eh->bell[ctx] < 0) {
		eh->bell[ctx] = npp_bell_create();
		if (e->I->host[h])
			ism_host_bell(e->I, h, ctx, dup(eh->bell[ctx]));
	}
}

int env_attach_raw(struct env *e, unsigned h)
{
	int err = ism_host_attach(e->I, h, 1, ENV_SLOT, e->host[h].mem.fd, e->host[h].in.fd);

	if (err < 0)
		return err;
	fake_mem[h] = (struct fake_mem){ e->I->host[h]->base, e->host[h].mem.size };
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		if (e->host[h].bell[c] >= 0)
			ism_host_bell(e->I, h, c, dup(e->host[h].bell[c]));
	return 0;
}

void env_attach(struct env *e, unsigned h)
{
	struct npp_msg m;

	env_lane(e, h, 0);
	ck_assert_int_eq(env_attach_raw(e, h), 0);
	env_house(e);
	ck_assert(env_expect(e, h, 0, NPP_MSG_HELLO, &m));
	ck_assert_uint_eq(m.arg, 1);
	ck_assert_uint_eq(m.flags, NPP_HELLO_FRESH);
	env_post(e, h, 0, (struct npp_msg){ .type = NPP_MSG_HOST, .arg = ENV_LENT, .arg2 = ENV_SOCKS - ENV_LENT });
	env_post(e, h, 0, (struct npp_msg){ .type = NPP_MSG_EXTENT, .off = env_alloc(e, h, ENV_EXTENT, 4096),
					    .arg2 = ENV_EXTENT });
	env_run(e);
	ck_assert_uint_eq(e->I->r->host[h].state, ISM_HOST_UP);
	ck_assert_uint_eq(e->I->r->host[h].heap.free, ENV_EXTENT);
}

void env_post(struct env *e, unsigned h, unsigned ctx, struct npp_msg m)
{
	m.ctx = (uint16_t)ctx;
	npp_i2oq_post(&e->host[h].prod[ctx], &m);
	npp_inbound_mark(e->host[h].inb, ctx);
}

bool env_get(struct env *e, unsigned h, unsigned ctx, struct npp_msg *m)
{
	return npp_i2oq_poll(&e->host[h].cons[ctx], m) == 1;
}

bool env_expect(struct env *e, unsigned h, unsigned ctx, unsigned type, struct npp_msg *m)
{
	while (env_get(e, h, ctx, m))
		if (m->type == type)
			return true;
	return false;
}

void env_run(struct env *e)
{
	for (int i = 0; i < 1000; i++)
		if (!nk_round(&e->I->nk))
			return;
	ck_abort_msg("the net kernel never comes to rest");
}

void env_house(struct env *e)
{
	nk_thread_raise(&e->I->nk, e->I->th_house);
	env_run(e);
}

bool env_rung(struct env *e, unsigned h, unsigned ctx)
{
	uint64_t n;

	return read(e->host[h].bell[ctx], &n, sizeof n) == sizeof n;
}

uint64_t env_stat(struct env *e, unsigned id)
{
	return atomic_load_explicit(&e->stats[id], memory_order_relaxed);
}

struct npp_msg env_msg(struct env *e, unsigned h, unsigned type, uint32_t sock, uint32_t arg)
{
	struct npp_sock *rec = env_sock(e, h, sock);

	return (struct npp_msg){ .type = (uint8_t)type, .sock = sock, .sock_gen = rec->gen,
				 .ism_handle = rec->ism_handle, .arg = arg };
}

struct tcp_listener *env_listener(struct env *e, uint16_t port)
{
	for (uint32_t i = 0; i < 64; i++) {
		struct tcp_listener *l = stack_listener(e->I->stack, i);

		if (l && l->port == port)
			return l;
	}
	return NULL;
}

struct npp_accept_lane *env_listen(struct env *e, unsigned h, uint32_t sock, uint16_t port, uint32_t entries,
				   uint32_t backlog)
{
	uint64_t off = env_alloc(e, h, sizeof(struct npp_listener), 64);
	uint64_t lane_off = env_alloc(e, h, sizeof(struct npp_accept_lane) + 8 * entries, 64);
	struct npp_listener *nl = env_at(e, h, off);
	struct npp_accept_lane *lane = env_at(e, h, lane_off);
	struct npp_sock *rec = env_sock(e, h, sock);
	struct npp_msg m;

	rec->owner = 5;
	rec->type = NPP_SOCK_LISTENER;
	rec->ext_off64 = (uint32_t)(off / 64);
	rec->lport = port;
	lane->mask = entries - 1;
	nl->sock = sock;
	nl->backlog = backlog;
	nl->lane_off64[ENV_SLOT] = (uint32_t)(lane_off / 64);
	m = env_msg(e, h, NPP_MSG_LISTEN, sock, backlog);
	m.off = off;
	m.port = port;
	m.addr = npp_addr_v4(0);
	env_post(e, h, 0, m);
	env_run(e);
	ck_assert(env_expect(e, h, 0, NPP_MSG_LISTENING, &m));
	ck_assert_int_eq(m.error, 0);
	ck_assert_uint_eq(m.sock, sock);
	return lane;
}

uint32_t env_claim(struct env *e, struct npp_accept_lane *lane)
{
	(void)e;
	for (uint32_t i = 0; i < 16 && i <= lane->mask; i++) {
		uint64_t v = lane->entry[i];

		if (!v || NPP_ACCEPT_OWNER(v) != NPP_ACCEPT_READY)
			continue;
		lane->entry[i] = 0;
		if (NPP_ACCEPT_SOCK(v) >= ENV_SOCKS)
			continue;
		env_sock(e, 0, NPP_ACCEPT_SOCK(v))->refs = 1;
		return NPP_ACCEPT_SOCK(v);
	}
	return 0;
}

struct tcp_conn *env_conn(struct env *e, uint32_t sock)
{
	for (uint32_t i = 0; i < ENV_CONNS; i++) {
		struct tcp_conn *c = stack_conn(e->I->stack, i);

		if (c && c->user_sock == sock)
			return c;
	}
	return NULL;
}

struct tcp_conn *env_accepted(struct env *e, unsigned h, struct npp_accept_lane *lane, uint32_t *sock)
{
	struct tcp_conn *c = fake_accept(e->I->stack, env_listener(e, env_sock(e, h, 1)->lport), 5000);

	ck_assert_ptr_nonnull(c);
	env_run(e);
	*sock = env_claim(e, lane);
	ck_assert_uint_ne(*sock, 0);
	ck_assert_uint_eq(c->user_sock, *sock);
	return c;
}
