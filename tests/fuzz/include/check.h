/* SPDX-License-Identifier: GPL-2.0-or-later
 * check.h - what fuzz targets see of Check: assertions that abort
 *
 * Scenes of unit tests are used by fuzz targets, too, and Check's own need a test around them.
 */
#ifndef NPP_TESTS_FUZZ_CHECK_H
#define NPP_TESTS_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define ck_assert(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)
#define ck_assert_msg(x, ...) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #x); \
			fprintf(stderr, __VA_ARGS__); \
			fprintf(stderr, "\n"); \
			abort(); \
		} \
	} while (0)
#define ck_abort_msg(...) ck_assert_msg(0, __VA_ARGS__)
#define ck_assert_int_eq(a, b) ck_assert((a) == (b))
#define ck_assert_int_ge(a, b) ck_assert((a) >= (b))
#define ck_assert_int_le(a, b) ck_assert((a) <= (b))
#define ck_assert_uint_eq(a, b) ck_assert((a) == (b))
#define ck_assert_uint_ne(a, b) ck_assert((a) != (b))
#define ck_assert_uint_lt(a, b) ck_assert((a) < (b))
#define ck_assert_uint_le(a, b) ck_assert((a) <= (b))
#define ck_assert_uint_ge(a, b) ck_assert((a) >= (b))
#define ck_assert_ptr_eq(a, b) ck_assert((a) == (b))
#define ck_assert_ptr_ne(a, b) ck_assert((a) != (b))
#define ck_assert_ptr_null(a) ck_assert(!(a))
#define ck_assert_ptr_nonnull(a) ck_assert(a)

#endif
