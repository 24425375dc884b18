/* SPDX-License-Identifier: GPL-2.0-or-later
 * stats.h - the counters: one list per role makes enum, name and help text
 *
 * X(id, "name", "help"). Names that begin with "drop." are drops with their reason.
 * Add to the end of a group; the counter's place in the page is its place here.
 */
#ifndef NPP_SHM_STATS_H
#define NPP_SHM_STATS_H

#include "shm/abi.h"

/* What dispatch_classify() says of frames, for whoever reads them from a port: P begins the
 * identifiers, N the names. */
#define NPP_PORT_CLASSES(X, P, N) \
	X(P##CLASS_ARP, N "class.arp", "ARP and neighbour discovery") \
	X(P##CLASS_FRAGMENT, N "class.fragment", "IP fragments") \
	X(P##CLASS_TCP, N "class.tcp", "TCP segments") \
	X(P##CLASS_UDP, N "class.udp", "UDP datagrams") \
	X(P##CLASS_ICMP_ERROR, N "class.icmp_error", "ICMP errors, dispatched by the flow they quote") \
	X(P##CLASS_OTHER, N "class.other", "everything else")
#define NPP_PORT_DROPS(X, P, N) \
	X(P##DROP_SHORT, N "short", "shorter than its headers") \
	X(P##DROP_MAC, N "mac", "not for our Ethernet address") \
	X(P##DROP_ETHERTYPE, N "ethertype", "neither IP nor ARP") \
	X(P##DROP_IP_VERSION, N "ip_version", "IP version field disagrees with the EtherType") \
	X(P##DROP_IP_HEADER, N "ip_header", "IP header length or total length lies") \
	X(P##DROP_IP_CSUM, N "ip_csum", "wrong IPv4 header checksum") \
	X(P##DROP_IP_DST, N "ip_dst", "not for an address of ours") \
	X(P##DROP_IP_SRC, N "ip_src", "source address that cannot be one") \
	X(P##DROP_FRAGMENT, N "fragment", "fragment bounds make no sense") \
	X(P##DROP_L4, N "l4", "shorter than its transport header") \
	X(P##DROP_L4_CSUM, N "l4_csum", "wrong TCP, UDP or ICMP checksum") \
	X(P##DROP_RING_FULL, N "ring_full", "the IOP's receive ring was full") \
	X(P##DROP_IOP_DOWN, N "iop_down", "the IOP it belongs to is not there") \
	X(P##DROP_VNET, N "vnet", "virtio header makes no sense")

/* The same figures of each network port. */
#define NPP_PORT_FRAMES(X, P, N, way, text) \
	X(P##0_FRAMES, N "0." way "_frames", "frames " text " port 0") \
	X(P##0_BYTES, N "0." way "_bytes", "bytes of them") \
	X(P##1_FRAMES, N "1." way "_frames", "frames " text " port 1") \
	X(P##1_BYTES, N "1." way "_bytes", "bytes of them") \
	X(P##2_FRAMES, N "2." way "_frames", "frames " text " port 2") \
	X(P##2_BYTES, N "2." way "_bytes", "bytes of them") \
	X(P##3_FRAMES, N "3." way "_frames", "frames " text " port 3") \
	X(P##3_BYTES, N "3." way "_bytes", "bytes of them")

#define NPP_DISPATCH_COUNTERS(X) \
	X(DS_RX_FRAMES, "rx.frames", "frames read from the port") \
	X(DS_RX_BYTES, "rx.bytes", "bytes of them") \
	X(DS_RX_GSO, "rx.gso", "frames larger than the MTU (segmentation offload)") \
	X(DS_RX_BATCHES, "rx.batches", "times the port was drained") \
	NPP_PORT_CLASSES(X, DS_, "") \
	X(DS_PLACE_HIT, "place.hit", "large frames read straight into the right ring") \
	X(DS_PLACE_MISS, "place.miss", "large frames that had to be copied") \
	X(DS_BELLS, "bells", "doorbells rung") \
	X(DS_SLEEPS, "sleeps", "times it went to sleep") \
	X(DS_BUSY_US, "busy_us", "microseconds not asleep") \
	NPP_PORT_DROPS(X, DS_, "drop.") \
	X(DS_READ_ERRORS, "read_errors", "errors reading the port") \
	NPP_PORT_FRAMES(X, DS_RX, "port", "rx", "read from") \
	X(DS_ASIDE_FRAMES, "rx.aside", "frames of those who are no regulars, read from their own queue") \
	X(DS_DROP_ASIDE, "drop.aside", "of them: the receive ring of the IOP was half full")

#define NPP_ISM_COUNTERS(X) \
	X(IS_RX_FRAMES, "rx.frames", "frames taken from the receive ring, and from the port") \
	X(IS_RX_BYTES, "rx.bytes", "bytes of them") \
	X(IS_TX_FRAMES, "tx.frames", "frames written to the port") \
	X(IS_TX_BYTES, "tx.bytes", "bytes of them") \
	X(IS_TX_ERRORS, "tx.errors", "frames the port refused") \
	X(IS_TX_GSO, "tx.gso", "frames larger than the MTU") \
	X(IS_IPC_OUT, "ipc.out", "records passed to other IOPs") \
	X(IS_IPC_IN, "ipc.in", "records taken from other IOPs") \
	X(IS_MSG_IN, "msg.in", "messages from hosts") \
	X(IS_MSG_OUT, "msg.out", "messages to hosts") \
	X(IS_BELLS, "bells", "doorbells rung") \
	X(IS_SLEEPS, "sleeps", "times it went to sleep") \
	X(IS_BUSY_US, "busy_us", "microseconds not asleep") \
	X(IS_TIMERS, "timers", "timers that fired") \
	X(IS_RX_DEPTH, "rx.depth", "gauge: bytes waiting in the receive ring") \
	X(IS_CONNS, "tcp.conns", "gauge: connections, TIME_WAIT included") \
	X(IS_TIME_WAIT, "tcp.time_wait", "gauge: of them in TIME_WAIT") \
	X(IS_HALF_OPEN, "tcp.half_open", "gauge: entries of the SYN cache") \
	X(IS_LISTENERS, "tcp.listeners", "gauge: listener replicas") \
	X(IS_UDP_EPS, "udp.endpoints", "gauge: UDP endpoints") \
	X(IS_RING_BYTES, "mem.rings", "gauge: bytes of host memory in byte rings") \
	X(IS_TCP_ACCEPTED, "tcp.accepted", "connections opened by peers") \
	X(IS_TCP_CONNECTED, "tcp.connected", "connections opened by programs") \
	X(IS_TCP_CLOSED, "tcp.closed", "connections that ended") \
	X(IS_TCP_SEGS_IN, "tcp.segs_in", "segments received") \
	X(IS_TCP_SEGS_OUT, "tcp.segs_out", "segments sent") \
	X(IS_TCP_BYTES_IN, "tcp.bytes_in", "payload bytes accepted in order") \
	X(IS_TCP_BYTES_OUT, "tcp.bytes_out", "payload bytes sent for the first time") \
	X(IS_TCP_RETRANS, "tcp.retrans", "segments sent again") \
	X(IS_TCP_RTO, "tcp.rto", "retransmission timeouts") \
	X(IS_TCP_FAST_RETRANS, "tcp.fast_retrans", "fast recoveries entered") \
	X(IS_TCP_OOO, "tcp.ooo", "segments that arrived out of order") \
	X(IS_TCP_DUPACK, "tcp.dupack", "duplicate ACKs received") \
	X(IS_TCP_RST_IN, "tcp.rst_in", "resets accepted") \
	X(IS_TCP_RST_OUT, "tcp.rst_out", "resets sent") \
	X(IS_TCP_CHALLENGE, "tcp.challenge_ack", "challenge ACKs sent") \
	X(IS_TCP_UNDO, "tcp.undo", "loss recoveries that turned out to be needless") \
	X(IS_TCP_TLP, "tcp.tlp", "tail loss probes sent") \
	X(IS_TCP_DSACK_IN, "tcp.dsack_in", "segments that the peer says it received twice") \
	X(IS_TCP_COOKIES_OUT, "tcp.cookies_out", "SYN cookies sent") \
	X(IS_TCP_COOKIES_OK, "tcp.cookies_ok", "connections opened by a SYN cookie") \
	X(IS_TCP_TW_RECYCLED, "tcp.tw_recycled", "TIME_WAIT records given up early") \
	X(IS_TCP_PROBES, "tcp.probes", "window and keep-alive probes sent") \
	X(IS_TCP_CE_IN, "tcp.ce_in", "segments that a router had marked (CE)") \
	X(IS_TCP_ECN_REDUCED, "tcp.ecn_reduced", "windows reduced because of marks") \
	X(IS_UDP_IN, "udp.in", "datagrams delivered") \
	X(IS_UDP_OUT, "udp.out", "datagrams sent") \
	X(IS_ICMP_IN, "icmp.in", "ICMP messages received") \
	X(IS_ICMP_OUT, "icmp.out", "ICMP messages sent") \
	X(IS_ECHO_REPLIES, "icmp.echo_replies", "echo requests answered") \
	X(IS_ARP_IN, "arp.in", "ARP packets received") \
	X(IS_ARP_OUT, "arp.out", "ARP packets sent") \
	X(IS_ARP_CONFLICTS, "arp.conflicts", "ARP that claims an address of ours or contradicts the cache") \
	X(IS_REASS_OK, "ip.reassembled", "datagrams put together from fragments") \
	X(IS_FRAGS_IN, "ip.frags_in", "fragments received") \
	X(IS_FRAGS_OUT, "ip.frags_out", "fragments sent") \
	X(IS_HANDED_ON, "ip.handed_on", "datagrams passed to the IOP that owns them") \
	X(IS_LOCAL, "ip.local", "packets that we sent to an address of our own") \
	X(IS_PORT_FRAMES, "port.frames", "engine kernel: frames read from its own queue of the port") \
	X(IS_PORT_BYTES, "port.bytes", "bytes of them") \
	X(IS_PORT_GSO, "port.gso", "frames larger than the MTU") \
	X(IS_PORT_BATCHES, "port.batches", "times the queue was read") \
	X(IS_PORT_HANDED_ON, "port.handed_on", "frames of that queue that belonged to another IOP") \
	X(IS_PORT_READ_ERRORS, "port.read_errors", "errors reading it") \
	NPP_PORT_CLASSES(X, IS_PORT_, "port.") \
	X(IS_DROP_FRAME, "drop.frame", "Ethernet or IP header makes no sense") \
	X(IS_DROP_IP_CSUM, "drop.ip_csum", "wrong IPv4 header checksum") \
	X(IS_DROP_IP_OPTIONS, "drop.ip_options", "IP options that make no sense, or source routes") \
	X(IS_DROP_IP_SRC, "drop.ip_src", "source address that cannot be one") \
	X(IS_DROP_IP_DST, "drop.ip_dst", "not for an address of ours") \
	X(IS_DROP_NO_PROTO, "drop.no_protocol", "IP protocol that nobody here speaks") \
	X(IS_DROP_CSUM, "drop.csum", "wrong transport checksum") \
	X(IS_DROP_TCP_HEADER, "drop.tcp_header", "TCP header or options make no sense") \
	X(IS_DROP_TCP_NO_CONN, "drop.tcp_no_conn", "segment for no connection (answered by RST)") \
	X(IS_DROP_TCP_WINDOW, "drop.tcp_window", "segment outside the window") \
	X(IS_DROP_TCP_ACK, "drop.tcp_ack", "unacceptable acknowledgment") \
	X(IS_DROP_TCP_PAWS, "drop.tcp_paws", "timestamp too old (RFC 7323)") \
	X(IS_DROP_TCP_NO_ROOM, "drop.tcp_no_room", "no ring memory for the data") \
	X(IS_DROP_TCP_MEM, "drop.tcp_mem", "no TCB or socket record left") \
	X(IS_DROP_TCP_STATE, "drop.tcp_state", "segment that means nothing in the connection's state") \
	X(IS_DROP_TCP_DUP, "drop.tcp_dup", "data that was received before") \
	X(IS_DROP_TCP_RANGES, "drop.tcp_ranges", "too many gaps in the data received") \
	X(IS_DROP_TCP_DST, "drop.tcp_dst", "segment to or from an address that TCP does not speak to") \
	X(IS_DROP_SYN_FULL, "drop.syn_full", "SYN cache full") \
	X(IS_DROP_ACCEPT_FULL, "drop.accept_full", "accept queue full, or no socket record left") \
	X(IS_DROP_UDP_NO_PORT, "drop.udp_no_port", "datagram for no socket (answered by ICMP)") \
	X(IS_DROP_UDP_FULL, "drop.udp_full", "receive ring of the socket full") \
	X(IS_DROP_UDP_HEADER, "drop.udp_header", "UDP length lies") \
	X(IS_DROP_ICMP, "drop.icmp", "ICMP message makes no sense or is for nobody") \
	X(IS_DROP_ICMP_RATE, "drop.icmp_rate", "ICMP message not sent: rate limit") \
	X(IS_DROP_REASS_TIME, "drop.reass_timeout", "fragments that were never complete") \
	X(IS_DROP_REASS_FULL, "drop.reass_full", "no room for fragments") \
	X(IS_DROP_REASS_OVERLAP, "drop.reass_overlap", "overlapping fragments") \
	X(IS_DROP_REASS_BAD, "drop.reass_bad", "fragment bounds make no sense") \
	X(IS_DROP_ARP, "drop.arp", "ARP packet makes no sense") \
	X(IS_DROP_NO_ROUTE, "drop.no_route", "no route to send by") \
	X(IS_DROP_NEIGH_FULL, "drop.neigh_queue", "too many frames waiting for a neighbour") \
	X(IS_DROP_NEIGH_FAILED, "drop.neigh_failed", "neighbour does not answer") \
	X(IS_DROP_LOCAL_FULL, "drop.local_queue", "queue of packets to ourselves full") \
	X(IS_DROP_IPC_FULL, "drop.ipc_full", "ring to the other IOP full") \
	NPP_PORT_DROPS(X, IS_PORT_, "drop.port_") \
	X(IS_PROTO_ERRORS, "host.protocol_errors", "wrong handles, offsets or lengths from a host") \
	X(IS_OVERFLOWS, "host.overflows", "message queues that overflowed (all sockets looked at)") \
	X(IS_INT_MASKED, "nk.masked", "interrupt causes found disabled") \
	X(IS_ROUNDS, "nk.rounds", "rounds of the net kernel") \
	X(IS_ROUNDS_FULL, "nk.budget", "rounds that ended by their budget") \
	X(IS_TCP_SYN_HELD, "tcp.syn_held", "handshakes that waited for room in the accept queue") \
	X(IS_LOST, "takeover.lost", "connections reset: half changed when a predecessor died") \
	X(IS_ND_IN, "nd.in", "neighbour discovery messages received") \
	X(IS_ND_OUT, "nd.out", "neighbour discovery messages sent") \
	X(IS_DROP_ND, "drop.nd", "neighbour discovery message makes no sense") \
	X(IS_TFO_IN, "tfo.in", "connections opened by a Fast Open cookie") \
	X(IS_TFO_BAD, "tfo.bad", "Fast Open cookies that were wrong or too old") \
	X(IS_TFO_FULL, "tfo.full", "good cookies beyond what their listener allows half open") \
	X(IS_TFO_OUT, "tfo.out", "SYNs sent with data") \
	X(IS_MTU_HOLES, "mtu.black_holes", "times that large segments vanished and smaller ones were tried") \
	X(IS_MTU_PROBES, "mtu.probes", "segments sent to find out whether larger ones get through") \
	X(IS_CHALLENGE_MUTE, "tcp.challenge_mute", "challenge ACKs not sent because of their rate") \
	X(IS_ORPHANS_FULL, "tcp.orphans_full", "closed connections reset with data unsent: too many of them") \
	X(IS_GROUPS, "mc.groups", "gauge: multicast groups, those of our own addresses included") \
	X(IS_MC_REFUSED, "mc.refused", "memberships for which there was no room") \
	X(IS_MC_LOOPED, "mc.looped", "datagrams to groups that were given to sockets here as well") \
	X(IS_IGMP_IN, "igmp.in", "IGMP messages received") \
	X(IS_IGMP_OUT, "igmp.out", "IGMP messages sent") \
	X(IS_MLD_IN, "mld.in", "MLD messages received") \
	X(IS_MLD_OUT, "mld.out", "MLD messages sent") \
	X(IS_DROP_IGMP, "drop.igmp", "IGMP message makes no sense") \
	X(IS_DROP_MLD, "drop.mld", "MLD message makes no sense") \
	X(IS_DROP_GROUP, "drop.group", "datagram to a group that no socket here wants, or not from there") \
	X(IS_DROP_REDIRECT, "drop.redirect", "redirects, which are not obeyed") \
	X(IS_ACD_CONFLICTS, "acd.conflicts", "ARP and neighbour discovery that claim an address of ours") \
	X(IS_ACD_DEFENDED, "acd.defended", "times that we said again that it is ours") \
	X(IS_TCP_URGENT_IN, "tcp.urgent_in", "urgent pointers received") \
	X(IS_MEM_LEVEL, "mem.pressure", "gauge: memory for rings is short: 1 they grow for few, 2 holders are ended") \
	X(IS_MEM_REFUSED, "mem.refused", "first rings refused to peers whose prefix has its share") \
	X(IS_MEM_SHRUNK, "mem.shrunk", "transmit rings made smaller because memory was short") \
	X(IS_MEM_PRUNED, "mem.pruned", "receive rings taken back with data out of order, because memory was short") \
	X(IS_MEM_ENDED, "mem.ended", "connections reset whose peers took nothing while memory was short") \
	NPP_PORT_FRAMES(X, IS_TX, "port", "tx", "written to") \
	NPP_PORT_FRAMES(X, IS_RX, "port", "rx", "read (engine kernel) from") \
	X(IS_PORT_MOVES, "tcp.port_moves", "connections that went on by another port") \
	X(IS_DROP_ECHO_RATE, "drop.echo_rate", "echo requests not answered: rate limit") \
	X(IS_DROP_RST_RATE, "drop.rst_rate", "segments for no connection not answered by a reset: rate limit") \
	X(IS_BACKLOG_BYTES, "mem.backlog", "gauge: bytes of it in rings of connections that no program has accepted") \
	X(IS_BACKLOG_REFUSED, "mem.backlog_refused", "rings of such connections that were refused: their listener has its budget") \
	X(IS_SOCKS_OUT, "host.socks_out", "times that no socket record of a host was left for a connection (`sockets`)") \
	X(IS_TCP_DEFERRED, "tcp.deferred", "handshakes not completed because their listener waits for data") \
	X(IS_SYN_SHARE, "tcp.syn_share", "SYNs of prefixes that have their share of the half-open connections: cookies sent") \
	X(IS_ND_ROUTERS_FULL, "nd.routers_full", "advertised routers when all places were taken: one that is silent or liked less goes, or the new one") \
	X(IS_ND_PREFIXES_FULL, "nd.prefixes_full", "advertised prefixes not taken: no place left") \
	X(IS_ROUTES_LEFT_OUT, "nd.left_out", "gauge: advertised addresses and routes that the NPP has no room for")

#define NPP_OSM_COUNTERS(X) \
	X(OS_PROCS, "procs", "gauge: processes registered") \
	X(OS_CTXS, "ctxs", "gauge: contexts open") \
	X(OS_LISTENERS, "listeners", "gauge: listening sockets") \
	X(OS_HEAP_USED, "heap.used", "gauge: bytes of host memory in use") \
	X(OS_EXTENTS, "heap.extents", "gauge: bytes lent to ISMs") \
	X(OS_RPCS, "rpcs", "requests from programs") \
	X(OS_DEATHS, "deaths", "programs that ended") \
	X(OS_LOCKS_BROKEN, "locks_broken", "locks taken from dead programs") \
	X(OS_ACCEPTS_RETURNED, "accepts_returned", "claimed connections given back") \
	X(OS_SOCKS_REAPED, "socks_reaped", "sockets closed for dead programs") \
	X(OS_MSG_IN, "msg.in", "messages from ISMs") \
	X(OS_MSG_OUT, "msg.out", "messages to ISMs") \
	X(OS_PROTO_ERRORS, "protocol_errors", "messages that made no sense") \
	X(OS_EXTENTS_REFUSED, "heap.extents_refused", "requests of ISMs for memory that were refused") \
	X(OS_SOCKS_LOST, "socks_lost", "sessions whose ISM has forgotten them") \
	X(OS_BINDS, "binds", "gauge: bound sockets, listening ones included") \
	X(OS_HEAP_HELD, "heap.held", "gauge: bytes of host memory that a fault holds back") \
	X(OS_CTXS_OVERDUE, "ctxs_overdue", "contexts used again though an ISM had not read of their end")

#define NPP_STAT_ENUM(id, name, help) NPP_##id,
enum npp_dispatch_counter { NPP_DISPATCH_COUNTERS(NPP_STAT_ENUM) NPP_DS_COUNT };
enum npp_ism_counter { NPP_ISM_COUNTERS(NPP_STAT_ENUM) NPP_IS_COUNT };
enum npp_osm_counter { NPP_OSM_COUNTERS(NPP_STAT_ENUM) NPP_OS_COUNT };
/* Where the counter that dispatch_classify() names stands in the page of an ISM. */
static inline unsigned npp_stat_port(unsigned ds)
{
	return ds >= NPP_DS_DROP_SHORT ? NPP_IS_PORT_DROP_SHORT + (ds - NPP_DS_DROP_SHORT)
				       : NPP_IS_PORT_CLASS_ARP + (ds - NPP_DS_CLASS_ARP);
}
/* The first of the pair that counts frames and bytes of network port PORT; BASE is that of port 0. */
static inline unsigned npp_stat_of_port(unsigned base, unsigned port)
{
	return base + 2 * (port < NPP_MAX_PORTS ? port : 0);
}
_Static_assert(NPP_MAX_PORTS == 4, "NPP_PORT_FRAMES names each port");
_Static_assert(NPP_DS_COUNT <= NPP_STATS_COUNTERS && NPP_IS_COUNT <= NPP_STATS_COUNTERS &&
	       NPP_OS_COUNT <= NPP_STATS_COUNTERS, "statistics page too small");

typedef _Atomic uint64_t npp_counter_t;

/* Only the page's owner calls these, so a plain load and store is enough. */
static inline void npp_stat_add(npp_counter_t *page, unsigned id, uint64_t n)
{
	atomic_store_explicit(&page[id], atomic_load_explicit(&page[id], memory_order_relaxed) + n,
			      memory_order_relaxed);
}
#define npp_stat_inc(page, id) npp_stat_add((page), (id), 1)
static inline void npp_stat_set(npp_counter_t *page, unsigned id, uint64_t v)
{
	atomic_store_explicit(&page[id], v, memory_order_relaxed);
}

struct npp_stat_desc { const char *name, *help; };
/* Descriptions of a role's counters; *COUNT entries. */
const struct npp_stat_desc *npp_stat_describe(enum npp_role role, unsigned *count);

#endif
