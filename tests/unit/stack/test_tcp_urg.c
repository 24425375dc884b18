/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_tcp_urg.c - urgent data, both ways (RFC 9293, 3.8.5; RFC 6093)
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "tests/unit/stack/tcp_helper.h"
#include "tests/unit/suite.h"

static struct th *h;
static struct tp p;
static uint8_t data[200000];

static void setup(void)
{
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	h = th_new(16);
	th_listen(h, 80, 8);
	tp_accept(&p, h, 80, 4000, TO_SACK_OK);
}

static void teardown(void)
{
	th_free(h);
}

static struct tcb *tcb(void)
{
	return tcb_of(p.k->c);
}

/* ---- receiving ------------------------------------------------------------------------- */

/* A segment with an urgent pointer, from stream offset OFF of the peer on. */
static void urgent(uint32_t off, uint32_t len, uint16_t urp)
{
	struct tcp_seg g = tp_seg(&p, TCPF_ACK | TCPF_URG, len);

	g.seq = TP_ISS + 1 + off;
	g.urp = urp;
	th_input(h, &g, data + off, 0);
	th_check(h);
}

START_TEST(the_pointer_points_behind_the_byte)
{
	urgent(0, 100, 40);
	ck_assert_uint_eq(p.k->n_urg, 1);
	ck_assert_uint_eq(p.k->urg_off, 39);
	ck_assert_uint_eq(p.k->rx_head, 100);
	ck_assert(!(tcb()->flags & TF_URG) || seq_lt(tcb()->rcv_up, tcb()->rcv_nxt));
	urgent(100, 10, 0); /* as Linux: the first byte */
	ck_assert_uint_eq(p.k->urg_off, 100);
	ck_assert_uint_eq(th_stat(h, NPP_IS_TCP_URGENT_IN), 2);
}
END_TEST

START_TEST(a_pointer_may_come_long_before_its_byte)
{
	urgent(0, 10, 3000);
	ck_assert_uint_eq(p.k->urg_off, 2999);
	urgent(10, 1000, 2990); /* the same one */
	ck_assert_uint_eq(p.k->n_urg, 1);
	urgent(1010, 1000, 1500); /* an earlier one: the last counts */
	ck_assert_uint_eq(p.k->n_urg, 1);
	urgent(2010, 500, 1500);
	ck_assert_uint_eq(p.k->n_urg, 2);
	ck_assert_uint_eq(p.k->urg_off, 3509);
	ck_assert(tcb()->flags & TF_URG);
	tp_send_at(&p, TP_ISS + 1 + 2510, TCPF_ACK, data + 2510, 1000);
	tp_send_at(&p, TP_ISS + 1 + 3510, TCPF_ACK, data + 3510, 10);
	ck_assert(!(tcb()->flags & TF_URG));
	ck_assert_uint_eq(p.k->urg_here, 0); /* it came in order */
}
END_TEST

START_TEST(a_pointer_into_what_was_received_means_nothing)
{
	tp_send(&p, TCPF_ACK, data, 100);
	urgent(0, 100, 50);
	urgent(50, 50, 50);
	ck_assert_uint_eq(p.k->n_urg, 0);
	urgent(50, 50, 51); /* the next byte */
	ck_assert_uint_eq(p.k->n_urg, 1);
	ck_assert_uint_eq(p.k->urg_off, 100);
}
END_TEST

START_TEST(an_empty_segment_announces_it_to_a_closed_window)
{
	struct tcp_options o = { .opt_flags = NPP_OPT_RCVBUF, .rcvbuf = 4096 };

	stack_tcp_options(h->s, p.k->c, &o);
	for (uint32_t off = 0; seq_lt(tcb()->rcv_nxt, tcb()->rcv_adv); off += 1000)
		tp_send(&p, TCPF_ACK, data + off, u32_min(1000, tcb()->rcv_adv - tcb()->rcv_nxt));
	urgent(p.seq - TP_ISS - 1, 0, 1);
	ck_assert_uint_eq(p.k->n_urg, 1);
	ck_assert_uint_eq(p.k->urg_off, p.k->rx_head);
}
END_TEST

START_TEST(a_byte_that_comes_out_of_order_is_told)
{
	urgent(200, 50, 20);
	ck_assert_uint_eq(p.k->urg_off, 219);
	ck_assert_uint_eq(p.k->urg_here, 220);
	ck_assert_uint_eq(p.k->rx_head, 0);
	ck_assert_mem_eq(p.k->rx + 219, data + 219, 1);
	tp_send_at(&p, TP_ISS + 1, TCPF_ACK, data, 200);
	ck_assert_uint_eq(p.k->rx_head, 250);
	ck_assert_uint_eq(p.k->n_urg, 1);
}
END_TEST

START_TEST(the_pointer_may_come_after_its_byte)
{
	tp_send_at(&p, TP_ISS + 1 + 100, TCPF_ACK, data + 100, 100);
	urgent(50, 10, 100); /* byte 149, kept already */
	ck_assert_uint_eq(p.k->urg_off, 149);
	ck_assert_uint_eq(p.k->urg_here, 150);
}
END_TEST

START_TEST(after_the_fin_there_is_nothing_urgent)
{
	tp_send(&p, TCPF_ACK | TCPF_FIN, data, 10);
	urgent(11, 0, 5);
	urgent(0, 0, 100);
	ck_assert_uint_eq(p.k->n_urg, 0);
	ck_assert_int_eq(p.k->c->state, TCP_ST_CLOSE_WAIT);
}
END_TEST

START_TEST(a_fin_before_its_time_does_not_hide_the_byte_before_it)
{
	tp_send_at(&p, TP_ISS + 1 + 100, TCPF_ACK | TCPF_FIN, data + 100, 10);
	urgent(0, 50, 110);
	ck_assert_uint_eq(p.k->n_urg, 1);
	urgent(0, 50, 111); /* that is the FIN */
	ck_assert_uint_eq(p.k->n_urg, 1);
}
END_TEST

START_TEST(a_program_that_has_closed_is_told_nothing)
{
	stack_tcp_close(h->s, p.k->c, 0, 0);
	stack_flush(h->s);
	urgent(0, 0, 1);
	ck_assert_uint_eq(p.k->n_urg, 0);
	th_forget(h);
}
END_TEST

START_TEST(a_successor_still_awaits_the_byte)
{
	urgent(0, 10, 100);
	th_restart(h);
	urgent(20, 100, 80); /* byte 99 again, out of order */
	ck_assert_uint_eq(p.k->n_urg, 1);
	ck_assert_uint_eq(p.k->urg_here, 100);
	tp_send_at(&p, TP_ISS + 1 + 10, TCPF_ACK, data + 10, 10);
	ck_assert_uint_eq(p.k->rx_head, 120);
}
END_TEST

/* ---- sending ----------------------------------------------------------------------------- */

/* LEN bytes, the last one urgent. */
static void send_urgent(uint32_t len)
{
	th_write(h, p.k, data + p.k->tx_head, len);
	stack_tcp_urgent(h->s, p.k->c, p.k->tx_head);
	stack_flush(h->s);
}

static uint32_t off_of(const struct th_seg *seg)
{
	return seg->g.seq - tcb()->iss - 1;
}

static struct th_seg *expect(uint32_t off, uint32_t len, uint32_t up)
{
	struct th_seg *seg = th_next(h);

	ck_assert_uint_eq(off_of(seg), off);
	ck_assert_uint_eq(seg->g.len, len);
	ck_assert_uint_eq((seg->g.flags & TCPF_URG) != 0, up != 0);
	ck_assert_uint_eq(seg->g.urp, up ? up - off : 0);
	return seg;
}

static void ack_to(uint32_t off)
{
	p.ack = tcb()->iss + 1 + off;
	tp_send(&p, TCPF_ACK, NULL, 0);
}

START_TEST(urgent_data_goes_at_once_and_says_where_it_ends)
{
	th_write(h, p.k, data, 10);
	stack_flush(h->s);
	expect(0, 10, 0);
	send_urgent(3); /* Nagle would hold it back */
	expect(10, 3, 13);
	ck_assert(th_none(h));
	ack_to(13);
	ck_assert(!(tcb()->flags & TF_URG));
	th_write(h, p.k, data + 13, 5);
	stack_flush(h->s);
	expect(13, 5, 0);
	ack_to(18);
}
END_TEST

START_TEST(a_cork_does_not_hold_it_back)
{
	struct tcp_options o = { .opt_flags = NPP_OPT_CORK };

	stack_tcp_options(h->s, p.k->c, &o);
	th_write(h, p.k, data, 10);
	stack_flush(h->s);
	ck_assert(th_none(h));
	send_urgent(1);
	expect(0, 11, 11);
	ack_to(11);
}
END_TEST

START_TEST(every_segment_before_the_mark_points_at_it)
{
	send_urgent(4000);
	expect(0, 1460, 4000);
	expect(1460, 1460, 4000);
	expect(2920, 1080, 4000);
	ack_to(1460);
	th_forget(h);
	ck_assert(tcb()->flags & TF_URG);
	/* What is behind the mark does not, and may go in one frame again. */
	th_write(h, p.k, data + 4000, 2 * 1460);
	stack_flush(h->s);
	expect(4000, 2 * 1460, 0);
	ack_to(4000 + 2 * 1460);
	ck_assert(!(tcb()->flags & TF_URG));
}
END_TEST

START_TEST(the_last_mark_counts)
{
	send_urgent(5);
	expect(0, 5, 5);
	send_urgent(5);
	expect(5, 5, 10);
	ack_to(5);
	ck_assert(tcb()->flags & TF_URG);
	ack_to(10);
	ck_assert(!(tcb()->flags & TF_URG));
}
END_TEST

START_TEST(what_is_sent_again_points_at_the_mark_that_is_now)
{
	send_urgent(1);
	expect(0, 1, 1);
	th_advance(h, 1500000); /* loss probe, timeout */
	expect(0, 1, 1);
	th_forget(h);
	send_urgent(1);
	th_forget(h);
	th_advance(h, 5000000);
	ck_assert_uint_eq(th_next(h)->g.urp, 2);
	th_forget(h);
	ack_to(2);
	th_forget(h);
}
END_TEST

START_TEST(a_closed_window_hears_of_it_by_the_probe)
{
	struct th_seg *seg;

	p.wnd = 0;
	tp_send(&p, TCPF_ACK, NULL, 0);
	send_urgent(10);
	ck_assert(th_none(h));
	th_advance(h, 3000000);
	seg = th_next(h);
	ck_assert_uint_eq(seg->g.seq, tcb()->snd_una);
	ck_assert_uint_eq(seg->g.len, 0);
	ck_assert_uint_eq(seg->g.flags & TCPF_URG, TCPF_URG);
	ck_assert_uint_eq(seg->g.urp, 10);
	seg = th_next(h);
	ck_assert_uint_eq(seg->g.seq, tcb()->snd_una - 1);
	th_forget(h);
	p.wnd = 65535;
	tp_send(&p, TCPF_ACK, NULL, 0);
	expect(0, 10, 10);
	ack_to(10);
}
END_TEST

START_TEST(a_mark_beyond_64_kilobytes_is_somewhere_ahead)
{
	p.wnd = 2000;
	tp_send(&p, TCPF_ACK, NULL, 0);
	for (uint32_t n = 0; n < 100000;)
		n += th_write(h, p.k, data + n, 100000 - n);
	stack_tcp_urgent(h->s, p.k->c, 100000);
	stack_flush(h->s);
	ck_assert_uint_eq(expect(0, 1460, 65535)->g.urp, 65535);
	th_forget(h);
	p.wnd = 65535;
	for (uint32_t off = 1460; off < 100000 && p.k->tx_tail < 100000; off = p.ack - tcb()->iss - 1) {
		tp_drain(&p);
		tp_send(&p, TCPF_ACK, NULL, 0);
		th_advance(h, 1000);
	}
	ck_assert_uint_eq(p.k->tx_tail, 100000);
	ck_assert(!(tcb()->flags & TF_URG));
	th_forget(h);
}
END_TEST

START_TEST(what_was_sent_beyond_the_reach_of_the_pointer_is_not_called_urgent)
{
	struct tcb t = { .snd_una = 1000, .snd_nxt = 1000 + 65534, .snd_up = 1000 + 100000 };
	struct tcp_hdr hdr = { .flags = 0 };

	tcp_urg_put(&t, 1000, &hdr);
	ck_assert_uint_eq(hdr.flags, TCPF_URG);
	ck_assert_uint_eq(ntohs(hdr.urp), 65535);
	hdr = (struct tcp_hdr){ .flags = 0 };
	t.snd_nxt++;	/* sent again, when the byte there is no urgent one */
	tcp_urg_put(&t, 1000, &hdr);
	ck_assert_uint_eq(hdr.flags, 0);
	ck_assert_uint_eq(hdr.urp, 0);
}
END_TEST

START_TEST(a_successor_goes_on_pointing)
{
	send_urgent(3);
	th_forget(h);
	th_restart(h);
	stack_flush(h->s);
	th_forget(h);
	th_advance(h, 1500000);
	ck_assert_uint_eq(th_next(h)->g.urp, 3);
	th_forget(h);
	ack_to(3);
	ck_assert(!(tcb()->flags & TF_URG));
}
END_TEST

START_TEST(both_directions_end_when_both_have)
{
	urgent(0, 10, 100);
	send_urgent(5);
	ack_to(5);
	ck_assert(tcb()->flags & TF_URG);
	tp_send_at(&p, TP_ISS + 1 + 10, TCPF_ACK, data + 10, 95);
	tp_send_at(&p, TP_ISS + 1 + 105, TCPF_ACK, data + 105, 5);
	ck_assert(!(tcb()->flags & TF_URG));
	th_forget(h);
}
END_TEST

START_TEST(a_mark_in_what_is_acknowledged_or_ended_means_nothing)
{
	th_write(h, p.k, data, 10);
	stack_flush(h->s);
	ack_to(10);
	th_forget(h);
	stack_tcp_urgent(h->s, p.k->c, 10);
	ck_assert(!(tcb()->flags & TF_URG));
	stack_tcp_shutdown(h->s, p.k->c, 10);
	stack_tcp_urgent(h->s, p.k->c, 20);
	ck_assert(!(tcb()->flags & TF_URG));
	stack_flush(h->s);
	th_forget(h);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_urg");
	TCase *tc = tcase_create("urgent");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_pointer_points_behind_the_byte);
	tcase_add_test(tc, a_pointer_may_come_long_before_its_byte);
	tcase_add_test(tc, a_pointer_into_what_was_received_means_nothing);
	tcase_add_test(tc, an_empty_segment_announces_it_to_a_closed_window);
	tcase_add_test(tc, a_byte_that_comes_out_of_order_is_told);
	tcase_add_test(tc, the_pointer_may_come_after_its_byte);
	tcase_add_test(tc, after_the_fin_there_is_nothing_urgent);
	tcase_add_test(tc, a_fin_before_its_time_does_not_hide_the_byte_before_it);
	tcase_add_test(tc, a_program_that_has_closed_is_told_nothing);
	tcase_add_test(tc, a_successor_still_awaits_the_byte);
	tcase_add_test(tc, urgent_data_goes_at_once_and_says_where_it_ends);
	tcase_add_test(tc, a_cork_does_not_hold_it_back);
	tcase_add_test(tc, every_segment_before_the_mark_points_at_it);
	tcase_add_test(tc, the_last_mark_counts);
	tcase_add_test(tc, what_is_sent_again_points_at_the_mark_that_is_now);
	tcase_add_test(tc, a_closed_window_hears_of_it_by_the_probe);
	tcase_add_test(tc, a_mark_beyond_64_kilobytes_is_somewhere_ahead);
	tcase_add_test(tc, what_was_sent_beyond_the_reach_of_the_pointer_is_not_called_urgent);
	tcase_add_test(tc, a_successor_goes_on_pointing);
	tcase_add_test(tc, both_directions_end_when_both_have);
	tcase_add_test(tc, a_mark_in_what_is_acknowledged_or_ended_means_nothing);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
