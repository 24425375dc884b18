/* SPDX-License-Identifier: GPL-2.0-or-later
 * ctx_pool.c - contexts: opened at the OSM, kept for the next thread, given back
 *
 * A server with a thread for each connection must go on while its OSM is stopped or
 * restarts, so a new thread should not need the OSM:
 *
 *   - a thread that ends leaves its context to the next one, if the context is clean: it
 *     holds no lock, is not in the middle of a post, and we know all sockets that it is
 *     subscribed to, so that they can be told that it is not any more. A subscription that
 *     stayed would take wake-ups away from others. Else the OSM takes it, as after a death.
 *   - a process with several threads has some more than it uses, a quarter and at least
 *     two. They are asked for ahead: nobody waits for the answer, which is taken when it is
 *     there, on the way to another request or when a thread needs a context.
 *
 * Contexts are scarce (NPP_MAX_CTX on a host), so little is kept when few are free.
 *
 * pool_lock guards the lists and is innermost; asking is under rpc_lock, which is only
 * tried for, since whoever holds it may be waiting for an OSM that is stopped.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "npp-osm/libnpp/priv.h"
#include "shm/bell.h"

#define KEEP 64u		/* at most, while contexts are plentiful on this host ... */
#define KEEP_SCARCE 4u		/* ... and when fewer than so many are free: */
#define SCARCE 256u
#define SPARE_MIN 2u		/* more than are in use, of a process with threads */
#define SPARE_MAX 16u

/* ---- the lists ---------------------------------------------------------------------- */

static void pool_enter(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, old);
	pthread_mutex_lock(&npp_lib.pool_lock);
}

static void pool_leave(const sigset_t *old)
{
	pthread_mutex_unlock(&npp_lib.pool_lock);
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

static struct lctx *lctx_alloc(void)
{
	struct lctx *c;
	sigset_t old;

	pool_enter(&old);
	c = npp_lib.ctx_free;
	if (c)
		npp_lib.ctx_free = c->next;
	pool_leave(&old);
	if (!c)
		c = lib_pages(sizeof *c);
	if (c)
		memset(c, 0, sizeof *c);
	return c;
}

static void lctx_free(struct lctx *c)
{
	sigset_t old;

	pool_enter(&old);
	c->next = npp_lib.ctx_free;
	npp_lib.ctx_free = c;
	pool_leave(&old);
}

static struct lctx *pool_take(void)
{
	struct lctx *c;
	sigset_t old;

	pool_enter(&old);
	c = npp_lib.ctx_pool;
	if (c) {
		npp_lib.ctx_pool = c->next;
		atomic_fetch_sub_explicit(&npp_lib.n_pool, 1, memory_order_relaxed);
	}
	pool_leave(&old);
	return c;
}

/* False: there are enough of them. */
static bool pool_put(struct lctx *c, unsigned most)
{
	sigset_t old;
	bool room;

	pool_enter(&old);
	room = atomic_load_explicit(&npp_lib.n_pool, memory_order_relaxed) < most;
	if (room) {
		c->next = npp_lib.ctx_pool;
		npp_lib.ctx_pool = c;
		atomic_fetch_add_explicit(&npp_lib.n_pool, 1, memory_order_relaxed);
	}
	pool_leave(&old);
	return room;
}

/* How many may be kept? Counted anew now and then: it is a look at a thousand lines. */
static uint32_t keep_most(void)
{
	uint32_t keep = atomic_load_explicit(&npp_lib.keep, memory_order_relaxed), free = 0;

	if (keep & 0xff) {
		atomic_store_explicit(&npp_lib.keep, keep - 1, memory_order_relaxed);
		return keep >> 8;
	}
	for (unsigned c = 1; c < NPP_MAX_CTX; c++)
		free += atomic_load_explicit(&npp_lib.ctx[c].state, memory_order_relaxed) == NPP_CTX_FREE;
	keep = free < SCARCE ? KEEP_SCARCE : KEEP;
	atomic_store_explicit(&npp_lib.keep, keep << 8 | 31, memory_order_relaxed);
	return keep;
}

/* ---- from the OSM and back ------------------------------------------------------------ */

/* Context NO with doorbell BELL, which is ours to keep. */
static struct lctx *lctx_made(struct lctx *c, uint32_t no, int bell)
{
	c->no = no;
	c->sh = &npp_lib.ctx[no];
	c->bell = bell;
	npp_bell_awake(&c->sh->sleeping);
	fd_lock();
	fd_own(&c->bell);
	fd_unlock();
	return c;
}

static struct lctx *open_now(uint32_t kind)
{
	struct npp_ctl_ctx q = { .kind = kind }, a;
	struct lctx *c = lctx_alloc();
	int r, bell;

	if (!c)
		return NULL;
	r = lib_rpc(NPP_CTL_CTX_OPEN, &q, sizeof q, &a, sizeof a, &bell);
	if (r < 0 || a.ctx == 0 || a.ctx >= NPP_MAX_CTX) {
		if (r >= 0)
			lib_close(bell);
		lctx_free(c);
		return NULL;
	}
	return lctx_made(c, a.ctx, fd_high(bell));
}

static void disown(uint32_t no)
{
	struct npp_ctl_ctx q = { .ctx = no };

	lib_rpc(NPP_CTL_CTX_CLOSE, &q, sizeof q, NULL, 0, NULL);
}

static void give_back(struct lctx *c)
{
	disown(c->no);
	fd_lock();
	fd_disown(&c->bell);
	lib_close(c->bell);
	fd_unlock();
	lctx_free(c);
}

/* ---- asked for ahead ---------------------------------------------------------------------- */

void ctx_know(uint32_t no, bool ours)
{
	if (no >= NPP_MAX_CTX)
		return;
	if (ours)
		npp_lib.known[no / 32] |= 1u << no % 32;
	else
		npp_lib.known[no / 32] &= ~(1u << no % 32);
}

/* An answer that came while another was waited for. Under rpc_lock, so the descriptor is only
 * marked here; ahead_take() finds it a place. */
void ctx_ahead_answer(struct npp_ctl_msg *m)
{
	struct npp_ctl_ctx a;
	int bell;

	if ((m->hdr.seq & 1) || npp_lib.n_asked == 0)
		return;
	npp_lib.n_asked--;
	bell = m->hdr.error || m->hdr.len < sizeof a ? -1 : npp_ctl_take_fd(m, 0);
	if (bell < 0)
		return;
	memcpy(&a, m->body, sizeof a);
	/* No more are asked for than there is room for; who says more than that shall have it back. */
	if (a.ctx == 0 || a.ctx >= NPP_MAX_CTX || npp_lib.n_got == AHEAD_MAX) {
		npp_lib.strays = true;
		lib_close(bell);
		return;
	}
	bell = fd_high(bell);
	fd_mark(bell, true);
	ctx_know(a.ctx, true);
	npp_lib.got[npp_lib.n_got].no = a.ctx;
	npp_lib.got[npp_lib.n_got++].bell = bell;
}

/* What has been answered goes into the pool. */
static void ahead_take(void)
{
	struct ahead got[AHEAD_MAX];
	struct rpc_guard g;
	uint32_t n;

	if (!lib_rpc_try_begin(&g))
		return;
	lib_rpc_collect();
	n = npp_lib.n_got;
	memcpy(got, npp_lib.got, n * sizeof *got);
	npp_lib.n_got = 0;
	lib_rpc_end(&g);
	for (uint32_t i = 0; i < n; i++) {
		struct lctx *c = lctx_alloc();
		bool still;

		fd_lock(); /* the program may have put something of its own on that number */
		still = c && fd_get(got[i].bell) == &npp_lib.internal;
		if (still)
			lctx_made(c, got[i].no, got[i].bell);
		fd_unlock();
		if (still) {
			if (!pool_put(c, SPARE_MAX + KEEP))
				give_back(c);
			continue;
		}
		if (c)
			lctx_free(c);
		disown(got[i].no);
	}
}

/* There must be a place for each answer: what is answered and has none is open for nobody. */
static void ahead_ask(void)
{
	uint32_t users = atomic_load_explicit(&npp_lib.n_thread_ctx, memory_order_relaxed);
	uint32_t want = users / 4 < SPARE_MIN ? SPARE_MIN : users / 4 > SPARE_MAX ? SPARE_MAX : users / 4;
	uint32_t have = atomic_load_explicit(&npp_lib.n_pool, memory_order_relaxed);
	struct rpc_guard g;

	if (users < 2 || have >= want || keep_most() <= KEEP_SCARCE)
		return;
	ahead_take();
	if (!lib_rpc_try_begin(&g))
		return;
	have = atomic_load_explicit(&npp_lib.n_pool, memory_order_relaxed);
	while (have + npp_lib.n_asked + npp_lib.n_got < want && npp_lib.n_asked + npp_lib.n_got < AHEAD_MAX) {
		struct npp_ctl_ctx q = { .kind = 0 };

		if (!lib_rpc_ask(NPP_CTL_CTX_OPEN, &q, sizeof q))
			break;
		npp_lib.n_asked++;
	}
	lib_rpc_end(&g);
}

/* ---- for the others --------------------------------------------------------------------------- */

/**
 * ctx_open() - a context: kept, asked for ahead, or now from the OSM
 * @kind: 0 thread, 1 epoll instance
 *
 * A thread's doorbell is made blocking: a wait without a deadline is then a read(),
 * which the kernel restarts after a handler with SA_RESTART, as recv() would be.
 * Return: the context, or NULL
 */
struct lctx *ctx_open(uint32_t kind)
{
	struct lctx *c = pool_take();
	int fl;

	if (!c) {
		ahead_take();
		c = pool_take();
	}
	if (!c)
		c = open_now(kind);
	if (!c) {
		lib_say(ONCE_CTX, "no context left on this host: calls on its sockets fail with ENOBUFS");
		return NULL;
	}
	c->kind = kind;
	fl = R->fcntl(c->bell, F_GETFL);
	if (fl >= 0)
		R->fcntl(c->bell, F_SETFL, kind == 0 ? fl & ~O_NONBLOCK : fl | O_NONBLOCK);
	return c;
}

void ctx_close(struct lctx *c)
{
	give_back(c);
}

struct lctx *ctx_thread(void)
{
	int saved = errno;
	struct lctx *c = ctx_open(0);

	if (c) {
		npp_thr.ctx = c;
		if (npp_lib.have_key)
			pthread_setspecific(npp_lib.key, c);
		atomic_fetch_add_explicit(&npp_lib.n_thread_ctx, 1, memory_order_relaxed);
		ahead_ask();
	}
	errno = saved;
	return c;
}

/* The program is about to give up system calls (seccomp), sendmsg() mostly among them, or new descriptors: what
 * its sockets may ask of the OSM later is asked now. From then on they need read, write and poll. */
void npp_confined_soon(void)
{
	int saved = errno;

	atomic_store_explicit(&npp_lib.confined, true, memory_order_relaxed);
	if (lib_on() && lib_refresh())
		ctx_self();
	errno = saved;
}

/* ---- a thread's end --------------------------------------------------------------------------- */

static bool holds_lock(const struct lctx *c)
{
	for (unsigned i = 0; i < CTX_LOCKS; i++)
		if (c->lock[i] && atomic_load_explicit(c->lock[i], memory_order_relaxed) == c->no + 1)
			return true;
	return false;
}

/* Remembers that C is subscribed to record IDX, to leave it when its thread ends. */
void ctx_note_sub(struct lctx *c, uint32_t idx)
{
	uint32_t kept = 0;

	if (c->kind != 0 || c->sub_many)
		return;
	if (c->n_sub == CTX_SUBS) { /* most are closed by now */
		for (uint32_t i = 0; i < c->n_sub; i++) {
			bool still = false;

			for (unsigned k = 0; k < NPP_SOCK_SUBS; k++)
				still |= NPP_SUB_CTX(atomic_load_explicit(&npp_lib.sock[c->sub[i]].sub[k],
									  memory_order_relaxed)) == c->no + 1;
			if (still)
				c->sub[kept++] = c->sub[i];
		}
		c->n_sub = kept;
	}
	if (c->n_sub == CTX_SUBS)
		c->sub_many = true;
	else
		c->sub[c->n_sub++] = idx;
}

/* A word that names our context is ours, whatever has become of the record. */
static void leave_all(struct lctx *c)
{
	for (uint32_t i = 0; i < c->n_sub; i++)
		for (unsigned k = 0; k < NPP_SOCK_SUBS; k++) {
			_Atomic uint32_t *at = &npp_lib.sock[c->sub[i]].sub[k];
			uint32_t w = atomic_load_explicit(at, memory_order_relaxed);

			while (NPP_SUB_CTX(w) == c->no + 1)
				if (atomic_compare_exchange_weak_explicit(at, &w, 0, memory_order_acq_rel,
									  memory_order_relaxed))
					break;
		}
	c->n_sub = 0;
}

/* Nothing of the last user may be seen by the next one: no ring, no message. */
static void quiet(struct lctx *c)
{
	struct pollfd p = { .fd = c->bell, .events = POLLIN };
	uint64_t v;

	npp_bell_awake(&c->sh->sleeping);
	ctx_drain(c, NULL, NULL);
	if (R->ppoll(&p, 1, &(struct timespec){ 0, 0 }, NULL) == 1 && R->read(c->bell, &v, sizeof v) < 0)
		return;
}

/* The thread that used C has ended, perhaps in the middle of something (pthread_cancel). */
void ctx_thread_gone(struct lctx *c)
{
	bool clean = !c->busy && !c->n_deferred && !c->sub_many && !npp_thr.fd_depth && !npp_thr.inside &&
		     !holds_lock(c);

	atomic_fetch_sub_explicit(&npp_lib.n_thread_ctx, 1, memory_order_relaxed);
	if (clean) {
		leave_all(c);
		quiet(c);
		memset(c->lock, 0, sizeof c->lock);
		if (pool_put(c, keep_most()))
			return;
	}
	give_back(c);
}

/* All that is kept goes back. */
void ctx_pool_drop(void)
{
	struct lctx *c;

	ahead_take();
	while ((c = pool_take()) != NULL)
		give_back(c);
}

/* In the child of a fork: what is kept is the parent's, its doorbells are closed by now. */
void ctx_pool_forked(void)
{
	struct lctx *c;

	pthread_mutex_init(&npp_lib.pool_lock, NULL);
	while ((c = pool_take()) != NULL)
		lctx_free(c);
	for (uint32_t i = 0; i < npp_lib.n_got; i++) {
		fd_mark(npp_lib.got[i].bell, false);
		lib_close(npp_lib.got[i].bell);
	}
	npp_lib.n_got = npp_lib.n_asked = 0;
	npp_lib.strays = false;
	memset(npp_lib.known, 0, sizeof npp_lib.known);
	atomic_store_explicit(&npp_lib.n_thread_ctx, 0, memory_order_relaxed);
}
