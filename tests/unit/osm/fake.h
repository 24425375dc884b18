/* SPDX-License-Identifier: GPL-2.0-or-later
 * fake.h - a host for the OSM under test: nppd of the host, NPPs and ISMs, programs
 *
 * Everything runs in the test process, single-threaded, except programs that have to
 * die: these are forked and share host memory and a board of flags with the test.
 * The OSM's clock is the test's.
 */
#ifndef NPP_TESTS_OSM_FAKE_H
#define NPP_TESTS_OSM_FAKE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "lib/ctl.h"
#include "lib/proto.h"
#include "npp-osm/daemon/osm.h"
#include "shm/bell.h"
#include "shm/i2oq.h"
#include "shm/lock.h"
#include "shm/region.h"
#include "shm/stats.h"

#define FAKE_SOCKS 1024u
#define FAKE_LOG 256

struct fake_ism {
	bool live;		/* it runs: says HELLO, reads, answers */
	bool mute;		/* it reads, but does not answer LISTEN and UDP_BIND */
	int refuse;		/* it answers them with this error */
	bool fresh;		/* its next HELLO says so */
	bool hello_sent;
	unsigned slot;
	struct npp_region inbound;
	int bell;
	struct npp_i2oq_prod prod;
	struct npp_i2oq_cons cons[NPP_MAX_CTX];
	bool cons_ok[NPP_MAX_CTX];
	struct npp_msg log[FAKE_LOG];	/* what came, HOST first */
	unsigned n_log;
	uint32_t lent_first, lent_count;
	uint64_t ext_off;
	uint32_t ext_size;
	unsigned refusals;	/* EXTENT with an error */
};

struct fake_npp {
	int fd;			/* nppd's end */
	unsigned a, n_iops;
	bool attached;
	bool silent;		/* does not answer PORT_GRANT */
	uint16_t deny_port;
	unsigned grants, releases;
	uint8_t last_reuse;	/* of PORT_GRANT */
	struct npp_region global;
	struct fake_ism ism[NPP_MAX_IOPS];
};

struct fake_board { /* shared with forked programs */
	_Atomic uint32_t stage;
	_Atomic uint32_t value[8];
};

struct fake {
	struct npp_osm *osm;
	uint64_t now;
	int ctl, listen_fd;
	char dir[96], path[112];
	struct npp_region host_region, stats;
	struct npp_host *host;
	struct npp_ctx *ctx;
	struct npp_proc *proc;
	struct npp_sock *sock;
	struct fake_board *board;
	int bell[NPP_MAX_CTX];
	unsigned n_npps;
	struct fake_npp npp[NPP_MAX_ATTACH];
	uint8_t buf[NPP_CTL_MAX_BODY];
};

/* A host for N_NPPS NPPs with a running OSM; then a new OSM on the same memory; the end,
 * which also says that nothing is left. */
struct fake *fake_new(unsigned n_npps);
void fake_restart_osm(struct fake *f);
void fake_free(struct fake *f);

/* Hands NPP A with N_IOPS to the OSM; its ISMs live. */
void fake_npp_conn(struct fake *f, unsigned a, unsigned n_iops);
void fake_npp_gone(struct fake *f, unsigned a);	/* for longer than its grace */
void fake_npp_again(struct fake *f, unsigned a); /* only the connection breaks, and is made again */
void fake_iop_state(struct fake *f, unsigned a, unsigned iop, bool up);
/* ... and waits until all ISMs have been answered. */
void fake_attach(struct fake *f, unsigned a, unsigned n_iops);
void fake_ism_post(struct fake *f, struct fake_ism *i, const struct npp_msg *m);
/* Messages of TYPE in the log; the last of them to *LAST. */
unsigned fake_logged(const struct fake_ism *i, unsigned type, struct npp_msg *last);

/* One round of everybody; with time going on by US. */
void fake_step(struct fake *f, uint64_t us);
/* Two seconds of the test's time may go by until COND holds, and then some of the machine's:
 * other processes have a part in it, which need their turn. */
#define FAKE_UNTIL(f, cond) \
	do { \
		time_t end_ = fake_real_s() + 20; \
		for (unsigned n_ = 0; !(cond); n_++) { \
			ck_assert_msg(n_ < 20000 || fake_real_s() < end_, "never: %s", #cond); \
			fake_step((f), n_ < 20000 ? 100 : 0); \
			if (n_ % 100 == 99) \
				sched_yield(); \
		} \
	} while (0)
time_t fake_real_s(void);

/* A program in the test process: connection that has said HELLO. */
int fake_prog(struct fake *f, uint32_t *proc);
int fake_connect(struct fake *f);
/* A request by a program of the test process: 0 or the error. */
int fake_call(struct fake *f, int sock, unsigned type, const void *body, size_t len, void *answer, size_t cap);
int fake_call_fds(struct fake *f, int sock, unsigned type, const void *body, size_t len, struct npp_ctl_msg *m);
uint32_t fake_ctx_open(struct fake *f, int sock);

/* The same things for a forked program, which simply waits. */
int kid_hello(struct fake *f, uint32_t *proc, uint64_t image);
int kid_call(int sock, unsigned type, const void *body, size_t len, void *answer, size_t cap);
uint32_t kid_ctx_open(int sock);
pid_t fake_fork(struct fake *f, void (*fn)(struct fake *f));
void kid_stage(struct fake *f, uint32_t stage);	/* says where it is */
void kid_wait(struct fake *f, uint32_t stage);	/* until the test says so, or later */

/* Host memory as a program uses it. */
uint32_t fake_sock(struct fake *f, uint32_t ctx, unsigned type);	/* a record with refs 1 */
npp_fdword_t *fake_fd(struct fake *f, uint32_t proc, unsigned fd);	/* its chunk must exist */
void fake_fd_set(struct fake *f, uint32_t proc, unsigned fd, uint32_t sock);
struct npp_ctl_bind fake_bind_body(struct fake *f, uint32_t sock, const char *addr, uint16_t port, uint8_t proto);
/* An established connection in the range of ISM I; pushed to the queue of LISTENER (0: refs 1). */
uint32_t fake_accepted(struct fake *f, struct fake_ism *i, uint32_t listener);
_Atomic uint64_t *fake_entry(struct fake *f, uint32_t listener, unsigned slot, uint32_t sock);

/* Steps until a check finds nothing (time passes); then asserts what it counted. */
struct npp_ctl_check fake_settle(struct fake *f);

#endif
