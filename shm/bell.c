/* SPDX-License-Identifier: GPL-2.0-or-later
 * bell.c - eventfds as doorbells
 */
#include "config.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shm/bell.h"

int npp_bell_create(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void npp_bell_ring(int efd)
{
	int saved = errno;
	uint64_t one = 1;

	/* EAGAIN: the counter is full, so it is readable, which is all that is wanted. */
	while (write(efd, &one, sizeof one) < 0 && errno == EINTR)
		;
	errno = saved;
}

void npp_bell_drain(int efd)
{
	int saved = errno;
	uint64_t n;

	while (read(efd, &n, sizeof n) < 0 && errno == EINTR)
		;
	errno = saved;
}
