/* SPDX-License-Identifier: GPL-2.0-or-later
 * cores.c - how many cores this process may use, and staying on one
 */
#include "config.h"

#include <sched.h>
#include <unistd.h>

#include "lib/cores.h"
#include "lib/log.h"

unsigned npp_cores(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	n = sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than the set has room for */
	return n > 0 ? (unsigned)n : 1;
}

void npp_cores_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	if (cpu < CPU_SETSIZE)
		CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		npp_warn("cannot stay on CPU %d", cpu);
}
