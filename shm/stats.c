/* SPDX-License-Identifier: GPL-2.0-or-later
 * stats.c - names and help texts of the counters
 */
#include "config.h"

#include "shm/stats.h"

#define DESC(id, n, h) { .name = n, .help = h },

static const struct npp_stat_desc dispatch_desc[] = { NPP_DISPATCH_COUNTERS(DESC) };
static const struct npp_stat_desc ism_desc[] = { NPP_ISM_COUNTERS(DESC) };
static const struct npp_stat_desc osm_desc[] = { NPP_OSM_COUNTERS(DESC) };

const struct npp_stat_desc *npp_stat_describe(enum npp_role role, unsigned *count)
{
	switch (role) {
	case NPP_ROLE_DISPATCH:
		*count = NPP_DS_COUNT;
		return dispatch_desc;
	case NPP_ROLE_ISM:
		*count = NPP_IS_COUNT;
		return ism_desc;
	case NPP_ROLE_OSM:
		*count = NPP_OS_COUNT;
		return osm_desc;
	default:
		*count = 0;
		return NULL;
	}
}
