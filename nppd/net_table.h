/* SPDX-License-Identifier: GPL-2.0-or-later
 * net_table.h - addresses and routes in the global tables of an NPP
 */
#ifndef NPPD_NET_TABLE_H
#define NPPD_NET_TABLE_H

#include "shm/abi.h"

/* ROUTE by each of PORTS; the first one is the best. Returns for how many there was no room. */
uint32_t net_table_add_route(struct npp_global *g, struct npp_route route, uint32_t ports);
/* The default route over VIA, if that is an address. */
uint32_t net_table_add_default(struct npp_global *g, const union npp_addr *via, uint32_t ports, uint32_t metric);
/* What routers have advertised, behind what is configured. Returns how many addresses and routes there was
 * no room for; g->n_left_out says it, too. */
uint32_t net_table_add_learned(struct npp_global *g, const struct npp_autoconf *a);

#endif
