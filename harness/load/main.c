/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - npp-load: options, workers, progress
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/load/load.h"

static const char usage_text[] =
	"usage: npp-load [OPTIONS] http://HOST[:PORT]/PATH\n"
	"       npp-load [OPTIONS] echo|send|recv|connect|idle HOST PORT\n"
	"       npp-load serve [-b ADDRESS] [-p PORT] [-w WORKERS] [-s BODY-BYTES] http|echo|sink|source\n"
	"  -c N           connections (16)\n"
	"  -w N           worker processes (1; more are started where a process would run out of files)\n"
	"  -d SECONDS     how long (10 unless -n is given)\n"
	"  -n COUNT       requests, or connections, in all\n"
	"  -r RATE        open loop: requests per second in all, due whatever the server does\n"
	"  -b BYTES       echo: message size (1); send, recv: bytes per connection (0: until the end)\n"
	"  -k             http: close the connection after each request; connect: end by RST\n"
	"  -B FILE        http: every response must be exactly this file\n"
	"  -S ADDR,...    source addresses to use in turn\n"
	"  -H SECONDS     idle: hold the connections so long, then use each once (5)\n"
	"  -t MS          a request that takes longer is an error (10000)\n"
	"  -I FILE        figures of each interval, as lines of JSON\n"
	"  -i MS          the interval (100)\n"
	"  -j             report as JSON\n"
	"  -q             no progress line\n"
	"Every byte that comes back is checked. Exit code 1 if there was any error.\n";

static int fail(const char *what, const char *arg)
{
	fprintf(stderr, "npp-load: %s '%s' (see npp-load --help)\n", what, arg);
	return 2;
}

static int resolve(struct load_opts *o, const char *host, const char *port)
{
	struct addrinfo hint = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *ai;
	int rc = getaddrinfo(host, port, &hint, &ai);

	if (rc != 0) {
		fprintf(stderr, "npp-load: %s:%s: %s\n", host, port, gai_strerror(rc));
		return 1;
	}
	memcpy(&o->target, ai->ai_addr, sizeof o->target);
	snprintf(o->host, sizeof o->host, "%s", host);
	freeaddrinfo(ai);
	return 0;
}

/* http://HOST[:PORT][/PATH] */
static int parse_url(struct load_opts *o, const char *url)
{
	char host[256], port[8] = "80";
	const char *p = url + strlen("http://");
	size_t n = strcspn(p, ":/");

	if (n == 0 || n >= sizeof host)
		return fail("no host in", url);
	memcpy(host, p, n);
	host[n] = 0;
	p += n;
	if (*p == ':') {
		n = strcspn(++p, "/");
		if (n == 0 || n >= sizeof port)
			return fail("no port in", url);
		memcpy(port, p, n);
		port[n] = 0;
		p += n;
	}
	o->path = *p ? p : "/";
	o->mode = LOAD_HTTP;
	return resolve(o, host, port);
}

static int parse_target(struct load_opts *o, int argc, char **argv)
{
	static const struct { const char *name; enum load_mode mode; } modes[] = {
		{ "echo", LOAD_ECHO }, { "send", LOAD_SEND }, { "recv", LOAD_RECV },
		{ "connect", LOAD_CONNECT }, { "idle", LOAD_IDLE },
	};

	if (argc == 1 && strncmp(argv[0], "http://", 7) == 0)
		return parse_url(o, argv[0]);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		if (argc == 3 && strcmp(argv[0], modes[i].name) == 0) {
			o->mode = modes[i].mode;
			return resolve(o, argv[1], argv[2]);
		}
	}
	fputs(usage_text, stderr);
	return 2;
}

static int parse_sources(struct load_opts *o, char *list)
{
	for (char *save, *p = strtok_r(list, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		if (o->n_sources == LOAD_MAX_SOURCES || inet_pton(AF_INET, p, &o->source[o->n_sources]) != 1)
			return fail("not an IPv4 address, or too many:", p);
		o->n_sources++;
	}
	return 0;
}

static int read_body(struct load_opts *o, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "npp-load: %s: %s\n", file, strerror(errno));
		return 1;
	}
	p = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : (void *)"";
	close(fd);
	if (p == MAP_FAILED) {
		fprintf(stderr, "npp-load: %s: %s\n", file, strerror(errno));
		return 1;
	}
	o->body = p;
	o->body_len = (size_t)st.st_size;
	return 0;
}

static bool number(const char *text, double min, double max, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && !*end && *out >= min && *out <= max;
}

static int parse_option(struct load_opts *o, int opt, char *arg)
{
	double v = 0;

	if (opt != 'B' && opt != 'S' && !number(arg, 0, 1e15, &v))
		return fail("not a number, or out of range:", arg);
	switch (opt) {
	case 'c': o->conns = v >= 1 && v <= 1e6 ? (unsigned)v : 0; break;
	case 'w': o->workers = v >= 1 && v <= LOAD_MAX_WORKERS ? (unsigned)v : 0; break;
	case 'd': o->duration_s = v; break;
	case 'n': o->count = (uint64_t)v; break;
	case 'r': o->rate = v; break;
	case 'b': o->bytes = (uint64_t)v; break;
	case 'H': o->hold_s = (uint64_t)v; break;
	case 't': o->timeout_ms = (unsigned)v; break;
	case 'i': o->interval_ms = v <= 60000 ? (unsigned)v : 0; break;
	case 'S': return parse_sources(o, arg);
	case 'B': return read_body(o, arg);
	}
	return o->conns && o->workers && o->timeout_ms && o->interval_ms ? 0 : fail("out of range:", arg);
}

static int parse(struct load_opts *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { 0 }
	};
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "+c:w:d:n:r:b:kB:S:H:t:I:i:jqh", longs, NULL)) != -1) {
		switch (opt) {
		case 'k': o->close_per_request = true; break;
		case 'j': o->json = true; break;
		case 'I': o->series = optarg; break;
		case 'q': o->quiet = true; break;
		case 'h': fputs(usage_text, stdout); exit(0);
		case 'V': puts("npp-load (" PACKAGE_NAME ") " PACKAGE_VERSION); exit(0);
		case '?': fputs(usage_text, stderr); return 2;
		default:
			rc = parse_option(o, opt, optarg);
			if (rc)
				return rc;
		}
	}
	rc = parse_target(o, argc - optind, argv + optind);
	if (rc)
		return rc;
	if (o->mode == LOAD_IDLE) {
		o->count = o->conns;
		if (!o->bytes)
			o->bytes = 64;
	}
	if (o->mode == LOAD_ECHO && !o->bytes)
		o->bytes = 1;
	if (o->mode == LOAD_SEND && !o->bytes && o->count)
		return fail("send with -n needs -b", "BYTES");
	if (!o->count && o->duration_s <= 0)
		o->duration_s = 10;
	return 0;
}

/* A worker must have files for its share of the connections. */
static void enough_workers(struct load_opts *o)
{
	while (o->workers < LOAD_MAX_WORKERS && o->conns / o->workers > 18000)
		o->workers++;
	if (o->workers > o->conns)
		o->workers = o->conns;
}

static void pause_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Waits for the workers with a progress line per second; returns how many failed. */
static int supervise(const struct load_opts *o, const struct load_stats *st, uint64_t start, struct load_series *series)
{
	uint64_t last_req = 0, last_bytes = 0, last = start;
	unsigned left = o->workers;
	bool progress = !o->quiet && isatty(STDERR_FILENO);
	int failed = 0, status;

	while (left > 0) {
		pid_t pid = waitpid(-1, &status, progress || series ? WNOHANG : 0);
		uint64_t now = load_now_ns();

		if (pid > 0) {
			left--;
			failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
			continue;
		}
		if (pid < 0 && errno != EINTR)
			break;
		load_series_tick(series, st, o->workers, now);
		if (progress && now - last >= 1000000000ull) {
			load_progress(o, st, o->workers, (double)(now - start) / 1e9, &last_req, &last_bytes,
				      (double)(now - last) / 1e9);
			last = now;
		}
		pause_ms(10);
	}
	if (progress)
		fputs("\r\033[K", stderr);
	return failed;
}

static _Atomic uint32_t *stop_word;

static void on_signal(int sig)
{
	(void)sig;
	atomic_store_explicit(stop_word, 1, memory_order_relaxed);
}

struct shared { _Atomic uint32_t stop; struct load_stats st[]; };

int main(int argc, char **argv)
{
	struct load_opts o = { .conns = 16, .workers = 1, .timeout_ms = 10000, .hold_s = 5, .interval_ms = 100 };
	struct load_series *series = NULL;
	struct shared *sh;
	uint64_t start;
	int failed;

	load_pattern_init();
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return load_serve(argc - 1, argv + 1);
	failed = parse(&o, argc, argv);
	if (failed)
		return failed;
	enough_workers(&o);
	sh = mmap(NULL, sizeof *sh + o.workers * sizeof sh->st[0], PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED) {
		perror("npp-load");
		return 1;
	}
	start = load_now_ns();
	if (o.series && !(series = load_series_open(o.series, o.interval_ms, start))) {
		fprintf(stderr, "npp-load: %s: %s\n", o.series, strerror(errno));
		return 1;
	}
	stop_word = &sh->stop;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	for (unsigned i = 0; i < o.workers; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(load_worker(&o, i, &sh->st[i], &sh->stop));
		}
		if (pid < 0) {
			perror("npp-load: fork");
			atomic_store(&sh->stop, 1);
			o.workers = i;
			break;
		}
	}
	failed = supervise(&o, sh->st, start, series);
	load_series_close(series, sh->st, o.workers, load_now_ns());
	load_report(&o, sh->st, o.workers, (double)(load_now_ns() - start) / 1e9);
	return failed || load_total_errors(sh->st, o.workers) > 0;
}
