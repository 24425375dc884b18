/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip_rig.h - up to four stacks of one NPP on a bench: their network, their IPC, virtual time
 *
 * Frames that the stacks send are caught, and each is checked as a receiver would: Ethernet
 * source, IP header, transport checksum (partial ones are completed as the virtio
 * header says; fragments are put together first). Peers are written by hand in the tests.
 */
#ifndef NPP_TESTS_IP_RIG_H
#define NPP_TESTS_IP_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "net/checksum.h"
#include "net/wire.h"
#include "npp-ism/stack/stack.h"
#include "shm/stats.h"

#define RIG_STACKS 4
#define RIG_FRAMES 2048
#define RIG_IPCS 2048
#define RIG_DGRAMS 2048

struct rig_frame { unsigned iop, port; uint32_t len; struct vnet_hdr vnet; uint8_t *data; };
struct rig_ipc { unsigned from, to; enum npp_rec_kind kind; struct npp_frame_rec rec; uint32_t len; uint8_t *data; };
/* An IGMP or MLD message: kept apart from other frames, checked in full. */
struct rig_talk { unsigned iop; union npp_addr src, dst; uint32_t len; uint8_t l4[1400]; };
#define RIG_TALKS 64
struct rig_dgram { unsigned iop; uint32_t ep; struct npp_dgram d; union npp_addr to; uint8_t *data; };

struct rig;
struct rig_node {
	struct rig *rig;
	unsigned iop;
	struct stack *s;
	void *arena;
	size_t arena_size;
	struct stack_env env;
	npp_counter_t stats[NPP_STATS_COUNTERS];
	unsigned up;			/* stack events seen */
	int conn_err;			/* of the last connection that failed */
	int udp_err;			/* last error told */
	struct stack_udp_error udp_error;
	uint32_t udp_err_ep;
};
struct rig {
	unsigned n;
	uint64_t now_us, rnd;
	struct npp_global *g;
	struct npp_neigh_table *t;
	struct rig_node node[RIG_STACKS];
	struct rig_frame frame[RIG_FRAMES];
	unsigned n_frames;
	struct rig_ipc ipc[RIG_IPCS];
	unsigned ipc_head, ipc_tail;	/* waiting: [head, tail) */
	unsigned ipc_count[NPP_REC_KINDS];
	struct rig_dgram dgram[RIG_DGRAMS];
	unsigned n_dgrams;
	struct rig_talk talk[RIG_TALKS];	/* the last ones; number i stands at i % RIG_TALKS */
	unsigned n_talks;		/* by port 0 */
	struct rig_talk other;		/* the last one by another port, and how many there were */
	unsigned n_others;
	struct npp_groups groups;	/* last told, and how often */
	unsigned n_groups;
	struct npp_autoconf autoconf;	/* last told, and how often */
	unsigned n_autoconf;
	struct npp_conflict conflict;	/* last told, and how often */
	unsigned n_conflicts;
	bool hold_ipc;			/* rig_run() leaves IPC records where they are */
	bool lax;			/* for fuzzing: forgets when full, does not follow fragments */
	struct {			/* output fragments of one datagram */
		uint32_t src, dst, have, total;
		uint16_t id;
		uint8_t proto, data[65536];
	} frag;
	unsigned frag_done;		/* datagrams complete and right */
	uint32_t frag_last_len;
};

/* N stacks of NPP 10.0.0.1/24 (and 10.0.0.2, 192.168.7.1/24 on port 1) with a default route to
 * 10.0.0.254 and some more; IOP 0 has the link role. */
struct rig *rig_new(unsigned n);
void rig_free(struct rig *r);
void rig_link_role(struct rig *r, unsigned iop, bool has);
void rig_attach(struct rig *r, unsigned iop);	/* a successor takes over the arena */
/* Flushes, passes on IPC and runs due timers until nothing moves. */
void rig_run(struct rig *r);
void rig_advance(struct rig *r, uint64_t us);	/* in steps, running timers */
void rig_forget(struct rig *r);			/* caught frames and datagrams */
uint64_t rig_stat(struct rig *r, unsigned iop, unsigned id);
uint64_t rig_stat_all(struct rig *r, unsigned id);

/* ---- peers ------------------------------------------------------------------------------ */

extern const uint8_t rig_mac[6], rig_mac1[6], rig_peer_mac[6], rig_gw_mac[6], rig_bcast_mac[6];
#define RIG_US 0x0a000001u
#define RIG_US2 0x0a000002u
#define RIG_PEER 0x0a000064u
#define RIG_GW 0x0a0000feu

union npp_addr rig_addr(uint32_t host_order);

/* A frame under construction. */
struct rig_pkt {
	uint8_t b[70000];
	uint32_t len, l4;	/* l4: where the transport begins */
};
void rig_eth(struct rig_pkt *p, const uint8_t *dst, const uint8_t *src, uint16_t type);
void rig_arp(struct rig_pkt *p, const uint8_t *eth_dst, uint16_t op, const uint8_t *sha, uint32_t spa,
	     const uint8_t *tha, uint32_t tpa);
/* Header without options; rig_ip4_end() fills length and checksum. */
void rig_ip4(struct rig_pkt *p, uint32_t src, uint32_t dst, uint8_t proto, uint16_t id, uint16_t frag);
void rig_put(struct rig_pkt *p, const void *data, uint32_t len);
void rig_put_pattern(struct rig_pkt *p, uint32_t from, uint32_t len); /* byte i is f(from + i) */
uint8_t rig_pattern(uint32_t i);
void rig_ip4_end(struct rig_pkt *p);
/* Whole datagrams, checksums right. */
void rig_udp(struct rig_pkt *p, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint32_t len);
void rig_echo(struct rig_pkt *p, uint32_t src, uint32_t dst, uint32_t len);
void rig_tcp(struct rig_pkt *p, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint8_t flags,
	     uint32_t seq, uint32_t ack, uint32_t len);
void rig_l4_csum(struct rig_pkt *p);	/* transport checksum of a whole datagram, anew */
/* Cuts the datagram in P into fragments of at most MTU bytes; gives number I in OUT; false: none. */
bool rig_cut(const struct rig_pkt *p, uint32_t mtu, unsigned i, struct rig_pkt *out);

void rig_in(struct rig *r, unsigned iop, const struct rig_pkt *p);
void rig_in_raw(struct rig *r, unsigned iop, const struct npp_frame_rec *rec, const void *data, uint32_t len);
/* The peer (the gateway) asks for us, so that its address is known. */
void rig_know(struct rig *r, uint32_t addr, const uint8_t *mac);

/* ---- what was caught ---------------------------------------------------------------------- */

struct rig_frame *rig_last(struct rig *r);
const struct ip4_hdr *rig_ip(const struct rig_frame *f);	/* NULL: not IPv4 */
const struct ip6_hdr_w *rig_ip6(const struct rig_frame *f);	/* NULL: not IPv6 */
const struct arp_hdr *rig_arp_of(const struct rig_frame *f);	/* NULL: not ARP */
const uint8_t *rig_l4(const struct rig_frame *f);
unsigned rig_count_arp(struct rig *r, uint16_t op);

#endif
