/* SPDX-License-Identifier: GPL-2.0-or-later
 * preload.c - the C library's names, led to libnpp
 *
 * Built as libnpp-preload.so and put in front of a program by LD_PRELOAD. Every exported
 * function is a libc name and a single call; nothing else leaves the library
 * (preload.map). The fortified variants check what glibc checks and go on.
 */
#include "config.h"

#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "npp-osm/libnpp/libnpp.h"
#include "npp-osm/libnpp/real.h"
#include "npp-osm/preload/preload.h"

#define EXPORT __attribute__((visibility("default")))

__attribute__((constructor(101))) static void start(void)
{
	npp_start();
	npp_signals_start();
}

/* ---- sockets ------------------------------------------------------------------------ */

EXPORT int socket(int domain, int type, int protocol)
{
	return npp_socket(domain, type, protocol);
}

EXPORT int bind(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	return npp_bind(fd, ADDR(addr), len);
}

EXPORT int listen(int fd, int backlog)
{
	return npp_listen(fd, backlog);
}

EXPORT int accept(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	return npp_accept4(fd, ADDR(addr), len, 0);
}

EXPORT int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *len, int flags)
{
	return npp_accept4(fd, ADDR(addr), len, flags);
}

EXPORT int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	return npp_connect(fd, ADDR(addr), len);
}
EXPORT int __connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return npp_connect(fd, addr, len);
}

EXPORT int shutdown(int fd, int how)
{
	return npp_shutdown(fd, how);
}

EXPORT int getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	return npp_getsockopt(fd, level, name, val, len);
}

EXPORT int setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	return npp_setsockopt(fd, level, name, val, len);
}

EXPORT int getsockname(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	return npp_getsockname(fd, ADDR(addr), len);
}

EXPORT int getpeername(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	return npp_getpeername(fd, ADDR(addr), len);
}

/* ---- descriptors ---------------------------------------------------------------------- */

EXPORT int close(int fd)
{
	return npp_close(fd);
}
EXPORT int __close(int fd)
{
	return npp_close(fd);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	return npp_close_range(first, last, flags);
}

EXPORT void closefrom(int first)
{
	int saved = errno;

	npp_close_range(first < 0 ? 0 : (unsigned)first, UINT_MAX, 0);
	errno = saved;
}

EXPORT int dup(int fd)
{
	return npp_dup(fd);
}

EXPORT int dup2(int fd, int to)
{
	return npp_dup2(fd, to);
}
EXPORT int __dup2(int fd, int to)
{
	return npp_dup2(fd, to);
}

EXPORT int dup3(int fd, int to, int flags)
{
	return npp_dup3(fd, to, flags);
}

/* The argument is an int, a pointer or absent; all come in the same place. */
#define FCNTL(name) \
	EXPORT int name(int fd, int cmd, ...) \
	{ \
		va_list ap; \
		unsigned long arg; \
\
		va_start(ap, cmd); \
		arg = va_arg(ap, unsigned long); \
		va_end(ap); \
		return npp_fcntl(fd, cmd, arg); \
	}
FCNTL(fcntl)
FCNTL(fcntl64)
FCNTL(__fcntl)

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	return npp_ioctl(fd, request, arg);
}

/* The C library's own would ask the kernel. */
EXPORT int sockatmark(int fd)
{
	int at = 0;

	return npp_ioctl(fd, SIOCATMARK, &at) < 0 ? -1 : at;
}

/* ---- data --------------------------------------------------------------------------------- */

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
	return npp_read(fd, buf, n);
}
EXPORT ssize_t __read(int fd, void *buf, size_t n)
{
	return npp_read(fd, buf, n);
}
EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t size)
{
	if (n > size)
		__chk_fail();
	return npp_read(fd, buf, n);
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	return npp_readv(fd, iov, n);
}

EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	return npp_recv(fd, buf, n, flags);
}
EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags)
{
	if (n > size)
		__chk_fail();
	return npp_recv(fd, buf, n, flags);
}

EXPORT ssize_t recvfrom(int fd, void *buf, size_t n, int flags, __SOCKADDR_ARG addr, socklen_t *len)
{
	return npp_recvfrom(fd, buf, n, flags, ADDR(addr), len);
}
EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, __SOCKADDR_ARG addr, socklen_t *len)
{
	if (n > size)
		__chk_fail();
	return npp_recvfrom(fd, buf, n, flags, ADDR(addr), len);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *mh, int flags)
{
	return npp_recvmsg(fd, mh, flags);
}

EXPORT int recvmmsg(int fd, struct mmsghdr *mm, unsigned n, int flags, struct timespec *timeout)
{
	return npp_recvmmsg(fd, mm, n, flags, timeout);
}

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
	return npp_write(fd, buf, n);
}
EXPORT ssize_t __write(int fd, const void *buf, size_t n)
{
	return npp_write(fd, buf, n);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	return npp_writev(fd, iov, n);
}

EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	return npp_send(fd, buf, n, flags);
}
EXPORT ssize_t __send(int fd, const void *buf, size_t n, int flags)
{
	return npp_send(fd, buf, n, flags);
}

EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	return npp_sendto(fd, buf, n, flags, ADDR(addr), len);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *mh, int flags)
{
	return npp_sendmsg(fd, mh, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *mm, unsigned n, int flags)
{
	return npp_sendmmsg(fd, mm, n, flags);
}

EXPORT ssize_t sendfile(int out, int in, off_t *off, size_t n)
{
	return npp_sendfile(out, in, off, n);
}
EXPORT ssize_t sendfile64(int out, int in, off64_t *off, size_t n)
{
	return npp_sendfile(out, in, off, n);
}

EXPORT ssize_t splice(int in, off64_t *off_in, int out, off64_t *off_out, size_t n, unsigned flags)
{
	return npp_splice(in, off_in, out, off_out, n, flags);
}

EXPORT int fileno(FILE *f)
{
	return npp_fileno(f);
}
EXPORT int fileno_unlocked(FILE *f)
{
	return npp_fileno(f);
}

EXPORT FILE *fdopen(int fd, const char *mode)
{
	return npp_fdopen(fd, mode);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return npp_poll(fds, n, timeout);
}
EXPORT int __poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return npp_poll(fds, n, timeout);
}
EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (size / sizeof *fds < n)
		__chk_fail();
	return npp_poll(fds, n, timeout);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	return npp_ppoll(fds, n, timeout, mask);
}
EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t size)
{
	if (size / sizeof *fds < n)
		__chk_fail();
	return npp_ppoll(fds, n, timeout, mask);
}

EXPORT int select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout)
{
	return npp_select(n, r, w, x, timeout);
}
EXPORT int __select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout)
{
	return npp_select(n, r, w, x, timeout);
}

EXPORT int pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout, const sigset_t *mask)
{
	return npp_pselect(n, r, w, x, timeout, mask);
}

EXPORT int epoll_create(int size)
{
	if (size <= 0) {
		errno = EINVAL;
		return -1;
	}
	return npp_epoll_create1(0);
}

EXPORT int epoll_create1(int flags)
{
	return npp_epoll_create1(flags);
}

EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	return npp_epoll_ctl(epfd, op, fd, ev);
}

EXPORT int epoll_wait(int epfd, struct epoll_event *ev, int max, int timeout)
{
	return npp_epoll_pwait(epfd, ev, max, timeout, NULL);
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *ev, int max, int timeout, const sigset_t *mask)
{
	return npp_epoll_pwait(epfd, ev, max, timeout, mask);
}

EXPORT int epoll_pwait2(int epfd, struct epoll_event *ev, int max, const struct timespec *timeout,
			const sigset_t *mask)
{
	return npp_epoll_pwait2(epfd, ev, max, timeout, mask);
}

/* ---- by number --------------------------------------------------------------------------- */

/* libuv, and so Node.js and the tools of BIND, closes and accepts by number. What libnpp itself
 * asks for so must not come back to it. */
#define FD ((int)a[0])
#define BUF ((void *)a[1])
#define SOCKADDR ((struct sockaddr *)a[1])

/* Calls that need no more than a descriptor and what C has for the rest. True: *R is the answer. */
static bool by_number(long nr, const long *a, long *r)
{
	switch (nr) {
	case SYS_close: *r = npp_close(FD); break;
	case SYS_close_range: *r = npp_close_range((unsigned)a[0], (unsigned)a[1], (int)a[2]); break;
	case SYS_dup: *r = npp_dup(FD); break;
#ifdef SYS_dup2
	case SYS_dup2: *r = npp_dup2(FD, (int)a[1]); break;
#endif
	case SYS_dup3: *r = npp_dup3(FD, (int)a[1], (int)a[2]); break;
	case SYS_fcntl: *r = npp_fcntl(FD, (int)a[1], (unsigned long)a[2]); break;
	case SYS_ioctl: *r = npp_ioctl(FD, (unsigned long)a[1], (void *)a[2]); break;
	case SYS_read: *r = npp_read(FD, BUF, (size_t)a[2]); break;
	case SYS_write: *r = npp_write(FD, BUF, (size_t)a[2]); break;
	case SYS_readv: *r = npp_readv(FD, BUF, (int)a[2]); break;
	case SYS_writev: *r = npp_writev(FD, BUF, (int)a[2]); break;
	default: return false;
	}
	return true;
}

static bool socket_by_number(long nr, const long *a, long *r)
{
	switch (nr) {
	case SYS_socket: *r = npp_socket((int)a[0], (int)a[1], (int)a[2]); break;
	case SYS_bind: *r = npp_bind(FD, SOCKADDR, (socklen_t)a[2]); break;
	case SYS_listen: *r = npp_listen(FD, (int)a[1]); break;
	case SYS_accept: *r = npp_accept4(FD, SOCKADDR, (socklen_t *)a[2], 0); break;
	case SYS_accept4: *r = npp_accept4(FD, SOCKADDR, (socklen_t *)a[2], (int)a[3]); break;
	case SYS_connect: *r = npp_connect(FD, SOCKADDR, (socklen_t)a[2]); break;
	case SYS_shutdown: *r = npp_shutdown(FD, (int)a[1]); break;
	case SYS_getsockname: *r = npp_getsockname(FD, SOCKADDR, (socklen_t *)a[2]); break;
	case SYS_getpeername: *r = npp_getpeername(FD, SOCKADDR, (socklen_t *)a[2]); break;
	case SYS_setsockopt: *r = npp_setsockopt(FD, (int)a[1], (int)a[2], (void *)a[3], (socklen_t)a[4]); break;
	case SYS_getsockopt: *r = npp_getsockopt(FD, (int)a[1], (int)a[2], (void *)a[3], (socklen_t *)a[4]); break;
	case SYS_sendto: *r = npp_sendto(FD, BUF, (size_t)a[2], (int)a[3], (struct sockaddr *)a[4], (socklen_t)a[5]); break;
	case SYS_recvfrom: *r = npp_recvfrom(FD, BUF, (size_t)a[2], (int)a[3], (struct sockaddr *)a[4], (socklen_t *)a[5]); break;
	case SYS_sendmsg: *r = npp_sendmsg(FD, BUF, (int)a[2]); break;
	case SYS_recvmsg: *r = npp_recvmsg(FD, BUF, (int)a[2]); break;
	case SYS_sendmmsg: *r = npp_sendmmsg(FD, BUF, (unsigned)a[2], (int)a[3]); break;
	case SYS_recvmmsg: *r = npp_recvmmsg(FD, BUF, (unsigned)a[2], (int)a[3], (struct timespec *)a[4]); break;
	default: return false;
	}
	return true;
}

EXPORT long syscall(long nr, ...)
{
	long r;
	long a[6];
	va_list ap;

	va_start(ap, nr);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (nr == SYS_seccomp)
		npp_confined_soon();
	if ((nr == SYS_clone || nr == SYS_clone3) && npp_clone(nr, a, &r))
		return r;
#ifdef SYS_fork
	if (nr == SYS_fork && npp_clone(SYS_clone, (const long[6]){ SIGCHLD }, &r))
		return r;
#endif
	if (nr == SYS_rt_sigaction && npp_sigaction_by_number((int)a[0], (void *)a[1], (void *)a[2], (size_t)a[3], &r))
		return r;
	if (by_number(nr, a, &r) || socket_by_number(nr, a, &r))
		return r;
	return npp_real_get()->syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

EXPORT int prctl(int what, ...)
{
	unsigned long a[4];
	va_list ap;

	va_start(ap, what);
	for (unsigned i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (what == PR_SET_SECCOMP)
		npp_confined_soon();
	return npp_real_get()->prctl(what, a[0], a[1], a[2], a[3]);
}

EXPORT int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	return npp_getaddrinfo(node, service, hints, res);
}

EXPORT int getifaddrs(struct ifaddrs **to)
{
	return npp_getifaddrs(to);
}

EXPORT void freeifaddrs(struct ifaddrs *ifa)
{
	npp_freeifaddrs(ifa);
}

/* 64-bit systems only: both kinds of limits are one. */
_Static_assert(sizeof(struct rlimit) == sizeof(struct rlimit64), "limits");

static int limit(pid_t pid, __rlimit_resource_t what, const struct rlimit *to, struct rlimit *old)
{
	if (what == RLIMIT_NOFILE && to && to->rlim_cur < 16)
		npp_confined_soon();
	return npp_real_get()->prlimit(pid, what, to, old);
}

EXPORT int setrlimit(__rlimit_resource_t what, const struct rlimit *to)
{
	return limit(0, what, to, NULL);
}
EXPORT int setrlimit64(__rlimit_resource_t what, const struct rlimit64 *to)
{
	return limit(0, what, (const void *)to, NULL);
}

EXPORT int prlimit(pid_t pid, __rlimit_resource_t what, const struct rlimit *to, struct rlimit *old)
{
	return limit(pid, what, to, old);
}
EXPORT int prlimit64(pid_t pid, __rlimit_resource_t what, const struct rlimit64 *to, struct rlimit64 *old)
{
	return limit(pid, what, (const void *)to, (void *)old);
}

/* ---- processes ------------------------------------------------------------------------------------ */

EXPORT pid_t fork(void)
{
	return npp_fork();
}
EXPORT pid_t __fork(void)
{
	return npp_fork();
}

EXPORT int daemon(int nochdir, int noclose)
{
	return npp_daemon(nochdir, noclose);
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	return npp_posix_spawn(pid, path, actions, attr, argv, envp, false);
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	return npp_posix_spawn(pid, file, actions, attr, argv, envp, true);
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return npp_execve(path, argv, envp);
}

EXPORT int execv(const char *path, char *const argv[])
{
	return npp_execve(path, argv, environ);
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return npp_execvpe(file, argv, environ);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return npp_execvpe(file, argv, envp);
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	return npp_fexecve(fd, argv, envp);
}

/* execl and friends: the arguments as an array, on the stack as glibc does it. */
#define COLLECT(first) \
	va_list ap; \
	size_t n = 1; \
\
	va_start(ap, first); \
	while (va_arg(ap, char *)) \
		n++; \
	va_end(ap); \
	char **argv = __builtin_alloca((n + 1) * sizeof *argv); \
	argv[0] = (char *)(uintptr_t)first; \
	va_start(ap, first); \
	for (size_t i = 1; i <= n; i++) \
		argv[i] = va_arg(ap, char *)

EXPORT int execl(const char *path, const char *arg, ...)
{
	COLLECT(arg);
	va_end(ap);
	return npp_execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	COLLECT(arg);
	va_end(ap);
	return npp_execvpe(file, argv, environ);
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	COLLECT(arg);
	char **envp = va_arg(ap, char **);

	va_end(ap);
	return npp_execve(path, argv, envp);
}
