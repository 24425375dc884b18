/* SPDX-License-Identifier: GPL-2.0-or-later
 * replay.h - a fuzz target as an ordinary program
 *
 * A target defines LLVMFuzzerTestOneInput() and npp_fuzz_seed(). Linked with replay.c
 * instead of libFuzzer it runs the files named on its command line and then mutations
 * of its seeds, the same ones each time, for at most ten seconds.
 */
#ifndef NPP_TESTS_REPLAY_H
#define NPP_TESTS_REPLAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What an input may never bring about ends the program, for libFuzzer as for replay.c. */
#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

/* How many descriptors there are: what Linux says from 6.2 on, else always 0. */
static inline long fds_open(void)
{
	struct stat st;

	MUST(stat("/proc/self/fd", &st) == 0);
	return (long)st.st_size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Writes seed I to BUF; its size, or 0 if there is none of that number. */
size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap);

/* That, of a table of N seeds of EACH bytes. */
static inline size_t seed_of(const void *seeds, size_t n, size_t each, unsigned i, uint8_t *buf, size_t cap)
{
	if (i >= n || cap < each)
		return 0;
	memcpy(buf, (const uint8_t *)seeds + i * each, each);
	return each;
}

#endif
