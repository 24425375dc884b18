/* SPDX-License-Identifier: GPL-2.0-or-later
 * proto.h - types and bodies of the control messages (lib/ctl.h)
 *
 * Four conversations:
 *   nppd and its children over fd 3 (NPP_CTL_FD)
 *   npp-osm and the nppd of an NPP (nppd of the host connects, npp-osm speaks)
 *   libnpp and npp-osm, over the host's socket
 *   tools and any nppd
 * Bodies are plain structs of one machine and one build: both sides check the ABI
 * version in the first message.
 */
#ifndef NPP_LIB_PROTO_H
#define NPP_LIB_PROTO_H

#include <stdint.h>

#include "shm/abi.h"

#define NPP_CTL_FD 3	/* the control socket of a child of nppd */
#define NPP_NAME_MAX 32

/* Paths under the run directory (default /run/npp, one sub-directory per lab):
 *   NAME.sock      nppd of the NPP or host NAME: tools, attachment
 *   NAME.osm.sock  npp-osm of host NAME: programs */

enum npp_ctl_type {
	NPP_CTL_NONE = 0,

	/* nppd -> child, once, first */
	NPP_CTL_START_DISPATCH = 1,	/* npp_ctl_start_dispatch; fds: global ro, stats, private, own bell,
					   queue[n_ports], bells[n_iops], (rx ctl, rx data)[n_iops], and if `aside`:
					   second queue[n_ports] */
	NPP_CTL_START_ISM,		/* npp_ctl_start_ism; fds: global ro, neigh ro, stats, locks, private, rx ctl,
					   rx data, queue[n_ports] (transmit only, unless steered), bells[n_iops],
					   and if `regulars`: their table (shm/regulars.h) */
	NPP_CTL_START_OSM,		/* npp_ctl_start_osm; fds: host memory, stats, listening socket,
					   bells[NPP_MAX_CTX] follow in NPP_CTL_BELLS messages */
	NPP_CTL_STOP,			/* to a child: finish and exit 0 */
	NPP_CTL_PROBE,			/* npp_ctl_probe, before START: could it go on from a region of this layout?
					   Answered by PROBED; START comes later, or never */
	/* child -> nppd */
	NPP_CTL_READY = 16,		/* no body; of an ISM npp_ctl_ready */
	NPP_CTL_PROBED,			/* npp_ctl_probe (its own); error 0 or -EPROTO */
	NPP_CTL_SERVING,		/* ISM, after a READY that said no: hosts have named their listeners again */
	NPP_CTL_IPC_OPEN,		/* npp_ctl_ipc: ISM wants rings to and from `peer`; answered by NPP_CTL_IPC with the same seq */
	NPP_CTL_AUTOCONF,		/* struct npp_autoconf, of the ISM with the link role; no answer */
	NPP_CTL_GROUPS,			/* struct npp_groups, of the ISM with the link role; no answer */
	NPP_CTL_CONFLICT,		/* struct npp_conflict, of the ISM with the link role; no answer */
	/* nppd -> ISM */
	NPP_CTL_IPC = 24,		/* npp_ctl_ipc; fds: out ctl, out data, in ctl, in data; to both ends */
	NPP_CTL_ROLE,			/* npp_ctl_role; fd: neigh read-write if it has the link role now */
	NPP_CTL_HOST_ATTACH,		/* npp_ctl_host_attach; fds: host memory, inbound region, doorbell of that
					   host for this ISM */
	NPP_CTL_BELLS,			/* npp_ctl_bells; fds: that many eventfds (to ISM: of that host; to OSM: its own) */
	NPP_CTL_HOST_DETACH,		/* npp_ctl_host_attach without fds: the host has failed or left */
	NPP_CTL_NET,			/* no body: net_seq has moved; look at once, also from sleep */

	/* nppd of host -> npp-osm */
	NPP_CTL_NPP_CONN = 32,		/* npp_ctl_npp_conn; fd: connected socket to the nppd of that NPP */

	/* nppd of host -> nppd of NPP, before it passes the connection on */
	NPP_CTL_HOST_CONN = 38,		/* npp_ctl_npp_conn (name of the host): from now on only messages of this host are
					   taken here, none of a tool; answered by NPP_CTL_ANSWER (-EAGAIN: still starting) */
	NPP_CTL_HOST_LEAVE,		/* no body, no answer: the host leaves now, no grace */

	/* npp-osm -> nppd of NPP (requests), answers have type + 1 */
	NPP_CTL_ATTACH = 40,		/* npp_ctl_attach; fd: host memory; then NPP_CTL_BELLS messages up to NPP_MAX_CTX, then ATTACH_DONE */
	NPP_CTL_ATTACHED,		/* answer to ATTACH, once ATTACH_DONE came and the ISMs were told: npp_ctl_attached; fds: global ro,
					   bells[n_iops] of this host alone, inbound[n_iops] */
	NPP_CTL_PORT_GRANT,		/* npp_ctl_port: may this host use the port? */
	NPP_CTL_PORT_GRANTED,		/* npp_ctl_port; error -EADDRINUSE */
	NPP_CTL_PORT_RELEASE,		/* npp_ctl_port; no answer */
	NPP_CTL_IOP_STATE = 46,		/* nppd -> npp-osm: npp_ctl_iop */
	NPP_CTL_ATTACH_DONE,		/* no body: all bells are sent; now HELLOs come */
	NPP_CTL_PING,			/* nppd -> npp-osm, no body: is the host alive? One that does not answer for a time
					   that is set is taken for frozen, and fails */
	NPP_CTL_PONG,			/* npp-osm -> nppd, no body */

	/* libnpp -> npp-osm (requests); answers carry type NPP_CTL_ANSWER.
	 *
	 * One connection per process, close-on-exec; its end says nothing about the process
	 * (a pidfd does). Processes are known by pid and start time: the PROC_HELLO of a new
	 * image after exec gets the proc record it had, the PROC_HELLO of a child of fork
	 * gets the embryo that carries its pid (the child stores it in npp_proc.pid before it
	 * says hello; hello and the parent's FORK_DONE come in either order, or only one of
	 * them). Any other PROC_HELLO makes a new record with an empty table.
	 *
	 * CTX_OPEN: all lanes of all attachments that are up stand before the answer.
	 * BIND: the record is NPP_SOCK_STREAM or NPP_SOCK_DGRAM, `addr` any or an address of
	 * the NPP, port 0: pick an ephemeral one. DGRAM: ext_off64 is set before the answer.
	 * LISTEN: the program has set type = NPP_SOCK_LISTENER; ext_off64 is set before the
	 * answer. CLOSE of either: the OSM frees the record when all ISMs have answered.
	 * UNBIND: gives the port back; the record stays the program's, who frees it.
	 * A bound stream socket that connects keeps its port until its record comes back
	 * by NPP_MSG_FREED. */
	NPP_CTL_PROC_HELLO = 64,	/* npp_ctl_hello; answer npp_ctl_welcome; fds: host memory, placeholder is made locally */
	NPP_CTL_GET_ATTACH,		/* npp_ctl_iop (attach); answer npp_ctl_attached; fds: global ro, bells[n], inbound[n] */
	NPP_CTL_CTX_OPEN,		/* npp_ctl_ctx (kind); answer npp_ctl_ctx; fd: its doorbell */
	NPP_CTL_CTX_CLOSE,		/* npp_ctl_ctx; answer empty */
	NPP_CTL_FD_CHUNK,		/* npp_ctl_chunk: make descriptor chunk; answer empty, proc record says where */
	NPP_CTL_FORK,			/* npp_ctl_fork: embryo with a copy of my table, refs raised; answer npp_ctl_fork */
	NPP_CTL_FORK_DONE,		/* npp_ctl_fork: child pid known (parent), or 0: fork failed, drop the embryo */
	NPP_CTL_BIND,			/* npp_ctl_bind: own the port; DGRAM: also make npp_udp and replicate; answer npp_ctl_bind */
	NPP_CTL_LISTEN,			/* npp_ctl_bind + backlog: make npp_listener, replicate; answer when all have answered */
	NPP_CTL_UNBIND,			/* npp_ctl_bind: give the port back (socket closed before it listened) */
	NPP_CTL_CLOSE,			/* npp_ctl_bind (sock, gen): last descriptor of a listener or datagram socket is gone */
	NPP_CTL_PEER,			/* npp_ctl_bind (sock, gen): a datagram socket's NPP_FL_CONNECTED, raddr, rport or groups changed */
	NPP_CTL_SUB_MORE,		/* npp_ctl_bind (sock, gen): make the big subscriber map */
	NPP_CTL_CHECK,			/* no body: recount everything; answer npp_ctl_check (for tests and tools) */
	NPP_CTL_PASS,			/* npp_ctl_bind (sock, gen); fd: one end of a pair of sockets. A reference is held until nobody
					   has the other end any more: it travels in SCM_RIGHTS in place of the socket */
	NPP_CTL_ANSWER,
	NPP_CTL_HOLD,			/* npp_ctl_hold, of root: take memory away from the host; answer npp_ctl_held (for faults) */

	/* tools -> nppd; answers have type NPP_CTL_ANSWER */
	NPP_CTL_TOOL_STATUS = 96,	/* answer: npp_ctl_status + child records */
	NPP_CTL_TOOL_REGIONS,		/* answer: npp_ctl_regions; fds read-only: global, neigh, locks, then stats of each child, then private regions of ISMs (NPP) or host memory, stats (host) */
	NPP_CTL_TOOL_STOP,		/* stop everything and exit; answer empty when it has begun */
	NPP_CTL_TOOL_RESTART,		/* npp_ctl_restart: replace a child; answer npp_ctl_restarted, when the successor works.
					   -ENOENT no such child, -EBUSY is being replaced, -EPROTO the program does not fit
					   its region (nothing was stopped), -ECHILD the successor died */
	NPP_CTL_TOOL_HOST,		/* npp_ctl_tool_host, to the nppd of an NPP; answer npp_ctl_hosts. -ENOENT no such
					   host, -EINVAL no such weight */
};

struct npp_ctl_probe {
	uint32_t abi_version, zero;
	uint64_t shared_hash;	/* npp_abi_layout_hash() */
	uint64_t layout_hash;	/* of the child's own region */
};
struct npp_ctl_ready { uint32_t serving; /* 0: SERVING follows */ uint32_t zero; };
struct npp_ctl_start_dispatch {
	uint32_t abi_version, n_iops;
	uint64_t layout_hash;
	int32_t cpu;		/* pin to, -1 not */
	uint32_t verbose;
	uint32_t n_ports;
	uint32_t aside;		/* 1: each port has a second queue, for those who are no regulars */
};
struct npp_ctl_start_ism {
	uint32_t abi_version, iop, n_iops;
	uint32_t restart;	/* 1: attach to what stands in the private region */
	uint64_t layout_hash;
	int32_t cpu;
	uint32_t verbose;
	uint32_t max_conns;	/* TCBs */
	uint32_t reass_bytes;
	uint32_t n_ports;
	uint32_t regulars;	/* 1: there is a table of them */
	uint32_t seed[8];	/* random, from nppd; keys of tables and ISNs */
	uint32_t npp_key[4];	/* the same for all ISMs of the NPP: key of Fast Open cookies */
};
struct npp_ctl_start_osm {
	uint32_t abi_version;
	uint32_t restart;
	uint64_t layout_hash;
	char name[NPP_NAME_MAX];
	uint32_t n_npps;
	uint32_t verbose;
	char npp[NPP_MAX_ATTACH][NPP_NAME_MAX];
	uint32_t host_grace_ms;
	uint32_t cpu_plus_1;	/* pin to this minus 1; 0 not */
};
/* Programs, in detail.
 *
 * Connection: one per process, close-on-exec; more are allowed, and its end means nothing
 * (the OSM watches the process). PROC_HELLO first. Requests may overlap; an answer
 * repeats the seq, hdr.error is 0 or a negative errno, and with an error there is no body.
 * pid, uid: SO_PEERCRED of the connection, so a child of fork makes its own.
 *
 * PROC_HELLO: the same process (pid and start time) finds its record and descriptor table
 * again. With another `image` the contexts of the image before are closed by the OSM;
 * the new library drops the words of descriptors that exec has closed. The child of a
 * fork stores its pid into the embryo's record and then says HELLO: it gets that record.
 * FORK: the caller keeps its other threads from changing its table until fork has
 * returned in the parent. Child and parent both may come first. If FORK_DONE says
 * pid 0, or the parent dies and no child shows within 2 s, the embryo is dropped.
 *
 * BIND: the record is the program's (owner set, type STREAM, LISTENER or DGRAM, gen as
 * given) with refs >= 1. Conflicts are judged as Linux does from addr, port, reuse and
 * uid. The OSM stores the port granted into lport of the record and into the answer.
 * DGRAM: the OSM also picks the home ISM (slot), makes npp_udp and stores ext_off64; it
 * answers when all ISMs have bound, or after 2 s. -EADDRNOTAVAIL: no NPP of this host has
 * addr. A stream socket that is bound and then connected keeps its port until the ISM
 * has freed the record; nobody need say UNBIND.
 * LISTEN: the OSM sets type LISTENER and ext_off64. Without a BIND before it binds addr
 * and port first. Again on a listener: only the backlog changes.
 * UNBIND: for a socket that neither listened nor connected; the record stays the
 * program's, which frees it.
 * PEER: of a datagram socket; answered when all ISMs know the peer, so what others send from
 * now on goes elsewhere. Before the BIND a peer may be set without PEER.
 * CLOSE: of a bound socket with refs 0; the OSM frees the record (gen + 1, owner 0) when
 * all ISMs have let go of it. Answered at once.
 *
 * Ports between npp-osm and the nppd of an NPP: nppd judges between hosts only; what one
 * host asks twice, or asks beside an overlapping port of its own, is granted. A grant
 * is a member of a set, not a count: it ends with one RELEASE of the same (addr, port, proto).
 */
struct npp_ctl_ipc { uint32_t peer; uint32_t zero; };
struct npp_ctl_role { uint32_t link; uint32_t zero; };
struct npp_ctl_host_attach { uint32_t host_no; uint32_t attach; /* the host's number for this NPP */ uint32_t slot; uint32_t zero; };
struct npp_ctl_bells { uint32_t host_no; uint32_t first, count; uint32_t zero; };
struct npp_ctl_npp_conn { uint32_t attach; uint32_t zero; char name[NPP_NAME_MAX]; };
struct npp_ctl_attach {
	uint32_t abi_version, attach;
	uint64_t layout_hash;
	char host[NPP_NAME_MAX];
	uint32_t grace_ms;	/* how long to wait for it at most; the NPP's own host_grace_ms counts if that is less */
	uint32_t zero;
};
struct npp_ctl_attached {
	uint32_t attach, host_no, n_iops, iop_up;
	char name[NPP_NAME_MAX];
	uint32_t epoch;		/* to programs: as in host memory, where ISMs can spoil it; else 0 */
	uint32_t zero;
};
struct npp_ctl_iop { uint32_t attach, iop, up; uint32_t lost; /* down for good: its sessions are gone */ };
struct npp_ctl_port {
	union npp_addr addr;	/* any: all addresses of the NPP */
	uint16_t port;		/* host order; in a request 0: pick an ephemeral one */
	uint8_t proto;		/* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t reuse;		/* 1 SO_REUSEPORT, 2 SO_REUSEADDR, 4 IPV6_V6ONLY, NPP_PORT_ALONE */
	uint32_t uid;		/* of the program, for SO_REUSEPORT */
};
#define NPP_PORT_ALONE 8u	/* was picked, not asked for: never shared with another host */
struct npp_ctl_hello {
	uint32_t abi_version;
	int32_t pid;
	uint64_t layout_hash;
	uint64_t start_time;
	uint64_t image;		/* random, made when the library is loaded: another one from the same process means exec */
};
struct npp_ctl_welcome { uint32_t proc; uint32_t n_attach; char host[NPP_NAME_MAX]; };
struct npp_ctl_ctx { uint32_t ctx; uint32_t kind; };
struct npp_ctl_chunk { uint32_t proc; uint32_t chunk; };
/* Answer: pid is the embryo's turn. Done: proc is NPP_CTL_EMBRYO, so that it means no later one in the same place. */
struct npp_ctl_fork { uint32_t proc; int32_t pid; };
#define NPP_CTL_EMBRYO(proc, turn) ((uint32_t)(proc) | (uint32_t)(turn) << 16)
struct npp_ctl_bind {
	uint32_t sock, gen;	/* record made by the program, laddr/lport/opt_flags filled in */
	uint32_t backlog;
	int32_t pid;
	union npp_addr addr;
	uint16_t port;		/* in the answer: the one granted */
	uint8_t proto, reuse;
	uint32_t zero;
};
struct npp_ctl_check {	/* what the OSM found; 0 is good in all of `wrong` */
	uint32_t procs, ctxs, binds, socks_used;
	uint32_t refs_low;	/* wrong: records with fewer references than descriptors */
	uint32_t refs_high;	/* wrong, unless in flight: records with more */
	uint32_t words_bad;	/* wrong: descriptor words that name no such record */
	uint32_t dead_owners;	/* wrong: records that nobody refers to, of contexts that are gone */
	uint32_t dead_locks;	/* wrong: locks held by contexts that are gone */
	uint32_t dead_claims;	/* wrong: accept entries claimed by contexts that are gone */
	uint32_t dead_subs;	/* wrong: subscribers that are gone */
	uint32_t zero;
	uint64_t heap_used, heap_owned; /* wrong if they differ: bytes taken, bytes that a record refers to */
};
#define NPP_HOLD_SHOW 0xffffffffu
struct npp_ctl_hold { uint32_t percent; /* of what is free now; 0: all is given back; NPP_HOLD_SHOW: only say */ uint32_t zero; };
struct npp_ctl_held {	/* bytes of the heap, and socket records of programs */
	uint64_t heap, heap_free, heap_held;
	uint32_t socks, socks_free, socks_held, zero;
};
struct npp_ctl_child {	/* one per child in the status answer */
	uint32_t role, index;
	int32_t pid;
	uint32_t state;		/* 0 down, 1 starting, 2 ready, 3 given up */
	uint32_t restarts;
	int32_t exit_status;	/* of the last one that ended, as wait(2) gives it */
};
#define NPP_CONFLICTS 4
struct npp_ctl_status {
	uint32_t abi_version, role; /* 1 NPP, 2 host */
	char name[NPP_NAME_MAX];
	int32_t pid;
	uint32_t n_children, n_iops, n_hosts;
	uint64_t layout_hash;
	char attached[NPP_MAX_HOSTS][NPP_NAME_MAX]; /* NPP: its hosts by number; host: its NPPs */
	uint32_t huge_pages;	/* 2 MB pages in use by its regions */
	uint32_t zero;
	uint32_t n_ports, zero2;
	struct npp_ctl_port_state {	/* NPP: its network ports */
		char name[16], bridge[16];
		uint32_t up;
		uint32_t downs;	/* how often the carrier was lost */
		uint64_t drops;	/* frames that it had no room for */
	} port[NPP_MAX_PORTS];
	struct npp_ctl_conflict {	/* NPP: addresses of it that somebody else uses, the latest */
		union npp_addr addr;
		uint8_t mac[6];
		uint16_t port;
		uint32_t n;	/* how often; 0: no entry */
		uint32_t age_s;	/* since it was said last */
	} conflict[NPP_CONFLICTS];
};
enum { NPP_HOST_SHOW = 0, NPP_HOST_DOWN, NPP_HOST_UP, NPP_HOST_WEIGHT };
struct npp_ctl_tool_host { uint32_t what; uint32_t weight; char name[NPP_NAME_MAX]; };
struct npp_ctl_hosts {	/* the hosts of an NPP by number */
	uint32_t policy;	/* enum npp_share_policy */
	uint32_t generation;	/* of the list of members */
	struct npp_ctl_host {
		char name[NPP_NAME_MAX];	/* empty: none has this number */
		uint32_t state;		/* 1 attached, 2 its OSM is away, 3 declared down */
		uint32_t share;		/* weight, or place in the order; 0: takes no part */
		uint32_t ports;		/* granted to it */
		uint32_t failures;	/* of this name, so far */
		uint32_t conns;		/* open on all IOPs */
	} host[2 * NPP_MAX_HOSTS];	/* from NPP_MAX_HOSTS on: named in the configuration or declared down, not there */
};
struct npp_ctl_regions { uint32_t n_stats, n_private; };
struct npp_ctl_restart { uint32_t role, index; };	/* enum npp_role */
struct npp_ctl_restarted {
	int32_t old_pid, pid;	/* old_pid 0: none was running */
	uint64_t ready_us;	/* from the stop until it was ready */
	uint64_t work_us;	/* until it did its first work; 0: there was none for a while */
	uint64_t lost;		/* connections that it had to reset */
};

#endif
