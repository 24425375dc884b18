/* SPDX-License-Identifier: GPL-2.0-or-later
 * priv.h - inside the stack: the arena, a parsed packet, and what IP and the transports
 *          ask of each other
 */
#ifndef NPP_STACK_PRIV_H
#define NPP_STACK_PRIV_H

#include "net/wire.h"
#include "npp-ism/stack/stack.h"
#include "npp-ism/stack/wheel.h"

/* Every subsystem keeps its state in a part of the arena of its own. Each provides
 *   size_t X_size(cfg)              bytes, a multiple of 64
 *   void X_init(s, mem)             fresh state in zeroed memory at s->X
 *   int X_attach(s)                 checks and rebuilds what is derived; 0 or -EPROTO
 * for X in ip (ip.c: routes, neighbours, fragments, ICMP), udp, tcp. */
struct ip_state;
struct udp_state;
struct tcp_state;

struct stack {
	uint64_t magic;
	uint64_t layout_hash;
	uint64_t size;			/* of the arena */
	const struct stack_env *env;	/* process-local, rewritten at attach */
	struct stack_cfg cfg;
	uint64_t now_us;
	struct wheel wheel;
	uint64_t ip_off, udp_off, tcp_off;	/* from the start of the arena: how tools find them */
	struct ip_state *ip;
	struct udp_state *udp;
	struct tcp_state *tcp;
};

#define STAT_INC(s, id) npp_stat_inc((s)->env->stats, NPP_##id)
#define STAT_ADD(s, id, n) npp_stat_add((s)->env->stats, NPP_##id, (n))
#define STAT_SET(s, id, v) npp_stat_set((s)->env->stats, NPP_##id, (v))

/* An IP datagram, parsed once by ip_input() and handed down by pointer. */
struct pkt {
	const uint8_t *ip;		/* IP header */
	const uint8_t *l4;		/* transport header */
	uint32_t l4_len;		/* bytes from l4 to the end of the datagram (padding cut off) */
	union npp_addr src, dst;
	uint8_t proto, ttl, tos;	/* tos: DSCP and ECN */
	uint16_t proto_off;		/* IPv6: where in the packet the number `proto` stands */
	uint8_t port;			/* network port */
	bool csum_ok;			/* the transport checksum is vouched for */
	bool l2_bcast;			/* came by Ethernet broadcast or multicast */
	bool gso;			/* more than one segment's worth */
	uint16_t gso_size;		/* bytes of payload per segment, 0 unknown */
	uint32_t rx_us;
	const uint8_t *eth_src;		/* sender's MAC; NULL after reassembly */
};

/* ---- IP's services to the transports (ip.c, by IP) ------------------------------- */

/* Looks up the route to DST; SRC any: picks the source address. 0; -ENETUNREACH; or
 * -EADDRNOTAVAIL: SRC is not ours. */
int ip_path_init(struct stack *s, struct ip_path *p, const union npp_addr *src, const union npp_addr *dst);
/* The same to somebody who was heard on network port PORT: of ways that are as good that one. */
int ip_path_answer(struct stack *s, struct ip_path *p, const union npp_addr *src, const union npp_addr *dst,
		   uint8_t port);
/* P's peer was heard on PORT: if that is not where P goes, the way is looked for anew. */
static inline void ip_heard(struct ip_path *p, uint8_t port)
{
	if (p->heard == port + 1u)
		return;
	p->heard = (port + 1u) & 7;
	if (port != p->port)
		p->valid = 0;
}
/* Sends TX (transport header and payload in place, csum_off set: the checksum is filled in
 * here, as a partial one for the port to complete if the frame goes out whole) to P. GSO
 * frames go out whole; other payload above the MTU is fragmented unless DF. If the
 * neighbour is not resolved, a copy of small frames waits, and resolution starts.
 * 0; -ENETUNREACH, -EHOSTUNREACH, -EMSGSIZE, -ENOBUFS. */
int ip_output(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t ttl, bool df,
	      struct stack_tx *tx);
/* Is A one of our unicast addresses? */
bool ip_is_local(struct stack *s, const union npp_addr *a);
/* Is A a group, or a broadcast address? */
bool ip_is_group(struct stack *s, const union npp_addr *a);
/* The peer at P->next_hop was heard from in reply to us: keeps the cache fresh (RFC 4861, 7.3.1
 * in spirit, for ARP as well). Cheap; rate-limited inside. */
void ip_confirm(struct stack *s, struct ip_path *p);
/* A frag-needed message that the transport has validated: packets to P->dst must not be larger
 * than MTU. Tells the shared cache and lowers P->mtu (RFC 1191). */
void ip_pmtu(struct stack *s, struct ip_path *p, uint32_t mtu);
#define IP4_MIN_PMTU 552	/* a smaller path MTU counts as that, and routers may fragment */
/* What the link on P's way takes, whatever is known of the rest of it. */
uint16_t ip_link_mtu(struct stack *s, const struct ip_path *p);
/* The limit on resets that answer segments of no connection. */
bool ip_rst_allowed(struct stack *s);
/* ICMP destination unreachable about PKT, rate-limited (RFC 1812, 4.3.2). CODE as in RFC 792. */
void ip_send_unreachable(struct stack *s, const struct pkt *pkt, uint8_t code);
/* Verifies the transport checksum of PKT over the pseudo header unless vouched for. */
bool ip_l4_csum_ok(const struct pkt *pkt);

uint64_t ip_layout_hash(void);	/* of its records */
size_t ip_size(const struct stack_cfg *cfg);
void ip_init(struct stack *s, void *mem);
int ip_attach(struct stack *s);
/* An Ethernet frame from the port; parses, reassembles, hands on, calls the transports. */
void ip_input(struct stack *s, const struct npp_frame_rec *rec, const uint8_t *frame, uint32_t len);
void ip_ipc_input(struct stack *s, const struct npp_frame_rec *rec, const void *data, uint32_t len);
void ip_timer(struct stack *s, struct wheel_timer *t);
/* Part of stack_flush(), before tcp_flush() and once more after it: takes in the frames that we sent to
 * ourselves, and notices that the link role or the addresses changed. Bounded; what is left
 * has a timer. Also called by stack_set_env(). */
void ip_flush(struct stack *s);

/* ---- the transports' entries for IP ------------------------------------------------ */

void tcp_input(struct stack *s, const struct pkt *pkt);
/* An ICMP error quotes a segment of ours: KEY names the flow as the answer would (src = peer),
 * SEQ is the quoted sequence number. ERR: positive errno; MTU: next-hop MTU for EMSGSIZE. */
void tcp_icmp_error(struct stack *s, const struct npp_flow_key *key, uint32_t seq, int err, uint32_t mtu);
uint64_t tcp_layout_hash(void);	/* of its records */
size_t tcp_size(const struct stack_cfg *cfg);
void tcp_init(struct stack *s, void *mem);
int tcp_attach(struct stack *s);
void tcp_timer(struct stack *s, struct wheel_timer *t);
/* Fetches the connections whose timers fire next; before one timer in STACK_AHEAD. */
void tcp_ahead_timers(struct stack *s);
/* Connections by one of PORTS (a bitmap), whose carriers came or went, do not wait for their timers. */
void tcp_ports_changed(struct stack *s, uint32_t ports);
/* Delivers events and sends what became possible, for every connection that asked for it. */
void tcp_tfo_told(struct stack *s, const void *data, uint32_t len);	/* by another IOP: struct npp_ipc_tfo */
void tcp_flush(struct stack *s);
bool tcp_pending(const struct stack *s);	/* is there work for tcp_flush()? */

void udp_input(struct stack *s, const struct pkt *pkt);
/* An ICMP error quotes a datagram of ours: KEY as above; address and port of E are filled in here. */
void udp_icmp_error(struct stack *s, const struct npp_flow_key *key, struct stack_udp_error *e);
/* A router says that a datagram whose packet had BYTES bytes is larger than e->mtu. True: it quotes one that
 * we may well have sent, and counts. */
bool udp_too_big(struct stack *s, const struct npp_flow_key *key, uint32_t bytes, struct stack_udp_error *e);
uint64_t udp_layout_hash(void);
size_t udp_size(const struct stack_cfg *cfg);
void udp_init(struct stack *s, void *mem);
int udp_attach(struct stack *s);
/* For stack_inspect_udp(): MEM is the UDP part (arena + udp_off) of a stack configured by CFG, mapped
 * anywhere, SIZE what remains of the arena. */
bool udp_inspect(const void *mem, size_t size, const struct stack_cfg *cfg, uint32_t *cursor,
		 struct udp_endpoint *out);

/* ---- timers: which subsystem a wheel timer belongs to ---------------------------------- */
enum stack_timer_kind { TIMER_IP = 1, TIMER_TCP = 2 };

#endif
