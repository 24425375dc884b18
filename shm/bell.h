/* SPDX-License-Identifier: GPL-2.0-or-later
 * bell.h - doorbells: an eventfd that is written only for a sleeper
 *
 * Consumer:  npp_bell_announce(word); look once more; if nothing: wait for the eventfd,
 *            then npp_bell_awake(word). Producer: publish (release), then
 *            if (npp_bell_claim(word)) npp_bell_ring(efd).
 * announce stores 1 and fences, claim fences and exchanges 0, both seq_cst, so one of
 * the two always sees the other.
 */
#ifndef NPP_SHM_BELL_H
#define NPP_SHM_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static inline void npp_bell_announce(_Atomic uint32_t *sleeping)
{
	atomic_store_explicit(sleeping, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* pairs with npp_bell_claim() */
}

static inline void npp_bell_awake(_Atomic uint32_t *sleeping)
{
	atomic_store_explicit(sleeping, 0, memory_order_relaxed);
}

static inline bool npp_bell_claim(_Atomic uint32_t *sleeping)
{
	atomic_thread_fence(memory_order_seq_cst); /* pairs with npp_bell_announce() */
	return atomic_load_explicit(sleeping, memory_order_relaxed) != 0 &&
	       atomic_exchange_explicit(sleeping, 0, memory_order_relaxed) != 0;
}

int npp_bell_create(void);	/* non-blocking, close-on-exec eventfd; fd or -errno */
/* Between processes that trust each other: whoever shares the eventfd can make it blocking and
 * fill it, and then this waits. Keeps errno. */
void npp_bell_ring(int efd);
void npp_bell_drain(int efd);	/* takes what was rung, never waits; keeps errno */

/* Rings that cannot be made to wait. A file's flags belong to all who share it, and write() on
 * an eventfd that is full and blocking sleeps; but the kernel's own signal at the end of an
 * asynchronous request never does, and wakes even if the eventfd is full. So a ring is an
 * empty read that names the doorbell, many of them one system call. Anything that is not an
 * eventfd is left alone. */
#define NPP_RINGER_MAX 32
struct npp_ringer {
	unsigned long aio;	/* 0: the system has none; rings are writes then */
	int nothing;		/* what is read */
	unsigned n;
	int fd[NPP_RINGER_MAX];
};
int npp_ringer_open(struct npp_ringer *r);	/* 0, or -errno: rings may wait */
void npp_ringer_close(struct npp_ringer *r);
void npp_ringer_add(struct npp_ringer *r, int efd);	/* rung by the flush, or now if there are many */
void npp_ringer_flush(struct npp_ringer *r);		/* keeps errno */

#endif
