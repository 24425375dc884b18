/* SPDX-License-Identifier: GPL-2.0-or-later
 * fake_stack.h - a stack without protocols that tests drive by hand
 *
 * Implements npp-ism/stack/stack.h over plain arrays and checks what the real one may
 * rely on: offsets within rings, rings within host memory. Every byte that it is given to send
 * is read.
 */
#ifndef NPP_TESTS_FAKE_STACK_H
#define NPP_TESTS_FAKE_STACK_H

#include "npp-ism/stack/stack.h"

/* A handshake on listener L is complete. The connection, or NULL: the user refused. */
struct tcp_conn *fake_accept(struct stack *s, struct tcp_listener *l, uint16_t rport);
extern uint32_t fake_raddr;
extern uint32_t fake_udp_mtu;	/* what the way to any peer takes */	/* where connections come from, in network order */
void fake_out_of_order(struct stack *s, struct tcp_conn *c, bool on);	/* something stands in its ring so */
bool fake_syn(struct stack *s, struct tcp_listener *l);	/* a SYN comes: is there room? */
void fake_connected(struct stack *s, struct tcp_conn *c);
void fake_refused(struct stack *s, struct tcp_conn *c, int err);
/* LEN bytes arrive in order; how many were taken. */
uint32_t fake_rx(struct stack *s, struct tcp_conn *c, const void *data, uint32_t len);
/* LEN bytes at offset AT arrive, perhaps beyond rx_head. */
bool fake_rx_at(struct stack *s, struct tcp_conn *c, uint32_t at, const void *data, uint32_t len);
void fake_fin(struct stack *s, struct tcp_conn *c);
/* The peer acknowledges LEN bytes of what was sent. */
void fake_ack(struct stack *s, struct tcp_conn *c, uint32_t len);
void fake_all_acked(struct stack *s, struct tcp_conn *c); /* and the FIN: UP_TX_DONE */
void fake_free(struct stack *s, struct tcp_conn *c, int err);
uint32_t fake_conns(struct stack *s);	/* TCBs in use */
bool fake_closed(struct stack *s, const struct tcp_conn *c);	/* the user has closed it */
uint32_t fake_reads(struct stack *s, const struct tcp_conn *c);	/* calls of stack_tcp_read() */
extern uint32_t fake_tx_up;		/* what stack_tcp_urgent() was told last */
extern bool fake_more;			/* and stack_tcp_more() */
extern uint32_t fake_pushed;		/* tx_head at the last stack_tcp_push() */
extern uint32_t fake_tx_useful;		/* what stack_tcp_tx_useful() says */
extern uint32_t fake_buf_most;		/* the most that stack_tcp_buf_most() says */
extern uint32_t fake_tx_sent;		/* and stack_tcp_tx_sent(), no more than was written */
extern uint32_t fake_rx_bound;		/* of stack_tcp_rx_bound() */
extern uint8_t fake_linger2;		/* what the last stack_tcp_close() was given */
struct tcp_conn *fake_any(struct stack *s, uint32_t r);
struct tcp_listener *fake_any_listener(struct stack *s, uint32_t r);
struct udp_endpoint *fake_any_udp(struct stack *s, uint32_t r);
void fake_udp_in(struct stack *s, struct udp_endpoint *ep, uint16_t port, const void *data, uint32_t len);
/* The last datagram sent. */
extern struct npp_frame_rec fake_input;	/* what stack_input() got last, and how often */
extern uint32_t fake_inputs;
extern struct fake_sent { struct npp_dgram d; uint32_t count; uint8_t first; } fake_sent;
/* Payload and rings must lie in one of these. */
extern struct fake_mem { const uint8_t *base; uint64_t size; } fake_mem[NPP_MAX_HOSTS];

#endif
