/* SPDX-License-Identifier: GPL-2.0-or-later
 * find.c - the labs there are, which of them is meant, and what is in one
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/lab.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Directories of RUNDIR with a lab.json. */
char **lab_list(void)
{
	char **names = calloc(1, sizeof *names), **more, path[LAB_PATH_CAP];
	struct dirent *d;
	size_t n = 0;
	DIR *dp;

	dp = opendir(lab_rundir());
	while (names && dp && (d = readdir(dp))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%.40s/" LAB_STATE_FILE, lab_rundir(), d->d_name);
		if (strlen(d->d_name) > TOPO_LAB_LEN || access(path, F_OK) < 0)
			continue;
		more = realloc(names, (n + 2) * sizeof *names);
		if (!more)
			break;
		names = more;
		names[n] = strdup(d->d_name);
		if (!names[n])
			break;
		names[++n] = NULL;
	}
	if (dp)
		closedir(dp);
	if (names)
		qsort(names, n, sizeof *names, by_name);
	return names;
}

void lab_list_free(char **names)
{
	size_t i;

	for (i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}

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

const char *lab_maker(char *text, size_t cap)
{
	const char *sudo = getenv("SUDO_UID");
	pid_t sid = getsid(0);

	/* sudo may give each command a session of its own. */
	if (sudo && *sudo)
		snprintf(text, cap, "user %.20s", sudo);
	else
		snprintf(text, cap, "session %d of %" PRIu64, (int)sid, npp_proc_start_time(sid));
	return text;
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

struct lab_proc *lab_find_proc(struct lab *l, const char *node)
{
	uint32_t i;

	for (i = 0; i < l->n_procs; i++)
		if (strcmp(l->procs[i].node, node) == 0)
			return &l->procs[i];
	return NULL;
}
