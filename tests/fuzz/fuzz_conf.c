/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_conf.c - any bytes as nppd.conf(5) or as npp-scenario(5)
 *
 * Input: one byte that says which, then the file. What must hold: it is read or refused, and
 * whoever refuses says where; what is read keeps the bounds that the rest relies on.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/run/run.h"
#include "nppd/settings.h"
#include "tests/fuzz/replay.h"

static void settings(const char *path)
{
	struct settings s;
	int err = settings_load(&s, path, "/run/npp");

	if (err == 0 && s.is_host) {
		MUST(s.host.name && s.host.name[0] && s.host.n_npps <= NPP_MAX_ATTACH);
	} else if (err == 0) {
		MUST(s.npp.name && s.npp.name[0] && s.npp.iops >= 1 && s.npp.iops <= NPP_MAX_IOPS);
		MUST(npp_hash_prog_check(&s.npp.prog, s.npp.iops, NULL) == 0);
	}
	settings_free(&s);
}

static void scenario(const char *path)
{
	struct scenario s;

	(void)scenario_load(&s, path);
	scenario_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	char path[32];

	if (size < 1)
		return 0;
	if (fd < 0)
		fd = memfd_create("conf", MFD_CLOEXEC);
	MUST(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data + 1, size - 1, 0) == (ssize_t)(size - 1));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (data[0] % 2)
		scenario(path);
	else
		settings(path);
	return 0;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	static const char *const text[] = {
		"@npp:\n  name: a\n  iops: 4\n  port: {mtu: 1500, mac: \"02:00:00:00:00:01\"}\n"
		"  addresses: [10.0.0.1/24, \"fd00::1/64\"]\n  gateway: 10.0.0.254\n  routes:\n"
		"    - {to: 10.9.0.0/16, via: 10.0.0.9, mtu: 1400}\n  dispatch:\n    algorithm: toeplitz\n"
		"    mask: [src-addr, src-port]\n  memory: {connections: 1000, rx_ring: 2M}\n",
		"@host:\n  name: web\n  npps: [a, b]\n  memory: 64M\n  sockets: 1000\n",
		"Aname: s\ntopology: /dev/null\nset: ['nodes.a.iops=2']\ntimeline:\n"
		"  - {at: 0s, load: c1, node: client1, target: 'http://web1/', connections: 32, rate: 200, for: 8s}\n"
		"  - {at: 2s, impair: isp1r.internet, with: {loss: 2%, delay: 40ms}}\n  - {at: 5s, fault: 'kill ism.0'}\n"
		"expect:\n  - {client: c1, errors: 0, p50_ms: '<= 20', during: [500ms, 2s]}\n",
	};
	size_t n;

	if (i >= sizeof text / sizeof text[0] || (n = strlen(text[i])) > cap)
		return 0;
	memcpy(buf, text[i], n);
	return n;
}
