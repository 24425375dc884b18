/* SPDX-License-Identifier: GPL-2.0-or-later
 * run.c - npp run: a program whose sockets go to the NPPs of a host
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/rundir.h"
#include "lib/self.h"
#include "lib/unserved.h"
#include "npp/npp.h"

/* ---- the host ------------------------------------------------------------------------------ */

/* The only host there is. */
static int only_host(const char *lab, char *label, size_t cap)
{
	char **list = target_list(".osm.sock"), all[256] = "";
	unsigned n = 0;
	size_t len = lab ? strlen(lab) : 0;

	for (char **p = list; p && *p; p++) {
		if (lab && (strncmp(*p, lab, len) != 0 || (*p)[len] != '/'))
			continue;
		if (n++ == 0)
			snprintf(label, cap, "%s", *p);
		if (strlen(all) + strlen(*p) + 3 < sizeof all) {
			strcat(all, *all ? ", " : "");
			strcat(all, *p);
		}
	}
	target_list_free(list);
	if (n == 1)
		return 0;
	if (n == 0)
		npp_warnx("no host is running under %s%s%s", npp_rundir(), lab ? "/" : "", lab ? lab : "");
	else
		npp_warnx("which host? Say --host NAME: %s", all);
	return n ? -ENOTUNIQ : -ENOENT;
}

static int find_socket(const char *host, const char *lab, char *path, size_t cap)
{
	struct npp_err e = { .text = "" };
	char label[160];
	int r, fd;

	if (!host) {
		r = only_host(lab, label, sizeof label);
		if (r < 0)
			return r;
	} else {
		snprintf(label, sizeof label, "%s%s%s", lab ? lab : "", lab ? "/" : "", host);
	}
	r = npp_rundir_find(NULL, label, ".osm.sock", path, cap, &e);
	if (r < 0) {
		npp_warnx("no host '%s' is running (%s)", label, e.text);
		return r;
	}
	fd = npp_ctl_connect(path);
	if (fd < 0) {
		npp_warnx("host '%s' does not answer: %s: %s", label, path, strerror(-fd));
		return fd;
	}
	close(fd);
	return 0;
}

/* Joins the network namespace of the host whose OSM socket is PATH, if it is another. For
 * others than root the host's supervisor is out of reach: they stay where they are. */
static int join_namespace(const char *path)
{
	char dir[PATH_MAX], ns[64], *slash, *end;
	struct npp_err e = { .text = "" };
	struct stat ours, theirs;
	struct target t;
	int r, fd;

	snprintf(dir, sizeof dir, "%s", path);
	slash = strrchr(dir, '/');
	*slash = '\0';
	end = slash + 1 + strlen(slash + 1) - strlen(".osm.sock");
	*end = '\0';
	r = target_open_path(&t, dir, slash + 1, &e);
	if (r == -EACCES && geteuid() != 0)
		return 0;
	if (r < 0) {
		npp_warnx("%s", e.text);
		return r;
	}
	snprintf(ns, sizeof ns, "/proc/%d/ns/net", (int)t.child[0].pid);
	target_close(&t);
	fd = open(ns, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &theirs) < 0 || stat("/proc/self/ns/net", &ours) < 0)
		r = -errno;
	else if (ours.st_ino != theirs.st_ino && setns(fd, CLONE_NEWNET) < 0)
		r = -errno;
	if (r < 0)
		npp_warnx("network namespace of the host (%s): %s", ns, strerror(-r));
	if (fd >= 0)
		close(fd);
	return r;
}

/* ---- the program ------------------------------------------------------------------------------ */

static int preload(void)
{
	const char *old = getenv("LD_PRELOAD");
	char lib[PATH_MAX], *text;

	if (npp_self_find("libnpp-preload.so", lib, sizeof lib) < 0) {
		npp_warnx("libnpp-preload.so was not found, neither in a build tree nor installed");
		return -ENOENT;
	}
	if (old && strstr(old, lib))
		return 0;
	if (asprintf(&text, "%s%s%s", old && *old ? old : "", old && *old ? ":" : "", lib) < 0)
		return -ENOMEM;
	setenv("LD_PRELOAD", text, 1);
	free(text);
	return 0;
}

int verb_run(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "host", required_argument, NULL, 'H' }, { "lab", required_argument, NULL, 'L' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	const char *host = NULL, *lab = NULL;
	char path[256];
	int opt;

	while ((opt = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (opt) {
		case 'H': host = optarg; break;
		case 'L': lab = optarg; break;
		case 'h': return verb_help(argv[0]);
		default: return verb_usage(argv[0], NULL);
		}
	}
	if (optind == argc)
		return verb_usage(argv[0], "which program?");
	if (find_socket(host, lab, path, sizeof path) < 0 || join_namespace(path) < 0 || preload() < 0)
		return 1;
	setenv("NPP_HOST_SOCK", path, 1);
	argv += optind;
	npp_warn_if_unserved(argv[0]);
	execvp(argv[0], argv);
	opt = errno == ENOENT ? 127 : 126;
	npp_warn("%s", argv[0]);
	return opt;
}
