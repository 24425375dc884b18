/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_cc_hystart.c - HyStart++ (RFC 9406): the first slow start ends when the delay grows
 *
 * Rounds of one window each measure the least RTT. If it has grown by an eighth (4 to 16 ms)
 * from one round to the next, a queue builds up: slow start goes on at a quarter of its pace
 * for up to five rounds (conservative slow start, CSS), and ends there unless the RTT
 * falls again, which shows that it was something else.
 */
#include "config.h"

#include "npp-ism/stack/tcp.h"

#define MIN_RTT_THRESH_US 4000u
#define MAX_RTT_THRESH_US 16000u
#define RTT_DIVISOR 8u
#define N_RTT_SAMPLE 8u
#define CSS_GROWTH_DIVISOR 4u
#define CSS_ROUNDS 5u

static void round_begin(struct tcb *t, struct tcp_hystart *h)
{
	h->last_us = h->cur_us;
	h->cur_us = 0;
	h->samples = 0;
	h->end = t->snd_nxt;
	h->on = 1;
}

uint32_t tcp_hystart(struct tcb *t, const struct tcp_news *n)
{
	struct tcp_hystart *h = &t->ccr.hs;
	uint32_t thresh;

	if (!h->on || seq_gt(t->snd_una, h->end) || seq_gt(h->end, t->snd_nxt)) { /* or so long ago that it lies ahead */
		if (h->base_us && ++h->css_rounds >= CSS_ROUNDS) {
			t->ssthresh = t->cwnd;
			tcp_cc(t)->idle(t); /* takes over the memory of H */
			return 0;
		}
		round_begin(t, h);
	}
	if (n->rtt_us) {
		uint32_t us = u32_min(n->rtt_us, HS_US_MAX);

		h->cur_us = h->cur_us && h->cur_us < us ? h->cur_us : us;
		if (h->samples < N_RTT_SAMPLE)
			h->samples++;
	}
	if (h->samples >= N_RTT_SAMPLE) {
		thresh = u32_min(u32_max(h->last_us / RTT_DIVISOR, MIN_RTT_THRESH_US), MAX_RTT_THRESH_US);
		if (!h->base_us && h->last_us && h->cur_us >= h->last_us + thresh) {
			h->base_us = h->cur_us;
			h->css_rounds = 0;
		} else if (h->base_us && h->cur_us < h->base_us) {
			h->base_us = 0;
		}
	}
	return h->base_us ? n->acked / CSS_GROWTH_DIVISOR : n->acked;
}
