/* SPDX-License-Identifier: GPL-2.0-or-later
 * limit.h - how many lines the log gets about what one process says
 */
#ifndef NPP_NPPD_LIMIT_H
#define NPP_NPPD_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_LINES 10		/* in LIMIT_MS from the first */
#define LIMIT_MS 10000

struct limit { uint64_t since_ms; uint32_t n, hidden; };	/* begins as zeros */

/* May one more line be printed at NOW_MS? HIDDEN: lines that were not since a line was; 0 if it was
 * told already, or it may not. */
bool limit_passes(struct limit *l, uint64_t now_ms, uint32_t *hidden);

#endif
