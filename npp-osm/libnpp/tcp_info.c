/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_info.c - TCP_INFO and what else is told of a connection, from what its ISM writes
 */
#include "config.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "npp-osm/libnpp/opts_priv.h"

const volatile struct npp_tcp_brief *brief_of(const struct so *so)
{
	static const struct npp_tcp_brief none;

	return so->sk->type == NPP_SOCK_LISTENER ? &none : &so->sk->brief;
}

static const uint8_t linux_state[TCP_ST_COUNT] = {
	[TCP_ST_CLOSED] = 7, [TCP_ST_LISTEN] = 10, [TCP_ST_SYN_SENT] = 2, [TCP_ST_SYN_RECEIVED] = 3,
	[TCP_ST_ESTABLISHED] = 1, [TCP_ST_FIN_WAIT_1] = 4, [TCP_ST_FIN_WAIT_2] = 5, [TCP_ST_CLOSE_WAIT] = 8,
	[TCP_ST_CLOSING] = 11, [TCP_ST_LAST_ACK] = 9, [TCP_ST_TIME_WAIT] = 6,
};

/* The brief may be older than the last ACK. */
uint32_t tcp_not_sent(const struct so *so)
{
	uint32_t written = atomic_load_explicit(&so->sk->tx_head, memory_order_relaxed) -
			   atomic_load_explicit(&so->sk->tx_tail, memory_order_acquire);
	uint32_t flight = brief_of(so)->unacked;

	if (stream_over(so))
		return 0; /* nor will they ever be */
	if (atomic_load_explicit(&so->sk->notsent_lowat, memory_order_relaxed))
		return stream_unsent(so->sk);
	return written > flight ? written - flight : 0;
}

/* As Linux: of a listener those that wait to be accepted, and how many there may be. */
static void fill_listener_info(const struct so *so, int fd, struct tcp_info *ti)
{
	struct tcp_info kernel = { .tcpi_unacked = 0 };
	socklen_t n = sizeof kernel;
	uint32_t backlog;

	memset(ti, 0, sizeof *ti);
	ti->tcpi_state = linux_state[TCP_ST_LISTEN];
	ti->tcpi_unacked = accept_queue(so, &backlog);
	ti->tcpi_sacked = backlog;
	ti->tcpi_max_pacing_rate = UINT64_MAX;
	if (so->kpart && R->getsockopt(fd, IPPROTO_TCP, TCP_INFO, &kernel, &n) == 0)
		ti->tcpi_unacked += kernel.tcpi_unacked;
}

static void fill_tcp_info(const struct so *so, struct tcp_info *ti)
{
	const volatile struct npp_tcp_brief *b = brief_of(so);
	uint32_t st = atomic_load_explicit(&so->sk->tcp_state, memory_order_relaxed);
	uint32_t now = (uint32_t)(lib_now_us() / 1000), tail = atomic_load_explicit(&so->sk->tx_tail, memory_order_acquire);
	uint32_t written = atomic_load_explicit(&so->sk->tx_head, memory_order_relaxed) - tail;
	/* The brief may be older than the last ACK. */
	uint32_t unacked = b->unacked, flight = unacked < written ? unacked : written;
	uint32_t pace = atomic_load_explicit(&so->sk->max_pace, memory_order_relaxed);
	uint32_t mss = b->snd_mss, cwnd = b->cwnd, ssthresh = b->ssthresh; /* once: its ISM may clear them meanwhile */

	memset(ti, 0, sizeof *ti);
	ti->tcpi_state = st < TCP_ST_COUNT ? linux_state[st] : 7;
	ti->tcpi_ca_state = (uint8_t)b->ca_state;
	ti->tcpi_options = (uint8_t)b->options;
	ti->tcpi_rto = b->rto_us;
	ti->tcpi_rtt = b->rtt_us;
	ti->tcpi_rttvar = b->rttvar_us;
	ti->tcpi_snd_mss = mss;
	ti->tcpi_rcv_mss = b->rcv_mss;
	ti->tcpi_advmss = b->adv_mss;
	ti->tcpi_snd_cwnd = mss && cwnd >= mss ? cwnd / mss : cwnd;
	ti->tcpi_snd_ssthresh = mss && ssthresh < 1u << 30 ? ssthresh / mss : INT32_MAX;
	ti->tcpi_rcv_space = b->rcv_wnd;
	ti->tcpi_total_retrans = b->retrans;
	ti->tcpi_lost = b->lost;
	ti->tcpi_unacked = mss ? (flight + mss - 1) / mss : 0;
	ti->tcpi_notsent_bytes = tcp_not_sent(so);
	ti->tcpi_retransmits = b->tries;
	ti->tcpi_probes = b->probes;
	ti->tcpi_backoff = b->backoff;
	ti->tcpi_snd_wscale = b->scales & 15;
	ti->tcpi_rcv_wscale = b->scales >> 4;
	ti->tcpi_rcv_ssthresh = b->rcv_wnd;
	ti->tcpi_max_pacing_rate = pace ? pace : UINT64_MAX;
	ti->tcpi_pmtu = b->pmtu;
	if (mss) { /* else the ISM has told nothing yet */
		ti->tcpi_last_data_recv = ti->tcpi_last_ack_recv = now - b->last_rx_ms;
		ti->tcpi_last_data_sent = now - b->last_tx_ms;
	}
	ti->tcpi_snd_wnd = b->snd_wnd;
	ti->tcpi_min_rtt = b->min_rtt_us;
	ti->tcpi_sacked = b->sacked;
	ti->tcpi_retrans = b->retrans_out;
	ti->tcpi_delivered = b->delivered;
	ti->tcpi_delivered_ce = b->delivered_ce;
	ti->tcpi_dsack_dups = b->dsack_dups;
	ti->tcpi_bytes_retrans = b->bytes_retrans;
	ti->tcpi_reordering = b->reordering ? b->reordering : 3;
	ti->tcpi_reord_seen = b->reordering != 0;
	ti->tcpi_bytes_sent = (uint64_t)tail + flight + b->bytes_retrans;
	ti->tcpi_bytes_acked = tail;
	ti->tcpi_bytes_received = atomic_load_explicit(&so->sk->rx_head, memory_order_relaxed);
}

void tcp_info_fill(const struct so *so, int fd, struct tcp_info *ti)
{
	if (so->sk->type == NPP_SOCK_LISTENER)
		fill_listener_info(so, fd, ti);
	else
		fill_tcp_info(so, ti);
}
