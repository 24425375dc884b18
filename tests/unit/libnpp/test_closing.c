/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_closing.c - shutdown and close as Linux has them; bounds of buffers, TCP_INFO
 */
#include "config.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>

#include "host.h"
#include "npp-osm/libnpp/real.h"

START_TEST(unread_data_makes_close_an_abort_after_shutdown_too)
{
	int fd = dial(FAKE_ECHO), n = 0;

	npp_send(fd, "x", 1, 0);
	EVENTUALLY(npp_ioctl(fd, FIONREAD, &n) == 0 && n == 1);
	npp_shutdown(fd, SHUT_RD);
	npp_close(fd);
	EVENTUALLY(f->closes == 1);
	ck_assert_uint_eq(f->aborts, 1);
}
END_TEST

static void *reader(void *arg)
{
	char c;

	return (void *)(intptr_t)npp_recv(*(int *)arg, &c, 1, 0);
}

START_TEST(shutdown_wakes_who_sleeps_in_recv)
{
	int fd = dial(FAKE_DISCARD);
	void *got = (void *)-2;
	pthread_t t;

	pthread_create(&t, NULL, reader, &fd);
	usleep(20000); /* asleep by now, or not: it must end either way */
	ck_assert_int_eq(npp_shutdown(fd, SHUT_RD), 0);
	pthread_join(t, &got);
	ck_assert_int_eq((int)(intptr_t)got, 0);
	npp_close(fd);
}
END_TEST

START_TEST(there_is_nothing_to_shut_once_it_is_over)
{
	uint16_t port;
	int l = serve(&port, 0), fd;
	uint32_t idx = fake_peer_connect(f, port, 0, 5000);

	fd = npp_accept4(l, NULL, NULL, 0);
	fake_peer_reset(f, idx, ECONNRESET);
	ck_fails(npp_shutdown(fd, SHUT_RDWR), ENOTCONN);
	npp_close(fd);
	npp_close(l);
}
END_TEST

static ssize_t (*real_write)(int, const void *, size_t);
static uint32_t shut_before;

/* A ring that is over only when the ISM has done what it was rung for. */
static ssize_t slow_write(int fd, const void *data, size_t n)
{
	uint64_t end = now_ms() + 20;
	ssize_t r = real_write(fd, data, n);

	while (*(volatile uint32_t *)&f->shutdowns == shut_before && now_ms() < end)
		usleep(100);
	return r;
}

/* What is shut may be over before shutdown() returns: then it was not before. */
START_TEST(shutdown_that_ends_a_connection_succeeds)
{
	struct real *real = (struct real *)npp_real_get();

	real_write = real->write;
	for (int i = 0; i < 20; i++) {
		int fd = dial(FAKE_HASTY);

		usleep(500); /* the ISM sleeps by now and has to be rung for, or not: it succeeds either way */
		shut_before = f->shutdowns;
		real->write = slow_write;
		ck_assert_int_eq(npp_shutdown(fd, SHUT_WR), 0);
		real->write = real_write;
		npp_close(fd);
	}
}
END_TEST

static int int_option(int fd, int level, int name)
{
	int v = -1;
	socklen_t n = sizeof v;

	ck_assert_int_eq(npp_getsockopt(fd, level, name, &v, &n), 0);
	return v;
}

START_TEST(buffers_keep_to_the_bounds_of_the_npp)
{
	struct npp_global *g = f->global.base;
	int fd, small = 1000, large = 1 << 20;

	g->tcp_rmem = (struct npp_tcp_mem){ 8192, 32768, 65536 };
	g->tcp_wmem = (struct npp_tcp_mem){ 4096, 8192, 100000 };
	fd = dial(FAKE_ECHO);
	ck_assert_int_eq(int_option(fd, SOL_SOCKET, SO_RCVBUF), 32768);
	ck_assert_int_eq(int_option(fd, SOL_SOCKET, SO_SNDBUF), 16384); /* the ring that is there */
	npp_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	npp_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	ck_assert_int_eq(int_option(fd, SOL_SOCKET, SO_RCVBUF), 8192);
	ck_assert_int_eq(int_option(fd, SOL_SOCKET, SO_SNDBUF), 4096);
	npp_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
	npp_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
	ck_assert_int_eq(int_option(fd, SOL_SOCKET, SO_RCVBUF), 65536);
	ck_assert_int_eq(int_option(fd, SOL_SOCKET, SO_SNDBUF), 100000);
	npp_close(fd);
}
END_TEST

START_TEST(tcp_info_is_of_now)
{
	int fd = dial(FAKE_ECHO);
	struct npp_sock *sk = fake_sock_of(f, fd, &(uint32_t){ 0 });
	struct tcp_info ti;
	socklen_t n = sizeof ti;

	/* What the ISM wrote when 5000 bytes were in flight, 300 ms ago. */
	sk->brief = (struct npp_tcp_brief){ .snd_mss = 1000, .unacked = 5000, .scales = 7 | 5 << 4, .tries = 2, .adv_mss = 1460,
					    .last_rx_ms = (uint32_t)now_ms() - 300, .last_tx_ms = (uint32_t)now_ms() - 400 };
	atomic_store(&sk->tx_tail, 10000);
	atomic_store(&sk->tx_head, 10000 + 7000);
	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &n), 0);
	ck_assert_uint_eq(ti.tcpi_unacked, 5);
	ck_assert_uint_eq(ti.tcpi_snd_wscale, 7);
	ck_assert_uint_eq(ti.tcpi_rcv_wscale, 5);
	ck_assert_uint_eq(ti.tcpi_retransmits, 2);
	ck_assert_uint_eq(ti.tcpi_advmss, 1460);
	ck_assert_uint_ge(ti.tcpi_last_data_recv, 300);
	ck_assert_uint_ge(ti.tcpi_last_data_sent, 400);
	ck_assert_uint_lt(ti.tcpi_last_data_sent, 10000);
	atomic_store(&sk->tx_tail, 17000); /* since then all was acknowledged */
	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &n), 0);
	ck_assert_uint_eq(ti.tcpi_unacked, 0);
	atomic_store(&sk->tx_tail, 0);
	atomic_store(&sk->tx_head, 0);
	npp_close(fd);
}
END_TEST

struct flicker { volatile uint32_t *mss; _Atomic bool end; };

static void *flickers(void *arg)
{
	struct flicker *k = arg;

	for (uint32_t i = 0; !atomic_load(&k->end); i++) {
		*k->mss = i & 1 ? 1000 : 0;
		for (volatile uint32_t w = i % 61; w; w--)
			;
	}
	return NULL;
}

/* The record may be given back under the feet of who asks, and its ISM is trusted with nothing. */
START_TEST(tcp_info_survives_what_changes_meanwhile)
{
	int fd = dial(FAKE_ECHO);
	struct npp_sock *sk = fake_sock_of(f, fd, &(uint32_t){ 0 });
	struct flicker k = { .mss = &sk->brief.snd_mss };
	struct tcp_info ti;
	pthread_t t;

	sk->brief.cwnd = 10000;
	ck_assert_int_eq(pthread_create(&t, NULL, flickers, &k), 0);
	for (uint64_t end = now_ms() + 1000; now_ms() < end;) {
		socklen_t n = sizeof ti;

		ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &n), 0);
	}
	atomic_store(&k.end, true);
	pthread_join(t, NULL);
	npp_close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libnpp_closing");
	TCase *tc = tcase_create("closing");

	tcase_add_checked_fixture(tc, up, down);
	tcase_add_test(tc, unread_data_makes_close_an_abort_after_shutdown_too);
	tcase_add_test(tc, shutdown_wakes_who_sleeps_in_recv);
	tcase_add_test(tc, shutdown_that_ends_a_connection_succeeds);
	tcase_add_test(tc, there_is_nothing_to_shut_once_it_is_over);
	tcase_add_test(tc, buffers_keep_to_the_bounds_of_the_npp);
	tcase_add_test(tc, tcp_info_is_of_now);
	tcase_add_test(tc, tcp_info_survives_what_changes_meanwhile);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
