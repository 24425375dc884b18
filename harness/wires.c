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

static char *wire_socket(const struct lab *l, const char *node, const char *net, char *path, size_t cap)
{
	snprintf(path, cap, "%s/wire.%s.%s", l->dir, node, net);
	return path;
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
	struct lab_proc *p;
	int r = proc_start(&s, ns, log, argv, e);

	if (r < 0)
		return r;
	p = &l->procs[l->n_procs++];
	p->node = npp_conf_strdup(l->conf, name);
	p->pid = (uint32_t)s.pid;
	p->start = npp_proc_start_time(s.pid);
	r = p->node ? lab_save(l, "starting", "wire", e) : npp_err_set(e, -ENOMEM, "out of memory");
	if (r == 0) {
		proc_release(&s);
		r = wait_ready(&s, name, log, e);
	} else {
		close(s.go_fd);
	}
	close(s.ready_fd);
	return r;
}

int wire_start(struct lab *l, const struct topo *t, uint32_t i, uint32_t j, struct npp_err *e)
{
	const struct topo_node *n = &t->nodes[i];
	const struct topo_net *net = &t->nets[n->ifs[j].net];
	bool npp = n->kind == TOPO_NPP;
	char prog[LAB_PATH_CAP], a[400], b[400], sock[LAB_PATH_CAP], log[LAB_PATH_CAP], path[NS_PATH_CAP], words[1024];
	char name[64], *argv[MAX_WORDS + 8] = { prog, (char[]){ "-r" }, (char[]){ "3" }, (char[]){ "-c" }, sock,
						 (char[]){ "-a" }, a, (char[]){ "-b" }, b };

	if (npp_self_find("npp-wire", prog, sizeof prog) < 0)
		return npp_err_set(e, -ENOENT, "cannot find npp-wire (is npp built or installed whole?)");
	if (npp)	/* the port is behind a bridge; no name in a topology begins with '_' */
		snprintf(a, sizeof a, "name=_wire,mtu=%u,bridge=%s", net->mtu, net->name);
	else
		snprintf(a, sizeof a, "name=%s,mtu=%u,mac=%s", net->name, net->mtu, l->nodes[i].ifs[j].mac);
	snprintf(b, sizeof b, "name=%s,netns=%s,mtu=%u,bridge=%s", n->name, ns_path(l->nets[n->ifs[j].net].ns, path),
		 net->mtu, net->name);
	wire_socket(l, n->name, net->name, sock, sizeof sock);
	snprintf(log, sizeof log, "%s/wire.%s.%s.log", l->dir, n->name, net->name);
	snprintf(name, sizeof name, "wire.%s.%s", n->name, net->name);
	snprintf(words, sizeof words, "%s", n->ifs[j].wire);
	add_words(argv, 9, words);
	return start_written(l, name, l->nodes[i].ns, log, argv, e);
}

int wire_ask(const struct lab *l, const char *node, const char *net, const char *request, char **answer,
	     struct npp_err *e)
{
	char path[LAB_PATH_CAP];
	struct timeval wait = { .tv_sec = 5 };
	ssize_t n = -1;
	int fd = npp_ctl_connect(wire_socket(l, node, net, path, sizeof path));

	*answer = NULL;
	if (fd < 0)
		return npp_err_set(e, fd, "the wire of %s on %s: %s", node, net, strerror(-fd));
	*answer = calloc(1, 16384);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	if (*answer && send(fd, request, strlen(request), MSG_NOSIGNAL) >= 0)
		n = recv(fd, *answer, 16383, 0);
	close(fd);
	if (n <= 0)
		return npp_err_set(e, -ETIMEDOUT, "the wire of %s on %s does not answer", node, net);
	if (strncmp(*answer, "error: ", 7) == 0)
		return npp_err_set(e, -EINVAL, "%.*s", (int)strcspn(*answer + 7, "\n"), *answer + 7);
	return 0;
}
