/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_checksum.c - the Internet checksum against a plain one
 */
#include "config.h"

#include <arpa/inet.h>

#include "net/checksum.h"
#include "net/priv.h"
#include "tests/unit/suite.h"

/* As RFC 1071 writes it: 16 bits at a time, in network order. */
static uint16_t plain(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return htons((uint16_t)sum);
}

/* Ones-complement zero has two forms. */
static bool same(uint16_t a, uint16_t b)
{
	return a == b || ((a == 0 || a == 0xffff) && (b == 0 || b == 0xffff));
}

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
}

START_TEST(rfc1071_example)
{
	static const uint8_t v[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	ck_assert_uint_eq(npp_csum_fold(npp_csum_add(v, sizeof v, 0)), htons(0xddf2));
	ck_assert_uint_eq(npp_csum_finish(npp_csum_add(v, sizeof v, 0)), htons(0x220d));
}
END_TEST

START_TEST(nothing_adds_nothing)
{
	ck_assert_uint_eq(npp_csum_finish(npp_csum_add(NULL, 0, 5)), (uint16_t)~5u);
}
END_TEST

START_TEST(every_length_and_alignment)
{
	static uint8_t buf[700];

	fill(buf, sizeof buf, 7);
	for (size_t off = 0; off < 9; off++) {
		for (size_t len = 0; len <= 600; len++) {
			uint16_t want = plain(buf + off, len);

			ck_assert(same(npp_csum_fold(npp_csum_add(buf + off, len, 0)), want));
			ck_assert(same(npp_csum_fold(npp_csum_portable(buf + off, len)), want));
			if (npp_cpu_has_avx2())
				ck_assert(same(npp_csum_fold(npp_csum_avx2(buf + off, len)), want));
		}
	}
}
END_TEST

START_TEST(headers_of_every_length_add_up_as_data_do)
{
	static uint8_t buf[64];

	for (uint32_t seed = 0; seed < 1000; seed++) {
		fill(buf, sizeof buf, seed);
		if (seed % 10 == 0)
			memset(buf, 0xff, sizeof buf);
		for (size_t len = 20; len <= 60; len += 4)
			ck_assert(same(npp_csum_fold(npp_csum_ip4(buf + seed % 4, len)), plain(buf + seed % 4, len)));
	}
}
END_TEST

START_TEST(all_ones_lose_no_carry)
{
	static uint8_t buf[65536 + 3];

	memset(buf, 0xff, sizeof buf);
	for (size_t len = sizeof buf - 70; len <= sizeof buf; len++) {
		uint16_t want = plain(buf, len);

		ck_assert(same(npp_csum_fold(npp_csum_portable(buf, len)), want));
		ck_assert_uint_lt(npp_csum_portable(buf, len), 1ull << 33);
		if (npp_cpu_has_avx2())
			ck_assert(same(npp_csum_fold(npp_csum_avx2(buf, len)), want));
	}
}
END_TEST

START_TEST(pieces_add_up)
{
	static uint8_t buf[4000];

	fill(buf, sizeof buf, 99);
	for (size_t cut = 0; cut <= sizeof buf; cut += 2) {
		uint64_t sum = npp_csum_add(buf, cut, 0);

		sum = npp_csum_add(buf + cut, sizeof buf - cut, sum);
		ck_assert(same(npp_csum_fold(sum), plain(buf, sizeof buf)));
	}
}
END_TEST

START_TEST(fold_of_extreme_sums)
{
	ck_assert_uint_eq(npp_csum_fold(0), 0);
	ck_assert_uint_eq(npp_csum_fold(0xffff), 0xffff);
	ck_assert_uint_eq(npp_csum_fold(0x10000), 1);
	ck_assert_uint_eq(npp_csum_fold(UINT64_MAX), 0xffff);
	ck_assert_uint_eq(npp_csum_fold(0xffffffff00000001ull), 1);
	ck_assert_uint_eq(npp_csum_fold(0xfffeffffffffull), 0xfffe);
}
END_TEST

START_TEST(pseudo_headers_of_both_families)
{
	union npp_addr a4 = npp_addr_v4(htonl(0x0a000001)), b4 = npp_addr_v4(htonl(0xc0a80102));
	uint8_t p4[12] = { 10, 0, 0, 1, 192, 168, 1, 2, 0, 6, 0x12, 0x34 };
	union npp_addr a6, b6;
	uint8_t p6[40];

	ck_assert(same(npp_csum_fold(npp_csum_pseudo(&a4, &b4, 6, 0x1234)), plain(p4, sizeof p4)));
	fill(a6.b, 16, 1);
	fill(b6.b, 16, 2);
	memcpy(p6, a6.b, 16);
	memcpy(p6 + 16, b6.b, 16);
	memcpy(p6 + 32, (uint8_t[]){ 0, 1, 0x23, 0x45, 0, 0, 0, 17 }, 8);
	ck_assert(same(npp_csum_fold(npp_csum_pseudo(&a6, &b6, 17, 0x12345)), plain(p6, sizeof p6)));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net/checksum");
	TCase *t = tcase_create("checksum");

	tcase_add_test(t, rfc1071_example);
	tcase_add_test(t, nothing_adds_nothing);
	tcase_add_test(t, every_length_and_alignment);
	tcase_add_test(t, headers_of_every_length_add_up_as_data_do);
	tcase_add_test(t, all_ones_lose_no_carry);
	tcase_add_test(t, pieces_add_up);
	tcase_add_test(t, fold_of_extreme_sums);
	tcase_add_test(t, pseudo_headers_of_both_families);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
