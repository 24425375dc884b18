/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_hold.c - memory that a fault takes away from a host, and gives back
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"
#include "tests/unit/osm/fake.h"
#include "tests/unit/suite.h"

static int hold(struct fake *f, int sock, uint32_t percent, struct npp_ctl_held *h)
{
	struct npp_ctl_hold q = { .percent = percent };

	return fake_call(f, sock, NPP_CTL_HOLD, &q, sizeof q, h, sizeof *h);
}

/* Others than root may look, that is all. */
static bool may(struct fake *f, int sock)
{
	struct npp_ctl_held h;

	ck_assert_int_eq(hold(f, sock, NPP_HOLD_SHOW, &h), 0);
	ck_assert_uint_eq(h.heap_held, 0);
	ck_assert_uint_eq(h.socks_held, 0);
	if (geteuid() == 0)
		return true;
	ck_assert_int_eq(hold(f, sock, 100, &h), -EPERM);
	return false;
}

static int try_ctx(struct fake *f, int sock)
{
	struct npp_ctl_ctx q = { 0 };

	return fake_call(f, sock, NPP_CTL_CTX_OPEN, &q, sizeof q, &q, sizeof q);
}

static uint32_t free_records(const struct fake *f)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= f->host->sock_prog_count; i++)
		n += atomic_load(&f->sock[i].owner) == 0;
	return n;
}

static void good(struct fake *f)
{
	struct npp_ctl_check c;

	ck_assert_uint_eq(npp_osm_check(f->osm, &c, stderr), 0);
	ck_assert_uint_eq(c.heap_used, c.heap_owned);
}

START_TEST(who_has_memory_keeps_it_and_nobody_gets_more)
{
	struct fake *f = fake_new(1);
	struct fake_ism *i = &f->npp[0].ism[1];
	struct npp_msg m = { .type = NPP_MSG_NEED_EXTENT, .arg = 1 << 20 };
	struct npp_ctl_held was, h;
	struct npp_ctl_bind q;
	uint32_t proc, ctx, l;
	int s;

	fake_attach(f, 0, 3);
	s = fake_prog(f, &proc);
	ctx = fake_ctx_open(f, s);
	l = fake_sock(f, ctx, NPP_SOCK_STREAM);
	fake_fd_set(f, proc, 3, l);
	if (!may(f, s))
		goto out;
	ck_assert_int_eq(hold(f, s, 101, &h), -EINVAL);
	ck_assert_int_eq(hold(f, s, NPP_HOLD_SHOW, &was), 0);
	ck_assert_uint_gt(was.socks_free, 0);
	ck_assert_int_eq(hold(f, s, 100, &h), 0);
	ck_assert_uint_eq(h.heap_free, 0);
	ck_assert_uint_eq(h.heap_held, was.heap_free);
	ck_assert_uint_eq(h.socks_held, was.socks_free);
	ck_assert_uint_eq(free_records(f), 0);
	good(f);
	/* A thread, a listener, an ISM: each hears that there is nothing. */
	ck_assert_int_eq(try_ctx(f, s), -ENOMEM);
	q = fake_bind_body(f, l, "0.0.0.0", 80, IPPROTO_TCP);
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_LISTEN, &q, sizeof q, &q, sizeof q), -ENOMEM);
	fake_ism_post(f, i, &m);
	FAKE_UNTIL(f, i->refusals == 1);
	fake_settle(f);
	good(f);
	/* All is back, and is lent as before. */
	ck_assert_int_eq(hold(f, s, 0, &h), 0);
	ck_assert_uint_eq(h.heap_free, was.heap_free);
	ck_assert_uint_eq(h.heap_held, 0);
	ck_assert_uint_eq(free_records(f), was.socks_free);
	ck_assert_int_eq(try_ctx(f, s), 0);
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_LISTEN, &q, sizeof q, &q, sizeof q), 0);
	i->ext_off = 0;
	fake_ism_post(f, i, &m);
	FAKE_UNTIL(f, i->ext_off != 0);
	ck_assert_uint_eq(i->refusals, 1);
	good(f);
out:
	close(s);
	fake_free(f);
}
END_TEST

START_TEST(part_of_it_is_that_part)
{
	struct fake *f = fake_new(1);
	struct npp_ctl_held was, h;
	int s;

	fake_attach(f, 0, 3);
	s = fake_prog(f, NULL);
	if (may(f, s)) {
		ck_assert_int_eq(hold(f, s, NPP_HOLD_SHOW, &was), 0);
		ck_assert_int_eq(hold(f, s, 100, &h), 0);
		ck_assert_int_eq(hold(f, s, 40, &h), 0); /* in place of what was held */
		ck_assert_uint_le(h.heap_held, was.heap_free * 2 / 5);
		ck_assert_uint_ge(h.heap_held, was.heap_free * 2 / 5 - OSM_GRAIN);
		ck_assert_uint_eq(h.socks_held, was.socks_free * 2 / 5);
		ck_assert_int_eq(try_ctx(f, s), 0);
		good(f);
	}
	close(s);
	fake_free(f);
}
END_TEST

START_TEST(next_osm_holds_it_on)
{
	struct fake *f = fake_new(1);
	struct npp_ctl_held was, h;
	int s;

	fake_attach(f, 0, 3);
	s = fake_prog(f, NULL);
	if (may(f, s)) {
		ck_assert_int_eq(hold(f, s, 100, &was), 0);
		fake_settle(f);
		fake_restart_osm(f);
		good(f);
		fake_npp_again(f, 0);
		for (unsigned n = 0; n < 100; n++)
			fake_step(f, 50000);
		close(s);
		s = fake_prog(f, NULL);
		ck_assert_int_eq(hold(f, s, NPP_HOLD_SHOW, &h), 0);
		ck_assert_mem_eq(&h, &was, sizeof h);
		ck_assert_int_eq(try_ctx(f, s), -ENOMEM);
		ck_assert_int_eq(hold(f, s, 0, &h), 0);
		ck_assert_int_eq(try_ctx(f, s), 0);
		good(f);
	}
	close(s);
	fake_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("osm/hold");
	TCase *t = tcase_create("hold");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, who_has_memory_keeps_it_and_nobody_gets_more);
	tcase_add_test(t, part_of_it_is_that_part);
	tcase_add_test(t, next_osm_holds_it_on);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
