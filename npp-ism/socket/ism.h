/* SPDX-License-Identifier: GPL-2.0-or-later
 * ism.h - the socket ISM from inside: its region, its process, and who does what
 *
 * A session is one row of the association table (A21): socket record of a host (OSM
 * handle), own handle (ISM handle), and the TCB, listener or endpoint of the stack. It
 * lives from accept, CONNECT, LISTEN or UDP_BIND until the host has let go of it and
 * nothing remains to be sent; the TCB may die earlier (the program has not closed yet)
 * or later (TIME_WAIT).
 *
 *   program ──CONNECT, LOOK, CLOSE...──> msg.c ──> conn.c, listen.c, udp.c ──> stack
 *   stack ──event()──> conn.c: publish into the record ──> event.c: tell subscribers
 *                                              ism_flush(): doorbells, once per round
 *
 * Trust: everything in host memory is written by the host. Each word is read once and
 * checked against private copies (struct ism_host, struct ism_sess, the TCB). A record
 * or message that lies costs the host that connection and counts as host.protocol_errors.
 * Bounds of host memory are copied at attach and never read again.
 */
#ifndef NPP_ISM_SOCKET_ISM_H
#define NPP_ISM_SOCKET_ISM_H

#include "npp-ism/netkernel/nk.h"
#include "npp-ism/socket/layout.h"
#include "npp-ism/socket/mem.h"
#include "npp-ism/stack/stack.h"
#include "shm/bell.h"
#include "shm/fring.h"
#include "shm/i2oq.h"
#include "shm/pool.h"
#include "shm/region.h"
#include "shm/regulars.h"

#define ISM_NONE 0xffffffffu
#define ISM_MAX_SOCKS (1u << 20)	/* records of a host that an ISM can name */
#define ISM_RING_FIRST (4u << 10)	/* of a session with data: most have little */
#define ISM_RING_TIGHT (16u << 10)	/* so far a receive ring grows whoever the peer is, while a quarter of the memory is free */
#define ISM_RING_PLENTY (64u << 10)	/* beyond this a ring grows only while memory is plentiful */
#define ISM_UDP_RING (128u << 10)	/* holds all but the largest datagrams twice */
#define ISM_UDP_RING_MAX (256u << 10)	/* holds the largest twice; for receiving, while memory is plentiful */
#define ISM_IDLE_US 2000000		/* then empty rings are given back; */
#define ISM_IDLE_TIGHT_US 100000	/* sooner while memory is short, */
#define ISM_IDLE_GROWN_US 1000000	/* but no receive ring that has grown: its peer may wait for a timer, with more than a first ring holds */
#define ISM_HOLD_MS 1000		/* a peer that takes nothing for so long may be ended while it is */
#define ISM_PEERS 1024			/* prefixes of peers whose memory is counted: a hash of them */
#define ISM_PEER_NONE 0xffffu
#define ISM_OWED 64			/* messages to the OSM that wait for a free frame */

/* ---- private region -------------------------------------------------------------- */

enum ism_kind { ISM_FREE = 0, ISM_STREAM, ISM_LISTENER, ISM_DGRAM };

#define SESS_LENT 1u		/* the record is from the range lent to us */
#define SESS_CLOSED 2u		/* the program is done with it */
#define SESS_WANT 4u		/* rx_want is published */
#define SESS_DIRTY 8u		/* on the dirty list */
#define SESS_WAITING 16u	/* on the list of those that wait for a transmit ring */
#define SESS_SEEN 32u		/* a program has spoken of it, so refs 0 means closed */
#define SESS_SHUT 64u		/* SHUTDOWN was passed on */
#define SESS_CONNECTING 128u	/* active open, not yet told */
#define SESS_OPENED 512u		/* CONNECT was carried out, whatever came of it */
#define SESS_ENDING 2048u	/* the stack knows of SESS_CLOSED */
#define SESS_QUEUED 1024u	/* stands in an accept lane; only while that is looked for */
#define SESS_EARLY 4096u	/* active open by Fast Open: the program writes before the handshake */
#define SESS_BACKLOG 8192u	/* no program has accepted it, as far as we know: backlog.c */
#define SESS_DONE 256u		/* everything and the FIN were acknowledged */

enum ism_mark {
	ISM_MARK_NONE = 0,
	ISM_MARK_ROW,		/* being made or unmade: a successor drops the row */
	ISM_MARK_RINGS,		/* a ring is being changed: a successor resets the connection */
};

struct ism_sess {	/* a row of the association table */
	uint8_t kind;		/* enum ism_kind */
	uint8_t host;
	uint8_t marked;		/* enum ism_mark */
	uint8_t rx_order, tx_order;
	uint8_t old_order;
	uint16_t peer;		/* of whose prefix its rings are counted; ISM_PEER_NONE */
	uint32_t flags;		/* SESS_* */
	uint32_t gen;		/* of the handle; 12 bits */
	uint32_t sock, sock_gen;	/* OSM handle */
	uint32_t tcb, tcb_gen;	/* TCB, listener or endpoint; ISM_NONE */
	uint32_t hash_next;
	uint32_t dirty_next, wait_next;
	uint32_t up;		/* TCP_UP_* not yet published */
	uint32_t rx_blk, tx_blk;	/* ISM_NONE: no ring */
	uint32_t rx_wake;	/* as published */
	uint32_t want;		/* bytes of transmit ring asked for */
	uint32_t tx_tail;	/* datagrams: consumed */
	uint32_t rx_head;	/* datagrams: produced; listener: entries pushed */
	uint32_t lane_mask, backlog;
	uint64_t off;		/* npp_accept_lane or npp_udp in host memory, checked */
	uint64_t active_us;	/* data moved */
	uint64_t brief_us;	/* TCP brief was written; listeners, datagrams: told whatever the pending bit */
	uint32_t old_blk;	/* receive ring before the last growth, in which a program may be reading; ISM_NONE */
	uint32_t mark, mark_ms;	/* reclaim.c: what its peer had moved when, since when it holds memory */
	uint32_t lsn, lsn_gen;	/* with SESS_BACKLOG: session of its listener */
	uint32_t billed;	/* pages; derived. A stream's that are billed to that, a listener's that are billed to it */
};
_Static_assert(sizeof(struct ism_sess) == 2 * NPP_LINE, "session");

enum ism_host_state { ISM_HOST_NONE = 0, ISM_HOST_MAPPED, ISM_HOST_GREETED, ISM_HOST_UP };

struct ism_host {	/* what we know of a host */
	uint32_t state;		/* enum ism_host_state */
	uint32_t attach, slot;
	uint32_t fresh;		/* nothing is remembered of it from an earlier life */
	/* Copies of npp_host, checked at attach. */
	uint64_t size, ctx_off, sock_off, heap_off, heap_end;
	uint64_t dev, ino;	/* of its memory: the same host again */
	uint32_t sock_count, prog_count;
	uint32_t n_sess, n_listeners, n_udp;
	uint32_t n_lent;	/* records on the stack of free ones */
	uint32_t n_known;	/* records that we were lent: those, and those of sessions */
	struct ism_heap heap;
	uint64_t asked_us;	/* NEED_EXTENT was posted and not answered */
	uint32_t ask_backoff_us;
	uint32_t wait_head, wait_tail;	/* sessions that wait for a transmit ring */
	uint32_t backlog_pages;	/* derived: of connections that nobody has accepted */
	uint64_t backlog_us;	/* when one was last refused some; 0: never */
	uint32_t n_peers;	/* derived, as the next: prefixes that have memory */
	uint32_t peer_pages[ISM_PEERS];
	uint32_t n_owed;
	uint64_t errors;	/* its protocol errors */
	struct npp_msg owed[ISM_OWED];
};

struct ism_region {
	struct ism_layout lay;	/* off[]: below */
	struct nk_state nk;
	uint32_t dirty_head, settle_head; /* sessions that owe a look beside the stack's events */
	uint32_t n_hash, zero;
	uint64_t hash_seed;
	struct npp_pool pool;	/* free sessions */
	struct ism_host host[NPP_MAX_HOSTS];
};
enum ism_table { ISM_T_POOL, ISM_T_HASH, ISM_T_CHUNKS, ISM_T_LENT, ISM_T_KNOWN, ISM_TABLES };

/* ---- process ------------------------------------------------------------------------ */

struct ism_host_map {	/* process-local half of a host */
	struct npp_region mem, in;
	uint8_t *base;			/* NULL: not mapped */
	struct npp_inbound *inbound;
	struct npp_i2oq_cons cons[NPP_MAX_CTX];	/* q NULL: not yet attached */
	struct npp_i2oq_prod prod[NPP_MAX_CTX];
	uint32_t prod_off64[NPP_MAX_CTX];	/* the lane that prod is attached to; 0 none */
	uint64_t carry[NPP_MAX_CTX / 64];	/* inbound lanes with messages left */
	uint64_t bell_due[NPP_MAX_CTX / 64];	/* posted to in this round */
	bool none_said;			/* that all records are in use */
	uint32_t carry_words, bell_words;	/* words of them that may not be 0, a bit each */
	bool scan_due;
	unsigned turn;				/* lane that comes next */
	int bell[NPP_MAX_CTX];
	int in_bell;				/* rung by programs of this host for us */
	_Atomic bool torn;			/* its memory was taken from under us */
};

struct ism_ipc {	/* rings to and from one other IOP */
	bool open, dirty;
	struct npp_fring_prod out;
	struct npp_fring_cons in;
	uint64_t failed_us;
};

/* reclaim.c: bytes by the class of who holds them, and the class from which on they are taken. */
#define ISM_CLASSES 64u
struct ism_reclaim {
	uint64_t weight[ISM_CLASSES];
	uint64_t want;		/* bytes still to be taken in this turn */
	uint32_t from;
};

struct ism_deferred;
struct ism_port;

struct ism {	/* the process */
	struct ism_region *r;
	struct ism_sess *sess;
	uint32_t *hash;
	struct ism_chunk *chunks;
	uint32_t *lent;			/* per host: stack of free records */
	uint32_t lent_max;
	uint64_t *known;		/* per host: bitmap of records that we were lent */
	struct stack *stack;
	struct stack_env env;
	npp_counter_t *stats;
	struct npp_stats_page *page;
	uint32_t iop, n_iops;
	uint64_t now_us;
	uint64_t rnd_key[2], rnd_count;
	struct nk nk;
	int th_house, th_scan, th_sweep;
	int host_watch[NPP_MAX_HOSTS];	/* numbers of the hosts' doorbells in nk; 0: none */
	struct npp_ringer ringer;
	bool urgent;			/* housekeeping has something to try again soon */
	bool flushing;
	uint32_t sweep_at;
	struct ism_reclaim reclaim[NPP_MAX_HOSTS];
	unsigned host_turn;		/* host that is served first */
	unsigned msg_cost;		/* of a message that is more work than most, beside itself */
	struct ism_host_map *host[NPP_MAX_HOSTS];
	unsigned host_end;		/* places of it from here on are empty */
	/* around it; unused in unit tests */
	struct npp_fring_cons rx;
	bool have_rx;
	struct ism_port *port[NPP_MAX_PORTS];	/* engine kernel: we read our own queues; else NULL */
	int tap[NPP_MAX_PORTS];		/* our queue of each port; -1: none */
	int ctl;
	uint32_t ctl_seq;
	struct npp_ctl_start_ism start;
	int bells[NPP_MAX_IOPS];
	struct ism_ipc ipc[NPP_MAX_IOPS];
	struct ism_deferred *deferred, **deferred_tail;
	struct npp_region global, neigh, neigh_rw, stats_region, locks, priv;
	struct npp_regulars *regulars;	/* NULL: there is no table of them */
	struct npp_host_load *load;	/* our row in `locks`; NULL: nobody asks */
	uint8_t *ctl_buf;
	bool verbose, broken;
	_Atomic bool torn;		/* one of the hosts is */
};

/* ---- life.c: the region ---------------------------------------------------------------- */

/* Lays the fresh, zeroed REGION out for START and starts the stack in it. ENV's ops and arg
 * are set here unless given. */
int ism_init(struct ism *I, void *region, size_t size, const struct npp_ctl_start_ism *start,
	     const struct stack_env *env);
/* Takes over what a predecessor left. */
int ism_attach(struct ism *I, void *region, size_t size, const struct npp_ctl_start_ism *start,
	       const struct stack_env *env, uint64_t now_us);
extern const struct stack_ops ism_stack_ops;
void ism_set_now(struct ism *I, uint64_t now_us);
/* End of a batch: the stack's output, what it told us, messages and doorbells. */
void ism_flush(struct ism *I);
/* Every millisecond or so: greetings, owed messages, waiting sessions, gauges. True: call again
 * in a millisecond. */
bool ism_housekeeping(struct ism *I);
/* Checks that everything derived equals its rebuild and nothing leaked; text of the first
 * fault, or NULL. For tests. */
const char *ism_audit(struct ism *I);

/* ---- sess.c -------------------------------------------------------------------------------- */

/* Tells all ISMs how many connections host H has here. */
void ism_load_tell(struct ism *I, unsigned h);
/* May H take WANT more of MAX things that hosts share, of which each HAS some? Half of all is set aside
 * in equal parts, for hosts that are expected, too: who has less than its part always may. */
bool ism_fair(const struct ism *I, unsigned h, uint32_t max, const uint32_t has[NPP_MAX_HOSTS], uint32_t want);
/* A session for record SOCK of host H; NULL: none left for this host. */
struct ism_sess *ism_sess_new(struct ism *I, unsigned h, enum ism_kind kind, uint32_t sock, uint32_t gen);
/* The row only; rings and record are the caller's business. */
void ism_sess_free(struct ism *I, struct ism_sess *s);
struct ism_sess *ism_sess_find(struct ism *I, unsigned h, uint32_t sock);
/* The session that MSG names by handle, or by socket and generation. */
struct ism_sess *ism_sess_of_msg(struct ism *I, unsigned h, const struct npp_msg *m);
void ism_sess_rebuild(struct ism *I);

static inline uint32_t ism_sess_index(const struct ism *I, const struct ism_sess *s)
{
	return (uint32_t)(s - I->sess);
}

static inline uint32_t ism_sess_handle(const struct ism *I, const struct ism_sess *s)
{
	return NPP_ISM_HANDLE(ism_sess_index(I, s), s->gen);
}

/* ---- host.c ---------------------------------------------------------------------------------- */

/* Host memory and the inbound region of host H; the descriptors stay the caller's. */
int ism_host_attach(struct ism *I, unsigned h, unsigned attach, unsigned slot, int mem_fd, int in_fd);
void ism_host_bell(struct ism *I, unsigned h, unsigned ctx, int fd);	/* takes FD */
void ism_host_in_bell(struct ism *I, unsigned h, int fd);	/* takes FD: what the host rings us by */
/* All its sessions are reset, everything is forgotten and unmapped. */
void ism_host_detach(struct ism *I, unsigned h);
/* Closes what the process holds of H; the region remembers. */
void ism_host_unmap(struct ism *I, unsigned h);
/* An access to ADDR has failed (SIGBUS). A host can take pages out of its memory again, and where
 * hugepages are short none comes in their place. True: ADDR is in a host's memory, which is
 * replaced by memory of our own, so that what was going on can end; the host is detached at the
 * end of the round. Only a system call and stores: for a signal handler. */
bool ism_host_fault(struct ism *I, const void *addr);
void ism_hosts_mend(struct ism *I);
bool ism_host_greet(struct ism *I, unsigned h);	/* true: done */
void ism_host_lend(struct ism *I, unsigned h, uint32_t first, uint32_t count);
uint32_t ism_lent_get(struct ism *I, unsigned h);	/* a record index, or ISM_NONE */
bool ism_lent_any(struct ism *I, unsigned h);	/* counts and says it if there is none */
void ism_proto_error(struct ism *I, unsigned h);
/* Frees the record of S (and posts FREED if it was a program's), then S. No ring is left. */
void ism_record_free(struct ism *I, struct ism_sess *s);

static inline struct ism_host *ism_hst(struct ism *I, unsigned h)
{
	return &I->r->host[h];
}

/* LEN bytes at OFF of the host's heap, aligned to a line; NULL if they are not. */
static inline void *ism_heap_at(struct ism *I, unsigned h, uint64_t off, uint64_t len)
{
	const struct ism_host *hs = &I->r->host[h];

	if (off % NPP_LINE || off < hs->heap_off || off >= hs->heap_end || len > hs->heap_end - off)
		return NULL;
	return I->host[h]->base + off;
}

/* Record INDEX of host H; NULL if there is none. */
static inline struct npp_sock *ism_rec(struct ism *I, unsigned h, uint32_t index)
{
	const struct ism_host *hs = &I->r->host[h];

	if (index == 0 || index >= hs->sock_count)
		return NULL;
	return (struct npp_sock *)(I->host[h]->base + hs->sock_off) + index;
}

/* The same for records that programs and the OSM make; the rest are lent. */
static inline struct npp_sock *ism_prog_rec(struct ism *I, unsigned h, uint32_t index)
{
	return index <= I->r->host[h].prog_count ? ism_rec(I, h, index) : NULL;
}

static inline struct npp_sock *ism_sess_rec(struct ism *I, const struct ism_sess *s)
{
	const struct ism_host *hs = &I->r->host[s->host];

	return (struct npp_sock *)(I->host[s->host]->base + hs->sock_off) + s->sock;
}

/* ---- resume.c --------------------------------------------------------------------------------- */

/* Host H is mapped again after we took over; its sessions are put right. */
void ism_host_resume(struct ism *I, unsigned h);

/* ---- event.c --------------------------------------------------------------------------------- */

/* Posts M to context CTX of host H; its doorbell is rung at the end of the round. -ENOTCONN: it
 * has no lane; -ENOBUFS: the lane is full (it will look at everything). */
int ism_post(struct ism *I, unsigned h, unsigned ctx, struct npp_msg *m);
/* To the OSM; kept and tried again if it must be. */
void ism_post_osm(struct ism *I, unsigned h, struct npp_msg *m);
/* Answers the OSM's request Q about a listening or datagram socket, which is HANDLE here. */
void ism_answer(struct ism *I, unsigned h, const struct npp_msg *q, unsigned type, uint32_t handle, int err);
bool ism_owed_retry(struct ism *I, unsigned h);	/* true: some are left */
/* Sets BITS in pend_out of S and tells subscribers about those that were clear (ALWAYS: all). */
void ism_notify(struct ism *I, struct ism_sess *s, uint32_t bits, bool always);
/* A program has called shutdown(): whoever subscribes shall look, whatever is pending. */
void ism_notify_shut(struct ism *I, struct ism_sess *s);
/* Something came for S, a listener or datagram socket, which other ISMs serve, too. One that sets the bit
 * and says nothing would keep our word from them, so now and then it is said whatever the bit. */
void ism_notify_shared(struct ism *I, struct ism_sess *s);
bool ism_ctx_open(struct ism *I, unsigned h, unsigned ctx);
void ism_ctx_forget(struct ism *I, unsigned h, unsigned ctx);
void ism_bells(struct ism *I);

/* ---- msg.c --------------------------------------------------------------------------------------- */

bool ism_host_pending(const struct ism *I);
/* Handles up to BUDGET messages of all hosts; returns how many. */
unsigned ism_host_run(struct ism *I, unsigned budget);

/* ---- ring.c ---------------------------------------------------------------------------------------- */

bool ism_ring_grow_rx(struct ism *I, struct ism_sess *s, struct tcp_conn *c, uint32_t need);
/* Makes or grows the transmit ring to hold WANT bytes (0: a first one). False: not now. */
void ism_ring_old_free(struct ism *I, struct ism_sess *s);	/* what the last growth left, if nobody reads in it */
bool ism_ring_grow_tx(struct ism *I, struct ism_sess *s, struct tcp_conn *c, uint32_t want);
void ism_ring_drop_rx(struct ism *I, struct ism_sess *s, struct tcp_conn *c);
void ism_ring_drop_tx(struct ism *I, struct ism_sess *s, struct tcp_conn *c);
/* Gives back rings that are empty, of a session that has been idle for IDLE_US; under the locks. */
void ism_ring_idle(struct ism *I, struct ism_sess *s, struct tcp_conn *c, uint64_t idle_us);
/* Puts S on the list of those that wait for a transmit ring of WANT bytes. */
/* After a death: TCB and record see the rings that S has; locks of the dead are broken. */
void ism_ring_resume(struct ism *I, struct ism_sess *s, struct tcp_conn *c);
void ism_ring_unlock(struct ism *I, struct ism_sess *s);
void ism_ring_wait(struct ism *I, struct ism_sess *s, uint32_t want);
bool ism_ring_retry(struct ism *I, unsigned h);	/* true: some still wait */
/* A block of 2^ORDER pages, asking for more memory when it runs low; ISM_NONE. */
uint32_t ism_block_get(struct ism *I, unsigned h, unsigned order);
/* The largest affordable block of at most WISH and at least NEED bytes, for a peer of prefix PEER. DGRAM: what datagrams are
 * received in, of which NEED may be had of what is left for others. */
uint32_t ism_block_between(struct ism *I, unsigned h, uint16_t peer, uint32_t need, uint32_t wish, bool dgram, unsigned *order);
void ism_block_put(struct ism *I, unsigned h, uint16_t peer, uint32_t blk, unsigned order);
/* Asks the OSM for BYTES or more, not before it had time to answer the last time. */
void ism_mem_ask(struct ism *I, unsigned h, uint32_t bytes);
/* Asks for more if there is not plenty beyond BYTES, which may be wanted soon. */
void ism_mem_foresee(struct ism *I, unsigned h, uint32_t bytes);
/* Has the OSM left a request for more without an answer, or refused it? */
bool ism_mem_scarce(const struct ism_host *hs);
/* A transmit ring that holds little becomes a small one, if nobody is at it. */
bool ism_ring_shrink_tx(struct ism *I, struct ism_sess *s, struct tcp_conn *c);
/* The connection is dead: its transmit ring goes now, not when the program closes. */
void ism_ring_bury_tx(struct ism *I, struct ism_sess *s);
/* Gives the receive ring back if all in order was read, with what stands in it out of order. */
bool ism_ring_prune_rx(struct ism *I, struct ism_sess *s, struct tcp_conn *c);

static inline uint32_t ism_rx_size(const struct ism_sess *s)
{
	return s->rx_blk == ISM_NONE ? 0 : (uint32_t)ISM_PAGE << s->rx_order;
}

static inline uint32_t ism_tx_size(const struct ism_sess *s)
{
	return s->tx_blk == ISM_NONE ? 0 : (uint32_t)ISM_PAGE << s->tx_order;
}

static inline uint32_t ism_sess_pages(const struct ism_sess *s)
{
	return (ism_rx_size(s) + ism_tx_size(s)) / ISM_PAGE + (s->old_blk == ISM_NONE ? 0 : 1u << s->old_order);
}

/* ---- backlog.c ---------------------------------------------------------------------------------------- */

void ism_backlog_begin(struct ism *I, struct ism_sess *s, const struct ism_sess *ls);	/* S waits in the queue of LS */
void ism_backlog_bill(struct ism *I, struct ism_sess *s);	/* the rings of S have changed */
void ism_backlog_end(struct ism *I, struct ism_sess *s);
bool ism_backlog_look(struct ism *I, struct ism_sess *s);	/* true: S waits still */
/* How large a ring may be made for S now, or by how much one may grow; 0: not at all. FIRST: it has no receive ring. */
uint32_t ism_backlog_room(struct ism *I, struct ism_sess *s, bool first);
void ism_backlog_rebuild(struct ism *I);

/* ---- conn.c: TCP ------------------------------------------------------------------------------------- */

int ism_conn_accept(void *arg, struct tcp_listener *l, struct tcp_conn *c);
void ism_conn_event(void *arg, struct tcp_conn *c, uint32_t up);
bool ism_conn_rx_grow(void *arg, struct tcp_conn *c, uint32_t end);
struct ism_sess *ism_sess_of_conn(struct ism *I, const struct tcp_conn *c);	/* NULL: nobody's */
/* What the program has read since it last said so; false: it lies. */
bool ism_conn_take_rx(struct ism *I, struct ism_sess *s, struct tcp_conn *c, const struct npp_sock *rec);

/* ---- urgent.c ---------------------------------------------------------------------------------- */

void ism_conn_urgent(void *arg, struct tcp_conn *c, uint32_t off, bool here);
/* NPP_IN_URG: the program has marked what it wrote. False: it lies. */
bool ism_urgent_take(struct ism *I, struct ism_sess *s, struct tcp_conn *c, const struct npp_sock *rec);
static inline bool ism_urgent_due(const struct npp_sock *rec)
{
	return atomic_load_explicit(&rec->pend_in, memory_order_relaxed) & NPP_IN_URG;
}
struct tcp_conn *ism_conn_of(struct ism *I, const struct ism_sess *s);	/* NULL: TCB is gone */
/* What REC says of the options that the stack acts on. */
struct tcp_options ism_options_of(const struct npp_sock *rec);
void ism_conn_connect(struct ism *I, unsigned h, const struct npp_msg *m);
void ism_conn_look(struct ism *I, struct ism_sess *s);
void ism_conn_close(struct ism *I, struct ism_sess *s, uint32_t final, unsigned flags);
void ism_conn_shutdown(struct ism *I, struct ism_sess *s, uint32_t final);
void ism_conn_need_ring(struct ism *I, struct ism_sess *s, uint32_t want);
/* The host has lied about S: reset it, tell the program. */
void ism_conn_lied(struct ism *I, struct ism_sess *s);
/* Publishes what the stack told about S. */
void ism_conn_settle(struct ism *I, struct ism_sess *s);
void ism_conn_owe(struct ism *I, struct ism_sess *s, uint32_t up);	/* put on the dirty list */
/* Reset, rings and record freed; no word to the program. */
void ism_conn_reset(struct ism *I, struct ism_sess *s, struct tcp_conn *c); /* the program is told */
void ism_conn_drop(struct ism *I, struct ism_sess *s);

/* ---- listen.c ---------------------------------------------------------------------------------------------- */

void ism_listen(struct ism *I, unsigned h, const struct npp_msg *m);
void ism_unlisten(struct ism *I, unsigned h, const struct npp_msg *m);
void ism_listener_drop(struct ism *I, struct ism_sess *s, bool reset);
void ism_listener_resume(struct ism *I, struct ism_sess *s); /* flags what stands in its lane, tells of it */
void ism_listener_look(struct ism *I, struct ism_sess *s);
bool ism_accept_room(void *arg, struct tcp_listener *l);
uint32_t ism_fastopen(void *arg, struct tcp_listener *l);
unsigned ism_fastopen_keys(void *arg, struct tcp_listener *l, uint64_t key[NPP_TFO_KEYS][2]);
void ism_listener_options(void *arg, struct tcp_listener *l, struct tcp_options *o);
struct ism_sess *ism_listener_sess(struct ism *I, const struct tcp_listener *l);
/* Is there room in S's accept lane? */
bool ism_lane_room(struct ism *I, struct ism_sess *s);
bool ism_lane_waiting(struct ism *I, const struct ism_sess *s);	/* is the last connection pushed still there? */
void ism_lane_push(struct ism *I, struct ism_sess *s, uint32_t sock, uint32_t gen);

/* ---- udp.c ---------------------------------------------------------------------------------------------------- */

void ism_udp_bind(struct ism *I, unsigned h, const struct npp_msg *m);
void ism_udp_unbind(struct ism *I, unsigned h, const struct npp_msg *m);
void ism_udp_drop(struct ism *I, struct ism_sess *s);
void ism_udp_look(struct ism *I, struct ism_sess *s);
void ism_udp_need_ring(struct ism *I, struct ism_sess *s, uint32_t want);
void ism_udp_input(void *arg, struct udp_endpoint *ep, const struct npp_dgram *d, const union npp_addr *to,
		   const void *payload);
bool ism_udp_waiting(struct ism *I, const struct ism_sess *s);	/* is there something to read in our lane? */
void ism_udp_ring_early(struct ism *I, struct ism_sess *s);
void ism_udp_groups(struct ism *I, struct ism_sess *s, struct udp_endpoint *ep); /* what it has joined, anew */
void ism_conflict(void *arg, const struct npp_conflict *c);
void ism_autoconf(void *arg, const struct npp_autoconf *a);
void ism_groups(void *arg, const struct npp_groups *g);
void ism_udp_error(void *arg, struct udp_endpoint *ep, const struct stack_udp_error *e);

/* ---- reclaim.c: memory of a host is short ------------------------------------------------------------------------ */

enum ism_mem_level { ISM_MEM_EASY = 0, ISM_MEM_TIGHT, ISM_MEM_SHORT };
enum ism_mem_level ism_mem_level(const struct ism_host *hs);
uint16_t ism_peer_of(const struct ism *I, const union npp_addr *addr);
void ism_peer_charge(struct ism_host *hs, uint16_t peer, int32_t pages);
/* May peers of prefix PEER have BYTES more, by their share of what is lent? */
bool ism_peer_may(const struct ism_host *hs, uint16_t peer, uint32_t bytes);
/* S begins to hold something for its peer, or its peer has moved. */
void ism_hold_begin(struct ism *I, struct ism_sess *s, const struct tcp_conn *c);
/* All sessions were looked at: who is ended in the next turn? */
void ism_reclaim_turn(struct ism *I);
/* One session of a host whose memory is short. */
void ism_reclaim_look(struct ism *I, struct ism_sess *s, struct tcp_conn *c);

/* ---- scan.c ------------------------------------------------------------------------------------------------------ */

void ism_scan_thread(struct nk *nk, void *arg);	/* normal: after an overflow, looks at everything of a host */
void ism_sweep_thread(struct nk *nk, void *arg);	/* low: gives idle rings back, reclaims where memory is short */
bool ism_sweep_hurry(const struct ism *I);	/* memory of a host is short: again soon */

/* ---- port.c, port_in.c, ipc.c, control.c, run.c: the process around it --------------------------------------------------------- */

void ism_port_tx(void *arg, unsigned port, const struct stack_tx *tx);
/* If the port is steered: its queue becomes a source of the net kernel. 0 or -errno. */
int ism_port_open(struct ism *I);
void ism_port_close(struct ism *I);
void ism_ipc_send(void *arg, unsigned iop, enum npp_rec_kind kind, const struct npp_frame_rec *rec,
		  const void *data, uint32_t len);
int ism_ipc_attach(struct ism *I, unsigned peer, const int fds[4]);
void ism_ipc_flush(struct ism *I);
bool ism_ipc_pending(void *arg);
unsigned ism_ipc_run(void *arg, unsigned budget);
void ism_ipc_announce(void *arg, bool asleep);
/* Reads the start message and maps what comes with it; 0 or -errno. */
int ism_control_start(struct ism *I, int ctl);
/* Makes or takes over the private region, sets the net kernel up, says READY. */
int ism_control_begin(struct ism *I);
unsigned ism_control_run(void *arg, unsigned budget);
/* Waits up to a second for the rings to PEER; other messages are kept for later. */
int ism_control_ipc_open(struct ism *I, unsigned peer);
void ism_control_free(struct ism *I);
struct ism *ism_new(void);	/* nothing mapped, no descriptor */
void ism_run_setup(struct ism *I);
int ism_run(struct ism *I);	/* until STOP (0), or the control socket ended (-1) */
void ism_destroy(struct ism *I); /* unmaps everything; the caller frees I */

#endif
