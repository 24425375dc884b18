/* SPDX-License-Identifier: GPL-2.0-or-later
 * stack.c - what the TCP/IP library alone costs, per unit of work
 *
 * usage: bench/stack [-c CONNS,...] [-o OP,...] [-r ROUNDS] [-m MILLISECONDS] [-b BATCH] [-i MILLISECONDS]
 *                    [-l LIB] [-n COUNT] [-p] [-j]
 *
 * No process, ring or system call is involved: frames are handed to the library in batches,
 * as the net kernel does, and only the time inside it counts. Connections are visited in an order
 * that makes neighbours in time no neighbours in memory. A batch during which somebody else had the
 * processor does not count. Time goes on by a microsecond per frame; with -i so that each connection
 * hears a frame that often, however many there are: only then is what is to be done for each
 * the same (which are acknowledged at once, which by a timer). npp's memory is in huge pages, with -p in
 * ordinary ones, and there before it is used, as that of an ISM. With -n each operation is done that many
 * times, without a clock, for tools that count instructions:
 *
 *     valgrind --tool=callgrind --toggle-collect=bench_input --toggle-collect=bench_write \
 *              bench/stack -l npp -c 1000 -o segment -n 100000
 */
#include "config.h"

#include <dlfcn.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench/stack_bench.h"
#include "net/wire.h"

#define ROUNDS_MAX 64
#define SHORTS 16384u		/* connections beyond the standing ones, for the operation "short" */
#define BULK (45 * 1448u)
#define REQUEST 100u
#define REPLY 612u

#define N_LIBS 2
static const struct bench_lib *libs[N_LIBS] = { &bench_npp, NULL };

static struct {
	unsigned batch, rounds;
	uint64_t count;		/* 0: by the clock */
	uint64_t ns;		/* of a round */
	uint64_t apart_us;	/* frames of one connection; 0: a microsecond between any two */
	const char *only_lib, *only_op;
	bool json;
} opt = { 16, 5, 0, 200000000, 0, NULL, NULL, false };

static struct bench_frame frame[BENCH_BATCH];
bool bench_ordinary_pages;
static uint64_t spent;		/* inside the library, ns */
static bool robbed;		/* meanwhile the processor was given to somebody else */

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* How often the processor was taken from us. */
static long switches(void)
{
	struct rusage r;

	getrusage(RUSAGE_THREAD, &r);
	return r.ru_nivcsw;
}

/* Microseconds that N frames take. */
static uint32_t time_of(struct bench_side *b, unsigned n)
{
	uint32_t conns = b->conns - SHORTS, us;

	if (!opt.apart_us)
		return n;
	b->owed_us += n * opt.apart_us;
	us = (uint32_t)(b->owed_us / conns);
	b->owed_us %= conns;
	return us;
}

/* ---- the only places that are measured ------------------------------------------------ */

void bench_input(struct bench_side *b, const struct bench_frame *f, unsigned n, const struct bench_app *app);
void bench_write(struct bench_side *b, uint32_t id, uint32_t bytes);

__attribute__((noinline)) void bench_input(struct bench_side *b, const struct bench_frame *f, unsigned n,
					   const struct bench_app *app)
{
	long before = switches();
	uint32_t us = time_of(b, n);
	uint64_t t0;

	atomic_thread_fence(memory_order_seq_cst); /* what the peers wrote has left the processor's buffers */
	t0 = clock_ns();
	b->lib->tick(us);
	b->lib->input(f, n, app);
	spent += clock_ns() - t0;
	robbed |= switches() != before;
	b->now_us += us;
	bench_take_sent(b);
}

__attribute__((noinline)) void bench_write(struct bench_side *b, uint32_t id, uint32_t bytes)
{
	long before = switches();
	uint64_t t0;

	atomic_thread_fence(memory_order_seq_cst);
	t0 = clock_ns();
	b->lib->write(id, bytes);
	spent += clock_ns() - t0;
	robbed |= switches() != before;
}

/* ---- operations: each does a batch and says how many units that was --------------------- */

static uint32_t next_id(uint32_t conns)
{
	static uint32_t at;
	uint32_t stride = (uint32_t)(conns * 0.6180339887) | 1;

	at = (at + stride) % conns;
	return at;
}

static const struct bench_app quiet, replies = { .reply = REPLY }, closes = { .reply = REPLY, .close = true };

static unsigned op_segment(struct bench_side *b, uint32_t conns)
{
	for (unsigned i = 0; i < opt.batch; i++)
		bench_segment(b, &frame[i], next_id(conns), TCPF_ACK | TCPF_PSH, REQUEST);
	bench_input(b, frame, opt.batch, &quiet);
	return opt.batch;
}

static unsigned different(uint32_t conns)
{
	return opt.batch < conns ? opt.batch : conns;
}

/* A small write and its acknowledgment; WRITE or ACK is what counts. */
static unsigned write_and_ack(struct bench_side *b, uint32_t conns, bool count_ack)
{
	uint32_t id[BENCH_BATCH];
	unsigned n = different(conns);
	uint64_t start = spent, written;

	for (unsigned i = 0; i < n; i++)
		bench_write(b, id[i] = next_id(conns), REQUEST);
	written = spent;
	bench_take_sent(b);
	for (unsigned i = 0; i < n; i++)
		bench_segment(b, &frame[i], id[i], TCPF_ACK, 0);
	bench_input(b, frame, n, &quiet);
	spent = count_ack ? start + spent - written : written;
	return n;
}

static unsigned op_write(struct bench_side *b, uint32_t conns)
{
	return write_and_ack(b, conns, false);
}

static unsigned op_ack(struct bench_side *b, uint32_t conns)
{
	return write_and_ack(b, conns, true);
}

static unsigned op_request(struct bench_side *b, uint32_t conns)
{
	uint32_t id[BENCH_BATCH];
	unsigned n = different(conns);

	for (unsigned i = 0; i < n; i++)
		bench_segment(b, &frame[i], id[i] = next_id(conns), TCPF_ACK | TCPF_PSH, REQUEST);
	bench_input(b, frame, n, &replies);
	for (unsigned i = 0; i < n; i++)
		bench_segment(b, &frame[i], id[i], TCPF_ACK, 0);
	bench_input(b, frame, n, &quiet);
	return n;
}

static unsigned op_bulk_in(struct bench_side *b, uint32_t conns)
{
	uint32_t id = next_id(conns), len = b->lib->gso ? BULK : 1448;

	for (uint32_t done = 0; done < BULK; done += len * opt.batch) {
		unsigned n = 0;

		while (n < opt.batch && done + n * len < BULK)
			bench_segment(b, &frame[n++], id, TCPF_ACK | TCPF_PSH, len);
		bench_input(b, frame, n, &quiet);
	}
	return 1;
}

static unsigned op_bulk_out(struct bench_side *b, uint32_t conns)
{
	uint32_t id = next_id(conns), end = b->peer[id].rcv_nxt + BULK;

	bench_write(b, id, BULK);
	bench_take_sent(b);
	for (unsigned turns = 0; turns < 1000; turns++) {
		bench_segment(b, &frame[0], id, TCPF_ACK, 0);
		bench_input(b, frame, 1, &quiet);
		if (b->peer[id].rcv_nxt == end && b->peer[id].acked)
			break;
	}
	bench_segment(b, &frame[0], id, TCPF_ACK, 0);
	bench_input(b, frame, 1, &quiet);
	return 1;
}

static void phase(struct bench_side *b, const uint32_t *id, unsigned n, uint8_t flags, uint32_t len)
{
	for (unsigned i = 0; i < n; i++)
		bench_segment(b, &frame[i], id[i], flags, len);
	bench_input(b, frame, n, len ? &closes : &quiet);
}

static unsigned op_short(struct bench_side *b, uint32_t conns)
{
	static uint32_t at;
	uint32_t id[BENCH_BATCH];

	for (unsigned i = 0; i < opt.batch; i++)
		id[i] = conns + at++ % SHORTS;
	phase(b, id, opt.batch, TCPF_SYN, 0);
	phase(b, id, opt.batch, TCPF_ACK, 0);
	phase(b, id, opt.batch, TCPF_ACK | TCPF_PSH, REQUEST);
	phase(b, id, opt.batch, TCPF_ACK | TCPF_FIN, 0);
	return opt.batch;
}

static const struct op {
	const char *name, *text;
	unsigned (*batch)(struct bench_side *b, uint32_t conns);
} ops[] = {
	{ "segment", "100 bytes received, read", op_segment },
	{ "write", "100 bytes sent", op_write },
	{ "ack", "their acknowledgment", op_ack },
	{ "request", "100 bytes in, 612 out, acknowledged", op_request },
	{ "bulk-in", "64 KB received", op_bulk_in },
	{ "bulk-out", "64 KB sent, acknowledged", op_bulk_out },
	{ "short", "a whole connection of one request", op_short },
};
#define N_OPS (sizeof ops / sizeof ops[0])

/* ---- rounds -------------------------------------------------------------------------------- */

static double round_ns(struct bench_side *b, const struct op *op, uint32_t conns)
{
	uint64_t units = 0, start = clock_ns();

	if (b->lib->round)
		b->lib->round();
	bench_take_sent(b);
	spent = 0;
	do {
		uint64_t before = spent;
		unsigned n;

		robbed = false;
		n = op->batch(b, conns);
		if (robbed && !opt.count)
			spent = before; /* such a batch says nothing */
		else
			units += n;
	} while (opt.count ? units < opt.count : clock_ns() - start < opt.ns || !units);
	return (double)spent / (double)units;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Each connection has heard from its peer twice before it counts, and the timers of that are over: the first segment
 * has the window opened, the second shows that nobody answers. */
static void hear_each(struct bench_side *b)
{
	for (uint32_t at = 0; at < b->conns - SHORTS; at += BENCH_BATCH) {
		unsigned n = 0;

		for (; n < BENCH_BATCH && at + n < b->conns - SHORTS; n++)
			bench_segment(b, &frame[n], at + n, TCPF_ACK | TCPF_PSH, REQUEST);
		bench_input(b, frame, n, &quiet);
	}
}

static void use_each(struct bench_side *b)
{
	for (unsigned n = 0; n < 2; n++) {
		hear_each(b);
		for (unsigned i = 0; i < 1000; i++) { /* a tick runs a bounded number of timers */
			b->lib->tick(100);
			b->now_us += 100;
			bench_take_sent(b);
		}
	}
}

/* Opens the connections, checks that all stand. 0, or -1. */
static int establish(struct bench_side *b)
{
	uint32_t id[BENCH_BATCH];

	bench_arp_request(&frame[0]);
	bench_input(b, frame, 1, &quiet);
	for (uint32_t at = 0; at < b->conns - SHORTS; at += BENCH_BATCH) {
		unsigned n = 0;

		while (n < BENCH_BATCH && at + n < b->conns - SHORTS) {
			id[n] = at + n;
			n++;
		}
		phase(b, id, n, TCPF_SYN, 0);
		phase(b, id, n, TCPF_ACK, 0);
		for (unsigned i = 0; i < n; i++)
			if (!b->peer[id[i]].rcv_nxt || b->peer[id[i]].rst) {
				fprintf(stderr, "stack: %s refused connection %u\n", b->lib->name, id[i]);
				return -1;
			}
	}
	use_each(b);
	return 0;
}

static int side_open(struct bench_side *b, const struct bench_lib *lib, uint32_t conns)
{
	*b = (struct bench_side){ .lib = lib, .conns = conns + SHORTS, .now_us = 1000000 };
	b->peer = calloc(b->conns, sizeof *b->peer);
	bench_now = b;
	if (!b->peer || lib->open(&bench_calls, b->conns)) {
		fprintf(stderr, "stack: %s cannot hold %u connections\n", lib->name, conns);
		return -1;
	}
	return establish(b);
}

static void print_row(const struct bench_side *b, const struct op *op, uint32_t conns, double *v)
{
	qsort(v, opt.rounds, sizeof *v, by_value);
	if (opt.json)
		printf("{\"lib\":\"%s\",\"op\":\"%s\",\"conns\":%u,\"ns\":%.1f,\"min\":%.1f,\"max\":%.1f}\n",
		       b->lib->name, op->name, conns, v[opt.rounds / 2], v[0], v[opt.rounds - 1]);
	else
		printf("%-5s %9u  %-10s %-35s %10.0f ns  (%.0f-%.0f)\n", b->lib->name, conns, op->name, op->text,
		       v[opt.rounds / 2], v[0], v[opt.rounds - 1]);
	fflush(stdout);
}

/* What one more takes is seen by twice as many: tables grow in steps. */
static void print_bytes(const struct bench_lib *lib, uint32_t conns)
{
	size_t all = lib->bytes(conns), more = lib->bytes(2 * conns) - all;

	printf("%-5s %9u  takes %zu KB with room for as many, %zu bytes for each; room for one more takes %zu; rings not counted\n",
	       lib->name, conns, (all + 512) / 1024, (all + conns / 2) / conns, (more + conns / 2) / conns);
}

static bool wanted(const struct bench_lib *lib)
{
	return lib && (!opt.only_lib || !strcmp(opt.only_lib, lib->name));
}

/* lwIP stands in a shared object beside this program, if it was there to build with. */
static const struct bench_lib *load_lwip(const char *self)
{
	char path[4096];
	const char *slash = strrchr(self, '/');
	void *so;

#ifdef NPP_SANITIZED
	return NULL;	/* sanitizers do not go together with RTLD_DEEPBIND, which keeps its names from ours */
#endif
	snprintf(path, sizeof path, "%.*s/.libs/stack_lwip.so", slash ? (int)(slash - self) : 1, slash ? self : ".");
	so = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	if (!so && !access(path, F_OK))
		fprintf(stderr, "stack: %s\n", dlerror());
	return so ? dlsym(so, "bench_lwip") : NULL;
}

/* All operations with CONNS connections, libraries in turn. 0, or -1. */
static int run(uint32_t conns)
{
	static double v[N_LIBS][N_OPS][ROUNDS_MAX];
	struct bench_side side[N_LIBS] = { 0 };
	int ret = 0;

	for (unsigned l = 0; l < N_LIBS; l++)
		if (wanted(libs[l])) {
			/* lwIP walks a list of all connections for each segment. */
			if (!libs[l]->gso && conns > 20000)
				continue;
			if (side_open(&side[l], libs[l], conns))
				return -1;
		}
	for (unsigned r = 0; r < opt.rounds; r++)
		for (unsigned o = 0; o < N_OPS; o++)
			for (unsigned l = 0; l < N_LIBS; l++) {
				if (!side[l].lib || (opt.only_op && !strstr(opt.only_op, ops[o].name)))
					continue;
				bench_now = &side[l];
				v[l][o][r] = round_ns(&side[l], &ops[o], conns);
			}
	for (unsigned o = 0; o < N_OPS; o++)
		for (unsigned l = 0; l < N_LIBS; l++)
			if (side[l].lib && (!opt.only_op || strstr(opt.only_op, ops[o].name)))
				print_row(&side[l], &ops[o], conns, v[l][o]);
	for (unsigned l = 0; !opt.json && l < N_LIBS; l++)
		if (side[l].lib)
			print_bytes(libs[l], conns);
	for (unsigned l = 0; l < N_LIBS; l++)
		if (side[l].lib) {
			uint32_t resets = 0;

			for (uint32_t i = 0; i < conns; i++)
				resets += side[l].peer[i].rst;
			if (resets || side[l].lost) {
				fprintf(stderr, "stack: %s: %u connections reset, %u segments out of place\n",
					libs[l]->name, resets, side[l].lost);
				ret = -1;
			}
			bench_now = &side[l];
			side[l].lib->close();
			bench_take_sent(&side[l]);	/* what it said in parting */
			free(side[l].peer);
		}
	return ret;
}

static int usage(void)
{
	fprintf(stderr, "usage: stack [-c CONNS,...] [-o OP,...] [-r ROUNDS] [-m MILLISECONDS] [-b BATCH]"
			" [-i MILLISECONDS] [-l LIB] [-n COUNT] [-p] [-j]\noperations:");
	for (unsigned o = 0; o < N_OPS; o++)
		fprintf(stderr, " %s", ops[o].name);
	fprintf(stderr, "\nlibraries: npp%s\n", libs[1] ? " lwip" : "; lwip was not there to build with");
	return 2;
}

/* A number of [LO, HI] in TEXT, up to END; 0: it is none. */
static unsigned long number(const char *text, unsigned long lo, unsigned long hi, char **end)
{
	unsigned long v = strtoul(text, end, 10);

	return *end == text || v < lo || v > hi ? 0 : v;
}

int main(int argc, char **argv)
{
	const char *conns = "1,1000,10000";
	unsigned long v;
	char *end;
	int c;

	libs[1] = load_lwip(argv[0]);
	while ((c = getopt(argc, argv, "c:o:r:m:b:i:l:n:pj")) != -1) {
		v = c == 'c' || c == 'o' || c == 'l' || c == 'j' || c == 'p' || c == '?' ? 1 : number(optarg, 1, 1000000000, &end);
		if (!v || c == '?')
			return usage();
		switch (c) {
		case 'c': conns = optarg; break;
		case 'o': opt.only_op = optarg; break;
		case 'l': opt.only_lib = optarg; break;
		case 'j': opt.json = true; break;
		case 'p': bench_ordinary_pages = true; break;
		case 'r': opt.rounds = v > ROUNDS_MAX ? ROUNDS_MAX : (unsigned)v; break;
		case 'm': opt.ns = v * 1000000; break;
		case 'b': opt.batch = v > BENCH_BATCH ? BENCH_BATCH : (unsigned)v; break;
		case 'i': opt.apart_us = v * 1000; break;
		case 'n': opt.count = v; opt.rounds = 1; break;
		}
	}
	for (unsigned i = 0; i < BENCH_BATCH; i++)
		frame[i].data = calloc(1, 66000);
	for (const char *p = conns; *p; p = *end ? end + 1 : end) {
		v = number(p, 1, 4000000, &end);
		if (!v || (*end && *end != ','))
			return usage();
		if (run((uint32_t)v))
			return 1;
	}
	return 0;
}
