/* SPDX-License-Identifier: GPL-2.0-or-later
 * queue.c - buffers of a wire: two sizes, last in first out, touched only when used
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "harness/wire/wire.h"

#define N_SMALL 65536u
#define N_BIG 2048u

static int pool_init(struct wire_pool *p, uint32_t size, uint32_t n)
{
	uint32_t i;

	p->size = size;
	p->total = p->n_free = n;
	p->area = mmap(NULL, (size_t)size * n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->area == MAP_FAILED) {
		p->area = NULL;
		return -ENOMEM;
	}
	p->free = malloc(n * sizeof *p->free);
	if (!p->free)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		p->free[i] = n - 1 - i;
	return 0;
}

static void pool_free(struct wire_pool *p)
{
	if (p->area)
		munmap(p->area, (size_t)p->size * p->total);
	free(p->free);
	memset(p, 0, sizeof *p);
}

int wire_init(struct wire *w, uint64_t seed)
{
	unsigned d;

	memset(w, 0, sizeof *w);
	w->seed = seed;
	wire_conf_init(w->conf);
	for (d = 0; d < WIRE_DIRS; d++) {
		w->dir[d].fifo = calloc(WIRE_FIFO, sizeof *w->dir[d].fifo);
		if (!w->dir[d].fifo)
			goto fail;
	}
	if (pool_init(&w->small, WIRE_SMALL, N_SMALL) == 0 && pool_init(&w->big, WIRE_BIG, N_BIG) == 0)
		return 0;
fail:
	wire_free(w);
	return -ENOMEM;
}

void wire_free(struct wire *w)
{
	unsigned d;

	for (d = 0; d < WIRE_DIRS; d++)
		free(w->dir[d].fifo);
	pool_free(&w->small);
	pool_free(&w->big);
	memset(w, 0, sizeof *w);
}

struct wire_frame *wire_get(struct wire *w, uint32_t len)
{
	struct wire_pool *p = len + sizeof(struct wire_frame) <= WIRE_SMALL ? &w->small : &w->big;
	struct wire_frame *f;
	union { uint8_t *b; void *v; } at;

	if (p->n_free == 0 || len + sizeof(struct wire_frame) > p->size)
		return NULL;
	at.b = p->area + (size_t)p->size * p->free[--p->n_free];
	f = at.v;
	f->cap = p->size - (uint32_t)sizeof *f;
	f->len = 0;
	memset(&f->vh, 0, sizeof f->vh);
	return f;
}

void wire_put(struct wire *w, struct wire_frame *f)
{
	union { struct wire_frame *f; uint8_t *b; } at = { .f = f };
	struct wire_pool *p;

	if (!f)
		return;
	p = at.b >= w->small.area && at.b < w->small.area + (size_t)w->small.size * w->small.total ? &w->small : &w->big;
	p->free[p->n_free++] = (uint32_t)((size_t)(at.b - p->area) / p->size);
}
