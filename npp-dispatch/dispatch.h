/* SPDX-License-Identifier: GPL-2.0-or-later
 * dispatch.h - the dispatcher as a library
 *
 * classify.c decides about one frame, without system calls and without a trace left
 * behind: what the unit tests, the fuzzer and a simulator call. place.c moves frames
 * from the port to the rings by that decision.
 */
#ifndef NPP_DISPATCH_DISPATCH_H
#define NPP_DISPATCH_DISPATCH_H

#include <stdbool.h>

#include "npp-dispatch/layout.h"
#include "shm/fring.h"
#include "shm/stats.h"

/* What classification needs to know of the NPP: a copy of our own, since nppd may
 * change the original at any time. */
struct dispatch_net {
	uint32_t seq;		/* of npp_global.net_seq when it was copied; odd: never */
	uint32_t n_addrs;
	uint8_t mac[6];
	uint16_t mtu;
	union npp_addr addr[NPP_MAX_IF_ADDRS];
	uint32_t n_bcast;
	uint32_t bcast[NPP_MAX_IF_ADDRS]; /* directed broadcasts of the IPv4 subnets, network order */
};
/* The groups that programs have joined, likewise. */
struct dispatch_groups {
	uint32_t seq;		/* of npp_global.group_seq; odd: never */
	uint32_t n;
	union npp_addr addr[NPP_MAX_GROUPS];
};

struct dispatch_ctx {
	const struct npp_global *g;
	const struct npp_hash_prog *prog; /* the one that runs; chosen once per batch */
	uint32_t n_iops;
	uint32_t port;		/* network port whose frames these are */
	struct dispatch_net net;
	struct dispatch_groups groups;
};

struct dispatch_verdict {
	uint16_t drop;		/* counter NPP_DS_DROP_*, or 0: goes to `iop` */
	uint16_t cls;		/* counter NPP_DS_CLASS_*; 0 if dropped before it was known */
	uint8_t iop;
	uint8_t csum;		/* enum npp_rec_csum */
	uint8_t l4_off;		/* as in struct npp_frame_rec */
	uint32_t hash;
};

/* Over the NPP's global region G, whose n_iops was checked (1..32). 0 or -EINVAL. */
int dispatch_ctx_init(struct dispatch_ctx *c, const struct npp_global *g, uint32_t port);
/* Looks whether addresses or program have changed: once per batch. */
void dispatch_ctx_refresh(struct dispatch_ctx *c);

/* Decides about the LEN bytes at FRAME, in front of which came VNET. No system call, no
 * store but to *V. Reads nothing outside FRAME..FRAME+LEN. True: deliver to v->iop. */
bool dispatch_classify(const struct dispatch_ctx *c, const struct vnet_hdr *vnet, const uint8_t *frame,
		       uint32_t len, struct dispatch_verdict *v);

#define DISPATCH_BATCH_FRAMES 32u
#define DISPATCH_BATCH_BYTES (256u << 10)
#define DISPATCH_SINGLES 8u	/* batches of one frame, after which no second one is expected */
#define DISPATCH_ASIDE_FRAMES 8u	/* in a batch of those aside, while others wait, too: */
#define DISPATCH_ASIDE_BUSY 4u		/* in one of so many turns, */
#define DISPATCH_ASIDE_QUIET 16u	/* of so many if there were none lately */
#define DISPATCH_ASIDE_HOT 64u
#define DISPATCH_ASIDE_WINDOW 256u	/* of them are unread in a ring, or up to twice as many: a few milliseconds of work */
#define DISPATCH_ASIDE_HOLD_US 1000u	/* is the longest that the others aside wait for one ring */
#define DISPATCH_LARGE 2048u	/* from here on a frame counts for prediction */

/* What comes from those who are no regulars (shm/regulars.h). */
struct dispatch_aside {
	int fd;
	bool open;		/* there is such a queue */
	uint32_t singles;
	uint32_t hot;		/* turns to go until it counts as quiet */
	uint32_t waited;	/* turns since it was looked at */
};

/* How far an IOP has come with the frames of those aside. */
struct dispatch_window {
	uint32_t n;		/* of them since ... */
	uint32_t begin;		/* ... the head of the ring stood here */
};

struct dispatch_port {	/* a network port */
	struct dispatch_ctx ctx;
	int fd;			/* its queue 0 */
	int error;		/* of the last read; 0: it can be read */
	uint32_t bytes;		/* of this batch */
	uint32_t singles;	/* batches in a row that had one frame */
	bool empty;		/* queue 0 is, as the last wait has shown */
	struct dispatch_aside aside;
};

struct dispatch {
	uint32_t n_iops, n_ports;
	uint32_t next_port;	/* where the next batch begins */
	struct dispatch_port port[NPP_MAX_PORTS];
	struct dispatch_state *state;
	struct npp_stats_page *page;
	npp_counter_t *stats;
	struct npp_fring_prod ring[NPP_MAX_IOPS];
	int bell[NPP_MAX_IOPS];
	uint32_t dirty;		/* rings with records not yet published */
	bool strangers;		/* those aside are being read */
	bool held;		/* they wait until an IOP has done some of its work */
	uint32_t held_us;	/* since when */
	struct dispatch_window window[NPP_MAX_IOPS];
	bool drained;		/* the last batch ended because no port had more, or was expected to */
	uint32_t now_us;
	uint32_t spin_max_us;	/* 0: cores are scarce, never spin */
};

/* Reads what the ports have, one batch of each at most, and hands it out. Where frames come one at a
 * time, the read that would only say that there is no second one is left to the wait. Number of frames read;
 * 0: nothing there; or, if nothing was read and a port cannot be, -errno. */
int dispatch_batch(struct dispatch *d);

/* Runs until a STOP message or the end of CTL_FD (0), or -errno. BELL_FD, if not -1,
 * is a doorbell of the dispatcher itself. */
int dispatch_run(struct dispatch *d, int ctl_fd, int bell_fd);

#endif
