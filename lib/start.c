/* SPDX-License-Identifier: GPL-2.0-or-later
 * start.c - the first words between a supervisor and its child
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/start.h"

static int answer_probe(int ctl, uint64_t layout, const struct npp_ctl_msg *m)
{
	struct npp_ctl_probe own = { .abi_version = NPP_ABI_VERSION, .shared_hash = npp_abi_layout_hash(),
				     .layout_hash = layout }, asked;
	int fits;

	memset(&asked, 0, sizeof asked);
	memcpy(&asked, m->body, m->hdr.len < sizeof asked ? m->hdr.len : sizeof asked);
	fits = memcmp(&asked, &own, sizeof own) == 0;
	return npp_ctl_send(ctl, NPP_CTL_PROBED, m->hdr.seq, fits ? 0 : -EPROTO, &own, sizeof own, NULL, 0);
}

int npp_start_recv(int ctl, uint64_t layout, struct npp_ctl_msg *m, void *buf, size_t cap, int timeout_ms)
{
	for (;;) {
		int r = npp_ctl_recv(ctl, m, buf, cap, timeout_ms);

		if (r != 1 || m->hdr.type != NPP_CTL_PROBE)
			return r;
		npp_ctl_close_fds(m);
		r = answer_probe(ctl, layout, m);
		if (r < 0)
			return r;
		timeout_ms = -1; /* until the predecessor is gone; the supervisor's end is ours */
	}
}

void npp_start_page(struct npp_stats_page *page, enum npp_role role, uint32_t index, uint64_t now_us)
{
	page->role = role;
	page->index = index;
	atomic_store_explicit(&page->pid, (uint32_t)getpid(), memory_order_relaxed);
	atomic_store_explicit(&page->started_us, now_us, memory_order_relaxed);
	atomic_store_explicit(&page->work_us, 0, memory_order_relaxed);
	if (atomic_load_explicit(&page->first_us, memory_order_relaxed) == 0) /* counters go on from a predecessor's */
		atomic_store_explicit(&page->first_us, now_us, memory_order_relaxed);
}
