/* SPDX-License-Identifier: GPL-2.0-or-later
 * engine.h - who dispatches: the dispatcher, or a steering program in the kernel
 */
#ifndef NPPD_ENGINE_H
#define NPPD_ENGINE_H

#include "nppd/settings.h"

struct tap;

/* All three do nothing with engine: process. */

/* Steers the port, before its link is up: all to the dispatcher's queue as long as no IOP
 * serves. Errors go to s->conf. 0 or -errno. */
int engine_open(struct tap *t, struct settings *s);
/* Is queue 1 + n of the TAP the one that we opened for IOP n? The port has carrier. 0 or
 * -errno, with an error in s->conf. */
int engine_verify(struct tap *t, struct settings *s);
/* From now on the flows of the IOPs in UP go to their queues, by PROG. */
void engine_serve(struct tap *t, const struct npp_hash_prog *prog, uint32_t up);
void engine_close(struct tap *t);

#endif
