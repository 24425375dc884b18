/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_pass.c - sockets on their way in SCM_RIGHTS: who holds them until when
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"
#include "tests/unit/osm/fake.h"
#include "tests/unit/suite.h"

struct base { struct fake *f; int sock; uint32_t proc, s; struct npp_sock *rec; };

/* A program that has one connection, as descriptor 4. */
static struct base start(void)
{
	struct base b = { .f = fake_new(1) };

	fake_attach(b.f, 0, 3);
	b.sock = fake_prog(b.f, &b.proc);
	fake_ctx_open(b.f, b.sock);
	b.s = fake_accepted(b.f, &b.f->npp[0].ism[1], 0);
	b.rec = &b.f->sock[b.s];
	fake_fd_set(b.f, b.proc, 4, b.s);
	fake_settle(b.f);
	return b;
}

/* PASS of generation GEN of the connection with FD, if not -1; the answer. */
static int pass_fd(struct base *b, uint32_t gen, int fd)
{
	struct npp_ctl_bind q = { .sock = b->s, .gen = gen };
	struct npp_ctl_msg m = { .hdr = { .error = -EIO } };
	uint8_t buf[256];

	ck_assert_int_eq(npp_ctl_send(b->sock, NPP_CTL_PASS, 7, 0, &q, sizeof q, &fd, fd >= 0), 0);
	FAKE_UNTIL(b->f, npp_ctl_recv(b->sock, &m, buf, sizeof buf, 0) == 1);
	return m.hdr.error;
}

/* The same; in *TICKET the end that travels (NULL: fd withheld). */
static int pass(struct base *b, uint32_t gen, int *ticket)
{
	int pair[2], error;

	ck_assert_int_eq(npp_ctl_pair(pair), 0);
	error = pass_fd(b, gen, ticket ? pair[0] : -1);
	close(pair[0]);
	if (ticket && error == 0)
		*ticket = pair[1];
	else
		close(pair[1]);
	return error;
}

static void let_go(struct base *b)
{
	atomic_store(fake_fd(b->f, b->proc, 4), 0);
	atomic_fetch_sub(&b->rec->refs, 1);
}

static void finish(struct base *b)
{
	struct npp_msg m;

	FAKE_UNTIL(b->f, fake_logged(&b->f->npp[0].ism[1], NPP_MSG_CLOSE, &m) == 1);
	ck_assert_uint_eq(m.sock, b->s);
	ck_assert_uint_eq(atomic_load(&b->rec->refs), 0);
	close(b->sock);
	fake_free(b->f);
}

START_TEST(a_reference_lives_as_long_as_the_ticket)
{
	struct base b = start();
	int t, copy;

	ck_assert_int_eq(pass(&b, b.rec->gen, &t), 0);
	ck_assert_uint_eq(atomic_load(&b.rec->refs), 2);
	let_go(&b);
	copy = dup(t);
	close(t);
	for (unsigned n = 0; n < 100; n++)
		fake_step(b.f, 50000);
	fake_settle(b.f);
	ck_assert_uint_eq(atomic_load(&b.rec->refs), 1);
	ck_assert_uint_eq(fake_logged(&b.f->npp[0].ism[1], NPP_MSG_CLOSE, NULL), 0);
	close(copy);
	finish(&b);
}
END_TEST

START_TEST(who_takes_it_has_it_alone)
{
	struct base b = start();
	int t;

	ck_assert_int_eq(pass(&b, b.rec->gen, &t), 0);
	let_go(&b);
	fake_fd_set(b.f, b.proc, 9, b.s);
	atomic_fetch_add(&b.rec->refs, 1);
	close(t);
	FAKE_UNTIL(b.f, atomic_load(&b.rec->refs) == 1);
	fake_settle(b.f);
	ck_assert_uint_eq(fake_logged(&b.f->npp[0].ism[1], NPP_MSG_CLOSE, NULL), 0);
	atomic_store(fake_fd(b.f, b.proc, 4), *fake_fd(b.f, b.proc, 9));
	atomic_store(fake_fd(b.f, b.proc, 9), 0);
	close(b.sock); /* and dies with it */
	osm_proc_died(b.f->osm, b.proc);
	b.sock = dup(0);
	finish(&b);
}
END_TEST

START_TEST(the_sender_may_die)
{
	struct base b = start();
	int t;

	ck_assert_int_eq(pass(&b, b.rec->gen, &t), 0);
	close(b.sock);
	b.sock = dup(0);
	osm_proc_died(b.f->osm, b.proc);
	for (unsigned n = 0; n < 100; n++)
		fake_step(b.f, 50000);
	fake_settle(b.f);
	ck_assert_uint_eq(atomic_load(&b.rec->refs), 1);
	close(t);
	finish(&b);
}
END_TEST

START_TEST(a_new_osm_waits_a_while)
{
	struct base b = start();
	int t;

	ck_assert_int_eq(pass(&b, b.rec->gen, &t), 0);
	let_go(&b);
	fake_restart_osm(b.f);
	fake_npp_again(b.f, 0);
	for (unsigned n = 0; n < 20; n++)
		fake_step(b.f, 50000);
	fake_settle(b.f);
	ck_assert_uint_eq(atomic_load(&b.rec->refs), 1);
	for (unsigned n = 0; n < 300; n++)
		fake_step(b.f, 50000);
	close(t);
	finish(&b);
}
END_TEST

/* A child that was forked in that moment has it, or the program keeps it. */
START_TEST(an_end_that_others_have_as_well_is_heard_of_once)
{
	struct base b = start();
	struct epoll_event ev;
	int pair[2];

	ck_assert_int_eq(npp_ctl_pair(pair), 0);
	ck_assert_int_eq(pass_fd(&b, b.rec->gen, pair[0]), 0);
	let_go(&b);
	close(pair[1]);
	FAKE_UNTIL(b.f, atomic_load(&b.rec->refs) == 0);
	fake_settle(b.f);
	ck_assert_int_eq(epoll_wait(b.f->osm->epfd, &ev, 1, 0), 0);
	close(pair[0]);
	finish(&b);
}
END_TEST

/* No end that can be watched. */
START_TEST(a_file_is_no_ticket)
{
	struct base b = start();
	int fd = memfd_create("ticket", MFD_CLOEXEC), t;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pass_fd(&b, b.rec->gen, fd), -EPERM);
	ck_assert_uint_eq(atomic_load(&b.rec->refs), 1);
	for (unsigned k = 0; k < OSM_MAX_PASS; k++)
		ck_assert_int_eq(b.f->osm->pass[k].fd, -1);
	close(fd);
	ck_assert_int_eq(pass(&b, b.rec->gen, &t), 0);
	let_go(&b);
	close(t);
	finish(&b);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	struct base b = start();
	int one;

	ck_assert_int_eq(pass(&b, b.rec->gen, NULL), -EBADMSG);
	ck_assert_int_eq(pass(&b, b.rec->gen + 1, &one), -ESTALE);
	ck_assert_int_eq(pass(&b, b.rec->gen, &one), 0);
	let_go(&b);
	close(one);
	finish(&b);
}
END_TEST

/* Before the fork: what the others pass, and what they inherit of us and let go. */
static struct npp_ctl_bind kid_passes;
static int ours[OSM_MAX_PASS_PROC];

/* Another program: passes the same record COUNT times, is refused once more, and ends. */
static void fill(struct fake *f)
{
	uint8_t buf[256];
	uint32_t proc;
	int s = kid_hello(f, &proc, 1), pair[2], r = 0;

	for (unsigned i = 0; i < OSM_MAX_PASS_PROC; i++)
		close(ours[i]);
	for (unsigned i = 0; i <= OSM_MAX_PASS_PROC && r == 0; i++) {
		struct npp_ctl_msg m;

		if (npp_ctl_pair(pair) < 0)
			_exit(2);
		r = npp_ctl_call(s, NPP_CTL_PASS, &kid_passes, sizeof kid_passes, &pair[0], 1, &m, buf, sizeof buf, 10000);
		close(pair[0]); /* the other end stays with us */
		if ((r == 0) != (i < OSM_MAX_PASS_PROC))
			_exit(3);
	}
	if (r != -ETOOMANYREFS)
		_exit(4);
	for (;;)
		pause();
}

/* The four of them fill the host. */
START_TEST(one_process_has_its_share)
{
	struct base b = start();
	pid_t kid[3];
	int one;

	for (unsigned i = 0; i < OSM_MAX_PASS_PROC; i++)
		ck_assert_int_eq(pass(&b, b.rec->gen, &ours[i]), 0);
	ck_assert_int_eq(pass(&b, b.rec->gen, &one), -ETOOMANYREFS);
	kid_passes = (struct npp_ctl_bind){ .sock = b.s, .gen = b.rec->gen };
	for (unsigned i = 0; i < 3; i++) {
		kid[i] = fake_fork(b.f, fill);
		FAKE_UNTIL(b.f, atomic_load(&b.rec->refs) == 1 + (i + 2) * OSM_MAX_PASS_PROC);
	}
	close(ours[0]); /* now one is free, and this process may */
	FAKE_UNTIL(b.f, atomic_load(&b.rec->refs) == OSM_MAX_PASS);
	ck_assert_int_eq(pass(&b, b.rec->gen, &ours[0]), 0);
	for (unsigned i = 0; i < OSM_MAX_PASS_PROC; i++)
		close(ours[i]);
	for (unsigned i = 0; i < 3; i++) {
		kill(kid[i], SIGKILL);
		ck_assert_int_eq(waitpid(kid[i], NULL, 0), kid[i]);
	}
	FAKE_UNTIL(b.f, atomic_load(&b.rec->refs) == 1);
	let_go(&b);
	finish(&b);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("osm_pass");
	TCase *t = tcase_create("pass");

	tcase_add_test(t, a_reference_lives_as_long_as_the_ticket);
	tcase_add_test(t, who_takes_it_has_it_alone);
	tcase_add_test(t, the_sender_may_die);
	tcase_add_test(t, a_new_osm_waits_a_while);
	tcase_add_test(t, an_end_that_others_have_as_well_is_heard_of_once);
	tcase_add_test(t, a_file_is_no_ticket);
	tcase_add_test(t, nonsense_is_refused);
	tcase_add_test(t, one_process_has_its_share);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return npp_suite_run(suite());
}
