/* SPDX-License-Identifier: GPL-2.0-or-later
 * pattern.c - the bytes that bulk streams carry
 *
 * A pseudo-random block of prime length, repeated: any slip by less than a megabyte,
 * swap or loss shows, and checking is one memcmp.
 */
#include "config.h"

#include <string.h>

#include "harness/load/load.h"

#define PERIOD 1000003u

static uint8_t block[PERIOD + LOAD_CHUNK];

void load_pattern_init(void)
{
	uint64_t x = 0x9e3779b97f4a7c15ull;

	for (size_t i = 0; i < PERIOD; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		block[i] = (uint8_t)(x >> 32);
	}
	memcpy(block + PERIOD, block, LOAD_CHUNK);
}

const uint8_t *load_pattern(uint64_t offset)
{
	return block + offset % PERIOD;
}

bool load_pattern_check(uint64_t offset, const uint8_t *data, size_t len)
{
	return memcmp(load_pattern(offset), data, len) == 0;
}
