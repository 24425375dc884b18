/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_wait.c - libnpp over a fake host: poll, select, epoll, time-outs, signals
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "host.h"
#include "npp-osm/libnpp/priv.h"

/* ---- waiting ---------------------------------------------------------------------------------- */

START_TEST(receive_times_out)
{
	int fd = dial(FAKE_ECHO);
	struct timeval tv = { 0, 60000 };
	uint64_t start = now_ms();
	char c;

	npp_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	ck_fails((int)npp_recv(fd, &c, 1, 0), EAGAIN);
	ck_assert_uint_ge(now_ms() - start, 59);
	npp_close(fd);
}
END_TEST

static void *poke(void *arg)
{
	for (int i = 0; i < 3; i++) {
		usleep(20000);
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		while (signals <= i) /* two that are pending would be one */
			usleep(200);
	}
	return NULL;
}

static int interrupted(int flags, int fd)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };
	pthread_t self = pthread_self(), t;
	char c;
	int r;

	sigaction(SIGUSR1, &sa, NULL);
	signals = 0;
	pthread_create(&t, NULL, poke, &self);
	errno = 0;
	r = (int)npp_recv(fd, &c, 1, 0);
	pthread_join(t, NULL);
	return r < 0 ? -errno : r;
}

static void *answer_later(void *arg)
{
	usleep(150000);
	fake_peer_send(f, *(uint32_t *)arg, "z", 1);
	return NULL;
}

START_TEST(signals_interrupt_or_restart_as_asked)
{
	int fd = dial(FAKE_DISCARD);
	uint32_t idx;
	pthread_t t;

	fake_sock_of(f, fd, &idx);
	ck_assert_int_eq(interrupted(0, fd), -EINTR);
	pthread_create(&t, NULL, answer_later, &idx);
	ck_assert_int_eq(interrupted(SA_RESTART, fd), 1);
	ck_assert_int_eq(signals, 3);
	pthread_join(t, NULL);
	npp_close(fd);
}
END_TEST

START_TEST(poll_sees_both_kinds)
{
	int fd = dial(FAKE_ECHO), p[2];
	struct pollfd pf[3];

	ck_assert_int_eq(pipe(p), 0);
	pf[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
	pf[1] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	pf[2] = (struct pollfd){ .fd = -1, .events = POLLIN };
	ck_assert_int_eq(npp_poll(pf, 3, 10), 0);
	ck_assert_int_eq(write(p[1], "p", 1), 1);
	ck_assert_int_eq(npp_poll(pf, 3, 20000), 1);
	ck_assert_int_eq(pf[1].revents, POLLIN);
	npp_send(fd, "e", 1, 0);
	do {
		ck_assert_int_ge(npp_poll(pf, 3, 20000), 1);
	} while (!pf[0].revents);
	ck_assert_int_eq(pf[0].revents, POLLIN);
	ck_assert_int_eq(pf[1].revents, POLLIN);
	pf[0].events = POLLOUT;
	ck_assert_int_eq(npp_poll(pf, 1, 0), 1);
	ck_assert_int_eq(pf[0].revents, POLLOUT);
	close(p[0]);
	close(p[1]);
	npp_close(fd);
}
END_TEST

static void *go_on_later(void *idx)
{
	usleep(50000);
	fake_pause(f, *(uint32_t *)idx, false);
	return NULL;
}

START_TEST(room_has_three_names)
{
	int fd = dial(FAKE_DISCARD), ep = npp_epoll_create1(0);
	struct pollfd p = { .fd = fd, .events = POLLRDNORM | POLLWRNORM };
	struct epoll_event ev;
	uint32_t idx;
	pthread_t t;
	char buf[4096] = { 0 };

	fake_sock_of(f, fd, &idx);
	npp_fcntl(fd, F_SETFL, O_NONBLOCK);
	ep_add(ep, fd, EPOLLWRNORM);
	for (int i = 0; i < 2; i++) {
		fake_pause(f, idx, true);
		while (npp_send(fd, buf, sizeof buf, 0) > 0)
			;
		ck_assert_int_eq(i ? npp_epoll_pwait(ep, &ev, 1, 0, NULL) : npp_poll(&p, 1, 0), 0);
		pthread_create(&t, NULL, go_on_later, &idx);
		ck_assert_int_eq(i ? npp_epoll_pwait(ep, &ev, 1, 20000, NULL) : npp_poll(&p, 1, 20000), 1);
		ck_assert_int_eq(i ? (int)ev.events : p.revents, POLLWRNORM);
		pthread_join(t, NULL);
	}
	npp_close(ep);
	npp_close(fd);
}
END_TEST

START_TEST(select_sees_both_kinds)
{
	int fd = dial(FAKE_ECHO), p[2], max;
	struct timeval tv = { 0, 20000 };
	fd_set r, w;

	ck_assert_int_eq(pipe(p), 0);
	max = (fd > p[0] ? fd : p[0]) + 1;
	FD_ZERO(&r);
	FD_SET(fd, &r);
	FD_SET(p[0], &r);
	ck_assert_int_eq(npp_select(max, &r, NULL, NULL, &tv), 0);
	ck_assert(!FD_ISSET(fd, &r));
	npp_send(fd, "e", 1, 0);
	FD_SET(fd, &r);
	FD_SET(p[0], &r);
	FD_ZERO(&w);
	FD_SET(fd, &w);
	tv.tv_sec = 2;
	ck_assert_int_ge(npp_select(max, &r, &w, NULL, &tv), 1);
	ck_assert(FD_ISSET(fd, &w) || FD_ISSET(fd, &r));
	ck_assert(!FD_ISSET(p[0], &r));
	close(p[0]);
	close(p[1]);
	npp_close(fd);
}
END_TEST

/* ---- epoll -------------------------------------------------------------------------------------- */

START_TEST(epoll_level_stays_until_read)
{
	int fd = dial(FAKE_ECHO), ep = npp_epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev;
	char c[4];

	ck_assert_int_eq(ep_add(ep, fd, EPOLLIN), 0);
	ck_fails(ep_add(ep, fd, EPOLLIN), EEXIST);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 10, NULL), 0);
	npp_send(fd, "ab", 2, 0);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
		ck_assert_int_eq(ev.data.fd, fd);
		ck_assert_uint_eq(ev.events, EPOLLIN);
	}
	npp_recv(fd, c, 4, 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 0, NULL), 0);
	npp_close(fd);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 10, NULL), 0);
	npp_close(ep);
}
END_TEST

START_TEST(epoll_edge_reports_each_arrival_once)
{
	uint16_t port;
	int l = serve(&port, 0), ep = npp_epoll_create1(0), fd;
	uint32_t idx = fake_peer_connect(f, port, 0, 5000);
	struct epoll_event ev;

	fd = npp_accept4(l, NULL, NULL, SOCK_NONBLOCK);
	fake_peer_send(f, idx, "a", 1); /* before the add: still told */
	ck_assert_int_eq(ep_add(ep, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET), 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_uint_eq(ev.events, EPOLLIN | EPOLLOUT);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20, NULL), 0);
	for (int i = 0; i < 50; i++) {
		fake_peer_send(f, idx, "b", 1);
		ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
		ck_assert(ev.events & EPOLLIN);
	}
	fake_peer_fin(f, idx);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert(ev.events & EPOLLRDHUP);
	ck_assert(!(ev.events & EPOLLHUP));
	fake_peer_reset(f, idx, ECONNRESET);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_uint_eq(ev.events & (EPOLLERR | EPOLLHUP), EPOLLERR | EPOLLHUP);
	npp_close(fd);
	npp_close(ep);
	npp_close(l);
}
END_TEST

START_TEST(epoll_oneshot_is_off_until_modified)
{
	int fd = dial(FAKE_ECHO), ep = npp_epoll_create1(0);
	struct epoll_event ev;

	ep_add(ep, fd, EPOLLIN | EPOLLONESHOT);
	npp_send(fd, "a", 1, 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20, NULL), 0);
	ev.events = EPOLLIN | EPOLLONESHOT;
	ev.data.fd = fd;
	ck_assert_int_eq(npp_epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev), 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_int_eq(npp_epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), 0);
	ck_fails(npp_epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), ENOENT);
	npp_close(ep);
	npp_close(fd);
}
END_TEST

START_TEST(epoll_exclusive_wakes_and_hands_on)
{
	uint16_t port;
	int l = serve(&port, SOCK_NONBLOCK), a = npp_epoll_create1(0), b = npp_epoll_create1(0), na, nb;
	struct epoll_event ev;

	ck_assert_int_eq(ep_add(a, l, EPOLLIN | EPOLLEXCLUSIVE), 0);
	ck_assert_int_eq(ep_add(b, l, EPOLLIN | EPOLLEXCLUSIVE), 0);
	npp_epoll_pwait(a, &ev, 1, 0, NULL);
	npp_epoll_pwait(b, &ev, 1, 0, NULL);
	fake_peer_connect(f, port, 0, 5000);
	na = npp_epoll_pwait(a, &ev, 1, 0, NULL);
	nb = npp_epoll_pwait(b, &ev, 1, 0, NULL);
	ck_assert_int_eq(na + nb, 1);
	/* the one that was told leaves: the other one hears of it */
	npp_epoll_ctl(na ? a : b, EPOLL_CTL_DEL, l, NULL);
	ck_assert_int_eq(npp_epoll_pwait(na ? b : a, &ev, 1, 20000, NULL), 1);
	npp_close(a);
	npp_close(b);
	npp_close(l);
}
END_TEST

START_TEST(epoll_mixes_with_pipes_and_starves_neither)
{
	int fd = dial(FAKE_ECHO), ep = npp_epoll_create1(0), p[2], pipes = 0, socks = 0;
	struct epoll_event ev;

	ck_assert_int_eq(pipe(p), 0);
	ep_add(ep, fd, EPOLLIN);
	ep_add(ep, p[0], EPOLLIN);
	npp_send(fd, "a", 1, 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_int_eq(write(p[1], "p", 1), 1);
	for (int i = 0; i < 40; i++) {
		ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
		pipes += ev.data.fd == p[0];
		socks += ev.data.fd == fd;
	}
	ck_assert_int_ge(pipes, 4);
	ck_assert_int_ge(socks, 4);
	npp_close(fd);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_int_eq(ev.data.fd, p[0]);
	close(p[0]);
	close(p[1]);
	npp_close(ep);
}
END_TEST

START_TEST(epoll_takes_a_socket_before_it_connects)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = npp_epoll_create1(0);
	struct epoll_event ev;

	ck_assert_int_eq(ep_add(ep, fd, EPOLLOUT | EPOLLIN | EPOLLET), 0);
	npp_connect(fd, SA(a));
	do {
		ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	} while (ev.events & EPOLLHUP); /* what the kernel said of the unconnected one */
	ck_assert(ev.events & EPOLLOUT);
	npp_close(fd);
	npp_close(ep);
}
END_TEST

struct waiter { int ep, got; };

static void *wait_in_thread(void *arg)
{
	struct waiter *w = arg;
	struct epoll_event ev;

	w->got = npp_epoll_pwait(w->ep, &ev, 1, 20000, NULL);
	return NULL;
}

START_TEST(item_added_while_another_thread_waits)
{
	int fd = dial(FAKE_ECHO);
	struct waiter w = { npp_epoll_create1(0), -1 };
	pthread_t t;

	pthread_create(&t, NULL, wait_in_thread, &w);
	usleep(30000);
	ep_add(w.ep, fd, EPOLLIN);
	usleep(30000);
	npp_send(fd, "x", 1, 0);
	pthread_join(t, NULL);
	ck_assert_int_eq(w.got, 1);
	npp_close(fd);
	npp_close(w.ep);
}
END_TEST

START_TEST(epoll_inside_poll)
{
	int fd = dial(FAKE_ECHO), ep = npp_epoll_create1(0);
	struct pollfd p = { .fd = ep, .events = POLLIN };
	struct epoll_event ev;

	ep_add(ep, fd, EPOLLIN);
	npp_epoll_pwait(ep, &ev, 1, 0, NULL);
	npp_send(fd, "x", 1, 0);
	ck_assert_int_eq(npp_poll(&p, 1, 20000), 1);
	EVENTUALLY(npp_epoll_pwait(ep, &ev, 1, 0, NULL) == 1);
	npp_close(fd);
	npp_close(ep);
}
END_TEST

START_TEST(more_subscribers_than_fit_in_the_record)
{
	int fd = dial(FAKE_ECHO), ep[7];
	struct epoll_event ev;

	for (int i = 0; i < 7; i++) {
		ep[i] = npp_epoll_create1(0);
		ck_assert_int_eq(ep_add(ep[i], fd, EPOLLIN), 0);
		ck_assert_int_eq(npp_epoll_pwait(ep[i], &ev, 1, 0, NULL), 0);
	}
	npp_send(fd, "x", 1, 0);
	for (int i = 0; i < 7; i++)
		ck_assert_int_eq(npp_epoll_pwait(ep[i], &ev, 1, 20000, NULL), 1);
	for (int i = 0; i < 7; i++)
		npp_close(ep[i]);
	npp_close(fd);
	ck_assert_uint_eq(f->ctx_closed, 7);
}
END_TEST

/* An ISM gives the ring of an idle connection back. */
static void ring_given_back(int fd)
{
	uint32_t idx;
	struct npp_sock *sk = fake_sock_of(f, fd, &idx);

	EVENTUALLY(sk->tx_tail == sk->tx_head);
	pthread_mutex_lock(&f->lock);
	sk->tx_ring = (struct npp_ring_desc){ 0, 0, 0 };
	atomic_store(&sk->tx_want, 0);
	pthread_mutex_unlock(&f->lock);
}

/*
 * Sends, or asks whether there is room, with the ring given back before each time, until it was
 * taken 25 times. On a slow machine an answer may come after the moment that is waited for; then
 * the next try is some time later. By chance it is taken once in a thousand times, so 500 tries are no luck.
 */
static bool taken_after_idling(int fd, bool ask)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int taken = 0;

	for (int i = 0; i < 500 && taken < 25; i++) {
		ring_given_back(fd);
		if (ask ? npp_poll(&p, 1, 0) == 1 : npp_send(fd, "x", 1, MSG_DONTWAIT) == 1)
			taken++;
		else
			poll(NULL, 0, 20);
	}
	return taken == 25;
}

START_TEST(what_is_sent_after_idling_is_taken)
{
	int fd = dial(FAKE_DISCARD);

	ck_assert_int_eq(npp_send(fd, "x", 1, 0), 1);
	ck_assert(taken_after_idling(fd, false));
	ck_assert(taken_after_idling(fd, true));
	npp_close(fd);
}
END_TEST

/* An event loop goes on: it waits for a moment, once. */
START_TEST(an_ism_that_is_stopped_is_not_waited_for_again_and_again)
{
	int fd = dial(FAKE_DISCARD);
	struct npp_sock *sk;
	uint64_t began;
	uint32_t idx;

	ck_assert_int_eq(npp_send(fd, "x", 1, 0), 1);
	ring_given_back(fd);
	sk = fake_sock_of(f, fd, &idx);
	pthread_mutex_lock(&f->lock);
	began = now_ms();
	for (int i = 0; i < 1000; i++) /* two seconds, if each waited */
		ck_fails((int)npp_send(fd, "x", 1, MSG_DONTWAIT), EAGAIN);
	ck_assert_uint_lt(now_ms() - began, 1500);
	pthread_mutex_unlock(&f->lock);
	EVENTUALLY(sk->tx_ring.off != 0);
	ck_assert(taken_after_idling(fd, false)); /* it has answered */
	npp_close(fd);
}
END_TEST

#if defined(__x86_64__)
#define TRACE_FLAG 0x100

static struct { struct npp_sock *sk; volatile int at, steps; volatile bool over, done; } gone;

/* After AT instructions the ISM has sent all there was, and gives the ring back. */
static void step(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;

	(void)sig;
	(void)si;
	uc->uc_mcontext.gregs[REG_EFL] |= TRACE_FLAG;
	if (!gone.over && gone.steps++ < gone.at)
		return;
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRACE_FLAG;
	if (gone.over)
		return;
	gone.done = true;
	atomic_store(&gone.sk->tx_tail, gone.sk->tx_head);
	atomic_store(&gone.sk->tx_want, 0);
	gone.sk->tx_ring = (struct npp_ring_desc){ 0, 0, 0 };
}

START_TEST(who_waits_for_room_in_a_ring_that_goes_hears_of_another)
{
	struct sigaction sa = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
	int fd = dial(FAKE_DISCARD);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct so *so = fd_ours(fd);

	ck_assert_int_eq(sigaction(SIGTRAP, &sa, NULL), 0);
	gone.done = true;
	for (gone.at = 0; gone.done; gone.at++) {
		ck_assert_int_eq(npp_send(fd, "x", 1, 0), 1);
		EVENTUALLY(so->sk->tx_tail == so->sk->tx_head);
		pthread_mutex_lock(&f->lock);
		atomic_fetch_add(&so->sk->tx_head, so->sk->tx_ring.size); /* full */
		gone.sk = so->sk;
		gone.steps = 0;
		gone.over = gone.done = false;
		raise(SIGTRAP);
		stream_writable(so);
		gone.over = true;
		atomic_store(&so->sk->tx_tail, so->sk->tx_head);
		pthread_mutex_unlock(&f->lock);
		EVENTUALLY(npp_poll(&p, 1, 0) == 1);
	}
	ck_assert_int_gt(gone.at, 20);
	npp_close(fd);
}
END_TEST
#endif

static Suite *suite(void)
{
	Suite *s = suite_create("libnpp_wait");
	TCase *t;

	t = host_case(s, "wait");
	tcase_add_test(t, receive_times_out);
	tcase_add_test(t, signals_interrupt_or_restart_as_asked);
	tcase_add_test(t, poll_sees_both_kinds);
	tcase_add_test(t, room_has_three_names);
	tcase_add_test(t, select_sees_both_kinds);

	t = host_case(s, "epoll");
	tcase_add_test(t, epoll_level_stays_until_read);
	tcase_add_test(t, epoll_edge_reports_each_arrival_once);
	tcase_add_test(t, epoll_oneshot_is_off_until_modified);
	tcase_add_test(t, epoll_exclusive_wakes_and_hands_on);
	tcase_add_test(t, epoll_mixes_with_pipes_and_starves_neither);
	tcase_add_test(t, epoll_takes_a_socket_before_it_connects);
	tcase_add_test(t, item_added_while_another_thread_waits);
	tcase_add_test(t, epoll_inside_poll);
	tcase_add_test(t, more_subscribers_than_fit_in_the_record);
	tcase_add_test(t, what_is_sent_after_idling_is_taken);
	tcase_add_test(t, an_ism_that_is_stopped_is_not_waited_for_again_and_again);
#if defined(__x86_64__)
	tcase_add_test(t, who_waits_for_room_in_a_ring_that_goes_hears_of_another);
#endif
	return s;
}

int main(void)
{
	return npp_suite_run(suite());
}
