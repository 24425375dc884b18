/* SPDX-License-Identifier: GPL-2.0-or-later
 * graph.c - draw a lab: networks as bars, accelerators attached to their hosts
 *
 * The picture is text for dot(1) of Graphviz; dot makes SVG of it.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/verbs.h"

static bool alive(struct lab *l, const struct lab_node *n)
{
	const struct lab_proc *p = lab_node_proc(l, n);

	return ns_inode(n->ns) && (p ? proc_alive(p) : strcmp(n->stack, "npp") != 0);
}

/* Networks are bars; their width goes with the number of links. */
static void draw_net(FILE *f, const struct lab *l, const struct lab_net *net)
{
	unsigned links = 0;

	for (uint32_t i = 0; i < l->n_nodes; i++)
		for (uint32_t j = 0; j < l->nodes[i].n_ifs; j++)
			links += strcmp(l->nodes[i].ifs[j].network, net->name) == 0;
	fprintf(f, "  \"net %s\" [shape=box, style=filled, fillcolor=\"#34495e\", fontcolor=white, height=0.25, width=%.1f, "
		"fixedsize=true, label=\"%s  %s%s%s\"];\n", net->name, links < 2 ? 3.0 : 1.6 * links, net->name, net->subnet,
		net->subnet[0] && net->subnet6[0] ? "  " : "", net->subnet6);
}

static void draw_node(FILE *f, struct lab *l, const struct lab_node *n)
{
	static const struct { const char *kind, *shape, *fill; } looks[] = {
		{ "host", "box3d", "#fdf2d0" }, { "npp", "component", "#d5e8f7" }, { "client", "box", "#e9f7e4" },
		{ "router", "ellipse", "#eeeeee" }, { "firewall", "octagon", "#f9dcd8" }, { "switch", "box", "#eeeeee" },
		{ "wire", "cds", "#f5eef8" },
	};
	const char *shape = "box", *fill = "white";

	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
		if (strcmp(looks[i].kind, n->kind) == 0) {
			shape = looks[i].shape;
			fill = looks[i].fill;
		}
	fprintf(f, "  \"%s\" [shape=%s, style=filled, fillcolor=\"%s\", color=\"%s\", label=\"%s", n->name, shape, fill,
		alive(l, n) ? "#333333" : "#cc0000", n->name);
	if (n->iops)
		fprintf(f, "\\n%u IOP%s", n->iops, n->iops == 1 ? "" : "s");
	else if (strcmp(n->kind, "host") == 0)
		fprintf(f, "\\n%s stack", n->stack);
	else if (strcmp(n->kind, "wire") == 0 && n->n_ifs && n->ifs[0].wire)
		fprintf(f, "\\n%s", n->ifs[0].wire);
	fprintf(f, "%s\"];\n", alive(l, n) ? "" : "\\ndead");
}

static void bytes_text(char *out, size_t cap, uint64_t n)
{
	static const char unit[] = "BKMGTP";
	double v = (double)n;
	int i = 0;

	for (; v >= 1000 && unit[i + 1]; i++)
		v /= 1000;
	snprintf(out, cap, i ? "%.1f%c" : "%.0f%c", v, unit[i]);
}

static void draw_link(FILE *f, const struct link *k)
{
	struct link_state s;
	struct npp_err e;
	char rx[16], tx[16], addr[2 * NPP_ADDR_STRLEN + 16];
	const char *color = "#333333";
	bool wire = k->ifc->wire && strcmp(k->node->kind, "wire") != 0;

	if (link_state(k, &s, &e) < 0 || !s.up || !s.carrier)
		color = "#cc0000";
	snprintf(addr, sizeof addr, "%.*s%s%.*s%s", (int)strcspn(k->ifc->address, "/"), k->ifc->address, k->ifc->address[0] ? "<br/>" : "",
		 (int)strcspn(k->ifc->address6, "/"), k->ifc->address6, k->ifc->address6[0] ? "<br/>" : "");
	bytes_text(rx, sizeof rx, s.rx_bytes);
	bytes_text(tx, sizeof tx, s.tx_bytes);
	/* on white, so that no line runs through the words */
	fprintf(f, "  \"net %s\" -- \"%s\" [color=\"%s\"%s, label=<<table border=\"0\" cellspacing=\"0\" cellpadding=\"1\" "
		"bgcolor=\"white\"><tr><td>%sin %s out %s%s", k->ifc->network, k->node->name, color, wire ? ", style=dashed" : "",
		addr, rx, tx,
		s.up ? "" : "<br/>down");
	if (wire)
		fprintf(f, "<br/>%s", k->ifc->wire[0] ? k->ifc->wire : "wire");
	fputs("</td></tr></table>>];\n", f);
}

static void draw(FILE *f, struct lab *l)
{
	struct link k;

	fprintf(f, "graph \"%s\" {\n  label=\"lab %s\"; labelloc=t; fontname=\"Helvetica\"; fontsize=16;\n"
		"  node [fontname=\"Helvetica\", fontsize=11]; edge [fontname=\"Helvetica\", fontsize=9];\n"
		"  rankdir=TB; splines=line; nodesep=0.5; ranksep=0.6;\n", l->name, l->name);
	for (uint32_t i = 0; i < l->n_nets; i++)
		draw_net(f, l, &l->nets[i]);
	for (uint32_t i = 0; i < l->n_nodes; i++) {
		const struct lab_node *n = &l->nodes[i];

		draw_node(f, l, n);
		for (uint32_t j = 0; j < n->n_npps; j++)	/* attached: a short thick line */
			fprintf(f, "  \"%s\" -- \"%s\" [penwidth=5, color=\"#7f8c8d\", minlen=1, weight=10];\n", n->npps[j], n->name);
	}
	for (uint32_t i = 0; link_at(l, i, &k); i++)
		draw_link(f, &k);
	fputs("}\n", f);
}

/* The same for programs: what is drawn, as a graph of nodes and edges. */
static void draw_json(FILE *f, struct lab *l)
{
	const char *sep = "\n  ";
	struct link_state s;
	struct npp_err e;
	struct link k;

	fputs("{\"lab\": ", f);
	json_string(f, l->name);
	fputs(",\n \"nodes\": [", f);
	for (uint32_t i = 0; i < l->n_nets; i++, sep = ",\n  ")
		fprintf(f, "%s{\"id\": \"net %s\", \"kind\": \"network\", \"subnet\": \"%s\", \"subnet6\": \"%s\"}", sep, l->nets[i].name,
			l->nets[i].subnet, l->nets[i].subnet6);
	for (uint32_t i = 0; i < l->n_nodes; i++, sep = ",\n  ")
		fprintf(f, "%s{\"id\": \"%s\", \"kind\": \"%s\", \"stack\": \"%s\", \"iops\": %u, \"alive\": %s}", sep, l->nodes[i].name,
			l->nodes[i].kind, l->nodes[i].stack, l->nodes[i].iops, alive(l, &l->nodes[i]) ? "true" : "false");
	fputs("],\n \"edges\": [", f);
	sep = "\n  ";
	for (uint32_t i = 0; i < l->n_nodes; i++)
		for (uint32_t j = 0; j < l->nodes[i].n_npps; j++, sep = ",\n  ")
			fprintf(f, "%s{\"from\": \"%s\", \"to\": \"%s\", \"kind\": \"attached\"}", sep, l->nodes[i].npps[j], l->nodes[i].name);
	for (uint32_t i = 0; link_at(l, i, &k); i++, sep = ",\n  ") {
		memset(&s, 0, sizeof s);
		link_state(&k, &s, &e);
		fprintf(f, "%s{\"from\": \"net %s\", \"to\": \"%s\", \"kind\": \"link\", \"address\": \"%s\", \"address6\": \"%s\", "
			"\"up\": %s, \"rx_bytes\": %llu, \"tx_bytes\": %llu, \"wire\": ", sep, k.ifc->network, k.node->name, k.ifc->address, k.ifc->address6,
			s.up && s.carrier ? "true" : "false", (unsigned long long)s.rx_bytes, (unsigned long long)s.tx_bytes);
		if (k.ifc->wire)
			json_string(f, k.ifc->wire);
		else
			fputs("null", f);
		fputc('}', f);
	}
	fputs("]}\n", f);
}

/* What dot(1) makes of a file that is called OUT. */
static const char *format_of(const char *out)
{
	static const char *const others[][2] = { { ".png", "-Tpng" }, { ".pdf", "-Tpdf" } };
	size_t n = out ? strlen(out) : 0;

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (n > 4 && strcasecmp(out + n - 4, others[i][0]) == 0)
			return others[i][1];
	return "-Tsvg";
}

static _Noreturn void run_dot(int in, const char *format, const char *out)
{
	if (dup2(in, 0) < 0)
		_exit(126);
	if (out)
		execlp("dot", "dot", format, "-o", out, (char *)NULL);
	else
		execlp("dot", "dot", format, (char *)NULL);
	dprintf(2, "npp-lab: cannot run dot: %s (package graphviz)\n", strerror(errno));
	_exit(127);
}

static int to_picture(struct lab *l, const char *format, const char *out, struct npp_err *e)
{
	int p[2], status = -1;
	pid_t pid;
	FILE *f;

	fflush(NULL);
	if (pipe(p) < 0)
		return npp_err_set(e, -errno, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(p[1]);
		run_dot(p[0], format, out);
	}
	close(p[0]);
	f = fdopen(p[1], "w");
	if (f && pid > 0)
		draw(f, l);
	if (f)
		fclose(f);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && status == 0 ? 0 : npp_err_set(e, -EIO, "no picture was made");
}

static int write_text(struct lab *l, const char *path, struct npp_err *e)
{
	FILE *f = fopen(path, "we");
	bool bad;

	if (!f)
		return npp_err_set(e, -errno, "cannot write %s: %s", path, strerror(errno));
	draw(f, l);
	bad = ferror(f);
	return fclose(f) == 0 && !bad ? 0 : npp_err_set(e, -EIO, "cannot write %s", path);
}

/* By way of another file, so that who looks at it never sees half of one; but what is there and is no
 * file, as /dev/null, is written to and never replaced, and a link goes on leading where it leads. */
static int write_graph(struct lab *l, const char *out, struct npp_err *e)
{
	size_t n = out ? strlen(out) : 0;
	bool text = n > 4 && strcmp(out + n - 4, ".dot") == 0;
	char real[PATH_MAX], tmp[PATH_MAX + 8];
	const char *format = format_of(out);
	struct stat st;
	int r;

	if (!out || strcmp(out, "-") == 0)
		return to_picture(l, format, NULL, e);
	if (realpath(out, real))
		out = real;
	if (stat(out, &st) == 0 && !S_ISREG(st.st_mode))
		return text ? write_text(l, out, e) : to_picture(l, format, out, e);
	snprintf(tmp, sizeof tmp, "%s.new", out);
	r = text ? write_text(l, tmp, e) : to_picture(l, format, tmp, e);
	if (r == 0 && rename(tmp, out) < 0)
		r = npp_err_set(e, -errno, "cannot write %s: %s", out, strerror(errno));
	if (r < 0)
		unlink(tmp);
	return r;
}

int lab_graph(const char *lab, const char *out, double seconds, bool json)
{
	const volatile sig_atomic_t *stop = NULL;
	struct npp_err e = { "" };
	int r;

	signal(SIGPIPE, SIG_IGN);
	if (seconds > 0)
		stop = stop_on_signals();
	do {
		struct lab l = { .lock = -1 };

		r = lab_open(&l, lab, &e);
		if (r == 0 && json)
			draw_json(stdout, &l);
		else if (r == 0)
			r = write_graph(&l, out, &e);
		lab_free(&l);
		if (r == 0 && seconds > 0)
			pause_ms((int)(seconds * 1000));
	} while (r == 0 && stop && !*stop);
	if (r < 0)
		verb_failed("graph", e.text, json);
	return r < 0;
}
