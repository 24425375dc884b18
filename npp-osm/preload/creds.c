/* SPDX-License-Identifier: GPL-2.0-or-later
 * creds.c - the user and groups of a process
 *
 * The C library changes them in all threads of a process, and ends it if they differ in whether they may. Where the
 * calling thread has given up capabilities, the library's own thread (urgsig.c) would: so that is not there then.
 */
#include "config.h"

#include <grp.h>
#include <unistd.h>

#include "npp-osm/libnpp/libnpp.h"
#include "npp-osm/libnpp/real.h"

#define EXPORT __attribute__((visibility("default")))

#define CREDS(name, params, args) \
	EXPORT int name params \
	{ \
		bool alone = npp_creds_begin(); \
		int r_ = npp_real_get()->name args; \
		\
		npp_creds_end(alone); \
		return r_; \
	}

CREDS(setuid, (uid_t u), (u))
CREDS(seteuid, (uid_t e), (e))
CREDS(setreuid, (uid_t r, uid_t e), (r, e))
CREDS(setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
CREDS(setgid, (gid_t g), (g))
CREDS(setegid, (gid_t e), (e))
CREDS(setregid, (gid_t r, gid_t e), (r, e))
CREDS(setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))
CREDS(setgroups, (size_t n, const gid_t *list), (n, list))
CREDS(initgroups, (const char *user, gid_t g), (user, g))
