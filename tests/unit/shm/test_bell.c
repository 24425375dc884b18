/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_bell.c - doorbells: none lost, none needless
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/bell.h"
#include "tests/unit/suite.h"

START_TEST(ringing_makes_readable_and_draining_not)
{
	int fd = npp_bell_create();
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	ck_assert_int_ge(fd, 0);
	errno = 42;
	npp_bell_drain(fd); /* nothing there: does not wait */
	ck_assert_int_eq(poll(&pfd, 1, 0), 0);
	npp_bell_ring(fd);
	npp_bell_ring(fd);
	ck_assert_int_eq(poll(&pfd, 1, 0), 1);
	npp_bell_drain(fd);
	ck_assert_int_eq(poll(&pfd, 1, 0), 0);
	errno = 42;
	npp_bell_ring(-1);
	npp_bell_drain(-1);
	ck_assert_int_eq(errno, 42);
	close(fd);
}
END_TEST

/* Somebody who shares the doorbells has filled them and made them blocking. */
START_TEST(a_ringer_never_waits)
{
	static const uint64_t full = 0xfffffffffffffffeull;
	struct npp_ringer r;
	int fd[3 * NPP_RINGER_MAX];
	uint64_t v;

	ck_assert_int_eq(npp_ringer_open(&r), 0);
	for (unsigned i = 0; i < 3 * NPP_RINGER_MAX; i++) {
		fd[i] = npp_bell_create();
		ck_assert_int_ge(fd[i], 0);
		ck_assert_int_eq(fcntl(fd[i], F_SETFL, 0), 0);
	}
	for (unsigned k = 0; k < 3; k++) {
		ck_assert_int_eq(write(fd[k], &full, sizeof full), sizeof full);
		for (unsigned n = 0; n < 100; n++) {
			npp_ringer_add(&r, fd[k]);
			npp_ringer_flush(&r);
		}
		ck_assert_int_eq(read(fd[k], &v, sizeof v), sizeof v);
		ck_assert(v == UINT64_MAX);
		npp_bell_drain(fd[k]); /* empty and blocking: must not wait either */
	}
	npp_ringer_add(&r, -1);
	npp_ringer_add(&r, STDERR_FILENO); /* not a doorbell: left alone */
	for (unsigned i = 0; i < 3 * NPP_RINGER_MAX; i++)
		npp_ringer_add(&r, fd[i]);
	errno = 42;
	npp_ringer_flush(&r);
	ck_assert_int_eq(errno, 42);
	for (unsigned i = 0; i < 3 * NPP_RINGER_MAX; i++) {
		ck_assert_int_eq(read(fd[i], &v, sizeof v), sizeof v);
		ck_assert_uint_eq(v, 1);
		close(fd[i]);
	}
	npp_ringer_close(&r);
}
END_TEST

START_TEST(a_ringer_wakes_a_sleeper_though_the_doorbell_is_full)
{
	static const uint64_t full = 0xfffffffffffffffeull;
	struct npp_ringer r;
	struct pollfd p = { .fd = npp_bell_create(), .events = POLLIN };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	ck_assert_int_eq(npp_ringer_open(&r), 0);
	ck_assert_int_eq(epoll_ctl(ep, EPOLL_CTL_ADD, p.fd, &ev), 0);
	ck_assert_int_eq(write(p.fd, &full, sizeof full), sizeof full);
	ck_assert_int_eq(epoll_wait(ep, &got, 1, 0), 1);
	ck_assert_int_eq(epoll_wait(ep, &got, 1, 0), 0);
	for (int i = 0; i < 3; i++) {
		npp_ringer_add(&r, p.fd);
		npp_ringer_flush(&r);
		ck_assert_int_eq(epoll_wait(ep, &got, 1, 0), 1); /* a fresh edge each time */
	}
	npp_ringer_close(&r);
	close(ep);
	close(p.fd);
}
END_TEST

/* Ping-pong of two processes, each asleep while the other works: the tightest race
 * between announcing and claiming. */
struct side { _Alignas(64) _Atomic uint32_t word, sleeping; uint64_t rung; };
#define ROUNDS 20000u

static bool wait_for(struct side *s, int bell, uint32_t value)
{
	struct pollfd pfd = { .fd = bell, .events = POLLIN };

	while (atomic_load_explicit(&s->word, memory_order_acquire) != value) {
		npp_bell_announce(&s->sleeping);
		if (atomic_load_explicit(&s->word, memory_order_acquire) != value) {
			if (poll(&pfd, 1, 20000) != 1)
				return false;
			npp_bell_drain(bell);
		}
		npp_bell_awake(&s->sleeping);
	}
	return true;
}

static void say(struct side *s, int bell, uint32_t value, uint64_t *rung)
{
	atomic_store_explicit(&s->word, value, memory_order_release);
	if (npp_bell_claim(&s->sleeping)) {
		npp_bell_ring(bell);
		(*rung)++;
	}
}

START_TEST(no_wake_up_is_lost_and_no_round_rings_twice)
{
	struct side *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int bell[2] = { npp_bell_create(), npp_bell_create() }, status;
	pid_t pid = fork();

	if (pid == 0) {
		for (uint32_t i = 1; i <= ROUNDS; i++) {
			if (!wait_for(&s[1], bell[1], i))
				_exit(1);
			say(&s[0], bell[0], i, &s[1].rung);
		}
		_exit(0);
	}
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		say(&s[1], bell[1], i, &s[0].rung);
		ck_assert_msg(wait_for(&s[0], bell[0], i), "round %u: no bell", i);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_le(s[0].rung, ROUNDS);
	ck_assert_uint_le(s[1].rung, ROUNDS);
	close(bell[0]);
	close(bell[1]);
	munmap(s, 4096);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shm/bell");
	TCase *t = tcase_create("bell");

	tcase_add_test(t, ringing_makes_readable_and_draining_not);
	tcase_add_test(t, a_ringer_never_waits);
	tcase_add_test(t, a_ringer_wakes_a_sleeper_though_the_doorbell_is_full);
	tcase_add_test(t, no_wake_up_is_lost_and_no_round_rings_twice);
	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
