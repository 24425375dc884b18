/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_ahead.c - a look at the frames that come next, so that their connections are at hand
 *
 * With more connections than a cache holds each segment waits for its bucket, then for four
 * lines of its TCB, then for what that names: its place in the receive ring, its timer. For a
 * batch these waits can overlap: first all buckets are fetched, then all records, then all of
 * the rest. Nothing is believed: what is read here decides which memory is fetched, and the
 * hash is kept with what it was made from.
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "npp-ism/stack/tcp.h"

/* Fewer connections than that stay in the cache by themselves. */
#define AHEAD_MIN_CONNS 4096u
#define AHEAD_RING 192u		/* bytes of a receive ring */

/* Both ports as they stand in a TCP header. */
static uint32_t ports_of(const uint8_t *l4)
{
	uint32_t v;

	memcpy(&v, l4, sizeof v);
	return v;
}

/* Hash of the flow of FRAME, of an IPv4 one also into KNOWN; false: not TCP in a plain IP header. */
static bool flow_hash(const struct stack *s, const uint8_t *frame, uint32_t len, struct tcp_ahead_hash *known,
		      uint32_t *hash)
{
	const struct eth_hdr *eth = (const struct eth_hdr *)frame;
	const struct tcp_hdr *t;
	union npp_addr src, dst;
	uint16_t sport, dport;

	if (len < ETH_HDR_LEN + sizeof(struct ip4_hdr) + TCP_HDR_MIN)
		return false;
	if (eth->type == htons(ETH_P_IPV4)) {
		const struct ip4_hdr *ip = (const struct ip4_hdr *)(frame + ETH_HDR_LEN);

		if (ip->vhl != 0x45 || ip->proto != IPPROTO_TCP)
			return false;
		src = npp_addr_v4(ip->src);
		dst = npp_addr_v4(ip->dst);
		t = (const struct tcp_hdr *)(ip + 1);
	} else if (eth->type == htons(ETH_P_IP6) && len >= ETH_HDR_LEN + sizeof(struct ip6_hdr_w) + TCP_HDR_MIN) {
		const struct ip6_hdr_w *ip = (const struct ip6_hdr_w *)(frame + ETH_HDR_LEN);

		if (ip->next != IPPROTO_TCP)
			return false;
		memcpy(&src, ip->src, sizeof src);
		memcpy(&dst, ip->dst, sizeof dst);
		t = (const struct tcp_hdr *)(ip + 1);
	} else {
		return false;
	}
	sport = ntohs(t->sport);
	dport = ntohs(t->dport);
	*hash = tcp_hash(s, &dst, dport, &src, sport);
	if (npp_addr_is_v4(&dst))
		*known = (struct tcp_ahead_hash){ dst.w[3], src.w[3], ports_of((const uint8_t *)t), *hash };
	return true;
}

uint32_t tcp_ahead_hash(struct stack *s, const struct pkt *pkt, const struct tcp_seg *seg)
{
	struct tcp_state *tcp = s->tcp;
	const struct tcp_ahead_hash *k = &tcp->ahead[tcp->ahead_next % STACK_AHEAD];

	if (npp_addr_is_v4(&pkt->dst) && k->ports == ports_of(pkt->l4) &&
	    k->la == pkt->dst.w[3] && k->ra == pkt->src.w[3]) {
		tcp->ahead_next++;
		return k->hash;
	}
	return tcp_hash(s, &pkt->dst, seg->dport, &pkt->src, seg->sport);
}

/* What T needs that only T can tell, and whatever its segment is. */
static void fetch_by_tcb(const struct tcp_state *tcp, const struct tcb *t)
{
	const struct stack_ring *rx = &t->c.rx;

	if (t->n_sent)
		tcp_fetch(t, TCB_TEXT, TCB_SENDING);
	if (!t->timer_due)
		__builtin_prefetch(&tcp->timers[t - tcp->conns], 1);
	if (rx->base) {
		const uint8_t *at = rx->base + (t->c.rx_head & (rx->size - 1));

		tcp_fetch(at, 0, AHEAD_RING);
	}
}

unsigned tcp_ahead(struct stack *s, const void *const *frame, const uint32_t *len, unsigned n)
{
	struct tcp_state *tcp = s->tcp;
	const uint32_t *bucket[STACK_AHEAD];
	const struct tcb *tcb[STACK_AHEAD];
	unsigned found = 0, fetched = 0;
	uint32_t hash;

	tcp->ahead_next = 0;
	for (unsigned i = 0; i < n; i++)
		if (flow_hash(s, frame[i], len[i], &tcp->ahead[found], &hash)) {
			bucket[found] = &tcp->bucket[hash & tcp->bucket_mask];
			__builtin_prefetch(bucket[found++]);
		}
	for (unsigned i = 0; i < found; i++) {
		uint32_t ref = *bucket[i];

		if (ref != TCP_NONE && TCP_REF_KIND(ref) == TCP_REF_CONN && TCP_REF_IDX(ref) < tcp->conn_pool.count) {
			tcb[fetched] = &tcp->conns[TCP_REF_IDX(ref)];
			tcp_fetch(tcb[fetched++], 0, TCB_TEXT);
		}
	}
	for (unsigned i = 0; i < fetched; i++)
		fetch_by_tcb(tcp, tcb[i]);
	return fetched;
}

/* ---- timers ----------------------------------------------------------------------------- */

void tcp_soon(struct tcp_state *tcp, const struct tcb *t, uint32_t due)
{
	struct tcp_soon *k = &tcp->soon_slot[due % TCP_SOON_SLOTS];

	if (k->tick != due)
		*k = (struct tcp_soon){ .tick = due };
	tcp->soon[(due % TCP_SOON_SLOTS) * tcp->soon_each + (k->n++ & (tcp->soon_each - 1))] = t->c.index;
}

/* The wheel's own list would have to be followed from one timer to the next, with a wait for each. */
unsigned tcp_ahead_tick(struct stack *s)
{
	struct tcp_state *tcp = s->tcp;
	uint32_t tick = (uint32_t)s->wheel.tick, slot = tick % TCP_SOON_SLOTS, n;
	const struct tcp_soon *k = &tcp->soon_slot[slot];
	unsigned fetched = 0;

	if (k->tick != tick)
		return 0;
	if (tcp->soon_tick != tick) {
		tcp->soon_tick = tick;
		tcp->soon_at = 0;
	}
	n = u32_min(k->n, tcp->soon_each);
	while (tcp->soon_at < n && fetched < STACK_AHEAD) {
		uint32_t i = tcp->soon[slot * tcp->soon_each + tcp->soon_at++];

		if (i >= tcp->conn_pool.count)
			continue;
		__builtin_prefetch(&tcp->timers[i], 1);
		tcp_fetch(&tcp->conns[i], 0, TCB_TEXT);
		fetched++;
	}
	return fetched;
}

/* ---- entries ------------------------------------------------------------------------------ */

void stack_prefetch(struct stack *s, const void *const *frame, const uint32_t *len, unsigned n)
{
	if (n >= 2 && n <= STACK_AHEAD && s->tcp->conn_pool.used >= AHEAD_MIN_CONNS)
		tcp_ahead(s, frame, len, n);
}

void tcp_ahead_timers(struct stack *s)
{
	if (s->tcp->conn_pool.used >= AHEAD_MIN_CONNS)
		(void)tcp_ahead_tick(s);
}
