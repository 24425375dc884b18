/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_lies.c - libnpp over a fake host: words of ISMs that cannot be, and waits that end all the same
 *
 * tests/fuzz/fuzz_libnpp.c finds more of them.
 */
#include "config.h"

#include <linux/sockios.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "npp-osm/libnpp/epoll_priv.h"
#include "npp-osm/libnpp/priv.h"

START_TEST(a_number_that_is_no_error_is_not_taken_for_bytes)
{
	static const int wrong[] = { -5, 4096, INT32_MIN, INT32_MAX };
	int fd = dial(FAKE_DISCARD);
	struct npp_sock *s = fake_sock_of(f, fd, NULL);
	char buf[4];

	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		int v = 0;
		socklen_t n = sizeof v;

		atomic_store(&s->err, wrong[i]);
		ck_fails((int)npp_recv(fd, buf, sizeof buf, MSG_DONTWAIT), EIO);
		atomic_store(&s->err, wrong[i]);
		ck_fails((int)npp_send(fd, buf, sizeof buf, 0), EIO);
		atomic_store(&s->err, wrong[i]);
		ck_assert_int_eq(npp_getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &n), 0);
		ck_assert_int_eq(v, EIO);
	}
	atomic_store(&s->err, ENETDOWN);
	ck_fails((int)npp_recv(fd, buf, sizeof buf, MSG_DONTWAIT), ENETDOWN);
	npp_close(fd);
}
END_TEST

static void *send_byte(void *arg)
{
	return (void *)(npp_send(*(int *)arg, "x", 1, MSG_NOSIGNAL) < 0 ? (intptr_t)errno : 0);
}

/* A program that is stopped while it has a lock goes on with it later: the others wait, as long as it takes. One that
 * could run and does not let go is none that has it. */
START_TEST(a_lock_is_waited_for_while_its_holder_is_stopped)
{
	int fd = dial(FAKE_DISCARD), status;
	struct npp_sock *s = fake_sock_of(f, fd, NULL);
	pid_t child = fork();
	void *err = NULL;
	pthread_t t;

	if (child == 0)
		for (;;)
			pause();
	npp_lib.lock_held_us = 50000;
	f->ctx[NPP_MAX_CTX - 1].proc = NPP_MAX_PROCS - 1;
	atomic_store(&f->proc[NPP_MAX_PROCS - 1].pid, (uint32_t)child);
	kill(child, SIGSTOP);
	ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
	atomic_store(&s->tx_lock, NPP_MAX_CTX);
	pthread_create(&t, NULL, send_byte, &fd);
	usleep(300000); /* six times as long as a program that runs is waited for */
	ck_assert_int_eq(pthread_tryjoin_np(t, &err), EBUSY);
	atomic_store(&s->tx_lock, 0);
	pthread_join(t, &err);
	ck_assert_int_eq((int)(intptr_t)err, 0);

	atomic_store(&s->tx_lock, NPP_MAX_CTX);
	pthread_create(&t, NULL, send_byte, &fd);
	usleep(200000);
	kill(child, SIGCONT);
	pthread_join(t, &err);
	ck_assert_int_eq((int)(intptr_t)err, EIO);
	atomic_store(&s->tx_lock, 0);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	npp_close(fd);
}
END_TEST

/* An ISM can write the epoch of all attachments: what it says is asked for, but not for each message anew. */
START_TEST(an_epoch_that_is_spoilt_all_the_time_does_not_stop_anything)
{
	int fd = dial(FAKE_ECHO);
	uint32_t asked = f->attaches;
	uint64_t start = now_ms();
	char c;

	for (uint32_t i = 0; i < 300; i++) {
		atomic_store(&f->host->attach[0].epoch, 1000 + i);
		ck_assert_int_eq(npp_send(fd, "x", 1, 0), 1);
		ck_assert_int_eq(npp_recv(fd, &c, 1, 0), 1);
	}
	ck_assert_uint_ge(f->attaches, asked + 1);
	ck_assert_uint_le(f->attaches, asked + 1 + (uint32_t)(now_ms() - start) / 1000);
	f->epoch = 1300; /* and now it is true */
	atomic_store(&f->host->attach[0].epoch, 1300);
	asked = f->attaches;
	EVENTUALLY(npp_send(fd, "x", 1, 0) == 1 && npp_recv(fd, &c, 1, 0) == 1 && f->attaches != asked);
	asked = f->attaches;
	ck_assert_int_eq(npp_send(fd, "x", 1, 0), 1);
	ck_assert_uint_eq(f->attaches, asked);
	npp_close(fd);
}
END_TEST

static struct asks { struct so *so; struct ep *ep; _Atomic bool there, go, done; } asks;

static void *ask_over_an_instance(void *arg)
{
	(void)arg;
	asks.there = ctx_self() != NULL;
	while (!asks.go)
		usleep(200);
	ep_lock(asks.ep); /* as epoll_wait() has it when it looks for room */
	sock_post(asks.so, NPP_MSG_LOOK, 0, 0);
	ep_unlock(asks.ep);
	asks.done = true;
	return NULL;
}

/* By such a word, or by a new OSM: one thread maps an NPP anew in the midst of epoll_wait(), another one closes. */
START_TEST(a_new_epoch_does_not_lock_up_epoll_wait_and_close)
{
	int ep = npp_epoll_create1(0), fd = dial(FAKE_ECHO), other = dial(FAKE_ECHO);
	uint32_t asked = f->attaches;
	pthread_t t;
	char c;

	ck_assert(ep_add(ep, fd, EPOLLIN) == 0 && ep_add(ep, other, EPOLLIN) == 0);
	asks = (struct asks){ .so = fd_get(fd), .ep = fd_get(ep)->ep };
	ck_assert_int_eq(pthread_create(&t, NULL, ask_over_an_instance, NULL), 0);
	EVENTUALLY(asks.there);
	fd_lock();
	atomic_store(&npp_lib.att[0].sure_until_us, 0);
	f->epoch = 2000;
	atomic_store(&f->host->attach[0].epoch, 2000);
	asks.go = true;
	EVENTUALLY(asks.done || atomic_load(&npp_lib.fd_word) == 2); /* it waits */
	ck_assert_int_eq(npp_close(other), 0);
	fd_unlock();
	pthread_join(t, NULL);
	EVENTUALLY(npp_send(fd, "x", 1, 0) == 1 && npp_recv(fd, &c, 1, 0) == 1 && f->attaches != asked); /* later */
	npp_close(fd);
	npp_close(ep);
}
END_TEST

START_TEST(more_bytes_than_the_ring_holds_are_not_spoken_of)
{
	uint16_t port;
	int l = serve(&port, 0), fd, v = -1;
	uint32_t idx = fake_peer_connect(f, port, 0, 1);
	struct npp_sock *s = &f->sock[idx];

	fd = npp_accept4(l, NULL, NULL, 0);
	fake_peer_send(f, idx, "abc", 3);
	ck_assert_int_eq(npp_ioctl(fd, FIONREAD, &v), 0);
	ck_assert_int_eq(v, 3);
	atomic_store(&s->rx_head, 0x90000000);
	atomic_store(&s->tx_tail, 0x70000000);
	ck_assert_int_eq(npp_ioctl(fd, FIONREAD, &v), 0);
	ck_assert_int_eq(v, (int)s->rx_ring.size);
	ck_assert_int_eq(npp_ioctl(fd, SIOCOUTQ, &v), 0);
	ck_assert_int_eq(v, (int)s->tx_ring.size);
	s->rx_ring.off = f->region.size;
	ck_assert_int_eq(npp_ioctl(fd, FIONREAD, &v), 0);
	ck_assert_int_eq(v, 0);
	npp_close(fd);
	npp_close(l);
}
END_TEST

static uint64_t time_of_close(struct linger *own, uint32_t record)
{
	int fd = dial(FAKE_DISCARD);
	uint32_t idx;
	struct npp_sock *s = fake_sock_of(f, fd, &idx);
	uint64_t begin;

	if (own)
		ck_assert_int_eq(npp_setsockopt(fd, SOL_SOCKET, SO_LINGER, own, sizeof *own), 0);
	fake_pause(f, idx, true);
	ck_assert_int_eq(npp_send(fd, "x", 1, 0), 1);
	atomic_store(&s->linger, record);
	begin = lib_now_us();
	npp_close(fd);
	begin = lib_now_us() - begin;
	fake_pause(f, idx, false);
	return begin;
}

/* What stands in a record may be another program's SO_LINGER, or an ISM's lie: some of it is believed. */
START_TEST(an_ism_does_not_make_close_linger)
{
	struct linger own = { 1, 1 };

	npp_lib.linger_most_us = 300000;
	ck_assert_uint_ge(time_of_close(NULL, 100000), 300000);
	npp_lib.linger_most_us = 0; /* used up, however slow this goes */
	for (int i = 0; i < 3; i++)
		ck_assert_uint_lt(time_of_close(NULL, 100000), 10000000);
	ck_assert_uint_ge(time_of_close(&own, 100000), 1000000);
}
END_TEST

START_TEST(another_programs_linger_counts)
{
	ck_assert_uint_ge(time_of_close(NULL, 2), 1000000);
	ck_assert_uint_lt(npp_lib.lingered_us, npp_lib.linger_most_us);
}
END_TEST

START_TEST(a_ring_of_a_byte_is_none)
{
	int fd = dial(FAKE_STALL);
	struct npp_sock *s = fake_sock_of(f, fd, NULL);

	ck_assert_int_eq(npp_send(fd, "a", 1, 0), 1);
	s->tx_ring.size = 1; /* full, and a quarter of it is nothing: it seems writable */
	ck_fails((int)npp_send(fd, "b", 1, 0), EIO);
	s->tx_ring.size = 16384;
	npp_close(fd);
}
END_TEST

static void *send_one(void *fd)
{
	ssize_t r = npp_send(*(int *)fd, "x", 1, 0);

	return (void *)(intptr_t)(r < 0 ? -errno : r);
}

static double cpu_of(pthread_t t)
{
	struct timespec ts;
	clockid_t clock;

	ck_assert_int_eq(pthread_getcpuclockid(t, &clock), 0);
	ck_assert_int_eq(clock_gettime(clock, &ts), 0);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

START_TEST(datagram_that_waits_for_room_sleeps_and_hears_of_an_error)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_DISCARD);
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in any = addr_of("0.0.0.0", 0);
	uint64_t end;
	struct npp_sock *s;
	pthread_t t;
	uint32_t idx;
	void *r;

	ck_assert_int_eq(npp_bind(fd, SA(any)), 0); /* has a kernel part, which always has room */
	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(to)), 1);
	s = fake_sock_of(f, fd, &idx);
	atomic_fetch_or(&s->fl, NPP_FL_CONNECTED);
	s->raddr = npp_addr_v4(to.sin_addr.s_addr);
	s->rport = FAKE_DISCARD;
	EVENTUALLY(s->tx_tail == s->tx_head);
	atomic_store(&s->tx_tail, s->tx_head - s->tx_ring.size);
	ck_assert_int_eq(pthread_create(&t, NULL, send_one, &fd), 0);
	for (end = now_ms() + 400; now_ms() < end;) {
		ck_assert_msg(cpu_of(t) < 0.1, "it does not sleep");
		usleep(20000);
	}
	atomic_store(&s->err, ECONNREFUSED);
	for (end = now_ms() + 5000; pthread_tryjoin_np(t, &r) != 0; usleep(1000)) {
		uint64_t one = 1;

		ck_assert_msg(now_ms() < end, "it does not hear of the error");
		for (unsigned c = 1; c < NPP_MAX_CTX; c++) /* as the ISM tells subscribers */
			if (f->ctx_bell[c] >= 0 && atomic_exchange(&f->ctx[c].sleeping, 0))
				ck_assert_int_eq(write(f->ctx_bell[c], &one, sizeof one), sizeof one);
	}
	ck_assert_int_eq((int)(intptr_t)r, -ECONNREFUSED);
	atomic_store(&s->tx_tail, s->tx_head);
	npp_close(fd);
}
END_TEST

START_TEST(datagrams_go_to_no_place_between_the_places_of_headers)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_DISCARD);
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	struct npp_sock *s;

	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(to)), 1);
	s = fake_sock_of(f, fd, NULL);
	EVENTUALLY(s->tx_tail == s->tx_head);
	atomic_store(&s->tx_head, s->tx_ring.size - 2);
	atomic_store(&s->tx_tail, s->tx_ring.size - 2);
	ck_fails((int)npp_sendto(fd, "x", 1, 0, SA(to)), EIO);
	npp_close(fd);
}
END_TEST

/* ---- what stands in accept lanes, and beside them ---- */

static uint32_t index_of(int fd)
{
	uint32_t idx;

	fake_sock_of(f, fd, &idx);
	return idx;
}

static double cpu_of_process(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A lane that is full of what is no connection, as an ISM that fills it faster than it is emptied leaves it. */
static void fill_with_lies(struct npp_accept_lane *lane)
{
	for (uint32_t i = 0; i <= lane->mask; i++)
		atomic_store(&lane->entry[i], NPP_ACCEPT_ENTRY(1, 7, NPP_ACCEPT_READY));
	atomic_store(&lane->head, lane->tail + lane->mask + 1);
}

struct liar { pthread_t t; struct npp_accept_lane *lane; _Atomic bool stop; };

static void *lie_on(void *arg)
{
	struct liar *liar = arg;

	while (!liar->stop)
		fill_with_lies(liar->lane);
	return NULL;
}

START_TEST(accept_ends_while_its_lane_is_filled_with_lies)
{
	struct liar liar = { .stop = false };
	uint16_t port;
	int l = serve(&port, SOCK_NONBLOCK), fd, got = 0;
	uint64_t end;

	liar.lane = fake_accept_lane(f, index_of(l), 0);
	pthread_create(&liar.t, NULL, lie_on, &liar);
	for (end = now_ms() + 500; now_ms() < end;) {
		uint32_t tail = liar.lane->tail;

		fd = npp_accept4(l, NULL, NULL, 0);
		ck_assert_msg(fd == -1 && errno == EAGAIN, "%d", fd);
		ck_assert_uint_le(liar.lane->tail - tail, liar.lane->mask + 1);
	}
	for (uint16_t i = 0; i < 20; i++) { /* and the connections of another ISM come in */
		fake_peer_connect(f, port, 1, (uint16_t)(1 + i));
		fd = npp_accept4(l, NULL, NULL, 0);
		ck_assert_int_ge(fd, 0);
		got++;
		npp_close(fd);
	}
	liar.stop = true;
	pthread_join(liar.t, NULL);
	ck_assert_int_eq(got, 20);
	npp_close(l);
}
END_TEST

START_TEST(a_lane_of_lies_is_emptied_by_one_call)
{
	uint16_t port;
	int l = serve(&port, SOCK_NONBLOCK), fd;
	struct npp_accept_lane *lane = fake_accept_lane(f, index_of(l), 0);

	fill_with_lies(lane);
	fake_peer_connect(f, port, 1, 5);
	fd = npp_accept4(l, NULL, NULL, 0);
	ck_assert_int_ge(fd, 0);
	npp_close(fd);
	ck_fails(npp_accept4(l, NULL, NULL, 0), EAGAIN);
	ck_assert_uint_eq(lane->tail, lane->head);
	npp_close(l);
}
END_TEST

/* An ISM that posts as fast as is read. */
struct poster { struct npp_i2oq *q; unsigned seen; };

static void post_one_more(void *arg, const struct npp_msg *m)
{
	struct poster *p = arg;

	(void)m;
	if (++p->seen < 100 * NPP_I2OQ_DEPTH)
		atomic_store(&p->q->post_head, p->q->post_tail + NPP_I2OQ_DEPTH);
}

START_TEST(messages_are_taken_as_many_as_a_lane_holds)
{
	int fd = dial(FAKE_ECHO);
	struct lctx *c = ctx_self();
	struct npp_i2oq q;
	struct poster p = { .seen = 0 };

	ctx_drain(c, NULL, NULL);
	p.q = c->out[0].q;
	ck_assert_ptr_nonnull(p.q);
	pthread_mutex_lock(&f->lock); /* the ISM itself says nothing meanwhile */
	q = *p.q;
	for (unsigned i = 0; i < NPP_I2OQ_DEPTH; i++)
		p.q->frame[i].type = NPP_MSG_EVENT;
	atomic_store(&p.q->post_head, p.q->post_tail + NPP_I2OQ_DEPTH);
	ctx_drain(c, post_one_more, &p);
	*p.q = q;
	c->out[0].q = NULL; /* as it was, and attached anew */
	pthread_mutex_unlock(&f->lock);
	ck_assert_uint_ge(p.seen, NPP_I2OQ_DEPTH - 1);
	ck_assert_uint_le(p.seen, NPP_I2OQ_DEPTH);
	npp_close(fd);
}
END_TEST

static void *accept_one(void *fd)
{
	int r = npp_accept4(*(int *)fd, NULL, NULL, 0);

	return (void *)(intptr_t)(r < 0 ? -errno : r);
}

/* The record says of a listener that it is none: it seems ready, and there is nothing to take. */
START_TEST(accept_ends_when_the_record_is_no_listener_any_more)
{
	uint16_t port;
	int l = serve(&port, 0), fd;
	struct npp_sock *s = fake_sock_of(f, l, NULL);
	uint64_t end, one = 1;
	pthread_t t;
	void *r;

	pthread_create(&t, NULL, accept_one, &l);
	for (fd = 0; !fd;)
		for (unsigned c = 1; c < NPP_MAX_CTX; c++)
			fd |= atomic_load(&f->ctx[c].sleeping) != 0;
	s->type = NPP_SOCK_STREAM;
	for (end = now_ms() + 10000; pthread_tryjoin_np(t, &r) != 0; usleep(1000)) {
		ck_assert_msg(now_ms() < end, "it does not come back");
		for (unsigned c = 1; c < NPP_MAX_CTX; c++)
			if (f->ctx_bell[c] >= 0 && atomic_exchange(&f->ctx[c].sleeping, 0))
				ck_assert_int_eq(write(f->ctx_bell[c], &one, sizeof one), sizeof one);
	}
	ck_assert_int_eq((int)(intptr_t)r, -EINVAL);
	s->type = NPP_SOCK_LISTENER;
	npp_close(l);
}
END_TEST

START_TEST(accept_that_is_lied_to_keeps_its_timeout_and_sleeps)
{
	struct timeval tv = { .tv_usec = 400000 };
	struct liar liar = { .stop = false };
	uint16_t port;
	int l = serve(&port, 0);
	uint64_t begin;
	double cpu;

	ck_assert_int_eq(npp_setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	liar.lane = fake_accept_lane(f, index_of(l), 0);
	pthread_create(&liar.t, NULL, lie_on, &liar);
	begin = now_ms();
	ck_fails(npp_accept4(l, NULL, NULL, 0), EAGAIN);
	ck_assert_uint_ge(now_ms() - begin, 400);
	liar.stop = true;
	pthread_join(liar.t, NULL);
	fill_with_lies(liar.lane);
	cpu = cpu_of_process();
	ck_fails(npp_accept4(l, NULL, NULL, 0), EAGAIN);
	ck_assert_msg(cpu_of_process() - cpu < 0.2, "it does not sleep");
	npp_close(l);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("libnpp_lies");
	TCase *t = host_case(s, "lies");

	tcase_add_test(t, a_number_that_is_no_error_is_not_taken_for_bytes);
	tcase_add_test(t, a_lock_is_waited_for_while_its_holder_is_stopped);
	tcase_add_test(t, an_epoch_that_is_spoilt_all_the_time_does_not_stop_anything);
	tcase_add_test(t, a_new_epoch_does_not_lock_up_epoll_wait_and_close);
	tcase_add_test(t, more_bytes_than_the_ring_holds_are_not_spoken_of);
	tcase_add_test(t, an_ism_does_not_make_close_linger);
	tcase_add_test(t, another_programs_linger_counts);
	tcase_add_test(t, a_ring_of_a_byte_is_none);
	tcase_add_test(t, datagram_that_waits_for_room_sleeps_and_hears_of_an_error);
	tcase_add_test(t, datagrams_go_to_no_place_between_the_places_of_headers);
	tcase_add_test(t, accept_ends_while_its_lane_is_filled_with_lies);
	tcase_add_test(t, a_lane_of_lies_is_emptied_by_one_call);
	tcase_add_test(t, messages_are_taken_as_many_as_a_lane_holds);
	tcase_add_test(t, accept_ends_when_the_record_is_no_listener_any_more);
	tcase_add_test(t, accept_that_is_lied_to_keeps_its_timeout_and_sleeps);
	return s;
}

int main(void)
{
	return npp_suite_run(suite());
}
