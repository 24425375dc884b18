/* SPDX-License-Identifier: GPL-2.0-or-later
 * stream.c - steps: connections are opened, used and closed, by both sides
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "twin.h"

static const int sizes[] = { 1, 2, 10, 100, 1000, 1448, 1460, 3000, 5000, 0 };

/* ---- opening ----------------------------------------------------------------------- */

static int open_socket(struct world *w, int domain, int type)
{
	int i = pick_empty(w), fd, t = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (i < 0) {
		say(w, "no place");
		return -1;
	}
	errno = 0;
	fd = socket(domain, type, 0);
	say(w, "s%d socket(%s, %s%s)", i, domain == AF_INET ? "4" : "6", t == SOCK_STREAM ? "stream" : "dgram",
	    type & SOCK_NONBLOCK ? ", nonblock" : "");
	say_result(w, fd < 0 ? fd : 0);
	if (fd < 0)
		return -1;
	take_slot(w, i, fd, obj_new(t, domain));
	w->obj[i]->nonblock = type & SOCK_NONBLOCK;
	return i;
}

static void step_socket(struct world *w)
{
	int type = roll(w, 3) ? SOCK_STREAM : SOCK_DGRAM;

	open_socket(w, roll(w, 2) ? AF_INET : AF_INET6, type | (roll(w, 3) ? 0 : SOCK_NONBLOCK));
}

static void call_bind(struct world *w, int i)
{
	static const char *const whats[] = { "any", "any", "me", "me", "peer", "taken", "family", "short", "unspec", "long" };
	const char *what = one_of(w, whats), *host = "0.0.0.0";
	struct obj *o = w->obj[i];
	int domain = o ? o->domain : AF_INET, family = domain == AF_INET6 && roll(w, 3), r, other = (int)roll(w, SLOTS);
	struct sockaddr_storage ss;
	uint16_t port = 0;
	socklen_t len;

	if (domain == AF_INET6)
		host = "::";
	if (!strcmp(what, "me"))
		host = w->me[family];
	if (!strcmp(what, "peer"))
		host = w->peer[family];
	if (!strcmp(what, "taken") && w->obj[other] && w->obj[other]->bound && !w->obj[other]->accepted) /* ports of connections can be had on npp */
		port = w->obj[other]->port;
	if (port && o && w->obj[other] != o)
		o->shared = w->obj[other]->shared = true;
	len = address(w, &ss, domain, host, port);
	if (!strcmp(what, "family"))
		ss.ss_family = domain == AF_INET ? AF_INET6 : AF_INET;
	if (!strcmp(what, "unspec"))
		ss.ss_family = AF_UNSPEC;
	len = !strcmp(what, "short") ? len - 1 - roll(w, 14) : !strcmp(what, "long") ? sizeof ss : len;
	errno = 0;
	r = bind(w->slot[i], (void *)&ss, len);
	say(w, "s%d bind(%s%s %s)", i, what, domain == AF_INET ? "" : family ? " 6" : " mapped", port_name(w, port));
	say_result(w, r);
	if (r == 0 && o) {
		o->bound = true;
		learn_port(w, i);
	}
}

/* Linux takes such a socket's port away, so it may be bound again; npp's goes with the socket. */
static bool is_over(const struct obj *o)
{
	return is_stream(o) && (o->tried || o->state == OVER || (o->state == UP && (o->rst || o->prst || (o->fin && o->pfin))));
}

static void step_bind(struct world *w)
{
	int i = pick(w, is_fresh);

	if (!is_over(w->obj[i]) && !(is_dgram(w->obj[i]) && w->obj[i]->tried))
		call_bind(w, i);
}

static void call_listen(struct world *w, int i)
{
	static const int backlogs[] = { 5, 128, -1, 8 };
	int backlog = one_of(w, backlogs), r;
	struct obj *o = w->obj[i];

	errno = 0;
	r = listen(w->slot[i], backlog);
	say(w, "s%d listen(%d)", i, backlog);
	say_result(w, r);
	if (r == 0 && o) {
		o->state = LISTENS;
		learn_port(w, i);
	}
}

static void step_listen(struct world *w)
{
	int i = pick(w, is_fresh_stream);

	if (!is_over(w->obj[i]))
		call_listen(w, i);
}

/* The peer's end of a connection that was made to it. */
void connected(struct world *w, int i, int family)
{
	struct obj *o = w->obj[i];
	int p = w->next_peer++;

	learn_port(w, i);
	if (strcmp(ask(w, "accept %d %d", family, p), "good")) {
		say(w, " (which the peer does not see)");
		o->state = OVER;
		return;
	}
	o->state = UP;
	o->peer = p;
}

/* connect() to nobody: a socket like a new one, and a reset to who was there. */
static void given_up(struct world *w, struct obj *o)
{
	if (is_up(o) && !o->pclosed && !o->prst && !o->rst)
		ask(w, "wait %d 0 0 1", o->peer);
	for (int k = 0; k < o->n_pending; k++)
		ask(w, "wait %d 0 0 1", o->pending[k]);
	*o = (struct obj){ .refs = o->refs, .type = o->type, .domain = o->domain, .peer = -1, .shared = true, .linger0 = o->linger0,
			   .nonblock = o->nonblock };
}

static void call_connect(struct world *w, int i, bool well)
{
	static const char *const whats[] = { "listener", "listener", "listener", "closed", "closed", "family", "short", "unspec" };
	const char *what = well ? "listener" : one_of(w, whats);
	struct obj *o = w->obj[i];
	int domain = o ? o->domain : AF_INET, family = domain == AF_INET6 && roll(w, 2), r, e;
	struct sockaddr_storage ss;
	uint16_t port = w->listener[family];
	bool fresh = is_fresh_stream(o);
	socklen_t len;

	if (o && ((o->shared && fresh) || o->shut_over))
		return; /* may be a second connection of the same ports */
	if (fresh && domain == AF_INET6 && o->bound)
		return; /* to another family than it is bound to: npp may say that later */
	if (o && o->tried && (domain == AF_INET6 || o->bound))
		return; /* Linux stays with IPv4 if it was that at first, and waits in vain; npp is bound as it was */
	if (w->forked && (is_over(o) || !strcmp(what, "closed")))
		return; /* npp: only who has it alone can connect it anew */
	if (!strcmp(what, "closed") && o && o->bound)
		return; /* npp: is no new socket afterwards */
	port = !strcmp(what, "closed") ? w->closed[family] : port;
	if (!strcmp(what, "unspec") && (is_up(o) || is_listener(o) || is_over(o)))
		return; /* npp: EOPNOTSUPP, see libnpp(7) */
	len = address(w, &ss, domain, w->peer[family], port);
	if (!strcmp(what, "family"))
		ss.ss_family = domain == AF_INET ? AF_INET6 : AF_INET;
	if (!strcmp(what, "unspec"))
		ss.ss_family = AF_UNSPEC;
	if (!strcmp(what, "short"))
		len -= 5 + roll(w, 10);
	errno = 0;
	r = connect(w->slot[i], (void *)&ss, len);
	e = errno;
	say(w, "%ss%d connect(%s%s)", w->len && w->line[w->len - 1] != ' ' ? ", " : "", i, what,
	    domain == AF_INET ? "" : family ? " 6" : " mapped");
	say_result(w, r);
	if (r == 0 && o && !strcmp(what, "unspec"))
		given_up(w, o);
	if (is_over(o) && r < 0 && e != EISCONN)
		o->state = OVER, o->tried = true; /* nobody had asked how the first attempt went */
	if (!fresh && !is_over(o))
		return;
	if (!strcmp(what, "listener") && (r == 0 || e == EINPROGRESS)) {
		if (!fresh) /* a new attempt */
			*o = (struct obj){ .refs = o->refs, .type = o->type, .domain = o->domain, .linger0 = o->linger0, .nonblock = o->nonblock };
		connected(w, i, family);
	}
	else if (r < 0 && e == EINPROGRESS)
		o->state = OVER, o->refused = true;
	else if (r < 0 && e == ECONNREFUSED)
		o->tried = true;
}

static void step_connect(struct world *w)
{
	int i = pick(w, is_fresh_stream);

	if (!is_dgram(w->obj[i]))
		call_connect(w, i, false);
}

static void step_dial(struct world *w)
{
	int i = open_socket(w, roll(w, 2) ? AF_INET : AF_INET6, SOCK_STREAM | (roll(w, 3) ? 0 : SOCK_NONBLOCK));

	if (i >= 0 && !w->obj[i]->nonblock && roll(w, 6) == 0) /* nobody has a cookie */
		w->obj[i]->fast = true, say(w, " fast %d", setsockopt(w->slot[i], IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){ 1 }, sizeof(int)));
	if (i >= 0)
		call_connect(w, i, true);
}

static void step_serve(struct world *w)
{
	int i = open_socket(w, roll(w, 2) ? AF_INET : AF_INET6, SOCK_STREAM | (roll(w, 3) ? 0 : SOCK_NONBLOCK));
	struct sockaddr_storage ss;
	socklen_t len;

	if (i < 0)
		return;
	len = address(w, &ss, w->obj[i]->domain, w->obj[i]->domain == AF_INET ? "0.0.0.0" : "::", 0);
	if (bind(w->slot[i], (void *)&ss, len) == 0)
		w->obj[i]->bound = true;
	if (roll(w, 5) == 0 && setsockopt(w->slot[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){ 20 }, sizeof(int)) == 0)
		w->obj[i]->defers = true, say(w, " defers");
	say(w, ", ");
	call_listen(w, i);
}

/* ---- accepting ------------------------------------------------------------------------ */

static void step_peer_connects(struct world *w)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof ss;
	int i = pick(w, is_listener), p, family, on = 0, port;
	struct obj *o = w->obj[i];
	char name[8], word[32] = "";

	if (!is_listener(o) || o->n_pending >= 4 || o->shared || getsockname(w->slot[i], (void *)&ss, &len) < 0)
		return;
	family = o->domain == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&ss)->sin6_addr) ? 0 : o->domain == AF_INET6;
	len = sizeof on;
	if (family && IN6_IS_ADDR_UNSPECIFIED(&((struct sockaddr_in6 *)&ss)->sin6_addr) && roll(w, 2) &&
	    getsockopt(w->slot[i], IPPROTO_IPV6, IPV6_V6ONLY, &on, &len) == 0 && !on)
		family = 0;
	p = w->next_peer++;
	sscanf(ask(w, "connect %d %d %s %d", family, p, w->me[family], o->port), "%d %31s", &port, word);
	say(w, "peer connects to s%d by %d: %s", i, family, word);
	if (strcmp(word, "good"))
		return;
	snprintf(name, sizeof name, "q%d", p);
	name_port(w, (uint16_t)port, name);
	o->pending[o->n_pending++] = p;
	if (o->defers)
		say(w, " and sends %s", ask(w, "send %d 3 0", p));
}

static void accepted(struct world *w, int from, int fd, int flags, int family)
{
	struct obj *l = w->obj[from], *o = obj_new(SOCK_STREAM, family);
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof ss;
	int i = pick_empty(w), k = 0;
	const char *name;

	if (getpeername(fd, (void *)&ss, &len) < 0)
		say(w, " and getpeername: %s", errno_name(errno));
	name = port_name(w, ntohs(((struct sockaddr_in *)&ss)->sin_port));
	say(w, " it is %s", name);
	while (k < l->n_pending && (*name != 'q' || l->pending[k] != atoi(name + 1)))
		k++;
	if (k == l->n_pending) {
		say(w, " who did not ask");
		o->state = OVER;
	} else {
		o->state = UP;
		o->peer = l->pending[k];
		o->psent = l->defers ? 3 : 0;
		memmove(&l->pending[k], &l->pending[k + 1], (size_t)(--l->n_pending - k) * sizeof l->pending[0]);
	}
	o->nonblock = flags & SOCK_NONBLOCK;
	o->bound = o->accepted = true;
	take_slot(w, i, fd, o);
	learn_port(w, i);
}

static void step_accept(struct world *w)
{
	static const int lens[] = { 128, 128, 28, 16, 10, 2, 0 };
	int i = pick(w, is_listener), how = (int)roll(w, 3), fd, flags = 0;
	struct sockaddr_storage ss = { 0 };
	socklen_t len = (socklen_t)one_of(w, lens);
	bool idle = !is_listener(w->obj[i]) || !w->obj[i]->n_pending;

	if (pick_empty(w) < 0)
		return;
	if (how == 1)
		flags = roll(w, 2) ? SOCK_NONBLOCK : roll(w, 3) ? SOCK_CLOEXEC : 4;
	if (idle)
		patience(w, i, true);
	errno = 0;
	fd = how == 0 ? accept(w->slot[i], (void *)&ss, &len) :
	     how == 1 ? accept4(w->slot[i], (void *)&ss, &len, flags) : accept4(w->slot[i], NULL, NULL, 0);
	say(w, "s%d accept(%d, %x)", i, how, (unsigned)flags);
	say_result(w, fd < 0 ? fd : 0);
	if (idle)
		patience(w, i, false);
	if (fd < 0)
		return;
	if (how < 2)
		say_addr(w, (void *)&ss, len);
	accepted(w, i, fd, flags, w->obj[i]->domain);
}

/* ---- data --------------------------------------------------------------------------------- */

static void fill(struct world *w, const struct obj *o, int n)
{
	for (int k = 0; k < n; k++)
		w->out[k] = (uint8_t)(((o ? o->sent - o->filled : 0) + (unsigned)k) * 13 + 5);
}

/* Two messages at once only TO one who is there: what comes back of the first is no matter of time then. */
static long send_somehow(struct world *w, int fd, int n, int flags, const char **name, const struct obj *to)
{
	struct iovec iov[3] = { { w->out, (size_t)n / 2 }, { NULL, 0 }, { w->out + n / 2, (size_t)(n - n / 2) } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 3 };
	struct mmsghdr mm[2] = { { .msg_hdr = mh }, { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 1 } } };
	struct sockaddr_storage ss;
	socklen_t len;
	off_t off = 10;
	long r;

	switch (roll(w, 9)) {
	case 0: *name = "write"; return write(fd, w->out, (size_t)n);
	case 1: *name = "writev"; return writev(fd, iov, 3);
	case 2: *name = "sendmsg"; return sendmsg(fd, &mh, flags);
	case 3:
		n += !n; /* of nothing on npp nothing is said */
		*name = "sendfile";
		r = sendfile(fd, w->file, &off, (size_t)n);
		say(w, "offset %ld, ", (long)off);
		return r;
	case 4:
		*name = "sendto";
		len = address(w, &ss, AF_INET, w->peer[0], w->listener[0]);
		return sendto(fd, w->out, (size_t)n, flags, (void *)&ss, len);
	case 5:
		*name = "sendmmsg";
		r = sendmmsg(fd, mm, is_up(to) && !to->pclosed && n <= 1460 ? 2 : 1, flags); /* npp: 4 KB at first */
		if (r > 0) {
			say(w, "%u %u, ", mm[0].msg_len, r > 1 ? mm[1].msg_len : 0);
			r = mm[0].msg_len + (r > 1 ? mm[1].msg_len : 0);
		}
		return r;
	default: *name = "send"; return send(fd, w->out, (size_t)n, flags);
	}
}

static void step_send(struct world *w)
{
	static const int flagss[] = { 0, 0, 0, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_NOSIGNAL, MSG_EOR, MSG_OOB, MSG_CONFIRM, MSG_DONTROUTE, MSG_PEEK };
	int i = pick(w, is_up), n = one_of(w, sizes), flags = one_of(w, flagss) | (roll(w, 3) ? 0 : one_of(w, flagss));
	struct obj *o = w->obj[i];
	const char *name = "";
	long r;

	if (is_dgram(o) || (is_up(o) && o->pclosed && n > 1000))
		return; /* the answer to the first segment of several may come before the last is written */
	if (is_up(o) && !o->pclosed && o->sent - o->pread > 30000) {
		o->pread = o->sent;
		say(w, "peer has %s, ", ask(w, "recv %d", o->peer));
	}
	fill(w, o, n);
	errno = 0;
	r = send_somehow(w, w->slot[i], n, flags, &name, o);
	say(w, "s%d %s(%d, ", i, name, n);
	say_flags(w, flags);
	say(w, ")");
	say_result(w, r);
	if (r <= 0 || !is_up(o))
		return;
	o->sent += (unsigned)r;
	if (o->pclosed)
		o->prst = true;
}

/* sendfile() takes the file's bytes, so the sums that the peer tells say which. */
static long recv_somehow(struct world *w, int fd, int n, int flags, const char **name)
{
	struct iovec iov[3] = { { w->buf, (size_t)n / 2 }, { NULL, 0 }, { w->buf + n / 2, (size_t)(n - n / 2) } };
	struct sockaddr_storage ss = { 0 };
	char control[64];
	struct msghdr mh = { .msg_name = &ss, .msg_namelen = sizeof ss, .msg_iov = iov, .msg_iovlen = 3,
			     .msg_control = control, .msg_controllen = sizeof control, .msg_flags = 0x55 };
	struct mmsghdr mm[2] = { { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 1 } },
				 { .msg_hdr = { .msg_iov = iov + 2, .msg_iovlen = 1 } } };
	socklen_t len = sizeof ss;
	long r;

	switch (roll(w, 8)) {
	case 0: *name = "read"; return read(fd, w->buf, (size_t)n);
	case 1: *name = "readv"; return readv(fd, iov, 3);
	case 2:
	case 3:
		*name = "recvmsg";
		r = recvmsg(fd, &mh, flags);
		if (r >= 0)
			say(w, "%u %zu %x, ", mh.msg_namelen, mh.msg_controllen, (unsigned)mh.msg_flags);
		return r;
	case 4:
		*name = "recvfrom";
		r = recvfrom(fd, w->buf, (size_t)n, flags, (void *)&ss, &len);
		if (r >= 0)
			say(w, "%u, ", len);
		return r;
	case 5:
		*name = "recvmmsg";
		r = recvmmsg(fd, mm, 2, flags | MSG_WAITFORONE, NULL);
		if (r > 0) {
			say(w, "%ld: %u %u, ", r, mm[0].msg_len, r > 1 ? mm[1].msg_len : 0);
			r = flags & MSG_PEEK ? mm[0].msg_len : mm[0].msg_len + (r > 1 ? mm[1].msg_len : 0);
		}
		return r;
	default: *name = "recv"; return recv(fd, w->buf, (size_t)n, flags);
	}
}

static void step_recv(struct world *w)
{
	static const int flagss[] = { 0, 0, 0, MSG_DONTWAIT, MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_TRUNC, MSG_OOB, MSG_OOB | MSG_PEEK, MSG_PEEK | MSG_WAITALL, MSG_ERRQUEUE, MSG_PEEK | MSG_TRUNC };
	int i = pick(w, roll(w, 3) ? has_unread : is_up), n = one_of(w, sizes), flags = one_of(w, flagss) | (roll(w, 3) ? 0 : one_of(w, flagss));
	struct obj *o = w->obj[i];
	const char *name = "";
	bool all = roll(w, 3) == 0;
	long r;

	if (is_dgram(o))
		return;
	if (all)
		n = 60000;
	memset(w->buf, 0, (size_t)n);
	patience(w, i, true);
	errno = 0;
	r = recv_somehow(w, w->slot[i], n, flags, &name);
	say(w, "s%d %s(%d, ", i, name, n);
	say_flags(w, flags);
	say(w, ")");
	say_result(w, r);
	patience(w, i, false);
	if (r > 0 && r <= n && !(flags & MSG_TRUNC))
		say(w, " #%x", sum_of(w->buf, (size_t)n));
	if (strcmp(name, "read") && strcmp(name, "readv") && flags & (MSG_PEEK | MSG_OOB))
		return;
	if (r > 0 && is_up(o))
		o->got += (unsigned)r;
}

/* ---- the peer -------------------------------------------------------------------------------- */

static bool peer_speaks(const struct obj *o)
{
	if (o && o->fin && o->shut_rd) /* Linux resets then, npp takes what nobody reads */
		return false;
	return is_up(o) && !o->pfin && !o->prst && !o->rst && !o->pclosed && !o->urgent && o->psent - o->got < 20000;
}

static bool peer_is_there(const struct obj *o)
{
	return is_up(o) && !o->pclosed && !o->prst && !o->rst;
}

static void step_peer_sends(struct world *w)
{
	int i = pick(w, peer_speaks), n = one_of(w, sizes), r = 0;
	struct obj *o = w->obj[i];

	if (!peer_speaks(o) || !n)
		return;
	sscanf(ask(w, "send %d %d 0", o->peer, n), "%d", &r);
	say(w, "peer sends %d to s%d", r, i);
	if (r > 0)
		o->psent += (unsigned)r;
}

static void step_peer_urgent(struct world *w)
{
	int i = pick(w, peer_speaks), n = 1 + (int)roll(w, 5), r = 0;
	struct obj *o = w->obj[i];

	if (!peer_speaks(o) || o->shut_rd)
		return;
	sscanf(ask(w, "send %d %d %d", o->peer, n, MSG_OOB), "%d", &r);
	say(w, "peer sends %d to s%d, urgent", r, i);
	o->psent += (unsigned)r;
	o->urgent = true;
	wait_for(w, i, POLLPRI | POLLHUP);
}

static void step_peer_reads(struct world *w)
{
	int i = pick(w, peer_is_there);
	struct obj *o = w->obj[i];

	if (!peer_is_there(o))
		return;
	say(w, "peer of s%d has %s", i, ask(w, "recv %d", o->peer));
	o->pread = o->sent;
}

static void step_peer_ends(struct world *w)
{
	static const char *const hows[] = { "shut", "shut", "close", "close", "reset" };
	const char *how = one_of(w, hows);
	int i = pick(w, peer_is_there);
	struct obj *o = w->obj[i];

	if (!peer_is_there(o))
		return;
	if (o->urgent && !strcmp(how, "reset"))
		return; /* Linux goes on to say POLLPRI */
	say(w, "peer of s%d has %s: %s", i, ask(w, "recv %d", o->peer), how);
	o->pread = o->sent;
	ask(w, "%s %d", how, o->peer);
	if (!strcmp(how, "reset"))
		o->prst = o->pclosed = true;
	else if (!strcmp(how, "close"))
		o->pfin = o->pclosed = true;
	else
		o->pfin = true;
	if (o->prst)
		wait_for(w, i, POLLHUP);
}

/* ---- ends --------------------------------------------------------------------------------------- */

static void step_shutdown(struct world *w)
{
	static const int hows[] = { SHUT_WR, SHUT_WR, SHUT_RD, SHUT_RDWR, 3, -1 };
	int i = pick(w, is_up), how = one_of(w, hows), r;
	struct obj *o = w->obj[i];

	if ((is_fresh(o) && !o->to) || (is_stream(o) && (o->tried || o->state == OVER)))
		return; /* Linux says ENOTCONN and does it, npp does not */
	if (is_listener(o)) /* npp: it accepts nothing any more, but remains a listener */
		return;
	errno = 0;
	r = shutdown(w->slot[i], how);
	say(w, "s%d shutdown(%d)", i, how);
	say_result(w, r);
	if (r < 0 && is_over(o))
		o->shut_over = true;
	if (r == 0 && how != SHUT_WR && is_dgram(o))
		o->shut_rd = true; /* what comes cannot be waited for */
	if (r < 0 || !is_up(o))
		return;
	if (how != SHUT_WR)
		o->shut_rd = true;
	if (how != SHUT_RD)
		o->fin = true;
}

static void step_close(struct world *w)
{
	int i = pick(w, is_any), r;

	forget(w, i);
	errno = 0;
	r = close(w->slot[i]);
	say(w, "s%d close()", i);
	say_result(w, r);
	drop(w, i);
}

static void step_linger(struct world *w)
{
	int i = pick(w, is_up), on = (int)roll(w, 2), r;
	struct linger l = { on, on && roll(w, 2) ? 2 : 0 };

	errno = 0;
	r = setsockopt(w->slot[i], SOL_SOCKET, SO_LINGER, &l, sizeof l);
	say(w, "s%d linger(%d, %d)", i, l.l_onoff, l.l_linger);
	say_result(w, r);
	if (r == 0 && w->obj[i])
		w->obj[i]->linger0 = l.l_onoff && !l.l_linger;
}

const struct step stream_steps[] = {
	{ "socket", 6, step_socket }, { "dial", 10, step_dial }, { "serve", 5, step_serve }, { "bind", 5, step_bind },
	{ "listen", 3, step_listen }, { "connect", 7, step_connect }, { "peer connects", 8, step_peer_connects },
	{ "accept", 9, step_accept }, { "send", 14, step_send }, { "recv", 18, step_recv }, { "peer sends", 14, step_peer_sends },
	{ "peer urgent", 2, step_peer_urgent }, { "peer reads", 4, step_peer_reads }, { "peer ends", 5, step_peer_ends },
	{ "shutdown", 5, step_shutdown }, { "close", 6, step_close }, { "linger", 2, step_linger }, { 0 },
};
