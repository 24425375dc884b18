/* SPDX-License-Identifier: GPL-2.0-or-later
 * find.c - which lab is meant, and what is in it
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "harness/lab.h"

int lab_pick(const char *name, char *out, size_t cap, struct npp_err *e)
{
	char **names, text[160] = "";
	int r = 0;
	size_t i;

	if (name) {
		if (!npp_conf_name_ok(name, 1, TOPO_LAB_LEN))
			return npp_err_set(e, -EINVAL, "'%s' is no name for a lab", name);
		snprintf(out, cap, "%s", name);
		return 0;
	}
	names = lab_list();
	if (!names || !names[0]) {
		r = npp_err_set(e, -ENOENT, "no lab is up");
	} else if (names[1]) {
		for (i = 0; names[i]; i++)
			snprintf(text + strlen(text), sizeof text - strlen(text), " %s", names[i]);
		r = npp_err_set(e, -ENOTUNIQ, "several labs are up, name one:%s", text);
	} else {
		snprintf(out, cap, "%s", names[0]);
	}
	lab_list_free(names);
	return r;
}

int lab_pick_own(const char *name, char *out, size_t cap, struct npp_err *e)
{
	struct lab l = { .lock = -1 };
	char who[LAB_MAKER_CAP];
	int r = lab_pick(name, out, cap, e);

	if (r < 0 || name)
		return r;
	r = lab_load(&l, out, NULL);
	if (r < 0)
		r = npp_err_set(e, -EPERM, "lab '%s' is left half made, or its lab.json makes no sense: name it", out);
	else if (strcmp(l.maker, lab_maker(who, sizeof who)) != 0)
		r = npp_err_set(e, -EPERM, "lab '%s' (%s) was made in another session: name it", out, l.file);
	lab_free(&l);
	return r;
}

struct lab_node *lab_find_node(struct lab *l, const char *name)
{
	uint32_t i;

	for (i = 0; i < l->n_nodes; i++)
		if (strcmp(l->nodes[i].name, name) == 0)
			return &l->nodes[i];
	return NULL;
}

struct lab_proc *lab_find_proc(const struct lab *l, const char *name)
{
	uint32_t i;

	for (i = 0; i < l->n_procs; i++)
		if (strcmp(l->procs[i].node, name) == 0)
			return &l->procs[i];
	return NULL;
}

struct lab_proc *lab_node_proc(const struct lab *l, const struct lab_node *n)
{
	struct lab_proc *p = lab_find_proc(l, n->name);
	char name[LAB_WIRE_CAP];

	if (!p && strcmp(n->kind, "wire") == 0)
		return lab_find_proc(l, wire_name(n, "", name));
	snprintf(name, sizeof name, "bird.%s", n->name);
	return p ? p : lab_find_proc(l, name);
}
