/* SPDX-License-Identifier: GPL-2.0-or-later
 * libnpp.h - socket calls that know npp's sockets: what the preload library exports
 *
 * Each function has the signature and the manners of the C library's call of that
 * name (return value, errno, cancellation excepted). A descriptor that is none of
 * ours goes straight to the real call.
 */
#ifndef NPP_LIBNPP_H
#define NPP_LIBNPP_H

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Called by the constructor of the preload library (or by the first socket call): joins
 * the host named by $NPP_HOST_SOCK, takes over descriptors that came through exec.
 * Without the variable everything goes to the kernel, silently. */
void npp_start(void);
/* For tests: join through this path instead of the environment; leave again. */
int npp_start_at(const char *path);
void npp_stop(void);
/* After npp_start(), by who leads all of the functions below to us. */
void npp_signals_start(void);

int npp_socket(int domain, int type, int protocol);
int npp_bind(int fd, const struct sockaddr *addr, socklen_t len);
int npp_listen(int fd, int backlog);
int npp_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int npp_connect(int fd, const struct sockaddr *addr, socklen_t len);
int npp_shutdown(int fd, int how);
int npp_close(int fd);
int npp_close_range(unsigned first, unsigned last, int flags);
int npp_dup(int fd);
int npp_dup2(int fd, int to);
int npp_dup3(int fd, int to, int flags);
int npp_fcntl(int fd, int cmd, unsigned long arg);
int npp_ioctl(int fd, unsigned long request, void *arg);

ssize_t npp_read(int fd, void *buf, size_t n);
ssize_t npp_readv(int fd, const struct iovec *iov, int n);
ssize_t npp_recv(int fd, void *buf, size_t n, int flags);
ssize_t npp_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr, socklen_t *len);
ssize_t npp_recvmsg(int fd, struct msghdr *mh, int flags);
int npp_recvmmsg(int fd, struct mmsghdr *mm, unsigned n, int flags, struct timespec *timeout);
ssize_t npp_write(int fd, const void *buf, size_t n);
ssize_t npp_writev(int fd, const struct iovec *iov, int n);
ssize_t npp_send(int fd, const void *buf, size_t n, int flags);
ssize_t npp_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr, socklen_t len);
ssize_t npp_sendmsg(int fd, const struct msghdr *mh, int flags);
int npp_sendmmsg(int fd, struct mmsghdr *mm, unsigned n, int flags);
ssize_t npp_sendfile(int out, int in, off_t *off, size_t n);
ssize_t npp_splice(int in, off64_t *off_in, int out, off64_t *off_out, size_t n, unsigned flags);

int npp_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
int npp_setsockopt(int fd, int level, int name, const void *val, socklen_t len);
int npp_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int npp_getpeername(int fd, struct sockaddr *addr, socklen_t *len);

int npp_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int npp_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);
int npp_select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout);
int npp_pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout, const sigset_t *mask);
int npp_epoll_create1(int flags);
int npp_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
int npp_epoll_pwait(int epfd, struct epoll_event *ev, int max, int timeout_ms, const sigset_t *mask);
int npp_epoll_pwait2(int epfd, struct epoll_event *ev, int max, const struct timespec *timeout,
		     const sigset_t *mask);

struct ifaddrs;
struct addrinfo;
int npp_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res);
int npp_getifaddrs(struct ifaddrs **to);
void npp_freeifaddrs(struct ifaddrs *ifa);
int npp_fstat(int fd, struct stat *st);
/* Around a call that changes the user of all threads: ours is not there meanwhile, and then is what the caller is. */
bool npp_creds_begin(void);
void npp_creds_end(bool alone);
void npp_confined_soon(void);	/* before a seccomp filter, or a limit of no descriptors */
typedef void npp_handler(int sig);
int npp_sigaction(int sig, const struct sigaction *act, struct sigaction *old);
npp_handler *npp_signal(int sig, npp_handler *fn);
npp_handler *npp_sysv_signal(int sig, npp_handler *fn);
npp_handler *npp_sigset(int sig, npp_handler *fn);
int npp_siginterrupt(int sig, int interrupt);
bool npp_sigaction_by_number(int sig, const void *act, void *old, size_t size, long *r);
pid_t npp_fork(void);
bool npp_clone(long nr, const long a[6], long *r);
int npp_daemon(int nochdir, int noclose);
int npp_execve(const char *path, char *const argv[], char *const envp[]);
int npp_execvpe(const char *file, char *const argv[], char *const envp[]);
int npp_fexecve(int fd, char *const argv[], char *const envp[]);
int npp_posix_spawn(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		    char *const argv[], char *const envp[], bool search);
FILE *npp_fdopen(int fd, const char *mode);
int npp_fileno(FILE *f);

#endif
