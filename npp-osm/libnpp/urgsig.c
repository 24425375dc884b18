/* SPDX-License-Identifier: GPL-2.0-or-later
 * urgsig.c - SIGURG for who asked for it by F_SETOWN
 *
 * The kernel sends SIGURG when an urgent pointer comes, whatever the program does just then. The ISM
 * may send no signals to programs, and the OSM neither: so a program that names an owner for a
 * socket of ours gets a thread that waits for urgent data, with all signals blocked, and sends it
 * in the program's own name. Who never calls F_SETOWN has no such thread.
 *
 * The owner belongs to the descriptor as this process knows it. A child of fork sees it and
 * has no thread until it names an owner itself; the parent's goes on. SIGIO is not sent.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"
#include "shm/bell.h"

#define WATCH_STACK (128u << 10)
#define END_S 1		/* for the thread to end, or a lock to be free */
#define AGAIN_US 100000	/* until a context is asked for again */

static void send_to(const struct owner *o)
{
	if (o->type == F_OWNER_TID)
		syscall(SYS_tkill, o->pid, SIGURG);
	else
		kill(o->type == F_OWNER_PGRP ? -o->pid : o->pid, SIGURG);
}

static uint32_t urgent_now(const struct so *so)
{
	return NPP_URG_N(atomic_load_explicit(&so->sk->urg, memory_order_acquire));
}

/* Looks at all sockets with an owner, subscribed first, so that what comes later wakes us. Under fd_lock. */
static void look(struct lctx *c)
{
	for (struct so *so = npp_lib.urg.list; so; so = so->urg_next) {
		uint32_t n;

		if (!so->sk || !sock_alive(so) || sock_subscribe(so, c, NPP_SUB_URG) < 0)
			continue;
		/* acq_rel: cleared before the look; pairs with the ISM's fetch_or after it stored urg */
		atomic_fetch_and_explicit(&so->sk->pend_out, ~NPP_OUT_URG, memory_order_acq_rel);
		n = urgent_now(so);
		if (n != so->urg_last && so->owner.pid)
			send_to(&so->owner);
		so->urg_last = n;
	}
}

/* acquire: pairs with the increment in end_thread() */
static bool ended(uint32_t gen)
{
	return atomic_load_explicit(&npp_lib.urg.gen, memory_order_acquire) != gen;
}

/* A host may have none left for a while. What comes in that time is seen by the first look. NULL: it is over. */
static struct lctx *watch_context(uint32_t gen)
{
	struct lctx *c;

	while (!(c = ctx_self()) && !ended(gen)) {
		lib_say(ONCE_URG_LATE, "no context to wait for urgent data with: SIGURG is sent when there is one again");
		lib_nap(AGAIN_US);
	}
	return c;
}

/* Others may wake it by C now. One that was not waited for, see end_thread(), may still have its name there. */
static void watch_begins(struct lctx *c, uint32_t gen)
{
	struct lctx *none = NULL;

	while (!atomic_compare_exchange_strong_explicit(&npp_lib.urg.ctx, &none, c, memory_order_release, memory_order_relaxed) &&
	       !ended(gen)) {
		none = NULL;
		lib_nap(AGAIN_US);
	}
}

static void watch_ends(struct lctx *c, uint32_t gen)
{
	atomic_compare_exchange_strong_explicit(&npp_lib.urg.ctx, &c, NULL, memory_order_relaxed, memory_order_relaxed);
	/* acquire: pairs with the release in end_thread(), which rings C until then */
	while (atomic_load_explicit(&npp_lib.urg.rung, memory_order_acquire) == gen)
		lib_nap(100);
}

static void *watch(void *arg)
{
	uint32_t gen = (uint32_t)(uintptr_t)arg;
	struct lctx *c = watch_context(gen);
	bool end = !c;
	uint64_t v;

	if (c)
		watch_begins(c, gen);
	while (!end) {
		npp_bell_announce(&c->sh->sleeping);
		fd_lock();
		end = ended(gen);
		look(c);
		fd_unlock();
		if (!end && R->read(c->bell, &v, sizeof v) < 0 && errno != EINTR)
			lib_nap(AGAIN_US); /* no doorbell: then by the clock */
		npp_bell_awake(&c->sh->sleeping);
		ctx_drain(c, NULL, NULL);
	}
	if (c)
		watch_ends(c, gen);
	return NULL;
}

/* Looks again, if it waits. Under fd_lock, under which alone it looks, or by end_thread(). */
static void wake(void)
{
	struct lctx *c = atomic_load_explicit(&npp_lib.urg.ctx, memory_order_acquire);

	if (c)
		ctx_wake(c);
}

/* Under fd_lock. */
static int start(void)
{
	sigset_t all, old;
	pthread_attr_t a;
	int r;

	if (atomic_load_explicit(&npp_lib.urg.on, memory_order_acquire))
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, WATCH_STACK);
	r = pthread_create(&npp_lib.urg.thread, &a, watch,
			   (void *)(uintptr_t)atomic_load_explicit(&npp_lib.urg.gen, memory_order_relaxed));
	pthread_attr_destroy(&a);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r) {
		lib_say(ONCE_URG, "no thread to wait for urgent data: SIGURG will not be sent");
		return -r;
	}
	atomic_store_explicit(&npp_lib.urg.on, true, memory_order_release);
	return 0;
}

void urg_forget(struct so *so)
{
	for (struct so **p = &npp_lib.urg.list; *p; p = &(*p)->urg_next) {
		if (*p == so) {
			*p = so->urg_next;
			return;
		}
	}
}

/* The record of SO is another one. Under fd_lock. */
void urg_renewed(struct so *so)
{
	if (!so->owner.pid)
		return;
	so->urg_last = urgent_now(so);
	if (start() == 0)
		wake();
}

/* Under fd_lock. */
static int set_owner(struct so *so, struct owner o)
{
	int r = 0;

	urg_forget(so);
	so->owner = o;
	if (!o.pid)
		return 0;
	so->urg_last = urgent_now(so);
	so->urg_next = npp_lib.urg.list;
	npp_lib.urg.list = so;
	r = start();
	if (r == 0)
		wake();
	return r;
}

static int set_checked(struct so *so, struct owner o)
{
	int r;

	if (o.pid && kill(o.type == F_OWNER_PGRP ? -o.pid : o.pid, 0) < 0 && errno == ESRCH)
		return -ESRCH;
	fd_lock();
	r = set_owner(so, o);
	fd_unlock();
	return r;
}

/**
 * urg_owner_fcntl() - F_SETOWN, F_GETOWN and their _EX forms
 *
 * Return: 0, the owner (negative: a group), -errno, or INT32_MIN: it is the kernel's socket
 */
int urg_owner_fcntl(struct so *so, int cmd, unsigned long arg)
{
	struct f_owner_ex ex;
	int who = (int)arg;

	if (so->kind != SO_OURS || so->kpart || so->dgram)
		return INT32_MIN;
	switch (cmd) {
	case F_SETOWN:
		if (who == INT_MIN)
			return -EINVAL;
		return set_checked(so, (struct owner){ who < 0 ? F_OWNER_PGRP : F_OWNER_PID, who < 0 ? -who : who });
	case F_GETOWN:
		return so->owner.type == F_OWNER_PGRP ? -so->owner.pid : so->owner.pid;
	case F_SETOWN_EX:
		if (!arg)
			return -EFAULT;
		memcpy(&ex, (const void *)arg, sizeof ex);
		if ((unsigned)ex.type > F_OWNER_PGRP || ex.pid < 0)
			return -EINVAL;
		return set_checked(so, (struct owner){ (int)ex.type, ex.pid });
	default:
		if (!arg)
			return -EFAULT;
		ex = (struct f_owner_ex){ so->owner.type, so->owner.pid };
		memcpy((void *)arg, &ex, sizeof ex);
		return 0;
	}
}

void urg_owner_adopt(struct so *so, int fd)
{
	struct f_owner_ex ex;

	if (!so->dgram && R->fcntl(fd, F_GETOWN_EX, &ex) == 0 && ex.pid > 0)
		set_owner(so, (struct owner){ (int)ex.type, ex.pid });
}

/* The child of a fork has no threads but its own. */
void urg_forked(void)
{
	memset(&npp_lib.urg, 0, sizeof npp_lib.urg);
}

/* Ends the thread, without any lock, for this may be a signal handler that came in the middle of something: then
 * the thread may wait for what we interrupted. It is left to itself after a while, and ends when it can. */
static void end_thread(void)
{
	uint32_t gen = atomic_load_explicit(&npp_lib.urg.gen, memory_order_relaxed) + 1;
	pthread_t t = npp_lib.urg.thread;
	struct timespec until;

	/* seq_cst: before ctx_wake() asks whether it sleeps; pairs with npp_bell_announce() */
	atomic_store_explicit(&npp_lib.urg.gen, gen, memory_order_seq_cst);
	wake();
	atomic_store_explicit(&npp_lib.urg.rung, gen, memory_order_release);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += END_S;
	if (pthread_clockjoin_np(t, NULL, CLOCK_MONOTONIC, &until))
		pthread_detach(t);
}

void urg_stop(void)
{
	if (npp_lib.urg.on)
		end_thread();
	memset(&npp_lib.urg, 0, sizeof npp_lib.urg);
}

/**
 * npp_creds_begin() - the thread is not there until npp_creds_end()
 *
 * Who comes second waits until the first is through. In a signal handler that interrupted
 * this library under its lock the thread stays: it may need the same.
 * Return: for npp_creds_end()
 */
bool npp_creds_begin(void)
{
	int saved = errno;
	sigset_t all, old;
	int cancel;

	/* never a thread; or a child of vfork(), which has our memory and not our threads */
	if ((!atomic_load_explicit(&npp_lib.urg.on, memory_order_acquire) && !ended(0)) || npp_lib.pid != getpid() ||
	    npp_thr.creds || npp_thr.fd_depth)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_mutex_lock(&npp_lib.urg.creds);
	npp_thr.creds = true;
	npp_lib.urg.old = old;
	npp_lib.urg.cancel = cancel;
	if (atomic_load_explicit(&npp_lib.urg.on, memory_order_acquire))
		end_thread();
	errno = saved;
	return true;
}

/* fd_lock(), but not for ever: another thread may wait for what this one is about to do. */
static bool lock_in_time(void)
{
	uint64_t until = lib_now_us() + END_S * 1000000ull;

	while (!fd_trylock()) {
		if (lib_now_us() > until)
			return false;
		lib_nap(200);
	}
	return true;
}

void npp_creds_end(bool alone)
{
	int saved = errno, cancel;
	sigset_t old;

	if (!alone)
		return;
	atomic_store_explicit(&npp_lib.urg.on, false, memory_order_release);
	if (lock_in_time()) { /* else the next one that names an owner starts it */
		if (npp_lib.urg.list)
			start(); /* it looks at all of them first */
		fd_unlock();
	}
	old = npp_lib.urg.old;
	cancel = npp_lib.urg.cancel;
	npp_thr.creds = false;
	pthread_mutex_unlock(&npp_lib.urg.creds);
	pthread_setcancelstate(cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
}
