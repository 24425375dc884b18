/* SPDX-License-Identifier: GPL-2.0-or-later
 * priv.h - variants of the net library that only it and its tests may name
 *
 * Each pair computes the same; which one runs is chosen by the CPU's features.
 */
#ifndef NPP_NET_PRIV_H
#define NPP_NET_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool npp_cpu_has_avx2(void);
bool npp_cpu_has_crc32(void);

/* Ones-complement sum of LEN bytes, below 2^33. */
uint64_t npp_csum_portable(const void *data, size_t len);
uint64_t npp_csum_avx2(const void *data, size_t len);

/* Raw CRC32C steps: CRC in, CRC out, no inversion. */
uint32_t npp_crc32c_table(uint32_t crc, const void *data, size_t len);
uint32_t npp_crc32c_hw(uint32_t crc, const void *data, size_t len);

#endif
