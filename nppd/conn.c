/* SPDX-License-Identifier: GPL-2.0-or-later
 * conn.c - connections to NAME.sock: tools, and the hosts of an NPP
 *
 * The file is root's alone (0600), so whoever connects is a tool or the nppd of a host.
 * The latter passes its connection on to an npp-osm, which runs with less: so it first
 * says HOST_CONN, and from then on the connection takes messages of hosts only.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nppd/nppd.h"

#define MAX_CONNS 64

void conn_close(struct nppd *d, struct conn *c)
{
	struct conn **p = &d->conns;
	int fd = c->src.fd;

	while (*p && *p != c)
		p = &(*p)->next;
	if (*p)
		*p = c->next;
	d->n_conns--;
	restart_conn_gone(d, c);
	if (c->is_host && d->ops->host_gone)
		d->ops->host_gone(d, c);
	loop_del(&d->loop, &c->src);
	close(fd);
	free(c);
}

static int answer(struct conn *c, const struct npp_ctl_msg *m, int error, const void *body, size_t len, const int *fds,
		  unsigned nfds)
{
	return nppd_send(c->src.fd, 200, NPP_CTL_ANSWER, m->hdr.seq, error, body, len, fds, nfds);
}

static int send_status(struct conn *c, const struct npp_ctl_msg *m)
{
	struct { struct npp_ctl_status st; struct npp_ctl_child child[MAX_CHILDREN]; } a;
	struct nppd *d = c->d;

	memset(&a, 0, sizeof a);
	a.st.abi_version = NPP_ABI_VERSION;
	a.st.layout_hash = npp_abi_layout_hash();
	snprintf(a.st.name, sizeof a.st.name, "%s", settings_name(d->s));
	a.st.pid = getpid();
	a.st.n_children = d->n_children;
	a.st.huge_pages = d->huge_pages;
	d->ops->status(d, &a.st);
	for (unsigned i = 0; i < d->n_children; i++) {
		const struct child *k = &d->child[i];

		a.child[i] = (struct npp_ctl_child){ .role = k->role, .index = k->index, .pid = k->p.pidfd >= 0 ? k->p.pid : 0,
						     .state = k->state, .restarts = k->restarts,
						     .exit_status = k->exit_status };
	}
	return answer(c, m, 0, &a, sizeof a.st + d->n_children * sizeof a.child[0], NULL, 0);
}

static int send_regions(struct conn *c, const struct npp_ctl_msg *m)
{
	struct npp_ctl_regions r = { 0 };
	int fds[NPP_CTL_MAX_FDS];
	unsigned n = c->d->ops->regions(c->d, &r, fds, NPP_CTL_MAX_FDS);
	bool ok = true;
	int err;

	for (unsigned i = 0; i < n; i++)
		ok = ok && fds[i] >= 0;
	err = answer(c, m, ok ? 0 : -EMFILE, &r, ok ? sizeof r : 0, fds, ok ? n : 0);
	for (unsigned i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return err;
}

static int become_host(struct conn *c, const struct npp_ctl_msg *m)
{
	const struct npp_ctl_npp_conn *b = (const void *)m->body;

	if (!c->d->ops->host_msg)
		return answer(c, m, -ENOTSUP, NULL, 0, NULL, 0);
	if (!c->d->up)
		return answer(c, m, -EAGAIN, NULL, 0, NULL, 0);
	if (m->hdr.len != sizeof *b || memchr(b->name, 0, sizeof b->name) == NULL || !npp_conf_name_ok(b->name, 1, 31))
		return -EPROTO;
	c->is_host = true;
	memcpy(c->host_name, b->name, sizeof c->host_name);
	/* Who only says that it leaves does not wait for this. */
	answer(c, m, 0, NULL, 0, NULL, 0);
	return 0;
}

static int tool_msg(struct conn *c, const struct npp_ctl_msg *m)
{
	int r;

	switch (m->hdr.type) {
	case NPP_CTL_TOOL_STATUS:
		return send_status(c, m);
	case NPP_CTL_TOOL_REGIONS:
		return send_regions(c, m);
	case NPP_CTL_TOOL_STOP:
		r = answer(c, m, 0, NULL, 0, NULL, 0);
		npp_info("told to stop");
		nppd_stop(c->d, 0);
		return r;
	case NPP_CTL_TOOL_RESTART:
		return restart_ask(c, m);
	case NPP_CTL_TOOL_HOST:
		return c->d->ops->tool_host ? c->d->ops->tool_host(c->d, c, m) : answer(c, m, -ENOTSUP, NULL, 0, NULL, 0);
	case NPP_CTL_HOST_CONN:
		return become_host(c, m);
	default:
		return answer(c, m, -ENOTSUP, NULL, 0, NULL, 0);
	}
}

static void on_message(struct loop_fd *src)
{
	static uint8_t buf[NPP_CTL_MAX_BODY] __attribute__((aligned(16)));
	struct conn *c = src->arg;
	struct npp_ctl_msg m;
	int r = npp_ctl_recv(src->fd, &m, buf, sizeof buf, 0);

	if (r == -EAGAIN)
		return;
	if (r > 0) {
		r = c->is_host ? c->d->ops->host_msg(c->d, c, &m) : tool_msg(c, &m);
		npp_ctl_close_fds(&m);
		if (r >= 0)
			return;
	}
	if (r < 0 && (c->is_host || r == -EPROTO))
		npp_warnx("connection of %s%s: %s", c->is_host ? "host " : "a tool", c->host_name, strerror(-r));
	conn_close(c->d, c);
}

static void on_connect(struct loop_fd *src)
{
	struct nppd *d = src->arg;
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c;

	if (fd < 0)
		return;
	c = d->n_conns < MAX_CONNS && !d->stopping ? calloc(1, sizeof *c) : NULL;
	if (!c) {
		close(fd);
		return;
	}
	c->d = d;
	if (loop_add(&d->loop, &c->src, fd, on_message, c) < 0) {
		close(fd);
		free(c);
		return;
	}
	c->next = d->conns;
	d->conns = c;
	d->n_conns++;
}

int conn_listen(struct nppd *d)
{
	int n = snprintf(d->path, sizeof d->path, "%s/%s.sock", d->rundir, settings_name(d->s));
	const struct npp_conf_node *map = d->s->is_host ? d->s->host.node : d->s->npp.node;

	if (n < 0 || (size_t)n >= sizeof d->path) {
		npp_conf_error_key(d->s->conf, map, "name", "the path %s/%s.sock is too long for a socket", d->rundir,
				   settings_name(d->s));
		return -ENAMETOOLONG;
	}
	d->listen_fd = npp_ctl_listen(d->path, 0600);
	if (d->listen_fd == -EADDRINUSE)
		npp_conf_error_key(d->s->conf, map, "name", "'%s' is running already (%s)", settings_name(d->s), d->path);
	else if (d->listen_fd < 0)
		npp_conf_error_key(d->s->conf, map, "name", "%s: %s", d->path, strerror(-d->listen_fd));
	if (d->listen_fd < 0)
		return d->listen_fd;
	fcntl(d->listen_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

int conn_serve(struct nppd *d)
{
	return loop_add(&d->loop, &d->listen_src, d->listen_fd, on_connect, d);
}

void conn_fini(struct nppd *d)
{
	while (d->conns)
		conn_close(d, d->conns);
	loop_del(&d->loop, &d->listen_src);
	if (d->listen_fd >= 0) {
		unlink(d->path);
		close(d->listen_fd);
	}
	d->listen_fd = -1;
}
