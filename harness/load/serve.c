/* SPDX-License-Identifier: GPL-2.0-or-later
 * serve.c - the trivial epoll server: as little as possible between socket and answer
 *
 * Level-triggered, one process per worker, all sharing one listener. It is what is
 * compared on both sides when the stack is to be seen apart from nginx.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "harness/load/load.h"

enum serve_mode { SERVE_HTTP, SERVE_ECHO, SERVE_SINK, SERVE_SOURCE, SERVE_UDP };

struct peer {
	int fd;
	enum { PEER_OPEN, PEER_CLOSING } state;
	uint64_t rx_off, tx_off, goal;
	uint32_t matched;	/* HTTP: how much of "\r\n\r\n" was seen */
	uint32_t seen_close;	/* HTTP: how much of "\nConnection: close" was seen */
	uint32_t seen_length;	/* HTTP: the same of "\nContent-Length:" */
	uint64_t body_left;	/* HTTP: of the request */
	bool in_body;
	bool close_after, bad, watching_out;
	uint8_t *held;		/* what the peer did not yet take; nothing is read meanwhile */
	size_t held_len, held_off;
};

struct server {
	enum serve_mode mode;
	int epfd, listener;
	bool full;	/* no descriptor was left: others accept, until a peer of ours goes */
	char *response, *response_close;
	size_t response_len, response_close_len;
	uint8_t *buf;
};

static void listen_watch(struct server *s, bool on)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (s->full == on && epoll_ctl(s->epfd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->listener, &ev) == 0)
		s->full = !on;
}

static void peer_close(struct server *s, struct peer *p)
{
	close(p->fd);
	free(p->held);
	free(p);
	listen_watch(s, true);
}

static void peer_watch(struct server *s, struct peer *p, bool out)
{
	struct epoll_event ev = { .events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = p };

	if (p->watching_out != out)
		epoll_ctl(s->epfd, EPOLL_CTL_MOD, p->fd, &ev);
	p->watching_out = out;
}

/* Pattern up to p->goal; false if the peer is gone. */
static bool peer_send_pattern(struct server *s, struct peer *p)
{
	while (p->tx_off < p->goal) {
		size_t n = p->goal - p->tx_off < LOAD_CHUNK ? (size_t)(p->goal - p->tx_off) : LOAD_CHUNK;
		ssize_t r = send(p->fd, load_pattern(p->tx_off), n, MSG_NOSIGNAL);

		if (r < 0 && errno != EAGAIN)
			return false;
		if (r > 0)
			p->tx_off += (uint64_t)r;
		if (r < (ssize_t)n)
			break;
		if (s->mode == SERVE_SOURCE)
			break; /* others have their turn */
	}
	peer_watch(s, p, p->tx_off < p->goal);
	return true;
}

/* One character of a header: what is looked for in it, a bit at a time. */
static void http_header_char(struct peer *p, char c)
{
	static const char end[] = "\r\n\r\n", close_[] = "\nconnection: close", length[] = "\ncontent-length:";
	char lower = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;

	p->matched = c == end[p->matched] ? p->matched + 1 : c == '\r';
	p->seen_close = lower == close_[p->seen_close] ? p->seen_close + 1 : lower == '\n';
	if (p->seen_close == sizeof close_ - 1) {
		p->close_after = true;
		p->seen_close = 0;
	}
	if (p->seen_length == sizeof length - 1) {	/* digits until the end of the line */
		if (c >= '0' && c <= '9' && p->body_left < UINT64_MAX / 20)
			p->body_left = p->body_left * 10 + (uint64_t)(c - '0');
		else if (c != ' ')
			p->seen_length = 0;
	}
	if (p->seen_length < sizeof length - 1)
		p->seen_length = lower == length[p->seen_length] ? p->seen_length + 1 : lower == '\n';
}

/* How many requests end in DATA, with their bodies, which must be the pattern. */
static unsigned http_requests(struct peer *p, const uint8_t *data, size_t len)
{
	unsigned n = 0;
	size_t i = 0, k;

	while (i < len) {
		if (!p->in_body) {
			http_header_char(p, (char)data[i++]);
			if (p->matched < 4)
				continue;
			p->matched = 0;
			p->in_body = true;
			p->rx_off = 0;
		}
		k = len - i < p->body_left ? len - i : (size_t)p->body_left;
		if (k && !load_pattern_check(p->rx_off, data + i, k))
			p->bad = true;
		p->rx_off += k;
		p->body_left -= k;
		i += k;
		if (!p->body_left) {
			p->in_body = false;
			n++;
		}
	}
	return n;
}

static void held_watch(struct server *s, struct peer *p)
{
	struct epoll_event ev = { .events = p->held ? EPOLLOUT : EPOLLIN, .data.ptr = p };

	epoll_ctl(s->epfd, EPOLL_CTL_MOD, p->fd, &ev);
}

static bool hold(struct server *s, struct peer *p, const uint8_t *data, size_t len)
{
	uint8_t *more = realloc(p->held, p->held_len + len);

	if (!more)
		return false;
	memcpy(more + p->held_len, data, len);
	p->held = more;
	p->held_len += len;
	held_watch(s, p);
	return true;
}

/* Sends LEN bytes; what does not fit is held and reading pauses. False: the peer is gone. */
static bool answer(struct server *s, struct peer *p, const void *data, size_t len)
{
	ssize_t r = p->held ? 0 : send(p->fd, data, len, MSG_NOSIGNAL);

	if (r < 0 && errno != EAGAIN)
		return false;
	if (r < 0)
		r = 0;
	if ((size_t)r == len)
		return true;
	return hold(s, p, (const uint8_t *)data + r, len - (size_t)r);
}

static bool held_continue(struct server *s, struct peer *p)
{
	ssize_t r = send(p->fd, p->held + p->held_off, p->held_len - p->held_off, MSG_NOSIGNAL);

	if (r < 0)
		return errno == EAGAIN;
	p->held_off += (size_t)r;
	if (p->held_off < p->held_len)
		return true;
	free(p->held);
	p->held = NULL;
	p->held_len = p->held_off = 0;
	held_watch(s, p);
	return !p->close_after;
}

static bool http_answer(struct server *s, struct peer *p, size_t len)
{
	static const char wrong[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	unsigned n = http_requests(p, s->buf, len);

	if (n && p->bad) {
		answer(s, p, wrong, sizeof wrong - 1);
		return false;
	}

	while (n-- > 0) {
		const char *r = p->close_after ? s->response_close : s->response;
		size_t rl = p->close_after ? s->response_close_len : s->response_len;

		if (!answer(s, p, r, rl))
			return false;
		if (p->close_after)
			return p->held != NULL; /* else closed by the caller */
	}
	return true;
}

/* End of file from the peer. */
static void peer_eof(struct server *s, struct peer *p)
{
	if (s->mode == SERVE_SINK) {
		uint64_t n = p->bad ? 0 : p->rx_off;
		uint8_t answer[8];

		for (int i = 0; i < 8; i++)
			answer[i] = (uint8_t)(n >> (56 - 8 * i));
		(void)!send(p->fd, answer, sizeof answer, MSG_NOSIGNAL);
	}
	peer_close(s, p);
}

static void peer_readable(struct server *s, struct peer *p)
{
	ssize_t r = recv(p->fd, s->buf, LOAD_CHUNK, 0);

	if (r == 0) {
		peer_eof(s, p);
		return;
	}
	if (r < 0) {
		if (errno != EAGAIN)
			peer_close(s, p);
		return;
	}
	switch (s->mode) {
	case SERVE_HTTP:
		if (!http_answer(s, p, (size_t)r))
			peer_close(s, p);
		break;
	case SERVE_ECHO:
		if (!answer(s, p, s->buf, (size_t)r))
			peer_close(s, p);
		break;
	case SERVE_SINK:
		if (!load_pattern_check(p->rx_off, s->buf, (size_t)r))
			p->bad = true;
		p->rx_off += (uint64_t)r;
		break;
	case SERVE_SOURCE:
	case SERVE_UDP:
		break;
	}
}

static void serve_accept(struct server *s)
{
	for (int i = 0; i < 64; i++) {
		int one = 1, fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct epoll_event ev = { .events = EPOLLIN };
		struct peer *p;

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				listen_watch(s, false);
			return;
		}
		p = calloc(1, sizeof *p);
		if (!p) {
			close(fd);
			return;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		p->fd = fd;
		ev.data.ptr = p;
		if (s->mode == SERVE_SOURCE) {
			p->goal = UINT64_MAX;
			p->watching_out = true;
			ev.events |= EPOLLOUT;
		}
		epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev);
	}
}

static void serve_loop(struct server *s)
{
	struct epoll_event ev[256];

	for (;;) {
		int n = epoll_wait(s->epfd, ev, 256, -1);

		for (int i = 0; i < n; i++) {
			struct peer *p = ev[i].data.ptr;

			if (!p) {
				serve_accept(s);
				continue;
			}
			if (ev[i].events & EPOLLOUT) {
				bool ok = s->mode == SERVE_SOURCE ? peer_send_pattern(s, p)
								  : !p->held || held_continue(s, p);

				if (!ok) {
					peer_close(s, p);
					continue;
				}
			}
			if (ev[i].events & ~(uint32_t)EPOLLOUT)
				peer_readable(s, p);
		}
	}
}

/* -1, with errno. */
static int serve_socket(const struct sockaddr *sa, socklen_t len, bool both, bool udp)
{
	int one = 1, zero = 0, fd = socket(sa->sa_family, (udp ? SOCK_DGRAM : SOCK_STREAM | SOCK_NONBLOCK) | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -1;
	/* for a listener: connections of an earlier one do not keep it; for datagrams it would share the port */
	if ((!both || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero) == 0) &&
	    (udp || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0) && bind(fd, sa, len) == 0 &&
	    (udp || listen(fd, 4096) == 0))
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

/* *ADDR NULL: all addresses of both families, or of IPv4 where there is no other. */
static int serve_listen(const char **addr, int port, bool udp)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	bool both = !*addr, six = both || strchr(*addr, ':');
	int fd;

	if (both)
		*addr = "::";
	if (inet_pton(six ? AF_INET6 : AF_INET, *addr, six ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1) {
		fprintf(stderr, "npp-load serve: '%s' is no address\n", *addr);
		return -1;
	}
	fd = six ? serve_socket((struct sockaddr *)&v6, sizeof v6, both, udp) : serve_socket((struct sockaddr *)&v4, sizeof v4, false, udp);
	if (fd < 0 && both && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		*addr = "0.0.0.0";
		fd = serve_socket((struct sockaddr *)&v4, sizeof v4, false, udp);
	}
	if (fd < 0)
		fprintf(stderr, strchr(*addr, ':') ? "npp-load serve: [%s]:%d: %s\n" : "npp-load serve: %s:%d: %s\n", *addr, port,
			strerror(errno));
	return fd;
}

/* Each datagram goes back to where it came from. */
static int serve_udp(struct server *s)
{
	struct sockaddr_storage from;

	s->buf = malloc(LOAD_CHUNK);
	while (s->buf) {
		socklen_t len = sizeof from;
		ssize_t n = recvfrom(s->listener, s->buf, LOAD_CHUNK, 0, (struct sockaddr *)&from, &len);

		if (n >= 0)
			sendto(s->listener, s->buf, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
	perror("npp-load serve");
	return 1;
}

/* The two fixed HTTP answers over a body of SIZE pattern bytes. */
static int serve_responses(struct server *s, size_t size)
{
	static const char fmt[] = "HTTP/1.1 200 OK\r\nServer: npp-load\r\nContent-Length: %zu\r\n%s\r\n";
	char *both[2];
	size_t len[2];

	for (int i = 0; i < 2; i++) {
		char head[256];
		int n = snprintf(head, sizeof head, fmt, size, i ? "Connection: close\r\n" : "");

		both[i] = malloc((size_t)n + size);
		if (!both[i])
			return -1;
		memcpy(both[i], head, (size_t)n);
		memcpy(both[i] + n, load_pattern(0), size);
		len[i] = (size_t)n + size;
	}
	s->response = both[0];
	s->response_len = len[0];
	s->response_close = both[1];
	s->response_close_len = len[1];
	return 0;
}

static int serve_worker(struct server *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

	if (s->mode == SERVE_UDP)
		return serve_udp(s);
	s->epfd = epoll_create1(EPOLL_CLOEXEC);
	s->buf = malloc(LOAD_CHUNK);
	if (s->epfd < 0 || !s->buf || epoll_ctl(s->epfd, EPOLL_CTL_ADD, s->listener, &ev) < 0) {
		perror("npp-load serve");
		return 1;
	}
	serve_loop(s);
	return 0;
}

static int serve_usage(int code)
{
	fprintf(code ? stderr : stdout,
		"usage: npp-load serve [-b ADDRESS] [-p PORT] [-w WORKERS] [-s BODY-BYTES] http|echo|sink|source|udp\n");
	return code;
}

/* The port that FD has: the kernel's choice if none was asked for. */
static int serve_port(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
		perror("npp-load serve");
		return -1;
	}
	return ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port :
						((struct sockaddr_in *)&ss)->sin_port);
}

/* A whole number of MIN..MAX; or -1, said. */
static long serve_number(int opt, const char *text, long min, long max)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (end != text && !*end && v >= min && v <= max)
		return v;
	fprintf(stderr, "npp-load serve: -%c '%s': expected a number from %ld to %ld\n", opt, text, min, max);
	return -1;
}

int load_serve(int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	static const char *const names[] = { "http", "echo", "sink", "source", "udp" };
	struct server s = { .mode = SERVE_HTTP };
	const char *addr = NULL;
	long port = 8080, workers = 1, body = 612;
	int opt, mode = -1;

	argv[0] = (char[]){ "npp-load serve" }; /* for getopt's messages */
	while ((opt = getopt_long(argc, argv, "+b:p:w:s:h", longs, NULL)) != -1) {
		switch (opt) {
		case 'b': addr = optarg; break;
		case 'p': port = serve_number(opt, optarg, 0, 65535); break;
		case 'w': workers = serve_number(opt, optarg, 1, LOAD_MAX_WORKERS); break;
		case 's': body = serve_number(opt, optarg, 0, LOAD_CHUNK); break;
		case 'h': return serve_usage(0);
		default: return serve_usage(2);
		}
		if (port < 0 || workers < 0 || body < 0)
			return 2;
	}
	for (int i = 0; optind < argc && i < 5; i++)
		if (strcmp(argv[optind], names[i]) == 0)
			mode = i;
	if (mode < 0 || optind + 1 != argc)
		return serve_usage(2);
	s.mode = (enum serve_mode)mode;
	s.listener = serve_listen(&addr, (int)port, s.mode == SERVE_UDP);
	if (s.listener < 0 || serve_responses(&s, (size_t)body) < 0)
		return 1;
	port = serve_port(s.listener);
	if (port < 0)
		return 1;
	fprintf(stderr, strchr(addr, ':') ? "npp-load serve: %s on [%s]:%ld\n" : "npp-load serve: %s on %s:%ld\n", names[mode], addr, port);
	for (int i = 1; i < workers; i++) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			return serve_worker(&s);
		}
	}
	return serve_worker(&s);
}
