/* SPDX-License-Identifier: GPL-2.0-or-later
 * mode.h - what worker.c and mode.c know of each other
 */
#ifndef NPP_LOAD_MODE_H
#define NPP_LOAD_MODE_H

#include "harness/load/load.h"

#include "harness/load/sha256.h"

#define HTTP_HEAD_MAX 4096
#define UDP_HEAD 8u		/* a datagram begins with its number */
#define UDP_MAX 65000u

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_IDLE, CONN_BUSY, CONN_DRAINING, CONN_THINKING };

struct conn {
	int fd;
	enum conn_state state;
	uint32_t watched;		/* epoll events registered */
	bool in_request;
	bool in_body;			/* HTTP: header is complete */
	bool server_closes;		/* HTTP: Connection: close */
	struct conn *next_free;
	uint64_t due_ns, connect_ns, deadline_ns;
	uint64_t tx_off, rx_off;	/* bytes of the stream (bulk, echo) or of this request (HTTP) */
	uint64_t body_len;
	uint32_t head_len;
	unsigned target;		/* index */
	unsigned at, tried;		/* which of the target's addresses; how many have failed */
	uint64_t used;			/* requests on this connection */
	uint64_t wake_ns;		/* thinking, or reading no faster than it may */
	bool asleep;			/* in the list of those that wake up */
	bool paused;			/* it may not read until then */
	struct conn *next_asleep;
	char *head;			/* HTTP header so far; allocated on first use */
	struct load_sha256 sha;
};

struct worker {
	const struct load_opts *o;
	struct load_stats *st;
	const struct load_stats *all;	/* of all workers of the profile */
	int epfd;
	struct conn *conn;
	unsigned n_conns, connecting;
	uint64_t open;
	struct conn *closed, *idle;	/* stacks */
	uint64_t quota, started, finished;
	double interval_ns, next_due_ns; /* open loop */
	uint64_t now_ns, backoff_ns, held_since_ns;
	unsigned next_source, next_target;
	unsigned at[LOAD_MAX_TARGETS];	/* the address that connections to a target begin with */
	bool stopping;
	bool no_port;			/* idle: none was left, and none is given back before the end */
	char *request[LOAD_MAX_TARGETS];	/* HTTP */
	size_t request_len[LOAD_MAX_TARGETS];
	uint8_t *buf;			/* LOAD_CHUNK bytes */
	uint8_t *dgram;			/* UDP: UDP_MAX bytes */
	struct conn *asleep;
	uint64_t next_wake_ns;
	uint64_t random;
};

/* worker.c, for modes */
void worker_want_write(struct worker *w, struct conn *c, bool want);
void worker_done(struct worker *w, struct conn *c);	/* the request succeeded */
void worker_idle(struct worker *w, struct conn *c);	/* ready for the next one */
void worker_close(struct worker *w, struct conn *c);
void worker_fail(struct worker *w, struct conn *c, enum load_error err);
void worker_fail_why(struct worker *w, struct conn *c, enum load_error err, uint32_t why); /* errno, enum load_reason, 0 */
/* A send() or recv() has failed: the same with errno, unless that only says the same again. */
void worker_failed_io(struct worker *w, struct conn *c, enum load_error err);

/* C, of which nothing was heard, did not get to its target: another of its addresses is tried. False: all were. */
bool worker_elsewhere(struct worker *w, struct conn *c);

/* C has read N bytes; if that was faster than it may, it pauses. */
void worker_read_some(struct worker *w, struct conn *c, size_t n);
/* Bytes that C should read at once. */
size_t worker_read_size(const struct worker *w);

/* mode_http.c, mode_udp.c, for mode.c */
int http_init(struct worker *w);
void http_start(struct worker *w, struct conn *c);
void http_event(struct worker *w, struct conn *c, uint32_t events);
int udp_init(struct worker *w);
void udp_start(struct worker *w, struct conn *c);
void udp_readable(struct worker *w, struct conn *c);
/* mode.c, for those: writes what socket and goal allow of the pattern; false: it failed. */
bool mode_send_pattern(struct worker *w, struct conn *c, uint64_t goal);
/* One read into w->buf: bytes, 0 nothing now, -1 the connection is gone or failed;
 * *EOF_SEEN tells an orderly end. */
ssize_t mode_receive(struct worker *w, struct conn *c, bool *eof_seen);
/* The request was answered: what becomes of the connection? */
void mode_next(struct worker *w, struct conn *c);

/* mode.c, for the worker */
int mode_init(struct worker *w);
void mode_end(struct worker *w);
bool mode_counts_connections(const struct load_opts *o); /* is a connection the unit of work? */
void mode_connected(struct worker *w, struct conn *c);
void mode_start(struct worker *w, struct conn *c);
void mode_event(struct worker *w, struct conn *c, uint32_t events);
void mode_tick(struct worker *w, uint64_t now_ns);
bool mode_finished(const struct worker *w);

#endif
