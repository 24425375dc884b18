/* SPDX-License-Identifier: GPL-2.0-or-later
 * roles.c - processes by what they are in a lab: npp.acc1.ism2, host.web1.osm, host.web1.nginx
 *
 * KIND.NODE.WHAT, where WHAT is nppd, dispatch, ismN or osm for processes of npp, or the
 * name of a program: of its executable, or as it stands in `start`. KIND.NODE alone is
 * everything on the node. wire.NODE.NETWORK is the npp-wire of a link, wire.NODE a node that is one.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/verbs.h"

#define ALL_MAX 4096

/* A file of /proc/PID into TEXT, ended with 0; its length. */
static size_t read_proc(pid_t pid, const char *name, char *text, size_t cap)
{
	char path[64];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	f = fopen(path, "re");
	if (f) {
		n = fread(text, 1, cap - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	return n;
}

/* The name that nppd gave to a child: "npp-ism 2 [acc1]" is ism2. */
static bool is_npp_role(pid_t pid, const char *node, const char *what)
{
	char have[256], want[96];
	const char *d = what + strcspn(what, "0123456789");

	if (*d)
		snprintf(want, sizeof want, "npp-%.*s %s [%s]", (int)(d - what), what, d, node);
	else
		snprintf(want, sizeof want, "npp-%s [%s]", what, node);
	read_proc(pid, "cmdline", have, sizeof have);
	return strcmp(have, want) == 0;
}

static bool is_program(pid_t pid, const char *name)
{
	char comm[64], *env, want[64];
	size_t n, i, len;
	bool found = false;

	read_proc(pid, "comm", comm, sizeof comm);
	comm[strcspn(comm, "\n")] = '\0';
	if (strcmp(comm, name) == 0)
		return true;
	env = malloc(65536);
	if (!env)
		return false;
	n = read_proc(pid, "environ", env, 65536);
	len = (size_t)snprintf(want, sizeof want, "NPP_LAB_PROGRAM=%s", name);
	for (i = 0; i < n && !found; i += strlen(env + i) + 1)
		found = strcmp(env + i, want) == 0;
	free(env);
	return found && len < sizeof want;
}

static bool is_own_word(const char *what)
{
	return strcmp(what, "dispatch") == 0 || strcmp(what, "osm") == 0 ||
	       (strncmp(what, "ism", 3) == 0 && isdigit((unsigned char)what[3]));
}

static int of_node(struct lab *l, struct lab_node *n, const char *what, pid_t *pids, unsigned cap)
{
	const struct lab_proc *p = lab_find_proc(l, n->name);
	pid_t all[ALL_MAX];
	ino_t ino = ns_inode(n->ns);
	unsigned found = 0, k, i;

	if (what && strcmp(what, "nppd") == 0) {
		if (!p || !proc_alive(p))
			return 0;
		pids[0] = (pid_t)p->pid;
		return 1;
	}
	k = ino ? proc_in_ns(&ino, 1, all, ALL_MAX) : 0;
	for (i = 0; i < k && found < cap; i++)
		if (!what || (is_own_word(what) ? is_npp_role(all[i], n->name, what) : is_program(all[i], what)))
			pids[found++] = all[i];
	return (int)found;
}

static int of_wire(struct lab *l, const char *role, pid_t *pids, struct npp_err *e)
{
	const struct lab_proc *p = lab_find_proc(l, role);

	if (!p || !proc_alive(p))
		return npp_err_set(e, -ESRCH, p ? "'%s' is dead" : "lab has no '%s'", role);
	pids[0] = (pid_t)p->pid;
	return 1;
}

/* The node of "KIND.NODE" or "KIND.NODE.WHAT": names may hold dots, so all are tried. */
static struct lab_node *split(struct lab *l, const char *role, const char **what)
{
	for (uint32_t i = 0; i < l->n_nodes; i++) {
		char head[64];
		int len = snprintf(head, sizeof head, "%s.%s", l->nodes[i].kind, l->nodes[i].name);

		if (strncmp(role, head, (size_t)len) == 0 && (role[len] == '\0' || role[len] == '.')) {
			*what = role[len] ? role + len + 1 : NULL;
			return &l->nodes[i];
		}
	}
	return NULL;
}

static int no_role(const char *role, struct npp_err *e)
{
	return npp_err_set(e, -ENOENT, "'%s' is no role: expected KIND.NODE.WHAT, as npp.acc1.ism0, npp.acc1.dispatch, "
			   "host.web1.osm, host.web1.nginx, wire.c1.lan", role);
}

/* Is WHAT, of ROLE, something that a node like N can have? Programs of hosts have any name. */
static int word_check(const struct lab_node *n, const char *role, const char *what, struct npp_err *e)
{
	bool npp = strcmp(n->kind, "npp") == 0, on_npps = strcmp(n->kind, "host") == 0 && strcmp(n->stack, "npp") == 0;
	uint64_t ism = UINT64_MAX;

	if (!what)
		return 0;
	if (!*what)
		return npp_err_set(e, -EINVAL, "'%s': nothing behind the last dot", role);
	if (strncmp(what, "ism", 3) == 0)
		npp_conf_parse_u64(what + 3, &ism);
	if (npp && strcmp(what, "nppd") != 0 && strcmp(what, "dispatch") != 0 && ism >= n->iops)
		return npp_err_set(e, -ENOENT, "'%s' is no role: '%s' has nppd, dispatch, and ism0 to ism%u", role, n->name,
				   n->iops ? n->iops - 1 : 0);
	if (!npp && is_own_word(what) && !(on_npps && strcmp(what, "osm") == 0))
		return npp_err_set(e, -ENOENT, "'%s' is no role: '%s' is a %s%s", role, n->name, n->kind,
				   on_npps ? " on NPPs, it has nppd, osm and programs" : ", it has programs only");
	return 0;
}

int role_check(struct lab *l, const char *role, struct npp_err *e)
{
	const char *what = NULL;
	char name[LAB_WIRE_CAP];
	struct lab_node *n;
	struct link k;

	if (strncmp(role, "wire.", 5) == 0) {
		for (uint32_t i = 0; link_at(l, i, &k); i++)
			if (k.ifc->wire && strcmp(wire_name(k.node, k.ifc->network, name), role) == 0)
				return 0;
		return npp_err_set(e, -ENOENT, "lab '%s' has no wire '%s'", l->name, role + 5);
	}
	n = split(l, role, &what);
	return n ? word_check(n, role, what, e) : no_role(role, e);
}

int role_pids(struct lab *l, const char *role, pid_t *pids, unsigned cap, struct npp_err *e)
{
	const char *what = NULL;
	struct lab_node *n;
	int r;

	if (strncmp(role, "wire.", 5) == 0)
		return of_wire(l, role, pids, e);
	n = split(l, role, &what);
	if (!n)
		return no_role(role, e);
	r = word_check(n, role, what, e);
	if (r < 0)
		return r;
	r = of_node(l, n, what, pids, cap);
	return r ? r : npp_err_set(e, -ESRCH, "no process is '%s' now", role);
}
