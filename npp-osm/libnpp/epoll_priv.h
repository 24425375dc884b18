/* SPDX-License-Identifier: GPL-2.0-or-later
 * epoll_priv.h - an epoll instance, for epoll_set.c (what it holds) and epoll.c (waiting)
 */
#ifndef NPP_LIBNPP_EPOLL_PRIV_H
#define NPP_LIBNPP_EPOLL_PRIV_H

#include "npp-osm/libnpp/priv.h"

#define EP_BUCKETS 4096

struct item {
	int fd;
	struct so *so;
	uint32_t idx, gen;		/* of the record it is subscribed to; 0 none: a kernel-yet socket */
	uint32_t events;
	epoll_data_t data;
	bool ready, off;
	uint32_t shut;			/* NPP_FL_SHUT_* as last looked at */
	struct item *next, *prev;	/* ready list; next: free list */
	struct item *chain;		/* same bucket */
};

struct ep {
	_Atomic uint32_t word;		/* of ep_lock() */
	_Atomic(const struct thr *) holder;
	uint32_t depth;			/* more often than once, by handlers of faults */
	struct lctx *ctx;
	bool stale;			/* inherited by fork, not yet rebuilt */
	bool nested;			/* somebody polls the instance itself: always announced */
	uint32_t n_ours;		/* items with a record */
	uint32_t n_ready, turn;
	_Atomic uint32_t sleepers;	/* threads in the kernel's wait */
	int epfd;			/* a descriptor of it, as last seen */
	struct item *head, *tail;
	struct item *free;
	struct item **by_fd;		/* FD_MAX */
	struct item *bucket[EP_BUCKETS];
	struct ep *next;		/* all instances, also unused ones */
	bool used;
};

void ep_lock(struct ep *ep);
void ep_unlock(struct ep *ep);
/* Under the instance's lock. */
void ep_ready_add(struct ep *ep, struct item *it);
void ep_ready_del(struct ep *ep, struct item *it);
/* An instance that was inherited by fork gets a context of its own. 0 or -errno. */
int ep_revive(struct ep *ep, int epfd);

#endif
