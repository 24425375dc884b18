/* SPDX-License-Identifier: GPL-2.0-or-later
 * hugepages.h - 2 MB pages: how many there are, and borrowing some from the system
 *
 * The number of hugepages is one setting of the whole machine. It is changed only by
 * difference, under a lock, and a ledger (NPP_RUNDIR/hugepages, whatever $NPP_RUNDIR
 * says) remembers who borrowed how many, so that each owner's share can be given back
 * later, by another process too.
 */
#ifndef NPP_LIB_HUGEPAGES_H
#define NPP_LIB_HUGEPAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/log.h"

#define NPP_HUGEPAGE_BYTES (2u << 20)

/* Raises the system's number by N for OWNER (a name without spaces; its earlier share
 * stays and adds up). PID: 0, or the process with which the share ends: whoever comes
 * next to the ledger after it died gives it back. Returns how many pages were got, 0..N,
 * or -errno. */
int npp_hugepages_reserve(const char *owner, uint32_t n, pid_t pid, struct npp_err *e);

/* Gives OWNER's whole share back: pages still in use go when they are freed. Returns how
 * many it had, or -errno. */
int npp_hugepages_release(const char *owner, struct npp_err *e);

/* OWNER's share; 0: none. */
int npp_hugepages_held(const char *owner);

/* How many the system has, and how many of them nobody uses or has been promised. 0 or -errno. */
int npp_hugepages_count(uint32_t *all, uint32_t *free);

/* For the fault "hugepages gone": until process PID ends there are none to be borrowed for what
 * has its run directory at DIR, as on a machine whose memory is in pieces. 0 or -errno. */
int npp_hugepages_close(const char *dir, pid_t pid, struct npp_err *e);
bool npp_hugepages_closed(const char *dir);

#endif
