/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_program.c - npp-dispatch itself, started as the supervisor starts it
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/proto.h"
#include "lib/self.h"
#include "npp-dispatch/dispatch.h"
#include "shm/bell.h"
#include "tests/unit/dispatch/frames.h"
#include "tests/unit/suite.h"

#define IOPS 3
#define FDS (5 + 3 * IOPS)

static struct npp_region global, stats, private;
static struct npp_fring_cons cons[IOPS];
static int bell[IOPS], port[2], ctl[2], fds[FDS];
static struct npp_ctl_msg m;
static uint8_t buf[4096];
static pid_t pid;

static void region(struct npp_region *r, enum npp_region_kind kind, size_t size, uint64_t layout)
{
	ck_assert_int_eq(npp_region_create(r, "npp-test", kind, size, 0, layout, 0), 0);
}

static void setup(void)
{
	uint64_t abi = npp_abi_layout_hash();

	region(&global, NPP_REGION_GLOBAL, sizeof(struct npp_global), abi);
	region(&stats, NPP_REGION_STATS, sizeof(struct npp_stats_page), abi);
	region(&private, NPP_REGION_DISPATCH, DISPATCH_PRIVATE_SIZE, dispatch_layout_hash());
	{
		struct npp_region_hdr hdr = *(struct npp_region_hdr *)global.base;

		npp_fill(global.base, IOPS);
		memcpy(global.base, &hdr, sizeof hdr);
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, port), 0);
	ck_assert_int_eq(npp_ctl_pair(ctl), 0);
	fds[0] = npp_region_reopen_ro(global.fd);
	fds[1] = stats.fd;
	fds[2] = private.fd;
	fds[3] = npp_bell_create();
	fds[4] = port[1];
	for (int i = 0; i < IOPS; i++) {
		fds[5 + i] = bell[i] = npp_bell_create();
		ck_assert_int_eq(npp_fring_create("npp-test", NPP_REGION_RX, (uint32_t)i, 1 << 20, 0,
						  &fds[5 + IOPS + 2 * i], &fds[5 + IOPS + 2 * i + 1]), 0);
		ck_assert_int_eq(npp_fring_attach_cons(&cons[i], fds[5 + IOPS + 2 * i],
						       fds[5 + IOPS + 2 * i + 1], NPP_REGION_RX), 0);
	}
}

static void teardown(void)
{
	for (int i = 0; i < IOPS; i++)
		npp_fring_detach(&cons[i].m);
	for (int i = 3; i < FDS; i++)
		close(fds[i]);
	close(fds[0]);
	close(port[0]);
	close(ctl[0]);
	close(ctl[1]);
	npp_region_unmap(&global);
	npp_region_unmap(&stats);
	npp_region_unmap(&private);
}

static void launch(void)
{
	char path[PATH_MAX];

	ck_assert_int_eq(npp_self_find("npp-dispatch", path, sizeof path), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ctl[1], NPP_CTL_FD);
		fcntl(NPP_CTL_FD, F_SETFD, 0);
		execl(path, "npp-dispatch", (char *)NULL);
		_exit(127);
	}
}

static void send_start(uint64_t layout)
{
	struct npp_ctl_start_dispatch body = { .abi_version = NPP_ABI_VERSION, .n_iops = IOPS,
					       .layout_hash = layout, .cpu = -1, .n_ports = 1 };

	ck_assert_int_eq(npp_ctl_send(ctl[0], NPP_CTL_START_DISPATCH, 0, 0, &body, sizeof body, fds, FDS), 0);
}

static int ended(void)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void pass_one_frame(uint16_t sport)
{
	static struct frame f;
	struct iovec iov[2] = { { &f.v, sizeof f.v }, { f.b, 0 } };
	struct npp_flow_key k = { .src = frame_addr(PEER4), .dst = frame_addr(US4), .proto = 6 };
	struct npp_global *g = global.base;
	struct pollfd pfd;
	uint32_t len;
	unsigned iop;

	k.sport = htons(sport);
	k.dport = htons(80);
	iop = npp_hash_iop(&g->prog[0], &k);
	frame_flow4(&f, 6, sport, 80, 500);
	iov[1].iov_len = f.len;
	pfd = (struct pollfd){ .fd = bell[iop], .events = POLLIN };
	npp_bell_drain(bell[iop]);
	npp_bell_announce(&cons[iop].m.ctl->sleeping);
	ck_assert_int_gt(writev(port[0], iov, 2), 0);
	while (npp_fring_depth(&cons[iop]) == 0) {
		ck_assert_int_eq(poll(&pfd, 1, 20000), 1);
		npp_bell_drain(bell[iop]);
	}
	ck_assert_ptr_nonnull(npp_fring_peek(&cons[iop], &len));
	ck_assert_uint_eq(len, f.len);
	npp_fring_advance(&cons[iop], len);
	npp_fring_release(&cons[iop]);
}

START_TEST(it_starts_dispatches_and_stops_and_its_successor_goes_on)
{
	const struct npp_stats_page *page = stats.base;

	for (uint32_t life = 1; life <= 3; life++) {
		launch();
		send_start(npp_abi_layout_hash());
		ck_assert_int_eq(npp_ctl_recv(ctl[0], &m, buf, sizeof buf, 20000), 1);
		ck_assert_uint_eq(m.hdr.type, NPP_CTL_READY);
		for (uint16_t i = 0; i < 50; i++)
			pass_one_frame((uint16_t)(32768 + 2 * i));
		ck_assert_uint_eq(page->pid, (uint32_t)pid);
		ck_assert(page->counter[NPP_DS_CLASS_TCP] == 50 * life);
		ck_assert_uint_eq(((struct npp_region_hdr *)private.base)->generation, life);
		if (life == 2) { /* at any moment */
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			continue;
		}
		npp_ctl_send(ctl[0], NPP_CTL_STOP, 0, 0, NULL, 0, NULL, 0);
		ck_assert_int_eq(ended(), 0);
	}
}
END_TEST

START_TEST(it_refuses_a_supervisor_of_another_build)
{
	launch();
	send_start(npp_abi_layout_hash() + 1);
	ck_assert_int_eq(ended(), 1);
}
END_TEST

START_TEST(it_refuses_a_region_that_is_another)
{
	((struct npp_region_hdr *)private.base)->layout_hash++;
	launch();
	send_start(npp_abi_layout_hash());
	ck_assert_int_eq(ended(), 1);
}
END_TEST

START_TEST(it_ends_with_its_supervisor)
{
	launch();
	send_start(npp_abi_layout_hash());
	ck_assert_int_eq(npp_ctl_recv(ctl[0], &m, buf, sizeof buf, 20000), 1);
	shutdown(ctl[0], SHUT_RDWR);
	ck_assert_int_eq(ended(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dispatch/program");
	TCase *t = tcase_create("program");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, it_starts_dispatches_and_stops_and_its_successor_goes_on);
	tcase_add_test(t, it_refuses_a_supervisor_of_another_build);
	tcase_add_test(t, it_refuses_a_region_that_is_another);
	tcase_add_test(t, it_ends_with_its_supervisor);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
