/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_wire.c - any text as a control request of a wire, then any frame through it
 *
 * Input: a request up to the first newline, then a virtio header and a frame. What must
 * hold: the answer is "ok", JSON, a table or an error; settings stay in their bounds; no buffer
 * is lost.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/wire/wire.h"
#include "tests/fuzz/replay.h"

static int drop(void *arg, unsigned dir, const struct wire_frame *f)
{
	(void)arg, (void)dir;
	MUST(f->len <= f->cap);
	return 0;
}

static void request(struct wire *w, const char *text, size_t n)
{
	char *answer = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&answer, &len);
	int r;

	MUST(f);
	r = wire_ctl(w, text, n, 1000, f);
	fclose(f);
	MUST(r < 0 ? strncmp(answer, "error: ", 7) == 0 : answer[0] == '{' || strcmp(answer, "ok\n") == 0 ||
	     strncmp(answer, "up ", 3) == 0);
	free(answer);
	for (int d = 0; d < WIRE_DIRS; d++)
		MUST(w->conf[d].loss >= 0 && w->conf[d].loss <= 1 && w->conf[d].delay_us <= 60000000 &&
		     w->conf[d].mtu <= 65535 && w->conf[d].reorder_gap <= 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire w;
	const uint8_t *nl = memchr(data, '\n', size);
	size_t n = nl ? (size_t)(nl - data) : size;
	struct wire_conf c[WIRE_DIRS];
	struct wire_frame *f;

	if (!w.send) {
		MUST(wire_init(&w, 1) == 0);
		w.send = drop;
	}
	wire_conf_init(c);
	wire_apply(&w, c, 0);
	wire_reseed(&w, 1);
	request(&w, (const char *)data, n);
	if (nl && size - n - 1 >= sizeof f->vh && size - n - 1 < 60000) {
		data += n + 1;
		size -= n + 1;
		f = wire_get(&w, (uint32_t)size);
		memcpy(&f->vh, data, sizeof f->vh);
		f->len = (uint32_t)(size - sizeof f->vh);
		memcpy(f->data, data + sizeof f->vh, f->len);
		wire_input(&w, WIRE_UP, f, 2000);
	}
	for (int d = 0; d < WIRE_DIRS; d++) {
		w.dir[d].last_due_ns = 0;
		w.dir[d].busy_until_ns = 0;
	}
	wire_run(&w, UINT64_MAX - 1);
	for (int d = 0; d < WIRE_DIRS; d++)
		w.dir[d].last_due_ns = 0;
	MUST(w.small.n_free == w.small.total && w.big.n_free == w.big.total);
	return 0;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	static const char *const seeds[] = {
		"set delay=40ms jitter=5ms loss=2%", "set burst=1%/25%/50% reorder=10% reorder_gap=2", "get", "zero", "clear",
		"seed 12", "set up.rate=10mbit queue=64K ecn_queue=10K", "set blackout=20ms mtu=1400 corrupt=100% duplicate=100%",
	};
	static const uint8_t gso[] = { 1, 1, 54, 0, 100, 0, 34, 0, 16, 0 };
	size_t n;

	if (i >= 2 * sizeof seeds / sizeof *seeds || cap < 2000)
		return 0;
	n = strlen(seeds[i / 2]);
	memcpy(buf, seeds[i / 2], n);
	if (i & 1) {
		buf[n++] = '\n';
		memcpy(buf + n, gso, sizeof gso);
		n += sizeof gso;
		memset(buf + n, 0, 1054);
		buf[n + 12] = 8;
		buf[n + 14] = 0x45;
		buf[n + 34 + 12] = 0x50;
		n += 1054;
	}
	return n;
}
