/* SPDX-License-Identifier: GPL-2.0-or-later
 * i2oq.h - the I2O free and post queues with their message frames, see struct npp_i2oq
 *
 * The inbound and the outbound queues of the documents are each a set of these lanes,
 * one per producer.
 */
#ifndef NPP_SHM_I2OQ_H
#define NPP_SHM_I2OQ_H

#include <stdbool.h>

#include "shm/abi.h"

struct npp_i2oq_prod { struct npp_i2oq *q; uint32_t post_head, free_tail; };
struct npp_i2oq_cons { struct npp_i2oq *q; uint32_t post_tail, free_head; uint64_t errors; };

/* Fills a zeroed lane: all MFAs on the free queue. By whoever makes the lane. */
void npp_i2oq_init(struct npp_i2oq *q);
/* Attach to a lane as it stands (also after the previous owner of this half died).
 * 0, or -EPROTO if the positions make no sense. */
int npp_i2oq_attach_prod(struct npp_i2oq_prod *p, struct npp_i2oq *q);
int npp_i2oq_attach_cons(struct npp_i2oq_cons *c, struct npp_i2oq *q);

/* Takes a free message frame, copies *MSG into it and posts its MFA. 0; -ENOBUFS if the
 * free queue is empty: `overflow` has been set instead, which the consumer honours by
 * looking at everything. In both cases the caller rings afterwards. */
int npp_i2oq_post(struct npp_i2oq_prod *p, const struct npp_msg *msg);

/* Copies the next message to *MSG. 1 got one, 0 empty. Its frame is given back by the
 * next call, when the effects of the message are done: poll until 0. If the consumer
 * dies before that, its successor sees the message again.
 * A wrong MFA is counted in `errors` and skipped. */
int npp_i2oq_poll(struct npp_i2oq_cons *c, struct npp_msg *msg);
/* Was there an overflow since the last call? Clears it (acquire). */
bool npp_i2oq_overflowed(struct npp_i2oq_cons *c);

/* Inbound side of a producer: after npp_i2oq_post() on lane CTX, mark the lane and take
 * the sleep announcement. True: ring the ISM's doorbell. */
bool npp_inbound_mark(struct npp_inbound *in, unsigned ctx);

#endif
