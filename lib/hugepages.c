/* SPDX-License-Identifier: GPL-2.0-or-later
 * hugepages.c - 2 MB pages: how many there are, and borrowing some from the system
 *
 * The ledger is a text file, one line per owner: NAME PAGES PID START-TIME BOOT. A line
 * of another boot is void. It is rewritten in place under flock. The system's number is
 * raised before a share is written down and lowered after it was struck out: a crash
 * between leaves too many pages, never somebody else too few.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/hugepages.h"
#include "lib/proc.h"

#define SYS_DIR "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define LEDGER NPP_RUNDIR "/hugepages"
#define MAX_OWNERS 256
#define NAME_LEN 63

struct share { char owner[NAME_LEN + 1]; uint32_t pages; pid_t pid; uint64_t start; };
struct ledger { int fd; char boot[40]; unsigned n; struct share share[MAX_OWNERS]; };

static int read_number(const char *path, uint32_t *out)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	*out = (uint32_t)strtoul(text, NULL, 10);
	return 0;
}

static int write_number(const char *path, uint32_t v)
{
	char text[32];
	int fd = open(path, O_WRONLY | O_CLOEXEC), n = snprintf(text, sizeof text, "%u", v), r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)n) != n)
		r = -errno;
	close(fd);
	return r;
}

/* How many pages the system keeps for good: the number that is set, without surplus pages,
 * which are still in use after it was lowered and go when they are freed. To count those in
 * would make them stay. They become fewer at any time, hence the second look. */
static int read_kept(uint32_t *kept)
{
	uint32_t nr = 0, surplus, again = 0;
	int r = read_number(SYS_DIR "surplus_hugepages", &again);

	do {
		surplus = again;
		if (r == 0)
			r = read_number(SYS_DIR "nr_hugepages", &nr);
		if (r == 0)
			r = read_number(SYS_DIR "surplus_hugepages", &again);
	} while (r == 0 && again != surplus);
	*kept = nr > surplus ? nr - surplus : 0;
	return r;
}

int npp_hugepages_count(uint32_t *all, uint32_t *unused)
{
	uint32_t promised = 0;
	int r = read_number(SYS_DIR "nr_hugepages", all);

	if (r == 0)
		r = read_number(SYS_DIR "free_hugepages", unused);
	if (r == 0)
		r = read_number(SYS_DIR "resv_hugepages", &promised);
	*unused = r < 0 || *unused < promised ? 0 : *unused - promised;
	return r;
}

/* ---- the ledger ---------------------------------------------------------------- */

static void read_boot(char *boot, size_t cap)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, boot, cap - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		n = snprintf(boot, cap, "?");
	boot[n] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
}

static void parse_ledger(struct ledger *l, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct share *s = &l->share[l->n];
		char boot[40];
		int pid;

		if (l->n < MAX_OWNERS &&
		    sscanf(line, "%63s %" SCNu32 " %d %" SCNu64 " %39s", s->owner, &s->pages, &pid, &s->start, boot) == 5 &&
		    strcmp(boot, l->boot) == 0) {
			s->pid = (pid_t)pid;
			l->n++;
		}
	}
}

static int open_ledger(struct ledger *l, struct npp_err *e)
{
	char text[MAX_OWNERS * 160 + 1];
	ssize_t n;

	memset(l, 0, sizeof *l);
	if (mkdir(NPP_RUNDIR, 0755) < 0 && errno != EEXIST)
		return npp_err_set(e, -errno, "%s: %s", NPP_RUNDIR, strerror(errno));
	l->fd = open(LEDGER, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0)
		return npp_err_set(e, -errno, "%s: %s", LEDGER, strerror(errno));
	while (flock(l->fd, LOCK_EX) < 0)
		if (errno != EINTR)
			break;
	read_boot(l->boot, sizeof l->boot);
	n = pread(l->fd, text, sizeof text - 1, 0);
	if (n < 0) {
		int err = -errno;

		close(l->fd);
		return npp_err_set(e, err, "%s: %s", LEDGER, strerror(-err));
	}
	text[n] = '\0';
	parse_ledger(l, text);
	return 0;
}

static int write_ledger(const struct ledger *l)
{
	char text[MAX_OWNERS * 160 + 1];
	size_t len = 0;

	for (unsigned i = 0; i < l->n; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s %" PRIu32 " %d %" PRIu64 " %s\n",
					l->share[i].owner, l->share[i].pages, (int)l->share[i].pid,
					l->share[i].start, l->boot);
	if (pwrite(l->fd, text, len, 0) != (ssize_t)len || ftruncate(l->fd, (off_t)len) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

static struct share *find_share(struct ledger *l, const char *owner)
{
	for (unsigned i = 0; i < l->n; i++)
		if (strcmp(l->share[i].owner, owner) == 0)
			return &l->share[i];
	return NULL;
}

/* Lowers the system's number by N; never below 0. */
static int lower(uint32_t n)
{
	uint32_t kept;
	int r = read_kept(&kept);

	return r < 0 ? r : n ? write_number(SYS_DIR "nr_hugepages", kept > n ? kept - n : 0) : 0;
}

static int drop_share(struct ledger *l, struct share *s)
{
	uint32_t pages = s->pages;
	int r;

	*s = l->share[--l->n];
	r = write_ledger(l);
	return r < 0 ? r : lower(pages);
}

static void drop_dead(struct ledger *l)
{
	for (unsigned i = 0; i < l->n;) {
		struct share *s = &l->share[i];

		if (!s->pid || npp_proc_start_time(s->pid) == s->start)
			i++;
		else if (drop_share(l, s) < 0)
			return;
	}
}

/* Raises the system's number by N or as far as it goes; how far, or -errno. */
static int raise_by(uint32_t n)
{
	uint32_t before, now;
	int r = read_kept(&before);

	if (r == 0)
		r = write_number(SYS_DIR "nr_hugepages", before + n);
	if (r == 0)
		r = read_kept(&now);
	if (r == 0 && now < before + n && write_number("/proc/sys/vm/compact_memory", 1) == 0) {
		write_number(SYS_DIR "nr_hugepages", before + n);
		r = read_kept(&now);
	}
	if (r < 0)
		return r;
	return now > before ? (int)(now - before) : 0;
}

/* The share of PID, which may be new; NULL: too many owners. */
static struct share *make_share(struct ledger *l, const char *owner, pid_t pid)
{
	struct share *s = find_share(l, owner);

	if (!s && l->n < MAX_OWNERS) {
		s = &l->share[l->n++];
		*s = (struct share){ .pages = 0 };
		snprintf(s->owner, sizeof s->owner, "%s", owner);
	}
	if (s) {
		s->pid = pid;
		s->start = pid ? npp_proc_start_time(pid) : 0;
	}
	return s;
}

int npp_hugepages_reserve(const char *owner, uint32_t n, pid_t pid, struct npp_err *e)
{
	struct ledger l;
	struct share *s;
	int r, got;

	if (!*owner || strlen(owner) > NAME_LEN || strpbrk(owner, " \n\t") || n > 1u << 20)
		return npp_err_set(e, -EINVAL, "'%s' cannot own %u hugepages", owner, n);
	r = open_ledger(&l, e);
	if (r < 0)
		return r;
	drop_dead(&l);
	s = find_share(&l, owner);
	if (!s && l.n == MAX_OWNERS) {
		close(l.fd);
		return npp_err_set(e, -ENOSPC, "%s: too many owners", LEDGER);
	}
	got = raise_by(n);
	if (got >= 0) {
		s = make_share(&l, owner, pid);
		s->pages += (uint32_t)got;
		r = write_ledger(&l);
		if (r < 0) {
			lower((uint32_t)got);
			got = r;
		}
	}
	close(l.fd);
	if (got < 0)
		npp_err_set(e, got, "cannot raise the system's number of hugepages: %s", strerror(-got));
	return got;
}

int npp_hugepages_release(const char *owner, struct npp_err *e)
{
	struct ledger l;
	struct share *s;
	int r = open_ledger(&l, e), had = 0;

	if (r < 0)
		return r;
	drop_dead(&l);
	s = find_share(&l, owner);
	if (s) {
		had = (int)s->pages;
		r = drop_share(&l, s);
	}
	close(l.fd);
	return r < 0 ? npp_err_set(e, r, "hugepages: %s", strerror(-r)) : had;
}

int npp_hugepages_held(const char *owner)
{
	struct ledger l;
	struct share *s;
	int r = open_ledger(&l, NULL);

	if (r < 0)
		return r;
	s = find_share(&l, owner);
	r = s ? (int)s->pages : 0;
	close(l.fd);
	return r;
}

/* ---- none to be had ----------------------------------------------------------------- */

/* By its inode: a path may be too long for the ledger. */
static int closed_name(const char *dir, char *name, size_t cap)
{
	struct stat st;

	if (stat(dir, &st) < 0)
		return -errno;
	snprintf(name, cap, "closed:%" PRIu64 ":%" PRIu64, (uint64_t)st.st_dev, (uint64_t)st.st_ino);
	return 0;
}

int npp_hugepages_close(const char *dir, pid_t pid, struct npp_err *e)
{
	char name[NAME_LEN + 1];
	struct ledger l;
	int r = closed_name(dir, name, sizeof name);

	if (r < 0)
		return npp_err_set(e, r, "%s: %s", dir, strerror(-r));
	r = open_ledger(&l, e);
	if (r < 0)
		return r;
	drop_dead(&l);
	r = make_share(&l, name, pid) ? write_ledger(&l) : -ENOSPC;
	close(l.fd);
	return r < 0 ? npp_err_set(e, r, "%s: %s", LEDGER, strerror(-r)) : 0;
}

bool npp_hugepages_closed(const char *dir)
{
	char name[NAME_LEN + 1];
	struct ledger l;
	bool closed;

	if (closed_name(dir, name, sizeof name) < 0 || open_ledger(&l, NULL) < 0)
		return false;
	drop_dead(&l);
	closed = find_share(&l, name);
	close(l.fd);
	return closed;
}
