/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_connect.c - libnpp over a fake host: connect, bind, listen, accept
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
#include <unistd.h>

#include "host.h"

/* ---- connecting ------------------------------------------------------------------------ */

START_TEST(connect_without_blocking)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), err = 1;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t n = sizeof err;

	ck_fails(npp_connect(fd, SA(a)), EINPROGRESS);
	ck_assert_int_eq(npp_poll(&p, 1, 20000), 1);
	ck_assert_int_eq(p.revents, POLLOUT);
	ck_assert_int_eq(npp_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n), 0);
	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(npp_connect(fd, SA(a)), 0);
	ck_fails(npp_connect(fd, SA(a)), EISCONN);
	npp_close(fd);
}
END_TEST

START_TEST(connect_in_progress_says_ealready)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_SILENT);
	int fd = npp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	char c;

	ck_fails(npp_connect(fd, SA(a)), EINPROGRESS);
	ck_fails(npp_connect(fd, SA(a)), EALREADY);
	ck_fails((int)npp_recv(fd, &c, 1, 0), EAGAIN);
	ck_assert_int_eq(npp_poll(&p, 1, 20), 0);
	npp_close(fd);
	EVENTUALLY(f->closes == 1);
}
END_TEST

START_TEST(refused_connection)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_REFUSE), b = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0), err;
	struct pollfd p = { .events = POLLIN | POLLOUT };
	socklen_t n = sizeof err;

	ck_fails(npp_connect(fd, SA(a)), ECONNREFUSED);
	ck_assert_int_eq(npp_connect(fd, SA(b)), 0); /* the same socket may try again */
	npp_close(fd);
	fd = p.fd = npp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_fails(npp_connect(fd, SA(a)), EINPROGRESS);
	ck_assert_int_eq(npp_poll(&p, 1, 20000), 1);
	ck_assert_int_eq(p.revents, POLLIN | POLLOUT | POLLERR | POLLHUP);
	ck_assert_int_eq(npp_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n), 0);
	ck_assert_int_eq(err, ECONNREFUSED);
	npp_close(fd);
}
END_TEST

START_TEST(connect_times_out)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_SILENT);
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0);
	struct timeval tv = { 0, 50000 };
	uint64_t start = now_ms();

	npp_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	ck_fails(npp_connect(fd, SA(a)), EINPROGRESS);
	ck_assert_uint_ge(now_ms() - start, 49);
	npp_close(fd);
}
END_TEST

START_TEST(bound_socket_goes_where_its_answers_hash)
{
	struct sockaddr_in any = addr_of("0.0.0.0", 0), a = addr_of(FAKE_PEER, FAKE_ECHO), me;
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0);
	struct npp_global *g = f->global.base;
	struct npp_flow_key k = { .sport = htons(FAKE_ECHO), .proto = IPPROTO_TCP };
	socklen_t n = sizeof me;
	struct npp_sock *s;

	npp_addr_parse(FAKE_PEER, &k.src);
	npp_addr_parse(FAKE_ADDR, &k.dst);
	ck_assert_int_eq(npp_bind(fd, SA(any)), 0);
	ck_fails(npp_bind(fd, SA(any)), EINVAL);
	npp_getsockname(fd, (struct sockaddr *)&any, &n);
	k.dport = any.sin_port;
	ck_assert_int_eq(npp_connect(fd, SA(a)), 0);
	s = fake_sock_of(f, fd, NULL);
	ck_assert_uint_eq(s->slot, npp_hash_iop(&g->prog[0], &k));
	npp_getsockname(fd, (struct sockaddr *)&me, &n);
	ck_assert_int_eq(me.sin_port, any.sin_port);
	ck_assert_uint_eq(me.sin_addr.s_addr, addr_of(FAKE_ADDR, 0).sin_addr.s_addr);
	npp_getpeername(fd, (struct sockaddr *)&me, &n);
	ck_assert_uint_eq(ntohs(me.sin_port), FAKE_ECHO);
	npp_close(fd);
}
END_TEST

START_TEST(loopback_is_the_kernels)
{
	struct sockaddr_in a = addr_of("127.0.0.1", 0);
	int l = npp_socket(AF_INET, SOCK_STREAM, 0), c = npp_socket(AF_INET, SOCK_STREAM, 0), s;
	socklen_t n = sizeof a;
	char buf[4];

	ck_assert_int_eq(npp_bind(l, SA(a)), 0);
	ck_assert_int_eq(npp_listen(l, 1), 0);
	ck_assert_int_eq(npp_getsockname(l, (struct sockaddr *)&a, &n), 0);
	ck_assert_int_eq(npp_connect(c, SA(a)), 0);
	s = npp_accept4(l, NULL, NULL, 0);
	ck_assert_int_eq(npp_send(c, "k", 1, 0), 1);
	ck_assert_int_eq(npp_recv(s, buf, 4, 0), 1);
	ck_assert_ptr_null(fake_sock_of(f, c, NULL));
	ck_assert_uint_eq(f->listens, 0);
	npp_close(l);
	npp_close(c);
	npp_close(s);
}
END_TEST

/* ---- listening ----------------------------------------------------------------------------- */

START_TEST(wildcard_listener_accepts_from_both)
{
	uint16_t port;
	int l = serve(&port, 0), c = npp_socket(AF_INET, SOCK_STREAM, 0), fd, seen = 0;
	struct sockaddr_in a = addr_of("127.0.0.1", port), peer;
	socklen_t n;

	ck_assert_int_eq(npp_connect(c, SA(a)), 0);
	fake_peer_connect(f, port, 0, 5001);
	fake_peer_connect(f, port, 1, 5002);
	for (int i = 0; i < 3; i++) {
		n = sizeof peer;
		fd = npp_accept4(l, (struct sockaddr *)&peer, &n, SOCK_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		if (peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK))
			seen |= 1;
		else
			seen |= ntohs(peer.sin_port) == 5001 ? 2 : 4;
		npp_close(fd);
	}
	ck_assert_int_eq(seen, 7);
	npp_fcntl(l, F_SETFL, O_NONBLOCK);
	ck_fails(npp_accept4(l, NULL, NULL, 0), EAGAIN);
	npp_close(c);
	npp_close(l);
	EVENTUALLY(f->closes == 3);
}
END_TEST

START_TEST(listener_on_an_address_of_the_npp)
{
	struct sockaddr_in a = addr_of(FAKE_ADDR, 8080);
	int l = npp_socket(AF_INET, SOCK_STREAM, 0), two = npp_socket(AF_INET, SOCK_STREAM, 0), v;
	socklen_t n = sizeof v;

	ck_assert_int_eq(npp_bind(l, SA(a)), 0);
	ck_assert_int_eq(npp_listen(l, 5), 0);
	ck_fails(npp_bind(two, SA(a)), EADDRINUSE);
	npp_getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &v, &n);
	ck_assert_int_eq(v, 1);
	fake_peer_connect(f, 8080, 1, 6000);
	ck_assert_int_ge(npp_accept4(l, NULL, NULL, SOCK_NONBLOCK), 0);
	npp_close(l);
	npp_close(two);
}
END_TEST

START_TEST(dual_stack_listener_shows_mapped_addresses)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, }, peer;
	int l = npp_socket(AF_INET6, SOCK_STREAM, 0), fd;
	socklen_t n = sizeof peer;

	if (l < 0 || npp_bind(l, SA(a)) < 0)
		return; /* no IPv6 in this kernel */
	ck_assert_int_eq(npp_listen(l, 5), 0);
	npp_getsockname(l, (struct sockaddr *)&a, &n);
	fake_peer_connect(f, ntohs(a.sin6_port), 0, 6001);
	fd = npp_accept4(l, (struct sockaddr *)&peer, &n, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(peer.sin6_family, AF_INET6);
	ck_assert(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
	ck_assert_uint_eq(ntohs(peer.sin6_port), 6001);
	npp_close(fd);
	npp_close(l);
}
END_TEST

/* Whoever waits until the kernel shows the port may then connect by npp as well. */
START_TEST(kernel_listens_after_the_isms)
{
	uint16_t port;
	int l = serve(&port, 0);

	ck_assert_uint_eq(f->listens, 1);
	ck_assert_uint_eq(f->kernel_first, 0);
	npp_close(l);
}
END_TEST

/* The port is another's at the kernel, who listens first: nothing stays of what the ISMs were told. */
START_TEST(listen_that_the_kernel_refuses_leaves_nothing)
{
	struct sockaddr_in a = addr_of("0.0.0.0", 0);
	int other = socket(AF_INET, SOCK_STREAM, 0), l = npp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
	int ep = npp_epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN };
	socklen_t n = sizeof a;

	ck_assert_int_eq(setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	ck_assert_int_eq(npp_setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	ck_assert_int_eq(bind(other, SA(a)), 0);
	ck_assert_int_eq(getsockname(other, (struct sockaddr *)&a, &n), 0);
	ck_assert_int_eq(npp_bind(l, SA(a)), 0);
	ck_assert_int_eq(npp_epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev), 0);
	ck_assert_int_eq(listen(other, 1), 0);
	ck_fails(npp_listen(l, 5), EADDRINUSE);
	ck_assert_uint_eq(f->listens, 1);
	ck_assert_uint_eq(f->closes, 1);
	ck_assert_ptr_null(fake_sock_of(f, l, NULL));
	npp_epoll_pwait(ep, &ev, 1, 0, NULL); /* what is not listening hangs up, as with the kernel */
	ck_fails(npp_listen(l, 5), EADDRINUSE);
	close(other);
	ck_assert_int_eq(npp_listen(l, 5), 0);
	fake_peer_connect(f, ntohs(a.sin_port), 0, 6100);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_int_ge(npp_accept4(l, NULL, NULL, SOCK_NONBLOCK), 0);
	npp_close(ep);
	npp_close(l);
}
END_TEST

static void *late_peer(void *arg)
{
	usleep(30000);
	fake_peer_connect(f, *(uint16_t *)arg, 0, 5003);
	return NULL;
}

/* Each ISM has a lane of its own: whichever is looked at first. */
START_TEST(who_came_first_is_accepted_first)
{
	uint16_t port;
	int l = serve(&port, 0);

	for (unsigned n = 1; n <= 5; n++) {
		for (unsigned i = 0; i < n; i++)
			fake_peer_connect(f, port, (i + 1) / 2 % 2 ^ (n & 1), (uint16_t)(5000 + i));
		for (unsigned i = 0; i < n; i++) {
			struct sockaddr_in a;
			socklen_t len = sizeof a;
			int fd = npp_accept4(l, (struct sockaddr *)&a, &len, 0);

			ck_assert_int_ge(fd, 0);
			ck_assert_uint_eq(ntohs(a.sin_port), 5000 + i);
			npp_close(fd);
		}
	}
	npp_close(l);
}
END_TEST

/* Of two programs that accept at the same time the second may be done first: it leaves the tail where it is, and the
 * first moves it by one. Until somebody looks again the lane may be filled to the last. */
START_TEST(full_lane_is_emptied_wherever_its_tail_is)
{
	struct npp_accept_lane *lane;
	uint16_t port;
	int l = serve(&port, O_NONBLOCK);
	uint32_t idx, size;

	fake_sock_of(f, l, &idx);
	lane = fake_accept_lane(f, idx, 0);
	size = lane->mask + 1;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 2 + size; i++) {
			fake_peer_connect(f, port, 0, (uint16_t)(5000 + i));
			if (i < 2) /* behind the back of the lane's tail, as somebody else */
				npp_close(npp_accept4(l, NULL, NULL, 0));
			if (i == 1)
				atomic_fetch_sub(&lane->tail, 1 + round % 2);
		}
		ck_assert_uint_gt(lane->head - lane->tail, size);
		for (unsigned i = 0; i < size; i++) {
			struct sockaddr_in a;
			socklen_t len = sizeof a;
			int fd = npp_accept4(l, (struct sockaddr *)&a, &len, 0);

			ck_assert_int_ge(fd, 0);
			ck_assert_uint_eq(ntohs(a.sin_port), 5002 + i);
			npp_close(fd);
		}
		ck_fails(npp_accept4(l, NULL, NULL, 0), EAGAIN);
		ck_assert_uint_eq(lane->head, lane->tail);
	}
	npp_close(l);
}
END_TEST

/* An ISM that says of all its connections that they came long ago has no more than its share. */
START_TEST(age_counts_for_so_long_only)
{
	uint16_t port;
	int l = serve(&port, 0), of[2] = { 0, 0 };

	for (unsigned i = 0; i < 4; i++) {
		uint32_t honest = fake_peer_connect(f, port, 0, (uint16_t)(5000 + i));

		f->sock[honest].came_us -= 1000000;
		f->sock[fake_peer_connect(f, port, 1, (uint16_t)(6000 + i))].came_us -= 1000000000;
	}
	for (int i = 0; i < 4; i++) {
		struct sockaddr_in a;
		socklen_t len = sizeof a;
		int fd = npp_accept4(l, (struct sockaddr *)&a, &len, 0);

		ck_assert_int_ge(fd, 0);
		of[ntohs(a.sin_port) / 1000 - 5]++;
		npp_close(fd);
	}
	ck_assert_int_eq(of[0], 2);
	ck_assert_int_eq(of[1], 2);
	npp_close(l);
}
END_TEST

START_TEST(accept_blocks_until_a_peer_comes)
{
	struct timeval tv = { 0, 20000 };
	uint16_t port;
	int l = serve(&port, 0), fd;
	pthread_t t;

	pthread_create(&t, NULL, late_peer, &port);
	fd = npp_accept4(l, NULL, NULL, 0);
	ck_assert_int_ge(fd, 0);
	pthread_join(t, NULL);
	npp_setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	ck_fails(npp_accept4(l, NULL, NULL, 0), EAGAIN);
	npp_close(fd);
	npp_close(l);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("libnpp_connect");
	TCase *t;

	t = host_case(s, "connect");
	tcase_add_test(t, connect_without_blocking);
	tcase_add_test(t, connect_in_progress_says_ealready);
	tcase_add_test(t, refused_connection);
	tcase_add_test(t, connect_times_out);
	tcase_add_test(t, bound_socket_goes_where_its_answers_hash);
	tcase_add_test(t, loopback_is_the_kernels);

	t = host_case(s, "listen");
	tcase_add_test(t, wildcard_listener_accepts_from_both);
	tcase_add_test(t, listener_on_an_address_of_the_npp);
	tcase_add_test(t, dual_stack_listener_shows_mapped_addresses);
	tcase_add_test(t, kernel_listens_after_the_isms);
	tcase_add_test(t, listen_that_the_kernel_refuses_leaves_nothing);
	tcase_add_test(t, accept_blocks_until_a_peer_comes);
	tcase_add_test(t, who_came_first_is_accepted_first);
	tcase_add_test(t, full_lane_is_emptied_wherever_its_tail_is);
	tcase_add_test(t, age_counts_for_so_long_only);
	return s;
}

int main(void)
{
	return npp_suite_run(suite());
}
