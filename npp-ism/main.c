/* SPDX-License-Identifier: GPL-2.0-or-later
 * main.c - npp-ism: one IOP of a network protocol processor
 *
 * Started by nppd with a control socket as descriptor 3, over which come its regions,
 * rings, doorbells and its queue of the port. Everything it does is in netkernel/, stack/
 * and socket/.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cores.h"
#include "lib/log.h"
#include "npp-ism/socket/ism.h"

static struct ism *faulting; /* for the handler alone */

static void on_bus_error(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	if (ism_host_fault(faulting, si->si_addr))
		return; /* the instruction is tried again */
	signal(sig, SIG_DFL);
	raise(sig);
}

static void survive_torn_memory(struct ism *I)
{
	struct sigaction sa = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };

	faulting = I;
	if (sigaction(SIGBUS, &sa, NULL) < 0)
		npp_fatal("sigaction");
}

static int usage(const char *arg)
{
	bool help = strcmp(arg, "--help") == 0;

	if (strcmp(arg, "--version") == 0) {
		puts("npp-ism " PACKAGE_VERSION);
		return 0;
	}
	fprintf(help ? stdout : stderr,
		"usage: npp-ism [--help | --version]\n"
		"It is started by nppd, with a control socket as descriptor %d.\n", NPP_CTL_FD);
	return help ? 0 : 2;
}

int main(int argc, char **argv)
{
	struct stat st;
	struct ism *I;
	int err;

	if (argc > 1)
		return usage(argv[1]);
	npp_log_init("npp-ism", 0);
	if (fstat(NPP_CTL_FD, &st) < 0 || !S_ISSOCK(st.st_mode))
		npp_fatalx("no control socket on descriptor %d: npp-ism is started by nppd", NPP_CTL_FD);
	I = ism_new();
	if (!I)
		npp_fatalx("no memory");
	err = ism_control_start(I, NPP_CTL_FD);
	if (err < 0)
		npp_fatalx("start message: %s", strerror(-err));
	if (I->verbose)
		npp_log_init("npp-ism", 1);
	npp_cores_pin(I->start.cpu);
	survive_torn_memory(I);
	err = ism_control_begin(I);
	if (err < 0)
		npp_fatalx("IOP %u: private region: %s", I->iop, strerror(-err));
	npp_debug("IOP %u of %u runs", I->iop, I->n_iops);
	err = ism_run(I);
	ism_destroy(I);
	free(I);
	return err < 0 ? 1 : 0;
}
