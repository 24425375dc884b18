/* SPDX-License-Identifier: GPL-2.0-or-later
 * priv.h - what the files of the daemon share
 *
 * What the OSM must remember over its own death stands in host memory: in the shared
 * records (processes, contexts, sockets, listeners) and in its books (struct
 * osm_books at osm_off). But ISMs map host memory too and are not trusted, so the
 * daemon works from private copies, writes every change through, and reads the
 * region again only when it is restarted, checking each record (rebuild.c).
 */
#ifndef NPP_OSM_PRIV_H
#define NPP_OSM_PRIV_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/ctl.h"
#include "lib/log.h"
#include "lib/proto.h"
#include "npp-osm/daemon/heap.h"
#include "npp-osm/daemon/osm.h"
#include "shm/abi.h"
#include "shm/bell.h"
#include "shm/i2oq.h"
#include "shm/lock.h"
#include "shm/region.h"
#include "shm/stats.h"

#define OSM_MAX_CONNS 1024	/* connections of programs */
#define OSM_MAX_ASSOC 4096	/* bound sockets */
#define OSM_MAX_EXTENTS 2048
#define OSM_MAX_SUBMORE 1024
#define OSM_MAX_PASS 512		/* sockets on their way in SCM_RIGHTS */
#define OSM_MAX_PASS_PROC (OSM_MAX_PASS / 4)	/* that one process has sent */
#define OSM_ANSWER_US 2000000u	/* a request of a program is answered after this at the latest */
#define OSM_CLOSE_US 200000u	/* who closes a listener waits for ISMs that long at most */
#define OSM_LETGO_US 10000000u	/* an ISM that has not let go of a socket after this never will */
#define OSM_EMBRYO_US 2000000u	/* a child whose parent died shows up within this */
#define OSM_LIMBO_US 2000000u	/* the ISMs have read what the dead had posted */
#define OSM_HOLD_US 1000000u	/* after a restart requests wait so long for the NPPs */
#define OSM_REBUILD_US 2000000u	/* after a restart the ISMs are attached again by then */
#define OSM_GRACE_US 1000000u	/* an NPP whose connection broke may come back with the same regions */
#define OSM_SWEEP_US 1000000u
#define OSM_OVERDUE_US 10000000u	/* a context that closes is used again even if an ISM does not say that it knows */
#define OSM_PASS_LOST_US 10000000u	/* after a restart, what is on its way in SCM_RIGHTS has arrived by then */
#define OSM_SLOW_US 1000000u
#define OSM_PROG_MAX 32768u	/* records for programs, of a large host */
#define OSM_EXTENT_MIN (1u << 20)
#define OSM_EXTENT_MAX (4u << 20)
#define OSM_EXTENT_FIRST (2u << 20)	/* 256 sessions with rings, before more is asked for */
#define OSM_HUGE (2u << 20)
#define OSM_LANE_BYTES ((uint32_t)sizeof(struct npp_i2oq))
#define OSM_CHUNK_BYTES (NPP_FDTAB_CHUNK * 8u)
#define OSM_SUBMORE_BYTES (NPP_MAX_CTX / 8u)
#define OSM_NO_PROC 0xffffu
#define OSM_NO_HANDLE 0xffffffffu
#define OSM_CTX_LOCK 1u		/* lock holder number of context 0 */

/* ---- the books: in host memory for the next OSM, and in private memory for this one -- */

#define OSM_BOOKS_MAGIC 0x736b6f6f626d736full
struct osm_slot_rec { uint32_t first, count; uint64_t inbound; };	/* records lent; its inbound region, an inode */
struct osm_extent_rec { uint64_t off; uint32_t size, slot; };	/* slot + 1, OSM_ORPHAN; 0 free */
#define OSM_ORPHAN 0x8000u	/* its ISM is gone, sockets may still be read */
#define OSM_HELD 0x4000u	/* lent to nobody: hold.c */
struct osm_proc_rec { uint64_t image; };
struct osm_submore_rec { uint32_t sock, gen, off64, zero; };	/* sock 0: free */
struct osm_ref { uint32_t sock, gen; };

enum osm_assoc_state {
	OSM_AS_FREE = 0,
	OSM_AS_GRANTING,	/* the nppds were asked for the port */
	OSM_AS_BOUND,		/* the port is ours */
	OSM_AS_SPREADING,	/* ISMs were told, the program waits */
	OSM_AS_ACTIVE,
	OSM_AS_CLOSING		/* ISMs were told to let go */
};
struct osm_assoc_rec {	/* a bound socket */
	uint32_t state;		/* enum osm_assoc_state; written last */
	uint32_t sock, gen, uid;
	union npp_addr addr;
	uint16_t port;
	uint8_t proto, reuse;
	uint32_t backlog, entries;	/* entries of each accept lane */
	uint32_t ext_off64;		/* struct npp_listener or npp_udp */
	uint32_t got;			/* attachments that granted the port */
	uint32_t order;			/* counts binds: of two datagram sockets the later one has what both may have */
	uint32_t zero[2];
};
struct osm_books {
	uint64_t magic;
	uint64_t size;
	struct osm_slot_rec slot[NPP_MAX_SLOTS];
	struct osm_proc_rec proc[NPP_MAX_PROCS];
	struct osm_extent_rec extent[OSM_MAX_EXTENTS];
	struct osm_submore_rec submore[OSM_MAX_SUBMORE];
	struct osm_assoc_rec assoc[OSM_MAX_ASSOC];
	struct osm_ref pass[OSM_MAX_PASS];	/* under way; sock 0: free */
};
_Static_assert(sizeof(struct osm_books) <= NPP_OSM_BOOKS_BYTES, "books");

/* ---- private ------------------------------------------------------------------- */

struct osm_bits { uint64_t w[NPP_MAX_SLOTS / 64]; };	/* a set of slots */
struct osm_ctxset { uint64_t w[NPP_MAX_CTX / 64]; };

struct osm_ctx {
	uint32_t state;			/* enum npp_ctx_state */
	uint32_t proc;			/* OSM_NO_PROC: its process is gone */
	uint32_t kind;
	uint32_t lane[NPP_MAX_SLOTS];	/* off64 */
	uint32_t barrier[NPP_MAX_SLOTS]; /* CLOSING: slot->queued when CTX_GONE was queued */
	struct osm_bits wait;		/* CLOSING: slots that have not come past it */
	uint64_t since;			/* CLOSING: when it began */
};

struct osm_proc {
	uint32_t state;			/* enum npp_proc_state */
	int32_t pid;
	uint64_t start;
	uint32_t parent;		/* index; for an embryo */
	uint32_t serial;
	uint64_t deadline;		/* embryo without parent */
	int pidfd;
	uint32_t chunk[NPP_FDTAB_CHUNKS]; /* off64 */
};

struct osm_answer { uint32_t conn, serial, seq; bool due; };	/* whom to tell */

struct osm_assoc {	/* beside books.assoc[] of the same index */
	struct osm_bits told, wait, good;
	struct osm_answer answer;
	uint64_t deadline;		/* 0: nothing is waited for */
	int err;			/* worst answer */
	uint32_t wait_npps;
	uint32_t op;			/* counts rounds of grants, part of their seq */
	uint16_t tries;			/* ephemeral ports tried */
	bool pick, then_listen, abandoned, free_record;
	bool patient;			/* who closed it was answered, and it is waited on for ISMs */
	bool inherited;			/* our predecessor may not have answered its program */
	uint32_t lane[NPP_MAX_SLOTS];	/* off64 of accept lanes */
};

struct osm_npp {	/* an attachment */
	int fd;
	uint32_t serial;
	bool broken;			/* to be closed at the end of the step */
	bool attached;			/* ATTACHED came: regions are mapped */
	uint64_t lost_at;		/* the connection broke: then its sessions are lost, unless it comes back */
	uint32_t was_up;		/* iop_up when it broke */
	char name[NPP_NAME_MAX];
	uint32_t host_no, n_iops;
	uint32_t epoch;			/* attach[].epoch, as we have written it; 0: not yet */
	struct npp_region global;
	int global_fd;
	int bell_fd[NPP_MAX_IOPS], inbound_fd[NPP_MAX_IOPS];
};

struct osm_slot {
	bool mapped, up;		/* up: HELLO came and was answered */
	bool forgot;			/* what its lane still holds is of a life that nobody remembers, until HELLO */
	bool refused;			/* extents: over the bound, until well below */
	bool lane_ok;
	struct npp_region region;
	struct npp_inbound *in;
	struct npp_i2oq_prod prod;	/* of context 0 */
	struct npp_i2oq_cons cons;	/* of context 0's outbound lane */
	uint64_t cons_errors;
	struct npp_msg *q;		/* messages for which the lane has no room */
	uint32_t q_len, q_cap, q_head;
	uint32_t queued;		/* counts messages, posted or in q */
	uint64_t extent_bytes;
};

struct osm_conn {
	int fd;
	uint32_t serial;
	uint32_t proc;			/* OSM_NO_PROC before HELLO */
	int32_t pid;
	uint32_t uid;
};

struct osm_pass {	/* beside books.pass[] of the same index */
	int fd;				/* our end; -1: none */
	uint32_t serial;
	uint32_t sender;		/* serial of the process; 0: our predecessor knew it */
	uint64_t deadline;		/* our predecessor had its end; 0: not so */
};
struct osm_death {	/* sockets to look at once the ISMs have read what the dead posted */
	struct osm_death *next;
	struct osm_ctxset ctx;
	uint64_t deadline;
	uint32_t n, cap;
	struct osm_ref *ref;
};

#define OSM_ORPHAN_REC(gen) (1ull << 32 | (gen))
struct osm_suspect { uint32_t gen; uint8_t kind, seen; };

struct npp_osm {
	struct npp_osm_config cfg;
	int epfd, listen_fd, host_fd, sigfd;
	bool stop, verbose;
	uint64_t now;
	uint64_t slow_at, sweep_at, ctx_orphans_at;
	uint64_t hold_until;		/* programs wait until the NPPs are attached again; 0: they do not */
	uint32_t sweeps_left;
	uint32_t serial;		/* for epoll data: an event of a closed fd finds nobody */
	uint64_t rnd;
	char name[NPP_NAME_MAX];
	uint32_t n_npps;
	uint32_t grace_ms;		/* that our NPPs are asked for */

	struct npp_region host_region, stats_region;
	struct npp_host *host;
	npp_counter_t *stat;
	struct npp_ctx *ctx_shm;
	struct npp_proc *proc_shm;
	struct npp_sock *sock;
	uint32_t sock_count, sock_prog_count;
	struct osm_heap heap;
	uint64_t extent_limit, extent_bytes;
	uint64_t held_bytes;		/* by hold.c */
	bool huge;

	struct osm_books *books;	/* private copy */
	struct osm_books *books_shm;
	struct osm_ctx *ctx;
	struct osm_proc proc[NPP_MAX_PROCS];
	struct osm_assoc *assoc;
	uint32_t assoc_hi;		/* all used ones are below */
	uint32_t assoc_busy;		/* with a deadline */
	uint16_t *assoc_of;		/* by program socket index: assoc + 1 */
	uint32_t submore_hi;
	struct osm_npp npp[NPP_MAX_ATTACH];
	struct osm_slot slot[NPP_MAX_SLOTS];
	uint32_t n_slots;		/* all mapped ones are below */
	struct osm_conn *conn;
	struct osm_death *deaths;
	struct osm_pass pass[OSM_MAX_PASS];
	int given;			/* the descriptor that came with the request, or -1 */
	struct osm_suspect *suspect;	/* by socket index */
	uint64_t *orphan;		/* by socket index: OSM_ORPHAN_REC() of a record whose ISM has forgotten it */
	uint32_t n_orphans;
	uint32_t ctx_closing;
	uint32_t backlog;		/* messages in all q */
	uint32_t udp_rotor;
	int bell[NPP_MAX_CTX];
	struct npp_ringer ringer;
	uint8_t *body;			/* NPP_CTL_MAX_BODY */
	struct npp_ctl_msg msg;
};

/* ---- small things -------------------------------------------------------------- */

static inline bool osm_bit(const struct osm_bits *b, unsigned i)
{
	return b->w[i / 64] >> (i % 64) & 1;
}
static inline void osm_bit_set(struct osm_bits *b, unsigned i) { b->w[i / 64] |= 1ull << (i % 64); }
static inline void osm_bit_clear(struct osm_bits *b, unsigned i) { b->w[i / 64] &= ~(1ull << (i % 64)); }
static inline bool osm_bits_none(const struct osm_bits *b)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < NPP_MAX_SLOTS / 64; i++)
		any |= b->w[i];
	return any == 0;
}
static inline bool osm_ctx_in(const struct osm_ctxset *s, unsigned c)
{
	return c < NPP_MAX_CTX && (s->w[c / 64] >> (c % 64) & 1);
}
static inline void osm_ctx_add(struct osm_ctxset *s, unsigned c) { s->w[c / 64] |= 1ull << (c % 64); }

/* The bytes at OFF of host memory; OFF came from our own heap. */
static inline void *osm_at(const struct npp_osm *o, uint64_t off) { return (uint8_t *)o->host + off; }
static inline void *osm_at64(const struct npp_osm *o, uint32_t off64) { return osm_at(o, (uint64_t)off64 * 64); }

static inline struct npp_sock *osm_sock(const struct npp_osm *o, uint32_t i)
{
	return i > 0 && i < o->sock_count ? &o->sock[i] : NULL;
}
static inline unsigned osm_slot_of(unsigned attach, unsigned iop) { return attach * NPP_MAX_IOPS + iop; }
static inline uint64_t osm_accept_bytes(uint32_t entries) { return sizeof(struct npp_accept_lane) + 8ull * entries; }

/* start.c */
uint64_t osm_alloc(struct npp_osm *o, uint64_t size);	/* zeroed; 0: none */
void osm_free(struct npp_osm *o, uint64_t off, uint64_t size);
uint64_t osm_random(struct npp_osm *o);
uint32_t osm_prog_count(const struct npp_osm *o);
void osm_ring(struct npp_osm *o, int efd);	/* a doorbell, at once; never waits */
int osm_poll_add(struct npp_osm *o, int fd, unsigned kind, uint32_t index, uint32_t serial);
void osm_poll_del(struct npp_osm *o, int fd);

/* rebuild.c */
int osm_rebuild(struct npp_osm *o, struct npp_err *e);

/* loop.c */
enum osm_event { OSM_EV_CTL = 1, OSM_EV_LISTEN, OSM_EV_BELL, OSM_EV_SIGNAL, OSM_EV_CONN, OSM_EV_NPP, OSM_EV_PROC,
		 OSM_EV_PASS };
/* Would a send of a few hundred bytes block? */
bool osm_would_block(int fd);

/* npp.c: attachments */
void osm_npp_conn(struct npp_osm *o, const struct npp_ctl_npp_conn *c, int fd);
void osm_npp_input(struct npp_osm *o, unsigned a);
void osm_npp_reap_broken(struct npp_osm *o);
void osm_npp_tick(struct npp_osm *o);
void osm_npp_close_fds(struct npp_osm *o, unsigned a);
int osm_npp_send(struct npp_osm *o, unsigned a, unsigned type, uint32_t seq, const void *body, size_t len);
bool osm_npp_has_addr(const struct npp_osm *o, unsigned a, const union npp_addr *addr);

/* slot.c: lanes to and from one ISM */
int osm_slot_map(struct npp_osm *o, unsigned s, int fd);
void osm_slot_unmap(struct npp_osm *o, unsigned s);
void osm_post(struct npp_osm *o, unsigned s, const struct npp_msg *m);
void osm_pump(struct npp_osm *o);
bool osm_lanes_pending(struct npp_osm *o);
unsigned osm_drain_lanes(struct npp_osm *o);
void osm_ring_isms(struct npp_osm *o);
void osm_nudge(struct npp_osm *o, unsigned s, unsigned c);
bool osm_slot_passed(struct npp_osm *o, unsigned s, uint32_t mark);

/* ism.c: what ISMs say */
void osm_ism_message(struct npp_osm *o, unsigned s, const struct npp_msg *m);
void osm_slot_down(struct npp_osm *o, unsigned s);
void osm_proto_error(struct npp_osm *o, const char *what, unsigned s);

/* lost.c: an ISM has forgotten its sessions */
void osm_slot_lost(struct npp_osm *o, unsigned s);
void osm_orphans_tick(struct npp_osm *o);
void osm_orphan_extents(struct npp_osm *o, unsigned s);

/* extent.c */
void osm_lend_records(struct npp_osm *o, unsigned s);
void osm_extents_replay(struct npp_osm *o, unsigned s);
void osm_extent_grant(struct npp_osm *o, unsigned s, uint32_t want);
int osm_extent_return(struct npp_osm *o, unsigned s, uint64_t off, uint32_t size);
void osm_extent_save(struct npp_osm *o, unsigned i);
void osm_extents_free_orphans(struct npp_osm *o);

/* hold.c */
int osm_hold(struct npp_osm *o, uint32_t percent, struct npp_ctl_held *h);

/* ctx.c */
int osm_ctx_lane(struct npp_osm *o, unsigned c, unsigned s);
int osm_ctx_lanes_for_attach(struct npp_osm *o, unsigned a);
int osm_ctx_open(struct npp_osm *o, unsigned proc, unsigned kind, unsigned *c);
void osm_ctx_close(struct npp_osm *o, unsigned c);
void osm_ctx_slot_gone(struct npp_osm *o, unsigned s);
void osm_ctx_tick(struct npp_osm *o);
void osm_ctx_orphans_tick(struct npp_osm *o);
void osm_ctx_withdraw_lane(struct npp_osm *o, unsigned s);

/* sock.c */
/* The slot that a record names, which its ISM can change at any time: read once. */
static inline unsigned osm_sock_slot(const struct npp_sock *s) { return *(const volatile uint8_t *)&s->slot; }
void osm_sock_wake(struct npp_osm *o, uint32_t i, uint32_t bits);
void osm_sock_free(struct npp_osm *o, uint32_t i, uint32_t gen);
bool osm_ref_up(struct npp_sock *s);
void osm_ref_drop(struct npp_osm *o, uint32_t i, uint32_t gen, struct osm_death *d);
void osm_sock_close(struct npp_osm *o, uint32_t i, uint32_t gen, unsigned flags, struct osm_death *d);
int osm_submore(struct npp_osm *o, uint32_t i, uint32_t gen);
void osm_submore_tick(struct npp_osm *o);

/* proc.c */
int osm_proc_start_time(int pid, uint64_t *start);
int osm_proc_hello(struct npp_osm *o, struct osm_conn *c, const struct npp_ctl_hello *h, unsigned *proc);
int osm_proc_chunk(struct npp_osm *o, unsigned p, uint32_t chunk);
int osm_proc_fork(struct npp_osm *o, unsigned parent, unsigned *embryo);
int osm_proc_fork_done(struct npp_osm *o, unsigned parent, uint32_t embryo, int32_t pid);
int osm_proc_watch(struct npp_osm *o, unsigned p);
void osm_proc_free(struct npp_osm *o, unsigned p);
void osm_proc_save(struct npp_osm *o, unsigned p);
void osm_embryo_tick(struct npp_osm *o);

/* death.c */
void osm_proc_died(struct npp_osm *o, unsigned p);
void osm_ctx_retire(struct npp_osm *o, unsigned c);
void osm_image_gone(struct npp_osm *o, unsigned p);
struct osm_death *osm_death_new(struct npp_osm *o);
void osm_death_add(struct osm_death *d, uint32_t i, uint32_t gen);
void osm_death_done(struct npp_osm *o, struct osm_death *d);
void osm_death_tick(struct npp_osm *o);

/* pass.c */
int osm_pass(struct npp_osm *o, unsigned p, uint32_t i, uint32_t gen, int fd);
void osm_pass_end(struct npp_osm *o, unsigned k);
bool osm_passing(const struct npp_osm *o, uint32_t i, uint32_t gen);
void osm_pass_count(const struct npp_osm *o, uint32_t *count);
void osm_pass_rebuild(struct npp_osm *o);
void osm_pass_tick(struct npp_osm *o);

/* sweep.c */
void osm_sweep_soon(struct npp_osm *o);
void osm_sweep_tick(struct npp_osm *o);

/* port.c: who may bind what */
bool osm_port_conflict(const struct npp_osm *o, unsigned i, bool listening);
int osm_port_pick(struct npp_osm *o, unsigned i);
void osm_grants_ask(struct npp_osm *o, unsigned i);
void osm_grants_answer(struct npp_osm *o, unsigned a, uint32_t seq, int error);
void osm_grants_release(struct npp_osm *o, unsigned i);
void osm_grants_replay(struct npp_osm *o, unsigned a);
void osm_grants_npp_gone(struct npp_osm *o, unsigned a);

/* assoc.c: bound sockets and their replicas */
int osm_assoc_new(struct npp_osm *o, const struct npp_ctl_bind *b, uint32_t uid, unsigned *i);
int osm_assoc_find(const struct npp_osm *o, uint32_t sock, uint32_t gen);
void osm_assoc_save(struct npp_osm *o, unsigned i);
void osm_assoc_deadline(struct npp_osm *o, unsigned i, uint64_t when);
void osm_assoc_granted(struct npp_osm *o, unsigned i, int error);
int osm_assoc_listen(struct npp_osm *o, unsigned i, uint32_t backlog);
int osm_assoc_peer(struct npp_osm *o, unsigned i);
void osm_assoc_spread(struct npp_osm *o, unsigned i);
void osm_assoc_close(struct npp_osm *o, unsigned i, bool free_record);
void osm_assoc_answered(struct npp_osm *o, unsigned i, unsigned s, int error, uint32_t handle);
void osm_assoc_letgo(struct npp_osm *o, unsigned i, unsigned s);
void osm_assoc_slot_up(struct npp_osm *o, unsigned s);
void osm_assoc_slot_gone(struct npp_osm *o, unsigned s, bool lost);
void osm_assoc_tick(struct npp_osm *o);
void osm_assoc_gc(struct npp_osm *o);
void osm_assoc_free(struct npp_osm *o, unsigned i);

/* rpc.c: connections of programs */
void osm_conn_accept(struct npp_osm *o);
void osm_conn_input(struct npp_osm *o, unsigned i);
void osm_conn_close(struct npp_osm *o, unsigned i);
void osm_answer_bind(struct npp_osm *o, struct osm_answer *w, int error, uint32_t sock, uint32_t gen, uint16_t port);

#endif
