/* SPDX-License-Identifier: GPL-2.0-or-later
 * up.c - make a lab: namespaces, links, addresses, routes, names, processes
 *
 * The order: plan (lab.c), namespaces, bridges, links with addresses, routes, hosts
 * files, carriers, then an nppd for each NPP and each host on NPPs, all at once, then
 * their ports. On any failure everything is taken down again (down.c).
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/lab.h"
#include "lib/self.h"

#define CARRIER_MS 10000
#ifdef NPP_SANITIZED
#define READY_MS 120000
#else
#define READY_MS 60000
#endif

struct up {
	struct lab lab;
	struct topo topo;
	struct nl_ns *nets, *nodes;	/* by index, as in the topology */
	struct proc_start *starts;
	enum up_says { UP_TEXT, UP_JSON, UP_QUIET } says;
	const char *ok;		/* UP_QUIET: what a failure is called in JSON; NULL: it is not */
	int64_t began_ms;
	bool live;		/* somebody looks on: a line that says what is being made */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	on_hangup(&sa);
	signal(SIGPIPE, SIG_IGN);
}

/* WHAT: what is being made now; NULL: no more of that, the line is somebody else's. */
static void progress(struct up *u, const char *what)
{
	const char *term = getenv("TERM");

	if (what)
		u->live = u->says != UP_JSON && !npp_log_verbose() && isatty(STDERR_FILENO) && term &&
			  strcmp(term, "dumb") != 0;
	if (u->live)
		fprintf(stderr, "\r\033[K%s%s%s", what ? u->lab.name : "", what ? ": " : "", what ? what : "");
	fflush(stderr);
	u->live = u->live && what;
}

/* Each thing that is made begins here. For tests of sudden death, $NPP_LAB_DIE_AT ends
 * npp-lab at the step with that number, as kill -9 would. */
static int step(struct up *u, const char *what, const char *name, struct npp_err *e)
{
	static const char env[] = "NPP_LAB_DIE_AT";
	const char *die = getenv(env);
	char text[160], *copy;
	uint64_t n, at;

	if (interrupted)
		return npp_err_set(e, -EINTR, "stopped by signal %d", (int)interrupted);
	snprintf(text, sizeof text, "%s %s", what, name);
	copy = npp_conf_strdup(u->lab.conf, text);
	if (die && npp_conf_parse_u64(die, &n) == 0 && n > 0) {
		at = n - 1;
		snprintf(text, sizeof text, "%llu", (unsigned long long)at);
		setenv(env, text, 1);
		if (at == 0)
			raise(SIGKILL);
	}
	progress(u, copy ? copy : what);
	npp_debug("%s", copy ? copy : what);
	return lab_save(&u->lab, "starting", copy ? copy : what, e);
}

/* ---- namespaces and links ------------------------------------------------------------- */

static int make_ns(struct up *u, struct nl_ns *nl, const char *ns, bool forward, enum ns_ip6 ip6, struct npp_err *e)
{
	char path[NS_PATH_CAP];
	int r = step(u, "namespace", ns, e);

	if (r == 0)
		r = ns_make(ns, forward, ip6, e);
	if (r == 0)
		r = nl_ns_open(nl, ns_path(ns, path), ns, e);
	return r < 0 ? r : nl_set_up(nl, "lo", e);
}

static int make_net(struct up *u, uint32_t i, struct npp_err *e)
{
	const struct topo_net *n = &u->topo.nets[i];
	uint8_t mac[6] = { 0x02, (uint8_t)i, 0xff, 0xff, 0xff, 0xfe };
	int r = make_ns(u, &u->nets[i], u->lab.nets[i].ns, false, NS_IP6_OFF, e);

	if (r == 0)
		r = step(u, "bridge", n->name, e);
	return r < 0 ? r : nl_add_bridge(&u->nets[i], n->name, mac, n->mtu, e);
}

static int make_if(struct up *u, uint32_t i, const struct topo_if *f, struct npp_err *e)
{
	const struct topo_net *net = &u->topo.nets[f->net];
	struct nl_ns *n = &u->nodes[i];
	union npp_addr addr = topo_if_addr(f, false);
	int r = step(u, "link", u->topo.nodes[i].name, e);

	if (r == 0 && f->wire)
		r = wire_start(&u->lab, &u->topo, i, (uint32_t)(f - u->topo.nodes[i].ifs), e);
	else if (r == 0)
		r = nl_add_veth(n, net->name, f->mac, net->mtu, &u->nets[f->net], u->topo.nodes[i].name,
				net->name, e);
	if (r == 0 && f->addr)
		r = nl_add_addr(n, net->name, &addr, net->subnet.len, e);
	if (r == 0 && !npp_addr_is_any(&f->addr6) && !f->autoconf)
		r = nl_add_addr(n, net->name, &f->addr6, net->subnet6.len, e);
	return r;
}

static int make_routes(struct up *u, uint32_t i, struct npp_err *e)
{
	const union npp_addr all4 = npp_addr_v4(0), all6 = { .q = { 0, 0 } };
	const struct topo_node *n = &u->topo.nodes[i];
	uint32_t j;
	int r = 0;

	for (j = 0; r == 0 && j < n->n_routes; j++) /* kernel nodes have only the best ones */
		r = nl_add_route(&u->nodes[i], &n->routes[j].to.addr, n->routes[j].to.len, &n->routes[j].via, e);
	if (r == 0 && !npp_addr_is_any(&n->gateway))
		r = nl_add_route(&u->nodes[i], &all4, 96, &n->gateway, e);
	if (r == 0 && !npp_addr_is_any(&n->gateway6))
		r = nl_add_route(&u->nodes[i], &all6, 0, &n->gateway6, e);
	return r;
}

/* Port J of an NPP, with a wire, is on a bridge of its own. */
static int wire_npp(struct up *u, uint32_t i, uint32_t j, struct npp_err *e)
{
	const struct topo_if *f = &u->topo.nodes[i].ifs[j];
	const struct topo_net *net = &u->topo.nets[f->net];
	uint8_t mac[6] = { 0x02, (uint8_t)f->net, 0xff, 0xff, 0xff, 0xfd };
	int r = step(u, "wire", u->topo.nodes[i].name, e);

	if (r == 0)
		r = nl_add_bridge(&u->nodes[i], net->name, mac, net->mtu, e);
	return r < 0 ? r : wire_start(&u->lab, &u->topo, i, j, e);
}

/* Links of the kernel with IPv6. */
static enum ns_ip6 ip6_of(const struct topo *t, const struct topo_node *n)
{
	enum ns_ip6 found = NS_IP6_OFF;

	for (uint32_t j = 0; topo_is_kernel_node(n) && !topo_joins(n) && j < n->n_ifs; j++) {
		if (n->ifs[j].autoconf)
			return NS_IP6_LEARNED;
		if (topo_has_ip6(&t->nets[n->ifs[j].net]))
			found = NS_IP6_GIVEN;
	}
	return found;
}

/* A switch is a bridge whose ports lead to those of its networks; a wire is a process. */
static int make_joiner(struct up *u, uint32_t i, struct npp_err *e)
{
	const struct topo_node *n = &u->topo.nodes[i];
	uint8_t mac[6] = { 0x02, 0xff, 0xff, 0xff, 0xfb, (uint8_t)i };
	uint32_t j;
	int r = step(u, topo_kind_name(n->kind), n->name, e);

	if (r == 0 && n->kind == TOPO_WIRE)
		return wire_start(&u->lab, &u->topo, i, 0, e);
	if (r == 0)
		r = nl_add_bridge(&u->nodes[i], n->name, mac, u->topo.nets[n->ifs[0].net].mtu, e);
	for (j = 0; r == 0 && j < n->n_ifs; j++) {
		const struct topo_if *f = &n->ifs[j];
		const struct topo_net *net = &u->topo.nets[f->net];

		if (f->wire)
			r = wire_start(&u->lab, &u->topo, i, j, e);
		else
			r = nl_add_veth(&u->nodes[i], net->name, f->mac, net->mtu, &u->nets[f->net], n->name, net->name, e);
		if (r == 0 && !f->wire)
			r = nl_setup_link(&u->nodes[i], net->name, NULL, 0, n->name, e);
	}
	return r;
}

static int make_node(struct up *u, uint32_t i, struct npp_err *e)
{
	const struct topo_node *n = &u->topo.nodes[i];
	uint32_t j;
	int r = make_ns(u, &u->nodes[i], u->lab.nodes[i].ns, topo_forwards(n), ip6_of(&u->topo, n), e);

	if (r == 0 && topo_joins(n))
		return make_joiner(u, i, e);
	for (j = 0; r == 0 && n->kind == TOPO_NPP && j < n->n_ifs; j++)
		if (n->ifs[j].wire)
			r = wire_npp(u, i, j, e);
	if (r < 0 || !topo_is_kernel_node(n))
		return r;
	for (j = 0; r == 0 && j < n->n_ifs; j++)
		r = make_if(u, i, &n->ifs[j], e);
	if (r == 0)
		r = make_routes(u, i, e);
	if (r == 0 && n->rules)
		r = nft_apply(u->lab.nodes[i].ns, n->name, n->rules, e);
	if (r < 0 || !bird_has_work(&u->topo, n))
		return r;
	r = step(u, "bird", n->name, e);
	return r < 0 ? r : bird_start(&u->lab, &u->topo, i, e);
}

/* ---- names ------------------------------------------------------------------------------ */

static void hosts_name(FILE *f, const char *addr, const char *name, const char *net)
{
	fprintf(f, "%s\t%s", addr, name);
	if (net)
		fprintf(f, " %s.%s", name, net);
	fputc('\n', f);
}

static void hosts_line(FILE *f, const struct topo_if *i, const char *name, const char *net)
{
	char text[NPP_ADDR_STRLEN];

	if (i->addr)
		hosts_name(f, topo_addr_text(i->addr, text), name, net);
	if (!npp_addr_is_any(&i->addr6))
		hosts_name(f, npp_addr_format(&i->addr6, text), name, net);
}

/* What does not depend on one of its ports comes first. */
static void hosts_whole(FILE *f, const struct topo_node *p, const char *name)
{
	char text[NPP_ADDR_STRLEN];

	for (uint32_t j = 0; j < p->n_whole; j++)
		hosts_name(f, npp_addr_format(&p->whole[j], text), name, NULL);
}

/* One file for all nodes: a host on NPPs has the addresses of its NPPs. */
static void hosts_text(const struct topo *t, FILE *f)
{
	uint32_t i, j, k;

	fprintf(f, "# lab %s\n127.0.0.1\tlocalhost\n::1\tlocalhost\n", t->lab);
	for (i = 0; i < t->n_nodes; i++) {
		const struct topo_node *n = &t->nodes[i];

		hosts_whole(f, n, n->name);
		for (j = 0; j < n->n_ifs && !topo_joins(n); j++)
			hosts_line(f, &n->ifs[j], n->name, t->nets[n->ifs[j].net].name);
		for (k = 0; k < n->n_npps; k++) {
			const struct topo_node *p = &t->nodes[n->npps[k]];

			hosts_whole(f, p, n->name);
			for (j = 0; j < p->n_ifs; j++)
				hosts_line(f, &p->ifs[j], n->name, p->n_ifs > 1 ? t->nets[p->ifs[j].net].name : NULL);
		}
	}
}

static int make_names(struct up *u, struct npp_err *e)
{
	static const char resolv[] = "# no name server in a lab: /etc/hosts has all names\n";
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	uint32_t i;
	int r;

	if (!f)
		return npp_err_set(e, -ENOMEM, "out of memory");
	hosts_text(&u->topo, f);
	fclose(f);
	r = step(u, "hosts files", u->lab.name, e);
	for (i = 0; r == 0 && i < u->lab.n_nodes; i++) {
		r = ns_etc_write(u->lab.nodes[i].ns, "hosts", text, len, e);
		if (r == 0 && access("/etc/resolv.conf", F_OK) == 0)
			r = ns_etc_write(u->lab.nodes[i].ns, "resolv.conf", resolv, sizeof resolv - 1, e);
	}
	free(text);
	return r;
}

/* ---- carriers ----------------------------------------------------------------------------- */

static int wait_carrier(struct nl_ns *n, const char *ifname, int64_t end, struct npp_err *e)
{
	int r;

	while ((r = nl_carrier(n, ifname)) != 1) {
		if (interrupted)
			return npp_err_set(e, -EINTR, "stopped by signal %d", (int)interrupted);
		if (now_ms() > end)
			return npp_err_set(e, -ETIMEDOUT, "%s: link %s %s", n->name, ifname,
					   r < 0 ? "is not there" : "has no carrier");
		pause_ms(2);
	}
	return 0;
}

/* Of the links of kernel nodes, or of the ports of NPPs. */
static int wait_carriers(struct up *u, bool kernel, struct npp_err *e)
{
	int64_t end = now_ms() + CARRIER_MS;
	char name[16];
	uint32_t i, j;
	int r = 0;

	for (i = 0; r == 0 && i < u->topo.n_nodes; i++) {
		const struct topo_node *n = &u->topo.nodes[i];

		if (topo_is_kernel_node(n) != kernel)
			continue;
		for (j = 0; r == 0 && j < n->n_ifs; j++) {
			r = wait_carrier(&u->nets[n->ifs[j].net], n->name, end, e);
			if (r == 0 && !kernel && n->ifs[j].wire)
				r = wait_carrier(&u->nodes[i], npp_port_link(n, j, name, sizeof name), end, e);
			if (r == 0 && kernel && n->kind != TOPO_WIRE)
				r = wait_carrier(&u->nodes[i], u->topo.nets[n->ifs[j].net].name, end, e);
		}
	}
	return r;
}

/* ---- processes ------------------------------------------------------------------------------ */

static bool has_nppd(const struct topo_node *n)
{
	return n->kind == TOPO_NPP || (n->kind == TOPO_HOST && n->stack == TOPO_STACK_NPP);
}

static int start_nppd(struct up *u, uint32_t i, const char *nppd, struct npp_err *e)
{
	struct lab *l = &u->lab;
	char conf[LAB_PATH_CAP], log[LAB_PATH_CAP];
	char prog[LAB_PATH_CAP], dir[LAB_DIR_CAP];
	char *argv[] = { prog, (char[]){ "--rundir" }, dir, (char[]){ "--ready-fd" }, (char[]){ "3" }, conf, NULL };
	struct proc_start s;
	int r;

	r = step(u, "nppd", l->nodes[i].name, e);
	if (r == 0)
		r = nppconf_write(l, &u->topo, i, conf, sizeof conf, e);
	if (r < 0)
		return r;
	snprintf(prog, sizeof prog, "%s", nppd);
	snprintf(dir, sizeof dir, "%s", l->dir);
	snprintf(log, sizeof log, "%s/%s.log", l->dir, l->nodes[i].name);
	r = proc_start(&s, l->nodes[i].ns, log, argv, e);
	if (r == 0)
		r = lab_note_proc(l, l->nodes[i].name, "nppd", &s, e);
	if (r == 0)
		u->starts[i] = s;
	return r;
}

/* The last lines of a log go to the user, who may find the log removed otherwise. */
static void show_log(struct up *u, const char *node)
{
	const struct lab *l = &u->lab;
	char path[LAB_PATH_CAP], line[512];
	long size;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.log", l->dir, node);
	f = fopen(path, "re");
	if (!f)
		return;
	progress(u, NULL);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	fseek(f, size > 3000 ? size - 3000 : 0, SEEK_SET);
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		npp_warnx("%s| %s", node, line);
	}
	fclose(f);
}

/* Nodes whose nppd has neither said that it is ready nor ended, into FDS; their numbers into NODES. */
static nfds_t pending(const struct up *u, struct pollfd *fds, uint32_t *nodes)
{
	nfds_t n = 0;

	for (uint32_t i = 0; i < u->topo.n_nodes; i++)
		if (u->starts[i].pid > 0 && u->starts[i].ready_fd >= 0) {
			fds[n] = (struct pollfd){ .fd = u->starts[i].ready_fd, .events = POLLIN };
			nodes[n++] = i;
		}
	return n;
}

/* Memory is made whole, and zeroed, before a host begins: of gigabytes that takes seconds. */
static const char *waits_for(const struct topo_node *n, char *text, size_t cap)
{
	if (n->kind == TOPO_HOST)
		snprintf(text, cap, "waiting for %s and its %llu MiB of memory", n->name, (unsigned long long)n->memory >> 20);
	else
		snprintf(text, cap, "waiting for %s", n->name);
	return text;
}

/* All at once: a host waits for its NPP, whose nppd may have ended. */
static int wait_ready(struct up *u, int64_t end, struct npp_err *e)
{
	struct pollfd fds[TOPO_MAX_NODES];
	uint32_t nodes[TOPO_MAX_NODES];
	char c, text[128];
	int64_t left;
	nfds_t n;

	while ((n = pending(u, fds, nodes))) {
		const char *name = u->lab.nodes[nodes[0]].name;

		progress(u, waits_for(&u->topo.nodes[nodes[0]], text, sizeof text));
		left = end - now_ms();
		if (poll(fds, n, left > 200 ? 200 : left > 0 ? (int)left : 0) == 0 && left <= 0) {
			show_log(u, name);
			return npp_err_set(e, -ETIMEDOUT, "nppd of '%s' is not ready after %d s", name, READY_MS / 1000);
		}
		if (interrupted)
			return npp_err_set(e, -EINTR, "stopped by signal %d", (int)interrupted);
		for (nfds_t k = 0; k < n; k++) {
			name = u->lab.nodes[nodes[k]].name;
			if (!fds[k].revents)
				continue;
			if (read(fds[k].fd, &c, 1) != 1) {
				show_log(u, name);
				return npp_err_set(e, -ECHILD, "nppd of '%s' did not start", name);
			}
			close(fds[k].fd);
			u->starts[nodes[k]].ready_fd = -1;
		}
	}
	return 0;
}

static int start_nppds(struct up *u, struct npp_err *e)
{
	char nppd[LAB_PATH_CAP];
	int64_t end = now_ms() + READY_MS;
	bool any = false;
	uint32_t i;
	int r = 0;

	for (i = 0; i < u->topo.n_nodes; i++)
		any |= has_nppd(&u->topo.nodes[i]);
	if (any && npp_self_find("nppd", nppd, sizeof nppd) < 0)
		return npp_err_set(e, -ENOENT, "cannot find nppd (is npp built or installed whole?)");
	for (i = 0; r == 0 && i < u->topo.n_nodes; i++)
		if (has_nppd(&u->topo.nodes[i]))
			r = start_nppd(u, i, nppd, e);
	return r < 0 ? r : wait_ready(u, end, e);
}

/* ---- the verb --------------------------------------------------------------------------------- */

static int make_all(struct up *u, struct npp_err *e)
{
	uint32_t i;
	int r = ns_prepare(e);

	for (i = 0; r == 0 && i < u->topo.n_nets; i++)
		r = make_net(u, i, e);
	for (i = 0; r == 0 && i < u->topo.n_nodes; i++)
		r = make_node(u, i, e);
	if (r == 0)
		r = make_names(u, e);
	if (r == 0)
		r = wait_carriers(u, true, e);
	if (r == 0)
		r = start_nppds(u, e);
	if (r == 0)
		r = wait_carriers(u, false, e);
	for (i = 0; r == 0 && i < u->topo.n_nodes; i++)
		if (u->topo.nodes[i].routing == TOPO_ROUTING_BIRD)
			r = bird_wait(&u->lab, &u->topo, i, &u->nodes[i], &interrupted, e);
	if (r == 0)
		r = autoconf_wait(&u->lab, &u->topo, &interrupted, e);
	for (i = 0; r == 0 && i < u->topo.n_nodes; i++)
		if (u->topo.nodes[i].n_starts && (r = step(u, "programs", u->topo.nodes[i].name, e)) == 0)
			r = programs_start(&u->lab, &u->topo, i, &interrupted, e);
	return r < 0 ? r : lab_save(&u->lab, "up", "", e);
}

static void close_all(struct up *u)
{
	uint32_t i;

	for (i = 0; u->nets && i < u->topo.n_nets; i++)
		nl_ns_close(&u->nets[i]);
	for (i = 0; u->nodes && i < u->topo.n_nodes; i++)
		nl_ns_close(&u->nodes[i]);
	for (i = 0; u->starts && i < u->topo.n_nodes; i++) {
		if (u->starts[i].pid <= 0)
			continue;
		if (u->starts[i].go_fd >= 0)
			close(u->starts[i].go_fd);
		if (u->starts[i].ready_fd >= 0)
			close(u->starts[i].ready_fd);
	}
	free(u->nets);
	free(u->nodes);
	free(u->starts);
}

/* The answer of --json; errors go to stderr as well. */
static void say_json(const struct up *u, const char *lab, const char *file, bool ok, const char *error)
{
	unsigned i, n = 0;

	if (u->says != UP_JSON && (ok || !u->ok))
		return;
	printf("{\"%s\": %s, \"lab\": ", u->ok ? u->ok : "ok", ok ? "true" : "false");
	json_string(stdout, lab);
	fputs(", \"file\": ", stdout);
	json_string(stdout, file);
	printf(", \"seconds\": %.3f, \"errors\": [", (double)(now_ms() - u->began_ms) / 1000);
	for (i = 0; i < topo_errors(&u->topo); i++) {
		fputs(n++ ? ",\n " : "", stdout);
		json_string(stdout, topo_error(&u->topo, i));
	}
	if (error && *error) {
		fputs(n ? ",\n " : "", stdout);
		json_string(stdout, error);
	}
	puts("]}");
}

static int run_up(struct up *u, const char *file)
{
	struct npp_err e = { "" }, e2 = { "" };
	int r = lab_create(&u->lab, &u->topo, file, &e);

	if (r < 0) {
		npp_warnx("%s", e.text);
		say_json(u, u->topo.lab, file, false, e.text);
		return 1;
	}
	u->nets = calloc(u->topo.n_nets, sizeof *u->nets);
	u->nodes = calloc(u->topo.n_nodes, sizeof *u->nodes);
	u->starts = calloc(u->topo.n_nodes, sizeof *u->starts);
	r = u->nets && u->nodes && u->starts ? make_all(u, &e) : npp_err_set(&e, -ENOMEM, "out of memory");
	close_all(u);
	progress(u, NULL);
	if (r < 0) {
		npp_warnx("lab '%s': %s", u->lab.name, e.text);
		if (lab_teardown(&u->lab, &e2) < 0)
			npp_warnx("lab '%s': taking it down again: %s", u->lab.name, e2.text);
		else
			npp_warnx("lab '%s' was taken down again", u->lab.name);
	} else if (u->says == UP_TEXT) {
		printf("lab %s: up (%s)\n", u->lab.name, file);
	}
	say_json(u, u->topo.lab, file, r == 0, e.text);
	lab_unlock(&u->lab);
	return r < 0 ? 1 : 0;
}

static int up(const char *file, const char *name, char *const *sets, unsigned n_sets, enum up_says says, const char *ok)
{
	static const char no_root[] = "up needs to be root: it makes network namespaces (npp-lab-user makes a place where every user may)";
	struct up u = { .lab = { .lock = -1 }, .says = says, .ok = ok, .began_ms = now_ms() };
	mode_t mask;
	unsigned i;
	int r;

	if (geteuid() != 0) {
		npp_warnx("%s", no_root);
		say_json(&u, name ? name : "", file, false, no_root);
		return 1;
	}
	catch_signals();
	r = topo_load(&u.topo, file, name, sets, n_sets);
	for (i = 0; i < topo_errors(&u.topo); i++)
		npp_warnx("%s", topo_error(&u.topo, i));
	if (r < 0)
		say_json(&u, u.topo.lab, file, false, NULL);
	mask = umask(022);	/* servers that drop privileges shall reach what is theirs */
	r = r == 0 ? run_up(&u, file) : 1;
	umask(mask);
	topo_free(&u.topo);
	return r;
}

int lab_up(const char *file, const char *name, char *const *sets, unsigned n_sets, bool json)
{
	return up(file, name, sets, n_sets, json ? UP_JSON : UP_TEXT, NULL);
}

int lab_up_quiet(const char *file, const char *name, char *const *sets, unsigned n_sets, const char *ok)
{
	return up(file, name, sets, n_sets, UP_QUIET, ok);
}
