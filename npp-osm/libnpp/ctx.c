/* SPDX-License-Identifier: GPL-2.0-or-later
 * ctx.c - contexts: a thread's or an epoll instance's lanes and doorbell
 *
 * A context is the producer of one inbound lane per ISM and the consumer of one
 * outbound lane per ISM, which is why every thread that talks to ISMs needs its own. A
 * thread gets it with its first socket call that needs one and leaves it when it ends
 * (pthread key); ctx_pool.c says where from and where to. Blocked threads look at the socket's state, not at messages: an
 * EVENT for a thread only has to wake it, so its lanes are merely emptied. An epoll
 * instance wants to know which sockets to look at and reads them.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"
#include "shm/bell.h"
#include "shm/lock.h"

#define LOCK_SLICE_US 1000
#define LOCK_LIED_US 100000	/* ... after such a one was met */
#define LOCK_ANEW_US 60000000
#define LOCK_BUSY_US 10000	/* so long a copy may take: then it is waited for asleep */
#define LOCK_NAP_US 10000
#define VAIN_NAP_US 1000
#define VAIN_ANEW_US 2000u	/* doubled each time that an ISM is waited for in vain ... */
#define VAIN_DOUBLED 6u		/* ... but not more often */
#define ISM_HOLDERS 0x8000u	/* + IOP + 1: how ISMs call themselves in locks */

/* ---- messages to an ISM -------------------------------------------------------- */

static int lane_out(struct lctx *c, uint32_t slot, const struct npp_msg *msg)
{
	/* acquire: pairs with the release in map_iops() */
	struct npp_inbound *in = atomic_load_explicit(&npp_lib.slot[slot].in, memory_order_acquire);

	if (unlikely(!in))
		return -ENETUNREACH;
	if (unlikely(c->in[slot].q != &in->lane[c->no])) {
		int r = npp_i2oq_attach_prod(&c->in[slot], &in->lane[c->no]);

		if (r < 0) {
			c->in[slot].q = NULL;
			return r;
		}
	}
	npp_i2oq_post(&c->in[slot], msg); /* no room: overflow is set and the ISM scans all records */
	if (npp_inbound_mark(in, c->no))
		lib_ring(npp_lib.slot[slot].bell);
	return 0;
}

/* In a handler, over which others may come: each has its place before it writes. */
static void defer(struct lctx *c, uint32_t slot, const struct npp_msg *msg)
{
	uint32_t n = atomic_fetch_add_explicit(&c->n_deferred, 1, memory_order_relaxed);

	if (n < CTX_DEFERRED) {
		c->deferred[n].slot = slot;
		c->deferred[n].msg = *msg;
	} else {
		atomic_fetch_or_explicit(&c->lost[slot / 64], 1ull << slot % 64, memory_order_relaxed);
	}
}

static bool deferred(const struct lctx *c)
{
	return atomic_load_explicit(&c->n_deferred, memory_order_relaxed) != 0;
}

/* There was no place for a message: the ISM of SLOT looks at all records, as where a lane is full. */
static void scan_all(struct lctx *c, uint32_t slot)
{
	struct npp_inbound *in = atomic_load_explicit(&npp_lib.slot[slot].in, memory_order_acquire);

	if (!in)
		return;
	/* release: pairs with npp_i2oq_overflowed() */
	atomic_store_explicit(&in->lane[c->no].overflow, 1, memory_order_release);
	if (npp_inbound_mark(in, c->no))
		lib_ring(npp_lib.slot[slot].bell);
}

/* What handlers have left since our post began, in their order; more may come meanwhile. */
static void post_deferred(struct lctx *c)
{
	uint32_t i = 0, n = atomic_load_explicit(&c->n_deferred, memory_order_relaxed);

	if (!unlikely(n))
		return;
	do {
		atomic_signal_fence(memory_order_seq_cst);
		for (; i < n && i < CTX_DEFERRED; i++)
			lane_out(c, c->deferred[i].slot, &c->deferred[i].msg);
	} while (!atomic_compare_exchange_strong_explicit(&c->n_deferred, &n, 0, memory_order_relaxed, memory_order_relaxed));
	for (uint32_t w = 0; n > CTX_DEFERRED && w < NPP_MAX_SLOTS / 64; w++) {
		uint64_t bits = atomic_exchange_explicit(&c->lost[w], 0, memory_order_relaxed);

		for (; bits; bits &= bits - 1)
			scan_all(c, w * 64 + (uint32_t)__builtin_ctzll(bits));
	}
}

/* Is what we have mapped of SLOT its NPP as it is now? Who only serves asks at no other place. */
static inline bool slot_current(uint32_t slot)
{
	return atomic_load_explicit(&npp_lib.slot[slot].in, memory_order_relaxed) && lib_current(slot / NPP_MAX_IOPS);
}

/**
 * ctx_post() - post a message to the ISM of SLOT and ring if it sleeps
 *
 * A signal handler that interrupts a post must not touch the same lane: it waits until that is
 * done, or if it is one that we do not know of, its message does.
 * Return: 0, -ENETUNREACH (no such ISM), -EPROTO (the lane makes no sense)
 */
int ctx_post(struct lctx *c, uint32_t slot, const struct npp_msg *msg)
{
	int r;

	if (unlikely(slot >= NPP_MAX_SLOTS))
		return -ENETUNREACH;
	if (unlikely(c->busy)) {
		defer(c, slot, msg);
		return 0;
	}
	if (unlikely(!slot_current(slot)) && !lib_slot(slot))
		return -ENETUNREACH;
	short_begin();
	c->busy = true;
	atomic_signal_fence(memory_order_seq_cst);
	r = lane_out(c, slot, msg);
	for (;;) {
		post_deferred(c);
		atomic_signal_fence(memory_order_seq_cst);
		c->busy = false;
		atomic_signal_fence(memory_order_seq_cst);
		if (!unlikely(deferred(c)))
			break;
		c->busy = true; /* a handler came right before that */
		atomic_signal_fence(memory_order_seq_cst);
	}
	short_end();
	return r;
}

int sock_post(struct so *so, uint8_t type, uint8_t flags, uint32_t arg)
{
	struct lctx *c = ctx_self();
	struct npp_msg m = {
		.type = type, .flags = flags, .sock = so->idx, .sock_gen = so->gen, .arg = arg,
		.ism_handle = atomic_load_explicit(&so->sk->ism_handle, memory_order_relaxed),
	};

	if (unlikely(!c))
		return -ENOBUFS;
	m.ctx = (uint16_t)c->no;
	return ctx_post(c, so->sk->slot, &m);
}

void sock_look(struct so *so, uint32_t bits)
{
	/* acq_rel: pairs with the ISM's exchange before it looks at what we wrote */
	if ((atomic_fetch_or_explicit(&so->sk->pend_in, bits, memory_order_acq_rel) & bits) != bits)
		sock_post(so, NPP_MSG_LOOK, 0, 0);
}

/* ---- messages from ISMs ------------------------------------------------------------ */

static bool lane_fresh(struct lctx *c, uint32_t slot)
{
	uint32_t off64 = *(volatile uint32_t *)&c->sh->lane_off64[slot];
	struct npp_i2oq *q;

	if (off64 == 0)
		return false;
	q = lib_at((uint64_t)off64 * 64, sizeof *q);
	if (c->out[slot].q == q)
		return q != NULL;
	if (!q || npp_i2oq_attach_cons(&c->out[slot], q) < 0) {
		c->out[slot].q = NULL;
		return false;
	}
	return true;
}

/* As much as fits in a lane, or an ISM that posts as fast could keep us here. What it posts after we have begun finds
 * us awake, and is taken next time, or finds the announcement of sleep, which comes before this, and rings. */
bool ctx_drain(struct lctx *c, void (*fn)(void *arg, const struct npp_msg *msg), void *arg)
{
	bool overflow = false;

	for (uint32_t a = 0; a < NPP_MAX_ATTACH; a++) {
		/* acquire: pairs with the release in map_attach() */
		if (!atomic_load_explicit(&npp_lib.att[a].mapped, memory_order_acquire))
			continue;
		for (uint32_t i = 0; i < npp_lib.att[a].n_iops; i++) {
			uint32_t slot = a * NPP_MAX_IOPS + i;
			struct npp_msg m;

			if (!lane_fresh(c, slot))
				continue;
			for (unsigned n = 0; n < NPP_I2OQ_DEPTH && npp_i2oq_poll(&c->out[slot], &m) == 1; n++)
				if (fn && m.type == NPP_MSG_EVENT)
					fn(arg, &m);
			if (unlikely(atomic_load_explicit(&c->out[slot].q->overflow, memory_order_relaxed) != 0))
				overflow |= npp_i2oq_overflowed(&c->out[slot]);
		}
	}
	return overflow;
}

/* Wakes whoever waits on C, from another thread of this process. */
void ctx_wake(struct lctx *c)
{
	if (npp_bell_claim(&c->sh->sleeping))
		lib_ring(c->bell);
}

/* ---- subscribers of a socket ----------------------------------------------------------- */

static bool sub_is_stale(uint32_t w)
{
	uint32_t no = NPP_SUB_CTX(w) - 1;

	return no >= NPP_MAX_CTX ||
	       atomic_load_explicit(&npp_lib.ctx[no].state, memory_order_relaxed) == NPP_CTX_FREE;
}

static int subscribe_more(struct so *so, struct lctx *c)
{
	struct npp_ctl_bind q = { .sock = so->idx, .gen = so->gen };
	_Atomic uint64_t *map;
	int r = 0;

	if (*(volatile uint32_t *)&so->sk->sub_more_off64 == 0)
		r = lib_rpc(NPP_CTL_SUB_MORE, &q, sizeof q, NULL, 0, NULL);
	map = lib_at((uint64_t)*(volatile uint32_t *)&so->sk->sub_more_off64 * 64, NPP_MAX_CTX / 8);
	if (r < 0 || !map)
		return r < 0 ? r : -ENOBUFS;
	c->sub_many = true; /* the map may be another's when the thread ends */
	atomic_fetch_or_explicit(&map[c->no / 64], 1ull << c->no % 64, memory_order_release);
	atomic_store_explicit(&so->sk->sub_all, 1, memory_order_release);
	return 0;
}

/**
 * sock_subscribe() - have EVENTs of SO sent to context C
 * @flags: NPP_SUB_*
 *
 * Pairs with the ISM's loads of sub[] after it set a bit of pend_out: the caller looks
 * at the socket's state after this.
 * Return: 0 or -errno
 */
int sock_subscribe(struct so *so, struct lctx *c, uint32_t flags)
{
	struct npp_sock *sk = so->sk;
	uint32_t want = (c->no + 1) | flags;

	for (int i = 0; i < NPP_SOCK_SUBS; i++) {
		uint32_t w = atomic_load_explicit(&sk->sub[i], memory_order_relaxed);

		while (w && NPP_SUB_CTX(w) == c->no + 1) {
			uint32_t to = c->kind ? want : w | flags;

			if (w == to || atomic_compare_exchange_weak_explicit(&sk->sub[i], &w, to, memory_order_seq_cst,
									     memory_order_relaxed))
				return 0;
		}
	}
	for (int i = 0; i < NPP_SOCK_SUBS; i++) {
		uint32_t w = atomic_load_explicit(&sk->sub[i], memory_order_relaxed);

		while (w == 0 || sub_is_stale(w))
			if (atomic_compare_exchange_weak_explicit(&sk->sub[i], &w, want, memory_order_seq_cst,
								  memory_order_relaxed)) {
				/* before the look at the state; pairs with the ISM's seq_cst fetch_or */
				atomic_thread_fence(memory_order_seq_cst);
				ctx_note_sub(c, so->idx);
				return 0;
			}
	}
	return subscribe_more(so, c);
}

void sock_unsubscribe(struct so *so, struct lctx *c)
{
	_Atomic uint64_t *map;

	for (int i = 0; i < NPP_SOCK_SUBS; i++) {
		uint32_t w = atomic_load_explicit(&so->sk->sub[i], memory_order_relaxed);

		while (w && NPP_SUB_CTX(w) == c->no + 1)
			if (atomic_compare_exchange_weak_explicit(&so->sk->sub[i], &w, 0, memory_order_seq_cst,
								  memory_order_relaxed))
				break;
	}
	map = lib_at((uint64_t)*(volatile uint32_t *)&so->sk->sub_more_off64 * 64, NPP_MAX_CTX / 8);
	if (map)
		atomic_fetch_and_explicit(&map[c->no / 64], ~(1ull << c->no % 64), memory_order_relaxed);
}

/* ---- waiting --------------------------------------------------------------------------------- */

uint64_t deadline_of(uint32_t timeo_ms)
{
	return timeo_ms ? lib_now_us() + (uint64_t)timeo_ms * 1000 : UINT64_MAX;
}

/* Clears what may be pending before a look, so that the next change posts anew. */
void sock_clear(struct so *so, uint32_t mask)
{
	uint32_t bits = NPP_OUT_ERR | (mask & EPOLLIN ? NPP_OUT_RX : 0) | (mask & (EPOLLOUT | WANT_STATE) ? NPP_OUT_TX : 0);

	/* acquire side of the ISM's acq_rel fetch_or */
	if (atomic_load_explicit(&so->sk->pend_out, memory_order_acquire) & bits)
		atomic_fetch_and_explicit(&so->sk->pend_out, ~bits, memory_order_acq_rel);
}

static bool spin(struct so *so, uint32_t mask)
{
	uint64_t end = lib_now_us() + npp_lib.spin_us;

	do {
		for (int i = 0; i < 50; i++) {
			if (so_ready(so, mask) & (mask | EPOLLERR | EPOLLHUP))
				return true;
#if defined(__x86_64__)
			__builtin_ia32_pause();
#endif
		}
	} while (lib_now_us() < end);
	return false;
}

/* One sleep on the doorbell and, for a socket with a kernel part, its descriptor. */
static int sleep_on(struct lctx *c, int kfd, uint32_t mask, uint64_t deadline)
{
	struct pollfd p[2] = { { .fd = c->bell, .events = POLLIN },
			       { .fd = kfd, .events = (short)(mask & (EPOLLIN | EPOLLOUT)) } };
	uint64_t v, now;
	struct timespec ts;
	int r;

	if (kfd < 0 && deadline == UINT64_MAX) {
		if (R->read(c->bell, &v, sizeof v) > 0)
			return 0;
		if (errno != EAGAIN)
			return -errno;
	}
	if (deadline != UINT64_MAX) {
		now = lib_now_us();
		if (now >= deadline)
			return -EAGAIN;
		ts.tv_sec = (time_t)((deadline - now) / 1000000);
		ts.tv_nsec = (long)((deadline - now) % 1000000) * 1000;
	}
	r = R->ppoll(p, kfd < 0 ? 1 : 2, deadline == UINT64_MAX ? NULL : &ts, NULL);
	if (r < 0)
		return -errno;
	if (p[0].revents & POLLIN && R->read(c->bell, &v, sizeof v) < 0)
		return -errno;
	return r ? 0 : -EAGAIN;
}

/* It is ready, they say. If so often, and each time there was nothing, those are words of an ISM that do not agree. */
static int ready_again(unsigned *vain, uint64_t deadline)
{
	if (++*vain <= VAIN_MAX)
		return 0;
	if (deadline != UINT64_MAX && lib_now_us() >= deadline)
		return -EAGAIN;
	return lib_nap(VAIN_NAP_US) ? 0 : -EINTR;
}

int sock_wait(struct so *so, int fd, uint32_t mask, uint64_t deadline, unsigned *vain)
{
	struct lctx *c = ctx_self();
	uint32_t stop = mask | EPOLLERR | EPOLLHUP;
	uint32_t kmask = mask & ~(uint32_t)EPOLLOUT; /* the kernel always has room: ours decides */
	int r, saved = errno;

	if (!c)
		return -ENOBUFS;
	r = sock_subscribe(so, c, (mask & EPOLLIN ? NPP_SUB_RX : 0) |
				  (mask & (EPOLLOUT | WANT_STATE) ? NPP_SUB_TX : 0));
	if (r < 0)
		return r;
	sock_clear(so, mask);
	if (so_ready(so, mask) & stop || (npp_lib.spin_us && spin(so, mask)))
		return ready_again(vain, deadline);
	npp_bell_announce(&c->sh->sleeping);
	if (so_ready(so, mask) & stop) /* as the ISM would see it now */
		r = ready_again(vain, deadline);
	else if (sock_alive(so)) {
		*vain = 0;
		r = sleep_on(c, atomic_load_explicit(&so->kpart, memory_order_relaxed) ? fd : -1, kmask, deadline);
	}
	npp_bell_awake(&c->sh->sleeping);
	ctx_drain(c, NULL, NULL);
	if (r >= 0)
		errno = saved;
	if (!sock_alive(so))
		return -EBADF;
	return r;
}

/* Has the ISM said something about the ring since it was asked? */
static bool ring_answered(const struct so *so)
{
	return atomic_load_explicit(&so->sk->pend_out, memory_order_acquire) & NPP_OUT_TX;
}

/* ASK: posts NEED_RING first; any answer to that ends the wait, for it may be that there is
 * no larger ring now. */
static int wait_ring(struct so *so, uint32_t size, uint64_t deadline, bool ask)
{
	struct lctx *c = ctx_self();
	int r, saved = errno;

	if (!c)
		return -ENOBUFS;
	r = sock_subscribe(so, c, NPP_SUB_TX);
	if (r == 0 && ask) {
		sock_clear(so, EPOLLOUT);
		r = sock_post(so, NPP_MSG_NEED_RING, 0, size);
	}
	if (r < 0)
		return r;
	do { /* the doorbell also rings for what this thread once waited for */
		if (!ask)
			sock_clear(so, EPOLLOUT);
		npp_bell_announce(&c->sh->sleeping);
		if (*(volatile uint32_t *)&so->sk->tx_ring.size >= size || !sock_alive(so) ||
		    (ask && ring_answered(so)) ||
		    atomic_load_explicit(&so->sk->rx_flags, memory_order_acquire) &
			    (NPP_RXF_RESET | NPP_RXF_CLOSED))
			deadline = 0;
		else
			r = sleep_on(c, -1, 0, deadline);
		npp_bell_awake(&c->sh->sleeping);
		ctx_drain(c, NULL, NULL);
	} while (r == 0 && deadline != 0);
	errno = saved;
	return r;
}

int sock_wait_ring(struct so *so, uint32_t size, uint64_t deadline)
{
	return wait_ring(so, size, deadline, false);
}

/* Who does not want to block waits for the ISM of S all the same, for a moment. If that was in vain, nobody does so again
 * until it has taken what was posted by then; and if it is once more, not for a while, twice as long each time: it may be one
 * that takes all and answers nothing, or has no memory. */
static bool ism_answers(struct slot *s)
{
	/* acquire: pairs with the release in map_iops() */
	struct npp_inbound *in = atomic_load_explicit(&s->in, memory_order_acquire);
	uint64_t vain = atomic_load_explicit(&s->vain, memory_order_relaxed);
	uint32_t left;

	if (!vain || !in)
		return in != NULL;
	if (lib_now_us() < atomic_load_explicit(&s->vain_until_us, memory_order_relaxed))
		return false;
	left = (uint32_t)vain - atomic_load_explicit(&in->lane[(vain >> 32) % NPP_MAX_CTX].post_tail, memory_order_relaxed);
	return left == 0 || left > NPP_I2OQ_DEPTH;
}

static void ism_silent(struct slot *s, const struct lctx *c, uint32_t lane)
{
	uint32_t n = atomic_load_explicit(&s->vain, memory_order_relaxed) ? atomic_load_explicit(&s->n_vain, memory_order_relaxed) : 0;

	atomic_store_explicit(&s->n_vain, n < VAIN_DOUBLED ? n + 1 : n, memory_order_relaxed);
	atomic_store_explicit(&s->vain_until_us, n ? lib_now_us() + (VAIN_ANEW_US << n) : 0, memory_order_relaxed);
	atomic_store_explicit(&s->vain, (uint64_t)(NPP_MAX_CTX + c->no) << 32 | lane, memory_order_relaxed);
}

int sock_ask_ring(struct so *so, uint32_t size, uint64_t deadline)
{
	struct slot *s = so->sk->slot < NPP_MAX_SLOTS ? &npp_lib.slot[so->sk->slot] : NULL;
	int r;

	if (!s || !ism_answers(s))
		return -EAGAIN;
	r = wait_ring(so, size, deadline, true);
	if (r == -EAGAIN)
		ism_silent(s, npp_thr.ctx, npp_thr.ctx->in[s - npp_lib.slot].post_head);
	else if (r == 0 && unlikely(atomic_load_explicit(&s->vain, memory_order_relaxed) != 0))
		atomic_store_explicit(&s->vain, 0, memory_order_relaxed);
	return r;
}

/* Until the ISM has answered WANT, by something sent from the transmit ring, or DEADLINE, which
 * should be near: what is in the ring is not looked at again before the sleep. */
int sock_nap(struct so *so, _Atomic uint32_t *want, uint64_t deadline)
{
	struct lctx *c = ctx_self();
	int r, saved = errno;

	if (!c)
		return -ENOBUFS;
	r = sock_subscribe(so, c, NPP_SUB_TX);
	if (r < 0)
		return r;
	sock_clear(so, EPOLLOUT);
	npp_bell_announce(&c->sh->sleeping);
	if (atomic_load_explicit(want, memory_order_seq_cst))
		r = sleep_on(c, -1, 0, deadline);
	npp_bell_awake(&c->sh->sleeping);
	ctx_drain(c, NULL, NULL);
	errno = saved;
	return r;
}

struct lock_wait { uint64_t since; uint32_t holder; uint64_t held_since; bool stopped; };

/* A file of /proc into BUF. By bare system calls: these are no points of cancellation. */
static bool proc_file(uint32_t pid, const char *name, char *buf, size_t size)
{
	char path[48];
	ssize_t n = -1;
	long fd;

	snprintf(path, sizeof path, "/proc/%u/%s", pid, name);
	fd = R->syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = R->syscall(SYS_read, fd, buf, size - 1);
		R->syscall(SYS_close, fd);
	}
	buf[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* Is the process of context CTX kept from running: stopped, traced, frozen, or waiting for a disk? Then it may have a
 * lock for as long as that, and goes on with it. */
static bool held_up(uint32_t ctx)
{
	uint32_t proc, pid;
	char text[256];
	const char *p;

	if (ctx >= NPP_MAX_CTX || atomic_load_explicit(&npp_lib.confined, memory_order_relaxed))
		return false;
	proc = *(volatile uint32_t *)&npp_lib.ctx[ctx].proc;
	pid = proc < NPP_MAX_PROCS ? atomic_load_explicit(&npp_lib.procs[proc].pid, memory_order_relaxed) : 0;
	if (!pid || !proc_file(pid, "stat", text, sizeof text))
		return false;
	p = strrchr(text, ')'); /* the name before it may be anything */
	if (p && p[1] && strchr("TtD", p[2]) && p[2])
		return true;
	return proc_file(pid, "wchan", text, sizeof text) && strcmp(text, "do_freezer_trap") == 0;
}

/* Is a lock that HOLDER has still worth waiting for? A dead program's is broken by the OSM, that of an ISM by
 * its successor; an ISM that keeps it is not waited for. A context of a program has a lock for a copy: if
 * it is the same one all the time, its process is stopped, and is waited for, or an ISM has written its name
 * there. Then others may be so, too, and for a minute they are waited for shortly. */
static bool lock_patience(uint32_t holder, struct lock_wait *w)
{
	uint64_t now, most;

	if (holder > ISM_HOLDERS)
		return lib_patience(holder - ISM_HOLDERS - 1, &w->since);
	now = lib_now_us();
	if (holder != w->holder || holder == 0) {
		w->holder = holder;
		w->held_since = now;
		w->stopped = false;
	}
	most = now < atomic_load_explicit(&npp_lib.lied_until_us, memory_order_relaxed) ? LOCK_LIED_US : npp_lib.lock_held_us;
	if (now - w->held_since < most) {
		if (w->stopped || now - w->held_since > LOCK_BUSY_US)
			lib_nap(w->stopped ? LOCK_NAP_US : 1000);
		return true;
	}
	w->stopped = held_up(holder - 1);
	if (w->stopped) {
		w->held_since = now;
		return true;
	}
	atomic_store_explicit(&npp_lib.lied_until_us, now + LOCK_ANEW_US, memory_order_relaxed);
	return false;
}

int sock_lock_take(npp_lock_t *l)
{
	struct lock_wait w = { .holder = 0 };
	struct lctx *c = ctx_self();
	unsigned i = 0;
	int r;

	if (unlikely(!c))
		return -ENOBUFS;
	/* Where it is written down which locks are ours; one that is not held any more makes room. */
	while (i + 1 < CTX_LOCKS && c->lock[i] && c->lock[i] != l &&
	       atomic_load_explicit(c->lock[i], memory_order_relaxed) == c->no + 1)
		i++;
	c->lock[i] = l;
	short_begin();
	if (npp_lock_try(l, c->no + 1))
		return 0;
	short_end(); /* who waits is in no section */
	do {
		r = npp_lock_take(l, c->no + 1, LOCK_SLICE_US);
		if (r == -ETIMEDOUT && !lock_patience(atomic_load_explicit(l, memory_order_relaxed), &w))
			return -EIO;
	} while (r == -ETIMEDOUT);
	if (r == 0)
		short_begin();
	return r == -EDEADLK ? -EAGAIN : r;
}

void sock_lock_drop(npp_lock_t *l)
{
	npp_lock_drop(l, npp_thr.ctx->no + 1);
	short_end();
}
