/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_fring.c - the ring of frames: wrap-around, lying peers, two processes
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/bell.h"
#include "shm/fring.h"
#include "tests/unit/suite.h"

#define SIZE (128u << 10)

static int ctl_fd, data_fd;
static struct npp_fring_prod p;
static struct npp_fring_cons c;

/* A ring whose positions begin at START. */
static void open_ring(uint32_t size, uint32_t start, unsigned flags)
{
	struct npp_region r;

	ck_assert_int_eq(npp_fring_create("npp-test", NPP_REGION_RX, 1, size, flags, &ctl_fd, &data_fd), 0);
	ck_assert_int_eq(npp_region_map(&r, ctl_fd, true, 0, NPP_REGION_RX, npp_abi_layout_hash()), 0);
	((struct npp_fring *)r.base)->head = start;
	((struct npp_fring *)r.base)->tail = start;
	npp_region_unmap(&r);
	ck_assert_int_eq(npp_fring_attach_prod(&p, ctl_fd, data_fd, NPP_REGION_RX), 0);
	ck_assert_int_eq(npp_fring_attach_cons(&c, ctl_fd, data_fd, NPP_REGION_RX), 0);
}

static void close_ring(void)
{
	npp_fring_detach(&p.m);
	npp_fring_detach(&c.m);
	close(ctl_fd);
	close(data_fd);
}

static bool put(uint32_t len, uint32_t tag)
{
	struct npp_frame_rec *rec = npp_fring_reserve(&p, (uint32_t)sizeof *rec + len);

	if (!rec)
		return false;
	*rec = (struct npp_frame_rec){ .len = len, .kind = NPP_REC_FRAME, .hash = tag };
	memset(rec + 1, (int)(tag & 0xff), len);
	npp_fring_commit(&p, rec);
	return true;
}

static void expect(uint32_t len, uint32_t tag)
{
	uint32_t n, wrong = 0;
	const struct npp_frame_rec *rec = npp_fring_peek(&c, &n);

	ck_assert_ptr_nonnull(rec);
	ck_assert_uint_eq(n, len);
	ck_assert_uint_eq(rec->hash, tag);
	for (uint32_t i = 0; i < n; i++)
		wrong += ((const uint8_t *)(rec + 1))[i] != (tag & 0xff);
	ck_assert_uint_eq(wrong, 0);
	npp_fring_advance(&c, n);
}

START_TEST(records_pass_in_order_across_every_wrap)
{
	static const uint32_t starts[] = { 0, SIZE - 64, 0xffffffc0u, 0xffff0000u, 0x7fffffc0u };
	uint32_t len = 0, n;

	open_ring(SIZE, starts[_i], 0);
	for (uint32_t tag = 1; tag < 400; tag++) {
		len = (len * 7 + 4099) % (NPP_FRAME_MAX + 1);
		ck_assert(put(len, tag));
		ck_assert_ptr_null(npp_fring_peek(&c, &n)); /* not yet published */
		npp_fring_publish(&p);
		expect(len, tag);
		ck_assert_ptr_null(npp_fring_peek(&c, &n));
		npp_fring_release(&c);
	}
	ck_assert_uint_eq(c.errors, 0);
	close_ring();
}
END_TEST

START_TEST(a_full_ring_takes_nothing_until_released)
{
	unsigned n = 0;

	open_ring(SIZE, 0xfffff000u, 0);
	while (put(1000, n))
		n++;
	ck_assert_uint_eq(n, SIZE / 1088);
	ck_assert_uint_lt(npp_fring_room(&p, SIZE), 1088);
	npp_fring_publish(&p);
	ck_assert_uint_eq(npp_fring_depth(&c), n * 1088);
	for (unsigned i = 0; i < n; i++)
		expect(1000, i);
	ck_assert(!put(1000, n)); /* consumed, not released */
	npp_fring_release(&c);
	ck_assert_uint_eq(npp_fring_depth(&c), 0);
	ck_assert(put(1000, n));
	ck_assert_uint_eq(npp_fring_room(&p, SIZE), SIZE - 1088);
	ck_assert(!put(SIZE, 0));
	ck_assert_ptr_null(npp_fring_reserve(&p, 0xffffffffu));
	close_ring();
}
END_TEST

START_TEST(exactly_full_is_possible)
{
	open_ring(SIZE, 0xffffffc0u, 0);
	ck_assert(put(SIZE / 2 - 32, 1));
	ck_assert(put(SIZE / 2 - 32, 2));
	ck_assert_uint_eq(npp_fring_room(&p, 64), 0);
	npp_fring_publish(&p);
	expect(SIZE / 2 - 32, 1);
	expect(SIZE / 2 - 32, 2);
	ck_assert_uint_eq(c.errors, 0);
	close_ring();
}
END_TEST

START_TEST(a_lying_producer_is_drained_and_counted)
{
	static const uint32_t lens[] = { 0xffffffffu, 0xffffffe0u, 0xffffffdfu, NPP_FRAME_MAX + 1, 129, 97 };
	uint32_t n, tag = 0;

	open_ring(SIZE, 0xffffff80u, 0);
	for (unsigned i = 0; i < sizeof lens / sizeof *lens; i++) {
		struct npp_frame_rec *rec = npp_fring_reserve(&p, 128);

		put(90, tag);
		rec->len = lens[i];
		npp_fring_publish(&p);
		ck_assert_ptr_null(npp_fring_peek(&c, &n));
		ck_assert_uint_eq(c.errors, i + 1);
		npp_fring_release(&c);
		ck_assert(put(90, ++tag)); /* and goes on */
		npp_fring_publish(&p);
		expect(90, tag);
	}
	close_ring();
}
END_TEST

START_TEST(a_lying_head_is_drained_and_counted)
{
	static const uint32_t heads[] = { SIZE + 64, 0x80000000u, 0xffffffc0u, 1, 63, SIZE + 1 };
	uint32_t n;

	for (unsigned i = 0; i < sizeof heads / sizeof *heads; i++) {
		open_ring(SIZE, 0, 0);
		p.m.ctl->head = heads[i];
		ck_assert_ptr_null(npp_fring_peek(&c, &n));
		ck_assert_uint_eq(c.errors, 1);
		ck_assert_uint_eq(c.tail % 64, 0);
		npp_fring_release(&c);
		close_ring();
	}
}
END_TEST

START_TEST(a_lying_tail_gives_no_room)
{
	static const uint32_t tails[] = { 64 * 11, 0xffffff00u, 0x80000000u, SIZE * 2 };
	uint32_t room;

	for (unsigned i = 0; i < sizeof tails / sizeof *tails; i++) {
		open_ring(SIZE, 0, 0);
		for (int k = 0; k < 10; k++)
			ck_assert(put(30, 1));
		room = npp_fring_room(&p, 64);
		p.m.ctl->tail = tails[i];
		ck_assert_uint_eq(npp_fring_room(&p, SIZE), room);
		p.m.ctl->tail = 64 * 5; /* true again: five gone */
		ck_assert_uint_eq(npp_fring_room(&p, SIZE), room + 64 * 5);
		p.m.ctl->tail = 64 * 2; /* backwards */
		ck_assert_uint_eq(npp_fring_room(&p, SIZE), room + 64 * 5);
		close_ring();
	}
}
END_TEST

START_TEST(a_length_changed_under_the_producer_moves_nothing)
{
	struct npp_frame_rec *rec;
	uint32_t head;

	open_ring(SIZE, 0, 0);
	rec = npp_fring_reserve(&p, 64);
	head = p.head;
	rec->len = 0xfffffff0u;
	npp_fring_commit(&p, rec);
	rec->len = NPP_FRAME_MAX + 1;
	npp_fring_commit(&p, rec);
	ck_assert_uint_eq(p.head, head);
	close_ring();
}
END_TEST

START_TEST(attach_checks_what_stands_there)
{
	struct npp_fring_prod q;
	struct npp_fring_cons d;
	int other_ctl, other_data;

	open_ring(SIZE, 0, 0);
	ck_assert_int_eq(npp_fring_attach_prod(&q, ctl_fd, data_fd, NPP_REGION_IPC), -EPROTO);
	ck_assert_int_eq(npp_fring_create("t", NPP_REGION_RX, 1, 2 * SIZE, 0, &other_ctl, &other_data), 0);
	ck_assert_int_eq(npp_fring_attach_prod(&q, ctl_fd, other_data, NPP_REGION_RX), -EBADMSG);
	ck_assert_int_eq(npp_fring_attach_cons(&d, ctl_fd, ctl_fd, NPP_REGION_RX), -EBADMSG);
	p.m.ctl->size = 2 * SIZE;
	ck_assert_int_eq(npp_fring_attach_prod(&q, ctl_fd, data_fd, NPP_REGION_RX), -EBADMSG);
	p.m.ctl->size = SIZE;
	p.m.ctl->head = SIZE + 64;
	ck_assert_int_eq(npp_fring_attach_prod(&q, ctl_fd, data_fd, NPP_REGION_RX), -EPROTO);
	p.m.ctl->head = 32;
	ck_assert_int_eq(npp_fring_attach_cons(&d, ctl_fd, data_fd, NPP_REGION_RX), -EPROTO);
	close(other_ctl);
	close(other_data);
	ck_assert_int_eq(npp_fring_create("t", NPP_REGION_RX, 1, 100000, 0, &other_ctl, &other_data), -EINVAL);
	ck_assert_int_eq(npp_fring_create("t", NPP_REGION_RX, 1, 4096, 0, &other_ctl, &other_data), -EINVAL);
	close_ring();
}
END_TEST

START_TEST(successors_go_on_where_the_dead_stopped)
{
	uint32_t n;

	open_ring(SIZE, 0xffffff00u, 0);
	put(100, 1);
	put(100, 2);
	npp_fring_publish(&p);
	put(100, 3); /* committed, never published: lost with its producer */
	expect(100, 1); /* consumed, not released: seen again */
	npp_fring_detach(&p.m);
	npp_fring_detach(&c.m);
	ck_assert_int_eq(npp_fring_attach_prod(&p, ctl_fd, data_fd, NPP_REGION_RX), 0);
	ck_assert_int_eq(npp_fring_attach_cons(&c, ctl_fd, data_fd, NPP_REGION_RX), 0);
	put(100, 4);
	npp_fring_publish(&p);
	expect(100, 1);
	expect(100, 2);
	expect(100, 4);
	ck_assert_ptr_null(npp_fring_peek(&c, &n));
	close_ring();
}
END_TEST

START_TEST(only_a_sleeper_is_rung_for_and_only_once)
{
	open_ring(SIZE, 0, 0);
	put(10, 1);
	ck_assert(!npp_fring_publish(&p));
	npp_bell_announce(&c.m.ctl->sleeping);
	put(10, 2);
	ck_assert(npp_fring_publish(&p));
	put(10, 3);
	ck_assert(!npp_fring_publish(&p));
	npp_bell_announce(&c.m.ctl->sleeping);
	npp_bell_awake(&c.m.ctl->sleeping);
	ck_assert(!npp_fring_publish(&p));
	close_ring();
}
END_TEST

START_TEST(two_megabytes_with_or_without_hugepages)
{
	open_ring(2u << 20, (2u << 20) - 64, NPP_REGION_HUGE);
	for (uint32_t i = 0; i < 200; i++) {
		ck_assert(put(65000, i));
		npp_fring_publish(&p);
		expect(65000, i);
		npp_fring_release(&c);
	}
	close_ring();
}
END_TEST

/* Two processes. The producer stops for breath now and then, so that the consumer
 * sleeps often; a lost wake-up shows as a poll that times out with work there. */
#define STRESS 200000u

static void stress_producer(int bell)
{
	uint32_t seed = 5;

	for (uint32_t i = 0; i < STRESS;) {
		uint32_t batch = 1 + (seed = seed * 1664525u + 1013904223u) % 17;

		for (; batch && i < STRESS; batch--, i++) {
			uint32_t len = (seed >> 8) % 1500;

			while (!put(len, i)) {
				if (npp_fring_publish(&p))
					npp_bell_ring(bell);
				poll(NULL, 0, 0);
			}
		}
		if (npp_fring_publish(&p))
			npp_bell_ring(bell);
		if (seed % 64 == 0)
			poll(NULL, 0, 0);
	}
	_exit(0);
}

START_TEST(no_record_and_no_wake_up_is_lost_between_processes)
{
	struct pollfd pfd;
	uint32_t n, got = 0;
	int bell = npp_bell_create(), status;
	pid_t pid;

	open_ring(SIZE, 0xffff0000u, 0);
	pfd = (struct pollfd){ .fd = bell, .events = POLLIN };
	pid = fork();
	if (pid == 0)
		stress_producer(bell);
	while (got < STRESS) {
		const struct npp_frame_rec *rec = npp_fring_peek(&c, &n);

		if (rec) {
			ck_assert_uint_eq(rec->hash, got);
			ck_assert(n == 0 || ((const uint8_t *)(rec + 1))[n - 1] == (got & 0xff));
			npp_fring_advance(&c, n);
			got++;
			continue;
		}
		npp_fring_release(&c);
		npp_bell_announce(&c.m.ctl->sleeping);
		if (npp_fring_depth(&c) == 0) {
			int rc = poll(&pfd, 1, 20000);

			ck_assert_msg(rc == 1, "no bell after record %u, depth %u", got, npp_fring_depth(&c));
			npp_bell_drain(bell);
		}
		npp_bell_awake(&c.m.ctl->sleeping);
	}
	ck_assert_uint_eq(c.errors, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(bell);
	close_ring();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shm/fring");
	TCase *t = tcase_create("fring");

	tcase_add_loop_test(t, records_pass_in_order_across_every_wrap, 0, 5);
	tcase_add_test(t, a_full_ring_takes_nothing_until_released);
	tcase_add_test(t, exactly_full_is_possible);
	tcase_add_test(t, a_lying_producer_is_drained_and_counted);
	tcase_add_test(t, a_lying_head_is_drained_and_counted);
	tcase_add_test(t, a_lying_tail_gives_no_room);
	tcase_add_test(t, a_length_changed_under_the_producer_moves_nothing);
	tcase_add_test(t, attach_checks_what_stands_there);
	tcase_add_test(t, successors_go_on_where_the_dead_stopped);
	tcase_add_test(t, only_a_sleeper_is_rung_for_and_only_once);
	tcase_add_test(t, two_megabytes_with_or_without_hugepages);
	tcase_add_test(t, no_record_and_no_wake_up_is_lost_between_processes);
	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
