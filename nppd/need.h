/* SPDX-License-Identifier: GPL-2.0-or-later
 * need.h - what a configuration will need, before anything is made
 */
#ifndef NPPD_NEED_H
#define NPPD_NEED_H

#include "nppd/settings.h"

/* 2 MB pages that the regions of S take if there are enough; 0 with hugepages: never. */
unsigned settings_hugepages_needed(const struct settings *s);

#endif
