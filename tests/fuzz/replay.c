/* SPDX-License-Identifier: GPL-2.0-or-later
 * replay.c - runs a fuzz target without a fuzzer: files, then seeded mutations
 *
 * usage: TARGET [-n MUTATIONS] [-s SEED] [FILE...]
 *        TARGET -w DIRECTORY    writes its seeds there, for a fuzzer to begin with
 *
 * Without a FILE, those of tests/fuzz/corpus of its name, below $top_srcdir.
 */
#include "config.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/replay.h"

#define CAP 8192
#define SECONDS 5

static uint64_t rng_state;

static uint32_t rng(void)
{
	rng_state = rng_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(rng_state >> 33);
}

/* Runs DATA in memory of exactly its size. */
static void run_exact(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	memcpy(copy, data, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static size_t mutate(uint8_t *b, size_t n)
{
	static const uint8_t special[] = { 0, 1, 4, 5, 6, 7, 17, 44, 58, 60, 0x7f, 0x80, 0xfe, 0xff };

	for (unsigned k = 1 + rng() % 4; k > 0 && n > 0; k--) {
		size_t at = rng() % (rng() % 4 ? (n < 100 ? n : 100) : n);

		switch (rng() % 5) {
		case 0:
			b[at] ^= (uint8_t)(1u << rng() % 8);
			break;
		case 1:
			b[at] = special[rng() % sizeof special];
			break;
		case 2:
			b[at] = (uint8_t)(b[at] + rng() % 17 - 8);
			break;
		case 3:
			n = rng() % 8 ? n : at;
			break;
		default:
			if (n + 8 <= CAP) {
				memmove(b + at + 8, b + at, n - at);
				n += rng() % 4 ? 0 : 8;
			}
		}
	}
	return n;
}

static int run_file(const char *path)
{
	static uint8_t buf[1 << 20];
	FILE *in = fopen(path, "rb");

	if (!in) {
		perror(path);
		return 1;
	}
	run_exact(buf, fread(buf, 1, sizeof buf, in));
	fclose(in);
	return 0;
}

/* Inputs that were worth keeping, among them those that once found something. */
static int run_corpus(const char *program)
{
	const char *top = getenv("top_srcdir"), *name = strstr(program, "fuzz_");
	char pattern[4096];
	glob_t found;
	int bad = 0;

	if (!top || !name)
		return 0;
	for (const char *more; (more = strstr(name + 1, "fuzz_"));)
		name = more;
	snprintf(pattern, sizeof pattern, "%s/tests/fuzz/corpus/%s/*", top, name + 5);
	if (glob(pattern, 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++)
		bad |= run_file(found.gl_pathv[i]);
	globfree(&found);
	return bad;
}

static int write_seeds(const char *dir)
{
	static uint8_t buf[CAP];
	char path[4096];
	size_t n;

	for (unsigned i = 0; (n = npp_fuzz_seed(i, buf, CAP)) > 0; i++) {
		FILE *out;

		snprintf(path, sizeof path, "%s/seed-%u", dir, i);
		out = fopen(path, "wb");
		if (!out || fwrite(buf, 1, n, out) != n || fclose(out) != 0) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	static uint8_t buf[CAP + 8];
	unsigned long want = 300000, done = 0;
	time_t end = time(NULL) + SECONDS;
	unsigned seeds = 0;
	int opt, bad = 0;

	rng_state = 1;
	while ((opt = getopt(argc, argv, "n:s:w:")) != -1) {
		if (opt == 'n')
			want = strtoul(optarg, NULL, 0);
		else if (opt == 's')
			rng_state = strtoull(optarg, NULL, 0);
		else if (opt == 'w')
			return write_seeds(optarg);
		else
			return 2;
	}
	if (optind == argc)
		bad |= run_corpus(argv[0]);
	for (; optind < argc; optind++)
		bad |= run_file(argv[optind]);
	while (npp_fuzz_seed(seeds, buf, CAP) > 0)
		seeds++;
	for (unsigned i = 0; i < seeds; i++)
		run_exact(buf, npp_fuzz_seed(i, buf, CAP));
	for (; seeds && done < want && (done % 1024 || time(NULL) < end); done++)
		run_exact(buf, mutate(buf, npp_fuzz_seed(rng() % seeds, buf, CAP)));
	printf("1..1\n%s 1 - %u seeds and %lu mutations\n", bad ? "not ok" : "ok", seeds, done);
	return bad;
}
