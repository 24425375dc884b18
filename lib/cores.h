/* SPDX-License-Identifier: GPL-2.0-or-later
 * cores.h - how many cores this process may use, and staying on one
 */
#ifndef NPP_LIB_CORES_H
#define NPP_LIB_CORES_H

/* Cores that the calling thread may run on, at least 1: fewer than the machine has for who is
 * pinned, or in a cpuset. */
unsigned npp_cores(void);

/* Stays on CPU from now on; -1: wherever the scheduler likes. A CPU that is not to be had is
 * warned of, and changes nothing. */
void npp_cores_pin(int cpu);

#endif
