/* SPDX-License-Identifier: GPL-2.0-or-later
 * tap.h - an end of a wire: a TAP in some network namespace
 */
#ifndef NPP_WIRE_TAP_H
#define NPP_WIRE_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "harness/wire/wire.h"

struct wire_end {
	char netns[256];	/* path; empty: our own */
	char name[IFNAMSIZ], bridge[IFNAMSIZ];
	uint8_t mac[6];
	bool has_mac;
	uint32_t mtu;
	int fd;
};

/* "netns=PATH,name=NAME,mac=MAC,mtu=N,bridge=NAME"; only the name is needed. 0 or -EINVAL. */
int wire_end_parse(struct wire_end *e, const char *spec, struct npp_err *err);
/* Makes the TAP, which goes away with the descriptor, and brings it up. 0 or -errno. */
int wire_end_open(struct wire_end *e, struct npp_err *err);
/* Reads one frame into F: its length, 0: there is none now, -errno. */
int wire_end_read(const struct wire_end *e, struct wire_frame *f);
int wire_end_write(const struct wire_end *e, const struct wire_frame *f);

#endif
