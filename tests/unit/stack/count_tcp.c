/* SPDX-License-Identifier: GPL-2.0-or-later
 * count_tcp.c - what a segment costs TCP, in instructions
 *
 * Runs one of the expected paths many times in a function of its own, for callgrind:
 *
 *   valgrind --tool=callgrind --toggle-collect=measured count_tcp receive
 *
 *   receive   text in order, a flush and a read after each segment
 *   ack       a pure ACK for one 64 KB frame of several in flight, which lets nothing out
 *   bulk      the program writes 64 KB, a frame leaves, its ACK comes
 *   small     a request of 100 bytes comes and an answer of 600 bytes leaves, with the ACK of the last one
 *
 * IP and the user are the doubles of the unit tests; what is sent is thrown away.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/stack/tcp_helper.h"

#define ROUNDS 1000u
#define FRAME 65160u
#define PORT 80

struct counted {
	struct th *h;
	struct tp p;
	uint8_t buf[32 + 2048];
	struct pkt pkt;
};

static void segment(struct counted *c, uint32_t len)
{
	struct tcp_hdr *hdr = (struct tcp_hdr *)c->buf;

	*hdr = (struct tcp_hdr){ .sport = htons(c->p.rport), .dport = htons(c->p.lport), .seq = htonl(c->p.seq),
				 .ack = htonl(c->p.ack), .flags = TCPF_ACK, .wnd = htons(65535), .off = 8 << 4 };
	c->buf[20] = c->buf[21] = 1;
	c->buf[22] = 8;
	c->buf[23] = 10;
	memset(c->buf + 24, 0, 8);
	c->buf[26] = 4;
	c->pkt = (struct pkt){ .l4 = c->buf, .l4_len = 32 + len, .src = c->h->peer, .dst = c->h->addr, .proto = 6,
			       .csum_ok = true };
	c->p.seq += len;
	tcp_input(c->h->s, &c->pkt);
}

static void write_frame(struct counted *c, uint32_t len)
{
	struct th_sock *k = c->p.k;

	k->tx_head += len;
	stack_tcp_sent(c->h->s, k->c, k->tx_head);
}

static void flush(struct counted *c)
{
	c->h->now_us += 10;
	stack_set_now(c->h->s, c->h->now_us);
	stack_flush(c->h->s);
}

static void round_of(struct counted *c, const char *what)
{
	struct tcp_conn *t = c->p.k->c;

	if (!strcmp(what, "receive")) {
		segment(c, 1448);
		flush(c);
		stack_tcp_read(c->h->s, t, t->rx_head);
	} else if (!strcmp(what, "ack")) {
		c->p.ack += FRAME / 1448 * 1448;
		segment(c, 0);
		flush(c);
	} else if (!strcmp(what, "bulk")) {
		write_frame(c, FRAME / 1448 * 1448);
		flush(c);
		c->p.ack += FRAME / 1448 * 1448;
		segment(c, 0);
		flush(c);
	} else {
		segment(c, 100);
		flush(c);
		stack_tcp_read(c->h->s, t, t->rx_head);
		write_frame(c, 600);
		flush(c);
		c->p.ack += 600;
	}
}

__attribute__((noinline)) void measured(struct counted *c, const char *what);
void measured(struct counted *c, const char *what)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		round_of(c, what);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "small";
	struct counted c = { .h = th_new(1024) };
	struct tcb *t;

	th_listen(c.h, PORT, 8);
	tp_accept(&c.p, c.h, PORT, 4000, TO_TS | TO_WS | TO_SACK_OK);
	t = tcb_of(c.p.k->c);
	tcp_rtt_sample(c.h->s, t, 200);
	t->cwnd = t->snd_wnd = t->max_wnd = 1u << 30;
	t->snd_ws = 14;
	c.p.k->tx_size = 1u << 17;
	c.p.k->tx = malloc(c.p.k->tx_size);
	t->c.tx = (struct stack_ring){ c.p.k->tx, c.p.k->tx_size };
	c.h->sink = true;
	/* warm: the receive ring is made, quick ACKs are over */
	for (unsigned i = 0; i < 64; i++)
		round_of(&c, strcmp(what, "ack") ? what : "bulk");
	if (!strcmp(what, "ack")) {
		for (unsigned i = 0; i < ROUNDS + 8; i++) {
			write_frame(&c, FRAME / 1448 * 1448);
			flush(&c);
		}
	}
	measured(&c, what);
	printf("%s: %u rounds, %lu bytes in, %lu out, %lu segments out\n", what, ROUNDS,
	       (unsigned long)th_stat(c.h, NPP_IS_TCP_BYTES_IN), (unsigned long)th_stat(c.h, NPP_IS_TCP_BYTES_OUT),
	       (unsigned long)th_stat(c.h, NPP_IS_TCP_SEGS_OUT));
	th_free(c.h);
	return 0;
}
