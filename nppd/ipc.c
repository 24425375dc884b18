/* SPDX-License-Identifier: GPL-2.0-or-later
 * ipc.c - rings between ISMs, made when one of the two first wants them
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nppd/npp_side.h"
#include "shm/fring.h"

#define IPC_BYTES (256u << 10)

static int make_ring(struct npp_side *n, unsigned from, unsigned to)
{
	int *fd = n->ipc[from][to];

	if (fd[0] >= 0)
		return 0;
	return npp_fring_create("npp-ipc", NPP_REGION_IPC, from, IPC_BYTES, 0, &fd[0], &fd[1]);
}

/* Tells ISM A about its rings to and from B. */
static int tell(struct npp_side *n, unsigned a, unsigned b, uint32_t seq)
{
	int fds[4] = { n->ipc[a][b][0], n->ipc[a][b][1], n->ipc[b][a][0], n->ipc[b][a][1] };
	struct npp_ctl_ipc body = { .peer = b };

	return child_send(npp_side_ism(n, a), NPP_CTL_IPC, seq, 0, &body, sizeof body, fds, 4);
}

void ipc_open(struct npp_side *n, struct child *c, const struct npp_ctl_msg *m)
{
	const struct npp_ctl_ipc *b = (const void *)m->body;
	uint32_t peer = m->hdr.len == sizeof *b ? b->peer : NPP_MAX_IOPS;
	struct npp_ctl_ipc body = { .peer = peer };
	bool known;
	int r;

	if (c->role != NPP_ROLE_ISM || peer >= n->n_iops || peer == c->index) {
		if (child_may_log(c))
			npp_warnx("%s: asks for rings to IOP %u", c->name, peer);
		r = -EINVAL;
	} else if (npp_side_ism(n, peer)->state == CHILD_FAILED) {
		r = -EHOSTDOWN;
	} else {
		known = n->ipc[c->index][peer][0] >= 0 && n->ipc[peer][c->index][0] >= 0;
		r = make_ring(n, c->index, peer);
		if (r == 0)
			r = make_ring(n, peer, c->index);
		/* the peer first: it can listen before the other one speaks. One that is being
		 * replaced is told when it starts. */
		if (r == 0 && !known && npp_side_ism(n, peer)->p.ctl >= 0)
			r = tell(n, peer, c->index, 0);
		if (r == 0) {
			tell(n, c->index, peer, m->hdr.seq);
			return;
		}
	}
	child_send(c, NPP_CTL_IPC, m->hdr.seq, r, &body, sizeof body, NULL, 0);
}

void ipc_tell_ism(struct npp_side *n, unsigned iop)
{
	for (unsigned i = 0; i < n->n_iops; i++)
		if (n->ipc[iop][i][0] >= 0 && n->ipc[i][iop][0] >= 0)
			tell(n, iop, i, 0);
}

void ipc_free(struct npp_side *n)
{
	for (unsigned i = 0; i < NPP_MAX_IOPS; i++) {
		for (unsigned j = 0; j < NPP_MAX_IOPS; j++) {
			for (unsigned k = 0; k < 2; k++) {
				if (n->ipc[i][j][k] >= 0)
					close(n->ipc[i][j][k]);
				n->ipc[i][j][k] = -1;
			}
		}
	}
}
