/* SPDX-License-Identifier: GPL-2.0-or-later
 * fring.h - the packed byte ring of frame records (SPSC), see struct npp_fring
 *
 * Producer: reserve room, write a record, commit it (any number of times), publish.
 * Consumer: peek, use, advance (any number of times), release.
 * The private halves below are never shared; attach validates the shared half.
 */
#ifndef NPP_SHM_FRING_H
#define NPP_SHM_FRING_H

#include <stdbool.h>

#include "shm/abi.h"
#include "shm/region.h"

struct npp_fring_map {		/* both sides */
	struct npp_fring *ctl;
	uint8_t *data;		/* mapped twice in a row */
	uint32_t size;
	struct npp_region ctl_region;
};
struct npp_fring_prod {
	struct npp_fring_map m;
	uint32_t head;		/* committed, maybe not yet published */
	uint32_t tail_seen;
};
struct npp_fring_cons {
	struct npp_fring_map m;
	uint32_t tail;		/* advanced, maybe not yet released */
	uint32_t head_seen;
	uint64_t errors;	/* records that made no sense */
};

/* Creates control page and data pages of SIZE bytes (power of two, >= 128 KB). */
int npp_fring_create(const char *name, enum npp_region_kind kind, uint32_t owner, uint32_t size,
		     unsigned flags, int *ctl_fd, int *data_fd);
int npp_fring_attach_prod(struct npp_fring_prod *p, int ctl_fd, int data_fd, enum npp_region_kind kind);
int npp_fring_attach_cons(struct npp_fring_cons *c, int ctl_fd, int data_fd, enum npp_region_kind kind);
void npp_fring_detach(struct npp_fring_map *m);

/* Room in bytes, rereading the consumer's tail only if less than WANT seems free. */
uint32_t npp_fring_room(struct npp_fring_prod *p, uint32_t want);
/* Bytes that the consumer has not yet released, those not yet published included. */
uint32_t npp_fring_unread(struct npp_fring_prod *p);
/* Where the next record goes, if at least BYTES (header included) are free; else NULL. */
struct npp_frame_rec *npp_fring_reserve(struct npp_fring_prod *p, uint32_t bytes);
/* The reserved record is whole: rec->len says how long its frame is. */
void npp_fring_commit(struct npp_fring_prod *p, const struct npp_frame_rec *rec);
/* Makes all committed records visible. Returns true if the consumer announced sleep
 * and this call took the announcement: the caller must ring its doorbell. */
bool npp_fring_publish(struct npp_fring_prod *p);

/* The next record, or NULL. A record whose length leads outside the published bytes is
 * a protocol error: the ring is drained to its head, `errors` counts, NULL. The length
 * in *LEN is the checked one; use it instead of rec->len. */
const struct npp_frame_rec *npp_fring_peek(struct npp_fring_cons *c, uint32_t *len);
void npp_fring_advance(struct npp_fring_cons *c, uint32_t len);
void npp_fring_release(struct npp_fring_cons *c);
/* Bytes published and not yet consumed. */
uint32_t npp_fring_depth(const struct npp_fring_cons *c);

#endif
