/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_libnpp.c - a program on a host whose ISMs and nppd have gone mad
 * options: -max_len=1024 -len_control=0
 * links with: tests/fuzz/madhost.c npp-osm/libnpp/[a-z]*.c shm/i2oq.c shm/lock.c net/hash.c
 * compiled with: -fsanitize-coverage=trace-loads -fno-sanitize-coverage=trace-cmp
 *
 * Input: operations of eight bytes. Those of the ISMs write into the memory of the host, by the rules or
 * wildly, or see to it that a word changes before a certain load of the next call, that is between a
 * check and the use, say. Those of the program are calls of libnpp; while one waits, the operations of
 * the ISMs that come next are done. What must hold: no access outside of the regions, no call that
 * never comes back, no more bytes than there was room for, an errno for what fails, events of
 * descriptors that are in the set only, no descriptor left behind.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "npp-osm/libnpp/priv.h"
#include "tests/fuzz/madhost.h"
#include "tests/fuzz/replay.h"
#include "tests/fuzz/words.h"

#define FDS 12
#define HEAP_EACH 4096u

enum ism_op { I_PUMP, I_BYTES, I_ACK, I_RING, I_ACCEPT, I_DGRAM, I_STATE, I_URG, I_LOCK, I_SOCK, I_EXT, I_LANE, I_CTX, I_HOST,
	      I_GLOBAL, I_ANY, I_LOAD, I_OPS };
enum prog_op { P_STREAM, P_DGRAM, P_BIND, P_LISTEN, P_CONNECT, P_ACCEPT, P_RECV, P_RECVMSG, P_SEND, P_SENDTO, P_SENDMSG, P_SHUT,
	       P_CLOSE, P_SET, P_GET, P_IOCTL, P_POLL, P_SELECT, P_EPOLL, P_EPOLL_WAIT, P_NAMES, P_DUP, P_FCNTL, P_RECVMMSG,
	       P_SENDFILE, P_OPS };
#define OPS (I_OPS + P_OPS)

static const uint8_t *input;
static size_t left;
static int fds[FDS], epfd, file;
static uint32_t cursor;
static struct words words;

/* ---- the ISMs ------------------------------------------------------------------------------ */

/* The record of one of the program's sockets, or any. */
static uint32_t which(uint8_t a)
{
	struct so *so = a < 128 && fds[a % FDS] >= 0 ? fd_ours(fds[a % FDS]) : NULL;

	return so ? so->idx : a % MH_SOCKS;
}

static uint64_t some_heap(uint32_t size, uint32_t v)
{
	uint64_t off = mh_heap(size);

	return off ? off : (mh.heap_first + (uint64_t)v * 64 % (mh.size - mh.heap_first)) & ~63ull;
}

static void make_ring(struct npp_ring_desc *d, uint32_t size, uint32_t v)
{
	d->off = some_heap(size, v);
	d->size = size;
}

static void take_messages(void)
{
	struct npp_msg m;

	for (unsigned i = 0; i < MH_IOPS; i++)
		for (unsigned c = 1; c < MH_CTXS; c++)
			for (unsigned n = 0; n < NPP_I2OQ_DEPTH && mh_message(i, c, &m); n++) {
				struct npp_sock *s = &mh.sock[m.sock % MH_SOCKS];

				atomic_store(&s->pend_in, 0);
				if (m.type == NPP_MSG_CONNECT) {
					atomic_store(&s->ism_handle, m.sock);
					s->lport = 1234;
					if (s->rport % 4 != 3)
						atomic_store(&s->tcp_state, TCP_ST_ESTABLISHED);
				} else if (m.type == NPP_MSG_CLOSE) {
					atomic_fetch_add(&s->gen, 1);
					atomic_store(&s->owner, 0);
					continue;
				} else if (m.type == NPP_MSG_NEED_RING && !s->tx_ring.off) {
					make_ring(&s->tx_ring, s->type == NPP_SOCK_DGRAM ? 16384 : HEAP_EACH, m.arg);
				}
				if (m.sock < MH_SOCKS)
					mh_event(m.sock, NPP_OUT_TX);
			}
}

static void bytes_come(const struct op *o)
{
	uint32_t i = which(o->a);
	struct npp_sock *s = &mh.sock[i];

	if (!s->rx_ring.off)
		make_ring(&s->rx_ring, HEAP_EACH, o->v);
	atomic_fetch_add(&s->rx_head, o->v % (o->c < 200 ? 2000 : 1u << 20));
	if (o->b & 1)
		mh_event(i, NPP_OUT_RX);
}

static void connection_comes(const struct op *o)
{
	uint32_t l = which(o->a), i = MH_PROG_SOCKS + 1 + o->b % (MH_SOCKS - MH_PROG_SOCKS - 1);
	unsigned iop = o->c % MH_IOPS;
	struct npp_listener *nl = mh_at((uint64_t)mh.sock[l].ext_off64 * 64, sizeof *nl);
	struct npp_accept_lane *lane = nl ? mh_at((uint64_t)nl->lane_off64[iop] * 64, sizeof *lane + 16 * 8) : NULL;
	struct npp_sock *s = &mh.sock[i];

	if (!lane)
		return;
	if (!s->owner) {
		s->type = NPP_SOCK_STREAM;
		s->slot = (uint8_t)iop;
		s->listener = l;
		s->rport = (uint16_t)o->v;
		atomic_store(&s->refs, 0);
		atomic_store(&s->ism_handle, i);
		atomic_store(&s->tcp_state, TCP_ST_ESTABLISHED);
		atomic_store(&s->owner, 0x10000 + iop);
	}
	atomic_store(&lane->entry[lane->head & 15], NPP_ACCEPT_ENTRY(i, s->gen, NPP_ACCEPT_READY));
	atomic_fetch_add(&lane->head, 1);
	mh_event(l, NPP_OUT_RX);
}

static void datagram_comes(const struct op *o)
{
	uint32_t i = which(o->a), len = o->v % (o->c < 200 ? 300 : 3000), at;
	struct npp_udp *u = mh_at((uint64_t)mh.sock[i].ext_off64 * 64, sizeof *u);
	struct npp_udp_lane *lane = u ? &u->lane[o->b % MH_IOPS] : NULL;
	struct npp_dgram d = { .len = len, .port = 9, .tos = o->c, .ttl = o->b, .flags = o->c % 4 | (o->v >> 24) << 16,
			       .seq = o->v >> 12, .addr = { .b = { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1, [15] = 99 } } };
	uint8_t *ring;

	if (!lane)
		return;
	if (!lane->rx_ring.off)
		make_ring(&lane->rx_ring, HEAP_EACH, o->v);
	ring = mh_at(lane->rx_ring.off, lane->rx_ring.size);
	at = lane->rx_head & (lane->rx_ring.size - 1);
	if (!ring || lane->rx_ring.size < 64 || at > lane->rx_ring.size - sizeof d)
		return;
	memcpy(ring + at, &d, sizeof d);
	atomic_fetch_add(&lane->rx_head, (uint32_t)(sizeof d + len + 31 + npp_dgram_tail(d.flags)) & ~31u);
	mh_event(i, NPP_OUT_RX);
}

static void state_changes(const struct op *o)
{
	uint32_t i = which(o->a);
	struct npp_sock *s = &mh.sock[i];

	if (o->b & 1)
		atomic_store(&s->tcp_state, o->v % (TCP_ST_COUNT + 1));
	if (o->b & 2)
		atomic_fetch_or(&s->rx_flags, o->v >> 8);
	if (o->b & 4)
		atomic_store(&s->err, (int32_t)hurt(&words, o, 0));
	if (o->b & 8)
		atomic_store(&s->rx_wake, s->rx_tail), atomic_store(&s->rx_want, 1);
	mh_event(i, (uint32_t)(o->b >> 4));
}

static void spoil_ext(const struct op *o)
{
	uint32_t i = which(o->a);
	struct npp_udp *u = mh_at((uint64_t)mh.sock[i].ext_off64 * 64, sizeof *u);
	struct npp_listener *l = (struct npp_listener *)(void *)u;
	struct npp_accept_lane *lane;

	if (!u)
		return;
	if (mh.sock[i].type == NPP_SOCK_DGRAM) {
		spoil(&words, o, o->v >> 31 ? (void *)u : (void *)&u->lane[o->v >> 30 & 1], o->v >> 31 ? sizeof *u : sizeof u->lane[0]);
	} else {
		lane = mh_at((uint64_t)l->lane_off64[o->v >> 30 & 1] * 64, sizeof *lane + 64);
		spoil(&words, o, o->v >> 31 || !lane ? (void *)l : (void *)lane, o->v >> 31 || !lane ? sizeof *l : sizeof *lane + 64);
	}
}

static void spoil_lane(const struct op *o)
{
	unsigned c = 1 + o->a % (MH_CTXS - 1), iop = o->a >> 7;
	struct npp_i2oq *q = mh_at((uint64_t)mh.ctx[c].lane_off64[iop] * 64, sizeof *q);

	if (o->a & 64)
		q = &mh.in[iop]->lane[c];
	if (q)
		spoil(&words, o, q, sizeof *q);
}

static void ism(const struct op *o)
{
	struct npp_sock *s = &mh.sock[which(o->a)];
	uint64_t any = ((uint64_t)o->a << 8 | o->b) * 64 % mh.size;

	switch ((enum ism_op)o->op) {
	case I_PUMP: take_messages(); break;
	case I_BYTES: bytes_come(o); break;
	case I_ACK:
		atomic_store(&s->tx_tail, o->b & 1 ? s->tx_head : s->tx_tail + o->v % 4096);
		atomic_store(&s->tx_want, 0);
		mh_event(which(o->a), NPP_OUT_TX);
		break;
	case I_RING: make_ring(o->b & 1 ? &s->rx_ring : &s->tx_ring, 1u << o->c % 17, o->v); break;
	case I_ACCEPT: connection_comes(o); break;
	case I_DGRAM: datagram_comes(o); break;
	case I_STATE: state_changes(o); break;
	case I_URG:
		atomic_store(&s->urg, NPP_URG(s->rx_tail + o->v % 64, o->c) | (o->b & 1 ? NPP_URG_HERE : 0));
		mh_event(which(o->a), NPP_OUT_URG);
		break;
	case I_LOCK:
		atomic_store(o->b & 1 ? &s->rx_lock : &s->tx_lock, o->b & 2 ? hurt(&words, o, 0) : 0x8000u + o->c % 40);
		break;
	case I_SOCK: spoil(&words, o, s, sizeof *s); break;
	case I_EXT: spoil_ext(o); break;
	case I_LANE: spoil_lane(o); break;
	case I_CTX: spoil(&words, o, &mh.ctx[o->a % MH_CTXS], sizeof *mh.ctx); break;
	case I_HOST: spoil(&words, o, mh.host, sizeof *mh.host); break;
	case I_GLOBAL: spoil(&words, o, (uint8_t *)mh.global + (o->a & 1 ? offsetof(struct npp_global, prog_active) : 0),
			     o->a & 1 ? sizeof(struct npp_hash_prog) * 2 + 64 : 2048); break;
	case I_ANY: spoil(&words, o, mh.base + any, 64); break;
	case I_LOAD: mh_change_at_load(1 + ((uint32_t)o->a << 8 | o->b) % 4096, hurt(&words, o, o->v)); break;
	case I_OPS: break;
	}
}

/* ---- the program ------------------------------------------------------------------------------ */

static bool failed(ssize_t r)
{
	if (r < 0)
		MUST(r == -1 && errno > 0 && errno < 4096);
	return r < 0;
}

/* Puts FD in a place that is free, or the oldest one. */
static void keep(int fd)
{
	unsigned at = 0;

	if (failed(fd))
		return;
	while (at < FDS && fds[at] >= 0)
		at++;
	if (at == FDS) {
		at = cursor++ % FDS;
		npp_close(fds[at]);
	}
	fds[at] = fd;
}

static struct sockaddr_in address(const struct op *o)
{
	static const char *const ip[] = { "0.0.0.0", "10.1.0.1", "10.1.0.99", "224.1.1.1", "127.0.0.1" };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(o->v % 8)) };

	inet_pton(AF_INET, ip[o->b % 5], &a.sin_addr);
	return a;
}

static size_t amount(const struct op *o) { return o->v % (o->c < 224 ? 3000 : 70000); }

static int flags_of(const struct op *o)
{
	return (o->b & 1 ? MSG_PEEK : 0) | (o->b & 2 ? MSG_TRUNC : 0) | (o->b & 4 ? MSG_WAITALL : 0) | (o->b & 8 ? MSG_OOB : 0) |
	       (o->b & 16 ? 0 : MSG_DONTWAIT) | (o->b & 32 ? MSG_ERRQUEUE : 0);
}

static void receive(const struct op *o, int fd, bool message)
{
	size_t n = amount(o);
	uint8_t *buf = malloc(n ? n : 1), control[128];
	struct sockaddr_in6 from;
	struct iovec iov[2] = { { buf, n / 3 }, { buf + n / 3, n - n / 3 } };
	struct msghdr mh_ = { .msg_iov = iov, .msg_iovlen = 2, .msg_name = &from, .msg_namelen = o->c % (sizeof from + 1),
			      .msg_control = control, .msg_controllen = o->c % 128 };
	int flags = flags_of(o);
	struct so *so = fd_ours(fd);
	ssize_t r;

	MUST(buf);
	r = message ? npp_recvmsg(fd, &mh_, flags) : npp_recv(fd, buf, n, flags);
	if (!failed(r)) {
		MUST((size_t)r <= n || (flags & MSG_TRUNC && so && so->dgram && r <= (ssize_t)NPP_DGRAM_MAX));
		MUST(mh_.msg_controllen <= sizeof control && mh_.msg_namelen <= sizeof from);
	}
	free(buf);
}

static void receive_many(const struct op *o, int fd)
{
	uint8_t buf[4][200];
	struct iovec iov[4];
	struct mmsghdr mm[4] = { 0 };
	int r;

	for (unsigned i = 0; i < 4; i++) {
		iov[i] = (struct iovec){ buf[i], sizeof buf[i] };
		mm[i].msg_hdr.msg_iov = &iov[i];
		mm[i].msg_hdr.msg_iovlen = 1;
	}
	r = npp_recvmmsg(fd, mm, 4, flags_of(o) | MSG_WAITFORONE, NULL);
	MUST(failed(r) || r <= 4);
}

static void transmit(const struct op *o, int fd)
{
	size_t n = amount(o);
	uint8_t *buf = calloc(1, n ? n : 1);
	struct sockaddr_in to = address(o);
	union { struct cmsghdr h; uint8_t b[64]; } control = { .b = { 0 } };
	struct iovec iov = { buf, n };
	struct msghdr mh_ = { .msg_iov = &iov, .msg_iovlen = 1 };
	int flags = MSG_NOSIGNAL | (o->b & 16 ? 0 : MSG_DONTWAIT) | (o->b & 8 ? MSG_OOB : 0) | (o->b & 64 ? MSG_FASTOPEN : 0);
	ssize_t r;

	MUST(buf);
	if (o->op - I_OPS == P_SEND) {
		r = npp_send(fd, buf, n, flags & ~MSG_FASTOPEN);
	} else if (o->op - I_OPS == P_SENDTO) {
		r = npp_sendto(fd, buf, n, flags, (struct sockaddr *)&to, sizeof to);
	} else {
		control.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(o->c % 48), .cmsg_level = o->c & 64 ? IPPROTO_UDP : IPPROTO_IP,
					      .cmsg_type = o->c & 64 ? 103 : IP_PKTINFO };
		mh_.msg_control = &control;
		mh_.msg_controllen = sizeof control;
		mh_.msg_name = o->b & 1 ? &to : NULL;
		mh_.msg_namelen = sizeof to;
		r = npp_sendmsg(fd, &mh_, flags);
	}
	MUST(failed(r) || (size_t)r <= n);
	free(buf);
}

static void set_option(const struct op *o, int fd)
{
	static const struct { int level, name; } known[] = {
		{ SOL_SOCKET, SO_RCVBUF }, { SOL_SOCKET, SO_RCVLOWAT }, { SOL_SOCKET, SO_OOBINLINE }, { SOL_SOCKET, SO_REUSEPORT },
		{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_TCP, TCP_CONGESTION }, { IPPROTO_TCP, TCP_FASTOPEN_CONNECT }, { IPPROTO_IP, IP_PKTINFO },
		{ IPPROTO_IP, IP_RECVTTL }, { IPPROTO_IP, IP_RECVTOS }, { IPPROTO_IP, IP_RECVERR }, { IPPROTO_UDP, 104 }, { IPPROTO_UDP, 103 },
		{ IPPROTO_IP, IP_MULTICAST_ALL },
	};
	struct timeval tv = { .tv_sec = o->v % 3, .tv_usec = 1 };
	struct linger l = { 1, (int)(o->v % 3) };
	struct ip_mreq group = { .imr_multiaddr.s_addr = htonl(0xe0010100 + o->c % 32) };
	int v = (int)o->v;

	if (o->b % 20 == 19)
		failed(npp_setsockopt(fd, IPPROTO_IP, o->c & 128 ? IP_DROP_MEMBERSHIP : IP_ADD_MEMBERSHIP, &group, sizeof group));
	else if (o->b % 20 == 18)
		failed(npp_setsockopt(fd, SOL_SOCKET, o->v & 64 ? SO_RCVTIMEO : SO_SNDTIMEO, &tv, sizeof tv));
	else if (o->b % 20 == 17)
		failed(npp_setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
	else
		failed(npp_setsockopt(fd, known[o->b % 14].level, known[o->b % 14].name, &v, sizeof v));
}

static void get_option(const struct op *o, int fd)
{
	static const struct { int level, name; } known[] = {
		{ SOL_SOCKET, SO_ERROR }, { IPPROTO_TCP, TCP_INFO }, { IPPROTO_TCP, TCP_CONGESTION }, { IPPROTO_TCP, TCP_MAXSEG },
		{ SOL_SOCKET, SO_RCVBUF }, { SOL_SOCKET, SO_SNDBUF }, { IPPROTO_IP, IP_MTU }, { SOL_SOCKET, SO_LINGER }, { SOL_SOCKET, SO_ACCEPTCONN },
	};
	unsigned i = o->b % 9;
	socklen_t n = o->c % 250, was = n;
	uint8_t *buf = calloc(1, n ? n : 1);
	int v;

	MUST(buf);
	if (!failed(npp_getsockopt(fd, known[i].level, known[i].name, buf, &n))) {
		MUST(n <= was);
		memcpy(&v, buf, n >= sizeof v ? sizeof v : 0);
		MUST(i != 0 || n < sizeof v || (v >= 0 && v < 4096));
	}
	free(buf);
}

static void control(const struct op *o, int fd)
{
	static const unsigned long request[] = { FIONREAD, SIOCOUTQ, SIOCATMARK };
	int v = 0;

	if (!fd_ours(fd) || failed(npp_ioctl(fd, request[o->b % 3], &v)))
		return;
	MUST(v >= 0 && (uint64_t)v <= mh.size);
}

static void poll_all(const struct op *o)
{
	struct pollfd p[FDS];
	int r, n = 0;

	for (unsigned i = 0; i < FDS; i++)
		p[i] = (struct pollfd){ .fd = fds[i], .events = (short)(o->b % 8) };
	r = npp_poll(p, FDS, o->c % 4 ? 0 : (int)(o->v % 20));
	for (unsigned i = 0; i < FDS && r >= 0; i++) {
		MUST(!(p[i].revents & ~(p[i].events | POLLERR | POLLHUP | POLLNVAL)));
		n += p[i].revents != 0;
	}
	MUST(failed(r) || r == n);
}

static void select_all(const struct op *o)
{
	struct timeval tv = { 0, (suseconds_t)(o->c % 4 ? 0 : o->v % 20000) };
	fd_set r, w, x;
	int n = -1;

	FD_ZERO(&r);
	for (unsigned i = 0; i < FDS; i++)
		if (fds[i] >= 0 && fds[i] < FD_SETSIZE) {
			FD_SET(fds[i], &r);
			n = fds[i] > n ? fds[i] : n;
		}
	w = x = r;
	failed(npp_select(n + 1, &r, o->b & 1 ? &w : NULL, o->b & 2 ? &x : NULL, &tv));
}

static void epoll_all(const struct op *o)
{
	struct epoll_event ev[8];
	int max = 1 + o->b % 8, r = npp_epoll_pwait(epfd, ev, max, o->c % 4 ? 0 : (int)(o->v % 20), NULL);

	MUST(failed(r) || r <= max);
	for (int i = 0; i < r; i++)
		MUST(ev[i].data.u64 >> 16 == 0xf00d);
}

static void epoll_change(const struct op *o, int fd)
{
	static const uint32_t more[] = { 0, EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE };
	struct epoll_event ev = { .events = (o->c % 8) | more[o->c >> 3 & 3], .data.u64 = 0xf00d0000ull | (unsigned)fd };

	failed(npp_epoll_ctl(epfd, 1 + o->b % 3, fd, &ev));
}

static void names(const struct op *o, int fd)
{
	struct sockaddr_in6 a;
	socklen_t n = o->c % (sizeof a + 1);

	failed(o->b & 1 ? npp_getsockname(fd, (struct sockaddr *)&a, &n) : npp_getpeername(fd, (struct sockaddr *)&a, &n));
}

static void program(const struct op *o)
{
	int *at = &fds[o->a % FDS], fd = *at;
	struct sockaddr_in sa = address(o);
	socklen_t n = sizeof sa;
	off_t off = 0;

	errno = 0;
	switch ((enum prog_op)(o->op - I_OPS)) {
	case P_STREAM: keep(npp_socket(AF_INET, SOCK_STREAM | (o->b & 1 ? SOCK_NONBLOCK : 0), 0)); break;
	case P_DGRAM: keep(npp_socket(AF_INET, SOCK_DGRAM | (o->b & 1 ? SOCK_NONBLOCK : 0), 0)); break;
	case P_BIND: failed(npp_bind(fd, (struct sockaddr *)&sa, sizeof sa)); break;
	case P_LISTEN: failed(npp_listen(fd, o->b)); break;
	case P_CONNECT: failed(npp_connect(fd, (struct sockaddr *)&sa, sizeof sa)); break;
	case P_ACCEPT: keep(npp_accept4(fd, (struct sockaddr *)&sa, &n, o->b & 1 ? SOCK_NONBLOCK : 0)); break;
	case P_RECV: receive(o, fd, false); break;
	case P_RECVMSG: receive(o, fd, true); break;
	case P_SEND:
	case P_SENDTO:
	case P_SENDMSG: transmit(o, fd); break;
	case P_SHUT: failed(npp_shutdown(fd, o->b % 3)); break;
	case P_CLOSE:
		failed(npp_close(fd));
		*at = -1;
		break;
	case P_SET: set_option(o, fd); break;
	case P_GET: get_option(o, fd); break;
	case P_IOCTL: control(o, fd); break;
	case P_POLL: poll_all(o); break;
	case P_SELECT: select_all(o); break;
	case P_EPOLL: epoll_change(o, fd); break;
	case P_EPOLL_WAIT: epoll_all(o); break;
	case P_NAMES: names(o, fd); break;
	case P_DUP: keep(npp_dup(fd)); break;
	case P_FCNTL: failed(npp_fcntl(fd, F_SETFL, o->b & 1 ? O_NONBLOCK : 0)); break;
	case P_RECVMMSG: receive_many(o, fd); break;
	case P_SENDFILE: MUST(failed(npp_sendfile(fd, file, &off, amount(o))) || off <= 4096); break;
	case P_OPS: break;
	}
}

/* ---- an input ------------------------------------------------------------------------------------ */

static bool next(struct op *o)
{
	if (left < sizeof *o)
		return false;
	memcpy(o, input, sizeof *o);
	o->op %= OPS;
	return true;
}

static void taken(void)
{
	input += sizeof(struct op);
	left -= sizeof(struct op);
}

static void turn(void)
{
	struct op o;

	if (!next(&o) || o.op >= I_OPS)
		return;
	taken();
	ism(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char zero[4096];
	struct op o;
	long before;

	if (!mh.turn) {
		mh.turn = turn;
		signal(SIGPIPE, SIG_IGN);
		file = memfd_create("file", MFD_CLOEXEC);
		MUST(write(file, zero, sizeof zero) == sizeof zero);
		mh_begin(); /* what is made once */
		mh_end();
	}
	before = fds_open();
	npp_lib.linger_most_us = 20000; /* records lie much here */
	input = data;
	left = 0;
	mh_begin();
	words = (struct words){ .size = mh.size, .heap = mh.heap_first };
	memset(fds, -1, sizeof fds);
	epfd = npp_epoll_create1(EPOLL_CLOEXEC);
	MUST(epfd >= 0);
	for (left = size; next(&o);) {
		taken();
		if (o.op < I_OPS) {
			ism(&o);
			continue;
		}
		mh_call(true);
		program(&o);
		mh_call(false);
	}
	mh_call(true);
	for (unsigned i = 0; i < FDS; i++)
		if (fds[i] >= 0)
			npp_close(fds[i]);
	npp_close(epfd);
	mh_call(false);
	mh_end();
	MUST(mh.maps < 64);
	MUST(fds_open() == before);
	return 0;
}

/* ---- seeds ------------------------------------------------------------------------------------------ */

#define P(x) (uint8_t)(I_OPS + P_##x)
static const struct op seeds[][16] = {
	{ /* a connection that is opened, used and closed */
		{ P(STREAM), 0, 0, 0, 0 }, { P(CONNECT), 0, 2, 0, 4 }, { I_PUMP, 0, 0, 0, 0 }, { I_BYTES, 0, 1, 0, 600 },
		{ P(RECV), 0, 0, 0, 100 }, { P(IOCTL), 0, 0, 0, 0 }, { P(SEND), 0, 0, 0, 2000 }, { I_PUMP, 0, 0, 0, 0 },
		{ P(SEND), 0, 0, 0, 2000 }, { I_ACK, 0, 1, 0, 0 }, { P(GET), 0, 1, 249, 0 }, { I_STATE, 0, 0x12, 0, 0x100 },
		{ P(RECVMSG), 0, 4, 100, 900 }, { P(SHUT), 0, 1, 0, 0 }, { P(CLOSE), 0, 0, 0, 0 },
	},
	{ /* a listener in an epoll instance, connections of both ISMs */
		{ P(STREAM), 0, 1, 0, 0 }, { P(BIND), 0, 0, 0, 7 }, { P(LISTEN), 0, 9, 0, 0 }, { P(EPOLL), 0, 0, 1, 0 },
		{ I_ACCEPT, 0, 1, 0, 1 }, { I_ACCEPT, 0, 2, 1, 2 }, { P(EPOLL_WAIT), 0, 4, 0, 10 }, { P(ACCEPT), 0, 1, 0, 0 },
		{ P(ACCEPT), 0, 0, 0, 0 }, { P(EPOLL), 1, 0, 13, 0 }, { I_BYTES, 1, 1, 0, 100 }, { P(EPOLL_WAIT), 0, 7, 0, 10 },
		{ P(RECV), 1, 16, 0, 100 }, { P(SEND), 1, 0, 0, 100 }, { P(NAMES), 1, 0, 20, 0 }, { P(CLOSE), 0, 0, 0, 0 },
	},
	{ /* datagrams */
		{ P(DGRAM), 0, 1, 0, 0 }, { P(BIND), 0, 0, 0, 5 }, { P(SET), 0, 7, 0, 1 }, { I_DGRAM, 0, 0, 1, 200 },
		{ I_DGRAM, 0, 1, 0, 0x01000050 }, { P(POLL), 0, 7, 0, 10 }, { P(RECVMSG), 0, 0, 100, 300 }, { P(RECV), 0, 2, 0, 20 },
		{ P(SENDTO), 0, 2, 0, 100 }, { I_PUMP, 0, 0, 0, 0 }, { P(SENDTO), 0, 2, 0, 100 }, { P(SENDMSG), 0, 1, 60, 900 },
		{ P(CONNECT), 0, 2, 0, 6 }, { P(SET), 0, 19, 1, 0 }, { P(RECVMMSG), 0, 0, 0, 0 }, { P(CLOSE), 0, 0, 0, 0 },
	},
	{ /* urgent bytes, locks, waits */
		{ P(STREAM), 0, 0, 0, 0 }, { P(CONNECT), 0, 2, 0, 4 }, { I_PUMP, 0, 0, 0, 0 }, { I_BYTES, 0, 1, 0, 40 },
		{ I_URG, 0, 1, 1, 9 }, { P(POLL), 0, 3, 0, 5 }, { P(RECV), 0, 8, 0, 10 }, { P(IOCTL), 0, 2, 0, 0 },
		{ P(RECV), 0, 20, 0, 30 }, { I_LOCK, 0, 1, 1, 0 }, { P(RECV), 0, 0, 0, 30 }, { I_LOCK, 0, 0, 1, 0 },
		{ P(SEND), 0, 8, 0, 30 }, { P(SENDFILE), 0, 0, 0, 500 }, { P(SELECT), 0, 3, 0, 900 }, { P(DUP), 0, 0, 0, 0 },
	},
	{ /* a word that changes under a call */
		{ P(STREAM), 0, 0, 0, 0 }, { P(CONNECT), 0, 2, 0, 4 }, { I_PUMP, 0, 0, 0, 0 }, { I_BYTES, 0, 1, 0, 600 },
		{ I_LOAD, 0, 9, 5, 64 }, { P(RECV), 0, 0, 0, 100 }, { I_SOCK, 0, 16, 9, 0x40000 }, { P(RECV), 0, 0, 0, 100 },
		{ I_HOST, 0, 50, 4, 65 }, { I_GLOBAL, 1, 3, 1, 0 }, { I_LANE, 64, 0, 4, 70 }, { I_CTX, 1, 16, 1, 0 },
		{ I_EXT, 0, 0, 1, 0 }, { I_RING, 0, 1, 5, 0 }, { I_ANY, 40, 3, 1, 0 }, { P(RECV), 0, 0, 0, 100 },
	},
};

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	return seed_of(seeds, sizeof seeds / sizeof *seeds, sizeof *seeds, i, buf, cap);
}
