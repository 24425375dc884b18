/* SPDX-License-Identifier: GPL-2.0-or-later
 * plain.c - steps: what all descriptors have
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "twin.h"

static void step_dup(struct world *w)
{
	int i = pick(w, is_any), to = pick_empty(w), how = (int)roll(w, 3), fd;

	if (to < 0)
		return;
	errno = 0;
	fd = how == 0 ? dup(w->slot[i]) : fcntl(w->slot[i], how == 1 ? F_DUPFD : F_DUPFD_CLOEXEC, 20);
	say(w, "s%d dup(%d) to s%d", i, how, to);
	say_result(w, fd < 0 ? fd : 0);
	if (fd >= 0)
		say(w, " flags %x", (unsigned)fcntl(fd, F_GETFD)), take_slot(w, to, fd, w->obj[i]);
}

static void step_dup2(struct world *w)
{
	int i = pick(w, is_any), to = pick(w, is_any), how = (int)roll(w, 3), r;

	if (w->slot[i] >= 0 && i != to)
		forget(w, to);
	errno = 0;
	r = how == 0 ? dup2(w->slot[i], w->slot[to]) : dup3(w->slot[i], w->slot[to], how == 1 ? O_CLOEXEC : 0x40);
	say(w, "s%d dup2(s%d) %d", i, to, how);
	say_result(w, r < 0 ? r : 0);
	if (r >= 0 && i != to) {
		struct obj *o = w->obj[i];

		o->refs++; /* what was there may have been the same */
		drop(w, to);
		w->slot[to] = r;
		w->obj[to] = o;
	}
}

static void step_fcntl(struct world *w)
{
	int i = pick(w, is_any), how = (int)roll(w, 5), r, arg = 0;
	static const int cmds[] = { F_GETFL, F_SETFL, F_GETFD, F_SETFD, 9999 };

	if (how == 1)
		arg = (roll(w, 2) ? O_NONBLOCK : 0) | (roll(w, 4) ? 0 : O_EXCL) | (roll(w, 2) ? O_RDWR : 0); /* npp forgets O_APPEND */
	if (how == 3)
		arg = (int)roll(w, 3);
	errno = 0;
	r = fcntl(w->slot[i], cmds[how], arg);
	say(w, "s%d fcntl(%d, %x)", i, cmds[how], (unsigned)arg);
	say_result(w, r);
	if (r >= 0 && how == 1 && w->obj[i])
		w->obj[i]->nonblock = arg & O_NONBLOCK;
}

static void step_ioctl(struct world *w)
{
	static const unsigned long requests[] = { FIONREAD, SIOCOUTQ, SIOCATMARK, FIONBIO, SIOCOUTQNSD, FIOASYNC, 0x5555, FIONREAD, SIOCATMARK };
	int i = pick(w, is_any), r, value = (int)roll(w, 2);
	unsigned long request = one_of(w, requests);
	int before = value;

	if (w->obj[i] && (w->obj[i]->tried || w->obj[i]->rst || w->obj[i]->prst) && request == SIOCOUTQNSD)
		return; /* Linux counts what it has forgotten */
	if (request == FIOASYNC)
		value = before = 0;
	errno = 0;
	r = ioctl(w->slot[i], request, &value);
	say(w, "s%d ioctl(%lx, %d)", i, request, before);
	say_result(w, r);
	if (r >= 0 && request == FIONBIO && w->obj[i])
		w->obj[i]->nonblock = value;
	if (r >= 0 && request != SIOCOUTQ) /* what is acknowledged may take its time */
		say(w, " %d", value);
}

static void step_name(struct world *w)
{
	static const int lens[] = { 128, 128, 128, 28, 16, 10, 2, 1, 0, -1 };
	int i = pick(w, is_any), r;
	bool peer = roll(w, 2);
	socklen_t len = (socklen_t)one_of(w, lens), given = len;
	struct sockaddr_storage ss;

	if (w->obj[i] && w->obj[i]->tried)
		return; /* Linux names a port that it has no more */
	memset(&ss, 0x5a, sizeof ss);
	errno = 0;
	r = peer ? getpeername(w->slot[i], (void *)&ss, &len) : getsockname(w->slot[i], (void *)&ss, &len);
	say(w, "s%d get%sname(%d)", i, peer ? "peer" : "sock", (int)given);
	say_result(w, r);
	if (r < 0)
		return;
	if (given >= len)
		say_addr(w, (void *)&ss, len);
	else
		say(w, " /%u", len);
}

static void step_misc(struct world *w)
{
	int i = pick(w, is_any), how = (int)roll(w, 7), fd = w->slot[i];
	volatile int few = -1, many = 1025; /* or the compiler would know */
	struct iovec iov = { w->buf, 10 };
	struct stat st = { 0 };
	long r;

	errno = 0;
	switch (how) {
	case 0: r = lseek(fd, 0, SEEK_CUR); break;
	case 1: r = fsync(fd); break;
	case 2: r = ftruncate(fd, 0); break;
	case 3: r = pread(fd, w->buf, 10, 0); break;
	case 4: r = readv(fd, &iov, few); break;
	case 5: r = writev(fd, &iov, many); break;
	default: r = fstat(fd, &st);
	}
	say(w, "s%d misc(%d)", i, how);
	say_result(w, r);
	if (st.st_mode)
		say(w, " %o %ld %ld", st.st_mode, (long)st.st_size, (long)st.st_nlink);
}

const struct step plain_steps[] = {
	{ "dup", 3, step_dup }, { "dup2", 2, step_dup2 }, { "fcntl", 3, step_fcntl }, { "ioctl", 5, step_ioctl },
	{ "name", 5, step_name }, { "misc", 2, step_misc }, { 0 },
};
