/* SPDX-License-Identifier: GPL-2.0-or-later
 * hash.h - the programmable dispatch hash
 *
 * The dispatcher, the ISMs, the OSM, libnpp and the tools compute the owner of a
 * flow with this one piece of code over the program that stands in the NPP's
 * global region. A program is a set of registers:
 *
 *   mask     which bits of the flow key take part (default: source address,
 *            source port, destination port);
 *   algorithm  how the masked key is folded to 32 bits;
 *   select   which bits of the result index the indirection table.
 *
 * All directions are as on the wire towards the NPP: `src` is the peer, `dst` is
 * us. For a flow that we send, build the key of the answer.
 */
#ifndef NPP_NET_HASH_H
#define NPP_NET_HASH_H

#include <stdint.h>

#include "net/addr.h"

#define NPP_INDIR_SIZE 128 /* entries of the indirection table; power of two */

enum npp_hash_algorithm {
	NPP_HASH_XOR = 0,	/* folds the masked key in 7-bit pieces */
	NPP_HASH_TOEPLITZ = 1,
	NPP_HASH_CRC32C = 2,
	NPP_HASH_ALGORITHMS
};

/* The key, packed: 40 bytes, multi-byte fields in network order. */
struct npp_flow_key {
	union npp_addr src;
	union npp_addr dst;
	uint16_t sport;
	uint16_t dport;
	uint8_t proto;
	uint8_t zero[3];
};
_Static_assert(sizeof(struct npp_flow_key) == 40, "flow key layout");

struct npp_hash_prog {
	uint32_t generation;	/* counts up with every change */
	uint8_t algorithm;	/* enum npp_hash_algorithm */
	uint8_t symmetric;	/* toeplitz: same result for both directions */
	uint8_t select_shift;	/* lowest bit of the select register */
	uint8_t select_bits;	/* its width, 1..7 */
	struct npp_flow_key mask;
	struct npp_flow_key frag_mask; /* the IP identification stands in sport+dport (v4: dport only) */
	uint8_t toeplitz_key[52];
	uint8_t indir[NPP_INDIR_SIZE]; /* table index -> IOP number */
};

/* Fills PROG with the default program for N IOPs (1..32): xor over source
 * address, source port and destination port, 7 select bits, round-robin table. */
void npp_hash_prog_default(struct npp_hash_prog *prog, unsigned n_iops);

/* Is PROG safe to run for N_IOPS? 0, or -EINVAL and *WHY points to a static text. */
int npp_hash_prog_check(const struct npp_hash_prog *prog, unsigned n_iops, const char **why);

/* 32-bit hash of KEY under PROG (before select). */
uint32_t npp_hash_flow(const struct npp_hash_prog *prog, const struct npp_flow_key *key);

/* The IOP that owns the flow KEY. */
unsigned npp_hash_iop(const struct npp_hash_prog *prog, const struct npp_flow_key *key);

/* The IOP that reassembles fragments of (src, dst, proto, IP identification ID in
 * host order). Uses the fragment mask and the same table. */
unsigned npp_hash_frag_iop(const struct npp_hash_prog *prog, const union npp_addr *src,
			   const union npp_addr *dst, uint8_t proto, uint32_t id);

/* The IOP that a hash computed by npp_hash_flow() selects. */
unsigned npp_hash_select(const struct npp_hash_prog *prog, uint32_t hash);

/* The building blocks. KEY of npp_toeplitz() has at least LEN + 4 bytes. */
uint32_t npp_toeplitz(const uint8_t *key, const void *data, size_t len);
uint32_t npp_crc32c(const void *data, size_t len);

/* SipHash-2-4 (64-bit), for tables that an outsider can fill. */
uint64_t npp_siphash(const uint64_t key[2], const void *data, size_t len);

#endif
