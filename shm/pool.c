/* SPDX-License-Identifier: GPL-2.0-or-later
 * pool.c - LIFO pool of indexes
 */
#include "config.h"

#include "shm/pool.h"

void npp_pool_init_empty(struct npp_pool *p, uint32_t *next, uint32_t count)
{
	*p = (struct npp_pool){ .next = next, .count = count, .head = NPP_POOL_NONE, .free = 0 };
}

void npp_pool_init(struct npp_pool *p, uint32_t *next, uint32_t count)
{
	npp_pool_init_empty(p, next, count);
	for (uint32_t i = count; i > 0; i--)
		npp_pool_put(p, i - 1);
}

uint32_t npp_pool_get(struct npp_pool *p)
{
	uint32_t i = p->head;

	if (i == NPP_POOL_NONE)
		return i;
	p->head = p->next[i];
	p->free--;
	return i;
}

void npp_pool_put(struct npp_pool *p, uint32_t index)
{
	if (index >= p->count || p->free >= p->count)
		return; /* not one of ours, or more puts than gets: keep the list whole */
	p->next[index] = p->head;
	p->head = index;
	p->free++;
}
