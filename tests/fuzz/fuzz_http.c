/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_http.c - what a server says to npp-load in HTTP
 * links with: harness/load/mode_http.c harness/load/sha256.c
 *
 * Input: a byte of options, then what the server sends, each piece behind a byte that says how long it
 * is. What must hold: nothing is read beyond what came, a request ends once, with a result, and a
 * response that is taken for right has said how long it is and is so long.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "harness/load/mode.h"
#include "tests/fuzz/replay.h"

static const uint8_t *data;
static size_t left;
static unsigned ends;
static uint8_t *piece;	/* as large as what came */

/* ---- the worker ------------------------------------------------------------------------------ */

static void over(struct conn *c)
{
	MUST(c->state == CONN_BUSY || c->state == CONN_DRAINING);
	ends += c->state == CONN_BUSY;
	c->state = CONN_CLOSED;
	c->fd = -1;
}

void worker_fail(struct worker *w, struct conn *c, enum load_error err)
{
	(void)w;
	MUST(err < LOAD_ERROR_COUNT);
	over(c);
}

void worker_fail_why(struct worker *w, struct conn *c, enum load_error err, uint32_t why)
{
	MUST(why);
	worker_fail(w, c, err);
}

void worker_failed_io(struct worker *w, struct conn *c, enum load_error err)
{
	worker_fail(w, c, err);
}

void worker_close(struct worker *w, struct conn *c)
{
	(void)w;
	if (c->state != CONN_IDLE)
		c->state = CONN_BUSY;
	c->state = CONN_CLOSED;
	c->fd = -1;
}

void worker_done(struct worker *w, struct conn *c)
{
	MUST(c->state == CONN_BUSY && c->in_body && c->rx_off == c->body_len);
	MUST(!w->o->body || c->body_len == w->o->body_len);
	ends++;
	c->state = CONN_IDLE;
}

void mode_next(struct worker *w, struct conn *c) /* the next request on the same connection */
{
	(void)w;
	c->state = CONN_BUSY;
	c->in_body = false;
	c->head_len = 0;
	c->rx_off = 0;
	load_sha256_init(&c->sha);
}

bool mode_send_pattern(struct worker *w, struct conn *c, uint64_t goal) { (void)w; c->tx_off = goal; return true; }
uint64_t load_now_ns(void) { return 1; }

ssize_t mode_receive(struct worker *w, struct conn *c, bool *eof)
{
	size_t n = left ? data[0] + 1u : 0;

	(void)c;
	*eof = !left;
	if (!left)
		return -1;
	n = n < left - 1 ? n : left - 1;
	free(piece);
	piece = malloc(n ? n : 1);
	MUST(piece);
	memcpy(piece, data + 1, n);
	w->buf = piece;
	data += 1 + n;
	left -= 1 + n;
	return (ssize_t)n;
}

/* ---- an input ----------------------------------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
	struct load_opts o = { .timeout_ms = 1000 };
	struct load_stats *st = calloc(1, sizeof *st);
	struct worker w = { .o = &o, .st = st };
	struct conn c = { .fd = 1, .state = CONN_BUSY };
	unsigned events = 0;

	MUST(st);
	if (size) {
		o.body = in[0] & 1 ? (const uint8_t *)"hello" : NULL;
		o.body_len = 5;
		o.check_sha = in[0] & 2;
		o.upload = in[0] & 4;
		o.close_per_request = in[0] & 8;
		data = in + 1;
		left = size - 1;
	} else {
		left = 0;
	}
	ends = 0;
	load_sha256_init(&c.sha);
	while (c.state != CONN_CLOSED && events++ < 100000)
		http_event(&w, &c, EPOLLIN);
	MUST(c.state == CONN_CLOSED && ends > 0);
	free(c.head);
	free(st);
	free(piece);
	piece = NULL;
	return 0;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	static const struct { uint8_t options; const char *text; } seeds[] = {
		{ 1, "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello" },
		{ 8, "HTTP/1.0 200 OK\r\nConnection: close\r\ncontent-length:  3\r\n\r\nabc" },
		{ 4, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n" },
		{ 0, "HTTP/1.1 404 Not Found\r\nContent-Length: 18446744073709551615\r\n\r\n" },
		{ 2, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx" },
	};
	size_t n;

	if (i >= 2 * sizeof seeds / sizeof *seeds)
		return 0;
	n = strlen(seeds[i / 2].text);
	if (cap < n + 3)
		return 0;
	buf[0] = seeds[i / 2].options;
	if (i % 2) { /* in two pieces */
		buf[1] = 19;
		memcpy(buf + 2, seeds[i / 2].text, 20);
		buf[22] = 255;
		memcpy(buf + 23, seeds[i / 2].text + 20, n - 20);
		return n + 3;
	}
	buf[1] = 255;
	memcpy(buf + 2, seeds[i / 2].text, n);
	return n + 2;
}
