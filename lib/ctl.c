/* SPDX-License-Identifier: GPL-2.0-or-later
 * ctl.c - control messages with descriptors
 *
 * One message is one packet: header, body, descriptors. Whatever does not fit what
 * its header says is refused whole, its descriptors closed.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/proto.h"

#define CTL_MAGIC 0x6c74636eu
#define KERNEL_MAX_FDS 253 /* SCM_MAX_FD */

static int64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int npp_ctl_send(int sock, uint16_t type, uint32_t seq, int error, const void *body, size_t len,
		 const int *fds, unsigned nfds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * NPP_CTL_MAX_FDS)];
	} control;
	struct npp_ctl_hdr hdr = { .magic = CTL_MAGIC, .type = type, .nfds = (uint16_t)nfds,
				   .len = (uint32_t)len, .seq = seq, .error = error };
	struct iovec iov[2] = { { &hdr, sizeof hdr }, { (void *)(uintptr_t)body, len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };

	if (nfds > NPP_CTL_MAX_FDS || len > NPP_CTL_MAX_BODY)
		return -EINVAL;
	if (nfds) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof control);
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	for (;;) {
		struct pollfd pfd = { .fd = sock, .events = POLLOUT };

		if (sendmsg(sock, &mh, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == ECONNRESET)
			return -EPIPE;
		if (errno == EAGAIN) {
			if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
				return -errno;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

/* Moves what came in SCM_RIGHTS to M; true if nothing else came and nothing was cut. */
static bool take_control(struct npp_ctl_msg *m, struct msghdr *mh, unsigned *n)
{
	bool ok = (mh->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;

	*n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < bytes / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (*n < NPP_CTL_MAX_FDS) {
				m->fds[(*n)++] = fd;
			} else {
				close(fd);
				ok = false;
			}
		}
	}
	return ok;
}

/* Waits until SOCK is readable or END (ms, -1 for ever) has passed. 0, -EAGAIN, -errno. */
static int wait_readable(int sock, int64_t end)
{
	for (;;) {
		struct pollfd pfd = { .fd = sock, .events = POLLIN };
		int64_t left = end < 0 ? -1 : end - clock_ms();
		int rc;

		rc = poll(&pfd, 1, end < 0 ? -1 : left > 0 ? (int)left : 0);
		if (rc > 0)
			return 0;
		if (rc == 0)
			return -EAGAIN;
		if (errno != EINTR)
			return -errno;
	}
}

static ssize_t recv_packet(int sock, struct msghdr *mh, int64_t end)
{
	size_t controllen = mh->msg_controllen;
	bool reset_seen = false;

	for (;;) {
		ssize_t n;
		int err;

		mh->msg_controllen = controllen;
		n = recvmsg(sock, mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n >= 0)
			return n;
		if (errno == EAGAIN) {
			err = wait_readable(sock, end);
			if (err < 0)
				return err;
		} else if (errno == ECONNRESET) {
			/* The peer left with our words unread; its own may still be queued here. */
			if (reset_seen)
				return 0;
			reset_seen = true;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

/* Of what recvmsg() says, an empty packet is like the end. */
static bool hung_up(int sock)
{
	struct pollfd pfd = { .fd = sock, .events = POLLRDHUP };

	return poll(&pfd, 1, 0) != 0;
}

int npp_ctl_recv(int sock, struct npp_ctl_msg *m, void *buf, size_t cap, int timeout_ms)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * KERNEL_MAX_FDS)];
	} control;
	struct iovec iov[2] = { { &m->hdr, sizeof m->hdr }, { buf, cap } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = control.buf,
			     .msg_controllen = sizeof control.buf };
	unsigned nfds;
	ssize_t n;
	bool ok;

	memset(&m->hdr, 0, sizeof m->hdr);
	memset(m->fds, 0xff, sizeof m->fds); /* -1 */
	m->body = buf;
	n = recv_packet(sock, &mh, timeout_ms < 0 ? -1 : clock_ms() + timeout_ms);
	if (n < 0)
		return (int)n;
	if (n == 0 && mh.msg_controllen == 0)
		return hung_up(sock) ? 0 : -EPROTO;
	ok = take_control(m, &mh, &nfds);
	if (!ok || (size_t)n < sizeof m->hdr || m->hdr.magic != CTL_MAGIC ||
	    m->hdr.len != (size_t)n - sizeof m->hdr || m->hdr.nfds != nfds) {
		npp_ctl_close_fds(m);
		return -EPROTO;
	}
	return 1;
}

void npp_ctl_close_fds(struct npp_ctl_msg *m)
{
	for (unsigned i = 0; i < NPP_CTL_MAX_FDS; i++) {
		if (m->fds[i] >= 0)
			close(m->fds[i]);
		m->fds[i] = -1;
	}
}

int npp_ctl_take_fd(struct npp_ctl_msg *m, unsigned i)
{
	int fd;

	if (i >= NPP_CTL_MAX_FDS || m->fds[i] < 0)
		return -EPROTO;
	fd = m->fds[i];
	m->fds[i] = -1;
	return fd;
}

int npp_ctl_call(int sock, uint16_t type, const void *body, size_t len, const int *fds, unsigned nfds,
		 struct npp_ctl_msg *answer, void *buf, size_t cap, int timeout_ms)
{
	int64_t end = timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
	struct timespec ts;
	uint32_t seq;
	int rc;

	/* Unlike that of any request that may still be unanswered; never 0, which means 'not a request'. */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	seq = ((uint32_t)ts.tv_nsec ^ (uint32_t)ts.tv_sec << 30) | 1;
	rc = npp_ctl_send(sock, type, seq, 0, body, len, fds, nfds);
	if (rc < 0)
		return rc;
	for (;;) {
		int64_t left = end < 0 ? -1 : end - clock_ms();

		rc = npp_ctl_recv(sock, answer, buf, cap, end < 0 ? -1 : left > 0 ? (int)left : 0);
		if (rc == 0)
			return -EPIPE;
		if (rc == -EAGAIN)
			return -ETIMEDOUT;
		if (rc < 0)
			return rc;
		if (answer->hdr.seq == seq)
			return answer->hdr.error < 0 ? answer->hdr.error : 0;
		npp_ctl_close_fds(answer);
	}
}

static int unix_addr(const char *path, struct sockaddr_un *sun)
{
	memset(sun, 0, sizeof *sun);
	sun->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof sun->sun_path)
		return -ENAMETOOLONG;
	strcpy(sun->sun_path, path);
	return 0;
}

int npp_ctl_connect(const char *path)
{
	struct sockaddr_un sun;
	int fd, err = unix_addr(path, &sun);

	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	while (connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0) {
		err = -errno;
		if (err == -EINTR)
			continue;
		close(fd);
		return err;
	}
	return fd;
}

/* Is there a socket file at PATH that nobody answers on? Then it goes. */
static bool remove_stale(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = npp_ctl_connect(path);
	if (fd >= 0)
		close(fd);
	return fd == -ECONNREFUSED && unlink(path) == 0;
}

int npp_ctl_listen(const char *path, unsigned mode)
{
	struct sockaddr_un sun;
	int fd, err = unix_addr(path, &sun);

	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = bind(fd, (struct sockaddr *)&sun, sizeof sun) < 0 ? -errno : 0;
	if (err == -EADDRINUSE && remove_stale(path))
		err = bind(fd, (struct sockaddr *)&sun, sizeof sun) < 0 ? -errno : 0;
	if (err == 0 && (chmod(path, (mode_t)mode) < 0 || listen(fd, 128) < 0)) {
		err = -errno;
		unlink(path);
	}
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

int npp_ctl_pair(int sv[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0 ? -errno : 0;
}

int npp_ctl_peer(int sock, int *pid, unsigned *uid, unsigned *gid)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*pid = (int)cred.pid;
	*uid = (unsigned)cred.uid;
	*gid = (unsigned)cred.gid;
	return 0;
}
