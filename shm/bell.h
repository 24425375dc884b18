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
void npp_bell_ring(int efd);	/* keeps errno */
void npp_bell_drain(int efd);	/* takes what was rung; keeps errno */

#endif
