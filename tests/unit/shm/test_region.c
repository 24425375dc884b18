/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_region.c - memfds, seals, headers, fixed addresses, hugepages or not
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/region.h"
#include "tests/unit/suite.h"

#define LAYOUT 0x1234567ull

static struct npp_region made(size_t size, unsigned flags)
{
	struct npp_region r;

	ck_assert_int_eq(npp_region_create(&r, "npp-test", NPP_REGION_ISM, size, 3, LAYOUT, flags), 0);
	return r;
}

static int map_as(int fd, enum npp_region_kind kind, uint64_t layout)
{
	struct npp_region m;
	int err = npp_region_map(&m, fd, false, 0, kind, layout);

	if (err == 0)
		npp_region_unmap(&m);
	else
		ck_assert_ptr_null(m.base);
	return err;
}

START_TEST(a_new_region_has_a_header_and_zeroes)
{
	struct npp_region r = made(10000, 0), m;
	const struct npp_region_hdr *h;

	ck_assert_uint_eq(r.size, 12288);
	ck_assert_int_eq(npp_region_map(&m, r.fd, false, 0, NPP_REGION_ISM, LAYOUT), 0);
	h = m.base;
	ck_assert(h->magic == NPP_REGION_MAGIC && h->size == r.size && h->owner == 3);
	ck_assert(h->ready == 0 && h->generation == 0 && h->page_size == 4096);
	for (size_t i = sizeof *h; i < m.size; i++)
		ck_assert_uint_eq(((uint8_t *)m.base)[i], 0);
	((uint8_t *)r.base)[r.size - 1] = 7;
	ck_assert_uint_eq(((uint8_t *)m.base)[m.size - 1], 7);
	npp_region_unmap(&m);
	npp_region_unmap(&r);
	ck_assert(r.base == NULL && r.fd == -1);
	npp_region_unmap(&r); /* twice is harmless */
}
END_TEST

START_TEST(size_is_sealed_and_others_have_no_rights)
{
	struct npp_region r = made(8192, 0);
	struct stat st;

	ck_assert_int_eq(fstat(r.fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_lt(ftruncate(r.fd, 4096), 0);
	ck_assert_int_lt(ftruncate(r.fd, 1 << 20), 0);
	ck_assert_int_lt(fcntl(r.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	npp_region_unmap(&r);
}
END_TEST

START_TEST(a_wrong_header_is_refused)
{
	struct npp_region r = made(8192, 0);
	struct npp_region_hdr *h = r.base;

	ck_assert_int_eq(map_as(r.fd, NPP_REGION_ISM, LAYOUT), 0);
	ck_assert_int_eq(map_as(r.fd, NPP_REGION_GLOBAL, LAYOUT), -EPROTO);
	ck_assert_int_eq(map_as(r.fd, NPP_REGION_ISM, LAYOUT + 1), -EPROTO);
	h->magic++;
	ck_assert_int_eq(map_as(r.fd, NPP_REGION_ISM, LAYOUT), -EPROTO);
	h->magic--;
	h->abi_version++;
	ck_assert_int_eq(map_as(r.fd, NPP_REGION_ISM, LAYOUT), -EPROTO);
	h->abi_version--;
	h->size = 4096;
	ck_assert_int_eq(map_as(r.fd, NPP_REGION_ISM, LAYOUT), -EBADMSG);
	h->size = UINT64_MAX;
	ck_assert_int_eq(map_as(r.fd, NPP_REGION_ISM, LAYOUT), -EBADMSG);
	npp_region_unmap(&r);
}
END_TEST

START_TEST(what_could_shrink_under_us_is_refused)
{
	int fd = memfd_create("npp-test", MFD_ALLOW_SEALING | MFD_CLOEXEC), p[2];

	ck_assert_int_eq(ftruncate(fd, 8192), 0);
	ck_assert_int_eq(map_as(fd, NPP_REGION_ISM, LAYOUT), -EBADMSG);
	close(fd);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_lt(map_as(p[0], NPP_REGION_ISM, LAYOUT), 0);
	close(p[0]);
	close(p[1]);
	ck_assert_int_eq(map_as(-1, NPP_REGION_ISM, LAYOUT), -EBADF);
}
END_TEST

START_TEST(fixed_addresses_are_kept_and_never_replace)
{
	struct npp_region r = made(8192, 0), a, b;

	ck_assert_int_eq(npp_region_map(&a, r.fd, true, NPP_ADDR_ISM_HOST(1), NPP_REGION_ISM, LAYOUT), 0);
	ck_assert_uint_eq((uintptr_t)a.base, NPP_ADDR_ISM_HOST(1));
	ck_assert_int_eq(npp_region_map(&b, r.fd, true, NPP_ADDR_ISM_HOST(1), NPP_REGION_ISM, LAYOUT), -EEXIST);
	*(uint8_t *)((char *)a.base + 100) = 1; /* still there */
	npp_region_unmap(&a);
	ck_assert_int_eq(npp_region_map(&b, r.fd, true, NPP_ADDR_ISM_HOST(1), NPP_REGION_ISM, LAYOUT), 0);
	npp_region_unmap(&b);
	npp_region_unmap(&r);
}
END_TEST

START_TEST(a_read_only_descriptor_stays_read_only)
{
	struct npp_region r = made(8192, 0), m;
	int ro = npp_region_reopen_ro(r.fd);

	ck_assert_int_ge(ro, 0);
	ck_assert_int_eq(npp_region_map(&m, ro, true, 0, NPP_REGION_ISM, LAYOUT), -EACCES);
	ck_assert_int_eq(npp_region_map(&m, ro, false, 0, NPP_REGION_ISM, LAYOUT), 0);
	npp_region_unmap(&m);
	ck_assert_int_eq(npp_region_reopen_ro(-1), -ENOENT);
	close(ro);
	npp_region_unmap(&r);
}
END_TEST

START_TEST(hugepages_or_ordinary_ones_both_can_be_touched)
{
	struct npp_region r = made(5u << 20, NPP_REGION_HUGE), m;

	ck_assert(r.huge ? r.size == 6u << 20 : r.size == 5u << 20);
	ck_assert_uint_eq(((struct npp_region_hdr *)r.base)->page_size, r.huge ? 2u << 20 : 4096);
	ck_assert_int_eq(npp_region_map(&m, r.fd, true, NPP_ADDR_ISM_HOST(2), NPP_REGION_ISM, LAYOUT), 0);
	ck_assert(m.huge == r.huge);
	for (size_t i = sizeof(struct npp_region_hdr); i < m.size; i += 4096)
		((uint8_t *)m.base)[i]++;
	npp_region_unmap(&m);
	npp_region_unmap(&r);
}
END_TEST

START_TEST(more_hugepages_than_there_are_fall_back)
{
	struct npp_region r = made(1ull << 36, NPP_REGION_HUGE); /* 64 GB, never touched */

	ck_assert(!r.huge);
	((uint8_t *)r.base)[r.size - 1] = 1;
	npp_region_unmap(&r);
}
END_TEST

START_TEST(the_warning_is_due_once)
{
	ck_assert(npp_region_hugepage_warning_due());
	ck_assert(!npp_region_hugepage_warning_due());
}
END_TEST

START_TEST(senseless_sizes_are_refused)
{
	struct npp_region r;
	bool huge;
	size_t n = 0;

	ck_assert_int_eq(npp_region_create(&r, "x", NPP_REGION_ISM, 10, 0, LAYOUT, 0), -EINVAL);
	ck_assert_int_eq(npp_memfd_create("x", &n, 0, &huge), -EINVAL);
	n = SIZE_MAX;
	ck_assert_int_eq(npp_memfd_create("x", &n, 0, &huge), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shm/region");
	TCase *t = tcase_create("region");

	tcase_add_test(t, a_new_region_has_a_header_and_zeroes);
	tcase_add_test(t, size_is_sealed_and_others_have_no_rights);
	tcase_add_test(t, a_wrong_header_is_refused);
	tcase_add_test(t, what_could_shrink_under_us_is_refused);
	tcase_add_test(t, fixed_addresses_are_kept_and_never_replace);
	tcase_add_test(t, a_read_only_descriptor_stays_read_only);
	tcase_add_test(t, hugepages_or_ordinary_ones_both_can_be_touched);
	tcase_add_test(t, more_hugepages_than_there_are_fall_back);
	tcase_add_test(t, the_warning_is_due_once);
	tcase_add_test(t, senseless_sizes_are_refused);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
