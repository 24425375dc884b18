/* SPDX-License-Identifier: GPL-2.0-or-later
 * pool.h - LIFO pool of indexes over an array of records, one owner
 *
 * A free list that can be rebuilt: it holds nothing that the records do not say.
 */
#ifndef NPP_SHM_POOL_H
#define NPP_SHM_POOL_H

#include <stdint.h>

struct npp_pool {
	uint32_t *next;		/* caller's array of COUNT words */
	uint32_t count;
	uint32_t head;		/* NPP_POOL_NONE: empty */
	uint32_t free;
};
#define NPP_POOL_NONE 0xffffffffu

/* All COUNT indexes free, 0 on top. */
void npp_pool_init(struct npp_pool *p, uint32_t *next, uint32_t count);
/* Empty pool over the same array, for a rebuild by npp_pool_put(). */
void npp_pool_init_empty(struct npp_pool *p, uint32_t *next, uint32_t count);
uint32_t npp_pool_get(struct npp_pool *p);	/* index, or NPP_POOL_NONE */
void npp_pool_put(struct npp_pool *p, uint32_t index);

#endif
