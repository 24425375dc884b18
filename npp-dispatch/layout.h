/* SPDX-License-Identifier: GPL-2.0-or-later
 * layout.h - the dispatcher's private region
 *
 * For nppd, which creates it (NPP_REGION_DISPATCH), and for the dispatcher, which maps
 * it at NPP_ADDR_DISPATCH. All that a dispatcher remembers from frame to frame is which
 * ring the next large frame probably goes to; sessions have no state here.
 */
#ifndef NPP_DISPATCH_LAYOUT_H
#define NPP_DISPATCH_LAYOUT_H

#include "shm/abi.h"

struct dispatch_state { /* the dispatcher alone */
	struct npp_region_hdr hdr;
	uint32_t last_large;	/* IOP that the last large frame went to */
	uint32_t spin_us;	/* how long it pays to look before sleeping */
	uint32_t zero[14];
	/* Frames are read here when the predicted ring has no room: as in a ring. */
	NPP_ALIGNED uint8_t scratch[sizeof(struct npp_frame_rec) + NPP_FRAME_MAX];
};

/* For npp_region_create() and npp_region_map(). */
#define DISPATCH_PRIVATE_SIZE sizeof(struct dispatch_state)
static inline uint64_t dispatch_layout_hash(void)
{
	return NPP_ABI_MIX(npp_abi_layout_hash(), sizeof(struct dispatch_state));
}

#endif
