/* SPDX-License-Identifier: GPL-2.0-or-later
 * madhost.h - a host for libnpp whose ISMs may do anything, in one thread and without the kernel
 *
 * Host memory, what nppd tells of the NPP, and the inbound regions of two ISMs stand between pages that
 * nobody may touch. The OSM is a function: the target has the functions of lib/ctl.h itself. Sockets of
 * the kernel are eventfds on which nothing ever happens, and the clock stands still until the library
 * looks at it or waits. When it waits, the ISMs have their turn.
 */
#ifndef NPP_TESTS_MADHOST_H
#define NPP_TESTS_MADHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/abi.h"
#include "shm/i2oq.h"

#define MH_IOPS 2
#define MH_SOCKS 64u
#define MH_PROG_SOCKS 32u
#define MH_CTXS 8u		/* that an ISM listens to */

struct madhost {
	uint8_t *base;
	uint64_t size;
	struct npp_host *host;
	struct npp_ctx *ctx;
	struct npp_sock *sock;
	struct npp_global *global;
	struct npp_inbound *in[MH_IOPS];
	uint64_t heap_first, heap;	/* first and next free byte */
	uint32_t maps;			/* regions that the library mapped */
	void (*turn)(void);		/* of the ISMs: the library waits */
};
extern struct madhost mh;

void mh_begin(void);			/* fresh memory; the library joins */
void mh_end(void);			/* it leaves */
void mh_call(bool inside);		/* a call of the program begins, or has ended */
uint64_t mh_heap(uint64_t bytes);	/* offset, or 0 */
void *mh_at(uint64_t off, uint64_t len);	/* in host memory, or NULL */
/* Messages of the programs to IOP of context C; true: one. */
bool mh_message(unsigned iop, unsigned c, struct npp_msg *m);
void mh_event(uint32_t sock, uint32_t bits);	/* sets BITS in pend_out and posts EVENT to all contexts */
/* Where the library is compiled so that its loads are seen: before the Nth from a region of the host,
 * the word there becomes VALUE. */
void mh_change_at_load(uint32_t n, uint32_t value);

#endif
