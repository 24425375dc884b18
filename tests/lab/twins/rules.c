/* SPDX-License-Identifier: GPL-2.0-or-later
 * rules.c - steps that begin and end with nothing: who may bind to a port that another one has, who shares a
 *           port, what a buffer that is full does, Fast Open where nobody has a cookie
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "twin.h"

#define BINDERS 3
#define FULL (6 << 20)

/* HOW: one kind of reuse, or both by all. What Linux says where some share the port depends on who came in which order. */
static void set_some(struct world *w, int fd, int domain, uint32_t how)
{
	static const int on = 1;
	bool some = roll(w, 2);

	if ((how == 1 || how == 3 || (how == 4 && some)) && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0)
		say(w, " addr");
	if ((how == 2 || how == 3) && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0)
		say(w, " port");
	if (domain == AF_INET6 && roll(w, 3) == 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0)
		say(w, " v6only");
}

/* One that nobody has in either family. */
static uint16_t free_port(int type)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	int fd = socket(AF_INET6, type, 0);
	socklen_t len = sizeof a;

	if (bind(fd, (void *)&a, len) < 0 || getsockname(fd, (void *)&a, &len) < 0)
		a.sin6_port = 0;
	close(fd);
	return ntohs(a.sin6_port);
}

/* Up to three sockets and one port. */
static void step_rules(struct world *w)
{
	int fd[BINDERS], type = roll(w, 3) ? SOCK_STREAM : SOCK_DGRAM;
	struct sockaddr_storage ss;
	uint32_t reuse = roll(w, 5);
	uint16_t port = free_port(type);
	socklen_t len;

	say(w, "%s:", type == SOCK_STREAM ? "streams" : "datagrams");
	for (int k = 0; k < BINDERS; k++) {
		int domain = roll(w, 2) ? AF_INET : AF_INET6, family = domain == AF_INET6 && roll(w, 3), me = (int)roll(w, 2), r;
		const char *host = me ? w->me[family] : domain == AF_INET ? "0.0.0.0" : "::";

		fd[k] = socket(domain, type, 0);
		say(w, " [%s %s", domain == AF_INET ? "4" : family || !me ? "6" : "mapped", me ? "me" : "any");
		set_some(w, fd[k], domain, reuse);
		len = address(w, &ss, domain, host, port);
		errno = 0;
		r = bind(fd[k], (void *)&ss, len);
		say_result(w, r);
		if (r == 0 && type == SOCK_STREAM && roll(w, 2)) {
			errno = 0;
			r = listen(fd[k], 5);
			say(w, " listen");
			say_result(w, r);
		}
		say(w, "]");
	}
	for (int k = 0; k < BINDERS; k++)
		close(fd[k]);
}

/* A listener that shares PORT (0: any, which is told). */
static int sharer(struct world *w, int domain, bool me, uint16_t *port)
{
	static const int on = 1;
	struct sockaddr_storage ss;
	socklen_t len = address(w, &ss, domain, me ? w->me[domain == AF_INET6] : domain == AF_INET ? "0.0.0.0" : "::", *port);
	int fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 || bind(fd, (void *)&ss, len) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (void *)&ss, &len) < 0)
		say(w, " %s", errno_name(errno));
	*port = ntohs(((struct sockaddr_in *)&ss)->sin_port);
	return fd;
}

/* So many connections by the peer are accepted by FD[0..n) together. How they are shared out is each stack's own. */
static int taken_by(struct world *w, struct pollfd *pf, int n, int family, uint16_t port, int count)
{
	int got = 0, fd;

	for (int k = 0; k < count; k++) {
		int at;
		char word[32] = "";

		sscanf(ask(w, "connect %d %d %s %d", family, w->next_peer++, w->me[family], port), "%d %31s", &at, word);
		if (strcmp(word, "good"))
			say(w, " %s", word);
	}
	while (got < count && poll(pf, (nfds_t)n, 2000 * w->slow) > 0)
		for (int k = 0; k < n; k++)
			while (pf[k].revents & POLLIN && (fd = accept(pf[k].fd, NULL, NULL)) >= 0)
				close(fd), got++;
	return got;
}

/* Several listeners of one port; one of them goes, and one comes. */
static void step_group(struct world *w)
{
	int domain = roll(w, 2) ? AF_INET : AF_INET6, family = domain == AF_INET6 && roll(w, 3);
	bool me = family == (domain == AF_INET6) && roll(w, 2);
	struct pollfd pf[3];
	uint16_t port = 0;

	if (w->next_peer > 90)
		return;
	say(w, "group %s %s by %d:", domain == AF_INET ? "4" : "6", me ? "me" : "any", family);
	for (int k = 0; k < 3; k++)
		pf[k] = (struct pollfd){ .fd = sharer(w, domain, me, &port), .events = POLLIN };
	say(w, " %d", taken_by(w, pf, 3, family, port, 4));
	close(pf[2].fd);
	say(w, " %d", taken_by(w, pf, 2, family, port, 3));
	close(pf[0].fd);
	pf[0].fd = sharer(w, domain, me, &port);
	say(w, " %d", taken_by(w, pf, 2, family, port, 3));
	close(pf[0].fd);
	close(pf[1].fd);
}

/* Writes until there is no room. Then the peer reads all, and there is room again. */
static void step_full(struct world *w)
{
	int i = pick(w, is_up), fl, n = 0;
	struct obj *o = w->obj[i];
	struct pollfd pf = { .fd = w->slot[i], .events = POLLOUT };
	long r = 0;

	if (!is_up(o) || o->fin || o->prst || o->rst || o->pclosed || o->lost)
		return;
	fl = fcntl(w->slot[i], F_GETFL);
	fcntl(w->slot[i], F_SETFL, fl | O_NONBLOCK);
	memset(w->out, 7, 10000);
	while (n < FULL && (r = send(w->slot[i], w->out, 10000, 0)) > 0)
		n += (int)r;
	say(w, "s%d is full", i);
	if (r < 0 && (errno != EAGAIN || poll(&pf, 1, 0) != 0)) /* which of the two is so at first is another matter */
		say(w, ": %s %x", errno_name(errno), (unsigned)pf.revents);
	o->sent += (unsigned)n;
	o->filled += (unsigned)n;
	say(w, " peer: %s", ask(w, "drain %d %u", o->peer, o->sent));
	o->pread = o->sent;
	say(w, " room: %d", wait_for(w, i, POLLOUT));
	fcntl(w->slot[i], F_SETFL, fl);
}

/* The peer gives no cookies, so what is sent follows the connection. */
static void step_fast_open(struct world *w)
{
	static const char *const whats[] = { "listener", "listener", "listener", "none", "family", "short" };
	int i = pick(w, roll(w, 3) ? is_fresh_stream : is_stream), domain, family, n = (int)roll(w, 3) * 500, r;
	const char *what = one_of(w, whats);
	struct sockaddr_storage ss;
	struct obj *o = w->obj[i];
	socklen_t len;

	if (!is_stream(o) || o->nonblock || o->tried || o->shared || o->bound || o->shut_over || o->fast || (is_up(o) && (o->prst || o->pclosed)))
		return;
	domain = o->domain;
	family = domain == AF_INET6 && roll(w, 2);
	len = address(w, &ss, domain, w->peer[family], w->listener[family]);
	if (!strcmp(what, "family"))
		ss.ss_family = domain == AF_INET ? AF_INET6 : AF_INET;
	if (!strcmp(what, "short"))
		len -= 14;
	memset(w->out, 9, sizeof w->out);
	errno = 0;
	r = (int)sendto(w->slot[i], w->out, (size_t)n, MSG_FASTOPEN | MSG_NOSIGNAL, strcmp(what, "none") ? (void *)&ss : NULL,
			strcmp(what, "none") ? len : 0);
	say(w, "s%d sendto(%d, FASTOPEN to %s%s)", i, n, what, domain == AF_INET ? "" : family ? " 6" : " mapped");
	say_result(w, r);
	if (r < 0)
		return;
	if (is_fresh(o) && !strcmp(what, "listener"))
		connected(w, i, family);
	if (is_up(o))
		o->sent += (unsigned)r;
}

const struct step rule_steps[] = { { "rules", 4, step_rules }, { "group", 2, step_group }, { "full", 1, step_full }, { "fast open", 3, step_fast_open }, { 0 } };
