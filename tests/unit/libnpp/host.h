/* SPDX-License-Identifier: GPL-2.0-or-later
 * host.h - what the tests of libnpp share: a fake host to live on, sockets, deadlines
 */
#ifndef NPP_TESTS_LIBNPP_HOST_H
#define NPP_TESTS_LIBNPP_HOST_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"
#include "npp-osm/libnpp/libnpp.h"
#include "tests/unit/suite.h"

static struct fake *f;	/* of the test that runs */

static inline void up(void)
{
	f = fake_start();
	ck_assert_int_eq(npp_start_at(f->path), 0);
}

static inline void down(void)
{
	npp_stop();
	fake_stop(f);
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline struct sockaddr_in addr_of(const char *ip, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

#define SA(a) (struct sockaddr *)&(a), sizeof(a)
#define EVENTUALLY(cond) \
	do { \
		uint64_t end_ = now_ms() + 20000; \
		while (!(cond) && now_ms() < end_) \
			usleep(200); \
		ck_assert_msg(cond, "in time: " #cond); \
	} while (0)

/* A socket connected to the peer at PORT. */
static inline int dial(uint16_t port)
{
	struct sockaddr_in a = addr_of(FAKE_PEER, port);
	int fd = npp_socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(npp_connect(fd, SA(a)), 0);
	return fd;
}

/* A listener on all addresses; its port goes to *PORT. */
static inline int serve(uint16_t *port, int flags)
{
	struct sockaddr_in a = addr_of("0.0.0.0", 0);
	socklen_t n = sizeof a;
	int fd = npp_socket(AF_INET, SOCK_STREAM | flags, 0);

	ck_assert_int_eq(npp_bind(fd, SA(a)), 0);
	ck_assert_int_eq(npp_listen(fd, 16), 0);
	ck_assert_int_eq(npp_getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	ck_assert_int_ne(*port, 0);
	return fd;
}

static inline void fill(uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((i * 2654435761u + seed) >> 11);
}

#define ck_fails(call, err) \
	do { \
		errno = 0; \
		ck_assert_int_eq(call, -1); \
		ck_assert_int_eq(errno, err); \
	} while (0)

static volatile sig_atomic_t signals __attribute__((unused));

static inline void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static inline int ep_add(int ep, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	return npp_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

/* Begins a group of cases in suite S. */
static inline TCase *host_case(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, up, down);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return t;
}

#endif
