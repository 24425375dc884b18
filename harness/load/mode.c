/* SPDX-License-Identifier: GPL-2.0-or-later
 * mode.c - the conversations: echo, bulk to and from, connects, idle connections
 *
 * HTTP and UDP have files of their own.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/load/mode.h"

bool mode_send_pattern(struct worker *w, struct conn *c, uint64_t goal)
{
	while (!goal || c->tx_off < goal) {
		size_t n = LOAD_CHUNK;
		ssize_t r;

		if (goal && goal - c->tx_off < n)
			n = (size_t)(goal - c->tx_off);
		r = send(c->fd, load_pattern(c->tx_off), n, MSG_NOSIGNAL);
		if (r < 0) {
			if (errno == EAGAIN) {
				worker_want_write(w, c, true);
				return true;
			}
			worker_failed_io(w, c, LOAD_ERR_RESET);
			return false;
		}
		c->tx_off += (uint64_t)r;
		load_count(&w->st->bytes_out, (uint64_t)r);
		if (c->in_request)
			c->deadline_ns = w->now_ns + w->o->timeout_ms * 1000000ull;
		if ((size_t)r < n) {
			worker_want_write(w, c, true);
			return true;
		}
		if (!goal)
			break; /* unlimited: let others have their turn */
	}
	worker_want_write(w, c, !goal);
	return true;
}

ssize_t mode_receive(struct worker *w, struct conn *c, bool *eof_seen)
{
	ssize_t r = recv(c->fd, w->buf, worker_read_size(w), 0);

	*eof_seen = r == 0;
	if (r > 0) {
		load_count(&w->st->bytes_in, (uint64_t)r);
		worker_read_some(w, c, (size_t)r);
		return r;
	}
	if (r < 0 && errno == EAGAIN)
		return 0;
	if (r < 0)
		worker_failed_io(w, c, LOAD_ERR_RESET);
	return -1;
}

void mode_next(struct worker *w, struct conn *c)
{
	if (w->o->per_conn && c->used >= w->o->per_conn)
		worker_close(w, c);
	else
		worker_idle(w, c);
}

/* ---- echo, also used at the end of an idle hold --------------------------------- */

static void echo_event(struct worker *w, struct conn *c, uint32_t events)
{
	bool eof;
	ssize_t n;

	if ((events & EPOLLOUT) && !mode_send_pattern(w, c, c->body_len))
		return;
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	n = mode_receive(w, c, &eof);
	if (n < 0) {
		if (eof)
			worker_fail(w, c, LOAD_ERR_CLOSED);
		return;
	}
	if (n > 0 && (!c->in_request || !load_pattern_check(c->rx_off, w->buf, (size_t)n) ||
		      c->rx_off + (uint64_t)n > c->body_len)) {
		worker_fail(w, c, LOAD_ERR_CONTENT);
		return;
	}
	c->rx_off += (uint64_t)n;
	if (n == 0 || c->rx_off < c->body_len)
		return;
	worker_done(w, c);
	if (w->o->mode == LOAD_IDLE)
		worker_close(w, c);
	else
		mode_next(w, c);
}

static void echo_start(struct worker *w, struct conn *c)
{
	c->body_len = c->tx_off + w->o->bytes; /* the goal, as a stream offset */
	mode_send_pattern(w, c, c->body_len);
}

/* ---- bulk ------------------------------------------------------------------------ */

/* The sink answers end of file with the number of bytes it found right, eight bytes in
 * network order. */
static void bulk_send_event(struct worker *w, struct conn *c, uint32_t events)
{
	uint64_t goal = w->o->bytes, answer = 0;
	bool eof;
	ssize_t n;

	if (events & EPOLLOUT) {
		if (!mode_send_pattern(w, c, goal))
			return;
		if (goal && c->tx_off == goal && c->state == CONN_BUSY) {
			shutdown(c->fd, SHUT_WR);
			c->state = CONN_DRAINING;
		}
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	n = mode_receive(w, c, &eof);
	if (n < 0 && eof)
		worker_fail(w, c, LOAD_ERR_CLOSED);
	if (n <= 0)
		return;
	if (n == 8)
		for (int i = 0; i < 8; i++)
			answer = answer << 8 | w->buf[i];
	if (n != 8 || c->state != CONN_DRAINING || answer != goal) {
		worker_fail(w, c, LOAD_ERR_CONTENT);
		return;
	}
	worker_done(w, c);
	worker_close(w, c);
}

static void bulk_recv_event(struct worker *w, struct conn *c)
{
	bool eof;
	ssize_t n = mode_receive(w, c, &eof);

	if (n < 0 && eof)
		worker_fail(w, c, LOAD_ERR_CLOSED);
	if (n <= 0)
		return;
	if (!load_pattern_check(c->rx_off, w->buf, (size_t)n)) {
		worker_fail(w, c, LOAD_ERR_CONTENT);
		return;
	}
	c->rx_off += (uint64_t)n;
	c->deadline_ns = w->now_ns + w->o->timeout_ms * 1000000ull;
	if (!w->o->bytes || c->rx_off < w->o->bytes)
		return;
	worker_done(w, c);
	worker_close(w, c);
}

/* ---- entries ------------------------------------------------------------------------ */

int mode_init(struct worker *w)
{
	w->buf = malloc(LOAD_CHUNK);
	if (!w->buf)
		return -1;
	return w->o->mode == LOAD_HTTP ? http_init(w) : w->o->mode == LOAD_UDP ? udp_init(w) : 0;
}

void mode_end(struct worker *w)
{
	for (unsigned i = 0; i < w->n_conns; i++)
		free(w->conn[i].head);
	for (unsigned i = 0; i < w->o->n_targets; i++)
		free(w->request[i]);
	free(w->dgram);
	free(w->buf);
}

bool mode_counts_connections(const struct load_opts *o)
{
	return o->mode == LOAD_CONNECT || o->mode == LOAD_SEND || o->mode == LOAD_RECV ||
	       o->mode == LOAD_IDLE || (o->mode == LOAD_HTTP && o->close_per_request);
}

void mode_connected(struct worker *w, struct conn *c)
{
	if (!mode_counts_connections(w->o)) {
		worker_idle(w, c);
		return;
	}
	c->deadline_ns = w->now_ns + w->o->timeout_ms * 1000000ull;
	switch (w->o->mode) {
	case LOAD_CONNECT:
		worker_done(w, c);
		worker_close(w, c);
		break;
	case LOAD_IDLE:
		c->deadline_ns = 0;
		break;
	default:
		mode_start(w, c);
	}
}

void mode_start(struct worker *w, struct conn *c)
{
	switch (w->o->mode) {
	case LOAD_HTTP:
		http_start(w, c);
		break;
	case LOAD_ECHO:
	case LOAD_IDLE:
		echo_start(w, c);
		break;
	case LOAD_SEND:
		worker_want_write(w, c, true);
		break;
	case LOAD_UDP:
		udp_start(w, c);
		break;
	default:
		break;
	}
}

void mode_event(struct worker *w, struct conn *c, uint32_t events)
{
	switch (w->o->mode) {
	case LOAD_HTTP:
		http_event(w, c, events);
		break;
	case LOAD_UDP:
		udp_readable(w, c);
		break;
	case LOAD_ECHO:
	case LOAD_IDLE:
		echo_event(w, c, events);
		break;
	case LOAD_SEND:
		bulk_send_event(w, c, events);
		break;
	case LOAD_RECV:
		bulk_recv_event(w, c);
		break;
	default:
		break;
	}
}

/* Idle mode: have all workers of the profile opened what they could? */
static bool all_open(const struct worker *w)
{
	for (unsigned i = 0; i < w->o->workers; i++)
		if (atomic_load_explicit(&w->all[i].phase, memory_order_relaxed) == 0)
			return false;
	return true;
}

/* Idle mode: when all connections stand (or have failed), hold them, then use each. */
void mode_tick(struct worker *w, uint64_t now_ns)
{
	uint32_t phase = atomic_load_explicit(&w->st->phase, memory_order_relaxed);

	if (w->o->mode != LOAD_IDLE)
		return;
	if (phase == 0 && w->open + w->finished >= w->n_conns && !w->connecting) {
		atomic_store_explicit(&w->st->phase, 1, memory_order_relaxed);
	} else if (phase == 1 && all_open(w)) {
		w->held_since_ns = now_ns;
		atomic_store_explicit(&w->st->phase, 2, memory_order_relaxed);
	} else if (phase == 2 && now_ns - w->held_since_ns >= w->o->hold_s * 1000000000ull) {
		atomic_store_explicit(&w->st->phase, 3, memory_order_relaxed);
		for (unsigned i = 0; i < w->n_conns; i++) {
			struct conn *c = &w->conn[i];

			if (c->fd < 0)
				continue;
			w->now_ns = load_now_ns();
			c->due_ns = w->now_ns;
			c->deadline_ns = w->now_ns + w->o->timeout_ms * 1000000ull;
			echo_start(w, c);
		}
	}
}

bool mode_finished(const struct worker *w)
{
	if (w->o->mode == LOAD_IDLE)
		return w->finished >= w->n_conns;
	return w->quota && w->finished >= w->quota;
}
