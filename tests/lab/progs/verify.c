/* SPDX-License-Identifier: GPL-2.0-or-later
 * verify.c - client of an echo server that looks at every byte
 *
 *   verify HOST PORT CONNECTIONS BYTES [ROUNDS]
 *
 * Opens CONNECTIONS at once without blocking, sends BYTES of a pattern of its own on
 * each in writes of odd sizes, checks what comes back, shuts its side, expects the end;
 * all that ROUNDS times. Prints one line and exits 0 if everything was right.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 30011

struct conn { int fd; bool up, shut, done; uint64_t sent, got; unsigned seed; };

static uint8_t byte_at(const struct conn *c, uint64_t i)
{
	return (uint8_t)((i * 2654435761u + c->seed * 40503u) >> 9);
}

static void dial(struct conn *c, const struct addrinfo *ai, unsigned seed)
{
	*c = (struct conn){ .fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0), .seed = seed };
	if (c->fd < 0)
		err(1, "socket");
	if (connect(c->fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS)
		err(1, "connect");
}

static void on_connected(struct conn *c)
{
	int e = 0;
	socklen_t n = sizeof e;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0 || e)
		errx(1, "connection %u: %s", c->seed, strerror(e ? e : errno));
	c->up = true;
}

static void on_writable(struct conn *c, uint64_t all)
{
	uint8_t buf[CHUNK];
	uint64_t n = all - c->sent < CHUNK ? all - c->sent : 1 + (c->sent * 31 + c->seed) % CHUNK;
	ssize_t k;

	if (n > all - c->sent)
		n = all - c->sent;
	for (uint64_t i = 0; i < n; i++)
		buf[i] = byte_at(c, c->sent + i);
	k = send(c->fd, buf, n, MSG_NOSIGNAL);
	if (k < 0 && errno != EAGAIN)
		err(1, "send on connection %u after %llu bytes", c->seed, (unsigned long long)c->sent);
	c->sent += k > 0 ? (uint64_t)k : 0;
	if (c->sent == all && !c->shut) {
		if (shutdown(c->fd, SHUT_WR) < 0)
			err(1, "shutdown");
		c->shut = true;
	}
}

static void on_readable(struct conn *c, uint64_t all)
{
	uint8_t buf[CHUNK];
	ssize_t k = recv(c->fd, buf, sizeof buf, 0);

	if (k < 0 && errno == EAGAIN)
		return;
	if (k < 0)
		err(1, "recv on connection %u after %llu bytes", c->seed, (unsigned long long)c->got);
	if (k == 0) {
		if (c->got != all)
			errx(1, "connection %u ends after %llu bytes", c->seed, (unsigned long long)c->got);
		c->done = true;
		close(c->fd);
		return;
	}
	for (ssize_t i = 0; i < k; i++)
		if (buf[i] != byte_at(c, c->got + (uint64_t)i))
			errx(1, "connection %u: wrong byte at %llu", c->seed, (unsigned long long)c->got + (uint64_t)i);
	c->got += (uint64_t)k;
}

static void round_of(struct conn *c, unsigned n, uint64_t all, const struct addrinfo *ai, unsigned seed)
{
	struct pollfd *p = calloc(n, sizeof *p);
	unsigned left = n;

	for (unsigned i = 0; i < n; i++)
		dial(&c[i], ai, seed + i);
	while (left) {
		for (unsigned i = 0; i < n; i++) {
			p[i].fd = c[i].done ? -1 : c[i].fd;
			p[i].events = (short)(!c[i].up ? POLLOUT : POLLIN | (c[i].shut ? 0 : POLLOUT));
		}
		if (poll(p, n, 20000) <= 0)
			errx(1, "nothing moves on %u connections", left);
		for (unsigned i = 0; i < n; i++) {
			if (c[i].done || !p[i].revents)
				continue;
			if (!c[i].up)
				on_connected(&c[i]);
			else if (p[i].revents & (POLLIN | POLLERR | POLLHUP))
				on_readable(&c[i], all);
			if (!c[i].done && c[i].up && !c[i].shut && p[i].revents & POLLOUT)
				on_writable(&c[i], all);
			left -= c[i].done;
		}
	}
	free(p);
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *ai;
	unsigned n = argc > 3 ? (unsigned)atoi(argv[3]) : 0, rounds = argc > 5 ? (unsigned)atoi(argv[5]) : 1;
	uint64_t all = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	struct conn *c = calloc(n ? n : 1, sizeof *c);

	if (!n || !all)
		errx(2, "usage: verify HOST PORT CONNECTIONS BYTES [ROUNDS]");
	if (getaddrinfo(argv[1], argv[2], &hints, &ai) != 0)
		errx(1, "%s: unknown", argv[1]);
	for (unsigned r = 0; r < rounds; r++)
		round_of(c, n, all, ai, 1 + r * n);
	printf("%u x %llu bytes echoed\n", n * rounds, (unsigned long long)all);
	freeaddrinfo(ai);
	free(c);
	return 0;
}
