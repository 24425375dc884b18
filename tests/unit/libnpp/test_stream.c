/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_stream.c - libnpp over a fake host: streams: bytes, ends, errors
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "npp-osm/libnpp/priv.h"

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
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_uint_eq(ev.events, EPOLLOUT);
	ck_assert_int_gt(npp_send(fd, data, 100, 0), 0);
	npp_close(fd);
	npp_close(ep);
}
END_TEST

/* The peer takes nothing, and each write fitted: only who waits for room knows that there should be more. */
START_TEST(a_full_ring_that_may_grow_is_looked_at)
{
	int fd = dial(FAKE_DISCARD), size = 200000;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	static uint8_t data[65536];
	struct npp_sock *sk;
	uint32_t idx, left, looks;

	sk = fake_sock_of(f, fd, &idx);
	ck_assert_int_eq(npp_send(fd, data, 1, 0), 1); /* there is a ring then */
	fake_pause(f, idx, true);
	npp_fcntl(fd, F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(npp_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
	left = sk->tx_ring.size - (atomic_load(&sk->tx_head) - atomic_load(&sk->tx_tail));
	ck_assert_uint_le(left, sizeof data);
	ck_assert_int_eq(npp_send(fd, data, left, 0), left);
	EVENTUALLY(atomic_load(&sk->pend_in) == 0);
	looks = f->looks;
	ck_fails((int)npp_send(fd, data, 1, 0), EAGAIN);
	EVENTUALLY(f->looks == looks + 1);
	ck_assert_int_eq(npp_poll(&p, 1, 0), 0); /* it is known */
	ck_fails((int)npp_send(fd, data, 1, 0), EAGAIN);
	ck_assert_uint_eq(atomic_load(&sk->pend_in), 0);
	npp_close(fd);
}
END_TEST

/* TCP_NOTSENT_LOWAT: no room for more than a large segment as long as the ISM has not sent what there is. */
START_TEST(a_sender_is_held_back_by_what_was_not_sent)
{
	int fd = dial(FAKE_DISCARD), low = 1000, got = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	static uint8_t data[3000];
	socklen_t len = sizeof got;
	struct npp_sock *sk;
	uint32_t idx;

	sk = fake_sock_of(f, fd, &idx);
	ck_assert_int_eq(npp_send(fd, data, 1, 0), 1); /* there is a ring then */
	fake_pause(f, idx, true);
	npp_fcntl(fd, F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low, sizeof low), 0);
	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &got, &len), 0);
	ck_assert_int_eq(got, 1000);
	atomic_store(&sk->tx_sent, atomic_load(&sk->tx_head));
	ck_assert_int_eq(npp_poll(&p, 1, 20000), 1);
	ck_assert_int_eq(npp_send(fd, data, 1000, 0), 1000);
	ck_fails((int)npp_send(fd, data, 1, 0), EAGAIN);
	ck_assert_int_eq(npp_poll(&p, 1, 20), 0);
	atomic_fetch_add(&sk->tx_sent, 500); /* half is left: it may write, but is not told so */
	ck_assert_int_eq(npp_poll(&p, 1, 20), 0);
	atomic_fetch_add(&sk->tx_sent, 1);
	ck_assert_int_eq(npp_poll(&p, 1, 20000), 1);
	ck_assert_int_eq(npp_send(fd, data, 2000, 0), 2000);
	ck_fails((int)npp_send(fd, data, 1, 0), EAGAIN);
	atomic_store(&sk->tx_sent, 77777777); /* cannot be: taken for nothing sent */
	ck_fails((int)npp_send(fd, data, 1, 0), EAGAIN);
	npp_close(fd);
}
END_TEST

/* No larger ring is to be had: the first large write of a connection must not wait for one. */
START_TEST(refused_ring_does_not_hold_a_sender_up)
{
	static uint8_t data[60000];
	unsigned held = 0;
	uint32_t idx;
	int fd[16];

	for (int i = 0; i < 16; i++) {
		fd[i] = dial(FAKE_DISCARD);
		fake_pause(f, (fake_sock_of(f, fd[i], &idx), idx), true);
		npp_fcntl(fd[i], F_SETFL, O_NONBLOCK);
		ck_assert_int_gt(npp_send(fd[i], data, 100, 0), 0);
	}
	for (int i = 0; i < 16; i++) {
		uint64_t start = now_ms();

		ck_assert_int_gt(npp_send(fd[i], data, sizeof data, 0), 0);
		held += now_ms() - start >= 20; /* by the machine, now and then */
	}
	ck_assert_uint_le(held, 8);
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

/* As on Linux: who waits for more than can come would wait for ever. The ring may grow, so the ISM says it. */
START_TEST(who_waits_for_more_than_can_come_may_read)
{
	uint16_t port;
	int l = serve(&port, 0), fd, many = 200000;
	uint32_t idx = fake_peer_connect(f, port, 0, 5000);
	struct npp_sock *s;
	struct pollfd p;
	char byte = 'x';

	fake_peer_send(f, idx, &byte, 1);
	fd = npp_accept4(l, NULL, NULL, 0);
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	ck_assert_int_eq(npp_setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &many, sizeof many), 0);
	s = fake_sock_of(f, fd, NULL);
	while (s->rx_head < s->rx_ring.size)
		fake_peer_send(f, idx, &byte, 1);
	ck_assert_int_eq(npp_poll(&p, 1, 0), 0); /* the next byte makes it larger */
	atomic_store(&s->rx_full, 1);
	ck_assert_int_eq(npp_poll(&p, 1, 0), 1);
	npp_close(fd);
	npp_close(l);
}
END_TEST

static uint32_t late_idx;

static void *send_late(void *arg)
{
	usleep(50000);
	fake_peer_send(f, late_idx, "def", 3);
	return arg;
}

/* What there is, but no less than SO_RCVLOWAT or what was asked for, and a wait for the rest by no more than that. */
START_TEST(recv_waits_for_what_was_asked_for)
{
	uint16_t port;
	int l = serve(&port, 0), fd, low = 5;
	pthread_t t;
	char buf[8];

	late_idx = fake_peer_connect(f, port, 0, 5000);
	fake_peer_send(f, late_idx, "abc", 3);
	fd = npp_accept4(l, NULL, NULL, 0);
	ck_assert_int_eq(npp_setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low), 0);
	ck_assert_int_eq(npp_recv(fd, buf, 8, MSG_DONTWAIT | MSG_PEEK), 3);
	ck_assert_int_eq(npp_recv(fd, buf, 2, 0), 2); /* less than 5 is enough for that */
	fake_peer_send(f, late_idx, "xx", 2);
	pthread_create(&t, NULL, send_late, NULL);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 6);
	pthread_join(t, NULL);
	fake_peer_send(f, late_idx, "abcdef", 6);
	pthread_create(&t, NULL, send_late, NULL);
	ck_assert_int_eq(npp_recv(fd, buf, 8, MSG_WAITALL), 8); /* two of these are less than 5, too */
	pthread_join(t, NULL);
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

/* A peer that has said all and then resets, as many clients do, has not cut off what it said. */
START_TEST(reset_after_the_end_of_file_is_for_the_writer)
{
	uint16_t port;
	int l = serve(&port, 0), fd, err;
	uint32_t idx = fake_peer_connect(f, port, 0, 5000);
	socklen_t n = sizeof err;
	char buf[8];

	fake_peer_send(f, idx, "xy", 2);
	fd = npp_accept4(l, NULL, NULL, 0);
	fake_peer_fin(f, idx);
	fake_peer_reset(f, idx, EPIPE);
	ck_assert_int_eq(npp_recv(fd, buf, 8, MSG_WAITALL), 2);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 0);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 0);
	ck_assert_int_eq(npp_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n), 0);
	ck_assert_int_eq(err, EPIPE);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 0);
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
	ck_assert_uint_lt(now_ms() - start, 1500);
	atomic_store(&s[0]->rx_ring.seq, 0);
	ck_assert_int_eq(npp_recv(fd[0], &c, 1, 0), 1); /* it was only late */
	atomic_store(&s[1]->tx_lock, 0);
	npp_close(fd[0]);
	npp_close(fd[1]);
}
END_TEST

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

/* More than the pipe holds, so that both ends are full at times. */
/* The word by which the ISM sees that more will follow what was written last. */
START_TEST(more_is_said_of_what_is_written_last)
{
	int fd = dial(FAKE_DISCARD), p[2], file;
	struct npp_sock *sk = fake_sock_of(f, fd, NULL);
	struct iovec iov = { (void *)"xy", 2 };
	char path[128];

	snprintf(path, sizeof path, "%s/more-XXXXXX", npp_dir_path());
	file = mkstemp(path);
	ck_assert(file >= 0 && write(file, "12345", 5) == 5 && lseek(file, 0, SEEK_SET) == 0 && pipe(p) == 0);
	ck_assert_int_eq(npp_send(fd, "a", 1, 0), 1);
	ck_assert_uint_eq(sk->opt_flags & NPP_OPT_MORE, 0);
#define MORE(call, want) do { \
	ck_assert_int_eq(npp_send(fd, "a", 1, MSG_MORE), 1); \
	ck_assert_uint_ne(sk->opt_flags & NPP_OPT_MORE, 0); \
	ck_assert_int_eq((int)(call), want); \
	ck_assert_uint_eq(sk->opt_flags & NPP_OPT_MORE, 0); \
} while (0)
	MORE(npp_send(fd, "b", 1, 0), 1);
	MORE(npp_write(fd, "b", 1), 1);
	MORE(npp_writev(fd, &iov, 1), 2);
	MORE(npp_sendfile(fd, file, NULL, 10), 5);
	ck_assert_int_eq(write(p[1], "pipe", 4), 4);
	MORE(npp_splice(p[0], NULL, fd, NULL, 2, 0), 2);
	ck_assert_int_eq(npp_splice(p[0], NULL, fd, NULL, 2, SPLICE_F_MORE), 2);
	ck_assert_uint_ne(sk->opt_flags & NPP_OPT_MORE, 0);
	MORE(npp_send(fd, "b", 1, MSG_DONTWAIT), 1);
	unlink(path);
	close(file);
	close(p[0]);
	close(p[1]);
	npp_close(fd);
}
END_TEST

START_TEST(splice_goes_through_a_pipe_whole)
{
	static uint8_t data[300000], got[300000];
	size_t put = 0, there = 0, back = 0, n = 0;
	int fd = dial(FAKE_ECHO), p[2], q[2];

	ck_assert(pipe2(p, O_NONBLOCK) == 0 && pipe2(q, O_NONBLOCK) == 0);
	fill(data, sizeof data, 11);
	npp_fcntl(fd, F_SETFL, O_NONBLOCK);
	for (uint64_t end = now_ms() + 20000; n < sizeof data && now_ms() < end;) {
		ssize_t r = put < sizeof data ? write(p[1], data + put, sizeof data - put) : 0;

		put += r > 0 ? (size_t)r : 0;
		r = npp_splice(p[0], NULL, fd, NULL, sizeof data, 0);
		ck_assert(r > 0 || errno == EAGAIN);
		there += r > 0 ? (size_t)r : 0;
		r = npp_splice(fd, NULL, q[1], NULL, sizeof data, SPLICE_F_MOVE);
		ck_assert(r > 0 || errno == EAGAIN);
		back += r > 0 ? (size_t)r : 0;
		r = read(q[0], got + n, 3000); /* leaves pages of which a part is free */
		n += r > 0 ? (size_t)r : 0;
	}
	ck_assert_uint_eq(there, sizeof data);
	ck_assert_uint_eq(back, sizeof data);
	ck_assert_mem_eq(got, data, sizeof data);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(q[i]);
	}
	npp_close(fd);
}
END_TEST

static void *write_later(void *arg)
{
	usleep(50000);
	ck_assert_int_eq(write(*(int *)arg, "later", 5), 5);
	return NULL;
}

START_TEST(splice_waits_by_the_pipe_and_by_the_socket)
{
	int fd = dial(FAKE_ECHO), p[2];
	char b[16];
	pthread_t t;

	ck_assert_int_eq(pipe(p), 0);
	ck_fails((int)npp_splice(p[0], NULL, fd, NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
	pthread_create(&t, NULL, write_later, &p[1]);
	ck_assert_int_eq(npp_splice(p[0], NULL, fd, NULL, 10, 0), 5);
	pthread_join(t, NULL);
	ck_assert_int_eq(npp_splice(fd, NULL, p[1], NULL, 10, SPLICE_F_NONBLOCK), 5); /* for the socket it waits */
	ck_assert_int_eq(read(p[0], b, sizeof b), 5);
	ck_assert_mem_eq(b, "later", 5);
	npp_fcntl(fd, F_SETFL, O_NONBLOCK);
	ck_fails((int)npp_splice(fd, NULL, p[1], NULL, 10, 0), EAGAIN);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	while (write(p[1], b, 1) == 1)
		;
	ck_assert_int_eq(npp_send(fd, "kept", 4, 0), 4);
	EVENTUALLY(npp_recv(fd, b, sizeof b, MSG_PEEK) == 4);
	ck_fails((int)npp_splice(fd, NULL, p[1], NULL, 10, 0), EAGAIN);
	ck_assert_int_eq(npp_recv(fd, b, sizeof b, 0), 4); /* a full pipe has taken nothing */
	close(p[0]);
	signal(SIGPIPE, on_signal);
	ck_fails((int)npp_splice(fd, NULL, p[1], NULL, 10, 0), EPIPE);
	ck_assert_int_eq(signals, 1);
	close(p[1]);
	npp_close(fd);
}
END_TEST

/* Another reader of the pipe takes what poll() has seen, or FIONREAD, and then something else comes, or the end. */
static int thief_pipe[2], thefts;
static int (*real_poll)(struct pollfd *, nfds_t, int);
static int (*real_ioctl)(int, unsigned long, ...);

static void steal(void)
{
	char b[16];

	if (thefts-- > 0) {
		ck_assert_int_eq(read(thief_pipe[0], b, sizeof b), 6);
		if (thefts == 0)
			ck_assert_int_eq(write(thief_pipe[1], "later", 5), 5);
	}
}

static int poll_and_steal(struct pollfd *p, nfds_t n, int ms)
{
	int r = real_poll(p, n, ms);

	steal();
	return r;
}

static int ioctl_and_steal(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int r;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	r = real_ioctl(fd, request, arg);
	steal();
	return r;
}

START_TEST(splice_waits_on_when_another_reader_of_the_pipe_is_faster)
{
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	int fd = dial(FAKE_ECHO);
	char b[16];

	ck_assert_int_eq(pipe(thief_pipe), 0);
	real_poll = r->poll;
	real_ioctl = r->ioctl;
	for (int i = 0; i < 4; i++) {
		bool block = i & 1;
		ssize_t k;

		ck_assert_int_eq(write(thief_pipe[1], "stolen", 6), 6);
		thefts = 1;
		if (i < 2)
			r->poll = poll_and_steal;
		else
			r->ioctl = ioctl_and_steal;
		if (!block)
			thefts = 2; /* of which the last does not come: the pipe stays empty */
		k = npp_splice(thief_pipe[0], NULL, fd, NULL, 10, block ? 0 : SPLICE_F_NONBLOCK);
		r->poll = real_poll;
		r->ioctl = real_ioctl;
		ck_assert_int_eq(k, block ? 5 : -1);
		ck_assert(block || errno == EAGAIN);
		if (block) {
			ck_assert_int_eq(npp_recv(fd, b, 5, MSG_WAITALL), 5);
			ck_assert_mem_eq(b, "later", 5);
		}
	}
	close(thief_pipe[0]);
	close(thief_pipe[1]);
	npp_close(fd);
}
END_TEST

/* The kernel's needs none of the caller's stack. */
struct little { int in, out; uint8_t *stack; ssize_t r; size_t used; };
#define LITTLE_STACK (1u << 20)

static void *splice_and_measure(void *arg)
{
	struct little *l = arg;
	const uint8_t *p = l->stack;
	uint8_t here = 1;

	l->r = npp_splice(l->in, NULL, l->out, NULL, 65536, 0);
	while (!*p && p < &here)
		p++;
	l->used = (size_t)(&here - p);
	return NULL;
}

START_TEST(splice_needs_little_stack)
{
	static uint8_t data[12000];
	static _Alignas(4096) uint8_t stack[LITTLE_STACK];
	struct little l = { .in = dial(FAKE_ECHO), .stack = stack };
	pthread_attr_t a;
	pthread_t t;
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	l.out = p[1];
	ck_assert_int_eq(npp_send(l.in, data, sizeof data, 0), sizeof data);
	EVENTUALLY(npp_recv(l.in, data, sizeof data, MSG_PEEK) == sizeof data);
	pthread_attr_init(&a);
	ck_assert_int_eq(pthread_attr_setstack(&a, stack, sizeof stack), 0);
	ck_assert_int_eq(pthread_create(&t, &a, splice_and_measure, &l), 0);
	pthread_join(t, NULL);
	pthread_attr_destroy(&a);
	ck_assert_int_eq(l.r, sizeof data); /* in one call all that is there */
	ck_assert_msg(l.used < 32768, "%zu bytes", l.used);
	close(p[0]);
	close(p[1]);
	npp_close(l.in);
}
END_TEST

START_TEST(splice_refuses_what_linux_refuses)
{
	int fd = dial(FAKE_ECHO), other = dial(FAKE_ECHO), p[2], null;
	off64_t off = 0;
	char b[4];

	ck_assert_int_eq(pipe(p), 0);
	null = open("/dev/null", O_RDWR);
	ck_assert_int_eq(npp_splice(fd, NULL, p[1], NULL, 0, 99), 0);
	ck_fails((int)npp_splice(fd, NULL, p[1], NULL, 1, 16), EINVAL);
	ck_fails((int)npp_splice(fd, NULL, other, NULL, 1, 0), EINVAL);
	ck_fails((int)npp_splice(fd, NULL, null, NULL, 1, 0), EINVAL);
	ck_fails((int)npp_splice(null, NULL, fd, NULL, 1, 0), EINVAL);
	ck_fails((int)npp_splice(fd, NULL, p[0], NULL, 1, 0), EBADF);
	ck_fails((int)npp_splice(p[1], NULL, fd, NULL, 1, 0), EBADF);
	ck_fails((int)npp_splice(fd, NULL, 9999, NULL, 1, 0), EBADF);
	ck_fails((int)npp_splice(fd, NULL, p[1], &off, 1, 0), ESPIPE);
	ck_fails((int)npp_splice(fd, &off, p[1], NULL, 1, 0), EINVAL);
	ck_fails((int)npp_splice(p[0], &off, fd, NULL, 1, 0), ESPIPE);
	ck_fails((int)npp_splice(p[0], NULL, fd, &off, 1, 0), EINVAL);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(write(p[1], "hi", 2), 2);
	ck_assert_int_eq(npp_shutdown(fd, SHUT_WR), 0);
	ck_fails((int)npp_splice(p[0], NULL, fd, NULL, 10, 0), EPIPE);
	ck_assert_int_eq(read(p[0], b, sizeof b), 2); /* nothing of it is lost */
	close(p[1]);
	ck_assert_int_eq(npp_splice(p[0], NULL, other, NULL, 10, 0), 0); /* nobody writes to it any more */
	close(p[0]);
	close(null);
	npp_close(other);
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

static Suite *suite(void)
{
	Suite *s = suite_create("libnpp_stream");
	TCase *t;

	t = host_case(s, "stream");
	tcase_add_test(t, what_is_sent_comes_back);
	tcase_add_test(t, many_times_the_ring_goes_through_whole);
	tcase_add_test(t, peek_leaves_and_waitall_waits);
	tcase_add_test(t, who_waits_for_more_than_can_come_may_read);
	tcase_add_test(t, recv_waits_for_what_was_asked_for);
	tcase_add_test(t, errno_is_left_alone_on_success);
	tcase_add_test(t, full_ring_says_eagain_and_then_writable);
	tcase_add_test(t, a_full_ring_that_may_grow_is_looked_at);
	tcase_add_test(t, a_sender_is_held_back_by_what_was_not_sent);
	tcase_add_test(t, refused_ring_does_not_hold_a_sender_up);
	tcase_add_test(t, end_of_file_after_the_last_byte);
	tcase_add_test(t, reset_gives_data_then_the_error_once);
	tcase_add_test(t, reset_after_the_end_of_file_is_for_the_writer);
	tcase_add_test(t, broken_pipe_raises_sigpipe_unless_told_not_to);
	tcase_add_test(t, unread_data_makes_close_an_abort);
	tcase_add_test(t, linger_zero_aborts);
	tcase_add_test(t, an_ism_that_keeps_others_waiting_is_not_waited_for_long);
	tcase_add_test(t, sendfile_goes_from_the_file_to_the_ring);
	tcase_add_test(t, more_is_said_of_what_is_written_last);
	tcase_add_test(t, splice_goes_through_a_pipe_whole);
	tcase_add_test(t, splice_waits_by_the_pipe_and_by_the_socket);
	tcase_add_test(t, splice_waits_on_when_another_reader_of_the_pipe_is_faster);
	tcase_add_test(t, splice_needs_little_stack);
	tcase_add_test(t, splice_refuses_what_linux_refuses);
	tcase_add_test(t, stdio_on_a_socket);
	return s;
}

int main(void)
{
	return npp_suite_run(suite());
}
