/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_wire.c - the way of frames through a wire, under a time of the test's own
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "harness/wire/wire.h"
#include "net/checksum.h"
#include "tests/unit/suite.h"

#define MAX_OUT 20000
#define MS 1000000ull

static struct wire w;
static struct out { uint64_t at; uint32_t len, id, seq; uint8_t tos, flags; bool gso, sum_ok; } out[MAX_OUT];
static unsigned n_out;
static uint64_t now;

static bool sums_right(const struct wire_frame *f)
{
	const uint8_t *ip = f->data + 14, *tcp = ip + 20;
	uint32_t len = f->len - 34;
	uint64_t sum = npp_csum_add(ip + 12, 8, 0) + htons(6) + (uint64_t)htons((uint16_t)len);

	return npp_csum_finish(npp_csum_add(ip, 20, 0)) == 0 && npp_csum_finish(npp_csum_add(tcp, len, sum)) == 0;
}

static int collect(void *arg, unsigned dir, const struct wire_frame *f)
{
	struct out *o = &out[n_out];
	uint32_t seq;

	(void)arg;
	ck_assert_uint_eq(dir, WIRE_UP);
	ck_assert_uint_lt(n_out, MAX_OUT);
	memcpy(&seq, f->data + 38, 4);
	*o = (struct out){ .at = now, .len = f->len, .id = (uint32_t)(f->data[18] << 8 | f->data[19]), .seq = ntohl(seq),
			   .tos = f->data[15], .flags = f->data[47], .gso = f->vh.gso_type != 0 };
	o->sum_ok = f->vh.flags || sums_right(f);
	n_out++;
	return 0;
}

static void setup(void)
{
	ck_assert_int_eq(wire_init(&w, 7), 0);
	w.send = collect;
	n_out = 0;
	now = 1000 * MS;
}

static void teardown(void)
{
	now += 100000 * MS;
	w.conf[0].blackout = w.conf[1].blackout = false;
	wire_run(&w, now);
	ck_assert_uint_eq(w.small.n_free, w.small.total);	/* nothing leaks */
	ck_assert_uint_eq(w.big.n_free, w.big.total);
	wire_free(&w);
}

static void set(const char *key, const char *value)
{
	struct wire_conf c[WIRE_DIRS];
	struct npp_err e = { "" };

	memcpy(c, w.conf, sizeof c);
	ck_assert_msg(wire_conf_set(c, key, value, &e) == 0, "%s", e.text);
	wire_apply(&w, c, now);
}

/* A TCP segment with PAYLOAD bytes, its checksum left open; MSS: GSO. */
static struct wire_frame *segment(uint32_t id, uint32_t payload, uint32_t mss)
{
	struct wire_frame *f = wire_get(&w, 54 + payload);
	uint8_t *ip = f->data + 14, *tcp = ip + 20;
	uint32_t i, tcp_len = 20 + payload;
	uint16_t sum;

	f->len = 54 + payload;
	memset(f->data, 0, 54);
	f->data[12] = 8;
	ip[0] = 0x45;
	ip[1] = 2;	/* ECT(0) */
	ip[2] = (uint8_t)((20 + tcp_len) >> 8);
	ip[3] = (uint8_t)(20 + tcp_len);
	ip[4] = (uint8_t)(id >> 8);
	ip[5] = (uint8_t)id;
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	sum = npp_csum_finish(npp_csum_add(ip, 20, 0));
	memcpy(ip + 10, &sum, 2);
	tcp[12] = 0x50;
	tcp[13] = 0x19;	/* ACK PSH FIN */
	sum = npp_csum_fold(npp_csum_add(ip + 12, 8, 0) + htons(6) + (uint64_t)htons((uint16_t)tcp_len));
	memcpy(tcp + 16, &sum, 2);
	for (i = 0; i < payload; i++)
		tcp[20 + i] = (uint8_t)(i * 7 + id);
	f->vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->vh.csum_start = 34;
	f->vh.csum_offset = 16;
	if (mss) {
		f->vh.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		f->vh.gso_size = (uint16_t)mss;
		f->vh.hdr_len = 54;
	}
	return f;
}

static void feed(uint32_t first, uint32_t n, uint64_t step_ns)
{
	for (uint32_t i = 0; i < n; i++, now += step_ns) {
		wire_run(&w, now);
		wire_input(&w, WIRE_UP, segment(first + i, 100, 0), now);
	}
}

/* Goes from one due time to the next until nothing is left. */
static void drain(void)
{
	uint64_t next;

	while ((next = wire_run(&w, now)) != UINT64_MAX)
		now = next > now ? next : now;
}

START_TEST(a_clean_wire_passes_frames_at_once_and_whole)
{
	wire_input(&w, WIRE_UP, segment(1, 14000, 1400), now);
	ck_assert_uint_eq(n_out, 1);
	ck_assert(out[0].gso);
	ck_assert_uint_eq(w.dir[0].n.frames, 10);
	ck_assert_uint_eq(w.dir[0].n.whole, 1);
}
END_TEST

START_TEST(delay_is_exact_and_keeps_order)
{
	set("delay", "40ms");
	set("jitter", "10ms");
	feed(0, 200, MS / 2);
	drain();
	ck_assert_uint_eq(n_out, 200);
	for (unsigned i = 0; i < n_out; i++) {
		uint64_t in = 1000 * MS + i * (MS / 2);

		ck_assert_uint_eq(out[i].id, i);
		ck_assert_uint_ge(out[i].at, in + 30 * MS);
		ck_assert_uint_le(out[i].at, in + 50 * MS);
	}
}
END_TEST

START_TEST(losses_repeat_for_a_seed_and_differ_for_another)
{
	uint32_t first[2000];
	unsigned n;

	set("loss", "10%");
	feed(0, 2000, 1000);
	n = n_out;
	ck_assert_uint_ge(n, 1720);
	ck_assert_uint_le(n, 1880);
	for (unsigned i = 0; i < n; i++)
		first[i] = out[i].id;
	for (int again = 0; again < 2; again++) {
		bool same;

		n_out = 0;
		wire_reseed(&w, again ? 8 : 7);
		feed(0, 2000, 1000);
		same = n_out == n;
		for (unsigned i = 0; same && i < n; i++)
			same = out[i].id == first[i];
		ck_assert_int_eq(same, !again);
	}
}
END_TEST

START_TEST(a_gso_frame_loses_what_its_segments_would_lose)
{
	uint32_t kept[64];
	unsigned n, i;

	set("loss", "20%");
	for (i = 0; i < 40; i++)
		wire_input(&w, WIRE_UP, segment(i, 1000, 0), now);
	n = n_out;
	ck_assert_uint_lt(n, 40);
	for (i = 0; i < n; i++)
		kept[i] = out[i].id;
	n_out = 0;
	wire_reseed(&w, 7);
	wire_input(&w, WIRE_UP, segment(0, 40000, 1000), now);
	ck_assert_uint_eq(n_out, n);
	for (i = 0; i < n; i++) {
		ck_assert_uint_eq(out[i].seq, kept[i] * 1000);
		ck_assert(out[i].sum_ok);
		ck_assert(!out[i].gso);
		ck_assert_uint_eq(out[i].flags, out[i].seq == 39000 ? 0x19 : 0x10);
		ck_assert_uint_eq(out[i].id, kept[i]);
	}
	ck_assert_uint_eq(w.dir[0].n.cut, 1);
}
END_TEST

START_TEST(bursts_lose_neighbours)
{
	unsigned runs = 0, lost = 0, i;
	uint32_t want = 0;

	set("burst", "1%/25%");
	feed(0, 10000, 1000);
	for (i = 0; i < n_out; i++) {
		if (out[i].id != want) {
			runs++;
			lost += out[i].id - want;
		}
		want = out[i].id + 1;
	}
	/* a share of 1/26 lost, four in a row on average */
	ck_assert_uint_ge(lost, 250);
	ck_assert_uint_le(lost, 550);
	ck_assert_uint_ge(lost * 10, runs * 30);
	ck_assert_uint_le(lost * 10, runs * 52);
	ck_assert_uint_ge(w.dir[0].n.burst_lost, lost);
}
END_TEST

START_TEST(a_rate_takes_its_time_and_its_queue_has_an_end)
{
	set("rate", "10mbit");	/* 154 bytes: 123.2 us */
	set("queue", "1540");
	feed(0, 20, 0);
	drain();
	ck_assert_uint_ge(n_out, 10);
	ck_assert_uint_le(n_out, 11);
	ck_assert_uint_eq(w.dir[0].n.queue_full, 20 - n_out);
	for (unsigned i = 0; i < n_out; i++)
		ck_assert_uint_eq(out[i].at, 1000 * MS + (i + 1) * 123200);
}
END_TEST

START_TEST(a_slow_wire_cuts_a_large_frame)
{
	set("rate", "10mbit");
	wire_input(&w, WIRE_UP, segment(1, 14600, 1460), now);
	drain();
	ck_assert_uint_eq(n_out, 10);
	ck_assert_uint_eq(w.dir[0].n.delivered, 10);
}
END_TEST

START_TEST(a_frame_held_back_comes_after_those_that_follow)
{
	unsigned late = 0;

	set("reorder", "5%");
	feed(0, 1000, 10000);
	drain();
	ck_assert_uint_eq(n_out, 1000);
	for (unsigned i = 1; i < n_out; i++)
		late += out[i].id < out[i - 1].id;
	ck_assert_uint_ge(late, 20);
	ck_assert_uint_ge(w.dir[0].n.reordered, late);
	n_out = 0;
	set("reorder", "100%");
	wire_input(&w, WIRE_UP, segment(5, 10, 0), now);
	ck_assert_uint_eq(n_out, 0);	/* alone: held, but not for ever */
	drain();
	ck_assert_uint_eq(n_out, 1);
}
END_TEST

START_TEST(a_frame_may_come_twice)
{
	set("duplicate", "100%");
	feed(0, 5, MS);
	drain();
	ck_assert_uint_eq(n_out, 10);
	for (unsigned i = 0; i < n_out; i++)
		ck_assert_uint_eq(out[i].id, i / 2);
}
END_TEST

START_TEST(a_flipped_bit_breaks_a_completed_checksum)
{
	set("corrupt", "100%");
	feed(0, 50, MS);
	ck_assert_uint_eq(n_out, 50);
	for (unsigned i = 0; i < n_out; i++)
		ck_assert(!out[i].sum_ok);
}
END_TEST

START_TEST(ecn_marks_only_what_may_be_marked)
{
	struct wire_frame *f;

	set("ecn", "100%");
	feed(0, 1, 0);
	ck_assert_uint_eq(out[0].tos, 3);
	f = segment(1, 10, 0);
	f->data[15] = 0;
	wire_input(&w, WIRE_UP, f, now);
	ck_assert_uint_eq(out[1].tos, 0);
	ck_assert_uint_eq(w.dir[0].n.marked, 1);
}
END_TEST

START_TEST(mtu_counts_segments_not_gso_frames)
{
	set("mtu", "1500");
	wire_input(&w, WIRE_UP, segment(1, 14600, 1460), now);
	ck_assert_uint_eq(n_out, 1);
	wire_input(&w, WIRE_UP, segment(2, 1461, 0), now);
	ck_assert_uint_eq(n_out, 1);
	ck_assert_uint_eq(w.dir[0].n.too_big, 1);
}
END_TEST

START_TEST(a_blackout_with_a_time_ends_by_itself)
{
	set("blackout", "5ms");
	feed(0, 10, MS);
	ck_assert_uint_eq(n_out, 5);
	ck_assert_uint_eq(out[0].id, 5);
	set("blackout", "yes");
	feed(10, 10, MS);
	ck_assert_uint_eq(n_out, 5);
	set("blackout", "no");
	feed(20, 1, MS);
	ck_assert_uint_eq(n_out, 6);
}
END_TEST

START_TEST(directions_differ)
{
	set("up.loss", "100%");
	set("down.delay", "5ms");
	ck_assert(w.conf[WIRE_UP].loss == 1 && w.conf[WIRE_DOWN].loss == 0);
	ck_assert_uint_eq(w.conf[WIRE_UP].delay_us, 0);
	ck_assert_uint_eq(w.conf[WIRE_DOWN].delay_us, 5000);
	feed(0, 5, MS);
	ck_assert_uint_eq(n_out, 0);
}
END_TEST

START_TEST(a_virtio_header_that_does_not_fit_is_counted)
{
	struct wire_frame *f = segment(1, 14000, 1400);

	f->vh.csum_start = 60000;
	wire_input(&w, WIRE_UP, f, now);
	f = segment(2, 14000, 1400);
	f->data[34 + 12] = 0xf0;	/* header longer than given */
	f->len = 60;
	wire_input(&w, WIRE_UP, f, now);
	ck_assert_uint_eq(n_out, 0);
	ck_assert_uint_eq(w.dir[0].n.malformed, 2);
}
END_TEST

int main(void)
{
	const TTest *const all[] = {
		a_clean_wire_passes_frames_at_once_and_whole, delay_is_exact_and_keeps_order,
		losses_repeat_for_a_seed_and_differ_for_another, a_gso_frame_loses_what_its_segments_would_lose,
		bursts_lose_neighbours, a_rate_takes_its_time_and_its_queue_has_an_end, a_slow_wire_cuts_a_large_frame,
		a_frame_held_back_comes_after_those_that_follow, a_frame_may_come_twice,
		a_flipped_bit_breaks_a_completed_checksum, ecn_marks_only_what_may_be_marked,
		mtu_counts_segments_not_gso_frames, a_blackout_with_a_time_ends_by_itself, directions_differ,
		a_virtio_header_that_does_not_fit_is_counted,
	};
	Suite *s = suite_create("wire");
	TCase *tc = tcase_create("engine");

	tcase_add_checked_fixture(tc, setup, teardown);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		tcase_add_test(tc, all[i]);
	suite_add_tcase(s, tc);
	return npp_suite_run(s);
}
