/* SPDX-License-Identifier: GPL-2.0-or-later
 * mode_http.c - HTTP/1.1: GET, and POST of the pattern; bodies checked against a file or a sum
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "harness/load/mode.h"

/* The request without its body, for each target. */
int http_init(struct worker *w)
{
	const struct load_opts *o = w->o;
	char upload[64] = "";
	int n;

	if (o->upload)
		snprintf(upload, sizeof upload, "Content-Length: %llu\r\n", (unsigned long long)o->upload_bytes);
	for (unsigned i = 0; i < o->n_targets; i++) {
		n = asprintf(&w->request[i], "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: npp-load\r\n%s%s\r\n",
			     o->upload ? "POST" : "GET", o->target[i].path, o->target[i].host, upload,
			     o->close_per_request ? "Connection: close\r\n" : "");
		if (n < 0) {
			w->request[i] = NULL;
			return -1;
		}
		w->request_len[i] = (size_t)n;
	}
	return 0;
}

void http_start(struct worker *w, struct conn *c)
{
	size_t len = w->request_len[c->target];
	ssize_t r;

	c->head_len = 0;
	c->in_body = false;
	c->rx_off = c->tx_off = 0;
	load_sha256_init(&c->sha);
	r = send(c->fd, w->request[c->target], len, MSG_NOSIGNAL | (w->o->upload_bytes ? MSG_MORE : 0));
	if (r != (ssize_t)len) {
		if (r < 0)
			worker_failed_io(w, c, LOAD_ERR_RESET);
		else
			worker_fail(w, c, LOAD_ERR_LOCAL);
		return;
	}
	load_count(&w->st->bytes_out, (uint64_t)r);
	if (w->o->upload_bytes)
		mode_send_pattern(w, c, w->o->upload_bytes);
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
static enum load_error http_parse(const struct worker *w, struct conn *c, uint32_t *why)
{
	const char *len = http_header(c->head, "Content-Length");
	const char *conn = http_header(c->head, "Connection");
	unsigned long status = strncmp(c->head, "HTTP/1.", 7) == 0 && c->head[7] ? strtoul(c->head + 8, NULL, 10) : 0;

	*why = LOAD_NO_HTTP;
	if (status < 100 || status > 999)
		return LOAD_ERR_PROTOCOL;
	*why = LOAD_HTTP_STATUS | (uint32_t)status;
	if (status != 200 && (!w->o->upload || status / 10 != 20))
		return LOAD_ERR_STATUS;
	*why = LOAD_NO_LENGTH;
	if (!len)
		return LOAD_ERR_PROTOCOL;
	c->body_len = strtoull(len, NULL, 10);
	c->server_closes = conn && strncasecmp(conn, "close", 5) == 0;
	c->in_body = true;
	*why = LOAD_WRONG_SIZE;
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
	uint8_t sum[32];

	if (w->o->check_sha) {
		load_sha256_end(&c->sha, sum);
		if (memcmp(sum, w->o->sha, sizeof sum) != 0) {
			worker_fail_why(w, c, LOAD_ERR_CONTENT, LOAD_WRONG_SUM);
			return;
		}
	}
	if (c->tx_off < w->o->upload_bytes) {	/* it does not want to know the rest */
		worker_fail_why(w, c, LOAD_ERR_PROTOCOL, LOAD_EARLY);
		return;
	}
	worker_done(w, c);
	if (w->o->close_per_request && !c->server_closes) {
		worker_close(w, c);
	} else if (c->server_closes) {
		c->state = CONN_DRAINING;
		c->deadline_ns = w->now_ns + w->o->timeout_ms * 1000000ull;
	} else {
		mode_next(w, c);
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
		uint32_t why;

		data += used;
		len -= used;
		if (!c->in_body) {
			if (c->head_len >= HTTP_HEAD_MAX - 1)
				worker_fail_why(w, c, LOAD_ERR_PROTOCOL, LOAD_NO_HTTP);
			return c->fd >= 0;
		}
		err = http_parse(w, c, &why);
		if (err != LOAD_ERROR_COUNT) {
			worker_fail_why(w, c, err, why);
			return false;
		}
	}
	if (len > c->body_len - c->rx_off ||
	    (w->o->body && memcmp(w->o->body + c->rx_off, data, len) != 0)) {
		worker_fail_why(w, c, LOAD_ERR_CONTENT, len > c->body_len - c->rx_off ? LOAD_WRONG_SIZE : LOAD_OTHER_BYTES);
		return false;
	}
	if (w->o->check_sha)
		load_sha256_add(&c->sha, data, len);
	c->rx_off += len;
	if (w->o->read_rate > 0 || c->body_len > LOAD_CHUNK)	/* as long as it comes it may take its time */
		c->deadline_ns = load_now_ns() + w->o->timeout_ms * 1000000ull;
	if (c->rx_off < c->body_len)
		return true;
	http_complete(w, c);
	return false;
}

static void http_readable(struct worker *w, struct conn *c)
{
	bool eof;
	ssize_t n = mode_receive(w, c, &eof);

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

void http_event(struct worker *w, struct conn *c, uint32_t events)
{
	if ((events & EPOLLOUT) && c->state == CONN_BUSY && !mode_send_pattern(w, c, w->o->upload_bytes))
		return;
	if (events & ~(uint32_t)EPOLLOUT)
		http_readable(w, c);
}
