/* SPDX-License-Identifier: GPL-2.0-or-later
 * seccomp.c - the system calls that a child of a supervisor may make
 *
 * An allow-list: what is not here kills the process, which its supervisor then says.
 * Between the two stand calls that libraries try out and can live without: they fail
 * with EPERM. The filter is put on before exec, so the dynamic loader's calls are part
 * of it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "lib/proc.h"

#define S(name) SCMP_SYS(name)

static const int allowed[] = {
	/* data and waiting */
	S(read), S(readv), S(pread64), S(preadv), S(preadv2), S(write), S(writev), S(pwritev), S(pwritev2), S(pwrite64),
	S(io_setup), S(io_submit), S(io_destroy),
	S(close), S(close_range), S(lseek), S(fcntl), S(dup), S(dup2), S(dup3),
	S(poll), S(ppoll), S(select), S(pselect6), S(epoll_create1), S(epoll_ctl), S(epoll_wait), S(epoll_pwait),
	S(epoll_pwait2), S(eventfd2), S(timerfd_create), S(timerfd_settime), S(timerfd_gettime), S(signalfd4),
	S(recvmsg), S(recvmmsg), S(recvfrom), S(sendmsg), S(sendmmsg), S(sendto), S(accept), S(accept4), S(shutdown),
	S(getsockopt), S(setsockopt), S(getsockname), S(getpeername), S(socketpair), S(pipe2), S(futex), S(futex_waitv),
	S(clock_gettime), S(clock_getres), S(clock_nanosleep), S(nanosleep), S(gettimeofday), S(time), S(getrandom),
	S(getcpu), S(sched_yield), S(sched_setaffinity), S(sched_getaffinity), S(membarrier), S(restart_syscall),
	/* memory */
	S(mmap), S(munmap), S(mprotect), S(mremap), S(madvise), S(brk), S(mlock), S(mlock2), S(munlock), S(mincore), S(msync),
	/* itself */
	S(getpid), S(gettid), S(getppid), S(getuid), S(geteuid), S(getgid), S(getegid), S(getpgrp), S(getrusage),
	S(rt_sigaction), S(rt_sigprocmask), S(rt_sigreturn), S(rt_sigtimedwait), S(sigaltstack), S(tgkill),
	S(exit), S(exit_group), S(prctl), S(arch_prctl), S(set_tid_address), S(set_robust_list), S(rseq),
	S(prlimit64), S(getrlimit), S(uname), S(sysinfo), S(umask), S(times),
	/* looking */
	S(fstat), S(newfstatat), S(stat), S(lstat), S(statx), S(fstatfs), S(statfs), S(access), S(faccessat), S(faccessat2),
	S(readlink), S(readlinkat), S(getdents64), S(getcwd), S(pidfd_open), S(waitid), S(capget),
	/* the start */
	S(execve), S(execveat),
};

static const int refused[] = {
	S(socket), S(connect), S(bind), S(listen), S(open), S(creat), S(mkdir), S(unlink), S(rename),
	S(chmod), S(fchmod), S(chown), S(kill), S(pidfd_send_signal), S(clone), S(clone3), S(fork), S(vfork),
	S(setpriority), S(sched_setscheduler), S(sched_setparam), S(memfd_create), S(capset), S(setrlimit),
	S(set_mempolicy), S(get_mempolicy), S(mbind), S(process_vm_readv), S(unlinkat), S(ftruncate), S(fadvise64),
};

/* SCMP_A1() leaves out a field, on purpose, which clang remarks upon. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#ifdef NPP_SANITIZED
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static int add_rules(scmp_filter_ctx f)
{
	static const unsigned long ioctls[] = { 0x5401 /* TCGETS */, FIONREAD, TIOCOUTQ, FIONBIO, TUNSETQUEUE, TUNGETIFF };
	int r = 0;

	for (unsigned i = 0; r == 0 && i < sizeof allowed / sizeof *allowed; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	for (unsigned i = 0; r == 0 && i < sizeof refused / sizeof *refused; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	for (unsigned i = 0; r == 0 && i < sizeof ioctls / sizeof *ioctls; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, S(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	/* reading only: the loader, /proc */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, S(openat), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	return r;
}

int npp_proc_seccomp(void)
{
	scmp_filter_ctx f;
	int r;

	if (sanitized)
		return 0; /* the sanitizers' own calls are anybody's guess */
	f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!f)
		return -ENOMEM;
	r = add_rules(f);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}
