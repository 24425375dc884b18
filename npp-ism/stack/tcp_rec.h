/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_rec.h - TCP's records, as they stand in the arena, and the constants of its behaviour
 *
 * Three kinds of record stand for a connection, one after the other:
 *   struct tcp_syn   SYN received, handshake not complete (the SYN cache; or nothing at
 *                    all: a SYN cookie)
 *   struct tcb       from the last ACK of the handshake, or from connect() or a good Fast Open
 *                    cookie, until both FINs are through
 *   struct tcp_tw    TIME_WAIT, and FIN_WAIT_2 of a connection that its program closed
 * All three hang in one hash table, by reference (kind and index).
 *
 * Who owns what: the records are the state; hash chains, free lists, the list of
 * connections with work and the timer wheel are derived, tcp_attach() rebuilds them.
 */
#ifndef NPP_STACK_TCP_REC_H
#define NPP_STACK_TCP_REC_H

#include <stdatomic.h>
#include <stddef.h>

#include "npp-ism/stack/priv.h"

#define TCP_NONE 0xffffffffu

/* ---- constants --------------------------------------------------------------------- */

#define TCP_RTO_INIT_US 1000000u	/* RFC 6298, 2.1 */
#define TCP_RTO_LOST_SYN_US 3000000u	/* RFC 6298, 5.7 */
#define TCP_RTO_MIN_US 200000u		/* as Linux */
#define TCP_RTO_MAX_US 120000000u
#define TCP_DELACK_US 40000u
#define TCP_CORK_US 200000u
#define TCP_PAWS_S (24u * 86400)	/* a timestamp older than that is not compared with */
#define TCP_2MSL_US 60000000u	/* of TIME_WAIT, and of FIN_WAIT_2 whose program closed it where nppd.conf says nothing */
#define TCP_ORPHAN_US 120000000u	/* without progress, after its program closed it */
#define TCP_CHALLENGE_US 500000u	/* between two challenge ACKs of one connection */
#define TCP_CHALLENGE_MIN 500u		/* challenge ACKs of a stack per second, and up to ... */
#define TCP_CHALLENGE_SPREAD 1000u	/* ... as many more, by chance (CVE-2016-5696) */
#define TCP_OOW_ACK_US 100000u		/* between two answers to empty segments out of the window */
#define TCP_SYN_TRIES 7			/* of connect(): 247 s (RFC 9293, 3.8.3: 3 minutes at least) */
#define TCP_SYNACK_TRIES 5
#define TCP_DEFER_MAX 62u		/* SYN-ACKs for which data is waited for (TCP_DEFER_ACCEPT); fits tcp_syn.tries */
#define TCP_DATA_TRIES 15		/* about 15 minutes */
#define TCP_ORPHAN_TRIES 8
#define TCP_ORPHANS_MIN 64u		/* so many that their program closed may send on, or a quarter of all */
#define TCP_PROBE_TRIES 15		/* window probes without any answer */
#define TCP_TLP_MIN_US 10000u
#define TCP_TLP_DELACK_US 200000u	/* WCDelAckT of RFC 8985, 7.2 */
#define TCP_MSS_MIN 88u			/* below that a peer's MSS option is not taken seriously */
#define TCP_MSS_DEFAULT 536u		/* RFC 9293, 3.7.1 */
#define TCP_MSS_DEFAULT6 1220u
#define TCP_WSCALE 7u			/* of the windows that we announce: up to 8 MB ... */
#define TCP_WSCALE_MAX 14u		/* ... or as much more as buffers may become */
#define TCP_QUICK_ACKS 16u
#define TCP_DUPTHRESH 3u
#define TCP_REO_PERSIST 16u		/* RFC 8985, 6.2: recoveries until a widened window is forgotten */
#define TCP_REO_MULT_MAX 64u
#define TCP_CWND_MAX (1u << 30)
#define TCP_FAR (1u << 30)		/* no window is larger (RFC 7323, 2.3) */
#define TCP_PACE_LATE_US 2048u		/* how much a paced sender may make up for: two ticks of the wheel */
#define TCP_PACE_STALE_US 10000000u
#define TCP_MIN_RTT_S 300u		/* for how long the least RTT counts */
#define TCP_GSO_MAX 65160u		/* payload of one frame: IP length stays below 64 KB */
#define TCP_RANGES 32			/* intervals out of order per connection */
#define TCP_GAP_MS 10000u		/* who has waited longer for what is missing gives way to others */
#define TCP_SENT_INLINE 2		/* send ranges within a TCB ... */
#define TCP_SENT_MAX 100		/* ... and in a flight record */
#define TCP_MTU_BASE 1280u		/* what is tried when large segments vanish ... */
#define TCP_MTU_BASE4 576u		/* ... and if that does not help, IPv4 */
#define TCP_MTU_TRIES 3u		/* timeouts in a row that raise the suspicion */
#define TCP_MTU_MORE 2u			/* and more, until a still smaller size is tried */
#define TCP_MTU_LATE_US 16000000u	/* with a timer that long each one from the second on counts: not many will follow */
#define TCP_MTU_STEP 32u		/* a search ends when it is that close */
#define TCP_MTU_SEARCH_S 5u		/* from a black hole found to the first probe */
#define TCP_MTU_RAISE_S 600u		/* PMTU_RAISE_TIMER of RFC 8899, 5.1.1 */
#define TCP_SYN_MAX 4096u
#define TCP_SYN_PEERS 1024u		/* prefixes whose half-open connections are counted: a hash of them */
#define TCP_TFO_COOKIE 8u		/* bytes of the cookies that we give */
#define TCP_TFO_COOKIE_MAX 16u		/* of those that we are given */
#define TCP_TFO_PEERS 256u		/* whose cookies we keep */
#define TCP_TFO_WAYS 4u
#define TCB_NO_COOKIE NPP_OPT_GRO	/* in opt_flags, where that one means nothing: NPP_OPT_TFO_NO_COOKIE */
#define TCB_TELL_SENT NPP_OPT_PKTINFO	/* likewise: tell_sent of its options */
#define TCB_MORE NPP_OPT_BROADCAST	/* likewise: what was written last is to be followed by more */
#define TCP_TFO_DEFER_US 1000000u	/* how long a SYN waits for the data that it shall carry */
#define TCP_LISTEN_BUCKETS 256u
#define TCP_KEEP_IDLE_S 7200u
#define TCP_KEEP_INTVL_S 75u
#define TCP_KEEP_CNT 9u

/* ---- sequence numbers ----------------------------------------------------------------- */

static inline bool seq_lt(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }
static inline bool seq_leq(uint32_t a, uint32_t b) { return (int32_t)(a - b) <= 0; }
static inline bool seq_gt(uint32_t a, uint32_t b) { return (int32_t)(a - b) > 0; }
static inline bool seq_geq(uint32_t a, uint32_t b) { return (int32_t)(a - b) >= 0; }
static inline uint32_t seq_max(uint32_t a, uint32_t b) { return seq_gt(a, b) ? a : b; }
static inline uint32_t seq_min(uint32_t a, uint32_t b) { return seq_lt(a, b) ? a : b; }
static inline uint32_t u32_min(uint32_t a, uint32_t b) { return a < b ? a : b; }
static inline uint64_t u64_min(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint32_t u32_max(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* Half-open range of sequence numbers. */
struct tcp_range { uint32_t start, end; };

/* ---- records --------------------------------------------------------------------------------- */

/* Intervals of sequence numbers, sorted, neither overlapping nor touching. */
struct tcp_block {
	uint32_t next_free;		/* derived */
	uint32_t owner;			/* index of the TCB */
	uint32_t since_ms;		/* when the first gap came to be the first */
	uint32_t n;
	uint32_t recent[3];		/* sequence numbers in the latest intervals, newest first */
	struct tcp_range r[TCP_RANGES];
};

/* A stretch of the sequence space between snd_una and snd_nxt whose bytes share one fate. It
 * begins where the one before ends, the first one at snd_una. */
#define SENT_SACKED 1u
#define SENT_LOST 2u		/* lost, and not sent again since */
#define SENT_AGAIN 4u		/* sent more than once */
struct __attribute__((packed)) tcp_sent { uint32_t end, at_us; uint8_t flags; };

/* What only a connection needs that has much in flight, or has lost some of it. */
struct tcp_flight {
	uint32_t next_free;		/* derived */
	uint32_t first;			/* r[first] is the first range; their number stands in the TCB */
	/* Proportional rate reduction (RFC 6937, RFC 9937): in flight when the recovery began, since then
	 * delivered and sent */
	uint32_t prr_flight, prr_delivered, prr_out;
	/* undo */
	uint32_t prior_cwnd, prior_ssthresh;
	uint32_t rtx_ts;		/* our timestamp at the first retransmission (Eifel) */
	uint32_t undo_bytes;		/* sent again and not yet reported as duplicate */
	struct tcp_sent r[TCP_SENT_MAX];
};

enum tcp_recovery { TCP_OPEN = 0, TCP_RECOVERY, TCP_LOSS };
enum tcp_due { DUE_TX = 0, DUE_DELACK, DUE_KEEP, DUE_PACE, DUE_COUNT };
/* What the transmit timer stands for. */
enum tcp_tx_mode { TXM_RTO = 0, TXM_TLP, TXM_PERSIST, TXM_REORDER };

#define TF_TS 0x1u		/* timestamps agreed */
#define TF_SACK 0x2u		/* SACK agreed */
#define TF_WS 0x4u		/* window scaling agreed */
#define TF_ACK_NOW 0x8u		/* ACK at the next flush */
#define TF_ACK_OWED 0x10u	/* ACK some time */
#define TF_FIN 0x20u		/* the user has said its last byte: tx_head stays as it is */
#define TF_FIN_SENT 0x40u	/* snd_nxt counts our FIN */
#define TF_ORPHAN 0x80u		/* the user has closed it */
#define TF_RCV_FIN 0x100u	/* the peer's FIN has come, perhaps not in sequence: rcv_fin */
#define TF_CWND_LIMITED 0x200u	/* the congestion window held something back at the last output */
#define TF_REORDERS 0x400u	/* the path was seen to reorder (RACK.reordering_seen) */
#define TF_RTX_FIRST 0x800u	/* send the first lost segment whatever the window says */
#define TF_TLP_OUT 0x1000u	/* a loss probe is in flight: it ends at tlp_end */
#define TF_UNDO 0x2000u		/* the reduction of cwnd can still be taken back */
#define TF_INTERACTIVE 0x4000u	/* answers carry our ACKs: no quick ones */
#define TF_DEAD 0x8000u		/* closed; to be freed at the next flush */
#define TF_TODO 0x10000u	/* derived: on the list of connections with work */
#define TF_DSACK 0x20000u	/* dsack is to be told */
#define TF_TX_DONE 0x40000u	/* told the user so */
#define TF_PUSH 0x80000u		/* send what fits now, small as it may be */
#define TF_TLP_RTX 0x100000u	/* the loss probe repeats data */
#define TF_DSACK_ROUND 0x200000u	/* reo_round is valid (RACK.dsack_round) */
#define TF_RACK 0x400000u	/* rack_us and rack_end are valid */
#define TF_FRTO 0x800000u	/* the timeout may have been spurious (RFC 5682) */
#define TF_ECN 0x2000000u	/* ECN agreed */
#define TF_ECN_ASKED 0x4000000u	/* in our SYN */
#define TF_ECE 0x8000000u	/* our ACKs echo a mark */
#define TF_CWR 0x10000000u	/* the next new data says that cwnd was reduced */
#define TF_ECN_ROUND 0x20000000u	/* reduced for a mark, until `recover` is acknowledged */
#define TF_FASTOPEN 0x40000000u	/* Fast Open: accepted by cookie, or our SYN carried data */
#define TF_FRTO_NEW 0x1000000u	/* its step 2b: new data goes before what is lost */
#define TF_URG 0x80000000u	/* snd_up and rcv_up mean something; one that has passed follows snd_una or rcv_nxt */

/* The first slow start (RFC 9406). */
#define HS_US_MAX ((1u << 27) - 1)
struct tcp_hystart {
	uint32_t end;			/* of the round */
	uint32_t last_us : 27, samples : 5;	/* least RTT of the last ... */
	uint32_t cur_us : 27, css_rounds : 5;	/* ... and this round; 0: none */
	uint32_t base_us : 27, on : 1;		/* that which began CSS; 0: not in CSS */
};

/* In lines of 64 bytes, by who needs them: a segment of text that comes in order, and the ACK that it
 * draws, touch the first four; new data and its acknowledgment two more. */
struct tcb {
	NPP_ALIGNED struct tcp_conn c;	/* two lines; must stand first */

	/* ---- each segment ---- */
	uint32_t flags;			/* TF_* */
	uint8_t busy;			/* being changed; see tcp_enter() */
	uint8_t in_use : 1;
	uint8_t recovery : 2;		/* enum tcp_recovery */
	uint8_t tx_mode : 2;		/* enum tcp_tx_mode */
	uint8_t cc : 3;			/* enum npp_tcp_cc */
	uint8_t up;			/* TCP_UP_* owed to the user */
	uint8_t n_sent;			/* ranges in flight */
	uint8_t tries : 7;		/* of the transmit timer in a row */
	uint8_t far : 1;		/* TCP_FAR bytes were acknowledged once: iss lies behind every window */
	uint8_t backoff : 4;		/* doublings of the RTO; until an RTT is measured (Karn) */
	uint8_t probe_shift : 4;	/* back-off of the window probes */
	uint8_t snd_ws : 4, rcv_ws : 4;
	uint8_t quick : 7;		/* quick ACKs left */
	uint8_t rx_short : 1;		/* the ring did not grow to what was promised: it is what we promise from now on */
	uint32_t iss, snd_una, snd_nxt;
	uint32_t snd_wnd, snd_wl1, snd_wl2;
	uint32_t rcv_nxt;
	uint32_t rcv_adv;		/* right edge of the largest window announced */
	uint32_t rcv_acked;		/* rcv_nxt as last sent */
	uint32_t rcvbuf;
	uint32_t ooo;			/* block of what stands in the ring out of order */
	uint16_t rcv_mss;		/* estimate of the peer's segment size */
	uint16_t mss;			/* payload bytes per segment, options subtracted */
	uint16_t opt_flags;		/* NPP_OPT_* */
	uint16_t mtu_try;		/* size of the MTU probe under way, which ends at mtu_end; 0 none */

	union {
		uint32_t rcv_fin;	/* with TF_RCV_FIN; then the buffer is large enough */
		uint32_t drs_tail;	/* receive buffer tuning, or with rx_short that of the ring: mark (its time: drs_ms) */
	};
	uint32_t ts_off, ts_recent, ts_recent_s;
	uint32_t last_rx_ms;
	uint32_t due[DUE_COUNT];	/* in ticks of the wheel; 0: off */
	uint32_t timer_due;		/* derived: when its timer on the wheel fires, never later than these; 0: not armed */
	uint32_t todo_next;		/* derived */
	uint32_t hnext;			/* derived: chain, or free list */
	uint32_t max_wnd;
	uint32_t snd_sml;		/* end of the last segment that was not full (Minshall) */
	uint32_t max_pace;		/* bytes per second, 0: any */
	uint8_t tos, ttl;
	union {
		uint8_t keep_cnt;
		uint8_t linger2;	/* with TF_ORPHAN, which needs no probes: seconds in FIN_WAIT_2, NPP_LINGER2_NONE; 0: default */
	};
	uint8_t keep_probes;

	/* ---- new data, and what acknowledges it ---- */
	/* what is in flight: tcp_sent.c */
	struct tcp_sent sent[TCP_SENT_INLINE];	/* while `flight` is TCP_NONE */
	uint16_t dupacks;		/* segments above snd_una that have left, by SACK or duplicate ACKs */
	uint32_t flight;		/* flight record */
	uint32_t sacked, lost;		/* derived: bytes of the ranges that are so */
	uint32_t cwnd, ssthresh;
	uint32_t last_tx_ms, progress_ms;	/* last_tx: of data */
	uint32_t rtt_seq;		/* one sample per round trip: when this is acknowledged */
	uint32_t recover;		/* RecoveryPoint: recovery ends when this is acknowledged; then, until more is, it stays */
	uint32_t delivered;		/* segments */
	uint16_t peer_mss;		/* as its option said */
	uint16_t min_rtt_s;		/* when min_rtt_us was measured; low bits of seconds */

	uint32_t rack_us, rack_end, rack_rtt_us; /* RACK: of what arrived, the latest sent; SYN_SENT: rack_us when */
	uint32_t fack;			/* end of what the peer is known to hold */
	uint32_t srtt_us, rttvar_us, rto_us;	/* srtt 0: no sample yet */
	uint32_t min_rtt_us;
	union { /* what a congestion control keeps */
		struct { uint32_t w_max, prior; } cubic;
		struct { uint32_t alpha, end; } dctcp;
	} ccs;
	union { /* what it needs between two reductions */
		struct tcp_hystart hs;
		struct { uint32_t k_ms, epoch_ms, origin, w_est; } cubic;
		struct { uint32_t acked; } newreno;
		struct { uint32_t acked, bytes, marked; } dctcp;
	} ccr;
	/* urgent data: tcp_urg.c */
	uint32_t snd_up;		/* behind the last urgent byte that we send */
	uint32_t rcv_up;		/* the urgent byte that is awaited; before rcv_nxt: none is */

	/* ---- seldom ---- */
	uint32_t user_timeout_ms;
	uint16_t keep_idle_s, keep_intvl_s;
	uint32_t pace_us;		/* when the next frame may leave */
	/* what gets through: tcp_mtu.c */
	uint16_t mtu_ok;		/* 0: path.mtu does; else this does */
	uint16_t mtu_hi;		/* and this perhaps, no more */
	uint16_t mtu_s;			/* when the search for more begins; low bits of seconds */
	uint16_t n_dsack;
	union {
		uint32_t mtu_end;	/* with mtu_try */
		uint8_t syn_cnt;	/* SYN_SENT: TCP_SYNCNT; 0: default */
	};
	uint32_t reo_round;		/* one widening per round trip: until this is acknowledged */
	uint32_t tlp_end;
	uint32_t dsack;			/* with TF_DSACK: where the duplicate began ... */
	union {
		uint16_t dsack_len;	/* ... and its length */
		uint16_t syn_mss;	/* SYN_SENT and, if not passive, SYN_RECEIVED: what our SYN may announce at most (TCP_MAXSEG); 0: any */
	};
	uint8_t reo_mult, reo_persist;
	uint32_t drs_ms;
	uint32_t challenge_us, oow_us;	/* last sent */
	uint32_t n_retrans, delivered_ce; /* segments */
	uint32_t bytes_retrans;
};
#define TCB_TEXT 256u		/* what segments of text and ACKs without data need stands below */
#define TCB_SENDING 384u	/* and what new data and its acknowledgment do, here */
_Static_assert(sizeof(struct tcb) <= 448, "a TCB must stay small");
_Static_assert(offsetof(struct tcb, sent) == TCB_TEXT && offsetof(struct tcb, user_timeout_ms) == TCB_SENDING,
	       "the lines are as said");

#define TCP_SYN_TS 1u
#define TCP_SYN_SACK 2u
#define TCP_SYN_WS 4u
#define TCP_SYN_ECN 8u
#define TCP_SYN_TFO 16u		/* the SYN-ACK gives a Fast Open cookie */
#define TCP_SYN_BARE 32u	/* acknowledged, but its listener waits for data (TCP_DEFER_ACCEPT) */
#define TCP_SYN_LOST 0x80000000u /* in bare_us: the SYN-ACK was sent more than twice before there was an ACK */

/* A half-open connection. */
struct tcp_syn {
	union npp_addr laddr, raddr;
	uint16_t lport, rport;
	uint32_t hash, hnext;		/* hnext derived */
	uint16_t listener;
	uint16_t peer;			/* its prefix: tcp_syn_peer() */
	uint32_t listener_gen;
	uint32_t iss, irs;
	uint32_t ts_off, ts_recent;
	uint32_t sent_us;		/* 0: not known */
	uint32_t bare_us;		/* with TCP_SYN_BARE: how long the ACK took, 0: not known; TCP_SYN_LOST */
	uint32_t wnd;			/* announced */
	uint16_t peer_mss;
	uint16_t max_seg;		/* TCP_MAXSEG of the listener; 0: none */
	uint8_t snd_ws : 4, rcv_ws : 4;	/* rcv_ws: with TCP_SYN_WS, else 0 */
	uint8_t opts;			/* TCP_SYN_* */
	uint8_t tries : 6;
	uint8_t acked : 1;		/* there was no room when the ACK came */
	uint8_t in_use : 1;
	uint8_t busy;
	uint8_t ttl, tos;
	uint8_t held;			/* looks for room in the accept queue; 0: does not wait for it */
	uint8_t port;			/* network port that it came by */
	uint32_t challenge_us;
	struct wheel_timer timer;
};
_Static_assert(sizeof(struct tcp_syn) <= 144, "a half-open connection must stay small");

/* A connection that only waits: TIME_WAIT or FIN_WAIT_2. One queue, oldest first. Times in low bits. */
struct tcp_tw {
	union npp_addr laddr, raddr;
	uint16_t lport, rport;
	uint32_t hash, hnext;		/* hnext derived */
	uint32_t next, prev;		/* derived: the queue */
	uint32_t snd_nxt, rcv_nxt;
	uint32_t ts_recent;
	uint32_t due_ms;
	uint16_t ts_recent_s;
	uint16_t ack_ms;		/* last answer */
	uint16_t rcv_wnd;		/* as headers say it */
	uint8_t tos, ttl;
	uint8_t state : 4, rcv_ws : 4;
	uint8_t ts_ok;
	uint8_t in_use, busy;
};
_Static_assert(sizeof(struct tcp_tw) <= 80, "TIME_WAIT must stay small");

struct tcp_lsn {
	struct tcp_listener l;		/* must stand first */
	uint32_t hnext;			/* derived */
	uint32_t half_open;		/* derived: entries of the SYN cache */
	uint32_t held;			/* derived: those of them that wait for room in the accept queue */
	uint32_t tfo_open;		/* derived: connections by Fast Open whose handshake is not complete */
	uint32_t tfo_reset;		/* of those, reset by the peer: they count on for a while (RFC 7413, 5.1) */
	uint32_t tfo_reset_ms;		/* when the last one was */
	uint8_t in_use, busy;
};

/* What a peer gave us for Fast Open (RFC 7413, 4.1.3). */
struct tcp_tfo_peer {
	union npp_addr addr;
	uint8_t cookie[TCP_TFO_COOKIE_MAX];
	uint8_t len;			/* 0: the place is free */
	uint8_t busy;
	uint8_t losses;			/* SYNs with data that were not answered, in a row */
	uint8_t pad;
	uint16_t mss;			/* that it announced */
	uint16_t pad2;
	uint32_t used_ms, lost_ms;
};

/* References into the three arrays, as the hash table holds them. */
enum tcp_ref_kind { TCP_REF_CONN = 0, TCP_REF_SYN = 1, TCP_REF_TW = 2 };
#define TCP_REF(kind, idx) ((uint32_t)(kind) << 30 | (uint32_t)(idx))
#define TCP_REF_KIND(r) ((r) >> 30)
#define TCP_REF_IDX(r) ((r) & 0x3fffffffu)

/* The hash of a flow, worked out when its frame was looked at ahead. Pure knowledge: never wrong. */
struct tcp_ahead_hash { uint32_t la, ra, ports, hash; }; /* ports: as in the header */

/* Which connections' timers were armed for a tick not far away: so that they can be fetched together when it
 * comes. Pure knowledge as well: some may be missing, and some fire no more. */
#define TCP_SOON_SLOTS 256u
struct tcp_soon { uint32_t tick, n; };

struct tcp_pool { uint32_t count, used, free; }; /* free: head of the list; derived */

struct tcp_state {
	uint64_t conns_off, syns_off, tws_off, lsns_off, blocks_off, flights_off, buckets_off; /* from this struct */
	struct tcb *conns;
	struct wheel_timer *timers;	/* of the TCBs */
	uint32_t *soon;			/* indexes of TCBs, soon_each for each slot */
	uint32_t soon_each;		/* a power of two */
	uint32_t soon_tick, soon_at;	/* how far they were fetched */
	struct tcp_soon soon_slot[TCP_SOON_SLOTS];
	struct tcp_syn *syns;
	struct tcp_tw *tws;
	struct tcp_lsn *lsns;
	struct tcp_block *blocks;
	struct tcp_flight *flights;
	uint32_t *bucket;
	uint32_t bucket_mask;
	struct tcp_pool conn_pool, syn_pool, tw_pool, lsn_pool, block_pool, flight_pool;
	uint32_t todo_head, todo_tail;
	uint32_t tw_head, tw_tail;	/* oldest, newest */
	struct wheel_timer tw_timer;
	uint64_t cookie_us;		/* when the SYN cache last overflowed; 0 never */
	uint32_t ahead_next;		/* in `ahead`: where the next frame's should stand */
	struct tcp_ahead_hash ahead[STACK_AHEAD];	/* IPv4 */
	uint32_t block_hand;		/* how far the search for blocks that wait in vain has come */
	uint32_t port_next;		/* how far the search for source ports has come */
	uint32_t orphans;		/* derived: TCBs with TF_ORPHAN */
	uint32_t bare[NPP_MAX_HOSTS];	/* derived: half-open connections with TCP_SYN_BARE, by the host of their listener */
	/* derived: half-open connections by the prefix of the peer, and by that and the listener */
	uint32_t n_syn_peers;		/* of the first, how many are not 0 */
	uint16_t syn_peers[TCP_SYN_PEERS], syn_lsn_peers[TCP_SYN_PEERS];
	uint32_t challenge_s, challenge_left;	/* this second, and how many challenge ACKs it still allows */
	uint32_t lbucket[TCP_LISTEN_BUCKETS];
	struct tcp_tfo_peer tfo[TCP_TFO_PEERS];	/* sets of TCP_TFO_WAYS, by the hash of the address */
};

/* Which of TCP's wheel timers. */
enum tcp_wheel_arg { TCP_WHEEL_CONN = 0, TCP_WHEEL_SYN = 1, TCP_WHEEL_TW = 2 };

#endif
