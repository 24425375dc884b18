/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_dgram.c - libnpp over a fake host: datagram sockets
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
/* needs <time.h> */
#include <linux/errqueue.h>
#include <unistd.h>

#include "host.h"
#include "npp-osm/libnpp/priv.h"
#include "shm/lock.h"

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
	ck_fails((int)npp_send(fd, got, 65508, 0), EMSGSIZE); /* 20 more over IPv6 */
	ck_fails((int)npp_send(fd, got, 65536, 0), EMSGSIZE);
	npp_close(fd);
	EVENTUALLY(f->closes == 1);
}
END_TEST

START_TEST(a_datagram_needs_somewhere_to_go)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_ECHO), nowhere = addr_of(FAKE_PEER, 0), me = addr_of(FAKE_ADDR, 0);
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	char buf[8];

	ck_fails((int)npp_sendto(fd, "x", 1, 0, SA(nowhere)), EINVAL);
	ck_assert_int_eq(npp_bind(fd, SA(me)), 0);
	ck_fails((int)npp_send(fd, "x", 1, 0), EDESTADDRREQ);
	ck_fails((int)npp_sendto(fd, "x", 1, 0, SA(nowhere)), EINVAL);
	ck_assert_int_eq(npp_sendto(fd, "a", 1, 0, SA(to)), 1); /* nothing of that was left behind */
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 1);
	npp_close(fd);
}
END_TEST

static int set_int(int fd, int level, int name, int v)
{
	return npp_setsockopt(fd, level, name, &v, sizeof v);
}

/* The value, or the error with its sign changed. */
static int get_int(int fd, int level, int name)
{
	int v = 0;
	socklen_t n = sizeof v;

	return npp_getsockopt(fd, level, name, &v, &n) == 0 ? v : -errno;
}

/* ip(7): IP_MTU_DISCOVER, IP_MTU. The link takes 1500 bytes. */
START_TEST(what_must_not_be_cut_is_refused_at_once_if_too_large)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(FAKE_DISCARD) };
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_DISCARD);
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	struct npp_sock *k;
	char buf[3000] = "";
	socklen_t n;
	int v;

	ck_assert_int_eq(set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO), 0); /* before it is npp's */
	ck_assert_int_eq(npp_sendto(fd, buf, 1472, 0, SA(to)), 1472);
	EVENTUALLY(*(volatile uint32_t *)&f->sent_flags == (NPP_DGRAM_DF | NPP_DGRAM_WHOLE));
	ck_assert_int_eq(get_int(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DO);
	ck_fails((int)npp_sendto(fd, buf, 1473, 0, SA(to)), EMSGSIZE);
	ck_assert_int_eq(get_int(fd, IPPROTO_IP, IP_MTU), -ENOTCONN);
	ck_fails(set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, 6), EINVAL);
	ck_fails(set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, -1), EINVAL);
	ck_assert_int_eq(npp_connect(fd, SA(to)), 0);
	ck_assert_int_eq(get_int(fd, IPPROTO_IP, IP_MTU), 1500);
	k = fake_sock_of(f, fd, NULL);
	k->dgram.pmtu = 1400;	/* as its ISM says */
	k->dgram.pmtu_ms = (uint32_t)now_ms();
	ck_assert_int_eq(get_int(fd, IPPROTO_IP, IP_MTU), 1400);
	ck_fails((int)npp_send(fd, buf, 1373, 0), EMSGSIZE);
	ck_assert_int_eq(npp_send(fd, buf, 1372, 0), 1372);
	k->dgram.pmtu = 0x80000000;	/* an ISM that lies */
	ck_assert_int_eq(get_int(fd, IPPROTO_IP, IP_MTU), 1500);
	k->dgram.pmtu = 1400;
	k->dgram.pmtu_ms -= 601000;	/* long ago: the ISM looks again */
	ck_assert_int_eq(npp_send(fd, buf, 1472, 0), 1472);
	k->dgram.pmtu_ms += 601000;
	ck_assert_int_eq(set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE), 0);
	ck_assert_int_eq(npp_send(fd, buf, 1472, 0), 1472);
	EVENTUALLY(*(volatile uint32_t *)&f->sent_flags == (NPP_DGRAM_DF | NPP_DGRAM_WHOLE | NPP_DGRAM_LINK));
	ck_fails((int)npp_send(fd, buf, 1473, 0), EMSGSIZE);
	ck_assert_int_eq(set_int(fd, IPPROTO_UDP, 103, 1400), 0); /* UDP_SEGMENT: each of them fits */
	ck_assert_int_eq(npp_send(fd, buf, 2800, 0), 2800);
	ck_assert_int_eq(set_int(fd, IPPROTO_UDP, 103, 0), 0);
	ck_assert_int_eq(set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT), 0);
	ck_assert_int_eq(npp_send(fd, buf, 3000, 0), 3000);
	EVENTUALLY(*(volatile uint32_t *)&f->sent_flags == 0);
	ck_fails(set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, 1), ENOPROTOOPT);
	npp_close(fd);
	fd = npp_socket(AF_INET6, SOCK_DGRAM, 0);
	ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:" FAKE_PEER, &six.sin6_addr), 1);
	ck_assert_int_eq(npp_connect(fd, (struct sockaddr *)&six, sizeof six), 0);
	ck_fails(set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, 256), EINVAL);
	ck_fails(set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, -2), EINVAL);
	ck_assert_int_eq(set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, 255), 0);
	ck_assert_int_eq(get_int(fd, IPPROTO_IPV6, IPV6_TCLASS), 255);
	ck_fails(set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), EINVAL);
	n = (socklen_t)-1; /* which is EINVAL at all other levels */
	ck_assert_int_eq(npp_getsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &v, &n), 0);
	ck_assert_uint_eq(n, sizeof v);
	npp_close(fd);
}
END_TEST

START_TEST(broadcasts_need_leave_and_no_route)
{
	struct sockaddr_in all = addr_of("255.255.255.255", FAKE_DISCARD), net = addr_of("10.1.0.255", FAKE_DISCARD);
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0);

	ck_fails((int)npp_sendto(fd, "x", 1, 0, SA(all)), EACCES);
	ck_fails((int)npp_sendto(fd, "x", 1, 0, SA(net)), EACCES);
	ck_fails(npp_connect(fd, SA(net)), EACCES);
	ck_assert_int_eq(set_int(fd, SOL_SOCKET, SO_BROADCAST, 1), 0);
	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(all)), 1);
	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(net)), 1);
	ck_assert_int_eq(set_int(fd, SOL_SOCKET, SO_BROADCAST, 0), 0);
	EVENTUALLY(*(volatile uint32_t *)&f->sent_flags == NPP_DGRAM_BCAST); /* what it was when they were sent */
	ck_fails((int)npp_sendto(fd, "x", 1, 0, SA(all)), EACCES);
	ck_assert_int_eq(set_int(fd, SOL_SOCKET, SO_BROADCAST, 1), 0);
	ck_assert_int_eq(npp_connect(fd, SA(net)), 0);
	ck_assert_int_eq(npp_send(fd, "x", 1, 0), 1);
	npp_close(fd);
}
END_TEST

/* What MSG_ERRQUEUE gives of an error that the ISM of FD has told. */
static struct sock_extended_err queued(int fd, int err, struct sockaddr_in *to)
{
	char control[200];
	struct msghdr mh = { .msg_name = to, .msg_namelen = sizeof *to, .msg_control = control, .msg_controllen = sizeof control };
	struct sock_extended_err e;

	atomic_store(&fake_sock_of(f, fd, NULL)->err, err);
	ck_assert_int_eq(npp_recvmsg(fd, &mh, MSG_ERRQUEUE), 0);
	ck_assert(mh.msg_flags & MSG_ERRQUEUE);
	memcpy(&e, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof e);
	ck_assert_uint_eq(e.ee_errno, err);
	return e;
}

START_TEST(the_error_queue_tells_whom_it_is_about_and_the_mtu)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_ECHO), about;
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	struct sock_extended_err e;
	struct npp_sock *k;
	char buf[8];

	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(to)), 1);
	ck_assert_int_eq(npp_recv(fd, buf, sizeof buf, 0), 1);
	k = fake_sock_of(f, fd, NULL);
	k->dgram = (struct npp_udp_brief){ .ee_type = 3, .ee_code = 4, .ee_port = 4711, .ee_info = 1400, .pmtu = 1300,
					   .ee_addr = npp_addr_v4(inet_addr("10.1.0.77")) };
	e = queued(fd, EMSGSIZE, &about);
	ck_assert_uint_eq(e.ee_origin, SO_EE_ORIGIN_ICMP);
	ck_assert_uint_eq(e.ee_type << 8 | e.ee_code, 3 << 8 | 4);
	ck_assert_uint_eq(e.ee_info, 1400);
	ck_assert_uint_eq(about.sin_addr.s_addr, inet_addr("10.1.0.77"));
	ck_assert_uint_eq(ntohs(about.sin_port), 4711);
	k->dgram.ee_type = k->dgram.ee_code = 0;
	k->dgram.ee_info = 1300;
	e = queued(fd, EMSGSIZE, &about);
	ck_assert_uint_eq(e.ee_origin, SO_EE_ORIGIN_LOCAL);
	ck_assert_uint_eq(e.ee_info, 1300);
	ck_assert_uint_eq(e.ee_type, 0);
	npp_close(fd);
}
END_TEST

/* Where the peer of a socket is now, of an NPP with several network ports. */
START_TEST(an_answer_takes_the_port_by_which_its_peer_was_heard)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_ECHO), to2 = addr_of("10.1.0.98", FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0), fd2 = npp_socket(AF_INET, SOCK_DGRAM, 0);
	char buf[8];

	for (unsigned by = 0; by < 4; by++) {
		f->hear_by = by + 1;
		ck_assert_int_eq(npp_sendto(fd, "a", 1, 0, SA(to)), 1);
		ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 1);
		ck_assert_uint_eq(f->sent_by, by);	/* 0: not heard yet */
	}
	ck_assert_int_eq(npp_connect(fd2, SA(to)), 0);
	ck_assert_int_eq(npp_send(fd2, "b", 1, 0), 1);
	ck_assert_int_eq(npp_recv(fd2, buf, 8, 0), 1);
	ck_assert_uint_eq(f->sent_by, 4);
	f->hear_by = 2;
	ck_assert_int_eq(npp_sendto(fd, "c", 1, 0, SA(to2)), 1);
	ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 1);
	ck_assert_uint_eq(f->sent_by, 0);	/* another peer */
	npp_close(fd);
	npp_close(fd2);
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
	ck_assert_int_eq(npp_poll(&p, 1, 20000), 1);
	npp_ioctl(fd, FIONREAD, &n);
	ck_assert_int_eq(n, 1);
	for (char want = '1'; want <= '4'; want++) {
		ck_assert_int_eq(npp_recv(fd, buf, 8, 0), 1);
		ck_assert_int_eq(buf[0], want);
	}
	lo = addr_of("127.0.0.1", port); /* the kernel's part of a wildcard socket */
	ck_assert_int_eq(sendto(k, "5", 1, 0, SA(lo)), 1);
	ck_assert_int_eq(npp_poll(&p, 1, 20000), 1);
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

START_TEST(one_datagram_of_several_sends)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_ECHO), other = addr_of(FAKE_PEER, FAKE_DISCARD);
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0), status;
	static uint8_t big[40000], got[65536];
	pid_t pid;

	ck_assert_int_eq(npp_sendto(fd, "ab", 2, MSG_MORE, SA(to)), 2);
	ck_assert_int_eq(npp_send(fd, "cd", 2, MSG_MORE), 2);
	ck_assert_int_eq(npp_sendto(fd, "ef", 2, 0, SA(other)), 2); /* the first one says where to */
	ck_assert_int_eq(npp_recv(fd, got, sizeof got, 0), 6);
	ck_assert_mem_eq(got, "abcdef", 6);
	ck_assert_int_eq(set_int(fd, IPPROTO_UDP, UDP_CORK, 1), 0);
	ck_assert_int_eq(get_int(fd, IPPROTO_UDP, UDP_CORK), 1);
	ck_assert_int_eq(npp_sendto(fd, "12", 2, 0, SA(to)), 2);
	ck_assert_int_eq(npp_send(fd, "3", 1, 0), 1);
	ck_fails((int)npp_recv(fd, got, sizeof got, MSG_DONTWAIT), EAGAIN);
	ck_assert_int_eq(set_int(fd, IPPROTO_UDP, UDP_CORK, 0), 0);
	ck_assert_int_eq(npp_recv(fd, got, sizeof got, 0), 3);
	ck_assert_mem_eq(got, "123", 3);
	/* What has become too large is lost, and the next one begins anew. */
	ck_assert_int_eq(npp_sendto(fd, big, sizeof big, MSG_MORE, SA(to)), (int)sizeof big);
	ck_fails((int)npp_send(fd, big, sizeof big, MSG_MORE), EMSGSIZE);
	ck_fails((int)npp_send(fd, "x", 1, 0), EDESTADDRREQ);
	/* What a process holds back is not for its children to send. */
	ck_assert_int_eq(npp_sendto(fd, "p", 1, MSG_MORE, SA(to)), 1);
	pid = npp_fork();
	if (pid == 0)
		_exit(npp_send(fd, "c", 1, 0) != -1 || errno != EDESTADDRREQ);
	ck_assert(waitpid(pid, &status, 0) == pid && status == 0);
	ck_assert_int_eq(npp_send(fd, "q", 1, 0), 1);
	ck_assert_int_eq(npp_recv(fd, got, sizeof got, 0), 2);
	ck_assert_mem_eq(got, "pq", 2);
	ck_assert_int_eq(npp_sendto(fd, "lost", 4, MSG_MORE, SA(to)), 4);
	npp_close(fd);
}
END_TEST

/* An ISM may make the way narrower between the look at the length and the beginning. */
START_TEST(no_more_is_held_back_than_there_is_room_for)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_DISCARD);
	struct cork_head first = { .d.len = 1000, .most = 100 };
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	static uint8_t big[60000];
	struct iovec iov = { big, 1000 };

	ck_assert_int_eq(npp_sendto(fd, "x", 1, 0, SA(to)), 1);
	ck_assert_int_eq(cork_begin(fd_get(fd), &first, &iov, 1), -EMSGSIZE);
	ck_fails((int)npp_send(fd, big, sizeof big, MSG_MORE), EDESTADDRREQ);
	first.most = NPP_DGRAM_MAX + 1;
	ck_assert_int_eq(cork_begin(fd_get(fd), &first, &iov, 1), -EMSGSIZE);
	npp_close(fd);
}
END_TEST

struct closing { int fd; _Atomic int how_far; };

static void *close_it(void *arg)
{
	struct closing *c = arg;

	atomic_store(&c->how_far, 1);
	npp_close(c->fd);
	atomic_store(&c->how_far, 2);
	return NULL;
}

START_TEST(what_a_thread_adds_to_is_not_taken_from_under_it_by_close)
{
	struct sockaddr_in to = addr_of(FAKE_PEER, FAKE_DISCARD);
	struct closing c = { .fd = npp_socket(AF_INET, SOCK_DGRAM, 0) };
	uint32_t self;
	npp_lock_t *lock;
	pthread_t t;

	ck_assert_int_eq(npp_sendto(c.fd, "x", 1, MSG_MORE, SA(to)), 1);
	lock = &fd_get(c.fd)->sk->tx_lock;
	self = npp_thr.ctx->no + 1;
	ck_assert(npp_lock_try(lock, self)); /* as over cork_add() */
	ck_assert_int_eq(pthread_create(&t, NULL, close_it, &c), 0);
	EVENTUALLY(atomic_load(&c.how_far));
	usleep(20000); /* long enough for it to do what it must not, mostly */
	ck_assert_int_eq(atomic_load(&c.how_far), 1);
	npp_lock_drop(lock, self);
	pthread_join(t, NULL);
}
END_TEST

/* ---- groups: a call that joins one returns when the dispatcher lets it in -------------------------------- */

struct nppd { char group[INET_ADDRSTRLEN]; unsigned after_ms; pthread_t thread; };

static bool let_in(const char *group)
{
	const struct npp_global *g = f->global.base;
	union npp_addr a;

	npp_addr_parse(group, &a);
	for (uint32_t i = 0; i < g->groups.n; i++)
		if (npp_addr_eq(&g->groups.addr[i], &a))
			return true;
	return false;
}

static void *say(void *arg)
{
	struct npp_global *g = f->global.base;
	struct nppd *n = arg;

	usleep(n->after_ms * 1000);
	atomic_fetch_add(&g->group_seq, 1);
	npp_addr_parse(n->group, &g->groups.addr[g->groups.n]);
	g->groups.n++;
	atomic_fetch_add(&g->group_seq, 1);
	return NULL;
}

/* After so long nppd lets GROUP in. */
static void says(struct nppd *n, const char *group, unsigned after_ms)
{
	struct npp_global *g = f->global.base;

	atomic_store(&g->iop_up, 3);
	strcpy(n->group, group);
	n->after_ms = after_ms;
	ck_assert_int_eq(pthread_create(&n->thread, NULL, say, n), 0);
}

static int join(int fd, const char *group)
{
	struct ip_mreqn m = { .imr_ifindex = 0 };

	inet_pton(AF_INET, group, &m.imr_multiaddr);
	return npp_setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m);
}

static int join_source(int fd, const char *group)
{
	struct ip_mreq_source m;

	memset(&m, 0, sizeof m);
	inet_pton(AF_INET, group, &m.imr_multiaddr);
	inet_pton(AF_INET, FAKE_PEER, &m.imr_sourceaddr);
	return npp_setsockopt(fd, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &m, sizeof m);
}

START_TEST(who_joins_a_group_waits_until_it_is_let_in)
{
	struct sockaddr_in any = addr_of("0.0.0.0", 0), to = addr_of(FAKE_PEER, FAKE_ECHO);
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0), early, sent, peer;
	struct nppd n;

	ck_assert_int_eq(npp_bind(fd, SA(any)), 0);
	says(&n, "239.1.1.1", 40);
	ck_assert_int_eq(join(fd, "239.1.1.1"), 0);
	ck_assert(let_in("239.1.1.1"));
	pthread_join(n.thread, NULL);
	says(&n, "239.1.1.2", 40);
	ck_assert_int_eq(join_source(fd, "239.1.1.2"), 0);
	ck_assert(let_in("239.1.1.2"));
	pthread_join(n.thread, NULL);
	/* Joined before the socket has a port: by what gives it one. */
	for (int i = 0; i < 3; i++) {
		char group[] = "239.1.1.3";

		group[8] = (char)('3' + i);
		early = npp_socket(AF_INET, SOCK_DGRAM, 0);
		ck_assert_int_eq(join(early, group), 0);
		says(&n, group, 40);
		peer = i == 1 ? npp_connect(early, SA(to)) : i == 0 ? npp_bind(early, SA(any)) : 0;
		sent = i == 2 ? (int)npp_sendto(early, "x", 1, 0, SA(to)) : 1;
		ck_assert(peer == 0 && sent == 1);
		ck_assert_msg(let_in(group), "%s", group);
		pthread_join(n.thread, NULL);
		npp_close(early);
	}
	npp_close(fd);
}
END_TEST

START_TEST(who_joins_a_group_in_vain_does_not_wait_for_long_nor_again)
{
	struct sockaddr_in any = addr_of("0.0.0.0", 0);
	struct npp_global *g = f->global.base;
	int fd = npp_socket(AF_INET, SOCK_DGRAM, 0);
	char group[] = "239.2.1.0";
	uint64_t began;
	struct nppd n;

	ck_assert_int_eq(npp_bind(fd, SA(any)), 0);
	ck_assert_int_eq(join(fd, "239.2.0.1"), 0); /* no ISM is there that could tell nppd */
	atomic_store(&g->iop_up, 3);
	began = now_ms();
	ck_assert_int_eq(join(fd, "239.2.0.2"), 0);
	ck_assert_uint_ge(now_ms() - began, 199);
	ck_assert_uint_lt(now_ms() - began, 5000);
	began = now_ms();
	for (; group[8] < '9'; group[8]++) /* would be a second and a half */
		ck_assert_int_eq(join(fd, group), 0);
	ck_assert_uint_lt(now_ms() - began, 1400);
	says(&n, "239.2.0.2", 0);
	pthread_join(n.thread, NULL);
	says(&n, "239.2.0.3", 40); /* it has said something since */
	ck_assert_int_eq(join(fd, "239.2.0.3"), 0);
	ck_assert(let_in("239.2.0.3"));
	pthread_join(n.thread, NULL);
	/* Whatever it says: */
	atomic_fetch_add(&g->group_seq, 1);
	g->groups.n = 0xffffffff;
	began = now_ms();
	ck_assert_int_eq(join(fd, "239.2.0.4"), 0);
	ck_assert_uint_lt(now_ms() - began, 5000);
	npp_close(fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("libnpp_dgram");
	TCase *t;

	t = host_case(s, "datagram");
	tcase_add_test(t, datagrams_go_and_come_back);
	tcase_add_test(t, a_datagram_needs_somewhere_to_go);
	tcase_add_test(t, what_must_not_be_cut_is_refused_at_once_if_too_large);
	tcase_add_test(t, broadcasts_need_leave_and_no_route);
	tcase_add_test(t, the_error_queue_tells_whom_it_is_about_and_the_mtu);
	tcase_add_test(t, an_answer_takes_the_port_by_which_its_peer_was_heard);
	tcase_add_test(t, datagram_lanes_are_merged_by_arrival);
	tcase_add_test(t, datagram_socket_is_writable_when_all_its_ways_have_room);
	tcase_add_test(t, one_datagram_of_several_sends);
	tcase_add_test(t, no_more_is_held_back_than_there_is_room_for);
	tcase_add_test(t, what_a_thread_adds_to_is_not_taken_from_under_it_by_close);
	tcase_add_test(t, who_joins_a_group_waits_until_it_is_let_in);
	tcase_add_test(t, who_joins_a_group_in_vain_does_not_wait_for_long_nor_again);
	return s;
}

int main(void)
{
	return npp_suite_run(suite());
}
