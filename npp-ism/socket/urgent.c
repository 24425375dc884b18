/* SPDX-License-Identifier: GPL-2.0-or-later
 * urgent.c - marks in the two streams of a connection (tcp_urg.c has the theory)
 *
 * Received: the record says where the last urgent byte stands, counted; the program finds out by
 * rx_head whether it has come, and keeps by that count what it did with it. Sent: the program
 * writes the mark before it moves tx_head, so that no byte leaves without it.
 */
#include "config.h"

#include "npp-ism/socket/ism.h"
#include "shm/lock.h"

#define LOCK_SPINS 400

static bool passed(const struct npp_sock *rec, uint64_t urg)
{
	uint32_t seen = atomic_load_explicit(&rec->urg_seen, memory_order_relaxed);

	return !NPP_URG_N(urg) || (seen & NPP_URG_PAST && (seen & 0x3fffffff) == NPP_URG_N(urg));
}

/* As Linux does it: a reader that stands before an urgent byte, and has more to read, finds itself behind it
 * when the next one is announced. It would read as data what it perhaps had as urgent already. Not if it
 * is reading just now. */
static void step_over(struct ism *I, struct ism_sess *s, struct tcp_conn *c, struct npp_sock *rec, uint64_t urg)
{
	uint32_t me = 0x8000 + I->iop + 1, tail = NPP_URG_OFF(urg);
	bool mine = false;

	if (passed(rec, urg) || atomic_load_explicit(&rec->rx_tail, memory_order_relaxed) != tail || tail == c->rx_head ||
	    atomic_load_explicit(&rec->opt_flags, memory_order_relaxed) & NPP_OPT_OOBINLINE)
		return;
	for (unsigned i = 0; i < LOCK_SPINS && !mine; i++)
		mine = npp_lock_try(&rec->rx_lock, me);
	if (!mine)
		return;
	if (atomic_load_explicit(&rec->rx_tail, memory_order_relaxed) == tail) {
		/* What is received and not yet told must be, or rx_tail would be ahead of it. */
		atomic_store_explicit(&rec->rx_head, c->rx_head, memory_order_release);
		atomic_store_explicit(&rec->rx_tail, tail + 1, memory_order_release);
	}
	npp_lock_drop(&rec->rx_lock, me);
	ism_conn_take_rx(I, s, c, rec);
}

void ism_conn_urgent(void *arg, struct tcp_conn *c, uint32_t off, bool here)
{
	struct ism *I = arg;
	struct ism_sess *s = ism_sess_of_conn(I, c);
	struct npp_sock *rec;
	uint64_t urg;
	uint32_t n;

	if (!s || s->flags & SESS_CLOSED || !I->host[s->host])
		return;
	rec = ism_sess_rec(I, s);
	urg = atomic_load_explicit(&rec->urg, memory_order_relaxed);
	if (here) {
		if (!NPP_URG_N(urg) || NPP_URG_OFF(urg) != off)
			return;
		/* release: the byte is in the ring; pairs with the program's acquire load */
		atomic_store_explicit(&rec->urg, urg | NPP_URG_HERE, memory_order_release);
		ism_notify(I, s, NPP_OUT_RX, false);
		return;
	}
	step_over(I, s, c, rec, urg);
	n = (NPP_URG_N(urg) + 1) & 0x3fffffff;
	/* release: before the rx_head that reaches it; who has seen that sees the mark */
	atomic_store_explicit(&rec->urg, NPP_URG(off, n ? n : 1), memory_order_release);
	ism_notify(I, s, NPP_OUT_URG, false);
}

bool ism_urgent_take(struct ism *I, struct ism_sess *s, struct tcp_conn *c, const struct npp_sock *rec)
{
	/* acquire: pairs with the program's release */
	uint32_t up = atomic_load_explicit(&rec->tx_urg, memory_order_acquire), ahead = up - c->tx_tail;

	if ((int32_t)ahead <= 0) /* seen before, and acknowledged */
		return true;
	if (ahead > ism_tx_size(s))
		return false;
	stack_tcp_urgent(I->stack, c, up);
	return true;
}
