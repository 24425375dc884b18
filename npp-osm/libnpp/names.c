/* SPDX-License-Identifier: GPL-2.0-or-later
 * names.c - names of both ends, ioctl, O_NONBLOCK
 */
#include "config.h"

#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "npp-osm/libnpp/opts_priv.h"

/* ---- names -------------------------------------------------------------------------------------------- */

int npp_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct so *so = fd_ours(fd);
	int saved = errno;

	if (!so)
		return R->getsockname(fd, addr, len);
	/* The ISM picks the port of an unbound connection. It does so at once. */
	for (int i = 0; i < 1000 && so->sk->lport == 0 && stream_state(so) == ST_CONNECTING; i++)
		lib_nap(100);
	if (len && (int)*len < 0) {
		errno = EINVAL;
		return -1;
	}
	addr_out(so, &so->sk->laddr, so->sk->lport, sock_ifno(so->sk), addr, len);
	errno = saved;
	return 0;
}

int npp_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct so *so = fd_ours(fd);
	bool connected;

	if (!so)
		return R->getpeername(fd, addr, len);
	connected = so->dgram ? sock_fl(so) & NPP_FL_CONNECTED
			      : so->sk->type == NPP_SOCK_STREAM && stream_state(so) == ST_UP && !stream_over(so);
	if (!connected || (len && (int)*len < 0)) {
		errno = connected ? EINVAL : ENOTCONN;
		return -1;
	}
	addr_out(so, &so->sk->raddr, so->sk->rport, sock_ifno(so->sk), addr, len);
	return 0;
}

/* ---- ioctl, fcntl ------------------------------------------------------------------------------------------ */

static void set_nonblock(struct so *so, bool on)
{
	if (on)
		atomic_fetch_or_explicit(&so->sk->fl, NPP_FL_NONBLOCK, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&so->sk->fl, ~NPP_FL_NONBLOCK, memory_order_relaxed);
}

/* N bytes of the ring D, as its ISM says: no more than it can hold, or programs make room for what cannot be. */
static uint32_t in_ring(const struct so *so, const struct npp_ring_desc *d, uint32_t n)
{
	uint32_t size;
	uint8_t *base;

	if (n == 0 || !ring_ok(so->sk->slot, d, &base, &size))
		return 0;
	return n < size ? n : size;
}

int npp_ioctl(int fd, unsigned long request, void *arg)
{
	struct so *so = fd_ours(fd);
	uint32_t n = 0;
	struct urg u;

	if (!so)
		return R->ioctl(fd, request, arg);
	switch (request) {
	case FIONBIO:
		set_nonblock(so, *(int *)arg != 0);
		return 0;
	case FIONREAD: /* SIOCINQ */
		if (so->dgram)
			dgram_readable(so, &n);
		else if (so->sk->type == NPP_SOCK_LISTENER) {
			errno = EINVAL;
			return -1;
		} else {
			n = in_ring(so, &so->sk->rx_ring, urg_readable(so, stream_readable(so)));
		}
		if (n == 0 && so->dgram && so->kpart)
			return R->ioctl(fd, request, arg);
		*(int *)arg = (int)n;
		return 0;
	case SIOCOUTQ:
		if (!so->dgram && so->sk->type == NPP_SOCK_LISTENER) {
			errno = EINVAL;
			return -1;
		}
		n = atomic_load_explicit(&so->sk->tx_head, memory_order_relaxed) -
		    atomic_load_explicit(&so->sk->tx_tail, memory_order_relaxed);
		*(int *)arg = (int)in_ring(so, &so->sk->tx_ring, n);
		return 0;
	case SIOCOUTQNSD:
		if (so->dgram || so->sk->type != NPP_SOCK_STREAM) {
			errno = so->dgram ? ENOTTY : EINVAL;
			return -1;
		}
		n = tcp_not_sent(so);
		*(int *)arg = (int)in_ring(so, &so->sk->tx_ring, n);
		return 0;
	case SIOCATMARK:
		if (so->dgram) {
			errno = ENOTTY;
			return -1;
		}
		*(int *)arg = so->sk->type != NPP_SOCK_LISTENER && urg_at(so, &u) && u.at_mark;
		return 0;
	case FIOSETOWN:
	case SIOCSPGRP:
		return npp_fcntl(fd, F_SETOWN, (unsigned long)*(int *)arg);
	case FIOGETOWN:
	case SIOCGPGRP:
		*(int *)arg = npp_fcntl(fd, F_GETOWN, 0);
		return 0;
	case FIOCLEX:
	case FIONCLEX:
	case FIOASYNC:
	default: /* interface requests and the like: any socket will do */
		return R->ioctl(fd, request, arg);
	}
}

/* F_GETFL and F_SETFL: the place-holders of a process share one open file description,
 * and a listener's kernel part is always non-blocking, so O_NONBLOCK is the record's. */
int sock_getfl(struct so *so, int fd)
{
	int fl = R->fcntl(fd, F_GETFL);

	if (fl < 0)
		return -errno;
	return sock_fl(so) & NPP_FL_NONBLOCK ? fl | O_NONBLOCK : fl & ~O_NONBLOCK;
}

int sock_setfl(struct so *so, int fd, int fl)
{
	(void)fd;
	set_nonblock(so, fl & O_NONBLOCK);
	return 0;
}
