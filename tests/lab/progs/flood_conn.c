/* SPDX-License-Identifier: GPL-2.0-or-later
 * flood_conn.c - attacks from within a connection: a client that does one thing wrong
 *
 * Connection i is from source i % sources, port PORT0 + i. The kernel does not have
 * these addresses, so it answers nothing; ARP for them is answered in flood.c.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lab/progs/flood.h"

#define PORT0 2000u
#define SYN_AGAIN_US 1000000u

enum { C_CLOSED = 0, C_SYN, C_OPEN, C_DONE };

struct flood_conn {
	uint8_t state;
	bool fin;			/* theirs was seen */
	uint8_t ws;
	uint32_t iss, irs, nxt;		/* nxt: ours */
	uint32_t rcv_nxt, rcv_max;	/* theirs, in order, and the highest seen */
	uint32_t wnd;			/* that they offer */
	uint32_t una;
	uint64_t syn_us, k;		/* k: packets made since it is open */
};

static uint16_t port_of(const struct flood *f, const struct flood_conn *c)
{
	return (uint16_t)(PORT0 + (uint32_t)(c - f->conn));
}

static void segment(struct flood *f, const struct flood_conn *c, struct flood_tcp t, const void *data, uint32_t len)
{
	union npp_addr src = flood_source(f, (uint64_t)(c - f->conn));

	t.sport = port_of(f, c);
	t.dport = f->port;
	flood_tcp(f, flood_next(f), &src, &t, data, len);
}

static void syn(struct flood *f, struct flood_conn *c, const struct flood_kind *k)
{
	uint8_t opt[] = { 2, 4, 5, 0xb4, 4, 2, 1, 1, 1, 3, 3, 7 };
	struct flood_tcp t = { .wnd = 65535, .flags = TCPF_SYN, .opt = opt, .opt_len = sizeof opt };

	if (k->behaviour == B_TINY || k->behaviour == B_SACK) {
		opt[2] = 0; /* the least that there is */
		opt[3] = 1;
	}
	if (c->state != C_SYN)
		c->iss = (uint32_t)flood_random(f);
	c->state = C_SYN;
	c->syn_us = f->now_us;
	t.seq = c->iss;
	segment(f, c, t, NULL, 0);
}

static void ack(struct flood *f, const struct flood_conn *c, uint16_t wnd)
{
	segment(f, c, (struct flood_tcp){ .seq = c->nxt, .ack = c->rcv_nxt, .wnd = wnd, .flags = TCPF_ACK }, NULL, 0);
}

static void request(struct flood *f, struct flood_conn *c, uint16_t wnd, bool close)
{
	char text[200];
	int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", f->path,
			 close ? "Connection: close\r\n" : "");

	segment(f, c, (struct flood_tcp){ .seq = c->nxt, .ack = c->rcv_nxt, .wnd = wnd, .flags = TCPF_ACK | TCPF_PSH },
		text, (uint32_t)n);
	c->nxt += (uint32_t)n;
}

/* The handshake is through. */
static void opened(struct flood *f, struct flood_conn *c, const struct flood_kind *k)
{
	c->state = C_OPEN;
	c->k = 0;
	c->fin = false;
	f->opened++;
	f->open++;
	switch (k->behaviour) {
	case B_ZERO:
		request(f, c, 0, false);
		break;
	case B_SACK:
	case B_TINY:
		request(f, c, 65535, false);
		break;
	case B_FIN2:
	case B_ORPHAN:
	case B_TW:
		request(f, c, 65535, true);
		break;
	case B_GAP: /* one byte, as far away as the window allows */
		ack(f, c, 65535);
		segment(f, c, (struct flood_tcp){ .seq = c->nxt + c->wnd - 1, .ack = c->rcv_nxt, .wnd = 65535,
						  .flags = TCPF_ACK | TCPF_PSH }, "x", 1);
		break;
	default:
		ack(f, c, 65535);
	}
}

/* ---- what goes on and on -------------------------------------------------------------------- */

/* Segments of one byte with a hole before each. */
static void more_ooo(struct flood *f, struct flood_conn *c)
{
	uint32_t room = c->wnd > 4 ? c->wnd - 2 : 2, at = (uint32_t)(2 * (c->k * 31) % room) | 1;

	segment(f, c, (struct flood_tcp){ .seq = c->nxt + at, .ack = c->rcv_nxt, .wnd = 65535, .flags = TCPF_ACK }, "x", 1);
}

/* Never the first byte, always some in the middle. */
static void more_sack(struct flood *f, struct flood_conn *c)
{
	uint32_t una = c->irs + 1, have = c->rcv_max - una;
	uint8_t opt[28] = { 1, 1, 5, 26 };

	if (have < 400)
		return;
	for (unsigned i = 0; i < 3; i++) {
		uint32_t a = htonl(una + 1 + (uint32_t)(flood_random(f) % (have / 2)) * 2), z = htonl(ntohl(a) + 1);

		memcpy(opt + 4 + 8 * i, &a, 4);
		memcpy(opt + 8 + 8 * i, &z, 4);
	}
	segment(f, c, (struct flood_tcp){ .seq = c->nxt, .ack = una, .wnd = 65535, .flags = TCPF_ACK, .opt = opt,
					  .opt_len = sizeof opt }, NULL, 0);
}

/* Acknowledgments of everything, of nothing, of the future; text out of the window. */
static void more_storm(struct flood *f, struct flood_conn *c)
{
	struct flood_tcp t = { .seq = c->nxt, .ack = c->rcv_nxt, .wnd = (uint16_t)(1000 + c->k % 2), .flags = TCPF_ACK };

	switch (c->k % 5) {
	case 1:
		t.ack += 100000;
		break;
	case 2:
		t.seq -= 1000;
		break;
	case 3:
		t.seq -= 1;
		break;
	case 4:
		t.seq += 10000000;
		break;
	default:
		break;
	}
	segment(f, c, t, "x", c->k % 5 == 3);
}

static void more(struct flood *f, struct flood_conn *c, const struct flood_kind *k)
{
	switch (k->behaviour) {
	case B_OOO:
		more_ooo(f, c);
		break;
	case B_SACK:
		more_sack(f, c);
		break;
	case B_STORM:
		more_storm(f, c);
		break;
	case B_TINY: /* the same again */
		if (c->k % 512 == 511)
			request(f, c, 65535, false);
		break;
	default:
		return;
	}
	c->k++;
}

int flood_conns_new(struct flood *f)
{
	f->conn = calloc(f->conns, sizeof *f->conn);
	return f->conn ? 0 : -1;
}

void flood_conns_run(struct flood *f, const struct flood_kind *k, uint32_t budget)
{
	static uint32_t next;

	for (uint32_t n = 0; n < budget; n++) {
		struct flood_conn *c = &f->conn[next++ % f->conns];

		if (c->state == C_CLOSED || (c->state == C_SYN && f->now_us - c->syn_us > SYN_AGAIN_US))
			syn(f, c, k);
		else if (c->state == C_OPEN)
			more(f, c, k);
	}
}

/* ---- what comes -------------------------------------------------------------------------------- */

static void ended(struct flood *f, struct flood_conn *c, uint8_t state)
{
	if (c->state == C_OPEN)
		f->open--;
	c->state = state;
}

static uint8_t scale_of(const struct tcp_hdr *t, uint32_t hlen)
{
	const uint8_t *o = (const uint8_t *)(t + 1), *end = (const uint8_t *)t + hlen;

	while (o < end && *o) {
		if (*o == 1) {
			o++;
			continue;
		}
		if (o + 2 > end || o[1] < 2)
			break;
		if (*o == 3 && o + 3 <= end)
			return o[2];
		o += o[1];
	}
	return 0;
}

static void text(struct flood *f, struct flood_conn *c, const struct flood_kind *k, uint32_t seq, uint32_t len, bool fin)
{
	if (seq == c->rcv_nxt) {
		c->rcv_nxt += len + (fin ? 1 : 0);
		c->fin |= fin;
	}
	if ((int32_t)(seq + len - c->rcv_max) > 0)
		c->rcv_max = seq + len;
	switch (k->behaviour) {
	case B_SACK:
	case B_ORPHAN:
		c->rcv_nxt = c->irs + 1;
		return;
	case B_ZERO:
		c->rcv_nxt = c->irs + 1;
		ack(f, c, 0);
		return;
	case B_TW:
		if (c->fin) {
			segment(f, c, (struct flood_tcp){ .seq = c->nxt, .ack = c->rcv_nxt, .wnd = 65535,
							  .flags = TCPF_ACK | TCPF_FIN }, NULL, 0);
			ended(f, c, C_CLOSED); /* and again, soon */
			return;
		}
		break;
	case B_FIN2:
		if (c->fin) {
			ack(f, c, 65535);
			ended(f, c, C_DONE);
			return;
		}
		break;
	default:
		break;
	}
	ack(f, c, 65535);
}

void flood_conns_input(struct flood *f, const struct flood_kind *k, const uint8_t *ip, uint32_t len)
{
	const struct ip4_hdr *h = (const struct ip4_hdr *)ip;
	uint32_t hlen = (h->vhl & 15u) * 4, total = ntohs(h->len), i, off;
	const struct tcp_hdr *t = (const struct tcp_hdr *)(ip + hlen);
	struct flood_conn *c;

	if (h->proto != 6 || total > len || hlen + TCP_HDR_MIN > total || ntohs(t->sport) != f->port)
		return;
	i = ntohs(t->dport) - PORT0;
	off = (t->off >> 4) * 4u;
	if (ntohs(t->dport) < PORT0 || i >= f->conns || hlen + off > total || off < TCP_HDR_MIN)
		return;
	c = &f->conn[i];
	if (t->flags & TCPF_RST) {
		f->lost += c->state == C_OPEN;
		ended(f, c, C_CLOSED);
	} else if (t->flags & TCPF_SYN) {
		if (c->state != C_SYN || ntohl(t->ack) != c->iss + 1)
			return;
		c->irs = ntohl(t->seq);
		c->rcv_nxt = c->rcv_max = c->irs + 1;
		c->nxt = c->iss + 1;
		c->ws = scale_of(t, off);
		c->wnd = ntohs(t->wnd);
		opened(f, c, k);
	} else if (c->state == C_OPEN) {
		if (total - hlen - off || t->flags & TCPF_FIN)
			text(f, c, k, ntohl(t->seq), total - hlen - off, t->flags & TCPF_FIN);
	} else if (c->state == C_DONE && t->flags & TCPF_FIN) {
		ack(f, c, 65535);
	}
}
