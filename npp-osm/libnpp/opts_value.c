/* SPDX-License-Identifier: GPL-2.0-or-later
 * opts_value.c - socket options that are one int: which there are, where they stand, what they may be
 */
#include "config.h"

#include <asm/socket.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <unistd.h>

#include "npp-osm/libnpp/opts_priv.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif
#define RCVBUF_DEFAULT 131072
#define SNDBUF_DEFAULT 131072
#define BUF_MAX (8u << 20)
#define BUF_MIN 2304u
#define LINGER2_MAX 120
#define CLAMP_MIN 1152
#define PRIORITY_MAX 6	/* without CAP_NET_ADMIN */
#define MAXSEG_MIN 88
#define MAXSEG_MAX 32767

static const struct opt options[] = {
	{ SOL_SOCKET, SO_REUSEADDR, P_FLAG, NPP_OPT_REUSEADDR, 0, false },
	{ SOL_SOCKET, SO_REUSEPORT, P_FLAG, NPP_OPT_REUSEPORT, 0, false },
	{ SOL_SOCKET, SO_KEEPALIVE, P_FLAG, NPP_OPT_KEEPALIVE, 0, true },
	{ SOL_SOCKET, SO_BROADCAST, P_FLAG, NPP_OPT_BROADCAST, 0, true },
	{ SOL_SOCKET, SO_RCVBUF, P_RCVBUF, 0, RCVBUF_DEFAULT, true },
	{ SOL_SOCKET, SO_SNDBUF, P_SNDBUF, 0, SNDBUF_DEFAULT, true },
	{ SOL_SOCKET, SO_RCVBUFFORCE, P_RCVBUF, FORCE, RCVBUF_DEFAULT, true },
	{ SOL_SOCKET, SO_SNDBUFFORCE, P_SNDBUF, FORCE, SNDBUF_DEFAULT, true },
	{ SOL_SOCKET, SO_RCVLOWAT, P_LOWAT, 0, 1, true },
	{ SOL_SOCKET, SO_SNDLOWAT, P_CONST, 1, 0, false },
	{ SOL_SOCKET, SO_OOBINLINE, P_FLAG, NPP_OPT_OOBINLINE, 0, false },
	{ SOL_SOCKET, SO_PRIORITY, P_PRIO, 0, 0, false },
	{ SOL_SOCKET, SO_DONTROUTE, P_IGNORE, 0, 0, false },
	{ SOL_SOCKET, SO_TIMESTAMP, P_IGNORE, 0, 0, false },
	{ SOL_SOCKET, SO_TIMESTAMPNS, P_IGNORE, 0, 0, false },
	{ SOL_SOCKET, SO_MARK, P_MARK, 0, 0, false },
	{ SOL_SOCKET, SO_BUSY_POLL, P_IGNORE, 0, 0, false },
	{ SOL_SOCKET, SO_INCOMING_CPU, P_IGNORE, 0, 0, false },
	{ SOL_SOCKET, SO_MAX_PACING_RATE, P_PACE, 0, UINT32_MAX, true },
	{ SOL_SOCKET, SO_ZEROCOPY, P_REFUSE, EOPNOTSUPP, AT_ONCE, false },
	{ SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, P_REFUSE, ENOPROTOOPT, 0, false },
	{ SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, P_REFUSE, ENOPROTOOPT, 0, false },
	{ IPPROTO_TCP, TCP_MAXSEG, P_MAX_SEG, 0, 536, false },
	{ IPPROTO_TCP, TCP_NODELAY, P_FLAG, NPP_OPT_NODELAY, 0, true },
	{ IPPROTO_TCP, TCP_CORK, P_FLAG, NPP_OPT_CORK, 0, true },
	{ IPPROTO_TCP, TCP_QUICKACK, P_FLAG, NPP_OPT_QUICKACK, 0, true },
	{ IPPROTO_TCP, TCP_KEEPIDLE, P_KEEP_IDLE, 0, 7200, true },
	{ IPPROTO_TCP, TCP_KEEPINTVL, P_KEEP_INTVL, 0, 75, true },
	{ IPPROTO_TCP, TCP_KEEPCNT, P_KEEP_CNT, 0, 9, true },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, P_USER_TIMEOUT, 0, 0, true },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, P_DEFER, 0, 0, false },
	{ IPPROTO_TCP, TCP_SYNCNT, P_SYN_CNT, 0, 7, false },
	{ IPPROTO_TCP, TCP_LINGER2, P_LINGER2, 0, 60, false },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, P_CLAMP, 0, 0, true },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, P_NOTSENT, 0, 0, true },
	{ IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, P_IGNORE, 0, 0, false },
	{ IPPROTO_TCP, TCP_TIMESTAMP, P_REFUSE, EPERM, 0, false },
	{ IPPROTO_TCP, TCP_FASTOPEN, P_FASTOPEN, 0, 0, false },
	{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, P_FLAG, NPP_OPT_FASTOPEN, 0, false },
	{ IPPROTO_TCP, TCP_FASTOPEN_KEY, P_REFUSE, ENOPROTOOPT, 0, false }, /* but of streams */
	{ IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, P_FLAG, NPP_OPT_TFO_NO_COOKIE, 0, false },
	{ IPPROTO_TCP, TCP_ULP, P_REFUSE, ENOENT, 0, false },
	{ IPPROTO_TCP, TCP_MD5SIG, P_REFUSE, ENOPROTOOPT, AT_ONCE, false },
	{ IPPROTO_TCP, TCP_MD5SIG_EXT, P_REFUSE, ENOPROTOOPT, AT_ONCE, false },
	{ IPPROTO_TCP, TCP_REPAIR, P_REFUSE, EPERM, 0, false },
	{ IPPROTO_IP, IP_TOS, P_TOS, 0, 0, true },
	{ IPPROTO_IP, IP_TTL, P_TTL, 0, 64, true },
	{ IPPROTO_IP, IP_MTU_DISCOVER, P_PMTUDISC, 0, 0, false },
	{ IPPROTO_IP, IP_MTU, P_REFUSE, ENOPROTOOPT, 0, false }, /* to ask only */
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, P_IGNORE, 0, 0, false },
	{ IPPROTO_IP, IP_FREEBIND, P_IGNORE, 0, 0, false },
	{ IPPROTO_IP, IP_TRANSPARENT, P_REFUSE, EPERM, 0, false },
	{ IPPROTO_IP, IP_RECVERR, P_FLAG, NPP_OPT_RECVERR, 0, false },
	{ IPPROTO_IP, IP_RECVTOS, P_FLAG, NPP_OPT_RECVTOS4, 0, false },
	{ IPPROTO_IP, IP_RECVTTL, P_FLAG, NPP_OPT_RECVTTL4, 0, false },
	{ IPPROTO_IP, IP_PKTINFO, P_FLAG, NPP_OPT_PKTINFO4, 0, false },
	{ IPPROTO_IP, IP_MULTICAST_TTL, P_MC_HOPS, 0, 0, false },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, P_FLAG_NOT, NPP_OPT_MC_NOLOOP, 0, false },
	{ IPPROTO_IP, IP_MULTICAST_ALL, P_FLAG_NOT, NPP_OPT_MC_NOTALL, 0, false },
	{ IPPROTO_IP, IP_MULTICAST_IF, P_IGNORE, 0, 0, false },
	{ IPPROTO_UDP, UDP_CORK, P_FLAG, NPP_OPT_CORK, 0, false },
	{ IPPROTO_UDP, UDP_SEGMENT, P_SEGMENT, 0, 0, false },
	{ IPPROTO_UDP, UDP_GRO, P_FLAG, NPP_OPT_GRO, 0, false },
	{ IPPROTO_IPV6, IPV6_V6ONLY, P_FLAG, NPP_OPT_V6ONLY, 0, false },
	{ IPPROTO_IPV6, IPV6_TCLASS, P_TOS, 0, 0, true },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, P_TTL, 0, 64, true },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, P_FLAG, NPP_OPT_RECVTOS, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, P_FLAG, NPP_OPT_RECVTTL, 0, false },
	{ IPPROTO_IPV6, IPV6_FREEBIND, P_IGNORE, 0, 0, false },
	{ IPPROTO_IPV6, IPV6_TRANSPARENT, P_REFUSE, EPERM, 0, false },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, P_MC_HOPS, 0, 0, false },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, P_FLAG_NOT, NPP_OPT_MC_NOLOOP, 0, false },
	{ IPPROTO_IPV6, IPV6_MULTICAST_ALL, P_FLAG_NOT, NPP_OPT_MC_NOTALL, 0, false },
	{ IPPROTO_IPV6, IPV6_MULTICAST_IF, P_IGNORE, 0, 0, false },
	{ IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, P_IGNORE, 0, 0, false },
	{ IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, P_IGNORE, 1, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, P_FLAG, NPP_OPT_PKTINFO, 0, false },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, P_PMTUDISC, 0, 0, false },
	{ IPPROTO_IPV6, IPV6_MTU, P_REFUSE, ENOPROTOOPT, 0, false },
	{ IPPROTO_IPV6, IPV6_RECVERR, P_FLAG, NPP_OPT_RECVERR, 0, false },
};

const struct opt *opt_find(int level, int name)
{
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (options[i].level == level && options[i].name == name)
			return &options[i];
	return NULL;
}

/* ---- where a value stands ---------------------------------------------------------- */

uint32_t opt_word(const struct so *so, const _Atomic uint32_t *w, uint32_t noted)
{
	return so->sk ? atomic_load_explicit(w, memory_order_relaxed) : noted;
}

void opt_set_bits(_Atomic uint32_t *w, uint32_t *noted, unsigned shift, uint32_t mask, uint32_t v)
{
	uint32_t old;

	if (!w) {
		*noted = (*noted & ~(mask << shift)) | v << shift;
		return;
	}
	if (mask == UINT32_MAX) {
		atomic_store_explicit(w, v, memory_order_relaxed);
		return;
	}
	old = atomic_load_explicit(w, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(w, &old, (old & ~(mask << shift)) | v << shift, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

/* The word of each place that has one, in the record and as it is noted, and which bits of it. */
#define PLACE(field, note, shift, mask) { offsetof(struct npp_sock, field), offsetof(struct so_opts, note), shift, mask }
#define WHOLE(field) PLACE(field, field, 0, UINT32_MAX)
static const struct word { uint16_t rec, note; uint8_t shift; uint32_t mask; } words[P_PLACES] = {
	[P_FLAG] = PLACE(opt_flags, flags, 0, UINT32_MAX), [P_FLAG_NOT] = PLACE(opt_flags, flags, 0, UINT32_MAX),
	[P_PMTUDISC] = PLACE(opt_flags, flags, NPP_OPT_PMTUDISC_SHIFT, 7),
	[P_MC_HOPS] = WHOLE(mc_hops), [P_SEGMENT] = WHOLE(udp_segment), [P_MARK] = WHOLE(mark), [P_MAX_SEG] = WHOLE(max_seg),
	[P_RCVBUF] = WHOLE(rcvbuf), [P_SNDBUF] = WHOLE(sndbuf), [P_NOTSENT] = WHOLE(notsent_lowat), [P_CLAMP] = WHOLE(win_clamp),
	[P_USER_TIMEOUT] = WHOLE(user_timeout_ms), [P_PACE] = WHOLE(max_pace), [P_FASTOPEN] = WHOLE(fastopen),
	[P_LOWAT] = WHOLE(rcvlowat),
	/* NPP_KEEP_*, NPP_TRIES_*, NPP_MANNER_* */
	[P_KEEP_IDLE] = PLACE(keep, keep, 0, 0xffff), [P_KEEP_INTVL] = PLACE(keep, keep, 16, 0xffff),
	[P_KEEP_CNT] = PLACE(tries, tries, 0, 0xff), [P_SYN_CNT] = PLACE(tries, tries, 8, 0xff),
	[P_LINGER2] = PLACE(tries, tries, 16, 0xff), [P_DEFER] = PLACE(tries, tries, 24, 0xff),
	[P_TOS] = PLACE(manner, manner, 0, 0xff), [P_TTL] = PLACE(manner, manner, 8, 0xff), [P_PRIO] = PLACE(manner, manner, 24, 0xff),
};

static uint32_t load(const struct so *so, enum place p)
{
	const struct word *w = &words[p];
	const uint32_t *noted = (const void *)((const char *)&so->opt + w->note);
	const _Atomic uint32_t *rec = so->sk ? (const void *)((const char *)so->sk + w->rec) : NULL;

	return w->mask ? opt_word(so, rec, *noted) >> w->shift & w->mask : 0;
}

static void store(struct so *so, enum place p, uint32_t v)
{
	const struct word *w = &words[p];
	_Atomic uint32_t *rec = so->sk ? (void *)((char *)so->sk + w->rec) : NULL;

	opt_set_bits(rec, (void *)((char *)&so->opt + w->note), w->shift, w->mask, v);
}

static void set_flags(struct so *so, uint32_t bits, bool on)
{
	if (!so->sk)
		so->opt.flags = on ? so->opt.flags | bits : so->opt.flags & ~bits;
	else if (on)
		atomic_fetch_or_explicit(&so->sk->opt_flags, bits, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&so->sk->opt_flags, ~bits, memory_order_relaxed);
}

/* Less than 0 is as much as can be, but for who may have more than that. */
static uint32_t buffer_size(int v, bool force)
{
	uint32_t n = v < 0 && force ? 0 : (uint32_t)v;

	n = n > BUF_MAX / 2 ? BUF_MAX : n * 2; /* Linux doubles it and shows the double */
	return n < BUF_MIN ? BUF_MIN : n;
}

/* The bounds that the NPP of SO has for buffers of connections. */
struct npp_tcp_mem sock_mem(const struct so *so, bool send)
{
	unsigned a = so->sk ? *(volatile uint8_t *)&so->sk->slot / NPP_MAX_IOPS : 0;
	const struct npp_global *g = NULL;

	if (a < NPP_MAX_ATTACH && atomic_load_explicit(&npp_lib.att[a].mapped, memory_order_acquire))
		g = npp_lib.att[a].global;
	return send ? npp_tcp_wmem(g) : npp_tcp_rmem(g);
}

/* What SO_RCVBUF and SO_SNDBUF say: what was set, within bounds, or what the buffer is now. */
static uint32_t buffer_now(const struct so *so, bool send, uint32_t set)
{
	struct npp_tcp_mem m = sock_mem(so, send);
	uint32_t ring = 0, low = send ? 0 : load(so, P_LOWAT);

	if (so->dgram)
		return set;
	if (set)
		return npp_tcp_mem_set(m, set);
	if (so->sk)
		ring = *(volatile uint32_t *)(send ? &so->sk->tx_ring.size : &so->sk->rx_ring.size);
	low = low < m.max / 2 ? 2 * low : m.max; /* the ISM makes it so large, for who waits for that much */
	ring = ring > low ? ring : low;
	return ring > m.dflt ? ring : m.dflt;
}

/* Nobody shall wait for more than there can be: half of the buffer, as Linux has it. */
static uint32_t lowat_max(const struct so *so)
{
	uint32_t set = load(so, P_RCVBUF);

	return (set ? npp_tcp_mem_set(sock_mem(so, false), set) : sock_mem(so, false).max) / 2;
}

/* TCP_DEFER_ACCEPT as Linux keeps it: how many SYN-ACKs take so many seconds, and back. */
static uint32_t defer_tries(int secs)
{
	int period = 1, sum = 1;
	uint32_t n = secs > 0;

	while (secs > sum && n && n < 255) {
		period = period < 60 ? period * 2 : 120;
		sum += period;
		n++;
	}
	return n;
}

static uint32_t defer_secs(uint32_t tries)
{
	uint32_t period = 1, sum = tries > 0;

	while (tries > 1) {
		period = period < 60 ? period * 2 : 120;
		sum += period;
		tries--;
	}
	return sum;
}

/* What goes into the IP header. */
static int set_ip_value(struct so *so, const struct opt *o, int v)
{
	bool six = o->level == IPPROTO_IPV6;
	uint32_t u = (uint32_t)v;

	switch (o->place) {
	case P_TOS:
		if (six && (v < -1 || v > 255))
			return -EINVAL;
		if (six && v < 0)
			u = 0;
		store(so, P_TOS, so->dgram ? u & 0xff : u & 0xfc); /* the rest is of ECN */
		if (!six) /* as Linux: by the bits that were the type of service once */
			store(so, P_PRIO, 0x4620u >> (u >> 3 & 3) * 4 & 15);
		return 0;
	case P_TTL:
		if (v != -1 && (v < 1 || v > 255))
			return -EINVAL;
		store(so, P_TTL, v < 0 ? 0 : u);
		return 0;
	default:
		if (v < IP_PMTUDISC_DONT || v > IP_PMTUDISC_OMIT)
			return -EINVAL;
		store(so, P_PMTUDISC, u ^ 1);
		return 0;
	}
}

/* What a value that fits in a word of its own may be, and what then stands there. */
static const struct range { int min, max; } ranges[P_PLACES] = {
	[P_MC_HOPS] = { -1, 255 }, [P_SEGMENT] = { 0, 65535 }, [P_KEEP_IDLE] = { 1, 32767 }, [P_KEEP_INTVL] = { 1, 32767 },
	[P_KEEP_CNT] = { 1, 127 }, [P_SYN_CNT] = { 1, 127 }, [P_USER_TIMEOUT] = { 0, INT32_MAX }, [P_FASTOPEN] = { 0, INT32_MAX },
};

static uint32_t to_store(const struct so *so, enum place p, int v)
{
	uint32_t u = (uint32_t)v, most;

	switch (p) {
	case P_MC_HOPS:
		return v < 0 ? 0 : u + 1;
	case P_LINGER2:
		return v < 0 ? NPP_LINGER2_NONE : v > LINGER2_MAX ? LINGER2_MAX : u;
	case P_DEFER:
		return defer_tries(v);
	case P_CLAMP:
		return v && v < CLAMP_MIN ? CLAMP_MIN : u;
	case P_PRIO:
		return u > 0xff ? 0xff : u;
	case P_PACE:
		return u == UINT32_MAX ? 0 : u;
	case P_FASTOPEN:
		return u < BACKLOG_MAX ? u : BACKLOG_MAX;
	case P_LOWAT:
		u = v < 0 ? INT32_MAX : v ? u : 1;
		most = so->dgram ? u : lowat_max(so);
		return u < most ? u : most;
	default:
		return u;
	}
}

int opt_set(struct so *so, const struct opt *o, int v)
{
	const struct range *r = &ranges[o->place];

	switch (o->place) {
	case P_FLAG:
	case P_FLAG_NOT:
		if (v != 0 && v != 1 && o->place == P_FLAG_NOT && (o->level == IPPROTO_IPV6) == (o->arg == NPP_OPT_MC_NOLOOP))
			return -EINVAL; /* as Linux: those of groups differ in this */
		set_flags(so, o->arg, (v != 0) == (o->place == P_FLAG));
		return 0;
	case P_RCVBUF:
	case P_SNDBUF:
		store(so, o->place, buffer_size(v, o->arg));
		set_flags(so, o->place == P_RCVBUF ? NPP_OPT_RCVBUF : NPP_OPT_SNDBUF, true);
		return 0;
	case P_TOS:
	case P_TTL:
	case P_PMTUDISC:
		return set_ip_value(so, o, v);
	case P_REFUSE:
		return v == 0 && o->name == SO_ZEROCOPY && o->level == SOL_SOCKET ? 0 : -(int)o->arg;
	case P_CONST:
	case P_IGNORE:
		return 0;
	case P_MARK: /* of streams: datagrams have other things there */
		if (so->dgram)
			return 0;
		break;
	case P_MAX_SEG:
		if (v && (v < MAXSEG_MIN || v > MAXSEG_MAX))
			return -EINVAL;
		break;
	case P_PRIO: /* the privileged may say more, which would mean as much */
		if (v < 0 || (v > PRIORITY_MAX && geteuid() != 0))
			return -EPERM;
		break;
	default:
		if (r->max && (v < r->min || v > r->max))
			return -EINVAL;
	}
	store(so, o->place, to_store(so, o->place, v));
	return 0;
}

int opt_get(const struct so *so, const struct opt *o)
{
	uint32_t v = load(so, o->place);

	switch (o->place) {
	case P_FLAG:
		return (v & o->arg) != 0;
	case P_FLAG_NOT:
		return (v & o->arg) == 0;
	case P_PMTUDISC:
		return (int)(v ^ 1);
	case P_MC_HOPS:
		return v ? (int)v - 1 : 1;
	case P_MARK:
		v = so->dgram ? 0 : v;
		break;
	case P_MAX_SEG: /* what it has, once it is connected */
		if (so->sk && so->sk->type != NPP_SOCK_LISTENER) {
			uint32_t now = *(volatile uint32_t *)&so->sk->brief.snd_mss;

			v = now ? now : v;
		}
		break;
	case P_RCVBUF:
	case P_SNDBUF:
		v = buffer_now(so, o->place == P_SNDBUF, v);
		break;
	case P_LINGER2:
		if (v == NPP_LINGER2_NONE)
			return -1;
		break;
	case P_DEFER:
		v = defer_secs(v);
		break;
	case P_CONST:
	case P_IGNORE:
		return (int)o->arg;
	case P_REFUSE:
		return 0;
	default:
		break;
	}
	return (int)(v ? v : o->dflt);
}
