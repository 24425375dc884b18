/* SPDX-License-Identifier: GPL-2.0-or-later
 * tap.h - an end of a wire: a TAP in some network namespace, and its carrier
 */
#ifndef NPP_WIRE_TAP_H
#define NPP_WIRE_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "harness/nl.h"
#include "harness/wire/wire.h"

struct wire_end {
	char netns[256];	/* path; empty: our own */
	char name[IFNAMSIZ], bridge[IFNAMSIZ];
	char port[IFNAMSIZ];	/* the link behind the bridge that this end stands for; empty: none */
	uint8_t mac[6];
	bool has_mac;
	uint32_t mtu;
	int fd;
	/* carrier.c */
	struct nl_ns nl;
	int events, index;	/* readable when a link there changes; the TAP's number */
	bool taken;		/* we have taken the port down */
};

/* "netns=PATH,name=NAME,mac=MAC,mtu=N,bridge=NAME,port=NAME"; only the name is needed. 0 or -EINVAL. */
int wire_end_parse(struct wire_end *e, const char *spec, struct npp_err *err);
/* Makes the TAP, which goes away with the descriptor, and brings it up. 0 or -errno. */
int wire_end_open(struct wire_end *e, struct npp_err *err);
/* Reads one frame into F: its length, 0: there is none now, -errno. */
int wire_end_read(const struct wire_end *e, struct wire_frame *f);
int wire_end_write(const struct wire_end *e, const struct wire_frame *f);

/* carrier.c: what the kernel has said about the links of E's namespace; does any of it concern E? */
bool wire_end_events(const struct wire_end *e);
/* Looks at both ends; each gets the carrier that the other leaves it, HAS[i] says whether it has one. */
void wire_follow(struct wire_end end[WIRE_DIRS], bool has[WIRE_DIRS]);
/* guard.c: a process that takes the ends' ports down when this one has ended; before they are opened. 0 or -errno. */
int wire_guard(const struct wire_end end[WIRE_DIRS], struct npp_err *err);

#endif
