/* SPDX-License-Identifier: GPL-2.0-or-later
 * tap.h - the network port: a TAP with one queue for the dispatcher and one per ISM
 */
#ifndef NPPD_TAP_H
#define NPPD_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "nppd/settings.h"
#include "nppd/steer.h"

struct nl_sock;

struct tap {
	char name[16];
	unsigned port;			/* number of the port */
	int ifindex;
	unsigned n_queues;
	int aside;			/* the dispatcher's second queue; -1 */
	int queue[1 + NPP_MAX_IOPS];	/* 0: the dispatcher's; 1 + n: ISM n's, transmit-only unless steered */
	struct nl_sock *ask;		/* netlink sockets in the port's namespace */
	int events;			/* readable when a link changed */
	struct steer steer;		/* engine: kernel */
	int packet;			/* until the queues were verified; -1 */
};

/* A tap that is not open. */
void tap_init(struct tap *t);
/* Opens the queues of port number PORT, sets the link up, joins the bridge. With ASIDE, a program of
 * steer_load_aside(), t->aside gets what that puts there. Errors go to s->conf with their key. 0 or -errno. */
int tap_open(struct tap *t, struct settings *s, unsigned port, const struct steer *aside);
void tap_close(struct tap *t);
/* Carrier now: 1 or 0, or -errno (-ENODEV: somebody removed the link). */
int tap_carrier(struct tap *t);
/* Frames for us that the TAP had no room for. */
uint64_t tap_drops(struct tap *t);
/* Drains t->events. */
void tap_events_read(struct tap *t);
/* Waits for carrier, then asks the network whether someone has an address of ours
 * (RFC 5227). 0; -EADDRINUSE with an error in s->conf; -ETIMEDOUT no carrier. */
int tap_probe(struct tap *t, struct settings *s, unsigned timeout_ms);

#endif
