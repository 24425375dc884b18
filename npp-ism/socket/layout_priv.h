/* SPDX-License-Identifier: GPL-2.0-or-later
 * layout_priv.h - the plan of the private region, for layout.c and life.c
 */
#ifndef NPP_ISM_SOCKET_LAYOUT_PRIV_H
#define NPP_ISM_SOCKET_LAYOUT_PRIV_H

#include "npp-ism/socket/layout.h"

/* Fills in all sizes and offsets of L, not its header and magic. */
void ism_layout_plan(const struct npp_ctl_start_ism *start, struct ism_layout *l);

#endif
