/* SPDX-License-Identifier: GPL-2.0-or-later
 * ns.c - named network namespaces, as ip-netns(8) lays them out
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "harness/ns.h"

const char *ns_path(const char *name, char *path)
{
	snprintf(path, NS_PATH_CAP, NS_DIR "/%s", name);
	return path;
}

/* A mount made later must reach the mount namespaces of programs in the lab, and above
 * all its removal must, or they would hold the namespace. */
int ns_prepare(struct npp_err *e)
{
	if (mkdir(NS_DIR, 0755) < 0 && errno != EEXIST)
		return npp_err_set(e, -errno, "cannot make " NS_DIR ": %s", strerror(errno));
	if (mount("", NS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL)
		return npp_err_set(e, -errno, "cannot share mounts of " NS_DIR ": %s", strerror(errno));
	if (mount(NS_DIR, NS_DIR, "none", MS_BIND | MS_REC, NULL) < 0 ||
	    mount("", NS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
		return npp_err_set(e, -errno, "cannot mount " NS_DIR " on itself: %s", strerror(errno));
	return 0;
}

static int write_sysctl(const char *path, const char *value, struct npp_err *e)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		r = npp_err_set(e, -errno, "cannot set %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return r;
}

/* Of the namespace that the caller is in. Without IP6 links that come later have no IPv6, which
 * would only add noise (router solicitations, MLD); the loopback keeps it, for programs that
 * bind to [::]. With it they have what they are given, and nothing by themselves unless they shall. */
static int set_sysctls(bool forward, enum ns_ip6 mode, struct npp_err *e)
{
	bool ip6 = mode != NS_IP6_OFF;
	const struct { const char *path, *value; bool must; } set[] = {
		{ "/proc/sys/net/ipv6/conf/default/disable_ipv6", ip6 ? "0" : "1", access("/proc/sys/net/ipv6", F_OK) == 0 },
		{ "/proc/sys/net/ipv6/conf/default/accept_ra", mode == NS_IP6_LEARNED ? "1" : "0", ip6 },
		{ "/proc/sys/net/ipv6/conf/default/router_solicitation_delay", "0", mode == NS_IP6_LEARNED },
		{ "/proc/sys/net/ipv6/conf/default/accept_dad", "0", ip6 },
		{ "/proc/sys/net/ipv6/conf/all/forwarding", forward ? "1" : "0", ip6 },
		/* a bridge is a wire, not a firewall; absent where br_netfilter is */
		{ "/proc/sys/net/bridge/bridge-nf-call-iptables", "0", false },
		{ "/proc/sys/net/bridge/bridge-nf-call-ip6tables", "0", false },
		{ "/proc/sys/net/bridge/bridge-nf-call-arptables", "0", false },
		/* ways may differ by direction, whatever the machine's own setting is */
		{ "/proc/sys/net/ipv4/conf/all/rp_filter", "0", true },
		{ "/proc/sys/net/ipv4/conf/default/rp_filter", "0", true },
		{ "/proc/sys/net/ipv4/ip_forward", forward ? "1" : "0", true },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof set / sizeof *set; i++)
		if (set[i].must || access(set[i].path, F_OK) == 0)
			r = write_sysctl(set[i].path, set[i].value, e);
	return r;
}

int ns_enter_fd(int fd, struct npp_err *e)
{
	int back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), err;

	if (back >= 0 && setns(fd, CLONE_NEWNET) == 0)
		return back;
	err = errno;
	if (back >= 0)
		close(back);
	return npp_err_set(e, -err, "cannot enter a namespace: %s", strerror(err));
}

void ns_leave(int back)
{
	/* Whatever comes after would happen in the wrong namespace. */
	if (setns(back, CLONE_NEWNET) < 0)
		npp_fatal("cannot return to the own network namespace");
	close(back);
}

static int make_here(const char *name, bool forward, enum ns_ip6 ip6, struct npp_err *e)
{
	char path[NS_PATH_CAP];

	if (unshare(CLONE_NEWNET) < 0)
		return npp_err_set(e, -errno, "cannot make a network namespace: %s", strerror(errno));
	if (mount("/proc/thread-self/ns/net", ns_path(name, path), "none", MS_BIND, NULL) < 0)
		return npp_err_set(e, -errno, "cannot mount %s: %s", path, strerror(errno));
	return set_sysctls(forward, ip6, e);
}

int ns_make(const char *name, bool forward, enum ns_ip6 ip6, struct npp_err *e)
{
	char path[NS_PATH_CAP];
	int fd, back, r;

	fd = open(ns_path(name, path), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd < 0)
		return npp_err_set(e, -errno, "cannot make %s: %s", path, strerror(errno));
	close(fd);
	back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (back < 0)
		return npp_err_set(e, -errno, "cannot open the own network namespace: %s", strerror(errno));
	r = make_here(name, forward, ip6, e);
	ns_leave(back);
	return r;
}

bool ns_exists(const char *name)
{
	char path[NS_PATH_CAP];

	return access(ns_path(name, path), F_OK) == 0;
}

/* A file that is no mount is what a killed ns_make() leaves; its inode is not on the nsfs
 * and matches no process. */
ino_t ns_inode(const char *name)
{
	char path[NS_PATH_CAP];
	struct stat st, dir;

	if (stat(ns_path(name, path), &st) < 0 || stat(NS_DIR, &dir) < 0 || st.st_dev == dir.st_dev)
		return 0;
	return st.st_ino;
}

int ns_remove(const char *name, struct npp_err *e)
{
	char path[NS_PATH_CAP];

	ns_path(name, path);
	if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return npp_err_set(e, -errno, "cannot unmount %s: %s", path, strerror(errno));
	if (unlink(path) < 0 && errno != ENOENT)
		return npp_err_set(e, -errno, "cannot remove %s: %s", path, strerror(errno));
	return 0;
}

/* ---- what a program sees in the namespace ------------------------------------------- */

static void bind_etc(const char *name)
{
	char dir[NS_PATH_CAP], from[NS_PATH_CAP + 256], to[300];
	struct dirent *d;
	DIR *dp;

	snprintf(dir, sizeof dir, NS_ETC_DIR "/%s", name);
	dp = opendir(dir);
	if (!dp)
		return;
	while ((d = readdir(dp))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(from, sizeof from, "%s/%s", dir, d->d_name);
		snprintf(to, sizeof to, "/etc/%s", d->d_name);
		if (mount(from, to, "none", MS_BIND, NULL) < 0 && errno != ENOENT)
			npp_warn("cannot put %s in place of %s", from, to);
	}
	closedir(dp);
}

int ns_enter_all(const char *name, struct npp_err *e)
{
	char path[NS_PATH_CAP];
	struct statvfs fs;
	unsigned long flags = 0;
	int fd = open(ns_path(name, path), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return npp_err_set(e, -errno, "cannot open %s: %s", path, strerror(errno));
	if (setns(fd, CLONE_NEWNET) < 0 || unshare(CLONE_NEWNS) < 0) {
		int err = errno;

		close(fd);
		return npp_err_set(e, -err, "cannot enter %s: %s", path, strerror(err));
	}
	close(fd);
	/* Mounts of ours stay ours; those of the machine, and removals, reach us. */
	if (mount("", "/", "none", MS_SLAVE | MS_REC, NULL) < 0)
		return npp_err_set(e, -errno, "cannot make / a slave mount: %s", strerror(errno));
	/* /sys/class/net is that of whoever mounts /sys. */
	if (umount2("/sys", MNT_DETACH) == 0 || errno == EINVAL) {
		if (statvfs("/sys", &fs) == 0 && (fs.f_flag & ST_RDONLY))
			flags = MS_RDONLY;
		if (mount(name, "/sys", "sysfs", flags, NULL) < 0)
			npp_warn("cannot mount /sys of namespace %s", name);
	}
	bind_etc(name);
	return 0;
}

/* ---- /etc/netns ---------------------------------------------------------------------- */

static int make_etc_dir(const char *dir)
{
	int i;

	/* Another lab may take away the empty parent between the two steps. */
	for (i = 0; i < 100; i++) {
		if (mkdir(NS_ETC_DIR, 0755) < 0 && errno != EEXIST)
			return -errno;
		if (mkdir(dir, 0755) == 0 || errno == EEXIST)
			return 0;
		if (errno != ENOENT)
			return -errno;
	}
	return -ENOENT;
}

int ns_etc_write(const char *name, const char *file, const char *text, size_t len, struct npp_err *e)
{
	char dir[NS_PATH_CAP], path[NS_PATH_CAP + 32];
	int fd, r;

	snprintf(dir, sizeof dir, NS_ETC_DIR "/%s", name);
	snprintf(path, sizeof path, "%s/%s", dir, file);
	r = make_etc_dir(dir);
	if (r < 0)
		return npp_err_set(e, r, "cannot make %s: %s", dir, strerror(-r));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return npp_err_set(e, -errno, "cannot make %s: %s", path, strerror(errno));
	if (write(fd, text, len) != (ssize_t)len)
		r = npp_err_set(e, -EIO, "cannot write %s", path);
	close(fd);
	return r;
}

bool ns_etc_exists(const char *name)
{
	char dir[NS_PATH_CAP];

	snprintf(dir, sizeof dir, NS_ETC_DIR "/%s", name);
	return access(dir, F_OK) == 0;
}

int ns_etc_remove(const char *name, struct npp_err *e)
{
	static const char *const files[] = { "hosts", "resolv.conf" };
	char dir[NS_PATH_CAP], path[NS_PATH_CAP + 32];
	size_t i;

	snprintf(dir, sizeof dir, NS_ETC_DIR "/%s", name);
	for (i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		if (unlink(path) < 0 && errno != ENOENT)
			return npp_err_set(e, -errno, "cannot remove %s: %s", path, strerror(errno));
	}
	if (rmdir(dir) < 0 && errno != ENOENT)
		return npp_err_set(e, -errno, "cannot remove %s: %s", dir, strerror(errno));
	rmdir(NS_ETC_DIR);	/* if it is empty now */
	return 0;
}
