/* SPDX-License-Identifier: GPL-2.0-or-later
 * start.h - the first words between a supervisor and its child
 */
#ifndef NPP_LIB_START_H
#define NPP_LIB_START_H

#include "lib/ctl.h"
#include "lib/proto.h"
#include "shm/stats.h"

/* Receives the START message of a child (its type is the caller's to check) from CTL. A
 * successor is asked first whether it fits the region that its predecessor works on:
 * PROBE is answered here, with LAYOUT, the hash of our own region's layout. As npp_ctl_recv();
 * TIMEOUT_MS is for START only after a PROBE has come: whoever probes may let us wait. */
int npp_start_recv(int ctl, uint64_t layout, struct npp_ctl_msg *m, void *buf, size_t cap, int timeout_ms);

/* A new process begins to write PAGE. */
void npp_start_page(struct npp_stats_page *page, enum npp_role role, uint32_t index, uint64_t now_us);

/* The process has done something: its successor's gap ends with that. */
static inline void npp_start_worked(struct npp_stats_page *page, uint64_t now_us)
{
	if (atomic_load_explicit(&page->work_us, memory_order_relaxed) == 0)
		atomic_store_explicit(&page->work_us, now_us, memory_order_relaxed);
}

#endif
