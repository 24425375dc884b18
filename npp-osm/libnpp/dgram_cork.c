/* SPDX-License-Identifier: GPL-2.0-or-later
 * dgram_cork.c - one datagram of several sends: MSG_MORE and UDP_CORK
 *
 * The first send says where it goes, those that follow add to it, and the first one without
 * MSG_MORE sends all, as with Linux; but what is held back is this process's own. A child of fork
 * has a copy, which is not its business. All of it under tx_lock, but for the sending.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "npp-osm/libnpp/priv.h"
#include "shm/lock.h"

/* Behind LEN bytes that stand there already. */
static void add(struct cork *c, const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++) {
		memcpy(c->data + c->d.len, iov[i].iov_base, iov[i].iov_len);
		c->d.len += (uint32_t)iov[i].iov_len;
	}
}

/* The buffer is kept for the next one, if there is none by now. */
void cork_done(struct so *so, struct cork *c)
{
	if (sock_lock_take(&so->sk->tx_lock) == 0) {
		if (!so->cork) {
			c->pid = 0;
			so->cork = c;
			c = NULL;
		}
		sock_lock_drop(&so->sk->tx_lock);
	}
	if (c)
		lib_pages_free(c, sizeof *c);
}

/**
 * cork_begin() - hold a datagram back that more will be added to
 * @first: where it goes and how, and how long it is so far; that is in the iovec
 *
 * Return: 0 or -errno; -EMSGSIZE: it is longer than `most`, which an ISM may have changed since that was looked at
 */
int cork_begin(struct so *so, const struct cork_head *first, const struct iovec *iov, int n)
{
	struct cork *c;
	int r;

	if (first->d.len > first->most || first->most > sizeof c->data)
		return -EMSGSIZE;
	c = lib_pages(sizeof *c);
	if (!c)
		return -ENOBUFS;
	c->head = *first;
	c->d.len = 0;
	c->pid = npp_lib.pid;
	add(c, iov, n);
	r = sock_lock_take(&so->sk->tx_lock);
	if (r == 0) { /* what another thread has begun meanwhile is lost, or that of our parent */
		struct cork *old = so->cork;

		so->cork = c;
		c = old;
		sock_lock_drop(&so->sk->tx_lock);
	}
	if (c)
		lib_pages_free(c, sizeof *c);
	return r;
}

/**
 * cork_add() - LEN bytes more for what is held back
 * @whole: if no MORE will follow, what is to be sent now, and given to cork_done() then
 *
 * Return: 0; -ENOMSG: nothing is held back; -EMSGSIZE: it would be too large, and is lost, as with Linux; another -errno
 */
int cork_add(struct so *so, const struct iovec *iov, int n, size_t len, bool more, struct cork **whole)
{
	struct cork *c;
	int r;

	*whole = NULL;
	if (!so->cork)
		return -ENOMSG;
	r = sock_lock_take(&so->sk->tx_lock);
	if (r < 0)
		return r;
	c = so->cork;
	if (!c || c->pid != npp_lib.pid) {
		r = -ENOMSG;
	} else if (len > c->most - c->d.len) {
		r = -EMSGSIZE;
		c->pid = 0;
	} else {
		add(c, iov, n);
		if (!more) {
			*whole = c;
			so->cork = NULL;
		}
	}
	sock_lock_drop(&so->sk->tx_lock);
	return r;
}

/* The last descriptor is closed. Another thread may be adding to it right now; if that cannot be waited for, a buffer is lost. */
void cork_forget(struct so *so)
{
	struct cork *c;

	if (!so->cork || !so->sk || sock_lock_take(&so->sk->tx_lock) < 0)
		return;
	c = so->cork;
	so->cork = NULL;
	sock_lock_drop(&so->sk->tx_lock);
	if (c)
		lib_pages_free(c, sizeof *c);
}
