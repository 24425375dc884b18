/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_isn.c - numbers that an outsider must not guess: initial sequence numbers
 *             (RFC 6528), timestamp offsets, source ports, SYN cookies
 *
 * A SYN cookie is an initial sequence number that carries the handshake:
 *
 *   31    27 26  24 23                    0
 *   | time  | mss  | keyed hash            |
 *
 * time counts 64-second periods, mss indexes a table of eight. The other options of the
 * SYN travel in the low bits of the timestamp that we send and the peer echoes
 * (bits 0-3 its window scale, 15 none; bit 4 SACK permitted); without timestamps the
 * connection goes without window scaling and SACK.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

struct isn_input {
	union npp_addr la, ra;
	uint16_t lp, rp;
	uint32_t purpose;
	uint32_t extra[2];
};
_Static_assert(sizeof(struct isn_input) == 48, "no padding in what is hashed");

enum { FOR_ISN = 1, FOR_TS = 2, FOR_COOKIE = 3, FOR_PORT = 4 };

static uint64_t isn_hash(struct stack *s, const union npp_addr *la, uint16_t lp, const union npp_addr *ra,
			 uint16_t rp, uint32_t purpose, uint32_t extra0, uint32_t extra1)
{
	struct isn_input in = { .la = *la, .ra = *ra, .lp = lp, .rp = rp, .purpose = purpose,
				.extra = { extra0, extra1 } };

	return npp_siphash(s->cfg.isn_key, &in, sizeof in);
}

uint32_t tcp_isn(struct stack *s, const union npp_addr *la, uint16_t lp, const union npp_addr *ra, uint16_t rp)
{
	return (uint32_t)isn_hash(s, la, lp, ra, rp, FOR_ISN, 0, 0) + (uint32_t)(s->now_us / 4);
}

uint32_t tcp_ts_offset(struct stack *s, const union npp_addr *la, uint16_t lp, const union npp_addr *ra,
		       uint16_t rp)
{
	/* Bound to the pair of addresses only, so that a new connection on old ports goes on
	 * with larger timestamps (RFC 7323, 5.5 and appendix B.2). */
	(void)lp;
	(void)rp;
	return (uint32_t)isn_hash(s, la, 0, ra, 0, FOR_TS, 0, 0);
}

uint32_t tcp_port_offset(struct stack *s, const union npp_addr *la, const union npp_addr *ra, uint16_t rp)
{
	return (uint32_t)isn_hash(s, la, 0, ra, rp, FOR_PORT, 0, 0);
}

/* ---- cookies ------------------------------------------------------------------------ */

static const uint16_t cookie_mss[8] = { TCP_MSS_MIN, 216, 536, 1024, 1220, 1380, 1440, 1460 };
#define COOKIE_PERIOD_US 64000000ull
#define COOKIE_LIVES 2 /* periods */

static uint32_t cookie_hash(struct stack *s, const struct tcp_seg *seg, uint32_t irs, uint32_t top)
{
	return (uint32_t)isn_hash(s, &seg->pkt->dst, seg->dport, &seg->pkt->src, seg->sport, FOR_COOKIE, irs, top) &
	       0xffffff;
}

uint32_t tcp_cookie_make(struct stack *s, const struct tcp_seg *seg, uint16_t *mss)
{
	uint32_t period = (uint32_t)(s->now_us / COOKIE_PERIOD_US), idx = 0, top;

	while (idx < 7 && cookie_mss[idx + 1] <= *mss)
		idx++;
	*mss = cookie_mss[idx];
	top = (period & 31) << 3 | idx;
	return top << 24 | cookie_hash(s, seg, seg->seq, period << 3 | idx);
}

bool tcp_cookie_check(struct stack *s, const struct tcp_seg *seg, uint16_t *mss)
{
	uint32_t cookie = seg->ack - 1, period = (uint32_t)(s->now_us / COOKIE_PERIOD_US);
	uint32_t age = (period - (cookie >> 27)) & 31, idx = cookie >> 24 & 7;

	if (age >= COOKIE_LIVES || age > period)
		return false;
	if ((cookie & 0xffffff) != cookie_hash(s, seg, seg->seq - 1, (period - age) << 3 | idx))
		return false;
	*mss = cookie_mss[idx];
	return true;
}
