/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_cc_cubic.c - CUBIC (RFC 9438)
 *
 * After a loss at window w_max the window follows W(t) = C (t - K)^3 + w_max, with
 * K = cbrt((w_max - cwnd_epoch) / C): it rises steeply to near w_max, stays there, and
 * then probes beyond. Times are in milliseconds and windows in bytes here; C is 0.4
 * segments per cubic second, beta 0.7. w_est is what Reno would have reached (4.3): the
 * larger of the two counts, so that CUBIC is not slower on short paths.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

#define CUBIC_T_MAX 1000000 /* ms: beyond that W(t) is out of sight anyway */

static uint32_t cbrt64(uint64_t x)
{
	uint64_t y = 0;

	for (int shift = 63; shift >= 0; shift -= 3) {
		uint64_t b;

		y *= 2;
		b = 3 * y * (y + 1) + 1;
		if (x >> shift >= b) {
			x -= b << shift;
			y++;
		}
	}
	return (uint32_t)y;
}

static void cubic_reset(struct tcb *t)
{
	memset(&t->ccr, 0, sizeof t->ccr);
}

static void cubic_init(struct tcb *t)
{
	t->ccs.cubic.w_max = 0;
	t->ccs.cubic.prior = 0;
	cubic_reset(t);
}

static void epoch_begin(struct tcb *t, uint32_t ms)
{
	t->ccr.cubic.epoch_ms = ms ? ms : 1;
	t->ccr.cubic.w_est = t->cwnd;
	if (t->cwnd < t->ccs.cubic.w_max) {
		/* K^3 = (w_max - cwnd) / mss / 0.4, in cubic ms */
		t->ccr.cubic.k_ms = cbrt64((t->ccs.cubic.w_max - t->cwnd) * 2500000000ull / t->mss);
		t->ccr.cubic.origin = t->ccs.cubic.w_max;
	} else {
		t->ccr.cubic.k_ms = 0;
		t->ccr.cubic.origin = t->cwnd;
	}
}

/* W at T_MS after the epoch began. */
static uint32_t cubic_at(const struct tcb *t, uint32_t t_ms)
{
	int64_t d = (int64_t)u32_min(t_ms, CUBIC_T_MAX) - t->ccr.cubic.k_ms;
	uint64_t a = (uint64_t)(d < 0 ? -d : d), delta;

	if (a > CUBIC_T_MAX)
		a = CUBIC_T_MAX;
	/* 0.4 mss a^3 / 10^9 */
	delta = a * a * a / 1000000 * (t->mss * 2u / 5) / 1000;
	if (d < 0)
		return delta > t->ccr.cubic.origin ? 0 : (uint32_t)(t->ccr.cubic.origin - delta);
	delta += t->ccr.cubic.origin;
	return delta > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)delta;
}

static void cubic_acked(struct stack *s, struct tcb *t, uint32_t bytes)
{
	uint32_t ms = now_ms(s), target;
	uint64_t inc;

	if (!t->ccr.cubic.epoch_ms)
		epoch_begin(t, ms);
	target = cubic_at(t, ms - t->ccr.cubic.epoch_ms + t->srtt_us / 1000);
	if (target > t->cwnd + t->cwnd / 2)
		target = t->cwnd + t->cwnd / 2;
	/* Reno's share: alpha = 3 (1 - beta) / (1 + beta) = 9/17 segments per window, and 1
	 * once the window before the loss is reached. */
	inc = (uint64_t)bytes * t->mss;
	if (t->ccr.cubic.w_est < t->ccs.cubic.prior)
		inc = inc * 9 / 17;
	t->ccr.cubic.w_est += (uint32_t)((inc + t->cwnd - 1) / t->cwnd);
	if (target > t->cwnd)
		t->cwnd += (uint32_t)((uint64_t)(target - t->cwnd) * bytes / t->cwnd);
	t->cwnd = u32_max(t->cwnd, t->ccr.cubic.w_est);
}

static uint32_t cubic_ssthresh(struct stack *s, struct tcb *t)
{
	(void)s;
	/* Fast convergence (4.7): give way if the window has become smaller. */
	if (t->cwnd < t->ccs.cubic.w_max)
		t->ccs.cubic.w_max = (uint32_t)((uint64_t)t->cwnd * 17 / 20);
	else
		t->ccs.cubic.w_max = t->cwnd;
	t->ccs.cubic.prior = t->cwnd;
	cubic_reset(t);
	return u32_max((uint32_t)((uint64_t)t->cwnd * 7 / 10), 2u * t->mss);
}

/* 4.9: nothing had been lost, so w_max is where it was, or beyond. */
static void cubic_undo(struct tcb *t)
{
	t->ccs.cubic.w_max = u32_max(t->ccs.cubic.w_max, t->ccs.cubic.prior);
	cubic_reset(t);
}

const struct tcp_cc tcp_cc_cubic = {
	.name = "cubic", .hystart = true, .init = cubic_init, .acked = cubic_acked, .ssthresh = cubic_ssthresh,
	.idle = cubic_reset, .undo = cubic_undo,
};
