/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp.h - inside TCP: a parsed segment, what its files ask of each other
 *
 * The records stand in tcp_rec.h.
 */
#ifndef NPP_STACK_TCP_H
#define NPP_STACK_TCP_H

#include "npp-ism/stack/tcp_rec.h"

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
	uint16_t urp;			/* urgent pointer, with TCPF_URG */
	uint8_t flags;
	uint8_t opt;			/* TO_* */
	uint8_t wscale;
	uint8_t n_sack;
	uint8_t tfo_len;		/* of the cookie at tfo */
	const uint8_t *tfo;
	uint32_t tsval, tsecr;
	struct tcp_range sack[TCP_SACK_MAX];
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

/* ---- marking ------------------------------------------------------------------------------------ */

/* A record is marked while it is changed, so that whoever takes over after a death in
 * between drops that one. The fences only bind the compiler: the reader comes after
 * this process has ended. Marks nest. */
#define tcp_enter(rec) do { (rec)->busy++; atomic_signal_fence(memory_order_seq_cst); } while (0)
#define tcp_leave(rec) do { atomic_signal_fence(memory_order_seq_cst); (rec)->busy--; } while (0)

/* ---- small helpers --------------------------------------------------------------------------------- */

static inline uint32_t now_ms(const struct stack *s) { return (uint32_t)(s->now_us / 1000); }
static inline uint32_t tcp_now_s(const struct stack *s) { return (uint32_t)(s->now_us / 1000000); }
static inline struct tcb *tcb_of(struct tcp_conn *c) { return (struct tcb *)c; }
/* The peer's first sequence number. */
static inline uint32_t tcp_irs(const struct tcb *t)
{
	return t->rcv_nxt - 1 - t->c.rx_head - (t->flags & TF_RCV_FIN && t->rcv_nxt == t->rcv_fin + 1);
}
static inline struct npp_tcp_mem tcp_rmem(const struct stack *s) { return npp_tcp_rmem(s->env->global); }
/* What a buffer may become by itself of the MAX that the NPP allows. A MB for each ms is 8 Gbit/s: where round
 * trips are shorter more of it would stand in queues only. */
#define TCP_BUF_NEAR (1u << 20)
#define TCP_RTT_FAR_US 1000u
static inline uint32_t tcp_buf_auto(const struct tcb *t, uint32_t max)
{
	bool far = t->min_rtt_us > TCP_RTT_FAR_US;	/* 1 ms: timestamps tell no less */

	return far || max < TCP_BUF_NEAR ? max : TCP_BUF_NEAR;
}
/* Shift of the windows that we announce: for buffers that grow, or (RCVBUF) for one that was set, as Linux
 * does it. */
static inline uint8_t tcp_wscale(const struct stack *s, uint32_t rcvbuf)
{
	uint32_t max = rcvbuf ? rcvbuf : tcp_rmem(s).max;
	uint8_t ws = rcvbuf ? 0 : TCP_WSCALE;

	while (ws < TCP_WSCALE_MAX && 65535u << ws < max)
		ws++;
	return ws;
}
/* MSS within what TCP_MAXSEG allows; 0: any. */
static inline uint16_t tcp_mss_max(uint16_t mss, uint16_t max) { return max && max < mss ? max : mss; }
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
uint16_t tcp_path_mss(const struct ip_path *p);	/* what fits, without options */
/* What the MSS option announces (RFC 6691): what the link takes. The way back may be another one (RFC 8201, 5.4). */
uint16_t tcp_adv_mss(struct stack *s, const struct ip_path *p);
/* A path so narrow that we do not go down to its MTU: its routers have to fragment (RFC 791). */
static inline bool tcp_may_fragment(const struct ip_path *p)
{
	return p->mtu <= IP4_MIN_PMTU && npp_addr_is_v4(&p->dst);
}

/* ---- tcp_isn.c -------------------------------------------------------------------------------------------- */

uint32_t tcp_isn(struct stack *s, const union npp_addr *la, uint16_t lp, const union npp_addr *ra, uint16_t rp);
uint32_t tcp_ts_offset(struct stack *s, const union npp_addr *la, uint16_t lp, const union npp_addr *ra,
		       uint16_t rp);
/* Where the search for a source port towards RA and RP begins (RFC 6056, 3.3.3). */
uint32_t tcp_port_offset(struct stack *s, const union npp_addr *la, const union npp_addr *ra, uint16_t rp);
uint32_t tcp_cookie_make(struct stack *s, const struct tcp_seg *seg, uint16_t *mss);
bool tcp_cookie_check(struct stack *s, const struct tcp_seg *seg, uint16_t *mss);

/* ---- tcp_tfo.c ---------------------------------------------------------------------------------------------- */

/* Writes the option with the cookie that the listener LISTENER gives PEER, who speaks to OURS. */
void tcp_tfo_give(const struct stack *s, struct tcp_out *o, uint32_t listener, const union npp_addr *ours,
		  const union npp_addr *peer);
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
uint32_t tcp_conn_hash(const struct stack *s, const struct tcb *t);
uint32_t tcp_lookup(const struct stack *s, uint32_t hash, const union npp_addr *la, uint16_t lp,
		    const union npp_addr *ra, uint16_t rp); /* a reference, or TCP_NONE */
void tcp_hash_insert(struct stack *s, uint32_t ref);
void tcp_hash_remove(struct stack *s, uint32_t ref);
struct tcp_lsn *tcp_lookup_listener(struct stack *s, const struct pkt *pkt, uint16_t lport, uint32_t hash);
void tcp_listener_insert(struct stack *s, struct tcp_lsn *l);
void tcp_listener_remove(struct stack *s, struct tcp_lsn *l);

/* ---- tcp_ahead.c: behind stack_prefetch() --------------------------------------------------------------------------- */

/* The bytes [FROM, END) at P, which the processor fetches while we go on: so that we wait for lines of a
 * record once and not for each in turn. */
static inline void tcp_fetch(const void *p, size_t from, size_t end)
{
	for (size_t o = from; o < end; o += 64)
		__builtin_prefetch((const char *)p + o, 1);
}
/* tcp_hash() of PKT, which may be known already. */
uint32_t tcp_ahead_hash(struct stack *s, const struct pkt *pkt, const struct tcp_seg *seg);
/* T's timer was armed for tick DUE, less than TCP_SOON_SLOTS away. */
void tcp_soon(struct tcp_state *tcp, const struct tcb *t, uint32_t due);
/* Fetches up to STACK_AHEAD of those whose timers fire at the wheel's tick; how many there were. Each is
 * fetched once. */
unsigned tcp_ahead_tick(struct stack *s);
/* Fetches the records of the N <= STACK_AHEAD frames; how many there were. */
unsigned tcp_ahead(struct stack *s, const void *const *frame, const uint32_t *len, unsigned n);

/* ---- tcp.c: records, life ----------------------------------------------------------------------------------------- */

struct tcb *tcb_alloc(struct stack *s, const struct ip_path *path, uint16_t lport, uint16_t rport);
void tcb_free(struct stack *s, struct tcb *t);
struct tcp_block *tcp_block(const struct stack *s, uint32_t idx);	/* NULL: TCP_NONE */
uint32_t tcp_block_get(struct stack *s, struct tcb *t);
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

bool tcp_paws_reject(const struct stack *s, bool ts_ok, uint32_t ts_recent, uint32_t ts_recent_s,
		     const struct tcp_seg *seg);
void tcp_recv_data(struct stack *s, struct tcb *t, struct tcp_seg *seg);
unsigned tcp_sack_blocks(struct stack *s, struct tcb *t, struct tcp_range *out, unsigned max);
uint32_t tcp_recv_window(struct tcb *t, uint8_t ws, bool update); /* field for the header */
void tcp_recv_read(struct stack *s, struct tcb *t, uint32_t rx_tail);
uint32_t tcp_recv_wake(const struct tcb *t, bool *want);

/* ---- tcp_ack.c, tcp_sack.c ---------------------------------------------------------------------------------------------- */

/* RFC 5961, 5.2. What was never sent was never acknowledged either: else a guess below iss would do. */
static inline bool tcp_ack_plausible(const struct tcb *t, uint32_t ack)
{
	if (!t->far && seq_leq(ack, t->iss))
		return false;
	return !seq_gt(ack, t->snd_nxt) && !seq_lt(ack, t->snd_una - t->max_wnd);
}
enum tcp_verdict tcp_ack_input(struct stack *s, struct tcb *t, const struct tcp_seg *seg);
uint32_t *tcp_bare_of(const struct stack *s, const struct tcp_syn *e);
/* What the peer's echo of our timestamp says, in whole milliseconds; 0: nothing. */
uint32_t tcp_rtt_echo(const struct stack *s, uint32_t ts_off, const struct tcp_seg *seg);
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

/* ---- tcp_urg.c ---------------------------------------------------------------------------------------------------------- */

/* Are there urgent bytes at or behind SEQ that the peer has not acknowledged? */
static inline bool tcp_urg_from(const struct tcb *t, uint32_t seq)
{
	return t->flags & TF_URG && t->snd_up != t->snd_una && seq_lt(seq, t->snd_up);
}
/* With TF_URG, before anything was sent: how many bytes come before the urgent one. */
static inline uint32_t tcp_urg_ahead(const struct tcb *t)
{
	return t->snd_up - t->iss - 2;
}
void tcp_urg_put(const struct tcb *t, uint32_t seq, struct tcp_hdr *h);	/* with tcp_urg_from(): what the segment at SEQ says */
void tcp_urg_acked(struct tcb *t);	/* with TF_URG: snd_una has moved */
void tcp_urg_input(struct stack *s, struct tcb *t, const struct tcp_seg *seg);	/* with TCPF_URG */
/* With TF_URG: LEN bytes from SEQ on stand in the ring. */
void tcp_urg_text(struct stack *s, struct tcb *t, uint32_t seq, uint32_t len);

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
/* What left once, together with the segment at SEQ, ends at *END. False: that has left again, or arrived, or is known
 * to be lost. */
bool tcp_sent_with(struct stack *s, struct tcb *t, uint32_t seq, uint32_t *end);
void tcp_sent_found(struct stack *s, struct tcb *t);	/* nothing was lost after all */
void tcp_sent_renege(struct stack *s, struct tcb *t);	/* the peer has thrown away what it had SACKed */
bool tcp_sent_next_lost(const struct stack *s, struct tcb *t, uint32_t *from, uint32_t *end);
/* After a restart: checks, and counts anew. */
void tcp_sent_attach(struct stack *s, struct tcb *t);
static inline uint32_t tcp_pipe(const struct tcb *t)
{
	uint32_t pipe, left;

	if (t->snd_una == t->snd_nxt) /* the rest need not be fetched */
		return 0;
	pipe = t->snd_nxt - t->snd_una - t->sacked - t->lost;
	left = t->flags & TF_SACK ? 0 : t->dupacks * t->mss;
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
void tcp_recovery_pmtu(struct stack *s, struct tcb *t, uint32_t from, uint32_t end); /* it was too large: again */

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
void tcp_timer_off(struct stack *s, struct tcb *t);	/* off the wheel */
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
/* Takes what the SYN and the options of L say into E, all but the places in tables. */
void tcp_syn_take(struct stack *s, struct tcp_lsn *l, struct tcp_syn *e, const struct tcp_seg *seg);
/* The TCB of E, whose last segment was SEG; NULL: none left. */
struct tcb *tcp_syn_tcb(struct stack *s, const struct tcp_syn *e, const struct tcp_seg *seg, const struct ip_path *path);
void tcp_syncache_input(struct stack *s, struct tcp_syn *e, struct tcp_seg *seg);
bool tcp_cookie_input(struct stack *s, struct tcp_seg *seg); /* true: it was one */
void tcp_syncache_timer(struct stack *s, struct tcp_syn *e);
void tcp_syncache_free(struct stack *s, struct tcp_syn *e);
void tcp_syncache_drop_listener(struct stack *s, uint32_t index);

/* ---- tcp_syn_share.c -------------------------------------------------------------------------------------------------------------- */

uint16_t tcp_syn_peer(const struct stack *s, const union npp_addr *addr);	/* a hash of the prefix of ADDR */
void tcp_syn_charge(struct stack *s, const struct tcp_syn *e);
void tcp_syn_discharge(struct stack *s, const struct tcp_syn *e);
/* May PEER have one more record, of L, of which there may be MAX? */
bool tcp_syn_fair(const struct stack *s, const struct tcp_lsn *l, uint32_t max, uint16_t peer);

/* T becomes a small record in state TIME_WAIT or FIN_WAIT_2. */
void tcp_tw_enter(struct stack *s, struct tcb *t, enum npp_tcp_state state);
/* True: SEG is a SYN that opens a new connection; the record is gone, *MIN_ISS is where
 * the new one may begin. */
bool tcp_tw_input(struct stack *s, struct tcp_tw *w, const struct tcp_seg *seg, uint32_t *min_iss);
bool tcp_tw_reusable(const struct stack *s, const struct tcp_tw *w);	/* by connect() (RFC 6191) */
void tcp_tw_free(struct stack *s, struct tcp_tw *w);
void tcp_tw_timer(struct stack *s);
void tcp_tw_attach(struct stack *s);	/* the queue of all records, in whatever order they stand */

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
