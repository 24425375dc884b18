/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp.h - inside TCP: its records, a parsed segment, what its files ask of each other
 *
 * Three kinds of record stand for a connection, one after the other:
 *   struct tcp_syn   SYN received, handshake not complete (the SYN cache; or nothing at
 *                    all: a SYN cookie)
 *   struct tcb       from the last ACK of the handshake, or from connect(), until both
 *                    FINs are through
 *   struct tcp_tw    TIME_WAIT, and FIN_WAIT_2 of a connection that its program closed
 * All three hang in one hash table, by reference (kind and index).
 *
 * Who owns what: the records are the state; hash chains, free lists, the list of
 * connections with work and the timer wheel are derived, tcp_attach() rebuilds them.
 */
#ifndef NPP_STACK_TCP_H
#define NPP_STACK_TCP_H

#include <stdatomic.h>

#include "npp-ism/stack/priv.h"

#define TCP_NONE 0xffffffffu

/* ---- constants --------------------------------------------------------------------- */

#define TCP_RTO_INIT_US 1000000u	/* RFC 6298, 2.1 */
#define TCP_RTO_LOST_SYN_US 3000000u	/* RFC 6298, 5.7 */
#define TCP_RTO_MIN_US 200000u		/* as Linux */
#define TCP_RTO_MAX_US 120000000u
#define TCP_DELACK_US 40000u
#define TCP_CORK_US 200000u
#define TCP_PAWS_MS (24u * 86400 * 1000)	/* a timestamp older than that is not compared with */
#define TCP_2MSL_US 60000000u
#define TCP_FIN_WAIT_2_US 60000000u	/* of a connection whose program closed it */
#define TCP_ORPHAN_US 120000000u	/* without progress, after its program closed it */
#define TCP_CHALLENGE_US 500000u	/* between two challenge ACKs of one connection */
#define TCP_CHALLENGE_MIN 500u		/* challenge ACKs of a stack per second, and up to ... */
#define TCP_CHALLENGE_SPREAD 1000u	/* ... as many more, by chance (CVE-2016-5696) */
#define TCP_OOW_ACK_US 100000u		/* between two answers to empty segments out of the window */
#define TCP_SYN_TRIES 6			/* of connect(): 127 s */
#define TCP_SYNACK_TRIES 5
#define TCP_DATA_TRIES 15		/* about 15 minutes */
#define TCP_ORPHAN_TRIES 8
#define TCP_ORPHANS_MIN 64u		/* so many that their program closed may send on, or a quarter of all */
#define TCP_PROBE_TRIES 15		/* window probes without any answer */
#define TCP_TLP_MIN_US 10000u
#define TCP_TLP_DELACK_US 200000u	/* WCDelAckT of RFC 8985, 7.2 */
#define TCP_MSS_MIN 88u			/* below that a peer's MSS option is not taken seriously */
#define TCP_MSS_DEFAULT 536u		/* RFC 9293, 3.7.1 */
#define TCP_MSS_DEFAULT6 1220u
#define TCP_RCVBUF_START 131072u
#define TCP_RCVBUF_MAX 1048576u
#define TCP_RCVBUF_MIN 4096u
#define TCP_WSCALE 5u			/* of the windows that we announce: up to 2 MB */
#define TCP_QUICK_ACKS 16u
#define TCP_DUPTHRESH 3u
#define TCP_REO_PERSIST 16u		/* RFC 8985, 6.2: recoveries until a widened window is forgotten */
#define TCP_REO_MULT_MAX 64u
#define TCP_CWND_MAX (1u << 30)
#define TCP_PACE_LATE_US 2048u		/* how much a paced sender may make up for: two ticks of the wheel */
#define TCP_PACE_STALE_US 10000000u
#define TCP_MIN_RTT_MS 300000u		/* for how long the least RTT counts */
#define TCP_GSO_MAX 65160u		/* payload of one frame: IP length stays below 64 KB */
#define TCP_RANGES 32			/* intervals out of order per connection */
#define TCP_SENT_INLINE 2		/* send ranges within a TCB ... */
#define TCP_SENT_MAX 100		/* ... and in a flight record */
#define TCP_MTU_BASE 1280u		/* what is tried when large segments vanish ... */
#define TCP_MTU_BASE4 576u		/* ... and if that does not help, IPv4 */
#define TCP_MTU_TRIES 3u		/* timeouts in a row that raise the suspicion */
#define TCP_MTU_STEP 32u		/* a search ends when it is that close */
#define TCP_MTU_SEARCH_S 5u		/* from a black hole found to the first probe */
#define TCP_MTU_RAISE_S 600u		/* PMTU_RAISE_TIMER of RFC 8899, 5.1.1 */
#define TCP_SYN_MAX 4096u
#define TCP_TFO_COOKIE 8u		/* bytes of the cookies that we give */
#define TCP_TFO_COOKIE_MAX 16u		/* of those that we are given */
#define TCP_TFO_PEERS 256u		/* whose cookies we keep */
#define TCP_TFO_WAYS 4u
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

/* ---- a segment, parsed once -------------------------------------------------------------- */

#define TCP_SACK_MAX 4
#define TO_MSS 1u
#define TO_WS 2u
#define TO_TS 4u
#define TO_SACK_OK 8u
#define TO_TFO 16u			/* Fast Open (RFC 7413); without a cookie it asks for one */

struct tcp_seg {
	uint32_t seq, ack, len;		/* len: payload bytes */
	uint32_t wnd;			/* as on the wire */
	const uint8_t *data;
	const struct pkt *pkt;
	uint32_t hash;			/* of the connection */
	uint16_t sport, dport;		/* host order */
	uint16_t mss;			/* option */
	uint16_t unit;			/* payload bytes per segment on the wire */
	uint8_t flags;
	uint8_t opt;			/* TO_* */
	uint8_t wscale;
	uint8_t n_sack;
	uint8_t tfo_len;		/* of the cookie at tfo */
	const uint8_t *tfo;
	uint32_t tsval, tsecr;
	struct tcp_range sack[TCP_SACK_MAX];
};

/* ---- records --------------------------------------------------------------------------------- */

/* Intervals of sequence numbers, sorted, neither overlapping nor touching. */
struct tcp_block {
	uint32_t next_free;		/* derived */
	uint32_t n;
	uint32_t recent[3];		/* sequence numbers in the latest intervals, newest first */
	struct tcp_range r[TCP_RANGES];
};

/* A stretch of the sequence space between snd_una and snd_nxt whose bytes share one fate. It
 * begins where the one before ends, the first one at snd_una. */
#define SENT_SACKED 1u
#define SENT_LOST 2u		/* lost, and not sent again since */
#define SENT_AGAIN 4u		/* sent more than once */
struct __attribute__((packed, aligned(2))) tcp_sent { uint32_t end, at_us; uint16_t flags; };

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

/* What one ACK has brought. */
struct tcp_news {
	uint32_t acked;			/* bytes by which snd_una moved */
	uint32_t delivered;		/* bytes that are known to have arrived only now */
	uint32_t fresh;			/* of these, by SACK */
	uint32_t flight;		/* in flight before */
	uint32_t dup;			/* bytes that a D-SACK reports as received twice */
	uint32_t rtt_us;		/* of the latest one that was sent once only; 0: none */
	struct tcp_range dsack;
	bool has_dsack, dupack;
	bool orig;			/* something has arrived that was sent once only, before `recover` */
	bool lost_again;		/* a retransmission is lost */
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
#define TF_CWND_LIMITED 0x200u	/* the congestion window held something back */
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

/* The first slow start (RFC 9406). */
struct tcp_hystart {
	uint32_t end;			/* of the round */
	uint32_t last_us, cur_us;	/* least RTT of the last and this round; 0: none */
	uint32_t base_us;		/* that which began CSS; 0: not in CSS */
	uint8_t on, samples, css_rounds;
};

struct tcb {
	NPP_ALIGNED struct tcp_conn c;	/* must stand first */
	/* identity and links */
	uint32_t hash;
	uint32_t hnext;			/* derived: chain, or free list */
	uint32_t todo_next;		/* derived */
	uint8_t in_use;
	uint8_t busy;			/* being changed; see tcb_enter() */
	uint8_t cc;			/* enum npp_tcp_cc */
	uint8_t recovery;		/* enum tcp_recovery */
	/* state */
	uint32_t flags;			/* TF_* */
	uint32_t up;			/* TCP_UP_* owed to the user */
	uint32_t user_timeout_ms;
	uint16_t opt_flags;		/* NPP_OPT_* */
	uint16_t soft_error;		/* errno */
	uint16_t keep_idle_s, keep_intvl_s;
	uint8_t keep_cnt, keep_probes;
	uint8_t tos, ttl;
	/* send */
	uint32_t iss, snd_una, snd_nxt;
	uint32_t snd_wnd, snd_wl1, snd_wl2, max_wnd;
	uint32_t snd_sml;		/* end of the last segment that was not full (Minshall) */
	uint16_t mss;			/* payload bytes per segment, options subtracted */
	uint16_t peer_mss;		/* as its option said */
	uint16_t mtu;			/* path.mtu that mss was computed from */
	/* what gets through: tcp_mtu.c */
	uint16_t mtu_ok;		/* 0: path.mtu does; else this does */
	uint16_t mtu_hi;		/* and this perhaps, no more */
	uint16_t mtu_try;		/* size of the probe under way, which ends at mtu_end; 0 none */
	uint16_t mtu_s;			/* when the search for more begins; low bits of seconds */
	uint32_t mtu_end;
	uint8_t snd_ws, rcv_ws;
	/* what is in flight: tcp_sent.c */
	struct tcp_sent sent[TCP_SENT_INLINE];	/* while `flight` is TCP_NONE */
	uint32_t flight;		/* flight record */
	uint32_t sacked, lost;		/* derived: bytes of the ranges that are so */
	/* loss detection and recovery */
	uint32_t recover;		/* RecoveryPoint: recovery ends when this is acknowledged */
	uint32_t rack_us, rack_end, rack_rtt_us; /* RACK: of what arrived, the latest sent; SYN_SENT: rack_us when */
	uint32_t fack;			/* end of what the peer is known to hold */
	uint32_t reo_round;		/* one widening per round trip: until this is acknowledged */
	uint32_t tlp_end;
	uint16_t dupacks;		/* segments above snd_una that have left, by SACK or duplicate ACKs */
	uint8_t reo_mult, reo_persist;
	uint8_t n_sent;			/* ranges */
	uint8_t tries;			/* of the transmit timer in a row */
	uint8_t backoff;		/* doublings of the RTO; until an RTT is measured (Karn) */
	uint8_t tx_mode;		/* enum tcp_tx_mode */
	/* receive */
	uint32_t irs, rcv_nxt;
	uint32_t rcv_adv;		/* right edge of the largest window announced */
	uint32_t rcv_acked;		/* rcv_nxt as last sent */
	uint32_t rcvbuf;
	uint32_t ooo;			/* block of what stands in the ring out of order */
	struct tcp_range dsack;
	uint16_t rcv_mss;		/* estimate of the peer's segment size */
	uint8_t quick;			/* quick ACKs left */
	uint8_t probe_shift;		/* back-off of the window probes */
	union {
		uint32_t rcv_fin;	/* with TF_RCV_FIN; then the buffer is large enough */
		uint32_t drs_tail;	/* receive buffer tuning: mark ... */
	};
	uint32_t drs_ms;		/* ... and its time */
	/* timestamps */
	uint32_t ts_off, ts_recent, ts_recent_ms;
	/* RTT */
	uint32_t srtt_us, rttvar_us, rto_us;	/* srtt 0: no sample yet */
	uint32_t min_rtt_us;
	uint32_t min_rtt_ms;		/* when it was measured */
	uint32_t rtt_seq;		/* one sample per round trip: when this is acknowledged */
	/* congestion */
	uint32_t cwnd, ssthresh;
	union { /* what an algorithm keeps */
		struct { uint32_t w_max, prior; } cubic;
		struct { uint32_t alpha, end; } dctcp;
	} ccs;
	union { /* what it needs between two reductions */
		struct tcp_hystart hs;
		struct { uint32_t k_ms, epoch_ms, origin, w_est; } cubic;
		struct { uint32_t acked; } newreno;
		struct { uint32_t acked, bytes, marked; } dctcp;
	} ccr;
	uint32_t max_pace, pace_us;	/* bytes per second, 0: any; when the next frame may leave */
	/* timers */
	struct wheel_timer timer;
	uint32_t due[DUE_COUNT];	/* in ticks of the wheel; 0: off. The wheel's may be earlier, never later */
	uint32_t last_rx_ms, last_tx_ms, progress_ms;	/* last_tx: of data */
	uint32_t challenge_us, oow_us;	/* last sent */
	/* statistics */
	uint32_t n_retrans, delivered, delivered_ce; /* segments */
	uint32_t bytes_retrans;
	uint16_t n_dsack;
};
_Static_assert(sizeof(struct tcb) <= 512, "a TCB must stay small");

#define TCP_SYN_TS 1u
#define TCP_SYN_SACK 2u
#define TCP_SYN_WS 4u
#define TCP_SYN_ECN 8u
#define TCP_SYN_TFO 16u		/* the SYN-ACK gives a Fast Open cookie */

/* A half-open connection. */
struct tcp_syn {
	union npp_addr laddr, raddr;
	uint16_t lport, rport;
	uint32_t hash, hnext;		/* hnext derived */
	uint32_t listener, listener_gen;
	uint32_t iss, irs;
	uint32_t ts_off, ts_recent;
	uint32_t sent_us;
	uint32_t wnd;			/* announced */
	uint32_t snd_wnd;
	uint16_t peer_mss;
	uint8_t snd_ws;
	uint8_t opts;			/* TCP_SYN_* */
	uint8_t tries;
	uint8_t in_use, busy;
	uint8_t ttl;
	uint8_t held;			/* looks for room in the accept queue; 0: does not wait for it */
	uint8_t acked;			/* there was none when the ACK came */
	uint32_t challenge_us;
	struct wheel_timer timer;
};
_Static_assert(sizeof(struct tcp_syn) <= 144, "a half-open connection must stay small");

/* A connection that only waits: TIME_WAIT or FIN_WAIT_2. One queue, oldest first. */
struct tcp_tw {
	union npp_addr laddr, raddr;
	uint16_t lport, rport;
	uint32_t hash, hnext;		/* hnext derived */
	uint32_t next, prev;		/* derived: the queue */
	uint32_t snd_nxt, rcv_nxt, rcv_wnd;
	uint32_t ts_off, ts_recent, ts_recent_ms;
	uint32_t ack_us;		/* last answer */
	uint64_t due_us;
	uint8_t in_use, busy;
	uint8_t state;
	uint8_t ts_ok;
	uint8_t tos, ttl, rcv_ws, pad;
};
_Static_assert(sizeof(struct tcp_tw) <= 104, "TIME_WAIT must stay small");

struct tcp_lsn {
	struct tcp_listener l;		/* must stand first */
	uint32_t hnext;			/* derived */
	uint32_t half_open;		/* derived: entries of the SYN cache */
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
struct tcp_ahead_hash { uint32_t la, ra, ports, hash; };

struct tcp_pool { uint32_t count, used, free; }; /* free: head of the list; derived */

struct tcp_state {
	uint64_t conns_off, syns_off, tws_off, lsns_off, blocks_off, flights_off, buckets_off; /* from this struct */
	struct tcb *conns;
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
	uint32_t port_next;		/* how far the search for source ports has come */
	uint32_t orphans;		/* derived: TCBs with TF_ORPHAN */
	uint32_t challenge_s, challenge_left;	/* this second, and how many challenge ACKs it still allows */
	uint32_t lbucket[TCP_LISTEN_BUCKETS];
	struct tcp_tfo_peer tfo[TCP_TFO_PEERS];	/* sets of TCP_TFO_WAYS, by the hash of the address */
};

/* Which of TCP's wheel timers. */
enum tcp_wheel_arg { TCP_WHEEL_CONN = 0, TCP_WHEEL_SYN = 1, TCP_WHEEL_TW = 2 };

/* ---- marking ------------------------------------------------------------------------------------ */

/* A record is marked while it is changed, so that whoever takes over after a death in
 * between drops that one. The fences only bind the compiler: the reader comes after
 * this process has ended. Marks nest. */
#define tcp_enter(rec) do { (rec)->busy++; atomic_signal_fence(memory_order_seq_cst); } while (0)
#define tcp_leave(rec) do { atomic_signal_fence(memory_order_seq_cst); (rec)->busy--; } while (0)

/* ---- small helpers --------------------------------------------------------------------------------- */

static inline uint32_t now_ms(const struct stack *s) { return (uint32_t)(s->now_us / 1000); }
static inline struct tcb *tcb_of(struct tcp_conn *c) { return (struct tcb *)c; }
static inline uint32_t seq_of_off(const struct tcb *t, uint32_t off) { return t->iss + 1 + off; }
static inline uint32_t tcp_tsval(const struct stack *s, uint32_t ts_off) { return now_ms(s) + ts_off; }

/* ---- tcp_seg.c, tcp_options.c ------------------------------------------------------------------------- */

/* Parses PKT into SEG. False: dropped and counted. */
bool tcp_seg_parse(struct stack *s, const struct pkt *pkt, struct tcp_seg *seg);
bool tcp_options_parse(const uint8_t *opt, uint32_t len, struct tcp_seg *seg);
/* Sequence space that SEG takes. */
static inline uint32_t seg_space(const struct tcp_seg *g)
{
	return g->len + ((g->flags & TCPF_SYN) != 0) + ((g->flags & TCPF_FIN) != 0);
}

/* A segment being built. */
struct tcp_out {
	struct stack_tx tx;
	struct tcp_hdr *hdr;
	uint8_t *opt;		/* where the next option goes */
};
void tcp_out_begin(struct tcp_out *o, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags,
		   uint16_t wnd);
void tcp_opt_put_syn(struct tcp_out *o, uint16_t mss, bool sack, bool ts, uint32_t tsval, uint32_t tsecr, bool ws,
		     uint8_t wscale);
void tcp_opt_put_ts(struct tcp_out *o, uint32_t tsval, uint32_t tsecr);
void tcp_opt_put_tfo(struct tcp_out *o, const uint8_t *cookie, unsigned len);
void tcp_opt_put_sack(struct tcp_out *o, const struct tcp_range *r, unsigned n);
int tcp_out_send(struct stack *s, struct ip_path *path, uint8_t tos, uint8_t ttl, struct tcp_out *o);
/* RST in answer to SEG (RFC 9293, 3.10.7.1), from no connection. */
void tcp_send_rst(struct stack *s, const struct tcp_seg *seg);
uint16_t tcp_path_mss(const struct ip_path *p);	/* what the MSS option announces (RFC 6691) */

/* ---- tcp_isn.c -------------------------------------------------------------------------------------------- */

uint32_t tcp_isn(struct stack *s, const union npp_addr *la, uint16_t lp, const union npp_addr *ra, uint16_t rp);
uint32_t tcp_ts_offset(struct stack *s, const union npp_addr *la, uint16_t lp, const union npp_addr *ra,
		       uint16_t rp);
/* Where the search for a source port towards RA and RP begins (RFC 6056, 3.3.3). */
uint32_t tcp_port_offset(struct stack *s, const union npp_addr *la, const union npp_addr *ra, uint16_t rp);
uint32_t tcp_cookie_make(struct stack *s, const struct tcp_seg *seg, uint16_t *mss);
bool tcp_cookie_check(struct stack *s, const struct tcp_seg *seg, uint16_t *mss);

/* ---- tcp_tfo.c ---------------------------------------------------------------------------------------------- */

/* Writes the option with the cookie that we give PEER, who speaks to OURS. */
void tcp_tfo_give(const struct stack *s, struct tcp_out *o, const union npp_addr *ours, const union npp_addr *peer);
/* A SYN with the option. True: a connection was made. *GIVE: the SYN-ACK shall carry a cookie. */
bool tcp_tfo_syn(struct stack *s, struct tcp_lsn *l, const struct tcp_seg *seg, const struct ip_path *path,
		 uint32_t min_iss, bool *give);
void tcp_tfo_done(struct stack *s, struct tcb *t, bool reset); /* its handshake is complete, or it ends */
/* connect(): may the SYN wait for data? Else it goes at once. */
bool tcp_tfo_may_wait(struct stack *s, const struct tcb *t);
bool tcp_tfo_waits(const struct tcb *t);	/* T is SYN_SENT, and its SYN was not sent */
/* Writes the option into the SYN of T; bytes of data that may follow. */
uint32_t tcp_tfo_put(struct stack *s, struct tcb *t, struct tcp_out *o);
void tcp_tfo_synack(struct stack *s, struct tcb *t, const struct tcp_seg *seg); /* remembers what it says */
void tcp_tfo_attach(struct stack *s);

/* ---- tcp_mtu.c ---------------------------------------------------------------------------------------------- */

uint16_t tcp_mtu(const struct tcb *t);		/* IP bytes per packet: what the path says, or what gets through */
void tcp_mtu_timeout(struct stack *s, struct tcb *t);	/* the retransmission timer has fired, t->tries in a row */
/* Payload bytes of a probe that may go now; 0: none. */
uint32_t tcp_mtu_probe(const struct stack *s, const struct tcb *t, uint32_t avail, uint32_t room);
void tcp_mtu_probed(struct tcb *t, uint32_t len);	/* it was sent, and ends at snd_nxt */
void tcp_mtu_acked(const struct stack *s, struct tcb *t);	/* with mtu_try: snd_una has moved */
void tcp_mtu_resent(const struct stack *s, struct tcb *t, uint32_t from, uint32_t end); /* with mtu_try */
bool tcp_mtu_only_probe_lost(const struct stack *s, struct tcb *t);

/* ---- tcp_lookup.c -------------------------------------------------------------------------------------------- */

uint32_t tcp_hash(const struct stack *s, const union npp_addr *la, uint16_t lp, const union npp_addr *ra,
		  uint16_t rp);
uint32_t tcp_lookup(const struct stack *s, uint32_t hash, const union npp_addr *la, uint16_t lp,
		    const union npp_addr *ra, uint16_t rp); /* a reference, or TCP_NONE */
void tcp_hash_insert(struct stack *s, uint32_t ref);
void tcp_hash_remove(struct stack *s, uint32_t ref);
struct tcp_lsn *tcp_lookup_listener(struct stack *s, const struct pkt *pkt, uint16_t lport, uint32_t hash);
void tcp_listener_insert(struct stack *s, struct tcp_lsn *l);
void tcp_listener_remove(struct stack *s, struct tcp_lsn *l);

/* ---- tcp_ahead.c: behind stack_prefetch() --------------------------------------------------------------------------- */

/* tcp_hash() of PKT, which may be known already. */
uint32_t tcp_ahead_hash(struct stack *s, const struct pkt *pkt, const struct tcp_seg *seg);
/* Fetches the records of the N <= STACK_AHEAD frames; how many there were. */
unsigned tcp_ahead(struct stack *s, const void *const *frame, const uint32_t *len, unsigned n);

/* ---- tcp.c: records, life ----------------------------------------------------------------------------------------- */

struct tcb *tcb_alloc(struct stack *s, const struct ip_path *path, uint16_t lport, uint16_t rport);
void tcb_free(struct stack *s, struct tcb *t);
struct tcp_block *tcp_block(const struct stack *s, uint32_t idx);	/* NULL: TCP_NONE */
uint32_t tcp_block_get(struct stack *s);
void tcp_block_put(struct stack *s, uint32_t *idx);
void tcp_todo(struct stack *s, struct tcb *t);
/* Every transition goes through here. */
void tcp_change_state(struct stack *s, struct tcb *t, enum npp_tcp_state to);
/* Ends T: ERR positive errno for the user, 0 if it ended in order. Freed at the next flush. */
void tcp_kill(struct stack *s, struct tcb *t, int err);
/* The same with a RST to the peer. */
void tcp_reset(struct stack *s, struct tcb *t, int err);
/* Delivers the last events and frees T now. */
void tcp_bury(struct stack *s, struct tcb *t);
void tcp_gauges(struct stack *s);

/* ---- tcp_input.c, tcp_recv.c ------------------------------------------------------------------------------------------ */

/* What is left of SEG after the step before. */
enum tcp_verdict { TCPV_NEXT, TCPV_DONE };

void tcp_input_conn(struct stack *s, struct tcb *t, struct tcp_seg *seg);
/* What a peer takes that has sent no MSS option. */
static inline uint16_t tcp_default_mss(const union npp_addr *peer)
{
	return npp_addr_is_v4(peer) ? TCP_MSS_DEFAULT : TCP_MSS_DEFAULT6;
}

bool tcp_paws_reject(const struct stack *s, bool ts_ok, uint32_t ts_recent, uint32_t ts_recent_ms,
		     const struct tcp_seg *seg);
void tcp_recv_data(struct stack *s, struct tcb *t, struct tcp_seg *seg);
unsigned tcp_sack_blocks(struct stack *s, struct tcb *t, struct tcp_range *out, unsigned max);
uint32_t tcp_recv_window(struct tcb *t, uint8_t ws, bool update); /* field for the header */
void tcp_recv_read(struct stack *s, struct tcb *t, uint32_t rx_tail);
uint32_t tcp_recv_wake(const struct tcb *t, bool *want);

/* ---- tcp_ack.c, tcp_sack.c ---------------------------------------------------------------------------------------------- */

enum tcp_verdict tcp_ack_input(struct stack *s, struct tcb *t, const struct tcp_seg *seg);
void tcp_rtt_sample(struct stack *s, struct tcb *t, uint32_t us);
/* The handshake is complete; its SYN was sent TRIES + 1 times, first at SENT_US. */
void tcp_rtt_of_syn(struct stack *s, struct tcb *t, const struct tcp_seg *seg, unsigned tries, uint32_t sent_us);
/* Adds [start, end) to B; *ADDED: bytes that were new. False: no room for one more interval. */
bool tcp_ranges_add(struct tcp_block *b, uint32_t start, uint32_t end, uint32_t *added);
void tcp_ranges_trim(struct tcp_block *b, uint32_t upto);	/* forgets what lies below */
/* The interval that holds SEQ; NULL none. */
const struct tcp_range *tcp_ranges_find(const struct tcp_block *b, uint32_t seq);
/* Takes the SACK blocks of SEG into the send ranges. */
void tcp_sack_input(struct stack *s, struct tcb *t, const struct tcp_seg *seg, struct tcp_news *n);

/* ---- tcp_sent.c --------------------------------------------------------------------------------------------------------- */

struct tcp_flight *tcp_flight(const struct stack *s, const struct tcb *t);	/* NULL: T has none */
struct tcp_flight *tcp_flight_get(struct stack *s, struct tcb *t);	/* its own, or a new one; NULL: none left */
void tcp_flight_put(struct stack *s, struct tcb *t);
struct tcp_sent *tcp_sent(const struct stack *s, struct tcb *t);	/* the ranges; t->n_sent of them */
void tcp_sent_new(struct stack *s, struct tcb *t, uint32_t end);	/* [snd_nxt, END) leaves now; before snd_nxt moves */
void tcp_sent_again(struct stack *s, struct tcb *t, uint32_t from, uint32_t end);	/* leaves again now */
void tcp_sent_acked(struct stack *s, struct tcb *t, uint32_t ack, const struct tcp_seg *seg, struct tcp_news *n);
void tcp_sent_sacked(struct stack *s, struct tcb *t, uint32_t from, uint32_t end, const struct tcp_seg *seg,
		     struct tcp_news *n);
void tcp_sent_lose(struct stack *s, struct tcb *t, uint32_t from, uint32_t end);
void tcp_sent_lose_range(struct tcb *t, struct tcp_sent *r, uint32_t start);
void tcp_sent_found(struct stack *s, struct tcb *t);	/* nothing was lost after all */
void tcp_sent_renege(struct stack *s, struct tcb *t);	/* the peer has thrown away what it had SACKed */
bool tcp_sent_next_lost(const struct stack *s, struct tcb *t, uint32_t *from, uint32_t *end);
/* After a restart: checks, and counts anew. */
void tcp_sent_attach(struct stack *s, struct tcb *t);
static inline uint32_t tcp_pipe(const struct tcb *t)
{
	uint32_t pipe = t->snd_nxt - t->snd_una - t->sacked - t->lost, left = t->flags & TF_SACK ? 0 : t->dupacks * t->mss;

	return pipe > left ? pipe - left : 0;
}

/* ---- tcp_rack.c --------------------------------------------------------------------------------------------------------- */

/* The bytes up to END of a range that was sent at AT_US with FLAGS have arrived. */
void tcp_rack_arrived(struct stack *s, struct tcb *t, const struct tcp_sent *r, uint32_t end,
		      const struct tcp_seg *seg, struct tcp_news *n);
void tcp_rack_dsack(struct stack *s, struct tcb *t, const struct tcp_news *n);
void tcp_rack_recovered(struct tcb *t);	/* a recovery has ended */
/* Marks what is lost; microseconds until more could be, 0: nothing waits for time. */
uint32_t tcp_rack_detect(struct stack *s, struct tcb *t, struct tcp_news *n);
void tcp_rack_timeout(struct stack *s, struct tcb *t);
/* True: the probe had repaired a loss. */
bool tcp_tlp_ack(struct tcb *t, const struct tcp_seg *seg, struct tcp_news *n);

/* ---- tcp_recovery.c ----------------------------------------------------------------------------------------------------- */

void tcp_recovery_ack(struct stack *s, struct tcb *t, const struct tcp_seg *seg, struct tcp_news *n);
void tcp_recovery_loss(struct stack *s, struct tcb *t);		/* the retransmission timer has fired */
void tcp_recovery_reorder(struct stack *s, struct tcb *t);	/* the reordering timer has fired */
void tcp_recovery_pmtu(struct stack *s, struct tcb *t);		/* segments were too large: all again */

/* ---- tcp_ecn.c ---------------------------------------------------------------------------------------------------------- */

uint8_t tcp_ecn_syn(const struct stack *s, struct tcb *t);	/* flags of our SYN or SYN-ACK */
bool tcp_ecn_offered(const struct stack *s, const struct tcp_seg *seg);	/* by a SYN, and we agree */
void tcp_ecn_synack(const struct stack *s, struct tcb *t, const struct tcp_seg *seg);
void tcp_ecn_text(struct stack *s, struct tcb *t, const struct tcp_seg *seg);	/* with TF_ECN: data has come */
void tcp_ecn_ack(struct stack *s, struct tcb *t, const struct tcp_seg *seg, const struct tcp_news *n);

/* ---- tcp_output.c ------------------------------------------------------------------------------------------------------------ */

void tcp_output(struct stack *s, struct tcb *t);
void tcp_send_ack(struct stack *s, struct tcb *t);
void tcp_challenge(struct stack *s, struct tcb *t);
/* RFC 5961, 7: does the stack's limit allow one more challenge ACK? Then it is counted. */
bool tcp_challenge_allowed(struct stack *s);
void tcp_send_syn(struct stack *s, struct tcb *t);	/* SYN or SYN-ACK, by state */
void tcp_send_first_syn(struct stack *s, struct tcb *t);	/* and the timer runs */
/* Bytes that the user has written and that were never sent. */
static inline uint32_t tcp_unsent(const struct tcb *t)
{
	uint32_t off = t->snd_nxt - t->iss - 1, end = t->c.tx_head;

	if (t->flags & TF_FIN_SENT || !seq_gt(end, off) || !t->c.tx.base)
		return 0;
	return end - off;
}
void tcp_put_payload(struct tcp_out *o, const struct stack_ring *r, uint32_t off, uint32_t len, uint16_t mss);
void tcp_send_reset(struct stack *s, struct tcb *t);
void tcp_send_probe(struct stack *s, struct tcb *t);	/* an empty segment that asks for an ACK */
void tcp_send_tlp(struct stack *s, struct tcb *t);
/* Sends a part of [from, end) again, as one frame; returns how much. */
uint32_t tcp_resend(struct stack *s, struct tcb *t, uint32_t from, uint32_t end);
void tcp_update_mss(struct tcb *t);

/* ---- tcp_timer.c --------------------------------------------------------------------------------------------------------------- */

void tcp_due(struct stack *s, struct tcb *t, enum tcp_due which, uint64_t due_us); /* 0: off */
void tcp_due_again(struct stack *s, struct tcb *t, enum tcp_due which);	/* makes sure that the wheel knows */
void tcp_arm_rto(struct stack *s, struct tcb *t);
void tcp_arm_tx(struct stack *s, struct tcb *t);	/* RTO, or the loss probe before it */
void tcp_arm_reorder(struct stack *s, struct tcb *t, uint32_t after_us);	/* before either */
void tcp_arm_persist(struct stack *s, struct tcb *t, uint32_t after_us);
void tcp_arm_keepalive(struct stack *s, struct tcb *t);

/* ---- tcp_user.c ---------------------------------------------------------------------------------------------------------------------- */

void tcp_brief(const struct tcb *t, uint32_t ms, struct npp_tcp_brief *out);

/* ---- tcp_syncache.c, tcp_tw.c ------------------------------------------------------------------------------------------------------ */

void tcp_syn_input(struct stack *s, struct tcp_lsn *l, const struct tcp_seg *seg, uint32_t min_iss);
/* Takes what the SYN says into E, all but the places in tables. */
void tcp_syn_take(struct stack *s, struct tcp_syn *e, const struct tcp_seg *seg);
/* The TCB of E, whose last segment was SEG; NULL: none left. */
struct tcb *tcp_syn_tcb(struct stack *s, const struct tcp_syn *e, const struct tcp_seg *seg, const struct ip_path *path);
void tcp_syncache_input(struct stack *s, struct tcp_syn *e, struct tcp_seg *seg);
bool tcp_cookie_input(struct stack *s, struct tcp_seg *seg); /* true: it was one */
void tcp_syncache_timer(struct stack *s, struct tcp_syn *e);
void tcp_syncache_free(struct stack *s, struct tcp_syn *e);
void tcp_syncache_drop_listener(struct stack *s, uint32_t index);

/* T becomes a small record in state TIME_WAIT or FIN_WAIT_2. */
void tcp_tw_enter(struct stack *s, struct tcb *t, enum npp_tcp_state state);
/* True: SEG is a SYN that opens a new connection; the record is gone, *MIN_ISS is where
 * the new one may begin. */
bool tcp_tw_input(struct stack *s, struct tcp_tw *w, const struct tcp_seg *seg, uint32_t *min_iss);
bool tcp_tw_reusable(const struct stack *s, const struct tcp_tw *w);	/* by connect() (RFC 6191) */
void tcp_tw_free(struct stack *s, struct tcp_tw *w);
void tcp_tw_timer(struct stack *s);
void tcp_tw_link(struct stack *s, struct tcp_tw *w);
void tcp_tw_arm(struct stack *s);

/* ---- tcp_cc*.c ------------------------------------------------------------------------------------------------------------------------- */

struct tcp_cc {
	const char *name;
	bool hystart;			/* the first slow start ends by delay (RFC 9406) */
	bool exact_ecn;			/* asks for ECN, and the receiver echoes each mark */
	void (*init)(struct tcb *t);
	void (*acked)(struct stack *s, struct tcb *t, uint32_t bytes);	/* beyond slow start */
	uint32_t (*ssthresh)(struct stack *s, struct tcb *t);		/* after a loss */
	void (*idle)(struct tcb *t);					/* the connection was idle */
	void (*undo)(struct tcb *t);					/* a reduction was taken back */
	/* What follows may be NULL. */
	void (*news)(struct stack *s, struct tcb *t, const struct tcp_news *n, bool ece); /* each ACK, with ECN */
	uint32_t (*marked)(struct stack *s, struct tcb *t);		/* ssthresh after a mark; else as after a loss */
	uint64_t (*pace)(const struct tcb *t);				/* bytes per second that it wants to be sent */
};
extern const struct tcp_cc *const tcp_cc_table[NPP_CC_COUNT];
static inline const struct tcp_cc *tcp_cc(const struct tcb *t) { return tcp_cc_table[t->cc]; } /* checked at attach */
extern const struct tcp_cc tcp_cc_cubic, tcp_cc_newreno, tcp_cc_dctcp;
uint8_t tcp_cc_choose(const struct stack *s, uint32_t want);	/* what the user wants, or the default */
void tcp_cc_change(struct tcb *t, uint8_t cc);
void tcp_cc_init(struct tcb *t);
void tcp_cc_acked(struct stack *s, struct tcb *t, const struct tcp_news *n);
uint32_t tcp_hystart(struct tcb *t, const struct tcp_news *n);	/* bytes by which to grow */
/* Bytes per second: what the algorithm asks for, and what the socket allows; 0: as they come. */
static inline uint64_t tcp_pace_rate(const struct tcb *t)
{
	uint64_t rate = tcp_cc(t)->pace ? tcp_cc(t)->pace(t) : 0;

	return t->max_pace && (!rate || rate > t->max_pace) ? t->max_pace : rate;
}
uint32_t tcp_pace_wait(const struct stack *s, const struct tcb *t);
void tcp_pace_sent(const struct stack *s, struct tcb *t, uint64_t rate, uint32_t len);
uint32_t tcp_initial_window(const struct tcb *t);

#endif
