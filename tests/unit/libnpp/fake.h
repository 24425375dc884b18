/* SPDX-License-Identifier: GPL-2.0-or-later
 * fake.h - a host for libnpp to live in: its memory, an OSM, two ISMs, in threads
 *
 * The OSM answers requests of programs. The ISMs do what a peer behind the wire does by
 * the port that is connected to, or what the test tells them.
 */
#ifndef NPP_TESTS_LIBNPP_FAKE_H
#define NPP_TESTS_LIBNPP_FAKE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/proto.h"
#include "shm/abi.h"
#include "shm/i2oq.h"
#include "shm/region.h"

#define FAKE_IOPS 2
#define FAKE_ADDR "10.1.0.1"		/* of the NPP */
#define FAKE_PEER "10.1.0.99"		/* everything in 10.1.0.0/24 is behind it */

/* What the peer at a port does. The hasty one ends the connection when it hears of shutdown(). */
enum { FAKE_ECHO = 7, FAKE_DISCARD = 9, FAKE_SILENT = 10, FAKE_REFUSE = 11, FAKE_STALL = 12, FAKE_HASTY = 13 };

struct fake_sess { /* what an ISM knows of a record */
	bool used, paused, deaf, shut, closing; /* deaf: by fake_pause() */
	uint32_t gen, fin_at;
	uint8_t slot;
	uint64_t tx_digest;
};

struct fake {
	char dir[96], path[112];
	struct npp_region region, global, inbound[FAKE_IOPS];
	int ism_bell[FAKE_IOPS], ctx_bell[NPP_MAX_CTX], listen_fd, stop_fd;
	struct npp_host *host;
	struct npp_ctx *ctx;
	struct npp_proc *proc;
	struct npp_sock *sock;
	uint64_t heap;			/* next free byte */
	uint32_t lent_next;
	int conn[64];
	uint32_t conn_proc[64];
	unsigned n_conn;
	struct { int fd; uint32_t sock; } pass[16];	/* under way in SCM_RIGHTS */
	unsigned n_pass;
	uint32_t ctx_opened, ctx_closed, closes, aborts, unbinds, freed, listens, looks, shutdowns, urgent;
	uint32_t sent_flags;		/* of the last datagram */
	uint32_t sent_by, hear_by;	/* network port + 1: what the last datagram said; what its echo says */
	uint32_t kernel_first;		/* LISTENs of ports where the kernel took connections already */
	uint32_t epoch, attaches;	/* what the OSM says, and how often it was asked */
	uint16_t next_port;
	pthread_mutex_t lock;		/* of all that the ISMs know */
	pthread_t osm, ism;
	uint32_t dies_opening;		/* so many contexts are opened, and the OSM dies before it answers */
	volatile int hello_error;	/* of an OSM that is another version */
	volatile bool no_ctx;		/* the host has none left */
	volatile bool stop, held;
	uint32_t came_us;		/* of the last connection */
	struct npp_i2oq_cons in[FAKE_IOPS][NPP_MAX_CTX];
	struct npp_i2oq_prod out[FAKE_IOPS][NPP_MAX_CTX];
	struct fake_sess *sess;
};

void fake_hold(struct fake *f, bool on);	/* the OSM answers what it was asked, and is stopped: it takes no request */
void fake_hang_up(struct fake *f);		/* the OSM is started anew: connections to it end */
struct fake *fake_start(void);		/* and $NPP_HOST_SOCK in `path` */
void fake_stop(struct fake *f);
struct npp_sock *fake_sock_of(struct fake *f, int fd, uint32_t *idx);	/* record behind a descriptor of this process */

/* A peer connects to the listener on PORT from FAKE_PEER:RPORT at IOP; index of the record. */
uint32_t fake_peer_connect(struct fake *f, uint16_t port, unsigned iop, uint16_t rport);
struct npp_accept_lane *fake_accept_lane(struct fake *f, uint32_t listener, unsigned iop); /* LISTENER: its record */
void fake_peer_send(struct fake *f, uint32_t sock, const void *data, uint32_t n);
void fake_peer_urgent(struct fake *f, uint32_t sock, uint32_t off, bool here); /* byte OFF of the stream is; HERE: as NPP_URG_HERE */
void fake_peer_fin(struct fake *f, uint32_t sock);
void fake_peer_reset(struct fake *f, uint32_t sock, int err);
uint32_t fake_peer_read(struct fake *f, uint32_t sock, void *buf, uint32_t cap); /* what the program sent */
void fake_pause(struct fake *f, uint32_t sock, bool on);	/* the peer stops acknowledging */
void fake_datagram(struct fake *f, uint16_t port, unsigned iop, uint16_t from, uint32_t seq, const void *data, uint32_t n);

#endif
