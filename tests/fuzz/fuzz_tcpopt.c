/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_tcpopt.c - TCP options, read beside a second reader and put together again
 * options: -max_len=61
 *
 * Input: flags of the header, then up to 40 bytes of options (and payload). Both readers must
 * agree on every field, no byte beyond the options is read, and what the stack would write
 * from what was read must be read the same.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npp-ism/stack/tcp.h"
#include "tests/fuzz/replay.h"

#define OPTIONS_MAX 40u

static uint32_t be(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* The second reader: a list of options first, then what each means, the last of a kind counts. */
static bool read_again(const uint8_t *o, uint32_t len, struct tcp_seg *seg)
{
	bool syn = seg->flags & TCPF_SYN;

	for (uint32_t i = 0; i < len && o[i] != 0;) {
		const uint8_t *body = o + i + 2;
		uint32_t n, kind = o[i];

		if (kind == 1) {
			i++;
			continue;
		}
		if (i + 1 >= len || o[i + 1] < 2 || i + o[i + 1] > len)
			return false;
		n = o[i + 1] - 2u;
		i += o[i + 1];
		if (kind == 2 && n == 2 && syn) {
			seg->mss = (uint16_t)be(body, 2);
			seg->opt |= TO_MSS;
		} else if (kind == 3 && n == 1 && syn) {
			seg->wscale = body[0] < 14 ? body[0] : 14;
			seg->opt |= TO_WS;
		} else if (kind == 4 && n == 0 && syn) {
			seg->opt |= TO_SACK_OK;
		} else if (kind == 5 && n && n % 8 == 0) {
			seg->n_sack = 0;
			for (; seg->n_sack < TCP_SACK_MAX && seg->n_sack < n / 8; seg->n_sack++)
				seg->sack[seg->n_sack] = (struct tcp_range){ be(body + 8 * seg->n_sack, 4),
									     be(body + 8 * seg->n_sack + 4, 4) };
		} else if (kind == 8 && n == 8) {
			seg->tsval = be(body, 4);
			seg->tsecr = be(body + 4, 4);
			seg->opt |= TO_TS;
		} else if (kind == 34 && syn && (n == 0 || (n >= 4 && n <= TCP_TFO_COOKIE_MAX && n % 2 == 0))) {
			seg->tfo = body;
			seg->tfo_len = (uint8_t)n;
			seg->opt |= TO_TFO;
		}
	}
	return true;
}

static void same(const struct tcp_seg *a, const struct tcp_seg *b)
{
	MUST(a->opt == b->opt && a->mss == b->mss && a->wscale == b->wscale);
	MUST(a->tsval == b->tsval && a->tsecr == b->tsecr);
	MUST(a->n_sack == b->n_sack && a->n_sack <= TCP_SACK_MAX);
	for (unsigned i = 0; i < a->n_sack; i++)
		MUST(a->sack[i].start == b->sack[i].start && a->sack[i].end == b->sack[i].end);
	MUST(a->tfo_len == b->tfo_len && (a->tfo_len == 0 || memcmp(a->tfo, b->tfo, a->tfo_len) == 0));
}

/* What A says, as the stack writes it. */
static void write_again(const struct tcp_seg *a)
{
	struct tcp_seg b = { .flags = a->flags };
	static struct tcp_out o;
	const uint8_t *begin = o.tx.head + STACK_L4_OFF + TCP_HDR_MIN;
	bool syn = a->flags & TCPF_SYN;

	tcp_out_begin(&o, 1, 2, 3, 4, a->flags, 5);
	if (syn && (a->opt & TO_MSS))
		tcp_opt_put_syn(&o, a->mss, a->opt & TO_SACK_OK, a->opt & TO_TS, a->tsval, a->tsecr, a->opt & TO_WS, a->wscale);
	else if (a->opt & TO_TS)
		tcp_opt_put_ts(&o, a->tsval, a->tsecr);
	if (!syn && a->n_sack && (uint32_t)(o.opt - begin) + 4 + 8u * a->n_sack <= OPTIONS_MAX)
		tcp_opt_put_sack(&o, a->sack, a->n_sack);
	MUST((o.opt - begin) % 4 == 0 && o.opt - begin <= (ptrdiff_t)OPTIONS_MAX);
	MUST(tcp_options_parse(begin, (uint32_t)(o.opt - begin), &b));
	if (a->opt & TO_TS && (!syn || a->opt & TO_MSS))
		MUST(b.tsval == a->tsval && b.tsecr == a->tsecr && b.opt & TO_TS);
	if (syn && a->opt & TO_MSS)
		MUST(b.mss == a->mss && (b.opt & (TO_SACK_OK | TO_WS)) == (a->opt & (TO_SACK_OK | TO_WS)) && b.wscale == a->wscale);
	for (unsigned i = 0; i < b.n_sack; i++)
		MUST(b.sack[i].start == a->sack[i].start && b.sack[i].end == a->sack[i].end);
}

/* The same as part of a segment, in memory of its size: the header says how much of it is options. */
static void whole_segment(const uint8_t *opt, uint32_t len, uint8_t flags, uint8_t off)
{
	static npp_counter_t stats[NPP_STATS_COUNTERS];
	static const struct stack_env env = { .stats = stats };
	struct tcp_hdr h = { .sport = htons(1), .dport = htons(2), .off = off, .flags = flags };
	struct pkt pkt = { .l4_len = TCP_HDR_MIN + len, .csum_ok = true };
	struct tcp_seg seg = { .seq = 0 };
	struct stack *s = calloc(1, sizeof *s);
	uint8_t *b = malloc(TCP_HDR_MIN + len);

	MUST(s && b);
	s->env = &env;
	memcpy(b, &h, TCP_HDR_MIN);
	if (len)
		memcpy(b + TCP_HDR_MIN, opt, len);
	pkt.ip = pkt.l4 = b;
	if (tcp_seg_parse(s, &pkt, &seg))
		MUST(seg.data >= b + TCP_HDR_MIN && seg.data + seg.len == b + TCP_HDR_MIN + len);
	free(b);
	free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tcp_seg a = { .seq = 0 }, b;
	uint32_t len;
	uint8_t *o;
	bool ok;

	if (size < 1)
		return 0;
	len = (uint32_t)(size - 1 < OPTIONS_MAX ? size - 1 : OPTIONS_MAX);
	o = malloc(len ? len : 1);
	MUST(o);
	memcpy(o, data + 1, len);
	a.flags = b.flags = data[0];
	b = a;
	ok = tcp_options_parse(o, len, &a);
	MUST(ok == read_again(o, len, &b));
	if (ok) {
		same(&a, &b);
		write_again(&a);
	}
	free(o);
	whole_segment(data + 1, (uint32_t)size - 1, data[0], (uint8_t)(0x50 + (len + 3) / 4 * 16));
	return 0;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	static const uint8_t seed[][41] = {
		{ TCPF_SYN, 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7 },
		{ TCPF_ACK, 1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 5 },
		{ TCPF_ACK, 1, 1, 8, 10, 0, 0, 0, 10, 0, 0, 0, 0, 1, 1, 5, 18, 0, 0, 0, 10, 0, 0, 0, 20, 0, 0, 0, 30, 0, 0, 0, 40 },
		{ TCPF_SYN, 2, 4, 5, 0xb4, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 255 },
		{ TCPF_SYN | TCPF_ACK, 34, 2, 1, 1, 2, 4, 0, 88, 4, 2 },
		{ TCPF_ACK, 5, 34, [33] = 7, 253, 4, 0xf9, 0x89 },
		{ TCPF_SYN, 254, 3, 2, 19, 18, 9, 1, 0, 2, 4 },
	};

	if (i >= sizeof seed / sizeof *seed || cap < sizeof *seed)
		return 0;
	memcpy(buf, seed[i], sizeof *seed);
	return i == 1 ? 13 : i == 0 ? 21 : i == 2 ? 33 : i == 4 ? 13 : 41;
}
