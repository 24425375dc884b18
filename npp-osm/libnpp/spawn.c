/* SPDX-License-Identifier: GPL-2.0-or-later
 * spawn.c - children that are made to run another program: vfork and posix_spawn
 *
 * A child of vfork has its parent's memory but its own descriptors. It changes no table; what
 * it puts on which number is noted, and right before exec an embryo (fork.c) is made and
 * gets the notes. The new image says hello with the pid in the embryo and sweeps out what
 * exec has closed.
 *
 * The C library's posix_spawn() cannot be looked into: neither the child's pid nor the moment
 * before exec is ours. So as soon as the process has sockets of npp ours does it, by vfork,
 * with the attributes as their functions give them, and the file actions as the C library
 * keeps them (its layout is part of its ABI: programs hold it).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"

#define NOTES (sizeof npp_lib.vfork / sizeof *npp_lib.vfork)

/* ---- notes of a child of vfork ----------------------------------------------------------- */

/* What FD means in this child, which is one of vfork. */
struct so *vfork_ours(int fd)
{
	int pid = getpid();

	for (size_t i = 0; i < NOTES; i++)
		if (npp_lib.vfork[i].pid == pid && npp_lib.vfork[i].fd == fd)
			return npp_lib.vfork[i].so;
	return fd_ours(fd);
}

/* A place for a note. Those of children that came to their end without exec are taken. */
static struct vfork_fd *new_note(void)
{
	for (int again = 0; again < 2; again++)
		for (size_t i = 0; i < NOTES; i++) {
			struct vfork_fd *v = &npp_lib.vfork[i];

			if (v->pid && again && kill(v->pid, 0) < 0 && errno == ESRCH)
				v->pid = 0;
			if (v->pid == 0)
				return v;
		}
	return NULL;
}

/* From now on FD is SO, or nothing of ours. */
void vfork_note(int fd, struct so *so)
{
	int pid = getpid();
	struct vfork_fd *v = NULL;

	for (size_t i = 0; i < NOTES; i++)
		if (npp_lib.vfork[i].pid == pid && npp_lib.vfork[i].fd == fd)
			v = &npp_lib.vfork[i];
	if (!v && fd_ours(fd) == so)
		return;
	if (!v)
		v = new_note();
	if (!v)
		return;
	v->fd = fd;
	v->so = so;
	v->pid = pid;
	npp_lib.vforked = true;
}

static void forget_notes(int pid)
{
	for (size_t i = 0; i < NOTES; i++)
		if (npp_lib.vfork[i].pid == pid)
			npp_lib.vfork[i].pid = 0;
}

/* What follows is done with the memory of the thread that waits for us, locks included: if we are killed over it, that thread
 * finds here what is to be put right. */
static void careful(int pid)
{
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	npp_thr.vf.cancel = cancel;
	npp_thr.vf.fd_depth = npp_thr.fd_depth;
	npp_thr.vf.inside = npp_thr.inside;
	npp_thr.vf.section = npp_thr.section;
	npp_thr.vf.masked = npp_thr.masked;
	npp_thr.vf.held = atomic_load_explicit(&npp_thr.held, memory_order_relaxed);
	npp_thr.vf.embryo = 0;
	atomic_signal_fence(memory_order_seq_cst);
	npp_thr.vf.pid = pid;
	atomic_signal_fence(memory_order_seq_cst);
}

static void careful_no_more(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	npp_thr.vf.pid = 0;
	pthread_setcancelstate(npp_thr.vf.cancel, NULL);
}

/* That thread runs again, though its child was not through: it is dead. Other threads may wait for the locks that it had. An
 * embryo of which it had not heard yet stays until this process ends. */
void vfork_killed(void)
{
	uint32_t embryo = npp_thr.vf.embryo;
	bool had = npp_thr.fd_depth && !npp_thr.vf.fd_depth;
	int pid = npp_thr.vf.pid;

	if (!pid || getpid() != npp_lib.pid)
		return;
	npp_thr.fd_depth = npp_thr.vf.fd_depth;
	npp_thr.inside = npp_thr.vf.inside;
	npp_thr.section = npp_thr.vf.section;
	npp_thr.masked = npp_thr.vf.masked;
	atomic_store_explicit(&npp_thr.held, npp_thr.vf.held, memory_order_relaxed);
	careful_no_more();
	if (npp_thr.rpc_held) {
		npp_thr.rpc_held = false;
		pthread_mutex_unlock(&npp_lib.rpc_lock);
	}
	forget_notes(pid);
	if (had)
		fd_lock_left();
	if (embryo)
		fork_embryo_done(embryo, 0);
}

/* Before exec in a child of vfork: it gets a table of its own. */
void vfork_exec(void)
{
	uint32_t embryo;
	int pid = getpid();

	if (npp_lib.state != LIB_ON || pid == npp_lib.pid ||
	    atomic_load_explicit(&npp_lib.n_ours, memory_order_relaxed) == 0)
		return;
	careful(pid);
	fd_lock();
	for (size_t i = 0; i < NOTES; i++)
		if (npp_lib.vfork[i].pid == pid && npp_lib.vfork[i].so)
			fd_word_room(npp_lib.vfork[i].fd); /* the copy has only what we have */
	if (fork_embryo(&embryo) == 0) {
		npp_thr.vf.embryo = embryo;
		atomic_store_explicit(&npp_lib.procs[EMBRYO_PROC(embryo)].pid, (uint32_t)pid, memory_order_release);
		for (size_t i = 0; i < NOTES; i++)
			if (npp_lib.vfork[i].pid == pid)
				fd_word_other(EMBRYO_PROC(embryo), npp_lib.vfork[i].fd, npp_lib.vfork[i].so);
		fork_embryo_done(embryo, pid);
		npp_thr.vf.embryo = 0; /* the OSM watches it */
	}
	forget_notes(pid); /* if exec fails and another is tried, this table stands */
	fd_unlock();
	careful_no_more();
}

/* ---- posix_spawn ---------------------------------------------------------------------------- */

/* As in spawn_int.h of the GNU C library. */
struct action {
	enum { DO_CLOSE, DO_DUP2, DO_OPEN, DO_CHDIR, DO_FCHDIR, DO_CLOSEFROM, DO_TCSETPGRP } tag;
	union {
		struct { int fd; } close;
		struct { int fd, to; } dup2;
		struct { int fd; const char *path; int flags; mode_t mode; } open;
		struct { const char *path; } chdir;
		struct { int fd; } one;
	};
};

struct spawn {
	const char *file;
	const posix_spawn_file_actions_t *actions;
	const posix_spawnattr_t *attr;
	char *const *argv, *const *envp;
	bool search;
	sigset_t mask;		/* the caller's */
	volatile int err;
};

static int do_open(const struct action *a)
{
	int fd, r;

	npp_close(a->open.fd);
	fd = open(a->open.path, a->open.flags, a->open.mode);
	if (fd < 0)
		return fd;
	if (fd == a->open.fd) {
		vfork_note(fd, NULL);
		return fd;
	}
	r = npp_dup2(fd, a->open.fd);
	R->close(fd);
	return r;
}

static int do_dup2(int fd, int to)
{
	int fl;

	if (fd != to)
		return npp_dup2(fd, to);
	fl = R->fcntl(fd, F_GETFD); /* the one way to keep what is close-on-exec */
	return fl < 0 ? -1 : R->fcntl(fd, F_SETFD, fl & ~FD_CLOEXEC);
}

static int do_action(const struct action *a)
{
	switch (a->tag) {
	case DO_CLOSE:
		npp_close(a->close.fd);
		return 0;
	case DO_DUP2:
		return do_dup2(a->dup2.fd, a->dup2.to);
	case DO_OPEN:
		return do_open(a);
	case DO_CHDIR:
		return chdir(a->chdir.path);
	case DO_FCHDIR:
		return fchdir(a->one.fd);
	case DO_CLOSEFROM:
		return npp_close_range((unsigned)a->one.fd, UINT_MAX, 0);
	case DO_TCSETPGRP:
		return tcsetpgrp(a->one.fd, getpgrp());
	default:
		errno = EINVAL;
		return -1;
	}
}

/* No handler of the parent may run here. */
static void reset_signals(const sigset_t *to_default)
{
	struct sigaction sa, dfl = { .sa_handler = SIG_DFL };

	for (int s = 1; s < NSIG; s++)
		if (sigismember(to_default, s) == 1 ||
		    (R->sigaction(s, NULL, &sa) == 0 && sa.sa_handler != SIG_DFL && sa.sa_handler != SIG_IGN))
			R->sigaction(s, &dfl, NULL);
}

static int set_attributes(const struct spawn *p, sigset_t *mask)
{
	short flags = 0;
	sigset_t def;
	struct sched_param sp;
	int policy;
	pid_t group = 0;

	sigemptyset(&def);
	if (p->attr)
		posix_spawnattr_getflags(p->attr, &flags);
	if (flags & POSIX_SPAWN_SETSIGDEF)
		posix_spawnattr_getsigdefault(p->attr, &def);
	reset_signals(&def);
	if (flags & POSIX_SPAWN_SETSIGMASK)
		posix_spawnattr_getsigmask(p->attr, mask);
	if (flags & (POSIX_SPAWN_SETSCHEDPARAM | POSIX_SPAWN_SETSCHEDULER)) {
		posix_spawnattr_getschedparam(p->attr, &sp);
		posix_spawnattr_getschedpolicy(p->attr, &policy);
		if ((flags & POSIX_SPAWN_SETSCHEDULER ? sched_setscheduler(0, policy, &sp) : sched_setparam(0, &sp)) < 0)
			return -1;
	}
	if (flags & POSIX_SPAWN_SETSID && setsid() < 0)
		return -1;
	if (flags & POSIX_SPAWN_SETPGROUP && (posix_spawnattr_getpgroup(p->attr, &group) || setpgid(0, group) < 0))
		return -1;
	if (flags & POSIX_SPAWN_RESETIDS && (setegid(getgid()) < 0 || seteuid(getuid()) < 0))
		return -1;
	return 0;
}

static _Noreturn void child(struct spawn *p)
{
	const struct action *a = p->actions ? (const struct action *)(const void *)p->actions->__actions : NULL;
	sigset_t mask = p->mask;
	int r = set_attributes(p, &mask);

	for (int i = 0; p->actions && i < p->actions->__used && r >= 0; i++)
		r = do_action(&a[i]);
	if (r >= 0) {
		vfork_exec(); /* before signals may come */
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
		if (p->search)
			R->execvpe(p->file, p->argv, p->envp);
		else
			R->execve(p->file, p->argv, p->envp);
	}
	p->err = errno ? errno : ECHILD;
	_exit(127);
}

/* In a frame of its own: it returns twice. */
static __attribute__((noinline)) pid_t start(struct spawn *p)
{
	pid_t pid = vfork();

	if (pid == 0)
		child(p);
	return pid;
}

/**
 * spawn_run() - posix_spawn() of FILE with the environment ENVP, as it is
 *
 * Return: as posix_spawn(): 0 or a positive errno
 */
int spawn_run(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
	      char *const argv[], char *const envp[], bool search)
{
	struct spawn p = { .file = file, .actions = actions, .attr = attr, .argv = argv, .envp = envp, .search = search };
	int saved = errno, cancel;
	sigset_t all;
	pid_t kid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &p.mask);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	kid = start(&p);
	if (unlikely(npp_thr.vf.pid != 0))
		vfork_killed();
	if (kid < 0)
		p.err = errno;
	else
		forget_notes(kid);
	if (kid > 0 && p.err)
		waitpid(kid, NULL, 0);
	if (pid && !p.err)
		*pid = kid;
	pthread_setcancelstate(cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &p.mask, NULL);
	errno = saved;
	return p.err;
}
