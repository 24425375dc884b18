/* SPDX-License-Identifier: GPL-2.0-or-later
 * move.c - steps: bytes that go from one descriptor to another by themselves, and many datagrams in one call
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "twin.h"

/* From a file to a socket, with a place in it or by its own, which may be behind the end; or from what is no file. */
static void step_sendfile(struct world *w)
{
	static const off_t places[] = { 0, 1, 100, 4000, 100000, -1 };
	static const size_t sizes[] = { 1, 10, 1000, 3000, 0, 100000 };
	int i = pick(w, is_up), how = (int)roll(w, 6), in = w->file;
	off_t at = one_of(w, places), *where = roll(w, 2) ? &at : NULL;
	size_t n = one_of(w, sizes);
	struct obj *o = w->obj[i];
	long r;

	if (is_dgram(o) || (is_up(o) && (o->pclosed || o->sent - o->pread > 30000)) || n == 0)
		return;
	if (how == 0)
		in = w->slot[roll(w, SLOTS)];
	if (how == 1)
		in = w->control;
	if (how < 2 && in >= 0)
		return; /* npp: from sockets of its own, too */
	if (!where)
		lseek(w->file, at < 0 ? 0 : at, SEEK_SET);
	errno = 0;
	r = sendfile(w->slot[i], in, where, n);
	say(w, "s%d sendfile(%d, %s, %zu)", i, how, where ? "at" : "on", n);
	say_result(w, r);
	say(w, " now %ld %ld", (long)at, (long)lseek(w->file, 0, SEEK_CUR));
	if (r > 0 && is_up(o))
		o->sent += (unsigned)r;
}

/* From a pipe to a socket. */
static void step_splice_out(struct world *w)
{
	static const int sizes[] = { 1, 10, 1000, 4096, 10000, 0 };
	int i = pick(w, is_up), n = one_of(w, sizes), flags = (int)roll(w, 2) * SPLICE_F_NONBLOCK, tube[2];
	struct obj *o = w->obj[i];
	loff_t at = 0;
	bool place = roll(w, 8) == 0;
	long r;

	if (!is_up(o) || o->pclosed || o->sent - o->pread > 30000 || n == 0 || pipe2(tube, O_NONBLOCK) < 0)
		return;
	memset(w->out, 0x21, (size_t)n);
	if (write(tube[1], w->out, (size_t)n) != n)
		say(w, "part of it ");
	errno = 0;
	r = splice(tube[0], NULL, w->slot[i], place ? &at : NULL, (size_t)n, (unsigned)flags);
	say(w, "s%d splice(%d, %x%s)", i, n, (unsigned)flags, place ? ", at" : "");
	say_result(w, r);
	close(tube[0]);
	close(tube[1]);
	if (r > 0)
		o->sent += (unsigned)r;
}

/* From a socket to a pipe. */
static void step_splice_in(struct world *w)
{
	static const int sizes[] = { 1, 10, 1000, 4096, 60000, 0 };
	int i = pick(w, roll(w, 3) ? has_unread : is_up), n = one_of(w, sizes), flags = (int)roll(w, 2) * SPLICE_F_NONBLOCK, tube[2];
	struct obj *o = w->obj[i];
	long r, got = 0;

	if (!is_stream(o) || o->urgent || n == 0 || o->n_pending || pipe2(tube, O_NONBLOCK) < 0)
		return;
	memset(w->buf, 0, (size_t)n);
	patience(w, i, true);
	errno = 0;
	r = splice(w->slot[i], NULL, tube[1], NULL, (size_t)n, (unsigned)flags);
	say(w, "s%d splice from(%d, %x)", i, n, (unsigned)flags);
	say_result(w, r < 0 ? r : r > 0);
	patience(w, i, false);
	if (r > 0)
		got = read(tube[0], w->buf, (size_t)n);
	if (r > 0 && got != r)
		say(w, " but %ld", got);
	close(tube[0]);
	close(tube[1]);
	if (r > 0 && is_up(o))
		o->got += (unsigned)r;
}

static bool one_peer(const struct obj *o)
{
	return is_dgram(o) && o->to == 'U' && !o->refused;
}

static void step_sendmmsg(struct world *w)
{
	int i = pick(w, one_peer), n = 1 + (int)roll(w, 3), r;
	struct iovec iov[3] = { { w->out, 10 }, { w->out, 0 }, { w->out, 1000 } };
	struct mmsghdr mm[3];
	struct obj *o = w->obj[i];

	if (!is_dgram(o) || (o->to && o->to != 'U'))
		return;
	memset(mm, 0, sizeof mm);
	memset(w->out, 0x44, 1000);
	for (int k = 0; k < n; k++)
		mm[k].msg_hdr = (struct msghdr){ .msg_iov = &iov[(k + i) % 3], .msg_iovlen = 1 };
	errno = 0;
	r = sendmmsg(w->slot[i], mm, (unsigned)n, roll(w, 2) ? MSG_DONTWAIT : 0);
	say(w, "s%d sendmmsg(%d)", i, n);
	say_result(w, r);
	if (r < 0)
		o->tried = !o->bound;
	for (int k = 0; k < r; k++)
		say(w, " %u %s", mm[k].msg_len, ask(w, "urecv 0") + 6);
}

static void step_recvmmsg(struct world *w)
{
	static const int flagss[] = { 0, MSG_DONTWAIT, MSG_WAITFORONE, MSG_PEEK | MSG_DONTWAIT, MSG_TRUNC };
	int i = pick(w, has_unread), flags = one_of(w, flagss), n = 1 + (int)roll(w, 3), r;
	struct sockaddr_storage ss[3];
	struct iovec iov[3] = { { w->buf, 5 }, { w->buf + 5, 2000 }, { w->buf + 2005, 100 } };
	struct mmsghdr mm[3];
	struct obj *o = w->obj[i];

	if (!is_dgram(o))
		return;
	n = n > o->queued ? o->queued : n; /* how long it waits for the next one is another matter */
	memset(mm, 0, sizeof mm);
	for (int k = 0; k < n; k++)
		mm[k].msg_hdr = (struct msghdr){ .msg_iov = &iov[k], .msg_iovlen = 1, .msg_name = &ss[k], .msg_namelen = sizeof ss[k] };
	if (n > 1) /* the next one may still be on its way, and it comes */
		flags &= ~(MSG_DONTWAIT | MSG_WAITFORONE | MSG_PEEK);
	if (n > 1 && o->nonblock)
		return;
	errno = 0;
	r = n ? recvmmsg(w->slot[i], mm, (unsigned)n, flags, NULL) : -1;
	say(w, "s%d recvmmsg(%d, ", i, n);
	say_flags(w, flags);
	say(w, ")");
	say_result(w, r);
	for (int k = 0; k < r; k++) {
		say(w, " %u %x", mm[k].msg_len, (unsigned)mm[k].msg_hdr.msg_flags);
		say_addr(w, (void *)&ss[k], mm[k].msg_hdr.msg_namelen);
	}
	if (r > 0 && !(flags & MSG_PEEK))
		o->queued -= r < o->queued ? r : o->queued;
}

const struct step move_steps[] = {
	{ "sendfile", 3, step_sendfile }, { "splice out", 3, step_splice_out }, { "splice in", 3, step_splice_in },
	{ "sendmmsg", 3, step_sendmmsg }, { "recvmmsg", 4, step_recvmmsg }, { 0 },
};
