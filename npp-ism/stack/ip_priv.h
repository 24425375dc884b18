/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip_priv.h - inside IP: its part of the arena, and what its files ask of each other
 *
 * ip.c       life, timers, frames in by EtherType, frames to ourselves
 * route.c    addresses and routes (a private copy of the global ones), struct ip_path
 * neigh.c    the shared neighbour cache: everybody reads, the link role writes
 * neigh_wait.c  frames that wait for a neighbour, and asking for it
 * neigh_work.c  resolving neighbours, for the link role: retries, reachability
 * arp.c, nd.c   its packets: ARP; neighbour discovery
 * acd.c      somebody else has an address of ours
 * nd_auto.c  router advertisements and what follows from them
 * deliver.c  a whole datagram to the IOP that owns it, and there to its protocol
 * ip4_in.c, ip4_out.c, icmp4.c    IPv4
 * ip6_in.c, ip6_ext.c, ip6_out.c, icmp6.c   IPv6
 * frag.c, reass.c  fragments of both
 * group.h  multicast groups: group.c, group_talk.c, igmp.c, mld.c
 *
 * Only files with a 4 or 6 in their name, arp.c, nd.c and frag.c know IP headers; the rest
 * deals in union npp_addr.
 */
#ifndef NPP_STACK_IP_PRIV_H
#define NPP_STACK_IP_PRIV_H

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "net/checksum.h"
#include "net/hash.h"
#include "net/wire.h"
#include "npp-ism/stack/group.h"
#include "npp-ism/stack/priv.h"

#define IP_PROTO_ICMP 1
#define IP_PROTO_IGMP 2
#define IP_PROTO_TCP 6
#define IP_PROTO_UDP 17
#define IP_PROTO_HOPOPTS 0	/* IPv6 extension headers */
#define IP_PROTO_ROUTING 43
#define IP_PROTO_FRAGMENT 44
#define IP_PROTO_ICMP6 58
#define IP_PROTO_NONE 59
#define IP_PROTO_DSTOPTS 60
#define IP_TTL_DEFAULT 64
static inline uint32_t ip_min_pmtu(const union npp_addr *dst)
{
	return npp_addr_is_v4(dst) ? IP4_MIN_PMTU : IP6_MTU_MIN;
}

/* ---- addresses and routes: a copy of the global tables ------------------------------- */

#define IP_NET_ROUTES (NPP_MAX_ROUTES + NPP_MAX_PORTS * NPP_MAX_IF_ADDRS)
_Static_assert(IP_NET_ROUTES < 1 << 12, "ip_path.via");
struct ip_net {		/* derived from npp_global; longest prefix first, then metric */
	uint32_t seq;	/* net_seq it was copied at; odd: never */
	uint32_t n_addrs, n_routes, n_ports;
	uint32_t up;	/* bitmap of the ports that have a carrier */
	uint32_t n_bcasts;
	struct npp_if_addr addr[NPP_MAX_IF_ADDRS];
	uint32_t bcast[NPP_MAX_IF_ADDRS];	/* directed broadcast addresses of their networks */
	struct npp_route route[IP_NET_ROUTES];
};

/* Ports that may be used: those that are up, or all if none is. */
static inline uint32_t ip_ports(const struct ip_net *n)
{
	return n->up ? n->up : (1u << n->n_ports) - 1;
}

enum ip_path_kind { IP_PATH_NONE = 0, IP_PATH_UNICAST, IP_PATH_LOCAL, IP_PATH_GROUP };
enum ip_dst_kind { IP_DST_OTHER = 0, IP_DST_LOCAL, IP_DST_BROADCAST, IP_DST_MULTICAST };

/* ---- neighbours ------------------------------------------------------------------------ */

#define NEIGH_WAITS 32		/* neighbours waited for */
#define NEIGH_WAIT_FRAMES 32	/* frames each: a 40 KB datagram in fragments */
#define NEIGH_FRAMES 128	/* frames all together */
/* Of each of these, answers to who spoke to us first have no more than half: who is really there has asked for our
 * address, which told us his. Nor are they kept from that half. When there is no room, who has not answered soon makes some. */
#define NEIGH_STRANGER_FRAMES 16	/* for one of them */
#define NEIGH_PATIENCE_US 200000u
#define NEIGH_FRAME_MAX 2048
#define NEIGH_WORKS 64		/* resolutions under way (link role) */
#define NEIGH_TRIES 3
#define NEIGH_RETRY_US 1000000u
#define NEIGH_WAIT_US 5000000u	/* a frame waits no longer */
#define NEIGH_HOLD_US 3000000u	/* no new attempt so soon after a failure */
#define NEIGH_FRESH_US 30000000u /* reconfirmed when older and in use; see neigh_fresh_us() */
#define NEIGH_TICK_US 200000u
#define NEIGH_ASKED 64
#define NEIGH_NEAR 16u

struct neigh_frame {
	uint32_t len;
	struct vnet_hdr vnet;
	uint8_t data[NEIGH_FRAME_MAX];
};
struct neigh_wait {
	union npp_addr addr;
	uint8_t used : 7;	/* written last when filled, first when freed */
	uint8_t stranger : 1;	/* only answers wait */
	uint8_t port;
	uint16_t n;
	uint16_t frame[NEIGH_WAIT_FRAMES];
	uint64_t born_us, asked_us;
};
struct neigh_work {	/* link role: a resolution or reconfirmation */
	union npp_addr addr;
	uint8_t used;
	uint8_t port;
	uint8_t tries;
	uint8_t unicast;	/* tries left that go to the known address only */
	uint8_t stranger;	/* only answers wait for it */
	uint32_t askers;	/* bitmap of IOPs to tell */
	uint64_t due_us, born_us;
};
struct neigh_view {	/* a consistent copy of an entry */
	enum npp_neigh_state state;
	uint8_t mac[6];
	uint16_t pmtu;
	uint64_t updated_us, pmtu_us;
};

/* ---- reassembly -------------------------------------------------------------------------- */

#define REASS_CHUNK 2048u
#define REASS_CHUNKS_PER 32u	/* 65536 / REASS_CHUNK */
#define REASS_NONE 0xffffu
#define REASS_TIMEOUT_US 60000000u	/* RFC 8200, 4.5; RFC 1122, 3.3.2 */
#define REASS_SRC_BUCKETS 256u
enum reass_state { REASS_FREE = 0, REASS_LIVE, REASS_POISONED, REASS_CHANGING };

struct reass_ent {
	union npp_addr src, dst;
	uint32_t id;
	uint8_t proto;
	uint8_t state;		/* enum reass_state; CHANGING while the record is worked on */
	uint8_t port;
	uint8_t tos, ttl;	/* of the first fragment */
	uint8_t ecn;		/* bit 1 << ECN field for each fragment seen */
	uint8_t l2_bcast;
	uint8_t next;		/* protocol of the whole, as the first fragment says; IPv4: as proto */
	uint8_t eth_src[6];
	uint32_t total;		/* bytes of the whole, 0 unknown yet */
	uint32_t units;		/* 8-byte units present */
	uint32_t end;		/* highest byte seen */
	uint32_t first_len;	/* bytes of the first fragment, 0 not seen */
	uint32_t chunks;
	uint32_t rx_us;
	uint64_t born_us;
	uint16_t chunk[REASS_CHUNKS_PER];
	uint64_t bits[65536 / 8 / 64];	/* which units are present */
	/* derived */
	uint16_t hash_next, older, newer;
	uint16_t src_bucket, src_older, src_newer;	/* bucket of sources, and its own list by age */
};
struct reass {
	struct reass_ent *ent;
	uint8_t *chunk_mem;
	uint16_t *chunk_free, *hash_head;
	uint32_t n_ents, n_chunks, n_hash;
	/* derived */
	uint32_t n_chunks_free;
	uint16_t ent_free, oldest, newest;
	struct reass_src { uint16_t oldest, newest, ents, chunks; } src[REASS_SRC_BUCKETS];
};
/* A fragment: bytes [off, off + len) of the payload of datagram (src, dst, proto, id). */
struct reass_frag {
	union npp_addr src, dst;
	const uint8_t *data;
	uint32_t id, off, len, rx_us;
	uint8_t proto, tos, ttl, port;	/* proto: as part of the key, IP_PROTO_FRAGMENT for IPv6 */
	uint8_t next;			/* protocol of what it carries */
	uint16_t first_min;		/* bytes that a first fragment must hold */
	bool more, l2_bcast;
	const uint8_t *eth_src;
};

/* ---- autoconfiguration (nd_auto.c), link role --------------------------------------------- */

/* What we believe of advertised times; beyond it nobody gains by a forged one. */
#define ND_REACHABLE_MIN_MS 1000u
#define ND_REACHABLE_MAX_MS 3600000u	/* RFC 4861, 6.2.1 */
#define ND_RETRANS_MIN_MS 200u
#define ND_RETRANS_MAX_MS 10000u

struct nd_prefix {
	union npp_addr prefix;
	uint8_t len, used, autonomous, port;
	uint8_t duplicate;	/* somebody else has our address of it */
	uint64_t on_link_us;	/* on the link until then; 0 it was never said, UINT64_MAX for ever */
	uint64_t valid_us, preferred_us;	/* `autonomous`: the same of our address */
	uint64_t tested_until_us;
};
struct nd_router { union npp_addr addr; uint64_t until_us, heard_us; /* until_us 0: none here */ uint8_t port; int8_t pref; };
struct nd_link {	/* of a port */
	uint8_t rs_left;
	uint8_t hops;		/* 0: not said */
	uint16_t mtu;
	uint32_t base_ms;	/* reachable time as it was said, 0 not */
	uint32_t reachable_ms;	/* what we made of it (RFC 4861, 6.3.2) */
	uint32_t retrans_ms;	/* between questions; 0 not said */
	uint64_t drawn_us;	/* reachable_ms is drawn anew from time to time */
};
struct nd_auto {
	struct nd_prefix prefix[NPP_AUTO_MAX];
	struct nd_router router[NPP_AUTO_MAX];
	struct npp_autoconf last;	/* what was told */
	uint8_t told;
	uint8_t may_tell;	/* so often at once; one more for each second since tell_us */
	uint64_t tell_us;
	struct nd_link link[NPP_MAX_PORTS];
};

/* The bucket of an address, worked out with KEY. */
struct neigh_place {
	union npp_addr addr;
	uint64_t key[2];
	uint32_t bucket;
	uint8_t port, known;
};

/* ---- address conflicts (acd.c), link role -------------------------------------------------- */

#define ACD_ANNOUNCES 2
struct acd_addr {	/* of one of our addresses */
	union npp_addr addr;
	uint64_t defended_us, told_us;	/* when last; 0 never */
	uint32_t unsaid;	/* conflicts since the user was told */
};

/* ---- IP's part of the arena ------------------------------------------------------------------ */

enum ip_timer_arg { IPT_NEIGH = 0, IPT_REASS, IPT_LOCAL, IPT_ANNOUNCE, IPT_AUTO, IPT_GROUP, IPT_COUNT };
#define IP_LOCAL_BYTES (256u * 1024)
#define IP_LOCAL_ROUNDS 4	/* per flush, of answers to ourselves to answers to ourselves */
#define IP_ID_SLOTS 256
/* What is answered without a connection, per second and at once. Who asks for more is no stranger
 * with a question: the answers of a flood cost more than to read it, and the time is others'. */
#define ICMP_RATE 200		/* errors */
#define ICMP_BURST 50
#define ECHO_RATE 10000
#define ECHO_BURST 2000
#define RST_RATE 10000
#define RST_BURST 2000
struct ip_rate { uint64_t us; uint32_t tokens; };

/* Whom we have sent large echo replies over IPv6: echo_mtu.c. */
#define ECHO_PEERS 64u
#define ECHO_WAYS 4u
struct echo_peer {
	union npp_addr addr;		/* any: the place is free */
	uint32_t rest;			/* identifier and sequence number of the last one */
	uint32_t at_s, mtu_s;		/* when it was, and when mtu was learned */
	uint16_t len;			/* ICMP bytes of it */
	uint16_t mtu;			/* 0: none is known */
};

struct ip_state {
	struct ip_net net;
	struct wheel_timer timer[IPT_COUNT];
	uint8_t role;		/* we acted as the link role */
	uint8_t announce_left;
	uint8_t announce_test;	/* the first time is a question whether somebody else has the address */
	uint32_t net_seq, up;	/* addresses, routes and ports as they were when we last looked around */
	uint16_t id_frag[IP_ID_SLOTS], id_df[IP_ID_SLOTS];
	uint32_t id6;		/* counts IPv6 datagrams that were fragmented */
	struct ip_rate icmp_rate, echo_rate, rst_rate;
	struct echo_peer echo[ECHO_PEERS];
	struct acd_addr acd[NPP_MAX_IF_ADDRS];	/* place as in net.addr */
	struct neigh_place near[NEIGH_NEAR];	/* derived: where the last ones stand in the table */
	struct { uint32_t tag, at_s; } asked[NEIGH_ASKED]; /* rate limit of reconfirmations */
	struct nd_auto autoconf;
	struct mc_state mc;
	struct neigh_wait wait[NEIGH_WAITS];
	struct neigh_work work[NEIGH_WORKS];
	uint16_t frame_free[NEIGH_FRAMES]; /* derived */
	uint32_t n_frames_free;
	struct reass reass;
	uint32_t local_head, local_tail; /* of the ring of frames to ourselves; bytes mod 2^32 */
	uint32_t in_flush;
	struct neigh_frame *frame;
	uint8_t *local;		/* IP_LOCAL_BYTES */
	uint8_t *reass_buf;	/* a datagram that was put together */
	uint8_t *out_buf;	/* a frame in one piece for IPC */
};

/* A frame on its way in. */
struct ip_in {
	const uint8_t *frame;
	uint32_t len;
	uint32_t hash;		/* of the flow, 0 unknown */
	uint32_t rx_us;
	uint16_t gso_size;
	uint8_t port;
	bool csum_ok;
	bool final;		/* handed on or sent by ourselves: ours whatever the hash says */
	bool local;		/* did not come from the port */
};

/* Coarse time for rate limits and ages (units of 2^20 us). */
static inline uint32_t ip_now_s(const struct stack *s)
{
	return (uint32_t)(s->now_us >> 20);
}

/* Hop limit of unicast that asks for none: for IPv6 routers may say it (RFC 4861, 6.3.4). */
static inline uint8_t ip_default_hops(const struct stack *s, const struct ip_path *p)
{
	uint8_t hops = npp_addr_is_v4(&p->dst) ? 0 :
		       NPP_RA6_HOPS(atomic_load_explicit(&s->env->global->port[p->port].ra6, memory_order_relaxed));

	return hops ? hops : IP_TTL_DEFAULT;
}

/* How long a confirmed neighbour on PORT is believed: for IPv6 routers may say it (RFC 4861, 6.3.4). */
static inline uint32_t neigh_fresh_us(const struct stack *s, const union npp_addr *addr, uint8_t port)
{
	uint32_t ms = npp_addr_is_v4(addr) ? 0 :
		      atomic_load_explicit(&s->env->global->port[port].ra6_reachable_ms, memory_order_relaxed);

	return ms && ms <= ND_REACHABLE_MAX_MS ? ms * 1000 : NEIGH_FRESH_US;
}

/* Is MAC that of a port of ours? Two of them may be on one network. */
static inline bool ip_own_mac(const struct stack *s, const uint8_t *mac)
{
	for (uint32_t i = 0; i < s->ip->net.n_ports; i++)
		if (memcmp(s->env->global->port[i].mac, mac, 6) == 0)
			return true;
	return false;
}

static inline uint64_t ip_align(uint64_t n)
{
	return (n + 63) & ~(uint64_t)63;
}

void ip_timer_arm(struct stack *s, enum ip_timer_arg which, uint64_t due_us);
/* The frame of TX in one piece at BUF (NPP_FRAME_MAX); its length. */
uint32_t ip_gather(const struct stack_tx *tx, uint8_t *buf);
/* The IOP that owns the flow KEY by the running program. */
unsigned ip_owner(struct stack *s, const struct npp_flow_key *key);
unsigned ip_owner_hash(struct stack *s, uint32_t hash);	/* the same, its hash being known */
void ip_flow_key(struct npp_flow_key *key, const union npp_addr *src, const union npp_addr *dst,
		 uint8_t proto, const uint8_t *ports);
/* Takes a whole frame for an address of our own; a copy is queued, or goes to its owner. */
int ip_local_out(struct stack *s, const struct ip_path *p, uint8_t proto, const struct stack_tx *tx);
void ip_hand_on(struct stack *s, unsigned iop, const struct ip_in *in, uint32_t len);

/* ---- route.c */
void route_renew(struct stack *s);

/* Renews the copy when the global tables changed; is asked several times for each frame. */
static inline void route_sync(struct stack *s)
{
	if (s->ip->net.seq != atomic_load_explicit(&s->env->global->net_seq, memory_order_acquire))
		route_renew(s);
}

enum ip_dst_kind route_dst_kind(struct stack *s, const union npp_addr *a);
/* Is A reached directly on PORT? */
bool route_on_link(struct stack *s, const union npp_addr *a, uint8_t port);
/* Is our address A to be had on PORT? One of another port is, while that is down, if its network lies
 * on PORT, too; one of the NPP as a whole where the way to PEER goes (any: everywhere). */
bool route_answers(struct stack *s, const union npp_addr *a, const union npp_addr *peer, uint8_t port);
/* Is it A that all on PORT should know to be there? */
bool route_announced(struct stack *s, const struct npp_if_addr *a, uint8_t port);
/* An address of ours to speak to PEER with on PORT; NULL: none. */
const union npp_addr *route_source(struct stack *s, const union npp_addr *peer, uint8_t port);
const union npp_addr *route_link_local(struct stack *s, uint8_t port);	/* of IPv6, ours; NULL none */
int ip_path_refresh(struct stack *s, struct ip_path *p);
/* Who is on the link, on the way to P->dst. P was worked out from the routes as they are now. */
static inline const union npp_addr *ip_next_hop(const struct stack *s, const struct ip_path *p)
{
	const struct ip_net *n = &s->ip->net;

	return p->via && p->via <= n->n_routes && p->net_seq == n->seq ? &n->route[p->via - 1].via : &p->dst;
}

static inline bool ip_path_fresh(const struct stack *s, const struct ip_path *p)
{
	return p->valid != IP_PATH_NONE && p->have_mac && p->net_seq == s->ip->net.seq &&
	       p->net_seq == atomic_load_explicit(&s->env->global->net_seq, memory_order_acquire) &&
	       (!s->env->neigh || p->neigh_changes ==
		atomic_load_explicit(&s->env->neigh->changes, memory_order_acquire)) &&
	       (int32_t)(ip_now_s(s) - p->check_s) < 0;
}

/* ---- neigh.c */
bool neigh_lookup(struct stack *s, const union npp_addr *addr, uint8_t port, struct neigh_view *v);
uint32_t neigh_tag(const struct npp_neigh_table *t, const union npp_addr *addr, uint8_t port);
/* Writers: only with env->neigh_rw. */
void neigh_take_role(struct stack *s);
/* Entry for ADDR, made if MAKE (may evict); NULL: none. */
struct npp_neigh *neigh_entry(struct stack *s, const union npp_addr *addr, uint8_t port, bool make);
void neigh_set(struct stack *s, struct npp_neigh *e, enum npp_neigh_state state, const uint8_t *mac,
	       bool used);
void neigh_touch(struct stack *s, struct npp_neigh *e);	/* confirmed and in use */
void neigh_set_pmtu(struct stack *s, const union npp_addr *dst, uint8_t port, uint16_t mtu);
/* PORT has a carrier again: who did not answer is asked anew, and who did, too. */
void neigh_port_up(struct stack *s, uint8_t port);

/* ---- neigh_wait.c */
/* A copy of TX waits for P->next_hop. 0; -ENOBUFS; -EHOSTUNREACH: it failed lately. */
int neigh_wait_add(struct stack *s, const struct ip_path *p, const struct stack_tx *tx);
void neigh_wait_run(struct stack *s);	/* sends or drops what can be; asks again */
/* Ask the link role (or be it) for ADDR, who may be a STRANGER. */
void neigh_ask(struct stack *s, const union npp_addr *addr, uint8_t port, bool stranger);
/* As neigh_ask, for an entry that grows old: at most once a second. */
void neigh_reconfirm(struct stack *s, const union npp_addr *addr, uint8_t port);
void neigh_ipc_input(struct stack *s, enum npp_rec_kind kind, const struct npp_ipc_neigh *n);
void neigh_attach(struct stack *s);
/* The role is ours now: whoever waits asks again, us. */
void neigh_tell_role(struct stack *s);
bool neigh_busy(const struct ip_state *ip); /* is there anything that neigh_timer() has to do? */
void neigh_timer(struct stack *s);

/* ---- neigh_work.c (link role) */
struct neigh_work *neigh_work_find(struct ip_state *ip, const union npp_addr *addr, uint8_t port);
/* Asks about ADDR, whose entry E is, for a STRANGER perhaps; ASKERS are told in the end. */
void neigh_work_start(struct stack *s, struct npp_neigh *e, const union npp_addr *addr, uint8_t port,
		      uint32_t askers, bool stranger);
/* W has ended, well or not: tell who had asked. */
void neigh_work_end(struct stack *s, struct neigh_work *w, const uint8_t *mac);
/* Starts (or joins) resolving ADDR for IOP number ASKER. */
void neigh_resolve(struct stack *s, const union npp_addr *addr, uint8_t port, unsigned asker, bool stranger);
void neigh_work_run(struct stack *s);
void neigh_work_drop(struct stack *s);
/* ADDR says it is at MAC. ANSWER: to a question of ours; ASKS: it asked for an address of ours. */
void neigh_learn(struct stack *s, const union npp_addr *addr, const uint8_t *mac, uint8_t port,
		 bool answer, bool asks);

/* ---- arp.c (link role) */
void arp_input(struct stack *s, const struct ip_in *in);
/* A question for ADDR from SRC; MAC NULL: to everybody, else to that address only. */
void arp_solicit(struct stack *s, const union npp_addr *addr, uint8_t port, const union npp_addr *src,
		 const uint8_t *mac);
void arp_announce(struct stack *s);

/* ---- acd.c (link role) */
/* Somebody else, at MAC, uses our address ADDR. True: it is to be defended now. */
bool acd_conflict(struct stack *s, const union npp_addr *addr, uint8_t port, const uint8_t *mac);
void acd_begin(struct stack *s, bool test);	/* TEST: the first time is a question whether somebody else has them */	/* announces our addresses, and again */
void acd_timer(struct stack *s);

/* ---- nd.c (link role) */
void nd_input(struct stack *s, const struct ip_in *in, const struct pkt *pkt);
void nd_solicit(struct stack *s, const union npp_addr *addr, uint8_t port, const union npp_addr *src,
		const uint8_t *mac);
void nd_announce(struct stack *s);
void nd_probe(struct stack *s, const union npp_addr *addr, uint8_t port); /* has somebody else ADDR? */
void nd_ask_routers(struct stack *s, uint8_t port);

/* ---- nd_auto.c (link role) */
void nd_auto_begin(struct stack *s);
void nd_auto_end(struct stack *s);
void nd_auto_ports(struct stack *s, uint32_t came);	/* bitmap of ports that have a carrier again: asks routers there */
void nd_auto_timer(struct stack *s);
void nd_advertised(struct stack *s, const struct pkt *pkt);
/* Microseconds between two questions for a neighbour on PORT. */
static inline uint32_t nd_retrans_us(const struct stack *s, uint8_t port)
{
	uint32_t ms = s->ip->autoconf.link[port].retrans_ms;

	return ms ? ms * 1000 : NEIGH_RETRY_US;
}
bool nd_auto_conflict(struct stack *s, const union npp_addr *addr);
bool nd_auto_testing(struct stack *s, const union npp_addr *addr);	/* made, and not yet known to be ours alone (RFC 4429) */
void nd_auto_no_router(struct stack *s, const union npp_addr *addr, uint8_t port);	/* it says it is none (any more) */

/* ---- deliver.c */
/* PKT is a whole datagram whose frame is IN->frame, FRAME_LEN bytes without padding. */
void ip_deliver(struct stack *s, const struct ip_in *in, const struct pkt *pkt, uint32_t frame_len);
/* ECN of a reassembled datagram (RFC 3168, 5.3) with the rest of its TOS; -1: marks that contradict. */
int ip_reass_tos(const struct reass_ent *e);

/* ---- ip6_in.c, ip6_ext.c */
void ip6_input(struct stack *s, const struct ip_in *in);
void ip6_reassembled(struct stack *s, struct reass_ent *e);

#define IP6_EXT_HEADERS 8	/* headers, and bytes of them, that a packet may have */
#define IP6_EXT_BYTES 512
#define IP6_EXT_OPTIONS 16	/* options in a header, padding included */
/* Offsets count from the IPv6 header. */
struct ip6_ext { uint16_t at, len; uint8_t proto; };
struct ip6_walk {
	uint8_t proto;		/* of what stands at off */
	bool fragment;		/* at off begins the payload of a fragment */
	bool more;
	uint32_t off, proto_off;
	uint32_t frag_off, frag_id;
	unsigned n_ext;		/* where each header stands that was walked over; the others are not set */
	struct ip6_ext ext[IP6_EXT_HEADERS];
};
/* Walks the headers between AT (protocol PROTO, named at PROTO_OFF) and END. False: they make
 * no sense or are too many. */
bool ip6_walk(const uint8_t *ip, uint32_t at, uint32_t end, uint8_t proto, uint32_t proto_off,
	      struct ip6_walk *w);
/* Obeys the options of the headers of W. False: the packet is to be dropped (counted). */
bool ip6_options(struct stack *s, const struct pkt *pkt, const struct ip6_walk *w);

/* ---- ip6_out.c, frag.c */
void ip6_put_header(struct ip6_hdr_w *h, uint32_t payload, uint8_t tos, uint8_t hops, uint8_t proto,
		    const union npp_addr *src, const union npp_addr *dst);
int ip6_output(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t hops, bool df,
	       struct stack_tx *tx);
int ip6_fragment(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t hops,
		 struct stack_tx *tx);
/* Ready-made transport checksum: partial, or whole (frag.c). */
void ip_csum_offload(const struct ip_path *p, uint8_t proto, struct stack_tx *tx);
uint32_t ip_gso_setup(struct stack_tx *tx, uint8_t proto, uint8_t gso_type);
/* TX, which went to the group P->dst, to the sockets here as well. */
int ip_loop_back(struct stack *s, const struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t ttl, struct stack_tx *tx);
/* TX, whose IP header is in place, to ourselves. */
int ip_to_ourselves(struct stack *s, const struct ip_path *p, uint8_t proto, struct stack_tx *tx, uint16_t ethertype);

/* ---- icmp6.c */
void icmp6_input(struct stack *s, const struct ip_in *in, const struct pkt *pkt, uint32_t frame_len);
void icmp6_not_sent(struct stack *s, const struct ip6_hdr_w *h, uint32_t len);
/* GROUP_OK: also about a packet to a group (RFC 4443, 2.4 (e.3)). */
void icmp6_error(struct stack *s, const struct pkt *pkt, uint8_t type, uint8_t code, uint32_t rest, bool group_ok);
#define ICMP6_UNREACH 1
#define ICMP6_TOO_BIG 2
#define ICMP6_TIME_EXCEEDED 3
#define ICMP6_PARAM 4
#define ICMP6_ECHO 128

/* ---- ip4_in.c */
void ip4_input(struct stack *s, const struct ip_in *in);
/* The datagram of the completed entry E, and E is freed. */
void ip4_reassembled(struct stack *s, struct reass_ent *e);
/* Writes an IPv4 header of 20 bytes with checksum at H. */
void ip4_put_header(struct ip4_hdr *h, uint32_t total, uint16_t id, uint16_t frag, uint8_t tos,
		    uint8_t ttl, uint8_t proto, const union npp_addr *src, const union npp_addr *dst);
int ip4_output(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t ttl, bool df,
	       struct stack_tx *tx);
uint16_t ip4_next_id(struct stack *s, uint8_t slot);
/* Puts the Ethernet header in front of tx->start and sends, or waits for the neighbour. */
int ip_xmit(struct stack *s, struct ip_path *p, struct stack_tx *tx, uint16_t ethertype);

/* ---- frag.c */
int ip4_fragment(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t ttl,
		 struct stack_tx *tx);

/* ---- icmp.c */
bool icmp_allowed(struct stack *s);	/* the limit on errors that we send; on echo replies */
bool icmp_echo_allowed(struct stack *s);
/* A packet of ours, as an ICMP error quotes it. */
struct icmp_quote {
	struct npp_flow_key key;	/* as the answer to the quoted packet would say it */
	uint32_t seq;
	uint32_t bytes;			/* of the whole packet, as it says */
};
/* Fills in the flow and what stands where TCP has its sequence number; L4 has 8 bytes at least. */
void icmp_quote_l4(struct icmp_quote *q, const union npp_addr *peer, const union npp_addr *us, uint8_t proto,
		   const uint8_t *l4);
/* True: the flow is another IOP's, which has the error now. */
bool icmp_hand_on(struct stack *s, const struct ip_in *in, const struct icmp_quote *q, uint32_t frame_len);
/* A router says that the datagram Q is too large: E. */
void icmp_udp_too_big(struct stack *s, const struct ip_in *in, const struct icmp_quote *q, struct stack_udp_error *e,
		      uint32_t frame_len);
/* The packet never left: its neighbour does not answer. Who is connecting hears of it. */
void icmp_quote_not_sent(struct stack *s, const struct icmp_quote *q);

/* ---- echo_mtu.c */
/* A reply of LEN bytes with identifier and sequence number REST (as on the wire) goes along P, whose MTU becomes
 * what is known of it. */
void echo_mtu(struct stack *s, struct ip_path *p, uint32_t rest, uint32_t len);
/* A router says that Q, a reply of ours, is larger than MTU. False: it is not believed. */
bool echo_too_big(struct stack *s, const struct icmp_quote *q, uint32_t mtu);

/* ---- icmp4.c */
void icmp4_input(struct stack *s, const struct ip_in *in, const struct pkt *pkt, uint32_t frame_len);
void icmp4_not_sent(struct stack *s, const struct ip4_hdr *h, uint32_t len);
void icmp4_error(struct stack *s, const struct pkt *pkt, uint8_t type, uint8_t code, uint32_t rest);

/* ---- reass.c */
size_t reass_size(const struct stack_cfg *cfg);
void reass_init(struct stack *s, uint8_t *mem);	/* sets pointers; then reass_rebuild() */
void reass_rebuild(struct stack *s);
/* Adds a fragment. The entry if the datagram is complete now (the caller frees it). */
struct reass_ent *reass_add(struct stack *s, const struct reass_frag *f);
void reass_copy(struct stack *s, const struct reass_ent *e, uint8_t *to, uint32_t len);
void reass_free(struct stack *s, struct reass_ent *e);
void reass_timer(struct stack *s);

#endif
