/* SPDX-License-Identifier: GPL-2.0-or-later
 * bird.c - routers whose routes are BIRD's (key `routing: bird`), or that advertise (`autoconf` of another node)
 *
 * Each has a bird(8) of its own in its namespace, with a file that is made from the
 * topology: OSPF or RIP, in the families that its networks have. Its router id is an IPv4 address of
 * the node, or without one 0.0.0.N. Timers are short, so that a
 * lab is up within seconds and a link that fails is noticed within three. With RIP the routes are
 * there after one second. With OSPF it is six, of which neighbours take one: a router has told the
 * others of its links before it knew a neighbour, and may tell them anew after 5 s only
 * (MinLSInterval, RFC 2328 appendix B), which BIRD has no key for. The node's own
 * `routes` and `gateway` are the kernel's; BIRD learns them from it and tells the others.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/lab.h"

#define CONVERGE_MS 30000

/* Do A and B speak the same? */
static bool are_peers(const struct topo_node *a, const struct topo_node *b)
{
	return a->routing == TOPO_ROUTING_BIRD && b->routing == TOPO_ROUTING_BIRD && a->protocol == b->protocol;
}

/* Routers on the segment of network NET that N speaks to. */
static unsigned peers_on(const struct topo *t, const struct topo_node *n, uint32_t net)
{
	unsigned found = 0;

	for (uint32_t i = 0; i < t->n_nodes; i++)
		for (uint32_t j = 0; j < t->nodes[i].n_ifs; j++)
			if (&t->nodes[i] != n && are_peers(n, &t->nodes[i]) && t->nets[t->nodes[i].ifs[j].net].seg == t->nets[net].seg)
				found++;
	return found;
}

static void write_ifs(FILE *f, const struct topo *t, const struct topo_node *n, bool ip6)
{
	bool ospf = n->protocol == TOPO_PROTOCOL_OSPF;

	for (uint32_t j = 0; j < n->n_ifs; j++) {
		const struct topo_net *net = &t->nets[n->ifs[j].net];
		unsigned peers = peers_on(t, n, n->ifs[j].net);

		if (!topo_has_family(net, ip6))
			continue;
		fprintf(f, "%sinterface \"%s\" { ", ospf ? "    " : "  ", net->name);
		if (!ospf)	/* where nobody speaks it only its prefix is told, elsewhere */
			fprintf(f, "%smode multicast; update time 1; timeout time 4; garbage time 4; ", peers ? "" : "passive; ");
		else if (!peers)
			fputs("stub yes; ", f);
		else
			fprintf(f, "type %s; hello 1; dead 3; wait 2; retransmit 2; ", peers == 1 ? "ptp" : "broadcast");
		fputs("};\n", f);
	}
}

static void write_family(FILE *f, const struct topo *t, const struct topo_node *n, bool ip6)
{
	const char *family = ip6 ? "ipv6" : "ipv4";
	bool ospf = n->protocol == TOPO_PROTOCOL_OSPF;

	fprintf(f, "protocol kernel kernel%d {\n  learn;\n  scan time 1;\n  %s { import all; export where source ~ "
		"[RTS_OSPF, RTS_OSPF_IA, RTS_OSPF_EXT1, RTS_OSPF_EXT2, RTS_RIP]; };\n}\n", ip6 ? 6 : 4, family);
	if (ospf) {
		fprintf(f, "protocol ospf %s ospf%d {\n  tick 1;\n  %s { import all; export where source = RTS_INHERIT; };\n  area 0 {\n",
			ip6 ? "v3" : "v2", ip6 ? 6 : 4, family);
		write_ifs(f, t, n, ip6);
		fputs("  };\n}\n", f);
	} else {
		fprintf(f, "protocol rip %srip%d {\n  %s { import all; export where source ~ [RTS_INHERIT, RTS_DEVICE, RTS_RIP]; };\n",
			ip6 ? "ng " : "", ip6 ? 6 : 4, family);
		write_ifs(f, t, n, ip6);
		fputs("}\n", f);
	}
}

/* To networks on which somebody waits for them. */
static void write_adverts(FILE *f, const struct topo *t, const struct topo_node *n)
{
	char text[NPP_ADDR_STRLEN];

	fputs("protocol radv {\n", f);
	for (uint32_t j = 0; j < n->n_ifs; j++) {
		const struct topo_net *net = &t->nets[n->ifs[j].net];

		if (topo_advertises(t, n, n->ifs[j].net))
			fprintf(f, "  interface \"%s\" { min ra interval 3; max ra interval 4; min delay 1; link mtu %u; prefix %s/%u { }; };\n",
				net->name, net->mtu, npp_addr_format(&net->subnet6.addr, text), net->subnet6.len);
	}
	fputs("}\n", f);
}

static bool advertises(const struct topo *t, const struct topo_node *n)
{
	for (uint32_t j = 0; j < n->n_ifs; j++)
		if (topo_advertises(t, n, n->ifs[j].net))
			return true;
	return false;
}

bool bird_has_work(const struct topo *t, const struct topo_node *n)
{
	return n->routing == TOPO_ROUTING_BIRD || advertises(t, n);
}

/* Also without IPv4 it is 32 bits, and no other router's. */
static uint32_t router_id(const struct topo *t, const struct topo_node *n)
{
	for (uint32_t j = 0; j < n->n_ifs; j++)
		if (n->ifs[j].addr)
			return n->ifs[j].addr;
	return (uint32_t)(n - t->nodes) + 1;
}

static int write_conf(const struct lab *l, const struct topo *t, const struct topo_node *n, const char *path,
		      struct npp_err *e)
{
	FILE *f = fopen(path, "we");
	char text[NPP_ADDR_STRLEN];
	bool have[2] = { false, false };
	int bad;

	if (!f)
		return npp_err_set(e, -errno, "cannot make %s: %s", path, strerror(errno));
	for (uint32_t j = 0; j < 2 * n->n_ifs; j++)
		have[j % 2] |= topo_has_family(&t->nets[n->ifs[j / 2].net], j % 2);
	fprintf(f, "# %s of lab %s, written by npp-lab\nlog stderr all;\nrouter id %s;\nprotocol device { scan time 1; }\n"
		"protocol direct { ipv4; ipv6; }\n", n->name, l->name, topo_addr_text(router_id(t, n), text));
	for (int ip6 = 0; ip6 < 2; ip6++)
		if (have[ip6] && n->routing == TOPO_ROUTING_BIRD)
			write_family(f, t, n, ip6);
	if (advertises(t, n))
		write_adverts(f, t, n);
	bad = ferror(f);
	return fclose(f) != 0 || bad ? npp_err_set(e, -EIO, "cannot write %s", path) : 0;
}

/* ---- start --------------------------------------------------------------------------------- */

/* It is in /usr/sbin, which an ordinary user's PATH may lack. */
static int find_bird(char *path, size_t cap)
{
	const char *dirs = getenv("PATH");
	char list[4096], *save = NULL;

	snprintf(list, sizeof list, "%s:/usr/sbin:/sbin:/usr/local/sbin", dirs ? dirs : "");
	for (char *d = strtok_r(list, ":", &save); d; d = strtok_r(NULL, ":", &save))
		if ((size_t)snprintf(path, cap, "%s/bird", d) < cap && access(path, X_OK) == 0)
			return 0;
	return -ENOENT;
}

int bird_start(struct lab *l, const struct topo *t, uint32_t i, struct npp_err *e)
{
	const struct topo_node *n = &t->nodes[i];
	char prog[LAB_PATH_CAP], conf[LAB_PATH_CAP], sock[LAB_PATH_CAP], log[LAB_PATH_CAP], name[LAB_WIRE_CAP];
	char *argv[] = { prog, (char[]){ "-f" }, (char[]){ "-c" }, conf, (char[]){ "-s" }, sock, NULL };
	struct proc_start s;
	int r;

	if (find_bird(prog, sizeof prog) < 0)
		return npp_err_set(e, -ENOENT, "cannot find bird, which '%s' %s (package bird2)", n->name,
				   n->routing == TOPO_ROUTING_BIRD ? "has its routes from" : "needs for its advertisements");
	snprintf(name, sizeof name, "bird.%s", n->name);
	snprintf(conf, sizeof conf, "%s/%s.bird.conf", l->dir, n->name);
	snprintf(sock, sizeof sock, "%s/%s.bird.ctl", l->dir, n->name);
	snprintf(log, sizeof log, "%s/%s.bird.log", l->dir, n->name);
	r = write_conf(l, t, n, conf, e);
	if (r == 0)
		r = proc_start(&s, l->nodes[i].ns, log, argv, e);
	if (r == 0)
		r = lab_note_proc(l, name, "bird", &s, e);
	if (r == 0)
		close(s.ready_fd);
	return r;
}

/* ---- until the routes are there ---------------------------------------------------------------- */

/* SEEN: the segments that node I's own protocol leads to, by the networks of one family. */
static void reach(const struct topo *t, uint32_t i, bool ip6, bool *seen)
{
	bool more = true;

	for (uint32_t j = 0; j < t->nodes[i].n_ifs; j++)
		seen[t->nets[t->nodes[i].ifs[j].net].seg] = topo_has_family(&t->nets[t->nodes[i].ifs[j].net], ip6);
	while (more) {
		more = false;
		for (uint32_t k = 0; k < t->n_nodes; k++) {
			const struct topo_node *r = &t->nodes[k];
			bool touches = false;

			if (!are_peers(&t->nodes[i], r))
				continue;
			for (uint32_t j = 0; j < r->n_ifs; j++)
				touches |= seen[t->nets[r->ifs[j].net].seg];
			for (uint32_t j = 0; touches && j < r->n_ifs; j++) {
				bool *s = &seen[t->nets[r->ifs[j].net].seg];

				if (*s || !topo_has_family(&t->nets[r->ifs[j].net], ip6))
					continue;
				more = *s = true;
			}
		}
	}
}

/* Its log goes with the lab: its last line is why. */
static int has_ended(const struct lab *l, const char *node, struct npp_err *e)
{
	char path[LAB_PATH_CAP], line[200] = "";
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.bird.log", l->dir, node);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		;
	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return npp_err_set(e, -ECHILD, "bird of '%s' has ended%s%s", node, line[0] ? ": " : "", line);
}

static int wait_family(const struct lab *l, const struct topo *t, uint32_t i, bool ip6, struct nl_ns *nl,
		       const volatile int *stop, int64_t end, struct npp_err *e)
{
	bool seen[TOPO_MAX_NETS] = { false };
	char name[LAB_WIRE_CAP];
	const struct lab_proc *p;

	snprintf(name, sizeof name, "bird.%s", t->nodes[i].name);
	p = lab_find_proc(l, name);
	reach(t, i, ip6, seen);
	for (uint32_t k = 0; k < t->n_nets; k++) {
		union npp_addr a = ip6 ? t->nets[k].subnet6.addr : npp_addr_v4(htonl(t->nets[k].base + 1));

		if (!seen[k] || t->nets[k].seg != k)
			continue;
		while (!nl_has_route(nl, &a)) {
			if (*stop)
				return npp_err_set(e, -EINTR, "stopped by signal %d", *stop);
			if (!p || !proc_alive(p))
				return has_ended(l, t->nodes[i].name, e);
			if (now_ms() > end)
				return npp_err_set(e, -ETIMEDOUT, "'%s' has no %sroute to '%s' after %d s", t->nodes[i].name,
						   ip6 ? "IPv6 " : "", t->nets[k].name, CONVERGE_MS / 1000);
			pause_ms(20);
		}
	}
	return 0;
}

int bird_wait(const struct lab *l, const struct topo *t, uint32_t i, struct nl_ns *nl, const volatile int *stop,
	      struct npp_err *e)
{
	int64_t end = now_ms() + CONVERGE_MS;
	int r = wait_family(l, t, i, false, nl, stop, end, e);

	return r < 0 ? r : wait_family(l, t, i, true, nl, stop, end, e);
}
