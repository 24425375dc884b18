/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_mem.c - the allocator over lent host memory
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "npp-ism/socket/mem.h"
#include "tests/unit/suite.h"

static struct ism_chunk *ch;
static struct ism_heap hp[2];

#define MB (1ull << 20)

static void setup(void)
{
	ch = calloc(ISM_CHUNKS, sizeof *ch);
	ism_mem_init(&hp[0]);
	ism_mem_init(&hp[1]);
}

static void teardown(void)
{
	free(ch);
}

static uint64_t listed(const struct ism_heap *h)
{
	uint64_t n = 0;

	for (unsigned o = 0; o < ISM_ORDERS; o++)
		for (uint32_t b = h->head[o]; b != ISM_BLK_NONE; b = ch[b / ISM_CHUNK_PAGES].next[b % ISM_CHUNK_PAGES])
			n += (uint64_t)ISM_PAGE << o;
	return n;
}

START_TEST(blocks_are_aligned_and_inside)
{
	uint64_t off = 5 * ISM_PAGE, len = 9 * MB;
	uint32_t b;

	ck_assert_int_eq(ism_mem_add(ch, &hp[0], 0, off, len), 0);
	ck_assert_uint_eq(hp[0].free, len);
	for (unsigned o = 0; o < ISM_ORDERS; o++) {
		b = ism_mem_get(ch, &hp[0], o);
		ck_assert_uint_ne(b, ISM_BLK_NONE);
		ck_assert_uint_eq(ism_mem_off(ch, b) % (ISM_PAGE << o), 0);
		ck_assert_uint_ge(ism_mem_off(ch, b), off);
		ck_assert_uint_le(ism_mem_off(ch, b) + (ISM_PAGE << o), off + len);
	}
}
END_TEST

START_TEST(everything_joins_again)
{
	static uint32_t b[4000];
	unsigned n = 0;

	ck_assert_int_eq(ism_mem_add(ch, &hp[0], 0, 4 * MB, 8 * MB), 0);
	while ((b[n] = ism_mem_get(ch, &hp[0], 0)) != ISM_BLK_NONE)
		n++;
	ck_assert_uint_eq(n, 2048);
	ck_assert_uint_eq(hp[0].free, 0);
	for (unsigned i = 0; i < n; i++)
		ck_assert(ism_mem_put(ch, &hp[0], b[(i * 797) % n], 0));
	ck_assert_uint_eq(hp[0].free, 8 * MB);
	ck_assert_uint_ne(ism_mem_get(ch, &hp[0], 10), ISM_BLK_NONE);
	ck_assert_uint_ne(ism_mem_get(ch, &hp[0], 10), ISM_BLK_NONE);
	ck_assert_uint_eq(ism_mem_get(ch, &hp[0], 0), ISM_BLK_NONE);
}
END_TEST

START_TEST(wrong_extents_are_refused)
{
	ck_assert_int_eq(ism_mem_add(ch, &hp[0], 0, 4 * MB, 4 * MB), 0);
	ck_assert_int_eq(ism_mem_add(ch, &hp[0], 0, 4 * MB, 4 * MB), -EEXIST);
	ck_assert_int_eq(ism_mem_add(ch, &hp[0], 0, 6 * MB, 4 * MB), -EINVAL);
	ck_assert_int_eq(ism_mem_add(ch, &hp[0], 0, 3 * MB, 2 * MB), -EINVAL);
	ck_assert_int_eq(ism_mem_add(ch, &hp[0], 0, 1, ISM_PAGE), -EINVAL);
	ck_assert_int_eq(ism_mem_add(ch, &hp[0], 0, 16 * MB, 0), -EINVAL);
	ck_assert_int_eq(ism_mem_add(ch, &hp[0], 0, UINT64_MAX - ISM_PAGE + 1, 2 * ISM_PAGE), -EINVAL);
	ck_assert_int_eq(ism_mem_add(ch, &hp[1], 1, 4 * MB, 4 * MB), 0); /* another host's offsets are its own */
	ck_assert_int_eq(ism_mem_add(ch, &hp[0], 0, 64 * MB, 4096 * MB), -ENOSPC);
	ck_assert_uint_eq(hp[0].lent, 4 * MB);
}
END_TEST

START_TEST(double_free_is_refused)
{
	uint32_t b;

	ism_mem_add(ch, &hp[0], 0, 4 * MB, 4 * MB);
	b = ism_mem_get(ch, &hp[0], 3);
	ck_assert(!ism_mem_put(ch, &hp[0], b, 2));
	ck_assert(ism_mem_put(ch, &hp[0], b, 3));
	ck_assert(!ism_mem_put(ch, &hp[0], b, 3));
	ck_assert(!ism_mem_put(ch, &hp[0], ISM_BLK_NONE, 0));
}
END_TEST

START_TEST(free_extent_is_reclaimed_whole)
{
	uint64_t off, len;
	uint32_t b;

	ism_mem_add(ch, &hp[0], 0, 3 * MB, 2 * MB); /* lies across two chunks */
	b = ism_mem_get(ch, &hp[0], 0);
	ck_assert(!ism_mem_reclaim(ch, &hp[0], 0, &off, &len));
	ism_mem_add(ch, &hp[0], 0, 8 * MB, 1 * MB);
	ck_assert(ism_mem_reclaim(ch, &hp[0], 0, &off, &len));
	ck_assert_uint_eq(off, 8 * MB);
	ism_mem_put(ch, &hp[0], b, 0);
	ck_assert(ism_mem_reclaim(ch, &hp[0], 0, &off, &len));
	ck_assert_uint_eq(off, 3 * MB);
	ck_assert_uint_eq(len, 2 * MB);
	ck_assert_uint_eq(hp[0].lent, 0);
	ck_assert_uint_eq(listed(&hp[0]), 0);
}
END_TEST

START_TEST(rebuild_finds_the_same_memory)
{
	uint32_t b[200];
	unsigned order[200];
	uint64_t free_bytes;

	ism_mem_add(ch, &hp[0], 0, 3 * MB, 6 * MB);
	for (unsigned i = 0; i < 200; i++) {
		order[i] = (i * 7) % 4;
		b[i] = ism_mem_get(ch, &hp[0], order[i]);
		ck_assert_uint_ne(b[i], ISM_BLK_NONE);
	}
	free_bytes = hp[0].free;
	ism_mem_begin_rebuild(ch, &hp[0], 0);
	for (unsigned i = 0; i < 200; i++)
		ck_assert(ism_mem_mark(ch, &hp[0], 0, b[i], order[i]));
	ck_assert(!ism_mem_mark(ch, &hp[0], 0, b[7], order[7])); /* twice */
	ck_assert(!ism_mem_mark(ch, &hp[1], 1, b[8], order[8])); /* another host's */
	ism_mem_end_rebuild(ch, &hp[0], 0);
	ck_assert_uint_eq(hp[0].free, free_bytes);
	ck_assert_uint_eq(listed(&hp[0]), free_bytes);
	for (unsigned i = 0; i < 200; i++)
		ck_assert(ism_mem_put(ch, &hp[0], b[i], order[i]));
	ck_assert_uint_eq(hp[0].free, 6 * MB);
}
END_TEST

START_TEST(random_use_keeps_the_books)
{
	static uint32_t b[500];
	static unsigned order[500];
	uint64_t used = 0;
	uint32_t r = 1;

	memset(b, 0xff, sizeof b);
	ism_mem_add(ch, &hp[0], 0, 5 * ISM_PAGE, 13 * MB);
	for (int n = 0; n < 100000; n++) {
		unsigned i;

		r = r * 1664525 + 1013904223;
		i = (r >> 8) % 500;
		if (b[i] != ISM_BLK_NONE) {
			ck_assert(ism_mem_put(ch, &hp[0], b[i], order[i]));
			used -= (uint64_t)ISM_PAGE << order[i];
			b[i] = ISM_BLK_NONE;
		} else {
			order[i] = (r >> 20) % 6;
			b[i] = ism_mem_get(ch, &hp[0], order[i]);
			if (b[i] != ISM_BLK_NONE)
				used += (uint64_t)ISM_PAGE << order[i];
		}
		ck_assert_uint_eq(hp[0].free + used, 13 * MB);
		if (n % 1000 == 0)
			ck_assert_uint_eq(listed(&hp[0]), hp[0].free);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ism memory");
	TCase *t = tcase_create("memory");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, blocks_are_aligned_and_inside);
	tcase_add_test(t, everything_joins_again);
	tcase_add_test(t, wrong_extents_are_refused);
	tcase_add_test(t, double_free_is_refused);
	tcase_add_test(t, free_extent_is_reclaimed_whole);
	tcase_add_test(t, rebuild_finds_the_same_memory);
	tcase_add_test(t, random_use_keeps_the_books);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
