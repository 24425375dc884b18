/* SPDX-License-Identifier: GPL-2.0-or-later
 * sha256.c - SHA-256 (FIPS 180-4)
 */
#include "config.h"

#include <string.h>

#include "harness/load/sha256.h"

static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rot(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

static void one_block(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64], v[8], a, b;

	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (unsigned i = 16; i < 64; i++) {
		a = rot(w[i - 15], 7) ^ rot(w[i - 15], 18) ^ w[i - 15] >> 3;
		b = rot(w[i - 2], 17) ^ rot(w[i - 2], 19) ^ w[i - 2] >> 10;
		w[i] = w[i - 16] + a + w[i - 7] + b;
	}
	memcpy(v, h, sizeof v);
	for (unsigned i = 0; i < 64; i++) {
		a = v[7] + (rot(v[4], 6) ^ rot(v[4], 11) ^ rot(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
		b = (rot(v[0], 2) ^ rot(v[0], 13) ^ rot(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof *v);
		v[4] += a;
		v[0] = a + b;
	}
	for (unsigned i = 0; i < 8; i++)
		h[i] += v[i];
}

void load_sha256_init(struct load_sha256 *s)
{
	static const uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	memcpy(s->h, h, sizeof h);
	s->len = 0;
}

void load_sha256_add(struct load_sha256 *s, const uint8_t *data, size_t len)
{
	while (len) {
		size_t at = s->len % 64, n = 64 - at < len ? 64 - at : len;

		if (n == 64) {
			one_block(s->h, data);
		} else {
			memcpy(s->block + at, data, n);
			if (at + n == 64)
				one_block(s->h, s->block);
		}
		s->len += n;
		data += n;
		len -= n;
	}
}

void load_sha256_end(struct load_sha256 *s, uint8_t sum[32])
{
	static const uint8_t pad[64] = { 0x80 };
	uint8_t bits[8];

	for (unsigned i = 0; i < 8; i++)
		bits[i] = (uint8_t)(s->len * 8 >> (56 - 8 * i));
	load_sha256_add(s, pad, 1 + (119 - s->len % 64) % 64);
	load_sha256_add(s, bits, 8);
	for (unsigned i = 0; i < 32; i++)
		sum[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool load_sha256_parse(const char *text, uint8_t sum[32])
{
	if (strlen(text) != 64)
		return false;
	for (unsigned i = 0; i < 32; i++) {
		int hi = digit(text[2 * i]), lo = digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		sum[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}
