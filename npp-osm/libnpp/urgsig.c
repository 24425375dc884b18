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
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"
#include "shm/bell.h"

#define WATCH_STACK (128u << 10)
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

static bool ended(void)
{
	bool end;

	fd_lock();
	end = npp_lib.urg.end;
	fd_unlock();
	return end;
}

/* A host may have none left for a while. What comes in that time is seen by the first look. NULL: it is over. */
static struct lctx *watch_context(void)
{
	struct lctx *c;

	while (!(c = ctx_self()) && !ended()) {
		lib_say(ONCE_URG_LATE, "no context to wait for urgent data with: SIGURG is sent when there is one again");
		lib_nap(AGAIN_US);
	}
	return c;
}

static void *watch(void *arg)
{
	struct lctx *c = watch_context();
	bool end = !c;
	uint64_t v;

	(void)arg;
	fd_lock();
	npp_lib.urg.ctx = c;
	fd_unlock();
	while (!end) {
		npp_bell_announce(&c->sh->sleeping);
		fd_lock();
		end = npp_lib.urg.end;
		look(c);
		fd_unlock();
		if (!end && R->read(c->bell, &v, sizeof v) < 0 && errno != EINTR)
			lib_nap(AGAIN_US); /* no doorbell: then by the clock */
		npp_bell_awake(&c->sh->sleeping);
		ctx_drain(c, NULL, NULL);
	}
	fd_lock();
	npp_lib.urg.ctx = NULL;
	fd_unlock();
	return NULL;
}

/* Under fd_lock. */
static int start(void)
{
	sigset_t all, old;
	pthread_attr_t a;
	int r;

	if (npp_lib.urg.on)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, WATCH_STACK);
	r = pthread_create(&npp_lib.urg.thread, &a, watch, NULL);
	pthread_attr_destroy(&a);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r) {
		lib_say(ONCE_URG, "no thread to wait for urgent data: SIGURG will not be sent");
		return -r;
	}
	npp_lib.urg.on = true;
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
	if (npp_lib.urg.ctx)
		ctx_wake(npp_lib.urg.ctx);
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
	if (r == 0 && npp_lib.urg.ctx)
		ctx_wake(npp_lib.urg.ctx);
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

/* Ends the thread. False: there was none, or another thread is ending it. */
static bool end_thread(void)
{
	pthread_t t;
	bool on;

	fd_lock();
	t = npp_lib.urg.thread;
	on = npp_lib.urg.on && !npp_lib.urg.end;
	if (on)
		npp_lib.urg.end = true;
	if (on && npp_lib.urg.ctx)
		ctx_wake(npp_lib.urg.ctx);
	fd_unlock();
	if (on)
		pthread_join(t, NULL);
	return on;
}

void urg_stop(void)
{
	end_thread();
	memset(&npp_lib.urg, 0, sizeof npp_lib.urg);
}

bool npp_creds_begin(void)
{
	int saved = errno;
	bool was = false;

	/* not in a child of vfork(), which has our memory and not our threads */
	if (*(volatile bool *)&npp_lib.urg.on && npp_lib.pid == getpid())
		was = end_thread();
	errno = saved;
	return was;
}

void npp_creds_end(bool alone)
{
	int saved = errno;

	if (!alone)
		return;
	fd_lock();
	npp_lib.urg.on = npp_lib.urg.end = false;
	if (npp_lib.urg.list)
		start(); /* it looks at all of them first */
	fd_unlock();
	errno = saved;
}
