/* SPDX-License-Identifier: GPL-2.0-or-later
 * stack.h - the TCP/IP stack of one IOP, as its user sees it
 *
 * A library without system calls, clocks, threads or globals: time, randomness, frame
 * output and the sockets' byte rings come in through struct stack_env. The same
 * objects run in npp-ism, unit tests, fuzzers and the simulator.
 *
 * All state stands in one arena of stack_size() bytes that the user provides, at an
 * address that stays the same for the arena's life; a successor process calls
 * stack_attach() on it. The stack holds no frame: what stack_input() is given may be
 * overwritten when it returns.
 *
 * Its user here is npp-ism/socket/ (the socket ISM): it owns socket records and host
 * memory, checks every offset that comes from a host, and hands plain numbers down.
 */
#ifndef NPP_STACK_H
#define NPP_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "shm/abi.h"
#include "shm/stats.h"

struct stack;

struct stack_cfg {
	uint32_t iop, n_iops;
	uint32_t max_conns;	/* TCBs; the SYN cache has as many entries, at most 4096 */
	uint32_t max_listeners;
	uint32_t max_udp;
	uint32_t reass_bytes;	/* fragments held */
	uint64_t hash_key[2];	/* SipHash key of the tables that outsiders can fill */
	uint64_t isn_key[2];	/* RFC 6528 */
	uint64_t tfo_key[2];	/* of Fast Open cookies (RFC 7413): the same on all IOPs */
};

/* A frame on its way out. The transport writes its header at head + STACK_L4_OFF and sets
 * l4_len; IP and Ethernet put theirs in front. Payload slices point into byte rings and
 * are only valid during the call. */
#define STACK_L4_OFF 64
#define STACK_HEAD_MAX 160
#define STACK_SLICES 3
struct stack_slice { const void *data; uint32_t len; };
struct stack_tx {
	struct vnet_hdr vnet;		/* filled by ip_output() */
	uint8_t head[STACK_HEAD_MAX];
	uint16_t start;			/* ip_output(): offset of the Ethernet header in head */
	uint16_t l4_len;		/* bytes of transport header */
	uint16_t gso_size;		/* 0, or payload bytes per segment (TCP) */
	uint16_t csum_off;		/* of the checksum field in the transport header; 0xffff: complete already */
	uint32_t payload_len;		/* sum of the slices */
	uint32_t n_slices;
	struct stack_slice slice[STACK_SLICES];
};
/* The frame on the wire is head[start .. STACK_L4_OFF + l4_len) followed by the slices. */

/* ---- sockets as the user sees them --------------------------------------------- */

/* A byte ring in host memory; the byte with stream offset o stands at base[o & (size - 1)]. */
struct __attribute__((packed, aligned(4))) stack_ring { uint8_t *base; uint32_t size; };

/* Where packets to a peer go: a route with the next hop's Ethernet address. Kept by
 * connections; ip_output() refreshes it when the neighbour cache or the routes changed. */
struct ip_path {
	union npp_addr src, dst;
	uint16_t port : 4;
	uint16_t via : 12;		/* number of the route, plus 1; 0: straight to dst. See ip_next_hop() */
	uint8_t valid : 3, have_mac : 1;
	uint8_t heard : 3;		/* port that the peer was last heard by, plus 1; 0: not known */
	uint8_t stranger : 1;		/* perhaps nobody is there: what goes there is an answer, whatever it looks like */
	uint8_t id_slot;		/* counter of IP identifications */
	uint8_t mac[6];
	uint16_t mtu;			/* IP bytes per packet */
	uint32_t net_seq, neigh_changes; /* what it was computed from */
	uint32_t check_s, confirm_s;	/* seconds: when to look at the neighbour's age again, last confirmed */
	uint16_t ports[2];		/* a TCP connection's; nothing to IP */
};

#define STACK_NO_LISTENER 0xffffu
/* Public first part of a TCB. `user*` and the rings belong to the user, the rest is
 * read-only to it. */
struct tcp_conn {
	uint32_t index;			/* place in the TCB array */
	uint16_t gen : 12;		/* changes when it is reused */
	uint16_t passive : 1;		/* 1: opened by the peer */
	uint16_t error;			/* positive errno once it has failed */
	uint8_t state;			/* enum npp_tcp_state */
	uint8_t port;			/* network port of the session, as it was sent by last */
	uint8_t user_host;		/* user: host number */
	uint8_t soft_error;		/* the stack's own: positive errno that ICMP has told */
	uint32_t user_sock;		/* user: OSM handle; 0: none any more */
	uint32_t user_flags;
	uint16_t listener;		/* index of the listener it came from; STACK_NO_LISTENER: none */
	uint16_t mss_mtu;		/* the stack's own: path.mtu that the MSS was computed from */
	union {
		struct {
			union npp_addr laddr, raddr;
			uint8_t of_path[28];
			uint16_t lport, rport;	/* host order */
		};
		struct ip_path path;		/* the stack's own; it begins with the addresses and ends with these ports */
	};
	struct stack_ring rx, tx;
	/* Stream offsets mod 2^32 */
	uint32_t rx_head;		/* received in order */
	uint32_t rx_tail;		/* read by the program, as last told */
	uint32_t tx_head;		/* written by the program, as last told */
	uint32_t tx_tail;		/* acknowledged by the peer */
};

_Static_assert(offsetof(struct tcp_conn, path.dst) == offsetof(struct tcp_conn, raddr) &&
	       offsetof(struct tcp_conn, path.ports) == offsetof(struct tcp_conn, lport), "one place for both");
_Static_assert(sizeof(struct tcp_conn) == 2 * NPP_LINE, "two lines, which each segment needs");

struct tcp_listener {
	uint32_t index, gen;
	union npp_addr addr;		/* ::ffff:0.0.0.0: every IPv4 address, ::: every address of the NPP */
	uint16_t port;
	uint8_t user_host;
	uint8_t reuseport;
	uint8_t v6only;			/* with :: no IPv4 address */
	uint8_t pad[3];
	uint32_t backlog;
	uint32_t user_sock, user_gen;
	uint64_t user_off;		/* user: where its accept queue stands */
};

struct udp_endpoint {
	uint32_t index, gen;
	union npp_addr laddr, raddr;	/* raddr any: not connected */
	uint16_t lport, rport;
	uint8_t user_host;
	uint8_t reuseport, reuseaddr;
	uint8_t v6only;			/* with laddr :: no IPv4 */
	uint32_t user_sock, user_gen;
	uint32_t order;			/* of two that may both have a datagram, the later one has it */
	uint8_t mc_own;			/* hears only groups that it has joined itself */
	uint8_t pad2[3];
	uint64_t user_off;
};

/* Socket options that the stack acts on; set by stack_tcp_options(). Zero = default. */
struct tcp_options {
	uint32_t opt_flags;		/* NPP_OPT_* */
	uint32_t rcvbuf, sndbuf;	/* bytes; rcvbuf: that may be on offer */
	uint32_t rcv_least;		/* the same, where rcvbuf is 0: so many at least, as there are bounds; never less again */
	uint32_t keep_idle_s, keep_intvl_s, keep_cnt, user_timeout_ms;
	uint32_t cc;			/* enum npp_tcp_cc; what it does not know means the default */
	uint32_t max_pace;		/* bytes per second */
	uint16_t max_seg;		/* payload bytes of a segment, both ways; counts when it opens */
	uint8_t tos, ttl;
	uint8_t syn_cnt;		/* SYNs after the first one; counts when it opens */
	uint8_t defer;			/* listener: SYN-ACKs for which data is waited for, 0: none (NPP_TRIES_DEFER) */
	bool tell_sent;			/* TCP_UP_TX also when new data has left */
	uint8_t by_port;		/* when it opens: network port + 1 that the peer is at, of ways that are as good; 0: any */
};

/* Events of a connection, or-ed. */
#define TCP_UP_CONNECTED 1u	/* active open succeeded, or that of a passive one that was shut down before */
#define TCP_UP_RX 2u		/* rx_head moved */
#define TCP_UP_TX 4u		/* tx_tail moved */
#define TCP_UP_FIN 8u		/* the peer's FIN is in sequence */
#define TCP_UP_ERROR 16u	/* conn->error says why; the connection is dead for its user */
#define TCP_UP_FREED 32u	/* the TCB is about to go: the user's last look; rings may be taken back now */
#define TCP_UP_TX_DONE 64u	/* everything written and the FIN were acknowledged */
#define TCP_UP_PORT 128u	/* it goes on by another network port: conn->port */

struct stack_udp_error {
	int err;		/* positive errno */
	bool hard;		/* it is no passing trouble */
	uint8_t type, code;	/* of the ICMP message */
	uint16_t port;		/* where the datagram went, host order */
	union npp_addr addr;
	uint32_t mtu;		/* EMSGSIZE: of the way there */
};

struct stack_ops {
	/* A frame for network port PORT. Must copy or write it before it returns. */
	void (*tx)(void *arg, unsigned port, const struct stack_tx *tx);
	/* A record for IOP number IOP: KIND and its bytes. */
	void (*ipc)(void *arg, unsigned iop, enum npp_rec_kind kind, const struct npp_frame_rec *rec,
		    const void *data, uint32_t len);
	/* Random bits. */
	uint64_t (*random)(void *arg);

	/* A peer has completed a handshake on L: give C a socket (user_*) and queue it. 0, or
	 * -errno: the ACK is dropped and the SYN-cache entry stays (its peer tries again). */
	int (*accept)(void *arg, struct tcp_listener *l, struct tcp_conn *c);
	/* Is there room in L's accept queue for one more? Asked when a SYN comes. */
	bool (*accept_room)(void *arg, struct tcp_listener *l);
	/* How many connections by Fast Open may be half open on L? 0: none, L does without. NULL: always 0. */
	uint32_t (*fastopen)(void *arg, struct tcp_listener *l);
	/* Keys of L's cookies: how many (0: it has none of its own). NULL: no listener has. */
	unsigned (*fastopen_keys)(void *arg, struct tcp_listener *l, uint64_t key[NPP_TFO_KEYS][2]);
	/* What connections of L begin with: for the SYN-ACK, which leaves before there is a connection.
	 * accept() sets the same by stack_tcp_options(). O is zero. NULL: the defaults. */
	void (*listener_options)(void *arg, struct tcp_listener *l, struct tcp_options *o);
	void (*event)(void *arg, struct tcp_conn *c, uint32_t up);
	/* Make c->rx large enough to hold stream offsets up to END (exclusive) above rx_tail:
	 * allocate or grow c->rx, keeping bytes [rx_tail, rx_tail + c->rx.size) at their
	 * offsets. False: not now, or only to a part of it; the stack keeps what fits, drops the rest, and
	 * promises no more than C->rx holds until that is more. */
	bool (*rx_grow)(void *arg, struct tcp_conn *c, uint32_t end);
	/* The peer says that the byte with stream offset OFF is urgent; it may come much later. Called again with
	 * HERE if it comes out of order, so that it stands in the ring above rx_head. Both at once, not with
	 * the next event. NULL: nobody wants to know. */
	void (*urgent)(void *arg, struct tcp_conn *c, uint32_t off, bool here);

	/* A datagram for EP that was sent to TO: header and payload (one piece). */
	void (*udp_input)(void *arg, struct udp_endpoint *ep, const struct npp_dgram *d, const union npp_addr *to,
			  const void *payload);
	/* What follows from router advertisements has changed: A is all of it. NULL: not wanted. */
	void (*autoconf)(void *arg, const struct npp_autoconf *a);
	/* Somebody else uses an address of ours; at most once in ten seconds for each. NULL: not wanted. */
	void (*conflict)(void *arg, const struct npp_conflict *c);
	/* The groups that endpoints have joined have changed: G is all of them. NULL: not wanted. */
	void (*groups)(void *arg, const struct npp_groups *g);
	/* An ICMP error about a datagram that EP sent, or says to have sent. */
	void (*udp_error)(void *arg, struct udp_endpoint *ep, const struct stack_udp_error *e);
};

struct stack_env {	/* process-local; given anew at attach, never stored in the arena by value of a code address */
	const struct stack_ops *ops;
	void *arg;
	npp_counter_t *stats;			/* counters of an NPP_ROLE_ISM page */
	const struct npp_global *global;	/* program, addresses, routes, link role, granted ports */
	const struct npp_host_load *load;	/* of all IOPs, to share by load; NULL: nothing is known */
	const struct npp_neigh_table *neigh;	/* shared cache, read */
	struct npp_neigh_table *neigh_rw;	/* the same, writable; NULL without the link role */
};

/* ---- life ------------------------------------------------------------------------ */

size_t stack_size(const struct stack_cfg *cfg);
uint64_t stack_layout_hash(void);
/* Initializes ARENA (64-byte aligned, zeroed). The stack keeps ENV by pointer: it must
 * live as long as the process uses the stack. Returns the stack (== ARENA). */
struct stack *stack_init(void *arena, const struct stack_cfg *cfg, const struct stack_env *env);
/* A successor takes over: checks, rebuilds everything derived (hash chains, wheel, free
 * lists), drops a half-changed record, owes output to every connection. -EPROTO if the
 * arena makes no sense. */
int stack_attach(struct stack *s, const struct stack_env *env, uint64_t now_us);
/* The environment changed (link role came or went). */
void stack_set_env(struct stack *s, const struct stack_env *env);

/* ---- time -------------------------------------------------------------------------- */

/* Every entry below uses the time last set here (monotonic microseconds). */
void stack_set_now(struct stack *s, uint64_t now_us);
/* Runs timers that are due, at most BUDGET; returns how many ran. */
unsigned stack_run_timers(struct stack *s, unsigned budget);
/* When the next timer is due; UINT64_MAX: none. May be early, never late. */
uint64_t stack_next_timer(const struct stack *s);
/* Is there anything for stack_run_timers() at NOW_US? Cheap: for every round. */
bool stack_timer_due(struct stack *s, uint64_t now_us);

/* ---- frames ------------------------------------------------------------------------- */

/* A record from the receive ring or an IPC ring. DATA is LEN bytes: the frame, or the body
 * of an IPC record. */
void stack_input(struct stack *s, const struct npp_frame_rec *rec, const void *data, uint32_t len);
/* The N <= STACK_AHEAD frames that stack_input() will be given next: fetches their connections, so
 * that the waits for memory overlap. Worth calling where many connections are open; returns at
 * once where they are few. The frames may be anything. */
#define STACK_AHEAD 32
void stack_prefetch(struct stack *s, const void *const *frame, const uint32_t *len, unsigned n);
/* End of a batch of input: ACKs that waited for more and transmissions that became
 * possible are sent now. Call after each batch, before sleeping. */
void stack_flush(struct stack *s);

/* ---- TCP ------------------------------------------------------------------------------ */

/* Listener replica; the user fields are copied from TEMPLATE. NULL and *ERR: -EADDRINUSE,
 * -ENOBUFS. */
struct tcp_listener *stack_listen(struct stack *s, const struct tcp_listener *template, int *err);
/* Removes it; its half-open connections are dropped, its established ones stay. */
void stack_unlisten(struct stack *s, struct tcp_listener *l);
struct tcp_listener *stack_listener(struct stack *s, uint32_t index); /* NULL: none there */

/* Active open. LADDR any: chosen by route. LPORT 0: a source port is picked from 32768-60999
 * whose answers hash to this IOP and that is not granted or in use towards that peer.
 * NULL and *ERR: -EADDRNOTAVAIL no port or address, -ENETUNREACH, -ENOBUFS, -EADDRINUSE. */
struct tcp_conn *stack_connect(struct stack *s, const union npp_addr *laddr, uint16_t lport,
			       const union npp_addr *raddr, uint16_t rport,
			       const struct tcp_options *opts, int *err);
/* With NPP_OPT_FASTOPEN in OPTS, and a cookie of that peer at hand, the user may write before the
 * handshake: TCP_UP_CONNECTED comes at once (and a second time), and the SYN waits a moment for data. */
struct tcp_conn *stack_conn(struct stack *s, uint32_t index); /* NULL: none there */
uint32_t stack_conn_limit(const struct stack *s);		/* indexes are below this */

void stack_tcp_options(struct stack *s, struct tcp_conn *c, const struct tcp_options *o);
/* The program wrote up to TX_HEAD (checked by the caller: tx_head - tx_tail <= ring size). */
void stack_tcp_sent(struct stack *s, struct tcp_conn *c, uint32_t tx_head);
/* After that: will more follow soon? Then a segment that is not full waits for it as with a cork, but only until something
 * is acknowledged. */
void stack_tcp_more(struct stack *s, struct tcp_conn *c, bool more);
/* What it wrote up to TX_UP is urgent (checked: tx_up - tx_tail <= ring size); may come before the bytes. */
void stack_tcp_urgent(struct stack *s, struct tcp_conn *c, uint32_t tx_up);
/* The program read up to RX_TAIL (checked: not beyond rx_head). Updates the window. */
void stack_tcp_read(struct stack *s, struct tcp_conn *c, uint32_t rx_tail);
/* Stream offset that rx_tail must reach for a window update to be worth sending; valid
 * while *WANT. The user publishes it as rx_wake. */
uint32_t stack_tcp_rx_wake(const struct stack *s, const struct tcp_conn *c, bool *want);
/* Holds C nothing out of order? Then, while rx_tail == rx_head, the user may take the receive
 * ring back; rx_grow makes another one. */
bool stack_tcp_rx_empty(const struct stack *s, const struct tcp_conn *c);
/* Bytes of transmit ring that C has a use for now: twice what may be in flight, but no
 * more than 1 MB if the peer is not more than 1 ms away. */
uint32_t stack_tcp_tx_useful(const struct stack *s, const struct tcp_conn *c);
/* What a ring of C may become by itself of the MAX that the NPP allows. */
uint32_t stack_tcp_buf_most(const struct tcp_conn *c, uint32_t max);
/* How far the stream was sent, once at least. */
uint32_t stack_tcp_tx_sent(const struct stack *s, const struct tcp_conn *c);
/* With so many bytes unread the window is so small, or the ring so full, that a peer may send no more. */
uint32_t stack_tcp_rx_bound(const struct tcp_conn *c);
/* No more data after TX_FINAL: FIN follows it. */
void stack_tcp_shutdown(struct stack *s, struct tcp_conn *c, uint32_t tx_final);
/* The user is done with it: shutdown, and what still arrives is answered by RST. LINGER2: see NPP_TRIES_LINGER2. The
 * connection lives on until TX_FINAL and FIN are acknowledged (UP_TX_DONE, UP_FREED). */
void stack_tcp_close(struct stack *s, struct tcp_conn *c, uint32_t tx_final, uint8_t linger2);
/* What it wrote and what may be sent leaves now, not at the next flush. */
void stack_tcp_push(struct stack *s, struct tcp_conn *c);
/* RST now, TCB freed (UP_FREED comes before this returns); nothing that waits is sent before. */
void stack_tcp_abort(struct stack *s, struct tcp_conn *c);
void stack_tcp_brief(const struct stack *s, const struct tcp_conn *c, struct npp_tcp_brief *out);

/* ---- UDP -------------------------------------------------------------------------------- */

struct udp_endpoint *stack_udp_bind(struct stack *s, const struct udp_endpoint *template, int *err);
void stack_udp_unbind(struct stack *s, struct udp_endpoint *ep);
/* Gives EP another peer, or (RADDR any) none; LADDR: what it was bound to. Its peer's datagrams
 * are its alone from now on, all others are not. 0 or -errno. */
int stack_udp_connect(struct stack *s, struct udp_endpoint *ep, const union npp_addr *laddr,
		      const union npp_addr *raddr, uint16_t rport);
/* EP has now joined the N groups M and no others; addresses in them were not checked. 0; -ENOBUFS: for
 * some there was no room (counted). */
int stack_udp_members(struct stack *s, struct udp_endpoint *ep, const struct npp_member *m, unsigned n);
struct udp_endpoint *stack_udp(struct stack *s, uint32_t index);
/* Bytes of a packet on the way to EP's peer, or without one to where it sent last, as far as is known; 0: there is no
 * way, or it is not known. */
uint32_t stack_udp_mtu(struct stack *s, const struct udp_endpoint *ep);
/* Sends one datagram to d->addr:d->port (fragments if it must and NPP_DGRAM_WHOLE does not forbid it), or as many
 * as NPP_DGRAM_SEG(d->flags) says (one slice). 0 or -errno: -EMSGSIZE, -ENETUNREACH, -EACCES broadcast without NPP_DGRAM_BCAST. */
int stack_udp_send(struct stack *s, struct udp_endpoint *ep, const struct npp_dgram *d,
		   const struct stack_slice *slices, unsigned n_slices);
/* The same from SRC, an address of ours; -EADDRNOTAVAIL: it is not. */
int stack_udp_send_from(struct stack *s, struct udp_endpoint *ep, const struct npp_dgram *d,
			const union npp_addr *src, const struct stack_slice *slices, unsigned n_slices);

/* ---- inspection --------------------------------------------------------------------------- */

/* Walks a stack arena mapped read-only at any address by a tool (or its own). */
struct stack_conn_info {
	struct tcp_conn conn;		/* pointers in it are meaningless to a tool */
	struct npp_tcp_brief brief;
};
/* Each copies record *CURSOR, or the next one in use, and moves *CURSOR behind it; false at
 * the end. */
bool stack_inspect_conn(const void *arena, size_t size, uint32_t *cursor, struct stack_conn_info *out);
bool stack_inspect_listener(const void *arena, size_t size, uint32_t *cursor, struct tcp_listener *out);
/* A group: how many sockets of it, what routers are told (FILTER), and the IOP's reports still due. */
struct stack_group_info {
	union npp_addr group;
	uint8_t port, own, exclude, n_sources;	/* own: solicited-node group of an address of ours */
	uint16_t members;
	uint8_t hosts;				/* bitmap */
	uint8_t due;
	union npp_addr source[16];
};
bool stack_inspect_group(const void *arena, size_t size, uint32_t *cursor, struct stack_group_info *out);
bool stack_inspect_udp(const void *arena, size_t size, uint32_t *cursor, struct udp_endpoint *out);

#endif
