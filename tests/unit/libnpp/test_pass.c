/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_pass.c - libnpp over a fake host: sockets in SCM_RIGHTS
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

#define FDS 3

static void send_fds(int via, const int *fds, unsigned n)
{
	union { struct cmsghdr h; char b[CMSG_SPACE(FDS * sizeof(int))]; } u;
	struct iovec iov = { "x", 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = CMSG_SPACE(n * sizeof(int)) };

	memset(&u, 0, sizeof u);
	u.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&u.h), fds, n * sizeof *fds);
	ck_assert_int_eq(npp_sendmsg(via, &mh, 0), 1);
	ck_assert_mem_eq(CMSG_DATA(&u.h), fds, n * sizeof *fds); /* what the program wrote is as it was */
}

/* How many came. No assertions: a child uses it, too. */
static unsigned recv_fds(int via, int *fds, int flags)
{
	union { struct cmsghdr h; char b[CMSG_SPACE(FDS * sizeof(int))]; } u;
	char c;
	struct iovec iov = { &c, 1 };
	struct mmsghdr mm = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u } };
	struct msghdr *mh = &mm.msg_hdr;
	unsigned n;

	if (flags & MSG_WAITFORONE ? npp_recvmmsg(via, &mm, 1, flags, NULL) != 1 : npp_recvmsg(via, mh, flags) != 1)
		return 0;
	if (!CMSG_FIRSTHDR(mh))
		return 0;
	n = (unsigned)((CMSG_FIRSTHDR(mh)->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(mh)), n * sizeof(int));
	return n;
}

static bool echoes(int fd)
{
	char c = 0;

	return npp_send(fd, "y", 1, 0) == 1 && npp_recv(fd, &c, 1, 0) == 1 && c == 'y';
}

START_TEST(a_socket_that_came_is_a_descriptor_like_others)
{
	int fd = dial(FAKE_ECHO), sv[2], got[FDS], nul = open("/dev/null", O_RDONLY), fds[] = { nul, fd };
	struct npp_sock *s = fake_sock_of(f, fd, NULL);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	send_fds(sv[0], fds, 2);
	npp_close(fd);
	ck_assert_uint_eq(s->refs, 1); /* the one in the message */
	ck_assert_uint_eq(f->closes, 0);
	ck_assert_uint_eq(recv_fds(sv[1], got, MSG_CMSG_CLOEXEC), 2);
	ck_assert(fake_sock_of(f, got[1], NULL) == s);
	ck_assert_int_eq(npp_fcntl(got[1], F_GETFD, 0), FD_CLOEXEC);
	ck_assert_int_lt(npp_fcntl(got[0], F_GETFL, 0), 0x10000);
	EVENTUALLY(s->refs == 1);
	ck_assert(echoes(got[1]));
	npp_close(got[1]);
	EVENTUALLY(f->closes == 1);
	close(got[0]);
	close(nul);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(it_goes_to_another_process)
{
	int sv[2], fd, status, got[FDS];
	struct npp_sock *s;
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), 0);
	pid = npp_fork();
	if (pid == 0)
		_exit(recv_fds(sv[1], got, _i ? MSG_WAITFORONE : 0) == 1 && echoes(got[0]) && npp_close(got[0]) == 0 ? 0 : 1);
	fd = dial(FAKE_ECHO);
	s = fake_sock_of(f, fd, NULL);
	send_fds(sv[0], &fd, 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	EVENTUALLY(s->refs == 1);
	ck_assert(echoes(fd));
	npp_close(fd);
	EVENTUALLY(f->closes == 1);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(looked_at_or_sent_twice_each_copy_counts)
{
	int fd = dial(FAKE_ECHO), sv[2], a[FDS], b[FDS], fds[] = { fd, fd };
	struct npp_sock *s = fake_sock_of(f, fd, NULL);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	send_fds(sv[0], fds, 2);
	ck_assert_uint_eq(s->refs, 3);
	ck_assert_uint_eq(recv_fds(sv[1], a, MSG_PEEK), 2);
	ck_assert_uint_eq(recv_fds(sv[1], b, 0), 2);
	EVENTUALLY(s->refs == 5);
	npp_close(fd);
	npp_close(a[0]);
	npp_close(a[1]);
	npp_close(b[0]);
	ck_assert(echoes(b[1]));
	npp_close(b[1]);
	EVENTUALLY(f->closes == 1);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(what_nobody_reads_is_closed)
{
	int fd = dial(FAKE_ECHO), sv[2];
	struct npp_sock *s = fake_sock_of(f, fd, NULL);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	send_fds(sv[0], &fd, 1);
	ck_assert_uint_eq(s->refs, 2);
	close(sv[0]);
	close(sv[1]);
	EVENTUALLY(s->refs == 1);
	npp_close(fd);
	EVENTUALLY(f->closes == 1);
}
END_TEST

START_TEST(what_cannot_be_sent_leaves_nothing)
{
	int fd = dial(FAKE_ECHO), sv[2], low = dup(0), again;
	struct npp_sock *s = fake_sock_of(f, fd, NULL);
	union { struct cmsghdr h; char b[CMSG_SPACE(sizeof(int))]; } u;
	struct iovec iov = { "x", 1 };
	struct mmsghdr mm = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u } };

	memset(&u, 0, sizeof u);
	u.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&u.h), &fd, sizeof fd);
	close(low);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	close(sv[1]);
	ck_fails((int)npp_sendmsg(sv[0], &mm.msg_hdr, MSG_NOSIGNAL), EPIPE);
	ck_fails(npp_sendmmsg(sv[0], &mm, 1, MSG_NOSIGNAL), EPIPE);
	close(sv[0]);
	EVENTUALLY(s->refs == 1);
	again = dup(0);
	ck_assert_int_eq(again, low);
	close(again);
	npp_close(fd);
}
END_TEST

START_TEST(a_listener_keeps_both_of_its_sides)
{
	uint16_t port;
	int l = serve(&port, 0), sv[2], got[FDS], c, v = 0;
	socklen_t n = sizeof v;
	struct sockaddr_in a = addr_of("127.0.0.1", 0);
	uint32_t idx;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	send_fds(sv[0], &l, 1);
	npp_close(l);
	ck_assert_uint_eq(recv_fds(sv[1], got, 0), 1);
	ck_assert_int_eq(getsockopt(got[0], SOL_SOCKET, SO_ACCEPTCONN, &v, &n), 0); /* the kernel's own word */
	ck_assert_int_eq(v, 1);
	idx = fake_peer_connect(f, port, 1, 5000);
	c = npp_accept4(got[0], NULL, NULL, 0);
	ck_assert_ptr_eq(fake_sock_of(f, c, NULL), &f->sock[idx]);
	npp_close(c);
	a.sin_port = htons(port);
	v = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(v, SA(a)), 0);
	c = npp_accept4(got[0], NULL, NULL, 0);
	ck_assert_int_ge(c, 0);
	close(c);
	close(v);
	npp_close(got[0]);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(a_bound_socket_listens_where_it_has_come_to)
{
	struct sockaddr_in a = addr_of("0.0.0.0", 0);
	int b = npp_socket(AF_INET, SOCK_STREAM, 0), sv[2], got[FDS], v = 0;
	socklen_t n = sizeof v;

	ck_assert_int_eq(npp_bind(b, SA(a)), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	send_fds(sv[0], &b, 1);
	npp_close(b);
	ck_assert_uint_eq(recv_fds(sv[1], got, 0), 1);
	ck_assert_int_eq(npp_listen(got[0], 5), 0);
	ck_assert_int_eq(getsockopt(got[0], SOL_SOCKET, SO_ACCEPTCONN, &v, &n), 0);
	ck_assert_int_eq(v, 1);
	npp_close(got[0]);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(a_forged_ticket_is_what_it_is)
{
	int fd = dial(FAKE_ECHO), sv[2], pair[2], got[FDS];
	uint32_t idx;
	struct npp_sock *s = fake_sock_of(f, fd, &idx);
	struct { uint64_t magic, sign; uint32_t idx, gen; } t = { 0x74656b6369747070ull, 1, idx, s->gen }, back;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	ck_assert_int_eq(send(pair[0], &t, sizeof t, 0), sizeof t);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	send_fds(sv[0], &pair[1], 1);
	ck_assert_uint_eq(recv_fds(sv[1], got, 0), 1);
	ck_assert_int_eq(npp_read(got[0], &back, sizeof back), sizeof back);
	ck_assert_mem_eq(&t, &back, sizeof t);
	ck_assert_uint_eq(s->refs, 1);
	close(got[0]);
	close(pair[0]);
	close(pair[1]);
	close(sv[0]);
	close(sv[1]);
	npp_close(fd);
}
END_TEST

/* How many of the first descriptors are in use. */
static unsigned in_use(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A SEQPACKET socket of the program's own may have anything in it. */
START_TEST(what_is_no_ticket_neither_costs_nor_closes_descriptors)
{
	union { struct cmsghdr h; char b[CMSG_SPACE(FDS * sizeof(int))]; } u = { .b = { 0 } };
	struct iovec iov = { "x", 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u };
	int sv[2], pair[2], got[FDS], fds[FDS] = { 0, 1, 2 }, own[8];
	uint16_t port;
	int l = serve(&port, 0);
	unsigned before;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	send_fds(sv[0], &l, 1); /* a ticket with a kernel's socket, before */
	ck_assert_uint_eq(recv_fds(sv[1], got, 0), 1);
	EVENTUALLY(f->n_pass == 0); /* the OSM, which lives here, has closed its end of that */
	for (unsigned i = 0; i < 8; i++)
		own[i] = open("/dev/null", O_RDONLY); /* on the number that it had for a moment */
	send_fds(sv[0], &pair[1], 1);
	before = in_use();
	ck_assert_uint_eq(recv_fds(sv[1], got + 1, 0), 1);
	ck_assert_uint_eq(in_use(), before + 1);
	u.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fds), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&u.h), fds, sizeof fds);
	ck_assert_int_eq(sendmsg(pair[0], &mh, 0), 1);
	send_fds(sv[0], &pair[1], 1);
	before = in_use();
	ck_assert_uint_eq(recv_fds(sv[1], got + 2, 0), 1);
	ck_assert_uint_eq(in_use(), before + 1);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_int_eq(close(own[i]), 0);
	close(pair[0]);
	close(pair[1]);
	close(got[1]);
	close(got[2]);
	npp_close(got[0]);
	npp_close(l);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("libnpp_pass");
	TCase *t = host_case(s, "pass");

	tcase_add_test(t, a_socket_that_came_is_a_descriptor_like_others);
	tcase_add_loop_test(t, it_goes_to_another_process, 0, 2);
	tcase_add_test(t, looked_at_or_sent_twice_each_copy_counts);
	tcase_add_test(t, what_nobody_reads_is_closed);
	tcase_add_test(t, what_cannot_be_sent_leaves_nothing);
	tcase_add_test(t, a_listener_keeps_both_of_its_sides);
	tcase_add_test(t, a_bound_socket_listens_where_it_has_come_to);
	tcase_add_test(t, a_forged_ticket_is_what_it_is);
	tcase_add_test(t, what_is_no_ticket_neither_costs_nor_closes_descriptors);
	return s;
}

int main(void)
{
	return npp_suite_run(suite());
}
