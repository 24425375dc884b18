/* SPDX-License-Identifier: GPL-2.0-or-later
 * i2oq.c - the I2O free and post queues
 *
 * 64 message frames go round: from the free queue to the producer, by the post queue
 * to the consumer, by the free queue back. Every post takes one MFA and posts one, and
 * every poll takes one and gives one back, so in a lane at rest
 *
 *	free_tail == post_head		(producer's words)
 *	free_head == post_tail + 64	(consumer's words)
 *
 * for ever, and a half whose owner died between its two stores is seen to be one off
 * and put right on attach. To keep these laws an MFA that makes no sense is passed on
 * like any other: the side that made it gets it back, and the consumer counts it.
 *
 * The consumer gives the frame of a message back when it comes for the next one, that
 * is after the effects: a message that was being worked on when its consumer died is
 * seen again.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>

#include "shm/bell.h"
#include "shm/i2oq.h"

#define DEPTH NPP_I2OQ_DEPTH
#define SLOT(pos) ((pos) % DEPTH)
_Static_assert((DEPTH & (DEPTH - 1)) == 0, "positions wrap at 2^32");

static inline uint32_t load(_Atomic uint32_t *w)
{
	/* acquire: pairs with the release stores of the other side below */
	return atomic_load_explicit(w, memory_order_acquire);
}

static inline void publish(_Atomic uint32_t *w, uint32_t v)
{
	/* release: pairs with load() on the other side */
	atomic_store_explicit(w, v, memory_order_release);
}

static inline uint32_t read_once(const uint32_t *w)
{
	return *(const volatile uint32_t *)w;
}

void npp_i2oq_init(struct npp_i2oq *q)
{
	for (uint32_t i = 0; i < DEPTH; i++)
		q->free[i] = i;
	publish(&q->free_head, DEPTH);
}

int npp_i2oq_attach_prod(struct npp_i2oq_prod *p, struct npp_i2oq *q)
{
	uint32_t post_head = load(&q->post_head), free_tail = load(&q->free_tail);
	uint32_t post_tail = load(&q->post_tail), free_head = load(&q->free_head);

	if ((post_head | free_tail | post_tail | free_head) == 0)
		return -EPROTO; /* nobody has initialised it */
	if (post_head == free_tail + 1) { /* died after the post */
		free_tail = post_head;
		publish(&q->free_tail, free_tail);
	}
	if (post_head != free_tail || post_head - post_tail > DEPTH || free_head - free_tail > DEPTH)
		return -EPROTO;
	*p = (struct npp_i2oq_prod){ .q = q, .post_head = post_head, .free_tail = free_tail };
	return 0;
}

int npp_i2oq_attach_cons(struct npp_i2oq_cons *c, struct npp_i2oq *q)
{
	uint32_t post_tail = load(&q->post_tail), free_head = load(&q->free_head);
	uint32_t post_head = load(&q->post_head), free_tail = load(&q->free_tail);

	if (free_head == post_tail + DEPTH + 1) { /* died after it gave the frame back */
		post_tail++;
		publish(&q->post_tail, post_tail);
	}
	if (free_head != post_tail + DEPTH || post_head - post_tail > DEPTH ||
	    free_head - free_tail > DEPTH)
		return -EPROTO;
	*c = (struct npp_i2oq_cons){ .q = q, .post_tail = post_tail, .free_head = free_head };
	return 0;
}

int npp_i2oq_post(struct npp_i2oq_prod *p, const struct npp_msg *msg)
{
	struct npp_i2oq *q = p->q;
	uint32_t n = load(&q->free_head) - p->free_tail, mfa;

	if (n > DEPTH)
		n = 0; /* the consumer's word lies: it gets no messages */
	for (; n > 0; n--) {
		mfa = read_once(&q->free[SLOT(p->free_tail)]);
		if (mfa < DEPTH)
			q->frame[mfa] = *msg;
		q->post[SLOT(p->post_head)] = mfa;
		publish(&q->post_head, ++p->post_head);
		publish(&q->free_tail, ++p->free_tail);
		if (mfa < DEPTH)
			return 0;
	}
	/* release: pairs with npp_i2oq_overflowed(); what the message spoke of is visible */
	atomic_store_explicit(&q->overflow, 1, memory_order_release);
	return -ENOBUFS;
}

/* The message before is done with: its frame goes back. */
static void give_back(struct npp_i2oq_cons *c)
{
	struct npp_i2oq *q = c->q;

	if (c->free_head == c->post_tail + DEPTH)
		return;
	publish(&q->free_head, ++c->free_head);
	publish(&q->post_tail, c->post_tail);
}

int npp_i2oq_poll(struct npp_i2oq_cons *c, struct npp_msg *msg)
{
	struct npp_i2oq *q = c->q;
	uint32_t n, mfa;

	give_back(c);
	n = load(&q->post_head) - c->post_tail;
	if (n > DEPTH) { /* the producer's word lies: nothing can be taken from this lane */
		c->errors++;
		return 0;
	}
	for (; n > 0; n--) {
		mfa = read_once(&q->post[SLOT(c->post_tail)]);
		if (mfa < DEPTH)
			*msg = q->frame[mfa];
		q->free[SLOT(c->free_head)] = mfa;
		c->post_tail++;
		if (mfa < DEPTH)
			return 1;
		c->errors++;
		give_back(c);
	}
	return 0;
}

bool npp_i2oq_overflowed(struct npp_i2oq_cons *c)
{
	/* acquire: pairs with the store in npp_i2oq_post(); a plain look first keeps the line shared */
	return atomic_load_explicit(&c->q->overflow, memory_order_relaxed) != 0 &&
	       atomic_exchange_explicit(&c->q->overflow, 0, memory_order_acquire) != 0;
}

bool npp_inbound_mark(struct npp_inbound *in, unsigned ctx)
{
	unsigned word = ctx / 64;

	if (ctx >= NPP_MAX_CTX)
		return false;
	/* release, both: pair with the ISM's acquire exchanges, which go the other way round */
	atomic_fetch_or_explicit(&in->work[word], 1ull << (ctx % 64), memory_order_release);
	atomic_fetch_or_explicit(&in->summary, 1ull << word, memory_order_release);
	return npp_bell_claim(&in->sleeping);
}
