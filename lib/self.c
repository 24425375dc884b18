/* SPDX-License-Identifier: GPL-2.0-or-later
 * self.c - where npp's own programs and libraries are
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/self.h"

#define PRELOAD "libnpp-preload.so"
#define LEVELS 5 /* from tests/unit/DIR/.libs/ up to the top of a build tree */

static const char *const installed[] = { NPP_LIBEXECDIR, NPP_SBINDIR, NPP_BINDIR };
#define N_INSTALLED (sizeof installed / sizeof *installed)

static bool is_library(const char *name)
{
	return strcmp(name, PRELOAD) == 0;
}

/* PATH = DIR/NAME; can it be used? */
static bool try(const char *dir, const char *name, char *path, size_t cap)
{
	int n = snprintf(path, cap, "%s/%s", dir, name);

	return n > 0 && (size_t)n < cap && access(path, is_library(name) ? R_OK : X_OK) == 0;
}

/* The directory of the running program. */
static int own_dir(char *dir, size_t cap)
{
	ssize_t n = readlink("/proc/self/exe", dir, cap - 1);
	char *slash;

	if (n <= 0)
		return -ENOENT;
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

/* Is DIR, though perhaps by another name, one that programs are installed in? */
static bool is_installed(const char *dir)
{
	struct stat own, st;

	if (stat(dir, &own) < 0)
		return false;
	for (unsigned i = 0; i < N_INSTALLED; i++)
		if (stat(installed[i], &st) == 0 && st.st_dev == own.st_dev && st.st_ino == own.st_ino)
			return true;
	return false;
}

/* OWN and WANT end alike, at whole names; what DIR has in common with the rest of WANT is
 * replaced by the rest of OWN. */
int npp_self_move(const char *own, const char *want, const char *dir, char *path, size_t cap)
{
	const char *o = own + strlen(own), *w = want + strlen(want);
	size_t n;
	int len;

	while (o > own && w > want && o[-1] == w[-1]) {
		o--;
		w--;
	}
	while (*w && *w != '/') {
		w++;
		o++;
	}
	n = (size_t)(w - want);
	if (!*w || strncmp(dir, want, n) != 0 || dir[n] != '/')
		return -ENOENT;
	len = snprintf(path, cap, "%.*s%s", (int)(o - own), own, dir + n);
	return len > 0 && (size_t)len < cap && access(path, F_OK) == 0 ? 0 : -ENOENT;
}

const char *npp_self_dir(const char *dir, char *path, size_t cap)
{
	char own[PATH_MAX];

	if (own_dir(own, sizeof own) == 0 && !is_installed(own))
		for (unsigned i = 0; i < N_INSTALLED; i++)
			if (npp_self_move(own, installed[i], dir, path, cap) == 0)
				return path;
	return dir;
}

/* The directory of NAME in a build tree. */
static const char *place_of(const char *name)
{
	static const struct { const char *name, *dir; } places[] = {
		{ PRELOAD, "npp-osm/preload/.libs" }, { "npp-lab", "harness" }, { "npp-wire", "harness/wire" },
		{ "npp-load", "harness/load" },
	};

	for (unsigned i = 0; i < sizeof places / sizeof *places; i++)
		if (strcmp(name, places[i].name) == 0)
			return places[i].dir;
	return name;
}

/* Cuts DIR, of a program, to the top of its build tree, which is known by its config.status. */
static bool build_tree(char *dir)
{
	char status[PATH_MAX + 64];

	for (int i = 0; i < LEVELS && *dir; i++) {
		char *slash;

		snprintf(status, sizeof status, "%s/config.status", dir);
		if (access(status, F_OK) == 0)
			return true;
		slash = strrchr(dir, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
	return false;
}

/* Where the sources of build tree DIR are, as its config.status says: srcdir='...'. */
static bool sources_of(const char *dir, char *src, size_t cap)
{
	static const char key[] = "srcdir='";
	char line[PATH_MAX + 64];
	bool found = false;
	FILE *f;
	int n;

	snprintf(line, sizeof line, "%s/config.status", dir);
	f = fopen(line, "re");
	while (f && !found && fgets(line, sizeof line, f)) {
		char *value = line + sizeof key - 1;

		found = strncmp(line, key, sizeof key - 1) == 0;
		if (!found)
			continue;
		value[strcspn(value, "'\n")] = '\0';
		n = value[0] == '/' ? snprintf(src, cap, "%s", value) : snprintf(src, cap, "%s/%s", dir, value);
		found = n > 0 && (size_t)n < cap;
		break;
	}
	if (f)
		fclose(f);
	return found;
}

int npp_self_data(const char *name, char *path, size_t cap)
{
	char own[PATH_MAX], src[PATH_MAX];
	const char *dir;
	int n;

	if (own_dir(own, sizeof own) == 0 && !is_installed(own) && build_tree(own) && sources_of(own, src, sizeof src))
		dir = src;
	else
		dir = npp_self_dir(NPP_DATADIR, src, sizeof src);
	n = snprintf(path, cap, "%s/%s", dir, name);
	return n > 0 && (size_t)n < cap && access(path, R_OK) == 0 ? 0 : -ENOENT;
}

int npp_self_find(const char *name, char *path, size_t cap)
{
	const char *env = getenv("NPP_EXECDIR");
	char dir[PATH_MAX], sub[PATH_MAX + 64], moved[PATH_MAX];

	if (strchr(name, '/'))
		return -ENOENT;
	if (env && *env)
		return try(env, name, path, cap) ? 0 : -ENOENT;
	if (own_dir(dir, sizeof dir) == 0 && !is_installed(dir) && build_tree(dir)) {
		snprintf(sub, sizeof sub, "%s/%s", dir, place_of(name));
		if (try(sub, name, path, cap))
			return 0;
	}
	if (is_library(name))
		return try(npp_self_dir(NPP_LIBDIR, moved, sizeof moved), name, path, cap) ? 0 : -ENOENT;
	for (unsigned i = 0; i < N_INSTALLED; i++)
		if (try(npp_self_dir(installed[i], moved, sizeof moved), name, path, cap))
			return 0;
	return -ENOENT;
}
