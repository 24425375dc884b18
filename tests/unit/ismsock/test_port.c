/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_port.c - an ISM that reads its own queue of the port (engine: kernel)
 */
#include "config.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "npp-ism/socket/ism.h"
#include "tests/unit/dispatch/frames.h"
#include "tests/unit/ismsock/env.h"
#include "tests/unit/suite.h"

static struct env *e;
static struct frame frame;
static int port[2];		/* the network's end, the ISM's */
static struct npp_fring_cons to_peer;	/* what IOP 0 gets from us, number 1 */

static void ipc_rings(void)
{
	int ctl[2], data[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(npp_fring_create("test-ipc", NPP_REGION_IPC, 0, 256 << 10, 0, &ctl[i], &data[i]), 0);
	ck_assert_int_eq(ism_ipc_attach(e->I, 0, (int[]){ ctl[0], data[0], ctl[1], data[1] }), 0);
	ck_assert_int_eq(npp_fring_attach_cons(&to_peer, ctl[0], data[0], NPP_REGION_IPC), 0);
	for (int i = 0; i < 2; i++) {
		close(ctl[i]);
		close(data[i]);
	}
}

static void setup(void)
{
	e = env_new(0);
	npp_fill(&e->global, 2);
	e->global.port[0].flags = NPP_PORT_KERNEL;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, port), 0);
	fcntl(port[1], F_SETFL, O_NONBLOCK);
	e->I->tap[0] = port[1];
	e->I->global.base = &e->global;
	ck_assert_int_eq(ism_port_open(e->I), 0);
	ck_assert_ptr_nonnull(e->I->port[0]);
	ipc_rings();
}

static void teardown(void)
{
	e->I->global.base = NULL;
	npp_fring_detach(&to_peer.m);
	close(port[0]);
	close(port[1]);
	env_free(e);
}

/* A segment that hashes to IOP; its source port is the I-th that does. */
static void flow_of(unsigned iop, unsigned i)
{
	for (uint16_t sport = 1000;; sport++) {
		struct npp_flow_key k = { .src = frame_addr(PEER4), .dst = frame_addr(US4), .sport = htons(sport),
					  .dport = htons(80), .proto = 6 };

		if (npp_hash_iop(&e->global.prog[0], &k) == iop && i-- == 0) {
			frame_flow4(&frame, 6, sport, 80, 100);
			return;
		}
	}
}

static void send_frame(void)
{
	uint8_t wire[sizeof frame.v + 2048];

	memcpy(wire, &frame.v, sizeof frame.v);
	memcpy(wire + sizeof frame.v, frame.b, frame.len);
	ck_assert_int_eq(send(port[0], wire, sizeof frame.v + frame.len, 0), (int)(sizeof frame.v + frame.len));
}

/* As if the descriptor had said so. */
static void readable(void)
{
	nk_raise(&e->I->nk, NK_RX);
	env_run(e);
}

START_TEST(own_flows_go_to_the_stack)
{
	fake_inputs = 0;
	for (unsigned i = 0; i < 5; i++) {
		flow_of(1, i);
		send_frame();
	}
	readable();
	ck_assert_uint_eq(fake_inputs, 5);
	ck_assert_uint_eq(fake_input.kind, NPP_REC_FRAME);
	ck_assert_uint_eq(fake_input.csum, NPP_CSUM_OK);
	ck_assert_uint_eq(fake_input.len, frame.len);
	ck_assert_uint_eq(fake_input.l4_off, 34);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_FRAMES), 5);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_CLASS_TCP), 5);
	ck_assert_uint_eq(env_stat(e, NPP_IS_RX_FRAMES), 5);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_BYTES), 5 * frame.len);
	ck_assert_uint_eq(env_stat(e, NPP_IS_RX_BYTES), 5 * frame.len);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_HANDED_ON), 0);
}
END_TEST

START_TEST(more_frames_than_a_round_takes_all_come)
{
	fake_inputs = 0;
	flow_of(1, 0);
	for (unsigned i = 0; i < 100; i++)
		send_frame();
	readable();
	ck_assert_uint_eq(fake_inputs, 100);
	ck_assert_uint_ge(env_stat(e, NPP_IS_PORT_BATCHES), 2);
}
END_TEST

/* Frames one at a time, each waited for; then two at once: the wait says that there is a second one. */
START_TEST(frames_behind_a_single_one_are_not_forgotten)
{
	fake_inputs = 0;
	flow_of(1, 0);
	for (unsigned i = 0; i < 30; i++) {
		for (unsigned k = 0; k < (i < 20 ? 1 : 2); k++)
			send_frame();
		usleep(30);
		for (unsigned k = 0; k < 3; k++) {
			nk_sleep(&e->I->nk);
			env_run(e);
		}
		ck_assert_uint_eq(fake_inputs, i < 20 ? i + 1 : 20 + 2 * (i - 19));
	}
}
END_TEST

START_TEST(flows_of_another_iop_are_handed_on)
{
	const struct npp_frame_rec *rec;
	uint32_t len;

	fake_inputs = 0;
	flow_of(0, 0);
	send_frame();
	readable();
	ck_assert_uint_eq(fake_inputs, 0);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_HANDED_ON), 1);
	rec = npp_fring_peek(&to_peer, &len);
	ck_assert_ptr_nonnull(rec);
	ck_assert_uint_eq(len, frame.len);
	ck_assert_uint_eq(rec->kind, NPP_REC_FRAME);
	ck_assert_mem_eq(rec + 1, frame.b, len);
}
END_TEST

START_TEST(another_program_moves_flows_between_two_frames)
{
	struct npp_hash_prog *p = &e->global.prog[1];

	fake_inputs = 0;
	*p = e->global.prog[0];
	memset(p->indir, 0, sizeof p->indir);
	flow_of(1, 0);
	send_frame();
	readable();
	ck_assert_uint_eq(fake_inputs, 1);
	e->global.prog_active = 1;
	send_frame();
	readable();
	ck_assert_uint_eq(fake_inputs, 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_HANDED_ON), 1);
}
END_TEST

START_TEST(what_makes_no_sense_is_dropped_with_its_reason)
{
	fake_inputs = 0;
	flow_of(1, 0);
	frame.b[60] ^= 1;
	send_frame();
	flow_of(1, 0);
	frame_ip4h(&frame)->csum ^= 1;
	send_frame();
	flow_of(1, 0);
	frame.b[5] ^= 1;
	send_frame();
	flow_of(1, 0);
	frame.v.gso_type = 77;
	send_frame();
	ck_assert_int_eq(send(port[0], "short", 5, 0), 5);
	e->global.iop_up = 2;
	flow_of(0, 0);
	send_frame();
	readable();
	ck_assert_uint_eq(fake_inputs, 0);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_FRAMES), 6);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_DROP_L4_CSUM), 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_DROP_IP_CSUM), 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_DROP_MAC), 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_DROP_VNET), 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_DROP_SHORT), 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_DROP_IOP_DOWN), 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_RX_BYTES), env_stat(e, NPP_IS_PORT_BYTES));
}
END_TEST

START_TEST(a_port_that_is_gone_is_not_waited_for)
{
	close(port[0]);
	readable();
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_READ_ERRORS), 1);
	for (unsigned i = 0; i < e->I->nk.n_fds; i++)
		ck_assert_int_ne(e->I->nk.fd[i].fd, port[1]);
	readable();
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_READ_ERRORS), 1);
	port[0] = dup(port[1]);
}
END_TEST

START_TEST(a_second_port_has_a_queue_of_its_own)
{
	static const uint8_t mac1[6] = { 2, 9, 9, 9, 9, 9 };
	struct stack_tx tx = { .start = STACK_L4_OFF - 14, .l4_len = 40 };
	int second[2], first = port[0];
	uint8_t buf[200];

	ism_port_close(e->I);
	memcpy(e->global.port[1].mac, mac1, 6);
	e->global.port[1].mtu = 1500;
	e->global.port[1].flags = NPP_PORT_KERNEL;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, second), 0);
	fcntl(second[1], F_SETFL, O_NONBLOCK);
	e->I->tap[1] = second[1];
	e->I->nk.n_sources--;	/* that of the port closed above */
	ck_assert_int_eq(ism_port_open(e->I), 0);
	ck_assert_ptr_nonnull(e->I->port[1]);
	fake_inputs = 0;
	flow_of(1, 0);
	memcpy(frame.b, mac1, 6);
	port[0] = second[0];
	send_frame();
	readable();
	port[0] = first;
	ck_assert_uint_eq(fake_inputs, 1);
	ck_assert_uint_eq(fake_input.port, 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_RX1_FRAMES), 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_RX0_FRAMES), 0);
	ck_assert_uint_eq(env_stat(e, NPP_IS_PORT_DROP_MAC), 0);
	/* and out */
	ism_port_tx(e->I, 1, &tx);
	ck_assert_int_eq(recv(second[0], buf, sizeof buf, MSG_DONTWAIT), (int)sizeof(struct vnet_hdr) + 54);
	ck_assert_int_lt(recv(first, buf, sizeof buf, MSG_DONTWAIT), 0);
	ck_assert_uint_eq(env_stat(e, NPP_IS_TX1_FRAMES), 1);
	ck_assert_uint_eq(env_stat(e, NPP_IS_TX1_BYTES), 54);
	ism_port_tx(e->I, 3, &tx);	/* there is none */
	ck_assert_uint_eq(env_stat(e, NPP_IS_TX_ERRORS), 1);
	close(second[0]);
	close(second[1]);
}
END_TEST

START_TEST(the_process_engine_leaves_the_port_alone)
{
	struct ism_port *was = e->I->port[0];

	e->I->port[0] = NULL;
	e->global.port[0].flags = 0;
	ck_assert_int_eq(ism_port_open(e->I), 0);
	ck_assert_ptr_null(e->I->port[0]);
	e->I->port[0] = was;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ismsock/port");
	TCase *tc = tcase_create("port");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, own_flows_go_to_the_stack);
	tcase_add_test(tc, more_frames_than_a_round_takes_all_come);
	tcase_add_test(tc, frames_behind_a_single_one_are_not_forgotten);
	tcase_add_test(tc, flows_of_another_iop_are_handed_on);
	tcase_add_test(tc, another_program_moves_flows_between_two_frames);
	tcase_add_test(tc, what_makes_no_sense_is_dropped_with_its_reason);
	tcase_add_test(tc, a_port_that_is_gone_is_not_waited_for);
	tcase_add_test(tc, a_second_port_has_a_queue_of_its_own);
	tcase_add_test(tc, the_process_engine_leaves_the_port_alone);
	suite_add_tcase(s, tc);
	return npp_suite_run(s);
}
