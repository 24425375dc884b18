/* SPDX-License-Identifier: GPL-2.0-or-later
 * rpc.c - connections of programs and what they ask
 *
 * One handler per request, found by a table that also says how long the body is. A
 * handler returns an error to be answered, or has answered, or has left an
 * osm_answer with whatever will answer later. Nothing here waits.
 */
#include "config.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"

/* ---- connections ------------------------------------------------------------------------- */

void osm_conn_close(struct npp_osm *o, unsigned i)
{
	if (o->conn[i].fd >= 0)
		close(o->conn[i].fd);
	o->conn[i].fd = -1;
	o->conn[i].proc = OSM_NO_PROC;
}

void osm_conn_accept(struct npp_osm *o)
{
	for (unsigned n = 0; n < 64; n++) {
		int fd = accept4(o->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), pid;
		unsigned i, uid, gid;

		if (fd < 0)
			return;
		for (i = 0; i < OSM_MAX_CONNS && o->conn[i].fd >= 0; i++)
			;
		if (i == OSM_MAX_CONNS || npp_ctl_peer(fd, &pid, &uid, &gid) ||
		    osm_poll_add(o, fd, OSM_EV_CONN, i, ++o->serial)) {
			close(fd);
			continue;
		}
		o->conn[i] = (struct osm_conn){ .fd = fd, .serial = o->serial, .proc = OSM_NO_PROC, .pid = pid, .uid = uid };
	}
}

/* Sends an answer on connection I. One that does not read its answers is closed: the
 * send must not wait. */
static void reply(struct npp_osm *o, unsigned i, uint32_t seq, int error, const void *body, size_t len,
		  const int *fds, unsigned nfds)
{
	if (o->conn[i].fd < 0)
		return;
	if (osm_would_block(o->conn[i].fd) ||
	    npp_ctl_send(o->conn[i].fd, NPP_CTL_ANSWER, seq, error, body, len, fds, nfds))
		osm_conn_close(o, i);
}

/* Answers a BIND, LISTEN or CLOSE that W stands for, once, if its program is still there. */
void osm_answer_bind(struct npp_osm *o, struct osm_answer *w, int error, uint32_t sock, uint32_t gen, uint16_t port)
{
	struct npp_ctl_bind b = { .sock = sock, .gen = gen, .port = port };

	if (!w->due)
		return;
	w->due = false;
	if (o->conn[w->conn].fd >= 0 && o->conn[w->conn].serial == w->serial)
		reply(o, w->conn, w->seq, error, &b, error ? 0 : sizeof b, NULL, 0);
}

/* ---- requests ------------------------------------------------------------------------------ */

#define LATER 1	/* answered, or will be */

static int on_hello(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	struct npp_ctl_welcome w = { .n_attach = o->n_npps };
	unsigned p;
	int err = osm_proc_hello(o, &o->conn[i], body, &p);

	if (err)
		return err;
	o->conn[i].proc = w.proc = p;
	memcpy(w.host, o->name, sizeof w.host);
	reply(o, i, seq, 0, &w, sizeof w, &o->host_fd, 1);
	return LATER;
}

static int on_get_attach(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	const struct npp_ctl_iop *q = body;
	struct npp_ctl_attached r = { 0 };
	int fds[1 + 2 * NPP_MAX_IOPS];
	const struct osm_npp *n;

	if (q->attach >= NPP_MAX_ATTACH || q->attach >= o->n_npps)
		return -EINVAL;
	n = &o->npp[q->attach];
	if (!n->attached || n->lost_at)
		return -ENETDOWN;
	r.attach = q->attach;
	r.host_no = n->host_no;
	r.n_iops = n->n_iops;
	r.iop_up = atomic_load_explicit(&o->host->attach[q->attach].iop_up, memory_order_relaxed);
	memcpy(r.name, n->name, sizeof r.name);
	r.epoch = n->epoch;
	/* An ISM may have written there: all programs would ask. */
	atomic_store_explicit(&o->host->attach[q->attach].epoch, n->epoch, memory_order_release);
	fds[0] = n->global_fd;
	memcpy(fds + 1, n->bell_fd, n->n_iops * sizeof *fds);
	memcpy(fds + 1 + n->n_iops, n->inbound_fd, n->n_iops * sizeof *fds);
	reply(o, i, seq, 0, &r, sizeof r, fds, 1 + 2 * n->n_iops);
	return LATER;
}

static int on_ctx_open(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	struct npp_ctl_ctx c = *(const struct npp_ctl_ctx *)body;
	unsigned ctx;
	int err = osm_ctx_open(o, o->conn[i].proc, c.kind, &ctx);

	if (err)
		return err;
	c.ctx = ctx;
	reply(o, i, seq, 0, &c, sizeof c, &o->bell[ctx], 1);
	return LATER;
}

static int on_ctx_close(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	uint32_t c = ((const struct npp_ctl_ctx *)body)->ctx;

	(void)seq;
	if (c == 0 || c >= NPP_MAX_CTX || o->ctx[c].state != NPP_CTX_OPEN || o->ctx[c].proc != o->conn[i].proc)
		return -EINVAL;
	osm_ctx_retire(o, c);
	return 0;
}

static int on_chunk(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	const struct npp_ctl_chunk *q = body;

	(void)seq;
	if (q->proc != o->conn[i].proc)
		return -EPERM;
	return osm_proc_chunk(o, q->proc, q->chunk);
}

static int on_fork(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	struct npp_ctl_fork r = { 0 };
	unsigned p;
	int err;

	(void)body;
	err = osm_proc_fork(o, o->conn[i].proc, &p);
	if (err)
		return err;
	r.proc = p;
	r.pid = (int32_t)o->proc_shm[p].turn;
	reply(o, i, seq, 0, &r, sizeof r, NULL, 0);
	return LATER;
}

static int on_fork_done(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	const struct npp_ctl_fork *q = body;

	(void)seq;
	return osm_proc_fork_done(o, o->conn[i].proc, q->proc, q->pid);
}

/* Is B about a record of the programs that is in use? */
static struct npp_sock *record_of(struct npp_osm *o, const struct npp_ctl_bind *b)
{
	struct npp_sock *s = b->sock <= o->sock_prog_count ? osm_sock(o, b->sock) : NULL;
	uint32_t owner = s ? atomic_load_explicit(&s->owner, memory_order_acquire) : 0;

	if (!owner || owner > NPP_MAX_CTX || atomic_load_explicit(&s->gen, memory_order_acquire) != b->gen)
		return NULL;
	return s;
}

static void owe(struct npp_osm *o, unsigned as, unsigned i, uint32_t seq)
{
	o->assoc[as].answer = (struct osm_answer){ .conn = i, .serial = o->conn[i].serial, .seq = seq, .due = true };
}

static bool served_here(const struct npp_osm *o, const union npp_addr *addr)
{
	if (npp_addr_is_any(addr))
		return true;
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++)
		if (o->npp[a].attached && osm_npp_has_addr(o, a, addr))
			return true;
	return false;
}

/* GRANTING for what B asks; LISTEN: and listen then. */
static int bind_start(struct npp_osm *o, unsigned i, uint32_t seq, const struct npp_ctl_bind *b, bool listen)
{
	struct npp_sock *s = record_of(o, b);
	bool udp = b->proto == IPPROTO_UDP;
	unsigned as;
	int err;

	if (!s)
		return -ESTALE;
	if ((!udp && b->proto != IPPROTO_TCP) || udp != (s->type == NPP_SOCK_DGRAM) || (listen && udp))
		return -EOPNOTSUPP;
	if (!served_here(o, &b->addr))
		return -EADDRNOTAVAIL;
	err = osm_assoc_new(o, b, o->conn[i].uid, &as);
	if (err)
		return err;
	o->books->assoc[as].backlog = b->backlog;
	o->assoc[as].then_listen = listen;
	if (b->port == 0)
		err = osm_port_pick(o, as);
	else if (osm_port_conflict(o, as, false))
		err = -EADDRINUSE;
	if (err) {
		osm_assoc_free(o, as);
		return err;
	}
	owe(o, as, i, seq);
	osm_grants_ask(o, as);
	return LATER;
}

/* Does B ask again for what our predecessor has bound, but perhaps not said? */
static bool bound_already(struct npp_osm *o, int as, const struct npp_ctl_bind *b)
{
	const struct osm_assoc_rec *r = as < 0 ? NULL : &o->books->assoc[as];

	if (!r || !o->assoc[as].inherited || r->state == OSM_AS_CLOSING || r->proto != b->proto ||
	    (b->port && r->port != b->port) || !npp_addr_eq(&r->addr, &b->addr))
		return false;
	o->assoc[as].inherited = false;
	return true;
}

static int on_bind(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	const struct npp_ctl_bind *b = body;
	int as = osm_assoc_find(o, b->sock, b->gen);

	if (bound_already(o, as, b)) {
		const struct osm_assoc_rec *r = &o->books->assoc[as];

		owe(o, (unsigned)as, i, seq);
		osm_answer_bind(o, &o->assoc[as].answer, 0, r->sock, r->gen, r->port);
		return LATER;
	}
	return bind_start(o, i, seq, body, false);
}

static int on_listen(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	const struct npp_ctl_bind *b = body;
	int as = osm_assoc_find(o, b->sock, b->gen), err;
	struct osm_assoc_rec *r;

	if (as < 0)
		return bind_start(o, i, seq, b, true);
	if (!record_of(o, b))
		return -ESTALE;
	r = &o->books->assoc[as];
	if (r->proto != IPPROTO_TCP)
		return -EOPNOTSUPP;
	if (r->state == OSM_AS_BOUND) {
		r->reuse = (b->reuse & ~NPP_PORT_ALONE) | (r->reuse & NPP_PORT_ALONE);
		owe(o, (unsigned)as, i, seq);
		err = osm_assoc_listen(o, (unsigned)as, b->backlog);
		if (err)
			o->assoc[as].answer.due = false;
		return err ? err : LATER;
	}
	if (r->state != OSM_AS_ACTIVE)
		return -EBUSY;
	r->backlog = b->backlog < r->entries ? b->backlog : r->entries;
	((struct npp_listener *)osm_at64(o, r->ext_off64))->backlog = r->backlog;
	osm_assoc_save(o, (unsigned)as);
	owe(o, (unsigned)as, i, seq);
	osm_answer_bind(o, &o->assoc[as].answer, 0, r->sock, r->gen, r->port);
	return LATER;
}

static int on_unbind(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	const struct npp_ctl_bind *b = body;
	int as = osm_assoc_find(o, b->sock, b->gen);

	(void)i, (void)seq;
	if (as < 0)
		return 0;
	if (o->books->assoc[as].state > OSM_AS_BOUND)
		return -EBUSY;
	osm_assoc_close(o, (unsigned)as, false);
	return 0;
}

static int on_peer(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	const struct npp_ctl_bind *b = body;
	int as = osm_assoc_find(o, b->sock, b->gen), err;

	if (as < 0 || !record_of(o, b))
		return -ESTALE;
	owe(o, (unsigned)as, i, seq);
	err = osm_assoc_peer(o, (unsigned)as);
	if (err)
		o->assoc[as].answer.due = false;
	return err ? err : LATER;
}

static int on_close(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	const struct npp_ctl_bind *b = body;
	struct npp_sock *s = record_of(o, b);
	int as;

	if (!s)
		return -ESTALE;
	if (atomic_load_explicit(&s->refs, memory_order_acquire))
		return -EBUSY;
	as = osm_assoc_find(o, b->sock, b->gen);
	if (as >= 0) {
		osm_assoc_close(o, (unsigned)as, true);
		/* Once a listener is closed no connection comes to it: others may share the port, and be there for them. */
		if (o->books->assoc[as].state == OSM_AS_CLOSING && o->books->assoc[as].proto == IPPROTO_TCP) {
			owe(o, (unsigned)as, i, seq);
			return LATER;
		}
	} else if (atomic_load_explicit(&s->ism_handle, memory_order_acquire) == OSM_NO_HANDLE) {
		osm_sock_free(o, b->sock, b->gen);
	} else {
		return -EINVAL;
	}
	return 0;
}

static int on_sub_more(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	const struct npp_ctl_bind *b = body;

	(void)i, (void)seq;
	return osm_submore(o, b->sock, b->gen);
}

static int on_pass(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	const struct npp_ctl_bind *b = body;
	int err;

	(void)seq;
	if (o->given < 0)
		return -EBADMSG;
	err = osm_pass(o, o->conn[i].proc, b->sock, b->gen, o->given);
	if (!err)
		o->given = -1;
	return err;
}

static int on_check(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	struct npp_ctl_check c;

	(void)body;
	npp_osm_check(o, &c, NULL);
	reply(o, i, seq, 0, &c, sizeof c, NULL, 0);
	return LATER;
}

static int on_hold(struct npp_osm *o, unsigned i, uint32_t seq, const void *body)
{
	uint32_t percent = ((const struct npp_ctl_hold *)body)->percent;
	struct npp_ctl_held h;
	int err;

	if (percent != NPP_HOLD_SHOW && o->conn[i].uid != 0)
		return -EPERM;
	err = osm_hold(o, percent, &h);
	if (err)
		return err;
	reply(o, i, seq, 0, &h, sizeof h, NULL, 0);
	return LATER;
}

static const struct request {
	uint32_t len;
	bool anyone;	/* before PROC_HELLO, too */
	int (*fn)(struct npp_osm *o, unsigned i, uint32_t seq, const void *body);
} requests[NPP_CTL_HOLD - NPP_CTL_PROC_HELLO + 1] = {
	[NPP_CTL_PROC_HELLO - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_hello), true, on_hello },
	[NPP_CTL_GET_ATTACH - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_iop), false, on_get_attach },
	[NPP_CTL_CTX_OPEN - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_ctx), false, on_ctx_open },
	[NPP_CTL_CTX_CLOSE - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_ctx), false, on_ctx_close },
	[NPP_CTL_FD_CHUNK - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_chunk), false, on_chunk },
	[NPP_CTL_FORK - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_fork), false, on_fork },
	[NPP_CTL_FORK_DONE - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_fork), false, on_fork_done },
	[NPP_CTL_BIND - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_bind), false, on_bind },
	[NPP_CTL_LISTEN - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_bind), false, on_listen },
	[NPP_CTL_UNBIND - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_bind), false, on_unbind },
	[NPP_CTL_CLOSE - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_bind), false, on_close },
	[NPP_CTL_PEER - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_bind), false, on_peer },
	[NPP_CTL_SUB_MORE - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_bind), false, on_sub_more },
	[NPP_CTL_PASS - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_bind), false, on_pass },
	[NPP_CTL_CHECK - NPP_CTL_PROC_HELLO] = { 0, true, on_check },
	[NPP_CTL_HOLD - NPP_CTL_PROC_HELLO] = { sizeof(struct npp_ctl_hold), true, on_hold },
};

static int dispatch(struct npp_osm *o, unsigned i)
{
	const struct npp_ctl_hdr *h = &o->msg.hdr;
	unsigned t = (unsigned)h->type - NPP_CTL_PROC_HELLO;
	_Alignas(16) uint8_t body[128];

	if (t >= sizeof requests / sizeof *requests || !requests[t].fn)
		return -EOPNOTSUPP;
	if (h->len != requests[t].len || h->len > sizeof body)
		return -EBADMSG;
	if (!requests[t].anyone && o->conn[i].proc == OSM_NO_PROC)
		return -EACCES;
	memcpy(body, o->msg.body, h->len); /* a handler may send or receive itself */
	return requests[t].fn(o, i, h->seq, body);
}

/* Requests of connection I, a bounded number. */
void osm_conn_input(struct npp_osm *o, unsigned i)
{
	uint32_t serial = o->conn[i].serial;

	for (unsigned n = 0; n < 16 && o->conn[i].fd >= 0 && o->conn[i].serial == serial; n++) {
		uint32_t seq;
		int r = npp_ctl_recv(o->conn[i].fd, &o->msg, o->body, NPP_CTL_MAX_BODY, 0);

		if (r == -EAGAIN)
			return;
		if (r != 1) {
			osm_conn_close(o, i);
			return;
		}
		npp_stat_inc(o->stat, NPP_OS_RPCS);
		seq = o->msg.hdr.seq;
		o->given = npp_ctl_take_fd(&o->msg, 0); /* a handler may receive into msg itself */
		npp_ctl_close_fds(&o->msg); /* no request carries more than one */
		r = dispatch(o, i);
		if (o->given >= 0)
			close(o->given);
		if (r <= 0)
			reply(o, i, seq, r, NULL, 0, NULL, 0);
	}
}
