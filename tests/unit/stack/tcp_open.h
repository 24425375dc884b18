/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_open.h - the bench of the tests of connections that are being opened
 */
#ifndef NPP_TESTS_TCP_OPEN_H
#define NPP_TESTS_TCP_OPEN_H

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

#define ALL_OPTS (TO_TS | TO_WS | TO_SACK_OK)
#define PORT 80

static struct th *h;
static struct tp p;

static inline void setup(void)
{
	h = th_new(64);
}

static inline void teardown(void)
{
	th_free(h);
}

/* A bare segment from port 4000 of the peer to PORT. */
static inline struct tcp_seg bare(uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct tcp_seg){ .sport = 4000, .dport = PORT, .seq = seq, .ack = ack, .flags = flags, .wnd = 5000 };
}

static inline void put(uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct tcp_seg g = bare(flags, seq, ack);

	th_input(h, &g, NULL, 0);
}

static inline const struct tcp_seg *expect(uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct th_seg *o = th_next(h);

	ck_assert_uint_eq(o->g.flags, flags);
	ck_assert_uint_eq(o->g.seq, seq);
	if (flags & TCPF_ACK)
		ck_assert_uint_eq(o->g.ack, ack);
	return &o->g;
}

#endif
