/* SPDX-License-Identifier: GPL-2.0-or-later
 * stack_lwip.c - lwIP on the bench, by its raw interface
 *
 * Debian builds it with an operating system underneath: its core lock is held all the time, so
 * that its own thread does nothing, and frames go straight into ethernet_input(). It checks and
 * makes checksums in software; its timers do not run. Received frames are PBUF_RAM: the elements
 * of its PBUF_POOL are smaller than it thinks (2.1.3, seen by valgrind).
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lwip/etharp.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <netif/ethernet.h>

#include "bench/stack_bench.h"

static const struct bench_calls *calls;
static struct netif nif;
static struct tcp_pcb **conn;
static struct tcp_pcb *listener;
static uint32_t max;
static const struct bench_app *app_now;
static char reply[1 << 16];
static volatile bool started;

static void init_done(void *arg)
{
	(void)arg;
	started = true;
}

static err_t link_output(struct netif *n, struct pbuf *p)
{
	const uint8_t *b = p->payload;

	(void)n;
	if (p->len >= 54 && b[12] == 8 && b[13] == 0 && b[14 + 9] == 6) {
		uint8_t hdr[60] = { 0 };
		uint32_t head = 20 + (b[14 + 20 + 12] >> 4) * 4u;

		memcpy(hdr, b + 14, p->len - 14 < 60 ? p->len - 14u : 60u);
		calls->sent(hdr, ((uint32_t)b[16] << 8 | b[17]) - head);
	}
	return ERR_OK;
}

static err_t nif_init(struct netif *n)
{
	n->name[0] = 'b';
	n->output = etharp_output;
	n->linkoutput = link_output;
	n->mtu = 1500;
	n->hwaddr_len = 6;
	memcpy(n->hwaddr, calls->mac, 6);
	n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_UP | NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)err;
	if (!p) {
		tcp_arg(pcb, NULL);
		conn[(uintptr_t)arg] = NULL;
		return tcp_close(pcb);
	}
	tcp_recved(pcb, p->tot_len);
	pbuf_free(p);
	if (app_now->reply) {
		tcp_write(pcb, reply, (u16_t)app_now->reply, TCP_WRITE_FLAG_COPY);
		if (!app_now->close)
			tcp_output(pcb);
	}
	if (app_now->close) {
		tcp_arg(pcb, NULL);
		tcp_recv(pcb, NULL);
		conn[(uintptr_t)arg] = NULL;
		return tcp_close(pcb);
	}
	return ERR_OK;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	uint32_t id = calls->id(lwip_ntohl(ip4_addr_get_u32(ip_2_ip4(&pcb->remote_ip))), pcb->remote_port);

	(void)arg;
	(void)err;
	if (id >= max)
		return ERR_MEM;
	conn[id] = pcb;
	tcp_nagle_disable(pcb);
	tcp_arg(pcb, (void *)(uintptr_t)id);
	tcp_recv(pcb, on_recv);
	return ERR_OK;
}

static int lwip_bench_open(const struct bench_calls *c, uint32_t max_conns)
{
	ip4_addr_t ip, mask, gw;
	struct tcp_pcb *l;

	calls = c;
	if (!started) {
		tcpip_init(init_done, NULL);
		while (!started)
			;
		LOCK_TCPIP_CORE();
		ip4_addr_set_u32(&ip, lwip_htonl(BENCH_US));
		ip4_addr_set_u32(&mask, lwip_htonl(0xffffff00u));
		ip4_addr_set_u32(&gw, lwip_htonl(BENCH_GW));
		netif_add(&nif, &ip, &mask, &gw, NULL, nif_init, ethernet_input);
		netif_set_default(&nif);
		netif_set_up(&nif);
	}
	max = max_conns;
	conn = calloc(max, sizeof(struct tcp_pcb *));
	l = tcp_new();
	if (l)
		ip_set_option(l, SOF_REUSEADDR);
	if (!conn || !l || tcp_bind(l, IP_ANY_TYPE, BENCH_PORT) != ERR_OK)
		return -ENOMEM;
	listener = tcp_listen(l);
	tcp_accept(listener, on_accept);
	return 0;
}

/* A SYN does not reopen a connection in TIME_WAIT, and all of them are walked for each segment. */
static void lwip_bench_round(void)
{
	while (tcp_tw_pcbs)
		tcp_abort(tcp_tw_pcbs);
}

static void lwip_bench_close(void)
{
	for (uint32_t i = 0; i < max; i++)
		if (conn[i])
			tcp_abort(conn[i]);
	lwip_bench_round();
	free(conn);
	tcp_close(listener);
}

static void lwip_bench_tick(uint32_t us)
{
	(void)us;
}

static void lwip_bench_input(const struct bench_frame *f, unsigned n, const struct bench_app *app)
{
	app_now = app;
	for (unsigned i = 0; i < n; i++) {
		struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)f[i].len, PBUF_RAM);

		if (!p)
			continue;
		pbuf_take(p, f[i].data, (u16_t)f[i].len);
		if (nif.input(p, &nif) != ERR_OK)
			pbuf_free(p);
	}
}

static void lwip_bench_write(uint32_t id, uint32_t bytes)
{
	if (!conn[id])
		return;
	tcp_write(conn[id], reply, (u16_t)bytes, TCP_WRITE_FLAG_COPY);
	tcp_output(conn[id]);
}

static size_t lwip_bench_bytes(uint32_t conns)
{
	return conns * sizeof(struct tcp_pcb);
}

const struct bench_lib bench_lwip = {
	.name = "lwip", .open = lwip_bench_open, .close = lwip_bench_close, .round = lwip_bench_round,
	.tick = lwip_bench_tick,
	.input = lwip_bench_input, .write = lwip_bench_write, .bytes = lwip_bench_bytes,
};
