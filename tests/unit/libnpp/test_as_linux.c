/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_as_linux.c - corners of the socket calls, as Linux has them: what tests/lab/twins once found different
 */
#include "config.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "host.h"

#define V6(port) { .sin6_family = AF_INET6, .sin6_port = htons(port) }

/* A connection that was accepted, and its record. */
static int taken(uint32_t *idx)
{
	uint16_t port;
	int l = serve(&port, 0), fd;

	*idx = fake_peer_connect(f, port, 0, 5000);
	fd = npp_accept4(l, NULL, NULL, 0);
	ck_assert_int_ge(fd, 0);
	npp_close(l);
	return fd;
}

static short ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP };

	ck_assert_int_ge(npp_poll(&p, 1, 0), 0);
	return p.revents;
}

START_TEST(an_address_for_a_stream_is_ignored)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, 99);
	int fd = dial(FAKE_DISCARD);

	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(a)), 1);
	npp_close(fd);
}
END_TEST

START_TEST(a_reset_that_is_told_as_a_broken_pipe_raises_the_signal)
{
	uint32_t idx;
	int fd = taken(&idx);

	signals = 0;
	signal(SIGPIPE, on_signal);
	fake_peer_fin(f, idx);
	fake_peer_reset(f, idx, EPIPE);
	ck_fails((int)npp_write(fd, "x", 1), EPIPE);
	ck_assert_int_eq(signals, 1);
	npp_close(fd);
}
END_TEST

START_TEST(recv_of_nothing_waits_once_and_read_does_not)
{
	struct timeval tv = { 0, 20000 };
	struct iovec none = { NULL, 0 };
	uint64_t start = now_ms();
	uint32_t idx;
	int fd = taken(&idx);
	char c;

	ck_assert_int_eq(npp_read(fd, &c, 0), 0);
	ck_assert_int_eq(npp_readv(fd, &none, 1), 0);
	ck_assert_int_eq(npp_writev(fd, &none, 1), 0);
	ck_fails((int)npp_recv(fd, &c, 0, MSG_DONTWAIT), EAGAIN);
	ck_assert_int_eq(npp_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	ck_assert_int_eq(npp_recv(fd, &c, 0, 0), 0);
	ck_assert_uint_ge(now_ms() - start, 19);
	fake_peer_send(f, idx, "x", 1);
	ck_assert_int_eq(npp_recv(fd, &c, 0, MSG_DONTWAIT), 0);
	npp_close(fd);
}
END_TEST

START_TEST(who_peeks_at_an_urgent_byte_alone_sees_the_end_behind_it)
{
	uint32_t idx;
	int fd = taken(&idx);
	char c;

	fake_peer_urgent(f, idx, 0, false);
	fake_peer_send(f, idx, "X", 1);
	fake_peer_fin(f, idx);
	EVENTUALLY(ready(fd) & POLLRDHUP);
	ck_assert_int_eq(npp_recv(fd, &c, 1, MSG_PEEK), 0);
	ck_assert_int_eq(npp_recv(fd, &c, 1, 0), 0);
	npp_close(fd);
}
END_TEST

START_TEST(recvmmsg_tells_an_error_before_what_is_there)
{
	struct iovec iov = { &(char){ 0 }, 1 };
	struct mmsghdr mm = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };
	uint32_t idx;
	int fd = taken(&idx);

	fake_peer_send(f, idx, "x", 1);
	fake_peer_reset(f, idx, ECONNRESET);
	ck_fails(npp_recvmmsg(fd, &mm, 1, 0, NULL), ECONNRESET);
	ck_assert_int_eq(npp_recvmmsg(fd, &mm, 1, 0, NULL), 1);
	npp_close(fd);
}
END_TEST

struct reading { int fd, got; volatile bool over; };

static void *reads_two(void *arg)
{
	struct reading *r = arg;
	struct iovec iov[2] = { { &(char){ 0 }, 1 }, { &(char){ 0 }, 1 } };
	struct mmsghdr mm[2] = { { .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
				 { .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 } } };

	r->got = npp_recvmmsg(r->fd, mm, 2, 0, NULL);
	r->over = true;
	return NULL;
}

/* While it waits for the second the record becomes another connection's. */
START_TEST(recvmmsg_leaves_no_error_to_whom_the_record_belongs_by_then)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct npp_sock *sk;
	pthread_t thread;
	uint32_t idx;
	struct reading r = { .fd = taken(&idx) };

	sk = &f->sock[idx];
	sigaction(SIGUSR1, &sa, NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, reads_two, &r), 0);
	fake_peer_send(f, idx, "x", 1);
	EVENTUALLY(atomic_load(&sk->rx_tail) == 1);
	atomic_fetch_add(&sk->gen, 1);
	for (uint64_t end = now_ms() + 20000; !r.over && now_ms() < end; usleep(1000))
		pthread_kill(thread, SIGUSR1);
	ck_assert(r.over);
	pthread_join(thread, NULL);
	ck_assert_int_eq(r.got, 1);
	ck_assert_int_eq(atomic_load(&sk->err), 0);
	atomic_fetch_sub(&sk->gen, 1);
	npp_close(r.fd);
}
END_TEST

START_TEST(recvmmsg_leaves_the_error_that_came_after_something)
{
	struct iovec iov[2] = { { &(char){ 0 }, 1 }, { &(char){ 0 }, 1 } };
	struct mmsghdr mm[2] = { { .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
				 { .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1025 } } };
	uint32_t idx;
	int fd = taken(&idx);
	char c;

	fake_peer_send(f, idx, "xy", 2);
	ck_assert_int_eq(npp_recvmmsg(fd, mm, 2, 0, NULL), 1);
	ck_fails(npp_recvmmsg(fd, mm, 1, 0, NULL), EMSGSIZE);
	ck_assert_int_eq(npp_recv(fd, &c, 1, 0), 1);
	npp_close(fd);
}
END_TEST

START_TEST(who_peeks_at_all_waits_for_nothing_behind_the_end)
{
	char buf[10];
	uint32_t idx;

	for (int i = 0; i < 2; i++) {
		int fd = taken(&idx);

		fake_peer_send(f, idx, "xy", 2);
		if (i)
			fake_peer_fin(f, idx);
		else
			ck_assert_int_eq(npp_shutdown(fd, SHUT_RDWR), 0);
		ck_assert_int_eq(npp_recv(fd, buf, sizeof buf, MSG_PEEK | MSG_WAITALL), 2);
		npp_close(fd);
	}
}
END_TEST

START_TEST(names_have_no_negative_length_and_the_dead_no_peer)
{
	struct sockaddr_in a;
	socklen_t n = (socklen_t)-1;
	uint32_t idx;
	int fd = taken(&idx), v;

	ck_fails(npp_getsockname(fd, (struct sockaddr *)&a, &n), EINVAL);
	ck_fails(npp_getpeername(fd, (struct sockaddr *)&a, &n), EINVAL);
	ck_fails(npp_getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &n), EINVAL);
	n = sizeof a;
	ck_assert_int_eq(npp_getpeername(fd, (struct sockaddr *)&a, &n), 0);
	fake_peer_reset(f, idx, ECONNRESET);
	ck_fails(npp_getpeername(fd, (struct sockaddr *)&a, &n), ENOTCONN);
	npp_close(fd);
}
END_TEST

START_TEST(dup3_with_flags_that_do_not_exist_takes_nothing_away)
{
	int a = dial(FAKE_ECHO), b = dial(FAKE_ECHO);
	char c;

	ck_fails(npp_dup3(a, b, O_NONBLOCK), EINVAL);
	ck_assert_int_eq(npp_send(b, "x", 1, 0), 1);
	ck_assert_int_eq(npp_recv(b, &c, 1, 0), 1);
	npp_close(a);
	npp_close(b);
}
END_TEST

START_TEST(exclusive_items_take_few_events_and_no_change)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int ep = npp_epoll_create1(0), fd = dial(FAKE_ECHO);

	ck_fails(npp_epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev), EINVAL);
	ck_fails(ep_add(ep, fd, EPOLLRDHUP | EPOLLEXCLUSIVE), EINVAL);
	ck_assert_int_eq(ep_add(ep, fd, EPOLLIN | EPOLLEXCLUSIVE), 0);
	npp_close(fd);
	npp_close(ep);
}
END_TEST

START_TEST(levels_lengths_and_values_of_options)
{
	int fd = dial(FAKE_ECHO), one[4] = { 1, 0, 0, 0 }, two = 2, dgram = npp_socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in me = addr_of(FAKE_ADDR, 0);
	uint8_t v[16];
	socklen_t n = 2;

	ck_assert_int_eq(npp_bind(dgram, SA(me)), 0);
	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_IP, IP_TTL, v, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(v[0], 64);
	n = 16;
	ck_assert_int_eq(npp_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, v, &n), 0);
	ck_assert_uint_eq(n, 8);
	ck_fails(npp_getsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, v, &n), EOPNOTSUPP);
	ck_fails(npp_getsockopt(dgram, IPPROTO_TCP, TCP_NODELAY, v, &n), EOPNOTSUPP);
	ck_fails(npp_setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, one, 4), ENOPROTOOPT);
	ck_fails(npp_setsockopt(fd, SOL_SOCKET, 9999, one, 3), EINVAL);
	ck_fails(npp_setsockopt(fd, IPPROTO_TCP, 9999, one, 3), EINVAL);
	ck_fails(npp_setsockopt(fd, SOL_SOCKET, SO_SNDLOWAT, one, 4), ENOPROTOOPT);
	ck_fails(npp_setsockopt(dgram, IPPROTO_IP, IP_MULTICAST_ALL, &two, 4), EINVAL);
	ck_assert_int_eq(npp_setsockopt(dgram, IPPROTO_IP, IP_MULTICAST_LOOP, &two, 4), 0);
	ck_assert_int_eq(npp_setsockopt(dgram, IPPROTO_IP, IP_RECVTTL, one, 0), 0);
	ck_fails(npp_ioctl(dgram, SIOCATMARK, v), ENOTTY);
	ck_fails(npp_ioctl(dgram, SIOCOUTQNSD, v), ENOTTY);
	npp_close(dgram);
	npp_close(fd);
}
END_TEST

START_TEST(the_state_comes_before_the_address)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_ECHO), other = a;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd = dial(FAKE_ECHO), s = npp_socket(AF_INET, SOCK_STREAM, 0);

	other.sin_family = AF_INET6;
	ck_fails(npp_connect(fd, (struct sockaddr *)&a, 8), EISCONN);
	ck_fails(npp_connect(fd, SA(other)), EISCONN);
	ck_fails(npp_connect(fd, (struct sockaddr *)&a, 1), EINVAL);
	ck_fails(npp_bind(fd, SA(other)), EAFNOSUPPORT);
	ck_fails(npp_bind(fd, (struct sockaddr *)&a, 8), EINVAL);
	ck_fails(npp_bind(fd, SA(a)), EADDRNOTAVAIL);
	a = addr_of(FAKE_ADDR, 0);
	ck_fails(npp_bind(fd, SA(a)), EINVAL);
	ck_assert_int_eq(npp_bind(s, SA(a)), 0);
	ck_assert_int_eq(npp_connect(s, &none, sizeof none), 0);
	ck_fails(npp_connect(s, SA(other)), EAFNOSUPPORT);
	npp_close(s);
	npp_close(fd);
}
END_TEST

START_TEST(who_could_not_connect_is_as_new)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_REFUSE), b = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0), err;
	socklen_t n = sizeof err;

	ck_fails(npp_connect(fd, SA(a)), ECONNREFUSED);
	ck_assert_int_eq(ready(fd), POLLOUT | POLLHUP);
	npp_close(fd);
	fd = npp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_fails(npp_connect(fd, SA(a)), EINPROGRESS);
	EVENTUALLY(ready(fd) & POLLERR);
	ck_assert_int_eq(npp_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n), 0);
	ck_fails(npp_connect(fd, SA(b)), ECONNABORTED);
	ck_fails(npp_connect(fd, SA(b)), EINPROGRESS);
	npp_close(fd);
}
END_TEST

START_TEST(who_could_not_connect_is_as_new_by_all_its_descriptors)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_REFUSE), b = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0), other = npp_dup(fd), far = npp_fcntl(fd, F_DUPFD, 300), ep = npp_epoll_create1(0);
	struct epoll_event ev;
	uint32_t was, is;

	ck_assert_int_eq(ep_add(ep, other, EPOLLIN), 0);
	ck_fails(npp_connect(fd, SA(a)), ECONNREFUSED);
	ck_assert_int_eq(ready(other), POLLOUT | POLLHUP);
	ck_assert_int_eq(ready(far), POLLOUT | POLLHUP);
	ck_assert_int_eq(npp_connect(other, SA(b)), 0);
	ck_assert_uint_eq(fake_sock_of(f, far, &is)->refs, 3);
	fake_sock_of(f, fd, &was);
	ck_assert_uint_eq(was, is);
	ck_assert_int_eq(npp_write(far, "x", 1), 1);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_int_eq(npp_close(fd) | npp_close(other), 0);
	ck_assert_uint_eq(fake_sock_of(f, far, NULL)->refs, 1);
	npp_close(far);
	npp_close(ep);
}
END_TEST

struct dialing { int fd, r, err; volatile bool over; };

static void *dials(void *arg)
{
	struct dialing *d = arg;
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_SILENT);

	d->r = npp_connect(d->fd, SA(a));
	d->err = errno;
	d->over = true;
	return NULL;
}

/* The descriptor is closed while connect() waits, and what stood for it stands for another socket then. */
START_TEST(a_connect_that_was_closed_leaves_others_their_errors)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_REFUSE);
	struct dialing d = { .fd = npp_socket(AF_INET, SOCK_STREAM, 0) };
	socklen_t n = sizeof(int);
	pthread_t thread;
	uint32_t idx;
	int fd, v, rung = 0;

	ck_assert_int_eq(pthread_create(&thread, NULL, dials, &d), 0);
	EVENTUALLY(fake_sock_of(f, d.fd, &idx) && atomic_load(&f->sock[idx].fl) & NPP_FL_CONNECTING);
	usleep(20000); /* asleep: or the test says less */
	npp_close(d.fd);
	fd = npp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_fails(npp_connect(fd, SA(a)), EINPROGRESS);
	EVENTUALLY(ready(fd) & POLLERR || ready(fd) & POLLHUP);
	for (uint64_t end = now_ms() + 20000; !d.over && now_ms() < end; usleep(1000))
		for (int c = 1; c < NPP_MAX_CTX; c++)
			rung += write(f->ctx_bell[c], &(uint64_t){ 1 }, 8) == 8;
	ck_assert_msg(d.over, "woken by one of %d bells", rung);
	pthread_join(thread, NULL);
	ck_assert_int_eq(d.r, -1);
	ck_assert_int_eq(npp_getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &n), 0);
	ck_assert_int_eq(v, ECONNREFUSED);
	npp_close(fd);
}
END_TEST

START_TEST(shutdown_ends_the_attempt_to_connect)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_fails(npp_connect(fd, SA(a)), EINPROGRESS);
	EVENTUALLY(ready(fd) & POLLOUT);
	ck_assert_int_eq(npp_shutdown(fd, SHUT_RD), 0);
	ck_fails(npp_connect(fd, SA(a)), EISCONN);
	npp_close(fd);
}
END_TEST

START_TEST(the_wildcard_may_have_no_family)
{
	struct sockaddr_in a = addr_of("0.0.0.0", 0), got;
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0);
	socklen_t n = sizeof got;

	a.sin_family = AF_UNSPEC;
	ck_assert_int_eq(npp_bind(fd, SA(a)), 0);
	ck_assert_ptr_nonnull(fake_sock_of(f, fd, NULL));
	ck_assert_int_eq(npp_getsockname(fd, (struct sockaddr *)&got, &n), 0);
	ck_assert_uint_eq(fake_sock_of(f, fd, NULL)->lport, ntohs(got.sin_port));
	npp_close(fd);
}
END_TEST

START_TEST(datagrams_take_no_urgency_and_ipv6_takes_addresses_of_ipv4)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_ECHO);
	struct sockaddr_in6 any = V6(0);
	int fd = npp_socket(AF_INET6, SOCK_DGRAM, 0);
	static char large[65508];
	char c = 0;

	ck_assert_int_eq(npp_bind(fd, SA(any)), 0);
	ck_fails((int)npp_sendto(fd, large, sizeof large, 0, SA(to)), EMSGSIZE);
	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(to)), 1);
	ck_assert_int_eq(npp_recv(fd, &c, 1, MSG_OOB), 1);
	ck_assert_int_eq(c, 'x');
	ck_fails((int)npp_sendto(fd, "x", 1, MSG_OOB, SA(to)), EOPNOTSUPP);
	ck_assert_int_eq(npp_connect(fd, SA(to)), 0);
	ck_assert_int_eq(npp_shutdown(fd, SHUT_RDWR), 0);
	ck_assert_int_eq(ready(fd) & POLLHUP, POLLHUP);
	npp_close(fd);
}
END_TEST

static void *shut_later(void *arg)
{
	uint32_t me;

	EVENTUALLY(fake_sock_of(f, *(int *)arg, NULL)->sub[0] != 0);
	me = NPP_SUB_CTX(fake_sock_of(f, *(int *)arg, NULL)->sub[0]) - 1;
	EVENTUALLY(atomic_load(&f->ctx[me].sleeping) != 0);
	ck_assert_int_eq(npp_shutdown(*(int *)arg, SHUT_RD), 0);
	return NULL;
}

START_TEST(who_waits_for_all_leaves_the_error_to_the_next_call)
{
	uint32_t idx;
	int fd = taken(&idx);
	char buf[16];

	fake_peer_send(f, idx, "abc", 3);
	fake_peer_reset(f, idx, ECONNRESET);
	ck_assert_int_eq(npp_recv(fd, buf, sizeof buf, MSG_WAITALL), 3);
	ck_assert_int_eq(ready(fd) & POLLERR, POLLERR);
	ck_fails((int)npp_recv(fd, buf, sizeof buf, MSG_WAITALL), ECONNRESET);
	npp_close(fd);
}
END_TEST

START_TEST(an_item_hears_of_a_connection_made_by_another_descriptor)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0), other = npp_dup(fd), ep = npp_epoll_create1(0);
	struct epoll_event ev;

	ck_assert_int_eq(ep_add(ep, fd, EPOLLIN), 0);
	ck_assert_int_eq(npp_connect(other, SA(to)), 0);
	ck_assert_int_eq(npp_write(other, "x", 1), 1);
	EVENTUALLY(ready(fd) & POLLIN);
	ck_assert_int_eq(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), 1);
	ck_assert_int_eq(ev.data.fd, fd);
	ck_assert_uint_eq(ev.events, EPOLLIN);
	npp_close(fd);
	npp_close(other);
	npp_close(ep);
}
END_TEST

START_TEST(a_bind_that_fails_leaves_all_descriptors_one_socket)
{
	struct sockaddr_in not_mine = addr_of(FAKE_PEER, 0), me = addr_of(FAKE_ADDR, 0);
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0), other = npp_dup(fd);
	uint32_t is, was;

	ck_fails(npp_bind(fd, SA(not_mine)), EADDRNOTAVAIL);
	ck_assert_int_eq(npp_bind(fd, SA(me)), 0);
	ck_assert_int_eq(npp_listen(fd, 5), 0);
	ck_assert_ptr_nonnull(fake_sock_of(f, other, &is));
	fake_sock_of(f, fd, &was);
	ck_assert_uint_eq(is, was);
	npp_close(fd);
	npp_close(other);
}
END_TEST

START_TEST(fast_open_needs_an_address_and_no_connection)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, FAKE_ECHO), me = addr_of(FAKE_ADDR, 0);
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0), fresh = npp_socket(AF_INET, SOCK_STREAM, 0), v = 7;
	socklen_t n = sizeof v;

	ck_assert_int_eq(npp_sendto(fd, "x", 1, MSG_FASTOPEN, SA(a)), 1);
	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &v, &n), 0);
	ck_assert_int_eq(v, 0);
	ck_fails((int)npp_sendto(fd, "x", 1, MSG_FASTOPEN, SA(a)), EISCONN);
	ck_fails((int)npp_send(fd, "x", 1, MSG_FASTOPEN), EISCONN);
	ck_assert_int_eq(npp_send(fd, "x", 1, 0), 1);
	ck_assert_int_eq(npp_bind(fresh, SA(me)), 0);
	ck_fails((int)npp_send(fresh, "x", 1, MSG_FASTOPEN), EINVAL);
	npp_close(fresh);
	npp_close(fd);
}
END_TEST

START_TEST(the_end_of_a_file_is_no_broken_pipe)
{
	int fd = dial(FAKE_DISCARD), in = memfd_create("file", 0);
	off_t at = 3;

	ck_assert_int_eq(write(in, "abc", 3), 3);
	ck_assert_int_eq(npp_shutdown(fd, SHUT_WR), 0);
	ck_assert_int_eq(npp_sendfile(fd, in, &at, 10), 0);
	ck_assert_int_eq(npp_sendfile(fd, in, NULL, 10), 0);
	ck_fails((int)npp_sendfile(fd, -1, &at, 10), EBADF);
	signals = 0;
	signal(SIGPIPE, on_signal);
	at = 2;
	ck_fails((int)npp_sendfile(fd, in, &at, 10), EPIPE);
	ck_assert_int_eq(signals, 1);
	signal(SIGPIPE, SIG_DFL);
	close(in);
	npp_close(fd);
}
END_TEST

START_TEST(a_port_that_a_send_chose_ends_the_choice_of_families)
{
	static const int on = 1;
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_DISCARD);
	int fd = npp_socket(AF_INET6, SOCK_DGRAM, 0);

	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(to)), 1);
	ck_fails(npp_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), EINVAL);
	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(to)), 1);
	npp_close(fd);
	fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(to)), 1);
	ck_fails(npp_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), ENOPROTOOPT);
	npp_close(fd);
}
END_TEST

START_TEST(shutdown_ends_the_wait_for_a_datagram)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_DISCARD), from;
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	char buf[8], control[64];
	struct iovec iov = { buf, sizeof buf };
	struct msghdr mh = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = control, .msg_controllen = sizeof control, .msg_flags = 0x55 };
	pthread_t t;

	ck_assert_int_eq(npp_connect(fd, SA(to)), 0);
	pthread_create(&t, NULL, shut_later, &fd);
	ck_assert_int_eq(npp_recvmsg(fd, &mh, 0), 0);
	pthread_join(t, NULL);
	ck_assert_uint_eq(mh.msg_namelen, 0);
	ck_assert_uint_eq(mh.msg_controllen, 0);
	ck_assert_int_eq(mh.msg_flags, 0);
	ck_fails((int)npp_recv(fd, buf, 1, MSG_DONTWAIT), EAGAIN);
	npp_close(fd);
}
END_TEST

START_TEST(an_edge_of_shutdown_is_told_at_once_and_once)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_DISCARD);
	int ep = npp_epoll_create1(0), fd, dgram = npp_socket(AF_INET, SOCK_DGRAM, 0);
	struct epoll_event ev[4];
	uint32_t idx, looks;

	fd = taken(&idx);
	ck_assert_int_eq(npp_connect(dgram, SA(to)), 0);
	ck_assert_int_eq(ep_add(ep, fd, EPOLLIN | EPOLLET), 0);
	ck_assert_int_eq(ep_add(ep, dgram, EPOLLIN | EPOLLET), 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, ev, 4, 0, NULL), 0);
	looks = *(volatile uint32_t *)&f->looks;
	ck_assert_int_eq(npp_shutdown(fd, SHUT_RD), 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, ev, 4, 0, NULL), 1);
	ck_assert_uint_eq(ev[0].events, EPOLLIN);
	ck_assert_int_eq(npp_shutdown(dgram, SHUT_RD), 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, ev, 4, 0, NULL), 1);
	ck_assert_uint_eq(ev[0].events, EPOLLIN);
	EVENTUALLY(*(volatile uint32_t *)&f->looks >= looks + 2);
	ck_assert_int_eq(npp_epoll_pwait(ep, ev, 4, 20, NULL), 0);
	fake_peer_send(f, idx, "a", 1); /* what comes then is told */
	ck_assert_int_eq(npp_epoll_pwait(ep, ev, 4, 20000, NULL), 1);
	ck_assert_int_eq(npp_shutdown(fd, SHUT_WR), 0);
	ck_assert_int_eq(npp_epoll_pwait(ep, ev, 4, 0, NULL), 1);
	ck_assert_uint_eq(ev[0].events, EPOLLIN | EPOLLHUP);
	npp_close(fd);
	npp_close(dgram);
	npp_close(ep);
}
END_TEST

START_TEST(one_shot_is_one_also_of_what_is_the_kernels_as_well)
{
	struct sockaddr_in any = addr_of("0.0.0.0", 0);
	int ep = npp_epoll_create1(0), fd = npp_socket(AF_INET, SOCK_STREAM, 0), n = 0;
	struct epoll_event ev[2] = { 0 };

	ck_assert_int_eq(ep_add(ep, fd, EPOLLOUT | EPOLLONESHOT), 0);
	ck_assert_int_eq(npp_bind(fd, SA(any)), 0);
	ck_assert_ptr_nonnull(fake_sock_of(f, fd, NULL));
	for (int i = 0; i < 20; i++)
		n += npp_epoll_pwait(ep, &ev[n != 0], 1, 0, NULL);
	ck_assert_int_eq(n, 1);
	ck_assert_uint_eq(ev[0].events, EPOLLOUT | EPOLLHUP);
	ck_assert_int_eq(ready(fd), POLLOUT | POLLHUP);
	npp_close(fd);
	npp_close(ep);
}
END_TEST

/* The levels and types of what comes beside a datagram that FD sends to itself by the peer, and their lengths. */
static void ck_beside(int fd, const struct sockaddr *to, socklen_t len, const char *want)
{
	char buf[8], control[256], said[128] = "";
	struct iovec iov = { buf, sizeof buf };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };

	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, to, len), 1);
	ck_assert_int_eq(npp_recvmsg(fd, &mh, 0), 1);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c))
		sprintf(said + strlen(said), "%d.%d/%zu ", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len - CMSG_LEN(0));
	ck_assert_str_eq(said, want);
}

START_TEST(options_of_ipv4_are_for_datagrams_of_ipv4)
{
	static const int on = 1;
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET6, SOCK_DGRAM, 0), v = 7;
	socklen_t n = sizeof v;

	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(to)), 1);
	ck_assert_int_eq(npp_recv(fd, &v, 1, 0), 1);
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on), 0);
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on), 0);
	ck_beside(fd, SA(to), "");
	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_IP, IP_RECVTOS, &v, &n), 0);
	ck_assert_int_eq(v, 0);
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on), 0);
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on), 0);
	ck_beside(fd, SA(to), "0.2/4 0.1/1 ");
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &(int){ 0 }, sizeof on), 0);
	ck_beside(fd, SA(to), "0.2/4 0.1/1 ");
	npp_close(fd);
	fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on), 0);
	ck_beside(fd, SA(to), "0.2/4 ");
	npp_close(fd);
}
END_TEST

/* The NPP has an address of IPv6, too. */
static void with_ipv6(void)
{
	struct npp_global *g = f->global.base;
	unsigned plen;

	ck_assert_int_eq(npp_addr_parse_prefix("fd00:0:0:1::1/64", &g->addr[1].addr, &plen), 0);
	g->addr[1].prefix_len = (uint8_t)plen;
	g->n_addrs = 2;
}

static int v6only(int fd)
{
	socklen_t n = sizeof(int);
	int v = -1;

	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v, &n), 0);
	return v;
}

START_TEST(a_datagram_socket_for_ipv6_alone_has_no_way_to_ipv4)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_DISCARD);
	struct sockaddr_in6 at = V6(0), mapped = V6(FAKE_DISCARD);
	int fd = npp_socket(AF_INET6, SOCK_DGRAM, 0), on = 1;

	with_ipv6();
	ck_assert_int_eq(inet_pton(AF_INET6, "fd00:0:0:1::1", &at.sin6_addr), 1);
	ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:" FAKE_PEER, &mapped.sin6_addr), 1);
	ck_assert_int_eq(npp_bind(fd, SA(at)), 0);
	ck_assert_int_eq(v6only(fd), 1);
	ck_fails((int)npp_sendto(fd, "x", 1, 0, SA(to)), ENETUNREACH);
	ck_fails((int)npp_sendto(fd, "x", 1, 0, (struct sockaddr *)&to, 8), ENETUNREACH);
	ck_fails(npp_connect(fd, SA(to)), EAFNOSUPPORT);
	ck_fails((int)npp_sendto(fd, "x", 1, 0, SA(mapped)), ENETUNREACH);
	ck_fails(npp_connect(fd, SA(mapped)), ENETUNREACH);
	npp_close(fd);

	fd = npp_socket(AF_INET6, SOCK_DGRAM, 0);
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), 0);
	ck_fails((int)npp_sendto(fd, "x", 1, 0, SA(mapped)), ENETUNREACH);
	npp_close(fd);
}
END_TEST

START_TEST(connect_from_the_wildcard_leaves_a_socket_to_both_families)
{
	struct sockaddr_in6 any = V6(0), to = V6(FAKE_DISCARD);
	int fd = npp_socket(AF_INET6, SOCK_DGRAM, 0);

	with_ipv6();
	ck_assert_int_eq(inet_pton(AF_INET6, "fd00:0:0:1::63", &to.sin6_addr), 1);
	ck_assert_int_eq(npp_bind(fd, SA(any)), 0);
	ck_assert_int_eq(npp_connect(fd, SA(to)), 0);
	ck_assert_ptr_nonnull(fake_sock_of(f, fd, NULL));
	ck_assert_int_eq(v6only(fd), 0);
	npp_close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libnpp_as_linux");
	TCase *tc = tcase_create("as_linux");

	tcase_add_checked_fixture(tc, up, down);
	tcase_add_test(tc, an_address_for_a_stream_is_ignored);
	tcase_add_test(tc, a_reset_that_is_told_as_a_broken_pipe_raises_the_signal);
	tcase_add_test(tc, recv_of_nothing_waits_once_and_read_does_not);
	tcase_add_test(tc, who_peeks_at_an_urgent_byte_alone_sees_the_end_behind_it);
	tcase_add_test(tc, recvmmsg_tells_an_error_before_what_is_there);
	tcase_add_test(tc, recvmmsg_leaves_no_error_to_whom_the_record_belongs_by_then);
	tcase_add_test(tc, recvmmsg_leaves_the_error_that_came_after_something);
	tcase_add_test(tc, who_peeks_at_all_waits_for_nothing_behind_the_end);
	tcase_add_test(tc, names_have_no_negative_length_and_the_dead_no_peer);
	tcase_add_test(tc, dup3_with_flags_that_do_not_exist_takes_nothing_away);
	tcase_add_test(tc, exclusive_items_take_few_events_and_no_change);
	tcase_add_test(tc, levels_lengths_and_values_of_options);
	tcase_add_test(tc, the_state_comes_before_the_address);
	tcase_add_test(tc, who_could_not_connect_is_as_new);
	tcase_add_test(tc, who_could_not_connect_is_as_new_by_all_its_descriptors);
	tcase_add_test(tc, a_connect_that_was_closed_leaves_others_their_errors);
	tcase_add_test(tc, shutdown_ends_the_attempt_to_connect);
	tcase_add_test(tc, the_wildcard_may_have_no_family);
	tcase_add_test(tc, datagrams_take_no_urgency_and_ipv6_takes_addresses_of_ipv4);
	tcase_add_test(tc, a_datagram_socket_for_ipv6_alone_has_no_way_to_ipv4);
	tcase_add_test(tc, connect_from_the_wildcard_leaves_a_socket_to_both_families);
	tcase_add_test(tc, who_waits_for_all_leaves_the_error_to_the_next_call);
	tcase_add_test(tc, an_item_hears_of_a_connection_made_by_another_descriptor);
	tcase_add_test(tc, a_bind_that_fails_leaves_all_descriptors_one_socket);
	tcase_add_test(tc, fast_open_needs_an_address_and_no_connection);
	tcase_add_test(tc, the_end_of_a_file_is_no_broken_pipe);
	tcase_add_test(tc, a_port_that_a_send_chose_ends_the_choice_of_families);
	tcase_add_test(tc, shutdown_ends_the_wait_for_a_datagram);
	tcase_add_test(tc, an_edge_of_shutdown_is_told_at_once_and_once);
	tcase_add_test(tc, one_shot_is_one_also_of_what_is_the_kernels_as_well);
	tcase_add_test(tc, options_of_ipv4_are_for_datagrams_of_ipv4);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
