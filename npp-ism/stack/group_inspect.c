/* SPDX-License-Identifier: GPL-2.0-or-later
 * group_inspect.c - the groups of a stack's arena, read from outside while it runs (see inspect.c)
 */
#include "config.h"

#include "npp-ism/stack/group.h"
#include "npp-ism/stack/ip_priv.h"

bool stack_inspect_group(const void *arena, size_t size, uint32_t *cursor, struct stack_group_info *out)
{
	const struct stack *s = arena;
	const struct mc_state *mc;
	uint64_t off;

	if (size < sizeof *s || s->layout_hash != stack_layout_hash() || s->size > size)
		return false;
	off = *(const volatile uint64_t *)&s->ip_off; /* what is checked is what is used */
	if (off > size || size - off < sizeof(struct ip_state) || off % _Alignof(struct ip_state))
		return false;
	mc = &((const struct ip_state *)((const char *)arena + off))->mc;
	for (; *cursor < MC_GROUPS; ++*cursor) {
		const struct mc_group *g = &mc->group[*cursor];
		unsigned n;

		if (!g->used || !mc_joined(g))
			continue;
		n = *(const volatile __typeof__(g->now.n) *)&g->now.n;
		*out = (struct stack_group_info){ .group = g->addr, .own = g->own, .exclude = g->now.exclude,
				.n_sources = (uint8_t)(n <= MC_SOURCES ? n : MC_SOURCES), .members = g->members,
				.hosts = g->hosts, .due = g->due };
		memcpy(out->source, g->now.src, sizeof out->source);
		++*cursor;
		return true;
	}
	return false;
}
