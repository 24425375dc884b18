/* SPDX-License-Identifier: GPL-2.0-or-later
 * opts.c - socket options
 *
 * Until a socket has a record its options are the kernel's; those that a record can hold
 * are noted beside and copied into it. With a record they are read and written there
 * (and, for a socket with a kernel part, told to the kernel, too).
 */
#include "config.h"

#include <asm/socket.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "npp-osm/libnpp/opts_priv.h"

#define ERRNO_MAX 4095	/* of Linux */

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
	o = opt_find(level, name);
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
		r = opt_set(so, o, v);
	if (r == 0 && o->place == P_FLAG_NOT && o->arg == NPP_OPT_MC_NOTALL)
		mcast_tell(so);
	if (r == 0 && o->place == P_FLAG && o->arg == NPP_OPT_CORK && so->dgram && !v)
		dgram_uncork(so);
	if (r == 0 && o->tell && so->sk && so->sk->type != NPP_SOCK_LISTENER &&
	    (so->dgram || stream_state(so) == ST_UP || stream_state(so) == ST_CONNECTING))
		sock_look(so, NPP_IN_OPT);
	return r;
}

static bool refused_at_once(int level, int name)
{
	const struct opt *o = opt_find(level, name);

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
	if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && so->domain == AF_INET6 && so->kpart && so->sk->lport) {
		errno = EINVAL; /* also where the kernel's part has no port */
		return -1;
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
	if (r == -ENOPROTOOPT && !opt_find(level, name))
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
	const struct opt *o = opt_find(level, name);
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
		tcp_info_fill(so, fd, &ti);
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
		v = opt_get(so, o);
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
