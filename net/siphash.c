/* SPDX-License-Identifier: GPL-2.0-or-later
 * siphash.c - SipHash-2-4 (Aumasson and Bernstein, 2012)
 */
#include "config.h"

#include <string.h>

#include "net/hash.h"

static inline uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

/* The last LEN < 8 bytes as a word, put together in registers (see csum_tail()). */
static uint64_t tail(const uint8_t *p, size_t len)
{
	uint64_t m = 0;
	unsigned at = 0;
	uint32_t w;
	uint16_t h;

	if (len & 4) {
		memcpy(&w, p, 4);
		m = w;
		p += 4;
		at = 32;
	}
	if (len & 2) {
		memcpy(&h, p, 2);
		m |= (uint64_t)h << at;
		p += 2;
		at += 16;
	}
	if (len & 1)
		m |= (uint64_t)*p << at;
	return m;
}

uint64_t npp_siphash(const uint64_t key[2], const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull,
			  key[0] ^ 0x6c7967656e657261ull, key[1] ^ 0x7465646279746573ull };
	uint64_t m, last = (uint64_t)len << 56;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&m, p, 8);
		sip_word(v, m);
	}
	sip_word(v, last | tail(p, len));
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
