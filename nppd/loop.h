/* SPDX-License-Identifier: GPL-2.0-or-later
 * loop.h - descriptors and timers of a supervisor: one thread, one epoll instance
 *
 * Sources and timers are embedded in what they belong to; handlers may remove any of
 * them, themselves included.
 */
#ifndef NPPD_LOOP_H
#define NPPD_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop_fd {
	int fd;			/* -1: not in the loop */
	void (*fn)(struct loop_fd *src);
	void *arg;
};

struct loop_timer {
	uint64_t due_ms;
	void (*fn)(struct loop_timer *t);
	void *arg;
	struct loop_timer *next;
	bool armed;
};

struct loop {
	int epfd;
	struct loop_timer *timers;	/* by due time */
};

int loop_init(struct loop *l);
void loop_fini(struct loop *l);
/* Calls FN(SRC) whenever FD is readable or hung up. 0 or -errno. */
int loop_add(struct loop *l, struct loop_fd *src, int fd, void (*fn)(struct loop_fd *), void *arg);
/* Takes it out; FD stays open. */
void loop_del(struct loop *l, struct loop_fd *src);
/* Calls FN(T) IN_MS milliseconds from now or up to 1 ms later, never earlier; anew if it was set. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint32_t in_ms, void (*fn)(struct loop_timer *), void *arg);
void loop_timer_stop(struct loop *l, struct loop_timer *t);
/* Waits for one event, at most MAX_MS (-1: no bound), and handles it. 0 or -errno. */
int loop_step(struct loop *l, int max_ms);

uint64_t loop_now_ms(void);

#endif
