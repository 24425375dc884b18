/* SPDX-License-Identifier: GPL-2.0-or-later
 * words.h - operations of eight bytes, and how such a one spoils a word of shared memory
 *
 * Some of the values are what such a word might well be: numbers near the one that stands there, offsets at
 * the end of the memory or in its heap, small numbers.
 */
#ifndef NPP_TESTS_WORDS_H
#define NPP_TESTS_WORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct op { uint8_t op, a, b, c; uint32_t v; };

struct words {
	uint64_t size, heap;	/* of the memory, and where its heap begins */
	bool owners;		/* the names of ISMs are worth a try, too */
};

static inline uint32_t hurt(const struct words *w, const struct op *o, uint32_t old)
{
	switch (o->c % (w->owners ? 11 : 10)) {
	case 0: return 0;
	case 1: return 0xffffffff;
	case 2: return 1u << o->v % 32;
	case 3: return old ^ 1u << o->v % 32;
	case 4: return old + o->v % 129 - 64;
	case 5: return (uint32_t)(w->size - o->v % 8192);
	case 6: return (uint32_t)((w->size - o->v % 65536) / 64);
	case 7: return (uint32_t)(w->heap / 64 + o->v % 4096);
	case 8: return o->v % 4096;
	case 9: return w->owners ? 0x10000 + o->v % 80 : o->v;
	default: return o->v;
	}
}

/* One word of the LEN bytes at AT. */
static inline void spoil(const struct words *w, const struct op *o, void *at, uint32_t len)
{
	uint8_t *p = (uint8_t *)at + (((uint32_t)o->b | (o->v >> 16 & 0xff00u)) * 4 % len);
	uint32_t v;

	memcpy(&v, p, sizeof v);
	v = hurt(w, o, v);
	memcpy(p, &v, sizeof v);
}

#endif
