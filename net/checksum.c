/* SPDX-License-Identifier: GPL-2.0-or-later
 * checksum.c - the Internet checksum
 *
 * The ones-complement sum does not care in which width it is taken (RFC 1071, 2(C)),
 * so the sums below add 32-bit pieces in 64-bit accumulators, where no carry can be
 * lost, or 64-bit pieces with the carry brought round. What is handed out is below
 * 2^33, so that sums can be added plainly.
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "net/checksum.h"
#include "net/priv.h"

#if defined(__x86_64__)
#include <immintrin.h>

bool npp_cpu_has_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}
#else
bool npp_cpu_has_avx2(void)
{
	return false;
}
#endif

static inline uint64_t add_carry(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

static inline uint64_t fold32(uint64_t s)
{
	return (s & 0xffffffff) + (s >> 32);
}

/* The last LEN < 8 bytes, in registers: a word put together in memory from smaller stores can only be read
 * when all of them, and the stores before them, have reached the cache. P may be NULL if LEN is 0. */
static uint64_t csum_tail(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;
	uint32_t w;
	uint16_t h;

	if (len & 4) {
		memcpy(&w, p, 4);
		sum = w;
		p += 4;
	}
	if (len & 2) {
		memcpy(&h, p, 2);
		sum += h;
		p += 2;
	}
	if (len & 1)
		sum += *p; /* little endian: an odd byte stands low, as it must in memory order */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "npp runs on little-endian machines"
#endif
	return sum;
}

uint64_t npp_csum_portable(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t s0 = 0, s1 = 0, v[4];

	for (; len >= sizeof v; len -= sizeof v, p += sizeof v) {
		memcpy(v, p, sizeof v);
		s0 = add_carry(add_carry(s0, v[0]), v[2]);
		s1 = add_carry(add_carry(s1, v[1]), v[3]);
	}
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(v, p, 8);
		s0 = add_carry(s0, v[0]);
	}
	s0 = add_carry(add_carry(s0, s1), csum_tail(p, len));
	return fold32(s0);
}

#if defined(__x86_64__)
__attribute__((target("avx2")))
uint64_t npp_csum_avx2(const void *data, size_t len)
{
	const uint8_t *p = data;
	const __m256i low = _mm256_set1_epi64x(0xffffffff);
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
	uint64_t lane[4];

	for (; len >= 64; len -= 64, p += 64) {
		__m256i x = _mm256_loadu_si256((const void *)p);
		__m256i y = _mm256_loadu_si256((const void *)(p + 32));

		a = _mm256_add_epi64(a, _mm256_and_si256(x, low));
		b = _mm256_add_epi64(b, _mm256_srli_epi64(x, 32));
		c = _mm256_add_epi64(c, _mm256_and_si256(y, low));
		d = _mm256_add_epi64(d, _mm256_srli_epi64(y, 32));
	}
	a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
	_mm256_storeu_si256((void *)lane, a);
	/* 32-bit pieces: no accumulator overflows below 64 GB. */
	return fold32(lane[0] + lane[1] + lane[2] + lane[3]) + npp_csum_portable(p, len);
}
#else
uint64_t npp_csum_avx2(const void *data, size_t len)
{
	return npp_csum_portable(data, len);
}
#endif

uint64_t npp_csum_add(const void *data, size_t len, uint64_t sum)
{
	if (len >= 128 && npp_cpu_has_avx2())
		return sum + npp_csum_avx2(data, len);
	return sum + npp_csum_portable(data, len);
}

uint64_t npp_csum_pseudo(const union npp_addr *src, const union npp_addr *dst, uint8_t proto,
			 uint32_t len)
{
	/* As 32-bit words in both families: the upper halves are zero and add nothing. */
	uint64_t sum = (uint64_t)htonl(len) + htonl(proto);

	if (npp_addr_is_v4(src))
		return sum + src->w[3] + dst->w[3];
	for (int i = 0; i < 4; i++)
		sum += (uint64_t)src->w[i] + dst->w[i];
	return sum;
}
