/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_heap.c - the map of the heap of host memory
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "npp-osm/daemon/heap.h"
#include "tests/unit/suite.h"

#define BASE 8192u
#define SIZE (4u << 20)
#define MODEL 400

struct piece { uint64_t off, size; };

static uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static bool overlaps(const struct piece *p, unsigned n, uint64_t off, uint64_t size)
{
	for (unsigned i = 0; i < n; i++)
		if (off < p[i].off + p[i].size && p[i].off < off + size)
			return true;
	return false;
}

/* 64 bytes mostly, up to 256 KB now and then. */
static uint64_t some_size(uint64_t *s)
{
	uint64_t r = next(s);

	return 1 + r % (r >> 32 & 7 ? 6000 : 256 << 10);
}

START_TEST(random_use_never_overlaps_and_counts_right)
{
	uint64_t seed = 0x9e3779b97f4a7c15ull + (uint64_t)_i;
	struct piece p[MODEL];
	struct osm_heap h;
	uint64_t used = 0;
	unsigned n = 0;

	ck_assert_int_eq(osm_heap_init(&h, BASE, SIZE), 0);
	for (unsigned step = 0; step < 20000; step++) {
		if (n < MODEL && (next(&seed) & 1)) {
			uint64_t size = some_size(&seed), align = 64ull << next(&seed) % 8, off;
			bool high = size > 65536;

			off = high ? osm_heap_alloc_high(&h, size, align) : osm_heap_alloc(&h, size, align);
			if (!off)
				continue;
			size = osm_heap_round(size);
			ck_assert_uint_eq(off % align, 0);
			ck_assert(off >= BASE && off + size <= BASE + SIZE);
			ck_assert(!overlaps(p, n, off, size));
			p[n++] = (struct piece){ off, size };
			used += size;
		} else if (n) {
			unsigned i = (unsigned)(next(&seed) % n);

			ck_assert_int_eq(osm_heap_free(&h, p[i].off, p[i].size), 0);
			ck_assert_int_eq(osm_heap_free(&h, p[i].off, p[i].size), -EINVAL);
			used -= p[i].size;
			p[i] = p[--n];
		}
		ck_assert_uint_eq(h.used, used);
	}
	while (n--)
		ck_assert_int_eq(osm_heap_free(&h, p[n].off, p[n].size), 0);
	ck_assert_uint_eq(h.used, 0);
	ck_assert_uint_eq(osm_heap_alloc(&h, SIZE, 64), BASE);
	osm_heap_fini(&h);
}
END_TEST

START_TEST(rebuild_from_what_is_known_gives_the_same_map)
{
	uint64_t seed = 77 + (uint64_t)_i;
	struct osm_heap h, again;
	struct piece p[MODEL];
	unsigned n = 0;

	ck_assert_int_eq(osm_heap_init(&h, BASE, SIZE), 0);
	ck_assert_int_eq(osm_heap_init(&again, BASE, SIZE), 0);
	for (; n < MODEL; n++) {
		p[n].size = some_size(&seed) / 4 + 1;
		p[n].off = osm_heap_alloc(&h, p[n].size, 64);
		if (!p[n].off)
			break;
	}
	for (unsigned i = 0; i < n; i += 3)
		osm_heap_free(&h, p[i].off, p[i].size);
	for (unsigned i = n; i-- > 0;)
		if (i % 3)
			ck_assert_int_eq(osm_heap_mark(&again, p[i].off, p[i].size), 0);
	ck_assert_uint_eq(h.used, again.used);
	ck_assert_mem_eq(h.map, again.map, h.grains / 8);
	ck_assert_int_eq(osm_heap_mark(&again, p[1].off, 64), -EBUSY);
	osm_heap_fini(&h);
	osm_heap_fini(&again);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	struct osm_heap h;

	ck_assert_int_eq(osm_heap_init(&h, 0, SIZE), -EINVAL);
	ck_assert_int_eq(osm_heap_init(&h, BASE, 100), -EINVAL);
	ck_assert_int_eq(osm_heap_init(&h, BASE, SIZE), 0);
	ck_assert_uint_eq(osm_heap_alloc(&h, 0, 64), 0);
	ck_assert_uint_eq(osm_heap_alloc(&h, SIZE + 1, 64), 0);
	ck_assert_uint_eq(osm_heap_alloc(&h, UINT64_MAX, 64), 0);
	ck_assert_uint_eq(osm_heap_alloc_high(&h, UINT64_MAX - 10, 64), 0);
	ck_assert_int_eq(osm_heap_free(&h, 0, 64), -EINVAL);
	ck_assert_int_eq(osm_heap_free(&h, BASE + 1, 64), -EINVAL);
	ck_assert_int_eq(osm_heap_free(&h, BASE, 64), -EINVAL);
	ck_assert_int_eq(osm_heap_free(&h, BASE, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(osm_heap_mark(&h, BASE + SIZE, 64), -EINVAL);
	ck_assert_int_eq(osm_heap_mark(&h, BASE + SIZE - 64, 128), -EINVAL);
	ck_assert_uint_eq(h.used, 0);
	osm_heap_fini(&h);
}
END_TEST

START_TEST(extents_come_from_the_top_and_leave_the_bottom_whole)
{
	struct osm_heap h;
	uint64_t small, high;

	ck_assert_int_eq(osm_heap_init(&h, BASE, SIZE), 0);
	small = osm_heap_alloc(&h, 64, 64);
	high = osm_heap_alloc_high(&h, 1 << 20, 4096);
	ck_assert_uint_eq(small, BASE);
	ck_assert_uint_eq(high, BASE + SIZE - (1 << 20));
	ck_assert_uint_eq(osm_heap_alloc_high(&h, 1 << 20, 1 << 20), 2 << 20);
	ck_assert_uint_eq(osm_heap_alloc_high(&h, 3 << 20, 4096), 0);
	osm_heap_fini(&h);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("osm/heap");
	TCase *t = tcase_create("heap");

	tcase_add_loop_test(t, random_use_never_overlaps_and_counts_right, 0, 4);
	tcase_add_loop_test(t, rebuild_from_what_is_known_gives_the_same_map, 0, 4);
	tcase_add_test(t, nonsense_is_refused);
	tcase_add_test(t, extents_come_from_the_top_and_leave_the_bottom_whole);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
