/* SPDX-License-Identifier: GPL-2.0-or-later
 * options.c - steps: options of all levels, good values and bad ones
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/in6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

#include "twin.h"

#define SET 1		/* may be set */
#define HIDE 2		/* the value is not compared: a default or a bound of its own */
#define UDP_ONLY 4
#define TCP_ONLY 8

/* Which options are tried, and how. doc/sockopts.md says what is different: what stands there as refused, without an
 * effect or different in what it gives is not in here, or with the flag that leaves it out. */
static const struct option { int level, name; const char *word; unsigned how; } options[] = {
#define S(n, how) { SOL_SOCKET, n, #n, how }
#define T(n, how) { IPPROTO_TCP, n, #n, (how) | TCP_ONLY }
#define I(n, how) { IPPROTO_IP, n, #n, how }
#define V(n, how) { IPPROTO_IPV6, n, #n, how }
	S(SO_ACCEPTCONN, SET), S(SO_DOMAIN, SET), S(SO_ERROR, SET), S(SO_KEEPALIVE, SET), S(SO_OOBINLINE, SET),
	S(SO_PROTOCOL, SET), S(SO_TYPE, SET), S(SO_REUSEADDR, SET), S(SO_SNDLOWAT, SET),
	S(SO_RCVBUF, HIDE),	/* the bounds of the NPP, and buffers that grow */
	S(SO_SNDBUF, HIDE),
	S(SO_RCVTIMEO, 0), S(SO_SNDTIMEO, SET), S(SO_LINGER, 0), S(SO_BROADCAST, SET), S(SO_PRIORITY, 0),
	S(SO_RCVLOWAT, 0), S(SO_REUSEPORT, 0), S(SO_MARK, 0), S(SO_MAX_PACING_RATE, 0), S(9999, SET),
	T(TCP_NODELAY, SET), T(TCP_KEEPCNT, SET), T(TCP_KEEPIDLE, SET), T(TCP_KEEPINTVL, SET), T(TCP_USER_TIMEOUT, SET),
	T(TCP_QUICKACK, HIDE),	/* changes with what comes */
	T(TCP_MAXSEG, HIDE), T(TCP_SYNCNT, HIDE), T(TCP_LINGER2, SET), T(TCP_CONGESTION, HIDE), T(TCP_NOTSENT_LOWAT, HIDE),
	T(TCP_DEFER_ACCEPT, 0), T(TCP_CORK, 0), T(TCP_FASTOPEN, 0), T(TCP_FASTOPEN_CONNECT, 0), T(9999, SET),
	I(IP_TOS, SET), I(IP_TTL, SET), I(IP_RECVTOS, SET), I(IP_RECVTTL, SET), I(IP_PKTINFO, SET), I(IP_MULTICAST_TTL, SET),
	I(IP_MULTICAST_LOOP, SET), I(IP_MTU_DISCOVER, SET), I(IP_RECVERR, 0), I(9999, SET),
	V(IPV6_V6ONLY, SET), V(IPV6_UNICAST_HOPS, 0), V(IPV6_TCLASS, SET), V(IPV6_RECVTCLASS, SET), V(IPV6_RECVHOPLIMIT, SET),
	V(IPV6_RECVPKTINFO, SET), V(IPV6_MULTICAST_HOPS, SET), V(IPV6_MULTICAST_LOOP, SET), V(9999, SET),
	{ IPPROTO_UDP, UDP_GRO, "UDP_GRO", UDP_ONLY }, { IPPROTO_UDP, UDP_SEGMENT, "UDP_SEGMENT", UDP_ONLY },
	{ 77, 1, "level 77", SET },
};

void say_flags(struct world *w, int flags)
{
	static const struct { int flag; const char *word; } words[] = {
		{ MSG_OOB, "OOB" }, { MSG_PEEK, "PEEK" }, { MSG_DONTROUTE, "DONTROUTE" }, { MSG_TRUNC, "TRUNC" },
		{ MSG_DONTWAIT, "DONTWAIT" }, { MSG_EOR, "EOR" }, { MSG_WAITALL, "WAITALL" }, { MSG_CONFIRM, "CONFIRM" },
		{ MSG_ERRQUEUE, "ERRQUEUE" }, { MSG_NOSIGNAL, "NOSIGNAL" }, { MSG_MORE, "MORE" },
	};
	const char *sep = "";

	if (!flags)
		say(w, "0");
	for (size_t k = 0; k < sizeof words / sizeof *words; k++)
		if (flags & words[k].flag)
			say(w, "%s%s", sep, words[k].word), sep = "|";
}

static const struct option *some_option(struct world *w, int i)
{
	const struct option *p = &one_of(w, options);

	if (w->obj[i] && (p->how & UDP_ONLY ? !is_dgram(w->obj[i]) : p->how & TCP_ONLY && !is_stream(w->obj[i])) && roll(w, 5))
		return NULL;
	return p;
}

static void step_get(struct world *w)
{
	static const int lens[] = { 4, 4, 4, 4, 16, 64, 1, 2, 3, 0, -1 };
	int i = pick(w, is_any), given = one_of(w, lens), r;
	const struct option *p = some_option(w, i);
	socklen_t len = (socklen_t)given;
	uint8_t value[64];

	if (!p)
		return;
	if (w->obj[i] && w->obj[i]->accepted && (p->level == IPPROTO_IP ? p->name == IP_MULTICAST_TTL : p->level == IPPROTO_IPV6 && p->name == IPV6_MULTICAST_HOPS))
		return; /* Linux has it from the SYN */
	memset(value, 0x5a, sizeof value);
	errno = 0;
	r = getsockopt(w->slot[i], p->level, p->name, value, &len);
	say(w, "s%d getsockopt(%s, %d)", i, p->word, given);
	say_result(w, r);
	if (r < 0)
		return;
	say(w, " %u:", len);
	for (unsigned k = 0; k < len && k < sizeof value && !(p->how & HIDE); k++)
		say(w, " %02x", value[k]);
}

static void step_set(struct world *w)
{
	static const int values[] = { 0, 1, 1, 2, 3, 5, -1, -2, 7, 64, 100, 255, 256, 32767, 32768, 65535, 65536 };
	static const int lens[] = { 4, 4, 4, 4, 4, 8, 16, 1, 2, 3, 0, -1 };
	int i = pick(w, is_any), len = one_of(w, lens), r;
	const struct option *p = some_option(w, i);
	int value[4] = { one_of(w, values), roll(w, 3) ? 0 : one_of(w, values), roll(w, 3) ? 0 : one_of(w, values), 0 };

	if (!p || !(p->how & SET))
		return;
	if (p->level == IPPROTO_IPV6 && p->name == IPV6_V6ONLY && is_stream(w->obj[i]) && !is_fresh(w->obj[i]))
		return; /* who has lost its connection has no port with Linux */
	if (is_dgram(w->obj[i]) && w->obj[i]->queued && p->level != SOL_SOCKET)
		return; /* what comes beside a datagram is asked for before it comes, on npp */
	errno = 0;
	r = setsockopt(w->slot[i], p->level, p->name, value, (socklen_t)len);
	say(w, "s%d setsockopt(%s, %d %d %d, %d)", i, p->word, value[0], value[1], value[2], len);
	say_result(w, r);
}

const struct step option_steps[] = { { "getsockopt", 12, step_get }, { "setsockopt", 12, step_set }, { 0 } };
