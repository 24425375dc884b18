/* SPDX-License-Identifier: GPL-2.0-or-later
 * nppconf.c - the configuration files of a lab's nppds (nppd.conf(5))
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "harness/lab.h"

/* A value of the topology as YAML in one line. */
static void write_value(FILE *f, const struct npp_conf_node *n)
{
	const struct npp_conf_node *c;
	bool map = n->kind == NPP_CONF_MAP_NODE;

	if (n->kind == NPP_CONF_SCALAR) {
		if (n->quoted)
			json_string(f, n->text);
		else
			fputs(n->text, f);
		return;
	}
	fputc(map ? '{' : '[', f);
	for (c = n->first; c; c = c->next) {
		if (map) {
			json_string(f, c->key);
			fputs(": ", f);
		}
		write_value(f, c);
		fputs(c->next ? ", " : "", f);
	}
	fputc(map ? '}' : ']', f);
}

/* Hugepages are borrowed from the system for the life of the nppd. What stands in
 * `options` goes in as it is: nppd checks it. */
static void write_common(FILE *f, const struct topo_node *n)
{
	const struct npp_conf_node *c;

	if (!npp_conf_get(n->options_at, "reserve"))
		fputs("  reserve: yes\n", f);
	if (!n->options_at || n->options_at->kind != NPP_CONF_MAP_NODE)
		return;
	for (c = n->options_at->first; c; c = c->next) {
		fprintf(f, "  %s: ", c->key);
		write_value(f, c);
		fputc('\n', f);
	}
}

/* Those that share listeners: all, alike, if the topology does not say. */
static void write_hosts(FILE *f, const struct topo *t, uint32_t i)
{
	const struct topo_node *n = &t->nodes[i];
	const char *sep = "";

	if (n->hosts_at && !npp_conf_is_null(n->hosts_at)) {
		fputs("  hosts: ", f);
		write_value(f, n->hosts_at);
		fputc('\n', f);
	} else if (n->n_hosts > 1) {
		fputs("  hosts: [", f);
		for (uint32_t h = 0; h < t->n_nodes; h++)
			for (uint32_t j = 0; j < t->nodes[h].n_npps; j++)
				if (t->nodes[h].npps[j] == i) {
					fprintf(f, "%s%s", sep, t->nodes[h].name);
					sep = ", ";
				}
		fputs("]\n", f);
	} else {
		return;
	}
	if (n->policy != TOPO_POLICY_WEIGHT)
		fprintf(f, "  policy: %s\n", topo_policy_name(n->policy));
}

const char *npp_port_link(const struct topo_node *n, uint32_t j, char *buf, size_t cap)
{
	/* Behind a wire all its TAPs are in its own namespace; no name in a topology begins with '_'. */
	if (j && n->ifs[j].wire)
		snprintf(buf, cap, "_port%u", j);
	else
		snprintf(buf, cap, "%s", n->name);
	return buf;
}

static void write_port(FILE *f, const struct lab *l, const struct topo *t, uint32_t i, uint32_t j)
{
	const struct topo_if *ifc = &t->nodes[i].ifs[j];
	const struct topo_net *net = &t->nets[ifc->net];
	const struct lab_node *p = &l->nodes[i];
	char path[NS_PATH_CAP], name[16];
	/* With a wire the port is on a bridge of the NPP's own, and the wire goes on from there. */
	const char *ns = ifc->wire ? p->ns : l->nets[ifc->net].ns;

	fprintf(f, "{name: %s, mac: '%s', mtu: %u, netns: %s, bridge: %s", npp_port_link(&t->nodes[i], j, name, sizeof name),
		p->ifs[j].mac, net->mtu, ns_path(ns, path), net->name);
}

static void write_addresses(FILE *f, const struct lab_if *ifc, bool autoconf)
{
	bool six = ifc->address6[0] && !autoconf;

	if (ifc->address[0] || six)
		fprintf(f, "addresses: [%s%s%s%s%s]", ifc->address, ifc->address[0] && six ? ", " : "", six ? "'" : "",
			six ? ifc->address6 : "", six ? "'" : "");
	if (autoconf)
		fprintf(f, "%sautoconf: yes", ifc->address[0] ? ", " : "");
}

static void write_ports(FILE *f, const struct lab *l, const struct topo *t, uint32_t i)
{
	const struct topo_node *n = &t->nodes[i];
	char text[NPP_ADDR_STRLEN];

	if (n->n_ifs == 1 && !n->n_whole && !n->ifs[0].autoconf) {
		fputs("  port: ", f);
		write_port(f, l, t, i, 0);
		fputs("}\n  ", f);
		write_addresses(f, &l->nodes[i].ifs[0], false);
		fputc('\n', f);
		return;
	}
	fputs("  ports:\n", f);
	for (uint32_t j = 0; j < n->n_ifs; j++) {
		fputs("    - ", f);
		write_port(f, l, t, i, j);
		fputs(", ", f);
		write_addresses(f, &l->nodes[i].ifs[j], n->ifs[j].autoconf);
		fputs("}\n", f);
	}
	for (uint32_t k = 0; k < n->n_whole; k++)
		fprintf(f, "%s'%s'%s", k ? ", " : "  addresses: [", npp_addr_format(&n->whole[k], text),
			k + 1 == n->n_whole ? "]\n" : "");
}

static void write_npp(FILE *f, const struct lab *l, const struct topo *t, uint32_t i)
{
	const struct topo_node *n = &t->nodes[i];
	char text[NPP_ADDR_STRLEN];
	uint32_t j;

	fprintf(f, "npp:\n  name: %s\n  iops: %u\n", n->name, n->iops);
	if (n->engine != TOPO_ENGINE_PROCESS)
		fprintf(f, "  engine: %s\n", topo_engine_name(n->engine));
	write_ports(f, l, t, i);
	if (!npp_addr_is_any(&n->gateway))
		fprintf(f, "  gateway: %s\n", npp_addr_format(&n->gateway, text));
	if (!npp_addr_is_any(&n->gateway6))
		fprintf(f, "  gateway6: '%s'\n", npp_addr_format(&n->gateway6, text));
	if (n->n_routes)
		fputs("  routes:\n", f);
	for (j = 0; j < n->n_routes; j++) {
		fprintf(f, "    - {to: '%s/%u', ", npp_addr_format(&n->routes[j].to.addr, text),
			n->routes[j].to.len - (npp_addr_is_v4(&n->routes[j].to.addr) ? 96 : 0));
		fprintf(f, "via: '%s'", npp_addr_format(&n->routes[j].via, text));
		if (n->routes[j].metric)
			fprintf(f, ", metric: %u", n->routes[j].metric);
		fputs("}\n", f);
	}
	write_hosts(f, t, i);
	write_common(f, n);
}

static void write_host(FILE *f, const struct topo *t, uint32_t i)
{
	const struct topo_node *n = &t->nodes[i];
	uint32_t j;

	fprintf(f, "host:\n  name: %s\n  npps: [", n->name);
	for (j = 0; j < n->n_npps; j++)
		fprintf(f, "%s%s", j ? ", " : "", t->nodes[n->npps[j]].name);
	fprintf(f, "]\n  memory: %llu\n", (unsigned long long)n->memory);
	write_common(f, n);
}

int nppconf_write(const struct lab *l, const struct topo *t, uint32_t i, char *path, size_t cap,
		  struct npp_err *e)
{
	FILE *f;
	int bad;

	snprintf(path, cap, "%s/%s.yaml", l->dir, t->nodes[i].name);
	f = fopen(path, "we");
	if (!f)
		return npp_err_set(e, -errno, "cannot make %s: %s", path, strerror(errno));
	fprintf(f, "# %s of lab %s, written by npp-lab\n", t->nodes[i].name, l->name);
	if (t->nodes[i].kind == TOPO_NPP)
		write_npp(f, l, t, i);
	else
		write_host(f, t, i);
	bad = ferror(f);
	if (fclose(f) != 0 || bad)
		return npp_err_set(e, -EIO, "cannot write %s", path);
	return 0;
}
