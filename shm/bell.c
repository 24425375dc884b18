/* SPDX-License-Identifier: GPL-2.0-or-later
 * bell.c - eventfds as doorbells
 */
#include "config.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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
	struct iovec v = { &n, sizeof n };

	/* NOWAIT: whoever shares it may have emptied it and made it blocking. */
	while (preadv2(efd, &v, 1, -1, RWF_NOWAIT) < 0 && errno == EINTR)
		;
	errno = saved;
}

/* ---- rings that cannot wait ------------------------------------------------------- */

/* The start of what io_setup() maps: completions, which nobody here wants to see. The kernel
 * writes tail, we write head. */
struct aio_ring {
	uint32_t id, nr;
	_Atomic uint32_t head, tail;
};

int npp_ringer_open(struct npp_ringer *r)
{
	aio_context_t ctx = 0;
	int err;

	*r = (struct npp_ringer){ .nothing = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	if (r->nothing < 0)
		return -errno;
	if (syscall(SYS_io_setup, NPP_RINGER_MAX, &ctx) < 0) {
		err = -errno;
		close(r->nothing);
		r->nothing = -1;
		return err;
	}
	r->aio = ctx;
	return 0;
}

void npp_ringer_close(struct npp_ringer *r)
{
	npp_ringer_flush(r);
	if (!r->aio)
		return;
	syscall(SYS_io_destroy, (aio_context_t)r->aio);
	close(r->nothing);
	r->aio = 0;
}

void npp_ringer_add(struct npp_ringer *r, int efd)
{
	if (r->n == NPP_RINGER_MAX)
		npp_ringer_flush(r);
	r->fd[r->n++] = efd;
}

/* Rings what is collected; a request that is refused is left out. */
static void submit(struct npp_ringer *r)
{
	struct aio_ring *ring = (struct aio_ring *)r->aio;
	struct iocb cb[NPP_RINGER_MAX], *list[NPP_RINGER_MAX];
	unsigned done = 0;
	long n;

	memset(cb, 0, r->n * sizeof *cb);
	for (unsigned i = 0; i < r->n; i++) {
		cb[i].aio_lio_opcode = IOCB_CMD_PREAD; /* of no bytes: ends at once */
		cb[i].aio_fildes = (uint32_t)r->nothing;
		cb[i].aio_flags = IOCB_FLAG_RESFD;
		cb[i].aio_resfd = (uint32_t)r->fd[i];
		list[i] = &cb[i];
	}
	while (done < r->n) {
		n = syscall(SYS_io_submit, (aio_context_t)r->aio, (long)(r->n - done), list + done);
		atomic_store_explicit(&ring->head, atomic_load_explicit(&ring->tail, memory_order_acquire),
				      memory_order_release);
		done += n > 0 ? (unsigned)n : 1;
	}
}

void npp_ringer_flush(struct npp_ringer *r)
{
	int saved = errno;

	if (r->aio && r->n)
		submit(r);
	for (unsigned i = 0; !r->aio && i < r->n; i++)
		npp_bell_ring(r->fd[i]);
	r->n = 0;
	errno = saved;
}
