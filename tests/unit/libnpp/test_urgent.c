/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_urgent.c - urgent data as programs see it, with a fake host
 *
 * What is expected here is what the kernel does; tests/lab/same.t compares the two.
 */
#include "config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"
#include "npp-osm/libnpp/libnpp.h"
#include "npp-osm/libnpp/priv.h"
#include "tests/unit/suite.h"

static struct fake *f;
static int listener, fd;
static uint32_t idx;
static char buf[64];

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#define EVENTUALLY(cond) \
	do { \
		uint64_t end_ = now_ms() + 20000; \
		while (!(cond) && now_ms() < end_) \
			usleep(200); \
		ck_assert_msg(cond, "in time: " #cond); \
	} while (0)
#define ck_fails(call, err) \
	do { \
		errno = 0; \
		ck_assert_int_eq((int)(call), -1); \
		ck_assert_int_eq(errno, err); \
	} while (0)
/* What one read gives. */
#define ck_reads(n, text) \
	do { \
		ck_assert_int_eq((int)npp_recv(fd, buf, n, MSG_DONTWAIT), (int)strlen(text)); \
		ck_assert_mem_eq(buf, text, strlen(text)); \
	} while (0)

static void setup(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof a;

	f = fake_start();
	ck_assert_int_eq(npp_start_at(f->path), 0);
	listener = npp_socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(npp_bind(listener, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(npp_listen(listener, 4), 0);
	npp_getsockname(listener, (struct sockaddr *)&a, &n);
	idx = fake_peer_connect(f, ntohs(a.sin_port), 0, 5000);
	fd = npp_accept4(listener, NULL, NULL, 0);
	ck_assert_int_ge(fd, 0);
}

static void teardown(void)
{
	npp_close(fd);
	npp_close(listener);
	npp_stop();
	fake_stop(f);
}

static int at_mark(void)
{
	int v = -1;

	ck_assert_int_eq(npp_ioctl(fd, SIOCATMARK, &v), 0);
	return v;
}

static int in_queue(void)
{
	int v = -1;

	ck_assert_int_eq(npp_ioctl(fd, SIOCINQ, &v), 0);
	return v;
}

static int ready(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI | POLLRDHUP };

	ck_assert_int_ge(npp_poll(&p, 1, 0), 0);
	return p.revents;
}

/* "abcXdef" with an urgent X. */
static void deliver(void)
{
	fake_peer_urgent(f, idx, 3, false);
	fake_peer_send(f, idx, "abcXdef", 7);
}

START_TEST(without_urgent_data_there_is_none)
{
	ck_fails(npp_recv(fd, buf, 1, MSG_OOB), EINVAL);
	ck_assert_int_eq(at_mark(), 0);
	fake_peer_send(f, idx, "a", 1);
	ck_fails(npp_recv(fd, buf, 1, MSG_OOB), EINVAL);
	ck_assert_int_eq(ready(), POLLIN);
	ck_fails(npp_recv(listener, buf, 1, MSG_OOB), ENOTCONN);
	ck_assert_int_eq(npp_ioctl(listener, SIOCATMARK, &(int){ 0 }), 0); /* as Linux */
}
END_TEST

START_TEST(reading_stops_at_the_mark_and_goes_on_behind_the_byte)
{
	deliver();
	ck_assert_int_eq(ready(), POLLIN | POLLPRI);
	ck_assert_int_eq(in_queue(), 3);
	ck_reads(60, "abc");
	ck_assert_int_eq(at_mark(), 1);
	ck_assert_int_eq(in_queue(), 0);
	ck_assert_int_eq((int)npp_recv(fd, buf, 5, MSG_OOB), 1);
	ck_assert_int_eq(buf[0], 'X');
	ck_fails(npp_recv(fd, buf, 1, MSG_OOB), EINVAL);
	ck_assert_int_eq(ready(), POLLIN);
	ck_assert_int_eq(at_mark(), 1);
	ck_reads(60, "def");
	ck_assert_int_eq(at_mark(), 0);
	ck_fails(npp_recv(fd, buf, 1, MSG_OOB), EINVAL);
	ck_assert_int_eq(ready(), 0);
}
END_TEST

START_TEST(who_reads_on_loses_the_byte)
{
	deliver();
	ck_reads(2, "ab");
	ck_reads(60, "c");
	ck_reads(60, "def");
	ck_fails(npp_recv(fd, buf, 1, MSG_OOB), EINVAL);
	ck_assert_int_eq(ready(), 0);
}
END_TEST

START_TEST(inline_it_is_read_where_it_stands)
{
	int one = 1, v = 0;
	socklen_t n = sizeof v;

	ck_assert_int_eq(npp_setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof one), 0);
	ck_assert_int_eq(npp_getsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &v, &n), 0);
	ck_assert_int_eq(v, 1);
	deliver();
	ck_fails(npp_recv(fd, buf, 1, MSG_OOB), EINVAL);
	ck_assert_int_eq(ready(), POLLIN | POLLPRI);
	ck_assert_int_eq(in_queue(), 7);
	ck_reads(60, "abc");
	ck_assert_int_eq(at_mark(), 1);
	ck_reads(60, "Xdef");
	ck_assert_int_eq(ready(), 0);
}
END_TEST

START_TEST(announced_but_not_yet_there)
{
	fake_peer_urgent(f, idx, 3, false);
	fake_peer_send(f, idx, "ab", 2);
	ck_fails(npp_recv(fd, buf, 1, MSG_OOB), EAGAIN);
	ck_assert_int_eq(ready(), POLLIN);
	ck_assert_int_eq(in_queue(), 2);
	ck_reads(60, "ab");
	fake_peer_send(f, idx, "c", 1);
	ck_reads(60, "c");
	ck_assert_int_eq(at_mark(), 1);
	ck_fails(npp_recv(fd, buf, 1, MSG_DONTWAIT), EAGAIN);
	fake_peer_send(f, idx, "X", 1);
	ck_assert_int_eq(ready(), POLLPRI); /* that byte is none to read */
	ck_assert_int_eq((int)npp_recv(fd, buf, 1, MSG_OOB), 1);
	ck_assert_int_eq(ready(), 0);
	ck_fails(npp_recv(fd, buf, 1, MSG_DONTWAIT), EAGAIN); /* and steps over it */
	ck_assert_int_eq(at_mark(), 0);
	ck_fails(npp_recv(fd, buf, 1, MSG_OOB), EINVAL);
	fake_peer_fin(f, idx);
	ck_assert_int_eq((int)npp_recv(fd, buf, 1, 0), 0);
}
END_TEST

START_TEST(out_of_order_it_is_readable_as_urgent)
{
	struct npp_sock *s = &f->sock[idx];

	fake_peer_urgent(f, idx, 3, false);
	fake_peer_send(f, idx, "abcX", 4);
	atomic_store(&s->rx_head, 2); /* as if the third byte were missing */
	ck_fails(npp_recv(fd, buf, 1, MSG_OOB), EAGAIN);
	fake_peer_urgent(f, idx, 3, true);
	ck_assert_int_eq(ready(), POLLIN | POLLPRI);
	ck_assert_int_eq((int)npp_recv(fd, buf, 1, MSG_OOB), 1);
	ck_assert_int_eq(buf[0], 'X');
	atomic_store(&s->rx_head, 4);
	ck_reads(60, "abc");
}
END_TEST

START_TEST(peeking_changes_nothing)
{
	deliver();
	ck_assert_int_eq((int)npp_recv(fd, buf, 1, MSG_OOB | MSG_PEEK), 1);
	ck_assert_int_eq((int)npp_recv(fd, buf, 60, MSG_PEEK), 3);
	ck_assert_int_eq((int)npp_recv(fd, buf, 60, MSG_PEEK | MSG_WAITALL), 3);
	ck_reads(60, "abc");
	ck_assert_int_eq((int)npp_recv(fd, buf, 60, MSG_PEEK), 3);
	ck_assert_mem_eq(buf, "def", 3);
	ck_assert_int_eq(at_mark(), 1);
	ck_assert_int_eq((int)npp_recv(fd, buf, 1, MSG_OOB), 1);
	ck_reads(60, "def");
}
END_TEST

START_TEST(waiting_for_all_ends_at_the_mark)
{
	deliver();
	ck_assert_int_eq((int)npp_recv(fd, buf, 7, MSG_WAITALL), 3);
	ck_assert_int_eq((int)npp_recv(fd, buf, 3, MSG_WAITALL), 3);
}
END_TEST

START_TEST(recvmsg_says_that_it_was_urgent)
{
	struct iovec iov[2] = { { buf, 0 }, { buf, 9 } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	deliver();
	ck_assert_int_eq((int)npp_recvmsg(fd, &mh, MSG_OOB), 1);
	ck_assert_int_eq(mh.msg_flags, MSG_OOB);
	ck_assert_int_eq(buf[0], 'X');
}
END_TEST

START_TEST(the_last_of_several_counts)
{
	deliver();
	fake_peer_urgent(f, idx, 8, false);
	fake_peer_send(f, idx, "gYh", 3);
	ck_assert_int_eq((int)npp_recv(fd, buf, 1, MSG_OOB), 1);
	ck_assert_int_eq(buf[0], 'Y');
	ck_reads(60, "abcXdefg");
	ck_reads(60, "h");
}
END_TEST

START_TEST(after_the_end_there_is_none_to_come)
{
	fake_peer_urgent(f, idx, 3, false);
	fake_peer_fin(f, idx);
	ck_assert_int_eq((int)npp_recv(fd, buf, 1, MSG_OOB), 0);
	fake_peer_reset(f, idx, ECONNRESET);
}
END_TEST

START_TEST(a_reset_leaves_no_urgent_byte)
{
	deliver();
	fake_peer_reset(f, idx, ECONNRESET);
	ck_fails(npp_recv(fd, buf, 1, MSG_OOB), ENOTCONN);
}
END_TEST

START_TEST(select_and_epoll_tell_it)
{
	struct epoll_event ev = { .events = EPOLLPRI, .data.fd = 9 };
	struct timeval tv = { 5, 0 };
	int ep = npp_epoll_create1(0);
	fd_set r, x;

	ck_assert_int_eq(npp_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	fake_peer_send(f, idx, "x", 1);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 0, NULL), 0);
	ck_reads(1, "x");
	fake_peer_urgent(f, idx, 1, false);
	fake_peer_send(f, idx, "!", 1);
	FD_ZERO(&r);
	FD_ZERO(&x);
	FD_SET(fd, &r);
	FD_SET(fd, &x);
	ck_assert_int_eq(npp_select(fd + 1, &r, NULL, &x, &tv), 1);
	ck_assert(!FD_ISSET(fd, &r));
	ck_assert(FD_ISSET(fd, &x));
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_uint_eq(ev.events, EPOLLPRI);
	ck_assert_int_eq((int)npp_recv(fd, buf, 1, MSG_OOB), 1);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 0, NULL), 0);
	npp_close(ep);
}
END_TEST

START_TEST(what_is_sent_as_urgent_is_marked_at_its_end)
{
	struct npp_sock *s = &f->sock[idx];

	fake_peer_send(f, idx, "a", 1);	/* makes the transmit ring */
	ck_assert_int_eq((int)npp_send(fd, "hello", 5, 0), 5);
	ck_assert_uint_eq(s->tx_urg, 0);
	ck_assert_int_eq((int)npp_send(fd, "stop", 4, MSG_OOB), 4);
	ck_assert_uint_eq(s->tx_urg, 9);
	EVENTUALLY(f->urgent == 1);
	ck_assert_int_eq((int)npp_send(fd, "", 0, MSG_OOB), 0);
	ck_assert_uint_eq(s->tx_urg, 9);
}
END_TEST

/* ---- SIGURG -------------------------------------------------------------------------------- */

static volatile sig_atomic_t urgs;
static void on_urg(int sig)
{
	(void)sig;
	urgs++;
}

START_TEST(the_owner_gets_a_signal_for_each_announcement)
{
	urgs = 0;
	signal(SIGURG, on_urg);
	fake_peer_urgent(f, idx, 0, false);
	usleep(20000);
	ck_assert_int_eq(urgs, 0); /* nobody asked for it */
	ck_assert_int_eq(npp_fcntl(fd, F_GETOWN, 0), 0);
	ck_assert_int_eq(npp_fcntl(fd, F_SETOWN, (unsigned long)getpid()), 0);
	ck_assert_int_eq(npp_fcntl(fd, F_GETOWN, 0), getpid());
	fake_peer_urgent(f, idx, 5, false);
	EVENTUALLY(urgs == 1);
	fake_peer_urgent(f, idx, 9, false);
	EVENTUALLY(urgs == 2);
	ck_assert_int_eq(npp_fcntl(fd, F_SETOWN, 0), 0);
	fake_peer_urgent(f, idx, 10, false);
	usleep(20000);
	ck_assert_int_eq(urgs, 2);
}
END_TEST

static unsigned threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* setresuid() of the C library ends a process whose threads differ in whether they may (tests/lab/urgent.py). */
START_TEST(the_thread_that_signals_is_not_there_when_the_user_changes)
{
	unsigned before = threads();
	bool alone;

	urgs = 0;
	signal(SIGURG, on_urg);
	ck_assert(!npp_creds_begin());
	ck_assert_int_eq(npp_fcntl(fd, F_SETOWN, (unsigned long)getpid()), 0);
	fake_peer_urgent(f, idx, 5, false);
	EVENTUALLY(urgs == 1);
	alone = npp_creds_begin();
	ck_assert(alone);
	EVENTUALLY(threads() == before); /* the kernel takes a moment after the join */
	ck_assert(!npp_creds_begin());
	fake_peer_urgent(f, idx, 9, false);
	npp_creds_end(alone);
	EVENTUALLY(urgs == 2);
	fake_peer_urgent(f, idx, 10, false);
	EVENTUALLY(urgs == 3);
}
END_TEST

START_TEST(without_a_context_the_signal_comes_when_there_is_one)
{
	urgs = 0;
	signal(SIGURG, on_urg);
	f->no_ctx = true;
	ck_assert_int_eq(npp_fcntl(fd, F_SETOWN, (unsigned long)getpid()), 0);
	fake_peer_urgent(f, idx, 5, false);
	usleep(150000);
	ck_assert_int_eq(urgs, 0);
	f->no_ctx = false;
	EVENTUALLY(urgs == 1);
	fake_peer_urgent(f, idx, 9, false);
	EVENTUALLY(urgs == 2);
}
END_TEST

static volatile bool second;

static void *changes_too(void *arg)
{
	bool alone = npp_creds_begin();

	(void)arg;
	second = true;
	npp_creds_end(alone);
	return NULL;
}

START_TEST(who_changes_the_user_second_waits_for_the_first)
{
	bool alone;
	pthread_t t;

	urgs = 0;
	second = false;
	signal(SIGURG, on_urg);
	ck_assert_int_eq(npp_fcntl(fd, F_SETOWN, (unsigned long)getpid()), 0);
	alone = npp_creds_begin();
	ck_assert(alone);
	ck_assert_int_eq(pthread_create(&t, NULL, changes_too, NULL), 0);
	usleep(30000);
	ck_assert(!second);
	npp_creds_end(alone);
	pthread_join(t, NULL);
	ck_assert(second);
	fake_peer_urgent(f, idx, 5, false);
	EVENTUALLY(urgs == 1);
}
END_TEST

/* As the handler of a fault does that came while this thread had the lock; or as one does while a thread that
 * waits for it has the lock (_i). */
START_TEST(the_user_can_be_changed_in_the_middle_of_something)
{
	bool alone;

	urgs = 0;
	signal(SIGURG, on_urg);
	ck_assert_int_eq(npp_fcntl(fd, F_SETOWN, (unsigned long)getpid()), 0);
	fake_peer_urgent(f, idx, 5, false);
	EVENTUALLY(urgs == 1);
	fd_lock();
	if (_i)
		npp_thr.fd_depth = 0; /* none of ours */
	fake_peer_urgent(f, idx, 9, false); /* the thread wants the lock for that */
	alone = npp_creds_begin();
	ck_assert(alone == (_i != 0));
	npp_creds_end(alone);
	npp_thr.fd_depth = 1;
	fd_unlock();
	ck_assert_int_eq(npp_fcntl(fd, F_SETOWN, (unsigned long)getpid()), 0);
	fake_peer_urgent(f, idx, 10, false);
	EVENTUALLY(urgs >= 2);
	fake_peer_urgent(f, idx, 11, false);
	EVENTUALLY(urgs >= 3);
}
END_TEST

START_TEST(owners_are_processes_groups_and_threads)
{
	struct f_owner_ex ex = { F_OWNER_TID, 0 }, got;
	int who = -getpgrp();

	urgs = 0;
	signal(SIGURG, on_urg);
	ck_assert_int_eq(npp_ioctl(fd, SIOCSPGRP, &who), 0);
	who = 0;
	ck_assert_int_eq(npp_ioctl(fd, FIOGETOWN, &who), 0);
	ck_assert_int_eq(who, -getpgrp());
	ex.pid = gettid();
	ck_assert_int_eq(npp_fcntl(fd, F_SETOWN_EX, (unsigned long)&ex), 0);
	ck_assert_int_eq(npp_fcntl(fd, F_GETOWN_EX, (unsigned long)&got), 0);
	ck_assert_int_eq(got.type, F_OWNER_TID);
	ck_assert_int_eq(got.pid, gettid());
	fake_peer_urgent(f, idx, 5, false);
	EVENTUALLY(urgs == 1);
	ck_fails(npp_fcntl(fd, F_SETOWN, 0x7ffffff0), ESRCH);
	ck_fails(npp_fcntl(fd, F_SETOWN, 0x80000000), EINVAL);
	ex.type = 7;
	ck_fails(npp_fcntl(fd, F_SETOWN_EX, (unsigned long)&ex), EINVAL);
}
END_TEST

START_TEST(an_owner_from_before_connect_counts)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(FAKE_ECHO) };
	int s = npp_socket(AF_INET, SOCK_STREAM, 0);
	uint32_t i;

	urgs = 0;
	signal(SIGURG, on_urg);
	inet_pton(AF_INET, FAKE_PEER, &a.sin_addr);
	ck_assert_int_eq(npp_fcntl(s, F_SETOWN, (unsigned long)getpid()), 0);
	ck_assert_int_eq(npp_connect(s, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(npp_fcntl(s, F_GETOWN, 0), getpid());
	fake_sock_of(f, s, &i);
	fake_peer_urgent(f, i, 5, false);
	EVENTUALLY(urgs == 1);
	npp_close(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libnpp_urgent");
	TCase *tc = tcase_create("urgent");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, without_urgent_data_there_is_none);
	tcase_add_test(tc, reading_stops_at_the_mark_and_goes_on_behind_the_byte);
	tcase_add_test(tc, who_reads_on_loses_the_byte);
	tcase_add_test(tc, inline_it_is_read_where_it_stands);
	tcase_add_test(tc, announced_but_not_yet_there);
	tcase_add_test(tc, out_of_order_it_is_readable_as_urgent);
	tcase_add_test(tc, peeking_changes_nothing);
	tcase_add_test(tc, waiting_for_all_ends_at_the_mark);
	tcase_add_test(tc, recvmsg_says_that_it_was_urgent);
	tcase_add_test(tc, the_last_of_several_counts);
	tcase_add_test(tc, after_the_end_there_is_none_to_come);
	tcase_add_test(tc, a_reset_leaves_no_urgent_byte);
	tcase_add_test(tc, select_and_epoll_tell_it);
	tcase_add_test(tc, what_is_sent_as_urgent_is_marked_at_its_end);
	tcase_add_test(tc, the_owner_gets_a_signal_for_each_announcement);
	tcase_add_test(tc, the_thread_that_signals_is_not_there_when_the_user_changes);
	tcase_add_test(tc, without_a_context_the_signal_comes_when_there_is_one);
	tcase_add_test(tc, who_changes_the_user_second_waits_for_the_first);
	tcase_add_loop_test(tc, the_user_can_be_changed_in_the_middle_of_something, 0, 2);
	tcase_add_test(tc, owners_are_processes_groups_and_threads);
	tcase_add_test(tc, an_owner_from_before_connect_counts);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
