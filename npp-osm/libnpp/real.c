/* SPDX-License-Identifier: GPL-2.0-or-later
 * real.c - the C library's own functions
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "npp-osm/libnpp/real.h"

/* The one piece of state outside struct npp_lib: constant once filled, and every call
 * of every thread needs it before there is anything else. */
static struct real table;
static _Atomic int filled;

static void resolve(void *slot, const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	memcpy(slot, &p, sizeof p); /* ISO C has no cast from data to function pointer */
}

const struct real *npp_real_get(void)
{
	/* acquire: pairs with the release below. Two threads may fill it twice, alike. */
	if (__builtin_expect(!atomic_load_explicit(&filled, memory_order_acquire), 0)) {
		int saved = errno;
#define X(type, name, args) resolve(&table.name, #name);
		NPP_REAL_CALLS(X)
#undef X
		atomic_store_explicit(&filled, 1, memory_order_release);
		errno = saved;
	}
	return &table;
}

int npp_real_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)npp_real_get()->syscall(SYS_close_range, first, last, flags) == 0 ? 0 : -errno;
}
