/* SPDX-License-Identifier: GPL-2.0-or-later
 * replay.h - a replay: whose packets, as whom, to whom; and what happens to each
 */
#ifndef HARNESS_REPLAY_H
#define HARNESS_REPLAY_H

#include <signal.h>

#include "harness/wire/wire.h"
#include "net/addr.h"

#define REPLAY_FRAME_MAX 262144u

struct replay {
	struct wire_frame *in, *cut;	/* room for REPLAY_FRAME_MAX each */
	int fd;				/* AF_PACKET on the node's link */
	uint32_t mtu;			/* of that link */
	int dlt;			/* the file's link type: a DLT_ of libpcap */
	bool (*out)(struct replay *r, const struct wire_frame *f);	/* false: it was not sent */
	uint8_t src_mac[6], dst_mac[6];
	union npp_addr server;		/* as captured; any: not yet known */
	union npp_addr src[2], dst[2];	/* IPv4, IPv6; any: there is none */
	bool have_dst, json;
	double speed;
	const volatile sig_atomic_t *stop;
	const char *node, *file, *to, *link;	/* what the user has named */
	uint64_t sent, other, skipped, bytes;
	uint64_t foreign[2];		/* of those skipped: IPv4 and IPv6 of which an end has no address */
};

struct replay_packet {	/* in a frame */
	bool v6;
	uint8_t proto;
	uint32_t head;		/* bytes of the IP header, and of a fragment header behind it */
	bool fragment, first;	/* first: it has the transport's header */
	bool cut;		/* not all of it was captured */
	union npp_addr src, dst;
};

/* replay_frames.c. Can packets be found in frames of this link type? */
bool replay_can(int dlt);
/* The first LEN bytes of a captured frame become R->in: is it a packet for the server, whom it may
 * make known? */
bool replay_look(struct replay *r, struct replay_packet *k, const uint8_t *frame, uint32_t len);
/* Sends it, if so, with the addresses of the replay. */
void replay_one(struct replay *r, const uint8_t *frame, uint32_t len);

#endif
