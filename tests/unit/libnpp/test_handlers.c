/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_handlers.c - libnpp over a fake host: handlers that the program installs by npp_sigaction() and its kin
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "host.h"
#include "npp-osm/libnpp/priv.h"

#define SIGSET_BYTES 8
#define CONNECTIONS 250	/* the fake has no more records */
#define IN_ALL_OF_THEM 5000	/* sections: in so many a look at each signal falls */

static volatile sig_atomic_t handled, in_section, told;

static bool is_blocked(int sig)
{
	sigset_t now;

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
	return sigismember(&now, sig) == 1;
}

/* The fake host lives in threads of this process, which take no signals. */
static void begin(void)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	up();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	npp_signals_start();
	ck_assert(npp_lib.sig.wraps && npp_lib.sig.known);
	handled = in_section = told = 0;
}

static void end(void)
{
	ck_assert_uint_eq(npp_thr.section, 0);
	ck_assert_uint_eq(npp_thr.held, 0);
	down();
}

static void set(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };

	ck_assert_int_eq(npp_sigaction(sig, &sa, NULL), 0);
}

static void note(int sig)
{
	(void)sig;
	in_section += npp_thr.section != 0 || npp_thr.short_at != 0;
	handled++;
}

/* ---- what the program sees ------------------------------------------------------------------- */

static void note_info(int sig, siginfo_t *si, void *uc)
{
	const ucontext_t *u = uc;

	told = si->si_value.sival_int * 100 + si->si_code * -10 + (sigismember(&u->uc_sigmask, sig) == 1);
	note(sig);
}

START_TEST(sigaction_says_what_was_set)
{
	struct sigaction sa = { .sa_handler = note, .sa_flags = SA_RESTART }, old;

	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR2);
	ck_assert_int_eq(npp_sigaction(SIGUSR1, &sa, &old), 0);
	ck_assert(old.sa_handler == SIG_DFL);
	ck_assert_int_eq(npp_sigaction(SIGUSR1, NULL, &old), 0);
	ck_assert(old.sa_handler == note);
	ck_assert_int_eq(old.sa_flags & (SA_RESTART | SA_SIGINFO), SA_RESTART);
	ck_assert(sigismember(&old.sa_mask, SIGUSR2) && !sigismember(&old.sa_mask, SIGUSR1));
	sa.sa_sigaction = note_info;
	sa.sa_flags = SA_SIGINFO;
	ck_assert_int_eq(npp_sigaction(SIGUSR1, &sa, &old), 0);
	ck_assert(old.sa_handler == note && !(old.sa_flags & SA_SIGINFO));
	ck_assert(npp_signal(SIGUSR1, SIG_IGN) == (npp_handler *)(uintptr_t)note_info);
	ck_assert(npp_signal(SIGUSR1, note) == SIG_IGN);
	ck_assert_int_eq(npp_sigaction(SIGUSR1, NULL, &old), 0);
	ck_assert(old.sa_handler == note && old.sa_flags & SA_RESTART && sigismember(&old.sa_mask, SIGUSR1));
	ck_fails(npp_sigaction(SIGKILL, &sa, NULL), EINVAL);
	ck_fails(npp_sigaction(0, &sa, NULL), EINVAL);
	ck_assert(npp_signal(65, note) == SIG_ERR);
	ck_assert(npp_lib.sig.known);
}
END_TEST

START_TEST(so_do_the_older_functions)
{
	struct sigaction old;

	ck_assert(npp_sysv_signal(SIGUSR1, note) == SIG_DFL);
	ck_assert_int_eq(npp_sigaction(SIGUSR1, NULL, &old), 0);
	ck_assert(old.sa_handler == note && old.sa_flags & (int)SA_RESETHAND && old.sa_flags & SA_NODEFER);
	ck_assert(npp_sigset(SIGUSR1, SIG_HOLD) == note);
	ck_assert(is_blocked(SIGUSR1));
	ck_assert(npp_sigset(SIGUSR1, SIG_DFL) == SIG_HOLD);
	ck_assert(!is_blocked(SIGUSR1));
	ck_assert_int_eq(npp_siginterrupt(SIGUSR1, 1), 0);
	ck_assert(npp_signal(SIGUSR1, note) == SIG_DFL);
	ck_assert_int_eq(npp_sigaction(SIGUSR1, NULL, &old), 0);
	ck_assert(!(old.sa_flags & SA_RESTART) && old.sa_handler == note);
	ck_assert_int_eq(npp_siginterrupt(SIGUSR1, 0), 0);
	ck_assert_int_eq(npp_sigaction(SIGUSR1, NULL, &old), 0);
	ck_assert(old.sa_flags & SA_RESTART && old.sa_handler == note);
	raise(SIGUSR1);
	ck_assert_int_eq(handled, 1);
}
END_TEST

START_TEST(so_does_the_system_call)
{
	struct { npp_handler *fn; unsigned long flags; void *restorer; uint64_t mask; } k = { note, SA_RESTART, NULL, 8 }, old;
	long r = -2;

	ck_assert(npp_sigaction_by_number(SIGUSR1, &k, &old, SIGSET_BYTES, &r));
	ck_assert_int_eq(r, 0);
	ck_assert(old.fn == SIG_DFL);
	raise(SIGUSR1);
	ck_assert_int_eq(handled, 1);
	ck_assert(npp_sigaction_by_number(SIGUSR1, NULL, &old, SIGSET_BYTES, &r));
	ck_assert(old.fn == note && old.flags & SA_RESTART && !(old.flags & SA_SIGINFO) && old.mask == 8);
	ck_assert(!npp_sigaction_by_number(SIGUSR1, NULL, &old, 4, &r));
	ck_assert(!npp_sigaction_by_number(33, &k, NULL, SIGSET_BYTES, &r));
	ck_assert(npp_lib.sig.known);
}
END_TEST

/* A child of vfork has handlers of its own in our memory. */
START_TEST(what_a_child_of_vfork_sets_is_its_own)
{
	struct sigaction sa = { .sa_handler = on_signal }, old;
	int status;
	pid_t child;

	set(SIGUSR1, note, 0);
	child = vfork();
	if (child == 0) {
		npp_sigaction(SIGUSR1, &sa, &old);
		_exit(old.sa_handler != note);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	raise(SIGUSR1);
	ck_assert_int_eq(handled, 1);
}
END_TEST

/* ---- one, at the worst moment ------------------------------------------------------------------ */

static int (*real_close)(int);
static unsigned masks, raises;

static long count_masks(long nr, ...)
{
	long a[5];
	va_list ap;

	va_start(ap, nr);
	for (unsigned i = 0; i < 5; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	masks += nr == SYS_rt_sigprocmask;
	return syscall(nr, a[0], a[1], a[2], a[3], a[4]);
}

static int close_and_raise(int fd)
{
	union sigval v = { .sival_int = 7 };

	for (unsigned i = 0; i < raises; i++)
		pthread_sigqueue(pthread_self(), i % 2 ? SIGUSR2 : SIGUSR1, v);
	return real_close(fd);
}

/* Closes a socket, and so many signals come meanwhile. */
static int close_over(unsigned n)
{
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	int fd = dial(FAKE_DISCARD), res;

	raises = n;
	masks = 0;
	real_close = r->close;
	r->close = close_and_raise;
	r->syscall = count_masks;
	errno = 77;
	res = npp_close(fd);
	ck_assert_int_eq(errno, 77);
	r->close = real_close;
	r->syscall = syscall;
	ck_assert_uint_eq(npp_thr.section, 0);
	ck_assert_uint_eq(npp_thr.held, 0);
	ck_assert(!is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
	return res;
}

START_TEST(without_a_signal_nobody_asks_for_the_mask)
{
	set(SIGUSR1, note, 0);
	ck_assert_int_eq(close_over(0), 0);
	ck_assert_uint_eq(masks, 0);
}
END_TEST

START_TEST(a_signal_is_taken_at_the_end_of_the_section_as_it_came)
{
	struct sigaction sa = { .sa_sigaction = note_info, .sa_flags = SA_SIGINFO };

	ck_assert_int_eq(npp_sigaction(SIGUSR1, &sa, NULL), 0);
	ck_assert_int_eq(close_over(1), 0);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(in_section, 0);
	ck_assert_int_eq(told, 700 - 10 * SI_QUEUE);
}
END_TEST

START_TEST(so_are_two_and_one_that_comes_twice)
{
	set(SIGUSR1, note, SA_RESTART);
	set(SIGUSR2, note, SA_NODEFER);
	ck_assert_int_eq(close_over(4), 0);
	ck_assert_int_eq(handled, 2);
	ck_assert_int_eq(in_section, 0);
}
END_TEST

START_TEST(one_that_has_no_handler_afterwards_is_taken_once)
{
	struct sigaction old;

	set(SIGUSR1, note, (int)SA_RESETHAND);
	ck_assert_int_eq(close_over(1), 0);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(in_section, 0);
	ck_assert_int_eq(npp_sigaction(SIGUSR1, NULL, &old), 0);
	ck_assert(old.sa_handler == SIG_DFL);
}
END_TEST

static sigjmp_buf out;

static void leap(int sig)
{
	note(sig);
	siglongjmp(out, 1);
}

START_TEST(who_leaps_out_is_in_no_section)
{
	int was = -1;

	set(SIGUSR1, leap, 0);
	for (volatile int i = 0; i < 3; i++) {
		if (!sigsetjmp(out, 1))
			close_over(1);
		((struct real *)(uintptr_t)npp_real_get())->close = real_close;
		((struct real *)(uintptr_t)npp_real_get())->syscall = syscall;
		ck_assert_int_eq(handled, i + 1);
		ck_assert(!is_blocked(SIGUSR1));
		ck_assert_uint_eq(npp_thr.section, 0);
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &was);
		ck_assert_int_eq(was, PTHREAD_CANCEL_ENABLE);
	}
	ck_assert_int_eq(in_section, 0);
}
END_TEST

static ssize_t (*real_pread)(int, void *, size_t, off_t);

static ssize_t pread_and_raise(int fd, void *buf, size_t n, off_t off)
{
	pthread_kill(pthread_self(), SIGUSR1);
	return real_pread(fd, buf, n, off);
}

static long write_and_raise(long nr, ...)
{
	long a[4];
	va_list ap;

	va_start(ap, nr);
	for (unsigned i = 0; i < 4; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (nr == SYS_write)
		pthread_kill(pthread_self(), SIGUSR1);
	return syscall(nr, a[0], a[1], a[2], a[3]);
}

static void comes_back(int fd, char c)
{
	char b = 0;

	ck_assert_int_eq(npp_send(fd, &c, 1, 0), 1);
	while (b != c)
		ck_assert_int_eq(npp_recv(fd, &b, 1, 0), 1);
}

/* Over the copy into a ring, whose lock would be left behind. */
START_TEST(who_leaps_out_of_a_send_has_no_lock)
{
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	char path[128];
	int fd = dial(FAKE_ECHO), file;

	snprintf(path, sizeof path, "%s/leap-XXXXXX", npp_dir_path());
	file = mkstemp(path);
	ck_assert(file >= 0 && write(file, "12345", 5) == 5);
	set(SIGUSR1, leap, 0);
	real_pread = r->pread;
	for (volatile int i = 0; i < 3; i++) {
		off_t off = 0;

		r->pread = pread_and_raise;
		if (!sigsetjmp(out, 1))
			npp_sendfile(fd, file, &off, 5);
		r->pread = real_pread;
		ck_assert_int_eq(handled, i + 1);
		comes_back(fd, (char)('a' + i));
	}
	ck_assert_int_eq(in_section, 0);
	unlink(path);
	close(file);
	npp_close(fd);
}
END_TEST

/* Over a message to an ISM: later ones would wait until that one is done. */
START_TEST(who_leaps_out_of_a_post_may_post_again)
{
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	int fd = dial(FAKE_ECHO);

	set(SIGUSR1, leap, 0);
	for (volatile int i = 0; i < 100 && handled < 3; i++) {
		r->syscall = write_and_raise;
		if (!sigsetjmp(out, 1))
			npp_send(fd, "x", 1, 0);
		r->syscall = syscall;
		comes_back(fd, (char)(i & 63));
	}
	ck_assert_int_ge(handled, 3);
	ck_assert_int_eq(in_section, 0);
	comes_back(dial(FAKE_ECHO), 'e');
	npp_close(fd);
}
END_TEST

static volatile sig_atomic_t fork_said;

static void forks(int sig)
{
	pid_t child = npp_fork();
	int status = -1;

	if (child == 0)
		_exit(npp_thr.section || npp_thr.held || is_blocked(SIGUSR2));
	waitpid(child, &status, 0);
	fork_said = status;
	note(sig);
}

START_TEST(a_handler_may_fork)
{
	int fd = dial(FAKE_DISCARD);

	set(SIGUSR1, forks, 0);
	fork_said = -1;
	ck_assert_int_eq(close_over(1), 0);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(fork_said, 0);
	npp_close(fd);
}
END_TEST

static void note_fault(int sig)
{
	note(sig);
	npp_close(npp_socket(AF_INET, SOCK_STREAM, 0));
}

static int close_and_fault(int fd)
{
	if (!handled)
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSEGV);
	return real_close(fd);
}

START_TEST(the_handler_of_a_fault_runs_at_once)
{
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	int fd = dial(FAKE_DISCARD), res;

	set(SIGSEGV, note_fault, 0);
	real_close = r->close;
	r->close = close_and_fault;
	res = npp_close(fd);
	r->close = real_close;
	set(SIGSEGV, SIG_DFL, 0);
	ck_assert_int_eq(res, 0);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(in_section, 1);
}
END_TEST

/* The sockets that the main flow and the handler quarrel about. */
static struct { int ep, ready, closed, shut, wrong; bool over_close; } w;

/* ---- handlers that we do not know --------------------------------------------------------------- */

START_TEST(a_handler_installed_past_us_is_found)
{
	struct sigaction sa = { .sa_handler = note };

	for (unsigned i = 0; i < IN_ALL_OF_THEM; i++) {
		fd_lock();
		fd_unlock();
	}
	ck_assert(npp_lib.sig.known);
	ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
	for (unsigned i = 0; i < IN_ALL_OF_THEM; i++) {
		fd_lock();
		fd_unlock();
	}
	ck_assert(!npp_lib.sig.known);
	ck_assert_int_eq(close_over(1), 0);
	ck_assert_uint_eq(masks, 2);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(in_section, 0);
}
END_TEST

START_TEST(it_is_found_when_the_program_begins_to_serve)
{
	struct sigaction sa = { .sa_handler = note };
	uint16_t port;
	int fd;

	ck_assert_int_eq(sigaction(SIGRTMAX, &sa, NULL), 0);
	fd = serve(&port, 0);
	ck_assert(!npp_lib.sig.known);
	npp_close(fd);
	npp_lib.sig.known = true;
	fd = npp_epoll_create1(0);
	ck_assert(!npp_lib.sig.known);
	npp_close(fd);
}
END_TEST

/* Over which it was all the time. */
static void waits_and_closes(int sig)
{
	struct epoll_event ev;

	note(sig);
	w.wrong += npp_epoll_pwait(w.ep, &ev, 1, 0, NULL) != 1;
	w.wrong += npp_close(w.closed) != 0;
}

static int close_and_raise_unknown(int fd)
{
	if (!handled)
		raise(SIGUSR1);
	return real_close(fd);
}

START_TEST(or_when_it_comes_over_a_section)
{
	struct sigaction sa = { .sa_handler = waits_and_closes };
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	int fd = dial(FAKE_DISCARD), res;

	memset(&w, 0, sizeof w);
	w.ep = npp_epoll_create1(0);
	w.ready = dial(FAKE_DISCARD);
	w.closed = dial(FAKE_DISCARD);
	ck_assert_int_eq(ep_add(w.ep, w.ready, EPOLLOUT), 0);
	ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
	ck_assert(npp_lib.sig.known);
	real_close = r->close;
	r->close = close_and_raise_unknown;
	res = npp_close(fd);
	r->close = real_close;
	ck_assert_int_eq(res, 0);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(in_section, 1);
	ck_assert_int_eq(w.wrong, 0);
	ck_assert(!npp_lib.sig.known);
	ck_assert_int_eq(close_over(0), 0);
	ck_assert_uint_eq(masks, 2);
	npp_close(w.ready);
	npp_close(w.ep);
}
END_TEST

START_TEST(one_from_before_the_library_is_taken_over)
{
	struct sigaction sa = { .sa_handler = note }, old;

	npp_lib.sig.wraps = false;
	ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
	npp_signals_start();
	ck_assert(npp_lib.sig.known);
	ck_assert_int_eq(npp_sigaction(SIGUSR1, NULL, &old), 0);
	ck_assert(old.sa_handler == note);
	ck_assert_int_eq(close_over(1), 0);
	ck_assert_uint_gt(masks, 0); /* one came */
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(in_section, 0);
}
END_TEST

/* A timer's signal is the kernel's own: it may not be refused, nor forget how often it came. */
static timer_t timer;

static void note_timer(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	told = si->si_code == SI_TIMER && si->si_value.sival_int == 5;
	note(sig);
}

static int close_when_timed(int fd)
{
	struct itimerspec soon = { .it_value = { 0, 1 } };

	if (!timer_settime(timer, 0, &soon, NULL))
		for (uint64_t end = now_ms() + 20000; !npp_thr.held && now_ms() < end;)
			;
	return real_close(fd);
}

START_TEST(a_timer_is_put_off_like_all_others)
{
	struct sigaction sa = { .sa_sigaction = note_timer, .sa_flags = SA_SIGINFO };
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 5 };
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	int fd = dial(FAKE_DISCARD);

	ck_assert_int_eq(npp_sigaction(SIGUSR1, &sa, NULL), 0);
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &e, &timer), 0);
	real_close = r->close;
	r->close = close_when_timed;
	ck_assert_int_eq(npp_close(fd), 0);
	r->close = real_close;
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(in_section, 0);
	ck_assert_int_eq(told, 1);
	timer_delete(timer);
}
END_TEST

static int order[8];

static void note_order(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	order[handled++] = si->si_value.sival_int;
}

static int close_and_queue(int fd)
{
	for (int i = 0; i < 5; i++)
		pthread_sigqueue(pthread_self(), SIGRTMIN, (union sigval){ .sival_int = i });
	return real_close(fd);
}

START_TEST(real_time_signals_keep_their_order)
{
	struct sigaction sa = { .sa_sigaction = note_order, .sa_flags = SA_SIGINFO };
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	int fd = dial(FAKE_DISCARD);

	ck_assert_int_eq(npp_sigaction(SIGRTMIN, &sa, NULL), 0);
	real_close = r->close;
	r->close = close_and_queue;
	ck_assert_int_eq(npp_close(fd), 0);
	r->close = real_close;
	ck_assert_int_eq(handled, 5);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(order[i], i);
}
END_TEST

/* ---- waits ------------------------------------------------------------------------------------------ */

static volatile bool enough;

static void *send_until(void *to)
{
	while (!enough) {
		pthread_kill(*(pthread_t *)to, SIGUSR1);
		usleep(1000);
	}
	return NULL;
}

START_TEST(a_signal_ends_a_wait)
{
	int fd = dial(FAKE_DISCARD), ep = npp_epoll_create1(0);
	pthread_t self = pthread_self(), t;
	struct epoll_event ev;
	char c;

	set(SIGUSR1, note, 0);
	ck_assert_int_eq(ep_add(ep, fd, EPOLLIN), 0);
	enough = false;
	ck_assert_int_eq(pthread_create(&t, NULL, send_until, &self), 0);
	ck_fails(npp_epoll_pwait(ep, &ev, 1, 20000, NULL), EINTR);
	ck_fails((int)npp_recv(fd, &c, 1, 0), EINTR);
	enough = true;
	pthread_join(t, NULL);
	npp_close(ep);
	npp_close(fd);
}
END_TEST

/* ---- before each instruction -------------------------------------------------------------------------- */

/* Closes one of the instance's sockets, shuts another, puts one in and takes it out, and asks the instance. */
static void meddle(int sig)
{
	struct epoll_event ev[8];
	int saved = errno, fd;

	note(sig);
	w.wrong += npp_close(w.closed) != 0;
	w.wrong += npp_shutdown(w.shut, SHUT_RD) != 0;
	fd = npp_socket(AF_INET, SOCK_STREAM, 0);
	w.wrong += fd < 0 || ep_add(w.ep, fd, EPOLLIN) != 0;
	w.wrong += npp_epoll_pwait(w.ep, ev, 8, 0, NULL) < 1;
	w.wrong += npp_close(fd) != 0;
	errno = saved;
}

#if defined(__x86_64__)
#define TRACE_FLAG 0x100
#ifdef NPP_SANITIZED
#define STRIDE 23	/* many more instructions, each of which is a trap */
#else
#define STRIDE 1
#endif

static struct { int steps, first, at; uint32_t section; bool over, done, in_second; } trap;

static void step(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;

	(void)sig;
	(void)si;
	uc->uc_mcontext.gregs[REG_EFL] |= TRACE_FLAG;
	if (!trap.over && trap.first && trap.steps == trap.first) {
		trap.section = npp_thr.section;
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
	}
	if (!trap.over && trap.steps++ < trap.at)
		return;
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRACE_FLAG;
	if (trap.over)
		return;
	trap.done = true;
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), trap.first ? SIGUSR2 : SIGUSR1); /* they are blocked here */
}

/* A call over which, after AT instructions, meddle() runs. False: the call was over before. */
static bool meddle_over(int at)
{
	struct epoll_event ev[8];
	int before = handled, r;
	uint32_t ours;

	w.closed = dial(FAKE_DISCARD);
	ck_assert_int_eq(ep_add(w.ep, w.closed, EPOLLOUT), 0);
	ours = npp_lib.n_ours;
	trap.at = at;
	trap.steps = 0;
	trap.over = trap.done = false;
	if (w.over_close) {
		int fd = npp_dup(w.shut);

		raise(SIGTRAP);
		r = npp_close(fd);
	} else {
		raise(SIGTRAP);
		r = npp_epoll_pwait(w.ep, ev, 8, 0, NULL) - 1; /* at least one is there all the time */
	}
	trap.over = true;
	atomic_signal_fence(memory_order_seq_cst);
	ck_assert_msg(r >= 0, "after %d: %d %d", at, r, errno);
	ck_assert_int_eq(handled - before, trap.done);
	ck_assert_int_eq(in_section, 0);
	ck_assert_int_eq(w.wrong, 0);
	ck_assert_uint_eq(npp_thr.section, 0);
	ck_assert_uint_eq(npp_thr.held, 0);
	ck_assert(!is_blocked(SIGUSR1));
	ck_assert_uint_eq(npp_lib.n_ours, ours - trap.done);
	if (!trap.done)
		npp_close(w.closed);
	return trap.done;
}

/* The second signal has the first wait for its end, and does as close() does. */
static void second(int sig)
{
	trap.in_second = true;
	npp_close(npp_dup(w.shut));
	trap.in_second = false;
	note(sig);
}

static void first(int sig)
{
	w.wrong += trap.in_second;
	note(sig);
}

/* A call in the midst of which a signal comes, and after AT instructions another. */
static bool two_over(int at)
{
	int before = handled, fd = npp_dup(w.shut);

	trap.at = at;
	trap.steps = 0;
	trap.over = trap.done = false;
	npp_thr.sections = 0; /* no look for other handlers falls in here: all are as long */
	raise(SIGTRAP);
	npp_close(fd);
	trap.over = true;
	atomic_signal_fence(memory_order_seq_cst);
	w.ready += trap.section != 0;
	ck_assert_int_eq(handled - before, 1 + trap.done);
	ck_assert_int_eq(in_section, 0);
	ck_assert_int_eq(w.wrong, 0);
	ck_assert_uint_eq(npp_thr.section, 0);
	ck_assert_uint_eq(npp_thr.held, 0);
	ck_assert(!is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
	return trap.done;
}

START_TEST(another_signal_may_come_at_the_end_of_a_section)
{
	struct sigaction sa = { .sa_sigaction = step, .sa_flags = SA_SIGINFO }, two = { .sa_handler = second };
	int all = 0;

	memset(&w, 0, sizeof w);
	w.shut = dial(FAKE_DISCARD);
	set(SIGUSR1, first, 0);
	sigaddset(&two.sa_mask, SIGUSR1);
	ck_assert_int_eq(npp_sigaction(SIGUSR2, &two, NULL), 0);
	sigaddset(&sa.sa_mask, SIGUSR1);
	sigaddset(&sa.sa_mask, SIGUSR2);
	ck_assert_int_eq(npp_sigaction(SIGTRAP, &sa, NULL), 0);
	memset(&trap, 0, sizeof trap);
	for (trap.at = INT32_MAX; !trap.section; trap.first++) { /* the first instruction in a section */
		int fd = npp_dup(w.shut);

		trap.over = false;
		trap.steps = 0;
		npp_thr.sections = 0;
		raise(SIGTRAP);
		npp_close(fd);
		trap.over = true;
		ck_assert_int_lt(trap.first, 1000);
	}
	for (all = --trap.first; two_over(all); all += STRIDE)
		;
	ck_assert_int_gt(all, trap.first + 50);
	ck_assert_int_gt(w.ready * 2, (all - trap.first) / STRIDE); /* a section that looks for handlers begins later */
	npp_close(w.shut);
}
END_TEST

static void meddle_over_all(bool over_close, int stride)
{
	struct sigaction sa = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
	int at = getpid() % stride;

	set(SIGUSR1, meddle, 0);
	sigaddset(&sa.sa_mask, SIGUSR1);
	ck_assert_int_eq(npp_sigaction(SIGTRAP, &sa, NULL), 0);
	memset(&w, 0, sizeof w);
	w.over_close = over_close;
	w.ep = npp_epoll_create1(0);
	w.ready = dial(FAKE_DISCARD);
	w.shut = dial(FAKE_DISCARD);
	ck_assert_int_eq(ep_add(w.ep, w.ready, EPOLLOUT), 0);
	ck_assert_int_eq(ep_add(w.ep, w.shut, EPOLLIN), 0);
	while (meddle_over(at))
		at += stride;
	ck_assert_int_gt(at, 100);
	npp_close(w.ready);
	npp_close(w.shut);
	npp_close(w.ep);
}

START_TEST(handlers_over_epoll_wait_may_do_what_they_like)
{
	meddle_over_all(false, 4 * STRIDE);
}
END_TEST

START_TEST(handlers_over_close_may_do_what_they_like)
{
	meddle_over_all(true, STRIDE);
}
END_TEST
#endif

/* ---- a thousand a second ---------------------------------------------------------------------------------- */

static int listener, dialled;
static uint16_t listen_port;

/* Over whatever it is: opens a connection, waits with the main flow's instance, and closes again. */
static void open_wait_close(int sig)
{
	struct epoll_event ev[4];
	int saved = errno, fd;

	fd = npp_dup(dialled);
	w.wrong += fd < 0 || ep_add(w.ep, fd, EPOLLOUT) != 0;
	w.wrong += npp_epoll_pwait(w.ep, ev, 4, 0, NULL) < 1;
	w.wrong += npp_close(fd) != 0;
	note(sig);
	errno = saved;
}

static void *beside(void *arg)
{
	struct epoll_event ev[4];

	(void)arg;
	while (!enough) {
		int fd = npp_dup(dialled);

		if (ep_add(w.ep, fd, EPOLLOUT) == 0)
			npp_epoll_pwait(w.ep, ev, 4, 1, NULL);
		npp_close(fd);
	}
	return NULL;
}

START_TEST(a_timer_over_accept_epoll_and_close)
{
	struct itimerval ms = { { 0, 1000 }, { 0, 1000 } }, off = { { 0, 0 }, { 0, 0 } };
	uint64_t until = now_ms() + 700;
	struct epoll_event ev[4];
	uint16_t rport = 20000;
	sigset_t alarm;
	pthread_t t;
	int fd;

	memset(&w, 0, sizeof w);
	listener = serve(&listen_port, SOCK_NONBLOCK);
	dialled = dial(FAKE_DISCARD);
	w.ep = npp_epoll_create1(0);
	ck_assert_int_eq(ep_add(w.ep, listener, EPOLLIN), 0);
	set(SIGALRM, open_wait_close, SA_RESTART);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	enough = false;
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	ck_assert_int_eq(pthread_create(&t, NULL, beside, NULL), 0);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &ms, NULL);
	while (now_ms() < until || handled < 20) {
		ck_assert_uint_lt(now_ms(), until + 20000);
		npp_epoll_pwait(w.ep, ev, 4, 1, NULL);
		if (rport < 20000 + CONNECTIONS) {
			pthread_sigmask(SIG_BLOCK, &alarm, NULL); /* the fake's lock is not for handlers */
			fake_peer_connect(f, listen_port, 0, rport++);
			pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
			fd = npp_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		} else {
			fd = npp_dup(dialled);
		}
		ck_assert_msg(fd >= 0, "%d", errno);
		ck_assert_int_eq(ep_add(w.ep, fd, EPOLLIN), 0);
		ck_assert_int_eq(npp_close(fd), 0);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	enough = true;
	pthread_join(t, NULL);
	ck_assert_int_eq(w.wrong, 0);
	ck_assert_int_eq(in_section, 0);
	ck_assert(npp_lib.sig.known && !is_blocked(SIGALRM));
	npp_close(w.ep);
	npp_close(dialled);
	npp_close(listener);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("libnpp_handlers");
	TCase *t = tcase_create("handlers");

	tcase_add_checked_fixture(t, begin, end);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	tcase_add_test(t, sigaction_says_what_was_set);
	tcase_add_test(t, so_do_the_older_functions);
	tcase_add_test(t, so_does_the_system_call);
	tcase_add_test(t, what_a_child_of_vfork_sets_is_its_own);
	tcase_add_test(t, without_a_signal_nobody_asks_for_the_mask);
	tcase_add_test(t, a_signal_is_taken_at_the_end_of_the_section_as_it_came);
	tcase_add_test(t, so_are_two_and_one_that_comes_twice);
	tcase_add_test(t, one_that_has_no_handler_afterwards_is_taken_once);
	tcase_add_test(t, who_leaps_out_is_in_no_section);
	tcase_add_test(t, who_leaps_out_of_a_send_has_no_lock);
	tcase_add_test(t, who_leaps_out_of_a_post_may_post_again);
	tcase_add_test(t, a_handler_may_fork);
	tcase_add_test(t, the_handler_of_a_fault_runs_at_once);
	tcase_add_test(t, a_handler_installed_past_us_is_found);
	tcase_add_test(t, it_is_found_when_the_program_begins_to_serve);
	tcase_add_test(t, or_when_it_comes_over_a_section);
	tcase_add_test(t, one_from_before_the_library_is_taken_over);
	tcase_add_test(t, a_timer_is_put_off_like_all_others);
	tcase_add_test(t, real_time_signals_keep_their_order);
	tcase_add_test(t, a_signal_ends_a_wait);
#if defined(__x86_64__)
	tcase_add_test(t, handlers_over_epoll_wait_may_do_what_they_like);
	tcase_add_test(t, handlers_over_close_may_do_what_they_like);
	tcase_add_test(t, another_signal_may_come_at_the_end_of_a_section);
#endif
	tcase_add_test(t, a_timer_over_accept_epoll_and_close);
	return s;
}

int main(void)
{
	return npp_suite_run(suite());
}
