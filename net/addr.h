/* SPDX-License-Identifier: GPL-2.0-or-later
 * addr.h - one address type for IPv4 and IPv6
 *
 * Every address in npp is 16 bytes in network order. An IPv4 address stands as
 * its IPv4-mapped form ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so tables, hashes and
 * comparisons need one path only. The unspecified address of either family is
 * :: (all zero) or ::ffff:0.0.0.0.
 */
#ifndef NPP_NET_ADDR_H
#define NPP_NET_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

union npp_addr {
	uint8_t b[16];
	uint32_t w[4];
	uint64_t q[2];
};

#define NPP_ADDR_STRLEN 46

/* From an IPv4 address in network order. */
static inline union npp_addr npp_addr_v4(uint32_t be)
{
	return (union npp_addr){ .q = { 0, (uint64_t)be << 32 | 0xffff0000u } };
}

/* The same where it shall stand, without a copy: that would be loaded as one word, and wait until the two
 * that it was stored as are in the cache. */
static inline void npp_addr_set_v4(union npp_addr *a, uint32_t be)
{
	a->q[0] = 0;
	a->q[1] = (uint64_t)be << 32 | 0xffff0000u;
}

static inline bool npp_addr_is_v4(const union npp_addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(a->b, prefix, sizeof prefix) == 0;
}

/* What one customer of a network has many addresses of: /24 of IPv4, /48 of IPv6. Peers are counted by it where they
 * share what is scarce. */
static inline union npp_addr npp_addr_customer(union npp_addr a)
{
	if (npp_addr_is_v4(&a))
		a.b[15] = 0;
	else
		memset(a.b + 6, 0, 10);
	return a;
}
/* The IPv4 address in network order; only meaningful if npp_addr_is_v4(). */
static inline uint32_t npp_addr_get_v4(const union npp_addr *a)
{
	return a->w[3];
}

static inline bool npp_addr_eq(const union npp_addr *a, const union npp_addr *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

/* Unspecified in either family. */
static inline bool npp_addr_is_any(const union npp_addr *a)
{
	return a->w[3] == 0 && a->q[0] == 0 && (a->w[2] == 0 || npp_addr_is_v4(a));
}

/* 224.0.0.0/4 or ff00::/8. */
static inline bool npp_addr_is_multicast(const union npp_addr *a)
{
	return npp_addr_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

/* Does A lie in NET/PREFIX_LEN? PREFIX_LEN counts in 128 bits: 96 + n for IPv4. */
bool npp_addr_in_prefix(const union npp_addr *a, const union npp_addr *net, unsigned prefix_len);

/* Text form ("10.0.0.1", "fe80::1") into BUF of NPP_ADDR_STRLEN; returns BUF. */
const char *npp_addr_format(const union npp_addr *a, char *buf);

/* Parses "10.0.0.1" or an IPv6 address. 0, or -EINVAL. */
int npp_addr_parse(const char *text, union npp_addr *out);

/* Parses "10.0.0.1/24": address and prefix length in 128 bits (96 + 24); without
 * a slash the length is 128. 0, or -EINVAL. */
int npp_addr_parse_prefix(const char *text, union npp_addr *out, unsigned *prefix_len);

#endif
