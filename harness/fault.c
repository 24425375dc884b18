/* SPDX-License-Identifier: GPL-2.0-or-later
 * fault.c - break things: processes, links, whole networks
 *
 * What stands until it is taken back is noted in lab.json, for `status`.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/verbs.h"

#define MAX_PIDS 4096
#define DEATH_MS 1000	/* what dies of SIGKILL may still have much memory to give back */

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
	int n = role_pids(l, role, pids, MAX_PIDS, e);
	unsigned done;

	if (n < 0)
		return n;
	proc_kill(pids, (unsigned)n, sig, sig == SIGKILL ? DEATH_MS : 0, &done);	/* who looks next finds them dead */
	snprintf(what, cap, "%s %s: %u process%s", sig == SIGKILL ? "killed" : sig == SIGSTOP ? "stopped" : sig == SIGCONT ? "continued" : "signalled", role,
		 done, done == 1 ? "" : "es");
	return done ? 0 : npp_err_set(e, -ESRCH, "'%s' was gone at once", role);
}

/* LINK down|up|flap [TIME] into K and US. */
static int parse_link(struct lab *l, char *const words[], struct link *k, uint64_t *us, struct npp_err *e)
{
	unsigned n = count_words(words);

	if (n < 2 || n > 3 || (n == 3 && strcmp(words[1], "flap") != 0))
		return npp_err_set(e, -EINVAL, "expected link LINK down, up or flap [TIME]");
	if (strcmp(words[1], "down") && strcmp(words[1], "up") && strcmp(words[1], "flap"))
		return npp_err_set(e, -EINVAL, "a link goes down, up or flaps, not '%s'", words[1]);
	if (n == 3 && (npp_conf_parse_time(words[2], us) < 0 || *us > 600000000))
		return npp_err_set(e, -EINVAL, "'%s' is not a time (500ms, at most 600s)", words[2]);
	return link_find(l, words[0], k, e);
}

/* Down, and up after US or when somebody interrupts us. Meanwhile, or if we are killed, the link is known to be down. */
static int flap(const struct lab *l, const struct link *k, uint64_t us, const char *fault, const char *down, struct npp_err *e)
{
	const volatile sig_atomic_t *stop = stop_on_signals();
	int64_t end = now_ms() + (int64_t)(us / 1000), left;
	int r = lab_note_fault(l, fault, down, e), up;

	if (r == 0)
		r = link_set(k, false, e);
	while (r == 0 && !*stop && (left = end - now_ms()) > 0)
		pause_ms(left < 100 ? (int)left : 100);
	up = link_set(k, true, r < 0 ? NULL : e);
	if (up == 0)
		up = lab_note_fault(l, fault, NULL, r < 0 ? NULL : e);
	if (r == 0 && up == 0 && *stop)
		return npp_err_set(e, -EINTR, "stopped by signal %d: the link is up again", (int)*stop);
	return r < 0 ? r : up;
}

/* flap: down, up after TIME (1s). */
static int fault_link(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e)
{
	uint64_t us = 1000000;
	char fault[128], down[136];
	struct link k;
	int r = parse_link(l, words, &k, &us, e);

	if (r < 0)
		return r;
	snprintf(what, cap, "link %s.%s %s", k.node->name, k.ifc->network, words[1]);
	snprintf(fault, sizeof fault, "link %s.%s", k.node->name, k.ifc->network);
	snprintf(down, sizeof down, "%s down", fault);
	if (strcmp(words[1], "flap") == 0)
		return flap(l, &k, us, fault, down, e);
	r = link_set(&k, strcmp(words[1], "up") == 0, e);
	return r < 0 ? r : lab_note_fault(l, fault, strcmp(words[1], "down") == 0 ? down : NULL, e);
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

static int check_partition(struct lab *l, char *const words[], struct npp_err *e)
{
	if (!words[0] || !words[1])
		return npp_err_set(e, -EINVAL, "expected partition NETWORK NODE...");
	if (!find_net_ns(l, words[0], e))
		return -ENOENT;
	for (int i = 1; words[i]; i++)
		if (!on_net(l, words[i], words[0]))
			return npp_err_set(e, -ENOENT, "'%s' is no node on network '%s'", words[i], words[0]);
	return 0;
}

static int note_partition(struct lab *l, const char *net, const char *what, struct npp_err *e)
{
	char fault[80];

	snprintf(fault, sizeof fault, "partition %s", net);
	return lab_note_fault(l, fault, what, e);
}

/* Frames between the named nodes and all others are dropped by the network's bridge. */
static int partition(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e)
{
	char set[2048], rules[9000];
	size_t len = 0;
	int r = check_partition(l, words, e);

	if (r < 0)
		return r;
	for (int i = 1; words[i] && len < sizeof set; i++)
		len += (size_t)snprintf(set + len, sizeof set - len, "%s\"%s\"", i > 1 ? ", " : "", words[i]);
	if (len >= sizeof set)
		return npp_err_set(e, -E2BIG, "too many nodes");
	snprintf(rules, sizeof rules, TABLE " {}\ndelete " TABLE "\n" TABLE " { chain f { type filter hook forward priority 0;\n"
		 "iifname { %s } oifname != { %s } drop\niifname != { %s } oifname { %s } drop\n}\n}\n", set, set, set, set);
	r = nft_apply(find_net_ns(l, words[0], e), words[0], rules, e);
	snprintf(what, cap, "network %s is in two parts", words[0]);
	return r < 0 ? r : note_partition(l, words[0], what, e);
}

static int heal(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e)
{
	int r = nft_apply(find_net_ns(l, words[0], e), words[0], TABLE " {}\ndelete " TABLE "\n", e);

	snprintf(what, cap, "network %s is whole again", words[0]);
	return r < 0 ? r : note_partition(l, words[0], NULL, e);
}

static const struct { const char *name; int sig; } signals[] = {
	{ "kill", SIGKILL }, { "stop", SIGSTOP }, { "cont", SIGCONT }, { "hup", SIGHUP }, { "term", SIGTERM },
};
#define N_SIGNALS (sizeof signals / sizeof *signals)

static int find_signal(const char *word)
{
	for (size_t i = 0; word && i < N_SIGNALS; i++)
		if (strcmp(word, signals[i].name) == 0)
			return signals[i].sig;
	return 0;
}

static int check_heal(struct lab *l, char *const words[], struct npp_err *e)
{
	return count_words(words) != 1 ? npp_err_set(e, -EINVAL, "expected heal NETWORK") : find_net_ns(l, words[0], e) ? 0 : -ENOENT;
}

static int check_link(struct lab *l, char *const words[], struct npp_err *e)
{
	uint64_t us;
	struct link k;

	return parse_link(l, words, &k, &us, e);
}

static const struct kind {
	const char *name;	/* the first word; the others go to the functions */
	int (*check)(struct lab *l, char *const words[], struct npp_err *e);
	int (*apply)(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e);
} kinds[] = {
	{ "link", check_link, fault_link }, { "partition", check_partition, partition }, { "heal", check_heal, heal },
	{ "memory", fault_memory_check, fault_memory }, { "hugepages", fault_hugepages_check, fault_hugepages },
};

static const struct kind *find_kind(const char *word)
{
	for (size_t i = 0; word && i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(word, kinds[i].name) == 0)
			return &kinds[i];
	return NULL;
}

int fault_check(struct lab *l, char *const words[], struct npp_err *e)
{
	const struct kind *k = find_kind(words[0]);

	if (find_signal(words[0]))
		return count_words(words) == 2 ? role_check(l, words[1], e) :
		       npp_err_set(e, -EINVAL, "expected %s ROLE", words[0]);
	if (k)
		return k->check(l, words + 1, e);
	return npp_err_set(e, -EINVAL, "expected kill, stop, cont, hup or term ROLE, link LINK down|up|flap, "
			   "partition NETWORK NODE..., heal NETWORK, memory HOST gone|back, hugepages gone|back");
}

int fault_do(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e)
{
	int r = fault_check(l, words, e);

	what[0] = '\0';
	if (r < 0)
		return r;
	if (find_signal(words[0]))
		return signal_role(l, words[1], find_signal(words[0]), what, cap, e);
	return find_kind(words[0])->apply(l, words + 1, what, cap, e);
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
		verb_failed("fault", e.text, json);
	return r == 0 ? 0 : r == -EINVAL ? 2 : 1;
}
