/* SPDX-License-Identifier: GPL-2.0-or-later
 * lock.h - locks that know their holder and survive its death (A14)
 *
 * HOLDER is any number in 1..2^32-1 that names the holder to its supervisor (context
 * number + 1, 0x8000 + IOP + 1).
 */
#ifndef NPP_SHM_LOCK_H
#define NPP_SHM_LOCK_H

#include <stdbool.h>

#include "shm/abi.h"

/* test-and-set: true if it was free and is ours now (acquire). */
bool npp_lock_try(npp_lock_t *l, uint32_t holder);
/* Spins a little, then yields, up to TIMEOUT_US; 0, or -ETIMEDOUT, or -EDEADLK if HOLDER
 * already holds it. */
int npp_lock_take(npp_lock_t *l, uint32_t holder, uint32_t timeout_us);
/* Release. If the lock was broken meanwhile and is another's, nothing happens: false. */
bool npp_lock_drop(npp_lock_t *l, uint32_t holder);
/* By a supervisor: takes the lock away from the dead HOLDER. True if it held it. */
bool npp_lock_break(npp_lock_t *l, uint32_t holder);

#endif
