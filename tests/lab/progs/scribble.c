/* SPDX-License-Identifier: GPL-2.0-or-later
 * scribble.c - a program of a hostile host: garbage into every shared word that it can reach
 *
 * usage: scribble SECONDS [SEED [PORT]]
 *
 * Opens a listener and a datagram socket, so that the library maps what it maps, says
 * "mapped N bytes" and then changes words of all writable shared mappings: host memory and
 * inbound regions. It uses no socket any more; a crash of its own is nobody's business.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REGIONS 64

static struct region { unsigned char *at; size_t len; } region[REGIONS];
static unsigned n_regions;
static uint64_t state;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void open_socket(int type, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, type, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0)) {
		perror("scribble: socket");
		exit(1);
	}
}

static size_t find_regions(void)
{
	FILE *in = fopen("/proc/self/maps", "r");
	char line[512];
	size_t sum = 0;

	while (in && fgets(line, sizeof line, in) && n_regions < REGIONS) {
		uintptr_t a, z;
		char perm[5];

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &a, &z, perm) != 3 || strcmp(perm, "rw-s") != 0)
			continue;
		region[n_regions++] = (struct region){ (unsigned char *)a, z - a };
		sum += z - a;
	}
	if (in)
		fclose(in);
	return sum;
}

/* Where something is likely: regions begin with their tables; pages that are in use. */
static uint32_t *some_word(void)
{
	struct region *r = &region[rnd() % n_regions];
	size_t reach = r->len;

	if (rnd() % 4)
		reach = reach < (1u << 21) ? reach : 1u << 21;
	if (rnd() % 4 == 0)
		reach = reach < 65536 ? reach : 65536;
	return (uint32_t *)(void *)(r->at + (rnd() % reach & ~(size_t)3));
}

static void scribble(void)
{
	volatile uint32_t *w = some_word();
	uint32_t v = *w;

	switch (rnd() % 8) {
	case 0: v = 0; break;
	case 1: v = 0xffffffff; break;
	case 2: v = 1u << rnd() % 32; break;
	case 3: v ^= 1u << rnd() % 32; break;
	case 4: v += (uint32_t)(rnd() % 65) - 32; break;
	case 5: v = *some_word(); break;
	case 6: v = (uint32_t)rnd() % 4096; break;
	default: v = (uint32_t)rnd(); break;
	}
	*w = v;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
	struct timespec start, now;
	int port = argc > 3 ? atoi(argv[3]) : 7100;
	unsigned long n = 0;
	size_t sum;

	state = (argc > 2 ? strtoull(argv[2], NULL, 0) : 1) * 0x9e3779b97f4a7c15ull + 1;
	open_socket(SOCK_STREAM, port);
	open_socket(SOCK_DGRAM, port + 1);
	sum = find_regions();
	printf("mapped %zu bytes in %u regions\n", sum, n_regions);
	fflush(stdout);
	if (!n_regions)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (unsigned i = 0; i < 1000; i++, n++)
			scribble();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
	printf("changed %lu words\n", n);
	fflush(stdout);
	_exit(0);
}
