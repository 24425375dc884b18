/* SPDX-License-Identifier: GPL-2.0-or-later
 * child.c - steps: other processes that have the same sockets, by fork, exec or a message over a Unix socket
 *
 * A child does one thing with a descriptor, says what came of it, and ends. What that means for the socket stays
 * when the child has gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "twin.h"

enum { C_SEND, C_RECV, C_POLL, C_NAMES, C_OPTION, C_CLOSE, C_SHUT, C_DUP, C_COUNT };

static long child_send(int fd)
{
	uint8_t p[10];

	memset(p, 0x3c, sizeof p);
	return send(fd, p, sizeof p, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static long child_poll(int fd, char *what)
{
	struct pollfd pf = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI };
	int e = epoll_create1(0), unread = 0;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT }, out = { 0 };
	long r = poll(&pf, 1, 0);

	epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev);
	if (!(pf.revents & (POLLIN | POLLOUT | POLLHUP)) || epoll_wait(e, &out, 1, 1000) <= 0)
		out.events = 0;
	if (ioctl(fd, FIONREAD, &unread) < 0)
		unread = -1;
	sprintf(what, "%x %x %d ", (unsigned)pf.revents, out.events, unread);
	close(e);
	return r;
}

static long child_names(int fd, char *what)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	long r = getsockname(fd, (void *)&ss, &len);

	sprintf(what, "%d %u ", r < 0 ? -1 : ss.ss_family, r < 0 ? 0 : len);
	len = sizeof ss;
	r = getpeername(fd, (void *)&ss, &len);
	sprintf(what + strlen(what), "%u ", r < 0 ? 0 : len);
	return r;
}

/* What a child does with FD: says it into SAID, the result of the call last. */
void child_do(int how, int fd, char *said)
{
	static const int on = 1;
	char what[96] = "";
	uint8_t buf[100];
	long r;

	errno = 0;
	switch (how) {
	case C_SEND: r = child_send(fd); break;
	case C_RECV: r = recv(fd, buf, sizeof buf, MSG_DONTWAIT); break;
	case C_POLL: r = child_poll(fd, what); break;
	case C_NAMES: r = child_names(fd, what); break;
	case C_OPTION: r = setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on); break;
	case C_CLOSE: r = close(fd); break;
	case C_SHUT: r = shutdown(fd, SHUT_WR); break;
	default:
		r = dup(fd);
		r = r < 0 ? r : fcntl((int)r, F_GETFL) & (O_ACCMODE | O_NONBLOCK);
	}
	sprintf(said, "%s%s %ld", what, r < 0 ? errno_name(errno) : "good", r);
}

/* By exec: the descriptor has to come along. */
static void child_run(struct world *w, int how, int i, bool by_exec, int to)
{
	char said[128] = "", number[2][16];

	signal(SIGALRM, SIG_DFL);
	if (by_exec) {
		sprintf(number[0], "%d", how);
		sprintf(number[1], "%d", w->slot[i]);
		dup2(to, STDOUT_FILENO);
		execl("/proc/self/exe", "twin", "child", number[0], number[1], (char *)NULL);
		_exit(1);
	}
	child_do(how, w->slot[i], said);
	_exit(write(to, said, strlen(said)) < 0);
}

static void heard_of(struct obj *o, int how, long r)
{
	if (r < 0 || !o)
		return;
	if (how == C_SEND && is_up(o)) {
		o->sent += (unsigned)r;
		o->prst |= o->pclosed;
	} else if (how == C_RECV && is_up(o)) {
		o->got += (unsigned)r;
	} else if (how == C_RECV && is_dgram(o)) {
		o->queued -= o->queued > 0;
	} else if (how == C_SHUT && is_up(o)) {
		o->fin = true;
	}
}

static bool avoided(const struct obj *o, int how, bool by_exec)
{
	if (by_exec && is_any(o) && !is_up(o) && how != C_POLL && how != C_NAMES)
		return true;
	if (how == C_SEND && (is_dgram(o) || (is_stream(o) && !is_up(o))))
		return true;
	if (how == C_SHUT && (!is_up(o) || o->prst || o->rst))
		return true;
	return how == C_RECV && (!o || o->urgent || (is_stream(o) && !is_up(o)));
}

static void step_child(struct world *w)
{
	int i = pick(w, is_any), how = (int)roll(w, C_COUNT), tube[2], status = 0;
	bool by_exec = roll(w, 3) == 0;
	struct obj *o = w->obj[i];
	char said[128] = "", *last;
	ssize_t n, at = 0;
	pid_t pid;

	if (avoided(o, how, by_exec) || pipe2(tube, 0) < 0)
		return;
	w->forked = true;
#ifdef SYS_fork /* as some make their children */
	pid = i & 1 ? (pid_t)syscall(SYS_fork) : fork();
#else
	pid = fork();
#endif
	if (pid == 0)
		child_run(w, how, i, by_exec, tube[1]);
	close(tube[1]);
	while ((n = read(tube[0], said + at, sizeof said - 1 - (size_t)at)) > 0 || (n < 0 && errno == EINTR))
		at += n > 0 ? n : 0;
	close(tube[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	say(w, "s%d child%s(%d) says %s", i, by_exec ? " by exec" : "", how, said);
	if (status)
		say(w, " and died: %x", (unsigned)status);
	last = strrchr(said, ' ');
	heard_of(o, how, last ? strtol(last, NULL, 10) : -1);
}

/* A descriptor in a message to oneself: one more of the same socket. */
static void step_pass(struct world *w)
{
	int i = pick(w, is_any), to = pick_empty(w), pair[2], fd = -1;
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int))]; } c = { .h = {
		.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { w->out, 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c };
	bool cloexec = roll(w, 2);
	long r;

	if (is_fresh(w->obj[i]) && !w->obj[i]->bound && !w->obj[i]->to)
		return; /* npp: what becomes of one is not known of the other, see libnpp(7) */
	if (to < 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		return;
	memcpy(CMSG_DATA(&c.h), &w->slot[i], sizeof(int));
	errno = 0;
	r = sendmsg(pair[0], &mh, 0);
	say(w, "s%d passed to s%d", i, to);
	say_result(w, r);
	if (r > 0) {
		memset(&c, 0, sizeof c);
		r = recvmsg(pair[1], &mh, cloexec ? MSG_CMSG_CLOEXEC : 0);
		say(w, " flags %x", (unsigned)(mh.msg_flags & ~MSG_CMSG_CLOEXEC));
		if (r > 0 && mh.msg_controllen >= CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(&c.h), sizeof fd);
	}
	close(pair[0]);
	close(pair[1]);
	if (fd < 0)
		return;
	say(w, " %x", (unsigned)fcntl(fd, F_GETFD));
	take_slot(w, to, fd, w->obj[i]);
}

const struct step child_steps[] = { { "child", 5, step_child }, { "pass", 2, step_pass }, { 0 } };
