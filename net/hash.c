/* SPDX-License-Identifier: GPL-2.0-or-later
 * hash.c - the programmable dispatch hash
 *
 * The masked key is folded to 32 bits by one of three algorithms:
 *
 *   xor       the key as five 64-bit words in network order, xor-ed; the result is cut
 *             into 7-bit pieces from below, which are xor-ed. A plain modulo of the key
 *             would starve every other IOP, because Linux clients use only even source
 *             ports; here bits 1 to 7 of the source port are one piece.
 *   toeplitz  as RSS does it: over source address, destination address (4 bytes each for
 *             IPv4), ports, protocol. Masked bits are zero and add nothing, so a mask
 *             without protocol gives the well-known RSS values. Symmetric: the two ends
 *             are put in order first.
 *   crc32c    of the 40 bytes of the masked key.
 */
#include "config.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>

#include "net/hash.h"

/* The verification key of the RSS specification, and some more bytes for IPv6. */
static const uint8_t rss_key[52] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43,
	0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb,
	0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01,
	0xfa, 0x9c, 0x35, 0x1e, 0xd7, 0x62, 0xf8, 0x0b, 0x94, 0x47, 0xe5, 0x3a, 0xc9,
};

void npp_hash_prog_default(struct npp_hash_prog *prog, unsigned n_iops)
{
	memset(prog, 0, sizeof *prog);
	prog->generation = 1;
	prog->algorithm = NPP_HASH_XOR;
	prog->select_bits = 7;
	memset(&prog->mask.src, 0xff, sizeof prog->mask.src);
	prog->mask.sport = 0xffff;
	prog->mask.dport = 0xffff;
	memset(&prog->frag_mask.src, 0xff, sizeof prog->frag_mask.src);
	memset(&prog->frag_mask.dst, 0xff, sizeof prog->frag_mask.dst);
	prog->frag_mask.sport = 0xffff;
	prog->frag_mask.dport = 0xffff;
	prog->frag_mask.proto = 0xff;
	memcpy(prog->toeplitz_key, rss_key, sizeof prog->toeplitz_key);
	for (unsigned i = 0; i < NPP_INDIR_SIZE; i++)
		prog->indir[i] = (uint8_t)(n_iops ? i % n_iops : 0);
}

static bool mask_is_symmetric(const struct npp_flow_key *m)
{
	return npp_addr_eq(&m->src, &m->dst) && m->sport == m->dport;
}

int npp_hash_prog_check(const struct npp_hash_prog *prog, unsigned n_iops, const char **why)
{
	const char *dummy;
	unsigned width = prog->algorithm == NPP_HASH_XOR ? 7 : 32;

	why = why ? why : &dummy;
	*why = NULL;
	if (n_iops < 1 || n_iops > 32)
		*why = "the number of IOPs is not in 1..32";
	else if (prog->algorithm >= NPP_HASH_ALGORITHMS)
		*why = "unknown hash algorithm";
	else if (prog->symmetric > 1 || (prog->symmetric && prog->algorithm != NPP_HASH_TOEPLITZ))
		*why = "symmetric is for toeplitz only";
	else if (prog->symmetric && !mask_is_symmetric(&prog->mask))
		*why = "symmetric needs the same mask for source and destination";
	else if (prog->select_bits < 1 || prog->select_bits > 7)
		*why = "the select register is not 1 to 7 bits wide";
	else if (prog->select_shift >= width || prog->select_shift + prog->select_bits > width)
		*why = "the select register takes bits that the algorithm does not make";
	if (*why)
		return -EINVAL;
	for (unsigned i = 0; i < NPP_INDIR_SIZE; i++) {
		if (prog->indir[i] >= n_iops) {
			*why = "the indirection table names an IOP that does not exist";
			return -EINVAL;
		}
	}
	return 0;
}

uint32_t npp_toeplitz(const uint8_t *key, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t window; /* the key from the current bit on, in the upper half */
	uint32_t hash = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] == 0)
			continue;
		window = (uint64_t)key[i] << 56 | (uint64_t)key[i + 1] << 48 |
			 (uint64_t)key[i + 2] << 40 | (uint64_t)key[i + 3] << 32 |
			 (uint64_t)key[i + 4] << 24;
		for (unsigned bit = 0; bit < 8; bit++, window <<= 1)
			hash ^= (uint32_t)(window >> 32) & -(uint32_t)(p[i] >> (7 - bit) & 1);
	}
	return hash;
}

static uint32_t hash_xor(const struct npp_flow_key *k)
{
	uint64_t w[5], x;
	uint32_t h = 0;

	memcpy(w, k, sizeof w);
	x = be64toh(w[0] ^ w[1] ^ w[2] ^ w[3] ^ w[4]);
	for (; x; x >>= 7)
		h ^= x & 0x7f;
	return h;
}

/* V4: the unmasked key had IPv4 addresses. */
static uint32_t hash_toeplitz(const struct npp_hash_prog *prog, const struct npp_flow_key *k, bool v4)
{
	size_t alen = v4 ? 4 : 16, n = 0;
	bool swap = false;
	uint8_t in[37];

	if (prog->symmetric) {
		int c = memcmp(&k->src, &k->dst, sizeof k->src);

		swap = c > 0 || (c == 0 && ntohs(k->sport) > ntohs(k->dport));
	}
	memcpy(in + n, (swap ? k->dst.b : k->src.b) + 16 - alen, alen);
	n += alen;
	memcpy(in + n, (swap ? k->src.b : k->dst.b) + 16 - alen, alen);
	n += alen;
	memcpy(in + n, swap ? &k->dport : &k->sport, 2);
	memcpy(in + n + 2, swap ? &k->sport : &k->dport, 2);
	in[n + 4] = k->proto;
	return npp_toeplitz(prog->toeplitz_key, in, n + 5);
}

static uint32_t hash_masked(const struct npp_hash_prog *prog, const struct npp_flow_key *key,
			    const struct npp_flow_key *mask)
{
	struct npp_flow_key m;
	uint64_t k[5], w[5];

	memcpy(k, key, sizeof k);
	memcpy(w, mask, sizeof w);
	for (int i = 0; i < 5; i++)
		k[i] &= w[i];
	memcpy(&m, k, sizeof m);
	switch (prog->algorithm) {
	case NPP_HASH_TOEPLITZ:
		return hash_toeplitz(prog, &m, npp_addr_is_v4(&key->src));
	case NPP_HASH_CRC32C:
		return npp_crc32c(&m, sizeof m);
	default:
		return hash_xor(&m);
	}
}

static unsigned hash_select(const struct npp_hash_prog *prog, uint32_t h)
{
	unsigned bits = prog->select_bits & 7, shift = prog->select_shift & 31;

	return prog->indir[h >> shift & ((1u << bits) - 1)];
}

uint32_t npp_hash_flow(const struct npp_hash_prog *prog, const struct npp_flow_key *key)
{
	return hash_masked(prog, key, &prog->mask);
}

unsigned npp_hash_select(const struct npp_hash_prog *prog, uint32_t hash)
{
	return hash_select(prog, hash);
}

unsigned npp_hash_iop(const struct npp_hash_prog *prog, const struct npp_flow_key *key)
{
	return hash_select(prog, npp_hash_flow(prog, key));
}

unsigned npp_hash_frag_iop(const struct npp_hash_prog *prog, const union npp_addr *src,
			   const union npp_addr *dst, uint8_t proto, uint32_t id)
{
	struct npp_flow_key k = { .src = *src, .dst = *dst, .proto = proto };

	k.sport = htons((uint16_t)(id >> 16));
	k.dport = htons((uint16_t)id);
	return hash_select(prog, hash_masked(prog, &k, &prog->frag_mask));
}
