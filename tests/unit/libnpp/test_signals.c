/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_signals.c - libnpp over a fake host: signal handlers that open and close sockets over those who do the same
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "host.h"
#include "npp-osm/libnpp/priv.h"
#include "shm/bell.h"

#define SIGNALS 3000
#define FDS_SEEN 512

static void handle(int sig, void (*fn)(int))
{
	struct sigaction sa = { .sa_handler = fn };

	ck_assert_int_eq(sigaction(sig, &sa, NULL), 0);
}

static bool is_blocked(int sig)
{
	sigset_t now;

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
	return sigismember(&now, sig) == 1;
}

/* ---- one, at the worst moment -------------------------------------------------------- */

static int (*real_close)(int);
static volatile sig_atomic_t handled, under_lock;

static void note(int sig)
{
	(void)sig;
	under_lock += npp_thr.fd_depth != 0;
	handled++;
}

static int close_and_raise(int fd)
{
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
	return real_close(fd);
}

START_TEST(a_signal_is_taken_when_the_descriptor_is_closed)
{
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	int fd = dial(FAKE_DISCARD), before;

	handle(SIGUSR1, note);
	real_close = r->close;
	r->close = close_and_raise;
	handled = under_lock = 0;
	before = npp_close(fd);
	r->close = real_close;
	ck_assert_int_eq(before, 0);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(under_lock, 0);
	ck_assert(!is_blocked(SIGUSR1));
}
END_TEST

/* Behind a filter of system calls the mask may be none of what is allowed: that would be the end of the program. */
static unsigned masks;

static long no_mask(long nr, ...)
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

START_TEST(who_is_confined_does_not_ask_for_the_mask)
{
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	int fd = dial(FAKE_DISCARD), again = dial(FAKE_DISCARD);

	masks = 0;
	r->syscall = no_mask;
	ck_assert_int_eq(npp_close(again), 0);
	ck_assert_uint_eq(masks, 2);
	npp_confined_soon();
	masks = 0;
	ck_assert_int_eq(npp_close(fd), 0);
	ck_assert_uint_eq(masks, 0);
	r->syscall = syscall;
	ck_assert(!is_blocked(SIGUSR1));
}
END_TEST

/* A fault is no matter of waiting: its handler runs there, and may do what it likes as well. */
static int sock_of_fault;

static void note_fault(int sig)
{
	(void)sig;
	under_lock += npp_thr.fd_depth != 0;
	sock_of_fault = npp_socket(AF_INET, SOCK_STREAM, 0);
	handled++;
}

static int close_and_fault(int fd)
{
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSEGV);
	return real_close(fd);
}

START_TEST(the_handler_of_a_fault_runs_at_once_and_has_the_lock)
{
	struct real *r = (struct real *)(uintptr_t)npp_real_get();
	int fd = dial(FAKE_DISCARD), res;

	handle(SIGSEGV, note_fault);
	real_close = r->close;
	r->close = close_and_fault;
	handled = under_lock = 0;
	res = npp_close(fd);
	r->close = real_close;
	handle(SIGSEGV, SIG_DFL);
	ck_assert_int_eq(res, 0);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(under_lock, 1);
	ck_assert_int_ge(sock_of_fault, 0);
	npp_close(sock_of_fault);
}
END_TEST

START_TEST(a_child_of_fork_takes_signals)
{
	int fd = dial(FAKE_DISCARD), status;
	pid_t child = npp_fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(is_blocked(SIGUSR1) || npp_thr.fd_depth ? 1 : npp_close(fd) ? 2 : 0);
	ck_assert(!is_blocked(SIGUSR1));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	npp_close(fd);
}
END_TEST

/* Who waits for the lock of another thread takes signals meanwhile. */
static _Atomic bool locked;

static void *close_it(void *fd)
{
	while (!locked)
		sched_yield();
	return (void *)(intptr_t)npp_close(*(int *)fd);
}

START_TEST(who_waits_for_another_thread_takes_signals)
{
	int fd = dial(FAKE_DISCARD);
	pthread_t t;
	void *r;

	handle(SIGUSR1, note);
	handled = 0;
	locked = false;
	pthread_create(&t, NULL, close_it, &fd);
	fd_lock();
	locked = true;
	for (uint64_t end = now_ms() + 20000; !handled && now_ms() < end; usleep(1000)) {
		if (atomic_load(&npp_lib.fd_word) == 2) /* it waits */
			pthread_kill(t, SIGUSR1);
	}
	fd_unlock();
	pthread_join(t, &r);
	ck_assert_int_gt(handled, 0);
	ck_assert_ptr_null(r);
}
END_TEST

/* ---- thousands ------------------------------------------------------------------------- */

/* The same on npp and on the kernel. */
struct calls {
	int (*socket)(int, int, int);
	int (*bind)(int, const struct sockaddr *, socklen_t);
	int (*dup)(int);
	int (*dup2)(int, int);
	int (*close)(int);
	const char *ip;
};
static const struct calls npp_calls = { npp_socket, npp_bind, npp_dup, npp_dup2, npp_close, FAKE_ADDR };

static const struct calls *calls;
static int kept, spare;	/* a socket with a port, and a number for dup2() in the handler */
static volatile sig_atomic_t wrong;
static volatile bool enough;

static void open_and_close(int sig)
{
	int saved = errno, a, b;

	(void)sig;
	a = calls->socket(AF_INET, SOCK_STREAM, 0);
	b = calls->dup(kept);
	wrong += a < 0 || b < 0 || a == b;
	wrong += calls->dup2(kept, spare) != spare;
	wrong += calls->close(a) != 0;
	wrong += calls->close(b) != 0;
	handled++;
	errno = saved;
}

static void *open_and_close_beside(void *arg)
{
	(void)arg;
	while (!enough) {
		int fd = calls->socket(AF_INET, SOCK_STREAM, 0);

		calls->close(fd);
	}
	return NULL;
}

static void *send_signals(void *to)
{
	while (!enough) {
		sig_atomic_t was = handled;

		pthread_kill(*(pthread_t *)to, SIGUSR1);
		while (handled == was && !enough)
			sched_yield();
	}
	return NULL;
}

static uint32_t open_fds(void)
{
	uint32_t n = 0;

	for (int fd = 0; fd < FDS_SEEN; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void main_flow(void)
{
	struct sockaddr_in any = addr_of(calls->ip, 0);
	int fd = calls->socket(AF_INET, SOCK_STREAM, 0), to = calls->dup(spare), r;

	r = calls->bind(fd, SA(any));
	ck_assert_msg(fd >= 0 && to >= 0 && r == 0, "%d %d %d: %d", fd, to, r, errno);
	ck_assert_int_eq(calls->dup2(fd, to), to);
	ck_assert_int_eq(calls->close(fd), 0);
	ck_assert_int_eq(calls->close(to), 0);
}

static void storm(const struct calls *c)
{
	pthread_t self = pthread_self(), sender, beside;
	struct sockaddr_in any = addr_of(c->ip, 0);
	uint64_t end = now_ms() + 20000;
	uint32_t fds = open_fds();

	calls = c;
	kept = c->socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(c->bind(kept, SA(any)), 0);
	spare = c->dup(kept);
	handled = wrong = 0;
	enough = false;
	handle(SIGUSR1, open_and_close);
	ck_assert_int_eq(pthread_create(&beside, NULL, open_and_close_beside, NULL), 0);
	ck_assert_int_eq(pthread_create(&sender, NULL, send_signals, &self), 0);
	while (handled < SIGNALS && now_ms() < end) {
		main_flow();
		if (f->next_port > 60000) /* of the fake OSM, which has each once */
			f->next_port = 40000;
	}
	enough = true;
	pthread_join(sender, NULL);
	pthread_join(beside, NULL);
	ck_assert_int_gt(handled, 0); /* however slow it is here */
	ck_assert_int_eq(wrong, 0);
	ck_assert(!is_blocked(SIGUSR1));
	ck_assert_int_eq(c->close(spare), 0);
	ck_assert_int_eq(c->close(kept), 0);
	ck_assert_uint_eq(open_fds(), fds);
}

START_TEST(handlers_open_and_close_sockets_as_the_main_flow_does)
{
	int fd = dial(FAKE_DISCARD); /* what the library opens for itself is open then */
	uint32_t ours = npp_lib.n_ours;

	storm(&npp_calls);
	ck_assert_uint_eq(npp_lib.n_ours, ours);
	npp_close(fd);
}
END_TEST

START_TEST(as_they_do_on_the_kernel)
{
	const struct calls c = { R->socket, R->bind, R->dup, R->dup2, R->close, "127.0.0.1" };

	storm(&c);
}
END_TEST

/* Who leaves the wait for the lock by siglongjmp() can be cancelled as before. */
static sigjmp_buf out;
static _Atomic bool leapt;

static void leap(int sig)
{
	(void)sig;
	siglongjmp(out, 1);
}

static void *wait_and_leap(void *fd)
{
	int was = -1;

	while (!locked)
		sched_yield();
	if (!sigsetjmp(out, 1))
		return (void *)(intptr_t)(npp_close(*(int *)fd) - 9); /* no signal came */
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &was);
	leapt = true;
	return (void *)(intptr_t)(was != PTHREAD_CANCEL_ENABLE);
}

START_TEST(who_leaps_out_of_the_wait_can_be_cancelled)
{
	int fd = dial(FAKE_DISCARD);
	pthread_t t;
	void *r;

	handle(SIGUSR1, leap);
	leapt = locked = false;
	pthread_create(&t, NULL, wait_and_leap, &fd); /* it has this thread's mask of signals */
	fd_lock();
	locked = true;
	for (uint64_t end = now_ms() + 20000; atomic_load(&npp_lib.fd_word) != 2 && now_ms() < end;)
		usleep(200);
	pthread_kill(t, SIGUSR1);
	for (uint64_t end = now_ms() + 20000; !leapt && now_ms() < end;)
		usleep(200);
	fd_unlock();
	pthread_join(t, &r);
	ck_assert_ptr_null(r);
	npp_close(fd);
}
END_TEST

/* ---- a post, interrupted before each of its instructions -------------------------------- */

#if defined(__x86_64__)
#define TRACE_FLAG 0x100

static struct { int steps, at; uint32_t posts; bool over, done; struct npp_msg m; struct lctx *c; } trap;

static void step(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;

	(void)sig;
	(void)si;
	uc->uc_mcontext.gregs[REG_EFL] |= TRACE_FLAG;
	if (!trap.over && trap.steps++ < trap.at)
		return;
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRACE_FLAG;
	if (trap.over)
		return;
	trap.done = true;
	for (trap.m.arg = 1; trap.m.arg <= trap.posts; trap.m.arg++)
		ctx_post(trap.c, 0, &trap.m);
}

/* One post over which, after STEP instructions, a handler makes POSTS. False: it was over before. */
static bool post_over(int at, uint32_t posts, struct npp_i2oq *q)
{
	struct npp_msg m = trap.m;
	uint32_t head = atomic_load(&q->post_head), last = 0, n;

	m.arg = 0;
	trap.at = at;
	trap.posts = posts;
	trap.steps = 0;
	trap.over = trap.done = false;
	raise(SIGTRAP);
	ctx_post(trap.c, 0, &m);
	trap.over = true;
	atomic_signal_fence(memory_order_seq_cst);
	n = atomic_load(&q->post_head) - head;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t arg = q->frame[q->post[(head + i) % NPP_I2OQ_DEPTH] % NPP_I2OQ_DEPTH].arg;

		ck_assert_msg(arg == 0 || arg > last, "after %d steps %u came after %u", at, arg, last);
		last = arg ? arg : last;
	}
	ck_assert(n <= posts + 1);
	ck_assert_msg(!trap.done || n == posts + 1 || atomic_load(&q->overflow), "after %d steps %u of %u", at, n, posts + 1);
	return trap.done;
}

START_TEST(no_message_of_a_handler_over_a_post_is_lost)
{
	static const uint32_t posts[] = { 1, 3, 9 };
	struct sigaction sa = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
	int fd = dial(FAKE_DISCARD);
	struct so *so = fd_get(fd);
	struct npp_i2oq *q;
	bool more = true;

	ck_assert_int_eq(sigaction(SIGTRAP, &sa, NULL), 0);
	trap.c = ctx_self();
	trap.m = (struct npp_msg){ .type = NPP_MSG_LOOK, .sock = so->idx, .sock_gen = so->gen, .ctx = (uint16_t)trap.c->no };
	ck_assert_int_eq(ctx_post(trap.c, 0, &trap.m), 0); /* the lane is known */
	q = trap.c->in[0].q;
	for (int at = 0; more; at++)
		for (uint32_t i = 0; i < sizeof posts / sizeof *posts; i++) {
			EVENTUALLY(atomic_load(&q->free_head) - atomic_load(&q->post_head) == NPP_I2OQ_DEPTH ||
				   (npp_bell_claim(&npp_lib.slot[0].in->sleeping), lib_ring(npp_lib.slot[0].bell), false));
			pthread_mutex_lock(&f->lock);
			more = post_over(at, posts[i], q);
			pthread_mutex_unlock(&f->lock);
		}
	npp_close(fd);
}
END_TEST
#endif

static Suite *suite(void)
{
	Suite *s = suite_create("libnpp_signals");
	TCase *t = host_case(s, "signals");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_signal_is_taken_when_the_descriptor_is_closed);
	tcase_add_test(t, who_is_confined_does_not_ask_for_the_mask);
	tcase_add_test(t, the_handler_of_a_fault_runs_at_once_and_has_the_lock);
	tcase_add_test(t, a_child_of_fork_takes_signals);
	tcase_add_test(t, who_waits_for_another_thread_takes_signals);
	tcase_add_test(t, who_leaps_out_of_the_wait_can_be_cancelled);
#if defined(__x86_64__)
	tcase_add_test(t, no_message_of_a_handler_over_a_post_is_lost);
#endif
	tcase_add_test(t, handlers_open_and_close_sockets_as_the_main_flow_does);
	tcase_add_test(t, as_they_do_on_the_kernel);
	return s;
}

int main(void)
{
	return npp_suite_run(suite());
}
