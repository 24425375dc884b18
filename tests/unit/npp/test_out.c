/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_out.c - numbers and JSON strings of npp
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "npp/npp.h"
#include "tests/unit/suite.h"

static const struct { double v; const char *text; } numbers[] = {
	{ 0, "0" }, { 1, "1" }, { 9999, "9999" }, { 9999.6, "10.00 k" }, { 12345, "12.35 k" }, { 123456, "123.5 k" },
	{ 999600, "1000 k" }, { 1234567, "1235 k" }, { 12345678, "12.35 M" }, { 98765432109.0, "98.77 G" },
	{ 1e15, "1000 T" }, { 18446744073709551615.0, "18446744 T" },
};

START_TEST(count_is_short)
{
	char buf[24];

	ck_assert_str_eq(out_count(numbers[_i].v, buf), numbers[_i].text);
}
END_TEST

START_TEST(json_string_escapes)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	npp_json_string(f, "a\"b\\c\n\x01\xc3\xa9");
	fclose(f);
	ck_assert_str_eq(text, "\"a\\\"b\\\\c\\u000a\\u0001\xc3\xa9\"");
	free(text);
}
END_TEST

START_TEST(a_failure_is_an_object)
{
	static const char *const texts[] = { "no \"x\"", "nor y" };
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	npp_json_failed(f, texts, 2);
	fclose(f);
	ck_assert_str_eq(text, "{\"ok\": false, \"errors\": [\"no \\\"x\\\"\",\n \"nor y\"]}\n");
	free(text);
}
END_TEST

START_TEST(json_string_is_utf8_whatever_comes)
{
	static const struct { const char *in, *out; } t[] = {
		{ "\xf0\x9f\x98\x80 \xe2\x82\xac", "\"\xf0\x9f\x98\x80 \xe2\x82\xac\"" },
		{ "a\xff" "b", "\"a\\ufffdb\"" },			/* never */
		{ "\xc3", "\"\\ufffd\"" },				/* cut off */
		{ "\xe2\x82\"", "\"\\ufffd\\ufffd\\\"\"" },		/* cut off, then a quote */
		{ "\xc0\x80", "\"\\ufffd\\ufffd\"" },			/* longer than it need be */
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },	/* half of a pair */
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		char *text = NULL;
		size_t len = 0;
		FILE *f = open_memstream(&text, &len);

		npp_json_string(f, t[i].in);
		fclose(f);
		ck_assert_str_eq(text, t[i].out);
		free(text);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("npp");
	TCase *t = tcase_create("out");

	tcase_add_loop_test(t, count_is_short, 0, sizeof numbers / sizeof *numbers);
	tcase_add_test(t, json_string_escapes);
	tcase_add_test(t, a_failure_is_an_object);
	tcase_add_test(t, json_string_is_utf8_whatever_comes);
	suite_add_tcase(suite, t);
	return npp_suite_run(suite);
}
