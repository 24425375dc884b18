/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_mtu.c - how large a packet may be, found out by what arrives (RFC 4821, RFC 8899)
 *
 * Normally routers say it (tcp_icmp_error(), RFC 1191 and RFC 8201). Where their messages get lost,
 * large segments vanish while small ones pass: a black hole. After three timeouts in a row for
 * something that a smaller size would cut, that size is tried (mtu_ok), after two more the next: a
 * connection that its program has closed ends after eight, or after two minutes, so with long timers two
 * and one have to do. When its segments are
 * acknowledged, a binary search for the largest size that gets through begins: one segment of the
 * size in question goes among the new data, in front of smaller ones, so that SACK tells quickly
 * whether it was lost; its loss is no sign of congestion. A search that is over begins anew after
 * ten minutes, from the path's MTU.
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

static uint16_t now_s(const struct stack *s)
{
	return (uint16_t)(s->now_us / 1000000);
}

static uint32_t overhead(const struct tcb *t)
{
	return (npp_addr_is_v4(&t->c.raddr) ? 40 : 60) + (t->flags & TF_TS ? 12 : 0);
}

uint16_t tcp_mtu(const struct tcb *t)
{
	return t->mtu_ok && t->mtu_ok < t->c.path.mtu ? t->mtu_ok : t->c.path.mtu;
}

/* The next probe in SECS seconds. */
static void search_in(const struct stack *s, struct tcb *t, uint32_t secs)
{
	t->mtu_s = (uint16_t)(now_s(s) + secs);
}

/* The bits of mtu_s come again every 18 hours. But nobody waits for longer than for the next search: what is further
 * ahead is long past. */
static bool search_due(const struct stack *s, const struct tcb *t)
{
	uint16_t left = (uint16_t)(t->mtu_s - now_s(s));

	return left == 0 || left > TCP_MTU_RAISE_S;
}

/* Is it the size, perhaps, that this timeout tells of? */
static bool suspicious(const struct tcb *t)
{
	if ((uint64_t)t->rto_us << t->backoff >= TCP_MTU_LATE_US)
		return t->tries > 1;
	return t->tries >= TCP_MTU_TRIES && (t->tries - TCP_MTU_TRIES) % TCP_MTU_MORE == 0;
}

void tcp_mtu_timeout(struct stack *s, struct tcb *t)
{
	uint32_t size = u32_min(t->snd_nxt - t->snd_una, t->mss) + overhead(t), to;

	/* What is tried is smaller than what vanishes, be that a full segment or less: a hole may be
	 * too small for the last bytes of a stream as well. */
	to = size > TCP_MTU_BASE ? TCP_MTU_BASE : TCP_MTU_BASE4;
	t->mtu_try = 0; /* whatever became of it */
	if (!suspicious(t) || size <= to || to >= tcp_mtu(t) || (to < TCP_MTU_BASE && !npp_addr_is_v4(&t->c.raddr)))
		return;
	STAT_INC(s, IS_MTU_HOLES);
	t->mtu_hi = (uint16_t)(tcp_mtu(t) - 1);
	t->mtu_ok = (uint16_t)to;
	search_in(s, t, TCP_MTU_SEARCH_S);
	tcp_update_mss(t);
}

/* Is the search over? Then a new one is due some time, from what the path says. */
static bool search_over(const struct tcb *t)
{
	return t->mtu_hi < t->mtu_ok + TCP_MTU_STEP;
}

static uint32_t next_size(const struct tcb *t)
{
	uint32_t hi = search_over(t) || t->mtu_hi > t->c.path.mtu ? t->c.path.mtu : t->mtu_hi;

	if (hi <= t->mtu_ok)
		return 0;
	return search_over(t) ? hi : (t->mtu_ok + hi + 1u) / 2;
}

uint32_t tcp_mtu_probe(const struct stack *s, const struct tcb *t, uint32_t avail, uint32_t room)
{
	uint32_t size, len;

	if (t->mtu_try || t->recovery != TCP_OPEN || !(t->flags & TF_SACK) || !search_due(s, t))
		return 0;
	size = next_size(t);
	len = size > overhead(t) ? size - overhead(t) : 0;
	/* Two more behind it, to tell its loss; and the peer must take it. */
	if (len <= t->mss || len + (t->flags & TF_TS ? 12u : 0u) > t->peer_mss || len + 2u * t->mss > avail ||
	    len + 2u * t->mss > room)
		return 0;
	return len;
}

void tcp_mtu_probed(struct tcb *t, uint32_t len)
{
	t->mtu_try = (uint16_t)(len + overhead(t));
	t->mtu_end = t->snd_nxt;
}

void tcp_mtu_acked(const struct stack *s, struct tcb *t)
{
	if (seq_lt(t->snd_una, t->mtu_end))
		return;
	STAT_INC(s, IS_MTU_PROBES);
	if (search_over(t)) /* the path's own size gets through again */
		t->mtu_hi = t->mtu_try;
	t->mtu_ok = t->mtu_try;
	t->mtu_try = 0;
	if (t->mtu_ok >= t->c.path.mtu)
		t->mtu_ok = 0;
	else
		search_in(s, t, search_over(t) ? TCP_MTU_RAISE_S : 0);
	tcp_update_mss(t);
}

void tcp_mtu_resent(const struct stack *s, struct tcb *t, uint32_t from, uint32_t end)
{
	if (seq_geq(from, t->mtu_end) || seq_lt(end, t->mtu_end))
		return;
	STAT_INC(s, IS_MTU_PROBES);
	t->mtu_hi = (uint16_t)(t->mtu_try - 1);
	t->mtu_try = 0;
	search_in(s, t, search_over(t) ? TCP_MTU_RAISE_S : 0);
}

bool tcp_mtu_only_probe_lost(const struct stack *s, struct tcb *t)
{
	uint32_t from, end;

	return tcp_sent_next_lost(s, t, &from, &end) && end == t->mtu_end && end - from == t->lost &&
	       t->lost <= t->mtu_try;
}
