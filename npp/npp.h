/* SPDX-License-Identifier: GPL-2.0-or-later
 * npp.h - the user's tool: what its verbs share
 */
#ifndef NPP_TOOL_H
#define NPP_TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/json.h"
#include "lib/log.h"
#include "lib/proto.h"
#include "shm/region.h"

#define EXIT_USAGE 2
#define MAX_TARGETS 512

/* ---- targets: running NPPs and hosts (target.c) -------------------------------------- */

struct target {
	char name[NPP_NAME_MAX];
	char label[2 * NPP_NAME_MAX + 40];	/* "LAB/NAME", or NAME in the run directory itself */
	char dir[128];				/* where its socket is */
	int sock;
	struct npp_ctl_status st;
	struct npp_ctl_child child[1 + NPP_MAX_IOPS];
	uint32_t n_children;
	/* after target_map(); read-only */
	struct npp_region global, neigh;	/* NPP */
	struct npp_region stats[1 + NPP_MAX_IOPS];
	struct npp_region ism[NPP_MAX_IOPS];	/* NPP; base NULL: cannot be read */
	struct npp_region host;			/* host */
};

static inline bool target_is_host(const struct target *t)
{
	return t->st.role == 2;
}
/* Who dispatches the frames of an NPP. */
static inline const char *target_engine(const struct target *t)
{
	const struct npp_global *g = t->global.base;

	return g->port[0].flags & NPP_PORT_KERNEL ? "kernel" : "process";
}

/* Finds NAME ("NAME", "LAB/NAME"), connects, asks for its status. 0 or -errno with E. */
int target_open(struct target *t, const char *name, struct npp_err *e);
int target_open_path(struct target *t, const char *dir, const char *name, struct npp_err *e);
int target_refresh(struct target *t, struct npp_err *e);	/* the status again */
int target_map(struct target *t, struct npp_err *e);		/* the regions */
void target_close(struct target *t);
bool target_is_lab(const char *name);	/* that of a lab, and of nothing that runs? */
/* Labels of all sockets that end in SUFFIX (malloc'ed; ends with NULL). */
char **target_list(const char *suffix);
void target_list_free(char **list);

/* Opens what ARGV names, or all there are, into *T (malloc'ed). Number, or -errno with a
 * message printed. A name may be that of a lab: all in it. ROLE: 0 any, 1 NPPs, 2 hosts;
 * another one that is named is an error. ALL_ROLE: of those that are not named themselves. */
int targets_open(struct target **t, char **argv, uint32_t role, uint32_t all_role);
void targets_close(struct target *t, int n);

/* ---- output (out.c) ---------------------------------------------------------------------- */

/* A table with aligned columns: cells are added row by row. */
#define TABLE_COLS 16
struct table {
	unsigned cols, cells, cap;
	char (*cell)[64];
	uint32_t left;		/* bitmap of columns that are aligned to the left */
};
void table_init(struct table *t, unsigned cols, uint32_t left);
void table_cell(struct table *t, const char *fmt, ...) NPP_PRINTF(2, 3);
/* Prints and empties it. The first row is a heading: bold on a terminal. */
void table_print(struct table *t, const char *indent);
void table_free(struct table *t); /* what was not printed; harmless after table_print() */
bool out_colours(void);
/* From now on what fails is told in JSON, too; true. */
bool out_json(void);
/* Says what failed, at once to people; out_failures() to others, when the verb has ended with STATUS. */
void out_failed(const char *fmt, ...) NPP_PRINTF(1, 2);
void out_failures(int status);
/* "1234", "12.3 k", "4.56 M", "7.89 G" */
const char *out_count(double v, char buf[24]);

/* ---- verbs: each gets its arguments, argv[0] is its name; exit status ----------------------- */

struct verb { const char *name, *args, *what; int (*fn)(int argc, char **argv); };
int verb_run(int argc, char **argv);
int verb_stat(int argc, char **argv);
int verb_conns(int argc, char **argv);
int verb_listeners(int argc, char **argv);
int verb_groups(int argc, char **argv);
int verb_hash(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_restart(int argc, char **argv);
int verb_hosts(int argc, char **argv);
/* Help of the verb that ARGV0 names, to stdout; 0. To stderr after a mistake; EXIT_USAGE. */
int verb_help(const char *argv0);
int verb_usage(const char *argv0, const char *fmt, ...) NPP_PRINTF(2, 3);

#endif
