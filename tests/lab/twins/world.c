/* SPDX-License-Identifier: GPL-2.0-or-later
 * world.c - what the steps so far must have led to, and waiting until they have; what is to be seen
 *
 * Nothing here takes time for an answer: what was sent has arrived when the peer has it, what the peer did has
 * arrived when the state of the socket is the one that follows. What does not come within the deadline is
 * left to the comparison: the state that is printed then is what it is.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "twin.h"

#define DEADLINE 3000	/* ms, times $NPP_SLOW */
#define NAP_US 200

/* TCP_INFO's states, which netinet/tcp.h has, too */
enum { ST_UP = 1, ST_FIN_WAIT2 = 5, ST_OVER = 7, ST_CLOSE_WAIT = 8 };

uint32_t roll(struct world *w, uint32_t n)
{
	uint64_t z = (w->rng += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (uint32_t)((z ^ (z >> 31)) >> 33) % n;
}

void say(struct world *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	w->len += (size_t)vsnprintf(w->line + w->len, sizeof w->line - w->len, fmt, ap);
	va_end(ap);
	if (w->len >= sizeof w->line)
		w->len = sizeof w->line - 1;
}

const char *errno_name(int e)
{
	const char *s = strerrorname_np(e);

	return s ? s : "E?";
}

void say_result(struct world *w, long r)
{
	int e = errno;

	if (r < 0)
		say(w, " = %s", errno_name(e));
	else
		say(w, " = %ld%s", r, e ? " and errno was touched" : "");
	if (pipes)
		say(w, " SIGPIPE");
	if (alarms)
		say(w, " waited for ever");
	pipes = alarms = 0;
}

void name_port(struct world *w, uint16_t port, const char *name)
{
	if (w->n_names < (int)(sizeof w->names / sizeof *w->names)) {
		w->names[w->n_names].port = port;
		snprintf(w->names[w->n_names++].name, sizeof w->names[0].name, "%s", name);
	}
}

const char *port_name(struct world *w, uint16_t port)
{
	char name[8];

	if (!port)
		return "0";
	for (int i = 0; i < w->n_names; i++)
		if (w->names[i].port == port)
			return w->names[i].name;
	snprintf(name, sizeof name, "p%d", w->n_named++ % 1000);
	name_port(w, port, name);
	return w->n_names ? w->names[w->n_names - 1].name : "?";
}

static const char *host_name(struct world *w, int family, const void *addr)
{
	char s[64];

	inet_ntop(family, addr, s, sizeof s);
	for (int f = 0; f < FAMILIES; f++) {
		const char *mapped = !strncmp(s, "::ffff:", 7) ? s + 7 : s;

		if (!strcmp(mapped, w->me[f]))
			return mapped == s ? "me" : "mapped me";
		if (!strcmp(mapped, w->peer[f]))
			return mapped == s ? "peer" : "mapped peer";
	}
	return !strcmp(s, "::") || !strcmp(s, "0.0.0.0") ? "any" : "another";
}

void say_addr(struct world *w, const struct sockaddr *sa, socklen_t len)
{
	const struct sockaddr_in6 *a6 = (const void *)sa;
	const struct sockaddr_in *a4 = (const void *)sa;

	if (len >= sizeof *a4 && sa->sa_family == AF_INET)
		say(w, " [4 %s %s /%u]", host_name(w, AF_INET, &a4->sin_addr), port_name(w, ntohs(a4->sin_port)), len);
	else if (len >= sizeof *a6 && sa->sa_family == AF_INET6)
		say(w, " [6 %s %s %x %u /%u]", host_name(w, AF_INET6, &a6->sin6_addr), port_name(w, ntohs(a6->sin6_port)),
		    ntohl(a6->sin6_flowinfo), a6->sin6_scope_id, len);
	else
		say(w, " [%d /%u]", len >= 2 ? sa->sa_family : -1, len);
}

unsigned sum_of(const uint8_t *p, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + p[i];
	return sum & 0xffff;
}

char *ask(struct world *w, const char *fmt, ...)
{
	va_list ap;
	ssize_t n;

	va_start(ap, fmt);
	vsnprintf(w->answer, sizeof w->answer, fmt, ap);
	va_end(ap);
	if (send(w->control, w->answer, strlen(w->answer), MSG_NOSIGNAL) < 0)
		err(1, "peer");
	do
		n = recv(w->control, w->answer, sizeof w->answer - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		errx(1, "the peer has gone");
	w->answer[n] = 0;
	return w->answer;
}

/* ---- sockets ------------------------------------------------------------------------ */

bool is_any(const struct obj *o) { return o != NULL; }
bool is_stream(const struct obj *o) { return o && o->type == SOCK_STREAM; }
bool is_up(const struct obj *o) { return o && o->state == UP && o->type == SOCK_STREAM; }
bool is_listener(const struct obj *o) { return o && o->state == LISTENS; }
bool is_dgram(const struct obj *o) { return o && o->type == SOCK_DGRAM; }
bool is_fresh(const struct obj *o) { return o && o->state == FRESH; }
bool is_fresh_stream(const struct obj *o) { return is_fresh(o) && is_stream(o); }
bool has_unread(const struct obj *o) { return (is_up(o) && o->psent != o->got) || (is_dgram(o) && o->queued); }

int pick(struct world *w, bool (*wanted)(const struct obj *))
{
	int from = (int)roll(w, SLOTS);
	uint32_t dice = roll(w, 12);

	for (int k = 0; k < SLOTS && dice; k++)
		if (wanted(w->obj[(from + k) % SLOTS]))
			return (from + k) % SLOTS;
	return from;
}

int pick_empty(struct world *w)
{
	for (int i = 0; i < SLOTS; i++)
		if (w->slot[i] < 0)
			return i;
	return -1;
}

socklen_t address(struct world *w, struct sockaddr_storage *ss, int domain, const char *host, uint16_t port)
{
	struct sockaddr_in6 *a6 = (void *)ss;
	struct sockaddr_in *a4 = (void *)ss;
	char mapped[64];

	(void)w;
	memset(ss, 0, sizeof *ss);
	ss->ss_family = (sa_family_t)domain;
	if (domain == AF_INET) {
		a4->sin_port = htons(port);
		inet_pton(AF_INET, host, &a4->sin_addr);
		return sizeof *a4;
	}
	a6->sin6_port = htons(port);
	snprintf(mapped, sizeof mapped, "::ffff:%s", host);
	inet_pton(AF_INET6, strchr(host, ':') ? host : mapped, &a6->sin6_addr);
	return sizeof *a6;
}

struct obj *obj_new(int type, int domain)
{
	struct obj *o = calloc(1, sizeof *o);

	if (!o)
		err(1, "memory");
	o->type = type;
	o->domain = domain;
	o->peer = -1;
	return o;
}

void take_slot(struct world *w, int i, int fd, struct obj *o)
{
	w->slot[i] = fd;
	w->obj[i] = o;
	o->refs++;
}

/* The descriptor of slot I is about to be closed. With Linux an instance of epoll that it is in keeps it if there is
 * another one of the same socket, with npp it does not. */
void forget(struct world *w, int i)
{
	for (int e = 0; e < EPOLLS && w->obj[i] && w->obj[i]->refs > 1; e++)
		epoll_ctl(w->ep[e], EPOLL_CTL_DEL, w->slot[i], NULL);
}

/* The descriptor of slot I is closed. What follows for the peer is waited for, and said. */
void drop(struct world *w, int i)
{
	struct obj *o = w->obj[i];
	bool rst;

	w->slot[i] = -1;
	w->obj[i] = NULL;
	if (!o || --o->refs)
		return;
	if (is_up(o)) {
		rst = o->psent != o->got || o->linger0;
		if (!o->pclosed && !o->prst && !o->urgent && !o->rst) {
			ask(w, "wait %d %u %d %d", o->peer, o->sent, !rst, rst);
			say(w, " peer: %s", ask(w, "recv %d", o->peer));
		}
	}
	for (int k = 0; k < o->n_pending; k++) {
		ask(w, "wait %d 0 0 1", o->pending[k]);
		say(w, " peer: %s", ask(w, "recv %d", o->pending[k]));
	}
	free(o);
}

void learn_port(struct world *w, int i)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof ss;

	if (getsockname(w->slot[i], (void *)&ss, &len) == 0 && w->obj[i]) {
		w->obj[i]->port = ntohs(((struct sockaddr_in *)&ss)->sin_port);
		port_name(w, w->obj[i]->port);
	}
}

void patience(struct world *w, int i, bool short_one)
{
	static const struct timeval brief = { 0, 20000 }, long_one = { 0, 0 };

	if (w->slot[i] >= 0)
		setsockopt(w->slot[i], SOL_SOCKET, SO_RCVTIMEO, short_one ? &brief : &long_one, sizeof brief);
}

/* ---- waiting ------------------------------------------------------------------------- */

static void nap(void)
{
	nanosleep(&(struct timespec){ 0, NAP_US * 1000 }, NULL);
}

static short poll_of(int fd)
{
	struct pollfd pf = { .fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP };

	poll(&pf, 1, 0);
	return pf.revents;
}

bool wait_for(struct world *w, int i, short events)
{
	for (int left = DEADLINE * w->slow * 1000 / NAP_US; left; left--) {
		if (poll_of(w->slot[i]) & events)
			return true;
		nap();
	}
	w->late++;
	return false;
}

static int state_of(int fd)
{
	uint8_t state = 0;
	socklen_t n = 1;

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &n) < 0 ? -1 : state;
}

static int unread_of(int fd)
{
	int n = 0;

	return ioctl(fd, FIONREAD, &n) < 0 ? -errno : n;
}

static bool stream_settled(int fd, const struct obj *o)
{
	int wanted = o->rst || o->prst || (o->fin && o->pfin) ? ST_OVER : o->fin ? ST_FIN_WAIT2 : o->pfin ? ST_CLOSE_WAIT : ST_UP;

	if (state_of(fd) != wanted || !(poll_of(fd) & POLLOUT))
		return false; /* npp says POLLOUT when there is a ring again, which it takes from the idle */
	return o->urgent || o->prst || o->rst || unread_of(fd) == (int)(o->psent - o->got);
}

static bool settled(struct world *w, int i)
{
	struct obj *o = w->obj[i];
	short p;

	if (!o || w->slot[i] < 0 || o->lost)
		return true;
	if (is_up(o))
		return stream_settled(w->slot[i], o);
	p = poll_of(w->slot[i]);
	if (o->refused) {
		if (!(p & (POLLERR | POLLHUP)))
			return false;
		o->refused = false;
	}
	if (is_dgram(o) && !(p & POLLOUT))
		return false; /* on npp, a large one fills more than half the ring for a moment */
	return !(o->queued || o->n_pending) || p & POLLIN;
}

void settle(struct world *w)
{
	int left = DEADLINE * w->slow * 1000 / NAP_US;

	for (int i = 0; i < SLOTS; i++) {
		struct obj *o = w->obj[i];

		if (is_up(o) && !o->lost && !o->pclosed && !o->prst && !o->rst && o->told != o->sent + o->fin) {
			if (strcmp(ask(w, "wait %d %u %d 0", o->peer, o->sent, o->fin), "good"))
				w->late++, o->lost = true;
			o->told = o->sent + o->fin;
		}
		while (left && !settled(w, i)) {
			nap();
			if (--left == 0)
				w->obj[i]->lost = true; /* once is enough */
		}
	}
	if (!left)
		w->late++;
}

void say_state(struct world *w)
{
	say(w, " |");
	for (int i = 0; i < SLOTS; i++) {
		int n;

		if (w->slot[i] < 0)
			continue;
		n = unread_of(w->slot[i]);
		say(w, " s%d:%x/", i, poll_of(w->slot[i]));
		if (n < 0)
			say(w, "%s", errno_name(-n));
		else
			say(w, "%d", n);
		if (is_stream(w->obj[i]))
			say(w, "/%d", state_of(w->slot[i]));
	}
}
