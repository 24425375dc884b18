/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_place.c - from a port into N rings, in one process
 *
 * One end of a packet socket pair stands for the TAP queue: a packet is a virtio
 * header and a frame.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/proto.h"
#include "npp-dispatch/dispatch.h"
#include "shm/bell.h"
#include "tests/unit/dispatch/frames.h"
#include "tests/unit/suite.h"

#define RING (512u << 10)

static struct dispatch d;
static struct npp_global *g;
static struct npp_fring_cons cons[NPP_MAX_IOPS];
static struct frame *f;
static int port; /* the network's end */

static void open_npp(uint32_t n)
{
	int sv[2], ctl, data, big = 4 << 20;

	memset(&d, 0, sizeof d);
	d.n_iops = n;
	d.n_ports = 1;
	g = aligned_alloc(64, (sizeof *g + 63) / 64 * 64);
	npp_fill(g, n);
	ck_assert_int_eq(dispatch_ctx_init(&d.port[0].ctx, g, 0), 0);
	d.state = aligned_alloc(64, (sizeof *d.state + 63) / 64 * 64);
	memset(d.state, 0, sizeof *d.state);
	d.page = aligned_alloc(64, (sizeof *d.page + 63) / 64 * 64);
	memset(d.page, 0, sizeof *d.page);
	d.stats = d.page->counter;
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_int_eq(npp_fring_create("npp-test", NPP_REGION_RX, i, RING, 0, &ctl, &data), 0);
		ck_assert_int_eq(npp_fring_attach_prod(&d.ring[i], ctl, data, NPP_REGION_RX), 0);
		ck_assert_int_eq(npp_fring_attach_cons(&cons[i], ctl, data, NPP_REGION_RX), 0);
		close(ctl);
		close(data);
		d.bell[i] = npp_bell_create();
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
	port = sv[0];
	d.port[0].fd = sv[1];
	fcntl(sv[1], F_SETFL, O_NONBLOCK);
	f = calloc(1, sizeof *f);
}

static void close_npp(void)
{
	for (uint32_t i = 0; i < d.n_iops; i++) {
		npp_fring_detach(&d.ring[i].m);
		npp_fring_detach(&cons[i].m);
		close(d.bell[i]);
	}
	close(port);
	close(d.port[0].fd);
	free(d.state);
	free(d.page);
	free(g);
	free(f);
}

static void send_frame(void)
{
	struct iovec iov[2] = { { &f->v, sizeof f->v }, { f->b, f->len } };

	ck_assert_int_eq(writev(port, iov, 2), (ssize_t)(sizeof f->v + f->len));
}

static uint64_t stat_of(unsigned id)
{
	return d.stats[id];
}

static unsigned owner4(uint16_t sport)
{
	struct npp_flow_key k = { .src = frame_addr(PEER4), .dst = frame_addr(US4), .proto = 6 };

	k.sport = htons(sport);
	k.dport = htons(80);
	return npp_hash_iop(&g->prog[0], &k);
}

/* The next record of ring IOP is the frame in F. */
static void expect(unsigned iop)
{
	uint32_t len;
	const struct npp_frame_rec *rec = npp_fring_peek(&cons[iop], &len);

	ck_assert_ptr_nonnull(rec);
	ck_assert_uint_eq(len, f->len);
	ck_assert_mem_eq(rec + 1, f->b, len);
	ck_assert_mem_eq(&rec->vnet, &f->v, sizeof f->v);
	ck_assert(rec->kind == NPP_REC_FRAME && rec->csum == NPP_CSUM_OK && rec->l4_off == 34);
	npp_fring_advance(&cons[iop], len);
	npp_fring_release(&cons[iop]);
}

static void make(uint16_t sport, uint32_t payload)
{
	frame_flow4(f, 6, sport, 80, payload);
	if (payload > 1460)
		f->v = (struct vnet_hdr){ .flags = VNET_F_NEEDS_CSUM, .gso_type = VNET_GSO_TCPV4,
					  .gso_size = 1460, .csum_start = 34, .csum_offset = 16 };
}

START_TEST(every_frame_reaches_its_owner_whole)
{
	static const uint32_t all[] = { 1, 2, 3, 4, 5, 7, 8, 32 };
	uint32_t n = all[_i], got[NPP_MAX_IOPS] = { 0 }, len;

	open_npp(n);
	for (uint16_t i = 0; i < 300; i++) {
		uint16_t sport = (uint16_t)(32768 + 2 * i);

		make(sport, i % 5 == 0 ? 60000 : i % 3 == 0 ? 0 : 1000);
		send_frame();
		ck_assert_int_eq(dispatch_batch(&d), 1);
		expect(owner4(sport));
		got[owner4(sport)]++;
	}
	ck_assert_int_eq(dispatch_batch(&d), 0);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_ptr_null(npp_fring_peek(&cons[i], &len));
		ck_assert_uint_gt(got[i], 300 / (2 * n));
		ck_assert_uint_eq(cons[i].errors, 0);
	}
	ck_assert(stat_of(NPP_DS_RX_FRAMES) == 300 && stat_of(NPP_DS_CLASS_TCP) == 300);
	ck_assert(stat_of(NPP_DS_RX_GSO) == 60);
	ck_assert(stat_of(NPP_DS_PLACE_HIT) + stat_of(NPP_DS_PLACE_MISS) == 60);
	if (n == 1)
		ck_assert(stat_of(NPP_DS_PLACE_HIT) == 60);
	close_npp();
}
END_TEST

START_TEST(a_run_of_large_frames_is_predicted)
{
	open_npp(4);
	for (int run = 0; run < 4; run++) {
		uint16_t sport = 32768;

		while (owner4(sport) != (unsigned)(3 - run))
			sport = (uint16_t)(sport + 2);
		for (int i = 0; i < 10; i++) {
			make(sport, 50000);
			send_frame();
			ck_assert_int_eq(dispatch_batch(&d), 1);
			expect((unsigned)(3 - run));
		}
	}
	ck_assert(stat_of(NPP_DS_PLACE_MISS) == 4 && stat_of(NPP_DS_PLACE_HIT) == 36);
	close_npp();
}
END_TEST

START_TEST(batches_are_bounded_and_ring_once)
{
	struct pollfd pfd;
	uint64_t rung;

	open_npp(1);
	make(32768, 100);
	for (int i = 0; i < 70; i++)
		send_frame();
	npp_bell_announce(&cons[0].m.ctl->sleeping);
	ck_assert_int_eq(dispatch_batch(&d), DISPATCH_BATCH_FRAMES);
	ck_assert_int_eq(dispatch_batch(&d), DISPATCH_BATCH_FRAMES);
	ck_assert_int_eq(dispatch_batch(&d), 70 - 2 * DISPATCH_BATCH_FRAMES);
	pfd = (struct pollfd){ .fd = d.bell[0], .events = POLLIN };
	ck_assert_int_eq(poll(&pfd, 1, 0), 1);
	ck_assert_int_eq(read(d.bell[0], &rung, sizeof rung), sizeof rung);
	ck_assert_uint_eq(rung, 1);
	ck_assert(stat_of(NPP_DS_BELLS) == 1 && stat_of(NPP_DS_RX_BATCHES) == 3);
	for (int i = 0; i < 70; i++)
		expect(0);
	make(32768, 60000);
	for (int i = 0; i < 6; i++)
		send_frame();
	ck_assert_int_eq(dispatch_batch(&d), 5); /* by bytes */
	close_npp();
}
END_TEST

/* Frames that come one by one are not followed by a read in vain: the wait says what there is. */
START_TEST(after_single_frames_no_second_one_is_asked_for)
{
	open_npp(1);
	make(32768, 100);
	for (unsigned i = 0; i < DISPATCH_SINGLES; i++) {
		send_frame();
		ck_assert_int_eq(dispatch_batch(&d), 1);
		ck_assert(d.drained);
		expect(0);
	}
	for (int i = 0; i < 3; i++)
		send_frame();
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(dispatch_batch(&d), 1);
		ck_assert(d.drained);
		expect(0);
	}
	ck_assert_int_eq(dispatch_batch(&d), 0);
	for (int i = 0; i < 3; i++)
		send_frame();
	d.port[0].singles = 0;	/* a wait was over at once */
	ck_assert_int_eq(dispatch_batch(&d), 3);
	ck_assert_uint_eq(d.port[0].singles, 0);
	for (int i = 0; i < 3; i++)
		expect(0);
	close_npp();
}
END_TEST

START_TEST(a_full_ring_drops_and_the_others_go_on)
{
	uint16_t a = 32768, b = 32768;

	open_npp(2);
	while (owner4(a) != 0)
		a = (uint16_t)(a + 2);
	while (owner4(b) != 1)
		b = (uint16_t)(b + 2);
	for (int i = 0; i < 12; i++) {
		make(a, 60000);
		send_frame();
		ck_assert_int_eq(dispatch_batch(&d), 1);
	}
	ck_assert(stat_of(NPP_DS_DROP_RING_FULL) == 4); /* eight fit in 512 KB */
	for (int i = 0; i < 3; i++) { /* by way of scratch */
		make(b, 60000);
		send_frame();
		ck_assert_int_eq(dispatch_batch(&d), 1);
		expect(1);
	}
	make(a, 60000);
	for (int i = 0; i < 8; i++)
		expect(0);
	send_frame();
	ck_assert_int_eq(dispatch_batch(&d), 1);
	expect(0);
	ck_assert(stat_of(NPP_DS_DROP_RING_FULL) == 4);
	close_npp();
}
END_TEST

START_TEST(what_is_dropped_is_counted_and_leaves_no_record)
{
	uint32_t len;

	open_npp(1);
	make(32768, 10);
	f->b[5] ^= 1;
	send_frame();
	make(32768, 10);
	frame_ip4h(f)->csum ^= 1;
	send_frame();
	ck_assert_int_eq(write(port, "short", 5), 5);
	ck_assert_int_eq(write(port, &f->v, 12), 12); /* no frame at all */
	make(32768, 10);
	g->iop_up = 0;
	send_frame();
	ck_assert_int_eq(dispatch_batch(&d), 5);
	ck_assert_ptr_null(npp_fring_peek(&cons[0], &len));
	ck_assert(stat_of(NPP_DS_DROP_MAC) == 1 && stat_of(NPP_DS_DROP_IP_CSUM) == 1);
	ck_assert(stat_of(NPP_DS_DROP_SHORT) == 2 && stat_of(NPP_DS_DROP_IOP_DOWN) == 1);
	close_npp();
}
END_TEST

START_TEST(a_remembered_ring_that_is_not_there_does_no_harm)
{
	open_npp(2);
	d.state->last_large = 0xffffffffu;
	make(32768, 10);
	send_frame();
	ck_assert_int_eq(dispatch_batch(&d), 1);
	expect(owner4(32768));
	close_npp();
}
END_TEST

START_TEST(a_port_that_is_gone_is_an_error)
{
	open_npp(1);
	shutdown(port, SHUT_RDWR);
	ck_assert_int_lt(dispatch_batch(&d), 0);
	close_npp();
}
END_TEST

static void *runner(void *arg)
{
	return (void *)(intptr_t)dispatch_run(&d, *(int *)arg, -1);
}

START_TEST(the_loop_wakes_for_frames_and_ends_when_told)
{
	struct pollfd pfd;
	pthread_t t;
	int ctl[2];
	void *rc;

	open_npp(1);
	d.spin_max_us = (uint32_t)_i * 20;
	ck_assert_int_eq(npp_ctl_pair(ctl), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, runner, &ctl[1]), 0);
	pfd = (struct pollfd){ .fd = d.bell[0], .events = POLLIN };
	ck_assert_int_eq(poll(&pfd, 1, 20000), 1); /* rung at the start */
	npp_bell_drain(d.bell[0]);
	for (uint16_t i = 0; i < 200; i++) {
		make((uint16_t)(32768 + i), 100);
		npp_bell_announce(&cons[0].m.ctl->sleeping);
		send_frame();
		ck_assert_int_eq(poll(&pfd, 1, 20000), 1);
		npp_bell_drain(d.bell[0]);
		expect(0);
	}
	npp_ctl_send(ctl[0], NPP_CTL_STOP, 0, 0, NULL, 0, NULL, 0);
	pthread_join(t, &rc);
	ck_assert_int_eq((intptr_t)rc, 0);
	ck_assert(stat_of(NPP_DS_SLEEPS) > 0 && d.page->now_us > 0);
	close(ctl[0]);
	close(ctl[1]);
	close_npp();
}
END_TEST

START_TEST(each_port_is_read_and_named_in_the_record)
{
	static const uint8_t mac1[6] = { 2, 9, 9, 9, 9, 9 };
	const struct npp_frame_rec *rec;
	int second[2], first = port;
	uint32_t len;

	open_npp(1);
	first = port;
	memcpy(g->port[1].mac, mac1, 6);
	g->port[1].mtu = 1500;
	g->n_ports = d.n_ports = 2;
	ck_assert_int_eq(dispatch_ctx_init(&d.port[1].ctx, g, 1), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, second), 0);
	d.port[1].fd = second[1];
	fcntl(second[1], F_SETFL, O_NONBLOCK);
	make(1000, 100);
	send_frame();
	port = second[0];
	send_frame();			/* for the address of port 0: not ours here */
	memcpy(f->b, mac1, 6);
	send_frame();
	ck_assert_int_eq(dispatch_batch(&d), 3);
	ck_assert(d.drained);
	for (unsigned i = 0; i < 2; i++) {
		rec = npp_fring_peek(&cons[0], &len);
		ck_assert_ptr_nonnull(rec);
		ck_assert_uint_eq(rec->port, i);
		npp_fring_advance(&cons[0], len);
	}
	ck_assert_ptr_null(npp_fring_peek(&cons[0], &len));
	ck_assert_uint_eq(stat_of(NPP_DS_DROP_MAC), 1);
	ck_assert_uint_eq(stat_of(NPP_DS_RX0_FRAMES), 1);
	ck_assert_uint_eq(stat_of(NPP_DS_RX1_FRAMES), 2);
	ck_assert_uint_eq(stat_of(NPP_DS_RX1_BYTES), 2 * f->len);
	/* One that cannot be read does not keep the other from its frames. */
	close(second[0]);
	port = first;
	make(1000, 100);
	send_frame();
	ck_assert_int_eq(dispatch_batch(&d), 1);
	ck_assert_int_eq(d.port[1].error, -ENODEV);
	ck_assert_int_eq(d.port[0].error, 0);
	ck_assert_int_eq(dispatch_batch(&d), -ENODEV);
	close(second[1]);
	close_npp();
}
END_TEST

/* ---- those aside ----------------------------------------------------------------------- */

static int aside_net; /* the network's end of the second queue */

static void open_aside(void)
{
	int sv[2], big = 4 << 20;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
	fcntl(sv[1], F_SETFL, O_NONBLOCK);
	aside_net = sv[0];
	d.port[0].aside = (struct dispatch_aside){ .fd = sv[1], .open = true, .hot = 1 };
}

static void close_aside(void)
{
	close(aside_net);
	close(d.port[0].aside.fd);
}

static void send_many(int to, uint16_t sport, unsigned n)
{
	int was = port;

	port = to;
	for (unsigned i = 0; i < n; i++) {
		make(sport, 10);
		send_frame();
	}
	port = was;
}

/* Takes what is in ring 0: how many frames of SPORT, of all. */
static unsigned taken(uint16_t sport, unsigned *all)
{
	const struct npp_frame_rec *rec;
	unsigned n = 0;
	uint32_t len;

	*all = 0;
	while ((rec = npp_fring_peek(&cons[0], &len))) {
		const uint8_t *l4 = (const uint8_t *)(rec + 1) + 34;

		n += (l4[0] << 8 | l4[1]) == sport;
		(*all)++;
		npp_fring_advance(&cons[0], len);
	}
	npp_fring_release(&cons[0]);
	return n;
}

START_TEST(strangers_have_a_small_part_while_others_wait)
{
	unsigned all, of_all = 0, strange = 0;

	open_npp(1);
	open_aside();
	send_many(port, 1000, 8 * DISPATCH_BATCH_FRAMES);
	send_many(aside_net, 2000, 100);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_gt(dispatch_batch(&d), 0);
		strange += taken(2000, &all);
		of_all += all;
	}
	ck_assert_uint_eq(of_all - strange, 8 * DISPATCH_BATCH_FRAMES);
	ck_assert_uint_eq(strange, 8 / DISPATCH_ASIDE_BUSY * DISPATCH_ASIDE_FRAMES);
	/* Now they are the only ones. */
	while (dispatch_batch(&d) > 0)
		strange += taken(2000, &all);
	ck_assert_uint_eq(strange, 100);
	ck_assert_uint_eq(stat_of(NPP_DS_ASIDE_FRAMES), 100);
	close_aside();
	close_npp();
}
END_TEST

START_TEST(strangers_are_looked_for_also_if_nobody_says_so)
{
	unsigned all, turns = 0;

	open_npp(1);
	open_aside();
	d.port[0].aside.hot = 0;
	send_many(aside_net, 2000, 1);
	do
		send_many(port, 1000, DISPATCH_BATCH_FRAMES + 1); /* never empty */
	while (dispatch_batch(&d) > 0 && taken(2000, &all) == 0 && ++turns < 100);
	ck_assert_uint_lt(turns, DISPATCH_ASIDE_QUIET + 1);
	close_aside();
	close_npp();
}
END_TEST

START_TEST(strangers_wait_until_an_iop_has_done_some_work)
{
	unsigned all;

	open_npp(2);
	open_aside();
	for (uint16_t i = 0; i < 2000 && !d.held; i += DISPATCH_BATCH_FRAMES) {
		for (uint16_t k = 0; k < DISPATCH_BATCH_FRAMES; k++)
			send_many(aside_net, (uint16_t)(32768 + 2 * (i + k)), 1);
		dispatch_batch(&d);
	}
	ck_assert(d.held);
	ck_assert_uint_le(stat_of(NPP_DS_ASIDE_FRAMES), 2 * 2 * (DISPATCH_ASIDE_WINDOW + DISPATCH_BATCH_FRAMES));
	/* Others are served as before. */
	send_many(port, 1000, 20);
	ck_assert_int_eq(dispatch_batch(&d), 20);
	/* One of two IOPs has done its work, the other stands still: after a while it goes on, step by step. */
	ck_assert_uint_gt(taken(32768, &all), 0);
	ck_assert_int_eq(dispatch_batch(&d), 0);
	d.now_us += DISPATCH_ASIDE_HOLD_US;
	ck_assert_int_gt(dispatch_batch(&d), 0);
	ck_assert(!d.held);
	d.now_us++;
	ck_assert_int_eq(dispatch_batch(&d), 0);
	ck_assert(d.held);
	/* When it has done its own nobody waits. */
	for (unsigned i = 0; i < 2; i++) {
		const struct npp_frame_rec *rec;
		uint32_t len;

		while ((rec = npp_fring_peek(&cons[i], &len)))
			npp_fring_advance(&cons[i], len);
		npp_fring_release(&cons[i]);
	}
	send_many(aside_net, 2000, 1);
	ck_assert_int_eq(dispatch_batch(&d), 1);
	ck_assert(!d.held);
	close_aside();
	close_npp();
}
END_TEST

START_TEST(strangers_leave_half_of_a_ring_to_others)
{
	unsigned all, n = RING / 128, strange = 0;

	open_npp(1);
	open_aside();
	for (unsigned i = 0; i < n; i += DISPATCH_BATCH_FRAMES) {
		send_many(aside_net, 2000, DISPATCH_BATCH_FRAMES);
		ck_assert_int_eq(dispatch_batch(&d), DISPATCH_BATCH_FRAMES);
		d.window[0].n = 0;
	}
	ck_assert_uint_gt(stat_of(NPP_DS_DROP_ASIDE), 0);
	ck_assert_uint_eq(stat_of(NPP_DS_DROP_RING_FULL), 0);
	send_many(port, 1000, 20);
	ck_assert_int_eq(dispatch_batch(&d), 20);
	strange = taken(2000, &all);
	ck_assert_uint_eq(all - strange, 20);
	ck_assert_uint_eq(strange + stat_of(NPP_DS_DROP_ASIDE), stat_of(NPP_DS_ASIDE_FRAMES));
	close_aside();
	close_npp();
}
END_TEST

/* Takes frames of SPORT until there were N of them, with those of others between. */
static void wait_taken(uint16_t sport, unsigned n)
{
	unsigned all, got = 0;

	for (int ms = 0; got < n && ms < 20000; ms++) {
		got += taken(sport, &all);
		if (got < n)
			poll(NULL, 0, 1);
	}
	ck_assert_uint_eq(got, n);
}

START_TEST(the_loop_wakes_for_strangers_and_for_others_while_they_are_held_up)
{
	pthread_t t;
	int ctl[2];
	void *rc;

	open_npp(1);
	open_aside();
	ck_assert_int_eq(npp_ctl_pair(ctl), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, runner, &ctl[1]), 0);
	for (int i = 0; i < 20; i++) { /* one at a time, so that it sleeps in between */
		send_many(i % 2 ? aside_net : port, 1000, 1);
		wait_taken(1000, 1);
	}
	/* More than one IOP is given at a time, which now stands still. */
	send_many(aside_net, 2000, 3 * DISPATCH_ASIDE_WINDOW);
	for (int i = 0; i < 10; i++)
		send_many(port, 1000, 1);
	wait_taken(1000, 10);
	send_many(aside_net, 3000, 1);
	wait_taken(3000, 1);
	npp_ctl_send(ctl[0], NPP_CTL_STOP, 0, 0, NULL, 0, NULL, 0);
	pthread_join(t, &rc);
	ck_assert_int_eq((intptr_t)rc, 0);
	close(ctl[0]);
	close(ctl[1]);
	close_aside();
	close_npp();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dispatch/place");
	TCase *t = tcase_create("place");

	tcase_add_loop_test(t, every_frame_reaches_its_owner_whole, 0, 8);
	tcase_add_test(t, a_run_of_large_frames_is_predicted);
	tcase_add_test(t, batches_are_bounded_and_ring_once);
	tcase_add_test(t, after_single_frames_no_second_one_is_asked_for);
	tcase_add_test(t, a_full_ring_drops_and_the_others_go_on);
	tcase_add_test(t, what_is_dropped_is_counted_and_leaves_no_record);
	tcase_add_test(t, a_remembered_ring_that_is_not_there_does_no_harm);
	tcase_add_test(t, a_port_that_is_gone_is_an_error);
	tcase_add_test(t, each_port_is_read_and_named_in_the_record);
	tcase_add_test(t, strangers_have_a_small_part_while_others_wait);
	tcase_add_test(t, strangers_are_looked_for_also_if_nobody_says_so);
	tcase_add_test(t, strangers_wait_until_an_iop_has_done_some_work);
	tcase_add_test(t, strangers_leave_half_of_a_ring_to_others);
	tcase_add_loop_test(t, the_loop_wakes_for_frames_and_ends_when_told, 0, 2);
	tcase_add_test(t, the_loop_wakes_for_strangers_and_for_others_while_they_are_held_up);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
