/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_i2oq.c - message lanes: order, overflow, dead halves, lying peers, two processes
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/bell.h"
#include "shm/i2oq.h"
#include "tests/unit/suite.h"

#define DEPTH NPP_I2OQ_DEPTH

static struct npp_i2oq *q;
static struct npp_i2oq_prod p;
static struct npp_i2oq_cons c;

static void *shared(size_t n)
{
	void *m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(m, MAP_FAILED);
	return m;
}

static void setup(void)
{
	q = shared(sizeof *q);
	npp_i2oq_init(q);
	ck_assert_int_eq(npp_i2oq_attach_prod(&p, q), 0);
	ck_assert_int_eq(npp_i2oq_attach_cons(&c, q), 0);
}

static void teardown(void)
{
	munmap(q, sizeof *q);
}

static int post(uint32_t n)
{
	struct npp_msg m = { .type = NPP_MSG_LOOK, .sock = n, .cookie = ~(uint64_t)n };

	return npp_i2oq_post(&p, &m);
}

static void expect(uint32_t n)
{
	struct npp_msg m;

	ck_assert_int_eq(npp_i2oq_poll(&c, &m), 1);
	ck_assert_uint_eq(m.sock, n);
	ck_assert(m.cookie == ~(uint64_t)n);
}

static void expect_empty(void)
{
	struct npp_msg m;

	ck_assert_int_eq(npp_i2oq_poll(&c, &m), 0);
}

static void shift(uint32_t by)
{
	q->post_head += by;
	q->free_tail += by;
	q->post_tail += by;
	q->free_head += by;
	ck_assert_int_eq(npp_i2oq_attach_prod(&p, q), 0);
	ck_assert_int_eq(npp_i2oq_attach_cons(&c, q), 0);
}

START_TEST(messages_pass_in_order_across_the_wrap)
{
	shift(0xffffff00u); /* a multiple of the depth, as if so many had passed */
	for (uint32_t i = 0; i < 2000; i++) {
		for (uint32_t k = 0; k < 1 + i % 5; k++)
			ck_assert_int_eq(post(i * 10 + k), 0);
		for (uint32_t k = 0; k < 1 + i % 5; k++)
			expect(i * 10 + k);
		expect_empty();
	}
	ck_assert(!npp_i2oq_overflowed(&c));
	ck_assert_uint_eq(c.errors, 0);
}
END_TEST

START_TEST(the_free_queue_bounds_and_overflow_says_so_once)
{
	for (uint32_t i = 0; i < DEPTH; i++)
		ck_assert_int_eq(post(i), 0);
	ck_assert_int_eq(post(99), -ENOBUFS);
	ck_assert_int_eq(post(99), -ENOBUFS);
	ck_assert(npp_i2oq_overflowed(&c));
	ck_assert(!npp_i2oq_overflowed(&c));
	for (uint32_t i = 0; i < DEPTH; i++)
		expect(i);
	expect_empty();
	for (uint32_t i = 0; i < DEPTH; i++)
		ck_assert_int_eq(post(i), 0);
	ck_assert(!npp_i2oq_overflowed(&c));
}
END_TEST

START_TEST(a_message_being_worked_on_is_seen_again_by_the_successor)
{
	post(1);
	post(2);
	expect(1);
	ck_assert_int_eq(npp_i2oq_attach_cons(&c, q), 0); /* died here */
	expect(1);
	expect(2);
	expect_empty();
	ck_assert_int_eq(npp_i2oq_attach_cons(&c, q), 0);
	expect_empty();
}
END_TEST

START_TEST(a_producer_dead_between_its_stores_is_put_right)
{
	for (uint32_t i = 0; i < 5; i++)
		post(i);
	q->free_tail--; /* posted, not yet taken from the free queue */
	ck_assert_int_eq(npp_i2oq_attach_prod(&p, q), 0);
	for (uint32_t i = 5; i < DEPTH; i++)
		ck_assert_int_eq(post(i), 0);
	ck_assert_int_eq(post(DEPTH), -ENOBUFS);
	for (uint32_t i = 0; i < DEPTH; i++)
		expect(i);
	expect_empty();
}
END_TEST

START_TEST(a_consumer_dead_between_its_stores_is_put_right)
{
	for (uint32_t i = 0; i < DEPTH; i++)
		post(i);
	expect(0);
	expect(1);
	q->post_tail--; /* frame of message 0 given back, its post not yet left behind */
	ck_assert_int_eq(npp_i2oq_attach_cons(&c, q), 0);
	for (uint32_t i = 1; i < DEPTH; i++)
		expect(i);
	expect_empty();
	for (uint32_t i = 0; i < DEPTH; i++)
		ck_assert_int_eq(post(i), 0);
	for (uint32_t i = 0; i < DEPTH; i++)
		expect(i);
}
END_TEST

START_TEST(lanes_that_make_no_sense_are_refused)
{
	struct npp_i2oq *z = shared(sizeof *z);

	ck_assert_int_eq(npp_i2oq_attach_prod(&p, z), -EPROTO);
	ck_assert_int_eq(npp_i2oq_attach_cons(&c, z), -EPROTO);
	munmap(z, sizeof *z);
	q->post_head = 7;
	ck_assert_int_eq(npp_i2oq_attach_prod(&p, q), -EPROTO);
	q->free_tail = 7;
	ck_assert_int_eq(npp_i2oq_attach_prod(&p, q), 0);
	q->post_head = q->free_tail = DEPTH + 1;
	ck_assert_int_eq(npp_i2oq_attach_prod(&p, q), -EPROTO);
	ck_assert_int_eq(npp_i2oq_attach_cons(&c, q), -EPROTO);
	q->post_head = q->free_tail = 0;
	q->free_head = 2;
	ck_assert_int_eq(npp_i2oq_attach_cons(&c, q), -EPROTO);
}
END_TEST

START_TEST(wrong_mfas_from_the_producer_are_counted_and_skipped)
{
	post(1);
	post(2);
	post(3);
	q->post[0] = DEPTH;
	q->post[1] = 0xffffffffu;
	expect(3);
	expect_empty();
	ck_assert_uint_eq(c.errors, 2);
	/* The lane goes on with what is left of it. */
	for (uint32_t i = 0; i < 1000; i++) {
		ck_assert_int_eq(post(i), 0);
		expect(i);
	}
	ck_assert_int_eq(npp_i2oq_attach_prod(&p, q), 0);
	ck_assert_int_eq(npp_i2oq_attach_cons(&c, q), 0);
}
END_TEST

START_TEST(wrong_mfas_from_the_consumer_harm_nobody_else)
{
	for (uint32_t i = 0; i < DEPTH; i++)
		q->free[i] = 0x80000000u + i;
	ck_assert_int_eq(post(1), -ENOBUFS);
	ck_assert(npp_i2oq_overflowed(&c));
	expect_empty();
	ck_assert_uint_eq(c.errors, DEPTH);
}
END_TEST

START_TEST(lying_positions_stop_the_lane_only)
{
	q->free_head = 0x40000000u;
	ck_assert_int_eq(post(1), -ENOBUFS);
	q->free_head = DEPTH;
	ck_assert_int_eq(post(1), 0);
	q->post_head = 0x40000000u;
	expect_empty();
	expect_empty();
	ck_assert_uint_eq(c.errors, 2);
	q->post_head = 1;
	expect(1);
}
END_TEST

START_TEST(marks_name_the_lane_and_take_the_announcement)
{
	struct npp_inbound *in = shared(sizeof *in);

	ck_assert(!npp_inbound_mark(in, 0));
	npp_bell_announce(&in->sleeping);
	ck_assert(npp_inbound_mark(in, NPP_MAX_CTX - 1));
	ck_assert(!npp_inbound_mark(in, 64));
	ck_assert(in->summary == (1ull | 2ull | 1ull << 15));
	ck_assert(in->work[0] == 1 && in->work[1] == 1 && in->work[15] == 1ull << 63);
	npp_bell_announce(&in->sleeping);
	ck_assert(!npp_inbound_mark(in, NPP_MAX_CTX));
	ck_assert(!npp_inbound_mark(in, 0xffffffffu));
	munmap(in, sizeof *in);
}
END_TEST

#define STRESS 300000u

/* Posts STRESS numbers on lane CTX; what does not fit is left to `overflow`: the
 * number in *DONE says how far it came, as a socket record would. */
static void stress_producer(struct npp_inbound *in, unsigned ctx, _Atomic uint32_t *done, int bell)
{
	struct npp_i2oq_prod me;

	if (npp_i2oq_attach_prod(&me, &in->lane[ctx]) < 0)
		_exit(1);
	for (uint32_t i = 1; i <= STRESS; i++) {
		struct npp_msg m = { .type = NPP_MSG_LOOK, .sock = i };

		atomic_store_explicit(done, i, memory_order_release);
		npp_i2oq_post(&me, &m);
		if (npp_inbound_mark(in, ctx))
			npp_bell_ring(bell);
		if (i % 97 == 0)
			poll(NULL, 0, 0);
	}
	_exit(0);
}

/* Everything that the two lanes say; true if SEEN moved. */
static bool stress_drain(struct npp_inbound *in, struct npp_i2oq_cons cons[2], uint32_t seen[2],
			 _Atomic uint32_t *done)
{
	struct npp_msg m;
	bool any = false;

	if (!atomic_exchange_explicit(&in->summary, 0, memory_order_acquire))
		return false;
	atomic_exchange_explicit(&in->work[0], 0, memory_order_acquire);
	for (int i = 0; i < 2; i++) {
		while (npp_i2oq_poll(&cons[i], &m) == 1) {
			ck_assert_uint_gt(m.sock, 0);
			if ((int32_t)(m.sock - seen[i]) > 0)
				seen[i] = m.sock;
			any = true;
		}
		if (npp_i2oq_overflowed(&cons[i])) {
			seen[i] = atomic_load_explicit(&done[i], memory_order_acquire);
			any = true;
		}
	}
	return any;
}

START_TEST(nothing_is_lost_between_processes)
{
	struct npp_inbound *in = shared(sizeof *in);
	_Atomic uint32_t *done = shared(4096);
	struct npp_i2oq_cons cons[2];
	uint32_t seen[2] = { 0, 0 };
	int bell = npp_bell_create(), status;
	struct pollfd pfd = { .fd = bell, .events = POLLIN };
	pid_t pid[2];

	for (unsigned i = 0; i < 2; i++) {
		npp_i2oq_init(&in->lane[i]);
		ck_assert_int_eq(npp_i2oq_attach_cons(&cons[i], &in->lane[i]), 0);
		pid[i] = fork();
		if (pid[i] == 0)
			stress_producer(in, i, &done[i], bell);
	}
	while (seen[0] < STRESS || seen[1] < STRESS) {
		if (stress_drain(in, cons, seen, done))
			continue;
		npp_bell_announce(&in->sleeping);
		if (atomic_load_explicit(&in->summary, memory_order_acquire) == 0) {
			int rc = poll(&pfd, 1, 20000);

			ck_assert_msg(rc == 1, "no bell: seen %u %u", seen[0], seen[1]);
			npp_bell_drain(bell);
		}
		npp_bell_awake(&in->sleeping);
	}
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(cons[i].errors, 0);
		ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
		ck_assert_int_eq(status, 0);
	}
	close(bell);
	munmap(in, sizeof *in);
	munmap(done, 4096);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shm/i2oq");
	TCase *t = tcase_create("i2oq");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, messages_pass_in_order_across_the_wrap);
	tcase_add_test(t, the_free_queue_bounds_and_overflow_says_so_once);
	tcase_add_test(t, a_message_being_worked_on_is_seen_again_by_the_successor);
	tcase_add_test(t, a_producer_dead_between_its_stores_is_put_right);
	tcase_add_test(t, a_consumer_dead_between_its_stores_is_put_right);
	tcase_add_test(t, lanes_that_make_no_sense_are_refused);
	tcase_add_test(t, wrong_mfas_from_the_producer_are_counted_and_skipped);
	tcase_add_test(t, wrong_mfas_from_the_consumer_harm_nobody_else);
	tcase_add_test(t, lying_positions_stop_the_lane_only);
	tcase_add_test(t, marks_name_the_lane_and_take_the_announcement);
	tcase_add_test(t, nothing_is_lost_between_processes);
	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
