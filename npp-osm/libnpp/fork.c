/* SPDX-License-Identifier: GPL-2.0-or-later
 * fork.c - fork and exec
 *
 * fork: before it the OSM makes an embryo, a process record with a copy of our table and
 * the references raised; the child finds it in its memory, writes its pid there and says
 * hello at once, while it still has the rights to (a worker of nginx gives them up a
 * moment later). All this is done by pthread_atfork handlers, so it holds for every way
 * into the C library's fork; npp_fork() only adds that the parent tells the OSM the
 * child's pid, for a child that dies before its hello, and that fork fails with ENOMEM where
 * host memory has no room for the child's table.
 *
 * fork() or clone() by number is a fork that the handlers do not see: it is prepared here, and a
 * child in namespaces of its own is refused, as where the right to make them is missing.
 *
 * exec keeps pid and table; the new image sweeps out what was close-on-exec. Children of
 * vfork: spawn.c.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"

/* A process record with a copy of our table: EMBRYO_PROC(*EMBRYO), and which one; 0: there is none. 0 or -errno. */
int fork_embryo(uint32_t *embryo)
{
	struct npp_ctl_fork q = { .proc = npp_lib.proc }, a;
	int r = lib_rpc(NPP_CTL_FORK, &q, sizeof q, &a, sizeof a, NULL);

	if (r >= 0 && a.proc >= NPP_MAX_PROCS)
		r = -EPROTO;
	*embryo = r < 0 ? 0 : NPP_CTL_EMBRYO(a.proc + 1, a.pid);
	if (r < 0)
		lib_say(ONCE_FORK, r == -ENOMEM ? "host memory has no room for the descriptor table of a child of fork" :
			"the host's OSM did not prepare a fork: the child has no sockets of npp");
	return r < 0 ? r : 0;
}

/* PID is what has come out of it; 0: nothing. */
void fork_embryo_done(uint32_t embryo, int pid)
{
	struct npp_ctl_fork q = { .proc = embryo - 1, .pid = pid };

	lib_rpc(NPP_CTL_FORK_DONE, &q, sizeof q, NULL, 0, NULL);
}

static bool forks_ours(void)
{
	return npp_lib.pid == getpid() && npp_lib.state == LIB_ON &&
	       atomic_load_explicit(&npp_lib.n_ours, memory_order_relaxed) != 0;
}

/* For a fork that comes now, under fd_lock. 0 or -errno: the child will have none of our sockets. */
static int prepare(void)
{
	npp_thr.embryo = 0;
	npp_thr.embryo_turn = npp_lib.fd_turn;
	return forks_ours() ? fork_embryo(&npp_thr.embryo) : 0;
}

/* What must not change, and nobody else may have, while the process is copied. */
static void lock_all(void)
{
	ep_fork_begin();
	pthread_mutex_lock(&npp_lib.rpc_lock);
	pthread_mutex_lock(&npp_lib.pool_lock);
}

static void unlock_all(void)
{
	pthread_mutex_unlock(&npp_lib.pool_lock);
	pthread_mutex_unlock(&npp_lib.rpc_lock);
	ep_fork_end();
	fd_unlock();
}

/* Handlers of the program have run before this one, with no lock of ours: they may wait for threads that are in
 * close(). What npp_fork() has made before them holds if no descriptor has changed since. */
static void before(void)
{
	int saved = errno;

	if (npp_lib.state != LIB_ON)
		return;
	fd_lock();
	if (!npp_thr.fork_wrapped || npp_thr.embryo_turn != npp_lib.fd_turn) {
		if (npp_thr.fork_wrapped && npp_thr.embryo)
			fork_embryo_done(npp_thr.embryo, 0);
		prepare();
	}
	lock_all();
	errno = saved;
}

/* The child writes its pid first of all. */
static int pid_of(uint32_t embryo)
{
	uint32_t pid = 0;

	for (int i = 0; i < 500 && !pid; i++) {
		pid = atomic_load_explicit(&npp_lib.procs[EMBRYO_PROC(embryo)].pid, memory_order_acquire);
		if (!pid)
			lib_nap(200);
	}
	return (int)pid;
}

static void in_parent(void)
{
	uint32_t embryo = npp_thr.embryo;
	int saved = errno;

	if (npp_lib.state != LIB_ON)
		return;
	unlock_all();
	if (!npp_thr.fork_wrapped) {
		npp_thr.embryo = 0;
		if (embryo)
			fork_embryo_done(embryo, pid_of(embryo));
	}
	errno = saved;
}

/* What belongs to the parent is let go; nothing of it may be used by two processes. */
static void let_go(void)
{
	pthread_mutex_init(&npp_lib.start_lock, NULL);
	pthread_mutex_init(&npp_lib.rpc_lock, NULL);
	npp_thr.inside = 0;
	npp_lib.pid = getpid();
	if (npp_thr.ctx) {
		npp_thr.ctx = NULL;
		pthread_setspecific(npp_lib.key, NULL);
	}
	if (npp_lib.rpc >= 0) {
		fd_mark(npp_lib.rpc, false);
		R->close(npp_lib.rpc);
		npp_lib.rpc = -1;
	}
	/* the parent's doorbells: their numbers stay closed to us, their contexts are not ours */
	for (uint32_t i = npp_lib.n_internal; i-- > 0;) {
		int *where = npp_lib.internal_at[i];

		if (where >= (int *)npp_lib.slot && where < (int *)(npp_lib.slot + NPP_MAX_SLOTS))
			continue;
		if (where == &npp_lib.rpc || where == &npp_lib.placeholder)
			continue;
		R->close(*where);
		fd_disown(where);
	}
	ctx_pool_forked();
	ep_forked();
	urg_forked();
}

/* The child of a fork that nobody prepared: its copies of our sockets are not counted. */
static void forget_sockets(void)
{
	for (int fd = 0; fd < FD_MAX; fd++)
		if (fd_ours(fd))
			atomic_store_explicit(&npp_lib.tab[fd], NULL, memory_order_relaxed);
	atomic_store_explicit(&npp_lib.n_ours, 0, memory_order_relaxed);
}

static void in_child(void)
{
	uint32_t embryo = npp_thr.embryo, proc;
	int saved = errno;

	if (npp_lib.state != LIB_ON)
		return;
	let_go();
	npp_thr.embryo = 0;
	npp_thr.embryo_turn = npp_lib.fd_turn - 1; /* what this one is over, if it is a handler's, makes another */
	npp_thr.fork_wrapped = false;
	if (embryo) {
		npp_lib.proc = EMBRYO_PROC(embryo);
		/* release: pairs with the OSM's acquire when the hello comes */
		atomic_store_explicit(&npp_lib.procs[EMBRYO_PROC(embryo)].pid, (uint32_t)npp_lib.pid, memory_order_release);
		if (lib_reconnect(&proc) == 0) {
			fd_mark(npp_lib.rpc, true);
			npp_lib.proc = proc;
		}
	} else {
		forget_sockets();
	}
	fd_lock_forked(); /* signals are taken again */
	errno = saved;
}

void fork_init(void)
{
	if (npp_lib.atfork)
		return;
	npp_lib.atfork = true;
	pthread_atfork(before, in_parent, in_child);
}

/* 0, or -ENOMEM: as where the kernel has none for a table of its own. */
static int prepare_early(void)
{
	int r;

	fd_lock();
	r = prepare();
	fd_unlock();
	return r == -ENOMEM ? r : 0;
}

/* A fork that this one, by a handler, is over; mostly none. */
struct outer { uint32_t embryo, turn; bool wrapped; };

static struct outer outer_fork(void)
{
	return (struct outer){ npp_thr.embryo, npp_thr.embryo_turn, npp_thr.fork_wrapped };
}

/* In the parent. PID, with errno: what has come out of it. */
static void prepared_done(pid_t pid, const struct outer *o)
{
	uint32_t embryo = npp_thr.embryo;
	int saved = errno;

	npp_thr.embryo = o->embryo;
	npp_thr.embryo_turn = o->turn;
	npp_thr.fork_wrapped = o->wrapped;
	if (embryo)
		fork_embryo_done(embryo, pid < 0 ? 0 : pid);
	errno = saved;
}

pid_t npp_fork(void)
{
	struct outer o = outer_fork();
	pid_t pid = -1;

	if (npp_lib.state != LIB_ON || vfork_child())
		return R->fork();
	if (prepare_early() < 0) {
		errno = ENOMEM;
	} else {
		npp_thr.fork_wrapped = true;
		pid = R->fork();
	}
	if (pid != 0) /* in_child() has let go of all */
		prepared_done(pid, &o);
	return pid;
}

/* The C library hears nothing of it, and runs no handlers. */
static long clone_prepared(long nr, const long a[6])
{
	struct outer o;
	long r = -1;

	fd_lock();
	o = outer_fork();
	if (prepare() == -ENOMEM) {
		errno = ENOMEM;
		prepared_done(-1, &o);
		fd_unlock();
		return -1;
	}
	lock_all();
	r = R->syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (r == 0) {
		in_child();
		return 0;
	}
	unlock_all();
	prepared_done((pid_t)r, &o);
	return r;
}

#define NEW_SPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* As in linux/sched.h, whose names are others' as well; what follows is of no matter here. */
struct clone3_args { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack; };

/**
 * npp_clone() - clone() and clone3() by number, not by the C library
 * @nr, @a: number and arguments of the system call
 * @r: what it returns, with errno
 *
 * A child with a copy of our memory and descriptors is one of fork(). One that shares memory is a thread, or as of vfork();
 * one with a TLS of its own cannot be helped.
 *
 * Return: false: it is for the kernel, as it is
 */
bool npp_clone(long nr, const long a[6], long *r)
{
	uint64_t flags = (unsigned long)a[0], stack = (unsigned long)a[1];

	if (nr == SYS_clone3) {
		struct clone3_args c;

		if (!a[0] || (size_t)a[1] < sizeof c)
			return false;
		memcpy(&c, (const void *)(uintptr_t)a[0], sizeof c);
		flags = c.flags;
		stack = c.stack;
	}
	if (stack || flags & (CLONE_VM | CLONE_FILES | CLONE_SETTLS) || vfork_child() || !forks_ours())
		return false;
	if (!(flags & NEW_SPACES)) {
		*r = nr == SYS_clone && flags == SIGCHLD ? npp_fork() : clone_prepared(nr, a);
		return true;
	}
	lib_say(ONCE_CLONE, "clone() with namespaces for the child is refused (EPERM): it could not use its sockets of npp");
	errno = EPERM;
	*r = -1;
	return true;
}

/* The C library's daemon() forks past us only as far as telling the pid goes; ours does not. */
int npp_daemon(int nochdir, int noclose)
{
	pid_t pid = npp_fork();
	int fd;

	if (pid < 0)
		return -1;
	if (pid > 0)
		_exit(0);
	if (setsid() < 0)
		return -1;
	if (!nochdir && chdir("/") < 0)
		return -1;
	if (noclose)
		return 0;
	fd = open("/dev/null", O_RDWR);
	if (fd < 0)
		return -1;
	for (int i = 0; i < 3; i++)
		npp_dup2(fd, i);
	if (fd > 2)
		R->close(fd);
	return 0;
}

/* ---- exec ------------------------------------------------------------------------------- */

/* Some programs start their successor with an environment of their own making (nginx when
 * its binary is changed): it stays on this host all the same. Whoever sets LD_PRELOAD or
 * NPP_HOST_SOCK to something else, or to nothing, has decided himself. */
struct keep_env { char preload[512], host[144]; size_t n, add; };

static bool names(const char *entry, const char *name)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

/* How many entries ENVP has, and in K what is to be added. */
static void keep_env(char *const envp[], struct keep_env *k)
{
	Dl_info self;
	int n;

	*k = (struct keep_env){ .add = 0 };
	for (; envp && envp[k->n]; k->n++)
		if (names(envp[k->n], "LD_PRELOAD") || names(envp[k->n], "NPP_HOST_SOCK"))
			k->add = SIZE_MAX;
	if (k->add || npp_lib.state != LIB_ON || !dladdr((void *)&npp_lib, &self) || !self.dli_fname)
		goto none;
	if (!strstr(self.dli_fname, ".so")) /* linked into the program, as in tests */
		goto none;
	n = snprintf(k->preload, sizeof k->preload, "LD_PRELOAD=%s", self.dli_fname);
	if (n < 0 || (size_t)n >= sizeof k->preload)
		goto none;
	snprintf(k->host, sizeof k->host, "NPP_HOST_SOCK=%s", npp_lib.path);
	k->add = 2;
	return;
none:
	k->add = 0;
}

/* On the stack of the caller: memory of a child of vfork is its parent's. */
#define KEPT_ENV(envp) \
	struct keep_env keep; \
	char **kept = (char **)(uintptr_t)(envp); \
\
	vfork_exec(); \
	keep_env(envp, &keep); \
	if (keep.add && keep.n < 8192) { \
		kept = __builtin_alloca((keep.n + 3) * sizeof *kept); \
		if (keep.n) \
			memcpy(kept, (envp), keep.n * sizeof *kept); \
		kept[keep.n] = keep.preload; \
		kept[keep.n + 1] = keep.host; \
		kept[keep.n + 2] = NULL; \
	}

int npp_execve(const char *path, char *const argv[], char *const envp[])
{
	KEPT_ENV(envp)
	return R->execve(path, argv, kept);
}

int npp_execvpe(const char *file, char *const argv[], char *const envp[])
{
	KEPT_ENV(envp)
	return R->execvpe(file, argv, kept);
}

int npp_fexecve(int fd, char *const argv[], char *const envp[])
{
	KEPT_ENV(envp)
	return R->fexecve(fd, argv, kept);
}

int npp_posix_spawn(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		    char *const argv[], char *const envp[], bool search)
{
	KEPT_ENV(envp)
	if (!forks_ours())
		return (search ? R->posix_spawnp : R->posix_spawn)(pid, file, actions, attr, argv, kept);
	return spawn_run(pid, file, actions, attr, argv, kept, search);
}

/* ---- stdio on our sockets ---------------------------------------------------------------------- */

static int cookie_fd(void *c)
{
	return (int)(intptr_t)c;
}

static ssize_t cookie_read(void *c, char *buf, size_t n)
{
	return npp_read(cookie_fd(c), buf, n);
}

static ssize_t cookie_write(void *c, const char *buf, size_t n)
{
	ssize_t r = npp_write(cookie_fd(c), buf, n);

	return r < 0 ? 0 : r; /* what fopencookie(3) wants for an error */
}

static int cookie_close(void *c)
{
	return npp_close(cookie_fd(c));
}

static const cookie_io_functions_t cookie_io = { cookie_read, cookie_write, NULL, cookie_close };

/* The C library writes 0, 1, 2 past us, too: who finds a socket of ours there after exec (a
 * server that inetd or its like has started), or puts one there, gets other standard streams. They do
 * for anything that comes to stand there later. */
void stdio_at(int fd)
{
	struct { FILE **f; const char *mode; } std[3] = { { &stdin, "r" }, { &stdout, "w" }, { &stderr, "w" } };
	FILE *f = npp_lib.std[fd] ? NULL : fopencookie((void *)(intptr_t)fd, std[fd].mode, cookie_io);

	if (!f)
		return;
	if (fd == 2)
		setvbuf(f, NULL, _IONBF, 0);
	*std[fd].f = npp_lib.std[fd] = f;
}

void stdio_start(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fd_ours(fd))
			stdio_at(fd);
}

/* Such a stream has no number in the eyes of the C library. */
int npp_fileno(FILE *f)
{
	for (int fd = 0; fd < 3; fd++)
		if (unlikely(f && f == npp_lib.std[fd]))
			return fd;
	return R->fileno(f);
}

/* The C library reads and writes a FILE past its own read(): give it functions instead. */
FILE *npp_fdopen(int fd, const char *mode)
{
	if (!fd_ours(fd))
		return R->fdopen(fd, mode);
	return fopencookie((void *)(intptr_t)fd, mode, cookie_io);
}
