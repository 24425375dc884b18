/* SPDX-License-Identifier: GPL-2.0-or-later
 * priv.h - what the files of the net kernel ask of each other
 */
#ifndef NPP_ISM_NK_PRIV_H
#define NPP_ISM_NK_PRIV_H

#include "npp-ism/netkernel/nk.h"

/* Values of nk->level beside enum nk_prio. */
#define NK_LEVEL_INT 0u
#define NK_LEVEL_SCHED (NK_LOW + 1u)

/* Everything that goes before LEVEL, once, at the time that nk->now_us says: interrupts, high threads,
 * flush and, for LEVEL beyond normal, normal threads. */
bool nk_serve(struct nk *nk, unsigned level);

/* Enters the threads of PRIO that are ready, each once (normal and low: one of them). */
bool nk_threads_run(struct nk *nk, enum nk_prio prio);
void nk_alarms_run(struct nk *nk);
uint64_t nk_alarms_next(const struct nk *nk);	/* the earliest that is not lazy */

#endif
