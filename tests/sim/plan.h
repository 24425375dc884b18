/* SPDX-License-Identifier: GPL-2.0-or-later
 * plan.h - everything that one run of the simulator does, as numbers
 *
 * A seed makes a plan (generate.c), a plan makes a run. Printing, reading and shrinking
 * a plan go through one table of fields (plan.c): a new feature is a new field there, a
 * draw in generate.c, and the code that acts on it. 0 always means: not this.
 */
#ifndef NPP_TESTS_SIM_PLAN_H
#define NPP_TESTS_SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PLAN_PROGS 16
#define PLAN_EVENTS 8

struct plan_npp {
	uint32_t iops;		/* 1..8 */
	uint32_t hash;		/* enum npp_hash_algorithm */
	uint32_t mtu;		/* of the port */
	uint32_t wake_us;	/* from a doorbell to the round, at most */
	uint32_t budget;	/* frames in a round */
	uint32_t ipc_us;	/* from one IOP to another, at most */
	uint32_t rx_kb;		/* receive ring of an IOP */
	uint32_t conns;		/* TCBs of an IOP */
	uint32_t backlog;	/* of its listeners */
	uint32_t reass_kb;
	uint32_t lean;		/* idle rings are taken back */
	uint32_t grow_ppm;	/* a receive ring does not grow when asked */
	uint32_t ecn;		/* enum npp_tcp_ecn */
	uint32_t tfo;		/* its listeners take so many by Fast Open */
	uint32_t slaac;		/* takes addresses from router advertisements */
};

struct plan_link {		/* one direction */
	uint32_t delay_us, jitter_us;
	uint32_t overtake;	/* jitter may change the order */
	uint32_t loss_ppm;
	uint32_t burst_ppm, burst_len;
	uint32_t dup_ppm;
	uint32_t late_ppm, late_us; /* held back that long, at most */
	uint32_t corrupt_ppm;
	uint32_t rate_kbps, queue_kb;
	uint32_t ecn_kb;	/* marks instead of dropping from this queue on */
	uint32_t mtu;		/* of a hop behind the port */
	uint32_t cut;		/* large frames travel as segments */
	uint32_t hole;		/* what is too large for mtu vanishes without a word */
};

enum side_end {
	END_CLOSE = 0,		/* when all is sent and received */
	END_HALF,		/* shuts down when all is sent, closes at end of file */
	END_ABORT,		/* resets after end_at bytes of either direction */
	END_EARLY,		/* closes after end_at bytes of either direction */
	END_KINDS
};

struct plan_side {		/* what one end of a connection does */
	uint32_t bytes;		/* sends so many */
	uint32_t unit;		/* bytes of a request or answer; both sides set: they take turns */
	uint32_t chunk, gap_us;	/* writes so much at once, and waits */
	uint32_t read, read_gap_us;
	uint32_t stop_at, stop_us; /* reads nothing for that long from this offset on */
	uint32_t end, end_at;
	uint32_t opts;		/* NPP_OPT_* */
	uint32_t rcvbuf, sndbuf;
	uint32_t keep_s, timeout_ms;
	uint32_t cc;
	uint32_t chg_us, chg_opts, chg_rcvbuf; /* options change that long after the beginning */
	uint32_t pace;		/* bytes per second at most */
	uint32_t urg;		/* every so many bytes the last one is urgent */
};

enum prog_kind {
	PROG_TCP = 0,
	PROG_UDP,
	PROG_BOTH,		/* simultaneous open */
	PROG_MCAST,		/* datagrams to a group; `port` is the filter of the member */
	PROG_KINDS
};

struct plan_prog {
	uint32_t on;
	uint32_t kind;
	uint32_t start_us;
	uint32_t from, to;	/* NPP */
	uint32_t iop;		/* of `from`, modulo their number */
	uint32_t port;		/* listener, 0..3 */
	uint32_t bound;		/* a source port of its own, 0: any */
	uint32_t v6;		/* 1: static addresses, 2: those made of a router's prefix */
	struct plan_side side[2]; /* the one that begins, the one that is called */
};

enum plan_event_kind {
	PE_NONE = 0,
	PE_RESTART,		/* IOP ends, its successor takes over dur_us later */
	PE_STALL,		/* IOP does not run for dur_us */
	PE_BLACKOUT,		/* link in direction `npp` carries nothing for dur_us; arg 1: both */
	PE_MTU,			/* link's MTU becomes arg */
	PE_RATE,		/* link's rate becomes arg */
	PE_DELAY,		/* link's delay becomes arg */
	PE_ROLE,		/* the link role moves to IOP */
	PE_FLOOD,		/* arg SYNs from nowhere within dur_us */
	PE_UNLISTEN,		/* listener arg goes for dur_us */
	PE_NET,			/* addresses and routes are written anew, the same ones */
	PE_KILL,		/* IOP ends in the middle of what it does next; successor after dur_us */
	PE_CLAIM,		/* arg times within dur_us somebody else says that addresses are his: that of `npp`
				   and its peer's, which `npp` must not believe */
	PE_GROUP,		/* groups arg modulo 4 are left for dur_us */
	PE_QUERY,		/* `npp` is asked for its groups, arg modulo 4: the newest version, the one before,
				   version 1 of IGMP, the newest version about group arg / 4 */
	PE_RENUMBER,		/* the router deprecates its prefix and has another one */
	PE_KINDS
};

struct plan_event {
	uint32_t kind;
	uint32_t at_us, dur_us;
	uint32_t npp, iop;
	uint32_t arg;
};

struct plan {
	uint64_t seed;
	uint32_t clock;		/* where time begins: 0 an hour, 1 and 2 near a wrap of us and ms, 3 soon after zero */
	uint32_t steps;		/* 0: until all is over */
	struct plan_npp npp[2];
	struct plan_link link[2]; /* [0] from NPP 0 to NPP 1 */
	struct plan_prog prog[PLAN_PROGS];
	struct plan_event event[PLAN_EVENTS];
};

void plan_generate(struct plan *p, uint64_t seed);
void plan_print(const struct plan *p, FILE *out);
/* 0, or -1 and a line on stderr. */
int plan_read(struct plan *p, const char *path);
/* Makes a field that makes no sense sensible. */
void plan_fix(struct plan *p);

/* One number of a plan, for those who change any of them. */
struct plan_number { uint32_t *value; uint32_t neutral; };
#define PLAN_NUMBERS_MAX 2048
unsigned plan_numbers(struct plan *p, struct plan_number *out);

/* Does anything in P lose, delay or stop frames, so that time is no measure? */
bool plan_is_clean(const struct plan *p);

#endif
