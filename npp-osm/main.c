/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - npp-osm: the daemon of a host, started by nppd with its control socket as fd 3
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "npp-osm/daemon/osm.h"

/* Doorbells, a pidfd and a connection per program, descriptors of every IOP. */
static void raise_nofile(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int usage(const char *arg)
{
	bool help = strcmp(arg, "--help") == 0;

	if (strcmp(arg, "--version") == 0) {
		puts("npp-osm " PACKAGE_VERSION);
		return 0;
	}
	fputs("usage: npp-osm [--help | --version]\n"
	      "It is started by nppd, with a control socket as descriptor 3.\n", help ? stdout : stderr);
	return help ? 0 : 2;
}

int main(int argc, char **argv)
{
	struct npp_osm_config cfg = { .ctl = NPP_CTL_FD, .start_timeout_ms = 10000, .signals = true };
	struct npp_osm *o;
	struct npp_err e = { "" };
	struct stat st;
	sigset_t set;
	int r;

	if (argc > 1)
		return usage(argv[1]);
	npp_log_init("npp-osm", 0);
	if (fstat(NPP_CTL_FD, &st) < 0 || !S_ISSOCK(st.st_mode))
		npp_fatalx("no control socket on descriptor %d: npp-osm is started by nppd", NPP_CTL_FD);
	raise_nofile();
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (npp_osm_create(&o, &cfg, &e))
		npp_fatalx("%s", e.text);
	npp_log_init("npp-osm", npp_osm_verbose(o));
	do
		r = npp_osm_step(o, 1000);
	while (r == 1);
	npp_osm_destroy(o);
	if (r < 0) {
		errno = -r;
		npp_fatal("event loop");
	}
	return 0;
}
