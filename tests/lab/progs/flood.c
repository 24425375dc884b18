/* SPDX-License-Identifier: GPL-2.0-or-later
 * flood.c - an attacker: frames by hand at a bounded rate, number and time
 *
 * usage: flood -i INTERFACE -m MAC -t TARGET [-p PORT] [-s SOURCE] [-k SOURCES] [-a] [-c CONNECTIONS]
 *              [-r PER_SECOND] [-n COUNT] [-d SECONDS] [-v ADDRESS -V PORT] [-u PATH] KIND
 *
 * Kinds without a connection: syn ack blind echo unreach toobig frag overlap arp nd; from within
 * connections (IPv4): idle gap ooo sack zero tinymss fin2 orphan storm tw.
 * Sources are SOURCE and the SOURCES - 1 addresses after it; ARP for them is answered with -a, and
 * by the kinds that need it. At the end it prints what it did as JSON.
 */
#include "config.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "tests/lab/progs/flood.h"

#define RATE_MAX 10000000u

static uint64_t clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the link --------------------------------------------------------------------------- */

static void link_open(struct flood *f, const char *name)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq ifr = { 0 };
	int one = 1, room = 4 << 20;

	f->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	if (f->fd < 0)
		die("socket");
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
	if (ioctl(f->fd, SIOCGIFHWADDR, &ifr) < 0)
		die(name);
	memcpy(f->mac, ifr.ifr_hwaddr.sa_data, 6);
	f->ifindex = ll.sll_ifindex = (int)if_nametoindex(name);
	setsockopt(f->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
	setsockopt(f->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	setsockopt(f->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
	if (bind(f->fd, (struct sockaddr *)&ll, sizeof ll) < 0)
		die("bind");
}

struct flood_pkt *flood_next(struct flood *f)
{
	if (f->n_batch == FLOOD_BATCH)
		flood_flush(f);
	return &f->batch[f->n_batch++];
}

void flood_flush(struct flood *f)
{
	struct mmsghdr m[FLOOD_BATCH];
	struct iovec iov[FLOOD_BATCH];

	memset(m, 0, sizeof m);
	for (uint32_t i = 0; i < f->n_batch; i++) {
		iov[i] = (struct iovec){ f->batch[i].b, f->batch[i].len < 60 ? 60 : f->batch[i].len };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	for (uint32_t at = 0; at < f->n_batch;) {
		int n = sendmmsg(f->fd, m + at, f->n_batch - at, 0);

		if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			die("sendmmsg");
		if (n < 0) {
			at++; /* what the link does not take is lost */
			continue;
		}
		f->sent += (uint32_t)n;
		at += (uint32_t)n;
	}
	f->n_batch = 0;
}

static bool ours(const struct flood *f, const uint8_t *addr4)
{
	uint32_t a, first;

	memcpy(&a, addr4, 4);
	memcpy(&first, f->src.b + 12, 4);
	return ntohl(a) - ntohl(first) < f->sources;
}

static void arp_in(struct flood *f, const uint8_t *b, uint32_t len)
{
	const struct arp_hdr *a = (const struct arp_hdr *)(b + ETH_HDR_LEN);
	union npp_addr us, them;
	uint32_t be;

	if (!f->answer_arp || len < ETH_HDR_LEN + sizeof *a || a->op != htons(1) || !ours(f, a->tpa))
		return;
	memcpy(&be, a->tpa, 4);
	us = npp_addr_v4(be);
	memcpy(&be, a->spa, 4);
	them = npp_addr_v4(be);
	flood_arp(f, flood_next(f), 2, a->sha, &us, a->sha, &them);
}

/* Everything that has come, up to a bound. */
static void hear(struct flood *f, const struct flood_kind *k)
{
	static uint8_t b[65600];

	for (unsigned i = 0; i < 256; i++) {
		ssize_t n = recv(f->fd, b, sizeof b, 0);

		if (n < ETH_HDR_LEN + IP4_HDR_MIN)
			return;
		if (b[12] == 0x08 && b[13] == 0x06) {
			arp_in(f, b, (uint32_t)n);
		} else if (b[12] == 0x08 && b[13] == 0 && ours(f, b + ETH_HDR_LEN + 16)) {
			f->heard++;
			if (k->connected)
				flood_conns_input(f, k, b + ETH_HDR_LEN, (uint32_t)n - ETH_HDR_LEN);
		} else if (b[12] == 0x86) {
			f->heard++;
		}
	}
}

/* ---- main ---------------------------------------------------------------------------------- */

/* An attack from within connections is not over before most of them were made, though that takes its time
 * where others want the cores: ten times as long at most. */
static bool is_over(const struct flood *f, const struct flood_kind *k, uint64_t start)
{
	uint64_t us = (uint64_t)(f->seconds * 1e6), ran = f->now_us - start;

	return ran >= us && (!k->connected || f->opened * 10 >= f->conns * 9ull || ran >= 10 * us);
}

static void run(struct flood *f, const struct flood_kind *k)
{
	uint64_t start = clock_us(), made = 0;

	for (f->now_us = start; !is_over(f, k, start) && made < f->max; f->now_us = clock_us()) {
		uint64_t due = (f->now_us - start) * f->rate / 1000000 + 1, n = due > made ? due - made : 0;

		n = n > FLOOD_BATCH ? FLOOD_BATCH : n;
		if (due > made + f->rate / 10 + FLOOD_BATCH)
			made = due - FLOOD_BATCH; /* it was held up: no bursts to make up for it */
		if (k->connected)
			flood_conns_run(f, k, (uint32_t)n);
		else
			for (uint64_t i = 0; i < n; i++)
				k->make(f, made + i, flood_next(f));
		made += n;
		flood_flush(f);
		hear(f, k);
		flood_flush(f);
		if (n < FLOOD_BATCH)
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
	printf("{\"kind\": \"%s\", \"packets\": %llu, \"seconds\": %.3f, \"pps\": %.0f, \"answers\": %llu, "
	       "\"opened\": %llu, \"open\": %llu, \"reset\": %llu}\n", k->name, (unsigned long long)f->sent,
	       (double)(f->now_us - start) / 1e6, (double)f->sent * 1e6 / (double)(f->now_us - start + 1),
	       (unsigned long long)f->heard, (unsigned long long)f->opened, (unsigned long long)f->open,
	       (unsigned long long)f->lost);
}

static void address(union npp_addr *a, const char *text)
{
	if (npp_addr_parse(text, a) != 0) {
		errno = EINVAL;
		die(text);
	}
}

static void mac_parse(uint8_t *mac, const char *text)
{
	unsigned v[6];

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) != 6) {
		errno = EINVAL;
		die(text);
	}
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)v[i];
}

static void option(struct flood *f, int opt, const char *arg)
{
	switch (opt) {
	case 'i': link_open(f, arg); break;
	case 'm': mac_parse(f->target_mac, arg); break;
	case 't': address(&f->target, arg); break;
	case 's': address(&f->src, arg); break;
	case 'v': address(&f->victim, arg); break;
	case 'p': f->port = (uint16_t)strtoul(arg, NULL, 0); break;
	case 'V': f->victim_port = (uint16_t)strtoul(arg, NULL, 0); break;
	case 'k': f->sources = (uint32_t)strtoul(arg, NULL, 0); break;
	case 'c': f->conns = (uint32_t)strtoul(arg, NULL, 0); break;
	case 'r': f->rate = (uint32_t)strtoul(arg, NULL, 0); break;
	case 'n': f->max = strtoull(arg, NULL, 0); break;
	case 'd': f->seconds = strtod(arg, NULL); break;
	case 'u': f->path = arg; break;
	case 'a': f->answer_arp = true; break;
	default:
		fprintf(stderr, "flood: see the head of flood.c\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct flood f = { .fd = -1, .sources = 1, .conns = 1, .rate = 10000, .seconds = 1, .port = 80,
				  .path = "/", .max = UINT64_MAX, .rnd = 0x9e3779b97f4a7c15ull };
	const struct flood_kind *k;
	int opt;

	while ((opt = getopt(argc, argv, "i:m:t:s:v:p:V:k:c:r:n:d:u:a")) != -1)
		option(&f, opt, optarg);
	k = optind + 1 == argc ? flood_kind(argv[optind]) : NULL;
	if (!k || f.fd < 0 || !f.sources || !f.conns || f.conns > 60000 || !f.rate || f.rate > RATE_MAX)
		option(&f, '?', NULL);
	if (k->connected && (flood_conns_new(&f) < 0 || !npp_addr_is_v4(&f.target)))
		die("connections");
	f.answer_arp |= k->connected;
	run(&f, k);
	close(f.fd);
	return 0;
}
