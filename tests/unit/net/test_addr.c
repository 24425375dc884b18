/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_addr.c - text forms and prefixes of addresses
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>

#include "net/addr.h"
#include "tests/unit/suite.h"

static union npp_addr addr(const char *s)
{
	union npp_addr a;

	ck_assert_int_eq(npp_addr_parse(s, &a), 0);
	return a;
}

START_TEST(both_families_survive_a_round_trip)
{
	static const char *const text[] = { "0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1",
					    "fe80::1", "2001:db8::ff00:42:8329" };
	char buf[NPP_ADDR_STRLEN];

	for (unsigned i = 0; i < sizeof text / sizeof *text; i++) {
		union npp_addr a = addr(text[i]);

		ck_assert_str_eq(npp_addr_format(&a, buf), text[i]);
		ck_assert_int_eq(npp_addr_is_v4(&a), strchr(text[i], ':') == NULL);
	}
	ck_assert(npp_addr_get_v4(&(union npp_addr){ .w = { 0, 0, 0, htonl(0x01020304) } }) ==
		  htonl(0x01020304));
}
END_TEST

START_TEST(mapped_text_is_the_ipv4_address)
{
	union npp_addr a = addr("::ffff:10.1.2.3"), b = addr("10.1.2.3");

	ck_assert(npp_addr_eq(&a, &b));
}
END_TEST

START_TEST(nonsense_is_refused)
{
	static const char *const text[] = { "", "10.0.0", "10.0.0.256", "10.0.0.1 ", "::g", "1:2:3",
					    "10.0.0.1/24" };
	union npp_addr a;

	for (unsigned i = 0; i < sizeof text / sizeof *text; i++)
		ck_assert_int_eq(npp_addr_parse(text[i], &a), -EINVAL);
}
END_TEST

START_TEST(unspecified_of_either_family)
{
	union npp_addr a = addr("::"), b = addr("0.0.0.0"), c = addr("::1"), d = addr("::1:0:0");

	ck_assert(npp_addr_is_any(&a) && npp_addr_is_any(&b));
	ck_assert(!npp_addr_is_any(&c) && !npp_addr_is_any(&d));
}
END_TEST

START_TEST(prefixes_count_in_128_bits)
{
	union npp_addr a;
	unsigned len;

	ck_assert_int_eq(npp_addr_parse_prefix("10.0.0.1/24", &a, &len), 0);
	ck_assert_uint_eq(len, 120);
	ck_assert_int_eq(npp_addr_parse_prefix("10.0.0.1/0", &a, &len), 0);
	ck_assert_uint_eq(len, 96);
	ck_assert_int_eq(npp_addr_parse_prefix("fe80::1/64", &a, &len), 0);
	ck_assert_uint_eq(len, 64);
	ck_assert_int_eq(npp_addr_parse_prefix("10.0.0.1", &a, &len), 0);
	ck_assert_uint_eq(len, 128);
	ck_assert_int_eq(npp_addr_parse_prefix("10.0.0.1/33", &a, &len), -EINVAL);
	ck_assert_int_eq(npp_addr_parse_prefix("10.0.0.1/", &a, &len), -EINVAL);
	ck_assert_int_eq(npp_addr_parse_prefix("10.0.0.1/-1", &a, &len), -EINVAL);
	ck_assert_int_eq(npp_addr_parse_prefix("10.0.0.1/4294967297", &a, &len), -EINVAL);
	ck_assert_int_eq(npp_addr_parse_prefix("::1/129", &a, &len), -EINVAL);
	ck_assert_int_eq(npp_addr_parse_prefix("/24", &a, &len), -EINVAL);
}
END_TEST

START_TEST(membership_looks_at_every_bit_of_the_prefix)
{
	union npp_addr net = addr("10.1.2.128"), in = addr("10.1.2.129"), out = addr("10.1.2.1");
	union npp_addr six = addr("fe80::1");

	ck_assert(npp_addr_in_prefix(&in, &net, 96 + 25));
	ck_assert(!npp_addr_in_prefix(&out, &net, 96 + 25));
	ck_assert(npp_addr_in_prefix(&out, &net, 96 + 24));
	ck_assert(npp_addr_in_prefix(&out, &net, 96));
	ck_assert(!npp_addr_in_prefix(&six, &net, 96));
	ck_assert(npp_addr_in_prefix(&six, &net, 0));
	ck_assert(npp_addr_in_prefix(&net, &net, 128));
	ck_assert(!npp_addr_in_prefix(&in, &net, 128));
	ck_assert(!npp_addr_in_prefix(&net, &net, 129));
}
END_TEST

START_TEST(an_ipv4_address_is_the_same_however_it_is_made)
{
	union npp_addr a, b = npp_addr_v4(htonl(0x0a010203));

	memset(&a, 0x5a, sizeof a);
	npp_addr_set_v4(&a, htonl(0x0a010203));
	ck_assert(npp_addr_eq(&a, &b) && npp_addr_is_v4(&a));
	ck_assert_mem_eq(a.b, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03", 16);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net/addr");
	TCase *t = tcase_create("addr");

	tcase_add_test(t, both_families_survive_a_round_trip);
	tcase_add_test(t, an_ipv4_address_is_the_same_however_it_is_made);
	tcase_add_test(t, mapped_text_is_the_ipv4_address);
	tcase_add_test(t, nonsense_is_refused);
	tcase_add_test(t, unspecified_of_either_family);
	tcase_add_test(t, prefixes_count_in_128_bits);
	tcase_add_test(t, membership_looks_at_every_bit_of_the_prefix);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
