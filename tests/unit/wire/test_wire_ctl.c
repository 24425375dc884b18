/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_wire_ctl.c - settings and control requests of a wire
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "harness/wire/wire.h"
#include "tests/unit/suite.h"

static struct wire w;
static char answer[8192];

static int drop(void *arg, unsigned dir, const struct wire_frame *f)
{
	(void)arg, (void)dir, (void)f;
	return 0;
}

static int ask(const char *text)
{
	FILE *f = fmemopen(answer, sizeof answer, "w");
	int r = wire_ctl(&w, text, strlen(text), 1000000, f);

	fclose(f);
	return r;
}

static void setup(void)
{
	ck_assert_int_eq(wire_init(&w, 1), 0);
	w.send = drop;
}

static void teardown(void)
{
	wire_free(&w);
}

START_TEST(set_applies_all_of_it_or_nothing)
{
	ck_assert_int_eq(ask("set delay=40ms loss=2% up.rate=10mbit"), 0);
	ck_assert_str_eq(answer, "ok\n");
	ck_assert_uint_eq(w.conf[WIRE_DOWN].delay_us, 40000);
	ck_assert(w.conf[WIRE_UP].loss == 0.02);
	ck_assert_uint_eq(w.conf[WIRE_UP].rate_bps, 10000000);
	ck_assert_uint_eq(w.conf[WIRE_DOWN].rate_bps, 0);
	ck_assert_int_lt(ask("set delay=1ms los=2%"), 0);
	ck_assert_ptr_nonnull(strstr(answer, "did you mean 'loss'"));
	ck_assert_uint_eq(w.conf[WIRE_UP].delay_us, 40000);
	ck_assert_int_eq(ask("clear"), 0);
	ck_assert_uint_eq(w.conf[WIRE_UP].delay_us, 0);
}
END_TEST

START_TEST(values_out_of_range_are_refused)
{
	static const char *const bad[] = {
		"set loss=101%", "set loss=-1%", "set loss=nan", "set loss=", "set loss=2%%", "set delay=61s", "set delay=5",
		"set mtu=70000", "set mtu=67", "set burst=1%", "set burst=1%/", "set burst=1%/2%/3%/4%", "set blackout=maybe", "set",
		"set delay", "seed x", "bla", "", "get x", "set rate=fast", "set queue=-1",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_msg(ask(bad[i]) < 0, "accepted: %s", bad[i]);
		ck_assert_msg(strncmp(answer, "error: ", 7) == 0, "%s: %s", bad[i], answer);
	}
}
END_TEST

START_TEST(show_says_what_set_would_take)
{
	static const char *const all = "delay=1500us jitter=2ms loss=0.1% burst=1%/25%/50% reorder=3% reorder_gap=5 duplicate=4% "
				       "corrupt=12.5% rate=10mbit queue=64K mtu=1400 ecn=7% ecn_queue=100 blackout=yes";
	char text[512];
	const char *line;

	snprintf(text, sizeof text, "set %s", all);
	ck_assert_int_eq(ask(text), 0);
	ck_assert_int_eq(ask("set up.delay=3ms"), 0);
	ck_assert_int_eq(ask("show"), 0);
	ck_assert_ptr_nonnull(strstr(answer, "up    delay=3ms jitter=2ms"));
	line = strstr(answer, "down  ");
	ck_assert_ptr_nonnull(line);
	ck_assert_msg(strncmp(line + 6, all, strlen(all)) == 0, "%s", line);
	ck_assert_int_eq(ask("clear"), 0);
	ck_assert_int_eq(ask("show"), 0);
	ck_assert_ptr_nonnull(strstr(answer, "up    clean\n      0 frames in, 0 out\n"));
	ck_assert_ptr_nonnull(strstr(answer, "no carrier at the far end"));
}
END_TEST

START_TEST(a_blackout_that_is_over_is_not_shown)
{
	FILE *f;

	ck_assert_int_eq(ask("set blackout=5ms"), 0);	/* begun at 1 ms */
	ck_assert_int_eq(ask("show"), 0);
	ck_assert_ptr_nonnull(strstr(answer, "blackout="));
	f = fmemopen(answer, sizeof answer, "w");
	wire_text(&w, 7000000, f);
	fclose(f);
	ck_assert_ptr_null(strstr(answer, "blackout="));
}
END_TEST

START_TEST(get_says_what_was_set)
{
	ck_assert_int_eq(ask("set burst=1%/25%/50% mtu=1400"), 0);
	ck_assert_int_eq(ask("seed 9"), 0);
	ck_assert_int_eq(ask("get"), 0);
	ck_assert_ptr_nonnull(strstr(answer, "\"seed\": 9"));
	ck_assert_ptr_nonnull(strstr(answer, "\"burst_loss\": 0.5"));
	ck_assert_ptr_nonnull(strstr(answer, "\"mtu\": 1400"));
	ck_assert_ptr_nonnull(strstr(answer, "\"down\": {"));
}
END_TEST

START_TEST(every_key_has_a_form_and_a_meaning)
{
	const char *what, *key;
	unsigned i;

	for (i = 0; (key = wire_conf_key(i, &what)); i++)
		ck_assert(*key && *what);
	ck_assert_uint_ge(i, 12);
}
END_TEST

START_TEST(other_settings_do_not_prolong_a_blackout)
{
	struct wire_frame *f;

	ck_assert_int_eq(ask("set blackout=10ms"), 0);
	ck_assert_int_eq(ask("set loss=1%"), 0);
	ck_assert(w.conf[WIRE_UP].blackout);
	f = wire_get(&w, 60);
	f->len = 60;
	memset(f->data, 0, 60);
	wire_input(&w, WIRE_UP, f, 1000000 + 10100000);
	ck_assert(!w.conf[WIRE_UP].blackout);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire ctl");
	TCase *tc = tcase_create("ctl");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, set_applies_all_of_it_or_nothing);
	tcase_add_test(tc, values_out_of_range_are_refused);
	tcase_add_test(tc, show_says_what_set_would_take);
	tcase_add_test(tc, a_blackout_that_is_over_is_not_shown);
	tcase_add_test(tc, get_says_what_was_set);
	tcase_add_test(tc, every_key_has_a_form_and_a_meaning);
	tcase_add_test(tc, other_settings_do_not_prolong_a_blackout);
	suite_add_tcase(s, tc);
	return npp_suite_run(s);
}
