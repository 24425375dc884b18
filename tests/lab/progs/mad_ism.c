/* SPDX-License-Identifier: GPL-2.0-or-later
 * mad_ism.c - an ISM gone mad: garbage into what it may write in the memory of a host
 *
 * usage: mad_ism PID SLOT[-SLOT] SECONDS [SEED]
 *
 * PID is the nppd of the host, which keeps the host's memory; that is opened anew by /proc, so only
 * root can do this. Written are the fields that shm/abi.h gives to the ISMs of these slots: of the
 * records of their sessions and of records lent to them, of accept lanes, datagram lanes,
 * lanes of messages, and locks in an ISM's name. Says "mapped", and in the end how much it has written.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shm/abi.h"

static uint8_t *base;
static uint64_t size, state;
static unsigned long written;
static unsigned first, last;	/* slots */

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static bool mine(unsigned slot) { return slot >= first && slot <= last; }

/* A word that hurts. */
static void word(void *at)
{
	volatile uint32_t *w = at;
	uint32_t v = *w;

	switch (rnd() % 9) {
	case 0: v = 0; break;
	case 1: v = 0xffffffff; break;
	case 2: v = 1u << rnd() % 32; break;
	case 3: v ^= 1u << rnd() % 32; break;
	case 4: v += (uint32_t)(rnd() % 65) - 32; break;
	case 5: v |= 1; break;
	case 6: v = (uint32_t)rnd() % 4096; break;
	case 7: v = (uint32_t)(size - rnd() % 8192); break;
	default: v = (uint32_t)rnd(); break;
	}
	*w = v;
	written++;
}

/* Some words of the LEN bytes at AT, if they lie in the region. */
static void words(void *at, size_t len, unsigned n)
{
	uint8_t *p = at;

	if (p < base || p + len > base + size)
		return;
	while (n--)
		word(p + (rnd() % len & ~(size_t)3));
}

static void *at64(uint32_t off64, uint64_t len)
{
	uint64_t off = (uint64_t)off64 * 64;

	return off64 && off + len <= size ? base + off : NULL;
}

static void lock_word(npp_lock_t *l, unsigned slot)
{
	if (rnd() % 16 == 0)
		atomic_store(l, 0x8000 + slot % NPP_MAX_IOPS + 1);
}

static void stream(struct npp_sock *s)
{
	words(&s->rx_head, offsetof(struct npp_sock, rx_tail) - offsetof(struct npp_sock, rx_head), 4);
	words(&s->pend_out, 4, 1);
	words(&s->brief, sizeof s->brief, 2);
	lock_word(rnd() % 2 ? &s->rx_lock : &s->tx_lock, s->slot);
	if (rnd() % 8 == 0)
		words(&s->ism_handle, 4, 1);
}

static void listener(struct npp_sock *s)
{
	struct npp_listener *l = at64(s->ext_off64, sizeof *l);

	words(&s->pend_out, 4, 1);
	for (unsigned n = first; l && n <= last; n++) {
		struct npp_accept_lane *lane = at64(atomic_load(&l->lane_off64[n]), sizeof *lane);

		if (!lane)
			continue;
		words(&lane->head, 4, 1);
		words(lane->entry, 8 * ((lane->mask & 4095) + 1), 2);
		if (rnd() % 2) /* names that exist */
			lane->entry[rnd() % ((lane->mask & 4095) + 1)] =
				NPP_ACCEPT_ENTRY(1 + rnd() % 4000, rnd() % 4, NPP_ACCEPT_READY);
	}
}

static void datagrams(struct npp_sock *s)
{
	struct npp_udp *u = at64(s->ext_off64, sizeof *u);

	words(&s->pend_out, 4, 1);
	for (unsigned n = first; u && n <= last; n++) {
		words(&u->lane[n].rx_head, 64, 2);
		words(&u->out[n / NPP_MAX_IOPS].ring, 32, 1);
	}
	if (mine(s->slot)) {
		words(&s->tx_tail, 4, 1);
		words(&s->tx_ring, sizeof s->tx_ring, 1);
	}
}

static void records(const struct npp_host *h)
{
	struct npp_sock *sock = (struct npp_sock *)(base + h->sock_off);

	for (uint32_t i = 1; i < h->sock_count; i++) {
		uint32_t owner = atomic_load(&sock[i].owner);

		if (owner == 0)
			continue;
		if (sock[i].type == NPP_SOCK_LISTENER)
			listener(&sock[i]);
		else if (sock[i].type == NPP_SOCK_DGRAM)
			datagrams(&sock[i]);
		else if (mine(sock[i].slot))
			stream(&sock[i]);
	}
}

static void contexts(const struct npp_host *h)
{
	struct npp_ctx *ctx = (struct npp_ctx *)(base + h->ctx_off);

	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		for (unsigned n = first; n <= last; n++) {
			struct npp_i2oq *q = at64(ctx[c].lane_off64[n], sizeof *q);

			if (!q)
				continue;
			words(&q->post_head, 12, rnd() % 4 == 0);
			words(q->post, sizeof q->post, 1);
			words(q->frame, sizeof q->frame, 4);
			if (rnd() % 4) /* one that will be looked at */
				atomic_store(&q->post_head, atomic_load(&q->post_tail) + (uint32_t)rnd() % 8);
		}
}

static bool map_host(const char *pid)
{
	char path[300];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		struct npp_region_hdr hdr;
		struct stat st;
		int fd;

		snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, d->d_name);
		if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
			continue;
		if (pread(fd, &hdr, sizeof hdr, 0) == sizeof hdr && hdr.magic == NPP_REGION_MAGIC && hdr.kind == NPP_REGION_HOST) {
			size = hdr.size;
			base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		}
		close(fd);
	}
	if (dir)
		closedir(dir);
	return base && base != MAP_FAILED;
}

int main(int argc, char **argv)
{
	struct timespec start, now, nap = { 0, 1000000 };
	struct npp_host h;
	double seconds;

	if (argc < 4 || sscanf(argv[2], "%u-%u", &first, &last) < 1)
		return 2;
	last = last < first ? first : last;
	seconds = strtod(argv[3], NULL);
	state = (argc > 4 ? strtoull(argv[4], NULL, 0) : 1) * 0x9e3779b97f4a7c15ull + 1;
	if (!map_host(argv[1]) || last >= NPP_MAX_SLOTS) {
		fprintf(stderr, "mad_ism: no host memory at process %s\n", argv[1]);
		return 1;
	}
	memcpy(&h, base, sizeof h);
	printf("mapped %llu bytes\n", (unsigned long long)size);
	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		records(&h);
		contexts(&h);
		nanosleep(&nap, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
	printf("changed %lu words\n", written);
	return 0;
}
