/* SPDX-License-Identifier: GPL-2.0-or-later
 * datagram.c - steps: datagrams, with and without connect
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "twin.h"

#define IN_ONE_PIECE 1452

static const int sizes[] = { 1, 10, 100, 1000, 1472, 1473, 3000, 0, 65507, 65508, 5 };

static void step_open(struct world *w)
{
	int i = pick_empty(w), fd, domain = roll(w, 2) ? AF_INET : AF_INET6, nb = roll(w, 2) ? 0 : SOCK_NONBLOCK, r = 0;
	struct sockaddr_storage ss;
	socklen_t len;
	bool me;

	if (i < 0)
		return;
	errno = 0;
	fd = socket(domain, SOCK_DGRAM | nb, 0);
	take_slot(w, i, fd, obj_new(SOCK_DGRAM, domain));
	w->obj[i]->nonblock = nb;
	say(w, "s%d socket(%s, dgram)", i, domain == AF_INET ? "4" : "6");
	if (roll(w, 3)) {
		me = roll(w, 2);
		len = address(w, &ss, domain, me ? w->me[domain == AF_INET6] : domain == AF_INET ? "0.0.0.0" : "::", 0);
		r = bind(fd, (void *)&ss, len);
		say(w, ", bind(%s)", me ? "me" : "any");
		w->obj[i]->bound = r == 0;
		learn_port(w, i);
	}
	say_result(w, r);
}

/* 0, 1: SO has an address of that family, -1: none. */
static int bound_family(struct world *w, int i)
{
	struct sockaddr_in6 a = { 0 };
	socklen_t len = sizeof a;

	if (getsockname(w->slot[i], (void *)&a, &len) < 0 || a.sin6_family != AF_INET6 || IN6_IS_ADDR_UNSPECIFIED(&a.sin6_addr))
		return -1;
	return !IN6_IS_ADDR_V4MAPPED(&a.sin6_addr);
}

/* Is it for IPv6 alone? Then an address of IPv4 is refused, whatever it is. */
static bool v6only(struct world *w, int i)
{
	socklen_t len = sizeof(int);
	int v = 0;

	return getsockopt(w->slot[i], IPPROTO_IPV6, IPV6_V6ONLY, &v, &len) == 0 && v;
}

static void step_connect(struct world *w)
{
	static const char whats[] = "UUUUDxfs";
	char what = whats[roll(w, sizeof whats - 1)];
	int i = pick(w, is_dgram), r, domain = w->obj[i] ? w->obj[i]->domain : AF_INET, family = domain == AF_INET6 && roll(w, 2);
	struct sockaddr_storage ss;
	struct obj *o = w->obj[i];
	socklen_t len;

	if (!is_dgram(o))
		return;
	if (domain == AF_INET6 && what != 'x' && !v6only(w, i) && bound_family(w, i) >= 0 && bound_family(w, i) != family)
		return; /* Linux connects and has no way then, npp says so at once */
	len = address(w, &ss, domain, w->peer[family], what == 'D' ? w->udp_closed[family] : w->udp[family]);
	if (what == 'x')
		ss.ss_family = AF_UNSPEC;
	if (what == 'f')
		ss.ss_family = domain == AF_INET ? AF_INET6 : AF_INET;
	if (what == 's')
		len -= 5 + roll(w, 10);
	if (what == 'f' && domain == AF_INET6 && !v6only(w, i))
		return; /* to what is where an address of IPv4 would be */
	if (what == 'D' && o->sent_d)
		return; /* it would hear what comes of that, or not */
	if (what == 'x' && (o->port || o->tried))
		return; /* Linux takes a port away that was not asked for by number, npp leaves it */
	errno = 0;
	r = connect(w->slot[i], (void *)&ss, len);
	say(w, "s%d connect(%c%s)", i, what, domain == AF_INET ? "" : family ? " 6" : " mapped");
	say_result(w, r);
	if (r < 0)
		o->tried = !o->bound;
	if (r == 0) {
		o->to = what == 'x' ? 0 : what == 'U' && family ? 'V' : what;
		learn_port(w, i);
	}
}

static void say_heard(struct world *w, int family)
{
	char what[32] = "";
	int port = 0;

	sscanf(ask(w, "urecv %d", family), "%d %31s", &port, what);
	say(w, " peer: %s from %s", what, port_name(w, (uint16_t)port));
}

/* Where a datagram is sent to: *TO is 0 if not said, the family it goes by is returned. */
static int destination(struct world *w, struct obj *o, char *to, struct sockaddr_storage *ss, socklen_t *len)
{
	static const char tos[] = "0000UUUDfs";
	int domain = o ? o->domain : AF_INET, family = domain == AF_INET6 && roll(w, 2);

	*to = tos[roll(w, sizeof tos - 1)];
	*len = address(w, ss, domain, w->peer[family], *to == 'D' ? w->udp_closed[family] : w->udp[family]);
	if (*to == 'f')
		ss->ss_family = domain == AF_INET ? AF_INET6 : AF_INET;
	if (*to == 's')
		*len -= 5 + roll(w, 10);
	return family;
}

static void step_send(struct world *w)
{
	static const int flagss[] = { 0, 0, 0, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_OOB, MSG_EOR, MSG_CONFIRM };
	int i = pick(w, is_dgram), n = one_of(w, sizes), flags = one_of(w, flagss), family, how = (int)roll(w, 3);
	struct obj *o = w->obj[i];
	struct sockaddr_storage ss;
	struct iovec iov[2] = { { w->out, (size_t)n / 3 }, { w->out + n / 3, (size_t)(n - n / 3) } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	const char *name = "sendto";
	socklen_t len;
	char to;
	long r;

	if (!is_dgram(o))
		return;
	family = destination(w, o, &to, &ss, &len);
	if (o->domain == AF_INET6 && !v6only(w, i) && (to == 'f' || (to != '0' && bound_family(w, i) == !family)))
		return;
	for (int k = 0; k < n; k++)
		w->out[k] = (uint8_t)(k + i);
	mh.msg_name = to == '0' ? NULL : &ss;
	mh.msg_namelen = to == '0' ? 0 : len;
	errno = 0;
	if (how == 1) {
		name = "sendmsg";
		r = sendmsg(w->slot[i], &mh, flags);
	} else if (how == 2 && to == '0') {
		name = "writev";
		r = writev(w->slot[i], iov, 2);
	} else {
		r = sendto(w->slot[i], w->out, (size_t)n, flags, mh.msg_name, mh.msg_namelen);
	}
	say(w, "s%d %s(%d to %c%s, ", i, name, n, to, o->domain == AF_INET ? "" : family ? " 6" : " mapped");
	say_flags(w, flags);
	say(w, ")");
	say_result(w, r);
	if (r < 0) {
		o->tried = !o->bound; /* Linux has bound it for that, npp has not */
		return;
	}
	if (how == 2 && to == '0' && n == 0)
		return; /* writes nothing */
	learn_port(w, i);
	if (to == 'U' || (to == '0' && o->to == 'U') || (to == '0' && o->to == 'V'))
		say_heard(w, to == 'U' ? family : o->to == 'V');
	else if (o->to != 'D' && to == 'D')
		o->sent_d = true;
	else if (o->to == 'D' && (to == '0' || (to == 'D' && (o->domain == AF_INET || bound_family(w, i) == family))))
		o->refused = true;
}

static bool can_hear(const struct obj *o)
{
	return is_dgram(o) && o->port && !o->tried && !o->shared && !o->shut_rd && o->to != 'D' && o->queued < 6 && !(o->queued && o->big);
}

static void step_peer_sends(struct world *w)
{
	int i = pick(w, can_hear), n = one_of(w, sizes), count = 1 + (int)roll(w, 3), family, on = 0;
	struct sockaddr_storage ss = { 0 };
	struct obj *o = w->obj[i];
	socklen_t len = sizeof ss;

	if (!can_hear(o) || n > 65507 || getsockname(w->slot[i], (void *)&ss, &len) < 0)
		return;
	family = o->domain == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&ss)->sin6_addr);
	len = sizeof on;
	if (family && IN6_IS_ADDR_UNSPECIFIED(&((struct sockaddr_in6 *)&ss)->sin6_addr) && roll(w, 2) &&
	    getsockopt(w->slot[i], IPPROTO_IPV6, IPV6_V6ONLY, &on, &len) == 0 && !on)
		family = 0;
	if ((o->to == 'U' && family) || (o->to == 'V' && !family))
		return;
	if (o->queued && o->family != family)
		return; /* two IOPs of one NPP may have them: who is faster? */
	o->family = family;
	if (n > IN_ONE_PIECE && o->queued)
		return; /* pieces come together as they do, perhaps after what was sent later */
	o->big = n > IN_ONE_PIECE;
	if (o->big)
		count = 1;
	for (int k = 0; k < count; k++)
		ask(w, "usend %d %s %d %d %d", family, w->me[family], o->port, n, k);
	say(w, "peer sends %d datagrams of %d to s%d by %d", count, n, i, family);
	o->queued += count;
}

static void say_control(struct world *w, struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		int v = 0;

		memcpy(&v, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0) < sizeof v ? c->cmsg_len - CMSG_LEN(0) : sizeof v);
		say(w, "{%d %d %zu", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
		if (c->cmsg_len == CMSG_LEN(sizeof v)) /* what is longer has addresses and interfaces */
			say(w, " %d", v);
		say(w, "} ");
	}
}

static void step_recv(struct world *w)
{
	static const int flagss[] = { 0, 0, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_PEEK | MSG_TRUNC, MSG_WAITALL, MSG_OOB };
	int i = pick(w, roll(w, 4) ? has_unread : is_dgram), n = one_of(w, sizes), flags = one_of(w, flagss), how = (int)roll(w, 4);
	struct obj *o = w->obj[i];
	struct sockaddr_storage ss = { 0 };
	static const int lens[] = { 128, 128, 28, 16, 7, 0 };
	struct iovec iov[2] = { { w->buf, (size_t)n / 3 }, { w->buf + n / 3, (size_t)(n - n / 3) } };
	char control[128];
	struct msghdr mh = { .msg_name = &ss, .msg_iov = iov, .msg_iovlen = 2, .msg_control = control,
			     .msg_controllen = sizeof control, .msg_flags = 0x55 };
	socklen_t len = (socklen_t)one_of(w, lens);
	const char *name = "recvfrom";
	long r;

	if (!is_dgram(o))
		return;
	mh.msg_namelen = len;
	memset(w->buf, 0, (size_t)n);
	patience(w, i, true);
	errno = 0;
	if (how == 0) {
		name = "recvmsg";
		r = recvmsg(w->slot[i], &mh, flags);
		if (r >= 0)
			say(w, "%u %x ", mh.msg_namelen, (unsigned)mh.msg_flags);
	} else if (how == 1) {
		name = "read";
		r = read(w->slot[i], w->buf, (size_t)n);
	} else {
		r = recvfrom(w->slot[i], w->buf, (size_t)n, flags, (void *)&ss, &len);
	}
	say(w, "s%d %s(%d, ", i, name, n);
	say_flags(w, flags);
	say(w, ")");
	say_result(w, r);
	patience(w, i, false);
	if (r < 0)
		return;
	say(w, " #%x", sum_of(w->buf, (size_t)n));
	if (how == 0)
		say_control(w, &mh);
	if (how > 1)
		say_addr(w, (void *)&ss, len);
	if (how == 1 ? n > 0 : !(flags & MSG_PEEK)) /* read() of nothing takes nothing */
		o->queued -= o->queued > 0;
}

const struct step datagram_steps[] = {
	{ "dgram", 4, step_open }, { "udp connect", 4, step_connect }, { "udp send", 9, step_send },
	{ "peer udp", 7, step_peer_sends }, { "udp recv", 10, step_recv }, { 0 },
};
