/* SPDX-License-Identifier: GPL-2.0-or-later
 * splice.c - splice() between a pipe and a connection
 *
 * The kernel moves pages; here bytes are copied, once to a pipe by way of a small buffer, and from a pipe
 * straight into the ring. What a socket gave must not be lost, so no more is taken from it than the
 * pipe has room for: all of it if the pipe is empty, else one page, which is what POLLOUT promises.
 * With several writers of one pipe somebody may have been faster; then writing waits.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"

#define MOST 65536u	/* of one call to a pipe; its usual size */
#define PIECE 4096u	/* on the stack of who calls, which may be small */
#define KNOWN (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

/* Waits for EVENT at the pipe. What poll() says, or -errno. */
static int pipe_poll(int fd, short event, bool block)
{
	struct pollfd p = { fd, event, 0 };
	int r = R->poll(&p, 1, block ? -1 : 0);

	return r < 0 ? -errno : r == 0 ? -EAGAIN : p.revents;
}

/* How much a write to the pipe takes without waiting; -EPIPE: nobody reads it. */
static ssize_t pipe_room(int fd, bool block)
{
	int r = pipe_poll(fd, POLLOUT, block), used;

	if (r < 0)
		return r;
	if (r & POLLERR)
		return stream_broken_pipe(0);
	if (R->ioctl(fd, FIONREAD, &used) == 0 && used == 0)
		return R->fcntl(fd, F_GETPIPE_SZ);
	return PIPE_BUF;
}

/* All N bytes into the pipe, whatever others do with it. Fewer, or -errno: nobody reads it any more. */
static ssize_t pipe_put(int fd, const uint8_t *p, size_t n)
{
	size_t sent = 0;

	while (sent < n) {
		ssize_t k = R->write(fd, p + sent, n - sent);

		if (k > 0)
			sent += (size_t)k;
		else if (errno == EAGAIN)
			pipe_poll(fd, POLLOUT, true);
		else if (errno != EINTR)
			return sent ? (ssize_t)sent : -errno;
	}
	return (ssize_t)sent;
}

/* Piece by piece, and on as long as more is there. Only for the first it waits, as the socket does, whatever the pipe is. */
static ssize_t to_pipe(struct so *so, int in, int out, size_t n, bool block)
{
	uint8_t buf[PIECE];
	ssize_t room = pipe_room(out, block), done = 0, k, put;

	if (room < 0)
		return room;
	n = n < MOST ? n : MOST;
	n = n < (size_t)room ? n : (size_t)room;
	do {
		struct iovec iov = { buf, n - (size_t)done < sizeof buf ? n - (size_t)done : sizeof buf };

		k = stream_recv(so, in, &iov, 1, done ? MSG_DONTWAIT : 0);
		put = k > 0 ? pipe_put(out, buf, (size_t)k) : k;
		if (put <= 0)
			return done ? done : put;
		done += put;
	} while (put == PIECE && (size_t)done < n && stream_readable(so));
	return done;
}

struct pipe_source { int fd; bool empty; };

/* What the pipe has, unless another reader was faster: nobody waits under the socket's lock. */
static ssize_t fill_pipe(void *arg, uint8_t *at, size_t room)
{
	struct pipe_source *p = arg;
	struct iovec iov = { at, room };
	ssize_t k = preadv2(p->fd, &iov, 1, -1, RWF_NOWAIT);
	int r = k < 0 ? -errno : 0;

	if (r == -EOPNOTSUPP) { /* pipes before Linux 6.4 */
		r = pipe_poll(p->fd, POLLIN, false);
		if (r >= 0) {
			k = R->read(p->fd, at, room);
			r = k < 0 ? -errno : 0;
		}
	}
	p->empty = r == -EAGAIN;
	return r < 0 ? r : k;
}

static ssize_t from_pipe(struct so *so, int in, int out, size_t n, bool block, int more)
{
	struct pipe_source p = { .fd = in };
	ssize_t k;
	int r, there;

	do {
		r = pipe_poll(in, POLLIN, block);
		if (r < 0)
			return r;
		if (R->ioctl(in, FIONREAD, &there) < 0)
			return -errno;
		if (there <= 0 && !(r & POLLIN))
			return 0; /* nobody writes to it any more */
		p.empty = there <= 0;
		k = p.empty ? -EAGAIN : stream_send_by(so, out, n < (size_t)there ? n : (size_t)there, fill_pipe, &p, more);
	} while (block && k == -EAGAIN && p.empty); /* another reader was faster */
	return k;
}

/* Is the other end a pipe that may be used so? As Linux looks: its mode first, then what it is. */
static int judge(int fd, int wrong_mode, bool pipe_off, bool sock_off)
{
	int fl = R->fcntl(fd, F_GETFL);

	if (fl < 0)
		return -errno;
	if ((fl & O_ACCMODE) == wrong_mode)
		return -EBADF;
	if (R->fcntl(fd, F_GETPIPE_SZ) < 0)
		return -EINVAL;
	if (pipe_off)
		return -ESPIPE;
	return sock_off ? -EINVAL : fl;
}

/**
 * lib_splice() - splice() where one end at least is a socket of npp
 * @from, @to: what IN and OUT are, NULL: no socket of npp
 * @off_in, @off_out: is an offset given?
 *
 * Return: bytes, 0 at the end, or -errno
 */
ssize_t lib_splice(struct so *from, int in, bool off_in, struct so *to, int out, bool off_out, size_t n, unsigned flags)
{
	struct so *so = from ? from : to;
	bool block;
	int fl;

	if (n == 0)
		return 0;
	if (flags & ~(unsigned)KNOWN || (from && to))
		return -EINVAL;
	fl = from ? judge(out, O_RDONLY, off_out, off_in) : judge(in, O_WRONLY, off_in, off_out);
	if (fl < 0)
		return fl;
	if (so->dgram) {
		lib_say(ONCE_SPLICE, "splice() with a datagram socket of npp is refused (EINVAL)");
		return -EINVAL;
	}
	block = !(flags & SPLICE_F_NONBLOCK || fl & O_NONBLOCK);
	return from ? to_pipe(so, in, out, n, block) : from_pipe(so, in, out, n, block, flags & SPLICE_F_MORE ? MSG_MORE : 0);
}
