/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_isn.c - initial sequence numbers, timestamp offsets: what must vary, and what must not
 */
#include "config.h"

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

static struct th *h;

static void setup(void)
{
	h = th_new(4);
}

static void teardown(void)
{
	th_free(h);
}

static union npp_addr peer(unsigned i)
{
	union npp_addr a = h->peer;

	a.b[15] = (uint8_t)(a.b[15] + i);
	return a;
}

/* The number of (our port LP, peer I, its port RP) now. */
static uint32_t isn(uint16_t lp, unsigned i, uint16_t rp)
{
	union npp_addr p = peer(i);

	return tcp_isn(h->s, &h->addr, lp, &p, rp);
}

static void wait_us(uint64_t us)
{
	h->now_us += us;
	stack_set_now(h->s, h->now_us);
}

START_TEST(of_one_four_tuple_they_follow_a_clock_of_4_us)
{
	uint32_t first = isn(80, 0, 4000);

	ck_assert_uint_eq(isn(80, 0, 4000), first);
	for (unsigned i = 1; i < 20; i++) {
		wait_us(4000);
		ck_assert_uint_eq(isn(80, 0, 4000), first + 1000 * i);
	}
	wait_us(4ull << 32); /* the clock goes around: 4.77 hours */
	ck_assert_uint_eq(isn(80, 0, 4000), first + 19000);
}
END_TEST

/* Each part of the four-tuple counts, and what one number is says nothing of the next. */
START_TEST(another_four_tuple_has_a_number_of_its_own)
{
	uint32_t seen[600], n = 0, steps[3][200];

	for (unsigned i = 0; i < 200; i++) {
		seen[n++] = isn(80, 0, (uint16_t)(4000 + i));
		seen[n++] = isn((uint16_t)(1081 + i), 0, 4000);
		seen[n++] = isn(80, 1 + i, 4000);
	}
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			ck_assert_uint_ne(seen[i], seen[k]);
	for (unsigned k = 0; k < 3; k++)
		for (unsigned i = 0; i + 1 < 200; i++)
			steps[k][i] = seen[3 * (i + 1) + k] - seen[3 * i + k];
	for (unsigned k = 0; k < 3; k++)
		for (unsigned i = 1; i + 1 < 200; i++)
			ck_assert_uint_ne(steps[k][i], steps[k][0]);
}
END_TEST

START_TEST(another_key_gives_other_numbers)
{
	uint32_t before = isn(80, 0, 4000);

	h->s->cfg.isn_key[0] ^= 1;
	ck_assert_uint_ne(isn(80, 0, 4000), before);
	h->s->cfg.isn_key[0] ^= 1;
	h->s->cfg.isn_key[1] ^= 1ull << 63;
	ck_assert_uint_ne(isn(80, 0, 4000), before);
	h->s->cfg.isn_key[1] ^= 1ull << 63;
	ck_assert_uint_eq(isn(80, 0, 4000), before);
}
END_TEST

START_TEST(connections_begin_with_them)
{
	struct tcp_seg syn = { .sport = 4000, .dport = 80, .seq = TP_ISS, .wnd = 65535, .flags = TCPF_SYN };
	uint32_t want = isn(80, 0, 4000);
	struct tp p;

	th_listen(h, 80, 4);
	th_input(h, &syn, NULL, 0);
	ck_assert_uint_eq(th_next(h)->g.seq, want);
	syn.flags = TCPF_RST;
	syn.seq++;
	th_input(h, &syn, NULL, 0);
	th_forget(h);
	tp_connect(&p, h, 5000, 0);
	ck_assert_uint_eq(tcb_of(p.k->c)->iss, isn(p.lport, 0, 5000)); /* no time has passed */
}
END_TEST

START_TEST(timestamps_of_a_pair_of_addresses_go_on_over_all_ports)
{
	union npp_addr a = peer(0), b = peer(1);
	uint32_t off = tcp_ts_offset(h->s, &h->addr, 80, &a, 4000);

	ck_assert_uint_eq(tcp_ts_offset(h->s, &h->addr, 81, &a, 4001), off);
	wait_us(1000000);
	ck_assert_uint_eq(tcp_ts_offset(h->s, &h->addr, 80, &a, 4000), off);
	ck_assert_uint_ne(tcp_ts_offset(h->s, &h->addr, 80, &b, 4000), off);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_isn");
	TCase *tc = tcase_create("isn");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, of_one_four_tuple_they_follow_a_clock_of_4_us);
	tcase_add_test(tc, another_four_tuple_has_a_number_of_its_own);
	tcase_add_test(tc, another_key_gives_other_numbers);
	tcase_add_test(tc, connections_begin_with_them);
	tcase_add_test(tc, timestamps_of_a_pair_of_addresses_go_on_over_all_ports);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
