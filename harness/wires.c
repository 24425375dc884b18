/* SPDX-License-Identifier: GPL-2.0-or-later
 * wires.c - the npp-wires of a lab: start, and ask while they run
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/lab.h"
#include "lib/ctl.h"
#include "lib/self.h"

#define WIRE_MS 20000
#define MAX_WORDS 64

char *wire_name(const struct lab_node *n, const char *net, char name[LAB_WIRE_CAP])
{
	if (strcmp(n->kind, "wire") == 0)
		snprintf(name, LAB_WIRE_CAP, "wire.%s", n->name);
	else
		snprintf(name, LAB_WIRE_CAP, "wire.%s.%s", n->name, net);
	return name;
}

static int wait_ready(const struct proc_start *p, const char *name, const char *log, struct npp_err *e)
{
	struct pollfd fd = { .fd = p->ready_fd, .events = POLLIN };
	char line[200] = "", c;
	FILE *f;
	int r;

	do
		r = poll(&fd, 1, WIRE_MS);
	while (r < 0 && errno == EINTR);
	if (r > 0 && read(fd.fd, &c, 1) == 1)
		return 0;
	f = fopen(log, "re");
	while (f && fgets(line, sizeof line, f))
		;
	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return npp_err_set(e, -ECHILD, "%s did not start%s%s", name, line[0] ? ": " : "", line);
}

/* Words of SETTINGS become arguments from ARGV[N] on. */
static void add_words(char **argv, unsigned n, char *settings)
{
	char *save = NULL, *word;

	for (word = strtok_r(settings, " ", &save); word && n < MAX_WORDS - 1; word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
}

static int start_written(struct lab *l, const char *name, const char *ns, const char *log, char **argv,
			 struct npp_err *e)
{
	struct proc_start s;
	int r = proc_start(&s, ns, log, argv, e);

	if (r == 0)
		r = lab_note_proc(l, name, "wire", &s, e);
	if (r < 0)
		return r;
	r = wait_ready(&s, name, log, e);
	close(s.ready_fd);
	return r;
}

/* End a of the wire of link J: at the node, or, of a node that is a wire, on its first network. */
static void near_end(const struct lab *l, const struct topo *t, uint32_t i, uint32_t j, char *end, size_t cap)
{
	const struct topo_node *n = &t->nodes[i];
	const struct topo_net *net = &t->nets[n->ifs[j].net], *first = &t->nets[n->ifs[0].net];
	char path[NS_PATH_CAP], port[16];

	if (n->kind == TOPO_WIRE)
		snprintf(end, cap, "name=%s,netns=%s,mtu=%u,bridge=%s", n->name, ns_path(l->nets[n->ifs[0].net].ns, path),
			 first->mtu, first->name);
	else if (n->kind == TOPO_NPP)	/* the port is behind a bridge; no name in a topology begins with '_' */
		snprintf(end, cap, "name=_wire%u,mtu=%u,bridge=%s,port=%s", j, net->mtu, net->name,
			 npp_port_link(n, j, port, sizeof port));
	else
		snprintf(end, cap, "name=%s,mtu=%u,mac=%s%s%s", net->name, net->mtu, l->nodes[i].ifs[j].mac,
			 n->kind == TOPO_SWITCH ? ",bridge=" : "", n->kind == TOPO_SWITCH ? n->name : "");
}

int wire_start(struct lab *l, const struct topo *t, uint32_t i, uint32_t j, struct npp_err *e)
{
	const struct topo_node *n = &t->nodes[i];
	uint32_t at = n->kind == TOPO_WIRE ? 1 : j;	/* the link at end b */
	const struct topo_net *net = &t->nets[n->ifs[at].net];
	char prog[LAB_PATH_CAP], a[400], b[400], sock[LAB_PATH_CAP], log[LAB_PATH_CAP], path[NS_PATH_CAP], words[1024];
	char name[LAB_WIRE_CAP], *argv[MAX_WORDS + 8] = { prog, (char[]){ "-r" }, (char[]){ "3" }, (char[]){ "-c" }, sock,
						 (char[]){ "-a" }, a, (char[]){ "-b" }, b };

	if (npp_self_find("npp-wire", prog, sizeof prog) < 0)
		return npp_err_set(e, -ENOENT, "cannot find npp-wire (is npp built or installed whole?)");
	near_end(l, t, i, at, a, sizeof a);
	snprintf(b, sizeof b, "name=%s,netns=%s,mtu=%u,bridge=%s", n->name, ns_path(l->nets[n->ifs[at].net].ns, path),
		 net->mtu, net->name);
	wire_name(&l->nodes[i], net->name, name);
	snprintf(sock, sizeof sock, "%s/%s", l->dir, name);
	snprintf(log, sizeof log, "%s/%s.log", l->dir, name);
	snprintf(words, sizeof words, "%s", l->nodes[i].ifs[at].wire);
	add_words(argv, 9, words);
	return start_written(l, name, l->nodes[i].ns, log, argv, e);
}

int wire_ask(const struct lab *l, const struct lab_node *n, const char *net, const char *request, char **answer,
	     struct npp_err *e)
{
	char path[LAB_PATH_CAP], name[LAB_WIRE_CAP];
	struct timeval wait = { .tv_sec = 5 };
	ssize_t got = -1;
	int fd;

	*answer = NULL;
	snprintf(path, sizeof path, "%s/%s", l->dir, wire_name(n, net, name));
	fd = npp_ctl_connect(path);
	if (fd < 0)
		return npp_err_set(e, fd, "%s: %s", name, strerror(-fd));
	*answer = calloc(1, 16384);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	if (*answer && send(fd, request, strlen(request), MSG_NOSIGNAL) >= 0)
		got = recv(fd, *answer, 16383, 0);
	close(fd);
	if (got <= 0)
		return npp_err_set(e, -ETIMEDOUT, "%s does not answer", name);
	if (strncmp(*answer, "error: ", 7) == 0)
		return npp_err_set(e, -EINVAL, "%.*s", (int)strcspn(*answer + 7, "\n"), *answer + 7);
	return 0;
}
