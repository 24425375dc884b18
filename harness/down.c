/* SPDX-License-Identifier: GPL-2.0-or-later
 * down.c - take a lab down, and make sure that nothing is left
 *
 * Needs the plan in lab.json only, never the memory of the npp-lab that made the lab.
 * Every step may find its work done already. The order is that of a power-off: first the
 * programs that the user started, then the nppds (which stop their children), then
 * whatever is still in the lab's namespaces, by force; then names, files, directory.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/verbs.h"
#include "lib/hugepages.h"

#define MAX_PIDS 8192
#define TERM_MS 3000
#define NPPD_TERM_MS 10000
#define KILL_MS 10000
#define OWNER_GONE_MS 2000

struct ns_set { ino_t inode[TOPO_MAX_NETS + TOPO_MAX_NODES]; unsigned n; };

static void ns_set_fill(const struct lab *l, struct ns_set *s)
{
	uint32_t i;

	s->n = 0;
	for (i = 0; i < l->n_nets; i++)
		s->inode[s->n++] = ns_inode(l->nets[i].ns);
	for (i = 0; i < l->n_nodes; i++)
		s->inode[s->n++] = ns_inode(l->nodes[i].ns);
}

static pid_t parent_of(pid_t pid)
{
	char path[64], text[1024], *p;
	FILE *f;
	int ppid = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(text, sizeof text, f) && (p = strrchr(text, ')')) && sscanf(p, ") %*c %d", &ppid) != 1)
		ppid = 0;
	fclose(f);
	return ppid;
}

/* Is PID one of the lab's nppds or below one? */
static bool under_nppd(const struct lab *l, pid_t pid)
{
	int depth;
	uint32_t i;

	for (depth = 0; pid > 1 && depth < 16; depth++) {
		for (i = 0; i < l->n_procs; i++)
			if (l->procs[i].pid == (uint32_t)pid && proc_alive(&l->procs[i]))
				return true;
		pid = parent_of(pid);
	}
	return false;
}

static void stop_programs(const struct lab *l, const struct ns_set *s, pid_t *pids)
{
	unsigned n = proc_in_ns(s->inode, s->n, pids, MAX_PIDS), k = 0, i;

	for (i = 0; i < n; i++)
		if (!under_nppd(l, pids[i]))
			pids[k++] = pids[i];
	if (proc_kill(pids, k, SIGTERM, TERM_MS, NULL))
		proc_kill(pids, k, SIGKILL, KILL_MS, NULL);
}

static void stop_nppds(const struct lab *l, pid_t *pids)
{
	unsigned n = 0;
	uint32_t i;

	for (i = 0; i < l->n_procs; i++)
		if (proc_alive(&l->procs[i]))
			pids[n++] = (pid_t)l->procs[i].pid;
	if (proc_kill(pids, n, SIGTERM, NPPD_TERM_MS, NULL))
		proc_kill(pids, n, SIGKILL, KILL_MS, NULL);
}

/* A process may fork while it is looked for, so this goes on until none is found. */
static int kill_rest(const struct ns_set *s, pid_t *pids, struct npp_err *e)
{
	int64_t end = now_ms() + KILL_MS;
	unsigned n;

	while ((n = proc_in_ns(s->inode, s->n, pids, MAX_PIDS))) {
		proc_kill(pids, n, SIGKILL, 1000, NULL);
		if (now_ms() > end)
			return npp_err_set(e, -EBUSY, "process %d (and %u more) will not end", (int)pids[0], n - 1);
	}
	return 0;
}

static int stop_all(const struct lab *l, struct npp_err *e)
{
	struct ns_set *s = malloc(sizeof *s);
	pid_t *pids = calloc(MAX_PIDS, sizeof *pids);
	int r = 0;

	if (!s || !pids) {
		r = npp_err_set(e, -ENOMEM, "out of memory");
	} else if (!lab_other_boot(l)) {	/* of another boot: its numbers mean nothing now */
		ns_set_fill(l, s);
		stop_programs(l, s, pids);
		stop_nppds(l, pids);
		r = kill_rest(s, pids, e);
		/* Whoever comes to the ledger gives back what dead nppds had borrowed. */
		npp_hugepages_release(l->name, NULL);
	}
	free(s);
	free(pids);
	return r;
}

static int remove_ns(const char *ns, struct npp_err *e)
{
	int r = ns_etc_remove(ns, e), r2 = ns_remove(ns, e);

	return r < 0 ? r : r2;
}

static int remove_names(const struct lab *l, struct npp_err *e)
{
	uint32_t i;
	int r = 0, r2;

	for (i = 0; i < l->n_nodes; i++)
		if ((r2 = remove_ns(l->nodes[i].ns, e)) < 0)
			r = r2;
	for (i = 0; i < l->n_nets; i++)
		if ((r2 = remove_ns(l->nets[i].ns, e)) < 0)
			r = r2;
	return r;
}

/* Everything below DIR but lab.json, which is needed until the rest is gone. */
static void empty_dir(const char *dir, bool keep_state)
{
	char path[LAB_PATH_CAP * 2];
	struct dirent *d;
	struct stat st;
	DIR *dp = opendir(dir);

	while (dp && (d = readdir(dp))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    (keep_state && strcmp(d->d_name, "lab.json") == 0))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
			empty_dir(path, false);
			rmdir(path);
		} else {
			unlink(path);
		}
	}
	if (dp)
		closedir(dp);
}

static int remove_dir(const struct lab *l, struct npp_err *e)
{
	char path[LAB_PATH_CAP];

	empty_dir(l->dir, true);
	snprintf(path, sizeof path, "%s/lab.json", l->dir);
	unlink(path);
	if (rmdir(l->dir) < 0 && errno != ENOENT)
		return npp_err_set(e, -errno, "cannot remove %s: %s", l->dir, strerror(errno));
	return 0;
}

/* ---- audit ---------------------------------------------------------------------------- */

static void left(struct npp_err *e, unsigned *n, const char *what, const char *name)
{
	if ((*n)++ == 0)
		npp_err_set(e, -EBUSY, "left over: %s %s", what, name);
}

/* Mounts with one of the lab's namespaces in the path, as this process sees them. */
static void audit_mounts(const struct lab *l, struct npp_err *e, unsigned *n)
{
	char line[2048], path[NS_PATH_CAP + 2];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	uint32_t i;

	while (f && fgets(line, sizeof line, f)) {
		if (!strstr(line, " " NS_DIR "/"))
			continue;
		for (i = 0; i < l->n_nodes + l->n_nets; i++) {
			const char *ns = i < l->n_nodes ? l->nodes[i].ns : l->nets[i - l->n_nodes].ns;

			snprintf(path, sizeof path, " " NS_DIR "/%s ", ns);
			if (strstr(line, path))
				left(e, n, "mount", path + 1);
		}
	}
	if (f)
		fclose(f);
}

/* Looks for all that the lab's name stood on. S: inodes from before the names went. */
static int audit(const struct lab *l, const struct ns_set *s, struct npp_err *e)
{
	unsigned n = 0;
	uint32_t i;
	pid_t pid[1];

	if (!lab_other_boot(l)) {
		if (proc_in_ns(s->inode, s->n, pid, 1))
			left(e, &n, "a process in namespaces of lab", l->name);
		for (i = 0; i < l->n_procs; i++)
			if (proc_alive(&l->procs[i]))
				left(e, &n, "nppd of", l->procs[i].node);
	}
	for (i = 0; i < l->n_nodes; i++)
		if (ns_exists(l->nodes[i].ns) || ns_etc_exists(l->nodes[i].ns))
			left(e, &n, "namespace", l->nodes[i].ns);
	for (i = 0; i < l->n_nets; i++)
		if (ns_exists(l->nets[i].ns) || ns_etc_exists(l->nets[i].ns))
			left(e, &n, "namespace", l->nets[i].ns);
	audit_mounts(l, e, &n);
	return n ? -EBUSY : 0;
}

int lab_teardown(struct lab *l, struct npp_err *e)
{
	struct ns_set *s = malloc(sizeof *s);
	int r;

	if (!s)
		return npp_err_set(e, -ENOMEM, "out of memory");
	ns_set_fill(l, s);
	lab_save(l, "stopping", "", NULL);
	r = stop_all(l, e);
	if (r == 0)
		r = remove_names(l, e);
	if (r == 0)
		r = audit(l, s, e);
	if (r == 0)
		r = remove_dir(l, e);
	free(s);
	return r;
}

/* ---- verbs ------------------------------------------------------------------------------ */

/* A directory without lab.json: its npp-lab ended before it made anything else. */
static int down_empty(struct lab *l, struct npp_err *e)
{
	char path[LAB_PATH_CAP];

	snprintf(path, sizeof path, "%s/lab.json.new", l->dir);
	unlink(path);
	if (rmdir(l->dir) < 0)
		return npp_err_set(e, -errno, "%s is not of a lab: no lab.json in it", l->dir);
	return 0;
}

static int down_locked(struct lab *l, const char *name, struct npp_err *e)
{
	int r = lab_load(l, name, e);

	if (r == -ENOENT)
		return down_empty(l, e);
	if (r < 0)
		return r;
	r = lab_teardown(l, e);
	lab_free(l);
	return r;
}

static int answer(const char *lab, const char *error, bool json)
{
	if (error)
		npp_warnx("%s", error);
	if (json) {
		printf("{\"ok\": %s, \"lab\": ", error ? "false" : "true");
		json_string(stdout, lab);
		fputs(", \"errors\": [", stdout);
		if (error)
			json_string(stdout, error);
		puts("]}");
	}
	return error ? 1 : 0;
}

int lab_down(const char *name, bool json)
{
	struct npp_err e = { "" };
	char pick[TOPO_LAB_LEN + 1], text[sizeof e.text + 64];
	struct lab l;
	int r;

	if (geteuid() != 0)
		return answer(name ? name : "", "down needs to be root, or to be run in npp-lab-user", json);
	r = lab_pick_own(name, pick, sizeof pick, &e);
	if (r == 0)
		r = lab_lock(&l, pick, true, &e);
	if (r < 0)
		return answer(name ? name : "", e.text, json);
	r = down_locked(&l, pick, &e);
	lab_unlock(&l);
	if (r == 0 && !name && !json)
		printf("lab %s: down\n", pick);
	snprintf(text, sizeof text, "lab '%s': %s", pick, e.text);
	return answer(pick, r < 0 ? text : NULL, json);
}

/* A lab is dead if the npp-lab that worked on it ended in the middle, if it is from before
 * a restart of the machine, if it had nppds and none lives, or if the process that it was
 * made for has ended. Its lock is ours. */
static bool is_dead(const struct lab *l)
{
	return lab_other_boot(l) || lab_orphaned(l) || strcmp(l->state, "up") != 0 || lab_deserted(l);
}

/* Takes the lock of NAME, unless somebody is at work on it. What an npp-lab that was killed
 * had just started may hold its lock for a moment. */
static int lock_to_clean(struct lab *l, const char *name)
{
	struct lab seen = { .lock = -1 };
	struct lab_proc owner;
	int64_t end = now_ms() + OWNER_GONE_MS;
	bool gone;
	int r;

	while ((r = lab_lock(l, name, false, NULL)) == -EWOULDBLOCK && now_ms() < end) {
		gone = lab_load(&seen, name, NULL) == 0;
		owner = (struct lab_proc){ .pid = seen.owner_pid, .start = seen.owner_start };
		gone = gone && !proc_alive(&owner);
		lab_free(&seen);
		if (!gone)
			break;
		pause_ms(10);
	}
	return r;
}

/* What clean has done, for --json. */
struct cleaned { bool json; unsigned n; };

static void clean_says(struct cleaned *c, const char *name, const char *error)
{
	if (error)
		npp_warnx("lab '%s': %s", name, error);
	else
		npp_warnx("lab '%s' was dead, removed", name);
	if (!c->json)
		return;
	fputs(c->n++ ? ",\n {\"lab\": " : "{\"lab\": ", stdout);
	json_string(stdout, name);
	printf(", \"removed\": %s", error ? "false, \"error\": " : "true");
	if (error)
		json_string(stdout, error);
	putchar('}');
}

static int clean_one(const char *name, struct cleaned *c)
{
	struct npp_err e = { "" };
	struct lab l, seen = { .lock = -1 };
	int r;

	if (lock_to_clean(&l, name) < 0)
		return 0;	/* somebody is at work on it: not dead */
	r = lab_load(&seen, name, NULL);
	if (r == -ENOENT) {
		down_empty(&l, NULL);	/* not empty: a directory of somebody else */
		r = 0;
	} else if (r < 0) {
		clean_says(c, name, "lab.json makes no sense, left alone");
		r = 1;
	} else if (is_dead(&seen)) {
		lab_free(&seen);
		r = down_locked(&l, name, &e) < 0;
		clean_says(c, name, r ? e.text : NULL);
	} else {
		lab_free(&seen);
		r = 0;
	}
	lab_unlock(&l);
	return r;
}

int lab_clean(bool json)
{
	struct cleaned c = { .json = json };
	struct dirent *d;
	DIR *dp;
	int bad = 0;

	if (geteuid() != 0) {
		verb_failed(NULL, "clean needs to be root", json);
		return 1;
	}
	fputs(json ? "[" : "", stdout);
	dp = opendir(lab_rundir());
	while (dp && (d = readdir(dp)))
		if (npp_conf_name_ok(d->d_name, 1, TOPO_LAB_LEN))
			bad |= clean_one(d->d_name, &c);
	if (dp)
		closedir(dp);
	fputs(json ? "]\n" : "", stdout);
	return bad;
}
