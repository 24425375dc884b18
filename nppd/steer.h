/* SPDX-License-Identifier: GPL-2.0-or-later
 * steer.h - the dispatch program as an eBPF program of the TAP (engine: kernel)
 *
 * steer.c makes instructions and tables out of a struct npp_hash_prog, without a system
 * call, and the program that puts strangers aside; steer_load.c gives them to the kernel. A program that was loaded is replaced at
 * run time by loading another one and attaching it: the TAP changes over between two frames.
 */
#ifndef NPPD_STEER_H
#define NPPD_STEER_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/hash.h"
#include "shm/regulars.h"

#define STEER_MAX_INSNS 2048
/* The headers that the program hashes; all others are for the dispatcher. */
enum steer_set { STEER_FLOW4, STEER_FRAG4, STEER_FLOW6, STEER_FRAG6, STEER_SETS };
#define STEER_BYTES4 13		/* addresses, ports, protocol */
#define STEER_BYTES6 37
#define STEER_BYTES (2 * STEER_BYTES4 + 2 * STEER_BYTES6)

struct steer_tables {		/* the value of the program's map; mapped by nppd */
	uint8_t queue[NPP_INDIR_SIZE];		/* what select takes -> queue of the TAP; nppd may store at any time */
	uint32_t row[STEER_BYTES][2][16];	/* what the nibbles of a byte add to the hash; low one first */
};

struct steer_code {
	struct bpf_insn insn[STEER_MAX_INSNS];
	unsigned n;
	bool full;		/* there was no room for some */
};

/* Writes the tables of PROG (which npp_hash_prog_check() has passed) into *T and a program
 * into *C that uses them as the map MAP_FD. Frames begin IP_OFF bytes before their IP header:
 * ETH_HDR_LEN on a TAP, 0 in BPF_PROG_TEST_RUN. 0, or -E2BIG. */
int steer_generate(struct steer_code *c, struct steer_tables *t, const struct npp_hash_prog *prog, int map_fd,
		   unsigned ip_off);
/* Queue 1 + n for what belongs to IOP n, if bit n of UP is set; else 0, the dispatcher's. */
void steer_queues(struct steer_tables *t, const struct npp_hash_prog *prog, uint32_t up);

/* With engine: process, where the dispatcher has a second queue: a program that sends there what comes by IP
 * from anybody who is no regular (shm/regulars.h) by the map MAP_FD. What a link cannot do without
 * stays in queue 0: ARP, ICMPv6, hop-by-hop options, IGMP. */
int steer_generate_aside(struct steer_code *c, int map_fd, unsigned ip_off);

struct steer {
	int prog_fd, map_fd;
	struct steer_tables *tables;	/* of the map: steer_load() */
	struct npp_regulars *regulars;	/* of the map: steer_load_aside() */
};
#define STEER_NULL { .prog_fd = -1, .map_fd = -1 }

/* Loads PROG, with nothing but queue 0 to go to. 0 or -errno: -EPERM, this machine does
 * not permit it; -EPROTO, the kernel's verifier has found fault with it. */
int steer_load(struct steer *s, const struct npp_hash_prog *prog, unsigned ip_off);
/* Likewise: nobody is a regular yet. */
int steer_load_aside(struct steer *s, unsigned ip_off);
/* A program that sends every frame to QUEUE. */
int steer_load_fixed(struct steer *s, unsigned queue);
void steer_close(struct steer *s);
/* The TAP of the queue QUEUE_FD is steered by S from now on. */
int steer_attach(const struct steer *s, int queue_fd);

#endif
