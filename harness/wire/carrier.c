/* SPDX-License-Identifier: GPL-2.0-or-later
 * carrier.c - each end of a wire has a carrier while the other one is there
 *
 * As with a cable: an end that somebody takes down leaves the other without a carrier. An
 * end may stand for a port behind its bridge, which is not ours (the TAP of an NPP): while that
 * is missing or without a carrier, the other end has none; and since it cannot see the bridge's
 * other ports, it is itself taken down while the other end is. What we have taken down
 * ourselves says nothing of its own state, so its carrier is looked at, not whether it is up.
 */
#include "config.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "harness/wire/tap.h"

bool wire_end_events(const struct wire_end *e)
{
	char buf[8192] __attribute__((aligned(8)));
	bool mine = false;
	ssize_t n;

	while ((n = recv(e->events, buf, sizeof buf, 0)) >= 0 || errno == EINTR || errno == ENOBUFS) {
		unsigned left = n > 0 ? (unsigned)n : 0;

		mine |= n < 0 && errno == ENOBUFS;	/* some were lost */
		for (const struct nlmsghdr *h = (const void *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
			if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK)
				mine |= e->port[0] || ((const struct ifinfomsg *)NLMSG_DATA(h))->ifi_index == e->index;
	}
	return mine;
}

struct state { bool up, port, port_up; };	/* port: it is there and has a carrier */

static struct state look(struct wire_end *e)
{
	struct nl_link_info i;
	struct state s = { .up = nl_link_info(&e->nl, e->name, &i, NULL) == 0 && i.up };

	if (!e->port[0])
		return s;
	s.port = nl_link_info(&e->nl, e->port, &i, NULL) == 0 && i.lower;
	s.port_up = s.port && i.up;
	if (!s.port || s.port_up)	/* new, or somebody else took it up */
		e->taken = false;
	return s;
}

/* Does the other end have something to talk to here? */
static bool is_there(const struct wire_end *e, const struct state *s)
{
	return s->up && (!e->port[0] || (s->port && (s->port_up || e->taken)));
}

static void set_port(struct wire_end *e, const struct state *s, bool up)
{
	if (!s->port || (up ? !e->taken : !s->port_up))
		return;
	if (nl_set_flags(&e->nl, e->port, up, NULL) == 0)
		e->taken = !up;
}

void wire_follow(struct wire_end end[WIRE_DIRS], bool has[WIRE_DIRS])
{
	struct state s[WIRE_DIRS];
	unsigned on;

	for (unsigned d = 0; d < WIRE_DIRS; d++)
		s[d] = look(&end[d]);
	for (unsigned d = 0; d < WIRE_DIRS; d++) {
		on = is_there(&end[!d], &s[!d]);
		if (on != has[d] && ioctl(end[d].fd, TUNSETCARRIER, &on) == 0) {
			has[d] = on;
			nl_carrier(&end[d].nl, end[d].name);	/* to ask makes the kernel tell others at once */
		}
		if (end[d].port[0])
			set_port(&end[d], &s[d], on);
	}
}
