/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_ctl.c - any packet with any descriptors on a control socket
 *
 * Input: packets, each a byte of flags (1: a right header is made; 2: descriptors that the
 * header does not speak of), a byte that says how many descriptors, two bytes of length, and
 * bytes. What must hold: what is accepted is what its header says, and no descriptor leaks.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/proto.h"
#include "tests/fuzz/replay.h"

#define CTL_MAGIC 0x6c74636eu
#define FDS 8
static int lowest_free(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void send_packet(int sock, const uint8_t *data, size_t len, unsigned nfds)
{
	union { struct cmsghdr align; char buf[CMSG_SPACE(sizeof(int) * FDS)]; } c;
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		struct cmsghdr *h;

		memset(&c, 0, sizeof c);
		mh.msg_control = c.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		h = CMSG_FIRSTHDR(&mh);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		for (unsigned i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(h) + i * sizeof sock, &sock, sizeof sock);
	}
	MUST(sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno == EAGAIN || errno == ENOBUFS);
}

static void receive(int sock)
{
	static uint8_t buf[4096];
	struct npp_ctl_msg m;
	int rc = npp_ctl_recv(sock, &m, buf, sizeof buf, 0);

	if (rc != 1) {
		MUST(rc == 0 || rc == -EPROTO || rc == -EAGAIN || rc == -EMSGSIZE);
		return;
	}
	MUST(m.hdr.magic == CTL_MAGIC && m.hdr.nfds <= NPP_CTL_MAX_FDS && m.hdr.len <= sizeof buf);
	MUST(m.hdr.len == 0 || (m.body >= buf && m.body + m.hdr.len <= buf + sizeof buf));
	for (unsigned i = 0; i < m.hdr.nfds; i++)
		MUST(m.fds[i] >= 0);
	if (m.hdr.nfds) {
		int fd = npp_ctl_take_fd(&m, 0);

		MUST(fd >= 0 && npp_ctl_take_fd(&m, 0) == -EPROTO);
		close(fd);
	}
	MUST(npp_ctl_take_fd(&m, m.hdr.nfds) == -EPROTO);
	npp_ctl_close_fds(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t packet[sizeof(struct npp_ctl_hdr) + 65536];
	int sv[2], before = lowest_free();

	MUST(npp_ctl_pair(sv) == 0);
	for (unsigned n = 0; n < 32 && size >= 4; n++) {
		unsigned flags = data[0], nfds = data[1] % (FDS + 1);
		size_t len = (size_t)data[2] | (size_t)data[3] << 8, at = 0;

		data += 4;
		size -= 4;
		len = len < size ? len : size;
		if (flags & 1) {
			struct npp_ctl_hdr h = { .magic = CTL_MAGIC, .type = (uint16_t)(flags >> 2), .len = (uint32_t)len,
						 .nfds = (uint16_t)(flags & 2 ? nfds / 2 : nfds) };

			memcpy(packet, &h, at = sizeof h);
		}
		memcpy(packet + at, data, len);
		send_packet(sv[0], packet, at + len, nfds);
		receive(sv[1]);
		data += len;
		size -= len;
	}
	close(sv[0]);
	receive(sv[1]);
	close(sv[1]);
	MUST(lowest_free() == before);
	return 0;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	struct npp_ctl_hdr h = { .magic = CTL_MAGIC, .type = NPP_CTL_ATTACH, .len = 8, .nfds = 1 };

	if (i >= 4 || cap < 256)
		return 0;
	memset(buf, 0, 256);
	h.nfds = (uint16_t)i;
	for (unsigned k = 0; k < 4; k++) { /* one as it should be, one cut, one with too much */
		uint8_t *b = buf + 64 * k;

		b[0] = (uint8_t)(k == 3 ? 1 : 0);
		b[1] = (uint8_t)(i + (k == 1));
		b[2] = 60;
		memcpy(b + 4, &h, sizeof h);
	}
	return 256;
}
