/* SPDX-License-Identifier: GPL-2.0-or-later
 * sha256.h - SHA-256 (FIPS 180-4), for downloads
 */
#ifndef NPP_LOAD_SHA256_H
#define NPP_LOAD_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_sha256 { uint32_t h[8]; uint64_t len; uint8_t block[64]; };

void load_sha256_init(struct load_sha256 *s);
void load_sha256_add(struct load_sha256 *s, const uint8_t *data, size_t len);
void load_sha256_end(struct load_sha256 *s, uint8_t sum[32]);
/* 64 hexadecimal digits; false: it is not that. */
bool load_sha256_parse(const char *text, uint8_t sum[32]);

#endif
