/* SPDX-License-Identifier: GPL-2.0-or-later
 * self.h - where npp's own programs and libraries are
 */
#ifndef NPP_LIB_SELF_H
#define NPP_LIB_SELF_H

#include <stddef.h>

/* Path of one of our programs ("npp-ism", "npp-dispatch", "npp-osm", "nppd", "npp") or of
 * "libnpp-preload.so": $NPP_EXECDIR if set; else, when this program runs from a build tree
 * and not from where it is installed, NAME/NAME of that tree (npp-osm/preload/.libs/ for the
 * library); else the installed place. 0 or -ENOENT. */
int npp_self_find(const char *name, char *path, size_t cap);

/* DIR as configured (NPP_DATADIR ...); or, when this program does not run from where it was
 * configured to be but from a copy of the whole (`make install prefix=...`, DESTDIR), the
 * same in that copy. In PATH, or DIR itself. */
const char *npp_self_dir(const char *dir, char *path, size_t cap);

/* Path of NAME ("topologies/pair.yaml") among the files that come with npp: in the sources of the build tree that
 * this program runs from, or installed. 0 or -ENOENT. */
int npp_self_data(const char *name, char *path, size_t cap);

/* What npp_self_dir() works with: OWN is where WANT was configured, so where is DIR? 0 or -ENOENT. */
int npp_self_move(const char *own, const char *want, const char *dir, char *path, size_t cap);

#endif
