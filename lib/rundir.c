/* SPDX-License-Identifier: GPL-2.0-or-later
 * rundir.c - where the sockets of running NPPs and hosts are found
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/rundir.h"

const char *npp_rundir(void)
{
	const char *dir = getenv("NPP_RUNDIR");

	return dir && *dir ? dir : NPP_RUNDIR;
}

/* PATH = DIR/[SUB/]NAME SUFFIX; does it exist? 1, 0, or -ENAMETOOLONG. */
static int probe(const char *dir, const char *sub, const char *name, const char *suffix, char *path,
		 size_t cap)
{
	struct stat st;
	int n = snprintf(path, cap, "%s/%s%s%s%s", dir, sub, *sub ? "/" : "", name, suffix);

	if (n < 0 || (size_t)n >= cap)
		return -ENAMETOOLONG;
	return lstat(path, &st) == 0;
}

static bool name_ok(const char *name)
{
	const char *slash = strchr(name, '/');

	return *name != '\0' && *name != '/' && *name != '.' &&
	       (!slash || (slash[1] != '\0' && slash[1] != '.' && !strchr(slash + 1, '/')));
}

/* Looks in DIR and in each of its sub-directories. */
static int search(const char *dir, const char *name, const char *suffix, char *path, size_t cap,
		  struct npp_err *e)
{
	char first[64] = "";
	struct dirent *de;
	int found = probe(dir, "", name, suffix, path, cap);
	DIR *d;

	if (found != 0)
		return found < 0 ? found : 0;
	d = opendir(dir);
	if (!d)
		return npp_err_set(e, -ENOENT, "%s: %s", dir, strerror(errno));
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.' || probe(dir, de->d_name, name, suffix, path, cap) != 1)
			continue;
		if (found++ == 0) {
			snprintf(first, sizeof first, "%.63s", de->d_name);
			continue;
		}
		npp_err_set(e, 0, "'%s' is in '%s' and in '%.63s'; say LAB/%s", name, first, de->d_name,
			    name);
		closedir(d);
		return -ENOTUNIQ;
	}
	closedir(d);
	if (!found)
		return npp_err_set(e, -ENOENT, "no '%s%s' under %s", name, suffix, dir);
	found = probe(dir, first, name, suffix, path, cap);
	return found < 0 ? found : found ? 0 : -ENOENT;
}

int npp_rundir_find(const char *dir, const char *name, const char *suffix, char *path, size_t cap,
		    struct npp_err *e)
{
	int rc;

	if (!dir)
		dir = npp_rundir();
	if (!name_ok(name))
		return npp_err_set(e, -ENOENT, "'%s' is not a name", name);
	if (!strchr(name, '/'))
		return search(dir, name, suffix, path, cap, e);
	rc = probe(dir, "", name, suffix, path, cap);
	if (rc == 0)
		return npp_err_set(e, -ENOENT, "no '%s%s' under %s", name, suffix, dir);
	return rc < 0 ? rc : 0;
}
