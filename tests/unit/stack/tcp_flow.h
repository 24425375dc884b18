/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_flow.h - one connection that sends, for the tests of loss recovery and congestion
 *              control: writing, acknowledging and SACKing in units of a segment
 */
#ifndef NPP_TESTS_TCP_FLOW_H
#define NPP_TESTS_TCP_FLOW_H

#include "tests/unit/stack/tcp_helper.h"

#define FLOW_MSS 1448u
#define FLOW_RTT_US 20000u

struct flow {
	struct th *h;
	struct tp p;
	struct tcb *t;
	uint32_t first;			/* sequence number of our first byte */
	uint8_t data[16384];
	uint8_t flags;			/* of the peer's ACKs, beside ACK */
};

/* Accepts a connection whose SRTT is FLOW_RTT_US; OPT: TO_* of the peer. */
void flow_open(struct flow *f, uint8_t opt);
void flow_close(struct flow *f);
void flow_write(struct flow *f, unsigned segs);
/* Time passes; what the peer echoes from now on is what is sent now. */
void flow_pass(struct flow *f, uint64_t us);
void flow_ack(struct flow *f, unsigned seg);	/* everything below segment number SEG */
/* The same with SACK blocks [a, z) in segments, N of them. A D-SACK is just the first. */
void flow_sack(struct flow *f, unsigned seg, unsigned n, const unsigned (*block)[2]);
#define FLOW_SACK(f, seg, ...) \
	flow_sack(f, seg, sizeof((unsigned[][2]){ __VA_ARGS__ }) / sizeof(unsigned[2]), (const unsigned[][2]){ __VA_ARGS__ })
/* The next thing sent is segments [SEG, SEG + COUNT). */
void flow_expect(struct flow *f, unsigned seg, unsigned count);
bool flow_quiet(struct flow *f);	/* nothing (more) was sent */
uint64_t flow_stat(struct flow *f, unsigned id);

#endif
