/* SPDX-License-Identifier: GPL-2.0-or-later
 * region.h - memory that outlives a process: memfds with a checked header
 *
 * nppd creates a region, seals it (no shrink, no grow, no further seals), chmods it
 * to 0600 and passes the descriptor on. Everybody else maps it, which checks magic,
 * ABI version, kind, layout hash and size before a byte of it is used.
 */
#ifndef NPP_SHM_REGION_H
#define NPP_SHM_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/abi.h"

struct npp_region {
	void *base;	/* NULL: not mapped */
	size_t size;
	int fd;		/* -1: not open here */
	bool huge;
};
#define NPP_REGION_NULL { .base = NULL, .size = 0, .fd = -1, .huge = false }

/* Fixed addresses of private regions, and of host memory inside an ISM: pointers
 * stay valid in the next process. */
#define NPP_ADDR_ISM_PRIVATE 0x200000000000ull
#define NPP_ADDR_DISPATCH 0x210000000000ull
#define NPP_ADDR_OSM_HOST 0x220000000000ull
#define NPP_ADDR_ISM_HOST(host_no) (0x300000000000ull + ((uint64_t)(host_no) << 38))

#define NPP_REGION_HUGE 1u	/* try MFD_HUGETLB, fall back to ordinary pages */

/* Creates, sizes, zero-fills, seals and maps a region of at least SIZE bytes and
 * fills its header; `ready` stays 0. NAME appears in /proc/PID/maps.
 * 0 or -errno. */
int npp_region_create(struct npp_region *r, const char *name, enum npp_region_kind kind, size_t size,
		      uint32_t owner, uint64_t layout_hash, unsigned flags);

/* Maps FD (which stays the caller's and is not kept in R) and checks the header.
 * WRITABLE: PROT_WRITE too. ADDR: 0, or the fixed address to map at.
 * 0; -EPROTO wrong magic, kind, version or layout; -EBADMSG a size that lies;
 * -EEXIST the address is taken; or -errno. */
int npp_region_map(struct npp_region *r, int fd, bool writable, uint64_t addr,
		   enum npp_region_kind kind, uint64_t layout_hash);
/* Zeroes all but the header, as it was when it was created. Nobody may be using it. */
void npp_region_empty(struct npp_region *r);
void npp_region_unmap(struct npp_region *r);	/* unmaps, closes r->fd if open */

/* A read-only descriptor of the same memory, opened anew so that it cannot be made
 * writable. Needs the right to open the 0600 file: done by nppd. fd or -errno. */
int npp_region_reopen_ro(int fd);

/* A bare memfd with the same seals for data pages. fd or -errno. *SIZE is rounded up
 * to the page size used; *HUGE says which. */
int npp_memfd_create(const char *name, size_t *size, unsigned flags, bool *huge);

/* Is FD a memfd with those seals (so that its size cannot change)? Its size and whether
 * it is made of hugepages. 0, -EBADMSG, or -errno. */
int npp_memfd_check(int fd, size_t *size, bool *huge);

/* True once per process: the time to print the one warning about missing hugepages. */
bool npp_region_hugepage_warning_due(void);

#endif
