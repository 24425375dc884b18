/* SPDX-License-Identifier: GPL-2.0-or-later
 * shrink.h - runs in processes of their own, and the smallest plan that still fails
 */
#ifndef NPP_TESTS_SIM_SHRINK_H
#define NPP_TESTS_SIM_SHRINK_H

#include "tests/sim/sim.h"

/* Runs P in a child, its errors to ERR_FD (-1: nowhere). 0, or 1: it failed and R says how. TR and
 * PCAP as for world_run(). */
int run_apart(const struct plan *p, struct report *r, FILE *tr, const char *pcap, int err_fd);
/* Makes P, which fails as NAME says, smaller, for at most SECONDS. Number of runs. */
unsigned shrink(struct plan *p, const char *name, struct report *r, unsigned seconds);

#endif
