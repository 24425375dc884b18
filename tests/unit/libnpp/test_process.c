/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_process.c - libnpp over a fake host: descriptors, options, fork, exec
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "npp-osm/libnpp/epoll_priv.h"
#include "npp-osm/libnpp/priv.h"

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

/* ---- options ---------------------------------------------------------------------------------------- */

static const struct { int level, name, set, get; } table[] = {
	{ SOL_SOCKET, SO_REUSEADDR, 1, 1 }, { SOL_SOCKET, SO_KEEPALIVE, 7, 1 }, { SOL_SOCKET, SO_RCVBUF, 30000, 60000 },
	{ SOL_SOCKET, SO_SNDBUF, 40000, 80000 }, { SOL_SOCKET, SO_RCVLOWAT, 0, 1 }, { IPPROTO_TCP, TCP_NODELAY, 1, 1 },
	{ IPPROTO_TCP, TCP_CORK, 1, 1 }, { IPPROTO_TCP, TCP_CORK, 0, 0 }, { IPPROTO_TCP, TCP_KEEPIDLE, 30, 30 },
	{ IPPROTO_TCP, TCP_KEEPINTVL, 5, 5 }, { IPPROTO_TCP, TCP_KEEPCNT, 4, 4 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 500, 500 },
	{ IPPROTO_TCP, TCP_QUICKACK, 1, 1 }, { IPPROTO_IP, IP_TOS, 0x10, 0x10 }, { IPPROTO_IP, IP_TTL, 33, 33 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, 5, 7 }, { IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, 0 }, { IPPROTO_TCP, TCP_DEFER_ACCEPT, 200, 247 },
	{ IPPROTO_TCP, TCP_SYNCNT, 3, 3 }, { IPPROTO_TCP, TCP_LINGER2, -1, -1 }, { IPPROTO_TCP, TCP_LINGER2, 0, 60 },
	{ IPPROTO_TCP, TCP_LINGER2, 200, 120 }, { IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384, 16384 },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, 100, 1152 }, { IPPROTO_IP, IP_TOS, 0x48, 0x48 }, { SOL_SOCKET, SO_PRIORITY, 4, 4 },
	{ IPPROTO_TCP, TCP_KEEPCNT, 5, 5 }, { IPPROTO_TCP, TCP_SYNCNT, 127, 127 },
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

START_TEST(each_socket_is_an_inode_of_its_own)
{
	int a = dial(FAKE_ECHO), b = dial(FAKE_ECHO), c = npp_dup(a), p[2];
	struct stat sa, sb, sc, file, real;

	ck_assert_int_eq(npp_fstat(a, &sa), 0);
	ck_assert_int_eq(npp_fstat(b, &sb), 0);
	ck_assert_int_eq(npp_fstat(c, &sc), 0);
	ck_assert(S_ISSOCK(sa.st_mode));
	ck_assert_uint_ne(sa.st_ino, sb.st_ino);
	ck_assert_uint_eq(sa.st_ino, sc.st_ino);
	if (fork() == 0)
		_exit(npp_fstat(a, &sc) || sc.st_ino != sa.st_ino);
	ck_assert_int_gt(wait(&p[0]), 0);
	ck_assert_int_eq(p[0], 0);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(npp_fstat(p[0], &file), 0);
	ck_assert_int_eq(fstat(p[0], &real), 0);
	ck_assert_uint_eq(file.st_ino, real.st_ino);
	close(p[0]);
	close(p[1]);
	ck_fails(npp_fstat(p[0], &file), EBADF);
	npp_close(a);
	npp_close(b);
	npp_close(c);
}
END_TEST

/* The kernel would take them, and then the socket is ours: what was promised would not hold. */
START_TEST(what_others_would_count_on_is_refused_before_the_socket_is_ours)
{
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct tcp_md5sig key = { .tcpm_keylen = 3, .tcpm_key = "abc" };

	((struct sockaddr_in *)&key.tcpm_addr)->sin_family = AF_INET;
	ck_fails(npp_setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one), EOPNOTSUPP);
	ck_fails(npp_setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key), ENOPROTOOPT);
	npp_close(fd);
}
END_TEST

/* As Linux 6 does it, where the kernel is not there to be asked: a connected socket, and one that is bound to an address of
 * the NPP. WANT: errno, or 0 and what is read then. */
static const struct { int level, name, set, want, get; bool bound; } judged[] = {
	{ IPPROTO_IP, IP_TOS, 255, 0, 252, false }, { IPPROTO_IP, IP_TOS, -1, 0, 252, false }, { IPPROTO_IP, IP_TOS, 7, 0, 4, false },
	{ IPPROTO_IPV6, IPV6_TCLASS, 1, ENOPROTOOPT, 0, false }, { IPPROTO_UDP, UDP_GRO, 1, ENOPROTOOPT, 0, false },
	{ IPPROTO_IP, IP_MULTICAST_ALL, 2, EINVAL, 0, false }, { IPPROTO_TCP, TCP_FASTOPEN, 5, EINVAL, 0, false },
	{ IPPROTO_TCP, TCP_FASTOPEN, 5, 0, 5, true }, { IPPROTO_TCP, TCP_FASTOPEN, 70000, 0, 4096, true },
	{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1, EINVAL, 0, false }, { IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 2, EINVAL, 0, true },
	{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1, 0, 1, true }, { IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1, EINVAL, 0, false },
	{ IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1, 0, 1, true }, { IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 2, EINVAL, 0, false },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, EINVAL, 0, false }, { IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, 0, 0, true },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, -1, 0, 1152, false }, { IPPROTO_TCP, TCP_TIMESTAMP, 1, EPERM, 0, false },
	{ SOL_SOCKET, SO_SNDLOWAT, 1, ENOPROTOOPT, 0, false }, { SOL_SOCKET, SO_SNDBUF, -1, 0, 4 << 20, false },
	{ SOL_SOCKET, SO_RCVBUF, -1, 0, 4 << 20, false }, { SOL_SOCKET, SO_RCVLOWAT, -1, 0, 2 << 20, false },
	{ SOL_SOCKET, SO_RCVLOWAT, 5, 0, 5, false }, { SOL_SOCKET, SO_ZEROCOPY, 0, 0, 0, false },
};

START_TEST(values_are_judged_as_by_linux)
{
	struct sockaddr_in a = addr_of(FAKE_ADDR, 0);
	int fd[2] = { dial(FAKE_ECHO), npp_socket(AF_INET, SOCK_STREAM, 0) }, judged_lowat = dial(FAKE_ECHO), v;
	socklen_t n = sizeof v;
	uint64_t rate = 5;
	uint8_t byte;

	ck_assert_int_eq(npp_bind(fd[1], SA(a)), 0);
	for (size_t i = 0; i < sizeof judged / sizeof *judged; i++) {
		int r = npp_setsockopt(fd[judged[i].bound], judged[i].level, judged[i].name, &judged[i].set, sizeof(int));

		ck_assert_msg((r < 0 ? errno : 0) == judged[i].want, "row %zu: %d, errno %d", i, r, errno);
		if (r < 0)
			continue;
		ck_assert_int_eq(npp_getsockopt(fd[judged[i].bound], judged[i].level, judged[i].name, &v, &n), 0);
		ck_assert_msg(v == judged[i].get, "row %zu: %d", i, v);
	}
	v = 200000; /* who waits for that gets a buffer for it; one that was set stays */
	ck_assert_int_eq(npp_setsockopt(judged_lowat, SOL_SOCKET, SO_RCVLOWAT, &v, sizeof v), 0);
	ck_assert_int_eq(npp_getsockopt(judged_lowat, SOL_SOCKET, SO_RCVBUF, &v, &n), 0);
	ck_assert_int_eq(v, 400000);
	v = 50000;
	ck_assert_int_eq(npp_setsockopt(judged_lowat, SOL_SOCKET, SO_RCVBUF, &v, sizeof v), 0);
	ck_assert_int_eq(npp_getsockopt(judged_lowat, SOL_SOCKET, SO_RCVBUF, &v, &n), 0);
	ck_assert_int_eq(v, 100000);
	npp_close(judged_lowat);
	ck_fails(npp_setsockopt(*fd, SOL_SOCKET, SO_TYPE, &v, 1), EINVAL);
	ck_fails(npp_setsockopt(*fd, IPPROTO_TCP, TCP_ULP, "tls", 3), ENOENT); /* names may be short */
	ck_assert_int_eq(npp_setsockopt(*fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2), 0);
	ck_fails(npp_setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, &v, (socklen_t)-1), EINVAL);
	ck_assert_int_eq(npp_setsockopt(*fd, IPPROTO_IP, IP_TOS, NULL, 0), 0);
	ck_fails(npp_setsockopt(*fd, IPPROTO_IP, IP_TTL, NULL, 0), EINVAL);
	ck_assert_int_eq(npp_setsockopt(*fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate), 0);
	n = sizeof rate;
	ck_assert_int_eq(npp_getsockopt(*fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &n), 0);
	ck_assert(n == sizeof rate && rate == 5);
	rate = UINT64_MAX;
	ck_assert_int_eq(npp_setsockopt(*fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate), 0);
	rate = 0;
	ck_assert_int_eq(npp_getsockopt(*fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &n), 0);
	ck_assert(rate == UINT64_MAX);
	ck_fails(npp_getsockopt(*fd, SOL_SOCKET, SO_RCVBUFFORCE, &v, &n), ENOPROTOOPT);
	ck_fails(npp_getsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &v, &n), EOPNOTSUPP);
	ck_fails(npp_getsockopt(*fd, IPPROTO_UDP, UDP_GRO, &v, &n), EOPNOTSUPP);
	ck_fails(npp_getsockopt(fd[1], IPPROTO_IP, IP_MTU, &v, &n), ENOTCONN);
	n = (socklen_t)-1;
	ck_fails(npp_getsockopt(*fd, SOL_SOCKET, SO_TYPE, &v, &n), EINVAL);
	n = 3;
	ck_assert_int_eq(npp_getsockopt(*fd, IPPROTO_IP, IP_TTL, &byte, &n), 0);
	ck_assert(n == 1 && byte == 64);
	npp_close(fd[0]);
	npp_close(fd[1]);
}
END_TEST

START_TEST(tcp_info_of_a_listener_tells_its_queue)
{
	uint16_t port;
	int l = serve(&port, 0), c;
	struct tcp_info ti;
	socklen_t n = sizeof ti;

	for (uint16_t i = 0; i < 3; i++)
		fake_peer_connect(f, port, i % FAKE_IOPS, (uint16_t)(5000 + i));
	ck_assert_int_eq(npp_getsockopt(l, IPPROTO_TCP, TCP_INFO, &ti, &n), 0);
	ck_assert_uint_eq(ti.tcpi_state, TCP_LISTEN);
	ck_assert_uint_eq(ti.tcpi_unacked, 3);
	ck_assert_uint_eq(ti.tcpi_sacked, 16);
	c = npp_accept4(l, NULL, NULL, 0);
	ck_assert_int_eq(npp_getsockopt(l, IPPROTO_TCP, TCP_INFO, &ti, &n), 0);
	ck_assert_uint_eq(ti.tcpi_unacked, 2);
	npp_close(c);
	npp_close(l);
}
END_TEST

/* Words that several options share. */
START_TEST(options_do_not_touch_their_neighbours)
{
	static const struct { int name, v; } some[] = { { TCP_KEEPIDLE, 32767 }, { TCP_KEEPINTVL, 11 }, { TCP_KEEPCNT, 127 },
							{ TCP_SYNCNT, 9 }, { TCP_LINGER2, 13 }, { TCP_DEFER_ACCEPT, 3 } };
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0), v;
	socklen_t n = sizeof v;

	for (int ours = 0; ours < 2; ours++) {
		for (size_t i = 0; i < sizeof some / sizeof *some; i++)
			ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_TCP, some[i].name, &some[i].v, sizeof v), 0);
		for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
			ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_TCP, some[i].name, &v, &n), 0);
			ck_assert_int_eq(v, some[i].v);
		}
		npp_close(fd);
		fd = dial(FAKE_ECHO);
	}
	npp_close(fd);
}
END_TEST

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

/* Is it KEY, N bytes, that FD has for Fast Open? */
static bool has_key(int fd, const void *key, socklen_t n)
{
	uint8_t got[64];
	socklen_t len = sizeof got;

	return npp_getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, got, &len) == 0 && len == n && memcmp(got, key, n) == 0;
}

START_TEST(a_listener_keeps_its_keys_where_isms_look)
{
	static const uint8_t key[33] = "0123456789abcdefghijklmnopqrstuv";
	struct sockaddr_in a = addr_of("0.0.0.0", 0);
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0), status;
	struct npp_sock *s;
	struct tcp_info ti;
	socklen_t n = sizeof ti;
	uint64_t word;
	char cc[16];

	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, 16), 0);
	ck_assert_int_eq(npp_bind(fd, SA(a)), 0);
	ck_assert(has_key(fd, key, 16));
	ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key + 16, 16), 0);
	ck_assert_int_eq(npp_listen(fd, 16), 0);
	ck_assert(has_key(fd, key + 16, 16));
	s = fake_sock_of(f, fd, NULL);
	ck_assert_uint_eq(NPP_TFO_COUNT(s->tfo.state), 1);
	word = s->tfo.key[NPP_TFO_TURN(s->tfo.state) & 1][0][1];
	ck_assert_mem_eq(&word, key + 24, sizeof word);
	for (socklen_t len = 0; len <= 33; len++) {
		if (len == 16 || len == 32)
			ck_assert_int_eq(npp_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, len), 0);
		else
			ck_fails(npp_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, len), EINVAL);
		ck_assert(len < 16 ? has_key(fd, key + 16, 16) : has_key(fd, key, len < 32 ? 16 : 32));
	}
	ck_assert_uint_eq(NPP_TFO_COUNT(s->tfo.state), 2);
	if (npp_fork() == 0)
		_exit(!has_key(fd, key, 32));
	ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &n), 0); /* keys are no statistics */
	ck_assert_uint_eq(ti.tcpi_rtt | ti.tcpi_snd_mss | ti.tcpi_total_retrans, 0);
	n = sizeof cc;
	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, &n), 0);
	ck_assert_str_eq(cc, "cubic");
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

/* As vsftpd makes its children, and goes on by fork() where it may not. */
static bool by_number(long flags, long stack, long *pid)
{
	pid_t parent_tid, child_tid;

	return npp_clone(SYS_clone, (const long[6]){ flags, stack, (long)(intptr_t)&parent_tid, (long)(intptr_t)&child_tid }, pid);
}

static bool by_number3(uint64_t flags, long *pid)
{
	uint64_t c[8] = { flags, 0, 0, 0, SIGCHLD };

	return npp_clone(SYS_clone3, (const long[6]){ (long)(intptr_t)c, sizeof c }, pid);
}

/* The child is one of fork(): it uses a socket of its parent. */
static void ends_well(int fd, long pid)
{
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		char b[4];

		_exit(!(npp_send(fd, "x", 1, 0) == 1 && npp_recv(fd, b, sizeof b, 0) == 1));
	}
	ck_assert_int_eq(waitpid((pid_t)pid, &status, 0), (pid_t)pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(clone_by_number_is_a_fork_or_refused)
{
	long pid = 0;
	int fd;

	ck_assert(!by_number(SIGCHLD | CLONE_NEWIPC, 0, &pid)); /* there is nothing to lose */
	fd = dial(FAKE_ECHO);
	ck_assert(!by_number(SIGCHLD | CLONE_VM, 4096, &pid)); /* a thread, or vfork */
	ck_assert(!by_number3(CLONE_VM | CLONE_VFORK, &pid));
	errno = 0;
	ck_assert(by_number(SIGCHLD | CLONE_NEWPID | CLONE_NEWNET, 0, &pid));
	ck_assert_int_eq(pid, -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert(by_number3(CLONE_NEWNS, &pid));
	ck_assert_int_eq(pid, -1);
	ck_assert(by_number(SIGCHLD, 0, &pid));
	ends_well(fd, pid);
	ck_assert(by_number(SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, 0, &pid));
	ends_well(fd, pid);
	ck_assert(by_number3(0, &pid));
	ends_well(fd, pid);
	npp_close(fd);
}
END_TEST

static pthread_mutex_t prepared = PTHREAD_MUTEX_INITIALIZER;
static sem_t closing;
static bool has_prepared;

static void prepare_it(void)
{
	if (has_prepared)
		pthread_mutex_lock(&prepared);
}

static void prepare_over(void)
{
	if (has_prepared)
		pthread_mutex_unlock(&prepared);
}

static void *closes_under_it(void *fd)
{
	pthread_mutex_lock(&prepared);
	sem_post(&closing);
	usleep(50000); /* the fork is under way */
	npp_close(*(int *)fd);
	pthread_mutex_unlock(&prepared);
	return NULL;
}

/* A handler of the program's waits for a thread that waits for our lock. */
static void *kills_the_child(void *pid)
{
	usleep(100000); /* it waits for the OSM */
	while (*(volatile pid_t *)pid == 0)
		usleep(1000);
	kill(*(volatile pid_t *)pid, SIGKILL);
	return NULL;
}

static void *closes(void *fd)
{
	npp_close(*(int *)fd);
	return NULL;
}

static __attribute__((noinline)) pid_t exec_by_vfork(volatile pid_t *said)
{
	static char *const argv[] = { (char *)(uintptr_t)"true", NULL };
	pid_t pid = vfork();

	if (pid == 0) {
		*said = getpid();
		npp_execve("/bin/true", argv, environ);
		_exit(1);
	}
	return pid;
}

/* It has the memory of its parent, and the locks in it. */
START_TEST(a_child_of_vfork_may_be_killed_before_exec)
{
	int fd = dial(FAKE_ECHO), other = dial(FAKE_ECHO), status;
	static volatile pid_t said;
	pthread_t killer, t;
	pid_t pid;

	said = 0;
	fake_hold(f, true);
	ck_assert_int_eq(pthread_create(&killer, NULL, kills_the_child, (void *)(uintptr_t)&said), 0);
	pid = exec_by_vfork(&said);
	pthread_join(killer, NULL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	fake_hold(f, false);
	ck_assert_int_eq(pthread_create(&t, NULL, closes, &other), 0);
	npp_close(npp_dup(fd));
	pthread_join(t, NULL);
	ck_assert_uint_eq(npp_thr.inside, 0);
	ck_assert_uint_eq(npp_thr.section, 0);
	ends_well(fd, npp_fork());
	npp_close(fd);
}
END_TEST

START_TEST(fork_waits_for_handlers_without_a_lock)
{
	int fd = dial(FAKE_ECHO), other = dial(FAKE_ECHO);
	struct npp_sock *sk = fake_sock_of(f, other, NULL);
	pthread_t t;

	ck_assert(sem_init(&closing, 0, 0) == 0 && pthread_atfork(prepare_it, prepare_over, prepare_over) == 0);
	has_prepared = true;
	ck_assert_int_eq(pthread_create(&t, NULL, closes_under_it, &other), 0);
	sem_wait(&closing);
	ends_well(fd, npp_fork());
	pthread_join(t, NULL);
	has_prepared = false;
	EVENTUALLY(sk->refs == 0); /* nor has the child kept what was closed meanwhile */
	npp_close(fd);
}
END_TEST

static struct below { int fd; pthread_t forks; bool child_goes_on; volatile int status; } below;

static bool echoes(int fd)
{
	char b[4];

	return npp_send(fd, "x", 1, 0) == 1 && npp_recv(fd, b, sizeof b, 0) == 1;
}

static void fork_over_it(int sig)
{
	int status = -1;
	pid_t pid;

	(void)sig;
	pid = npp_fork();
	if (pid == 0) {
		if (!below.child_goes_on)
			_exit(!echoes(below.fd));
		return;
	}
	waitpid(pid, &status, 0);
	below.status = status;
}

/* When the OSM has been asked for the table of a child, and has not answered yet. */
static void *signal_the_fork(void *arg)
{
	int there = 0;

	(void)arg;
	while (there == 0) {
		pthread_mutex_lock(&f->lock);
		for (unsigned i = 0; i < f->n_conn && there == 0; i++)
			if (f->conn[i] >= 0 && ioctl(f->conn[i], FIONREAD, &there) < 0)
				there = 0;
		pthread_mutex_unlock(&f->lock);
		usleep(1000);
	}
	pthread_kill(below.forks, SIGUSR1);
	fake_hold(f, false);
	return NULL;
}

/* As of a server that starts children anew when they end. Every child has the sockets, and nothing is left. */
START_TEST(a_handler_forks_over_fork)
{
	struct sigaction sa = { .sa_handler = fork_over_it }, old;
	pid_t self = getpid(), pid;
	int status;

	below = (struct below){ .fd = dial(FAKE_ECHO), .forks = pthread_self() };
	ck_assert(echoes(below.fd)); /* nothing else is asked of the OSM from here on */
	sigaction(SIGUSR1, &sa, &old);
	for (int goes_on = 0; goes_on < 2; goes_on++) {
		pthread_t t;

		below.status = -1;
		below.child_goes_on = goes_on;
		fake_hold(f, true);
		ck_assert_int_eq(pthread_create(&t, NULL, signal_the_fork, NULL), 0);
		pid = npp_fork();
		if (pid == 0)
			_exit(!echoes(below.fd));
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			status = -1;
		if (getpid() != self) /* of the handler */
			_exit(status != 0);
		pthread_join(t, NULL);
		ck_assert_int_eq(status, 0);
		ck_assert_int_eq(below.status, 0);
	}
	sigaction(SIGUSR1, &old, NULL);
	for (unsigned i = 0; i < NPP_MAX_PROCS; i++) /* the OSM has heard of each what became of it */
		EVENTUALLY(f->proc[i].state != NPP_PROC_EMBRYO || f->proc[i].pid != 0);
	npp_close(below.fd);
}
END_TEST

static _Atomic int changing;	/* 1: an instance is held, 2: it was */

static void *change(void *arg)
{
	struct ep *ep = arg;

	ep_lock(ep);
	changing = 1;
	while (atomic_load(&npp_lib.fd_word) == 0) /* until somebody forks */
		usleep(200);
	usleep(20000);
	changing = 2;
	ep_unlock(ep);
	return NULL;
}

START_TEST(child_of_fork_inherits_no_instance_half_changed)
{
	int fd = dial(FAKE_ECHO), epfd = npp_epoll_create1(0), status;
	struct epoll_event ev;
	pthread_t t;
	pid_t pid;

	ck_assert_int_eq(ep_add(epfd, fd, EPOLLOUT), 0);
	changing = 0;
	ck_assert_int_eq(pthread_create(&t, NULL, change, fd_get(epfd)->ep), 0);
	while (!changing)
		usleep(200);
	pid = npp_fork();
	if (pid == 0)
		_exit(changing != 2 || npp_epoll_pwait(epfd, &ev, 1, 20000, NULL) != 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	pthread_join(t, NULL);
	ck_assert_int_eq(npp_epoll_pwait(epfd, &ev, 1, 20000, NULL), 1);
	npp_close(fd);
	npp_close(epfd);
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
		int over = npp_fcntl(fd, F_DUPFD, 70); /* by a detour, and over another */

		npp_dup2(over, 60);
		npp_close(over);
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

START_TEST(addresses_of_npps_are_those_of_the_machine)
{
	struct ifaddrs *all, *a, *found = NULL;
	char ip[INET_ADDRSTRLEN];

	ck_assert_int_eq(npp_getifaddrs(&all), 0);
	for (a = all; a; a = a->ifa_next)
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET &&
		    strcmp(inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr, ip, sizeof ip), FAKE_ADDR) == 0)
			found = a;
	ck_assert_ptr_nonnull(found);
	ck_assert_str_eq(found->ifa_name, "npp0");
	ck_assert_uint_eq(((struct sockaddr_in *)(void *)found->ifa_netmask)->sin_addr.s_addr, htonl(0xffffff00));
	ck_assert_str_eq(inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)found->ifa_broadaddr)->sin_addr, ip, sizeof ip),
			 "10.1.0.255");
	npp_freeifaddrs(all);
}
END_TEST

/* As sk->ifno does for sockets: an address of the NPP as a whole is at the first port. */
START_TEST(a_link_local_address_names_its_network_port)
{
	struct npp_global *g = f->global.base;
	struct ifaddrs *all;
	unsigned seen = 0;
	unsigned plen;

	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_int_eq(npp_addr_parse_prefix(i == 1 ? "fe80::1/64" : "fe80::2/64", &g->addr[i].addr, &plen), 0);
		g->addr[i].prefix_len = (uint8_t)plen;
		g->addr[i].port = i == 1 ? NPP_PORT_ANY : 1;
	}
	g->n_addrs = 3;
	ck_assert_int_eq(npp_getifaddrs(&all), 0);
	for (struct ifaddrs *a = all; a; a = a->ifa_next) {
		struct sockaddr_in6 *in6 = (void *)a->ifa_addr;

		if (!in6 || in6->sin6_family != AF_INET6 || strcmp(a->ifa_name, "npp0") != 0)
			continue;
		seen++;
		ck_assert_uint_eq(in6->sin6_scope_id, in6->sin6_addr.s6_addr[15]);
	}
	ck_assert_uint_eq(seen, 2);
	npp_freeifaddrs(all);
	g->n_addrs = 1;
}
END_TEST

/* This NPP has an address of IPv4 only. */
START_TEST(addresses_written_in_digits_are_of_their_own_family)
{
	struct addrinfo *ai, h = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };

	ck_assert_int_eq(npp_getaddrinfo("::1", "80", &h, &ai), 0);
	ck_assert_int_eq(ai->ai_family, AF_INET6);
	freeaddrinfo(ai);
	ck_assert_int_eq(npp_getaddrinfo("fe80::7%1", "80", &h, &ai), 0);
	ck_assert_int_eq(ai->ai_family, AF_INET6);
	freeaddrinfo(ai);
	ck_assert_int_eq(npp_getaddrinfo(FAKE_ADDR, "80", &h, &ai), 0);
	ck_assert_int_eq(ai->ai_family, AF_INET);
	freeaddrinfo(ai);
}
END_TEST

/* This program says that it is in Go. */
__asm__(".pushsection .note.go.test, \"a\", @note\n.long 4, 4, 4\n.asciz \"Go\\0\"\n.long 0\n.popsection");
void foreign_say(void);

START_TEST(a_program_in_go_hears_that_it_is_out_of_reach)
{
	char said[200] = "";
	int p[2], err = dup(2);
	ssize_t n;

	ck_assert_int_eq(pipe(p), 0);
	dup2(p[1], 2);
	foreign_say();
	foreign_say(); /* once */
	dup2(err, 2);
	n = read(p[0], said, sizeof said - 1);
	ck_assert_int_gt(n, 0);
	ck_assert_ptr_nonnull(strstr(said, "in Go "));
	ck_assert_ptr_eq(strchr(said, '\n'), said + n - 1);
	close(err);
	close(p[0]);
	close(p[1]);
}
END_TEST

/* Both answers of an OSM to a hello that is not its own: another hash, another length. */
START_TEST(a_host_of_another_version_is_called_so)
{
	char said[400] = "";
	int p[2], err = dup(2), error = _i ? -EBADMSG : -EPROTO;
	ssize_t n;

	npp_stop();
	f->hello_error = error;
	ck_assert_int_eq(pipe(p), 0);
	dup2(p[1], 2);
	ck_assert_int_eq(npp_start_at(f->path), error);
	dup2(err, 2);
	n = read(p[0], said, sizeof said - 1);
	ck_assert_int_gt(n, 0);
	ck_assert_ptr_nonnull(strstr(said, f->path));
	ck_assert_ptr_nonnull(strstr(said, "of another version of npp than this library: start the host anew"));
	ck_assert_ptr_eq(strchr(said, '\n'), said + n - 1);
	close(err);
	close(p[0]);
	close(p[1]);
	f->hello_error = 0;
	ck_assert_int_eq(npp_start_at(f->path), 0);
}
END_TEST

/* As the child of sshd that speaks with those who have not logged in. */
static int confined(int fd)
{
	static const int refused[] = { SYS_sendmsg, SYS_recvmsg, SYS_socket, SYS_connect, SYS_openat, SYS_fcntl, SYS_prlimit64 };
	struct sock_filter prog[3 + 2 * sizeof refused / sizeof *refused] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
	struct sock_fprog f2 = { .filter = prog };
	struct rlimit one = { 1, 1 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned n = 1;
	char c = 0;

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		prog[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)refused[i], 0, 1);
		prog[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	}
	prog[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	f2.len = (unsigned short)n;
	npp_confined_soon();
	if (setrlimit(RLIMIT_NOFILE, &one) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f2) < 0)
		return 2;
	for (unsigned i = 0; i < 3; i++) {
		if (npp_poll(&p, 1, 10) != 0 || npp_write(fd, "x", 1) != 1 || npp_poll(&p, 1, 20000) != 1 ||
		    npp_read(fd, &c, 1) != 1 || c != 'x' || npp_poll(&p, 1, 0) != 0)
			return 3;
		atomic_fetch_add(&f->host->attach[0].epoch, 1); /* as the successor of an OSM does */
	}
	return npp_write(fd, "y", 1) == 1 && npp_read(fd, &c, 1) == 1 ? 0 : 4;
}

START_TEST(sockets_go_on_behind_a_filter_of_calls)
{
	int fd = dial(FAKE_ECHO), status;
	pid_t pid = npp_fork();

	if (pid == 0)
		_exit(confined(fd));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	npp_close(fd);
}
END_TEST

/* posix_spawn() of the image with FD as 60 and without FD itself. */
static int spawn_image(pid_t *pid, const char *path, int fd)
{
	char a[16], b[16];
	char *argv[] = { self_path, "--image", f->path, a, b, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t all;
	int r;

	snprintf(a, sizeof a, "%d", 60);
	snprintf(b, sizeof b, "%d", fd);
	sigfillset(&all);
	posix_spawnattr_init(&at);
	posix_spawnattr_setsigdefault(&at, &all);
	posix_spawnattr_setpgroup(&at, 0);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fd, 60);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addclose(&fa, fd);
	r = npp_posix_spawn(pid, path, &fa, &at, argv, environ, false);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&at);
	return r;
}

START_TEST(posix_spawn_passes_sockets_on_as_told)
{
	int fd = dial(FAKE_ECHO), status;
	pid_t pid = 0;

	ck_assert_int_eq(spawn_image(&pid, self_path, fd), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(fake_sock_of(f, fd, NULL)->refs, 1);
	ck_assert_int_eq(spawn_image(&pid, "/nowhere/to/be/found", fd), ENOENT);
	ck_assert_int_eq(waitpid(-1, &status, 0), -1); /* no child is left */
	npp_close(fd);
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
	Suite *s = suite_create("libnpp_process");
	TCase *t;

	t = host_case(s, "descriptors");
	tcase_add_test(t, dups_count_and_the_last_close_closes);
	tcase_add_test(t, the_librarys_descriptors_are_protected);

	t = host_case(s, "options");
	tcase_add_test(t, each_socket_is_an_inode_of_its_own);
	tcase_add_test(t, what_others_would_count_on_is_refused_before_the_socket_is_ours);
	tcase_add_test(t, options_do_not_touch_their_neighbours);
	tcase_add_test(t, options_read_back_as_on_linux);
	tcase_add_test(t, tcp_info_of_a_listener_tells_its_queue);
	tcase_add_test(t, values_are_judged_as_by_linux);
	tcase_add_test(t, a_listener_keeps_its_keys_where_isms_look);
	tcase_add_test(t, options_set_before_connect_go_into_the_record);

	t = host_case(s, "process");
	tcase_add_test(t, child_of_fork_serves_the_inherited_listener);
	tcase_add_test(t, clone_by_number_is_a_fork_or_refused);
	tcase_add_test(t, fork_waits_for_handlers_without_a_lock);
	tcase_add_test(t, a_child_of_vfork_may_be_killed_before_exec);
	tcase_add_test(t, a_handler_forks_over_fork);
	tcase_add_test(t, child_of_fork_inherits_no_instance_half_changed);
	tcase_add_test(t, child_of_fork_rebuilds_an_inherited_epoll);
	tcase_add_test(t, exec_keeps_sockets_and_sweeps_close_on_exec);
	tcase_add_test(t, exec_after_vfork_keeps_what_was_dupped);
	tcase_add_test(t, addresses_of_npps_are_those_of_the_machine);
	tcase_add_test(t, a_link_local_address_names_its_network_port);
	tcase_add_test(t, addresses_written_in_digits_are_of_their_own_family);
	tcase_add_test(t, a_program_in_go_hears_that_it_is_out_of_reach);
	tcase_add_loop_test(t, a_host_of_another_version_is_called_so, 0, 2);
	tcase_add_test(t, sockets_go_on_behind_a_filter_of_calls);
	tcase_add_test(t, posix_spawn_passes_sockets_on_as_told);
	tcase_add_test(t, records_and_descriptors_do_not_leak);
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
