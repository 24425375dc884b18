/* SPDX-License-Identifier: GPL-2.0-or-later
 * opts.c - socket options, names, ioctl
 *
 * Until a socket has a record its options are the kernel's; those that a record can hold
 * are noted beside and copied into it. With a record they are read and written there
 * (and, for a socket with a kernel part, told to the kernel, too).
 */
#include "config.h"

#include <asm/socket.h>
#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"

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
#define ERRNO_MAX 4095	/* of Linux */

/* One value as the table below sees it: in the record, or noted before there is one. */
enum place { P_FLAG, P_RCVBUF, P_SNDBUF, P_KEEP_IDLE, P_KEEP_INTVL, P_KEEP_CNT, P_SYN_CNT, P_LINGER2, P_DEFER, P_USER_TIMEOUT, P_PACE,
	     P_FASTOPEN, P_LOWAT, P_NOTSENT, P_CLAMP, P_TOS, P_TTL, P_PRIO, P_FLAG_NOT, P_MC_HOPS, P_SEGMENT, P_MARK, P_MAX_SEG,
	     P_PMTUDISC, P_CONST, P_IGNORE, P_REFUSE };

/* Refused also while the socket is the kernel's: who was told that he has it would count on it. */
#define AT_ONCE 1
#define FORCE 1		/* cannot be asked for */

static const struct opt {
	int level, name;
	enum place place;
	uint32_t arg;		/* P_FLAG: NPP_OPT_*; P_CONST: what get says; buffers: FORCE, or not */
	uint32_t dflt;		/* what get says for 0; P_REFUSE: AT_ONCE, or not */
	bool tell;		/* the ISM acts on it */
} options[] = {
	{ SOL_SOCKET, SO_REUSEADDR, P_FLAG, NPP_OPT_REUSEADDR, 0, false },
	{ SOL_SOCKET, SO_REUSEPORT, P_FLAG, NPP_OPT_REUSEPORT, 0, false },
	{ SOL_SOCKET, SO_KEEPALIVE, P_FLAG, NPP_OPT_KEEPALIVE, 0, true },
	{ SOL_SOCKET, SO_BROADCAST, P_FLAG, NPP_OPT_BROADCAST, 0, true },
	{ SOL_SOCKET, SO_RCVBUF, P_RCVBUF, 0, RCVBUF_DEFAULT, true },
	{ SOL_SOCKET, SO_SNDBUF, P_SNDBUF, 0, SNDBUF_DEFAULT, true },
	{ SOL_SOCKET, SO_RCVBUFFORCE, P_RCVBUF, FORCE, RCVBUF_DEFAULT, true },
	{ SOL_SOCKET, SO_SNDBUFFORCE, P_SNDBUF, FORCE, SNDBUF_DEFAULT, true },
	{ SOL_SOCKET, SO_RCVLOWAT, P_LOWAT, 0, 1, false },
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

static const struct opt *find(int level, int name)
{
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (options[i].level == level && options[i].name == name)
			return &options[i];
	return NULL;
}

/* ---- where a value stands ---------------------------------------------------------- */

static uint32_t load_word(const struct so *so, _Atomic uint32_t *w, uint32_t noted)
{
	return so->sk ? atomic_load_explicit(w, memory_order_relaxed) : noted;
}

#define WORD(so, field, note) load_word(so, (so)->sk ? &(so)->sk->field : NULL, (so)->opt.note)
#define SET_WORD(so, field, note, v) \
	do { \
		if ((so)->sk) \
			atomic_store_explicit(&(so)->sk->field, (v), memory_order_relaxed); \
		else \
			(so)->opt.note = (v); \
	} while (0)

/* Bits SHIFT and up of a word, as many as are set in MASK. */
static void set_bits(_Atomic uint32_t *w, uint32_t *noted, unsigned shift, uint32_t mask, uint32_t v)
{
	uint32_t old;

	if (!w) {
		*noted = (*noted & ~(mask << shift)) | v << shift;
		return;
	}
	old = atomic_load_explicit(w, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(w, &old, (old & ~(mask << shift)) | v << shift, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

#define SET_BITS(so, field, shift, mask, v) set_bits((so)->sk ? &(so)->sk->field : NULL, &(so)->opt.field, shift, mask, v)

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
	uint32_t ring = 0;

	if (so->dgram)
		return set;
	if (set)
		return npp_tcp_mem_set(m, set);
	if (so->sk)
		ring = *(volatile uint32_t *)(send ? &so->sk->tx_ring.size : &so->sk->rx_ring.size);
	return ring > m.dflt ? ring : m.dflt;
}

/* Nobody shall wait for more than there can be: half of the buffer, as Linux has it. */
static uint32_t lowat_max(const struct so *so)
{
	uint32_t set = WORD(so, rcvbuf, rcvbuf);

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
		SET_BITS(so, manner, 0, 0xff, so->dgram ? u & 0xff : u & 0xfc); /* the rest is of ECN */
		if (!six) /* as Linux: by the bits that were the type of service once */
			SET_BITS(so, manner, 24, 0xff, 0x4620u >> (u >> 3 & 3) * 4 & 15);
		return 0;
	case P_TTL:
		if (v != -1 && (v < 1 || v > 255))
			return -EINVAL;
		SET_BITS(so, manner, 8, 0xff, v < 0 ? 0 : u);
		return 0;
	default:
		if (v < IP_PMTUDISC_DONT || v > IP_PMTUDISC_OMIT)
			return -EINVAL;
		set_bits(so->sk ? &so->sk->opt_flags : NULL, &so->opt.flags, NPP_OPT_PMTUDISC_SHIFT, 7, u ^ 1);
		return 0;
	}
}

static int set_value(struct so *so, const struct opt *o, int v)
{
	uint32_t u = (uint32_t)v;

	switch (o->place) {
	case P_FLAG:
	case P_FLAG_NOT:
		if (v != 0 && v != 1 && o->place == P_FLAG_NOT && (o->level == IPPROTO_IPV6) == (o->arg == NPP_OPT_MC_NOLOOP))
			return -EINVAL; /* as Linux: those of groups differ in this */
		set_flags(so, o->arg, (v != 0) == (o->place == P_FLAG));
		return 0;
	case P_MC_HOPS:
		if (v < -1 || v > 255)
			return -EINVAL;
		SET_WORD(so, mc_hops, mc_hops, v < 0 ? 0 : u + 1);
		return 0;
	case P_SEGMENT:
		if (v < 0 || v > 65535)
			return -EINVAL;
		SET_WORD(so, udp_segment, udp_segment, u);
		return 0;
	case P_MARK:
		if (!so->dgram)
			SET_WORD(so, mark, mark, u);
		return 0;
	case P_MAX_SEG:
		if (v && (v < MAXSEG_MIN || v > MAXSEG_MAX))
			return -EINVAL;
		SET_WORD(so, max_seg, max_seg, u);
		return 0;
	case P_RCVBUF:
		SET_WORD(so, rcvbuf, rcvbuf, buffer_size(v, o->arg));
		set_flags(so, NPP_OPT_RCVBUF, true);
		return 0;
	case P_SNDBUF:
		SET_WORD(so, sndbuf, sndbuf, buffer_size(v, o->arg));
		set_flags(so, NPP_OPT_SNDBUF, true);
		return 0;
	case P_KEEP_IDLE:
	case P_KEEP_INTVL:
		if (v < 1 || v > 32767)
			return -EINVAL;
		SET_BITS(so, keep, o->place == P_KEEP_IDLE ? 0 : 16, 0xffff, u);
		return 0;
	case P_KEEP_CNT:
	case P_SYN_CNT:
		if (v < 1 || v > 127)
			return -EINVAL;
		SET_BITS(so, tries, o->place == P_KEEP_CNT ? 0 : 8, 0xff, u);
		return 0;
	case P_LINGER2:
		SET_BITS(so, tries, 16, 0xff, v < 0 ? NPP_LINGER2_NONE : v > LINGER2_MAX ? LINGER2_MAX : u);
		return 0;
	case P_DEFER:
		SET_BITS(so, tries, 24, 0xff, defer_tries(v));
		return 0;
	case P_NOTSENT:
		SET_WORD(so, notsent_lowat, notsent_lowat, u);
		return 0;
	case P_CLAMP:
		SET_WORD(so, win_clamp, win_clamp, v && v < CLAMP_MIN ? CLAMP_MIN : u);
		return 0;
	case P_PRIO: /* the privileged may say more, which would mean as much */
		if (v < 0 || (v > PRIORITY_MAX && geteuid() != 0))
			return -EPERM;
		SET_BITS(so, manner, 24, 0xff, u > 0xff ? 0xff : u);
		return 0;
	case P_USER_TIMEOUT:
		if (v < 0)
			return -EINVAL;
		SET_WORD(so, user_timeout_ms, user_timeout_ms, u);
		return 0;
	case P_PACE:
		SET_WORD(so, max_pace, max_pace, u == UINT32_MAX ? 0 : u);
		return 0;
	case P_FASTOPEN:
		if (v < 0)
			return -EINVAL;
		SET_WORD(so, fastopen, fastopen, u < BACKLOG_MAX ? u : BACKLOG_MAX);
		return 0;
	case P_LOWAT:
		u = v < 0 ? INT32_MAX : v ? u : 1;
		SET_WORD(so, rcvlowat, rcvlowat, so->dgram || u < lowat_max(so) ? u : lowat_max(so));
		return 0;
	case P_TOS:
	case P_TTL:
	case P_PMTUDISC:
		return set_ip_value(so, o, v);
	case P_REFUSE:
		return v == 0 && o->name == SO_ZEROCOPY && o->level == SOL_SOCKET ? 0 : -(int)o->arg;
	case P_CONST:
	case P_IGNORE:
		break;
	}
	return 0;
}

static int get_value(struct so *so, const struct opt *o)
{
	uint32_t v = 0;

	switch (o->place) {
	case P_FLAG:
		return (WORD(so, opt_flags, flags) & o->arg) != 0;
	case P_FLAG_NOT:
		return (WORD(so, opt_flags, flags) & o->arg) == 0;
	case P_PMTUDISC:
		return (int)NPP_OPT_PMTUDISC(WORD(so, opt_flags, flags));
	case P_MC_HOPS:
		v = WORD(so, mc_hops, mc_hops);
		return v ? (int)v - 1 : 1;
	case P_SEGMENT:
		v = WORD(so, udp_segment, udp_segment);
		break;
	case P_MARK:
		v = so->dgram ? 0 : WORD(so, mark, mark);
		break;
	case P_MAX_SEG: /* what it has, once it is connected */
		v = so->sk && so->sk->type != NPP_SOCK_LISTENER ? *(volatile uint32_t *)&so->sk->brief.snd_mss : 0;
		v = v ? v : WORD(so, max_seg, max_seg);
		break;
	case P_RCVBUF:
		v = buffer_now(so, false, WORD(so, rcvbuf, rcvbuf));
		break;
	case P_SNDBUF:
		v = buffer_now(so, true, WORD(so, sndbuf, sndbuf));
		break;
	case P_KEEP_IDLE:
		v = NPP_KEEP_IDLE(WORD(so, keep, keep));
		break;
	case P_KEEP_INTVL:
		v = NPP_KEEP_INTVL(WORD(so, keep, keep));
		break;
	case P_KEEP_CNT:
		v = NPP_TRIES_KEEP(WORD(so, tries, tries));
		break;
	case P_SYN_CNT:
		v = NPP_TRIES_SYN(WORD(so, tries, tries));
		break;
	case P_LINGER2:
		v = NPP_TRIES_LINGER2(WORD(so, tries, tries));
		if (v == NPP_LINGER2_NONE)
			return -1;
		break;
	case P_DEFER:
		v = defer_secs(NPP_TRIES_DEFER(WORD(so, tries, tries)));
		break;
	case P_NOTSENT:
		v = WORD(so, notsent_lowat, notsent_lowat);
		break;
	case P_CLAMP:
		v = WORD(so, win_clamp, win_clamp);
		break;
	case P_PRIO:
		v = NPP_MANNER_PRIO(WORD(so, manner, manner));
		break;
	case P_USER_TIMEOUT:
		v = WORD(so, user_timeout_ms, user_timeout_ms);
		break;
	case P_PACE:
		v = WORD(so, max_pace, max_pace);
		break;
	case P_FASTOPEN:
		v = WORD(so, fastopen, fastopen);
		break;
	case P_LOWAT:
		v = WORD(so, rcvlowat, rcvlowat);
		break;
	case P_TOS:
		v = NPP_MANNER_TOS(WORD(so, manner, manner));
		break;
	case P_TTL:
		v = NPP_MANNER_TTL(WORD(so, manner, manner));
		break;
	case P_CONST:
	case P_IGNORE:
		return (int)o->arg;
	case P_REFUSE:
		return 0;
	}
	return (int)(v ? v : o->dflt);
}

/* ---- options that are not one int ---------------------------------------------------------- */

static int set_timeout(struct so *so, bool receive, const void *val, socklen_t len)
{
	struct timeval tv;
	uint64_t ms;

	if (len < sizeof tv)
		return -EINVAL;
	memcpy(&tv, val, sizeof tv);
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	ms = tv.tv_sec < 0 ? 0 : (uint64_t)tv.tv_sec * 1000 + ((uint64_t)tv.tv_usec + 999) / 1000;
	if (ms > UINT32_MAX)
		ms = 0;
	if (receive)
		SET_WORD(so, rcvtimeo_ms, rcvtimeo_ms, (uint32_t)ms);
	else
		SET_WORD(so, sndtimeo_ms, sndtimeo_ms, (uint32_t)ms);
	return 0;
}

static int set_linger(struct so *so, const void *val, socklen_t len)
{
	struct linger l;
	uint32_t v;

	if (len < sizeof l)
		return -EINVAL;
	memcpy(&l, val, sizeof l);
	v = l.l_onoff ? (l.l_linger < 0 ? 0 : (uint32_t)l.l_linger) + 1 : 0;
	SET_WORD(so, linger, linger, v);
	so->opt.linger = v; /* what we know of ourselves: a record may lie */
	return 0;
}

static const char *const cc_names[NPP_CC_COUNT] = NPP_CC_NAMES;

static int set_congestion(struct so *so, const char *val, socklen_t len)
{
	size_t n = strnlen(val, len);

	for (uint32_t i = NPP_CC_DEFAULT + 1; i < NPP_CC_COUNT; i++) {
		if (strlen(cc_names[i]) == n && memcmp(val, cc_names[i], n) == 0) {
			SET_BITS(so, manner, 16, 0xff, i);
			return 0;
		}
	}
	return -ENOENT;
}

/* What its ISM says of a stream; a listener has no such thing. */
static const volatile struct npp_tcp_brief *brief_of(const struct so *so)
{
	static const struct npp_tcp_brief none;

	return so->sk->type == NPP_SOCK_LISTENER ? &none : &so->sk->brief;
}

/* What was asked for, or what the connection has; before there is one, what is usual. */
static int get_congestion(struct so *so, void *val, socklen_t *len)
{
	char name[16] = { 0 };
	uint32_t cc = NPP_MANNER_CC(WORD(so, manner, manner));

	if (cc == NPP_CC_DEFAULT && so->sk)
		cc = brief_of(so)->cc;
	strncpy(name, cc_names[cc > NPP_CC_DEFAULT && cc < NPP_CC_COUNT ? cc : NPP_CC_CUBIC], sizeof name - 1);
	if (*len > sizeof name)
		*len = sizeof name;
	memcpy(val, name, *len);
	return 0;
}

/* SO_MAX_PACING_RATE may have eight bytes; more than four can say is no bound to us. */
static int pace_of(const void *val, socklen_t len, int v)
{
	uint64_t rate;

	if (len < sizeof rate)
		return v;
	memcpy(&rate, val, sizeof rate);
	return (int)(rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX);
}

/* Is the value a name, which may be short? */
static bool by_name(int level, int name)
{
	return level == SOL_SOCKET ? name == SO_BINDTODEVICE : level == IPPROTO_TCP && (name == TCP_CONGESTION || name == TCP_ULP);
}

/* Has a socket like SO options of LEVEL? */
static bool level_ok(const struct so *so, int level)
{
	return level == SOL_SOCKET || level == IPPROTO_IP || (level == IPPROTO_IPV6 && so->domain == AF_INET6) ||
	       level == (so->dgram ? IPPROTO_UDP : IPPROTO_TCP);
}

/* Into the record, or noted. 0, -ENOPROTOOPT unknown, or -errno. */
static int set_option(struct so *so, int level, int name, const void *val, socklen_t len)
{
	const struct opt *o;
	int v = 0, r;

	if ((int)len < 0 || (len < sizeof v && !by_name(level, name) && (level == SOL_SOCKET || (level == IPPROTO_TCP && !so->dgram))))
		return -EINVAL;
	if (!level_ok(so, level))
		return -ENOPROTOOPT;
	if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO))
		return set_timeout(so, name == SO_RCVTIMEO, val, len);
	if (level == SOL_SOCKET && name == SO_LINGER)
		return set_linger(so, val, len);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return set_congestion(so, val, len);
	if (level == IPPROTO_TCP && name == TCP_FASTOPEN_KEY && !so->dgram)
		return tfo_key_set(so, val, len);
	if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
		return 0;
	o = find(level, name);
	if (!o || o->place == P_CONST)
		return -ENOPROTOOPT;
	if (by_name(level, name))
		return -(int)o->arg;
	if (o->arg == NPP_OPT_V6ONLY && o->place == P_FLAG && so->sk && so->sk->lport)
		return -EINVAL; /* it has a port, in one family or in both */
	if (o->place == P_MC_HOPS && !so->dgram)
		return level == IPPROTO_IP ? -EINVAL : -ENOPROTOOPT;
	if (len >= sizeof v)
		memcpy(&v, val, sizeof v);
	else if (len >= 1 && level == IPPROTO_IP)
		v = *(const uint8_t *)val;
	else if (level != IPPROTO_IP || o->place == P_TTL || o->place == P_MC_HOPS || o->place == P_FLAG_NOT)
		return -EINVAL; /* the others of IP take nothing for 0 */
	r = so->kind == SO_OURS && !so->kpart ? opts_judge(so, level, name, v) : 0;
	if (r == 0 && o->place == P_PACE)
		v = pace_of(val, len, v);
	if (r == 0)
		r = set_value(so, o, v);
	if (r == 0 && o->place == P_FLAG_NOT && o->arg == NPP_OPT_MC_NOTALL)
		mcast_tell(so);
	if (r == 0 && o->tell && so->sk && so->sk->type != NPP_SOCK_LISTENER &&
	    (so->dgram || stream_state(so) == ST_UP || stream_state(so) == ST_CONNECTING))
		sock_look(so, NPP_IN_OPT);
	return r;
}

static bool refused_at_once(int level, int name)
{
	const struct opt *o = find(level, name);

	return o && o->place == P_REFUSE && o->dflt == AT_ONCE;
}

int npp_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	struct so *so = fd_get(fd);
	int saved = errno, r;

	if (!so || so->kind == SO_EPOLL || so->kind == SO_INTERNAL)
		return R->setsockopt(fd, level, name, val, len);
	r = so->dgram && (level != IPPROTO_IPV6 || so->domain == AF_INET6) ? mcast_set(so, fd, level, name, val, len) : 1;
	if (r != 1) {
		errno = r < 0 ? -r : saved;
		return r < 0 ? -1 : 0;
	}
	if ((so->kind == SO_KERNEL_YET || so->kpart) && !refused_at_once(level, name)) {
		r = R->setsockopt(fd, level, name, val, len);
		if (r < 0)
			return r;
		set_option(so, level, name, val, len);
		errno = saved;
		return 0;
	}
	if (!val && len)
		r = -EFAULT;
	else
		r = set_option(so, level, name, val, len);
	if (r == -ENOPROTOOPT && !find(level, name))
		lib_say(ONCE_OPT, "a socket option that npp does not know was refused (ENOPROTOOPT)");
	errno = r < 0 ? -r : saved;
	return r < 0 ? -1 : 0;
}

/* ---- reading --------------------------------------------------------------------------------------- */

/* SO_ERROR: fetched, and gone then. It is the word of an ISM: a number that is none of an error would be
 * taken for a number of bytes once its sign is changed. */
int sock_error(struct so *so)
{
	int err;

	if (atomic_load_explicit(&so->sk->err, memory_order_relaxed) == 0)
		return 0;
	err = atomic_exchange_explicit(&so->sk->err, 0, memory_order_acq_rel);
	return err >= 0 && err <= ERRNO_MAX ? err : EIO;
}

static const uint8_t linux_state[TCP_ST_COUNT] = {
	[TCP_ST_CLOSED] = 7, [TCP_ST_LISTEN] = 10, [TCP_ST_SYN_SENT] = 2, [TCP_ST_SYN_RECEIVED] = 3,
	[TCP_ST_ESTABLISHED] = 1, [TCP_ST_FIN_WAIT_1] = 4, [TCP_ST_FIN_WAIT_2] = 5, [TCP_ST_CLOSE_WAIT] = 8,
	[TCP_ST_CLOSING] = 11, [TCP_ST_LAST_ACK] = 9, [TCP_ST_TIME_WAIT] = 6,
};

/* Bytes that were written and never sent. The brief may be older than the last ACK. */
static uint32_t not_sent(const struct so *so)
{
	uint32_t written = atomic_load_explicit(&so->sk->tx_head, memory_order_relaxed) -
			   atomic_load_explicit(&so->sk->tx_tail, memory_order_acquire);
	uint32_t flight = brief_of(so)->unacked;

	if (stream_over(so))
		return 0; /* nor will they ever be */
	if (atomic_load_explicit(&so->sk->notsent_lowat, memory_order_relaxed))
		return stream_unsent(so->sk);
	return written > flight ? written - flight : 0;
}

/* As Linux: of a listener those that wait to be accepted, and how many there may be. */
static void fill_listener_info(const struct so *so, int fd, struct tcp_info *ti)
{
	struct tcp_info kernel = { .tcpi_unacked = 0 };
	socklen_t n = sizeof kernel;
	uint32_t backlog;

	memset(ti, 0, sizeof *ti);
	ti->tcpi_state = linux_state[TCP_ST_LISTEN];
	ti->tcpi_unacked = accept_queue(so, &backlog);
	ti->tcpi_sacked = backlog;
	ti->tcpi_max_pacing_rate = UINT64_MAX;
	if (so->kpart && R->getsockopt(fd, IPPROTO_TCP, TCP_INFO, &kernel, &n) == 0)
		ti->tcpi_unacked += kernel.tcpi_unacked;
}

static void fill_tcp_info(const struct so *so, struct tcp_info *ti)
{
	const volatile struct npp_tcp_brief *b = brief_of(so);
	uint32_t st = atomic_load_explicit(&so->sk->tcp_state, memory_order_relaxed);
	uint32_t now = (uint32_t)(lib_now_us() / 1000), tail = atomic_load_explicit(&so->sk->tx_tail, memory_order_acquire);
	uint32_t written = atomic_load_explicit(&so->sk->tx_head, memory_order_relaxed) - tail;
	/* The brief may be older than the last ACK. */
	uint32_t unacked = b->unacked, flight = unacked < written ? unacked : written;
	uint32_t pace = atomic_load_explicit(&so->sk->max_pace, memory_order_relaxed);
	uint32_t mss = b->snd_mss, cwnd = b->cwnd, ssthresh = b->ssthresh; /* once: its ISM may clear them meanwhile */

	memset(ti, 0, sizeof *ti);
	ti->tcpi_state = st < TCP_ST_COUNT ? linux_state[st] : 7;
	ti->tcpi_ca_state = (uint8_t)b->ca_state;
	ti->tcpi_options = (uint8_t)b->options;
	ti->tcpi_rto = b->rto_us;
	ti->tcpi_rtt = b->rtt_us;
	ti->tcpi_rttvar = b->rttvar_us;
	ti->tcpi_snd_mss = mss;
	ti->tcpi_rcv_mss = b->rcv_mss;
	ti->tcpi_advmss = b->adv_mss;
	ti->tcpi_snd_cwnd = mss && cwnd >= mss ? cwnd / mss : cwnd;
	ti->tcpi_snd_ssthresh = mss && ssthresh < 1u << 30 ? ssthresh / mss : INT32_MAX;
	ti->tcpi_rcv_space = b->rcv_wnd;
	ti->tcpi_total_retrans = b->retrans;
	ti->tcpi_lost = b->lost;
	ti->tcpi_unacked = mss ? (flight + mss - 1) / mss : 0;
	ti->tcpi_notsent_bytes = not_sent(so);
	ti->tcpi_retransmits = b->tries;
	ti->tcpi_probes = b->probes;
	ti->tcpi_backoff = b->backoff;
	ti->tcpi_snd_wscale = b->scales & 15;
	ti->tcpi_rcv_wscale = b->scales >> 4;
	ti->tcpi_rcv_ssthresh = b->rcv_wnd;
	ti->tcpi_max_pacing_rate = pace ? pace : UINT64_MAX;
	ti->tcpi_pmtu = b->pmtu;
	if (mss) { /* else the ISM has told nothing yet */
		ti->tcpi_last_data_recv = ti->tcpi_last_ack_recv = now - b->last_rx_ms;
		ti->tcpi_last_data_sent = now - b->last_tx_ms;
	}
	ti->tcpi_snd_wnd = b->snd_wnd;
	ti->tcpi_min_rtt = b->min_rtt_us;
	ti->tcpi_sacked = b->sacked;
	ti->tcpi_retrans = b->retrans_out;
	ti->tcpi_delivered = b->delivered;
	ti->tcpi_delivered_ce = b->delivered_ce;
	ti->tcpi_dsack_dups = b->dsack_dups;
	ti->tcpi_bytes_retrans = b->bytes_retrans;
	ti->tcpi_reordering = b->reordering ? b->reordering : 3;
	ti->tcpi_reord_seen = b->reordering != 0;
	ti->tcpi_bytes_sent = (uint64_t)tail + flight + b->bytes_retrans;
	ti->tcpi_bytes_acked = tail;
	ti->tcpi_bytes_received = atomic_load_explicit(&so->sk->rx_head, memory_order_relaxed);
}

static int give(void *val, socklen_t *len, const void *from, size_t n)
{
	if (*len > n)
		*len = (socklen_t)n;
	memcpy(val, from, *len);
	return 0;
}

static int give_timeout(uint32_t ms, void *val, socklen_t *len)
{
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	return give(val, len, &tv, sizeof tv);
}

static int get_socket_level(struct so *so, int name, void *val, socklen_t *len)
{
	struct npp_sock *sk = so->sk;
	uint32_t lg = atomic_load_explicit(&sk->linger, memory_order_relaxed);
	struct linger l = { lg != 0, lg ? (int)lg - 1 : 0 };
	int v;

	switch (name) {
	case SO_ERROR:
		v = sock_error(so);
		break;
	case SO_TYPE:
		v = so->dgram ? SOCK_DGRAM : SOCK_STREAM;
		break;
	case SO_DOMAIN:
		v = so->domain;
		break;
	case SO_PROTOCOL:
		v = so->dgram ? IPPROTO_UDP : IPPROTO_TCP;
		break;
	case SO_ACCEPTCONN:
		v = sk->type == NPP_SOCK_LISTENER;
		break;
	case SO_LINGER:
		return give(val, len, &l, sizeof l);
	case SO_RCVTIMEO:
		return give_timeout(atomic_load_explicit(&sk->rcvtimeo_ms, memory_order_relaxed), val, len);
	case SO_SNDTIMEO:
		return give_timeout(atomic_load_explicit(&sk->sndtimeo_ms, memory_order_relaxed), val, len);
	default:
		return -ENOPROTOOPT;
	}
	return give(val, len, &v, sizeof v);
}

static int get_option(struct so *so, int fd, int level, int name, void *val, socklen_t *len)
{
	const struct opt *o = find(level, name);
	struct tcp_info ti;
	uint64_t wide;
	uint8_t byte;
	int v, r;

	if (!level_ok(so, level))
		return so->domain == AF_INET6 ? -ENOPROTOOPT : -EOPNOTSUPP; /* as Linux */
	if ((int)*len < 0 && level != IPPROTO_IPV6) /* where Linux takes it for a large one */
		return -EINVAL;
	if (level == SOL_SOCKET) {
		r = get_socket_level(so, name, val, len);
		if (r != -ENOPROTOOPT)
			return r;
	}
	if (level == IPPROTO_TCP && name == TCP_INFO) {
		if (so->sk->type == NPP_SOCK_LISTENER)
			fill_listener_info(so, fd, &ti);
		else
			fill_tcp_info(so, &ti);
		return give(val, len, &ti, sizeof ti);
	}
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return get_congestion(so, val, len);
	if (level == IPPROTO_TCP && name == TCP_FASTOPEN_KEY)
		return tfo_key_get(so, val, len);
	if ((level == IPPROTO_IP && name == IP_MTU) || (level == IPPROTO_IPV6 && name == IPV6_MTU)) {
		v = so->dgram ? dgram_mtu(so) : stream_state(so) == ST_IDLE ? -ENOTCONN : (int)brief_of(so)->pmtu;
		if (v < 0)
			return v;
		v = v ? v : 1500;
	} else if (o && (o->place != P_REFUSE || o->arg == EOPNOTSUPP) &&
		   !((o->place == P_RCVBUF || o->place == P_SNDBUF) && o->arg == FORCE)) {
		v = get_value(so, o);
	} else {
		return -ENOPROTOOPT;
	}
	if (o && o->place == P_PACE && *len >= sizeof wide) {
		wide = v == -1 ? UINT64_MAX : (uint32_t)v;
		return give(val, len, &wide, sizeof wide);
	}
	if (level == IPPROTO_IP && *len && *len < sizeof v && v >= 0 && v <= 255) { /* as programs once asked */
		byte = (uint8_t)v;
		return give(val, len, &byte, 1);
	}
	return give(val, len, &v, sizeof v);
}

int npp_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	struct so *so = fd_ours(fd);
	int saved = errno, r;

	if (!so)
		return R->getsockopt(fd, level, name, val, len);
	r = !val || !len ? -EFAULT : get_option(so, fd, level, name, val, len);
	if (r == -ENOPROTOOPT && so->kpart)
		return R->getsockopt(fd, level, name, val, len);
	errno = r < 0 ? -r : saved;
	return r < 0 ? -1 : 0;
}

/* ---- names -------------------------------------------------------------------------------------------- */

int npp_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct so *so = fd_ours(fd);
	int saved = errno;

	if (!so)
		return R->getsockname(fd, addr, len);
	/* The ISM picks the port of an unbound connection. It does so at once. */
	for (int i = 0; i < 1000 && so->sk->lport == 0 && stream_state(so) == ST_CONNECTING; i++)
		lib_nap(100);
	if (len && (int)*len < 0) {
		errno = EINVAL;
		return -1;
	}
	addr_out(so, &so->sk->laddr, so->sk->lport, sock_ifno(so->sk), addr, len);
	errno = saved;
	return 0;
}

int npp_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct so *so = fd_ours(fd);
	bool connected;

	if (!so)
		return R->getpeername(fd, addr, len);
	connected = so->dgram ? sock_fl(so) & NPP_FL_CONNECTED
			      : so->sk->type == NPP_SOCK_STREAM && stream_state(so) == ST_UP && !stream_over(so);
	if (!connected || (len && (int)*len < 0)) {
		errno = connected ? EINVAL : ENOTCONN;
		return -1;
	}
	addr_out(so, &so->sk->raddr, so->sk->rport, sock_ifno(so->sk), addr, len);
	return 0;
}

/* ---- ioctl, fcntl ------------------------------------------------------------------------------------------ */

static void set_nonblock(struct so *so, bool on)
{
	if (on)
		atomic_fetch_or_explicit(&so->sk->fl, NPP_FL_NONBLOCK, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&so->sk->fl, ~NPP_FL_NONBLOCK, memory_order_relaxed);
}

/* N bytes of the ring D, as its ISM says: no more than it can hold, or programs make room for what cannot be. */
static uint32_t in_ring(const struct so *so, const struct npp_ring_desc *d, uint32_t n)
{
	uint32_t size;
	uint8_t *base;

	if (n == 0 || !ring_ok(so->sk->slot, d, &base, &size))
		return 0;
	return n < size ? n : size;
}

int npp_ioctl(int fd, unsigned long request, void *arg)
{
	struct so *so = fd_ours(fd);
	uint32_t n = 0;
	struct urg u;

	if (!so)
		return R->ioctl(fd, request, arg);
	switch (request) {
	case FIONBIO:
		set_nonblock(so, *(int *)arg != 0);
		return 0;
	case FIONREAD: /* SIOCINQ */
		if (so->dgram)
			dgram_readable(so, &n);
		else if (so->sk->type == NPP_SOCK_LISTENER) {
			errno = EINVAL;
			return -1;
		} else {
			n = in_ring(so, &so->sk->rx_ring, urg_readable(so, stream_readable(so)));
		}
		if (n == 0 && so->dgram && so->kpart)
			return R->ioctl(fd, request, arg);
		*(int *)arg = (int)n;
		return 0;
	case SIOCOUTQ:
		if (!so->dgram && so->sk->type == NPP_SOCK_LISTENER) {
			errno = EINVAL;
			return -1;
		}
		n = atomic_load_explicit(&so->sk->tx_head, memory_order_relaxed) -
		    atomic_load_explicit(&so->sk->tx_tail, memory_order_relaxed);
		*(int *)arg = (int)in_ring(so, &so->sk->tx_ring, n);
		return 0;
	case SIOCOUTQNSD:
		if (so->dgram || so->sk->type != NPP_SOCK_STREAM) {
			errno = so->dgram ? ENOTTY : EINVAL;
			return -1;
		}
		n = not_sent(so);
		*(int *)arg = (int)in_ring(so, &so->sk->tx_ring, n);
		return 0;
	case SIOCATMARK:
		if (so->dgram) {
			errno = ENOTTY;
			return -1;
		}
		*(int *)arg = so->sk->type != NPP_SOCK_LISTENER && urg_at(so, &u) && u.at_mark;
		return 0;
	case FIOSETOWN:
	case SIOCSPGRP:
		return npp_fcntl(fd, F_SETOWN, (unsigned long)*(int *)arg);
	case FIOGETOWN:
	case SIOCGPGRP:
		*(int *)arg = npp_fcntl(fd, F_GETOWN, 0);
		return 0;
	case FIOCLEX:
	case FIONCLEX:
	case FIOASYNC:
	default: /* interface requests and the like: any socket will do */
		return R->ioctl(fd, request, arg);
	}
}

/* F_GETFL and F_SETFL: the place-holders of a process share one open file description,
 * and a listener's kernel part is always non-blocking, so O_NONBLOCK is the record's. */
int sock_getfl(struct so *so, int fd)
{
	int fl = R->fcntl(fd, F_GETFL);

	if (fl < 0)
		return -errno;
	return sock_fl(so) & NPP_FL_NONBLOCK ? fl | O_NONBLOCK : fl & ~O_NONBLOCK;
}

int sock_setfl(struct so *so, int fd, int fl)
{
	(void)fd;
	set_nonblock(so, fl & O_NONBLOCK);
	return 0;
}
