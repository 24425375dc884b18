/* SPDX-License-Identifier: GPL-2.0-or-later
 * signals.c - the functions by which a program installs handlers of signals
 */
#include "config.h"

#include <signal.h>

#include "npp-osm/libnpp/libnpp.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return npp_sigaction(sig, act, old);
}
int __sigaction(int sig, const struct sigaction *act, struct sigaction *old);
EXPORT int __sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return npp_sigaction(sig, act, old);
}

EXPORT npp_handler *signal(int sig, npp_handler *fn)
{
	return npp_signal(sig, fn);
}
npp_handler *bsd_signal(int sig, npp_handler *fn);
EXPORT npp_handler *bsd_signal(int sig, npp_handler *fn)
{
	return npp_signal(sig, fn);
}
EXPORT npp_handler *ssignal(int sig, npp_handler *fn)
{
	return npp_signal(sig, fn);
}

npp_handler *sysv_signal(int sig, npp_handler *fn);
EXPORT npp_handler *sysv_signal(int sig, npp_handler *fn)
{
	return npp_sysv_signal(sig, fn);
}
EXPORT npp_handler *__sysv_signal(int sig, npp_handler *fn)
{
	return npp_sysv_signal(sig, fn);
}

EXPORT npp_handler *sigset(int sig, npp_handler *fn)
{
	return npp_sigset(sig, fn);
}

EXPORT int siginterrupt(int sig, int interrupt)
{
	return npp_siginterrupt(sig, interrupt);
}
