/* SPDX-License-Identifier: GPL-2.0-or-later
 * load.h - npp-load: options, shared statistics, and the parts of the program
 *
 * npp-load puts load on a server and checks every byte that comes back, and can be that
 * server itself. One process runs one event loop over its share of the connections;
 * the parent only starts the workers, prints progress and adds up.
 */
#ifndef NPP_LOAD_H
#define NPP_LOAD_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/load/hist.h"

enum load_mode { LOAD_HTTP, LOAD_ECHO, LOAD_SEND, LOAD_RECV, LOAD_CONNECT, LOAD_IDLE, LOAD_UDP, LOAD_MODES };

#define LOAD_MAX_WORKERS 64	/* of one profile */
#define LOAD_MAX_SOURCES 64
#define LOAD_MAX_TARGETS 64
#define LOAD_MAX_ADDRS 8	/* of one name */
#define LOAD_MAX_PROFILES 32

struct load_addr { struct sockaddr_storage sa; socklen_t len; };
struct load_target {
	struct load_addr addr[LOAD_MAX_ADDRS];	/* of its name; the first that takes a connection is used */
	unsigned n_addrs;
	char host[280];			/* HTTP: as it stands in the request */
	const char *path;
};

/* One profile: one kind of work on one or several targets, which take turns by connection. */
struct load_opts {
	const char *name;
	enum load_mode mode;
	struct load_target target[LOAD_MAX_TARGETS];
	unsigned n_targets;
	int family;			/* -4, -6; else AF_UNSPEC */
	bool close_per_request;		/* HTTP: a connection for each request */
	const uint8_t *body;		/* HTTP: what every response must hold; NULL: any */
	size_t body_len;
	bool check_sha;			/* HTTP: what every body must hash to */
	uint8_t sha[32];
	bool upload;			/* HTTP: POST so many bytes of the pattern */
	uint64_t upload_bytes;
	uint64_t per_conn;		/* requests after which a connection is closed; 0: never */
	uint64_t think_min_ns, think_max_ns;
	double read_rate;		/* bytes per second that a connection reads; 0: what comes */
	unsigned conns, workers;
	double duration_s;		/* 0: until `count` */
	uint64_t count;			/* requests (or connections, by mode) in total; 0: until `duration_s` */
	double rate;			/* requests per second in total; 0: closed loop */
	uint64_t bytes;			/* echo: message size; send, recv: per connection, 0 unlimited */
	uint64_t hold_s;		/* idle: seconds to hold before the connections are used */
	unsigned timeout_ms;		/* a request or connect that takes longer is an error */
	bool json, quiet, verbose;
	const char *series;		/* file for figures of each interval, or NULL */
	unsigned interval_ms;
	unsigned n_sources;
	struct load_addr source[LOAD_MAX_SOURCES];
};

/* options.c: one profile; 0, or an exit status, said. */
int load_parse(struct load_opts *o, int argc, char **argv);
/* A source address that is not this machine's would fail every connection: as load_parse(). */
int load_check_sources(const struct load_opts *o);

/* Why something failed; one list makes enum and names. */
#define LOAD_ERRORS(X) X(CONNECT, "connect") X(TIMEOUT, "timeout") X(RESET, "reset") X(CLOSED, "closed_early") \
	X(CONTENT, "wrong_content") X(STATUS, "http_status") X(PROTOCOL, "protocol") X(LOCAL, "local")
#define LOAD_ERROR_ENUM(id, name) LOAD_ERR_##id,
enum load_error { LOAD_ERRORS(LOAD_ERROR_ENUM) LOAD_ERROR_COUNT };
extern const char *const load_error_names[LOAD_ERROR_COUNT];
/* Reasons that are no errno, and what the report says of them. */
#define LOAD_REASONS(X) X(NO_PORT, "no source port is left; -S gives more addresses") \
	X(NO_LENGTH, "an answer without Content-Length") X(NO_HTTP, "an answer that is no HTTP/1, or has a header over 4 KB") \
	X(EARLY, "answered before it had all of the upload") X(WRONG_SUM, "another SHA-256") \
	X(WRONG_SIZE, "another size") X(OTHER_BYTES, "other bytes than those of the file")
#define LOAD_REASON_ENUM(id, text) LOAD_##id,
enum load_reason { LOAD_REASON_FIRST = 0xffff, LOAD_REASONS(LOAD_REASON_ENUM) LOAD_REASON_END };
#define LOAD_HTTP_STATUS 0x20000u	/* and the status */

/* One worker's figures; only it writes, the parent reads while it runs. */
struct load_stats {
	_Atomic uint64_t requests, connects, closes, bytes_in, bytes_out, open;
	_Atomic uint64_t connect_calls, connect_cpu_ns;	/* connect(2), and the processor time that it took */
	_Atomic uint64_t unfinished;	/* begun, or due in an open loop, when the time was over */
	_Atomic uint64_t lost, late;	/* UDP: not answered in time; answered twice, or after that */
	_Atomic uint64_t errors[LOAD_ERROR_COUNT];
	_Atomic uint32_t why[LOAD_ERROR_COUNT]; /* errno of the last one, or enum load_reason; 0: none */
	struct load_hist latency;	/* of requests, from the time they were due */
	struct load_hist connect;	/* of connects */
	_Atomic uint32_t phase;		/* idle: 1 its share is open, 2 all are and are held, 3 used */
};

static inline void load_count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

uint64_t load_now_ns(void);

/* The pattern that bulk streams carry: the byte at OFFSET of a stream. Fills or checks
 * LEN bytes (at most LOAD_CHUNK) from OFFSET on. */
#define LOAD_CHUNK (256u << 10)
const uint8_t *load_pattern(uint64_t offset);
bool load_pattern_check(uint64_t offset, const uint8_t *data, size_t len);
void load_pattern_init(void);

/* Runs worker number INDEX of opts->workers to its end (duration, count or *STOP). */
int load_worker(const struct load_opts *opts, unsigned index, struct load_stats *st,
		const _Atomic uint32_t *stop);

/* report.c: a profile with the statistics of its workers. */
struct load_profile { struct load_opts o; struct load_stats *st; };
struct load_progress {		/* what the last line has shown */
	uint64_t requests, bytes, errors, lost;
	struct load_hist last, now;
};
/* One line about the last INTERVAL seconds; LIVE: over the one before, on stderr. */
void load_progress(struct load_progress *p, const struct load_profile *q, unsigned n, double seconds, double interval,
		   bool live);
void load_report(const struct load_profile *q, unsigned n, double seconds);
uint64_t load_total_errors(const struct load_stats *st, unsigned n);
/* A count was asked for, and no worker of P is done with it: it was stopped. */
bool load_incomplete(const struct load_profile *p);
bool load_did_nothing(const struct load_profile *p);	/* though nothing went wrong that would be an error */

/* series.c: a file with a line for each interval; NULL: cannot be made. */
struct load_series;
struct load_series *load_series_open(const char *file, unsigned interval_ms, uint64_t start_ns);
void load_series_tick(struct load_series *s, const struct load_stats *st, unsigned n, uint64_t now_ns);
void load_series_close(struct load_series *s, const struct load_stats *st, unsigned n, uint64_t now_ns);

/* "npp-load serve": the trivial epoll server. Returns an exit code. */
int load_serve(int argc, char **argv);

#endif
