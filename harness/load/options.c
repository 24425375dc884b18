/* SPDX-License-Identifier: GPL-2.0-or-later
 * options.c - what the command line of npp-load says: one profile of it
 */
#include "config.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/load/load.h"
#include "harness/load/sha256.h"

static const char usage_text[] =
	"usage: npp-load [OPTIONS] http://HOST[:PORT]/PATH...\n"
	"       npp-load [OPTIONS] echo|send|recv|connect|idle|udp HOST PORT [HOST PORT]...\n"
	"       npp-load PROFILE + PROFILE...   each with options and targets of its own\n"
	"       npp-load serve [-b ADDRESS] [-p PORT] [-w WORKERS] [-s BODY-BYTES] http|echo|sink|source|udp\n"
	"  -c N           connections (16)\n"
	"  -w N           worker processes (1; more are started where a process would run out of files)\n"
	"  -d SECONDS     how long (10 unless -n is given)\n"
	"  -n COUNT       requests, or connections, in all\n"
	"  -r RATE        open loop: requests per second in all, due whatever the server does\n"
	"  -b BYTES       echo, udp: message size (1, 64); send, recv: bytes per connection (0: until the end)\n"
	"  -k             http: close the connection after each request; connect: end by RST\n"
	"  -K N           close a connection after N requests\n"
	"  -T MS[-MS]     think so long between the requests of a connection\n"
	"  -R BYTES       each connection reads so many bytes per second\n"
	"  -u BYTES       http: POST so many bytes of the pattern\n"
	"  -x SHA256      http: what every body must hash to\n"
	"  -B FILE        http: every response must be exactly this file\n"
	"  -S ADDR,...    source addresses to use in turn; ADDR-ADDR is a range\n"
	"  -4, -6         resolve names to IPv4, to IPv6\n"
	"  -H SECONDS     idle: hold the connections so long, then use each once (5)\n"
	"  -t MS          a request that takes longer is an error (10000); udp: is lost (1000)\n"
	"  -I FILE        figures of each interval, as lines of JSON\n"
	"  -i MS          the interval (100)\n"
	"  -j             report as JSON\n"
	"  -q             no progress line\n"
	"  -v             a line of figures for each second\n"
	"  -N NAME        what the profile is called in the report\n"
	"Every byte that comes back is checked. Exit code 1 if there was any error.\n";

static int fail(const char *what, const char *arg)
{
	fprintf(stderr, "npp-load: %s '%s' (see npp-load --help)\n", what, arg);
	return 2;
}

static int resolve(struct load_opts *o, const char *host, const char *port, const char *path)
{
	struct addrinfo hint = { .ai_family = o->family, .ai_socktype = SOCK_STREAM }, *ai, *a;
	struct load_target *t = &o->target[o->n_targets];
	int rc;

	if (o->n_targets == LOAD_MAX_TARGETS)
		return fail("too many targets:", host);
	rc = getaddrinfo(host, port, &hint, &ai);
	if (rc != 0) {
		const char *why = gai_strerror(rc);

		if (o->family != AF_UNSPEC) {	/* the resolver's words are of name servers */
			hint.ai_family = AF_UNSPEC;
			if (getaddrinfo(host, port, &hint, &ai) == 0) {
				why = o->family == AF_INET ? "has no IPv4 address" : "has no IPv6 address";
				freeaddrinfo(ai);
			}
		}
		fprintf(stderr, "npp-load: %s:%s: %s\n", host, port, why);
		return 1;
	}
	for (a = ai; a && t->n_addrs < LOAD_MAX_ADDRS; a = a->ai_next) {
		memcpy(&t->addr[t->n_addrs].sa, a->ai_addr, a->ai_addrlen);
		t->addr[t->n_addrs++].len = a->ai_addrlen;
	}
	snprintf(t->host, sizeof t->host, strchr(host, ':') ? "[%s]%s%s" : "%s%s%s", host, strcmp(port, "80") ? ":" : "",
		 strcmp(port, "80") ? port : "");
	t->path = path;
	o->n_targets++;
	freeaddrinfo(ai);
	return 0;
}

static bool is_port(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && v >= 1 && v <= 65535;
}

/* http://HOST[:PORT][/PATH], where HOST may be [IPv6] */
static int parse_url(struct load_opts *o, const char *url)
{
	char host[256], port[8] = "80";
	const char *p = url + strlen("http://"), *end = NULL;
	size_t n;

	if (strncmp(url, "http://", 7) != 0)
		return fail("no URL:", url);
	if (*p == '[' && !(end = strchr(++p, ']')))
		return fail("no ']' in", url);
	n = end ? (size_t)(end - p) : strcspn(p, ":/");
	if (n == 0 || n >= sizeof host)
		return fail("no host in", url);
	memcpy(host, p, n);
	host[n] = 0;
	p = end ? end + 1 : p + n;
	if (*p == ':') {
		n = strcspn(++p, "/");
		if (n == 0 || n >= sizeof port)
			return fail("no port in", url);
		memcpy(port, p, n);
		port[n] = 0;
		p += n;
		if (!is_port(port))
			return fail("no port in", url);
	}
	if (*p && *p != '/')
		return fail("no path in", url);
	o->mode = LOAD_HTTP;
	return resolve(o, host, port, *p ? p : "/");
}

static int parse_targets(struct load_opts *o, int argc, char **argv)
{
	static const struct { const char *name; enum load_mode mode; } modes[] = {
		{ "echo", LOAD_ECHO }, { "send", LOAD_SEND }, { "recv", LOAD_RECV },
		{ "connect", LOAD_CONNECT }, { "idle", LOAD_IDLE }, { "udp", LOAD_UDP },
	};
	int rc = 0;

	if (argc >= 1 && strncmp(argv[0], "http://", 7) == 0) {
		for (int i = 0; rc == 0 && i < argc; i++)
			rc = parse_url(o, argv[i]);
		return rc;
	}
	for (size_t i = 0; argc >= 1 && i < sizeof modes / sizeof modes[0]; i++) {
		if (strcmp(argv[0], modes[i].name) != 0)
			continue;
		if (argc < 3 || argc % 2 == 0)
			return fail("HOST PORT is missing after", argv[argc - 1]);
		o->mode = modes[i].mode;
		for (int j = 1; rc == 0 && j < argc; j += 2)
			rc = is_port(argv[j + 1]) ? resolve(o, argv[j], argv[j + 1], "") : fail("no port:", argv[j + 1]);
		return rc;
	}
	if (argc >= 1)
		return fail("neither an http:// URL nor echo, send, recv, connect, idle or udp:", argv[0]);
	fputs(usage_text, stderr);
	return 2;
}

static bool parse_addr(const char *text, struct load_addr *a)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a->sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->sa;

	memset(a, 0, sizeof *a);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		a->sa.ss_family = AF_INET;
		a->len = sizeof *v4;
		return true;
	}
	a->sa.ss_family = AF_INET6;
	a->len = sizeof *v6;
	return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

/* The next address: plus one in the last bytes. */
static void next_addr(struct load_addr *a)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a->sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->sa;

	if (a->sa.ss_family == AF_INET)
		v4->sin_addr.s_addr = htonl(ntohl(v4->sin_addr.s_addr) + 1);
	else
		for (int i = 15; i >= 0 && ++v6->sin6_addr.s6_addr[i] == 0; i--)
			;
}

static int parse_sources(struct load_opts *o, char *list)
{
	for (char *save, *p = strtok_r(list, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		struct load_addr a, last;
		char *dash = strchr(p, '-');

		if (dash)
			*dash++ = '\0';
		if (!parse_addr(p, &a) || !parse_addr(dash ? dash : p, &last) || a.sa.ss_family != last.sa.ss_family)
			return fail("not an address:", p);
		for (;; next_addr(&a)) {
			if (o->n_sources == LOAD_MAX_SOURCES)
				return fail("too many addresses:", p);
			o->source[o->n_sources++] = a;
			if (memcmp(&a, &last, sizeof a) == 0)
				break;
		}
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

/* "200" or "100-500" */
static int parse_think(struct load_opts *o, char *arg)
{
	char *dash = strchr(arg, '-');
	double lo, hi;

	if (dash)
		*dash++ = '\0';
	if (!number(arg, 0, 1e6, &lo) || !number(dash ? dash : arg, 0, 1e6, &hi))
		return fail("not milliseconds, or out of range:", arg);
	if (hi < lo)
		return fail("a range of milliseconds that ends before it begins:", dash);
	o->think_min_ns = (uint64_t)(lo * 1e6);
	o->think_max_ns = (uint64_t)(hi * 1e6);
	return 0;
}

static int parse_name(struct load_opts *o, const char *arg)
{
	for (const char *p = arg; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == '"' || *p == '\\' || (unsigned char)*p > '~')
			return fail("no name:", arg);
	o->name = arg;
	return 0;
}

static int parse_number(struct load_opts *o, int opt, char *arg)
{
	double v = 0;

	if (!number(arg, 0, 1e15, &v))
		return fail("not a number, or out of range:", arg);
	switch (opt) {
	case 'c': o->conns = v >= 1 && v <= 1e6 ? (unsigned)v : 0; break;
	case 'w': o->workers = v >= 1 && v <= LOAD_MAX_WORKERS ? (unsigned)v : 0; break;
	case 'd': o->duration_s = v; break;
	case 'n': o->count = (uint64_t)v; break;
	case 'r': o->rate = v; break;
	case 'b': o->bytes = (uint64_t)v; break;
	case 'H': o->hold_s = (uint64_t)v; break;
	case 'K': o->per_conn = (uint64_t)v; break;
	case 'R': o->read_rate = v; break;
	case 'u': o->upload = true; o->upload_bytes = (uint64_t)v; break;
	case 't':
		if (v < 1 || v > 1e9)
			return fail("out of range:", arg);
		o->timeout_ms = (unsigned)v;
		break;
	case 'i': o->interval_ms = v <= 60000 ? (unsigned)v : 0; break;
	}
	return o->conns && o->workers && o->interval_ms ? 0 : fail("out of range:", arg);
}

static int parse_option(struct load_opts *o, int opt, char *arg)
{
	switch (opt) {
	case '4': o->family = AF_INET; return 0;
	case '6': o->family = AF_INET6; return 0;
	case 'k': o->close_per_request = true; return 0;
	case 'j': o->json = true; return 0;
	case 'q': o->quiet = true; return 0;
	case 'v': o->verbose = true; return 0;
	case 'I': o->series = arg; return 0;
	case 'N': return parse_name(o, arg);
	case 'S': return parse_sources(o, arg);
	case 'B': return read_body(o, arg);
	case 'T': return parse_think(o, arg);
	case 'x':
		o->check_sha = true;
		return load_sha256_parse(arg, o->sha) ? 0 : fail("no SHA-256:", arg);
	default: return parse_number(o, opt, arg);
	}
}

/* What follows from the mode, and what does not go together. */
static int complete(struct load_opts *o)
{
	if (o->mode == LOAD_IDLE) {
		o->count = o->conns;
		if (!o->bytes)
			o->bytes = 64;
	}
	if (o->mode == LOAD_ECHO && !o->bytes)
		o->bytes = 1;
	if (o->mode == LOAD_UDP && !o->bytes)
		o->bytes = 64;
	if (o->mode == LOAD_UDP && (o->bytes < 8 || o->bytes > 65000))
		return fail("udp: -b must be", "8..65000");
	if (o->mode == LOAD_SEND && !o->bytes && o->count)
		return fail("send with -n needs -b", "BYTES");
	if (o->mode != LOAD_HTTP && (o->upload || o->check_sha || o->body))
		return fail("only http has", o->upload ? "-u" : o->body ? "-B" : "-x");
	if (!o->timeout_ms)
		o->timeout_ms = o->mode == LOAD_UDP ? 1000 : 10000;
	if (!o->count && o->duration_s <= 0)
		o->duration_s = 10;
	if (o->workers > o->conns)
		o->workers = o->conns;
	return 0;
}

int load_parse(struct load_opts *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { 0 }
	};
	int opt, rc;

	*o = (struct load_opts){ .name = "", .family = AF_UNSPEC, .conns = 16, .workers = 1, .hold_s = 5, .interval_ms = 100 };
	optind = 0;
	while ((opt = getopt_long(argc, argv, "+c:w:d:n:r:b:kK:T:R:u:x:B:S:46H:t:I:i:N:jqvh", longs, NULL)) != -1) {
		switch (opt) {
		case 'h': fputs(usage_text, stdout); exit(0);
		case 'V': puts("npp-load (" PACKAGE_NAME ") " PACKAGE_VERSION); exit(0);
		case '?': fputs(usage_text, stderr); return 2;
		default:
			rc = parse_option(o, opt, optarg);
			if (rc)
				return rc;
		}
	}
	rc = parse_targets(o, argc - optind, argv + optind);
	return rc ? rc : complete(o);
}

int load_check_sources(const struct load_opts *o)
{
	for (unsigned i = 0; i < o->n_sources; i++) {
		const struct load_addr *a = &o->source[i];
		char text[INET6_ADDRSTRLEN] = "";
		int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = 0;

		if (fd >= 0) {
			setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
			rc = bind(fd, (const struct sockaddr *)&a->sa, a->len);
		}
		if (rc < 0 && errno == EADDRNOTAVAIL) {
			getnameinfo((const struct sockaddr *)&a->sa, a->len, text, sizeof text, NULL, 0, NI_NUMERICHOST);
			fprintf(stderr, "npp-load: source %s: %s\n", text, strerror(EADDRNOTAVAIL));
			close(fd);
			return 1;
		}
		if (fd >= 0)
			close(fd);
	}
	return 0;
}
