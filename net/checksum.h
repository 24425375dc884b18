/* SPDX-License-Identifier: GPL-2.0-or-later
 * checksum.h - the Internet checksum (RFC 1071, incremental update RFC 1624)
 *
 * A "sum" is an unfolded ones-complement sum in memory order; combine sums by
 * plain addition of even-length pieces, then npp_csum_fold() once.
 */
#ifndef NPP_NET_CHECKSUM_H
#define NPP_NET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "net/addr.h"

/* Sum of LEN bytes at DATA (any alignment, any length) added to SUM. */
uint64_t npp_csum_add(const void *data, size_t len, uint64_t sum);

/* Sum of the LEN bytes of an IPv4 header, which mostly has no options. */
static inline uint64_t npp_csum_ip4(const void *hdr, size_t len)
{
	uint32_t w[5];

	if (len != sizeof w)
		return npp_csum_add(hdr, len, 0);
	memcpy(w, hdr, sizeof w);
	return (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
}

/* Fold to 16 bits, not inverted: what a partial-checksum field holds. */
static inline uint16_t npp_csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Fold and invert: ready for the header (memory order, no byte swap needed). */
static inline uint16_t npp_csum_finish(uint64_t sum)
{
	return (uint16_t)~npp_csum_fold(sum);
}

/* Sum of the TCP/UDP pseudo header; picks the IPv4 or IPv6 form by the family of
 * SRC. LEN is the transport length in bytes. */
uint64_t npp_csum_pseudo(const union npp_addr *src, const union npp_addr *dst, uint8_t proto,
			 uint32_t len);

#endif
