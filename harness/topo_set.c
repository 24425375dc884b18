/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo_set.c - overrides from the command line: --set nodes.acc1.iops=2
 *
 * The value is YAML of its own; its tree is hung into the file's tree in place of the
 * value that stands there, or as a new last member of its map. After that nobody sees a
 * difference, so an override is checked like the file.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/topo.h"

/* The tree belongs to the topology that loads it, which alone looks at it: it may change it. */
static struct npp_conf_node *writable(const struct npp_conf_node *n)
{
	union { const struct npp_conf_node *c; struct npp_conf_node *w; } u = { .c = n };

	return u.w;
}

/* Errors in an override name the line of what it replaces: it has none of its own. */
static void set_line(struct npp_conf_node *v, unsigned line)
{
	v->line = v->key_line = line;
	for (struct npp_conf_node *k = v->first; k; k = k->next)
		set_line(k, line);
}

static void hang_in(struct npp_conf_node *map, struct npp_conf_node *v)
{
	struct npp_conf_node **at;

	for (at = &map->first; *at && strcmp((*at)->key, v->key) != 0; at = &(*at)->next)
		;
	v->parent = map;
	if (*at) {
		v->index = (*at)->index;
		set_line(v, (*at)->key_line);
		v->next = (*at)->next;
	} else {
		v->index = map->count++;
		set_line(v, map->line);
		v->next = NULL;
	}
	*at = v;
	if (!v->next)
		map->last = v;
}

static int keep_override(struct topo *t, struct npp_conf *c)
{
	struct npp_conf **p = realloc(t->overrides, (t->n_overrides + 1) * sizeof *p);

	if (!p) {
		npp_conf_free(c);
		return -ENOMEM;
	}
	t->overrides = p;
	p[t->n_overrides++] = c;
	return 0;
}

int topo_set(struct topo *t, const char *assignment)
{
	const char *eq = strchr(assignment, '='), *dot, *part = assignment;
	const struct npp_conf_node *map = npp_conf_root(t->conf);
	struct npp_conf_node *v;
	struct npp_conf *c = NULL;
	char *key;
	int r;

	if (!eq || eq == assignment)
		return npp_conf_error(t->conf, NULL, "--set '%s': expected KEY.KEY=VALUE", assignment);
	while ((dot = memchr(part, '.', (size_t)(eq - part)))) {
		key = strndup(part, (size_t)(dot - part));
		map = key ? npp_conf_get(map, key) : NULL;
		free(key);
		if (!map || map->kind != NPP_CONF_MAP_NODE)
			return npp_conf_error(t->conf, NULL, "--set '%s': there is no map '%.*s'", assignment,
					      (int)(dot - assignment), assignment);
		part = dot + 1;
	}
	if (!map || map->kind != NPP_CONF_MAP_NODE || part == eq)
		return npp_conf_error(t->conf, NULL, "--set '%s': expected KEY.KEY=VALUE", assignment);
	r = npp_conf_load_text(&c, assignment, eq + 1, strlen(eq + 1));
	if (!c)
		return -ENOMEM;
	v = writable(npp_conf_root(c));
	if (r < 0 || !v) {
		npp_conf_free(c);
		return npp_conf_error(t->conf, NULL, "--set '%s': the value is no YAML", assignment);
	}
	key = npp_conf_strdup(t->conf, part);
	if (keep_override(t, c) < 0 || !key)
		return -ENOMEM;
	key[eq - part] = '\0';
	v->key = key;
	hang_in(writable(map), v);
	return 0;
}
