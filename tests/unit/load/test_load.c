/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_load.c - the parts of npp-load that stand alone: SHA-256, histogram, command line
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/load/load.h"
#include "harness/load/sha256.h"
#include "tests/unit/suite.h"

static void sum_is(const char *text, size_t repeat, size_t step, const char *hex)
{
	uint8_t want[32], got[32];
	size_t len = strlen(text), total = len * repeat;
	uint8_t *all = malloc(total + 1);
	struct load_sha256 s;

	for (size_t i = 0; i < repeat; i++)
		memcpy(all + i * len, text, len);
	ck_assert(load_sha256_parse(hex, want));
	load_sha256_init(&s);
	for (size_t i = 0; i < total; i += step)
		load_sha256_add(&s, all + i, total - i < step ? total - i : step);
	load_sha256_end(&s, got);
	ck_assert_mem_eq(got, want, 32);
	free(all);
}

START_TEST(sums_of_fips_180_4)
{
	sum_is("", 1, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sum_is("abc", 1, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sum_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, 56,
	       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	for (size_t step = 1; step < 200; step += 37)	/* in pieces of any size */
		sum_is("a", 1000000, step, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

START_TEST(a_sum_is_64_digits)
{
	uint8_t sum[32];

	ck_assert(!load_sha256_parse("abc", sum));
	ck_assert(!load_sha256_parse("g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sum));
	ck_assert(load_sha256_parse("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", sum));
	ck_assert_uint_eq(sum[0], 0xe3);
}
END_TEST

START_TEST(quantiles_are_within_a_bucket)
{
	static struct load_hist h;

	for (uint64_t v = 1; v <= 100000; v++)
		load_hist_add(&h, v * 1000);
	for (double q = 0.01; q < 1; q += 0.07) {
		double got = (double)load_hist_quantile(&h, q), want = q * 1e8;

		ck_assert(got >= want * 0.999 && got <= want * 1.033);
	}
	ck_assert_uint_eq(load_hist_quantile(&h, 1), 100000000);
}
END_TEST

#define MAX_WORDS 20
static struct load_opts o;

static int parse(const char *line)
{
	static char text[512];
	char *argv[MAX_WORDS] = { (char[]){ "npp-load" } }, *save = NULL;
	int n = 1;

	snprintf(text, sizeof text, "%s", line);
	for (char *p = strtok_r(text, " ", &save); p && n < MAX_WORDS - 1; p = strtok_r(NULL, " ", &save))
		argv[n++] = p;
	argv[n] = NULL;
	return load_parse(&o, n, argv);
}

static unsigned port_of(unsigned i)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&o.target[i].addr[0].sa;

	return ntohs(v4->sin_port);	/* at the same place in both families */
}

START_TEST(targets_of_both_families)
{
	ck_assert_int_eq(parse("http://10.0.0.1/a http://[fd00::1]/b http://[fd00::2]:8080 http://10.0.0.2:81/"), 0);
	ck_assert_uint_eq(o.n_targets, 4);
	ck_assert_str_eq(o.target[0].host, "10.0.0.1");
	ck_assert_str_eq(o.target[0].path, "/a");
	ck_assert_int_eq(o.target[1].addr[0].sa.ss_family, AF_INET6);
	ck_assert_str_eq(o.target[1].host, "[fd00::1]");
	ck_assert_uint_eq(port_of(1), 80);
	ck_assert_str_eq(o.target[2].host, "[fd00::2]:8080");
	ck_assert_str_eq(o.target[2].path, "/");
	ck_assert_uint_eq(port_of(2), 8080);
	ck_assert_str_eq(o.target[3].host, "10.0.0.2:81");
	ck_assert_int_eq(parse("udp 10.0.0.1 53 fd00::1 54"), 0);
	ck_assert_uint_eq(o.n_targets, 2);
	ck_assert_uint_eq(port_of(1), 54);
	ck_assert_uint_eq(o.timeout_ms, 1000);
	ck_assert_uint_eq(o.bytes, 64);
}
END_TEST

START_TEST(options_say_what_they_mean)
{
	ck_assert_int_eq(parse("-K 5 -T 10-20 -R 1000 -S 10.0.0.5-10.0.0.8,fd00::1 -u 77 http://10.0.0.1/"), 0);
	ck_assert_uint_eq(o.per_conn, 5);
	ck_assert_uint_eq(o.think_min_ns, 10000000);
	ck_assert_uint_eq(o.think_max_ns, 20000000);
	ck_assert_uint_eq(o.n_sources, 5);
	ck_assert_int_eq(o.source[4].sa.ss_family, AF_INET6);
	ck_assert(o.upload && o.upload_bytes == 77);
	ck_assert_uint_eq(o.timeout_ms, 10000);
	ck_assert(o.duration_s > 9.9);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	static const char *const bad[] = {
		"", "http:/x", "http://", "http://[fd00::1/", "http://[fd00::1]x/", "http://10.0.0.1:/", "echo 10.0.0.1", "udp 10.0.0.1 1 2",
		"-c 0 http://10.0.0.1/", "-c x http://10.0.0.1/", "-T 20-10 http://10.0.0.1/", "-S 10.0.0.x http://10.0.0.1/",
		"-S 10.0.0.1-fd00::1 http://10.0.0.1/", "-S 10.0.0.1-10.0.1.1 http://10.0.0.1/", "-x 12 http://10.0.0.1/",
		"-x e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 echo 10.0.0.1 7", "-b 7 udp 10.0.0.1 7",
		"-b 70000 udp 10.0.0.1 7", "-t 0 http://10.0.0.1/", "-N a\"b http://10.0.0.1/", "-u 5 echo 10.0.0.1 7",
	};

	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));	/* each is explained */
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(parse(bad[i]) == 2, "accepted: %s", bad[i]);
}
END_TEST

/* What the report of the profile O with ST says. */
static char *report(struct load_stats *st)
{
	static char text[4096];
	struct load_profile p = { .o = o, .st = st };
	FILE *f = tmpfile();
	int out = dup(STDOUT_FILENO);
	size_t n;

	ck_assert(f && out >= 0 && fflush(stdout) == 0 && dup2(fileno(f), STDOUT_FILENO) >= 0);
	load_report(&p, 1, 1.0);
	ck_assert(fflush(stdout) == 0 && dup2(out, STDOUT_FILENO) >= 0);
	close(out);
	rewind(f);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

START_TEST(a_client_without_ports_is_told)
{
	static struct load_stats st;

	ck_assert_int_eq(parse("connect 10.0.0.1 7"), 0);
	atomic_store(&st.connect_calls, 100);
	atomic_store(&st.connect_cpu_ns, 100 * 50000ull);	/* as it should be */
	ck_assert_ptr_null(strstr(report(&st), "note"));
	atomic_store(&st.connect_cpu_ns, 100 * 40000000ull);
	ck_assert_ptr_nonnull(strstr(report(&st), "connect() took 40.0 ms"));
	ck_assert_ptr_nonnull(strstr(report(&st), "-k leaves no TIME_WAIT"));
	ck_assert_int_eq(parse("-j connect 10.0.0.1 7"), 0);
	ck_assert_ptr_nonnull(strstr(report(&st), "\"connect_cpu_us\": 40000.000"));
}
END_TEST

/* What O with ST would be told. */
static bool nothing(struct load_stats *st)
{
	struct load_profile p = { .o = o, .st = st };

	return load_did_nothing(&p);
}

START_TEST(a_load_that_did_nothing_is_told_from_one_that_did_what_it_should)
{
	static const struct { const char *line; unsigned requests, connects, in, out; bool nothing; } as[] = {
		{ "udp 10.0.0.1 7", 0, 1, 0, 1000, true },	/* all lost */
		{ "udp 10.0.0.1 7", 1, 1, 64, 1000, false },
		{ "echo 10.0.0.1 7", 0, 1, 0, 1000, true },
		{ "echo 10.0.0.1 7", 0, 1, 10, 1000, false },	/* it was on its way */
		{ "connect 10.0.0.1 7", 0, 0, 0, 0, true },
		{ "connect 10.0.0.1 7", 0, 1, 0, 0, false },
		{ "idle 10.0.0.1 7", 0, 5, 0, 0, false },
		{ "send 10.0.0.1 7", 0, 1, 0, 0, true },
		{ "send 10.0.0.1 7", 0, 1, 0, 1000, false },
		{ "recv 10.0.0.1 7", 0, 1, 0, 0, true },
		{ "http://10.0.0.1/", 0, 1, 0, 100, true },
	};

	for (unsigned i = 0; i < sizeof as / sizeof *as; i++) {
		static struct load_stats st;

		ck_assert_int_eq(parse(as[i].line), 0);
		atomic_store(&st.requests, as[i].requests);
		atomic_store(&st.connects, as[i].connects);
		atomic_store(&st.bytes_in, as[i].in);
		atomic_store(&st.bytes_out, as[i].out);
		atomic_store(&st.errors[0], 0);
		ck_assert_msg(nothing(&st) == as[i].nothing, "case %u", i);
		atomic_store(&st.errors[0], 1); /* which is told already */
		ck_assert(!nothing(&st));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("load");
	TCase *t = tcase_create("load");

	tcase_add_test(t, sums_of_fips_180_4);
	tcase_add_test(t, a_sum_is_64_digits);
	tcase_add_test(t, quantiles_are_within_a_bucket);
	tcase_add_test(t, targets_of_both_families);
	tcase_add_test(t, options_say_what_they_mean);
	tcase_add_test(t, nonsense_is_refused);
	tcase_add_test(t, a_client_without_ports_is_told);
	tcase_add_test(t, a_load_that_did_nothing_is_told_from_one_that_did_what_it_should);
	suite_add_tcase(suite, t);
	return npp_suite_run(suite);
}
