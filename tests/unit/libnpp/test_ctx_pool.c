/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_ctx_pool.c - contexts of threads: kept, used again, asked for ahead
 */
#include "config.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#ifdef NPP_SANITIZED
#include <sanitizer/asan_interface.h>
#endif

#include "host.h"
#include "npp-osm/libnpp/priv.h"
#include "shm/lock.h"

static void exchange(void)
{
	int fd = dial(FAKE_ECHO);
	char c;

	ck_assert_int_eq(npp_send(fd, "t", 1, 0), 1);
	ck_assert_int_eq(npp_recv(fd, &c, 1, 0), 1);
	npp_close(fd);
}

static sem_t go, ready;

static void *one_exchange(void *arg)
{
	exchange();
	if (arg) { /* keeps its context until all have one */
		sem_post(&ready);
		sem_wait(&go);
	}
	return NULL;
}

/* N threads that have a context each at the same time. */
static void crowd(int n)
{
	pthread_t t[64];

	sem_init(&go, 0, 0);
	sem_init(&ready, 0, 0);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, one_exchange, f), 0);
	for (int i = 0; i < n; i++)
		sem_wait(&ready);
	for (int i = 0; i < n; i++)
		sem_post(&go);
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

static void one_after_another(int n)
{
	for (int i = 0; i < n; i++) {
		pthread_t t;

		ck_assert_int_eq(pthread_create(&t, NULL, one_exchange, NULL), 0);
		pthread_join(t, NULL);
	}
}

static uint32_t open_contexts(void)
{
	uint32_t n = 0;

	for (unsigned c = 1; c < NPP_MAX_CTX; c++)
		n += atomic_load(&f->ctx[c].state) == NPP_CTX_OPEN;
	return n;
}

START_TEST(the_next_thread_has_the_context_of_the_last)
{
	exchange();
	one_after_another(100);
	ck_assert_uint_le(f->ctx_opened, 6);
	EVENTUALLY(f->closes == 101);
}
END_TEST

START_TEST(threads_go_on_while_the_osm_is_stopped)
{
	crowd(20);
	fake_hold(f, true);
	one_after_another(50); /* who asked would fail in the end */
	crowd(20);
	fake_hold(f, false);
	EVENTUALLY(f->closes == 90);
}
END_TEST

START_TEST(some_more_than_ever_are_there)
{
	uint32_t had;

	crowd(16);
	fake_hold(f, true);
	had = f->ctx_opened;
	ck_assert_uint_gt(had, 16);
	crowd((int)had); /* without the OSM */
	ck_assert_uint_eq(f->ctx_opened, had);
	fake_hold(f, false);
}
END_TEST

START_TEST(crowd_after_crowd_leaves_no_more_than_is_kept)
{
	for (int i = 0; i < 10; i++)
		crowd(64);
	fake_hold(f, true);
	ck_assert_uint_le(open_contexts(), 64 + 1 + 4); /* kept, ours, and asked for ahead */
	fake_hold(f, false);
}
END_TEST

START_TEST(a_thread_beyond_the_spare_ones_waits_for_the_osm)
{
	pthread_t t;

	fake_hold(f, true);
	ck_assert_int_eq(pthread_create(&t, NULL, one_exchange, NULL), 0);
	usleep(20000);
	ck_assert_uint_eq(f->ctx_opened, 0);
	fake_hold(f, false);
	pthread_join(t, NULL);
	EVENTUALLY(f->closes == 1);
}
END_TEST

START_TEST(the_osm_is_started_anew_under_threads)
{
	crowd(20);
	fake_hang_up(f);
	one_after_another(20);
	crowd(30);
	fake_hang_up(f);
	crowd(40);
	EVENTUALLY(f->closes == 110);
	/* Those that an OSM opened and could not tell us of are given back. */
	EVENTUALLY(f->ctx_opened - f->ctx_closed == open_contexts());
	ck_assert_uint_le(open_contexts(), 64);
}
END_TEST

START_TEST(a_context_whose_opener_died_before_it_said_so_is_given_back)
{
	f->dies_opening = 2;
	exchange();
	ck_assert_uint_eq(f->dies_opening, 0);
	ck_assert_uint_ge(f->ctx_opened, 3);
	EVENTUALLY(f->ctx_closed == 2);
	ck_assert_uint_eq(open_contexts(), f->ctx_opened - 2);
	exchange();
	EVENTUALLY(f->closes == 2);
}
END_TEST

static bool subscribed(const struct npp_sock *s, uint32_t *ctx)
{
	for (int i = 0; i < NPP_SOCK_SUBS; i++)
		if (NPP_SUB_CTX(s->sub[i])) {
			*ctx = NPP_SUB_CTX(s->sub[i]) - 1;
			return true;
		}
	return false;
}

static int shared_fd;

static void *wait_for_a_byte(void *arg)
{
	char c;

	(void)arg;
	ck_assert_int_eq(npp_recv(shared_fd, &c, 1, 0), 1);
	return NULL;
}

START_TEST(the_dead_threads_subscriptions_are_ended)
{
	struct npp_sock *s;
	uint32_t ctx = 0, idx;
	pthread_t t;

	shared_fd = dial(FAKE_ECHO);
	s = fake_sock_of(f, shared_fd, &idx);
	for (int i = 0; i < NPP_SOCK_SUBS; i++)
		atomic_store(&s->sub[i], 0); /* that of connect(): the main thread's */
	pthread_create(&t, NULL, wait_for_a_byte, NULL);
	EVENTUALLY(subscribed(s, &ctx));
	fake_peer_send(f, idx, "x", 1);
	pthread_join(t, NULL);
	ck_assert(!subscribed(s, &ctx));
	ck_assert_uint_eq(f->ctx[ctx].state, NPP_CTX_OPEN); /* kept */
	ck_assert_uint_eq(f->ctx[ctx].sleeping, 0);
	npp_close(shared_fd);
}
END_TEST

static void *wait_on_many(void *arg)
{
	int *fd = arg;
	struct pollfd p[100];

	for (int i = 0; i < 100; i++)
		p[i] = (struct pollfd){ .fd = fd[i], .events = POLLIN };
	ck_assert_int_eq(npp_poll(p, 100, 10), 0);
	return NULL;
}

START_TEST(a_context_with_more_subscriptions_than_it_remembers_goes_to_the_osm)
{
	uint32_t closed;
	pthread_t t;
	int fd[100];

	for (int i = 0; i < 100; i++)
		fd[i] = dial(FAKE_ECHO);
	closed = f->ctx_closed;
	pthread_create(&t, NULL, wait_on_many, fd);
	pthread_join(t, NULL);
	EVENTUALLY(f->ctx_closed == closed + 1);
	for (int i = 0; i < 100; i++)
		npp_close(fd[i]);
}
END_TEST

static int pipe_of[2];

/* sendfile() from a pipe that stays empty: a cancellation point under the transmit lock. */
static void *hold_the_lock(void *arg)
{
	(void)arg;
	npp_sendfile(shared_fd, pipe_of[0], NULL, 10);
	return NULL;
}

START_TEST(a_thread_cancelled_under_a_lock_leaves_its_context_to_the_osm)
{
	uint32_t closed = f->ctx_closed;
	struct npp_sock *s;
	pthread_t t;

	shared_fd = dial(FAKE_ECHO);
	npp_send(shared_fd, "x", 1, 0);
	s = fake_sock_of(f, shared_fd, NULL);
	ck_assert_int_eq(pipe(pipe_of), 0);
	pthread_create(&t, NULL, hold_the_lock, NULL);
	EVENTUALLY(atomic_load(&s->tx_lock) != 0);
	pthread_cancel(t);
	pthread_join(t, NULL);
	EVENTUALLY(f->ctx_closed == closed + 1);
	atomic_store(&s->tx_lock, 0); /* as the OSM does it */
	npp_close(shared_fd);
	close(pipe_of[0]);
	close(pipe_of[1]);
}
END_TEST

/* What a thread does that is cancelled before. */
struct doomed { void (*act)(void); atomic_bool cancelled, done; };

/* AddressSanitizer does not see that the calls in which a thread was cancelled have ended. */
static void forget_calls(void *arg)
{
	(void)arg;
#ifdef NPP_SANITIZED
	char *here = __builtin_frame_address(0);

	__asan_unpoison_memory_region(here - 16384, 16384);
#endif
}

static void *die_late(void *arg)
{
	struct doomed *d = arg;

	pthread_cleanup_push(forget_calls, NULL);
	while (!d->cancelled)
		sched_yield(); /* no point of cancellation */
	d->act();
	d->done = true;
	pthread_testcancel();
	pthread_cleanup_pop(0);
	return NULL;
}

/* The thread ends by its cancellation after it has done, or before. */
static pthread_t doom(struct doomed *d)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, die_late, d), 0);
	pthread_cancel(t);
	d->cancelled = true;
	return t;
}

static void shut(void)
{
	npp_shutdown(shared_fd, SHUT_WR);
}

START_TEST(shutdown_is_no_point_of_cancellation)
{
	struct doomed d = { .act = shut };
	struct npp_sock *s;
	void *end = NULL;
	pthread_t t;

	shared_fd = dial(FAKE_ECHO);
	npp_send(shared_fd, "x", 1, 0);
	s = fake_sock_of(f, shared_fd, NULL);
	ck_assert(npp_lock_try(&s->tx_lock, 1000)); /* somebody has it, and goes on in the end */
	t = doom(&d); /* has no context yet, and waits for the lock then */
	usleep(60000);
	ck_assert(npp_lock_drop(&s->tx_lock, 1000));
	pthread_join(t, &end);
	ck_assert(d.done);
	ck_assert_ptr_eq(end, PTHREAD_CANCELED);
	npp_close(shared_fd);
}
END_TEST

static void close_shared(void)
{
	npp_close(shared_fd);
}

START_TEST(who_is_cancelled_in_close_keeps_no_lock)
{
	struct doomed d = { .act = close_shared };
	void *end = NULL;

	shared_fd = dial(FAKE_ECHO);
	pthread_join(doom(&d), &end);
	ck_assert(!d.done);
	ck_assert_ptr_eq(end, PTHREAD_CANCELED);
	ck_assert_int_eq(npp_close(shared_fd), 0); /* nor has it closed */
	EVENTUALLY(f->closes == 1);
}
END_TEST

static void *close_and_die(void *arg)
{
	(void)arg;
	pthread_cleanup_push(forget_calls, NULL);
	npp_close(shared_fd);
	pthread_testcancel();
	pthread_cleanup_pop(0);
	return NULL;
}

/* The kernel's close(), which the library calls under the lock, is a point of cancellation. */
START_TEST(who_is_cancelled_under_the_lock_of_the_descriptors_lets_go_of_it)
{
	void *end = NULL;
	pthread_t t;
	bool free;

	shared_fd = dial(FAKE_ECHO);
	fd_lock();
	pthread_create(&t, NULL, close_and_die, NULL);
	EVENTUALLY(atomic_load(&npp_lib.fd_word) == 2); /* somebody waits for it */
	pthread_cancel(t);
	fd_unlock();
	pthread_join(t, &end);
	ck_assert_ptr_eq(end, PTHREAD_CANCELED);
	free = fd_trylock();
	if (free)
		fd_unlock();
	else /* so that the test can end */
		atomic_store(&npp_lib.fd_word, 0);
	ck_assert_msg(free, "it has died with the lock");
	EVENTUALLY(f->closes == 1);
}
END_TEST

START_TEST(the_child_of_a_fork_has_contexts_of_its_own)
{
	int status;
	pid_t pid;

	crowd(10);
	pid = npp_fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		uint32_t before = f->ctx_opened;

		/* The fake lives in the parent; what is ours stands in its memory. */
		(void)before;
		exchange();
		one_after_another(3);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	crowd(10);
	EVENTUALLY(f->closes == 24);
}
END_TEST

START_TEST(few_are_kept_when_contexts_are_scarce)
{
	for (unsigned c = 300; c < NPP_MAX_CTX; c++)
		atomic_store(&f->ctx[c].state, NPP_CTX_CLOSING);
	for (unsigned c = 1; c < 250; c++)
		atomic_store(&f->ctx[c].state, NPP_CTX_CLOSING);
	crowd(20);
	EVENTUALLY(f->ctx_opened - f->ctx_closed <= 4 + 2);
}
END_TEST

START_TEST(an_epoll_instance_may_have_a_spare_one)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd, ep;

	crowd(8);
	fd = dial(FAKE_ECHO);
	fake_hold(f, true);
	ep = npp_epoll_create1(0);
	ck_assert_int_eq(npp_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	npp_send(fd, "x", 1, 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	fake_hold(f, false);
	npp_close(ep);
	npp_close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctx_pool");
	TCase *t = tcase_create("pool");

	tcase_add_checked_fixture(t, up, down);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, the_next_thread_has_the_context_of_the_last);
	tcase_add_test(t, threads_go_on_while_the_osm_is_stopped);
	tcase_add_test(t, some_more_than_ever_are_there);
	tcase_add_test(t, crowd_after_crowd_leaves_no_more_than_is_kept);
	tcase_add_test(t, a_thread_beyond_the_spare_ones_waits_for_the_osm);
	tcase_add_test(t, the_osm_is_started_anew_under_threads);
	tcase_add_test(t, a_context_whose_opener_died_before_it_said_so_is_given_back);
	tcase_add_test(t, the_dead_threads_subscriptions_are_ended);
	tcase_add_test(t, a_context_with_more_subscriptions_than_it_remembers_goes_to_the_osm);
	tcase_add_test(t, a_thread_cancelled_under_a_lock_leaves_its_context_to_the_osm);
	tcase_add_test(t, shutdown_is_no_point_of_cancellation);
	tcase_add_test(t, who_is_cancelled_in_close_keeps_no_lock);
	tcase_add_test(t, who_is_cancelled_under_the_lock_of_the_descriptors_lets_go_of_it);
	tcase_add_test(t, the_child_of_a_fork_has_contexts_of_its_own);
	tcase_add_test(t, few_are_kept_when_contexts_are_scarce);
	tcase_add_test(t, an_epoll_instance_may_have_a_spare_one);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
