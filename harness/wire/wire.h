/* SPDX-License-Identifier: GPL-2.0-or-later
 * wire.h - npp-wire: a link that delays, loses, reorders, doubles, breaks and cuts frames
 *
 * A wire has two directions: "up" from end A to end B, "down" from B to A; each has
 * settings and counters of its own. Every frame of a direction has a number, counted from
 * 0; a GSO frame has one for each segment that it stands for. Each decision is a function
 * of seed, direction and number (and, for losses in bursts, of the state before), so the
 * same frames meet the same fate in every run, whether the sender used GSO or not.
 *
 * This part makes no system calls: time comes in, frames go out through an operation.
 */
#ifndef NPP_WIRE_WIRE_H
#define NPP_WIRE_WIRE_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/load/hist.h"
#include "lib/log.h"

enum { WIRE_UP, WIRE_DOWN, WIRE_DIRS };
extern const char *const wire_dir_names[WIRE_DIRS];

/* ---- settings (conf.c) ------------------------------------------------------------------ */

struct wire_conf {		/* of one direction */
	uint64_t delay_us, jitter_us;
	double loss;
	double burst_enter, burst_leave, burst_loss;	/* Gilbert-Elliott: bad state */
	double reorder, duplicate, corrupt, ecn;
	uint32_t reorder_gap;	/* a reordered frame lets so many others pass */
	uint32_t mtu;		/* 0: any */
	uint64_t rate_bps;	/* 0: unlimited */
	uint64_t queue_bytes;	/* before a rate; 0: 50 ms of it, at least 64 KB */
	uint64_t ecn_queue;	/* mark frames that find so much in the queue; 0: none */
	bool blackout;
	uint64_t blackout_us;	/* given as a time: it ends by itself */
};

/* Applies KEY=VALUE to both directions, or to one with "up." or "down." in front. 0 or
 * -EINVAL with the reason. */
int wire_conf_set(struct wire_conf c[WIRE_DIRS], const char *key, const char *value, struct npp_err *e);
void wire_conf_init(struct wire_conf c[WIRE_DIRS]);
/* Members of a JSON object, without braces. */
void wire_conf_json(const struct wire_conf *c, FILE *f);
/* The same for people, as wire_conf_set() takes it: "delay=40ms loss=2%"; "clean" if there is nothing to say. */
void wire_conf_text(const struct wire_conf *c, FILE *f);
/* Key I and what it means; NULL after the last. */
const char *wire_conf_key(unsigned i, const char **what);

/* ---- decisions (decide.c) ----------------------------------------------------------------- */

#define WIRE_LOSE 1u
#define WIRE_DUPLICATE 2u
#define WIRE_CORRUPT 4u
#define WIRE_REORDER 8u
#define WIRE_MARK 16u
#define WIRE_BURST 32u		/* with LOSE: in a burst */

enum wire_purpose { WIRE_R_LOSS = 1, WIRE_R_BURST, WIRE_R_BURST_LOSS, WIRE_R_DUPLICATE, WIRE_R_CORRUPT,
		    WIRE_R_WHERE, WIRE_R_REORDER, WIRE_R_ECN, WIRE_R_JITTER };

uint64_t wire_random(uint64_t seed, unsigned dir, uint64_t number, enum wire_purpose p);
/* What happens to frame NUMBER; *BAD is the state of the burst model, which it advances. */
unsigned wire_decide(const struct wire_conf *c, uint64_t seed, unsigned dir, uint64_t number, bool *bad);
/* Has C anything that is decided by chance for single frames? */
bool wire_has_chance(const struct wire_conf *c);

/* ---- frames (frame.c) --------------------------------------------------------------------- */

#define WIRE_BIG (66u << 10)	/* the largest frame, with room */
#define WIRE_SMALL 2048u

struct wire_frame {
	uint32_t cap, len;	/* of data */
	struct virtio_net_hdr vh;	/* data follows at once, as the TAP wants it */
	uint8_t data[];
} __attribute__((packed));

struct wire_shape {		/* of a frame, as wire_frame_shape() finds it */
	uint32_t l3, l4, head;	/* offsets; head: bytes before the payload (GSO) */
	uint32_t frames;	/* single frames that it stands for */
	uint32_t l3_len;	/* the largest of them, without the link's header */
	uint8_t proto;
	bool v4, v6;
};

/* Looks at F once. 0, or -EINVAL: its header and GSO fields do not fit together. */
int wire_frame_shape(const struct wire_frame *f, struct wire_shape *s);
/* Segment I (0..frames-1) of a TCP GSO frame into OUT, with all checksums. 0 or -EMSGSIZE. */
int wire_frame_cut(const struct wire_frame *f, const struct wire_shape *s, uint32_t i, struct wire_frame *out);
/* Computes a checksum that was left to the hardware. */
void wire_frame_complete(struct wire_frame *f);
/* Flips a bit behind the Ethernet header, chosen by R; the checksum must be complete. */
void wire_frame_corrupt(struct wire_frame *f, uint64_t r);
/* Sets CE if the frame is ECN-capable: true if it did. */
bool wire_frame_mark(struct wire_frame *f);

/* ---- the wire (engine.c, queue.c) ----------------------------------------------------------- */

#define WIRE_COUNTERS(X) \
	X(frames, "single frames that came in") X(bytes, "bytes that came in") \
	X(delivered, "single frames that went out") X(delivered_bytes, "bytes that went out") \
	X(whole, "GSO frames passed on whole") X(cut, "GSO frames cut") \
	X(lost, "lost by chance") X(burst_lost, "lost in bursts") X(duplicated, "sent twice") \
	X(corrupted, "with a flipped bit") X(reordered, "held back") X(marked, "with CE set") \
	X(too_big, "larger than the MTU") X(queue_full, "no room before the rate") \
	X(blackout, "in a blackout") X(no_memory, "no buffer") X(malformed, "made no sense") \
	X(send_error, "refused by the other end")
#define WIRE_COUNTER_MEMBER(n, what) uint64_t n;
struct wire_counters { WIRE_COUNTERS(WIRE_COUNTER_MEMBER) };

struct wire_slot { uint64_t due_ns; struct wire_frame *f; uint32_t frames; };
#define WIRE_FIFO 65536u	/* frames under way in a direction, a power of two */
#define WIRE_HELD 16u

struct wire_held { struct wire_slot s; uint64_t until_number, deadline_ns; };

struct wire_dir {
	uint64_t next_number, last_due_ns, busy_until_ns, blackout_until_ns;
	bool bad;			/* burst model */
	struct wire_slot *fifo;
	uint32_t head, tail;		/* free running */
	struct wire_held held[WIRE_HELD];
	unsigned n_held;
	struct wire_counters n;
	struct load_hist late;		/* of what was delayed: how late it went, ns */
};

struct wire_pool { uint8_t *area; uint32_t *free; uint32_t n_free, size, total; };

struct wire {
	uint64_t seed;
	struct wire_conf conf[WIRE_DIRS];
	struct wire_dir dir[WIRE_DIRS];
	struct wire_pool small, big;
	bool carrier[WIRE_DIRS];	/* of end a and of end b */
	/* Sends F out of direction DIR's far end; F stays the wire's. 0 or -errno. */
	int (*send)(void *arg, unsigned dir, const struct wire_frame *f);
	void *arg;
	uint64_t (*clock)(void *arg);	/* for lateness; may be NULL */
};

int wire_init(struct wire *w, uint64_t seed);	/* 0 or -ENOMEM */
void wire_free(struct wire *w);
/* A buffer for a frame of up to LEN bytes; NULL: none left. */
struct wire_frame *wire_get(struct wire *w, uint32_t len);
void wire_put(struct wire *w, struct wire_frame *f);	/* NULL is fine */
/* A frame has come in at the near end of DIR. The wire takes F. */
void wire_input(struct wire *w, unsigned dir, struct wire_frame *f, uint64_t now_ns);
/* Sends what is due. The time of the next thing to do; UINT64_MAX: nothing. */
uint64_t wire_run(struct wire *w, uint64_t now_ns);
/* Applies new settings from NOW on; starts and ends blackouts. */
void wire_apply(struct wire *w, const struct wire_conf c[WIRE_DIRS], uint64_t now_ns);
/* Begins again: frame numbers, burst state, and this seed. */
void wire_reseed(struct wire *w, uint64_t seed);
void wire_json(const struct wire *w, FILE *f);
void wire_text(const struct wire *w, uint64_t now_ns, FILE *f);	/* the same for people, in short */

/* ---- control (ctl.c) -------------------------------------------------------------------------- */

#define WIRE_CTL_MAX 4096
/* One request in, one answer to F: "set KEY=VALUE...", "clear", "get", "show", "zero", "seed N".
 * Nothing is changed unless all of it is right. 0 or -EINVAL (the answer says why). */
int wire_ctl(struct wire *w, const char *text, size_t len, uint64_t now_ns, FILE *f);

#endif
