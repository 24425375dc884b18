/* SPDX-License-Identifier: GPL-2.0-or-later
 * layout.h - how large an ISM's private region is and where tools find things in it
 *
 * For nppd, which creates the region, and for `npp conns` and its like, which map it
 * read-only at any address:
 *
 *     const struct ism_layout *l = region base;
 *     stack_inspect_conn((const char *)l + l->stack_off, l->stack_bytes, ...)
 *
 * Everything else in the region is the ISM's own (npp-ism/socket/ism.h).
 */
#ifndef NPP_ISM_SOCKET_LAYOUT_H
#define NPP_ISM_SOCKET_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/proto.h"
#include "npp-ism/stack/stack.h"
#include "shm/abi.h"

#define ISM_LAYOUT_MAGIC 0x3174756f79616c69ull

#define ISM_MAX_LISTENERS 1024	/* replicas per ISM */
#define ISM_MAX_UDP 1024	/* datagram sockets per ISM */

struct ism_layout {	/* start of the private region; the ISM, once */
	struct npp_region_hdr hdr;
	_Atomic uint64_t magic;		/* ISM_LAYOUT_MAGIC once all the rest is there (release) */
	uint64_t layout_hash;		/* ism_layout_hash() of who made it */
	uint64_t bytes;			/* used of the region */
	uint64_t stack_off, stack_bytes; /* the stack's arena */
	uint64_t sess_off;		/* struct ism_sess[n_sess]: the association table */
	uint32_t n_sess, sess_bytes;
	uint64_t off[8];		/* other tables, see ism.h */
};

/* What the start message means for the stack. */
void ism_stack_cfg(const struct npp_ctl_start_ism *start, struct stack_cfg *cfg);
/* Bytes of the private region of an ISM that is started with START. */
size_t ism_region_size(const struct npp_ctl_start_ism *start);
/* For npp_region_create() and npp_region_map() of NPP_REGION_ISM. */
uint64_t ism_layout_hash(void);

#endif
