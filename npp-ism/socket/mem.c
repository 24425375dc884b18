/* SPDX-License-Identifier: GPL-2.0-or-later
 * mem.c - buddy allocator over lent host memory
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "npp-ism/socket/mem.h"

#define ID(c, p) ((uint32_t)(c) * ISM_CHUNK_PAGES + (p))
#define CHUNK(id) ((id) / ISM_CHUNK_PAGES)
#define PAGE(id) ((id) % ISM_CHUNK_PAGES)

void ism_mem_init(struct ism_heap *hp)
{
	hp->lent = hp->free = 0;
	for (unsigned o = 0; o < ISM_ORDERS; o++)
		hp->head[o] = ISM_BLK_NONE;
}

static void list_push(struct ism_chunk *ch, struct ism_heap *hp, uint32_t id, unsigned order)
{
	struct ism_chunk *c = &ch[CHUNK(id)];
	uint32_t head = hp->head[order];

	c->page[PAGE(id)] = (uint8_t)(ISM_PG_FREE + order);
	c->next[PAGE(id)] = head;
	c->prev[PAGE(id)] = ISM_BLK_NONE;
	if (head != ISM_BLK_NONE)
		ch[CHUNK(head)].prev[PAGE(head)] = id;
	hp->head[order] = id;
}

static void list_remove(struct ism_chunk *ch, struct ism_heap *hp, uint32_t id, unsigned order)
{
	struct ism_chunk *c = &ch[CHUNK(id)];
	uint32_t next = c->next[PAGE(id)], prev = c->prev[PAGE(id)];

	if (prev == ISM_BLK_NONE)
		hp->head[order] = next;
	else
		ch[CHUNK(prev)].next[PAGE(prev)] = next;
	if (next != ISM_BLK_NONE)
		ch[CHUNK(next)].prev[PAGE(next)] = prev;
	c->page[PAGE(id)] = ISM_PG_NONE;
}

/* Gives a block to the free lists, joined with its buddies. */
static void release(struct ism_chunk *ch, struct ism_heap *hp, uint32_t id, unsigned order)
{
	struct ism_chunk *c = &ch[CHUNK(id)];
	uint32_t page = PAGE(id);

	while (order + 1 < ISM_ORDERS) {
		uint32_t buddy = page ^ (1u << order);

		if (buddy < c->first || buddy >= c->end || c->page[buddy] != ISM_PG_FREE + order)
			break;
		list_remove(ch, hp, ID(CHUNK(id), buddy), order);
		page &= ~(1u << order);
		order++;
	}
	list_push(ch, hp, ID(CHUNK(id), page), order);
}

/* Frees pages [FIRST, END) of a chunk in the largest aligned blocks. */
static void release_range(struct ism_chunk *ch, struct ism_heap *hp, uint32_t chunk, uint32_t first,
			  uint32_t end)
{
	while (first < end) {
		unsigned order = 0;

		while (order + 1 < ISM_ORDERS && first % (2u << order) == 0 && first + (2u << order) <= end)
			order++;
		release(ch, hp, ID(chunk, first), order);
		hp->free += (uint64_t)ISM_PAGE << order;
		first += 1u << order;
	}
}

/* Does [A, B) touch a chunk of H? 2: it lies in what is known, 1: partly, 0: not. */
static int known(const struct ism_chunk *ch, unsigned h, uint64_t a, uint64_t b)
{
	int touch = 0;

	for (unsigned i = 0; i < ISM_CHUNKS; i++) {
		uint64_t ca, cb;

		if (ch[i].host != h + 1)
			continue;
		ca = ch[i].off + (uint64_t)ch[i].first * ISM_PAGE;
		cb = ch[i].off + (uint64_t)ch[i].end * ISM_PAGE;
		if (ca <= a && b <= cb)
			return 2;
		if (ca < b && a < cb)
			touch = 1;
	}
	return touch;
}

static struct ism_chunk *chunk_new(struct ism_chunk *ch)
{
	for (unsigned i = 0; i < ISM_CHUNKS; i++)
		if (!ch[i].host)
			return &ch[i];
	return NULL;
}

/* Of the extents so large that no chunk was left for a part of them nothing is taken. */
static unsigned chunks_free(const struct ism_chunk *ch)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ISM_CHUNKS; i++)
		n += !ch[i].host;
	return n;
}

int ism_mem_add(struct ism_chunk *ch, struct ism_heap *hp, unsigned h, uint64_t off, uint64_t len)
{
	uint64_t end = off + len, a = off, b;
	unsigned pieces = 0;
	int touched = 0;

	if (len == 0 || off % ISM_PAGE || len % ISM_PAGE || end < off)
		return -EINVAL;
	for (; a < end; a = b) { /* first look at all pieces, then take them */
		b = (a / ISM_CHUNK_BYTES + 1) * ISM_CHUNK_BYTES;
		b = b < end ? b : end;
		touched |= 1 << known(ch, h, a, b);
		pieces++;
	}
	if (touched == 4)
		return -EEXIST;
	if (touched != 1)
		return -EINVAL;
	if (pieces > chunks_free(ch))
		return -ENOSPC;
	for (a = off; a < end; a = b) {
		struct ism_chunk *c = chunk_new(ch);

		b = (a / ISM_CHUNK_BYTES + 1) * ISM_CHUNK_BYTES;
		b = b < end ? b : end;
		c->off = a / ISM_CHUNK_BYTES * ISM_CHUNK_BYTES;
		c->first = (uint16_t)((a - c->off) / ISM_PAGE);
		c->end = (uint16_t)((b - c->off) / ISM_PAGE);
		memset(c->page, ISM_PG_NONE, sizeof c->page);
		c->host = (uint8_t)(h + 1);
		c->ext_off = off;
		c->ext_len = len;
		hp->lent += b - a;
		release_range(ch, hp, (uint32_t)(c - ch), c->first, c->end);
	}
	return 0;
}

uint32_t ism_mem_get(struct ism_chunk *ch, struct ism_heap *hp, unsigned order)
{
	unsigned o = order;
	uint32_t id;

	while (o < ISM_ORDERS && hp->head[o] == ISM_BLK_NONE)
		o++;
	if (o >= ISM_ORDERS)
		return ISM_BLK_NONE;
	id = hp->head[o];
	list_remove(ch, hp, id, o);
	while (o > order) { /* keep the lower half */
		o--;
		list_push(ch, hp, id + (1u << o), o);
	}
	ch[CHUNK(id)].page[PAGE(id)] = (uint8_t)(ISM_PG_USED + order);
	hp->free -= (uint64_t)ISM_PAGE << order;
	return id;
}

bool ism_mem_put(struct ism_chunk *ch, struct ism_heap *hp, uint32_t blk, unsigned order)
{
	if (CHUNK(blk) >= ISM_CHUNKS || ch[CHUNK(blk)].page[PAGE(blk)] != ISM_PG_USED + order)
		return false;
	ch[CHUNK(blk)].page[PAGE(blk)] = ISM_PG_NONE;
	hp->free += (uint64_t)ISM_PAGE << order;
	release(ch, hp, blk, order);
	return true;
}

/* Bytes of chunk C that stand on free lists, if that is all of it; else 0. */
static uint64_t wholly_free(const struct ism_chunk *c)
{
	for (uint32_t p = c->first; p < c->end;) {
		if ((c->page[p] & (ISM_PG_FREE | ISM_PG_USED)) != ISM_PG_FREE)
			return 0;
		p += 1u << (c->page[p] - ISM_PG_FREE);
	}
	return (uint64_t)(c->end - c->first) * ISM_PAGE;
}

static void chunk_withdraw(struct ism_chunk *ch, struct ism_heap *hp, uint32_t chunk)
{
	struct ism_chunk *c = &ch[chunk];
	uint64_t bytes = (uint64_t)(c->end - c->first) * ISM_PAGE;

	for (uint32_t p = c->first; p < c->end;) {
		unsigned order = c->page[p] - ISM_PG_FREE;

		list_remove(ch, hp, ID(chunk, p), order);
		p += 1u << order;
	}
	c->host = 0;
	hp->free -= bytes;
	hp->lent -= bytes;
}

bool ism_mem_reclaim(struct ism_chunk *ch, struct ism_heap *hp, unsigned h, uint64_t *off, uint64_t *len)
{
	for (unsigned i = 0; i < ISM_CHUNKS; i++) {
		uint64_t free_bytes = 0;

		if (ch[i].host != h + 1)
			continue;
		for (unsigned k = 0; k < ISM_CHUNKS; k++)
			if (ch[k].host == h + 1 && ch[k].ext_off == ch[i].ext_off)
				free_bytes += wholly_free(&ch[k]);
		if (free_bytes != ch[i].ext_len)
			continue;
		*off = ch[i].ext_off;
		*len = ch[i].ext_len;
		for (unsigned k = 0; k < ISM_CHUNKS; k++)
			if (ch[k].host == h + 1 && ch[k].ext_off == *off)
				chunk_withdraw(ch, hp, k);
		return true;
	}
	return false;
}

void ism_mem_drop(struct ism_chunk *ch, struct ism_heap *hp, unsigned h)
{
	for (unsigned i = 0; i < ISM_CHUNKS; i++)
		if (ch[i].host == h + 1)
			ch[i].host = 0;
	ism_mem_init(hp);
}

void ism_mem_begin_rebuild(struct ism_chunk *ch, struct ism_heap *hp, unsigned h)
{
	ism_mem_init(hp);
	for (unsigned i = 0; i < ISM_CHUNKS; i++) {
		if (ch[i].host != h + 1)
			continue;
		memset(ch[i].page, ISM_PG_NONE, sizeof ch[i].page);
		hp->lent += (uint64_t)(ch[i].end - ch[i].first) * ISM_PAGE;
	}
}

bool ism_mem_mark(struct ism_chunk *ch, struct ism_heap *hp, unsigned h, uint32_t blk, unsigned order)
{
	struct ism_chunk *c;
	uint32_t page = PAGE(blk);

	(void)hp;
	if (CHUNK(blk) >= ISM_CHUNKS || order >= ISM_ORDERS)
		return false;
	c = &ch[CHUNK(blk)];
	if (c->host != h + 1 || page % (1u << order) || page < c->first || page + (1u << order) > c->end)
		return false;
	for (uint32_t p = page; p < page + (1u << order); p++)
		if (c->page[p] != ISM_PG_NONE)
			return false;
	memset(&c->page[page], 0xff, 1u << order); /* taken, for the look above */
	c->page[page] = (uint8_t)(ISM_PG_USED + order);
	return true;
}

void ism_mem_end_rebuild(struct ism_chunk *ch, struct ism_heap *hp, unsigned h)
{
	for (unsigned i = 0; i < ISM_CHUNKS; i++) {
		struct ism_chunk *c = &ch[i];
		uint32_t p = c->first, from;

		if (c->host != h + 1)
			continue;
		while (p < c->end) {
			from = p;
			while (p < c->end && c->page[p] == ISM_PG_NONE)
				p++;
			if (p > from)
				release_range(ch, hp, i, from, p);
			if (p < c->end) {
				unsigned order = c->page[p] - ISM_PG_USED;

				memset(&c->page[p + 1], ISM_PG_NONE, (1u << order) - 1);
				p += 1u << order;
			}
		}
	}
}
