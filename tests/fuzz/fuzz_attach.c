/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_attach.c - a successor on an arena in which words have changed
 * options: -detect_leaks=0
 * links with: tests/fuzz/scene.c tests/unit/stack/ip_rig.c
 *
 * A stack with listeners, connections, half-open ones, fragments and waiting frames dies;
 * words of its arena are not what they were. stack_attach() either refuses it or makes sense of
 * it: it touches nothing outside, ends, and what it accepts it accepts again.
 *
 * The rings hang on the arena alone, so leaks mean nothing here.
 * Input: changes of 8 bytes each: where (3 bytes, of 4), how (1 byte), what (4 bytes).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npp-ism/stack/udp_priv.h"
#include "tests/fuzz/replay.h"
#include "tests/fuzz/scene.h"

/* The rings hang only on connections in the arena, and the arena is spoilt: what is lost by that is
 * no leak of the stack's. LeakSanitizer asks this function, if there is one. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

#define CHANGES_MAX 256

static uint32_t live[1 << 20], n_live;	/* words that are not 0 */

static void find_live(const uint8_t *arena, size_t size)
{
	for (size_t at = 0; at + 4 <= size && n_live < sizeof live / sizeof live[0]; at += 4) {
		uint32_t w;

		memcpy(&w, arena + at, 4);
		if (w)
			live[n_live++] = (uint32_t)at;
	}
}

/* S: as it was, for where the parts begin. Mostly a word that is in use. */
static uint32_t *word_at(uint8_t *arena, const struct stack *s, uint32_t where)
{
	size_t part[4] = { 0, s->ip_off, s->udp_off, s->tcp_off }, off;
	size_t sizes[4] = { sizeof *s, s->udp_off - s->ip_off, s->tcp_off - s->udp_off, s->size - s->tcp_off };
	unsigned which = where >> 22 & 3;

	if (which < 3)
		return (uint32_t *)(void *)(arena + live[where % n_live]);
	which = where & 3;
	off = (size_t)(where & 0x3fffff) * 4 % sizes[which];
	return (uint32_t *)(void *)(arena + part[which] + (off & ~(size_t)3));
}

static void change(uint32_t *w, unsigned how, uint32_t what)
{
	switch (how % 6) {
	case 0: *w = what; break;
	case 1: *w ^= 1u << what % 32; break;
	case 2: *w += what % 17 - 8; break;
	case 3: *w = 0xffffffff; break;
	case 4: *w = 0; break;
	default: *w = what % 64; break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rig *r;
	static uint8_t *pristine;
	struct rig_node *n;
	size_t whole;

	if (!r) { /* one scene for all, its arena as it was */
		r = scene_new();
		whole = r->node[0].s->size;
		pristine = malloc(whole);
		if (!pristine)
			abort();
		memcpy(pristine, r->node[0].arena, whole);
		find_live(pristine, whole);
	}
	n = &r->node[0];
	whole = ((struct stack *)(void *)pristine)->size;
	memcpy(n->arena, pristine, whole);
	for (unsigned i = 0; i < CHANGES_MAX && size >= 8; i++, data += 8, size -= 8) {
		uint32_t where = data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16, what;

		memcpy(&what, data + 4, 4);
		change(word_at(n->arena, (struct stack *)(void *)pristine, where), data[3], what);
	}
	if (stack_attach(n->s, &n->env, r->now_us) == 0 && stack_attach(n->s, &n->env, r->now_us) != 0) {
		fprintf(stderr, "accepted once, then refused\n");
		abort();
	}
	return 0;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	uint64_t r = (i + 1) * 0x9e3779b97f4a7c15ull;
	size_t n = 8u * (1 + i * 4);

	if (i >= 32 || n > cap)
		return 0;
	for (size_t k = 0; k < n; k++) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		buf[k] = (uint8_t)(r >> 24);
	}
	return n;
}
