/* SPDX-License-Identifier: GPL-2.0-or-later
 * urgent.c - urgent bytes in the streams of a socket, as Linux shows them
 *
 * The ISM writes where the peer's last urgent byte stands and counts them (struct npp_sock, urg). The byte
 * is in the ring like any other. What this host's programs did with it stands in urg_seen, under
 * rx_lock and by that count: read by recv(MSG_OOB), or left behind by reading. So there is nothing to
 * clean up, and a mark that is past is past for all who share the socket.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "npp-osm/libnpp/priv.h"
#include "shm/lock.h"

bool urg_find(const struct so *so, uint64_t urg, struct urg *u)
{
	const struct npp_sock *sk = so->sk;
	uint32_t seen = atomic_load_explicit(&sk->urg_seen, memory_order_relaxed), n = NPP_URG_N(urg);
	uint32_t tail = atomic_load_explicit(&sk->rx_tail, memory_order_relaxed);
	bool mine = (seen & 0x3fffffff) == n;

	*u = (struct urg){ .off = NPP_URG_OFF(urg), .n = n };
	if (n == 0 || (mine && seen & NPP_URG_PAST) || (int32_t)(tail - u->off) > 0)
		return false;
	u->any = true;
	u->read = mine && seen & NPP_URG_READ;
	u->at_mark = tail == u->off;
	/* acquire: pairs with the ISM's release after it copied the bytes */
	u->here = urg & NPP_URG_HERE ||
		  (int32_t)(atomic_load_explicit(&sk->rx_head, memory_order_acquire) - u->off) > 0;
	u->inlined = atomic_load_explicit(&sk->opt_flags, memory_order_relaxed) & NPP_OPT_OOBINLINE;
	return true;
}

/**
 * urg_limit() - how far one call may read
 * @from: where it begins; moves over an urgent byte that is not part of the data
 * @more: something was read already
 *
 * Return: of AVAIL bytes, those before the mark, or from the mark on for a call that begins there
 */
uint32_t urg_limit(const struct urg *u, uint32_t *from, uint32_t avail, bool more)
{
	uint32_t ahead = u->off - *from;

	if (ahead)
		return ahead < avail ? ahead : avail;
	if (more || avail == 0)
		return 0;
	if (u->inlined)
		return avail;
	++*from;
	return avail - 1;
}

void urg_passed(struct so *so, const struct urg *u, uint32_t tail)
{
	if ((int32_t)(tail - u->off) > 0)
		atomic_store_explicit(&so->sk->urg_seen, u->n | NPP_URG_PAST, memory_order_relaxed);
}

/* What FIONREAD says of AVAIL bytes: those before the mark. */
uint32_t urg_readable(const struct so *so, uint32_t avail)
{
	struct urg u;

	if (!urg_at(so, &u) || u.inlined)
		return avail;
	return (int32_t)(atomic_load_explicit(&so->sk->rx_head, memory_order_relaxed) - u.off) > 0
		       ? u.off - atomic_load_explicit(&so->sk->rx_tail, memory_order_relaxed)
		       : avail;
}

static bool is_over(const struct so *so, uint32_t *rxf)
{
	*rxf = atomic_load_explicit(&so->sk->rx_flags, memory_order_acquire);
	return *rxf & (NPP_RXF_RESET | NPP_RXF_CLOSED);
}

/* recv(MSG_OOB): the byte, or -EINVAL: there is none, -EAGAIN: it is announced but has not come. Never waits. */
ssize_t urg_recv(struct so *so, const struct iovec *iov, int n, size_t want, int flags)
{
	uint32_t rxf = 0;
	struct urg u;
	int c;

	if (so->sk->type == NPP_SOCK_LISTENER)
		return -ENOTCONN;
	c = sock_lock_take(&so->sk->rx_lock);
	if (c < 0)
		return c;
	if (!sock_alive(so) || !urg_at(so, &u) || u.inlined || u.read)
		c = -EINVAL;
	else if (is_over(so, &rxf) && !(rxf & NPP_RXF_FIN))
		c = -ENOTCONN;
	else if (u.here)
		c = stream_byte(so, u.off);
	else if (rxf || sock_fl(so) & NPP_FL_SHUT_RD)
		c = -ESHUTDOWN; /* nothing more will come */
	else
		c = -EAGAIN;
	if (c >= 0 && !(flags & MSG_PEEK))
		atomic_store_explicit(&so->sk->urg_seen, u.n | NPP_URG_READ, memory_order_relaxed);
	sock_lock_drop(&so->sk->rx_lock);
	if (c < 0)
		return c == -ESHUTDOWN ? 0 : c;
	for (int i = 0; want && i < n && !(flags & MSG_TRUNC); i++) {
		if (iov[i].iov_len) {
			*(uint8_t *)iov[i].iov_base = (uint8_t)c;
			break;
		}
	}
	return want != 0;
}

/* Under tx_lock, before tx_head moves to UP: the byte before UP is urgent. */
void urg_mark(struct npp_sock *sk, uint32_t up)
{
	atomic_store_explicit(&sk->tx_urg, up, memory_order_relaxed);
	/* release: after tx_urg; the ISM that sees tx_head sees both */
	atomic_fetch_or_explicit(&sk->pend_in, NPP_IN_URG, memory_order_release);
}
