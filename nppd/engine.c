/* SPDX-License-Identifier: GPL-2.0-or-later
 * engine.c - who dispatches: the dispatcher, or a steering program in the kernel
 *
 * The kernel numbers the queues of a TAP in the order in which they were attached, but
 * promises it nowhere. So before anybody serves, one frame is sent through each number, by a
 * program that knows only this number, and looked for in the queue where it should come out.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/wire.h"
#include "nppd/engine.h"
#include "nppd/loop.h"
#include "nppd/steer.h"
#include "nppd/tap.h"

#define VERIFY_MS 1000	/* for one queue */
#define ETH_P_LOCAL 0x88b5 /* IEEE 802, local experiments */

struct NPP_PACKED probe {
	struct eth_hdr eth;
	uint32_t nonce[2];
	uint8_t pad[46];
};

static int refuse(struct settings *s, int err)
{
	if (err == -EPERM || err == -EACCES || err == -ENOSYS)
		npp_conf_error_key(s->conf, s->npp.node, "engine", "this machine does not permit eBPF programs (%s): "
				   "'engine: kernel' cannot work here, 'engine: process' does", strerror(-err));
	else
		npp_conf_error_key(s->conf, s->npp.node, "engine", "the steering program cannot be used (%s); "
				   "'engine: process' works without", strerror(-err));
	return err;
}

int engine_open(struct tap *t, struct settings *s)
{
	int r;

	if (s->npp.engine != ENGINE_KERNEL)
		return 0;
	r = steer_load(&t->steer, &s->npp.prog, ETH_HDR_LEN);
	if (r == 0)
		r = steer_attach(&t->steer, t->queue[0]);
	if (r == 0) {
		t->packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		r = t->packet < 0 ? -errno : 0;
	}
	return r < 0 ? refuse(s, r) : 0;
}

void engine_close(struct tap *t)
{
	steer_close(&t->steer);
	if (t->packet >= 0)
		close(t->packet);
	t->packet = -1;
}

void engine_serve(struct tap *t, const struct npp_hash_prog *prog, uint32_t up)
{
	if (t->steer.tables)
		steer_queues(t->steer.tables, prog, up);
}

/* Reads queue I until P comes out. 0, -EILSEQ if it does not, or -errno. */
static int await(struct tap *t, unsigned i, const struct probe *p)
{
	struct { struct vnet_hdr vnet; struct probe f; } buf;
	uint64_t end = loop_now_ms() + VERIFY_MS, now;
	ssize_t n;

	while ((now = loop_now_ms()) < end) {
		struct pollfd pfd = { .fd = t->queue[i], .events = POLLIN };

		if (poll(&pfd, 1, (int)(end - now)) <= 0)
			continue;
		/* what else comes is cut short and forgotten: nobody serves yet */
		while ((n = read(t->queue[i], &buf, sizeof buf)) > 0)
			if (n >= (ssize_t)sizeof buf && memcmp(&buf.f, p, sizeof *p) == 0)
				return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EILSEQ;
}

static int verify(struct tap *t, unsigned i)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = t->ifindex, .sll_halen = 6 };
	struct probe p = { .eth = { .dst = { 2 }, .src = { 2 }, .type = htons(ETH_P_LOCAL) } };
	struct steer fixed;
	int r = steer_load_fixed(&fixed, i);

	if (r < 0)
		return r;
	if (getrandom(p.nonce, sizeof p.nonce, 0) != sizeof p.nonce)
		r = -EIO;
	if (r == 0)
		r = steer_attach(&fixed, t->queue[0]);
	if (r == 0 && sendto(t->packet, &p, sizeof p, 0, (struct sockaddr *)&to, sizeof to) < 0)
		r = -errno;
	if (r == 0)
		r = await(t, i, &p);
	steer_close(&fixed);
	return r;
}

int engine_verify(struct tap *t, struct settings *s)
{
	int r = 0, back;

	if (t->steer.prog_fd < 0)
		return 0;
	for (unsigned i = 0; r == 0 && i < t->n_queues; i++) {
		r = verify(t, i);
		if (r == -EILSEQ)
			npp_conf_error_key(s->conf, s->npp.node, "engine", "queue %u of '%s' is not the one that was "
					   "opened as number %u; 'engine: process' works without", i, t->name, i);
		else if (r < 0)
			refuse(s, r);
	}
	back = steer_attach(&t->steer, t->queue[0]);
	if (r == 0 && back < 0)
		r = refuse(s, back);
	close(t->packet);
	t->packet = -1;
	return r;
}
