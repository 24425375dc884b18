/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_options.c - TCP options, read and written
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "npp-ism/stack/tcp.h"

enum { OPT_END = 0, OPT_NOP = 1, OPT_MSS = 2, OPT_WS = 3, OPT_SACK_OK = 4, OPT_SACK = 5, OPT_TS = 8, OPT_TFO = 34 };

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
}

static void parse_sack(const uint8_t *p, uint32_t len, struct tcp_seg *seg)
{
	unsigned n = len / 8;

	if (n > TCP_SACK_MAX)
		n = TCP_SACK_MAX;
	for (unsigned i = 0; i < n; i++) {
		seg->sack[i].start = get32(p + 8 * i);
		seg->sack[i].end = get32(p + 8 * i + 4);
	}
	seg->n_sack = (uint8_t)n;
}

/* One option of kind KIND with LEN bytes of body. A length that does not fit a known
 * kind makes the option unknown, not the segment bad (RFC 9293, MUST-6 and -7). */
static void parse_one(uint8_t kind, const uint8_t *p, uint32_t len, struct tcp_seg *seg)
{
	switch (kind) {
	case OPT_MSS:
		if (len == 2 && seg->flags & TCPF_SYN) {
			seg->mss = (uint16_t)(p[0] << 8 | p[1]);
			seg->opt |= TO_MSS;
		}
		break;
	case OPT_WS:
		if (len == 1 && seg->flags & TCPF_SYN) {
			seg->wscale = p[0] > 14 ? 14 : p[0]; /* RFC 7323, 2.3 */
			seg->opt |= TO_WS;
		}
		break;
	case OPT_SACK_OK:
		if (len == 0 && seg->flags & TCPF_SYN)
			seg->opt |= TO_SACK_OK;
		break;
	case OPT_SACK:
		if (len >= 8 && len % 8 == 0)
			parse_sack(p, len, seg);
		break;
	case OPT_TS:
		if (len == 8) {
			seg->tsval = get32(p);
			seg->tsecr = get32(p + 4);
			seg->opt |= TO_TS;
		}
		break;
	case OPT_TFO: /* RFC 7413, 4.1.1 */
		if (seg->flags & TCPF_SYN && (len == 0 || (len >= 4 && len <= TCP_TFO_COOKIE_MAX && len % 2 == 0))) {
			seg->tfo = p;
			seg->tfo_len = (uint8_t)len;
			seg->opt |= TO_TFO;
		}
		break;
	default:
		break;
	}
}

bool tcp_options_parse(const uint8_t *opt, uint32_t len, struct tcp_seg *seg)
{
	uint32_t i = 0;

	/* The one layout that almost every segment has (RFC 7323, appendix A). */
	if (len == 12 && opt[0] == OPT_NOP && opt[1] == OPT_NOP && opt[2] == OPT_TS && opt[3] == 10) {
		parse_one(OPT_TS, opt + 4, 8, seg);
		return true;
	}
	while (i < len) {
		uint8_t kind = opt[i];

		if (kind == OPT_END)
			break;
		if (kind == OPT_NOP) {
			i++;
			continue;
		}
		if (len - i < 2 || opt[i + 1] < 2 || opt[i + 1] > len - i)
			return false;
		parse_one(kind, opt + i + 2, opt[i + 1] - 2u, seg);
		i += opt[i + 1];
	}
	return true;
}

void tcp_opt_put_syn(struct tcp_out *o, uint16_t mss, bool sack, bool ts, uint32_t tsval, uint32_t tsecr, bool ws,
		     uint8_t wscale)
{
	uint8_t *p = o->opt;

	*p++ = OPT_MSS;
	*p++ = 4;
	*p++ = (uint8_t)(mss >> 8);
	*p++ = (uint8_t)mss;
	if (ts) {
		*p++ = sack ? OPT_SACK_OK : OPT_NOP;
		*p++ = sack ? 2 : OPT_NOP;
		*p++ = OPT_TS;
		*p++ = 10;
		put32(p, tsval);
		put32(p + 4, tsecr);
		p += 8;
	} else if (sack) {
		*p++ = OPT_NOP;
		*p++ = OPT_NOP;
		*p++ = OPT_SACK_OK;
		*p++ = 2;
	}
	if (ws) {
		*p++ = OPT_NOP;
		*p++ = OPT_WS;
		*p++ = 3;
		*p++ = wscale;
	}
	o->opt = p;
}

void tcp_opt_put_ts(struct tcp_out *o, uint32_t tsval, uint32_t tsecr)
{
	uint8_t *p = o->opt;

	p[0] = p[1] = OPT_NOP;
	p[2] = OPT_TS;
	p[3] = 10;
	put32(p + 4, tsval);
	put32(p + 8, tsecr);
	o->opt = p + 12;
}

void tcp_opt_put_tfo(struct tcp_out *o, const uint8_t *cookie, unsigned len)
{
	uint8_t *p = o->opt;

	*p++ = OPT_TFO;
	*p++ = (uint8_t)(2 + len);
	if (len)
		memcpy(p, cookie, len);
	p += len;
	while ((p - o->opt) % 4)
		*p++ = OPT_NOP;
	o->opt = p;
}

void tcp_opt_put_sack(struct tcp_out *o, const struct tcp_range *r, unsigned n)
{
	uint8_t *p = o->opt;

	p[0] = p[1] = OPT_NOP;
	p[2] = OPT_SACK;
	p[3] = (uint8_t)(2 + 8 * n);
	p += 4;
	for (unsigned i = 0; i < n; i++, p += 8) {
		put32(p, r[i].start);
		put32(p + 4, r[i].end);
	}
	o->opt = p;
}
