/* SPDX-License-Identifier: GPL-2.0-or-later
 * osm.h - the daemon of a host as a library: made, stepped, checked, torn down
 *
 * One thread calls everything. npp-osm/main.c and the tests are the users.
 */
#ifndef NPP_OSM_OSM_H
#define NPP_OSM_OSM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/log.h"
#include "lib/proto.h"

struct npp_osm;

struct npp_osm_config {
	int ctl;			/* control socket to nppd; stays the caller's */
	uint64_t (*now_us)(void *arg);	/* NULL: CLOCK_MONOTONIC */
	void *now_arg;
	int start_timeout_ms;		/* for the START message and the doorbells */
	bool signals;			/* SIGUSR1 prints a check on stderr (it must be blocked) */
};

/* Takes START_OSM and the doorbells from the control socket, maps host memory, makes or
 * rebuilds what the OSM knows, answers READY. 0 or -errno with the reason in E. */
int npp_osm_create(struct npp_osm **osm, const struct npp_osm_config *cfg, struct npp_err *e);
/* Did nppd ask for more messages? */
bool npp_osm_verbose(const struct npp_osm *o);
/* Waits for work at most MAX_WAIT_MS and does it. 1 go on, 0 told to stop, or -errno. */
int npp_osm_step(struct npp_osm *o, int max_wait_ms);
/* Frees what is private; host memory stays as it is for the next OSM. */
void npp_osm_destroy(struct npp_osm *o);

/* Recounts everything from the descriptor tables and the records. Reads only. Returns
 * the number of things that are wrong (references that are too high are counted in R
 * but not here: they may be in flight). OUT, if not NULL, gets a line for each. */
unsigned npp_osm_check(struct npp_osm *o, struct npp_ctl_check *r, FILE *out);

#endif
