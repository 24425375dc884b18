/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_ismsock.c - messages and memory of a hostile host under a socket ISM
 * options: -max_len=4096 -len_control=0
 * links with: tests/unit/ismsock/mad.c tests/unit/ismsock/env.c tests/unit/ismsock/fake_stack.c
 *
 * Input: the numbers from which tests/unit/ismsock/mad.c makes its decisions, two bytes each;
 * when they are used up everything is detached. What must hold stands there.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/replay.h"
#include "tests/unit/ismsock/mad.h"

struct input { const uint8_t *data; size_t left; };

static uint32_t next(void *arg)
{
	struct input *in = arg;
	uint32_t v;

	if (in->left < 2) {
		in->left = 0;
		return 0x5a5a5a5a;
	}
	v = (uint32_t)in->data[0] | (uint32_t)in->data[1] << 8;
	in->data += 2;
	in->left -= 2;
	/* Larger numbers are made of the same two bytes; below() takes remainders. */
	return v < 0xf000 ? v : v * 2654435761u;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const char *fault = NULL;

	mad_begin(next, &in);
	for (unsigned n = 0; in.left && !fault; n++) {
		mad_step();
		if (n % 512 == 511) /* it looks at everything: most of the time otherwise */
			fault = mad_audit();
	}
	if (fault) { /* the end looks once more */
		fprintf(stderr, "audit: %s\n", fault);
		abort();
	}
	mad_end();
	return 0;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	uint64_t r = i * 0x9e3779b97f4a7c15ull + 1;

	if (i >= 16)
		return 0;
	for (size_t n = 0; n < cap; n++) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		buf[n] = (uint8_t)(r >> 24);
	}
	return cap;
}
