/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_restart.c - a new OSM on the memory of its predecessor
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"
#include "tests/unit/osm/fake.h"
#include "tests/unit/suite.h"

static uint32_t listener(struct fake *f, int sock, uint32_t proc, uint32_t ctx, unsigned fd, uint16_t port)
{
	uint32_t l = fake_sock(f, ctx, NPP_SOCK_STREAM);
	struct npp_ctl_bind q = fake_bind_body(f, l, "0.0.0.0", port, IPPROTO_TCP);

	fake_fd_set(f, proc, fd, l);
	ck_assert_int_eq(fake_call(f, sock, NPP_CTL_LISTEN, &q, sizeof q, &q, sizeof q), 0);
	return l;
}

START_TEST(everything_is_there_again)
{
	struct fake *f = fake_new(1);
	uint32_t proc, again, ctx, l, s;
	struct npp_ctl_check was, is;
	struct npp_ctl_bind q;
	struct npp_msg m = { .type = NPP_MSG_NEED_EXTENT, .arg = 1 << 20 };
	int sock;

	fake_attach(f, 0, 3);
	sock = fake_prog(f, &proc);
	ctx = fake_ctx_open(f, sock);
	l = listener(f, sock, proc, ctx, 3, 80);
	s = fake_accepted(f, &f->npp[0].ism[1], 0);
	fake_fd_set(f, proc, 4, s);
	q = fake_bind_body(f, s, "0.0.0.0", 0, 0);
	ck_assert_int_eq(fake_call(f, sock, NPP_CTL_SUB_MORE, &q, sizeof q, NULL, 0), 0);
	fake_ism_post(f, &f->npp[0].ism[2], &m);
	was = fake_settle(f);
	fake_restart_osm(f);
	ck_assert_uint_eq(npp_osm_check(f->osm, &is, stderr), 0);
	ck_assert_mem_eq(&was, &is, sizeof is);
	fake_npp_again(f, 0);
	for (unsigned n = 0; n < 100; n++)
		fake_step(f, 50000);
	ck_assert_uint_eq(atomic_load(&f->host->attach[0].iop_up), 7);
	is = fake_settle(f);
	ck_assert_mem_eq(&was, &is, sizeof is);
	ck_assert_uint_eq(atomic_load(&f->sock[s].rx_flags), 0);
	/* The program connects again and finds itself; its listener goes as ever. */
	close(sock);
	sock = fake_prog(f, &again);
	ck_assert_uint_eq(again, proc);
	ck_assert_uint_eq(fake_logged(&f->npp[0].ism[1], NPP_MSG_LISTEN, &m), 2);
	ck_assert_uint_eq(m.flags, NPP_LISTEN_REPLAY);
	atomic_store(fake_fd(f, proc, 3), 0);
	atomic_store(&f->sock[l].refs, 0);
	q = fake_bind_body(f, l, "0.0.0.0", 80, IPPROTO_TCP);
	ck_assert_int_eq(fake_call(f, sock, NPP_CTL_CLOSE, &q, sizeof q, NULL, 0), 0);
	is = fake_settle(f);
	ck_assert_uint_eq(is.binds, 0);
	close(sock);
	fake_free(f);
}
END_TEST

static void kid_run(struct fake *f)
{
	uint32_t proc, ctx, l;
	struct npp_ctl_bind q;
	int s = kid_hello(f, &proc, 7);

	ctx = kid_ctx_open(s);
	l = fake_sock(f, ctx, NPP_SOCK_STREAM);
	fake_fd_set(f, proc, 3, l);
	q = fake_bind_body(f, l, "0.0.0.0", 80, IPPROTO_TCP);
	if (kid_call(s, NPP_CTL_LISTEN, &q, sizeof q, &q, sizeof q))
		_exit(97);
	npp_lock_take(&f->sock[l].rx_lock, ctx + 1, 0);
	kid_stage(f, 1);
	kid_wait(f, 2);
}

START_TEST(program_that_died_meanwhile_is_cleaned_up)
{
	struct fake *f = fake_new(1);
	uint64_t before;
	struct npp_ctl_check c;
	pid_t pid;

	fake_attach(f, 0, 3);
	before = fake_settle(f).heap_used;
	pid = fake_fork(f, kid_run);
	FAKE_UNTIL(f, atomic_load(&f->board->stage) == 1);
	if (_i == 0) {	/* before the new OSM comes */
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
	fake_restart_osm(f);
	if (_i == 1) {	/* just after */
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
	fake_npp_again(f, 0);
	c = fake_settle(f);
	ck_assert_uint_eq(c.procs, 0);
	ck_assert_uint_eq(c.ctxs, 0);
	ck_assert_uint_eq(c.binds, 0);
	ck_assert_uint_eq(c.socks_used, 0);
	ck_assert_uint_eq(c.heap_used, before);
	fake_free(f);
}
END_TEST

/* A listener of a program at an NPP of N ISMs, of which one does not answer: its program has closed it, and it
 * is not over yet. Returns the program's connection. */
static int half_closed(struct fake *f, unsigned n, uint32_t *ctx, uint32_t *l)
{
	struct npp_ctl_bind q;
	uint32_t proc;
	int sock;

	fake_attach(f, 0, n);
	sock = fake_prog(f, &proc);
	*ctx = fake_ctx_open(f, sock);
	*l = listener(f, sock, proc, *ctx, 3, 80);
	f->npp[0].ism[1].live = false;
	atomic_store(fake_fd(f, proc, 3), 0);
	atomic_store(&f->sock[*l].refs, 0);
	q = fake_bind_body(f, *l, "0.0.0.0", 80, IPPROTO_TCP);
	ck_assert_int_eq(fake_call(f, sock, NPP_CTL_CLOSE, &q, sizeof q, NULL, 0), 0);
	return sock;
}

START_TEST(restart_in_the_middle_of_closing_goes_on_closing)
{
	struct fake *f = fake_new(1);
	uint32_t ctx, l;
	struct npp_ctl_ctx x = { 0 };
	struct npp_ctl_check c;
	int sock;

	sock = half_closed(f, 3, &ctx, &l);
	x.ctx = ctx;
	ck_assert_int_eq(fake_call(f, sock, NPP_CTL_CTX_CLOSE, &x, sizeof x, NULL, 0), 0);
	fake_restart_osm(f);
	f->npp[0].ism[1].live = true;
	fake_npp_again(f, 0);
	c = fake_settle(f);
	ck_assert_uint_eq(c.binds, 0);
	ck_assert_uint_eq(c.ctxs, 0);
	ck_assert_uint_eq(c.socks_used, 0);
	close(sock);
	fake_free(f);
}
END_TEST

START_TEST(ism_may_let_go_twice_while_another_has_not)
{
	struct fake *f = fake_new(1);
	struct npp_stats_page *page = f->stats.base;
	struct npp_msg twice = { .type = NPP_MSG_UNLISTENED };
	struct npp_ctl_check c;
	uint32_t ctx, l;
	int sock;

	sock = half_closed(f, 2, &ctx, &l);
	twice.sock = l;
	twice.sock_gen = atomic_load(&f->sock[l].gen);
	FAKE_UNTIL(f, fake_logged(&f->npp[0].ism[0], NPP_MSG_UNLISTEN, NULL) == 1);
	fake_restart_osm(f); /* which says it once more */
	fake_npp_again(f, 0);
	FAKE_UNTIL(f, fake_logged(&f->npp[0].ism[0], NPP_MSG_UNLISTEN, NULL) >= 1);
	fake_ism_post(f, &f->npp[0].ism[0], &twice);
	for (int i = 0; i < 100; i++)
		fake_step(f, 100);
	f->npp[0].ism[1].live = true;
	c = fake_settle(f);
	ck_assert_uint_eq(c.binds, 0);
	ck_assert_uint_eq(atomic_load(&page->counter[NPP_OS_PROTO_ERRORS]), 0);
	close(sock);
	fake_free(f);
}
END_TEST

START_TEST(npp_may_forget_the_host_while_there_is_no_osm)
{
	struct fake *f = fake_new(1);
	struct npp_stats_page *page = f->stats.base;
	struct npp_msg need = { .type = NPP_MSG_NEED_EXTENT, .arg = 1 << 20 }, back = { .type = NPP_MSG_FREED };
	uint32_t proc, s;
	int sock;

	fake_attach(f, 0, 2);
	sock = fake_prog(f, &proc);
	fake_ctx_open(f, sock);
	s = fake_accepted(f, &f->npp[0].ism[0], 0);
	fake_fd_set(f, proc, 10, s);
	fake_ism_post(f, &f->npp[0].ism[0], &need); /* nobody hears it any more */
	fake_restart_osm(f);
	fake_npp_conn(f, 0, 2);
	for (unsigned i = 0; i < 2; i++)
		f->npp[0].ism[i].fresh = true;
	FAKE_UNTIL(f, atomic_load(&f->host->attach[0].iop_up) == 3 && f->npp[0].ism[0].ext_size && f->npp[0].ism[1].ext_size);
	ck_assert(atomic_load(&f->sock[s].rx_flags) & NPP_RXF_RESET);
	for (unsigned i = 0; i < 2; i++) { /* they have what they were lent in this life, and nothing else */
		ck_assert_uint_eq(fake_logged(&f->npp[0].ism[i], NPP_MSG_EXTENT, NULL), 1);
		back.off = f->npp[0].ism[i].ext_off;
		back.arg2 = f->npp[0].ism[i].ext_size;
		fake_ism_post(f, &f->npp[0].ism[i], &back);
	}
	fake_settle(f);
	ck_assert_uint_eq(atomic_load(&page->counter[NPP_OS_PROTO_ERRORS]), 0);
	close(sock);
	fake_free(f);
}
END_TEST

/* Whatever stands in the memory, the new OSM starts or says no, and is consistent. */
START_TEST(damaged_memory_is_survived)
{
	struct fake *f = fake_new(1);
	uint64_t seed = 99 + (uint64_t)_i;
	uint32_t proc, ctx;
	struct npp_ctl_check c;
	struct osm_books *books;
	int sock;

	fake_attach(f, 0, 3);
	sock = fake_prog(f, &proc);
	ctx = fake_ctx_open(f, sock);
	for (unsigned i = 0; i < 8; i++)
		listener(f, sock, proc, ctx, 3 + i, (uint16_t)(80 + i));
	books = (void *)((uint8_t *)f->host + f->host->osm_off);
	for (unsigned n = 0; n < 4000; n++) {
		uint8_t *at;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		switch (seed >> 60 & 3) {
		case 0: at = (uint8_t *)books->assoc + (seed >> 30) % (16 * sizeof *books->assoc); break;
		case 1: at = (uint8_t *)books->extent + (seed >> 30) % (8 * sizeof *books->extent); break;
		case 2: at = (uint8_t *)f->ctx + (seed >> 30) % (8 * sizeof *f->ctx); break;
		default: at = (uint8_t *)f->proc + (seed >> 30) % (8 * sizeof *f->proc); break;
		}
		*at = (uint8_t)(seed >> 20 & seed >> 28);
	}
	fake_restart_osm(f);
	npp_osm_check(f->osm, &c, NULL);
	ck_assert_uint_eq(c.heap_used, c.heap_owned);
	for (unsigned n = 0; n < 100; n++)
		fake_step(f, 50000);
	npp_osm_check(f->osm, &c, NULL);
	ck_assert_uint_eq(c.heap_used, c.heap_owned);
	close(sock);
	fake_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("osm/restart");
	TCase *t = tcase_create("restart");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, everything_is_there_again);
	tcase_add_loop_test(t, program_that_died_meanwhile_is_cleaned_up, 0, 2);
	tcase_add_test(t, restart_in_the_middle_of_closing_goes_on_closing);
	tcase_add_test(t, ism_may_let_go_twice_while_another_has_not);
	tcase_add_test(t, npp_may_forget_the_host_while_there_is_no_osm);
	tcase_add_loop_test(t, damaged_memory_is_survived, 0, 6);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
