/* SPDX-License-Identifier: GPL-2.0-or-later
 * target.c - running NPPs and hosts: finding them, asking them, mapping their regions
 *
 * Regions come as read-only descriptors and are read while their owners work: nobody is
 * stopped, and what is read may be a moment old.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/rundir.h"
#include "npp-ism/socket/layout.h"
#include "npp/npp.h"

#define ASK_MS 5000

static const struct npp_region no_region = NPP_REGION_NULL;

/* ---- which there are --------------------------------------------------------------------- */

struct names { char **list; size_t n; };

static void names_add(struct names *s, const char *lab, const char *name, size_t len)
{
	char **list = realloc(s->list, (s->n + 2) * sizeof *list);
	int r = -1;

	if (list) {
		s->list = list;
		r = asprintf(&list[s->n], "%s%s%.*s", lab, *lab ? "/" : "", (int)len, name);
	}
	if (r < 0)
		npp_fatalx("no memory");
	s->n++;
	s->list[s->n] = NULL;
}

/* Adds what stands in DIR. "NAME.osm.sock" does not count as a ".sock". */
static void scan(struct names *s, const char *dir, const char *lab, const char *suffix)
{
	size_t slen = strlen(suffix);
	struct dirent *de;
	DIR *d = opendir(dir);

	while (d && (de = readdir(d))) {
		size_t len = strlen(de->d_name);

		if (de->d_name[0] == '.' || len <= slen || strcmp(de->d_name + len - slen, suffix) != 0)
			continue;
		if (strcmp(suffix, ".sock") == 0 && len > 9 && strcmp(de->d_name + len - 9, ".osm.sock") == 0)
			continue;
		if (s->n < MAX_TARGETS)
			names_add(s, lab, de->d_name, len - slen);
	}
	if (d)
		closedir(d);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **target_list(const char *suffix)
{
	const char *dir = npp_rundir();
	struct names s = { calloc(1, sizeof(char *)), 0 };
	struct dirent *de;
	char sub[512];
	DIR *d = opendir(dir);

	scan(&s, dir, "", suffix);
	while (d && (de = readdir(d))) {
		struct stat st;

		if (de->d_name[0] == '.' || (size_t)snprintf(sub, sizeof sub, "%s/%s", dir, de->d_name) >= sizeof sub ||
		    stat(sub, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		scan(&s, sub, de->d_name, suffix);
	}
	if (d)
		closedir(d);
	if (s.list)
		qsort(s.list, s.n, sizeof *s.list, by_name);
	return s.list;
}

void target_list_free(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

/* ---- one of them ---------------------------------------------------------------------------- */

static void clear(struct target *t)
{
	memset(t, 0, sizeof *t);
	t->sock = -1;
	t->global = t->neigh = t->host = no_region;
	for (unsigned i = 0; i <= NPP_MAX_IOPS; i++)
		t->stats[i] = no_region;
	for (unsigned i = 0; i < NPP_MAX_IOPS; i++)
		t->ism[i] = no_region;
}

int target_refresh(struct target *t, struct npp_err *e)
{
	uint8_t buf[sizeof t->st + sizeof t->child] __attribute__((aligned(8)));
	struct npp_ctl_msg m;
	int r = npp_ctl_call(t->sock, NPP_CTL_TOOL_STATUS, NULL, 0, NULL, 0, &m, buf, sizeof buf, ASK_MS);

	if (r < 0)
		return npp_err_set(e, r, "%s does not answer: %s", t->label, strerror(-r));
	npp_ctl_close_fds(&m);
	if (m.hdr.len < sizeof t->st)
		return npp_err_set(e, -EPROTO, "%s: its answer makes no sense", t->label);
	memcpy(&t->st, buf, sizeof t->st);
	t->n_children = t->st.n_children;
	if (t->n_children > 1 + NPP_MAX_IOPS || t->st.n_iops > NPP_MAX_IOPS ||
	    m.hdr.len != sizeof t->st + t->n_children * sizeof t->child[0])
		return npp_err_set(e, -EPROTO, "%s: its answer makes no sense", t->label);
	memcpy(t->child, buf + sizeof t->st, t->n_children * sizeof t->child[0]);
	if (t->st.abi_version != NPP_ABI_VERSION || t->st.layout_hash != npp_abi_layout_hash())
		return npp_err_set(e, -EPROTO, "%s is of another version of npp", t->label);
	return 0;
}

int target_open_path(struct target *t, const char *dir, const char *name, struct npp_err *e)
{
	const char *base = npp_rundir();
	size_t n = strlen(base);
	char path[256];

	clear(t);
	snprintf(t->name, sizeof t->name, "%s", name);
	snprintf(t->dir, sizeof t->dir, "%s", dir);
	if (strncmp(dir, base, n) == 0 && dir[n] == '/')
		snprintf(t->label, sizeof t->label, "%s/%s", dir + n + 1, name);
	else
		snprintf(t->label, sizeof t->label, "%s", name);
	snprintf(path, sizeof path, "%s/%s.sock", dir, name);
	t->sock = npp_ctl_connect(path);
	if (t->sock == -ECONNREFUSED)
		return npp_err_set(e, t->sock, "%s is not running any more (%s is left over)", t->label, path);
	if (t->sock < 0)
		return npp_err_set(e, t->sock, "%s: %s%s", path, strerror(-t->sock),
				   t->sock == -EACCES ? " (only root may look)" : "");
	return target_refresh(t, e);
}

int target_open(struct target *t, const char *name, struct npp_err *e)
{
	char path[256], *slash;
	int r = npp_rundir_find(NULL, name, ".sock", path, sizeof path, e);

	clear(t);
	if (r == -ENOENT && e) {
		struct npp_err why = *e;

		return npp_err_set(e, r, "no NPP or host '%.64s' is running (%.160s)", name, why.text);
	}
	if (r < 0)
		return r;
	slash = strrchr(path, '/');
	*slash = '\0';
	slash[1 + strlen(slash + 1) - strlen(".sock")] = '\0';
	r = target_open_path(t, path, slash + 1, e);
	if (r < 0)
		target_close(t);
	return r;
}

static int map_one(struct npp_region *r, struct npp_ctl_msg *m, unsigned i, enum npp_region_kind kind, uint64_t hash,
		   size_t size)
{
	int fd = npp_ctl_take_fd(m, i), err;

	if (fd < 0)
		return fd;
	err = npp_region_map(r, fd, false, 0, kind, hash);
	close(fd);
	if (err == 0 && r->size < size) {
		npp_region_unmap(r);
		err = -EBADMSG;
	}
	return err;
}

static int map_npp(struct target *t, struct npp_ctl_msg *m, const struct npp_ctl_regions *n)
{
	uint64_t hash = npp_abi_layout_hash();
	unsigned k = 0;
	int r = map_one(&t->global, m, k++, NPP_REGION_GLOBAL, hash, sizeof(struct npp_global));

	if (r == 0)
		r = map_one(&t->neigh, m, k++, NPP_REGION_NEIGH, hash, sizeof(struct npp_neigh_table));
	k++; /* locks */
	for (unsigned i = 0; r == 0 && i < n->n_stats; i++)
		r = map_one(&t->stats[i], m, k++, NPP_REGION_STATS, hash, sizeof(struct npp_stats_page));
	for (unsigned i = 0; r == 0 && i < n->n_private; i++)
		r = map_one(&t->ism[i], m, k++, NPP_REGION_ISM, ism_layout_hash(), sizeof(struct ism_layout));
	return r;
}

int target_map(struct target *t, struct npp_err *e)
{
	struct npp_ctl_regions n;
	struct npp_ctl_msg m;
	uint8_t buf[sizeof n] __attribute__((aligned(8)));
	int r = npp_ctl_call(t->sock, NPP_CTL_TOOL_REGIONS, NULL, 0, NULL, 0, &m, buf, sizeof buf, ASK_MS);

	if (r < 0)
		return npp_err_set(e, r, "%s gives no view of its memory: %s", t->label, strerror(-r));
	memcpy(&n, buf, sizeof n);
	if (m.hdr.len != sizeof n || n.n_stats != t->n_children || n.n_private > NPP_MAX_IOPS)
		r = -EPROTO;
	else if (!target_is_host(t))
		r = map_npp(t, &m, &n);
	else {
		r = map_one(&t->host, &m, 0, NPP_REGION_HOST, npp_abi_layout_hash(), sizeof(struct npp_host));
		if (r == 0)
			r = map_one(&t->stats[0], &m, 1, NPP_REGION_STATS, npp_abi_layout_hash(),
				    sizeof(struct npp_stats_page));
	}
	npp_ctl_close_fds(&m);
	return r < 0 ? npp_err_set(e, r, "%s: memory of another version or layout: %s", t->label, strerror(-r)) : 0;
}

void target_close(struct target *t)
{
	if (t->sock >= 0)
		close(t->sock);
	npp_region_unmap(&t->global);
	npp_region_unmap(&t->neigh);
	npp_region_unmap(&t->host);
	for (unsigned i = 0; i <= NPP_MAX_IOPS; i++)
		npp_region_unmap(&t->stats[i]);
	for (unsigned i = 0; i < NPP_MAX_IOPS; i++)
		npp_region_unmap(&t->ism[i]);
	clear(t);
}

/* ---- those that a command line means ---------------------------------------------------------- */

void targets_close(struct target *t, int n)
{
	for (int i = 0; i < n; i++)
		target_close(&t[i]);
	free(t);
}

/* 1: opened; 0: not of that role, or gone since it was listed; or -errno, said. */
static int open_one(struct target *t, const char *name, uint32_t role, bool named)
{
	struct npp_err e = { .text = "" };
	int r = target_open(t, name, &e);

	if (r < 0 && !named && (r == -ECONNREFUSED || r == -ENOENT))
		return 0;
	if (r < 0) {
		out_failed("%s", e.text);
		return r;
	}
	if (role && t->st.role != role) {
		if (named)
			out_failed("%s is %s", name, target_is_host(t) ? "a host, not an NPP" : "an NPP, not a host");
		target_close(t);
		return named ? -EINVAL : 0;
	}
	return 1;
}

bool target_is_lab(const char *name)
{
	char path[512];
	struct stat st;

	if (strchr(name, '/') || *name == '.' || !*name ||
	    npp_rundir_find(NULL, name, ".sock", path, sizeof path, NULL) != -ENOENT)
		return false;
	return (size_t)snprintf(path, sizeof path, "%s/%s", npp_rundir(), name) < sizeof path && stat(path, &st) == 0 &&
	       S_ISDIR(st.st_mode);
}

/* Opens all of LAB, or all there are (NULL). */
static int open_all(struct target *t, unsigned room, const char *lab, uint32_t role)
{
	char **all = target_list(".sock");
	size_t len = lab ? strlen(lab) : 0;
	int n = 0, r = 0;

	for (char **p = all; p && *p && (unsigned)n < room && r >= 0; p++) {
		if (lab && (strncmp(*p, lab, len) != 0 || (*p)[len] != '/'))
			continue;
		r = open_one(&t[n], *p, role, false);
		n += r == 1;
	}
	target_list_free(all);
	if (r < 0)
		for (int i = 0; i < n; i++)
			target_close(&t[i]);
	if (r >= 0 && n == 0) {
		out_failed("no %s is running under %s%s%s", role == 1 ? "NPP" : role == 2 ? "host" : "NPP and no host",
			  npp_rundir(), lab ? "/" : "", lab ? lab : "");
		r = -ENOENT;
	}
	return r < 0 ? r : n;
}

int targets_open(struct target **t, char **argv, uint32_t role, uint32_t all_role)
{
	unsigned n = 0, n_names = 0, room;
	int r = 0;

	while (argv[n_names])
		n_names++;
	room = MAX_TARGETS + n_names;
	*t = calloc(room, sizeof **t);
	if (!*t)
		npp_fatalx("no memory");
	if (!n_names) {
		r = open_all(*t, room, NULL, all_role);
		n = r > 0 ? (unsigned)r : 0;
	}
	for (unsigned i = 0; i < n_names && r >= 0; i++) {
		if (n == room)
			break;
		r = target_is_lab(argv[i]) ? open_all(*t + n, room - n, argv[i], all_role) : open_one(*t + n, argv[i], role, true);
		n += r > 0 ? (unsigned)r : 0;
	}
	if (r < 0) {
		targets_close(*t, (int)n);
		return r;
	}
	return (int)n;
}
