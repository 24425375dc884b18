/* SPDX-License-Identifier: GPL-2.0-or-later
 * fdtab.c - which number is which socket
 *
 * Two tables say the same: a local array of objects for fast look-up, and for every
 * descriptor with a socket record a word in host memory, by which the OSM cleans up
 * after our death and a new image after exec finds its sockets. A number changes its
 * meaning only under fd_lock, together with the kernel's descriptor, so both tables and
 * the kernel agree whenever the lock is free.
 *
 * The library's own descriptors live at high numbers. A program that closes all numbers
 * does not close them, and one that wants such a number itself makes us move away.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"

/* ---- locks --------------------------------------------------------------------------
 *
 * close(), dup2() and the like may be called in signal handlers: who has a lock is in a section, which signals.c
 * explains, and whoever waits for another thread is in none.
 * Who were cancelled in close() or open() would keep the lock of the tables: the process could close nothing any more.
 */

enum { FREE, TAKEN, WANTED };	/* WANTED: somebody may be asleep until it is free */

/* Begins a section, and takes the lock if it is free: the only way to have one without the other is to wait. */
static bool take(_Atomic uint32_t *word, uint32_t as)
{
	uint32_t none = FREE;

	section_begin();
	/* acquire: pairs with the release in word_unlock() */
	if (atomic_compare_exchange_strong_explicit(word, &none, as, memory_order_acquire, memory_order_relaxed))
		return true;
	section_end();
	return false;
}

static void wait_until_free(_Atomic uint32_t *word)
{
	uint32_t taken = TAKEN;
	int saved = errno;

	if (atomic_compare_exchange_strong_explicit(word, &taken, WANTED, memory_order_relaxed, memory_order_relaxed) ||
	    taken == WANTED)
		R->syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, WANTED, NULL);
	errno = saved;
}

void word_lock(_Atomic uint32_t *word)
{
	for (uint32_t as = TAKEN; !take(word, as); as = WANTED) /* who has waited does not know whether others do */
		wait_until_free(word);
}

static void give(_Atomic uint32_t *word)
{
	int saved = errno;

	/* release: pairs with the acquire in take() */
	if (atomic_exchange_explicit(word, FREE, memory_order_release) == WANTED)
		R->syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1);
	errno = saved;
}

void word_unlock(_Atomic uint32_t *word)
{
	give(word);
	section_end();
}

/* Not before: a handler may leave who still waits by siglongjmp(). Nothing in between is a point of cancellation. */
static void taken(void)
{
	int cancel;

	npp_thr.fd_depth = 1; /* first: the handler of a fault that comes now has the lock */
	atomic_signal_fence(memory_order_seq_cst);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	npp_thr.fd_cancel = cancel;
}

void fd_lock(void)
{
	if (unlikely(npp_thr.vf.pid != 0))
		vfork_killed();
	if (npp_thr.fd_depth) {
		npp_thr.fd_depth++;
		return;
	}
	word_lock(&npp_lib.fd_word);
	taken();
}

bool fd_trylock(void)
{
	if (unlikely(npp_thr.vf.pid != 0))
		vfork_killed();
	if (npp_thr.fd_depth) {
		npp_thr.fd_depth++;
		return true;
	}
	if (!take(&npp_lib.fd_word, TAKEN))
		return false;
	taken();
	return true;
}

/* At the end of the section last: a handler that comes then may take the lock, and never come back. */
static void leave(void)
{
	npp_thr.fd_depth = 0;
	pthread_setcancelstate(npp_thr.fd_cancel, NULL);
	section_end();
}

void fd_unlock(void)
{
	if (npp_thr.fd_depth > 1) {
		npp_thr.fd_depth--;
		return;
	}
	give(&npp_lib.fd_word);
	leave();
}

void fd_lock_left(void)
{
	give(&npp_lib.fd_word);
}

/* In the child of a fork, which has a lock of its own. */
void fd_lock_forked(void)
{
	atomic_store_explicit(&npp_lib.fd_word, FREE, memory_order_relaxed);
	if (npp_thr.fd_depth) {
		npp_thr.section = 1;
		leave();
	}
}

/* A child of vfork shares our memory but has its own descriptors: what it does to them
 * must not change the tables. */
bool vfork_child(void)
{
	return getpid() != npp_lib.pid;
}

struct so *so_new(enum so_kind kind)
{
	struct so *so = npp_lib.so_free;

	if (!so) {
		size_t n = 65536 / sizeof *so;
		struct so *page = lib_pages(n * sizeof *so);

		if (!page)
			return NULL;
		for (size_t i = 0; i < n; i++) {
			page[i].next = npp_lib.so_free;
			npp_lib.so_free = &page[i];
		}
		so = npp_lib.so_free;
	}
	npp_lib.so_free = so->next;
	memset(so, 0, sizeof *so);
	atomic_store_explicit(&so->kind, (uint8_t)kind, memory_order_relaxed);
	return so;
}

static void so_free(struct so *so)
{
	mcast_forget(so);
	cork_forget(so);
	urg_forget(so);
	so->next = npp_lib.so_free;
	npp_lib.so_free = so;
}

/* ---- words in host memory ---------------------------------------------------------- */

static npp_fdword_t *word_of(uint32_t proc, int fd, bool make)
{
	struct npp_proc *p = &npp_lib.procs[proc];
	uint32_t chunk = (uint32_t)fd / NPP_FDTAB_CHUNK;
	struct npp_ctl_chunk q = { .proc = proc, .chunk = chunk };
	uint32_t off64;
	npp_fdword_t *w;

	if ((unsigned)fd >= FD_MAX)
		return NULL;
	off64 = atomic_load_explicit(&p->chunk_off64[chunk], memory_order_acquire);
	if (off64 == 0 && make && lib_rpc(NPP_CTL_FD_CHUNK, &q, sizeof q, NULL, 0, NULL) == 0)
		off64 = atomic_load_explicit(&p->chunk_off64[chunk], memory_order_acquire);
	if (off64 == 0)
		return NULL;
	w = lib_at((uint64_t)off64 * 64, sizeof(*w) * NPP_FDTAB_CHUNK);
	return w ? w + (uint32_t)fd % NPP_FDTAB_CHUNK : NULL;
}

static npp_fdword_t *word_at(int fd, bool make)
{
	return word_of(npp_lib.proc, fd, make);
}

void fd_word_room(int fd)
{
	word_of(npp_lib.proc, fd, true);
}

/* Table and references only: that FD is none of this process. Others hold what stands there. */
void fd_word_other(uint32_t proc, int fd, struct so *so)
{
	npp_fdword_t *w = word_of(proc, fd, so != NULL);
	uint64_t old = w ? atomic_exchange_explicit(w, 0, memory_order_acq_rel) : 0;

	if (old)
		atomic_fetch_sub_explicit(&npp_lib.sock[(uint32_t)old - 1].refs, 1, memory_order_acq_rel);
	if (!w || !so || !so->sk)
		return;
	atomic_fetch_add_explicit(&so->sk->refs, 1, memory_order_relaxed);
	atomic_store_explicit(w, (uint64_t)(so->idx + 1) | (uint64_t)so->gen << 32, memory_order_release);
}

int fd_word_set(int fd, struct so *so)
{
	npp_fdword_t *w = word_at(fd, true);

	npp_lib.fd_turn++;
	if (!w) {
		lib_say(ONCE_TABLE, "host memory has no room for the descriptor table");
		return -ENOBUFS;
	}
	atomic_fetch_add_explicit(&so->sk->refs, 1, memory_order_relaxed);
	/* release: the OSM that reads the word after our death sees the reference */
	atomic_store_explicit(w, (uint64_t)(so->idx + 1) | (uint64_t)so->gen << 32, memory_order_release);
	atomic_fetch_add_explicit(&npp_lib.n_ours, 1, memory_order_relaxed);
	return 0;
}

void fd_count_drop(uint32_t n)
{
	atomic_fetch_sub_explicit(&npp_lib.n_ours, n, memory_order_relaxed);
}

bool fd_word_clear(int fd, struct npp_sock *sk)
{
	npp_fdword_t *w = word_at(fd, false);

	npp_lib.fd_turn++;
	if (w)
		atomic_store_explicit(w, 0, memory_order_release);
	atomic_fetch_sub_explicit(&npp_lib.n_ours, 1, memory_order_relaxed);
	return atomic_fetch_sub_explicit(&sk->refs, 1, memory_order_acq_rel) == 1;
}

/* ---- the local table ------------------------------------------------------------------ */

int fd_install(int fd, struct so *so)
{
	if ((unsigned)fd >= FD_MAX)
		return -EMFILE;
	if (so->sk) {
		int r = fd_word_set(fd, so);

		if (r < 0)
			return r;
	}
	atomic_fetch_add_explicit(&so->nfds, 1, memory_order_relaxed);
	/* release: pairs with the acquire in fd_get() */
	atomic_store_explicit(&npp_lib.tab[fd], so, memory_order_release);
	if (unlikely(fd <= STDERR_FILENO && so->sk))
		stdio_at(fd);
	return 0;
}

/**
 * fd_remove() - FD means nothing any more
 *
 * If it was the last descriptor of its object anywhere, the caller must sock_drop() it
 * (the object is still readable: so_free() only puts it on a list, and the record is
 * ours until the drop). Does not touch the kernel's descriptor.
 */
bool fd_remove(int fd)
{
	struct so *so = fd_get(fd);
	bool last = false;

	if (!so)
		return false;
	if (atomic_load_explicit(&so->items, memory_order_relaxed))
		ep_fd_closed(fd, so);
	atomic_store_explicit(&npp_lib.tab[fd], NULL, memory_order_relaxed);
	if (so->sk)
		last = fd_word_clear(fd, so->sk);
	if (atomic_fetch_sub_explicit(&so->nfds, 1, memory_order_relaxed) == 1) {
		if (so->kind == SO_EPOLL)
			ep_free(so);
		so_free(so);
	}
	return last;
}

/* ---- place-holders ------------------------------------------------------------------------ */

/* One unbound, unconnected socket per process; dups of it stand for npp's sockets. */
static int placeholder(void)
{
	if (unlikely(npp_lib.placeholder < 0)) {
		int fd = R->socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return -errno;
		npp_lib.placeholder = fd_high(fd);
		fd_mark(npp_lib.placeholder, true);
	}
	return npp_lib.placeholder;
}

int fd_new_placeholder(bool cloexec)
{
	int ph = placeholder(), fd;

	if (ph < 0)
		return ph;
	fd = R->fcntl(ph, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	return fd < 0 ? -errno : fd;
}

int fd_put_over(int from, int fd)
{
	int fl = R->fcntl(fd, F_GETFD);

	if (fl < 0)
		return -errno;
	return R->dup3(from, fd, fl & FD_CLOEXEC ? O_CLOEXEC : 0) < 0 ? -errno : 0;
}

int fd_placeholder(int fd)
{
	int ph = placeholder();

	return ph < 0 ? ph : fd_put_over(ph, fd);
}

/* ---- descriptors of the library ---------------------------------------------------------------- */

int fd_high(int fd)
{
	struct rlimit rl;
	rlim_t top = 1024;
	int base, to = -1;

	if (fd < 0)
		return fd;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0)
		top = rl.rlim_cur > FD_MAX ? FD_MAX : rl.rlim_cur;
	base = (int)(top - top / 4);
	if (fd < base)
		to = R->fcntl(fd, F_DUPFD_CLOEXEC, base);
	if (to < 0)
		return fd;
	lib_close(fd);
	return to;
}

void fd_mark(int fd, bool ours)
{
	if ((unsigned)fd < FD_MAX)
		atomic_store_explicit(&npp_lib.tab[fd], ours ? &npp_lib.internal : NULL, memory_order_release);
}

void fd_own(int *where)
{
	fd_mark(*where, true);
	if (npp_lib.n_internal < sizeof npp_lib.internal_at / sizeof *npp_lib.internal_at)
		npp_lib.internal_at[npp_lib.n_internal++] = where;
}

void fd_disown(int *where)
{
	fd_mark(*where, false);
	for (uint32_t i = 0; i < npp_lib.n_internal; i++)
		if (npp_lib.internal_at[i] == where) {
			npp_lib.internal_at[i] = npp_lib.internal_at[--npp_lib.n_internal];
			return;
		}
}

/* A program is about to put something of its own on number FD, which is ours. */
int fd_evict(int fd)
{
	for (uint32_t i = 0; i < npp_lib.n_internal; i++) {
		int *where = npp_lib.internal_at[i], to;

		if (*where != fd)
			continue;
		to = R->fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
		if (to < 0)
			to = R->fcntl(fd, F_DUPFD_CLOEXEC, 64);
		if (to < 0)
			return -errno;
		*where = to;
		fd_mark(to, true);
		break;
	}
	fd_mark(fd, false);
	return 0;
}

/* ---- after exec -------------------------------------------------------------------------------------- */

static bool is_kernel_socket(int fd, int opt, int want)
{
	int v = 0;
	socklen_t len = sizeof v;

	return R->getsockopt(fd, SOL_SOCKET, opt, &v, &len) == 0 && v == want;
}

static struct so *adopt_record(int fd, uint32_t idx, uint32_t gen)
{
	struct npp_sock *sk = &npp_lib.sock[idx];
	struct so *so = so_new(SO_OURS);

	if (!so)
		return NULL;
	so->idx = idx;
	so->gen = gen;
	so->sk = sk;
	so->dgram = sk->type == NPP_SOCK_DGRAM;
	so->domain = sock_fl(so) & NPP_FL_API6 ? AF_INET6 : AF_INET;
	so->kpart = is_kernel_socket(fd, SO_DOMAIN, AF_INET) || is_kernel_socket(fd, SO_DOMAIN, AF_INET6);
	return so;
}

static struct so *adopted_already(uint32_t idx, uint32_t gen, int below)
{
	for (int fd = 0; fd < below; fd++) {
		struct so *so = fd_ours(fd);

		if (so && so->idx == idx && so->gen == gen)
			return so;
	}
	return NULL;
}

int fd_adopt(int fd, uint32_t idx, uint32_t gen)
{
	struct so *so = adopted_already(idx, gen, FD_MAX);
	int r;

	if (!so)
		so = adopt_record(fd, idx, gen);
	if (!so)
		return -ENOMEM;
	r = fd_install(fd, so);
	if (r < 0 && so->nfds == 0)
		so_free(so);
	return r;
}

static bool is_socket(int fd)
{
	int v = 0;
	socklen_t len = sizeof v;

	return R->getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &len) == 0;
}

/* A word that an earlier image of this process left: an object again, or nothing if the
 * descriptor was close-on-exec. The word already counts as one reference. */
static void adopt_word(int fd, npp_fdword_t *w)
{
	uint64_t v = atomic_load_explicit(w, memory_order_acquire);
	uint32_t idx = (uint32_t)v - 1, gen = (uint32_t)(v >> 32);
	struct so gone = { .kind = SO_OURS }, *so;

	if (v == 0)
		return;
	if (idx == 0 || idx >= npp_lib.sock_count ||
	    atomic_load_explicit(&npp_lib.sock[idx].gen, memory_order_acquire) != gen) {
		atomic_store_explicit(w, 0, memory_order_release);
		return;
	}
	if (is_socket(fd)) {
		so = adopted_already(idx, gen, fd);
		if (!so)
			so = adopt_record(fd, idx, gen);
		if (so) {
			atomic_fetch_add_explicit(&so->nfds, 1, memory_order_relaxed);
			atomic_fetch_add_explicit(&npp_lib.n_ours, 1, memory_order_relaxed);
			atomic_store_explicit(&npp_lib.tab[fd], so, memory_order_release);
			return;
		}
	}
	gone.idx = idx;
	gone.gen = gen;
	gone.sk = &npp_lib.sock[idx];
	gone.dgram = gone.sk->type == NPP_SOCK_DGRAM;
	atomic_store_explicit(w, 0, memory_order_release);
	if (atomic_fetch_sub_explicit(&gone.sk->refs, 1, memory_order_acq_rel) == 1)
		sock_drop(&gone, true);
}

void fd_adopt_table(void)
{
	struct npp_proc *p = &npp_lib.procs[npp_lib.proc];
	bool mapped = false;

	fd_lock();
	for (int c = 0; c < NPP_FDTAB_CHUNKS; c++) {
		npp_fdword_t *w;

		if (atomic_load_explicit(&p->chunk_off64[c], memory_order_acquire) == 0)
			continue;
		w = word_at(c * NPP_FDTAB_CHUNK, false);
		for (int i = 0; w && i < NPP_FDTAB_CHUNK; i++) {
			if (atomic_load_explicit(&w[i], memory_order_relaxed) && !mapped)
				mapped = lib_refresh() || true;
			adopt_word(c * NPP_FDTAB_CHUNK + i, &w[i]);
		}
	}
	fd_unlock();
}

/* ---- fstat ------------------------------------------------------------------------- */

#define INODE 0x6e70ull	/* in the upper bits */

/* The place-holders of a process are one inode; each socket is one, and the same in all processes, to who passes
 * it on and says which it is (Dovecot). */
int npp_fstat(int fd, struct stat *st)
{
	int r = R->fstat(fd, st);
	struct so *so = r == 0 ? fd_ours(fd) : NULL;

	if (so && !so->kpart)
		st->st_ino = INODE << 48 | (uint64_t)(so->gen & 0xffff) << 32 | so->idx;
	return r;
}
