/* SPDX-License-Identifier: GPL-2.0-or-later
 * exec.c - run a program on a node of a lab
 *
 * On a client, a router, or a host on the kernel's stack: in the node's namespaces. On a
 * host on NPPs also with the library in front of the C library that takes its socket
 * calls to npp, as `npp run` does it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/verbs.h"
#include "lib/self.h"
#include "lib/unserved.h"

static int set_npp(const struct lab *l, const struct lab_node *n, struct npp_err *e)
{
	char lib[LAB_PATH_CAP], text[LAB_PATH_CAP * 2];
	const char *old = getenv("LD_PRELOAD");
	int r = npp_self_find("libnpp-preload.so", lib, sizeof lib);

	if (r < 0)
		return npp_err_set(e, r, "cannot find libnpp-preload.so (is npp built or installed whole?)");
	snprintf(text, sizeof text, "%s%s%s", old && *old ? old : "", old && *old ? ":" : "", lib);
	setenv("LD_PRELOAD", text, 1);
	snprintf(text, sizeof text, "%s/%s.osm.sock", l->dir, n->name);
	setenv("NPP_HOST_SOCK", text, 1);
	return 0;
}

static bool on_npp(const struct lab_node *n)
{
	return strcmp(n->kind, "host") == 0 && strcmp(n->stack, "npp") == 0;
}

/* The namespace of a network's bridge: a place for tcpdump. */
static const char *net_ns(const struct lab *l, const char *name)
{
	uint32_t i;

	for (i = 0; i < l->n_nets; i++)
		if (strcmp(l->nets[i].name, name) == 0)
			return l->nets[i].ns;
	return NULL;
}

int node_enter(struct lab *l, const char *node, struct npp_err *e)
{
	struct lab_node *n = lab_find_node(l, node);
	const char *ns = n ? n->ns : net_ns(l, node);
	int r;

	if (!ns)
		return npp_err_set(e, -ENOENT, "lab '%s' has no node and no network '%s'", l->name, node);
	r = ns_enter_all(ns, e);
	if (r < 0)
		return r;
	setenv("NPP_RUNDIR", l->dir, 1);
	if (n && on_npp(n))
		return set_npp(l, n, e);
	return 0;
}

static int need_up(const struct lab *l, struct npp_err *e)
{
	return strcmp(l->state, "up") == 0 ? 0 :
	       npp_err_set(e, -EAGAIN, "lab '%s' is %s, not up", l->name, l->state);
}

static int open_picked(struct lab *l, const char *name, bool own, struct npp_err *e)
{
	char pick[TOPO_LAB_LEN + 1];
	int r;

	if (geteuid() != 0)
		return npp_err_set(e, -EPERM, "this needs to be root, or to be run in npp-lab-user");
	r = own ? lab_pick_own(name, pick, sizeof pick, e) : lab_pick(name, pick, sizeof pick, e);
	if (r == 0)
		r = lab_load(l, pick, e);
	return r < 0 ? r : need_up(l, e);
}

int lab_open(struct lab *l, const char *name, struct npp_err *e)
{
	return open_picked(l, name, false, e);
}

int lab_open_own(struct lab *l, const char *name, struct npp_err *e)
{
	return open_picked(l, name, true, e);
}

void verb_failed(const char *verb, const char *text, bool json)
{
	npp_warnx("%s%s%s", verb ? verb : "", verb ? ": " : "", text);
	if (json)
		npp_json_failed(stdout, &text, 1);
}

int lab_with(const char *lab, bool own, const char *verb, bool json, lab_work_fn *fn, void *arg)
{
	struct lab l = { .lock = -1 };
	struct npp_err e = { "" };
	int r = open_picked(&l, lab, own, &e);

	if (r == 0)
		r = fn(&l, arg, &e);
	lab_free(&l);
	if (r < 0)
		verb_failed(verb, e.text, json);
	return r;
}

/* Goes to NODE and becomes ARGV. Returns only an exit status: 125 to 127. */
static int become(const char *lab, const char *node, char *const argv[], const char *verb, bool json)
{
	struct npp_err e = { "" };
	struct lab l = { .lock = -1 };
	const struct lab_node *n;
	int r = open_picked(&l, lab, false, &e);

	if (r == 0)
		r = node_enter(&l, node, &e);
	n = r == 0 ? lab_find_node(&l, node) : NULL;
	if (n && on_npp(n))
		npp_warn_if_unserved(argv[0]);
	lab_free(&l);
	if (r < 0) {
		verb_failed(verb, e.text, json);
		return 125;
	}
	execvp(argv[0], argv);
	r = errno == ENOENT ? 127 : 126;
	npp_err_set(&e, -errno, "cannot run %s: %s", argv[0], strerror(errno));
	verb_failed(NULL, e.text, json);
	return r;
}

int lab_exec(const char *lab, const char *node, char *const argv[])
{
	return become(lab, node, argv, NULL, false);
}

int lab_put_load(const char *lab, const char *node, char *const words[], bool json)
{
	static char name[] = "npp-load", to_json[] = "-j", quiet[] = "-q";
	char prog[LAB_PATH_CAP], **argv;
	int n = 0, r;

	while (words[n])
		n++;
	argv = calloc((size_t)n + 4, sizeof *argv);
	if (!argv || npp_self_find(name, prog, sizeof prog) < 0) {
		verb_failed("load", argv ? "cannot find npp-load (is npp built or installed whole?)" : "out of memory", json);
		free(argv);
		return 125;
	}
	argv[0] = prog;
	n = 1;
	if (json) {
		argv[n++] = to_json;
		argv[n++] = quiet;
	}
	for (int i = 0; words[i]; i++)
		argv[n++] = words[i];
	r = become(lab, node, argv, "load", json);
	free(argv);
	return r;
}
