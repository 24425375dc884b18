/* SPDX-License-Identifier: GPL-2.0-or-later
 * api.c - the socket calls as programs know them
 *
 * Each looks up the descriptor, hands on to the real call if it is not ours, and turns
 * negative errnos into the C library's manners. errno is left alone on success.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"

static inline ssize_t done(ssize_t r, int saved)
{
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	errno = saved;
	return r;
}

/* ping on a host whose only way out are its NPPs gets no answer, and no error. */
static void say_of_raw(int domain, int t, int protocol)
{
	bool icmp = t == SOCK_DGRAM && (domain == AF_INET ? protocol == IPPROTO_ICMP : protocol == IPPROTO_ICMPV6);

	if ((domain == AF_INET || domain == AF_INET6) && (t == SOCK_RAW || icmp) && lib_on())
		lib_say(ONCE_RAW, "raw sockets and those of ping are the kernel's: nothing of them goes by the NPPs");
}

/* ---- opening ---------------------------------------------------------------------- */

int npp_socket(int domain, int type, int protocol)
{
	int t = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), fd, saved = errno;
	bool candidate = (domain == AF_INET || domain == AF_INET6) &&
			 ((t == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP)) ||
			  (t == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP)));
	struct so *so;

	fd = R->socket(domain, type, protocol);
	if (fd >= 0 && !candidate) {
		say_of_raw(domain, t, protocol);
		errno = saved;
	}
	if (fd < 0 || !candidate || !lib_on())
		return fd;
	fd_lock();
	so = so_new(SO_KERNEL_YET);
	if (so) {
		so->domain = (uint8_t)domain;
		so->dgram = t == SOCK_DGRAM;
		fd_install(fd, so);
	}
	fd_unlock();
	errno = saved;
	return fd;
}

/* The object for a call that may make FD ours: known, or a kernel socket from elsewhere. */
static struct so *candidate(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct so *so = fd_get(fd);

	if (so || !sa || len < sizeof sa->sa_family || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6) ||
	    !lib_on())
		return so && (so->kind == SO_OURS || so->kind == SO_KERNEL_YET) ? so : NULL;
	fd_lock();
	so = sock_adopt(fd, sa->sa_family);
	fd_unlock();
	return so;
}

int npp_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	int saved = errno, r = 1;
	struct so *so = candidate(fd, addr, len);

	if (so) {
		fd_lock();
		r = sock_do_bind(so, fd, addr, len);
		fd_unlock();
		if (r == 0)
			mcast_let_in(so);
	}
	errno = saved;
	if (r <= 0)
		return (int)done(r, saved);
	if (R->bind(fd, addr, len) < 0)
		return -1; /* it may become ours yet, by whichever descriptor */
	if (r == 2) {
		fd_lock();
		if (fd_get(fd) == so)
			sock_to_kernel(so, fd);
		fd_unlock();
		errno = saved;
	}
	return 0;
}

int npp_listen(int fd, int backlog)
{
	struct so *so = fd_get(fd);
	int saved = errno, r = 1;

	if (so && (so->kind == SO_OURS || so->kind == SO_KERNEL_YET)) {
		signals_look();
		fd_lock();
		r = sock_do_listen(so, fd, backlog);
		fd_unlock();
	}
	errno = saved;
	return r == 1 ? R->listen(fd, backlog) : (int)done(r, saved);
}

int npp_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct so *so = fd_ours(fd);
	int saved = errno;

	if (!so)
		return R->accept4(fd, addr, len, flags);
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return (int)done(-EINVAL, saved);
	return (int)done(sock_do_accept(so, fd, addr, len, flags), saved);
}

int npp_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int saved = errno, r = 1;
	struct so *so = candidate(fd, addr, len);

	if (so && npp_thr.inside == 0)
		r = so->dgram ? dgram_do_connect(so, fd, addr, len) : sock_do_connect(so, fd, addr, len);
	errno = saved;
	return r == 1 ? R->connect(fd, addr, len) : (int)done(r, saved);
}

int npp_shutdown(int fd, int how)
{
	struct so *so = fd_ours(fd);
	int saved = errno;

	return so ? (int)done(sock_do_shutdown(so, fd, how), saved) : R->shutdown(fd, how);
}

/* ---- closing ------------------------------------------------------------------------------ */

/* Takes FD out of the tables; *GONE is the object to drop if this was its last descriptor. */
static bool remove_fd(int fd, struct so *gone)
{
	struct so *so = fd_get(fd);

	if (!so)
		return false;
	*gone = (struct so){ .idx = so->idx, .gen = so->gen, .sk = so->sk, .kind = SO_OURS, .dgram = so->dgram,
			     .opt.linger = so->opt.linger };
	return fd_remove(fd);
}

int npp_close(int fd)
{
	struct so *so = fd_get(fd), gone;
	int r, saved = errno;
	bool last;

	if (vfork_noted())
		so = vfork_ours(fd);
	if (!so || npp_thr.inside)
		return R->close(fd);
	signals_check();
	if (so->kind == SO_INTERNAL)
		return (int)done(-EBADF, saved);
	if (vfork_child()) {
		if (!fd_ours(fd)) /* its parent's own are recognised: nothing is there */
			vfork_note(fd, NULL);
		return R->close(fd);
	}
	pthread_testcancel(); /* here as in the C library: before anything is done */
	fd_lock();
	last = remove_fd(fd, &gone);
	r = R->close(fd) < 0 ? -errno : 0;
	fd_unlock();
	if (last)
		sock_drop(&gone, true);
	return (int)done(r, saved);
}

int npp_close_range(unsigned first, unsigned last, int flags)
{
	int saved = errno, r = 0;
	unsigned from = first;

	if (first > last || npp_thr.inside)
		return (int)done(npp_real_close_range(first, last, (unsigned)flags), saved);
	if (flags & ~(int)CLOSE_RANGE_CLOEXEC) /* unsharing */
		return (int)done(npp_real_close_range(first, last, (unsigned)flags), saved);
	for (unsigned fd = first; fd <= last && fd < FD_MAX && r == 0; fd++) {
		struct so *so = fd_get((int)fd);

		if (!so)
			continue;
		if (fd > from)
			r = npp_real_close_range(from, fd - 1, (unsigned)flags);
		if (so->kind != SO_INTERNAL) {
			if (flags & CLOSE_RANGE_CLOEXEC)
				R->fcntl((int)fd, F_SETFD, FD_CLOEXEC);
			else
				npp_close((int)fd);
		}
		from = fd + 1;
	}
	if (r == 0 && from <= last)
		r = npp_real_close_range(from, last, (unsigned)flags);
	return (int)done(r, saved);
}

/* ---- dup -------------------------------------------------------------------------------------- */

/* dup() and F_DUPFD; MIN the lowest number wanted. */
static int dup_any(int fd, int min, bool cloexec)
{
	struct so *so = fd_get(fd);
	int to, r, saved = errno;

	if (vfork_noted() || (so && vfork_child())) {
		to = R->fcntl(fd, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, min);
		if (to >= 0)
			vfork_note(to, vfork_ours(fd));
		return to;
	}
	if (!so || so->kind == SO_INTERNAL)
		return so && so->kind == SO_INTERNAL && !npp_thr.inside
			       ? (int)done(-EBADF, saved)
			       : R->fcntl(fd, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, min);
	fd_lock();
	to = R->fcntl(fd, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, min);
	r = to < 0 ? -errno : fd_install(to, so);
	if (r < 0 && to >= 0)
		R->close(to);
	fd_unlock();
	return (int)done(r < 0 ? r : to, saved);
}

int npp_dup(int fd)
{
	return fd_get(fd) || vfork_noted() ? dup_any(fd, 0, false) : R->dup(fd);
}

static int dup_onto(int fd, int to, int flags)
{
	struct so *so = fd_get(fd), *old = fd_get(to), gone;
	bool last = false;
	int r = 0;

	if (so && so->kind == SO_INTERNAL)
		return -EBADF;
	if (flags & ~O_CLOEXEC)
		return -EINVAL; /* before anything is taken out */
	fd_lock();
	if (R->fcntl(fd, F_GETFD) < 0)
		r = -EBADF;
	if (r == 0 && old && old->kind == SO_INTERNAL)
		r = fd_evict(to);
	else if (r == 0 && old)
		last = remove_fd(to, &gone);
	if (r == 0 && R->dup3(fd, to, flags) < 0)
		r = -errno;
	if (r == 0 && so) {
		r = fd_install(to, so);
		if (r < 0)
			R->close(to);
	}
	fd_unlock();
	if (last)
		sock_drop(&gone, true);
	return r < 0 ? r : to;
}

/* A child of vfork puts sockets where the program it will start wants them: remembered
 * until exec, since the table is its parent's. */
static int dup_in_vfork(int fd, int to, int flags)
{
	int r = R->dup3(fd, to, flags);

	if (r >= 0)
		vfork_note(to, vfork_ours(fd));
	return r;
}

int npp_dup3(int fd, int to, int flags)
{
	int saved = errno;

	if ((!fd_get(fd) && !fd_get(to) && !vfork_noted()) || fd == to || npp_thr.inside)
		return R->dup3(fd, to, flags);
	if (vfork_child())
		return dup_in_vfork(fd, to, flags);
	return (int)done(dup_onto(fd, to, flags), saved);
}

int npp_dup2(int fd, int to)
{
	if ((!fd_get(fd) && !fd_get(to) && !vfork_noted()) || fd == to || npp_thr.inside)
		return R->dup2(fd, to);
	return npp_dup3(fd, to, 0);
}

int npp_fcntl(int fd, int cmd, unsigned long arg)
{
	struct so *so = fd_get(fd);
	int saved = errno, r;

	if (!so && !(vfork_noted() && (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)))
		return R->fcntl(fd, cmd, arg);
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return dup_any(fd, (int)arg, cmd == F_DUPFD_CLOEXEC);
	case F_SETOWN:
	case F_GETOWN:
	case F_SETOWN_EX:
	case F_GETOWN_EX:
		r = urg_owner_fcntl(so, cmd, arg);
		return r == INT32_MIN ? R->fcntl(fd, cmd, arg) : cmd == F_GETOWN ? r : (int)done(r, saved);
	case F_GETFL:
		return so->kind == SO_OURS ? (int)done(sock_getfl(so, fd), saved) : R->fcntl(fd, cmd, arg);
	case F_SETFL:
		return so->kind == SO_OURS ? (int)done(sock_setfl(so, fd, (int)arg), saved) : R->fcntl(fd, cmd, arg);
	default:
		return R->fcntl(fd, cmd, arg);
	}
}

/* ---- receiving ------------------------------------------------------------------------------------ */

static ssize_t recv_iov(struct so *so, int fd, const struct iovec *iov, int n, int flags)
{
	struct msghdr mh = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };

	return so->dgram ? dgram_recv(so, fd, &mh, flags) : stream_recv(so, fd, iov, n, flags);
}

ssize_t npp_read(int fd, void *buf, size_t n)
{
	struct so *so = fd_ours(fd);
	struct iovec iov = { buf, n };
	int saved = errno;

	return so && n ? done(recv_iov(so, fd, &iov, 1, 0), saved) : R->read(fd, buf, n);
}

ssize_t npp_readv(int fd, const struct iovec *iov, int n)
{
	struct so *so = fd_ours(fd);
	int saved = errno;

	return so && iov_total(iov, n) > 0 ? done(recv_iov(so, fd, iov, n, 0), saved) : R->readv(fd, iov, n);
}

ssize_t npp_recv(int fd, void *buf, size_t n, int flags)
{
	struct so *so = fd_ours(fd);
	struct iovec iov = { buf, n };
	int saved = errno;

	return so ? done(recv_iov(so, fd, &iov, 1, flags), saved) : R->recv(fd, buf, n, flags);
}

static ssize_t recv_msg(struct so *so, int fd, struct msghdr *mh, int flags)
{
	ssize_t r;

	if (mh->msg_iovlen > 1024)
		return -EMSGSIZE;
	if (so->dgram)
		return dgram_recv(so, fd, mh, flags);
	r = stream_recv(so, fd, mh->msg_iov, (int)mh->msg_iovlen, flags);
	if (r >= 0) {
		mh->msg_namelen = 0;
		mh->msg_controllen = 0;
		mh->msg_flags = !(flags & MSG_OOB) ? 0 : r ? MSG_OOB : iov_total(mh->msg_iov, (int)mh->msg_iovlen) ? 0 : MSG_OOB | MSG_TRUNC;
	}
	return r;
}

ssize_t npp_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr, socklen_t *len)
{
	struct so *so = fd_ours(fd);
	struct iovec iov = { buf, n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = addr, .msg_namelen = addr && len ? *len : 0 };
	int saved = errno;
	ssize_t r;

	if (!so)
		return R->recvfrom(fd, buf, n, flags, addr, len);
	r = recv_msg(so, fd, &mh, flags);
	if (r >= 0 && addr && len)
		*len = mh.msg_namelen;
	return done(r, saved);
}

ssize_t npp_recvmsg(int fd, struct msghdr *mh, int flags)
{
	struct so *so = fd_ours(fd);
	int saved = errno;
	ssize_t r;

	if (so)
		return done(recv_msg(so, fd, mh, flags), saved);
	r = R->recvmsg(fd, mh, flags);
	if (r >= 0 && mh->msg_controllen)
		pass_received(mh);
	return r;
}

/* ERR came after something else: it is for the next call, if it is one of the connection and no newer one is there.
 * What is wrong with this call alone is nothing to the others that have the socket, nor to whom the record belongs by now. */
static void leave_error(struct so *so, int err)
{
	int none = 0;

	if (err == EAGAIN || err == EINTR || err == EBADF || err == ENOBUFS || err == EIO || !sock_alive(so))
		return;
	atomic_compare_exchange_strong_explicit(&so->sk->err, &none, err, memory_order_release, memory_order_relaxed);
}

int npp_recvmmsg(int fd, struct mmsghdr *mm, unsigned n, int flags, struct timespec *timeout)
{
	struct so *so = fd_ours(fd);
	uint64_t end = timeout ? lib_now_us() + (uint64_t)timeout->tv_sec * 1000000 + (uint64_t)timeout->tv_nsec / 1000
			       : UINT64_MAX;
	int saved = errno;
	ssize_t r = 0;
	unsigned i;

	if (!so) {
		int k = R->recvmmsg(fd, mm, n, flags, timeout);

		for (int j = 0; j < k; j++)
			pass_received(&mm[j].msg_hdr);
		return k;
	}
	r = flags & MSG_ERRQUEUE ? 0 : -sock_error(so); /* as Linux: before anything that may be there */
	for (i = 0; r >= 0 && i < n && i < 1024; i++) {
		r = recv_msg(so, fd, &mm[i].msg_hdr, flags & ~MSG_WAITFORONE);
		if (r < 0) {
			if (i)
				leave_error(so, (int)-r);
			break;
		}
		mm[i].msg_len = (unsigned)r;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (mm[i].msg_hdr.msg_flags & MSG_OOB) { /* which is told at once */
			i++;
			break;
		}
		if (lib_now_us() >= end) { /* looked at after each one, as the kernel does */
			i++;
			break;
		}
	}
	return (int)done(i ? (ssize_t)i : r, saved);
}

/* ---- sending ---------------------------------------------------------------------------------------- */

static ssize_t send_kernel(int fd, const struct msghdr *mh, int flags)
{
	ssize_t r = R->sendmsg(fd, mh, flags);

	return r < 0 ? -errno : r;
}

static ssize_t send_msg(struct so *so, int fd, const struct msghdr *mh, int flags)
{
	ssize_t r;

	if (mh->msg_iovlen > 1024)
		return -EMSGSIZE;
	if (!so->dgram) {
		if (flags & MSG_FASTOPEN && mh->msg_name) {
			r = sock_fast_open(so, fd, mh->msg_name, mh->msg_namelen);
			if (r < 0)
				return r;
			return r == 1 ? send_kernel(fd, mh, flags) :
					stream_send(so, fd, mh->msg_iov, (int)mh->msg_iovlen, flags & ~MSG_FASTOPEN);
		}
		if (so->kind != SO_OURS)
			return send_kernel(fd, mh, flags);
		if (flags & MSG_FASTOPEN)
			return sock_fast_open_again(so, fd);
		return stream_send(so, fd, mh->msg_iov, (int)mh->msg_iovlen, flags);
	}
	r = dgram_send(so, fd, mh, flags);
	return r == INT32_MIN ? send_kernel(fd, mh, flags) : r;
}

/* Sockets whose data we carry, and those that a destination may make ours. */
static struct so *sender(int fd, int flags)
{
	struct so *so = fd_get(fd);

	return so && (so->kind == SO_OURS || (so->kind == SO_KERNEL_YET && (so->dgram || flags & MSG_FASTOPEN))) ? so : NULL;
}

ssize_t npp_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr, socklen_t len)
{
	struct so *so = sender(fd, flags);
	struct iovec iov = { (void *)(uintptr_t)buf, n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = (void *)(uintptr_t)addr,
			     .msg_namelen = addr ? len : 0 };
	int saved = errno;

	return so ? done(send_msg(so, fd, &mh, flags), saved) : R->sendto(fd, buf, n, flags, addr, len);
}

ssize_t npp_send(int fd, const void *buf, size_t n, int flags)
{
	return sender(fd, flags) ? npp_sendto(fd, buf, n, flags, NULL, 0) : R->send(fd, buf, n, flags);
}

ssize_t npp_write(int fd, const void *buf, size_t n)
{
	return fd_ours(fd) ? npp_sendto(fd, buf, n, 0, NULL, 0) : R->write(fd, buf, n);
}

ssize_t npp_writev(int fd, const struct iovec *iov, int n)
{
	struct so *so = fd_ours(fd);
	struct msghdr mh = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };
	int saved = errno;

	if (!so || iov_total(iov, n) <= 0) /* nothing, or nonsense: the kernel knows */
		return R->writev(fd, iov, n);
	return done(send_msg(so, fd, &mh, 0), saved);
}

ssize_t npp_sendmsg(int fd, const struct msghdr *mh, int flags)
{
	struct so *so = sender(fd, flags);
	int saved = errno;

	if (so)
		return done(send_msg(so, fd, mh, flags), saved);
	return unlikely(pass_wanted(mh)) ? done(pass_send(fd, mh, flags), saved) : R->sendmsg(fd, mh, flags);
}

static bool any_wanted(const struct mmsghdr *mm, unsigned n)
{
	for (unsigned i = 0; i < n && i < 1024; i++)
		if (pass_wanted(&mm[i].msg_hdr))
			return true;
	return false;
}

int npp_sendmmsg(int fd, struct mmsghdr *mm, unsigned n, int flags)
{
	struct so *so = sender(fd, flags);
	int saved = errno;
	ssize_t r = 0;
	unsigned i;

	if (!so && !any_wanted(mm, n))
		return R->sendmmsg(fd, mm, n, flags);
	for (i = 0; i < n && i < 1024; i++) {
		r = so ? send_msg(so, fd, &mm[i].msg_hdr, flags) : pass_send(fd, &mm[i].msg_hdr, flags);
		if (r < 0)
			break;
		mm[i].msg_len = (unsigned)r;
	}
	return (int)done(i ? (ssize_t)i : r, saved);
}

/* Into a datagram socket or from one of ours: through a buffer, one piece. */
static ssize_t sendfile_copy(struct so *so, int out, int in, off_t *off, size_t n)
{
	uint8_t buf[65536];
	struct iovec iov = { buf, 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t want = n < sizeof buf ? n : sizeof buf;
	ssize_t k = off ? R->pread(in, buf, want, *off) : npp_read(in, buf, want);

	if (k <= 0)
		return k < 0 ? -errno : 0;
	iov.iov_len = (size_t)k;
	k = so ? send_msg(so, out, &mh, 0) : npp_write(out, buf, (size_t)k);
	if (k > 0 && off)
		*off += k;
	return k < 0 && !so ? -errno : k;
}

ssize_t npp_sendfile(int out, int in, off_t *off, size_t n)
{
	struct so *so = fd_ours(out);
	int saved = errno;

	if (!so && !fd_ours(in))
		return R->sendfile(out, in, off, n);
	if (so && !so->dgram && !fd_ours(in))
		return done(stream_sendfile(so, out, in, off, n), saved);
	return done(sendfile_copy(so, out, in, off, n), saved);
}

ssize_t npp_splice(int in, off64_t *off_in, int out, off64_t *off_out, size_t n, unsigned flags)
{
	struct so *from = fd_ours(in), *to = fd_ours(out);
	int saved = errno;

	if (!from && !to)
		return R->splice(in, off_in, out, off_out, n, flags);
	return done(lib_splice(from, in, off_in != NULL, to, out, off_out != NULL, n, flags), saved);
}
