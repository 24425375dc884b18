/* SPDX-License-Identifier: GPL-2.0-or-later
 * need.c - what a configuration will need, before anything is made
 */
#include "config.h"

#include "lib/hugepages.h"
#include "npp-ism/socket/layout.h"
#include "nppd/need.h"

static unsigned pages(uint64_t bytes)
{
	return (unsigned)((bytes + NPP_HUGEPAGE_BYTES - 1) / NPP_HUGEPAGE_BYTES);
}

unsigned settings_hugepages_needed(const struct settings *s)
{
	const struct npp_settings *n = &s->npp;
	struct npp_ctl_start_ism start = { .n_iops = n->iops, .max_conns = n->memory.connections,
					   .reass_bytes = (uint32_t)n->memory.reassembly };
	unsigned ring;

	if (settings_common(s)->hugepages == HUGE_NEVER)
		return 0;
	if (s->is_host)
		return pages(s->host.memory);
	ring = n->memory.rx_ring >= NPP_HUGEPAGE_BYTES ? pages(n->memory.rx_ring) : 0;
	return n->iops * (ring + pages(ism_region_size(&start)));
}
