/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo_wire.c - the key `wire`: of a node's link, or of a node that is a wire
 *
 * A map of settings (npp-wire(1)), of which `up` (from the node; of a wire: from its
 * first network) and `down` (the other way) may be maps of their own; `yes` or nothing: a wire that does nothing yet. It is kept as
 * the words of npp-wire's command line, each checked here.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "harness/topo.h"
#include "harness/wire/wire.h"

struct words { char text[1024]; size_t len; };

static void add_setting(struct topo *t, struct wire_conf *c, const char *prefix, const struct npp_conf_node *v,
			struct words *w)
{
	struct npp_err e = { "" };
	char key[64];

	if (v->kind != NPP_CONF_SCALAR) {
		npp_conf_error(t->conf, v, "expected a value");
		return;
	}
	snprintf(key, sizeof key, "%s%.40s", prefix, v->key);
	if (wire_conf_set(c, key, v->text, &e) < 0 || strpbrk(v->text, " \t\n")) {
		npp_conf_error(t->conf, v, "%s", e.text[0] ? e.text : "a setting has no blanks");
		return;
	}
	if (w->len < sizeof w->text)
		w->len += (size_t)snprintf(w->text + w->len, sizeof w->text - w->len, "%s%s=%s", w->len ? " " : "", key,
					   v->text);
}

static void add_direction(struct topo *t, struct wire_conf *c, const char *prefix, const struct npp_conf_node *v,
			  struct words *w)
{
	const struct npp_conf_node *k;

	if (v->kind != NPP_CONF_MAP_NODE) {
		npp_conf_error(t->conf, v, "expected a map of settings of one direction");
		return;
	}
	for (k = v->first; k; k = k->next)
		add_setting(t, c, prefix, k, w);
}

const char *topo_load_wire(struct topo *t, const struct npp_conf_node *v)
{
	struct wire_conf c[WIRE_DIRS];
	struct words w = { .len = 0 };
	const struct npp_conf_node *k;
	const char *words;
	bool on = true;

	if (v->kind == NPP_CONF_SCALAR && !npp_conf_is_null(v) && npp_conf_parse_bool(v->text, &on) < 0) {
		npp_conf_error(t->conf, v, "expected a map of settings (delay: 40ms), yes or no");
		return NULL;
	}
	if (v->kind == NPP_CONF_LIST_NODE) {
		npp_conf_error(t->conf, v, "expected a map of settings");
		return NULL;
	}
	if (!on)
		return NULL;
	wire_conf_init(c);
	for (k = v->kind == NPP_CONF_MAP_NODE ? v->first : NULL; k; k = k->next) {
		if (strcmp(k->key, "up") == 0)
			add_direction(t, c, "up.", k, &w);
		else if (strcmp(k->key, "down") == 0)
			add_direction(t, c, "down.", k, &w);
		else
			add_setting(t, c, "", k, &w);
	}
	if (w.len >= sizeof w.text)
		npp_conf_error(t->conf, v, "too many settings");
	words = npp_conf_strdup(t->conf, w.text);
	if (!words)
		npp_conf_error(t->conf, v, "out of memory");
	return words;
}
