/* SPDX-License-Identifier: GPL-2.0-or-later
 * stat.c - fstat() under the names that it has and had
 */
#include "config.h"

#include <sys/stat.h>

#include "npp-osm/libnpp/libnpp.h"
#include "npp-osm/preload/preload.h"

#define EXPORT __attribute__((visibility("default")))

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one size of files");

EXPORT int fstat(int fd, struct stat *st)
{
	return npp_fstat(fd, st);
}
EXPORT int fstat64(int fd, struct stat64 *st)
{
	return npp_fstat(fd, (void *)st);
}
/* What programs call that were made with a C library before 2.33. */
EXPORT int __fxstat(int version, int fd, struct stat *st)
{
	(void)version;
	return npp_fstat(fd, st);
}
EXPORT int __fxstat64(int version, int fd, struct stat64 *st)
{
	(void)version;
	return npp_fstat(fd, (void *)st);
}
