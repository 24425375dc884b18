/* SPDX-License-Identifier: GPL-2.0-or-later
 * port_in.c - frames in, with engine: kernel: this ISM's own queue of each port
 *
 * The steering program of the TAP has chosen the queue; it has looked at no more than the
 * flow needs. So every frame is validated and classified here by the dispatcher's own code
 * (libdispatch), and one that belongs to somebody else after all - the program was changed, an
 * IOP has come or gone - is handed on. All frames are read into one buffer: the stack keeps
 * nothing of a frame, and the buffer stays in the cache.
 *
 * The queue is a descriptor of the net kernel's one wait. While that does not wait, because
 * there is other work, the queue is looked at every LOOK_US. Where frames have come one at
 * a time lately, the read that would only say that there is no second one is left to that wait.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/log.h"
#include "npp-dispatch/dispatch.h"
#include "npp-ism/socket/ism.h"

#define BUDGET 64		/* frames in a round */
#define BATCH 16		/* of them, or */
#define BATCH_BYTES (96u << 10)	/* bytes, after which output and doorbells are due */
#define LOOK_US 20
#define SINGLES 8		/* looks in a row that found one frame, after which no second one is expected */
#define SOON_US 3		/* a look so soon after one that was cut short: there was a second one */
#define ERROR_US 100000		/* between looks at a queue that cannot be read */


struct ism_port {
	struct ism *ism;
	struct dispatch_ctx ctx;
	int fd;
	uint64_t looked_us;	/* the round of the last read */
	int watch;		/* number in nk */
	uint32_t singles;	/* looks in a row that found one frame */
	int last_error;
	struct npp_frame_rec rec; /* the frame follows its virtio header, so that one read fills both */
	uint8_t frame[NPP_FRAME_MAX];
};
#define WIRE_OFF (offsetof(struct ism_port, rec) + offsetof(struct npp_frame_rec, vnet)) /* the port's bytes begin here */
_Static_assert(offsetof(struct ism_port, frame) == offsetof(struct ism_port, rec) + sizeof(struct npp_frame_rec),
	       "the frame follows its record");

/* One frame: its verdict, and where it goes. */
static void deliver(struct ism *I, struct ism_port *p, uint32_t len)
{
	struct npp_frame_rec *rec = &p->rec;
	struct dispatch_verdict v;

	npp_stat_inc(I->stats, NPP_IS_PORT_FRAMES);
	npp_stat_add(I->stats, NPP_IS_PORT_BYTES, len);
	if (rec->vnet.gso_type != VNET_GSO_NONE)
		npp_stat_inc(I->stats, NPP_IS_PORT_GSO);
	if (!dispatch_classify(&p->ctx, &rec->vnet, p->frame, len, &v))
		npp_stat_inc(I->stats, npp_stat_port(v.drop));
	if (v.cls)
		npp_stat_inc(I->stats, npp_stat_port(v.cls));
	if (v.drop)
		return;
	rec->len = len;
	rec->kind = NPP_REC_FRAME;
	rec->csum = v.csum;
	rec->port = (uint8_t)p->ctx.port;
	rec->l4_off = v.l4_off;
	rec->hash = v.hash;
	rec->rx_us = (uint32_t)I->now_us;
	rec->reserved = 0;
	if (v.iop == I->iop) {
		stack_input(I->stack, rec, p->frame, len);
		return;
	}
	npp_stat_inc(I->stats, NPP_IS_PORT_HANDED_ON);
	ism_ipc_send(I, v.iop, NPP_REC_FRAME, rec, p->frame, len);
}

/* Bytes read, 0 if there is nothing, or -errno. */
static ssize_t read_frame(struct ism_port *p)
{
	ssize_t n;

	do
		n = read(p->fd, (uint8_t *)p + WIRE_OFF, sizeof *p - WIRE_OFF);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n == 0 ? -ENODEV : n;
}

static void failed(struct ism *I, struct ism_port *p, int err)
{
	npp_stat_inc(I->stats, NPP_IS_PORT_READ_ERRORS);
	if (err != p->last_error)
		npp_warnx("reading port %u: error %d", p->ctx.port, -err);
	p->last_error = err;
	p->looked_us = I->now_us + ERROR_US;
	nk_watch_set(&I->nk, p->watch, -1); /* or it would never let us sleep */
}

static void recovered(struct ism *I, struct ism_port *p)
{
	p->last_error = 0;
	nk_watch_set(&I->nk, p->watch, p->fd);
}

/* Has there been a wait since the last look, and one that was not over at once? */
static bool slept_since(const struct ism *I, const struct ism_port *p)
{
	return I->nk.awake_us > p->looked_us && I->now_us > p->looked_us + SOON_US;
}

static unsigned port_run(void *arg, unsigned budget)
{
	struct ism_port *p = arg;
	struct ism *I = p->ism;
	uint32_t batch_bytes = 0, len;
	uint64_t bytes = 0;
	unsigned done = 0;
	bool single;
	ssize_t n = 0;

	if (p->looked_us > I->now_us) /* after an error */
		return 0;
	if (!slept_since(I, p))
		p->singles = 0;
	single = p->singles >= SINGLES;
	p->looked_us = I->now_us;
	dispatch_ctx_refresh(&p->ctx);
	while (done < budget && !(single && done) && (n = read_frame(p)) > 0) {
		done++;
		if ((size_t)n < sizeof p->rec.vnet) {
			npp_stat_inc(I->stats, NPP_IS_PORT_FRAMES);
			npp_stat_inc(I->stats, NPP_IS_PORT_DROP_SHORT);
			continue;
		}
		len = (uint32_t)((size_t)n - sizeof p->rec.vnet);
		deliver(I, p, len);
		bytes += len;
		batch_bytes += len;
		if (done % BATCH == 0 || batch_bytes >= BATCH_BYTES) {
			ism_flush(I);
			batch_bytes = 0;
		}
	}
	if (n < 0)
		failed(I, p, (int)n);
	else if (p->last_error)
		recovered(I, p);
	if (done)
		npp_stat_inc(I->stats, NPP_IS_PORT_BATCHES);
	p->singles = done > 1 ? 0 : p->singles + done;
	npp_stat_add(I->stats, NPP_IS_RX_FRAMES, done);
	npp_stat_add(I->stats, NPP_IS_RX_BYTES, bytes);
	npp_stat_add(I->stats, npp_stat_of_port(NPP_IS_RX0_FRAMES, p->ctx.port), done);
	npp_stat_add(I->stats, npp_stat_of_port(NPP_IS_RX0_BYTES, p->ctx.port), bytes);
	return done;
}

/* By the round's clock, so that it is false when the net kernel looks for work before it
 * sleeps: then the descriptor says what there is. */
static bool port_pending(void *arg)
{
	struct ism_port *p = arg;

	return p->ism->now_us >= p->looked_us + LOOK_US;
}

static int open_one(struct ism *I, unsigned port)
{
	struct ism_port *p = calloc(1, sizeof *p);
	struct nk_source source = { "port", NK_RX, BUDGET, p, port_pending, port_run, NULL };
	int err;

	if (!p)
		return -ENOMEM;
	p->ism = I;
	p->fd = I->tap[port];
	err = dispatch_ctx_init(&p->ctx, I->global.base, port);
	if (err == 0 && p->ctx.n_iops != I->n_iops)
		err = -EINVAL;
	if (err == 0)
		err = p->watch = nk_watch_fd(&I->nk, p->fd, NK_RX);
	if (err >= 0)
		err = nk_source_add(&I->nk, &source);
	if (err < 0)
		free(p);
	else
		I->port[port] = p;
	return err < 0 ? err : 0;
}

int ism_port_open(struct ism *I)
{
	const struct npp_global *g = I->global.base;
	int err = 0;

	for (unsigned i = 0; err == 0 && g && i < NPP_MAX_PORTS; i++)
		if (g->port[i].flags & NPP_PORT_KERNEL && I->tap[i] >= 0)
			err = open_one(I, i);
	return err;
}

void ism_port_close(struct ism *I)
{
	for (unsigned i = 0; i < NPP_MAX_PORTS; i++) {
		if (!I->port[i])
			continue;
		nk_watch_set(&I->nk, I->port[i]->watch, -1);
		free(I->port[i]);
		I->port[i] = NULL;
	}
}
