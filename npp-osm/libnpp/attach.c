/* SPDX-License-Identifier: GPL-2.0-or-later
 * attach.c - the way into a host: connection to its OSM, host memory, NPPs
 *
 * Two steps. Joining (at start, or before the first socket call) says hello, which
 * gives us host memory and our process record, the one that an earlier image of this
 * process had if there was one. Mapping an NPP (its addresses and routes, the inbound
 * regions and doorbells of its ISMs) waits until a socket needs it, and is tried again
 * for an NPP that comes up later.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "npp-osm/libnpp/priv.h"

#define RPC_TIMEOUT_MS 10000
#define SURE_US 1000000	/* an epoch that the OSM has confirmed is not asked for again */

/* The root of everything: a library between a program and its C library is called
 * without any context, so there must be one. */
struct lib npp_lib = {
	.rpc = -1,
	.lock_held_us = 5000000,
	.linger_most_us = 10000000,
	.placeholder = -1,
	.start_lock = PTHREAD_MUTEX_INITIALIZER,
	.rpc_lock = PTHREAD_MUTEX_INITIALIZER,
	.pool_lock = PTHREAD_MUTEX_INITIALIZER,
	.rpc_seq = 1,
	.internal = { .kind = SO_INTERNAL },
};
_Thread_local struct thr npp_thr;

uint64_t lib_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* These not by the C library: who is cancelled in usleep(), close() or write() never comes back from calls
 * that POSIX says are no points of cancellation, as shutdown(), and keeps what they hold. */
void lib_ring(int bell)
{
	static const uint64_t one = 1;
	int saved = errno;

	/* EAGAIN: the counter is full, so it rings */
	if (R->syscall(SYS_write, bell, &one, sizeof one) < 0)
		errno = saved;
}

bool lib_nap(uint32_t us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };
	int saved = errno;
	bool whole = R->syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL) == 0;
	errno = saved;
	return whole;
}

int lib_close(int fd)
{
	return (int)R->syscall(SYS_close, fd);
}

void lib_say(unsigned what, const char *text)
{
	char line[320];
	int n;

	if (atomic_fetch_or_explicit(&npp_lib.once.said[what / 32], 1u << what % 32, memory_order_relaxed) &
	    1u << what % 32)
		return;
	n = snprintf(line, sizeof line, "npp: %s\n", text);
	if (n > 0 && R->syscall(SYS_write, 2, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1) < 0)
		return;
}

void *lib_pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void lib_pages_free(void *p, size_t size)
{
	munmap(p, size);
}

void *lib_at(uint64_t off, uint64_t len)
{
	if (off < sizeof(struct npp_host) || off > npp_lib.size || len > npp_lib.size - off)
		return NULL;
	return npp_lib.base + off;
}

/* Field 22 of /proc/self/stat; the name in field 2 may hold anything, but no ')' after it. */
static uint64_t own_start_time(void)
{
	char buf[1024];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	char *p;

	if (fd < 0)
		return 0;
	n = R->read(fd, buf, sizeof buf - 1);
	lib_close(fd);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	p = strrchr(buf, ')');
	for (int field = 2; p && field < 22; field++) {
		p = strchr(p + 1, ' ');
	}
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

/* ---- requests ------------------------------------------------------------------ */

#define RPC_ATTEMPTS 4	/* while OSMs die under it */

static bool went_away(int r)
{
	return r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN;
}

/* The OSM went away; its successor knows us by pid and start time. */
static void hang_up(void)
{
	fd_mark(npp_lib.rpc, false);
	lib_close(npp_lib.rpc);
	npp_lib.rpc = -1;
	npp_lib.strays |= npp_lib.n_asked != 0;
	npp_lib.n_asked = 0;
}

/* Under rpc_lock: which contexts are ours. */
static void note_contexts(uint16_t type, const void *body, const struct npp_ctl_msg *answer)
{
	struct npp_ctl_ctx c = { .ctx = 0 };

	if (answer->hdr.error < 0)
		return;
	if (type == NPP_CTL_CTX_CLOSE) {
		memcpy(&c, body, sizeof c);
		ctx_know(c.ctx, false);
	} else if (type == NPP_CTL_CTX_OPEN && answer->hdr.len >= sizeof c) {
		memcpy(&c, answer->body, sizeof c);
		ctx_know(c.ctx, true);
	}
}

/* A request and its answer; answers to what was asked ahead are taken on the way, others are too
 * late for anybody. */
static int exchange(uint16_t type, const void *body, size_t len, int give, struct npp_ctl_msg *answer, void *buf, size_t cap)
{
	uint64_t end = lib_now_us() + RPC_TIMEOUT_MS * 1000ull, now;
	uint32_t seq = npp_lib.rpc_seq += 2;
	int r = npp_ctl_send(npp_lib.rpc, type, seq, 0, body, len, &give, give >= 0);

	while (r >= 0) {
		now = lib_now_us();
		r = npp_ctl_recv(npp_lib.rpc, answer, buf, cap, now < end ? (int)((end - now) / 1000) : 0);
		if (r <= 0) { /* it may have been opened all the same */
			npp_lib.strays |= type == NPP_CTL_CTX_OPEN;
			return r == 0 ? -EPIPE : r == -EAGAIN ? -ETIMEDOUT : r;
		}
		if (answer->hdr.seq == seq) {
			note_contexts(type, body, answer);
			return answer->hdr.error < 0 ? answer->hdr.error : 0;
		}
		ctx_ahead_answer(answer);
		npp_ctl_close_fds(answer);
	}
	return r;
}

/* Under rpc_lock, signals blocked. GIVE goes along, if not -1. 0 or more, or -errno; ANSWER's descriptors are the
 * caller's to take or close. */
static int call_locked(uint16_t type, const void *body, size_t len, int give, struct npp_ctl_msg *answer, void *buf, size_t cap)
{
	for (int attempt = 0;; attempt++) {
		int r;

		if (npp_lib.rpc < 0) {
			r = lib_reconnect(&npp_lib.proc);
			if (went_away(r) && attempt < RPC_ATTEMPTS)
				continue;
			if (r < 0)
				return r;
			fd_mark(npp_lib.rpc, true);
		}
		r = exchange(type, body, len, give, answer, buf, cap);
		if (!went_away(r) || attempt >= RPC_ATTEMPTS)
			return r;
		hang_up();
	}
}

static void guard_block(struct rpc_guard *g)
{
	sigset_t all;

	g->saved = errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &g->old);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &g->cancel); /* who ends here would keep the lock */
	npp_thr.inside++;
}

static void guard_unblock(struct rpc_guard *g)
{
	npp_thr.inside--;
	pthread_setcancelstate(g->cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &g->old, NULL);
	errno = g->saved;
}

static void guard_enter(struct rpc_guard *g)
{
	if (unlikely(npp_thr.vf.pid != 0))
		vfork_killed();
	guard_block(g);
	pthread_mutex_lock(&npp_lib.rpc_lock);
	npp_thr.rpc_held = true;
}

static void guard_leave(struct rpc_guard *g)
{
	npp_thr.rpc_held = false;
	pthread_mutex_unlock(&npp_lib.rpc_lock);
	guard_unblock(g);
}

/* ---- requests that nobody waits for ------------------------------------------------ */

bool lib_rpc_try_begin(struct rpc_guard *g)
{
	guard_block(g);
	if (pthread_mutex_trylock(&npp_lib.rpc_lock) == 0) {
		npp_thr.rpc_held = true;
		return true;
	}
	guard_unblock(g);
	return false;
}

void lib_rpc_end(struct rpc_guard *g)
{
	guard_leave(g);
}

void lib_rpc_collect(void)
{
	struct npp_ctl_msg m;
	uint8_t buf[512];
	int r = 0;

	while (npp_lib.rpc >= 0 && npp_lib.n_asked && (r = npp_ctl_recv(npp_lib.rpc, &m, buf, sizeof buf, 0)) > 0) {
		ctx_ahead_answer(&m);
		npp_ctl_close_fds(&m);
	}
	if (npp_lib.rpc >= 0 && npp_lib.n_asked && r != -EAGAIN)
		hang_up();
}

/* Few are under way at any time, so there is room for one more. */
bool lib_rpc_ask(uint16_t type, const void *body, size_t len)
{
	return npp_lib.rpc >= 0 && npp_ctl_send(npp_lib.rpc, type, (npp_lib.rpc_seq += 2) - 1, 0, body, len, NULL, 0) == 0;
}

/* Contexts that the OSM has opened for us while we were not listening are given back. */
static void disown_strays(void)
{
	for (uint32_t c = 1; c < NPP_MAX_CTX; c++) {
		struct npp_ctl_ctx q = { .ctx = c };
		struct npp_ctl_msg m;
		uint8_t buf[512];

		if (atomic_load_explicit(&npp_lib.ctx[c].state, memory_order_acquire) != NPP_CTX_OPEN ||
		    *(volatile uint32_t *)&npp_lib.ctx[c].proc != npp_lib.proc ||
		    (npp_lib.known[c / 32] >> c % 32 & 1))
			continue;
		if (call_locked(NPP_CTL_CTX_CLOSE, &q, sizeof q, -1, &m, buf, sizeof buf) >= 0)
			npp_ctl_close_fds(&m);
	}
}

/**
 * lib_rpc() - one request to the OSM
 * @answer: CAP bytes are copied here, zero-padded; NULL with CAP 0
 * @fd: if not NULL, the one descriptor expected with the answer
 *
 * Return: 0, or what the OSM answered, or -errno
 */
int lib_rpc(uint16_t type, const void *body, size_t len, void *answer, size_t cap, int *fd)
{
	struct npp_ctl_msg m;
	uint8_t buf[512];
	struct rpc_guard g;
	int r;

	guard_enter(&g);
	r = call_locked(type, body, len, -1, &m, buf, sizeof buf);
	if (r >= 0) {
		if (cap) {
			size_t n = m.hdr.len < cap ? m.hdr.len : cap;

			memset(answer, 0, cap);
			memcpy(answer, m.body, n);
		}
		if (fd) {
			*fd = npp_ctl_take_fd(&m, 0);
			if (*fd < 0)
				r = -EPROTO;
		}
		npp_ctl_close_fds(&m);
	}
	if (unlikely(npp_lib.strays && r >= 0)) {
		npp_lib.strays = false;
		disown_strays();
	}
	guard_leave(&g);
	return r < 0 ? r : 0;
}

/* A request with a descriptor and an answer without a body. */
int lib_rpc_give(uint16_t type, const void *body, size_t len, int fd)
{
	struct npp_ctl_msg m;
	uint8_t buf[512];
	struct rpc_guard g;
	int r;

	guard_enter(&g);
	r = call_locked(type, body, len, fd, &m, buf, sizeof buf);
	if (r >= 0)
		npp_ctl_close_fds(&m);
	guard_leave(&g);
	return r < 0 ? r : 0;
}

/* ---- hello ------------------------------------------------------------------------ */

static int map_host(int fd)
{
	struct npp_region region = NPP_REGION_NULL;
	struct npp_host *h;
	int r = npp_region_map(&region, fd, true, 0, NPP_REGION_HOST, npp_abi_layout_hash());

	if (r < 0)
		return r;
	h = region.base;
	npp_lib.base = region.base;
	npp_lib.size = region.size;
	npp_lib.ctx = lib_at(h->ctx_off, sizeof(struct npp_ctx) * NPP_MAX_CTX);
	npp_lib.procs = lib_at(h->proc_off, sizeof(struct npp_proc) * NPP_MAX_PROCS);
	npp_lib.sock_count = h->sock_count;
	npp_lib.sock_prog_count = h->sock_prog_count;
	npp_lib.sock = lib_at(h->sock_off, sizeof(struct npp_sock) * (uint64_t)npp_lib.sock_count);
	if (!npp_lib.ctx || !npp_lib.procs || !npp_lib.sock || npp_lib.sock_prog_count >= npp_lib.sock_count) {
		npp_lib.base = NULL;
		npp_region_unmap(&region);
		return -EPROTO;
	}
	npp_lib.host = h;
	return 0;
}

/**
 * lib_reconnect() - new connection to the OSM and hello
 * @proc: where the number of our process record goes
 *
 * Under rpc_lock or while there is one thread only. Maps host memory the first time.
 * Return: 0 or -errno
 */
int lib_reconnect(uint32_t *proc)
{
	struct npp_ctl_hello hello = { .abi_version = NPP_ABI_VERSION, .pid = (int32_t)getpid(),
				       .layout_hash = npp_abi_layout_hash(), .start_time = own_start_time(),
				       .image = npp_lib.image };
	struct npp_ctl_welcome w;
	struct npp_ctl_msg m;
	uint8_t buf[512];
	int fd, mem, r;

	npp_thr.inside++;
	fd = npp_ctl_connect(npp_lib.path);
	if (fd >= 0) {
		fd = fd_high(fd);
		r = npp_ctl_call(fd, NPP_CTL_PROC_HELLO, &hello, sizeof hello, NULL, 0, &m, buf, sizeof buf,
				 RPC_TIMEOUT_MS);
	} else {
		r = fd;
	}
	if (r >= 0) {
		mem = npp_ctl_take_fd(&m, 0);
		r = m.hdr.len < sizeof w || mem < 0 ? -EPROTO : 0;
		memcpy(&w, buf, sizeof w < m.hdr.len ? sizeof w : m.hdr.len);
		if (r == 0 && !npp_lib.host)
			r = map_host(mem);
		if (r == 0 && w.proc >= NPP_MAX_PROCS)
			r = -EPROTO;
		if (mem >= 0)
			lib_close(mem);
		npp_ctl_close_fds(&m);
	}
	if (r >= 0) {
		npp_lib.rpc = fd;
		*proc = w.proc;
	} else if (fd >= 0) {
		lib_close(fd);
	}
	npp_thr.inside--;
	return r < 0 ? r : 0;
}

static void own_fixed(void)
{
	fd_lock();
	fd_own(&npp_lib.rpc);
	fd_own(&npp_lib.placeholder);
	fd_unlock();
}

static void ctx_key_gone(void *c)
{
	npp_thr.ctx = NULL;
	ctx_thread_gone(c);
}

static uint64_t random_word(void)
{
	uint64_t v;

	return getrandom(&v, sizeof v, GRND_NONBLOCK) == sizeof v ? v : lib_now_us() * 0x9e3779b97f4a7c15ull;
}

static void say_not_joined(const char *path, int error)
{
	char text[300];

	/* a hello of another length, or another layout of host memory */
	if (error == -EPROTO || error == -EBADMSG)
		snprintf(text, sizeof text, "cannot join the host at %s, which is of another version of npp than this library: start the "
			 "host anew with this version, or the program by npp run of that one; sockets are the kernel's", path);
	else
		snprintf(text, sizeof text, "cannot join the host at %s (%s): sockets are the kernel's", path, strerror(-error));
	lib_say(ONCE_NO_HOST, text);
}

static int join(const char *path)
{
	const char *spin = getenv("NPP_SPIN_US");
	int r;

	if (strlen(path) >= sizeof npp_lib.path)
		return -ENAMETOOLONG;
	strcpy(npp_lib.path, path);
	npp_lib.pid = getpid();
	npp_lib.spin_us = spin ? (uint32_t)strtoul(spin, NULL, 10) : 0;
	npp_lib.image = random_word() | 1;
	npp_lib.bell_cookie = random_word();
	if (!npp_lib.have_key && pthread_key_create(&npp_lib.key, ctx_key_gone) == 0)
		npp_lib.have_key = true;
	r = lib_reconnect(&npp_lib.proc);
	if (r < 0) {
		say_not_joined(path, r);
		return r;
	}
	own_fixed();
	fork_init();
	return 0;
}

int npp_start_at(const char *path)
{
	int saved = errno, r;

	pthread_mutex_lock(&npp_lib.start_lock);
	npp_thr.inside++;
	r = join(path);
	/* release: pairs with the acquire in lib_on() */
	atomic_store_explicit(&npp_lib.state, r < 0 ? LIB_OFF : LIB_ON, memory_order_release);
	npp_thr.inside--;
	pthread_mutex_unlock(&npp_lib.start_lock);
	if (r == 0) {
		fd_adopt_table();
		stdio_start();
	}
	errno = saved;
	return r;
}

void npp_start(void)
{
	const char *path = getenv("NPP_HOST_SOCK");

	if (atomic_load_explicit(&npp_lib.state, memory_order_acquire) != LIB_NEW || npp_thr.inside)
		return;
	if (!path || !*path)
		atomic_store_explicit(&npp_lib.state, LIB_OFF, memory_order_release);
	else if (npp_start_at(path) == 0)
		foreign_say();
}

bool lib_on(void)
{
	int s = atomic_load_explicit(&npp_lib.state, memory_order_acquire);

	if (unlikely(npp_thr.inside))
		return false;
	if (unlikely(s == LIB_NEW)) {
		npp_start();
		s = atomic_load_explicit(&npp_lib.state, memory_order_acquire);
	}
	return s == LIB_ON;
}

/* ---- NPPs ---------------------------------------------------------------------------- */

static int map_iops(uint32_t att, uint32_t n, struct npp_ctl_msg *m)
{
	for (uint32_t i = 0; i < n; i++) {
		struct slot *s = &npp_lib.slot[att * NPP_MAX_IOPS + i];
		struct npp_region in = NPP_REGION_NULL;
		int bell = npp_ctl_take_fd(m, 1 + i), mem = npp_ctl_take_fd(m, 1 + n + i);
		int r = bell < 0 || mem < 0 ? -EPROTO
					    : npp_region_map(&in, mem, true, 0, NPP_REGION_INBOUND,
							     npp_abi_layout_hash());

		if (mem >= 0)
			lib_close(mem);
		if (r == 0 && in.size < sizeof(struct npp_inbound))
			r = -EPROTO;
		if (r < 0) {
			if (bell >= 0)
				lib_close(bell);
			npp_region_unmap(&in);
			return r;
		}
		if (atomic_load_explicit(&s->in, memory_order_relaxed)) { /* of an attachment that ended; the memory
									    stays, a thread may be at it */
			fd_disown(&s->bell);
			lib_close(s->bell);
		}
		atomic_store_explicit(&s->vain, 0, memory_order_relaxed);
		s->bell = fd_high(bell);
		fd_own(&s->bell);
		/* release: pairs with the acquire in ctx_post() */
		atomic_store_explicit(&s->in, in.base, memory_order_release);
	}
	return 0;
}

static int map_attach(uint32_t att)
{
	struct npp_ctl_iop q = { .attach = att };
	uint32_t epoch = atomic_load_explicit(&npp_lib.host->attach[att].epoch, memory_order_acquire);
	struct npp_region global = NPP_REGION_NULL;
	struct npp_ctl_attached a;
	struct npp_ctl_msg m;
	uint8_t buf[512];
	struct rpc_guard g;
	int r, fd;

	guard_enter(&g);
	r = call_locked(NPP_CTL_GET_ATTACH, &q, sizeof q, -1, &m, buf, sizeof buf);
	guard_leave(&g);
	if (r < 0)
		return r;
	npp_thr.inside++;
	memset(&a, 0, sizeof a);
	memcpy(&a, buf, m.hdr.len < sizeof a ? m.hdr.len : sizeof a);
	if (a.epoch && a.epoch == npp_lib.att[att].epoch &&
	    atomic_load_explicit(&npp_lib.att[att].mapped, memory_order_relaxed)) {
		/* An ISM has written there what is not so, and may do it all the time. */
		atomic_store_explicit(&npp_lib.att[att].sure_until_us, lib_now_us() + SURE_US, memory_order_relaxed);
		npp_ctl_close_fds(&m);
		npp_thr.inside--;
		return 0;
	}
	fd = npp_ctl_take_fd(&m, 0);
	r = fd < 0 || a.n_iops == 0 || a.n_iops > NPP_MAX_IOPS ? -EPROTO
							       : npp_region_map(&global, fd, false, 0, NPP_REGION_GLOBAL,
										npp_abi_layout_hash());
	if (fd >= 0)
		lib_close(fd);
	if (r == 0)
		r = map_iops(att, a.n_iops, &m);
	npp_ctl_close_fds(&m);
	npp_thr.inside--;
	if (r < 0) {
		npp_region_unmap(&global);
		return r;
	}
	npp_lib.att[att].epoch = a.epoch ? a.epoch : epoch;
	npp_lib.att[att].n_iops = a.n_iops;
	npp_lib.att[att].global = global.base;
	atomic_store_explicit(&npp_lib.att[att].groups_vain, 0, memory_order_relaxed);
	/* release: pairs with the acquire loads of `mapped` */
	atomic_store_explicit(&npp_lib.att[att].mapped, 1, memory_order_release);
	return 0;
}

bool lib_current(uint32_t a)
{
	if (!atomic_load_explicit(&npp_lib.att[a].mapped, memory_order_acquire))
		return false;
	return npp_lib.att[a].epoch == atomic_load_explicit(&npp_lib.host->attach[a].epoch, memory_order_acquire) ||
	       lib_now_us() < atomic_load_explicit(&npp_lib.att[a].sure_until_us, memory_order_relaxed);
}

/* Who closes a descriptor has this lock, and waits for that of an epoll instance: whoever has that, and asks here for
 * readiness, must not wait. Then what is mapped serves on until somebody else asks. */
static bool refresh_lock(void)
{
	if (npp_thr.section && !npp_thr.fd_depth)
		return fd_trylock();
	fd_lock();
	return true;
}

/**
 * lib_refresh() - map NPPs that are up and not mapped yet
 *
 * Takes fd_lock (it adds descriptors of ours to the table).
 * Return: true if at least one NPP is there to be used
 */
bool lib_refresh(void)
{
	uint32_t n = npp_lib.host ? npp_lib.host->n_attach : 0;
	bool any = false;

	for (uint32_t a = 0; a < n && a < NPP_MAX_ATTACH; a++) {
		struct attachment *at = &npp_lib.att[a];

		if (atomic_load_explicit(&npp_lib.host->attach[a].state, memory_order_acquire) == 2 && !lib_current(a) &&
		    refresh_lock()) {
			if (!lib_current(a) && map_attach(a) < 0)
				lib_say(ONCE_RPC, "cannot map an NPP of this host");
			fd_unlock();
		}
		any |= atomic_load_explicit(&at->mapped, memory_order_acquire) != 0;
	}
	return any;
}

/* Also after npp-osm was replaced, which attaches anew to the same ISMs, what a process has mapped serves its
 * sockets on: one behind a filter of system calls may not ask for it again. */
bool lib_slot(uint32_t slot)
{
	if (slot >= NPP_MAX_SLOTS)
		return false;
	if (!atomic_load_explicit(&npp_lib.slot[slot].in, memory_order_acquire) ||
	    (!lib_current(slot / NPP_MAX_IOPS) && !atomic_load_explicit(&npp_lib.confined, memory_order_relaxed)))
		lib_refresh();
	return atomic_load_explicit(&npp_lib.slot[slot].in, memory_order_acquire) != NULL;
}

/* Leaves the host: only for tests, whose sockets are all closed. */
void npp_stop(void)
{
	struct region_list { void *p; size_t n; } gone[] = { { npp_lib.base, npp_lib.size } };

	urg_stop();
	if (npp_thr.ctx) {
		struct lctx *c = npp_thr.ctx;

		npp_thr.ctx = NULL;
		pthread_setspecific(npp_lib.key, NULL);
		ctx_thread_gone(c);
	}
	ctx_pool_drop();
	fd_lock();
	npp_lib.n_internal = 0;
	for (uint32_t fd = 0; fd < FD_MAX; fd++)
		if (fd_get((int)fd) == &npp_lib.internal) {
			atomic_store_explicit(&npp_lib.tab[fd], NULL, memory_order_relaxed);
			lib_close((int)fd);
		}
	for (uint32_t a = 0; a < NPP_MAX_ATTACH; a++) {
		if (npp_lib.att[a].global)
			munmap((void *)(uintptr_t)npp_lib.att[a].global, npp_lib.att[a].global->hdr.size);
		npp_lib.att[a] = (struct attachment){ 0 };
	}
	for (uint32_t s = 0; s < NPP_MAX_SLOTS; s++) {
		struct npp_inbound *in = atomic_exchange_explicit(&npp_lib.slot[s].in, NULL, memory_order_relaxed);

		if (in)
			munmap(in, in->hdr.size);
	}
	npp_lib.rpc = npp_lib.placeholder = -1;
	npp_lib.host = NULL;
	npp_lib.base = NULL;
	atomic_store_explicit(&npp_lib.state, LIB_NEW, memory_order_release);
	fd_unlock();
	if (gone[0].p)
		munmap(gone[0].p, gone[0].n);
}
