/* SPDX-License-Identifier: GPL-2.0-or-later
 * ctl.h - control messages with descriptors over SOCK_SEQPACKET unix sockets
 *
 * The slow, rare part of every conversation: start-up, attachment, descriptors,
 * requests of programs to the OSM. The types and bodies are in lib/proto.h.
 */
#ifndef NPP_LIB_CTL_H
#define NPP_LIB_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NPP_CTL_MAX_FDS 240
#define NPP_CTL_MAX_BODY 65536

struct npp_ctl_hdr {
	uint32_t magic;
	uint16_t type;		/* enum npp_ctl_type */
	uint16_t nfds;
	uint32_t len;		/* bytes of body */
	uint32_t seq;		/* of a request, repeated in its answer */
	int32_t error;		/* negative errno, in answers */
};

struct npp_ctl_msg {
	struct npp_ctl_hdr hdr;
	int fds[NPP_CTL_MAX_FDS];	/* the receiver owns them; -1 once taken */
	uint8_t *body;			/* into the caller's buffer */
};

/* Sends one message; waits for room. 0 or -errno (-EPIPE: the other side is gone). No
 * SIGPIPE. */
int npp_ctl_send(int sock, uint16_t type, uint32_t seq, int error, const void *body, size_t len,
		 const int *fds, unsigned nfds);
/* Receives one message into BUF (CAP bytes). TIMEOUT_MS: -1 for ever, 0 not at all.
 * 1 got one; 0 end of file; -EAGAIN nothing (in time); -EPROTO it makes no sense, as an
 * empty packet; or -errno. Received descriptors are close-on-exec. */
int npp_ctl_recv(int sock, struct npp_ctl_msg *m, void *buf, size_t cap, int timeout_ms);
/* Closes the descriptors of M that nobody has taken. */
void npp_ctl_close_fds(struct npp_ctl_msg *m);
/* Takes descriptor I out of M: -EPROTO if there is none. */
int npp_ctl_take_fd(struct npp_ctl_msg *m, unsigned i);
/* Sends a request and waits for the answer with the same seq, dropping others (their
 * descriptors closed). The answer's hdr.error is returned if negative. */
int npp_ctl_call(int sock, uint16_t type, const void *body, size_t len, const int *fds, unsigned nfds,
		 struct npp_ctl_msg *answer, void *buf, size_t cap, int timeout_ms);

/* Sockets by path; the parent directory must exist. fd or -errno. LISTEN replaces a
 * stale file, refuses (-EADDRINUSE) one that somebody answers on. */
int npp_ctl_listen(const char *path, unsigned mode);
int npp_ctl_connect(const char *path);
int npp_ctl_pair(int sv[2]);
/* pid, uid, gid of the peer; 0 or -errno. */
int npp_ctl_peer(int sock, int *pid, unsigned *uid, unsigned *gid);

#endif
