/* SPDX-License-Identifier: GPL-2.0-or-later
 * suite.h - main of a Check program: one suite, TAP or text as the environment says
 */
#ifndef NPP_TESTS_SUITE_H
#define NPP_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

#include "tests/unit/dir.h"

static inline int npp_suite_run(Suite *suite)
{
	SRunner *sr = srunner_create(suite);
	int failed;

	if (!npp_dir_begin())
		return EXIT_FAILURE;
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	npp_dir_end();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
