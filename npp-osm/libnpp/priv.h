/* SPDX-License-Identifier: GPL-2.0-or-later
 * priv.h - what the files of libnpp share
 *
 * We live in somebody else's process: no fatal, no log but one line per thing we cannot
 * do, no malloc, no errno touched on success. Internal functions return 0 or more, or
 * a negative errno; api.c turns that into the C library's manners.
 *
 * Locks, taken in this order: fd_lock (which number is which object), an epoll
 * instance's lock, rpc_lock (the connection to the OSM), pool_lock (contexts kept). The locks of a socket record
 * (rx_lock, tx_lock) are innermost; nobody waits for an RPC under them.
 */
#ifndef NPP_LIBNPP_PRIV_H
#define NPP_LIBNPP_PRIV_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/proto.h"
#include "npp-osm/libnpp/libnpp.h"
#include "npp-osm/libnpp/real.h"
#include "shm/abi.h"
#include "shm/i2oq.h"
#include "shm/region.h"

#define R (npp_real_get())
#define FD_MAX (NPP_FDTAB_CHUNK * NPP_FDTAB_CHUNKS)
#define NO_HANDLE 0xffffffffu
#define BACKLOG_MAX 4096	/* of a listener */
#define DGRAM_MAX4 65507u	/* over IPv4, which counts its header */
#define SPAN_MAX 0x7ffff000ul	/* what Linux moves at most in one call */

static inline bool unlikely(bool x) { return __builtin_expect(x, 0); }

/* ---- objects: open file descriptions as this process knows them --------------------- */

enum so_kind {
	SO_KERNEL_YET = 1,	/* a kernel socket that may still become ours */
	SO_OURS,		/* has a socket record */
	SO_EPOLL,
	SO_INTERNAL,		/* a descriptor of the library itself */
};

/* Options set before there is a record; copied into it. */
struct so_opts {
	uint32_t flags;		/* NPP_OPT_* */
	uint32_t rcvbuf, sndbuf, linger, keep, tries, user_timeout_ms, manner; /* these as in the record */
	uint32_t rcvlowat, rcvtimeo_ms, sndtimeo_ms;
	uint32_t max_pace, fastopen, notsent_lowat, win_clamp;
	union { uint32_t mc_hops, mark; };	/* these and the next as in the record */
	union { uint32_t udp_segment, max_seg; };
	uint64_t tfo_key[NPP_TFO_KEYS][2];	/* for listen() */
	uint8_t tfo_keys;	/* how many of these */
};

/* F_SETOWN_EX. */
struct owner { int type, pid; };	/* pid 0: none */

/* Type-stable: freed objects are used again as objects, never as anything else, so that
 * a program that closes a descriptor under another thread's feet hurts only itself. */
struct so {
	_Atomic uint8_t kind;	/* enum so_kind */
	uint8_t dgram;		/* SOCK_DGRAM */
	uint8_t domain;		/* AF_INET or AF_INET6 */
	_Atomic uint8_t kpart;	/* SO_OURS: the descriptor is a kernel socket that receives, too */
	uint32_t idx, gen;	/* of the record */
	struct npp_sock *sk;
	_Atomic uint32_t nfds;	/* descriptors of this process */
	_Atomic uint32_t items;	/* epoll instances that hold it */
	_Atomic uint32_t asked;	/* the largest transmit ring that was waited for */
	_Atomic uint32_t turn;	/* fairness between npp and the kernel part */
	struct so_opts opt;
	struct ep *ep;		/* SO_EPOLL */
	struct mc_wait *mc_wait;	/* groups joined before bind(); under fd_lock */
	struct cork *_Atomic cork;	/* a datagram that is held back, or room for one; under tx_lock */
	struct owner owner;	/* who gets SIGURG; under fd_lock, as all of it */
	uint32_t urg_last;	/* the last urgent byte that was told so */
	struct so *urg_next;	/* the next one with an owner */
	struct so *next;	/* free list */
};

/* ---- contexts -------------------------------------------------------------------------- */

#define CTX_SUBS 64	/* sockets that a thread is subscribed to, as far as they are remembered */
#define CTX_LOCKS 4	/* a thread holds one, and signal handlers over it */
#define CTX_DEFERRED 4	/* messages of signal handlers over a post */
#define AHEAD_MAX 4	/* contexts asked for and not yet in the pool */

struct lctx {
	uint32_t no;
	uint32_t kind;		/* 0 thread, 1 epoll */
	int bell;
	bool busy;		/* in the middle of a post: a signal handler must not post too */
	_Atomic uint32_t n_deferred;	/* as many as have come, also without a place */
	struct { uint32_t slot; struct npp_msg msg; } deferred[CTX_DEFERRED];
	_Atomic uint64_t lost[NPP_MAX_SLOTS / 64];	/* slots of those that found none */
	bool sub_many;		/* more subscriptions than `sub` has, or others */
	uint32_t n_sub, sub[CTX_SUBS];	/* thread: records that it has subscribed to */
	npp_lock_t *lock[CTX_LOCKS];	/* taken last; perhaps not held any more */
	struct npp_ctx *sh;
	struct npp_i2oq_prod in[NPP_MAX_SLOTS];
	struct npp_i2oq_cons out[NPP_MAX_SLOTS];
	struct lctx *next;	/* free list, or pool */
};
struct ahead { uint32_t no; int bell; };

struct thr {
	struct lctx *ctx;
	uint32_t inside;	/* in attach or fork: our own calls go straight to the kernel */
	uint32_t fd_depth;	/* holds fd_lock, so many times */
	uint32_t section;	/* in so many of those that signals.c explains */
	uint32_t sections;	/* how many there have been */
	bool masked;		/* signals are blocked for the outermost one, and were before ... */
	uint64_t mask;		/* ... as the kernel has it */
	_Atomic uint64_t held;	/* signals that have been given back to the kernel until its end */
	volatile uintptr_t short_at;	/* in a short section: of a frame of who began it; 0: in none */
	int fd_cancel;		/* may it be cancelled when it has let go of that? */
	bool creds;		/* holds urg.creds */
	bool rpc_held;		/* holds rpc_lock */
	struct {		/* a child of vfork, which has this memory, prepares its exec: its pid, and how all was before (spawn.c) */
		volatile int pid;
		uint32_t fd_depth, inside, section, embryo;
		bool masked;
		int cancel;
		uint64_t held;
	} vf;
	bool fork_wrapped;	/* npp_fork() tells the OSM the child's pid, and has made this: */
	uint32_t embryo;	/* during fork: as of fork_embryo() ... */
	uint32_t embryo_turn;	/* ... a copy of the table as it was then */
};
extern _Thread_local struct thr npp_thr __attribute__((tls_model("initial-exec"), visibility("hidden")));

struct vfork_fd { int pid, fd; struct so *so; };	/* spawn.c */

/* ---- the library's context ---------------------------------------------------------------- */

enum lib_state { LIB_NEW = 0, LIB_OFF, LIB_ON };

struct slot {		/* one ISM */
	struct npp_inbound *_Atomic in;
	_Atomic uint64_t waits_us;	/* since when it has left things half done ... */
	_Atomic uint32_t waited_us;	/* ... and how long we have waited for it */
	_Atomic uint64_t vain;	/* who waited for it in vain: NPP_MAX_CTX + context, and up to where its lane was filled; 0 nobody */
	_Atomic uint64_t vain_until_us;	/* then it may be tried again; ... */
	_Atomic uint32_t n_vain;	/* ... how often in a row that was in vain */
	int bell;
};
struct attachment {	/* one NPP */
	_Atomic uint32_t mapped;
	uint32_t n_iops;
	uint32_t epoch;		/* of the attachment that is mapped */
	_Atomic uint64_t sure_until_us; /* until then it is that, whatever host memory says */
	_Atomic uint32_t groups_vain;	/* what its group_seq was when a group was not let in in time, + 1 (mcast.c) */
	const struct npp_global *global;
};

struct once { _Atomic uint32_t said[4]; };
#define KADDR_MAX 32
#define LIB_HEARD 1024		/* a power of two */

struct lib {
	_Atomic int state;		/* enum lib_state */
	int pid;
	char path[108];
	int rpc;			/* connection to the OSM, -1 none */
	int placeholder;
	uint32_t proc;
	uint32_t spin_us;
	pthread_key_t key;
	bool have_key, atfork;
	pthread_mutex_t start_lock, rpc_lock;
	_Atomic uint32_t fd_word;	/* of fd_lock() (fdtab.c) */
	struct {		/* signals.c */
		bool wraps;			/* the program's handlers are called by ours */
		_Atomic bool known;		/* there are no others, and none of real-time signals */
		_Atomic uint64_t word[64];	/* the program's handler */
		_Atomic uint64_t interrupting;	/* by siginterrupt() */
	} sig;
	struct npp_host *host;
	uint8_t *base;
	uint64_t size;
	struct npp_ctx *ctx;
	struct npp_proc *procs;
	struct npp_sock *sock;
	uint32_t sock_count, sock_prog_count;
	_Atomic uint32_t claim_next;
	struct attachment att[NPP_MAX_ATTACH];
	struct slot slot[NPP_MAX_SLOTS];
	_Atomic uint32_t n_ours;	/* descriptors that have a record */
	struct so internal;
	struct ep *eps;			/* all instances, under fd_lock; only grows */
	struct so *so_free;		/* under fd_lock */
	pthread_mutex_t pool_lock;
	struct lctx *ctx_free;		/* memory of contexts; under pool_lock, as the next two */
	struct lctx *ctx_pool;		/* contexts without a user */
	_Atomic uint32_t n_pool, keep;	/* how many; how many may be */
	uint32_t known[NPP_MAX_CTX / 32]; /* bitmap of our contexts; under rpc_lock */
	_Atomic uint32_t n_thread_ctx;	/* threads that have one */
	uint32_t rpc_seq;		/* of the last request that is waited for: odd. Those ahead have even ones */
	uint32_t n_asked, n_got;	/* contexts asked for ahead; answered; under rpc_lock */
	bool strays;			/* the OSM may have opened contexts that we were never told of */
	struct ahead got[AHEAD_MAX];
	int *internal_at[NPP_MAX_CTX + NPP_MAX_SLOTS + 8]; /* where the library keeps its descriptors; under fd_lock */
	uint32_t n_internal;
	struct vfork_fd vfork[64];	/* notes of children; pid 0: free */
	bool vforked;			/* there may be some */
	_Atomic uint64_t lied_until_us;	/* locks may be held by nobody who is named there (ctx.c) */
	uint32_t lock_held_us;		/* no program that runs has a lock for so long */
	uint32_t linger_most_us;	/* what we wait for in a minute because records say so (SO_LINGER) */
	_Atomic uint32_t lingered_us;	/* of that ... */
	_Atomic uint64_t lingers_us;	/* ... since then */
	_Atomic bool confined;		/* system calls may be forbidden to this process */
	struct once once;
	struct { _Atomic uint64_t until_us; _Atomic uint32_t n; _Atomic uint64_t addr[KADDR_MAX][2]; } kaddr;
	_Atomic bool hears;		/* there may be something in `heard` */
	_Atomic uint64_t heard[LIB_HEARD]; /* peers of datagram sockets, with network ports (dgram.c) */
	uint64_t image;			/* random, of this load of the library */
	uint64_t bell_cookie;		/* epoll data of our doorbells */
	uint32_t fd_turn;		/* how often the table of descriptors was changed; under fd_lock */
	FILE *std[3];			/* standard streams that are sockets of ours */
	struct {		/* urgsig.c */
		struct so *list;	/* this and thread under fd_lock */
		pthread_t thread;
		_Atomic bool on;	/* there is a thread, or npp_creds_end() will start one */
		_Atomic(struct lctx *) ctx;
		_Atomic uint32_t gen;	/* of the thread that is wanted; another one ends */
		_Atomic uint32_t rung;	/* the same, once the one before was woken and may go */
		pthread_mutex_t creds;	/* whoever changes the user, until it has done so; then these two are its: */
		sigset_t old;
		int cancel;
	} urg;
	struct so *_Atomic tab[FD_MAX];
};
extern struct lib npp_lib __attribute__((visibility("hidden")));

/* The object behind FD, or NULL: a descriptor that is none of our business. */
static inline struct so *fd_get(int fd)
{
	if (unlikely((unsigned)fd >= FD_MAX))
		return NULL;
	/* acquire: pairs with the release in fd_install() */
	return atomic_load_explicit(&npp_lib.tab[fd], memory_order_acquire);
}
/* As above, but only sockets with a record. */
static inline struct so *fd_ours(int fd)
{
	struct so *so = fd_get(fd);

	return so && atomic_load_explicit(&so->kind, memory_order_relaxed) == SO_OURS ? so : NULL;
}

/* ---- attach.c: the way in ---------------------------------------------------------------------- */
bool lib_on(void);			/* joined, or joins now; false: kernel only */
bool lib_current(uint32_t a);		/* attachment A is mapped as it is now, not as it was before the NPP came back */
bool lib_slot(uint32_t slot);		/* the ISM can be spoken to; maps its NPP if need be */
bool lib_refresh(void);			/* maps NPPs that have come up since; true if any is there */
int lib_rpc(uint16_t type, const void *body, size_t len, void *answer, size_t cap, int *fd);
int lib_rpc_give(uint16_t type, const void *body, size_t len, int fd);
/* Without waiting: false if another thread is asking. Between begin and end signals are blocked. */
struct rpc_guard { sigset_t old; int saved, cancel; };
bool lib_rpc_try_begin(struct rpc_guard *g);
void lib_rpc_end(struct rpc_guard *g);
void lib_rpc_collect(void);		/* takes answers that are there */
bool lib_rpc_ask(uint16_t type, const void *body, size_t len);	/* the answer goes to ctx_ahead_answer() */
int lib_reconnect(uint32_t *proc);	/* new connection and hello: start, and child of fork */
void *lib_at(uint64_t off, uint64_t len);	/* checked pointer into host memory, or NULL */
void lib_forget(void);
void *lib_pages(size_t size);		/* zeroed pages, NULL if none */
void lib_pages_free(void *p, size_t size);
uint64_t lib_now_us(void);
/* No points of cancellation: */
void lib_ring(int bell);
bool lib_nap(uint32_t us);	/* false: a signal ended it */
int lib_close(int fd);
enum { ONCE_NO_HOST, ONCE_SPLICE, ONCE_CTX, ONCE_RPC, ONCE_OPT, ONCE_NO_REC, ONCE_LOCK, ONCE_TABLE, ONCE_URG,
       ONCE_URG_LATE, ONCE_RAW, ONCE_FORK, ONCE_FOREIGN, ONCE_CLONE };
void lib_say(unsigned what, const char *text);	/* one line to stderr, once per process */

/* The next slot after S whose NPP is mapped; NPP_MAX_SLOTS: none. S = -1: the first. */
static inline uint32_t slot_next(uint32_t s)
{
	for (s++; s < NPP_MAX_SLOTS; s = (s / NPP_MAX_IOPS + 1) * NPP_MAX_IOPS) {
		const struct attachment *a = &npp_lib.att[s / NPP_MAX_IOPS];

		if (atomic_load_explicit(&a->mapped, memory_order_acquire) && s % NPP_MAX_IOPS < a->n_iops)
			return s;
	}
	return NPP_MAX_SLOTS;
}

/* ---- ctx_pool.c ---------------------------------------------------------------------------------------- */
struct lctx *ctx_open(uint32_t kind);
void ctx_close(struct lctx *c);
struct lctx *ctx_thread(void);
void ctx_thread_gone(struct lctx *c);
void ctx_note_sub(struct lctx *c, uint32_t idx);
struct npp_ctl_msg;
void ctx_ahead_answer(struct npp_ctl_msg *m);
void ctx_know(uint32_t no, bool ours);		/* under rpc_lock */
void ctx_pool_drop(void);
void ctx_pool_forked(void);

/* ---- ctx.c: contexts, messages, waiting ------------------------------------------------------------ */
static inline struct lctx *ctx_self(void)
{
	return npp_thr.ctx ? npp_thr.ctx : ctx_thread();
}
int ctx_post(struct lctx *c, uint32_t slot, const struct npp_msg *msg);
/* Empties the outbound lanes of C; FN (may be NULL) sees each EVENT. True if a lane overflowed. */
bool ctx_drain(struct lctx *c, void (*fn)(void *arg, const struct npp_msg *msg), void *arg);
void ctx_wake(struct lctx *c);
int sock_subscribe(struct so *so, struct lctx *c, uint32_t flags);
void sock_unsubscribe(struct so *so, struct lctx *c);
/* Sets BITS in pend_in and posts LOOK if they were clear. */
void sock_look(struct so *so, uint32_t bits);
int sock_post(struct so *so, uint8_t type, uint8_t flags, uint32_t arg);
/* Sleeps until SO may be ready for MASK (EPOLLIN, EPOLLOUT); FD: its descriptor, for the
 * kernel part. 0 look again; -EAGAIN deadline (monotonic us, UINT64_MAX none); -EINTR. VAIN, 0 at first and when
 * the call has got on, counts how often it was ready at once: who gets nothing all the same does not spin. */
int sock_wait(struct so *so, int fd, uint32_t mask, uint64_t deadline, unsigned *vain);
#define VAIN_MAX 1000	/* turns: others may be faster so often */
void sock_clear(struct so *so, uint32_t mask);
/* Until the transmit ring has at least SIZE bytes, or something else happened. */
int sock_wait_ring(struct so *so, uint32_t size, uint64_t deadline);
/* Asks for that much; ends as well when the ISM has answered that there is no more. */
int sock_ask_ring(struct so *so, uint32_t size, uint64_t deadline);
int sock_nap(struct so *so, _Atomic uint32_t *want, uint64_t deadline);
uint64_t deadline_of(uint32_t timeo_ms);

/* ---- fdtab.c ------------------------------------------------------------------------------------------ */
struct so *so_new(enum so_kind kind);		/* under fd_lock */
int fd_install(int fd, struct so *so);		/* under fd_lock; FD must be free in the table */
bool fd_remove(int fd);				/* under fd_lock; true: last descriptor anywhere */
int fd_word_set(int fd, struct so *so);		/* under fd_lock; raises refs */
void fd_count_drop(uint32_t n);			/* that many fewer descriptors have a record */
void fd_word_room(int fd);			/* makes the place for a word */
void fd_word_other(uint32_t proc, int fd, struct so *so); /* in the table of a child; SO may be NULL */
bool fd_word_clear(int fd, struct npp_sock *sk);	/* under fd_lock; lowers refs; true: was the last */
int fd_placeholder(int fd);			/* puts the place-holder over FD, close-on-exec kept */
int fd_new_placeholder(bool cloexec);
int fd_high(int fd);				/* moves a new descriptor of ours out of the way; -1 stays */
void fd_own(int *where);			/* under fd_lock: *WHERE is ours, protect it */
void fd_disown(int *where);
void fd_mark(int fd, bool ours);	/* the same for one whose place is registered already */
int fd_evict(int fd);				/* under fd_lock: a program wants this number */
bool vfork_child(void);
/* A word that is FREE (0) or taken; who has it is in a section (signals.c). */
void word_lock(_Atomic uint32_t *word);
void word_unlock(_Atomic uint32_t *word);
void fd_lock(void);
void fd_unlock(void);
bool fd_trylock(void);
void fd_lock_forked(void);
void fd_lock_left(void);			/* by one who was killed */
void fd_adopt_table(void);			/* after exec */
int fd_put_over(int from, int fd);		/* dup2(), close-on-exec of FD kept */
int fd_adopt(int fd, uint32_t idx, uint32_t gen); /* FD means a record that has come to us; under fd_lock */

/* ---- signals.c: sections over which no handler of the program runs, other than those of faults */
void signals_look(void);			/* are there handlers that we do not know? */
void signals_unknown(void);			/* there are: signals are blocked from now on */
/* At the beginning of calls of programs. */
static inline void signals_check(void)
{
	if (unlikely(npp_thr.section != 0))
		signals_unknown();
}
void section_begin_outer(void);
void section_end_outer(void);
static inline void section_begin(void)
{
	if (npp_thr.section)
		npp_thr.section++;
	else
		section_begin_outer();
}
static inline void section_end(void)
{
	if (npp_thr.section > 1)
		npp_thr.section--;
	else
		section_end_outer();
}

/* Short sections, for what costs less than asking for the mask would: posts, and locks of records. They do not nest. A handler
 * that is not known is called all the same, and finds what the lock or the context says. */
void short_held(void);
static inline void short_begin(void)
{
	npp_thr.short_at = (uintptr_t)__builtin_frame_address(0);
	atomic_signal_fence(memory_order_seq_cst);
}
static inline void short_end(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	npp_thr.short_at = 0;
	atomic_signal_fence(memory_order_seq_cst);
	if (unlikely(atomic_load_explicit(&npp_thr.held, memory_order_relaxed) != 0))
		short_held();
}

/* ---- sock.c: records --------------------------------------------------------------------------------- */
struct npp_sock *sock_claim(struct lctx *c, uint32_t *idx);
void sock_unclaim(struct npp_sock *sk);
int sock_make(struct so *so, int fd);		/* gives a kernel-yet object its record; under fd_lock */
void sock_drop(struct so *so, bool last_fd);	/* after the last descriptor anywhere: tells ISM or OSM */
struct so *sock_adopt(int fd, int domain);	/* an unknown kernel socket; under fd_lock */
void sock_to_kernel(struct so *so, int fd);	/* it will never be ours: forget it; under fd_lock */
uint32_t sock_fl(const struct so *so);
bool sock_alive(const struct so *so);		/* the record is still the one we mean */
int addr_in(const struct sockaddr *sa, socklen_t len, union npp_addr *addr, uint16_t *port);
int addr_check(const struct so *so, const struct sockaddr *sa, socklen_t len);
/* IFNO: the network port that ADDR is at, the scope of a link-local address. */
void addr_out(const struct so *so, const union npp_addr *addr, uint16_t port, uint32_t ifno, struct sockaddr *sa, socklen_t *len);
/* Where a session goes now; for a datagram socket with a peer, where that was said to be. */
static inline uint32_t sock_ifno(const struct npp_sock *sk)
{
	bool peer = atomic_load_explicit(&sk->fl, memory_order_relaxed) & NPP_FL_CONNECTED;
	uint32_t scope = *(const volatile uint32_t *)&sk->scope;

	if (sk->type == NPP_SOCK_DGRAM)
		return peer && scope ? scope - 1 : 0;
	return atomic_load_explicit(&sk->ifno, memory_order_relaxed);
}
/* The network port + 1 that the scope of a link-local address names; 0: none. */
uint32_t addr_scope(const struct sockaddr *sa, socklen_t len);
int sock_error(struct so *so);			/* SO_ERROR: positive errno, fetched */
int sock_getfl(struct so *so, int fd);
int sock_setfl(struct so *so, int fd, int fl);
struct npp_tcp_mem sock_mem(const struct so *so, bool send);	/* bounds of its buffers */
bool sock_is_ours_addr(const union npp_addr *addr);
/* Which NPP leads to ADDR: attachment number, or -1: the kernel. *SRC the address to send from. */
int sock_route(const union npp_addr *addr, union npp_addr *src);
/* The same, and more about the way: bytes of a packet on the link there, and whether ADDR is a broadcast address. */
struct sock_way { union npp_addr src; uint32_t mtu; bool bcast; };
int sock_ask_way(const union npp_addr *addr, struct sock_way *way);
uint32_t sock_opt_flags(const struct so *so);	/* NPP_OPT_*, with or without a record */
union npp_addr sock_any(const struct so *so);	/* the wildcard address of its family */
bool sock_v6only(const struct so *so);
void sock_ask_v6only(struct so *so, int fd);	/* of the kernel, for a socket that is not ours yet */
int sock_pick_iop(int att);			/* slot of the next live ISM, or -ENETUNREACH */
void sock_close_rpc(struct so *so);
int sock_bind_rpc(struct so *so, uint16_t rpc, uint32_t backlog);

/* ---- kaddr.c */
bool kaddr_is_local(const union npp_addr *addr);

/* ---- poll.c: readiness ----------------------------------------------------------------------------------- */
enum stream_state { ST_IDLE, ST_CONNECTING, ST_UP, ST_FAILED };
enum stream_state stream_state(const struct so *so);
#define WANT_OUT (EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)	/* three names for one wish */
#define WANT_ANY (1u << 26)	/* likewise, with EPOLLIN: a byte will do, whatever SO_RCVLOWAT says */
#define WANT_STATE (1u << 27)	/* beside EPOLL* in a mask: connecting has come to its end */
uint32_t so_ready(struct so *so, uint32_t want);	/* EPOLL* that hold now; arms what is missing of WANT */

/* ---- stream.c, dgram.c: data --------------------------------------------------------------------------------- */
/* All of these: FD only for waiting on the kernel part. Bytes, or -errno. */
ssize_t stream_recv(struct so *so, int fd, const struct iovec *iov, int n, int flags);
ssize_t stream_send(struct so *so, int fd, const struct iovec *iov, int n, int flags);
/* Puts up to ROOM bytes AT: how many, 0 at its end, or -errno. Under tx_lock, so it must not wait for long. */
/* -EPIPE, and SIGPIPE to this thread unless FLAGS have MSG_NOSIGNAL. */
ssize_t stream_broken_pipe(int flags);
typedef ssize_t (*stream_fill)(void *arg, uint8_t *at, size_t room);
ssize_t stream_send_by(struct so *so, int fd, size_t want, stream_fill fill, void *arg, int flags);
ssize_t stream_sendfile(struct so *so, int fd, int in, off_t *off, size_t n);
bool stream_writable(struct so *so);
uint32_t stream_readable(const struct so *so);
ssize_t dgram_recv(struct so *so, int fd, struct msghdr *mh, int flags);
ssize_t dgram_send(struct so *so, int fd, const struct msghdr *mh, int flags);
bool dgram_readable(const struct so *so, uint32_t *len);
bool dgram_writable(struct so *so);

/* ---- splice.c */
ssize_t lib_splice(struct so *from, int in, bool off_in, struct so *to, int out, bool off_out, size_t n, unsigned flags);

/* ---- dgram_cork.c */
struct cork_head { struct npp_dgram d; union npp_addr src; uint32_t most; }; /* MOST bytes may be in it */
struct cork {
	union {
		struct cork_head head;
		struct { struct npp_dgram d; union npp_addr src; uint32_t most; };
	};
	int pid;	/* who holds that back; 0 nobody */
	uint8_t data[NPP_DGRAM_MAX];
};
int cork_begin(struct so *so, const struct cork_head *first, const struct iovec *iov, int n);
int cork_add(struct so *so, const struct iovec *iov, int n, size_t len, bool more, struct cork **whole);
void cork_done(struct so *so, struct cork *c);
void cork_forget(struct so *so);
void dgram_uncork(struct so *so);

/* ---- dgram_mtu.c */
int dgram_mtu(const struct so *so);		/* IP_MTU, or -ENOTCONN */
uint32_t dgram_whole_flags(const struct so *so);	/* NPP_DGRAM_DF and so on */
bool dgram_too_large(const struct so *so, const struct npp_dgram *d);
uint32_t dgram_most(const struct so *so, const struct npp_dgram *d);
/* Bytes written that were never sent, for TCP_NOTSENT_LOWAT; only with that the ISM says how many. */
uint32_t stream_unsent(const struct npp_sock *sk);
int stream_byte(struct so *so, uint32_t off);
/* Where the ring D, which the ISM of SLOT has made, stands. */
bool ring_ok(uint32_t slot, const struct npp_ring_desc *d, uint8_t **base, uint32_t *size);
bool lib_patience(uint32_t slot, uint64_t *since);
ssize_t iov_total(const struct iovec *iov, int n);
int sock_lock_take(npp_lock_t *l);		/* begins a short section, which the next one ends */
void sock_lock_drop(npp_lock_t *l);

/* ---- opts_judge.c */
int opts_judge(const struct so *so, int level, int name, int v);

/* ---- tfo_key.c */
int tfo_key_set(struct so *so, const void *val, socklen_t len);
int tfo_key_get(const struct so *so, void *val, socklen_t *len);
int tfo_key_listen(struct so *so);

/* ---- urgent.c */
struct urg {		/* the last urgent byte of the peer, while rx_tail is not behind it */
	bool any;	/* there is one */
	bool here;	/* it has come */
	bool read;	/* by recv(MSG_OOB) */
	bool at_mark;	/* it is what is read next */
	bool inlined;	/* SO_OOBINLINE */
	uint32_t off, n;
};
bool urg_find(const struct so *so, uint64_t urg, struct urg *u);
/* Load what may hold it (rx_head) before this. */
static inline bool urg_at(const struct so *so, struct urg *u)
{
	/* acquire: with NPP_URG_HERE the byte is in the ring */
	uint64_t urg = atomic_load_explicit(&so->sk->urg, memory_order_acquire);

	u->any = false;
	return unlikely(urg != 0) && urg_find(so, urg, u);
}
uint32_t urg_limit(const struct urg *u, uint32_t *from, uint32_t avail, bool more);
void urg_passed(struct so *so, const struct urg *u, uint32_t tail);	/* under rx_lock: rx_tail will be TAIL */
uint32_t urg_readable(const struct so *so, uint32_t avail);
ssize_t urg_recv(struct so *so, const struct iovec *iov, int n, size_t want, int flags);
void urg_mark(struct npp_sock *sk, uint32_t up);

/* ---- urgsig.c */
int urg_owner_fcntl(struct so *so, int cmd, unsigned long arg);	/* INT32_MIN: the kernel's business */
void urg_owner_adopt(struct so *so, int fd);	/* of a kernel socket that becomes ours; under fd_lock */
void urg_forget(struct so *so);			/* under fd_lock */
void urg_renewed(struct so *so);			/* under fd_lock */
void urg_forked(void);
void urg_stop(void);

/* ---- cmsg.c */
void cmsg_received(const struct so *so, struct msghdr *mh, const struct npp_dgram *d, const union npp_addr *local);
ssize_t cmsg_error(struct so *so, struct msghdr *mh);
int cmsg_sent(const struct msghdr *mh, struct npp_dgram *d, union npp_addr *src);

/* ---- mcast.c */
int mcast_set(struct so *so, int fd, int level, int name, const void *val, socklen_t len);
int mcast_bound(struct so *so);			/* under fd_lock */
void mcast_let_in(struct so *so);		/* after that, without the lock */
void mcast_forget(struct so *so);
void mcast_tell(struct so *so);

/* ---- listen.c, connect.c ------------------------------------------------------------------------------------- */
int sock_do_bind(struct so *so, int fd, const struct sockaddr *sa, socklen_t len);
int sock_do_listen(struct so *so, int fd, int backlog);
int sock_do_accept(struct so *so, int fd, struct sockaddr *sa, socklen_t *len, int flags);
int sock_do_connect(struct so *so, int fd, const struct sockaddr *sa, socklen_t len);
bool stream_over(const struct so *so);
int sock_fast_open_again(struct so *so, int fd);
int sock_fast_open(struct so *so, int fd, const struct sockaddr *sa, socklen_t len);
int sock_do_shutdown(struct so *so, int fd, int how);
int dgram_do_connect(struct so *so, int fd, const struct sockaddr *sa, socklen_t len);
void sock_unmake(struct so *so, int fd, bool bound);	/* back to a kernel-yet socket; under fd_lock */
int sock_all_placeholder(struct so *so, int fd);	/* every descriptor of SO; under fd_lock */
bool accept_waiting(const struct so *so);
uint32_t accept_queue(const struct so *so, uint32_t *backlog);
void accept_hand_on(struct so *so);

/* ---- epoll.c, epoll_set.c ------------------------------------------------------------------------------------------- */
struct ep;
void ep_fd_closed(int fd, struct so *so);	/* under fd_lock */
void ep_fd_changed(int fd, struct so *so);	/* kernel-yet became ours; under fd_lock */
void ep_so_shut(struct so *so);			/* shutdown() was called: it is to be looked at */
void ep_so_lost(struct so *so);			/* ours is to become kernel-yet; under fd_lock */
void ep_free(struct so *so);
void ep_fork_begin(void);			/* under fd_lock: nobody changes an instance until ep_fork_end() */
void ep_fork_end(void);
void ep_forked(void);				/* in the child, instead */
uint32_t ep_poll_prepare(struct so *so);	/* inside poll(): EPOLLIN if it has npp events; its doorbell is armed */
uint32_t ep_ready(struct so *so);

/* ---- pass.c: SCM_RIGHTS */
#define PASS_MAX 32	/* sockets of ours in one message */
struct passed { int fd[PASS_MAX]; unsigned n; };
bool pass_wanted(const struct msghdr *mh);	/* are there any in what is to be sent? */
ssize_t pass_send(int fd, const struct msghdr *mh, int flags);
void pass_received(const struct msghdr *mh);

/* ---- fork.c --------------------------------------------------------------------------------------------------------- */
void fork_init(void);
void stdio_start(void);
void stdio_at(int fd);				/* a socket of ours is put on FD, which is 0, 1 or 2 */
#define EMBRYO_PROC(embryo) (((embryo) & 0xffffu) - 1)
int fork_embryo(uint32_t *embryo);		/* under fd_lock, as the next one */
void fork_embryo_done(uint32_t embryo, int pid);

/* ---- foreign.c */
void foreign_say(void);

/* ---- spawn.c: children that share our memory ------------------------------------------------------------------------ */
struct so *vfork_ours(int fd);
void vfork_note(int fd, struct so *so);
void vfork_exec(void);
void vfork_killed(void);			/* if vf.pid: was it, over that? */
static inline bool vfork_noted(void) { return unlikely(npp_lib.vforked) && vfork_child(); }
int spawn_run(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
	      char *const argv[], char *const envp[], bool search);

#endif
