/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_topo.c - any bytes as a topology file, with an override
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/topo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	char path[32], set[64] = "";
	char *sets[] = { set };
	struct topo t;
	size_t n = 0;
	unsigned i;

	if (fd < 0)
		fd = memfd_create("topo", MFD_CLOEXEC);
	/* The first line, if it begins with '=', is an override. */
	if (size > 1 && data[0] == '=') {
		while (n + 1 < size && n + 1 < sizeof set && data[n + 1] != '\n' && data[n + 1])
			n++;
		memcpy(set, data + 1, n);
		n++;
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data + n, size - n, 0) != (ssize_t)(size - n))
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (topo_load(&t, path, NULL, sets, set[0] != '\0') == 0)
		for (i = 0; i < t.n_nodes; i++)
			if (t.nodes[i].n_ifs == 0 && t.nodes[i].n_npps == 0)
				abort();
	for (i = 0; i < topo_errors(&t); i++)
		if (!strchr(topo_error(&t, i), ':'))
			abort();
	topo_free(&t);
	return 0;
}
