/* SPDX-License-Identifier: GPL-2.0-or-later
 * flood.h - inside flood: options, frames under construction, what goes out and comes in
 */
#ifndef NPP_TESTS_FLOOD_H
#define NPP_TESTS_FLOOD_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/wire.h"

#define FLOOD_FRAME 1514u
#define FLOOD_BATCH 32u

/* What one packet is made of. */
struct flood_pkt {
	uint8_t b[FLOOD_FRAME];
	uint32_t len;
	uint32_t l4;			/* where the transport begins */
};

struct flood {
	/* options */
	union npp_addr target;
	union npp_addr src;		/* the first of `sources` addresses */
	union npp_addr victim;		/* blind: the peer whose connection is attacked */
	uint32_t sources, conns, rate;
	uint64_t max;			/* packets */
	double seconds;
	uint16_t port, victim_port;
	bool answer_arp;
	const char *path;
	/* the link */
	int fd, ifindex;
	uint8_t mac[6], target_mac[6];
	/* state */
	uint64_t rnd, sent, heard, open, opened, lost, now_us;
	struct flood_pkt batch[FLOOD_BATCH];
	uint32_t n_batch;
	struct flood_conn *conn;
};

/* What a connection does once it is open (flood_conn.c). */
enum flood_behaviour { B_IDLE, B_GAP, B_OOO, B_SACK, B_ZERO, B_TINY, B_FIN2, B_ORPHAN, B_STORM, B_TW };

/* What a kind of attack does. */
struct flood_kind {
	const char *name;
	bool connected;			/* flood_conn.c: after a handshake */
	void (*make)(struct flood *f, uint64_t n, struct flood_pkt *p); /* packet N, if not */
	enum flood_behaviour behaviour;
};
extern const struct flood_kind flood_kinds[];
const struct flood_kind *flood_kind(const char *name);

uint64_t flood_random(struct flood *f);
union npp_addr flood_source(const struct flood *f, uint64_t i);

/* ---- flood_frame.c ---------------------------------------------------------------------- */

/* Ethernet and IP header, IPv4 or IPv6 as SRC says; flood_end() fills lengths and checksums. */
void flood_ip(struct flood *f, struct flood_pkt *p, const union npp_addr *src, uint8_t proto);
void flood_put(struct flood_pkt *p, const void *data, uint32_t len);
void flood_end(struct flood_pkt *p);
struct flood_tcp { uint16_t sport, dport, wnd; uint32_t seq, ack; uint8_t flags; const uint8_t *opt; uint32_t opt_len; };
/* A whole segment with LEN payload bytes. */
void flood_tcp(struct flood *f, struct flood_pkt *p, const union npp_addr *src, const struct flood_tcp *t,
	       const void *data, uint32_t len);
void flood_arp(struct flood *f, struct flood_pkt *p, uint16_t op, const uint8_t *dst, const union npp_addr *spa,
	       const uint8_t *tha, const union npp_addr *tpa);

/* ---- flood.c ------------------------------------------------------------------------------- */

/* Room for a packet in the batch; it leaves with the batch. */
struct flood_pkt *flood_next(struct flood *f);
void flood_flush(struct flood *f);

/* ---- flood_conn.c -------------------------------------------------------------------------- */

int flood_conns_new(struct flood *f);
void flood_conns_run(struct flood *f, const struct flood_kind *k, uint32_t budget);
/* A segment for one of our connections. */
void flood_conns_input(struct flood *f, const struct flood_kind *k, const uint8_t *ip, uint32_t len);

#endif
