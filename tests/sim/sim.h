/* SPDX-License-Identifier: GPL-2.0-or-later
 * sim.h - the world of one run: two NPPs, the links between them, the programs on them
 *
 * Virtual time; one queue of events; nothing but the plan decides. What must hold is said
 * where it is seen: check.c looks at a stack after each of its rounds, wire.c at each frame
 * that leaves, app.c at what programs get. Whoever finds it not so calls sim_fail(), which
 * does not return.
 */
#ifndef NPP_TESTS_SIM_H
#define NPP_TESTS_SIM_H

#include <setjmp.h>

#include "npp-dispatch/dispatch.h"
#include "npp-ism/stack/tcp.h"
#include "npp-ism/stack/udp_priv.h"
#include "tests/sim/plan.h"
#include "tests/sim/rng.h"

#define SIM_NPPS 2
#define SIM_IOPS 8
#define SIM_PORT_BASE 8000	/* listeners: four ports from here */
#define SIM_UDP_BASE 5000	/* UDP program i receives on this + i */
#define SIM_NEVER UINT64_MAX

struct world;
struct npp;

/* ---- frames ------------------------------------------------------------------------------ */

struct frame {
	struct frame *next;
	struct npp_frame_rec rec;
	uint32_t len;
	uint8_t kind;		/* enum npp_rec_kind */
	uint8_t data[];
};
struct frame_queue { struct frame *head, **tail; uint32_t n, bytes; };

struct frame *frame_new(uint32_t len);
struct frame *frame_copy(const struct frame *f);
void frame_put(struct frame_queue *q, struct frame *f);
struct frame *frame_get(struct frame_queue *q);
void frame_queue_init(struct frame_queue *q);
void frame_queue_clear(struct frame_queue *q);
/* Completes a partial checksum, as whoever looks into a frame must. */
void frame_complete(struct frame *f);
/* What IP says of a frame. */
struct packet {
	uint8_t family;		/* 4, 6; 0: none of both */
	uint8_t proto;		/* what it carries; in a fragment, what the whole carries */
	uint8_t tos;
	bool fragment, first;	/* first: offset 0 */
	uint32_t l4, len;	/* where the transport begins; of the packet with its header */
	union npp_addr src, dst;
};
void frame_look(const struct frame *f, struct packet *p);
/* IPv4 header of F, or NULL. */
struct ip4_hdr *frame_ip4(struct frame *f);
/* Marks "congestion experienced", if it may. */
bool frame_mark(struct frame *f);
/* The next segment of the large frame F from *OFF on; NULL: there is none left. */
struct frame *frame_segment(const struct frame *f, uint32_t *off);
/* The next fragment of the datagram in F for MTU; NULL: none left. */
struct frame *frame_fragment(const struct frame *f, uint32_t mtu, uint32_t *off);
/* "Fragmentation needed" or "packet too big" about F, from 10.0.0.254 or fd00::fe. */
struct frame *frame_too_big(const struct frame *f, uint32_t mtu);
/* Somebody else announces ADDR (made.c). */
struct frame *frame_claim(const union npp_addr *addr);
/* SYN number I of a flood on PORT of NPP. */
struct frame *frame_syn(struct npp *to, uint32_t i, uint16_t port, struct rng *r);

/* ---- events ------------------------------------------------------------------------------- */

enum event_kind { EV_FRAME, EV_IPC, EV_WAKE, EV_APP, EV_UDP, EV_MCAST, EV_RA, EV_PLAN, EV_PLAN_END };
struct event {
	uint64_t at, order;
	uint8_t kind, npp, iop;
	uint32_t idx;
	struct frame *f;
};
void world_at(struct world *w, uint64_t at, struct event e);

/* ---- IOPs and NPPs -------------------------------------------------------------------------- */

struct iop {
	struct npp *npp;
	unsigned nr;
	void *arena;
	size_t arena_size;
	struct stack *s;
	struct stack_env *env;	/* of this life; replaced at a restart */
	npp_counter_t stats[NPP_STATS_COUNTERS];
	struct rng rng, wake_rng;
	struct frame_queue rx, ipc;
	uint64_t wake_at;	/* an EV_WAKE is queued for then; SIM_NEVER none */
	uint64_t stall_until;
	bool down;
	uint32_t kill_in;	/* counts callbacks down; the process ends in that one */
	jmp_buf kill;
	bool inside;		/* the stack is being called */
	struct tcp_listener *listener[4];
	uint64_t rounds, attaches;
	uint64_t timers_us;	/* when its timers were last run */
	uint32_t checked;	/* rounds since the last look at everything */
	bool mcast_on[PLAN_PROGS]; /* what it was told last of these memberships */
};

struct npp {
	struct world *w;
	unsigned nr;
	struct plan_npp cfg;
	struct npp_global *g;
	struct npp_neigh_table *neigh;
	struct dispatch_ctx dispatch;
	union npp_addr addr, addr6;
	union npp_addr auto6;	/* made of the router's first prefix */
	uint32_t n_static;	/* addresses that are not from advertisements */
	uint64_t drops[NPP_DS_COUNT];
	uint64_t ipc_drops;
	struct iop iop[SIM_IOPS];
};

void npp_start(struct world *w, unsigned nr);
void npp_end(struct npp *n);
/* A frame has come by the port. */
void npp_receive(struct npp *n, struct frame *f);
/* The IOP that the answers to (laddr, lport, peer, rport) come to. */
unsigned npp_owner(struct npp *n, uint8_t proto, const union npp_addr *laddr, uint16_t lport, const union npp_addr *peer, uint16_t rport);
void npp_move_role(struct npp *n, unsigned iop);

void iop_listen(struct iop *p, unsigned i);
void iop_round(struct iop *p);		/* what EV_WAKE does */
void iop_ring(struct iop *p);		/* a doorbell */
/* Between these two its stack may be called. False: it does not run now, come again. */
bool iop_enter(struct iop *p);
void iop_leave(struct iop *p);
void iop_down(struct iop *p);
void iop_restart(struct iop *p);
void iop_ipc_arrived(struct iop *p, struct frame *f);
/* Called first in every callback: may not return. */
void iop_may_die(struct iop *p);

/* ---- links ------------------------------------------------------------------------------------ */

struct link {
	struct plan_link cfg;
	struct rng rng;
	uint64_t busy_until;	/* the queue's end at the present rate */
	uint64_t last_at;	/* of what was not overtaken */
	uint64_t dark_until;
	uint32_t burst_left;
	uint64_t burst_until;
	uint64_t sent, lost, marked, dropped;
};
void link_start(struct world *w, unsigned dir);
/* Takes F. */
void link_send(struct world *w, unsigned dir, struct frame *f);

/* ---- programs ----------------------------------------------------------------------------------- */

enum app_phase { APP_IDLE, APP_OPENING, APP_OPEN, APP_CLOSED, APP_DONE };

struct app {			/* one end of a connection and the program that uses it */
	struct world *w;
	struct plan_side cfg;
	uint32_t idx, prog, role;	/* role 0 calls, 1 is called */
	struct npp *npp;
	struct iop *iop;
	enum app_phase phase;
	struct tcp_conn *c;	/* NULL: gone */
	uint32_t gen;
	uint32_t attempts;
	uint16_t lport, rport;	/* of the last attempt */
	/* the socket */
	uint8_t *rx, *tx;
	uint32_t rx_size, tx_size;
	uint32_t rx_head, rx_tail, tx_head, tx_tail;
	uint32_t verified;	/* received and looked at, in bytes */
	uint32_t refused;	/* times in a row that its receive ring did not grow */
	bool fin, freed, connected, tx_done;
	uint32_t marked;	/* behind the last urgent byte written */
	uint32_t urged;		/* behind the last one that the stack has told of */
	int error;
	/* the program */
	uint32_t key;		/* of the pattern it sends */
	bool shut, closed, aborted, finished;
	bool eof_seen;
	uint64_t write_at, read_at, stop_until;
	bool stopped, changed;
	bool queued;		/* an EV_APP is queued for run_at */
	uint64_t run_at;
	struct rng rng;
	uint64_t began_us, ended_us, progress_us;
	bool lost_by_kill;
	/* wire.c */
	bool edge_known;
	uint32_t edge;		/* right edge of the window as announced */
	uint32_t tsval;
	bool ts_known;
};

struct app *app_of(struct world *w, const struct tcp_conn *c);
struct app *app_peer(struct app *a);
/* The address of NPP that program PROG speaks with. */
const union npp_addr *prog_addr(const struct world *w, uint32_t prog, const struct npp *n);
void apps_start(struct world *w);
void apps_end(struct world *w);
void app_run(struct app *a);
void app_later(struct app *a, uint64_t at);
/* All programs have ended? If not and the world is still, ends those that wait in vain. */
bool apps_over(struct world *w);
void apps_verdict(struct world *w);
/* After a restart: sockets whose connection is gone. */
void apps_audit(struct iop *p);
/* What the ring of A has received and nobody looked at is compared. */
void app_verify(struct app *a);
bool app_graceful(const struct world *w, uint32_t prog);

/* Pattern KEY at stream offset OFF. */
void pattern_fill(uint32_t key, uint32_t off, void *to, uint32_t len);
bool pattern_is(uint32_t key, uint32_t off, const void *data, uint32_t len);

struct udp_app {
	struct plan_side cfg;
	struct npp *from, *to;
	uint32_t sent, got, dups, echoed, refused;
	uint32_t on;
	uint8_t *seen;		/* a bit per datagram: times received, at most 255 */
};
void udps_start(struct world *w);
void udp_run(struct world *w, uint32_t prog);
void udp_bind_all(struct iop *p);
void udps_verdict(struct world *w);
void udps_end(struct world *w);

/* ---- groups (mcast.c) ---------------------------------------------------------------------------------- */

/* Numbers of the sockets of program I, as the stack has them. */
#define MCAST_MEMBER(i) (1000u + (i))
#define MCAST_IDLE(i) (2000u + (i))
#define MCAST_SENDER(i) (3000u + (i))

struct mcast {
	struct plan_side cfg;
	uint32_t sent, got, dups;
	uint32_t expected;	/* sent while the member's NPP let them in */
	bool joined;
	bool known;		/* to the router that hears all reports */
	uint8_t *seen;
};
void mcasts_start(struct world *w);
void mcast_run(struct world *w, uint32_t prog);
void mcast_bind_all(struct iop *p);
void mcast_sync(struct iop *p);		/* memberships that P has not heard of */
void mcast_toggle(struct world *w, uint32_t which, bool join);
void mcast_groups(struct npp *n, const struct npp_groups *g);
bool mcast_input(struct iop *p, const struct udp_endpoint *ep, const struct npp_dgram *d, const union npp_addr *to,
		 const void *payload);
void mcast_report(struct npp *n, const struct frame *f); /* F has left */
void mcasts_verdict(struct world *w);
void mcasts_end(struct world *w);
/* A query: group ANY is a general one; VERSION 3 is the newest of both families (made.c). */
struct frame *frame_query(const union npp_addr *group, unsigned version);

/* ---- router advertisements (slaac.c) ----------------------------------------------------------------------- */

union npp_addr slaac_addr(const struct npp *n, unsigned prefix);
void slaac_start(struct npp *n);
void slaac_say(struct npp *n, uint64_t in_us);
void slaac_said(struct npp *n);			/* what EV_RA does */
void slaac_heard(struct npp *n, const struct frame *f);
void slaac_renumber(struct world *w);
void slaac_learned(struct npp *n, const struct npp_autoconf *a);
void slaac_verdict(struct world *w);
/* An advertisement of prefixes for so many SECONDS (made.c). */
struct frame *frame_ra(uint32_t seconds, bool renumbered);

/* ---- the callbacks of the stacks (sock.c) ------------------------------------------------------------ */

extern const struct stack_ops sim_ops;

/* ---- checks --------------------------------------------------------------------------------------------- */

void check_round(struct iop *p);	/* after each round */
void check_derived(struct iop *p);	/* indexes against their rebuild */
void check_gone(struct iop *p);		/* at the end: no record left */
/* A frame of IOP P that leaves, whole and with what is known of it. */
void wire_check(struct iop *p, const struct stack_tx *tx, struct frame *f);

/* ---- trace --------------------------------------------------------------------------------------------------- */

struct report {			/* in memory that the parent sees */
	char name[40];		/* of what did not hold */
	char text[600];
	uint64_t step, now_us;
	uint64_t seed;		/* being run */
	uint64_t frames, bytes, restarts;
};

_Noreturn void sim_fail(struct world *w, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void trace_frame(struct world *w, const char *what, unsigned npp, unsigned iop, struct frame *f);
/* libpcap format, what passes the port of NPP. */
int pcap_open(struct world *w, const char *prefix);
void pcap_write(struct world *w, unsigned npp, const struct frame *f);
void pcap_close(struct world *w);

/* ---- the world -------------------------------------------------------------------------------------------------- */

#define SIM_APPS (2 * PLAN_PROGS)
struct world {
	struct plan plan;
	struct report *report;
	FILE *trace;
	FILE *pcap[SIM_NPPS];
	uint64_t now_us, start_us, step, limit_us;
	struct event *heap;
	uint32_t n_heap, cap_heap;
	uint64_t order;
	struct npp npp[SIM_NPPS];
	struct link link[SIM_NPPS];
	struct app app[SIM_APPS];
	struct udp_app udp[PLAN_PROGS];
	struct mcast mcast[PLAN_PROGS];
	uint64_t dark_us;		/* longest outage of the plan */
	bool clean;
	uint32_t forced;		/* programs ended because nothing came any more */
	uint32_t flood_left, claims_left;
	bool renumbered;
	uint64_t frames, bytes, restarts;
};

/* Runs the plan; returns if all held. */
void world_run(const struct plan *p, struct report *r, FILE *tr, const char *pcap);

#endif
