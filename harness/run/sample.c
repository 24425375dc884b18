/* SPDX-License-Identifier: GPL-2.0-or-later
 * sample.c - NPPs and wires, looked at twice a second while a scenario runs
 *
 * A process of its own, so that nothing on the time line waits for it.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/run/run.h"
#include "lib/self.h"

#define EVERY_MS 500
#define MAX_ANSWER (1u << 20)

static double seconds_since(uint64_t start_ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec - start_ns) / 1e9;
}

/* What `npp stat LAB/NODE --json` says, into TEXT; its length. */
static size_t ask_npp(const struct lab *l, const char *npp, const char *node, char *text)
{
	char target[64];
	size_t len = 0;
	ssize_t n;
	int p[2];
	pid_t pid;

	snprintf(target, sizeof target, "%s/%s", l->name, node);
	if (pipe(p) < 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		close(p[0]);
		close(p[1]);
		execl(npp, "npp", "stat", target, "--json", (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	while (len < MAX_ANSWER - 1 && (n = read(p[0], text + len, MAX_ANSWER - 1 - len)) > 0)
		len += (size_t)n;
	close(p[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return len;
}

static uint64_t number(const struct npp_conf_node *n)
{
	uint64_t v = 0;

	if (n && n->kind == NPP_CONF_SCALAR)
		npp_conf_parse_u64(n->text, &v);
	return v;
}

static void sample_npp(FILE *f, double t, const char *node, const char *text, size_t len)
{
	const struct npp_conf_node *list, *p, *c, *k, *role;
	struct npp_conf *conf = NULL;
	uint64_t drops = 0;

	if (npp_conf_load_text(&conf, "npp stat", text, len) < 0) {
		npp_conf_free(conf);
		return;
	}
	list = npp_conf_get(npp_conf_root(conf), "processes");
	for (p = list ? list->first : NULL; p; p = p->next) {
		c = npp_conf_get(p, "counters");
		role = npp_conf_get(p, "role");
		for (k = c ? c->first : NULL; k; k = k->next)
			drops += strncmp(k->key, "drop.", 5) == 0 ? number(k) : 0;
		if (role && role->kind == NPP_CONF_SCALAR && strcmp(role->text, "ism") == 0)
			fprintf(f, "%.3f conns %s.iop%llu %llu\n", t, node, (unsigned long long)number(npp_conf_get(p, "index")),
				(unsigned long long)number(npp_conf_get(c, "tcp.conns")));
	}
	fprintf(f, "%.3f drops %s %llu\n", t, node, (unsigned long long)drops);
	npp_conf_free(conf);
}

static void sample_wire(FILE *f, double t, const struct lab *l, const struct link *k)
{
	static const char *const keys[] = { "lost", "burst_lost", "queue_full", "too_big", "blackout", "no_memory" };
	struct npp_conf *conf = NULL;
	char *answer = NULL, path[64], name[LAB_WIRE_CAP];
	uint64_t drops = 0;

	if (wire_ask(l, k->node, k->ifc->network, "get", &answer, NULL) == 0 &&
	    npp_conf_load_text(&conf, "wire", answer, strlen(answer)) == 0) {
		for (unsigned i = 0; i < 2 * sizeof keys / sizeof *keys; i++) {
			snprintf(path, sizeof path, "%s.counters.%s", i & 1 ? "up" : "down", keys[i / 2]);
			drops += number(npp_conf_find(conf, path));
		}
		fprintf(f, "%.3f wire %s %llu\n", t, wire_name(k->node, k->ifc->network, name) + 5, (unsigned long long)drops);
	}
	npp_conf_free(conf);
	free(answer);
}

_Noreturn void sample_loop(struct lab *l, const char *file, uint64_t start_ns)
{
	char npp[LAB_PATH_CAP], *text = malloc(MAX_ANSWER);
	FILE *f = fopen(file, "we");
	struct link k;
	size_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	if (!f || !text || npp_self_find("npp", npp, sizeof npp) < 0)
		_exit(1);
	setenv("NPP_RUNDIR", lab_rundir(), 1);
	for (;;) {
		double t = seconds_since(start_ns);

		for (uint32_t i = 0; i < l->n_nodes; i++) {
			if (strcmp(l->nodes[i].kind, "npp") != 0)
				continue;
			n = ask_npp(l, npp, l->nodes[i].name, text);
			sample_npp(f, t, l->nodes[i].name, text, n);
		}
		for (uint32_t i = 0; link_at(l, i, &k); i++)
			if (k.ifc->wire && (strcmp(k.node->kind, "wire") != 0 || k.ifc == k.node->ifs))
				sample_wire(f, t, l, &k);
		fflush(f);
		pause_ms(EVERY_MS);
	}
}
