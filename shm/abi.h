/* SPDX-License-Identifier: GPL-2.0-or-later
 * abi.h - everything that two processes of npp both see in memory
 *
 * This is the only file that describes shared memory. Fixed-width types, offsets
 * and indexes instead of pointers, a static assert on every size. For each struct:
 * who writes which line, who reads it, which store releases what.
 *
 * Conventions
 *   slot     one ISM as a host sees it: attachment * NPP_MAX_IOPS + IOP number
 *   off64    an offset from the start of its region in units of 64 bytes; 0 = none
 *   handle   index and generation; the reader compares the generation
 *   "ISM", "program", "OSM", "nppd"  after a field names its only writer
 *   ports are in host order here, addresses are union npp_addr
 *
 * Trust: whatever the other side can write is read once into a local, checked,
 * then used (design rule 3).
 */
#ifndef NPP_SHM_ABI_H
#define NPP_SHM_ABI_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/hash.h"
#include "net/wire.h"

#define NPP_ABI_VERSION 1
#define NPP_MAX_IOPS 32
#define NPP_MAX_HOSTS 8		/* hosts of one NPP */
#define NPP_MAX_ATTACH 4	/* NPPs of one host */
#define NPP_MAX_SLOTS (NPP_MAX_ATTACH * NPP_MAX_IOPS)
#define NPP_MAX_CTX 1024	/* contexts of one host; context 0 is the OSM */
#define NPP_MAX_PROCS 512	/* processes of one host */
#define NPP_MAX_PORTS 4		/* network ports of one NPP */
#define NPP_LINE 64

#define NPP_ALIGNED _Alignas(NPP_LINE)

/* ---- region header ---------------------------------------------------- */

#define NPP_REGION_MAGIC 0x3130676572707030ull
enum npp_region_kind {
	NPP_REGION_GLOBAL = 1,
	NPP_REGION_NEIGH,
	NPP_REGION_LOCKS,
	NPP_REGION_STATS,
	NPP_REGION_ISM,
	NPP_REGION_RX,		/* control page of a frame ring dispatcher -> ISM */
	NPP_REGION_IPC,		/* control page of a frame ring ISM -> ISM */
	NPP_REGION_INBOUND,
	NPP_REGION_HOST,
	NPP_REGION_DISPATCH,	/* what the dispatcher remembers */
	NPP_REGION_KINDS
};

struct npp_region_hdr { /* nppd, before anybody maps it; `ready` and `generation` by the owner */
	uint64_t magic;
	uint32_t abi_version;
	uint32_t kind;		/* enum npp_region_kind */
	uint64_t layout_hash;	/* of the structs inside; a binary that differs refuses */
	uint64_t size;		/* bytes of the region, header included */
	uint32_t owner;		/* IOP or host number, by kind */
	uint32_t page_size;
	_Atomic uint32_t generation; /* counts the attachments of the owner */
	_Atomic uint32_t ready;
	uint8_t reserved[16];
};
_Static_assert(sizeof(struct npp_region_hdr) == 64, "region header");

/* ---- frame ring: packed byte ring of frame records, SPSC ------------------ */

/* Control page; the data pages are a memfd of their own, mapped twice in a row so
 * that no record wraps. Positions count bytes and wrap at 2^32; a record starts
 * at position & (size - 1) and takes its length rounded up to 64. */
struct npp_fring {
	struct npp_region_hdr hdr;
	uint32_t size;		/* of the data, power of two; creator */
	uint32_t zero[15];
	NPP_ALIGNED _Atomic uint32_t head;	/* producer; release after the record is whole */
	NPP_ALIGNED _Atomic uint32_t tail;	/* consumer; release after the effects */
	_Atomic uint32_t sleeping;		/* consumer sets 1 (seq_cst), producer exchanges 0 */
	uint8_t pad[56];
};
_Static_assert(sizeof(struct npp_fring) == 256, "frame ring control page");

enum npp_rec_kind {
	NPP_REC_FRAME = 1,	/* an Ethernet frame from the port */
	NPP_REC_DATAGRAM,	/* IPC: Ethernet frame whose datagram was reassembled or handed on; checksum verified */
	NPP_REC_RESOLVE,	/* IPC to the link role: struct npp_ipc_neigh, please resolve */
	NPP_REC_CONFIRM,	/* IPC to the link role: struct npp_ipc_neigh, heard from this neighbour */
	NPP_REC_PMTU,		/* IPC to the link role: struct npp_ipc_neigh, new path MTU */
	NPP_REC_RESOLVED,	/* IPC from the link role: the neighbour cache changed, look again */
	NPP_REC_TFO,		/* IPC: struct npp_ipc_tfo, a peer has given us a Fast Open cookie */
	NPP_REC_KINDS
};
enum npp_rec_csum {
	NPP_CSUM_NONE = 0,	/* transport checksum not looked at: verify */
	NPP_CSUM_OK = 1,	/* verified, or vouched for by the port */
};

/* In front of every frame; 32 bytes, the last 12 of them read from the port. */
struct npp_frame_rec { /* producer */
	uint32_t len;		/* bytes of frame after this header */
	uint8_t kind;		/* enum npp_rec_kind */
	uint8_t csum;		/* enum npp_rec_csum */
	uint8_t port;		/* network port it came in by */
	uint8_t l4_off;		/* hint: offset of the transport header in the frame, 0 unknown */
	uint32_t hash;		/* hash of the flow, 0 unknown */
	uint32_t rx_us;		/* low bits of the monotonic clock, microseconds; 0 unknown */
	uint32_t reserved;
	struct vnet_hdr vnet;
};
_Static_assert(sizeof(struct npp_frame_rec) == 32, "frame record");
#define NPP_FRAME_MAX (65536 + 64)	/* Ethernet header and the largest IP datagram */

struct npp_ipc_neigh {	/* payload of NPP_REC_RESOLVE, CONFIRM, PMTU */
	union npp_addr addr;
	uint32_t port;
	uint32_t pmtu;
	uint8_t mac[6];
	uint8_t from;		/* IOP that asks: it is told when the cache changed */
	uint8_t stranger;	/* RESOLVE: only an answer waits for it */
};
_Static_assert(sizeof(struct npp_ipc_neigh) == 32, "ipc neighbour");
struct npp_ipc_tfo {	/* payload of NPP_REC_TFO */
	union npp_addr addr;
	uint8_t cookie[16];
	uint16_t mss;		/* that the peer announced */
	uint8_t len;		/* of the cookie */
	uint8_t reserved[5];
};
_Static_assert(sizeof(struct npp_ipc_tfo) == 40, "ipc cookie");

/* ---- I2O queues --------------------------------------------------------- */

#define NPP_I2OQ_DEPTH 64

/* A message frame, named by its MFA. "Look at X": it carries almost nothing, the
 * state stands in the socket record. Fields unused by a type are zero. */
struct npp_msg {
	uint8_t type;		/* enum npp_msg_type */
	uint8_t flags;
	uint16_t ctx;		/* sender's or addressee's context */
	uint32_t sock;		/* OSM handle: index ... */
	uint32_t sock_gen;	/* ... and generation */
	uint32_t ism_handle;	/* ISM handle: index in bits 0-19, generation in 20-31 */
	int32_t error;		/* negative errno or 0 */
	uint32_t arg;
	uint32_t arg2;
	uint16_t port;		/* host order */
	uint16_t port2;
	union npp_addr addr;
	uint64_t cookie;
	uint64_t off;		/* byte offset in host memory */
};
_Static_assert(sizeof(struct npp_msg) == 64, "message frame");

enum npp_msg_type {
	NPP_MSG_NONE = 0,
	/* inbound: host to ISM */
	NPP_MSG_HOST,		/* OSM: answer to HELLO. arg = first socket index lent, arg2 = count. Of these the
				   ISM uses the records whose owner is 0. May come again: the same range
				   after every HELLO, or a single record that was an orphan until now */
	NPP_MSG_EXTENT,		/* OSM: off/arg2 = bytes of host memory lent for byte rings. After every HELLO all
				   extents of the ISM are named again: one that it knows is skipped.
				   error < 0, arg2 = 0: NEED_EXTENT was refused */
	NPP_MSG_LISTEN,		/* OSM: sock listens on addr:port; off = struct npp_listener; arg = backlog; flags NPP_LISTEN_* */
	NPP_MSG_UNLISTEN,	/* OSM: stop; pending connections are reset */
	NPP_MSG_UDP_BIND,	/* OSM: sock receives on addr:port; off = struct npp_udp; arg2 = order of binding: of
				   two that may have a datagram the later one gets it. flags NPP_LISTEN_*. Comes
				   again when the socket is given a peer, another one, or none, or joins groups */
	NPP_MSG_UDP_UNBIND,	/* OSM */
	NPP_MSG_CONNECT,	/* program: connect sock to its raddr:rport from its laddr:lport (any, 0: pick);
				   arg = bytes of transmit ring wanted as soon as it is connected (0: none yet) */
	NPP_MSG_LOOK,		/* program: pend_in of sock has bits set; look. A listener with NPP_IN_RX: an
				   exclusive subscriber left with connections waiting, tell another one */
	NPP_MSG_CLOSE,		/* program or OSM: last descriptor gone. arg = final tx offset; flags NPP_CLOSE_* */
	NPP_MSG_SHUTDOWN,	/* program: no more sending. arg = final tx offset */
	NPP_MSG_NEED_RING,	/* program: wants a transmit ring; arg = bytes it would like to write */
	NPP_MSG_CTX_GONE,	/* OSM: context arg was freed; forget what is cached about it */
	NPP_MSG_INBOUND_END,
	/* outbound: ISM to host */
	NPP_MSG_HELLO = 64,	/* to the OSM: arg = IOP number, arg2 = handle format (index bits), cookie = handles
				   preallocated; flags NPP_HELLO_*. HOST, EXTENT and replays follow */
	NPP_MSG_LISTENING,	/* to the OSM: answer to LISTEN; error; ism_handle = the replica */
	NPP_MSG_UNLISTENED,	/* to the OSM */
	NPP_MSG_UDP_BOUND,	/* to the OSM: answer to UDP_BIND */
	NPP_MSG_UDP_UNBOUND,	/* to the OSM: rings are given back, record may go */
	NPP_MSG_NEED_EXTENT,	/* to the OSM: arg = bytes wanted */
	NPP_MSG_EVENT,		/* to a subscriber: pend_out of sock has bits set; look */
	NPP_MSG_FREED,		/* to the OSM: a socket record the OSM or a program had allocated is free again; or,
				   with sock 0, the whole extent off/arg2 is given back */
	NPP_MSG_OUTBOUND_END
};
#define NPP_HELLO_FRESH 1	/* the ISM remembers nothing of this host: its sessions are lost */
#define NPP_LISTEN_REUSEPORT 1
#define NPP_LISTEN_REPLAY 2	/* existing listener told to an ISM that came (back) */
#define NPP_LISTEN_REUSEADDR 4	/* UDP_BIND: may share its address with others of this host that may */
#define NPP_LISTEN_V6ONLY 16	/* with addr :: IPv6 only; without it both families */
#define NPP_LISTEN_PEER 8	/* UDP_BIND: hears raddr:rport of its record only */
#define NPP_CLOSE_ABORT 1	/* send RST: unread data, or SO_LINGER with zero */
#define NPP_CLOSE_DEAD 2	/* the program died */

#define NPP_ISM_HANDLE_BITS 20
#define NPP_ISM_HANDLE(idx, gen) ((uint32_t)(idx) | (uint32_t)(gen) << NPP_ISM_HANDLE_BITS)
#define NPP_ISM_HANDLE_IDX(h) ((h) & ((1u << NPP_ISM_HANDLE_BITS) - 1))
#define NPP_ISM_HANDLE_GEN(h) ((h) >> NPP_ISM_HANDLE_BITS)

/* One lane: free and post queue with their message frames. One producer, one
 * consumer. MFAs are frame numbers 0..DEPTH-1. When the free queue is empty the
 * producer sets `overflow` instead and rings: the consumer then clears it and looks
 * at every socket that it might concern (all pending bits). Nothing is lost. */
struct npp_i2oq {
	NPP_ALIGNED _Atomic uint32_t post_head;	/* producer; release */
	_Atomic uint32_t free_tail;		/* producer; release after it took the MFA */
	_Atomic uint32_t overflow;		/* producer sets, consumer exchanges 0 */
	uint32_t pad0[13];
	NPP_ALIGNED _Atomic uint32_t post_tail;	/* consumer; release after the effects */
	_Atomic uint32_t free_head;		/* consumer; release after the frame may be reused */
	uint32_t pad1[14];
	uint32_t post[NPP_I2OQ_DEPTH];		/* producer */
	uint32_t free[NPP_I2OQ_DEPTH];		/* consumer (initially the creator) */
	struct npp_msg frame[NPP_I2OQ_DEPTH];	/* producer, while it holds the MFA */
};
_Static_assert(sizeof(struct npp_i2oq) == 128 + 8 * NPP_I2OQ_DEPTH + 64 * NPP_I2OQ_DEPTH, "I2O queue");

/* Inbound region of IOP n for host h: mapped by ISM n, the OSM and programs of h. */
struct npp_inbound {
	struct npp_region_hdr hdr;
	uint32_t host, iop;
	uint32_t zero[14];
	NPP_ALIGNED _Atomic uint32_t sleeping;	/* ISM sets 1 (seq_cst), producers exchange 0 and then ring */
	uint32_t pad0[15];
	/* Lanes with work: producers set (release) after posting, ISM exchanges 0 (acquire).
	 * summary has bit i set if work[i] may be non-zero. */
	NPP_ALIGNED _Atomic uint64_t summary;
	uint64_t pad1[7];
	_Atomic uint64_t work[NPP_MAX_CTX / 64];
	struct npp_i2oq lane[NPP_MAX_CTX];	/* by context number */
};

/* ---- locks that know their holder -------------------------------------------- */

/* 0 free, else holder + 1 (context number, IOP number: whatever the user of the lock
 * counts in). The supervisor of the holders may break it. */
typedef _Atomic uint32_t npp_lock_t;

/* How many connections of each host an ISM has; that ISM writes its row (relaxed: a number to compare
 * by, nothing follows from it), all ISMs of the NPP and nppd read. */
struct npp_host_load {
	_Atomic uint32_t open[NPP_MAX_HOSTS];
	uint32_t pad[16 - NPP_MAX_HOSTS];
};
_Static_assert(sizeof(struct npp_host_load) == 64, "one cache line per writer");

#define NPP_LOCK_WORDS 256
struct npp_locks { /* NPP_REGION_LOCKS: A14, for services between IOPs */
	struct npp_region_hdr hdr;
	struct {
		npp_lock_t holder;
		_Atomic uint32_t value;	/* for compare-and-swap and fetch-and-add services */
		_Atomic uint64_t breaks; /* how often the holder had died */
		uint8_t pad[48];
	} word[NPP_LOCK_WORDS];
	NPP_ALIGNED struct npp_host_load load[NPP_MAX_IOPS];
};

/* ---- NPP global --------------------------------------------------------------- */

struct npp_port_cfg { /* nppd */
	char ifname[16];
	char bridge[16];	/* what it was joined to; may be empty */
	uint8_t mac[6];
	uint16_t mtu;
	_Atomic uint32_t up;	/* carrier; who goes by it takes it under net_seq, which moves with it */
	uint32_t flags;		/* NPP_PORT_* */
	_Atomic uint32_t ra6;	/* NPP_RA6: what routers there say of hop limit and MTU; 0 nothing */
	_Atomic uint32_t ra6_reachable_ms;	/* as routers there say, for IPv6 neighbours; 0 nothing */
	_Atomic uint32_t downs;	/* how often the carrier was lost */
	uint32_t zero;
};
#define NPP_PORT_ACD_OFF 4u	/* addresses are neither announced nor defended */
#define NPP_PORT_AUTOCONF 2u	/* IPv6 addresses and routers are taken from router advertisements, too */
#define NPP_PORT_KERNEL 1u	/* engine kernel: the port is steered, ISMs read their own queues of it */
_Static_assert(sizeof(struct npp_port_cfg) == 64, "port");

#define NPP_PORT_ANY 0xffu	/* an address of the NPP as a whole: it is where a port is up */

struct npp_if_addr { /* nppd */
	union npp_addr addr;
	uint8_t prefix_len;	/* in 128 bits: 96 + n for IPv4 */
	uint8_t port;		/* network port, NPP_PORT_ANY: the NPP as a whole */
	uint8_t reserved[5];
	uint8_t flags;		/* NPP_ADDR_* */
};
#define NPP_ADDR_AUTO 1u	/* from a router advertisement */
#define NPP_ADDR_DEPRECATED 2u	/* not for new sessions, if there is another (RFC 4862, 5.5.4) */
_Static_assert(sizeof(struct npp_if_addr) == 24, "interface address");

/* Multicast groups that programs have joined: the dispatcher lets them in. */
#define NPP_MAX_GROUPS 64
struct npp_groups { /* link-role ISM to nppd, always all of it */
	uint32_t n, zero[3];
	union npp_addr addr[NPP_MAX_GROUPS];
};
_Static_assert(sizeof(struct npp_groups) == 16 + 16 * NPP_MAX_GROUPS, "groups");
/* Somebody else uses an address of ours: link-role ISM to nppd. */
struct npp_conflict {
	union npp_addr addr;
	uint8_t mac[6], port, zero;
	uint32_t n;		/* how often, since it was said last */
	uint32_t zero2;
};
_Static_assert(sizeof(struct npp_conflict) == 32, "conflict");
#define NPP_AUTO_MAX 8	/* of all ports together */
struct npp_autoconf { /* what follows from router advertisements; link-role ISM to nppd, always all of it */
	uint32_t n_addrs, n_on_link, n_routers;
	uint32_t zero;
	struct {
		uint32_t reachable_ms;	/* how long a neighbour is believed; 0 not said */
		uint16_t mtu;	/* for IPv6 on this link; 0 not said */
		uint8_t hops;	/* hop limit of what we send; 0 not said */
		uint8_t zero;
	} link[NPP_MAX_PORTS];
	struct npp_if_addr addr[NPP_AUTO_MAX];
	struct npp_if_addr on_link[NPP_AUTO_MAX];	/* prefixes */
	union npp_addr router[NPP_AUTO_MAX];
	uint8_t router_port[NPP_AUTO_MAX];
};
_Static_assert(sizeof(struct npp_autoconf) == 48 + NPP_AUTO_MAX * (24 + 24 + 16 + 1), "autoconfiguration");

struct npp_route { /* nppd */
	union npp_addr dst;
	union npp_addr via;	/* any: on link */
	uint8_t prefix_len;	/* in 128 bits */
	uint8_t port;
	uint16_t mtu;		/* 0: that of the port */
	uint32_t metric;
};
_Static_assert(sizeof(struct npp_route) == 40, "route");

#define NPP_MAX_IF_ADDRS 32
#define NPP_MAX_ROUTES 256

/* Explicit congestion notification (RFC 3168). */
enum npp_tcp_ecn {
	NPP_ECN_PASSIVE = 0,	/* for peers that ask for it */
	NPP_ECN_OFF,
	NPP_ECN_ON,		/* asked for as well */
	NPP_ECN_COUNT
};
/* Congestion control. */
enum npp_tcp_cc { NPP_CC_DEFAULT = 0, NPP_CC_CUBIC, NPP_CC_RENO, NPP_CC_DCTCP, NPP_CC_COUNT };
#define NPP_CC_NAMES { "", "cubic", "reno", "dctcp" }	/* as TCP_CONGESTION has them */
/* How hosts share an address and port that several of them listen on (shm/share.h). */
enum npp_share_policy { NPP_SHARE_WEIGHT = 0, NPP_SHARE_STANDBY, NPP_SHARE_LOAD, NPP_SHARE_COUNT };

#define NPP_RA6(hops, mtu) ((uint32_t)(hops) << 16 | (uint16_t)(mtu))
#define NPP_RA6_HOPS(v) ((uint8_t)((v) >> 16))
#define NPP_RA6_MTU(v) ((uint16_t)(v))

/* Bounds of a connection's buffers in bytes, as Linux has them in tcp_rmem and tcp_wmem: least that SO_RCVBUF
 * (SO_SNDBUF) makes it, what it begins with, most that it becomes by itself or by the option. */
struct npp_tcp_mem { uint32_t min, dflt, max; };
#define NPP_TCP_MEM_MIN 4096u
#define NPP_TCP_MEM_MAX (4u << 20)	/* the largest ring */
#define NPP_TCP_RMEM ((struct npp_tcp_mem){ 4096, 131072, NPP_TCP_MEM_MAX })
#define NPP_TCP_WMEM ((struct npp_tcp_mem){ 4096, 65536, NPP_TCP_MEM_MAX })

struct npp_global { /* nppd writes, everybody else maps it read-only */
	struct npp_region_hdr hdr;
	char name[32];
	uint32_t n_iops;
	uint32_t n_ports;
	_Atomic uint32_t link_iop;	/* who answers ARP and ND */
	_Atomic uint32_t iop_up;	/* bitmap of live IOPs */
	uint32_t tcp_max_conns;		/* TCBs per IOP */
	uint32_t tcp_ecn;		/* enum npp_tcp_ecn */
	uint32_t tcp_cc;		/* enum npp_tcp_cc: of sockets that ask for none */
	uint32_t tcp_time_wait_ms;	/* how long a connection stands in TIME_WAIT; 0: 60 s */
	struct npp_port_cfg port[NPP_MAX_PORTS];
	/* Addresses, routes and which ports are up: seqlock `net_seq`, odd while nppd writes. */
	NPP_ALIGNED _Atomic uint32_t net_seq;
	uint32_t n_addrs;
	uint32_t n_routes;
	uint32_t n_left_out;	/* addresses and routes that were learned and found no room */
	uint32_t pad0[12];
	struct npp_if_addr addr[NPP_MAX_IF_ADDRS];
	struct npp_route route[NPP_MAX_ROUTES];
	/* Dispatch programs, double-buffered: prog[prog_active & 1] runs. */
	NPP_ALIGNED _Atomic uint32_t prog_active;
	uint32_t pad1[15];
	struct npp_hash_prog prog[2];
	/* Ports granted to explicit binds, [0] TCP [1] UDP, one bit each: source ports
	 * that an ISM picks must not be among them. */
	NPP_ALIGNED _Atomic uint64_t granted[2][65536 / 64];
	/* Hosts that share listeners: a byte per host number, 0: takes no part (shm/share.h). */
	NPP_ALIGNED _Atomic uint64_t share;
	_Atomic uint32_t share_gen;	/* counts changes of it */
	uint32_t share_policy;		/* enum npp_share_policy */
	uint64_t share_key[2];
	uint32_t share_hosts;		/* that there will be: each has its part of what an ISM has once */
	struct npp_tcp_mem tcp_rmem, tcp_wmem;	/* use npp_tcp_rmem() and npp_tcp_wmem() */
	uint32_t pad2[1];
	/* Groups that are let in: seqlock `group_seq`, odd while nppd writes. */
	NPP_ALIGNED _Atomic uint32_t group_seq;
	uint32_t pad4[15];
	struct npp_groups groups;
};

static inline struct npp_tcp_mem npp_tcp_rmem(const struct npp_global *g)
{
	return g && g->tcp_rmem.max ? g->tcp_rmem : NPP_TCP_RMEM;
}
static inline struct npp_tcp_mem npp_tcp_wmem(const struct npp_global *g)
{
	return g && g->tcp_wmem.max ? g->tcp_wmem : NPP_TCP_WMEM;
}
/* What a buffer becomes that was set to SIZE. */
static inline uint32_t npp_tcp_mem_set(struct npp_tcp_mem m, uint32_t size)
{
	return size < m.min ? m.min : size > m.max ? m.max : size;
}

/* ---- neighbour cache (A16) ------------------------------------------------------ */

#define NPP_NEIGH_ENTRIES 4096	/* open addressing, 4-way buckets; power of two */
enum npp_neigh_state { NPP_NEIGH_NONE, NPP_NEIGH_INCOMPLETE, NPP_NEIGH_REACHABLE, NPP_NEIGH_STALE, NPP_NEIGH_FAILED };
struct npp_neigh { /* link-role ISM; seqlock: odd while it writes */
	_Atomic uint32_t seq;
	uint8_t state;
	uint8_t port;
	uint8_t mac[6];
	uint16_t pmtu;		/* 0: none learned */
	uint16_t reserved;
	union npp_addr addr;
	uint64_t updated_us;	/* CLOCK_MONOTONIC */
	uint64_t used_us;
	uint64_t pmtu_us;	/* when the path MTU was learned */
	uint64_t reserved2;
};
_Static_assert(sizeof(struct npp_neigh) == 64, "neighbour");
struct npp_neigh_table { /* an entry is in use when its address is not any; state NONE: only its path MTU is known */
	struct npp_region_hdr hdr;
	_Atomic uint32_t changes;	/* counts completed changes */
	uint32_t zero;
	uint64_t key[2];		/* SipHash key of the buckets; the first link role, once */
	uint32_t pad[10];
	struct npp_neigh entry[NPP_NEIGH_ENTRIES];
};

/* ---- statistics page: one process writes, tools read ------------------------------ */

#define NPP_STATS_COUNTERS 240
enum npp_role { NPP_ROLE_DISPATCH = 1, NPP_ROLE_ISM, NPP_ROLE_OSM, NPP_ROLE_NPPD };
struct npp_stats_page { /* its process; all relaxed */
	struct npp_region_hdr hdr;
	uint32_t role;		/* enum npp_role: which list of shm/stats.h names the counters */
	uint32_t index;		/* IOP number */
	_Atomic uint32_t pid;
	uint32_t zero;
	_Atomic uint64_t started_us;
	_Atomic uint64_t now_us; /* last time the process looked */
	_Atomic uint64_t work_us; /* when this process did its first work; 0: not yet */
	_Atomic uint64_t first_us; /* since when the counters count: its first predecessor's started_us */
	uint64_t pad[2];
	_Atomic uint64_t counter[NPP_STATS_COUNTERS];
};
_Static_assert(sizeof(struct npp_stats_page) <= 4096, "statistics page");

/* ---- host memory -------------------------------------------------------------------- */

enum npp_ctx_state { NPP_CTX_FREE = 0, NPP_CTX_OPEN, NPP_CTX_CLOSING };
struct npp_ctx { /* 1 KB: a thread that uses sockets, or an epoll instance */
	_Atomic uint32_t state;	/* OSM */
	uint32_t proc;		/* OSM: index into procs */
	uint32_t kind;		/* OSM: 0 thread, 1 epoll */
	uint32_t pad0[13];
	NPP_ALIGNED _Atomic uint32_t sleeping; /* program sets 1 (seq_cst) before it waits on the doorbell, a producer exchanges 0 and then writes the eventfd of the same number */
	uint32_t pad1[15];
	uint32_t lane_off64[NPP_MAX_SLOTS]; /* OSM, when the context opens or an ISM comes: struct npp_i2oq, outbound, written by that ISM */
	uint8_t pad2[1024 - 128 - 4 * NPP_MAX_SLOTS];
};
_Static_assert(sizeof(struct npp_ctx) == 1024, "context");

/* A process and its descriptor table: which number is which socket. */
#define NPP_FDTAB_CHUNK 256	/* descriptors in a chunk */
#define NPP_FDTAB_CHUNKS 80	/* 20480 descriptors */
enum npp_proc_state { NPP_PROC_FREE = 0, NPP_PROC_OPEN, NPP_PROC_EMBRYO };
struct npp_proc { /* 512 bytes */
	_Atomic uint32_t state;	/* OSM */
	_Atomic uint32_t pid;	/* OSM; for an embryo the child itself */
	uint64_t start_time;	/* field 22 of /proc/PID/stat */
	uint32_t parent;	/* proc index */
	uint32_t turn;		/* OSM: which embryo it was last, of those that had this place; 1 to 65535, then anew */
	_Atomic uint32_t chunk_off64[NPP_FDTAB_CHUNKS]; /* OSM; each chunk NPP_FDTAB_CHUNK words */
	uint8_t pad1[512 - 24 - 4 * NPP_FDTAB_CHUNKS];
};
_Static_assert(sizeof(struct npp_proc) == 512, "process");
_Static_assert(NPP_MAX_PROCS <= 65536, "NPP_CTL_EMBRYO");
/* A chunk word, written by the program: 0 = not an npp descriptor, else socket index + 1
 * in bits 0-31 and the low 32 bits of its generation above. The writer raises the
 * socket's refs before it stores the word and lowers refs after it cleared it. */
typedef _Atomic uint64_t npp_fdword_t;

enum npp_sock_type { NPP_SOCK_NONE = 0, NPP_SOCK_STREAM, NPP_SOCK_DGRAM, NPP_SOCK_LISTENER };

/* TCP states as RFC 9293 names them; also what `npp conns` prints. */
enum npp_tcp_state {
	TCP_ST_CLOSED = 0, TCP_ST_LISTEN, TCP_ST_SYN_SENT, TCP_ST_SYN_RECEIVED, TCP_ST_ESTABLISHED,
	TCP_ST_FIN_WAIT_1, TCP_ST_FIN_WAIT_2, TCP_ST_CLOSE_WAIT, TCP_ST_CLOSING, TCP_ST_LAST_ACK,
	TCP_ST_TIME_WAIT, TCP_ST_COUNT
};

/* pend_in: program -> ISM */
#define NPP_IN_TX 1u		/* tx_head moved */
#define NPP_IN_RX 2u		/* rx_tail moved past rx_wake */
#define NPP_IN_OPT 4u		/* options changed */
#define NPP_IN_WAKE 16u		/* a program has shut it: whoever waits shall look */
#define NPP_IN_URG 8u		/* tx_urg was set; before tx_head moves that far */
/* pend_out: ISM -> subscribers */
#define NPP_OUT_RX 1u		/* rx_head moved, FIN, accept queue grew */
#define NPP_OUT_TX 2u		/* room in the transmit ring, ring made, connected */
#define NPP_OUT_ERR 4u		/* error or reset */
#define NPP_OUT_URG 8u		/* a new urgent byte was announced */
#define NPP_OUT_SHUT 16u	/* an EVENT that answers NPP_IN_WAKE; never in pend_out */

/* rx_flags (ISM) */
#define NPP_RXF_FIN 1u		/* peer's FIN is in sequence: after rx_head comes end of file */
#define NPP_RXF_RESET 2u	/* connection is dead; err says why */
#define NPP_RXF_CLOSED 4u	/* the ISM has forgotten the connection */

/* opt_flags (program) */
#define NPP_OPT_NODELAY 1u
#define NPP_OPT_CORK 2u		/* TCP_CORK; UDP_CORK, which is the programs' own business */
#define NPP_OPT_KEEPALIVE 4u
#define NPP_OPT_QUICKACK 8u
#define NPP_OPT_BROADCAST 16u
#define NPP_OPT_REUSEADDR 32u
#define NPP_OPT_REUSEPORT 64u
#define NPP_OPT_RCVBUF 128u	/* rcvbuf was set: no autotuning */
#define NPP_OPT_SNDBUF 256u
#define NPP_OPT_FASTOPEN 1024u	/* connect by Fast Open, if there is a cookie (RFC 7413) */
#define NPP_OPT_V6ONLY 512u	/* with laddr :: it hears IPv6 only, without it both families */
#define NPP_OPT_PKTINFO 2048u	/* IPV6_RECVPKTINFO: datagrams come with the address they were sent to (NPP_DGRAM_LOCAL) */
#define NPP_OPT_RECVTTL 4096u	/* IPV6_RECVHOPLIMIT and so on: control messages that recvmsg() gives */
#define NPP_OPT_RECVTOS 8192u
#define NPP_OPT_RECVERR 16384u
#define NPP_OPT_GRO 32768u	/* UDP_GRO: may be given several datagrams as one */
#define NPP_OPT_MC_NOLOOP 65536u	/* what it sends to groups is not for sockets of this NPP */
#define NPP_OPT_MC_NOTALL 131072u	/* hears only groups that it has joined itself (IP_MULTICAST_ALL 0) */
#define NPP_OPT_OOBINLINE 262144u	/* urgent bytes are read where they stand */
#define NPP_OPT_PMTUDISC_SHIFT 20	/* three bits: IP_MTU_DISCOVER, with 0 and 1 changed, so that 0 is IP_PMTUDISC_WANT */
enum { NPP_PMTUDISC_DONT, NPP_PMTUDISC_WANT, NPP_PMTUDISC_DO, NPP_PMTUDISC_PROBE, NPP_PMTUDISC_INTERFACE, NPP_PMTUDISC_OMIT };
#define NPP_OPT_PMTUDISC(flags) (((flags) >> NPP_OPT_PMTUDISC_SHIFT & 7) ^ 1)
#define NPP_OPT_TFO_NO_COOKIE 524288u	/* Fast Open without cookies, both ways */
#define NPP_OPT_PKTINFO4 (1u << 23)	/* the same by the names of IPv4: of datagrams of IPv4 alone */
#define NPP_OPT_RECVTTL4 (1u << 24)
#define NPP_OPT_RECVTOS4 (1u << 25)
#define NPP_OPT_MORE (1u << 26)	/* streams, under tx_lock, before tx_head: what was written last is to be followed by more (MSG_MORE) */

/* keep (program): seconds without a segment before the first probe, and between probes */
#define NPP_KEEP_IDLE(w) ((w) & 0xffffu)
#define NPP_KEEP_INTVL(w) ((w) >> 16)
/* tries (program) */
#define NPP_TRIES_KEEP(w) ((w) & 0xffu)		/* keep-alive probes */
#define NPP_TRIES_SYN(w) ((w) >> 8 & 0xffu)	/* SYNs after the first one */
#define NPP_TRIES_LINGER2(w) ((w) >> 16 & 0xffu) /* seconds in FIN_WAIT_2 after close(), or NPP_LINGER2_NONE */
#define NPP_TRIES_DEFER(w) ((w) >> 24)		/* listener: SYN-ACKs after the first one for which data is waited for */
#define NPP_LINGER2_NONE 255u
/* manner (program) */
#define NPP_MANNER_TOS(w) ((w) & 0xffu)
#define NPP_MANNER_TTL(w) ((w) >> 8 & 0xffu)
#define NPP_MANNER_CC(w) ((w) >> 16 & 0xffu)	/* enum npp_tcp_cc */
#define NPP_MANNER_PRIO(w) ((w) >> 24)		/* SO_PRIORITY, which nobody looks at */

/* file status flags of the open description (program) */
#define NPP_FL_NONBLOCK 1u
#define NPP_FL_SHUT_RD 2u
#define NPP_FL_SHUT_WR 4u
#define NPP_FL_CONNECTING 8u	/* connect() begun, result not yet fetched */
#define NPP_FL_CONNECTED 16u	/* DGRAM: has a default peer */
#define NPP_FL_API6 32u		/* the program made it as AF_INET6: it sees IPv4-mapped addresses */
#define NPP_FL_BOUND 64u	/* bind() was called: the OSM holds its port */
#define NPP_FL_TAKEN 128u	/* accepted: a program has had it, so refs 0 means closed; set after refs was raised */

/* Subscribers of a socket: context + 1 in bits 0-15, flags above; 0 = empty. */
#define NPP_SUB_CTX(w) ((w) & 0xffffu)
#define NPP_SUB_EXCLUSIVE 0x10000u	/* wake one of the exclusive ones */
#define NPP_SUB_RX 0x20000u		/* cares about NPP_OUT_RX */
#define NPP_SUB_TX 0x40000u
#define NPP_SUB_URG 0x80000u		/* cares about NPP_OUT_URG */
#define NPP_SOCK_SUBS 4

/* Urgent byte (the last one counts): its stream offset, a number, and whether it is in the ring already though
 * rx_head has not come there. It stands in the ring as all others do; programs say in urg_seen, by
 * that number, what became of it. */
#define NPP_URG(off, n) ((uint64_t)(off) | (uint64_t)((n) & 0x3fffffffu) << 32)
#define NPP_URG_HERE (1ull << 62)
#define NPP_URG_OFF(u) ((uint32_t)(u))
#define NPP_URG_N(u) ((uint32_t)((u) >> 32) & 0x3fffffffu)	/* 0: there was none yet */
#define NPP_URG_READ 0x40000000u	/* urg_seen: by recv(MSG_OOB); it still stands in the stream */
#define NPP_URG_PAST 0x80000000u	/* urg_seen: rx_tail is behind it */

struct npp_ring_desc {	/* ISM; a transmit ring while it holds tx_lock. A receive ring may be made larger at
			 * any time: what was readable stays readable at the old place until rx_lock was
			 * seen free */
	uint64_t off;	/* in host memory; 0 = no ring */
	uint32_t size;	/* power of two; the byte with stream offset o stands at off + (o & (size - 1)) */
	_Atomic uint32_t seq;	/* odd while off and size change; a reader compares before and after */
};

struct npp_tcp_brief {	/* ISM, for TCP_INFO and tools; relaxed, may be torn */
	uint32_t rtt_us, rttvar_us, rto_us, cwnd, ssthresh, snd_mss, rcv_mss, rcv_wnd, snd_wnd;
	uint32_t retrans, lost, unacked, pmtu, last_rx_ms; /* retrans: segments, so far; lost: segments, now; unacked: bytes */
	uint32_t ca_state;
	uint8_t options;	/* TCPI_OPT_* */
	uint8_t scales;		/* of windows: the peer's in bits 0-3, ours in 4-7 */
	uint8_t tries, backoff;	/* of the retransmission timer, in a row */
	uint32_t min_rtt_us;
	uint32_t sacked, retrans_out;	/* segments */
	uint32_t delivered, delivered_ce, dsack_dups;	/* segments, so far */
	uint32_t bytes_retrans;
	uint32_t reordering;	/* quarters of the least RTT that are waited for reordering; 0: none was seen */
	uint32_t last_tx_ms;	/* this and last_rx_ms: how long ago; in a record: when, by the monotonic clock */
	uint8_t cc;		/* enum npp_tcp_cc */
	uint8_t probes;		/* of a closed window, or keep-alive, that nobody has answered */
	uint16_t adv_mss;	/* that we announce */
};

struct npp_udp_brief {	/* ISMs; relaxed, may be torn */
	uint32_t pmtu;		/* connected: bytes of a packet to the peer; 0: not known */
	uint32_t pmtu_ms;	/* when that was found out, by the monotonic clock */
	/* The last error, before `err` of the record: what ICMP said (type 0: it is our own), and to whom was sent. */
	uint8_t ee_type, ee_code;
	uint16_t ee_port;	/* host order; 0: not told */
	uint32_t ee_info;	/* EMSGSIZE: the MTU */
	union npp_addr ee_addr;
};

/* Keys of Fast Open cookies that a listener was given (TCP_FASTOPEN_KEY): that of new cookies, and perhaps one whose
 * cookies are still good. Programs, under rx_lock: first the keys, where the last ones do not stand, then STATE (release).
 * An ISM that was overtaken twice has read a mixture of keys, whose cookies are no good: it looks at STATE again. */
#define NPP_TFO_KEYS 2
#define NPP_TFO_STATE(turn, n) ((turn) << 2 | (n))
#define NPP_TFO_TURN(w) ((w) >> 2)	/* how often they were set; the keys that hold stand at its last bit */
#define NPP_TFO_COUNT(w) ((w) & 3u)	/* 0: none, the NPP has a key */
struct npp_tfo_keys {
	_Atomic uint32_t state;
	uint32_t reserved;
	_Atomic uint64_t key[2][NPP_TFO_KEYS][2];
};

struct npp_sock { /* 384 bytes; index 0 is never used */
	/* line 0: identity. Written by the allocator before anyone else knows the index;
	 * `owner` and `gen` last of all when freed. */
	_Atomic uint32_t owner;		/* 0 free; context + 1: made by a program; 0x10000 + slot: lent to and used by that ISM */
	_Atomic uint32_t gen;		/* changes each time the record is freed */
	uint8_t type;			/* enum npp_sock_type */
	uint8_t family;			/* 4 or 6 */
	uint8_t slot;			/* the ISM that owns the session (home of a datagram socket) */
	_Atomic uint8_t rx_full;	/* ISM, before rx_head: not 0: hardly more can come until something is read */
	_Atomic uint32_t ism_handle;	/* ISM; 0xffffffff: none yet */
	_Atomic uint32_t refs;		/* descriptors and SCM_RIGHTS in flight, all processes */
	_Atomic uint32_t fl;		/* NPP_FL_*, programs */
	uint32_t ext_off64;		/* struct npp_listener or npp_udp */
	uint32_t listener;		/* accepted: index of the listener's record */
	union npp_addr raddr;
	uint16_t rport, lport;
	_Atomic uint32_t tx_urg;	/* program, under tx_lock: offset behind the last urgent byte written; 0 none */
	_Atomic uint64_t urg;		/* ISM, NPP_URG: where the peer's last urgent byte stands; 0 none */

	/* line 1: written by the ISM. Offsets are stream offsets mod 2^32, first byte 0. */
	NPP_ALIGNED _Atomic uint32_t rx_head;	/* bytes received in order; release after the bytes */
	_Atomic uint32_t rx_flags;		/* NPP_RXF_*; release after rx_head */
	_Atomic uint32_t rx_wake;		/* with rx_want: tell me once rx_tail reaches this */
	_Atomic uint32_t rx_want;
	_Atomic uint32_t tx_tail;		/* bytes acknowledged; release */
	_Atomic uint32_t tcp_state;		/* enum npp_tcp_state */
	_Atomic int32_t err;			/* positive errno for SO_ERROR; fetched by exchange 0 */
	union {
		_Atomic uint32_t came_us;	/* accepted: when, by the monotonic clock; before the entry in the lane */
		_Atomic uint32_t tx_sent;	/* with notsent_lowat, from the first byte written on: bytes that were sent once */
	};
	struct npp_ring_desc rx_ring;
	struct npp_ring_desc tx_ring;

	/* line 2: written by programs, under rx_lock and tx_lock. */
	NPP_ALIGNED _Atomic uint32_t rx_tail;	/* bytes read; release after the copy */
	_Atomic uint32_t tx_head;		/* bytes written; release after the copy */
	_Atomic uint32_t tx_want;		/* 1: tell me (NPP_OUT_TX) when there is room; ISM exchanges 0 */
	_Atomic uint32_t opt_flags;		/* NPP_OPT_* */
	_Atomic uint32_t rcvbuf, sndbuf;	/* bytes; 0 default */
	_Atomic uint32_t linger;		/* seconds + 1; 0 off */
	_Atomic uint32_t keep;			/* NPP_KEEP_*; 0 default */
	_Atomic uint32_t tries;			/* NPP_TRIES_*; 0 default */
	_Atomic uint32_t user_timeout_ms;
	_Atomic uint32_t manner;		/* NPP_MANNER_*; 0 default */
	_Atomic uint32_t rcvlowat;
	_Atomic uint32_t rcvtimeo_ms, sndtimeo_ms; /* 0 none */
	_Atomic uint32_t notsent_lowat;		/* streams: bytes; 0 none (TCP_NOTSENT_LOWAT) */
	_Atomic uint32_t win_clamp;		/* streams: bytes of window at most; 0 any (TCP_WINDOW_CLAMP) */

	/* line 3: words that both sides change by atomic operations. */
	NPP_ALIGNED _Atomic uint32_t pend_in;	/* NPP_IN_*; set by programs, cleared by the ISM before it looks */
	_Atomic uint32_t pend_out;		/* NPP_OUT_*; set by the ISM, cleared by a subscriber before it looks */
	npp_lock_t rx_lock, tx_lock;		/* context number + 1; ISM holds as 0x8000 + IOP + 1 */
	_Atomic uint32_t sub[NPP_SOCK_SUBS];	/* programs, by compare-and-swap */
	_Atomic uint32_t sub_all;		/* 1: more subscribers than fit; wake every context of the bitmap sub_more */
	uint32_t sub_more_off64;		/* OSM: map of NPP_MAX_CTX bits (_Atomic uint64_t), made on demand; whoever
						   allocates the record sets it and sub_all to 0, the OSM gets the map
						   back by itself */
	_Atomic uint32_t sub_next;		/* ISMs: rotor for exclusive wake-ups */
	_Atomic uint32_t max_pace;		/* programs: bytes per second, 0 none (SO_MAX_PACING_RATE) */
	_Atomic uint32_t fastopen;		/* programs: listener, connections by Fast Open that may be half open; 0 off */
	union {					/* programs */
		_Atomic uint32_t mc_hops;	/* datagrams: hop limit of what goes to groups + 1, 0 default */
		_Atomic uint32_t mark;		/* streams: SO_MARK, which nobody looks at */
	};
	union {					/* programs */
		_Atomic uint32_t udp_segment;	/* datagrams: UDP_SEGMENT, 0 none */
		_Atomic uint32_t max_seg;	/* streams: TCP_MAXSEG, 0 none */
	};
	_Atomic uint32_t urg_seen;		/* programs, under rx_lock: number of an urgent byte and NPP_URG_READ or NPP_URG_PAST */

	/* lines 4-5: local address and statistics. */
	NPP_ALIGNED union npp_addr laddr;	/* before publication */
	uint32_t scope;				/* before CONNECT: network port + 1 that the peer's address names, 0 none */
	_Atomic uint32_t ifno;			/* ISM: network port of the session now (A28); relaxed */
	union {
		struct npp_tcp_brief brief;
		struct npp_udp_brief dgram;	/* of a datagram socket */
		struct npp_tfo_keys tfo;	/* of a listener */
	};
};
_Static_assert(sizeof(struct npp_sock) == 384, "socket record");
_Static_assert(sizeof(struct npp_tcp_brief) == 104, "TCP brief");
_Static_assert(sizeof(struct npp_tfo_keys) == 72, "keys of a listener");

/* Accept queues of a listener: one lane per ISM. The ISM stores an entry only over 0;
 * programs claim by compare-and-swap, install the descriptor, then store 0. */
#define NPP_ACCEPT_READY 0xffffull
#define NPP_ACCEPT_ENTRY(sock, gen, owner) \
	((uint64_t)(sock) | (uint64_t)((gen) & 0xffff) << 32 | (uint64_t)(owner) << 48)
#define NPP_ACCEPT_SOCK(e) ((uint32_t)(e))
#define NPP_ACCEPT_GEN(e) ((uint32_t)((e) >> 32) & 0xffff)
#define NPP_ACCEPT_OWNER(e) ((uint32_t)((e) >> 48))	/* NPP_ACCEPT_READY, or the claiming context + 1 */
struct npp_accept_lane {
	NPP_ALIGNED _Atomic uint32_t head;	/* ISM; release after the entry */
	uint32_t mask;				/* OSM; entries - 1, a power of two minus 1 */
	uint32_t pad0[14];
	NPP_ALIGNED _Atomic uint32_t tail;	/* programs, by compare-and-swap, past entries that are 0; only a hint */
	uint32_t pad1[15];
	_Atomic uint64_t entry[];
};
struct npp_listener { /* OSM, before LISTEN */
	uint32_t sock;			/* index of its socket record */
	uint32_t backlog;
	uint32_t n_slots;
	uint32_t pad[13];
	_Atomic uint32_t lane_off64[NPP_MAX_SLOTS]; /* struct npp_accept_lane; 0: none */
	_Atomic uint32_t replica[NPP_MAX_SLOTS]; /* OSM: association table, ISM handle + 1 of each replica */
};
_Static_assert(sizeof(struct npp_listener) == 64 + 8 * NPP_MAX_SLOTS, "listener");

/* Datagram sockets: one receive ring per ISM, one transmit ring to the home ISM (tx_ring
 * of the socket record). A record is 32 bytes of header and the payload, padded to 32;
 * it does not wrap: a header with len NPP_DGRAM_SKIP sends the reader to the start of
 * the ring. Offsets count bytes mod 2^32. */
#define NPP_DGRAM_SKIP 0xffffffffu
#define NPP_DGRAM_LOCAL 1u	/* behind the payload stand 16 bytes more: received, the address that it was sent to;
				 * sent, the address of ours to send from */
#define NPP_DGRAM_NOLOOP 2u	/* sent to a group: not for sockets of this NPP */
#define NPP_DGRAM_HOPS0 4u	/* sent to a group: not for the network */
#define NPP_DGRAM_DF 8u		/* sent: routers shall not cut it */
#define NPP_DGRAM_WHOLE 16u	/* sent: nor shall we: too large is an error */
#define NPP_DGRAM_LINK 32u	/* sent: it may be as large as the link takes, whatever is known of the path */
#define NPP_DGRAM_BCAST 64u	/* sent: SO_BROADCAST was set, so it may go to everybody */
#define NPP_DGRAM_PORT(flags) ((flags) >> 8 & 7) /* network port + 1: received, by which it came; sent, by which of ways that
						  * are as good; 0: of an NPP with one, or not known */
#define NPP_DGRAM_PORT_FLAGS(port1) ((uint32_t)(port1) << 8)
_Static_assert(NPP_MAX_PORTS <= 7, "NPP_DGRAM_PORT");
#define NPP_DGRAM_SEG(flags) ((flags) >> 16)	/* 0, or the payload is several datagrams of that many bytes each */
#define NPP_DGRAM_SEG_FLAGS(size) ((uint32_t)(size) << 16)
static inline uint32_t npp_dgram_tail(uint32_t flags)	/* bytes behind the payload */
{
	return flags & NPP_DGRAM_LOCAL ? 16 : 0;
}
#define NPP_DGRAM_MAX 65527u	/* payload bytes; over IPv4 20 less */
struct npp_dgram {	/* its producer */
	uint32_t len;		/* payload bytes */
	uint16_t port;		/* of the peer, host order */
	uint8_t tos, ttl;
	uint32_t flags;
	uint32_t seq;		/* receive: low bits of arrival time, microseconds: readers merge by it */
	union npp_addr addr;	/* of the peer */
};
_Static_assert(sizeof(struct npp_dgram) == 32, "datagram header");
struct npp_udp_lane {
	NPP_ALIGNED _Atomic uint32_t rx_head;	/* ISM; release */
	_Atomic uint32_t drops;			/* ISM: ring full */
	uint32_t pad0[2];
	struct npp_ring_desc rx_ring;		/* ISM, once, before the first rx_head */
	uint32_t pad1[8];
	NPP_ALIGNED _Atomic uint32_t rx_tail;	/* programs, under rx_lock of the socket; release */
	uint32_t pad2[15];
};
/* A group that a socket has joined, from the sources in the list or (exclude) from all others. */
#define NPP_SOCK_GROUPS 16
#define NPP_SOCK_SOURCES 8
struct npp_member {
	union npp_addr group;
	uint8_t exclude, n_sources;
	uint8_t zero[14];
	union npp_addr source[NPP_SOCK_SOURCES];
};
_Static_assert(sizeof(struct npp_member) == 160, "membership");
/* The way out by an attachment that is not the one of the home ISM: as tx_ring, tx_head, tx_tail and
 * tx_want of the record, which are the home's. Under tx_lock of the socket, but for `want`. */
struct npp_udp_out {
	NPP_ALIGNED struct npp_ring_desc ring;	/* ISM */
	_Atomic uint32_t tail;			/* ISM; release */
	_Atomic uint32_t home;			/* OSM: slot + 1 of the ISM that sends here; 0: none */
	uint32_t pad0[10];
	NPP_ALIGNED _Atomic uint32_t head;	/* programs; release */
	_Atomic uint32_t pend;			/* programs set 1 after head moved, and post LOOK if it was 0; the ISM
						   clears it before it looks */
	_Atomic uint32_t want;			/* 1: tell me (NPP_OUT_TX) when there is room; the ISM stores 0 */
	uint32_t pad1[13];
};
struct npp_udp { /* OSM, before UDP_BIND */
	uint32_t sock;
	uint32_t n_slots;
	uint32_t pad[12];
	/* Programs, under rx_lock; member_seq is odd while they write. ISMs read it when UDP_BIND comes. */
	_Atomic uint32_t member_seq;
	uint32_t n_members;
	_Atomic uint32_t replica[NPP_MAX_SLOTS];	/* OSM: ISM handle + 1 */
	struct npp_udp_lane lane[NPP_MAX_SLOTS];
	struct npp_member member[NPP_SOCK_GROUPS];
	struct npp_udp_out out[NPP_MAX_ATTACH];
};

#define NPP_OSM_BOOKS_BYTES (1u << 20)	/* least osm_size */
struct npp_host { /* start of host memory */
	struct npp_region_hdr hdr;
	char name[32];
	uint32_t n_attach;		/* OSM */
	uint32_t sock_count;		/* nppd */
	uint32_t sock_prog_count;	/* OSM: records 1..sock_prog_count are for programs; the rest is lent to ISMs */
	uint32_t zero[5];
	/* Where things stand; nppd at creation. */
	uint64_t ctx_off;		/* struct npp_ctx[NPP_MAX_CTX] */
	uint64_t proc_off;		/* struct npp_proc[NPP_MAX_PROCS] */
	uint64_t sock_off;		/* struct npp_sock[sock_count] */
	uint64_t heap_off, heap_size;	/* the OSM's: lanes, listeners, fd chunks, extents for rings */
	uint64_t osm_off, osm_size;	/* the OSM's own books, for the next OSM */
	uint64_t pad0;
	struct {			/* OSM */
		char name[32];		/* of the NPP */
		_Atomic uint32_t state;	/* 0 none, 1 attaching, 2 up: lanes stand, ISMs may say HELLO; 3 down */
		uint32_t host_no;	/* our number there */
		uint32_t n_iops;
		_Atomic uint32_t iop_up; /* HELLO seen */
		_Atomic uint32_t epoch;	/* counts the attachments made: a program that asked at another one asks GET_ATTACH again */
		uint32_t zero2[3];
	} attach[NPP_MAX_ATTACH];
	_Atomic uint32_t next_iop;	/* rotor of programs for new sessions */
	uint32_t pad1[3];
	uint64_t pass_key[2];		/* OSM: signs what travels in SCM_RIGHTS for a socket */
	uint32_t pad2[8];
};
_Static_assert(sizeof(struct npp_host) % NPP_LINE == 0, "host memory header");

/* ---- layout hash ---------------------------------------------------------------------- */

#define NPP_ABI_MIX(h, v) (((h) ^ (uint64_t)(v)) * 0x100000001b3ull)
/* Changes with the size of any shared struct; private regions mix in their own. */
static inline uint64_t npp_abi_layout_hash(void)
{
	uint64_t h = 0xcbf29ce484222325ull;

	h = NPP_ABI_MIX(h, NPP_ABI_VERSION);
	h = NPP_ABI_MIX(h, sizeof(struct npp_fring));
	h = NPP_ABI_MIX(h, sizeof(struct npp_frame_rec));
	h = NPP_ABI_MIX(h, sizeof(struct npp_i2oq));
	h = NPP_ABI_MIX(h, sizeof(struct npp_inbound));
	h = NPP_ABI_MIX(h, sizeof(struct npp_locks));
	h = NPP_ABI_MIX(h, sizeof(struct npp_global));
	h = NPP_ABI_MIX(h, sizeof(struct npp_neigh_table));
	h = NPP_ABI_MIX(h, sizeof(struct npp_stats_page));
	h = NPP_ABI_MIX(h, sizeof(struct npp_ctx));
	h = NPP_ABI_MIX(h, sizeof(struct npp_proc));
	h = NPP_ABI_MIX(h, sizeof(struct npp_sock));
	h = NPP_ABI_MIX(h, sizeof(struct npp_listener));
	h = NPP_ABI_MIX(h, sizeof(struct npp_udp));
	h = NPP_ABI_MIX(h, sizeof(struct npp_host));
	h = NPP_ABI_MIX(h, offsetof(struct npp_sock, rx_head));
	h = NPP_ABI_MIX(h, offsetof(struct npp_sock, pend_in));
	h = NPP_ABI_MIX(h, offsetof(struct npp_sock, urg));
	h = NPP_ABI_MIX(h, offsetof(struct npp_sock, win_clamp));
	h = NPP_ABI_MIX(h, offsetof(struct npp_sock, brief));
	return h;
}

#endif
