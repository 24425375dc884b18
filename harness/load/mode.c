/* SPDX-License-Identifier: GPL-2.0-or-later
 * mode.c - the conversations: HTTP, echo, bulk to and from, connects, idle connections
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

/* Writes what socket and goal allow of the pattern; false if the connection failed. */
static bool send_pattern(struct worker *w, struct conn *c, uint64_t goal)
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
			worker_fail(w, c, LOAD_ERR_RESET);
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

/* One read into w->buf: bytes, 0 nothing now, -1 the connection is gone or failed;
 * *EOF_SEEN tells an orderly end. */
static ssize_t receive(struct worker *w, struct conn *c, bool *eof_seen)
{
	ssize_t r = recv(c->fd, w->buf, LOAD_CHUNK, 0);

	*eof_seen = r == 0;
	if (r > 0) {
		load_count(&w->st->bytes_in, (uint64_t)r);
		return r;
	}
	if (r < 0 && errno == EAGAIN)
		return 0;
	if (r < 0)
		worker_fail(w, c, LOAD_ERR_RESET);
	return -1;
}

/* ---- HTTP ------------------------------------------------------------------- */

static void http_start(struct worker *w, struct conn *c)
{
	ssize_t r;

	c->head_len = 0;
	c->in_body = false;
	c->rx_off = 0;
	r = send(c->fd, w->request, w->request_len, MSG_NOSIGNAL);
	if (r != (ssize_t)w->request_len) {
		worker_fail(w, c, r < 0 ? LOAD_ERR_RESET : LOAD_ERR_LOCAL);
		return;
	}
	load_count(&w->st->bytes_out, (uint64_t)r);
}

static const char *http_header(const char *head, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = strstr(head, "\r\n"); p && p[2]; p = strstr(p + 2, "\r\n"))
		if (strncasecmp(p + 2, name, n) == 0 && p[2 + n] == ':')
			return p + 3 + n + strspn(p + 3 + n, " ");
	return NULL;
}

/* The header in c->head is complete (NUL-terminated): what will follow? */
static enum load_error http_parse(const struct worker *w, struct conn *c)
{
	const char *len = http_header(c->head, "Content-Length");
	const char *conn = http_header(c->head, "Connection");

	if (strncmp(c->head, "HTTP/1.", 7) != 0 || !len)
		return LOAD_ERR_PROTOCOL;
	if (strncmp(c->head + 8, " 200", 4) != 0)
		return LOAD_ERR_STATUS;
	c->body_len = strtoull(len, NULL, 10);
	c->server_closes = conn && strncasecmp(conn, "close", 5) == 0;
	c->in_body = true;
	if (w->o->body && c->body_len != w->o->body_len)
		return LOAD_ERR_CONTENT;
	return LOAD_ERROR_COUNT;
}

/* Moves bytes of DATA into the header until it is complete; returns how many. */
static size_t http_take_head(struct conn *c, const uint8_t *data, size_t len)
{
	size_t used = 0;

	while (used < len && c->head_len < HTTP_HEAD_MAX - 1) {
		c->head[c->head_len++] = (char)data[used++];
		if (c->head_len >= 4 && memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) == 0) {
			c->head[c->head_len] = 0;
			c->in_body = true;
			break;
		}
	}
	return used;
}

static void http_complete(struct worker *w, struct conn *c)
{
	worker_done(w, c);
	if (w->o->close_per_request && !c->server_closes) {
		worker_close(w, c);
	} else if (c->server_closes) {
		c->state = CONN_DRAINING;
		c->deadline_ns = w->now_ns + w->o->timeout_ms * 1000000ull;
	} else {
		worker_idle(w, c);
	}
}

/* Feeds LEN bytes of response; true while the connection is still in this request. */
static bool http_feed(struct worker *w, struct conn *c, const uint8_t *data, size_t len)
{
	if (!c->head && !(c->head = malloc(HTTP_HEAD_MAX))) {
		worker_fail(w, c, LOAD_ERR_LOCAL);
		return false;
	}
	if (!c->in_body) {
		size_t used = http_take_head(c, data, len);
		enum load_error err;

		data += used;
		len -= used;
		if (!c->in_body) {
			if (c->head_len >= HTTP_HEAD_MAX - 1)
				worker_fail(w, c, LOAD_ERR_PROTOCOL);
			return c->fd >= 0;
		}
		err = http_parse(w, c);
		if (err != LOAD_ERROR_COUNT) {
			worker_fail(w, c, err);
			return false;
		}
	}
	if (len > c->body_len - c->rx_off ||
	    (w->o->body && memcmp(w->o->body + c->rx_off, data, len) != 0)) {
		worker_fail(w, c, LOAD_ERR_CONTENT);
		return false;
	}
	c->rx_off += len;
	if (c->rx_off < c->body_len)
		return true;
	http_complete(w, c);
	return false;
}

static void http_readable(struct worker *w, struct conn *c)
{
	bool eof;
	ssize_t n = receive(w, c, &eof);

	if (n > 0) {
		if (c->state == CONN_BUSY)
			http_feed(w, c, w->buf, (size_t)n);
		else
			worker_fail(w, c, LOAD_ERR_CONTENT);
	} else if (n < 0 && eof) {
		if (c->state == CONN_BUSY)
			worker_fail(w, c, LOAD_ERR_CLOSED);
		else if (c->state == CONN_DRAINING)
			worker_close(w, c);
		else
			worker_fail(w, c, LOAD_ERR_CLOSED);
	}
}

/* ---- echo, also used at the end of an idle hold --------------------------------- */

static void echo_event(struct worker *w, struct conn *c, uint32_t events)
{
	bool eof;
	ssize_t n;

	if ((events & EPOLLOUT) && !send_pattern(w, c, c->body_len))
		return;
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	n = receive(w, c, &eof);
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
		worker_idle(w, c);
}

static void echo_start(struct worker *w, struct conn *c)
{
	c->body_len = c->tx_off + w->o->bytes; /* the goal, as a stream offset */
	send_pattern(w, c, c->body_len);
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
		if (!send_pattern(w, c, goal))
			return;
		if (goal && c->tx_off == goal && c->state == CONN_BUSY) {
			shutdown(c->fd, SHUT_WR);
			c->state = CONN_DRAINING;
		}
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	n = receive(w, c, &eof);
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
	ssize_t n = receive(w, c, &eof);

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
	const struct load_opts *o = w->o;
	int n;

	w->buf = malloc(LOAD_CHUNK);
	if (!w->buf)
		return -1;
	if (o->mode != LOAD_HTTP)
		return 0;
	n = asprintf(&w->request, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: npp-load\r\n%s\r\n", o->path,
		     o->host, o->close_per_request ? "Connection: close\r\n" : "");
	w->request_len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? -1 : 0;
}

void mode_end(struct worker *w)
{
	for (unsigned i = 0; i < w->n_conns; i++)
		free(w->conn[i].head);
	free(w->request);
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
	default:
		break;
	}
}

void mode_event(struct worker *w, struct conn *c, uint32_t events)
{
	switch (w->o->mode) {
	case LOAD_HTTP:
		http_readable(w, c);
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

/* Idle mode: when all connections stand (or have failed), hold them, then use each. */
void mode_tick(struct worker *w, uint64_t now_ns)
{
	uint32_t phase = atomic_load_explicit(&w->st->phase, memory_order_relaxed);

	if (w->o->mode != LOAD_IDLE)
		return;
	if (phase == 0 && w->open + w->finished >= w->n_conns && !w->connecting) {
		w->held_since_ns = now_ns;
		atomic_store_explicit(&w->st->phase, 1, memory_order_relaxed);
	} else if (phase == 1 && now_ns - w->held_since_ns >= w->o->hold_s * 1000000000ull) {
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
