/* SPDX-License-Identifier: GPL-2.0-or-later
 * mode_udp.c - UDP: a datagram, and the same one back
 *
 * A datagram is a number in network order, then the pattern from there on. A connected socket has
 * one question on its way; one that is not answered in time is lost, which is counted and
 * no error, and the next one follows. Answers to questions of before are late.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "harness/load/mode.h"

int udp_init(struct worker *w)
{
	w->dgram = malloc(UDP_MAX);
	return w->dgram ? 0 : -1;
}

static void put_number(uint8_t *p, uint64_t n)
{
	for (unsigned i = 0; i < UDP_HEAD; i++)
		p[i] = (uint8_t)(n >> (56 - 8 * i));
}

static uint64_t get_number(const uint8_t *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < UDP_HEAD; i++)
		n = n << 8 | p[i];
	return n;
}

void udp_start(struct worker *w, struct conn *c)
{
	size_t len = w->o->bytes;
	ssize_t r;

	put_number(w->dgram, ++c->tx_off);
	memcpy(w->dgram + UDP_HEAD, load_pattern(c->tx_off), len - UDP_HEAD);
	r = send(c->fd, w->dgram, len, MSG_NOSIGNAL);
	if (r == (ssize_t)len)
		load_count(&w->st->bytes_out, len);
	else if (r >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED))
		worker_failed_io(w, c, LOAD_ERR_LOCAL);
}

void udp_readable(struct worker *w, struct conn *c)
{
	ssize_t n = recv(c->fd, w->buf, LOAD_CHUNK, 0);
	uint64_t number;

	if (n < 0) {
		if (errno != EAGAIN && !worker_elsewhere(w, c))
			worker_failed_io(w, c, LOAD_ERR_RESET);	/* nobody is there: ICMP said so */
		return;
	}
	load_count(&w->st->bytes_in, (uint64_t)n);
	number = n >= (ssize_t)UDP_HEAD ? get_number(w->buf) : 0;
	if (!number || number > c->tx_off || (size_t)n != w->o->bytes ||
	    !load_pattern_check(number, w->buf + UDP_HEAD, (size_t)n - UDP_HEAD)) {
		worker_fail(w, c, LOAD_ERR_CONTENT);
		return;
	}
	if (number != c->tx_off || !c->in_request) {
		load_count(&w->st->late, 1);
		return;
	}
	worker_done(w, c);
	mode_next(w, c);
}
