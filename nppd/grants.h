/* SPDX-License-Identifier: GPL-2.0-or-later
 * grants.h - ports that hosts of an NPP own
 *
 * A set of (host, address, port, protocol). Hosts that share may have the same one: which of them a
 * flow goes to is chosen when it begins (shm/share.h). Judged here is only what two hosts ask for:
 * within a host its OSM judges. Each port that anybody owns has its bit in the bitmap
 * that ISMs read before they pick a source port.
 */
#ifndef NPPD_GRANTS_H
#define NPPD_GRANTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"

#define GRANT_EPHEMERAL_FIRST 32768
#define GRANT_EPHEMERAL_LAST 60999

struct grants;

/* BITMAP: [0] TCP, [1] UDP. NULL: no memory. */
struct grants *grants_new(_Atomic uint64_t (*bitmap)[65536 / 64]);
void grants_free(struct grants *g);

/* Does HOST share what it asks for with other hosts that do? No, until this says so. */
void grants_sharing(struct grants *g, uint32_t host, bool shares);
#define GRANT_ALONE 1u	/* not to be shared in any case, nor is a port that was picked here */
#define GRANT_V6ONLY 2u	/* address :: without IPv4 */
/* HOST asks for PORT (0: any ephemeral one that nobody owns). *PORT: the one granted. A group belongs
 * to nobody alone. 0; -EADDRINUSE; -EPROTONOSUPPORT; -ENOBUFS: too many. */
int grants_take(struct grants *g, uint32_t host, uint8_t proto, const union npp_addr *addr, unsigned flags,
		uint16_t *port);
/* Ends exactly that grant, if there is one: 0 or -ENOENT. */
int grants_release(struct grants *g, uint32_t host, uint8_t proto, const union npp_addr *addr, unsigned flags,
		   uint16_t port);
/* Ends all of HOST; how many. */
unsigned grants_release_host(struct grants *g, uint32_t host);
unsigned grants_count(const struct grants *g);
unsigned grants_of_host(const struct grants *g, uint32_t host);

#endif
