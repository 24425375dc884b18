/* SPDX-License-Identifier: GPL-2.0-or-later
 * peer.c - the other end of what a random program does: does what it is told, and says when it is done
 *
 * Commands come as messages over a Unix socket, which takes no part in the network. A slot is a number that
 * the one who asks has given.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "twin.h"

#define PSLOTS 128
#define DEADLINE 5000	/* ms, times $NPP_SLOW */

struct peer {
	int fd[PSLOTS];
	unsigned sent[PSLOTS], got[PSLOTS];
	int listener[FAMILIES], closed[FAMILIES], udp[FAMILIES], udp_closed[FAMILIES];
	uint8_t buf[BUF];
	char *addr[FAMILIES];
	int slow;
};

static int bound(const char *addr, int family, int type, uint16_t *port)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in a4 = { .sin_family = AF_INET };
	struct sockaddr *sa = family ? (void *)&a6 : (void *)&a4;
	socklen_t len = family ? sizeof a6 : sizeof a4;
	int fd = socket(sa->sa_family, type | SOCK_CLOEXEC, 0);

	inet_pton(sa->sa_family, addr, family ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr);
	if (fd < 0 || bind(fd, sa, len) < 0 || getsockname(fd, sa, &len) < 0)
		err(1, "peer: %s", addr);
	*port = ntohs(family ? a6.sin6_port : a4.sin_port);
	return fd;
}

static void reset(int fd)
{
	struct linger l = { 1, 0 };

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	close(fd);
}

/* Sockets to be connected to, and such that are not. */
static void do_begin(struct peer *p, uint16_t *port)
{
	for (int f = 0; f < FAMILIES; f++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof ss;

		if (p->listener[f] >= 0) {
			close(p->listener[f]), close(p->closed[f]), close(p->udp[f]), close(p->udp_closed[f]);
		}
		p->listener[f] = bound(p->addr[f], f, SOCK_STREAM, &port[f]);
		listen(p->listener[f], 16);
		p->closed[f] = bound(p->addr[f], f, SOCK_STREAM, &port[2 + f]);
		p->udp[f] = bound(p->addr[f], f, SOCK_DGRAM, &port[4 + f]);
		p->udp_closed[f] = bound(p->addr[f], f, SOCK_DGRAM, &port[6 + f]);
		getsockname(p->udp[f], (void *)&ss, &len); /* hears that one alone, which says nothing to it */
		if (connect(p->udp_closed[f], (void *)&ss, len) < 0)
			err(1, "peer");
	}
}

static void begin(struct peer *p, char *answer)
{
	uint16_t port[8];

	for (int i = 0; i < PSLOTS; i++) {
		reset(p->fd[i]);
		p->fd[i] = -1;
		p->sent[i] = p->got[i] = 0;
	}
	do_begin(p, port);
	while (port[4] == port[0] || port[4] == port[2] || port[5] == port[1] || port[5] == port[3]) /* names go by the number */
		do_begin(p, port);
	sprintf(answer, "%d %d %d %d %d %d %d %d", port[0], port[1], port[2], port[3], port[4], port[5], port[6], port[7]);
}

static int hears(struct peer *p, int fd, short what)
{
	struct pollfd pf = { .fd = fd, .events = what };

	return poll(&pf, 1, DEADLINE * p->slow) > 0;
}

static void add(struct peer *p, int to, int fd)
{
	static const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
	p->fd[to] = fd;
}

static void do_accept(struct peer *p, int family, int to, char *answer)
{
	int fd = hears(p, p->listener[family], POLLIN) ? accept4(p->listener[family], NULL, NULL, SOCK_NONBLOCK) : -1;

	if (fd >= 0)
		add(p, to, fd);
	strcpy(answer, fd >= 0 ? "good" : "nobody");
}

static void do_connect(struct peer *p, int family, int to, const char *host, int port, char *answer)
{
	struct timeval tv = { 2 * p->slow, 0 };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	uint16_t own;
	int fd = bound(p->addr[family], family, SOCK_STREAM, &own), r;

	inet_pton(family ? AF_INET6 : AF_INET, host, family ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	r = connect(fd, family ? (void *)&a6 : (void *)&a4, family ? sizeof a6 : sizeof a4);
	sprintf(answer, "%d %s", own, r < 0 ? errno_name(errno) : "good");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	add(p, to, fd);
}

static void do_send(struct peer *p, int i, int n, int flags, char *answer)
{
	ssize_t r;

	for (int k = 0; k < n; k++)
		p->buf[k] = (uint8_t)((p->sent[i] + (unsigned)k) * 7 + (unsigned)i);
	r = send(p->fd[i], p->buf, (size_t)n, flags | MSG_NOSIGNAL);
	if (r > 0)
		p->sent[i] += (unsigned)r;
	sprintf(answer, "%d %s", (int)r, r < 0 ? errno_name(errno) : "");
}

static void do_recv(struct peer *p, int i, char *answer)
{
	ssize_t r;
	unsigned n = 0, sum = 0;

	while ((r = recv(p->fd[i], p->buf, sizeof p->buf, MSG_DONTWAIT)) > 0) {
		n += (unsigned)r;
		for (ssize_t k = 0; k < r; k++)
			sum = sum * 31 + p->buf[k];
	}
	p->got[i] += n;
	sprintf(answer, "%u #%x %s", n, sum & 0xffff, r == 0 ? "end" : errno == EAGAIN ? "" : errno_name(errno));
}

/* Until GOT bytes came altogether, and the end, or a reset. */
static void do_wait(struct peer *p, int i, unsigned got, int fin, int rst, char *answer)
{
	struct timespec nap = { 0, 200000 };
	int unread, left = DEADLINE * 5 * p->slow;
	struct pollfd pf = { .fd = p->fd[i], .events = POLLIN | POLLRDHUP };

	for (; left > 0; left--) {
		unread = 0;
		ioctl(p->fd[i], FIONREAD, &unread);
		poll(&pf, 1, 0);
		if (rst ? pf.revents & (POLLERR | POLLHUP) :
			  p->got[i] + (unsigned)unread >= got && (!fin || pf.revents & (POLLRDHUP | POLLERR)))
			break;
		nanosleep(&nap, NULL);
	}
	strcpy(answer, left ? "good" : "late");
}

/* Reads until WANT bytes came altogether. */
static void do_drain(struct peer *p, int i, unsigned want, char *answer)
{
	uint8_t all[4096];
	unsigned sum = 0;
	ssize_t r;

	while (p->got[i] < want && hears(p, p->fd[i], POLLIN) && (r = recv(p->fd[i], all, sizeof all, MSG_DONTWAIT)) > 0) {
		p->got[i] += (unsigned)r;
		for (ssize_t k = 0; k < r; k++)
			sum += all[k];
	}
	sprintf(answer, "%s%s", p->got[i] == want ? "all" : "not all", sum ? "" : " nothing");
}

static void do_usend(struct peer *p, int family, const char *host, int port, int n, int first, char *answer)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	inet_pton(family ? AF_INET6 : AF_INET, host, family ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr);
	for (int k = 0; k < n; k++)
		p->buf[k] = (uint8_t)(k + first);
	n = (int)sendto(p->udp[family], p->buf, (size_t)n, 0, family ? (void *)&a6 : (void *)&a4, family ? sizeof a6 : sizeof a4);
	sprintf(answer, "%d", n);
}

static void do_urecv(struct peer *p, int family, char *answer)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof from;
	unsigned sum = 0;
	ssize_t r;

	if (!hears(p, p->udp[family], POLLIN)) {
		strcpy(answer, "0 nothing");
		return;
	}
	r = recvfrom(p->udp[family], p->buf, sizeof p->buf, MSG_DONTWAIT, (void *)&from, &len);
	for (ssize_t k = 0; k < r; k++)
		sum = sum * 31 + p->buf[k];
	sprintf(answer, "%d %zd#%x", ntohs(from.sin6_port), r, sum & 0xffff);
}

static void obey(struct peer *p, char *said, char *answer)
{
	char what[16] = "", host[64] = "";
	int a[4] = { 0 };

	if (sscanf(said, "connect %d %d %63s %d", &a[0], &a[1], host, &a[2]) == 4) {
		do_connect(p, a[0], a[1], host, a[2], answer);
		return;
	}
	if (sscanf(said, "usend %d %63s %d %d %d", &a[0], host, &a[1], &a[2], &a[3]) == 5) {
		do_usend(p, a[0], host, a[1], a[2], a[3], answer);
		return;
	}
	sscanf(said, "%15s %d %d %d %d", what, &a[0], &a[1], &a[2], &a[3]);
	strcpy(answer, "done");
	if (!strcmp(what, "begin"))
		begin(p, answer);
	else if (!strcmp(what, "accept"))
		do_accept(p, a[0], a[1], answer);
	else if (!strcmp(what, "send"))
		do_send(p, a[0], a[1], a[2], answer);
	else if (!strcmp(what, "recv"))
		do_recv(p, a[0], answer);
	else if (!strcmp(what, "wait"))
		do_wait(p, a[0], (unsigned)a[1], a[2], a[3], answer);
	else if (!strcmp(what, "drain"))
		do_drain(p, a[0], (unsigned)a[1], answer);
	else if (!strcmp(what, "urecv"))
		do_urecv(p, a[0], answer);
	else if (!strcmp(what, "shut"))
		shutdown(p->fd[a[0]], SHUT_WR);
	else if (!strcmp(what, "reset"))
		reset(p->fd[a[0]]), p->fd[a[0]] = -1;
	else if (!strcmp(what, "close"))
		close(p->fd[a[0]]), p->fd[a[0]] = -1;
	else
		strcpy(answer, "what?");
}

static void serve(int control, char *addr4, char *addr6)
{
	static struct peer p;
	char said[256], answer[256];
	const char *slow = getenv("NPP_SLOW");
	ssize_t n;

	p.slow = slow ? atoi(slow) : 1;
	p.addr[0] = addr4;
	p.addr[1] = addr6;
	memset(p.fd, 0xff, sizeof p.fd);
	p.listener[0] = p.listener[1] = -1;
	while ((n = recv(control, said, sizeof said - 1, 0)) > 0) {
		said[n] = 0;
		obey(&p, said, answer);
		if (send(control, answer, strlen(answer) + 1, MSG_NOSIGNAL) < 0)
			break;
	}
}

int peer_main(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int ls = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	signal(SIGCHLD, SIG_IGN);
	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	unlink(path);
	if (ls < 0 || bind(ls, (void *)&sun, sizeof sun) < 0 || listen(ls, 16) < 0)
		err(1, "peer: %s", path);
	for (;;) {
		int s = accept(ls, NULL, NULL);

		if (s >= 0 && fork() == 0) {
			close(ls);
			serve(s, getenv("TWIN_PEER4"), getenv("TWIN_PEER6"));
			exit(0);
		}
		close(s);
	}
}
