/* SPDX-License-Identifier: GPL-2.0-or-later
 * worker.c - one event loop over a share of the connections
 *
 * A connection is always in one state; what a readable or writable socket means in it
 * is the business of the mode (mode.c). In a closed loop the next request starts when
 * the last one ended. In an open loop requests fall due at a fixed rate whatever the
 * server does, wait for a free connection if there is none, and their latency counts
 * from the time they were due, so a stalled server cannot hide its stall (no
 * coordinated omission). A connection may think between requests, and may read slower
 * than it could: then it sleeps, in a list.
 */
#include "config.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness/load/mode.h"

#define EVENTS 256
#define SWEEP_NS 50000000ull	/* how often timeouts are looked for */
#define HOPELESS 1000		/* failures without a success after which -n gives up */
#define CONNECTING_MAX 128	/* connects in flight per worker */
#define WAKE_NS 2000000ull	/* sleepers are looked at no more often than this */
#define SLOW_RCVBUF 65536	/* of connections that read slowly */

uint64_t load_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void watch(struct worker *w, struct conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (c->watched == events)
		return;
	/* Without any event it would still tell of errors, again and again. */
	epoll_ctl(w->epfd, !events ? EPOLL_CTL_DEL : c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev);
	c->watched = events;
}

void worker_want_write(struct worker *w, struct conn *c, bool want)
{
	watch(w, c, (c->paused ? 0u : EPOLLIN) | (want ? EPOLLOUT : 0u));
}

/* ---- sleepers ------------------------------------------------------------------------ */

static void sleep_until(struct worker *w, struct conn *c, uint64_t ns)
{
	c->wake_ns = ns;
	if (!w->asleep || ns < w->next_wake_ns)
		w->next_wake_ns = ns;
	if (c->asleep)
		return;
	c->asleep = true;
	c->next_asleep = w->asleep;
	w->asleep = c;
}

size_t worker_read_size(const struct worker *w)
{
	double n = w->o->read_rate / 20;	/* twenty times a second */

	return w->o->read_rate <= 0 || n > LOAD_CHUNK ? LOAD_CHUNK : n < 1 ? 1 : (size_t)n;
}

void worker_read_some(struct worker *w, struct conn *c, size_t n)
{
	if (w->o->read_rate <= 0)
		return;
	c->paused = true;
	watch(w, c, c->watched & EPOLLOUT);
	sleep_until(w, c, load_now_ns() + (uint64_t)((double)n * 1e9 / w->o->read_rate));
}

/* Those whose time has come leave the list, and so do closed ones. */
static void wake(struct worker *w, uint64_t now)
{
	struct conn **p = &w->asleep, *c, *due = NULL;
	uint64_t next = now + 1000000000ull;

	while ((c = *p)) {
		if (c->fd < 0 || c->wake_ns <= now) {
			*p = c->next_asleep;
			c->asleep = false;
			c->next_asleep = due;
			due = c;
			continue;
		}
		next = c->wake_ns < next ? c->wake_ns : next;
		p = &c->next_asleep;
	}
	w->next_wake_ns = next > now + WAKE_NS ? next : now + WAKE_NS;
	while ((c = due)) {
		due = c->next_asleep;
		if (c->fd < 0)
			continue;
		if (c->paused) {
			c->paused = false;
			watch(w, c, EPOLLIN | c->watched);
		}
		if (c->state == CONN_THINKING)
			worker_idle(w, c);
	}
}

/* xorshift64*: think times need no better. */
static uint64_t random_between(struct worker *w, uint64_t lo, uint64_t hi)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return lo + (w->random * 0x2545f4914f6cdd1dull >> 11) % (hi - lo + 1);
}

/* ---- connections ----------------------------------------------------------------------- */

/* A connection that waits for work ends: rare, so a walk will do. */
static void idle_remove(struct worker *w, const struct conn *c)
{
	struct conn **p = &w->idle;

	while (*p && *p != c)
		p = &(*p)->next_free;
	if (*p)
		*p = c->next_free;
}

static void conn_release(struct worker *w, struct conn *c)
{
	if (c->state == CONN_IDLE)
		idle_remove(w, c);
	if (c->state == CONN_CONNECTING)
		w->connecting--;
	else if (c->fd >= 0)
		atomic_store_explicit(&w->st->open, --w->open, memory_order_relaxed);
	if (c->fd >= 0) {
		close(c->fd);
		load_count(&w->st->closes, 1);
	}
	c->fd = -1;
	c->watched = 0;
	c->paused = false;
	c->state = CONN_CLOSED;
	c->deadline_ns = 0;
	c->next_free = w->closed;
	w->closed = c;
}

void worker_close(struct worker *w, struct conn *c)
{
	conn_release(w, c);
}

void worker_fail_why(struct worker *w, struct conn *c, enum load_error err, uint32_t why)
{
	load_count(&w->st->errors[err], 1);
	if (why)
		atomic_store_explicit(&w->st->why[err], why, memory_order_relaxed);
	if (w->o->mode == LOAD_IDLE || w->o->mode == LOAD_SEND || w->o->mode == LOAD_RECV)
		w->finished++; /* not tried again: the count of connections is the work */
	else
		w->started -= c->in_request ? 1 : 0;
	c->in_request = false;
	/* with datagrams, a reset is a refusal */
	if ((err == LOAD_ERR_CONNECT || err == LOAD_ERR_LOCAL || (err == LOAD_ERR_RESET && w->o->mode == LOAD_UDP)) && !w->no_port)
		w->backoff_ns = w->now_ns + 10000000ull;
	conn_release(w, c);
}

void worker_fail(struct worker *w, struct conn *c, enum load_error err)
{
	worker_fail_why(w, c, err, 0);
}

void worker_failed_io(struct worker *w, struct conn *c, enum load_error err)
{
	worker_fail_why(w, c, err, errno == ECONNRESET ? 0 : (uint32_t)errno);
}

void worker_done(struct worker *w, struct conn *c)
{
	load_hist_add(&w->st->latency, load_now_ns() - c->due_ns);
	load_count(&w->st->requests, 1);
	c->in_request = false;
	c->deadline_ns = 0;
	c->used++;
	w->finished++;
}

/* As many requests failed as were wanted, and none succeeded: there is nothing to wait for. */
static bool hopeless(const struct worker *w)
{
	uint64_t failed = 0;

	if (!w->quota || w->finished)
		return false;
	for (unsigned i = 0; i < LOAD_ERROR_COUNT; i++)
		failed += atomic_load_explicit(&w->st->errors[i], memory_order_relaxed);
	return failed >= w->quota && failed >= HOPELESS;
}

/* May another request start? In an open loop also: is it due? */
static bool request_available(struct worker *w, uint64_t *due)
{
	if (w->stopping || (w->quota && w->started >= w->quota))
		return false;
	*due = w->now_ns;
	if (w->interval_ns > 0) {
		if (w->next_due_ns > w->now_ns)
			return false;
		*due = (uint64_t)w->next_due_ns;
		w->next_due_ns += w->interval_ns;
	}
	w->started++;
	return true;
}

static void request_begin(struct worker *w, struct conn *c, uint64_t due)
{
	c->due_ns = due;
	c->deadline_ns = w->now_ns + w->o->timeout_ms * 1000000ull;
	c->in_request = true;
	c->state = CONN_BUSY;
	mode_start(w, c);
}

void worker_idle(struct worker *w, struct conn *c)
{
	uint64_t due;

	w->now_ns = load_now_ns();
	if (w->o->think_max_ns && c->used && c->state != CONN_THINKING) {
		c->state = CONN_THINKING;
		c->deadline_ns = 0;
		sleep_until(w, c, w->now_ns + random_between(w, w->o->think_min_ns, w->o->think_max_ns));
		return;
	}
	if (request_available(w, &due)) {
		request_begin(w, c, due);
		return;
	}
	c->state = CONN_IDLE;
	c->deadline_ns = 0;
	c->next_free = w->idle;
	w->idle = c;
}

static void conn_established(struct worker *w, struct conn *c)
{
	int err = 0, one = 1;
	socklen_t len = sizeof err;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		if (!worker_elsewhere(w, c))
			worker_fail_why(w, c, err == ETIMEDOUT ? LOAD_ERR_TIMEOUT : LOAD_ERR_CONNECT, (uint32_t)err);
		return;
	}
	w->at[c->target] = c->at;
	w->connecting--;
	c->state = CONN_BUSY;
	atomic_store_explicit(&w->st->open, ++w->open, memory_order_relaxed);
	load_hist_add(&w->st->connect, load_now_ns() - c->connect_ns);
	load_count(&w->st->connects, 1);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	watch(w, c, EPOLLIN);
	mode_connected(w, c);
}

/* The next source address of the target's family; 0 if there is none to be bound. */
static int bind_source(struct worker *w, const struct conn *c, int family)
{
	const struct load_opts *o = w->o;
	const struct load_addr *a = NULL;
	int one = 1;

	for (unsigned i = 0; i < o->n_sources && !a; i++) {
		const struct load_addr *s = &o->source[w->next_source++ % o->n_sources];

		if (s->sa.ss_family == family)
			a = s;
	}
	if (!a)
		return o->n_sources ? -EAFNOSUPPORT : 0;
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	return bind(c->fd, (const struct sockaddr *)&a->sa, a->len) < 0 ? -errno : 0;
}

/* 0 or -errno. Where most source ports are taken the kernel's search for one is what takes the time. */
static int timed_connect(struct worker *w, int fd, const struct load_addr *to)
{
	uint64_t from = cpu_ns();
	int rc = connect(fd, (const struct sockaddr *)&to->sa, to->len) < 0 ? -errno : 0;

	load_count(&w->st->connect_calls, 1);
	load_count(&w->st->connect_cpu_ns, cpu_ns() - from);
	return rc;
}

/* What an attempt came to that did not even begin. */
struct attempt { enum load_error err; uint32_t why; };

/* A socket on its way to the address of C that is to be tried now. False: it failed at once, as R says. */
static bool attempt(struct worker *w, struct conn *c, struct attempt *r)
{
	const struct load_opts *o = w->o;
	const struct load_addr *to = &o->target[c->target].addr[c->at];
	int rc;

	r->err = LOAD_ERR_LOCAL;
	c->fd = socket(to->sa.ss_family, (o->mode == LOAD_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	r->why = (uint32_t)errno;
	if (c->fd < 0)
		return false;
	rc = bind_source(w, c, to->sa.ss_family);
	r->why = (uint32_t)-rc;
	if (rc < 0)
		return false;
	if (o->read_rate > 0)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &(int){ SLOW_RCVBUF }, sizeof(int));
	if (o->mode == LOAD_CONNECT && o->close_per_request) {
		struct linger rst = { .l_onoff = 1, .l_linger = 0 };

		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
	}
	rc = timed_connect(w, c->fd, to);
	if (rc == 0) {
		conn_established(w, c);
		return true;
	}
	if (rc == -EINPROGRESS) {
		watch(w, c, EPOLLOUT);
		return true;
	}
	r->why = (uint32_t)-rc;
	if (rc == -EADDRNOTAVAIL)
		r->why = LOAD_NO_PORT;
	else
		r->err = LOAD_ERR_CONNECT;
	return false;
}

/* Connections to C's target shall begin with another address than this one, if there is one. */
static void pass_over(struct worker *w, const struct conn *c)
{
	if (w->at[c->target] == c->at)
		w->at[c->target] = (c->at + 1) % w->o->target[c->target].n_addrs;
}

/* Goes on to the next address that C has not tried. */
static bool next_address(struct worker *w, struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->watched = 0;
	if (++c->tried >= w->o->target[c->target].n_addrs)
		return false;
	pass_over(w, c);
	c->at = (c->at + 1) % w->o->target[c->target].n_addrs;
	return true;
}

static void attempts(struct worker *w, struct conn *c)
{
	const struct load_opts *o = w->o;
	struct attempt r;

	while (!attempt(w, c, &r))
		if (!next_address(w, c)) {
			/* The kernel looks long for a port where there is none: once is enough, if others have no other. */
			w->no_port |= r.why == LOAD_NO_PORT && o->mode == LOAD_IDLE && o->n_targets == 1 && o->n_sources <= 1;
			worker_fail_why(w, c, r.err, r.why);
			return;
		}
}

bool worker_elsewhere(struct worker *w, struct conn *c)
{
	if (c->tried + 1 >= w->o->target[c->target].n_addrs || c->used)
		return false;
	next_address(w, c);
	if (c->state != CONN_CONNECTING) {	/* a datagram, to which ICMP was the answer */
		w->started -= c->in_request;
		c->in_request = false;
		c->state = CONN_CONNECTING;
		w->connecting++;
		atomic_store_explicit(&w->st->open, --w->open, memory_order_relaxed);
	}
	attempts(w, c);
	return true;
}

static void conn_open(struct worker *w, struct conn *c)
{
	const struct load_opts *o = w->o;

	if (w->no_port) {
		worker_fail_why(w, c, LOAD_ERR_LOCAL, LOAD_NO_PORT);
		return;
	}
	c->target = w->next_target++ % o->n_targets;
	c->at = w->at[c->target];
	c->rx_off = c->tx_off = c->used = c->tried = 0;
	c->head_len = 0;
	c->state = CONN_CONNECTING;
	w->connecting++;
	c->connect_ns = load_now_ns();
	c->deadline_ns = c->connect_ns + o->timeout_ms * 1000000ull;
	attempts(w, c);
}

/* Opens what may be opened and starts what is due. */
static void pump(struct worker *w)
{
	uint64_t due;

	w->now_ns = load_now_ns();
	while (w->idle && request_available(w, &due)) {
		struct conn *c = w->idle;

		w->idle = c->next_free;
		request_begin(w, c, due);
	}
	while (w->closed && w->connecting < CONNECTING_MAX && !w->stopping && w->now_ns >= w->backoff_ns) {
		struct conn *c = w->closed;
		bool per_connection = mode_counts_connections(w->o);

		if (per_connection && !request_available(w, &due))
			break;
		if (!per_connection && w->quota && w->started >= w->quota)
			break;
		w->closed = c->next_free;
		if (per_connection) {
			c->due_ns = due;
			c->in_request = true;
		}
		conn_open(w, c);
		w->now_ns = load_now_ns();
	}
}

/* Nothing came back in time: the next one may go. */
static void datagram_lost(struct worker *w, struct conn *c)
{
	load_count(&w->st->lost, 1);
	c->in_request = false;
	c->deadline_ns = 0;
	c->used++;
	w->finished++;
	mode_next(w, c);
}

static void sweep(struct worker *w)
{
	w->now_ns = load_now_ns();
	for (unsigned i = 0; i < w->n_conns; i++) {
		struct conn *c = &w->conn[i];

		if (c->fd < 0 || !c->deadline_ns || w->now_ns <= c->deadline_ns)
			continue;
		if (c->state == CONN_CONNECTING)
			pass_over(w, c);
		if (w->o->mode == LOAD_UDP && c->in_request)
			datagram_lost(w, c);
		else
			worker_fail(w, c, LOAD_ERR_TIMEOUT);
	}
}

static int wait_ms(const struct worker *w)
{
	uint64_t now = load_now_ns();

	if (w->asleep && w->next_wake_ns <= now + 2000000ull)
		return w->next_wake_ns <= now ? 0 : 1;
	if (w->interval_ns <= 0 || !(w->idle || (w->closed && mode_counts_connections(w->o))))
		return w->asleep && w->next_wake_ns < now + 20000000ull ? (int)((w->next_wake_ns - now) / 1000000) : 20;
	if (w->next_due_ns <= (double)now)
		return 0;
	return w->next_due_ns - (double)now < 1e6 ? 0 : 1;
}

static void run(struct worker *w, const _Atomic uint32_t *stop, uint64_t end_ns)
{
	struct epoll_event ev[EVENTS];
	uint64_t next_sweep = load_now_ns() + SWEEP_NS;

	for (;;) {
		uint64_t now;
		int n;

		pump(w);
		if (mode_finished(w))
			return;
		n = epoll_wait(w->epfd, ev, EVENTS, wait_ms(w));
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			w->now_ns = load_now_ns();
			if (c->fd < 0)
				continue;
			if (c->state == CONN_CONNECTING)
				conn_established(w, c);
			else
				mode_event(w, c, ev[i].events);
		}
		now = load_now_ns();
		if (w->asleep && now >= w->next_wake_ns)
			wake(w, now);
		if (now >= next_sweep) {
			sweep(w);
			if (!end_ns && hopeless(w))
				return;
			mode_tick(w, now);
			next_sweep = now + SWEEP_NS;
		}
		if (atomic_load_explicit(stop, memory_order_relaxed) || (end_ns && now >= end_ns))
			return;
	}
}

static uint64_t share(uint64_t total, unsigned n, unsigned i)
{
	return total / n + (i < total % n ? 1 : 0);
}

/* What had begun, and of an open loop what was due, when the time was over. A stream without an end is neither. */
static void count_unfinished(struct worker *w)
{
	const struct load_opts *o = w->o;
	double late = (double)load_now_ns() - w->next_due_ns;
	uint64_t n = 0;

	if ((o->mode == LOAD_SEND || o->mode == LOAD_RECV) && !o->bytes)
		return;
	for (unsigned i = 0; i < w->n_conns; i++)
		n += w->conn[i].in_request;
	if (w->interval_ns > 0 && late > 0 && !w->quota)
		n += 1 + (uint64_t)(late / w->interval_ns);
	load_count(&w->st->unfinished, n);
}

int load_worker(const struct load_opts *opts, unsigned index, struct load_stats *st,
		const _Atomic uint32_t *stop)
{
	struct worker w = { .o = opts, .st = st, .all = st - index };
	uint64_t start = load_now_ns();

	w.n_conns = (unsigned)share(opts->conns, opts->workers, index);
	w.quota = share(opts->count, opts->workers, index);
	if (opts->count && !w.quota) {
		atomic_store_explicit(&st->phase, 3, memory_order_relaxed);
		return 0;
	}
	if (opts->rate > 0)
		w.interval_ns = 1e9 * opts->workers / opts->rate;
	w.next_due_ns = (double)start;
	w.next_source = w.next_target = index;
	w.random = start * 2 + 1;
	w.epfd = epoll_create1(EPOLL_CLOEXEC);
	w.conn = calloc(w.n_conns ? w.n_conns : 1, sizeof *w.conn);
	if (w.epfd < 0 || !w.conn || mode_init(&w) < 0) {
		perror("npp-load: worker");
		free(w.conn);
		return 1;
	}
	for (unsigned i = w.n_conns; i-- > 0;) {
		w.conn[i].fd = -1;
		w.conn[i].next_free = w.closed;
		w.closed = &w.conn[i];
	}
	run(&w, stop, opts->duration_s > 0 ? start + (uint64_t)(opts->duration_s * 1e9) : 0);
	atomic_store_explicit(&st->phase, 3, memory_order_relaxed);	/* nobody waits for us */
	count_unfinished(&w);
	for (unsigned i = 0; i < w.n_conns; i++)
		if (w.conn[i].fd >= 0)
			close(w.conn[i].fd);
	mode_end(&w);
	free(w.conn);
	close(w.epfd);
	return 0;
}
