/* SPDX-License-Identifier: GPL-2.0-or-later
 * mem.h - buddy allocator over the host memory that an OSM has lent to this ISM
 *
 * Its books stand in the ISM's private region; not a byte of the lent memory is read or
 * written here. Memory comes in extents, which are cut at multiples of 4 MB of host
 * offset into chunks. A block is 4 KB << order at an offset that is a multiple of its
 * size, and never leaves its chunk. It is named by chunk number * 1024 + page.
 */
#ifndef NPP_ISM_SOCKET_MEM_H
#define NPP_ISM_SOCKET_MEM_H

#include <stdbool.h>
#include <stdint.h>

#define ISM_PAGE 4096u
#define ISM_ORDERS 11u			/* 4 KB .. 4 MB */
#define ISM_CHUNK_PAGES 1024u
#define ISM_CHUNK_BYTES (ISM_PAGE * ISM_CHUNK_PAGES)
#define ISM_CHUNKS 256u			/* of all hosts together: 1 GB */
#define ISM_BLK_NONE 0xffffffffu

struct ism_chunk {
	uint64_t off;		/* host offset of page 0, a multiple of 4 MB */
	uint16_t first, end;	/* pages of it that were lent */
	uint8_t host;		/* host number + 1; 0: unused */
	uint8_t pad[3];
	uint64_t ext_off, ext_len;	/* the extent that it was cut from */
	uint8_t page[ISM_CHUNK_PAGES];	/* ISM_PG_* of the block that starts here */
	uint32_t next[ISM_CHUNK_PAGES], prev[ISM_CHUNK_PAGES];	/* free lists */
};
#define ISM_PG_NONE 0u		/* no block starts here */
#define ISM_PG_FREE 0x40u	/* + order */
#define ISM_PG_USED 0x80u	/* + order */

struct ism_heap {	/* of one host */
	uint64_t lent, free;	/* bytes */
	uint32_t head[ISM_ORDERS];
};

void ism_mem_init(struct ism_heap *hp);
/* Takes in the extent [OFF, OFF + LEN) of host H. 0; -EEXIST: known already; -EINVAL: not whole
 * pages, or overlaps what is known; -ENOSPC: no chunk left. */
int ism_mem_add(struct ism_chunk *ch, struct ism_heap *hp, unsigned h, uint64_t off, uint64_t len);
uint32_t ism_mem_get(struct ism_chunk *ch, struct ism_heap *hp, unsigned order);
/* False: BLK is not a block of that order in use (nothing is done). */
bool ism_mem_put(struct ism_chunk *ch, struct ism_heap *hp, uint32_t blk, unsigned order);
/* Finds an extent of H that is wholly free and takes it out of use: its place in *OFF and *LEN. */
bool ism_mem_reclaim(struct ism_chunk *ch, struct ism_heap *hp, unsigned h, uint64_t *off, uint64_t *len);
/* Forgets all memory of host H. */
void ism_mem_drop(struct ism_chunk *ch, struct ism_heap *hp, unsigned h);
/* Rebuild: all pages of H are free; then mark what is used. */
void ism_mem_begin_rebuild(struct ism_chunk *ch, struct ism_heap *hp, unsigned h);
bool ism_mem_mark(struct ism_chunk *ch, struct ism_heap *hp, unsigned h, uint32_t blk, unsigned order);
void ism_mem_end_rebuild(struct ism_chunk *ch, struct ism_heap *hp, unsigned h);

static inline uint64_t ism_mem_off(const struct ism_chunk *ch, uint32_t blk)
{
	return ch[blk / ISM_CHUNK_PAGES].off + (uint64_t)(blk % ISM_CHUNK_PAGES) * ISM_PAGE;
}

#endif
