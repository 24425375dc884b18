/* SPDX-License-Identifier: GPL-2.0-or-later
 * opts_judge.c - what Linux says of options and their values, where no kernel socket is there to ask
 */
#include "config.h"

#include <asm/socket.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "npp-osm/libnpp/priv.h"

static bool listens(const struct so *so)
{
	return so->sk->type == NPP_SOCK_LISTENER;
}

static int only_a_flag(int v)
{
	return v == 0 || v == 1 ? 0 : -EINVAL;
}

static int judge_tcp(const struct so *so, int name, int v)
{
	bool idle = !listens(so) && stream_state(so) == ST_IDLE; /* CLOSE */

	switch (name) {
	case TCP_FASTOPEN:
		return idle || listens(so) ? 0 : -EINVAL;
	case TCP_FASTOPEN_CONNECT:
		return idle ? only_a_flag(v) : -EINVAL;
	case TCP_FASTOPEN_NO_COOKIE:
		return idle || listens(so) ? only_a_flag(v) : -EINVAL;
	case TCP_THIN_LINEAR_TIMEOUTS:
		return only_a_flag(v);
	case TCP_WINDOW_CLAMP:
		return v || idle ? 0 : -EINVAL;
	default:
		return 0;
	}
}

/**
 * opts_judge() - may SO, which has a record, be given the value V now?
 *
 * What depends on its state, and bounds that are none to what a record holds.
 * Return: 0 or -errno
 */
int opts_judge(const struct so *so, int level, int name, int v)
{
	if (level == IPPROTO_TCP)
		return judge_tcp(so, name, v);
	return level == IPPROTO_IPV6 && name == IPV6_MULTICAST_IF && !so->dgram ? -ENOPROTOOPT : 0;
}
