/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_nk.c - the net kernel: causes, budgets, threads, and no wake-up lost
 */
#include "config.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "npp-ism/netkernel/nk.h"
#include "shm/bell.h"
#include "tests/unit/suite.h"

static struct nk nk;
static struct nk_state st;
static npp_counter_t stats[NPP_STATS_COUNTERS];
static char trail[256];		/* who ran, a letter each */
static int bell;
static uint64_t next_timer;

struct src { unsigned work; unsigned ran, calls; char letter; bool asleep; };
static struct src a = { .letter = 'a' }, b = { .letter = 'b' };

static void mark(char c)
{
	size_t n = strlen(trail);

	if (n + 1 < sizeof trail)
		trail[n] = c;
}

static bool src_pending(void *arg)
{
	return ((struct src *)arg)->work > 0;
}

static unsigned src_run(void *arg, unsigned budget)
{
	struct src *s = arg;
	unsigned n = s->work < budget ? s->work : budget;

	mark(s->letter);
	s->calls++;
	s->work -= n;
	s->ran += n;
	return n;
}

static void src_announce(void *arg, bool asleep)
{
	((struct src *)arg)->asleep = asleep;
}

static void hook_flush(void *arg)
{
	(void)arg;
	mark('F');
}

static uint64_t hook_timer(void *arg)
{
	(void)arg;
	return next_timer;
}

static void setup(void)
{
	const struct nk_hooks hooks = { .flush = hook_flush, .next_timer = hook_timer };

	memset(trail, 0, sizeof trail);
	memset(&st, 0, sizeof st);
	memset(stats, 0, sizeof stats);
	a = (struct src){ .letter = 'a' };
	b = (struct src){ .letter = 'b' };
	next_timer = NK_NEVER;
	bell = npp_bell_create();
	ck_assert_int_ge(bell, 0);
	ck_assert_int_eq(nk_init(&nk, &st, bell, stats, &hooks), 0);
	nk_source_add(&nk, &(struct nk_source){ "b", NK_HOST, 4, &b, src_pending, src_run, src_announce });
	nk_source_add(&nk, &(struct nk_source){ "a", NK_RX, 4, &a, src_pending, src_run, src_announce });
}

static void teardown(void)
{
	nk_close(&nk);
	close(bell);
}

/* ---- interrupt level ------------------------------------------------------------------ */

START_TEST(causes_run_in_their_order)
{
	a.work = b.work = 1;
	ck_assert(nk_round(&nk));
	ck_assert_str_eq(trail, "abF");
	ck_assert(!nk_round(&nk));
	ck_assert_str_eq(trail, "abF");
}
END_TEST

START_TEST(budget_ends_a_source_and_keeps_its_cause_raised)
{
	a.work = 10;
	b.work = 1;
	ck_assert(nk_round(&nk));
	ck_assert_uint_eq(a.ran, 4);
	ck_assert_uint_eq(b.ran, 1);
	ck_assert(st.status & 1u << NK_RX);
	ck_assert_uint_eq(stats[NPP_IS_ROUNDS_FULL], 1);
	nk_round(&nk);
	nk_round(&nk);
	ck_assert_uint_eq(a.ran, 10);
}
END_TEST

START_TEST(masked_cause_stays_raised_until_enabled)
{
	nk_disable(&nk, NK_RX);
	a.work = 1;
	ck_assert(!nk_round(&nk));
	ck_assert_uint_eq(a.ran, 0);
	ck_assert(st.status & 1u << NK_RX);
	ck_assert_uint_ge(stats[NPP_IS_INT_MASKED], 1);
	nk.max_sleep_us = 1000;
	nk_sleep(&nk); /* it keeps nobody awake */
	ck_assert_uint_eq(stats[NPP_IS_SLEEPS], 1);
	nk_enable(&nk, NK_RX);
	ck_assert(nk_round(&nk));
	ck_assert_uint_eq(a.ran, 1);
}
END_TEST

START_TEST(raised_cause_runs_without_a_poll)
{
	nk_raise(&nk, NK_HOST);
	ck_assert(nk_round(&nk));
	ck_assert_uint_eq(b.calls, 1);
	ck_assert(!nk_round(&nk));
}
END_TEST

static unsigned masks_others(void *arg, unsigned budget)
{
	(void)arg;
	(void)budget;
	nk_disable(&nk, NK_HOST);
	return 1;
}

START_TEST(handler_may_mask_a_later_cause)
{
	nk_source_add(&nk, &(struct nk_source){ "m", NK_IPC, 4, NULL, NULL, masks_others, NULL });
	nk_raise(&nk, NK_IPC);
	b.work = 1;
	nk_round(&nk);
	ck_assert_uint_eq(b.ran, 0);
	nk_enable(&nk, NK_HOST);
	nk_round(&nk);
	ck_assert_uint_eq(b.ran, 1);
}
END_TEST

/* ---- threads ------------------------------------------------------------------------------ */

static int th[4];

static void high(struct nk *k, void *arg)
{
	(void)k;
	(void)arg;
	mark('H');
}

START_TEST(high_thread_is_entered_again_for_every_event)
{
	th[0] = nk_thread_add(&nk, NK_HIGH, "high", high, NULL);
	ck_assert(!nk_round(&nk));
	nk_thread_raise(&nk, th[0]);
	nk_thread_raise(&nk, th[0]);
	nk_round(&nk);
	ck_assert_str_eq(trail, "HF");
	ck_assert_uint_eq(st.thread[th[0]].state, NK_T_BLOCKED);
	nk_thread_raise(&nk, th[0]);
	nk_round(&nk);
	ck_assert_str_eq(trail, "HFHF");
}
END_TEST

static void normal(struct nk *k, void *arg)
{
	(void)arg;
	mark('(');
	a.work = 1;
	nk_thread_raise(k, th[0]);
	nk_preempt_point(k);
	mark(')');
}

START_TEST(normal_thread_is_preempted_by_interrupts_and_high_threads)
{
	th[0] = nk_thread_add(&nk, NK_HIGH, "high", high, NULL);
	th[1] = nk_thread_add(&nk, NK_NORMAL, "normal", normal, NULL);
	nk_thread_raise(&nk, th[1]);
	nk_round(&nk);
	ck_assert_str_eq(trail, "(aHF)");
	ck_assert_uint_eq(st.thread[th[1]].runs, 1);
	ck_assert(!nk_round(&nk)); /* it has ended */
}
END_TEST

static void low(struct nk *k, void *arg)
{
	(void)arg;
	mark('[');
	nk_thread_raise(k, th[1]);
	nk_preempt_point(k);
	mark(']');
}

START_TEST(low_thread_is_preempted_by_normal_ones)
{
	th[0] = nk_thread_add(&nk, NK_HIGH, "high", high, NULL);
	th[1] = nk_thread_add(&nk, NK_NORMAL, "normal", normal, NULL);
	th[2] = nk_thread_add(&nk, NK_LOW, "low", low, NULL);
	nk_thread_raise(&nk, th[2]);
	nk_round(&nk);
	ck_assert_str_eq(trail, "[(aHF)]");
}
END_TEST

START_TEST(low_thread_waits_while_there_is_other_work)
{
	th[1] = nk_thread_add(&nk, NK_NORMAL, "normal", high, NULL);
	th[2] = nk_thread_add(&nk, NK_LOW, "low", high, NULL);
	nk_thread_raise(&nk, th[2]);
	a.work = 4;
	nk_round(&nk);
	ck_assert_str_eq(trail, "aF");
	nk_round(&nk); /* the budget was used up: one more look */
	nk_round(&nk);
	ck_assert_uint_eq(st.thread[th[2]].runs, 1);
}
END_TEST

static void again(struct nk *k, void *arg)
{
	int *n = arg;

	if ((*n)++ == 0)
		nk_thread_raise(k, th[1]);
	nk_preempt_point(k);
}

START_TEST(thread_raised_while_it_runs_runs_once_more)
{
	int n = 0;

	th[1] = nk_thread_add(&nk, NK_NORMAL, "again", again, &n);
	nk_thread_raise(&nk, th[1]);
	while (nk_round(&nk))
		;
	ck_assert_int_eq(n, 2);
}
END_TEST

static void interrupt_preempts(struct nk *k, void *arg)
{
	(void)arg;
	nk_preempt_point(k); /* nothing happens at high priority */
	mark('H');
}

START_TEST(preemption_point_means_nothing_at_high_priority)
{
	th[0] = nk_thread_add(&nk, NK_HIGH, "high", interrupt_preempts, NULL);
	nk_thread_raise(&nk, th[0]);
	nk_round(&nk);
	ck_assert_str_eq(trail, "HF");
}
END_TEST

START_TEST(alarm_raises_its_thread)
{
	uint64_t start = nk_clock_us();

	th[0] = nk_thread_add(&nk, NK_HIGH, "high", high, NULL);
	nk_thread_alarm(&nk, th[0], start + 200000, false);
	ck_assert(!nk_round(&nk));
	while (!st.thread[th[0]].runs && nk_clock_us() < start + 20000000)
		if (!nk_round(&nk))
			nk_sleep(&nk);
	ck_assert_uint_eq(st.thread[th[0]].runs, 1);
	ck_assert_uint_ge(nk_clock_us() - start, 200000);
	ck_assert_uint_le(stats[NPP_IS_SLEEPS], 3);
	ck_assert_uint_eq(st.thread[th[0]].due_us, 0);
}
END_TEST

START_TEST(lazy_alarm_does_not_end_a_sleep)
{
	uint64_t start = nk_clock_us();

	th[0] = nk_thread_add(&nk, NK_HIGH, "high", high, NULL);
	nk_thread_alarm(&nk, th[0], start + 1000, true);
	nk.max_sleep_us = 30000;
	nk_sleep(&nk);
	ck_assert_uint_ge(nk_clock_us() - start, 30000);
	ck_assert(nk_round(&nk)); /* but then it runs */
	ck_assert_str_eq(trail, "HF");
}
END_TEST

START_TEST(successor_enters_the_thread_that_was_cut_short)
{
	const struct nk_hooks hooks = { .flush = hook_flush };

	th[0] = nk_thread_add(&nk, NK_NORMAL, "t", high, NULL);
	st.thread[th[0]].state = NK_T_RUNNING;
	nk_disable(&nk, NK_RX);
	nk_close(&nk);
	ck_assert_int_eq(nk_attach(&nk, &st, bell, stats, &hooks), 0);
	nk_thread_add(&nk, NK_NORMAL, "t", high, NULL);
	nk_round(&nk);
	ck_assert_str_eq(trail, "H");
	ck_assert_uint_eq(st.enabled, (1u << NK_CAUSES) - 1);
}
END_TEST

/* ---- sleep -------------------------------------------------------------------------------- */

START_TEST(sleep_is_announced_and_taken_back)
{
	nk.max_sleep_us = 1000;
	nk_sleep(&nk);
	ck_assert(!a.asleep && !b.asleep);
	ck_assert_uint_eq(stats[NPP_IS_SLEEPS], 1);
}
END_TEST

START_TEST(sleep_returns_at_once_when_there_is_work)
{
	a.work = 1;
	nk_sleep(&nk);
	ck_assert_uint_eq(stats[NPP_IS_SLEEPS], 0);
}
END_TEST

START_TEST(doorbell_ends_a_sleep)
{
	uint64_t start = nk_clock_us();

	npp_bell_ring(bell);
	nk.max_sleep_us = 20000000;
	nk_sleep(&nk);
	ck_assert_uint_lt(nk_clock_us() - start, 10000000);
}
END_TEST

START_TEST(next_timer_ends_a_sleep)
{
	uint64_t start = nk_clock_us();

	next_timer = start + 3000;
	nk.max_sleep_us = 20000000;
	nk_sleep(&nk);
	ck_assert_uint_ge(nk_clock_us(), start + 3000);
	ck_assert_uint_lt(nk_clock_us() - start, 10000000);
}
END_TEST

/* Does a sleep that may last for MAX_US last so long? */
static bool sleeps_for(uint32_t max_us)
{
	uint64_t start = nk_clock_us();

	nk.max_sleep_us = max_us;
	nk_sleep(&nk);
	return nk_clock_us() - start >= max_us;
}

/* Long enough for a machine that has other things to do, and for a test that waits in vain. */
#define WOKEN() (!sleeps_for(20000000))
#define NOT_WOKEN() sleeps_for(50000)

START_TEST(a_ring_wakes_once_and_nobody_empties_the_bell)
{
	uint64_t n;

	npp_bell_ring(bell);
	ck_assert(WOKEN());
	ck_assert_int_eq(read(bell, &n, sizeof n), sizeof n);
	ck_assert_uint_eq(n, 1);		/* it is all in it still */
	for (int i = 0; i < 3; i++)
		npp_bell_ring(bell);
	ck_assert(WOKEN());
	ck_assert(NOT_WOKEN());	/* it is told of them once */
	npp_bell_ring(bell);
	ck_assert(WOKEN());
}
END_TEST

START_TEST(a_bell_that_was_filled_is_emptied)
{
	uint64_t full = UINT64_MAX - 1;

	ck_assert_int_eq(write(bell, &full, sizeof full), sizeof full);
	ck_assert(WOKEN());
	npp_bell_ring(bell);			/* does nothing */
	ck_assert(NOT_WOKEN());
	npp_bell_ring(bell);
	ck_assert(WOKEN());
}
END_TEST

/* Also where no sleep runs out. */
START_TEST(a_bell_that_was_filled_is_emptied_under_load)
{
	uint64_t full = UINT64_MAX - 1;
	int other = npp_bell_create();
	unsigned sleeps = 0;

	nk_bell_set(&nk, nk_watch_bell(&nk), other);
	ck_assert_int_eq(write(other, &full, sizeof full), sizeof full);
	while (write(other, &(uint64_t){ 1 }, 8) < 0 && ++sleeps < 5000) {
		npp_bell_ring(bell);
		nk_sleep(&nk);
	}
	ck_assert_uint_lt(sleeps, 2000);
	close(other);
}
END_TEST

START_TEST(another_bell_takes_the_place_of_one)
{
	int one = npp_bell_create(), other = npp_bell_create(), w = nk_watch_bell(&nk);

	ck_assert_int_gt(w, 0);
	nk_bell_set(&nk, w, one);
	npp_bell_ring(one);
	ck_assert(WOKEN());
	nk_bell_set(&nk, w, other);
	npp_bell_ring(one);
	ck_assert(NOT_WOKEN());
	npp_bell_ring(other);
	ck_assert(WOKEN());
	nk_bell_set(&nk, w, -1);
	npp_bell_ring(other);
	ck_assert(NOT_WOKEN());
	close(one);
	close(other);
}
END_TEST

START_TEST(watched_descriptor_raises_its_cause)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	nk_watch_fd(&nk, sv[0], NK_HOST);
	ck_assert_int_eq(write(sv[1], "x", 1), 1);
	nk_sleep(&nk);
	ck_assert(nk_round(&nk));
	ck_assert_uint_eq(b.calls, 1);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(watched_descriptor_is_seen_under_load)
{
	uint64_t until = nk_clock_us() + 2000000;
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	nk_watch_fd(&nk, sv[0], NK_HOST);
	ck_assert_int_eq(write(sv[1], "x", 1), 1);
	while (!b.calls && nk_clock_us() < until) {
		a.work = 1;
		nk_round(&nk);
	}
	ck_assert_uint_ge(b.calls, 1);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

/* ---- with a producer in another process ------------------------------------------------------ */

#define ITEMS 1000000u

struct shared {	/* a queue of nothing but a count */
	NPP_ALIGNED _Atomic uint32_t sleeping;
	NPP_ALIGNED _Atomic uint32_t head;
	NPP_ALIGNED _Atomic uint32_t seen;
};

static struct shared *sh;
static uint32_t taken;

static bool count_pending(void *arg)
{
	(void)arg;
	return atomic_load_explicit(&sh->head, memory_order_acquire) != taken;
}

static unsigned count_run(void *arg, unsigned budget)
{
	uint32_t n = atomic_load_explicit(&sh->head, memory_order_acquire) - taken;

	(void)arg;
	n = n < budget ? n : budget;
	taken += n;
	atomic_store_explicit(&sh->seen, taken, memory_order_release);
	if (taken == ITEMS)
		nk_stop(&nk);
	return n;
}

static void count_announce(void *arg, bool asleep)
{
	(void)arg;
	atomic_store_explicit(&sh->sleeping, asleep, memory_order_relaxed);
}

#define SLEEPS_LEAST 100u

/* Produces in bursts of 1 to 64; now and then waits until all is taken, when the consumer may
 * fall asleep, and at times until it does. */
static void produce(void)
{
	uint32_t rnd = 12345, n = 0, next_sleep = 0;

	while (n < ITEMS) {
		rnd = rnd * 1664525 + 1013904223;
		n += 1 + (rnd >> 26);
		n = n < ITEMS ? n : ITEMS;
		atomic_store_explicit(&sh->head, n, memory_order_release);
		if (npp_bell_claim(&sh->sleeping))
			npp_bell_ring(bell);
		if ((rnd >> 20) % 4 == 0)
			while (atomic_load_explicit(&sh->seen, memory_order_acquire) != n)
				sched_yield();
		if (n < next_sleep || n == ITEMS)
			continue;
		next_sleep = n + ITEMS / SLEEPS_LEAST / 2;
		while (!atomic_load_explicit(&sh->sleeping, memory_order_acquire))
			sched_yield();
	}
	_exit(0);
}

START_TEST(no_wake_up_is_lost)
{
	uint64_t start = nk_clock_us();
	pid_t pid;
	int status;

	sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(sh, MAP_FAILED);
	taken = 0;
	nk.spin_us = _i ? 20 : 0;
	/* A lost wake-up would cost this much; thousands of sleeps stay far below it. */
	nk.max_sleep_us = 20000000;
	nk_source_add(&nk, &(struct nk_source){ "count", NK_RX, 32, NULL, count_pending, count_run, count_announce });
	pid = fork();
	if (pid == 0)
		produce();
	nk_run(&nk);
	ck_assert_uint_eq(taken, ITEMS);
	ck_assert_uint_lt(nk_clock_us() - start, 20000000);
	ck_assert_uint_ge(stats[NPP_IS_SLEEPS], SLEEPS_LEAST);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	munmap(sh, sizeof *sh);
}
END_TEST

/* ---- spinning before sleep ---------------------------------------------------------------- */

/* A source that has work when it has been asked so often (0: never), and says nothing before. */
static struct { unsigned asked, comes; bool slept; } late;

static bool late_pending(void *arg)
{
	(void)arg;
	return ++late.asked >= late.comes && late.comes;
}

static unsigned late_run(void *arg, unsigned budget)
{
	(void)arg;
	(void)budget;
	late.comes = 0;
	mark('L');
	return 1;
}

static void late_announce(void *arg, bool asleep)
{
	(void)arg;
	late.slept |= asleep;
}

/* It may spin SPIN_US, and work has come after GAP_US of late. */
static void spinner(uint32_t spin_us, uint32_t gap_us, unsigned comes)
{
	memset(&late, 0, sizeof late);
	nk_source_add(&nk, &(struct nk_source){ "late", NK_IPC, 4, &late, late_pending, late_run, late_announce });
	nk.spin_us = spin_us;
	nk.gap_us = gap_us;
	nk.max_sleep_us = 1000;
	late.comes = comes;
}

#define SECOND 1000000u
#define ASKED_ASLEEP 1u /* behind the announcement */

START_TEST(work_that_comes_soon_is_found_without_a_sleep)
{
	spinner(10 * SECOND, 10 * SECOND, 1000);
	nk_sleep(&nk);
	ck_assert_uint_eq(stats[NPP_IS_SLEEPS], 0);
	ck_assert(!late.slept); /* so nobody rings */
	ck_assert_uint_lt(nk.gap_us, 9 * SECOND); /* and it has learned */
	nk_round(&nk);
	ck_assert_str_eq(trail, "LF");
}
END_TEST

START_TEST(nobody_spins_where_cores_are_scarce)
{
	spinner(0, 0, 0);
	nk_sleep(&nk);
	ck_assert_uint_eq(stats[NPP_IS_SLEEPS], 1);
	ck_assert_uint_le(late.asked, ASKED_ASLEEP);
}
END_TEST

START_TEST(spin_that_would_be_in_vain_is_not_begun)
{
	spinner(10 * SECOND, 11 * SECOND, 0);
	nk_sleep(&nk);
	ck_assert_uint_eq(stats[NPP_IS_SLEEPS], 1);
	ck_assert_uint_le(late.asked, ASKED_ASLEEP);
}
END_TEST

START_TEST(spin_ends_when_twice_the_usual_gap_is_over)
{
	uint64_t begin = nk_clock_us();

	spinner(60 * SECOND, 1000, 0);
	nk_sleep(&nk);
	ck_assert_uint_eq(stats[NPP_IS_SLEEPS], 1);
	ck_assert_uint_gt(late.asked, ASKED_ASLEEP);
	ck_assert_uint_ge(nk_clock_us() - begin, 2000);
	ck_assert_uint_lt(nk_clock_us() - begin, 30 * SECOND);
}
END_TEST

START_TEST(one_idle_period_in_64_is_spun_through_to_learn_again)
{
	unsigned spun = 0;

	spinner(100, 0, 0);
	for (int i = 0; i < 128; i++) {
		late.asked = 0;
		nk.gap_us = 101;
		nk_sleep(&nk);
		spun += late.asked > ASKED_ASLEEP;
	}
	ck_assert_uint_eq(spun, 2);
	ck_assert_uint_eq(stats[NPP_IS_SLEEPS], 128);
}
END_TEST

START_TEST(idle_periods_say_what_the_usual_gap_is)
{
	spinner(100, 0, 0);
	for (int i = 0; i < 64; i++)
		nk_sleep(&nk); /* a millisecond each */
	ck_assert_uint_ge(nk.gap_us, 900);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("netkernel");
	TCase *t;

#define CASE(name) do { t = tcase_create(name); tcase_add_checked_fixture(t, setup, teardown); suite_add_tcase(s, t); } while (0)
	CASE("interrupts");
	tcase_add_test(t, causes_run_in_their_order);
	tcase_add_test(t, budget_ends_a_source_and_keeps_its_cause_raised);
	tcase_add_test(t, masked_cause_stays_raised_until_enabled);
	tcase_add_test(t, raised_cause_runs_without_a_poll);
	tcase_add_test(t, handler_may_mask_a_later_cause);
	CASE("threads");
	tcase_add_test(t, high_thread_is_entered_again_for_every_event);
	tcase_add_test(t, normal_thread_is_preempted_by_interrupts_and_high_threads);
	tcase_add_test(t, low_thread_is_preempted_by_normal_ones);
	tcase_add_test(t, low_thread_waits_while_there_is_other_work);
	tcase_add_test(t, thread_raised_while_it_runs_runs_once_more);
	tcase_add_test(t, preemption_point_means_nothing_at_high_priority);
	tcase_add_test(t, alarm_raises_its_thread);
	tcase_add_test(t, lazy_alarm_does_not_end_a_sleep);
	tcase_add_test(t, successor_enters_the_thread_that_was_cut_short);
	CASE("sleep");
	tcase_add_test(t, sleep_is_announced_and_taken_back);
	tcase_add_test(t, sleep_returns_at_once_when_there_is_work);
	tcase_add_test(t, doorbell_ends_a_sleep);
	tcase_add_test(t, next_timer_ends_a_sleep);
	tcase_add_test(t, a_ring_wakes_once_and_nobody_empties_the_bell);
	tcase_add_test(t, a_bell_that_was_filled_is_emptied);
	tcase_add_test(t, a_bell_that_was_filled_is_emptied_under_load);
	tcase_add_test(t, another_bell_takes_the_place_of_one);
	tcase_add_test(t, watched_descriptor_raises_its_cause);
	tcase_add_test(t, watched_descriptor_is_seen_under_load);
	CASE("spin");
	tcase_add_test(t, work_that_comes_soon_is_found_without_a_sleep);
	tcase_add_test(t, nobody_spins_where_cores_are_scarce);
	tcase_add_test(t, spin_that_would_be_in_vain_is_not_begun);
	tcase_add_test(t, spin_ends_when_twice_the_usual_gap_is_over);
	tcase_add_test(t, one_idle_period_in_64_is_spun_through_to_learn_again);
	tcase_add_test(t, idle_periods_say_what_the_usual_gap_is);
	CASE("processes");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, no_wake_up_is_lost, 0, 2);
	return npp_suite_run(s);
}
