/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_libnpp.c - socket calls over host memory, with a fake host
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

/* ---- streams ------------------------------------------------------------------------ */

START_TEST(what_is_sent_comes_back)
{
	int fd = dial(FAKE_ECHO);
	char buf[64];

	ck_assert_int_eq(npp_send(fd, "hello", 5, 0), 5);
	ck_assert_int_eq(npp_recv(fd, buf, sizeof buf, 0), 5);
	ck_assert_mem_eq(buf, "hello", 5);
	ck_assert_int_eq(npp_close(fd), 0);
	EVENTUALLY(f->closes == 1);
	ck_assert_int_eq(f->aborts, 0);
}
END_TEST

static void *writer(void *arg)
{
	static uint8_t data[300000];

	fill(data, sizeof data, 5);
	for (size_t done = 0; done < sizeof data;) {
		struct iovec iov[3] = { { data + done, (sizeof data - done) / 3 },
					{ data + done + (sizeof data - done) / 3, (sizeof data - done) / 3 } };
		ssize_t r;

		iov[2].iov_base = (uint8_t *)iov[1].iov_base + iov[1].iov_len;
		iov[2].iov_len = data + sizeof data - (uint8_t *)iov[2].iov_base;
		r = npp_writev(*(int *)arg, iov, 3);
		ck_assert_int_gt(r, 0);
		done += (size_t)r;
	}
	ck_assert_int_eq(npp_shutdown(*(int *)arg, SHUT_WR), 0);
	return NULL;
}

START_TEST(many_times_the_ring_goes_through_whole)
{
	static uint8_t want[300000], got[300000 + 10];
	int fd = dial(FAKE_ECHO);
	size_t n = 0;
	pthread_t t;
	ssize_t r;

	fill(want, sizeof want, 5);
	pthread_create(&t, NULL, writer, &fd);
	while ((r = npp_read(fd, got + n, sizeof got - n < 7001 ? sizeof got - n : 7001)) > 0)
		n += (size_t)r;
	ck_assert_int_eq(r, 0);
	pthread_join(t, NULL);
	ck_assert_uint_eq(n, sizeof want);
	ck_assert_mem_eq(got, want, n);
	ck_assert_uint_eq(f->shutdowns, 1);
	npp_close(fd);
}
END_TEST

START_TEST(peek_leaves_and_waitall_waits)
{
	int fd = dial(FAKE_ECHO);
	char buf[16];
	int n;

	npp_send(fd, "abcdef", 6, 0);
	EVENTUALLY(npp_recv(fd, buf, 6, MSG_PEEK | MSG_DONTWAIT) == 6);
	ck_assert_int_eq(npp_ioctl(fd, FIONREAD, &n), 0);
	ck_assert_int_eq(n, 6);
	ck_assert_int_eq(npp_recv(fd, buf, 2, MSG_PEEK), 2);
	ck_assert_int_eq(npp_recv(fd, buf, 4, 0), 4);
	ck_assert_mem_eq(buf, "abcd", 4);
	npp_send(fd, "ghij", 4, 0);
	ck_assert_int_eq(npp_recv(fd, buf, 6, MSG_WAITALL), 6);
	ck_assert_mem_eq(buf, "efghij", 6);
	npp_send(fd, "klmnop", 6, 0);
	ck_assert_int_eq(npp_recv(fd, NULL, 6, MSG_TRUNC | MSG_WAITALL), 6);
	ck_fails((int)npp_recv(fd, buf, 1, MSG_DONTWAIT), EAGAIN);
	ck_fails((int)npp_recv(fd, buf, 1, MSG_OOB), EINVAL);
	npp_close(fd);
}
END_TEST

START_TEST(errno_is_left_alone_on_success)
{
	int fd = dial(FAKE_ECHO);
	char c;

	errno = 77;
	ck_assert_int_eq(npp_write(fd, "x", 1), 1);
	ck_assert_int_eq(npp_read(fd, &c, 1), 1);
	ck_assert_int_eq(errno, 77);
	npp_close(fd);
	ck_assert_int_eq(errno, 77);
}
END_TEST

START_TEST(full_ring_says_eagain_and_then_writable)
{
	int fd = dial(FAKE_DISCARD), ep = npp_epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	static uint8_t data[8192];
	uint32_t idx;
	ssize_t r;

	fake_sock_of(f, fd, &idx);
	fake_pause(f, idx, true);
	npp_fcntl(fd, F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(npp_fcntl(fd, F_GETFL, 0) & O_NONBLOCK, O_NONBLOCK);
	while ((r = npp_send(fd, data, sizeof data, 0)) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	npp_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20, NULL), 0);
	fake_pause(f, idx, false);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 2000, NULL), 1);
	ck_assert_uint_eq(ev.events, EPOLLOUT);
	ck_assert_int_gt(npp_send(fd, data, 100, 0), 0);
	npp_close(fd);
	npp_close(ep);
}
END_TEST

/* No larger ring is to be had: the first large write of a connection must not wait for one. */
START_TEST(refused_ring_does_not_hold_a_sender_up)
{
	static uint8_t data[60000];
	uint64_t start;
	uint32_t idx;
	int fd[16];

	for (int i = 0; i < 16; i++) {
		fd[i] = dial(FAKE_DISCARD);
		fake_pause(f, (fake_sock_of(f, fd[i], &idx), idx), true);
		npp_fcntl(fd[i], F_SETFL, O_NONBLOCK);
		ck_assert_int_gt(npp_send(fd[i], data, 100, 0), 0);
	}
	start = now_ms();
	for (int i = 0; i < 16; i++)
		ck_assert_int_gt(npp_send(fd[i], data, sizeof data, 0), 0);
	ck_assert_uint_lt(now_ms() - start, 16 * 20 / 2);
	for (int i = 0; i < 16; i++)
		npp_close(fd[i]);
}
END_TEST

START_TEST(end_of_file_after_the_last_byte)
{
	uint16_t port;
	int l = serve(&port, 0), fd;
	uint32_t idx = fake_peer_connect(f, port, 0, 5000);
	char buf[8];

	fake_peer_send(f, idx, "xy", 2);
	fake_peer_fin(f, idx);
	fd = npp_accept4(l, NULL, NULL, 0);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 2);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 0);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 0);
	ck_assert_int_eq(npp_send(fd, "still", 5, 0), 5);
	npp_close(fd);
	npp_close(l);
}
END_TEST

START_TEST(reset_gives_data_then_the_error_once)
{
	uint16_t port;
	int l = serve(&port, 0), fd, err;
	uint32_t idx = fake_peer_connect(f, port, 0, 5000);
	socklen_t n = sizeof err;
	char buf[8];

	fake_peer_send(f, idx, "xy", 2);
	fd = npp_accept4(l, NULL, NULL, 0);
	fake_peer_reset(f, idx, ECONNRESET);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 2);
	ck_fails((int)npp_recv(fd, buf, 8, 0), ECONNRESET);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 0);
	ck_assert_int_eq(npp_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n), 0);
	ck_assert_int_eq(err, 0);
	ck_fails((int)npp_send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	npp_close(fd);
	npp_close(l);
}
END_TEST

/* What an ISM keeps half done is waited for in case it was killed, but not by each socket anew. */
START_TEST(an_ism_that_keeps_others_waiting_is_not_waited_for_long)
{
	uint64_t start = now_ms();
	struct npp_sock *s[2];
	int fd[2];
	char c;

	for (int i = 0; i < 2; i++) {
		do
			fd[i] = dial(FAKE_ECHO);
		while (fake_sock_of(f, fd[i], NULL)->slot != 0);
		s[i] = fake_sock_of(f, fd[i], NULL);
		ck_assert_int_eq(npp_send(fd[i], "x", 1, 0), 1);
		EVENTUALLY(s[i]->rx_head == 1);
	}
	atomic_store(&s[0]->rx_ring.seq, 1);
	ck_fails((int)npp_recv(fd[0], &c, 1, 0), EIO);
	ck_assert_uint_ge(now_ms() - start, 1500);
	start = now_ms();
	atomic_store(&s[1]->rx_ring.seq, 1);
	ck_fails((int)npp_recv(fd[1], &c, 1, 0), EIO);
	atomic_store(&s[1]->tx_lock, 0x8001);
	ck_fails((int)npp_send(fd[1], "y", 1, 0), EIO);
	ck_assert_uint_lt(now_ms() - start, 1000);
	atomic_store(&s[0]->rx_ring.seq, 0);
	ck_assert_int_eq(npp_recv(fd[0], &c, 1, 0), 1); /* it was only late */
	atomic_store(&s[1]->tx_lock, 0);
	npp_close(fd[0]);
	npp_close(fd[1]);
}
END_TEST

static volatile sig_atomic_t signals;
static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

START_TEST(broken_pipe_raises_sigpipe_unless_told_not_to)
{
	int fd = dial(FAKE_ECHO);

	signals = 0;
	signal(SIGPIPE, on_signal);
	ck_assert_int_eq(npp_shutdown(fd, SHUT_WR), 0);
	ck_fails((int)npp_send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	ck_assert_int_eq(signals, 0);
	ck_fails((int)npp_write(fd, "x", 1), EPIPE);
	ck_assert_int_eq(signals, 1);
	npp_close(fd);
}
END_TEST

START_TEST(unread_data_makes_close_an_abort)
{
	int fd = dial(FAKE_ECHO), n = 0;

	npp_send(fd, "x", 1, 0);
	EVENTUALLY(npp_ioctl(fd, FIONREAD, &n) == 0 && n == 1);
	npp_close(fd);
	EVENTUALLY(f->closes == 1);
	ck_assert_uint_eq(f->aborts, 1);
}
END_TEST

START_TEST(linger_zero_aborts)
{
	int fd = dial(FAKE_ECHO);
	struct linger l = { 1, 0 };

	ck_assert_int_eq(npp_setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
	npp_close(fd);
	EVENTUALLY(f->closes == 1);
	ck_assert_uint_eq(f->aborts, 1);
}
END_TEST

START_TEST(sendfile_goes_from_the_file_to_the_ring)
{
	static uint8_t data[40000], got[40000];
	char path[96];
	int fd = dial(FAKE_ECHO), file;
	off_t off = 1000;
	size_t n = 0;

	snprintf(path, sizeof path, "%s/sendfile-XXXXXX", npp_dir_path());
	file = mkstemp(path);
	unlink(path);
	fill(data, sizeof data, 9);
	ck_assert_int_eq(write(file, data, sizeof data), (int)sizeof data);
	npp_fcntl(fd, F_SETFL, O_NONBLOCK);
	while (n < sizeof data - 1000) {
		ssize_t r = npp_sendfile(fd, file, &off, sizeof data);

		ck_assert(r >= 0 || errno == EAGAIN);
		r = npp_recv(fd, got + n, sizeof got - n, 0);
		ck_assert(r > 0 || errno == EAGAIN);
		n += r > 0 ? (size_t)r : 0;
	}
	ck_assert_int_eq(off, (off_t)sizeof data);
	ck_assert_mem_eq(got, data + 1000, n);
	ck_assert_int_eq(npp_sendfile(fd, file, &off, 10), 0);
	ck_fails((int)npp_splice(file, NULL, fd, NULL, 10, 0), EINVAL);
	close(file);
	npp_close(fd);
}
END_TEST

START_TEST(stdio_on_a_socket)
{
	int fd = dial(FAKE_ECHO);
	FILE *io = npp_fdopen(fd, "r+");
	char line[32];

	ck_assert_ptr_nonnull(io);
	fputs("one line\n", io);
	fflush(io);
	ck_assert_ptr_nonnull(fgets(line, sizeof line, io));
	ck_assert_str_eq(line, "one line\n");
	fclose(io);
	EVENTUALLY(f->closes == 1);
}
END_TEST

/* ---- connecting ------------------------------------------------------------------------ */

START_TEST(connect_without_blocking)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), err = 1;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t n = sizeof err;

	ck_fails(npp_connect(fd, SA(a)), EINPROGRESS);
	ck_assert_int_eq(npp_poll(&p, 1, 2000), 1);
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
	ck_assert_int_eq(npp_poll(&p, 1, 2000), 1);
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

static void *late_peer(void *arg)
{
	usleep(30000);
	fake_peer_connect(f, *(uint16_t *)arg, 0, 5003);
	return NULL;
}

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
	ck_assert_int_eq(npp_poll(pf, 3, 1000), 1);
	ck_assert_int_eq(pf[1].revents, POLLIN);
	npp_send(fd, "e", 1, 0);
	do {
		ck_assert_int_ge(npp_poll(pf, 3, 1000), 1);
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

static int ep_add(int ep, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	return npp_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

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
		ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 2000, NULL), 1);
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
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 1000, NULL), 1);
	ck_assert_uint_eq(ev.events, EPOLLIN | EPOLLOUT);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20, NULL), 0);
	for (int i = 0; i < 50; i++) {
		fake_peer_send(f, idx, "b", 1);
		ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 1000, NULL), 1);
		ck_assert(ev.events & EPOLLIN);
	}
	fake_peer_fin(f, idx);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 1000, NULL), 1);
	ck_assert(ev.events & EPOLLRDHUP);
	ck_assert(!(ev.events & EPOLLHUP));
	fake_peer_reset(f, idx, ECONNRESET);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 1000, NULL), 1);
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
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 1000, NULL), 1);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20, NULL), 0);
	ev.events = EPOLLIN | EPOLLONESHOT;
	ev.data.fd = fd;
	ck_assert_int_eq(npp_epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev), 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 1000, NULL), 1);
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
	ck_assert_int_eq(npp_epoll_pwait(na ? b : a, &ev, 1, 2000, NULL), 1);
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
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 1000, NULL), 1);
	ck_assert_int_eq(write(p[1], "p", 1), 1);
	for (int i = 0; i < 40; i++) {
		ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 1000, NULL), 1);
		pipes += ev.data.fd == p[0];
		socks += ev.data.fd == fd;
	}
	ck_assert_int_ge(pipes, 4);
	ck_assert_int_ge(socks, 4);
	npp_close(fd);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 1000, NULL), 1);
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
		ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 2000, NULL), 1);
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

	w->got = npp_epoll_pwait(w->ep, &ev, 1, 5000, NULL);
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
	ck_assert_int_eq(npp_poll(&p, 1, 2000), 1);
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
		ck_assert_int_eq(npp_epoll_pwait(ep[i], &ev, 1, 2000, NULL), 1);
	for (int i = 0; i < 7; i++)
		npp_close(ep[i]);
	npp_close(fd);
	ck_assert_uint_eq(f->ctx_closed, 7);
}
END_TEST

/* ---- descriptors ------------------------------------------------------------------------------------ */

START_TEST(dups_count_and_the_last_close_closes)
{
	int fd = dial(FAKE_ECHO), b = npp_dup(fd), c = npp_fcntl(fd, F_DUPFD_CLOEXEC, 100), d = 50;
	struct npp_sock *s = fake_sock_of(f, fd, NULL);
	char ch;

	ck_assert_int_ge(c, 100);
	ck_assert_int_eq(npp_dup2(fd, d), d);
	ck_assert_int_eq(npp_dup2(fd, d), d);
	ck_assert_uint_eq(s->refs, 4);
	ck_assert_ptr_eq(fake_sock_of(f, d, NULL), s);
	npp_close(fd);
	npp_close(b);
	npp_close(d);
	ck_assert_uint_eq(s->refs, 1);
	ck_assert_uint_eq(f->closes, 0);
	npp_fcntl(c, F_SETFL, O_NONBLOCK);
	ck_fails((int)npp_recv(c, &ch, 1, 0), EAGAIN);
	ck_assert_int_eq(npp_close_range(90, 110, 0), 0);
	EVENTUALLY(f->closes == 1);
	ck_fails((int)npp_close(c), EBADF);
}
END_TEST

START_TEST(the_librarys_descriptors_are_protected)
{
	int fd = dial(FAKE_ECHO), bell = -1;
	char c;

	for (int i = 3; i < 20000 && bell < 0; i++)
		if (i != fd && fcntl(i, F_GETFD) >= 0) {
			errno = 0;
			if (npp_dup(i) < 0 && errno == EBADF)
				bell = i;
		}
	ck_assert_int_ge(bell, 0);
	ck_fails(npp_close(bell), EBADF);
	ck_assert_int_ge(fcntl(bell, F_GETFD), 0);
	ck_assert_int_eq(npp_dup2(0, bell), bell); /* a program wants the number: we move */
	ck_assert_int_eq(npp_send(fd, "x", 1, 0), 1);
	ck_assert_int_eq(npp_recv(fd, &c, 1, 0), 1);
	ck_assert_int_eq(npp_close(bell), 0);
	npp_close(fd);
}
END_TEST

START_TEST(sockets_are_not_passed_on_silently)
{
	int fd = dial(FAKE_ECHO), sv[2];
	union { struct cmsghdr h; char b[CMSG_SPACE(sizeof(int))]; } u;
	struct iovec iov = { "x", 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u };

	memset(&u, 0, sizeof u);
	u.h.cmsg_level = SOL_SOCKET;
	u.h.cmsg_type = SCM_RIGHTS;
	u.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&u.h), &fd, sizeof fd);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	ck_fails((int)npp_sendmsg(sv[0], &mh, 0), EINVAL);
	memcpy(CMSG_DATA(&u.h), &sv[1], sizeof fd);
	ck_assert_int_eq(npp_sendmsg(sv[0], &mh, 0), 1);
	close(sv[0]);
	close(sv[1]);
	npp_close(fd);
}
END_TEST

/* ---- options ---------------------------------------------------------------------------------------- */

static const struct { int level, name, set, get; } table[] = {
	{ SOL_SOCKET, SO_REUSEADDR, 1, 1 }, { SOL_SOCKET, SO_KEEPALIVE, 7, 1 }, { SOL_SOCKET, SO_RCVBUF, 30000, 60000 },
	{ SOL_SOCKET, SO_SNDBUF, 40000, 80000 }, { SOL_SOCKET, SO_RCVLOWAT, 0, 1 }, { IPPROTO_TCP, TCP_NODELAY, 1, 1 },
	{ IPPROTO_TCP, TCP_CORK, 1, 1 }, { IPPROTO_TCP, TCP_CORK, 0, 0 }, { IPPROTO_TCP, TCP_KEEPIDLE, 30, 30 },
	{ IPPROTO_TCP, TCP_KEEPINTVL, 5, 5 }, { IPPROTO_TCP, TCP_KEEPCNT, 4, 4 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 500, 500 },
	{ IPPROTO_TCP, TCP_QUICKACK, 1, 1 }, { IPPROTO_IP, IP_TOS, 0x10, 0x10 }, { IPPROTO_IP, IP_TTL, 33, 33 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, 5, 0 },
};

static void check_options(int fd)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		int v = -1;
		socklen_t n = sizeof v;

		ck_assert_int_eq(npp_setsockopt(fd, table[i].level, table[i].name, &table[i].set, sizeof(int)), 0);
		ck_assert_int_eq(npp_getsockopt(fd, table[i].level, table[i].name, &v, &n), 0);
		ck_assert_msg(v == table[i].get, "option %d/%d: %d", table[i].level, table[i].name, v);
	}
}

START_TEST(options_read_back_as_on_linux)
{
	int fd = dial(FAKE_ECHO), v, bad = 0;
	struct timeval tv = { 3, 500000 };
	socklen_t n = sizeof v;
	struct tcp_info ti;
	char cc[16];

	check_options(fd);
	npp_getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &n);
	ck_assert_int_eq(v, SOCK_STREAM);
	npp_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &v, &n);
	ck_assert_int_eq(v, AF_INET);
	npp_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &v, &n);
	ck_assert_int_eq(v, IPPROTO_TCP);
	npp_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	n = sizeof tv;
	memset(&tv, 0, sizeof tv);
	npp_getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &n);
	ck_assert(tv.tv_sec == 3 && tv.tv_usec == 500000);
	n = sizeof ti;
	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &n), 0);
	ck_assert_uint_eq(ti.tcpi_state, TCP_ESTABLISHED);
	n = sizeof cc;
	npp_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, &n);
	ck_assert_str_eq(cc, "cubic");
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
	n = sizeof cc;
	npp_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, &n);
	ck_assert_str_eq(cc, "reno");
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "dctcp", 5), 0);
	ck_fails(npp_setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "vegas", 5), ENOENT);
	ck_fails(npp_setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &bad, sizeof bad), EINVAL);
	ck_fails(npp_setsockopt(fd, SOL_SOCKET, 9999, &bad, sizeof bad), ENOPROTOOPT);
	ck_fails(npp_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &bad, 1), EINVAL);
	npp_close(fd);
}
END_TEST

START_TEST(options_set_before_connect_go_into_the_record)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0), one = 1, v = 0;
	socklen_t n = sizeof v;

	npp_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	npp_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	npp_connect(fd, SA(a));
	ck_assert_uint_eq(fake_sock_of(f, fd, NULL)->opt_flags, NPP_OPT_NODELAY | NPP_OPT_KEEPALIVE);
	npp_getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, &n);
	ck_assert_int_eq(v, 1);
	npp_close(fd);
}
END_TEST

/* ---- datagrams ---------------------------------------------------------------------------------------- */

START_TEST(datagrams_go_and_come_back)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_ECHO), from;
	static uint8_t big[60000], got[65536];
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t n = sizeof from;

	fill(big, sizeof big, 3);
	ck_assert_int_eq(npp_sendto(fd, "small", 5, 0, SA(to)), 5);
	ck_assert_int_eq(npp_recvfrom(fd, got, sizeof got, 0, (struct sockaddr *)&from, &n), 5);
	ck_assert_uint_eq(from.sin_addr.s_addr, to.sin_addr.s_addr);
	ck_assert_int_eq(from.sin_port, to.sin_port);
	ck_assert_int_eq(npp_connect(fd, SA(to)), 0);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(npp_send(fd, big, sizeof big, 0), (int)sizeof big);
		ck_assert_int_eq(npp_recv(fd, got, 100, MSG_TRUNC | MSG_PEEK), (int)sizeof big);
		ck_assert_int_eq(npp_recv(fd, got, sizeof got, 0), (int)sizeof big);
		ck_assert_mem_eq(got, big, sizeof big);
	}
	ck_fails((int)npp_send(fd, big, 65536, 0), EMSGSIZE);
	npp_close(fd);
	EVENTUALLY(f->closes == 1);
}
END_TEST

START_TEST(datagram_lanes_are_merged_by_arrival)
{
	struct sockaddr_in any = addr_of("0.0.0.0", 0), lo;
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0), k = socket(AF_INET, SOCK_DGRAM, 0), n;
	socklen_t len = sizeof any;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint16_t port;
	char buf[8];

	ck_assert_int_eq(npp_bind(fd, SA(any)), 0);
	npp_getsockname(fd, (struct sockaddr *)&any, &len);
	port = ntohs(any.sin_port);
	fake_datagram(f, port, 0, 99, 30, "3", 1);
	fake_datagram(f, port, 1, 99, 10, "1", 1);
	fake_datagram(f, port, 0, 99, 40, "4", 1);
	fake_datagram(f, port, 1, 99, 20, "2", 1);
	ck_assert_int_eq(npp_poll(&p, 1, 1000), 1);
	npp_ioctl(fd, FIONREAD, &n);
	ck_assert_int_eq(n, 1);
	for (char want = '1'; want <= '4'; want++) {
		ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 1);
		ck_assert_int_eq(buf[0], want);
	}
	lo = addr_of("127.0.0.1", port); /* the kernel's part of a wildcard socket */
	ck_assert_int_eq(sendto(k, "5", 1, 0, SA(lo)), 1);
	ck_assert_int_eq(npp_poll(&p, 1, 1000), 1);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 1);
	ck_assert_int_eq(buf[0], '5');
	ck_fails((int)npp_recv(fd, buf, 8, MSG_DONTWAIT), EAGAIN);
	close(k);
	npp_close(fd);
}
END_TEST

/* As the OSM makes it when the host is attached to another NPP, too. */
static struct npp_udp_out *second_way(int fd, uint32_t bytes)
{
	struct npp_sock *s = fake_sock_of(f, fd, NULL);
	uint8_t *base = f->region.base;
	struct npp_udp_out *out = &((struct npp_udp *)(base + (uint64_t)s->ext_off64 * 64))->out[1];

	out->ring.off = 65536;
	out->ring.size = bytes;
	atomic_store(&out->head, bytes);
	atomic_store(&out->home, 1);
	return out;
}

START_TEST(datagram_socket_is_writable_when_all_its_ways_have_room)
{
	struct sockaddr_in any = addr_of("0.0.0.0", 0);
	int fd = npp_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), ep = npp_epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLOUT };
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct npp_udp_out *out;

	/* An item of before the bind, and the kernel's part of a wildcard socket, which always has room. */
	ck_assert_int_eq(npp_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	ck_assert_int_eq(npp_bind(fd, SA(any)), 0);
	ck_assert_int_eq(npp_poll(&p, 1, 0), 1);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 0, NULL), 1);
	out = second_way(fd, 1 << 17);
	ck_assert_int_eq(npp_poll(&p, 1, 0), 0);
	ck_assert_uint_eq(atomic_load(&out->want), 1);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 0, NULL), 0);
	ev.events = EPOLLOUT | EPOLLIN;
	ck_assert_int_eq(npp_epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev), 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 0, NULL), 0);
	atomic_store(&out->tail, 1 << 17);
	ck_assert_int_eq(npp_poll(&p, 1, 0), 1);
	ck_assert_int_eq(p.revents, POLLOUT);
	ev.events = EPOLLOUT;
	ck_assert_int_eq(npp_epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev), 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 0, NULL), 1);
	npp_close(ep);
	npp_close(fd);
}
END_TEST

/* ---- processes ------------------------------------------------------------------------------------------ */

START_TEST(child_of_fork_serves_the_inherited_listener)
{
	uint16_t port;
	int l = serve(&port, 0), status, fd = dial(FAKE_ECHO);
	struct npp_sock *s = fake_sock_of(f, fd, NULL);
	uint32_t idx;
	pid_t pid;

	pid = npp_fork();
	if (pid == 0) {
		int c = npp_accept4(l, NULL, NULL, 0);
		char buf[8];
		int ok = c >= 0 && npp_recv(c, buf, 8, 0) == 4 && npp_send(c, "pong", 4, 0) == 4;

		npp_close(fd);
		_exit(ok ? 0 : 1);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_uint_eq(fake_sock_of(f, l, NULL)->refs, 2);
	idx = fake_peer_connect(f, port, 1, 5000);
	fake_peer_send(f, idx, "ping", 4);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(s->refs, 1); /* the child closed its copy */
	{
		char buf[8];
		uint32_t n = 0;

		EVENTUALLY((n += fake_peer_read(f, idx, buf + n, 8 - n)) == 4);
		ck_assert_mem_eq(buf, "pong", 4);
	}
	npp_close(fd);
	npp_close(l);
}
END_TEST

START_TEST(child_of_fork_rebuilds_an_inherited_epoll)
{
	int fd = dial(FAKE_ECHO), ep = npp_epoll_create1(0), status;
	struct epoll_event ev;
	pid_t pid;

	ep_add(ep, fd, EPOLLIN);
	npp_epoll_pwait(ep, &ev, 1, 0, NULL);
	pid = npp_fork();
	if (pid == 0) {
		int ok = npp_send(fd, "x", 1, 0) == 1 && npp_epoll_pwait(ep, &ev, 1, 3000, NULL) == 1 &&
			 ev.data.fd == fd;

		_exit(ok ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	npp_close(ep);
	npp_close(fd);
}
END_TEST

static char self_path[4096];

/* The new image: argv = self --image PATH KEPT CLOEXEC'ed. */
static int image(char **argv)
{
	int fd = atoi(argv[3]), gone = atoi(argv[4]);
	char c;

	if (npp_start_at(argv[2]) < 0)
		return 2;
	if (npp_send(fd, "x", 1, 0) != 1 || npp_recv(fd, &c, 1, 0) != 1)
		return 3;
	if (fcntl(gone, F_GETFD) >= 0 || npp_fcntl(fd, F_GETFL, 0) & O_NONBLOCK)
		return 4;
	return npp_close(fd) == 0 ? 0 : 5;
}

static void exec_image(int fd, int gone)
{
	char a[16], b[16];
	char *argv[] = { self_path, "--image", f->path, a, b, NULL };

	snprintf(a, sizeof a, "%d", fd);
	snprintf(b, sizeof b, "%d", gone);
	npp_execve(self_path, argv, environ);
	_exit(9);
}

START_TEST(exec_keeps_sockets_and_sweeps_close_on_exec)
{
	int fd = dial(FAKE_ECHO), gone = dial(FAKE_ECHO), status;
	pid_t pid;

	npp_fcntl(gone, F_SETFD, FD_CLOEXEC);
	pid = npp_fork();
	if (pid == 0)
		exec_image(fd, gone);
	npp_close(gone);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	EVENTUALLY(f->closes == 1); /* gone: ours and the child's are closed */
	ck_assert_uint_eq(fake_sock_of(f, fd, NULL)->refs, 1);
	npp_close(fd);
	EVENTUALLY(f->closes == 2);
}
END_TEST

START_TEST(exec_after_vfork_keeps_what_was_dupped)
{
	int fd = dial(FAKE_ECHO), status;
	pid_t pid = vfork();

	if (pid == 0) {
		npp_dup2(fd, 60);
		npp_close(fd);
		exec_image(60, fd);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_uint_eq(fake_sock_of(f, fd, NULL)->refs, 1);
	npp_close(fd);
	EVENTUALLY(f->closes == 1);
}
END_TEST

START_TEST(records_and_descriptors_do_not_leak)
{
	uint16_t port;
	int l = serve(&port, 0), low = dup(0), again;

	close(low);
	for (int i = 0; i < 400; i++) {
		int fd = i & 1 ? dial(FAKE_ECHO) : -1;

		if (fd < 0) {
			fake_peer_connect(f, port, (unsigned)i / 2 & 1, 5000);
			fd = npp_accept4(l, NULL, NULL, 0);
		}
		ck_assert_int_eq(fd, low);
		npp_close(fd);
	}
	EVENTUALLY(f->closes == 400);
	again = dup(0);
	ck_assert_int_eq(again, low);
	close(again);
	npp_close(l);
	for (uint32_t i = 1; i < f->host->sock_count; i++)
		ck_assert_uint_eq(f->sock[i].owner, 0);
}
END_TEST

static Suite *suite(void)
{
	const struct { const char *name; const TTest *test[16]; } group[] = {
		{ "stream", { what_is_sent_comes_back, many_times_the_ring_goes_through_whole, peek_leaves_and_waitall_waits,
			      errno_is_left_alone_on_success, full_ring_says_eagain_and_then_writable,
			      refused_ring_does_not_hold_a_sender_up,
			      end_of_file_after_the_last_byte, reset_gives_data_then_the_error_once,
			      broken_pipe_raises_sigpipe_unless_told_not_to, unread_data_makes_close_an_abort,
			      linger_zero_aborts, an_ism_that_keeps_others_waiting_is_not_waited_for_long, sendfile_goes_from_the_file_to_the_ring, stdio_on_a_socket } },
		{ "connect", { connect_without_blocking, connect_in_progress_says_ealready, refused_connection,
			       connect_times_out, bound_socket_goes_where_its_answers_hash, loopback_is_the_kernels } },
		{ "listen", { wildcard_listener_accepts_from_both, listener_on_an_address_of_the_npp,
			      dual_stack_listener_shows_mapped_addresses, accept_blocks_until_a_peer_comes } },
		{ "wait", { receive_times_out, signals_interrupt_or_restart_as_asked, poll_sees_both_kinds,
			    select_sees_both_kinds } },
		{ "epoll", { epoll_level_stays_until_read, epoll_edge_reports_each_arrival_once,
			     epoll_oneshot_is_off_until_modified, epoll_exclusive_wakes_and_hands_on,
			     epoll_mixes_with_pipes_and_starves_neither, epoll_takes_a_socket_before_it_connects,
			     item_added_while_another_thread_waits, epoll_inside_poll,
			     more_subscribers_than_fit_in_the_record } },
		{ "descriptors", { dups_count_and_the_last_close_closes, the_librarys_descriptors_are_protected,
				   sockets_are_not_passed_on_silently } },
		{ "options", { options_read_back_as_on_linux, options_set_before_connect_go_into_the_record } },
		{ "datagram", { datagrams_go_and_come_back, datagram_lanes_are_merged_by_arrival,
				datagram_socket_is_writable_when_all_its_ways_have_room } },
		{ "process", { child_of_fork_serves_the_inherited_listener, child_of_fork_rebuilds_an_inherited_epoll,
			       exec_keeps_sockets_and_sweeps_close_on_exec, exec_after_vfork_keeps_what_was_dupped,
			       records_and_descriptors_do_not_leak } },
	};
	Suite *s = suite_create("libnpp");

	for (size_t g = 0; g < sizeof group / sizeof *group; g++) {
		TCase *tc = tcase_create(group[g].name);

		tcase_add_checked_fixture(tc, up, down);
		tcase_set_timeout(tc, 30);
		for (int i = 0; i < 16 && group[g].test[i]; i++)
			tcase_add_test(tc, group[g].test[i]);
		suite_add_tcase(s, tc);
	}
	return s;
}

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", self_path, sizeof self_path - 1);

	if (n <= 0)
		return EXIT_FAILURE;
	self_path[n] = '\0';
	if (argc == 5 && strcmp(argv[1], "--image") == 0)
		return image(argv);
	return npp_suite_run(suite());
}
