/* SPDX-License-Identifier: GPL-2.0-or-later
 * groups.c - npp groups: which multicast groups the sockets of an NPP have joined
 *
 * All IOPs know the same; what they agree on is one line.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "npp-ism/socket/layout.h"
#include "npp/npp.h"
#include "npp/walk.h"

struct group { char npp[100], hosts[128]; struct stack_group_info i; uint32_t iops, n_iops; };
struct groups_out { struct group *list; size_t n, cap; };

static struct group *group_of(struct groups_out *o, const struct iop_view *v, const struct stack_group_info *i)
{
	struct group *g;

	for (size_t k = 0; k < o->n; k++)
		if (strcmp(o->list[k].npp, v->npp->label) == 0 && npp_addr_eq(&o->list[k].i.group, &i->group))
			return &o->list[k];
	o->list = walk_room(o->list, o->n, &o->cap, sizeof *o->list);
	g = &o->list[o->n++];
	*g = (struct group){ .i = *i, .n_iops = v->npp->st.n_iops };
	snprintf(g->npp, sizeof g->npp, "%.99s", v->npp->label);
	return g;
}

static void groups_of(const struct iop_view *v, void *arg)
{
	struct stack_group_info i;
	uint32_t cursor = 0;

	while (stack_inspect_group(v->arena, v->size, &cursor, &i)) {
		struct group *g;
		size_t len = 0;

		if (v->host != ANY_HOST && !(i.hosts >> v->host & 1))
			continue;
		g = group_of(arg, v, &i);
		g->iops |= 1u << v->iop;
		for (unsigned h = 0; h < NPP_MAX_HOSTS && len < sizeof g->hosts; h++)
			if (i.hosts >> h & 1)
				len += (size_t)snprintf(g->hosts + len, sizeof g->hosts - len, "%s%s", len ? " " : "",
							walk_host_name(v->npp, h));
	}
}

static void groups_json(void *arg)
{
	const struct groups_out *o = arg;
	char text[NPP_ADDR_STRLEN];

	fputs("{\"groups\": [", stdout);
	for (size_t k = 0; k < o->n; k++) {
		const struct group *g = &o->list[k];

		printf("%s\n {\"npp\": ", k ? "," : "");
		npp_json_string(stdout, g->npp);
		fputs(", \"hosts\": ", stdout);
		npp_json_string(stdout, g->hosts);
		printf(", \"group\": \"%s\", \"members\": %u, \"own\": %s, \"exclude\": %s, \"iops\": %u, \"sources\": [",
		       npp_addr_format(&g->i.group, text), g->i.members, g->i.own ? "true" : "false",
		       g->i.exclude ? "true" : "false", (unsigned)__builtin_popcount(g->iops));
		for (unsigned i = 0; i < g->i.n_sources; i++)
			printf("%s\"%s\"", i ? ", " : "", npp_addr_format(&g->i.source[i], text));
		fputs("]}", stdout);
	}
	puts("\n]}");
}

static void groups_text(void *arg)
{
	const struct groups_out *o = arg;
	static const char *const head[] = { "NPP", "GROUP", "SOCKETS", "OF HOSTS", "SOURCES", "IOPS" };
	char text[NPP_ADDR_STRLEN];
	struct table t;

	table_init(&t, 6, 1 | 2 | 8 | 16);
	for (unsigned i = 0; i < 6; i++)
		table_cell(&t, "%s", head[i]);
	for (size_t k = 0; k < o->n; k++) {
		const struct group *g = &o->list[k];

		table_cell(&t, "%.60s", g->npp);
		table_cell(&t, "%s", npp_addr_format(&g->i.group, text));
		table_cell(&t, "%u", g->i.members);
		table_cell(&t, "%.60s", g->i.own && !g->hosts[0] ? "(our addresses)" : g->hosts);
		if (!g->i.n_sources)
			table_cell(&t, "all");
		else
			table_cell(&t, "%s%s%s", g->i.exclude ? "not " : "", npp_addr_format(&g->i.source[0], text),
				   g->i.n_sources > 1 ? " ..." : "");
		table_cell(&t, "%d of %u", __builtin_popcount(g->iops), g->n_iops);
	}
	table_print(&t, "");
}

int verb_groups(int argc, char **argv)
{
	static const struct walk_shape shape = { groups_of, NULL, groups_json, groups_text };
	struct groups_out out = { .list = NULL };
	int r = walk_show(argc, argv, &shape, &out);

	free(out.list);
	return r;
}
