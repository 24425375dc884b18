/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_ctl.c - control messages: descriptors, answers, peers that lie or leave
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/proto.h"
#include "tests/unit/suite.h"

static int sv[2];
static uint8_t buf[NPP_CTL_MAX_BODY + 16];
static struct npp_ctl_msg m;

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void setup(void)
{
	ck_assert_int_eq(npp_ctl_pair(sv), 0);
}

static void teardown(void)
{
	close(sv[0]);
	close(sv[1]);
}

START_TEST(a_message_arrives_as_it_was_sent)
{
	const char body[] = "hello";

	ck_assert_int_eq(npp_ctl_send(sv[0], NPP_CTL_READY, 77, -ENOENT, body, sizeof body, NULL, 0), 0);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 0), 1);
	ck_assert(m.hdr.type == NPP_CTL_READY && m.hdr.seq == 77 && m.hdr.error == -ENOENT);
	ck_assert_uint_eq(m.hdr.len, sizeof body);
	ck_assert_str_eq((char *)m.body, body);
	ck_assert_int_eq(npp_ctl_take_fd(&m, 0), -EPROTO);
	ck_assert_int_eq(npp_ctl_send(sv[1], NPP_CTL_STOP, 0, 0, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(npp_ctl_recv(sv[0], &m, buf, 0, 0), 1);
	ck_assert_uint_eq(m.hdr.len, 0);
}
END_TEST

START_TEST(the_largest_message_passes_and_a_larger_one_is_refused)
{
	int fds[NPP_CTL_MAX_FDS + 1];
	unsigned before = open_fds();

	for (unsigned i = 0; i <= NPP_CTL_MAX_FDS; i++)
		fds[i] = STDERR_FILENO;
	ck_assert_int_eq(npp_ctl_send(sv[0], 1, 0, 0, buf, NPP_CTL_MAX_BODY, fds, NPP_CTL_MAX_FDS), 0);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, NPP_CTL_MAX_BODY, 0), 1);
	ck_assert_uint_eq(m.hdr.nfds, NPP_CTL_MAX_FDS);
	ck_assert_uint_eq(open_fds(), before + NPP_CTL_MAX_FDS);
	npp_ctl_close_fds(&m);
	ck_assert_uint_eq(open_fds(), before);
	ck_assert_int_eq(npp_ctl_send(sv[0], 1, 0, 0, buf, NPP_CTL_MAX_BODY + 1, NULL, 0), -EINVAL);
	ck_assert_int_eq(npp_ctl_send(sv[0], 1, 0, 0, NULL, 0, fds, NPP_CTL_MAX_FDS + 1), -EINVAL);
}
END_TEST

START_TEST(descriptors_are_taken_once_and_close_on_exec)
{
	int p[2], fd;
	char c = 0;

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(npp_ctl_send(sv[0], 1, 0, 0, NULL, 0, p, 2), 0);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 0), 1);
	fd = npp_ctl_take_fd(&m, 1);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(npp_ctl_take_fd(&m, 1), -EPROTO);
	ck_assert_int_eq(npp_ctl_take_fd(&m, 2), -EPROTO);
	ck_assert_int_eq(npp_ctl_take_fd(&m, 100000), -EPROTO);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(read(p[0], &c, 1), 1);
	npp_ctl_close_fds(&m);
	close(fd);
	close(p[0]);
	close(p[1]);
}
END_TEST

/* A raw packet with a descriptor, header as given. */
static void send_raw(const struct npp_ctl_hdr *h, size_t len, size_t body)
{
	union { struct cmsghdr align; char b[CMSG_SPACE(sizeof(int))]; } ctl;
	struct iovec iov[2] = { { (void *)(uintptr_t)h, len }, { buf, body } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = ctl.b,
			     .msg_controllen = sizeof ctl.b };
	struct cmsghdr *c;
	int fd = STDERR_FILENO;

	memset(&ctl, 0, sizeof ctl);
	c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	ck_assert_int_ge(sendmsg(sv[0], &mh, 0), 0);
}

START_TEST(lies_are_refused_and_no_descriptor_leaks)
{
	struct npp_ctl_hdr good, h;
	unsigned before = open_fds();

	npp_ctl_send(sv[0], 1, 0, 0, buf, 8, (int[]){ 2 }, 1);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 0), 1);
	npp_ctl_close_fds(&m);
	good = m.hdr;
	send_raw(&good, sizeof good, 8);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 0), 1);
	npp_ctl_close_fds(&m);
	for (int i = 0; i < 7; i++) {
		h = good;
		h.magic ^= i == 0;
		h.nfds = (uint16_t)(i == 1 ? 0 : i == 2 ? 2 : 1);
		h.len = i == 3 ? 7 : i == 4 ? 0xffffffffu : 8;
		send_raw(&h, i == 5 ? 5 : sizeof h, i == 5 ? 0 : 8);
		/* case 6: the receiver's buffer is too small */
		ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, i == 6 ? 7 : sizeof buf, 0), -EPROTO);
		ck_assert_uint_eq(open_fds(), before);
	}
}
END_TEST

START_TEST(waiting_ends_by_time_or_by_the_end_of_the_peer)
{
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 0), -EAGAIN);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 20), -EAGAIN);
	npp_ctl_send(sv[0], 5, 0, 0, NULL, 0, NULL, 0);
	close(sv[0]);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, -1), 1);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, -1), 0);
	ck_assert_int_eq(npp_ctl_send(sv[1], 5, 0, 0, NULL, 0, NULL, 0), -EPIPE);
	sv[0] = -1;
}
END_TEST

START_TEST(an_empty_packet_is_a_lie_and_not_the_end)
{
	ck_assert_int_eq(send(sv[0], "", 0, MSG_NOSIGNAL), 0);
	ck_assert_int_eq(npp_ctl_send(sv[0], 5, 0, 0, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 0), -EPROTO);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 0), 1);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 0), -EAGAIN);
	ck_assert_int_eq(shutdown(sv[0], SHUT_WR), 0);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 0), 0);
}
END_TEST

START_TEST(last_words_are_heard_though_ours_were_not_read)
{
	npp_ctl_send(sv[1], 4, 0, 0, NULL, 0, NULL, 0);
	npp_ctl_send(sv[0], 5, 0, 0, NULL, 0, NULL, 0);
	close(sv[0]);
	sv[0] = -1;
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 1000), 1);
	ck_assert_uint_eq(m.hdr.type, 5);
	ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 1000), 0);
}
END_TEST

/* Answers the first request after some noise, the second with an error, not the third. */
static void *answerer(void *arg)
{
	struct npp_ctl_msg r;
	uint8_t b[64];

	(void)arg;
	npp_ctl_recv(sv[1], &r, b, sizeof b, -1);
	npp_ctl_send(sv[1], NPP_CTL_ANSWER, r.hdr.seq + 1, 0, "no", 3, (int[]){ 2 }, 1);
	npp_ctl_send(sv[1], NPP_CTL_IOP_STATE, 0, 0, NULL, 0, NULL, 0);
	npp_ctl_send(sv[1], NPP_CTL_ANSWER, r.hdr.seq, 0, "yes", 4, NULL, 0);
	npp_ctl_recv(sv[1], &r, b, sizeof b, -1);
	npp_ctl_send(sv[1], NPP_CTL_ANSWER, r.hdr.seq, -EADDRINUSE, NULL, 0, NULL, 0);
	npp_ctl_recv(sv[1], &r, b, sizeof b, -1);
	return NULL;
}

START_TEST(a_call_gets_its_own_answer)
{
	pthread_t t;
	unsigned before = open_fds();

	ck_assert_int_eq(pthread_create(&t, NULL, answerer, NULL), 0);
	ck_assert_int_eq(npp_ctl_call(sv[0], NPP_CTL_BIND, "q", 2, NULL, 0, &m, buf, sizeof buf, 20000), 0);
	ck_assert_str_eq((char *)m.body, "yes");
	ck_assert_int_eq(npp_ctl_call(sv[0], NPP_CTL_BIND, "q", 2, NULL, 0, &m, buf, sizeof buf, 20000),
			 -EADDRINUSE);
	ck_assert_int_eq(npp_ctl_call(sv[0], NPP_CTL_BIND, "q", 2, NULL, 0, &m, buf, sizeof buf, 50),
			 -ETIMEDOUT);
	pthread_join(t, NULL);
	ck_assert_uint_eq(open_fds(), before);
	close(sv[1]);
	sv[1] = -1;
	ck_assert_int_eq(npp_ctl_call(sv[0], NPP_CTL_BIND, "q", 2, NULL, 0, &m, buf, sizeof buf, 1000), -EPIPE);
}
END_TEST

START_TEST(sending_waits_for_room)
{
	int status, n = 2000;
	pid_t pid;

	ck_assert_int_eq(fcntl(sv[0], F_SETFL, O_NONBLOCK), 0);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < n; i++)
			if (npp_ctl_send(sv[0], 1, (uint32_t)i, 0, buf, 4096, NULL, 0) < 0)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < n; i++) {
		ck_assert_int_eq(npp_ctl_recv(sv[1], &m, buf, sizeof buf, 20000), 1);
		ck_assert_uint_eq(m.hdr.seq, (uint32_t)i);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(a_stale_socket_is_replaced_a_live_one_is_not)
{
	char dir[96], path[112], longpath[200];
	int fd, c, pid;
	unsigned uid, gid;
	struct stat st;

	snprintf(dir, sizeof dir, "%s/ctl-XXXXXX", npp_dir_path());
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a.sock", dir);
	ck_assert_int_eq(npp_ctl_connect(path), -ENOENT);
	fd = npp_ctl_listen(path, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	c = npp_ctl_connect(path);
	ck_assert_int_ge(c, 0);
	ck_assert_int_eq(npp_ctl_peer(c, &pid, &uid, &gid), 0);
	ck_assert(pid == getpid() && uid == getuid() && gid == getgid());
	ck_assert_int_eq(npp_ctl_listen(path, 0600), -EADDRINUSE);
	close(c);
	close(fd);
	ck_assert_int_eq(npp_ctl_connect(path), -ECONNREFUSED);
	fd = npp_ctl_listen(path, 0660);
	ck_assert_int_ge(fd, 0);
	close(fd);
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY, 0600); /* somebody's file is not a stale socket */
	close(fd);
	ck_assert_int_eq(npp_ctl_listen(path, 0600), -EADDRINUSE);
	ck_assert_int_eq(access(path, F_OK), 0);
	unlink(path);
	rmdir(dir);
	memset(longpath, 'x', sizeof longpath);
	longpath[sizeof longpath - 1] = '\0';
	ck_assert_int_eq(npp_ctl_connect(longpath), -ENAMETOOLONG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lib/ctl");
	TCase *t = tcase_create("ctl");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_message_arrives_as_it_was_sent);
	tcase_add_test(t, the_largest_message_passes_and_a_larger_one_is_refused);
	tcase_add_test(t, descriptors_are_taken_once_and_close_on_exec);
	tcase_add_test(t, lies_are_refused_and_no_descriptor_leaks);
	tcase_add_test(t, an_empty_packet_is_a_lie_and_not_the_end);
	tcase_add_test(t, waiting_ends_by_time_or_by_the_end_of_the_peer);
	tcase_add_test(t, last_words_are_heard_though_ours_were_not_read);
	tcase_add_test(t, a_call_gets_its_own_answer);
	tcase_add_test(t, sending_waits_for_room);
	tcase_add_test(t, a_stale_socket_is_replaced_a_live_one_is_not);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
