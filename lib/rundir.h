/* SPDX-License-Identifier: GPL-2.0-or-later
 * rundir.h - where the sockets of running NPPs and hosts are found
 */
#ifndef NPP_LIB_RUNDIR_H
#define NPP_LIB_RUNDIR_H

#include <stddef.h>

#include "lib/log.h"

/* The run directory: $NPP_RUNDIR, else the built-in NPP_RUNDIR ("/run/npp"). */
const char *npp_rundir(void);

/* Finds "NAME" + SUFFIX (".sock", ".osm.sock") in DIR (NULL: npp_rundir()) or in one of
 * its immediate sub-directories; "LAB/NAME" looks in that sub-directory only. The path
 * goes to PATH (CAP bytes). 0; -ENOENT; -ENOTUNIQ if two labs have one (E names them). */
int npp_rundir_find(const char *dir, const char *name, const char *suffix, char *path, size_t cap,
		    struct npp_err *e);

#endif
