/* SPDX-License-Identifier: GPL-2.0-or-later
 * status.c - say how labs are
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "harness/verbs.h"

/* "up", or what is wrong with it. */
static const char *node_state(struct lab *l, const struct lab_node *n)
{
	const struct lab_proc *p = lab_node_proc(l, n);

	if (!ns_inode(n->ns))
		return "missing";
	if (!p)
		return strcmp(n->stack, "npp") != 0 ? "up" : "dead";
	return proc_alive(p) ? "up" : "dead";
}

/* What lab.json says last, unless nobody is at work on it any more. */
static const char *lab_state(const struct lab *l)
{
	struct lab probe;

	if (lab_other_boot(l) || lab_orphaned(l))
		return "dead";
	if (strcmp(l->state, "up") == 0)
		return lab_deserted(l) ? "dead" : "up";
	if (lab_lock(&probe, l->name, false, NULL) == 0) {
		lab_unlock(&probe);
		return "dead";
	}
	return l->state;
}

/* -1: others than root cannot see it. */
static int processes_in(const struct lab_node *n)
{
	pid_t pids[1024];
	ino_t i = ns_inode(n->ns);

	if (geteuid() != 0)
		return -1;
	return i ? (int)proc_in_ns(&i, 1, pids, 1024) : 0;
}

static void print_json_node(struct lab *l, const struct lab_node *n)
{
	const struct lab_proc *p = lab_find_proc(l, n->name);
	int procs = processes_in(n);
	uint32_t j;

	fputs("{\"name\": ", stdout);
	json_string(stdout, n->name);
	printf(", \"kind\": \"%s\", \"stack\": \"%s\", \"state\": \"%s\", \"namespace\": ", n->kind, n->stack,
	       node_state(l, n));
	json_string(stdout, n->ns);
	printf(", \"iops\": %u, \"engine\": \"%s\", \"networks\": [", n->iops, n->engine ? n->engine : "");
	for (j = 0; j < n->n_ifs; j++) {
		fputs(j ? ", {\"network\": " : "{\"network\": ", stdout);
		json_string(stdout, n->ifs[j].network);
		printf(", \"address\": \"%s\", ", n->ifs[j].address);
		if (n->ifs[j].address6 && n->ifs[j].address6[0])
			printf("\"address6\": \"%s\", ", n->ifs[j].address6);
		printf("\"mac\": \"%s\"}", n->ifs[j].mac);
	}
	fputs("], \"npps\": [", stdout);
	for (j = 0; j < n->n_npps; j++) {
		fputs(j ? ", " : "", stdout);
		json_string(stdout, n->npps[j]);
	}
	printf("], \"nppd\": %u, \"processes\": ", p && proc_alive(p) ? p->pid : 0);
	if (procs < 0)
		fputs("null}", stdout);
	else
		printf("%d}", procs);
}

/* Is it up, and all that it began with? */
static bool is_whole(struct lab *l)
{
	uint32_t i;

	if (strcmp(lab_state(l), "up") != 0)
		return false;
	for (i = 0; i < l->n_nodes; i++)
		if (!ns_inode(l->nodes[i].ns))
			return false;
	i = 0;
	return !lab_dead_proc(l, &i);
}

static void print_json(struct lab *l)
{
	const struct lab_proc *p;
	bool first = true;
	uint32_t i;

	fputs("{\"name\": ", stdout);
	json_string(stdout, l->name);
	fputs(", \"file\": ", stdout);
	json_string(stdout, l->file);
	printf(", \"state\": \"%s\", \"rundir\": ", lab_state(l));
	json_string(stdout, l->dir);
	fputs(",\n \"networks\": [", stdout);
	for (i = 0; i < l->n_nets; i++) {
		fputs(i ? ", {\"name\": " : "{\"name\": ", stdout);
		json_string(stdout, l->nets[i].name);
		printf(", \"subnet\": \"%s\", ", l->nets[i].subnet);
		if (l->nets[i].subnet6[0])
			printf("\"subnet6\": \"%s\", ", l->nets[i].subnet6);
		printf("\"namespace\": \"%s\"}", l->nets[i].ns);
	}
	fputs("],\n \"nodes\": [", stdout);
	for (i = 0; i < l->n_nodes; i++) {
		fputs(i ? ",\n  " : "\n  ", stdout);
		print_json_node(l, &l->nodes[i]);
	}
	fputs("],\n \"faults\": [", stdout);
	for (i = 0; i < l->n_faults; i++) {
		fputs(i ? ", {\"fault\": " : "{\"fault\": ", stdout);
		json_string(stdout, l->faults[i].fault);
		fputs(", \"what\": ", stdout);
		json_string(stdout, l->faults[i].what);
		putchar('}');
	}
	fputs("],\n \"dead\": [", stdout);
	for (i = 0; (p = lab_dead_proc(l, &i)); first = false) {
		fputs(first ? "" : ", ", stdout);
		json_string(stdout, p->node);
	}
	fputs("]}\n", stdout);
}

static const char *describe(const struct lab_node *n, char *buf, size_t cap)
{
	size_t len = 0;
	uint32_t j;

	buf[0] = '\0';
	for (j = 0; j < n->n_npps && len < cap; j++)
		len += (size_t)snprintf(buf + len, cap - len, "%s%s", j ? ", " : "on ", n->npps[j]);
	for (j = 0; j < n->n_ifs && len < cap; j++)
		len += (size_t)snprintf(buf + len, cap - len, "%s%s%s%s%s%s", j ? ", " : "", n->ifs[j].network,
					n->ifs[j].address[0] ? " " : "", n->ifs[j].address, n->ifs[j].address6 && n->ifs[j].address6[0] ? " " : "",
					n->ifs[j].address6 ? n->ifs[j].address6 : "");
	if (n->iops && len < cap)
		snprintf(buf + len, cap - len, "   %u IOP%s%s", n->iops, n->iops == 1 ? "" : "s",
			 n->engine && strcmp(n->engine, "kernel") == 0 ? ", engine kernel" : "");
	return buf;
}

/* Of a node that is shown as dead it need not be said again. */
static void print_dead(struct lab *l)
{
	const struct lab_proc *p;
	uint32_t i = 0, j;

	while ((p = lab_dead_proc(l, &i))) {
		for (j = 0; j < l->n_nodes && lab_node_proc(l, &l->nodes[j]) != p; j++)
			;
		if (j == l->n_nodes)
			printf("  dead: %s\n", p->node);
	}
}

static void print_text(struct lab *l)
{
	char text[512];
	uint32_t i;

	printf("lab %s: %s (%s)\n", l->name, lab_state(l), l->file);
	for (i = 0; i < l->n_nets; i++)
		printf("  %-15s network           %s%s%s\n", l->nets[i].name, l->nets[i].subnet,
		       l->nets[i].subnet[0] && l->nets[i].subnet6[0] ? " " : "", l->nets[i].subnet6);
	for (i = 0; i < l->n_nodes; i++) {
		const struct lab_node *n = &l->nodes[i];

		int procs = processes_in(n);

		printf("  %-15s %-8s %-8s %s", n->name, n->kind, node_state(l, n), describe(n, text, sizeof text));
		if (procs >= 0)
			printf("  [%d process%s]", procs, procs == 1 ? "" : "es");
		putchar('\n');
	}
	for (i = 0; i < l->n_faults; i++)
		printf("  fault: %s\n", l->faults[i].what);
	print_dead(l);
}

int lab_status(const char *name, bool json)
{
	struct npp_err e = { "" };
	struct lab l = { .lock = -1 };
	char pick[TOPO_LAB_LEN + 1];
	int r = lab_pick(name, pick, sizeof pick, &e);

	if (r == 0)
		r = lab_load(&l, pick, &e);
	if (r < 0) {
		verb_failed(NULL, e.text, json);
		return 1;
	}
	if (json)
		print_json(&l);
	else
		print_text(&l);
	r = !is_whole(&l);
	lab_free(&l);
	return r;
}

static void json_lab(const char *name, const char *state, const char *file, bool first)
{
	fputs(first ? "{\"name\": " : ",\n {\"name\": ", stdout);
	json_string(stdout, name);
	printf(", \"state\": \"%s\", \"file\": ", state);
	json_string(stdout, file);
	putchar('}');
}

int lab_print_list(bool json)
{
	char **names = lab_list();
	struct lab l;
	size_t i;

	fputs(json ? "[" : "", stdout);
	for (i = 0; names && names[i]; i++) {
		memset(&l, 0, sizeof l);
		l.lock = -1;
		if (lab_load(&l, names[i], NULL) < 0) {
			if (json)
				json_lab(names[i], "unreadable", "", i == 0);
			else
				printf("%-20s unreadable\n", names[i]);
			continue;
		}
		if (json)
			json_lab(l.name, lab_state(&l), l.file, i == 0);
		else
			printf("%-20s %-9s %s\n", l.name, lab_state(&l), l.file);
		lab_free(&l);
	}
	fputs(json ? "]\n" : "", stdout);
	lab_list_free(names);
	return 0;
}
