/* SPDX-License-Identifier: GPL-2.0-or-later
 * ring.c - the sockets' byte rings: made, grown, given back
 *
 * A ring is a block of lent host memory. A program reads a ring's place only while it
 * holds the lock of that direction, so a ring is moved or taken away under the lock; we
 * only try, for a program may hold it for as long as it is off the processor. Only a
 * receive ring may grow meanwhile, for data must not be dropped: its content is copied, the
 * new place published, and the old one kept until the lock was seen free. Where there
 * was no ring nobody can be using it: a receive ring is published by the rx_head that
 * follows (programs load rx_head before the ring's place).
 */
#include "config.h"

#include <string.h>

#include "npp-ism/socket/ism.h"
#include "shm/lock.h"

#define LOCK_SPINS 400	/* some microseconds: about one copy of a small read */
#define ASK_MIN (1u << 20)
#define ASK_MAX (16u << 20)
#define ASK_BACKOFF_US 20000
#define ASK_BACKOFF_MAX_US 1000000
#define RETRIES 64	/* waiting sessions looked at in one go */

static uint32_t lock_name(const struct ism *I)
{
	return 0x8000 + I->iop + 1;
}

static unsigned order_of(uint32_t bytes)
{
	unsigned o = 0;

	while (o + 1 < ISM_ORDERS && (ISM_PAGE << o) < bytes)
		o++;
	return o;
}

static bool take(struct ism *I, npp_lock_t *l, unsigned spins)
{
	for (unsigned i = 0; i <= spins; i++) {
		if (npp_lock_try(l, lock_name(I)))
			return true;
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#endif
	}
	return false;
}

/* ---- blocks ---------------------------------------------------------------------------- */

void ism_mem_ask(struct ism *I, unsigned h, uint32_t bytes)
{
	struct ism_host *hs = ism_hst(I, h);
	uint64_t want = hs->heap.lent / 2;
	struct npp_msg m = { .type = NPP_MSG_NEED_EXTENT };

	if (hs->state < ISM_HOST_GREETED || (hs->asked_us && I->now_us - hs->asked_us < hs->ask_backoff_us))
		return;
	want = want < ASK_MIN ? ASK_MIN : want > ASK_MAX ? ASK_MAX : want;
	m.arg = (uint32_t)(want > bytes ? want : bytes);
	hs->ask_backoff_us = hs->asked_us == 0 ? ASK_BACKOFF_US : 2 * hs->ask_backoff_us;
	if (hs->ask_backoff_us > ASK_BACKOFF_MAX_US)
		hs->ask_backoff_us = ASK_BACKOFF_MAX_US;
	hs->asked_us = I->now_us ? I->now_us : 1;
	ism_post_osm(I, h, &m);
}

uint32_t ism_block_get(struct ism *I, unsigned h, unsigned order)
{
	struct ism_heap *hp = &ism_hst(I, h)->heap;
	uint32_t blk = ism_mem_get(I->chunks, hp, order);

	/* More is asked for before it is needed: the answer takes a round trip through the OSM,
	 * in which hundreds of new sessions may send their first bytes. Hysteresis: asked below a
	 * quarter, and what comes is half as much again. */
	if (blk == ISM_BLK_NONE || hp->free < hp->lent / 4)
		ism_mem_ask(I, h, ISM_PAGE << order);
	return blk;
}

void ism_block_put(struct ism *I, unsigned h, uint16_t peer, uint32_t blk, unsigned order)
{
	struct ism_host *hs = ism_hst(I, h);

	if (ism_mem_put(I->chunks, &hs->heap, blk, order))
		ism_peer_charge(hs, peer, -(int32_t)(1u << order));
}

bool ism_mem_scarce(const struct ism_host *hs)
{
	return hs->asked_us && hs->ask_backoff_us > ASK_BACKOFF_US;
}

/* May this host have a ring of BYTES now, for a peer of prefix PEER? If no more can be had, the last
 * quarter is for the first ring of each session alone, and the last eighth for those of peers that
 * have less than their share: others that only hold memory, by closed windows or by data out of
 * order, must not take all of it. Large rings leave that quarter alone anyway, but for the least that a
 * datagram socket receives in (DGRAM), for what it is sent comes only once: while more memory is on its way,
 * that leaves only the last eighth alone. */
static bool affordable(struct ism *I, unsigned h, uint16_t peer, uint32_t bytes, bool dgram)
{
	const struct ism_host *hs = ism_hst(I, h);
	uint64_t free = hs->heap.free, lent = hs->heap.lent;
	bool scarce = ism_mem_scarce(hs), may = !scarce || ism_peer_may(hs, peer, bytes);

	if (free >= lent / 4 + bytes)
		return may || bytes <= ISM_RING_FIRST;
	if (bytes > ISM_RING_PLENTY)
		ism_mem_ask(I, h, bytes);
	if (dgram)
		return !scarce && free >= lent / 8 + bytes;
	if (bytes > ISM_RING_FIRST)
		return bytes <= ISM_RING_PLENTY && !scarce;
	if (may || free >= lent / 8 + bytes)
		return true;
	npp_stat_inc(I->stats, NPP_IS_MEM_REFUSED);
	return false;
}

uint32_t ism_block_between(struct ism *I, unsigned h, uint16_t peer, uint32_t need, uint32_t wish, bool dgram, unsigned *order)
{
	for (unsigned o = order_of(wish), lo = order_of(need);; o--) {
		if (affordable(I, h, peer, ISM_PAGE << o, dgram && o == lo)) {
			uint32_t blk = ism_block_get(I, h, o);

			if (blk != ISM_BLK_NONE) {
				ism_peer_charge(ism_hst(I, h), peer, (int32_t)(1u << o));
				*order = o;
				return blk;
			}
		}
		if (o == lo)
			return ISM_BLK_NONE;
	}
}

void ism_mem_foresee(struct ism *I, unsigned h, uint32_t bytes)
{
	const struct ism_heap *hp = &ism_hst(I, h)->heap;

	if (hp->free < hp->lent / 4 + bytes)
		ism_mem_ask(I, h, bytes);
}

static uint8_t *block_base(struct ism *I, unsigned h, uint32_t blk)
{
	return I->host[h]->base + ism_mem_off(I->chunks, blk);
}

/* Copies stream offsets [FROM, TO) from one ring to another. */
static void ring_copy(uint8_t *to, uint32_t to_size, const uint8_t *from, uint32_t from_size, uint32_t begin,
		      uint32_t end)
{
	while (begin != end) {
		uint32_t a = begin & (from_size - 1), b = begin & (to_size - 1), n = end - begin;

		n = n < from_size - a ? n : from_size - a;
		n = n < to_size - b ? n : to_size - b;
		memcpy(to + b, from + a, n);
		begin += n;
	}
}

static struct npp_ring_desc desc(struct ism *I, uint32_t blk, unsigned order)
{
	return (struct npp_ring_desc){ .off = ism_mem_off(I->chunks, blk), .size = ISM_PAGE << order };
}

/* ---- receive --------------------------------------------------------------------------- */

/* Of a ring of HAVE bytes */
static uint32_t rx_limit(const struct ism *I, const struct npp_sock *rec, const struct tcp_conn *c, uint32_t have)
{
	uint32_t set = atomic_load_explicit(&rec->rcvbuf, memory_order_relaxed);
	struct npp_tcp_mem m = npp_tcp_rmem(I->env.global);

	return set ? npp_tcp_mem_set(m, set) : have ? stack_tcp_buf_most(c, m.max) : m.max;
}

/* A program may be looking at D. */
static void desc_publish(struct npp_ring_desc *d, uint64_t off, uint32_t size)
{
	uint32_t seq = atomic_load_explicit(&d->seq, memory_order_relaxed) | 1; /* odd after a death in between */

	atomic_store_explicit(&d->seq, seq, memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* pairs with the acquire fence in ring_ok() */
	*(volatile uint64_t *)&d->off = off;
	*(volatile uint32_t *)&d->size = size;
	atomic_store_explicit(&d->seq, seq + 1, memory_order_release); /* pairs with ring_ok() */
}

/* What a successor must not find half done. */
static void ring_enter(struct ism_sess *s)
{
	s->marked = ISM_MARK_RINGS;
	atomic_signal_fence(memory_order_seq_cst);
}

static void ring_leave(struct ism_sess *s)
{
	atomic_signal_fence(memory_order_seq_cst);
	s->marked = ISM_MARK_NONE;
}

static void rx_install(struct ism *I, struct ism_sess *s, struct tcp_conn *c, struct npp_sock *rec,
		       uint32_t blk, unsigned order)
{
	ring_enter(s);
	s->rx_blk = blk;
	s->rx_order = (uint8_t)order;
	desc_publish(&rec->rx_ring, ism_mem_off(I->chunks, blk), ISM_PAGE << order);
	c->rx = (struct stack_ring){ block_base(I, s->host, blk), ISM_PAGE << order };
	ring_leave(s);
}

/* The ring before the last growth goes once no program can be reading in it: whoever takes
 * the lock later finds the new one. */
static bool rx_old_free(struct ism *I, struct ism_sess *s, struct npp_sock *rec, unsigned spins)
{
	if (s->old_blk == ISM_NONE)
		return true;
	if (!take(I, &rec->rx_lock, spins))
		return false;
	npp_lock_drop(&rec->rx_lock, lock_name(I));
	ism_block_put(I, s->host, s->peer, s->old_blk, s->old_order);
	s->old_blk = ISM_NONE;
	return true;
}

/* A ring that is larger than HAVE and at most MOST, though maybe less than is needed: of a burst it keeps
 * the beginning, and maybe enough of the rest that the peer hears of the gap before its timer tells it.
 * ISM_RING_TIGHT is about what a peer sends at first. */
static uint32_t rx_some(struct ism *I, struct ism_sess *s, uint32_t have, uint32_t need, uint32_t most, unsigned *order)
{
	const struct ism_heap *hp = &ism_hst(I, s->host)->heap;
	uint32_t blk = ISM_BLK_NONE;

	if (2 * have < need)
		blk = ism_block_between(I, s->host, s->peer, 2 * have, need / 2, false, order);
	if (blk != ISM_BLK_NONE || have >= ISM_RING_TIGHT || most < ISM_RING_TIGHT ||
	    hp->free < hp->lent / 4 + ISM_RING_TIGHT)
		return blk;
	*order = order_of(ISM_RING_TIGHT);
	blk = ism_block_get(I, s->host, *order);
	if (blk != ISM_BLK_NONE)
		ism_peer_charge(ism_hst(I, s->host), s->peer, (int32_t)(1u << *order));
	return blk;
}

bool ism_ring_grow_rx(struct ism *I, struct ism_sess *s, struct tcp_conn *c, uint32_t need)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	uint32_t have = ism_rx_size(s), limit = rx_limit(I, rec, c, have), wish, old = s->rx_blk, blk, room;
	unsigned order, old_order = s->rx_order;

	/* The stack asks only for what the window has promised, maybe before SO_RCVBUF made it less. */
	limit = need > limit ? (need > ISM_CHUNK_BYTES ? ISM_CHUNK_BYTES : need) : limit;
	need = need > limit ? limit : need;
	if (need <= have)
		return true;
	wish = have ? 4 * have : ISM_RING_FIRST;
	wish = wish > limit ? limit : wish;
	wish = wish < need ? need : wish;
	room = ism_backlog_room(I, s, !have);
	if (room < (have ? need : ISM_RING_FIRST))
		return false;
	wish = wish > room ? room : wish;
	/* The first ring need not hold all: what has no room is sent again. */
	blk = ism_block_between(I, s->host, s->peer, have ? need : ISM_RING_FIRST, wish, false, &order);
	if (blk == ISM_BLK_NONE && have)
		blk = rx_some(I, s, have, need, room < limit ? room : limit, &order);
	if (blk == ISM_BLK_NONE)
		return false;
	if (!have) {
		ism_hold_begin(I, s, c);
		rx_install(I, s, c, rec, blk, order);
		ism_backlog_bill(I, s);
		return true;
	}
	if (!rx_old_free(I, s, rec, LOCK_SPINS)) {
		ism_block_put(I, s->host, s->peer, blk, order);
		return false;
	}
	ring_copy(block_base(I, s->host, blk), ISM_PAGE << order, c->rx.base, have, c->rx_tail,
		  c->rx_tail + have);
	s->old_blk = old;
	s->old_order = (uint8_t)old_order;
	rx_install(I, s, c, rec, blk, order);
	rx_old_free(I, s, rec, 0);
	ism_backlog_bill(I, s);
	return true;
}

void ism_ring_old_free(struct ism *I, struct ism_sess *s)
{
	if (s->old_blk != ISM_NONE && rx_old_free(I, s, ism_sess_rec(I, s), 0))
		ism_backlog_bill(I, s);
}

void ism_ring_drop_rx(struct ism *I, struct ism_sess *s, struct tcp_conn *c)
{
	uint32_t blk;

	if (c)
		c->rx = (struct stack_ring){ NULL, 0 };
	if (s->old_blk != ISM_NONE)
		ism_block_put(I, s->host, s->peer, s->old_blk, s->old_order);
	s->old_blk = ISM_NONE;
	if (s->rx_blk == ISM_NONE) {
		ism_backlog_bill(I, s);
		return;
	}
	if (I->host[s->host])
		desc_publish(&ism_sess_rec(I, s)->rx_ring, 0, 0);
	blk = s->rx_blk;
	s->rx_blk = ISM_NONE; /* before it can be another's */
	ism_block_put(I, s->host, s->peer, blk, s->rx_order);
	ism_backlog_bill(I, s);
}

/* ---- transmit ---------------------------------------------------------------------------- */

/* Of a ring of HAVE bytes */
static uint32_t tx_limit(struct npp_tcp_mem m, const struct npp_sock *rec, const struct tcp_conn *c, uint32_t have)
{
	uint32_t set = atomic_load_explicit(&rec->sndbuf, memory_order_relaxed);

	return set ? npp_tcp_mem_set(m, set) : have ? stack_tcp_buf_most(c, m.max) : m.max;
}

bool ism_ring_grow_tx(struct ism *I, struct ism_sess *s, struct tcp_conn *c, uint32_t want)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	struct npp_tcp_mem m = npp_tcp_wmem(I->env.global);
	uint32_t have = ism_tx_size(s), limit = tx_limit(m, rec, c, have), wish, old = s->tx_blk, blk, head, room;
	unsigned order, old_order = s->tx_order;
	bool ok = true;

	wish = have ? 4 * have : m.min > ISM_RING_FIRST ? m.min : ISM_RING_FIRST;
	if (want > m.dflt && !have)
		want = m.dflt; /* more when it has shown that it fills it */
	wish = wish < want ? want : wish;
	wish = wish > limit ? limit : wish;
	if (order_of(wish) <= s->tx_order && have)
		return false;
	room = ism_backlog_room(I, s, false);
	if (room < (have ? 2 * have : ISM_PAGE))
		return false;
	wish = wish > room ? room : wish;
	blk = ism_block_between(I, s->host, s->peer, have ? 2 * have : ISM_PAGE, wish, false, &order);
	if (blk == ISM_BLK_NONE)
		return false;
	if (!take(I, &rec->tx_lock, have ? 0 : LOCK_SPINS)) {
		ism_block_put(I, s->host, s->peer, blk, order);
		/* Soon again: if the peer takes no more there may be no other occasion, and a program that has set
		 * SO_SNDBUF would wait for what it may count on. */
		if (have)
			ism_ring_wait(I, s, 2 * have);
		return false;
	}
	if (have) {
		/* The program stands still: what it wrote and nobody has acknowledged moves along. */
		head = atomic_load_explicit(&rec->tx_head, memory_order_acquire);
		ok = head - c->tx_tail <= have;
		if (ok)
			ring_copy(block_base(I, s->host, blk), ISM_PAGE << order, c->tx.base, have, c->tx_tail,
				  head);
	}
	if (ok) {
		ring_enter(s);
		s->tx_blk = blk;
		s->tx_order = (uint8_t)order;
		rec->tx_ring = desc(I, blk, order);
		c->tx = (struct stack_ring){ block_base(I, s->host, blk), ISM_PAGE << order };
		ring_leave(s);
	}
	npp_lock_drop(&rec->tx_lock, lock_name(I));
	if (!ok)
		ism_block_put(I, s->host, s->peer, blk, order);
	else if (have)
		ism_block_put(I, s->host, s->peer, old, old_order);
	ism_backlog_bill(I, s);
	return ok;
}

void ism_ring_drop_tx(struct ism *I, struct ism_sess *s, struct tcp_conn *c)
{
	uint32_t blk;

	if (c)
		c->tx = (struct stack_ring){ NULL, 0 };
	if (s->tx_blk == ISM_NONE)
		return;
	if (I->host[s->host])
		ism_sess_rec(I, s)->tx_ring = (struct npp_ring_desc){ 0, 0, 0 };
	blk = s->tx_blk;
	s->tx_blk = ISM_NONE;
	ism_block_put(I, s->host, s->peer, blk, s->tx_order);
	ism_backlog_bill(I, s);
}

bool ism_ring_shrink_tx(struct ism *I, struct ism_sess *s, struct tcp_conn *c)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	uint32_t have = ism_tx_size(s), head, used, blk, old = s->tx_blk;
	unsigned order, old_order = s->tx_order;
	bool ok = false;

	if (have < 4 * ISM_RING_FIRST || !take(I, &rec->tx_lock, 0))
		return false;
	head = atomic_load_explicit(&rec->tx_head, memory_order_acquire);
	used = head - c->tx_tail;
	order = order_of(used < ISM_RING_FIRST ? ISM_RING_FIRST : used);
	/* Not worth it for less than three quarters. A block of our own at once: it is given back twice over. */
	blk = used <= have && order + 2 <= old_order ? ism_mem_get(I->chunks, &ism_hst(I, s->host)->heap, order) : ISM_BLK_NONE;
	if (blk != ISM_BLK_NONE) {
		ism_peer_charge(ism_hst(I, s->host), s->peer, (int32_t)(1u << order));
		ring_copy(block_base(I, s->host, blk), ISM_PAGE << order, c->tx.base, have, c->tx_tail, head);
		ring_enter(s);
		s->tx_blk = blk;
		s->tx_order = (uint8_t)order;
		rec->tx_ring = desc(I, blk, order);
		c->tx = (struct stack_ring){ block_base(I, s->host, blk), ISM_PAGE << order };
		ring_leave(s);
		ism_block_put(I, s->host, s->peer, old, old_order);
		ism_backlog_bill(I, s);
		ok = true;
	}
	npp_lock_drop(&rec->tx_lock, lock_name(I));
	return ok;
}

void ism_ring_bury_tx(struct ism *I, struct ism_sess *s)
{
	struct npp_sock *rec = ism_sess_rec(I, s);

	if (s->tx_blk == ISM_NONE || !take(I, &rec->tx_lock, LOCK_SPINS))
		return;
	ism_ring_drop_tx(I, s, NULL);
	npp_lock_drop(&rec->tx_lock, lock_name(I));
}

bool ism_ring_prune_rx(struct ism *I, struct ism_sess *s, struct tcp_conn *c)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	bool ok;

	if (s->rx_blk == ISM_NONE || !take(I, &rec->rx_lock, 0))
		return false;
	ok = atomic_load_explicit(&rec->rx_tail, memory_order_acquire) == c->rx_head;
	if (ok)
		ism_ring_drop_rx(I, s, c);
	npp_lock_drop(&rec->rx_lock, lock_name(I));
	return ok;
}

/* ---- waiting for memory or a lock -------------------------------------------------------- */

void ism_ring_wait(struct ism *I, struct ism_sess *s, uint32_t want)
{
	struct ism_host *hs = ism_hst(I, s->host);
	uint32_t i = ism_sess_index(I, s);

	s->want = want;
	I->urgent = true;
	if (s->flags & SESS_WAITING)
		return;
	s->flags |= SESS_WAITING;
	s->wait_next = ISM_NONE;
	if (hs->wait_head == ISM_NONE)
		hs->wait_head = i;
	else
		I->sess[hs->wait_tail].wait_next = i;
	hs->wait_tail = i;
}

bool ism_ring_retry(struct ism *I, unsigned h)
{
	struct ism_host *hs = ism_hst(I, h);
	uint32_t last = hs->wait_tail, i = ISM_NONE;

	for (unsigned n = 0; n < RETRIES && hs->wait_head != ISM_NONE && i != last; n++) {
		struct ism_sess *s = &I->sess[i = hs->wait_head];

		hs->wait_head = s->wait_next;
		if (hs->wait_head == ISM_NONE)
			hs->wait_tail = ISM_NONE;
		s->flags &= ~SESS_WAITING;
		if (s->kind == ISM_DGRAM)
			ism_udp_need_ring(I, s, s->want); /* queues it again if it must */
		else
			ism_conn_need_ring(I, s, s->want);
	}
	return hs->wait_head != ISM_NONE;
}

/* ---- idle ---------------------------------------------------------------------------------- */

static void idle_rx(struct ism *I, struct ism_sess *s, struct tcp_conn *c, struct npp_sock *rec)
{
	if (!take(I, &rec->rx_lock, 0))
		return;
	/* The program has read everything, and nothing waits out of order. */
	if (atomic_load_explicit(&rec->rx_tail, memory_order_acquire) == c->rx_head &&
	    stack_tcp_rx_empty(I->stack, c))
		ism_ring_drop_rx(I, s, c);
	npp_lock_drop(&rec->rx_lock, lock_name(I));
}

static void idle_tx(struct ism *I, struct ism_sess *s, struct tcp_conn *c, struct npp_sock *rec)
{
	if (!take(I, &rec->tx_lock, 0))
		return;
	if (atomic_load_explicit(&rec->tx_head, memory_order_acquire) == c->tx_tail && c->tx_head == c->tx_tail) {
		/* Nobody waits for room in an empty ring, but the word may be left from its making, and as long as it
		 * stands no other is asked for. First, since who sees that there is no ring asks at once. */
		atomic_store_explicit(&rec->tx_want, 0, memory_order_relaxed);
		atomic_thread_fence(memory_order_release); /* pairs with want_room()'s exchange */
		ism_ring_drop_tx(I, s, c);
	}
	npp_lock_drop(&rec->tx_lock, lock_name(I));
}

void ism_ring_idle(struct ism *I, struct ism_sess *s, struct tcp_conn *c, uint64_t idle_us)
{
	struct npp_sock *rec = ism_sess_rec(I, s);

	if (s->rx_blk != ISM_NONE && c->rx_head == c->rx_tail &&
	    (ism_rx_size(s) <= ISM_RING_FIRST || idle_us >= ISM_IDLE_GROWN_US))
		idle_rx(I, s, c, rec);
	if (s->tx_blk != ISM_NONE && c->tx_head == c->tx_tail)
		idle_tx(I, s, c, rec);
}

/* ---- after a death ------------------------------------------------------------------------- */

void ism_ring_unlock(struct ism *I, struct ism_sess *s)
{
	struct npp_sock *rec = ism_sess_rec(I, s);

	npp_lock_break(&rec->rx_lock, lock_name(I));
	npp_lock_break(&rec->tx_lock, lock_name(I));
}

void ism_ring_resume(struct ism *I, struct ism_sess *s, struct tcp_conn *c)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	bool rx = s->rx_blk != ISM_NONE, tx = s->tx_blk != ISM_NONE;

	if (atomic_load_explicit(&rec->gen, memory_order_relaxed) != s->sock_gen)
		return; /* given back already */
	if (c && rx)
		c->rx = (struct stack_ring){ block_base(I, s->host, s->rx_blk), ism_rx_size(s) };
	else if (c)
		c->rx = (struct stack_ring){ NULL, 0 };
	if (c && tx)
		c->tx = (struct stack_ring){ block_base(I, s->host, s->tx_blk), ism_tx_size(s) };
	else if (c)
		c->tx = (struct stack_ring){ NULL, 0 };
	desc_publish(&rec->rx_ring, rx ? ism_mem_off(I->chunks, s->rx_blk) : 0, rx ? ism_rx_size(s) : 0);
	rec->tx_ring = tx ? desc(I, s->tx_blk, s->tx_order) : (struct npp_ring_desc){ 0, 0, 0 };
	ism_ring_unlock(I, s);
}
