/* SPDX-License-Identifier: GPL-2.0-or-later
 * need.h - what a configuration will need, before anything is made
 */
#ifndef NPPD_NEED_H
#define NPPD_NEED_H

#include "lib/log.h"
#include "nppd/settings.h"

/* 2 MB pages that the regions of S take if there are enough; 0 with hugepages: never. */
unsigned settings_hugepages_needed(const struct settings *s);

/* The same from FILE, for those who start an nppd: pages, or -errno with the first error
 * of the file in E. */
int npp_conf_hugepages_needed(const char *file, struct npp_err *e);

#endif
