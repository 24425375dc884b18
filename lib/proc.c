/* SPDX-License-Identifier: GPL-2.0-or-later
 * proc.c - start of a child process with less than its parent may do
 *
 * Order in the child: descriptors, limits, bounding set, groups, uid (which empties the
 * capability sets), then what a change of uid would reset (death signal), then
 * no_new_privs and the filter, then exec. Whatever fails there is told to the parent
 * over a pipe that a successful exec closes.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/capability.h>

#include "lib/proc.h"
#include "lib/proto.h"

#define ENV_MAX 32

struct failure { int err; char step[60]; };

static _Noreturn void child_fail(int fd, const char *step)
{
	struct failure f = { .err = errno };
	ssize_t rc;

	snprintf(f.step, sizeof f.step, "%s", step);
	rc = write(fd, &f, sizeof f);
	(void)rc;
	_exit(127);
}

/* Our variables and those of the sanitizers; nothing else of the parent's. */
static char **child_env(char **env)
{
	static const char *const keep[] = { "NPP_", "ASAN_", "UBSAN_", "LSAN_", "LC_", "PATH=", "TZ=" };
	extern char **environ;
	unsigned n = 0;

	for (char **e = environ; e && *e && n < ENV_MAX; e++)
		for (unsigned i = 0; i < sizeof keep / sizeof *keep; i++)
			if (n < ENV_MAX && strncmp(*e, keep[i], strlen(keep[i])) == 0)
				env[n++] = *e;
	env[n] = NULL;
	return env;
}

/* Under the uid that we have: only what goes beyond it is given up. The exec brings nothing back, since
 * the bounding set is empty. */
static void drop_capabilities(int report)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };

	if (syscall(SYS_capset, &h, none) < 0)
		child_fail(report, "giving up capabilities");
}

static void drop_privileges(const struct npp_proc_spec *s, int report)
{
	for (int cap = 0; cap <= 63; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			child_fail(report, "dropping the capability bounding set");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		child_fail(report, "clearing ambient capabilities");
	if (s->keep_uid) {
		drop_capabilities(report);
		return;
	}
	if (setgroups(0, NULL) < 0)
		child_fail(report, "giving up groups");
	if (setresgid(s->gid, s->gid, s->gid) < 0)
		child_fail(report, "setting the group id");
	if (setresuid(s->uid, s->uid, s->uid) < 0)
		child_fail(report, "setting the user id");
	if (s->uid != 0 && setuid(0) == 0) {
		errno = EPERM;
		child_fail(report, "giving up root for good");
	}
}

/* REPORT becomes descriptor 4, the control socket 3; all above is closed. */
static int child_descriptors(const struct npp_proc_spec *s, int report, int *exe)
{
	int hi_report = fcntl(report, F_DUPFD_CLOEXEC, 10), hi_ctl = fcntl(s->ctl_fd, F_DUPFD_CLOEXEC, 10);
	int hi_exe = fcntl(*exe, F_DUPFD_CLOEXEC, 10), null;

	if (hi_report < 0 || hi_ctl < 0 || hi_exe < 0)
		child_fail(report, "duplicating descriptors");
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(hi_ctl, NPP_CTL_FD) < 0)
		child_fail(hi_report, "placing descriptors");
	if (dup3(hi_report, 4, O_CLOEXEC) < 0 || dup3(hi_exe, 5, O_CLOEXEC) < 0)
		child_fail(hi_report, "placing descriptors");
	*exe = 5;
	if (close_range(6, ~0u, 0) < 0)
		child_fail(4, "closing descriptors");
	return 4;
}

static _Noreturn void child_main(const struct npp_proc_spec *s, int exe, int report, pid_t parent)
{
	char *env[ENV_MAX + 1];
	sigset_t none;

	report = child_descriptors(s, report, &exe);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (setpgid(0, 0) < 0) /* a ^C at the terminal is for the supervisor alone */
		child_fail(report, "setpgid");
	umask(077);
	if (chdir("/") < 0)
		child_fail(report, "chdir");
	npp_proc_raise_nofile();
	if (s->drop)
		drop_privileges(s, report);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		child_fail(report, "asking to die with the parent");
	if (getppid() != parent)
		_exit(127);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		child_fail(report, "setting no_new_privs");
	if (s->seccomp) {
		int r = npp_proc_seccomp();

		if (r < 0) {
			errno = -r;
			child_fail(report, "installing the system call filter");
		}
	}
	/* By its path, for the name that ps shows; else, where the new uid cannot look, by the open file. */
	execve(s->path, s->argv, child_env(env));
	syscall(SYS_execveat, exe, "", s->argv, env, AT_EMPTY_PATH);
	child_fail(report, errno == EACCES && s->drop ? "exec under a uid of its own (chmod a+rx?)" : "exec");
}

/* Waits for the child's exec or its report. 0 or -errno. */
static int await_exec(int fd, const char *path, struct npp_err *e)
{
	struct failure f;
	ssize_t n;

	do
		n = read(fd, &f, sizeof f);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != sizeof f)
		return npp_err_set(e, -EIO, "%s: no word from the child", path);
	f.step[sizeof f.step - 1] = '\0';
	return npp_err_set(e, -f.err, "%s: %s: %s", path, f.step, strerror(f.err));
}

/* Each line of FILE: first id inside, first id outside, how many. */
static bool id_mapped(const char *file, uint32_t id)
{
	unsigned long long first, outside, count;
	FILE *f = fopen(file, "re");
	bool found = false;

	if (!f)
		return true;	/* a kernel without user namespaces */
	while (!found && fscanf(f, "%llu %llu %llu", &first, &outside, &count) == 3)
		found = id >= first && id - first < count;
	fclose(f);
	return found;
}

bool npp_proc_id_exists(uint32_t id)
{
	return id_mapped("/proc/self/uid_map", id) && id_mapped("/proc/self/gid_map", id);
}

static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

static int spawn_open(const struct npp_proc_spec *spec, int exe, int report[2], pid_t *pid, int *pidfd,
		      struct npp_err *e)
{
	pid_t self = getpid();
	int r;

	*pid = fork();
	if (*pid < 0)
		return npp_err_set(e, -errno, "fork: %s", strerror(errno));
	if (*pid == 0)
		child_main(spec, exe, report[1], self);
	close(report[1]);
	report[1] = -1;
	*pidfd = open_pidfd(*pid);
	r = await_exec(report[0], spec->path, e);
	if (r == 0 && *pidfd < 0)
		r = npp_err_set(e, *pidfd, "pidfd_open: %s", strerror(-*pidfd));
	if (r == 0)
		return 0;
	if (*pidfd >= 0)
		close(*pidfd);
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	return r;
}

int npp_proc_spawn(const struct npp_proc_spec *spec, pid_t *pid, int *pidfd, struct npp_err *e)
{
	int report[2], exe, r;

	exe = open(spec->path, O_PATH | O_CLOEXEC);
	if (exe < 0)
		return npp_err_set(e, -errno, "%s: %s", spec->path, strerror(errno));
	if (pipe2(report, O_CLOEXEC) < 0) {
		r = npp_err_set(e, -errno, "pipe: %s", strerror(errno));
		close(exe);
		return r;
	}
	r = spawn_open(spec, exe, report, pid, pidfd, e);
	close(exe);
	close(report[0]);
	if (report[1] >= 0)
		close(report[1]);
	return r;
}

uint64_t npp_proc_raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return 0;
	if (rl.rlim_cur < rl.rlim_max) {
		rlim_t old = rl.rlim_cur;

		rl.rlim_cur = rl.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
			return old;
	}
	return rl.rlim_cur;
}

const char *npp_proc_describe_exit(int status, char *buf, size_t cap)
{
	if (WIFEXITED(status))
		snprintf(buf, cap, "exited with status %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		snprintf(buf, cap, "was killed by signal %d: a system call that its filter refuses", SIGSYS);
	else if (WIFSIGNALED(status))
		snprintf(buf, cap, "was killed by signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
			 WCOREDUMP(status) ? ", core dumped" : "");
	else
		snprintf(buf, cap, "ended in an unknown way (0x%x)", (unsigned)status);
	return buf;
}

uint64_t npp_proc_start_time(pid_t pid)
{
	char path[32], text[512], *p;
	unsigned long long t = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name may hold anything */
	if (p && (strncmp(p, ") Z", 3) == 0 || strncmp(p, ") X", 3) == 0))
		return 0; /* it has ended, only its parent has not looked yet */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		t = strtoull(p, NULL, 10);
	return t;
}
