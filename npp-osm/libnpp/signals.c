/* SPDX-License-Identifier: GPL-2.0-or-later
 * signals.c - sections over which no handler of the program runs
 *
 * A handler may open and close sockets. One that comes while its own thread changes the tables of descriptors or
 * the lists of an epoll instance would find them half changed, or wait for a lock that is its own. So there are
 * sections; a signal that comes in one is taken at its end, as with Linux, where one that comes in the midst of
 * close() waits until that returns. Who waits for another thread is in none.
 *
 * The preload library sees by which function a program installs handlers, and installs handle() in their place:
 * out of a section it calls the program's, in one it gives the signal back to the kernel, for this thread, as it
 * came, and blocks it in what it returns to. Only then does the end of the section need system calls.
 *
 * This is done as long as all handlers are known to be such. A program can install others past us (by a system
 * call of its own, or a function that it found in the C library): that is looked for when it begins to serve, and
 * now and then, and calls that come over a section tell of it. Once there is one, and for handlers of real-time
 * signals, which have an order that this would change, signals are blocked at the beginning of each section instead.
 * So they are where nobody has told us of handlers at all.
 *
 * Those that a fault raises are taken at once, for blocked ones would end the program: their handlers are called
 * by the kernel, and have the locks that what they interrupted has.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"

#define SIGSET_BYTES 8	/* the kernel's: 64 signals */
#define SIGNALS 64
#define RT_FIRST 32	/* the kernel's; 32 and 33 are the C library's own, for setuid() of all threads */
#define BIT(sig) (1ull << ((sig) - 1))
#define FAULTS (BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGSYS))
#define LIBC_OWN (3ull << 31)
#define ALL_BUT_FAULTS (~(FAULTS | LIBC_OWN))
#define HOLDABLE (ALL_BUT_FAULTS & ~(BIT(SIGKILL) | BIT(SIGSTOP)))
#define WITH_INFO (1ull << 63)	/* in a word: the program's handler has SA_SIGINFO. No address of a program has that bit */
#define SHORT_FRAME 512
#define LOOK_EVERY 64		/* sections between two looks for handlers that we do not know */

typedef void handler_fn(int sig, siginfo_t *si, void *uc);

/* As the kernel has it. */
struct kernel_action { uintptr_t handler; unsigned long flags; void *restorer; uint64_t mask; };

static bool confined(void)
{
	return atomic_load_explicit(&npp_lib.confined, memory_order_relaxed);
}

static void set_mask(int how, const uint64_t *set, uint64_t *old)
{
	R->syscall(SYS_rt_sigprocmask, how, set, old, (size_t)SIGSET_BYTES);
}

static void handle(int sig, siginfo_t *si, void *uc);

static bool is_function(uintptr_t h)
{
	return h != (uintptr_t)SIG_DFL && h != (uintptr_t)SIG_IGN;
}

/* ---- sections ---------------------------------------------------------------------------------- */

void signals_unknown(void)
{
	atomic_store_explicit(&npp_lib.sig.known, false, memory_order_relaxed);
}

static bool holdable(int sig)
{
	return sig >= 1 && sig <= SIGNALS && HOLDABLE & BIT(sig);
}

/* Is the handler of SIG one that we do not know? */
static void look_at(int sig)
{
	struct kernel_action a;
	int saved = errno;

	if (holdable(sig) && R->syscall(SYS_rt_sigaction, sig, NULL, &a, (size_t)SIGSET_BYTES) == 0 &&
	    is_function(a.handler) && a.handler != (uintptr_t)handle)
		signals_unknown();
	errno = saved;
}

void signals_look(void)
{
	for (int sig = 1; sig <= SIGNALS && !confined() && atomic_load_explicit(&npp_lib.sig.known, memory_order_relaxed); sig++)
		look_at(sig);
}

/* A filter may end the program for asking for the mask: then signals come as they come. */
void section_begin_outer(void)
{
	uint64_t all = ALL_BUT_FAULTS, mask = 0;
	bool ask = !confined();

	if (ask && atomic_load_explicit(&npp_lib.sig.known, memory_order_relaxed)) {
		ask = false;
		if (unlikely(++npp_thr.sections % LOOK_EVERY == 0))
			look_at((int)(npp_thr.sections / LOOK_EVERY % SIGNALS) + 1);
	}
	if (ask)
		set_mask(SIG_SETMASK, &all, &mask);
	npp_thr.section = 1;
	atomic_signal_fence(memory_order_seq_cst);
	npp_thr.mask = mask;
	npp_thr.masked = ask;
}

/* Signals have been held. Until none are, further ones are: so nothing comes in between here. */
static void let_come(void)
{
	uint64_t all = ALL_BUT_FAULTS, mask, held = atomic_load_explicit(&npp_thr.held, memory_order_relaxed);

	set_mask(SIG_SETMASK, &all, &mask);
	held |= atomic_exchange_explicit(&npp_thr.held, 0, memory_order_relaxed);
	mask &= ~held;
	set_mask(SIG_SETMASK, &mask, NULL);
}

void section_end_outer(void)
{
	uint64_t mask = npp_thr.mask;
	bool masked = npp_thr.masked;

	npp_thr.masked = false;
	atomic_signal_fence(memory_order_seq_cst);
	npp_thr.section = 0;
	atomic_signal_fence(memory_order_seq_cst);
	if (masked)
		set_mask(SIG_SETMASK, &mask, NULL);
	if (unlikely(atomic_load_explicit(&npp_thr.held, memory_order_relaxed) != 0))
		let_come();
}

void short_held(void)
{
	if (!npp_thr.section)
		let_come();
}

/* ---- handlers ------------------------------------------------------------------------------------ */

/* SA_RESETHAND: by now it has none any more, and what is given back would end the program. */
static void set_again(int sig)
{
	struct kernel_action a;

	if (R->syscall(SYS_rt_sigaction, sig, NULL, &a, (size_t)SIGSET_BYTES) == 0 && a.handler == (uintptr_t)SIG_DFL &&
	    a.flags & SA_RESETHAND) {
		a.handler = (uintptr_t)handle;
		R->syscall(SYS_rt_sigaction, sig, &a, NULL, (size_t)SIGSET_BYTES);
	}
}

/* False: the kernel does not take it back. */
static bool hold(int sig, siginfo_t *si, ucontext_t *uc)
{
	uint64_t set = BIT(sig);
	int saved = errno;
	bool held;

	set_mask(SIG_BLOCK, &set, NULL); /* SA_NODEFER: it would come at once */
	set_again(sig);
	held = R->syscall(SYS_rt_tgsigqueueinfo, getpid(), R->syscall(SYS_gettid), sig, si) == 0;
	if (held) {
		atomic_fetch_or_explicit(&npp_thr.held, set, memory_order_relaxed);
		sigaddset(&uc->uc_sigmask, sig);
	}
	errno = saved;
	return held;
}

static uintptr_t stack_at(const ucontext_t *uc)
{
#if defined(__x86_64__)
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
	return (uintptr_t)uc->uc_mcontext.sp;
#else
	(void)uc;
	return UINTPTR_MAX;
#endif
}

/* Has a short section been interrupted? It goes on in a frame right above the one that has begun it; whoever has left one by
 * siglongjmp(), out of the handler of a fault, is further up. */
static bool over_short(const ucontext_t *uc)
{
	uintptr_t at = npp_thr.short_at;

	if (at && stack_at(uc) > at + SHORT_FRAME)
		npp_thr.short_at = at = 0;
	return at != 0;
}

/* What the kernel calls for all handlers of the program. */
static void handle(int sig, siginfo_t *si, void *uc)
{
	uint64_t word;
	handler_fn *fn;

	if (unlikely(npp_thr.vf.pid != 0))
		vfork_killed();
	if ((npp_thr.section || over_short(uc) || atomic_load_explicit(&npp_thr.held, memory_order_relaxed)) && !confined() && hold(sig, si, uc))
		return;
	word = atomic_load_explicit(&npp_lib.sig.word[sig - 1], memory_order_relaxed) & ~WITH_INFO;
	memcpy(&fn, &word, sizeof fn); /* ISO C has no cast to function pointer */
	fn(sig, si, uc);
}

/* What the program has installed, where the kernel says that it is handle(). */
static void as_installed(struct sigaction *a, uint64_t word)
{
	handler_fn *const ours = handle;
	uint64_t fn = word & ~WITH_INFO;

	if (memcmp(&a->sa_sigaction, &ours, sizeof ours) != 0)
		return;
	memcpy(&a->sa_sigaction, &fn, sizeof a->sa_sigaction);
	if (!(word & WITH_INFO))
		a->sa_flags &= ~SA_SIGINFO;
}

/* A child of vfork has handlers of its own, and our memory. */
static bool ours_to_change(void)
{
	return npp_lib.sig.wraps && getpid() == npp_lib.pid;
}

int npp_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	_Atomic uint64_t *at = holdable(sig) ? &npp_lib.sig.word[sig - 1] : NULL;
	uint64_t before = at ? atomic_load_explicit(at, memory_order_relaxed) : 0, word = 0;
	struct sigaction to;
	int r;

	if (!npp_lib.sig.wraps || !at)
		return R->sigaction(sig, act, old);
	if (act && is_function((uintptr_t)act->sa_handler) && ours_to_change()) {
		to = *act;
		memcpy(&word, &act->sa_sigaction, sizeof act->sa_sigaction);
		if (act->sa_flags & SA_SIGINFO)
			word |= WITH_INFO;
		to.sa_sigaction = handle;
		to.sa_flags |= SA_SIGINFO;
		act = &to;
		if (sig >= RT_FIRST)
			signals_unknown();
		before = atomic_exchange_explicit(at, word, memory_order_relaxed); /* first: it may come at once */
	}
	r = R->sigaction(sig, act, old);
	if (r < 0 && word)
		atomic_compare_exchange_strong_explicit(at, &word, before, memory_order_relaxed, memory_order_relaxed);
	if (r == 0 && old)
		as_installed(old, before);
	return r;
}

static npp_handler *install(int sig, npp_handler *fn, int flags, bool itself)
{
	struct sigaction to = { .sa_handler = fn, .sa_flags = flags }, old;

	if (fn == SIG_ERR || sig < 1 || sig > SIGNALS) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&to.sa_mask);
	if (itself)
		sigaddset(&to.sa_mask, sig);
	return npp_sigaction(sig, &to, &old) < 0 ? SIG_ERR : old.sa_handler;
}

npp_handler *npp_signal(int sig, npp_handler *fn)
{
	bool interrupts = sig >= 1 && sig <= SIGNALS &&
			  atomic_load_explicit(&npp_lib.sig.interrupting, memory_order_relaxed) & BIT(sig);

	return npp_lib.sig.wraps ? install(sig, fn, interrupts ? 0 : SA_RESTART, true) : R->signal(sig, fn);
}

npp_handler *npp_sysv_signal(int sig, npp_handler *fn)
{
	return npp_lib.sig.wraps ? install(sig, fn, (int)SA_RESETHAND | SA_NODEFER, false) : R->sysv_signal(sig, fn);
}

npp_handler *npp_sigset(int sig, npp_handler *fn)
{
	npp_handler *was = SIG_ERR;
	struct sigaction old;
	sigset_t set, before;

	if (!npp_lib.sig.wraps)
		return R->sigset(sig, fn);
	if (sigemptyset(&set) < 0 || sigaddset(&set, sig) < 0)
		return SIG_ERR;
	if (fn != SIG_HOLD)
		was = install(sig, fn, 0, false);
	else if (npp_sigaction(sig, NULL, &old) == 0)
		was = old.sa_handler;
	if (was == SIG_ERR || sigprocmask(fn == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &set, &before) < 0)
		return SIG_ERR;
	return sigismember(&before, sig) ? SIG_HOLD : was;
}

int npp_siginterrupt(int sig, int interrupt)
{
	struct sigaction a;

	if (!npp_lib.sig.wraps)
		return R->siginterrupt(sig, interrupt);
	if (npp_sigaction(sig, NULL, &a) < 0)
		return -1;
	if (interrupt) {
		a.sa_flags &= ~SA_RESTART;
		atomic_fetch_or_explicit(&npp_lib.sig.interrupting, BIT(sig), memory_order_relaxed);
	} else {
		a.sa_flags |= SA_RESTART;
		atomic_fetch_and_explicit(&npp_lib.sig.interrupting, ~BIT(sig), memory_order_relaxed);
	}
	return npp_sigaction(sig, &a, NULL);
}

/**
 * npp_sigaction_by_number() - rt_sigaction(), not by the C library
 *
 * Return: false: it is for the kernel, as it is
 */
bool npp_sigaction_by_number(int sig, const void *act, void *old, size_t size, long *r)
{
	struct sigaction to = { .sa_flags = 0 }, was;
	struct kernel_action a;

	if (!npp_lib.sig.wraps || size != SIGSET_BYTES || !holdable(sig))
		return false;
	if (act) {
		memcpy(&a, act, sizeof a);
		memcpy(&to.sa_sigaction, &a.handler, sizeof a.handler);
		to.sa_flags = (int)a.flags; /* with the C library's own way back */
		memcpy(&to.sa_mask, &a.mask, sizeof a.mask);
	}
	*r = npp_sigaction(sig, act ? &to : NULL, &was);
	if (*r == 0 && old) {
		memset(&a, 0, sizeof a);
		memcpy(&a.handler, &was.sa_sigaction, sizeof a.handler);
		a.flags = (unsigned)was.sa_flags;
		memcpy(&a.mask, &was.sa_mask, sizeof a.mask);
		memcpy(old, &a, sizeof a);
	}
	return true;
}

/* ---- the beginning ----------------------------------------------------------------------------------- */

/* Is there a filter of system calls, from before exec? It might end us for what hold() does. */
static bool filtered(void)
{
	char text[4096];
	ssize_t n = -1;
	char *p;
	int fd;

	fd = (int)R->syscall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = R->read(fd, text, sizeof text - 1);
		R->close(fd);
	}
	text[n > 0 ? n : 0] = 0;
	p = strstr(text, "\nSeccomp:\t");
	return !p || p[10] != '0';
}

/* Handlers that others have installed before us. */
static void take_over(void)
{
	struct sigaction a;

	for (int sig = 1; sig <= SIGNALS; sig++)
		if (holdable(sig) && R->sigaction(sig, NULL, &a) == 0 && is_function((uintptr_t)a.sa_handler))
			npp_sigaction(sig, &a, NULL);
}

/**
 * npp_signals_start() - from now on all handlers come to npp_sigaction() and its kin
 *
 * Before the program has threads, and after npp_start().
 */
void npp_signals_start(void)
{
	int saved = errno;

	if (npp_lib.state != LIB_ON || npp_lib.sig.wraps || filtered())
		return;
	npp_lib.sig.wraps = true;
	atomic_store_explicit(&npp_lib.sig.known, true, memory_order_relaxed);
	take_over();
	errno = saved;
}
