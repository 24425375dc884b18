/* SPDX-License-Identifier: GPL-2.0-or-later
 * walk.h - walking the stacks of NPPs from outside (conns.c), for the verbs that show their tables
 */
#ifndef NPP_NPP_WALK_H
#define NPP_NPP_WALK_H

#include "npp/npp.h"

#define ANY_HOST 0xffffffffu

/* One IOP of one NPP. HOST: ANY_HOST, or only what belongs to that number. */
struct iop_view { const struct target *npp; uint32_t iop, host; const void *arena; size_t size; };
typedef void walk_fn(const struct iop_view *v, void *arg);

/* Walks what ARGV names: all NPPs if it names nothing. 0 or -errno, which was told. */
int walk_iops(char **argv, walk_fn *fn, void *arg);
const char *walk_host_name(const struct target *npp, unsigned h);

struct walk_options { bool json; char **names; };
/* The options of such a verb; -1: go on, else its exit status. */
int walk_options(int argc, char **argv, struct walk_options *o);

/* Such a verb from its options to its output: FN sees each IOP, then JSON or TEXT prints. ARG is theirs;
 * BEGIN (or NULL) comes first and learns which of the two it will be. Exit status. */
struct walk_shape { walk_fn *fn; void (*begin)(void *arg, bool json), (*json)(void *arg), (*text)(void *arg); };
int walk_show(int argc, char **argv, const struct walk_shape *s, void *arg);

/* Room for one more behind the N of SIZE bytes in LIST, where *CAP fit; ends the program if there is no memory. */
void *walk_room(void *list, size_t n, size_t *cap, size_t size);

#endif
