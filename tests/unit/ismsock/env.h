/* SPDX-License-Identifier: GPL-2.0-or-later
 * env.h - a socket ISM over the fake stack, and a host built by hand
 */
#ifndef NPP_TESTS_ISM_ENV_H
#define NPP_TESTS_ISM_ENV_H

#include "npp-ism/socket/ism.h"
#include "tests/unit/ismsock/fake_stack.h"

#define ENV_CONNS 64
#define ENV_SOCKS 512
#define ENV_PROG 200		/* records 1..200 are for programs */
#define ENV_LENT (ENV_PROG + 1)	/* the rest is lent */
#define ENV_HEAP (64u << 20)
#define ENV_EXTENT (8u << 20)
#define ENV_SLOT 33		/* attachment 1, IOP 1 */

struct env_host {	/* what the OSM and the programs of one host see */
	struct npp_region mem, in;
	struct npp_host *h;
	struct npp_host copy;	/* of it, as made */
	struct npp_inbound *inb;
	uint64_t heap_at;
	int bell[NPP_MAX_CTX];
	struct npp_i2oq_prod prod[NPP_MAX_CTX];
	struct npp_i2oq_cons cons[NPP_MAX_CTX];
};

struct env {
	struct ism *I;
	void *region;
	size_t region_size;
	struct npp_ctl_start_ism start;
	struct npp_global global;
	struct npp_neigh_table neigh;
	npp_counter_t stats[NPP_STATS_COUNTERS];
	struct env_host host[2];
	bool fd_quiet;
	struct npp_ringer ringer;	/* env_renew(): for the next ISM */
};

struct env *env_new(unsigned hosts);	/* ISM made, hosts made, nothing attached */
void env_free(struct env *e);		/* detaches, audits, unmaps */
/* As env_free() and env_new(), but on the same memory, of which only the first LANES inbound lanes have been
 * touched: for fuzzers, where making it is most of the work. */
void env_renew(struct env *e, unsigned lanes);
void env_attach(struct env *e, unsigned h);	/* with HELLO, HOST and one EXTENT done */
int env_attach_raw(struct env *e, unsigned h);
void env_lane(struct env *e, unsigned h, unsigned ctx);	/* the OSM opens context CTX */
uint64_t env_alloc(struct env *e, unsigned h, uint64_t bytes, uint64_t align);
void env_post(struct env *e, unsigned h, unsigned ctx, struct npp_msg m);
bool env_get(struct env *e, unsigned h, unsigned ctx, struct npp_msg *m);
/* Takes messages until one of TYPE; false: there is none. */
bool env_expect(struct env *e, unsigned h, unsigned ctx, unsigned type, struct npp_msg *m);
void env_run(struct env *e);		/* rounds until nothing is left to do */
void env_house(struct env *e);		/* housekeeping now, then rounds */
bool env_rung(struct env *e, unsigned h, unsigned ctx);	/* was its doorbell rung? */
uint64_t env_stat(struct env *e, unsigned id);
struct npp_sock *env_sock(struct env *e, unsigned h, uint32_t i);
struct npp_ctx *env_ctx(struct env *e, unsigned h, unsigned ctx);
void *env_at(struct env *e, unsigned h, uint64_t off);
/* A listener in record SOCK with a lane of ENTRIES; the LISTEN is posted and answered. */
struct npp_accept_lane *env_listen(struct env *e, unsigned h, uint32_t sock, uint16_t port, uint32_t entries,
				   uint32_t backlog);
struct tcp_listener *env_listener(struct env *e, uint16_t port);
/* A program takes the first connection from LANE; 0: none. Its record index. */
uint32_t env_claim(struct env *e, struct npp_accept_lane *lane);
struct tcp_conn *env_conn(struct env *e, uint32_t sock);
/* An accepted and claimed connection; *SOCK its record. */
struct tcp_conn *env_accepted(struct env *e, unsigned h, struct npp_accept_lane *lane, uint32_t *sock);
struct npp_msg env_msg(struct env *e, unsigned h, unsigned type, uint32_t sock, uint32_t arg);

#endif
