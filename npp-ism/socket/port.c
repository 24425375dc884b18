/* SPDX-License-Identifier: GPL-2.0-or-later
 * port.c - frames out: one writev on this ISM's transmit-only queue of a port
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>

#include "npp-ism/socket/ism.h"

#define TRIES 3		/* while the queue is full; then the frame is lost and TCP sends it again */
#define TRY_US 100

static bool wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct timespec ts = { .tv_nsec = TRY_US * 1000 };

	return ppoll(&p, 1, &ts, NULL) > 0;
}

void ism_port_tx(void *arg, unsigned port, const struct stack_tx *tx)
{
	struct ism *I = arg;
	int fd = port < NPP_MAX_PORTS ? I->tap[port] : -1;
	uint32_t head_len = STACK_L4_OFF + tx->l4_len - tx->start;
	struct iovec iov[2 + STACK_SLICES];
	unsigned n = 2;
	ssize_t done = -1;

	iov[0] = (struct iovec){ (void *)(uintptr_t)&tx->vnet, sizeof tx->vnet };
	iov[1] = (struct iovec){ (void *)(uintptr_t)(tx->head + tx->start), head_len };
	for (unsigned i = 0; i < tx->n_slices && i < STACK_SLICES; i++)
		if (tx->slice[i].len)
			iov[n++] = (struct iovec){ (void *)(uintptr_t)tx->slice[i].data, tx->slice[i].len };
	if (fd >= 0)
		done = writev(fd, iov, (int)n);
	for (int t = 0; done < 0 && fd >= 0 && (errno == EAGAIN || errno == EINTR) && t < TRIES; t++) {
		wait_writable(fd);
		done = writev(fd, iov, (int)n);
	}
	if (done < 0) {
		npp_stat_inc(I->stats, NPP_IS_TX_ERRORS);
		return;
	}
	npp_stat_inc(I->stats, NPP_IS_TX_FRAMES);
	npp_stat_add(I->stats, NPP_IS_TX_BYTES, head_len + tx->payload_len);
	npp_stat_inc(I->stats, npp_stat_of_port(NPP_IS_TX0_FRAMES, port));
	npp_stat_add(I->stats, npp_stat_of_port(NPP_IS_TX0_BYTES, port), head_len + tx->payload_len);
	if (tx->gso_size)
		npp_stat_inc(I->stats, NPP_IS_TX_GSO);
}
