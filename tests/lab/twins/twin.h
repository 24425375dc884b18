/* SPDX-License-Identifier: GPL-2.0-or-later
 * twin.h - one random program for two stacks: what its parts share
 *
 * twin.c runs cases, world.c knows what ought to have happened by now and waits for it, and says what is to be seen,
 * stream.c, datagram.c, wait.c, options.c, plain.c, child.c, rules.c and move.c have the steps, peer.c is the other end.
 */
#ifndef NPP_TESTS_TWIN_H
#define NPP_TESTS_TWIN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define SLOTS 6		/* descriptors the program has */
#define EPOLLS 2
#define FAMILIES 2	/* 0: IPv4, 1: IPv6 */
#define BUF 70000

enum state { FRESH, LISTENS, CONNECTING, UP, OVER };

/* A socket, however many descriptors it has, and what the steps so far must have made of it. */
struct obj {
	int refs, type, domain;
	enum state state;
	bool bound, shared;		/* shared: somebody else may have the same port */
	int peer;			/* the peer's slot of the other end, or -1 */
	bool refused;			/* connects to, or a datagram was sent to, where nobody listens */
	unsigned sent, told, pread;	/* bytes of the stream: to the peer, which it knows of, which it has read */
	unsigned filled;		/* of which it took to fill the buffers, on each of the two as much as it takes */
	unsigned psent, got;		/* from the peer, which were read */
	bool fin, pfin, rst, prst, pclosed, shut_rd, urgent, linger0;
	bool lost;			/* what should have come did not: nothing more is waited for */
	bool nonblock;
	int pending[8], n_pending;	/* a listener's: the peer's slots that wait */
	int queued;			/* datagrams that came and were not read */
	bool sent_d;			/* something to nobody, when it had no peer */
	bool big;			/* of which one in pieces */
	int family;			/* that those were of */
	bool accepted;
	bool fast;			/* TCP_FASTOPEN_CONNECT */
	bool defers;			/* TCP_DEFER_ACCEPT: who connects sends at once */
	bool fired;			/* a one-shot item of the kernel's part: npp's has its shot yet */
	bool shut_over;			/* shut when it was over: Linux remembers and lets it connect no more, npp does */
	char to;			/* datagrams: connected to 'U' (the peer's) or 'D' (nobody's) */
	uint16_t port;
	bool tried;			/* it has failed to connect or to send, and may be bound again on one of the two only */
};

struct world {
	uint64_t seed, rng;
	int control;			/* to the peer */
	int slot[SLOTS], ep[EPOLLS];
	struct obj *obj[SLOTS];
	char *me[FAMILIES], *peer[FAMILIES];
	uint16_t listener[FAMILIES], closed[FAMILIES], udp[FAMILIES], udp_closed[FAMILIES];
	struct { uint16_t port; char name[8]; } names[64];
	int n_names, n_named, next_peer, late;
	bool forked;			/* children have had the sockets: on npp for a moment longer than they lived */
	char line[8192];
	size_t len;
	char answer[256];
	uint8_t buf[BUF], out[BUF];
	int file, slow;
};

struct step { const char *name; int weight; void (*run)(struct world *w); };
extern const struct step stream_steps[], datagram_steps[], wait_steps[], option_steps[], plain_steps[], child_steps[], rule_steps[], move_steps[];

/* ---- world.c */
uint32_t roll(struct world *w, uint32_t n);
#define one_of(w, a) ((a)[roll(w, sizeof(a) / sizeof(*(a)))])
void say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *port_name(struct world *w, uint16_t port);
void name_port(struct world *w, uint16_t port, const char *name);
void say_addr(struct world *w, const struct sockaddr *sa, socklen_t len);
const char *errno_name(int e);
/* Ends the words of a call: " = RESULT" or the error. ENTRY errno was set before. */
void say_result(struct world *w, long r);
unsigned sum_of(const uint8_t *p, size_t n);
char *ask(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A slot whose socket is WANTED, in most cases; or any. */
int pick(struct world *w, bool (*wanted)(const struct obj *));
int pick_empty(struct world *w);
socklen_t address(struct world *w, struct sockaddr_storage *ss, int domain, const char *host, uint16_t port);
void take_slot(struct world *w, int i, int fd, struct obj *o);
struct obj *obj_new(int type, int domain);
void drop(struct world *w, int i);
void forget(struct world *w, int i);
void settle(struct world *w);
bool wait_for(struct world *w, int i, short events);
void say_state(struct world *w);
void learn_port(struct world *w, int i);
int family_of(const struct obj *o);
bool is_any(const struct obj *o), is_up(const struct obj *o), is_listener(const struct obj *o), is_stream(const struct obj *o);
bool is_dgram(const struct obj *o), is_fresh(const struct obj *o), is_fresh_stream(const struct obj *o);
bool has_unread(const struct obj *o);
/* Whether a call that reads would wait; then it shall do so for a moment only. */
void patience(struct world *w, int i, bool short_one);

/* ---- stream.c */
void connected(struct world *w, int i, int family);

/* ---- child.c */
void child_do(int how, int fd, char *said);

/* ---- options.c */
bool option_silent(int level, int name);
void say_flags(struct world *w, int flags);

/* ---- peer.c */
int peer_main(const char *path);

extern volatile int pipes, alarms;

#endif
