/* SPDX-License-Identifier: GPL-2.0-or-later
 * pass.c - sockets that travel to other processes in SCM_RIGHTS
 *
 * A descriptor of ours is a place-holder, one like the other, so the message of the program
 * carries a ticket instead: one end of a pair of sockets in which stands which record it is,
 * signed with a key of this host, and the kernel's socket if there is one beside it. The OSM
 * has the other end and holds a reference for as long as anybody has the ticket, be it the
 * kernel in a message that nobody reads. Who receives one writes a descriptor word with a
 * reference of his own and puts the place-holder (or the kernel's socket) over it. A ticket
 * may be passed on by programs that know nothing of npp, and looked at more than once
 * (MSG_PEEK); each copy that arrives is a descriptor.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "net/hash.h"
#include "npp-osm/libnpp/priv.h"

#define TICKET_MAGIC 0x74656b6369747070ull

struct ticket { uint64_t magic, sign; uint32_t idx, gen; };
union room { struct cmsghdr h; uint8_t b[CMSG_SPACE(sizeof(int))]; };

static uint64_t sign(const struct ticket *t)
{
	uint64_t key[2] = { npp_lib.host->pass_key[0], npp_lib.host->pass_key[1] };
	uint32_t what[2] = { t->idx, t->gen };

	return npp_siphash(key, what, sizeof what);
}

/* How many descriptors C carries. */
static size_t rights(const struct cmsghdr *c)
{
	if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
		return 0;
	return (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
}

static int right(const struct cmsghdr *c, size_t i)
{
	int fd;

	memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
	return fd;
}

/* ---- sending --------------------------------------------------------------------------- */

/* What the ticket says, put where its holder finds it. */
static int ticket_write(int end, const struct so *so, int kernel)
{
	struct ticket t = { .magic = TICKET_MAGIC, .idx = so->idx, .gen = so->gen };
	struct iovec iov = { &t, sizeof t };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union room u;

	t.sign = sign(&t);
	if (kernel >= 0) {
		memset(&u, 0, sizeof u);
		u.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof kernel), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&u.h), &kernel, sizeof kernel);
		mh.msg_control = &u;
		mh.msg_controllen = sizeof u;
	}
	return R->sendmsg(end, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* A ticket for the socket FD of ours; -errno. It is close-on-exec. */
static int ticket_make(int fd)
{
	struct so *so = fd_ours(fd);
	struct npp_ctl_bind q;
	int pair[2], r;

	if (!so)
		return -EBADF;
	q = (struct npp_ctl_bind){ .sock = so->idx, .gen = so->gen };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	r = ticket_write(pair[0], so, so->kpart ? fd : -1);
	if (r == 0)
		r = lib_rpc_give(NPP_CTL_PASS, &q, sizeof q, pair[0]);
	lib_close(pair[0]);
	if (r < 0)
		lib_close(pair[1]);
	return r < 0 ? r : pair[1];
}

bool pass_wanted(const struct msghdr *mh)
{
	struct msghdr copy = *mh;

	if (!mh->msg_control || !mh->msg_controllen || npp_thr.inside)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&copy); c; c = CMSG_NXTHDR(&copy, c))
		for (size_t i = 0, n = rights(c); i < n; i++)
			if (fd_ours(right(c, i)) || fd_get(right(c, i)) == &npp_lib.internal)
				return true;
	return false;
}

static void drop(struct passed *p)
{
	fd_lock();
	for (unsigned i = 0; i < p->n; i++) {
		fd_disown(&p->fd[i]);
		lib_close(p->fd[i]);
	}
	p->n = 0;
	fd_unlock();
}

/* In the copy of a message that is sent: tickets where sockets of ours stand. */
static int swap(struct cmsghdr *c, struct passed *p)
{
	for (size_t i = 0, n = rights(c); i < n; i++) {
		int fd = right(c, i), t = -EBADF;

		if (fd_get(fd) != &npp_lib.internal && !fd_ours(fd))
			continue;
		if (p->n == PASS_MAX)
			return -ETOOMANYREFS;
		fd_lock(); /* a fork that comes between would keep the ticket in the child */
		if (fd_ours(fd))
			t = ticket_make(fd);
		if (t >= 0) {
			p->fd[p->n] = fd_high(t);
			fd_own(&p->fd[p->n++]);
		}
		fd_unlock();
		if (t < 0)
			return t;
		memcpy(CMSG_DATA(c) + i * sizeof t, &p->fd[p->n - 1], sizeof t);
	}
	return 0;
}

/**
 * pass_send() - sendmsg() of MH, with tickets for the sockets of ours in it
 *
 * Return: as sendmsg(), or -errno
 */
ssize_t pass_send(int fd, const struct msghdr *mh, int flags)
{
	_Alignas(struct cmsghdr) uint8_t control[2048];
	struct msghdr copy = *mh;
	struct passed p = { .n = 0 };
	ssize_t r = 0;

	if (mh->msg_controllen > sizeof control)
		return -ENOBUFS;
	if (mh->msg_controllen)
		memcpy(control, mh->msg_control, mh->msg_controllen);
	copy.msg_control = control;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&copy); c && r == 0; c = CMSG_NXTHDR(&copy, c))
		r = swap(c, &p);
	if (r == 0) {
		r = R->sendmsg(fd, &copy, flags);
		r = r < 0 ? -errno : r;
	}
	drop(&p);
	return r;
}

/* ---- receiving ------------------------------------------------------------------------- */

static bool is(int fd, int opt, int want)
{
	int v = 0;
	socklen_t len = sizeof v;

	return R->getsockopt(fd, SOL_SOCKET, opt, &v, &len) == 0 && v == want;
}

/* Is FD a ticket of this host? Then what it says, and the kernel's socket or -1. If not, it is a socket of
 * the program's own, in which may be nothing, or anything. */
static bool ticket_read(int fd, struct ticket *t, int *kernel)
{
	struct iovec iov = { t, sizeof *t };
	union room u;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u,
			     .msg_controllen = CMSG_LEN(sizeof *kernel) }; /* CMSG_SPACE() has room for two */
	struct cmsghdr *c;
	ssize_t n;

	*kernel = -1;
	if (!is(fd, SO_TYPE, SOCK_SEQPACKET) || !is(fd, SO_DOMAIN, AF_UNIX))
		return false;
	n = R->recvmsg(fd, &mh, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0) /* then what it would have said of its length is as it was */
		return false;
	if (n != sizeof *t || mh.msg_flags & MSG_TRUNC)
		t->magic = 0;
	c = CMSG_FIRSTHDR(&mh);
	if (c && rights(c))
		*kernel = right(c, 0);
	if (t->magic == TICKET_MAGIC && t->sign == sign(t) && t->idx > 0 && t->idx < npp_lib.sock_count)
		return true;
	if (*kernel >= 0)
		lib_close(*kernel);
	return false;
}

/* FD, which is a ticket, becomes the socket that it says. While it is there the OSM holds a reference,
 * unless that was another OSM, long ago. */
static int install(int fd, const struct ticket *t, int kernel)
{
	struct npp_sock *sk = &npp_lib.sock[t->idx];
	uint32_t refs = atomic_load_explicit(&sk->refs, memory_order_relaxed);
	int r;

	do {
		if (refs == 0 || atomic_load_explicit(&sk->gen, memory_order_acquire) != t->gen)
			return -ESTALE;
	} while (!atomic_compare_exchange_weak_explicit(&sk->refs, &refs, refs + 1, memory_order_acq_rel,
							memory_order_relaxed));
	r = kernel < 0 ? fd_placeholder(fd) : fd_put_over(kernel, fd);
	if (r == 0)
		r = fd_adopt(fd, t->idx, t->gen);
	/* not the last one: the word that fd_install() wrote counts, or nobody has it */
	if (atomic_fetch_sub_explicit(&sk->refs, 1, memory_order_acq_rel) == 1)
		sock_drop(&(struct so){ .kind = SO_OURS, .idx = t->idx, .gen = t->gen, .sk = sk,
					.dgram = sk->type == NPP_SOCK_DGRAM }, true);
	return r;
}

static void take(int fd)
{
	struct ticket t;
	int kernel;

	if (!ticket_read(fd, &t, &kernel))
		return;
	/* a context: a child of fork has its own table then */
	if (ctx_self() && lib_refresh()) {
		fd_lock();
		install(fd, &t, kernel);
		fd_unlock();
	}
	if (kernel >= 0)
		lib_close(kernel);
}

/* A message has come: tickets in it become sockets. */
void pass_received(const struct msghdr *mh)
{
	struct msghdr copy = *mh;
	int saved = errno;

	if (!mh->msg_controllen || !mh->msg_control || !lib_on())
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&copy); c; c = CMSG_NXTHDR(&copy, c))
		for (size_t i = 0, n = rights(c); i < n; i++)
			take(right(c, i));
	errno = saved;
}
