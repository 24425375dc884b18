/* SPDX-License-Identifier: GPL-2.0-or-later
 * trace.c - what a run tells: lines, captures, and the end of it
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/sim.h"

/* ---- the pattern of a stream ----------------------------------------------------------------- */

#define PATTERN 65521u	/* prime: a byte out of place by a power of two shows */

static const uint8_t *pattern(void)
{
	static uint8_t table[2 * PATTERN];
	struct rng r = { 42 };

	for (uint32_t i = 0; !table[0] && i < PATTERN; i++)
		table[PATTERN - 1 - i] = table[2 * PATTERN - 1 - i] = (uint8_t)(rng_next(&r) >> 32) | (i == PATTERN - 1);
	return table;
}

void pattern_fill(uint32_t key, uint32_t off, void *to, uint32_t len)
{
	const uint8_t *t = pattern();

	for (uint32_t n; len; len -= n, off += n, to = (uint8_t *)to + n) {
		n = len < PATTERN ? len : PATTERN;
		memcpy(to, t + ((uint64_t)off + key) % PATTERN, n);
	}
}

bool pattern_is(uint32_t key, uint32_t off, const void *data, uint32_t len)
{
	const uint8_t *t = pattern();

	for (uint32_t n; len; len -= n, off += n, data = (const uint8_t *)data + n) {
		n = len < PATTERN ? len : PATTERN;
		if (memcmp(data, t + ((uint64_t)off + key) % PATTERN, n) != 0)
			return false;
	}
	return true;
}

/* ---- lines ------------------------------------------------------------------------------------- */

static void stamp(struct world *w)
{
	uint64_t us = w->now_us - w->start_us;

	fprintf(w->trace, "%5llu %4llu.%06llu ", (unsigned long long)w->step, (unsigned long long)(us / 1000000),
		(unsigned long long)(us % 1000000));
}

void trace(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->trace)
		return;
	stamp(w);
	va_start(ap, fmt);
	vfprintf(w->trace, fmt, ap);
	va_end(ap);
}

static void trace_tcp(FILE *out, const uint8_t *l4, uint32_t len)
{
	const struct tcp_hdr *t = (const struct tcp_hdr *)l4;
	static const char letters[] = "FSRPAUEC";
	uint32_t hlen = (t->off >> 4) * 4u;
	struct tcp_seg g = { 0 };
	char flags[9] = { 0 };

	for (unsigned i = 0, n = 0; i < 8; i++)
		if (t->flags >> i & 1)
			flags[n++] = letters[i];
	fprintf(out, "%u > %u %s seq %u len %u ack %u wnd %u", ntohs(t->sport), ntohs(t->dport), flags, ntohl(t->seq),
		len > hlen ? len - hlen : 0, ntohl(t->ack), ntohs(t->wnd));
	if (hlen > TCP_HDR_MIN && hlen <= len && tcp_options_parse(l4 + TCP_HDR_MIN, hlen - TCP_HDR_MIN, &g)) {
		if (g.opt & TO_MSS)
			fprintf(out, " mss %u", g.mss);
		if (g.opt & TO_TS)
			fprintf(out, " ts %u/%u", g.tsval, g.tsecr);
		for (unsigned i = 0; i < g.n_sack; i++)
			fprintf(out, " sack %u-%u", g.sack[i].start, g.sack[i].end);
	}
}

void trace_frame(struct world *w, const char *what, unsigned npp, unsigned iop, struct frame *f)
{
	const struct ip4_hdr *h = frame_ip4(f);
	struct packet p;

	if (!w->trace)
		return;
	frame_look(f, &p);
	stamp(w);
	fprintf(w->trace, "%-8s npp %u.%u ", what, npp, iop);
	if (!p.family) {
		fprintf(w->trace, "ethertype %02x%02x len %u\n", f->data[12], f->data[13], f->len);
		return;
	}
	if (f->rec.vnet.gso_size)
		fprintf(w->trace, "gso %u ", f->rec.vnet.gso_size);
	if (p.family == 6)
		fprintf(w->trace, "v6 ");
	if (p.tos & 3)
		fprintf(w->trace, "ecn %u ", p.tos & 3);
	if (p.fragment && !h)
		fprintf(w->trace, "fragment%s of %u len %u", p.first ? ", the first," : "", p.proto, f->len);
	else if (p.fragment)
		fprintf(w->trace, "fragment id %u at %u%s len %u", ntohs(h->id), (ntohs(h->frag) & IP4_OFFMASK) * 8,
			h->frag & htons(IP4_MF) ? "+" : "", f->len);
	else if (p.proto == 6 && f->len >= p.l4 + TCP_HDR_MIN)
		trace_tcp(w->trace, f->data + p.l4, f->len - p.l4);
	else
		fprintf(w->trace, "proto %u len %u", p.proto, f->len);
	fprintf(w->trace, "\n");
}

/* ---- captures ------------------------------------------------------------------------------------- */

int pcap_open(struct world *w, const char *prefix)
{
	static const uint32_t head[6] = { 0xa1b2c3d4, 4u << 16 | 2, 0, 0, 262144, 1 };

	for (unsigned i = 0; i < SIM_NPPS; i++) {
		char path[400];

		snprintf(path, sizeof path, "%s-%c.pcap", prefix, 'a' + (char)i);
		w->pcap[i] = fopen(path, "wb");
		if (!w->pcap[i] || fwrite(head, sizeof head, 1, w->pcap[i]) != 1)
			return -1;
	}
	return 0;
}

void pcap_write(struct world *w, unsigned npp, const struct frame *f)
{
	uint32_t rec[4] = { (uint32_t)(w->now_us / 1000000), (uint32_t)(w->now_us % 1000000), f->len, f->len };
	struct frame *c;

	if (!w->pcap[npp])
		return;
	c = frame_copy(f);
	frame_complete(c);
	fwrite(rec, sizeof rec, 1, w->pcap[npp]);
	fwrite(c->data, c->len, 1, w->pcap[npp]);
	free(c);
}

void pcap_close(struct world *w)
{
	for (unsigned i = 0; i < SIM_NPPS; i++)
		if (w->pcap[i])
			fclose(w->pcap[i]);
}

/* ---- the end ------------------------------------------------------------------------------------------- */

void sim_fail(struct world *w, const char *name, const char *fmt, ...)
{
	struct report *r = w->report;
	va_list ap;

	snprintf(r->name, sizeof r->name, "%s", name);
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof r->text, fmt, ap);
	va_end(ap);
	r->step = w->step;
	r->now_us = w->now_us - w->start_us;
	trace(w, "NOT SO: %s: %s\n", r->name, r->text);
	if (w->trace)
		fflush(w->trace);
	pcap_close(w);
	if (getenv("SIM_ABORT"))
		abort();
	_exit(3);
}
