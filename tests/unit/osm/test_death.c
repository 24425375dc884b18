/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_death.c - programs that are killed at any instruction, fork, or exec
 *
 * The programs are forked and kill themselves between two stores of the library's
 * protocols. Each test ends with a check that recounts everything.
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"
#include "tests/unit/osm/fake.h"
#include "tests/unit/suite.h"

#define LISTENER(f) atomic_load(&(f)->board->value[0])
#define CONN(f) atomic_load(&(f)->board->value[1])
#define POINT(f) atomic_load(&(f)->board->value[2])

static _Noreturn void die(void)
{
	raise(SIGKILL);
	_exit(98);
}

/* Dies if this is the point to die at. */
static void point(struct fake *f, uint32_t n)
{
	if (POINT(f) == n)
		die();
}

/* Runs everybody until the forked program PID is gone; asserts how it went. */
static void reap(struct fake *f, pid_t pid)
{
	int status = 0;

	FAKE_UNTIL(f, waitpid(pid, &status, WNOHANG) == pid);
	ck_assert_msg(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "exit status %#x", status);
}


struct base { struct fake *f; int sock; uint32_t proc, ctx, records; uint64_t heap; };

/* A host with 3 IOPs and one program in the test process that has a listener on port 80
 * as descriptor 3 and is subscribed to it. */
static struct base start(void)
{
	struct base b = { .f = fake_new(1) };
	struct npp_ctl_bind q;
	struct npp_ctl_check c;
	uint32_t l;

	fake_attach(b.f, 0, 3);
	b.sock = fake_prog(b.f, &b.proc);
	b.ctx = fake_ctx_open(b.f, b.sock);
	l = fake_sock(b.f, b.ctx, NPP_SOCK_STREAM);
	fake_fd_set(b.f, b.proc, 3, l);
	q = fake_bind_body(b.f, l, "0.0.0.0", 80, IPPROTO_TCP);
	ck_assert_int_eq(fake_call(b.f, b.sock, NPP_CTL_LISTEN, &q, sizeof q, &q, sizeof q), 0);
	atomic_store(&b.f->sock[l].sub[0], (b.ctx + 1) | NPP_SUB_RX | NPP_SUB_EXCLUSIVE);
	atomic_store(&b.f->board->value[0], l);
	c = fake_settle(b.f);
	b.heap = c.heap_used;
	b.records = c.socks_used;
	return b;
}

/* Nothing of the dead is left beside EXTRA records. */
static void finish(struct base *b, uint32_t extra)
{
	struct npp_ctl_check c = fake_settle(b->f);

	ck_assert_uint_eq(c.procs, 1);
	ck_assert_uint_eq(c.ctxs, 1);
	ck_assert_uint_eq(c.binds, 1);
	ck_assert_uint_eq(c.socks_used, b->records + extra);
	ck_assert_uint_eq(c.heap_used, b->heap);
	close(b->sock);
	fake_free(b->f);
}

/* ---- accept --------------------------------------------------------------------------- */

static void kid_accept(struct fake *f)
{
	uint32_t proc, ctx;
	int s = kid_hello(f, &proc, 7);
	_Atomic uint64_t *e;
	uint64_t v;

	ctx = kid_ctx_open(s);
	kid_stage(f, 1);
	kid_wait(f, 2);
	e = fake_entry(f, LISTENER(f), 1, CONN(f));
	v = atomic_load(e);
	point(f, 0);
	if (!atomic_compare_exchange_strong(e, &v, NPP_ACCEPT_ENTRY(CONN(f), NPP_ACCEPT_GEN(v), ctx + 1)))
		_exit(97);
	point(f, 1);
	atomic_store(&f->sock[CONN(f)].refs, 1);
	point(f, 2);
	fake_fd_set(f, proc, 5, CONN(f));
	point(f, 3);
	atomic_store(e, 0);
	die();
}

START_TEST(claimed_connection_goes_to_another_or_is_closed)
{
	struct base b = start();
	struct fake *f = b.f;
	struct fake_ism *i = &f->npp[0].ism[1];
	bool kept = _i <= 2;
	uint64_t rung = 0;
	uint32_t s, gen;
	pid_t pid;

	atomic_store(&f->board->value[2], (uint32_t)_i);
	pid = fake_fork(f, kid_accept);
	FAKE_UNTIL(f, atomic_load(&f->board->stage) == 1);
	s = fake_accepted(f, i, LISTENER(f));
	gen = atomic_load(&f->sock[s].gen);
	atomic_store(&f->board->value[1], s);
	npp_bell_announce(&f->ctx[b.ctx].sleeping);
	atomic_store(&f->sock[LISTENER(f)].pend_out, 0);
	kid_stage(f, 2);
	reap(f, pid);
	for (unsigned n = 0; n < 100; n++)
		fake_step(f, 50000);
	if (kept) {
		ck_assert_uint_eq(atomic_load(&f->sock[s].gen), gen);
		ck_assert_uint_eq(atomic_load(&f->sock[s].refs), 0);
		ck_assert_uint_eq(NPP_ACCEPT_OWNER(atomic_load(fake_entry(f, LISTENER(f), 1, s))), NPP_ACCEPT_READY);
	} else {
		struct npp_msg m;

		ck_assert_uint_eq(atomic_load(&f->sock[s].gen), gen + 1);
		ck_assert_uint_eq(fake_logged(i, NPP_MSG_CLOSE, &m), 1);
		ck_assert_uint_eq(m.sock, s);
		ck_assert_uint_eq(m.flags, NPP_CLOSE_DEAD);
		ck_assert_ptr_null(fake_entry(f, LISTENER(f), 1, s));
	}
	if (_i == 1 || _i == 2) { /* the others hear of it */
		ck_assert(atomic_load(&f->sock[LISTENER(f)].pend_out) & NPP_OUT_RX);
		ck_assert_int_eq(read(f->bell[b.ctx], &rung, sizeof rung), sizeof rung);
	}
	finish(&b, kept);
}
END_TEST

/* As close() does: 0 SO_LINGER with zero, 1 unread data. */
START_TEST(a_death_resets_what_close_would_reset)
{
	struct base b = start();
	struct fake *f = b.f;
	struct npp_msg m;
	uint32_t s;
	pid_t pid;

	atomic_store(&f->board->value[2], 4);
	pid = fake_fork(f, kid_accept);
	FAKE_UNTIL(f, atomic_load(&f->board->stage) == 1);
	s = fake_accepted(f, &f->npp[0].ism[1], LISTENER(f));
	atomic_store(&f->sock[s].linger, _i == 0);
	atomic_store(&f->sock[s].rx_head, _i == 1 ? 5 : 0);
	atomic_store(&f->board->value[1], s);
	kid_stage(f, 2);
	reap(f, pid);
	for (unsigned n = 0; n < 100; n++)
		fake_step(f, 50000);
	ck_assert_uint_eq(fake_logged(&f->npp[0].ism[1], NPP_MSG_CLOSE, &m), 1);
	ck_assert_uint_eq(m.flags, NPP_CLOSE_DEAD | NPP_CLOSE_ABORT);
	finish(&b, 0);
}
END_TEST

/* ---- connect ---------------------------------------------------------------------------- */

static void kid_connect(struct fake *f)
{
	struct npp_inbound *in = f->npp[0].ism[0].inbound.base;
	struct npp_msg m = { .type = NPP_MSG_CONNECT };
	struct npp_i2oq_prod prod;
	uint32_t proc, ctx, k = 1, none = 0;
	int s = kid_hello(f, &proc, 7);

	ctx = kid_ctx_open(s);
	if (npp_i2oq_attach_prod(&prod, &in->lane[ctx]))
		_exit(96);
	for (; !atomic_compare_exchange_strong(&f->sock[k].owner, &none, ctx + 1); none = 0)
		k++;
	point(f, 0);
	f->sock[k].type = NPP_SOCK_STREAM;
	f->sock[k].slot = 0;
	atomic_store(&f->sock[k].ism_handle, 0xffffffff);
	atomic_store(&f->sock[k].refs, 1);
	point(f, 1);
	fake_fd_set(f, proc, 9, k);
	point(f, 2);
	m.sock = k;
	m.sock_gen = atomic_load(&f->sock[k].gen);
	npp_i2oq_post(&prod, &m);
	point(f, 3);
	npp_inbound_mark(in, ctx);
	point(f, 4);
	while (atomic_load(&f->sock[k].ism_handle) == 0xffffffff)
		;
	point(f, 5);
	if (npp_lock_take(&f->sock[k].tx_lock, ctx + 1, 0) || npp_lock_take(&f->sock[k].rx_lock, ctx + 1, 0))
		_exit(95);
	atomic_store(&f->sock[k].sub[2], (ctx + 1) | NPP_SUB_RX);
	atomic_store(&f->sock[k].tx_head, 1234);
	point(f, 6);
	npp_lock_drop(&f->sock[k].tx_lock, ctx + 1);
	atomic_fetch_add(&f->sock[k].refs, 1);	/* dup */
	point(f, 7);
	fake_fd_set(f, proc, 10, k);
	point(f, 8);
	atomic_store(fake_fd(f, proc, 10), 0);	/* close */
	point(f, 9);
	atomic_fetch_sub(&f->sock[k].refs, 1);
	point(f, 10);
	atomic_store(fake_fd(f, proc, 9), 0);
	point(f, 11);
	atomic_fetch_sub(&f->sock[k].refs, 1);
	die();
}

START_TEST(opened_connection_leaves_nothing)
{
	struct base b = start();
	struct fake_ism *i = &b.f->npp[0].ism[0];
	struct npp_msg m;
	pid_t pid;

	atomic_store(&b.f->board->value[2], (uint32_t)_i);
	pid = fake_fork(b.f, kid_connect);
	reap(b.f, pid);
	fake_settle(b.f);
	ck_assert_uint_eq(fake_logged(i, NPP_MSG_CONNECT, NULL), _i >= 3);
	ck_assert_uint_eq(fake_logged(i, NPP_MSG_CLOSE, &m), _i >= 3);
	if (_i >= 6)
		ck_assert_uint_eq(m.arg, 1234);
	finish(&b, 0);
}
END_TEST

/* ---- bound sockets ------------------------------------------------------------------------ */

static void kid_listen(struct fake *f)
{
	uint32_t proc, ctx, k, u;
	struct npp_ctl_bind q;
	int s = kid_hello(f, &proc, 7);

	ctx = kid_ctx_open(s);
	k = fake_sock(f, ctx, NPP_SOCK_STREAM);
	fake_fd_set(f, proc, 9, k);
	u = fake_sock(f, ctx, NPP_SOCK_DGRAM);
	fake_fd_set(f, proc, 10, u);
	q = fake_bind_body(f, k, "0.0.0.0", 8080, IPPROTO_TCP);
	if (POINT(f) == 0) { /* with a request under way */
		npp_ctl_send(s, NPP_CTL_BIND, 1, 0, &q, sizeof q, NULL, 0);
		die();
	}
	if (kid_call(s, NPP_CTL_BIND, &q, sizeof q, &q, sizeof q))
		_exit(94);
	point(f, 1);
	if (POINT(f) == 2) {
		npp_ctl_send(s, NPP_CTL_LISTEN, 1, 0, &q, sizeof q, NULL, 0);
		die();
	}
	if (kid_call(s, NPP_CTL_LISTEN, &q, sizeof q, &q, sizeof q))
		_exit(93);
	q = fake_bind_body(f, u, "10.0.0.1", 53, IPPROTO_UDP);
	if (kid_call(s, NPP_CTL_BIND, &q, sizeof q, &q, sizeof q))
		_exit(92);
	point(f, 3);
	atomic_store(fake_fd(f, proc, 9), 0);
	point(f, 4);
	atomic_store(&f->sock[k].refs, 0);
	atomic_store(fake_fd(f, proc, 10), 0);
	atomic_store(&f->sock[u].refs, 0);
	die();
}

START_TEST(bound_sockets_are_taken_back_from_all_isms)
{
	struct base b = start();
	pid_t pid;

	atomic_store(&b.f->board->value[2], (uint32_t)_i);
	pid = fake_fork(b.f, kid_listen);
	reap(b.f, pid);
	fake_settle(b.f);
	ck_assert_uint_eq(fake_logged(&b.f->npp[0].ism[2], NPP_MSG_LISTEN, NULL),
			  1 + fake_logged(&b.f->npp[0].ism[2], NPP_MSG_UNLISTEN, NULL));
	ck_assert_uint_eq(b.f->npp[0].grants, 1 + b.f->npp[0].releases);
	finish(&b, 0);
}
END_TEST

/* ---- sockets that others share --------------------------------------------------------------- */

static void kid_share(struct fake *f)
{
	uint32_t proc, ctx;
	int s = kid_hello(f, &proc, 7);
	struct npp_sock *k = &f->sock[CONN(f)];

	ctx = kid_ctx_open(s);
	atomic_fetch_add(&k->refs, 1);
	fake_fd_set(f, proc, 9, CONN(f));
	npp_lock_take(&k->rx_lock, ctx + 1, 0);
	atomic_store(&k->sub[1], (ctx + 1) | NPP_SUB_RX);
	atomic_fetch_or(&k->pend_in, NPP_IN_RX); /* and the message is never sent */
	die();
}

START_TEST(shared_socket_goes_on_without_the_dead)
{
	struct base b = start();
	struct fake *f = b.f;
	struct fake_ism *i = &f->npp[0].ism[1];
	uint32_t s = fake_accepted(f, i, 0), lane = f->ctx[b.ctx].lane_off64[1];
	struct npp_i2oq *q = (void *)((uint8_t *)f->host + lane * 64ull);
	struct npp_msg m;
	uint64_t rung;

	fake_fd_set(f, b.proc, 5, s);
	atomic_store(&f->sock[s].sub[0], (b.ctx + 1) | NPP_SUB_RX);
	npp_bell_announce(&f->ctx[b.ctx].sleeping);
	atomic_store(&f->board->value[1], s);
	reap(f, fake_fork(f, kid_share));
	fake_settle(f);
	ck_assert_uint_eq(atomic_load(&f->sock[s].refs), 1);
	ck_assert_uint_eq(atomic_load(&f->sock[s].rx_lock), 0);
	ck_assert_uint_eq(atomic_load(&f->sock[s].sub[1]), 0);
	ck_assert_uint_ne(atomic_load(&f->sock[s].sub[0]), 0);
	ck_assert_uint_ge(fake_logged(i, NPP_MSG_LOOK, &m), 1);
	ck_assert_uint_eq(m.sock, s);
	ck_assert_uint_eq(fake_logged(i, NPP_MSG_CLOSE, NULL), 0);
	ck_assert_uint_eq(atomic_load(&q->overflow), 1);
	ck_assert_int_eq(read(f->bell[b.ctx], &rung, sizeof rung), sizeof rung);
	finish(&b, 1);
}
END_TEST

/* ---- fork ------------------------------------------------------------------------------------- */

enum { F_NORMAL, F_CHILD_FIRST, F_FAILED, F_PARENT_DIES, F_NO_CHILD, F_CHILD_DIES };

static void grandchild(struct fake *f, uint32_t embryo)
{
	uint32_t proc;

	if (POINT(f) == F_CHILD_DIES)
		die();
	atomic_store(&f->proc[embryo].pid, (uint32_t)getpid());
	if (POINT(f) == F_PARENT_DIES)
		kid_wait(f, 2);
	kid_hello(f, &proc, 7);
	if (proc != embryo || (uint32_t)atomic_load(fake_fd(f, proc, 9)) != CONN(f) + 1)
		atomic_store(&f->board->value[5], 99);
	kid_wait(f, 4);
	atomic_store(&f->board->value[4], 1);
	die();
}

static void kid_fork(struct fake *f)
{
	struct npp_ctl_fork q = { 0 };
	uint32_t proc;
	int s = kid_hello(f, &proc, 7);

	atomic_fetch_add(&f->sock[CONN(f)].refs, 1);
	fake_fd_set(f, proc, 9, CONN(f));
	if (kid_call(s, NPP_CTL_FORK, &q, sizeof q, &q, sizeof q))
		_exit(91);
	if (atomic_load(&f->sock[CONN(f)].refs) != 3)
		_exit(90);
	if (POINT(f) == F_FAILED) {
		q.pid = 0;
		_exit(kid_call(s, NPP_CTL_FORK_DONE, &q, sizeof q, NULL, 0) ? 89 : 0);
	}
	if (POINT(f) == F_NO_CHILD)
		die();
	q.pid = fork();
	if (q.pid == 0)
		grandchild(f, q.proc);
	atomic_store(&f->board->value[3], (uint32_t)q.pid);
	if (POINT(f) == F_PARENT_DIES) {
		while (atomic_load(&f->proc[q.proc].pid) == 0)
			; /* the test's clock runs faster than the child */
		die();
	}
	if (POINT(f) == F_CHILD_FIRST)
		while (atomic_load(&f->proc[q.proc].state) != NPP_PROC_OPEN)
			;
	if (POINT(f) == F_CHILD_DIES)
		waitpid(q.pid, NULL, 0);
	if (kid_call(s, NPP_CTL_FORK_DONE, &q, sizeof q, NULL, 0))
		_exit(88);
	kid_stage(f, 1);
	kid_wait(f, 3);
	die();
}

START_TEST(forked_table_counts_right_whoever_dies)
{
	struct base b = start();
	struct fake *f = b.f;
	bool child = _i == F_NORMAL || _i == F_CHILD_FIRST || _i == F_PARENT_DIES;
	uint32_t s = fake_accepted(f, &f->npp[0].ism[1], 0);
	pid_t pid;

	fake_fd_set(f, b.proc, 5, s);
	atomic_store(&f->board->value[1], s);
	atomic_store(&f->board->value[2], (uint32_t)_i);
	atomic_store(&f->board->value[4], 0);
	pid = fake_fork(f, kid_fork);
	if (_i == F_NORMAL || _i == F_CHILD_FIRST || _i == F_CHILD_DIES) {
		FAKE_UNTIL(f, atomic_load(&f->board->stage) == 1);
		FAKE_UNTIL(f, atomic_load(&f->sock[s].refs) == (_i == F_CHILD_DIES ? 2 : 3));
		kid_stage(f, 3);
	}
	reap(f, pid);
	if (child) {
		FAKE_UNTIL(f, atomic_load(&f->sock[s].refs) == 2);
		kid_stage(f, 2);
		for (unsigned n = 0; n < 60; n++)
			fake_step(f, 50000);
		ck_assert_uint_eq(atomic_load(&f->sock[s].refs), 2);
		kid_stage(f, 4);
		FAKE_UNTIL(f, atomic_load(&f->board->value[4]) == 1);
		ck_assert_uint_ne(atomic_load(&f->board->value[5]), 99);
	}
	for (unsigned n = 0; n < 100; n++)
		fake_step(f, 50000);
	FAKE_UNTIL(f, atomic_load(&f->sock[s].refs) == 1);
	finish(&b, 1);
}
END_TEST

/* Two threads fork. The first one's child has come to its end before that thread says which it was, and by then its
 * place is that of the other one's child, who is about to be. */
static void kid_forks_late(struct fake *f)
{
	struct npp_ctl_fork q = { 0 }, first, second, late;
	uint32_t proc;
	int s = kid_hello(f, &proc, 7);

	atomic_fetch_add(&f->sock[CONN(f)].refs, 1);
	fake_fd_set(f, proc, 9, CONN(f));
	if (kid_call(s, NPP_CTL_FORK, &q, sizeof q, &first, sizeof first))
		_exit(91);
	q = (struct npp_ctl_fork){ .proc = NPP_CTL_EMBRYO(first.proc, first.pid) };
	if (kid_call(s, NPP_CTL_FORK_DONE, &q, sizeof q, NULL, 0))
		_exit(90);
	if (kid_call(s, NPP_CTL_FORK, &q, sizeof q, &second, sizeof second) || second.proc != first.proc)
		_exit(89);
	late = q;
	for (int i = 0; i < 2; i++) {
		if (kid_call(s, NPP_CTL_FORK_DONE, &late, sizeof late, NULL, 0) != -EINVAL ||
		    atomic_load(&f->sock[CONN(f)].refs) != 3)
			_exit(88);
		late.pid = getpid();
	}
	q.proc = NPP_CTL_EMBRYO(second.proc, second.pid);
	if (kid_call(s, NPP_CTL_FORK_DONE, &q, sizeof q, NULL, 0) || atomic_load(&f->sock[CONN(f)].refs) != 2)
		_exit(87);
}

START_TEST(who_says_late_what_his_child_was_means_no_other)
{
	struct base b = start();
	struct fake *f = b.f;
	uint32_t s = fake_accepted(f, &f->npp[0].ism[1], 0);

	fake_fd_set(f, b.proc, 5, s);
	atomic_store(&f->board->value[1], s);
	reap(f, fake_fork(f, kid_forks_late));
	FAKE_UNTIL(f, atomic_load(&f->sock[s].refs) == 1);
	finish(&b, 1);
}
END_TEST

/* ---- exec --------------------------------------------------------------------------------------- */

static void kid_exec(struct fake *f)
{
	uint32_t proc, again, ctx;
	int s = kid_hello(f, &proc, 7), t;
	struct npp_sock *k = &f->sock[CONN(f)];

	ctx = kid_ctx_open(s);
	atomic_fetch_add(&k->refs, 1);
	fake_fd_set(f, proc, 9, CONN(f));
	npp_lock_take(&k->tx_lock, ctx + 1, 0);
	t = kid_hello(f, &again, 7);
	if (again != proc || atomic_load(&f->ctx[ctx].state) != NPP_CTX_OPEN || !atomic_load(&k->tx_lock))
		_exit(87);
	close(s);
	close(t);
	s = kid_hello(f, &again, 8);
	if (again != proc || atomic_load(&f->ctx[ctx].state) == NPP_CTX_OPEN || atomic_load(&k->tx_lock))
		_exit(86);
	if (atomic_load(&k->refs) != 2 || (uint32_t)atomic_load(fake_fd(f, proc, 9)) != CONN(f) + 1)
		_exit(85);
	kid_ctx_open(s);
	_exit(0);
}

START_TEST(exec_keeps_the_table_and_loses_the_contexts)
{
	struct base b = start();
	uint32_t s = fake_accepted(b.f, &b.f->npp[0].ism[1], 0);

	fake_fd_set(b.f, b.proc, 5, s);
	atomic_store(&b.f->board->value[1], s);
	reap(b.f, fake_fork(b.f, kid_exec));
	finish(&b, 1);
}
END_TEST

/* ---- who speaks ------------------------------------------------------------------------------------ */

START_TEST(hello_of_somebody_else_is_refused)
{
	struct base b = start();
	struct npp_ctl_hello h = { .abi_version = NPP_ABI_VERSION, .pid = getpid(), .layout_hash = npp_abi_layout_hash() };
	struct npp_ctl_ctx c = { 0 };
	int s = fake_connect(b.f);

	ck_assert_int_eq(fake_call(b.f, s, NPP_CTL_CTX_OPEN, &c, sizeof c, NULL, 0), -EACCES);
	h.pid = 1;
	ck_assert_int_eq(fake_call(b.f, s, NPP_CTL_PROC_HELLO, &h, sizeof h, NULL, 0), -EPERM);
	h.pid = getpid();
	h.abi_version++;
	ck_assert_int_eq(fake_call(b.f, s, NPP_CTL_PROC_HELLO, &h, sizeof h, NULL, 0), -EPROTO);
	h.abi_version--;
	h.start_time = 1;
	ck_assert_int_eq(fake_call(b.f, s, NPP_CTL_PROC_HELLO, &h, sizeof h, NULL, 0), -ESRCH);
	close(s);
	finish(&b, 0);
}
END_TEST

static void kid_many(struct fake *f)
{
	uint32_t proc, ctx;
	int s = kid_hello(f, &proc, 7);
	struct npp_ctl_chunk k = { .proc = proc };

	ctx = kid_ctx_open(s);
	for (k.chunk = 0; k.chunk < NPP_FDTAB_CHUNKS; k.chunk++)
		if (kid_call(s, NPP_CTL_FD_CHUNK, &k, sizeof k, NULL, 0))
			_exit(84);
	for (unsigned n = 0; n < 200; n++) {
		uint32_t c = fake_sock(f, ctx, NPP_SOCK_STREAM);

		fake_fd_set(f, proc, n * 100, c);
		if (n % 2)
			atomic_store(&f->sock[c].ism_handle, 5);
	}
	for (unsigned n = 0; n < 100; n++)
		kid_ctx_open(s);
	die();
}

START_TEST(program_with_many_of_everything_leaves_nothing)
{
	struct base b = start();

	reap(b.f, fake_fork(b.f, kid_many));
	finish(&b, 0);
}
END_TEST

/* Requests of random types with random and with near-right bodies. */
START_TEST(hostile_requests_are_refused_and_harm_nobody)
{
	struct base b = start();
	struct fake *f = b.f;
	uint64_t seed = 42 + (uint64_t)_i;
	uint32_t l = LISTENER(f), gen = atomic_load(&f->sock[l].gen);
	int s = fake_prog(f, NULL), refused = 0;

	for (unsigned n = 0; n < 3000; n++) {
		union { uint8_t raw[256]; struct npp_ctl_bind bind; struct npp_ctl_ctx ctx; uint32_t w[64]; } u;
		static const size_t len[] = { sizeof(struct npp_ctl_hello), sizeof(struct npp_ctl_iop), 8, 8, 8, 8, 8,
					      sizeof(struct npp_ctl_bind), sizeof(struct npp_ctl_bind),
					      sizeof(struct npp_ctl_bind), sizeof(struct npp_ctl_bind),
					      sizeof(struct npp_ctl_bind), 0 };
		unsigned t;

		for (unsigned k = 0; k < sizeof u; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			u.raw[k] = (uint8_t)(seed >> 56);
		}
		t = u.raw[255] % 13;
		if (t == 7 || t == 8 || t == 11) { /* the listener of the test is not the victim */
			u.bind.sock = u.raw[1] & 1 ? l : u.raw[2] * 3u;
			u.bind.gen = u.raw[3] & 1 ? gen : u.bind.gen;
			u.bind.proto = u.raw[4] & 1 ? IPPROTO_TCP : IPPROTO_UDP;
		} else if (t == 4 || t == 6) {
			u.w[0] = u.raw[5] & 1 ? b.proc : u.raw[6];
			u.w[1] = u.raw[7] & 1 ? u.raw[8] : u.w[1];
		} else if (t == 3 && u.w[0] == b.ctx) {
			continue;
		} else if (t == 5 && n % 64) {
			continue; /* embryos are bounded, too, but the rest shall go on */
		}
		refused += fake_call(f, s, NPP_CTL_PROC_HELLO + t, u.raw, u.raw[254] & 15 ? len[t] : u.raw[253] / 2u, NULL, 0) < 0;
	}
	ck_assert_int_gt(refused, 500);
	ck_assert_uint_eq(npp_osm_check(f->osm, &(struct npp_ctl_check){ 0 }, stderr), 0);
	close(s);
	close(b.sock);
	fake_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("osm/death");
	TCase *t = tcase_create("death");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, claimed_connection_goes_to_another_or_is_closed, 0, 5);
	tcase_add_loop_test(t, a_death_resets_what_close_would_reset, 0, 2);
	tcase_add_loop_test(t, opened_connection_leaves_nothing, 0, 13);
	tcase_add_loop_test(t, bound_sockets_are_taken_back_from_all_isms, 0, 6);
	tcase_add_test(t, shared_socket_goes_on_without_the_dead);
	tcase_add_loop_test(t, forked_table_counts_right_whoever_dies, 0, 6);
	tcase_add_test(t, who_says_late_what_his_child_was_means_no_other);
	tcase_add_test(t, exec_keeps_the_table_and_loses_the_contexts);
	tcase_add_test(t, hello_of_somebody_else_is_refused);
	tcase_add_test(t, program_with_many_of_everything_leaves_nothing);
	tcase_add_loop_test(t, hostile_requests_are_refused_and_harm_nobody, 0, 3);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
