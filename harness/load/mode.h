/* SPDX-License-Identifier: GPL-2.0-or-later
 * mode.h - what worker.c and mode.c know of each other
 */
#ifndef NPP_LOAD_MODE_H
#define NPP_LOAD_MODE_H

#include "harness/load/load.h"

#define HTTP_HEAD_MAX 4096

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_IDLE, CONN_BUSY, CONN_DRAINING };

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
	char *head;			/* HTTP header so far; allocated on first use */
};

struct worker {
	const struct load_opts *o;
	struct load_stats *st;
	int epfd;
	struct conn *conn;
	unsigned n_conns, connecting;
	uint64_t open;
	struct conn *closed, *idle;	/* stacks */
	uint64_t quota, started, finished;
	double interval_ns, next_due_ns; /* open loop */
	uint64_t now_ns, backoff_ns, held_since_ns;
	unsigned next_source;
	bool stopping;
	char *request;			/* HTTP */
	size_t request_len;
	uint8_t *buf;			/* LOAD_CHUNK bytes */
};

/* worker.c, for modes */
void worker_want_write(struct worker *w, struct conn *c, bool want);
void worker_done(struct worker *w, struct conn *c);	/* the request succeeded */
void worker_idle(struct worker *w, struct conn *c);	/* ready for the next one */
void worker_close(struct worker *w, struct conn *c);
void worker_fail(struct worker *w, struct conn *c, enum load_error err);

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
