/* SPDX-License-Identifier: GPL-2.0-or-later
 * fault.c - break things: processes, links, whole networks
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/verbs.h"

#define MAX_PIDS 4096

static unsigned count_words(char *const words[])
{
	unsigned n = 0;

	while (words[n])
		n++;
	return n;
}

static int signal_role(struct lab *l, const char *role, int sig, char *what, size_t cap, struct npp_err *e)
{
	pid_t pids[MAX_PIDS];
	int n = role_pids(l, role, pids, MAX_PIDS, e), i, done = 0;

	if (n < 0)
		return n;
	for (i = 0; i < n; i++)
		done += kill(pids[i], sig) == 0;
	snprintf(what, cap, "%s %s: %d process%s", sig == SIGKILL ? "killed" : sig == SIGSTOP ? "stopped" : sig == SIGCONT ? "continued" : "signalled", role,
		 done, done == 1 ? "" : "es");
	return done ? 0 : npp_err_set(e, -ESRCH, "'%s' was gone at once", role);
}

/* flap: down, up after TIME (1s). */
static int fault_link(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e)
{
	unsigned n = count_words(words);
	uint64_t us = 1000000;
	struct link k;
	int r;

	if (n < 2 || n > 3 || (n == 3 && (strcmp(words[1], "flap") != 0 || npp_conf_parse_time(words[2], &us) < 0 ||
					  us > 600000000)))
		return npp_err_set(e, -EINVAL, "expected link LINK down, up or flap [TIME]");
	if (strcmp(words[1], "down") && strcmp(words[1], "up") && strcmp(words[1], "flap"))
		return npp_err_set(e, -EINVAL, "a link goes down, up or flaps, not '%s'", words[1]);
	r = link_find(l, words[0], &k, e);
	if (r == 0)
		r = link_set(&k, strcmp(words[1], "up") == 0, e);
	if (r == 0 && strcmp(words[1], "flap") == 0) {
		pause_ms((int)(us / 1000));
		r = link_set(&k, true, e);
	}
	if (r == 0)
		snprintf(what, cap, "link %s.%s %s", k.node->name, k.ifc->network, words[1]);
	return r;
}

static const char *find_net_ns(const struct lab *l, const char *net, struct npp_err *e)
{
	for (uint32_t i = 0; i < l->n_nets; i++)
		if (strcmp(l->nets[i].name, net) == 0)
			return l->nets[i].ns;
	npp_err_set(e, -ENOENT, "lab '%s' has no network '%s'", l->name, net);
	return NULL;
}

static bool on_net(struct lab *l, const char *node, const char *net)
{
	const struct lab_node *n = lab_find_node(l, node);

	for (uint32_t j = 0; n && j < n->n_ifs; j++)
		if (strcmp(n->ifs[j].network, net) == 0)
			return true;
	return false;
}

#define TABLE "table bridge npp_lab_partition"

/* Frames between the named nodes and all others are dropped by the network's bridge. */
static int partition(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e)
{
	const char *ns = words[0] ? find_net_ns(l, words[0], e) : NULL;
	char set[2048], rules[9000];
	size_t len = 0;
	int r;

	if (!words[0] || !words[1])
		return npp_err_set(e, -EINVAL, "expected partition NETWORK NODE...");
	if (!ns)
		return -ENOENT;
	for (int i = 1; words[i]; i++) {
		if (!on_net(l, words[i], words[0]))
			return npp_err_set(e, -ENOENT, "'%s' is no node on network '%s'", words[i], words[0]);
		if (len < sizeof set)
			len += (size_t)snprintf(set + len, sizeof set - len, "%s\"%s\"", i > 1 ? ", " : "", words[i]);
	}
	if (len >= sizeof set)
		return npp_err_set(e, -E2BIG, "too many nodes");
	snprintf(rules, sizeof rules, TABLE " {}\ndelete " TABLE "\n" TABLE " { chain f { type filter hook forward priority 0;\n"
		 "iifname { %s } oifname != { %s } drop\niifname != { %s } oifname { %s } drop\n}\n}\n", set, set, set, set);
	r = nft_apply(ns, words[0], rules, e);
	snprintf(what, cap, "network %s is in two parts", words[0]);
	return r;
}

static int heal(struct lab *l, const char *net, char *what, size_t cap, struct npp_err *e)
{
	const char *ns = net ? find_net_ns(l, net, e) : NULL;

	if (!net)
		return npp_err_set(e, -EINVAL, "expected heal NETWORK");
	if (!ns)
		return -ENOENT;
	snprintf(what, cap, "network %s is whole again", net);
	return nft_apply(ns, net, TABLE " {}\ndelete " TABLE "\n", e);
}

int fault_do(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e)
{
	static const struct { const char *name; int sig; } signals[] = {
		{ "kill", SIGKILL }, { "stop", SIGSTOP }, { "cont", SIGCONT }, { "hup", SIGHUP }, { "term", SIGTERM },
	};
	unsigned n = count_words(words);

	what[0] = '\0';
	for (size_t i = 0; n && i < sizeof signals / sizeof *signals; i++)
		if (strcmp(words[0], signals[i].name) == 0)
			return n == 2 ? signal_role(l, words[1], signals[i].sig, what, cap, e) :
			       npp_err_set(e, -EINVAL, "expected %s ROLE", words[0]);
	if (n && strcmp(words[0], "link") == 0)
		return fault_link(l, words + 1, what, cap, e);
	if (n && strcmp(words[0], "partition") == 0)
		return partition(l, words + 1, what, cap, e);
	if (n && strcmp(words[0], "heal") == 0)
		return heal(l, words[1], what, cap, e);
	return npp_err_set(e, -EINVAL, "expected kill, stop, cont, hup or term ROLE, link LINK down|up|flap, "
			   "partition NETWORK NODE..., heal NETWORK");
}

int lab_fault(const char *lab, char *const words[], bool json)
{
	struct lab l = { .lock = -1 };
	struct npp_err e = { "" };
	char what[160] = "";
	int r = lab_open_own(&l, lab, &e);

	if (r == 0)
		r = fault_do(&l, words, what, sizeof what, &e);
	if (r == 0 && json) {
		fputs("{\"done\": ", stdout);
		json_string(stdout, what);
		fputs("}\n", stdout);
	} else if (r == 0) {
		puts(what);
	}
	lab_free(&l);
	if (r < 0)
		npp_warnx("fault: %s", e.text);
	return r == 0 ? 0 : r == -EINVAL ? 2 : 1;
}
