/* SPDX-License-Identifier: GPL-2.0-or-later
 * ipc.c - frame rings between IOPs, one per direction and pair, made on first use
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "npp-ism/socket/ism.h"
#include "shm/bell.h"

#define RETRY_US 1000000	/* after nppd could not make the rings */
#define PER_RING 16		/* records of one ring before the next has its turn */

int ism_ipc_attach(struct ism *I, unsigned peer, const int fds[4])
{
	struct ism_ipc *p;
	int err;

	if (peer >= I->n_iops || peer == I->iop)
		return -EPROTO;
	p = &I->ipc[peer];
	if (p->open) { /* the peer is new: so are the rings */
		npp_fring_detach(&p->out.m);
		npp_fring_detach(&p->in.m);
		p->open = p->dirty = false;
	}
	err = npp_fring_attach_prod(&p->out, fds[0], fds[1], NPP_REGION_IPC);
	if (err < 0)
		return err;
	err = npp_fring_attach_cons(&p->in, fds[2], fds[3], NPP_REGION_IPC);
	if (err < 0) {
		npp_fring_detach(&p->out.m);
		return err;
	}
	p->open = true;
	npp_bell_ring(I->bells[peer]); /* a predecessor may have published and not rung */
	return 0;
}

/* The ring to PEER, asked for if there is none yet; NULL: not now. */
static struct ism_ipc *ring_to(struct ism *I, unsigned peer)
{
	struct ism_ipc *p = &I->ipc[peer];

	if (p->open)
		return p;
	if (p->failed_us && I->now_us - p->failed_us < RETRY_US)
		return NULL;
	if (ism_control_ipc_open(I, peer) < 0)
		p->failed_us = I->now_us;
	return p->open ? p : NULL;
}

void ism_ipc_send(void *arg, unsigned iop, enum npp_rec_kind kind, const struct npp_frame_rec *rec,
		  const void *data, uint32_t len)
{
	struct ism *I = arg;
	struct ism_ipc *p = iop < I->n_iops && iop != I->iop ? ring_to(I, iop) : NULL;
	struct npp_frame_rec *to = NULL;

	if (p && len <= NPP_FRAME_MAX)
		to = npp_fring_reserve(&p->out, (uint32_t)sizeof *to + len);
	if (!to) {
		npp_stat_inc(I->stats, NPP_IS_DROP_IPC_FULL);
		return;
	}
	if (rec)
		*to = *rec;
	else
		memset(to, 0, sizeof *to);
	to->kind = (uint8_t)kind;
	to->len = len;
	memcpy(to + 1, data, len);
	npp_fring_commit(&p->out, to);
	p->dirty = true;
	npp_stat_inc(I->stats, NPP_IS_IPC_OUT);
}

void ism_ipc_flush(struct ism *I)
{
	for (unsigned i = 0; i < I->n_iops; i++) {
		if (!I->ipc[i].dirty)
			continue;
		I->ipc[i].dirty = false;
		if (!npp_fring_publish(&I->ipc[i].out))
			continue;
		npp_bell_ring(I->bells[i]);
		npp_stat_inc(I->stats, NPP_IS_BELLS);
	}
}

bool ism_ipc_pending(void *arg)
{
	struct ism *I = arg;

	for (unsigned i = 0; i < I->n_iops; i++)
		if (I->ipc[i].open && npp_fring_depth(&I->ipc[i].in))
			return true;
	return false;
}

unsigned ism_ipc_run(void *arg, unsigned budget)
{
	struct ism *I = arg;
	unsigned done = 0;

	for (unsigned i = 0; i < I->n_iops && done < budget; i++) {
		struct ism_ipc *p = &I->ipc[i];
		const struct npp_frame_rec *rec;
		unsigned n = 0;
		uint32_t len;

		if (!p->open)
			continue;
		while (n < PER_RING && (rec = npp_fring_peek(&p->in, &len))) {
			struct npp_frame_rec r = *rec; /* the peer could change it */

			r.len = len;
			stack_input(I->stack, &r, rec + 1, len);
			npp_fring_advance(&p->in, len);
			n++;
		}
		if (n)
			npp_fring_release(&p->in);
		done += n;
		npp_stat_add(I->stats, NPP_IS_IPC_IN, n);
	}
	return done;
}

void ism_ipc_announce(void *arg, bool asleep)
{
	struct ism *I = arg;

	/* relaxed: the fence is the net kernel's */
	for (unsigned i = 0; i < I->n_iops; i++)
		if (I->ipc[i].open)
			atomic_store_explicit(&I->ipc[i].in.m.ctl->sleeping, asleep, memory_order_relaxed);
}
