/* SPDX-License-Identifier: GPL-2.0-or-later
 * madhost.c - a host for libnpp whose ISMs may do anything
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "npp-osm/libnpp/priv.h"
#include "tests/fuzz/loads.h"
#include "tests/fuzz/madhost.h"
#include "tests/fuzz/replay.h"

#define GUARD (1u << 20)
#define HOST_BYTES (2u << 20)
#define CALL_MAX_US 300000000u	/* a call that takes longer never comes back */
#define NAPS_MAX 1000000
#define WAITS_MAX 100
#define YIELDS_SHORT 16
#define YIELDS_LONG 8	/* 64 ms */

enum area { A_HOST, A_GLOBAL, A_IN, AREAS = A_IN + MH_IOPS };

struct madhost mh;

static struct { uint8_t *base; size_t size; } area[AREAS];
static uint64_t clock_us, call_us;	/* now, and when the call began */
static uint32_t naps, waits;		/* how often it has waited, and for events */
static bool inside;			/* a call of the program is under way */
static int bell[NPP_MAX_CTX], ism_bell[MH_IOPS];
static struct npp_i2oq_cons cons[MH_IOPS][MH_CTXS];
static struct npp_i2oq_prod prod[MH_IOPS][MH_CTXS];

/* ---- time ------------------------------------------------------------------------------- */

static void nap(uint64_t us)
{
	clock_us += us;
	MUST(++naps < NAPS_MAX && clock_us - call_us < CALL_MAX_US);
	if (mh.turn)
		mh.turn();
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	if (!inside || id != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, id, ts);
	clock_us++;
	ts->tv_sec = (time_t)(clock_us / 1000000);
	ts->tv_nsec = (long)(clock_us % 1000000) * 1000;
	return 0;
}

int usleep(useconds_t us)
{
	nap(us);
	return 0;
}

int nanosleep(const struct timespec *t, struct timespec *left)
{
	if (!inside)
		return (int)syscall(SYS_nanosleep, t, left);
	nap((uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_nsec / 1000);
	return 0;
}

/* Of who waits for a lock: the first times are short, so that the ISMs have their turns; then it takes long, or
 * all time would go into spinning. */
int sched_yield(void)
{
	if (!inside)
		return (int)syscall(SYS_sched_yield);
	nap(250u << (naps < YIELDS_SHORT ? 0 : YIELDS_LONG));
	return 0;
}

/* ---- the kernel --------------------------------------------------------------------------- */

static int no_kernel(int err)
{
	errno = err;
	return -1;
}

static int k_socket(int d, int t, int p)
{
	(void)d, (void)p;
	return eventfd(0, (t & SOCK_CLOEXEC ? EFD_CLOEXEC : 0) | (t & SOCK_NONBLOCK ? EFD_NONBLOCK : 0));
}
static int k_bind(int fd, const struct sockaddr *a, socklen_t n) { (void)fd, (void)a, (void)n; return 0; }
/* lib_nap() sleeps by it. */
static long k_syscall(long nr, ...)
{
	long a[5]; /* none of libnpp has more */
	va_list ap;

	va_start(ap, nr);
	for (unsigned i = 0; i < 5; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (inside && nr == SYS_clock_nanosleep) {
		const struct timespec *t = (const struct timespec *)a[2];

		nap((uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_nsec / 1000);
		return 0;
	}
	return syscall(nr, a[0], a[1], a[2], a[3], a[4]);
}
static int k_listen(int fd, int n) { (void)fd, (void)n; return 0; }
static int k_shutdown(int fd, int how) { (void)fd, (void)how; return 0; }
static int k_accept4(int fd, struct sockaddr *a, socklen_t *n, int fl)
{
	(void)fd, (void)a, (void)n, (void)fl;
	return no_kernel(EAGAIN);
}
static int k_connect(int fd, const struct sockaddr *a, socklen_t n)
{
	(void)fd, (void)a, (void)n;
	return no_kernel(ECONNREFUSED);
}
static int k_name(int fd, struct sockaddr *a, socklen_t *n)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	(void)fd;
	memcpy(a, &in, *n < sizeof in ? *n : sizeof in);
	*n = sizeof in;
	return 0;
}
static int k_peer(int fd, struct sockaddr *a, socklen_t *n)
{
	(void)fd, (void)a, (void)n;
	return no_kernel(ENOTCONN);
}
static ssize_t k_recvmsg(int fd, struct msghdr *m, int fl) { (void)fd, (void)m, (void)fl; return no_kernel(EAGAIN); }
static ssize_t k_sendmsg(int fd, const struct msghdr *m, int fl)
{
	(void)fd, (void)m, (void)fl;
	return no_kernel(ENETUNREACH);
}
static ssize_t k_recv(int fd, void *b, size_t n, int fl) { (void)fd, (void)b, (void)n, (void)fl; return no_kernel(EAGAIN); }
static ssize_t k_recvfrom(int fd, void *b, size_t n, int fl, struct sockaddr *a, socklen_t *l)
{
	(void)a, (void)l;
	return k_recv(fd, b, n, fl);
}
static ssize_t k_send(int fd, const void *b, size_t n, int fl)
{
	(void)fd, (void)b, (void)n, (void)fl;
	return no_kernel(ENETUNREACH);
}
static ssize_t k_sendto(int fd, const void *b, size_t n, int fl, const struct sockaddr *a, socklen_t l)
{
	(void)a, (void)l;
	return k_send(fd, b, n, fl);
}
static int k_getsockopt(int fd, int level, int name, void *v, socklen_t *n)
{
	(void)fd, (void)level, (void)name;
	memset(v, 0, *n);
	return 0;
}
static int k_setsockopt(int fd, int level, int name, const void *v, socklen_t n)
{
	(void)fd, (void)level, (void)name, (void)v, (void)n;
	return 0;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static int (*real_ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
static ssize_t (*real_read)(int, void *, size_t);
static int (*real_epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *);

/* Nothing is there: after their turn the wait has ended, or by a signal if it had no end, or was one of many. */
static int waited(bool forever)
{
	return forever || ++waits > WAITS_MAX ? no_kernel(EINTR) : 0;
}

static int w_ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
	static const struct timespec now;
	uint64_t us = t ? (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_nsec / 1000 : 0;
	int r = real_ppoll(p, n, &now, mask);

	if (r || (t && !us))
		return r;
	if (us > CALL_MAX_US / 2) /* an ISM has made SO_RCVTIMEO or SO_SNDTIMEO endless */
		t = NULL;
	nap(t ? us : 1000);
	r = real_ppoll(p, n, &now, mask);
	return r ? r : waited(!t);
}

static int w_epoll_pwait(int ep, struct epoll_event *ev, int max, int ms, const sigset_t *mask)
{
	int r = real_epoll_pwait(ep, ev, max, 0, mask);

	if (r || ms == 0)
		return r;
	nap(ms < 0 ? 1000 : (uint64_t)ms * 1000);
	r = real_epoll_pwait(ep, ev, max, 0, mask);
	return r ? r : waited(ms < 0);
}

static int w_epoll_pwait2(int ep, struct epoll_event *ev, int max, const struct timespec *t, const sigset_t *mask)
{
	return w_epoll_pwait(ep, ev, max, !t ? -1 : (int)(t->tv_sec * 1000 + (t->tv_nsec + 999999) / 1000000), mask);
}

static ssize_t w_read(int fd, void *buf, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (inside && n == 8 && w_ppoll(&p, 1, NULL, NULL) < 0) /* a doorbell */
		return -1;
	return real_read(fd, buf, n);
}

static void take_kernel(void)
{
	struct real *r = (struct real *)(uintptr_t)npp_real_get();

	real_ppoll = r->ppoll;
	real_read = r->read;
	real_epoll_pwait = r->epoll_pwait;
	r->socket = k_socket;
	r->bind = k_bind;
	r->listen = k_listen;
	r->syscall = k_syscall;
	r->accept4 = k_accept4;
	r->connect = k_connect;
	r->shutdown = k_shutdown;
	r->getsockname = k_name;
	r->getpeername = k_peer;
	r->recvmsg = k_recvmsg;
	r->sendmsg = k_sendmsg;
	r->recv = k_recv;
	r->recvfrom = k_recvfrom;
	r->send = k_send;
	r->sendto = k_sendto;
	r->getsockopt = k_getsockopt;
	r->setsockopt = k_setsockopt;
	r->ppoll = w_ppoll;
	r->read = w_read;
	r->epoll_pwait = w_epoll_pwait;
	r->epoll_pwait2 = w_epoll_pwait2;
}

/* ---- loads ------------------------------------------------------------------------------------ */

static uint32_t loads_left, load_value;

void mh_change_at_load(uint32_t n, uint32_t value)
{
	loads_left = n;
	load_value = value;
}

#ifdef NPP_FUZZING
UNSEEN static void loaded(const void *at, unsigned len)
{
	const uint8_t *p = at;

	if (!loads_left || !inside)
		return;
	for (unsigned a = 0; a < AREAS; a++)
		if (p >= area[a].base && p < area[a].base + area[a].size && --loads_left == 0) {
			memcpy((void *)(uintptr_t)at, &load_value, len < sizeof load_value ? len : sizeof load_value);
			return;
		}
}
#endif

/* ---- the OSM ------------------------------------------------------------------------------------ */

static struct { bool due; struct npp_ctl_hdr hdr; int fds[1 + 2 * MH_IOPS]; uint8_t body[128]; } answer;
static struct { int fd; enum area a; } given[8];
static unsigned n_given;

static int fd_of(enum area a)
{
	int fd = fcntl(ism_bell[0], F_DUPFD_CLOEXEC, 0);

	given[n_given % 8].fd = fd;
	given[n_given++ % 8].a = a;
	return fd;
}

int npp_region_map(struct npp_region *r, int fd, bool writable, uint64_t addr, enum npp_region_kind kind, uint64_t hash)
{
	(void)writable, (void)addr, (void)kind, (void)hash;
	*r = (struct npp_region)NPP_REGION_NULL;
	for (unsigned i = 0; i < 8; i++)
		if (given[i].fd == fd) {
			r->base = area[given[i].a].base;
			r->size = area[given[i].a].size;
			given[i].fd = -1;
			mh.maps++;
			return 0;
		}
	return -EBADMSG;
}

void npp_region_unmap(struct npp_region *r)
{
	*r = (struct npp_region)NPP_REGION_NULL;
}

static void answer_with(const void *body, size_t len)
{
	memcpy(answer.body, body, answer.hdr.len = (uint32_t)len);
}

static int give(int fd)
{
	answer.fds[answer.hdr.nfds++] = fd;
	return 0;
}

static int on_ctx_open(const struct npp_ctl_ctx *q)
{
	struct npp_ctl_ctx a = { .kind = q->kind };
	uint64_t off;

	for (a.ctx = 1; a.ctx < MH_CTXS && mh.ctx[a.ctx].state == NPP_CTX_OPEN; a.ctx++)
		;
	if (a.ctx == MH_CTXS)
		return -EMFILE;
	for (unsigned i = 0; i < MH_IOPS; i++) {
		off = mh_heap(sizeof(struct npp_i2oq));
		if (!off)
			return -ENOMEM;
		memset(mh_at(off, sizeof(struct npp_i2oq)), 0, sizeof(struct npp_i2oq));
		npp_i2oq_init(mh_at(off, sizeof(struct npp_i2oq)));
		mh.ctx[a.ctx].lane_off64[i] = (uint32_t)(off / 64);
	}
	atomic_store(&mh.ctx[a.ctx].sleeping, 0);
	atomic_store(&mh.ctx[a.ctx].state, NPP_CTX_OPEN);
	if (bell[a.ctx] < 0)
		bell[a.ctx] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	answer_with(&a, sizeof a);
	return give(fcntl(bell[a.ctx], F_DUPFD_CLOEXEC, 0));
}

static int on_attach(void)
{
	struct npp_ctl_attached a = { .n_iops = MH_IOPS, .iop_up = 3 };

	answer_with(&a, sizeof a);
	give(fd_of(A_GLOBAL));
	for (unsigned i = 0; i < MH_IOPS; i++)
		give(fcntl(ism_bell[i], F_DUPFD_CLOEXEC, 0));
	for (unsigned i = 0; i < MH_IOPS; i++)
		give(fd_of(A_IN + i));
	return 0;
}

static int on_chunk(const struct npp_ctl_chunk *q)
{
	struct npp_proc *p = mh_at(mh.host->proc_off, sizeof *p);
	uint64_t off = q->chunk < NPP_FDTAB_CHUNKS ? mh_heap(8 * NPP_FDTAB_CHUNK) : 0;

	if (!off)
		return -ENOMEM;
	if (p)
		atomic_store(&p->chunk_off64[q->chunk], (uint32_t)(off / 64));
	return 0;
}

static int on_bind(struct npp_ctl_bind *b, bool listen)
{
	struct npp_sock *s = &mh.sock[b->sock];
	uint64_t off;

	if (b->sock > MH_PROG_SOCKS)
		return -ESTALE;
	b->port = b->port ? b->port : (uint16_t)(40000 + b->sock);
	answer_with(b, sizeof *b);
	if (b->proto == IPPROTO_UDP) {
		if (!(off = mh_heap(sizeof(struct npp_udp))))
			return -ENOMEM;
		s->slot = (uint8_t)(b->sock % MH_IOPS);
		atomic_store(&s->ism_handle, b->sock);
		s->ext_off64 = (uint32_t)(off / 64);
	} else if (listen) {
		struct npp_listener *l = mh_at(off = mh_heap(sizeof *l), sizeof *l);

		for (unsigned i = 0; l && i < MH_IOPS; i++) {
			struct npp_accept_lane *lane = mh_at(mh_heap(sizeof *lane + 16 * 8), sizeof *lane + 16 * 8);

			if (!lane)
				return -ENOMEM;
			lane->mask = 15;
			atomic_store(&l->lane_off64[i], (uint32_t)(((uint8_t *)lane - mh.base) / 64));
		}
		if (!l)
			return -ENOMEM;
		s->ext_off64 = (uint32_t)(off / 64);
	}
	return 0;
}

static int on_close(const struct npp_ctl_bind *b)
{
	if (b->sock > MH_PROG_SOCKS)
		return -ESTALE;
	atomic_fetch_add(&mh.sock[b->sock].gen, 1);
	atomic_store(&mh.sock[b->sock].owner, 0);
	return 0;
}

static int request(uint16_t type, const void *body)
{
	struct npp_ctl_welcome w = { .n_attach = 1 };
	union { struct npp_ctl_ctx ctx; struct npp_ctl_chunk chunk; struct npp_ctl_bind bind; } q;
	uint64_t off;

	memcpy(&q, body, sizeof q.bind);
	switch (type) {
	case NPP_CTL_PROC_HELLO:
		answer_with(&w, sizeof w);
		return give(fd_of(A_HOST));
	case NPP_CTL_GET_ATTACH:
		return on_attach();
	case NPP_CTL_CTX_OPEN:
		return on_ctx_open(&q.ctx);
	case NPP_CTL_CTX_CLOSE:
		if (q.ctx.ctx < NPP_MAX_CTX)
			atomic_store(&mh.ctx[q.ctx.ctx].state, NPP_CTX_FREE);
		return 0;
	case NPP_CTL_FD_CHUNK:
		return on_chunk(&q.chunk);
	case NPP_CTL_BIND:
	case NPP_CTL_LISTEN:
		return on_bind(&q.bind, type == NPP_CTL_LISTEN);
	case NPP_CTL_CLOSE:
		return on_close(&q.bind);
	case NPP_CTL_SUB_MORE:
		off = mh_heap(NPP_MAX_CTX / 8);
		if (off && q.bind.sock < MH_SOCKS)
			mh.sock[q.bind.sock].sub_more_off64 = (uint32_t)(off / 64);
		return off ? 0 : -ENOMEM;
	}
	return 0;
}

int npp_ctl_send(int sock, uint16_t type, uint32_t seq, int error, const void *body, size_t len, const int *fds,
		 unsigned nfds)
{
	_Alignas(16) uint8_t copy[128] = { 0 };
	bool was = inside;

	(void)sock, (void)error, (void)fds, (void)nfds;
	MUST(len <= sizeof copy && !answer.due);
	if (len)
		memcpy(copy, body, len);
	answer.hdr = (struct npp_ctl_hdr){ .type = NPP_CTL_ANSWER, .seq = seq };
	inside = false;
	answer.hdr.error = request(type, copy);
	inside = was;
	if (answer.hdr.error < 0) {
		while (answer.hdr.nfds)
			close(answer.fds[--answer.hdr.nfds]);
		answer.hdr.len = 0;
	}
	answer.due = true;
	return 0;
}

int npp_ctl_recv(int sock, struct npp_ctl_msg *m, void *buf, size_t cap, int timeout_ms)
{
	(void)sock, (void)timeout_ms;
	if (!answer.due)
		return -EAGAIN;
	MUST(answer.hdr.len <= cap);
	m->hdr = answer.hdr;
	m->body = buf;
	memcpy(buf, answer.body, answer.hdr.len);
	memcpy(m->fds, answer.fds, sizeof *m->fds * answer.hdr.nfds);
	answer.due = false;
	return 1;
}

int npp_ctl_call(int sock, uint16_t type, const void *body, size_t len, const int *fds, unsigned nfds,
		 struct npp_ctl_msg *m, void *buf, size_t cap, int timeout_ms)
{
	npp_ctl_send(sock, type, 0, 0, body, len, fds, nfds);
	npp_ctl_recv(sock, m, buf, cap, timeout_ms);
	return m->hdr.error;
}

void npp_ctl_close_fds(struct npp_ctl_msg *m)
{
	for (unsigned i = 0; i < m->hdr.nfds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->hdr.nfds = 0;
}

int npp_ctl_take_fd(struct npp_ctl_msg *m, unsigned i)
{
	int fd = i < m->hdr.nfds ? m->fds[i] : -1;

	if (fd >= 0)
		m->fds[i] = -1;
	return fd < 0 ? -EPROTO : fd;
}

int npp_ctl_connect(const char *path)
{
	(void)path;
	return eventfd(0, EFD_CLOEXEC);
}

/* ---- memory -------------------------------------------------------------------------------------- */

void *mh_at(uint64_t off, uint64_t len)
{
	return off >= sizeof(struct npp_host) && off <= mh.size && len <= mh.size - off ? mh.base + off : NULL;
}

uint64_t mh_heap(uint64_t bytes)
{
	uint64_t at = mh.heap;

	bytes = (bytes + 63) & ~63ull;
	if (bytes > mh.size - at)
		return 0;
	mh.heap += bytes;
	return at;
}

bool mh_message(unsigned iop, unsigned c, struct npp_msg *m)
{
	struct npp_i2oq *q = &mh.in[iop]->lane[c];

	if (cons[iop][c].q != q && npp_i2oq_attach_cons(&cons[iop][c], q) < 0)
		return false;
	npp_i2oq_overflowed(&cons[iop][c]);
	return npp_i2oq_poll(&cons[iop][c], m) == 1;
}

void mh_event(uint32_t sock, uint32_t bits)
{
	struct npp_sock *s = &mh.sock[sock];
	struct npp_msg m = { .type = NPP_MSG_EVENT, .sock = sock, .sock_gen = s->gen };
	static const uint64_t one = 1;

	atomic_fetch_or(&s->pend_out, bits);
	for (unsigned c = 1; c < MH_CTXS; c++) {
		unsigned iop = s->slot % MH_IOPS;
		struct npp_i2oq *q = mh_at((uint64_t)mh.ctx[c].lane_off64[iop] * 64, sizeof *q);

		if (bell[c] < 0 || !q)
			continue;
		if (prod[iop][c].q == q || npp_i2oq_attach_prod(&prod[iop][c], q) == 0)
			npp_i2oq_post(&prod[iop][c], &m);
		if (atomic_exchange(&mh.ctx[c].sleeping, 0) && write(bell[c], &one, sizeof one) < 0)
			continue;
	}
}

static void reserve(enum area a, size_t size)
{
	uint8_t *p;

	area[a].size = (size + 4095) & ~(size_t)4095;
	p = mmap(NULL, area[a].size + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	MUST(p != MAP_FAILED);
	area[a].base = p + GUARD;
	MUST(mprotect(area[a].base, area[a].size, PROT_READ | PROT_WRITE) == 0);
}

static void once(void)
{
	reserve(A_HOST, HOST_BYTES);
	reserve(A_GLOBAL, sizeof(struct npp_global));
	for (unsigned i = 0; i < MH_IOPS; i++) {
		reserve(A_IN + i, sizeof(struct npp_inbound));
		ism_bell[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		bell[c] = -1;
	for (unsigned c = 1; c < MH_CTXS; c++)
		bell[c] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	take_kernel();
}

static void make_host(void)
{
	struct npp_host *h = mh.host = (struct npp_host *)(void *)(mh.base = area[A_HOST].base);

	mh.size = area[A_HOST].size;
	mh.heap = 4096;
	h->hdr.size = mh.size;
	h->ctx_off = mh_heap(sizeof(struct npp_ctx) * NPP_MAX_CTX);
	h->proc_off = mh_heap(sizeof(struct npp_proc) * NPP_MAX_PROCS);
	h->sock_off = mh_heap(sizeof(struct npp_sock) * MH_SOCKS);
	mh.heap_first = mh.heap;
	mh.ctx = mh_at(h->ctx_off, 1);
	mh.sock = mh_at(h->sock_off, 1);
	h->sock_count = MH_SOCKS;
	h->sock_prog_count = MH_PROG_SOCKS;
	h->n_attach = 1;
	h->attach[0].n_iops = MH_IOPS;
	atomic_store(&h->attach[0].iop_up, 3);
	atomic_store(&h->attach[0].epoch, 1);
	atomic_store(&h->attach[0].state, 2);
}

static void make_npp(void)
{
	struct npp_global *g = mh.global = (struct npp_global *)(void *)area[A_GLOBAL].base;
	unsigned plen;

	g->n_iops = MH_IOPS;
	g->n_ports = 1;
	g->port[0].up = 1;
	g->n_addrs = 1;
	npp_addr_parse_prefix("10.1.0.1/24", &g->addr[0].addr, &plen);
	g->addr[0].prefix_len = (uint8_t)plen;
	npp_hash_prog_default(&g->prog[0], MH_IOPS);
	for (unsigned i = 0; i < MH_IOPS; i++) {
		mh.in[i] = (struct npp_inbound *)(void *)area[A_IN + i].base;
		for (unsigned c = 0; c < MH_CTXS; c++)
			npp_i2oq_init(&mh.in[i]->lane[c]);
	}
}

void mh_call(bool on)
{
	inside = on;
	naps = waits = 0;
	call_us = clock_us;
	if (!on)
		loads_left = 0;
}

void mh_begin(void)
{
	if (!area[0].base)
		once();
	for (unsigned a = 0; a < AREAS; a++)
		MUST(madvise(area[a].base, area[a].size, MADV_DONTNEED) == 0);
	memset(cons, 0, sizeof cons);
	memset(prod, 0, sizeof prod);
	mh.maps = 0;
	clock_us = 1000000;
	n_given = 0;
	make_host();
	make_npp();
	for (unsigned s = 0; s < NPP_MAX_SLOTS; s++) {
		npp_lib.slot[s].waits_us = 0;
		npp_lib.slot[s].waited_us = 0;
	}
	npp_lib.lied_until_us = npp_lib.kaddr.until_us = 0;
	npp_lib.claim_next = 1;
	mh_call(true);
	MUST(npp_start_at("here") == 0);
	mh_call(false);
}

void mh_end(void)
{
	mh_call(true);
	npp_lib.size = 0; /* nothing is unmapped, and nothing of it is looked at any more */
	mh.global->hdr.size = 0;
	for (unsigned i = 0; i < MH_IOPS; i++)
		mh.in[i]->hdr.size = 0;
	npp_stop();
	mh_call(false);
	for (unsigned c = 1; c < MH_CTXS; c++) {
		uint64_t v;

		fcntl(bell[c], F_SETFL, O_NONBLOCK);
		if (read(bell[c], &v, sizeof v) < 0)
			continue;
	}
}
