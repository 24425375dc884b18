/* SPDX-License-Identifier: GPL-2.0-or-later
 * stack_bench.h - a TCP/IP library on the bench: its peers, and what is asked of it
 *
 *     peers (stack_peer.c) -- frames in batches --> the library (stack_npp.c, stack_lwip.c)
 *           ^------------- headers it sends, noted ------------'
 *
 * The peers live behind a gateway, hundreds of addresses with thousands of ports each. Their
 * frames are built, and what the library sent is looked at, outside the time that is taken.
 */
#ifndef NPP_BENCH_STACK_H
#define NPP_BENCH_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_US 0x0a000001u		/* 10.0.0.1/24 */
#define BENCH_GW 0x0a0000feu
#define BENCH_PEERS 0x0b000001u		/* 11.0.0.1 and following */
#define BENCH_PORT 80
#define BENCH_PORTS 4096u		/* per peer address, from BENCH_SPORT */
#define BENCH_SPORT 1024u
#define BENCH_BATCH 64

/* A frame for the library. */
struct bench_frame {
	uint8_t *data;
	uint32_t len;
	uint16_t gso_size;	/* 0: one segment */
};

/* The programs above the library. */
struct bench_app {
	uint32_t reply;		/* bytes to write when anything was read; 0: none */
	bool close;		/* and then close */
};

/* What a library calls. */
struct bench_calls {
	/* A TCP segment is sent: the IP and TCP headers in a row, and how much payload follows. */
	void (*sent)(const uint8_t *ip, uint32_t payload);
	/* The number of the connection with this peer. */
	uint32_t (*id)(uint32_t addr, uint16_t port);
	const uint8_t *mac;	/* of the library's interface */
};

/* A library under test. One instance at a time. */
struct bench_lib {
	const char *name;
	bool gso;		/* takes segments of 64 KB */
	/* Listens on BENCH_PORT. 0 or -errno. */
	int (*open)(const struct bench_calls *calls, uint32_t max_conns);
	void (*close)(void);
	void (*round)(void);	/* before each round: forgets what cannot be used again; may be NULL */
	/* Moves its time forward and runs its timers; nothing if it has a clock of its own. */
	void (*tick)(uint32_t us);
	/* N frames, what follows from them, the programs' answers. */
	void (*input)(const struct bench_frame *f, unsigned n, const struct bench_app *app);
	/* The program of connection ID writes BYTES. */
	void (*write)(uint32_t id, uint32_t bytes);
	size_t (*bytes)(uint32_t conns);	/* all its memory if it can hold CONNS; no rings */
};
extern const struct bench_lib bench_npp, bench_lwip;
extern const struct bench_calls bench_calls;

extern bool bench_ordinary_pages;	/* npp's memory is to stand in these */

/* ---- peers ------------------------------------------------------------------------ */

struct bench_peer { uint32_t snd_nxt, rcv_nxt, acked, tsecr; uint8_t ts, fin, rst; };

struct bench_side {
	const struct bench_lib *lib;
	struct bench_peer *peer;
	uint32_t conns;
	uint64_t now_us, owed_us;
	uint32_t lost;		/* segments that did not continue where the last one ended */
};
extern struct bench_side *bench_now;	/* the side whose library is running */

extern const uint8_t bench_mac[6], bench_gw_mac[6];
/* Builds a segment of peer ID at F: FLAGS, LEN bytes (GSO above 1448), its snd_nxt advanced. */
void bench_segment(struct bench_side *b, struct bench_frame *f, uint32_t id, uint8_t flags, uint32_t len);
/* The gateway asks for us, and so says where it is. */
void bench_arp_request(struct bench_frame *f);
/* Takes in what was noted since the last call. */
void bench_take_sent(struct bench_side *b);

#endif
