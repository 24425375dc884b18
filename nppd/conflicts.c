/* SPDX-License-Identifier: GPL-2.0-or-later
 * conflicts.c - who else uses an address of the NPP: what its link role has seen, for the log and npp status
 *
 * The stack defends the address and says so at most once in ten seconds for each; the log has
 * the first time and every new station, the status the latest few.
 */
#include "config.h"

#include <string.h>

#include "lib/log.h"
#include "nppd/npp_side.h"

#define QUIET_MS 600000	/* the same station is logged again when it was silent for this long */

/* The entry of ADDR and MAC, or the one that is given up for it. */
static struct conflict *entry(struct npp_side *n, const struct npp_conflict *c)
{
	struct conflict *oldest = &n->conflict[0];

	for (unsigned i = 0; i < NPP_CONFLICTS; i++) {
		struct conflict *e = &n->conflict[i];

		if (e->c.n && npp_addr_eq(&e->c.addr, &c->addr) && memcmp(e->c.mac, c->mac, 6) == 0)
			return e;
		if (oldest->c.n && (!e->c.n || e->at_ms < oldest->at_ms))
			oldest = e;
	}
	*oldest = (struct conflict){ .c = { .addr = c->addr } };
	memcpy(oldest->c.mac, c->mac, 6);
	return oldest;
}

void conflicts_note(struct npp_side *n, const struct npp_conflict *said)
{
	struct npp_conflict c = *said;
	struct conflict *e = entry(n, &c);
	uint64_t now = loop_now_ms();
	char text[NPP_ADDR_STRLEN];

	if (!e->c.n || now - e->at_ms > QUIET_MS) {
		npp_addr_format(&c.addr, text);
		npp_warnx("%s is used by %02x:%02x:%02x:%02x:%02x:%02x, too", text, c.mac[0], c.mac[1], c.mac[2], c.mac[3],
			  c.mac[4], c.mac[5]);
	}
	e->c.port = c.port;
	e->c.n = e->c.n + c.n >= e->c.n && c.n ? e->c.n + c.n : UINT32_MAX;
	e->at_ms = now;
}

void conflicts_status(const struct npp_side *n, struct npp_ctl_status *st)
{
	uint64_t now = loop_now_ms();

	for (unsigned i = 0; i < NPP_CONFLICTS; i++) {
		st->conflict[i] = n->conflict[i].c;
		st->conflict[i].age_s = (uint32_t)((now - n->conflict[i].at_ms) / 1000);
	}
}
