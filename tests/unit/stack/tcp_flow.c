/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_flow.c - one connection that sends, for the tests of loss recovery and congestion
 *              control
 */
#include "config.h"

#include <string.h>

#include "tests/unit/stack/tcp_flow.h"

void flow_open(struct flow *f, uint8_t opt)
{
	memset(f, 0, sizeof *f);
	f->h = th_new(64);
	th_listen(f->h, 80, 8);
	tp_accept(&f->p, f->h, 80, 4000, opt);
	f->first = f->p.ack;
	f->p.wnd = 65535;
	f->t = tcb_of(f->p.k->c);
	f->t->srtt_us = f->t->min_rtt_us = 0;
	tcp_rtt_sample(f->h->s, f->t, FLOW_RTT_US);
	f->t->snd_wnd = f->t->max_wnd = 65535u << f->t->snd_ws;
	f->p.tsecr = tcp_tsval(f->h->s, f->t->ts_off);
}

void flow_close(struct flow *f)
{
	th_free(f->h);
}

void flow_write(struct flow *f, unsigned segs)
{
	uint32_t left = segs * f->t->mss;

	while (left) {
		uint32_t n = th_write(f->h, f->p.k, f->data, left < sizeof f->data ? left : sizeof f->data);

		ck_assert_uint_gt(n, 0);
		left -= n;
	}
	stack_flush(f->h->s);
}

void flow_pass(struct flow *f, uint64_t us)
{
	f->p.tsecr = tcp_tsval(f->h->s, f->t->ts_off);
	th_advance(f->h, us);
}

void flow_sack(struct flow *f, unsigned seg, unsigned n, const unsigned (*block)[2])
{
	struct tcp_seg g;

	f->p.ack = f->first + seg * f->t->mss;
	g = tp_seg(&f->p, TCPF_ACK | f->flags, 0);
	for (unsigned i = 0; i < n; i++)
		g.sack[i] = (struct tcp_range){ f->first + block[i][0] * f->t->mss, f->first + block[i][1] * f->t->mss };
	g.n_sack = (uint8_t)n;
	th_input(f->h, &g, NULL, 0);
}

void flow_ack(struct flow *f, unsigned seg)
{
	flow_sack(f, seg, 0, NULL);
}

void flow_expect(struct flow *f, unsigned seg, unsigned count)
{
	struct th_seg *o = th_next(f->h);

	ck_assert_uint_eq(o->g.seq - f->first, seg * f->t->mss);
	ck_assert_uint_eq(o->g.len, count * f->t->mss);
}

bool flow_quiet(struct flow *f)
{
	bool quiet = th_none(f->h);

	th_forget(f->h);
	return quiet;
}

uint64_t flow_stat(struct flow *f, unsigned id)
{
	return th_stat(f->h, id);
}
