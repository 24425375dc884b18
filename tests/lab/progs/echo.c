/* SPDX-License-Identifier: GPL-2.0-or-later
 * echo.c - an echo server in every style that programs are written in
 *
 *   echo STYLE PORT [ADDRESS]
 *
 * STYLE: thread   a blocking thread per connection
 *        fork     a child per connection
 *        prefork  three children that accept from one listener, one connection at a time
 *        inetd    fork and exec of this program as `echo stdio` on descriptors 0 and 1
 *        select, poll, level, edge, oneshot   one thread, non-blocking sockets
 *        pool     four threads in one epoll instance, one-shot
 *        alarm    as pool, and a thousand times a second a signal handler uses the same instance
 *        exclusive  three children, each with an epoll instance, EPOLLEXCLUSIVE
 *        stdio    echo what comes on descriptor 0 to descriptor 1 (for inetd)
 * Runs until it is killed. Nothing in it knows of npp.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUF 65536
#define MAX_FD 1024

static const char *self;

struct conn { bool used, eof; size_t head, tail; char buf[BUF]; };
static struct conn *conns[MAX_FD];

static int listen_on(const char *addr, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (addr && inet_pton(AF_INET, addr, &a.sin_addr) != 1)
		errx(1, "%s: no address", addr);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 128) < 0)
		err(1, "port %u", port);
	return fd;
}

/* ---- blocking ------------------------------------------------------------------------- */

static void echo_blocking(int in, int out)
{
	char buf[BUF];
	ssize_t n;

	while ((n = read(in, buf, sizeof buf)) > 0)
		for (ssize_t done = 0, k; done < n; done += k) {
			k = write(out, buf + done, (size_t)(n - done));
			if (k < 0)
				return;
		}
}

static void *thread_main(void *arg)
{
	int fd = (int)(intptr_t)arg;

	echo_blocking(fd, fd);
	close(fd);
	return NULL;
}

static void by_thread(int l)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 << 10);
	for (;;) {
		int fd = accept(l, NULL, NULL);

		if (fd >= 0 && pthread_create(&t, &attr, thread_main, (void *)(intptr_t)fd) != 0)
			close(fd);
	}
}

static void by_fork(int l, bool exec)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(l, NULL, NULL);
		pid_t pid = fd < 0 ? -1 : fork();

		if (pid == 0) {
			close(l);
			if (exec) {
				dup2(fd, 0);
				dup2(fd, 1);
				if (fd > 2)
					close(fd);
				execl(self, self, "stdio", (char *)NULL);
				_exit(127);
			}
			echo_blocking(fd, fd);
			_exit(0);
		}
		if (fd >= 0)
			close(fd);
	}
}

static void children(int n)
{
	for (int i = 0; i < n - 1; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			return;
		}
}

static void by_turns(int l)
{
	for (;;) {
		int fd = accept(l, NULL, NULL);

		if (fd < 0)
			continue;
		echo_blocking(fd, fd);
		close(fd);
	}
}

/* ---- non-blocking ---------------------------------------------------------------------- */

static bool take(int fd)
{
	if (fd < 0 || fd >= MAX_FD)
		return false;
	if (!conns[fd])
		conns[fd] = malloc(sizeof **conns);
	if (!conns[fd])
		return false;
	conns[fd]->head = conns[fd]->tail = 0;
	conns[fd]->eof = false;
	conns[fd]->used = true;
	return true;
}

/* Reads and writes until neither goes on. False: the connection is done with. */
static bool move(int fd)
{
	struct conn *c = conns[fd];

	for (;;) {
		ssize_t r = -1, w = -1;

		if (c->head == c->tail)
			c->head = c->tail = 0;
		if (!c->eof && c->head < BUF) {
			r = recv(fd, c->buf + c->head, BUF - c->head, 0);
			if (r < 0 && errno != EAGAIN)
				return false;
			c->eof |= r == 0;
			c->head += r > 0 ? (size_t)r : 0;
		}
		if (c->head > c->tail) {
			w = send(fd, c->buf + c->tail, c->head - c->tail, MSG_NOSIGNAL);
			if (w < 0 && errno != EAGAIN)
				return false;
			c->tail += w > 0 ? (size_t)w : 0;
		}
		if (c->eof && c->head == c->tail)
			return false;
		if (r <= 0 && w <= 0)
			return true;
	}
}

static void drop(int fd)
{
	conns[fd]->used = false;
	close(fd);
}

static int accept_one(int l)
{
	int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 && !take(fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void by_select(int l)
{
	for (;;) {
		fd_set r, w;
		int max = l;

		FD_ZERO(&r);
		FD_ZERO(&w);
		FD_SET(l, &r);
		for (int fd = 0; fd < FD_SETSIZE; fd++)
			if (conns[fd] && conns[fd]->used) {
				if (!conns[fd]->eof && conns[fd]->head < BUF)
					FD_SET(fd, &r);
				if (conns[fd]->head > conns[fd]->tail)
					FD_SET(fd, &w);
				max = fd > max ? fd : max;
			}
		if (select(max + 1, &r, &w, NULL, NULL) < 0)
			continue;
		for (int fd = 0; fd <= max; fd++)
			if (fd != l && (FD_ISSET(fd, &r) || FD_ISSET(fd, &w)) && !move(fd))
				drop(fd);
		if (FD_ISSET(l, &r))
			accept_one(l);
	}
}

static void by_poll(int l)
{
	for (;;) {
		struct pollfd p[MAX_FD];
		nfds_t n = 0;

		p[n++] = (struct pollfd){ .fd = l, .events = POLLIN };
		for (int fd = 0; fd < MAX_FD; fd++)
			if (conns[fd] && conns[fd]->used) {
				p[n].fd = fd;
				p[n].events = (short)((!conns[fd]->eof && conns[fd]->head < BUF ? POLLIN : 0) |
						      (conns[fd]->head > conns[fd]->tail ? POLLOUT : 0));
				n++;
			}
		if (poll(p, n, -1) < 0)
			continue;
		for (nfds_t i = 1; i < n; i++)
			if (p[i].revents && !move(p[i].fd))
				drop(p[i].fd);
		if (p[0].revents)
			accept_one(l);
	}
}

static void want(int ep, int op, int fd, uint32_t mode)
{
	struct conn *c = conns[fd];
	struct epoll_event ev = { .data.fd = fd, .events = mode };

	if (mode & EPOLLET)
		ev.events |= EPOLLIN | EPOLLOUT | EPOLLRDHUP;
	else
		ev.events |= (!c->eof && c->head < BUF ? EPOLLIN : 0u) | (c->head > c->tail ? EPOLLOUT : 0u);
	if (epoll_ctl(ep, op, fd, &ev) < 0)
		warn("epoll_ctl");
}

struct loop { int ep, l; uint32_t mode; bool one; };

static void *epoll_loop(void *arg)
{
	const struct loop *x = arg;
	struct epoll_event ev[64];

	for (;;) {
		int n = epoll_wait(x->ep, ev, x->one ? 1 : 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (fd == x->l) {
				while ((fd = accept_one(x->l)) >= 0)
					want(x->ep, EPOLL_CTL_ADD, fd, x->mode);
			} else if (!move(fd)) {
				drop(fd);
			} else if (!(x->mode & EPOLLET)) {
				want(x->ep, EPOLL_CTL_MOD, fd, x->mode);
			}
		}
	}
	return NULL;
}

static int alarmed_ep, alarmed_listener;

/* Whatever the thread is doing with the instance. */
static void on_alarm(int sig)
{
	struct epoll_event ev = { .events = EPOLLPRI };
	int saved = errno, s = socket(AF_INET, SOCK_STREAM, 0), fd = dup(alarmed_listener);

	(void)sig;
	if (s < 0 || fd < 0 || epoll_ctl(alarmed_ep, EPOLL_CTL_ADD, fd, &ev) < 0 ||
	    epoll_ctl(alarmed_ep, EPOLL_CTL_DEL, fd, NULL) < 0 || close(fd) < 0 || close(s) < 0)
		abort();
	errno = saved;
}

static void alarms(int ep, int l)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval ms = { { 0, 1000 }, { 0, 1000 } };

	alarmed_ep = ep;
	alarmed_listener = l;
	if (sigaction(SIGALRM, &sa, NULL) < 0 || setitimer(ITIMER_REAL, &ms, NULL) < 0)
		err(1, "alarm");
}

static void by_epoll(int l, uint32_t mode, uint32_t listen_mode, int threads, bool alarmed)
{
	struct loop x = { epoll_create1(0), l, mode, threads > 1 };
	struct epoll_event ev = { .events = EPOLLIN | listen_mode, .data.fd = l };
	pthread_t t;

	if (x.ep < 0 || epoll_ctl(x.ep, EPOLL_CTL_ADD, l, &ev) < 0)
		err(1, "epoll");
	for (int i = 1; i < threads; i++)
		pthread_create(&t, NULL, epoll_loop, &x);
	if (alarmed)
		alarms(x.ep, l);
	epoll_loop(&x);
}

int main(int argc, char **argv)
{
	const char *style = argc > 1 ? argv[1] : "";
	int l;

	self = "/proc/self/exe";
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(style, "stdio") == 0) {
		echo_blocking(0, 1);
		return 0;
	}
	if (argc < 3)
		errx(2, "usage: echo STYLE PORT [ADDRESS]");
	l = listen_on(argv[3], (uint16_t)atoi(argv[2]));
	if (strcmp(style, "thread") == 0)
		by_thread(l);
	if (strcmp(style, "fork") == 0 || strcmp(style, "inetd") == 0)
		by_fork(l, style[0] == 'i');
	if (strcmp(style, "prefork") == 0) {
		children(3);
		by_turns(l);
	}
	fcntl(l, F_SETFL, O_NONBLOCK);
	if (strcmp(style, "select") == 0)
		by_select(l);
	if (strcmp(style, "poll") == 0)
		by_poll(l);
	if (strcmp(style, "exclusive") == 0) {
		children(3);
		by_epoll(l, 0, EPOLLEXCLUSIVE, 1, false);
	}
	if (strcmp(style, "level") == 0)
		by_epoll(l, 0, 0, 1, false);
	if (strcmp(style, "edge") == 0)
		by_epoll(l, EPOLLET, 0, 1, false);
	if (strcmp(style, "oneshot") == 0)
		by_epoll(l, EPOLLONESHOT, 0, 1, false);
	if (strcmp(style, "pool") == 0 || strcmp(style, "alarm") == 0)
		by_epoll(l, EPOLLONESHOT, 0, 4, style[0] == 'a');
	errx(2, "%s: no such style", style);
}
