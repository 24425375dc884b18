/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_helper.h - a TCP under test: its host, its peer, segments in and out
 *
 * struct th is one stack with a user that keeps byte rings and remembers events. Segments
 * that it sends collect in `out` (or go to `wire`, for a network); segments for it are
 * made relative to a connection. th_free() asserts that nothing was left behind.
 */
#ifndef NPP_TESTS_TCP_HELPER_H
#define NPP_TESTS_TCP_HELPER_H

#include <check.h>
#include <stdlib.h>

#include "npp-ism/stack/tcp.h"

/* Check's own assertions write to a file even when they hold; these are for what is asked
 * a million times. */
#define TH_ASSERT(e) do { if (!(e)) ck_abort_msg("Assertion '%s' failed", #e); } while (0)

#define TH_SOCKS 64
#define TH_OUT 512
#define TH_DATA 65536

/* A segment on its way, taken apart. */
struct th_seg {
	struct tcp_seg g;
	uint8_t *data;			/* g.len bytes, malloc'ed */
	uint16_t gso_size;
	uint8_t tos, ttl;
	uint8_t cookie[TCP_TFO_COOKIE_MAX];	/* Fast Open, g.tfo_len bytes */
};

/* A socket of the user. */
struct th_sock {
	struct tcp_conn *c;		/* NULL once freed */
	uint32_t events;		/* all so far */
	uint32_t n_freed, n_events;
	int error;
	uint8_t *rx, *tx;
	uint32_t rx_size, tx_size;
	uint32_t rx_head, rx_tail, tx_head, tx_tail; /* kept after the connection is gone */
	bool used;
	uint32_t n_urg, urg_off, urg_here;	/* urgent bytes: announced, the last one, the last that came out of order + 1 */
	/* for the two-stack test */
	uint32_t to_send, got;
	bool shut, closed;
};

struct th {
	struct stack *s;
	struct stack_env env;
	struct stack_cfg cfg;
	struct npp_global *global;
	npp_counter_t stats[NPP_IS_COUNT];
	union npp_addr addr, peer;
	uint16_t mtu, link_mtu;		/* link_mtu 0: the same */
	uint64_t now_us;
	uint64_t rnd;
	struct th_sock sock[TH_SOCKS];
	uint32_t n_accepted;
	struct th_seg out[TH_OUT];
	unsigned n_out, next_out;
	bool accept_room, accept_ok;
	uint32_t fastopen;		/* what the user allows */
	uint64_t tfo_key[NPP_TFO_KEYS][2];
	unsigned tfo_keys;		/* of its listeners */
	uint8_t in_tos;			/* of the packets that come */
	uint8_t out_tos, out_ttl;	/* of the packet that is being sent */
	struct npp_frame_rec ipc;	/* the last record for another IOP, with its body */
	uint8_t ipc_body[64];
	unsigned n_ipc;
	struct tcp_options given;	/* what listeners give to their connections */
	bool out_df;
	uint32_t rx_max;		/* largest receive ring */
	unsigned grow_fails;		/* of 100 calls */
	bool sink;			/* what is sent is not even looked at */
	/* Where segments go instead of `out`; takes DATA over. */
	void (*wire)(struct th *h, struct th_seg *seg, const union npp_addr *dst);
	void *wire_arg;
};

struct th *th_new(uint32_t max_conns);
void th_free(struct th *h);
uint64_t th_random(void *arg);		/* ARG: struct th */
int th_sent(struct th *h, const struct ip_path *p, struct stack_tx *tx);
void th_advance(struct th *h, uint64_t us); /* time passes, timers run, a flush follows */
void th_run_until_quiet(struct th *h, uint64_t max_us);
/* A segment from the peer. Options stand in G (opt, n_sack), ports too. */
void th_input(struct th *h, const struct tcp_seg *g, const void *data, uint16_t gso_size);
void th_input_noflush(struct th *h, const struct tcp_seg *g, const void *data, uint16_t gso_size);
/* The oldest segment not yet looked at; fails the test if there is none. */
struct th_seg *th_next(struct th *h);
bool th_none(struct th *h);		/* nothing was sent */
void th_forget(struct th *h);		/* everything that was sent */
struct tcp_listener *th_listen(struct th *h, uint16_t port, uint32_t backlog);
struct th_sock *th_sock_of(struct th *h, const struct tcp_conn *c);
uint32_t th_write(struct th *h, struct th_sock *k, const void *data, uint32_t len); /* into the ring, and tells */
uint32_t th_space(struct th *h, struct th_sock *k); /* room in the transmit ring, made larger if it can */
uint32_t th_read(struct th *h, struct th_sock *k, void *data, uint32_t len);
uint64_t th_stat(struct th *h, unsigned id);
void th_check(struct th *h);		/* invariants of every record */
void th_restart(struct th *h);		/* a successor attaches to the arena */

/* ---- a peer of one connection -------------------------------------------------------- */

struct tp {
	struct th *h;
	uint16_t lport, rport;		/* the stack's, the peer's */
	uint32_t seq, ack;		/* of the peer: next to send, next expected */
	uint32_t wnd;			/* field */
	uint32_t tsval, tsecr;
	uint8_t opt;			/* TO_* agreed */
	struct th_sock *k;
};
#define TP_ISS 0xfffffff0u		/* the peer's sequence numbers wrap early */

struct tcp_seg tp_seg(const struct tp *p, uint8_t flags, uint32_t len);
void tp_send(struct tp *p, uint8_t flags, const void *data, uint32_t len); /* advances p->seq */
void tp_send_at(struct tp *p, uint32_t seq, uint8_t flags, const void *data, uint32_t len);
/* Handshakes; the connection is established afterwards and nothing is in `out`. */
void tp_accept(struct tp *p, struct th *h, uint16_t lport, uint16_t rport, uint8_t opt);
void tp_connect(struct tp *p, struct th *h, uint16_t rport, uint8_t opt);
/* Takes everything that was sent, acknowledges nothing; p->ack moves over new data in order. */
uint32_t tp_drain(struct tp *p);

#endif
